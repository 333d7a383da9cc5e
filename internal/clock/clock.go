// Package clock is the city's time: what the gateway stamps, waits for and tells people. It is
// the machine's, or for a simulation one that begins elsewhere and runs faster. Wire time (a
// socket's deadline, an fsync, a certificate's validity) is not of it: that stays time.Now.
// docs/decisions/010-two-times.md says which is which.
package clock

import (
	"strings"
	"sync/atomic"
	"time"
)

// Clock tells the city's time. A nil *Clock is the machine's own, and costs nothing more.
type Clock struct {
	speed float64
	base  time.Time // city time when began
	began time.Time // by the monotonic clock: nobody sets it
	ahead atomic.Int64
}

// Simulated makes a clock that shows from now and runs speed times as fast as the machine's.
func Simulated(from time.Time, speed float64) *Clock {
	return &Clock{speed: speed, base: from.Round(0), began: time.Now()}
}

// Simulated reports whether it is not the machine's own.
func (c *Clock) Simulated() bool { return c != nil }

// Speed is how many seconds of the city pass in one of the machine's.
func (c *Clock) Speed() float64 {
	if c == nil {
		return 1
	}
	return c.speed
}

// Now is the city's time. A simulated clock never goes backwards, unless it is set.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c.at(time.Now())
}

func (c *Clock) at(machine time.Time) time.Time {
	return c.base.Add(time.Duration(c.ahead.Load()) + c.City(machine.Sub(c.began)))
}

// Jump sets a simulated clock forward or back, as a time service does the machine's.
func (c *Clock) Jump(by time.Duration) { c.ahead.Add(int64(by)) }

// Watch makes a watch that nobody sets: in one look it tells the city's time, and how much of it
// has passed since the watch was made. Where the two differ, the clock was set.
func (c *Clock) Watch() func() (now time.Time, passed time.Duration) {
	began := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		passed := c.City(now.Sub(began))
		if c == nil {
			return now, passed
		}
		return c.at(now), passed
	}
}

// City is how much of the city's time passes while d of the machine's does.
func (c *Clock) City(d time.Duration) time.Duration {
	if c == nil || c.speed == 1 {
		return d
	}
	return clamp(float64(d) * c.speed)
}

// Real is how long one waits for d of the city's time to pass. What is not over is never no time
// at all, or a waiter would spin.
func (c *Clock) Real(d time.Duration) time.Duration {
	if c == nil || c.speed == 1 || d <= 0 {
		return d
	}
	return max(clamp(float64(d)/c.speed), 1)
}

// clamp keeps what would overflow (an hour's wait at 3600 times is long, not negative).
func clamp(ns float64) time.Duration {
	const most = float64(1 << 62)
	return time.Duration(min(max(ns, -most), most))
}

// Since is how much of the city's time has passed since t.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Wait is how long one waits until it is t in the city; not more than zero when it has been.
func (c *Clock) Wait(t time.Time) time.Duration { return c.Real(t.Sub(c.Now())) }

// After, Timer and Ticker take durations of the city's time. A ticker ticks at most every
// soonest of the machine's time: faster than that there is nothing to see.
func (c *Clock) After(d time.Duration) <-chan time.Time { return time.After(c.Real(d)) }

func (c *Clock) Timer(d time.Duration) *time.Timer { return time.NewTimer(c.Real(d)) }

func (c *Clock) Ticker(d time.Duration) *time.Ticker {
	if c == nil {
		return time.NewTicker(d)
	}
	return time.NewTicker(max(c.Real(d), min(d, soonest)))
}

const soonest = 20 * time.Millisecond

// Mark is a moment by both clocks, kept so that a restarted gateway goes on from there.
type Mark struct {
	City, Machine time.Time
}

// Mark is this moment.
func (c *Clock) Mark() Mark {
	return Mark{City: c.Now().Round(0).UTC(), Machine: time.Now().Round(0).UTC()}
}

// MaxAway is how much of the machine's time the city goes on for while no gateway runs. One
// that is started again after a night goes on where it stopped, and some minutes: with 60 times
// the speed the city would be weeks ahead.
const MaxAway = 10 * time.Minute

// Resume is the city's time after a restart: not before anything that was seen, and later by
// what has passed since, at the speed it will now run at.
func (m Mark) Resume(machine time.Time, speed float64) time.Time {
	away := min(max(machine.Sub(m.Machine), 0), MaxAway)
	return m.City.Add(clamp(float64(away) * speed))
}

// String is the form it is kept in.
func (m Mark) String() string {
	return m.City.Format(time.RFC3339Nano) + " " + m.Machine.Format(time.RFC3339Nano)
}

// ParseMark reads what String wrote.
func ParseMark(s string) (m Mark, err error) {
	city, machine, _ := strings.Cut(s, " ")
	if m.City, err = time.Parse(time.RFC3339Nano, city); err != nil {
		return m, err
	}
	m.Machine, err = time.Parse(time.RFC3339Nano, machine)
	return m, err
}
