package figures_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
)

var (
	north = grid.Scope{District: "310105", Street: "310105001", Community: "310105001001", Compound: "c1"}
	south = grid.Scope{District: "310105", Street: "310105002", Community: "310105002001", Compound: "c2"}
)

// november is a month small enough to be counted by hand. What is not of it is there to be
// left out.
func november(t testing.TB) *rows {
	when := func(s string) time.Time { return at(t, s) }
	c3 := north
	c3.Compound = "c3"
	r := &rows{unrecorded: 1}
	add := func(m grid.TicketMarks) { r.tickets = append(r.tickets, m) }
	add(grid.TicketMarks{ // as it should be
		Ticket: "T1", Type: grid.EventSmokeAlarm, Kind: grid.Smoke, Priority: 1, Scope: north, Point: "p1", Unit: "u1", Profile: "a/one", State: grid.TicketClosed, Verification: grid.VerifiedTrue,
		Occurred: when("11-03 09:59:58"), Opened: when("11-03 10:00"), Told: when("11-03 10:00:01"), Acked: when("11-03 10:00:20"), Filed: when("11-03 10:00"), Dispatched: when("11-03 10:00"),
		Accepted: when("11-03 10:00:30"), Arrived: when("11-03 10:03"), Handled: when("11-03 10:08"), Checked: when("11-03 10:40"), Ended: when("11-03 10:40"),
		HandleDue: when("11-03 10:10"), Due: when("11-03 13:00"),
	})
	add(grid.TicketMarks{ // returned, late, done again, closed late
		Ticket: "T2", Type: grid.EventManholeOpen, Kind: grid.Manhole, Priority: 1, Scope: north, Point: "p2", Unit: "u2", Profile: "a/two", State: grid.TicketClosed, Verification: grid.Unverified, Returns: 1, Rework: 1,
		Opened: when("11-04 08:00"), Filed: when("11-04 08:00"), Dispatched: when("11-04 08:00"), Accepted: when("11-04 08:30"), Arrived: when("11-04 09:00"), Handled: when("11-04 11:00"),
		Checked: when("11-04 12:00"), Ended: when("11-04 15:00"), HandleDue: when("11-04 13:00"), Late: true, Due: when("11-04 14:00"),
	})
	add(grid.TicketMarks{ // a false alarm
		Ticket: "T3", Type: grid.EventSmokeAlarm, Kind: grid.Smoke, Priority: 1, Scope: south, Point: "p3", Unit: "u1", Profile: "a/one", State: grid.TicketCancelled, Verification: grid.Unverified,
		Opened: when("11-10 10:00"), Filed: when("11-10 10:00"), Dispatched: when("11-10 10:00"), Ended: when("11-10 10:05"), Held: true, HandleDue: when("11-10 10:10"), Due: when("11-10 13:00"),
	})
	add(grid.TicketMarks{ // a report of the same cause
		Ticket: "T4", Type: grid.EventDoorHeldOpen, Kind: grid.Door, Priority: 3, Scope: south, Point: "p4", Unit: "u3", State: grid.TicketMerged, Verification: grid.VerifiedTrue,
		Opened: when("11-12 10:00"), Filed: when("11-12 10:00"), Dispatched: when("11-12 10:00"), Accepted: when("11-12 10:01"), Ended: when("11-12 10:05"), HandleDue: when("11-12 14:00"), Due: when("11-12 16:00"),
	})
	add(grid.TicketMarks{ // closed by force, nothing was done
		Ticket: "T5", Type: grid.EventParkingOverstay, Kind: grid.Parking, Priority: 3, Scope: south, Point: "p5", Unit: "u3", State: grid.TicketForcedClose, Verification: grid.Unverified,
		Opened: when("11-20 09:00"), Filed: when("11-20 09:00"), Dispatched: when("11-20 09:00"), Ended: when("11-25 09:00"), Held: true, HandleDue: when("11-20 11:00"), Due: when("11-21 09:00"),
	})
	add(grid.TicketMarks{ // open, nothing is due yet; the one before it is long ago
		Ticket: "T6", Type: grid.EventManholeTilted, Kind: grid.Manhole, Priority: 3, Scope: c3, Point: "p6", Unit: "u2", State: grid.TicketDispatched, Verification: grid.VerifiedUnable,
		Opened: when("11-28 09:00"), Filed: when("11-28 09:00"), Dispatched: when("11-28 09:00"), HandleDue: when("12-01 09:00"), Due: when("12-02 09:00"), Previous: when("10-10 09:00"),
	})
	add(grid.TicketMarks{ // suspended: its handle clock stands still, the total does not
		Ticket: "T7", Type: grid.EventDeviceOffline, Kind: grid.Smoke, Priority: 4, Scope: c3, Point: "p7", Unit: "u4", State: grid.TicketSuspended, Verification: grid.Unverified,
		Opened: when("11-15 09:00"), Filed: when("11-15 09:00"), Dispatched: when("11-15 09:00"), Held: true, HandleDue: when("11-18 09:00"), Due: when("11-20 09:00"),
	})
	add(grid.TicketMarks{ // of October, due and closed in November
		Ticket: "T8", Type: grid.EventSmokeFault, Kind: grid.Smoke, Priority: 4, Scope: south, Point: "p8", Unit: "u4", State: grid.TicketClosed, Verification: grid.Unverified,
		Opened: when("10-30 09:00"), Filed: when("10-30 09:00"), Dispatched: when("10-30 09:00"), Handled: when("10-31 09:00"), Checked: when("11-01 08:00"), Ended: when("11-01 08:00"),
		HandleDue: when("11-01 10:00"), Due: when("11-02 09:00"),
	})
	add(grid.TicketMarks{ // not filed, at the point of T1
		Ticket: "T9", Type: grid.EventSmokeAlarm, Kind: grid.Smoke, Priority: 1, Scope: north, Point: "p1", State: grid.TicketNotFiled, Verification: grid.VerifiedFalse, Profile: "a/one",
		Opened: when("11-16 09:00"), Ended: when("11-16 09:05"), Due: when("11-16 12:00"), Previous: when("11-03 10:00"),
	})
	add(grid.TicketMarks{ // forgotten since October
		Ticket: "T10", Type: grid.EventManholeOpen, Kind: grid.Manhole, Priority: 1, Scope: south, Point: "p10", Unit: "u2", State: grid.TicketDispatched, Verification: grid.Unverified,
		Opened: when("10-20 10:00"), Filed: when("10-20 10:00"), Dispatched: when("10-20 10:00"), HandleDue: when("10-20 12:00"), Due: when("10-20 14:00"),
	})
	act := func(s, point string, p grid.Priority, again bool) {
		r.activations = append(r.activations, grid.Activation{At: when(s), Type: grid.EventSmokeAlarm, Kind: grid.Smoke, Point: point, Priority: p, Scope: north, Again: again})
	}
	act("11-05 10:00:00", "p1", 1, false) // three in 50 s
	act("11-05 10:00:20", "p1", 1, true)
	act("11-05 10:00:50", "p1", 1, true)
	act("11-06 10:00:00", "p2", 2, false) // three in 90 s
	act("11-06 10:00:45", "p2", 2, false)
	act("11-06 10:01:30", "p2", 2, false)
	for i := range 31 { // more than 10 for each of 3 operators
		act(fmt.Sprintf("11-07 10:%02d:%02d", i/6, i%6*10), fmt.Sprint("f", i), 3, false)
	}
	for i := range 30 { // just so many
		act(fmt.Sprintf("11-07 10:%02d:%02d", 10+i/6, i%6*10), fmt.Sprint("g", i), 4, false)
	}
	act("12-01 00:00", "p1", 1, false)
	stand := func(typ grid.EventType, device grid.Identity, raised, returned string) {
		s := grid.Standing{Type: typ, Kind: grid.Smoke, Point: string(device), Device: device, Scope: north, Raised: when(raised)}
		if returned != "" {
			s.Returned = when(returned)
		}
		r.standings = append(r.standings, s)
	}
	stand(grid.EventManholeTilted, "d8", "11-10 08:00", "11-12 09:00") // stale at the end of the 11th
	stand(grid.EventManholeTilted, "d9", "11-10 12:00", "")            // and this one from then on
	stand(grid.EventManholeTilted, "d7", "11-11 20:00", "11-13 08:00") // four hours old at the end of the 11th
	stand(grid.EventDeviceOffline, "d1", "11-20 09:00", "11-20 10:00")
	stand(grid.EventDeviceOffline, "d2", "11-29 09:00", "")
	stand(grid.EventDeviceOffline, "d3", "12-02 09:00", "")
	r.fleet = []grid.Fleet{{Scope: north, Kind: grid.Smoke, Count: 6}, {Scope: south, Kind: grid.Smoke, Count: 4}}
	return r
}

