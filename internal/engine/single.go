package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// When a batch makes the engine panic, its inputs are taken one by one: the culprit is
// set aside and the rest goes on.

// takeSingly makes each input of a turn a batch of its own.
func (e *Engine) takeSingly(ctx context.Context, t *turn) error {
	t.rewind(e)
	for _, c := range append(append([]*chunk{}, t.safety...), t.bulk...) {
		for c.next < len(c.frames) {
			d := &c.frames[c.next]
			if err := e.commitOne(ctx, func() *batch { return e.handle(d) }); err != nil {
				return err
			}
			e.received[c.lane] = d.frame.Received
			c.next++
		}
	}
	for _, cmd := range t.cmds {
		if err := e.commitOne(ctx, func() *batch { return e.obey(cmd) }); err != nil {
			return err
		}
	}
	return e.takeTimers(ctx)
}

// commitOne makes a batch and commits it, again and again until it succeeds or ctx is done.
func (e *Engine) commitOne(ctx context.Context, make func() *batch) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := e.finish(ctx, make())
		if err == nil || unsure(err) {
			return err
		}
		e.log.Error("commit failed, the batch is taken again", "err", err, "in", pause)
		if !e.pause(ctx, pause) {
			return ctx.Err()
		}
	}
}

// handle takes one frame through the rules. A frame on which they panic is held as a
// finding of our own; if even to tell of it panics, it is only put away.
func (e *Engine) handle(d *decoded) *batch {
	for range 2 {
		b := e.begin(e.Now())
		culprit := b.safely(func() { b.frame(d) })
		if culprit == "" {
			return b
		}
		b.rollback(mark{cursors: e.cursors, time: e.engineTime})
		e.log.Error("frame quarantined: engine failed on it", "frame", d.frame.Pos.String(), "err", culprit)
		d.panicked = firstLine(culprit)
	}
	b := e.begin(e.Now())
	b.putAway(d)
	return b
}

// putAway quarantines a frame and looks at nothing.
func (b *batch) putAway(d *decoded) {
	f := &d.frame
	b.because(f.Pos.String(), f.Received)
	b.cursors[f.Pos.Lane] = f.Pos
	b.keep(d, nil, grid.QuarantinedFrame{Reason: grid.InternalFault, Detail: "engine failed: " + d.panicked, Whole: true})
	b.count(f, grid.Quarantined, 1)
}

// obey runs one command. One that panics is refused.
func (e *Engine) obey(cmd *command) *batch {
	b := e.begin(e.Now())
	culprit := b.safely(func() { b.command(cmd) })
	if culprit == "" {
		return b
	}
	b.rollback(mark{cursors: e.cursors, time: e.engineTime})
	e.log.Error("engine failed on a command", "err", culprit)
	b = e.begin(e.Now())
	b.after = append(b.after, func() { cmd.reply(nil, grid.Errorf(grid.Internal, "%s failed: it is logged", cmd.name)) })
	return b
}

// takeTimers fires what is due, each timer so that its panic harms no other.
func (e *Engine) takeTimers(ctx context.Context) error {
	t := &turn{}
	return e.commitOne(ctx, func() *batch {
		t.rewind(e)
		b := e.begin(e.Now())
		b.careful = true
		b.fireTimers(t)
		return b
	})
}

// tryAgain is how long a timer on which the engine failed is left alone.
const tryAgain = time.Minute

// fireCarefully fires a timer of the wheel; one that panics is set to later.
func (b *batch) fireCarefully(tick uint32, entry timerEntry, now time.Time) {
	m := b.mark()
	culprit := b.safely(func() { b.fire(tick, entry, now) })
	if culprit == "" {
		return
	}
	b.rollback(m)
	e := b.e
	e.log.Error("engine failed on a timer, it is set to later", "err", culprit, "in", tryAgain)
	switch entry.kind {
	case deviceTimer:
		soft := e.soft.touchDevice(registry.DeviceNo(entry.no))
		soft.timer = 0
		e.timers.arm(&soft.timer, now.Add(tryAgain), entry)
	case pointTimer:
		soft := e.soft.touchPoint(registry.PointNo(entry.no))
		soft.timer = 0
		e.timers.arm(&soft.timer, now.Add(tryAgain), entry)
	}
}

// clockCarefully runs the clock of a ticket; one that panics is set to later.
func (b *batch) clockCarefully(id string, wall time.Time) {
	m := b.mark()
	culprit := b.safely(func() { b.ticketClock(id, wall) })
	if culprit == "" {
		return
	}
	b.rollback(m)
	b.e.log.Error("engine failed on the clocks of a ticket, they are looked at later", "ticket", id, "err", culprit, "in", tryAgain)
	b.wakeTicket(id, wall.Add(tryAgain))
}

// safely runs f and gives a panic as a text.
func (b *batch) safely(f func()) (panicked string) {
	defer func() {
		if r := recover(); r != nil {
			panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
		}
	}()
	f()
	return ""
}

// unsure reports whether after an error it is not known what is on disk: only a new
// start can tell.
func unsure(err error) bool {
	return errors.Is(err, state.ErrUntrusted) || errors.Is(err, errQueueBroken)
}
