package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
	"gridgate/simulator/verdict"
)

// Options of a run.
type Options struct {
	Gateway  string           // address of a gateway that runs; "": one of our own
	Token    string           // the administrator's, of that gateway
	Broker   simulator.Broker // of that gateway
	Seed     uint64           // 0: the scenario's
	Speed    float64          // of our own gateway; 0: the scenario's
	Gridgate string           // the program; "": beside ours, or on the PATH
	Influxd  string
	Dir      string        // keep the gateway's folder here; "": a temporary one, removed
	Slack    time.Duration // real time by which windows are widened: this machine's own delay; 0 is 500 ms
	Faults   Faults        // beside the built-in ones
	Notes    simulator.Notes
	Once     bool // not once more and slower where this machine was late

	dir string
}

// run is one scenario being played.
type run struct {
	s      *Scenario
	o      *Options
	own    *own // nil: a gateway that is not ours
	api    *client
	clock  simulator.Clock
	zero   time.Time     // the city's time at which the timeline begins
	slack  time.Duration // windows end so much later: this machine's own delay
	early  time.Duration // and begin so much earlier: the two clocks do not agree better
	prefix string        // of the ids of our points and units

	city   *simulator.City
	units  *simulator.Units
	wire   *valve
	pub    *simulator.Publisher
	router simulator.Router
	others []simulator.Link // beside pub
	counts map[simulator.Wire]*counted
	links  links

	timing     atomic.Bool // zero is set
	mu         sync.Mutex
	truth      map[string]simulator.Truth // by point id
	smokeDue   map[string]time.Time       // real time at which smoke was due there
	former     map[string]string          // devices that were swapped: at which point they were
	swapped    map[string][2]grid.Identity
	silenced   map[int][]string // radio gateways that were ended for a device
	unplayed   map[string]string
	before     verdict.Ledger
	clockworks map[string]*verdict.Clockwork
	result     verdict.Result
	working    sync.WaitGroup
}

// play plays a scenario once.
func play(ctx context.Context, s *Scenario, o Options) (verdict.Result, error) {
	began := time.Now()
	r := &run{s: s, o: &o, prefix: s.prefix(), truth: map[string]simulator.Truth{}, smokeDue: map[string]time.Time{}, former: map[string]string{},
		swapped: map[string][2]grid.Identity{}, silenced: map[int][]string{}, unplayed: map[string]string{}, router: simulator.Router{}, counts: map[simulator.Wire]*counted{}, links: links{of: map[string]fault.Link{}, units: map[string]*fault.HTTP{}}}
	if o.Seed == 0 {
		o.Seed = s.Seed
	}
	r.clockworks = map[string]*verdict.Clockwork{
		"ack":  verdict.NewClockwork("ack", verdict.Text{ZH: "帧应发出 → 网关确认（已落盘）", EN: "frame due → acknowledged by the gateway (on disk)"}),
		"unit": verdict.NewClockwork("unit", verdict.Text{ZH: "烟感报警 → 首个单位收到", EN: "smoke due → message at the first unit"}),
		"late": verdict.NewClockwork("late", verdict.Text{ZH: "步骤应执行 → 模拟器执行", EN: "step due → played (the simulator's own delay)"}),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.open(ctx); err != nil {
		return r.result, err
	}
	defer r.close()
	if err := r.play(ctx, cancel); err != nil {
		return r.result, err
	}
	r.result.Began, r.result.Took = began, time.Since(began)
	return r.result, nil
}

// open gets a gateway, and makes the city and the units known to it.
func (r *run) open(ctx context.Context) error {
	if err := r.openGateway(ctx); err != nil {
		return err
	}
	ok := false
	defer func() {
		if !ok {
			r.close()
		}
	}()
	if err := r.setClock(ctx); err != nil {
		return err
	}
	slack := r.o.Slack
	if slack == 0 {
		slack = 500 * time.Millisecond
	}
	r.slack = time.Duration(float64(slack) * r.clock.Speed)
	if err := r.openCity(); err != nil {
		return err
	}
	if err := r.beforeDevices(); err != nil {
		return err
	}
	if err := r.openWires(); err != nil {
		return err
	}
	if err := r.openUnits(); err != nil {
		return err
	}
	if err := r.register(ctx); err != nil {
		return err
	}
	if r.own == nil {
		if err := r.comeBack(ctx); err != nil {
			return err
		}
	}
	var err error
	r.before, err = r.ledger(ctx)
	ok = err == nil
	return err
}

// setClock takes the gateway's clock over. Of some readings the quickest is the best: it is
// off by half of what it took at most.
func (r *run) setClock(ctx context.Context) error {
	best := time.Hour
	for range 7 {
		before := time.Now()
		ready, err := r.api.ready(ctx)
		took := time.Since(before)
		switch {
		case err != nil:
			return err
		case !ready.Simulation.Allowed:
			return grid.Errorf(grid.Forbidden, "gateway %s does not report simulation.allowed: want a gateway of no real city, with simulation: {allowed: true}", r.api.url)
		case took < best:
			best = took
			r.clock = simulator.Clock{Start: ready.Simulation.Now, Since: before.Add(took / 2), Speed: ready.Simulation.Speed}
		}
	}
	r.early = time.Duration(float64(best/2+5*time.Millisecond) * r.clock.Speed)
	return nil
}

func (r *run) openGateway(ctx context.Context) (err error) {
	if r.o.Gateway != "" {
		r.api = newClient(r.o.Gateway, r.o.Token)
		r.result.Gateway = r.o.Gateway
		r.result.NotPlayed = append(r.result.NotPlayed, verdict.Text{
			ZH: "此网关有自己的时钟：情景的日期与时刻不适用", EN: "this gateway has its own clock: the scenario's date and hour do not hold"})
		return nil
	}
	speed := r.o.Speed
	if speed == 0 {
		speed = r.s.Speed
	}
	if r.o.dir = r.o.Dir; r.o.dir == "" {
		if r.o.dir, err = os.MkdirTemp("", "gridsim-"+r.s.ID+"-"); err != nil {
			return err
		}
	} else if r.o.dir, err = emptyFolder(r.o.dir); err != nil {
		return err
	}
	r.result.Gateway = "own"
	if r.own, err = openOwn(ctx, r.s, speed, r.o); err != nil {
		if r.o.Dir == "" {
			os.RemoveAll(r.o.dir)
		}
		return err
	}
	r.api, r.o.Broker = r.own.api, r.own.broker
	return nil
}

// emptyFolder makes a folder; what stands there already is another run's.
func emptyFolder(dir string) (abs string, err error) {
	if abs, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return "", err
	}
	all, err := os.ReadDir(abs)
	if err == nil && len(all) > 0 {
		err = grid.Errorf(grid.Conflict, "folder %s is not empty: want a new one", abs)
	}
	return abs, err
}

