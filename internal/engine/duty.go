package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/duty"
	"gridgate/internal/grid"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Seats, and who has an alarm. What is done about an alarm that nobody takes is a turn of its
// own after the one that raised it: no dispatch waits for it.

// seats are those of the rules that somebody has signed on to.
type seats struct {
	all     map[string]*grid.Seat
	due     deadlines // of seats that fall silent, and of untaken alarms: real time
	started time.Time // before, no seat could be heard
}

func newSeats() seats { return seats{all: map[string]*grid.Seat{}, due: newDeadlines()} }

// Keys of deadlines.
const (
	seatDue    = "seat/"
	untakenDue = "untaken/"
)

// Why a seat is not watching.
const (
	whySilent   = "silent"
	whySound    = "sound is not armed"
	whyStream   = "its stream is not live"
	whyLeft     = "signed off"
	whyReplaced = "signed on anew"
)

// SignOn is how a person takes a seat.
type SignOn struct {
	Seat   string
	By     grid.Actor
	Sound  bool
	Stream bool
	Over   bool // also where another sits
}

// Beat is the sign of life of a seat.
type Beat struct {
	Seat    string
	Session string
	Sound   bool
	Stream  bool
}

func (e *Engine) seatsAsked() error {
	if e.Duty == nil {
		return grid.Errorf(grid.Unavailable, "seats: this gateway has no rules of duty")
	}
	return nil
}

// Seats gives every seat of the rules, in their order, without sessions.
func (e *Engine) Seats(ctx context.Context) ([]grid.Seat, error) {
	return as[[]grid.Seat](e.do(ctx, &command{name: "seats", do: func(*batch) (any, error) {
		if err := e.seatsAsked(); err != nil {
			return nil, err
		}
		out := make([]grid.Seat, 0, len(e.Duty.Seats))
		for _, r := range e.Duty.Seats {
			s := grid.Seat{ID: r.ID, Scope: r.Scope, Mode: r.Mode}
			if row := e.seats.all[r.ID]; row != nil {
				s = *row
				s.Session = ""
			}
			out = append(out, s)
		}
		return out, nil
	}}))
}

func (b *batch) changeSeat(id string) *grid.Seat {
	b.seats = append(b.seats, id)
	return change(b, b.e.seats.all, id)
}

func (b *batch) wakeDuty(key string, at time.Time) { b.wake(&b.e.seats.due, key, at) }

// SignOn seats a person. Who sat there and watched gives the seat up only if it is said so. key
// makes it idempotent.
func (e *Engine) SignOn(ctx context.Context, on SignOn, key string) (grid.Seat, error) {
	if key != "" {
		key = "seat/" + on.Seat + "/" + key
	}
	return as[grid.Seat](e.do(ctx, &command{name: "seat", key: key, do: func(b *batch) (any, error) {
		if err := e.seatsAsked(); err != nil {
			return nil, err
		}
		rule, ok := e.Duty.Seat(on.Seat)
		switch {
		case !ok:
			return nil, grid.Errorf(grid.NotFound, "seat %q is not known: want one of the rules of duty", on.Seat)
		case on.By.Name == "":
			return nil, grid.Errorf(grid.Invalid, "person is missing: want who signs on to %s", on.Seat)
		}
		old := e.seats.all[on.Seat]
		if old != nil && old.Watching && old.Person != on.By.Name {
			if !on.Over {
				return nil, grid.Errorf(grid.Conflict, "seat %s is watched by %s: want over to take it", on.Seat, old.Person)
			}
			b.stopWatching(on.Seat, whyReplaced)
		}
		s := b.changeSeat(on.Seat)
		watched := s.Watching
		*s = grid.Seat{
			ID: on.Seat, Person: on.By.Name, Role: on.By.Role, Session: b.id(), On: b.now.UTC(), Watching: watched,
			Scope: rule.Scope, Mode: rule.Mode,
		}
		b.auditSeat("seat.sign_on", s, on.By, "")
		b.seatHeard(s.ID, on.Sound, on.Stream)
		return *e.seats.all[s.ID], nil
	}}))
}

