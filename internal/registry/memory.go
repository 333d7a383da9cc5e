// Package registry is what is registered: registry files with their rules, what a point, device or
// building must be, and the flat tables that hold a million of them in memory.
package registry

import (
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Memory holds the registered devices and points in flat tables, so that a million of
// them fit in a few hundred bytes each. Places in the tables (DeviceNo, PointNo) are
// handles of this process only and are never stored.
//
// One goroutine writes (the engine's); any may ask Lane. All other methods belong to
// the writer.
type Memory struct {
	mu     sync.RWMutex // guards byID and devices against Lane's readers
	byID   index        // of devs
	devs   []DeviceRow
	extra  map[DeviceNo][]channelRow // devices with more than the main channel
	byName index                     // of points
	points []PointRow
	strs   interner
	places []grid.Scope
	scopes map[grid.Scope]uint32
}

// DeviceNo and PointNo are places in the tables; None is no place.
type (
	DeviceNo uint32
	PointNo  uint32
)

// None is what is not in a table.
const None = ^uint32(0)

// DeviceRow is a registered device, as small as it goes.
type DeviceRow struct {
	Identity  grid.Identity
	Installed int64 // unix nanoseconds when supervision began; 0: not installed
	profile   uint32
	interval  uint32 // seconds; 0: the profile's
	main      PointNo
	state     uint8
	mode      uint8
	lane      grid.Lane
	many      bool
}

// PointRow is a monitored place, as far as the engine needs it.
type PointRow struct {
	ID     string
	scope  uint32
	cell   uint32
	rules  uint32
	build  uint32
	device DeviceNo
	kind   uint8
	mode   uint8
	state  uint8
	space  uint8
}

type channelRow struct {
	name  string
	point PointNo
}

var (
	kinds  = [...]grid.Kind{"", grid.Door, grid.Parking, grid.Manhole, grid.Smoke}
	modes  = [...]grid.Mode{grid.Live, grid.Test, grid.Exercise, grid.Simulated}
	spaces = [...]grid.Privacy{"", grid.PublicSpace, grid.SharedBuilding, grid.Dwelling}
	lives  = [...]grid.PointState{grid.PointActive, grid.PointPlanned, grid.PointPending, grid.PointRetired}
	states = [...]grid.DeviceState{grid.Registered, grid.Installed, grid.Barred, grid.Retired}
)

func number[T comparable](of []T, v T) uint8 {
	for i := range of {
		if of[i] == v {
			return uint8(i)
		}
	}
	return 0
}

// NewMemory makes empty tables.
func NewMemory() *Memory {
	m := &Memory{
		extra:  make(map[DeviceNo][]channelRow),
		strs:   newInterner(),
		scopes: make(map[grid.Scope]uint32),
	}
	m.byID = newIndex(func(n uint32) string { return string(m.devs[n].Identity) })
	m.byName = newIndex(func(n uint32) string { return m.points[n].ID })
	return m
}

// Reserve makes room for that many devices and points, for a quick start.
func (m *Memory) Reserve(devices, points int) {
	m.byID.reserve(devices)
	m.devs = slices.Grow(m.devs, devices)
	m.byName.reserve(points)
	m.points = slices.Grow(m.points, points)
}

// Lane tells by which lane a known device's frames go. Safe for concurrent use.
func (m *Memory) Lane(id grid.Identity) (lane grid.Lane, known bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.Device(id)
	if !ok {
		return grid.Bulk, false
	}
	return m.devs[n].lane, true
}

// ProfileOf names a known device's profile; "" when the device is unknown. Safe for concurrent use.
func (m *Memory) ProfileOf(id grid.Identity) (profile string, known bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.Device(id)
	if !ok {
		return "", false
	}
	return m.strs.at(m.devs[n].profile), true
}

// StateOf tells where a known device is in its life. Safe for concurrent use.
func (m *Memory) StateOf(id grid.Identity) (state grid.DeviceState, known bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.Device(id)
	if !ok {
		return "", false
	}
	return m.devs[n].State(), true
}

// Devices and Points tell how many rows there are.
func (m *Memory) Devices() int { return len(m.devs) }
func (m *Memory) Points() int  { return len(m.points) }

// Device finds a device by identity.
func (m *Memory) Device(id grid.Identity) (DeviceNo, bool) {
	n, ok := m.byID.find(string(id))
	return DeviceNo(n), ok
}

// Point finds a point by id.
func (m *Memory) Point(id string) (PointNo, bool) {
	n, ok := m.byName.find(id)
	return PointNo(n), ok
}

// PutPoint adds or changes a point and returns its place.
func (m *Memory) PutPoint(p grid.Point) PointNo {
	m.mu.Lock() // the strings are shared with ProfileOf's readers
	defer m.mu.Unlock()
	n, ok := m.Point(p.ID)
	if !ok {
		n = PointNo(len(m.points))
		m.points = append(m.points, PointRow{ID: p.ID, device: DeviceNo(None)})
		m.byName.add(p.ID, uint32(n))
	}
	row := &m.points[n]
	row.scope = m.scope(p.Scope)
	row.cell = m.strs.add(p.Cell)
	row.rules = m.strs.add(p.Rules)
	row.build = m.strs.add(p.Building)
	row.kind = number(kinds[:], p.Kind)
	row.mode = number(modes[:], p.Mode)
	row.state = number(lives[:], p.State)
	row.space = number(spaces[:], p.Privacy)
	return n
}

func (m *Memory) scope(s grid.Scope) uint32 {
	n, ok := m.scopes[s]
	if !ok {
		n = uint32(len(m.places))
		m.places = append(m.places, s)
		m.scopes[s] = n
	}
	return n
}

// PutDevice adds or changes a device, keeping its installations, and returns its place.
// safety says that its profile is one of a smoke detector.
func (m *Memory) PutDevice(d grid.Device, safety bool) DeviceNo {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.Device(d.Identity)
	if !ok {
		n = DeviceNo(len(m.devs))
		m.devs = append(m.devs, DeviceRow{Identity: d.Identity, main: PointNo(None), lane: grid.Bulk})
		m.byID.add(string(d.Identity), uint32(n))
	}
	row := &m.devs[n]
	row.profile = m.strs.add(d.Profile)
	row.interval = uint32(d.Interval / time.Second)
	row.state = number(states[:], d.State)
	row.mode = number(modes[:], d.Mode)
	row.Installed = 0
	if !d.Installed.IsZero() {
		row.Installed = d.Installed.UnixNano()
	}
	row.lane = m.laneOf(n, safety)
	return n
}

// PutInstallation ties a device channel to a point, or unties it when To is set.
// Both must be there.
func (m *Memory) PutInstallation(in grid.Installation, safety bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dev, ok := m.Device(in.Device)
	if !ok {
		return grid.Errorf(grid.NotFound, "installation of %s: device is not registered", in.Device)
	}
	pt, ok := m.Point(in.Point)
	if !ok {
		return grid.Errorf(grid.NotFound, "installation of %s: point %q is not registered", in.Device, in.Point)
	}
	row := &m.devs[dev]
	gone := !in.To.IsZero()
	if in.Channel == "" || in.Channel == grid.MainChannel {
		switch {
		case !gone:
			row.main = pt
		case row.main == pt:
			row.main = PointNo(None)
		}
	} else {
		m.extra[dev] = putChannel(m.extra[dev], channelRow{in.Channel, pt}, gone)
		row.many = len(m.extra[dev]) > 0
	}
	switch {
	case !gone:
		m.points[pt].device = dev
	case m.points[pt].device == dev:
		m.points[pt].device = DeviceNo(None)
	}
	row.lane = m.laneOf(dev, safety)
	return nil
}

func putChannel(rows []channelRow, c channelRow, gone bool) []channelRow {
	for i := range rows {
		if rows[i].name == c.name {
			if gone {
				return append(rows[:i:i], rows[i+1:]...)
			}
			rows[i] = c
			return rows
		}
	}
	if gone {
		return rows
	}
	return append(rows, c)
}

// laneOf is the most urgent lane of a device's points, or safety for a smoke profile.
func (m *Memory) laneOf(n DeviceNo, safety bool) grid.Lane {
	if safety {
		return grid.Safety
	}
	row := &m.devs[n]
	if row.main != PointNo(None) && m.points[row.main].Kind() == grid.Smoke {
		return grid.Safety
	}
	for _, c := range m.extra[n] {
		if m.points[c.point].Kind() == grid.Smoke {
			return grid.Safety
		}
	}
	return grid.Bulk
}

// PointFor finds the point at which a device's channel is installed.
func (m *Memory) PointFor(n DeviceNo, channel string) (PointNo, bool) {
	row := &m.devs[n]
	if channel == "" || channel == grid.MainChannel {
		return row.main, row.main != PointNo(None)
	}
	if row.many {
		for _, c := range m.extra[n] {
			if c.name == channel {
				return c.point, true
			}
		}
	}
	return PointNo(None), false
}

// AnyPoint is where readings of the device itself (battery, tamper) belong: the main
// channel's point, else the first channel's.
func (m *Memory) AnyPoint(n DeviceNo) (PointNo, bool) {
	row := &m.devs[n]
	if row.main != PointNo(None) {
		return row.main, true
	}
	if row.many {
		return m.extra[n][0].point, true
	}
	return PointNo(None), false
}

// PointsOf calls yield for each point of a device.
func (m *Memory) PointsOf(n DeviceNo, yield func(channel string, p PointNo)) {
	if row := &m.devs[n]; row.main != PointNo(None) {
		yield(grid.MainChannel, row.main)
	}
	for _, c := range m.extra[n] {
		yield(c.name, c.point)
	}
}

// DeviceAt and PointAt give a row; it is valid until the next Put.
func (m *Memory) DeviceAt(n DeviceNo) *DeviceRow { return &m.devs[n] }
func (m *Memory) PointAt(n PointNo) *PointRow    { return &m.points[n] }

// Profile names a device's profile.
func (m *Memory) Profile(d *DeviceRow) string { return m.strs.at(d.profile) }

// Cell, RuleSet, Building and Scope spell out what a point row keeps as numbers.
func (m *Memory) Cell(p *PointRow) string      { return m.strs.at(p.cell) }
func (m *Memory) RuleSet(p *PointRow) string   { return m.strs.at(p.rules) }
func (m *Memory) Building(p *PointRow) string  { return m.strs.at(p.build) }
func (m *Memory) Scope(p *PointRow) grid.Scope { return m.places[p.scope] }

// Kind, Mode and DeviceNo of a point.
func (p *PointRow) Kind() grid.Kind  { return kinds[p.kind] }
func (p *PointRow) Mode() grid.Mode  { return modes[p.mode] }
func (p *PointRow) Device() DeviceNo { return p.device }

// Privacy says whose space a point looks into.
func (p *PointRow) Privacy() grid.Privacy { return spaces[p.space] }

// Planned, Pending and Retired tell where a point is in its life.
func (p *PointRow) Planned() bool { return lives[p.state] == grid.PointPlanned }
func (p *PointRow) Pending() bool { return lives[p.state] == grid.PointPending }
func (p *PointRow) Retired() bool { return lives[p.state] == grid.PointRetired }

// State, Mode, Lane and Interval (0: the profile's) of a device.
func (d *DeviceRow) State() grid.DeviceState { return states[d.state] }
func (d *DeviceRow) Mode() grid.Mode         { return modes[d.mode] }
func (d *DeviceRow) Lane() grid.Lane         { return d.lane }
func (d *DeviceRow) Interval() time.Duration { return time.Duration(d.interval) * time.Second }

// interner keeps each distinct string once.
type interner struct {
	all []string
	no  map[string]uint32
}

func newInterner() interner { return interner{all: []string{""}, no: map[string]uint32{"": 0}} }

func (i *interner) add(s string) uint32 {
	n, ok := i.no[s]
	if !ok {
		n = uint32(len(i.all))
		i.all = append(i.all, s)
		i.no[s] = n
	}
	return n
}

func (i *interner) at(n uint32) string { return i.all[n] }
