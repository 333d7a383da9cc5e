package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var visitor = grid.Actor{Role: grid.RoleUnit, Name: "li", Unit: "u-maintenance"}

func visitRig(t testing.TB) *rig {
	plans := must[*commission.Plans](t)(commission.Parse("commissioning.yaml", must[[]byte](t)(configs.FS.ReadFile("commissioning.yaml"))))
	return newRig(t, func(c *Config) { c.Commission = plans })
}

func (r *rig) visit(id string, device grid.Identity, point string, change ...func(*grid.NewVisit)) grid.Visit {
	r.t.Helper()
	n := grid.NewVisit{ID: id, Device: device, Point: point, By: visitor}
	for _, f := range change {
		f(&n)
	}
	v, err := r.engine.StartVisit(r.t.Context(), n)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func offlineSince(at time.Time) func(*grid.NewVisit) {
	return func(n *grid.NewVisit) { n.Offline, n.Started = true, at }
}

func (r *rig) inVisit(id string, w grid.VisitWord) grid.Visit {
	r.t.Helper()
	if w.Result == "" {
		w.Result = grid.StepPassed
	}
	w.By = visitor
	v, err := r.engine.SayInVisit(r.t.Context(), id, w, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// photoOf is a photo of a point, and the word that it was taken.
func (r *rig) photoOf(visit, point string, at time.Time) {
	r.t.Helper()
	p, err := r.engine.AddPhoto(r.t.Context(), grid.PointPhoto{Point: point, SHA256: "ab", Original: point + visit, Type: "image/jpeg", Shows: "near"}, grid.Act{By: visitor})
	if err != nil {
		r.t.Fatal(err)
	}
	r.inVisit(visit, grid.VisitWord{Step: "photo", Photo: p.ID, At: at})
}

func (r *rig) sign(id string, pass bool, at time.Time) grid.Visit {
	r.t.Helper()
	end := grid.VisitEnd{Visit: id, Pass: pass, At: at, By: visitor}
	if !pass {
		end.Reasons = []string{"it does not hold"}
	}
	v, err := r.engine.FinishVisit(r.t.Context(), end, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *rig) visitNow(id string) grid.Visit {
	r.t.Helper()
	r.settle()
	return must[grid.Visit](r.t)(r.store.Visit(r.t.Context(), id))
}

func (r *rig) wantVisit(id string, want grid.VisitState) grid.Visit {
	r.t.Helper()
	v := r.visitNow(id)
	if v.State != want {
		r.t.Fatalf("visit %s is %s because of %v, want %s: %+v", id, v.State, v.Reasons, want, v.Steps)
	}
	return v
}

func (r *rig) wantPoint(id string, want grid.PointState) {
	r.t.Helper()
	if p := must[grid.Point](r.t)(r.store.Point(r.t.Context(), id)); p.State != want && !(want == grid.PointActive && p.State == "") {
		r.t.Errorf("point %s is %q, want %s", id, p.State, want)
	}
}

// A door from box to trusted point, with a new start of the gateway between any two steps.
func TestADoorIsCommissionedAcrossRestarts(t *testing.T) {
	r := visitRig(t)
	r.place(grid.Door, "d-1", "sn:d1")
	v := r.visit("v1", "sn:d1", "d-1")
	if len(v.Steps) == 0 || v.State != grid.VisitOpen {
		t.Fatalf("visit is %+v", v)
	}
	next := func() {
		r.restart()
		r.after(30 * time.Second)
	}
	next()
	r.say("sn:d1", `{"seq":1,"door.open":false,"battery.level":97,"rssi":-60}`)
	next()
	r.photoOf("v1", "d-1", time.Time{})
	if v := r.inVisit("v1", grid.VisitWord{Step: "rest"}); v.Step("rest").State != grid.StepWaiting {
		t.Errorf("rest is %s at once: what is on its way would be taken for the next act", v.Step("rest").State)
	}
	next()
	if v := r.visitNow("v1"); v.Step("rest").State != grid.StepPassed {
		t.Errorf("rest is %s after a while: %+v", v.Step("rest").State, v.Step("rest").Detail)
	}
	r.say("sn:d1", `{"seq":2,"door.open":true}`)
	next()
	r.say("sn:d1", `{"seq":3,"door.open":false}`)
	next()
	r.sign("v1", true, time.Time{})
	v = r.wantVisit("v1", grid.VisitPassed)
	if v.Heard != 3 || v.Signed == nil || v.Signed.By.Name != "li" || !v.Newest {
		t.Errorf("visit is %+v", v)
	}
	r.wantPoint("d-1", grid.PointActive)
	if got := r.sign("v1", true, time.Time{}); got.State != grid.VisitPassed {
		t.Errorf("finished again it is %s", got.State)
	}
	if _, err := r.engine.FinishVisit(t.Context(), grid.VisitEnd{Visit: "v1", Reasons: []string{"no"}, By: visitor}, ""); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("failed after it has passed: %v, want a conflict", err)
	}
	if n := len(r.tickets()); n != 0 {
		t.Errorf("%d tickets, want none", n)
	}
}

// Offline: signed in the cellar, told to us later, proven by a frame that comes even later
// and says that it is of then.
func TestAnOfflineVisitIsPendingUntilTheTestFrameOfThatDeviceInThatVisit(t *testing.T) {
	r := visitRig(t)
	r.units()
	r.place(grid.Smoke, "s-1", "sn:s1")
	r.place(grid.Smoke, "s-2", "sn:s2")
	r.after(time.Hour)
	began := r.now()
	ended := began.Add(10 * time.Minute)
	r.after(3 * time.Hour)
	r.visit("v1", "sn:s1", "s-1", offlineSince(began))
	r.photoOf("v1", "s-1", began.Add(time.Minute))
	if v := r.sign("v1", true, ended); v.State != grid.VisitPending {
		t.Fatalf("visit is %s without a frame, want pending", v.State)
	}
	r.wantPoint("s-1", grid.PointPending)

	r.say("sn:s2", fmt.Sprintf(`{"seq":1,"test":true,"at":%d}`, began.Add(5*time.Minute).Unix()))
	r.wantVisit("v1", grid.VisitPending) // another device
	r.say("sn:s1", fmt.Sprintf(`{"seq":1,"test":true,"at":%d}`, began.Add(-5*time.Minute).Unix()))
	r.wantVisit("v1", grid.VisitPending) // before the visit
	r.say("sn:s1", `{"seq":2,"test":true}`)
	r.wantVisit("v1", grid.VisitPending) // now, long after it
	r.restart()
	r.say("sn:s1", fmt.Sprintf(`{"seq":3,"test":true,"at":%d}`, began.Add(5*time.Minute).Unix()))
	v := r.wantVisit("v1", grid.VisitPassed)
	if len(v.Frames) != 1 || !v.Frames[0].At.Equal(began.Add(5*time.Minute)) {
		t.Errorf("frames are %+v: want the one of then", v.Frames)
	}
	r.wantPoint("s-1", grid.PointActive)
	r.after(48 * time.Hour)
	for _, tk := range r.tickets() {
		if tk.Type == grid.EventCommissioningPending {
			t.Errorf("ticket %+v: the frame had come", tk)
		}
	}
}

func TestAfterADayATechnicianIsSentAndANewVisitEndsIt(t *testing.T) {
	r := visitRig(t)
	r.units()
	r.place(grid.Smoke, "s-1", "sn:s1")
	r.visit("v1", "sn:s1", "s-1", func(n *grid.NewVisit) { n.Offline = true })
	r.photoOf("v1", "s-1", time.Time{})
	r.sign("v1", true, time.Time{})
	pending := func() (out []grid.Ticket) {
		for _, tk := range r.tickets() {
			if tk.Type == grid.EventCommissioningPending {
				out = append(out, tk)
			}
		}
		return out
	}
	r.after(23 * time.Hour)
	if n := len(pending()); n != 0 {
		t.Fatalf("%d tickets after 23 hours, want none", n)
	}
	r.close()
	r.clock.Add(int64(90 * time.Minute)) // it comes due while the gateway is down
	r.open()
	r.settle()
	all := pending()
	if len(all) != 1 || len(all[0].Assignments) == 0 || all[0].Assignments[0].Unit != "u-maintenance" {
		t.Fatalf("tickets are %+v: want one for the maintenance unit", all)
	}
	if ev := r.events(grid.EventCommissioningPending); len(ev) != 1 || ev[0].Kind != grid.KindLifecycle || !strings.Contains(ev[0].Detail, "Press the test button") {
		t.Errorf("events are %+v: want one of kind lifecycle that says what is missing", ev)
	}
	r.after(48 * time.Hour)
	if n := len(pending()); n != 1 {
		t.Errorf("%d tickets, want one once", n)
	}
	v := r.wantVisit("v1", grid.VisitPending)
	if v.Alarm != all[0].Alarm {
		t.Errorf("visit names alarm %s, want %s", v.Alarm, all[0].Alarm)
	}
	// He comes again.
	r.visit("v2", "sn:s1", "s-1")
	if old := r.wantVisit("v1", grid.VisitFailed); !strings.Contains(old.Reasons[0].EN, "replaced by another visit") {
		t.Errorf("the old visit failed because of %v", old.Reasons)
	}
	r.photoOf("v2", "s-1", time.Time{})
	r.say("sn:s1", `{"seq":9,"test":true}`)
	r.sign("v2", true, time.Time{})
	r.wantVisit("v2", grid.VisitPassed)
	r.wantPoint("s-1", grid.PointActive)
	if a := r.alarms(state.Query{Type: string(grid.EventCommissioningPending)}); len(a) != 1 || a[0].Active {
		t.Errorf("alarm is %+v, want it cleared", a)
	}
}

// What is pending may turn out to be wrong: by its own frames, then somebody has to go there at
// once; or by a person, who knows it already.
func TestWhatWasPendingAndFailsByItsFramesSendsATechnicianAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		turn    func(r *rig, began time.Time)
		tickets int
	}{
		"its frames": {func(r *rig, began time.Time) {
			r.say("sn:d1", fmt.Sprintf(`{"seq":2,"door.open":false,"at":%d}`, began.Add(5*time.Minute).Unix()))
		}, 1},
		"a person": {func(r *rig, _ time.Time) { r.sign("v1", false, time.Time{}) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := visitRig(t)
			r.units()
			r.place(grid.Door, "d-1", "sn:d1")
			r.after(time.Minute)
			began := r.now()
			r.say("sn:d1", `{"seq":1,"door.open":true}`)
			r.after(time.Hour)
			r.visit("v1", "sn:d1", "d-1", offlineSince(began))
			r.photoOf("v1", "d-1", began.Add(time.Minute))
			r.inVisit("v1", grid.VisitWord{Step: "rest", At: began.Add(2 * time.Minute)})
			if v := r.sign("v1", true, began.Add(10*time.Minute)); v.State != grid.VisitPending {
				t.Fatalf("visit is %s: %+v", v.State, v.Steps)
			}
			c.turn(r, began)
			r.wantVisit("v1", grid.VisitFailed)
			r.wantPoint("d-1", grid.PointPending)
			n := 0
			for _, tk := range r.tickets() {
				if tk.Type == grid.EventCommissioningPending {
					n++
				}
			}
			if n != c.tickets {
				t.Errorf("%d technicians are sent, want %d", n, c.tickets)
			}
		})
	}
}

// The device was unknown and the phone without a network: what the device said then waits in
// the quarantine and in the journal.
func TestWhatCameBeforeWeHeardOfTheVisitIsLookedThrough(t *testing.T) {
	r := visitRig(t)
	r.put(grid.Registration{Points: []grid.Point{{ID: "d-1", Name: "d", Kind: grid.Door, Scope: rigScope, Mode: grid.Simulated}}})
	r.say("sn:d1", `{"seq":1,"door.open":false}`) // before
	r.after(time.Hour)
	began := r.now()
	say := func(after time.Duration, payload string) {
		f := frame("sn:d1", payload)
		f.Received = began.Add(after)
		r.clock.Store(f.Received.UnixNano())
		r.send(f)
	}
	say(5*time.Second, `{"seq":2,"door.open":false,"battery.level":99}`)
	say(60*time.Second, `{"seq":3,"door.open":true}`)
	say(90*time.Second, `{"seq":4,"door.open":false}`)
	r.after(2 * time.Hour)
	if _, err := r.engine.Claim(t.Context(), grid.Device{Identity: "sn:d1", Profile: "gridgate/json", Mode: grid.Simulated},
		[]grid.Installation{{Device: "sn:d1", Channel: grid.MainChannel, Point: "d-1", From: began}}); err != nil {
		t.Fatal(err)
	}
	v := r.visit("v1", "sn:d1", "d-1", offlineSince(began))
	if v.Heard != 3 {
		t.Fatalf("%d frames are in the visit, want the 3 since it began: %+v", v.Heard, v.Frames)
	}
	if again := r.visit("v1", "sn:d1", "d-1", offlineSince(began)); again.Heard != 3 {
		t.Errorf("begun again it has %d frames", again.Heard)
	}
	r.photoOf("v1", "d-1", began.Add(2*time.Minute))
	r.inVisit("v1", grid.VisitWord{Step: "rest", At: began.Add(20 * time.Second)})
	if v := r.sign("v1", true, began.Add(3*time.Minute)); v.State != grid.VisitPassed {
		t.Errorf("visit is %s because of %v, want passed: all was shown then", v.State, v.Reasons)
	}
}

func TestAPendingPointCountsAsNotProtected(t *testing.T) {
	r := visitRig(t)
	r.units()
	for i := range 4 {
		id := fmt.Sprint("s-", i)
		reg := placed(grid.Smoke, id, grid.Identity("sn:"+id), r.now())
		reg.Points[0].Building = "b-1"
		r.put(reg)
		r.say(grid.Identity("sn:"+id), `{"seq":1,"smoke.alarm":false}`)
	}
	lost := func() int {
		n := 0
		for _, a := range r.alarms(state.Query{Type: string(grid.EventProtectionLost)}) {
			if a.Active {
				n++
			}
		}
		return n
	}
	r.visit("v1", "sn:s-0", "s-0")
	r.photoOf("v1", "s-0", time.Time{})
	r.settle()
	if lost() != 0 {
		t.Fatal("protection is lost before anything happened")
	}
	r.sign("v1", true, time.Time{})
	r.settle()
	r.settle()
	if lost() != 1 {
		t.Error("one of four smoke points is pending and the building counts as protected")
	}
	r.say("sn:s-0", `{"seq":2,"test":true}`) // in the time that a frame may take
	r.wantVisit("v1", grid.VisitPassed)
	r.settle()
	if lost() != 0 {
		t.Error("the point has passed and the building counts as not protected")
	}
	// What failed is not protected either, and can be found.
	r.visit("v2", "sn:s-1", "s-1")
	v, err := r.engine.FinishVisit(t.Context(), grid.VisitEnd{Visit: "v2", Gateway: true, By: visitor}, "")
	if err != nil || v.State != grid.VisitFailed || !v.Gateway || !strings.Contains(v.Reasons[0].EN, "needs a gateway") {
		t.Errorf("visit is %+v, %v: want it failed for want of a gateway", v, err)
	}
	r.settle()
	if lost() != 1 {
		t.Error("a point without coverage counts as protected")
	}
	page := must[state.Page[grid.Visit]](t)(r.store.ListVisits(t.Context(), state.Query{State: "needs_gateway"}))
	if len(page.Items) != 1 || page.Items[0].ID != "v2" {
		t.Errorf("those that need a gateway are %+v", page.Items)
	}
}

// The window belongs to the visit: it opens with it, asks the visitor, and ends with it.
func TestTheWindowOfAVisitAsksTheTechnician(t *testing.T) {
	r := visitRig(t)
	r.units()
	r.place(grid.Smoke, "s-1", "sn:s1")
	v := r.visit("v1", "sn:s1", "s-1", func(n *grid.NewVisit) { n.Session = "phone" })
	if v.Window == nil || v.Window.To.Sub(r.now()) != 30*time.Minute {
		t.Fatalf("window is %+v, want 30 minutes on smoke", v.Window)
	}
	r.say("sn:s1", `{"seq":1,"smoke.alarm":true}`)
	v = r.visitNow("v1")
	if v.Question == nil || v.Step("test").State != grid.StepPassed {
		t.Fatalf("question is %+v and the test is %s", v.Question, v.Step("test").State)
	}
	if _, err := r.engine.AnswerVisit(t.Context(), "v1", grid.WindowAnswer{Yes: true, Session: "another", By: visitor}); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("another session answers: %v", err)
	}
	v, err := r.engine.AnswerVisit(t.Context(), "v1", grid.WindowAnswer{Yes: true, Session: "phone", By: visitor})
	if err != nil || v.Question != nil {
		t.Fatalf("after the answer the question is %+v, %v", v.Question, err)
	}
	r.say("sn:s1", `{"seq":2,"smoke.alarm":false}`)
	r.photoOf("v1", "s-1", time.Time{})
	r.sign("v1", true, time.Time{})
	v = r.wantVisit("v1", grid.VisitPassed)
	if v.Window != nil {
		t.Errorf("window is still %+v", v.Window)
	}
	if open := must[[]grid.Window](t)(r.store.OpenWindows(t.Context())); len(open) != 0 {
		t.Errorf("windows are open after the visit: %+v", open)
	}
	if n := len(r.tickets()); n != 0 {
		t.Errorf("%d tickets of a test, want none", n)
	}
	// The same smoke a moment later is a fire.
	r.after(time.Second)
	r.say("sn:s1", `{"seq":3,"smoke.alarm":true}`)
	if tk := r.theTicket(); tk.Type != grid.EventSmokeAlarm {
		t.Errorf("ticket is %+v", tk)
	}
}