// seatHeard notes a sign of life, and what follows of it.
func (b *batch) seatHeard(id string, sound, stream bool) {
	s := b.changeSeat(id)
	s.Sound, s.Stream, s.Beat = sound, stream, b.now.UTC()
	b.wakeDuty(seatDue+id, b.now.Add(b.e.Duty.Silent))
	switch {
	case !sound:
		b.stopWatching(id, whySound)
	case !stream:
		b.stopWatching(id, whyStream)
	case !s.Watching:
		s.Watching, s.Why = true, ""
		b.auditSeat("seat.watches", s, grid.Actor{Role: s.Role, Name: s.Person}, "")
	}
}

// SeatBeat says that a seat is there. A seat that somebody else has signed on to, or was signed
// off, hears so.
func (e *Engine) SeatBeat(ctx context.Context, at Beat) (grid.Seat, error) {
	return as[grid.Seat](e.do(ctx, &command{name: "seat", do: func(b *batch) (any, error) {
		if _, err := b.ownSeat(at.Seat, at.Session); err != nil {
			return nil, err
		}
		b.seatHeard(at.Seat, at.Sound, at.Stream)
		return *e.seats.all[at.Seat], nil
	}}))
}

func (b *batch) ownSeat(id, session string) (*grid.Seat, error) {
	if err := b.e.seatsAsked(); err != nil {
		return nil, err
	}
	s := b.e.seats.all[id]
	switch {
	case s == nil || !s.Left.IsZero():
		return nil, grid.Errorf(grid.Conflict, "seat %s has nobody signed on: want a sign-on", id)
	case session == "" || s.Session != session:
		return nil, grid.Errorf(grid.Conflict, "seat %s was signed on to anew, by %s: want its newest session", id, s.Person)
	}
	return s, nil
}

// SignOff leaves a seat: what it had is given back. The lead needs no session for it.
func (e *Engine) SignOff(ctx context.Context, id, session string, by grid.Actor) (grid.Seat, error) {
	return as[grid.Seat](e.do(ctx, &command{name: "seat", do: func(b *batch) (any, error) {
		if err := e.seatsAsked(); err != nil {
			return nil, err
		}
		s := e.seats.all[id]
		switch {
		case s == nil:
			return nil, grid.Errorf(grid.NotFound, "seat %q has nobody signed on", id)
		case !s.Left.IsZero():
			return *s, nil
		case s.Session != session && by.Role != grid.RoleSupervisor:
			return nil, grid.Errorf(grid.Forbidden, "seat %s is %s's: want its session, or the duty lead", id, s.Person)
		}
		b.stopWatching(id, whyLeft)
		s = b.changeSeat(id)
		s.Left, s.Sound, s.Stream, s.Why = b.now.UTC(), false, false, whyLeft
		b.wakeDuty(seatDue+id, time.Time{})
		b.auditSeat("seat.sign_off", s, by, "")
		return *s, nil
	}}))
}

// stopWatching ends that a seat watches: what it had goes back to all, and what no seat watches
// now is looked at.
func (b *batch) stopWatching(id, why string) {
	e := b.e
	s := b.changeSeat(id)
	was := s.Watching
	s.Watching, s.Why = false, why
	if !was {
		return
	}
	b.auditSeat("seat.stops", s, grid.Actor{Role: grid.RoleSystem, Name: "duty"}, why)
	for _, a := range sortedKeys(e.alarms) {
		switch row := e.alarms[a]; {
		case row.Taken != nil && row.Taken.Seat == id:
			b.giveBack(a, fmt.Sprintf("seat %s stopped watching: %s", id, why))
		case row.Untaken != nil:
			b.wakeDuty(untakenDue+a, b.now)
		}
	}
}

// giveBack takes an alarm from who had it.
func (b *batch) giveBack(id, why string) {
	a := b.changeAlarm(id)
	had := a.Taken
	a.Taken = nil
	b.told(a, "given_back", fmt.Sprintf("%s had it at %s: %s", had.By, had.Seat, why))
}

