package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/verdict"
)

// Day is an ordinary day of a district, played to a gateway of our own: nothing happens but
// what happens anyway, and its units work.
type Day struct {
	Rig     RigConfig
	Devices int
	Seed    uint64
	Length  time.Duration // real time
	Window  int           // messages that wait for the gateway at most
	Told    func(DayNow)  // every few seconds; nil: nobody
}

// DayNow is how it goes.
type DayNow struct {
	City     time.Time `json:"city"`
	Sent     uint64    `json:"sent"`
	Acked    uint64    `json:"acked"`
	LagS     float64   `json:"lag_s"` // how late the newest frame left, seconds of the city
	Waiting  float64   `json:"waiting"`
	Memory   float64   `json:"memory_bytes"`
	CPUEach  float64   `json:"cpu_us_a_frame"`
	Messages uint64    `json:"messages"` // that units have received
}

// DayResult is what came of it.
type DayResult struct {
	Devices    int              `json:"devices"`
	Speed      float64          `json:"speed"`
	From       time.Time        `json:"from"` // the city's time
	To         time.Time        `json:"to"`
	Seconds    float64          `json:"seconds"`
	Register   float64          `json:"register_s"`
	Sent       uint64           `json:"sent"`
	Acked      uint64           `json:"acked"`
	Resent     uint64           `json:"resent"`
	ByKind     map[string]int64 `json:"acked_by_kind"`
	ByWhy      map[string]int64 `json:"acked_by_reason"`
	Ack        verdict.Latency  `json:"ack"`
	MostLagS   float64          `json:"most_lag_s"`
	MostWaits  float64          `json:"most_waiting"`
	Drain      float64          `json:"drain_s"`
	Late       string           `json:"late,omitempty"` // what still waited ten minutes after the end
	Ledger     Ledger           `json:"ledger"`
	Events     map[string]int   `json:"events"`
	Tickets    map[string]int   `json:"tickets_by_state"`
	Delivered  float64          `json:"delivered"`
	Dead       float64          `json:"dead_letters"`
	Points     int64            `json:"influx_points"`
	CPUEach    float64          `json:"gateway_cpu_us_a_frame"`
	Cores      float64          `json:"gateway_cores"`
	LoadCores  float64          `json:"simulator_cores"`
	InfluxCore float64          `json:"influx_cores"`
	Machine    float64          `json:"machine_cores_busy"`
	Peak       float64          `json:"gateway_peak_bytes"`
	Influx     float64          `json:"influx_peak_bytes"`
}

// Balanced reports whether every acknowledged frame has been counted, and nothing waits.
func (r *DayResult) Balanced() bool {
	return r.Ledger.Balanced && r.Ledger.Waiting == 0 && r.Sent == r.Acked && r.Ledger.Accepted >= int64(r.Acked)
}

// playing is a day being played.
type playing struct {
	*Day
	rig   *Rig
	city  *simulator.City
	units *simulator.Units
	pub   *simulator.Publisher
	clock simulator.Clock

	kinds    map[grid.Identity]grid.Kind
	ack      *verdict.Clockwork
	timing   atomic.Bool
	messages atomic.Uint64

	mu     sync.Mutex
	byKind map[string]int64
	byWhy  map[string]int64
	lag    time.Duration
	waits  float64
}

// Play plays it.
func (d *Day) Play(ctx context.Context) (res DayResult, err error) {
	slow := d.Rig
	slow.Speed = 1 // to register takes minutes: at 60 times the speed hours, in which every device would be silent
	rig, err := OpenRig(ctx, slow)
	if err != nil {
		return res, err
	}
	defer rig.Close()
	p := &playing{Day: d, rig: rig, kinds: map[grid.Identity]grid.Kind{}, byKind: map[string]int64{}, byWhy: map[string]int64{},
		ack: verdict.NewClockwork("ack", verdict.Text{ZH: "帧应发出 → 网关确认", EN: "frame due → acknowledged"})}
	if err := p.open(ctx, &res); err != nil {
		return res, err
	}
	defer p.units.Close()
	return res, p.play(ctx, &res)
}

// open makes the city and makes it known, and then lets the city's time run.
func (p *playing) open(ctx context.Context, res *DayResult) error {
	parts, err := simulator.NewMix("city", p.Devices, "")
	if err != nil {
		return err
	}
	p.pub = simulator.NewPublisher(p.rig.Broker, fmt.Sprintf("gridsim-day-%d", p.Seed), p.Window, p.acked, nil)
	cfg := simulator.CityConfig{Seed: p.Seed, Sink: p.pub, Parts: parts}
	if p.city, err = simulator.NewCity(cfg); err != nil {
		return err
	}
	began := time.Now()
	if err := p.rig.Register(ctx, p.city.Registry()); err != nil {
		return err
	}
	res.Register = time.Since(began).Seconds()
	for i := range p.city.Len() {
		d := p.city.Device(i)
		p.kinds[d.Identity] = d.Kind
	}
	if err := p.rig.Restart(ctx, p.Rig); err != nil {
		return err
	}
	if p.clock, err = p.rig.Clock(ctx); err != nil {
		return err
	}
	if err := p.people(ctx); err != nil {
		return err
	}
	cfg.Clock = p.clock
	p.city, err = simulator.NewCity(cfg) // the same one, at the time that it is now
	return err
}

