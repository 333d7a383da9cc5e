package gatetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// Journal is what the gateway asks of its frame log. TestJournal says what each method
// promises.
type Journal interface {
	Run(ctx context.Context) error
	Append(ctx context.Context, lane grid.Lane, frames []grid.Frame) error
	Next(ctx context.Context, lane grid.Lane, after uint64, limit int) ([]grid.Frame, error)
	Head(lane grid.Lane) grid.Pos
	First(lane grid.Lane) uint64
	Get(pos grid.Pos) (grid.Frame, error)
	ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error)
	Recent(ctx context.Context, lane grid.Lane, limit int) ([]grid.Frame, error)
	Release(lane grid.Lane, upTo uint64)
	Close() error
}

// TestJournal checks the promises of a journal. open opens the journal in dir; opened
// again after Close it has what it had. Frames of up to 1 MiB must be taken.
func TestJournal(t *testing.T, open func(t *testing.T, dir string) Journal) {
	for name, test := range map[string]func(*testing.T, *journalSuite){
		"FramesComeBackAsTheyWere":                  framesComeBack,
		"SequencesCountFromOneInEachLane":           sequencesCount,
		"ReceivedIsStampedOnlyWhenZero":             receivedIsStamped,
		"OneAppendIsContiguous":                     oneAppendIsContiguous,
		"ManyCallersEachGetTheirOwnPlace":           manyCallers,
		"NextWaitsForAFrame":                        nextWaits,
		"NextEndsWithItsContext":                    nextEndsWithContext,
		"NextKeepsItsLimit":                         nextKeepsLimit,
		"FramesHandedOutAreTheCallers":              framesAreTheCallers,
		"ACursorPastTheEndIsAConflict":              cursorPastTheEnd,
		"WhatWasAcknowledgedIsThereAfterReopening":  thereAfterReopening,
		"SequencesGoOnAfterReopening":               sequencesGoOn,
		"GetFindsAFrameByItsWholePosition":          getByPosition,
		"ByDeviceIsNewestFirstOverBothLanes":        byDeviceNewestFirst,
		"ByDeviceStaysWithinItsTimes":               byDeviceWithinTimes,
		"RecentIsNewestFirst":                       recentNewestFirst,
		"ReleaseAloneRemovesNothingThatIsYoung":     releaseKeepsYoung,
		"WhatCanNeverBeKeptIsInvalid":               neverKeptIsInvalid,
		"AnAppendWhoseContextHasEndedLeavesNoTrace": endedContext,
		"AfterCloseNothingIsTaken":                  afterClose,
		"NothingToAppendIsNoError":                  nothingToAppend,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &journalSuite{open: open, dir: t.TempDir()}
			s.start(t)
			test(t, s)
		})
	}
}

// journalSuite is one running journal.
type journalSuite struct {
	open func(*testing.T, string) Journal
	dir  string
	Journal
	stop func()
}

func (s *journalSuite) start(t *testing.T) {
	t.Helper()
	j := s.open(t, s.dir)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := j.Run(context.Background()); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	s.Journal = j
	s.stop = sync.OnceFunc(func() {
		if err := j.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		wg.Wait()
	})
	t.Cleanup(s.stop)
}

func (s *journalSuite) reopen(t *testing.T) {
	t.Helper()
	s.stop()
	s.start(t)
}

// context of a test ends before the test binary would.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (s *journalSuite) append(t *testing.T, lane grid.Lane, frames ...grid.Frame) []grid.Frame {
	t.Helper()
	if err := s.Append(testContext(t), lane, frames); err != nil {
		t.Fatalf("append: %v", err)
	}
	return frames
}

// all reads lane from the start to its head.
func (s *journalSuite) all(t *testing.T, lane grid.Lane) []grid.Frame {
	t.Helper()
	var out []grid.Frame
	for after := uint64(0); after < s.Head(lane).Seq; {
		frames, err := s.Next(testContext(t), lane, after, 100)
		if err != nil {
			t.Fatalf("next after %d: %v", after, err)
		}
		out = append(out, frames...)
		after = frames[len(frames)-1].Pos.Seq
	}
	return out
}

// JournalFrame makes a frame that is a function of n, with every field the journal keeps.
func JournalFrame(n int) grid.Frame {
	f := grid.Frame{
		Identity:  grid.Identity(fmt.Sprintf("eui:24e124%010x", n%7)),
		Transport: []string{"mqtt", "coap", "serial"}[n%3],
		Source:    fmt.Sprintf("source-%d", n%5),
		Address:   fmt.Sprintf("application/1/device/%d/event/up", n),
		Envelope:  []string{"native", "chirpstack", ""}[n%3],
		Flags:     grid.FrameFlags(n % 32),
		Received:  time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(n) * 1234567891),
		Raw:       bytes.Repeat([]byte{byte(n), byte(n >> 8), 0xff, 0}, n%97),
	}
	if n%11 == 0 {
		f.Identity, f.Note = "", "topic has no identity"
	}
	if len(f.Raw) == 0 {
		f.Raw = nil
	}
	return f
}

