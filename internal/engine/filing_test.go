package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var desk1 = grid.Actor{Role: grid.RoleOperator, Name: "op1"}

// report is what the hotline files; its place is a cell of the rig.
func report(typ grid.EventType, number string) grid.Filing {
	return grid.Filing{
		Source: grid.FromHotline, External: number, Type: typ, Mode: grid.Simulated, Place: "愚园路 1088 弄口",
		Cell: "310105006001001", Text: "井盖没了，联系 13800138000", By: desk1,
	}
}

func (r *rig) file(f grid.Filing) grid.Filed {
	r.t.Helper()
	out, err := r.engine.FileEvent(r.t.Context(), f)
	if err != nil {
		r.t.Fatal(err)
	}
	r.settle()
	return out
}

func (r *rig) ticket(id string) grid.Ticket {
	r.t.Helper()
	return must[grid.Ticket](r.t)(r.store.Ticket(r.t.Context(), id))
}

// finish lets a unit do its part, with a photo from site.
func (r *rig) finish(id, unit string) {
	r.t.Helper()
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: id, Verb: v, By: byUnit(unit), OnSite: true, Evidence: "photo", Reason: "done"}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestAnEventThatAPersonFilesIsATicketOfItsOwn(t *testing.T) {
	r := newRig(t)
	r.units()
	out := r.file(report(grid.EventManholeOpen, "20260302-0017"))
	tk := r.theTicket()
	if out.Ticket.ID != tk.ID || tk.Priority != 1 || tk.State != grid.TicketDispatched || !called(tk, "u-utility") || tk.Street != rigScope.Street || !strings.Contains(tk.Place, "1088") {
		t.Errorf("ticket is %+v: want P1, dispatched to the utility of its street, with its place in words", tk)
	}
	ep := r.alarms(state.Query{})[0]
	if ep.Filed == nil || ep.Filed.External != "20260302-0017" || ep.Point != "" || !ep.Active || ep.Device != "filed:hotline/20260302-0017" {
		t.Errorf("episode is %+v: want its source and number, and no point", ep)
	}
	ev := r.events(grid.EventManholeOpen)
	if len(ev) != 1 || !strings.Contains(ev[0].Detail, "hotline 20260302-0017") {
		t.Errorf("events are %+v: want one that names the source and the number", ev)
	}
	for _, words := range []string{ev[0].Detail, ep.Filed.Text} {
		if strings.Contains(words, "13800138000") {
			t.Errorf("stored in clear: %s", words)
		}
	}
}

func TestTheSameNumberOfASourceIsFiledOnce(t *testing.T) {
	r := newRig(t)
	r.units()
	first := r.file(report(grid.EventManholeOpen, "n-1"))
	for _, restart := range []bool{false, true} {
		if restart {
			r.restart()
		}
		again := report(grid.EventManholeOpen, "n-1")
		again.Text = "still open"
		if out := r.file(again); !out.Repeated || out.Ticket.ID != first.Ticket.ID {
			t.Errorf("restart %v: the same again is %+v, want ticket %s, repeated", restart, out, first.Ticket.ID)
		}
	}
	r.finish(first.Ticket.ID, "u-utility")
	r.after(60 * 24 * time.Hour)
	if out := r.file(report(grid.EventManholeOpen, "n-1")); !out.Repeated || out.Ticket.State != grid.TicketClosed {
		t.Errorf("after two months the same again is %+v, want the closed ticket", out)
	}
	r.theTicket()
	other := report(grid.EventManholeOpen, "n-1")
	other.Source = grid.FromPatrol
	if r.file(other); len(r.tickets()) != 2 {
		t.Error("the same number of another source is the same event")
	}
	if _, err := r.engine.FileEvent(t.Context(), report(grid.EventManholeTilted, "n-1")); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("another event under the same number: %v, want a conflict", err)
	}
}

