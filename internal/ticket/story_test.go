package ticket

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return t0.Add(d) }

const (
	sec    = time.Second
	minute = time.Minute
)

var (
	street = grid.Scope{District: "310105", Street: "310105006", Community: "310105006001"}
	units  = []grid.Unit{
		{ID: "micro", Name: "Micro station", Kind: grid.MicroStation, Tier: 2, Scope: street},
		{ID: "property", Name: "Property", Kind: grid.Property, Tier: 2, Scope: grid.Scope{District: "310105", Street: "310105006"}},
		{ID: "fire", Name: "Fire brigade", Kind: grid.FireUnit, Tier: 3, Scope: grid.Scope{District: "310105"}, Entry: "auto"},
		{ID: "urban", Name: "Urban management", Kind: grid.UrbanManagement, Tier: 3, Scope: grid.Scope{District: "310105"}},
		{ID: "desk", Name: "Duty desk", Kind: grid.Operator, Tier: 4, Scope: grid.Scope{District: "310105"}},
	}
	operator   = grid.Actor{Role: grid.RoleOperator, Name: "op1"}
	supervisor = grid.Actor{Role: grid.RoleSupervisor, Name: "sv1"}
)

func unitActor(id string) grid.Actor { return grid.Actor{Role: grid.RoleUnit, Name: id, Unit: id} }

var builtInPlans = sync.OnceValues(func() (*Plans, error) {
	b, err := os.ReadFile("../../configs/tickets.yaml")
	if err != nil {
		return nil, err
	}
	days, err := os.ReadFile("../../configs/calendars.yaml")
	if err != nil {
		return nil, err
	}
	calendars, err := calendar.Parse("calendars.yaml", days)
	if err != nil {
		return nil, err
	}
	return ParsePlans("tickets.yaml", b, calendars)
})

