package contractor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Candidate is work that a round may take along.
type Candidate struct {
	Job       grid.Job
	Key       string // of its building: see KeyOf
	Building  string
	Place     string // of the building, in words
	Lon, Lat  float64
	NotBefore string // the day before which it makes no sense; "": any
	Times     int    // how often nobody opened
}

// KeyOf tells buildings apart. What stands in none is a stop of its own.
func KeyOf(p *grid.Point) string {
	place := strings.Join([]string{p.District, p.Street, p.Community, p.Compound}, "/")
	switch {
	case p.Building != "":
		return place + "/" + p.Building
	case p.Address != "":
		return place + "/@" + p.Address
	}
	return "point/" + p.ID
}

// PlaceOf is a building in words.
func PlaceOf(p *grid.Point) string {
	words := strings.TrimSpace(strings.Join([]string{p.Address, p.Building}, " "))
	return cmp.Or(words, p.Name, p.ID)
}

// Day is one that rounds may be planned for.
type Day struct {
	Name string    // grid.DayLayout
	End  time.Time // midnight after it
	Have int       // stops that are planned for it already
}

// WorkDays gives n work days of a calendar (nil: every day is one) from a day on.
func WorkDays(c *calendar.Calendar, zone *time.Location, from string, n int) ([]Day, error) {
	at, err := time.ParseInLocation(grid.DayLayout, from, zone)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "day is %q: want one such as 2026-11-24", from)
	}
	var days []Day
	for range 3*n + 30 { // the longest holidays are nine days
		if len(days) == n {
			break
		}
		next := at.AddDate(0, 0, 1)
		if c == nil || c.Day(at.Add(12*time.Hour)).Working {
			days = append(days, Day{Name: at.Format(grid.DayLayout), End: next.UTC()})
		}
		at = next
	}
	return days, nil
}

// building is what waits at one place.
type building struct {
	key  string
	jobs []Candidate
}

// Plan spreads work over days, one visit per building and at most so many buildings a day: what is
// due first goes first. Work at a building where an open round stops in time joins that visit.
// Each candidate ends in exactly one place: a new round, a join, or what is left. The order in
// which they are given does not matter.
func Plan(all []Candidate, open []grid.Round, days []Day, stops int, start *grid.Spot) grid.RoundPlan {
	p := &plan{grid.RoundPlan{Rounds: []grid.Round{}, Joined: []grid.RoundJoin{}, Left: []grid.RoundLeft{}, Late: []grid.RoundLeft{}}}
	waiting := buildings(all)
	waiting = p.join(waiting, open, false)
	for i := range days {
		waiting = p.day(waiting, &days[i], stops-days[i].Have, start)
	}
	waiting = p.join(waiting, open, true)
	for _, b := range waiting {
		for _, c := range b.jobs {
			why := "no day has room: want more days or stops"
			if n := len(days); n == 0 || c.NotBefore > days[n-1].Name {
				why = "not before " + cmp.Or(c.NotBefore, "a day that is planned")
			}
			p.Left = append(p.Left, left(&c, "", why))
		}
	}
	return p.RoundPlan
}

func left(c *Candidate, day, why string) grid.RoundLeft {
	return grid.RoundLeft{Ticket: c.Job.Ticket, Point: c.Job.Point, Place: c.Place, Day: day, Due: c.Job.Due, Why: why}
}

func buildings(all []Candidate) (out []building) {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Job.Point, b.Job.Point), cmp.Compare(a.Job.Ticket, b.Job.Ticket))
	})
	for _, c := range sorted {
		if n := len(out); n > 0 && out[n-1].key == c.Key {
			out[n-1].jobs = append(out[n-1].jobs, c)
		} else {
			out = append(out, building{c.Key, []Candidate{c}})
		}
	}
	return out
}

// split takes out of what waits at a building what may be done on a day.
func (b *building) split(may func(*Candidate) bool) (now, later []Candidate) {
	for _, c := range b.jobs {
		if may(&c) {
			now = append(now, c)
		} else {
			later = append(later, c)
		}
	}
	return now, later
}

