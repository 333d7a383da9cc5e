package profile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func TestLayoutIsChosenByAPartOfAByteAndByLengths(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - {name: kind 2, when: {byte: {0: {mask: 0x70, is: 2}}, shorter: 4}, fields: [{name: a, at: 1}]}
  - {name: not 3, when: {byte: {0: {mask: 0x70, not: [2, 3]}}, longer: 2}, rest: ignore, fields: [{name: b, at: 1}]}
  - {name: long, when: {longer: 4}, rest: ignore, fields: [{name: c, at: 1}]}
signals: {door.open: a, tamper: b, fault: c}
`)
	for payload, want := range map[string]grid.Signal{
		"af01":       grid.DoorOpen, // 0x20 of 0xaf: 2
		"2001":       grid.DoorOpen,
		"400100":     grid.Tamper,
		"3001000000": grid.Fault,
		"2001000000": grid.Fault, // too long for its kind
	} {
		if d, err := decode(t, p, 1, payload); err != nil || value(t, d, want) != 1 {
			t.Errorf("%s: got %+v, %v: want %s", payload, d.Readings, err, want)
		}
	}
	for _, payload := range []string{"3001", "4001"} {
		if d, err := decode(t, p, 1, payload); err == nil || !strings.Contains(err.Error(), "no layout is for") {
			t.Errorf("%s: got %+v, %v", payload, d, err)
		}
	}
}

func TestFlagsAreFieldsOfOneBitAtOnePlace(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - name: a
    fields:
      - {flags: {0: open, 9: tamper}, type: u16, order: little}
      - {name: level}
      - {flags: {7: fault}, at: 1}
signals: {door.open: open, tamper: tamper, fault: fault, battery.level: level}
`)
	d, err := decode(t, p, 1, "01 82 50")
	if err != nil || value(t, d, grid.DoorOpen) != 1 || value(t, d, grid.Tamper) != 1 || value(t, d, grid.Fault) != 1 || value(t, d, grid.BatteryLevel) != 80 || d.Warnings != nil {
		t.Errorf("got %+v, %v", d, err)
	}
	d, err = decode(t, p, 1, "02 01 50")
	if err != nil || value(t, d, grid.DoorOpen) != 0 || value(t, d, grid.Tamper) != 0 || value(t, d, grid.Fault) != 0 {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := decode(t, p, 1, "02"); err == nil || !strings.Contains(err.Error(), `field "open": bytes 0 to 1 are outside a payload of 1`) {
		t.Errorf("got %v", err)
	}
}

// blocks is how Decentlab writes: a mask says which blocks follow.
const blocks = `
codec: binary
layouts:
  - name: blocks
    fields:
      - {flags: {0: has_level, 1: has_battery, 15: has_open}, type: u16}
      - {if: {field: has_level}, fields: [{name: level, type: i16, scale: 0.01}]}
      - {if: {field: has_battery}, fields: [{name: volts, type: u16, scale: 0.001}]}
      - if: {field: has_open}
        fields:
          - {name: kind}
          - {if: {field: kind, is: 1}, fields: [{name: open}]}
signals: {manhole.level: level, battery.voltage: volts, manhole.open: open}
`

func TestMaskSaysWhichBlocksFollow(t *testing.T) {
	p := parse(t, blocks)
	for payload, want := range map[string]string{
		"0003 fff6 0bb8":          "manhole.level=-0.1 battery.voltage=3",
		"0002 0bb8":               "battery.voltage=3",
		"8001 0064 01 01":         "manhole.open=1 manhole.level=1",
		"8003 0064 0bb8 01 00":    "manhole.open=0 manhole.level=1 battery.voltage=3",
		"0001 0064":               "manhole.level=1",
		"8000 02":                 "",
		"8002 0bb8 02":            "battery.voltage=3",
		"0003 fff6":               `error: field "volts": bytes 4 to 5`,
		"8000 01":                 `error: field "open"`,
		"0001 0064 0bb8":          "manhole.level=1 warning: bytes 4 to 5 are not read",
		"0003 fff6 0bb8 ff ff f0": "manhole.level=-0.1 battery.voltage=3 warning: bytes 6 to 8 are not read",
	} {
		if got := brief(decode(t, p, 1, payload)); !same(got, want) {
			t.Errorf("%s: got %s: want %s", payload, got, want)
		}
	}
}

