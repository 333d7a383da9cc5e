package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/state"
)

// bell is a smoke detector whose profile has versions.
const bell = "acme/bell"

// bellFiles are the files of a version of bell. A candidate differs by replacements, in
// pairs, in profile and cases alike.
func bellFiles(version string, replace ...string) map[string]string {
	edit := strings.NewReplacer(replace...).Replace
	return map[string]string{
		"profile.yaml": edit(`
profile: acme/bell
version: "` + version + `"
vendor: Acme
model: Bell
kinds: [smoke]
source: made for these tests
interval: 1h
counter: {source: payload, field: n, bits: 16}
codec: json
fields:
  - {name: smoke, path: s}
  - {name: battery, path: b}
  - {name: n, path: n}
signals:
  smoke.alarm: smoke
  battery.level: battery
`),
		"cases.yaml": edit(`
cases:
  - {name: calm, text: '{"s":false,"b":80,"n":1}', want: {readings: {smoke.alarm: false, battery.level: 80}, sequence: 1}}
  - {name: fire, text: '{"s":true,"b":80,"n":2}', want: {readings: {smoke.alarm: true, battery.level: 80}, sequence: 2}}
`),
	}
}

// Candidates: halved reads the battery as half of what it is; deaf hears a fire only in
// another key; strict fails on a battery that is not said; words reads on and off too.
func halved(v string) map[string]string {
	return bellFiles(v, "battery.level: battery", "battery.level: {field: battery, scale: 0.5}", "battery.level: 80", "battery.level: 40")
}

func deaf(v string) map[string]string {
	return bellFiles(v, "path: s}", "path: x}", `"s":`, `"x":`)
}

func words(v string) map[string]string {
	return bellFiles(v, "path: s}", `path: s, enum: {"on": fire, "off": calm}}`, "smoke.alarm: smoke", "smoke.alarm: {field: smoke, is: fire}", `"s":false`, `"s":"off"`, `"s":true`, `"s":"on"`)
}

func bellRig(t *testing.T, change ...func(*Config)) *rig {
	files := bellFiles("1")
	own := fstest.MapFS{bell + "/profile.yaml": {Data: []byte(files["profile.yaml"])}, bell + "/cases.yaml": {Data: []byte(files["cases.yaml"])}}
	r := newRig(t, append([]func(*Config){func(c *Config) {
		c.Profiles = must[*profile.Set](t)(profile.Load(firmwareprofiles.FS, own))
	}}, change...)...)
	r.units()
	return r
}

// bells registers n detectors at points B000, B001, …
func (r *rig) bells(n int) (ids []grid.Identity) {
	r.t.Helper()
	var reg grid.Registration
	for i := range n {
		id := grid.Identity(fmt.Sprintf("sn:bell-%03d", i))
		p := placed(grid.Smoke, fmt.Sprintf("B%03d", i), id, r.now())
		p.Devices[0].Profile = bell
		reg.Points, reg.Devices, reg.Installations = append(reg.Points, p.Points...), append(reg.Devices, p.Devices...), append(reg.Installations, p.Installations...)
		ids = append(ids, id)
	}
	r.put(reg)
	return ids
}

// ring sends one frame of each detector.
func (r *rig) ring(n int, text string, ids ...grid.Identity) {
	r.t.Helper()
	var frames []grid.Frame
	for _, id := range ids {
		frames = append(frames, frame(id, fmt.Sprintf(text, n)))
	}
	r.send(frames...)
}

const calm, fire = `{"s":false,"b":80,"n":%d}`, `{"s":true,"b":80,"n":%d}`

var tester = grid.Actor{Role: grid.RoleSupervisor, Name: "li"}

func (r *rig) start(files map[string]string, stage grid.RolloutStage, share int) profile.Rollout {
	r.t.Helper()
	s := profile.RolloutStart{Files: files, Stage: stage, Share: share, Reason: "trial", By: tester}
	out := must[profile.Rollout](r.t)(r.engine.StartRollout(r.t.Context(), s))
	r.settle()
	return out
}

func (r *rig) set(stage grid.RolloutStage, share int) (profile.Rollout, error) {
	r.t.Helper()
	out, err := r.engine.SetRollout(r.t.Context(), profile.RolloutChange{Profile: bell, Stage: stage, Share: share, By: tester})
	r.settle()
	return out, err
}

func (r *rig) back() profile.Rollout {
	r.t.Helper()
	out := must[profile.Rollout](r.t)(r.engine.BackRollout(r.t.Context(), profile.RolloutChange{Profile: bell, Reason: "not good", By: tester}))
	r.settle()
	return out
}

func (r *rig) standing() profile.Rollout {
	r.t.Helper()
	return must[profile.Rollout](r.t)(r.engine.Rollout(r.t.Context(), bell))
}

func (r *rig) battery(point string) float64 {
	r.t.Helper()
	return r.live(point, grid.BatteryLevel).Value
}

func wantCode(t *testing.T, err error, code grid.Code, words string) {
	t.Helper()
	if grid.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
		t.Errorf("error is %v: want %s with %q", err, code, words)
	}
}

func TestShadowCountsAndTouchesNothing(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(3)
	r.start(halved("2"), grid.RolloutShadow, 0)
	r.ring(1, calm, ids...)
	if v := r.battery("B000"); v != 80 {
		t.Errorf("battery is %v: want 80, as the version in force says", v)
	}
	s := r.standing()
	if s.InForce != "1" || s.Version != "2" || s.Stage != grid.RolloutShadow || !s.Running || s.Live == nil {
		t.Fatalf("roll-out is %+v", s)
	}
	if d := s.Live; d.Frames != 3 || d.Changed != 3 || d.LostAlarms != 0 {
		t.Errorf("live comparison is %+v: want 3 frames, all changed", d)
	}
	for _, f := range s.Live.Fields {
		if f.Field == "battery.level" && (f.Changed != 3 || f.Examples[0].Old != "80" || f.Examples[0].New != "40") {
			t.Errorf("battery: %+v: want 80 → 40 three times", f)
		}
		if f.Field == "smoke.alarm" && f.Differs() {
			t.Errorf("smoke.alarm: %+v: want no difference", f)
		}
	}
}

