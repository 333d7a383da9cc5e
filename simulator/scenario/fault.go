package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
)

// Fault is something that breaks and is mended again. Start returns once it is broken,
// Stop once it is whole; a fault that mends itself has nothing to stop.
type Fault interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// ErrNotPlayed says that this gateway cannot be made to suffer a fault: what depends on it
// is told as not played.
var ErrNotPlayed = errors.New("not played")

// Faults are the faults that a scenario may name. A maker reads what stands under `with:`;
// what it cannot do with this gateway is an error that wraps ErrNotPlayed.
type Faults map[string]func(Parts, map[string]any) (Fault, error)

// Parts is what faults can get hold of. What is not ours is nil or "".
type Parts struct {
	Gateway, Mosquitto, Influx Program
	API, Broker, InfluxAddr    string // where they listen
	DataDir                    string // of our own gateway
	BrokerStore                string // what our broker keeps
	Lines                      []string
	Disk                       *fault.Disk    // of our own gateway's data
	Network                    *fault.Network // of our own broker
	Behave                     func(unit string, change func(*simulator.Behaviour, *simulator.People)) error

	broken *links // what stands in between; nil: nothing
}

// Program is a process that the runner owns.
type Program interface {
	Kill() error                     // as a power cut
	Stop() error                     // asked to
	Start(ctx context.Context) error // returns when it is ready
	Freeze() error
	Thaw() error
	PID() int
}

// program is a process with what it takes to be ready again.
type program struct {
	*process
	again func(context.Context) error
}

func (p *program) Kill() error                     { return p.kill() }
func (p *program) Stop() error                     { return p.stop() }
func (p *program) Start(ctx context.Context) error { return p.again(ctx) }
func (p *program) Freeze() error                   { return p.freeze() }
func (p *program) Thaw() error                     { return p.thaw() }
func (p *program) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// parts of our own gateway.
func (w *own) parts() Parts {
	p := Parts{API: w.addrs["api"], Broker: w.addrs["broker"], DataDir: w.dir + "/data"}
	p.Gateway = &program{w.gateway, w.startGateway}
	if w.mosquitto != nil {
		p.Mosquitto = &program{w.mosquitto, func(ctx context.Context) error {
			if err := w.mosquitto.start(); err != nil {
				return err
			}
			return dialable(ctx, w.addrs["broker"], w.mosquitto.ended())
		}}
	}
	if w.influx != nil {
		p.Influx, p.InfluxAddr = &program{w.influx, w.startInflux}, w.addrs["influx"]
	}
	p.BrokerStore, p.Disk, p.Network = w.dir+"/mosquitto.db", w.disk, w.network
	return p
}

// parts of this run.
func (r *run) parts() Parts {
	var p Parts
	if r.own != nil {
		p = r.own.parts()
	}
	for _, l := range r.city.SerialLines() {
		p.Lines = append(p.Lines, l.Name)
	}
	p.broken, p.Behave = &r.links, r.units.Behave
	return p
}

// BuiltIn are the faults that come with the simulator: FaultList tells of them.
func BuiltIn() Faults {
	of := func(what string, which func(Parts) Program, start, stop func(context.Context, Program) error) func(Parts, map[string]any) (Fault, error) {
		return func(p Parts, with map[string]any) (Fault, error) {
			if len(with) > 0 {
				return nil, grid.Errorf(grid.Invalid, "fault: with is %v: want nothing", with)
			}
			prog := which(p)
			if prog == nil {
				return nil, fmt.Errorf("%s is not ours: %w", what, ErrNotPlayed)
			}
			return &processFault{prog, start, stop}, nil
		}
	}
	gateway := func(p Parts) Program { return p.Gateway }
	broker := func(p Parts) Program { return p.Mosquitto }
	influx := func(p Parts) Program { return p.Influx }
	kill := func(_ context.Context, p Program) error { return p.Kill() }
	stop := func(_ context.Context, p Program) error { return p.Stop() }
	start := func(ctx context.Context, p Program) error { return p.Start(ctx) }
	freeze := func(_ context.Context, p Program) error { return p.Freeze() }
	thaw := func(_ context.Context, p Program) error { return p.Thaw() }
	out := Faults{
		"gateway.kill":   of("the gateway", gateway, kill, start),
		"gateway.stop":   of("the gateway", gateway, stop, start),
		"gateway.freeze": of("the gateway", gateway, freeze, thaw),
		"broker.down":    of("the broker", broker, stop, start),
		"broker.kill":    of("the broker", broker, kill, start),
		"broker.freeze":  of("the broker", broker, freeze, thaw),
		"influx.down":    of("InfluxDB", influx, stop, start),
		"influx.freeze":  of("InfluxDB", influx, freeze, thaw),
	}
	maps.Copy(out, linkFaults())
	return out
}

type processFault struct {
	p           Program
	start, stop func(context.Context, Program) error
}

func (f *processFault) Start(ctx context.Context) error { return f.start(ctx, f.p) }
func (f *processFault) Stop(ctx context.Context) error  { return f.stop(ctx, f.p) }