// brief says in a line what came out.
func brief(d grid.Decoded, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for _, r := range d.Readings {
		s := fmt.Sprintf("%s=%g", r.Signal, r.Value)
		if r.Channel != "" {
			s = fmt.Sprintf("%s@%s=%g", r.Signal, r.Channel, r.Value)
		}
		if !r.At.IsZero() {
			s += " at " + r.At.Format(time.RFC3339)
		}
		if r.History {
			s += " (history)"
		}
		out = append(out, s)
	}
	for _, w := range d.Warnings {
		out = append(out, "warning: "+w)
	}
	return strings.Join(out, " ")
}

// same compares a brief with a wish, in which errors and warnings are only parts, and
// readings stand in any order.
func same(got, want string) bool {
	if rest, ok := strings.CutPrefix(want, "error: "); ok {
		return strings.HasPrefix(got, "error: ") && strings.Contains(got, rest)
	}
	readings, warning, warned := strings.Cut(want, "warning: ")
	gotReadings, gotWarning, gotWarned := strings.Cut(got, "warning: ")
	if warned != gotWarned || warned && !strings.Contains(gotWarning, warning) {
		return false
	}
	have, wish := strings.Fields(gotReadings), strings.Fields(readings)
	if len(have) != len(wish) {
		return false
	}
	for _, w := range wish {
		if !strings.Contains(" "+gotReadings+" ", " "+w+" ") {
			return false
		}
	}
	return true
}

func TestTimesCountFromOtherDaysInOtherUnitsAndBackFromReceipt(t *testing.T) {
	received := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ clock, hex, want string }{
		{"{field: at}", "0000003c", "1970-01-01T00:01:00Z"},
		{"{field: at, unit: min}", "0000003c", "1970-01-01T01:00:00Z"},
		{"{field: at, unit: h}", "00000018", "1970-01-02T00:00:00Z"},
		{"{field: at, since: 2000-01-01}", "0000003c", "2000-01-01T00:01:00Z"},
		{`{field: at, since: "2000-01-01T08:00:00Z"}`, "0000003c", "2000-01-01T08:01:00Z"},
		{"{field: at, unit: min, zone: \"+08:00\"}", "000001e0", "1970-01-01T00:00:00Z"},
		{"{field: at, ago: true}", "0000003c", "2026-05-04T11:59:00Z"},
		{"{field: at, ago: true, unit: min}", "0000003c", "2026-05-04T11:00:00Z"},
		{"{field: at, now: 0xFFFFFFFF}", "ffffffff", "2026-05-04T12:00:00Z"},
		{"{field: at, ago: true, now: [0xFFFF, 0]}", "0000ffff", "2026-05-04T12:00:00Z"},
	} {
		p := parse(t, "codec: binary\ntime: "+c.clock+"\nlayouts: [{name: a, fields: [{name: at, type: u32}, {name: x}]}]\nsignals: {temperature: x}\n")
		payload, err := profile.ParseHex(c.hex + "05")
		if err != nil {
			t.Fatal(err)
		}
		d, err := p.Decode(grid.Frame{Received: received, Uplink: grid.Uplink{Payload: payload}})
		if got := d.DeviceTime.Format(time.RFC3339); err != nil || got != c.want {
			t.Errorf("%s of %s: got %s, %v: want %s", c.clock, c.hex, got, err, c.want)
		}
	}
	p := parse(t, "codec: binary\ntime: {field: at, ago: true}\nlayouts: [{name: a, fields: [{name: at}]}]\nsignals: {temperature: at}\n")
	if d, err := decode(t, p, 1, "05"); err != nil || !d.DeviceTime.IsZero() {
		t.Errorf("nobody knows when the frame came: got %s, %v: want no time", d.DeviceTime, err)
	}
}

