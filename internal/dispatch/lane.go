package dispatch

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// lane schedules the deliveries of one lane. One goroutine owns all of it except the
// buffer that Notify fills; attempts run in goroutines of their own and report back.
type lane struct {
	d    *Dispatcher
	id   grid.Lane
	n    counters
	wake chan struct{}

	mu     sync.Mutex
	fresh  []grid.Delivery // told and not taken up
	behind bool            // some were dropped: the store must be read
	deaf   []string        // units with an open breaker, for Stats

	streams map[streamKey]*stream
	units   map[string]*unit
	ring    []*unit // all units, for taking turns
	turn    int
	timers  streamHeap // streams whose first delivery is not due yet, earliest first
	free    int        // attempts that may still start
	ended   chan ended
	loading bool
	loaded  chan []grid.Delivery
	settled map[string]bool // deliveries that ended while loading: the loaded list is older
}

type streamKey struct{ unit, ticket string }

// stream holds what one unit is still to hear of one ticket, in order. Only the first may
// be on its way.
type stream struct {
	key     streamKey
	unit    *unit
	queue   []grid.Delivery // by N
	running bool
	heap    *streamHeap // the one it is in, if any
	place   int
}

func (s *stream) due() time.Time { return s.queue[0].Next }

// unit is one addressee as this lane sees it.
type unit struct {
	name    string
	ready   streamHeap // most urgent first
	running int
	breaker breaker
}

// ended is what an attempt reports to the lane.
type ended struct {
	stream   *stream
	id       string
	outcome  Outcome
	answered bool // the unit's system gave an answer, be it a refusal
	recorded bool // false: we are stopping, or the delivery is gone
	deferred bool // not tried: it waits for its turn, in memory alone
}

func newLane(d *Dispatcher, id grid.Lane) *lane {
	return &lane{
		d: d, id: id,
		wake:    make(chan struct{}, 1),
		streams: map[streamKey]*stream{},
		units:   map[string]*unit{},
		timers:  streamHeap{less: func(a, b *stream) bool { return a.due().Before(b.due()) }},
		free:    d.cfg.Attempts[id],
		ended:   make(chan ended),
		loaded:  make(chan []grid.Delivery),
		settled: map[string]bool{},
	}
}

// offer takes a delivery from Notify without blocking.
func (l *lane) offer(d grid.Delivery) {
	l.mu.Lock()
	switch {
	case l.behind: // the reading that is owed will find this one too
	case len(l.fresh) < l.d.cfg.Buffer:
		l.fresh = append(l.fresh, d)
	default:
		l.fresh, l.behind = nil, true
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	l.load(ctx, &wg)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.release(l.d.cfg.Clock.Now())
		l.start(ctx, &wg, l.d.cfg.Clock.Now())
		timer.Reset(l.d.cfg.Clock.Real(l.sleep(l.d.cfg.Clock.Now())))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
			l.take(ctx, &wg)
		case e := <-l.ended:
			l.settle(e, l.d.cfg.Clock.Now())
		case ds := <-l.loaded:
			l.loading = false
			l.merge(ds, l.d.cfg.Clock.Now())
			clear(l.settled)
			l.take(ctx, &wg)
		}
	}
}

// load reads the store beside the loop. What is told meanwhile waits in the buffer, so
// that a later message of a ticket cannot pass one that is still to be loaded.
func (l *lane) load(ctx context.Context, wg *sync.WaitGroup) {
	l.loading = true
	l.n.reloads.Add(1)
	wg.Go(func() {
		var ds []grid.Delivery
		err := retryUntil(ctx, l.d.log, "deliveries cannot be read", func(ctx context.Context) error {
			l.mu.Lock()
			l.behind = false // from here on the buffer is complete again
			l.mu.Unlock()
			all, err := l.d.pending(ctx)
			ds = all
			return err
		})
		if err != nil {
			return
		}
		select {
		case l.loaded <- ds:
		case <-ctx.Done():
		}
	})
}

// take moves what Notify left into the streams.
func (l *lane) take(ctx context.Context, wg *sync.WaitGroup) {
	if l.loading {
		return
	}
	l.mu.Lock()
	fresh, behind := l.fresh, l.behind
	l.fresh = nil
	l.mu.Unlock()
	l.merge(fresh, l.d.cfg.Clock.Now())
	if behind {
		l.load(ctx, wg)
	}
}

func (l *lane) merge(ds []grid.Delivery, now time.Time) {
	for i := range ds {
		if ds[i].State == grid.DeliveryPending && ds[i].Lane == l.id && !l.settled[ds[i].ID] {
			l.add(ds[i], now)
		}
	}
}

// add puts a delivery into its stream, or takes over what has changed if it is there.
func (l *lane) add(d grid.Delivery, now time.Time) {
	key := streamKey{d.Unit, d.Ticket}
	if l.d.cfg.Apart != nil && l.d.cfg.Apart(d.Unit) {
		key.ticket += "/" + d.ID
	}
	s := l.stream(key)
	if i := slices.IndexFunc(s.queue, func(q grid.Delivery) bool { return q.ID == d.ID }); i >= 0 {
		if s.running && i == 0 || d.Attempts < s.queue[i].Attempts {
			return // on its way, or an older copy than ours
		}
		l.unfile(s)
		s.queue[i] = d
		l.file(s, now)
		return
	}
	l.unfile(s)
	l.n.waiting.Add(1)
	from := 0
	if s.running {
		from = 1 // what is on its way stays first
	}
	i := from + sort.Search(len(s.queue)-from, func(i int) bool { return s.queue[from+i].N > d.N })
	s.queue = slices.Insert(s.queue, i, d)
	l.file(s, now)
}

