package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"gridgate/simulator"
)

// cityFlags make fleet play a city in place of a scenario.
type cityFlags struct {
	mix     string
	wire    string
	devices int
	day     string
	gateway string
	rules   string
	config  string
	doubled float64
	secured bool
	obey    bool
	ends    simulator.Ends
}

func (f *cityFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.mix, "mix", "", "a city that lives: city, wires, a YAML file of parts, or model[@wire|envelope]=count,…")
	fl.StringVar(&f.wire, "wire", "", "only what speaks by this wire: mqtt, coap, coaps, lwm2m, gbt26875, modbus or lines")
	fl.IntVar(&f.devices, "devices", 0, "devices of the mix, in its proportions (default: as the mix says)")
	fl.StringVar(&f.day, "day", "", "city time at the beginning, for example 2026-12-31 or 2026-12-31T20:00:00+08:00 (default: now)")
	fl.StringVar(&f.gateway, "gateway", "", "take the city's time and speed from this gateway; it must allow simulation")
	fl.StringVar(&f.rules, "city", "", "a file like simulator/city.yaml in place of it")
	fl.StringVar(&f.config, "config", "", "write what the gateway's configuration must have for the wires to this file")
	fl.Float64Var(&f.doubled, "doubled", 0, "share of LoRaWAN frames that the network passes on twice")
	fl.StringVar(&f.ends.CoAP, "coap", "127.0.0.1:5683", "the gateway's CoAP and LwM2M over UDP")
	fl.StringVar(&f.ends.CoAPS, "coaps", "127.0.0.1:5684", "the gateway's CoAP over DTLS")
	fl.BoolVar(&f.secured, "lwm2m-dtls", false, "LwM2M goes over DTLS too, by the devices' keys")
	fl.BoolVar(&f.obey, "obey", true, "devices behind the broker do what they are told")
	fl.StringVar(&f.ends.Keys, "keys", "", "write the keys of devices that speak over DTLS to this file")
	fl.StringVar(&f.ends.GBT26875, "gbt26875", "127.0.0.1:5000", "the gateway's GB/T 26875.3 over TCP")
	fl.StringVar(&f.ends.Lines, "lines", "lines", "folder for the links to serial lines")
}

// wanted reports whether a city is to be played.
func (f *cityFlags) wanted() bool {
	return f.mix != "" || f.wire != "" || f.devices != 0 || f.day != "" || f.gateway != ""
}

// clock of the city: the gateway's, or the one that the flags say.
func (f *cityFlags) clock(ctx context.Context, speed float64) (simulator.Clock, error) {
	if f.gateway != "" {
		return gatewayClock(ctx, f.gateway)
	}
	start := time.Now()
	if f.day != "" {
		var err error
		if start, err = time.Parse(time.RFC3339, f.day); err != nil {
			zone, _ := time.LoadLocation("Asia/Shanghai") // cities of other zones say theirs
			if start, err = time.ParseInLocation(time.DateOnly, f.day, zone); err != nil {
				return simulator.Clock{}, usageError{fmt.Errorf("day is %q: want 2026-12-31 or 2026-12-31T20:00:00+08:00", f.day)}
			}
		}
	}
	if speed <= 0 {
		return simulator.Clock{}, usageError{fmt.Errorf("speed is %g: want more than 0", speed)}
	}
	return simulator.NewClock(start, speed), nil
}

