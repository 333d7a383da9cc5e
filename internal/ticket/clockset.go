package ticket

import (
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// ClockSet is for a clock of the machine that was set from one moment to another, while no time
// passed: what runs for a time, and the call of the next person, has as much left as before. Where
// a calendar counts the hours, as many of them are left. The end of a suspension is a moment that
// was agreed on and stays.
func ClockSet(t *grid.Ticket, p *Plan, from, to time.Time, c Context) Result {
	ch := begin(t, p, c, byClock, to)
	moved := false
	for i := range t.Clocks {
		cl := &t.Clocks[i]
		for _, at := range []*time.Time{&cl.Started, &cl.Half, &cl.Most, &cl.Due, &cl.Stopped} {
			*at = at.Round(0) // or it would be compared by the clock that nobody sets
		}
		if !cl.Stopped.IsZero() || cl.Due.IsZero() || cl.Name == clockSuspend {
			continue
		}
		cl.Stopped = from
		p.Limits[cl.Name].moveOn(cl, to)
		moved = true
	}
	for i := range t.Chains {
		if t.Chains[i].Ended.IsZero() && !t.Chains[i].Due.IsZero() {
			ch.ownChains()
			t.Chains[i].Due = t.Chains[i].Due.Round(0).Add(to.Sub(from))
			moved = true
		}
	}
	if moved {
		ch.say(verbWarn, grid.MoveRecord{Detail: fmt.Sprintf("the machine's clock was set by %s: what runs goes on where it stood", to.Sub(from).Round(time.Second))})
	}
	return ch.done()
}
