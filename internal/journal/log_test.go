package journal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
)

// put appends n frames to lane, each of 1,000 bytes.
func put(t testing.TB, log *journal.Log, lane grid.Lane, n int) []grid.Frame {
	t.Helper()
	frames := make([]grid.Frame, n)
	for i := range frames {
		frames[i] = grid.Frame{Identity: "sn:1", Transport: "mqtt", Source: "city", Raw: make([]byte, 1000)}
		if err := log.Append(t.Context(), lane, frames[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return frames
}

func TestTheDirectoryHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	_, stop := start(t, dir, plain)
	if _, err := journal.Open(dir, plain); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a second open gave %v: want a conflict", err)
	}
	stop()
	_, stop = start(t, dir, plain)
	stop()
}

func TestOptionsThatCannotBeAreInvalid(t *testing.T) {
	for _, o := range []journal.Options{
		{SegmentBytes: 100}, {MaxFrame: 17 << 20}, {MinFreeBulk: 1, MinFreeSafety: 2},
	} {
		if log, err := journal.Open(t.TempDir(), o); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%+v gave %v: want invalid", o, err)
			log.Close()
		}
	}
}

func TestAnAppendIsOverloadedWhenTooMuchWaits(t *testing.T) {
	o := plain
	o.PendingBytes = 10_000
	log, err := journal.Open(t.TempDir(), o) // and nothing runs
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	one := func() []grid.Frame { return []grid.Frame{{Raw: make([]byte, 2000)}} }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			f := one()
			if err := log.Append(ctx, grid.Bulk, f); !errors.Is(err, context.Canceled) || !f[0].Pos.IsZero() {
				t.Errorf("an append whose context ended gave %v and %v", err, f[0].Pos)
			}
		})
	}
	eventually(t, "four frames wait", func() bool { return log.Stats().Lanes[grid.Bulk].PendingFrames == 4 })
	if err := log.Append(ctx, grid.Bulk, one()); !errors.Is(err, grid.ErrOverloaded) {
		t.Errorf("the fifth gave %v: want overloaded", err)
	}
	if err := log.Append(ctx, grid.Bulk, slices.Repeat(one(), 5)); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("more than can ever wait gave %v: want invalid", err)
	}
	if log.Head(grid.Bulk).Seq != 0 {
		t.Error("a frame that is not durable is shown")
	}
	cancel()
	wg.Wait()

	var run sync.WaitGroup
	run.Go(func() { _ = log.Run(context.Background()) })
	defer run.Wait()
	defer log.Close()
	eventually(t, "what was accepted is durable all the same", func() bool { return log.Head(grid.Bulk).Seq == 4 })
	if err := log.Append(t.Context(), grid.Bulk, one()); err != nil {
		t.Error(err)
	}
}