func (c *Candidate) late(end time.Time) bool { return !c.Job.Due.IsZero() && c.Job.Due.Before(end) }

// join lets work go along where a round stops anyway: in time, or late rather than never.
func (p *plan) join(waiting []building, open []grid.Round, late bool) (rest []building) {
	rounds := slices.Clone(open)
	slices.SortFunc(rounds, func(a, b grid.Round) int { return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.ID, b.ID)) })
	for _, b := range waiting {
		for i := range rounds {
			r := &rounds[i]
			if !slices.ContainsFunc(r.Stops, func(s grid.Stop) bool { return s.Key == b.key && s.State == grid.StopOpen }) {
				continue
			}
			now, later := b.split(func(c *Candidate) bool { return c.NotBefore <= r.Day && (late || !c.late(r.Until)) })
			if len(now) > 0 {
				p.Joined = append(p.Joined, grid.RoundJoin{Round: r.ID, Key: b.key, Jobs: p.jobs(now, r.Day, r.Until)})
			}
			b.jobs = later
		}
		if len(b.jobs) > 0 {
			rest = append(rest, b)
		}
	}
	return rest
}

// day makes the round of a day: the buildings whose work is due first.
func (p *plan) day(waiting []building, d *Day, room int, start *grid.Spot) (rest []building) {
	type visit struct {
		building
		now []Candidate
		due time.Time
	}
	var visits []visit
	for _, b := range waiting {
		v := visit{building: b}
		v.now, v.jobs = b.split(func(c *Candidate) bool { return c.NotBefore <= d.Name })
		if len(v.now) == 0 {
			rest = append(rest, b)
			continue
		}
		for _, c := range v.now {
			if due := c.Job.Due; !due.IsZero() && (v.due.IsZero() || due.Before(v.due)) {
				v.due = due
			}
		}
		visits = append(visits, v)
	}
	slices.SortFunc(visits, func(a, b visit) int {
		switch {
		case a.due.IsZero() != b.due.IsZero():
			if a.due.IsZero() {
				return 1
			}
			return -1
		default:
			return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.key, b.key))
		}
	})
	var stops []grid.Stop
	for i, v := range visits {
		if i >= room {
			v.jobs = append(v.now, v.jobs...)
		} else {
			stops = append(stops, p.stop(&v.building, v.now, d))
		}
		if len(v.jobs) > 0 {
			rest = append(rest, v.building)
		}
	}
	if len(stops) > 0 {
		stops = Order(stops, start)
		p.Rounds = append(p.Rounds, grid.Round{Day: d.Name, Until: d.End, Stops: stops, LengthM: Number(stops, start), State: grid.RoundPlanned})
	}
	slices.SortFunc(rest, func(a, b building) int { return cmp.Compare(a.key, b.key) })
	return rest
}

func (p *plan) stop(b *building, now []Candidate, d *Day) grid.Stop {
	first := &now[0]
	s := grid.Stop{Key: b.key, Building: first.Building, Place: first.Place, State: grid.StopOpen, Jobs: p.jobs(now, d.Name, d.End)}
	n := 0.0
	for _, c := range now {
		s.Times = max(s.Times, c.Times)
		if c.Lon != 0 || c.Lat != 0 {
			s.Lon, s.Lat, n = s.Lon+c.Lon, s.Lat+c.Lat, n+1
		}
	}
	if n > 0 {
		s.Lon, s.Lat = s.Lon/n, s.Lat/n
	}
	return s
}

// jobs are the jobs of candidates on a day; those that come too late are told.
func (p *plan) jobs(now []Candidate, day string, end time.Time) (out []grid.Job) {
	for i := range now {
		c := &now[i]
		j := c.Job
		j.State, j.Late = grid.JobOpen, c.late(end)
		if j.Late {
			p.Late = append(p.Late, left(c, day, fmt.Sprintf("its time is over on %s, before the round of %s", j.Due.Format(time.RFC3339), day)))
		}
		out = append(out, j)
	}
	return out
}

// plan is one in the making.
type plan struct{ grid.RoundPlan }
