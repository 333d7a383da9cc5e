package ticket

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

const worked = `
plans:
  device.offline:
    calls:
      - {tier: 2, units: [maintenance], after: 0s, lead: true}
      - {tier: 4, units: [operator]}
    clocks: {handle: {work_day: 2}, accept: {work_hour: 4}, total: {work_day: 5}}
    check: {normal: 0s}
`

func workedPlan(t *testing.T) *Plan {
	t.Helper()
	ps, err := ParsePlans("tickets.yaml", []byte(worked), office(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := ps.For(grid.EventDeviceOffline)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shanghai reads a time of 2026 in Shanghai.
func shanghai(t *testing.T, s string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	v, err := time.ParseInLocation("2006-01-02 15:04", "2026-"+s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func clockOf(t *testing.T, tk *grid.Ticket, name string) grid.Clock {
	t.Helper()
	c := findClock(tk, name)
	if c == nil {
		t.Fatalf("no clock %s", name)
	}
	return *c
}

func TestAHolidayMovesADeadline(t *testing.T) {
	p := workedPlan(t)
	crew := grid.Unit{ID: "crew", Kind: grid.Maintenance, Tier: 2, Mode: grid.Live}
	// Wednesday 30 September, an hour before the end of the day; National Day is off until the
	// 7th, and Saturday the 10th is worked.
	tk, res := Open(Opening{ID: "t", Type: grid.EventDeviceOffline, Priority: 4, Mode: grid.Live, At: shanghai(t, "09-30 16:00")}, p, []grid.Unit{crew})
	handle := clockOf(t, &tk, ClockHandle)
	if want := shanghai(t, "10-09 16:00"); !handle.Due.Equal(want) || handle.Calendar != "office" {
		t.Fatalf("two work days end %s by calendar %q, want %s by office", handle.Due, handle.Calendar, want)
	}
	if want := shanghai(t, "10-08 16:00"); !handle.Half.Equal(want) {
		t.Errorf("half of them is over %s, want %s", handle.Half, want)
	}
	if want := shanghai(t, "10-13 16:00"); !tk.Due.Equal(want) { // 30 Sep 1 h, 8, 9, 10, 12, and 7 h of the 13th
		t.Errorf("five work days end %s, want %s", tk.Due, want)
	}
	// accept: 4 work hours: 1 on the 30th, 3 on the 8th. Nobody is warned in the holiday.
	if want := shanghai(t, "10-08 10:00"); !res.Wake.Equal(want) {
		t.Errorf("it wakes %s, want %s", res.Wake, want)
	}
	if r, next := Tick(&tk, p, shanghai(t, "10-05 12:00"), Context{}); r.Changed || !next.Equal(shanghai(t, "10-08 10:00")) {
		t.Errorf("in the holiday it says %+v and wakes %s", r.Moves, next)
	}
	Tick(&tk, p, shanghai(t, "10-08 10:00"), Context{})
	if got := clockOf(t, &tk, ClockAccept).Warned; got != 50 {
		t.Errorf("half of the time to accept: told %d %%, want 50", got)
	}
}

func TestTheStreetIsToldAtEightyPercentAndTheDistrictAtTheEnd(t *testing.T) {
	p := builtIn(t, grid.EventDoorHeldOpen) // four hours to handle it, six in all
	desk := func(id, street string) grid.Unit {
		return grid.Unit{ID: id, Kind: grid.Operator, Tier: 4, Mode: grid.Live, Scope: grid.Scope{District: "310105", Street: street}}
	}
	c := Context{Units: []grid.Unit{
		{ID: "house", Kind: grid.Property, Tier: 2, Mode: grid.Live}, desk("here", "310105006"), desk("elsewhere", "310105004"), desk("district", ""),
	}}
	tk, _ := Open(Opening{ID: "t", Type: grid.EventDoorHeldOpen, Priority: 3, Mode: grid.Live, Scope: grid.Scope{District: "310105", Street: "310105006"}, At: t0}, p, c.Units)
	told := map[string]time.Duration{}
	for after := time.Duration(0); after <= 5*time.Hour; after += time.Minute {
		r, _ := Tick(&tk, p, t0.Add(after), c)
		for _, m := range r.Messages {
			if _, before := told[m.Unit]; !before && m.Type == MessageEscalated {
				told[m.Unit] = after
			}
		}
	}
	if told["here"] != 192*time.Minute || told["district"] != 4*time.Hour {
		t.Errorf("first told: %v, want the street's desk after 3h12m and the district's after 4h", told)
	}
	if _, wrong := told["elsewhere"]; wrong {
		t.Error("the desk of another street is told")
	}
}

func TestASuspendedClockGoesOnWithTheWorkTimeItHadLeft(t *testing.T) {
	p := workedPlan(t)
	crew := grid.Unit{ID: "crew", Kind: grid.Maintenance, Tier: 2, Mode: grid.Live}
	units := Context{Units: []grid.Unit{crew}}
	tk, _ := Open(Opening{ID: "t", Type: grid.EventDeviceOffline, Priority: 4, Mode: grid.Live, At: shanghai(t, "09-28 09:00")}, p, units.Units)
	move := func(verb grid.Verb, at string, m grid.Move) {
		t.Helper()
		m.Verb, m.At = verb, shanghai(t, at)
		if m.By.Role == "" {
			m.By = unitActor("crew")
		}
		if _, err := Apply(&tk, m, p, units); err != nil {
			t.Fatal(err)
		}
	}
	move(grid.VerbAccept, "09-28 09:30", grid.Move{})
	move(grid.VerbArrive, "09-28 10:00", grid.Move{})
	// Twelve of sixteen hours are left, and half is not over; it goes on after the holiday.
	move(grid.VerbSuspend, "09-28 13:00", grid.Move{By: supervisor, Reason: "part is ordered", Until: shanghai(t, "10-03 12:00")})
	r, _ := Tick(&tk, p, shanghai(t, "10-03 12:00"), units)
	if !r.Changed {
		t.Fatal("the end of the suspension changes nothing")
	}
	handle := clockOf(t, &tk, ClockHandle)
	if want := shanghai(t, "10-09 13:00"); !handle.Due.Equal(want) {
		t.Errorf("it is due %s, want %s", handle.Due, want)
	}
	if want := shanghai(t, "10-08 13:00"); !handle.Half.Equal(want) {
		t.Errorf("half is over %s, want %s", handle.Half, want)
	}
	if !handle.Stopped.IsZero() {
		t.Error("the clock still stands")
	}
}
