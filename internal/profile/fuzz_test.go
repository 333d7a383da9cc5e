package profile_test

import (
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// seeds are beginnings for the fuzzers: something of each codec kind, and what breaks parsers.
var seeds = []struct {
	payload string
	port    int
}{
	{"", 1},
	{"\x01\x75\x64\x03\x00\x01", 85}, // tlv
	{"\x20\xce\xff\xff\xff\xff\xff\xff\xff\xff", 85},    // tlv, a record of the past
	{"\x01\x0a\x01\x1e\x01\x01\x04\xb0\x00\x00\x00", 6}, // binary
	{"\x22\x1e\x64\x00\x1c\x40", 10},                    //
	{"\x95", 2},                                         //
	{"\x00\xd3\xd8", 2},                                 //
	{`{"smoke":true,"battery":NaN}`, -1},                // json
	{`{"seq":1e99,"at":1e300}`, -1},                     //
	{"[", -1},                                           //
	{`{"a":`, -1},                                       //
	{"ID=7,ALARM=1,BAT=3.61\r\n", -1},                   // text
	{`[{"bn":"urn:dev:1:","n":"3/0/9","v":1e300,"bt":-1},{"n":"x"}]`, -1}, // senml
	{"\x81\xa2\x00\x63a/b\x02\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00", -1},   // senml in cbor
	{"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", -1},                          // cbor: a list without end
	{"\xc8\x00\x14Open Mobile Alliance", -1},                              // lwm2m tlv
	{"@@\x01\x00\x01\x01\x00\x00\x00\x00\x00\x00\xff\xff##", -1},          // gbt26875
	{"\x01\x03\x02\x00\x01\x79\x84", -1},                                  // modbus
	{"\xff\xff\xff\xff", 200},
}

// FuzzDecode: whatever a payload holds, every profile makes finite readings of it or a
// permanent error that names the profile.
func FuzzDecode(f *testing.F) {
	set := loadAll(f)
	for _, seed := range seeds {
		for _, format := range []uint16{0, 60, 110, 112, 11542} { // text, CBOR, SenML in JSON and CBOR, LwM2M TLV
			f.Add([]byte(seed.payload), seed.port, format)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, port int, format uint16) {
		frame := grid.Frame{Uplink: grid.Uplink{Port: port, Payload: payload, Format: format, HasFormat: format != 0}}
		for _, p := range set.List() {
			d, err := p.Decode(frame)
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
		set.Guess(frame)
	})
}

// FuzzParse: whatever a profile file holds, it compiles or is an error; what compiles
// decodes without a panic.
func FuzzParse(f *testing.F) {
	f.Add(head + oneField("{name: x, type: u16, mask: 0x3FFF}"))
	f.Add(head + smokeTLV)
	f.Add(head + "codec: json\nfields: [{name: x, path: a.b}]\nsignals: {temperature: {expr: \"x ** 99\"}}\n")
	f.Add(head + "codec: binary\nlayouts: [{name: a, fields: [{repeat: {}, fields: [{name: x, at: -1}]}]}]\nsignals: {temperature: x}\n")
	f.Add(head + blocks)
	for _, p := range oneOfEachCodec(f) {
		f.Add(p)
	}
	for _, bomb := range bombs() {
		if len(bomb.yaml) < 10_000 {
			f.Add(bomb.yaml)
		}
	}
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

// oneOfEachCodec gives the texts of committed profiles, one for each codec kind they use.
func oneOfEachCodec(t testing.TB) []string {
	t.Helper()
	set := loadAll(t)
	seen := map[string]bool{}
	var out []string
	for _, p := range set.List() {
		if seen[p.Codec] || p.Extends != "" {
			continue
		}
		seen[p.Codec] = true
		files, err := set.Files(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, files["profile.yaml"])
	}
	return out
}