// Take gives an alarm, with all others of its ticket, to a seat that watches.
func (e *Engine) Take(ctx context.Context, id, seat string, by grid.Actor, over bool) (grid.Alarm, error) {
	return as[grid.Alarm](e.do(ctx, &command{name: "take", do: func(b *batch) (any, error) {
		if err := e.seatsAsked(); err != nil {
			return nil, err
		}
		a, s := e.alarms[id], e.seats.all[seat]
		switch {
		case a == nil || !a.InQueue():
			return nil, grid.Errorf(grid.NotFound, "alarm %s: not found in the queue", id)
		case s == nil || !s.Watching:
			return nil, grid.Errorf(grid.Conflict, "seat %q is not watching: want one with sound armed and a live stream", seat)
		case !isPractice(s.Mode, a.Mode):
			return nil, grid.Errorf(grid.Conflict, "seat %s is of practice (%s) and alarm %s is live: want a live seat", seat, s.Mode, id)
		case a.Taken != nil && a.Taken.Seat != seat && !over:
			return nil, grid.Errorf(grid.Conflict, "alarm %s is taken by %s at %s: want over to take it", id, a.Taken.By, a.Taken.Seat)
		}
		taken := grid.Taken{Seat: seat, By: cmp.Or(by.Name, s.Person), At: b.now.UTC()}
		by.Name = taken.By
		for _, other := range e.together(a) {
			b.take(other, &taken, by)
		}
		b.leadNotNeeded(a.Ticket, by)
		return *e.alarms[id], nil
	}}))
}

// isPractice reports whether a seat may have an alarm: live ones are for live seats.
func isPractice(seat, alarm grid.Mode) bool { return seat == grid.Live || alarm != grid.Live }

// together are the ids of the alarms in the queue that one person has as one: those of a ticket.
func (e *Engine) together(a *grid.Alarm) []string {
	out := []string{a.ID}
	if t := e.tickets[a.Ticket]; t != nil {
		for _, o := range e.episodesOf(t) {
			if o.ID != a.ID && o.InQueue() {
				out = append(out, o.ID)
			}
		}
	}
	return out
}

func (b *batch) take(id string, taken *grid.Taken, by grid.Actor) {
	if had := b.e.alarms[id].Taken; had != nil && had.Seat == taken.Seat && had.By == taken.By {
		return
	}
	a := b.changeAlarm(id)
	had := *taken
	a.Taken, a.Untaken = &had, nil
	b.wakeDuty(untakenDue+id, time.Time{})
	b.told(a, "taken", fmt.Sprintf("by %s at %s", taken.By, taken.Seat))
	b.audit("alarm.take", id, by, a)
	b.rows.Audit[len(b.rows.Audit)-1].Detail = "at " + taken.Seat
}

func (b *batch) leadNotNeeded(id string, by grid.Actor) {
	e := b.e
	t := e.tickets[id]
	if t == nil || !ticket.LeadCalled(t) {
		return
	}
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return
	}
	row := b.changeTicket(id)
	b.ticketChanged(row, ticket.LeadNotNeeded(row, plan, by, b.now, e.context(row)))
}

// GiveBack lets an alarm, with all others of its ticket, be taken by somebody else.
func (e *Engine) GiveBack(ctx context.Context, id, seat, reason string, by grid.Actor) (grid.Alarm, error) {
	return as[grid.Alarm](e.do(ctx, &command{name: "take", do: func(b *batch) (any, error) {
		a := e.alarms[id]
		switch {
		case a == nil:
			return nil, grid.Errorf(grid.NotFound, "alarm %s: not found in the queue", id)
		case a.Taken == nil:
			return *a, nil
		case a.Taken.Seat != seat && by.Role != grid.RoleSupervisor:
			return nil, grid.Errorf(grid.Forbidden, "alarm %s is taken at %s: want that seat, or the duty lead", id, a.Taken.Seat)
		}
		from := a.Taken.Seat
		for _, other := range e.together(a) {
			if had := e.alarms[other].Taken; had != nil && had.Seat == from {
				b.giveBack(other, cmp.Or(reason, "given back"))
				b.audit("alarm.give_back", other, by, e.alarms[other])
				b.rows.Audit[len(b.rows.Audit)-1].Detail = reason
			}
		}
		b.watchAlarms()
		return *e.alarms[id], nil
	}}))
}

// TakeTicket takes the alarms of a ticket.
func (e *Engine) TakeTicket(ctx context.Context, id, seat string, by grid.Actor, over bool) (grid.Alarm, error) {
	a, err := e.alarmOfTicket(ctx, id)
	if err != nil {
		return grid.Alarm{}, err
	}
	return e.Take(ctx, a, seat, by, over)
}

