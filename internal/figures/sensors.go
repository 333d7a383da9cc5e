package figures

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// SensorRules say which conditions of a device mean what.
type SensorRules struct {
	Silent  []grid.EventType `yaml:"silent"`
	Battery []grid.EventType `yaml:"battery"`
	Fault   []grid.EventType `yaml:"fault"`
}

// SensorSource is what the health of sensors is made of; state.Store is one.
type SensorSource interface {
	Source
	FigureSensors(ctx context.Context, q grid.FigureQuery, f func(grid.Sensors)) error
	FigureAilments(ctx context.Context, q grid.FigureQuery, types []grid.EventType, f func(*grid.Ailment)) error
}

// SensorHealth is how the installed devices were, by kind and profile.
type SensorHealth struct {
	Period Period        `json:"period"`
	Made   time.Time     `json:"made"`
	Mode   grid.Mode     `json:"mode"`
	Whole  SensorGroup   `json:"whole"`
	Kinds  []SensorGroup `json:"kinds"`
	Models []SensorGroup `json:"models"`
}

// SensorGroup counts devices. What is silent, low or faulty is so at the end of the period.
type SensorGroup struct {
	Kind         grid.Kind `json:"kind,omitempty"`
	Profile      string    `json:"profile,omitempty"`
	Installed    int       `json:"installed"`
	Silent       int       `json:"silent"`
	BatteryLow   int       `json:"battery_low"`
	Faulty       int       `json:"faulty"`
	Well         int       `json:"well" doc:"None of these."`
	Silences     int       `json:"silences" doc:"Times that one fell silent in the period."`
	Availability *float64  `json:"availability,omitempty" doc:"Time without silence / time installed, in the period."`
	quiet, there float64   // seconds
}

// ailing is what is known of one device with a condition.
type ailing struct {
	kind                   grid.Kind
	profile                string
	silent, battery, fault bool
	silences               int
	quiet                  time.Duration
	until                  time.Time // of its latest silence: two that overlap count once
}

// Sensors makes the health of the devices.
func (r *Rules) Sensors(ctx context.Context, src SensorSource, a Ask, now time.Time) (SensorHealth, error) {
	p, _, err := r.period(a, now)
	if err != nil {
		return SensorHealth{}, err
	}
	groups := map[[2]string]*SensorGroup{}
	q := a.query(p)
	q.Unit = ""
	err = src.FigureSensors(ctx, q, func(x grid.Sensors) {
		g := groupFor(groups, x.Kind, x.Profile)
		g.Installed += x.Count
		g.there += x.Seconds
	})
	if err != nil {
		return SensorHealth{}, fmt.Errorf("sensors: %w", err)
	}
	devices := map[grid.Identity]*ailing{}
	types := slices.Concat(r.Sensor.Silent, r.Sensor.Battery, r.Sensor.Fault)
	err = src.FigureAilments(ctx, q, types, func(x *grid.Ailment) {
		d := devices[x.Device]
		if d == nil {
			d = &ailing{kind: x.Kind, profile: x.Profile}
			devices[x.Device] = d
		}
		d.add(x, p, &r.Sensor)
	})
	if err != nil {
		return SensorHealth{}, fmt.Errorf("sensors: %w", err)
	}
	for _, d := range devices {
		g := groupFor(groups, d.kind, d.profile)
		g.Silent += one(d.silent)
		g.BatteryLow += one(d.battery)
		g.Faulty += one(d.fault)
		g.Well -= one(d.silent || d.battery || d.fault)
		g.Silences += d.silences
		g.quiet += d.quiet.Seconds()
	}
	return healthOf(groups, p, a, now), nil
}

// add takes an episode. They come oldest first of each device.
func (d *ailing) add(x *grid.Ailment, p Period, r *SensorRules) {
	now := p.by(x.Raised) && !p.by(x.Returned) // active at the end
	switch {
	case slices.Contains(r.Battery, x.Type):
		d.battery = d.battery || now
	case slices.Contains(r.Fault, x.Type):
		d.fault = d.fault || now
	case slices.Contains(r.Silent, x.Type):
		d.silent = d.silent || now
		d.silences += one(p.in(x.Raised))
		from, to := x.Raised, x.Returned
		for _, t := range []time.Time{p.From, x.Installed, d.until} {
			if t.After(from) {
				from = t
			}
		}
		if to.IsZero() || to.After(p.End) {
			to = p.End
		}
		if to.After(from) {
			d.quiet += to.Sub(from)
			d.until = to
		}
	}
}

func groupFor(m map[[2]string]*SensorGroup, kind grid.Kind, profile string) *SensorGroup {
	key := [2]string{string(kind), profile}
	g := m[key]
	if g == nil {
		g = &SensorGroup{Kind: kind, Profile: profile}
		m[key] = g
	}
	return g
}

func healthOf(groups map[[2]string]*SensorGroup, p Period, a Ask, now time.Time) SensorHealth {
	out := SensorHealth{Period: p, Made: now, Mode: a.mode(), Kinds: []SensorGroup{}, Models: []SensorGroup{}}
	kinds := map[[2]string]*SensorGroup{}
	for _, g := range groups {
		for _, sum := range []*SensorGroup{&out.Whole, groupFor(kinds, g.Kind, "")} {
			sum.Installed += g.Installed
			sum.Silent += g.Silent
			sum.BatteryLow += g.BatteryLow
			sum.Faulty += g.Faulty
			sum.Well += g.Well
			sum.Silences += g.Silences
			sum.quiet += g.quiet
			sum.there += g.there
		}
	}
	out.Whole.finish()
	for _, key := range slices.SortedFunc(maps.Keys(kinds), inOrder) {
		out.Kinds = append(out.Kinds, *kinds[key].finish())
	}
	for _, key := range slices.SortedFunc(maps.Keys(groups), inOrder) {
		out.Models = append(out.Models, *groups[key].finish())
	}
	return out
}

func inOrder(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

func (g *SensorGroup) finish() *SensorGroup {
	g.Well += g.Installed
	if g.there > 0 {
		v := max(0, 1-g.quiet/g.there)
		g.Availability = &v
	}
	return g
}
