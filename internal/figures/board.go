package figures

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Source is what figures are made of; state.Store is one. Each hands out live rows alone, and
// a row is valid during the call.
type Source interface {
	FigureTickets(ctx context.Context, q grid.FigureQuery, f func(*grid.TicketMarks)) error
	FigureActivations(ctx context.Context, q grid.FigureQuery, f func(*grid.Activation)) error
	FigureStandings(ctx context.Context, q grid.FigureQuery, least time.Duration, f func(*grid.Standing)) error
	FigureFleet(ctx context.Context, q grid.FigureQuery, kinds bool, f func(grid.Fleet)) error
	FigureSuppressed(ctx context.Context, q grid.FigureQuery) (unrecorded, all int, err error)
}

// Ask says which board is wanted.
type Ask struct {
	Period  string    // a kind of period; "" is month, Custom takes Since and Until
	At      time.Time // a moment in it; zero is now
	Since   time.Time
	Until   time.Time
	By      string // groups; "" is none
	Compare bool   // with the period before and a year ago
	grid.Scope
	Unit string
	Kind grid.Kind
	Cell string
	Mode grid.Mode // "" is live: practice is counted only where it is asked for
}

// Bys are what a board can be grouped by.
var bys = []string{"district", "street", "community", "compound", "cell", "unit", "kind", "type", "priority", "profile", "hour"}

// Board is the figures of a period.
type Board struct {
	Period   Period    `json:"period"`
	Previous *Period   `json:"previous,omitempty"` // 环比
	YearAgo  *Period   `json:"year_ago,omitempty"` // 同比
	Made     time.Time `json:"made"`
	By       string    `json:"by,omitempty"`
	Mode     grid.Mode `json:"mode"`
	Whole    Group     `json:"whole"`
	Parts    []Group   `json:"parts,omitempty"`
}

// Group is the figures of all, or of one part.
type Group struct {
	Key         string       `json:"key,omitempty"`
	Name        string       `json:"name,omitempty"`
	Figures     []Figure     `json:"figures"`
	Ladder      []Rung       `json:"ladder"`
	FalseAlarms []FalseAlarm `json:"false_alarms,omitempty"`
}

// Figure is one number of the board. Without Value there is not enough data.
type Figure struct {
	Key         string    `json:"key"`
	ZH          string    `json:"zh"`
	EN          string    `json:"en"`
	Formula     string    `json:"formula"`
	Share       bool      `json:"share"` // of 1
	Value       *float64  `json:"value,omitempty"`
	Numerator   float64   `json:"numerator"`
	Denominator *float64  `json:"denominator,omitempty"` // none: a count
	Note        string    `json:"note,omitempty"`
	Target      *Target   `json:"target,omitempty"`
	Met         *bool     `json:"met,omitempty"`
	Previous    *Compared `json:"previous,omitempty"`
	YearAgo     *Compared `json:"year_ago,omitempty"`
}

// Compared is the figure of another period, and how far this one is from it.
type Compared struct {
	Value       *float64 `json:"value,omitempty"`
	Numerator   float64  `json:"numerator"`
	Denominator *float64 `json:"denominator,omitempty"`
	Change      *float64 `json:"change,omitempty"`   // this − that
	Relative    *float64 `json:"relative,omitempty"` // of that
}

// Rung is how long one step took: P50, P90 and P99 are times that were really taken.
type Rung struct {
	Key   string  `json:"key"`
	ZH    string  `json:"zh"`
	EN    string  `json:"en"`
	Count int     `json:"count"`
	P50   *Second `json:"p50_s,omitempty"`
	P90   *Second `json:"p90_s,omitempty"`
	P99   *Second `json:"p99_s,omitempty"`
}

// Second is a time in seconds.
type Second float64

// FalseAlarm is the false-alarm rate of one kind of sensor, or of one model.
type FalseAlarm struct {
	By     string `json:"by"` // kind or profile
	Of     string `json:"of"`
	Figure Figure `json:"figure"`
}

