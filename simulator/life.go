package simulator

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// lifeTypes are the types of streets, buildings and kitchens, in the order of their names.
type lifeTypes struct {
	parking, doors, smoke []lifeType
}

// lifeType is how often something begins at a point, and how long it lasts.
type lifeType struct {
	name          string
	upTo          float64 // share of the points, summed
	perDay        float64
	week, weekend Curve // shares of a day's beginnings
	lasts         time.Duration
	spread        float64
	seldom        float64 // share that lasts longer …
	long          time.Duration
	already       float64 // share in which it lasts when the city begins at midnight
}

func (t *lifeTypes) compile(r *CityRules) {
	total := func(shares func(yield func(float64) bool)) (sum float64) {
		for s := range shares {
			sum += s
		}
		return sum
	}
	all := total(func(yield func(float64) bool) {
		for _, p := range r.Parking {
			yield(p.Share)
		}
	})
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(r.Parking)) {
		p := r.Parking[name]
		sum += p.Share / all
		t.parking = append(t.parking, lifeType{name: name, upTo: sum, perDay: p.Arrivals, week: p.Week.shares(), weekend: p.Weekend.shares(),
			lasts: p.Stay, spread: p.Spread, already: p.Taken})
	}
	all = total(func(yield func(float64) bool) {
		for _, d := range r.Doors {
			yield(d.Share)
		}
	})
	sum = 0
	for _, name := range slices.Sorted(maps.Keys(r.Doors)) {
		d := r.Doors[name]
		sum += d.Share / all
		t.doors = append(t.doors, lifeType{name: name, upTo: sum, perDay: d.Openings, week: d.Week.shares(), weekend: d.Weekend.shares(),
			lasts: d.Open, spread: d.Spread, seldom: d.Wedged, long: d.Wedge})
	}
	sum = 0 // of all detectors: most are near nothing
	for _, name := range slices.Sorted(maps.Keys(r.Smoke)) {
		s := r.Smoke[name]
		sum += s.Share
		t.smoke = append(t.smoke, lifeType{name: name, upTo: sum, perDay: s.AYear / 365, week: s.Curve.shares(), weekend: s.Curve.shares(),
			lasts: s.Lasts, spread: s.Spread})
	}
}

// shares makes the weights add up to 1.
func (c Curve) shares() Curve {
	sum := 0.0
	for _, w := range c {
		sum += w
	}
	for h := range c {
		c[h] /= sum
	}
	return c
}

// lifeOf is the type of life at the point of device i; nil: nothing happens there by itself.
func (c *City) lifeOf(p *part, i int) *lifeType {
	list, key := c.types.doors, uint64(c.block(p, i))
	switch p.kind {
	case grid.Parking:
		list = c.types.parking
	case grid.Smoke:
		list, key = c.types.smoke, uint64(i)
	case grid.Manhole:
		return nil
	}
	d := throw(c.cfg.Seed, forStart, 1, key)
	share := d.share()
	if p.kind == grid.Door { // a building has one type, but for its fire doors
		own := throw(c.cfg.Seed, forStart, 2, uint64(i))
		share = c.doorShare(share, own.share())
	}
	for k := range list {
		if p.Place.Type != "" {
			if list[k].name == p.Place.Type {
				return &list[k]
			}
		} else if share < list[k].upTo {
			return &list[k]
		}
	}
	return nil
}

// doorShare moves a door within its building to the fire doors, in their share.
func (c *City) doorShare(building, own float64) float64 {
	from := 0.0
	for _, t := range c.types.doors {
		if t.name == "fire_door" {
			width := t.upTo - from
			switch {
			case own < width:
				return from
			case building >= from && building < t.upTo: // no building has nothing else
				return math.Mod(t.upTo+building, from+1e-9)
			}
		}
		from = t.upTo
	}
	return building
}

func (c *City) typeOf(p *part, i int) string {
	if t := c.lifeOf(p, i); t != nil {
		return t.name
	}
	return ""
}

// populate gives every device its beginning.
func (c *City) populate(n int) {
	c.records = make([]record, n)
	for i := range c.records {
		r, p := &c.records[i], c.partOf(i)
		d := throw(c.cfg.Seed, forStart, 3, uint64(i))
		r.level, r.celsius, r.battery = 1700, 180, 96
		r.count = uint32(d.below(60_000))
		r.opens = uint32(d.below(2_000))
		r.beat = uint32(d.share() * float64(p.interval))
		if t := c.lifeOf(p, i); t != nil && !p.Quiet && d.share() < t.already*c.atNight() {
			r.flags |= isOccupied
		}
		r.life = c.nextLife(i, 0)
		c.wheel.insert(c.records, i)
	}
}

// atNight is 1 while what is said of midnight holds, and half that by day.
func (c *City) atNight() float64 {
	if h := c.start.Hour(); h < 7 || h >= 20 {
		return 1
	}
	return 0.5
}

