package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// What the tickets of technicians need beside the rest: other hands, and visits at which
// nobody opened.

const (
	verbHandOver = "hand_over"
	verbNoEntry  = "no_entry"
	verbRound    = "round"
)

// HandOver gives the lead of a ticket to another contractor; the one before stands down.
// What is done, and only to be checked, stays with who did it.
func HandOver(t *grid.Ticket, p *Plan, to *grid.Unit, why string, by grid.Actor, now time.Time, c Context) Result {
	ch := begin(t, p, c, by, now)
	old := lead(t)
	if t.State.Ended() || old == nil || old.Unit == to.ID || slices.Contains(reported, t.State) {
		return ch.done()
	}
	from := old.State
	old.Lead, old.StandDown, old.State, old.Since = false, true, grid.TicketCancelled, now
	ch.line(verbTakeOver, from, old.State, grid.MoveRecord{Assignment: old.ID, Detail: to.ID + " takes over from " + old.Unit})
	ch.tell(old, MessageStandDown)
	ch.stop(clockSuspend)
	ch.assign(verbHandOver, to, tierOf(to), true, grid.MoveRecord{Reason: why})
	return ch.done()
}

// InRound writes down for which day a ticket was planned, or why it left a round.
func InRound(t *grid.Ticket, p *Plan, words string, by grid.Actor, now time.Time, c Context) Result {
	ch := begin(t, p, c, by, now)
	if !t.State.Ended() {
		ch.say(verbRound, grid.MoveRecord{Detail: words})
	}
	return ch.done()
}

// noEntryTask begins the desk's question whether the clock stands still.
const noEntryTask = "no entry"

// ThirdNoEntry is how many visits without entry are enough: then somebody else arranges it.
const ThirdNoEntry = 3

// NotLetIn writes down that nobody opened. Whether the clock of the work stands still until
// the next date is the desk's to say, unless it says so itself. The third time it is the task of helper
// (the property, or the committee; nil: there is none) and of the street's desk to arrange the entry.
func NotLetIn(t *grid.Ticket, p *Plan, n *grid.NoEntry, helper *grid.Unit, by grid.Actor, now time.Time, c Context) Result {
	ch := begin(t, p, c, by, now)
	if t.State.Ended() {
		return ch.done()
	}
	detail := fmt.Sprintf("time %d; again on %s", n.Times, n.Next)
	if n.Photo != "" {
		detail += "; " + grid.EvidencePrefix + n.Photo
	}
	ch.say(verbNoEntry, grid.MoveRecord{Reason: n.Reason, Detail: detail})
	if n.Approved.IsZero() {
		ch.task(decide("no_entry", grid.TaskFacts{"reason": n.Reason, "next": string(n.Next)}, "%s (%s): may the work wait until %s? Else its clock runs on", noEntryTask, n.Reason, n.Next))
	}
	if n.Times >= ThirdNoEntry {
		ch.arrangeEntry(n, helper)
	}
	return ch.done()
}

func (ch *change) arrangeEntry(n *grid.NoEntry, helper *grid.Unit) {
	who, id := "the street", ""
	if helper != nil {
		who, id = helper.ID+" and the street", helper.ID
		if !ch.assigned(helper.ID) {
			ch.assign(string(grid.VerbAssign), helper, tierOf(helper), false, grid.MoveRecord{By: bySystem, Reason: fmt.Sprintf("no entry for the %dth time: arrange it for %s", n.Times, n.Next)})
		}
	}
	ch.task(decide("nobody_opened", grid.TaskFacts{"times": fmt.Sprint(n.Times), "reason": n.Reason, "unit": id, "next": string(n.Next)}, "nobody opened %d times (%s): %s arranges the entry for %s", n.Times, n.Reason, who, n.Next))
}

// NoEntryTask gives the open task that asks whether the clock may stand still; 0: none.
func NoEntryTask(t *grid.Ticket) int {
	for _, k := range t.Tasks {
		if k.Done.IsZero() && k.Kind == grid.TaskDecide && strings.HasPrefix(k.Text, noEntryTask) {
			return k.N
		}
	}
	return 0
}

// WaitsUntil is when a suspended ticket goes on; zero: it is not suspended.
func WaitsUntil(t *grid.Ticket) time.Time {
	if c := findClock(t, clockSuspend); c != nil && c.Stopped.IsZero() {
		return c.Due
	}
	return time.Time{}
}

// WorkDue is when the work of a ticket is to be done: the end of its handle clock if it runs, else of
// the whole.
func WorkDue(t *grid.Ticket) time.Time {
	if c := findClock(t, ClockHandle); c != nil && c.Stopped.IsZero() {
		return c.Due
	}
	return t.Due
}

// Lead is the unit that the ticket follows; "" when there is none.
func Lead(t *grid.Ticket) string {
	if a := lead(t); a != nil {
		return a.Unit
	}
	return ""
}

// inHands says why a contractor does not work at a place; "": it does, or is none.
func inHands(u *grid.Unit, a *Ask) string {
	switch {
	case u.Kind != grid.Maintenance:
	case !u.Term.Has(a.At):
		return "its term is " + u.Term.String()
	case a.Contractor != "" && u.InHands() != a.Contractor:
		return "the point is in the hands of " + a.Contractor
	}
	return ""
}