const notEnough = "not enough data"

// Board makes the board. It reads src several times, at once where the periods differ.
func (r *Rules) Board(ctx context.Context, src Source, a Ask, now time.Time) (Board, error) {
	p, kind, err := r.period(a, now)
	if err != nil {
		return Board{}, err
	}
	if a.By != "" && !slices.Contains(bys, a.By) {
		return Board{}, grid.Errorf(grid.Invalid, "by is %q: want one of %s", a.By, strings.Join(bys, ", "))
	}
	periods := []Period{p}
	if a.Compare {
		periods = append(periods, p.Previous(kind), p.YearAgo(kind))
	}
	counts, errs := make([]*counted, len(periods)), make([]error, len(periods))
	var wg sync.WaitGroup
	for i := range periods {
		wg.Go(func() { counts[i], errs[i] = r.count(ctx, src, a, periods[i]) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return Board{}, fmt.Errorf("figures: %w", err)
		}
	}
	for i, c := range counts {
		for key := range counts[0].parts {
			c.part(r, key) // a part that had nothing then had it in all those hours
		}
		c.hours(r, a, periods[i])
	}
	b := Board{Period: p, Made: now, By: a.By, Mode: a.mode(), Whole: counts[0].whole.group(r, p, a, true)}
	for _, key := range slices.Sorted(maps.Keys(counts[0].parts)) {
		g := counts[0].parts[key].group(r, p, a, false)
		g.Key, g.Name = key, r.name(key)
		b.Parts = append(b.Parts, g)
	}
	if a.Compare {
		b.Previous, b.YearAgo = &periods[1], &periods[2]
		b.compare(counts[1], counts[2])
	}
	return b, nil
}

func (r *Rules) period(a Ask, now time.Time) (Period, string, error) {
	if !a.Since.IsZero() || !a.Until.IsZero() {
		if a.Period != "" && a.Period != Custom {
			return Period{}, "", grid.Errorf(grid.Invalid, "period is %q: want it, or since and until", a.Period)
		}
		if a.Until.IsZero() {
			a.Until = now
		}
		p, err := Between(a.Since, a.Until, now, r.Zone)
		return p, Custom, err
	}
	if a.Period == "" {
		a.Period = Month
	}
	if a.At.IsZero() {
		a.At = now
	}
	p, err := PeriodOf(a.Period, a.At, now, r.Zone)
	return p, a.Period, err
}

// counted is what a period has.
type counted struct {
	whole *tally
	parts map[string]*tally
}

func (r *Rules) count(ctx context.Context, src Source, a Ask, p Period) (*counted, error) {
	c := &counted{whole: newTally(r), parts: map[string]*tally{}}
	q := a.query(p)
	err := src.FigureTickets(ctx, q, func(m *grid.TicketMarks) {
		c.whole.ticket(m, p, r)
		if a.By != "" {
			c.part(r, ticketKey(m, a.By, p)).ticket(m, p, r)
		}
	})
	if err == nil && a.has(ofAlarms, true) {
		err = r.countAlarms(ctx, src, a, p, q, c)
	}
	if err == nil && a.has(ofDevices, true) {
		err = src.FigureFleet(ctx, q, a.By == "kind", func(f grid.Fleet) {
			c.whole.installed += f.Count
			if a.has(ofDevices, false) {
				c.part(r, placeKey(a.By, f.Scope, "", f.Kind)).installed += f.Count
			}
		})
	}
	if err == nil && a.has(ofDesk, true) {
		c.whole.unrecorded, _, err = src.FigureSuppressed(ctx, q)
	}
	return c, err
}

func (a *Ask) query(p Period) grid.FigureQuery {
	return grid.FigureQuery{Scope: a.Scope, Unit: a.Unit, Kind: a.Kind, Cell: a.Cell, Mode: a.Mode, Since: p.From, Until: p.End}
}

func (a *Ask) mode() grid.Mode {
	if a.Mode == "" {
		return grid.Live
	}
	return a.Mode
}

func (r *Rules) countAlarms(ctx context.Context, src Source, a Ask, p Period, q grid.FigureQuery, c *counted) error {
	err := src.FigureActivations(ctx, q, func(x *grid.Activation) {
		c.whole.activation(x, p, r)
		if a.has(ofAlarms, false) {
			c.part(r, activationKey(x, a.By, p)).activation(x, p, r)
		}
	})
	if err != nil {
		return err
	}
	return src.FigureStandings(ctx, q, r.StaleAfter, func(x *grid.Standing) {
		c.whole.standing(x, p, r)
		if a.has(ofDevices, false) || a.By == "type" {
			c.part(r, standingKey(x, a.By)).standing(x, p, r)
		}
	})
}

func (c *counted) part(r *Rules, key string) *tally {
	t := c.parts[key]
	if t == nil {
		t = newTally(r)
		c.parts[key] = t
	}
	return t
}

// hours tells each group how long it was counted: all of the period, or of an hour of the day
// its share.
func (c *counted) hours(r *Rules, a Ask, p Period) {
	span := p.End.Sub(p.From)
	c.whole.hours = span.Hours()
	c.whole.windows = int((span + r.Flood.Window - 1) / r.Flood.Window)
	for _, t := range c.parts {
		t.hours, t.windows = c.whole.hours, c.whole.windows
	}
	if a.By != "hour" {
		return
	}
	for _, t := range c.parts {
		t.hours, t.windows = 0, 0
	}
	for at := p.From; at.Before(p.End); at = at.Add(r.Flood.Window) {
		if t := c.parts[hourOf(at, p)]; t != nil {
			t.windows++
			t.hours += min(p.End.Sub(at), r.Flood.Window).Hours()
		}
	}
}

// has reports whether a board has figures of a family, for the whole or for its parts. What
// a unit answers for are tickets alone.
func (a *Ask) has(f family, whole bool) bool {
	byPlace := slices.Contains([]string{"district", "street", "community", "compound", "cell", "kind"}, a.By)
	switch {
	case f == ofTickets:
		return true
	case a.Unit != "":
		return f == ofWhole && whole
	case whole:
		return true
	case f == ofAlarms:
		return byPlace || a.By == "type" || a.By == "hour" || a.By == "priority"
	case f == ofDevices:
		return byPlace && a.By != "cell"
	}
	return false
}

func placeKey(by string, s grid.Scope, cell string, kind grid.Kind) string {
	switch by {
	case "district":
		return s.District
	case "street":
		return s.Street
	case "community":
		return s.Community
	case "compound":
		return s.Compound
	case "cell":
		return cell
	case "kind":
		return string(kind)
	}
	return ""
}

func ticketKey(m *grid.TicketMarks, by string, p Period) string {
	switch by {
	case "unit":
		return m.Unit
	case "type":
		return string(m.Type)
	case "priority":
		return m.Priority.String()
	case "profile":
		return m.Profile
	case "hour":
		return hourOf(m.Opened, p)
	}
	return placeKey(by, m.Scope, m.Cell, m.Kind)
}

func activationKey(a *grid.Activation, by string, p Period) string {
	switch by {
	case "type":
		return string(a.Type)
	case "priority":
		return a.Priority.String()
	case "hour":
		return hourOf(a.At, p)
	}
	return placeKey(by, a.Scope, a.Cell, a.Kind)
}

func standingKey(s *grid.Standing, by string) string {
	if by == "type" {
		return string(s.Type)
	}
	return placeKey(by, s.Scope, s.Cell, s.Kind)
}

// hourOf is the hour of the day, in the zone of the period.
func hourOf(t time.Time, p Period) string {
	return fmt.Sprintf("%02d", t.In(p.From.Location()).Hour())
}
