package figures_test

import (
	"context"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/calendar"
	"gridgate/internal/figures"
	"gridgate/internal/grid"
)

// rows is a Source in memory that hands out what a store would: all that touches the period.
type rows struct {
	tickets     []grid.TicketMarks
	activations []grid.Activation
	standings   []grid.Standing
	fleet       []grid.Fleet
	unrecorded  int
}

func (r *rows) FigureTickets(_ context.Context, _ grid.FigureQuery, f func(*grid.TicketMarks)) error {
	for i := range r.tickets {
		f(&r.tickets[i])
	}
	return nil
}

func (r *rows) FigureActivations(_ context.Context, _ grid.FigureQuery, f func(*grid.Activation)) error {
	for i := range r.activations {
		f(&r.activations[i])
	}
	return nil
}

func (r *rows) FigureStandings(_ context.Context, _ grid.FigureQuery, _ time.Duration, f func(*grid.Standing)) error {
	for i := range r.standings {
		f(&r.standings[i])
	}
	return nil
}

func (r *rows) FigureFleet(_ context.Context, _ grid.FigureQuery, _ bool, f func(grid.Fleet)) error {
	for _, x := range r.fleet {
		f(x)
	}
	return nil
}

func (r *rows) FigureSuppressed(context.Context, grid.FigureQuery) (int, int, error) {
	return r.unrecorded, 3, nil
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func calendars(t testing.TB) *calendar.Calendars {
	return must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
}

func builtIn(t testing.TB) *figures.Rules {
	return must[*figures.Rules](t)(figures.Parse("figures.yaml", must[[]byte](t)(configs.FS.ReadFile("figures.yaml")), calendars(t)))
}

// at reads a time of Shanghai in 2026: "11-03 10:00", or with a year before it.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	if s[2] == '-' {
		s = "2026-" + s
	}
	layout := "2006-01-02 15:04"
	if len(s) > len(layout) {
		layout += ":05"
	}
	zone := must[*time.Location](t)(time.LoadLocation("Asia/Shanghai"))
	return must[time.Time](t)(time.ParseInLocation(layout, s, zone))
}

func figure(t testing.TB, g figures.Group, key string) figures.Figure {
	t.Helper()
	for _, f := range g.Figures {
		if f.Key == key {
			return f
		}
	}
	t.Fatalf("there is no figure %q", key)
	return figures.Figure{}
}