func journalFrames(from, n int) []grid.Frame {
	out := make([]grid.Frame, n)
	for i := range out {
		out[i] = JournalFrame(from + i)
	}
	return out
}

func sameFrames(t *testing.T, what string, got, want []grid.Frame) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d frames, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%s: frame %d is\n%+v, want\n%+v", what, i, got[i], want[i])
		}
	}
}

func framesComeBack(t *testing.T, s *journalSuite) {
	frames := journalFrames(0, 200)
	frames = append(frames, grid.Frame{Received: time.Unix(1, 1).UTC()})
	frames = append(frames, grid.Frame{Received: time.Unix(1, 2).UTC(), Raw: bytes.Repeat([]byte("\x00\xffa"), 1<<20/3)})
	want := s.append(t, grid.Bulk, frames...)
	sameFrames(t, "fresh", s.all(t, grid.Bulk), want)
	s.reopen(t)
	sameFrames(t, "after reopening", s.all(t, grid.Bulk), want)

	f := JournalFrame(1)
	f.Uplink = grid.Uplink{Port: 7, Gateway: "gw", Payload: []byte{1}}
	got := s.append(t, grid.Bulk, f)
	if got[0].Port != 7 {
		t.Error("append changed the uplink of the caller's frame")
	}
	back, err := s.Get(got[0].Pos)
	if err != nil || !reflect.DeepEqual(back.Uplink, grid.Uplink{}) {
		t.Errorf("the uplink came back as %+v, %v: it is not for the journal to keep", back.Uplink, err)
	}
}

func sequencesCount(t *testing.T, s *journalSuite) {
	for lane := range grid.Lane(grid.Lanes) {
		if head, first := s.Head(lane), s.First(lane); head.Seq != 0 || first != 1 {
			t.Errorf("an empty %s lane has head %v and first %d", lane, head, first)
		}
		for i := range 10 {
			got := s.append(t, lane, JournalFrame(i))[0].Pos
			if got.Lane != lane || got.Epoch == 0 || got.Seq != uint64(i+1) {
				t.Fatalf("frame %d of %s is at %v", i, lane, got)
			}
			if head := s.Head(lane); head != got {
				t.Fatalf("head is %v after %v", head, got)
			}
		}
	}
}

func receivedIsStamped(t *testing.T, s *journalSuite) {
	before := time.Now()
	given := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("CST", 8*3600))
	got := s.append(t, grid.Safety, grid.Frame{}, grid.Frame{Received: given})
	if r := got[0].Received; r.Before(before.Add(-time.Second)) || r.After(time.Now().Add(time.Second)) || r.Location() != time.UTC {
		t.Errorf("a frame without a time was stamped %v", r)
	}
	if !got[1].Received.Equal(given) {
		t.Errorf("received %v became %v", given, got[1].Received)
	}
	back := s.all(t, grid.Safety)
	if !back[0].Received.Equal(got[0].Received) || !back[1].Received.Equal(given) || back[1].Received.Location() != time.UTC {
		t.Errorf("received came back as %v and %v", back[0].Received, back[1].Received)
	}
}

func oneAppendIsContiguous(t *testing.T, s *journalSuite) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				frames := journalFrames(1, 9)
				if err := s.Append(testContext(t), grid.Bulk, frames); err != nil {
					t.Error(err)
					return
				}
				for i := range frames {
					if frames[i].Pos.Seq != frames[0].Pos.Seq+uint64(i) {
						t.Errorf("one append got %v and %v", frames[0].Pos, frames[i].Pos)
					}
				}
			}
		})
	}
	wg.Wait()
}