// builtIn is the plan that the gateway comes with.
func builtIn(t testing.TB, typ grid.EventType) *Plan {
	t.Helper()
	ps, err := builtInPlans()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ps.For(typ)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// story tells one ticket; each step is checked by the reader's eye and the test's.
type story struct {
	t    *testing.T
	tk   grid.Ticket
	p    *Plan
	c    Context
	last Result
	all  []grid.MoveRecord
	told []Message
}

func begun(t *testing.T, typ grid.EventType, prio grid.Priority, units []grid.Unit) *story {
	t.Helper()
	s := &story{t: t, p: builtIn(t, typ), c: Context{Units: units, Active: true}}
	tk, r := Open(Opening{ID: "T1", Type: typ, Priority: prio, Scope: street, Point: "p1", Alarm: "a1", At: t0}, s.p, units)
	s.tk = tk
	s.took(r)
	return s
}

func (s *story) took(r Result) {
	s.last = r
	s.all = append(s.all, r.Moves...)
	s.told = append(s.told, r.Messages...)
}

// move makes a move that must be accepted.
func (s *story) move(by grid.Actor, v grid.Verb, when time.Time, with ...func(*grid.Move)) {
	s.t.Helper()
	if err := s.try(by, v, when, with...); err != nil {
		s.t.Fatalf("%s by %s: %v", v, by.Name, err)
	}
}

func (s *story) try(by grid.Actor, v grid.Verb, when time.Time, with ...func(*grid.Move)) error {
	m := grid.Move{Verb: v, By: by, At: when}
	for _, f := range with {
		f(&m)
	}
	r, err := Apply(&s.tk, m, s.p, s.c)
	if err == nil {
		s.took(r)
	}
	return err
}

func (s *story) tick(when time.Time) time.Time {
	r, next := Tick(&s.tk, s.p, when, s.c)
	s.took(r)
	return next
}

func (s *story) check(v Verdict, when time.Time) { s.took(Check(&s.tk, s.p, v, when, s.c)) }

func (s *story) wantState(want grid.TicketState) {
	s.t.Helper()
	if s.tk.State != want {
		s.t.Fatalf("ticket is %s, want %s", s.tk.State, want)
	}
}

func (s *story) part(unit string) *grid.Assignment {
	for i := len(s.tk.Assignments) - 1; i >= 0; i-- {
		if s.tk.Assignments[i].Unit == unit {
			return &s.tk.Assignments[i]
		}
	}
	return nil
}

func (s *story) wantTold(unit, typ string, want bool) {
	s.t.Helper()
	got := false
	for _, m := range s.last.Messages {
		got = got || m.Unit == unit && m.Type == typ
	}
	if got != want {
		s.t.Fatalf("%s was told %s: %v, want %v (told %v)", unit, typ, got, want, s.last.Messages)
	}
}

func (s *story) tasks() (out []string) {
	for _, m := range s.all {
		if m.Verb == verbTask {
			out = append(out, m.Detail)
		}
	}
	return out
}

// resolved brings the ticket to checking by its lead.
func (s *story) resolved(unit string, from, when time.Time) {
	s.t.Helper()
	s.move(unitActor(unit), grid.VerbAccept, from)
	s.move(unitActor(unit), grid.VerbArrive, from.Add(sec))
	s.move(unitActor(unit), grid.VerbResolve, when)
	s.wantState(grid.TicketChecking)
}

func onSite(m *grid.Move)    { m.OnSite = true }
func because(m *grid.Move)   { m.Reason = "because" }
func bySource(m *grid.Move)  { m.Source = "Station chief by phone" }
func withPhoto(m *grid.Move) { m.Evidence = "photo 1" }

func finds(f grid.Verification) func(*grid.Move) { return func(m *grid.Move) { m.Finding = f } }
func names(unit string) func(*grid.Move)         { return func(m *grid.Move) { m.Unit = unit } }

func TestSmokeTicketIsDispatchedToTiersOneAndTwoAtOnce(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.wantState(grid.TicketDispatched)
	if s.part("micro") == nil || !s.part("micro").Lead || s.part("micro").ID != "T1.1" {
		t.Fatalf("assignments are %+v, want the micro station to lead", s.tk.Assignments)
	}
	if s.part("property") == nil || s.part("property").Lead || s.part("fire") != nil {
		t.Fatalf("assignments are %+v, want property to help and no fire unit yet", s.tk.Assignments)
	}
	s.wantTold("micro", MessageOpened, true)
	s.wantTold("property", MessageOpened, true)
	var path []string
	for _, m := range s.all {
		if m.From != m.To && m.From != "" || m.Verb == verbReport {
			path = append(path, string(m.To))
		}
	}
	if got := strings.Join(path, " "); got != "reported filed dispatched" {
		t.Fatalf("history is %q", got)
	}
	if len(s.tasks()) != 1 || !strings.Contains(s.tasks()[0], "residents_committee") {
		t.Fatalf("tasks are %v, want one for the committee that is not there", s.tasks())
	}
	if s.tk.Due != at(3*time.Hour) || s.tk.Verification != grid.Unverified {
		t.Fatalf("ticket is %+v", s.tk)
	}
}

func TestTicketStaysOpenWhileSmokePersists(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	// The sensor going back and forth moves nothing before the work is reported done.
	for _, v := range []Verdict{{Pass: true}, {Abnormal: true}, {Unable: true}} {
		s.check(v, at(minute))
		s.wantState(grid.TicketDispatched)
	}
	s.resolved("micro", at(2*minute), at(8*minute))
	s.move(unitActor("micro"), grid.VerbConfirm, at(9*minute), onSite, withPhoto)
	s.check(Verdict{}, at(10*minute)) // nothing heard
	s.wantState(grid.TicketChecking)
	s.check(Verdict{Abnormal: true}, at(12*minute)) // still settling
	s.wantState(grid.TicketChecking)
	if s.last.Wake.IsZero() || s.last.Wake.After(at(13*minute)) {
		t.Fatalf("wakes at %v, want the end of settling at the latest", s.last.Wake)
	}
	s.check(Verdict{Abnormal: true}, at(13*minute))
	s.wantState(grid.TicketDispatched)
	if s.tk.Rework != 1 || s.part("micro").Attempt != 2 || s.tk.Confirmed != "" || !s.tk.Resolved.IsZero() {
		t.Fatalf("after rework the ticket is %+v", s.tk)
	}
	s.wantTold("micro", MessageRework, true)
	if s.part("fire") == nil {
		t.Fatal("rework calls no higher tier, want the fire unit")
	}
	s.wantTold("fire", MessageOpened, true)
}

func TestResolvedIsNotClosedUntilSensorIsNormalAndAPersonSaysSo(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.resolved("micro", at(minute), at(8*minute))
	s.check(Verdict{Pass: true}, at(40*minute))
	s.wantState(grid.TicketChecking)
	s.wantTold("micro", MessageUpdated, true)
	asked := len(s.tasks())
	s.check(Verdict{Pass: true}, at(41*minute))
	if s.last.Changed || len(s.tasks()) != asked {
		t.Fatal("a person is asked twice")
	}
	s.move(unitActor("micro"), grid.VerbConfirm, at(42*minute), onSite, because)
	s.wantState(grid.TicketChecking)
	s.check(Verdict{}, at(42*minute))
	s.wantState(grid.TicketChecking)
	s.check(Verdict{Pass: true}, at(42*minute))
	s.wantState(grid.TicketClosed)
	if s.tk.Closed != at(42*minute) || s.tk.Confirmed != "micro" {
		t.Fatalf("closed ticket is %+v", s.tk)
	}
	s.wantTold("micro", MessageClosed, true)
	s.wantTold("property", MessageClosed, true)
	if next := s.tick(at(24 * time.Hour)); !next.IsZero() || s.last.Changed {
		t.Fatal("a closed ticket still ticks")
	}
}

func TestDeviceFaultIsClosedByTheSensorAlone(t *testing.T) {
	s := begun(t, grid.EventDeviceOffline, 4, units)
	s.resolved("property", at(minute), at(time.Hour))
	s.check(Verdict{Pass: true}, at(2*time.Hour))
	s.wantState(grid.TicketClosed)
}

func TestP1IsNeverClosedByTheSensorAlone(t *testing.T) {
	s := begun(t, grid.EventDeviceOffline, 1, units) // a plan that asks no person
	s.resolved("property", at(minute), at(time.Hour))
	s.check(Verdict{Pass: true}, at(2*time.Hour))
	s.wantState(grid.TicketChecking)
}

func TestSensorThatCannotTellLeavesItToAPerson(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.resolved("micro", at(minute), at(8*minute))
	s.move(unitActor("micro"), grid.VerbConfirm, at(9*minute), onSite, withPhoto)
	s.check(Verdict{Unable: true}, at(10*minute))
	s.wantState(grid.TicketChecking) // what was said before is no answer to this
	if got := s.tasks(); !strings.Contains(got[len(got)-1], "the sensor cannot tell") {
		t.Fatalf("tasks are %v, want a person asked", got)
	}
	s.move(operator, grid.VerbConfirm, at(20*minute), bySource, withPhoto)
	s.check(Verdict{Unable: true}, at(20*minute))
	s.wantState(grid.TicketClosed)
}

func TestSilentSensorEndsInAQuestionNotInClosure(t *testing.T) {
	s := begun(t, grid.EventManholeFlooded, 2, units)
	s.resolved("urban", at(minute), at(10*minute))
	s.tick(at(12*time.Hour + 11*minute)) // the check has run out
	s.check(Verdict{}, at(12*time.Hour+11*minute))
	s.wantState(grid.TicketChecking)
	s.move(unitActor("urban"), grid.VerbConfirm, at(13*time.Hour), onSite, withPhoto)
	s.check(Verdict{}, at(13*time.Hour))
	s.wantState(grid.TicketClosed)
}

func TestUnitCannotTouchAnotherUnitsAssignment(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	for name, err := range map[string]error{
		"another's by name":         s.try(unitActor("property"), grid.VerbAccept, t0, func(m *grid.Move) { m.Assignment = "T1.1" }),
		"no part in it":             s.try(unitActor("urban"), grid.VerbAccept, t0),
		"no part, no such part":     s.try(unitActor("urban"), grid.VerbAccept, t0, func(m *grid.Move) { m.Assignment = "T1.9" }),
		"a unit without a name":     s.try(grid.Actor{Role: grid.RoleUnit}, grid.VerbNote, t0, because),
		"a helper cancels":          s.try(unitActor("property"), grid.VerbCancel, t0, onSite, because),
		"a unit closes":             s.try(unitActor("micro"), grid.VerbForceClose, t0, because),
		"a unit assigns":            s.try(unitActor("micro"), grid.VerbAssign, t0, names("urban")),
		"the operator force closes": s.try(operator, grid.VerbForceClose, t0, because),
	} {
		if grid.CodeOf(err) != grid.Forbidden {
			t.Errorf("%s: %v, want forbidden", name, err)
		}
	}
	if s.tk.Revision != 1 {
		t.Fatalf("refused moves changed the ticket: revision %d", s.tk.Revision)
	}
}

func TestNoAssignmentsAnswerEndsAnothers(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.resolvedHelper("property")
	s.wantState(grid.TicketDispatched)
	s.resolved("micro", at(5*minute), at(8*minute))
	if s.part("property").State != grid.TicketResolved {
		t.Fatal("the lead's word moved the helper's part")
	}
}

func TestRepeatingAMoveIsANoOp(t *testing.T) {
	s := begun(t, grid.EventManholeOpen, 1, units)
	repeat := func(by grid.Actor, v grid.Verb, with ...func(*grid.Move)) {
		t.Helper()
		s.move(by, v, at(minute), with...)
		before, history := s.tk, len(s.all)
		s.move(by, v, at(2*minute), with...)
		if s.last.Changed || len(s.all) != history || len(s.last.Messages) != 0 || s.tk.Revision != before.Revision {
			t.Fatalf("%s said twice changes the ticket", v)
		}
	}
	repeat(unitActor("urban"), grid.VerbAccept)
	repeat(unitActor("urban"), grid.VerbArrive)
	repeat(operator, grid.VerbVerify, finds(grid.VerifiedTrue))
	repeat(operator, grid.VerbAssign, names("fire"))
	repeat(unitActor("urban"), grid.VerbResolve)
	repeat(unitActor("urban"), grid.VerbConfirm, onSite, withPhoto)
	repeat(supervisor, grid.VerbForceClose, because) // it waits for another
}

func TestLateWordOnAnEarlierAttemptIsRefused(t *testing.T) {
	s := begun(t, grid.EventManholeOpen, 1, units)
	s.resolved("urban", at(minute), at(5*minute))
	s.check(Verdict{Abnormal: true}, at(10*minute))
	s.wantState(grid.TicketDispatched)
	first := func(m *grid.Move) { m.Attempt = 1 }
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbResolve} {
		if err := s.try(unitActor("urban"), v, at(11*minute), first); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "attempt") {
			t.Errorf("%s of attempt 1: %v, want a conflict that names the attempt", v, err)
		}
	}
	s.move(unitActor("urban"), grid.VerbAccept, at(12*minute), func(m *grid.Move) { m.Attempt = 2 })
	if err := s.try(unitActor("urban"), grid.VerbAccept, at(12*minute), func(m *grid.Move) { m.Attempt = 3 }); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("an attempt to come: %v, want invalid", err)
	}
}

