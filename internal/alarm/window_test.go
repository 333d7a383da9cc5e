package alarm

import (
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func builtIn(t *testing.T) *Rules {
	t.Helper()
	read := func(name string) []byte {
		b, err := configs.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	c, err := calendar.Parse("calendars.yaml", read("calendars.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rs, err := Parse("rules.yaml", read("rules.yaml"), c)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestWhatAWindowDoesToAnEvent(t *testing.T) {
	session := func(w grid.Window) grid.Window { w.Session, w.Touched = "s", noon; return w }
	base := grid.Window{From: noon.Add(-time.Minute), To: noon.Add(time.Minute), Patrol: "lin"}
	of := func(k grid.WindowKind) grid.Window { w := base; w.Kind = k; return w }
	work, permit, shelf, out := of(grid.WindowMaintenance), of(grid.WindowPermit), of(grid.WindowShelved), of(grid.WindowOutOfService)
	only := func(w grid.Window, t grid.EventType) grid.Window { w.Types = []grid.EventType{t}; return w }
	silent := session(work)
	silent.Touched = noon.Add(-2 * time.Minute)
	over := work
	over.To = noon
	for name, c := range map[string]struct {
		w     grid.Window
		kind  grid.Kind
		area  bool
		typ   grid.EventType
		prio  grid.Priority
		state grid.CoverState
	}{
		"smoke asks the technician":                 {session(work), grid.Smoke, false, grid.EventSmokeAlarm, 1, grid.CoverAsked},
		"smoke in an area is not covered":           {session(work), grid.Smoke, true, grid.EventSmokeAlarm, 1, ""},
		"smoke without a session is not covered":    {work, grid.Smoke, false, grid.EventSmokeAlarm, 1, ""},
		"smoke with a session that is gone":         {silent, grid.Smoke, false, grid.EventSmokeAlarm, 1, ""},
		"late smoke is never covered":               {session(work), grid.Smoke, false, grid.EventSmokeLate, 1, ""},
		"an unreadable detector is never covered":   {session(work), grid.Smoke, false, grid.EventSafetyUnreadable, 2, ""},
		"tamper at a smoke point waits":             {session(work), grid.Smoke, false, grid.EventDeviceTamper, 3, grid.CoverHeld},
		"smoke is never shelved":                    {shelf, grid.Smoke, false, grid.EventSmokeAlarm, 1, ""},
		"no fault of a smoke point is shelved":      {shelf, grid.Smoke, false, grid.EventSmokeFault, 4, ""},
		"smoke out of service asks the patrol":      {out, grid.Smoke, false, grid.EventSmokeAlarm, 1, grid.CoverAsked},
		"smoke in a permit is not covered":          {permit, grid.Smoke, false, grid.EventSmokeAlarm, 1, ""},
		"an open cover in a permit asks its holder": {permit, grid.Manhole, true, grid.EventManholeOpen, 1, grid.CoverAsked},
		"a tilted cover in a permit waits":          {permit, grid.Manhole, false, grid.EventManholeTilted, 3, grid.CoverHeld},
		"tamper in a permit is not covered":         {permit, grid.Manhole, false, grid.EventDeviceTamper, 3, ""},
		"high water in a permit is not covered":     {permit, grid.Manhole, false, grid.EventManholeFlooded, 2, ""},
		"an open cover in maintenance waits":        {work, grid.Manhole, true, grid.EventManholeOpen, 1, grid.CoverHeld},
		"a shelf holds P3":                          {only(shelf, grid.EventDoorHeldOpen), grid.Door, false, grid.EventDoorHeldOpen, 3, grid.CoverHeld},
		"a shelf never holds P1":                    {only(shelf, grid.EventManholeOpen), grid.Manhole, false, grid.EventManholeOpen, 1, ""},
		"a type that the window does not name":      {only(shelf, grid.EventDoorHeldOpen), grid.Door, false, grid.EventDeviceOffline, 4, ""},
		"a window that is over":                     {over, grid.Door, false, grid.EventDoorHeldOpen, 3, ""},
	} {
		got := Covers(&c.w, Place{ID: "p", Kind: c.kind, Named: !c.area}, c.typ, c.prio, noon, SessionGone)
		if got != c.state {
			t.Errorf("%s: %q, want %q", name, got, c.state)
		}
	}
}

func TestAQuestionNeverStandsLongerThanItMay(t *testing.T) {
	w := grid.Window{ID: "w", Kind: grid.WindowCommissioning, To: noon.Add(time.Hour), By: grid.Actor{Name: "ma"}}
	if q := Question(&w, noon); !q.Due.Equal(noon.Add(time.Minute)) || q.Of != "ma" {
		t.Errorf("question is %+v: want it of ma, due in a minute", q)
	}
	w.To = noon.Add(20 * time.Second)
	if q := Question(&w, noon); !q.Due.Equal(w.To) {
		t.Errorf("question stands until %s, the window until %s", q.Due, w.To)
	}
}

func TestAScriptExpectsItsPointItsTypeAndItsTimeAlone(t *testing.T) {
	w := grid.Window{Kind: grid.WindowExercise, From: noon, To: noon.Add(time.Hour), Script: []grid.Expected{
		{Point: "s0", Type: grid.EventSmokeAlarm, From: noon.Add(10 * time.Minute), To: noon.Add(20 * time.Minute)},
	}}
	for _, c := range []struct {
		point string
		typ   grid.EventType
		at    time.Duration
		want  bool
	}{
		{"s0", grid.EventSmokeAlarm, 10 * time.Minute, true},
		{"s0", grid.EventSmokeAlarm, 10*time.Minute - 1, false},
		{"s0", grid.EventSmokeAlarm, 20 * time.Minute, false},
		{"s1", grid.EventSmokeAlarm, 15 * time.Minute, false},
		{"s0", grid.EventSmokeLate, 15 * time.Minute, false},
	} {
		if _, got := Scripted(&w, c.point, c.typ, noon.Add(c.at)); got != c.want {
			t.Errorf("%s %s after %s: %v, want %v", c.point, c.typ, c.at, got, c.want)
		}
	}
}

func TestAPostureChangesWhatItNamesAndKeepsTheOrder(t *testing.T) {
	rs := builtIn(t)
	for _, p := range rs.PostureNames() {
		v := rs.In(p)
		for _, kind := range []grid.Kind{grid.Door, grid.Parking, grid.Manhole, grid.Smoke} {
			plain, _ := rs.For("", kind)
			changed, _ := v.For("", kind)
			if len(plain) != len(changed) {
				t.Fatalf("%s: %d rules of a %s point, want %d", p, len(changed), kind, len(plain))
			}
			for i := range plain {
				same := plain[i] == changed[i]
				if plain[i].Type != changed[i].Type || !same && !rs.Differs(p, plain[i].Type) || changed[i].Priority > plain[i].Priority {
					t.Errorf("%s: rule %d of a %s point is %+v, want that of %s, and no less urgent", p, i, kind, changed[i], plain[i].Type)
				}
				if ofSmoke(plain[i].Type) && !same {
					t.Errorf("%s changes %s", p, plain[i].Type)
				}
			}
		}
		if v.Group(grid.EventSmokeAlarm) != rs.Group(grid.EventSmokeAlarm) {
			t.Errorf("%s groups smoke in another way", p)
		}
	}
	if g := rs.In(grid.PostureTyphoon).Group(grid.EventManholeOpen); g == nil || g.By != WithinCell || rs.Group(grid.EventManholeOpen) != nil {
		t.Errorf("open covers in a typhoon are grouped by %+v: want by cell, and not at all without one", g)
	}
	if !rs.MayBeUrgent(grid.EventManholeFlooded) || rs.In(grid.PostureNormal) != rs {
		t.Error("what a posture raises to P1 may be urgent, and the normal posture changes nothing")
	}
}

func TestAPostureThatSaysWhatItMayNotIsRefused(t *testing.T) {
	plain, err := configs.FS.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for lines, wish := range map[string]string{
		"typhoon: {smoke.alarm: {priority: P1}}":       "want nothing of smoke",
		"typhoon: {smoke.late: {on_delay: 1m}}":        "want nothing of smoke",
		"typhoon: {safety.unreadable: {priority: P1}}": "want nothing of smoke",
		"storm: {door.held_open: {on_delay: 1m}}":      "want some of",
		"normal: {door.held_open: {on_delay: 1m}}":     "want some of",
		"typhoon: {door.held_open: {priority: P4}}":    "a posture only raises",
		"typhoon: {door.held_open: {priority: high}}":  "a posture only raises",
		"typhoon: {door.held_open: {on_delay: -1s}}":   "want 0s or more",
		"typhoon: {door.held_open: {by: street}}":      "by ",
		"typhoon: {door.held_open: {}}":                "is empty",
		"typhoon: {door.held_open: {off_delay: 1m}}":   "off_delay",
		"typhoon: {device.offline: {priority: P3}}":    "that a reading raises",
		"typhoon: {test: {priority: P3}}":              "that a reading raises",
		"typhoon: {door.opened: {priority: P3}}":       "want one of those under events",
	} {
		i := strings.Index(string(plain), "\npostures:\n")
		j := strings.Index(string(plain), "\n# protection: a building")
		if i < 0 || j < i {
			t.Fatal("the built-in rules have no postures where this test looks for them")
		}
		text := string(plain[:i]) + "\npostures:\n  " + lines + "\n" + string(plain[j:])
		c, err := calendar.Parse("calendars.yaml", must(configs.FS.ReadFile("calendars.yaml")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("rules.yaml", []byte(text), c); err == nil || !strings.Contains(err.Error(), wish) {
			t.Errorf("%s: error is %v, want … %s", lines, err, wish)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