// The technician says yes, and leaves while the detector still says smoke.
func TestASmokeThatIsStillThereAtTheEndOfTheVisitIsDispatched(t *testing.T) {
	r := visitRig(t)
	r.units()
	r.place(grid.Smoke, "s-1", "sn:s1")
	r.visit("v1", "sn:s1", "s-1", func(n *grid.NewVisit) { n.Session = "phone" })
	r.say("sn:s1", `{"seq":1,"smoke.alarm":true}`)
	if _, err := r.engine.AnswerVisit(t.Context(), "v1", grid.WindowAnswer{Yes: true, Session: "phone", By: visitor}); err != nil {
		t.Fatal(err)
	}
	r.photoOf("v1", "s-1", time.Time{})
	r.sign("v1", true, time.Time{})
	r.settle()
	if tk := r.theTicket(); tk.Type != grid.EventSmokeAlarm {
		t.Errorf("ticket is %+v", tk)
	}
}

func TestARightContactAndAWrongOneAreToldApartInTheField(t *testing.T) {
	r := visitRig(t)
	r.place(grid.Door, "d-1", "sn:d1")
	r.visit("v1", "sn:d1", "d-1")
	r.say("sn:d1", `{"seq":1,"door.open":true}`) // it is closed
	r.photoOf("v1", "d-1", time.Time{})
	r.inVisit("v1", grid.VisitWord{Step: "rest"})
	r.after(10 * time.Second)
	r.say("sn:d1", `{"seq":2,"door.open":false}`)
	r.after(10 * time.Second)
	r.say("sn:d1", `{"seq":3,"door.open":true}`)
	v := r.sign("v1", true, time.Time{})
	if v.State != grid.VisitFailed || !strings.Contains(v.Reasons[0].ZH, "接线方向反了") {
		t.Errorf("visit is %s because of %v, want failed with what to do", v.State, v.Reasons)
	}
	r.wantPoint("d-1", grid.PointPending)
}

