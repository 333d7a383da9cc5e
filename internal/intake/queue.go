package intake

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Limits bound a queue. Zero fields take the default.
type Limits struct {
	Frames  int           // most frames held, waiting or in hand; default 1024
	Bytes   int           // most payload bytes held, except that one frame is always taken; default 1 MiB
	Batch   int           // most frames in one Ingest; default 1024
	GiveUp  time.Duration // one batch is tried this long; one Ingest at most takes this long; default 30 s
	MaxWait time.Duration // longest pause between two tries; default 5 s
}

const firstWait = 50 * time.Millisecond

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Frames, 1024)
	def(&l.Bytes, 1<<20)
	def(&l.Batch, 1024)
	if l.GiveUp == 0 {
		l.GiveUp = 30 * time.Second
	}
	if l.MaxWait == 0 {
		l.MaxWait = 5 * time.Second
	}
	return l
}

// Queue carries frames in order to Ingest. Each frame has a handle H, by which its
// transport acknowledges it.
type Queue[H any] struct {
	limits Limits
	tally  *Tally
	stored func([]H)
	gaveUp func(error)
	wake   chan struct{}

	mu          sync.Mutex
	space       sync.Cond // held went down, or closed
	frames      []grid.Frame
	handles     []H
	inHand      []H // of the batch that is being stored
	inHandBytes int
	held        int // frames waiting or in hand
	bytes       int // their payload
	last        int // size of the last batch, for the next slice
	failing     bool
	giving      bool // gaveUp is being called
	closed      bool
}

// NewQueue makes a queue. stored is called in order with the handles of frames that are
// durable, from Run's goroutine; it must not keep the slice.
//
// gaveUp is called when a batch could not be stored in time. It must break the connection,
// for the queue then forgets what it holds: the peer has it and sends it again. With gaveUp
// nil the queue never gives up: that is for wires that cannot send again.
func NewQueue[H any](limits Limits, tally *Tally, stored func([]H), gaveUp func(error)) *Queue[H] {
	q := &Queue[H]{limits: limits.withDefaults(), tally: tally, stored: stored, gaveUp: gaveUp, wake: make(chan struct{}, 1)}
	q.space.L = &q.mu
	return q
}

// Put adds a frame, and waits while the queue is full: that is the back-pressure.
// False says the queue is closed and has not taken it.
func (q *Queue[H]) Put(f grid.Frame, h H) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.full(&f) && !q.closed {
		q.space.Wait()
	}
	return q.add(f, h)
}

// Offer is Put for a wire that cannot refuse: it waits while frames are being stored, but
// not while they fail. False says that the frame is lost.
func (q *Queue[H]) Offer(f grid.Frame, h H) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.full(&f) && !q.closed {
		if q.failing {
			return false
		}
		q.space.Wait()
	}
	return q.add(f, h)
}

func (q *Queue[H]) full(f *grid.Frame) bool {
	return q.giving || q.held >= q.limits.Frames || q.held > 0 && q.bytes+len(f.Raw) > q.limits.Bytes
}

func (q *Queue[H]) add(f grid.Frame, h H) bool {
	if q.closed {
		return false
	}
	if q.frames == nil {
		q.frames, q.handles = make([]grid.Frame, 0, q.last+1), make([]H, 0, q.last+1)
	}
	q.frames, q.handles = append(q.frames, f), append(q.handles, h)
	q.held++
	q.bytes += len(f.Raw)
	if len(q.frames) == 1 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Held is the number of frames waiting or in hand.
func (q *Queue[H]) Held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held
}

// Find reports whether a frame is held whose handle satisfies the condition.
func (q *Queue[H]) Find(is func(H) bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, hs := range [][]H{q.inHand, q.handles} {
		for _, h := range hs {
			if is(h) {
				return true
			}
		}
	}
	return false
}

