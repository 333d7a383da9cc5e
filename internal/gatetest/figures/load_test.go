package figures

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/simulator"
)

// fleet is devices of one model that a load speaks for.
type fleet struct {
	model string
	n     int
	seed  uint64 // keeps the identities of two fleets apart
}

const doorSeed, baySeed, smokeSeed = 1, 2, 3

func doors(n int) fleet { return fleet{model: "milesight/ws301", n: n, seed: doorSeed} }

func registryOf(b *testing.B, f fleet) simulator.Registry {
	l := simulator.Load{Profile: f.model, Devices: f.n, Conns: 1, Seed: f.seed}
	r, err := l.Registry()
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// gridsim runs the load generator to its end and reads its result.
func gridsim[T any](b *testing.B, g *gateway, args ...string) T {
	b.Helper()
	cmd := exec.Command(program(b, "gridsim"), append(append([]string{"bench"}, args...), "--json", "--broker", "mqtt://"+g.broker)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("gridsim %s: %v: %s", strings.Join(args, " "), err, out)
	}
	var res T
	if err := json.Unmarshal(out, &res); err != nil {
		b.Fatalf("gridsim says %q: %v", out, err)
	}
	return res
}

// through is what a load through the gateway gave.
type through struct {
	simulator.LoadResult
	took     time.Duration // until the last frame was acknowledged by InfluxDB
	cpu      time.Duration // of the gateway alone
	tickets  float64
	balanced bool
}

func (t through) perSecond() float64 { return float64(t.Acked) / t.took.Seconds() }
func (t through) cpuEach() float64   { return float64(t.cpu.Nanoseconds()) / 1000 / float64(t.Acked) }

func (t through) String() string {
	s := join(rate(t.perSecond())+" until InfluxDB has acknowledged the last",
		fmt.Sprintf("gateway %.1f µs CPU a frame", t.cpuEach()),
		fmt.Sprintf("%s frames, %s tickets opened", thousands(int64(t.Acked)), thousands(int64(t.tickets))))
	if t.balanced {
		return s + ", ledger balances"
	}
	return s + ", **ledger does not balance**"
}

// load sends a fleet's frames over some connections, as fast as they are acknowledged if
// perSecond is 0.
func load(b *testing.B, g *gateway, f fleet, conns int, l time.Duration, perSecond float64) simulator.LoadResult {
	b.Helper()
	return gridsim[simulator.LoadResult](b, g, "--model", f.model, "--devices", fmt.Sprint(f.n), "--seed", fmt.Sprint(f.seed),
		"--conns", fmt.Sprint(conns), "--window", "1000", "--rate", fmt.Sprint(perSecond), "--for", l.String())
}

// push sends a fleet's frames through a gateway as fast as they are taken, and waits until
// the last is in InfluxDB.
func push(b *testing.B, g *gateway, f fleet, conns int, l time.Duration) through {
	b.Helper()
	before, cpu, began := g.metrics(), g.cpu(), time.Now()
	t := through{LoadResult: load(b, g, f, conns, l, 0)}
	m := g.drained(before["gridgate_journal_frames_total"] + float64(t.Acked))
	t.took, t.cpu, t.balanced = time.Since(began), g.cpu()-cpu, g.balanced()
	t.tickets = m["gridgate_engine_open_tickets"]
	return t
}

// running is a gateway that knows a fleet, started.
func running(b *testing.B, f fleet, subscribe string) *gateway {
	g := newGateway(b, subscribe)
	g.register(registryOf(b, f), property(b))
	g.start()
	return g
}

// mosquittoAt starts a real Mosquitto and returns its address.
func mosquittoAt(b *testing.B, inflight int) string {
	addr := gatetest.FreeAddr(b)
	_, port, _ := strings.Cut(addr, ":")
	config := b.TempDir() + "/mosquitto.conf"
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence false\nmax_inflight_messages %d\nmax_queued_messages 0\n", port, inflight)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	p := gatetest.NewProgram(b, "mosquitto", gatetest.FindPeer(b, "mosquitto", "MOSQUITTO", false), "-c", config)
	p.Start(b)
	time.Sleep(300 * time.Millisecond)
	return addr
}

// smokeRegistry is what the gateway must know for smoke alarms, with the unit at a port.
func smokeRegistry(b *testing.B, port int) simulator.Registry {
	units, err := simulator.NewUnits([]grid.UnitKind{grid.MicroStation}, smokeSeed)
	if err != nil {
		b.Fatal(err)
	}
	s := simulator.SmokeBench{N: alarms, Seed: smokeSeed, Unit: units[0], Port: port}
	r, err := s.Registry()
	if err != nil {
		b.Fatal(err)
	}
	return r
}
