package hazard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Answers to a question: yes, no, or that it does not apply.
const (
	Yes = "yes"
	No  = "no"
	NA  = "na"
)

// MaxExtensions is how often a deadline may be moved.
const MaxExtensions = 2

// maxPhotos bounds the photos of one hazard, before and after each.
const maxPhotos = 20

// Result is what follows from a move beside the hazard's own change.
type Result struct {
	Changed bool
	Ticket  []grid.Move // to be made on its ticket, in this order
	Failed  bool        // a re-check failed: its ticket goes to rework
	Moved   bool        // the deadline was moved
}

// entry is one line of the table of moves.
type entry struct {
	verb  grid.HazardVerb
	who   []grid.Role
	from  []grid.HazardState
	to    grid.HazardState // "": the state stays
	needs []need
	do    func(*grid.Hazard, *wish) Result
}

type wish struct {
	m *grid.HazardMove
	h *grid.Hazard
	k *Kind
}

type need func(*wish) error

var (
	people     = []grid.Role{grid.RoleUnit, grid.RoleOperator, grid.RoleSupervisor}
	desk       = []grid.Role{grid.RoleOperator, grid.RoleSupervisor}
	supervisor = []grid.Role{grid.RoleSupervisor}
	unsolved   = []grid.HazardState{grid.HazardFound, grid.HazardNotified, grid.HazardRectifying}
	told       = []grid.HazardState{grid.HazardNotified, grid.HazardRectifying}
	done       = []grid.HazardState{grid.HazardRectified, grid.HazardRechecking}
	open       = slices.Concat(unsolved, done)
)

// table is the one table of moves: who may, from where, with what.
var table = []entry{
	{verb: grid.HazardInspect, who: people, from: open, needs: []need{answers}, do: inspect},
	{verb: grid.HazardPhoto, who: people, from: open, needs: []need{photos}, do: inspect},
	{verb: grid.HazardNotify, who: desk, from: []grid.HazardState{grid.HazardFound}, to: grid.HazardNotified, needs: []need{unit}, do: notify},
	{verb: grid.HazardStart, who: people, from: []grid.HazardState{grid.HazardNotified}, to: grid.HazardRectifying, needs: []need{own, said}, do: start},
	{verb: grid.HazardRectify, who: people, from: told, to: grid.HazardRectified, needs: []need{own, said, shown}, do: rectify},
	{verb: grid.HazardRecheck, who: desk, from: []grid.HazardState{grid.HazardRectified}, to: grid.HazardRechecking, needs: []need{person}, do: recheck},
	{verb: grid.HazardPass, who: desk, from: done, to: grid.HazardClosed, needs: []need{person, shown, safe}, do: pass},
	{verb: grid.HazardFail, who: desk, from: done, to: grid.HazardNotified, needs: []need{person, reason}, do: fail},
	{verb: grid.HazardExtend, who: supervisor, from: unsolved, needs: []need{reason, later, notTooOften}, do: extend},
	{verb: grid.HazardDismiss, who: supervisor, from: open, to: grid.HazardClosed, needs: []need{person, reason}, do: dismiss},
}

// Verbs are all verbs, in the order of the table.
func Verbs() (out []grid.HazardVerb) {
	for i := range table {
		out = append(out, table[i].verb)
	}
	return out
}

// Allowed are the verbs that this role has in this state.
func Allowed(h *grid.Hazard, by grid.Actor) (out []grid.HazardVerb) {
	for i := range table {
		if e := &table[i]; slices.Contains(e.who, by.Role) && slices.Contains(e.from, h.State) {
			out = append(out, e.verb)
		}
	}
	return out
}

// Apply does a move, or says why not and leaves the hazard as it is. Errors are
// grid.Forbidden (not this role's, another unit's), grid.Conflict (not in this state, too
// often) or grid.Invalid (something is missing). What is already so is a no-op.
func Apply(h *grid.Hazard, m grid.HazardMove, k *Kind) (Result, error) {
	i := slices.IndexFunc(table, func(e entry) bool { return e.verb == m.Verb })
	if i < 0 {
		return Result{}, invalid("verb is %q: want one of %s", m.Verb, words(Verbs()))
	}
	e := &table[i]
	if !slices.Contains(e.who, m.By.Role) {
		return Result{}, grid.Errorf(grid.Forbidden, "%s may not %s: want %s", m.By.Role, m.Verb, words(e.who))
	}
	if e.to != "" && e.to == h.State && m.Verb != grid.HazardFail {
		return Result{}, nil
	}
	if !slices.Contains(e.from, h.State) {
		return Result{}, grid.Errorf(grid.Conflict, "hazard %s is %s: %s is not allowed, %s may %s", h.ID, h.State, m.Verb, m.By.Role, words(Allowed(h, m.By)))
	}
	w := &wish{m: &m, h: h, k: k}
	for _, n := range append([]need{known, room}, e.needs...) {
		if err := n(w); err != nil {
			return Result{}, err
		}
	}
	note(h, &m)
	res := e.do(h, w)
	if e.to != "" {
		h.State = e.to
	}
	res.Changed = true
	return res, nil
}