func TestTier3IsDueAtNinetySeconds(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.tick(at(90*sec - 1))
	if s.part("fire") != nil {
		t.Fatal("the fire unit is called early")
	}
	s.tick(at(90 * sec))
	if s.part("fire") == nil || s.tk.Tier != 3 {
		t.Fatal("the fire unit is not called at 90 s")
	}
	s.wantTold("fire", MessageOpened, true)
	s.wantTold("micro", MessageEscalated, true)
	s.tick(at(91 * sec))
	if n := len(s.tk.Assignments); n != 3 {
		t.Fatalf("%d assignments after another tick, want 3", n)
	}
}

func TestTier3FiresAtOnceWhenOverdue(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.tick(at(5 * time.Hour)) // the gateway was down
	if s.part("fire") == nil || !s.tk.Overdue || !s.tk.SentDistrict {
		t.Fatalf("after five hours the ticket is %+v", s.tk)
	}
}

func TestTier3IsCalledAsSoonAsTheFireIsConfirmed(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.move(unitActor("property"), grid.VerbVerify, at(20*sec), finds(grid.VerifiedTrue))
	if s.part("fire") == nil {
		t.Fatal("a confirmed fire calls no fire unit")
	}
}

func TestFalseFromAfarOnlyStopsTheStepToTier3(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.move(operator, grid.VerbVerify, at(30*sec), finds(grid.VerifiedFalse))
	s.wantState(grid.TicketDispatched)
	s.tick(at(10 * minute))
	if s.part("fire") != nil {
		t.Fatal("the fire unit is called for what was found false")
	}
	s.c.Second = true // a second detector: the finding no longer holds the call
	s.tick(at(10*minute + sec))
	if s.part("fire") == nil {
		t.Fatal("a second detector in alarm calls no fire unit")
	}
}

