package engine

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// detectors registers n smoke detectors of one building, S0, S1, … of identities sn:S0, …
func (r *rig) detectors(n int, building string, lon, lat float64) {
	r.t.Helper()
	for i := range n {
		name := fmt.Sprint(building, i)
		reg := placed(grid.Smoke, name, grid.Identity("sn:"+name), r.now())
		reg.Points[0].Building, reg.Points[0].Lon, reg.Points[0].Lat = building, lon, lat
		r.put(reg)
	}
}

func (r *rig) smoke(id grid.Identity, seq int, is bool) {
	r.t.Helper()
	r.say(id, fmt.Sprintf(`{"smoke.alarm":%v,"seq":%d}`, is, seq))
}

func (r *rig) incidents(which string) []grid.Incident {
	r.t.Helper()
	return must[state.Page[grid.Incident]](r.t)(r.store.ListIncidents(r.t.Context(), state.Query{State: which})).Items
}

func called(tk grid.Ticket, unit string) bool {
	for _, a := range tk.Assignments {
		if a.Unit == unit {
			return true
		}
	}
	return false
}

func TestTwoDetectorsOfABuildingWithinAMinuteConfirmTheFire(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	if tk := r.theTicket(); called(tk, "u-fire") || tk.Verification != grid.Unverified {
		t.Fatalf("after one detector the ticket is %s and calls %+v", tk.Verification, tk.Assignments)
	}
	r.after(55 * time.Second)
	r.smoke("sn:s1", 1, true)
	tk := r.theTicket()
	if tk.Verification != grid.VerifiedTrue || !called(tk, "u-fire") || len(tk.Members) != 1 || tk.Members[0].Point != "s1" {
		t.Errorf("ticket is %s with members %+v and calls %+v: want it verified, s1 a member, the fire unit called", tk.Verification, tk.Members, tk.Assignments)
	}
	if ev := r.events(grid.EventSmokeConfirmed); len(ev) != 1 || ev[0].Priority != 1 || ev[0].Ticket != tk.ID {
		t.Errorf("smoke.confirmed is %+v: want it once, P1, of the ticket", ev)
	}
	in := r.incidents("open")
	if len(in) != 1 || in[0].Members != 2 || in[0].Active != 2 || in[0].Confirmed.IsZero() || in[0].Ticket != tk.ID {
		t.Errorf("incidents are %+v: want one, of two members, confirmed", in)
	}
	for _, a := range r.alarms(state.Query{Incident: in[0].ID}) {
		if a.Ticket != tk.ID {
			t.Errorf("episode at %s has the ticket %q, want that of the incident", a.Point, a.Ticket)
		}
	}
}

func TestDetectorsFurtherApartInTimeAreOneIncidentAndNoProof(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.after(61 * time.Second)
	r.smoke("sn:s1", 1, true)
	if tk := r.theTicket(); tk.Verification != grid.Unverified || len(tk.Members) != 1 {
		t.Errorf("ticket is %s with members %+v: want it unverified, s1 a member", tk.Verification, tk.Members)
	}
	if ev := r.events(grid.EventSmokeConfirmed); len(ev) != 0 {
		t.Errorf("smoke.confirmed is %+v, want none", ev)
	}
}

func TestOneDetectorThatRepeatsIsNotASecondOne(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	for i := range 5 {
		r.smoke("sn:s0", i+1, i%2 == 0)
		r.after(10 * time.Second)
	}
	if tk := r.theTicket(); tk.Verification != grid.Unverified {
		t.Errorf("ticket is %s by one detector", tk.Verification)
	}
}

func TestNeighboursAreShownTogetherAndConfirmNothing(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "a", 121.40, 31.22)
	r.detectors(1, "b", 121.401, 31.22) // 95 m on
	r.detectors(1, "c", 121.402, 31.22) // 95 m more
	for _, id := range []grid.Identity{"sn:a0", "sn:b0", "sn:c0"} {
		r.smoke(id, 1, true)
	}
	if n := len(r.tickets()); n != 3 {
		t.Fatalf("%d tickets for three buildings", n)
	}
	related := map[string]int{}
	for _, in := range r.incidents("open") {
		related[in.Place] = len(in.Related)
		if !in.Confirmed.IsZero() {
			t.Errorf("incident of %s is confirmed by its neighbours", in.Place)
		}
	}
	if related["a"] != 1 || related["b"] != 2 || related["c"] != 1 {
		t.Errorf("related are %v: want a and c each with b alone", related)
	}
}

func TestAFireIsClosedOnlyWhenEachOfItsDetectorsIsNormal(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.smoke("sn:s1", 1, true)
	r.after(time.Minute)
	r.smoke("sn:s0", 2, false)
	id, station := r.theTicket().ID, byUnit("u-micro_fire_station")
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: id, Verb: v, By: station, OnSite: true, Evidence: "photo", Reason: "pan on the stove"}); err != nil {
			t.Fatal(err)
		}
	}
	r.after(4 * time.Minute)
	r.smoke("sn:s0", 3, false)
	r.after(2 * time.Minute) // past the time in which the sensors may still be abnormal
	r.smoke("sn:s1", 2, true)
	if tk := r.theTicket(); tk.Rework != 1 {
		t.Fatalf("ticket is %s with %d reworks: the other detector still says smoke", tk.State, tk.Rework)
	}
	r.smoke("sn:s1", 3, false)
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: id, Verb: v, By: station, OnSite: true, Evidence: "photo", Reason: "aired"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 { // half an hour normal, heard every five minutes
		r.after(5 * time.Minute)
		r.smoke("sn:s0", 10+i, false)
		r.smoke("sn:s1", 10+i, false)
	}
	if tk := r.theTicket(); tk.State != grid.TicketClosed {
		t.Errorf("ticket is %s, want closed", tk.State)
	}
	if in := r.incidents("ended"); len(in) != 1 || in[0].Active != 0 {
		t.Errorf("ended incidents are %+v, want the one", in)
	}
	r.after(2 * time.Hour)
	r.smoke("sn:s1", 90, true)
	if n := len(r.tickets()); n != 2 {
		t.Errorf("%d tickets after a new fire, want 2", n)
	}
}

