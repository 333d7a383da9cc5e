package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Rounds are planned beside the state goroutine (package contractor decides), from what is
// committed; here they become rows, and follow what becomes of their tickets.

// rounds are the open ones, and what holds of contractors.
type rounds struct {
	all       map[string]*grid.Round
	of        map[string]string         // open round by ticket
	battery   map[string]string         // open round by point whose battery it changes
	contracts map[string]*grid.Contract // that hold
	handing   map[string]int            // how far the points of a contract were looked through
	due       deadlines                 // ends of days, contracts with points left: real time
}

func newRounds() rounds {
	return rounds{
		all: map[string]*grid.Round{}, of: map[string]string{}, battery: map[string]string{}, contracts: map[string]*grid.Contract{},
		handing: map[string]int{}, due: newDeadlines(),
	}
}

// Keys of deadlines.
const (
	roundDue    = "round/"
	contractDue = "contract/"
)

// changeRound copies the stops and jobs too, since acts write into them.
func (b *batch) changeRound(id string) *grid.Round {
	b.rounds = append(b.rounds, id)
	r := change(b, b.e.rounds.all, id)
	r.Stops = slices.Clone(r.Stops)
	for i := range r.Stops {
		r.Stops[i].Jobs = slices.Clone(r.Stops[i].Jobs)
	}
	return r
}

func (b *batch) wakeRound(key string, at time.Time) {
	w := &b.e.rounds
	old := w.due.at[key]
	w.due.set(key, at)
	b.undo = append(b.undo, func() { w.due.set(key, old) })
}

// dropRounds forgets those that have ended.
func (e *Engine) dropRounds(changed []string) {
	for _, id := range changed {
		if r := e.rounds.all[id]; r != nil && !r.Open() {
			delete(e.rounds.all, id)
		}
	}
}

// loadRounds puts open rounds and the contracts that hold into memory. What is overdue comes
// up at once.
func (e *Engine) loadRounds(ctx context.Context) error {
	all, err := e.store.OpenRounds(ctx)
	if err != nil {
		return fmt.Errorf("load the rounds: %w", err)
	}
	for i := range all {
		r := &all[i]
		e.rounds.all[r.ID] = r
		e.rounds.due.set(roundDue+r.ID, r.Until)
		for _, j := range openJobs(r) {
			if j.Ticket != "" {
				e.rounds.of[j.Ticket] = r.ID
			} else {
				e.rounds.battery[j.Point] = r.ID
			}
		}
	}
	contracts, err := e.store.OpenContracts(ctx)
	if err != nil {
		return fmt.Errorf("load the contracts: %w", err)
	}
	for i := range contracts {
		c := &contracts[i]
		e.rounds.contracts[c.ID] = c
		if c.Done.IsZero() {
			e.rounds.due.set(contractDue+c.ID, e.Now())
		}
	}
	return nil
}

// openJobs are the jobs of a round that are still to be done.
func openJobs(r *grid.Round) (out []*grid.Job) {
	for i := range r.Stops {
		for k := range r.Stops[i].Jobs {
			if j := &r.Stops[i].Jobs[k]; j.State == grid.JobOpen {
				out = append(out, j)
			}
		}
	}
	return out
}

// freeJob lets what a job is about be planned again.
func (b *batch) freeJob(j *grid.Job, round string) {
	w := &b.e.rounds
	if j.Ticket != "" {
		if w.of[j.Ticket] == round {
			unset(b, w.of, j.Ticket)
		}
	} else if w.battery[j.Point] == round {
		unset(b, w.battery, j.Point)
	}
}

// followRound lets a round follow a ticket, whoever moved that.
func (b *batch) followRound(t *grid.Ticket) {
	e := b.e
	id := e.rounds.of[t.ID]
	r := e.rounds.all[id]
	if r == nil {
		return
	}
	state, why := grid.JobLeft, ""
	switch {
	case t.State == grid.TicketClosed || t.State == grid.TicketResolved || t.State == grid.TicketChecking:
		state = grid.JobDone
	case t.State.Ended():
		why = "its ticket is " + string(t.State)
	case t.Priority < roundPriority:
		why = fmt.Sprintf("its ticket is %s now, and waits for no round", t.Priority)
	case ticket.Lead(t) != r.Unit:
		why = "another unit has its ticket now"
	default:
		return
	}
	b.endJobs(id, state, why, func(j *grid.Job) bool { return j.Ticket == t.ID })
}

