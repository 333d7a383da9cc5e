package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Stories of the closed loop, told from outside: what devices say, what people and units
// do, and what came of it. The engine is the real one, its clock is the test's.

var resident = func(m *grid.Move) { m.Source = "resident of 402, by phone" }

// try makes a move and gives what the rules say about it.
func (r *rig) try(id string, v grid.Verb, by grid.Actor, with ...func(*grid.Move)) error {
	r.t.Helper()
	m := grid.Move{Ticket: id, Verb: v, By: by, Reason: "word"}
	for _, f := range with {
		f(&m)
	}
	_, err := r.move(m)
	return err
}

func (r *rig) does(id string, v grid.Verb, by grid.Actor, with ...func(*grid.Move)) {
	r.t.Helper()
	if err := r.try(id, v, by, with...); err != nil {
		r.t.Fatalf("%s by %s: %v", v, by.Name, err)
	}
}

func finding(f grid.Verification) func(*grid.Move) { return func(m *grid.Move) { m.Finding = f } }
func there(m *grid.Move)                           { m.OnSite, m.Evidence = true, "photo" }

func (r *rig) wantState(id string, want grid.TicketState) {
	r.t.Helper()
	if tk := r.ticket(id); tk.State != want {
		r.t.Fatalf("ticket is %s, want %s", tk.State, want)
	}
}

func (r *rig) messages(unit string) (types []string) {
	r.t.Helper()
	page := must[state.Page[grid.Delivery]](r.t)(r.store.ListDeliveries(r.t.Context(), state.Query{Limit: 1000}))
	slices.Reverse(page.Items)
	for _, d := range page.Items {
		if d.Unit == unit {
			types = append(types, d.Type)
		}
	}
	return types
}

// town has the units, and a building "s" with two smoke detectors.
func town(t *testing.T) *rig {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	return r
}

const (
	station = "u-micro_fire_station"
	brigade = "u-fire"
)

func TestStoryASmokeThatNobodyAnswersReachesTheFireUnitAfterNinetySeconds(t *testing.T) {
	r := town(t)
	r.smoke("sn:s0", 1, true)
	if tk := r.theTicket(); !called(tk, station) || called(tk, brigade) {
		t.Fatalf("at once it calls %+v: want who is near, and not yet the fire unit", tk.Assignments)
	}
	r.after(89 * time.Second)
	if called(r.theTicket(), brigade) {
		t.Fatal("the fire unit is called early, by one detector")
	}
	r.after(time.Second)
	if tk := r.theTicket(); !called(tk, brigade) || tk.Tier != 3 || !called(tk, station) {
		t.Errorf("after 90 s it calls %+v: want the fire unit too", tk.Assignments)
	}
}

func TestStoryATestPressCallsNobody(t *testing.T) {
	r := town(t)
	r.say("sn:s0", `{"smoke.alarm":false,"test":true,"seq":1}`)
	r.after(10 * time.Minute)
	if n := len(r.tickets()); n != 0 || len(r.messages(brigade)) != 0 || len(r.messages(station)) != 0 {
		t.Errorf("a test press led to %d tickets", n)
	}
	if ev := r.events(grid.EventTest); len(ev) != 1 || ev[0].Action != "noted" {
		t.Errorf("events are %+v: want the press noted", ev)
	}
}

func TestStoryAManholeStolenAtNightWhoseOwnerIsSilentGoesToTheFallbackAfterTwoHours(t *testing.T) {
	r := newRig(t)
	r.units()
	r.put(grid.Registration{Units: []grid.Unit{{ID: "desk", Name: "Duty desk", Kind: grid.Operator, Tier: 4, Mode: grid.Simulated, Connector: "webhook", URL: "http://127.0.0.1:1/"}}})
	r.clock.Store(time.Date(2026, 3, 2, 18, 30, 0, 0, time.UTC).UnixNano()) // 02:30 at night in Shanghai
	r.place(grid.Manhole, "M1", "sn:M1")
	r.say("sn:M1", `{"manhole.open":true,"tamper":true,"seq":1}`) // its last word
	r.after(6 * time.Second)
	id := r.ticketOf("M1", grid.EventManholeOpen).ID
	tk := r.ticket(id)
	if tk.Priority != 1 || !called(tk, "u-utility") || !called(tk, "u-property") {
		t.Fatalf("it is %s and calls %+v: want P1, the owner, and somebody to guard the hole", tk.Priority, tk.Assignments)
	}
	r.after(2*time.Hour - time.Minute)
	if called(r.ticket(id), "desk") {
		t.Fatal("the fallback is called before two hours are over")
	}
	r.after(time.Minute)
	if tk = r.ticket(id); !called(tk, "desk") || tk.Tier != 4 || !tk.SentDistrict || !called(tk, "u-utility") {
		t.Errorf("after two hours it is at tier %d and calls %+v: want the fallback, told to the district, the owner not let go", tk.Tier, tk.Assignments)
	}
	r.after(time.Hour)
	if a := r.ofType(grid.EventDeviceStolen); len(a) != 1 || a[0].Priority != 1 {
		t.Errorf("device.stolen is %+v: want it, P1: an open pit is left behind", a)
	}
}

