package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
	"gridgate/simulator/verdict"
)

// parts are the devices of the scenario, as the simulator knows them.
func (s *Scenario) parts() []simulator.Part {
	var out []simulator.Part
	for _, p := range s.City {
		out = append(out, simulator.Part{Model: p.Model, Wire: simulator.Wire(p.Wire), Envelope: simulator.Envelope(p.Envelope), Count: p.Count,
			Name: s.prefix() + p.Name, Interval: p.Every.of(),
			Place: simulator.Place{Street: p.Street, Compound: p.Compound, Building: p.Building, Floor: p.Floor, Rules: p.Rules, PerBuilding: p.PerBuilding}})
	}
	return out
}

// prefix of the ids of our points.
func (s *Scenario) prefix() string { return "sim-" + s.ID + "-" }

// listenFor lays what the gateway needs for the wires of this city into its configuration.
func (w *own) listenFor(s *Scenario, seed uint64, config map[string]any) error {
	if len(s.City) == 0 {
		return nil // a stage for others
	}
	city, err := simulator.NewCity(simulator.CityConfig{Seed: seed, Rules: simulator.DefaultRules(), Parts: s.parts()})
	if err != nil {
		return err
	}
	for _, to := range []*string{&w.ends.CoAP, &w.ends.CoAPS, &w.ends.GBT26875} {
		if *to, err = freeAddr(); err != nil {
			return err
		}
	}
	w.ends.Keys, w.ends.Lines = filepath.Join(w.dir, "keys.yaml"), filepath.Join(w.dir, "lines")
	if err := city.WriteKeys(w.ends.Keys); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := city.WriteConfig(&text, w.ends); err != nil || text.Len() == 0 {
		return err
	}
	var more map[string]any
	if err := yaml.Unmarshal(text.Bytes(), &more); err != nil {
		return err
	}
	lay(config, more)
	w.links.lines = fault.NewLines(w.ends.Line, seed)
	for _, l := range city.SerialLines() {
		err = errors.Join(err, w.links.lines.Lay(l.Name))
	}
	return err
}

// counted counts what goes by a wire.
type counted struct {
	to     simulator.Sink
	frames atomic.Uint64
	acked  atomic.Uint64
}

// Publish counts what was taken. The end of a scenario may come while a frame is handed over:
// such a one was never sent.
func (c *counted) Publish(ctx context.Context, m simulator.Message) error {
	c.frames.Add(1) // first: its acknowledgement must not overtake it
	err := c.to.Publish(ctx, m)
	if err != nil {
		c.frames.Add(^uint64(0))
	}
	return err
}

// openWires makes a link for each wire that the city speaks; they are connected when the run
// begins.
func (r *run) openWires() error {
	broker := r.o.Broker
	if link := r.links.of["mqtt"]; link != nil {
		broker.URL = "mqtt://" + link.Addr()
	}
	r.pub = simulator.NewPublisher(broker, fmt.Sprintf("%s%d", r.prefix, time.Now().UnixNano()), 2000, r.heardOn(simulator.MQTT), nil)
	r.counts[simulator.MQTT] = &counted{to: r.pub}
	r.router[simulator.MQTT] = r.counts[simulator.MQTT]
	if r.s.breaks("mqtt.") {
		r.links.messages = newMessages(r.counts[simulator.MQTT], r.o.Seed)
		r.router[simulator.MQTT] = r.links.messages
	}
	ends, err := r.ends()
	if err != nil {
		return err
	}
	links := r.city.Links(ends, 2000, simulator.Told{Acked: func(m simulator.Message) { r.heardOn(m.Wire)(m) }, Refused: func(m simulator.Message, err error) {
		r.trouble("%s of %s: %v", m.Wire, m.Identity, err)
	}})
	for w, link := range links {
		r.others = append(r.others, link)
		r.counts[w] = &counted{to: link}
		r.router[w] = r.counts[w]
	}
	return nil
}