func manyCallers(t *testing.T, s *journalSuite) {
	const callers, each = 50, 20
	var mu sync.Mutex
	want := make(map[uint64]string)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			var last uint64
			for i := range each {
				f := []grid.Frame{{Address: fmt.Sprintf("%d/%d", c, i)}}
				if err := s.Append(testContext(t), grid.Bulk, f); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if _, twice := want[f[0].Pos.Seq]; twice || f[0].Pos.Seq <= last {
					t.Errorf("sequence %d was given twice or out of order", f[0].Pos.Seq)
				}
				want[f[0].Pos.Seq] = f[0].Address
				last = f[0].Pos.Seq
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i, f := range s.all(t, grid.Bulk) {
		if f.Pos.Seq != uint64(i+1) || f.Address != want[f.Pos.Seq] {
			t.Fatalf("frame %d is %v %q, its caller was told %q", i, f.Pos, f.Address, want[uint64(i+1)])
		}
	}
}

func nextWaits(t *testing.T, s *journalSuite) {
	s.append(t, grid.Bulk, JournalFrame(1))
	got := make(chan []grid.Frame, 1)
	go func() {
		frames, err := s.Next(testContext(t), grid.Bulk, 1, 10)
		if err != nil {
			t.Error(err)
		}
		got <- frames
	}()
	s.append(t, grid.Safety, JournalFrame(2)) // of no interest
	want := s.append(t, grid.Bulk, JournalFrame(3))
	sameFrames(t, "next", <-got, want)
}

func nextEndsWithContext(t *testing.T, s *journalSuite) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if frames, err := s.Next(ctx, grid.Bulk, 0, 10); !errors.Is(err, context.Canceled) || len(frames) > 0 {
		t.Errorf("next gave %d frames and %v", len(frames), err)
	}
}

func nextKeepsLimit(t *testing.T, s *journalSuite) {
	want := s.append(t, grid.Bulk, journalFrames(0, 30)...)
	for _, limit := range []int{1, 7, 30, 1000} {
		frames, err := s.Next(testContext(t), grid.Bulk, 3, limit)
		if err != nil || len(frames) == 0 || len(frames) > limit {
			t.Fatalf("limit %d gave %d frames, %v", limit, len(frames), err)
		}
		sameFrames(t, "next", frames, want[3:3+len(frames)])
	}
}

func framesAreTheCallers(t *testing.T, s *journalSuite) {
	want := s.append(t, grid.Bulk, journalFrames(0, 5)...)
	frames, err := s.Next(testContext(t), grid.Bulk, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		frames[i].Uplink.Port, frames[i].Identity = 9, "eui:changed"
	}
	sameFrames(t, "read again", s.all(t, grid.Bulk), want)
}

func cursorPastTheEnd(t *testing.T, s *journalSuite) {
	s.append(t, grid.Bulk, journalFrames(0, 5)...)
	if _, err := s.Next(testContext(t), grid.Bulk, 6, 10); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a cursor past the end gave %v: want a conflict", err)
	}
}

func thereAfterReopening(t *testing.T, s *journalSuite) {
	var want []grid.Frame
	for i := range 5 {
		want = append(want, s.append(t, grid.Safety, journalFrames(100*i, 10)...)...)
		s.reopen(t)
		sameFrames(t, "after reopening", s.all(t, grid.Safety), want)
	}
}

func sequencesGoOn(t *testing.T, s *journalSuite) {
	for i := range 4 {
		if got := s.append(t, grid.Bulk, JournalFrame(i))[0].Pos.Seq; got != uint64(i+1) {
			t.Fatalf("frame %d is at %d", i, got)
		}
		s.reopen(t)
		s.reopen(t) // with nothing written between
		if head := s.Head(grid.Bulk).Seq; head != uint64(i+1) {
			t.Fatalf("head is %d after reopening", head)
		}
	}
}

func getByPosition(t *testing.T, s *journalSuite) {
	want := s.append(t, grid.Bulk, journalFrames(0, 20)...)
	for range 2 {
		for _, f := range want {
			got, err := s.Get(f.Pos)
			if err != nil {
				t.Fatal(err)
			}
			sameFrames(t, "get", []grid.Frame{got}, []grid.Frame{f})
		}
		p := want[3].Pos
		for _, pos := range []grid.Pos{
			{}, {Lane: grid.Bulk, Epoch: p.Epoch}, {Lane: grid.Bulk, Epoch: p.Epoch, Seq: 21},
			{Lane: grid.Safety, Epoch: p.Epoch, Seq: p.Seq}, {Lane: grid.Bulk, Epoch: p.Epoch + 1, Seq: p.Seq}, {Lane: 9, Epoch: p.Epoch, Seq: 1},
		} {
			if _, err := s.Get(pos); grid.CodeOf(err) != grid.NotFound {
				t.Errorf("get %v gave %v: want not found", pos, err)
			}
		}
		s.reopen(t)
	}
}

func byDeviceNewestFirst(t *testing.T, s *journalSuite) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []grid.Frame
	for i := range 40 {
		f := grid.Frame{Identity: "sn:one", Received: start.Add(time.Duration(i) * time.Minute), Raw: []byte{byte(i)}}
		want = append([]grid.Frame{s.append(t, grid.Lane(i/4%2), f)[0]}, want...)
		s.append(t, grid.Bulk, grid.Frame{Identity: "sn:another", Received: f.Received})
		if i == 20 {
			s.reopen(t)
		}
	}
	for _, limit := range []int{1, 7, 40, 100} {
		got, err := s.ByDevice(testContext(t), "sn:one", time.Time{}, time.Time{}, limit)
		if err != nil {
			t.Fatal(err)
		}
		sameFrames(t, "by device", got, want[:min(limit, len(want))])
	}
	if got, err := s.ByDevice(testContext(t), "sn:nobody", time.Time{}, time.Time{}, 10); err != nil || len(got) > 0 {
		t.Errorf("an unknown device has %d frames, %v", len(got), err)
	}
}

