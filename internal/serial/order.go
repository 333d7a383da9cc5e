package serial

import (
	"context"
	"time"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

const (
	// answerWithin is how long a device may take to answer, and tries how often it is asked:
	// the standard's own figures.
	answerWithin = 10 * time.Second
	tries        = 3

	// clockSetters is how many clocks are set at a time.
	clockSetters = 4
	// clockOff is how wrong a device's clock may be before it is set, clockEvery how often
	// that is tried.
	clockOff   = time.Minute
	clockEvery = time.Hour
)

// Order is what a monitoring centre tells a device or asks it.
type Order struct {
	Command gb26875.Command // Control or Request
	Unit    []byte
}

// clockObject is the object by which the clock of a device is set.
const clockObject = 90

// setClock sets the clock of a device, in the way its times are written.
func (t *Transport) setClock(now time.Time) Order {
	at := t.centre.times.Put(now)
	return Order{gb26875.Control, append([]byte{clockObject, 1}, at[:]...)}
}

// DutyCheck asks whoever is on duty at the device to answer within some minutes. The
// answer is an operation record that comes like any other.
func DutyCheck(minutes byte) Order { return Order{gb26875.Control, []byte{91, 1, minutes}} }

// Read asks for the state (21), version (25), configuration (26) or time (28) of a
// transmission device.
func Read(objectType byte) Order { return Order{gb26875.Request, []byte{objectType + 60, 1, 0}} }

// Initialize starts a device anew.
func Initialize() Order { return Order{gb26875.Control, []byte{89, 1, 0}} }

// Order sends an order to a device, again when no answer comes, and returns the answer: the
// confirmation or the response, which is stored as well. It goes the way by which the
// device was last heard. Denied or never answered is an error; one that went out and has no
// answer wraps grid.ErrMayHaveBeenSent.
func (t *Transport) Order(ctx context.Context, to grid.Identity, o Order) (gb26875.Frame, error) {
	if t.centre == nil {
		return gb26875.Frame{}, grid.Errorf(grid.Invalid, "line %s speaks %s: want gbt26875 for an order", t.cfg.Name, t.cfg.Protocol)
	}
	w, err := t.centre.expect(to, o)
	if err != nil {
		return gb26875.Frame{}, grid.Errorf(grid.Unavailable, "line %s: %w", t.cfg.Name, err)
	}
	defer t.centre.forget(w)
	for try := range tries {
		w.frame.Sent = t.centre.times.Put(t.cfg.Now())
		if o.Command == gb26875.Control && o.Unit[0] == clockObject {
			w.frame.Unit = t.setClock(t.cfg.Now()).Unit // a clock is not set to the time of the first try
		}
		p := t.centre.route(w.key.source)
		if p == nil {
			return gb26875.Frame{}, lost(try > 0, grid.Errorf(grid.Unavailable, "%s is not connected", to))
		}
		if err := p.reply(gb26875.Append(nil, w.frame)); err != nil {
			return gb26875.Frame{}, lost(true, grid.Errorf(grid.Unavailable, "%s: %w", to, err))
		}
		timer := time.NewTimer(answerWithin)
		select {
		case f := <-w.answer:
			timer.Stop()
			if f.Command == gb26875.Deny {
				return f, grid.Errorf(grid.Conflict, "%s denies %v", to, o.Command)
			}
			return f, nil
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return gb26875.Frame{}, lost(true, grid.Errorf(grid.Unavailable, "%s has not answered %v yet: %w", to, o.Command, ctx.Err()))
		}
	}
	return gb26875.Frame{}, lost(true, grid.Errorf(grid.Unavailable, "%s does not answer %v: asked %d times", to, o.Command, tries))
}

// lost is err of an order that has no answer; sent says that it may have arrived.
func lost(sent bool, err error) error {
	if !sent {
		return err
	}
	return grid.Errorf(grid.Unavailable, "%w: %w", err, grid.ErrMayHaveBeenSent)
}

// waiter waits for the answer to an order.
type waiter struct {
	key    orderKey
	frame  gb26875.Frame
	answer chan gb26875.Frame
}

type orderKey struct {
	source uint64
	serial uint16
}

// gbDevice is what is remembered of a device that was heard.
type gbDevice struct {
	peer    *peer     // the way to it; its reply fails when that is gone
	centre  uint64    // what it calls us
	version [2]byte   // as it writes them
	refused time.Time // when a damaged frame of it was kept
	clock   time.Time // when its clock was last set, or that was tried

	// For the health view.
	traffic intake.Traffic
	since   time.Time // there is a way to it, or none, since then
	fault   string    // its last damaged frame
	faultAt time.Time
}

// expect prepares an order to a device that was heard.
func (c *centre) expect(to grid.Identity, o Order) (*waiter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	source, ok := sourceOf(to)
	d := c.seen[source]
	if !ok || d == nil {
		return nil, grid.Errorf(grid.NotFound, "%s has not been heard since the start", to)
	}
	c.serial++
	w := &waiter{key: orderKey{source, c.serial}, answer: make(chan gb26875.Frame, 1), frame: gb26875.Frame{
		Serial: c.serial, Version: d.version[0], UserVersion: d.version[1],
		Source: d.centre, Destination: source, Command: o.Command, Unit: o.Unit,
	}}
	c.waiting[w.key] = w
	return w, nil
}

func (c *centre) forget(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, w.key)
}

// answered brings an answer to whoever waits for it; an answer to nothing is ignored.
func (c *centre) answered(f *gb26875.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waiting[orderKey{f.Source, f.Serial}]
	if w == nil || (f.Command == gb26875.Response) != (w.frame.Command == gb26875.Request) && f.Command != gb26875.Deny {
		return
	}
	answer := *f
	answer.Unit = append([]byte(nil), f.Unit...)
	select {
	case w.answer <- answer:
	default:
	}
}

func (c *centre) route(source uint64) *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.seen[source]; d != nil {
		return d.peer
	}
	return nil
}

// clocks sets clocks, until ctx is done.
func (t *Transport) clocks(ctx context.Context) {
	for {
		select {
		case id := <-t.centre.clocks:
			if _, err := t.Order(ctx, id, t.setClock(t.cfg.Now())); err != nil && ctx.Err() == nil {
				t.log.Warn("clock of a device is not set", "device", id, "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
