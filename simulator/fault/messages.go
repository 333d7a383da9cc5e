package fault

import (
	"context"
	"sync"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Messages breaks what devices say before it is sent: what a radio and a network server do,
// and TCP hides. The fate of a message follows from the seed, its device and its number, and
// not from what other devices say. Of Conditions it knows Loss, Duplicate, Reorder, Corrupt,
// Delay, Jitter and BlackHole.
type Messages struct {
	to     simulator.Sink
	seed   uint64
	counts Counts

	mu   sync.Mutex
	now  Conditions
	held []heldMessage
	late map[grid.Identity]int // how many of a device are held
	full chan struct{}
}

type heldMessage struct {
	simulator.Message
	due      time.Time
	overtake bool // the next of its device goes first
}

// mostHeld bounds what is on its way; what is more goes on at once.
const mostHeld = 16384

// NewMessages makes one before a sink. Run passes on what was held.
func NewMessages(to simulator.Sink, seed uint64) *Messages {
	return &Messages{to: to, seed: seed, late: map[grid.Identity]int{}, full: make(chan struct{}, 1)}
}

// Counts of what it did.
func (x *Messages) Counts() *Counts { return &x.counts }

// Change changes what happens to messages from now on. What is held for a time goes on at
// its time; what waits to be overtaken, or in a black hole, goes on when nothing is broken.
func (x *Messages) Change(f func(*Conditions)) {
	x.mu.Lock()
	f(&x.now)
	x.mu.Unlock()
	x.wake()
}

func (x *Messages) wake() {
	select {
	case x.full <- struct{}{}:
	default:
	}
}

// Publish passes m on, or not, or twice, or later.
func (x *Messages) Publish(ctx context.Context, m simulator.Message) error {
	x.mu.Lock()
	c := x.now
	d := chance(x.seed, string(m.Identity), uint64(m.Counter))
	var list []simulator.Message
	switch {
	case c.Loss > 0 && d.Float64() < c.Loss:
		x.counts.Lost.Add(1)
		x.mu.Unlock()
		return nil
	case c.Corrupt > 0 && d.Float64() < c.Corrupt:
		x.counts.Corrupted.Add(1)
		m.Payload = turnBit(m.Payload, d)
	}
	overtake := c.Reorder > 0 && d.Float64() < c.Reorder
	wait := c.later(d)
	if c.BlackHole {
		overtake, wait = true, 365*24*time.Hour
	}
	if (overtake || wait > 0) && len(x.held) < mostHeld {
		if wait <= 0 {
			wait = overtakeIn
		}
		x.held = append(x.held, heldMessage{m, time.Now().Add(wait), overtake})
		x.late[m.Identity]++
		x.counts.Delayed.Add(1)
		x.mu.Unlock()
		x.wake()
		return nil
	}
	list = append(list, m)
	if c.Duplicate > 0 && d.Float64() < c.Duplicate {
		x.counts.Doubled.Add(1)
		list = append(list, m)
	}
	if x.late[m.Identity] > 0 && !c.BlackHole {
		list = append(list, x.overtaken(m.Identity)...)
	}
	x.mu.Unlock()
	return x.passOn(ctx, list)
}

// overtaken takes out what waited for a device's next message; x.mu is held.
func (x *Messages) overtaken(id grid.Identity) (out []simulator.Message) {
	return x.take(func(h *heldMessage) bool {
		if h.Identity == id && h.overtake {
			x.counts.Reordered.Add(1)
			return true
		}
		return false
	})
}

// take takes out of what is held; x.mu is held.
func (x *Messages) take(which func(*heldMessage) bool) (out []simulator.Message) {
	kept := x.held[:0]
	for i := range x.held {
		h := &x.held[i]
		if !which(h) {
			kept = append(kept, *h)
			continue
		}
		out = append(out, h.Message)
		if x.late[h.Identity]--; x.late[h.Identity] == 0 {
			delete(x.late, h.Identity)
		}
	}
	clear(x.held[len(kept):])
	x.held = kept
	return out
}

func (x *Messages) passOn(ctx context.Context, list []simulator.Message) error {
	for _, m := range list {
		x.counts.Carried.Add(1)
		if err := x.to.Publish(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Held counts what is on its way.
func (x *Messages) Held() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.held)
}

// Run passes on what was held, when its time has come, until ctx is done.
func (x *Messages) Run(ctx context.Context) error {
	for {
		x.mu.Lock()
		calm := !x.now.BlackHole && x.now.Reorder == 0
		now := time.Now()
		next := now.Add(time.Hour)
		list := x.take(func(h *heldMessage) bool {
			if !h.due.After(now) || calm && h.overtake {
				return true
			}
			if h.due.Before(next) {
				next = h.due
			}
			return false
		})
		x.mu.Unlock()
		if err := x.passOn(ctx, list); err != nil && ctx.Err() == nil {
			return err
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-x.full:
			timer.Stop()
		case <-timer.C:
		}
	}
}
