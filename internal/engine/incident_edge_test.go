package engine

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Incidents where their tickets are merged, split, forced or reopened, and where what
// they stand on changes.

func (r *rig) openTickets() (open []grid.Ticket) {
	r.t.Helper()
	for _, tk := range r.tickets() {
		if !tk.State.Ended() {
			open = append(open, tk)
		}
	}
	return open
}

func (r *rig) ticketOf(point string, typ grid.EventType) grid.Ticket {
	r.t.Helper()
	var id string
	for _, a := range r.alarms(state.Query{Point: point}) {
		if a.Type == typ {
			id = a.Ticket
		}
	}
	if id == "" {
		r.t.Fatalf("%s has no ticket of %s", point, typ)
	}
	return r.ticket(id)
}

func (r *rig) merge(from, into string) {
	r.t.Helper()
	if _, err := r.move(grid.Move{Ticket: from, Verb: grid.VerbMerge, By: deskOp, Into: into, Reason: "one cause"}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) lane(point string, n int, occupied bool) {
	r.t.Helper()
	r.say(grid.Identity("sn:"+point), fmt.Sprintf(`{"parking.occupied":%v,"seq":%d}`, occupied, n))
}

func (r *rig) placeLane(point string) {
	r.t.Helper()
	reg := placed(grid.Parking, point, grid.Identity("sn:"+point), r.now())
	reg.Points[0].Rules = "fire_lane"
	r.put(reg)
}

func TestAMergedTicketThatIsReopenedWaitsForAllItsEpisodes(t *testing.T) {
	r := newRig(t)
	r.units()
	for _, p := range []string{"L1", "L2"} {
		r.placeLane(p)
		r.lane(p, 1, true)
	}
	r.after(4 * time.Minute)
	first, second := r.ticketOf("L1", grid.EventFireLaneBlocked).ID, r.ticketOf("L2", grid.EventFireLaneBlocked).ID
	r.merge(second, first)
	r.lane("L1", 2, false)
	r.lane("L2", 2, false)
	r.finish(first, "u-urban_management")
	r.after(10 * time.Minute)
	r.lane("L1", 3, false)
	r.lane("L2", 3, false)
	if tk := r.ticket(first); tk.State != grid.TicketClosed {
		t.Fatalf("ticket is %s, want closed", tk.State)
	}
	r.restart()
	r.lane("L2", 4, true) // within its re-alarm window
	r.after(4 * time.Minute)
	if tk := r.ticket(first); tk.State != grid.TicketDispatched || tk.Rework != 1 {
		t.Fatalf("ticket is %s with %d reworks, want it open again", tk.State, tk.Rework)
	}
	r.finish(first, "u-urban_management")
	r.after(11 * time.Minute)
	r.lane("L1", 4, false)
	r.after(time.Minute)
	if tk := r.ticket(first); tk.State == grid.TicketClosed {
		t.Error("it is closed while the lane of the merged ticket is blocked")
	}
}

// olderFire is a building with three detectors of which s0 had a fire that is closed, and
// s1 has a new one. s0 may still go on with its old episode.
func olderFire(t *testing.T) *rig {
	r := newRig(t)
	r.units()
	r.detectors(3, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.after(2 * time.Minute)
	r.smoke("sn:s0", 2, false)
	r.finish(r.theTicket().ID, "u-micro_fire_station")
	r.after(30 * time.Minute)
	r.smoke("sn:s0", 3, false)
	if tk := r.theTicket(); tk.State != grid.TicketClosed {
		t.Fatalf("the first ticket is %s, want closed", tk.State)
	}
	r.smoke("sn:s1", 1, true)
	return r
}

func TestADetectorThatComesBackJoinsTheFireThatBurnsNow(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			r := olderFire(t)
			r.smoke("sn:s0", 4, true)
			in := r.incidents("open")
			if len(in) != 1 || in[0].Members != 2 || in[0].Active != 2 {
				t.Fatalf("open incidents are %+v: want one of two members, both active", in)
			}
			if restart {
				r.restart()
			}
			r.smoke("sn:s2", 1, true)
			if open := r.openTickets(); len(open) != 1 || len(open[0].Members) != 2 {
				t.Errorf("open tickets are %+v: want one for the building, with both others as members", open)
			}
			for _, id := range []grid.Identity{"sn:s0", "sn:s1", "sn:s2"} {
				r.smoke(id, 9, false)
			}
			r.after(2 * time.Minute)
			r.forceClose(r.openTickets()[0].ID)
			if in := r.incidents("open"); len(in) != 0 {
				t.Errorf("open incidents are %+v after the end: want none", in)
			}
		})
	}
}

