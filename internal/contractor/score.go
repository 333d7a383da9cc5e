package contractor

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// Source is what a scoreboard is made of; state.Store is one. Each hands out live rows
// alone, and a row is valid during the call.
type Source interface {
	FigureTickets(ctx context.Context, q grid.FigureQuery, f func(*grid.TicketMarks)) error
	FigureStandings(ctx context.Context, q grid.FigureQuery, least time.Duration, f func(*grid.Standing)) error
	FigureFleet(ctx context.Context, q grid.FigureQuery, kinds bool, f func(grid.Fleet)) error
	FigureNoEntries(ctx context.Context, unit string, since, until time.Time, f func(*grid.NoEntry)) error
	FigureVisits(ctx context.Context, unit string, since, until time.Time) (passed, failed int, err error)
}

// Scoreboard is how a contractor did in a period, beside the one before it.
type Scoreboard struct {
	Unit    string    `json:"unit"`
	Name    string    `json:"name"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Until   time.Time `json:"until"`  // counted until then: To, or now
	Before  time.Time `json:"before"` // the former period begins here, and ends at From or as far in as this one
	Figures []Score   `json:"figures"`
}

// Score is one number. Without Value there is not enough data.
type Score struct {
	Key         string   `json:"key"`
	ZH          string   `json:"zh"`
	EN          string   `json:"en"`
	UOM         string   `json:"uom"` // "": a count; 1: a share; h: hours
	Value       *float64 `json:"value,omitempty"`
	Numerator   *float64 `json:"numerator,omitempty"` // of a share
	Denominator *float64 `json:"denominator,omitempty"`
	Before      *float64 `json:"before,omitempty"` // its value in the former period
	Change      *float64 `json:"change,omitempty"`
}

// longestScore is the longest period.
const longestScore = 366 * 24 * time.Hour

// ScoreOf makes the scoreboard of a contractor. A period that is not over is compared with as
// much of the one before it.
func ScoreOf(ctx context.Context, src Source, u *grid.Unit, from, to, now time.Time) (Scoreboard, error) {
	if !to.After(from) || to.Sub(from) > longestScore {
		return Scoreboard{}, grid.Errorf(grid.Invalid, "from is %s and to %s: want to after from, a year later at most", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	until := to
	if now.Before(until) {
		until = now
	}
	if until.Before(from) {
		until = from
	}
	b := Scoreboard{Unit: u.ID, Name: u.Name, From: from.UTC(), To: to.UTC(), Until: until.UTC(), Before: from.Add(-to.Sub(from)).UTC()}
	now1, err := tallyOf(ctx, src, u, from, until)
	if err != nil {
		return b, err
	}
	before, err := tallyOf(ctx, src, u, b.Before, b.Before.Add(until.Sub(from)))
	if err != nil {
		return b, err
	}
	b.Figures = now1.scores()
	for i, old := range before.scores() {
		f := &b.Figures[i]
		f.Before = old.Value
		if f.Value != nil && old.Value != nil {
			change := *f.Value - *old.Value
			f.Change = &change
		}
	}
	return b, nil
}

// tally is what is counted of a period.
type tally struct {
	due, inTime, handled, reworked, closed, firstTime, noEntries, passed, failed, silent, fleet int

	arrive, fix []time.Duration
}

func tallyOf(ctx context.Context, src Source, u *grid.Unit, from, until time.Time) (*tally, error) {
	t := &tally{}
	in := func(at time.Time) bool { return !at.IsZero() && !at.Before(from) && at.Before(until) }
	missed := map[string]bool{}
	err := src.FigureNoEntries(ctx, u.ID, time.Time{}, until, func(n *grid.NoEntry) {
		if in(n.At) {
			t.noEntries++
		}
		for _, id := range n.Tickets {
			missed[id] = true
		}
	})
	if err != nil {
		return nil, err
	}
	err = src.FigureTickets(ctx, grid.FigureQuery{Unit: u.ID, Since: from, Until: until}, func(m *grid.TicketMarks) { t.ticket(m, in, until, missed) })
	if err != nil {
		return nil, err
	}
	scope := u.Scope
	scope.Contractor = u.InHands()
	q := grid.FigureQuery{Scope: scope, Since: from, Until: until}
	silent := map[grid.Identity]bool{}
	err = src.FigureStandings(ctx, q, 0, func(s *grid.Standing) {
		if s.Type == grid.EventDeviceOffline && s.Raised.Before(until) && (s.Returned.IsZero() || !s.Returned.Before(until)) {
			silent[s.Device] = true
		}
	})
	if err != nil {
		return nil, err
	}
	t.silent = len(silent)
	if err := src.FigureFleet(ctx, q, false, func(f grid.Fleet) { t.fleet += f.Count }); err != nil {
		return nil, err
	}
	t.passed, t.failed, err = src.FigureVisits(ctx, u.ID, from, until)
	return t, err
}

// ticket counts one that the contractor leads. What was cancelled, merged or not filed was no work
// of his.
func (t *tally) ticket(m *grid.TicketMarks, in func(time.Time) bool, until time.Time, missed map[string]bool) {
	switch m.State {
	case grid.TicketCancelled, grid.TicketMerged, grid.TicketNotFiled:
		return
	}
	handled := m.Handled
	if !handled.Before(until) {
		handled = time.Time{} // that came later
	}
	if in(m.HandleDue) && !(m.Held && handled.IsZero()) {
		t.due++
		if !handled.IsZero() && !handled.After(m.HandleDue) && !m.Late {
			t.inTime++
		}
	}
	if in(handled) {
		t.handled++
		if !m.Dispatched.IsZero() {
			t.fix = append(t.fix, handled.Sub(m.Dispatched))
		}
	}
	if in(m.Arrived) && !m.Dispatched.IsZero() {
		t.arrive = append(t.arrive, m.Arrived.Sub(m.Dispatched))
	}
	if in(m.Checked) && m.Rework > 0 {
		t.reworked++
	}
	if in(m.Ended) && m.State == grid.TicketClosed {
		t.closed++
		if m.Rework == 0 && !missed[m.Ticket] {
			t.firstTime++
		}
	}
}

func (t *tally) scores() []Score {
	return []Score{
		share("on_time", "按期处置率", "handled in time", t.inTime, t.due),
		count("handled", "处置数", "tickets handled", t.handled),
		median("arrive", "到场时间中位数", "time to arrive, median", t.arrive),
		median("fix", "处置时间中位数", "time to fix, median", t.fix),
		count("rework", "返工数", "reworks", t.reworked),
		count("no_entry", "无法入户次数", "no entries", t.noEntries),
		share("first_time", "一次修复率", "fixed at the first visit", t.firstTime, t.closed),
		count("visits_passed", "验收通过", "visits passed", t.passed),
		count("visits_failed", "验收不通过", "visits failed", t.failed),
		share("silent", "失联设备占比", "devices silent", t.silent, t.fleet),
	}
}

func count(key, zh, en string, n int) Score {
	v := float64(n)
	return Score{Key: key, ZH: zh, EN: en, Value: &v}
}

func share(key, zh, en string, n, of int) Score {
	a, b := float64(n), float64(of)
	s := Score{Key: key, ZH: zh, EN: en, UOM: "1", Numerator: &a, Denominator: &b}
	if of > 0 {
		v := a / b
		s.Value = &v
	}
	return s
}

// median is a time that was really taken, in hours.
func median(key, zh, en string, all []time.Duration) Score {
	s := Score{Key: key, ZH: zh, EN: en, UOM: "h"}
	if len(all) > 0 {
		slices.Sort(all)
		v := all[(len(all)-1)/2].Hours()
		s.Value = &v
	}
	return s
}

// bom makes spreadsheets read a CSV file as UTF-8.
const bom = "\xef\xbb\xbf"

// WriteCSV writes the scoreboard as a table.
func (b *Scoreboard) WriteCSV(w io.Writer) error {
	rows := [][]string{{"单位 / Unit", "自 / From", "至 / To", "指标 / Figure", "Key", "分子 / Numerator", "分母 / Denominator", "数值 / Value", "计量 / UOM", "上期 / Before", "变化 / Change"}}
	for _, f := range b.Figures {
		rows = append(rows, []string{cmp.Or(b.Name, b.Unit), b.From.Format(time.RFC3339), b.To.Format(time.RFC3339), f.ZH + " / " + f.EN, f.Key,
			number(f.Numerator), number(f.Denominator), number(f.Value), f.UOM, number(f.Before), number(f.Change)})
	}
	return writeTable(w, rows)
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

// writeTable writes rows as spreadsheets like them: with a mark of UTF-8, and no text that they would
// take for a formula.
func writeTable(w io.Writer, rows [][]string) error {
	if _, err := io.WriteString(w, bom); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, row := range rows {
		for i, s := range row {
			row[i] = grid.SheetCell(s)
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("table: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}
