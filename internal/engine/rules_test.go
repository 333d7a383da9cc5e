package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const (
	smokeDev = grid.Identity("sn:smoke-1")
	doorDev  = grid.Identity("sn:door-1")
	pitDev   = grid.Identity("sn:pit-1")
	bayDev   = grid.Identity("sn:bay-1")
)

func smokeRig(t *testing.T) *rig {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "S1", smokeDev)
	return r
}

func TestSmokeAlarmOpensATicketAtOnceAndCallsTierTwo(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	tk := r.theTicket()
	if tk.State != grid.TicketDispatched || tk.Priority != 1 || tk.Point != "S1" {
		t.Errorf("ticket is %s P%d at %s: want dispatched P1 at S1", tk.State, tk.Priority, tk.Point)
	}
	var told []string
	for _, d := range r.sent {
		told = append(told, d.Unit)
		if d.State != grid.DeliveryPending || d.Lane != grid.Safety {
			t.Errorf("delivery to %s is %s in the %s lane: want pending in the safety lane", d.Unit, d.State, d.Lane)
		}
	}
	if fmt.Sprint(told) != "[u-micro_fire_station u-residents_committee u-property]" {
		t.Errorf("told %v: want the micro fire station, the committee and the property, not yet the fire unit", told)
	}
}

func TestFireUnitIsCalledAfterNinetySecondsWithoutAWord(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	r.after(89 * time.Second)
	if len(r.to("u-fire")) != 0 {
		t.Error("the fire unit was told after 89 s")
	}
	r.after(time.Second)
	if len(r.to("u-fire")) != 1 {
		t.Errorf("the fire unit was told %d times after 90 s: want once", len(r.to("u-fire")))
	}
	r.after(10 * time.Second)
	if len(r.to("u-fire")) != 1 {
		t.Error("the fire unit was told again")
	}
}

// to are the deliveries made to a unit.
func (r *rig) to(unit string) (out []grid.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.sent {
		if d.Unit == unit && d.Attempts == 0 {
			out = append(out, d)
		}
	}
	return out
}

func TestOverdueTierThreeFiresRightAfterARestart(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	r.close()
	r.clock.Add(int64(5 * time.Minute))
	r.open()
	r.settle()
	if len(r.to("u-fire")) != 1 {
		t.Errorf("the fire unit was told %d times: want once, right after the restart", len(r.to("u-fire")))
	}
}

func TestSmokeTicketClosesOnlyWhenResolvedConfirmedAndNormal(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	id := r.theTicket().ID
	station := byUnit("u-micro_fire_station")
	step := func(m grid.Move, want grid.TicketState) {
		t.Helper()
		m.Ticket, m.By = id, station
		tk, err := r.move(m)
		if err != nil {
			t.Fatalf("%s: %v", m.Verb, err)
		}
		if tk.State != want {
			t.Fatalf("after %s the ticket is %s: want %s", m.Verb, tk.State, want)
		}
	}
	step(grid.Move{Verb: grid.VerbAccept}, grid.TicketAccepted)
	step(grid.Move{Verb: grid.VerbArrive}, grid.TicketInProgress)
	r.after(time.Minute)
	r.say(smokeDev, `{"smoke.alarm":false,"seq":2}`)
	r.after(2 * time.Minute)
	if s := r.theTicket().State; s != grid.TicketInProgress {
		t.Fatalf("ticket is %s: a sensor that goes back to normal closes nothing", s)
	}
	step(grid.Move{Verb: grid.VerbResolve, Reason: "fire out"}, grid.TicketChecking)
	step(grid.Move{Verb: grid.VerbConfirm, OnSite: true, Evidence: "photo 1"}, grid.TicketChecking)
	r.after(31 * time.Minute)
	if s := r.theTicket().State; s != grid.TicketChecking {
		t.Fatalf("ticket is %s: silence is not normal, the device reports hourly", s)
	}
	r.say(smokeDev, `{"smoke.alarm":false,"seq":3}`)
	if s := r.theTicket().State; s != grid.TicketClosed {
		t.Fatalf("ticket is %s: the next report after the watch says normal, want closed", s)
	}
}