func TestWhatIsFiledMayRepeatIsOfferedAndNeverMergedByItself(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", "sn:M1")
	r.say("sn:M1", `{"manhole.open":true,"seq":1}`)
	r.after(10 * time.Second)
	sensor := r.theTicket()
	f := report(grid.EventManholeOpen, "n-1")
	f.Point = "M1"
	out := r.file(f)
	if out.Ticket.ID == sensor.ID || len(out.Duplicates) != 1 || out.Duplicates[0].Ticket != sensor.ID || out.Duplicates[0].Score < 90 {
		t.Fatalf("filed is ticket %s with %+v: want a ticket of its own and the sensor's offered", out.Ticket.ID, out.Duplicates)
	}
	near := r.file(report(grid.EventManholeOpen, "n-2"))
	if len(near.Duplicates) != 2 {
		t.Errorf("in the same cell %+v are offered, want both", near.Duplicates)
	}
	if n := len(r.tickets()); n != 3 {
		t.Fatalf("%d tickets, want 3: nothing is merged by itself", n)
	}
	if _, err := r.move(grid.Move{Ticket: near.Ticket.ID, Verb: grid.VerbMerge, Into: sensor.ID, By: desk1, Reason: "the same cover"}); err != nil {
		t.Fatal(err)
	}
	if got := r.ticket(near.Ticket.ID).State; got != grid.TicketMerged {
		t.Errorf("merged ticket is %s", got)
	}
	if eps := r.alarms(state.Query{Ticket: sensor.ID}); len(eps) != 2 || !eps[0].Active || !eps[1].Active {
		t.Errorf("episodes of the sensor's ticket are %+v: want the filed one too, active", eps)
	}
	if _, err := r.move(grid.Move{Ticket: sensor.ID, Verb: grid.VerbSplit, Alarm: near.Alarm, By: desk1, Reason: "another cover after all"}); err != nil {
		t.Fatal(err)
	}
	split := r.ticket(must[grid.Alarm](t)(r.store.Alarm(t.Context(), near.Alarm)).Ticket)
	if split.ID == near.Ticket.ID || split.ID == sensor.ID || !strings.Contains(split.Place, "1088") || !called(split, "u-utility") {
		t.Errorf("split off is %+v: want a ticket of its own at its place", split)
	}
	if _, err := r.move(grid.Move{Ticket: split.ID, Verb: grid.VerbMerge, Into: sensor.ID, By: desk1, Reason: "the same cover, really"}); err != nil {
		t.Fatal(err)
	}
	if left := must[[]grid.Suggestion](t)(r.engine.Similar(t.Context(), sensor.ID)); len(left) != 1 || left[0].Ticket != out.Ticket.ID {
		t.Errorf("after the merge %+v are offered, want the open one alone", left)
	}
}

func TestWhatAPersonFiledIsOverByAPersonsWordAlone(t *testing.T) {
	for typ, unit := range map[grid.EventType]string{grid.EventManholeTilted: "u-utility", grid.EventDoorHeldOpen: "u-property"} {
		t.Run(string(typ), func(t *testing.T) { byAPersonsWordAlone(t, typ, unit) })
	}
}

func byAPersonsWordAlone(t *testing.T, typ grid.EventType, unit string) {
	r := newRig(t)
	r.units()
	id := r.file(report(typ, "n-1")).Ticket.ID
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: id, Verb: v, By: byUnit(unit), Reason: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	r.after(time.Hour)
	r.restart()
	if tk := r.theTicket(); tk.State != grid.TicketChecking || !r.alarms(state.Query{})[0].Active {
		t.Fatalf("ticket is %s without a word from site, want it checking and its episode active", tk.State)
	}
	if _, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbConfirm, By: byUnit(unit), OnSite: true, Evidence: "photo of it"}); err != nil {
		t.Fatal(err)
	}
	if tk := r.theTicket(); tk.State != grid.TicketClosed {
		t.Errorf("ticket is %s after the word, want closed", tk.State)
	}
	if ep := r.alarms(state.Query{})[0]; ep.Active {
		t.Error("its episode is active after the end")
	}
	for _, m := range must[[]grid.MoveRecord](t)(r.store.Moves(t.Context(), id)) {
		if m.Verb == "close" && strings.Contains(m.Detail, "sensor") {
			t.Errorf("it was closed because %q, and no sensor was there", m.Detail)
		}
	}
}

