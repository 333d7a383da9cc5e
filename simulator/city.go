package simulator

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// Part is so many devices of one model, on one wire, in one place.
type Part struct {
	Model    string        `yaml:"model"`    // profile, for example milesight/ws301
	Kind     grid.Kind     `yaml:"kind"`     // of the points, for a model of several kinds; "" is the model's
	Wire     Wire          `yaml:"wire"`     // "" is the model's, or MQTT
	Envelope Envelope      `yaml:"envelope"` // over MQTT; "" is chirpstack, zigbee2mqtt or native, as the model speaks
	Count    int           `yaml:"count"`    //
	Name     string        `yaml:"name"`     // of the points: <Name> of one, <Name>-1 … of more; "" is sim-<kind>-<index>
	Interval time.Duration `yaml:"interval"` // between heartbeats; 0 as shipped
	Quiet    bool          `yaml:"quiet"`    // nothing happens here by itself: full batteries, right clocks, heartbeats alone
	Place    Place         `yaml:"place"`
}

// Place says where the points of a part are. What it does not say is spread over the
// district by the seed.
type Place struct {
	Street      string  `yaml:"street"` // code of 9 digits
	Compound    string  `yaml:"compound"`
	Building    string  `yaml:"building"` // all in this one
	Floor       string  `yaml:"floor"`
	Rules       string  `yaml:"rules"` // rule set of the points, for example fire_lane
	Type        string  `yaml:"type"`  // of street or building, in the city's rules: residential, office …
	Lon         float64 `yaml:"lon"`   // WGS84, of all of them within some metres
	Lat         float64 `yaml:"lat"`
	PerBuilding int     `yaml:"per_building"` // how many share a building; 0: by kind
}

// CityConfig of a City.
type CityConfig struct {
	Seed     uint64
	Clock    Clock
	Sink     Sink
	Parts    []Part
	Rules    *CityRules // nil: those of city.yaml
	From     int        // number of the first device: cities of different numbers share none
	Doubled  float64    // share of the LoRaWAN frames that the network passes on twice, heard by another radio gateway
	Notes    Notes
	Secured  bool                                 // LwM2M goes over DTLS, by the devices' keys
	Progress func(sent uint64, lag time.Duration) // called about once a second of real time
}

// City is a fleet that lives: by its rules, and by what somebody does to it. It keeps some
// fifty bytes a device; all else follows from the seed and the device's number. Its
// methods may be called from several goroutines.
type City struct {
	cfg    CityConfig
	rules  *CityRules
	zone   *time.Location
	parts  []part
	start  time.Time // tick 0
	types  lifeTypes
	radios radioMap

	sending sync.Mutex // frames of a device leave in the order in which they were made

	mu      sync.Mutex
	records []record
	wheel   wheel
	skews   map[int]time.Duration
	told    map[int]uint32  // ticks between heartbeats of those who were told so
	silent  map[string]bool // radio gateways that are dead
	rain    rainCourse

	sent atomic.Uint64
	lag  atomic.Int64
}

// part is a Part that has been looked up.
type part struct {
	Part
	first    int
	kind     grid.Kind
	versions []version
	interval uint32 // ticks
}

// version of firmware that a share of the devices of a part has.
type version struct {
	upTo  float64
	name  string
	model *Model
}

