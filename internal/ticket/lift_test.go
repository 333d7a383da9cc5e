package ticket

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestAHelperMayBeNamedToLeadWhatWasReturned(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	s.move(unitActor("property"), grid.VerbAccept, at(sec))
	s.move(unitActor("micro"), grid.VerbReturn, at(2*sec), because, func(m *grid.Move) { m.Unit = "property" })
	s.move(operator, grid.VerbAssign, at(3*sec), func(m *grid.Move) { m.Unit = "property" })
	s.wantState(grid.TicketDispatched)
	s.wantTold("property", MessageOpened, true)
	s.move(unitActor("property"), grid.VerbAccept, at(4*sec))
	if got := Responsible(&s.tk); got != "property" {
		t.Errorf("%s is responsible, want property", got)
	}
	todo := 0
	for _, a := range s.tk.Assignments {
		if a.Unit == "property" && busy(&a) {
			todo++
		}
	}
	if todo != 1 {
		t.Errorf("property has %d parts to do, want one", todo)
	}
}

func TestReworkTakesBackTheQuestionOfTheLastCheck(t *testing.T) {
	s := begun(t, grid.EventSmokeAlarm, 1, units)
	for i := range 2 {
		from := at(time.Duration(i) * time.Hour)
		s.resolved("micro", from.Add(sec), from.Add(minute))
		s.check(Verdict{Unable: true}, from.Add(2*minute))
		if len(s.last.Moves) != 1 || s.last.Moves[0].Verb != verbTask {
			t.Fatalf("check %d asks nobody: %+v", i, s.last)
		}
		s.check(Verdict{Abnormal: true}, from.Add(10*minute))
		s.wantState(grid.TicketDispatched)
	}
}

func TestSilenceThatMakesASuspendedTicketP1ResumesIt(t *testing.T) {
	s := begun(t, grid.EventFireLaneBlocked, 2, units)
	s.move(unitActor("urban"), grid.VerbAccept, at(sec))
	s.move(unitActor("urban"), grid.VerbArrive, at(2*sec))
	s.move(operator, grid.VerbSuspend, at(3*sec), func(m *grid.Move) { m.Reason, m.Until = "tow truck", at(time.Hour) })
	r := Silent(&s.tk, s.p, "silent since noon", at(minute), s.c)
	s.took(r)
	if s.tk.Priority != 1 || s.tk.State != grid.TicketInProgress || lead(&s.tk).State != grid.TicketInProgress {
		t.Errorf("ticket is %s and %s, its lead %s: P1 is never suspended", s.tk.Priority, s.tk.State, lead(&s.tk).State)
	}
	if c := findClock(&s.tk, ClockHandle); !c.Stopped.IsZero() {
		t.Error("its clock stands still")
	}
}
