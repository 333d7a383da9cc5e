// Package fault breaks what stands between programs, on command, while they run: links of
// TCP and UDP, an HTTP server, what is said before it is sent, serial lines, a disk, a
// network. Everything is as it was once its fault is over. It knows nothing of the gateway
// and may stand before any program. docs/faults.md has the table.
package fault

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Conditions are how a link is at the moment. The zero value is a good one. Times are real
// ones: a wire knows nothing of a city's clock.
type Conditions struct {
	Loss      float64       // share of datagrams that vanish; on TCP, of segments that come only when sent again
	Duplicate float64       // share of datagrams that come twice; TCP hides it
	Reorder   float64       // share of datagrams that the next one overtakes; TCP hides it
	Corrupt   float64       // share of datagrams, or of segments as an application reads them, with a bit turned
	Delay     time.Duration // each way
	Jitter    time.Duration // more of it, up to this, by chance
	Bandwidth int           // bytes a second, each way; 0: no limit
	BlackHole bool          // nothing passes and nobody is told: half-open connections
	Cut       bool          // connections are reset, new ones at once; a datagram vanishes
	After     int64         // connections that begin now are reset after so many bytes; 0: never
}

// Counts is what a link has carried and done.
type Counts struct {
	Carried, Lost, Doubled, Reordered, Corrupted, Delayed, Reset, Rebound atomic.Int64
}

// Link is a proxy between two programs. It may be changed at any time.
type Link interface {
	Addr() string // where it listens, in place of what it stands before
	Change(func(*Conditions))
	Reset()  // what is connected is cut once: TCP alone
	Rebind() // what comes from us has another source port from now on, as after a NAT: UDP alone
	Counts() *Counts
	Close() // everything it started has ended
}

// weather is Conditions that may change, and a way to wait for it.
type weather struct {
	mu      sync.Mutex
	now     Conditions
	changed chan struct{}
}

func newWeather() *weather { return &weather{changed: make(chan struct{})} }

func (w *weather) read() (Conditions, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now, w.changed
}

func (w *weather) change(f func(*Conditions)) Conditions {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.now)
	close(w.changed)
	w.changed = make(chan struct{})
	return w.now
}

// dice of one direction of one connection: what happens to one does not change what happens
// to another.
func dice(seed uint64, connection, direction uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, connection<<1|direction))
}

// chance is a dice for one thing that has a name: the same name has the same fate, whatever
// else is thrown and in what order.
func chance(seed uint64, what string, parts ...uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(what))
	for _, p := range parts {
		h.Write([]byte{byte(p), byte(p >> 8), byte(p >> 16), byte(p >> 24), byte(p >> 32), byte(p >> 40), byte(p >> 48), byte(p >> 56)})
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// later is how long something is on the way.
func (c *Conditions) later(d *rand.Rand) time.Duration {
	wait := c.Delay
	if c.Jitter > 0 {
		wait += time.Duration(d.Int64N(int64(c.Jitter)))
	}
	return wait
}

// turnBit returns a copy with one bit turned.
func turnBit(b []byte, d *rand.Rand) []byte {
	out := append([]byte(nil), b...)
	if len(out) > 0 {
		out[d.IntN(len(out))] ^= 1 << d.IntN(8)
	}
	return out
}