// NewCity makes a city at the time that its clock shows. It sends nothing until Run.
func NewCity(cfg CityConfig) (*City, error) {
	if cfg.Rules == nil {
		cfg.Rules = DefaultRules()
	}
	if cfg.Clock.Since.IsZero() {
		cfg.Clock = WallClock()
	}
	zone, err := time.LoadLocation(cfg.Rules.Zone)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "zone is %q: %v", cfg.Rules.Zone, err)
	}
	c := &City{cfg: cfg, rules: cfg.Rules, zone: zone, start: cfg.Clock.Now().In(zone),
		skews: map[int]time.Duration{}, silent: map[string]bool{}}
	c.types.compile(cfg.Rules)
	c.radios.compile(cfg.Rules.Radio)
	c.rain.city = c
	n := 0
	for _, p := range cfg.Parts {
		q, err := c.lookUp(p)
		if err != nil {
			return nil, err
		}
		q.first = n
		n += p.Count
		c.parts = append(c.parts, q)
	}
	if n == 0 || n > 1<<24 {
		return nil, grid.Errorf(grid.Invalid, "city has %d devices: want 1 to %d", n, 1<<24)
	}
	c.populate(n)
	return c, nil
}

func (c *City) lookUp(p Part) (part, error) {
	m, err := ModelOf(p.Model)
	if err != nil {
		return part{}, err
	}
	q := part{Part: p, kind: p.Kind}
	if q.kind == "" {
		q.kind = m.Kind
	}
	if !m.of(q.kind) {
		return part{}, grid.Errorf(grid.Invalid, "kind of %s is %q: want %s", p.Model, q.kind, m.Kind)
	}
	if q.Wire == "" {
		q.Wire = m.Wire
	}
	if q.Wire == "" {
		q.Wire = MQTT
	}
	if err := m.speaks(&q.Part); err != nil {
		return part{}, err
	}
	if p.Count < 0 {
		return part{}, grid.Errorf(grid.Invalid, "count of %s is %d: want 0 or more", p.Model, p.Count)
	}
	if q.Place.PerBuilding <= 0 {
		q.Place.PerBuilding = perBuilding[q.kind]
	}
	interval := p.Interval
	if interval <= 0 {
		interval = m.Interval
	}
	q.interval = uint32(max(interval/tick, 1))
	return q, q.mixFirmware(m, c.rules.Firmware[p.Model])
}

// perBuilding is how many points of a kind share a building, or a stretch of street.
var perBuilding = map[grid.Kind]int{grid.Door: 4, grid.Smoke: 12, grid.Parking: 10, grid.Manhole: 3}

func (p *part) mixFirmware(m *Model, shares []FirmwareShare) error {
	total := 0.0
	for _, s := range shares {
		total += s.Share
	}
	if total == 0 {
		p.versions = []version{{upTo: 1, model: m}}
		return nil
	}
	sum := 0.0
	for _, s := range shares {
		v := version{name: s.Version, model: m}
		if s.Profile != "" {
			other, err := ModelOf(s.Profile)
			if err != nil {
				return fmt.Errorf("firmware %s of %s: %w", s.Version, m.Profile, err)
			}
			v.model = other
		}
		sum += s.Share / total
		v.upTo = sum
		p.versions = append(p.versions, v)
	}
	p.versions[len(p.versions)-1].upTo = 1
	return nil
}

// Len is how many devices there are.
func (c *City) Len() int { return len(c.records) }

// Clock is the city's.
func (c *City) Clock() Clock { return c.cfg.Clock }

// Now is the city's time, in its zone.
func (c *City) Now() time.Time { return c.cfg.Clock.Now().In(c.zone) }

// Sent counts the messages that were handed to the sink, and says how late the newest of
// the schedule was: city time.
func (c *City) Sent() (n uint64, lag time.Duration) {
	return c.sent.Load(), time.Duration(c.lag.Load())
}

func (c *City) partOf(i int) *part {
	at := sort.Search(len(c.parts), func(k int) bool { return c.parts[k].first+c.parts[k].Count > i })
	return &c.parts[at]
}

// CityDevice is what there is to know of a device.
type CityDevice struct {
	Index    int
	Identity grid.Identity
	EUI      string // LoRaWAN
	Name     string // Zigbee2MQTT, network server, LwM2M endpoint
	Point    string
	Channel  string // of a transmitter or panel with many points
	Profile  string
	Firmware string
	Kind     grid.Kind
	Model    *Model
	Wire     Wire
	Envelope Envelope
	Interval time.Duration
}

