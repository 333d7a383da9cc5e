package downlink_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/downlink"
	"gridgate/internal/grid"
)

// referee is a wire that knows the rules: it checks each try against what the engine has.
type referee struct {
	t   *testing.T
	r   *rig
	mu  sync.Mutex
	rng *rand.Rand

	busy      map[grid.Identity]bool
	uncertain map[string]bool // a try of it may have gone out, and its outcome is not known
	taken     map[string]bool
	tries     int
}

func (f *referee) Downlink(ctx context.Context, d *grid.Downlink, _ grid.Frame) (grid.Sent, error) {
	f.mu.Lock()
	f.tries++
	f.check(d)
	f.busy[d.Device], f.uncertain[d.ID] = true, true
	fate, takes := f.rng.IntN(10), time.Duration(f.rng.IntN(3000))*time.Millisecond
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.busy[d.Device] = false
		f.mu.Unlock()
	}()
	if fate == 0 {
		takes = time.Hour // silent
	}
	select {
	case <-ctx.Done():
		return grid.Sent{}, ctx.Err()
	case <-time.After(takes):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case fate <= 3:
		f.uncertain[d.ID] = false
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "it sleeps")
	case fate == 4:
		return grid.Sent{}, fmt.Errorf("it left: %w", grid.ErrMayHaveBeenSent)
	case fate == 5:
		return grid.Sent{}, grid.Errorf(grid.Invalid, "it refuses")
	}
	f.taken[d.ID] = true
	return grid.Sent{State: grid.DownlinkSent, NoAck: true}, nil
}

// check wants f.mu.
func (f *referee) check(d *grid.Downlink) {
	f.r.engine.mu.Lock()
	defer f.r.engine.mu.Unlock()
	now := f.r.engine.rows[d.ID]
	switch {
	case f.busy[d.Device]:
		f.t.Errorf("%s: two on their way to %s", d.ID, d.Device)
	case now.State != grid.DownlinkQueued || !now.Trying:
		f.t.Errorf("%s is %s, trying %t, and is sent", d.ID, now.State, now.Trying)
	case d.Once && f.uncertain[d.ID]:
		f.t.Errorf("%s is wanted once, may have been sent, and is sent again", d.ID)
	}
	for _, other := range f.r.engine.rows {
		over := other.Once && other.Trying // begun before a kill: it is about to fail
		if other.Device == d.Device && other.State == grid.DownlinkQueued && other.Created.Before(d.Created) && !over {
			f.t.Errorf("%s is sent before %s, which is older", d.ID, other.ID)
		}
	}
}

// Downlinks are made, taken back, heard of and tried by a wire of many moods, while the disk
// fails and the outbox is killed, in an order that a seed makes.
func TestWhateverHappensTheRulesHoldAndEveryDownlinkEnds(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { play(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func play(t *testing.T, seed uint64) {
	const devices, made = 5, 60
	rng := rand.New(rand.NewPCG(seed, 3))
	r := &rig{engine: &engine{rows: map[string]grid.Downlink{}}, heard: &heard{frames: map[grid.Identity][]grid.Frame{}}, city: &line{}, panel: &line{}}
	f := &referee{t: t, r: r, rng: rand.New(rand.NewPCG(seed, 4)), busy: map[grid.Identity]bool{}, uncertain: map[string]bool{}, taken: map[string]bool{}}
	judged := func(c *downlink.Config) {
		c.Seed, c.Wires[0].Downlinker, c.Wires[0].AtOnce, c.Buffer = seed, f, 1+rng.IntN(4), 2+rng.IntN(20)
	}
	device := func() grid.Identity { return grid.Identity(fmt.Sprint("sn:", rng.IntN(devices))) }
	r.run(t, judged)
	for n := 0; n < made; {
		switch rng.IntN(12) {
		case 0, 1, 2, 3, 4, 5:
			n++
			r.engine.create(r.payload(fmt.Sprint("d", n), device(), func(d *grid.Downlink) { d.Once = rng.IntN(2) == 0 }))
		case 6:
			if id := fmt.Sprint("d", 1+rng.IntN(made)); r.engine.row(id).State == grid.DownlinkQueued {
				r.engine.end(id, "taken back")
			}
		case 7, 8:
			id := device()
			r.heard.by("mqtt:city", id)
			r.Heard(id)
		case 9:
			r.engine.refuse(errors.New("disk is full"))
			time.Sleep(time.Duration(rng.IntN(20)) * time.Second)
			r.engine.refuse(nil)
		case 10:
			if rng.IntN(2) == 0 { // killed: nothing more is written
				r.engine.refuse(errors.New("killed"))
			}
			r.stop()
			r.engine.refuse(nil)
			r.run(t, judged)
		}
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
	}
	for i := range devices {
		r.heard.by("mqtt:city", grid.Identity(fmt.Sprint("sn:", i)))
	}
	time.Sleep(12 * time.Hour)
	synctest.Wait()
	for id, d := range r.engine.rows {
		if !d.Ended() {
			t.Errorf("%s is %s still, after %d tries: %s", id, d.State, d.Attempts, d.Error)
		}
		if d.State == grid.DownlinkSent && !f.taken[id] {
			t.Errorf("%s is sent, and the wire knows nothing of it", id)
		}
	}
	if s := r.Stats(); s.Queued != 0 || s.Trying != 0 || f.tries < made/2 {
		t.Errorf("stats are %+v after %d tries", s, f.tries)
	}
	r.stop()
}
