package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/grid"
)

// disk is an Ingester whose mood a test sets.
type disk struct {
	mu    sync.Mutex
	fail  func([]grid.Frame) error
	took  time.Duration
	calls []string // payloads of each call
	taken []string // payloads that are stored
}

func (d *disk) Ingest(ctx context.Context, frames ...grid.Frame) error {
	var all []string
	for _, f := range frames {
		all = append(all, string(f.Raw))
	}
	d.mu.Lock()
	d.calls = append(d.calls, strings.Join(all, " "))
	took := d.took
	d.mu.Unlock()
	if took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		if err := d.fail(frames); err != nil {
			return err
		}
	}
	d.taken = append(d.taken, all...)
	return nil
}

// becomes changes the mood.
func (d *disk) becomes(took time.Duration, fail func([]grid.Frame) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.took, d.fail = took, fail
}

func broken([]grid.Frame) error { return errDisk }

func frame(id, payload string) grid.Frame {
	return grid.Frame{Identity: grid.Identity(id), Raw: []byte(payload)}
}

// run runs a queue in a bubble whose clock jumps, with the queue's answers written down.
func run(t *testing.T, l Limits, d *disk, test func(q *Queue[int], r *record)) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		q := NewQueue(l, &r.tally, func(hs []int) { r.stored = append(r.stored, hs...) }, func(err error) { r.gaveUp = append(r.gaveUp, time.Now()) })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); q.Run(ctx, d) }()
		test(q, &r)
		cancel()
		<-ended
	})
}

// pass lets time pass, and then everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

type record struct {
	tally  Tally
	stored []int
	gaveUp []time.Time
}

var errDisk = errors.New("disk is gone")

func TestWhatWaitsGoesInOneCallInOrder(t *testing.T) {
	d := &disk{took: time.Second}
	run(t, Limits{}, d, func(q *Queue[int], r *record) {
		for i := range 5 {
			q.Put(frame("a", fmt.Sprint(i)), i)
			synctest.Wait()
		}
		pass(3 * time.Second)
		if !slices.Equal(d.calls, []string{"0", "1 2 3 4"}) || !slices.Equal(r.stored, []int{0, 1, 2, 3, 4}) {
			t.Errorf("calls %q, stored %v", d.calls, r.stored)
		}
	})
}

func TestRoomIsFreeBeforeTheAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q *Queue[int]
		n := 0
		q = NewQueue(Limits{}, &Tally{}, func(hs []int) {
			if n += len(hs); q.Held() != 0 {
				t.Error("a peer that now fills its window finds no room")
			}
		}, nil)
		q.Put(frame("a", "0"), 0)
		q.Close()
		q.Run(t.Context(), &disk{})
		if n != 1 {
			t.Errorf("%d acknowledged", n)
		}
	})
}

func TestBatchIsBounded(t *testing.T) {
	d := &disk{took: time.Second}
	run(t, Limits{Batch: 2}, d, func(q *Queue[int], r *record) {
		for i := range 6 {
			q.Put(frame("a", fmt.Sprint(i)), i)
			synctest.Wait()
		}
		pass(time.Minute)
		if !slices.Equal(d.calls, []string{"0", "1 2", "3 4", "5"}) {
			t.Errorf("calls %q", d.calls)
		}
	})
}

func TestPutWaitsForRoomByCountAndByBytes(t *testing.T) {
	for name, l := range map[string]Limits{"Frames": {Frames: 2}, "Bytes": {Bytes: 200}} {
		t.Run(name, func(t *testing.T) {
			d := &disk{took: time.Second}
			run(t, l, d, func(q *Queue[int], r *record) {
				began := time.Now()
				for i := range 3 {
					q.Put(frame("a", strings.Repeat("x", 100)), i)
					synctest.Wait()
				}
				if waited := time.Since(began); waited != time.Second {
					t.Errorf("the third waited %v, want until the first was stored", waited)
				}
			})
		})
	}
}

