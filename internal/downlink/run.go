package downlink

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// between is the time between two tries that a device makes us take by speaking: one that
// speaks all the time is not tried all the time.
const between = 10 * time.Second

// stale is how long a way may wait for its wire before it is looked up again.
const stale = 10 * time.Second

// stream holds what one device is still to be told, in the order of creation. Only the
// first may be on its way.
type stream struct {
	device grid.Identity
	queue  []grid.Downlink
	busy   bool               // being looked up, waiting for its wire, or tried: in no timer
	back   context.CancelFunc // ends the attempt under way
	gone   bool               // the first was taken back or expired while busy
	heard  bool               // the device, since the last attempt began
	fails  int                // attempts of the first, since the start
	spoke  time.Time          // the last attempt that was made sooner since it spoke
	next   time.Time          // the first is not tried before
	place  int                // in the timers; -1: not there

	wire  *wire // that it waits for, or was last tried by
	way   grid.Frame
	since time.Time
}

// found is what the search for a way reports to the loop.
type found struct {
	stream *stream
	wire   *wire
	way    grid.Frame
	row    grid.Downlink // when there is no way: as it is now, if known
	known  bool
}

// Run loads what is queued and sends until ctx is done; it returns after the last attempt
// has ended. What was cut off by the end is tried again at the next start.
func (o *Outbox) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	o.load(ctx, &wg)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		o.release(o.cfg.Clock.Now())
		o.search(ctx, &wg)
		o.start(ctx, &wg)
		timer.Reset(o.cfg.Clock.Real(o.sleep(o.cfg.Clock.Now())))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-o.wake:
			o.take(ctx, &wg)
		case f := <-o.found:
			o.place(f)
		case e := <-o.ended:
			o.settle(e)
		case ds := <-o.loaded:
			o.loading = false
			o.mergeLoaded(ctx, &wg, ds)
			clear(o.settled)
			o.take(ctx, &wg)
		}
	}
}

// load reads the store beside the loop. What is told meanwhile waits in the buffer.
func (o *Outbox) load(ctx context.Context, wg *sync.WaitGroup) {
	o.loading = true
	wg.Go(func() {
		var ds []grid.Downlink
		err := o.until(ctx, "downlinks cannot be read", func(ctx context.Context) (err error) {
			o.mu.Lock()
			o.behind = false // from here on the buffer is complete again
			o.mu.Unlock()
			ds, err = o.open(ctx)
			return err
		})
		if err != nil {
			return
		}
		select {
		case o.loaded <- ds:
		case <-ctx.Done():
		}
	})
}

// mergeLoaded takes up what the store holds. What was begun by an earlier run of the gateway
// and is wanted once has failed: nobody knows whether it went out.
func (o *Outbox) mergeLoaded(ctx context.Context, wg *sync.WaitGroup, ds []grid.Downlink) {
	for _, d := range ds {
		s := o.streams[d.Device]
		ours := s != nil && slices.ContainsFunc(s.queue, func(q grid.Downlink) bool { return q.ID == d.ID })
		switch {
		case d.State != grid.DownlinkQueued || o.settled[d.ID]:
		case d.Trying && d.Once && !ours:
			wg.Go(func() {
				o.record(ctx, d.ID, Step{Failed: true, Way: d.Way, Error: "may have been sent, and is wanted once: the gateway stopped while it was being sent"})
			})
		default:
			d.Next = time.Time{} // this start may have mended what was wrong
			o.add(d)
		}
	}
}

// take moves what Notify and Heard left into the streams.
func (o *Outbox) take(ctx context.Context, wg *sync.WaitGroup) {
	if o.loading {
		return
	}
	o.mu.Lock()
	var fresh map[string]grid.Downlink
	if len(o.fresh) > 0 {
		fresh, o.fresh = o.fresh, map[string]grid.Downlink{}
	}
	behind := o.behind
	up := o.back
	o.back = nil
	var heard []grid.Identity
	for id, is := range o.awaited {
		if is {
			heard = append(heard, id)
			o.awaited[id] = false
		}
	}
	o.mu.Unlock()
	for _, d := range fresh {
		switch {
		case d.State != grid.DownlinkQueued:
			o.drop(d)
		case d.Attempts == 0 && !d.Trying: // an older copy of one that was tried is none of ours
			o.add(d)
		}
	}
	for _, id := range heard {
		if s := o.streams[id]; s != nil {
			o.hasten(s)
		}
	}
	for _, s := range o.streams {
		if len(up) > 0 && s.wire != nil && slices.Contains(up, s.wire.Path) {
			o.hasten(s)
		}
	}
	if behind {
		o.load(ctx, wg)
	}
}

