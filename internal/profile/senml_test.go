package profile_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const (
	senmlJSON = 110
	senmlCBOR = 112
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// formatted is a frame with a content format, received at noon.
func formatted(format uint16, path, payload string) grid.Frame {
	return grid.Frame{Received: noon, Uplink: grid.Uplink{Port: -1, Format: format, HasFormat: true, Path: path, Payload: []byte(payload)}}
}

// told writes the readings of a frame, one a line, in their order.
func told(d grid.Decoded) string {
	var out strings.Builder
	for _, r := range d.Readings {
		fmt.Fprintf(&out, "%s", r.Signal)
		if r.Channel != "" {
			fmt.Fprintf(&out, "@%s", r.Channel)
		}
		fmt.Fprintf(&out, "=%v", r.Value)
		if !r.At.IsZero() {
			fmt.Fprintf(&out, " at %s", r.At.Format(time.RFC3339Nano))
		}
		if r.History {
			out.WriteString(" history")
		}
		out.WriteString("\n")
	}
	return strings.TrimSpace(out.String())
}

func wantTold(t *testing.T, p *profile.Profile, f grid.Frame, want ...string) {
	t.Helper()
	d, err := p.Decode(f)
	if err != nil {
		t.Errorf("%s: %v", f.Payload, err)
		return
	}
	if len(d.Warnings) > 0 {
		t.Errorf("%s: got warnings %q", f.Payload, d.Warnings)
	}
	if got, want := told(d), strings.Join(want, "\n"); got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", f.Payload, got, want)
	}
}

func wantError(t *testing.T, p *profile.Profile, f grid.Frame, want string) {
	t.Helper()
	if d, err := p.Decode(f); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%x: got %v, %+v: want an error with %q", f.Payload, err, d.Readings, want)
	}
}

const senmlDoor = `
codec: senml
fields:
  - {name: open, path: "urn:dev:ow:10e2073a01080063:open"}
  - {name: volt, path: "*:voltage", uom: V}
  - {name: warmth, path: "*temp", uom: Cel}
  - {name: state, path: "door/*/state", enum: {shut: shut, ajar: ajar}}
ignore: ["*:uptime"]
signals:
  door.open: [{field: open}, {field: state, is: ajar}]
  battery.voltage: volt
  temperature: warmth
`

func TestSenMLBaseFieldsCarryOnUntilTheyAreReplaced(t *testing.T) {
	p := parse(t, senmlDoor)
	for _, c := range []struct{ payload, want string }{
		{`[{"bn":"urn:dev:ow:10e2073a01080063:","n":"open","vb":true},{"n":"voltage","u":"V","v":3.1}]`, "door.open=1\nbattery.voltage=3.1"},
		{`[{"bn":"urn:dev:ow:10e2073a01080063:","bu":"V","bv":3,"n":"voltage","v":0.5},{"n":"open","vb":false}]`, "door.open=0\nbattery.voltage=3.5"},
		{`[{"bn":"a:","bu":"Cel","bv":20},{"n":"temp","v":1.5},{"bn":"b:","bu":"V","bv":1,"n":"voltage","v":2}]`, "temperature=21.5\nbattery.voltage=3"},
		{`[{"n":"urn:dev:ow:10e2073a01080063:open","vb":true}]`, "door.open=1"},
		{`[{"bn":"urn:dev:ow:10e2073a01080063:open","vb":true}]`, "door.open=1"},
		{`[{"bn":"door/7/","n":"state","vs":"ajar"}]`, "door.open=1"},
		{`[{"bn":"door/7/","n":"state","vs":"shut"}]`, "door.open=0"},
		{`[{"bn":"x:","bu":"mV","n":"voltage","v":3100}]`, "battery.voltage=3.1"},
		{`[{"bn":"x:","bver":26,"n":"temp","u":"K","v":293.15}]`, "temperature=20"},
		{`[{"bn":"x:","n":"uptime","u":"s","v":12},{"n":"temp","v":4}]`, "temperature=4"},
		{`[{"bn":"x:","n":"temp","u":"Cel","s":120.5}]`, ""}, // a sum is no value
		{`[{"bn":"x:","bs":4,"n":"temp","v":-3,"s":120.5,"ut":60,"x-maker":1}]`, "temperature=-3"},
	} {
		wantTold(t, p, formatted(senmlJSON, "", c.payload), strings.Split(c.want, "\n")...)
	}
}

