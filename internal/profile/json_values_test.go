package profile_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const smokeOfTwoForms = `
profile: acme/smoke
version: "1"
vendor: Acme
model: Smoke
kinds: [smoke]
source: made up for this test
interval: 1h
codec: json
fields:
  - {name: state, enum: {"0": alarm, "1": normal, alarm: alarm, normal: normal}}
  - {name: relay, path: Switch1, enum: {"ON": alarm, "OFF": normal}}
  - {name: edge, path: Switch1.Action, enum: {"ON": alarm, "OFF": normal}}
signals:
  smoke.alarm: [{field: state, is: alarm}, {field: relay, is: alarm}, {field: edge, is: alarm}]
`

func TestJSONValuesInEitherOfTwoFormsAreRead(t *testing.T) {
	set, err := profile.Load(fstest.MapFS{"acme/smoke/profile.yaml": {Data: []byte(smokeOfTwoForms)}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("acme/smoke")
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{
		`{"state":0}`:                    "1",
		`{"state":"0"}`:                  "1",
		`{"state":1}`:                    "0",
		`{"state":"normal"}`:             "0",
		`{"state":2}`:                    `field "state": "2" is none of`,
		`{"Switch1":"ON"}`:               "1",
		`{"Switch1":"OFF"}`:              "0",
		`{"Switch1":{"Action":"ON"}}`:    "1",
		`{"Switch1":{"Action":"OFF"}}`:   "0",
		`{"Switch1":{"Action":{"x":1}}}`: `field "edge": is a JSON object`,
		`{"Switch1":[]}`:                 `field "relay": is a JSON array`,
		`{"state":{"x":1}}`:              `field "state": is a JSON object`,
	} {
		d, err := p.DecodePayload(-1, []byte(payload))
		got := fmt.Sprint(err)
		if err == nil && len(d.Readings) == 1 && d.Readings[0].Signal == grid.SmokeAlarm {
			got = fmt.Sprint(d.Readings[0].Value)
		}
		if got != want && (len(want) == 1 || !strings.Contains(got, want)) {
			t.Errorf("%s: got %s: want %s", payload, got, want)
		}
	}
}