func TestADetectorThatComesBackIsAWitnessToo(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.after(2 * time.Minute)
	r.smoke("sn:s0", 2, false)
	r.after(2 * time.Minute)
	r.smoke("sn:s1", 1, true)
	if tk := r.theTicket(); tk.Verification != grid.Unverified {
		t.Fatalf("ticket is %s", tk.Verification)
	}
	r.after(30 * time.Second)
	r.smoke("sn:s0", 3, true)
	if tk := r.theTicket(); tk.Verification != grid.VerifiedTrue {
		t.Errorf("ticket is %s: two detectors of the building said smoke within half a minute", tk.Verification)
	}
}

func TestTheSecondTicketOfAFireIsConfirmedToo(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(4, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.smoke("sn:s1", 1, true)
	r.forceClose(r.theTicket().ID)
	r.after(5 * time.Minute)
	r.smoke("sn:s2", 1, true)
	r.after(20 * time.Second)
	r.smoke("sn:s3", 1, true)
	if tk := r.ticketOf("s3", grid.EventSmokeAlarm); tk.Verification != grid.VerifiedTrue || !called(tk, "u-fire") {
		t.Errorf("the second ticket is %s and calls %+v: want it verified by its two detectors", tk.Verification, tk.Assignments)
	}
}

func TestASplitEpisodeStaysApartWhenItComesBack(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.smoke("sn:s1", 1, true)
	first := r.theTicket()
	if _, err := r.move(grid.Move{Ticket: first.ID, Verb: grid.VerbSplit, By: deskOp, Alarm: first.Members[0].Alarm, Reason: "the other stairwell"}); err != nil {
		t.Fatal(err)
	}
	second := r.ticketOf("s1", grid.EventSmokeAlarm).ID
	r.smoke("sn:s1", 2, false)
	r.after(2 * time.Minute)
	r.smoke("sn:s1", 3, true)
	if now := r.ticketOf("s1", grid.EventSmokeAlarm).ID; now != second {
		t.Errorf("the episode that a person split off is back in ticket %s: want %s", now, second)
	}
	if tk := r.ticket(first.ID); len(tk.Members) != 0 {
		t.Errorf("members of the first are %+v again", tk.Members)
	}
}

// threeFires lets a detector of each of three buildings alarm, and gives their tickets.
func threeFires(t *testing.T) (r *rig, ids [3]string) {
	r = newRig(t)
	r.units()
	for i, b := range []string{"a", "b", "c"} {
		r.detectors(2, b, 0, 0)
		r.smoke(grid.Identity("sn:"+b+"0"), 1, true)
		ids[i] = r.ticketOf(b+"0", grid.EventSmokeAlarm).ID
	}
	return r, ids
}

func TestAMergedTicketThatIsMergedAgainTakesItsIncidentsAlong(t *testing.T) {
	r, ids := threeFires(t)
	r.merge(ids[0], ids[1])
	r.merge(ids[1], ids[2])
	for _, in := range r.incidents("open") {
		if in.Ticket != ids[2] {
			t.Errorf("the incident of %s has ticket %s: want that of the merge", in.Place, in.Ticket)
		}
	}
	r.smoke("sn:a1", 1, true)
	if open := r.openTickets(); len(open) != 1 || len(open[0].Members) != 3 {
		t.Errorf("open tickets are %+v: want the one, with three members", open)
	}
}

func TestABuildingThatIsSplitOffAMergeHasItsIncidentBack(t *testing.T) {
	r, ids := threeFires(t)
	r.merge(ids[1], ids[0])
	ep := r.alarms(state.Query{Point: "b0"})[0]
	if _, err := r.move(grid.Move{Ticket: ids[0], Verb: grid.VerbSplit, By: deskOp, Alarm: ep.ID, Reason: "another fire after all"}); err != nil {
		t.Fatal(err)
	}
	own := r.ticketOf("b0", grid.EventSmokeAlarm).ID
	r.restart()
	r.smoke("sn:b1", 1, true)
	if got := r.ticketOf("b1", grid.EventSmokeAlarm).ID; got != own {
		t.Errorf("the building's second detector is in ticket %s: want that of its own fire, %s", got, own)
	}
	for _, id := range []grid.Identity{"sn:b0", "sn:b1"} {
		r.smoke(id, 5, false)
	}
	r.after(2 * time.Minute)
	r.forceClose(own)
	for _, in := range r.incidents("open") {
		if in.Place == "b" {
			t.Errorf("the incident of b is open after its end: %+v", in)
		}
	}
}

func TestADeviceThatReplacesASilentOneEndsItsFault(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.place(grid.Door, "D1", doorDev)
	say := func(n int) {
		r.say(doorDev, fmt.Sprintf(`{"door.open":false,"seq":%d}`, n))
		r.smoke("sn:s1", n, false)
	}
	r.smoke("sn:s0", 1, false)
	for i := range 4 { // s0 falls silent
		say(i + 1)
		r.after(time.Hour)
	}
	lost, silent := r.ticketOf("s0", grid.EventDeviceOffline), r.ofType(grid.EventProtectionLost)
	if len(silent) != 1 || !silent[0].Active {
		t.Fatalf("protection.lost is %+v: want it active", silent)
	}
	r.finish(lost.ID, "u-maintenance")
	reg := placed(grid.Smoke, "s0", "sn:new", r.now())
	r.put(grid.Registration{Devices: reg.Devices, Installations: reg.Installations})
	say(9)
	r.smoke("sn:new", 1, false)
	if a := r.alarms(state.Query{Point: "s0"})[0]; a.Active {
		t.Errorf("%s is active at the point of the new device", a.Type)
	}
	if a := r.ofType(grid.EventProtectionLost)[0]; a.Active {
		t.Error("protection is still lost")
	}
	if tk := r.ticket(lost.ID); tk.State != grid.TicketClosed {
		t.Errorf("ticket of the silent device is %s: want it closed by the new one", tk.State)
	}
}

func TestSimulatedSmokeIsNoSecondDetectorOfALiveFire(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "s", 0, 0) // the rig's points are simulated
	reg := placed(grid.Smoke, "live", "sn:live", r.now())
	reg.Points[0].Building, reg.Points[0].Mode, reg.Devices[0].Mode = "s", grid.Live, grid.Live
	r.put(reg)
	r.smoke("sn:live", 1, true)
	r.smoke("sn:s0", 1, true)
	tk := r.ticketOf("live", grid.EventSmokeAlarm)
	if c := r.engine.context(&tk); c.Second {
		t.Error("a simulated detector is a witness of a live fire")
	}
}

