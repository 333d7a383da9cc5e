package ticket

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// legal are the arrows of the ticket's states; every other change of state is a bug.
var legal = map[grid.TicketState][]grid.TicketState{
	"":                    {grid.TicketReported},
	grid.TicketReported:   {grid.TicketFiled},
	grid.TicketFiled:      {grid.TicketDispatched},
	grid.TicketDispatched: {grid.TicketAccepted, grid.TicketReturned},
	grid.TicketReturned:   {grid.TicketDispatched},
	grid.TicketAccepted:   {grid.TicketInProgress},
	grid.TicketInProgress: {grid.TicketSuspended, grid.TicketResolved},
	grid.TicketSuspended:  {grid.TicketInProgress},
	grid.TicketResolved:   {grid.TicketChecking},
	grid.TicketChecking:   {grid.TicketClosed, grid.TicketRework},
	grid.TicketRework:     {grid.TicketDispatched},
	grid.TicketClosed:     {grid.TicketRework}, // by an alarm that comes back, and only by that
}

var endings = []grid.TicketState{grid.TicketMerged, grid.TicketCancelled, grid.TicketForcedClose}

func TestRandomMovesNeverReachAnIllegalState(t *testing.T) {
	closed, reworked, moved := 0, 0, 0
	for seed := range uint64(1500) {
		s := newRandomStory(t, seed)
		for range 60 {
			s.step()
		}
		moved += len(s.all)
		reworked += s.tk.Rework
		if s.tk.State == grid.TicketClosed {
			closed++
		}
	}
	if closed < 20 || reworked < 100 || moved < 10000 {
		t.Fatalf("the walk is too tame to show anything: %d closed, %d reworked, %d lines", closed, reworked, moved)
	}
}

type randomStory struct {
	*story
	rng  *rand.Rand
	seed uint64
	now  time.Time
}

func newRandomStory(t *testing.T, seed uint64) *randomStory {
	rng := rand.New(rand.NewPCG(seed, 9))
	types := []grid.EventType{grid.EventSmokeAlarm, grid.EventManholeOpen, grid.EventDoorHeldOpen, grid.EventDeviceOffline}
	prios := []grid.Priority{1, 1, 3, 4}
	i := rng.IntN(len(types))
	var mine []grid.Unit
	for _, u := range units {
		if rng.IntN(5) > 0 {
			mine = append(mine, u)
		}
	}
	r := &randomStory{story: begun(t, types[i], prios[i], mine), rng: rng, seed: seed, now: t0}
	r.verify(grid.Ticket{}, r.all)
	return r
}

// step does something at random and holds the result against the rules.
func (s *randomStory) step() {
	s.now = s.now.Add(time.Duration(s.rng.IntN(1200)) * sec)
	s.c.Active, s.c.Second = s.rng.IntN(2) == 0, s.rng.IntN(4) == 0
	before, lines := s.tk, len(s.all)
	rejoin := false
	s.last = Result{}
	switch s.rng.IntN(8) {
	case 0:
		s.tick(s.now)
	case 1:
		s.check(Verdict{Pass: s.rng.IntN(2) == 0, Abnormal: s.rng.IntN(3) == 0, Unable: s.rng.IntN(4) == 0}, s.now)
	case 2:
		if s.rng.IntN(6) == 0 {
			rejoin = true
			r, _ := Rejoin(&s.tk, s.p, s.now, s.c)
			s.took(r)
		}
	default:
		_ = s.try(s.someone(), s.verb(), s.now, s.dress) // refusals are half the point
	}
	s.verify(before, s.all[lines:])
	if before.State.Ended() && !rejoin && !reflect.DeepEqual(before, s.tk) {
		s.t.Fatalf("seed %d: an ended ticket changed from %+v to %+v", s.seed, before, s.tk)
	}
	if !s.last.Changed && before.Moves != s.tk.Moves {
		s.t.Fatalf("seed %d: history grew without a change", s.seed)
	}
}

func (s *randomStory) verb() grid.Verb {
	// Mostly what helps, so that the walk gets far.
	likely := []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve, grid.VerbConfirm}
	if s.rng.IntN(3) > 0 {
		return likely[s.rng.IntN(len(likely))]
	}
	v := verbs()[s.rng.IntN(len(verbs()))]
	if slices.Contains([]grid.Verb{grid.VerbCancel, grid.VerbForceClose, grid.VerbMerge}, v) && s.rng.IntN(8) > 0 {
		return grid.VerbNote
	}
	return v
}

