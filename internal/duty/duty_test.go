package duty

import (
	"os"
	"strings"
	"testing"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func calendars(t *testing.T) *calendar.Calendars {
	t.Helper()
	b, err := os.ReadFile("../../configs/calendars.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := calendar.Parse("calendars.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func builtIn(t *testing.T) (*Rules, string) {
	t.Helper()
	b, err := os.ReadFile("../../configs/duty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse("duty.yaml", b, calendars(t))
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func TestRulesAreReadStrictlyAndErrorsSayTheWish(t *testing.T) {
	_, text := builtIn(t)
	for _, c := range []struct{ from, to, want string }{
		{"beat: 15s", "beets: 15s", "beets"},
		{"silent: 45s", "silent: 20s", "at least two beats"},
		{"  seats: 30s", "  seats: soon", "untaken.seats"},
		{"call: seat:duty-lead", "call: unit:x", "want seat:<name>"},
		{"keep: 7", "keep: 0", "want 1 to"},
		{`at: "02:30"`, `at: "26:30"`, "time of day"},
		{"id: desk-2", "id: desk-1", "there twice"},
		{"id: desk-2", "id: Desk 2", "small letters"},
		{"priorities: [1]", "priorities: [9]", "want 1 to 4"},
		{"en: Desk 1}", "en: \"\"}", "want zh and en"},
	} {
		if !strings.Contains(text, c.from) {
			t.Fatalf("the built-in file has no %q", c.from)
		}
		_, err := Parse("duty.yaml", []byte(strings.Replace(text, c.from, c.to, 1)), calendars(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "duty.yaml: ") {
			t.Errorf("%q: error is %v, want one that says %q", c.to, err, c.want)
		}
	}
}

func TestStepsComeOnceEachInTheirOrder(t *testing.T) {
	r, _ := builtIn(t)
	told := start.Add(time.Second)
	for _, c := range []struct {
		about   string
		u       grid.Untaken
		watched bool
		step    Step
		after   time.Duration
	}{
		{"new", grid.Untaken{}, true, Seats, 30 * time.Second},
		{"seats told", grid.Untaken{Seats: told}, true, Lead, time.Minute},
		{"nobody watches", grid.Untaken{}, false, Lead, 0},
		{"nobody watches any more", grid.Untaken{Seats: told}, false, Lead, 0},
		{"lead called at once", grid.Untaken{Lead: told}, false, Seats, 30 * time.Second},
		{"both", grid.Untaken{Seats: told, Lead: told}, false, None, 0},
	} {
		c.u.Since = start
		step, at := r.Next(&c.u, c.watched)
		if step != c.step || step != None && !at.Equal(start.Add(c.after)) {
			t.Errorf("%s: step %d at %s, want %d after %s", c.about, step, at, c.step, c.after)
		}
	}
}

func TestOnlyWhatStandsBeforeTheOperatorsWantsToBeTaken(t *testing.T) {
	r, _ := builtIn(t)
	for about, c := range map[string]struct {
		a    grid.Alarm
		want bool
	}{
		"P1 and active":         {grid.Alarm{Priority: 1, Active: true}, true},
		"P1, acknowledged":      {grid.Alarm{Priority: 1, Active: true, Acked: true}, true},
		"P2":                    {grid.Alarm{Priority: 2, Active: true}, false},
		"over":                  {grid.Alarm{Priority: 1}, false},
		"latched":               {grid.Alarm{Priority: 1, AlarmDetail: grid.AlarmDetail{Latch: true}}, true},
		"in question":           {grid.Alarm{Priority: 1, Active: true, AlarmDetail: grid.AlarmDetail{Cover: &grid.Cover{State: grid.CoverAsked}}}, false},
		"its window has let go": {grid.Alarm{Priority: 1, Active: true, AlarmDetail: grid.AlarmDetail{Cover: &grid.Cover{State: grid.CoverOver}}}, true},
	} {
		if got := r.Wants(&c.a); got != c.want {
			t.Errorf("%s: wants to be taken %t, want %t", about, got, c.want)
		}
	}
	if (*Rules)(nil).Wants(&grid.Alarm{Priority: 1, Active: true}) {
		t.Error("without rules something wants to be taken")
	}
}

func TestTheNightIsThatOfTheCalendarsZone(t *testing.T) {
	r, _ := builtIn(t)
	if at := r.Sheet.Next(start); at.UTC().Format(time.RFC3339) != "2026-11-22T18:30:00Z" {
		t.Errorf("after 16:00 in Shanghai the sheet is due at %s, want 02:30 there", at.UTC())
	}
	if at := r.Sheet.Next(r.Sheet.Next(start)); at.UTC().Format(time.RFC3339) != "2026-11-23T18:30:00Z" {
		t.Errorf("the night after is due at %s", at.UTC())
	}
}
