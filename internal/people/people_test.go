package people

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

var zone = time.FixedZone("UTC+8", 8*3600)

// monday is an ordinary Monday, at 08:00 in Shanghai.
var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, zone)

func book(t *testing.T) *Book {
	t.Helper()
	b, err := os.ReadFile("../../configs/calendars.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := calendar.Parse("calendars.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return NewBook(c)
}

func TestWhoIsOnDutyFollowsTheShiftTheTurnAndTheCalendar(t *testing.T) {
	d := book(t).Duty(nil, []grid.Shift{
		{ID: "once", For: "unit:micro", Person: "staff-001", From: monday, To: monday.Add(12 * time.Hour)},
		{ID: "turn", For: "unit:fire", Person: "watch-a", From: monday, Every: 72 * time.Hour, Length: 24 * time.Hour},
		{ID: "turn2", For: "unit:fire", Person: "watch-b", From: monday.Add(24 * time.Hour), Every: 72 * time.Hour, Length: 24 * time.Hour},
		{ID: "office", For: "seat:lead", Person: "lead-day", From: monday.AddDate(0, 0, -7), Hours: "office"},
		{ID: "ended", For: "unit:micro", Person: "staff-009", From: monday, Ended: monday},
	})
	for _, c := range []struct {
		whom  string
		at    time.Time
		want  string
		about string
	}{
		{"unit:micro", monday.Add(-time.Second), "", "before the shift"},
		{"unit:micro", monday, "staff-001", "at its first moment"},
		{"unit:micro", monday.Add(12 * time.Hour), "", "at its end"},
		{"unit:fire", monday.Add(23 * time.Hour), "watch-a", "in the first turn"},
		{"unit:fire", monday.Add(24 * time.Hour), "watch-b", "in the second"},
		{"unit:fire", monday.Add(50 * time.Hour), "", "in the third, which nobody has"},
		{"unit:fire", monday.Add(73 * time.Hour), "watch-a", "a round later"},
		{"seat:lead", monday.Add(2 * time.Hour), "lead-day", "in office hours"},
		{"seat:lead", monday.Add(14 * time.Hour), "", "at night"},
		{"seat:lead", monday.AddDate(0, 0, -2).Add(2 * time.Hour), "lead-day", "on a Saturday that is worked for a holiday"},
		{"seat:lead", monday.AddDate(0, 0, 5).Add(2 * time.Hour), "", "on a Saturday"},
	} {
		got, kept := d.On(c.whom, c.at)
		if strings.Join(got, " ") != c.want || !kept {
			t.Errorf("%s: %s has %v (kept %v), want %q", c.about, c.whom, got, kept, c.want)
		}
	}
	if got, kept := d.On("unit:other", monday); kept || got != nil {
		t.Errorf("who keeps no roster has %v, kept %v", got, kept)
	}
	if got, kept := (*Duty)(nil).On("unit:micro", monday); kept || got != nil {
		t.Errorf("without rosters: %v, %v", got, kept)
	}
}

func TestAGapIsToldWithItsEndsAndItsFallback(t *testing.T) {
	b := book(t)
	day := func(n, hour int) time.Time { return monday.AddDate(0, 0, n).Add(time.Duration(hour-8) * time.Hour) }
	d := b.Duty([]grid.Roster{{ID: "micro", For: "unit:micro", Fallback: "lead-night"}, {ID: "desk", For: "seat:desk", Hours: "office"}, {ID: "gone", For: "unit:x", Ended: monday}},
		[]grid.Shift{
			{ID: "1", For: "unit:micro", Person: "staff-001", From: day(0, 8), To: day(1, 8)},
			{ID: "2", For: "unit:micro", Person: "staff-002", From: day(1, 8), To: day(2, 8)}, // no seam
			{ID: "3", For: "unit:micro", Person: "staff-001", From: day(2, 12), To: day(9, 8)},
			{ID: "4", For: "seat:desk", Person: "op-01", From: day(0, 0), To: day(4, 12)}, // leaves on Friday noon
		})
	gaps := d.Gaps(day(0, 8), day(7, 8))
	var micro, desk []Gap
	for _, g := range gaps {
		if g.Roster == "micro" {
			micro = append(micro, g)
		} else {
			desk = append(desk, g)
		}
	}
	if len(micro) != 1 || !micro[0].From.Equal(day(2, 8)) || !micro[0].To.Equal(day(2, 12)) || micro[0].Fallback != "lead-night" {
		t.Errorf("gaps of the station are %+v, want Wednesday 8 to 12 with its fallback", micro)
	}
	if len(desk) == 0 || desk[0].From.Before(day(4, 12)) || desk[len(desk)-1].To.After(day(5, 0)) {
		t.Errorf("gaps of the desk are %+v, want the office hours of Friday afternoon alone", desk)
	}
	for _, g := range desk {
		if g.From.In(zone).Weekday() != time.Friday {
			t.Errorf("gap %+v lies outside the hours in which the desk is needed", g)
		}
	}
	if d.Fallback("unit:micro") != "lead-night" || d.Fallback("seat:desk") != "" {
		t.Error("fallbacks are mixed up")
	}
}

func TestGapsOfATurnAreFoundForAWeekAhead(t *testing.T) {
	d := book(t).Duty([]grid.Roster{{ID: "fire", For: "unit:fire"}}, []grid.Shift{
		{ID: "a", For: "unit:fire", Person: "watch-a", From: monday, Every: 72 * time.Hour, Length: 24 * time.Hour},
		{ID: "b", For: "unit:fire", Person: "watch-b", From: monday.Add(24 * time.Hour), Every: 72 * time.Hour, Length: 24 * time.Hour},
	})
	gaps := d.Gaps(monday, monday.AddDate(0, 0, 7))
	if len(gaps) != 2 || !gaps[0].From.Equal(monday.Add(48*time.Hour)) || !gaps[1].To.Equal(monday.Add(144*time.Hour)) {
		t.Errorf("gaps are %+v, want the third day of each round", gaps)
	}
}

func TestContactsAreCalledInOrderAndInTheirHours(t *testing.T) {
	b := book(t)
	all := []grid.Contact{
		{ID: "c", Order: 2, Sealed: []byte{1}},
		{ID: "day", Order: 0, Hours: "office"},
		{ID: "b", Order: 1},
		{ID: "a", Order: 1},
		{ID: "gone", Order: 0, Erased: monday},
		{ID: "lost", Order: 9, Hours: "a calendar that was taken out"},
	}
	ids := func(at time.Time) (out []string) {
		for _, c := range b.Reachable(all, at) {
			out = append(out, c.ID)
		}
		return out
	}
	if got := ids(monday.Add(2 * time.Hour)); !slices.Equal(got, []string{"day", "a", "b", "c", "lost"}) {
		t.Errorf("by day %v", got)
	}
	if got := ids(monday.Add(14 * time.Hour)); !slices.Equal(got, []string{"a", "b", "c", "lost"}) {
		t.Errorf("by night %v", got)
	}
}

func TestWhatIsWrongWithPeopleIsNamedWithTheWish(t *testing.T) {
	b := book(t)
	contact := grid.Contact{Of: "point:p1", Role: grid.Occupant, Channel: grid.Voice}
	shift := grid.Shift{For: "unit:u", Person: "staff-001", From: monday}
	for want, err := range map[string]error{
		"want point:…":           b.CheckContact(&grid.Contact{Of: "p1", Role: grid.Occupant, Channel: grid.Voice}),
		"role is \"boss\"":       b.CheckContact(&grid.Contact{Of: "point:p1", Role: "boss", Channel: grid.Voice}),
		"channel is \"telex\"":   b.CheckContact(&grid.Contact{Of: "point:p1", Role: grid.Occupant, Channel: "telex"}),
		"want 0 to 999":          b.CheckContact(&grid.Contact{Of: "point:p1", Role: grid.Occupant, Channel: grid.Voice, Order: -1}),
		"hours: ":                b.CheckContact(&grid.Contact{Of: "point:p1", Role: grid.Occupant, Channel: grid.Voice, Hours: "never"}),
		"want unit:…, seat:…":    b.CheckRoster(&grid.Roster{ID: "r", For: "point:p"}),
		"person is missing":      b.CheckShift(&grid.Shift{For: "unit:u", From: monday}),
		"from is missing":        b.CheckShift(&grid.Shift{For: "unit:u", Person: "x"}),
		"want a time after from": b.CheckShift(&grid.Shift{For: "unit:u", Person: "x", From: monday, To: monday}),
		"want both":              b.CheckShift(&grid.Shift{For: "unit:u", Person: "x", From: monday, Every: time.Hour}),
		"not longer than":        b.CheckShift(&grid.Shift{For: "unit:u", Person: "x", From: monday, Every: time.Hour, Length: 2 * time.Hour}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
	if b.CheckContact(&contact) != nil || b.CheckShift(&shift) != nil || b.CheckRoster(&grid.Roster{ID: "r", For: "seat:desk"}) != nil {
		t.Error("what is right is refused")
	}
	if (*Book)(nil).CheckContact(&contact) != nil {
		t.Error("without calendars, a contact of all hours is refused")
	}
}

func TestAMaskedNumberCannotBeCalled(t *testing.T) {
	for number, want := range map[string]string{"00000000017": "000****17", "000": "****", "": "****", "+860000000099": "+86****99"} {
		if got := Mask(number); got != want {
			t.Errorf("%q is shown as %q, want %q", number, got, want)
		}
	}
}

func TestWhatMayBeANumberIsHidden(t *testing.T) {
	for text, want := range map[string]string{
		"callee 00000000017 answered": "callee **** answered", "+86 000-0000-0017": "****", "room 301, floor 12": "room 301, floor 12",
		"(000) 0000 017": "(****", "key 1": "key 1", "": "",
	} {
		if got := HideNumbers(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
