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

// LoadRules say how many alarms an hour one operator can take, after EEMUA 191 and IEC 62682.
type LoadRules struct {
	Acceptable float64 `yaml:"acceptable" json:"acceptable"` // up to here
	Manageable float64 `yaml:"manageable" json:"manageable"` // up to here; more is too much
	Peaks      int     `yaml:"peaks" json:"peaks"`           // how many of the worst windows are told
}

// Load is what the desk had to take.
type Load struct {
	Period    Period       `json:"period"`
	Made      time.Time    `json:"made"`
	Mode      grid.Mode    `json:"mode"`
	Step      string       `json:"step"`
	Operators int          `json:"operators"`
	Limits    LoadRules    `json:"limits"`
	Flood     int          `json:"flood" doc:"More alarms than this for each operator in one window are a flood."`
	WindowMin int          `json:"window_min"`
	Alarms    int          `json:"alarms"`
	PerHour   *float64     `json:"per_hour,omitempty" doc:"Alarms for each operator and hour."`
	Steps     []LoadStep   `json:"steps"`
	Hours     []LoadStep   `json:"hours" doc:"By the hour of the day."`
	Bands     []LoadBand   `json:"bands" doc:"Hours of the period by how many alarms each operator had."`
	Peaks     []LoadWindow `json:"peaks"`
	Acks      []AckTime    `json:"acks"`
}

// LoadStep is the alarms of one step of the period, or of one hour of the day.
type LoadStep struct {
	From    time.Time `json:"from,omitzero"`
	Hour    *int      `json:"hour,omitempty"`
	Alarms  int       `json:"alarms"`
	PerHour *float64  `json:"per_hour,omitempty"`
	Most    int       `json:"most" doc:"In one window."`
	span    time.Duration
}

// LoadBand counts hours.
type LoadBand struct {
	Key   string   `json:"key"` // acceptable, manageable or over
	Hours int      `json:"hours"`
	Share *float64 `json:"share,omitempty"`
}

// LoadWindow is one window with many alarms.
type LoadWindow struct {
	From        time.Time `json:"from"`
	Alarms      int       `json:"alarms"`
	PerOperator float64   `json:"per_operator"`
	Flood       bool      `json:"flood"`
}

// AckTime is how long alarms of a priority waited until an operator acknowledged them, of
// tickets opened in the period.
type AckTime struct {
	Priority int     `json:"priority"`
	Opened   int     `json:"opened"`
	Acked    int     `json:"acked"`
	P50      *Second `json:"p50_s,omitempty"`
	P90      *Second `json:"p90_s,omitempty"`
	P99      *Second `json:"p99_s,omitempty"`
}

// Load makes the load of the desk.
func (r *Rules) Load(ctx context.Context, src Source, a Ask, now time.Time) (Load, error) {
	p, _, err := r.period(a, now)
	if err != nil {
		return Load{}, err
	}
	c := newLoadCount(r, p)
	q := a.query(p)
	err = src.FigureActivations(ctx, q, func(x *grid.Activation) {
		if p.in(x.At) {
			c.alarm(x.At)
		}
	})
	if err == nil {
		err = src.FigureTickets(ctx, q, c.ticket)
	}
	if err != nil {
		return Load{}, fmt.Errorf("load: %w", err)
	}
	out := c.load()
	out.Made, out.Mode = now, a.mode()
	return out, nil
}

type loadCount struct {
	r       *Rules
	p       Period
	windows map[int64]int
	clock   map[int64]int // by hour since the start
	steps   []Period
	l       Load
	hours   [24]LoadStep
	acks    map[grid.Priority][]time.Duration
	opened  map[grid.Priority]int
}

func newLoadCount(r *Rules, p Period) *loadCount {
	c := &loadCount{r: r, p: p, windows: map[int64]int{}, clock: map[int64]int{}, acks: map[grid.Priority][]time.Duration{}, opened: map[grid.Priority]int{}}
	c.l = Load{Period: p, Operators: r.Operators, Limits: r.Desk, Flood: r.Flood.MoreThan, WindowMin: int(r.Flood.Window / time.Minute)}
	c.l.Step, c.steps = p.steps()
	for _, s := range c.steps {
		c.l.Steps = append(c.l.Steps, LoadStep{From: s.From, span: s.End.Sub(s.From)})
	}
	for at := p.From; at.Before(p.End); at = at.Add(r.Flood.Window) {
		c.hours[at.Hour()].span += min(p.End.Sub(at), r.Flood.Window)
	}
	return c
}

