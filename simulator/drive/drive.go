// Package drive plays a city by hand: a page, and an API, on which a person picks a point and
// lets something happen there, changes how units behave, breaks what stands between, and
// watches what a gateway makes of it.
package drive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
	"gridgate/simulator/scenario"
)

// Config of a drive.
type Config struct {
	Gateway  string           // address of a gateway that runs; "": one of our own
	Token    string           // the administrator's, of that gateway
	Broker   simulator.Broker // of that gateway
	Mix      string           // of devices; "": a block of houses for the demo, and a city around it
	Devices  int
	Quiet    bool    // nothing happens but what is done on the page
	Hold     bool    // a fire burns until the page ends it: no unit puts it out
	Speed    float64 // of our own gateway
	Start    time.Time
	Seed     uint64
	Gridgate string // program of our own gateway; "": beside ours, or on the PATH
	Influxd  string
	Dir      string // of our own gateway; "": a temporary one
}

// Point is one of the city, as the page has it.
type Point struct {
	ID       string   `json:"id"`
	Name     Text     `json:"name"`
	Kind     string   `json:"kind"`
	Lon      float64  `json:"lon"`
	Lat      float64  `json:"lat"`
	Address  Text     `json:"address"`
	Building string   `json:"building,omitempty"`
	Rules    string   `json:"rules,omitempty"`
	Model    string   `json:"model"`
	Can      []string `json:"can"`           // what can happen here
	Now      string   `json:"now,omitempty"` // what was last done here and still is so

	device int
}

// Drive is one city with its gateway.
type Drive struct {
	cfg     Config
	stage   *scenario.Stage // nil: a gateway that is not ours
	gateway *gateway
	clock   simulator.Clock
	city    *simulator.City
	pub     *simulator.Publisher
	air     *fault.Messages
	line    *fault.TCP // before the broker; nil where it is TLS
	ways    []*fault.TCP
	crews   *simulator.Units
	faults  breaker
	acts    []act
	manners []manner
	points  []*Point
	frames  atomic.Int64 // handed to the broker's line
	before  Ledger       // of the gateway when we came

	mu      sync.Mutex
	index   map[string]*Point
	truth   map[string]bool // points where it burns
	units   []Unit
	alarms  map[string]Alarm
	tickets map[string]Ticket
	sent    map[string]string // deliveries, and what was last said of them
	ledger  Ledger
	up      bool
	log     []Line
	lines   int // ever said
	wake    chan struct{}
}

// mostLines is how much of the log is kept.
const mostLines = 2000