func TestTicketGoesToReworkWhenTheSensorDeniesIt(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", pitDev)
	r.say(pitDev, `{"manhole.open":true,"seq":1}`)
	r.after(6 * time.Second)
	tk := r.theTicket()
	lead := byUnit(tk.Assignments[0].Unit)
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: tk.ID, Verb: v, By: lead, Reason: "cover on"}); err != nil {
			t.Fatal(err)
		}
	}
	r.after(20 * time.Minute)
	r.say(pitDev, `{"manhole.open":true,"seq":2}`)
	if tk = r.theTicket(); tk.Rework != 1 || tk.State == grid.TicketClosed {
		t.Errorf("ticket is %s with %d reworks: want a rework, the cover is still open", tk.State, tk.Rework)
	}
}

func TestSensorOpensOneTicketPerEpisodeUnderDuplicates(t *testing.T) {
	r := smokeRig(t)
	for range 10 {
		r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	}
	for range 3 {
		r.say(smokeDev, `{"smoke.alarm":true,"seq":2}`)
	}
	r.theTicket()
	if got := r.ledger(); got[grid.Processed] != 2 || got[grid.Duplicate] != 11 {
		t.Errorf("ledger is %v: want 2 processed and 11 duplicates", got)
	}
}

func TestDuplicateWithAnAlarmIsNoneWhileNoEpisodeIsActive(t *testing.T) {
	r := newRig(t)
	r.units()
	// A detector without a counter that says the same word again after the first alarm
	// has cleared.
	r.place(grid.Smoke, "S1", smokeDev)
	r.say(smokeDev, `{"smoke.alarm":true}`)
	r.after(time.Second)
	r.say(smokeDev, `{"smoke.alarm":false}`)
	r.after(2 * time.Minute)
	if a := r.alarms(state.Query{}); a[0].Active {
		t.Fatal("alarm did not clear")
	}
	f := frame(smokeDev, `{"smoke.alarm":true}`)
	f.Flags = grid.Redelivered
	r.send(f)
	a := r.alarms(state.Query{Type: string(grid.EventSmokeAlarm)})
	if len(a) != 1 || !a[0].Active || a[0].Count != 2 {
		t.Errorf("alarms are %+v: want the episode active again", a)
	}
}

func TestDuplicateStillCountsAsHeard(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":false,"seq":7}`)
	r.after(10 * time.Minute)
	r.say(doorDev, `{"door.open":false,"seq":7}`)
	h := must[grid.DeviceHealth](t)(r.engine.LiveDevice(t.Context(), doorDev))
	if !h.LastHeard.Equal(r.now()) || h.Duplicates != 1 {
		t.Errorf("last heard %s with %d duplicates: want now and 1", h.LastHeard, h.Duplicates)
	}
}

func TestOlderReadingFillsHistoryAndChangesNothingElse(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":true,"seq":5}`)
	r.say(doorDev, `{"door.open":false,"seq":4}`) // overtaken
	if v := r.live("D1", grid.DoorOpen); v.Value != 1 {
		t.Error("a frame that was overtaken moved the state back")
	}
	if got := r.ledger(); got[grid.Processed] != 2 {
		t.Errorf("ledger is %v: the overtaken frame is processed, not lost", got)
	}
}

func (r *rig) live(point string, s grid.Signal) grid.LiveValue {
	r.t.Helper()
	for _, v := range must[[]grid.LiveValue](r.t)(r.engine.LivePoint(r.t.Context(), point)) {
		if v.Signal == s {
			return v
		}
	}
	r.t.Fatalf("point %s has no %s", point, s)
	return grid.LiveValue{}
}

