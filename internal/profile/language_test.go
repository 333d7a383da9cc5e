package profile_test

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const head = `
profile: acme/one
version: "3"
vendor: Acme
model: One
kinds: [door]
source: invented for a test
interval: 1h
`

func parse(t testing.TB, body string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse([]byte(head + body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func decode(t testing.TB, p *profile.Profile, port int, payload string) (grid.Decoded, error) {
	t.Helper()
	b, err := profile.ParseHex(payload)
	if err != nil {
		t.Fatal(err)
	}
	return p.DecodePayload(port, b)
}

// value finds the only reading of a signal.
func value(t testing.TB, d grid.Decoded, signal grid.Signal) float64 {
	t.Helper()
	var found []float64
	for _, r := range d.Readings {
		if r.Signal == signal {
			found = append(found, r.Value)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %v of %s in %+v: want one", found, signal, d.Readings)
	}
	return found[0]
}

// oneField is a profile that shows one field as a temperature.
func oneField(field string) string {
	return "codec: binary\nlayouts:\n  - {name: all, rest: ignore, fields: [" + field + "]}\nsignals: {temperature: x}\n"
}

func TestFieldReadsBytesAndBits(t *testing.T) {
	for _, c := range []struct {
		field, hex string
		want       float64
	}{
		{"{name: x}", "fe", 254},
		{"{name: x, type: i8}", "fe", -2},
		{"{name: x, type: u16}", "0102", 258},
		{"{name: x, type: u16, order: little}", "0102", 513},
		{"{name: x, type: i16, order: little}", "feff", -2},
		{"{name: x, type: u24}", "010203", 66051},
		{"{name: x, type: i24}", "fffffe", -2},
		{"{name: x, type: u32}", "ffffffff", 4294967295},
		{"{name: x, type: i64}", "ffffffffffffff9c", -100},
		{"{name: x, type: f32}", "41a40000", 20.5},
		{"{name: x, type: f32, order: little}", "0000a441", 20.5},
		{"{name: x, type: f64}", "4034800000000000", 20.5},
		{"{name: x, type: bcd16}", "1234", 1234},
		{"{name: x, type: bcd16, order: little}", "3412", 1234},
		{"{name: x, type: sm8}", "85", -5},
		{"{name: x, type: sm16, scale: 0.1}", "8021", -3.3},
		{"{name: x, type: sm16, order: little}", "2180", -33},
		{"{name: x, type: sm16, bits: 0-11}", "f805", -5}, // the sign is the highest bit of the part
		{"{name: x, type: ascii24}", "303737", 77},
		{"{name: x, type: ascii40}", "202d312e35", -1.5},
		{"{name: x, type: ascii32}", "37320000", 72},
		{"{name: x, type: ymdhms}", "1a0102030405", 1767323045},
		{"{name: x, type: bcd_ymdhms}", "260102030405", 1767323045},
		{"{name: x, type: ymdhms}", "ffffffffffff", 0}, // no clock yet
		{`{name: x, bits: "7"}`, "80", 1},
		{"{name: x, bits: 4-6}", "5f", 5},
		{"{name: x, type: u16, bits: 0-13}", "cb88", 2952},
		{"{name: x, type: u16, mask: 0x3FFF}", "cb88", 2952},
		{"{name: x, type: u16, mask: 0x0FF0}", "1ab2", 0xab},                   // across the border of two bytes
		{"{name: x, type: u24, bits: 6-17}", "03ffc0", 0xfff},                  // across three
		{"{name: x, type: u16, order: little, bits: 4-11}", "b21a", 0xab},      // and in the other order
		{"{name: x, type: i16, bits: 4-11}", "0f00", -16},                      // a signed part
		{"{name: x, type: u16, scale: 0.1}", "0021", 3.3},                      // not 3.3000000000000003
		{"{name: x, scale: 0.5, offset: 10}", "08", 14},                        //
		{"{name: x, scale: -2}", "08", -16},                                    //
		{"{name: x, at: 2}", "000005", 5},                                      //
		{"{name: x, at: -1}", "000005", 5},                                     //
		{"{skip: 2}, {name: x}", "000005", 5},                                  //
		{"{name: y, type: u16}, {name: x}", "000005", 5},                       // one after the other
		{"{name: y}, {if: {field: y, is: 1}, fields: [{name: x}]}", "0105", 5}, //
		{"{name: y}, {if: {field: y, not: [2, 3]}, fields: [{skip: 1}]}, {name: x}", "010005", 5},
	} {
		d, err := decode(t, parse(t, oneField(c.field)), 1, c.hex)
		if err != nil {
			t.Errorf("%s of %s: %v", c.field, c.hex, err)
			continue
		}
		if got := value(t, d, grid.Temperature); got != c.want {
			t.Errorf("%s of %s: got %v: want %v", c.field, c.hex, got, c.want)
		}
	}
}

func TestWhatIsNotSaidIsAbsentNotZero(t *testing.T) {
	for field, payload := range map[string]string{
		"{name: x, absent: 255}":                                  "ff",
		"{name: x, type: u16, absent: [0xFFFF, 0x7FFF]}":          "7fff",
		"{name: y}, {if: {field: y}, fields: [{name: x, at: 1}]}": "0005",
	} {
		d, err := decode(t, parse(t, oneField(field)), 1, payload)
		if err != nil || len(d.Readings) != 0 {
			t.Errorf("%s of %s: got %+v, %v: want no reading", field, payload, d.Readings, err)
		}
	}
}

func TestTruncatedPayloadNamesProfileFieldAndBytes(t *testing.T) {
	_, err := decode(t, parse(t, oneField("{name: x, at: 2, type: u16}")), 1, "0102")
	want := `profile acme/one: field "x": bytes 2 to 3 are outside a payload of 2`
	if err == nil || err.Error() != want || grid.CodeOf(err) != grid.Invalid {
		t.Errorf("got %v: want %s", err, want)
	}
	_, err = decode(t, parse(t, oneField("{name: x, at: -3}")), 1, "0102")
	if err == nil || !strings.Contains(err.Error(), `field "x"`) {
		t.Errorf("got %v", err)
	}
}

func TestNotANumberIsNoReading(t *testing.T) {
	p := parse(t, oneField("{name: x, type: f32}"))
	for _, payload := range []string{"7fc00000", "7f800000", "ff800000"} {
		if d, err := decode(t, p, 1, payload); err == nil {
			t.Errorf("%s: got %+v: want an error: there is nothing else in the frame", payload, d)
		}
	}
}

func TestOutOfRangeIsKeptAndMarked(t *testing.T) {
	d, err := decode(t, parse(t, oneField("{name: x, range: [0, 100]}")), 1, "65")
	if err != nil || len(d.Readings) != 1 || !d.Readings[0].Suspect || d.Readings[0].Value != 101 {
		t.Errorf("got %+v, %v", d.Readings, err)
	}
}

func TestRepeatedPartsBecomeReadingsOfTheirOwn(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - name: samples
    fields:
      - {name: n}
      - repeat: {count_of: n, history: true, time: {field: at}, channel: "door#"}
        fields:
          - {name: at, type: u32}
          - {name: open}
signals: {door.open: open}
`)
	d, err := decode(t, p, 1, "02 00000001 01 00000002 00")
	if err != nil || len(d.Readings) != 2 {
		t.Fatalf("got %+v, %v", d.Readings, err)
	}
	first, second := d.Readings[0], d.Readings[1]
	if first.Channel != "door1" || !first.History || !first.Bool() || !first.At.Equal(time.Unix(1, 0)) {
		t.Errorf("got %+v", first)
	}
	if second.Channel != "door2" || second.Bool() || !second.At.Equal(time.Unix(2, 0)) {
		t.Errorf("got %+v", second)
	}
	if _, err := decode(t, p, 1, "02 00000001 01"); err == nil || !strings.Contains(err.Error(), "record 2") {
		t.Errorf("got %v: want an error on record 2", err)
	}
}

func TestSizedRecordsMayHoldMoreThanWeRead(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - name: samples
    fields:
      - repeat: {size: 3, channel: "#"}
        fields: [{name: open, at: 1}]
signals: {door.open: open}
`)
	d, err := decode(t, p, 1, "00 01 99 00 00 99")
	if err != nil || len(d.Readings) != 2 || !d.Readings[0].Bool() || d.Readings[1].Bool() {
		t.Errorf("got %+v, %v", d.Readings, err)
	}
	if _, err := decode(t, p, 1, "00 01 99 00"); err == nil {
		t.Error("half a record: want an error")
	}
}

func TestLayoutIsChosenByPortLengthAndByte(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - {name: a, when: {port: 1, length: 1}, fields: [{name: a}]}
  - {name: b, when: {port: 1, byte: {0: [7, 8], -1: 0}}, fields: [{name: b, at: 1}, {skip: 1}]}
  - {name: c, when: {port: [2, 3]}, fields: [{name: c}]}
  - {name: ack, when: {port: 4}, answer: true}
  - {name: boot, when: {port: 5}, restart: true, fields: [{name: a}]}
signals:
  door.open: {field: a}
  tamper: {field: b}
  fault: {field: c}
`)
	for _, c := range []struct {
		port   int
		hex    string
		signal grid.Signal
		err    string
	}{
		{1, "01", grid.DoorOpen, ""},
		{1, "070100", grid.Tamper, ""},
		{1, "080100", grid.Tamper, ""},
		{3, "01", grid.Fault, ""},
		{5, "01", grid.DoorOpen, ""},
		{1, "090100", 0, "no layout is for port 1 with 3 bytes beginning 090100"},
		{9, "01", 0, "port 9 is unknown: want 1, 2, 3, 4, 5"},
		{-1, "01", 0, "port (not said) is unknown"},
	} {
		d, err := decode(t, p, c.port, c.hex)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("port %d %s: got %v: want %s", c.port, c.hex, err, c.err)
			}
			continue
		}
		if err != nil || value(t, d, c.signal) != 1 || d.Restart != (c.port == 5) {
			t.Errorf("port %d %s: got %+v, %v", c.port, c.hex, d, err)
		}
	}
	if d, err := decode(t, p, 4, "99"); err != nil || !d.Answer || len(d.Readings) != 0 {
		t.Errorf("got %+v, %v: want an answer without readings", d, err)
	}
}

func TestUnknownPortMayBeIgnoredWhereTheProfileSaysSo(t *testing.T) {
	p := parse(t, "codec: binary\nunknown_port: ignore\nlayouts:\n  - {name: a, when: {port: 1}, fields: [{name: a}]}\nsignals: {door.open: a}\n")
	if d, err := decode(t, p, 9, "01"); err != nil || len(d.Readings) != 0 {
		t.Errorf("got %+v, %v", d, err)
	}
}

const smokeTLV = `
codec: tlv
key: {size: 1}
records:
  - {name: state, keys: ["01"], fields: [{name: fire, bits: "0"}, {name: test, at: 0, bits: "1"}]}
  - {name: battery, keys: ["02"], fields: [{name: battery}]}
  - {name: noise, keys: ["03"], skip: 2}
signals:
  smoke.alarm: fire
  test: test
  battery.level: battery
`

func TestFireBitWinsOverTestBitAndBothAreGiven(t *testing.T) {
	d, err := decode(t, parse(t, smokeTLV), 1, "01 03")
	if err != nil || value(t, d, grid.SmokeAlarm) != 1 || value(t, d, grid.TestPress) != 1 {
		t.Errorf("got %+v, %v", d.Readings, err)
	}
}

func TestUnknownTLVChannelKeepsWhatCameBeforeAndWarns(t *testing.T) {
	d, err := decode(t, parse(t, smokeTLV), 1, "02 50 09 01 01")
	if err != nil || value(t, d, grid.BatteryLevel) != 80 || len(d.Readings) != 1 {
		t.Fatalf("got %+v, %v", d.Readings, err)
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "key 09 at byte 2 is unknown: bytes 2 to 4 are not read") {
		t.Errorf("got %q", d.Warnings)
	}
	if d, err := decode(t, parse(t, smokeTLV), 1, "03 ff ff 01 01"); err != nil || value(t, d, grid.SmokeAlarm) != 1 || d.Warnings != nil {
		t.Errorf("declared to be skipped: got %+v, %v", d, err)
	}
}

func TestTLVWithLengthsSkipsWhatItDoesNotKnow(t *testing.T) {
	p := parse(t, `
codec: tlv
key: {size: 1, length: u8}
records:
  - {name: open, keys: ["01"], fields: [{name: open}]}
signals: {door.open: open}
`)
	d, err := decode(t, p, 1, "09 02 ff ff 01 01 01")
	if err != nil || value(t, d, grid.DoorOpen) != 1 || len(d.Warnings) != 1 {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := decode(t, p, 1, "01 05 01"); err == nil || !strings.Contains(err.Error(), "bytes 2 to 6 are outside a payload of 3") {
		t.Errorf("got %v", err)
	}
	if _, err := decode(t, p, 1, "01 00"); err == nil || !strings.Contains(err.Error(), `field "open"`) {
		t.Errorf("got %v: want a field outside its record to be an error", err)
	}
}

func TestUnreadableFireFieldIsAnErrorNotAWarning(t *testing.T) {
	body := "codec: binary\nlayouts:\n  - {name: a, fields: [{name: battery}, {name: event, enum: {0: normal, 1: fire}}]}\nsignals:\n  battery.level: battery\n"
	p := parse(t, body+"  smoke.alarm: {field: event, is: fire}\n")
	if _, err := decode(t, p, 1, "50 07"); err == nil || !strings.Contains(err.Error(), `field "event": 7 is none of fire, normal`) {
		t.Errorf("got %v", err)
	}
	p = parse(t, body+"  door.open: {field: event, is: fire}\n")
	if d, err := decode(t, p, 1, "50 07"); err != nil || len(d.Warnings) != 1 || len(d.Readings) != 1 {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestSignalRules(t *testing.T) {
	rule := func(signal, rule string) string {
		return "codec: binary\nlayouts:\n  - {name: a, rest: ignore, fields: [{name: x, type: i8, enum: {0: shut, 1: open, 2: ajar, -1: lost, 50: much}}, {name: y}]}\nsignals:\n  " + signal + ": " + rule + "\n"
	}
	yes, no := 1.0, 0.0
	for _, c := range []struct {
		signal, rule, hex string
		want              *float64
	}{
		{"door.open", "x", "0100", &yes},
		{"door.open", "x", "0000", &no},
		{"door.open", "{field: x, is: [open, ajar]}", "0200", &yes},
		{"door.open", "{field: x, is: open}", "0200", &no},
		{"door.open", "{field: x, is: open, clear: shut}", "0200", nil},
		{"door.open", "{field: x, is: open, clear: shut}", "0000", &no},
		{"door.open", "{field: x, not: shut}", "0200", &yes},
		{"door.open", "{field: x, not: shut}", "0000", &no},
		{"door.open", "{field: y, above: 3}", "0004", &yes},
		{"door.open", "{field: y, below: 3}", "0004", &no},
		{"door.open", "{field: y, clear: 0}", "0000", &no},
		{"door.open", "{field: y, clear: 0}", "0001", &yes},
		{"door.open", "[{field: x, is: open}, {field: y, is: 9}]", "0009", &yes},
		{"door.open", "[{field: x, is: open}, {field: y, is: 9}]", "0100", &yes},
		{"door.open", "[{field: x, is: open}, {field: y, is: 9}]", "0000", &no},
		{"door.open", `{expr: "x > 0 && y > 3"}`, "0104", &yes},
		{"temperature", "{field: y, scale: 0.1, offset: -1}", "0021", ptr(2.3)},
		{"temperature", `{expr: "max(abs(x), y)"}`, "ff00", &yes},
		{"temperature", `{expr: "x / y"}`, "0100", nil}, // infinite: no reading
		{"temperature", `{expr: "y > 10 ? y : -y"}`, "0005", ptr(-5.0)},
	} {
		d, err := decode(t, parse(t, rule(c.signal, c.rule)), 1, c.hex)
		if err != nil {
			t.Errorf("%s: %s of %s: %v", c.signal, c.rule, c.hex, err)
			continue
		}
		if c.want == nil {
			if len(d.Readings) != 0 {
				t.Errorf("%s: %s of %s: got %+v: want no reading", c.signal, c.rule, c.hex, d.Readings)
			}
			continue
		}
		signal, _ := grid.ParseSignal(c.signal)
		if got := value(t, d, signal); got != *c.want {
			t.Errorf("%s: %s of %s: got %v: want %v", c.signal, c.rule, c.hex, got, *c.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestCounterTimeRestartAndHistoryComeFromFields(t *testing.T) {
	p := parse(t, `
codec: binary
counter: {source: payload, field: n, bits: 16}
time: {field: ms, unit: ms}
restart: {field: flags, is: 1}
history: {field: flags, is: 2}
layouts:
  - {name: a, fields: [{name: flags}, {name: n, type: u16}, {name: ms, type: u48, absent: 0}, {name: open}]}
signals: {door.open: open}
`)
	d, err := decode(t, p, 1, "01 ffff 00000000ea60 01")
	if err != nil || !d.HasSequence || d.Sequence != 65535 || !d.DeviceTime.Equal(time.Unix(60, 0)) || !d.Restart || d.Readings[0].History {
		t.Errorf("got %+v, %v", d, err)
	}
	d, err = decode(t, p, 1, "02 0001 000000000000 01")
	if err != nil || !d.DeviceTime.IsZero() || d.Restart || !d.Readings[0].History {
		t.Errorf("got %+v, %v", d, err)
	}
	if d, err = decode(t, p, 1, "00 0001 ffffffffffff 01"); err != nil || d.DeviceTime.Year() < 9999 && !d.DeviceTime.IsZero() {
		t.Errorf("got %+v, %v", d, err)
	}
	if d.Profile != "acme/one@3" {
		t.Errorf("got profile %q", d.Profile)
	}
}

func TestNetworkCounterIsTheSequence(t *testing.T) {
	p := parse(t, "counter: {source: network}\n"+oneField("{name: x}"))
	d, err := p.Decode(grid.Frame{Uplink: grid.Uplink{Counter: 9, HasCounter: true, Payload: []byte{1}}})
	if err != nil || !d.HasSequence || d.Sequence != 9 || p.Counter.Bits != 32 {
		t.Errorf("got %+v, %v", d, err)
	}
	if d, _ := p.Decode(grid.Frame{Uplink: grid.Uplink{Payload: []byte{1}}}); d.HasSequence {
		t.Errorf("got %+v", d)
	}
}

func TestJSONPathsArraysAndTimes(t *testing.T) {
	p := parse(t, `
codec: json
time: {field: at}
fields:
  - {name: at, path: meta.at, type: time}
  - {name: open, path: ["door.state"], enum: {OPEN: open, SHUT: shut}}
  - {name: second, path: list.1.v}
records:
  - each: samples
    history: true
    time: {field: at}
    fields:
      - {name: at, type: time}
      - {name: second, path: v}
signals:
  door.open: {field: open, is: open}
  temperature: second
`)
	d, err := p.DecodePayload(-1, []byte(`{"meta":{"at":"2026-01-01T00:00:00Z"},"door.state":"OPEN","list":[{"v":1},{"v":"2.5"}],"samples":[{"at":60,"v":7}]}`))
	if err != nil || !d.DeviceTime.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) || len(d.Readings) != 3 {
		t.Fatalf("got %+v, %v", d, err)
	}
	past := d.Readings[0]
	if past.Value != 7 || !past.History || !past.At.Equal(time.Unix(60, 0)) {
		t.Errorf("got %+v", past)
	}
	if value(t, d, grid.DoorOpen) != 1 || d.Readings[2].Value != 2.5 {
		t.Errorf("got %+v", d.Readings)
	}
}

func TestHostileJSONIsAPermanentErrorOrFinite(t *testing.T) {
	p := parse(t, "codec: json\nfields: [{name: x}]\nsignals: {temperature: x}\n")
	for _, payload := range []string{
		"", "{", "nul", "{\"x\":1}}", "{\"x\":\"\xff\"}", strings.Repeat("[", 60_000), strings.Repeat(`{"x":`, 9_000), strings.Repeat(" ", 70_000), `{"x":1e999}`, `{"x":NaN}`, `{"x":inf}`, `{"x":-}`,
	} {
		if d, err := p.DecodePayload(-1, []byte(payload)); err == nil || len(err.Error()) > 300 {
			t.Errorf("%.30q: got %+v, %v", payload, d, err)
		}
	}
}

func TestProfileErrorsNameTheKeyAndTheWish(t *testing.T) {
	good := oneField("{name: x}")
	versionRE := regexp.MustCompile(`version: .*`)
	for _, c := range []struct{ yaml, want string }{
		{strings.Replace(head+good, "version", "verson", 1), `line 3: unknown key "verson": want version?`},
		{head + oneField("{name: x, scal: 2}"), `unknown key "scal": want scale?`},
		{head + strings.Replace(good, "temperature: x", "temperature: {feld: x}", 1), `unknown key "feld": want field?`},
		{head + strings.Replace(good, "temperature: x", "temprature: x", 1), `signals: signal is "temprature"`},
		{head + strings.Replace(good, "temperature: x", "temperature: y", 1), `signals: temperature: no field is called "y"`},
		{head + strings.Replace(good, "temperature: x", "door.open: {field: x, is: open}", 1), `"open" is a word, and field "x" has no enum`},
		{head + strings.Replace(good, "temperature: x", "temperature: {field: x, is: 1}", 1), "is a value, not a condition"},
		{head + strings.Replace(good, "temperature: x", "temperature: {expr: \"1..9\"}", 1), "expr"},
		{head + strings.Replace(good, "temperature: x", "temperature: {expr: \"now()\"}", 1), "expr"},
		{head + strings.Replace(good, "temperature: x", "temperature: {expr: \"y + 1\"}", 1), "unknown name y"},
		{head + strings.Replace(good, "codec: binary", "codec: base64", 1), `codec is "base64": want one of binary, tlv, json`},
		{head + oneField("{name: x, type: u7}"), `type is "u7": want`},
		{head + oneField("{name: x, order: bgi}"), `order is "bgi": want big or little`},
		{head + oneField("{name: x, bits: 0-8}"), "bits is \"0-8\": want one bit or lowest-highest within 0-7"},
		{head + oneField("{name: x, range: [5, 1]}"), "range is [5 1]: want [lowest, highest]"},
		{head + oneField("{name: X}"), `field "X": want a name of a-z`},
		{head + oneField("{name: x, skip: 1}"), "exactly one of name, flags, skip, if, repeat"},
		{head + oneField("{if: {field: y}, fields: [{name: x}]}"), `no field is called "y"`},
		{head + good + "ports: [1]\n", "ports has no place in a binary profile"},
		{head + "codec: tlv\nrecords: [{keys: [\"01\"], skip: 1}]\nsignals: {}\n", `key "01": want 2 bytes in hex`},
		{head + "codec: tlv\nrecords: [{keys: [\"0101\", \"0101\"], skip: 1}]\nsignals: {}\n", "is given twice"},
		{head + "codec: tlv\nrecords: [{keys: [\"0101\"]}]\nsignals: {}\n", "want fields, or skip"},
		{strings.Replace(head, "1h", "often", 1) + good, `interval is "often": want how often`},
		{strings.Replace(head, "[door]", "[window]", 1) + good, `kind is "window": want door`},
		{strings.Replace(head, "[door]", "[]", 1) + good, "kinds: want at least one"},
		{strings.Replace(head, "source: invented for a test", "", 1) + good, "source is missing"},
		{versionRE.ReplaceAllString(head, "version: \"1 2\"") + good, `version is "1 2": want letters`},
		{versionRE.ReplaceAllString(head, "version: 1@2") + good, `version is "1@2": want letters`},
		{versionRE.ReplaceAllString(head, "version: "+strings.Repeat("1", 129)) + good, "want letters, digits and . _ + -, at most 128"},
		{strings.Replace(head, "profile: ", "profile: a"+strings.Repeat("b", 128), 1) + good, "want at most 128"},
		{head + good + "counter: {source: payload, field: x}\n", "counter: bits is missing"},
		{head + good + "counter: {source: radio}\n", `counter: source is "radio": want network, payload or none`},
		{head + good + "identify: {eui: [zz]}\n", "identify: eui"},
		{"profile: [", "line 1"},
		{"", "profile is \"\""},
	} {
		_, err := profile.Parse([]byte(c.yaml))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v: want %s\n%s", err, c.want, c.yaml)
		}
	}
}

func TestLoadNamesTheFileOfEveryMistake(t *testing.T) {
	_, err := profile.Load(fstest.MapFS{
		"a/b/profile.yaml": {Data: []byte("nonsense: 1")},
		"a/c/profile.yaml": {Data: []byte(head + oneField("{name: x}"))},
	})
	if err == nil || !strings.Contains(err.Error(), `a/b/profile.yaml: line 1: unknown key "nonsense"`) ||
		!strings.Contains(err.Error(), `a/c/profile.yaml: profile is "acme/one": want "a/c", its folder`) {
		t.Errorf("got %v", err)
	}
}

func TestLaterFolderOverridesAProfile(t *testing.T) {
	file := func(version string) fstest.MapFS {
		return fstest.MapFS{"acme/one/profile.yaml": {Data: []byte(strings.Replace(head, `"3"`, version, 1) + oneField("{name: x}"))}}
	}
	set, err := profile.Load(file(`"3"`), file(`"4"`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("ACME/One@3")
	if err != nil || p.Version != "4" || len(set.List()) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := set.Get("acme/ona"); grid.CodeOf(err) != grid.NotFound || !strings.Contains(err.Error(), "want acme/one?") {
		t.Errorf("got %v", err)
	}
}

func TestProfileWithoutCasesFails(t *testing.T) {
	fsys := fstest.MapFS{"acme/one/profile.yaml": {Data: []byte(head + oneField("{name: x}"))}}
	errs := profile.Lint(fsys, "acme/one")
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "no cases") {
		t.Errorf("got %v", errs)
	}
	fsys["acme/one/cases.yaml"] = &fstest.MapFile{Data: []byte("cases: [{name: a, hex: \"05\", want: {readings: {temperature: 5}}}]")}
	if errs := profile.Lint(fsys, "acme/one"); len(errs) != 0 {
		t.Errorf("got %v", errs)
	}
	fsys["acme/one/cases.yaml"] = &fstest.MapFile{Data: []byte("cases: [{name: a, hex: \"05\", want: {}}]")}
	if errs := profile.Lint(fsys, "acme/one"); len(errs) != 1 || !strings.Contains(errs[0].Error(), "got temperature=5: want no reading") {
		t.Errorf("got %v", errs)
	}
	fsys["acme/one/profile.yaml"] = &fstest.MapFile{Data: []byte(head + strings.Replace(oneField("{name: x}"), "temperature: x", "door.open: x", 1))}
	fsys["acme/one/cases.yaml"] = &fstest.MapFile{Data: []byte("cases: [{name: a, hex: \"05\", want: {readings: {door.open: true}}}]")}
	if errs := profile.Lint(fsys, "acme/one"); len(errs) != 1 || !strings.Contains(errs[0].Error(), "no case shows door.open false") {
		t.Errorf("a condition that no case shows on both sides: got %v", errs)
	}
}

func TestDecodeDoesNotShareMemoryBetweenFrames(t *testing.T) {
	p := parse(t, oneField("{name: x}"))
	first, _ := decode(t, p, 1, "05")
	second, _ := decode(t, p, 1, "06")
	if value(t, first, grid.Temperature) != 5 || value(t, second, grid.Temperature) != 6 {
		t.Errorf("got %+v and %+v", first, second)
	}
}

func finite(d grid.Decoded) error {
	for _, r := range d.Readings {
		if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
			return fmt.Errorf("reading %+v is not finite", r)
		}
		if grid.Signals[r.Signal].Bool && r.Value != 0 && r.Value != 1 {
			return fmt.Errorf("condition %+v is neither 0 nor 1", r)
		}
		if _, err := r.MarshalJSON(); err != nil {
			return err
		}
	}
	return nil
}
