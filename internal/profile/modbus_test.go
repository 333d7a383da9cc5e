package profile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goburrow/modbus"
	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const modbusHead = `
profile: acme/unit
version: "1"
vendor: Acme
model: Unit
kinds: [manhole]
source: invented for a test
interval: 20s
codec: modbus
`

// adu is what a unit or its master puts on the wire, with its checksum.
func adu(t testing.TB, unit, function byte, data ...byte) []byte {
	t.Helper()
	h := modbus.NewRTUClientHandler("")
	h.SlaveId = unit
	b, err := h.Encode(&modbus.ProtocolDataUnit{FunctionCode: function, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func modbusProfile(t testing.TB, body string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse([]byte(modbusHead + body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPollsAreAsTheyGoOnTheWire(t *testing.T) {
	p := modbusProfile(t, `
modbus:
  numbering: one
  polls:
    - {name: coils, function: 1, start: 1, count: 2, every: 10s}
    - {name: inputs, function: 2, start: 10009, count: 16, every: 15s, address: 255}
    - {name: holding, function: 3, start: 40001, count: 2, every: 1m}
    - {name: six digits, function: 3, start: 410001, count: 2, every: 1m}
    - {name: input registers, function: 4, start: 30101, count: 1, every: 1m}
  fields:
    - {name: a, bit: 1, poll: coils}
    - {name: b, bit: 10024}
    - {name: c, register: 40002}
    - {name: d, register: 410001, type: u32}
    - {name: e, register: 101}
signals: {temperature: e}
`)
	want := []profile.Poll{
		{Name: "coils", Function: 1, Start: 0, Count: 2, Every: 10 * time.Second},
		{Name: "inputs", Function: 2, Start: 8, Count: 16, Every: 15 * time.Second, Address: 255},
		{Name: "holding", Function: 3, Start: 0, Count: 2, Every: time.Minute},
		{Name: "six digits", Function: 3, Start: 10000, Count: 2, Every: time.Minute},
		{Name: "input registers", Function: 4, Start: 100, Count: 1, Every: time.Minute},
	}
	if diff := cmp.Diff(want, p.Polls()); diff != "" {
		t.Error(diff)
	}
	if polls := parse(t, oneField("{name: x}")).Polls(); polls != nil {
		t.Errorf("got %v of a binary profile: want none", polls)
	}
}

func TestRegistersAreReadInEveryTypeAndOrder(t *testing.T) {
	data := []byte{0x12, 0x34, 0xc1, 0x20, 0x00, 0x00, 0x00, 0x00, 0xff, 0xfe}
	for field, want := range map[string]float64{
		"register: 100":                                          0x1234,
		"register: 101, type: i16":                               -16096,
		"register: 104, type: i16, scale: 0.1":                   -0.2,
		"register: 100, bits: 0-7":                               0x34,
		"register: 100, mask: 0xF000":                            1,
		"register: 100, order: little":                           0x3412,
		"register: 101, type: f32":                               -10,
		"register: 102, type: u32":                               0,
		"register: 100, type: u32":                               0x1234c120,
		"register: 100, type: u32, words: little":                0xc1201234,
		"register: 100, type: u32, order: little":                0x341220c1,
		"register: 100, type: u32, order: little, words: little": 0x20c13412,
		"register: 101, type: u64":                               0xc12000000000fffe,
		"register: 101, type: u64, words: little":                0xfffe00000000c120,
		"register: 100, type: bcd16":                             1234,
	} {
		p := modbusProfile(t, "modbus:\n  polls: [{name: p, function: 3, start: 100, count: 5, every: 10s}]\n  fields: [{name: x, "+field+"}]\nsignals: {temperature: x}\n")
		d, err := p.DecodePayload(-1, adu(t, 9, 3, append([]byte{10}, data...)...))
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		if got := value(t, d, grid.Temperature); got != want {
			t.Errorf("%s: got %v: want %v", field, got, want)
		}
	}
}

func TestBitsAreCountedFromTheLowestOfTheFirstByte(t *testing.T) {
	for bit, want := range map[string]float64{"8": 1, "9": 0, "15": 1, "16": 0, "17": 1} {
		p := modbusProfile(t, "modbus:\n  polls: [{name: p, function: 1, start: 8, count: 10, every: 10s}]\n  fields: [{name: x, bit: "+bit+"}]\nsignals: {door.open: x}\n")
		d, err := p.DecodePayload(-1, adu(t, 9, 1, 2, 0x81, 0x02))
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, d, grid.DoorOpen); got != want {
			t.Errorf("bit %s: got %v: want %v", bit, got, want)
		}
	}
}

func TestExceptionOfAUnitIsNamed(t *testing.T) {
	p := modbusProfile(t, "modbus:\n  polls: [{name: p, function: 3, start: 0, count: 1, every: 10s}]\n  fields: [{name: x, register: 0}]\nsignals: {temperature: x}\n")
	for name, payload := range map[string][]byte{
		"alone":              adu(t, 9, 0x83, 2),
		"behind its request": append(adu(t, 9, 3, 0, 0, 0, 1), adu(t, 9, 0x83, 2)...),
	} {
		_, err := p.DecodePayload(-1, payload)
		if err == nil || !strings.Contains(err.Error(), "unit 9 answers: modbus: exception '2' (illegal data address), function '3'") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestModbusProfilesThatCannotBeAreErrors(t *testing.T) {
	const poll = "{name: p, function: 3, start: 0, count: 2, every: 10s}"
	for body, want := range map[string]string{
		"modbus: {}":                                      "modbus: polls: want at least one",
		"modbus: {polls: [" + poll + "]}":                 `modbus: polls: "p": no field is read from it`,
		"modbus: {numbering: two, polls: [" + poll + "]}": `modbus: numbering is "two": want zero or one`,
		"modbus: {polls: [{name: p, function: 6, start: 0, count: 1, every: 10s}]}":                                                 `modbus: polls: "p": function is 6: want 1, 2, 3 or 4`,
		"modbus: {polls: [{name: p, function: 3, start: 0, count: 126, every: 10s}]}":                                               "count is 126: want 1 to 125",
		"modbus: {polls: [{name: p, function: 3, start: 65535, count: 2, every: 10s}]}":                                             "count is 2: want no more than there are from 65535",
		"modbus: {polls: [{name: p, function: 3, start: 40001, count: 2}]}":                                                         `every is "": want how often it is read`,
		"modbus: {polls: [{name: p, function: 3, start: 1, count: 2, every: 9s}]}":                                                  "every is 9s and the profile's interval 20s: want an interval of at most twice that",
		"modbus: {polls: [{name: p, function: 3, start: 1, count: 2, every: 10s, address: 256}]}":                                   "address is 256: want 1 to 255",
		"modbus: {polls: [" + poll + ", " + poll + "]}":                                                                             "want a name of its own",
		"modbus: {polls: [" + poll + ", {name: q, function: 3, start: 0, count: 2, every: 10s}]}":                                   `reads the same as poll "p"`,
		"modbus: {numbering: one, polls: [{name: p, function: 3, start: 10001, count: 1, every: 10s}]}":                             "start: 10001 is none of function 3: want 1 to 9999, or 40001 and up",
		"modbus: {numbering: one, polls: [{name: p, function: 3, start: 0, count: 1, every: 10s}]}":                                 "start: 0 is none of function 3",
		"modbus: {polls: [" + poll + "], fields: [{name: x, register: 2}]}":                                                         `modbus: fields: "x": 2 is read by no poll`,
		"modbus: {polls: [" + poll + "], fields: [{name: x, register: 1, type: u32}]}":                                              "1 is read by no poll",
		"modbus: {polls: [" + poll + "], fields: [{name: x, bit: 1}]}":                                                              "1 is read by no poll",
		"modbus: {polls: [" + poll + "], fields: [{name: x}]}":                                                                      "want one of bit and register",
		"modbus: {polls: [" + poll + "], fields: [{name: x, register: 1, at: 3}]}":                                                  "at and path are for other codecs",
		"modbus: {polls: [" + poll + "], fields: [{name: x, bit: 1, type: u8}]}":                                                    "a bit has no type",
		"modbus: {polls: [" + poll + "], fields: [{name: x, register: 1, type: u8}]}":                                               `type is "u8": want one of whole registers`,
		"modbus: {polls: [" + poll + "], fields: [{name: x, register: 1, words: mixed}]}":                                           `words is "mixed": want big or little`,
		"modbus: {polls: [" + poll + "], fields: [{name: x, register: 1, poll: q}]}":                                                `poll is "q": want one of the profile's polls`,
		"modbus: {polls: [" + poll + ", {name: q, function: 3, start: 1, count: 2, every: 10s}], fields: [{name: x, register: 1}]}": "1 is read by p and q: want poll to name one",
		"modbus: {numberin: one}": `unknown key "numberin": want numbering?`,
		"layouts: [{name: a}]":    "layouts has no place in a modbus profile",
	} {
		_, err := profile.Parse([]byte(modbusHead + body + "\nsignals: {temperature: x}\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %q", body, err, want)
		}
	}
}

// FuzzModbus gives requests and answers with right checksums to every profile, so that
// what is behind the checksum is reached, and the bytes as they are.
func FuzzModbus(f *testing.F) {
	var all []*profile.Profile
	for _, p := range loadAll(f).List() {
		if p.Codec == "modbus" {
			all = append(all, p)
		}
	}
	f.Add(byte(1), byte(3), []byte{0, 3, 0, 1}, []byte{2, 0, 5})
	f.Add(byte(255), byte(2), []byte{0, 0, 0, 8}, []byte{1, 0})
	f.Add(byte(1), byte(0x83), []byte{}, []byte{2})
	f.Fuzz(func(t *testing.T, unit, function byte, asked, answer []byte) {
		h := modbus.NewRTUClientHandler("")
		h.SlaveId = unit
		request, err := h.Encode(&modbus.ProtocolDataUnit{FunctionCode: function &^ 0x80, Data: asked})
		if err != nil {
			return
		}
		response, err := h.Encode(&modbus.ProtocolDataUnit{FunctionCode: function, Data: answer})
		if err != nil {
			return
		}
		for _, payload := range [][]byte{response, append(request, response...), append(asked, answer...)} {
			for _, p := range all {
				d, err := p.DecodePayload(-1, payload)
				if err != nil {
					if grid.CodeOf(err) != grid.Invalid {
						t.Fatalf("%s: got %v", p.ID, err)
					}
					continue
				}
				if err := finite(d); err != nil {
					t.Fatalf("%s: %v", p.ID, err)
				}
			}
		}
	})
}