func TestSmokeThatWasOvertakenIsLateNotSilent(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":false,"seq":9}`)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":8}`)
	late := r.alarms(state.Query{Type: string(grid.EventSmokeLate)})
	if len(late) != 1 || late[0].Priority != 1 || !late[0].Late {
		t.Fatalf("alarms are %+v: want one smoke.late P1", late)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventSmokeAlarm)})); n != 0 {
		t.Errorf("%d live alarms: an overtaken one is not live", n)
	}
	r.say(smokeDev, `{"smoke.alarm":true,"seq":7}`)
	if n := len(r.alarms(state.Query{Type: string(grid.EventSmokeLate)})); n != 1 {
		t.Errorf("%d late alarms: want one per episode", n)
	}
}

func TestSmokeWithAWrongClockIsLive(t *testing.T) {
	for _, at := range []string{"1970-01-01T00:00:10Z", "2027-03-02T08:00:00Z"} {
		r := smokeRig(t)
		r.say(smokeDev, `{"smoke.alarm":true,"seq":1,"at":"`+at+`"}`)
		a := r.alarms(state.Query{Type: string(grid.EventSmokeAlarm)})
		if len(a) != 1 || !a[0].At.Equal(r.now()) {
			t.Errorf("clock at %s: alarms are %+v: want a live one at the received time", at, a)
		}
		if len(r.quarantine()) != 0 {
			t.Errorf("clock at %s: frame is in quarantine", at)
		}
		if h := must[grid.DeviceHealth](t)(r.engine.LiveDevice(t.Context(), smokeDev)); !h.ClockOff {
			t.Errorf("clock at %s: the device is not marked", at)
		}
	}
}

func TestBelievedDeviceTimeIsKept(t *testing.T) {
	r := smokeRig(t)
	at := r.now().Add(-90 * time.Second)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1,"at":"`+at.Format(time.RFC3339)+`"}`)
	if a := r.alarms(state.Query{}); !a[0].At.Equal(at) || !a[0].Raised.Equal(r.now()) {
		t.Errorf("alarm at %s raised %s: want device time %s, clocks by received time", a[0].At, a[0].Raised, at)
	}
}

func TestRetainedSmokeAlarmIsLateOnceAndRetainedStateIsNoEvent(t *testing.T) {
	r := smokeRig(t)
	r.place(grid.Door, "D1", doorDev)
	for range 4 { // it comes again at every subscribe
		f := frame(smokeDev, `{"smoke.alarm":true,"seq":3}`)
		f.Flags = grid.Retained
		d := frame(doorDev, `{"door.open":true}`)
		d.Flags = grid.Retained
		r.send(f, d)
		r.after(time.Minute)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventSmokeLate)})); n != 1 {
		t.Errorf("%d smoke.late: want one in all", n)
	}
	r.after(time.Hour)
	if n := len(r.events(grid.EventDoorHeldOpen)); n != 0 {
		t.Errorf("%d events from a retained door: it is state, never an event", n)
	}
	if r.live("D1", grid.DoorOpen).Value != 1 {
		t.Error("a retained value is not shown where nothing else is known")
	}
}

func TestTestPressIsNotedAndCallsNobody(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"test":true,"smoke.alarm":false,"seq":1}`)
	if n := len(r.events(grid.EventTest)); n != 1 {
		t.Errorf("%d test events: want one", n)
	}
	if len(r.tickets())+len(r.sent) != 0 {
		t.Error("a test press opened a ticket or told a unit")
	}
	r.say(smokeDev, `{"test":true,"smoke.alarm":true,"seq":2}`)
	r.theTicket() // a fire bit always wins
}

func TestUnreadableSmokeFrameWarnsTheOperator(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":`)
	a := r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)})
	if len(a) != 1 || a[0].Priority != 2 || a[0].Point != "S1" {
		t.Fatalf("alarms are %+v: want safety.unreadable P2 at S1", a)
	}
	if q := r.quarantine(); len(q) != 1 || q[0].Reason != grid.Undecodable {
		t.Errorf("quarantine is %+v: want the undecodable frame", q)
	}
	r.say(smokeDev, `{"smoke.alarm":false,"seq":1}`)
	if a = r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)}); a[0].Active {
		t.Error("the detector can be read again and the fault is still active")
	}
	r.restart()
	r.say(smokeDev, `{"smoke.alarm":`) // sent again
	if a = r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)}); len(a) != 1 || a[0].Active || r.ledger()[grid.Duplicate] != 1 {
		t.Errorf("alarms are %+v, ledger %v: a repeat raises nothing a second time", a, r.ledger())
	}
}

