package engine

import (
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// setRig is a rig whose clock can be set: by the one that nobody sets no time passes then.
type setRig struct {
	*rig
	mu    sync.Mutex
	ahead time.Duration
}

func newSetRig(t *testing.T) *setRig {
	s := &setRig{rig: &rig{t: t, dir: t.TempDir()}}
	s.clock.Store(rigStart.UnixNano())
	s.change = func(c *Config) {
		c.Watch = func() (time.Time, time.Duration) {
			s.mu.Lock()
			defer s.mu.Unlock()
			now := s.now()
			return now, now.Sub(rigStart) - s.ahead
		}
	}
	s.open()
	t.Cleanup(func() { s.close() })
	return s
}

// jump sets the clock, and lets the engine notice.
func (s *setRig) jump(by time.Duration) {
	s.t.Helper()
	s.settle()
	s.mu.Lock()
	s.ahead += by
	s.clock.Add(int64(by))
	s.mu.Unlock()
	s.settle()
}

func TestAClockThatJumpsForwardIsNobodysSilence(t *testing.T) {
	r := newSetRig(t)
	r.units()
	for _, p := range []string{"D1", "D2"} { // an hour's interval
		r.place(grid.Door, p, grid.Identity("sn:"+p))
		r.say(grid.Identity("sn:"+p), `{"door.open":false,"seq":1}`)
	}
	r.jump(72 * time.Hour)
	if a := r.alarms(state.Query{}); len(a) != 0 {
		t.Fatalf("the clock went three days forward, and alarms are %+v", a)
	}
	r.restart() // it was a fact: also for one that starts after it
	r.settle()
	if a := r.alarms(state.Query{}); len(a) != 0 {
		t.Fatalf("after a restart alarms are %+v", a)
	}
	r.after(90 * time.Minute)
	r.say("sn:D1", `{"door.open":false,"seq":2}`)
	for range 8 {
		r.after(30 * time.Minute)
		r.say("sn:D1", `{"door.open":false,"seq":2}`)
	}
	a := r.ofType(grid.EventDeviceOffline)
	if len(a) != 1 || a[0].Point != "D2" {
		t.Errorf("one is silent for hours that were, and who is offline is %+v: want D2 alone", a)
	}
}

func TestAClockThatJumpsClosesAndEscalatesNothing(t *testing.T) {
	for _, by := range []time.Duration{3 * time.Hour, 30 * 24 * time.Hour, -3 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			r := newSetRig(t)
			r.units()
			r.place(grid.Smoke, "s0", "sn:s0")
			r.say("sn:s0", `{"smoke.alarm":false,"seq":1}`)
			r.after(time.Minute)
			r.say("sn:s0", `{"smoke.alarm":true,"seq":2}`)
			r.after(30 * time.Second)
			before := r.theTicket()
			if called(before, brigade) {
				t.Fatal("the fire unit is called after half a minute: the test shows nothing")
			}
			r.jump(by)
			now := r.theTicket()
			if called(now, brigade) || len(now.Assignments) != len(before.Assignments) || now.State != before.State || now.Warned != before.Warned || now.Overdue {
				t.Errorf("no time has passed, and the ticket is %+v: want it as before", now)
			}
			r.after(55 * time.Second)
			if called(r.theTicket(), brigade) {
				t.Error("after 85 s the fire unit is called: want it at 90")
			}
			r.after(10 * time.Second)
			if !called(r.theTicket(), brigade) {
				t.Error("after 95 s the fire unit is not called")
			}
		})
	}
}

func TestWhatWasNormalBeforeTheClockJumpedIsNotProvenByIt(t *testing.T) {
	r := newSetRig(t)
	r.units()
	r.place(grid.Manhole, "m1", "sn:m1")
	r.say("sn:m1", `{"manhole.open":true,"seq":1}`)
	r.after(time.Minute)
	tk := r.theTicket()
	r.say("sn:m1", `{"manhole.open":false,"seq":2}`)
	for _, verb := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: tk.ID, Verb: verb, By: byUnit(tk.Assignments[0].Unit), Reason: "closed", Evidence: "photo"}); err != nil {
			t.Fatal(verb, ": ", err)
		}
	}
	r.jump(3 * time.Hour)
	if tk = r.theTicket(); tk.State.Ended() || tk.Rework != 0 {
		t.Errorf("no time has passed, and the ticket is %s", tk.State)
	}
}

func TestADelayThatTheClockJumpsOverIsNotOver(t *testing.T) {
	r := newSetRig(t)
	r.units()
	r.place(grid.Door, "D1", "sn:D1")
	r.say("sn:D1", `{"door.open":true,"seq":1}`)
	r.after(2 * time.Minute)
	r.jump(24 * time.Hour)
	if a := r.ofType(grid.EventDoorHeldOpen); len(a) != 0 {
		t.Fatalf("a door stands open for two minutes, and it is told: %+v", a)
	}
	r.after(20 * time.Minute)
	if a := r.ofType(grid.EventDoorHeldOpen); len(a) != 1 || !a[0].Active {
		t.Errorf("a door stands open for more than twenty minutes: %+v", a)
	}
}

func TestAClockThatIsSlewedIsNoJump(t *testing.T) {
	r := newSetRig(t)
	for range 20 {
		r.jump(9 * time.Second)
	}
	if page := must[state.Page[state.Audit]](t)(r.store.ListAudit(t.Context(), state.Query{})); len(page.Items) != 0 {
		t.Errorf("deeds are %+v: want none", page.Items)
	}
	r.jump(time.Minute)
	page := must[state.Page[state.Audit]](t)(r.store.ListAudit(t.Context(), state.Query{}))
	if len(page.Items) != 1 || page.Items[0].Action != "clock.set" {
		t.Errorf("deeds are %+v: want that the clock was set", page.Items)
	}
}
