package contractor_test

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/contractor"
	"gridgate/internal/grid"
)

// rules are the ones that come along, with the calendars of China.
func rules(t *testing.T) *contractor.Rules {
	t.Helper()
	read := func(name string) []byte {
		b, err := configs.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	calendars, err := calendar.Parse("calendars.yaml", read("calendars.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := contractor.Parse("contractors.yaml", read("contractors.yaml"), calendars)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ending(point, building string, days float64, change ...func(*contractor.Ending)) contractor.Ending {
	e := contractor.Ending{
		BatteryEnd: grid.BatteryEnd{Device: grid.Identity("sn:" + point), Profile: "milesight/em310-tilt@2", Point: point, Days: days},
		Point:      grid.Point{ID: point, Name: "name of " + point, Building: building, Lon: 121.4, Lat: 31.2, Scope: grid.Scope{District: "310105"}},
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func TestASeasonSaysWhatToBuyAndWhenEachBuildingIsVisited(t *testing.T) {
	r := rules(t)
	all := []contractor.Ending{
		ending("p-1", "b-1", 5), ending("p-2", "b-1", 40),
		ending("p-3", "b-2", 30, func(e *contractor.Ending) { e.Own = grid.Battery{Type: "CR123A", Cells: 3} }),
		ending("p-4", "b-3", 0, func(e *contractor.Ending) { e.Profile, e.Low = "nobody/knows@1", true }),
		ending("p-5", "b-4", 10, func(e *contractor.Ending) { e.Round = "R1" }),
		ending("p-6", "b-5", 55),
	}
	s := r.SeasonOf(all, []contractor.Day{day(0), day(1), day(2)}, 1, 60, now)
	if want := []contractor.BatteryCount{{Type: "CR123A", Count: 3}, {Type: "ER17505", Count: 8}, {Type: contractor.UnknownBattery, Count: 1}}; !reflect.DeepEqual(s.Buy, want) {
		t.Errorf("to buy: %+v, want %+v", s.Buy, want)
	}
	var order []string
	for _, b := range s.Buildings {
		order = append(order, b.Place+" "+b.Day)
	}
	if want := []string{"b-3 " + day(0).Name, "b-1 " + day(1).Name, "b-2 " + day(2).Name, "b-4 ", "b-5 "}; !slices.Equal(order, want) {
		t.Errorf("visited %q, want %q: the first to end first, what is in a round and what is left last", order, want)
	}
	if s.Points != 6 || s.InRounds != 1 || len(s.Left) != 1 || s.Left[0].Point != "p-6" {
		t.Errorf("%d points, %d in rounds, left %+v", s.Points, s.InRounds, s.Left)
	}
	if len(s.Late) != 1 || s.Late[0].Point != "p-4" {
		t.Errorf("end before their day: %+v, want what is low now", s.Late)
	}
	if d := s.Days[1]; d.Points != 2 || d.Buildings != 1 || !reflect.DeepEqual(d.Batteries, []contractor.BatteryCount{{Type: "ER17505", Count: 4}}) {
		t.Errorf("the second day is %+v", d)
	}
	slices.Reverse(all)
	if again := r.SeasonOf(all, []contractor.Day{day(0), day(1), day(2)}, 1, 60, now); !reflect.DeepEqual(s, again) {
		t.Errorf("the same batteries in another order:\n%+v\n%+v", s, again)
	}
	lines := table(t, func(w io.Writer) error { return r.WriteSeasonCSV(w, &s) })
	if len(lines) != 6 || lines[0]["Point"] != "p-4" || lines[1]["Battery"] != "ER17505" || lines[1]["Count"] != "2" || lines[1]["Days left"] != "5" || lines[4]["Round"] != "R1" || lines[4]["Day"] != "" {
		t.Errorf("the table is %v", lines)
	}
}

// A battery that ends at two in the morning in Shanghai ends on that day, not on the one before
// as London has it.
func TestDaysOfListsAreThoseOfShanghai(t *testing.T) {
	r := rules(t)
	night := time.Date(2026, 11, 25, 18, 30, 0, 0, time.UTC)
	s := contractor.Season{Buildings: []contractor.SeasonBuilding{{Points: []contractor.SeasonPoint{{Ends: night}}}}}
	if l := table(t, func(w io.Writer) error { return r.WriteSeasonCSV(w, &s) }); l[0]["Ends"] != "2026-11-26" {
		t.Errorf("ends %s, want 2026-11-26", l[0]["Ends"])
	}
	d := grid.Round{Until: night, Stops: []grid.Stop{{Jobs: []grid.Job{{Due: night}}}}}
	for name, r := range map[string]*contractor.Rules{"with calendars": r, "without": {}} {
		if l := table(t, func(w io.Writer) error { return r.WriteRoundCSV(w, &d) }); l[0]["Due"] != "2026-11-26 02:30" {
			t.Errorf("%s: due %s, want 2026-11-26 02:30", name, l[0]["Due"])
		}
	}
}

func TestARoundIsATableInTheOrderOfItsWay(t *testing.T) {
	r := rules(t)
	d := grid.Round{ID: "R1", Unit: "wb-1", Day: "2026-11-24", Stops: []grid.Stop{
		{N: 1, Place: "弄 5 号", State: grid.StopDone, Note: "@all fine", Jobs: []grid.Job{
			{Ticket: "T1", Type: grid.EventBatteryLow, Point: "p-1", Device: "eui:01", Floor: "3", Battery: "2 × ER17505", State: grid.JobDone},
			{Ticket: "T2", Type: grid.EventDeviceTamper, Point: "p-2", State: grid.JobLeft, Why: "=no time", Late: true},
		}},
		{N: 2, LegM: 412.4, Place: "lane 7", State: grid.StopOpen, Jobs: []grid.Job{{Type: grid.EventBatteryLow, Point: "p-3", Battery: "3 × CR123A", State: grid.JobOpen}}},
	}}
	lines := table(t, func(w io.Writer) error { return r.WriteRoundCSV(w, &d) })
	var order []string
	for _, l := range lines {
		order = append(order, l["Stop"]+" "+l["Point"]+" "+l["State"])
	}
	if want := []string{"1 p-1 done done", "1 p-2 done left", "2 p-3 open open"}; !slices.Equal(order, want) {
		t.Errorf("lines are %q, want %q", order, want)
	}
	if l := lines[0]; l["Bring"] != "梯子、螺丝刀、2 × ER17505 / ladder, screwdriver, 2 × ER17505" || l["Note"] != "'@all fine" {
		t.Errorf("the first line is %v", l)
	}
	if l := lines[1]; l["Late"] != "是 / yes" || l["Note"] != "'=no time" {
		t.Errorf("the second line is %v", l)
	}
	if got := fmt.Sprint(contractor.Total(&d)); got != "[{CR123A 3}]" {
		t.Errorf("to bring: %s, want what is still to be done alone", got)
	}
}

func TestNoRoundIsPlannedForAHoliday(t *testing.T) {
	r := rules(t)
	days, err := contractor.WorkDays(r.Calendar, r.Zone(), "2026-09-30", 3)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range days {
		names = append(names, d.Name)
	}
	if want := []string{"2026-09-30", "2026-10-08", "2026-10-09"}; !slices.Equal(names, want) {
		t.Errorf("planned %q, want %q: not the National Day week", names, want)
	}
	if end := days[0].End.In(r.Zone()); end.Hour() != 0 || end.Day() != 1 {
		t.Errorf("the first day ends %s, want midnight in its zone", end)
	}
	if _, err := contractor.WorkDays(nil, r.Zone(), "24.11.2026", 1); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a day in other words: %v", err)
	}
}

func TestBuildingsAreToldApart(t *testing.T) {
	at := func(compound, building, address, id string) string {
		return contractor.KeyOf(&grid.Point{ID: id, Building: building, Address: address, Scope: grid.Scope{Compound: compound}})
	}
	for _, c := range []struct {
		about string
		a, b  string
		same  bool
	}{
		{"a building", at("c-1", "5", "", "a"), at("c-1", "5", "another spelling", "b"), true},
		{"the same number in another compound", at("c-1", "5", "", "a"), at("c-2", "5", "", "b"), false},
		{"an address", at("", "", "Road 1", "a"), at("", "", "Road 1", "b"), true},
		{"neither", at("", "", "", "a"), at("", "", "", "b"), false},
	} {
		if (c.a == c.b) != c.same {
			t.Errorf("%s: %s and %s", c.about, c.a, c.b)
		}
	}
}

func TestNothingJoinsAStopThatHasEnded(t *testing.T) {
	round := grid.Round{ID: "R", Day: day(0).Name, Until: day(0).End, Stops: []grid.Stop{{N: 1, Key: "b-1", State: grid.StopNoEntry}, {N: 2, Key: "b-2", State: grid.StopOpen}}}
	p := contractor.Plan([]contractor.Candidate{work("a", "b-1", 121.4, 31.2, time.Time{}), work("b", "b-2", 121.4, 31.2, time.Time{})}, []grid.Round{round}, []contractor.Day{day(1)}, 5, nil)
	if len(p.Joined) != 1 || p.Joined[0].Key != "b-2" || len(p.Rounds) != 1 || p.Rounds[0].Stops[0].Key != "b-1" {
		t.Errorf("joined %+v, planned %+v", p.Joined, p.Rounds)
	}
}