func TestAVisitIsOfADeviceThatIsThere(t *testing.T) {
	r := visitRig(t)
	r.place(grid.Door, "d-1", "sn:d1")
	r.place(grid.Door, "d-2", "sn:d2")
	for name, c := range map[string]struct {
		device grid.Identity
		point  string
		code   grid.Code
	}{
		"another point":  {"sn:d1", "d-2", grid.Conflict},
		"no such device": {"sn:x", "d-1", grid.NotFound},
		"no such point":  {"sn:d1", "d-9", grid.NotFound},
	} {
		if _, err := r.engine.StartVisit(t.Context(), grid.NewVisit{ID: "v-" + name, Device: c.device, Point: c.point, By: visitor}); grid.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	r.visit("v1", "sn:d1", "d-1")
	if _, err := r.engine.StartVisit(t.Context(), grid.NewVisit{ID: "v1", Device: "sn:d2", Point: "d-2", By: visitor}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("the same id for another device: %v, want a conflict", err)
	}
	if _, err := r.engine.FinishVisit(t.Context(), grid.VisitEnd{Visit: "v1", Pass: true, By: visitor}, ""); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "rest, photo") {
		t.Errorf("signed before the work is done: %v, want a conflict that names it", err)
	}
	for name, w := range map[string]grid.VisitWord{
		"a step that is none":      {Step: "dance", Result: grid.StepPassed},
		"skipped without a word":   {Step: "tamper", Result: grid.StepSkipped},
		"a photo that is none":     {Step: "photo", Result: grid.StepPassed},
		"position without a place": {Step: "position", Result: grid.StepPassed},
	} {
		if _, err := r.engine.SayInVisit(t.Context(), "v1", w, ""); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	if _, err := r.engine.SayInVisit(t.Context(), "v1", grid.VisitWord{Step: "photo", Result: grid.StepPassed, Photo: "x"}, ""); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a photo that is not there: %v", err)
	}
	r.after(25 * time.Hour)
	v := r.wantVisit("v1", grid.VisitFailed)
	if v.Signed != nil || v.Reasons[0].EN != "nobody has signed a verdict" {
		t.Errorf("a visit that everybody forgot is %+v", v)
	}
	r.wantPoint("d-1", grid.PointActive)
}

