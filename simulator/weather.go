package simulator

import (
	"math"
	"time"

	"gridgate/internal/grid"
)

// rainCourse remembers the showers of the days that are looked at.
type rainCourse struct {
	city *City
	days map[int64][]shower
}

// shower is rain from a time to a time, mm an hour.
type shower struct {
	from, to time.Time
	mm       float64
}

// day is the number of a day of the city.
func (c *City) day(at time.Time) (number int64, midnight time.Time) {
	at = at.In(c.zone)
	midnight = time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, c.zone)
	return (midnight.Unix() + 12*3600) / 86400, midnight
}

// of gives the showers that begin on the day of a time; c.mu is held.
func (r *rainCourse) of(at time.Time) []shower {
	number, midnight := r.city.day(at)
	if list, ok := r.days[number]; ok {
		return list
	}
	if r.days == nil || len(r.days) > 64 {
		r.days = map[int64][]shower{}
	}
	w := &r.city.rules.Weather
	d := throw(r.city.cfg.Seed, forWeather, uint64(number))
	var list []shower
	if d.share() < w.WetDays[midnight.Month()-1] {
		n := 1
		for left := w.Shower.PerDay - 1; left > 0 && d.share() < left; left-- {
			n++
		}
		for range n {
			from := midnight.Add(time.Duration(d.share() * 24 * float64(time.Hour)))
			list = append(list, shower{from, from.Add(d.length(w.Shower.Length, w.Shower.Spread)), w.Shower.MMPerH * d.exp()})
		}
	}
	r.days[number] = list
	return list
}

// Rain is how much rain falls, mm an hour.
func (c *City) Rain(at time.Time) (mm float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for back := range 2 {
		for _, s := range c.rain.of(at.AddDate(0, 0, -back)) {
			if !at.Before(s.from) && at.Before(s.to) {
				mm += s.mm
			}
		}
	}
	return mm
}

// pit says how device i's pit takes rain: factor of the catchment.
func (c *City) pit(i int) float64 {
	d := throw(c.cfg.Seed, forStart, 4, uint64(i))
	return math.Exp(c.rules.Manholes.Spread * d.normal())
}

// level is from the cover down to the water; c.mu is held.
func (c *City) level(i int, now time.Time) int {
	if p := c.partOf(i); p.kind != grid.Manhole || p.Quiet {
		return 1700
	}
	m := &c.rules.Manholes
	gain, lambda, water := c.pit(i)*m.CatchmentMM, -math.Log(1-m.Drains), 0.0
	for back := range 3 { // what is older has run off
		for _, s := range c.rain.of(now.AddDate(0, 0, -back)) {
			if !now.After(s.from) || s.mm <= m.Capacity {
				continue
			}
			end := s.to
			if now.Before(end) {
				end = now
			}
			rose := gain * (s.mm - m.Capacity) / lambda * (1 - math.Exp(-lambda*end.Sub(s.from).Hours()))
			water += rose * math.Exp(-lambda*now.Sub(end).Hours())
		}
	}
	return int(min(max(1700-water, 0), 1700))
}

// nextLook is when a pit is looked at next: while it is wet often, else when rain begins;
// c.mu is held.
func (c *City) nextLook(i int, t uint32) uint32 {
	now := c.timeAt(t)
	if c.level(i, now) < 1690 {
		return after(t, c.rules.Manholes.Look)
	}
	best := time.Time{}
	for ahead := -1; ahead < 2; ahead++ {
		for _, s := range c.rain.of(now.AddDate(0, 0, ahead)) {
			if s.to.After(now) && s.mm > c.rules.Manholes.Capacity && (best.IsZero() || s.from.Before(best)) {
				best = s.from
			}
		}
	}
	spread := throw(c.cfg.Seed, forLife, uint64(i), 7)
	wait := 12 * time.Hour // there may be rain after the days looked at
	if !best.IsZero() {
		wait = max(best.Sub(now), 0)
	}
	return after(t, wait+time.Duration(spread.share()*float64(c.rules.Manholes.Look)))
}

// look lets a device in a pit see its water: it speaks when it has risen or fallen much;
// c.mu is held.
func (c *City) look(i int, t uint32, now time.Time) (out []Message) {
	r := &c.records[i]
	is := c.level(i, now)
	was := int(r.level)
	if (is < floodedMM) != (was < floodedMM) || is > was+200 || is < was-200 {
		out = c.frame(i, Edge, now)
	}
	r.life = c.nextLook(i, t)
	return out
}

// celsius is the temperature where device i is.
func (c *City) celsius(i int, now time.Time) float64 {
	w := &c.rules.Weather
	local := now.In(c.zone)
	mean := w.MeanC[local.Month()-1]
	hour := float64(local.Hour()) + float64(local.Minute())/60
	number, _ := c.day(now)
	d := throw(c.cfg.Seed, forWeather, uint64(number), 1)
	today := mean + 2*d.normal()
	outside := today + w.SwingC/2*math.Sin((hour-8)/24*2*math.Pi)
	own := throw(c.cfg.Seed, forStart, 5, uint64(i))
	wobble := own.normal()
	switch c.partOf(i).kind {
	case grid.Smoke:
		return tenth((outside+w.IndoorC)/2 + wobble)
	case grid.Manhole:
		return tenth((outside + 3*mean) / 4)
	}
	return tenth(outside + wobble)
}

func tenth(v float64) float64 { return math.Round(v*10) / 10 }

// charge is what is left of the battery of device i, percent; c.mu is held.
func (c *City) charge(i int, now time.Time) int {
	if c.partOf(i).Quiet {
		return 96
	}
	b := &c.rules.Battery
	d := throw(c.cfg.Seed, forStart, 6, uint64(i), uint64(c.records[i].swaps))
	age := d.share() * b.Age
	if c.records[i].swaps > 0 {
		age = 0
	}
	years := age + now.Sub(c.start).Hours()/24/365
	cold := 1 + b.Cold*max(20-c.rules.Weather.MeanC[now.In(c.zone).Month()-1], 0)
	left := 100 - years/b.Years*100*(0.9+0.2*d.share()) - float64(c.records[i].used)*cold
	return int(min(max(math.Ceil(left), 2), 100))
}