func TestStoryAUnitSaysDoneWhileTheCoverIsStillOpen(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", "sn:M1")
	r.say("sn:M1", `{"manhole.open":true,"seq":1}`)
	r.after(6 * time.Second)
	id := r.theTicket().ID
	r.finish(id, "u-utility")
	r.after(5 * time.Minute)
	r.say("sn:M1", `{"manhole.open":true,"seq":2}`)
	tk := r.ticket(id)
	if tk.State != grid.TicketDispatched || tk.Rework != 1 {
		t.Fatalf("ticket is %s with %d reworks: want it back at the unit", tk.State, tk.Rework)
	}
	if msgs := r.messages("u-utility"); !slices.Contains(msgs, "ticket.rework") {
		t.Errorf("the unit was told %v: want ticket.rework", msgs)
	}
	if err := r.try(id, grid.VerbAccept, byUnit("u-utility"), func(m *grid.Move) { m.Attempt = 1 }); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a late word on the first attempt: %v, want a conflict", err)
	}
	r.finish(id, "u-utility")
	r.say("sn:M1", `{"manhole.open":false,"seq":3}`)
	r.after(2 * time.Minute)
	r.say("sn:M1", `{"manhole.open":false,"seq":4}`)
	r.wantState(id, grid.TicketClosed)
}

func TestStorySmokeAgainWithinHalfAnHourIsTheSameFire(t *testing.T) {
	r := town(t)
	r.smoke("sn:s0", 1, true)
	r.after(5 * time.Minute)
	r.smoke("sn:s0", 2, false)
	id := r.theTicket().ID
	r.finish(id, station)
	r.after(20 * time.Minute)
	r.smoke("sn:s0", 3, true)
	if tk := r.theTicket(); tk.Rework != 1 || tk.State != grid.TicketDispatched {
		t.Errorf("ticket is %s with %d reworks: want the same one, to be done again", tk.State, tk.Rework)
	}
	if a := r.ofType(grid.EventSmokeAlarm); len(a) != 1 || a[0].Count != 2 {
		t.Errorf("episodes are %+v: want one that came back", a)
	}
}

func TestStoryAHolidayMovesADeadline(t *testing.T) {
	due := func(opened time.Time) time.Duration {
		r := newRig(t)
		r.units()
		r.clock.Store(opened.UnixNano())
		r.place(grid.Door, "D1", "sn:D1")
		r.say("sn:D1", `{"door.open":false,"battery.level":9,"seq":1}`)
		r.after(11 * time.Minute)
		tk := r.theTicket()
		return tk.Due.Sub(tk.Opened)
	}
	// Eight work days, once over two weekends, once over the National Day holiday.
	plain, holiday := due(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)), due(time.Date(2026, 9, 28, 1, 0, 0, 0, time.UTC))
	if holiday < plain+4*24*time.Hour {
		t.Errorf("due after %s in a plain fortnight and %s over the holiday: want days more", plain, holiday)
	}
}