func TestBarredSmokeDeviceThatSaysFireIsP1(t *testing.T) {
	r := smokeRig(t)
	r.put(grid.Registration{Devices: []grid.Device{{Identity: smokeDev, Profile: "gridgate/json", State: grid.Barred, Mode: grid.Simulated}}})
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	a := r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)})
	if len(a) != 1 || a[0].Priority != 1 {
		t.Errorf("alarms are %+v: want safety.unreadable P1", a)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventSmokeAlarm)})); n != 0 {
		t.Error("a barred device raised an alarm of its own")
	}
}

func TestUnknownDeviceIsDiscoveredAndItsActiveAlarmIsRaisedWhenClaimed(t *testing.T) {
	r := newRig(t)
	r.units()
	r.say("sn:new", `{"smoke.alarm":true,"seq":1}`)
	r.say("sn:new", `{"smoke.alarm":true,"seq":2}`)
	r.say("sn:new", `{"smoke.alarm":true,"seq":2}`) // sent again
	if d := must[[]grid.Discovered](t)(r.engine.Discovered(t.Context(), 10)); len(d) != 1 || d[0].Frames != 3 {
		t.Fatalf("discovered is %+v: want sn:new with three frames", d)
	}
	r.restart()
	d := must[[]grid.Discovered](t)(r.engine.Discovered(t.Context(), 10))
	if g := d[0].Guesses; len(g) == 0 || g[0].Profile != "gridgate/json" || g[0].Reason == "" || !g[0].Fire || d[0].Guess != g[0].Profile {
		t.Errorf("guesses after a restart are %+v: want them ranked, with reasons", g)
	}
	// Nobody knows where it is: the operator is told that it says fire, no unit is called.
	if a := r.alarms(state.Query{}); len(a) != 1 || a[0].Type != grid.EventSafetyUnreadable || a[0].Priority != 1 {
		t.Fatalf("alarms are %+v: want safety.unreadable P1", a)
	}
	reg := placed(grid.Smoke, "S9", "sn:new", r.now())
	r.put(grid.Registration{Points: reg.Points})
	n, err := r.engine.Claim(t.Context(), reg.Devices[0], reg.Installations)
	if err != nil || n != 3 {
		t.Fatalf("claim took %d frames (%v): want 3", n, err)
	}
	r.settle()
	if a := r.alarms(state.Query{Type: string(grid.EventSmokeAlarm)}); len(a) != 1 || a[0].Ticket == "" {
		t.Errorf("alarms are %+v: want the smoke that is still active, with its ticket", a)
	}
	if a := r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)}); a[0].Active {
		t.Error("the detector can be read now and the fault is still active")
	}
	if got := r.ledger(); got[grid.Quarantined] != 0 || got[grid.Processed] != 2 || got[grid.Duplicate] != 1 {
		t.Errorf("ledger is %v: want both frames processed and the repeat a duplicate", got)
	}
}

func TestReplayRaisesNothingForThePast(t *testing.T) {
	r := newRig(t)
	r.units()
	r.say("sn:new", `{"manhole.open":true,"seq":1}`)
	r.after(time.Hour)
	r.say("sn:new", `{"manhole.open":false,"seq":2}`)
	reg := placed(grid.Manhole, "M9", "sn:new", r.now())
	r.put(grid.Registration{Points: reg.Points})
	must[int](t)(r.engine.Claim(t.Context(), reg.Devices[0], reg.Installations))
	r.after(time.Hour)
	if n := len(r.events(grid.EventManholeOpen)); n != 0 {
		t.Errorf("%d events: the cover was put back before the device was claimed", n)
	}
	if v := r.live("M9", grid.ManholeOpen); v.Value != 0 {
		t.Error("the newest value is not the last frame's")
	}
}

