package profile

import (
	"fmt"
	"math"
	"time"
)

// clock reads a time out of a field.
type clock struct {
	slot  int
	parts []int     // slots of year, month, day, hour, minute and second; nil: one field
	unit  float64   // seconds of one
	epoch float64   // since 1970, of the field's zero
	ago   bool      // the field counts back from when the frame came
	now   []float64 // values that mean: when the frame came
	step  float64   // seconds from one record to the next
}

// lastTime is the end of what RFC 3339 can write.
const lastTime = 253402300799

// read gives the time of the n-th record, from 1, or of the frame, zero where it says
// none. What a record does not say is looked for in the frame around it. Wrong clocks are
// not judged here: 1970 and next year are ordinary.
func (c *clock) read(r *run, s *scope, n int) time.Time {
	v, said := c.value(r, s)
	if !said {
		return time.Time{}
	}
	sec := v*c.unit + c.epoch
	if now := contains(c.now, v); now || c.ago {
		if r.frame.Received.IsZero() {
			return time.Time{}
		}
		sec = float64(r.frame.Received.UnixMicro()) / 1e6
		if !now {
			sec -= v * c.unit
		}
	}
	if n > 1 {
		sec += c.step * float64(n-1)
	}
	if sec < 0 || sec > lastTime {
		return time.Time{}
	}
	whole := int64(sec)
	return time.Unix(whole, int64(math.Round((sec-float64(whole))*1e6))*1e3).UTC()
}

// near looks for a field in a record, then in the frame around it.
func (r *run) near(s *scope, slot int) (v float64, said bool) {
	if !s.has[slot] {
		s = &r.top
	}
	return s.val[slot], s.has[slot]
}

// value is what the field says, or the seconds since 1970 that the parts make.
func (c *clock) value(r *run, s *scope) (v float64, said bool) {
	if c.parts == nil {
		return r.near(s, c.slot)
	}
	part := [6]int{}
	for i, slot := range c.parts {
		v, said := r.near(s, slot)
		if !said || v != math.Trunc(v) || v < 0 || v > 9999 {
			return 0, false
		}
		part[i] = int(v)
	}
	if part[0] < 100 {
		part[0] += 2000
	}
	at := time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	// The 31st of February and the like: no clock that runs says that.
	same := at.Year() == part[0] && at.Month() == time.Month(part[1]) && at.Day() == part[2] && at.Hour() == part[3] && at.Minute() == part[4]
	return float64(at.Unix()), same
}

// partsOf compiles a time that stands in several fields.
func (c *compiler) partsOf(s *timeSpec) ([]int, error) {
	switch {
	case s.Field != "":
		return nil, fmt.Errorf("time: field and parts: want one of them")
	case len(s.Parts) < 5 || len(s.Parts) > 6:
		return nil, fmt.Errorf("time: parts has %d fields: want year, month, day, hour, minute and, where there is one, second", len(s.Parts))
	case s.Unit != "" || s.Since != "" || s.Ago || s.Now != nil:
		return nil, fmt.Errorf("time: parts make a date: want no unit, since, ago or now")
	}
	var slots []int
	for _, name := range s.Parts {
		f, err := c.lookup(name)
		if err != nil {
			return nil, fmt.Errorf("time: parts: %w", err)
		}
		slots = append(slots, f.slot)
	}
	return slots, nil
}

func (c *compiler) clock(s *timeSpec) (*clock, error) {
	if s == nil {
		return nil, nil
	}
	if s.Parts != nil {
		parts, err := c.partsOf(s)
		if err != nil {
			return nil, err
		}
		out := &clock{parts: parts, unit: 1}
		return out, out.shift(s)
	}
	f, err := c.lookup(s.Field)
	if err != nil {
		return nil, fmt.Errorf("time: %w", err)
	}
	out := &clock{slot: f.slot, unit: unitSeconds(s.Unit), ago: s.Ago}
	if out.unit == 0 {
		return nil, fmt.Errorf("time: unit is %q: want s, ms, min or h", s.Unit)
	}
	if s.Ago && (s.Since != "" || s.Zone != "") {
		return nil, fmt.Errorf("time: ago counts back from when the frame came: want no since or zone")
	}
	if s.Since != "" {
		epoch, err := time.Parse(time.RFC3339, s.Since)
		if err != nil {
			epoch, err = time.Parse(time.DateOnly, s.Since)
		}
		if err != nil {
			return nil, fmt.Errorf("time: since is %q: want a day, for example 2000-01-01, or an RFC 3339 time", s.Since)
		}
		out.epoch = float64(epoch.Unix())
	}
	if err := out.shift(s); err != nil {
		return nil, err
	}
	if out.now, err = f.values(s.Now); err != nil {
		return nil, fmt.Errorf("time: now: %w", err)
	}
	return out, nil
}

// shift takes in what moves a time: the zone of the clock, and the step between records.
func (c *clock) shift(s *timeSpec) error {
	if s.Zone != "" {
		zone, err := time.Parse("-07:00", s.Zone)
		if err != nil {
			return fmt.Errorf("time: zone is %q: want what the device's clock is ahead of UTC, for example +08:00", s.Zone)
		}
		_, ahead := zone.Zone()
		c.epoch -= float64(ahead)
	}
	if s.Step != "" {
		step, err := time.ParseDuration(s.Step)
		if err != nil {
			return fmt.Errorf("time: step is %q: want what lies between two records, for example -10m", s.Step)
		}
		c.step = step.Seconds()
	}
	return nil
}

// unitSeconds is how many seconds one of a unit has; 0: no such unit.
func unitSeconds(unit string) float64 {
	switch unit {
	case "", "s":
		return 1
	case "ms":
		return 0.001
	case "min":
		return 60
	case "h":
		return 3600
	}
	return 0
}