func TestShadowThatFailsOrPanicsTouchesNoFrame(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(2)
	r.start(words("2"), grid.RolloutShadow, 0)
	r.ring(1, calm, ids...)
	r.ring(2, fire, ids[0])
	if n := len(r.quarantine()); n != 0 {
		t.Errorf("%d frames in quarantine: want none", n)
	}
	r.theTicket()
	if d := r.standing().Live; d.NewErrors != 3 || d.LostAlarms != 1 || len(d.Alarms) != 1 || d.Alarms[0].Device != ids[0] {
		t.Errorf("live comparison is %+v: want 3 new errors, and the fire of %s lost", d, ids[0])
	}
}

func TestShareIsStableGrowsAndIsNamedByItsFrames(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(200)
	r.start(halved("2"), grid.RolloutShare, 20)
	r.ring(1, calm, ids...)
	chosen := func() (out []string) {
		for i := range ids {
			if p := fmt.Sprintf("B%03d", i); r.battery(p) == 40 {
				out = append(out, p)
			}
		}
		return out
	}
	small := chosen()
	if len(small) < 20 || len(small) > 62 {
		t.Fatalf("%d of 200 devices are in a share of 20 %%", len(small))
	}
	r.restart()
	r.ring(2, calm, ids...)
	if again := chosen(); strings.Join(again, " ") != strings.Join(small, " ") {
		t.Errorf("after a restart the share is %v: want %v", again, small)
	}
	if _, err := r.set(grid.RolloutShare, 60); err != nil {
		t.Fatal(err)
	}
	r.ring(3, calm, ids...)
	large := chosen()
	if len(large) < 90 || len(large) > 150 {
		t.Errorf("%d of 200 devices are in a share of 60 %%", len(large))
	}
	for _, p := range small {
		if !strings.Contains(strings.Join(large, " "), p) {
			t.Errorf("%s left the share when it grew", p)
		}
	}
	r.ring(4, fire, grid.Identity("sn:bell-"+small[0][1:]))
	if ev := r.events(grid.EventSmokeAlarm); len(ev) != 1 || ev[0].Profile != "acme/bell@2" {
		t.Errorf("the alarm of a device in the share is %+v: want it by acme/bell@2", ev)
	}
	var outside string
	for i := range ids {
		if p := fmt.Sprintf("B%03d", i); !strings.Contains(strings.Join(large, " "), p) {
			outside = p
		}
	}
	r.ring(4, fire, grid.Identity("sn:bell-"+outside[1:]))
	if ev := r.events(grid.EventSmokeAlarm); len(ev) != 2 || ev[1].Profile != "acme/bell@1" {
		t.Errorf("the alarm of a device outside the share is %+v: want it by acme/bell@1", ev)
	}
}

