package gatetest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/internal/api"
	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// A gateway begins without areas and says so; an import is tried, then done; points that
// were there before get their cell; each system lands in the same one.
func TestAreasComeInAndPointsGetTheirCells(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	if out := g.gridgate(t, "check"); !strings.Contains(out, "no areas are known") {
		t.Errorf("check of a gateway without areas says\n%s", out)
	}
	const lon, lat = 121.4241, 31.2206 // in the schematic 310105002
	gx, gy := geo.Convert(geo.WGS84, geo.GCJ02, lon, lat)
	g.put(t, fmt.Sprintf("points:\n  - {id: before, kind: door, name: a door, lon: %.7f, lat: %.7f, crs: gcj-02, mode: simulated}\n"+
		"  - {id: hand, kind: door, name: a door, lon: %.7f, lat: %.7f, crs: gcj-02, cell: \"310105001000001\", mode: simulated}\n", gx, gy, gx, gy))
	file := filepath.Join(t.TempDir(), "district.geojson")
	g.gridgate(t, "grid", "demo", "--out", file)

	tried := g.gridgate(t, "grid", "import", file, "--crs", "wgs84", "--mode", "simulated", "--dry-run")
	for _, want := range []string{"nothing is changed", "2 points with a position: 1 lie in another area, 1 stay where a person said", "before", "by hand"} {
		if !strings.Contains(tried, want) {
			t.Errorf("the dry run does not say %q:\n%s", want, tried)
		}
	}
	if out := g.gridgate(t, "grid", "list"); !strings.Contains(out, "no areas") {
		t.Errorf("after the dry run there are areas:\n%s", out)
	}
	g.gridgate(t, "grid", "import", file, "--crs", "wgs84", "--mode", "simulated", "--key", "k1")
	if out := g.gridgate(t, "grid", "import", file, "--crs", "wgs84", "--mode", "simulated"); !strings.Contains(out, "0 added, 0 changed, 0 removed") {
		t.Errorf("the same file again says\n%s", out)
	}
	cell := map[string]string{}
	for _, p := range all[grid.Point](t, g, "points", api.Query{}) {
		cell[p.ID] = p.Cell
		if p.Given.CRS != "GCJ02" || p.CRS != "WGS84" || geo.Metres(p.Lon, p.Lat, lon, lat) > 0.1 {
			t.Errorf("point %s is at %f, %f, given %+v", p.ID, p.Lon, p.Lat, p.Given)
		}
	}
	if !strings.HasPrefix(cell["before"], "310105002") || cell["hand"] != "310105001000001" {
		t.Errorf("points are in cells %v: want one in 310105002 and one as said", cell)
	}
	for _, crs := range geo.Systems {
		x, y := geo.Convert(geo.WGS84, crs, lon, lat)
		w, err := g.api.CellAt(t.Context(), x, y, string(crs))
		must(t, err)
		if w.Cell != cell["before"] || w.Street != "310105002" || w.Names["310105002"].ZH != "江苏路街道" || !w.Schematic || w.Border <= 0 {
			t.Errorf("in %s the position lies in %+v", crs, w)
		}
	}

	claimedInEachSystem(t, g, lon, lat, cell["before"])

	// What disagrees is refused, and both are named.
	_, err := g.api.Import(t.Context(), []byte(`points: [{id: wrong, kind: door, name: a door, lon: 121.4241, lat: 31.2206, crs: WGS84, cell: "310105001000001"}]`), false)
	if err == nil || !strings.Contains(err.Error(), "310105001000001") || !strings.Contains(err.Error(), cell["before"]) {
		t.Errorf("a cell that is not the position's: %v", err)
	}
	if _, err = g.api.Import(t.Context(), []byte(`points: [{id: wrong, kind: door, name: a door, lon: 121.4241, lat: 31.2206}]`), false); err == nil || !strings.Contains(err.Error(), "crs is missing") {
		t.Errorf("a position without a system: %v", err)
	}

	b, err := os.ReadFile(file)
	must(t, err)
	if _, err := g.api.PutAreas(t.Context(), []byte(strings.Replace(string(b), "310105002", "310105003", 1)), "WGS84", "simulated", "", false, ""); err == nil || !strings.Contains(err.Error(), "not imported") {
		t.Errorf("a file with cells of a street that is not there: %v", err)
	}
	if _, err := g.api.PutAreas(t.Context(), b, "", "", "", true, ""); err == nil {
		t.Error("a file without a system was read")
	}

	g.Stop(t)
	g.start(t)
	if w, err := g.api.CellAt(t.Context(), lon, lat, "WGS84"); err != nil || w.Cell != cell["before"] {
		t.Errorf("after a restart the position lies in %+v (%v)", w, err)
	}
	tree, err := g.api.Scopes(t.Context())
	must(t, err)
	if len(tree) != 1 || tree[0].Name != "长宁区" || len(tree[0].Below) != 10 || tree[0].Cells < 150 {
		t.Errorf("the tree begins with %+v", tree[0])
	}
	if out := g.gridgate(t, "grid", "convert", "--from", "WGS84", "--to", "GCJ02", "121.424100,31.220600"); strings.TrimSpace(out) != "121.428738,31.218750" {
		t.Errorf("convert says %s", out)
	}
}

// claimedInEachSystem: a point that is made with a claim is placed as every other.
func claimedInEachSystem(t *testing.T, g *gateway, lon, lat float64, cell string) {
	t.Helper()
	claim := func(crs string, x, y float64, cell string) (int, grid.Point) {
		t.Helper()
		var done api.Claimed
		id := "claimed-" + strings.ToLower(crs)
		body := api.Claim{Profile: "gridgate/json", Mode: grid.Simulated, Point: &grid.Point{ID: id, Name: "a door", Kind: grid.Door, Mode: grid.Simulated, Lon: x, Lat: y, CRS: crs, Cell: cell}}
		status := callAs(t, g, g.api.Token, http.MethodPost, "/devices/sn:"+id+"/claim", "", body, &done)
		if done.Point == nil {
			return status, grid.Point{}
		}
		return status, *done.Point
	}
	for _, crs := range geo.Systems {
		x, y := geo.Convert(geo.WGS84, crs, lon, lat)
		status, p := claim(string(crs), x, y, "")
		if status != http.StatusOK || p.Cell != cell || p.Street != "310105002" || p.CRS != "WGS84" || geo.Metres(p.Lon, p.Lat, lon, lat) > 0.1 || p.Placed != grid.PlacedByRegion {
			t.Errorf("claimed in %s: %d, %+v", crs, status, p)
		}
	}
	if status, p := claim("WGS84", lon, lat, "310105001000001"); status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
		t.Errorf("claimed in a cell that is not the position's: %d, %+v", status, p)
	}
	if status, p := claim("", lon, lat, ""); status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
		t.Errorf("claimed at a position without a system: %d, %+v", status, p)
	}
}
