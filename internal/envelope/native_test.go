package envelope

import (
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func TestNativePathSaysContentFormatAndLwM2MPath(t *testing.T) {
	for address, want := range map[string]grid.Uplink{
		"/up/sn:a1":                             {Port: -1},
		"/up/sn:a1?port=2":                      {Port: 2},
		"/up/sn:a1?ct=0":                        {Port: -1, HasFormat: true},
		"/up/sn:a1?ct=11542&path=/3/0/9":        {Port: -1, Format: 11542, HasFormat: true, Path: "/3/0/9"},
		"/up/sn:a1?path=%2F3342%2F0&port=7&x=1": {Port: 7, Path: "/3342/0"},
		"gridgate/up/sn:a1/3":                   {Port: 3},
	} {
		f := grid.Frame{Address: address, Raw: []byte{1}}
		if err := openNative(&f); err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if f.Port != want.Port || f.Format != want.Format || f.HasFormat != want.HasFormat || f.Path != want.Path || len(f.Payload) != 1 {
			t.Errorf("%s: got %+v: want %+v", address, f.Uplink, want)
		}
		if id, note := identifyNative(address); id != "sn:a1" || note != "" {
			t.Errorf("%s: got %q, %q", address, id, note)
		}
	}
	for address, want := range map[string]string{
		"/up/sn:a1?ct=":      "want 0 to 65535",
		"/up/sn:a1?ct=tlv":   `content format (ct) is "tlv"`,
		"/up/sn:a1?ct=65536": "want 0 to 65535",
	} {
		f := grid.Frame{Address: address, Raw: []byte{1}}
		if err := openNative(&f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %q", address, err, want)
		}
		if _, note := identifyNative(address); !strings.Contains(note, want) {
			t.Errorf("%s: got note %q: want %q", address, note, want)
		}
	}
}
