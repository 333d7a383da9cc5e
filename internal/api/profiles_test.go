package api

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"gridgate/configs"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/engine"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/profile"
	plans "gridgate/internal/ticket"
)

const chimeProfile = `
profile: acme/chime
version: "1"
vendor: Acme
model: Chime
kinds: [door]
source: made for this test
interval: 1h
counter: {source: none}
codec: binary
layouts:
  - name: report
    fields: [{name: open, type: u8}, {name: battery, type: u8}]
signals:
  door.open: open
  battery.level: battery
`

const chimeCases = `
cases:
  - {name: open, hex: "01 50", want: {readings: {door.open: true, battery.level: 80}}}
  - {name: closed, hex: "00 50", want: {readings: {door.open: false, battery.level: 80}}}
`

// chime is a candidate: version 1 with replacements.
func chime(version string, replace ...string) map[string]string {
	edit := strings.NewReplacer(append(replace, `version: "1"`, `version: "`+version+`"`)...).Replace
	return map[string]string{"profile.yaml": edit(chimeProfile), "cases.yaml": edit(chimeCases)}
}

func halvedChime(version string) map[string]string {
	return chime(version, "battery.level: battery", "battery.level: {field: battery, scale: 0.5}", "battery.level: 80", "battery.level: 40")
}

// workbench is an API over a real engine with a real journal and one device, eui:01, that
// has said twice that its door is shut and once something that nobody can read.
func workbench(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal"), journal.Options{MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	own, err := profile.Load(fstest.MapFS{"acme/chime/profile.yaml": {Data: []byte(chimeProfile)}, "acme/chime/cases.yaml": {Data: []byte(chimeCases)}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{Dir: t.TempDir(), Journal: j, Store: w.store, Profiles: own, Rules: someRules(t), Plans: somePlans(t), Body: noBody})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	for _, part := range []func(context.Context) error{j.Run, e.Run} {
		run.Go(func() {
			if err := part(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); run.Wait(); j.Close() })
	<-e.Ready()
	w.server.Workbench = e
	reg := grid.Registration{
		Points:        []grid.Point{{ID: "d1", Name: "Door", Kind: grid.Door, Mode: grid.Test}},
		Devices:       []grid.Device{{Identity: "eui:01", Profile: "acme/chime", Mode: grid.Test}},
		Installations: []grid.Installation{{Device: "eui:01", Point: "d1"}},
	}
	if err := e.Put(ctx, reg.Points, reg.Devices, reg.Installations, nil); err != nil {
		t.Fatal(err)
	}
	var frames []grid.Frame
	for _, payload := range []string{"\x00\x50", "\x00\x51", "\x01"} {
		frames = append(frames, grid.Frame{Identity: "eui:01", Transport: "mqtt", Source: "test", Address: "gridgate/up/eui:01", Envelope: envelope.Native, Received: t0, Raw: []byte(payload)})
	}
	if err := j.Append(ctx, grid.Bulk, frames); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := w.store.Progress(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if p.Cursors[grid.Bulk].Seq == uint64(len(frames)) {
			return w
		}
	}
}

