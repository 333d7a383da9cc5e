package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/ticket"
)

// Commands on devices: claim, replace, move, retire, revive, bar. Each is one transaction.
// Points keep their history, rules, tickets and episodes; what is of a device goes with it.

// undoWithin is how long a swap can be taken back.
const undoWithin = 24 * time.Hour

// signals of the device itself: what the last one said of them is not true of the next.
var deviceSignals = []grid.Signal{
	grid.BatteryLevel, grid.BatteryVoltage, grid.BatteryLow, grid.BatteryDays, grid.RSSI, grid.SNR, grid.Tamper, grid.Fault, grid.DeviceRemove, grid.EndOfLife,
}

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

// Replace puts another device in the place of one: the installations of the old one end and it
// is barred, the new one has its points from then on, and its frames that wait in quarantine
// are processed as history. The same swap again changes nothing.
func (e *Engine) Replace(ctx context.Context, s grid.Swap) (grid.Swapped, error) {
	s.Via = cmp.Or(s.Via, "swap")
	out, err := as[grid.Swapped](e.registryCommand(ctx, "replace", s.Act, func(b *batch) (any, error) { return b.replace(&s) }))
	if err != nil {
		return out, err
	}
	out.Replayed, err = e.replayWaiting(ctx, s.With)
	return out, err
}

func (b *batch) replace(s *grid.Swap) (grid.Swapped, error) {
	e := b.e
	if s.With == s.Old || s.With == "" {
		return grid.Swapped{}, grid.Errorf(grid.Invalid, "with is %q: want another device than %s", s.With, s.Old)
	}
	old, err := e.store.Device(context.Background(), s.Old)
	if err != nil {
		return grid.Swapped{}, err
	}
	if old.State == grid.Barred && old.ReplacedBy == s.With {
		return b.swapped(&old, s.With)
	}
	here, err := b.currentOf(s.Old)
	if err != nil {
		return grid.Swapped{}, err
	}
	if s.Channel != "" {
		here = slices.DeleteFunc(here, func(in grid.Installation) bool { return in.Channel != s.Channel })
	}
	switch {
	case old.State == grid.Retired || len(here) == 0 && s.Channel == "":
		return grid.Swapped{}, grid.Errorf(grid.Conflict, "device %s is %s and at no point: %s", s.Old, old.State, orElse(replacedBy(&old), "there is nothing to replace"))
	case len(here) == 0:
		return grid.Swapped{}, grid.Errorf(grid.NotFound, "device %s has no channel %q at a point", s.Old, s.Channel)
	}
	fresh, err := b.replacement(s, &old)
	if err != nil {
		return grid.Swapped{}, err
	}
	at := b.doneAt(&s.Act)
	for i := range here {
		if at.Before(here[i].From) {
			return grid.Swapped{}, grid.Errorf(grid.Conflict, "at is %s: device %s is at point %s only since %s", at.Format(time.RFC3339), s.Old, here[i].Point, here[i].From.UTC().Format(time.RFC3339))
		}
	}
	return b.swap(s, old, fresh, here, at)
}

func replacedBy(d *grid.Device) string {
	if d.ReplacedBy == "" {
		return ""
	}
	return "it was replaced by " + string(d.ReplacedBy)
}

// swapped is what a swap has done before.
func (b *batch) swapped(old *grid.Device, with grid.Identity) (grid.Swapped, error) {
	fresh, err := b.e.store.Device(context.Background(), with)
	if err != nil {
		return grid.Swapped{}, err
	}
	at, err := b.currentOf(with)
	return grid.Swapped{Old: *old, New: fresh, Installations: at}, err
}