func byDeviceWithinTimes(t *testing.T, s *journalSuite) {
	at := func(m int) time.Time { return time.Date(2026, 1, 1, 0, m, 0, 0, time.UTC) }
	var all []grid.Frame
	for i := range 10 {
		all = append(all, s.append(t, grid.Bulk, grid.Frame{Identity: "sn:one", Received: at(i)})[0])
	}
	got, err := s.ByDevice(testContext(t), "sn:one", at(3), at(6), 100)
	if err != nil {
		t.Fatal(err)
	}
	sameFrames(t, "from minute 3 until before 6", got, []grid.Frame{all[5], all[4], all[3]})
	if got, err = s.ByDevice(testContext(t), "sn:one", at(8), time.Time{}, 100); err != nil {
		t.Fatal(err)
	}
	sameFrames(t, "from minute 8", got, []grid.Frame{all[9], all[8]})
}

func recentNewestFirst(t *testing.T, s *journalSuite) {
	want := s.append(t, grid.Bulk, journalFrames(0, 9)...)
	for range 2 {
		for _, limit := range []int{0, 1, 5, 9, 50} {
			got, err := s.Recent(testContext(t), grid.Bulk, limit)
			if err != nil || len(got) != min(limit, len(want)) {
				t.Fatalf("recent %d gave %d, %v", limit, len(got), err)
			}
			for i := range got {
				if !reflect.DeepEqual(got[i], want[len(want)-1-i]) {
					t.Fatalf("recent %d: frame %d is %v", limit, i, got[i].Pos)
				}
			}
		}
		s.reopen(t)
	}
}

func releaseKeepsYoung(t *testing.T, s *journalSuite) {
	f := JournalFrame(1)
	f.Received = time.Time{}
	want := s.append(t, grid.Bulk, f)
	s.Release(grid.Bulk, 1)
	s.reopen(t)
	s.Release(grid.Bulk, 1)
	sameFrames(t, "after release", s.all(t, grid.Bulk), want)
}

func neverKeptIsInvalid(t *testing.T, s *journalSuite) {
	for what, f := range map[string]grid.Frame{
		"raw of more than 1 MiB": {Raw: make([]byte, 1<<20+1)},
		"address of 1 MiB":       {Address: string(make([]byte, 1<<20))},
	} {
		frames := []grid.Frame{JournalFrame(1), f}
		if err := s.Append(testContext(t), grid.Bulk, frames); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s gave %v: want invalid", what, err)
		}
		if !frames[0].Pos.IsZero() {
			t.Errorf("%s: the other frame of the append got a position", what)
		}
	}
	if err := s.Append(testContext(t), grid.Lanes, []grid.Frame{{}}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a lane that is none gave %v: want invalid", err)
	}
	if head := s.Head(grid.Bulk).Seq; head != 0 {
		t.Errorf("head is %d after nothing was taken", head)
	}
}

func endedContext(t *testing.T, s *journalSuite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	frames := []grid.Frame{JournalFrame(1)}
	if err := s.Append(ctx, grid.Bulk, frames); !errors.Is(err, context.Canceled) || !frames[0].Pos.IsZero() {
		t.Errorf("append gave %v and %v", err, frames[0].Pos)
	}
	if got := s.append(t, grid.Bulk, JournalFrame(2))[0].Pos.Seq; got != 1 {
		t.Errorf("the first frame is at %d", got)
	}
}

func afterClose(t *testing.T, s *journalSuite) {
	ended := make(chan error, 1)
	go func() {
		_, err := s.Next(context.Background(), grid.Bulk, 0, 1)
		ended <- err
	}()
	s.stop()
	if err := <-ended; grid.CodeOf(err) != grid.Unavailable {
		t.Errorf("a waiting next gave %v: want unavailable", err)
	}
	if err := s.Append(testContext(t), grid.Bulk, []grid.Frame{{}}); grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrOverloaded) {
		t.Errorf("append after close gave %v: want unavailable", err)
	}
}

func nothingToAppend(t *testing.T, s *journalSuite) {
	if err := s.Append(testContext(t), grid.Bulk, nil); err != nil {
		t.Error(err)
	}
	if head := s.Head(grid.Bulk).Seq; head != 0 {
		t.Errorf("head is %d", head)
	}
}