func (l *lane) stream(k streamKey) *stream {
	if s := l.streams[k]; s != nil {
		return s
	}
	u := l.units[k.unit]
	if u == nil {
		u = &unit{name: k.unit, ready: streamHeap{less: moreUrgent}}
		l.units[k.unit] = u
		l.ring = append(l.ring, u)
	}
	s := &stream{key: k, unit: u}
	l.streams[k] = s
	return s
}

// moreUrgent orders a unit's waiting streams: by priority, then oldest first.
func moreUrgent(a, b *stream) bool {
	x, y := &a.queue[0], &b.queue[0]
	if x.Priority != y.Priority {
		return x.Priority < y.Priority
	}
	return x.Created.Before(y.Created)
}

// file puts a stream where it waits: for its time, or for its turn.
func (l *lane) file(s *stream, now time.Time) {
	switch {
	case s.running:
	case s.due().After(now):
		l.timers.push(s)
	default:
		s.unit.ready.push(s)
	}
}

func (l *lane) unfile(s *stream) {
	if s.heap != nil {
		s.heap.remove(s)
	}
}

// release moves streams whose time has come to their unit.
func (l *lane) release(now time.Time) {
	for s := l.timers.first(); s != nil && !s.due().After(now); s = l.timers.first() {
		l.timers.remove(s)
		s.unit.ready.push(s)
	}
}

// start begins attempts, the units taking turns, until nothing more may start.
func (l *lane) start(ctx context.Context, wg *sync.WaitGroup, now time.Time) {
	for idle := 0; idle < len(l.ring) && l.free > 0; {
		u := l.ring[l.turn%len(l.ring)]
		l.turn = (l.turn + 1) % len(l.ring)
		s := u.ready.first()
		if s == nil || u.running >= l.d.cfg.PerUnit || !u.breaker.allows(s.queue[0].Priority, now, u.running) {
			idle++
			continue
		}
		idle = 0
		u.ready.remove(s)
		s.running = true
		u.running++
		l.free--
		l.n.running.Add(1)
		d := s.queue[0]
		wg.Go(func() {
			e := l.d.attempt(ctx, d)
			e.stream, e.id = s, d.ID
			select {
			case l.ended <- e:
			case <-ctx.Done():
			}
		})
	}
}

// settle takes the result of an attempt, which by now is durable.
func (l *lane) settle(e ended, now time.Time) {
	s, u := e.stream, e.stream.unit
	s.running = false
	u.running--
	l.free++
	l.n.running.Add(-1)
	if e.deferred {
		s.queue[0].Next = e.outcome.Next
		l.file(s, now)
		return
	}
	l.watch(u, e, now)
	if e.recorded && e.outcome.State == grid.DeliveryPending {
		s.queue[0].Attempts++
		s.queue[0].Next = e.outcome.Next
	} else {
		s.queue = slices.Delete(s.queue, 0, 1)
		l.n.waiting.Add(-1)
		if l.loading {
			l.settled[e.id] = true
		}
	}
	if len(s.queue) == 0 {
		delete(l.streams, s.key)
		return
	}
	l.file(s, now)
}

// watch counts the result and keeps the unit's breaker.
func (l *lane) watch(u *unit, e ended, now time.Time) {
	switch {
	case e.outcome.State == grid.DeliveryWithheld: // by rule: neither
	case e.outcome.Error == "":
		l.n.delivered.Add(1)
	default:
		l.n.failed.Add(1)
	}
	if e.outcome.State == grid.DeliveryDead {
		l.n.dead.Add(1)
	}
	was := u.breaker.open()
	if e.answered {
		u.breaker.heard()
	} else {
		u.breaker.deaf(now, l.d.cfg.Breaker)
	}
	if is := u.breaker.open(); is != was {
		l.tell(u, is)
	}
}

// tell logs and shows that a unit has become deaf, or hears again.
func (l *lane) tell(u *unit, deaf bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if deaf {
		l.deaf = append(slices.Clone(l.deaf), u.name)
		l.d.log.Warn("unit does not answer", "unit", u.name, "lane", l.id.String())
		return
	}
	l.deaf = slices.DeleteFunc(slices.Clone(l.deaf), func(n string) bool { return n == u.name })
	l.d.log.Info("unit answers again", "unit", u.name, "lane", l.id.String())
}

// sleep is the time until something is due by the clock: a retry, or a probe.
func (l *lane) sleep(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	if s := l.timers.first(); s != nil {
		next = s.due()
	}
	for _, u := range l.ring {
		if u.breaker.open() && u.running == 0 && u.ready.first() != nil && u.breaker.until.Before(next) && u.breaker.until.After(now) {
			next = u.breaker.until
		}
	}
	return next.Sub(now)
}

func (l *lane) stats() LaneStats {
	l.mu.Lock()
	deaf := l.deaf
	l.mu.Unlock()
	return LaneStats{
		Waiting: l.n.waiting.Load(), Running: l.n.running.Load(),
		Delivered: l.n.delivered.Load(), Failed: l.n.failed.Load(), Dead: l.n.dead.Load(),
		Reloads: l.n.reloads.Load(), Deaf: deaf,
	}
}
