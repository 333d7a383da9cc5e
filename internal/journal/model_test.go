package journal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
)

// TestTheJournalIsLikeItsModel does the same to a journal and to a list in memory, at
// random, and compares what they show. GRIDGATE_SEED names another course of events.
func TestTheJournalIsLikeItsModel(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4}
	if s := os.Getenv("GRIDGATE_SEED"); s != "" {
		seeds = seeds[:1]
		if _, err := fmt.Sscan(s, &seeds[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("Seed=%d", seed), func(t *testing.T) {
			dir := filepath.Join(memory(t), "journal")
			synctest.Test(t, func(t *testing.T) {
				m := &model{r: rand.New(rand.NewPCG(seed, 0)), dir: dir}
				m.o = plain
				m.o.SegmentBytes = 4096 << m.r.IntN(6)
				m.o.RecentBytes = []int64{-1, 2000, 50_000, 0}[m.r.IntN(4)]
				m.o.RetainAge, m.o.SegmentAge = time.Hour, 10*time.Minute
				m.start(t)
				for i := range 1500 {
					m.step(t)
					if t.Failed() {
						t.Fatalf("after step %d", i)
					}
				}
				m.stop()
			})
		})
	}
}

type model struct {
	r    *rand.Rand
	dir  string
	o    journal.Options
	log  *journal.Log
	stop func()

	frames   [grid.Lanes][]grid.Frame // frame i has sequence i+1
	released [grid.Lanes]uint64
	cursor   [grid.Lanes]uint64
	unpin    func()
	n        int
}

func (m *model) start(t *testing.T) { m.log, m.stop = start(t, m.dir, m.o) }

func (m *model) step(t *testing.T) {
	lane := grid.Lane(m.r.IntN(grid.Lanes))
	switch m.r.IntN(20) {
	case 0, 1, 2, 3, 4, 5:
		m.append(t, lane)
	case 6, 7, 8, 9:
		m.follow(t, lane)
	case 10, 11:
		m.readFrom(t, lane)
	case 12:
		m.get(t, lane)
	case 13:
		m.byDevice(t)
	case 14:
		m.recent(t, lane)
	case 15:
		time.Sleep(time.Duration(m.r.IntN(30)) * time.Minute)
	case 16:
		m.release(lane)
	case 17:
		m.recount(t)
	case 18:
		if m.unpin == nil {
			m.unpin = m.log.Pin()
		} else {
			m.unpin()
			m.unpin = nil
		}
	case 19:
		m.reopen(t)
	}
}

func (m *model) append(t *testing.T, lane grid.Lane) {
	frames := make([]grid.Frame, 1+m.r.IntN(1<<m.r.IntN(7)))
	for i := range frames {
		m.n++
		frames[i] = gatetest.JournalFrame(m.n)
		if m.r.IntN(50) == 0 {
			frames[i].Raw = make([]byte, m.r.IntN(20_000))
		}
		if m.r.IntN(3) == 0 {
			frames[i].Received = time.Time{}
		}
	}
	if err := m.log.Append(t.Context(), lane, frames); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if want := uint64(len(m.frames[lane]) + 1); f.Pos.Seq != want {
			t.Fatalf("a frame went to %v: want %d", f.Pos, want)
		}
		if len(f.Raw) == 0 {
			f.Raw = nil
		}
		m.frames[lane] = append(m.frames[lane], f)
	}
}

// follow reads on where the last read ended, as the engine does.
func (m *model) follow(t *testing.T, lane grid.Lane) {
	m.cursor[lane] = m.read(t, lane, m.cursor[lane])
}

func (m *model) readFrom(t *testing.T, lane grid.Lane) {
	m.read(t, lane, m.r.Uint64N(uint64(len(m.frames[lane])+1)))
}

func (m *model) read(t *testing.T, lane grid.Lane, after uint64) uint64 {
	all := m.frames[lane]
	limit := 1 + m.r.IntN(100)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	oldest := m.log.First(lane) // retention goes on meanwhile: it is between this and what it is afterwards
	got, err := m.log.Next(ctx, lane, after, limit)
	if after == uint64(len(all)) {
		if err != context.DeadlineExceeded {
			t.Errorf("at the end next gave %d frames, %v", len(got), err)
		}
		return after
	}
	if err != nil || len(got) == 0 || len(got) > limit {
		// What was removed up to the end has nothing after it to show.
		if err == context.DeadlineExceeded && m.log.First(lane) == uint64(len(all)+1) {
			return after
		}
		t.Fatalf("next after %d of %d gave %d frames, %v", after, len(all), len(got), err)
	}
	first := got[0].Pos.Seq
	if first != after+1 && (first < oldest || first > m.log.First(lane) || first < after+1 || first > m.released[lane]+1) {
		t.Fatalf("next after %d begins at %d: first is %d to %d, released %d", after, first, oldest, m.log.First(lane), m.released[lane])
	}
	want := make([]grid.Frame, len(got))
	for i, f := range got {
		// A segment that is removed during the read leaves a hole, of released frames only.
		if hole := i > 0 && f.Pos.Seq != got[i-1].Pos.Seq+1; hole && (f.Pos.Seq <= got[i-1].Pos.Seq || f.Pos.Seq > m.released[lane]+1) {
			t.Fatalf("next after %d: %d comes after %d, released %d", after, f.Pos.Seq, got[i-1].Pos.Seq, m.released[lane])
		}
		want[i] = all[f.Pos.Seq-1]
	}
	m.same(t, got, want)
	return got[len(got)-1].Pos.Seq
}