func TestFireUnitsEntryModeIsKept(t *testing.T) {
	for entry, c := range map[string]struct{ timed, confirmed bool }{
		"": {false, false}, "operator": {false, false}, "confirmed_only": {false, true}, "auto": {true, true},
	} {
		mine := append([]grid.Unit(nil), units...)
		mine[2].Entry = entry
		s := begun(t, grid.EventSmokeAlarm, 1, mine)
		s.tick(at(90 * sec))
		if got := s.part("fire") != nil; got != c.timed {
			t.Errorf("entry %q: called by the clock %v, want %v", entry, got, c.timed)
		}
		if got := strings.Join(s.tasks(), "\n"); !c.timed && !strings.Contains(got, "Fire brigade (fire)") {
			t.Errorf("entry %q: tasks are %q, want the operator's call", entry, got)
		}
		s.move(operator, grid.VerbVerify, at(100*sec), finds(grid.VerifiedTrue))
		if got := s.part("fire") != nil; got != c.confirmed {
			t.Errorf("entry %q: called when confirmed %v, want %v", entry, got, c.confirmed)
		}
		s.move(operator, grid.VerbAssign, at(110*sec), names("fire"))
		if s.part("fire") == nil {
			t.Errorf("entry %q: the operator's own call makes no assignment", entry)
		}
	}
}