func TestOneFrameOverTheByteLimitIsTaken(t *testing.T) {
	run(t, Limits{Bytes: 10}, &disk{}, func(q *Queue[int], r *record) {
		q.Put(frame("a", strings.Repeat("x", 100)), 1)
		synctest.Wait()
		if len(r.stored) != 1 {
			t.Error("not stored")
		}
	})
}

func TestFailureIsTriedAgainWithGrowingPauses(t *testing.T) {
	d := &disk{fail: broken}
	run(t, Limits{GiveUp: time.Hour, MaxWait: time.Second}, d, func(q *Queue[int], r *record) {
		q.Put(frame("a", "x"), 1)
		pass(time.Minute)
		if n := len(d.calls); n < 40 || n > 140 {
			t.Errorf("%d tries in a minute", n)
		}
		if c := r.tally.Counts(); c.FailingSince.IsZero() || c.LastError != errDisk.Error() || c.Retried != uint64(len(d.calls)-1) {
			t.Errorf("counts %+v after %d tries", c, len(d.calls))
		}
		d.becomes(0, nil)
		pass(2 * time.Second)
		if c := r.tally.Counts(); len(r.stored) != 1 || !c.FailingSince.IsZero() || c.Stored != 1 {
			t.Errorf("stored %v, counts %+v", r.stored, c)
		}
	})
}

func TestGiveUpComesOnTimeAndForgetsOnce(t *testing.T) {
	for name, d := range map[string]*disk{
		"Failing": {fail: broken},
		"Hanging": {took: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, Limits{GiveUp: 30 * time.Second}, d, func(q *Queue[int], r *record) {
				began := time.Now()
				for i := range 3 {
					q.Put(frame("a", fmt.Sprint(i)), i)
				}
				pass(time.Minute)
				if len(r.gaveUp) != 1 || r.gaveUp[0].Sub(began) != 30*time.Second {
					t.Errorf("gave up at %v, want once after 30s", r.gaveUp)
				}
				if q.Held() != 0 || len(r.stored) != 0 || !r.tally.Counts().FailingSince.IsZero() {
					t.Errorf("held %d, stored %v", q.Held(), r.stored)
				}
				d.becomes(0, nil)
				q.Put(frame("a", "next"), 9) // of the next connection
				pass(time.Second)
				if !slices.Equal(r.stored, []int{9}) {
					t.Errorf("stored %v", r.stored)
				}
			})
		})
	}
}

func TestFrameThatComesWhileGivingUpIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{fail: broken}
		var q *Queue[int]
		var stored []int
		q = NewQueue(Limits{GiveUp: time.Second}, &Tally{}, func(hs []int) { stored = append(stored, hs...) }, func(error) {
			d.becomes(0, nil)
			go q.Put(frame("a", "next"), 2) // the peer is back before we have forgotten
			time.Sleep(time.Second)
		})
		go q.Run(t.Context(), d)
		q.Put(frame("a", "x"), 1)
		pass(time.Minute)
		if !slices.Equal(stored, []int{2}) {
			t.Errorf("stored %v, want [2]", stored)
		}
		q.Close()
	})
}

func TestRefusalOfOneDeviceDoesNotHoldBackAnother(t *testing.T) {
	d := &disk{fail: func(frames []grid.Frame) error {
		for _, f := range frames {
			if f.Identity == "parking" {
				return fmt.Errorf("bulk: %w", grid.ErrOverloaded)
			}
		}
		return nil
	}}
	run(t, Limits{GiveUp: time.Hour, Batch: 2}, d, func(q *Queue[int], r *record) {
		q.Put(frame("parking", "p1"), 1)
		synctest.Wait() // it is in hand and refused when the others come
		q.Put(frame("smoke", "s1"), 2)
		q.Put(frame("parking", "p2"), 3)
		q.Put(frame("smoke", "s2"), 4)
		pass(10 * time.Second)
		if !slices.Equal(d.taken, []string{"s1", "s2"}) {
			t.Fatalf("taken %q, want the smoke frames, once and in order", d.taken)
		}
		if len(r.stored) != 0 {
			t.Errorf("acknowledged %v past a frame that is not stored", r.stored)
		}
		if q.Held() != 4 {
			t.Errorf("held %d, want all 4 until the first is acknowledged", q.Held())
		}
		d.becomes(0, nil)
		pass(10 * time.Second)
		if !slices.Equal(d.taken, []string{"s1", "s2", "p1", "p2"}) || !slices.Equal(r.stored, []int{1, 2, 3, 4}) || q.Held() != 0 {
			t.Errorf("taken %q, acknowledged %v, held %d", d.taken, r.stored, q.Held())
		}
	})
}

