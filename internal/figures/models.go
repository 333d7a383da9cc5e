package figures

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Models are device models by their false alarms, the worst first.
type Models struct {
	Period   Period    `json:"period"`
	Previous *Period   `json:"previous,omitempty"`
	YearAgo  *Period   `json:"year_ago,omitempty"`
	Made     time.Time `json:"made"`
	Mode     grid.Mode `json:"mode"`
	Items    []Model   `json:"items"`
}

// Model is one profile on points of one kind. Without Value nothing was verified.
type Model struct {
	Profile    string    `json:"profile"`
	Kind       grid.Kind `json:"kind,omitempty"`
	Verified   int       `json:"verified"`
	False      int       `json:"false"`
	Value      *float64  `json:"value,omitempty"`
	Target     *Target   `json:"target,omitempty"`
	Met        *bool     `json:"met,omitempty"`
	Installed  int       `json:"installed" doc:"Now."`
	PerHundred *float64  `json:"per_hundred,omitempty" doc:"False alarms for each hundred installed devices."`
	Previous   *Compared `json:"previous,omitempty"`
	YearAgo    *Compared `json:"year_ago,omitempty"`
}

type modelKey struct {
	profile string
	kind    grid.Kind
}

// Models makes the list of device models by false-alarm rate.
func (r *Rules) Models(ctx context.Context, src SensorSource, a Ask, now time.Time) (Models, error) {
	p, kind, err := r.period(a, now)
	if err != nil {
		return Models{}, err
	}
	out := Models{Period: p, Made: now, Mode: a.mode(), Items: []Model{}}
	periods := []Period{p}
	if a.Compare {
		periods = append(periods, p.Previous(kind), p.YearAgo(kind))
		out.Previous, out.YearAgo = &periods[1], &periods[2]
	}
	counts, errs := make([]map[modelKey]*verified, len(periods)), make([]error, len(periods))
	var wg sync.WaitGroup
	for i := range periods {
		wg.Go(func() { counts[i], errs[i] = r.models(ctx, src, a, periods[i]) })
	}
	wg.Wait()
	installed := map[modelKey]int{}
	q := a.query(p)
	q.Unit = ""
	errs = append(errs, src.FigureSensors(ctx, q, func(x grid.Sensors) { installed[modelKey{x.Profile, x.Kind}] += x.Count }))
	for _, err := range errs {
		if err != nil {
			return Models{}, fmt.Errorf("models: %w", err)
		}
	}
	for key := range maps.Keys(counts[0]) {
		m := r.model(key, counts[0][key], installed[key], p)
		if a.Compare {
			m.Previous, m.YearAgo = m.compared(counts[1][key]), m.compared(counts[2][key])
		}
		out.Items = append(out.Items, m)
	}
	slices.SortFunc(out.Items, func(a, b Model) int {
		return cmp.Or(cmp.Compare(*b.Value, *a.Value), cmp.Compare(b.False, a.False), cmp.Compare(b.Verified, a.Verified), cmp.Compare(a.Profile, b.Profile), cmp.Compare(a.Kind, b.Kind))
	})
	return out, nil
}

func (r *Rules) models(ctx context.Context, src Source, a Ask, p Period) (map[modelKey]*verified, error) {
	out := map[modelKey]*verified{}
	err := src.FigureTickets(ctx, a.query(p), func(m *grid.TicketMarks) {
		known, wrong := r.finding(m)
		if !known || m.Profile == "" || !p.in(m.Opened) {
			return
		}
		key := modelKey{m.Profile, m.Kind}
		if out[key] == nil {
			out[key] = &verified{}
		}
		out[key].add(wrong)
	})
	return out, err
}

func (r *Rules) model(key modelKey, v *verified, installed int, p Period) Model {
	f := v.figure(r, p, "profile", key.profile, r.FalseAlarms[key.kind]).Figure
	m := Model{Profile: key.profile, Kind: key.kind, Verified: v.verified, False: v.wrong, Value: f.Value, Target: f.Target, Met: f.Met, Installed: installed}
	if installed > 0 {
		per := 100 * float64(v.wrong) / float64(installed)
		m.PerHundred = &per
	}
	return m
}

func (m *Model) compared(v *verified) *Compared {
	if v == nil {
		v = &verified{}
	}
	return formulaOf("false_alarm").compared(m.Value, &tally{verdict: *v})
}

func formulaOf(key string) *formula {
	return &formulas[slices.IndexFunc(formulas, func(f formula) bool { return f.key == key })]
}