// add puts a downlink into its device's stream, if it is not there.
func (o *Outbox) add(d grid.Downlink) {
	s := o.streams[d.Device]
	if s == nil {
		s = &stream{device: d.Device, place: -1}
		o.streams[d.Device] = s
		o.await(d.Device)
	}
	if slices.ContainsFunc(s.queue, func(q grid.Downlink) bool { return q.ID == d.ID }) {
		return
	}
	at, _ := slices.BinarySearchFunc(s.queue, d, inOrder)
	if at == 0 && s.busy {
		at = 1 // what is on its way stays first
	}
	s.queue = slices.Insert(s.queue, at, d)
	o.n.queued.Add(1)
	if at == 0 {
		s.next = d.Next
	}
	o.file(s)
}

func inOrder(a, b grid.Downlink) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// drop forgets a downlink that is not queued any more: sent, taken back, expired, answered.
func (o *Outbox) drop(d grid.Downlink) {
	s := o.streams[d.Device]
	if s == nil {
		return
	}
	at := slices.IndexFunc(s.queue, func(q grid.Downlink) bool { return q.ID == d.ID })
	switch {
	case at < 0:
	case at == 0 && s.busy:
		s.gone = true
		if s.back != nil && d.Ended() { // else it was answered before its wire said so, and may go on
			s.back()
		}
	default:
		o.remove(s, at)
	}
}

// remove takes a downlink out of a stream that may be filed anew.
func (o *Outbox) remove(s *stream, at int) {
	s.queue = slices.Delete(s.queue, at, at+1)
	o.n.queued.Add(-1)
	if at == 0 {
		s.fails, s.next = 0, time.Time{}
		if len(s.queue) > 0 {
			s.next = s.queue[0].Next
		}
	}
	o.file(s)
}

// file puts a stream where it waits for its time, or forgets an empty one.
func (o *Outbox) file(s *stream) {
	if s.place >= 0 {
		heap.Remove(&o.timers, s.place)
	}
	switch {
	case s.busy:
	case len(s.queue) == 0:
		delete(o.streams, s.device)
		o.mu.Lock()
		delete(o.awaited, s.device)
		o.waiting.Store(int64(len(o.awaited)))
		o.mu.Unlock()
	default:
		heap.Push(&o.timers, s)
	}
}

// await has Heard look out for a device.
func (o *Outbox) await(id grid.Identity) {
	o.mu.Lock()
	o.awaited[id] = false
	o.waiting.Store(int64(len(o.awaited)))
	o.mu.Unlock()
}

// hasten has a stream tried now, since its device was heard.
func (o *Outbox) hasten(s *stream) {
	s.heard = true
	if !s.busy && s.sooner(o.cfg.Clock.Now()) {
		o.file(s)
	}
}

// sooner moves the next attempt to the front, and reports whether that changes anything.
func (s *stream) sooner(now time.Time) bool {
	at := s.spoke.Add(between)
	if at.Before(now) {
		at = now
	}
	if !at.Before(s.next) {
		return false
	}
	s.next, s.spoke = at, at
	return true
}

// pause is the time until the next attempt, after so many that failed: doubled each time,
// and anywhere between half and the whole of it, so that devices do not come in step.
func (o *Outbox) pause(fails int) time.Duration {
	whole := min(o.cfg.First<<min(fails, 20), o.cfg.Longest)
	return whole/2 + time.Duration(o.jitter.Int64N(int64(whole/2)+1))
}

// release sends streams whose time has come to look for their way.
func (o *Outbox) release(now time.Time) {
	for len(o.timers) > 0 && !o.timers[0].next.After(now) {
		s := heap.Pop(&o.timers).(*stream)
		if !now.Before(s.queue[0].Expires) { // the engine is about to say so
			s.next = now.Add(time.Minute)
			heap.Push(&o.timers, s)
			continue
		}
		s.busy, s.heard = true, false
		o.lookup = append(o.lookup, s)
	}
}

