package people

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestAPlanTellsWhoComesNextAndWhereNobodyDoes(t *testing.T) {
	d := book(t).Duty([]grid.Roster{{ID: "fire", For: "unit:fire", Fallback: "lead-night"}, {ID: "desk", For: "seat:desk", Hours: "office"}},
		[]grid.Shift{
			{ID: "a", For: "unit:fire", Person: "watch-a", From: monday, Every: 72 * time.Hour, Length: 24 * time.Hour},
			{ID: "a2", For: "unit:fire", Person: "watch-a", From: monday.Add(12 * time.Hour), To: monday.Add(24 * time.Hour)}, // the same person twice is no change
			{ID: "b", For: "unit:fire", Person: "watch-b", From: monday.Add(24 * time.Hour), Every: 72 * time.Hour, Length: 24 * time.Hour},
			{ID: "x", For: "unit:extra", Person: "staff-003", From: monday},
		})
	plan := d.Plan(monday, monday.AddDate(0, 0, 3))
	if len(plan) != 3 || plan[0].For != "seat:desk" || plan[1].For != "unit:extra" || plan[2].For != "unit:fire" {
		t.Fatalf("plan is %+v, want the desk, the extra and the station", plan)
	}
	fire := plan[2]
	if fire.Roster != "fire" || fire.Fallback != "lead-night" || len(fire.Spells) != 3 {
		t.Fatalf("station is %+v, want three spells", fire)
	}
	for i, want := range []string{"watch-a", "watch-b", ""} {
		s := fire.Spells[i]
		if strings.Join(s.Persons, " ") != want || !s.Wanted || !s.From.Equal(monday.AddDate(0, 0, i)) || !s.To.Equal(monday.AddDate(0, 0, i+1)) {
			t.Errorf("day %d is %+v, want %q", i, s, want)
		}
	}
	if desk := plan[0].Spells; len(desk) < 6 || desk[0].Wanted || !desk[1].Wanted || len(desk[1].Persons) != 0 {
		t.Errorf("desk is %+v: want it wanted in office hours alone", desk)
	}
	if x := plan[1].Spells; len(x) != 1 || x[0].Wanted || x[0].Persons[0] != "staff-003" || !x[0].To.Equal(monday.AddDate(0, 0, 3)) {
		t.Errorf("the extra is %+v: want one spell that nobody must keep", x)
	}
}

func TestAPlanThatChangesByTheMinuteEnds(t *testing.T) {
	d := book(t).Duty(nil, []grid.Shift{{ID: "a", For: "unit:fire", Person: "watch-a", From: monday, Every: 2 * time.Minute, Length: time.Minute}})
	if n := len(d.Plan(monday, monday.AddDate(0, 0, 30))[0].Spells); n != maxSpells {
		t.Errorf("%d spells, want %d", n, maxSpells)
	}
}
