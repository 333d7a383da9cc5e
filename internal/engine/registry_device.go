package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Commands on devices: move, retire, revive, change; swaps and bars have files of their own. Each is one transaction.
// Points keep their history, rules, tickets and episodes; what is of a device goes with it.

// vacant says who is at a point on a channel, if it is not this device.
func (b *batch) vacant(point, channel string, device grid.Identity) error {
	pt, ok := b.e.memory.Point(point)
	if !ok {
		return grid.Errorf(grid.NotFound, "installation of %s: point %q is not registered", device, point)
	}
	if b.e.memory.PointAt(pt).Retired() {
		return grid.Errorf(grid.Conflict, "point %s is retired", point)
	}
	here, err := b.e.store.CurrentAt(context.Background(), point)
	if err != nil {
		return err
	}
	for i := range here {
		if in := &here[i]; in.Channel == channelName(channel) && in.Device != device {
			return grid.Errorf(grid.Conflict, "point %s has device %s since %s: replace or move it", point, in.Device, in.From.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// currentOf gives the installations of a device that last.
func (b *batch) currentOf(id grid.Identity) ([]grid.Installation, error) {
	all, err := b.e.store.InstallationsOf(context.Background(), []grid.Identity{id})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(in grid.Installation) bool { return !in.To.IsZero() }), nil
}

// describe takes over what is said of a device.
func describe(d, said *grid.Device) {
	d.Serial, d.Label, d.Firmware, d.Hardware = cmp.Or(said.Serial, d.Serial), cmp.Or(said.Label, d.Label), cmp.Or(said.Firmware, d.Firmware), cmp.Or(said.Hardware, d.Hardware)
	d.Owner, d.Notes = cmp.Or(said.Owner, d.Owner), cmp.Or(said.Notes, d.Notes)
	if said.Battery != (grid.Battery{}) {
		d.Battery = said.Battery
	}
	if !said.Bought.IsZero() {
		d.Bought = said.Bought
	}
	if !said.Warranty.IsZero() {
		d.Warranty = said.Warranty
	}
	if said.Interval > 0 {
		d.Interval = said.Interval
	}
}

// ended gives installations as they are once they have ended.
func endedAt(all []grid.Installation, at time.Time) []grid.Installation {
	out := slices.Clone(all)
	for i := range out {
		if out[i].To = at; at.Before(out[i].From) {
			out[i].To = out[i].From
		}
	}
	return out
}

// putWhole puts rows that are whole, and makes memory follow after the commit.
func (b *batch) putWhole(devices []grid.Device, end, begin []grid.Installation) error {
	e := b.e
	for i := range devices {
		d := &devices[i]
		p, err := e.profiles.Get(d.Profile)
		if err != nil {
			return grid.Errorf(grid.Invalid, "device %s: profile %q: %w", d.Identity, d.Profile, err)
		}
		if d.Profile = p.ID; d.State == grid.Barred || d.State == grid.Retired {
			b.takeOutOfService(d)
		}
		b.knownNow(d.Identity)
	}
	points, err := b.manned(begin)
	if err != nil {
		return err
	}
	installations := slices.Concat(end, begin)
	b.rows.Points, b.rows.Devices = append(b.rows.Points, points...), append(b.rows.Devices, devices...)
	b.rows.Installations = append(b.rows.Installations, installations...)
	b.after = append(b.after, func() {
		e.remember(points, devices, installations, nil)
		e.lookAgain(installations)
	})
	return nil
}

// manned gives the planned points at which a device is put now: they wait for their
// commissioning.
func (b *batch) manned(begin []grid.Installation) ([]grid.Point, error) {
	ids := make([]string, 0, len(begin))
	for i := range begin {
		if pt, ok := b.e.memory.Point(begin[i].Point); ok && b.e.memory.PointAt(pt).Planned() {
			ids = append(ids, begin[i].Point)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	points, err := b.e.store.PointsAmong(context.Background(), ids)
	for i := range points {
		points[i].State = grid.PointPending
	}
	return points, err
}

// MoveDevice puts a device at another point. One channel that is named moves alone.
func (e *Engine) MoveDevice(ctx context.Context, m grid.DeviceMove) (grid.Device, error) {
	return as[grid.Device](e.registryCommand(ctx, "device.move", m.Act, func(b *batch) (any, error) { return b.moveDevice(&m) }))
}

func (b *batch) moveDevice(m *grid.DeviceMove) (grid.Device, error) {
	d, err := b.e.store.Device(context.Background(), m.Device)
	if err != nil {
		return d, err
	}
	if d.State == grid.Barred || d.State == grid.Retired {
		return d, grid.Errorf(grid.Conflict, "device %s is %s: revive it first", m.Device, d.State)
	}
	channel := channelName(m.Channel)
	here, err := b.currentOf(m.Device)
	if err != nil {
		return d, err
	}
	from := slices.DeleteFunc(slices.Clone(here), func(in grid.Installation) bool { return m.Channel != "" && in.Channel != channel })
	if m.Channel == "" && len(from) > 1 {
		return d, grid.Errorf(grid.Invalid, "device %s has %d channels at points: want the channel that moves", m.Device, len(from))
	}
	if m.Channel == "" && len(from) == 1 {
		channel = from[0].Channel
	}
	if len(from) == 1 && from[0].Point == m.Point {
		return d, nil
	}
	if err := b.vacant(m.Point, channel, m.Device); err != nil {
		return d, err
	}
	at := b.doneAt(&m.Act)
	for i := range from {
		if !at.After(from[i].From) {
			return d, grid.Errorf(grid.Conflict, "at is %s: device %s is at point %s only since %s", at.Format(time.RFC3339), m.Device, from[i].Point, from[i].From.UTC().Format(time.RFC3339))
		}
	}
	b.leaves(from, fmt.Sprintf("device %s was moved to point %s (%s)", m.Device, m.Point, m.By.Name), &m.Act, false)
	d.State, d.Installed = grid.Installed, at
	d.LastPoint = ""
	return d, b.putWhole([]grid.Device{d}, endedAt(from, at), []grid.Installation{{Device: m.Device, Channel: channel, Point: m.Point, From: at}})
}

// RetireDevice takes a device out: it is at no point any more, and what it still sends is
// quarantined.
func (e *Engine) RetireDevice(ctx context.Context, id grid.Identity, act grid.Act) (grid.Device, error) {
	return as[grid.Device](e.registryCommand(ctx, "device.retire", act, func(b *batch) (any, error) {
		d, err := e.store.Device(context.Background(), id)
		if err != nil || d.State == grid.Retired {
			return d, err
		}
		here, err := b.currentOf(id)
		if err != nil {
			return nil, err
		}
		at := b.doneAt(&act)
		why := orElse(act.Reason, "retired")
		b.leaves(here, fmt.Sprintf("device %s was retired (%s): %s", id, act.By.Name, why), &act, false)
		b.noLongerBarred(id)
		d.State, d.Why, d.Since = grid.Retired, why, at
		if len(here) > 0 {
			d.LastPoint = here[0].Point
		}
		if err := b.putWhole([]grid.Device{d}, endedAt(here, at), nil); err != nil {
			return nil, err
		}
		b.audit("device.retire", string(id), act.By, nil)
		return d, nil
	}))
}

// ReviveDevice takes a barred or retired device back: where it is still installed it is
// supervised again, else it is registered and may be put at a point.
func (e *Engine) ReviveDevice(ctx context.Context, id grid.Identity, act grid.Act) (grid.Device, error) {
	return as[grid.Device](e.registryCommand(ctx, "device.revive", act, func(b *batch) (any, error) {
		d, err := e.store.Device(context.Background(), id)
		if err != nil {
			return nil, err
		}
		if d.State != grid.Barred && d.State != grid.Retired {
			return d, nil
		}
		here, err := b.currentOf(id)
		if err != nil {
			return nil, err
		}
		d.State, d.Installed, d.LastPoint = grid.Registered, time.Time{}, ""
		if len(here) > 0 {
			d.State, d.Installed = grid.Installed, b.now
			b.found(here, fmt.Sprintf("device %s was revived (%s): %s", id, act.By.Name, orElse(act.Reason, "revived")))
		}
		d.Why, d.Since, d.Stolen, d.ReplacedBy = "", time.Time{}, false, ""
		b.noLongerBarred(id)
		if err := b.putWhole([]grid.Device{d}, nil, nil); err != nil {
			return nil, err
		}
		b.audit("device.revive", string(id), act.By, nil)
		return d, nil
	}))
}

// ChangeDevice writes down what a device is: numbers, versions, battery. Where it is and in
// which state is changed by what is done to it.
func (e *Engine) ChangeDevice(ctx context.Context, said grid.Device, act grid.Act) (grid.Device, error) {
	return as[grid.Device](e.registryCommand(ctx, "device.change", act, func(b *batch) (any, error) {
		d, err := e.store.Device(context.Background(), said.Identity)
		if err != nil {
			return nil, err
		}
		describe(&d, &said)
		b.rows.Devices = append(b.rows.Devices, d)
		b.after = append(b.after, func() { e.remember(nil, []grid.Device{d}, nil, nil) })
		return d, nil
	}))
}
