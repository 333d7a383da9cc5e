package coap

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"gridgate/internal/grid"
)

const (
	firstWait = 50 * time.Millisecond // between two tries to store
	maxWait   = 5 * time.Second
	lastTry   = time.Second // bounds the last attempt to store NON frames when the transport stops
)

var errPanic = errors.New("the journal's side panicked")

// enqueue puts a frame in its peer's lane. Each peer with frames has a goroutine of its
// own, as long as it has frames: however slow the journal is with one peer's frames, no
// other peer waits for them. The journal collects what comes from all into one commit.
func (t *Transport) enqueue(x *exchange) {
	p, size := x.p, int64(len(x.frame.Raw))
	t.tally.Arrived(&x.frame)
	p.on.traffic.Frame(x.frame.Received)
	p.traffic.Frame(x.frame.Received)
	p.mu.Lock()
	p.device = x.frame.Identity
	if p.held >= t.cfg.PeerWindow {
		p.mu.Unlock()
		t.turnAway(x, t.later("too many of your messages wait"))
		return
	}
	if t.held.Load() >= int64(t.cfg.Window) || t.heldBytes.Load()+size > int64(t.cfg.WindowBytes) {
		p.mu.Unlock()
		t.turnAway(x, t.later("too many messages wait"))
		return
	}
	t.held.Add(1)
	t.heldBytes.Add(size)
	p.held++
	p.waiting = append(p.waiting, x)
	start := !p.running
	p.running = true
	p.mu.Unlock()
	if start {
		t.workers.Go(func() { t.drain(p) })
	}
}

// drain stores a peer's frames in order until there are none.
func (t *Transport) drain(p *peer) {
	for {
		p.mu.Lock()
		batch := p.waiting
		p.waiting = nil
		if len(batch) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		t.store(batch)
	}
}

// release makes room again.
func (t *Transport) release(x *exchange) {
	t.held.Add(-1)
	t.heldBytes.Add(-int64(len(x.frame.Raw)))
	x.p.mu.Lock()
	x.p.held--
	x.p.mu.Unlock()
}

// store gives frames of one peer to Ingest and answers each. A full journal is told to the
// peer at once; another failure is tried again for a while. NON frames, which nobody can be
// told about, go to the buffer at the first failure.
func (t *Transport) store(batch []*exchange) {
	began, wait, failing := t.cfg.Now(), firstWait, false
	for {
		rest, err := t.ingest(batch)
		if err == nil {
			break
		}
		rest = t.divert(rest)
		if len(rest) == 0 {
			break
		}
		if errors.Is(err, grid.ErrOverloaded) || t.ctx.Err() != nil || t.cfg.Now().Sub(began) >= t.cfg.GiveUp {
			batch[0].p.on.faulted(err)
			t.tally.Fault("frames refused", err)
			for _, x := range rest {
				t.release(x)
				t.finish(x, t.later("the journal cannot take it now"))
			}
			break
		}
		if !failing {
			failing = true
			t.tally.Fails(err)
		}
		select {
		case <-time.After(min(wait/2+rand.N(wait), t.cfg.GiveUp)):
		case <-t.ctx.Done():
		}
		t.tally.Retried(len(rest))
		batch, wait = rest, min(2*wait, maxWait)
	}
	if failing {
		t.tally.Recovers()
	}
}

// ingest stores what it can of a batch, answers that, and returns what is left. When one
// lane of the journal is closed, devices on the other must get through: behind one peer
// may be several.
func (t *Transport) ingest(batch []*exchange) ([]*exchange, error) {
	err := t.put(batch)
	if err == nil {
		t.stored(batch)
		return nil, nil
	}
	one := func(x *exchange) bool { return x.frame.Identity == batch[0].frame.Identity }
	if !errors.Is(err, grid.ErrOverloaded) || !slices.ContainsFunc(batch, func(x *exchange) bool { return !one(x) }) {
		return batch, err
	}
	var order []grid.Identity
	of := make(map[grid.Identity][]*exchange)
	for _, x := range batch {
		id := x.frame.Identity
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], x)
	}
	var rest []*exchange
	for _, id := range order {
		if e := t.put(of[id]); e != nil {
			rest, err = append(rest, of[id]...), e
			continue
		}
		t.stored(of[id])
	}
	if rest == nil {
		return nil, nil
	}
	return rest, err
}

// put is Ingest, once, within bounds.
func (t *Transport) put(batch []*exchange) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = grid.Errorf(grid.Internal, "%w: %v", errPanic, e)
		}
	}()
	frames := make([]grid.Frame, len(batch))
	for i, x := range batch {
		frames[i] = x.frame
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.cfg.GiveUp)
	defer cancel()
	return t.in.Ingest(ctx, frames...)
}

// stored answers frames that are durable.
func (t *Transport) stored(batch []*exchange) {
	t.tally.Stored(len(batch))
	for _, x := range batch {
		t.release(x)
		answer := func() { t.finish(x, x.done) }
		if x.then != nil {
			x.then(answer)
		} else {
			answer()
		}
	}
}

// divert moves NON frames to their buffer, and returns the others.
func (t *Transport) divert(batch []*exchange) []*exchange {
	var rest []*exchange
	for _, x := range batch {
		if x.con {
			rest = append(rest, x)
			continue
		}
		t.release(x)
		switch {
		case t.ctx.Err() == nil && t.unacked.Offer(x.frame, struct{}{}):
		case t.ctx.Err() != nil:
			t.tryLast([]grid.Frame{x.frame})
		default:
			t.turnAway(x, t.later("the journal cannot take it now"))
		}
	}
	return rest
}

// storeRest tries once more to store the NON frames that nobody will send again.
func (t *Transport) storeRest() {
	if rest := t.unacked.Rest(); len(rest) > 0 {
		t.tryLast(rest)
	}
}

func (t *Transport) tryLast(frames []grid.Frame) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), lastTry)
	defer cancel()
	if err := t.in.Ingest(ctx, frames...); err != nil {
		t.tally.Lost(len(frames))
	}
}