func TestSilentDeviceIsOfflineAfterTwoIntervalsAndTenPercent(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Door, "D2", "sn:door-2")
	r.say(doorDev, `{"door.open":false,"seq":1}`)
	r.after(time.Second)
	for range 13 {
		r.after(9 * time.Minute)
		r.say("sn:door-2", fmt.Sprintf(`{"door.open":false,"seq":%d}`, r.now().Unix()%100000))
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})); n != 0 {
		t.Fatalf("%d offline after 1 h 57: want none before 2 h 12", n)
	}
	r.after(9 * time.Minute)
	r.say("sn:door-2", `{"door.open":false,"seq":1000001}`)
	r.after(7 * time.Minute)
	a := r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})
	if len(a) != 1 || a[0].Point != "D1" {
		t.Fatalf("alarms are %+v: want D1 offline", a)
	}
	r.say(doorDev, `{"door.open":false,"seq":2}`)
	if a = r.alarms(state.Query{Type: string(grid.EventDeviceOffline)}); a[0].Active {
		t.Error("the device was heard and is still offline")
	}
}

func TestSilentWayInIsOneFaultNotManyOfflineDevices(t *testing.T) {
	r := newRig(t)
	r.units()
	for i := range 20 {
		id := grid.Identity(fmt.Sprintf("sn:s-%02d", i))
		r.place(grid.Smoke, fmt.Sprintf("S%02d", i), id)
		r.say(id, `{"smoke.alarm":false,"seq":1}`)
	}
	r.after(3 * time.Hour)
	if n := len(r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})); n != 0 {
		t.Errorf("%d devices are offline: their way in brought nothing from anyone", n)
	}
	a := r.alarms(state.Query{Type: string(grid.EventGatewaySilent)})
	if len(a) != 1 || a[0].Priority != 2 {
		t.Fatalf("alarms are %+v: want one gateway.silent P2", a)
	}
	if e := r.events(grid.EventGatewaySilent); e[0].Detail == "" {
		t.Error("the fault does not say how many smoke points are blind")
	}
	r.say("sn:s-00", `{"smoke.alarm":false,"seq":2}`)
	if a = r.alarms(state.Query{Type: string(grid.EventGatewaySilent)}); a[0].Active {
		t.Error("the way in speaks again and is still silent")
	}
	r.after(2 * time.Hour)
	for i := range 25 {
		r.say("sn:s-00", fmt.Sprintf(`{"smoke.alarm":false,"seq":%d}`, 3+i))
		r.after(5 * time.Minute)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})); n != 19 {
		t.Errorf("%d devices are offline: their way speaks, 19 of them do not", n)
	}
}

func TestOurOwnOutageMakesNobodyOffline(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Door, "D2", "sn:door-2")
	r.say(doorDev, `{"door.open":false,"seq":1}`)
	r.say("sn:door-2", `{"door.open":false,"seq":1}`)
	r.close()
	r.clock.Add(int64(10 * time.Hour))
	r.open()
	r.after(30 * time.Minute)
	if n := len(r.alarms(state.Query{})); n != 0 {
		t.Errorf("%d alarms: the silence was ours", n)
	}
}

