package figures

import (
	"maps"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// group turns counts into figures.
func (t *tally) group(r *Rules, p Period, a Ask, whole bool) Group {
	var g Group
	for i := range formulas {
		f := &formulas[i]
		if !shown(f, a, whole) {
			continue
		}
		g.Figures = append(g.Figures, f.figure(t, r, p, r.Targets[f.key]))
	}
	for i, rung := range rungs {
		g.Ladder = append(g.Ladder, rungOf(rung.key, rung.zh, rung.en, t.spans[i]))
	}
	for _, kind := range slices.Sorted(maps.Keys(t.byKind)) {
		g.FalseAlarms = append(g.FalseAlarms, t.byKind[kind].figure(r, p, "kind", kind, r.FalseAlarms[grid.Kind(kind)]))
	}
	for _, profile := range slices.Sorted(maps.Keys(t.byProfile)) {
		g.FalseAlarms = append(g.FalseAlarms, t.byProfile[profile].figure(r, p, "profile", profile, Target{}))
	}
	return g
}

// shown reports whether a board has a figure, for the whole or for its parts.
func shown(f *formula, a Ask, whole bool) bool {
	if f.key == "stale" && !whole && (a.By == "hour" || a.By == "priority") {
		return false // a standing alarm has no hour
	}
	return a.has(f.family, whole)
}

func (f *formula) figure(t *tally, r *Rules, p Period, target Target) Figure {
	num, den := f.count(t)
	x := Figure{Key: f.key, ZH: f.zh, EN: f.en, Formula: f.text, Share: f.share, Numerator: num}
	switch {
	case den == none:
		x.Value = &num
	case den == 0:
		x.Denominator, x.Note = &den, notEnough
	default:
		v := num / den
		x.Denominator, x.Value = &den, &v
	}
	return x.aim(target, p)
}

// aim sets the target, and whether it is met.
func (x Figure) aim(target Target, p Period) Figure {
	if target.AtLeast == nil && target.AtMost == nil {
		return x
	}
	x.Target = &target
	if x.Value == nil {
		return x
	}
	met := target.meets(*x.Value)
	x.Met = &met
	if p.Days() < float64(target.Days) {
		x.Note = "of less than the days that its target asks for"
	}
	return x
}

func (v *verified) figure(r *Rules, p Period, by, key string, target Target) FalseAlarm {
	f := formulas[slices.IndexFunc(formulas, func(f formula) bool { return f.key == "false_alarm" })]
	return FalseAlarm{By: by, Of: key, Figure: f.figure(&tally{verdict: *v}, r, p, target)}
}

func rungOf(key, zh, en string, spans []time.Duration) Rung {
	x := Rung{Key: key, ZH: zh, EN: en, Count: len(spans)}
	if len(spans) == 0 {
		return x
	}
	slices.Sort(spans)
	for _, at := range []struct {
		share int
		to    **Second
	}{{50, &x.P50}, {90, &x.P90}, {99, &x.P99}} {
		s := Second(percentile(spans, at.share).Seconds())
		*at.to = &s
	}
	return x
}

// compare sets the figures of the other periods beside those of this one.
func (b *Board) compare(previous, yearAgo *counted) {
	for i := range b.Whole.Figures {
		b.Whole.Figures[i].beside(previous.whole, yearAgo.whole)
	}
	for k := range b.Parts {
		g := &b.Parts[k]
		for i := range g.Figures {
			g.Figures[i].beside(previous.parts[g.Key], yearAgo.parts[g.Key])
		}
	}
}

func (x *Figure) beside(previous, yearAgo *tally) {
	f := &formulas[slices.IndexFunc(formulas, func(f formula) bool { return f.key == x.Key })]
	x.Previous, x.YearAgo = f.compared(x.Value, previous), f.compared(x.Value, yearAgo)
}

func (f *formula) compared(now *float64, t *tally) *Compared {
	num, den := f.count(t)
	c := &Compared{Numerator: num}
	switch {
	case den == none:
		c.Value = &num
	case den == 0:
		c.Denominator = &den
	default:
		v := num / den
		c.Denominator, c.Value = &den, &v
	}
	if now == nil || c.Value == nil {
		return c
	}
	change := *now - *c.Value
	c.Change = &change
	if *c.Value != 0 {
		relative := change / *c.Value
		c.Relative = &relative
	}
	return c
}
