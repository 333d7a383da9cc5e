package state

import (
	"context"
	"encoding/json"

	"gridgate/internal/grid"
)

var regionTable = table[grid.Region]{
	name: "regions", key: "code",
	cols: "code, kind, name, name_en, " + allScope + ", schematic, synthetic, source, shape",
	bind: func(a *args, g *grid.Region) {
		a.text(g.Code, string(g.Kind), g.Name, g.NameEN)
		a.scope(g.Scope)
		a.text(g.Cell, string(g.Mode))
		a.flag(g.Schematic)
		a.flag(g.Synthetic)
		a.text(g.Source)
		if len(g.Shape) == 0 {
			a.text("")
		} else {
			a.doc(g.Shape)
		}
	},
	scan: func(r *row) grid.Region {
		g := grid.Region{
			Code: r.text(), Kind: grid.RegionKind(r.text()), Name: r.text(), NameEN: r.text(), Scope: r.scope(), Cell: r.text(),
			Mode: grid.Mode(r.text()), Schematic: r.flag(), Synthetic: r.flag(), Source: r.text(),
		}
		if shape := r.text(); shape != "" {
			if err := json.Unmarshal([]byte(shape), &g.Shape); err != nil && r.err == nil {
				r.err = err
			}
		}
		return g
	},
}

var regionList = list{
	order: []string{"code"},
	text:  []string{"code", "name", "name_en"},
	filters: map[string]string{
		"id": "code = ?", "cell": "cell = ?", "kind": "kind = ?",
	},
}

// ListRegions gives regions by code.
func (s *Store) ListRegions(ctx context.Context, q Query) (Page[grid.Region], error) {
	return pageOf(ctx, s, &regionTable, &regionList, q)
}

// Regions gives all regions by code.
func (s *Store) Regions(ctx context.Context) ([]grid.Region, error) {
	return readAll(ctx, s, &regionTable, "ORDER BY code")
}

// PointsAfter gives the next points by id, whole.
func (s *Store) PointsAfter(ctx context.Context, id string, most int) ([]grid.Point, error) {
	return readAll(ctx, s, &pointTable, "WHERE id > ? ORDER BY id LIMIT ?", id, int64(most))
}

// regions deletes those that are gone, then puts.
func (w *writer) regions(b *Batch) {
	for _, code := range b.RegionsGone {
		w.exec("DELETE FROM regions WHERE code = ?", code)
	}
	put(w, &regionTable, b.Regions...)
}
