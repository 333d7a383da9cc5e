package contractor_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gridgate/internal/contractor"
	"gridgate/internal/grid"
)

// history is what a contractor did, as the store hands it out.
type history struct {
	tickets        []grid.TicketMarks
	standings      []grid.Standing
	noEntries      []grid.NoEntry
	fleet          int
	passed, failed int
	asked          []grid.FigureQuery
}

func (h *history) FigureTickets(_ context.Context, q grid.FigureQuery, f func(*grid.TicketMarks)) error {
	h.asked = append(h.asked, q)
	for i := range h.tickets {
		f(&h.tickets[i])
	}
	return nil
}

func (h *history) FigureStandings(_ context.Context, q grid.FigureQuery, _ time.Duration, f func(*grid.Standing)) error {
	h.asked = append(h.asked, q)
	for i := range h.standings {
		f(&h.standings[i])
	}
	return nil
}

func (h *history) FigureFleet(_ context.Context, _ grid.FigureQuery, _ bool, f func(grid.Fleet)) error {
	if h.fleet > 0 {
		f(grid.Fleet{Count: h.fleet})
	}
	return nil
}

func (h *history) FigureNoEntries(_ context.Context, _ string, since, until time.Time, f func(*grid.NoEntry)) error {
	for i := range h.noEntries {
		if n := &h.noEntries[i]; !n.At.Before(since) && n.At.Before(until) {
			f(n)
		}
	}
	return nil
}

func (h *history) FigureVisits(_ context.Context, _ string, since, _ time.Time) (passed, failed int, err error) {
	if since.Before(may) {
		return 0, 0, nil
	}
	return h.passed, h.failed, nil
}

var (
	may  = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	june = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
)

// fixed is a ticket dispatched on a day of May, on site after arrive hours and done after fix, of
// which the clock ran for 24.
func fixed(id string, day, arrive, fix int) grid.TicketMarks {
	at := may.AddDate(0, 0, day)
	hours := func(n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }
	return grid.TicketMarks{Ticket: id, State: grid.TicketClosed, Dispatched: at, Arrived: hours(arrive), Handled: hours(fix), Checked: hours(fix + 1), Ended: hours(fix + 1), HandleDue: hours(24)}
}

func changed(m grid.TicketMarks, change func(*grid.TicketMarks)) grid.TicketMarks {
	change(&m)
	return m
}

func scored(t *testing.T, h *history, now time.Time) (contractor.Scoreboard, map[string]contractor.Score) {
	t.Helper()
	u := &grid.Unit{ID: "wb-1", Name: "one", Kind: grid.Maintenance, Scope: grid.Scope{Street: "310105006"}}
	b, err := contractor.ScoreOf(t.Context(), h, u, may, june, now)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]contractor.Score{}
	for _, f := range b.Figures {
		of[f.Key] = f
	}
	return b, of
}

func TestTheScoreboardCountsWhatTheContractorOwes(t *testing.T) {
	good, slow := fixed("good", 3, 1, 4), fixed("slow", 4, 3, 30)
	h := &history{
		tickets: []grid.TicketMarks{
			good, slow,
			changed(fixed("again", 5, 2, 10), func(m *grid.TicketMarks) { m.Rework, m.Late = 1, true }), // handled at last in time, an attempt was not
			changed(fixed("shut", 6, 5, 12), func(m *grid.TicketMarks) {}),                              // nobody opened at first
			changed(fixed("held", 7, 1, 2), func(m *grid.TicketMarks) {
				m.Held, m.Handled, m.Ended, m.Checked, m.State = true, time.Time{}, time.Time{}, time.Time{}, grid.TicketSuspended
			}), // is not due
			changed(fixed("never", 8, 1, 2), func(m *grid.TicketMarks) { m.State = grid.TicketCancelled }), // was no work of his
			changed(fixed("open", 9, 1, 2), func(m *grid.TicketMarks) {
				m.Arrived, m.Handled, m.Checked, m.Ended, m.State = time.Time{}, time.Time{}, time.Time{}, time.Time{}, grid.TicketDispatched
			}),
			fixed("before", -20, 1, 6), // of April
		},
		standings: []grid.Standing{
			{Type: grid.EventDeviceOffline, Device: "a", Raised: may.AddDate(0, 0, 20)},
			{Type: grid.EventDeviceOffline, Device: "a", Raised: may.AddDate(0, 0, 21)}, // at another of its points
			{Type: grid.EventDeviceOffline, Device: "b", Raised: may.AddDate(0, 0, 2), Returned: may.AddDate(0, 0, 3)},
			{Type: grid.EventBatteryLow, Device: "c", Raised: may.AddDate(0, 0, 2)},
			{Type: grid.EventDeviceOffline, Device: "d", Raised: june.Add(time.Hour)},
		},
		noEntries: []grid.NoEntry{{At: may.AddDate(0, 0, 6), Tickets: []string{"shut"}}, {At: may.AddDate(0, 0, -3)}},
		fleet:     4, passed: 7, failed: 2,
	}
	b, of := scored(t, h, june.AddDate(0, 1, 0))
	for key, want := range map[string][2]float64{
		"on_time": {2, 5}, "first_time": {2, 4}, "silent": {1, 4}, // held and never are not due, again was late, slow and open not in time
	} {
		if f := of[key]; f.Value == nil || *f.Numerator != want[0] || *f.Denominator != want[1] || *f.Value != want[0]/want[1] {
			t.Errorf("%s is %s of %s: want %g of %g", key, said(f.Numerator), said(f.Denominator), want[0], want[1])
		}
	}
	for key, want := range map[string]float64{"handled": 4, "rework": 1, "no_entry": 1, "arrive": 2, "fix": 10, "visits_passed": 7, "visits_failed": 2} {
		if f := of[key]; f.Value == nil || *f.Value != want {
			t.Errorf("%s is %s, want %g", key, said(f.Value), want)
		}
	}
	if f := of["handled"]; f.Before == nil || *f.Before != 1 || f.Change == nil || *f.Change != 3 {
		t.Errorf("handled before: %s, change %s: want 1 and 3", said(f.Before), said(f.Change))
	}
	if f := of["fix"]; f.Before == nil || *f.Before != 6 {
		t.Errorf("time to fix before: %s, want 6 h", said(f.Before))
	}
	if b.Before.Equal(may) || !b.Until.Equal(june) {
		t.Errorf("periods begin %s and %s and end %s", b.Before, b.From, b.Until)
	}
	for _, q := range h.asked {
		if q.Unit != "wb-1" && q.Contractor != "wb-1" {
			t.Errorf("asked for %+v: want its own alone", q)
		}
	}
}

