package alarm

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Postures: a posture gives some event types other on-delays, higher priorities and another
// grouping. It never touches smoke.

type postureYAML map[grid.EventType]struct {
	OnDelay  *time.Duration `yaml:"on_delay"`
	Priority string         `yaml:"priority"`
	By       Within         `yaml:"by"`
}

// change is what a posture says of one event type.
type change struct {
	onDelay  *time.Duration
	priority grid.Priority // 0: as it is
	by       Within        // "": as it is
}

// In gives the rules as a posture has them. Those of a point have the same order as
// without it.
func (rs *Rules) In(p grid.PostureName) *Rules {
	if v, ok := rs.postures[p]; ok {
		return v
	}
	return rs
}

// Differs reports whether a posture says something of an event type.
func (rs *Rules) Differs(p grid.PostureName, t grid.EventType) bool {
	_, ok := rs.changes[p][t]
	return ok
}

// PostureNames are those of which the rules say something, sorted.
func (rs *Rules) PostureNames() []grid.PostureName { return slices.Sorted(maps.Keys(rs.changes)) }

// posture makes the variants, after all else is built.
func (rs *Rules) posture(f *fileYAML) error {
	rs.changes, rs.postures = map[grid.PostureName]map[grid.EventType]change{}, map[grid.PostureName]*Rules{}
	rs.urgent = map[grid.EventType]bool{}
	for _, name := range slices.Sorted(maps.Keys(f.Postures)) {
		if name == grid.PostureNormal || !slices.Contains(grid.PostureNames, name) {
			return fmt.Errorf("postures has %q: want some of %v", name, grid.PostureNames[1:])
		}
		changes := map[grid.EventType]change{}
		for _, t := range slices.Sorted(maps.Keys(f.Postures[name])) {
			c, err := rs.change(f, name, t)
			if err != nil {
				return fmt.Errorf("postures.%s.%s%w", name, t, err)
			}
			changes[t] = c
			rs.urgent[t] = rs.urgent[t] || c.priority == 1
		}
		rs.changes[name] = changes
	}
	for name, changes := range rs.changes {
		rs.postures[name] = rs.variant(changes)
	}
	return nil
}

func (rs *Rules) change(f *fileYAML, posture grid.PostureName, t grid.EventType) (change, error) {
	y := f.Postures[posture][t]
	c := change{onDelay: y.OnDelay, by: y.By}
	switch {
	case rs.bare[t] == nil:
		return c, fmt.Errorf(": want one of those under events")
	case ofSmoke(t):
		return c, fmt.Errorf(": want nothing of smoke, no posture changes when it calls for help")
	case !rs.raisedBySignal(t):
		return c, fmt.Errorf(": want an event that a reading raises")
	case y.OnDelay == nil && y.Priority == "" && y.By == "":
		return c, fmt.Errorf(" is empty: want on_delay, priority or by")
	case y.OnDelay != nil && *y.OnDelay < 0:
		return c, fmt.Errorf(".on_delay is %s: want 0s or more", *y.OnDelay)
	}
	if y.By != "" {
		if err := y.By.check(); err != nil {
			return c, fmt.Errorf(".by %w", err)
		}
	}
	if y.Priority == "" {
		return c, nil
	}
	for p := grid.Priority(1); p <= 4; p++ {
		if y.Priority == p.String() {
			c.priority = p
		}
	}
	if own := rs.bare[t].Priority; c.priority == 0 || c.priority > own {
		return c, fmt.Errorf(".priority is %q: want %s, which it has by itself, or one above: a posture only raises", y.Priority, own)
	}
	return c, nil
}

func (rs *Rules) raisedBySignal(t grid.EventType) bool {
	for _, kinds := range rs.sets {
		for _, rules := range kinds {
			for _, r := range rules {
				if r.Type == t && r.From == FromSignal && !r.Moment {
					return true
				}
			}
		}
	}
	return false
}

// variant is the rules with some changes.
func (rs *Rules) variant(changes map[grid.EventType]change) *Rules {
	v := *rs
	v.sets = map[string]map[grid.Kind][]*Rule{}
	for set, kinds := range rs.sets {
		v.sets[set] = map[grid.Kind][]*Rule{}
		for kind, rules := range kinds {
			changed := make([]*Rule, len(rules))
			for i, r := range rules {
				changed[i] = changes[r.Type].rule(r)
			}
			v.sets[set][kind] = changed
		}
	}
	v.bare = maps.Clone(rs.bare)
	v.groups = maps.Clone(rs.groups)
	for t, c := range changes {
		v.bare[t] = c.rule(rs.bare[t])
		if c.by == "" {
			continue
		}
		g := Group{Name: string(t), Of: t}
		if own := rs.groups[t]; own != nil {
			g = *own
		}
		g.By = c.by
		v.groups[t] = &g
	}
	return &v
}

func (c change) rule(r *Rule) *Rule {
	if c.onDelay == nil && c.priority == 0 {
		return r
	}
	own := *r
	if c.onDelay != nil && r.From == FromSignal && !r.Moment {
		own.OnDelay = *c.onDelay
	}
	if c.priority != 0 {
		own.Priority = min(own.Priority, c.priority)
	}
	return &own
}
