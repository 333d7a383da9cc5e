package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var (
	technician = grid.Actor{Role: grid.RoleOperator, Name: "ma"}
	dutyLead   = grid.Actor{Role: grid.RoleSupervisor, Name: "chen"}
)

func (r *rig) window(w grid.Window) grid.Window {
	r.t.Helper()
	got := must[grid.Window](r.t)(r.engine.OpenWindow(r.t.Context(), w))
	r.settle()
	return got
}

func (r *rig) refused(w grid.Window, wish string) {
	r.t.Helper()
	_, err := r.engine.OpenWindow(r.t.Context(), w)
	if err == nil || !strings.Contains(err.Error(), wish) {
		r.t.Errorf("window %+v: error is %v, want … %s", w, err, wish)
	}
}

// installing is a technician's window of 20 minutes at some points.
func (r *rig) installing(points ...string) grid.Window {
	r.t.Helper()
	return r.window(grid.Window{
		ID: "w-" + points[0], Kind: grid.WindowCommissioning, Points: points, To: r.now().Add(20 * time.Minute), By: technician, Session: "s-1",
	})
}

// later lets time pass while the technician's phone is there.
func (r *rig) later(id string, d time.Duration) {
	r.t.Helper()
	for ; d > 0; d -= time.Minute {
		must[grid.Window](r.t)(r.engine.TouchWindow(r.t.Context(), id, "s-1"))
		r.after(min(d, time.Minute))
	}
}

func (r *rig) answer(alarm string, yes bool) error {
	r.t.Helper()
	_, err := r.engine.AnswerAlarm(r.t.Context(), alarm, grid.WindowAnswer{Yes: yes, Session: "s-1", By: technician})
	r.settle()
	return err
}

// newest is the newest episode of a type.
func (r *rig) newest(typ grid.EventType) grid.Alarm {
	r.t.Helper()
	all := r.alarms(state.Query{Type: string(typ)})
	if len(all) == 0 {
		r.t.Fatalf("no %s was raised", typ)
	}
	return all[len(all)-1]
}

func (r *rig) noTicket(when string) {
	r.t.Helper()
	if all := r.tickets(); len(all) != 0 {
		r.t.Fatalf("%s there are tickets, want none: %+v", when, all)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.sent {
		if d.Type != "permit.question" {
			r.t.Fatalf("%s a unit was told: %+v", when, d)
		}
	}
}

func (r *rig) coverIs(a grid.Alarm, want grid.CoverState) {
	r.t.Helper()
	if a.Cover == nil || a.Cover.State != want {
		r.t.Fatalf("cover of %s is %+v, want it %s", a.Type, a.Cover, want)
	}
}

func TestSmokeInACommissioningWindowAsksAndNoAnswerDispatchesAfterSixtySeconds(t *testing.T) {
	for _, restart := range []time.Duration{-1, 0, 30 * time.Second, 59 * time.Second, 10 * time.Minute} {
		t.Run(restart.String(), func(t *testing.T) {
			r := newRig(t)
			r.units()
			r.place(grid.Smoke, "S1", "sn:s1")
			r.installing("S1")
			r.smoke("sn:s1", 1, true)
			raised := r.now()
			a := r.newest(grid.EventSmokeAlarm)
			r.coverIs(a, grid.CoverAsked)
			if !a.Active || a.Cover.Ask != "is it you?" || a.Cover.Of != "ma" || !a.Cover.Due.Equal(raised.Add(time.Minute)) {
				t.Errorf("alarm is %+v with cover %+v: want it active, and ma asked until a minute later", a, a.Cover)
			}
			if ev := r.events(grid.EventSmokeAlarm); len(ev) != 1 || ev[0].Action != "raised" {
				t.Errorf("events are %+v: want the alarm shown at once", ev)
			}
			r.noTicket("while the question stands")
			switch {
			case restart >= time.Minute: // overdue: at once
				r.close()
				r.clock.Add(int64(restart))
				r.open()
				r.settle()
			case restart >= 0:
				r.after(restart)
				r.restart()
				r.noTicket("after a restart while the question stands")
				r.after(time.Minute - restart)
			default:
				r.after(59 * time.Second)
				r.noTicket("a second before the minute is over")
				r.after(time.Second)
			}
			tk := r.theTicket()
			if !tk.Opened.Equal(raised) || !called(tk, "u-micro_fire_station") {
				t.Errorf("ticket is opened %s and calls %+v: want the time of the alarm, %s, and the micro fire station", tk.Opened, tk.Assignments, raised)
			}
			a = r.newest(grid.EventSmokeAlarm)
			r.coverIs(a, grid.CoverOver)
			if a.Ticket != tk.ID || a.ID != tk.Alarm {
				t.Errorf("alarm %s has ticket %q, ticket %s is of alarm %s", a.ID, a.Ticket, tk.ID, tk.Alarm)
			}
			kept := must[[]state.Evidence](t)(r.store.EvidenceOf(t.Context(), tk.ID))
			if len(kept) != 1 {
				t.Errorf("the case has %d frames, want that of the alarm", len(kept))
			}
			r.after(31 * time.Second)
			if tk := r.theTicket(); !called(tk, "u-fire") {
				t.Errorf("90 s after the alarm the ticket calls %+v: want the fire unit", tk.Assignments)
			}
		})
	}
}

func TestATechnicianWhoSaysYesHasATestAndNobodyIsCalled(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "S1", "sn:s1")
	w := r.installing("S1")
	r.smoke("sn:s1", 1, true)
	a := r.newest(grid.EventSmokeAlarm)
	if _, err := r.engine.AnswerAlarm(t.Context(), a.ID, grid.WindowAnswer{Yes: true, Session: "another", By: technician}); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("yes by another session: %v, want it forbidden", err)
	}
	if err := r.answer(a.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := r.answer(a.ID, true); err != nil {
		t.Errorf("the same answer again: %v", err)
	}
	r.later(w.ID, 3*time.Minute)
	r.restart()
	if a = r.newest(grid.EventSmokeAlarm); !a.Active {
		t.Error("alarm is not shown until the detector is normal")
	}
	r.coverIs(a, grid.CoverTest)
	r.smoke("sn:s1", 2, false)
	r.later(w.ID, 3*time.Minute)
	if a = r.newest(grid.EventSmokeAlarm); a.Active {
		t.Error("alarm is active after the detector is normal")
	}
	must[grid.Window](t)(r.engine.EndWindow(t.Context(), w.ID, technician, "done"))
	r.after(time.Minute)
	r.noTicket("after a test")

	// The next alarm, after the window, is a fire at once.
	r.smoke("sn:s1", 3, true)
	r.theTicket()
}

