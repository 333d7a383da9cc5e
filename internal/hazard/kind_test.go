package hazard

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

const aKind = `
kinds:
  fire_door:
    title_zh: 防火门
    title_en: Fire door
    level: general
    priority: P3
    units: [property]
    deadline: {work_day: 5}
    recheck: {urgent: 24h}
    questions: [{id: closes, zh: 能否, en: Does it, danger: "no"}]
from_events:
  - {event: fire_door.open, times: 3, within: 168h, kind: fire_door}
`

func TestAFileOfKindsIsRefusedWithTheKeyAndTheWish(t *testing.T) {
	cs := calendars(t)
	raised := func(typ grid.EventType) bool { return typ == grid.EventFireDoorOpen }
	if _, err := Parse("h.yaml", []byte(aKind), cs, raised); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"level: general", "level: mild", `kinds.fire_door.level is "mild": want general or major`},
		{"level: general", "level: general\n    colour: red", `unknown field "colour"`},
		{"priority: P3", "priority: P1", `priority is "P1": want P2, P3 or P4`},
		{"units: [property]", "units: []", "units is empty"},
		{"units: [property]", "units: [army]", `units: "army": want some of`},
		{"title_zh: 防火门", "title_zh: ''", "want both"},
		{"{work_day: 5}", "{}", ".deadline is {urgent: 0s, work_day: 0"},
		{"{work_day: 5}", "{work_day: 5, urgent: 3h}", "want {work_day: 3}"},
		{"{work_day: 5}", "{work_day: 5, calendar: moon}", `deadline.calendar: calendars.yaml: no calendar "moon"`},
		{"{urgent: 24h}", "{urgent: 24h, calendar: office}", ".recheck is"},
		{`danger: "no"`, "danger: never", "danger: yes or no"},
		{"questions: [{id: closes", "questions: [{id: Closes", "want an id of its own"},
		{"questions: [{id: closes, zh: 能否, en: Does it, danger: \"no\"}]", "questions: []", "questions is empty"},
		{"  fire_door:", "  Fire-Door:", "kinds.Fire-Door: want a name of small letters"},
		{"times: 3", "times: 1", "from_events[0].times is 1: want 2 or more"},
		{"within: 168h", "within: 0s", "within is 0s"},
		{"within: 168h", "within: 9999h", "at most 2160h"},
		{"event: fire_door.open", "event: door.sings", `event is "door.sings": want one that the rules raise`},
		{"kind: fire_door}", "kind: other}", `kind is "other": want one of fire_door`},
		{aKind, "kinds: {}", "kinds is empty"},
		{"from_events", "---\nfrom_events", "a second document"},
	} {
		if !strings.Contains(aKind, c.old) {
			t.Fatalf("%q is not in the file", c.old)
		}
		_, err := Parse("h.yaml", []byte(strings.Replace(aKind, c.old, c.new, 1)), cs, raised)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "h.yaml") {
			t.Errorf("%q: %v, want %q", c.new, err, c.want)
		}
	}
}

func TestADeadlineInWorkDaysLeavesHolidaysOut(t *testing.T) {
	k := kind(t, "fire_door")
	friday := time.Date(2026, 2, 13, 2, 0, 0, 0, time.UTC) // 10:00 in Shanghai, before the Spring Festival
	// Worked: the rest of Friday, Saturday the 14th, Tuesday 24th to Thursday 26th, Friday 27th until ten.
	if got, want := k.Deadline.End(friday), time.Date(2026, 2, 27, 2, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("five work days from %s end %s, want %s", friday, got, want)
	}
	end := k.Deadline.End(friday)
	if half := k.Deadline.Share(friday, end, 50); half.Before(time.Date(2026, 2, 24, 0, 0, 0, 0, time.UTC)) || !half.Before(end) {
		t.Errorf("half of it is over %s: want after the holidays", half)
	}
	urgent := kind(t, "fire_lane")
	if got := urgent.Deadline.End(friday); !got.Equal(friday.Add(24 * time.Hour)) {
		t.Errorf("24 h end %s", got)
	}
}

func TestTheBuiltInKindsAreThoseOfTheDesign(t *testing.T) {
	ks := builtIn(t)
	if got := strings.Join(ks.Names(), " "); got != "ebike_charging exit_blocked fire_door fire_lane other" {
		t.Errorf("kinds are %s", got)
	}
	if got := ks.From(grid.EventFireDoorOpen); len(got) != 1 || got[0].Times != 3 || got[0].Within != 7*24*time.Hour || got[0].Kind != "fire_door" {
		t.Errorf("from fire_door.open: %+v", got)
	}
	if got := ks.From(grid.EventSmokeAlarm); got != nil {
		t.Errorf("from smoke.alarm: %+v, want nothing", got)
	}
}
