package ticket

import (
	"fmt"
	"maps"
	"time"

	"gridgate/internal/grid"
)

// What the tickets of hazards need beside the rest: plans that are made of the kinds of
// hazard, a deadline that a supervisor may move, and a re-check that fails by a person's word.

// With gives the plans with others beside them. A type that has one already keeps it.
func (ps *Plans) With(more ...*Plan) *Plans {
	out := &Plans{file: ps.file, plans: maps.Clone(ps.plans)}
	for _, p := range more {
		if out.plans[p.Type] == nil {
			out.plans[p.Type] = p
		}
	}
	return out
}

const (
	verbExtend  = "extend"
	verbRecheck = "recheck"
)

// SetDeadline sets the time of the handle clock, if it runs: since when, and when half,
// most and all of it are over. The total is moved by as much. It reports whether that was
// news.
func SetDeadline(t *grid.Ticket, since, half, most, due time.Time) bool {
	c := findClock(t, ClockHandle)
	if c == nil || !c.Stopped.IsZero() || c.Due.Equal(due) {
		return false
	}
	by := due.Sub(c.Due)
	c.Started, c.Half, c.Most, c.Due = since, half, most, due
	c.Warned, c.Fired = 0, false
	if total := findClock(t, ClockTotal); total != nil && total.Stopped.IsZero() && by > 0 {
		for _, at := range []*time.Time{&total.Half, &total.Most, &total.Due} {
			if !at.IsZero() {
				*at = at.Add(by)
			}
		}
		t.Due = total.Due
	}
	return true
}

// Extended writes down that the deadline was moved, and tells who has a part.
func Extended(t *grid.Ticket, p *Plan, to time.Time, why string, by grid.Actor, now time.Time, c Context) Result {
	ch := begin(t, p, c, by, now)
	if t.State.Ended() {
		return ch.done()
	}
	if total := findClock(t, ClockTotal); total != nil {
		t.Overdue, t.Warned = !now.Before(total.Due), 0
	}
	ch.say(verbExtend, grid.MoveRecord{Reason: why, Detail: fmt.Sprintf("deadline: %s", to.Format(timeLayout))})
	ch.tellAll(MessageUpdated, "")
	return ch.done()
}

// Failed sends a ticket back because somebody looked and it was not done.
func Failed(t *grid.Ticket, p *Plan, person, why string, by grid.Actor, now time.Time, c Context) Result {
	ch := begin(t, p, c, by, now)
	if t.State != grid.TicketChecking && t.State != grid.TicketResolved {
		return ch.done()
	}
	ch.say(verbRecheck, grid.MoveRecord{Reason: why, Detail: "not rectified, by the word of " + person})
	before := len(ch.res.Moves)
	ch.rework(why)
	ch.res.Moves[before].By = by // no sensor said so
	return ch.done()
}

// Wake is when Tick has something to do next; zero: never.
func Wake(t *grid.Ticket, c Context) time.Time { return wake(t, c) }