func TestCancelNeedsAPersonAndACalmSensor(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	if err := s.try(operator, grid.VerbCancel, at(minute), bySource, because); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("sensor active: %v, want conflict", err)
	}
	s.c.Active, s.c.Second = false, true
	if err := s.try(operator, grid.VerbCancel, at(minute), bySource, because); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("second detector: %v, want conflict", err)
	}
	s.c.Second = false
	if err := s.try(operator, grid.VerbCancel, at(minute), because); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("from afar without a source: %v, want invalid", err)
	}
	if err := s.try(unitActor("micro"), grid.VerbCancel, at(minute), because); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a unit from afar: %v, want invalid", err)
	}
	s.resolvedHelper("property")
	s.move(unitActor("micro"), grid.VerbCancel, at(5*minute), because, onSite)
	s.wantState(grid.TicketCancelled)
	s.wantTold("micro", MessageStandDown, true)
	s.wantTold("property", MessageCancelled, true)
	if a := s.part("micro"); a.State != grid.TicketCancelled || !a.StandDown {
		t.Errorf("the lead's part is %+v, want it stood down", a)
	}
}

func (s *story) resolvedHelper(unit string) {
	s.t.Helper()
	before := s.tk.State
	s.move(unitActor(unit), grid.VerbAccept, at(2*minute))
	s.move(unitActor(unit), grid.VerbArrive, at(3*minute))
	s.move(unitActor(unit), grid.VerbResolve, at(4*minute))
	if s.tk.State != before || s.part(unit).State != grid.TicketResolved {
		s.t.Fatalf("a helper's word moved the ticket from %s to %s", before, s.tk.State)
	}
}

func TestForceCloseNeedsASecondPerson(t *testing.T) {
	s := begun(t, grid.EventDoorHeldOpen, 3, units)
	s.move(supervisor, grid.VerbForceClose, at(minute), because)
	s.wantState(grid.TicketDispatched)
	if a := s.tk.Asked; a == nil || a.By.Name != "sv1" || a.Reason == "" {
		t.Fatalf("what is asked is %+v", a)
	}
	s.move(supervisor, grid.VerbForceClose, at(2*minute), because) // the same person again is nobody
	s.wantState(grid.TicketDispatched)
	if err := s.try(operator, grid.VerbForceClose, at(2*minute), because); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("an operator agrees: %v, want forbidden", err)
	}
	other := grid.Actor{Role: grid.RoleSupervisor, Name: "sv2"}
	s.move(other, grid.VerbForceClose, at(40*minute), because) // too late: that is a new question
	s.wantState(grid.TicketDispatched)
	s.move(supervisor, grid.VerbForceClose, at(41*minute), because)
	s.wantState(grid.TicketForcedClose)
	if got := s.last.Moves[0].Detail; !strings.Contains(got, "still in alarm") || !strings.Contains(got, "asked by sv2") {
		t.Errorf("history says %q, want who asked and the sensor", got)
	}
}

