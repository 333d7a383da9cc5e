package contractor_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"gridgate/internal/contractor"
	"gridgate/internal/grid"
)

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func day(n int) contractor.Day {
	end := time.Date(2026, 11, 24+n, 0, 0, 0, 0, time.UTC)
	return contractor.Day{Name: end.AddDate(0, 0, -1).Format(grid.DayLayout), End: end}
}

func work(ticket, key string, lon, lat float64, due time.Time) contractor.Candidate {
	return contractor.Candidate{Job: grid.Job{Ticket: ticket, Point: "p-" + ticket, Type: grid.EventDeviceOffline, Due: due}, Key: key, Building: key, Place: key, Lon: lon, Lat: lat}
}

// any makes work of all sorts, and rounds that are open already.
func anyWork(r *rand.Rand) (all []contractor.Candidate, open []grid.Round, days []contractor.Day, stops int) {
	for n := range 1 + r.IntN(5) {
		d := day(n)
		d.Have = r.IntN(2)
		days = append(days, d)
	}
	for i := range r.IntN(60) {
		c := work(fmt.Sprintf("T%02d", i), fmt.Sprintf("b-%d", r.IntN(20)), 121.4+r.Float64()/50, 31.2+r.Float64()/50, time.Time{})
		if r.IntN(4) > 0 {
			c.Job.Due = now.Add(time.Duration(r.IntN(200)) * time.Hour)
		}
		if r.IntN(5) == 0 {
			c.NotBefore = day(r.IntN(7)).Name
		}
		if r.IntN(8) == 0 {
			c.Lon, c.Lat = 0, 0
		}
		all = append(all, c)
	}
	for i := range r.IntN(3) {
		d := day(r.IntN(3))
		open = append(open, grid.Round{ID: fmt.Sprintf("R%d", i), Day: d.Name, Until: d.End, Stops: []grid.Stop{{N: 1, Key: fmt.Sprintf("b-%d", r.IntN(20)), State: grid.StopOpen}}})
	}
	return all, open, days, 1 + r.IntN(6)
}

func TestEachPieceOfWorkEndsInExactlyOnePlaceOfThePlan(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		all, open, days, stops := anyWork(r)
		p := contractor.Plan(all, open, days, stops, nil)
		seen := map[string]int{}
		byTicket := map[string]contractor.Candidate{}
		for _, c := range all {
			byTicket[c.Job.Ticket] = c
		}
		late := map[string]bool{}
		for _, l := range p.Late {
			late[l.Ticket] = true
		}
		planned := func(j grid.Job, key, day string, end time.Time) {
			seen[j.Ticket]++
			c := byTicket[j.Ticket]
			if c.Key != key || c.NotBefore > day {
				t.Fatalf("seed %d: %s of %s, not before %q, is planned at %s for %s", seed, j.Ticket, c.Key, c.NotBefore, key, day)
			}
			if isLate := !c.Job.Due.IsZero() && c.Job.Due.Before(end); isLate != j.Late || isLate != late[j.Ticket] {
				t.Fatalf("seed %d: %s is due %s and planned for %s: late %v, told %v", seed, j.Ticket, c.Job.Due, day, j.Late, late[j.Ticket])
			}
		}
		for _, round := range p.Rounds {
			i := slices.IndexFunc(days, func(d contractor.Day) bool { return d.Name == round.Day })
			if i < 0 || len(round.Stops)+days[i].Have > stops && len(round.Stops) > 0 {
				t.Fatalf("seed %d: %d stops on %s, of which it had %d: want %d at most", seed, len(round.Stops), round.Day, days[i].Have, stops)
			}
			keys := map[string]bool{}
			for n, s := range round.Stops {
				if s.N != n+1 || keys[s.Key] || len(s.Jobs) == 0 {
					t.Fatalf("seed %d: stop %d at %s, there before: %v, with %d jobs", seed, s.N, s.Key, keys[s.Key], len(s.Jobs))
				}
				keys[s.Key] = true
				for _, j := range s.Jobs {
					planned(j, s.Key, round.Day, round.Until)
				}
			}
		}
		for _, j := range p.Joined {
			i := slices.IndexFunc(open, func(r grid.Round) bool { return r.ID == j.Round })
			for _, job := range j.Jobs {
				planned(job, j.Key, open[i].Day, open[i].Until)
			}
		}
		for _, l := range p.Left {
			seen[l.Ticket]++
		}
		for _, c := range all {
			if seen[c.Job.Ticket] != 1 {
				t.Fatalf("seed %d: %s is in %d places of the plan", seed, c.Job.Ticket, seen[c.Job.Ticket])
			}
		}
	}
}

