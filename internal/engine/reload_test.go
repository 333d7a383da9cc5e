package engine

import (
	"bytes"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/people"
)

// settingsOf are those of the rig with other text in place of some of its rules.
func settingsOf(r *rig, was, is string) Settings {
	t := r.t
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	text := must[[]byte](t)(configs.FS.ReadFile("rules.yaml"))
	if !bytes.Contains(text, []byte(was)) {
		t.Fatalf("the rules have no %q", was)
	}
	rules := must[*alarm.Rules](t)(alarm.Parse("rules.yaml", bytes.Replace(text, []byte(was), []byte(is), 1), calendars))
	_, plans := testRules(t)
	return Settings{Rules: rules, Plans: plans, Calendars: calendars, People: people.NewBook(calendars), Profiles: r.loaded, ConfigVersion: "other"}
}

func TestAReloadChangesALimitAndKeepsWhatIsOpen(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Limit = Limit{Rate: 1, Burst: 1} })
	r.place(grid.Door, "door-1", "sn:mad")
	r.place(grid.Smoke, "ceiling-1", "sn:smoke")
	r.say("sn:smoke", `{"smoke.alarm":true,"seq":1}`)
	r.say("sn:mad", `{"battery.level":80,"seq":1}`)
	r.say("sn:mad", `{"battery.level":80,"seq":2}`)
	r.settle()
	before := r.theTicket()
	s := settingsOf(r, "short_stay:", "short_stay:")
	s.Limit = Limit{Rate: 100, Burst: 100}
	if err := r.engine.Reload(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.after(time.Second)
	for n := range 10 {
		r.say("sn:mad", `{"battery.level":80,"seq":`+string(rune('3'+n%6))+`}`)
	}
	r.say("sn:smoke", `{"smoke.alarm":false,"seq":2}`)
	r.settle()
	if l := r.ledger(); l[grid.Discarded] != 1 {
		t.Errorf("ledger %v: want one frame over the limit, that of before", l)
	}
	if after := r.theTicket(); after.ID != before.ID {
		t.Errorf("ticket %s became %s", before.ID, after.ID)
	}
}

func TestAReloadThatTakesAwayTheRulesOfAPointIsRefusedWhole(t *testing.T) {
	r := newRig(t)
	r.put(grid.Registration{Points: []grid.Point{{ID: "bay-1", Name: "a bay", Kind: grid.Parking, Rules: "short_stay", Mode: grid.Live}}})
	s := settingsOf(r, "short_stay:", "shorter_stay:")
	s.Limit = Limit{Rate: 7, Burst: 7}
	err := r.engine.Reload(t.Context(), s)
	if grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("error is %v: want a conflict that names bay-1", err)
	}
	if r.engine.normal.Load() == s.Rules || r.engine.ConfigVersion == "other" {
		t.Error("part of the settings is in force")
	}
	if err := r.engine.Reload(t.Context(), settingsOf(r, "short_stay:", "short_stay:")); err != nil {
		t.Error(err)
	}
}