func TestTheSecondTestInAWindowIsAskedAnew(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "S1", "sn:s1")
	w := r.installing("S1")
	r.smoke("sn:s1", 1, true)
	if err := r.answer(r.newest(grid.EventSmokeAlarm).ID, true); err != nil {
		t.Fatal(err)
	}
	r.smoke("sn:s1", 2, false)
	r.later(w.ID, 2*time.Minute)
	r.smoke("sn:s1", 3, true)
	r.coverIs(r.newest(grid.EventSmokeAlarm), grid.CoverAsked)
	r.after(time.Minute)
	r.theTicket()
}

func TestATechnicianWhoSaysNoCallsForHelpAtOnce(t *testing.T) {
	for _, first := range []bool{true, false} { // yes, and then no
		r := newRig(t)
		r.units()
		r.place(grid.Smoke, "S1", "sn:s1")
		r.installing("S1")
		r.smoke("sn:s1", 1, true)
		a := r.newest(grid.EventSmokeAlarm)
		if first {
			if err := r.answer(a.ID, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.answer(a.ID, false); err != nil {
			t.Fatal(err)
		}
		r.theTicket()
		if err := r.answer(a.ID, true); grid.CodeOf(err) != grid.Conflict {
			t.Errorf("yes after no: %v, want a conflict", err)
		}
	}
}

func TestASecondDetectorOfTheBuildingEndsTheQuestion(t *testing.T) {
	for _, covered := range []bool{true, false} {
		r := newRig(t)
		r.units()
		r.detectors(2, "s", 0, 0)
		if covered {
			r.installing("s0", "s1")
		} else {
			r.installing("s0")
		}
		r.smoke("sn:s0", 1, true)
		r.noTicket("after one detector")
		r.after(20 * time.Second)
		r.smoke("sn:s1", 1, true)
		tk := r.theTicket()
		if tk.Verification != grid.VerifiedTrue || !called(tk, "u-fire") || len(tk.Members) != 1 {
			t.Errorf("ticket is %s, calls %+v, has members %+v: want a confirmed fire of two", tk.Verification, tk.Assignments, tk.Members)
		}
	}
}

func TestADetectorThatIsTestedIsNoWitness(t *testing.T) {
	r := newRig(t)
	r.units()
	r.detectors(2, "s", 0, 0)
	r.installing("s0", "s1")
	r.smoke("sn:s0", 1, true)
	if err := r.answer(r.newest(grid.EventSmokeAlarm).ID, true); err != nil {
		t.Fatal(err)
	}
	r.smoke("sn:s1", 1, true)
	r.coverIs(r.newest(grid.EventSmokeAlarm), grid.CoverAsked)
	r.noTicket("while two are tested, one after the other")
}

func TestAWindowLeftOpenOverARealFireIsDispatched(t *testing.T) {
	t.Run("said yes and the fire goes on", func(t *testing.T) {
		r := newRig(t)
		r.units()
		r.place(grid.Smoke, "S1", "sn:s1")
		w := r.installing("S1")
		r.smoke("sn:s1", 1, true)
		if err := r.answer(r.newest(grid.EventSmokeAlarm).ID, true); err != nil {
			t.Fatal(err)
		}
		r.later(w.ID, 19*time.Minute)
		r.noTicket("before the window's end")
		r.after(time.Minute)
		r.theTicket()
	})
	t.Run("the phone is gone", func(t *testing.T) {
		r := newRig(t)
		r.units()
		r.place(grid.Smoke, "S1", "sn:s1")
		w := r.installing("S1")
		r.after(2 * time.Minute)
		if got := must[grid.Window](t)(r.store.Window(t.Context(), w.ID)); got.EndedBy != "session" {
			t.Errorf("window is %+v: want it ended by its session", got)
		}
		r.smoke("sn:s1", 1, true)
		r.theTicket()
	})
	t.Run("the end comes before the minute is over", func(t *testing.T) {
		r := newRig(t)
		r.units()
		r.place(grid.Smoke, "S1", "sn:s1")
		w := r.installing("S1")
		r.later(w.ID, 20*time.Minute-20*time.Second)
		r.smoke("sn:s1", 1, true)
		r.noTicket("while the question stands")
		r.after(20 * time.Second)
		r.theTicket()
	})
	t.Run("it ended while the gateway was down", func(t *testing.T) {
		r := newRig(t)
		r.units()
		r.place(grid.Smoke, "S1", "sn:s1")
		r.installing("S1")
		r.smoke("sn:s1", 1, true)
		if err := r.answer(r.newest(grid.EventSmokeAlarm).ID, true); err != nil {
			t.Fatal(err)
		}
		r.close()
		r.clock.Add(int64(time.Hour))
		r.open()
		r.settle()
		r.theTicket()
	})
}

func TestAnAlarmThatGoesWithinTheMinuteIsDispatchedToo(t *testing.T) {
	r := newRig(t, func(c *Config) {
		calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
		text := strings.ReplaceAll(string(must[[]byte](t)(configs.FS.ReadFile("rules.yaml"))), "off_delay: 60s", "off_delay: 5s")
		c.Rules = must[*alarm.Rules](t)(alarm.Parse("rules.yaml", []byte(text), calendars))
	})
	r.units()
	r.place(grid.Smoke, "S1", "sn:s1")
	r.installing("S1")
	r.smoke("sn:s1", 1, true)
	r.after(10 * time.Second)
	r.smoke("sn:s1", 2, false)
	r.after(20 * time.Second)
	if a := r.newest(grid.EventSmokeAlarm); a.Active {
		t.Fatal("the detector is normal and its alarm is not over")
	}
	r.after(30 * time.Second)
	r.theTicket()
	r.after(2 * time.Minute)
	if in := r.incidents("open"); len(in) != 1 || in[0].Active != 0 {
		t.Errorf("incidents are %+v: want one without an active member", in)
	}
}

func TestWindowsOverSmokeAreNarrow(t *testing.T) {
	r := newRig(t)
	r.place(grid.Smoke, "S1", "sn:s1")
	r.place(grid.Manhole, "M1", "sn:m1")
	r.place(grid.Parking, "P1", "sn:p1")
	at := r.now()
	soon := at.Add(20 * time.Minute)
	s1, m1 := []string{"S1"}, []string{"M1"}
	work := grid.Window{Kind: grid.WindowMaintenance, Points: s1, To: soon, By: technician, Session: "s-1"}
	with := func(w grid.Window, change func(*grid.Window)) grid.Window { change(&w); return w }

	r.refused(with(work, func(w *grid.Window) { w.Session = "" }), "want the technician's live session")
	r.refused(with(work, func(w *grid.Window) { w.To = at.Add(31 * time.Minute) }), "want at most 30m0s")
	r.refused(with(work, func(w *grid.Window) { w.To = time.Time{} }), "to is missing")
	r.refused(with(work, func(w *grid.Window) { w.Points = nil }), "points and area are empty")
	r.refused(with(work, func(w *grid.Window) { w.Points = []string{"S9"} }), "not registered")
	shelf := grid.Window{Kind: grid.WindowShelved, Points: m1, Types: []grid.EventType{grid.EventManholeTilted}, To: soon, By: technician, Reason: "sinks"}
	r.refused(with(shelf, func(w *grid.Window) { w.Points = s1 }), "smoke cannot be shelved")
	r.refused(with(shelf, func(w *grid.Window) { w.Types = []grid.EventType{grid.EventSmokeAlarm} }), "want none of smoke")
	r.refused(with(shelf, func(w *grid.Window) { w.Types = []grid.EventType{grid.EventManholeOpen} }), "is P1 at M1")
	r.refused(with(shelf, func(w *grid.Window) { w.Reason = "" }), "reason is empty")
	r.refused(with(shelf, func(w *grid.Window) { w.To = at.Add(8 * 24 * time.Hour) }), "want at most 168h")
	out := grid.Window{Kind: grid.WindowOutOfService, Points: s1, To: at.Add(20 * time.Hour), By: dutyLead, Reason: "dust", Patrol: "lin"}
	r.refused(with(out, func(w *grid.Window) { w.By = technician }), "want a supervisor")
	r.refused(with(out, func(w *grid.Window) { w.Patrol = "" }), "patrol is empty")
	r.refused(with(out, func(w *grid.Window) { w.Reason = "" }), "reason is empty")
	r.refused(with(out, func(w *grid.Window) { w.To = at.Add(25 * time.Hour) }), "want at most 24h")
	r.refused(grid.Window{Kind: grid.WindowPermit, Points: []string{"P1"}, Holder: "x", To: soon, By: technician}, "want manholes")
	r.refused(grid.Window{Kind: grid.WindowPermit, Points: m1, To: soon, By: technician}, "holder is empty")
	r.refused(grid.Window{Kind: grid.WindowExercise, Points: s1, Lead: "wu", To: soon, By: dutyLead}, "script is empty")
	r.refused(grid.Window{Kind: "nap", Points: s1, To: soon, By: dutyLead}, "want one of")

	w := r.window(with(work, func(w *grid.Window) { w.ID = "w-1" }))
	if again := r.window(with(work, func(w *grid.Window) { w.ID = "w-1" })); again.From != w.From {
		t.Errorf("the same window again is %+v, want the first", again)
	}
	r.refused(with(shelf, func(w *grid.Window) { w.ID = "w-1" }), "want another id")
	if _, err := r.engine.ExtendWindow(t.Context(), "w-1", at.Add(40*time.Minute), technician, ""); err == nil || !strings.Contains(err.Error(), "30m0s") {
		t.Errorf("a window over smoke is extended beyond half an hour: %v", err)
	}
	page := must[state.Page[state.Audit]](t)(r.store.ListAudit(t.Context(), state.Query{Type: "window.open"}))
	if len(page.Items) != 1 || page.Items[0].By.Name != "ma" {
		t.Errorf("audit is %+v: want the one window by ma", page.Items)
	}
}

func TestAnAreaNeverCoversSmoke(t *testing.T) {
	r := newRig(t)
	r.units()
	reg := placed(grid.Smoke, "S1", "sn:s1", r.now())
	reg.Points[0].Building = "b"
	r.put(reg)
	r.window(grid.Window{Kind: grid.WindowMaintenance, Area: grid.Area{Building: "b"}, To: r.now().Add(20 * time.Hour), By: technician})
	r.smoke("sn:s1", 1, true)
	r.theTicket()
}

func TestSmokeOutOfServiceAsksThePatrol(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "S1", "sn:s1")
	r.window(grid.Window{Kind: grid.WindowOutOfService, Points: []string{"S1"}, To: r.now().Add(20 * time.Hour), By: dutyLead, Reason: "dust", Patrol: "lin"})
	r.smoke("sn:s1", 1, true)
	a := r.newest(grid.EventSmokeAlarm)
	r.coverIs(a, grid.CoverAsked)
	if a.Cover.Of != "lin" {
		t.Errorf("asked is %q, want the patrol", a.Cover.Of)
	}
	r.after(time.Minute)
	r.theTicket()
}

func TestWhatAWindowHoldsBackIsJudgedAgainAtItsEnd(t *testing.T) {
	for _, kind := range []grid.WindowKind{grid.WindowMaintenance, grid.WindowShelved, grid.WindowOutOfService} {
		for _, active := range []bool{true, false} {
			t.Run(fmt.Sprint(kind, " active ", active), func(t *testing.T) {
				r := newRig(t)
				r.units()
				r.place(grid.Door, "D1", "sn:d1")
				r.window(grid.Window{
					Kind: kind, Points: []string{"D1"}, Types: []grid.EventType{grid.EventDoorHeldOpen}, To: r.now().Add(2 * time.Hour), By: technician, Reason: "hinges",
				})
				r.say("sn:d1", `{"door.open":true,"seq":1}`)
				r.after(11 * time.Minute)
				a := r.newest(grid.EventDoorHeldOpen)
				r.coverIs(a, grid.CoverHeld)
				r.noTicket("in the window")
				r.restart()
				if !active {
					r.say("sn:d1", `{"door.open":false,"seq":2}`)
				}
				r.after(49 * time.Minute)
				r.say("sn:d1", fmt.Sprintf(`{"door.open":%v,"seq":3}`, active))
				r.after(time.Hour - time.Second)
				r.noTicket("a second before its end")
				r.restart()
				r.after(time.Second)
				if !active {
					r.noTicket("after the end, and the door is closed")
					return
				}
				if tk := r.theTicket(); tk.Alarm != a.ID || !tk.Opened.Equal(r.now()) {
					t.Errorf("ticket of %s is opened %s: want that of the episode, from the end of the window", tk.Alarm, tk.Opened)
				}
			})
		}
	}
}

func TestAShelfEndsWhereLifeIsAtStake(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "S1", "sn:s1")
	reg := placed(grid.Parking, "L1", "sn:l1", r.now())
	reg.Points[0].Rules = "fire_lane"
	r.put(reg)
	r.window(grid.Window{
		Kind: grid.WindowShelved, Points: []string{"L1"}, Types: []grid.EventType{grid.EventFireLaneBlocked}, To: r.now().Add(2 * time.Hour), By: technician, Reason: "market",
	})
	r.say("sn:l1", `{"parking.occupied":true,"seq":1}`)
	r.after(4 * time.Minute)
	r.coverIs(r.newest(grid.EventFireLaneBlocked), grid.CoverHeld)
	r.noTicket("shelved")
	r.smoke("sn:s1", 1, true)
	if n := len(r.tickets()); n != 2 {
		t.Errorf("%d tickets, want the fire's and the lane's", n)
	}
	if a := r.newest(grid.EventFireLaneBlocked); a.Priority != 1 || a.Ticket == "" {
		t.Errorf("blocked lane is %+v: want it P1 with a ticket", a)
	}
}