func TestThePlanDoesNotDependOnTheOrderInWhichWorkIsGiven(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		all, open, days, stops := anyWork(r)
		first := contractor.Plan(all, open, days, stops, nil)
		r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		r.Shuffle(len(open), func(i, k int) { open[i], open[k] = open[k], open[i] })
		if again := contractor.Plan(all, open, days, stops, nil); !reflect.DeepEqual(first, again) {
			t.Fatalf("seed %d: two plans of the same work:\n%+v\n%+v", seed, first, again)
		}
	}
}

func TestWhatIsDueFirstIsPlannedFirst(t *testing.T) {
	all := []contractor.Candidate{
		work("calm", "b-1", 121.40, 31.20, time.Time{}),
		work("soon", "b-2", 121.41, 31.20, day(2).End.Add(time.Hour)),
		work("now", "b-3", 121.42, 31.20, day(1).End.Add(time.Hour)),
		work("late", "b-4", 121.43, 31.20, day(0).End.Add(-time.Hour)),
	}
	p := contractor.Plan(all, nil, []contractor.Day{day(0), day(1), day(2), day(3)}, 1, nil)
	var order []string
	for _, r := range p.Rounds {
		order = append(order, r.Stops[0].Jobs[0].Ticket)
	}
	if !slices.Equal(order, []string{"late", "now", "soon", "calm"}) || len(p.Left) != 0 {
		t.Errorf("planned %v, left %v", order, p.Left)
	}
	if len(p.Late) != 1 || p.Late[0].Ticket != "late" {
		t.Errorf("told to be late: %+v", p.Late)
	}
}

func TestTheWayIsNoLongerThanNearestNextAndVisitsEveryStopOnce(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		var stops []grid.Stop
		for i := range 2 + r.IntN(25) {
			stops = append(stops, grid.Stop{Key: fmt.Sprintf("b-%02d", i), Lon: 121.4 + r.Float64()/20, Lat: 31.2 + r.Float64()/20})
		}
		way := contractor.Order(stops, nil)
		length := contractor.Number(way, nil)
		keys := map[string]bool{}
		for _, s := range way {
			keys[s.Key] = true
		}
		if len(way) != len(stops) || len(keys) != len(stops) {
			t.Fatalf("seed %d: %d stops of %d, %d different", seed, len(way), len(stops), len(keys))
		}
		for i := range way { // no part of it turned round makes it shorter
			for k := i + 1; k < len(way); k++ {
				other := slices.Clone(way)
				slices.Reverse(other[i : k+1])
				if l := contractor.Number(other, nil); l < length-float64(len(way)) { // legs are rounded to metres
					t.Fatalf("seed %d: %.0f m, and %.0f m with stops %d to %d the other way round", seed, length, l, i, k)
				}
			}
		}
	}
}

func TestStopsInALineAreVisitedAlongIt(t *testing.T) {
	var stops []grid.Stop
	for _, i := range []int{3, 0, 4, 1, 2} {
		stops = append(stops, grid.Stop{Key: fmt.Sprint(i), Lon: 121.40 + float64(i)/100, Lat: 31.2})
	}
	stops = append(stops, grid.Stop{Key: "unplaced"})
	way := contractor.Order(stops, &grid.Spot{Lon: 121.45, Lat: 31.2})
	keys := ""
	for _, s := range way {
		keys += s.Key
	}
	if keys != "43210unplaced" {
		t.Errorf("visited %s from the east", keys)
	}
	if length := contractor.Number(way, &grid.Spot{Lon: 121.45, Lat: 31.2}); length < 4700 || length > 4810 {
		t.Errorf("the way is %.0f m: five hundredths of a degree of longitude at 31.2° are 4,755 m", length)
	}
}

func TestWhatIsDueBeforeAPlannedVisitIsPlannedEarlierThanThat(t *testing.T) {
	visit := grid.Round{ID: "R", Day: day(3).Name, Until: day(3).End, Stops: []grid.Stop{{N: 1, Key: "b-1", State: grid.StopOpen}}}
	all := []contractor.Candidate{work("soon", "b-1", 121.4, 31.2, day(1).End.Add(time.Hour)), work("calm", "b-1", 121.4, 31.2, time.Time{})}
	p := contractor.Plan(all, []grid.Round{visit}, []contractor.Day{day(0)}, 5, nil)
	if len(p.Rounds) != 1 || p.Rounds[0].Stops[0].Jobs[0].Ticket != "soon" || len(p.Late) != 0 {
		t.Errorf("planned %+v, late %+v: want what is due on the earlier day", p.Rounds, p.Late)
	}
	if len(p.Joined) != 1 || p.Joined[0].Jobs[0].Ticket != "calm" {
		t.Errorf("joined %+v, want the rest", p.Joined)
	}
}
