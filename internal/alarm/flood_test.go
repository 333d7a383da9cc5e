package alarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

var floodStart = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

func minutes(all ...float64) (out []time.Time) {
	for _, m := range all {
		out = append(out, floodStart.Add(time.Duration(m*float64(time.Minute))))
	}
	return out
}

func TestAFloodBeginsAtTenInTenMinutesAndEndsUnderFive(t *testing.T) {
	f := Flood{Enter: 10, Leave: 5, Within: 10 * time.Minute}
	ten := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, c := range []struct {
		name   string
		raised []float64
		now    float64
		since  float64 // -1: no flood
	}{
		{"nothing", nil, 0, -1},
		{"nine", ten[:9], 9, -1},
		{"the tenth", ten, 9, 9},
		{"the tenth is too late", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 10}, 10, -1},
		{"ten at once", make([]float64, 10), 0, 0},
		{"still five", ten, 14.9, 9},
		{"four left", ten, 15, -1},
		{"a second begins", append(slices.Clone(ten), 30, 30, 30, 30, 30, 30, 30, 30, 30, 31), 31, 31},
		{"it goes on with few more than five", append(slices.Clone(ten), 11, 13, 15, 17, 19, 21), 21, 9},
		{"what is yet to come counts not", ten, 8.5, -1},
	} {
		want := time.Time{}
		if c.since >= 0 {
			want = minutes(c.since)[0]
		}
		if got := f.Since(minutes(c.raised...), minutes(c.now)[0]); !got.Equal(want) {
			t.Errorf("%s: flood since %v, want %v", c.name, got, want)
		}
	}
	if got := (Flood{}).Since(minutes(make([]float64, 100)...), floodStart); !got.IsZero() {
		t.Errorf("without a limit there is a flood since %v", got)
	}
}

// floodAsTold is Since, asked anew at every moment at which something changes.
func floodAsTold(f Flood, raised []time.Time, now time.Time) (since time.Time) {
	var moments []time.Time
	for _, at := range raised {
		moments = append(moments, at, at.Add(f.Within))
	}
	slices.SortFunc(moments, time.Time.Compare)
	for _, m := range moments {
		if m.After(now) {
			break
		}
		n := 0
		for _, at := range raised {
			if !at.After(m) && at.Add(f.Within).After(m) {
				n++
			}
		}
		switch {
		case since.IsZero() && n >= f.Enter:
			since = m
		case n < f.Leave:
			since = time.Time{}
		}
	}
	return since
}

func TestAFloodIsThatOfItsDefinition(t *testing.T) {
	f := Flood{Enter: 6, Leave: 3, Within: time.Minute}
	floods := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var raised []time.Time
		at := floodStart
		for range r.IntN(40) {
			at = at.Add(time.Duration(1+r.IntN(30)) * time.Second)
			raised = append(raised, at)
		}
		now := floodStart.Add(time.Duration(r.IntN(700)) * time.Second)
		got, want := f.Since(raised, now), floodAsTold(f, raised, now)
		if !got.Equal(want) {
			t.Fatalf("seed %d: flood since %v, want %v", seed, got, want)
		}
		if !want.IsZero() {
			floods++
		}
	}
	if floods < 100 {
		t.Errorf("only %d of the cases are floods", floods)
	}
}

func oneAlarm(id string, typ grid.EventType, p grid.Priority, change ...func(*grid.Alarm)) grid.Alarm {
	a := grid.Alarm{ID: id, Type: typ, Priority: p, Point: "p-" + id, Cell: "c1", Building: "b1", Active: true, Mode: grid.Live, Raised: floodStart, AlarmDetail: grid.AlarmDetail{Revision: 1}}
	for _, f := range change {
		f(&a)
	}
	return a
}

func acked(a *grid.Alarm)   { a.Acked = true }
func latched(a *grid.Alarm) { a.Active, a.Latch = false, true }
func old(a *grid.Alarm)     { a.Raised = a.Raised.Add(-time.Hour) }
func drill(a *grid.Alarm)   { a.Mode = grid.Exercise }
func held(a *grid.Alarm)    { a.Cover = &grid.Cover{State: grid.CoverHeld} }
func nowhere(a *grid.Alarm) { a.Point = "" }
func in(building string) func(*grid.Alarm) {
	return func(a *grid.Alarm) { a.Building = building }
}