func TestStoryAUnitThatIsDownForADayGetsOneMessage(t *testing.T) {
	r := town(t)
	r.place(grid.Door, "D1", "sn:D1")
	r.say("sn:D1", `{"door.open":true,"seq":1}`)
	r.after(11 * time.Minute)
	id := r.theTicket().ID
	opened := func() (out []grid.Delivery) {
		page := must[state.Page[grid.Delivery]](t)(r.store.ListDeliveries(t.Context(), state.Query{Limit: 1000}))
		for _, d := range page.Items {
			if d.Ticket == id && d.Unit == "u-property" && d.Type == "ticket.opened" {
				out = append(out, d)
			}
		}
		return out
	}
	if len(opened()) != 1 {
		t.Fatalf("deliveries are %+v, want one", opened())
	}
	d := opened()[0]
	for n := 1; n <= 24; n++ {
		fails := grid.Attempt{N: n, At: r.now(), Error: "connection refused"}
		if err := r.engine.DeliveryResult(t.Context(), d.ID, fails, Fate{State: grid.DeliveryPending, Next: r.now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		r.after(time.Hour)
		if n%6 == 0 {
			r.restart()
		}
	}
	got := grid.Attempt{N: 25, At: r.now(), Status: 200}
	for range 3 { // also if its result is told again
		if err := r.engine.DeliveryResult(t.Context(), d.ID, got, Fate{State: grid.DeliveryReceived}); err != nil {
			t.Fatal(err)
		}
	}
	r.restart()
	if all := opened(); len(all) != 1 || all[0].ID != d.ID || all[0].State != grid.DeliveryReceived || all[0].Attempts != 25 {
		t.Errorf("deliveries are %+v: want the one, received at its 25th attempt", all)
	}
}

func TestStoryAHundredSensorsThatFallSilentAreOneFault(t *testing.T) {
	r := newRig(t)
	r.units()
	for i := range 100 {
		id := grid.Identity(fmt.Sprintf("sn:d%02d", i))
		r.place(grid.Door, fmt.Sprintf("D%02d", i), id)
		r.say(id, `{"door.open":false,"seq":1}`)
	}
	r.after(4 * time.Hour)
	tk := r.theTicket()
	if tk.Type != grid.EventGatewaySilent || len(r.messages("u-maintenance")) == 0 {
		t.Errorf("the ticket is %s: want the way in to be silent", tk.Type)
	}
	if n := len(r.ofType(grid.EventDeviceOffline)); n != 0 {
		t.Errorf("%d devices are offline beside it", n)
	}
}

func TestStorySmokeThatComesFifteenMinutesLateBehindANewerHeartbeat(t *testing.T) {
	r := town(t)
	at := r.now()
	r.after(15 * time.Minute)
	r.smoke("sn:s0", 9, false)
	r.say("sn:s0", fmt.Sprintf(`{"smoke.alarm":true,"seq":8,"at":%d}`, at.Unix()))
	a := r.ofType(grid.EventSmokeLate)
	if len(a) != 1 || a[0].Priority != 1 {
		t.Fatalf("smoke.late is %+v: want it once, P1", a)
	}
	tk := r.theTicket()
	r.after(5 * time.Minute)
	if tk = r.ticket(tk.ID); !called(tk, station) || called(tk, brigade) {
		t.Errorf("it calls %+v: want the nearest help, and the fire unit only by a person's word", tk.Assignments)
	}
	r.does(tk.ID, grid.VerbVerify, byUnit(station), finding(grid.VerifiedTrue), there)
	if !called(r.ticket(tk.ID), brigade) {
		t.Error("a person found it true and the fire unit is not called")
	}
}

func TestStorySmokeFromADeviceThatNobodyHasClaimed(t *testing.T) {
	r := town(t)
	r.say("sn:new", `{"smoke.alarm":true,"seq":1}`)
	if a := r.ofType(grid.EventSafetyUnreadable); len(a) != 1 || a[0].Priority != 1 {
		t.Fatalf("alarms are %+v: want the operator told, P1", a)
	}
	reg := placed(grid.Smoke, "s9", "sn:new", r.now())
	r.put(grid.Registration{Points: reg.Points})
	if _, err := r.engine.Claim(t.Context(), reg.Devices[0], reg.Installations); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if tk := r.ticketOf("s9", grid.EventSmokeAlarm); !called(tk, station) {
		t.Errorf("claimed, it calls %+v: want help at its place", tk.Assignments)
	}
}

func TestStorySmokeFromADeviceWhoseClockSaysNineteenSeventy(t *testing.T) {
	r := town(t)
	r.say("sn:s0", `{"smoke.alarm":true,"seq":1,"at":"1970-01-01T00:00:10Z"}`)
	r.after(90 * time.Second)
	if tk := r.theTicket(); tk.Type != grid.EventSmokeAlarm || !called(tk, brigade) {
		t.Errorf("it is %s and calls %+v: want a live fire", tk.Type, tk.Assignments)
	}
}

func TestStoryASensorIsDestroyedAfterItsAlarm(t *testing.T) {
	r := town(t)
	r.smoke("sn:s0", 1, true)
	id := r.theTicket().ID
	for i := range 4 { // the neighbour goes on reporting
		r.after(time.Hour)
		r.smoke("sn:s1", i+1, false)
	}
	tk := r.ticket(id)
	if tk.State.Ended() || !r.alarms(state.Query{Point: "s0"})[0].Active {
		t.Fatalf("ticket is %s: silence ended an alarm", tk.State)
	}
	if !slices.ContainsFunc(tk.Tasks, func(k grid.Task) bool { return k.Kind == grid.TaskDecide && strings.Contains(k.Text, "cannot tell") }) {
		t.Errorf("tasks are %+v: want a person asked, since the sensor cannot tell any more", tk.Tasks)
	}
	r.finish(id, station)
	r.after(3 * time.Hour)
	r.wantState(id, grid.TicketChecking)
	r.does(id, grid.VerbConfirm, byUnit(station), there)
	r.wantState(id, grid.TicketClosed)
}

func TestStoryTheTicketOfADailySensorIsClosedByItsNextReport(t *testing.T) {
	r := newRig(t)
	r.units()
	reg := placed(grid.Parking, "B1", "sn:B1", r.now())
	reg.Devices[0].Interval = 24 * time.Hour
	r.put(reg)
	r.say("sn:B1", `{"parking.occupied":true,"seq":1}`)
	r.after(11 * time.Minute)
	id := r.theTicket().ID
	r.after(10 * time.Minute)
	r.say("sn:B1", `{"parking.occupied":false,"seq":2}`) // the car leaves
	r.after(time.Minute)
	r.finish(id, "u-urban_management")
	r.after(20 * time.Hour) // ten minutes are long over, and nothing was heard since
	r.wantState(id, grid.TicketChecking)
	r.after(4 * time.Hour)
	r.say("sn:B1", `{"parking.occupied":false,"seq":3}`)
	r.wantState(id, grid.TicketClosed)
}

func TestStoryAResidentSaysFalseWhileTheFireGoesOn(t *testing.T) {
	r := town(t)
	r.smoke("sn:s0", 1, true)
	id := r.theTicket().ID
	r.does(id, grid.VerbVerify, deskOp, finding(grid.VerifiedFalse), resident)
	if err := r.try(id, grid.VerbCancel, deskOp, resident); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("cancelled from afar while the sensor is in alarm: %v", err)
	}
	r.after(5 * time.Minute)
	if tk := r.ticket(id); called(tk, brigade) || tk.State.Ended() || !called(tk, station) {
		t.Fatalf("ticket is %s and calls %+v: want those near at work, and only the step to tier 3 stopped", tk.State, tk.Assignments)
	}
	r.smoke("sn:s1", 1, true)
	r.after(time.Second)
	if tk := r.ticket(id); !called(tk, brigade) {
		t.Error("a second detector is in alarm and the fire unit is not called")
	}
}

func TestStoryFireworksOverTwentyBuildingsAndOneRealFire(t *testing.T) {
	r := newRig(t)
	r.units()
	for i := range 20 {
		r.detectors(2, fmt.Sprintf("h%02d-", i), 121.4, 31.2+float64(i)/1000)
	}
	for i := range 20 { // the same smoke of fireworks at each, within a minute
		r.smoke(grid.Identity(fmt.Sprintf("sn:h%02d-0", i)), 1, true)
		r.after(3 * time.Second)
	}
	if in := r.incidents("open"); len(in) != 20 {
		t.Fatalf("%d incidents, want one for each building", len(in))
	}
	for _, tk := range r.tickets() {
		if tk.Verification != grid.Unverified {
			t.Errorf("ticket of %s is %s by its neighbours", tk.Point, tk.Verification)
		}
	}
	r.smoke("sn:h07-1", 1, true)
	real := r.ticketOf("h07-0", grid.EventSmokeAlarm)
	if real.Verification != grid.VerifiedTrue || !called(real, brigade) {
		t.Fatalf("the real one is %s and calls %+v: want it confirmed by its second detector", real.Verification, real.Assignments)
	}
	for i := range 20 {
		if i == 7 {
			continue
		}
		r.smoke(grid.Identity(fmt.Sprintf("sn:h%02d-0", i)), 2, false)
	}
	r.after(61 * time.Second)
	for _, tk := range r.openTickets() {
		if tk.ID != real.ID {
			r.does(tk.ID, grid.VerbCancel, byUnit(station), there, finding(grid.VerifiedFalse))
		}
	}
	if open := r.openTickets(); len(open) != 1 || open[0].ID != real.ID {
		t.Errorf("open tickets are %+v: want the real fire", open)
	}
}

func TestStoryAnOperatorCannotCloseWhatTheSensorDenies(t *testing.T) {
	r := town(t)
	r.smoke("sn:s0", 1, true)
	id := r.theTicket().ID
	if err := r.try(id, grid.VerbCancel, deskOp, resident); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("cancel: %v, want a conflict", err)
	}
	if err := r.try(id, grid.VerbForceClose, deskOp); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("force_close by an operator: %v, want it forbidden", err)
	}
	for range 2 {
		r.does(id, grid.VerbForceClose, supervisor) // one person, twice, is one person
	}
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve, grid.VerbConfirm} {
		r.does(id, v, deskOp, resident, there)
	}
	r.wantState(id, grid.TicketChecking)
	r.after(6 * time.Minute)
	r.smoke("sn:s0", 2, true)
	if tk := r.ticket(id); tk.State != grid.TicketDispatched || tk.Rework != 1 {
		t.Errorf("ticket is %s with %d reworks: the sensor says there is smoke", tk.State, tk.Rework)
	}
}

