package gatetest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const visitRegistry = `
points:
  - {id: door-1, name: 消防通道门, kind: door, district: "310105", contractor: crew, building: b-1, address: 1 Demo Road, lon: 121.4241, lat: 31.2203, crs: WGS84, mode: simulated}
  - {id: door-2, name: another's, kind: door, district: "310105", contractor: others, mode: simulated}
devices:
  - {identity: "sn:door-1", profile: gridgate/json, point: door-1, mode: simulated}
  - {identity: "sn:door-2", profile: gridgate/json, point: door-2, mode: simulated}
units:
  - {id: crew, name: 维保一队, kind: maintenance, tier: 2, district: "310105", contractor: crew, mode: simulated, connector: inbox, token: crew-token-0123456789abc}
  - {id: others, name: others, kind: maintenance, tier: 2, district: "310105", contractor: others, mode: simulated, connector: inbox, token: others-token-0123456789a}
`

// watched is what a stream has told of a visit.
type watched struct {
	visits chan grid.Visit
	frames chan grid.VisitFrame
	ended  chan error
}

func watch(t *testing.T, c *api.Client, id string) *watched {
	w := &watched{visits: make(chan grid.Visit, 100), frames: make(chan grid.VisitFrame, 100), ended: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	go func() {
		defer cancel()
		w.ended <- c.WatchVisit(ctx, id, func(m api.Message) error {
			switch m.Name {
			case "visit":
				var v grid.Visit
				err := json.Unmarshal(m.Data, &v)
				w.visits <- v
				return err
			case "frame":
				var f grid.VisitFrame
				err := json.Unmarshal(m.Data, &f)
				w.frames <- f
				return err
			}
			return fmt.Errorf("message %q", m.Name)
		})
	}()
	return w
}

// until reads visits until one is as it should be.
func (w *watched) until(t *testing.T, what string, is func(*grid.Visit) bool) grid.Visit {
	t.Helper()
	end := time.After(30 * time.Second)
	var last grid.Visit
	for {
		select {
		case last = <-w.visits:
			if is(&last) {
				return last
			}
		case <-end:
			t.Fatalf("waited in vain for %s: %+v", what, last.Steps)
		}
	}
}

func stepIs(id string, s grid.StepState) func(*grid.Visit) bool {
	return func(v *grid.Visit) bool { st := v.Step(id); return st != nil && st.State == s }
}

// A contractor's technician commissions a door over real MQTT, sees each frame as it comes,
// signs, and files the record. What is not in his hands does not exist for him.
func TestATechnicianCommissionsADoor(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, visitRegistry)
	door := connect(t, g.broker)
	crew := &api.Client{URL: g.api.URL, Token: "crew-token-0123456789abc"}
	by := &api.As{Name: "李工", Role: "technician"}
	v, err := crew.StartVisit(t.Context(), api.NewVisit{ID: "0123456789abcdef", Device: "sn:door-1", Point: "door-1", Session: "phone", By: by})
	must(t, err)
	if v.Window == nil || v.By.Name != "李工" || v.By.Unit != "crew" {
		t.Fatalf("visit is %+v by %+v: want a window and the technician's name", v, v.By)
	}
	if _, err := crew.StartVisit(t.Context(), api.NewVisit{ID: "fedcba9876543210", Device: "sn:door-2", Point: "door-2", By: by}); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a visit at another's point: %v, want it not found", err)
	}
	live := watch(t, crew, v.ID)
	live.until(t, "the visit itself", func(v *grid.Visit) bool { return v.State == grid.VisitOpen })

	door.send(t, "gridgate/up/sn:door-1", []byte(`{"seq":1,"door.open":false,"battery.level":98,"rssi":-61}`))
	live.until(t, "the first frame", stepIs("first_frame", grid.StepPassed))
	if f := <-live.frames; f.Battery == nil || *f.Battery != 98 || f.RSSIdBm == nil || *f.RSSIdBm != -61 {
		t.Errorf("frame is %+v", f)
	}
	if _, err := crew.TouchVisit(t.Context(), v.ID, "phone"); err != nil {
		t.Errorf("the session says that it is there: %v", err)
	}
	p, err := crew.AddPhoto(t.Context(), "door-1", photograph(t), "near", "")
	must(t, err)
	say := func(n api.NewStep, key string) grid.Visit {
		t.Helper()
		n.Result, n.By = grid.StepPassed, by
		v, err := crew.SayStep(t.Context(), v.ID, n, key)
		must(t, err)
		return v
	}
	say(api.NewStep{Step: "photo", Photo: p.ID}, "k1")
	say(api.NewStep{Step: "photo", Photo: p.ID}, "k1")
	// GCJ-02, as a Chinese phone gives it: about 500 m off, if it were taken for WGS84.
	if v := say(api.NewStep{Step: "position", Value: &api.StepPlace{Lon: 121.42862, Lat: 31.21829, CRS: "GCJ02", AccuracyM: 15}}, "k2"); v.Step("position").State != grid.StepPassed {
		t.Errorf("position is %s: %s", v.Step("position").State, v.Step("position").Detail.EN)
	}
	if v := say(api.NewStep{Step: "open"}, "k3"); v.Step("open").State != grid.StepWaiting {
		t.Errorf("by a person's word the door is open: %s", v.Step("open").State)
	}
	say(api.NewStep{Step: "rest"}, "k4")
	live.until(t, "the door at rest", stepIs("rest", grid.StepPassed))
	door.send(t, "gridgate/up/sn:door-1", []byte(`{"seq":2,"door.open":true}`))
	live.until(t, "the door opened", stepIs("open", grid.StepPassed))
	door.send(t, "gridgate/up/sn:door-1", []byte(`{"seq":3,"door.open":false}`))
	live.until(t, "the door closed", stepIs("close", grid.StepPassed))

	v, err = crew.FinishVisit(t.Context(), v.ID, api.NewVerdict{Verdict: "pass", By: by}, "k5")
	must(t, err)
	if v.State != grid.VisitPassed || v.Window != nil {
		t.Fatalf("visit is %s because of %v, window %+v", v.State, v.Reasons, v.Window)
	}
	if err := <-live.ended; err != nil {
		t.Errorf("the stream of a visit that has passed ends with %v", err)
	}
	if again, err := crew.FinishVisit(t.Context(), v.ID, api.NewVerdict{Verdict: "pass", By: by}, "k5"); err != nil || !again.Decided.Equal(v.Decided) {
		t.Errorf("finished again: %+v, %v", again.State, err)
	}
	if page, err := api.List[grid.Visit](t.Context(), crew, "visits", api.Query{State: "passed"}); err != nil || len(page.Items) != 1 {
		t.Errorf("passed visits are %+v, %v: want one", page.Items, err)
	}
	for lang, want := range map[string]string{"zh": "调试记录", "en": "PASSED"} {
		file := filepath.Join(t.TempDir(), "r.pdf")
		if out := g.gridgate(t, "visit", "record", v.ID, "--lang", lang, "--out", file); !strings.Contains(out, "r.pdf") {
			t.Errorf("the command says %q", out)
		}
		words, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", file, "-").Output()
		if err != nil || !strings.Contains(string(words), want) || !strings.Contains(string(words), "李工") {
			t.Errorf("record in %s, %v:\n%s", lang, err, words)
		}
		if keep := os.Getenv("GRIDGATE_KEEP"); keep != "" {
			b, _ := os.ReadFile(file)
			must(t, os.WriteFile(filepath.Join(keep, "e2e-"+lang+".pdf"), b, 0o600))
		}
	}
	if out := g.gridgate(t, "visit", "show", v.ID); !strings.Contains(out, "PASSED") || !strings.Contains(out, "door.open true") {
		t.Errorf("the command shows\n%s", out)
	}
	if out := g.gridgate(t, "visit", "plan", "door"); !strings.Contains(out, "close") {
		t.Errorf("the plan is shown as\n%s", out)
	}
	nobodys(t, &api.Client{URL: g.api.URL, Token: "others-token-0123456789a"}, v.ID)
	g.balanced(t)
}