func TestOfferGivesWayOnlyWhileStoringFails(t *testing.T) {
	d := &disk{took: time.Second}
	run(t, Limits{Frames: 1}, d, func(q *Queue[int], r *record) {
		for i := range 3 {
			if !q.Offer(frame("a", "slow"), i) {
				t.Error("lost while storing is only slow")
			}
		}
		pass(time.Minute)
		d.becomes(0, broken)
		q.Offer(frame("a", "held"), 3)
		if q.Offer(frame("a", "past the buffer"), 4) { // waits for the verdict on the one before
			t.Error("took more than there is room for")
		}
	})
}

func TestCloseStoresWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{took: time.Second}
		var stored []int
		q := NewQueue(Limits{}, &Tally{}, func(hs []int) { stored = append(stored, hs...) }, func(error) {})
		q.Put(frame("a", "0"), 0)
		q.Put(frame("a", "1"), 1)
		q.Close()
		if q.Put(frame("a", "2"), 2) {
			t.Error("took a frame after Close")
		}
		q.Run(t.Context(), d)
		if !slices.Equal(stored, []int{0, 1}) {
			t.Errorf("stored %v", stored)
		}
	})
}

func TestStopKeepsTheRestInOrderAndWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{took: time.Hour}
		q := NewQueue(Limits{Frames: 3, GiveUp: 2 * time.Hour}, &Tally{}, func([]int) { t.Error("acknowledged") }, nil)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 3 {
			q.Put(frame("a", fmt.Sprint(i)), i)
			if i == 0 {
				go q.Run(ctx, d)
				synctest.Wait()
			}
		}
		refused := make(chan bool)
		go func() { refused <- !q.Put(frame("a", "3"), 3) }()
		synctest.Wait()
		cancel()
		if !<-refused {
			t.Error("Put took a frame that nobody will store")
		}
		synctest.Wait()
		var rest []string
		for _, f := range q.Rest() {
			rest = append(rest, string(f.Raw))
		}
		if !slices.Equal(rest, []string{"0", "1", "2"}) {
			t.Errorf("rest is %q", rest)
		}
	})
}

func TestFindSeesWhatWaitsAndWhatIsInHand(t *testing.T) {
	d := &disk{took: time.Second}
	run(t, Limits{}, d, func(q *Queue[int], r *record) {
		q.Put(frame("a", "in hand"), 1)
		synctest.Wait()
		q.Put(frame("a", "waiting"), 2)
		for want, h := range map[int]bool{1: true, 2: true, 3: false} {
			if q.Find(func(have int) bool { return have == want }) != h {
				t.Errorf("Find of %d is not %v", want, h)
			}
		}
		pass(time.Minute)
		if q.Find(func(int) bool { return true }) {
			t.Error("found what is stored")
		}
	})
}

func TestIngestMayKeepTheSlice(t *testing.T) {
	var kept [][]grid.Frame
	in := ingestFunc(func(frames []grid.Frame) { kept = append(kept, frames) })
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(Limits{Batch: 2}, &Tally{}, func([]int) {}, nil)
		for i := range 10 {
			q.Put(frame("a", fmt.Sprint(i)), i)
		}
		q.Close()
		q.Run(t.Context(), in)
	})
	n := 0
	for _, frames := range kept {
		for _, f := range frames {
			if string(f.Raw) != fmt.Sprint(n) {
				t.Errorf("frame %d has become %q", n, f.Raw)
			}
			n++
		}
	}
}

type ingestFunc func([]grid.Frame)

func (f ingestFunc) Ingest(_ context.Context, frames ...grid.Frame) error { f(frames); return nil }