// people opens the units' ends and makes them known.
func (p *playing) people(ctx context.Context) error {
	units, err := simulator.NewUnits([]grid.UnitKind{grid.FireUnit, grid.UrbanManagement, grid.MicroStation, grid.Property, grid.Maintenance, grid.Committee}, p.Seed)
	if err != nil {
		return err
	}
	for i := range units {
		units[i].Test = "off"
		units[i].People = &simulator.People{Accept: time.Minute, Work: 5 * time.Minute, Lon: 121.404, Lat: 31.211}
	}
	p.units, err = simulator.OpenUnits(simulator.UnitsConfig{Units: units, API: p.rig.URL, Clock: p.clock, Seed: p.Seed, Restore: p.restore,
		Notes: func(n simulator.Note) {
			if n.What == "received" {
				p.messages.Add(1)
			}
		}})
	if err != nil {
		return err
	}
	return p.rig.Register(ctx, simulator.Registry{Units: p.units.Registry()})
}

// restore is what hands can do at a point: the schedule goes on from there. Once the day is over
// nobody touches anything: its frames would come while they are counted.
func (p *playing) restore(ctx context.Context, point, _ string) error {
	if !p.timing.Load() {
		return nil
	}
	i, err := p.city.Find(point)
	if err != nil {
		return err
	}
	err = p.city.Act(ctx, i, simulator.Edge, func(s *simulator.State) {
		battery := max(s.Battery, 95)
		level := s.LevelMM
		*s = simulator.Normal()
		s.Battery, s.LevelMM = battery, max(level, s.LevelMM)
	})
	p.city.Release(i)
	return err
}

func (p *playing) acked(m simulator.Message) {
	if p.timing.Load() {
		due := p.clock.Since.Add(p.clock.Real(m.At.Sub(p.clock.Start)))
		p.ack.Took(due, time.Now())
	}
	p.mu.Lock()
	p.byKind[string(p.kinds[m.Identity])]++
	p.byWhy[string(m.Kind)]++
	p.mu.Unlock()
}

// play plays, waits until all is counted, and reads what came of it.
func (p *playing) play(ctx context.Context, res *DayResult) error {
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	living, stop := context.WithTimeout(ctx, p.Length)
	defer stop()
	failed := make(chan error, 3)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer unlink()
	start := func(ctx context.Context, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				failed <- err
				stop()
			}
		})
	}
	before, gateway, influx, self, machine, began := p.mark(ctx)
	res.Devices, res.Speed, res.From = p.city.Len(), p.clock.Speed, p.city.Now()
	p.timing.Store(true)
	start(linked, p.pub.Run)
	start(linked, p.units.Run)
	start(living, p.city.Run)
	p.watch(living)
	res.Seconds, res.To = time.Since(began).Seconds(), p.city.Now()
	if len(failed) > 0 {
		return <-failed
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.timing.Store(false)
	ended := time.Now()
	if err := p.pub.Drain(ctx); err != nil {
		return err
	}
	if _, err := p.rig.drained(ctx, 10*time.Minute); err != nil {
		res.Late = err.Error() // the ledger says how much waits: that is a result too
	}
	res.Drain = time.Since(ended).Seconds()
	acked := float64(max(p.pub.Acked.Load(), 1))
	now := p.rig.gateway.use()
	took := time.Since(began).Seconds()
	res.CPUEach = float64((now.cpu - gateway.cpu).Microseconds()) / acked
	res.Cores = (now.cpu - gateway.cpu).Seconds() / took
	res.Peak = now.peak
	now = p.rig.influx.use()
	res.InfluxCore, res.Influx = (now.cpu-influx.cpu).Seconds()/took, now.peak
	res.LoadCores = (useOf("self").cpu - self.cpu).Seconds() / took
	res.Machine = (machineBusy() - machine).Seconds() / took
	return p.tell(ctx, before, res)
}

func (p *playing) mark(ctx context.Context) (l Ledger, gateway, influx, self use, machine time.Duration, at time.Time) {
	l, err := p.rig.Ledger(ctx)
	if err != nil {
		l = Ledger{} // a new gateway: nothing yet
	}
	return l, p.rig.gateway.use(), p.rig.influx.use(), useOf("self"), machineBusy(), time.Now()
}