// GiveBackTicket gives the alarms of a ticket back.
func (e *Engine) GiveBackTicket(ctx context.Context, id, seat, reason string, by grid.Actor) (grid.Alarm, error) {
	a, err := e.alarmOfTicket(ctx, id)
	if err != nil {
		return grid.Alarm{}, err
	}
	return e.GiveBack(ctx, a, seat, reason, by)
}

func (e *Engine) alarmOfTicket(ctx context.Context, id string) (string, error) {
	return as[string](e.do(ctx, &command{name: "take", do: func(*batch) (any, error) {
		t := e.tickets[id]
		if t == nil {
			return nil, grid.Errorf(grid.NotFound, "ticket %s: not found among the open ones", id)
		}
		for _, a := range e.episodesOf(t) {
			if a.InQueue() {
				return a.ID, nil
			}
		}
		return nil, grid.Errorf(grid.Conflict, "ticket %s has no alarm in the queue: there is nothing to take", id)
	}}))
}

// wants reports whether an alarm needs somebody who takes it.
func (e *Engine) wants(a *grid.Alarm) bool {
	if !e.Duty.Wants(a) {
		return false
	}
	if a.Ticket == "" {
		return true
	}
	t := e.tickets[a.Ticket]
	return t != nil && !t.State.Ended() && t.Verification != grid.VerifiedFalse
}

// watchAlarms begins and ends the calling for somebody who takes an alarm, for those that the
// turn has changed. It only sets clocks.
func (b *batch) watchAlarms() {
	e := b.e
	if e.Duty == nil || len(b.alarms) == 0 {
		return
	}
	ids := slices.Clone(b.alarms)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if a := e.alarms[id]; a != nil {
			b.watchAlarm(a)
		}
	}
}

func (b *batch) watchAlarm(a *grid.Alarm) {
	e := b.e
	stale := a.Taken != nil && a.InQueue() && !e.watching(a.Taken.Seat)
	switch wants := e.wants(a); {
	case stale:
		b.changeAlarm(a.ID).Taken = nil
		b.watchAlarm(e.alarms[a.ID])
	case !wants && a.Untaken != nil, a.Taken != nil && a.Untaken != nil:
		b.changeAlarm(a.ID).Untaken = nil
		b.wakeDuty(untakenDue+a.ID, time.Time{})
	case wants && a.Taken == nil && a.Untaken == nil:
		row := b.changeAlarm(a.ID)
		if had := e.takenWith(a); had != nil {
			row.Taken = had
			return
		}
		row.Untaken = &grid.Untaken{Since: e.lyingSince(a)}
		b.wakeUntaken(row)
	}
}

// lyingSince is when an alarm began to lie untaken: now, or when it was heard if that has waited
// to be worked out.
func (e *Engine) lyingSince(a *grid.Alarm) time.Time {
	now := e.Now().UTC()
	if a.Raised.After(e.engineTime) && a.Raised.Before(now) {
		return a.Raised.UTC()
	}
	return now
}

// takenWith is who has the ticket that an alarm has joined; nil: nobody.
func (e *Engine) takenWith(a *grid.Alarm) *grid.Taken {
	for _, o := range e.episodesOf(e.tickets[a.Ticket]) {
		if o.ID != a.ID && o.Taken != nil && o.InQueue() && e.watching(o.Taken.Seat) {
			had := *o.Taken
			return &had
		}
	}
	return nil
}

func (e *Engine) watching(seat string) bool {
	s := e.seats.all[seat]
	return s != nil && s.Watching
}

// inSight reports whether a seat watches an alarm.
func (e *Engine) inSight(a *grid.Alarm) bool {
	for _, s := range e.seats.all {
		if duty.Watches(s, a) {
			return true
		}
	}
	return false
}

func (b *batch) wakeUntaken(a *grid.Alarm) {
	_, at := b.e.Duty.Next(a.Untaken, b.e.inSight(a))
	b.wakeDuty(untakenDue+a.ID, at)
}

// dutyClocks does what has come due, in real time: at once when overdue.
func (b *batch) dutyClocks(wall time.Time) {
	b.comeDue(&b.e.seats.due, "a seat or an untaken alarm", wall, b.dutyClock)
}

