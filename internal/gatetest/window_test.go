package gatetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const windowRegistry = `
points:
  - {id: ceiling-1, name: a ceiling, kind: smoke, district: "310105", building: b-1, address: 1 Demo Road, mode: simulated}
  - {id: pit-1, name: a pit, kind: manhole, district: "310105", address: 2 Demo Road, mode: simulated}
devices:
  - {identity: "sn:ceiling-1", profile: gridgate/json, point: ceiling-1, mode: simulated}
  - {identity: "sn:pit-1", profile: gridgate/json, point: pit-1, mode: simulated}
units:
  - {id: drains, name: Drains, kind: utility, tier: 3, mode: simulated, connector: webhook, url: "%s", token: token-of-drains, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
`

// theAlarm waits until the newest alarm of a point is as it should be.
func theAlarm(t *testing.T, g *gateway, point, what string, is func(*grid.Alarm) bool) (a grid.Alarm) {
	t.Helper()
	eventually(t, 20*time.Second, what, func() error {
		found := all[grid.Alarm](t, g, "alarms", api.Query{Point: point})
		if len(found) == 0 {
			return fmt.Errorf("%s has no alarm yet", point)
		}
		if a = found[0]; !is(&a) {
			return fmt.Errorf("alarm is %+v with cover %+v", a, a.Cover)
		}
		return nil
	})
	return a
}

// A window over a fire, while the gateway is killed: the question stands across the kill,
// and the fire is dispatched right after the start that comes too late for an answer.
func TestAQuestionOutlivesTheGatewayAndAnOverdueOneIsDispatchedAtTheStart(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, fmt.Sprintf(windowRegistry, "http://127.0.0.1:1/"))
	opened, err := g.api.OpenWindow(t.Context(), api.NewWindow{
		Kind: grid.WindowCommissioning, Points: []string{"ceiling-1"}, For: "12s", Session: "phone", By: &api.As{Name: "ma", Role: grid.RoleOperator},
	}, "")
	must(t, err)
	connect(t, g.broker).send(t, "gridgate/up/sn:ceiling-1", []byte(`{"smoke.alarm":true,"seq":1}`))
	asked := theAlarm(t, g, "ceiling-1", "the question", func(a *grid.Alarm) bool { return a.Cover != nil && a.Cover.State == grid.CoverAsked })
	if n := len(all[grid.Ticket](t, g, "tickets", api.Query{})); n != 0 {
		t.Fatalf("%d tickets while the question stands, want none", n)
	}
	g.Kill()
	time.Sleep(time.Until(opened.To.Add(100 * time.Millisecond)))
	g.start(t)
	a := theAlarm(t, g, "ceiling-1", "the ticket", func(a *grid.Alarm) bool { return a.Ticket != "" })
	tk, err := g.api.Ticket(t.Context(), a.Ticket)
	must(t, err)
	if a.ID != asked.ID || !tk.Opened.Equal(asked.Raised) {
		t.Errorf("ticket of alarm %s is opened %s: want that of %s, from %s", a.ID, tk.Opened, asked.ID, asked.Raised)
	}
	if w, err := g.api.Window(t.Context(), opened.ID); err != nil || w.EndedBy != "clock" {
		t.Errorf("window is %+v, %v: want it ended by the clock", w, err)
	}
}

// A crew lifts a cover: its system is asked by webhook and answers by the address it was given.
func TestTheHolderOfAPermitIsAskedAndAnswersByTheCallback(t *testing.T) {
	questions := make(chan map[string]any, 8)
	crew := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		if b, err := io.ReadAll(r.Body); err == nil && json.Unmarshal(b, &e) == nil && e.Type == "gridgate.permit.question" {
			questions <- e.Data
		}
	}))
	t.Cleanup(crew.Close)
	g := newGateway(t)
	g.start(t)
	g.put(t, fmt.Sprintf(windowRegistry, crew.URL))
	_, err := g.api.OpenWindow(t.Context(), api.NewWindow{Kind: grid.WindowPermit, Points: []string{"pit-1"}, For: "1h", Holder: "drains", By: &api.As{Name: "chen"}}, "")
	must(t, err)
	connect(t, g.broker).send(t, "gridgate/up/sn:pit-1", []byte(`{"manhole.open":true,"seq":1}`))
	var q map[string]any
	select {
	case q = <-questions:
	case <-time.After(30 * time.Second):
		t.Fatal("the crew was not asked")
	}
	unit := &api.Client{URL: g.api.URL, Token: "token-of-drains"}
	alarm := fmt.Sprint(q["ticket"])
	if want := g.api.URL + "/api/v1/alarms/" + alarm + "/answer"; q["callback_url"] != want {
		t.Errorf("the crew is to answer at %v, want %s", q["callback_url"], want)
	}
	a, err := unit.AnswerAlarm(t.Context(), alarm, api.NewAnswer{Answer: "yes"})
	if err != nil || a.Cover == nil || a.Cover.State != grid.CoverGuarded || a.Cover.By != "drains" {
		t.Errorf("after the answer the alarm is %+v, %v: want it guarded by drains", a.Cover, err)
	}
	if n := len(all[grid.Ticket](t, g, "tickets", api.Query{})); n != 0 {
		t.Errorf("%d tickets, want none", n)
	}
	g.balanced(t)
}
