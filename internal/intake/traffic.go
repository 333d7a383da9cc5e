package intake

import (
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// Traffic counts the frames of one link or peer, and how many came in the last minute. Its
// zero value is ready. It costs a frame three atomic operations, and a peer 80 bytes.
type Traffic struct {
	frames atomic.Uint64
	last   atomic.Int64     // Unix nanoseconds
	slots  [8]atomic.Uint64 // a ring of 10 s each: the number of the slot, and the frames in it
}

const slot = 10 * time.Second

// Frame counts a frame that came at a time.
func (t *Traffic) Frame(at time.Time) {
	t.frames.Add(1)
	t.last.Store(at.UnixNano())
	n := uint64(at.UnixNano()/int64(slot)) << 32
	s := &t.slots[n>>32%uint64(len(t.slots))]
	for {
		old := s.Load()
		next := n | 1
		if old>>32 == n>>32 {
			next = old + 1
		}
		if s.CompareAndSwap(old, next) {
			return
		}
	}
}

// Frames is how many came.
func (t *Traffic) Frames() uint64 { return t.frames.Load() }

// Last is when the last frame came; zero when none has.
func (t *Traffic) Last() time.Time {
	if ns := t.last.Load(); ns != 0 {
		return time.Unix(0, ns).UTC()
	}
	return time.Time{}
}

// PerMinute is how many came in the minute before now. Of the oldest ten seconds, which
// have partly passed, it takes the part that has not.
func (t *Traffic) PerMinute(now time.Time) float64 {
	const slots = uint64(time.Minute / slot)
	n := uint64(now.UnixNano() / int64(slot))
	left := 1 - float64(now.UnixNano()%int64(slot))/float64(slot)
	sum := 0.0
	for i := range t.slots {
		v := t.slots[i].Load()
		switch at, frames := v>>32, float64(v&(1<<32-1)); {
		case frames == 0 || at > n || at+slots < n:
		case at+slots == n:
			sum += frames * left
		default:
			sum += frames
		}
	}
	return sum
}

// Fill puts the traffic in a line of the health view.
func (t *Traffic) Fill(h *grid.LinkHealth, now time.Time) {
	h.Frames, h.LastFrame, h.PerMinute = t.Frames(), t.Last(), t.PerMinute(now)
}

// Fill puts what the tally knows in a line of the health view. Frames that cannot be stored
// are a problem of the link they came by, unless it has another.
func (t *Tally) Fill(h *grid.LinkHealth, now time.Time) {
	t.traffic.Fill(h, now)
	t.mu.Lock()
	defer t.mu.Unlock()
	h.LastError, h.LastErrorAt = t.lastErr, t.lastErrAt
	if !t.since.IsZero() && h.Problem == "" {
		h.Problem = "frames cannot be stored since " + t.since.Format(time.RFC3339) + ": " + t.lastErr
	}
}
