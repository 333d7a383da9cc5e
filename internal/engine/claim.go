package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// Claim registers a discovered device, installs it, and processes its frames from the
// quarantine: they fill history, and what is still active is raised.
func (e *Engine) Claim(ctx context.Context, device grid.Device, installations []grid.Installation) (int, error) {
	done, err := e.ClaimWith(ctx, grid.Claim{Device: device, Installations: installations, Act: grid.Act{Via: "claim", By: grid.Actor{Role: grid.RoleSystem, Name: "claim"}}})
	return done.Replayed, err
}

// ClaimWith does the same in somebody's name, and may make the point in the same step. Once the
// device is registered the claim stands: frames that could not be processed yet are told as
// waiting, and are tried again by themselves, after a crash too.
func (e *Engine) ClaimWith(ctx context.Context, c grid.Claim) (grid.Claimed, error) {
	done, err := as[grid.Claimed](e.registryCommand(ctx, "claim", c.Act, func(b *batch) (any, error) { return b.claim(c) }))
	if err != nil {
		return done, err
	}
	n, err := e.replayWaiting(ctx, c.Device.Identity)
	done.Replayed = n
	if err != nil {
		e.claimsLeft()
		e.log.Warn("frames of a claimed device wait for another try", "device", c.Device.Identity, "err", err)
	}
	if page, err := e.store.ListQuarantine(context.WithoutCancel(ctx), state.Query{State: "waiting", Device: string(c.Device.Identity), Limit: 1000}); err == nil {
		done.Waiting = len(page.Items)
	}
	return done, nil
}

func (b *batch) claim(c grid.Claim) (grid.Claimed, error) {
	e := b.e
	c.Act.Via = cmp.Or(c.Act.Via, "claim")
	no, known := e.memory.Device(c.Device.Identity)
	if known {
		if err := b.knownAgain(&c, no); err != nil {
			return grid.Claimed{}, err
		}
	}
	if err := b.mayClaim(&c, no, known); err != nil {
		return grid.Claimed{}, err
	}
	var points []grid.Point
	if c.Point != nil {
		c.Point.Contractor = cmp.Or(c.Point.Contractor, c.Reach.Contractor)
		p, err := b.newPoint(*c.Point)
		if err != nil {
			return grid.Claimed{}, err
		}
		if c.Point = p; p != nil {
			points = []grid.Point{*p}
		}
	}
	if err := b.inReach(&c); err != nil {
		return grid.Claimed{}, err
	}
	if err := b.places(&c); err != nil {
		return grid.Claimed{}, err
	}
	devices := []grid.Device{c.Device}
	if err := b.put(points, devices, c.Installations, nil); err != nil {
		return grid.Claimed{}, err
	}
	b.unignore(c.Device.Identity)
	b.audit("device.claim", string(c.Device.Identity), c.By, nil)
	return grid.Claimed{Device: devices[0], Point: c.Point}, nil
}

// knownAgain fills in what is known of a device that is registered already: a claim says only
// where it is now.
func (b *batch) knownAgain(c *grid.Claim, no registry.DeviceNo) error {
	old, err := b.e.store.Device(context.Background(), c.Device.Identity)
	if err != nil {
		return err
	}
	old.Profile = cmp.Or(c.Device.Profile, old.Profile)
	old.Mode = cmp.Or(c.Device.Mode, old.Mode)
	old.Interval = cmp.Or(c.Device.Interval, old.Interval)
	old.Serial, old.Label = cmp.Or(c.Device.Serial, old.Serial), cmp.Or(c.Device.Label, old.Label)
	if was := b.e.memory.DeviceAt(no).State(); was == grid.Barred || was == grid.Retired {
		return grid.Errorf(grid.Conflict, "device %s is %s: want it revived before it is claimed", old.Identity, was)
	}
	c.Device = old
	return nil
}

