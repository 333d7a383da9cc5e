package engine

import (
	"cmp"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Smoke on a disk that takes nothing any more, not even the reserve: the frame is not
// acknowledged, so its device says it again, and what it calls for is told from memory. The
// rules run over it as always, on a batch that is never committed; who is called is called
// from what the batch would have written. Nothing of it stays but two names: when the frame
// comes again and can be written, its episode and its ticket have the ids that were told.

// Unjournalled is what a smoke alarm calls for whose frame could not be written.
type Unjournalled struct {
	Alarms     []grid.Alarm
	Tickets    []grid.Ticket
	Deliveries []grid.Delivery // pending, in the order in which they are to be sent
}

const (
	// unwrittenQueue bounds refused frames that wait for the state goroutine. What does not
	// fit comes again from its device.
	unwrittenQueue = 256
	// unwrittenKept is how long the names are kept for the frame to come again.
	unwrittenKept = 24 * time.Hour
	// foretelling begins the cause of what is told and not written.
	foretelling = "unjournalled/"
)

// foretold is what was told of an episode before it was on disk.
type foretold struct {
	alarm, ticket string
	place         string // its building, or the point itself
	at            time.Time
}

func placeOf(a *grid.Alarm) string { return cmp.Or(a.Building, a.Point) }

// Refused hands over frames that the journal refused because the disk is full. It never
// blocks, and it acknowledges nothing. Safe for concurrent use.
func (e *Engine) Refused(frames []grid.Frame) {
	for i := range frames {
		select {
		case e.unwritten <- frames[i]:
		default:
			return
		}
	}
}

// tellUnwritten runs the rules over a refused frame and hands on what they call for. The
// state is as after the last commit, before and after.
func (e *Engine) tellUnwritten(f grid.Frame) {
	if e.Unwritten == nil {
		return
	}
	if f.Received.IsZero() {
		f.Received = e.Now().UTC()
	}
	d := &decoded{frame: f}
	e.dec.decode(d)
	no, known := e.memory.Device(f.Identity)
	if !known || d.decodeErr != nil || d.panicked != "" {
		return // what cannot be read is raised when it can be written
	}
	b := e.begin(e.Now())
	var u Unjournalled
	culprit := b.safely(func() {
		b.because(foretelling+string(f.Identity)+"/"+f.Received.Format(time.RFC3339Nano), f.Received)
		b.settle(d, nil)
		u = b.unwritten(no)
	})
	b.rollback(mark{cursors: e.cursors, time: e.engineTime})
	if culprit != "" {
		e.log.Error("engine failed on a frame that could not be written", "device", f.Identity, "err", firstLine(culprit))
		return
	}
	if len(u.Alarms) == 0 {
		return
	}
	for i := range u.Alarms {
		a := &u.Alarms[i]
		e.foretold[episodeKey{a.Point, a.Type}] = foretold{a.ID, a.Ticket, placeOf(a), b.now}
		e.log.Error("smoke alarm is told from memory: the disk takes nothing", "point", a.Point, "device", f.Identity, "ticket", a.Ticket)
	}
	e.Unwritten(&u)
}

// unwritten takes out of a batch the new smoke episodes of a device, and what they call for.
func (b *batch) unwritten(no registry.DeviceNo) (u Unjournalled) {
	e := b.e
	tickets := map[string]bool{}
	for _, a := range collect(b.alarms, e.alarms) {
		if !isSmoke(a.Type) || !a.Active || a.Point == "" || e.wasToldOf(&a, b.now) {
			continue
		}
		a.Unjournalled = b.now
		u.Alarms = append(u.Alarms, a)
		tickets[a.Ticket] = true
	}
	for _, t := range collect(b.tickets, e.tickets) {
		if tickets[t.ID] {
			u.Tickets = append(u.Tickets, t)
		}
	}
	for _, d := range collect(b.deliveries, e.deliveries) {
		if tickets[d.Ticket] && d.State == grid.DeliveryPending {
			u.Deliveries = append(u.Deliveries, d)
		}
	}
	return u
}

func isSmoke(t grid.EventType) bool { return strings.HasPrefix(string(t), "smoke.") }

// wasToldOf reports whether an episode was told from memory already: its device only says
// again what could not be written.
func (e *Engine) wasToldOf(a *grid.Alarm, now time.Time) bool {
	was, ok := e.foretold[episodeKey{a.Point, a.Type}]
	return ok && now.Sub(was.at) < unwrittenKept
}

// nameOf is the id of a new episode: the one that was told, if it was told from memory.
func (b *batch) nameOf(key episodeKey, fresh string) (id string, told time.Time) {
	was, ok := b.e.foretold[key]
	if !ok || b.foretelling() {
		return fresh, time.Time{}
	}
	unset(b, b.e.foretold, key)
	if b.now.Sub(was.at) >= unwrittenKept {
		return fresh, time.Time{}
	}
	set(b, b.e.promised, was.alarm, was.ticket)
	return was.alarm, was.at
}

// ticketName is the id of the ticket of an episode: the one that was told with it. A second
// detector of a building that is told from memory has the ticket of the first.
func (b *batch) ticketName(ep *grid.Alarm, fresh string) string {
	e := b.e
	id := e.promised[ep.ID]
	unset(b, e.promised, ep.ID)
	if b.foretelling() && isSmoke(ep.Type) {
		for _, was := range e.foretold {
			if was.place == placeOf(ep) && b.now.Sub(was.at) < unwrittenKept {
				id = max(id, was.ticket) // one of them, and always the same
			}
		}
	}
	if id == "" || e.tickets[id] != nil {
		return fresh
	}
	return id
}

// foretelling reports whether the batch is never committed.
func (b *batch) foretelling() bool { return strings.HasPrefix(b.cause, foretelling) }
