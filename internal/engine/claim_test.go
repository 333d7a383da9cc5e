package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// waitsFor gives what is done beside the state goroutine its time.
func (r *rig) waitsFor(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: it does not come", what)
		}
	}
}

func (r *rig) waitingFrames(id grid.Identity) int {
	r.t.Helper()
	return len(must[state.Page[grid.QuarantinedFrame]](r.t)(r.store.ListQuarantine(r.t.Context(), state.Query{State: "waiting", Device: string(id), Limit: 1000})).Items)
}

// claimed is a claim of sn:new at a new point.
func claimed(kind grid.Kind, point string, id grid.Identity, at time.Time) grid.Claim {
	reg := placed(kind, point, id, at)
	return grid.Claim{Device: reg.Devices[0], Point: &reg.Points[0], Installations: reg.Installations, Act: grid.Act{By: tester}}
}

func TestAClaimMakesThePointAndProcessesWhatWaited(t *testing.T) {
	r := newRig(t)
	r.units()
	r.say("sn:new", `{"smoke.alarm":true,"seq":1}`)
	c := claimed(grid.Smoke, "S9", "sn:new", time.Time{})
	c.Key = "k1"
	for n := range 2 { // the phone sends it again
		done, err := r.engine.ClaimWith(t.Context(), c)
		if err != nil || done.Point == nil || done.Point.ID != "S9" || done.Waiting != 0 {
			t.Fatalf("claim %d: %+v, %v", n, done, err)
		}
	}
	r.settle()
	if a := r.alarms(state.Query{Type: string(grid.EventSmokeAlarm)}); len(a) != 1 || a[0].Ticket == "" {
		t.Errorf("alarms are %+v: want the smoke that is still active, once, with its ticket", a)
	}
	if d := must[grid.Device](t)(r.store.Device(t.Context(), "sn:new")); d.State != grid.Installed {
		t.Errorf("device is %s", d.State)
	}
	if d := must[[]grid.Discovered](t)(r.engine.Discovered(t.Context(), 10)); len(d) != 0 {
		t.Errorf("discovered is %+v", d)
	}
}

func TestAClaimThatFailsLeavesNoPoint(t *testing.T) {
	r := newRig(t)
	r.say("sn:new", `{"smoke.alarm":false,"seq":1}`)
	c := claimed(grid.Smoke, "S9", "sn:new", time.Time{})
	c.Device.Profile = "no/such"
	if _, err := r.engine.ClaimWith(t.Context(), c); grid.CodeOf(err) != grid.Invalid {
		t.Fatalf("error is %v", err)
	}
	if _, err := r.store.Point(t.Context(), "S9"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("the point is there: %v", err)
	}
}

func TestFramesOfAClaimThatACrashCutOffAreProcessedAtTheNextStart(t *testing.T) {
	const n = replayChunk + 40
	for _, before := range []int{0, replayChunk} { // how many were processed before the crash
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			r := newRig(t)
			r.units()
			var frames []grid.Frame
			for i := range n {
				f := frame("sn:new", fmt.Sprintf(`{"seq":%d,"manhole.open":%t}`, i+1, i == n-1))
				f.Received = r.now().Add(time.Duration(i-1000) * time.Minute)
				frames = append(frames, f)
			}
			r.send(frames...)
			c := claimed(grid.Manhole, "M9", "sn:new", r.now().Add(-24*time.Hour))
			_, err := r.engine.registryCommand(t.Context(), "claim", c.Act, func(b *batch) (any, error) { return b.claim(c) })
			if err != nil {
				t.Fatal(err)
			}
			if before > 0 {
				held := must[[]grid.QuarantinedFrame](t)(r.engine.waiting(t.Context(), r.idsOf("sn:new")))[:before]
				last := map[grid.Identity]string{"sn:new": "a later one"}
				if got, err := r.engine.replayAll(t.Context(), held, newReplay(last, tester)); err != nil || got != before {
					t.Fatalf("%d, %v", got, err)
				}
			}
			if got := r.waitingFrames("sn:new"); got != n-before {
				t.Fatalf("%d frames wait: want %d", got, n-before)
			}
			r.restart()
			r.waitsFor("the rest of the claim", func() bool { return r.waitingFrames("sn:new") == 0 })
			r.settle()
			if ev := r.events(grid.EventManholeOpen); len(ev) != 1 {
				t.Errorf("%d events: want the one that is still so", len(ev))
			}
			if got := r.ledger(); got[grid.Quarantined] != 0 || got[grid.Processed] != n {
				t.Errorf("ledger is %v: want %d processed", got, n)
			}
		})
	}
}

