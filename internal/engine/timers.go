package engine

import (
	"container/heap"
	"time"
)

// timers is one wheel for all devices and points: no timer of the runtime per device.
// Times are rounded up to whole seconds. A row remembers the tick it is armed for; an
// entry whose row says otherwise is stale and is dropped when it fires.
type timers struct {
	buckets map[uint32][]timerEntry
	ticks   tickHeap
}

type timerEntry struct {
	no   uint32
	kind timerKind
}

type timerKind uint8

const (
	deviceTimer timerKind = iota // supervision
	pointTimer                   // on-delays, off-delays, watches
)

func newTimers() timers { return timers{buckets: make(map[uint32][]timerEntry)} }

// tickOf is the tick at or after t.
func tickOf(t time.Time) uint32 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	if s <= 0 || s >= 1<<32 {
		return 0
	}
	return uint32(s)
}

// arm sets a row's timer to t unless it is armed for earlier already; armed is the row's tick.
func (w *timers) arm(armed *uint32, t time.Time, e timerEntry) {
	tick := tickOf(t)
	if tick == 0 || (*armed != 0 && *armed <= tick) {
		return
	}
	*armed = tick
	w.add(tick, e)
}

func (w *timers) add(tick uint32, e timerEntry) {
	if _, ok := w.buckets[tick]; !ok {
		heap.Push(&w.ticks, tick)
	}
	w.buckets[tick] = append(w.buckets[tick], e)
}

// due takes out the entries of one tick that has come by now, at most max of them.
func (w *timers) due(now time.Time, max int) (uint32, []timerEntry) {
	if len(w.ticks) == 0 || int64(w.ticks[0]) > now.Unix() {
		return 0, nil
	}
	tick := w.ticks[0]
	entries := w.buckets[tick]
	if len(entries) > max {
		w.buckets[tick] = entries[max:]
		return tick, entries[:max]
	}
	heap.Pop(&w.ticks)
	delete(w.buckets, tick)
	return tick, entries
}

// next is when the first entry comes due; zero when there is none.
func (w *timers) next() time.Time {
	if len(w.ticks) == 0 {
		return time.Time{}
	}
	return time.Unix(int64(w.ticks[0]), 0)
}

type tickHeap []uint32

func (h tickHeap) Len() int           { return len(h) }
func (h tickHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h tickHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *tickHeap) Push(x any)        { *h = append(*h, x.(uint32)) }
func (h *tickHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// deadlines are the clocks of tickets, on real time, and the ends of downlinks: each has at
// most one, and moving it leaves a stale entry behind that is dropped when it comes up.
type deadlines struct {
	at   map[string]time.Time
	heap deadlineHeap
}

type deadline struct {
	at time.Time
	id string
}

func newDeadlines() deadlines { return deadlines{at: make(map[string]time.Time)} }

// set moves a ticket's deadline; zero removes it.
func (d *deadlines) set(id string, at time.Time) {
	if at.IsZero() {
		delete(d.at, id)
		return
	}
	if d.at[id].Equal(at) {
		return
	}
	d.at[id] = at
	heap.Push(&d.heap, deadline{at, id})
}

// due takes out one ticket whose deadline has come.
func (d *deadlines) due(now time.Time) (string, bool) {
	for len(d.heap) > 0 && !d.heap[0].at.After(now) {
		top := heap.Pop(&d.heap).(deadline)
		if d.at[top.id].Equal(top.at) {
			delete(d.at, top.id)
			return top.id, true
		}
	}
	return "", false
}

// next is the earliest deadline; zero when there is none.
func (d *deadlines) next() time.Time {
	for len(d.heap) > 0 {
		if top := d.heap[0]; d.at[top.id].Equal(top.at) {
			return top.at
		}
		heap.Pop(&d.heap)
	}
	return time.Time{}
}

type deadlineHeap []deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h deadlineHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *deadlineHeap) Push(x any)        { *h = append(*h, x.(deadline)) }
func (h *deadlineHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// wake sets when a key comes due; no time at all is never.
func (b *batch) wake(of *deadlines, key string, at time.Time) {
	old := of.at[key]
	of.set(key, at)
	b.undo = append(b.undo, func() { of.set(key, old) })
}

// comeDue does what has come due in real time, at once when overdue. One that panics where
// care is taken is tried later and harms no other.
func (b *batch) comeDue(of *deadlines, what string, wall time.Time, do func(key string, wall time.Time)) {
	for n := 0; n < maxCommands; n++ {
		key, ok := of.due(wall)
		if !ok {
			return
		}
		b.undo = append(b.undo, func() { of.set(key, wall) })
		if !b.careful {
			do(key, wall)
			continue
		}
		m := b.mark()
		if culprit := b.safely(func() { do(key, wall) }); culprit != "" {
			b.rollback(m)
			b.e.log.Error("engine failed on what came due, it is tried later", "of", what, "err", culprit, "in", tryAgain)
			b.wake(of, key, wall.Add(tryAgain))
		}
	}
}
