package serial

import (
	"context"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// maxOrders is how many writes may wait for one bus.
const maxOrders = 64

// bus is the slaves that one master reaches: those of a line, or those behind one serial
// server that calls us.
type bus struct {
	dtu    string // what the serial server calls itself; "": there is no other on the line
	slaves []*slave

	wake chan struct{} // a write waits
	turn chan struct{} // held by the master that serves

	mu      sync.Mutex
	newest  *line // the connection that is to serve, or serves
	open    bool  // a master serves
	waiting []*write
}

// newBuses groups slaves by the serial server behind which they are.
func newBuses(slaves []*slave) []*bus {
	var out []*bus
	for _, s := range slaves {
		i := slices.IndexFunc(out, func(b *bus) bool { return b.dtu == s.DTU })
		if i < 0 {
			i = len(out)
			out = append(out, newBus(s.DTU))
		}
		out[i].slaves = append(out[i].slaves, s)
		s.bus = out[i]
	}
	if out == nil {
		out = append(out, newBus(""))
	}
	return out
}

func newBus(dtu string) *bus {
	return &bus{dtu: dtu, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// enter makes l the line of the bus. A line that has it is ended first: a serial server that
// lost its power calls again, and nobody has told us that the first call is over.
func (b *bus) enter(ctx context.Context, l *line) error {
	b.mu.Lock()
	if b.newest != nil {
		b.newest.fail(errNewerCall)
	}
	b.newest = l
	b.mu.Unlock()
	select {
	case b.turn <- struct{}{}:
	case <-l.done:
		return l.why()
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	b.open = true
	b.mu.Unlock()
	return nil
}

var errNewerCall = grid.Errorf(grid.Unavailable, "connection closed: the same serial server has called again")

// leave gives the bus free, and says no to the writes that wait.
func (b *bus) leave(l *line) {
	b.mu.Lock()
	if b.newest == l {
		b.newest = nil
	}
	waiting := b.waiting
	b.open, b.waiting = false, nil
	b.mu.Unlock()
	for _, w := range waiting {
		w.end(outcome{err: grid.Errorf(grid.Unavailable, "the line went away before it was the turn of the write")})
	}
	<-b.turn
}

// put has a write wait for its turn.
func (b *bus) put(w *write) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open && b.dtu != "":
		return grid.Errorf(grid.Unavailable, "serial server %s is not connected", b.dtu)
	case !b.open:
		return grid.Errorf(grid.Unavailable, "the line is not open")
	case len(b.waiting) >= maxOrders:
		return grid.Errorf(grid.Unavailable, "%d writes wait for the line: want it later", maxOrders)
	}
	b.waiting = append(b.waiting, w)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// take takes a write out of those that wait; false: somebody else did.
func (b *bus) take(w *write) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, w)
	if i < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	return true
}

// first is the write whose turn it is. Without one it says how long to wait for the first
// slave that is left alone for now.
func (b *bus) first(now time.Time) (*write, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := time.Second
	for _, w := range b.waiting {
		if left := w.slave.late.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		return w, 0
	}
	return nil, wait
}

func (b *bus) serving() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// plan is what a slave is asked from the next request on.
type plan struct {
	polls     []Poll
	heartbeat time.Duration
}

// SetPolls gives a slave a new plan, without a pause for the others: the version of its
// profile that is in force has changed. A heartbeat of 0 is the longest period of the polls.
func (t *Transport) SetPolls(id grid.Identity, polls []Poll, heartbeat time.Duration) error {
	s := t.slave(id)
	if s == nil {
		return grid.Errorf(grid.NotFound, "line %s: %s is no slave of it", t.cfg.Name, id)
	}
	var w wishes
	checkPolls(&w, string(id), polls)
	if len(w) > 0 {
		return grid.Errorf(grid.Invalid, "line %s: %w", t.cfg.Name, w[0])
	}
	s.plan.Store(&plan{slices.Clone(polls), heartbeat})
	return nil
}

// slave finds a slave of the configuration.
func (t *Transport) slave(id grid.Identity) *slave {
	for _, s := range t.slaves {
		if s.Identity == id {
			return s
		}
	}
	return nil
}

// replan takes a new plan over. A poll that is in both goes on as it was. Only the master
// that serves the slave calls it.
func (s *slave) replan() {
	next := s.plan.Swap(nil)
	if next == nil {
		return
	}
	var slowest time.Duration
	polls := make([]*poll, 0, len(next.polls))
	for _, p := range next.polls {
		orElse(&p.Address, s.Address)
		slowest = max(slowest, p.Every)
		i := slices.IndexFunc(s.polls, func(old *poll) bool { return old.Poll == p })
		if i >= 0 {
			polls = append(polls, s.polls[i])
			continue
		}
		polls = append(polls, &poll{Poll: p, slave: s, request: p.encode()})
	}
	s.polls, s.Heartbeat = polls, next.heartbeat
	orElse(&s.Heartbeat, slowest)
}