func (r *rig) idsOf(id grid.Identity) []string {
	var ids []string
	for _, q := range must[state.Page[grid.QuarantinedFrame]](r.t)(r.store.ListQuarantine(r.t.Context(), state.Query{State: "waiting", Device: string(id), Limit: 1000})).Items {
		ids = append(ids, q.ID)
	}
	return ids
}

func TestAClaimWhoseCallerIsGoneIsFinishedWithoutARestart(t *testing.T) {
	r := newRig(t)
	r.say("sn:new", `{"manhole.open":false,"seq":1}`)
	c := claimed(grid.Manhole, "M9", "sn:new", time.Time{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := r.engine.registryCommand(ctx, "claim", c.Act, func(b *batch) (any, error) {
		b.after = append(b.after, cancel) // the phone loses its network as soon as it is done
		return b.claim(c)
	})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	r.engine.claimsLeft()
	r.waitsFor("the frame", func() bool { return r.waitingFrames("sn:new") == 0 })
}

var reachOfA = grid.Scope{Contractor: "firm-a"}

// inHandsOf puts the point of a claim into a contractor's hands.
func inHandsOf(c grid.Claim, contractor string) grid.Claim {
	p := *c.Point
	p.Contractor = contractor
	c.Point, c.Reach = &p, reachOfA
	return c
}

func TestATokenClaimsOnceAndOnlyWhatItIsFor(t *testing.T) {
	r := newRig(t)
	r.put(grid.Registration{Devices: []grid.Device{
		{Identity: "sn:a", Profile: "gridgate/json"}, {Identity: "sn:b", Profile: "gridgate/json"}, {Identity: "sn:c", Profile: "gridgate/json"}, {Identity: "sn:d", Profile: "gridgate/json"},
	}})
	must[[]grid.ClaimLabel](t)(r.engine.PutLabels(t.Context(), []grid.ClaimLabel{
		{Device: "sn:a", Hash: "hash-a", Scope: reachOfA}, {Device: "sn:b", Hash: "hash-b", Scope: grid.Scope{Contractor: "firm-b"}}, {Device: "sn:c", Hash: "hash-c", Expires: r.now().Add(time.Hour)}, {Device: "sn:d", Hash: "hash-d"},
	}, grid.Act{By: tester}))
	must[int](t)(r.engine.RevokeLabels(t.Context(), "sn:d", grid.Act{By: tester, Reason: "the box was lost"}))
	r.after(2 * time.Hour)
	try := func(id grid.Identity, point, token string, change func(*grid.Claim)) error {
		c := inHandsOf(claimed(grid.Door, point, id, time.Time{}), "firm-a")
		c.Device.Profile, c.Token = "", token
		if change != nil {
			change(&c)
		}
		_, err := r.engine.ClaimWith(t.Context(), c)
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		code grid.Code
		say  string
	}{
		{"without its token", try("sn:a", "D1", "", nil), grid.Forbidden, "want its code scanned"},
		{"with another device's token", try("sn:a", "D1", "hash-c", nil), grid.Forbidden, "not one of device"},
		{"with an invented token", try("sn:a", "D1", "hash-x", nil), grid.Forbidden, "not one of device"},
		{"for another contractor", try("sn:b", "D1", "hash-b", nil), grid.Forbidden, "another contractor"},
		{"an expired one", try("sn:c", "D1", "hash-c", nil), grid.Forbidden, "expired"},
		{"a revoked one", try("sn:d", "D1", "hash-d", nil), grid.Forbidden, "the box was lost"},
		{"at another's point", try("sn:a", "D1", "hash-a", func(c *grid.Claim) { c.Point.Contractor = "firm-b" }), grid.Forbidden, "not in your hands"},
		{"at no point", try("sn:a", "D1", "hash-a", func(c *grid.Claim) { c.Installations = nil }), grid.Invalid, "want the point"},
	} {
		if grid.CodeOf(c.err) != c.code || !strings.Contains(fmt.Sprint(c.err), c.say) {
			t.Errorf("%s: %v: want %s, %q", c.name, c.err, c.code, c.say)
		}
	}
	if err := try("sn:a", "D1", "hash-a", nil); err != nil {
		t.Fatal(err)
	}
	if err := try("sn:a", "D1", "hash-a", func(c *grid.Claim) { c.Point = nil }); err != nil {
		t.Errorf("the same once more: %v", err)
	}
	if err := try("sn:a", "D2", "hash-a", nil); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "D1") {
		t.Errorf("elsewhere, with a photo of the label: %v: want a conflict that says where it is", err)
	}
	ls := must[[]grid.ClaimLabel](t)(r.store.ClaimLabels(t.Context(), "sn:a"))
	if len(ls) != 1 || ls[0].Used.IsZero() || ls[0].EndedBy.Name != tester.Name {
		t.Errorf("label is %+v: want it used", ls)
	}
}

func TestATokenOfADeviceThatWasTakenOutDoesNotClaimItAgain(t *testing.T) {
	r := newRig(t)
	r.put(grid.Registration{Devices: []grid.Device{{Identity: "sn:a", Profile: "gridgate/json"}}})
	must[[]grid.ClaimLabel](t)(r.engine.PutLabels(t.Context(), []grid.ClaimLabel{{Device: "sn:a", Hash: "hash-a"}}, grid.Act{By: tester}))
	c := inHandsOf(claimed(grid.Door, "D1", "sn:a", time.Time{}), "firm-a")
	c.Token = "hash-a"
	must[grid.Claimed](t)(r.engine.ClaimWith(t.Context(), c))
	page := must[state.Page[grid.Installation]](t)(r.store.ListInstallations(t.Context(), state.Query{Device: "sn:a", State: "current"}))
	page.Items[0].To = r.now()
	if err := r.engine.Put(t.Context(), nil, nil, page.Items, nil); err != nil {
		t.Fatal(err)
	}
	c = inHandsOf(claimed(grid.Door, "D2", "sn:a", time.Time{}), "firm-a")
	c.Token = "hash-a"
	if _, err := r.engine.ClaimWith(t.Context(), c); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "was used") {
		t.Errorf("error is %v: want that it was used", err)
	}
}

