package profile_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/profile"
)

func TestAFieldOfAnExpressionThatAFireHangsOnMayNotBeUnreadable(t *testing.T) {
	set, err := profile.Load(fstest.MapFS{"acme/zone/profile.yaml": {Data: []byte(`
profile: acme/zone
version: "1"
vendor: Acme
model: Zone
kinds: [smoke]
source: made up for this test
interval: 1h
codec: json
fields: [{name: zone}, {name: temperature}]
signals:
  smoke.alarm: {expr: "zone - 2 * floor(zone / 2) == 1"}
  temperature: temperature
`)}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("acme/zone")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := p.DecodePayload(-1, []byte(`{"zone":5}`)); err != nil || len(d.Readings) != 1 || !d.Readings[0].Bool() {
		t.Errorf("got %v, %v: want a fire", d.Readings, err)
	}
	if _, err := p.DecodePayload(-1, []byte(`{"zone":"x","temperature":20}`)); err == nil || !strings.Contains(err.Error(), `field "zone"`) {
		t.Errorf("got error %v: want one on the field zone", err)
	}
	if d, err := p.DecodePayload(-1, []byte(`{"temperature":"x","zone":4}`)); err != nil || len(d.Warnings) != 1 {
		t.Errorf("got %v, %v: want a warning on the temperature", d, err)
	}
}
