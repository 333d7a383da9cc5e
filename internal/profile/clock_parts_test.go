package profile_test

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/profile"
)

// A date packed into 32 bits, as in a directory of FAT but since 2000.
const packedDate = `
codec: binary
order: little
time: {parts: [year, month, day, hour, minute, second], zone: "+08:00"}
layouts:
  - name: report
    fields:
      - {name: year, at: 0, type: u32, bits: 25-31}
      - {name: month, at: 0, type: u32, bits: 21-24}
      - {name: day, at: 0, type: u32, bits: 16-20}
      - {name: hour, at: 0, type: u32, bits: 11-15}
      - {name: minute, at: 0, type: u32, bits: 5-10}
      - {name: second, at: 0, type: u32, bits: 0-4, scale: 2}
      - {name: open}
signals: {door.open: open}
`

func TestATimeMayStandInSeveralFields(t *testing.T) {
	p := parse(t, packedDate)
	for hex, want := range map[string]string{
		"0a63 5b34 01": "2026-02-27T04:24:20Z", // 12:24:20 in China
		"0000 2100 01": "1999-12-31T16:00:00Z", // 1 January 2000
		"0000 0000 01": "",                     // a month 0
		"0000 5f34 01": "",                     // a 31st of February
	} {
		d, err := decode(t, p, 1, hex)
		got := ""
		if !d.DeviceTime.IsZero() {
			got = d.DeviceTime.Format(time.RFC3339)
		}
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v: want %s", hex, got, err, want)
		}
	}
	d, err := decode(t, parse(t, strings.Replace(packedDate, ", second]", "]", 1)), 1, "0a63 5b34 01")
	if want := time.Date(2026, 2, 27, 4, 24, 0, 0, time.UTC); err != nil || !d.DeviceTime.Equal(want) {
		t.Errorf("without seconds: got %v, %v: want %v", d.DeviceTime, err, want)
	}
}

func TestRecordsMayHaveTimesOfSeveralFields(t *testing.T) {
	p := parse(t, `
codec: binary
layouts:
  - name: log
    fields:
      - {name: year, type: u16}
      - {name: month}
      - {name: day}
      - repeat: {history: true, time: {parts: [year, month, day, hour, minute]}}
        fields: [{name: hour}, {name: minute}, {name: open}]
signals: {door.open: open}
`)
	got := brief(decode(t, p, 1, "07ea 05 04 0c1e 01 0d00 00"))
	if want := "door.open=1 at 2026-05-04T12:30:00Z (history) door.open=0 at 2026-05-04T13:00:00Z (history)"; got != want {
		t.Errorf("got %s: want %s", got, want)
	}
}

func TestPartsOfATimeAreSaidAsTheyMustBe(t *testing.T) {
	for spec, want := range map[string]string{
		"{field: year, parts: [year, month, day, hour, minute]}": "field and parts: want one of them",
		"{parts: [year, month, day]}":                            "parts has 3 fields: want year, month, day, hour, minute",
		"{parts: [year, month, day, hour, minute], unit: s}":     "want no unit, since, ago or now",
		"{parts: [year, month, day, hour, minutes]}":             `no field is called "minutes": want minute?`,
		"{parts: [year, month, day, hour, minute], zone: CET}":   `zone is "CET"`,
		"{unit: s}": `no field is called ""`,
	} {
		body := strings.Replace(packedDate, `{parts: [year, month, day, hour, minute, second], zone: "+08:00"}`, spec, 1)
		if _, err := profile.Parse([]byte(head + body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %s", spec, err, want)
		}
	}
}
