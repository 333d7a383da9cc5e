package dispatch

import (
	"math/rand/v2"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Retry is the retry table as data: entry n is the pause before attempt n+1. After the
// last entry a delivery is dead.
type Retry struct {
	Normal         []time.Duration `yaml:"normal"`
	Urgent         []time.Duration `yaml:"urgent"`           // P1
	Jitter         float64         `yaml:"jitter"`           // share of the pause by which it may be shorter or longer
	MaxPause       time.Duration   `yaml:"max_pause"`        // the longest pause a unit may ask for (Retry-After)
	MaxPauseUrgent time.Duration   `yaml:"max_pause_urgent"` // the same for P1: a life does not wait an hour for a busy server
}

// StandardRetry is the table of Standard Webhooks, and before it for P1 half a minute of
// quick repetition.
func StandardRetry() Retry {
	normal := []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}
	quick := []time.Duration{0, 1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}
	return Retry{
		Normal:         normal,
		Urgent:         slices.Concat(quick, normal[2:]), // its first two are in the quick part
		Jitter:         0.1,
		MaxPause:       24 * time.Hour,
		MaxPauseUrgent: 30 * time.Second,
	}
}

// next says when to try again after attempts failed ones; false: never.
func (r Retry) next(now time.Time, p grid.Priority, attempts int, asked time.Duration) (time.Time, bool) {
	table, most := r.Normal, r.MaxPause
	if p == 1 && len(r.Urgent) > 0 {
		table, most = r.Urgent, r.MaxPauseUrgent
	}
	if attempts >= len(table) {
		return time.Time{}, false
	}
	pause := table[attempts]
	if r.Jitter > 0 {
		pause += time.Duration(float64(pause) * r.Jitter * (2*rand.Float64() - 1))
	}
	return now.Add(max(pause, min(asked, most))), true
}