func (b *batch) dutyClock(key string, wall time.Time) {
	if id, ok := strings.CutPrefix(key, untakenDue); ok {
		b.stillUntaken(id, wall)
		return
	}
	e := b.e
	id := strings.TrimPrefix(key, seatDue)
	s := e.seats.all[id]
	if s == nil || !s.Left.IsZero() || !s.Watching {
		return
	}
	if at := e.silentAt(s); at.After(wall) {
		b.wakeDuty(key, at)
		return
	}
	b.because(fmt.Sprintf("seat/%s/%d", id, s.Beat.UnixNano()), wall)
	b.stopWatching(id, whySilent)
}

// silentAt is when a seat counts as silent: what it said while this gateway was stopped nobody
// could hear.
func (e *Engine) silentAt(s *grid.Seat) time.Time {
	from := s.Beat
	if e.seats.started.After(from) {
		from = e.seats.started
	}
	return from.Add(e.Duty.Silent)
}

// stillUntaken takes the next step for an alarm that nobody has taken.
func (b *batch) stillUntaken(id string, wall time.Time) {
	e := b.e
	a := e.alarms[id]
	if a == nil || e.Duty == nil {
		return
	}
	if a.Untaken == nil || a.Taken != nil || !e.wants(a) {
		b.because("untaken/"+id+"/looked", wall)
		b.watchAlarm(a)
		return
	}
	watched := e.inSight(a)
	step, at := e.Duty.Next(a.Untaken, watched)
	if step == duty.None {
		return
	}
	if at.After(wall) {
		b.wakeDuty(untakenDue+id, at)
		return
	}
	b.because(fmt.Sprintf("untaken/%s/%d/%d", id, a.Untaken.Since.UnixNano(), step), wall)
	row := b.changeAlarm(id)
	u := *row.Untaken
	row.Untaken = &u
	lasted := wall.Sub(u.Since).Round(time.Second)
	if step == duty.Seats {
		u.Seats = wall.UTC()
		b.told(row, "untaken", fmt.Sprintf("nobody has taken it for %s: to all seats", lasted))
	} else {
		u.Lead = wall.UTC()
		if u.Why = fmt.Sprintf("nobody has taken it for %s", lasted); !watched {
			u.Why = "no seat watches"
		}
		b.told(row, "untaken", u.Why+": to the duty lead")
		b.callLead(row, u.Why)
	}
	b.wakeUntaken(row)
}

// callLead calls the duty lead by the ticket of an alarm. One that has none is told to the seats alone.
func (b *batch) callLead(a *grid.Alarm, why string) {
	e := b.e
	t := e.tickets[a.Ticket]
	if t == nil || t.State.Ended() {
		return
	}
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return
	}
	row := b.changeTicket(t.ID)
	b.ticketChanged(row, ticket.CallLead(row, plan, e.Duty.Call(), fmt.Sprintf("alarm %s: %s", a.ID, why), b.now, e.context(row)))
}

func (b *batch) auditSeat(action string, s *grid.Seat, by grid.Actor, detail string) {
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: by, Action: action, Subject: s.ID, Detail: cut(strings.TrimSuffix(s.Person+": "+detail, ": "), maxAudited),
		Scope: s.Scope, Cell: s.Cell, Mode: s.Mode,
	})
}

// loadSeats puts seats and what is untaken into memory, after the alarms and tickets. What is
// overdue comes up at once.
func (e *Engine) loadSeats(ctx context.Context) error {
	if e.Duty == nil {
		return nil
	}
	all, err := e.store.Seats(ctx)
	if err != nil {
		return fmt.Errorf("load the seats: %w", err)
	}
	e.seats.started = e.Now()
	for i := range all {
		s := &all[i]
		if _, ok := e.Duty.Seat(s.ID); !ok {
			s.Watching = false // the rules have it no more
		}
		e.seats.all[s.ID] = s
		if s.Watching {
			e.seats.due.set(seatDue+s.ID, e.silentAt(s))
		}
	}
	for id, a := range e.alarms {
		if a.Untaken != nil || e.wants(a) || a.Taken != nil && !e.watching(a.Taken.Seat) {
			e.seats.due.set(untakenDue+id, e.seats.started)
		}
	}
	return nil
}
