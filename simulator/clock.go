package simulator

import (
	"context"
	"time"
)

// Clock is the city's time: real time that runs Speed times as fast. Two programs with
// the same three values agree on what time it is.
type Clock struct {
	Start time.Time // what the city's clocks showed …
	Since time.Time // … at this real moment
	Speed float64   // seconds of the city in a real one; 0 stands for 1
}

// NewClock makes a clock that shows start now.
func NewClock(start time.Time, speed float64) Clock {
	return Clock{Start: start, Since: time.Now(), Speed: speed}
}

// WallClock is real time.
func WallClock() Clock { return NewClock(time.Now(), 1) }

func (c Clock) speed() float64 {
	if c.Speed <= 0 {
		return 1
	}
	return c.Speed
}

// Now is the city's time. Time that has passed is measured by the monotonic clock.
func (c Clock) Now() time.Time {
	return c.Start.Add(time.Duration(float64(time.Since(c.Since)) * c.speed()))
}

// Real is how long a city's duration lasts.
func (c Clock) Real(city time.Duration) time.Duration {
	return time.Duration(float64(city) / c.speed())
}

// Sleep waits for a duration of the city, or until ctx is done.
func (c Clock) Sleep(ctx context.Context, city time.Duration) error {
	return sleep(ctx, c.Real(city))
}

// SleepUntil waits until the city's clocks show t, or until ctx is done.
func (c Clock) SleepUntil(ctx context.Context, t time.Time) error {
	// From the anchor, not from Now: rounding would add up over a day.
	due := c.Since.Add(c.Real(t.Sub(c.Start)))
	return sleep(ctx, time.Until(due))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
