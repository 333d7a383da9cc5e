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
	dir := t.TempDir()
	ends := simulator.Ends{CoAP: gatetest.FreeAddr(t), CoAPS: gatetest.FreeAddr(t), GBT26875: gatetest.FreeAddr(t),
		Keys: filepath.Join(dir, "keys.yaml"), Lines: filepath.Join(dir, "lines")}
	router := simulator.Router{}
	city, err := simulator.NewCity(simulator.CityConfig{Seed: 9, Sink: router, Rules: exactRules(t), Parts: []simulator.Part{
		{Model: "milesight/ws301", Wire: simulator.CoAP, Count: 1, Name: "coap-door"},
		{Model: "gridgate/json", Wire: simulator.CoAPS, Count: 1, Name: "coaps-smoke"},
		{Model: "senml/parking", Count: 1, Name: "senml-bay"},
		{Model: "oma/door-true-closed", Wire: simulator.CoAP, Count: 1, Name: "played-door"},
		{Model: "oma/smoke", Count: 1, Name: "lwm2m-smoke"},
		{Model: "oma/manhole", Count: 1, Name: "lwm2m-pit"},
		{Model: "gbt26875/transmitter", Count: 34, Name: "fire"},
		{Model: "gbt26875/transmitter", Kind: grid.Door, Count: 1, Name: "fire-door"},
		{Model: "modbus/smoke", Count: 2, Name: "rtu-smoke"},
		{Model: "modbus/pit-alarm", Count: 1, Name: "rtu-pit"},
		{Model: "modbus/calectro-ug3", Count: 1, Name: "rtu-played"},
		{Model: "gridgate/lines", Count: 2, Name: "panel"},
		{Model: "netvox/ra02a", Count: 1, Name: "lora-smoke", Envelope: simulator.TheThings},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := city.WriteKeys(ends.Keys); err != nil {
		t.Fatal(err)
	}
	var config, registry strings.Builder
	if err := city.WriteConfig(&config, ends); err != nil {
		t.Fatal(err)
	}
	if err := city.Registry().Write(&registry); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, strings.TrimSpace(config.String()))
	links := city.Links(ends, 64, simulator.Told{Refused: func(m simulator.Message, err error) { t.Errorf("%s: %v", m.Identity, err) }})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for w, link := range links {
		router[w] = link
		wg.Go(func() {
			if err := link.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	mqtt := simulator.NewPublisher(simulator.Broker{URL: "mqtt://" + g.broker}, "wires", 10, nil, nil)
	router[simulator.MQTT] = mqtt
	g.start(t)
	g.put(t, registry.String())
	wg.Go(func() {
		if err := mqtt.Run(ctx); err != nil {
			t.Error(err)
		}
	})

	act := func(point string, change func(*simulator.State)) {
		t.Helper()
		i, err := city.Find(point)
		if err != nil {
			t.Fatal(err)
		}
		if err := city.Act(ctx, i, simulator.Edge, change); err != nil {
			t.Fatal(err)
		}
	}
	is := func(point string, signal grid.Signal, want float64) {
		t.Helper()
		eventually(t, 40*time.Second, fmt.Sprintf("%s of %s to be %v", grid.Signals[signal].Name, point, want), func() error {
			v, err := g.live(t, point, signal)
			if err == nil && v.Value != want {
				err = fmt.Errorf("it is %v", v.Value)
			}
			return err
		})
	}
	smoke := func(s *simulator.State) { s.Smoke = true }
	for i := range city.Len() {
		if err := city.Report(ctx, i, simulator.Heartbeat); err != nil {
			t.Fatal(err)
		}
	}
	points := []struct {
		name   string
		signal grid.Signal
		change func(*simulator.State)
	}{
		{"coap-door", grid.DoorOpen, func(s *simulator.State) { s.Open = true }},
		{"coaps-smoke", grid.SmokeAlarm, smoke},
		{"senml-bay", grid.ParkingOccupied, func(s *simulator.State) { s.Occupied = true }},
		{"played-door", grid.DoorOpen, func(s *simulator.State) { s.Open = true }},
		{"lwm2m-smoke", grid.SmokeAlarm, smoke},
		{"lwm2m-pit", grid.ManholeOpen, func(s *simulator.State) { s.Open, s.Tilt = true, 60 }},
		{"fire-1", grid.SmokeAlarm, smoke},
		{"fire-34", grid.SmokeAlarm, smoke}, // of the second transmitter
		{"fire-door", grid.DoorOpen, func(s *simulator.State) { s.Open = true }},
		{"rtu-smoke-2", grid.SmokeAlarm, smoke},
		{"rtu-pit", grid.ManholeOpen, func(s *simulator.State) { s.Open = true }},
		{"rtu-played", grid.SmokeAlarm, smoke},
		{"panel-2", grid.SmokeAlarm, smoke},
		{"lora-smoke", grid.SmokeAlarm, smoke},
	}
	for _, p := range points {
		is(p.name, p.signal, 0)
	}
	for _, p := range points {
		act(p.name, p.change)
	}
	for _, p := range points {
		is(p.name, p.signal, 1)
	}
	is("fire-2", grid.SmokeAlarm, 0)
	is("rtu-smoke-1", grid.SmokeAlarm, 0)
	for w, link := range links {
		wait, done := context.WithTimeout(ctx, 30*time.Second)
		if err := link.Drain(wait); err != nil {
			t.Errorf("%s: %v", w, err)
		}
		done()
	}
	if _, _, _, quarantined, _ := sum(g.balanced(t)); quarantined != 0 {
		t.Errorf("%d frames in quarantine:\n%s", quarantined, g.gridgate(t, "frames"))
	}
}