// replacement is the row of the device that comes: registered, perhaps, but at no point.
func (b *batch) replacement(s *grid.Swap, old *grid.Device) (grid.Device, error) {
	e := b.e
	d := s.Details
	if d.Interval == 0 && cmp.Or(s.Profile, old.Profile) == old.Profile {
		d.Interval = old.Interval
	}
	d.Identity, d.Profile, d.Mode = s.With, cmp.Or(s.Profile, old.Profile), cmp.Or(s.Mode, old.Mode)
	if err := registry.CheckDevice(&d); err != nil {
		return d, err
	}
	if _, known := e.memory.Device(s.With); !known {
		return d, nil
	}
	is, err := e.store.Device(context.Background(), s.With)
	if err != nil {
		return d, err
	}
	here, err := b.currentOf(s.With)
	switch {
	case err != nil:
		return d, err
	case len(here) > 0:
		return d, grid.Errorf(grid.Conflict, "device %s is at point %s: move or retire it first", s.With, here[0].Point)
	case is.State == grid.Barred || is.State == grid.Retired:
		return d, grid.Errorf(grid.Conflict, "device %s is %s: revive it first", s.With, is.State)
	}
	is.Profile = cmp.Or(s.Profile, is.Profile)
	describe(&is, &s.Details)
	return is, nil
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

// swap writes the rows and settles what hangs on the old device.
func (b *batch) swap(s *grid.Swap, old, fresh grid.Device, here []grid.Installation, at time.Time) (grid.Swapped, error) {
	rest, err := b.currentOf(s.Old)
	if err != nil {
		return grid.Swapped{}, err
	}
	why := orElse(s.Reason, "replaced")
	var moved []grid.Installation
	for _, in := range here {
		moved = append(moved, grid.Installation{Device: s.With, Channel: in.Channel, Point: in.Point, From: at})
	}
	fresh.State, fresh.Installed, fresh.Why, fresh.Since, fresh.LastPoint = grid.Installed, at, "", time.Time{}, ""
	if len(rest) == len(here) { // none of its channels is left anywhere
		old.State, old.Why, old.Since, old.ReplacedBy, old.LastPoint = grid.Barred, why, at, s.With, here[0].Point
	}
	said := fmt.Sprintf("device %s was replaced by %s (%s): %s", s.Old, s.With, s.By.Name, why)
	tickets := b.leaves(here, said, &s.Act, true)
	if err := b.putWhole([]grid.Device{old, fresh}, endedAt(here, at), moved); err != nil {
		return grid.Swapped{}, err
	}
	b.audit("device.replace", string(s.Old), s.By, nil)
	b.rows.Audit[len(b.rows.Audit)-1].Detail = cut(said, maxAudited)
	return grid.Swapped{Old: old, New: fresh, Installations: moved, Tickets: tickets}, nil
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

// lookAgain has the tickets of points looked at in the next turn, when memory knows who is there.
func (e *Engine) lookAgain(at []grid.Installation) {
	for i := range at {
		for _, t := range e.ticketsAt(at[i].Point) {
			e.due.set(t.ID, e.Now())
		}
		if pt, ok := e.memory.Point(at[i].Point); ok {
			delete(e.awaited, e.memory.PointAt(pt).Device())
		}
		if no, ok := e.memory.Device(at[i].Device); ok {
			delete(e.awaited, no)
		}
	}
}

// ticketsAt are the open tickets of a point, oldest first.
func (e *Engine) ticketsAt(point string) (out []*grid.Ticket) {
	for _, t := range e.tickets {
		if t.Point == point && !t.State.Ended() {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *grid.Ticket) int { return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID)) })
	return out
}

// leaves settles what hangs on a device that leaves its points. Episodes that only it could
// end are ended, those of the point go on. The tickets of such episodes are told, and where
// another device comes (replaced) they are reported done and go to check: the closed loop is
// closed by the next device's word, or a person's. It gives the tickets that are open there.
func (b *batch) leaves(here []grid.Installation, said string, act *grid.Act, replaced bool) (tickets []string) {
	e := b.e
	for i := range here {
		pt, ok := e.memory.Point(here[i].Point)
		if !ok {
			continue
		}
		for _, t := range e.ticketsAt(here[i].Point) {
			tickets = addOnce(tickets, t.ID)
		}
		var of []string
		for _, r := range e.rulesOf(pt) {
			of = b.leaveEpisode(pt, r, said, replaced, of)
		}
		b.forgetDevice(pt)
		for _, id := range of {
			b.tellOfDevice(id, said, act, replaced)
		}
	}
	return tickets
}