func (c *loadCount) alarm(at time.Time) {
	c.l.Alarms++
	c.windows[int64(at.Sub(c.p.From)/c.r.Flood.Window)]++
	c.clock[int64(at.Sub(c.p.From)/time.Hour)]++
	if i := stepOf(c.steps, at); i >= 0 && i < len(c.l.Steps) {
		c.l.Steps[i].Alarms++
	}
	c.hours[at.In(c.p.From.Location()).Hour()].Alarms++
}

func (c *loadCount) ticket(m *grid.TicketMarks) {
	if !c.p.in(m.Opened) || m.State == grid.TicketMerged || m.Profile == "" && m.Acked.IsZero() {
		return // what a person filed has no alarm to acknowledge
	}
	c.opened[m.Priority]++
	if !m.Acked.IsZero() && !m.Acked.Before(m.Opened) {
		c.acks[m.Priority] = append(c.acks[m.Priority], m.Acked.Sub(m.Opened))
	}
}

func (c *loadCount) load() Load {
	l := c.l
	l.PerHour = c.perHour(l.Alarms, c.p.End.Sub(c.p.From))
	c.peaks(&l)
	for i := range l.Steps {
		l.Steps[i].PerHour = c.perHour(l.Steps[i].Alarms, l.Steps[i].span)
	}
	for h := range c.hours {
		s := c.hours[h]
		s.Hour, s.PerHour = &h, c.perHour(s.Alarms, s.span)
		l.Hours = append(l.Hours, s)
	}
	c.bands(&l)
	l.Acks = []AckTime{}
	for _, p := range slices.Sorted(maps.Keys(c.opened)) {
		rung := rungOf("", "", "", c.acks[p])
		l.Acks = append(l.Acks, AckTime{Priority: int(p), Opened: c.opened[p], Acked: rung.Count, P50: rung.P50, P90: rung.P90, P99: rung.P99})
	}
	return l
}

func (c *loadCount) perHour(alarms int, span time.Duration) *float64 {
	if span < c.r.Flood.Window {
		return nil // a rate of some minutes says nothing
	}
	v := float64(alarms) / (span.Hours() * float64(c.r.Operators))
	return &v
}

// peaks tells the worst windows, the earlier of two that are alike first, and the worst of
// each step and hour of the day.
func (c *loadCount) peaks(l *Load) {
	all := slices.SortedFunc(maps.Keys(c.windows), func(a, b int64) int { return cmp.Or(cmp.Compare(c.windows[b], c.windows[a]), cmp.Compare(a, b)) })
	l.Peaks = []LoadWindow{}
	for i, w := range all {
		from, alarms := c.p.From.Add(time.Duration(w)*c.r.Flood.Window), c.windows[w]
		if i < c.r.Desk.Peaks {
			l.Peaks = append(l.Peaks, LoadWindow{From: from, Alarms: alarms, PerOperator: float64(alarms) / float64(c.r.Operators), Flood: alarms > c.r.Flood.MoreThan*c.r.Operators})
		}
		if k := stepOf(c.steps, from); k >= 0 && k < len(l.Steps) {
			l.Steps[k].Most = max(l.Steps[k].Most, alarms)
		}
		c.hours[from.Hour()].Most = max(c.hours[from.Hour()].Most, alarms)
	}
}

// bands puts each whole hour of the period where it belongs; those without an alarm are
// acceptable.
func (c *loadCount) bands(l *Load) {
	hours := int((c.p.End.Sub(c.p.From) + time.Hour - 1) / time.Hour)
	manageable, over := 0, 0
	for _, n := range c.clock {
		switch per := float64(n) / float64(c.r.Operators); {
		case per > c.r.Desk.Manageable:
			over++
		case per > c.r.Desk.Acceptable:
			manageable++
		}
	}
	for _, b := range []LoadBand{{Key: "acceptable", Hours: hours - manageable - over}, {Key: "manageable", Hours: manageable}, {Key: "over", Hours: over}} {
		if hours > 0 {
			share := float64(b.Hours) / float64(hours)
			b.Share = &share
		}
		l.Bands = append(l.Bands, b)
	}
}