func (m *model) same(t *testing.T, got, want []grid.Frame) {
	t.Helper()
	for i := range got {
		if i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("frame %d of %d is\n%+v", i, len(want), got[i])
		}
	}
	if len(got) < len(want) {
		t.Fatalf("got %d frames: want %d", len(got), len(want))
	}
}

func (m *model) get(t *testing.T, lane grid.Lane) {
	if len(m.frames[lane]) == 0 {
		return
	}
	want := m.frames[lane][m.r.IntN(len(m.frames[lane]))]
	got, err := m.log.Get(want.Pos)
	if grid.CodeOf(err) == grid.NotFound && want.Pos.Seq < m.log.First(lane) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.same(t, []grid.Frame{got}, []grid.Frame{want})
}

func (m *model) byDevice(t *testing.T) {
	defer m.log.Pin()() // retention may be at work
	id := gatetest.JournalFrame(1 + m.r.IntN(7)).Identity
	var want []grid.Frame
	for lane, frames := range m.frames {
		first := m.log.First(grid.Lane(lane))
		for _, f := range slices.Backward(frames) {
			if f.Identity == id && f.Pos.Seq >= first {
				want = append(want, f)
			}
		}
	}
	got, err := m.log.ByDevice(t.Context(), id, time.Time{}, time.Time{}, len(want)+1)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(want, func(a, b grid.Frame) int { return b.Received.Compare(a.Received) })
	m.same(t, got, want)
}

func (m *model) recent(t *testing.T, lane grid.Lane) {
	all := m.frames[lane]
	limit := m.r.IntN(30)
	got, err := m.log.Recent(t.Context(), lane, limit)
	if err != nil {
		t.Fatal(err)
	}
	kept := uint64(len(all)) + 1 - m.log.First(lane)
	if len(got) < int(min(uint64(limit), kept)) {
		t.Fatalf("recent %d gave %d of %d kept", limit, len(got), kept)
	}
	slices.Reverse(got)
	m.same(t, got, all[len(all)-len(got):])
}

func (m *model) release(lane grid.Lane) {
	m.released[lane] = max(m.released[lane], m.r.Uint64N(uint64(len(m.frames[lane])+1)))
	m.log.Release(lane, m.released[lane])
}

func (m *model) recount(t *testing.T) {
	want := make(map[journal.Source]uint64)
	for lane, frames := range m.frames {
		for _, f := range frames {
			want[journal.Source{Lane: grid.Lane(lane), Transport: f.Transport, Source: f.Source}]++
		}
		if head := m.log.Head(grid.Lane(lane)).Seq; head != uint64(len(frames)) {
			t.Fatalf("head is %d after %d frames", head, len(frames))
		}
	}
	got, err := m.log.Recount(t.Context())
	if err != nil || !reflect.DeepEqual(got.Accepted, want) || got.Missing != [grid.Lanes]uint64{} {
		t.Fatalf("recount is %+v, %v: want %v", got, err, want)
	}
}

// reopen closes and opens the journal, or, as after kill -9, leaves the zeros of the
// newest segment and part of a write that nobody was answered.
func (m *model) reopen(t *testing.T) {
	m.stop()
	m.unpin = nil
	if m.r.IntN(2) == 0 {
		lane := grid.Lane(m.r.IntN(grid.Lanes))
		if files := segmentFiles(t, m.dir, lane); len(files) > 1 {
			if err := os.Remove(files[len(files)-1]); err != nil { // which says that the others are whole
				t.Fatal(err)
			}
			files = files[:len(files)-1]
			noise := make([]byte, m.r.IntN(3000))
			for i := range noise {
				noise[i] = byte(m.r.Uint32() & m.r.Uint32() & m.r.Uint32())
			}
			edit(t, files[len(files)-1], func(b []byte) []byte { return append(append(b, noise...), make([]byte, 1<<16)...) })
		}
	}
	if m.r.IntN(5) == 0 {
		m.o.RaiseEpoch = true
	}
	m.start(t)
	m.o.RaiseEpoch = false
	for lane, upTo := range m.released {
		m.log.Release(grid.Lane(lane), upTo)
	}
}