// leaveEpisode ends an episode of a rule that looks at the device, and adds its ticket to of.
func (b *batch) leaveEpisode(pt registry.PointNo, r *alarm.Rule, said string, replaced bool, of []string) []string {
	if r.Kind != grid.KindFault && r.Kind != grid.KindTamper && r.Kind != grid.KindBattery {
		return of
	}
	where := b.e.memory.PointAt(pt).ID
	ep := b.e.episode(where, r.Type)
	if ep == nil {
		return of
	}
	if b.e.tickets[ep.Ticket] != nil {
		of = addOnce(of, ep.Ticket)
	}
	if !ep.Active {
		return of
	}
	s := site{point: pt, where: where, rule: r, detail: said}
	switch r.From {
	case alarm.FromSignal:
		in, _, _, _ := b.e.senses(ep)
		over := alarm.EndedAt(ep, in)
		b.clear(s, ep, alarm.Input{Since: over, Heard: over}, nil)
		b.unsay(pt, r)
	case alarm.FromStolen:
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	case alarm.FromSilence, alarm.FromUnreadable:
		// With another device the point is blind until that one speaks: see markReplaced.
		if !replaced {
			b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		}
	}
	return of
}

// forgetDevice forgets what a device has said of itself at a point.
func (b *batch) forgetDevice(pt registry.PointNo) {
	soft := b.e.soft.touchPoint(pt)
	kept := soft.vals[:0:0]
	for _, v := range soft.vals {
		if !slices.Contains(deviceSignals, v.signal) {
			kept = append(kept, v)
		}
	}
	soft.vals = kept
}

// tellOfDevice writes into a ticket's history what became of its device, and reports it done as
// far as the table of moves lets it: swapping is the repair.
func (b *batch) tellOfDevice(id, said string, act *grid.Act, done bool) {
	e := b.e
	t := e.tickets[id]
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return
	}
	b.applyMove(id, plan, grid.Move{Verb: grid.VerbNote, By: grid.Actor{Role: grid.RoleSystem, Name: "registry"}, Reason: said})
	if !done {
		return
	}
	by, source := act.By, ""
	if by.Role != grid.RoleUnit {
		source = orElse(by.Name, "registry")
		if by.Role == grid.RoleSystem || by.Role == "" {
			by.Role = grid.RoleOperator
		}
	}
	for _, verb := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		b.applyMove(id, plan, grid.Move{Verb: verb, By: by, Source: source, OnSite: by.Role == grid.RoleUnit, Reason: said})
	}
}

// applyMove does a move that may not be possible as things stand: then nothing happens.
func (b *batch) applyMove(id string, plan *ticket.Plan, m grid.Move) {
	e := b.e
	m.Ticket, m.At = id, e.Now()
	copied := *e.tickets[id]
	copied.Assignments, copied.Clocks = slices.Clone(copied.Assignments), slices.Clone(copied.Clocks)
	if _, err := ticket.Apply(&copied, m, plan, e.context(&copied)); err != nil {
		return
	}
	row := b.changeTicket(id)
	res, err := ticket.Apply(row, m, plan, e.context(row))
	if err != nil { // it was possible a moment ago, on the copy
		e.log.Error("ticket is not told of its device", "ticket", id, "err", err)
		return
	}
	b.ticketChanged(row, res)
	if res.Changed {
		b.followMove(row, &m)
	}
}

// UndoReplace takes back a swap of the last day: the old device is at its points again, the
// new one is retired.
func (e *Engine) UndoReplace(ctx context.Context, old grid.Identity, act grid.Act) (grid.Swapped, error) {
	act.Via = cmp.Or(act.Via, "undo")
	return as[grid.Swapped](e.registryCommand(ctx, "replace.undo", act, func(b *batch) (any, error) { return b.undoReplace(old, &act) }))
}