func (r *run) close() {
	if r.units != nil {
		r.units.Close()
	}
	r.links.close()
	if r.own != nil {
		if err := r.own.close(); err != nil {
			r.trouble("%v", err)
		}
		if r.o.Dir == "" {
			os.RemoveAll(r.o.dir)
		}
	}
}

// openCity makes the devices, on wires that are connected when the run begins.
func (r *run) openCity() error {
	r.wire = &valve{to: r.router, held: map[grid.Identity][]simulator.Message{}, last: map[grid.Identity]simulator.Message{}}
	rules := simulator.DefaultRules()
	if !r.s.Life {
		quiet(rules)
	}
	cfg := simulator.CityConfig{Seed: r.o.Seed, Clock: r.clock, Sink: r.wire, Rules: rules, Notes: r.o.Notes, Parts: r.s.parts()}
	var err error
	r.city, err = simulator.NewCity(cfg)
	if err == nil {
		r.result.Devices = r.city.Len()
	}
	return err
}

// quiet leaves nothing of a city's ordinary life but heartbeats: what happens in a scenario
// stands in its file.
func quiet(r *simulator.CityRules) {
	r.Weather.WetDays = [12]float64{}
	for k, p := range r.Parking {
		p.Arrivals, p.Taken, p.Rules = 0, 0, "" // a file names the set of its points
		r.Parking[k] = p
	}
	for k, d := range r.Doors {
		d.Openings = 0
		r.Doors[k] = d
	}
	for k, m := range r.Smoke {
		m.AYear = 0
		r.Smoke[k] = m
	}
	r.Battery.Age, r.Battery.Frame, r.Battery.Cold = 0, 0, 0
	r.Battery.Years = 1000
	r.Radio.Shadow, r.Radio.Fading, r.Radio.Loss = 0, 0, nil
	r.Clocks.DriftPPM, r.Clocks.At1970 = 0, 0
	r.Firmware = nil
}

func (r *run) pointID(name string) string { return r.prefix + name }
func (r *run) unitID(id string) string    { return id }

// part is the part of the file that a point belongs to.
func (r *run) part(pointID string) *Part {
	name := strings.TrimPrefix(pointID, r.prefix)
	for i := range r.s.City {
		p := &r.s.City[i]
		if p.Name == name && p.Count == 1 || p.Count > 1 && strings.HasPrefix(name, p.Name+"-") && !strings.Contains(name[len(p.Name)+1:], "-") {
			return p
		}
	}
	return nil
}

