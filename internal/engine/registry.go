package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Commands on places: points, sites and buildings.

// registryCommand is one that changes the registry, with who does it.
func (e *Engine) registryCommand(ctx context.Context, name string, act grid.Act, do func(b *batch) (any, error)) (any, error) {
	key := ""
	if act.Key != "" {
		key = name + "/" + act.By.Name + "/" + act.Key
	}
	return e.do(ctx, &command{name: name, key: key, registry: true, act: act, do: func(b *batch) (any, error) {
		if err := b.mayLieBack(act.At); err != nil {
			return nil, err
		}
		return do(b)
	}})
}

// mayLieBack refuses an act that is to come, or was done too long ago.
func (b *batch) mayLieBack(at time.Time) error {
	switch now := b.e.Now(); {
	case at.IsZero():
	case at.After(now.Add(time.Minute)):
		return grid.Errorf(grid.Invalid, "at is %s, and it is %s: want a time that is not to come", at.Format(time.RFC3339), now.Format(time.RFC3339))
	case at.Before(now.Add(-grid.OfflineFor)):
		return grid.Errorf(grid.Invalid, "at is %s: want one of the last %d days", at.Format(time.RFC3339), int(grid.OfflineFor.Hours()/24))
	}
	return nil
}

// doneAt is when an act was done, for the rows that it changes.
func (b *batch) doneAt(act *grid.Act) time.Time {
	if act.At.IsZero() || act.At.After(b.now) {
		return b.now
	}
	return act.At.UTC()
}

// PutSite and PutBuilding add or change one.
func (e *Engine) PutSite(ctx context.Context, s grid.Site, act grid.Act) (grid.Site, error) {
	return as[grid.Site](e.registryCommand(ctx, "site", act, func(b *batch) (any, error) {
		all := []grid.Site{s}
		err := b.putPlaces(all, nil)
		return all[0], err
	}))
}

func (e *Engine) PutBuilding(ctx context.Context, x grid.Building, act grid.Act) (grid.Building, error) {
	return as[grid.Building](e.registryCommand(ctx, "building", act, func(b *batch) (any, error) {
		all := []grid.Building{x}
		err := b.putPlaces(nil, all)
		return all[0], err
	}))
}

// CreatePoint adds a point; one with its id that is there already is a conflict, unless it is
// the same.
func (e *Engine) CreatePoint(ctx context.Context, p grid.Point, act grid.Act) (grid.Point, error) {
	return as[grid.Point](e.registryCommand(ctx, "point.create", act, func(b *batch) (any, error) {
		if _, ok := e.memory.Point(p.ID); ok {
			return nil, grid.Errorf(grid.Conflict, "point %q is registered already", p.ID)
		}
		p.State = cmp.Or(p.State, grid.PointPlanned)
		return b.writePoint(p)
	}))
}

// ChangePoint writes a point anew. Its state is changed by what is done to it, not here.
func (e *Engine) ChangePoint(ctx context.Context, p grid.Point, act grid.Act) (grid.Point, error) {
	return as[grid.Point](e.registryCommand(ctx, "point.change", act, func(b *batch) (any, error) {
		old, err := e.store.Point(context.Background(), p.ID)
		if err != nil {
			return nil, err
		}
		if old.State == grid.PointRetired {
			return nil, grid.Errorf(grid.Conflict, "point %q is retired", p.ID)
		}
		p.State, p.Mode = old.State, cmp.Or(p.Mode, old.Mode)
		return b.writePoint(p)
	}))
}

// writePoint checks a point and puts it. Memory follows after the commit.
func (b *batch) writePoint(p grid.Point) (grid.Point, error) {
	e := b.e
	p.Mode = cmp.Or(p.Mode, grid.Live)
	if err := registry.WholePoint(&p); err != nil {
		return p, err
	}
	if _, err := e.Rules.For(p.Rules, p.Kind); err != nil {
		return p, grid.Errorf(grid.Invalid, "point %s: %w", p.ID, err)
	}
	if err := b.referred(&p); err != nil {
		return p, err
	}
	p.Privacy = cmp.Or(p.Privacy, registry.PrivacyOf(&p))
	b.followBorders(&p)
	points := []grid.Point{p}
	if _, known := e.memory.Point(p.ID); !known {
		b.intoHands(points)
	}
	b.rows.Points = append(b.rows.Points, points...)
	b.after = append(b.after, func() { e.remember(points, nil, nil, nil) })
	return points[0], nil
}

// referred checks what a point refers to, as far as it is registered.
func (b *batch) referred(p *grid.Point) error {
	ctx := context.Background()
	if p.Building != "" {
		x, err := b.e.store.Building(ctx, p.Building)
		switch {
		case grid.CodeOf(err) == grid.NotFound: // a name: allowed
		case err != nil:
			return err
		case !x.Retired.IsZero():
			return grid.Errorf(grid.Conflict, "point %s: building %s is retired", p.ID, x.ID)
		case !within(&p.Scope, &x.Scope):
			return grid.Errorf(grid.Invalid, "point %s: building %s is in %s: want the point there too", p.ID, x.ID, scopeText(&x.Scope))
		case p.Site != "" && x.Site != "" && x.Site != p.Site:
			return grid.Errorf(grid.Invalid, "point %s: building %s is on site %s, not %s", p.ID, x.ID, x.Site, p.Site)
		}
		p.Site = cmp.Or(p.Site, x.Site)
		standsIn(&p.Scope, &x.Scope)
	}
	if p.Site != "" {
		s, err := b.e.store.Site(ctx, p.Site)
		switch {
		case grid.CodeOf(err) == grid.NotFound:
		case err != nil:
			return err
		case !s.Retired.IsZero():
			return grid.Errorf(grid.Conflict, "point %s: site %s is retired", p.ID, s.ID)
		case !within(&p.Scope, &s.Scope):
			return grid.Errorf(grid.Invalid, "point %s: site %s is in %s: want the point there too", p.ID, s.ID, scopeText(&s.Scope))
		}
	}
	return nil
}