func (b *batch) undoReplace(id grid.Identity, act *grid.Act) (grid.Swapped, error) {
	e := b.e
	old, err := e.store.Device(context.Background(), id)
	if err != nil {
		return grid.Swapped{}, err
	}
	if old.State != grid.Barred || old.ReplacedBy == "" {
		return grid.Swapped{}, grid.Errorf(grid.Conflict, "device %s is %s: want one that was replaced", id, old.State)
	}
	if b.now.Sub(old.Since) > undoWithin {
		return grid.Swapped{}, grid.Errorf(grid.Conflict, "device %s was replaced at %s: it can be undone for %s", id, old.Since.UTC().Format(time.RFC3339), undoWithin)
	}
	fresh, err := e.store.Device(context.Background(), old.ReplacedBy)
	if err != nil {
		return grid.Swapped{}, err
	}
	now, err := b.currentOf(fresh.Identity)
	if err != nil {
		return grid.Swapped{}, err
	}
	took := slices.DeleteFunc(slices.Clone(now), func(in grid.Installation) bool { return !in.From.Equal(old.Since) })
	if fresh.State != grid.Installed || len(took) == 0 || len(took) != len(now) {
		return grid.Swapped{}, grid.Errorf(grid.Conflict, "device %s is %s and has been changed since the swap: move it by hand", fresh.Identity, fresh.State)
	}
	at := later(b.doneAt(act), old.Since)
	var back []grid.Installation
	for _, in := range took {
		back = append(back, grid.Installation{Device: id, Channel: in.Channel, Point: in.Point, From: at})
	}
	said := fmt.Sprintf("swap of device %s for %s was undone (%s): %s", id, fresh.Identity, act.By.Name, orElse(act.Reason, "undone"))
	tickets := b.leaves(took, said, act, false)
	b.noLongerBarred(id)
	old.State, old.Installed, old.Why, old.Since, old.ReplacedBy, old.LastPoint = grid.Installed, at, "", time.Time{}, "", ""
	fresh.State, fresh.Why, fresh.Since, fresh.LastPoint = grid.Retired, said, at, took[0].Point
	if err := b.putWhole([]grid.Device{fresh, old}, endedAt(took, at), back); err != nil {
		return grid.Swapped{}, err
	}
	b.audit("device.replace.undo", string(id), act.By, nil)
	return grid.Swapped{Old: old, New: fresh, Installations: back, Tickets: tickets}, nil
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

// found ends device.stolen at the points of a device that is there again.
func (b *batch) found(here []grid.Installation, said string) {
	e := b.e
	for i := range here {
		pt, ok := e.memory.Point(here[i].Point)
		if !ok {
			continue
		}
		for _, r := range e.rulesOf(pt) {
			if ep := e.episode(here[i].Point, r.Type); r.From == alarm.FromStolen && ep != nil && ep.Active {
				b.clear(site{point: pt, where: here[i].Point, rule: r, detail: said}, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
				b.check(ep.Ticket)
			}
		}
	}
}

// BarDevice keeps a device out: what it sends is quarantined, and nothing lets it in. A stolen
// one loses its credentials for good and raises device.stolen at its points. It stays at them until it is replaced, moved or retired.
func (e *Engine) BarDevice(ctx context.Context, id grid.Identity, stolen bool, act grid.Act) (grid.Device, error) {
	return as[grid.Device](e.registryCommand(ctx, "device.bar", act, func(b *batch) (any, error) {
		if act.Reason == "" {
			return nil, grid.Errorf(grid.Invalid, "reason is missing: want one for barring a device")
		}
		d, err := e.store.Device(context.Background(), id)
		if err != nil {
			return nil, err
		}
		if d.State == grid.Retired {
			return nil, grid.Errorf(grid.Conflict, "device %s is retired", id)
		}
		here, err := b.currentOf(id)
		if err != nil || d.State == grid.Barred && d.Stolen == stolen {
			return d, err
		}
		d.State, d.Why, d.Since, d.Stolen = grid.Barred, act.Reason, b.doneAt(&act), stolen
		if len(here) > 0 {
			d.LastPoint = here[0].Point
		}
		if stolen {
			if err := b.revoke(id, &act); err != nil {
				return nil, err
			}
			b.stolen(here, &act, id)
		}
		if err := b.putWhole([]grid.Device{d}, nil, nil); err != nil {
			return nil, err
		}
		b.audit("device.bar", string(id), act.By, nil)
		return d, nil
	}))
}

// revoke ends the credentials of a device: who has it has them, also when it is found again.
func (b *batch) revoke(id grid.Identity, act *grid.Act) error {
	had, err := b.credentialsOf(id)
	if err != nil {
		return err
	}
	for _, c := range had {
		if c.Ended.IsZero() {
			c.Ended, c.Why = b.now, "its device was stolen: "+act.Reason
			b.endCredential(c, act.By)
		}
	}
	return nil
}

// stolen raises device.stolen at the points of a device, by a person's word.
func (b *batch) stolen(here []grid.Installation, act *grid.Act, id grid.Identity) {
	e := b.e
	for i := range here {
		pt, ok := e.memory.Point(here[i].Point)
		if !ok {
			continue
		}
		for _, r := range e.rulesOf(pt) {
			ep := e.episode(here[i].Point, r.Type)
			if r.From != alarm.FromStolen || ep != nil && ep.Active {
				continue
			}
			b.raise(site{point: pt, where: here[i].Point, rule: r, device: id, detail: fmt.Sprintf("device %s was reported stolen by %s: %s", id, act.By.Name, act.Reason)}, nil, b.doneAt(act))
			break
		}
	}
}

// barredSpeaks tells the operator that a device speaks which is barred: once, until it is
// revived or retired.
func (b *batch) barredSpeaks(no registry.DeviceNo, d *decoded) {
	e := b.e
	if b.quiet || e.barredRule == nil || e.memory.DeviceAt(no).State() != grid.Barred {
		return
	}
	id := e.memory.DeviceAt(no).Identity
	s := b.siteOfBarred(no)
	if ep := e.episode(s.where, s.rule.Type); ep != nil && ep.Active {
		return
	}
	s.detail = fmt.Sprintf("device %s is barred and still speaks; it was last at point %s", id, orElse(s.at.ID, "(none)"))
	b.raise(s, d, b.now)
}

// siteOfBarred is where a device is told of that is at no point: itself, with the place where it was.
func (b *batch) siteOfBarred(no registry.DeviceNo) site {
	e := b.e
	row := e.memory.DeviceAt(no)
	s := site{point: registry.PointNo(registry.None), where: "device:" + string(row.Identity), device: row.Identity, rule: e.barredRule, mode: row.Mode()}
	if pt, ok := e.lastPlace(no); ok {
		p := e.memory.PointAt(pt)
		s.at = grid.Point{ID: p.ID, Scope: e.memory.Scope(p), Cell: e.memory.Cell(p), Building: e.memory.Building(p), Kind: p.Kind()}
	}
	return s
}

// lastPlace is where a device is, or was when it was taken out.
func (e *Engine) lastPlace(no registry.DeviceNo) (registry.PointNo, bool) {
	if pt, ok := e.memory.AnyPoint(no); ok {
		return pt, true
	}
	return e.memory.Point(e.lastPoints[e.memory.DeviceAt(no).Identity])
}

// noLongerBarred ends what was raised of a device because it was barred.
func (b *batch) noLongerBarred(id grid.Identity) {
	e := b.e
	no, ok := e.memory.Device(id)
	if !ok || e.barredRule == nil {
		return
	}
	s := b.siteOfBarred(no)
	if ep := e.episode(s.where, s.rule.Type); ep != nil && ep.Active {
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	}
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