func TestUnitThatReturnsATicketStaysResponsibleUntilAnotherAccepts(t *testing.T) {
	s := begun(t, grid.EventManholeOpen, 1, append([]grid.Unit{{ID: "water", Name: "Water company", Kind: grid.Utility, Tier: 3, Scope: street}}, units...))
	if err := s.try(unitActor("water"), grid.VerbReturn, at(minute), because); grid.CodeOf(err) != grid.Invalid {
		t.Fatalf("return without a proposal: %v, want invalid", err)
	}
	s.move(unitActor("water"), grid.VerbReturn, at(minute), because, names("urban"))
	s.wantState(grid.TicketReturned)
	if Responsible(&s.tk) != "water" || s.tk.Returns != 1 {
		t.Fatalf("responsible is %q after %d returns", Responsible(&s.tk), s.tk.Returns)
	}
	s.move(operator, grid.VerbAssign, at(2*minute), names("desk"))
	s.wantState(grid.TicketDispatched)
	if Responsible(&s.tk) != "water" {
		t.Fatalf("responsible is %q before the other accepts, want water", Responsible(&s.tk))
	}
	s.move(unitActor("desk"), grid.VerbAccept, at(3*minute))
	s.wantState(grid.TicketAccepted)
	s.wantTold("water", MessageStandDown, true)
	if Responsible(&s.tk) != "desk" {
		t.Fatalf("responsible is %q, want desk", Responsible(&s.tk))
	}
}

func TestSecondReturnGoesToTheSupervisor(t *testing.T) {
	s := begun(t, grid.EventDoorHeldOpen, 3, units)
	s.move(unitActor("property"), grid.VerbReturn, at(minute), because, names("urban"))
	s.move(operator, grid.VerbAssign, at(2*minute), names("urban"))
	s.wantState(grid.TicketDispatched)
	if Responsible(&s.tk) != "property" {
		t.Fatalf("responsible is %q before the other accepts, want property", Responsible(&s.tk))
	}
	s.move(unitActor("urban"), grid.VerbReturn, at(3*minute), because, names("desk"))
	if got := s.tasks(); !strings.Contains(got[len(got)-1], "supervisor") {
		t.Fatalf("tasks are %v, want the supervisor's", got)
	}
	if err := s.try(operator, grid.VerbAssign, at(4*minute), names("desk")); grid.CodeOf(err) != grid.Forbidden {
		t.Fatalf("operator after two returns: %v, want forbidden", err)
	}
	s.move(supervisor, grid.VerbAssign, at(4*minute), names("desk"))
	s.move(unitActor("desk"), grid.VerbAccept, at(5*minute))
	s.wantState(grid.TicketAccepted)
	if Responsible(&s.tk) != "desk" {
		t.Fatalf("responsible is %q, want desk", Responsible(&s.tk))
	}
	s.wantTold("property", MessageStandDown, true)
	s.wantTold("urban", MessageStandDown, true)
}

func TestSuspendingStopsOnlyTheHandleClock(t *testing.T) {
	s := begun(t, grid.EventDoorHeldOpen, 3, units)
	s.move(unitActor("property"), grid.VerbAccept, at(minute))
	s.move(unitActor("property"), grid.VerbArrive, at(2*minute))
	due, total := findClock(&s.tk, ClockHandle).Due, findClock(&s.tk, ClockTotal).Due
	end := func(m *grid.Move) { m.Until = at(2 * time.Hour) }
	if err := s.try(operator, grid.VerbSuspend, at(3*minute), because); grid.CodeOf(err) != grid.Invalid {
		t.Fatalf("without an end: %v, want invalid", err)
	}
	if err := s.try(unitActor("property"), grid.VerbSuspend, at(3*minute), because, end); grid.CodeOf(err) != grid.Forbidden {
		t.Fatalf("without approval: %v, want forbidden", err)
	}
	s.move(operator, grid.VerbSuspend, at(time.Hour), because, end)
	s.tick(at(2*time.Hour - 1))
	s.wantState(grid.TicketSuspended)
	s.tick(at(2 * time.Hour))
	s.wantState(grid.TicketInProgress)
	if got := findClock(&s.tk, ClockHandle).Due; got != due.Add(time.Hour) {
		t.Errorf("handle is due %v, want an hour later than %v", got, due)
	}
	if got := findClock(&s.tk, ClockTotal).Due; got != total {
		t.Errorf("total is due %v, want %v", got, total)
	}
}

