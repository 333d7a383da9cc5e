package simulator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// refused says that the gateway does not want a message, and never will.
type refused struct{ error }

// carrier takes messages to the gateway, one after the other.
type carrier interface {
	// carry returns nil when the gateway has acknowledged m, refused when it never will, and
	// any other error when it is to be tried again.
	carry(ctx context.Context, m Message) error
	close()
}

// Lanes is a Link that keeps messages of one device in their order, and devices apart:
// each lane has a connection of its own, which it opens with its first message.
type Lanes struct {
	open   func(key string) carrier
	key    func(Message) string
	acked  func(Message)
	refuse func(Message, error)
	slots  chan struct{}

	mu    sync.Mutex
	lanes map[string]*lane
	ready chan *lane // with something to do, and nobody who does it

	Sent, Acked, Refused, Retried atomic.Uint64
}

// lane is what waits for one connection.
type lane struct {
	key   string
	mu    sync.Mutex
	queue []Message
	wake  chan struct{}
}

// Told hears what becomes of messages; either may be nil.
type Told struct {
	Acked   func(Message)
	Refused func(Message, error)
}

func newLanes(window int, told Told, key func(Message) string, open func(key string) carrier) *Lanes {
	if told.Acked == nil {
		told.Acked = func(Message) {}
	}
	if told.Refused == nil {
		told.Refused = func(Message, error) {}
	}
	window = min(max(window, 1), 100_000)
	return &Lanes{open: open, key: key, acked: told.Acked, refuse: told.Refused, slots: make(chan struct{}, window),
		lanes: map[string]*lane{}, ready: make(chan *lane, window)}
}

// Publish hands m over, waiting while the window is full.
func (l *Lanes) Publish(ctx context.Context, m Message) error {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	k := l.key(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.lanes[k]
	if one == nil {
		one = l.begin(k)
	}
	one.mu.Lock()
	one.queue = append(one.queue, m)
	one.mu.Unlock()
	select {
	case one.wake <- struct{}{}:
	default:
	}
	return nil
}

// begin makes a lane; l.mu is held, or nobody has l yet.
func (l *Lanes) begin(key string) *lane {
	one := &lane{key: key, wake: make(chan struct{}, 1)}
	l.lanes[key] = one
	l.ready <- one // Run takes it at once
	return one
}

// Pending counts what is handed over and has not ended.
func (l *Lanes) Pending() int { return len(l.slots) }

// Drain waits until everything that was handed over has ended.
func (l *Lanes) Drain(ctx context.Context) error {
	for taken := range cap(l.slots) {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			for range taken {
				<-l.slots
			}
			return grid.Errorf(grid.Unavailable, "%d messages are not acknowledged", l.Pending())
		}
	}
	for range cap(l.slots) {
		<-l.slots
	}
	return nil
}

// Run works until ctx is done.
func (l *Lanes) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case one := <-l.ready:
			wg.Go(func() { l.work(ctx, one) })
		}
	}
}

func (l *Lanes) work(ctx context.Context, one *lane) {
	c := l.open(one.key)
	defer c.close()
	for {
		one.mu.Lock()
		var m Message
		any := len(one.queue) > 0
		if any {
			m = one.queue[0]
			one.queue = one.queue[1:]
		}
		one.mu.Unlock()
		if !any {
			select {
			case <-one.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if !l.deliver(ctx, c, m) {
			return
		}
	}
}

// deliver tries until the message has ended; false: ctx is done.
func (l *Lanes) deliver(ctx context.Context, c carrier, m Message) bool {
	pause := 200 * time.Millisecond
	l.Sent.Add(1)
	for {
		err := c.carry(ctx, m)
		var no refused
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			l.Acked.Add(1)
			l.acked(m)
			<-l.slots
			return true
		case errors.As(err, &no):
			l.Refused.Add(1)
			l.refuse(m, no.error)
			<-l.slots
			return true
		}
		l.Retried.Add(1)
		var busy laterError
		if errors.As(err, &busy) {
			pause = busy.after
		}
		if sleep(ctx, pause) != nil {
			return false
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// laterError says when to try again.
type laterError struct {
	after time.Duration
	error
}
