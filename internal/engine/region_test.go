package engine

import (
	"fmt"
	"testing"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

func block(code string, x0, y0, x1, y1 float64) grid.Region {
	kind, _ := geo.KindOf(code)
	r := grid.Region{Code: code, Kind: kind, Scope: geo.ScopeOf(code), Mode: grid.Live, Shape: grid.Shape{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}}
	if kind == grid.CellRegion {
		r.Cell = code
	}
	return r
}

// halves are two cells of one street, with their common border at x.
func halves(x float64) []grid.Region {
	return []grid.Region{
		block("310105006", 121.40, 31.20, 121.42, 31.22),
		block("310105006001001", 121.40, 31.20, x, 31.22), block("310105006001002", x, 31.20, 121.42, 31.22),
	}
}

func (r *rig) cellOf(id string) string {
	r.t.Helper()
	stored := must[grid.Point](r.t)(r.store.Point(r.t.Context(), id))
	var remembered string
	must[any](r.t)(r.engine.do(r.t.Context(), &command{name: "poke", do: func(*batch) (any, error) {
		pt, ok := r.engine.memory.Point(id)
		if ok {
			remembered = r.engine.memory.Cell(r.engine.memory.PointAt(pt))
		}
		return nil, nil
	}}))
	if stored.Cell != remembered {
		r.t.Fatalf("point %s is in cell %q as stored and %q in memory", id, stored.Cell, remembered)
	}
	return stored.Cell
}

// placedPoint comes in as every entry brings it.
func (r *rig) placedPoint(id string, lon float64, cell string) {
	r.t.Helper()
	p := grid.Point{ID: id, Name: id, Kind: grid.Door, Lon: lon, Lat: 31.21, CRS: "WGS84", Cell: cell}
	if _, err := geo.Place(&p, r.engine.Regions(), true); err != nil {
		r.t.Fatal(err)
	}
	r.put(grid.Registration{Points: []grid.Point{p}})
}

var surveyor = grid.Actor{Role: grid.RoleSupervisor, Name: "surveyor"}

func (r *rig) borders(file []grid.Region, key string) grid.RegionsPut {
	r.t.Helper()
	return must[grid.RegionsPut](r.t)(r.engine.PutRegions(r.t.Context(), file, surveyor, key))
}

func TestPointsFollowTheirBordersUnlessACellWasSetByHand(t *testing.T) {
	r := newRig(t)
	r.placedPoint("before", 121.405, "") // there are no borders yet
	if got := r.borders(halves(121.41), "a"); got.Added != 3 {
		t.Errorf("put %+v: want 3 added", got)
	}
	r.placedPoint("west", 121.408, "")
	r.placedPoint("hand", 121.408, "310105006001002") // its position says the other
	for id, want := range map[string]string{"before": "310105006001001", "west": "310105006001001", "hand": "310105006001002"} {
		if got := r.cellOf(id); got != want {
			t.Errorf("%s is in cell %q: want %s", id, got, want)
		}
	}
	if got := r.borders(halves(121.407), "b"); got.Changed != 2 || got.Same != 1 {
		t.Errorf("put %+v: want 2 changed, 1 the same", got)
	}
	for id, want := range map[string]string{"before": "310105006001001", "west": "310105006001002", "hand": "310105006001002"} {
		if got := r.cellOf(id); got != want {
			t.Errorf("after the change %s is in cell %q: want %s", id, got, want)
		}
	}
	if p := must[grid.Point](t)(r.store.Point(t.Context(), "hand")); p.Placed != grid.PlacedByHand {
		t.Errorf("the point set by hand is marked %q", p.Placed)
	}
	r.restart()
	if l := r.engine.Regions().At(121.408, 31.21); l.Cell != "310105006001002" {
		t.Errorf("after a restart the position lies in %+v", l)
	}
}

func TestTheSameImportOfBordersIsDoneOnce(t *testing.T) {
	r := newRig(t)
	first := r.borders(halves(121.41), "a")
	r.borders(halves(121.407), "b")
	if again := r.borders(halves(121.41), "a"); again != first {
		t.Errorf("the same key answers %+v: want %+v", again, first)
	}
	if l := r.engine.Regions().At(121.408, 31.21); l.Cell != "310105006001002" {
		t.Errorf("lies in %s: want the borders of the later import", l.Cell)
	}
	if again := r.borders(halves(121.407), "c"); again != (grid.RegionsPut{Same: 3}) {
		t.Errorf("the same file answers %+v: want 3 the same", again)
	}
}

// A crash between the borders and the last of the points leaves none behind.
func TestPlacingGoesOnAfterACrash(t *testing.T) {
	r := newRig(t)
	const n = 2*placePiece + 40
	reg := grid.Registration{}
	r.borders(halves(121.41), "a")
	for i := range n {
		p := grid.Point{ID: fmt.Sprintf("p%04d", i), Name: "p", Kind: grid.Door, Lon: 121.408, Lat: 31.21, CRS: "WGS84"}
		if _, err := geo.Place(&p, r.engine.Regions(), false); err != nil {
			t.Fatal(err)
		}
		reg.Points = append(reg.Points, p)
	}
	r.put(reg)
	next := geo.Merge(r.engine.Regions(), halves(121.407))
	must[any](t)(r.engine.do(t.Context(), &command{name: "regions", do: func(b *batch) (any, error) { return b.putRegions(next, 3, surveyor) }}))
	must[any](t)(r.engine.do(t.Context(), &command{name: "regions.place", do: func(b *batch) (any, error) { return b.placePiece() }}))
	if first, last := r.cellOf("p0000"), r.cellOf(fmt.Sprintf("p%04d", n-1)); first != "310105006001002" || last != "310105006001001" {
		t.Fatalf("after one piece the first is in %s and the last in %s", first, last)
	}
	r.restart()
	if err := r.engine.PlaceAnew(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if got := r.cellOf(fmt.Sprintf("p%04d", i)); got != "310105006001002" {
			t.Fatalf("point %d is in cell %s", i, got)
		}
	}
	r.restart()
	if r.engine.regions.placing != nil {
		t.Errorf("after all are placed it stands at %+v", r.engine.regions.placing)
	}
}

func TestAPointThatWasPlacedByBordersReplacedSinceFollowsThem(t *testing.T) {
	r := newRig(t)
	r.borders(halves(121.41), "a")
	p := grid.Point{ID: "late", Name: "late", Kind: grid.Door, Lon: 121.408, Lat: 31.21, CRS: "WGS84"}
	if _, err := geo.Place(&p, r.engine.Regions(), false); err != nil {
		t.Fatal(err)
	}
	r.borders(halves(121.407), "b")
	r.put(grid.Registration{Points: []grid.Point{p}})
	if got := r.cellOf("late"); got != "310105006001002" {
		t.Errorf("it is in cell %s: want that of the new borders", got)
	}
}

func TestAFailedCommitLeavesTheOldBordersInForce(t *testing.T) {
	r := newRig(t)
	r.borders(halves(121.41), "a")
	e := r.engine
	was := e.Regions()
	_, err := e.do(t.Context(), &command{name: "regions", do: func(b *batch) (any, error) {
		if _, err := b.putRegions(geo.Merge(was, halves(121.407)), 3, surveyor); err != nil {
			return nil, err
		}
		return nil, grid.Errorf(grid.Unavailable, "the disk is full")
	}})
	if err == nil {
		t.Fatal("want the error")
	}
	if e.Regions() != was || e.regions.next != was || e.regions.placing != nil {
		t.Error("the borders of a command that failed are in force")
	}
	stored := must[[]grid.Region](t)(r.store.Regions(t.Context()))
	if put, gone := geo.Diff(was, geo.NewMap(stored)); len(put)+len(gone) != 0 {
		t.Errorf("stored: %d differ, %d are gone", len(put), len(gone))
	}
}