// nobodys holds that a visit does not exist for another contractor.
func nobodys(t *testing.T, others *api.Client, id string) {
	t.Helper()
	ctx := t.Context()
	_, show := others.Visit(ctx, id)
	_, step := others.SayStep(ctx, id, api.NewStep{Step: "rest", Result: grid.StepPassed}, "")
	_, finish := others.FinishVisit(ctx, id, api.NewVerdict{Verdict: "fail", Reasons: []string{"no"}}, "")
	_, touch := others.TouchVisit(ctx, id, "phone")
	_, answer := others.AnswerVisit(ctx, id, api.NewAnswer{Answer: "no"})
	_, file := others.VisitRecord(ctx, id, "zh")
	live := others.WatchVisit(ctx, id, func(api.Message) error { return nil })
	for name, err := range map[string]error{"show": show, "step": step, "finish": finish, "touch": touch, "answer": answer, "record": file, "watch": live} {
		if grid.CodeOf(err) != grid.NotFound {
			t.Errorf("%s by another contractor: %v, want it not found", name, err)
		}
	}
	if page, err := api.List[grid.Visit](ctx, others, "visits", api.Query{}); err != nil || len(page.Items) != 0 {
		t.Errorf("another contractor lists %d visits, %v", len(page.Items), err)
	}
}

// In a cellar without a network for the phone: what the device said is in the gateway, and
// the visit is told later, across a kill.
func TestAVisitWithoutANetworkPassesByWhatTheGatewayHasHeard(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, visitRegistry)
	door := connect(t, g.broker)
	heard := func(seq int, open bool) time.Time {
		t.Helper()
		door.send(t, "gridgate/up/sn:door-1", fmt.Appendf(nil, `{"seq":%d,"door.open":%t}`, seq, open))
		return time.Now()
	}
	began := time.Now().Add(-time.Millisecond)
	rest := heard(1, false).Add(time.Second)
	time.Sleep(time.Until(rest.Add(4 * time.Second))) // a person waits until it has settled
	heard(2, true)
	ended := heard(3, false)
	g.Kill()
	g.start(t)
	by := &api.As{Name: "li", Role: "technician"}
	n := api.NewVisit{ID: "0123456789abcdef", Device: "sn:door-1", Point: "door-1", Offline: true, Started: began, By: by}
	v, err := g.api.StartVisit(t.Context(), n)
	must(t, err)
	p, err := g.api.AddPhoto(t.Context(), "door-1", photograph(t), "near", "")
	must(t, err)
	for _, s := range []api.NewStep{{Step: "photo", Photo: p.ID}, {Step: "rest"}} {
		s.Result, s.At, s.By = grid.StepPassed, rest, by
		_, err := g.api.SayStep(t.Context(), v.ID, s, "")
		must(t, err)
	}
	v, err = g.api.FinishVisit(t.Context(), v.ID, api.NewVerdict{Verdict: "pass", At: ended, By: by}, "")
	must(t, err)
	if v.State != grid.VisitPassed || v.Heard != 3 {
		t.Errorf("visit is %s with %d frames because of %v, want passed by the 3 of then: %+v", v.State, v.Heard, v.Reasons, v.Steps)
	}
	again, err := g.api.StartVisit(t.Context(), n)
	if err != nil || again.State != grid.VisitPassed {
		t.Errorf("begun again it is %s, %v", again.State, err)
	}
}