// search looks up ways, a few at a time.
func (o *Outbox) search(ctx context.Context, wg *sync.WaitGroup) {
	for len(o.lookup) > 0 && o.looking < o.cfg.Lookups {
		s := o.lookup[0]
		o.lookup = o.lookup[1:]
		if s.gone {
			o.done(s)
			continue
		}
		o.looking++
		d, again := s.queue[0], o.cfg.Clock.Now().Add(o.pause(s.fails)).UTC()
		wg.Go(func() {
			f := found{stream: s}
			var err error
			if f.wire, f.way, err = o.way(ctx, &d); err != nil {
				f.row, f.known = o.noWay(ctx, d, err, again)
			}
			select {
			case o.found <- f:
			case <-ctx.Done():
			}
		})
	}
}

// noWay records that there is none. Nothing was tried: the same words are not written again.
func (o *Outbox) noWay(ctx context.Context, d grid.Downlink, err error, again time.Time) (grid.Downlink, bool) {
	switch {
	case ctx.Err() != nil:
		return d, false
	case grid.CodeOf(err) != grid.Unavailable:
		return o.record(ctx, d.ID, Step{Failed: true, Error: err.Error()})
	case err.Error() != d.Error:
		row, known := o.record(ctx, d.ID, Step{Retry: again, Error: err.Error()})
		return row, known
	}
	d.Next = again
	return d, true
}

// place takes what was found: a wire to wait for, or that there is none.
func (o *Outbox) place(f found) {
	s := f.stream
	o.looking--
	if s.gone || f.wire == nil {
		if f.wire == nil && f.known && f.row.State == grid.DownlinkQueued && !s.gone {
			s.fails++
			o.again(s, f.row)
			return
		}
		o.done(s)
		return
	}
	s.wire, s.way, s.since = f.wire, f.way, time.Now()
	f.wire.ready = append(f.wire.ready, s)
}

// start begins attempts, each wire on its own.
func (o *Outbox) start(ctx context.Context, wg *sync.WaitGroup) {
	for _, w := range o.wires {
		for len(w.ready) > 0 && w.running < w.AtOnce {
			s := w.ready[0]
			w.ready = w.ready[1:]
			switch {
			case s.gone:
				o.done(s)
				continue
			case time.Since(s.since) > stale:
				o.lookup = append(o.lookup, s)
				o.stir()
				continue
			}
			o.try(ctx, wg, w, s)
		}
	}
}

func (o *Outbox) try(ctx context.Context, wg *sync.WaitGroup, w *wire, s *stream) {
	w.running++
	o.n.trying.Add(1)
	o.n.tries.Add(1)
	d, way, pause := s.queue[0], s.way, o.pause(s.fails)
	taken, back := context.WithCancel(ctx)
	s.back, s.way = back, grid.Frame{}
	wg.Go(func() {
		defer back()
		e := o.attempt(ctx, taken, d, w, way, pause)
		e.stream = s
		select {
		case o.ended <- e:
		case <-ctx.Done():
		}
	})
}

// settle takes the outcome of an attempt, which by now is durable.
func (o *Outbox) settle(e ended) {
	s := e.stream
	s.wire.running--
	s.back = nil
	o.n.trying.Add(-1)
	if e.took {
		o.n.sent.Add(1)
	}
	if s.gone || !e.known || e.row.State != grid.DownlinkQueued {
		o.done(s)
		return
	}
	s.fails++
	o.again(s, e.row)
}

// again has the first of a stream wait for its next attempt. If its device was heard
// meanwhile it may be awake: then that is soon.
func (o *Outbox) again(s *stream, row grid.Downlink) {
	s.busy = false
	s.queue[0] = row
	s.next = row.Next
	if s.heard {
		s.sooner(o.cfg.Clock.Now())
	}
	o.file(s)
}

// done ends the first of a stream.
func (o *Outbox) done(s *stream) {
	if o.loading {
		o.settled[s.queue[0].ID] = true
	}
	s.busy, s.gone = false, false
	o.remove(s, 0)
}

// sleep is the time until something is due by the clock.
func (o *Outbox) sleep(now time.Time) time.Duration {
	if len(o.timers) == 0 {
		return time.Hour
	}
	return max(o.timers[0].next.Sub(now), 0)
}

// timers holds streams that are not due yet, earliest first.
type timers []*stream

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].next.Before(t[j].next) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i, j
}
func (t *timers) Push(x any) {
	s := x.(*stream)
	s.place = len(*t)
	*t = append(*t, s)
}
func (t *timers) Pop() any {
	old := *t
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	s.place = -1
	return s
}
