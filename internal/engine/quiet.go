package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Quiet hours and digests: messages of P3 and P4 wait, as rows, until the quiet hours of
// their unit are over, or stand in one list at the end of a shift. What becomes urgent goes
// at once, and what waits of the same ticket goes before it.

// maxDigest is how many messages one digest takes; the rest stand in the next one.
const maxDigest = 1000

// patient reports whether messages of a ticket may wait: never word of smoke.
func patient(t *grid.Ticket) bool {
	return t.Priority >= 3 && !strings.HasPrefix(string(t.Type), "smoke.")
}

// waitsUntil says when a message of a ticket may go to a unit, and whether as a line of a
// digest; zero: at once.
func (e *Engine) waitsUntil(t *grid.Ticket, u *grid.Unit) (until time.Time, digest bool) {
	if !patient(t) || e.cal == nil {
		return time.Time{}, false
	}
	now := e.Now()
	until = now
	if u.Digest && e.Digest != nil {
		if end := e.cal.ShiftEnd(now); !end.IsZero() {
			until, digest = end, true
		}
	}
	if u.Quiet != "" {
		h, err := e.cal.Hours(u.Quiet)
		if err != nil {
			e.log.Error("quiet hours of a unit are not known, it has none", "unit", u.ID, "err", err)
		} else if h.Contains(until) {
			until = later(until, h.Next(until)) // hours without an end are none
		}
	}
	if !until.After(now) {
		return time.Time{}, false
	}
	return until, digest
}

// holdBack lets a new message wait if it may.
func (b *batch) holdBack(t *grid.Ticket, d *grid.Delivery, u *grid.Unit) {
	e := b.e
	until, digest := e.waitsUntil(t, u)
	if until.IsZero() || d.State != grid.DeliveryPending {
		return
	}
	d.Next = until
	set(b, e.onHold, t.ID, append(slices.Clip(e.onHold[t.ID]), d.ID))
	if digest {
		d.State = grid.DeliveryHeld
		set(b, e.digesting, u.ID, append(slices.Clip(e.digesting[u.ID]), d.ID))
		b.wakeDigest(u.ID, until)
	}
}

// goesFirst lets go what waits of a ticket before a message that does not wait.
func (b *batch) goesFirst(t *grid.Ticket, u *grid.Unit) {
	if len(b.e.onHold[t.ID]) == 0 {
		return
	}
	if until, _ := b.e.waitsUntil(t, u); until.IsZero() {
		b.letGo(t.ID, u.ID)
	}
}

// letGo sends what waits of a ticket, to one unit or, for "", to all of them.
func (b *batch) letGo(ticket, unit string) {
	e := b.e
	ids := e.onHold[ticket]
	if len(ids) == 0 {
		return
	}
	now := e.Now()
	var left []string
	for _, id := range ids {
		switch d := e.deliveries[id]; {
		case d == nil:
		case unit != "" && d.Unit != unit:
			left = append(left, id)
		case waits(d) || e.underway(d):
			b.release(id, now)
		}
	}
	if len(left) == 0 {
		unset(b, e.onHold, ticket)
	} else {
		set(b, e.onHold, ticket, left)
	}
}

// waits reports whether a message has not been tried because of the hour.
func waits(d *grid.Delivery) bool {
	return d.State == grid.DeliveryHeld || d.State == grid.DeliveryPending && d.Attempts == 0 && d.Next.After(d.Created)
}

// underway reports whether a message stands in a digest that its unit does not have yet: what
// becomes urgent would pass it.
func (e *Engine) underway(d *grid.Delivery) bool {
	digest := e.deliveries[d.Ref]
	return d.State == grid.DeliveryDigested && digest != nil && digest.State == grid.DeliveryPending
}

func (b *batch) release(id string, now time.Time) {
	d := b.changeDelivery(id)
	d.State, d.Next, d.Ref, d.Done = grid.DeliveryPending, now, "", time.Time{}
}

// wakeDigest sets when a unit's digest is due, unless it is due earlier.
func (b *batch) wakeDigest(unit string, at time.Time) {
	old := b.e.digests.at[unit]
	if !old.IsZero() && !at.Before(old) {
		return
	}
	b.e.digests.set(unit, at)
	b.undo = append(b.undo, func() { b.e.digests.set(unit, old) })
}

// sendDigests makes the digests that are due, in real time: at once when overdue.
func (b *batch) sendDigests(wall time.Time) {
	e := b.e
	for range maxCommands {
		unit, ok := e.digests.due(wall)
		if !ok {
			return
		}
		b.undo = append(b.undo, func() { e.digests.set(unit, wall) })
		if !b.careful {
			b.sendDigest(unit, wall)
			continue
		}
		m := b.mark()
		if culprit := b.safely(func() { b.sendDigest(unit, wall) }); culprit != "" {
			b.rollback(m)
			e.log.Error("engine failed on a digest, it is made later", "unit", unit, "err", culprit, "in", tryAgain)
			b.wakeDigest(unit, wall.Add(tryAgain))
		}
	}
}

