package engine

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// ofType gives the episodes of an event type, oldest first.
func (r *rig) ofType(typ grid.EventType) []grid.Alarm {
	r.t.Helper()
	return r.alarms(state.Query{Type: string(typ)})
}

func TestABuildingWithoutItsDetectorsIsWithoutProtection(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(12, "s", 0, 0)
	r.place(grid.Door, "D1", doorDev)
	heard := func(from int) {
		for i := from; i < 12; i++ {
			r.smoke(grid.Identity(fmt.Sprint("sn:s", i)), int(r.now().Unix()%1e6), false)
		}
		r.say(doorDev, `{"door.open":false}`)
	}
	heard(0)
	for range 4 { // the first two fall silent
		r.after(45 * time.Minute)
		heard(2)
	}
	if got := r.ofType(grid.EventProtectionLost); len(got) != 0 {
		t.Fatalf("two of twelve are blind, and protection.lost is %+v", got)
	}
	for range 4 {
		r.after(45 * time.Minute)
		heard(3)
	}
	got := r.ofType(grid.EventProtectionLost)
	if len(got) != 1 || !got[0].Active || got[0].Priority != 2 || got[0].Building != "s" || got[0].Ticket == "" || got[0].Street != rigScope.Street {
		t.Fatalf("three of twelve are blind: protection.lost is %+v, want one, P2, of the building, with a ticket", got)
	}
	r.restart()
	heard(0)
	if got := r.ofType(grid.EventProtectionLost); len(got) != 1 || got[0].Active {
		t.Errorf("all are heard: protection.lost is %+v, want it over", got)
	}
}

func TestASensorThatFallsSilentAfterItsAlarmGoesUpOnePriority(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", "sn:M1")
	r.place(grid.Door, "D1", doorDev)
	r.say("sn:M1", `{"manhole.flooded":true,"seq":1}`)
	r.after(2 * time.Minute)
	for range 4 {
		r.after(45 * time.Minute)
		r.say(doorDev, `{"door.open":false}`)
	}
	flooded := r.ofType(grid.EventManholeFlooded)
	if len(flooded) != 1 || !flooded[0].Active || flooded[0].Priority != 1 {
		t.Fatalf("the alarm is %+v: want it active, and P1 since its sensor is silent", flooded)
	}
	tk := must[grid.Ticket](t)(r.store.Ticket(t.Context(), flooded[0].Ticket))
	if tk.Priority != 1 {
		t.Errorf("its ticket is %s, want P1", tk.Priority)
	}
	before := tk.Moves
	r.restart()
	r.after(time.Hour)
	if tk := must[grid.Ticket](t)(r.store.Ticket(t.Context(), flooded[0].Ticket)); tk.Priority != 1 || tk.Moves > before+6 {
		t.Errorf("after a restart it is %s with %d lines more", tk.Priority, tk.Moves-before)
	}
}

func TestADeviceThatIsTamperedWithAndFallsSilentIsStolen(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", "sn:M1")
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Door, "D2", "sn:D2")
	r.say("sn:M1", `{"manhole.open":false,"tamper":true,"seq":1}`)
	r.say("sn:D2", `{"door.open":false,"seq":1}`)
	for range 4 {
		r.after(45 * time.Minute)
		r.say(doorDev, `{"door.open":false}`)
	}
	got := r.ofType(grid.EventDeviceStolen)
	if len(got) != 1 || got[0].Point != "M1" || got[0].Priority != 1 || !got[0].Active {
		t.Fatalf("device.stolen is %+v: want it at the manhole alone, P1", got)
	}
	r.say("sn:M1", `{"manhole.open":false,"tamper":false,"seq":2}`)
	if got := r.ofType(grid.EventDeviceStolen); got[0].Active {
		t.Error("the device is heard and still counts as stolen")
	}
}

func TestADoorIsForcedOutsideOfficeHoursAlone(t *testing.T) {
	r := newRig(t) // Monday 2 March 2026, 16:00 in Shanghai
	r.units()
	reg := placed(grid.Door, "D1", doorDev, r.now())
	reg.Points[0].Rules = "secured"
	r.put(reg)
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	r.after(5 * time.Minute)
	r.say(doorDev, `{"door.open":false,"seq":2}`)
	if got := r.ofType(grid.EventDoorForced); len(got) != 0 {
		t.Fatalf("a door used in office hours is %+v", got)
	}
	r.after(55 * time.Minute)
	r.say(doorDev, `{"door.open":true,"seq":3}`) // 17:00: open until after the office has closed
	r.after(31 * time.Minute)
	if got := r.ofType(grid.EventDoorForced); len(got) != 1 || !got[0].Active {
		t.Errorf("17:31, the door is open: door.forced is %+v, want one by a timer alone", got)
	}
}

func TestAFlappingContactTellsItsUnitsNowAndThen(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", "sn:M1")
	tilt := func(seq int, deg int) { r.say("sn:M1", fmt.Sprintf(`{"manhole.tilt":%d,"seq":%d}`, deg, seq)) }
	for i := range 12 { // up for 12 s, level for 61 s
		tilt(2*i+1, 20)
		r.after(12 * time.Second)
		tilt(2*i+2, 0)
		r.after(61 * time.Second)
	}
	a := r.ofType(grid.EventManholeTilted)
	if len(a) != 1 || a[0].Count != 12 || a[0].Quiet.IsZero() {
		t.Fatalf("episodes are %+v: want one that came 12 times and flaps", a)
	}
	n := 0
	for _, d := range must[state.Page[grid.Delivery]](t)(r.store.ListDeliveries(t.Context(), state.Query{Limit: 1000})).Items {
		if d.Type == "ticket.updated" {
			n++
		}
	}
	if n > 4 {
		t.Errorf("%d updates of a cover that flaps", n)
	}
}

func TestABatteryIsReportedThirtyDaysBeforeItsEnd(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", doorDev)
	level := 60.0
	for day := range 24 { // 1 % a day: 30 days above 10 % at 40 %
		r.say(doorDev, fmt.Sprintf(`{"door.open":false,"battery.level":%.0f,"seq":%d}`, level, day+1))
		r.clock.Add(int64(12 * time.Minute))
		r.settle()
		if day == 12 {
			r.restart() // the trend outlives it
		}
		low := r.ofType(grid.EventBatteryLow)
		if want := day > 20; len(low) > 0 && !want || len(low) == 0 && day == 23 {
			t.Fatalf("day %d, %.0f %%: device.battery_low is %+v", day, level, low)
		}
		r.clock.Add(int64(24*time.Hour - 12*time.Minute))
		level--
	}
	h := must[grid.DeviceHealth](t)(r.engine.LiveDevice(t.Context(), doorDev))
	if h.BatteryDays == nil || *h.BatteryDays < 25 || *h.BatteryDays > 30 {
		t.Errorf("days left: %v, want about 27", h.BatteryDays)
	}
	r.say(doorDev, `{"door.open":false,"battery.level":100,"seq":99}`)
	r.after(2 * time.Hour)
	if low := r.ofType(grid.EventBatteryLow); low[0].Active {
		t.Error("with a new battery it is still low")
	}
}
