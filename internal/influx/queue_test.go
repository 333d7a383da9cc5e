package influx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

func openQueue(t *testing.T, dir string, o QueueOptions) *Queue {
	t.Helper()
	q, err := OpenQueue(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func openCut(t *testing.T, dir string, o QueueOptions, mark Mark) *Queue {
	t.Helper()
	q := openQueue(t, dir, o)
	if err := q.Cut(mark); err != nil {
		t.Fatal(err)
	}
	return q
}

func mustAppend(t *testing.T, q *Queue, s string) Mark {
	t.Helper()
	m, err := q.Append([]byte(s + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// kill ends q as kill -9 does: the cursor is not stored.
func kill(q *Queue) {
	q.stored = q.cursor
	q.Close()
}

// takeAll takes what can be read now.
func takeAll(t *testing.T, q *Queue) (out []string, end Mark) {
	t.Helper()
	for {
		b, ok, err := q.take()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out, end
		}
		out, end = append(out, string(b.lines[:len(b.lines)-1])), b.end
	}
}

func wantBlocks(t *testing.T, q *Queue, want ...string) Mark {
	t.Helper()
	got, end := takeAll(t, q)
	if !slices.Equal(got, want) {
		t.Fatalf("read %q: want %q", got, want)
	}
	return end
}

func TestQueueShowsOnlyWhatTheStateCommitted(t *testing.T) {
	q := openCut(t, t.TempDir(), QueueOptions{}, Mark{})
	a := mustAppend(t, q, "a")
	b := mustAppend(t, q, "b")
	wantBlocks(t, q)
	q.Publish(a)
	wantBlocks(t, q, "a")
	q.Publish(b)
	wantBlocks(t, q, "b")
}

func TestQueueTakesBackABatchThatDidNotCommit(t *testing.T) {
	q := openCut(t, t.TempDir(), QueueOptions{}, Mark{})
	a := mustAppend(t, q, "a")
	q.Publish(a)
	wantBlocks(t, q, "a")
	mustAppend(t, q, "failed")
	if err := q.Cut(a); err != nil {
		t.Fatal(err)
	}
	q.Publish(mustAppend(t, q, "again"))
	wantBlocks(t, q, "again")
	if err := q.Cut(a); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("cut behind what is published: %v", err)
	}
}

func TestQueueIsCutAtStartToWhatTheStateRemembers(t *testing.T) {
	dir := t.TempDir()
	q := openCut(t, dir, QueueOptions{SegmentBytes: 40}, Mark{})
	mustAppend(t, q, "a")
	committed := mustAppend(t, q, "b")
	for range 5 { // reaches into later segments
		mustAppend(t, q, "not committed")
	}
	q.Close()

	q = openQueue(t, dir, QueueOptions{})
	if _, err := q.Append([]byte("too early\n")); err == nil {
		t.Error("appended before the cut")
	}
	wantBlocks(t, q)
	if err := q.Cut(committed); err != nil {
		t.Fatal(err)
	}
	q.Publish(mustAppend(t, q, "c"))
	wantBlocks(t, q, "a", "b", "c")
}

func TestQueueCutsATornTail(t *testing.T) {
	dir := t.TempDir()
	q := openCut(t, dir, QueueOptions{}, Mark{})
	a := mustAppend(t, q, "a")
	q.Close()
	path := segmentPath(dir, a.Segment)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(slices.Clone(whole), appendRecord(nil, time.Now(), []byte("torn by a crash\n"))...)
	for n := len(whole); n < len(torn); n++ {
		if err := os.WriteFile(path, torn[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		q := openCut(t, dir, QueueOptions{}, a)
		q.Publish(mustAppend(t, q, "b"))
		wantBlocks(t, q, "a", "b")
		q.Close()
	}
}

func TestQueueSaysWhatTheDiskHasLost(t *testing.T) {
	dir := t.TempDir()
	q := openCut(t, dir, QueueOptions{}, Mark{})
	a := mustAppend(t, q, "a")
	b := mustAppend(t, q, "b")
	q.Close()
	if err := os.Truncate(segmentPath(dir, b.Segment), b.Offset-1); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, dir, QueueOptions{})
	lost, ok := errors.AsType[*LostError](q.Cut(b))
	if !ok || lost.From != a || lost.To != b {
		t.Fatalf("lost %+v: want %s to %s", lost, a, b)
	}
	c := mustAppend(t, q, "c")
	if c.Compare(b) <= 0 {
		t.Errorf("mark %s after %s: want a later one", c, b)
	}
	q.Close()
	q = openCut(t, dir, QueueOptions{}, c)
	wantBlocks(t, q, "a", "c")
	if d := q.Depth(); d.Damaged != 0 {
		t.Errorf("%d bytes are damaged: want the torn end cut off", d.Damaged)
	}
}

func TestQueueWhoseFilesAreGoneSaysSo(t *testing.T) {
	dir := t.TempDir()
	q := openCut(t, dir, QueueOptions{}, Mark{})
	a := mustAppend(t, q, "a")
	q.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, dir, QueueOptions{})
	if _, ok := errors.AsType[*LostError](q.Cut(a)); !ok {
		t.Error("nothing was said of a lost queue")
	}
	if b := mustAppend(t, q, "b"); b.Compare(a) <= 0 {
		t.Errorf("mark %s after %s: want a later one", b, a)
	}
}

func TestQueueIsReadFromTheCursorAfterARestart(t *testing.T) {
	dir := t.TempDir()
	o := QueueOptions{SegmentBytes: 40, CursorEvery: time.Nanosecond}
	q := openCut(t, dir, o, Mark{})
	var marks []Mark
	for i := range 10 {
		marks = append(marks, mustAppend(t, q, fmt.Sprint("block ", i)))
	}
	q.Publish(marks[9])
	q.advance(marks[6])
	q.Close()
	if left, err := listSegments(disk.Machine{}, dir); err != nil || left[0].id != marks[6].Segment {
		t.Errorf("segments %v, %v: want those before %s removed", left, err, marks[6])
	}
	q = openCut(t, dir, o, marks[9])
	wantBlocks(t, q, "block 7", "block 8", "block 9")
	q.advance(marks[9])
	if d := q.Depth(); d.Bytes != 0 || !d.Oldest.IsZero() {
		t.Errorf("depth of an empty queue is %+v", d)
	}
}

func TestQueueWithoutACursorIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	q := openCut(t, dir, QueueOptions{CursorEvery: time.Nanosecond}, Mark{})
	a := mustAppend(t, q, "a")
	q.Publish(a)
	q.advance(a)
	q.Close()
	if err := os.WriteFile(filepath.Join(dir, "cursor"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantBlocks(t, openCut(t, dir, QueueOptions{}, a), "a")
}

// A state restored from a backup cuts the queue behind the cursor. What is appended then
// has the cursor's place, or an earlier one, and must be read all the same.
func TestQueueOfARestoredStateSkipsNothing(t *testing.T) {
	dir := t.TempDir()
	o := QueueOptions{CursorEvery: time.Nanosecond}
	q := openCut(t, dir, o, Mark{})
	old := mustAppend(t, q, "in the backup")
	last := mustAppend(t, q, "after the backup, rather long")
	q.Publish(last)
	q.advance(last)
	q.Close()

	q = openCut(t, dir, o, old)
	again := mustAppend(t, q, "worked out again")
	q.Publish(again)
	kill(q)

	wantBlocks(t, openCut(t, dir, o, again), "worked out again")
}

func TestQueueRefusesWhatIsPastItsLimit(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	q := openCut(t, t.TempDir(), QueueOptions{MaxBytes: 100, Now: func() time.Time { return now }}, Mark{})
	a := mustAppend(t, q, "thirty bytes and some overhead")
	q.Publish(a)
	now = now.Add(time.Minute)
	b := mustAppend(t, q, "thirty more")
	if d := q.Depth(); d.Bytes != b.Offset-segmentHeader || !d.Oldest.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("depth is %+v", d)
	}
	if _, err := q.Append([]byte("thirty that are one too many\n")); !errors.Is(err, ErrQueueFull) {
		t.Fatalf("got %v: want ErrQueueFull", err)
	}
	wantBlocks(t, q, "thirty bytes and some overhead")
	q.advance(a)
	if d := q.Depth(); !d.Oldest.Equal(now) {
		t.Errorf("oldest is %s: want %s", d.Oldest, now)
	}
	q.Publish(mustAppend(t, q, "fits again"))
	wantBlocks(t, q, "thirty more", "fits again")
}

func TestQueueTakesAFullDiskForAFullQueue(t *testing.T) {
	err := noSpace(&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	if !errors.Is(err, ErrQueueFull) || grid.CodeOf(err) != grid.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestFreshBlocksAreNotReadFromDisk(t *testing.T) {
	dir := t.TempDir()
	q := openCut(t, dir, QueueOptions{MemoryBytes: 60}, Mark{})
	var last Mark
	for i := range 4 {
		last = mustAppend(t, q, fmt.Sprint("block ", i))
	}
	q.Publish(last)
	if b, _, err := q.take(); err != nil || string(b.lines) != "block 0\n" || q.reading == nil {
		t.Fatalf("first block is %q, %v: want it from disk", b.lines, err)
	}
	if b, _, err := q.take(); err != nil || string(b.lines) != "block 1\n" {
		t.Fatalf("second block is %q, %v", b.lines, err)
	}
	if err := os.Truncate(segmentPath(dir, last.Segment), 0); err != nil { // memory has the rest
		t.Fatal(err)
	}
	wantBlocks(t, q, "block 2", "block 3")
}

func TestDamagedBlockCostsItsSegmentAndIsCounted(t *testing.T) {
	dir := t.TempDir()
	o := QueueOptions{SegmentBytes: 60}
	q := openCut(t, dir, o, Mark{})
	var marks []Mark
	for i := range 6 {
		marks = append(marks, mustAppend(t, q, fmt.Sprint("block ", i)))
	}
	q.Close()
	if marks[2].Segment != marks[0].Segment || marks[3].Segment == marks[0].Segment {
		t.Fatalf("marks %v: want three blocks in the first segment", marks)
	}
	f, err := os.OpenFile(segmentPath(dir, marks[1].Segment), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("X"), marks[1].Offset-3); err != nil {
		t.Fatal(err)
	}
	f.Close()
	q = openCut(t, dir, o, marks[5])
	wantBlocks(t, q, "block 0", "block 3", "block 4", "block 5")
	if d := q.Depth(); d.Damaged != marks[2].Offset-marks[0].Offset {
		t.Errorf("damaged is %d bytes", d.Damaged)
	}
}

func TestQueueReaderWaitsForABlock(t *testing.T) {
	q := openCut(t, t.TempDir(), QueueOptions{}, Mark{})
	got := make(chan string)
	go func() {
		b, _, _ := q.next(t.Context(), nil)
		got <- string(b.lines)
	}()
	q.Publish(mustAppend(t, q, "a"))
	if s := <-got; s != "a\n" {
		t.Errorf("read %q", s)
	}
	fired := make(chan time.Time)
	close(fired)
	if _, ok, err := q.next(t.Context(), fired); ok || err != nil {
		t.Errorf("got %v, %v after the timeout", ok, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := q.next(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after the end", err)
	}
}

// The queue against a plain model: whatever happens, what InfluxDB gets is what was
// committed, in order, each at least once, and nothing else.
func TestQueueAgainstAModel(t *testing.T) {
	seed := uint64(1)
	for round := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, round))
		if err := runModel(t, rng); err != nil {
			t.Fatalf("seed %d round %d: %v", seed, round, err)
		}
	}
}

func runModel(t *testing.T, rng *rand.Rand) error {
	dir := t.TempDir()
	o := QueueOptions{SegmentBytes: 100, MemoryBytes: int64(rng.IntN(300)), CursorEvery: time.Nanosecond}
	if rng.IntN(2) == 0 {
		o.CursorEvery = time.Hour
	}
	var (
		committed []string
		mark      Mark
		delivered = map[string]bool{}
		last      = -1 // number of the last block taken since the reader began anew
		n         int
	)
	q := openCut(t, dir, o, mark)
	for range 120 {
		switch rng.IntN(7) {
		case 0, 1, 2: // a batch commits
			s := fmt.Sprint("block ", n)
			n++
			mark = mustAppend(t, q, s)
			committed = append(committed, s)
			q.Publish(mark)
		case 3: // a batch does not commit
			mustAppend(t, q, fmt.Sprint("ghost ", n))
			if rng.IntN(2) == 0 {
				if err := q.Cut(mark); err != nil {
					return err
				}
				break
			}
			fallthrough
		case 4: // the process dies
			if rng.IntN(2) == 0 {
				kill(q)
			} else {
				q.Close()
			}
			q = openCut(t, dir, o, mark)
			last = -1
		default: // the reader takes some and may see them stored
			for range rng.IntN(4) {
				b, ok, err := q.take()
				if err != nil {
					return err
				}
				if !ok {
					break
				}
				s := string(b.lines[:len(b.lines)-1])
				i := slices.Index(committed, s)
				if i < 0 {
					return fmt.Errorf("read %q, which was not committed", s)
				}
				if last >= 0 && i != last+1 {
					return fmt.Errorf("read %q after block %d", s, last)
				}
				last = i
				delivered[s] = true
				q.advance(b.end)
			}
		}
	}
	rest, _ := takeAll(t, q)
	for _, s := range rest {
		delivered[s] = true
	}
	for _, s := range committed {
		if !delivered[s] {
			return fmt.Errorf("%q was never read", s)
		}
	}
	return nil
}
