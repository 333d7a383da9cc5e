package ticket

import (
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// Verdict is what the watch of the sensor says since the ticket was resolved. The zero
// Verdict says nothing yet.
type Verdict struct {
	Pass     bool // normal for the set time, and heard
	Abnormal bool // a fresh reading says that it is still there, or there again
	Unable   bool // the sensor cannot tell: silent, hushed, tampered with, faulty, or there is none
}

// SensorNormal is how long the sensor must be normal for the check, and whether it is
// asked at all.
func (p *Plan) SensorNormal() (need time.Duration, asked bool) {
	if p.Check.Normal == nil {
		return 0, false
	}
	return *p.Check.Normal, true
}

// Check looks at a ticket that is in checking, after each reading, move and wake.
//
//   - Passed, and a person has said so where one is needed (P1 always): closed.
//   - Still abnormal: rework, and up one tier.
//   - The sensor cannot tell, or the check has run out: a person is asked, once, and the
//     ticket stays until there is a word or photo from site given in answer; that closes it.
//
// In any other state it does nothing: a sensor that goes back to normal never closes a
// ticket on its own.
func Check(t *grid.Ticket, p *Plan, v Verdict, now time.Time, c Context) Result {
	if t.State != grid.TicketChecking {
		return Result{Wake: wake(t, c)}
	}
	ch := begin(t, p, c, bySystem, now)
	if v.Abnormal {
		if settled := t.Resolved.Add(p.Check.Settle + c.Skipped); now.Before(settled) {
			ch.res.Wake = settled
			return ch.done()
		}
		ch.rework("the sensor still says so")
		return ch.done()
	}
	_, watched := p.SensorNormal()
	sensor := v.Pass || !watched
	unable := !sensor && (v.Unable || fired(t, ClockCheck))
	word := t.Confirmed != ""
	if unable {
		word = word && answered(t) // a word given before that was about something else
	}
	wordNeeded := p.Check.Person || t.Priority == 1 || unable
	switch {
	case !sensor && !unable: // wait
	case word || !wordNeeded:
		ch.end(verbClose, grid.TicketClosed, grid.MoveRecord{Detail: closing(t, watched && v.Pass)})
	default:
		ch.askAPerson(unable)
	}
	return ch.done()
}

// answered reports whether a person was asked in this check and has answered.
func answered(t *grid.Ticket) bool {
	c := findClock(t, clockWord)
	return c != nil && !c.Stopped.IsZero() && !c.Started.Before(t.Resolved)
}

// asked reports whether a person was asked and has not answered.
func asked(t *grid.Ticket) bool {
	c := findClock(t, clockWord)
	return c != nil && c.Stopped.IsZero()
}

func fired(t *grid.Ticket, name string) bool {
	c := findClock(t, name)
	return c != nil && c.Fired && c.Stopped.IsZero()
}

func closing(t *grid.Ticket, sensor bool) string {
	switch {
	case sensor && t.Confirmed != "":
		return fmt.Sprintf("the sensor is back to normal and %s confirms it: %s", t.Confirmed, t.Evidence)
	case sensor:
		return "the sensor is back to normal"
	}
	return fmt.Sprintf("%s confirms it: %s", t.Confirmed, t.Evidence)
}

// askAPerson leaves one task per check.
func (ch *change) askAPerson(unable bool) {
	if asked(ch.t) {
		return
	}
	ch.setClock(grid.Clock{Name: clockWord, Started: ch.now})
	if unable {
		ch.task(grid.Task{Kind: grid.TaskWord, Code: "sensor_unable", Text: "the sensor cannot tell whether it is done: want a word or photo from site (confirm)"})
	} else {
		ch.task(grid.Task{Kind: grid.TaskWord, Code: "confirm", Text: "want a word or photo from site (confirm) to close it"})
	}
	if l := lead(ch.t); l != nil {
		ch.tell(l, MessageUpdated)
	}
}

// rework sends a ticket back to its lead and up one tier.
func (ch *change) rework(why string) {
	t := ch.t
	t.Rework++
	t.Resolved, t.Confirmed, t.Evidence, t.Closed = time.Time{}, "", "", time.Time{}
	ch.stop(ClockCheck, clockWord)
	ch.taskDone(why, func(k *grid.Task) bool { return k.Kind == grid.TaskWord }) // the next check asks anew
	ch.to(verbRework, grid.TicketRework, grid.MoveRecord{By: bySensor, Reason: why})
	if a := lead(t); a != nil {
		a.Attempt++
		a.State, a.Since = grid.TicketDispatched, ch.now
		ch.to(verbDispatch, grid.TicketDispatched, grid.MoveRecord{Assignment: a.ID, Detail: fmt.Sprintf("attempt %d", a.Attempt)})
		ch.startLead()
		ch.tell(a, MessageRework)
		ch.tellAll(MessageUpdated, a.ID)
	}
	ch.upOneTier()
}

// Rejoin is for an alarm that comes back within its re-alarm window, the episode of the
// ticket going on: a ticket that was reported done, or was closed, goes to rework; in an
// earlier state the units are told. ok is false for a ticket that was ended in another
// way (cancelled, merged, forced): it stays as it is, and a new one must be opened.
func Rejoin(t *grid.Ticket, p *Plan, now time.Time, c Context) (r Result, ok bool) {
	if t.State.Ended() && t.State != grid.TicketClosed {
		return Result{}, false
	}
	ch := begin(t, p, c, bySensor, now)
	switch t.State {
	case grid.TicketClosed:
		if total := findClock(t, ClockTotal); total != nil {
			total.Stopped = time.Time{}
		}
		ch.rework("the alarm came back after the ticket was closed")
	case grid.TicketResolved, grid.TicketChecking:
		ch.rework("the alarm came back")
	default:
		ch.say(verbRejoin, grid.MoveRecord{Reason: "the alarm came back"})
		if now.Before(c.Quiet) {
			ch.tellLater(c.Quiet)
		} else {
			ch.tellAll(MessageUpdated, "")
		}
	}
	return ch.done(), true
}