// standsIn fills in what a point does not say of the place in which its building is: units and
// contractors find it by that.
func standsIn(p, building *grid.Scope) {
	for _, f := range []struct{ to, is *string }{
		{&p.District, &building.District}, {&p.Street, &building.Street}, {&p.Community, &building.Community}, {&p.Compound, &building.Compound},
	} {
		*f.to = cmp.Or(*f.to, *f.is)
	}
}

// within reports whether a place agrees with the codes of another that both say.
func within(s, of *grid.Scope) bool {
	agree := func(a, b string) bool { return a == "" || b == "" || a == b }
	return agree(s.District, of.District) && agree(s.Street, of.Street) && agree(s.Community, of.Community) && agree(s.Compound, of.Compound)
}

func scopeText(s *grid.Scope) string {
	return cmp.Or(s.Compound, s.Community, s.Street, s.District)
}

// RetirePoint takes a point out. It is refused while a device is there, an alarm is active or a
// hazard open, and while a ticket is open unless withTickets.
func (e *Engine) RetirePoint(ctx context.Context, id string, withTickets bool, act grid.Act) (grid.Point, error) {
	return as[grid.Point](e.registryCommand(ctx, "point.retire", act, func(b *batch) (any, error) {
		p, err := e.store.Point(context.Background(), id)
		if err != nil || p.State == grid.PointRetired {
			return p, err
		}
		if err := b.mayRetire(id, withTickets); err != nil {
			return nil, err
		}
		p.State = grid.PointRetired
		b.rows.Points = append(b.rows.Points, p)
		points := []grid.Point{p}
		b.after = append(b.after, func() { e.remember(points, nil, nil, nil) })
		return p, nil
	}))
}

func (b *batch) mayRetire(id string, withTickets bool) error {
	e := b.e
	here, err := e.store.CurrentAt(context.Background(), id)
	if err != nil {
		return err
	}
	if len(here) > 0 {
		return grid.Errorf(grid.Conflict, "point %s has device %s: move or retire it first", id, here[0].Device)
	}
	for _, a := range e.alarms {
		if a.Point == id && a.Active {
			return grid.Errorf(grid.Conflict, "point %s: %s is active (alarm %s)", id, a.Type, a.ID)
		}
	}
	for _, h := range e.hazards {
		if h.Point == id && h.Open() {
			return grid.Errorf(grid.Conflict, "point %s: hazard %s (%s) is open", id, h.ID, h.Kind)
		}
	}
	var open []string
	for _, t := range e.ticketsAt(id) {
		open = append(open, t.Case)
	}
	if len(open) > 0 && !withTickets {
		return grid.Errorf(grid.Conflict, "point %s has open tickets: %s", id, listed(open, 10))
	}
	return nil
}

// AddNote keeps a remark on a point or a device in its history.
func (e *Engine) AddNote(ctx context.Context, point string, device grid.Identity, text string, act grid.Act) (grid.Change, error) {
	return as[grid.Change](e.registryCommand(ctx, "note", act, func(b *batch) (any, error) {
		c := b.chronicle(act)
		l := grid.Change{Action: "noted", Kind: "point", Subject: point, Point: point, Reason: text, After: encoded(map[string]string{"note": text})}
		if device != "" {
			if _, ok := e.memory.Device(device); !ok {
				return nil, grid.Errorf(grid.NotFound, "device %s: not registered", device)
			}
			d, err := e.store.Device(context.Background(), device)
			if err != nil {
				return nil, err
			}
			l.Kind, l.Subject, l.Device = "device", string(device), device
			l = c.ofDevice(l, &d)
		} else if _, ok := e.memory.Point(point); !ok {
			return nil, grid.Errorf(grid.NotFound, "point %q: not found", point)
		} else {
			l = c.at(l, point)
		}
		c.line(l)
		return b.rows.Changes[len(b.rows.Changes)-1], nil
	}))
}

// AddPhoto keeps the row of a photo of a point. The same bytes showing the same are one.
func (e *Engine) AddPhoto(ctx context.Context, p grid.PointPhoto, act grid.Act) (grid.PointPhoto, error) {
	if act.Key == "" {
		act.Key = fmt.Sprintf("%s/%s/%s", p.Point, p.Original, p.Shows)
	}
	return as[grid.PointPhoto](e.registryCommand(ctx, "photo", act, func(b *batch) (any, error) {
		pt, ok := e.memory.Point(p.Point)
		if !ok {
			return nil, grid.Errorf(grid.NotFound, "point %q: not found", p.Point)
		}
		row := e.memory.PointAt(pt)
		p.ID, p.At, p.By = b.id(), b.doneAt(&act), act.By
		p.Scope, p.Cell, p.Mode = e.memory.Scope(row), e.memory.Cell(row), row.Mode()
		b.rows.Photos = append(b.rows.Photos, p)
		c := b.chronicle(act)
		c.line(c.at(grid.Change{Action: "photo", Kind: "point", Subject: p.Point, Point: p.Point, After: encoded(map[string]string{"photo": p.ID, "shows": p.Shows})}, p.Point))
		return p, nil
	}))
}
