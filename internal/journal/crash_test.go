package journal_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
)

// segmentFiles are the segments of a lane, oldest first.
func segmentFiles(t testing.TB, dir string, lane grid.Lane) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, lane.String(), "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// written makes a journal as a killed gateway leaves it. Its bulk lane has one segment
// for each argument, with that many frames in each of its writes.
func written(t *testing.T, segments ...[]int) (dir string, frames []grid.Frame) {
	t.Helper()
	dir = filepath.Join(memory(t), "journal")
	for _, writes := range segments {
		log, stop := start(t, dir, plain)
		for _, n := range writes {
			batch := make([]grid.Frame, n)
			for i := range batch {
				batch[i] = gatetest.JournalFrame(len(frames) + i + 1)
				batch[i].Raw = append(batch[i].Raw, 1) // no zeros at the end: a lost byte shows
			}
			if err := log.Append(t.Context(), grid.Bulk, batch); err != nil {
				t.Fatal(err)
			}
			frames = append(frames, batch...)
		}
		stop()
		killed(t, dir)
	}
	return dir, frames
}

// killed undoes what only a clean Close does: it removes the empty segments that say
// that the ones before are whole.
func killed(t *testing.T, dir string) {
	t.Helper()
	for lane := range grid.Lane(grid.Lanes) {
		files := segmentFiles(t, dir, lane)
		if err := os.Remove(files[len(files)-1]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAfterACleanCloseAShortFileIsDamage(t *testing.T) {
	dir := filepath.Join(memory(t), "journal")
	log, stop := start(t, dir, plain)
	frames := put(t, log, grid.Bulk, 3)
	stop()
	edit(t, segmentFiles(t, dir, grid.Bulk)[0], func(b []byte) []byte { return b[:len(b)-1] })
	log, stop = start(t, dir, plain)
	if got := survivors(t, log, frames); len(got) != 2 || log.Head(grid.Bulk) != frames[2].Pos {
		t.Errorf("%d frames are there, the head is %v: want 2 of 3, and the third sequence not used again", len(got), log.Head(grid.Bulk))
	}
	if harm := log.Stats().Lanes[grid.Bulk].Harm; harm.Missing != 1 {
		t.Errorf("harm is %+v: want 1 missing", harm)
	}
	goesOn(t, log)
	stop()
}

// copyOf copies a journal, so that it can be damaged.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(dir, "..", "copy")
	err := os.RemoveAll(to)
	if err == nil {
		err = os.CopyFS(to, os.DirFS(dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(slices.Clone(b)), 0o640)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// survivors reads the bulk lane and checks that what is there is as it was written and
// in order. It returns the sequences.
func survivors(t *testing.T, log *journal.Log, want []grid.Frame) map[uint64]bool {
	t.Helper()
	got := make(map[uint64]bool)
	for after, head := uint64(0), log.Head(grid.Bulk).Seq; after < head; {
		frames, err := log.Next(soon(t), grid.Bulk, after, 100)
		if err != nil {
			break // nothing readable up to the head
		}
		for _, f := range frames {
			if f.Pos.Seq <= after || f.Pos.Seq > uint64(len(want)) || f.Address != want[f.Pos.Seq-1].Address ||
				!bytes.Equal(f.Raw, want[f.Pos.Seq-1].Raw) || f.Identity != want[f.Pos.Seq-1].Identity {
				t.Fatalf("frame %v after %d is %q: it was never written so", f.Pos, after, f.Address)
			}
			after = f.Pos.Seq
			got[after] = true
		}
	}
	return got
}

// goesOn checks that the journal takes a frame, under the next sequence.
func goesOn(t *testing.T, log *journal.Log) {
	t.Helper()
	head := log.Head(grid.Bulk).Seq
	f := []grid.Frame{gatetest.JournalFrame(99)}
	if err := log.Append(t.Context(), grid.Bulk, f); err != nil || f[0].Pos.Seq != head+1 {
		t.Fatalf("after %d a frame went to %v, %v", head, f[0].Pos, err)
	}
	if back, err := log.Get(f[0].Pos); err != nil || back.Address != f[0].Address {
		t.Fatalf("it came back as %q, %v", back.Address, err)
	}
}

func TestATornTailIsCutAtEveryByte(t *testing.T) {
	dir, frames := written(t, []int{3, 2, 4})
	whole, err := os.ReadFile(segmentFiles(t, dir, grid.Bulk)[0])
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 500)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	ends := recordEnds(t, whole, len(frames))
	for name, tail := range map[string][]byte{"Missing": nil, "Zeros": make([]byte, 5000), "Garbage": noise} {
		t.Run(name, func(t *testing.T) {
			// From the start of the last write on, nothing had been acknowledged.
			for cut := ends[4]; cut <= ends[8]; cut++ {
				damaged := copyOf(t, dir)
				path := segmentFiles(t, damaged, grid.Bulk)[0]
				edit(t, path, func(b []byte) []byte { return append(b[:cut], tail...) })
				log, stop := start(t, damaged, plain)
				want := 0
				for _, end := range ends {
					if end <= cut {
						want++
					}
				}
				if got := survivors(t, log, frames); len(got) != want || log.Head(grid.Bulk).Seq != uint64(want) {
					t.Fatalf("cut at %d: %d frames, head %v: want %d", cut, len(got), log.Head(grid.Bulk), want)
				}
				if harm := log.Stats().Lanes[grid.Bulk].Harm; harm != (journal.Harm{}) {
					t.Fatalf("cut at %d counts as damage: %+v", cut, harm)
				}
				goesOn(t, log)
				stop()
			}
		})
	}
}

// recordEnds finds where each of n records ends, from the lengths in a good segment.
func recordEnds(t *testing.T, b []byte, n int) []int {
	t.Helper()
	at := int(b[28]) | int(b[29])<<8 // header size
	ends := make([]int, 0, n)
	for range n {
		at += 8 + int(b[at+4]) | int(b[at+5])<<8
		ends = append(ends, at)
	}
	if at != len(b) {
		t.Fatalf("records end at %d of %d", at, len(b))
	}
	return ends
}

// TestADamagedByteCostsOnlyItsFrame flips every byte of a segment: of a sealed one, and
// of the newest before its last write. One frame may be lost then, and is counted.
func TestADamagedByteCostsOnlyItsFrame(t *testing.T) {
	for name, segments := range map[string][][]int{"Sealed": {{3, 2}, {2}}, "Newest": {{3, 2, 2}}} {
		t.Run(name, func(t *testing.T) {
			dir, frames := written(t, segments...)
			whole, err := os.ReadFile(segmentFiles(t, dir, grid.Bulk)[0])
			if err != nil {
				t.Fatal(err)
			}
			end := len(whole)
			if name == "Newest" {
				end = recordEnds(t, whole, len(frames))[4]
			}
			for at := range end {
				damaged := copyOf(t, dir)
				edit(t, segmentFiles(t, damaged, grid.Bulk)[0], func(b []byte) []byte { b[at] ^= 0x41; return b })
				log, stop := start(t, damaged, plain)
				got := survivors(t, log, frames)
				harm := log.Stats().Lanes[grid.Bulk].Harm
				if lost := len(frames) - len(got); lost > 1 || int(harm.Missing) != lost || harm.Places == 0 {
					t.Fatalf("byte %d: lost %d, counted %+v", at, lost, harm)
				}
				goesOn(t, log)
				if n, err := log.Recount(t.Context()); err != nil || n.Missing[grid.Bulk] != harm.Missing {
					t.Fatalf("byte %d: recount misses %d, %v: want %d", at, n.Missing[grid.Bulk], err, harm.Missing)
				}
				stop()
			}
		})
	}
}

func TestASegmentThatWasNeverFinishedIsReplaced(t *testing.T) {
	dir, frames := written(t, []int{5})
	for name, content := range map[string]int{"Empty": 0, "Zeros": 1 << 20, "HeaderOnly": -1} {
		t.Run(name, func(t *testing.T) {
			damaged := copyOf(t, dir)
			if content < 0 {
				_, stop := start(t, damaged, plain) // makes one, and writes nothing
				stop()
			} else {
				path := filepath.Join(damaged, "bulk", fmt.Sprintf("%020d-1-%08x.seg", 6, 77))
				if err := os.WriteFile(path, make([]byte, content), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			log, stop := start(t, damaged, plain)
			if got := survivors(t, log, frames); len(got) != len(frames) {
				t.Errorf("%d of %d frames are there", len(got), len(frames))
			}
			goesOn(t, log)
			if st := log.Stats().Lanes[grid.Bulk]; st.Harm != (journal.Harm{}) || st.Segments != 2 {
				t.Errorf("stats: %+v", st)
			}
			stop()
		})
	}
}

// TestALeftOverEmptySegmentNeverHidesItsTwin: a crash may bring back the empty segment
// that Open had replaced by one with the same first sequence.
func TestALeftOverEmptySegmentNeverHidesItsTwin(t *testing.T) {
	dir, frames := written(t, []int{3}, []int{4})
	for _, salt := range []uint32{0, 0xffffffff} { // sorts before and after
		damaged := copyOf(t, dir)
		path := filepath.Join(damaged, "bulk", fmt.Sprintf("%020d-1-%08x.seg", 4, salt))
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o640); err != nil {
			t.Fatal(err)
		}
		log, stop := start(t, damaged, plain)
		if got := survivors(t, log, frames); len(got) != len(frames) {
			t.Errorf("%d of %d frames are there", len(got), len(frames))
		}
		goesOn(t, log)
		stop()
	}
}

func TestAMissingSegmentIsCounted(t *testing.T) {
	dir, frames := written(t, []int{3}, []int{4}, []int{2})
	if err := os.Remove(segmentFiles(t, dir, grid.Bulk)[1]); err != nil {
		t.Fatal(err)
	}
	log, stop := start(t, dir, plain)
	defer stop()
	if got := survivors(t, log, frames); len(got) != 5 {
		t.Errorf("%d frames are there", len(got))
	}
	if harm := log.Stats().Lanes[grid.Bulk].Harm; harm.Missing != 4 {
		t.Errorf("harm is %+v: want 4 missing", harm)
	}
}

func TestADamagedOrMissingIndexIsMadeAgain(t *testing.T) {
	dir, frames := written(t, []int{30}, []int{30})
	fast := plain
	fast.Poll = time.Millisecond
	log, stop := start(t, dir, fast)
	index := indexOf(t, dir)
	stop()
	whole, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := byDevice(t, log, frames) // closed, and still readable
	for at := -1; at < len(whole); at++ {
		if at < 0 {
			err = os.Remove(index)
		} else {
			damaged := slices.Clone(whole)
			damaged[at] ^= 0x41
			err = os.WriteFile(index, damaged, 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
		log, err := journal.Open(dir, fast) // does not run yet
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := byDevice(t, log, frames); got != want {
			t.Fatalf("byte %d: by device found\n%s, want\n%s", at, got, want)
		}
		log.Close()
	}
	log, stop = start(t, dir, fast)
	byDevice(t, log, frames)
	eventually(t, "the index is as it was", func() bool {
		b, err := os.ReadFile(index)
		return err == nil && bytes.Equal(b, whole)
	})
	stop()
}

// indexOf waits for the index of the first bulk segment.
func indexOf(t *testing.T, dir string) string {
	t.Helper()
	seg := segmentFiles(t, dir, grid.Bulk)[0]
	index := seg[:len(seg)-len(".seg")] + ".idx"
	eventually(t, "the first segment is indexed", func() bool { _, err := os.Stat(index); return err == nil })
	return index
}

// byDevice looks up every device of frames and prints what it finds.
func byDevice(t *testing.T, log *journal.Log, frames []grid.Frame) (string, int) {
	t.Helper()
	var out bytes.Buffer
	n := 0
	seen := make(map[grid.Identity]bool)
	for _, f := range frames {
		if seen[f.Identity] {
			continue
		}
		seen[f.Identity] = true
		got, err := log.ByDevice(t.Context(), f.Identity, time.Time{}, time.Time{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		n += len(got)
		for _, f := range got {
			fmt.Fprintln(&out, f.Identity, f.Pos, f.Address)
		}
	}
	return out.String(), n
}
