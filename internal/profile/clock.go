package profile

import (
	"fmt"
	"math"
	"time"
)

// clock reads a time out of a field.
type clock struct {
	slot  int
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
	if !s.has[c.slot] {
		s = &r.top
	}
	if !s.has[c.slot] {
		return time.Time{}
	}
	v := s.val[c.slot]
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

func (c *compiler) clock(s *timeSpec) (*clock, error) {
	if s == nil {
		return nil, nil
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
	if s.Zone != "" {
		zone, err := time.Parse("-07:00", s.Zone)
		if err != nil {
			return nil, fmt.Errorf("time: zone is %q: want what the device's clock is ahead of UTC, for example +08:00", s.Zone)
		}
		_, ahead := zone.Zone()
		out.epoch -= float64(ahead)
	}
	if s.Step != "" {
		step, err := time.ParseDuration(s.Step)
		if err != nil {
			return nil, fmt.Errorf("time: step is %q: want what lies between two records, for example -10m", s.Step)
		}
		out.step = step.Seconds()
	}
	if out.now, err = f.values(s.Now); err != nil {
		return nil, fmt.Errorf("time: now: %w", err)
	}
	return out, nil
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
