package gateway

import (
	"context"
	"time"

	"gridgate/internal/contractor"
	"gridgate/internal/grid"
)

// readContractors reads what technicians do and bring, and how rounds are planned.
func (g *Gateway) readContractors() error {
	name, file, err := fileOr(g.cfg.Contractors, "contractors.yaml")
	if err != nil {
		return err
	}
	g.contractors, err = contractor.Parse(name, file, g.calendars)
	return err
}

// scoreboard works out how a contractor did, beside the engine and when its turn comes. Without
// a period it is that of this month.
func (g *Gateway) scoreboard(ctx context.Context, unit string, from, to time.Time) (contractor.Scoreboard, error) {
	select {
	case g.boards <- struct{}{}:
		defer func() { <-g.boards }()
	case <-ctx.Done():
		return contractor.Scoreboard{}, grid.Errorf(grid.Unavailable, "scoreboard: others are being made: %w", ctx.Err())
	}
	u, err := g.store.Unit(ctx, unit)
	if err != nil {
		return contractor.Scoreboard{}, err
	}
	if u.Kind != grid.Maintenance {
		return contractor.Scoreboard{}, grid.Errorf(grid.Invalid, "unit %s is of kind %s: want one of kind %s", u.ID, u.Kind, grid.Maintenance)
	}
	now, zone := g.clock.Now(), g.reloading.calendars.now().Zone()
	if from.IsZero() {
		y, m, _ := now.In(zone).Date()
		from = time.Date(y, m, 1, 0, 0, 0, 0, zone)
	}
	if to.IsZero() {
		y, m, _ := from.In(zone).Date()
		to = time.Date(y, m+1, 1, 0, 0, 0, 0, zone)
	}
	return contractor.ScoreOf(ctx, g.store, &u, from, to, now)
}
