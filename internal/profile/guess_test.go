package profile_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func TestGuessRanksByWhatTheEnvelopeSaysAndTheTrialDecode(t *testing.T) {
	set := loadAll(t)
	for _, c := range []struct {
		title       string
		frame       grid.Frame
		best        string
		smoke, fire bool
	}{
		{"model in the envelope", grid.Frame{Uplink: grid.Uplink{Model: "WS301 door", Port: 85, Payload: []byte{3, 0, 1}}}, "milesight/ws301", false, false},
		{"a Netvox fire, by decoding alone", grid.Frame{Uplink: grid.Uplink{Port: 6, Payload: []byte{1, 0x0a, 1, 0x1e, 1, 0, 0, 0xe6, 0, 0, 0}}}, "netvox/ra02a", true, true},
		{"a Netvox smoke detector at rest", grid.Frame{Identity: "eui:00137a1000000001", Uplink: grid.Uplink{Port: 6, Payload: []byte{1, 0x0a, 1, 0x1e, 0, 0, 0, 0xe6, 0, 0, 0}}}, "netvox/ra02a", true, false},
		{"a Zigbee fire", grid.Frame{Identity: "z2m:0x00158d0001", Uplink: grid.Uplink{Port: -1, Payload: []byte(`{"smoke":true}`)}}, "zigbee2mqtt/smoke", true, true},
		{"a Zigbee contact", grid.Frame{Identity: "z2m:front_door", Uplink: grid.Uplink{Port: -1, Payload: []byte(`{"contact":true,"battery":90}`)}}, "zigbee2mqtt/contact", false, false},
		{"a Zigbee name alone", grid.Frame{Identity: "z2m:厨房烟感", Uplink: grid.Uplink{Port: -1}}, "zigbee2mqtt/smoke", true, false},
		{"model known, payload not to be read", grid.Frame{Uplink: grid.Uplink{Model: "RA02A", Port: 6, Payload: []byte{1, 0x0a}}}, "netvox/ra02a", true, false},
		{"our own form of a door", grid.Frame{Uplink: grid.Uplink{Port: -1, Payload: []byte(`{"door.open":true}`)}}, "gridgate/json", false, false},
		{"our own form of a fire", grid.Frame{Uplink: grid.Uplink{Port: -1, Payload: []byte(`{"smoke.alarm":true}`)}}, "gridgate/json", true, true},
	} {
		guesses := set.Guess(c.frame)
		if len(guesses) == 0 {
			t.Errorf("%s: got none: want %s", c.title, c.best)
			continue
		}
		g := guesses[0]
		if g.Profile != c.best || g.Smoke != c.smoke || g.Fire != c.fire || g.Reason == "" {
			t.Errorf("%s: got %+v: want %s, smoke %t, fire %t", c.title, guesses, c.best, c.smoke, c.fire)
		}
	}
	for _, payload := range []string{`{"temperature":21.5,"battery":80}`, `{"linkquality":30}`} {
		if g := set.Guess(grid.Frame{Identity: "z2m:0x1", Uplink: grid.Uplink{Port: -1, Payload: []byte(payload)}}); len(g) != 0 {
			t.Errorf("%s: got %+v: want no guess, least of all smoke", payload, g)
		}
	}
	if g := set.Guess(grid.Frame{Uplink: grid.Uplink{Port: 200, Payload: []byte("????")}}); len(g) != 0 {
		t.Errorf("noise: got %+v: want no guess", g)
	}
}

func TestTheLongerOfTwoNamesInTheEnvelopeIsTheModel(t *testing.T) {
	set := loadAll(t)
	for model, want := range map[string]string{"R718F2-868": "netvox/r718f2", "Netvox R718F (915)": "netvox/r718f", "EM310-TILT": "milesight/em310-tilt"} {
		// The payload is of none of them: only the name speaks.
		guesses := set.Guess(grid.Frame{Uplink: grid.Uplink{Model: model, Port: 200, Payload: []byte{0xff}}})
		if len(guesses) == 0 || guesses[0].Profile != want {
			t.Errorf("%s: got %+v: want %s", model, guesses, want)
		}
	}
}

func TestTrialsOfSlowKindsWaitForASign(t *testing.T) {
	fsys := fstest.MapFS{"acme/script/profile.yaml": {Data: []byte(`
profile: acme/script
version: "1"
vendor: Acme
model: Script 9
kinds: [door]
source: invented for a test
interval: 1h
codec: javascript
javascript: {source: "function decodeUplink(input) { return {data: {open: 1}} }"}
fields: [{name: open}]
signals: {door.open: open}
`)}}
	set, err := profile.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if g := set.Guess(grid.Frame{Uplink: grid.Uplink{Port: 1, Payload: []byte{1}}}); len(g) != 0 {
		t.Errorf("got %+v: want the code not to run for a device that nothing says is of it", g)
	}
	g := set.Guess(grid.Frame{Uplink: grid.Uplink{Port: 1, Model: "script-9", Payload: []byte{1}}})
	if len(g) != 1 || g[0].Profile != "acme/script" || !strings.Contains(g[0].Reason, "decodes to 1 readings") {
		t.Errorf("got %+v", g)
	}
}

func TestGuessIsBounded(t *testing.T) {
	set := loadAll(t)
	big := []byte(`{"x":"` + strings.Repeat("x", 60_000) + `","smoke":true}`)
	if g := set.Guess(grid.Frame{Uplink: grid.Uplink{Port: -1, Payload: big}}); len(g) != 0 {
		t.Errorf("got %+v: want a payload beyond the bound to be left alone", g)
	}
}

func TestGuessIdentityKnowsWhatCanOnlyBeSmoke(t *testing.T) {
	set := loadAll(t)
	for id, want := range map[grid.Identity]struct {
		profile string
		smoke   bool
	}{
		"z2m:hall_smoke":       {"zigbee2mqtt/smoke", true},
		"z2m:front_door":       {"zigbee2mqtt/contact", false},
		"z2m:0x00158d0001":     {"", false},
		"eui:24e124136b502217": {"", false}, // Milesight makes many things
		"eui:a84041ffff000001": {"", false}, // and so does Dragino
		"eui:ffffffffffffffff": {"", false},
		"sn:1":                 {"", false},
		"":                     {"", false},
	} {
		if p, smoke := set.GuessIdentity(id); p != want.profile || smoke != want.smoke {
			t.Errorf("%s: got %q, %t: want %q, %t", id, p, smoke, want.profile, want.smoke)
		}
	}
}
