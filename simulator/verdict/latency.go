package verdict

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is the distribution of one delay, in milliseconds of real time. Each is counted
// from the moment at which its cause was due, not from when the machine came round to it:
// a stall of the gateway is seen by every frame that waited for it.
type Latency struct {
	Name  string  `json:"name"`
	Words Text    `json:"words"`
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// Clockwork collects one delay; its methods may be called from several goroutines.
type Clockwork struct {
	name  string
	words Text
	mu    sync.Mutex
	h     *hdrhistogram.Histogram
}

// NewClockwork makes an empty one: 1 µs to an hour, three digits.
func NewClockwork(name string, words Text) *Clockwork {
	return &Clockwork{name: name, words: words, h: hdrhistogram.New(1, int64(time.Hour/time.Microsecond), 3)}
}

// Took adds the delay from when something was due to when it was done.
func (c *Clockwork) Took(due, done time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	us := max(done.Sub(due).Microseconds(), 1)
	c.h.RecordValue(min(us, int64(time.Hour/time.Microsecond))) // within its bounds: no error
}

// Latency is what was collected.
func (c *Clockwork) Latency() Latency {
	c.mu.Lock()
	defer c.mu.Unlock()
	ms := func(q float64) float64 { return float64(c.h.ValueAtQuantile(q)) / 1000 }
	return Latency{Name: c.name, Words: c.words, Count: c.h.TotalCount(),
		P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(c.h.Max()) / 1000}
}