// watch says every few seconds how it goes, until ctx is done.
func (p *playing) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sent, lag := p.city.Sent()
		m, err := p.rig.metrics(ctx)
		if err != nil {
			continue // busy, or the end
		}
		p.lag, p.waits = max(p.lag, lag), max(p.waits, m[metricWaiting])
		if n%5 == 0 && p.Told != nil {
			p.Told(DayNow{p.city.Now(), sent, p.pub.Acked.Load(), lag.Seconds(), m[metricWaiting], m[metricMemory], m[metricCPU] * 1e6 / max(m[metricFrames], 1), p.messages.Load()})
		}
	}
}

// mostRows is where counting the rows of a list gives up.
const mostRows = 500_000

func (p *playing) tell(ctx context.Context, before Ledger, res *DayResult) error {
	l, err := p.rig.Ledger(ctx)
	for range 50 { // a hand that was at a door as the day ended
		if err != nil || l.Waiting == 0 || res.Late != "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
		l, err = p.rig.Ledger(ctx)
	}
	if err != nil {
		return err
	}
	res.Ledger = l.minus(before)
	res.Sent, res.Acked, res.Resent = p.pub.Sent.Load(), p.pub.Acked.Load(), p.pub.Resent.Load()
	res.ByKind, res.ByWhy, res.Ack = p.byKind, p.byWhy, p.ack.Latency()
	res.MostLagS, res.MostWaits = p.lag.Seconds(), p.waits
	res.Events, res.Tickets = map[string]int{}, map[string]int{}
	by := func(in map[string]int, field string) func(map[string]any) {
		return func(row map[string]any) { in[fmt.Sprint(row[field])]++ }
	}
	_, e1 := p.rig.count(ctx, "events", mostRows, by(res.Events, "type"))
	_, e2 := p.rig.count(ctx, "tickets", mostRows, by(res.Tickets, "state"))
	m, e3 := p.rig.metrics(ctx)
	res.Delivered, res.Dead = m["gridgate_dispatch_delivered_total"], m["gridgate_dispatch_dead_total"]
	var e4 error
	res.Points, _, e4 = p.rig.Influx.Points(ctx, gatewayDatabase)
	return errors.Join(e1, e2, e3, e4)
}

// Table is the result for a person.
func (r *DayResult) Table() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "| %d devices at %g×, %s to %s | |\n|---|---|\n", r.Devices, r.Speed, r.From.Format("2006-01-02 15:04"), r.To.Format("15:04"))
	line("frames sent, acknowledged", "%d, %d (%d again), %.0f/s over %.0f s", r.Sent, r.Acked, r.Resent, float64(r.Acked)/r.Seconds, r.Seconds)
	line("of kinds", "%s", listed(r.ByKind))
	line("of reasons", "%s", listed(r.ByWhy))
	l := r.Ledger
	line("ledger", "%d accepted = %d processed + %d duplicate + %d ignored + %d in quarantine + %d discarded, %d wait: %s",
		l.Accepted, l.Processed, l.Duplicate, l.Ignored, l.Quarantined, l.Discarded, l.Waiting, map[bool]string{true: "balances", false: "**does not balance**"}[r.Balanced()])
	line("due → acknowledged", "p50 %.0f ms, p99 %.0f, p99.9 %.0f, max %.0f", r.Ack.P50, r.Ack.P99, r.Ack.P999, r.Ack.Max)
	line("latest behind the city's time", "%.1f s of the city; %.0f frames waited in the gateway at most; %.1f s until all was counted and in InfluxDB", r.MostLagS, r.MostWaits, r.Drain)
	if r.Late != "" {
		line("**not at the end**", "%s", r.Late)
	}
	line("events", "%s", listed(r.Events))
	line("tickets", "%s; %.0f messages delivered to units, %.0f dead letters", listed(r.Tickets), r.Delivered, r.Dead)
	line("InfluxDB", "%d points", r.Points)
	line("gateway", "%.1f µs of processor time a frame, units' messages and InfluxDB writes in it; %.2f cores; %.0f MB resident at most", r.CPUEach, r.Cores, r.Peak/1e6)
	line("beside it", "simulator %.2f cores, InfluxDB %.2f (%.0f MB); the machine was busy with %.2f in all", r.LoadCores, r.InfluxCore, r.Influx/1e6, r.Machine)
	line("registering", "%.0f s", r.Register)
	return b.String()
}

// listed is "a 3, b 2", the most first.
func listed[N int | int64](m map[string]N) string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	for i, k := range names {
		names[i] = fmt.Sprintf("%s %d", k, m[k])
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
