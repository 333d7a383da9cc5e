package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gridgate/internal/grid"
)

// lastWord is how long the result of an attempt may take to be recorded when we are
// already stopping. If it cannot, the delivery is sent again at the next start.
const lastWord = 500 * time.Millisecond

// attempt tries once to deliver d and returns after the result is durable, or because
// ctx is done.
func (d *Dispatcher) attempt(ctx context.Context, dl grid.Delivery) ended {
	at, began := d.cfg.Clock.Now(), time.Now()
	receipt, err := d.deliver(ctx, dl)
	if err != nil && ctx.Err() != nil {
		return ended{outcome: Outcome{Error: err.Error()}} // cut off by us: says nothing about the unit
	}
	if full, ok := errors.AsType[*fullError](err); ok { // not tried: no attempt, and no failure of the unit's
		return ended{outcome: Outcome{State: grid.DeliveryPending, Next: d.cfg.Clock.Now().Add(d.cfg.Clock.City(full.wait))}, deferred: true}
	}
	a := grid.Attempt{Delivery: dl.ID, N: dl.Attempts + 1, At: at.UTC(), Took: time.Since(began),
		Status: receipt.Status, Detail: receipt.Detail}
	out := d.cfg.Retry.outcome(d.cfg.Clock.Now(), dl, receipt, err)
	a.Error = out.Error
	return ended{
		outcome:  out,
		answered: err == nil || isAnswer(receipt.Status) || errors.Is(err, ErrWithheld) || errors.Is(err, errOurs),
		recorded: d.record(ctx, dl, a, out),
	}
}

// deliver calls the connector within the deadline. A connector that panics has failed
// this attempt and no other.
func (d *Dispatcher) deliver(ctx context.Context, dl grid.Delivery) (r grid.Receipt, err error) {
	c := d.connectors[dl.Connector]
	if c == nil {
		return r, grid.Errorf(grid.Invalid, "delivery %s: connector is %q: want one that is configured", dl.ID, dl.Connector)
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Deadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = grid.Errorf(grid.Internal, "delivery %s: connector %s panicked: %v", dl.ID, dl.Connector, p)
		}
	}()
	r, err = c.Deliver(ctx, dl)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s: %w", d.cfg.Deadline, err)
	}
	return r, err
}

// outcome decides between delivered, again and given up: the only place that does.
func (r Retry) outcome(now time.Time, dl grid.Delivery, receipt grid.Receipt, err error) Outcome {
	out := Outcome{Status: receipt.Status, Ref: receipt.Ref}
	switch {
	case err == nil && receipt.SeenBy != "":
		out.State = grid.DeliverySeen
		return out
	case err == nil && receipt.Carried:
		out.State = grid.DeliverySent
		return out
	case err == nil:
		out.State = grid.DeliveryReceived
		return out
	case errors.Is(err, ErrWithheld):
		out.State, out.Error = grid.DeliveryWithheld, err.Error()
		return out
	}
	out.State, out.Error = grid.DeliveryDead, err.Error()
	if errors.Is(err, ErrNever) {
		return out
	}
	if next, ok := r.next(now, dl.Priority, dl.Attempts+1, receipt.RetryHint); ok {
		out.State, out.Next = grid.DeliveryPending, next.UTC()
	}
	return out
}

// isAnswer tells a refusal, which says that the unit's system is there, from silence
// and server errors.
func isAnswer(status int) bool {
	return status >= 200 && status < 500 && status != 408 && status != 429
}

// record hands the result on until it is durable: an attempt's result is never lost
// while we run. It reports false when it is not recorded: we are stopping, or the
// delivery does not exist any more.
func (d *Dispatcher) record(ctx context.Context, dl grid.Delivery, a grid.Attempt, out Outcome) bool {
	gone := false
	tell := func(ctx context.Context) error {
		err := d.results.DeliveryResult(ctx, dl.ID, a, out)
		if err != nil && grid.CodeOf(err) == grid.NotFound {
			d.log.Error("delivery is gone", "err", err, "ticket", dl.Ticket, "unit", dl.Unit)
			gone, err = true, nil
		}
		return err
	}
	if ctx.Err() != nil || retryUntil(ctx, d.log, "delivery result cannot be recorded", tell) != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		defer cancel()
		return tell(ctx) == nil && !gone
	}
	return !gone
}

// retryUntil calls f until it succeeds or ctx is done, with growing pauses. It logs the
// first failure and each one that differs from the last.
func retryUntil(ctx context.Context, log *slog.Logger, msg string, f func(context.Context) error) error {
	pause, said := 50*time.Millisecond, ""
	for {
		fctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := f(fctx)
		cancel()
		if err == nil {
			return nil
		}
		if err.Error() != said {
			said = err.Error()
			log.Error(msg, "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}
