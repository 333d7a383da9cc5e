package ticket

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

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