func TestP1IsNeverSuspended(t *testing.T) {
	s := begun(t, grid.EventManholeOpen, 1, units)
	s.move(unitActor("urban"), grid.VerbAccept, at(minute))
	s.move(unitActor("urban"), grid.VerbArrive, at(2*minute))
	err := s.try(supervisor, grid.VerbSuspend, at(3*minute), because, func(m *grid.Move) { m.Until = at(time.Hour) })
	if grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("%v, want conflict", err)
	}
}

func TestEachStepOfAClockIsToldOnce(t *testing.T) {
	s := begun(t, grid.EventDoorHeldOpen, 3, units) // accept within 30 min
	var told []string
	next := s.last.Wake
	for now := t0; !now.After(at(31 * minute)); now = now.Add(sec) {
		if !next.IsZero() && now.Before(next) {
			continue
		}
		next = s.tick(now)
		for _, m := range s.last.Moves {
			if m.Verb == verbWarn && strings.HasPrefix(m.Detail, "accept") {
				told = append(told, now.Sub(t0).String()+" "+m.Detail)
			}
		}
	}
	want := "15m0s accept: 50 % of its time, for the lead|24m0s accept: 80 % of its time, for the street lead|30m0s accept: 100 % of its time, for the district"
	if got := strings.Join(told, "|"); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	// Slept through: only the last step is told.
	s = begun(t, grid.EventDoorHeldOpen, 3, units)
	s.tick(at(time.Hour))
	n := 0
	for _, m := range s.last.Moves {
		if m.Verb == verbWarn && strings.HasPrefix(m.Detail, "accept") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d lines on accept after an hour of sleep, want 1", n)
	}
}

func TestTicketWithoutAUnitStaysFiledWithATask(t *testing.T) {
	s := begun(t, grid.EventManholeOpen, 1, nil)
	s.wantState(grid.TicketFiled)
	if len(s.tasks()) == 0 || len(s.told) != 0 {
		t.Fatalf("tasks %v, messages %v", s.tasks(), s.told)
	}
	if err := s.try(operator, grid.VerbAccept, at(minute), bySource); grid.CodeOf(err) != grid.Conflict {
		t.Fatalf("accept without a lead: %v, want conflict", err)
	}
	s.c.Units = units
	s.move(operator, grid.VerbAssign, at(minute), names("urban"))
	s.wantState(grid.TicketDispatched)
	s.wantTold("urban", MessageOpened, true)
}

func TestFireUnitLeadsWhereNobodyElseDoes(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units[2:3])
	s.wantState(grid.TicketFiled)
	s.tick(at(90 * sec))
	s.wantState(grid.TicketDispatched)
	if !s.part("fire").Lead {
		t.Fatal("the fire unit does not lead")
	}
}

func TestLiveTicketsGoToLiveUnitsAlone(t *testing.T) {
	world := func(m grid.Mode) []grid.Unit {
		mine := append([]grid.Unit(nil), units...)
		for i := range mine {
			mine[i].Mode = m
		}
		return mine
	}
	p := builtIn(t, grid.EventSmokeAlarm)
	for _, c := range []struct {
		ticket, unit grid.Mode
		want         bool
	}{
		{grid.Live, grid.Live, true}, {"", grid.Live, true}, {grid.Live, "", true}, {grid.Live, grid.Simulated, false}, {grid.Live, grid.Test, false},
		{grid.Simulated, grid.Live, false}, {grid.Test, "", false}, {grid.Exercise, grid.Live, false}, {grid.Simulated, grid.Simulated, true}, {grid.Test, grid.Simulated, true},
	} {
		tk, r := Open(Opening{ID: "T", Type: p.Type, Priority: 1, Mode: c.ticket, Scope: street, At: t0}, p, world(c.unit))
		if got := len(r.Messages) > 0; got != c.want {
			t.Errorf("%q ticket, %q unit: told %v, want %v", c.ticket, c.unit, got, c.want)
		}
		_, err := Apply(&tk, grid.Move{Verb: grid.VerbAssign, By: operator, At: t0, Unit: "urban"}, p, Context{Units: world(c.unit)})
		if got := err == nil; got != c.want {
			t.Errorf("%q ticket, %q unit: assigned by hand %v (%v), want %v", c.ticket, c.unit, got, err, c.want)
		}
	}
}

