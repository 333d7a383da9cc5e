package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gridgate/simulator"
)

// histogram of delays: 1 µs to an hour, three digits.
type histogram struct{ h *hdrhistogram.Histogram }

func newHistogram() *histogram {
	return &histogram{hdrhistogram.New(1, int64(time.Hour/time.Microsecond), 3)}
}

// took adds one delay, from when it was due.
func (h *histogram) took(due, done time.Time) {
	us := max(done.Sub(due).Microseconds(), 1)
	h.h.RecordValue(min(us, int64(time.Hour/time.Microsecond))) // within its bounds: no error
}

func (h *histogram) latency() simulator.Latency {
	ms := func(q float64) float64 { return float64(h.h.ValueAtQuantile(q)) / 1000 }
	return simulator.Latency{P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(h.h.Max()) / 1000}
}
