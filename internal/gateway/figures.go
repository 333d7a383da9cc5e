package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gridgate/internal/engine"
	"gridgate/internal/figures"
)

// figuresAfter midnight the day before is worked out: by then what belongs to it has been
// committed. figuresRetry is the pause after a failure.
const (
	figuresAfter = 5 * time.Minute
	figuresRetry = 10 * time.Minute
)

// maxBoards is how many boards are worked out at a time: each reads a season of tickets.
const maxBoards = 2

// readFigures reads what is counted and aimed at.
func (g *Gateway) readFigures() error {
	name, file, err := fileOr(g.cfg.Figures, "figures.yaml")
	if err != nil {
		return err
	}
	g.figures, err = figures.Parse(name, file, g.calendars)
	g.boards = make(chan struct{}, maxBoards)
	return err
}

// board works out a board, beside the engine and when its turn comes.
func (g *Gateway) board(ctx context.Context, a figures.Ask) (figures.Board, error) {
	select {
	case g.boards <- struct{}{}:
		defer func() { <-g.boards }()
	case <-ctx.Done():
		return figures.Board{}, ctx.Err()
	}
	return g.figures.Board(ctx, g.store, a, g.clock.Now())
}

// runFigures judges the hot-spots and writes the daily figures, at the start and once a day.
// What was done for the day is not done again.
func (g *Gateway) runFigures(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	var next time.Time
	look := g.clock.Ticker(time.Minute) // and not one long wait: somebody may set the clock
	defer look.Stop()
	for {
		if now := g.clock.Now(); !now.Before(next) {
			var err error
			if next, err = g.figuresOf(ctx, now); err != nil && ctx.Err() == nil {
				g.log.Error("figures of the day are not done, they are tried again", "err", err, "in", figuresRetry)
				next = now.Add(figuresRetry)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// figuresOf does the figures of the day of now, and gives when to come again.
func (g *Gateway) figuresOf(ctx context.Context, now time.Time) (next time.Time, err error) {
	day, err := figures.PeriodOf(figures.Day, now, now, g.figures.Zone)
	if err != nil {
		return time.Time{}, err
	}
	next = day.To.Add(figuresAfter)
	err = g.judgeHotspots(ctx, now, day.Name)
	points, dailyErr := g.figures.Daily(ctx, g.store, now)
	if dailyErr == nil {
		dailyErr = g.engine.WriteKPIs(ctx, points, day.Name)
	}
	return next, errors.Join(err, dailyErr)
}

func (g *Gateway) judgeHotspots(ctx context.Context, now time.Time, key string) error {
	cases, err := g.figures.Cases(ctx, g.store, now)
	if err != nil {
		return err
	}
	listed, err := g.store.Hotspots(ctx)
	if err != nil {
		return fmt.Errorf("hot-spots: %w", err)
	}
	rules := g.figures.Hotspots
	rows := figures.Rows(rules.Judge(cases, listed, now))
	return g.engine.HotspotsJudged(ctx, rows, engine.Rectification{Title: rules.TitleZH + " / " + rules.TitleEN, Priority: rules.Priority}, key)
}