func TestNarrowestScopeThatContainsThePointIsChosen(t *testing.T) {
	mk := func(id string, s grid.Scope) grid.Unit { return grid.Unit{ID: id, Kind: grid.Property, Scope: s} }
	us := []grid.Unit{
		mk("a-city", grid.Scope{}), mk("b-district", grid.Scope{District: "310105"}),
		mk("d-street", grid.Scope{District: "310105", Street: "310105006"}), mk("c-street", grid.Scope{District: "310105", Street: "310105006"}),
		mk("other-street", grid.Scope{District: "310105", Street: "310105001", Community: "310105001001"}),
		mk("other-district", grid.Scope{District: "310107"}),
	}
	if got := Route(nil, Ask{Kinds: []grid.UnitKind{grid.MicroStation, grid.Property}, Scope: street}, us, nil); got.Unit != "c-street" {
		t.Fatalf("chosen is %v, want c-street", got)
	}
	if got := Route(nil, Ask{Kinds: []grid.UnitKind{grid.Property}, Scope: street}, us[5:], nil); got.Unit != "" {
		t.Fatalf("chosen is %s, want nobody", got.Unit)
	}
}

func TestAlarmThatComesBackSendsTheTicketToRework(t *testing.T) {
	s := begun(t, grid.EventManholeOpen, 1, units)
	rejoin := func(when time.Time) bool {
		r, ok := Rejoin(&s.tk, s.p, when, s.c)
		s.took(r)
		return ok
	}
	if !rejoin(at(minute)) || s.tk.Rework != 0 {
		t.Fatal("before it was resolved: want the units told, no rework")
	}
	s.wantTold("urban", MessageUpdated, true)
	s.resolved("urban", at(2*minute), at(5*minute))
	if !rejoin(at(6*minute)) || s.tk.Rework != 1 {
		t.Fatal("while checking: want rework")
	}
	s.wantState(grid.TicketDispatched)
	s.resolved("urban", at(7*minute), at(9*minute))
	s.move(unitActor("urban"), grid.VerbConfirm, at(9*minute), onSite, withPhoto)
	s.check(Verdict{Pass: true}, at(10*minute))
	s.wantState(grid.TicketClosed)
	if !rejoin(at(11*minute)) || s.tk.Rework != 2 || !s.tk.Closed.IsZero() || !findClock(&s.tk, ClockTotal).Stopped.IsZero() {
		t.Fatalf("after it was closed: %+v, want rework with the total running on", s.tk)
	}
	s.c.Active = false
	s.move(operator, grid.VerbCancel, at(12*minute), because, bySource)
	if rejoin(at(13 * minute)) {
		t.Fatal("a cancelled ticket is opened again, want a new one asked for")
	}
	s.wantState(grid.TicketCancelled)
}

func TestErrorsNameStateVerbAndWhatIsAllowed(t *testing.T) {
	s := begun(t, grid.EventDoorHeldOpen, 3, units)
	s.move(unitActor("property"), grid.VerbAccept, at(minute))
	err := s.try(unitActor("property"), grid.VerbResolve, at(minute))
	want := "ticket T1 is accepted: resolve is not allowed, unit may verify, arrive, cancel, note"
	if err == nil || err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}

func TestOlderCopyOfATicketKeepsItsLists(t *testing.T) {
	s := begun(t, grid.EventDoorHeldOpen, 3, units)
	before := s.tk
	s.move(unitActor("property"), grid.VerbAccept, at(minute))
	if before.Assignments[0].State != grid.TicketDispatched || !findClock(&before, ClockAccept).Stopped.IsZero() {
		t.Fatal("a move wrote into the lists of an older copy")
	}
}
