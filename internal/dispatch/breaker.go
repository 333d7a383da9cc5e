package dispatch

import (
	"time"

	"gridgate/internal/grid"
)

// breaker watches one unit in one lane. Closed: all may go. Open: one attempt at a time,
// and below P1 only once the pause is over; that attempt is the probe.
type breaker struct {
	failures int
	pause    time.Duration
	until    time.Time // zero: closed
}

func (b *breaker) open() bool { return !b.until.IsZero() }

// allows reports whether another attempt of priority p may start beside running ones.
func (b *breaker) allows(p grid.Priority, now time.Time, running int) bool {
	if !b.open() {
		return true
	}
	return running == 0 && (p == 1 || !now.Before(b.until))
}

// heard closes the breaker.
func (b *breaker) heard() { *b = breaker{} }

// deaf counts an attempt that got no answer; it reports whether the breaker has just opened.
func (b *breaker) deaf(now time.Time, cfg Breaker) bool {
	b.failures++
	if b.failures < cfg.Failures {
		return false
	}
	opened := !b.open()
	if opened {
		b.pause = cfg.Probe
	} else {
		b.pause = min(2*b.pause, cfg.MaxProbe)
	}
	b.until = now.Add(b.pause)
	return opened
}
