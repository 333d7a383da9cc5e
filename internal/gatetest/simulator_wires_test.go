package gatetest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/simulator"
)

// TestAStateAtTheSimulatorIsAReadingOfTheGatewayOverEveryWire plays one or more devices on
// each wire against one gateway.
func TestAStateAtTheSimulatorIsAReadingOfTheGatewayOverEveryWire(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pseudo-terminals are of Linux here")
	}
	t.Parallel()
	w := everyWire(t)
	defer w.down()
	open := func(s *simulator.State) { s.Open = true }
	smoke := func(s *simulator.State) { s.Smoke = true }
	for i := range w.city.Len() {
		if err := w.city.Report(w.ctx, i, simulator.Heartbeat); err != nil {
			t.Fatal(err)
		}
	}
	points := []struct {
		name   string
		signal grid.Signal
		change func(*simulator.State)
	}{
		{"coap-door", grid.DoorOpen, open},
		{"coaps-smoke", grid.SmokeAlarm, smoke},
		{"senml-bay", grid.ParkingOccupied, func(s *simulator.State) { s.Occupied = true }},
		{"played-door", grid.DoorOpen, open},
		{"lwm2m-smoke", grid.SmokeAlarm, smoke},
		{"lwm2m-pit", grid.ManholeOpen, func(s *simulator.State) { s.Open, s.Tilt = true, 60 }},
		{"fire-1", grid.SmokeAlarm, smoke},
		{"fire-34", grid.SmokeAlarm, smoke}, // of the second transmitter
		{"fire-door", grid.DoorOpen, open},
		{"bcd-fire", grid.SmokeAlarm, smoke},
		{"dahua-fire", grid.SmokeAlarm, smoke},
		{"rtu-smoke-2", grid.SmokeAlarm, smoke},
		{"rtu-pit", grid.ManholeOpen, open},
		{"rtu-played", grid.SmokeAlarm, smoke},
		{"panel-2", grid.SmokeAlarm, smoke},
		{"lora-smoke", grid.SmokeAlarm, smoke},
	}
	for _, p := range points {
		w.is(p.name, p.signal, 0)
	}
	for _, p := range points {
		w.act(p.name, p.change)
	}
	for _, p := range points {
		w.is(p.name, p.signal, 1)
	}
	w.is("fire-2", grid.SmokeAlarm, 0)
	w.is("rtu-smoke-1", grid.SmokeAlarm, 0)
	w.drain()
	if _, _, _, quarantined, _ := sum(w.g.balanced(t)); quarantined != 0 {
		t.Errorf("%d frames in quarantine:\n%s", quarantined, w.g.gridgate(t, "frames"))
	}
}

// wires is a city with devices on every wire, and the gateway that hears them.
type wires struct {
	t     *testing.T
	ctx   context.Context
	down  func() // ends the links
	city  *simulator.City
	links map[simulator.Wire]simulator.Link
	g     *gateway
}

// everyWire starts the gateway and the links to it.
func everyWire(t *testing.T) *wires {
	dir := t.TempDir()
	ends := simulator.Ends{CoAP: gatetest.FreeAddr(t), CoAPS: gatetest.FreeAddr(t), GBT26875: gatetest.FreeAddr(t),
		Keys: filepath.Join(dir, "keys.yaml"), Lines: filepath.Join(dir, "lines")}
	router := simulator.Router{}
	w := &wires{t: t, city: wiredCity(t, router)}
	must(t, w.city.WriteKeys(ends.Keys))
	var config, registry strings.Builder
	must(t, w.city.WriteConfig(&config, ends))
	must(t, w.city.Registry().Write(&registry))
	w.g = newGateway(t, strings.TrimSpace(config.String()))
	w.links = w.city.Links(ends, 64, simulator.Told{Refused: func(m simulator.Message, err error) { t.Errorf("%s: %v", m.Identity, err) }})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	w.ctx, w.down = ctx, func() { cancel(); wg.Wait() }
	run := func(link simulator.Link) {
		wg.Go(func() {
			if err := link.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for wire, link := range w.links {
		router[wire] = link
		run(link)
	}
	mqtt := simulator.NewPublisher(simulator.Broker{URL: "mqtt://" + w.g.broker}, "wires", 10, nil, nil)
	router[simulator.MQTT] = mqtt
	w.g.start(t)
	w.g.put(t, registry.String())
	run(mqtt)
	return w
}

func wiredCity(t *testing.T, router simulator.Router) *simulator.City {
	city, err := simulator.NewCity(simulator.CityConfig{Seed: 9, Sink: router, Rules: exactRules(t), Parts: []simulator.Part{
		{Model: "milesight/ws301", Wire: simulator.CoAP, Count: 1, Name: "coap-door"},
		{Model: "gridgate/json", Wire: simulator.CoAPS, Count: 1, Name: "coaps-smoke"},
		{Model: "senml/parking", Count: 1, Name: "senml-bay"},
		{Model: "oma/door-true-closed", Wire: simulator.CoAP, Count: 1, Name: "played-door"},
		{Model: "oma/smoke", Count: 1, Name: "lwm2m-smoke"},
		{Model: "oma/manhole", Count: 1, Name: "lwm2m-pit"},
		{Model: "gbt26875/transmitter", Count: 34, Name: "fire"},
		{Model: "gbt26875/transmitter", Kind: grid.Door, Count: 1, Name: "fire-door"},
		{Model: "gbt26875/bcd", Count: 1, Name: "bcd-fire"},
		{Model: "gbt26875/dahua", Count: 1, Name: "dahua-fire"},
		{Model: "modbus/smoke", Count: 2, Name: "rtu-smoke"},
		{Model: "modbus/pit-alarm", Count: 1, Name: "rtu-pit"},
		{Model: "modbus/calectro-ug3", Count: 1, Name: "rtu-played"},
		{Model: "gridgate/lines", Count: 2, Name: "panel"},
		{Model: "netvox/ra02a", Count: 1, Name: "lora-smoke", Envelope: simulator.TheThings},
	}})
	must(t, err)
	return city
}

func (w *wires) act(point string, change func(*simulator.State)) {
	w.t.Helper()
	i, err := w.city.Find(point)
	must(w.t, err)
	must(w.t, w.city.Act(w.ctx, i, simulator.Edge, change))
}

// is waits for a value at a point.
func (w *wires) is(point string, signal grid.Signal, want float64) {
	w.t.Helper()
	eventually(w.t, 40*time.Second, fmt.Sprintf("%s of %s to be %v", grid.Signals[signal].Name, point, want), func() error {
		v, err := w.g.live(w.t, point, signal)
		if err == nil && v.Value != want {
			err = fmt.Errorf("it is %v", v.Value)
		}
		return err
	})
}

// drain waits until everything that was said is acknowledged.
func (w *wires) drain() {
	for wire, link := range w.links {
		wait, done := context.WithTimeout(w.ctx, 30*time.Second)
		if err := link.Drain(wait); err != nil {
			w.t.Errorf("%s: %v", wire, err)
		}
		done()
	}
}