// lines tells a queue in short: ids, and groups as cause×count.
func lines(q Queue) string {
	var out []string
	for _, e := range q.Entries {
		if e.Group != nil {
			out = append(out, fmt.Sprintf("%s×%d", e.Group.Cause, e.Group.Count))
			continue
		}
		out = append(out, e.Alarm.ID)
	}
	return strings.Join(out, " ")
}

func TestAQueueIsSortedByNeed(t *testing.T) {
	all := []grid.Alarm{
		oneAlarm("latched", grid.EventManholeOpen, 1, latched, acked), // P1, and over
		oneAlarm("p4", grid.EventDeviceOffline, 4, old),
		oneAlarm("p3-acked", grid.EventParkingOverstay, 3, acked, old),
		oneAlarm("p3", grid.EventParkingOverstay, 3),
		oneAlarm("p2", grid.EventManholeFlooded, 2),
		oneAlarm("fire-acked", grid.EventSmokeAlarm, 1, acked),
		oneAlarm("pit", grid.EventManholeOpen, 1),
		oneAlarm("pit-old", grid.EventManholeOpen, 1, old),
		oneAlarm("pit-acked", grid.EventManholeOpen, 1, acked),
		oneAlarm("drill", grid.EventSmokeAlarm, 1, drill),
		oneAlarm("fire", grid.EventSmokeAlarm, 1, in("b2")),
		oneAlarm("shelved", grid.EventDoorHeldOpen, 3, held),
		oneAlarm("fire-held", grid.EventSmokeAlarm, 1, in("b3"), held),
	}
	const want = "fire fire-held pit-old pit fire-acked pit-acked p2 p3 p3-acked p4 latched drill"
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if q := QueueOf(all, time.Time{}, nil); q.Held != 1 || q.Alarms != len(all)-1 {
		t.Errorf("%d are held, %d are not: want the shelved one", q.Held, q.Alarms)
	}
	if got := lines(QueueOf(all, time.Time{}, nil)); got != want {
		t.Errorf("queue is\n%s, want\n%s", got, want)
	}
}

func TestAFloodIsGroupedByCellAndCauseAndHidesNoFirstSmokeAlarm(t *testing.T) {
	var all []grid.Alarm
	for i := range 30 {
		all = append(all, oneAlarm(fmt.Sprintf("bay%02d", i), grid.EventParkingOverstay, 3, func(a *grid.Alarm) { a.Cell = "c" + string(rune('1'+i%2)) }))
	}
	all = append(all,
		oneAlarm("water1", grid.EventManholeFlooded, 2), oneAlarm("water2", grid.EventManholeFlooded, 1, old),
		oneAlarm("fire1", grid.EventSmokeAlarm, 1, old), oneAlarm("fire2", grid.EventSmokeAlarm, 1), oneAlarm("fire3", grid.EventSmokeAlarm, 1),
		oneAlarm("other", grid.EventSmokeAlarm, 1, in("b2")), oneAlarm("other2", grid.EventSmokeAlarm, 1, in("b2")), oneAlarm("other3", grid.EventSmokeAlarm, 1, in("b2")),
		oneAlarm("stranger1", grid.EventSafetyUnreadable, 1, in(""), nowhere), oneAlarm("stranger2", grid.EventSafetyUnreadable, 1, in(""), nowhere), oneAlarm("stranger3", grid.EventSafetyUnreadable, 1, in(""), nowhere),
		oneAlarm("known", grid.EventSmokeAlarm, 1, in("b3"), old, acked), oneAlarm("new", grid.EventSmokeAlarm, 1, in("b3")),
		oneAlarm("alone", grid.EventSmokeAlarm, 1, in("")), oneAlarm("alone2", grid.EventSmokeLate, 1, in("")),
		oneAlarm("drill", grid.EventSmokeAlarm, 1, in("b2"), drill),
	)
	causes := func(t grid.EventType) string {
		return map[grid.EventType]string{grid.EventManholeFlooded: "water", grid.EventSmokeAlarm: "fire"}[t]
	}
	q := QueueOf(all, floodStart, causes)
	const want = "fire1 alone alone2 fire×2 new other fire×2 stranger1 stranger2 stranger3 water×2 known parking.overstay×15 parking.overstay×15 drill"
	if got := lines(q); got != want {
		t.Errorf("queue is\n%s, want\n%s", got, want)
	}
	if q.Flood == nil || q.Alarms != len(all) || q.Unacked != len(all)-1 {
		t.Errorf("flood since %v, %d alarms, %d of them unacknowledged", q.Flood, q.Alarms, q.Unacked)
	}
	for _, e := range q.Entries {
		if g := e.Group; g != nil && g.Cause == "water" && (g.Worst != 1 || !g.Oldest.Equal(floodStart.Add(-time.Hour)) || g.Members[0].ID != "water2" || g.Members[0].Revision != 1) {
			t.Errorf("group of the water is %+v", g)
		}
	}
}