func TestSenMLNamesAreMatchedWhole(t *testing.T) {
	for _, c := range []struct {
		path, name string
		fits       bool
	}{
		{"level", "level", true},
		{"level", "a:level", false},
		{"*level", "level", true},
		{"*level", "urn:dev:mac:1:level", true},
		{"*level", "pit/7/level", true},
		{"*level", "battery_level", false},
		{"*level", "battery.level", false},
		{"*level", "waterlevel", false},
		{"*:level", "urn:dev:mac:1:level", true},
		{"*:level", ":level", true},
		{"*:level", "level", false},
		{"pit/*", "pit/7/level", true},
		{"pit/*/level", "pit/7/level", true},
		{"pit/*/level", "pit/level", false},
		{"*", "anything", true},
	} {
		p := parse(t, "codec: senml\nformat: json\nfields: [{name: x, path: \""+c.path+"\"}]\nsignals: {temperature: x}\n")
		_, err := p.DecodePayload(-1, []byte(`[{"n":"`+c.name+`","v":1}]`))
		if (err == nil) != c.fits {
			t.Errorf("%s and %s: got %v: want fits %t", c.path, c.name, err, c.fits)
		}
	}
}

func TestSenMLTimesBelow2To28AreRelativeToReceipt(t *testing.T) {
	p := parse(t, senmlDoor)
	for _, c := range []struct{ payload, want string }{
		{`[{"n":"a:temp","v":1}]`, "temperature=1"},
		{`[{"n":"a:temp","v":1,"t":0}]`, "temperature=1"},
		{`[{"n":"a:temp","v":1,"t":-60}]`, "temperature=1 at 2026-03-01T11:59:00Z"},
		{`[{"n":"a:temp","v":1,"bt":-60,"t":30.5}]`, "temperature=1 at 2026-03-01T11:59:30.5Z"},
		{`[{"n":"a:temp","v":1,"bt":268435455}]`, "temperature=1 at 2034-09-02T09:24:15Z"},
		{`[{"n":"a:temp","v":1,"bt":268435456}]`, "temperature=1 at 1978-07-04T21:24:16Z"},
		{`[{"n":"a:temp","v":1,"bt":1772366400.25}]`, "temperature=1 at 2026-03-01T12:00:00.25Z"},
		{`[{"n":"a:temp","v":1,"bt":1772366400,"t":-5}]`, "temperature=1 at 2026-03-01T11:59:55Z"},
	} {
		wantTold(t, p, formatted(senmlJSON, "", c.payload), c.want)
	}
	f := formatted(senmlJSON, "", `[{"n":"a:temp","v":1,"t":-60}]`)
	f.Received, f.At = time.Time{}, noon
	wantTold(t, p, f, "temperature=1 at 2026-03-01T11:59:00Z")
	f.At = time.Time{}
	wantError(t, p, f, "time -60 is relative to receipt")
}

