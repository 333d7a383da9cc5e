package envelope

import (
	"strings"
	"testing"
	"time"

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

func TestWillsSayThatADeviceIsGone(t *testing.T) {
	for _, c := range []struct {
		topic, raw     string
		id             grid.Identity
		notHeard, gone bool
	}{
		{"gridgate/status/sn:a1", "online", "sn:a1", false, false},
		{"gridgate/status/sn:a1", "Offline", "sn:a1", true, true},
		{"gridgate/status/sn:a1", "", "sn:a1", true, false},
		{"gridgate/status/modbus:port1%2F1", "offline", "modbus:port1/1", true, true},
		{"tele/x/LWT", "Offline", "tasmota:x", true, true},
		{"tele/x/LWT", "Online", "tasmota:x", false, false},
		{"zigbee2mqtt/a/availability", `{"state":"offline"}`, "z2m:a", true, true},
		{"zigbee2mqtt/a/availability", "", "z2m:a", true, false},
		{"spBv1.0/g/DDEATH/n/d", "", "spb:g/n/d", true, true},
		{"gridgate/tuya/x", `{"devId":"abc","bizCode":"offline","bizData":{"time":1}}`, "tuya:abc", true, true},
	} {
		id, name, note := Identify(c.topic, []byte(c.raw))
		f := grid.Frame{Identity: id, Envelope: name, Address: c.topic, Raw: []byte(c.raw)}
		err := Open(&f)
		if id != c.id || note != "" || err != nil || f.Kind != grid.Status || f.NotHeard != c.notHeard || f.Gone != c.gone {
			t.Errorf("%s %q: %s %q %v %+v", c.topic, c.raw, id, note, err, f.Uplink)
		}
	}
	f := grid.Frame{Envelope: Native, Address: "gridgate/status/sn:a1", Raw: []byte("asleep")}
	if err := Open(&f); err == nil || !strings.Contains(err.Error(), "want online or offline") {
		t.Errorf("error is %v", err)
	}
	if id, _, note := Identify("gridgate/status/sn:a1/2", nil); id != "" || !strings.Contains(note, "want gridgate/status/<identity>") {
		t.Errorf("%q, %q", id, note)
	}
}

func TestNativePathSaysWhatTheLwM2MServerKnows(t *testing.T) {
	for address, want := range map[string]grid.Uplink{
		"/up/ep:lamp?event=register":              {Kind: grid.Status},
		"/up/ep:lamp?event=update":                {Kind: grid.Status},
		"/up/ep:lamp?event=deregister":            {Kind: grid.Status},
		"/up/ep:lamp?event=expired&lifetime=3600": {Kind: grid.Status, NotHeard: true, Gone: true, Lapsed: time.Hour},
	} {
		f := grid.Frame{Envelope: Native, Address: address, Raw: []byte("lt=3600")}
		if err := Open(&f); err != nil || f.Kind != want.Kind || f.NotHeard != want.NotHeard || f.Gone != want.Gone || f.Lapsed != want.Lapsed || f.Payload != nil {
			t.Errorf("%s: got %+v, %v", address, f.Uplink, err)
		}
	}
	for _, address := range []string{"/up/ep:lamp?event=born", "/up/ep:lamp?event=expired", "/up/ep:lamp?event=expired&lifetime=0", "/up/ep:lamp?event=expired&lifetime=-1"} {
		if _, note := identifyNative(address); note == "" {
			t.Errorf("%s: want it refused", address)
		}
	}
}
