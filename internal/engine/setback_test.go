package engine

import (
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Our own clock may be set back, by an hour or a year: what devices say then is news all the same.

func TestSmokeAfterOurClockWasSetBackIsLive(t *testing.T) {
	for _, how := range []string{"while it runs", "while idle", "while it is down"} {
		t.Run(how, func(t *testing.T) {
			r := town(t)
			r.smoke("sn:s0", 1, false)
			r.after(time.Minute)
			r.smoke("sn:s0", 2, false)
			switch how {
			case "while it runs":
				r.clock.Add(-int64(3 * time.Hour))
			case "while idle":
				r.clock.Add(-int64(3 * time.Hour))
				r.settle()
			case "while it is down":
				r.close()
				r.clock.Add(-int64(3 * time.Hour))
				r.open()
			}
			r.smoke("sn:s0", 3, true)
			if a := r.alarms(state.Query{Point: "s0"}); len(a) != 1 || a[0].Type != grid.EventSmokeAlarm {
				t.Fatalf("alarms are %+v: want a live one", a)
			}
			r.after(91 * time.Second)
			tk := r.theTicket()
			if !called(tk, brigade) {
				t.Errorf("after 90 s it calls %+v: want the fire unit", tk.Assignments)
			}
			r.smoke("sn:s0", 4, false)
			r.after(2 * time.Minute)
			if a := r.alarms(state.Query{Point: "s0"}); a[0].Active {
				t.Error("it is normal for two minutes and the alarm is active")
			}
			r.smoke("sn:s0", 5, true)
			if a := r.alarms(state.Query{Point: "s0"}); !a[0].Active {
				t.Error("smoke again, and no alarm")
			}
		})
	}
}

func TestADelayGoesOnAfterOurClockWasSetBack(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", "sn:D1")
	r.say("sn:D1", `{"door.open":true,"seq":1}`)
	r.after(9 * time.Minute)
	r.clock.Add(-int64(3 * time.Hour))
	r.say("sn:D1", `{"door.open":true,"seq":2}`)
	r.after(11 * time.Minute)
	if a := r.ofType(grid.EventDoorHeldOpen); len(a) != 1 || !a[0].Active {
		t.Errorf("a door that stands open for twenty minutes: %+v", a)
	}
}
