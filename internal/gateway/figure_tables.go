package gateway

import (
	"context"
	"time"

	"gridgate/internal/figures"
)

// figureTables makes what stands beside the board, from the same store and when its turn comes.
type figureTables struct{ g *Gateway }

func (f figureTables) Zone() *time.Location { return f.g.figures.Zone }

func (f figureTables) Trend(ctx context.Context, a figures.Ask) (figures.Trend, error) {
	return inTurn(ctx, f.g, func(now time.Time) (figures.Trend, error) { return f.g.figures.Trend(ctx, f.g.store, a, now) })
}

func (f figureTables) Load(ctx context.Context, a figures.Ask) (figures.Load, error) {
	return inTurn(ctx, f.g, func(now time.Time) (figures.Load, error) { return f.g.figures.Load(ctx, f.g.store, a, now) })
}

func (f figureTables) Sensors(ctx context.Context, a figures.Ask) (figures.SensorHealth, error) {
	return inTurn(ctx, f.g, func(now time.Time) (figures.SensorHealth, error) {
		return f.g.figures.Sensors(ctx, f.g.store, a, now)
	})
}

func (f figureTables) Models(ctx context.Context, a figures.Ask) (figures.Models, error) {
	return inTurn(ctx, f.g, func(now time.Time) (figures.Models, error) { return f.g.figures.Models(ctx, f.g.store, a, now) })
}

// inTurn waits for one of the few places that read a season of tickets.
func inTurn[T any](ctx context.Context, g *Gateway, do func(now time.Time) (T, error)) (none T, err error) {
	select {
	case g.boards <- struct{}{}:
		defer func() { <-g.boards }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	return do(g.clock.Now())
}
