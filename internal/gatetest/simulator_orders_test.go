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

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/simulator"
)

// A simulated device does what it is told, over each way there (LwM2M over DTLS): the order ends acknowledged, the
// device reports at the interval that it was told, or does what was written, and an order that it
// does not know is refused where its wire can say so.
func TestASimulatedDeviceDoesWhatItIsTold(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pseudo-terminals are of Linux here")
	}
	dir := t.TempDir()
	ends := simulator.Ends{CoAPS: gatetest.FreeAddr(t), Keys: filepath.Join(dir, "keys.yaml"), Lines: filepath.Join(dir, "lines")}
	router := simulator.Router{}
	city, err := simulator.NewCity(simulator.CityConfig{Seed: 12, Sink: router, Rules: exactRules(t), Secured: true, Parts: []simulator.Part{
		{Model: "milesight/ws301", Envelope: simulator.ChirpStack, Count: 1, Name: "chirpstack", Quiet: true},
		{Model: "milesight/ws301", Envelope: simulator.TheThings, Count: 1, Name: "thethings", Quiet: true},
		{Model: "gridgate/json", Wire: simulator.MQTT, Envelope: simulator.Native, Count: 1, Name: "native", Quiet: true},
		{Model: "oma/smoke", Count: 1, Name: "lwm2m", Quiet: true}, {Model: "modbus/smoke", Count: 1, Name: "rtu", Quiet: true},
	}})
	must(t, err)
	must(t, city.WriteKeys(ends.Keys))
	var config, registry strings.Builder
	must(t, city.WriteConfig(&config, ends))
	must(t, city.Registry().Write(&registry))
	g := newGateway(t, strings.TrimSpace(config.String()))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	run := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for w, link := range city.Links(ends, 64, simulator.Told{}) {
		router[w] = link
		run(link.Run)
	}
	broker := simulator.Broker{URL: "mqtt://" + g.broker}
	mqtt, orders := simulator.NewPublisher(broker, "city", 10, nil, nil), simulator.NewOrders(broker, "orders", city)
	router[simulator.MQTT] = mqtt
	g.start(t)
	g.put(t, registry.String())
	run(mqtt.Run)
	run(orders.Run)
	<-orders.Ready()
	run(city.Run)
	find := func(point string) int {
		i, err := city.Find(point)
		must(t, err)
		return i
	}
	for _, point := range []string{"chirpstack", "thethings", "native", "lwm2m"} {
		must(t, city.Report(ctx, find(point), simulator.Heartbeat))
	}
	for _, o := range []struct {
		point string
		order grid.Order
	}{
		{"chirpstack", grid.Order{Payload: &grid.PayloadOrder{Hex: "ff030100", Port: 85}}}, {"thethings", grid.Order{Payload: &grid.PayloadOrder{Hex: "ff030100", Port: 85}}},
		{"native", grid.Order{Payload: &grid.PayloadOrder{Hex: fmt.Sprintf("%x", `{"interval_s":1}`)}}}, {"lwm2m", grid.Order{LwM2M: &grid.LwM2MOrder{Do: "write", Path: "/1/0/3", Value: "1"}}},
	} {
		i := find(o.point)
		if city.Interval(i) < time.Minute {
			t.Fatalf("%s reports every %v already", o.point, city.Interval(i))
		}
		g.becomes(t, g.tell(t, city.Device(i).Identity, api.NewDownlink{Confirm: true, Order: o.order}).ID, grid.DownlinkAcknowledged, 40*time.Second)
		since := time.Now()
		eventually(t, 40*time.Second, o.point+" to report every second", func() error {
			v, err := g.live(t, o.point, grid.BatteryLevel)
			if err == nil && (city.Interval(i) != time.Second || !v.Received.After(since.Add(time.Second))) {
				err = fmt.Errorf("every %v, last at %v", city.Interval(i), v.Received)
			}
			return err
		})
	}
	rtu := find("rtu")
	slave := city.Device(rtu).Identity
	g.becomes(t, g.tell(t, slave, api.NewDownlink{Confirm: true, Order: grid.Order{Modbus: &grid.ModbusOrder{Write: "register", Address: 16, Values: []uint16{1, 1}}}}).ID, grid.DownlinkAcknowledged, 40*time.Second)
	if s := city.Look(rtu); !s.Test || !s.Mute {
		t.Errorf("the slave was told to test and to be silent, and is %+v", s)
	}
	unknown := g.tell(t, slave, api.NewDownlink{Order: grid.Order{Modbus: &grid.ModbusOrder{Write: "register", Address: 99, Values: []uint16{1}}}})
	g.becomes(t, unknown.ID, grid.DownlinkFailed, 40*time.Second)
}
