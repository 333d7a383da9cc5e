package alarm

import (
	"maps"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// What people are told of the rules: which events they can report, and what a posture changes.

// Reportables are the events that people can report, worst first. titles of a rule go along.
func (rs *Rules) Reportables() (out []*Rule) {
	for _, t := range slices.Sorted(maps.Keys(rs.bare)) {
		if r := rs.bare[t]; MayFile(r) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *Rule) int { return int(a.Priority) - int(b.Priority) })
	return out
}

// LowestFiled is the least priority under which an event may be filed. Smoke is P1 whoever saw it.
func LowestFiled(r *Rule) grid.Priority {
	if r.Type == grid.EventSmokeAlarm {
		return r.Priority
	}
	return 4
}

// Effects is what each posture changes, in the order of the names.
func (rs *Rules) Effects() (out []grid.PostureEffects) {
	for _, name := range rs.PostureNames() {
		one := grid.PostureEffects{Name: name}
		for _, t := range slices.Sorted(maps.Keys(rs.changes[name])) {
			c, bare := rs.changes[name][t], rs.bare[t]
			e := grid.PostureEffect{Type: t, TitleZH: bare.TitleZH, TitleEN: bare.TitleEN, Priority: c.priority, Own: bare.Priority, By: string(c.by)}
			if c.onDelay != nil {
				s := c.onDelay.Seconds()
				e.OnDelayS, e.OwnS = &s, rs.delays(t)
			}
			one.Changes = append(one.Changes, e)
		}
		out = append(out, one)
	}
	return out
}

// delays are the on-delays that the rules of an event have, in seconds, each once.
func (rs *Rules) delays(t grid.EventType) (out []float64) {
	seen := map[time.Duration]bool{}
	for _, kinds := range rs.sets {
		for _, rules := range kinds {
			for _, r := range rules {
				if r.Type == t && r.From == FromSignal && !r.Moment {
					seen[r.OnDelay] = true
				}
			}
		}
	}
	for _, d := range slices.Sorted(maps.Keys(seen)) {
		out = append(out, d.Seconds())
	}
	return out
}