func TestDoorHeldOpenTicketClosesByTheSensorAlone(t *testing.T) {
	r := newRig(t)
	r.units()
	r.put(grid.Registration{Devices: []grid.Device{{Identity: doorDev, Profile: "gridgate/json", Mode: grid.Simulated, Interval: 4 * time.Minute}}})
	reg := placed(grid.Door, "D1", doorDev, r.now())
	r.put(grid.Registration{Points: reg.Points, Installations: reg.Installations})
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	r.after(4 * time.Minute)
	r.say(doorDev, `{"door.open":true,"seq":2}`)
	r.after(6*time.Minute + time.Second)
	tk := r.theTicket()
	if tk.Type != grid.EventDoorHeldOpen {
		t.Fatalf("ticket is of %s", tk.Type)
	}
	lead := byUnit(tk.Assignments[0].Unit)
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		must[grid.Ticket](t)(r.move(grid.Move{Ticket: tk.ID, Verb: v, By: lead, Reason: "shut"}))
	}
	for i := range 4 {
		r.say(doorDev, fmt.Sprintf(`{"door.open":false,"seq":%d}`, 3+i))
		r.after(3 * time.Minute)
	}
	if s := r.theTicket().State; s != grid.TicketClosed {
		t.Errorf("ticket is %s: want closed, the door is shut for ten minutes", s)
	}
}

func TestCounterThatFallsBackStartsANewSession(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":false,"seq":5000}`)
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	if v := r.live("D1", grid.DoorOpen); v.Value != 1 {
		t.Error("a device that began to count anew was taken for old")
	}
}

func TestUnknownChannelQuarantinesOnlyItsPart(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	_, err := r.engine.do(t.Context(), &command{name: "test", do: func(b *batch) (any, error) {
		d := &decoded{frame: frame(doorDev, `{}`), profileID: "gridgate/json"}
		d.profile, _ = b.e.profiles.Get("gridgate/json")
		d.frame.Received = r.now()
		d.out.Readings = []grid.Reading{{Signal: grid.DoorOpen, Value: 1}, {Signal: grid.DoorOpen, Channel: "2", Value: 1}}
		no, _ := b.e.memory.Device(doorDev)
		b.apply(no, d, fresh, nil)
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.settle()
	if q := r.quarantine(); len(q) != 1 || q[0].Channel != "2" || q[0].Whole {
		t.Errorf("quarantine is %+v: want the part of channel 2", q)
	}
	if r.live("D1", grid.DoorOpen).Value != 1 {
		t.Error("the rest of the frame was not used")
	}
}

func TestMoveWithTheSameKeyIsDoneOnce(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	m := grid.Move{Key: "k1", Ticket: r.theTicket().ID, Verb: grid.VerbNote, Reason: "on our way", By: byUnit("u-micro_fire_station")}
	a := must[grid.Ticket](t)(r.move(m))
	r.restart()
	b := must[grid.Ticket](t)(r.move(m))
	if a.Moves != b.Moves || a.Revision != b.Revision {
		t.Errorf("history has %d lines, then %d: a repeated move is done once", a.Moves, b.Moves)
	}
}

func TestLateAnswerOnAClosedTicketIsRefused(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	id := r.theTicket().ID
	r.forceClose(id)
	_, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbAccept, By: byUnit("u-micro_fire_station")})
	if grid.CodeOf(err) != grid.Conflict {
		t.Errorf("answer on a closed ticket gave %v: want a conflict", err)
	}
	if s := r.theTicket().State; s != grid.TicketForcedClose {
		t.Errorf("ticket is %s", s)
	}
}

func TestLanesGiveTheSameResultInEitherOrder(t *testing.T) {
	// A device is moved to a smoke point: its older frames still wait in the bulk lane
	// when newer ones come by the safety lane.
	for _, order := range [][]grid.Lane{{grid.Bulk, grid.Safety}, {grid.Safety, grid.Bulk}} {
		r := newRig(t)
		r.place(grid.Door, "D1", doorDev)
		at := r.now()
		r.clock.Add(int64(10 * time.Second))
		for _, lane := range order {
			f := frame(doorDev, `{"door.open":true}`)
			f.Received = at
			if lane == grid.Safety {
				f = frame(doorDev, `{"door.open":false}`)
				f.Received = at.Add(5 * time.Second)
			}
			if err := r.journal.Append(t.Context(), lane, []grid.Frame{f}); err != nil {
				t.Fatal(err)
			}
			r.settle()
		}
		if v := r.live("D1", grid.DoorOpen); v.Value != 0 || !v.Received.Equal(at.Add(5*time.Second)) {
			t.Errorf("lanes in order %v: door is %v since %s: want closed by the newer frame", order, v.Value, v.Received)
		}
		r.after(20 * time.Minute)
		if n := len(r.events(grid.EventDoorHeldOpen)); n != 0 {
			t.Errorf("lanes in order %v: the closed door is held open", order)
		}
	}
}

func TestRestartKeepsDuplicatesValuesAndPhases(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Parking, "P1", bayDev)
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	r.after(5 * time.Minute)
	r.say(bayDev, `{"parking.occupied":true,"seq":1}`)
	r.restart()
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	if got := r.ledger(); got[grid.Duplicate] != 1 {
		t.Errorf("ledger is %v: the repeat after the restart is a duplicate", got)
	}
	r.after(5*time.Minute + time.Second)
	if e := r.events(grid.EventDoorHeldOpen); len(e) != 1 {
		t.Errorf("%d events: want the door held open ten minutes after it opened, over the restart", len(e))
	}
	r.after(5 * time.Minute)
	if e := r.events(grid.EventParkingOverstay); len(e) != 1 {
		t.Errorf("%d events: want the overstay", len(e))
	}
}