func TestASensorAtTheNamedPointIsAskedToo(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", "sn:M1")
	r.say("sn:M1", `{"manhole.open":false,"manhole.tilt":2,"seq":1}`)
	f := report(grid.EventManholeOpen, "n-1")
	f.Point = "M1"
	id := r.file(f).Ticket.ID
	r.say("sn:M1", `{"manhole.open":true,"seq":2}`)
	r.after(10 * time.Second)
	r.restart()
	if _, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbCancel, By: desk1, Source: "street lead", Reason: "nothing there"}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("cancelled while the sensor says open: %v", err)
	}
	r.finish(id, "u-utility")
	r.after(70 * time.Second)
	r.say("sn:M1", `{"manhole.open":true,"seq":3}`)
	if tk := r.ticket(id); tk.Rework != 1 {
		t.Fatalf("ticket is %s with %d reworks while the sensor says open, want one", tk.State, tk.Rework)
	}
	r.finish(id, "u-utility")
	r.say("sn:M1", `{"manhole.open":false,"seq":4}`)
	r.after(30 * time.Second)
	if tk := r.ticket(id); tk.State != grid.TicketChecking {
		t.Fatalf("ticket is %s after 30 s, want checking", tk.State)
	}
	r.after(40 * time.Second)
	r.say("sn:M1", `{"manhole.open":false,"seq":5}`)
	if tk := r.ticket(id); tk.State != grid.TicketClosed {
		t.Errorf("ticket is %s, want closed by the word and the sensor", tk.State)
	}
}

func TestWhatNobodyFindsOnSiteIsCancelled(t *testing.T) {
	r := newRig(t)
	r.units()
	id := r.file(report(grid.EventManholeOpen, "n-1")).Ticket.ID
	if _, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbCancel, By: byUnit("u-utility"), OnSite: true, Reason: "the cover lies there"}); err != nil {
		t.Fatal(err)
	}
	if ep := r.alarms(state.Query{})[0]; ep.Active {
		t.Error("its episode is active after the cancel")
	}
}

// smokeAt is a person's word of smoke in a building.
func smokeAt(building, number string) grid.Filing {
	f := report(grid.EventSmokeAlarm, number)
	f.Building, f.Text = building, "闻到烟味"
	return f
}

func TestAPersonAndADetectorOfABuildingAreTwoWitnesses(t *testing.T) {
	for _, first := range []string{"detector", "person"} {
		t.Run(first+" first", func(t *testing.T) {
			r := newRig(t)
			r.units()
			r.detectors(1, "s", 0, 0)
			if first == "detector" {
				r.smoke("sn:s0", 1, true)
			} else {
				r.file(smokeAt("s", "n-1"))
			}
			if tk := r.theTicket(); tk.Priority != 1 || tk.Verification != grid.Unverified || called(tk, "u-fire") {
				t.Fatalf("after one witness the ticket is %s %s and calls %+v", tk.Priority, tk.Verification, tk.Assignments)
			}
			r.after(80 * time.Second) // the time of two detectors is over, that of the 90 s not
			if first == "detector" {
				r.file(smokeAt("s", "n-1"))
			} else {
				r.restart()
				r.smoke("sn:s0", 1, true)
			}
			tk := r.theTicket()
			if tk.Verification != grid.VerifiedTrue || !called(tk, "u-fire") || len(tk.Members) != 1 {
				t.Errorf("ticket is %s with members %+v: want it verified and the fire unit called", tk.Verification, tk.Members)
			}
			if ev := r.events(grid.EventSmokeConfirmed); len(ev) != 1 || !strings.Contains(ev[0].Detail, "hotline n-1") {
				t.Errorf("smoke.confirmed is %+v: want it once, by the detector and the hotline", ev)
			}
		})
	}
}

func TestAReportAtItsPointHidesNoSensor(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := newRig(t)
		r.units()
		r.detectors(1, "s", 0, 0)
		f := smokeAt("", "n-1")
		f.Point = "s0"
		r.file(f)
		r.place(grid.Manhole, "M1", "sn:M1")
		m := report(grid.EventManholeOpen, "n-2")
		m.Point = "M1"
		r.file(m)
		if restart {
			r.restart()
		}
		r.smoke("sn:s0", 1, true)
		r.say("sn:M1", `{"manhole.open":true,"seq":1}`)
		r.after(10 * time.Second)
		for typ, tickets := range map[grid.EventType]int{grid.EventSmokeAlarm: 1, grid.EventManholeOpen: 2} {
			if eps := r.alarms(state.Query{Type: string(typ)}); len(eps) != 2 || !eps[0].Active || !eps[1].Active {
				t.Errorf("restart %v: episodes of %s are %+v: want the person's and the sensor's", restart, typ, eps)
			}
			n := 0
			for _, tk := range r.tickets() {
				if tk.Type == typ {
					n++
				}
			}
			if n != tickets {
				t.Errorf("restart %v: %d tickets of %s, want %d", restart, n, typ, tickets)
			}
		}
	}
}

