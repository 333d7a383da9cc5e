package engine

import (
	"testing"
	"time"

	"gridgate/internal/grid"
)

// The rig's frames come by the source mqtt:test; its devices report each hour or less often.

func TestACoverThatIsOpenedAfterAnOutageIsTold(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", pitDev)
	r.say(pitDev, `{"manhole.open":false,"seq":1}`)
	r.after(time.Minute)
	from := r.now()
	r.outage(from, time.Time{})
	r.after(30 * time.Second)
	r.outage(from, r.now())
	r.after(time.Second)
	r.say(pitDev, `{"manhole.open":true,"seq":2}`)
	r.after(time.Minute)
	if a := r.ofType(grid.EventManholeOpen); len(a) != 1 || !a[0].Active {
		t.Fatalf("manhole.open is %+v a minute after the cover was opened: want it raised", a)
	}
}

func TestACoverThatIsOpenedJustBeforeAnOutageIsToldWhileItLasts(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", pitDev)
	r.say(pitDev, `{"manhole.open":true,"seq":1}`)
	r.outage(r.now(), time.Time{})
	r.after(time.Minute)
	if a := r.ofType(grid.EventManholeOpen); len(a) != 1 || !a[0].Active {
		t.Fatalf("manhole.open is %+v: want it raised, P1 waits for no wire", a)
	}
}

func TestWhatWaitedWhenAnOutageBeganIsToldSoonAfterIt(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	r.after(time.Minute)
	from := r.now()
	r.outage(from, time.Time{})
	r.after(3 * time.Hour)
	if a := r.ofType(grid.EventDoorHeldOpen); len(a) != 0 {
		t.Fatalf("door.held_open is %+v: want nothing concluded while nobody can hear the door", a)
	}
	r.outage(from, r.now())
	r.after(time.Hour)
	if a := r.ofType(grid.EventDoorHeldOpen); len(a) != 1 || !a[0].Active {
		t.Fatalf("door.held_open is %+v an hour after the outage: want it raised, though the door said nothing more", a)
	}
}

func TestAReturnThatIsHeardAfterAnOutageNeedsNoGrace(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", pitDev)
	r.say(pitDev, `{"manhole.open":true,"seq":1}`)
	r.after(time.Minute)
	from := r.now()
	r.outage(from, time.Time{})
	r.after(30 * time.Second)
	r.outage(from, r.now())
	r.after(time.Second)
	r.say(pitDev, `{"manhole.open":false,"seq":2}`)
	r.after(5 * time.Minute)
	if a := r.ofType(grid.EventManholeOpen); len(a) != 1 || a[0].Active {
		t.Fatalf("manhole.open is %+v five minutes after the cover was heard shut: want it over", a)
	}
}

func (r *rig) outage(from, to time.Time) {
	r.t.Helper()
	if err := r.engine.Down(r.t.Context(), "mqtt:test", from, to); err != nil {
		r.t.Fatal(err)
	}
}