func TestDeviceThatIsMovedEndsItsOldInstallation(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	r.clock.Add(int64(time.Hour))
	r.place(grid.Door, "D1", doorDev) // imported again: nothing new
	list := func() []grid.Installation {
		return must[state.Page[grid.Installation]](t)(r.store.ListInstallations(t.Context(), state.Query{Device: string(doorDev)})).Items
	}
	if all := list(); len(all) != 1 {
		t.Fatalf("installations are %+v: the second import says nothing new", all)
	}
	d := must[grid.Device](t)(r.store.Device(t.Context(), doorDev))
	if d.State != grid.Installed || !d.Installed.Equal(rigStart) {
		t.Fatalf("device is %s since %s: the second import took it out of service", d.State, d.Installed)
	}
	r.place(grid.Door, "D2", doorDev)
	open := 0
	for _, in := range list() {
		if in.To.IsZero() {
			open++
			if in.Point != "D2" {
				t.Errorf("device is still at %s", in.Point)
			}
		}
	}
	if open != 1 || len(list()) != 2 {
		t.Errorf("installations are %+v: want the one at D1 ended and one at D2", list())
	}
	r.restart()
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	if r.live("D2", grid.DoorOpen).Value != 1 {
		t.Error("after a restart the reading is not at D2")
	}
}

func TestPointsDecideTheLaneOfAProfileForManyKinds(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Smoke, "S1", smokeDev)
	if l := r.engine.LaneOf(doorDev, nil); l != grid.Bulk {
		t.Errorf("a door's frames go by the %s lane: want bulk", l)
	}
	if l := r.engine.LaneOf(smokeDev, nil); l != grid.Safety {
		t.Errorf("a smoke detector's frames go by the %s lane: want safety", l)
	}
	r.say(doorDev, `{"door.open":`)
	if n := len(r.alarms(state.Query{})); n != 0 {
		t.Errorf("%d alarms: a door that cannot be read is no safety matter", n)
	}
}

func TestEpisodesThatAreLongOverLeaveMemoryAndStayInTheStore(t *testing.T) {
	r := newRig(t)
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":true,"seq":1}`)
	r.after(11 * time.Minute)
	r.say(doorDev, `{"door.open":false,"seq":2}`)
	r.after(time.Minute)
	held := func() int {
		n, err := as[int](r.engine.do(t.Context(), &command{name: "test", do: func(b *batch) (any, error) {
			n := 0
			for _, a := range b.e.alarms {
				if a.Type == grid.EventDoorHeldOpen {
					n++
				}
			}
			return n, nil
		}}))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tk := r.theTicket()
	r.forceClose(tk.ID)
	for range 50 {
		r.after(time.Hour)
	}
	if n := held(); n != 0 {
		t.Errorf("%d episodes are in memory: they were over two days ago", n)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventDoorHeldOpen)})); n != 1 {
		t.Errorf("the store has %d episodes: want the one", n)
	}
}

