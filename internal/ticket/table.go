package ticket

import (
	"slices"

	"gridgate/internal/grid"
)

// entry is one line of the table of moves.
type entry struct {
	verb  grid.Verb
	who   []grid.Role
	of    subject
	from  []grid.TicketState // of the subject
	to    grid.TicketState   // of the subject; "": the move changes no state
	needs []need
	do    func(*change, *wish) // what else it does; nil: move, and write it down
}

// subject is whose state a move looks at.
type subject uint8

const (
	theTicket    subject = iota
	anAssignment         // the mover's own; at the desk also another's, on a named source's word
)

var (
	all      = []grid.Role{grid.RoleUnit, grid.RoleOperator, grid.RoleSupervisor, grid.RoleSystem}
	people   = []grid.Role{grid.RoleUnit, grid.RoleOperator, grid.RoleSupervisor}
	desk     = []grid.Role{grid.RoleOperator, grid.RoleSupervisor}
	topDesk  = []grid.Role{grid.RoleSupervisor}
	unfiled  = states(grid.TicketReported, grid.TicketVerifying)
	filed    = states(grid.TicketFiled, grid.TicketDispatched, grid.TicketAccepted, grid.TicketInProgress, grid.TicketSuspended, grid.TicketReturned, grid.TicketResolved, grid.TicketChecking, grid.TicketRework)
	open     = append(slices.Clone(unfiled), filed...)
	unled    = states(grid.TicketFiled, grid.TicketReturned)
	led      = states(grid.TicketDispatched, grid.TicketAccepted, grid.TicketInProgress, grid.TicketSuspended, grid.TicketResolved, grid.TicketChecking)
	reported = states(grid.TicketResolved, grid.TicketChecking)
)

func states(s ...grid.TicketState) []grid.TicketState { return s }

// table is the one table of moves: who may, from where, with what. It is the only way in
// which a person or a unit changes a ticket or an assignment.
var table = []entry{
	{verb: grid.VerbVerify, who: all, of: theTicket, from: unfiled, needs: []need{finding}, do: verifyFirst},
	{verb: grid.VerbVerify, who: all, of: theTicket, from: filed, needs: []need{finding}, do: verifyBeside},

	{verb: grid.VerbAccept, who: people, of: anAssignment, from: states(grid.TicketDispatched), to: grid.TicketAccepted, needs: []need{wordOf}, do: accept},
	{verb: grid.VerbArrive, who: people, of: anAssignment, from: states(grid.TicketAccepted), to: grid.TicketInProgress, needs: []need{wordOf}, do: arrive},
	{verb: grid.VerbResolve, who: people, of: anAssignment, from: states(grid.TicketInProgress), to: grid.TicketResolved, needs: []need{wordOf}, do: resolve},
	{verb: grid.VerbReturn, who: people, of: anAssignment, from: states(grid.TicketDispatched), to: grid.TicketReturned, needs: []need{wordOf, reason, proposed}, do: giveBack},
	{verb: grid.VerbSuspend, who: desk, of: anAssignment, from: states(grid.TicketInProgress), to: grid.TicketSuspended, needs: []need{notP1, leading, reason, until}, do: suspend},
	{verb: grid.VerbResume, who: all, of: anAssignment, from: states(grid.TicketSuspended), to: grid.TicketInProgress, do: resumeWork},

	{verb: grid.VerbConfirm, who: people, of: theTicket, from: reported, needs: []need{present, word}, do: confirm},
	{verb: grid.VerbAssign, who: desk, of: theTicket, from: unled, to: grid.TicketDispatched, needs: []need{afterTwoReturns, named}, do: assignLead},
	{verb: grid.VerbAssign, who: desk, of: theTicket, from: led, needs: []need{named}, do: assignHelp},

	{verb: grid.VerbCancel, who: people, of: theTicket, from: open, to: grid.TicketCancelled, needs: []need{byTheLead, reason, present, calm}, do: finish},
	{verb: grid.VerbForceClose, who: topDesk, of: theTicket, from: open, to: grid.TicketForcedClose, needs: []need{reason}, do: forceClose},
	{verb: grid.VerbMerge, who: desk, of: theTicket, from: open, to: grid.TicketMerged, needs: []need{reason, into}, do: finish},
	{verb: grid.VerbSplit, who: desk, of: theTicket, from: open, needs: []need{reason, member}, do: split},
	{verb: grid.VerbDone, who: desk, of: theTicket, from: open, needs: []need{openTask, spoken}, do: taskIsDone},
	{verb: grid.VerbNote, who: all, of: theTicket, from: open, needs: []need{reason}, do: note},
}

// find gives the line for a verb in a state, or the verb's first line and false.
func find(v grid.Verb, s grid.TicketState) (e *entry, here bool) {
	for i := range table {
		if table[i].verb != v {
			continue
		}
		if e == nil {
			e = &table[i]
		}
		if slices.Contains(table[i].from, s) {
			return &table[i], true
		}
	}
	return e, false
}

// need is a condition of a move beyond role and state. It returns nil or why not.
type need func(*wish) error

func invalid(format string, args ...any) error { return grid.Errorf(grid.Invalid, format, args...) }

func finding(w *wish) error {
	switch w.m.Finding {
	case grid.VerifiedTrue, grid.VerifiedFalse, grid.VerifiedUnable:
		return nil
	}
	return invalid("finding is %q: want true, false or unable", w.m.Finding)
}

