package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// steps are the percentages of a limit at which someone is told: the lead, the street
// lead, the district.
var steps = []int{50, 80, 100}

// leadClocks are the limits that the lead can keep; the others are the desk's.
var leadClocks = []string{ClockAccept, ClockArrive, ClockHandle, ClockTotal}

var stepText = map[int]string{50: "for the lead", 80: "for the street lead", 100: "for the district"}

func findClock(t *grid.Ticket, name string) *grid.Clock {
	for i := range t.Clocks {
		if t.Clocks[i].Name == name {
			return &t.Clocks[i]
		}
	}
	return nil
}

// start runs a clock anew, if the plan has a limit for it.
func (ch *change) start(name string) {
	if l := ch.p.Limits[name]; l.For > 0 {
		ch.setClock(l.clock(name, ch.now))
	}
}

// startFor runs a clock in urgent time.
func (ch *change) startFor(name string, d time.Duration) {
	ch.setClock(Limit{For: d}.clock(name, ch.now))
}

// clock is a limit that begins now. Where a calendar says which hours count, it also says
// when half and most of them are over: a later calendar does not move a running clock.
func (l Limit) clock(name string, now time.Time) grid.Clock {
	c := grid.Clock{Name: name, Started: now}
	if l.Calendar == nil {
		c.Due = now.Add(l.For)
		return c
	}
	c.Calendar = l.Calendar.Name
	c.Half, c.Most, c.Due = l.Calendar.Add(now, l.For*50/100), l.Calendar.Add(now, l.For*80/100), l.Calendar.Add(now, l.For)
	return c
}

func (ch *change) setClock(c grid.Clock) {
	if old := findClock(ch.t, c.Name); old != nil {
		*old = c
		return
	}
	ch.t.Clocks = append(ch.t.Clocks, c)
}

func (ch *change) stop(names ...string) {
	for _, n := range names {
		if c := findClock(ch.t, n); c != nil && c.Stopped.IsZero() {
			c.Stopped = ch.now
		}
	}
}

// startLead runs the clocks of a lead that was just called.
func (ch *change) startLead() {
	ch.start(ClockAccept)
	ch.start(ClockArrive)
	ch.start(ClockHandle)
}

// pause and resume hold the handle clock of a suspended ticket; no other.
func (ch *change) pause(until time.Time) {
	ch.stop(ClockHandle)
	ch.setClock(grid.Clock{Name: clockSuspend, Started: ch.now, Due: until})
}

func (ch *change) resume() {
	ch.stop(clockSuspend)
	if c := findClock(ch.t, ClockHandle); c != nil && !c.Stopped.IsZero() {
		ch.p.Limits[ClockHandle].moveOn(c, ch.now)
	}
}

// moveOn lets a stopped clock go on at now, with what it had left.
func (l Limit) moveOn(c *grid.Clock, now time.Time) {
	stopped := c.Stopped
	c.Stopped = time.Time{}
	if l.Calendar == nil || c.Calendar != l.Calendar.Name {
		held := now.Sub(stopped)
		c.Started = c.Started.Add(held)
		for _, at := range []*time.Time{&c.Half, &c.Most, &c.Due} {
			if !at.IsZero() {
				*at = at.Add(held)
			}
		}
		return
	}
	for _, at := range []*time.Time{&c.Half, &c.Most, &c.Due} {
		if at.After(stopped) {
			*at = l.Calendar.Add(now, l.Calendar.Between(stopped, *at))
		}
	}
}

// Tick does what has come due by now, in real time: it warns at 50, 80 and 100 % of each
// limit, calls the later tiers, ends a suspension. What is overdue is done at once, each
// step once, and of several steps that were slept through only the last is told. next is
// when to call again if nothing happens before; zero: never.
func Tick(t *grid.Ticket, p *Plan, now time.Time, c Context) (r Result, next time.Time) {
	if t.State.Ended() {
		return Result{}, time.Time{}
	}
	ch := begin(t, p, c, byClock, now)
	for i := range t.Clocks { // none is added meanwhile
		cl := t.Clocks[i]
		if !cl.Stopped.IsZero() || cl.Due.IsZero() {
			continue
		}
		switch {
		case isTierClock(cl.Name):
			ch.tierDue(cl)
		case cl.Name == clockSuspend:
			ch.suspensionDue(cl)
		case cl.Name == clockTell:
			ch.tellDue(cl)
		default:
			ch.limitDue(cl)
		}
	}
	r = ch.done()
	return r, r.Wake
}

func isTierClock(name string) bool { return strings.HasPrefix(name, "tier") }

// held reports whether the automatic call of the next tier stands still: someone found
// the cause false, and only one detector is in alarm.
func held(t *grid.Ticket, c Context) bool {
	return !c.Second && (t.Verification == grid.VerifiedFalse || suspected(t))
}

// suspected reports whether the detector has cried wolf too often for the next tier to be
// called by it alone: that takes the operator or a second detector.
func suspected(t *grid.Ticket) bool {
	return t.Suspect != "" && t.Verification != grid.VerifiedTrue
}

