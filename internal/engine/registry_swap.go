package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Swaps of devices, and how they are taken back.

// undoWithin is how long a swap can be taken back.
const undoWithin = 24 * time.Hour

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
