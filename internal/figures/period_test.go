package figures_test

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/figures"
)

func TestPeriodsAndWhatTheyAreComparedWith(t *testing.T) {
	zone := at(t, "01-01 00:00").Location()
	words := func(p figures.Period) string {
		const day = "06-01-02 15:04"
		s := fmt.Sprintf("%s: %s to %s", p.Name, p.From.Format(day), p.To.Format(day))
		if !p.End.Equal(p.To) {
			s += ", until " + p.End.Format(day)
		}
		return s
	}
	for _, c := range []struct{ what, kind, at, now, period, previous, yearAgo string }{
		{"a month that is over", figures.Month, "03-31 12:00", "06-01 00:00", "2026-03: 26-03-01 00:00 to 26-04-01 00:00", "2026-02: 26-02-01 00:00 to 26-03-01 00:00", "2025-03: 25-03-01 00:00 to 25-04-01 00:00"},
		{"as much of the month before as there is", figures.Month, "03-30 12:00", "03-30 12:00", "2026-03: 26-03-01 00:00 to 26-04-01 00:00, until 26-03-30 12:00", "2026-02: 26-02-01 00:00 to 26-03-01 00:00", "2025-03: 25-03-01 00:00 to 25-04-01 00:00, until 25-03-30 12:00"},
		{"January", figures.Month, "01-10 06:00", "01-10 06:00", "2026-01: 26-01-01 00:00 to 26-02-01 00:00, until 26-01-10 06:00", "2025-12: 25-12-01 00:00 to 26-01-01 00:00, until 25-12-10 06:00", "2025-01: 25-01-01 00:00 to 25-02-01 00:00, until 25-01-10 06:00"},
		{"the day after a February", figures.Day, "03-01 12:00", "04-01 00:00", "2026-03-01: 26-03-01 00:00 to 26-03-02 00:00", "2026-02-28: 26-02-28 00:00 to 26-03-01 00:00", "2025-03-01: 25-03-01 00:00 to 25-03-02 00:00"},
		{"a 29th of February", figures.Day, "2028-02-29 12:00", "2028-04-01 00:00", "2028-02-29: 28-02-29 00:00 to 28-03-01 00:00", "2028-02-28: 28-02-28 00:00 to 28-02-29 00:00", "2027-02-28: 27-02-28 00:00 to 27-03-01 00:00"},
		{"a week over New Year", figures.Week, "01-01 12:00", "02-01 00:00", "2026-W01: 25-12-29 00:00 to 26-01-05 00:00", "2025-W52: 25-12-22 00:00 to 25-12-29 00:00", "2025-W01: 24-12-30 00:00 to 25-01-06 00:00"},
		{"a quarter", figures.Quarter, "02-10 00:00", "05-01 00:00", "2026-Q1: 26-01-01 00:00 to 26-04-01 00:00", "2025-Q4: 25-10-01 00:00 to 26-01-01 00:00", "2025-Q1: 25-01-01 00:00 to 25-04-01 00:00"},
		{"a year after one with a 29th of February", figures.Year, "2029-05-01 00:00", "2030-05-01 00:00", "2029: 29-01-01 00:00 to 30-01-01 00:00", "2028: 28-01-01 00:00 to 29-01-01 00:00", "2028: 28-01-01 00:00 to 29-01-01 00:00"},
		{"the last second of a day", figures.Day, "2026-06-30 23:59:59", "07-02 00:00", "2026-06-30: 26-06-30 00:00 to 26-07-01 00:00", "2026-06-29: 26-06-29 00:00 to 26-06-30 00:00", "2025-06-30: 25-06-30 00:00 to 25-07-01 00:00"},
	} {
		p, err := figures.PeriodOf(c.kind, at(t, c.at).UTC(), at(t, c.now).UTC(), zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct{ got, want string }{{words(p), c.period}, {words(p.Previous(c.kind)), c.previous}, {words(p.YearAgo(c.kind)), c.yearAgo}} {
			if x.got != x.want {
				t.Errorf("%s:\n got %s\nwant %s", c.what, x.got, x.want)
			}
		}
	}
	p, err := figures.Between(at(t, "03-01 00:00"), at(t, "03-11 00:00"), at(t, "06-01 00:00"), zone)
	if err != nil {
		t.Fatal(err)
	}
	if got := words(p.Previous(figures.Custom)); got != "custom: 26-02-19 00:00 to 26-03-01 00:00" {
		t.Error(got)
	}
	if got := words(p.YearAgo(figures.Custom)); got != "custom: 25-03-01 00:00 to 25-03-11 00:00" {
		t.Error(got)
	}
}

// Shanghai has had no summer time since 1991: each day of a year has 24 hours, and the days of
// a period follow one another without a gap.
func TestEveryDayOfShanghaiHas24Hours(t *testing.T) {
	zone := at(t, "01-01 00:00").Location()
	end := at(t, "2026-01-01 00:00")
	for range 365 * 3 {
		p, err := figures.PeriodOf(figures.Day, end, end.AddDate(1, 0, 0), zone)
		if err != nil {
			t.Fatal(err)
		}
		if !p.From.Equal(end) || p.To.Sub(p.From) != 24*time.Hour {
			t.Fatalf("%s has %s and begins at %s, want 24h from %s on", p.Name, p.To.Sub(p.From), p.From, end)
		}
		end = p.To
	}
}

func TestAPeriodThatCannotBeIsRefused(t *testing.T) {
	r, now := builtIn(t), at(t, "11-21 10:00")
	for _, a := range []figures.Ask{
		{Period: "fortnight"}, {By: "colour"}, {Since: now, Until: now}, {Since: now.AddDate(-3, 0, 0)}, {Period: figures.Month, Since: now.AddDate(0, 0, -1)},
	} {
		if _, err := r.Board(t.Context(), &rows{}, a, now); err == nil {
			t.Errorf("%+v: no error", a)
		}
	}
}