func (r *rig) permit(n int, end time.Duration) grid.Window {
	r.t.Helper()
	var points []string
	for i := range n {
		points = append(points, fmt.Sprintf("M%02d", i))
		r.place(grid.Manhole, points[i], grid.Identity("sn:"+points[i]))
	}
	return r.window(grid.Window{ID: "permit", Kind: grid.WindowPermit, Points: points, Holder: "u-utility", To: r.now().Add(end), By: dutyLead, Reason: "drains"})
}

func (r *rig) cover(i, seq int, open bool) {
	r.t.Helper()
	r.say(grid.Identity(fmt.Sprintf("sn:M%02d", i)), fmt.Sprintf(`{"manhole.open":%v,"seq":%d}`, open, seq))
}

func (r *rig) questions() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for _, d := range r.sent {
		if d.Type == "permit.question" && d.Unit == "u-utility" {
			seen[d.ID] = true
		}
	}
	return len(seen)
}

func TestAnOpenCoverInAPermitIsTheHoldersForTenMinutes(t *testing.T) {
	byHolder := grid.Actor{Role: grid.RoleUnit, Name: "u-utility", Unit: "u-utility"}
	t.Run("guarded, and closed in time", func(t *testing.T) {
		r := newRig(t)
		r.units()
		w := r.permit(1, 3*time.Hour)
		r.cover(0, 1, true)
		r.after(6 * time.Second)
		a := r.newest(grid.EventManholeOpen)
		r.coverIs(a, grid.CoverAsked)
		if n := r.questions(); n != 1 {
			t.Errorf("%d questions went to the holder, want one", n)
		}
		other := grid.Actor{Role: grid.RoleUnit, Name: "u-property", Unit: "u-property"}
		if _, err := r.engine.AnswerAlarm(t.Context(), a.ID, grid.WindowAnswer{Yes: true, By: other}); grid.CodeOf(err) != grid.Forbidden {
			t.Errorf("another unit answers: %v, want it forbidden", err)
		}
		must[grid.Alarm](t)(r.engine.AnswerAlarm(t.Context(), a.ID, grid.WindowAnswer{Yes: true, By: byHolder}))
		r.after(time.Hour)
		r.cover(0, 2, false)
		r.after(2 * time.Hour)
		r.noTicket("after the permit")
		if got := must[grid.Window](t)(r.store.Window(t.Context(), w.ID)); got.Open() {
			t.Error("the permit has not ended by itself")
		}
	})
	t.Run("no answer", func(t *testing.T) {
		r := newRig(t)
		r.units()
		r.permit(1, 3*time.Hour)
		r.cover(0, 1, true)
		r.after(6 * time.Second)
		r.restart()
		r.after(10*time.Minute - 10*time.Second)
		r.noTicket("within ten minutes")
		r.after(15 * time.Second)
		if tk := r.theTicket(); tk.Priority != 1 {
			t.Errorf("ticket is %s, want P1", tk.Priority)
		}
	})
	t.Run("still open at the end", func(t *testing.T) {
		r := newRig(t)
		r.units()
		r.permit(1, time.Hour)
		r.cover(0, 1, true)
		r.after(6 * time.Second)
		must[grid.Alarm](t)(r.engine.AnswerAlarm(t.Context(), r.newest(grid.EventManholeOpen).ID, grid.WindowAnswer{Yes: true, By: byHolder}))
		r.after(50 * time.Minute)
		r.noTicket("guarded")
		r.after(10 * time.Minute)
		r.theTicket()
	})
}