func TestSenMLRecordsOfOneTimeMakeOneRecordAndOlderOnesAreHistory(t *testing.T) {
	p := parse(t, `
codec: senml
fields: [{name: x, path: "*x"}, {name: y, path: "*y"}, {name: n, path: "*n"}]
counter: {source: payload, field: n, bits: 16}
signals:
  manhole.tilt: {expr: "max(x, y)"}
  battery.level: n
`)
	wantTold(t, p, formatted(senmlJSON, "", `[{"bt":-20,"n":"x","v":1},{"n":"y","v":2},{"t":10,"n":"x","v":30},{"t":10,"n":"y","v":4}]`),
		"manhole.tilt=2 at 2026-03-01T11:59:40Z history", "manhole.tilt=30 at 2026-03-01T11:59:50Z")
	// In whatever order they come, and what is now is newer than all.
	wantTold(t, p, formatted(senmlJSON, "", `[{"n":"y","v":9},{"n":"x","v":8},{"t":-1,"n":"x","v":3},{"n":"y","t":-5,"v":7},{"n":"x","t":-5,"v":6},{"n":"y","t":-1,"v":4}]`),
		"manhole.tilt=7 at 2026-03-01T11:59:55Z history", "manhole.tilt=4 at 2026-03-01T11:59:59Z history", "manhole.tilt=9")
	// What nothing later says again is no history: it is the newest word.
	wantTold(t, p, formatted(senmlJSON, "", `[{"n":"x","t":-9,"v":3},{"n":"y","t":-9,"v":7},{"n":"n","t":-2,"v":6}]`),
		"manhole.tilt=7 at 2026-03-01T11:59:51Z", "battery.level=6 at 2026-03-01T11:59:58Z")
	d, err := p.Decode(formatted(senmlJSON, "", `[{"n":"n","t":-9,"v":3},{"n":"n","t":-2,"v":6}]`))
	if err != nil || !d.HasSequence || d.Sequence != 6 {
		t.Errorf("got sequence %d (%t), %v: want that of the newest record, 6", d.Sequence, d.HasSequence, err)
	}
}

func TestSenMLWhatItCannotBeIsAnErrorOrAWarning(t *testing.T) {
	p := parse(t, senmlDoor)
	for payload, want := range map[string]string{
		`{"n":"a:temp","v":1}`:             "JSON object: want an array",
		`[1]`:                              "record 1 is a JSON number",
		`[]`:                               "no values",
		`[{"bn":"a:"}]`:                    "no values",
		`[{"bver":11,"n":"a:temp","v":1}]`: "version (bver) is 11: want 10 or 26",
		`[{"bver":5,"n":"a:temp","v":1}]`:  "version (bver) is 5",
		`[{"n":"a:temp","v":1},{"n":"b:temp","calib_":2,"v":1}]`:                      `record 2: "calib_" must be understood`,
		`[{"bn":3,"n":"a:temp","v":1}]`:                                               "bn is no text",
		`[{"n":"a:temp","t":"now","v":1}]`:                                            "t is no number",
		`[{"n":"a:temp","v":1e999}]`:                                                  "is no number",
		`[{"n":"a:temp"}]`:                                                            "has no value",
		`[{"n":"a:temp","v":null}]`:                                                   "has no value",
		`[{"n":"a:temp","v":"12"}]`:                                                   "has no value",
		`[{"n":"a:temp","u":"%RH","v":40}]`:                                           `is in "%RH": want Cel`,
		`[{"n":"door/1/state","vs":"open"}]`:                                          `"open" is none of ajar, shut`,
		`[{"n":"door/1/state","vb":true}]`:                                            "want a text",
		`[{"n":"other","v":1},{"n":"more","v":1}]`:                                    `none of its 2 values is known: the first is "other"`,
		"[{\"n\":\"\xff\",\"v\":1}]":                                                  "not UTF-8",
		`[{"n":"a:temp","v":1}`:                                                       "no JSON",
		`[` + strings.Repeat(`{"n":"a:temp","v":1},`, 1024) + `{"n":"a:temp","v":1}]`: "more than 1024 values",
	} {
		wantError(t, p, formatted(senmlJSON, "", payload), want)
	}
	d, err := p.Decode(formatted(senmlJSON, "", `[{"n":"a:temp","u":"%RH","v":40},{"n":"a:voltage","v":3}]`))
	if err != nil || told(d) != "battery.voltage=3" || len(d.Warnings) != 1 {
		t.Errorf("got %s, %q, %v: want the voltage and a warning", told(d), d.Warnings, err)
	}
	d, err = p.Decode(formatted(senmlJSON, "", `[{"n":"a:temp","v":4},{"n":"b:temp","v":5}]`))
	if err != nil || told(d) != "temperature=4" || len(d.Warnings) != 1 {
		t.Errorf("got %s, %q, %v: want the first temperature and a warning", told(d), d.Warnings, err)
	}
}