// Device describes device i.
func (c *City) Device(i int) CityDevice {
	c.mu.Lock()
	swaps := c.records[i].swaps
	c.mu.Unlock()
	return c.device(i, swaps)
}

func (c *City) device(i int, swaps uint8) CityDevice {
	p := c.partOf(i)
	v := c.version(p, i)
	d := CityDevice{Index: i, Profile: v.model.Profile, Firmware: v.name, Kind: p.kind, Model: v.model, Wire: p.Wire, Envelope: p.Envelope,
		Interval: p.Interval, Point: c.pointID(p, i), Name: c.name(p, i, swaps)}
	d.EUI = c.eui(i, swaps)
	d.Identity, d.Channel = c.identity(p, &d)
	return d
}

func (c *City) version(p *part, i int) *version {
	if len(p.versions) == 1 || p.Quiet {
		return &p.versions[0]
	}
	d := throw(c.cfg.Seed, forFirmware, uint64(i))
	share := d.share()
	for k := range p.versions {
		if share < p.versions[k].upTo {
			return &p.versions[k]
		}
	}
	return &p.versions[len(p.versions)-1]
}

func (c *City) number(i int) int { return c.cfg.From + i }

func (c *City) eui(i int, swaps uint8) string {
	return fmt.Sprintf("0267%04x%02x%06x", uint16(c.cfg.Seed), swaps, c.number(i))
}

// name of a device: as its point's by default, and a letter more for each swap.
func (c *City) name(p *part, i int, swaps uint8) string {
	n := pointID(p.kind, c.number(i))
	if swaps > 0 {
		n += "-" + string(rune('a'+swaps))
	}
	return n
}

func (c *City) pointID(p *part, i int) string {
	switch {
	case p.Name == "":
		return pointID(p.kind, c.number(i))
	case p.Count == 1:
		return p.Name
	}
	return p.Name + "-" + strconv.Itoa(i-p.first+1)
}

// Find finds a device by its point, its identity, its EUI or its name.
func (c *City) Find(name string) (int, error) {
	if i, ok := c.find(name); ok {
		return i, nil
	}
	return 0, grid.Errorf(grid.NotFound, "%q: want a point or a device of this city", name)
}

func (c *City) find(name string) (int, bool) {
	for k := range c.parts {
		p := &c.parts[k]
		if p.Name == "" || p.Count == 0 {
			continue
		}
		if name == p.Name && p.Count == 1 {
			return p.first, true
		}
		if tail, ok := strings.CutPrefix(name, p.Name+"-"); ok {
			if n, err := strconv.Atoi(tail); err == nil && n >= 1 && n <= p.Count && p.Count > 1 {
				return p.first + n - 1, true
			}
		}
	}
	_, plain, found := strings.Cut(name, ":")
	if !found {
		plain = name
	}
	// A number is at the end of every name that follows from it.
	for _, guess := range numbersIn(plain) {
		i := guess - c.cfg.From
		if i < 0 || i >= len(c.records) {
			continue
		}
		if d := c.Device(i); name == d.Point || name == string(d.Identity) && d.Channel == "" || name == d.EUI || name == d.Name {
			return i, true
		}
	}
	return 0, false
}

// numbersIn reads what may be the number of a device in a name.
func numbersIn(s string) (out []int) {
	if len(s) >= 6 {
		if n, err := strconv.ParseUint(s[len(s)-6:], 16, 32); err == nil {
			out = append(out, int(n))
		}
	}
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.ParseUint(part, 10, 63); err == nil {
			out = append(out, int(n), int(n/10%1e7)) // an IMEI has a check digit
		}
	}
	return out
}

// Where lists the devices whose points are as wanted.
func (c *City) Where(want func(grid.Point) bool) (out []int) {
	for i := range c.records {
		if want(c.Point(i)) {
			out = append(out, i)
		}
	}
	return out
}

