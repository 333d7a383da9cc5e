package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/ticket"
)

// What a technician says of a stop. Each ticket is moved by the table of moves, as if he had
// said it of the ticket; none is closed by a round.

// StopDone says that the work of a stop is done, or that of some of its tickets: the rest
// waits for another round. It is durable on nil.
func (e *Engine) StopDone(ctx context.Context, a grid.RoundAct) (grid.Round, error) {
	return as[grid.Round](e.do(ctx, &command{name: "stop", key: roundKey("done", a.By, a.Key), do: func(b *batch) (any, error) { return b.stopDone(&a) }}))
}

func (b *batch) stopDone(a *grid.RoundAct) (any, error) {
	e := b.e
	i, err := b.stopOf(a)
	if err != nil || e.rounds.all[a.Round].Stops[i].State == grid.StopDone {
		return *e.roundNow(a.Round), err
	}
	unit := e.rounds.all[a.Round].Unit
	for k, j := range e.rounds.all[a.Round].Stops[i].Jobs {
		why := ""
		switch {
		case j.Ticket != "" && len(a.Tickets) > 0 && !slices.Contains(a.Tickets, j.Ticket):
			why = cmp.Or(a.Note, "not done at this visit")
		case j.State == grid.JobDone || j.State == grid.JobLeft && e.rounds.all[a.Round].Open() && !slices.Contains(a.Tickets, j.Ticket):
			continue // done, or no more of this round
		case j.Ticket == "":
			b.auditRound("battery.changed", e.rounds.all[a.Round], a.By, fmt.Sprintf("%s at %s, %s", j.Device, j.Point, j.Battery))
		default:
			why = b.resolved(j.Ticket, unit, a)
		}
		r := b.changeRound(a.Round)
		job := &r.Stops[i].Jobs[k]
		job.State, job.Why = grid.JobDone, ""
		if why != "" {
			job.State, job.Why = grid.JobLeft, why
		}
		b.freeJob(job, a.Round)
	}
	r := b.changeRound(a.Round)
	s := &r.Stops[i]
	s.State = grid.StopOpen
	b.stopEnds(s)
	s.At, s.By, s.Note = a.At, a.By, a.Note
	b.roundEnds(r)
	b.auditRound("round.done", r, a.By, fmt.Sprintf("stop %d, %s: %s", s.N, s.Place, s.State))
	return *e.rounds.all[a.Round], nil
}

// roundNow is a round of the turn; the zero one where there is none.
func (e *Engine) roundNow(id string) *grid.Round {
	if r := e.rounds.all[id]; r != nil {
		return r
	}
	return &grid.Round{}
}

// stopOf finds the stop of an act, if something may still be said of it.
func (b *batch) stopOf(a *grid.RoundAct) (int, error) {
	r, err := b.roundFor(a.Round, a.By)
	if err != nil {
		return 0, err
	}
	if a.At = a.At.UTC(); a.At.IsZero() || a.At.After(b.now) {
		a.At = b.now.UTC()
	}
	i := slices.IndexFunc(r.Stops, func(s grid.Stop) bool { return s.N == a.Stop })
	switch {
	case i < 0:
		return 0, grid.Errorf(grid.NotFound, "stop is %d: round %s has %d", a.Stop, r.ID, len(r.Stops))
	case r.State == grid.RoundCancelled:
		return i, grid.Errorf(grid.Conflict, "round %s was cancelled: %s", r.ID, r.Why)
	case r.Stops[i].State == grid.StopNoEntry || r.Stops[i].State == grid.StopDropped:
		return i, grid.Errorf(grid.Conflict, "stop %d of round %s is %s: want one that is open", a.Stop, r.ID, r.Stops[i].State)
	}
	return i, nil
}

// resolved lets a unit report a ticket done, by the moves that lead there; or says why not.
// What a move refuses leaves no trace.
func (b *batch) resolved(id, unit string, a *grid.RoundAct) (why string) {
	m := b.mark()
	if err := b.moveTo(id, unit, a, grid.TicketResolved); err != nil {
		b.rollback(m)
		return err.Error()
	}
	return ""
}

// moveTo makes the moves of a lead from where it stands: accept, arrive, resolve.
func (b *batch) moveTo(id, unit string, a *grid.RoundAct, to grid.TicketState) error {
	e := b.e
	for range 5 {
		t := e.tickets[id]
		if t == nil || t.State.Ended() {
			return grid.Errorf(grid.Conflict, "ticket %s has ended", id)
		}
		i := slices.IndexFunc(t.Assignments, func(a grid.Assignment) bool { return a.Lead && a.Unit == unit && a.State != grid.TicketReturned })
		if i < 0 {
			return grid.Errorf(grid.Conflict, "ticket %s is led by another unit", id)
		}
		m := grid.Move{Ticket: id, Assignment: t.Assignments[i].ID, By: a.By, At: b.now, Reason: a.Note}
		if a.By.Role != grid.RoleUnit {
			m.Source = a.By.Name
		}
		state := t.Assignments[i].State
		switch state {
		case to, grid.TicketResolved:
			return nil
		case grid.TicketDispatched:
			m.Verb = grid.VerbAccept
		case grid.TicketAccepted:
			m.Verb = grid.VerbArrive
		case grid.TicketSuspended:
			m.Verb = grid.VerbResume
		case grid.TicketInProgress:
			m.Verb = grid.VerbResolve
		default:
			return grid.Errorf(grid.Conflict, "ticket %s is %s with %s", id, state, unit)
		}
		if _, err := b.move(m); err != nil {
			return err
		}
	}
	return nil
}