// sendDigest makes one message of what waits for a unit; real and other work are told apart.
func (b *batch) sendDigest(unit string, wall time.Time) {
	e := b.e
	var due []*grid.Delivery
	var left []string
	for _, id := range e.digesting[unit] {
		switch d := e.deliveries[id]; {
		case d == nil || d.State != grid.DeliveryHeld: // it went by itself
		case len(due) == maxDigest:
			left = append(left, id)
		default:
			due = append(due, d)
		}
	}
	if len(left) == 0 {
		unset(b, e.digesting, unit)
	} else {
		set(b, e.digesting, unit, left)
		b.wakeDigest(unit, wall.Add(time.Second))
	}
	slices.SortStableFunc(due, func(a, b *grid.Delivery) int {
		return cmp.Or(cmp.Compare(a.Mode, b.Mode), a.Created.Compare(b.Created), cmp.Compare(a.Ticket, b.Ticket), cmp.Compare(a.N, b.N))
	})
	for len(due) > 0 {
		n := 1
		for n < len(due) && due[n].Mode == due[0].Mode {
			n++
		}
		b.digest(unit, due[:n], wall)
		due = due[n:]
	}
}

// digest makes the list of some messages of one mode. If it cannot be made each goes by itself.
func (b *batch) digest(unit string, due []*grid.Delivery, wall time.Time) {
	e := b.e
	b.because("digest/"+due[0].ID, wall)
	items := make([]grid.Delivery, len(due))
	for i, d := range due {
		items[i] = *d
	}
	d := grid.Delivery{
		ID: b.id(), N: wall.UnixMilli(), Unit: unit, Connector: due[0].Connector, Type: grid.DeliveryDigest, Priority: 4, Mode: due[0].Mode,
		Lane: grid.Bulk, Created: wall, State: grid.DeliveryPending,
	}
	u := e.units[unit]
	err := fmt.Errorf("unit %s is not registered", unit)
	if u != nil {
		d.Scope, d.Connector = u.Scope, u.Connector
		d.Body, err = e.Digest(&d, items, u)
	}
	if err != nil {
		e.log.Error("digest cannot be made, its messages go one by one", "unit", unit, "err", err)
		for i := range items {
			b.release(items[i].ID, wall)
		}
		return
	}
	for i := range items {
		row := b.changeDelivery(items[i].ID)
		row.State, row.Ref, row.Done, row.Next = grid.DeliveryDigested, d.ID, wall, time.Time{}
		d.Priority = min(d.Priority, row.Priority)
	}
	*b.changeDelivery(d.ID) = d
	set(b, e.inDigest, d.ID, idsOf(items))
}

func idsOf(all []grid.Delivery) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].ID
	}
	return out
}

// dropDelivery forgets a delivery that has met its fate, and with a digest what stands in it.
// What stands in one that is still on its way is kept: it may have to go by itself.
func (e *Engine) dropDelivery(d *grid.Delivery) {
	if e.underway(d) {
		return
	}
	delete(e.deliveries, d.ID)
	e.dropWaiting(d)
	for _, id := range e.inDigest[d.ID] {
		if item := e.deliveries[id]; item != nil && item.State == grid.DeliveryDigested {
			delete(e.deliveries, id)
			e.dropWaiting(item)
		}
	}
	delete(e.inDigest, d.ID)
}

// dropWaiting forgets a message that waits no more.
func (e *Engine) dropWaiting(d *grid.Delivery) {
	ids := e.onHold[d.Ticket]
	if len(ids) == 0 {
		return
	}
	if ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == d.ID }); len(ids) == 0 {
		delete(e.onHold, d.Ticket)
		return
	}
	e.onHold[d.Ticket] = ids
}

// loadWaiting finds what waits, after the pending deliveries: what is overdue goes in the first turn.
func (e *Engine) loadWaiting(ctx context.Context) error {
	held, err := e.store.HeldDeliveries(ctx)
	if err != nil {
		return fmt.Errorf("load held deliveries: %w", err)
	}
	for i := range held {
		d := &held[i]
		e.deliveries[d.ID] = d
		e.digesting[d.Unit] = append(e.digesting[d.Unit], d.ID)
		if at := e.digests.at[d.Unit]; at.IsZero() || d.Next.Before(at) {
			e.digests.set(d.Unit, d.Next)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.deliveries)) {
		digest := e.deliveries[id]
		if digest.Type != grid.DeliveryDigest || digest.State != grid.DeliveryPending {
			continue
		}
		items, err := e.store.DigestedIn(ctx, digest.Unit, id)
		if err != nil {
			return fmt.Errorf("load what stands in digests: %w", err)
		}
		e.inDigest[id] = idsOf(items)
		for i := range items {
			e.deliveries[items[i].ID] = &items[i]
		}
	}
	var all []*grid.Delivery
	for _, d := range e.deliveries {
		if d.Ticket != "" && (waits(d) || e.underway(d)) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *grid.Delivery) int { return cmp.Or(cmp.Compare(a.N, b.N), cmp.Compare(a.ID, b.ID)) })
	for _, d := range all {
		e.onHold[d.Ticket] = append(e.onHold[d.Ticket], d.ID)
	}
	return nil
}