func TestStoryAUnitCannotTouchAnothersTicket(t *testing.T) {
	r := town(t)
	r.smoke("sn:s0", 1, true)
	before := r.theTicket()
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve, grid.VerbReturn, grid.VerbVerify, grid.VerbCancel, grid.VerbConfirm, grid.VerbNote} {
		err := r.try(before.ID, v, byUnit("u-utility"), there, finding(grid.VerifiedFalse))
		if grid.CodeOf(err) != grid.Forbidden {
			t.Errorf("%s by a unit that has no part: %v, want it forbidden", v, err)
		}
		if err := r.try(before.ID, v, byUnit("u-property"), there, func(m *grid.Move) { m.Assignment = before.Assignments[0].ID }); grid.CodeOf(err) != grid.Forbidden {
			t.Errorf("%s by another on the lead's part: %v, want it forbidden", v, err)
		}
	}
	if now := r.theTicket(); now.Revision != before.Revision {
		t.Error("what was refused changed the ticket")
	}
}

func TestStoryEveryMoveIsInTheHistoryWithWhoWhenAndWhy(t *testing.T) {
	r := town(t)
	r.smoke("sn:s0", 1, true)
	id := r.theTicket().ID
	r.after(10 * time.Second)
	r.does(id, grid.VerbVerify, deskOp, finding(grid.VerifiedUnable), resident, func(m *grid.Move) { m.Reason = "nobody answers the door" })
	r.after(10 * time.Second)
	r.finish(id, station)
	r.smoke("sn:s0", 2, false)
	r.after(31 * time.Minute)
	r.smoke("sn:s0", 3, false)
	r.wantState(id, grid.TicketClosed)
	var told []string
	last := grid.MoveRecord{}
	for _, l := range must[[]grid.MoveRecord](t)(r.store.Moves(t.Context(), id)) {
		if l.N != last.N+1 || l.At.Before(last.At) || l.By.Name == "" || l.By.Role == "" {
			t.Errorf("line %+v after %+v: want who and when, in order", l, last)
		}
		told = append(told, fmt.Sprintf("%s %s: %s %s", l.By.Role, l.By.Name, l.Verb, l.Reason))
		last = l
	}
	history := strings.Join(told, "\n")
	for _, want := range []string{
		"system sensor: report", "system gridgate: dispatch", "operator op1: verify nobody answers the door",
		"unit " + station + ": accept done", "unit " + station + ": arrive done", "unit " + station + ": resolve done", "system gridgate: close",
	} {
		if !strings.Contains(history, want) {
			t.Errorf("the history does not say %q:\n%s", want, history)
		}
	}
}
