package figures

import (
	"context"
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// Trend is how the figures of tickets and alarms went within a period. Those of devices have
// none: what was installed on a day of the past is not kept.
type Trend struct {
	Period Period       `json:"period"`
	Made   time.Time    `json:"made"`
	Mode   grid.Mode    `json:"mode"`
	Step   string       `json:"step"` // hour, day or week
	Points []TrendPoint `json:"points"`
}

// TrendPoint is one step of it. A figure that is not among Values had not enough data.
type TrendPoint struct {
	From   time.Time          `json:"from"`
	To     time.Time          `json:"to"`
	Values map[string]float64 `json:"values"`
}

// The longest periods that are shown by the hour and by the day.
const (
	hourly = 2 * 24 * time.Hour
	daily  = 62 * 24 * time.Hour
)

// steps cuts a period into hours, days or weeks, as far as it is counted.
func (p Period) steps() (step string, out []Period) {
	span := p.To.Sub(p.From)
	next := func(t time.Time) time.Time { return t.Add(time.Hour) }
	step = "hour"
	if span > hourly+time.Hour { // a day may have 25 hours
		days := 1
		if step = "day"; span > daily+time.Hour {
			step, days = "week", 7
		}
		next = func(t time.Time) time.Time {
			y, m, d := t.Date()
			return time.Date(y, m, d+days, 0, 0, 0, 0, t.Location())
		}
	}
	for at := p.From; at.Before(p.End); {
		to := next(at)
		if to.After(p.To) {
			to = p.To
		}
		s := Period{From: at, To: to, End: to}
		if p.End.Before(to) {
			s.End = p.End
		}
		out = append(out, s)
		at = to
	}
	return step, out
}

// stepOf is the step that t lies in: -1 before them, their number after them.
func stepOf(steps []Period, t time.Time) int {
	if len(steps) == 0 || t.Before(steps[0].From) {
		return -1
	}
	lo, hi := 0, len(steps)
	for lo < hi {
		if mid := (lo + hi) / 2; t.Before(steps[mid].To) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// Trend makes the trend of what a board has as its whole.
func (r *Rules) Trend(ctx context.Context, src Source, a Ask, now time.Time) (Trend, error) {
	p, _, err := r.period(a, now)
	if err != nil {
		return Trend{}, err
	}
	step, steps := p.steps()
	t := Trend{Period: p, Made: now, Mode: a.mode(), Step: step, Points: []TrendPoint{}}
	tallies := make([]*tally, len(steps))
	for i, s := range steps {
		tallies[i] = newTally(r)
		if s.End.Sub(s.From) < r.Flood.Window {
			continue // a rate of some minutes says nothing: it has no hours, and so no value
		}
		tallies[i].hours = s.End.Sub(s.From).Hours()
		tallies[i].windows = int((s.End.Sub(s.From) + r.Flood.Window - 1) / r.Flood.Window)
	}
	q := a.query(p)
	err = src.FigureTickets(ctx, q, func(m *grid.TicketMarks) {
		for i := max(0, stepOf(steps, m.Opened)); i < len(steps) && i <= lastStep(steps, m); i++ {
			tallies[i].ticket(m, steps[i], r)
		}
	})
	if err == nil && a.has(ofAlarms, true) {
		err = src.FigureActivations(ctx, q, func(x *grid.Activation) {
			if i := stepOf(steps, x.At); i >= 0 && i < len(steps) {
				tallies[i].activation(x, steps[i], r)
			}
		})
	}
	if err == nil && a.has(ofAlarms, true) {
		err = src.FigureStandings(ctx, q, r.StaleAfter, func(x *grid.Standing) {
			for i := max(0, stepOf(steps, x.Raised)); i < len(steps); i++ {
				tallies[i].standing(x, steps[i], r)
			}
		})
	}
	if err != nil {
		return Trend{}, fmt.Errorf("trend: %w", err)
	}
	for i, s := range steps {
		t.Points = append(t.Points, TrendPoint{From: s.From, To: s.End, Values: tallies[i].values(a)})
	}
	return t, nil
}

// lastStep is the last step that a ticket bears on.
func lastStep(steps []Period, m *grid.TicketMarks) int {
	if m.Ended.IsZero() {
		return len(steps) - 1
	}
	last := m.Ended
	for _, at := range []time.Time{m.Due, m.HandleDue, m.Checked} {
		if at.After(last) {
			last = at
		}
	}
	return stepOf(steps, last)
}

func (t *tally) values(a Ask) map[string]float64 {
	out := map[string]float64{}
	for i := range formulas {
		f := &formulas[i]
		if f.family == ofDevices || f.family == ofDesk || !a.has(f.family, true) {
			continue
		}
		switch num, den := f.count(t); {
		case den == none:
			out[f.key] = num
		case den > 0:
			out[f.key] = num / den
		}
	}
	return out
}
