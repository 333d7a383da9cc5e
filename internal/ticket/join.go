package ticket

import (
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// gather is how long news of one ticket is gathered after units were told some: a building
// full of detectors is one message with a list, and another now and then, not fifty.
const gather = 10 * time.Second

// Join adds an episode of the same incident to its ticket. What was reported done is not:
// it goes to rework. In an earlier state the units are told. The ticket must not have ended.
func Join(t *grid.Ticket, p *Plan, m grid.Member, now time.Time, c Context) Result {
	ch := begin(t, p, c, bySensor, now)
	if len(t.Members) < grid.MaxMembers {
		t.Members = append(slices.Clip(t.Members), m)
	}
	if slices.Contains(reported, t.State) {
		ch.rework(fmt.Sprintf("%s at %s too", m.Type, m.Place))
		return ch.done()
	}
	ch.say(verbJoin, grid.MoveRecord{Detail: fmt.Sprintf("%s at %s", m.Type, m.Place)})
	ch.tellSoon()
	return ch.done()
}

// Relate adds what stands in the way of the work, such as a blocked fire lane. What is
// there already is no news.
func Relate(t *grid.Ticket, p *Plan, m grid.Member, now time.Time, c Context) Result {
	ch := begin(t, p, c, bySensor, now)
	if t.State.Ended() || slices.ContainsFunc(t.Related, func(r grid.Member) bool { return r.Alarm == m.Alarm }) {
		return ch.done()
	}
	if len(t.Related) < grid.MaxMembers {
		t.Related = append(slices.Clip(t.Related), m)
	}
	ch.say(verbRelate, grid.MoveRecord{Detail: fmt.Sprintf("%s at %s", m.Type, m.Place)})
	ch.tellSoon()
	return ch.done()
}

// Raise lifts the priority of a ticket, never lowers it. P1 is never suspended.
func Raise(t *grid.Ticket, p *Plan, to grid.Priority, why string, now time.Time, c Context) Result {
	ch := begin(t, p, c, bySensor, now)
	if t.State.Ended() || to >= t.Priority {
		return ch.done()
	}
	ch.say(verbRaise, grid.MoveRecord{Reason: why, Detail: fmt.Sprintf("%s → %s", t.Priority, to)})
	ch.lift(to, why)
	ch.tellAll(MessageEscalated, "")
	return ch.done()
}

// lift sets a higher priority: what is P1 now is worked on again.
func (ch *change) lift(to grid.Priority, why string) {
	ch.t.Priority = to
	if a := lead(ch.t); to == 1 && a != nil && a.State == grid.TicketSuspended {
		ch.resume()
		ch.moveAssignment(a, grid.VerbResume, grid.TicketInProgress, grid.MoveRecord{Reason: why})
	}
}

// Silent is for a sensor that says nothing more after its alarm: it may be destroyed. The
// priority goes up, P1 stays, and a person decides.
func Silent(t *grid.Ticket, p *Plan, why string, now time.Time, c Context) Result {
	ch := begin(t, p, c, bySensor, now)
	if t.State.Ended() {
		return ch.done()
	}
	if t.Priority > 1 {
		ch.say(verbRaise, grid.MoveRecord{Reason: why, Detail: fmt.Sprintf("%s → %s", t.Priority, t.Priority-1)})
		ch.lift(t.Priority-1, why)
	}
	ch.task(decide("ask_site", grid.TaskFacts{"why": why}, "%s: the sensor cannot tell any more, ask a person on site", why))
	ch.tellAll(MessageEscalated, "")
	return ch.done()
}

// tellSoon tells the units now, or with what else comes until gather is over.
func (ch *change) tellSoon() {
	last := findClock(ch.t, clockTell)
	switch {
	case last == nil || !last.Stopped.IsZero() && ch.now.Sub(last.Started) >= gather:
		ch.tellNow()
	case !last.Stopped.IsZero():
		ch.setClock(grid.Clock{Name: clockTell, Started: last.Started, Due: last.Started.Add(gather)})
	}
}

// tellLater tells the units at the latest then.
func (ch *change) tellLater(at time.Time) {
	if last := findClock(ch.t, clockTell); last == nil || !last.Stopped.IsZero() {
		ch.setClock(grid.Clock{Name: clockTell, Started: ch.now, Due: at})
	}
}

func (ch *change) tellNow() {
	ch.tellAll(MessageUpdated, "")
	ch.setClock(grid.Clock{Name: clockTell, Started: ch.now, Stopped: ch.now})
}

// tellDue ends the gathering. Its line is what makes the messages go out.
func (ch *change) tellDue(cl grid.Clock) {
	if ch.now.Before(cl.Due) {
		return
	}
	ch.tellNow()
	ch.say(verbTell, grid.MoveRecord{Detail: fmt.Sprintf("%d episodes", 1+len(ch.t.Members))})
}