func TestCrewsLiftFortyCoversInATyphoonAndOneThatNobodyGuardsIsFound(t *testing.T) {
	const covers = 40
	r := newRig(t)
	r.units()
	must[grid.Posture](t)(r.engine.SwitchPosture(t.Context(), grid.Posture{Name: grid.PostureTyphoon, To: r.now().Add(12 * time.Hour), By: dutyLead}))
	r.permit(covers, 6*time.Hour)
	r.place(grid.Manhole, "stolen", "sn:stolen")
	for i := range covers {
		r.cover(i, 1, true)
	}
	r.after(10 * time.Second)
	r.noTicket("forty covers are lifted")
	if n := r.questions(); n != 1 {
		t.Errorf("%d questions went to the crew, want one for all that stand", n)
	}
	byHolder := grid.Actor{Role: grid.RoleUnit, Name: "u-utility", Unit: "u-utility"}
	got := must[[]grid.Alarm](t)(r.engine.AnswerPermit(t.Context(), "permit", grid.WindowAnswer{Yes: true, By: byHolder}))
	if len(got) != covers {
		t.Errorf("the crew answered for %d covers, want %d", len(got), covers)
	}
	r.say("sn:stolen", `{"manhole.open":true,"seq":1}`) // outside the permit
	r.after(10 * time.Second)
	if tk := r.theTicket(); tk.Point != "stolen" || tk.Priority != 1 {
		t.Errorf("ticket is of %s, %s: want the cover outside the permit, P1", tk.Point, tk.Priority)
	}
	r.restart()
	for i := 1; i < covers; i++ { // the first is forgotten
		r.cover(i, 2, false)
	}
	r.after(6 * time.Hour)
	open := 0
	for _, tk := range r.tickets() {
		if tk.Type == grid.EventManholeOpen {
			open++
		}
	}
	if a := r.newest(grid.EventManholeOpen); open > 2 || a.Priority != 1 {
		t.Errorf("%d tickets of open covers: want that of the stolen one and that of the forgotten one, or one for both by their cell", open)
	}
	for _, a := range r.alarms(state.Query{Point: "M00", Type: string(grid.EventManholeOpen)}) {
		if a.Active && a.Ticket == "" {
			t.Errorf("the forgotten cover has no ticket: %+v", a)
		}
	}
}