func TestADetectorJoinsAfterARestart(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(3, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.smoke("sn:s1", 1, true)
	r.restart()
	r.smoke("sn:s2", 1, true)
	tk := r.theTicket()
	if len(tk.Members) != 2 {
		t.Errorf("members are %+v, want two", tk.Members)
	}
	if n := len(r.engine.episodesOf(r.engine.tickets[tk.ID])); n != 3 {
		t.Errorf("the ticket is about %d episodes, want 3", n)
	}
}

func TestABuildingFullOfDetectorsIsFewMessages(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(30, "s", 0, 0)
	for i := range 30 {
		r.smoke(grid.Identity(fmt.Sprint("sn:s", i)), 1, true)
	}
	r.after(11 * time.Second)
	perUnit := map[string]int{}
	page := must[state.Page[grid.Delivery]](t)(r.store.ListDeliveries(t.Context(), state.Query{Limit: 1000}))
	for _, d := range page.Items {
		perUnit[d.Unit]++
	}
	for unit, n := range perUnit {
		if n > 5 { // opened, the second detector, its confirmation, the escalation, the rest together
			t.Errorf("unit %s has %d messages of one fire", unit, n)
		}
	}
	if tk := r.theTicket(); len(tk.Members) != 29 {
		t.Errorf("%d members, want 29", len(tk.Members))
	}
}

func TestABlockedFireLaneIsP1WhileThereIsSmokeInItsCell(t *testing.T) {
	for _, first := range []string{"lane", "smoke"} {
		t.Run(first+" first", func(t *testing.T) {
			r := newRig(t)
			r.units()
			r.detectors(1, "s", 0, 0)
			reg := placed(grid.Parking, "L1", "sn:L1", r.now())
			reg.Points[0].Rules = "fire_lane"
			r.put(reg)
			block := func() {
				r.say("sn:L1", `{"parking.occupied":true,"seq":1}`)
				r.after(4 * time.Minute)
			}
			if first == "lane" {
				block()
				if p := r.alarms(state.Query{Point: "L1"})[0].Priority; p != 2 {
					t.Fatalf("a blocked lane without smoke is %s", p)
				}
				r.restart()
			}
			r.smoke("sn:s0", 1, true)
			if first == "smoke" {
				r.restart()
				block()
			}
			lane := r.alarms(state.Query{Point: "L1"})[0]
			if lane.Priority != 1 {
				t.Errorf("the blocked lane is %s, want P1", lane.Priority)
			}
			for _, tk := range r.tickets() {
				switch {
				case tk.Point == "L1" && tk.Priority != 1:
					t.Errorf("ticket of the lane is %s, want P1", tk.Priority)
				case tk.Point == "s0" && (len(tk.Related) != 1 || tk.Related[0].Point != "L1"):
					t.Errorf("the fire's ticket says of what stands in the way: %+v, want the lane", tk.Related)
				}
			}
		})
	}
}

func TestALiveLaneIsNotRaisedBySimulatedSmoke(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "s", 0, 0) // the rig's points are simulated
	reg := placed(grid.Parking, "L1", "sn:L1", r.now())
	reg.Points[0].Rules, reg.Points[0].Mode, reg.Devices[0].Mode = "fire_lane", grid.Live, grid.Live
	r.put(reg)
	r.smoke("sn:s0", 1, true)
	r.say("sn:L1", `{"parking.occupied":true,"seq":1}`)
	r.after(4 * time.Minute)
	if lane := r.alarms(state.Query{Point: "L1"})[0]; lane.Priority != 2 {
		t.Errorf("the lane is %s by smoke that is not live", lane.Priority)
	}
}

func TestAPersonConfirmsAFireToo(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	if _, err := r.move(grid.Move{Ticket: r.theTicket().ID, Verb: grid.VerbVerify, Finding: grid.VerifiedTrue, By: byUnit("u-micro_fire_station"), Reason: "flames in the kitchen"}); err != nil {
		t.Fatal(err)
	}
	if ev := r.events(grid.EventSmokeConfirmed); len(ev) != 1 {
		t.Errorf("smoke.confirmed is %+v, want it once", ev)
	}
}

func TestAMemberAfterAForcedCloseHasATicketOfItsOwn(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	first := r.theTicket().ID
	r.forceClose(first)
	r.smoke("sn:s1", 1, true)
	all := r.tickets()
	if len(all) != 2 || all[1].Point != "s1" || all[1].State.Ended() {
		t.Fatalf("tickets are %+v: want a second one, open, for s1", all)
	}
	if in := r.incidents("open"); len(in) != 1 || in[0].Ticket != all[1].ID {
		t.Errorf("incidents are %+v: want one, with the new ticket", in)
	}
}
