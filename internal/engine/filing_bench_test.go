package engine

import (
	"fmt"
	"testing"

	"gridgate/internal/grid"
)

// BenchmarkSimilar compares a report with a thousand open tickets of its event, beside the
// state goroutine.
func BenchmarkSimilar(b *testing.B) {
	r := newRig(b)
	r.units()
	var last string
	for i := range 1000 {
		f := report(grid.EventManholeTilted, fmt.Sprint("n-", i))
		f.Lon, f.Lat, f.CRS = 121.4+float64(i)/1e5, 31.22, "WGS84"
		out, err := as[grid.Filed](r.engine.do(b.Context(), &command{name: "file", do: func(bt *batch) (any, error) { return bt.file(f) }}))
		if err != nil {
			b.Fatal(err)
		}
		last = out.Ticket.ID
	}
	for b.Loop() {
		if all, err := r.engine.Similar(b.Context(), last); err != nil || len(all) == 0 {
			b.Fatal(all, err)
		}
	}
}