func (r *rig) drill(script ...grid.Expected) grid.Window {
	r.t.Helper()
	return r.window(grid.Window{
		ID: "drill", Kind: grid.WindowExercise, Area: grid.Area{Building: "s"}, To: r.now().Add(time.Hour), By: dutyLead, Lead: "wu", Script: script, Reason: "drill",
	})
}

// alive makes the points of a building live.
func (r *rig) alive(n int, building string) {
	r.t.Helper()
	for i := range n {
		name := fmt.Sprint(building, i)
		reg := placed(grid.Smoke, name, grid.Identity("sn:"+name), r.now())
		reg.Points[0].Building, reg.Points[0].Mode, reg.Devices[0].Mode = building, grid.Live, grid.Live
		r.put(reg)
	}
}

func TestAnAlarmOfTheScriptIsPracticeAndSmokeThatIsNotInItIsLive(t *testing.T) {
	r := newRig(t)
	r.units()
	var live []grid.Unit
	for _, k := range []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.Property, grid.Committee} {
		live = append(live, grid.Unit{ID: "live-" + string(k), Kind: k, Tier: 2, Mode: grid.Live, Connector: "webhook", URL: "http://127.0.0.1:1/", Entry: "auto"})
	}
	r.put(grid.Registration{Units: live})
	r.alive(3, "s")
	at := r.now()
	r.drill(grid.Expected{Point: "s0", Type: grid.EventSmokeAlarm, From: at, To: at.Add(10 * time.Minute)})
	r.smoke("sn:s0", 1, true)
	a, tk := r.newest(grid.EventSmokeAlarm), r.theTicket()
	if a.Mode != grid.Exercise || tk.Mode != grid.Exercise {
		t.Errorf("alarm is %s, ticket %s: want an exercise", a.Mode, tk.Mode)
	}
	for _, as := range tk.Assignments {
		if strings.HasPrefix(as.Unit, "live-") {
			t.Errorf("the exercise called the live unit %s", as.Unit)
		}
	}
	for _, ev := range r.events(grid.EventSmokeAlarm) {
		if ev.Mode != grid.Exercise {
			t.Errorf("event is %s: want an exercise", ev.Mode)
		}
	}
	r.smoke("sn:s1", 1, true) // a real fire in the same building
	all := r.tickets()
	if len(all) != 2 || all[1].Mode != grid.Live || !called(all[1], "live-micro_fire_station") || all[1].Verification == grid.VerifiedTrue {
		t.Errorf("tickets are %+v: want a live one of its own for the detector that is not in the script, unconfirmed by practice", all)
	}
	r.smoke("sn:s0", 2, false)
	r.after(5 * time.Minute)
	r.restart()
	r.after(6 * time.Minute) // its line is over, and the exercise is not
	r.smoke("sn:s0", 3, true)
	if a := r.newest(grid.EventSmokeAlarm); a.Mode != grid.Live || a.Ticket == "" {
		t.Errorf("alarm after its line of the script is %+v: want it live", a)
	}
}

