package gatetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const fireDoor = `
points:
  - {id: stair-1, name: 1F stair door, kind: door, rules: fire_door, district: "310105", mode: simulated}
devices:
  - {identity: "sn:stair-1", profile: gridgate/json, point: stair-1, interval: 72h, mode: simulated}
units:
  - {id: wuye, name: property, kind: property, tier: 2, mode: simulated, connector: inbox, token: wye-token-0123456789abcd}
`

// newYearsEve is when the city begins: no clock of ours shows it.
const newYearsEve = "2031-12-31T20:00:00+08:00"

// cityTime is what the gateway says of it, to anyone.
func cityTime(t *testing.T, g *gateway) api.Simulation {
	t.Helper()
	var r api.Readiness
	eventually(t, 30*time.Second, "the gateway is ready, InfluxDB included", func() (err error) {
		r, err = getJSON[api.Readiness](t.Context(), g.api.URL+"/readyz", "")
		return err
	})
	return r.Simulation
}

// A door that stands open for its ten minutes, a ticket, its work, ten minutes of watching and the
// closure: half an hour of the city in seconds, and every time of it is the city's.
func TestAnEveningOfTheCityPassesInSeconds(t *testing.T) {
	i := newInfluxd(t)
	i.start(t)
	g := newGateway(t, "simulation: {allowed: true, speed: 600, start: \""+newYearsEve+"\"}", "influx: {managed: false, url: "+i.url+", bucket: gridgate/autogen}")
	g.start(t)
	begin, _ := time.Parse(time.RFC3339, newYearsEve)
	if s := cityTime(t, g); !s.Allowed || s.Speed != 600 || s.Now.Before(begin) || s.Now.After(begin.Add(24*time.Hour)) {
		t.Fatalf("the gateway says %+v: want speed 600 in the evening of %s", s, newYearsEve)
	}
	g.put(t, fireDoor)
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/sn:stair-1", []byte(`{"door.open":true,"seq":1}`))
	var k grid.Ticket
	eventually(t, 30*time.Second, "a ticket for the door that is held open", func() error {
		found := all[grid.Ticket](t, g, "tickets", api.Query{Point: "stair-1"})
		if len(found) != 1 || found[0].State == grid.TicketReported {
			return fmt.Errorf("%+v", found)
		}
		k = found[0]
		return nil
	})
	frames, err := g.api.Frames(t.Context(), "sn:stair-1", "", time.Time{}, 10)
	must(t, err)
	opened := frames.Items[0].Received
	if held := k.Opened.Sub(opened); held < 10*time.Minute || held > 2*time.Hour {
		t.Errorf("the ticket was opened %s after the door, at %s: want the ten minutes of the rule, in the city's time", held, k.Opened)
	}
	if k.Type != grid.EventFireDoorOpen || k.Mode != grid.Simulated || len(k.Assignments) != 1 {
		t.Fatalf("the ticket is %+v", k)
	}
	unit := &api.Client{URL: g.api.URL, Token: "wye-token-0123456789abcd"}
	for _, verb := range []grid.Verb{grid.VerbAccept, grid.VerbArrive} {
		_, err := unit.Move(t.Context(), k.ID, api.Move{Verb: verb}, string(verb))
		must(t, err)
	}
	wire.send(t, "gridgate/up/sn:stair-1", []byte(`{"door.open":false,"seq":2}`))
	_, err = unit.Move(t.Context(), k.ID, api.Move{Verb: grid.VerbResolve, Reason: "wedge taken away"}, "resolve")
	must(t, err)
	resolved := cityTime(t, g).Now
	beat := 2
	eventually(t, 30*time.Second, "the ticket to be closed", func() error {
		beat++ // a door that is shut says so now and then
		wire.send(t, "gridgate/up/sn:stair-1", fmt.Appendf(nil, `{"door.open":false,"seq":%d}`, beat))
		k, err = g.api.Ticket(t.Context(), k.ID)
		if err == nil && k.State != grid.TicketClosed {
			err = fmt.Errorf("it is %s", k.State)
		}
		return err
	})
	g.settled(t)
	frames, err = g.api.Frames(t.Context(), "sn:stair-1", "", time.Time{}, 1000)
	must(t, err)
	slices.Reverse(frames.Items) // oldest first
	if watched := k.Closed.Sub(frames.Items[1].Received); watched < 10*time.Minute || k.Closed.After(resolved.Add(24*time.Hour)) {
		t.Errorf("the ticket was closed at %s, %s after the door: want ten minutes of watching", k.Closed, watched)
	}
	for _, c := range k.Clocks {
		if c.Started.Before(begin) || c.Due.Before(c.Started) {
			t.Errorf("clock %+v is not of the city's time", c)
		}
	}
	eventually(t, 30*time.Second, "the readings in InfluxDB", func() error {
		found, err := query(t.Context(), i.url, "gridgate", "", "SELECT open FROM door WHERE point='stair-1'")
		if err != nil {
			return err
		}
		if len(found) != 1 || len(found[0].Values) != len(frames.Items) {
			return fmt.Errorf("want %d readings: %+v", len(frames.Items), found)
		}
		for n, v := range found[0].Values {
			ns, _ := v[0].(json.Number).Int64()
			if at := time.Unix(0, ns); at.Sub(frames.Items[n].Received).Abs() > time.Millisecond {
				t.Errorf("reading %d is of %s: want when its frame came, %s", n, at, frames.Items[n].Received)
			}
		}
		return nil
	})
	g.balanced(t)
}

