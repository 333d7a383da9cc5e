package simulator

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Order is what a device is told: a payload, a value of LwM2M, or registers.
type Order struct {
	Port    int // of a payload; 0: not said
	Payload []byte

	Path  string // LwM2M: what is written, or executed
	Value string // that is written; "" : executed

	Register int // Modbus: the first of those that are written
	Values   []uint16
}

// deed is what a device does about an order.
type deed struct {
	interval time.Duration // between heartbeats from now on; 0: as before
	restart  bool
	report   bool
	change   func(*State)
}

// obeys says what a model does about an order, as its maker has it; false: it does not know it.
func (m *Model) obeys(o Order) (deed, bool) {
	switch {
	case o.Path != "":
		return obeyResource(o)
	case o.Values != nil:
		return m.obeyRegisters(o)
	case strings.HasPrefix(m.Profile, "milesight/"):
		return obeyMilesight(o.Payload)
	case m.Form == JSON && strings.HasPrefix(m.Profile, "gridgate/"):
		return obeyJSON(o.Payload)
	}
	return deed{}, false
}

// obeyMilesight: FF 03 interval in seconds (low byte first), FF 10 FF restart, FF 28 FF report.
func obeyMilesight(p []byte) (d deed, ok bool) {
	switch {
	case len(p) == 4 && p[0] == 0xff && p[1] == 0x03 && binary.LittleEndian.Uint16(p[2:]) > 0:
		return deed{interval: time.Duration(binary.LittleEndian.Uint16(p[2:])) * time.Second}, true
	case len(p) == 3 && p[0] == 0xff && p[1] == 0x10 && p[2] == 0xff:
		return deed{restart: true}, true
	case len(p) == 3 && p[0] == 0xff && p[1] == 0x28 && p[2] == 0xff:
		return deed{report: true}, true
	}
	return d, false
}

// obeyJSON is our own form: {"interval_s": 60}, {"mute": true}, {"test": true}, {"report": true}.
func obeyJSON(p []byte) (d deed, ok bool) {
	var o struct {
		Interval *int  `json:"interval_s"`
		Mute     *bool `json:"mute"`
		Test     *bool `json:"test"`
		Report   bool  `json:"report"`
	}
	if json.Unmarshal(p, &o) != nil || o.Interval == nil && o.Mute == nil && o.Test == nil && !o.Report {
		return d, false
	}
	if o.Interval != nil {
		if *o.Interval < 1 {
			return d, false
		}
		d.interval = time.Duration(*o.Interval) * time.Second
	}
	if o.Mute != nil || o.Test != nil {
		d.change = func(s *State) {
			if o.Mute != nil {
				s.Mute = *o.Mute
			}
			if o.Test != nil {
				s.Test = *o.Test
			}
		}
	}
	d.report = o.Report
	return d, true
}

// obeyResource: 1/0/3 the longest time between notifications, in seconds; 3/0/4 restart.
func obeyResource(o Order) (d deed, ok bool) {
	switch strings.Trim(o.Path, "/") {
	case "1/0/3":
		n, err := strconv.Atoi(o.Value)
		if err != nil || n < 1 {
			return d, false
		}
		return deed{interval: time.Duration(n) * time.Second}, true
	case "3/0/4":
		return deed{restart: true}, o.Value == ""
	}
	return d, false
}

// obeyRegisters: of our own slaves 16 holds the self-test (1), 17 the silence (1) of a detector.
func (m *Model) obeyRegisters(o Order) (d deed, ok bool) {
	if m.Profile != "modbus/smoke" || o.Register < 16 || o.Register+len(o.Values) > 18 {
		return d, false
	}
	return deed{change: func(s *State) {
		for k, v := range o.Values {
			if o.Register+k == 16 {
				s.Test = v != 0
			} else {
				s.Mute = v != 0
			}
		}
	}}, true
}

// Obey has a device do what it is told. It reports an order that the device does not know; a
// wire then refuses it, if it can. What the device says of it comes when Run has its turn.
func (c *City) Obey(id grid.Identity, o Order) error {
	i, ok := c.find(string(id))
	if !ok {
		return grid.Errorf(grid.NotFound, "%q is no device of this city", id)
	}
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p, r := c.partOf(i), &c.records[i]
	d, ok := c.version(p, i).model.obeys(o)
	if !ok || r.is(isDead) {
		return grid.Errorf(grid.Invalid, "%s knows no such order", id)
	}
	c.wheel.remove(c.records, i)
	t := c.ticksAt(now)
	if d.interval > 0 {
		if c.told == nil {
			c.told = map[int]uint32{}
		}
		c.told[i] = uint32(max(d.interval/tick, 1))
		r.beat = t + c.told[i]
	}
	if d.change != nil {
		c.change(i, now, true, d.change)
	}
	if d.restart {
		r.set(isNew, true)
	}
	if d.restart || d.report || d.change != nil {
		r.beat = t + 1
	}
	c.wheel.insert(c.records, i)
	return nil
}

// obeySlave is Obey of a Modbus slave, which its line knows by its address.
func (c *City) obeySlave(line string, address byte, o Order) error {
	return c.Obey(grid.Identity(fmt.Sprintf("modbus:%s/%d", line, address)), o)
}

// Interval is the time between heartbeats of device i, as it was told or as shipped.
func (c *City) Interval(i int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.beatOf(i)) * tick
}

// beatOf is Interval in ticks; c.mu is held.
func (c *City) beatOf(i int) uint32 {
	if n, told := c.told[i]; told {
		return n
	}
	return c.partOf(i).interval
}