// Registry is what the gateway must know of the city.
func (c *City) Registry() Registry {
	return Registry{
		Points: func(yield func(grid.Point) bool) {
			for i := range c.records {
				if !yield(c.Point(i)) {
					return
				}
			}
		},
		Devices: c.registryDevices(),
	}
}

// registryDevices gives a device with many points once, with all of them.
func (c *City) registryDevices() iter.Seq[RegistryDevice] {
	return func(yield func(RegistryDevice) bool) {
		var open RegistryDevice
		for i := range c.records {
			d := c.Device(i)
			if d.Channel != "" && open.Identity == d.Identity {
				open.Channels = append(open.Channels, ChannelPoint{d.Channel, d.Point})
				continue
			}
			if open.Identity != "" && !yield(open) {
				return
			}
			open = RegistryDevice{Identity: d.Identity, Profile: d.Profile, Point: d.Point, Interval: d.Interval, Firmware: d.Firmware}
			if d.Channel != "" {
				open.Point, open.Channels = "", []ChannelPoint{{d.Channel, d.Point}}
			}
		}
		if open.Identity != "" {
			yield(open)
		}
	}
}

// Look returns what is true at the point of device i.
func (c *City) Look(i int) State {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state(i, now)
}

// Act changes the world at the point of device i and sends what the device says of it.
// From then on the schedule leaves the point alone, until Release; heartbeats go on.
func (c *City) Act(ctx context.Context, i int, why Why, change func(*State)) error {
	return c.act(ctx, i, why, c.cfg.Clock.Now(), change)
}

func (c *City) act(ctx context.Context, i int, why Why, now time.Time, change func(*State)) error {
	var mute error
	err := c.send(ctx, now, func() []Message {
		c.change(i, now, true, change)
		p := c.partOf(i)
		mute = c.version(p, i).model.says(c.state(i, now), p.kind, why)
		return c.frame(i, why, now)
	})
	return cmp.Or(err, mute)
}

// Report sends what device i says, without any change.
func (c *City) Report(ctx context.Context, i int, why Why) error {
	now := c.cfg.Clock.Now()
	return c.send(ctx, now, func() []Message { return c.frame(i, why, now) })
}

// Raw sends bytes as a frame of device i, whatever they are: port is of LoRaWAN.
func (c *City) Raw(ctx context.Context, i int, port int, payload []byte) error {
	now := c.cfg.Clock.Now()
	return c.send(ctx, now, func() []Message { return c.wrap(i, Edge, port, payload, now) })
}

// send makes messages and hands them over.
func (c *City) send(ctx context.Context, now time.Time, make func() []Message) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.mu.Lock()
	out := make()
	c.mu.Unlock()
	return c.publish(ctx, out)
}

func (c *City) publish(ctx context.Context, out []Message) error {
	for _, m := range out {
		if err := c.cfg.Sink.Publish(ctx, m); err != nil {
			return err
		}
		c.sent.Add(1)
	}
	return nil
}

// Release gives a point back to the schedule, at rest.
func (c *City) Release(i int) {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.records[i]
	r.flags &^= mine
	r.held = 0
	c.wheel.remove(c.records, i)
	r.life = c.nextLife(i, c.ticksAt(now))
	c.wheel.insert(c.records, i)
}

// Dead says that a device sends nothing from now on, or does again.
func (c *City) Dead(i int, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records[i].set(isDead, dead)
}

// RadioGateway says that a LoRaWAN radio gateway is dead, or is not any more. What only
// dead ones hear is lost.
func (c *City) RadioGateway(id string, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dead {
		c.silent[id] = true
	} else {
		delete(c.silent, id)
	}
}

