package downlink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// lastWord is how long an outcome may take to be recorded when we are already stopping. If
// it cannot, the downlink is tried again at the next start.
const lastWord = 500 * time.Millisecond

// ended is what an attempt reports to the loop.
type ended struct {
	stream *stream
	row    grid.Downlink // as it is now, if known
	known  bool          // false: we are stopping, or it is not there any more
	took   bool          // the wire took it
}

// attempt tries once to send d and returns after the outcome is durable, or because ctx is
// done. pause is until the next try if this one fails; taken is done when the downlink was
// taken back.
//
// That it is tried is durable before it is: an answer may come before the wire's word, and
// after a crash it is known that it may have gone out.
func (o *Outbox) attempt(ctx, taken context.Context, d grid.Downlink, w *wire, way grid.Frame, pause time.Duration) ended {
	row, known := o.record(ctx, d.ID, Step{Try: true, Way: w.Path})
	if !known || row.State != grid.DownlinkQueued || !row.Trying {
		return ended{row: row, known: known}
	}
	d = row
	sent, err := o.send(taken, d, w, way)
	s := outcome(&d, sent, err, o.cfg.Clock.Now().Add(pause))
	s.Way = w.Path
	switch {
	case s.Failed:
		o.log.Warn("downlink failed", "err", s.Error, "device", d.Device, "transport", w.Path, "downlink", d.ID)
	case s.Sent == nil:
		o.log.Debug("downlink not sent", "err", s.Error, "device", d.Device, "transport", w.Path, "downlink", d.ID)
	}
	if ctx.Err() != nil && s.Sent == nil && bare(err) { // cut off by us: says nothing about the device
		return ended{}
	}
	row, known = o.record(ctx, d.ID, s)
	return ended{row: row, known: known, took: s.Sent != nil}
}

// send calls the wire within the deadline. One that panics has failed this downlink and
// no other.
func (o *Outbox) send(ctx context.Context, d grid.Downlink, w *wire, way grid.Frame) (sent grid.Sent, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Deadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = grid.Errorf(grid.Internal, "%s panicked: %v", w.Path, p)
		}
	}()
	sent, err = w.Downlinker.Downlink(ctx, &d, way)
	if bare(err) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s: %w", o.cfg.Deadline, grid.ErrMayHaveBeenSent)
	}
	return sent, err
}

// bare is an error that says nothing but that the context has ended.
func bare(err error) bool {
	return grid.CodeOf(err) == grid.Internal && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}

// outcome decides between sent, again and failed: the only place that does.
func outcome(d *grid.Downlink, sent grid.Sent, err error, again time.Time) Step {
	switch {
	case err == nil:
		return Step{Sent: &sent}
	case d.Once && (errors.Is(err, grid.ErrMayHaveBeenSent) || bare(err)):
		return Step{Failed: true, Error: "may have been sent, and is wanted once: " + err.Error()}
	case grid.CodeOf(err) == grid.Unavailable || bare(err):
		return Step{Retry: again.UTC(), Error: err.Error()}
	}
	return Step{Failed: true, Error: err.Error()}
}

// record hands the outcome on until it is durable. It reports false when it is not: we are
// stopping, or it does not fit the downlink any more.
func (o *Outbox) record(ctx context.Context, id string, s Step) (row grid.Downlink, known bool) {
	tell := func(ctx context.Context) error {
		var err error
		row, err = o.results.DownlinkResult(ctx, id, s)
		switch grid.CodeOf(err) {
		case grid.NotFound, grid.Conflict, grid.Invalid:
			if err != nil {
				o.log.Warn("outcome of a downlink does not fit it any more", "err", err, "downlink", id)
				return nil
			}
		}
		known = err == nil
		return err
	}
	if ctx.Err() != nil || o.until(ctx, "outcome of a downlink cannot be recorded", tell) != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		defer cancel()
		if err := tell(ctx); err != nil {
			return row, false
		}
	}
	return row, known
}

// until calls f until it succeeds or ctx is done, with growing pauses. While it fails the
// outbox has a problem.
func (o *Outbox) until(ctx context.Context, msg string, f func(context.Context) error) error {
	pause, said := 50*time.Millisecond, ""
	for {
		fctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := f(fctx)
		cancel()
		if err == nil {
			o.ail("", said != "")
			return nil
		}
		if ctx.Err() == nil {
			if err.Error() != said {
				o.log.Error(msg, "err", err)
			}
			o.ail(msg+": "+err.Error(), said != "")
			said = err.Error()
		}
		select {
		case <-ctx.Done():
			o.ail("", said != "")
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// ail keeps what is wrong while at least one caller of until fails.
func (o *Outbox) ail(what string, ailed bool) {
	if what == "" && !ailed {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case what == "":
		if o.unsaved--; o.unsaved == 0 {
			o.failing = ""
		}
	case !ailed:
		o.unsaved++
		o.failing = what
	default:
		o.failing = what
	}
}
