package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
)

// BenchmarkAppend1000Callers is the journal's figure of merit: 1,000 callers append one
// frame of 200 bytes each and wait for the fsync, a follower reads along, segments roll
// and retention removes them. Run it for longer with -benchtime 5m.
func BenchmarkAppend1000Callers(b *testing.B) {
	const callers = 1000
	var mu sync.Mutex
	var commits []time.Duration
	log, err := journal.Open(filepath.Join(b.TempDir(), "journal"), journal.Options{
		SegmentBytes: 64 << 20, RetainBytes: 512 << 20,
		OnCommit: func(_ grid.Lane, _, _ int, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			commits = append(commits, took)
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	var running, work sync.WaitGroup
	running.Go(func() {
		if err := log.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	var followed uint64
	running.Go(func() { followed = follow(ctx, b, log) })

	raw := make([]byte, 200)
	for i := range raw {
		raw[i] = byte(i * 7)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	for c := range callers {
		work.Go(func() {
			f := []grid.Frame{{
				Identity: grid.Identity(fmt.Sprintf("eui:24e124%010d", c)), Transport: "mqtt", Source: "city",
				Address: fmt.Sprintf("application/1/device/24e124%010d/event/up", c), Envelope: "chirpstack", Raw: raw,
			}}
			for left.Add(-1) >= 0 {
				f[0].Pos, f[0].Received = grid.Pos{}, time.Time{}
				if err := log.Append(ctx, grid.Bulk, f); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	b.StopTimer()
	st := log.Stats().Lanes[grid.Bulk]
	for deadline := time.Now().Add(30 * time.Second); log.Stats().Lanes[grid.Bulk].Released < st.Head.Seq && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	stop()
	running.Wait()
	if err := log.Close(); err != nil {
		b.Error(err)
	}
	if followed != st.Head.Seq {
		b.Errorf("the follower has seen %d of %d frames", followed, st.Head.Seq)
	}
	slices.Sort(commits)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
	b.ReportMetric(float64(st.Frames)/float64(st.Commits), "frames/commit")
	b.ReportMetric(float64(commits[len(commits)*99/100].Microseconds())/1000, "p99-commit-ms")
	b.ReportMetric(float64(commits[len(commits)-1].Microseconds())/1000, "worst-commit-ms")
}

// follow reads the bulk lane as the engine does, and returns how far it came.
func follow(ctx context.Context, b *testing.B, log *journal.Log) uint64 {
	var after uint64
	for {
		frames, err := log.Next(ctx, grid.Bulk, after, 2000)
		if ctx.Err() != nil {
			return after
		}
		if err != nil {
			b.Error(err)
			return after
		}
		for i := range frames {
			if frames[i].Pos.Seq != after+1 {
				b.Errorf("frame %d follows %d", frames[i].Pos.Seq, after)
			}
			after++
		}
		log.Release(grid.Bulk, after)
	}
}

// BenchmarkFollowFromDisk reads a journal of 200-byte frames that is not in memory.
func BenchmarkFollowFromDisk(b *testing.B) {
	const frames = 200_000
	dir := filepath.Join(b.TempDir(), "journal")
	log, stop := start(b, dir, journal.Options{SegmentBytes: 16 << 20, RecentBytes: -1})
	batch := make([]grid.Frame, 1000)
	for range frames / len(batch) {
		for i := range batch {
			batch[i] = grid.Frame{Identity: "eui:24e1240000000000", Transport: "mqtt", Source: "city",
				Address: "application/1/device/24e1240000000000/event/up", Raw: make([]byte, 200)}
		}
		if err := log.Append(b.Context(), grid.Bulk, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	var after uint64
	for b.Loop() {
		if after == frames {
			after = 0
		}
		got, err := log.Next(b.Context(), grid.Bulk, after, 2000)
		if err != nil {
			b.Fatal(err)
		}
		after = got[len(got)-1].Pos.Seq
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)*2000/b.Elapsed().Seconds(), "frames/s")
	stop()
}

// BenchmarkSync measures what filling a file with zeros ahead of the records saves:
// the sync of one write of 20,000 bytes, appended or into zeros.
func BenchmarkSync(b *testing.B) {
	for _, ahead := range []int64{0, 1 << 20} {
		b.Run(fmt.Sprintf("ahead=%d", ahead), func(b *testing.B) {
			f, err := disk.Machine{}.OpenFile(filepath.Join(b.TempDir(), "sync"), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			data, zeros := slices.Repeat([]byte{1, 2, 3, 4}, 5000), make([]byte, ahead)
			var off, filled int64
			for b.Loop() {
				if off+int64(len(data)) > filled && ahead > 0 {
					if _, err := f.WriteAt(zeros, filled); err != nil {
						b.Fatal(err)
					}
					filled += ahead
				}
				if _, err := f.WriteAt(data, off); err != nil {
					b.Fatal(err)
				}
				off += int64(len(data))
				if err := f.SyncData(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
