package engine

import (
	"context"

	"gridgate/internal/grid"
)

// DeliverySeen records that a person has a message that was sent before: the one thing
// that a carrier's or a system's receipt cannot say. It is durable on nil; again is a no-op.
func (e *Engine) DeliverySeen(ctx context.Context, id, by string) error {
	_, err := e.do(ctx, &command{name: "seen", do: func(b *batch) (any, error) {
		d := e.deliveries[id]
		if d == nil {
			stored, err := e.store.Delivery(context.Background(), id)
			if err != nil {
				return nil, err
			}
			d = &stored
		}
		switch d.State {
		case grid.DeliverySeen:
			return nil, nil
		case grid.DeliverySent, grid.DeliveryReceived:
		default:
			return nil, grid.Errorf(grid.Conflict, "delivery %s is %s: only one that was sent can have been seen", id, d.State)
		}
		e.deliveries[id] = d
		row := b.changeDelivery(id)
		row.State, by = grid.DeliverySeen, e.seenBy(d, by)
		b.called(row)
		b.audit("delivery.seen", id, grid.Actor{Role: grid.RoleUnit, Name: by, Unit: d.Unit}, nil)
		return nil, nil
	}})
	return err
}