func said(v *float64) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(*v)
}

func TestAPeriodThatIsNotOverIsComparedWithAsMuchOfTheOneBefore(t *testing.T) {
	h := &history{tickets: []grid.TicketMarks{fixed("early", -30, 1, 2), fixed("late", -5, 1, 2), fixed("now", 1, 1, 2), fixed("to come", 20, 1, 2)}}
	b, of := scored(t, h, may.AddDate(0, 0, 10))
	if f := of["handled"]; *f.Value != 1 || *f.Before != 1 {
		t.Errorf("handled %g, before %g: want one of each ten days", *f.Value, *f.Before)
	}
	if !b.Until.Equal(may.AddDate(0, 0, 10)) {
		t.Errorf("counted until %s", b.Until)
	}
	if f := of["silent"]; f.Value != nil {
		t.Errorf("of no devices a share of %g are silent: want none", *f.Value)
	}
}

func TestAScoreboardWantsAPeriod(t *testing.T) {
	for _, to := range []time.Time{may, may.AddDate(0, 0, -1), may.AddDate(2, 0, 0)} {
		if _, err := contractor.ScoreOf(t.Context(), &history{}, &grid.Unit{ID: "x"}, may, to, june); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("until %s: %v, want it refused", to, err)
		}
	}
}

// table reads what spreadsheets are given, and checks that they take none of it for a formula.
func table(t *testing.T, write func(io.Writer) error) []map[string]string {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(out.String(), "\xef\xbb\xbf")
	if !ok || !strings.Contains(text, "\r\n") {
		t.Errorf("the table begins %q: want the mark of UTF-8, and lines that end as spreadsheets write them", out.String()[:20])
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines []map[string]string
	for _, row := range rows[1:] {
		line := map[string]string{}
		for i, cell := range row {
			_, en, _ := strings.Cut(rows[0][i], " / ")
			if en == "" {
				en = rows[0][i]
			}
			line[en] = cell
			if strings.HasPrefix(cell, "=") || strings.HasPrefix(cell, "@") {
				t.Errorf("%s is %q: a spreadsheet takes it for a formula", rows[0][i], cell)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTheScoreboardIsATable(t *testing.T) {
	b, of := scored(t, &history{tickets: []grid.TicketMarks{fixed("a", 3, 1, 4)}, fleet: 3}, june)
	b.Name = `=HYPERLINK("x")`
	lines := table(t, b.WriteCSV)
	if len(lines) != len(of) {
		t.Fatalf("%d lines of %d figures", len(lines), len(of))
	}
	for _, l := range lines {
		if l["Key"] == "fix" && (l["Value"] != "4" || l["UOM"] != "h" || l["Unit"] != `'=HYPERLINK("x")` || l["Figure"] != "处置时间中位数 / time to fix, median") {
			t.Errorf("line of the time to fix: %v", l)
		}
	}
}
