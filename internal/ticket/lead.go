package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// The calling of the duty lead, because nobody has taken an alarm. It goes the way of all
// calls of people, beside the dispatch of the ticket and never before it.

const (
	verbUntaken = "untaken"
	seatPrefix  = "seat:"
	endTaken    = "taken"
)

// leadChain finds the chain that calls a duty lead; open ones alone.
func leadChain(t *grid.Ticket) int {
	return slices.IndexFunc(t.Chains, func(c grid.CallChain) bool { return strings.HasPrefix(c.Of, seatPrefix) && c.Ended.IsZero() })
}

// leadTask begins the desk's task where the lead cannot be called by himself.
const leadTask = "the duty lead"

// CallLead calls the duty lead, unless he is being called already. Where nobody of his roster
// can be called, it is the desk's to fetch him.
func CallLead(t *grid.Ticket, p *Plan, of, why string, now time.Time, c Context) Result {
	ch := begin(t, p, c, bySystem, now)
	if t.State.Ended() || leadChain(t) >= 0 {
		return ch.done()
	}
	ch.say(verbUntaken, grid.MoveRecord{By: byClock, Detail: why})
	chains := c.Routing.Routes.Chains()
	if chains.Wait <= 0 || c.Routing.People == nil || c.Routing.NoContacts || len(ch.own(of)) == 0 {
		ch.task(decide("fetch_lead_unreachable", grid.TaskFacts{"why": why}, "%s (%s) is to be fetched: %s. Nobody of the roster can be called", leadTask, of, why))
		return ch.done()
	}
	attempt := 1
	for _, o := range t.Chains {
		if o.Of == of {
			attempt = o.Attempt + 1
		}
	}
	if ch.beginChain(&chains, grid.CallChain{Of: of, Attempt: attempt}); leadChain(t) < 0 { // there is no room for another
		ch.task(decide("fetch_lead", grid.TaskFacts{"why": why}, "%s (%s) is to be fetched: %s", leadTask, of, why))
	}
	return ch.done()
}

func leadsTask(k *grid.Task) bool {
	return k.Done.IsZero() && k.Kind == grid.TaskDecide && strings.HasPrefix(k.Text, leadTask+" (")
}

// LeadCalled reports whether the duty lead is being called for a ticket, or fetched.
func LeadCalled(t *grid.Ticket) bool {
	return leadChain(t) >= 0 || slices.ContainsFunc(t.Tasks, func(k grid.Task) bool { return leadsTask(&k) })
}

// LeadNotNeeded ends the calling of the duty lead: somebody has the alarm.
func LeadNotNeeded(t *grid.Ticket, p *Plan, by grid.Actor, now time.Time, c Context) Result {
	ch := begin(t, p, c, by, now)
	if i := leadChain(t); i >= 0 {
		ch.endChain(i, endTaken, by.Name)
	}
	ch.taskDone(fmt.Sprintf("taken by %s", by.Name), leadsTask)
	return ch.done()
}