func TestTwoPersonsAreTwoTicketsAndNoProof(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "s", 0, 0)
	r.file(smokeAt("s", "n-1"))
	second := r.file(smokeAt("s", "n-2"))
	if all := r.tickets(); len(all) != 2 || all[1].Priority != 1 || len(second.Duplicates) != 1 {
		t.Fatalf("%d tickets, offered %+v: want two of P1, one offered", len(all), second.Duplicates)
	}
	for _, tk := range r.tickets() {
		if tk.Verification != grid.Unverified {
			t.Errorf("ticket %s is %s by calls alone", tk.ID, tk.Verification)
		}
	}
	r.after(95 * time.Second)
	for _, tk := range r.tickets() {
		if !called(tk, "u-fire") {
			t.Errorf("nobody answered for 90 s and the fire unit is not called for %s", tk.ID)
		}
	}
}

func TestSmokeOfAnotherBuildingOrOfNoneIsNoWitness(t *testing.T) {
	for _, building := range []string{"other", ""} {
		r := newRig(t)
		r.units()
		r.detectors(1, "s", 0, 0)
		r.smoke("sn:s0", 1, true)
		r.file(smokeAt(building, "n-1"))
		if all := r.tickets(); len(all) != 2 || all[0].Verification != grid.Unverified || all[1].Priority != 1 {
			t.Errorf("building %q: tickets are %+v, want two, unverified", building, all)
		}
		if n, want := len(r.incidents("open")), len(building)/5+1; n != want {
			t.Errorf("building %q: %d incidents, want %d: what has no building is of none", building, n, want)
		}
	}
}

func TestAPersonsFireIsNoFalseAlarmOfTheDetector(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(1, "s", 0, 0)
	nothing := func(id string) {
		t.Helper()
		if _, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbCancel, By: byUnit("u-micro_fire_station"), OnSite: true, Reason: "barbecue"}); err != nil {
			t.Fatal(err)
		}
	}
	said := func(number string) {
		t.Helper()
		f := smokeAt("", number)
		f.Point = "s0"
		nothing(r.file(f).Ticket.ID)
	}
	said("1")
	said("2")
	for i := range 2 { // two of the detector's own: one more would be too many
		r.smoke("sn:s0", 2*i+1, true)
		r.smoke("sn:s0", 2*i+2, false)
		r.after(2 * time.Minute)
		for _, tk := range r.tickets() {
			if !tk.State.Ended() {
				nothing(tk.ID)
			}
		}
		r.after(time.Hour)
	}
	said("3")
	if ev := r.events(grid.EventSmokeSuspect); len(ev) != 0 {
		t.Errorf("the detector is suspect by what people said: %+v", ev)
	}
}

func TestWhatIsNotLiveIsNotFiledAsLive(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Manhole, "M1", "sn:M1") // simulated, as all of the rig
	f := report(grid.EventManholeOpen, "n-1")
	f.Point, f.Mode = "M1", grid.Live
	if _, err := r.engine.FileEvent(t.Context(), f); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "simulated") {
		t.Errorf("live at a simulated point: %v", err)
	}
	f.Mode = ""
	if tk := r.file(f).Ticket; tk.Mode != grid.Simulated {
		t.Errorf("without a word the ticket is %s, want as its point", tk.Mode)
	}
	by := report(grid.EventManholeOpen, "n-2")
	by.Mode, by.By = "", byUnit("u-utility")
	if tk := r.file(by).Ticket; tk.Mode != grid.Simulated {
		t.Errorf("filed by a simulated unit the ticket is %s", tk.Mode)
	}
	live := report(grid.EventManholeOpen, "n-3")
	live.Mode = ""
	if tk := r.file(live).Ticket; tk.Mode != grid.Live || len(tk.Assignments) != 0 {
		t.Errorf("by the desk the ticket is %s and calls %+v: want live, and no simulated unit", tk.Mode, tk.Assignments)
	}
}