// NoEntry says that nobody opened at a stop: why, and when it is tried again. It is durable
// on nil.
func (e *Engine) NoEntry(ctx context.Context, a grid.RoundAct) (grid.NoEntry, error) {
	return as[grid.NoEntry](e.do(ctx, &command{name: "stop", key: roundKey("no-entry", a.By, a.Key), do: func(b *batch) (any, error) { return b.noEntry(&a) }}))
}

func (b *batch) noEntry(a *grid.RoundAct) (any, error) {
	e := b.e
	i, err := b.stopOf(a)
	if err != nil {
		return nil, err
	}
	next, err := time.ParseInLocation(grid.DayLayout, a.Next, e.zone())
	switch {
	case e.rounds.all[a.Round].Stops[i].State != grid.StopOpen:
		return nil, grid.Errorf(grid.Conflict, "stop %d of round %s is done already", a.Stop, a.Round)
	case a.Note == "":
		return nil, grid.Errorf(grid.Invalid, "reason is missing: say why nobody could enter")
	case err != nil || !next.After(a.At):
		return nil, grid.Errorf(grid.Invalid, "next is %q: want the day on which it is tried again, such as 2026-12-01, after the visit", a.Next)
	}
	n, err := b.newNoEntry(a, i)
	if err != nil {
		return nil, err
	}
	if err := b.sharePhoto(&n, a); err != nil {
		return nil, err
	}
	b.notLetIn(&n, a)
	b.closeStop(&n, a, i)
	if a.By.Role != grid.RoleUnit {
		b.approve(&n, a.By)
	}
	b.rows.NoEntries = append(b.rows.NoEntries, n)
	b.auditRound("round.no_entry", e.rounds.all[a.Round], a.By, fmt.Sprintf("stop %d, %s: %s; again on %s", a.Stop, n.Place, a.Note, n.Next))
	return n, nil
}

// newNoEntry makes the row, and counts those before it that were about the same.
func (b *batch) newNoEntry(a *grid.RoundAct, stop int) (grid.NoEntry, error) {
	r := b.e.rounds.all[a.Round]
	s := &r.Stops[stop]
	n := grid.NoEntry{
		ID: b.id(), Round: r.ID, Stop: s.N, Unit: r.Unit, Key: s.Key, Place: s.Place, Reason: a.Note, Photo: a.Photo, Next: a.Next, Times: 1,
		At: a.At, Received: b.now.UTC(), By: a.By, Scope: r.Scope, Cell: r.Cell, Mode: r.Mode,
	}
	for _, j := range s.Jobs {
		switch {
		case j.State == grid.JobDone:
		case j.Ticket != "":
			n.Tickets = append(n.Tickets, j.Ticket)
		default:
			n.Points = append(n.Points, j.Point)
		}
	}
	before, err := b.e.store.NoEntriesAt(context.Background(), n.Unit, n.Key, b.now.Add(-noEntryBack))
	if err != nil {
		return n, grid.Errorf(grid.Unavailable, "earlier visits to %s cannot be read: %w", n.Place, err)
	}
	for _, old := range slices.Concat(before, b.rows.NoEntries) {
		if old.Unit == n.Unit && old.Key == n.Key && (overlap(old.Tickets, n.Tickets) || overlap(old.Points, n.Points)) {
			n.Times = max(n.Times, old.Times+1)
		}
	}
	return n, nil
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(id string) bool { return slices.Contains(b, id) })
}