func reason(w *wish) error {
	if w.m.Reason == "" {
		return invalid("reason is missing: want one for %s", w.m.Verb)
	}
	return nil
}

// wordOf: who answers for a unit from the desk says who told them.
func wordOf(w *wish) error {
	if w.m.By.Role != grid.RoleUnit && w.m.Source == "" {
		return invalid("source is missing: want who said so, to %s for %s", w.m.Verb, w.a.Unit)
	}
	return nil
}

func proposed(w *wish) error {
	if w.m.Unit == "" || w.m.Unit == w.a.Unit {
		return invalid("unit is %q: want the unit you propose instead of %s", w.m.Unit, w.a.Unit)
	}
	return nil
}

func notP1(w *wish) error {
	if w.t.Priority == 1 {
		return grid.Errorf(grid.Conflict, "ticket %s is P1: it cannot be suspended", w.t.ID)
	}
	return nil
}

func leading(w *wish) error {
	if !w.a.Lead {
		return invalid("assignment %s only helps: want the lead's, whose clock is suspended", w.a.ID)
	}
	return nil
}

func until(w *wish) error {
	if !w.m.Until.After(w.m.At) {
		return invalid("until is %s: want the end of the suspension, after now", w.m.Until.Format(timeLayout))
	}
	return nil
}

// present: a person on site, or from the desk one who is named.
func present(w *wish) error {
	if w.m.OnSite || w.m.By.Role != grid.RoleUnit && w.m.Source != "" {
		return nil
	}
	if w.m.By.Role == grid.RoleUnit {
		return invalid("on_site is false: want a person on site to %s", w.m.Verb)
	}
	return invalid("on_site is false and source is missing: want a person on site, or who said so, to %s", w.m.Verb)
}

func word(w *wish) error {
	if w.m.Evidence == "" && w.m.Reason == "" {
		return invalid("evidence and reason are missing: want a photo or a word on what was found")
	}
	return nil
}

// calm: nothing is a false alarm while the sensor says otherwise.
func calm(w *wish) error {
	switch {
	case w.c.Active:
		return grid.Errorf(grid.Conflict, "ticket %s cannot be cancelled: its sensor is still in alarm", w.t.ID)
	case w.c.Second:
		return grid.Errorf(grid.Conflict, "ticket %s cannot be cancelled: a second detector is in alarm", w.t.ID)
	}
	return nil
}

// byTheLead: a unit that helps does not end the work of the others.
func byTheLead(w *wish) error {
	if w.m.By.Role == grid.RoleUnit && (w.a == nil || !w.a.Lead) {
		return grid.Errorf(grid.Forbidden, "unit %s only helps with ticket %s: want its lead or the operator to %s", w.m.By.Unit, w.t.ID, w.m.Verb)
	}
	return nil
}

// member: an episode that joined the ticket; the one it was opened for stays.
func member(w *wish) error {
	if w.m.Alarm == "" || !slices.Contains(w.c.Episodes, w.m.Alarm) || w.m.Alarm == w.t.Alarm {
		return invalid("alarm is %q: want an episode that joined ticket %s, not the one it was opened for", w.m.Alarm, w.t.ID)
	}
	return nil
}

func (w *wish) task() *grid.Task {
	for i := range w.t.Tasks {
		if w.t.Tasks[i].N == w.m.Task {
			return &w.t.Tasks[i]
		}
	}
	return nil
}

func openTask(w *wish) error {
	k := w.task()
	switch {
	case k == nil:
		return grid.Errorf(grid.NotFound, "task is %d: ticket %s has %d", w.m.Task, w.t.ID, len(w.t.Tasks))
	case k.Kind == grid.TaskAssign:
		return invalid("task %d is done by assign", k.N)
	case k.Kind == grid.TaskWord:
		return invalid("task %d is done by confirm", k.N)
	}
	return nil
}

// spoken: a call is done when somebody answered it, a decision when there is one.
func spoken(w *wish) error {
	if k := w.task(); k.Kind == grid.TaskCall && w.m.Source == "" {
		return invalid("source is missing: want who answered the call to %s", k.Unit)
	} else if k.Kind == grid.TaskDecide && w.m.Reason == "" {
		return invalid("reason is missing: want what was decided on task %d", k.N)
	}
	return nil
}

func into(w *wish) error {
	if w.m.Into == "" || w.m.Into == w.t.ID {
		return invalid("into is %q: want the ticket of the same cause", w.m.Into)
	}
	return nil
}

// named: the unit exists and belongs to the ticket's world.
func named(w *wish) error {
	u := w.unit()
	if u == nil {
		return invalid("unit is %q: want a registered unit", w.m.Unit)
	}
	if !sameWorld(u.Mode, w.t.Mode) {
		return invalid("unit %s is %s and ticket %s is %s: want a unit that takes such tickets", u.ID, modeText(u.Mode), w.t.ID, modeText(w.t.Mode))
	}
	return nil
}

func afterTwoReturns(w *wish) error {
	if w.t.Returns >= 2 && w.m.By.Role != grid.RoleSupervisor {
		return grid.Errorf(grid.Forbidden, "ticket %s was returned %d times: want the supervisor to assign it", w.t.ID, w.t.Returns)
	}
	return nil
}

func modeText(m grid.Mode) grid.Mode {
	if m == "" {
		return grid.Live
	}
	return m
}
