package profile_test

import (
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// FuzzDecode: whatever a payload holds, every profile makes finite readings of it or a
// permanent error that names the profile.
func FuzzDecode(f *testing.F) {
	set := loadAll(f)
	for _, payload := range []string{"\x01\x75\x64\x03\x00\x01", "\x01\x0a\x01\x1e\x01\x01\x04\xb0\x00\x00\x00", "\x22\x1e\x64\x00\x1c\x40", `{"smoke":true,"battery":NaN}`, `{"seq":1e99,"at":1e300}`, "\x95", "\x20\xce\xff\xff\xff\xff\xff\xff\xff\xff"} {
		for _, port := range []int{-1, 1, 2, 6, 10, 85} {
			f.Add([]byte(payload), port)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, port int) {
		for _, p := range set.List() {
			d, err := p.DecodePayload(port, payload)
			if err != nil {
				if grid.CodeOf(err) != grid.Invalid || !strings.HasPrefix(err.Error(), "profile "+p.ID+": ") {
					t.Fatalf("%s: got %v", p.ID, err)
				}
				continue
			}
			if err := finite(d); err != nil {
				t.Fatalf("%s: %v", p.ID, err)
			}
		}
		set.Guess(grid.Frame{Uplink: grid.Uplink{Port: port, Payload: payload}})
	})
}

// FuzzParse: whatever a profile file holds, it compiles or is an error; what compiles
// decodes without a panic.
func FuzzParse(f *testing.F) {
	f.Add(head + oneField("{name: x, type: u16, mask: 0x3FFF}"))
	f.Add(head + smokeTLV)
	f.Add(head + "codec: json\nfields: [{name: x, path: a.b}]\nsignals: {temperature: {expr: \"x ** 99\"}}\n")
	f.Add(head + "codec: binary\nlayouts: [{name: a, fields: [{repeat: {}, fields: [{name: x, at: -1}]}]}]\nsignals: {temperature: x}\n")
	f.Fuzz(func(t *testing.T, yaml string) {
		p, err := profile.Parse([]byte(yaml))
		if err != nil {
			return
		}
		for _, payload := range []string{"", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff", `{"x":1,"a":{"b":2}}`, strings.Repeat("\x01", 300)} {
			d, err := p.DecodePayload(1, []byte(payload))
			if err == nil {
				err = finite(d)
			} else {
				err = nil
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