// TestRetention runs in a bubble: an hour takes no time.
func TestRetention(t *testing.T) {
	small := plain
	small.SegmentBytes = 4096 // three frames
	small.RecentBytes = -1    // what is in memory is shown longer
	small.Poll = time.Minute
	aged := small
	aged.RetainAge, aged.SegmentAge = 10*time.Hour, time.Hour
	sized := small
	sized.RetainBytes = 50_000
	for name, test := range map[string]struct {
		o   journal.Options
		run func(t *testing.T, log *journal.Log)
	}{
		"RemovesNothingThatIsNotReleased": {aged, func(t *testing.T, log *journal.Log) {
			put(t, log, grid.Bulk, 20)
			time.Sleep(100 * time.Hour)
			wantFirst(t, log, grid.Bulk, 1)
			log.Release(grid.Bulk, 8)
			time.Sleep(2 * time.Minute)
			wantFirst(t, log, grid.Bulk, 7) // 8 is in a segment with what is not released
		}},
		"RemovesWholeSegmentsByAge": {aged, func(t *testing.T, log *journal.Log) {
			put(t, log, grid.Bulk, 20)
			time.Sleep(9 * time.Hour)
			put(t, log, grid.Bulk, 1)
			log.Release(grid.Bulk, 21)
			time.Sleep(30 * time.Minute)
			wantFirst(t, log, grid.Bulk, 1)
			time.Sleep(2 * time.Hour)
			wantFirst(t, log, grid.Bulk, 21)
			time.Sleep(100 * time.Hour)
			wantFirst(t, log, grid.Bulk, 22)
			if f := put(t, log, grid.Bulk, 1)[0]; f.Pos.Seq != 22 {
				t.Errorf("with everything removed the next frame is at %v", f.Pos)
			}
		}},
		"RemovesWholeSegmentsBySize": {sized, func(t *testing.T, log *journal.Log) {
			put(t, log, grid.Bulk, 200)
			log.Release(grid.Bulk, 200)
			time.Sleep(2 * time.Minute)
			st := log.Stats().Lanes[grid.Bulk]
			if st.Bytes > 50_000 || st.Bytes < 40_000 {
				t.Errorf("%d bytes are kept: want a little less than 50,000", st.Bytes)
			}
			wantFirst(t, log, grid.Bulk, st.First)
		}},
		"LeavesTheSmallerLaneAlone": {sized, func(t *testing.T, log *journal.Log) {
			put(t, log, grid.Safety, 10)
			put(t, log, grid.Bulk, 200)
			log.Release(grid.Safety, 10)
			log.Release(grid.Bulk, 200)
			time.Sleep(2 * time.Minute)
			wantFirst(t, log, grid.Safety, 1)
			if log.First(grid.Bulk) == 1 {
				t.Error("nothing of the larger lane is removed")
			}
		}},
		"WaitsForEveryPin": {aged, func(t *testing.T, log *journal.Log) {
			put(t, log, grid.Bulk, 20)
			log.Release(grid.Bulk, 20)
			one, two := log.Pin(), log.Pin()
			time.Sleep(100 * time.Hour)
			one()
			one() // once is enough
			time.Sleep(100 * time.Hour)
			wantFirst(t, log, grid.Bulk, 1)
			two()
			time.Sleep(2 * time.Minute)
			wantFirst(t, log, grid.Bulk, 21)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := memory(t)
			synctest.Test(t, func(t *testing.T) {
				log, stop := start(t, dir, test.o)
				test.run(t, log)
				stop()
			})
		})
	}
}

// wantFirst checks the oldest kept frame, by Next and by the files, too.
func wantFirst(t *testing.T, log *journal.Log, lane grid.Lane, want uint64) {
	t.Helper()
	if got := log.First(lane); got != want {
		t.Errorf("first is %d: want %d", got, want)
	}
	if log.Head(lane).Seq >= want {
		if f, err := log.Next(soon(t), lane, 0, 1); len(f) == 0 || f[0].Pos.Seq != want {
			t.Errorf("next begins with %v, %v: want %d", f, err, want)
		}
	}
	n, err := log.Recount(t.Context())
	if err != nil || n.Accepted[journal.Source{Lane: lane, Transport: "mqtt", Source: "city"}] != log.Head(lane).Seq || n.Missing[lane] != 0 {
		t.Errorf("recount after retention is %+v, %v", n, err)
	}
}

func TestASegmentIsSealedByAgeAndIndexed(t *testing.T) {
	dir := memory(t)
	synctest.Test(t, func(t *testing.T) {
		log, stop := start(t, dir, plain)
		put(t, log, grid.Bulk, 3)
		time.Sleep(59 * time.Minute)
		if n := log.Stats().Lanes[grid.Bulk].Segments; n != 1 {
			t.Errorf("after 59 minutes there are %d segments", n)
		}
		time.Sleep(2 * time.Minute)
		if n := log.Stats().Lanes[grid.Bulk].Segments; n != 2 {
			t.Errorf("after an hour there are %d segments", n)
		}
		time.Sleep(90 * time.Minute)
		if n := log.Stats().Lanes[grid.Bulk].Segments; n != 2 {
			t.Errorf("an empty segment was sealed: there are %d", n)
		}
		indexOf(t, dir)
		if got, err := log.ByDevice(t.Context(), "sn:1", time.Time{}, time.Time{}, 10); err != nil || len(got) != 3 {
			t.Errorf("by device found %d, %v", len(got), err)
		}
		stop()
	})
}

// fakeDisk is a disk whose free space the test sets; the reserve comes out of it.
type fakeDisk struct {
	mu      sync.Mutex
	reserve string
	free    int64
}

func (d *fakeDisk) set(free int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = free
}

func (d *fakeDisk) space(string) (journal.Space, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := d.free
	if info, err := os.Stat(d.reserve); err == nil {
		free -= info.Size()
	}
	return journal.Space{Free: free, Total: 100 << 30}, nil
}

