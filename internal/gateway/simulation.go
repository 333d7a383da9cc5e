package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/clock"
	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

// SimulationConfig lets simulators drive this gateway, and its city run in another time.
type SimulationConfig struct {
	Allowed bool    `yaml:"allowed"`
	Speed   float64 `yaml:"speed"` // seconds of the city in one of the machine's
	Start   string  `yaml:"start"` // RFC 3339: city time of an empty data folder's first start; "" is the machine's
}

// maxSpeed is an hour of the city in a second.
const maxSpeed = 3600

func (c *SimulationConfig) validate(v *problems) {
	v.want(c.Speed >= 1 && c.Speed <= maxSpeed, "simulation.speed is %v: want 1 to %d", c.Speed, maxSpeed)
	v.want(c.Allowed || c.Speed == 1, "simulation.speed is %v: want 1, or simulation.allowed true, which no gateway of a real city has", c.Speed)
	v.want(c.Allowed || c.Start == "", "simulation.start is %q: want none, or simulation.allowed true, which no gateway of a real city has", c.Start)
	if c.Start != "" {
		_, err := time.Parse(time.RFC3339, c.Start)
		v.want(err == nil, "simulation.start is %q: want a time such as 2026-12-31T20:00:00+08:00", c.Start)
	}
}

// metaClock is where the engine keeps the clock of a simulation.
const metaClock = "clock.city"

// ahead is how far a data folder's time may be before the machine's: clocks are set.
const ahead = time.Hour

// startClock makes the city's clock. It does not go backwards over a restart: what is stored has
// times, and a city that is younger than its tickets makes no sense.
func (g *Gateway) startClock(ctx context.Context) error {
	c, machine := &g.cfg.Simulation, time.Now()
	p, err := g.store.Progress(ctx)
	if err != nil {
		return err
	}
	seen := p.EngineTime
	kept, err := g.store.Meta(ctx, metaClock)
	if err != nil {
		return err
	}
	if kept != "" {
		m, err := clock.ParseMark(kept)
		if err != nil {
			return fmt.Errorf("state: %s: %w", metaClock, err)
		}
		if at := m.Resume(machine, c.Speed); at.After(seen) {
			seen = at
		}
	}
	if !c.Allowed {
		if kept != "" && seen.After(machine.Add(ahead)) {
			return grid.Errorf(grid.Invalid, "data_dir %s is that of a simulation, its time is %s: want simulation.allowed true, or another folder", g.cfg.DataDir, seen.Format(time.RFC3339))
		}
		return nil // the machine's
	}
	from := machine
	if c.Start != "" {
		if from, err = time.Parse(time.RFC3339, c.Start); err != nil {
			return fmt.Errorf("simulation.start: %w", err)
		}
	}
	begun := !p.EngineTime.IsZero()
	if begun && (c.Start != "" || seen.After(machine)) {
		from = seen
	}
	if c.Speed != 1 || !from.Equal(machine) {
		g.clock = clock.Simulated(from, c.Speed)
	}
	g.log.Warn("SIMULATION IS ALLOWED: this gateway is none of a real city", "speed", c.Speed, "city_time", g.clock.Now().Format(time.RFC3339))
	return nil
}

// simulation is what the gateway says of it, to anyone.
func (g *Gateway) simulation() api.Simulation {
	return api.Simulation{Allowed: g.cfg.Simulation.Allowed, Speed: g.clock.Speed(), Now: g.clock.Now().UTC()}
}

// apart says why a live unit is not told anything by a gateway that allows simulation; nil: it is
// on this machine, or nothing leaves for it.
func (g *Gateway) apart(u *grid.Unit) error {
	if !g.cfg.Simulation.Allowed || u.Mode != grid.Live && u.Mode != "" || u.Connector == "inbox" {
		return nil
	}
	if at, err := url.Parse(u.URL); err == nil && onThisMachine(at.Hostname()) && u.Connector != "mail" {
		return nil
	}
	return grid.Errorf(grid.Forbidden, "unit %s is live, and this gateway allows simulation: want the unit's mode simulated, an address on loopback, or simulation.allowed false", u.ID)
}

// onThisMachine does not ask a name server: a name may lead elsewhere the second time.
func onThisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// keptApart puts the rule before each connector.
func (g *Gateway) keptApart(all map[string]grid.Connector) map[string]grid.Connector {
	if !g.cfg.Simulation.Allowed {
		return all
	}
	out := make(map[string]grid.Connector, len(all))
	for name, c := range all {
		out[name] = apart{c, g}
	}
	return out
}

type apart struct {
	grid.Connector
	g *Gateway
}

func (a apart) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	u, err := a.g.store.Unit(ctx, d.Unit)
	if err != nil {
		return grid.Receipt{}, err
	}
	if err := a.g.apart(&u); err != nil {
		return grid.Receipt{}, fmt.Errorf("%w: %w", dispatch.ErrNever, err)
	}
	return a.Connector.Deliver(ctx, d)
}

// checkApart refuses to start faster than real time where live units are registered: their
// people would be called by clocks that are not theirs.
func (g *Gateway) checkApart(ctx context.Context) error {
	if !g.cfg.Simulation.Allowed {
		return nil
	}
	units, err := g.allUnits(ctx)
	if err != nil {
		return err
	}
	for i := range units {
		if err := g.mayRun(&units[i]); err != nil {
			return err
		}
		if err := g.apart(&units[i]); err != nil {
			g.log.Error("messages to a live unit are refused", "unit", units[i].ID, "err", err)
		}
	}
	return nil
}

// mayRun refuses a live unit in a city that runs in another time.
func (g *Gateway) mayRun(u *grid.Unit) error {
	if g.clock.Simulated() && (u.Mode == grid.Live || u.Mode == "") {
		return grid.Errorf(grid.Invalid, "unit %s is live, and simulation.speed is %v with city time %s: want the unit's mode simulated, or the machine's time", u.ID, g.clock.Speed(), g.clock.Now().Format(time.RFC3339))
	}
	return nil
}

// unitsToTest are those that may be told something, a test of their channel too.
func (g *Gateway) unitsToTest(ctx context.Context) ([]grid.Unit, error) {
	all, err := g.allUnits(ctx)
	return slices.DeleteFunc(all, func(u grid.Unit) bool { return g.apart(&u) != nil }), err
}

// unitsToAsk are those of a connector whose systems may be asked.
func (g *Gateway) unitsToAsk(ctx context.Context, connector string) ([]string, error) {
	if !g.cfg.Simulation.Allowed {
		return g.unitsBy(ctx, connector)
	}
	all, err := g.unitsToTest(ctx)
	var ids []string
	for i := range all {
		if all[i].Connector == connector {
			ids = append(ids, all[i].ID)
		}
	}
	return ids, err
}