// By chance: two detectors, frames of both, of then and of now, words, verdicts, restarts. A
// visit never passes without a test frame of its own device from within it.
func TestNoVisitPassesWithoutTheTestFrameOfItsDevice(t *testing.T) {
	r := visitRig(t)
	r.place(grid.Smoke, "s-1", "sn:s1")
	r.place(grid.Smoke, "s-2", "sn:s2")
	passed := 0
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		id := fmt.Sprint("v", seed)
		began := r.now()
		r.after(time.Duration(rnd.IntN(30)) * time.Minute)
		offline := rnd.IntN(2) == 0
		v := r.visit(id, "sn:s1", "s-1", func(n *grid.NewVisit) {
			if n.Offline = offline; offline {
				n.Started = began
			}
		})
		r.photoOf(id, "s-1", time.Time{})
		proof := false
		until := time.Time{}
		for range 6 {
			r.after(time.Duration(1+rnd.IntN(90)) * time.Second)
			at := r.now()
			switch rnd.IntN(7) {
			case 0:
				r.say("sn:s2", fmt.Sprintf(`{"seq":%d,"test":true}`, at.UnixNano()%1e9))
			case 1:
				r.say("sn:s1", `{"battery.level":90}`)
			case 2: // kept by the device since before the visit
				r.say("sn:s1", fmt.Sprintf(`{"test":true,"at":%d}`, v.Started.Add(-10*time.Minute).Unix()))
			case 3:
				proof = proof || until.IsZero() || !at.After(until)
				r.say("sn:s1", fmt.Sprintf(`{"test":true,"temperature":%d}`, rnd.IntN(40)))
			case 4:
				if rnd.IntN(4) == 0 {
					r.restart()
				}
			default:
				if got := r.sign(id, true, time.Time{}); until.IsZero() {
					until = got.Until
				}
			}
			got := r.visitNow(id)
			if got.State == grid.VisitPassed && !proof {
				t.Fatalf("seed %d: passed without proof: %+v", seed, got)
			}
			if got.State == grid.VisitPassed {
				passed++
				break
			}
		}
		r.after(20 * time.Minute)
	}
	if passed < 3 {
		t.Errorf("%d visits passed: the story is of no use", passed)
	}
}
