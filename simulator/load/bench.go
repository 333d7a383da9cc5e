package load

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Bench is a sweep over one wire to one gateway.
type Bench struct {
	Wire    simulator.Wire
	Load    simulator.Load // over MQTT: what is sent
	Mix     string         // over other wires: whose models
	Devices int
	Seed    uint64
	Window  int
	Length  time.Duration // of a step
	Sweep   Sweep

	Own     *RigConfig     // a gateway of our own; nil: that of Gateway
	Gateway Gateway        //
	Ends    simulator.Ends // where that one listens
}

// Result of a bench.
type Result struct {
	Wire    simulator.Wire `json:"wire"`
	Sends   string         `json:"sends"`
	Devices int            `json:"devices"`
	Cores   int            `json:"cores"`
	Began   time.Time      `json:"began"`
	Knee
	Limits string `json:"limits"`
}

// Run opens what is needed, and goes up.
func (b *Bench) Run(ctx context.Context, cores int) (res Result, err error) {
	res = Result{Wire: b.Wire, Devices: b.Devices, Cores: cores, Began: time.Now()}
	dir, err := os.MkdirTemp("", "gridsim-field-")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	driver, field, settings, err := b.driver(dir)
	if err != nil {
		return res, err
	}
	// The links are there before the gateway is: it opens serial lines that exist.
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	res.Sends = b.Load.Profile + ", " + b.Load.Envelope
	if field != nil {
		res.Sends = b.Mix
		wg.Go(func() { field.Run(ctx) }) // how it ends shows in what is not acknowledged
	}
	gateway := &b.Gateway
	if b.Own != nil {
		own := *b.Own
		own.Settings += settings
		rig, err := OpenRig(ctx, own)
		if err != nil {
			return res, err
		}
		defer rig.Close()
		gateway = &rig.Gateway
		if f, ok := driver.(*Flood); ok {
			f.Load.Broker = rig.Broker
		}
	}
	if err := prepare(ctx, gateway, driver, field); err != nil {
		return res, err
	}
	m := meter{gateway: gateway, driver: driver, length: b.Length}
	b.Sweep.Hold = m.hold
	res.Knee, err = b.Sweep.Run(ctx)
	res.Limits = res.Limit(cores)
	return res, err
}

// prepare registers the devices, and lets each of a field be heard once before anything is measured.
func prepare(ctx context.Context, gateway *Gateway, driver Driver, field *Field) error {
	if _, err := gateway.Clock(ctx); err != nil { // refuses one of a real city
		return err
	}
	reg, err := driver.Registry()
	if err != nil {
		return err
	}
	if err := gateway.Register(ctx, reg); err != nil {
		return err
	}
	if field == nil {
		return nil
	}
	if err := field.First(ctx); err != nil {
		return err
	}
	_, err = gateway.drained(ctx, drainWithin)
	return err
}

func (b *Bench) driver(dir string) (Driver, *Field, string, error) {
	if b.Wire == simulator.Modbus {
		return nil, nil, "", grid.Errorf(grid.Invalid, "wire is modbus: there the gateway asks when it likes, and no rate can be offered: want another wire")
	}
	if b.Wire == simulator.MQTT {
		b.Load.Devices, b.Load.Seed, b.Load.Window = b.Devices, b.Seed, b.Window
		return &Flood{Load: b.Load}, nil, "", nil
	}
	ends := b.Ends
	if b.Own != nil {
		var err error
		if ends, err = Ends(dir); err != nil {
			return nil, nil, "", err
		}
	}
	f, err := NewField(b.Wire, b.Mix, b.Devices, b.Seed, ends, b.Window)
	if err != nil {
		return nil, nil, "", err
	}
	var config settings
	err = f.WriteConfig(&config)
	return f, f, string(config), err
}

type settings []byte

func (s *settings) Write(b []byte) (int, error) {
	*s = append(*s, b...)
	return len(b), nil
}

// meter holds a rate and measures the gateway meanwhile.
type meter struct {
	gateway *Gateway
	driver  Driver
	length  time.Duration
}

// drainWithin is how long a gateway may take for what a step has left in it.
const drainWithin = 5 * time.Minute

// hold offers a rate for a step's length. The gateway's processor time is that until all
// of the step is in InfluxDB.
func (m *meter) hold(ctx context.Context, rate float64) (s Step, err error) {
	before, err := m.gateway.Ledger(ctx)
	if err != nil {
		return s, err
	}
	was, err := m.gateway.metrics(ctx)
	if err != nil {
		return s, err
	}
	self, machine, began := useOf("self").cpu, machineBusy(), time.Now()
	// What waits in the gateway is read when the step's time is up, not when all is acknowledged.
	type ended struct {
		metrics
		load, machine time.Duration
		took          time.Duration
	}
	at := make(chan ended, 1)
	go func() {
		time.Sleep(m.length)
		e := ended{load: useOf("self").cpu - self, machine: machineBusy() - machine, took: time.Since(began)}
		e.metrics, _ = m.gateway.metrics(ctx) // a gateway that does not answer has no figures
		at <- e
	}()
	d, err := m.driver.Drive(ctx, rate, m.length)
	end := <-at
	if err != nil && (ctx.Err() != nil || d.Sent == 0) {
		return s, err
	}
	s = Step{Seconds: time.Since(began).Seconds(), Sent: d.Sent, Acked: d.Acked, PerSecond: d.PerSecond, Latency: d.Latency, Backlog: d.Backlog, Refused: d.Refused,
		Waiting: uint64(end.metrics[metricWaiting]), Memory: end.metrics[metricMemory]}
	now, err := m.gateway.drained(ctx, drainWithin)
	if err != nil {
		return s, err
	}
	s.CPUEach = (now[metricCPU] - was[metricCPU]) * 1e6 / float64(max(d.Acked, 1))
	s.Cores = (end.metrics[metricCPU] - was[metricCPU]) / end.took.Seconds()
	s.LoadCores, s.Machine = end.load.Seconds()/end.took.Seconds(), end.machine.Seconds()/end.took.Seconds()
	l, err := m.gateway.Ledger(ctx)
	if err != nil {
		return s, err
	}
	s.Ledger = l.minus(before)
	// A frame that was acknowledged must be counted; a repetition may be counted twice.
	s.Ledger.Balanced = s.Ledger.Balanced && s.Ledger.Waiting == 0 && s.Ledger.Accepted >= int64(d.Acked)
	return s, nil
}

// Keep writes a page of the result.
func (r *Result) Keep(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := WriteHTML(f, r); err != nil {
		f.Close()
		return grid.Errorf(grid.Internal, "page %s: %w", path, err)
	}
	return f.Close()
}

// Words is one line of what was measured.
func (r *Result) Words() string {
	return fmt.Sprintf("%s (%s), %d devices, %d cores", r.Wire, r.Sends, r.Devices, r.Cores)
}