func (ch *change) tierDue(cl grid.Clock) {
	if ch.now.Before(cl.Due) {
		return
	}
	if held(ch.t, ch.c) {
		if suspected(ch.t) && cl.Warned == 0 {
			findClock(ch.t, cl.Name).Warned = 100
			ch.task(decide("tier_suspect", grid.TaskFacts{"clock": cl.Name, "why": ch.t.Suspect}, "%s is due, and the detector is suspect (%s): call it, or say why not", cl.Name, ch.t.Suspect))
		}
		return
	}
	for tier := 1; tier <= 4; tier++ {
		if tierClock(tier) == cl.Name {
			ch.say(verbWarn, grid.MoveRecord{Detail: fmt.Sprintf("%s is due", cl.Name)})
			ch.callTier(tier)
		}
	}
}

func (ch *change) suspensionDue(cl grid.Clock) {
	a := lead(ch.t)
	if ch.now.Before(cl.Due) || a == nil || a.State != grid.TicketSuspended {
		return
	}
	ch.resume()
	ch.moveAssignment(a, grid.VerbResume, grid.TicketInProgress, grid.MoveRecord{Reason: "the agreed end of the suspension"})
	ch.tell(a, MessageUpdated)
}

func (ch *change) limitDue(cl grid.Clock) {
	step := 0
	for _, s := range steps {
		if s > cl.Warned && !ch.now.Before(stepAt(cl, s)) {
			step = s
		}
	}
	if step == 0 {
		return
	}
	c := findClock(ch.t, cl.Name)
	c.Warned, c.Fired = step, step == 100
	ch.say(verbWarn, grid.MoveRecord{Detail: fmt.Sprintf("%s: %d %% of its time, %s", cl.Name, step, stepText[step])})
	if l := lead(ch.t); l != nil && busy(l) && slices.Contains(leadClocks, cl.Name) {
		ch.tell(l, stepMessage(step))
	}
	if cl.Name == ClockTotal {
		ch.t.Warned, ch.t.Overdue = step, step == 100
	}
	if cl.Name == ClockHandle || cl.Name == ClockTotal {
		ch.tellDesk(step)
	}
	if step == 100 {
		ch.overdue(cl.Name)
	}
}

// tellDesk tells the street's desk at 80 % of the time for the work, the district's at 100 %:
// units of the kind operator, of that street and of no street. Where there is none, the line
// in the history and the stream is all.
func (ch *change) tellDesk(step int) {
	if step < 80 {
		return
	}
	var best *grid.Unit
	for i := range ch.c.Units {
		u := &ch.c.Units[i]
		if u.Kind != grid.Operator || !sameWorld(u.Mode, ch.t.Mode) || !contains(u.Scope, ch.t.Scope) || (u.Scope.Street != "") != (step < 100) {
			continue
		}
		if best == nil || u.ID < best.ID {
			best = u
		}
	}
	if best == nil {
		return
	}
	m := Message{Unit: best.ID, Type: MessageEscalated}
	for i := range ch.t.Assignments {
		if a := &ch.t.Assignments[i]; a.Unit == best.ID && has(a) {
			m.Assignment = a.ID
		}
	}
	if !slices.Contains(ch.res.Messages, m) {
		ch.res.Messages = append(ch.res.Messages, m)
	}
}

func stepMessage(step int) string {
	if step == 50 {
		return MessageUpdated
	}
	return MessageEscalated
}

func stepAt(c grid.Clock, step int) time.Time {
	switch {
	case step == 100:
		return c.Due
	case step == 50 && !c.Half.IsZero():
		return c.Half
	case step == 80 && !c.Most.IsZero():
		return c.Most
	}
	return c.Started.Add(c.Due.Sub(c.Started) * time.Duration(step) / 100)
}

// overdue is what follows when a limit has run out: work that is late goes up one tier,
// everything else is a task for a person.
func (ch *change) overdue(name string) {
	late := name == ClockHandle || name == ClockTotal
	if late {
		ch.t.SentDistrict = true
	}
	if late && !held(ch.t, ch.c) {
		ch.upOneTier()
		return
	}
	ch.task(decide("overdue", grid.TaskFacts{"clock": name}, "%s is overdue: act for it", name))
}

// wake is when the clocks of a ticket have something to say next.
func wake(t *grid.Ticket, c Context) (next time.Time) {
	if t.State.Ended() {
		return time.Time{}
	}
	next = chainsWake(t)
	for _, cl := range t.Clocks {
		switch {
		case !cl.Stopped.IsZero() || cl.Due.IsZero():
		case isTierClock(cl.Name):
			if !held(t, c) || suspected(t) && cl.Warned == 0 {
				next = earliest(next, cl.Due)
			}
		case cl.Name == clockSuspend || cl.Name == clockTell:
			next = earliest(next, cl.Due)
		default:
			for _, s := range steps {
				if s > cl.Warned {
					next = earliest(next, stepAt(cl, s))
					break
				}
			}
		}
	}
	return next
}

// earliest of two times, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