func TestClaimedDeviceIsSupervisedFromItsInstallation(t *testing.T) {
	r := newRig(t)
	r.units()
	reg := placed(grid.Smoke, "S9", "sn:new", r.now())
	r.put(grid.Registration{Points: reg.Points})
	// As the API claims it: installed, and nobody said since when.
	must[int](t)(r.engine.Claim(t.Context(), grid.Device{Identity: "sn:new", Profile: "gridgate/json", State: grid.Installed, Interval: time.Hour}, reg.Installations))
	d := must[grid.Device](t)(r.store.Device(t.Context(), "sn:new"))
	if !d.Installed.Equal(rigStart) || d.Mode != grid.Live {
		t.Errorf("device is installed since %s and %q: want %s and live", d.Installed, d.Mode, rigStart)
	}
	r.after(2*time.Hour + 13*time.Minute)
	if e := r.events(grid.EventDeviceOffline); len(e) != 1 || !strings.Contains(e[0].Detail, "never heard") {
		t.Errorf("events are %+v: want the detector offline, never heard since it was installed", e)
	}
}

func TestAWayThatFallsSilentBetweenItsDevicesReportsIsOneFault(t *testing.T) {
	r := newRig(t)
	r.units()
	const n = 12
	said := make([]int, n)
	speak := func(i int) {
		said[i]++
		r.say(grid.Identity(fmt.Sprintf("sn:s-%02d", i)), fmt.Sprintf(`{"smoke.alarm":false,"seq":%d}`, said[i]))
	}
	for i := range n {
		r.place(grid.Smoke, fmt.Sprintf("S%02d", i), grid.Identity(fmt.Sprintf("sn:s-%02d", i)))
	}
	every := r.engine.intervalOf(0, nil)
	for range 3 { // each in its turn, all over the interval
		for i := range n {
			speak(i)
			r.after(every / n)
		}
	}
	r.after(5 * every)
	if n := len(r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})); n != 0 {
		t.Errorf("%d devices are offline one by one: the way between them and us is silent", n)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventGatewaySilent)})); n != 1 {
		t.Errorf("%d faults of the way: want 1", n)
	}
	for range 6 { // the way speaks, and one device does not
		for i := range n - 1 {
			speak(i)
			r.after(every / n)
		}
		r.after(every / n)
	}
	a := r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})
	if want := fmt.Sprintf("S%02d", n-1); len(a) != 1 || a[0].Point != want {
		t.Errorf("offline are %+v: want %s alone, the way stands", a, want)
	}
	if a := r.alarms(state.Query{Type: string(grid.EventGatewaySilent)}); len(a) != 1 || a[0].Active {
		t.Errorf("faults of the way are %+v: want the one, over", a)
	}
}

func TestAFewOfManyDevicesThatAreLostAtOnceAreOfflineEach(t *testing.T) {
	r := newRig(t)
	r.units()
	const n = 12
	for i := range n {
		r.place(grid.Smoke, fmt.Sprintf("S%02d", i), grid.Identity(fmt.Sprintf("sn:s-%02d", i)))
	}
	every := r.engine.intervalOf(0, nil)
	for round := range 6 {
		for i := range n {
			if round < 2 || i >= 3 {
				r.say(grid.Identity(fmt.Sprintf("sn:s-%02d", i)), fmt.Sprintf(`{"smoke.alarm":false,"seq":%d}`, round+1))
			}
			r.after(every / n)
		}
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventDeviceOffline)})); n != 3 {
		t.Errorf("%d devices are offline: want the three that are lost", n)
	}
	if n := len(r.alarms(state.Query{Type: string(grid.EventGatewaySilent)})); n != 0 {
		t.Errorf("%d faults of the way: it brings word of nine others", n)
	}
}