// Killed and started again, the city goes on: not before what was seen, and what passed while
// nobody could hear is a time in which nobody could, in the city's time.
func TestACitysTimeGoesOnOverARestart(t *testing.T) {
	g := newGateway(t, "simulation: {allowed: true, speed: 60, start: \""+newYearsEve+"\"}")
	g.start(t)
	g.put(t, fireDoor)
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/sn:stair-1", []byte(`{"door.open":false,"seq":1}`))
	g.settled(t)
	frames, err := g.api.Frames(t.Context(), "sn:stair-1", "", time.Time{}, 10)
	must(t, err)
	before := frames.Items[0].Received
	g.Kill()
	killed := time.Now()
	const outage = 2 * time.Second
	time.Sleep(outage)
	g.start(t)
	away := time.Since(killed)
	after := cityTime(t, g)
	if after.Now.Before(before) || after.Now.Sub(before) > 24*time.Hour {
		t.Errorf("the city's time was %s, and is %s after the restart: want it to go on", before, after.Now)
	}
	g.Stop(t)
	withStore(t, g, func(s *state.Store) {
		l, err := s.Load(t.Context())
		must(t, err)
		var deaf time.Duration
		for _, d := range l.Down {
			if d.Source == "" {
				deaf = max(deaf, d.To.Sub(d.From))
			}
		}
		if deaf < 60*outage || deaf > 60*away+6*time.Hour {
			t.Errorf("nobody could hear for %s of the city, while %s passed here: want 60 times as much", deaf, away)
		}
	})
	// Its folder is a simulation's, and no gateway of a real city takes it over.
	b, err := os.ReadFile(g.config)
	must(t, err)
	real := filepath.Join(g.dir, "real.yaml")
	write(t, real, strings.Replace(string(b), "simulation: {allowed: true, speed: 60, start: \""+newYearsEve+"\"}", "", 1))
	if out, err := gatetest.Run(t.Context(), program(t, "gridgate"), "serve", "--config", real); err == nil || !strings.Contains(err.Error()+out, "is that of a simulation") {
		t.Errorf("a gateway of a real city took the folder: %v\n%s", err, out)
	}
}

// Where simulation is allowed, a live unit elsewhere is told nothing, and that is visible; one on
// this machine is. Faster than real time no live unit is registered at all.
func TestASimulationTellsNoLiveUnitElsewhere(t *testing.T) {
	var told atomic.Int64
	here := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told.Add(1) }))
	t.Cleanup(here.Close)
	smoke := `
points:
  - {id: ceiling-1, name: a ceiling, kind: smoke, district: "310105", building: b-1, mode: live}
  - {id: ceiling-2, name: a ceiling, kind: smoke, district: "310105", building: b-2, mode: simulated}
devices:
  - {identity: "sn:smoke-1", profile: gridgate/json, point: ceiling-1, mode: live}
  - {identity: "sn:smoke-2", profile: gridgate/json, point: ceiling-2, mode: simulated}
units:
  - {id: far, name: far, kind: property, tier: 2, mode: live, connector: webhook, url: "https://192.0.2.7/hook", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
  - {id: near, name: near, kind: residents_committee, tier: 1, mode: live, connector: webhook, url: "` + here.URL + `/hook", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
`
	g := newGateway(t, "simulation: {allowed: true}", "dispatch: {allow_cidrs: [127.0.0.0/8, 192.0.2.0/24]}")
	g.start(t)
	g.put(t, smoke)
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/sn:smoke-2", []byte(`{"smoke.alarm":true,"seq":1}`))
	g.settled(t)
	eventually(t, 20*time.Second, "the simulated fire's ticket", func() error {
		if n := len(all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-2"})); n != 1 {
			return fmt.Errorf("%d tickets", n)
		}
		return nil
	})
	if sent := all[grid.Delivery](t, g, "deliveries", api.Query{}); len(sent) != 0 {
		t.Fatalf("what is simulated is for live units: %+v", sent)
	}
	wire.send(t, "gridgate/up/sn:smoke-1", []byte(`{"smoke.alarm":true,"seq":1}`))
	eventually(t, 20*time.Second, "the far unit's message to be dead, and the near one's received", func() error {
		fates := map[string]grid.Delivery{}
		for _, d := range all[grid.Delivery](t, g, "deliveries", api.Query{}) {
			fates[d.Unit] = d
		}
		if fates["far"].State != grid.DeliveryDead || fates["near"].State != grid.DeliveryReceived {
			return fmt.Errorf("%+v", fates)
		}
		return nil
	})
	if told.Load() == 0 {
		t.Error("the near unit heard nothing")
	}
	dead := all[grid.Delivery](t, g, "deliveries", api.Query{Unit: "far", State: string(grid.DeliveryDead)})
	if len(dead) == 0 || !strings.Contains(dead[0].Error, "unit far is live, and this gateway allows simulation") {
		t.Errorf("the dead letter says %+v", dead)
	}
	out, _ := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", g.config, "check")
	if !strings.Contains(out, "SIMULATION IS ALLOWED") || !strings.Contains(out, "far") {
		t.Errorf("gridgate check does not say so:\n%s", out)
	}
	g.Stop(t)
	b, err := os.ReadFile(g.config)
	must(t, err)
	write(t, g.config, strings.Replace(string(b), "{allowed: true}", "{allowed: true, speed: 60}", 1))
	if out, err := gatetest.Run(t.Context(), program(t, "gridgate"), "serve", "--config", g.config); err == nil || !strings.Contains(err.Error()+out, "is live, and simulation.speed is 60") {
		t.Errorf("it started 60 times as fast with live units: %v\n%s", err, out)
	}
	fast := newGateway(t, "simulation: {allowed: true, speed: 60}")
	fast.start(t)
	if _, err := fast.api.Import(t.Context(), []byte(smoke), false); err == nil || !strings.Contains(err.Error(), "unit far is live, and simulation.speed is 60") {
		t.Errorf("a live unit was registered in a city that runs 60 times as fast: %v", err)
	}
}