// note keeps the answers and photos that come with any move.
func note(h *grid.Hazard, m *grid.HazardMove) {
	for _, a := range m.Answers {
		a.By, a.At = m.By, m.At
		i := slices.IndexFunc(h.Answers, func(o grid.HazardAnswer) bool { return o.Question == a.Question })
		h.Answers = slices.Clone(h.Answers)
		if i < 0 {
			h.Answers = append(h.Answers, a)
		} else {
			h.Answers[i] = a
		}
	}
	h.Before, h.After = union(h.Before, m.Before), union(h.After, m.After)
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func words[T ~string](of []T) string {
	out := make([]string, len(of))
	for i, v := range of {
		out[i] = string(v)
	}
	return cmp.Or(strings.Join(out, ", "), "do nothing")
}

func invalid(format string, args ...any) error { return grid.Errorf(grid.Invalid, format, args...) }

// The needs.

// known: questions are those of the kind, answers yes, no or na.
func known(w *wish) error { return CheckAnswers(w.k, w.m.Answers) }

// CheckAnswers says what is wrong with answers to the check-list of a kind.
func CheckAnswers(k *Kind, all []grid.HazardAnswer) error {
	for _, a := range all {
		if !slices.ContainsFunc(k.Questions, func(q Question) bool { return q.ID == a.Question }) {
			ids := make([]string, len(k.Questions))
			for i, q := range k.Questions {
				ids[i] = q.ID
			}
			return invalid("question is %q: want one of %s", a.Question, strings.Join(ids, ", "))
		}
		if a.Answer != Yes && a.Answer != No && a.Answer != NA {
			return invalid("answer to %s is %q: want yes, no or na", a.Question, a.Answer)
		}
	}
	return nil
}

func room(w *wish) error {
	if len(union(w.h.Before, w.m.Before)) > maxPhotos || len(union(w.h.After, w.m.After)) > maxPhotos {
		return grid.Errorf(grid.Conflict, "hazard %s has its photos: want at most %d before and %d after", w.h.ID, maxPhotos, maxPhotos)
	}
	return nil
}

func answers(w *wish) error {
	if len(w.m.Answers) == 0 {
		return invalid("answers are missing: want some of the check-list")
	}
	return nil
}

func photos(w *wish) error {
	if len(w.m.Before)+len(w.m.After) == 0 {
		return invalid("before and after are missing: want ids of files of ticket %s", w.h.Ticket)
	}
	return nil
}

func unit(w *wish) error {
	if w.m.Unit == "" {
		return invalid("unit is missing: want who rectifies it")
	}
	return nil
}

// own: a unit speaks of its own work alone.
func own(w *wish) error {
	if w.m.By.Role == grid.RoleUnit && w.m.By.Unit != w.h.Unit {
		return grid.Errorf(grid.Forbidden, "hazard %s is rectified by %q, not by unit %s", w.h.ID, w.h.Unit, w.m.By.Unit)
	}
	return nil
}

// said: who answers for a unit from the desk says who told them.
func said(w *wish) error {
	if w.m.By.Role != grid.RoleUnit && w.m.Person == "" {
		return invalid("person is missing: want who of %s said so", w.h.Unit)
	}
	return nil
}

func person(w *wish) error {
	if w.m.Person == "" {
		return invalid("person is missing: want who was there to %s", w.m.Verb)
	}
	return nil
}

func reason(w *wish) error {
	if w.m.Reason == "" {
		return invalid("reason is missing: want one for %s", w.m.Verb)
	}
	return nil
}

// shown: a photo or a word says that it is done.
func shown(w *wish) error {
	if len(w.m.After) == 0 && w.m.Reason == "" {
		return invalid("after and reason are missing: want a photo or a word on what was done")
	}
	return nil
}

// safe: with each question answered, and none as the hazard would be.
func safe(w *wish) error {
	for _, q := range w.k.Questions {
		i := slices.IndexFunc(w.m.Answers, func(a grid.HazardAnswer) bool { return a.Question == q.ID })
		switch {
		case i < 0:
			return invalid("answers: %s is missing: want the whole check-list to pass", q.ID)
		case w.m.Answers[i].Answer == q.Danger:
			return grid.Errorf(grid.Conflict, "answer to %s is %s, which is the danger: want fail", q.ID, q.Danger)
		}
	}
	return nil
}

func later(w *wish) error {
	if !w.m.Until.After(w.h.Deadline) || !w.m.Until.After(w.m.At) {
		return invalid("until is %s: want after the deadline of %s, and after now", w.m.Until.Format(time.RFC3339), w.h.Deadline.Format(time.RFC3339))
	}
	return nil
}

func notTooOften(w *wish) error {
	if len(w.h.Extensions) >= MaxExtensions {
		return grid.Errorf(grid.Conflict, "hazard %s was extended %d times: want it rectified, or dismissed with a reason", w.h.ID, len(w.h.Extensions))
	}
	return nil
}

// What the moves do.

func inspect(*grid.Hazard, *wish) Result { return Result{} }

// ticketMove is the part of a move that its ticket has to make too.
func (w *wish) ticketMove(v grid.Verb) grid.Move {
	m := grid.Move{Ticket: w.h.Ticket, Verb: v, By: w.m.By, At: w.m.At, Reason: w.m.Reason, Source: w.m.Person}
	if len(w.m.After) > 0 {
		m.Evidence = grid.EvidencePrefix + w.m.After[0]
	}
	return m
}

func notify(h *grid.Hazard, w *wish) Result {
	m := w.ticketMove(grid.VerbAssign)
	m.Unit = w.m.Unit
	h.Unit = w.m.Unit
	return Result{Ticket: []grid.Move{m}}
}

func start(_ *grid.Hazard, w *wish) Result {
	return Result{Ticket: []grid.Move{w.ticketMove(grid.VerbAccept), w.ticketMove(grid.VerbArrive)}}
}

func rectify(h *grid.Hazard, w *wish) Result {
	resolve := w.ticketMove(grid.VerbResolve)
	if h.State == grid.HazardNotified {
		return Result{Ticket: []grid.Move{w.ticketMove(grid.VerbAccept), w.ticketMove(grid.VerbArrive), resolve}}
	}
	// A unit that has accepted by itself may not have arrived: the ticket takes the repeat for none.
	return Result{Ticket: []grid.Move{w.ticketMove(grid.VerbArrive), resolve}}
}

func recheck(h *grid.Hazard, w *wish) Result {
	h.Checker = w.m.Person
	return Result{}
}

func (w *wish) looked(h *grid.Hazard, ok bool) {
	h.Checker = ""
	h.Rechecks = append(slices.Clone(h.Rechecks), grid.HazardFinding{
		Pass: ok, Person: w.m.Person, Reason: w.m.Reason, Photos: slices.Concat(w.m.Before, w.m.After), By: w.m.By, At: w.m.At,
	})
}

func pass(h *grid.Hazard, w *wish) Result {
	w.looked(h, true)
	m := w.ticketMove(grid.VerbConfirm)
	if m.Reason == "" {
		m.Reason = fmt.Sprintf("re-checked by %s", w.m.Person)
	}
	return Result{Ticket: []grid.Move{m}}
}

// fail sets the deadline anew: the unit is told again, with the time that the kind gives.
func fail(h *grid.Hazard, w *wish) Result {
	w.looked(h, false)
	h.Since, h.Deadline, h.Overdue = w.m.At, w.k.Deadline.End(w.m.At), false
	return Result{Failed: true}
}

func extend(h *grid.Hazard, w *wish) Result {
	h.Extensions = append(slices.Clone(h.Extensions), grid.HazardExtension{From: h.Deadline, To: w.m.Until, Reason: w.m.Reason, By: w.m.By, At: w.m.At})
	h.Deadline, h.Overdue = w.m.Until, false
	return Result{Moved: true}
}

func dismiss(_ *grid.Hazard, w *wish) Result {
	return Result{Ticket: []grid.Move{w.ticketMove(grid.VerbCancel)}}
}

// Follow takes over what has become of a hazard's ticket, whoever moved that: a unit by
// its own system, the desk, the clock. unit leads it, "" when nobody does.
func Follow(h *grid.Hazard, t *grid.Ticket, unit string, now time.Time) {
	h.Unit = unit
	switch t.State {
	case grid.TicketReported, grid.TicketVerifying, grid.TicketFiled, grid.TicketReturned:
		h.State = grid.HazardFound
	case grid.TicketDispatched:
		h.State = grid.HazardNotified
	case grid.TicketAccepted, grid.TicketInProgress, grid.TicketSuspended, grid.TicketRework:
		h.State = grid.HazardRectifying
	case grid.TicketResolved, grid.TicketChecking:
		if h.State != grid.HazardRechecking && !h.Passed() {
			h.State = grid.HazardRectified
		}
	default:
		end(h, t.State, now)
	}
	h.Overdue = Overdue(h, now)
}

func end(h *grid.Hazard, s grid.TicketState, now time.Time) {
	h.State, h.Checker = grid.HazardClosed, ""
	if !h.Ended.IsZero() {
		return
	}
	h.Ended = now
	switch s {
	case grid.TicketClosed:
		h.Outcome = "rectified"
	case grid.TicketMerged:
		h.Outcome = "merged"
	case grid.TicketForcedClose:
		h.Outcome = "forced"
	default:
		h.Outcome = "dismissed"
	}
}

// Overdue reports whether a hazard is not rectified although its deadline is over.
func Overdue(h *grid.Hazard, now time.Time) bool {
	return slices.Contains(unsolved, h.State) && !now.Before(h.Deadline)
}
