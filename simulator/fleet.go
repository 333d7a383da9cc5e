// Package simulator plays the outside world to the gateway over real sockets: fleets of
// real device models with encoders of their own, units that take signed webhooks and
// answer, and load. It shares no code with the gateway but the words of package grid.
package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Device is one virtual device at its point.
type Device struct {
	Index    int
	Identity grid.Identity
	EUI      string // LoRaWAN
	Name     string // Zigbee2MQTT and network server
	Point    string
	Gateway  string
	Model    *Model
	Counter  uint32 // frames sent
	state    State
	mem      memory
}

// Fleet is a set of devices and the state of their points. Its methods may be called
// from several goroutines.
type Fleet struct {
	Devices []*Device
	Points  []grid.Point

	mu      sync.Mutex
	rng     *rand.Rand
	byPoint map[string]*Device
}

// NewFleet makes size devices, the models taking turns. The same seed makes the same
// fleet and the same frames, times apart.
func NewFleet(size int, seed uint64, of ...*Model) *Fleet { return NewFleetFrom(0, size, seed, of...) }

// NewFleetFrom makes a fleet whose devices and points are counted from a number: fleets
// of different numbers share none.
func NewFleetFrom(from, size int, seed uint64, of ...*Model) *Fleet {
	perBuilding := 1 // of one model: a building each, so that nothing is grouped
	if len(of) == 0 {
		perBuilding = 4
		for i := range models {
			of = append(of, &models[i])
		}
	}
	f := &Fleet{rng: rand.New(rand.NewPCG(seed, 0x67726964)), byPoint: map[string]*Device{}}
	for i := from; i < from+size; i++ {
		d := newDevice(i, seed, of[i%len(of)])
		p := pointAt(i, d.Model.Kind, perBuilding)
		d.Point = p.ID
		d.state.Battery = 60 + f.rng.IntN(40)
		d.state.Celsius = float64(15 + f.rng.IntN(10))
		f.Devices = append(f.Devices, d)
		f.Points = append(f.Points, p)
		f.byPoint[p.ID] = d
	}
	return f
}

func newDevice(i int, seed uint64, m *Model) *Device {
	d := &Device{Index: i, Model: m, state: Normal(), EUI: eui(seed, i),
		Name: fmt.Sprintf("sim-%s-%06d", m.Kind, i), Gateway: fmt.Sprintf("0267ffff%08x", i/50)}
	d.Identity = grid.Identity("eui:" + d.EUI)
	if m.Zigbee {
		d.Identity = grid.Identity("z2m:" + d.Name)
	}
	return d
}

// eui makes an EUI-64 with the local bit set: no maker's device has one.
func eui(seed uint64, i int) string { return fmt.Sprintf("0267%04x%08x", uint16(seed), uint32(i)) }

// Registry is what the gateway must know of the fleet.
func (f *Fleet) Registry(interval time.Duration) Registry {
	return Registry{
		Points: slices.Values(f.Points),
		Devices: func(yield func(RegistryDevice) bool) {
			for _, d := range f.Devices {
				if !yield(RegistryDevice{Identity: d.Identity, Profile: d.Model.Profile, Point: d.Point, Interval: interval}) {
					return
				}
			}
		},
	}
}

// At finds the device at a point.
func (f *Fleet) At(point string) (*Device, error) {
	if d := f.byPoint[point]; d != nil {
		return d, nil
	}
	return nil, grid.Errorf(grid.NotFound, "point is %q: want one of this fleet", point)
}

// First finds the n-th device of a model, from 0.
func (f *Fleet) First(profile string, n int) *Device {
	for _, d := range f.Devices {
		if d.Model.Profile == profile {
			if n == 0 {
				return d
			}
			n--
		}
	}
	return nil
}

// Look returns the state of the point of d and how many frames it has sent.
func (f *Fleet) Look(d *Device) (State, uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return d.state, d.Counter
}

// Change alters the state of the point of d and makes the frame that its device sends
// about it.
func (f *Fleet) Change(d *Device, why Why, now time.Time, change func(*State)) Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := d.state
	change(&d.state)
	d.remember(was, now)
	return f.frame(d, why, now)
}

// Report makes a frame of d without any change at its point.
func (f *Fleet) Report(d *Device, why Why, now time.Time) Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frame(d, why, now)
}

// remember keeps what devices tell about the state before.
func (d *Device) remember(was State, now time.Time) {
	if was.Open == d.state.Open && was.Occupied == d.state.Occupied {
		return
	}
	if !d.mem.changed.IsZero() {
		d.mem.lastSpan = now.Sub(d.mem.changed)
	}
	d.mem.changed = now
	switch {
	case d.state.Open && !was.Open:
		d.mem.opens++
	case was.Open:
		d.mem.lastOpen = d.mem.lastSpan
	}
}

// frame encodes the present state; f.mu is held.
func (f *Fleet) frame(d *Device, why Why, now time.Time) Message {
	d.mem.frames++
	port, payload := d.Model.encode(d.state, d.mem, why, now)
	m := Message{Identity: d.Identity, Counter: d.Counter, Kind: why, At: now.UTC()}
	if d.Model.Zigbee {
		m.Topic, m.Payload = "zigbee2mqtt/"+d.Name, payload
	} else {
		m.Topic = "application/" + application + "/device/" + d.EUI + "/event/up"
		m.Payload = chirpstack(d, port, payload, f.rng.Uint64(), now)
	}
	d.Counter++
	return m
}
