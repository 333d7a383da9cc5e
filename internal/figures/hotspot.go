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

// Case is one verified alarm of a sensor: the ticket of an incident counts once, however
// many detectors it has.
type Case struct {
	At   time.Time
	Kind grid.Kind
	grid.Scope
	Cell string
}

// Verdict is what becomes of a place. Hotspot is the row as it is to be: its numbers are
// those of now.
type Verdict struct {
	Hotspot grid.Hotspot
	Change  Change
}

// Change of the list.
type Change string

const (
	List   Change = "list"
	Delist Change = "delist"
	Keep   Change = "keep" // only its numbers
)

// Cases reads the verified alarms that bear on the list at now.
func (r *Rules) Cases(ctx context.Context, src Source, now time.Time) ([]Case, error) {
	var out []Case
	since := now.Add(-max(r.Hotspots.Window, r.Hotspots.DelistAfter))
	err := src.FigureTickets(ctx, grid.FigureQuery{Since: since, Until: now}, func(m *grid.TicketMarks) {
		if known, wrong := r.finding(m); known && !wrong && !m.Opened.Before(since) && m.Opened.Before(now) {
			out = append(out, Case{At: m.Opened, Kind: m.Kind, Scope: m.Scope, Cell: m.Cell})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("hot-spots: %w", err)
	}
	return out, nil
}

// place gathers the cases of one compound or cell.
type place struct {
	what     grid.HotspotPlace
	code     string
	at       Case // its newest
	kinds    map[grid.Kind]int
	count    int // in the window
	standing int // in the time that a delisting looks at
}

func (p *place) key() string { return string(p.what) + ":" + p.at.District + "/" + p.code }

// Judge says what becomes of the list: a function of verified alarms, the places that stand
// on it, and now. Verdicts are in the order of their places.
func (h HotspotRules) Judge(cases []Case, listed []grid.Hotspot, now time.Time) []Verdict {
	places, load := h.gather(cases, now)
	first := h.first(places)
	stand := map[string]*grid.Hotspot{}
	for i := range listed {
		if listed[i].Delisted.IsZero() {
			stand[listed[i].Key()] = &listed[i]
		}
	}
	var out []Verdict
	keys := slices.Sorted(maps.Keys(places))
	for key := range stand {
		if places[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		p, old := places[key], stand[key]
		switch {
		case old != nil:
			out = append(out, h.again(*old, p, load, now))
		default:
			if why := h.why(p, first[key], load[p.at.District]); why != "" {
				out = append(out, Verdict{h.row(p, why, load, now), List})
			}
		}
	}
	return out
}

// gather counts the cases of each place, and of each district.
func (h HotspotRules) gather(cases []Case, now time.Time) (places map[string]*place, load map[string]int) {
	places, load = map[string]*place{}, map[string]int{}
	window, standing := now.Add(-h.Window), now.Add(-h.DelistAfter)
	for _, c := range cases {
		if !c.At.Before(now) || c.At.Before(window) && c.At.Before(standing) {
			continue
		}
		inWindow := !c.At.Before(window)
		load[c.District] += one(inWindow)
		for _, at := range []struct {
			what grid.HotspotPlace
			code string
		}{{grid.HotspotCompound, c.Compound}, {grid.HotspotCell, c.Cell}} {
			if at.code == "" {
				continue
			}
			key := string(at.what) + ":" + c.District + "/" + at.code
			p := places[key]
			if p == nil {
				p = &place{what: at.what, code: at.code, kinds: map[grid.Kind]int{}}
				places[key] = p
			}
			if p.at.At.IsZero() || c.At.After(p.at.At) {
				p.at = c
			}
			p.standing += one(!c.At.Before(standing))
			if inWindow {
				p.count++
				p.kinds[c.Kind]++
			}
		}
	}
	return places, load
}

// first are the first Top of each district, compounds and cells apart. Places with as many
// as the last of them are among them: the order of names decides nothing.
func (h HotspotRules) first(places map[string]*place) map[string]bool {
	groups := map[string][]*place{}
	for _, p := range places {
		group := string(p.what) + ":" + p.at.District
		groups[group] = append(groups[group], p)
	}
	out := map[string]bool{}
	for _, all := range groups {
		slices.SortFunc(all, func(a, b *place) int { return cmp.Compare(b.count, a.count) })
		for i, p := range all {
			if i < h.Top || h.Top > 0 && p.count == all[h.Top-1].count {
				out[p.key()] = true
			}
		}
	}
	return out
}

// why says why a place is to be listed; "" when it is not.
func (h HotspotRules) why(p *place, first bool, load int) string {
	for _, kind := range slices.Sorted(maps.Keys(p.kinds)) {
		if n := p.kinds[kind]; n >= h.OneKind {
			return fmt.Sprintf("%d verified alarms of kind %s in %s", n, kind, days(h.Window))
		}
	}
	switch {
	case p.count >= h.AnyKind:
		return fmt.Sprintf("%d verified alarms in %s", p.count, days(h.Window))
	case first && p.count >= max(1, h.TopAlarms) && float64(p.count) > h.Share*float64(load):
		return fmt.Sprintf("among the first %d with %d of the district's %d verified alarms in %s", h.Top, p.count, load, days(h.Window))
	}
	return ""
}

func (h HotspotRules) row(p *place, why string, load map[string]int, now time.Time) grid.Hotspot {
	scope := p.at.Scope
	scope.Contractor = ""
	if p.what == grid.HotspotCell {
		scope.Compound = ""
	}
	row := grid.Hotspot{What: p.what, Place: p.code, Mode: grid.Live, Scope: scope, Listed: now, Why: why, Supervised: true}
	if p.what == grid.HotspotCell {
		row.Cell = p.code
	}
	p.judged(&row, load, now)
	return row
}

// judged writes the numbers of now into a row.
func (p *place) judged(row *grid.Hotspot, load map[string]int, now time.Time) {
	row.Judged, row.Alarms, row.Share, row.Kinds = now, 0, 0, nil
	if p == nil {
		return
	}
	row.Alarms = p.count
	if len(p.kinds) > 0 {
		row.Kinds = maps.Clone(p.kinds)
	}
	if load[row.District] > 0 {
		row.Share = float64(p.count) / float64(load[row.District])
	}
}

// again judges a place that stands on the list.
func (h HotspotRules) again(row grid.Hotspot, p *place, load map[string]int, now time.Time) Verdict {
	p.judged(&row, load, now)
	standing := 0
	if p != nil {
		standing = p.standing
	}
	if now.Sub(row.Listed) < h.DelistAfter || standing > h.DelistAtMost {
		return Verdict{row, Keep}
	}
	row.Delisted, row.Supervised = now, false
	row.WhyNot = fmt.Sprintf("%d verified alarms in %s", standing, days(h.DelistAfter))
	return Verdict{row, Delist}
}

func days(d time.Duration) string { return fmt.Sprintf("%g days", d.Hours()/24) }

// Rows are the hot-spots of verdicts, as the engine takes them: one without an id is to be
// listed, one with a time of delisting leaves the list.
func Rows(verdicts []Verdict) []grid.Hotspot {
	rows := make([]grid.Hotspot, len(verdicts))
	for i := range verdicts {
		rows[i] = verdicts[i].Hotspot
	}
	return rows
}
