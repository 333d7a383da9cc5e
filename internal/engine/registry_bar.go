package engine

import (
	"context"
	"fmt"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Devices that are barred, and those that were stolen.

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

// barredRule is what a barred device raises that still speaks. It opens no ticket: the operator sees it.
func barredRule(rules *alarm.Rules) *alarm.Rule {
	own := alarm.Rule{Type: grid.EventDeviceBarred, Kind: grid.KindFault, Priority: 4, TitleZH: "已停用设备仍在上报", TitleEN: "Barred device still speaks"}
	if r := rules.Bare(grid.EventDeviceBarred); r != nil {
		own = *r
	}
	own.Ticket = false
	return &own
}