func (r *run) openUnits() error {
	var all []simulator.Unit
	for i, u := range r.s.Units {
		made, err := simulator.NewUnits([]grid.UnitKind{u.Kind}, r.o.Seed*1000+uint64(i)+1)
		if err != nil {
			return fmt.Errorf("line %d: %w", u.line, err)
		}
		x := made[0]
		x.ID = u.ID
		if u.Name.ZH != "" {
			x.Name = u.Name.ZH + " / " + u.Name.EN
		}
		if u.Entry != "" {
			x.Entry = u.Entry
		}
		if u.Connector != "" {
			x.Connector = u.Connector
		}
		if u.Face != "" {
			x.Connector = u.Face
		}
		x.Scope.Street = u.Street
		x.Test = "off" // its channel is tested by what the scenario sends
		dice := rand.New(rand.NewPCG(r.o.Seed, uint64(i)))
		x.People = &simulator.People{Accept: 20 * time.Second, Work: 2 * time.Minute, Lon: 121.404 + dice.Float64()*0.01, Lat: 31.211 + dice.Float64()*0.01}
		behave(&x.Behaviour, x.People, u.Behave)
		all = append(all, x)
	}
	answers, err := r.answersTo()
	if err != nil {
		return err
	}
	units, err := simulator.OpenUnits(simulator.UnitsConfig{Units: all, API: answers, Clock: r.clock, Seed: r.o.Seed, Notes: r.o.Notes,
		Look: r.lookAt, Nearest: r.nearest, Restore: r.restore})
	r.units = units
	return err
}

// behave lays what the file says over how a unit is.
func behave(b *simulator.Behaviour, p *simulator.People, w Behave) {
	if w.Channel != "" {
		*b = simulator.Behaviour(w.Channel)
	}
	span := func(to *time.Duration, from *Span) {
		if from != nil {
			*to = from.of()
		}
	}
	truth := func(to *bool, from *bool, not bool) {
		if from != nil {
			*to = *from != not
		}
	}
	span(&p.Accept, w.Accept)
	span(&p.Travel, w.Travel)
	span(&p.Work, w.Work)
	if w.Kmh != nil {
		p.Kmh = *w.Kmh
	}
	if w.Finding != "" {
		p.Finding = w.Finding
	}
	truth(&p.Lies, w.Lies, false)
	truth(&p.Helpless, w.Fixes, true)
	truth(&p.NoPhoto, w.Photo, true)
	truth(&p.Silent, w.Silent, false)
	if w.Stops != "" {
		p.Stops = grid.Verb(w.Stops)
	}
	if w.Guards != "" {
		p.Guards = w.Guards
	}
}

func (r *run) lookAt(pointID string) simulator.Truth {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.truth[pointID]
}

// restore is what hands can do at a point.
func (r *run) restore(ctx context.Context, pointID, by string) error {
	r.mu.Lock()
	stuck := r.truth[pointID].Stuck
	if !stuck {
		delete(r.truth, pointID)
	}
	r.mu.Unlock()
	if stuck {
		return grid.Errorf(grid.Conflict, "%s cannot be put right", pointID)
	}
	i, err := r.city.Find(pointID)
	if err != nil {
		return err
	}
	r.mark(verdict.LaneWorld, "normal", verdict.Text{ZH: r.shortPoint(pointID) + " 恢复正常（" + by + "）", EN: r.shortPoint(pointID) + " put right by " + by})
	return r.city.Act(ctx, i, simulator.Edge, toNormal)
}

// toNormal ends whatever is wrong at a point.
func toNormal(s *simulator.State) {
	battery := max(s.Battery, 90)
	celsius := min(s.Celsius, 25)
	*s = simulator.Normal()
	s.Battery, s.Celsius = battery, celsius
}

// register tells the gateway of points, devices and units: all of them simulated.
func (r *run) register(ctx context.Context) error {
	all := r.city.Registry()
	units, err := r.beforeUnits()
	if err != nil {
		return err
	}
	reg := simulator.Registry{
		Points: func(yield func(grid.Point) bool) {
			for p := range all.Points {
				if part := r.part(p.ID); part != nil && part.Stranger {
					continue
				} else if part != nil {
					p.Name = strings.TrimPrefix(p.ID, r.prefix)
					p.Cell = part.Cell
					if part.Address != "" {
						p.Address = part.Address
					}
				}
				if !yield(p) {
					return
				}
			}
		},
		Devices: func(yield func(simulator.RegistryDevice) bool) {
			for d := range all.Devices {
				if part := r.part(d.Point); part != nil && part.Stranger {
					continue
				}
				if !yield(d) {
					return
				}
			}
		},
		Units: units,
	}
	var b bytes.Buffer
	if err := reg.Write(&b); err != nil {
		return err
	}
	return r.api.do(ctx, "PUT", "/api/v1/registry?dry_run=false", b.Bytes(), nil)
}