func TestASecondDetectorIsOneOfTheBuildingInWhichItBurns(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	moved := placed(grid.Smoke, "s0", "sn:s0", r.now()).Points
	moved[0].Building = "elsewhere" // an import in the middle of the fire
	r.put(grid.Registration{Points: moved})
	r.after(2 * time.Minute)
	r.smoke("sn:s1", 1, true)
	tk := r.ticketOf("s0", grid.EventSmokeAlarm)
	if c := r.engine.context(&tk); !c.Second {
		t.Error("two detectors of the building are in alarm and there is no second one")
	}
}

// destroyed is a detector that fell silent in its alarm; a person on site ended the work.
func destroyed(t *testing.T) (*rig, grid.Ticket) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.after(5 * time.Minute)
	id := r.theTicket().ID
	r.finish(id, "u-micro_fire_station")
	r.after(3 * time.Hour) // the check has run out: a person is asked
	if tk := r.ticket(id); tk.State != grid.TicketChecking {
		t.Fatalf("ticket is %s, want it to wait for a word", tk.State)
	}
	if _, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbConfirm, By: byUnit("u-micro_fire_station"), OnSite: true, Evidence: "photo of the burnt detector", Reason: "out, the detector is melted"}); err != nil {
		t.Fatal(err)
	}
	return r, r.ticket(id)
}

func TestAWordThatEndsTheWorkEndsTheAlarmOfADestroyedSensor(t *testing.T) {
	r, tk := destroyed(t)
	if tk.State != grid.TicketClosed {
		t.Fatalf("ticket is %s, want closed by the word from site", tk.State)
	}
	if a := r.ofType(grid.EventSmokeAlarm)[0]; a.Active {
		t.Error("the alarm is still active")
	}
	if in := r.incidents("open"); len(in) != 0 {
		t.Errorf("open incidents are %+v", in)
	}
	r.restart()
	r.after(time.Hour)
	if n := len(r.openSmoke()); n != 0 {
		t.Fatalf("%d open tickets of smoke: what was said before the word raises nothing", n)
	}
	r.after(72 * time.Hour) // it leaves memory
	r.restart()
	if n := len(r.openSmoke()); n != 0 {
		t.Fatalf("%d open tickets of smoke, days later", n)
	}
	// A new detector at the point: its very first word is a fire.
	reg := placed(grid.Smoke, "s0", "sn:new", r.now())
	r.put(grid.Registration{Devices: reg.Devices, Installations: reg.Installations})
	r.smoke("sn:new", 1, true)
	if n := len(r.openSmoke()); n != 1 {
		t.Errorf("%d open tickets for a fire after the old one, want one", n)
	}
}

func (r *rig) openSmoke() (out []grid.Ticket) {
	for _, tk := range r.openTickets() {
		if tk.Type == grid.EventSmokeAlarm {
			out = append(out, tk)
		}
	}
	return out
}

func TestABuildingThatAMergeBroughtAlongConfirmsNothing(t *testing.T) {
	r, ids := threeFires(t)
	r.after(2 * time.Minute)
	r.merge(ids[1], ids[0])
	r.smoke("sn:b0", 2, false)
	r.smoke("sn:b0", 3, true)
	r.smoke("sn:a1", 1, true) // a0 said so two minutes ago, and b is another building
	if tk := r.ticket(ids[0]); tk.Verification != grid.Unverified {
		t.Errorf("ticket is %s: by the detector of another building", tk.Verification)
	}
}

