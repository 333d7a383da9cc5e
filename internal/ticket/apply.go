package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

const timeLayout = time.RFC3339

// wish is a move with what it is about.
type wish struct {
	m grid.Move
	t *grid.Ticket
	a *grid.Assignment // the mover's own, the named one, or the lead's; nil: there is none
	c Context
	e *entry
}

func (w *wish) unit() *grid.Unit {
	for i := range w.c.Units {
		if w.c.Units[i].ID == w.m.Unit {
			return &w.c.Units[i]
		}
	}
	return nil
}

// Apply does a move, or says why not and leaves the ticket as it is. m.At is when the
// move reached us.
//
// Repeating what is already so is a no-op: no error, and Changed is false. Errors are
// grid.Forbidden (not this role's, not this unit's assignment), grid.Conflict (not in
// this state; a late word on an earlier attempt; the sensor says otherwise),
// grid.Invalid (something is missing) or grid.NotFound (no such assignment).
func Apply(t *grid.Ticket, m grid.Move, p *Plan, c Context) (Result, error) {
	ch := begin(t, p, c, m.By, m.At)
	w := &wish{m: m, t: t, c: c}
	if err := w.find(); err != nil {
		return Result{}, err
	}
	state := t.State
	first, _ := find(m.Verb, state)
	if first == nil {
		return Result{}, invalid("verb is %q: want one of %s", m.Verb, verbsText(verbs()))
	}
	if !slices.Contains(first.who, m.By.Role) {
		return Result{}, grid.Errorf(grid.Forbidden, "%s may not %s: want %s", m.By.Role, m.Verb, rolesText(first.who))
	}
	if first.of == anAssignment {
		if w.a == nil {
			return Result{}, grid.Errorf(grid.Conflict, "ticket %s is %s and has no lead: %s needs one", t.ID, t.State, m.Verb)
		}
		if err := w.attempt(); err != nil {
			return Result{}, err
		}
		state = w.a.State
	}
	if w.repeated(first, state) {
		return Result{Wake: wake(t, c)}, nil
	}
	e, here := find(m.Verb, state)
	if !here || t.State.Ended() {
		return Result{}, w.wrongState(e, state)
	}
	w.e = e
	for _, need := range e.needs {
		if err := need(w); err != nil {
			return Result{}, err
		}
	}
	e.do(ch, w)
	return ch.done(), nil
}

// find settles whose move it is: a unit moves only its own assignment.
func (w *wish) find() error {
	if w.m.Ticket != "" && w.m.Ticket != w.t.ID {
		return invalid("ticket is %q: want %s", w.m.Ticket, w.t.ID)
	}
	as := w.t.Assignments
	if w.m.Assignment != "" {
		i := slices.IndexFunc(as, func(a grid.Assignment) bool { return a.ID == w.m.Assignment })
		if i >= 0 {
			w.a = &as[i]
		}
	} else if w.m.By.Role != grid.RoleUnit {
		w.a = lead(w.t)
		return nil
	} else {
		for i := range as {
			if as[i].Unit == w.m.By.Unit {
				w.a = &as[i] // the newest
			}
		}
	}
	switch {
	case w.m.By.Role == grid.RoleUnit && (w.a == nil || w.m.By.Unit == "" || w.a.Unit != w.m.By.Unit):
		return grid.Errorf(grid.Forbidden, "unit %q has no such part in ticket %s", w.m.By.Unit, w.t.ID)
	case w.a == nil:
		return grid.Errorf(grid.NotFound, "assignment %q is not of ticket %s", w.m.Assignment, w.t.ID)
	}
	return nil
}

// attempt refuses a late word on an earlier attempt: the unit was told to do it again.
func (w *wish) attempt() error {
	switch {
	case w.m.Attempt == 0 || w.m.Attempt == w.a.Attempt:
		return nil
	case w.m.Attempt < w.a.Attempt:
		return grid.Errorf(grid.Conflict, "attempt is %d: assignment %s is at attempt %d since its rework", w.m.Attempt, w.a.ID, w.a.Attempt)
	}
	return invalid("attempt is %d: assignment %s is at attempt %d", w.m.Attempt, w.a.ID, w.a.Attempt)
}

// repeated reports whether the move asks for what is already so.
func (w *wish) repeated(e *entry, state grid.TicketState) bool {
	switch w.m.Verb {
	case grid.VerbVerify:
		return w.m.Finding == w.t.Verification && w.m.Finding != grid.Unverified && !w.t.State.Ended()
	case grid.VerbConfirm:
		return slices.Contains(reported, state) && w.t.Confirmed != "" && !asked(w.t) && (w.m.Evidence == "" || w.m.Evidence == w.t.Evidence)
	case grid.VerbDone:
		k := w.task()
		return k != nil && !k.Done.IsZero()
	case grid.VerbForceClose:
		if a := w.t.Asked; a != nil && a.Verb == w.m.Verb && a.By.Name == w.m.By.Name && w.m.At.Sub(a.At) <= agreeWithin {
			return true
		}
	case grid.VerbAssign:
		return !w.t.State.Ended() && slices.ContainsFunc(w.t.Assignments, func(a grid.Assignment) bool {
			// Who only helps may be named to lead a ticket that nobody leads.
			return a.Unit == w.m.Unit && (busy(&a) && !slices.Contains(unled, state) || a.Lead && has(&a))
		})
	}
	return e.to != "" && e.to == state
}

// wrongState names the state, the verb and what is allowed.
func (w *wish) wrongState(e *entry, state grid.TicketState) error {
	what := fmt.Sprintf("ticket %s is %s", w.t.ID, w.t.State)
	if e.of == anAssignment && state != w.t.State {
		what = fmt.Sprintf("assignment %s is %s and %s", w.a.ID, state, what)
	}
	if w.t.State.Ended() {
		return grid.Errorf(grid.Conflict, "%s: it has ended and takes no %s", what, w.m.Verb)
	}
	return grid.Errorf(grid.Conflict, "%s: %s is not allowed, %s may %s", what, w.m.Verb, w.m.By.Role, verbsText(Allowed(w.t, w.m.By)))
}

// Allowed are the verbs that this actor may use now, on its own assignment or the
// lead's; what each needs besides is not looked at. For screens, and for errors.
func Allowed(t *grid.Ticket, by grid.Actor) []grid.Verb {
	w := &wish{m: grid.Move{By: by}, t: t}
	if t.State.Ended() || w.find() != nil {
		return nil
	}
	var out []grid.Verb
	for i := range table {
		e, state := &table[i], t.State
		if e.of == anAssignment {
			if w.a == nil {
				continue
			}
			state = w.a.State
		}
		if slices.Contains(e.who, by.Role) && slices.Contains(e.from, state) && !slices.Contains(out, e.verb) {
			out = append(out, e.verb)
		}
	}
	return out
}

func verbs() (out []grid.Verb) {
	for _, e := range table {
		if !slices.Contains(out, e.verb) {
			out = append(out, e.verb)
		}
	}
	return out
}

func verbsText(vs []grid.Verb) string {
	if len(vs) == 0 {
		return "do nothing"
	}
	words := make([]string, len(vs))
	for i, v := range vs {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

func rolesText(rs []grid.Role) string {
	words := make([]string, len(rs))
	for i, r := range rs {
		words[i] = string(r)
	}
	return strings.Join(words, " or ")
}