// sharePhoto makes the photo of a stop evidence of each of its tickets.
func (b *batch) sharePhoto(n *grid.NoEntry, a *grid.RoundAct) error {
	if a.Photo == "" {
		return nil
	}
	f, err := b.fileNow(a.Photo)
	if err != nil {
		return err
	}
	if !slices.Contains(n.Tickets, f.Ticket) {
		return grid.Errorf(grid.Invalid, "photo %s is of ticket %s: want one of a ticket of this stop", a.Photo, cmp.Or(f.Ticket, "none"))
	}
	for _, id := range n.Tickets {
		if id == f.Ticket {
			continue
		}
		other := f
		other.Ticket, other.By = id, a.By
		if _, err := b.addFile(other); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) fileNow(id string) (grid.EvidenceFile, error) {
	for _, f := range b.rows.Files {
		if f.ID == id {
			return f, nil
		}
	}
	return b.e.store.File(context.Background(), id)
}

// notLetIn writes into each ticket that nobody opened: the technician was there.
func (b *batch) notLetIn(n *grid.NoEntry, a *grid.RoundAct) {
	e := b.e
	if a.By.Role != grid.RoleUnit {
		n.Approved, n.ApprovedBy = b.now.UTC(), a.By // the desk says it itself
	}
	for _, id := range n.Tickets {
		m := b.mark()
		if err := b.moveTo(id, n.Unit, a, grid.TicketInProgress); err != nil {
			b.rollback(m) // it stays where it is; that nobody opened is written all the same
		}
		t := e.tickets[id]
		if t == nil || t.State.Ended() {
			continue
		}
		plan, err := e.Plans.For(t.Type)
		if err != nil {
			continue
		}
		var helper *grid.Unit
		if n.Times >= ticket.ThirdNoEntry {
			helper = e.whoOpens(t)
		}
		row := b.changeTicket(id)
		b.ticketChanged(row, ticket.NotLetIn(row, plan, n, helper, a.By, b.now, e.context(row)))
	}
}

// whoOpens is the unit that can arrange an entry: the property, else the committee.
func (e *Engine) whoOpens(t *grid.Ticket) *grid.Unit {
	r := e.routing(t.Point)
	choice := ticket.Route(r.Routes, ticket.Ask{
		Type: t.Type, Kind: r.Kind, Scope: t.Scope, Cell: t.Cell, Component: r.Component, Mode: t.Mode,
		Tier: 2, Kinds: []grid.UnitKind{grid.Property, grid.Committee}, At: e.Now(),
	}, e.unitList(), r.People)
	return e.units[choice.Unit]
}

// closeStop ends the stop: its work waits for the next date.
func (b *batch) closeStop(n *grid.NoEntry, a *grid.RoundAct, stop int) {
	r := b.changeRound(a.Round)
	s := &r.Stops[stop]
	for k := range s.Jobs {
		if j := &s.Jobs[k]; j.State != grid.JobDone {
			j.State, j.Why = grid.JobLeft, "no entry, again on "+n.Next
			b.freeJob(j, a.Round)
		}
	}
	s.State, s.At, s.By, s.Note, s.NoEntry, s.Times = grid.StopNoEntry, a.At, a.By, a.Note, n.ID, n.Times
	b.roundEnds(r)
}

// ApproveNoEntry lets the handle clocks of the tickets of a visit at which nobody opened stand
// still until its next date: the desk's word. It is durable on nil.
func (e *Engine) ApproveNoEntry(ctx context.Context, id string, by grid.Actor, key string) (grid.NoEntry, error) {
	return as[grid.NoEntry](e.do(ctx, &command{name: "no entry", key: roundKey("approve", by, key), do: func(b *batch) (any, error) {
		n, err := b.noEntryNow(id)
		if err != nil || !n.Approved.IsZero() {
			return n, err
		}
		if next, err := time.ParseInLocation(grid.DayLayout, n.Next, e.zone()); err != nil || !next.After(b.now) {
			return n, grid.Errorf(grid.Conflict, "next date of %s is %s and is past: the clocks run", n.Place, n.Next)
		}
		b.approve(&n, by)
		b.rows.NoEntries = append(b.rows.NoEntries, n)
		return n, nil
	}}))
}

func (b *batch) noEntryNow(id string) (grid.NoEntry, error) {
	for i := len(b.rows.NoEntries) - 1; i >= 0; i-- {
		if b.rows.NoEntries[i].ID == id {
			return b.rows.NoEntries[i], nil
		}
	}
	return b.e.store.NoEntry(context.Background(), id)
}

// approve suspends the tickets, by the table of moves. What cannot be suspended goes on.
func (b *batch) approve(n *grid.NoEntry, by grid.Actor) {
	e := b.e
	n.Approved, n.ApprovedBy = b.now.UTC(), by
	next, err := time.ParseInLocation(grid.DayLayout, n.Next, e.zone())
	if err != nil {
		return
	}
	for _, id := range n.Tickets {
		t := e.tickets[id]
		if t == nil || t.State.Ended() {
			continue
		}
		why := fmt.Sprintf("no entry: %s; again on %s", n.Reason, n.Next)
		m := b.mark()
		if k := ticket.NoEntryTask(t); k > 0 {
			if _, err := b.move(grid.Move{Ticket: id, Verb: grid.VerbDone, Task: k, By: by, At: b.now, Reason: why}); err != nil {
				b.rollback(m)
			}
		}
		if t = e.tickets[id]; t.State != grid.TicketInProgress || ticket.Lead(t) != n.Unit {
			continue
		}
		m = b.mark()
		if _, err := b.move(grid.Move{Ticket: id, Verb: grid.VerbSuspend, By: by, At: b.now, Reason: why, Until: next.UTC()}); err != nil {
			b.rollback(m)
			e.log.Warn("ticket is not suspended", "ticket", id, "err", err)
		}
	}
	b.auditRound("round.approve", &grid.Round{ID: n.Round, Scope: n.Scope, Cell: n.Cell, Mode: n.Mode}, by, n.Place+": "+n.Next)
}