// Swap puts another device of the same model at the point of device i and names it. Its
// first frame is a start-up.
func (c *City) Swap(i int) grid.Identity {
	c.mu.Lock()
	r := &c.records[i]
	r.swaps++
	r.count, r.opens, r.used = 0, 0, 0
	r.set(isNew, true)
	swaps := r.swaps
	c.mu.Unlock()
	return c.device(i, swaps).Identity
}

// Skew sets the clock of device i off by d, beside its drift.
func (c *City) Skew(i int, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skews[i] = d
}

// Point is the point of device i.
func (c *City) Point(i int) grid.Point {
	p := c.partOf(i)
	block := c.block(p, i)
	compound := block / 20
	st := c.streetOf(p, i)
	name := kindNames[p.kind]
	n := c.number(i)
	out := grid.Point{
		ID:       c.pointID(p, i),
		Name:     fmt.Sprintf("演示%s %d / Demo %s %d", name[0], n, name[1], n),
		Kind:     p.kind,
		Scope:    grid.Scope{District: district, Street: st.code, Compound: fmt.Sprintf("sim-compound-%d", compound+1)},
		Building: p.Place.Building,
		Floor:    p.Place.Floor,
		Address:  fmt.Sprintf("%s 演示路 %d 号 / Demo Road %d, %s", st.zh, block+1, block+1, st.en),
		CRS:      "WGS84",
		Rules:    p.Place.Rules,
		Mode:     grid.Simulated,
	}
	if p.Place.Street != "" && p.Place.Street != st.code {
		out.Scope = grid.Scope{District: p.Place.Street[:min(6, len(p.Place.Street))], Street: p.Place.Street}
	}
	if p.Place.Compound != "" {
		out.Compound = p.Place.Compound
	}
	indoor := p.kind == grid.Smoke || p.kind == grid.Door
	if indoor && out.Building == "" {
		out.Building = fmt.Sprintf("sim-building-%d", block+1)
	}
	if indoor && out.Floor == "" {
		out.Floor = strconv.Itoa(i%6 + 1)
	}
	switch {
	case out.Rules != "":
	case p.kind == grid.Door && c.typeOf(p, i) == "fire_door":
		out.Rules = "fire_door"
	case p.kind == grid.Parking && !p.Quiet: // of a quiet part nothing is meant but what is done to it
		out.Rules = c.rules.Parking[c.typeOf(p, i)].Rules
	}
	out.Lon, out.Lat = c.position(p, i, st)
	return out
}

// block is the building, or the stretch of street, of device i: the same for all kinds.
func (c *City) block(p *part, i int) int {
	return c.cfg.From/4 + (i-p.first)/p.Place.PerBuilding
}

func (c *City) streetOf(p *part, i int) *street {
	if p.Place.Street != "" {
		for k := range streets {
			if streets[k].code == p.Place.Street {
				return &streets[k]
			}
		}
	}
	return &streets[c.block(p, i)/20%len(streets)]
}

// position is where device i is: WGS84.
func (c *City) position(p *part, i int, st *street) (lon, lat float64) {
	block := c.block(p, i)
	own := throw(c.cfg.Seed, forPlace, 1, uint64(i))
	lon, lat = p.Place.Lon, p.Place.Lat
	if lon == 0 && lat == 0 {
		compound := throw(c.cfg.Seed, forPlace, 2, uint64(block/20))
		house := throw(c.cfg.Seed, forPlace, 3, uint64(block))
		lon = st.lon + (compound.share()-0.5)*0.012 + (house.share()-0.5)*0.002
		lat = st.lat + (compound.share()-0.5)*0.012 + (house.share()-0.5)*0.002
	}
	return micro(lon + (own.share()-0.5)*0.0002), micro(lat + (own.share()-0.5)*0.0002)
}

// metres is exact enough for distances within a city.
func metres(lon1, lat1, lon2, lat2 float64) float64 {
	x := (lon2 - lon1) * 111_320 * math.Cos(lat1*math.Pi/180)
	return math.Hypot(x, (lat2-lat1)*110_574)
}
