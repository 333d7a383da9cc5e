package gateway

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/envelope"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const setRegistry = `
points:
  - {id: door-1, name: a door, kind: door, mode: simulated}
  - {id: door-2, name: a door, kind: door, mode: simulated}
  - {id: smoke-1, name: a detector, kind: smoke, mode: simulated}
devices:
  - {identity: "sn:door-1", profile: gridgate/json, point: door-1, mode: simulated, interval: 10m}
  - {identity: "sn:door-2", profile: gridgate/json, point: door-2, mode: simulated, interval: 10m}
  - {identity: "sn:smoke-1", profile: gridgate/json, point: smoke-1, mode: simulated, interval: 10m}
units:
  - {id: property-1, name: Property, kind: property, tier: 2, mode: simulated, connector: inbox, token: property-token}
  - {id: fire-1, name: Fire, kind: fire, tier: 3, mode: simulated, connector: inbox, token: fire-token, entry: auto}
`

// setGateway is one whose clock can be set.
func setGateway(t *testing.T) *Gateway {
	t.Helper()
	cfg := Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.HTTP.Listen, cfg.Broker.Enabled, cfg.Influx.Managed = "127.0.0.1:0", false, false
	cfg.Journal.ReserveBytes = 1 << 20
	cfg.Simulation = SimulationConfig{Allowed: true, Speed: 1, Start: "2026-03-02T08:00:00Z"} // the machine's is not ours to set
	g := New(cfg, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-g.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("the gateway is not ready after 30 s")
	}
	c := &api.Client{URL: "http://" + g.APIAddr(), Token: g.Token()}
	if _, err := c.Import(t.Context(), []byte(setRegistry), false); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *Gateway) says(t *testing.T, device, payload string) {
	t.Helper()
	f := grid.Frame{Identity: grid.Identity("sn:" + device), Transport: "mqtt", Source: "test", Address: "gridgate/up/sn:" + device, Envelope: envelope.Native, Raw: []byte(payload), Received: g.clock.Now()}
	if err := g.early.full.Load().Ingest(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func (g *Gateway) alarmsNow(t *testing.T) (out []string) {
	t.Helper()
	page, err := g.store.ListAlarms(t.Context(), state.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range page.Items {
		out = append(out, fmt.Sprint(a.Type, " at ", a.Point))
	}
	return out
}

func TestAClockThatIsSetThreeDaysForwardIsToldAndRaisesNothing(t *testing.T) {
	g := setGateway(t)
	for _, device := range []string{"door-1", "door-2"} {
		g.says(t, device, `{"door.open":false,"seq":1}`)
	}
	g.says(t, "smoke-1", `{"smoke.alarm":true,"seq":1}`)
	ticket := func() grid.Ticket {
		page, err := g.store.ListTickets(t.Context(), state.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) != 1 {
			return grid.Ticket{}
		}
		return page.Items[0]
	}
	gatetest.Eventually(t, "the ticket", func() bool { return ticket().ID != "" })
	before := ticket()
	g.clock.Jump(72 * time.Hour)
	gatetest.Eventually(t, "the jump to be told", func() bool {
		page, err := g.store.ListAudit(t.Context(), state.Query{})
		return err == nil && g.health(t.Context())["clock"] != nil && len(page.Items) > 0 && page.Items[0].Action == "clock.set"
	})
	g.says(t, "door-1", `{"door.open":false,"seq":2}`)
	gatetest.Eventually(t, "the frame of afterwards to be handled", func() bool {
		p, err := g.store.Progress(t.Context())
		return err == nil && p.Cursors[grid.Bulk].Seq == 3
	})
	if got := g.alarmsNow(t); len(got) != 1 || got[0] != "smoke.alarm at smoke-1" {
		t.Errorf("alarms are %q: want the smoke alone", got)
	}
	after := ticket()
	if after.State != before.State || after.Overdue || after.Warned != 0 || len(after.Assignments) != len(before.Assignments) {
		t.Errorf("no time has passed, and the ticket went from %+v to %+v", before, after)
	}
	for i, c := range after.Clocks {
		if was := before.Clocks[i]; was.Stopped.IsZero() && c.Due.Sub(was.Due) < 71*time.Hour {
			t.Errorf("clock %s was due at %s and is at %s: want it moved with the clock", c.Name, was.Due, c.Due)
		}
	}
	if got := g.heart.jumps.Load(); got != 1 {
		t.Errorf("%d jumps are counted: want one", got)
	}
}