func TestANewLabelEndsTheOneBefore(t *testing.T) {
	r := newRig(t)
	r.put(grid.Registration{Devices: []grid.Device{{Identity: "sn:a", Profile: "gridgate/json"}}})
	for _, hash := range []string{"one", "two"} {
		must[[]grid.ClaimLabel](t)(r.engine.PutLabels(t.Context(), []grid.ClaimLabel{{Device: "sn:a", Hash: hash}}, grid.Act{By: tester}))
	}
	ls := must[[]grid.ClaimLabel](t)(r.store.ClaimLabels(t.Context(), "sn:a"))
	held := 0
	for i := range ls {
		if ls[i].Holds(r.now()) && ls[i].Hash == "two" {
			held++
		} else if ls[i].Holds(r.now()) {
			t.Errorf("label %+v holds", ls[i])
		}
	}
	if held != 1 || len(ls) != 2 {
		t.Errorf("labels are %+v", ls)
	}
	r.place(grid.Door, "D1", "sn:there")
	if _, err := r.engine.PutLabels(t.Context(), []grid.ClaimLabel{{Device: "sn:there", Hash: "x"}}, grid.Act{By: tester}); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a label for a device that is at a point: %v", err)
	}
}

func TestAnIgnoredStrangerIsListedApartAndStillCounted(t *testing.T) {
	r := newRig(t)
	r.say("sn:theirs", `{"door.open":true,"seq":1}`)
	if _, err := r.engine.Ignore(t.Context(), "sn:theirs", grid.Act{By: tester}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := r.engine.Ignore(t.Context(), "sn:none", grid.Act{By: tester, Reason: "x"}); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("one that nobody heard: %v", err)
	}
	must[grid.Discovered](t)(r.engine.Ignore(t.Context(), "sn:theirs", grid.Act{By: tester, Reason: "the neighbour's"}))
	r.restart()
	r.say("sn:theirs", `{"door.open":false,"seq":2}`)
	if d := must[[]grid.Discovered](t)(r.engine.Discovered(t.Context(), 10)); len(d) != 0 {
		t.Errorf("discovered is %+v: want it apart", d)
	}
	d := must[[]grid.Discovered](t)(r.engine.IgnoredStrangers(t.Context(), 10))
	if len(d) != 1 || d[0].Frames != 2 || d[0].Ignored == nil || d[0].Ignored.Reason != "the neighbour's" || d[0].Ignored.By.Name != tester.Name {
		t.Fatalf("ignored are %+v: want it with two frames and the reason", d)
	}
	if n := r.waitingFrames("sn:theirs"); n != 2 {
		t.Errorf("%d frames wait: want both", n)
	}
	must[grid.Discovered](t)(r.engine.Unignore(t.Context(), "sn:theirs", grid.Act{By: tester}))
	r.restart()
	if d := must[[]grid.Discovered](t)(r.engine.Discovered(t.Context(), 10)); len(d) != 1 || d[0].Ignored != nil {
		t.Errorf("discovered is %+v: want it back", d)
	}
}