func TestSenMLSmokeThatCannotBeReadIsAnError(t *testing.T) {
	p := parse(t, "codec: senml\nformat: json\nfields: [{name: smoke, path: \"*smoke\"}, {name: t, path: \"*t\"}]\nsignals: {smoke.alarm: smoke, temperature: t}\n")
	for payload, want := range map[string]string{
		`[{"n":"smoke","vs":"on fire"},{"n":"t","v":20}]`:        `field "smoke"`,
		`[{"n":"smoke"},{"n":"t","v":20}]`:                       `field "smoke"`,
		`[{"n":"1/smoke","vb":false},{"n":"2/smoke","vb":true}]`: "said twice",
	} {
		wantError(t, p, formatted(senmlJSON, "", payload), want)
	}
	wantTold(t, p, formatted(senmlJSON, "", `[{"n":"smoke","t":-5,"vb":true},{"n":"smoke","vb":false}]`),
		"smoke.alarm=1 at 2026-03-01T11:59:55Z history", "smoke.alarm=0")
}

func TestSenMLFormatComesFromTheFrameOrTheProfileAndIsNotGuessed(t *testing.T) {
	pack := `[{"n":"a:temp","v":1}]`
	none, json := parse(t, senmlDoor), parse(t, "format: json"+senmlDoor)
	f := formatted(senmlJSON, "", pack)
	wantTold(t, none, f, "temperature=1")
	f.HasFormat = false
	wantError(t, none, f, "the content format is not said")
	wantTold(t, json, f, "temperature=1")
	wantError(t, json, formatted(senmlCBOR, "", pack), "no CBOR")
	wantError(t, json, formatted(50, "", pack), "content format 50 is no SenML")
	wantError(t, parse(t, "format: cbor"+senmlDoor), f, "no CBOR")
}