// Close takes no more frames. Run stores what is held and returns.
func (q *Queue[H]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.space.Broadcast()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run stores frames until ctx is done, or until the queue is closed and empty.
// It may run once. What it has not stored then, Rest returns.
func (q *Queue[H]) Run(ctx context.Context, in grid.Ingester) {
	defer q.Close()
	for ctx.Err() == nil {
		frames, closed := q.take(nil, q.limits.Batch)
		if len(frames) == 0 {
			if closed {
				return
			}
			select {
			case <-q.wake:
			case <-ctx.Done():
			}
			continue
		}
		rest, err := q.store(ctx, in, frames)
		switch {
		case err == nil:
			q.stored(q.release())
		case ctx.Err() != nil:
			q.putBack(rest)
		default:
			q.give(err)
		}
	}
}

// Rest returns the frames not known to be stored, after Run has returned, and forgets them.
func (q *Queue[H]) Rest() []grid.Frame {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := q.frames
	q.frames, q.handles, q.held, q.bytes = nil, nil, 0, 0
	return rest
}

// take moves up to most waiting frames into hand, behind those that are there. The slice
// is not used again for others: Ingest may keep its frames.
func (q *Queue[H]) take(inHand []grid.Frame, most int) (frames []grid.Frame, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	frames, handles := q.frames, q.handles
	if len(frames) > most {
		frames, handles = frames[:most:most], handles[:most:most]
		q.frames, q.handles = q.frames[most:], q.handles[most:]
	} else {
		q.frames, q.handles = nil, nil
	}
	for i := range frames {
		q.inHandBytes += len(frames[i].Raw)
	}
	if inHand != nil {
		frames, handles = append(inHand[:len(inHand):len(inHand)], frames...), append(q.inHand, handles...)
	}
	if len(frames) > 0 {
		q.last = len(frames)
	}
	q.inHand = handles
	return frames, q.closed
}

// release makes room again for what was in hand and is stored, and returns its handles. It
// comes before the acknowledgement: a peer that then uses its whole window must find it free.
func (q *Queue[H]) release() []H {
	q.mu.Lock()
	defer q.mu.Unlock()
	handles := q.inHand
	q.tally.stored.Add(uint64(len(handles)))
	q.held -= len(handles)
	q.bytes -= q.inHandBytes
	q.inHand, q.inHandBytes = nil, 0
	q.space.Broadcast()
	return handles
}

// give breaks the connection and forgets its frames. Until both are done no frame is
// added: one of the next connection must not be forgotten with them.
func (q *Queue[H]) give(err error) {
	q.mu.Lock()
	q.giving = true
	q.mu.Unlock()
	q.gaveUp(err)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.frames, q.handles, q.inHand = nil, nil, nil
	q.held, q.bytes, q.inHandBytes, q.giving = 0, 0, 0, false
	q.space.Broadcast()
}

func (q *Queue[H]) putBack(frames []grid.Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.frames = append(frames[:len(frames):len(frames)], q.frames...)
	q.inHand = nil
}

// store gives the frames to Ingest until it takes them, the time is up or ctx is done.
// What comes meanwhile goes with the next try: it may be of a device that is not refused.
// With an error store returns the frames that are not stored.
func (q *Queue[H]) store(ctx context.Context, in grid.Ingester, frames []grid.Frame) ([]grid.Frame, error) {
	began, wait := time.Now(), firstWait
	rest := frames
	defer func() { q.setFailing(nil) }()
	for {
		err := q.ingest(ctx, in, rest)
		if errors.Is(err, grid.ErrOverloaded) && ctx.Err() == nil {
			rest, err = q.apart(ctx, in, rest, err)
		}
		if err == nil {
			return nil, nil
		}
		if ctx.Err() != nil {
			return rest, err
		}
		q.setFailing(err)
		pause := wait/2 + rand.N(wait)
		if q.gaveUp != nil {
			left := q.limits.GiveUp - time.Since(began)
			if left <= 0 {
				return rest, err
			}
			pause = min(pause, left)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return rest, err
		}
		q.tally.retried.Add(uint64(len(rest)))
		rest, _ = q.take(rest, q.limits.Frames)
		wait = min(2*wait, q.limits.MaxWait)
	}
}

func (q *Queue[H]) ingest(ctx context.Context, in grid.Ingester, frames []grid.Frame) error {
	ctx, cancel := context.WithTimeout(ctx, q.limits.GiveUp)
	defer cancel()
	return in.Ingest(ctx, frames...)
}

// apart gives each device's frames to Ingest by themselves, after all together were refused
// with err: when one lane is closed, the other lane's devices must get through. The frames
// of one device stay together and in order. It returns what is still refused.
func (q *Queue[H]) apart(ctx context.Context, in grid.Ingester, frames []grid.Frame, err error) ([]grid.Frame, error) {
	var order []grid.Identity
	of := make(map[grid.Identity][]grid.Frame)
	for _, f := range frames {
		if of[f.Identity] == nil {
			order = append(order, f.Identity)
		}
		of[f.Identity] = append(of[f.Identity], f)
	}
	if len(order) == 1 {
		return frames, err
	}
	var rest []grid.Frame
	for _, id := range order {
		if e := q.ingest(ctx, in, of[id]); e != nil {
			rest, err = append(rest, of[id]...), e
		}
	}
	if rest == nil {
		return nil, nil
	}
	return rest, err
}

// setFailing notes whether storing fails; waiting Offers then give way.
func (q *Queue[H]) setFailing(err error) {
	q.mu.Lock()
	was := q.failing
	q.failing = err != nil
	if q.failing {
		q.space.Broadcast()
	}
	q.mu.Unlock()
	switch {
	case err != nil && !was:
		q.tally.fails(err)
	case err == nil && was:
		q.tally.recovers()
	}
}