func TestBulkIsRefusedBeforeSafetyAndTheReserveIsKeptForIt(t *testing.T) {
	const mib = 1 << 20
	dir := memory(t)
	disk := &fakeDisk{reserve: filepath.Join(dir, "reserve"), free: 100 << 30}
	o := journal.Options{MinFreeBulk: 500 * mib, MinFreeSafety: 100 * mib, ReserveBytes: 20 * mib, Space: disk.space}
	synctest.Test(t, func(t *testing.T) {
		log, stop := start(t, dir, o)
		defer stop()
		for i, step := range []struct {
			free                  int64 // with the reserve
			bulk, safety, reserve bool
		}{
			{100 << 10 * mib, true, true, true},
			{519 * mib, false, true, true},  // 499 without the reserve
			{521 * mib, true, true, true},   //
			{121 * mib, false, true, true},  // 101
			{119 * mib, false, true, false}, // 99: the reserve is given up, 119 are free
			{101 * mib, false, true, false},
			{99 * mib, false, false, false},
			{101 * mib, false, true, false},
			{519 * mib, false, true, false}, // no room for the reserve and bulk
			{520 * mib, true, true, true},
		} {
			disk.set(step.free)
			time.Sleep(2 * time.Second)
			for lane, want := range []bool{grid.Safety: step.safety, grid.Bulk: step.bulk} {
				err := log.Append(t.Context(), grid.Lane(lane), []grid.Frame{{}})
				if want && err != nil || !want && !errors.Is(err, grid.ErrOverloaded) {
					t.Errorf("step %d: %v gave %v: want taken %v", i, grid.Lane(lane), err, want)
				}
				if st := log.Stats(); st.Lanes[lane].Refusing == want || st.ReserveHeld != step.reserve {
					t.Errorf("step %d: stats are %+v", i, st)
				}
			}
			if _, err := os.Stat(disk.reserve); (err == nil) != step.reserve {
				t.Errorf("step %d: reserve: %v", i, err)
			}
		}
	})
}

func TestARestoreRaisesTheEpoch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	log, stop := start(t, dir, plain)
	want := put(t, log, grid.Bulk, 5)
	backup := filepath.Join(t.TempDir(), "backup")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	lost := put(t, log, grid.Bulk, 1)[0].Pos // after the backup
	stop()

	raised := plain
	raised.RaiseEpoch = true
	log, stop = start(t, backup, raised)
	if head := log.Head(grid.Bulk); head != want[4].Pos {
		t.Errorf("head of the backup is %v: want %v", head, want[4].Pos)
	}
	next := put(t, log, grid.Bulk, 1)[0].Pos
	if next.Seq != lost.Seq || next.Epoch != lost.Epoch+1 {
		t.Errorf("the frame after the restore is at %v, the lost one was at %v", next, lost)
	}
	if _, err := log.Get(lost); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("the lost position gave %v: want not found", err)
	}
	stop()
	log, stop = start(t, backup, plain)
	for _, pos := range []grid.Pos{want[0].Pos, next} {
		if _, err := log.Get(pos); err != nil {
			t.Error(err)
		}
	}
	if e := put(t, log, grid.Safety, 1)[0].Pos.Epoch; e != next.Epoch {
		t.Errorf("the other lane goes on in epoch %d", e)
	}
	stop()
}