// play runs the timeline to its end, and judges.
func (r *run) play(ctx context.Context, cancel context.CancelFunc) error {
	var wires sync.WaitGroup
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	living, stop := context.WithCancel(ctx)
	defer func() { stop(); unlink(); wires.Wait() }()
	failed := make(chan error, 16)
	start := func(ctx context.Context, what string, f func(context.Context) error) {
		wires.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("%s: %w", what, err)
				cancel()
			}
		})
	}
	start(linked, "broker", r.pub.Run)
	for _, link := range r.others {
		start(linked, "wire", link.Run)
	}
	if r.links.messages != nil {
		start(linked, "messages", r.links.messages.Run)
	}
	start(linked, "units", r.units.Run)
	start(living, "city", r.city.Run)
	if err := r.firstHeard(living); err != nil {
		return errors.Join(err, drainErr(failed))
	}
	r.zero = r.clock.Now()
	r.timing.Store(true)
	r.result.Scenario, r.result.Name, r.result.About = r.s.ID, r.s.Name, r.s.About
	r.result.Seed, r.result.Speed, r.result.From, r.result.To, r.result.Slack = r.o.Seed, r.clock.Speed, r.zero, r.zero.Add(r.s.Length.of()), r.slack
	stalled := r.watchMachine(living)
	r.timeline(living)
	if err := r.clock.SleepUntil(ctx, r.result.To); err != nil {
		return errors.Join(err, drainErr(failed))
	}
	stop()
	r.working.Wait()
	r.result.Late = <-stalled
	r.slack += time.Duration(float64(min(r.result.Late, mostStall)) * r.clock.Speed)
	r.result.Slack = r.slack
	if err := drainErr(failed); err != nil {
		return err
	}
	r.settle(ctx)
	ev, err := r.collect(ctx)
	if err != nil {
		return err
	}
	for i := range r.s.Expect {
		r.result.Expectations = append(r.result.Expectations, r.s.judge(&r.s.Expect[i], ev))
	}
	r.draw(ev)
	r.version(ctx)
	if r.own == nil {
		r.leave(ctx)
	}
	r.result.Judge()
	return nil
}

// mostStall is how much of this machine's stalling is forgiven: more, and it is too slow to
// say anything.
const mostStall = 3 * time.Second

// watchMachine says at the end by how much this program was at worst late for itself. On a
// busy machine the gateway is as well, and at 240 times the speed half a second is two minutes.
func (r *run) watchMachine(ctx context.Context) <-chan time.Duration {
	const beat = 10 * time.Millisecond
	out := make(chan time.Duration, 1)
	r.working.Go(func() {
		worst := time.Duration(0)
		for last := time.Now(); ; {
			select {
			case <-ctx.Done():
				out <- worst
				return
			case <-time.After(beat):
			}
			now := time.Now()
			worst = max(worst, now.Sub(last)-beat)
			last = now
		}
	})
	return out
}

func drainErr(failed <-chan error) error {
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// firstHeard has every registered device say that it is there, once, before time begins.
func (r *run) firstHeard(ctx context.Context) error {
	for i := range r.city.Len() {
		if p := r.part(r.city.Point(i).ID); p != nil && p.Stranger {
			r.city.Dead(i, true) // until the timeline says otherwise
			continue
		}
		if err := r.city.Report(ctx, i, simulator.Heartbeat); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return r.drain(wait)
}

// settle waits until what was sent is acknowledged, has come and is counted, or half a minute.
func (r *run) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r.links.mend()
	if err := r.drain(ctx); err != nil {
		r.trouble("%v", err)
	}
	last := int64(-1) // a broker may bring what it has more than once: twice the same is the end
	for {
		l, err := r.ledger(ctx)
		still := l.Accepted == last
		last = l.Accepted
		if err == nil && still && r.storing(ctx) == nil && l.Waiting == 0 && l.Minus(r.before).Accepted >= int64(r.framesAcked()) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (r *run) version(ctx context.Context) {
	var sys struct {
		Version string `json:"version"`
	}
	if r.api.do(ctx, "GET", "/api/v1/system", nil, &sys) == nil { // for the page alone
		r.result.Version = sys.Version
	}
}

func (r *run) trouble(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.result.Trouble) < 50 {
		r.result.Trouble = append(r.result.Trouble, fmt.Sprintf(format, args...))
	}
}

// mark notes something on the timeline's picture, at this moment.
func (r *run) mark(lane, kind string, text verdict.Text) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Marks = append(r.result.Marks, verdict.Mark{Lane: lane, At: r.clock.Now(), Kind: kind, Text: text})
}

// markWho notes that a unit is otherwise from now on.
func (r *run) markWho(unit string, text verdict.Text) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Marks = append(r.result.Marks, verdict.Mark{Lane: verdict.LaneUnits, Who: unit, At: r.clock.Now(), Kind: "behave", Text: text})
}

func escape(s string) string { return url.PathEscape(s) }