func TestWhatIsStillActiveAfterTheExerciseIsLive(t *testing.T) {
	for _, by := range []string{"its line", "its leader", "a restart"} {
		t.Run(by, func(t *testing.T) {
			r := newRig(t)
			r.units()
			r.alive(1, "s")
			at := r.now()
			w := r.drill(grid.Expected{Point: "s0", Type: grid.EventSmokeAlarm, From: at, To: at.Add(10 * time.Minute)})
			r.smoke("sn:s0", 1, true)
			switch by {
			case "its line":
				r.after(10 * time.Minute)
			case "its leader":
				must[grid.Window](t)(r.engine.EndWindow(t.Context(), w.ID, dutyLead, "over"))
				r.settle()
			default:
				r.close()
				r.clock.Add(int64(2 * time.Hour))
				r.open()
				r.settle()
			}
			live := 0
			for _, a := range r.alarms(state.Query{State: "active"}) {
				if tk := must[grid.Ticket](t)(r.store.Ticket(t.Context(), a.Ticket)); a.Mode == grid.Live && tk.Mode == grid.Live && a.Previous != "" {
					live++
				}
			}
			if n := len(r.tickets()); live != 1 || n != 2 {
				t.Errorf("%d active episodes are live with a live ticket, %d tickets: want one, and that of the exercise", live, n)
			}
		})
	}
}

