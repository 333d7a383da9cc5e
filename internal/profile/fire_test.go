package profile_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// smokeAndHeat has the fire between two bytes that may hold a code nobody knows.
const smokeAndHeat = `
profile: acme/fire
version: "1"
vendor: Acme
model: Fire
kinds: [smoke]
source: made up for this test
interval: 1h
codec: binary
layouts:
  - name: report
    when: {port: 1, shorter: 4}
    fields:
      - {name: heat, enum: {0: normal, 1: alarm}}
      - {name: smoke, enum: {0: normal, 1: alarm}}
      - {name: lamp, enum: {0: off, 1: on}}
  - name: report, smoke once more
    when: {port: 1, length: 4}
    fields:
      - {name: heat, enum: {0: normal, 1: alarm}}
      - {name: smoke, enum: {0: normal, 1: alarm}}
      - {name: lamp, enum: {0: off, 1: on}}
      - {name: smoke, enum: {0: normal, 1: alarm}}
signals:
  heat.alarm: {field: heat, is: alarm}
  smoke.alarm: {field: smoke, is: alarm}
  smoke.hush: {field: lamp, is: on}
`

func TestAnUnknownCodeHidesNoFireAndInventsNone(t *testing.T) {
	set, err := profile.Load(fstest.MapFS{"acme/fire/profile.yaml": {Data: []byte(smokeAndHeat)}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("acme/fire")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		payload []byte
		err     string
		fires   int
		warning string
	}{
		{"an unknown heat beside a fire", []byte{2, 1, 0}, "", 1, `field "heat": 2 is none of`},
		{"an unknown smoke beside heat", []byte{1, 9, 0}, "", 1, `field "smoke": 9 is none of`},
		{"an unknown heat beside no fire", []byte{2, 0, 0}, `field "heat": 2 is none of`, 0, ""},
		{"two unknown", []byte{2, 9, 0}, `field "heat": 2 is none of`, 0, ""},
		{"an unknown lamp is no matter of fire", []byte{0, 0, 7}, "", 0, `field "lamp": 7 is none of`},
		{"a fire and, once more, none", []byte{0, 1, 0, 0}, `field "smoke": is said twice, as 1 and as 0`, 0, ""},
		{"none and, once more, a fire", []byte{0, 0, 0, 1}, "", 1, `field "smoke": is said twice, as 0 and as 1`},
		{"twice the same", []byte{0, 1, 0, 1}, "", 1, ""},
		{"a fire, cut off", []byte{0, 1}, `field "lamp": bytes 2 to 2 are outside a payload of 2`, 0, ""},
	} {
		d, err := p.DecodePayload(1, c.payload)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got error %v: want %q", c.name, err, c.err)
		}
		fires := 0
		for _, r := range d.Readings {
			if (r.Signal == grid.SmokeAlarm || r.Signal == grid.HeatAlarm) && r.Bool() {
				fires++
			}
		}
		if fires != c.fires {
			t.Errorf("%s: got %d fires: want %d", c.name, fires, c.fires)
		}
		if got := strings.Join(d.Warnings, "; "); got != c.warning && (c.warning == "" || !strings.Contains(got, c.warning)) {
			t.Errorf("%s: got warnings %q: want %q", c.name, got, c.warning)
		}
		// The next frame must not remember this one.
		if _, err := p.DecodePayload(1, []byte{0, 0, 0}); err != nil {
			t.Errorf("%s: the frame after it: %v", c.name, err)
		}
	}
}