// pack encodes records in CBOR.
func pack(t testing.TB, records ...map[any]any) string {
	t.Helper()
	b, err := cbor.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSenMLInCBORSaysTheSameAsInJSON(t *testing.T) {
	p := parse(t, senmlDoor)
	for _, c := range []struct{ payload, want string }{
		{pack(t, map[any]any{-2: "a:", -3: -60, -4: "V", -5: 3, 0: "voltage", 2: 0.5}), "battery.voltage=3.5 at 2026-03-01T11:59:00Z"},
		{pack(t, map[any]any{-1: 10, -2: "a:"}, map[any]any{0: "temp", 1: "Cel", 2: int64(-7), 6: -1, 7: 60}), "temperature=-7 at 2026-03-01T11:59:59Z"},
		{pack(t, map[any]any{0: "urn:dev:ow:10e2073a01080063:open", 4: true}, map[any]any{0: "a:temp", 5: 12}), "door.open=1"},
		{pack(t, map[any]any{0: "door/2/state", 3: "ajar", "maker": 3, 99: 1, -99: 1}), "door.open=1"},
		{pack(t, map[any]any{0: "a:temp", 2: cbor.Tag{Number: 4, Content: []any{-2, 2731}}}), "temperature=27.31"},
		{pack(t, map[any]any{0: "a:temp", 2: 70000}), "temperature=70000"},
		{pack(t, map[any]any{0: "a:temp", 2: -70000}), "temperature=-70000"},
		{pack(t, map[any]any{0: "a:temp", 2: uint64(1) << 40}), "temperature=1.099511627776e+12"},
		{pack(t, map[any]any{0: "device-with-a-name-of-more-than-24-bytes:temp", 2: 24}), "temperature=24"},
		{pack(t, map[any]any{0: cbor.RawMessage("\x7f\x62a:\x64temp\xff"), 2: 23}), "temperature=23"}, // a name in parts
		{"\x81\xa2\x00\x66a:temp\x02\xf9\x4d\x00", "temperature=20"},                                  // half
		{"\x81\xa2\x00\x66a:temp\x02\xfa\x41\xa4\x00\x00", "temperature=20.5"},                        // single
		{"\x81\xa2\x00\x66a:temp\x02\xfb\x40\x34\x80\x00\x00\x00\x00\x00", "temperature=20.5"},        // double
		{"\x9f\xbf\x00\x66a:temp\x02\x14\xff\xff", "temperature=20"},                                  // of no length
	} {
		wantTold(t, p, formatted(senmlCBOR, "", c.payload), c.want)
	}
	for payload, want := range map[string]string{
		pack(t, map[any]any{-1: 12, 0: "a:temp", 2: 1}):                                                        "version (bver) is 12",
		pack(t, map[any]any{0: "a:temp", 2: 1, "must_": 1}):                                                    `"must_" must be understood`,
		pack(t, map[any]any{0: "a:temp", 2: "1"}):                                                              "has no value",
		pack(t, map[any]any{0: "a:temp", 2: cbor.Tag{Number: 4, Content: []any{9000, 1}}}):                     "has no value",
		"\x81\xa2\x00\x66a:temp\x02\xf9\x7e\x00":                                                               "is no number",   // NaN
		"\x81\xa2\x00\x66a:temp\x06\xf9\x7c\x00":                                                               "t is no number", // infinite
		"\x81\xa2\x00\x62a\xff\x02\x01":                                                                        "n is no text",
		pack(t, map[any]any{0: "a:temp", 2: []int{1}}):                                                         "has no value",
		pack(t, map[any]any{0: "a:temp", 2: cbor.Tag{Number: 4, Content: []any{-2, strings.Repeat("1", 40)}}}): "has no value",
		"\x81\xa2\x00\x66a:temp":                                                                               "no CBOR",
		"\x81\xa3\x00\x66a:temp\x02\x01\x02\x02":                                                               "no CBOR", // a key twice
		"\xa1\x00\x01":                                                                                         "no CBOR array",
		"\x9b\x00\x00\x00\x7f\xff\xff\xff\xff":                                                                 "no CBOR",
		"\x81" + strings.Repeat("\x81", 60) + "\x00":                                                           "no CBOR",
	} {
		wantError(t, p, formatted(senmlCBOR, "", payload), want)
	}
}

func TestSenMLDataIsBase64URLWithoutPadding(t *testing.T) {
	p := parse(t, `
codec: senml
fields: [{name: code, path: code, enum: {fbff: open, "00": shut}}]
signals: {door.open: {field: code, is: open}}
`)
	wantTold(t, p, formatted(senmlJSON, "", `[{"n":"code","vd":"-_8"}]`), "door.open=1")
	wantTold(t, p, formatted(senmlCBOR, "", pack(t, map[any]any{0: "code", 8: []byte{0}})), "door.open=0")
	wantError(t, p, formatted(senmlJSON, "", `[{"n":"code","vd":"-_8="}]`), "has no value")
	wantError(t, p, formatted(senmlJSON, "", `[{"n":"code","vd":"+/8"}]`), "has no value")
	wantError(t, p, formatted(senmlJSON, "", `[{"n":"code","v":1}]`), "1 is none of open, shut")
}

func TestSenMLProfileRefusesWhatItCannotMean(t *testing.T) {
	for body, want := range map[string]string{
		"codec: senml\nformat: xml\nfields: [{name: x}]\nsignals: {temperature: x}\n":       `format is "xml": want json or cbor`,
		"codec: senml\nsignals: {temperature: x}\n":                                         "wants at least one",
		"codec: senml\nfields: [{name: x, type: u8}]\nsignals: {temperature: x}\n":          `type is "u8": want none`,
		"codec: senml\nfields: [{name: x, at: 1}]\nsignals: {temperature: x}\n":             "want path",
		"codec: senml\nfields: [{name: x, path: \"*a*\"}]\nsignals: {temperature: x}\n":     "at most one *",
		"codec: senml\nfields: [{name: x, uom: V, invert: y}]\nsignals: {temperature: x}\n": "invert: no field is called",
		"codec: json\nfields: [{name: x, uom: V}]\nsignals: {temperature: x}\n":             "uom, any_of and invert are for senml",
		"codec: json\nformat: json\nfields: [{name: x}]\nsignals: {temperature: x}\n":       "format has no place in a json profile",
		"codec: senml\nports: [1]\nfields: [{name: x}]\nsignals: {temperature: x}\n":        "ports has no place in a senml profile",
	} {
		if _, err := profile.Parse([]byte(head + body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %q", body, err, want)
		}
	}
}

func TestSenMLUnitsOfOneKindAreConverted(t *testing.T) {
	for _, c := range []struct {
		unit, uom   string
		value, want float64
	}{
		{"mV", "V", 3300, 3.3}, {"V", "mV", 3.3, 3300}, {"V", "V", 3.3, 3.3},
		{"mm", "m", 33, 0.033}, {"cm", "m", 330, 3.3}, {"km", "m", 1.5, 1500}, {"m", "cm", 3.3, 330}, {"mm", "cm", 45, 4.5},
		{"ms", "s", 250, 0.25}, {"min", "s", 2, 120}, {"h", "min", 1.5, 90}, {"hPa", "Pa", 1013.25, 101325},
		{"K", "Cel", 293.15, 20}, {"Cel", "K", 20, 293.15},
		{"/", "%", 0.25, 25}, {"%EL", "%", 25, 25}, {"/100", "%EL", 25, 25}, {"%", "/", 25, 0.25},
		{"dBW", "dBm", -120, -90}, {"dBm", "dBW", -90, -120},
		{"rad", "deg", 1.5707963267948966, 90}, {"deg", "rad", 180, 3.141592653589793},
		{"lm", "lm", 7, 7}, // unknown, and the same
	} {
		p := parse(t, "codec: senml\nformat: json\nfields: [{name: x, uom: \""+c.uom+"\"}]\nsignals: {temperature: x}\n")
		d, err := p.DecodePayload(-1, fmt.Appendf(nil, `[{"n":"x","u":%q,"v":%v}]`, c.unit, c.value))
		if err != nil {
			t.Errorf("%v %s in %s: %v", c.value, c.unit, c.uom, err)
			continue
		}
		if got := value(t, d, grid.Temperature); math.Abs(got-c.want) > 1e-9*math.Abs(c.want) {
			t.Errorf("%v %s in %s: got %v: want %v", c.value, c.unit, c.uom, got, c.want)
		}
	}
	for _, c := range [][2]string{{"V", "A"}, {"%RH", "%"}, {"lm", "lx"}, {"m", "s"}, {"mA", "mV"}} {
		p := parse(t, "codec: senml\nformat: json\nfields: [{name: x, uom: \""+c[1]+"\"}]\nsignals: {temperature: x}\n")
		if d, err := p.DecodePayload(-1, fmt.Appendf(nil, `[{"n":"x","u":%q,"v":1}]`, c[0])); err == nil {
			t.Errorf("%s in %s: got %+v: want an error", c[0], c[1], d.Readings)
		}
	}
}

func TestSenMLTimeInNoCalendarIsNow(t *testing.T) {
	p := parse(t, "format: json"+senmlDoor)
	for _, at := range []string{"1e300", "-1e300", "1e12", "-1e10"} {
		d, err := p.Decode(formatted(senmlJSON, "", `[{"n":"a:temp","v":1,"t":`+at+`}]`))
		if err != nil || told(d) != "temperature=1" || len(d.Warnings) != 1 {
			t.Errorf("%s: got %s, %q, %v: want the value, as old as the frame, and a warning", at, told(d), d.Warnings, err)
		}
	}
	wantTold(t, p, formatted(senmlCBOR, "", pack(t, map[any]any{0: "a:temp", 2: cbor.Tag{Number: 4, Content: []any{2, 3}}})), "temperature=300")
}
