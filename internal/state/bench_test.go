package state

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// benchStore opens a store on the disk that GRIDGATE_BENCH_DIR names, else the test's own
// folder, and runs its checkpoints.
func benchStore(b *testing.B) *Store {
	b.Helper()
	dir := b.TempDir()
	if base := os.Getenv("GRIDGATE_BENCH_DIR"); base != "" {
		var err error
		if dir, err = os.MkdirTemp(base, "state"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	s, err := Open(b.Context(), filepath.Join(dir, "state.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// commits runs b.N commits and reports their latencies.
func commits(b *testing.B, s *Store, batch func(n int) *Batch) {
	b.Helper()
	took := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		bt := batch(n)
		began := time.Now()
		if err := s.Commit(b.Context(), bt); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "worst-µs")
	if st, err := os.Stat(s.path + "-wal"); err == nil {
		b.ReportMetric(float64(st.Size())/1e6, "WAL-MB")
	}
}

func cursorBatch(n int) *Batch {
	return &Batch{
		Cursors:    [grid.Lanes]grid.Pos{{Lane: grid.Safety, Epoch: 1, Seq: uint64(n)}, {Lane: grid.Bulk, Epoch: 1, Seq: uint64(20 * n)}},
		EngineTime: time.Unix(1_800_000_000, int64(n)),
		InfluxMark: InfluxMark{Segment: 1, Offset: int64(n) * 1000},
		Ledger: []grid.LedgerRow{
			{Transport: "mqtt", Source: "embedded", Lane: grid.Bulk, Counts: [grid.Outcomes]int64{20, 1, 0, 0, 0}},
		},
	}
}

// BenchmarkCommitCursor is the commit of a batch of frames with no hard effect.
func BenchmarkCommitCursor(b *testing.B) { commits(b, benchStore(b), cursorBatch) }

// BenchmarkCommitTicket is the commit of one smoke alarm: event, alarm, ticket with two
// assignments, a move, two deliveries, evidence.
func BenchmarkCommitTicket(b *testing.B) {
	s := benchStore(b)
	commits(b, s, func(n int) *Batch {
		bt := cursorBatch(n)
		addTicket(bt, n)
		return bt
	})
}

// BenchmarkCommitEvents is the commit of 100 events.
func BenchmarkCommitEvents(b *testing.B) {
	s := benchStore(b)
	commits(b, s, func(n int) *Batch {
		bt := cursorBatch(n)
		for i := range 100 {
			bt.Events = append(bt.Events, sampleEvent(100*n+i))
		}
		return bt
	})
}

// BenchmarkLoadMillion loads 1,000,000 devices, each at a point of its own.
func BenchmarkLoadMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("writes a million devices first: not with -short")
	}
	s := benchStore(b)
	const total, step = 1_000_000, 20_000
	began := time.Now()
	for from := 0; from < total; from += step {
		if err := s.Commit(b.Context(), registryBatch(from, step)); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("wrote %d devices with points and installations in %s", total, time.Since(began).Round(time.Millisecond))
	b.ResetTimer()
	for b.Loop() {
		var points, devices, installations int
		err := s.LoadRegistry(b.Context(), Registry{
			Count: func(int, int) {}, Point: func(*grid.Point) { points++ }, Device: func(*grid.Device) { devices++ },
			Installation: func(*grid.Installation) { installations++ },
		})
		if err != nil || devices != total || points != total || installations != total {
			b.Fatalf("loaded %d devices, %d points, %d installations: %v", devices, points, installations, err)
		}
	}
}

func registryBatch(from, n int) *Batch {
	b := &Batch{}
	for i := from; i < from+n; i++ {
		cell := fmt.Sprintf("310105%03d%03d%03d", i%10+1, i%50+1, i%900+1)
		p := grid.Point{
			ID: fmt.Sprintf("P%08d", i), Name: fmt.Sprintf("井盖 %d", i), Kind: grid.Manhole, Mode: grid.Live, Cell: cell,
			Scope:   grid.Scope{District: cell[:6], Street: cell[:9], Community: cell[:12], Compound: "C" + cell[9:]},
			Address: fmt.Sprintf("愚园路 %d 号", i%2000), Building: "3", Lon: 121.4 + float64(i%1000)/1e4, Lat: 31.2, CRS: "WGS84",
		}
		d := grid.Device{
			Identity: grid.Identity(fmt.Sprintf("eui:24e124%010x", i)), Profile: "milesight/em310-tilt", State: grid.Installed,
			Mode: grid.Live, Interval: time.Hour, Installed: time.Unix(1_750_000_000, 0), Source: "embedded",
		}
		b.Points = append(b.Points, p)
		b.Devices = append(b.Devices, d)
		b.Installations = append(b.Installations, grid.Installation{
			Device: d.Identity, Channel: grid.MainChannel, Point: p.ID, From: time.Unix(1_750_000_000, 0),
		})
	}
	return b
}