func (r *rig) posture(name grid.PostureName, d time.Duration) {
	r.t.Helper()
	must[grid.Posture](r.t)(r.engine.SwitchPosture(r.t.Context(), grid.Posture{Name: name, To: r.now().Add(d), By: dutyLead, Reason: "weather"}))
	r.settle()
}

func TestHeavyRainRaisesHighWaterAndEndsByItself(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := newRig(t)
		r.units()
		r.place(grid.Manhole, "M1", "sn:m1")
		r.place(grid.Manhole, "M2", "sn:m2")
		r.say("sn:m1", `{"manhole.flooded":true,"seq":1}`)
		r.after(2 * time.Minute)
		if tk := r.theTicket(); tk.Priority != 2 {
			t.Fatalf("ticket is %s, want P2", tk.Priority)
		}
		r.posture(grid.PostureHeavyRain, 3*time.Hour)
		if restart {
			r.restart()
		}
		a := r.newest(grid.EventManholeFlooded)
		if tk := r.theTicket(); tk.Priority != 1 || a.Priority != 1 {
			t.Errorf("ticket is %s, alarm %s: want what is active judged again, P1", tk.Priority, a.Priority)
		}
		r.after(3 * time.Hour)
		if p := must[grid.Posture](t)(r.engine.Posture(t.Context())); p.Name != grid.PostureNormal {
			t.Errorf("posture is %+v: want it ended by itself", p)
		}
		reg := placed(grid.Manhole, "M3", "sn:m3", r.now())
		reg.Points[0].Cell = "310105006001002"
		r.put(reg)
		r.say("sn:m3", `{"manhole.flooded":true,"seq":1}`)
		r.after(2 * time.Minute)
		if a := r.newest(grid.EventManholeFlooded); a.Point != "M3" || a.Priority != 2 {
			t.Errorf("alarm after the rain is %+v: want P2", a)
		}
	}
}