func TestFilingsAreRefusedWithoutATrace(t *testing.T) {
	r := newRig(t)
	r.units()
	for want, change := range map[string]func(*grid.Filing){
		`point "nowhere": not found`:    func(f *grid.Filing) { f.Point = "nowhere" },
		`type is "device.offline"`:      func(f *grid.Filing) { f.Type = grid.EventDeviceOffline },
		`type is "unheard.of"`:          func(f *grid.Filing) { f.Type = "unheard.of" },
		`mode is "real"`:                func(f *grid.Filing) { f.Mode = "real" },
		`crs is "GCJ02": want WGS84`:    func(f *grid.Filing) { f.Lon, f.Lat, f.CRS = 121, 31, "GCJ02" },
		`external is "": want`:          func(f *grid.Filing) { f.External = "" },
		`priority is P4: want P1 to P1`: func(f *grid.Filing) { f.Type, f.Priority = grid.EventSmokeAlarm, 4 },
	} {
		f := report(grid.EventManholeOpen, "n-1")
		change(&f)
		if _, err := r.engine.FileEvent(t.Context(), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if n := len(r.tickets()) + len(r.alarms(state.Query{})); n != 0 {
		t.Errorf("%d rows are left of what was refused", n)
	}
}

func TestAReportKeepsItsPlaceOnTheWayOut(t *testing.T) {
	var places []grid.Point
	r := newRig(t, func(c *Config) {
		c.Body = func(_ *grid.Ticket, _ *grid.Delivery, p *grid.Point, _ *grid.Unit) (json.RawMessage, error) {
			places = append(places, *p)
			return json.RawMessage("{}"), nil
		}
	})
	r.units()
	f := report(grid.EventManholeOpen, "n-1")
	f.Place, f.Lon, f.Lat, f.CRS = "", 121.4, 31.22, "WGS84"
	tk := r.file(f).Ticket
	if tk.Place != "31.220000, 121.400000 (WGS84)" {
		t.Errorf("place is %q, want the position in words", tk.Place)
	}
	if len(places) == 0 || places[0].Lon != 121.4 || places[0].Lat != 31.22 || places[0].Street != rigScope.Street {
		t.Errorf("units are told of %+v: want the position", places)
	}
}

func TestReportsAreFiledOnceWhenCommitsFail(t *testing.T) {
	var disk *flaky
	r := newHazardRig(t, func(c *Config) {
		disk = &flaky{Store: c.Store.(*state.Store)}
		c.Store = disk
	})
	reg := placed(grid.Door, "D1", "sn:D1", r.now())
	reg.Points[0].Rules, reg.Devices[0].Interval = "fire_door", 30*24*time.Hour
	r.put(reg)
	mood := func(rng *rand.Rand) {
		disk.mu.Lock()
		defer disk.mu.Unlock()
		disk.rng = rng
	}
	mood(rand.New(rand.NewPCG(7, 7)))
	seq := 0
	for i := range 12 {
		r.file(report(grid.EventManholeOpen, fmt.Sprint("n-", i)))
		r.fileHazard(found("other", fmt.Sprint("h-", i)))
		r.file(report(grid.EventManholeOpen, fmt.Sprint("n-", i)))
		if i < 3 {
			r.openDoor("sn:D1", &seq)
		}
	}
	h := r.hazards(state.Query{Kind: "other"})[0]
	r.moveHazard(h.ID, grid.HazardRectify, byUnit("u-property"))
	mood(nil)
	if disk.failed == 0 {
		t.Fatal("no commit failed")
	}
	r.restart()
	mood(nil)
	if n := len(r.alarms(state.Query{Type: string(grid.EventManholeOpen)})); n != 12 {
		t.Errorf("%d episodes, want 12", n)
	}
	if n := len(r.hazards(state.Query{Kind: "other"})); n != 12 {
		t.Errorf("%d hazards, want 12", n)
	}
	if n := len(r.hazards(state.Query{Kind: "fire_door"})); n != 1 {
		t.Errorf("%d hazards of the fire door, want one", n)
	}
	if n := len(r.tickets()); n != 12+12+1+3 {
		t.Errorf("%d tickets, want 28", n)
	}
	if got := r.hazards(state.Query{ID: h.ID})[0]; got.State != grid.HazardRectified {
		t.Errorf("the hazard is %s, want rectified", got.State)
	}
}
