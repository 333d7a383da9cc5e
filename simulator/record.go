package simulator

import (
	"math"
	"slices"
	"time"
)

// tick is the grain of the schedule.
const tick = 100 * time.Millisecond

// never is no tick that comes.
const never = math.MaxUint32

// record is all that is kept of a device.
type record struct {
	beat    uint32  // tick of the next heartbeat
	life    uint32  // tick of the next thing that happens at its point
	next    int32   // in its slot of the wheel
	count   uint32  // frames sent
	drawn   uint32  // events of its life so far
	changed uint32  // tick at which the present state began
	span    uint32  // ticks that the state before lasted
	used    float32 // percent of the battery, by frames
	opens   uint32
	flags   uint16
	tilt    int16 // tenths of a degree
	level   uint16
	celsius int16 // tenths
	battery uint8
	held    uint8 // which of battery, temperature and level are said by somebody
	swaps   uint8
}

// Flags of a record: of the state first.
const (
	isOpen uint16 = 1 << iota
	isOccupied
	isSmoke
	isHeat
	isTest
	isTamper
	isWater
	isRemoved
	isMute
	isFault
	mine      // somebody acts here: the schedule does not
	isDead    // sends nothing
	isNew     // has not said that it has started
	isChanged // the state has changed since the city began
	isQueued  // stands in the wheel
)

const (
	heldBattery uint8 = 1 << iota
	heldCelsius
	heldLevel
)

func (r *record) set(flag uint16, on bool) {
	if on {
		r.flags |= flag
	} else {
		r.flags &^= flag
	}
}

func (r *record) is(flag uint16) bool { return r.flags&flag != 0 }

// due is the tick at which something is to be done.
func (r *record) due() uint32 { return min(r.beat, r.life) }

// slots of the wheel; a device whose tick is farther away than a turn waits for another.
const slots = 1 << 16

// wheel is a timing wheel whose chains run through the records.
type wheel struct {
	heads [slots]int32 // index + 1
	at    uint32       // ticks below are done
}

func (w *wheel) insert(all []record, i int) {
	r := &all[i]
	due := r.due()
	if due == never || r.is(isQueued) {
		return
	}
	r.set(isQueued, true)
	slot := max(due, w.at) % slots
	r.next = w.heads[slot]
	w.heads[slot] = int32(i + 1)
}

func (w *wheel) remove(all []record, i int) {
	due := all[i].due()
	if !all[i].is(isQueued) {
		return
	}
	for at := &w.heads[max(due, w.at)%slots]; *at != 0; at = &all[*at-1].next {
		if int(*at-1) == i {
			*at = all[i].next
			all[i].set(isQueued, false)
			return
		}
	}
}

// take takes out what is due at a tick, in the order of the devices.
func (w *wheel) take(all []record, t uint32, out []int) []int {
	out = out[:0]
	for at := &w.heads[t%slots]; *at != 0; {
		i := int(*at - 1)
		if all[i].due() <= t {
			*at = all[i].next
			all[i].set(isQueued, false)
			out = append(out, i)
			continue
		}
		at = &all[i].next
	}
	w.at = t + 1
	slices.Sort(out)
	return out
}

// state unpacks what is true at the point of device i; c.mu is held.
func (c *City) state(i int, now time.Time) State {
	r := &c.records[i]
	s := State{
		Open: r.is(isOpen), Occupied: r.is(isOccupied), Smoke: r.is(isSmoke), Heat: r.is(isHeat), Test: r.is(isTest), Tamper: r.is(isTamper),
		Water: r.is(isWater), Removed: r.is(isRemoved), Mute: r.is(isMute), Fault: r.is(isFault),
		Tilt: float64(r.tilt) / 10, LevelMM: int(r.level), Battery: int(r.battery), Celsius: float64(r.celsius) / 10,
	}
	if r.held&heldCelsius == 0 {
		s.Celsius = c.celsius(i, now)
	}
	if r.held&heldBattery == 0 {
		s.Battery = c.charge(i, now)
	}
	if r.held&heldLevel == 0 {
		s.LevelMM = c.level(i, now)
	}
	return s
}

// change alters what is true at the point of device i; c.mu is held.
func (c *City) change(i int, now time.Time, acted bool, change func(*State)) {
	r := &c.records[i]
	was := c.state(i, now)
	s := was
	change(&s)
	for k, on := range [...]bool{s.Open, s.Occupied, s.Smoke, s.Heat, s.Test, s.Tamper, s.Water, s.Removed, s.Mute, s.Fault} {
		r.set(isOpen<<k, on)
	}
	r.tilt = int16(math.Round(min(max(s.Tilt, -180), 180) * 10))
	r.level = uint16(min(max(s.LevelMM, 0), math.MaxUint16))
	r.celsius = int16(math.Round(min(max(s.Celsius, -100), 1000) * 10))
	r.battery = uint8(min(max(s.Battery, 0), 100))
	if acted {
		r.flags |= mine
		if s.Battery != was.Battery {
			r.held |= heldBattery
		}
		if s.Celsius != was.Celsius {
			r.held |= heldCelsius
		}
		if s.LevelMM != was.LevelMM {
			r.held |= heldLevel
		}
	}
	if was.Open != s.Open || was.Occupied != s.Occupied {
		t := c.ticksAt(now)
		if r.is(isChanged) {
			r.span = t - r.changed
		}
		r.changed = t
		r.set(isChanged, true)
		if s.Open {
			r.opens++
		}
	}
}

// memory is what the device itself remembers, by its own clock; c.mu is held.
func (c *City) memory(i int, p *part, offset time.Duration) memory {
	r := &c.records[i]
	m := memory{frames: uint16(r.count + 1), count: r.count, opens: int(r.opens & 0xffffff), index: c.number(i), kind: p.kind, member: p.member(i)}
	if !r.is(isChanged) {
		return m
	}
	m.changed = c.timeAt(r.changed).Add(offset)
	m.lastSpan = time.Duration(r.span) * tick
	if !r.is(isOpen) && p.kind == "door" {
		m.lastOpen = m.lastSpan
	}
	return m
}

func (c *City) ticksAt(now time.Time) uint32 { return uint32(max(now.Sub(c.start)/tick, 0)) }

func (c *City) timeAt(t uint32) time.Time { return c.start.Add(time.Duration(t) * tick) }
