package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Deliveries that stand in no store, because the disk takes nothing any more: they call
// for help in a fire. They are sent from memory, a few times, and nothing of it is kept.

const (
	unrecordedQueue  = 1024 // deliveries that wait; what does not fit is not sent, and said
	unrecordedAtOnce = 16
)

// unrecordedPauses lie before each attempt: STANDARDS, section 4.3, for P1.
var unrecordedPauses = [...]time.Duration{0, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}

// SendUnrecorded sends deliveries that could not be stored, marked so in their body. It
// never blocks and reports how many it took.
func (d *Dispatcher) SendUnrecorded(ds []grid.Delivery) int {
	for i := range ds {
		dl := ds[i]
		dl.Body = unjournalled(dl.Body)
		select {
		case d.unrecorded <- dl:
		default:
			d.log.Error("message from memory is not sent: too many wait", "ticket", dl.Ticket, "unit", dl.Unit)
			return i
		}
	}
	return len(ds)
}

// unjournalled marks a body. One that is not an object stays as it is.
func unjournalled(body json.RawMessage) json.RawMessage {
	var e map[string]json.RawMessage
	var data map[string]json.RawMessage
	if json.Unmarshal(body, &e) != nil || json.Unmarshal(e["data"], &data) != nil || data == nil {
		return body
	}
	data["unjournalled"] = json.RawMessage("true")
	marked, err := json.Marshal(data)
	if err != nil {
		return body
	}
	e["data"] = marked
	if marked, err = json.Marshal(e); err != nil {
		return body
	}
	return marked
}

// sendUnrecorded works off what SendUnrecorded took, until ctx is done.
func (d *Dispatcher) sendUnrecorded(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range unrecordedAtOnce {
		wg.Go(func() {
			for {
				select {
				case dl := <-d.unrecorded:
					d.tryUnrecorded(ctx, dl)
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

func (d *Dispatcher) tryUnrecorded(ctx context.Context, dl grid.Delivery) {
	for n, pause := range unrecordedPauses {
		select {
		case <-d.cfg.Clock.After(pause):
		case <-ctx.Done():
			return
		}
		dl.Attempts = n
		_, err := d.deliver(ctx, dl)
		switch {
		case err == nil:
			d.log.Info("message from memory is with its unit", "ticket", dl.Ticket, "unit", dl.Unit)
			return
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrNever) || errors.Is(err, ErrWithheld):
			d.log.Error("message from memory is not sent", "ticket", dl.Ticket, "unit", dl.Unit, "err", err)
			return
		}
		d.log.Error("message from memory is not with its unit yet", "ticket", dl.Ticket, "unit", dl.Unit, "err", err)
	}
}