// mayClaim checks the token and who claims. A code that leaked is not enough: it holds once, for
// a device that is registered and nowhere installed, in the reach of whoever is signed on.
func (b *batch) mayClaim(c *grid.Claim, no registry.DeviceNo, known bool) error {
	e := b.e
	if c.Device.Profile == "" {
		return grid.Errorf(grid.Invalid, "device %s: profile is empty: want one of the guesses, <vendor>/<model>", c.Device.Identity)
	}
	at, installed := registry.PointNo(0), false
	if known {
		at, installed = e.memory.AnyPoint(no)
	}
	technician := c.Reach != grid.Scope{}
	if installed && (technician || c.Token != "") && !b.isThere(c, no) {
		return grid.Errorf(grid.Conflict, "device %s is at point %s: want it swapped, moved or taken out there first", c.Device.Identity, e.memory.PointAt(at).ID)
	}
	labels, err := b.labelsOf(c.Device.Identity)
	if err != nil {
		return err
	}
	shown := false
	for i := range labels {
		l := &labels[i]
		switch {
		case c.Token != "" && l.Hash == c.Token:
			if shown, err = true, b.useLabel(l, c, installed); err != nil {
				return err
			}
		case l.Holds(b.now) && technician && c.Token == "" && !installed:
			return grid.Errorf(grid.Forbidden, "device %s has a label with a claim token: want its code scanned", c.Device.Identity)
		}
	}
	if c.Token != "" && !shown {
		return grid.Errorf(grid.Forbidden, "the token is not one of device %s", c.Device.Identity)
	}
	return nil
}

// isThere reports whether a claim says what is so already: one that is told again.
func (b *batch) isThere(c *grid.Claim, no registry.DeviceNo) bool {
	for _, in := range c.Installations {
		pt, ok := b.e.memory.PointFor(no, channelName(in.Channel))
		if !ok || b.e.memory.PointAt(pt).ID != in.Point {
			return false
		}
	}
	return len(c.Installations) > 0
}

func (b *batch) useLabel(l *grid.ClaimLabel, c *grid.Claim, installed bool) error {
	switch {
	case !l.Used.IsZero() && installed: // isThere: the same once more
		return nil
	case !l.Used.IsZero():
		return grid.Errorf(grid.Conflict, "the token of device %s was used on %s by %s: want a new label", l.Device, l.Used.Format(time.RFC3339), l.EndedBy.Name)
	case !l.Ended.IsZero():
		return grid.Errorf(grid.Forbidden, "the label of device %s does not hold any more: %s", l.Device, l.Why)
	case !l.Holds(b.now):
		return grid.Errorf(grid.Forbidden, "the token of device %s has expired on %s: want a new label", l.Device, l.Expires.Format(time.RFC3339))
	case !reaches(c.Reach, l.Scope):
		return grid.Errorf(grid.Forbidden, "device %s is meant for another contractor or place", l.Device)
	}
	used := *l
	used.Used, used.Ended, used.Why, used.EndedBy = b.now, b.now, "used", c.By
	b.rows.Labels = append(b.rows.Labels, used)
	return nil
}

// newPoint checks a point that is made with a claim; nil if it is there already and the same kind.
func (b *batch) newPoint(p grid.Point) (*grid.Point, error) {
	e := b.e
	if no, ok := e.memory.Point(p.ID); ok {
		if row := e.memory.PointAt(no); row.Kind() != p.Kind {
			return nil, grid.Errorf(grid.Conflict, "point %q is registered already, as %s", p.ID, row.Kind())
		}
		return nil, nil
	}
	p.Mode = cmp.Or(p.Mode, grid.Live)
	if err := registry.WholePoint(&p); err != nil {
		return nil, err
	}
	if _, err := e.Rules.For(p.Rules, p.Kind); err != nil {
		return nil, grid.Errorf(grid.Invalid, "point %s: %w", p.ID, err)
	}
	if err := b.referred(&p); err != nil {
		return nil, err
	}
	p.Privacy = cmp.Or(p.Privacy, registry.PrivacyOf(&p))
	return &p, nil
}