func (s *randomStory) someone() grid.Actor {
	if s.rng.IntN(3) > 0 {
		if l := lead(&s.tk); l != nil && s.rng.IntN(3) > 0 {
			return unitActor(l.Unit)
		}
		return unitActor(units[s.rng.IntN(len(units))].ID)
	}
	return []grid.Actor{operator, supervisor, {Role: grid.RoleSystem, Name: "clock"}}[s.rng.IntN(3)]
}

func (s *randomStory) dress(m *grid.Move) {
	full := whole(m.Verb, m.By.Role, []grid.Verification{grid.VerifiedTrue, grid.VerifiedFalse, grid.VerifiedUnable}[s.rng.IntN(3)])
	full.By, full.At, full.Until = m.By, m.At, m.At.Add(time.Hour)
	full.Unit = units[s.rng.IntN(len(units))].ID
	full.Attempt = s.rng.IntN(3)
	full.OnSite = s.rng.IntN(2) == 0
	*m = full
}

// verify holds the ticket and the new lines of history against the rules.
func (s *randomStory) verify(before grid.Ticket, lines []grid.MoveRecord) {
	s.t.Helper()
	fail := func(format string, args ...any) {
		s.t.Helper()
		s.t.Fatalf("seed %d: %s\nticket %+v\nlines %+v", s.seed, fmt.Sprintf(format, args...), s.tk, lines)
	}
	state, n := before.State, before.Moves
	for _, l := range lines {
		n++
		if l.N != n || l.Ticket != s.tk.ID || l.At.IsZero() || l.By.Role == "" {
			fail("line %+v is not whole or not in order", l)
		}
		if s.helps(l) {
			continue
		}
		if l.From != state {
			fail("line %+v does not begin where the last ended, at %q", l, state)
		}
		if l.From != l.To && !slices.Contains(legal[l.From], l.To) && (!slices.Contains(endings, l.To) || l.From.Ended()) {
			fail("%s → %s is no arrow of the design", l.From, l.To)
		}
		state = l.To
	}
	if state != s.tk.State || n != s.tk.Moves {
		fail("history ends in %s after %d lines", state, n)
	}
	s.verifyTicket(fail)
}

// helps reports whether a line is of an assignment that never led.
func (s *randomStory) helps(l grid.MoveRecord) bool {
	if l.Assignment == "" {
		return false
	}
	for _, m := range s.all {
		if m.Assignment == l.Assignment {
			return m.From == "" // its first line
		}
	}
	return false
}

func (s *randomStory) verifyTicket(fail func(string, ...any)) {
	t := &s.tk
	leading := 0
	for i, a := range t.Assignments {
		if a.ID != fmt.Sprintf("%s.%d", t.ID, i+1) || a.Attempt < 1 {
			fail("assignment %d is %+v", i, a)
		}
		if a.Lead && a.State != grid.TicketReturned {
			leading++
		}
		for _, b := range t.Assignments[:i] {
			if a.Unit == b.Unit && busy(&a) && busy(&b) {
				fail("unit %s has two parts to do", a.Unit)
			}
		}
	}
	if leading > 1 {
		fail("%d assignments lead", leading)
	}
	if l := lead(t); l != nil && !t.State.Ended() && t.State != grid.TicketChecking && t.State != l.State {
		fail("the ticket is %s and its lead %s", t.State, l.State)
	}
	if t.State == grid.TicketSuspended && t.Priority == 1 {
		fail("a P1 ticket is suspended")
	}
	if t.State == grid.TicketClosed && t.Priority == 1 && t.Confirmed == "" {
		fail("a P1 ticket is closed without a person's word")
	}
	if t.State.Ended() != !t.Closed.IsZero() {
		fail("closed is %v in state %s", t.Closed, t.State)
	}
	if !t.State.Ended() && t.State != grid.TicketFiled && t.State != grid.TicketReported && Responsible(t) == "" {
		fail("nobody is responsible")
	}
}

func TestTickIsIdempotent(t *testing.T) {
	for seed := range uint64(300) {
		s := newRandomStory(t, seed)
		for range 20 {
			s.step()
		}
		now := s.now.Add(time.Duration(s.rng.IntN(100000)) * sec)
		s.tick(now)
		before := s.tk
		next := s.tick(now)
		if s.last.Changed || !reflect.DeepEqual(before, s.tk) {
			t.Fatalf("seed %d: a second tick at the same moment changes %+v to %+v", seed, before, s.tk)
		}
		if !next.IsZero() && !next.After(now) {
			t.Fatalf("seed %d: next tick at %v, which is not after %v", seed, next, now)
		}
	}
}