func TestATyphoonWaitsLongerAndMakesOneJobOfACell(t *testing.T) {
	r := newRig(t)
	r.units()
	r.posture(grid.PostureTyphoon, 12*time.Hour)
	for i := range 5 {
		name := fmt.Sprint("T", i)
		r.place(grid.Manhole, name, grid.Identity("sn:"+name))
		r.say(grid.Identity("sn:"+name), `{"manhole.tilt":20,"seq":1}`)
	}
	r.after(30 * time.Second)
	r.noTicket("half a minute of wind")
	r.after(40 * time.Second)
	if tk := r.theTicket(); len(tk.Members) != 4 || tk.Priority != 2 {
		t.Errorf("ticket is %s with %d members: want P2, and the covers of the cell in one", tk.Priority, len(tk.Members))
	}
}

func TestASwitchOfPostureJudgesWhatWaits(t *testing.T) {
	r := newRig(t)
	r.units()
	r.posture(grid.PostureTyphoon, 12*time.Hour)
	r.place(grid.Manhole, "M1", "sn:m1")
	r.say("sn:m1", `{"manhole.tilt":20,"seq":1}`)
	r.after(20 * time.Second)
	r.noTicket("in the typhoon's minute")
	must[grid.Posture](t)(r.engine.SwitchPosture(t.Context(), grid.Posture{Name: grid.PostureNormal, By: dutyLead}))
	r.after(time.Second) // 10 s in the normal one, long over
	r.theTicket()
}

func TestOnlyTheDutyLeadSwitchesThePosture(t *testing.T) {
	r := newRig(t)
	soon := r.now().Add(time.Hour)
	for wish, p := range map[string]grid.Posture{
		"want the duty lead": {Name: grid.PostureTyphoon, To: soon, By: technician},
		"want one of":        {Name: "siesta", To: soon, By: dutyLead},
		"at most 168h":       {Name: grid.PostureTyphoon, To: r.now().Add(8 * 24 * time.Hour), By: dutyLead},
		"want when":          {Name: grid.PostureTyphoon, By: dutyLead},
	} {
		if _, err := r.engine.SwitchPosture(t.Context(), p); err == nil || !strings.Contains(err.Error(), wish) {
			t.Errorf("posture %+v: error is %v, want … %s", p, err, wish)
		}
	}
}

func TestNoPostureDelaysSmoke(t *testing.T) {
	for _, p := range grid.PostureNames[1:] {
		r := newRig(t)
		r.units()
		r.posture(p, time.Hour)
		r.place(grid.Smoke, "S1", "sn:s1")
		r.smoke("sn:s1", 1, true)
		r.theTicket()
		r.close()
	}
}

func TestSmokeThatAPersonReportsIsAWitness(t *testing.T) {
	for _, first := range []string{"detector", "person"} {
		r := newRig(t)
		r.units()
		r.place(grid.Smoke, "S1", "sn:s1")
		r.installing("S1")
		word := report(grid.EventSmokeAlarm, "119-7")
		word.Point, word.Place = "S1", ""
		if first == "person" {
			r.file(word)
		}
		r.smoke("sn:s1", 1, true)
		if first == "detector" {
			r.coverIs(r.newest(grid.EventSmokeAlarm), grid.CoverAsked)
			r.file(word)
		}
		for _, a := range r.alarms(state.Query{}) {
			if a.Ticket == "" {
				t.Errorf("%s first: alarm %+v with cover %+v has no ticket", first, a, a.Cover)
			}
		}
	}
}