// ends is where devices find the gateway: by links that can be broken, where there are some.
func (r *run) ends() (simulator.Ends, error) {
	if r.own == nil {
		for _, p := range r.s.City {
			if p.Wire != "" && p.Wire != string(simulator.MQTT) {
				return simulator.Ends{}, grid.Errorf(grid.Invalid, "part %s speaks %s: want a gateway of our own for it, without --gateway", p.Name, p.Wire)
			}
		}
		return simulator.Ends{}, nil
	}
	e := r.own.ends
	for name, to := range map[string]*string{"coap": &e.CoAP, "coaps": &e.CoAPS, "gbt26875": &e.GBT26875} {
		if link := r.links.of[name]; link != nil {
			*to = link.Addr()
		}
	}
	if r.links.lines != nil {
		e.Open = r.links.lines.Open
	}
	return e, nil
}

// heardOn counts an acknowledgement of a wire. Those of MQTT are counted by the publisher.
func (r *run) heardOn(w simulator.Wire) func(simulator.Message) {
	return func(m simulator.Message) {
		if w != simulator.MQTT {
			r.counts[w].acked.Add(1)
		}
		r.heard(m)
	}
}

// drain waits until all wires are acknowledged.
func (r *run) drain(ctx context.Context) error {
	err := r.pub.Drain(ctx)
	for _, link := range r.others {
		err = errors.Join(err, link.Drain(ctx))
	}
	return err
}

// sent is what went by each wire.
func (r *run) sent() []verdict.Wire {
	var out []verdict.Wire
	for _, w := range simulator.Wires {
		c := r.counts[w]
		switch {
		case c == nil || w == simulator.MQTT && c.frames.Load() == 0 && len(r.others) > 0:
		case w == simulator.MQTT:
			out = append(out, verdict.Wire{Wire: string(w), Frames: c.frames.Load(), Acked: r.pub.Acked.Load(), Resent: r.pub.Resent.Load()})
		default:
			out = append(out, verdict.Wire{Wire: string(w), Frames: c.frames.Load(), Acked: c.acked.Load()})
		}
	}
	return out
}

// framed are the wires on which an acknowledged message is a frame of the gateway's.
func framed(w string) bool {
	return !slices.Contains([]simulator.Wire{simulator.Modbus, simulator.Lines}, simulator.Wire(w))
}

// framesAcked are all messages whose acknowledgement says that they are in the ledger.
func (r *run) framesAcked() uint64 {
	var n uint64
	for _, w := range r.sent() {
		if framed(w.Wire) {
			n += w.Acked
		}
	}
	return n
}

// storing says what of the readings is still on its way to InfluxDB, where a scenario asks.
func (r *run) storing(ctx context.Context) error {
	if !slices.ContainsFunc(r.s.Expect, func(e Expect) bool { return e.Subject == "influx" }) || r.own != nil && r.own.influx == nil {
		return nil
	}
	var sys struct {
		Influx struct {
			Up     bool      `json:"up"`
			Oldest time.Time `json:"oldest"`
		} `json:"influx"`
	}
	if err := r.api.do(ctx, "GET", "/api/v1/system", nil, &sys); err != nil {
		return err
	}
	if !sys.Influx.Up || !sys.Influx.Oldest.IsZero() {
		return grid.Errorf(grid.Unavailable, "readings wait for InfluxDB")
	}
	return nil
}

// nearest finds the point of ours that is nearest to a place, for a unit that is told no more.
func (r *run) nearest(lon, lat float64) string {
	best, at := "", 0.0
	for i := range r.city.Len() {
		p := r.city.Point(i)
		if p.Lon == 0 && p.Lat == 0 {
			continue
		}
		// Of places so near to each other a flat earth does.
		dx, dy := (p.Lon-lon)*0.86, p.Lat-lat
		if d := dx*dx + dy*dy; best == "" || d < at {
			best, at = p.ID, d
		}
	}
	return best
}