// Open gets a gateway and makes the city and its units known to it. It refuses one that does
// not allow simulation.
func Open(ctx context.Context, cfg Config) (*Drive, error) {
	d := &Drive{cfg: cfg, acts: acts(), manners: manners(), index: map[string]*Point{}, truth: map[string]bool{}, alarms: map[string]Alarm{}, tickets: map[string]Ticket{},
		sent: map[string]string{}, wake: make(chan struct{})}
	if err := d.open(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Drive) open(ctx context.Context) (err error) {
	broker := d.cfg.Broker
	if d.cfg.Gateway == "" {
		d.stage, err = scenario.OpenStage(ctx, scenario.Setting{Dir: d.cfg.Dir, Gridgate: d.cfg.Gridgate, Influxd: d.cfg.Influxd, Speed: d.cfg.Speed, Start: d.cfg.Start})
		if err != nil {
			return err
		}
		d.gateway, broker = newGateway(d.stage.URL(), d.stage.Token()), d.stage.Broker()
		if err := d.openDistrict(ctx); err != nil {
			return err
		}
	} else {
		d.gateway = newGateway(d.cfg.Gateway, d.cfg.Token)
	}
	if d.clock, err = d.gateway.clock(ctx); err != nil {
		return err
	}
	if err := d.openUnits(); err != nil {
		return err
	}
	broker, units, err := d.openLinks(broker, d.crews.Registry())
	if err != nil {
		return err
	}
	d.pub = simulator.NewPublisher(broker, fmt.Sprintf("gridsim-serve-%d", time.Now().UnixNano()), 4000, nil, nil)
	d.air = fault.NewMessages(counted{d.pub, &d.frames}, d.cfg.Seed)
	if err := d.openCity(); err != nil {
		return err
	}
	d.openFaults()
	if err := d.register(ctx, units); err != nil {
		return err
	}
	d.before, err = d.gateway.ledger(ctx)
	return err
}

// counted counts what is handed to the wire.
type counted struct {
	simulator.Sink
	n *atomic.Int64
}

func (c counted) Publish(ctx context.Context, m simulator.Message) error {
	c.n.Add(1)
	return c.Sink.Publish(ctx, m)
}

// openDistrict gives our own gateway streets and cells, drawn by its own program.
func (d *Drive) openDistrict(ctx context.Context) error {
	areas, err := d.stage.District(ctx)
	if err != nil {
		return err
	}
	return d.gateway.ask(ctx, http.MethodPut, "/api/v1/areas?crs=WGS84&mode=simulated&dry_run=false", "application/geo+json", areas, nil)
}

// block is what a demo is played on: three houses in a street, each with detectors and doors,
// a fire lane and bays before it, and covers.
func block() (parts []simulator.Part) {
	for house := range 3 {
		at := simulator.Place{Street: "310105006", Lon: 121.4042 + float64(house)*0.0009, Lat: 31.2112, PerBuilding: 1000}
		add := func(what, model string, n int, rules string, indoors bool, dx, dy float64) {
			place := at
			place.Rules, place.Lon, place.Lat = rules, at.Lon+dx, at.Lat+dy
			if indoors {
				place.Building = fmt.Sprintf("sim-demo-%d", house+1)
			}
			parts = append(parts, simulator.Part{Model: model, Count: n, Name: fmt.Sprintf("sim-demo-%d-%s", house+1, what), Quiet: true, Interval: time.Hour, Place: place})
		}
		add("smoke", "milesight/gs524n", 4, "", true, 0, 0)
		add("fire-door", "milesight/ws301", 1, "fire_door", true, 0.0002, 0.0001)
		add("store", "milesight/ws301", 1, "secured", true, -0.0002, 0.0001)
		add("lane", "bosch/tps110", 1, "fire_lane", false, 0.0001, -0.0003)
		add("bay", "bosch/tps110", 3, "", false, 0, -0.0004)
		add("cover", "dingtek/dc410", 2, "", false, 0.0004, -0.0003)
	}
	return parts
}

// blockNames are what people call the points of the block.
var blockNames = map[string]Text{"smoke": {"烟感", "smoke detector"}, "fire-door": {"防火门", "fire door"}, "store": {"储藏室门", "store-room door"},
	"lane": {"消防通道", "fire lane"}, "bay": {"车位", "parking bay"}, "cover": {"井盖", "manhole"}}

func (d *Drive) openCity() error {
	var parts []simulator.Part
	more := d.cfg.Devices
	if d.cfg.Mix == "" {
		parts = block()
		for _, p := range parts {
			more -= p.Count
		}
	}
	if d.cfg.Mix != "" || more > 0 {
		city, err := simulator.NewMix(cmp.Or(d.cfg.Mix, "city"), more, simulator.MQTT)
		if err != nil {
			return err
		}
		for i := range city {
			city[i].Quiet = d.cfg.Quiet
			if m, err := simulator.ModelOf(city[i].Model); d.cfg.Mix == "" && err == nil && m.Kind == grid.Parking {
				city[i].Quiet = true // ordinary parking would overstay by the dozen
			}
		}
		parts = append(parts, city...)
	}
	rules := simulator.DefaultRules()
	rules.Radio.Loss, rules.Battery.Age = nil, 0 // what is lost here is lost by a fault of the page
	var err error
	if d.city, err = simulator.NewCity(simulator.CityConfig{Seed: d.cfg.Seed, Clock: d.clock, Sink: d.air, Rules: rules, Parts: parts}); err != nil {
		return err
	}
	for i := range d.city.Len() {
		p, dev := d.city.Point(i), d.city.Device(i)
		at := &Point{ID: p.ID, Name: split(d.name(&p)), Kind: string(p.Kind), Lon: p.Lon, Lat: p.Lat, Address: split(p.Address), Building: p.Building, Rules: p.Rules, Model: dev.Profile, device: i}
		at.Can = d.can(i, &p)
		d.points = append(d.points, at)
		d.index[p.ID] = at
	}
	return nil
}

// name of a point: as the city has it, or within the block by its house.
func (d *Drive) name(p *grid.Point) string {
	rest, ok := strings.CutPrefix(p.ID, "sim-demo-")
	if !ok {
		return p.Name
	}
	house, what, _ := strings.Cut(rest, "-")
	for key, t := range blockNames {
		if n, ok := strings.CutPrefix(what, key); ok && (n == "" || n[0] == '-') {
			n = strings.TrimPrefix(n, "-")
			return strings.TrimSpace(house+" 号楼"+t.ZH+" "+n) + " / " + strings.TrimSpace("House "+house+", "+t.EN+" "+n)
		}
	}
	return p.Name
}

// split takes apart what stands in both languages.
func split(s string) Text {
	if zh, en, ok := strings.Cut(s, " / "); ok {
		return Text{zh, en}
	}
	return Text{s, s}
}

// register tells the gateway of points, devices and units: all of them simulated.
func (d *Drive) register(ctx context.Context, units []grid.Unit) error {
	reg := d.city.Registry()
	points := reg.Points
	reg.Points = func(yield func(grid.Point) bool) {
		for p := range points {
			p.Name = d.name(&p)
			if d.stage != nil {
				p.Street = "" // where it lies says the district that is drawn
			}
			if !yield(p) {
				return
			}
		}
	}
	reg.Units = units
	var b bytes.Buffer
	if err := reg.Write(&b); err != nil {
		return err
	}
	return d.gateway.ask(ctx, http.MethodPut, "/api/v1/registry?dry_run=false", "application/yaml", b.Bytes(), nil)
}

// Run plays until ctx is done.
func (d *Drive) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	failed := make(chan error, 6)
	var wires, world sync.WaitGroup
	start := func(on *sync.WaitGroup, ctx context.Context, what string, f func(context.Context) error) {
		on.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("%s: %w", what, err)
				cancel()
			}
		})
	}
	start(&wires, linked, "broker", d.pub.Run)
	start(&wires, linked, "radio", d.air.Run)
	start(&wires, linked, "units", d.crews.Run)
	start(&world, ctx, "gateway", d.watch)
	start(&world, ctx, "ledger", d.count)
	start(&world, ctx, "city", func(ctx context.Context) error {
		for i := range d.city.Len() { // each says once that it is there
			if err := d.city.Report(ctx, i, simulator.Heartbeat); err != nil {
				return err
			}
		}
		return d.city.Run(ctx)
	})
	<-ctx.Done()
	world.Wait()
	err := d.mendAll()
	unlink()
	wires.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// Close ends what Open has started.
func (d *Drive) Close() {
	if d.crews != nil {
		d.crews.Close()
	}
	if d.line != nil {
		d.line.Close()
	}
	for _, w := range d.ways {
		w.Close()
	}
	if d.stage != nil {
		d.stage.Close()
	}
}

// Console is the address of the gateway's console, TokenFile where its token stands if the
// gateway is ours.
func (d *Drive) Console() string { return d.gateway.url + "/" }
func (d *Drive) TokenFile() string {
	if d.stage == nil {
		return ""
	}
	return d.stage.TokenFile()
}

// Missing are programs that this machine has not, so that some faults cannot be played.
func (d *Drive) Missing() []string {
	if d.stage == nil {
		return nil
	}
	return d.stage.Missing
}

// Len is how many devices there are, Speed how fast their time runs.
func (d *Drive) Len() int       { return len(d.points) }
func (d *Drive) Speed() float64 { return d.clock.Speed }

// changed wakes whoever watches.
func (d *Drive) changed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wakeAll()
}

// wakeAll is changed with d.mu held.
func (d *Drive) wakeAll() {
	close(d.wake)
	d.wake = make(chan struct{})
}