func TestEachFigureOfASmallMonthIsAsCountedByHand(t *testing.T) {
	r := builtIn(t)
	r.Top = 1
	b := must[figures.Board](t)(r.Board(t.Context(), november(t), figures.Ask{At: at(t, "11-15 00:00")}, at(t, "12-05 00:00")))
	want := map[string]string{
		"reported": "8", "filing": "7/8", "dispatch_accuracy": "5/6", "on_time_handling": "2/4", "closing": "3/5", "on_time_closing": "2/5",
		"rework": "1/3", "check_pass": "3/4", "overdue": "2", "overdue_p1": "1", "repeat": "1/8", "top_share": "3/8", "false_alarm": "2/4",
		"merged": "1", "forced": "1", "load_10min": "67/12960", "load_hour": "67/2160", "flood_share": "1/4320", "chattering": "1", "stale": "2",
		"priority_high": "1/65", "priority_medium": "3/65", "priority_low": "61/65", "unauthorised_suppression": "1", "online": "9/10", "supervision": "8/10",
	}
	got := map[string]string{}
	for _, f := range b.Whole.Figures {
		got[f.Key] = fmt.Sprint(f.Numerator)
		value := f.Numerator
		if f.Denominator != nil {
			got[f.Key] += "/" + fmt.Sprint(*f.Denominator)
			value /= *f.Denominator
		}
		if f.Value == nil || *f.Value != value {
			t.Errorf("%s: value %v, want %v", f.Key, f.Value, value)
		}
		if target := r.Targets[f.Key]; target.AtLeast != nil && *f.Met != (value >= *target.AtLeast) || target.AtMost != nil && *f.Met != (value <= *target.AtMost) {
			t.Errorf("%s: met is %v at %v", f.Key, *f.Met, value)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("figures (+ is what was counted):\n%s", d)
	}
	var wrong []string
	for _, x := range b.Whole.FalseAlarms {
		wrong = append(wrong, fmt.Sprintf("%s %s %v/%v", x.By, x.Of, x.Figure.Numerator, *x.Figure.Denominator))
	}
	if d := cmp.Diff([]string{"kind manhole 0/1", "kind smoke 2/3", "profile a/one 2/3", "profile a/two 0/1"}, wrong); d != "" {
		t.Errorf("false alarms (+):\n%s", d)
	}
}

func TestTheTimeLadderHasTimesThatWereTaken(t *testing.T) {
	r := builtIn(t)
	b := must[figures.Board](t)(r.Board(t.Context(), november(t), figures.Ask{At: at(t, "11-15 00:00")}, at(t, "12-05 00:00")))
	got := map[string]string{}
	for _, x := range b.Whole.Ladder {
		got[x.Key] = fmt.Sprint(x.Count)
		if x.P50 != nil {
			got[x.Key] += fmt.Sprintf(" %v %v %v", *x.P50, *x.P90, *x.P99)
		}
	}
	// T1 and T2 alone went on; T4 is another ticket's work.
	want := map[string]string{
		"occur_receive": "1 2s 2s 2s", "receive_tell": "1 1s 1s 1s", "receive_ack": "1 20s 20s 20s", "receive_accept": "2 30s 30m0s 30m0s",
		"accept_arrive": "2 2m30s 30m0s 30m0s", "arrive_handle": "2 5m0s 2h0m0s 2h0m0s", "handle_close": "2 32m0s 4h0m0s 4h0m0s", "receive_close": "2 40m0s 7h0m0s 7h0m0s",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ladder (+):\n%s", d)
	}
	many := &rows{}
	for i := range 100 {
		opened := at(t, "11-02 10:00")
		many.tickets = append(many.tickets, grid.TicketMarks{Opened: opened, Told: opened.Add(time.Duration((i*37)%100+1) * time.Second)})
	}
	b = must[figures.Board](t)(r.Board(t.Context(), many, figures.Ask{At: at(t, "11-15 00:00")}, at(t, "12-05 00:00")))
	if x := b.Whole.Ladder[1]; *x.P50 != 50 || *x.P90 != 90 || *x.P99 != 99 {
		t.Errorf("of 1 to 100 s: P50 %v, P90 %v, P99 %v", *x.P50, *x.P90, *x.P99)
	}
}

func TestWithoutDataThereIsNoFigure(t *testing.T) {
	r := builtIn(t)
	b := must[figures.Board](t)(r.Board(t.Context(), &rows{}, figures.Ask{Compare: true}, at(t, "12-05 00:00")))
	for _, f := range b.Whole.Figures {
		if f.Denominator != nil && *f.Denominator == 0 && (f.Value != nil || f.Met != nil || f.Note != "not enough data" || f.Previous.Change != nil) {
			t.Errorf("%s of nothing: value %v, met %v, note %q", f.Key, f.Value, f.Met, f.Note)
		}
		if f.Share && f.Key != "flood_share" && f.Value != nil {
			t.Errorf("%s of nothing has the value %v", f.Key, *f.Value)
		}
	}
	doc := string(must[[]byte](t)(json.Marshal(figure(t, b.Whole, "closing"))))
	if strings.Contains(doc, `"value"`) || !strings.Contains(doc, "not enough data") {
		t.Errorf("a figure of nothing reads %s", doc)
	}
}

func TestAMonthThatIsNotOverCountsWhatIsDueByNow(t *testing.T) {
	r := builtIn(t)
	b := must[figures.Board](t)(r.Board(t.Context(), november(t), figures.Ask{}, at(t, "11-04 12:30")))
	for key, want := range map[string][2]float64{"reported": {2, -1}, "on_time_handling": {2, 2}, "closing": {2, 2}, "overdue": {1, -1}} {
		f := figure(t, b.Whole, key)
		if f.Numerator != want[0] || f.Denominator != nil && *f.Denominator != want[1] {
			t.Errorf("%s is %v of %v, want %v", key, f.Numerator, f.Denominator, want)
		}
	}
	if f := figure(t, b.Whole, "load_10min"); f.Note == "" {
		t.Error("a load of four days has no note that its target asks for thirty")
	}
}

// randomRows makes rows over three months, all of them fit for every grouping.
func randomRows(t *testing.T, rnd *rand.Rand) *rows {
	r := &rows{}
	states := []grid.TicketState{grid.TicketDispatched, grid.TicketClosed, grid.TicketClosed, grid.TicketMerged, grid.TicketCancelled, grid.TicketForcedClose, grid.TicketNotFiled, grid.TicketSuspended}
	types := []grid.EventType{grid.EventSmokeAlarm, grid.EventManholeOpen, grid.EventDeviceOffline, grid.EventDoorHeldOpen}
	kinds := []grid.Kind{grid.Smoke, grid.Manhole, grid.Smoke, grid.Door}
	scope := func() grid.Scope {
		s := []grid.Scope{north, south}[rnd.IntN(2)]
		s.Compound = fmt.Sprint("c", rnd.IntN(4))
		s.Community = s.Street + fmt.Sprintf("%03d", rnd.IntN(3))
		return s
	}
	start := at(t, "10-01 00:00")
	later := func(from time.Time, most time.Duration) time.Time {
		if rnd.IntN(4) == 0 {
			return time.Time{}
		}
		return from.Add(time.Duration(rnd.Int64N(int64(most))))
	}
	for i := range 400 {
		k := rnd.IntN(len(types))
		opened := start.Add(time.Duration(rnd.Int64N(int64(90 * 24 * time.Hour))))
		m := grid.TicketMarks{
			Ticket: fmt.Sprint(i), Type: types[k], Kind: kinds[k], Priority: grid.Priority(1 + rnd.IntN(4)), Scope: scope(), Cell: fmt.Sprint("cell", rnd.IntN(3)), Point: fmt.Sprint("p", rnd.IntN(30)),
			Unit: fmt.Sprint("u", rnd.IntN(4)), Profile: fmt.Sprint("m/", rnd.IntN(3)), State: states[rnd.IntN(len(states))], Verification: []grid.Verification{grid.Unverified, grid.VerifiedTrue, grid.VerifiedFalse}[rnd.IntN(3)],
			Rework: rnd.IntN(3) / 2, Returns: rnd.IntN(3) / 2, Opened: opened, Filed: later(opened, time.Hour), Dispatched: later(opened, time.Hour), Accepted: later(opened, time.Hour), Handled: later(opened, 9*time.Hour),
			Checked: later(opened, 48*time.Hour), HandleDue: later(opened, 9*time.Hour), Due: later(opened, 99*time.Hour), Held: rnd.IntN(4) == 0, Late: rnd.IntN(4) == 0, Previous: later(opened.AddDate(0, 0, -60), 59*24*time.Hour),
		}
		if m.State.Ended() {
			m.Ended = opened.Add(time.Duration(rnd.Int64N(int64(99 * time.Hour))))
		}
		r.tickets = append(r.tickets, m)
		r.activations = append(r.activations, grid.Activation{At: opened, Type: m.Type, Kind: m.Kind, Point: m.Point + string(m.Type) + m.Compound + m.Street + m.Community + m.Cell, Priority: m.Priority, Scope: m.Scope, Cell: m.Cell, Again: rnd.IntN(3) == 0})
		r.standings = append(r.standings, grid.Standing{Type: m.Type, Kind: m.Kind, Point: m.Point, Device: grid.Identity(m.Point + m.Street + m.Compound + m.Community), Scope: m.Scope, Cell: m.Cell, Raised: opened, Returned: later(opened, 99*time.Hour)})
		r.fleet = append(r.fleet, grid.Fleet{Scope: m.Scope, Kind: m.Kind, Count: rnd.IntN(40) + 10})
	}
	slices.SortFunc(r.activations, func(a, b grid.Activation) int { return a.At.Compare(b.At) })
	return r
}

func TestFiguresOfThePartsAddUpToTheWhole(t *testing.T) {
	r := builtIn(t)
	// Of these the parts have a length of their own, or the whole is no sum.
	notASum := []string{"top_share", "stale", "flood_share", "load_10min", "load_hour", "chattering", "unauthorised_suppression"}
	for seed := range uint64(20) {
		src := randomRows(t, rand.New(rand.NewPCG(seed, 5)))
		for _, by := range []string{"district", "street", "community", "compound", "cell", "unit", "kind", "type", "priority", "profile", "hour"} {
			b := must[figures.Board](t)(r.Board(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00"), By: by}, at(t, "11-20 12:00")))
			sums := map[string][2]float64{}
			for _, g := range b.Parts {
				for _, f := range g.Figures {
					s := sums[f.Key]
					s[0] += f.Numerator
					if f.Denominator != nil {
						s[1] += *f.Denominator
					}
					sums[f.Key] = s
				}
			}
			for _, f := range b.Whole.Figures {
				s, there := sums[f.Key]
				if !there || slices.Contains(notASum, f.Key) {
					continue
				}
				if den := f.Denominator; s[0] != f.Numerator || den != nil && s[1] != *den {
					t.Fatalf("seed %d, %s by %s: parts have %v, the whole has %v of %v", seed, f.Key, by, s, f.Numerator, den)
				}
			}
			if f := figure(t, b.Whole, "reported"); sums["reported"][0] == 0 || f.Numerator == 0 {
				t.Fatalf("seed %d by %s: nothing was counted", seed, by)
			}
			if by == "hour" {
				hours := 0.0
				for _, g := range b.Parts {
					hours += *figure(t, g, "load_hour").Denominator
				}
				if whole := *figure(t, b.Whole, "load_hour").Denominator; len(b.Parts) == 24 && math.Abs(hours-whole) > 1e-6 {
					t.Errorf("hours of the day have %v operator hours, the whole has %v", hours, whole)
				}
			}
		}
	}
}

func TestAUnitSeesFiguresOfItsTicketsAlone(t *testing.T) {
	r := builtIn(t)
	b := must[figures.Board](t)(r.Board(t.Context(), november(t), figures.Ask{At: at(t, "11-15 00:00"), Unit: "u1", By: "street"}, at(t, "12-05 00:00")))
	for _, f := range b.Whole.Figures {
		if slices.Contains([]string{"load_hour", "online", "stale", "unauthorised_suppression"}, f.Key) {
			t.Errorf("a unit has the figure %s", f.Key)
		}
	}
}

func TestChangesAreAgainstThePeriodBeforeAndTheYearBefore(t *testing.T) {
	r := builtIn(t)
	src := &rows{}
	open := func(s string, filed bool) {
		m := grid.TicketMarks{Opened: at(t, s)}
		if filed {
			m.Filed = m.Opened
		}
		src.tickets = append(src.tickets, m)
	}
	open("11-02 10:00", true)
	open("11-20 10:00", false)
	open("10-02 10:00", true)
	open("10-31 10:00", true) // the 20 days and some hours that are counted end before
	open("2025-11-03 10:00", true)
	open("2025-11-03 10:00", false)
	open("2025-11-04 10:00", true)
	open("2025-11-05 10:00", true)
	b := must[figures.Board](t)(r.Board(t.Context(), src, figures.Ask{Compare: true}, at(t, "11-21 10:00")))
	f := figure(t, b.Whole, "filing")
	if *f.Value != 0.5 || *f.Previous.Value != 1 || *f.Previous.Change != -0.5 || *f.Previous.Relative != -0.5 || *f.YearAgo.Value != 0.75 || *f.YearAgo.Change != -0.25 {
		t.Errorf("filing %v, before %+v, a year ago %+v", *f.Value, *f.Previous, *f.YearAgo)
	}
	if f := figure(t, b.Whole, "reported"); *f.Previous.Value != 1 || *f.Previous.Change != 1 || *f.YearAgo.Value != 4 || *f.YearAgo.Relative != -0.5 {
		t.Errorf("reported %v, before %+v, a year ago %+v", *f.Value, *f.Previous, *f.YearAgo)
	}
}