func someRules(t *testing.T) *alarm.Rules {
	b, err := configs.FS.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := alarm.Parse("rules.yaml", b, someCalendars(t))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func someCalendars(t *testing.T) *calendar.Calendars {
	b, err := configs.FS.ReadFile("calendars.yaml")
	if err != nil {
		t.Fatal(err)
	}
	calendars, err := calendar.Parse("calendars.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return calendars
}

func somePlans(t *testing.T) *plans.Plans {
	b, err := configs.FS.ReadFile("tickets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := plans.ParsePlans("tickets.yaml", b, someCalendars(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func noBody(*grid.Ticket, *grid.Delivery, *grid.Point, *grid.Unit) (json.RawMessage, error) {
	return json.RawMessage(`{}`), nil
}

func TestProfilesAreListedShownAndTriedOverTheAPI(t *testing.T) {
	w := workbench(t)
	c, ctx := w.client(admin), t.Context()
	list, err := c.Profiles(ctx)
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != "acme/chime" || list.Items[0].Version != "1" || list.Items[0].Origin != profile.FromFiles {
		t.Errorf("list is %+v, %v", list, err)
	}
	p, err := c.Profile(ctx, "acme/chime")
	if err != nil || p.Files["profile.yaml"] != chimeProfile || p.Files["cases.yaml"] != chimeCases || p.Signals[0] != "door.open" {
		t.Errorf("profile is %+v, %v", p, err)
	}
	_, _, b := w.do(admin, "POST", "/api/v1/profiles/acme%2Fchime/decode", `{"hex":"01 32"}`)
	if got, want := string(b), `{"profile":"acme/chime@1","readings":[{"signal":"door.open","value":true},{"signal":"battery.level","value":50,"uom":"%"}],"warnings":[]}`; strings.TrimSpace(got) != want {
		t.Errorf("decoded: %s\nwant     %s", got, want)
	}
	for in, want := range map[string]int{
		`{"hex":"01"}`: 422, `{"hex":"zz"}`: 422, `{}`: 422, `{"hex":"01","text":"x"}`: 422, `{"hex":"0132","candidate":true}`: 404,
	} {
		if got, _, b := w.do(admin, "POST", "/api/v1/profiles/acme%2Fchime/decode", in); got != want {
			t.Errorf("decode %s: %d %s, want %d", in, got, b, want)
		}
	}
	if r, err := c.LintProfile(ctx, chime("2")); err != nil || !r.OK || r.Profile != "acme/chime" || len(r.Problems) != 0 {
		t.Errorf("lint is %+v, %v", r, err)
	}
	bad := chime("2", "battery.level: 80", "battery.level: 81")
	if r, err := c.LintProfile(ctx, bad); err != nil || r.OK || len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "81") {
		t.Errorf("lint of a wrong case is %+v, %v", r, err)
	}
	if got, _, _ := w.do(admin, "GET", "/api/v1/profiles/no%2Fsuch", ""); got != 404 {
		t.Errorf("a profile that is not there: %d", got)
	}
	if got, _, _ := w.do("fire-token", "GET", "/api/v1/profiles", ""); got != 403 {
		t.Errorf("a unit lists the profiles: %d, want 403", got)
	}
}

func TestRollOutGoesItsWayOverTheAPI(t *testing.T) {
	w := workbench(t)
	c, ctx := w.client(admin), t.Context()
	d, err := c.DiffProfile(ctx, "acme/chime", DiffWish{Files: halvedChime("2")})
	if err != nil || d.Frames != 3 || d.Changed != 2 || d.BothFail != 1 || d.Quarantine.Frames != 1 || d.Quarantine.Mended != 0 {
		t.Fatalf("diff is %+v, %v", d, err)
	}
	if p, err := c.DiffProgress(ctx, "acme/chime"); err != nil || p.Running || p.Frames != 3 {
		t.Errorf("progress is %+v, %v", p, err)
	}
	wish := RolloutWish{Files: halvedChime("2"), Reason: "half is right", By: &As{Name: "li", Role: grid.RoleOperator}}
	for range 2 { // repeated: done once
		r, err := c.StartRollout(ctx, "acme/chime", wish, "key-1")
		if err != nil || !r.Running || r.Stage != grid.RolloutShadow || r.InForce != "1" || len(r.Steps) != 1 || r.Steps[0].By.Name != "li" {
			t.Fatalf("start: %+v, %v", r, err)
		}
	}
	if r, err := c.SetRollout(ctx, "acme/chime", RolloutWish{Share: 30}, ""); err != nil || r.Stage != grid.RolloutShare || r.Share != 30 {
		t.Errorf("set: %+v, %v", r, err)
	}
	if got, err := c.DecodePayload(ctx, "acme/chime", Payload{Hex: "0150", Candidate: true}); err != nil || got.Profile != "acme/chime@2" || got.Readings[1].Value != 40.0 {
		t.Errorf("by the candidate: %+v, %v", got, err)
	}
	if list, _ := c.Profiles(ctx); list.Items[0].Version != "1" || list.Items[0].Rollout == nil || *list.Items[0].Rollout != (ProfileRollout{"2", grid.RolloutShare, 30}) {
		t.Errorf("list is %+v", list)
	}
	if r, err := c.SetRollout(ctx, "acme/chime", RolloutWish{Stage: grid.RolloutAll}, ""); err != nil || r.InForce != "2" || r.Origin != profile.RolledOut || r.Running {
		t.Errorf("all: %+v, %v", r, err)
	}
	if p, err := c.Profile(ctx, "acme/chime"); err != nil || p.Version != "2" || p.Files["profile.yaml"] == chimeProfile || len(p.History) != 3 {
		t.Errorf("profile is %+v, %v", p, err)
	}
	if r, err := c.BackRollout(ctx, "acme/chime", "it was not", ""); err != nil || r.InForce != "1" || r.Stage != grid.RolloutBack {
		t.Errorf("back: %+v, %v", r, err)
	}
	if all, err := c.Rollouts(ctx); err != nil || len(all.Items) != 1 || len(all.Items[0].Steps) != 4 {
		t.Errorf("roll-outs are %+v, %v", all, err)
	}
}

func TestRefusalsOfARollOutOverTheAPI(t *testing.T) {
	w := workbench(t)
	c, ctx := w.client(admin), t.Context()
	for name, try := range map[string]func() error{
		"invalid: the files are of profile acme/chime": func() error {
			_, err := c.StartRollout(ctx, "acme/other", RolloutWish{Files: halvedChime("2")}, "")
			return err
		},
		"invalid: profile.yaml is missing": func() error {
			_, err := c.StartRollout(ctx, "acme/chime", RolloutWish{}, "")
			return err
		},
		"conflict: version 1": func() error {
			_, err := c.StartRollout(ctx, "acme/chime", RolloutWish{Files: chime("1")}, "")
			return err
		},
		"not_found: no roll-out runs": func() error {
			_, err := c.SetRollout(ctx, "acme/chime", RolloutWish{Share: 10}, "")
			return err
		},
		"invalid: files are given": func() error {
			_, err := c.SetRollout(ctx, "acme/chime", RolloutWish{Files: halvedChime("2")}, "")
			return err
		},
		"invalid: stage is empty": func() error {
			_, err := c.SetRollout(ctx, "acme/chime", RolloutWish{}, "")
			return err
		},
		"conflict: no roll-out to take back": func() error {
			_, err := c.BackRollout(ctx, "acme/chime", "because", "")
			return err
		},
		"invalid: expected length >= 3": func() error {
			_, err := c.BackRollout(ctx, "acme/chime", "", "")
			return err
		},
	} {
		code, words, _ := strings.Cut(name, ": ")
		if err := try(); grid.CodeOf(err) != grid.Code(code) || !strings.Contains(err.Error(), words) {
			t.Errorf("error is %v: want %s", err, name)
		}
	}
}

func TestQuarantineOfAProfileIsListedAndReplayedAsAWhole(t *testing.T) {
	w := workbench(t)
	c, ctx := w.client(admin), t.Context()
	waiting, err := List[Quarantined](ctx, c, "quarantine", Query{Profile: "acme/chime", State: "waiting"})
	if err != nil || len(waiting.Items) != 1 {
		t.Fatalf("quarantine is %+v, %v", waiting, err)
	}
	if none, err := List[Quarantined](ctx, c, "quarantine", Query{Profile: "acme/other"}); err != nil || len(none.Items) != 0 {
		t.Errorf("quarantine of another profile is %+v, %v", none, err)
	}
	if r, err := c.ReplayOf(ctx, "acme/chime"); err != nil || r.Replayed != 0 || r.Still != 1 {
		t.Errorf("before the fix: %+v, %v", r, err)
	}
	short := chime("2", "{name: battery, type: u8}", "{if: {field: open, is: 0}, fields: [{name: battery, type: u8}]}", `"01 50", want: {readings: {door.open: true, battery.level: 80}}`, `"01", want: {readings: {door.open: true}}`)
	r, err := c.StartRollout(ctx, "acme/chime", RolloutWish{Files: short, Stage: grid.RolloutAll}, "")
	if err != nil || r.Waiting != 1 {
		t.Fatalf("start: %+v, %v", r, err)
	}
	if r, err := c.ReplayOf(ctx, "acme/chime"); err != nil || r.Replayed != 1 || r.Still != 0 {
		t.Errorf("after the fix: %+v, %v", r, err)
	}
	if got, _, _ := w.do(admin, "POST", "/api/v1/quarantine/replay", `{}`); got != 422 {
		t.Errorf("replay of nothing: %d", got)
	}
}