// places fills in channels and times, and refuses a point that has another device on the channel:
// that is replaced, not claimed over.
func (b *batch) places(c *grid.Claim) error {
	for i := range c.Installations {
		in := &c.Installations[i]
		in.Device, in.Channel = c.Device.Identity, channelName(in.Channel)
		if in.From.IsZero() {
			in.From = b.doneAt(&c.Act)
		}
		if c.Point != nil && c.Point.ID == in.Point {
			continue // it is new
		}
		if err := b.vacant(in.Point, in.Channel, in.Device); err != nil {
			return err
		}
	}
	return nil
}

// inReach refuses a point that whoever claims does not look after.
func (b *batch) inReach(c *grid.Claim) error {
	if c.Reach == (grid.Scope{}) {
		return nil
	}
	if len(c.Installations) == 0 {
		return grid.Errorf(grid.Invalid, "installations is empty: want the point where the device is")
	}
	for _, in := range c.Installations {
		var at grid.Scope
		if c.Point != nil && c.Point.ID == in.Point {
			at = c.Point.Scope
		}
		if no, ok := b.e.memory.Point(in.Point); ok {
			at = b.e.memory.Scope(b.e.memory.PointAt(no))
		} else if c.Point == nil || c.Point.ID != in.Point {
			return grid.Errorf(grid.NotFound, "point %q is not registered", in.Point)
		}
		if !contains(c.Reach, at) {
			return grid.Errorf(grid.Forbidden, "point %q is not in your hands", in.Point)
		}
	}
	return nil
}

// contains reports whether a place lies in a reach, of the same contractor.
func contains(reach, at grid.Scope) bool {
	return grid.Within(reach, at) && (reach.Contractor == "" || reach.Contractor == at.Contractor)
}

// reaches reports whether a reach and where a label holds agree in all that both say.
func reaches(reach, label grid.Scope) bool {
	return within(&reach, &label) && (reach.Contractor == "" || label.Contractor == "" || reach.Contractor == label.Contractor)
}

// replayWaiting processes the frames of a device that wait in quarantine, as history.
func (e *Engine) replayWaiting(ctx context.Context, id grid.Identity) (int, error) {
	var ids []string
	q := state.Query{State: "waiting", Device: string(id), Limit: 1000}
	for {
		page, err := e.store.ListQuarantine(ctx, q)
		if err != nil {
			return 0, fmt.Errorf("claim of %s: %w", id, err)
		}
		for i := range page.Items {
			ids = append(ids, page.Items[i].ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	return e.Replay(ctx, ids, grid.Actor{Role: grid.RoleSystem, Name: "claim"})
}

const (
	claimsEvery = 5 * time.Minute // frames may have come between a decode and a claim
	claimsPage  = 100
)

// claimsLeft wakes finishClaims.
func (e *Engine) claimsLeft() {
	select {
	case e.unfinished <- struct{}{}:
	default: // it is awake
	}
}

// finishClaims processes frames that still wait as a stranger's although their device is
// registered: a crash or a deadline came between the claim and them. It does so at the start,
// when it is woken, and now and then.
func (e *Engine) finishClaims(ctx context.Context) {
	look := time.NewTicker(claimsEvery)
	defer look.Stop()
	for {
		if err := e.finishAll(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("frames of claimed devices wait", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.unfinished:
		case <-look.C:
		}
	}
}

func (e *Engine) finishAll(ctx context.Context) (err error) {
	after := grid.Identity("")
	for {
		ids, readErr := e.store.ClaimedWaiting(ctx, after, claimsPage)
		if readErr != nil || len(ids) == 0 {
			return errors.Join(err, readErr)
		}
		for _, id := range ids {
			n, replayErr := e.replayWaiting(ctx, id)
			if n > 0 {
				e.log.Info("frames of a claimed device are processed", "device", id, "in", n)
			}
			err = errors.Join(err, replayErr)
			if ctx.Err() != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
}