// nextLife draws when something happens next at the point of device i; c.mu is held.
func (c *City) nextLife(i int, t uint32) uint32 {
	r, p := &c.records[i], c.partOf(i)
	if p.Quiet {
		return never
	}
	if p.kind == grid.Manhole {
		return c.nextLook(i, t)
	}
	life := c.lifeOf(p, i)
	if life == nil {
		return never
	}
	d := throw(c.cfg.Seed, forLife, uint64(i), uint64(r.drawn))
	r.drawn++
	if r.is(isOpen | isOccupied | isSmoke) {
		length := d.length(life.lasts, life.spread)
		if d.share() < life.seldom {
			length = d.length(life.long, 0.6)
		}
		return after(t, length)
	}
	return c.begins(life, t, d.exp())
}

func after(t uint32, d time.Duration) uint32 {
	if d/tick >= time.Duration(never-t) {
		return never
	}
	return t + uint32(max(d/tick, 1))
}

// begins walks through the hours until so much has been expected: the next point of a
// Poisson process whose rate changes by the hour.
func (c *City) begins(life *lifeType, t uint32, want float64) uint32 {
	at := c.timeAt(t)
	if life.perDay <= 0 {
		return never
	}
	days := math.Floor(want / life.perDay) // every day expects the same in all
	if days > 5000 {
		return never
	}
	at, want = at.Add(time.Duration(days)*24*time.Hour), want-days*life.perDay
	for range 48 {
		curve := &life.week
		if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
			curve = &life.weekend
		}
		hour := at.Truncate(time.Hour).Add(time.Hour).Sub(at) // zones of whole hours
		expect := life.perDay * curve[at.Hour()] * hour.Hours()
		if expect >= want {
			return after(t, at.Add(time.Duration(float64(hour)*want/expect)).Sub(c.timeAt(t)))
		}
		want -= expect
		at = at.Add(hour)
	}
	return never
}

// Run plays the schedule into the sink until ctx is done.
func (c *City) Run(ctx context.Context) error {
	var due []int
	told := time.Now()
	if err := c.power(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	for {
		t, err := c.waitForNext(ctx)
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		c.mu.Lock()
		due = c.wheel.take(c.records, t, due)
		c.mu.Unlock()
		now := c.timeAt(t)
		for _, i := range due {
			if err := c.send(ctx, now, func() []Message { return c.happen(i, t, now) }); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
		if len(due) > 0 {
			c.lag.Store(int64(max(c.cfg.Clock.Now().Sub(now), 0)))
		}
		if c.cfg.Progress != nil && time.Since(told) >= time.Second {
			told = time.Now()
			c.cfg.Progress(c.sent.Load(), time.Duration(c.lag.Load()))
		}
	}
}

// power lets all Modbus slaves hold what is so, before anybody asks them.
func (c *City) power(ctx context.Context) error {
	for k := range c.parts {
		p := &c.parts[k]
		if p.Wire != Modbus {
			continue
		}
		for i := p.first; i < p.first+p.Count; i++ {
			if err := c.send(ctx, c.start, func() []Message { return c.frame(i, Heartbeat, c.start) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitForNext waits for the next tick at which something may be due.
func (c *City) waitForNext(ctx context.Context) (uint32, error) {
	for {
		c.mu.Lock()
		t := c.wheel.at
		limit := t + uint32(time.Second/tick*10) // looks at the clock at least every ten seconds of the city
		for t < limit && c.wheel.heads[t%slots] == 0 {
			t++
		}
		c.wheel.at = t
		c.mu.Unlock()
		if err := c.cfg.Clock.SleepUntil(ctx, c.timeAt(t)); err != nil {
			return 0, err
		}
		if t < limit {
			return t, nil
		}
	}
}

// happen does what is due for device i and makes what it sends; c.mu is held.
func (c *City) happen(i int, t uint32, now time.Time) (out []Message) {
	r := &c.records[i]
	if r.life <= t {
		out = c.live(i, t, now)
	}
	if r.beat <= t {
		r.beat = t + c.beatOf(i)
		out = append(out, c.frame(i, Heartbeat, now)...)
	}
	c.wheel.insert(c.records, i)
	return out
}

// live lets something happen at the point of device i; c.mu is held.
func (c *City) live(i int, t uint32, now time.Time) []Message {
	r, p := &c.records[i], c.partOf(i)
	if r.is(mine) {
		r.life = never // until Release
		return nil
	}
	if p.kind == grid.Manhole {
		return c.look(i, t, now)
	}
	c.change(i, now, false, func(s *State) {
		switch p.kind {
		case grid.Door:
			s.Open = !s.Open
		case grid.Parking:
			s.Occupied = !s.Occupied
		case grid.Smoke:
			s.Smoke = !s.Smoke
		}
	})
	r.life = c.nextLife(i, t)
	return c.frame(i, Edge, now)
}

// firstOf is a Why, unless the device has just started.
func (r *record) firstOf(why Why) Why {
	if r.is(isNew) {
		r.set(isNew, false)
		return Startup
	}
	return cmp.Or(why, Heartbeat)
}