// Whatever comes in, and in whichever order: each building's oldest smoke alarm has its own
// line, and so has the oldest that nobody has acknowledged; nothing is lost or told twice.
func TestNoFirstSmokeAlarmIsEverHidden(t *testing.T) {
	types := []grid.EventType{grid.EventSmokeAlarm, grid.EventSmokeLate, grid.EventParkingOverstay, grid.EventManholeOpen, grid.EventDeviceOffline, grid.EventSafetyUnreadable}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		var all []grid.Alarm
		for i := range 1 + r.IntN(200) {
			typ := types[r.IntN(len(types))]
			p := grid.Priority(1 + r.IntN(4))
			if strings.HasPrefix(string(typ), "smoke.") {
				p = 1
			}
			all = append(all, oneAlarm(fmt.Sprintf("a%03d", i), typ, p, func(a *grid.Alarm) {
				a.Building, a.Cell, a.Acked = fmt.Sprintf("b%d", r.IntN(6)), fmt.Sprintf("c%d", r.IntN(3)), r.IntN(3) == 0
				a.Raised = a.Raised.Add(time.Duration(r.IntN(600)) * time.Second)
			}))
		}
		q := QueueOf(all, floodStart, nil)
		seen, own := map[string]int{}, map[string]bool{}
		for _, e := range q.Entries {
			if e.Alarm != nil {
				seen[e.Alarm.ID]++
				own[e.Alarm.ID] = true
				continue
			}
			if e.Group.Count != len(e.Group.Members) || e.Group.Count < 2 {
				t.Fatalf("seed %d: a group of %d with %d members", seed, e.Group.Count, len(e.Group.Members))
			}
			for _, m := range e.Group.Members {
				seen[m.ID]++
			}
		}
		first := map[string]*grid.Alarm{}
		for i := range all {
			a := &all[i]
			if seen[a.ID] != 1 {
				t.Fatalf("seed %d: %s is in the queue %d times", seed, a.ID, seen[a.ID])
			}
			for _, key := range []string{a.Building, a.Building + fmt.Sprint(a.Acked)} {
				if old := first[key]; IsSmoke(a) && (old == nil || byNeed(a, old) < 0) {
					first[key] = a
				}
			}
		}
		for building, a := range first {
			if !own[a.ID] {
				t.Fatalf("seed %d: the first smoke alarm of %s is in a group", seed, building)
			}
		}
	}
}

func BenchmarkQueueOfTenThousand(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var all []grid.Alarm
	for i := range 10_000 {
		all = append(all, oneAlarm(fmt.Sprintf("a%05d", i), grid.EventParkingOverstay, 3, func(a *grid.Alarm) {
			a.Cell, a.Raised = fmt.Sprintf("c%d", i%300), a.Raised.Add(time.Duration(r.IntN(1e9)))
		}))
	}
	all = append(all, oneAlarm("fire", grid.EventSmokeAlarm, 1))
	var raised []time.Time
	for i := range all {
		raised = append(raised, all[i].Raised)
	}
	slices.SortFunc(raised, time.Time.Compare)
	for _, flood := range []bool{false, true} {
		b.Run(fmt.Sprintf("flood=%t", flood), func(b *testing.B) {
			for b.Loop() {
				var since time.Time
				if flood {
					since = Flood{Enter: 10, Leave: 5, Within: 10 * time.Minute}.Since(raised, floodStart.Add(time.Minute))
				}
				if q := QueueOf(all, since, nil); q.Entries[0].Alarm == nil || q.Entries[0].Alarm.ID != "fire" {
					b.Fatal("the fire is not on top")
				}
			}
		})
	}
}