// endJobs ends open jobs of a round, and the stops and the round that have nothing left.
func (b *batch) endJobs(id string, state grid.JobState, why string, pick func(*grid.Job) bool) {
	r := b.changeRound(id)
	for i := range r.Stops {
		for k := range r.Stops[i].Jobs {
			if j := &r.Stops[i].Jobs[k]; j.State == grid.JobOpen && pick(j) {
				j.State, j.Why = state, why
				b.freeJob(j, id)
			}
		}
		b.stopEnds(&r.Stops[i])
	}
	b.roundEnds(r)
}

// stopEnds ends a stop at which nothing is left to do.
func (b *batch) stopEnds(s *grid.Stop) {
	if s.State != grid.StopOpen {
		return
	}
	done := false
	for i := range s.Jobs {
		if s.Jobs[i].State == grid.JobOpen {
			return
		}
		done = done || s.Jobs[i].State == grid.JobDone
	}
	s.State, s.At = grid.StopDropped, b.now.UTC()
	if done {
		s.State = grid.StopDone
	}
}

// roundEnds ends a round of which every stop has its end.
func (b *batch) roundEnds(r *grid.Round) {
	ended, all := r.Progress()
	switch {
	case !r.Open():
	case ended == all:
		r.State, r.Ended = grid.RoundDone, b.now.UTC()
		b.wakeRound(roundDue+r.ID, time.Time{})
	case ended > 0 && r.State == grid.RoundPlanned:
		r.State, r.Started = grid.RoundUnderWay, b.now.UTC()
	}
}

// roundOver ends a round with stops left: their work waits for another. A late word on a
// stop of a day that is over still counts: it may have been said without a network.
func (b *batch) roundOver(id string, state grid.RoundState, why string) {
	r := b.changeRound(id)
	for i := range r.Stops {
		for k := range r.Stops[i].Jobs {
			if j := &r.Stops[i].Jobs[k]; j.State == grid.JobOpen {
				j.State, j.Why = grid.JobLeft, why
				b.freeJob(j, id)
				b.tellTicket(j.Ticket, fmt.Sprintf("left the round of %s: %s", r.Day, why))
			}
		}
	}
	r.State, r.Ended, r.Why = state, b.now.UTC(), why
	b.wakeRound(roundDue+id, time.Time{})
}

// tellTicket writes a line about its round into the history of a ticket.
func (b *batch) tellTicket(id, words string) {
	e := b.e
	t := e.tickets[id]
	if t == nil || t.State.Ended() {
		return
	}
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return
	}
	row := b.changeTicket(id)
	b.ticketChanged(row, ticket.InRound(row, plan, words, grid.Actor{Role: grid.RoleSystem, Name: "round"}, b.now, e.context(row)))
}

// roundPriority is that of the tickets that may wait for a round.
const roundPriority = grid.Priority(4)

// CancelRound gives a planned round up: its work waits for another.
func (e *Engine) CancelRound(ctx context.Context, id, reason string, by grid.Actor, key string) (grid.Round, error) {
	return as[grid.Round](e.do(ctx, &command{name: "round", key: roundKey("cancel", by, key), do: func(b *batch) (any, error) {
		if reason == "" {
			return nil, grid.Errorf(grid.Invalid, "reason is missing: say why round %s is cancelled", id)
		}
		r, err := b.roundFor(id, by)
		if err != nil || r.State == grid.RoundCancelled {
			return r, err
		}
		if !r.Open() {
			return r, grid.Errorf(grid.Conflict, "round %s is %s: want one that is planned or under way", id, r.State)
		}
		b.roundOver(id, grid.RoundCancelled, reason)
		b.auditRound("round.cancel", e.rounds.all[id], by, reason)
		return *e.rounds.all[id], nil
	}}))
}

func roundKey(what string, by grid.Actor, key string) string {
	if key == "" {
		return ""
	}
	return "round/" + what + "/" + by.Unit + "/" + key
}

// roundFor finds a round that by may change; to another unit it does not exist. One that has
// ended is brought back into memory for the turn.
func (b *batch) roundFor(id string, by grid.Actor) (grid.Round, error) {
	e := b.e
	r := e.rounds.all[id]
	if r == nil {
		stored, err := e.store.Round(context.Background(), id)
		if err != nil {
			return grid.Round{}, err
		}
		r = &stored
		set(b, e.rounds.all, id, r)
		b.after = append(b.after, func() { e.dropRounds([]string{id}) })
	}
	if by.Role == grid.RoleUnit && by.Unit != r.Unit {
		return grid.Round{}, grid.Errorf(grid.NotFound, "round %q is not known", id)
	}
	return *r, nil
}

func (b *batch) auditRound(action string, r *grid.Round, by grid.Actor, detail string) {
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: by, Action: action, Subject: r.ID, Detail: cut(detail, maxAudited), Scope: r.Scope, Cell: r.Cell, Mode: r.Mode,
	})
}
