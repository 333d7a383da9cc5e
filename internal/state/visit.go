package state

import (
	"context"
	"encoding/json"

	"gridgate/internal/grid"
)

// visitTable writes columns for filters and reads the document.
var visitTable = table[grid.Visit]{
	name: "visits", key: "id",
	cols:  "id, device, point, kind, state, needs_gateway, started, decided, newest, erased, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, v *grid.Visit) {
		a.text(v.ID, string(v.Device), v.Point, string(v.Kind), string(v.State))
		a.flag(v.Gateway)
		a.time(v.Started)
		a.time(v.Decided)
		a.flag(v.Newest)
		a.time(v.Erased)
		a.doc(v)
		a.scope(v.Scope)
		a.text(v.Cell, string(v.Mode))
	},
	scan: func(r *row) (v grid.Visit) {
		if err := json.Unmarshal(r.json(), &v); err != nil && r.err == nil {
			r.err = err
		}
		return v
	},
}

var visitList = list{
	order: []string{"started", "id"}, newest: true,
	time: "started",
	text: []string{"id", "device", "point"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "kind": "kind = ?", "point": "point = ?", "device": "device = ?",
		"state": "state = ?", "state=needs_gateway": "needs_gateway = 1 AND newest = 1", "state=unproven": "newest = 1 AND state IN ('pending', 'failed')",
	},
}

// Visit gives one visit by its id.
func (s *Store) Visit(ctx context.Context, id string) (grid.Visit, error) {
	return one(ctx, s, &visitTable, "visit", "id", id)
}

// LiveVisits gives every visit that is open or pending, by their ids.
func (s *Store) LiveVisits(ctx context.Context) ([]grid.Visit, error) {
	return readAll(ctx, s, &visitTable, "WHERE decided = 0 ORDER BY id")
}

// NewestVisit gives the visit of a point that decides whether it is proven: one, or none.
func (s *Store) NewestVisit(ctx context.Context, point string) ([]grid.Visit, error) {
	return readAll(ctx, s, &visitTable, "WHERE point = ? AND newest = 1", point)
}

// ListVisits lists visits, newest first. State "needs_gateway" stands for those whose point
// is not heard well enough, "unproven" for the newest of points that are not protected.
func (s *Store) ListVisits(ctx context.Context, q Query) (Page[grid.Visit], error) {
	return pageOf(ctx, s, &visitTable, &visitList, q)
}