func TestALaneInTheCellOfAMemberIsNamedToTheUnits(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "s", 0, 0)
	r.placeLane("L1")
	other := placed(grid.Smoke, "s9", "sn:s9", r.now()) // the building reaches into another cell
	other.Points[0].Building, other.Points[0].Cell = "s", "310105006001002"
	r.put(other)
	lane := placed(grid.Parking, "L2", "sn:L2", r.now())
	lane.Points[0].Rules, lane.Points[0].Cell = "fire_lane", "310105006001002"
	r.put(lane)
	r.lane("L2", 1, true)
	r.after(4 * time.Minute)
	r.smoke("sn:s0", 1, true)
	r.smoke("sn:s9", 1, true)
	tk := r.ticketOf("s0", grid.EventSmokeAlarm)
	if len(tk.Related) != 1 || tk.Related[0].Point != "L2" {
		t.Errorf("what stands in the way is %+v: want L2", tk.Related)
	}
	if p := r.alarms(state.Query{Point: "L2"})[0].Priority; p != 1 {
		t.Errorf("the lane is %s, want P1", p)
	}
}

func TestASuspicionOutlivesAMerge(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	for n := 1; n <= 3; n++ {
		for i := range 2 {
			r.smoke(grid.Identity(fmt.Sprint("sn:s", i)), 10*n, true)
			r.smoke(grid.Identity(fmt.Sprint("sn:s", i)), 10*n+1, false)
			r.after(2 * time.Minute)
			if _, err := r.move(grid.Move{Ticket: r.ticketOf(fmt.Sprint("s", i), grid.EventSmokeAlarm).ID, Verb: grid.VerbCancel, By: byUnit("u-micro_fire_station"), OnSite: true, Reason: "steam"}); err != nil {
				t.Fatal(err)
			}
		}
		r.after(time.Hour)
	}
	got := r.ofType(grid.EventSmokeSuspect)
	if len(got) != 2 {
		t.Fatalf("smoke.suspect is %+v: want two", got)
	}
	r.merge(got[0].Ticket, got[1].Ticket)
	if is := r.ofType(grid.EventSmokeSuspect); !is[0].Active || !is[1].Active {
		t.Error("a merge ended the suspicion: no technician was there")
	}
	r.finish(got[1].Ticket, "u-maintenance")
	if is := r.ofType(grid.EventSmokeSuspect); is[0].Active || is[1].Active {
		t.Error("the technician is done and they are still suspect")
	}
}

func TestAFalseAlarmIsBelievedWhenASecondDetectorHasItsOwnTicket(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.smoke("sn:s1", 1, true)
	first := r.theTicket()
	if _, err := r.move(grid.Move{Ticket: first.ID, Verb: grid.VerbSplit, By: deskOp, Alarm: first.Members[0].Alarm, Reason: "another flat"}); err != nil {
		t.Fatal(err)
	}
	r.smoke("sn:s0", 2, false)
	r.smoke("sn:s1", 2, false)
	r.after(61 * time.Second)
	own := r.ticketOf("s1", grid.EventSmokeAlarm).ID
	if _, err := r.move(grid.Move{Ticket: own, Verb: grid.VerbVerify, Finding: grid.VerifiedFalse, By: deskOp, Reason: "steam"}); err != nil {
		t.Fatal(err)
	}
	r.smoke("sn:s1", 3, true)
	r.after(61 * time.Second) // due, and held: one detector is in alarm, and somebody said false
	if called(r.ticket(own), "u-fire") {
		t.Fatal("the fire unit was called in spite of the word against one detector")
	}
	r.smoke("sn:s0", 3, true)
	r.after(time.Second)
	if !called(r.ticket(own), "u-fire") {
		t.Error("two detectors of the building are in alarm, and the fire unit is not called")
	}
}

func TestAFireIsNewsAfterItsTicketWasClosedBeforeTheOffDelay(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.after(5 * time.Minute)
	r.smoke("sn:s0", 2, false)
	r.close() // the time in which we cannot hear stretches the off-delay, with an interval of grace
	r.clock.Add(int64(10 * time.Minute))
	r.open()
	id := r.theTicket().ID
	r.finish(id, "u-micro_fire_station")
	r.after(31 * time.Minute)
	r.smoke("sn:s0", 3, false)
	if tk := r.ticket(id); tk.State != grid.TicketClosed {
		t.Fatalf("ticket is %s, want closed", tk.State)
	}
	r.smoke("sn:s0", 4, true)
	if open := r.openTickets(); len(open) != 1 {
		t.Errorf("%d open tickets for a fire right after the last was closed, want one", len(open))
	}
}