func TestAnIgnoredStrangerThatSpeaksOfSmokeIsNotSilent(t *testing.T) {
	r := newRig(t)
	r.units()
	r.say("sn:theirs", `{"smoke.alarm":false,"seq":1}`)
	must[grid.Discovered](t)(r.engine.Ignore(t.Context(), "sn:theirs", grid.Act{By: tester, Reason: "the neighbour's"}))
	before := len(r.alarms(state.Query{}))
	r.say("sn:theirs", `{"smoke.alarm":true,"seq":2}`)
	a := r.alarms(state.Query{Type: string(grid.EventSafetyUnreadable)})
	if len(a) == 0 || !a[0].Active || a[0].Priority != 1 {
		t.Errorf("alarms are %+v (%d before): want safety.unreadable P1", a, before)
	}
}

func TestAStrangerIsShownWithWhatItSays(t *testing.T) {
	r := newRig(t)
	r.say("sn:new", `{"door.open":true,"seq":1}`)
	f := frame("sn:new", `{`)
	r.send(f)
	s := must[grid.Stranger](t)(r.engine.Stranger(t.Context(), "sn:new", "", 10))
	if len(s.Heard) != 2 || s.Frames != 2 || s.Transport != "mqtt" || s.Source != "test" || s.Guess == "" || len(s.Guesses) == 0 || s.Guesses[0].Reason == "" {
		t.Fatalf("stranger is %+v", s)
	}
	old := s.Heard[1]
	if len(old.Readings) == 0 || old.Readings[0].Signal != grid.DoorOpen || old.Profile != "gridgate/json" || old.Hex == "" {
		t.Errorf("frame is %+v: want the reading of the best guess", old)
	}
	if s.Heard[0].Error == "" || len(s.Heard[0].Readings) != 0 {
		t.Errorf("frame is %+v: want why it cannot be read", s.Heard[0])
	}
	if _, err := r.engine.Stranger(t.Context(), "sn:none", "", 10); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("one that nobody heard: %v", err)
	}
}

func TestANewStrangerIsToldOnce(t *testing.T) {
	var told []grid.Discovered
	r := newRig(t, func(c *Config) { c.Discover = func(d grid.Discovered) { told = append(told, d) } })
	r.say("sn:new", `{"door.open":true,"seq":1}`)
	r.say("sn:new", `{"door.open":true,"seq":2}`)
	r.close()
	if len(told) != 1 || told[0].Identity != "sn:new" || told[0].Guess == "" {
		t.Errorf("told %+v: want it once, with its guess", told)
	}
}