func TestShareByListHasThoseDevicesAlone(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(5)
	s := profile.RolloutStart{Files: halved("2"), Stage: grid.RolloutShare, Devices: ids[1:3], By: tester}
	if _, err := r.engine.StartRollout(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.ring(1, calm, ids...)
	for i, want := range []float64{80, 40, 40, 80, 80} {
		if v := r.battery(fmt.Sprintf("B%03d", i)); v != want {
			t.Errorf("battery of device %d is %v: want %v", i, v, want)
		}
	}
}

func TestShareIsOfDevicesThatAreRegisteredWithTheProfile(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(2)
	r.place(grid.Door, "D1", doorDev)
	for _, id := range []grid.Identity{"sn:bell-002", doorDev, ""} {
		_, err := r.engine.StartRollout(t.Context(), profile.RolloutStart{Files: halved("2"), Stage: grid.RolloutShare, Devices: []grid.Identity{ids[0], id}, By: tester})
		wantCode(t, err, grid.Invalid, "of acme/bell")
	}
	r.start(halved("2"), grid.RolloutShadow, 0)
	for _, id := range []grid.Identity{"sn:bell-002", " SN:Bell-001 "} {
		_, err := r.engine.SetRollout(t.Context(), profile.RolloutChange{Profile: bell, Stage: grid.RolloutShare, Devices: []grid.Identity{id}, By: tester})
		if id == "sn:bell-002" {
			wantCode(t, err, grid.Invalid, "of acme/bell")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	r.ring(1, calm, ids...)
	if a, b := r.battery("B000"), r.battery("B001"); a != 80 || b != 40 {
		t.Errorf("batteries are %v and %v: want 80, and 40 of the share", a, b)
	}
}

func TestDeviceIsOfItsProfileHoweverThatIsWritten(t *testing.T) {
	r := bellRig(t)
	p := placed(grid.Smoke, "B000", "sn:bell-000", r.now())
	p.Devices[0].Profile = "Acme/Bell@1"
	r.put(p)
	if of, _ := r.engine.memory.ProfileOf("sn:bell-000"); of != bell {
		t.Errorf("profile is %q: want %s", of, bell)
	}
	r.say("sn:bell-000", `{"s":"on","b":70,"n":1}`)
	if out := r.start(words("2"), grid.RolloutAll, 0); out.Waiting != 1 {
		t.Errorf("%d frames wait: want 1", out.Waiting)
	}
}

func TestAllStaysInForceOverRestartsUntilItIsTakenBack(t *testing.T) {
	newer := "1"
	r := bellRig(t, func(c *Config) {
		// What a later gridgate brings along.
		files := bellFiles(newer)
		c.Profiles = must[*profile.Set](t)(profile.Load(firmwareprofiles.FS, fstest.MapFS{bell + "/profile.yaml": {Data: []byte(files["profile.yaml"])}}))
	})
	ids := r.bells(2)
	r.ring(1, calm, ids...)
	if s := r.start(halved("2"), grid.RolloutAll, 0); s.InForce != "2" || s.Origin != profile.RolledOut || s.Running {
		t.Fatalf("roll-out is %+v: want version 2 in force", s)
	}
	r.ring(2, calm, ids...)
	if v := r.battery("B000"); v != 40 {
		t.Errorf("battery is %v: want 40, by version 2", v)
	}
	newer = "3"
	r.restart()
	r.ring(3, calm, ids...)
	if s := r.standing(); s.InForce != "2" || s.InFiles != "3" || r.battery("B001") != 40 {
		t.Errorf("after an upgrade: %+v: want the version that was rolled out in force, and the files' told", s)
	}
	r.after(time.Second) // the audit is by time
	if s := r.back(); s.InForce != "3" || s.Origin != profile.FromFiles || s.Stage != grid.RolloutBack {
		t.Errorf("taken back: %+v: want the files' version", s)
	}
	r.ring(4, calm, ids...)
	if v := r.battery("B000"); v != 80 {
		t.Errorf("battery is %v: want 80, by the files' version", v)
	}
	r.restart()
	if s := r.standing(); s.InForce != "3" || len(s.Steps) != 2 || s.Steps[1].By != tester || s.Steps[1].Reason != "not good" {
		t.Errorf("after a restart: %+v: want the history with who and why", s)
	}
	audit := must[state.Page[state.Audit]](t)(r.store.ListAudit(t.Context(), state.Query{}))
	if len(audit.Items) != 2 || audit.Items[0].Action != "profile.rollout.back" || audit.Items[0].By != tester || audit.Items[0].Subject != "acme/bell@2" {
		t.Errorf("audit is %+v", audit.Items)
	}
}

func TestSecondRollOutGoesBackToTheFirst(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(1)
	r.start(halved("2"), grid.RolloutAll, 0)
	quarter := bellFiles("3", "battery.level: battery", "battery.level: {field: battery, scale: 0.25}", "battery.level: 80", "battery.level: 20")
	r.start(quarter, grid.RolloutAll, 0)
	r.ring(1, calm, ids...)
	if v := r.battery("B000"); v != 20 {
		t.Errorf("battery is %v: want 20", v)
	}
	if s := r.back(); s.InForce != "2" || s.Origin != profile.RolledOut {
		t.Errorf("taken back: %+v: want version 2", s)
	}
	r.restart()
	r.ring(2, calm, ids...)
	if v := r.battery("B000"); v != 40 {
		t.Errorf("battery is %v: want 40, by version 2", v)
	}
	_, err := r.engine.BackRollout(t.Context(), profile.RolloutChange{Profile: bell, Reason: "again", By: tester})
	wantCode(t, err, grid.Conflict, "no roll-out to take back")
}

func TestCandidatesThatCannotBeAreRefused(t *testing.T) {
	r := bellRig(t)
	r.bells(1)
	start := func(files map[string]string, stage grid.RolloutStage, share int) error {
		_, err := r.engine.StartRollout(t.Context(), profile.RolloutStart{Files: files, Stage: stage, Share: share, By: tester})
		return err
	}
	wrongCase := halved("2")
	wrongCase["cases.yaml"] = strings.ReplaceAll(wrongCase["cases.yaml"], "40", "41")
	wantCode(t, start(wrongCase, grid.RolloutShadow, 0), grid.Invalid, "41")
	wantCode(t, start(bellFiles("1"), grid.RolloutShadow, 0), grid.Conflict, "version 1")
	wantCode(t, start(halved("2"), grid.RolloutShare, 0), grid.Invalid, "share is 0")
	wantCode(t, start(halved("2"), grid.RolloutBack, 0), grid.Invalid, "stage")
	wantCode(t, start(bellFiles("2", "kinds: [smoke]", "kinds: [door, smoke]"), grid.RolloutShadow, 0), grid.Invalid, "lanes")
	wantCode(t, start(bellFiles("2", "acme/bell", "acme/chime"), grid.RolloutShadow, 0), grid.Invalid, "is new")
	if len(r.standing().Steps) != 0 {
		t.Errorf("a refused roll-out left %+v", r.standing())
	}
	r.start(halved("2"), grid.RolloutShadow, 0)
	wantCode(t, start(halved("4"), grid.RolloutShadow, 0), grid.Conflict, "the roll-out of version 2 runs")
	r.back()
	changed := halved("2")
	changed["profile.yaml"] += "# another\n"
	wantCode(t, start(changed, grid.RolloutShadow, 0), grid.Conflict, "uploaded before with other files")
	if err := start(halved("2"), grid.RolloutShadow, 0); err != nil {
		t.Errorf("the same files again: %v", err)
	}
}

func TestNewProfileIsUsedFromItsRollOutOnAndKeptWhileDevicesHaveIt(t *testing.T) {
	r := bellRig(t)
	chime := func(v string) map[string]string { return bellFiles(v, "acme/bell", "acme/chime") }
	s := profile.RolloutStart{Files: chime("1"), Stage: grid.RolloutAll, By: tester}
	if _, err := r.engine.StartRollout(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	p := placed(grid.Smoke, "C1", "sn:chime", r.now())
	p.Devices[0].Profile = "acme/chime"
	r.put(p)
	r.restart()
	r.ring(1, fire, "sn:chime")
	r.theTicket()
	_, err := r.engine.BackRollout(t.Context(), profile.RolloutChange{Profile: "acme/chime", Reason: "no", By: tester})
	wantCode(t, err, grid.Conflict, "1 devices have it")
}

func TestStartWithTheSameKeyIsDoneOnce(t *testing.T) {
	r := bellRig(t)
	r.bells(1)
	s := profile.RolloutStart{Key: "k1", Files: halved("2"), Stage: grid.RolloutShadow, By: tester}
	for range 2 {
		if _, err := r.engine.StartRollout(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	back := profile.RolloutChange{Key: "k2", Profile: bell, Reason: "no", By: tester}
	for range 2 {
		if _, err := r.engine.BackRollout(t.Context(), back); err != nil {
			t.Fatal(err)
		}
	}
	if s := must[profile.Rollout](t)(r.engine.StartRollout(t.Context(), s)); len(s.Steps) != 2 || s.Stage != grid.RolloutBack {
		t.Errorf("steps are %+v: want one start and one back", s.Steps)
	}
}

func TestLostAlarmRefusesAShareUnlessItIsForcedWithAReason(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(2)
	r.ring(1, calm, ids...)
	r.ring(2, fire, ids[0])
	r.ring(3, calm, ids...)
	d := must[profile.Diff](t)(r.engine.DiffProfile(t.Context(), profile.DiffRequest{Files: deaf("2")}))
	if d.Frames != 5 || d.LostAlarms != 1 || len(d.Alarms) != 1 || d.Alarms[0].Signal != "smoke.alarm" || d.Alarms[0].Device != ids[0] || d.Cut != "" {
		t.Fatalf("diff is %+v: want 5 frames and the fire of %s lost", d, ids[0])
	}
	for _, stage := range []grid.RolloutStage{grid.RolloutShare, grid.RolloutAll} {
		s := profile.RolloutStart{Files: deaf("2"), Stage: stage, By: tester}
		if stage == grid.RolloutShare {
			s.Share = 50
		}
		_, err := r.engine.StartRollout(t.Context(), s)
		wantCode(t, err, grid.Conflict, "1 alarms would be lost")
	}
	s := profile.RolloutStart{Files: deaf("2"), Stage: grid.RolloutAll, Force: true, By: tester}
	_, err := r.engine.StartRollout(t.Context(), s)
	wantCode(t, err, grid.Invalid, "reason is empty")
	s.Reason = "that key was a test button"
	out := must[profile.Rollout](t)(r.engine.StartRollout(t.Context(), s))
	if last := out.Steps[0]; !last.Forced || last.Reason != s.Reason || !strings.Contains(last.Detail, "1 lost alarms") {
		t.Errorf("step is %+v: want it forced, with the reason and what it costs", last)
	}
}

func TestDiffShowsWhatTheNewVersionMends(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(40) // more than are looked up one by one
	r.ring(1, calm, ids...)
	r.ring(2, `{"s":"on","b":80,"n":%d}`, ids[:3]...)
	d := must[profile.Diff](t)(r.engine.DiffProfile(t.Context(), profile.DiffRequest{Profile: bell, Files: words("2"), Last: 41}))
	if d.Frames != 41 || d.Mended != 3 || d.NewErrors != 38 || d.Quarantine == nil || d.Quarantine.Frames != 3 || d.Quarantine.Mended != 3 {
		t.Errorf("diff is %+v, quarantine %+v: want the newest 41 frames, 3 of them mended", d, d.Quarantine)
	}
	_, err := r.engine.DiffProfile(t.Context(), profile.DiffRequest{Profile: bell})
	wantCode(t, err, grid.NotFound, "no roll-out runs")
	_, err = r.engine.DiffProfile(t.Context(), profile.DiffRequest{Files: words("2"), Last: 2_000_000})
	wantCode(t, err, grid.Invalid, "last is 2000000")
}

func TestGuardTakesAWorseCandidateBack(t *testing.T) {
	r := bellRig(t, func(c *Config) { c.Guard = Guard{Frames: 10, Percent: 20} })
	ids := r.bells(30)
	r.start(words("2"), grid.RolloutShare, 99)
	r.ring(1, calm, ids...)
	s := r.standing()
	if s.Stage != grid.RolloutBack || s.Running || s.InForce != "1" {
		t.Fatalf("roll-out is %+v: want it taken back", s)
	}
	if last := s.Steps[1]; last.By.Name != "guard" || !strings.Contains(last.Reason, "of 10 frames of the share version 2 cannot read 10, version 1 0") {
		t.Errorf("last step is %+v: want the guard and its reason", last)
	}
	if q := r.quarantine(); len(q) != 0 {
		t.Errorf("%d frames in quarantine: want what the candidate could not read read by the version in force", len(q))
	}
	if v := r.battery("B029"); v != 80 {
		t.Errorf("battery is %v: want 80", v)
	}
	r.restart()
	if s := r.standing(); s.Stage != grid.RolloutBack || s.InForce != "1" {
		t.Errorf("after a restart the roll-out is %+v", s)
	}
}

func TestGuardLeavesACandidateThatFailsWhereTheOtherFailsToo(t *testing.T) {
	r := bellRig(t, func(c *Config) { c.Guard = Guard{Frames: 10, Percent: 20} })
	ids := r.bells(30)
	r.start(halved("2"), grid.RolloutShare, 99)
	r.ring(1, `{"s":"x","b":80,"n":%d}`, ids...)
	r.ring(2, calm, ids...)
	if s := r.standing(); s.Stage != grid.RolloutShare || s.Guard.NewErrors == 0 || s.Guard.OldErrors != s.Guard.NewErrors {
		t.Errorf("roll-out is %+v, guard %+v: want it to go on", s, s.Guard)
	}
}

func TestFireThatTheCandidateDoesNotSeeIsRaisedAndEndsTheRollOut(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(3)
	s := profile.RolloutStart{Files: deaf("2"), Stage: grid.RolloutShare, Devices: ids[:2], By: tester}
	if _, err := r.engine.StartRollout(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.ring(1, calm, ids...)
	r.ring(2, fire, ids[0])
	tk := r.theTicket()
	if tk.Point != "B000" || tk.Priority != 1 {
		t.Errorf("ticket is %+v", tk)
	}
	got := r.standing()
	if got.Stage != grid.RolloutBack || !strings.Contains(got.Steps[1].Reason, "says that there is a fire") {
		t.Errorf("roll-out is %+v: want it ended by the fire", got)
	}
	if ev := r.events(grid.EventSmokeAlarm); len(ev) != 1 || ev[0].Profile != "acme/bell@1" {
		t.Errorf("events are %+v: want the alarm by version 1", ev)
	}
	r.ring(2, fire, ids[1])
	if n := len(r.tickets()); n != 2 {
		t.Errorf("%d tickets: want the next fire raised as well", n)
	}
}

func TestFireThatOnlyTheCandidateSeesIsRaisedInItsShareAlone(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(2)
	// It reads another key as well.
	keen := bellFiles("2", "smoke.alarm: smoke", "smoke.alarm: [{field: smoke}, {field: heat}]", "  - {name: battery", "  - {name: heat, path: h}\n  - {name: battery")
	s := profile.RolloutStart{Files: keen, Stage: grid.RolloutShare, Devices: ids[:1], By: tester}
	if _, err := r.engine.StartRollout(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.ring(1, `{"h":true,"b":80,"n":%d}`, ids...)
	if tk := r.theTicket(); tk.Point != "B000" {
		t.Errorf("ticket is %+v: want one, of the device in the share", tk)
	}
	if s := r.standing(); s.Stage != grid.RolloutShare {
		t.Errorf("roll-out is %+v: want it to go on", s)
	}
}

func TestFramesInThePipeAreReadByTheVersionInForceWhenTheyAreTaken(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(1)
	f := frame(ids[0], fmt.Sprintf(calm, 1))
	f.Received = r.now()
	if err := r.journal.Append(t.Context(), grid.Safety, []grid.Frame{f}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	d := &decoded{frame: f}
	d.frame.Raw = []byte(fmt.Sprintf(calm, 2))
	d.frame.Pos = grid.Pos{Lane: grid.Safety, Epoch: 1, Seq: 999}
	r.engine.dec.decode(d) // as a worker has, before the command
	r.start(halved("2"), grid.RolloutAll, 0)
	_, err := r.engine.do(t.Context(), &command{name: "test", do: func(b *batch) (any, error) {
		b.settle(d, nil)
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if v := r.battery("B000"); v != 40 || d.out.Profile != "acme/bell@2" {
		t.Errorf("battery is %v by %s: want 40 by version 2", v, d.out.Profile)
	}
}

func TestFrameOnWhichAVersionPanickedIsReadByTheOneThatIsInForceNow(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(1)
	f := frame(ids[0], fmt.Sprintf(calm, 2))
	f.Received, f.Pos = r.now(), grid.Pos{Lane: grid.Safety, Epoch: 1, Seq: 999}
	d, again := &decoded{frame: f}, &decoded{frame: f}
	for _, d := range []*decoded{d, again} {
		r.engine.dec.decode(d) // as a worker has, before the command
		d.panicked = "index out of range"
	}
	_, err := r.engine.do(t.Context(), &command{name: "test", do: func(b *batch) (any, error) { return b.settle(again, nil), nil }})
	if err != nil {
		t.Fatal(err)
	}
	if q := r.quarantine(); len(q) != 1 || q[0].Reason != grid.InternalFault {
		t.Fatalf("quarantine is %+v: want an internal fault while that version is in force", q)
	}
	r.start(halved("2"), grid.RolloutAll, 0)
	if _, err := r.engine.do(t.Context(), &command{name: "test", do: func(b *batch) (any, error) { return b.settle(d, nil), nil }}); err != nil {
		t.Fatal(err)
	}
	if v := r.battery("B000"); v != 40 || d.panicked != "" {
		t.Errorf("battery is %v, panic %q: want 40 by version 2", v, d.panicked)
	}
}

// TestSoftStateIsReplayedWithTheVersionThatReadEachFrame loses the checkpoint: all frames
// are read again at the start, each as it was read then.
func TestSoftStateIsReplayedWithTheVersionThatReadEachFrame(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(3)
	r.ring(1, calm, ids[0])
	r.start(halved("2"), grid.RolloutAll, 0)
	r.ring(1, calm, ids[1])
	r.back()
	r.ring(1, calm, ids[2])
	want := []float64{80, 40, 80}
	check := func(when string) {
		t.Helper()
		for i, v := range want {
			if got := r.battery(fmt.Sprintf("B%03d", i)); got != v {
				t.Errorf("%s: battery of device %d is %v: want %v", when, i, got, v)
			}
		}
		if s := r.standing(); s.InForce != "1" {
			t.Errorf("%s: version %s is in force: want 1", when, s.InForce)
		}
	}
	check("before")
	r.close()
	removeFile(t, filepath.Join(r.dir, checkpointFile))
	r.open()
	check("after a start without a checkpoint")
}

// otherCounter counts in another key.
func otherCounter(v string) map[string]string {
	return bellFiles(v, "path: n}", "path: m}", `"n":1}`, `"n":7,"m":1}`, `"n":2}`, `"n":7,"m":2}`, "battery.level: 80}, sequence", "battery.level: 80}, sequence")
}

func TestOtherCounterBeginsANewSessionAndIsNoShare(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(1)
	both := `{"s":false,"b":80,"n":%d,"m":%d}`
	say := func(n, m int) { t.Helper(); r.say(ids[0], fmt.Sprintf(both, n, m)) }
	for i := 950; i < 1000; i++ { // the window of the old counter is full
		say(i, i-30)
	}
	s := profile.RolloutStart{Files: otherCounter("2"), Stage: grid.RolloutShare, Share: 50, By: tester}
	_, err := r.engine.StartRollout(t.Context(), s)
	wantCode(t, err, grid.Invalid, "counter differently")
	before := r.ledger()[grid.Processed]
	r.start(otherCounter("2"), grid.RolloutAll, 0)
	for i := 1000; i < 1010; i++ { // by the new counter 970 to 979: the old one had them
		say(i, i-30)
	}
	if got := r.ledger()[grid.Processed] - before; got != 10 {
		t.Errorf("%d of 10 frames were processed: want none taken for a repeat", got)
	}
	want := r.ledger()
	r.close()
	removeFile(t, filepath.Join(r.dir, checkpointFile))
	r.open()
	say(1010, 980)
	if got := r.ledger(); got[grid.Processed] != want[grid.Processed]+1 {
		t.Errorf("ledger is %v after a start without a checkpoint: want one more processed than %v", got, want)
	}
}

func TestReplayAfterAFixFillsHistoryAndRaisesNothingForThePast(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(3)
	unread := `{"s":"%s","b":%d,"n":%d}`
	r.say(ids[0], fmt.Sprintf(unread, "on", 70, 1)) // a fire that nobody could read …
	r.say(ids[1], fmt.Sprintf(unread, "off", 71, 1))
	r.say(ids[2], fmt.Sprintf(unread, "on", 72, 1))
	r.after(10 * time.Minute)
	r.say(ids[2], `{"s":false,"b":73,"n":2}`) // … and one that is over
	if n := len(r.quarantine()); n != 3 {
		t.Fatalf("%d frames in quarantine: want 3", n)
	}
	if ev := r.events(grid.EventSmokeAlarm); len(ev) != 0 {
		t.Fatalf("events are %+v", ev)
	}
	if out := r.start(words("2"), grid.RolloutAll, 0); out.Waiting != 3 {
		t.Errorf("%d frames wait: want 3 offered for a replay", out.Waiting)
	}
	through, still, err := r.engine.ReplayOf(t.Context(), bell, tester)
	if err != nil || through != 3 || still != 0 {
		t.Fatalf("replay: %d through, %d still, %v: want 3 and none", through, still, err)
	}
	r.settle()
	raised := map[string]bool{}
	for _, ev := range r.events(grid.EventSmokeAlarm) {
		if ev.Action == "raised" {
			raised[ev.Point] = true
		}
	}
	if !raised["B000"] || raised["B001"] || raised["B002"] {
		t.Errorf("raised at %v: want it at B000 alone, whose fire is its newest word", raised)
	}
	late := map[string]bool{}
	for _, ev := range r.events(grid.EventSmokeLate) {
		late[ev.Point] = true
	}
	if !late["B002"] || late["B001"] {
		t.Errorf("late smoke at %v: want it at B002, where it was overtaken", late)
	}
	if v := r.battery("B001"); v != 71 {
		t.Errorf("battery is %v: want 71 out of the quarantine", v)
	}
	if v := r.battery("B002"); v != 73 {
		t.Errorf("battery is %v: want 73, newer than what was replayed", v)
	}
	r.ledger()
}

func TestReplayOfAProfileCountsWhatStillFails(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(2)
	r.say(ids[0], `{"s":"on","b":70,"n":1}`)
	r.say(ids[1], `no json`)
	r.start(words("2"), grid.RolloutAll, 0)
	through, still, err := r.engine.ReplayOf(t.Context(), bell, tester)
	if err != nil || through != 1 || still != 1 {
		t.Errorf("replay: %d through, %d still, %v: want one each", through, still, err)
	}
	_, _, err = r.engine.ReplayOf(t.Context(), "no/such", tester)
	wantCode(t, err, grid.NotFound, "no/such")
}

func TestSlowCandidateIsLeftOutOfTheComparisonNotWaitedFor(t *testing.T) {
	p := &pace{}
	runs := 0
	p.run(func() { runs++ })
	p.next.Store(time.Now().Add(time.Hour).UnixNano()) // as after a run of a quarter of an hour
	for range 3 {
		p.run(func() { runs++ })
	}
	if runs != 1 || p.skipped.Load() != 3 {
		t.Errorf("%d runs, %d left out: want 1 and 3", runs, p.skipped.Load())
	}
	r := bellRig(t)
	ids := r.bells(3)
	r.start(halved("2"), grid.RolloutShadow, 0)
	r.engine.profiles.now.Load().running[bell].pace.next.Store(time.Now().Add(time.Hour).UnixNano())
	r.ring(1, fire, ids...)
	if n := len(r.tickets()); n != 3 {
		t.Errorf("%d tickets: want 3", n)
	}
	if d := r.standing().Live; d.Frames != 0 || !strings.Contains(d.Cut, "3 frames are left out") {
		t.Errorf("live comparison is %+v: want it to say that it left frames out", d)
	}
}

// storeStep puts a version and a step to all into the state of a stopped engine.
func (r *rig) storeStep(files map[string]string) {
	r.t.Helper()
	st := must[*state.Store](r.t)(state.Open(r.t.Context(), filepath.Join(r.dir, "state.db"), nil))
	defer st.Close()
	err := st.Commit(r.t.Context(), &state.Batch{
		Versions: []grid.ProfileVersion{{Profile: bell, Version: "2", Files: files, By: tester, At: r.now()}},
		Rollouts: []grid.RolloutStep{{Profile: bell, N: 1, Rollout: "R", Version: "2", Former: "1", Stage: grid.RolloutAll, By: tester, At: r.now()}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestStoredVersionThatDoesNotCompileIsToldAndTheFilesVersionReads(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(1)
	r.close()
	r.storeStep(map[string]string{"profile.yaml": "profile: acme/bell\nof: another time\n"})
	r.open()
	r.ring(1, calm, ids...)
	s := r.standing()
	if s.InForce != "1" || s.Origin != profile.FromFiles || !strings.Contains(s.Problem, "of") || r.battery("B000") != 80 {
		t.Errorf("roll-out is %+v: want the files' version in force, and the problem told", s)
	}
	if s := r.start(halved("3"), grid.RolloutAll, 0); s.InForce != "3" || s.Problem != "" {
		t.Errorf("roll-out is %+v: want a sound version to help", s)
	}
	if s := r.back(); s.InForce != "1" {
		t.Errorf("taken back: %+v: want the version that read before", s)
	}
}

func TestCandidateThatDoesNotCompileLeavesWhatWasRolledOutBefore(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(1)
	r.close()
	st := must[*state.Store](t)(state.Open(t.Context(), filepath.Join(r.dir, "state.db"), nil))
	broken := map[string]string{"profile.yaml": "profile: acme/bell\nof: another time\n"}
	err := st.Commit(t.Context(), &state.Batch{
		Versions: []grid.ProfileVersion{{Profile: bell, Version: "2", Files: halved("2"), By: tester, At: r.now()}, {Profile: bell, Version: "3", Files: broken, By: tester, At: r.now()}},
		Rollouts: []grid.RolloutStep{
			{Profile: bell, N: 1, Rollout: "R2", Version: "2", Former: "1", Stage: grid.RolloutAll, By: tester, At: r.now()},
			{Profile: bell, N: 2, Rollout: "R3", Version: "3", Former: "2", Kept: true, Stage: grid.RolloutShare, Share: 50, By: tester, At: r.now()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	r.open()
	r.ring(1, calm, ids...)
	s := r.standing()
	if s.InForce != "2" || s.Origin != profile.RolledOut || s.Running || !strings.Contains(s.Problem, "of") || r.battery("B000") != 40 {
		t.Errorf("roll-out is %+v: want version 2 in force, that was rolled out, and the problem of version 3 told", s)
	}
	r.start(bellFiles("4"), grid.RolloutAll, 0)
	if s := r.back(); s.InForce != "2" || s.Origin != profile.RolledOut {
		t.Errorf("taken back: %+v: want version 2, which read before", s)
	}
}

func TestFilesThatCatchUpWithAnotherTextAreTold(t *testing.T) {
	version := "1"
	r := bellRig(t, func(c *Config) {
		files := bellFiles(version)
		c.Profiles = must[*profile.Set](t)(profile.Load(firmwareprofiles.FS, fstest.MapFS{bell + "/profile.yaml": {Data: []byte(files["profile.yaml"])}}))
	})
	r.bells(1)
	r.start(halved("2"), grid.RolloutAll, 0)
	if s := r.standing(); s.Problem != "" {
		t.Errorf("problem is %q: want none", s.Problem)
	}
	version = "2"
	r.restart()
	if s := r.standing(); s.InForce != "2" || s.Origin != profile.RolledOut || !strings.Contains(s.Problem, "version 2 too") {
		t.Errorf("roll-out is %+v: want it told that there are two versions 2", s)
	}
}

func TestProfilesThatExtendOneThatIsRolledOutAreToldAndStayAsTheyAre(t *testing.T) {
	r := bellRig(t, func(c *Config) {
		own := fstest.MapFS{
			bell + "/profile.yaml":       {Data: []byte(bellFiles("1")["profile.yaml"])},
			"acme/bell2/profile.yaml":    {Data: []byte("profile: acme/bell2\nextends: acme/bell\nversion: \"1\"\nmodel: Bell 2\nsource: made for these tests\n")},
			"acme/another2/profile.yaml": {Data: []byte(strings.Replace(bellFiles("1")["profile.yaml"], bell, "acme/another2", 1))},
		}
		c.Profiles = must[*profile.Set](t)(profile.Load(firmwareprofiles.FS, own))
	})
	p := placed(grid.Smoke, "B000", "sn:bell2", r.now())
	p.Devices[0].Profile = "acme/bell2"
	r.put(p)
	if s := r.start(halved("2"), grid.RolloutAll, 0); !slices.Equal(s.Extended, []string{"acme/bell2"}) {
		t.Errorf("extended by %v: want acme/bell2 told", s.Extended)
	}
	r.ring(1, calm, "sn:bell2")
	if v := r.battery("B000"); v != 80 {
		t.Errorf("battery is %v: want 80, by the files' version of what it extends", v)
	}
}

func TestDiffEndsWithWhatItHasAndOneRunsAtATime(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(2)
	r.ring(1, calm, ids...)
	d := must[profile.Diff](t)(r.engine.DiffProfile(t.Context(), profile.DiffRequest{Files: halved("2"), Within: time.Nanosecond}))
	if d.Frames != 0 || !strings.Contains(d.Cut, "it took") {
		t.Errorf("diff is %+v: want it to say that it ran out of time", d)
	}
	r.engine.comparing.mu.Lock()
	_, err := r.engine.DiffProfile(t.Context(), profile.DiffRequest{Files: halved("2")})
	r.engine.comparing.mu.Unlock()
	wantCode(t, err, grid.Conflict, "another version runs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.engine.DiffProfile(ctx, profile.DiffRequest{Files: halved("2")}); err == nil {
		t.Error("nobody waits for the answer any more, and there is one")
	}
}

func TestDiffLooksAtTheQuarantineForAsLongAsItMay(t *testing.T) {
	r := bellRig(t)
	ids := r.bells(3)
	for _, id := range ids {
		r.say(id, `{"s":"on","b":70,"n":1}`)
	}
	candidate := must[*profile.Profile](t)(r.engine.profiles.files().Candidate(words("2")))
	p := past{store: r.store, id: bell, seen: func(int64, int64) {}}
	if d, err := p.quarantine(t.Context(), candidate); err != nil || d.Frames != 3 || d.Mended != 3 {
		t.Errorf("%+v, %v: want 3 of 3 mended", d, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.store = timeIsUp{r.store, cancel}
	if d, err := p.quarantine(ctx, candidate); !errors.Is(err, context.Canceled) || d.Frames != 0 {
		t.Errorf("%+v, %v: want it ended before the next frame", d, err)
	}
}

// timeIsUp is a state in which time is up when the frames of the quarantine are found.
type timeIsUp struct {
	held
	cancel func()
}

func (s timeIsUp) ListQuarantine(ctx context.Context, q state.Query) (state.Page[grid.QuarantinedFrame], error) {
	page, err := s.held.ListQuarantine(ctx, q)
	s.cancel()
	return page, err
}

func TestDiffJudgesATiltThatSaysOpen(t *testing.T) {
	lid := func(v, scale string) map[string]string {
		return map[string]string{
			"profile.yaml": "profile: acme/lid\nversion: \"" + v + "\"\nvendor: Acme\nmodel: Lid\nkinds: [manhole]\nsource: made for this test\n" +
				"interval: 1h\ncounter: {source: none}\ncodec: json\nfields: [{name: tilt}]\nsignals: {manhole.tilt: {field: tilt, scale: " + scale + "}}\n",
			"cases.yaml": "cases: [{name: shut, text: '{\"tilt\":0}', want: {readings: {manhole.tilt: 0}}}]\n",
		}
	}
	r := newRig(t, func(c *Config) {
		files := lid("1", "1")
		c.Profiles = must[*profile.Set](t)(profile.Load(firmwareprofiles.FS, fstest.MapFS{"acme/lid/profile.yaml": {Data: []byte(files["profile.yaml"])}}))
	})
	reg := placed(grid.Manhole, "M1", "sn:lid", r.now())
	reg.Devices[0].Profile = "acme/lid"
	r.put(reg)
	r.say("sn:lid", `{"tilt":45}`)
	d := must[profile.Diff](t)(r.engine.DiffProfile(t.Context(), profile.DiffRequest{Files: lid("2", "0.1")}))
	if d.LostAlarms != 1 || d.Alarms[0].Signal != "manhole.tilt" {
		t.Errorf("diff is %+v: want the tilt past 30 degrees lost as an alarm", d)
	}
	if d := must[profile.Diff](t)(r.engine.DiffProfile(t.Context(), profile.DiffRequest{Files: lid("2", "1.1")})); d.LostAlarms != 0 || d.Changed != 1 {
		t.Errorf("diff is %+v: want a change and no lost alarm", d)
	}
}

func TestGapIsFilledByTheVersionInForce(t *testing.T) {
	shelf := &shelf{}
	r := bellRig(t, func(c *Config) { shelf.Series = c.Series; c.Series = shelf })
	ids := r.bells(1)
	shelf.setFull(true)
	r.ring(1, calm, ids...)
	r.start(halved("2"), grid.RolloutAll, 0)
	shelf.setFull(false)
	for i := range 5 {
		r.after(2 * time.Second)
		r.ring(2+i, calm, ids...)
	}
	lines := strings.Join(shelf.of("smoke"), "\n")
	if n := strings.Count(lines, "acme/bell@2"); n != 6 || strings.Contains(lines, "acme/bell@1") {
		t.Errorf("%d points by version 2: want all 6, also of the gap:\n%s", n, lines)
	}
}

func TestFailedCommitTakesAStepBack(t *testing.T) {
	gate := &gatedSteps{}
	r := bellRig(t, func(c *Config) { gate.Store = c.Store.(*state.Store); c.Store = gate })
	ids := r.bells(1)
	gate.left.Store(2)
	r.start(halved("2"), grid.RolloutAll, 0)
	r.ring(1, calm, ids...)
	s := r.standing()
	if gate.left.Load() >= 0 || len(s.Steps) != 1 || s.Steps[0].N != 1 || s.InForce != "2" {
		t.Errorf("steps are %+v: want one, after the commits that failed", s.Steps)
	}
	if v := r.battery("B000"); v != 40 {
		t.Errorf("battery is %v: want 40", v)
	}
	r.restart()
	if got := r.standing(); len(got.Steps) != 1 || got.InForce != "2" {
		t.Errorf("after a restart: %+v", got)
	}
}

// gatedSteps is a store that fails the first commits of a step.
type gatedSteps struct {
	*state.Store
	left atomic.Int32
}

func (g *gatedSteps) Commit(ctx context.Context, b *state.Batch) error {
	if len(b.Rollouts) > 0 && g.left.Add(-1) >= 0 {
		return errFlaky
	}
	return g.Store.Commit(ctx, b)
}

func removeFile(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}