func TestABackupTakenUnderLoadIsWhole(t *testing.T) {
	log, stop := start(t, filepath.Join(t.TempDir(), "journal"), plain)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := log.Append(ctx, grid.Bulk, []grid.Frame{gatetest.JournalFrame(n)}); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 5 {
		before := log.Head(grid.Bulk).Seq
		to := filepath.Join(t.TempDir(), fmt.Sprint("backup", i))
		if err := log.Backup(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		copied, done := start(t, to, plain)
		n, err := copied.Recount(t.Context())
		if err != nil || n.Heads[grid.Bulk].Seq < before || n.Missing[grid.Bulk] != 0 {
			t.Errorf("backup at head %d has %+v, %v", before, n, err)
		}
		if harm := copied.Stats().Lanes[grid.Bulk].Harm; harm != (journal.Harm{}) {
			t.Errorf("backup is damaged: %+v", harm)
		}
		done()
	}
	cancel()
	wg.Wait()
	stop()
}

func TestReadOnlySeesARunningJournal(t *testing.T) {
	dir := t.TempDir()
	o := plain
	o.SegmentBytes = 4096
	log, stop := start(t, dir, o)
	defer stop()
	want := put(t, log, grid.Bulk, 30)
	r, err := journal.OpenReadOnly(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	later := put(t, log, grid.Bulk, 30)
	if r.Head(grid.Bulk) != want[29].Pos || r.First(grid.Bulk) != 1 || r.Head(grid.Safety).Seq != 0 {
		t.Errorf("read-only is from %d to %v", r.First(grid.Bulk), r.Head(grid.Bulk))
	}
	got, err := r.Read(grid.Bulk, 0, 1000)
	if err != nil || len(got) != 30 || got[29].Pos != want[29].Pos {
		t.Errorf("read %d frames, %v", len(got), err)
	}
	if got, err := r.Read(grid.Bulk, 30, 1000); err != nil || len(got) != 0 {
		t.Errorf("at the end read %d frames, %v", len(got), err)
	}
	if _, err := r.Get(want[7].Pos); err != nil {
		t.Error(err)
	}
	if _, err := r.Get(later[7].Pos); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("a later frame gave %v", err)
	}
	if got, err := r.ByDevice(t.Context(), "sn:1", time.Time{}, time.Time{}, 1000); err != nil || len(got) != 30 {
		t.Errorf("by device read %d frames, %v", len(got), err)
	}
	if got, err := r.Recent(t.Context(), grid.Bulk, 3); err != nil || len(got) != 3 || got[0].Pos != want[29].Pos {
		t.Errorf("recent read %d frames, %v", len(got), err)
	}
	if n, err := r.Recount(t.Context()); err != nil || n.Missing[grid.Bulk] != 0 || n.Heads[grid.Bulk].Seq != 30 {
		t.Errorf("recount is %+v, %v", n, err)
	}
	if _, err := journal.OpenReadOnly(filepath.Join(dir, "none"), nil); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("no journal gave %v: want not found", err)
	}
}

// TestReadOnlyOutlivesRetention: the gateway removes segments under the reader's eyes.
func TestReadOnlyOutlivesRetention(t *testing.T) {
	dir := memory(t)
	o := plain
	o.SegmentBytes, o.RetainBytes = 4096, 20_000
	synctest.Test(t, func(t *testing.T) {
		log, stop := start(t, dir, o)
		put(t, log, grid.Bulk, 100)
		r, err := journal.OpenReadOnly(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(grid.Bulk, 0, 3); err != nil {
			t.Fatal(err)
		}
		log.Release(grid.Bulk, 100)
		time.Sleep(2 * time.Minute)
		got, err := r.Read(grid.Bulk, 10, 1000)
		if err != nil || len(got) == 0 || got[0].Pos.Seq != log.First(grid.Bulk) || got[len(got)-1].Pos.Seq != 100 {
			t.Errorf("after retention read %d frames, %v", len(got), err)
		}
		if harm := r.Harm(grid.Bulk); harm != (journal.Harm{}) {
			t.Errorf("retention counts as damage: %+v", harm)
		}
		r.Close()
		stop()
	})
}

func TestRecountFindsEverySource(t *testing.T) {
	dir := t.TempDir()
	o := plain
	o.SegmentBytes = 4096
	want := make(map[journal.Source]uint64)
	for range 3 {
		log, stop := start(t, dir, o)
		for n := range 200 {
			f := []grid.Frame{gatetest.JournalFrame(n)}
			lane := grid.Lane(n % 2)
			if err := log.Append(t.Context(), lane, f); err != nil {
				t.Fatal(err)
			}
			want[journal.Source{Lane: lane, Transport: f[0].Transport, Source: f[0].Source}]++
		}
		got, err := log.Recount(t.Context())
		if err != nil || !maps.Equal(got.Accepted, want) || got.Missing != [grid.Lanes]uint64{} {
			t.Fatalf("recount is %+v, %v: want %v", got, err, want)
		}
		stop()
	}
}

func TestStatsSayWhatWasCommitted(t *testing.T) {
	var mu sync.Mutex
	frames := 0
	o := plain
	o.OnCommit = func(lane grid.Lane, n, bytes int, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if lane != grid.Bulk || bytes < n*1000 || took <= 0 {
			t.Errorf("commit of %d frames, %d bytes in lane %v took %v", n, bytes, lane, took)
		}
		frames += n
	}
	log, stop := start(t, t.TempDir(), o)
	put(t, log, grid.Bulk, 7)
	st := log.Stats().Lanes[grid.Bulk]
	stop()
	if frames != 7 || st.Frames != 7 || st.Commits == 0 || st.Head.Seq != 7 || st.Segments != 1 || st.Bytes < 7000 ||
		st.WorstCommit < st.LastCommit || st.PendingBytes != 0 || st.PendingFrames != 0 {
		t.Errorf("stats are %+v after %d frames", st, frames)
	}
}
