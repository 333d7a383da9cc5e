package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Regions are replaced as a whole, in one transaction. Then every point is placed anew, in
// pieces that smoke may overtake; how far that is stands in the state, so that after a crash
// the start goes on with it.

// regions is the map in force.
type regions struct {
	now     atomic.Pointer[geo.Map] // after the commit; anybody may ask
	next    *geo.Map                // within the turn
	placing *placing                // nil: all points are placed by the map
}

// placing is how far the points are placed anew.
type placing struct {
	After string     `json:"after"` // the last point that is done
	Moved int        `json:"moved"` // points that it changed
	By    grid.Actor `json:"by"`
}

const (
	metaPlacing = "placing"
	placePiece  = 256 // points that one command places
	placeWithin = 10 * time.Minute
)

// Regions is the map in force; it never changes, a new one takes its place.
func (e *Engine) Regions() *geo.Map { return e.regions.now.Load() }

// PutRegions puts the regions of a checked file in the place of those of the same kinds in
// the same districts, and then every point into the cell in which it now lies, except where
// a person said the cell. key makes it idempotent.
func (e *Engine) PutRegions(ctx context.Context, file []grid.Region, by grid.Actor, key string) (grid.RegionsPut, error) {
	base := e.Regions()
	next := geo.Merge(base, file) // before the turn: it has no time for that
	if key != "" {
		key = "regions/" + key
	}
	act := grid.Act{By: by, Via: "regions"}
	done, err := as[grid.RegionsPut](e.do(ctx, &command{name: "regions", key: key, registry: true, act: act, do: func(b *batch) (any, error) {
		if e.regions.next != base {
			next = geo.Merge(e.regions.next, file)
		}
		return b.putRegions(next, len(file), by)
	}}))
	if err != nil {
		return done, err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), placeWithin)
	defer cancel()
	return done, e.PlaceAnew(within)
}

func (b *batch) putRegions(next *geo.Map, of int, by grid.Actor) (grid.RegionsPut, error) {
	e := b.e
	put, gone := geo.Diff(e.regions.next, next)
	done := geo.Change(e.regions.next, next, of)
	if len(put)+len(gone) == 0 {
		return done, nil
	}
	was := e.regions.next
	b.undo = append(b.undo, func() { e.regions.next = was })
	e.regions.next = next
	b.rows.Regions, b.rows.RegionsGone = append(b.rows.Regions, put...), append(b.rows.RegionsGone, gone...)
	if err := b.putPlacing(&placing{By: by}); err != nil {
		return done, err
	}
	row := state.Audit{ID: b.id(), At: b.now, By: by, Action: "regions.put", Mode: grid.Live, Scope: e.home,
		Detail: fmt.Sprintf("%d added, %d changed, %d removed", done.Added, done.Changed, done.Removed)}
	if len(put) > 0 {
		row.Subject, row.Mode, row.Scope = put[0].Scope.District, put[0].Mode, grid.Scope{District: put[0].Scope.District}
	}
	b.rows.Audit = append(b.rows.Audit, row)
	b.after = append(b.after, func() {
		e.regions.now.Store(next)
		e.registryNo.Add(1) // what was worked out by the old map is worked out anew
	})
	return done, nil
}

// putPlacing notes how far the placing is; nil: it is done.
func (b *batch) putPlacing(p *placing) error {
	raw := []byte{}
	if p != nil {
		var err error
		if raw, err = json.Marshal(p); err != nil {
			return err
		}
	}
	was, meta := b.e.regions.placing, b.rows.Meta[metaPlacing]
	_, had := b.rows.Meta[metaPlacing]
	b.undo = append(b.undo, func() {
		b.e.regions.placing = was
		if delete(b.rows.Meta, metaPlacing); had {
			b.rows.Meta[metaPlacing] = meta
		}
	})
	b.e.regions.placing = p
	b.putMeta(metaPlacing, string(raw))
	return nil
}

// PlaceAnew goes on placing points by a changed map until all are done. With nothing to do
// it does nothing.
func (e *Engine) PlaceAnew(ctx context.Context) error {
	for {
		more, err := as[bool](e.do(ctx, &command{name: "regions.place", registry: true, act: grid.Act{Via: "regions"}, do: func(b *batch) (any, error) { return b.placePiece() }}))
		if err != nil || !more {
			return err
		}
	}
}

// placePiece places the next points and reports whether there are more.
func (b *batch) placePiece() (more bool, err error) {
	e := b.e
	at := e.regions.placing
	if at == nil {
		return false, nil
	}
	points, err := e.store.PointsAfter(context.Background(), at.After, placePiece)
	if err != nil {
		return false, err
	}
	newer := b.newerPoints()
	var moved []grid.Point
	for _, p := range points {
		if n, ok := newer[p.ID]; ok {
			p = b.rows.Points[n]
		}
		if geo.Replace(&p, e.regions.next) {
			moved = append(moved, p)
		}
	}
	if len(moved) > 0 {
		b.rows.Points = append(b.rows.Points, moved...)
		b.after = append(b.after, func() { e.remember(moved, nil, nil, nil) })
	}
	next := &placing{Moved: at.Moved + len(moved), By: at.By}
	if len(points) == placePiece {
		next.After = points[len(points)-1].ID
		return true, b.putPlacing(next)
	}
	if next.Moved > 0 {
		b.rows.Audit = append(b.rows.Audit, state.Audit{ID: b.id(), At: b.now, By: at.By, Action: "regions.placed", Mode: grid.Live, Scope: e.home,
			Detail: fmt.Sprintf("%d points were put into another cell", next.Moved)})
	}
	return false, b.putPlacing(nil)
}

// newerPoints are those that this turn has changed already, and where.
func (b *batch) newerPoints() map[string]int {
	newer := make(map[string]int, len(b.rows.Points))
	for i := range b.rows.Points {
		newer[b.rows.Points[i].ID] = i
	}
	return newer
}

// followBorders places a point that was placed by a map which has been replaced since.
func (b *batch) followBorders(p *grid.Point) {
	if p.Placed == grid.PlacedByRegion {
		geo.Replace(p, b.e.regions.next)
	}
}

// loadRegions puts the stored regions into force.
func (e *Engine) loadRegions(ctx context.Context, stands string) error {
	all, err := e.store.Regions(ctx)
	if err != nil {
		return fmt.Errorf("load regions: %w", err)
	}
	m := geo.NewMap(all)
	e.regions.next = m
	e.regions.now.Store(m)
	if stands == "" {
		return nil
	}
	e.regions.placing = &placing{}
	if err := json.Unmarshal([]byte(stands), e.regions.placing); err != nil {
		return fmt.Errorf("stored placing is %q: %w", stands, err)
	}
	return nil
}