func TestRecordsTakeTheirTimesFromTheHeaderAndTheirNumber(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - name: log
    fields:
      - {name: at, type: ymdhms}
      - repeat: {history: true, time: {field: at, zone: "+08:00", step: -10m}}
        fields: [{name: open}]
signals: {door.open: open}
`)
	got := brief(decode(t, p, 1, "1a 01 02 08 00 00 01 00 01"))
	want := "door.open=1 at 2026-01-02T00:00:00Z (history) door.open=0 at 2026-01-01T23:50:00Z (history) door.open=1 at 2026-01-01T23:40:00Z (history)"
	if got != want {
		t.Errorf("got %s: want %s", got, want)
	}
	if got := brief(decode(t, p, 1, "1a 0d 02 08 00 00 01")); got != `door.open=1 (history) warning: field "at": is no number` {
		t.Errorf("the 13th month: got %s", got)
	}
}

func TestWrongDateOrTextIsNoValue(t *testing.T) {
	for field, payload := range map[string]string{
		"{name: x, type: bcd_ymdhms}": "2a0102030405",
		"{name: x, type: ymdhms}":     "1a02 1e 030405", // 30 February
		"{name: x, type: ascii24}":    "303a37",
		"{name: x, type: ascii32}":    "4e614e20", // NaN
		"{name: x, type: bcd8}":       "1a",
	} {
		if d, err := decode(t, parse(t, oneField(field)), 1, payload); err == nil {
			t.Errorf("%s of %s: got %+v: want an error, there is nothing else in the frame", field, payload, d.Readings)
		}
	}
}

func TestChecksumsAreOfTheSumsThatDevicesUse(t *testing.T) {
	// The nine letters 123456789 are what catalogues of checksums give the check value of.
	const nine = "313233343536373839"
	for _, c := range []struct{ check, good string }{
		{"crc16_modbus", nine + "374b"},
		{"crc16_ccitt", nine + "29b1"},
		{"crc8", nine + "f4"},
		{"xor8", nine + "31"},
		{"add8", nine + "dd"},
		{"sum8", nine + "23"},
	} {
		p := parse(t, "codec: binary\nlayouts: [{name: a, check: "+c.check+", rest: ignore, fields: [{name: x}]}]\nsignals: {temperature: x}\n")
		if d, err := decode(t, p, 1, c.good); err != nil || value(t, d, grid.Temperature) != 0x31 {
			t.Errorf("%s: got %+v, %v", c.check, d, err)
		}
		wrong := "32" + c.good[2:]
		if _, err := decode(t, p, 1, wrong); err == nil || !strings.Contains(err.Error(), `layout "a": checksum is`) {
			t.Errorf("%s of %s: got %v: want a wrong checksum", c.check, wrong, err)
		}
	}
	p := parse(t, "codec: binary\nlayouts: [{name: a, check: crc16_modbus, rest: ignore, fields: [{name: x}]}]\nsignals: {temperature: x}\n")
	if _, err := decode(t, p, 1, "3132"); err == nil || !strings.Contains(err.Error(), "no room for a checksum") {
		t.Errorf("got %v", err)
	}
}

func TestTLVMayHaveAHeaderAndLongLengths(t *testing.T) {
	p := parse(t, `
codec: tlv
counter: {source: payload, field: n, bits: 16}
key: {size: 1, length: u16}
header: [{name: n, type: u16}]
records: [{keys: ["01"], fields: [{name: open}]}]
signals: {door.open: open}
`)
	d, err := decode(t, p, 1, "0102 09 0002 ffff 01 0001 01")
	if err != nil || value(t, d, grid.DoorOpen) != 1 || d.Sequence != 0x0102 || len(d.Warnings) != 1 {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := decode(t, p, 1, "01"); err == nil || !strings.Contains(err.Error(), `field "n"`) {
		t.Errorf("got %v", err)
	}
	if _, err := decode(t, p, 1, "0102 01 0100 01"); err == nil || !strings.Contains(err.Error(), "bytes 5 to 260 are outside a payload of 6") {
		t.Errorf("got %v", err)
	}
}

func TestLanguageErrorsNameTheKeyAndTheWish(t *testing.T) {
	layout := func(rest string) string {
		return "codec: binary\nlayouts: [{name: a, " + rest + "}]\nsignals: {temperature: x}\n"
	}
	for _, c := range []struct{ yaml, want string }{
		{layout("when: {byte: {0: {mask: 0x0F, is: 16}}}, fields: [{name: x}]"), "when: byte 0 is never 16: want 0 to 15"},
		{layout("when: {byte: {0: {mask: 0x0F}}}, fields: [{name: x}]"), "when: byte 0: want a value, a list of them, or {mask"},
		{layout("when: {byte: {0: 256}}, fields: [{name: x}]"), "when: byte 0 is never 256"},
		{layout("when: {byte: {0: {musk: 1}}}, fields: [{name: x}]"), `unknown key "musk": want mask?`},
		{layout("when: {longer: 3, shorter: 4}, fields: [{name: x}]"), "leave no length between them"},
		{layout("check: crc7, fields: [{name: x}]"), `check is "crc7": want one of add8, crc16_ccitt`},
		{layout("fields: [{flags: {0: x}, scale: 2}]"), "flags: want only type, at and order beside them"},
		{layout("fields: [{flags: {8: x}}]"), "flags: field \"x\": bits is \"8\""},
		{layout("fields: [{flags: {0: x}, type: i8}]"), `flags: type is "i8"`},
		{layout("fields: [{flags: {}}]"), "flags: want at least one"},
		{layout("fields: [{name: x, type: ascii136}]"), "type is \"ascii136\": want u8"},
		{layout("fields: [{name: x, type: ascii16, bits: 0-3}]"), "bits of a float, a text or a date mean nothing"},
		{"time: {field: x, unit: day}\n" + oneField("{name: x}"), `time: unit is "day": want s, ms, min or h`},
		{"time: {field: x, since: yesterday}\n" + oneField("{name: x}"), `time: since is "yesterday": want a day`},
		{"time: {field: x, zone: CST}\n" + oneField("{name: x}"), `time: zone is "CST": want`},
		{"time: {field: x, ago: true, since: 2000-01-01}\n" + oneField("{name: x}"), "time: ago counts back"},
		{"time: {field: x, step: soon}\n" + oneField("{name: x}"), `time: step is "soon"`},
		{"codec: tlv\nkey: {length: u32}\nrecords: [{keys: [\"0101\"], skip: 1}]\nsignals: {}\n", `key: length is "u32": want none, u8, u16 or before`},
	} {
		if _, err := profile.Parse([]byte(head + c.yaml)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v: want %s\n%s", err, c.want, c.yaml)
		}
	}
}

func TestRecordsAreOfTheChannelThatTheirFieldsName(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - name: zones
    fields:
      - {name: panel}
      - repeat: {channel: "{panel}/{kind}-{zone}"}
        fields:
          - {name: kind, enum: {1: door, 2: gate}}
          - {name: zone}
          - {if: {field: kind, is: door}, fields: [{name: open}]}
          - {if: {field: kind, is: gate}, fields: [{name: tamper, type: u16}]}
signals: {door.open: open, tamper: tamper}
`)
	got := brief(decode(t, p, 1, "09 01 07 01 02 08 0100 01 0a 00"))
	if want := "door.open@9/door-7=1 tamper@9/gate-8=1 door.open@9/door-10=0"; got != want {
		t.Errorf("got %s: want %s", got, want)
	}
	got = brief(decode(t, p, 1, "09 03 07"))
	if !strings.Contains(got, "3 is none of door, gate") {
		t.Errorf("got %s", got)
	}
	_, err := profile.Parse([]byte(head + "codec: tlv\nrecords: [{keys: [\"0101\"], channel: \"{zone}\", fields: [{name: open}]}]\nsignals: {door.open: open}\n"))
	if err == nil || !strings.Contains(err.Error(), `channel "{zone}": no field is called "zone"`) {
		t.Errorf("got %v", err)
	}
}

func TestRecordsOfTheLastMinutesSayHowOldTheyAre(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - name: log
    fields:
      - repeat: {history: true, time: {field: age, unit: min, ago: true, now: 0xFFFF}}
        fields: [{name: age, type: u16}, {name: open}]
signals: {door.open: open}
`)
	f := grid.Frame{Received: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), Uplink: grid.Uplink{Payload: []byte{0, 90, 1, 0xff, 0xff, 0}}}
	got := brief(p.Decode(f))
	if want := "door.open=1 at 2026-05-04T10:30:00Z (history) door.open=0 at 2026-05-04T12:00:00Z (history)"; got != want {
		t.Errorf("got %s: want %s", got, want)
	}
}
