package ticket

import (
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// change gathers what one call does to a ticket. The ticket's lists are copied before
// they are written to: an older copy of the ticket keeps its own.
type change struct {
	t   *grid.Ticket
	p   *Plan
	c   Context
	by  grid.Actor
	now time.Time
	res Result

	chainsOwned bool // the chains are a copy
}

func begin(t *grid.Ticket, p *Plan, c Context, by grid.Actor, now time.Time) *change {
	t.Assignments = slices.Clone(t.Assignments)
	t.Clocks = slices.Clone(t.Clocks)
	return &change{t: t, p: p, c: c, by: by, now: now}
}

func (ch *change) done() Result {
	ch.callPeople()
	if len(ch.res.Moves) > 0 {
		ch.res.Changed = true
		ch.t.Revision++
	}
	ch.res.Wake = earliest(ch.res.Wake, wake(ch.t, ch.c))
	return ch.res
}

// line writes one line of history.
func (ch *change) line(verb string, from, to grid.TicketState, l grid.MoveRecord) {
	ch.t.Moves++
	l.Ticket, l.N, l.Verb, l.From, l.To, l.At = ch.t.ID, ch.t.Moves, verb, from, to, ch.now
	if l.By == (grid.Actor{}) {
		l.By = ch.by
	}
	ch.res.Moves = append(ch.res.Moves, l)
}

// to moves the ticket and writes the line of it.
func (ch *change) to(verb string, s grid.TicketState, l grid.MoveRecord) {
	from := ch.t.State
	ch.t.State = s
	ch.line(verb, from, s, l)
}

// say writes a line that moves nothing.
func (ch *change) say(verb string, l grid.MoveRecord) {
	ch.line(verb, ch.t.State, ch.t.State, l)
}

// task gives a person at the operator's desk something to do. The same again, while it is
// not done, is no second one.
func (ch *change) task(k grid.Task) {
	if slices.ContainsFunc(ch.t.Tasks, func(o grid.Task) bool {
		return o.Done.IsZero() && o.Kind == k.Kind && o.Unit == k.Unit && o.Text == k.Text
	}) {
		return
	}
	k.N, k.Opened = len(ch.t.Tasks)+1, ch.now
	ch.t.Tasks = append(slices.Clip(ch.t.Tasks), k)
	ch.say(verbTask, grid.MoveRecord{By: bySystem, Detail: k.Text})
}

// taskDone ends the tasks that pick picks.
func (ch *change) taskDone(note string, pick func(*grid.Task) bool) {
	var tasks []grid.Task
	for i := range ch.t.Tasks {
		if k := &ch.t.Tasks[i]; !k.Done.IsZero() || !pick(k) {
			continue
		}
		if tasks == nil {
			tasks = slices.Clone(ch.t.Tasks)
		}
		tasks[i].Done, tasks[i].By, tasks[i].Note = ch.now, ch.by, note
	}
	if tasks != nil {
		ch.t.Tasks = tasks
	}
}

// decide is a task to decide something. code and facts say the text again, for a screen in
// another language; docs/tickets.md lists them.
func decide(code string, facts grid.TaskFacts, format string, args ...any) grid.Task {
	return grid.Task{Kind: grid.TaskDecide, Code: code, Facts: facts, Text: fmt.Sprintf(format, args...)}
}

// tell tells a unit; the same message twice in one change is one.
func (ch *change) tell(a *grid.Assignment, typ string) {
	m := Message{Assignment: a.ID, Unit: a.Unit, Type: typ}
	if !slices.Contains(ch.res.Messages, m) {
		ch.res.Messages = append(ch.res.Messages, m)
	}
}

// tellAll tells every unit that has a part in the ticket, except one assignment.
func (ch *change) tellAll(typ, except string) {
	for i := range ch.t.Assignments {
		if a := &ch.t.Assignments[i]; a.ID != except && has(a) {
			ch.tell(a, typ)
		}
	}
}

// has reports whether the unit has a part in the ticket, done or not.
func has(a *grid.Assignment) bool {
	return a.State != grid.TicketReturned && a.State != grid.TicketCancelled
}

// busy reports whether the unit still has something to do.
func busy(a *grid.Assignment) bool { return has(a) && a.State != grid.TicketResolved }

// lead is the assignment that the ticket follows, or nil. After a return there are two
// that lead: the one that was returned, whose unit stays responsible, and the one that
// is to take over; the ticket follows the newer.
func lead(t *grid.Ticket) *grid.Assignment {
	for i := len(t.Assignments) - 1; i >= 0; i-- {
		if t.Assignments[i].Lead {
			return &t.Assignments[i]
		}
	}
	return nil
}

// Responsible is the unit that answers for the ticket now: the lead's, and after a
// return still the one that returned it, until another accepts. "" when there is none.
func Responsible(t *grid.Ticket) string {
	for i := range t.Assignments {
		if t.Assignments[i].Lead {
			return t.Assignments[i].Unit
		}
	}
	return ""
}

// assign gives a unit its part. As lead it moves the ticket to dispatched.
func (ch *change) assign(verb string, u *grid.Unit, tier int, asLead bool, l grid.MoveRecord) {
	a := grid.Assignment{
		ID: fmt.Sprintf("%s.%d", ch.t.ID, len(ch.t.Assignments)+1), Ticket: ch.t.ID, Unit: u.ID,
		Lead: asLead, Tier: tier, State: grid.TicketDispatched, Attempt: 1, Since: ch.now,
	}
	ch.t.Assignments = append(ch.t.Assignments, a)
	ch.t.Tier = max(ch.t.Tier, tier)
	l.Assignment, l.Detail = a.ID, u.Name
	ch.taskDone("assigned to "+u.ID, func(k *grid.Task) bool {
		return k.Kind == grid.TaskCall && k.Unit == u.ID || k.Kind == grid.TaskAssign && (asLead || k.Unit == "")
	})
	if asLead {
		ch.to(verb, grid.TicketDispatched, l)
		ch.stop(ClockDispatch)
		ch.startLead()
	} else {
		ch.line(verb, "", grid.TicketDispatched, l)
	}
	ch.tell(&a, MessageOpened)
}

// end closes the ticket for good. Units still at it are told to stand down, unless the
// work is done.
func (ch *change) end(verb string, s grid.TicketState, l grid.MoveRecord) {
	ch.to(verb, s, l)
	ch.t.Closed, ch.t.Asked = ch.now, nil
	ch.taskDone("the ticket has ended", func(*grid.Task) bool { return true })
	for i := range ch.t.Clocks {
		if c := &ch.t.Clocks[i]; c.Stopped.IsZero() {
			c.Stopped = ch.now
		}
	}
	if s == grid.TicketClosed {
		ch.tellAll(MessageClosed, "")
		return
	}
	for i := range ch.t.Assignments {
		switch a := &ch.t.Assignments[i]; {
		case busy(a):
			a.State, a.StandDown, a.Since = grid.TicketCancelled, true, ch.now
			ch.tell(a, MessageStandDown)
		case has(a) && s == grid.TicketForcedClose:
			ch.tell(a, MessageClosed)
		case has(a):
			ch.tell(a, MessageCancelled)
		}
	}
}
