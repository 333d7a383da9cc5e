package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// What is P1 and does not get through to a unit goes by the unit's next channel as well: an
// entry of its own in the registry, such as its duty phone. And a channel that is tested and
// does not answer is a finding before it is needed.

// failOverAfter is how long a P1 message may take to be received before the next channel is
// used too: within 10 s, with a second for the turn.
const failOverAfter = 9 * time.Second

// maxChannels is how many channels are tried one after the other.
const maxChannels = 4

// watchDelivery sets when a new delivery goes by the next channel too.
func (b *batch) watchDelivery(d *grid.Delivery, u *grid.Unit) {
	if d.Priority == 1 && d.State == grid.DeliveryPending && u.Backup != "" {
		b.setFailover(d.ID, d.Created.Add(failOverAfter))
	}
}

func (b *batch) setFailover(id string, at time.Time) {
	e := b.e
	old := e.failovers.at[id]
	e.failovers.set(id, at)
	b.undo = append(b.undo, func() { e.failovers.set(id, old) })
}

// failOver sends by the next channel what has not been received in time, in real time.
func (b *batch) failOver(wall time.Time) {
	e := b.e
	for range maxTimers {
		id, ok := e.failovers.due(wall)
		if !ok {
			return
		}
		b.undo = append(b.undo, func() { e.failovers.set(id, wall) })
		if d := e.deliveries[id]; d != nil {
			b.byNextChannel(d, wall)
		}
	}
}

// byNextChannel makes the delivery that goes instead of one; each is replaced once at most.
func (b *batch) byNextChannel(old *grid.Delivery, wall time.Time) {
	e := b.e
	u := e.units[old.Unit]
	if u == nil || u.Backup == "" || old.Over != "" || got(old.State) || old.State == grid.DeliveryWithheld {
		return
	}
	next := e.units[u.Backup]
	t := e.tickets[old.Ticket]
	if next == nil || t == nil || e.channels(old) >= maxChannels {
		return
	}
	b.because("failover/"+old.ID, wall)
	id := b.id()
	b.changeDelivery(old.ID).Over = id
	d := b.changeDelivery(id)
	*d = *old
	d.ID, d.Unit, d.Connector, d.Instead, d.Over, d.Created = id, next.ID, next.Connector, old.ID, "", wall
	d.State, d.Attempts, d.Next, d.Status, d.Error, d.Ref, d.Done = grid.DeliveryPending, 0, time.Time{}, 0, "", "", time.Time{}
	p := grid.Point{}
	if t.Point != "" {
		p = e.place(site{point: registry.PointNo(0), where: t.Point})
	}
	body, err := e.Body(t, d, &p, next)
	if err != nil {
		d.State, d.Error = grid.DeliveryDead, err.Error()
	}
	d.Body = body
	b.watchDelivery(d, next)
	if old.Attempts > 0 {
		b.unreachable(u, fmt.Sprintf("%s of ticket %s was not received: %s", old.Type, old.Ticket, old.Error), wall)
	}
}

// channelSaid takes the result of an attempt as word of the channel. What is given up goes by
// the next channel at once.
func (b *batch) channelSaid(d *grid.Delivery) {
	u := b.e.units[d.Unit]
	switch {
	case u == nil:
	case got(d.State):
		b.reachable(u)
	case d.State == grid.DeliveryDead && d.Priority == 1 && u.Backup != "" && d.Over == "":
		b.byNextChannel(d, b.now)
	}
}

// channels counts the deliveries that went one instead of the other.
func (e *Engine) channels(d *grid.Delivery) int {
	n := 1
	for ; d != nil && d.Instead != "" && n < maxChannels; d = e.deliveries[d.Instead] {
		n++
	}
	return n
}

// got reports whether somebody has a message.
func got(s grid.DeliveryState) bool {
	return s == grid.DeliveryReceived || s == grid.DeliverySent || s == grid.DeliverySeen
}

// loadFailovers sets the watch over what is pending: overdue ones go at once.
func (e *Engine) loadFailovers() {
	for id, d := range e.deliveries {
		if u := e.units[d.Unit]; u != nil && d.Priority == 1 && d.State == grid.DeliveryPending && u.Backup != "" && d.Over == "" {
			e.failovers.set(id, d.Created.Add(failOverAfter))
		}
	}
}

// checkChannels holds what must be true of units' next channels once all is put.
func (b *batch) checkChannels(units []grid.Unit) error {
	now := func(id string) *grid.Unit {
		if i := slices.IndexFunc(units, func(u grid.Unit) bool { return u.ID == id }); i >= 0 {
			return &units[i]
		}
		return b.e.units[id]
	}
	for i := range units {
		u := &units[i]
		for next, n := u, 1; next.Backup != ""; n++ {
			other := now(next.Backup)
			switch {
			case other == nil:
				return grid.Errorf(grid.Invalid, "unit %s: backup is %q: want a registered unit", next.ID, next.Backup)
			case isLive(other.Mode) != isLive(u.Mode):
				return grid.Errorf(grid.Invalid, "unit %s: backup %s is %s and it is %s: want one of the same mode", next.ID, other.ID, other.Mode, u.Mode)
			case n >= maxChannels || other.ID == u.ID:
				return grid.Errorf(grid.Invalid, "unit %s: its channels go round, or are more than %d: want a chain that ends", u.ID, maxChannels)
			}
			next = other
		}
	}
	return nil
}

const unitPrefix = "unit:"

// UnitChannel tells how the test of a unit's channel went: problem is "" when it got through.
func (e *Engine) UnitChannel(ctx context.Context, unit, problem string) error {
	_, err := e.do(ctx, &command{name: "channel", do: func(b *batch) (any, error) {
		u := e.units[unit]
		if u == nil {
			return nil, grid.Errorf(grid.NotFound, "unit %q is not registered", unit)
		}
		if problem != "" {
			b.unreachable(u, problem, b.now)
		} else {
			b.reachable(u)
		}
		return nil, nil
	}})
	return err
}

func (e *Engine) unitSite(u *grid.Unit) (site, bool) {
	where := unitPrefix + u.ID
	s := site{point: registry.PointNo(registry.None), where: where, device: grid.Identity(where), rule: e.deafRule, mode: u.Mode}
	s.at = grid.Point{Building: u.Name, Scope: u.Scope, Address: u.Name}
	if s.mode == "" {
		s.mode = grid.Live
	}
	return s, e.deafRule != nil
}

// unreachable raises unit.unreachable, once.
func (b *batch) unreachable(u *grid.Unit, why string, at time.Time) {
	s, known := b.e.unitSite(u)
	if ep := b.e.episode(s.where, grid.EventUnitUnreachable); !known || ep != nil && ep.Active {
		return
	}
	s.detail = fmt.Sprintf("unit %s by %s: %s", u.ID, u.Connector, why)
	b.raise(s, nil, at)
}

// reachable ends it: something got through.
func (b *batch) reachable(u *grid.Unit) {
	s, known := b.e.unitSite(u)
	ep := b.e.episode(s.where, grid.EventUnitUnreachable)
	if !known || ep == nil || !ep.Active {
		return
	}
	b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	b.check(ep.Ticket)
}