// gatewayClock asks a gateway what time it is in its city.
func gatewayClock(ctx context.Context, url string) (clock simulator.Clock, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/readyz", nil)
	if err != nil {
		return clock, usageError{fmt.Errorf("gateway is %q: want http://host:port", url)}
	}
	asked := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return clock, err
	}
	defer res.Body.Close()
	var ready struct {
		Simulation struct {
			Allowed bool      `json:"allowed"`
			Speed   float64   `json:"speed"`
			Now     time.Time `json:"now"`
		} `json:"simulation"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&ready); err != nil {
		return clock, fmt.Errorf("gateway %s: %w", url, err)
	}
	if !ready.Simulation.Allowed {
		return clock, fmt.Errorf("gateway %s does not report simulation: allowed: want `simulation: {allowed: true}` in its configuration", url)
	}
	return simulator.Clock{Start: ready.Simulation.Now, Since: asked.Add(time.Since(asked) / 2), Speed: ready.Simulation.Speed}, nil
}

// playCity plays until ctx is done or the length is over.
func playCity(cmd *cobra.Command, c *common, f *fleetFlags, g *cityFlags, speed float64) error {
	ctx := cmd.Context()
	p, err := newPlayedCity(ctx, c, g, speed)
	if err != nil {
		return err
	}
	if done, err := p.write(c, g); done || err != nil {
		return err
	}
	if p.sent, err = openSentLog(f.printSent); err != nil {
		return err
	}
	told := simulator.Told{Acked: p.acknowledged, Refused: p.refuse}
	p.pub = simulator.NewPublisher(c.broker, orDefault(f.client, fmt.Sprintf("gridsim-%d", c.seed)), f.window, p.acknowledged, nil)
	p.router[simulator.MQTT] = p.pub
	if g.obey {
		p.orders = simulator.NewOrders(c.broker, orDefault(f.client, fmt.Sprintf("gridsim-%d", c.seed))+"-orders", p.city)
	}
	p.links = p.city.Links(g.ends, f.window, told)
	for w, link := range p.links {
		p.router[w] = link
	}
	return p.run(cmd, c.length)
}

// playedCity is a city being played.
type playedCity struct {
	city   *simulator.City
	router simulator.Router
	pub    *simulator.Publisher
	orders *simulator.Orders // by MQTT; the other wires hear what is said to them by themselves
	links  map[simulator.Wire]simulator.Link
	sent   *sentLog

	acked, refused atomic.Uint64
	mu             sync.Mutex
	why            error // of the first refusal
}

func newPlayedCity(ctx context.Context, c *common, g *cityFlags, speed float64) (*playedCity, error) {
	parts, err := simulator.NewMix(orDefault(g.mix, "city"), g.devices, simulator.Wire(g.wire))
	if err != nil {
		return nil, usageError{err}
	}
	clock, err := g.clock(ctx, speed)
	if err != nil {
		return nil, err
	}
	rules := simulator.DefaultRules()
	if g.rules != "" {
		b, err := os.ReadFile(g.rules)
		if err != nil {
			return nil, err
		}
		if rules, err = simulator.ReadRules(b); err != nil {
			return nil, usageError{err}
		}
	}
	p := &playedCity{router: simulator.Router{}}
	p.city, err = simulator.NewCity(simulator.CityConfig{Seed: c.seed, Clock: clock, Sink: p.router, Parts: parts, Rules: rules, Doubled: g.doubled, Secured: g.secured})
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}

// write writes what the gateway must know; done: nothing else is wanted.
func (p *playedCity) write(c *common, g *cityFlags) (done bool, err error) {
	if g.ends.Lines, err = filepath.Abs(g.ends.Lines); err != nil {
		return true, err
	}
	if g.ends.Keys != "" {
		if g.ends.Keys, err = filepath.Abs(g.ends.Keys); err != nil {
			return true, err
		}
		if err := p.city.WriteKeys(g.ends.Keys); err != nil {
			return true, fmt.Errorf("keys: %w", err)
		}
	}
	if g.config != "" {
		var b strings.Builder
		if err := p.city.WriteConfig(&b, g.ends); err != nil {
			return true, err
		}
		if err := os.WriteFile(g.config, []byte(b.String()), 0o600); err != nil {
			return true, fmt.Errorf("config: %w", err)
		}
	}
	return c.write(p.city.Registry())
}

func (p *playedCity) acknowledged(m simulator.Message) {
	p.acked.Add(1)
	p.sent.add(m)
}

func (p *playedCity) refuse(m simulator.Message, err error) {
	p.refused.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why == nil {
		p.why = fmt.Errorf("%s over %s: %w", m.Identity, m.Wire, err)
	}
}

// run plays, says each second how it goes, and waits for the acknowledgements.
func (p *playedCity) run(cmd *cobra.Command, length time.Duration) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	if length > 0 {
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	var wg sync.WaitGroup
	errs := make(chan error, 3+len(p.links))
	start := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(linked); err != nil {
				errs <- err
				cancel()
				unlink()
			}
		})
	}
	start(p.pub.Run)
	if p.orders != nil {
		start(p.orders.Run)
	}
	for _, l := range p.links {
		start(l.Run)
	}
	wg.Go(func() { p.progress(cmd, ctx) })
	err := p.city.Run(ctx)
	cancel()
	drain, done := context.WithTimeout(linked, 30*time.Second)
	defer done()
	lost := p.pub.Drain(drain)
	for w, l := range p.links {
		if e := l.Drain(drain); e != nil {
			lost = errors.Join(lost, fmt.Errorf("%s: %w", w, e))
		}
	}
	unlink()
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	if err = errors.Join(err, p.sent.close()); err != nil {
		return err
	}
	if err := p.line(cmd); err != nil {
		return err
	}
	if lost = errors.Join(lost, p.why); lost != nil {
		return lossError{lost}
	}
	return nil
}

// CityProgress is how a city goes.
type CityProgress struct {
	City    time.Time `json:"city"` // its time
	Sent    uint64    `json:"sent"`
	Acked   uint64    `json:"acked"`
	Refused uint64    `json:"refused"`
	LagS    float64   `json:"lag_s"` // how late the newest message left, seconds of the city
	Devices int       `json:"devices"`
}

func (p *playedCity) progress(cmd *cobra.Command, ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = p.line(cmd) // who reads has gone: the city goes on
		}
	}
}

func (p *playedCity) line(cmd *cobra.Command) error {
	sent, lag := p.city.Sent()
	s := CityProgress{p.city.Now(), sent, p.acked.Load(), p.refused.Load(), lag.Seconds(), p.city.Len()}
	text := fmt.Sprintf("%s  %d devices, %d sent, %d acknowledged, %d refused, %.1f s late", s.City.Format("2006-01-02 15:04:05"), s.Devices, s.Sent, s.Acked, s.Refused, s.LagS)
	return result(cmd, s, text)
}
