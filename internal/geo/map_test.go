package geo

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gridgate/internal/grid"
)

// rect is a ring around a rectangle.
func rect(x0, y0, x1, y1 float64) [][2]float64 {
	return [][2]float64{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}
}

func region(code, name string, polygons ...[][][2]float64) grid.Region {
	kind, ok := KindOf(code)
	if !ok {
		panic(code)
	}
	r := grid.Region{Code: code, Kind: kind, Name: name, Scope: ScopeOf(code), Mode: grid.Live, Shape: polygons}
	if kind == grid.CellRegion {
		r.Cell = code
	}
	return r
}

// town is two streets side by side, 0.01° each; the west one has two cells, of which the
// north one has a hole; the east one has a cell of two parts.
func town() *Map {
	return NewMap([]grid.Region{
		region("310105002", "东街道", [][][2]float64{rect(121.41, 31.20, 121.42, 31.21)}),
		region("310105001", "西街道", [][][2]float64{rect(121.40, 31.20, 121.41, 31.21)}),
		region("310105001001002", "", [][][2]float64{rect(121.40, 31.205, 121.41, 31.21), rect(121.404, 31.207, 121.406, 31.208)}),
		region("310105001001001", "", [][][2]float64{rect(121.40, 31.20, 121.41, 31.205)}),
		region("310105002001001", "", [][][2]float64{rect(121.41, 31.20, 121.415, 31.205)}, [][][2]float64{rect(121.416, 31.20, 121.42, 31.205)}),
		{Code: "310105002001", Kind: grid.CommunityRegion, Name: "东一居委会", Scope: ScopeOf("310105002001"), Mode: grid.Live},
	})
}

func TestAPositionLiesInItsCellAndStreet(t *testing.T) {
	m := town()
	for _, tc := range []struct {
		why          string
		lon, lat     float64
		cell, street string
	}{
		{"inside", 121.405, 31.202, "310105001001001", "310105001"},
		{"on the border of two cells: the lowest code", 121.405, 31.205, "310105001001001", "310105001"},
		{"on the border of two streets: the lowest code", 121.41, 31.203, "310105001001001", "310105001"},
		{"on a corner of all", 121.41, 31.205, "310105001001001", "310105001"},
		{"in the hole", 121.405, 31.2075, "", "310105001"},
		{"on the rim of the hole", 121.404, 31.2075, "310105001001002", "310105001"},
		{"in the first part", 121.412, 31.202, "310105002001001", "310105002"},
		{"in the second part", 121.418, 31.202, "310105002001001", "310105002"},
		{"between the parts", 121.4155, 31.202, "", "310105002"},
		{"outside", 121.43, 31.202, "", ""},
	} {
		l := m.At(tc.lon, tc.lat)
		if l.Cell != tc.cell || l.Street != tc.street {
			t.Errorf("%s: lies in cell %q, street %q: want %q, %q", tc.why, l.Cell, l.Street, tc.cell, tc.street)
		}
	}
}

func TestAPositionOutsideOfAllSaysHowFarTheNearestIs(t *testing.T) {
	l := town().At(121.421, 31.202)
	want := Metres(121.421, 31.202, 121.42, 31.202)
	if l.Nearest != "310105002001001" || math.Abs(l.Away-want) > 0.01 {
		t.Errorf("nearest is %q, %.2f m away: want 310105002001001, %.2f", l.Nearest, l.Away, want)
	}
}

func TestAGapBetweenTwoBordersBelongsToTheNearer(t *testing.T) {
	gap := 0.4 / 95_300 // metres of longitude here
	m := NewMap([]grid.Region{
		region("310105001001001", "", [][][2]float64{rect(121.40, 31.20, 121.41, 31.21)}),
		region("310105001001002", "", [][][2]float64{rect(121.41+gap, 31.20, 121.42, 31.21)}),
	})
	if l := m.At(121.41+gap*0.7, 31.205); l.Cell != "310105001001002" {
		t.Errorf("in the gap, nearer to the second: lies in %q", l.Cell)
	}
	if l := m.At(121.42+2*gap, 31.205); l.Cell != "" {
		t.Errorf("0.8 m outside of all: lies in %q", l.Cell)
	}
}

func TestTheBorderIsInMetres(t *testing.T) {
	l := town().At(121.405, 31.2025)
	if want := Metres(121.405, 31.2025, 121.405, 31.205); math.Abs(l.Border-want) > 0.01 {
		t.Errorf("border is %.3f m away: want %.3f", l.Border, want)
	}
	inside, d, ok := town().ToBorder("310105002001001", 121.405, 31.2025)
	if want := Metres(121.405, 31.2025, 121.41, 31.2025); inside || !ok || math.Abs(d-want) > 0.01 {
		t.Errorf("from the next cell: inside %v, %.3f m, %v: want %.3f", inside, d, ok, want)
	}
}

func TestACellSaysWhichStreetLooksAfterIt(t *testing.T) {
	m := NewMap(append(town().Regions(), region("310105001001009", "", [][][2]float64{rect(121.405, 31.2085, 121.4125, 31.2095)})))
	l := m.At(121.412, 31.209)
	if l.Cell != "310105001001009" || l.Street != "310105001" || l.LiesIn != "310105002" {
		t.Errorf("lies in %+v: want the cell's street, and the one around the position said", l)
	}
}

func point(lon, lat float64, crs string) grid.Point {
	return grid.Point{ID: "P", Lon: lon, Lat: lat, CRS: crs}
}

func TestPlaceFillsInWhatThePointDoesNotSay(t *testing.T) {
	for _, crs := range Systems {
		lon, lat := Convert(WGS84, crs, 121.418, 31.202)
		p := point(lon, lat, strings.ToLower(string(crs)))
		warnings, err := Place(&p, town(), false)
		if err != nil || warnings != nil {
			t.Fatalf("%s: %v, %v", crs, warnings, err)
		}
		want := grid.Scope{District: "310105", Street: "310105002", Community: "310105002001"}
		if p.Cell != "310105002001001" || p.Scope != want || p.Placed != grid.PlacedByRegion || p.CRS != "WGS84" {
			t.Errorf("%s: placed as %+v", crs, p)
		}
		if d := Metres(p.Lon, p.Lat, 121.418, 31.202); d > 0.01 {
			t.Errorf("%s: %.3f m off", crs, d)
		}
		if given := (grid.Position{Lon: lon, Lat: lat, CRS: string(crs)}); crs != WGS84 && p.Given != given || crs == WGS84 && p.Given != (grid.Position{}) {
			t.Errorf("%s: given is kept as %+v: want %+v", crs, p.Given, given)
		}
		again := p
		if _, err := Place(&again, town(), false); err != nil || again != p {
			t.Errorf("%s: placed again: %+v, %v: want the same", crs, again, err)
		}
	}
}

func TestAPlacedPointThatIsCheckedWithoutAMapStaysAsItIs(t *testing.T) {
	p := point(121.418, 31.202, "WGS84")
	if _, err := Place(&p, town(), false); err != nil {
		t.Fatal(err)
	}
	was := p
	if _, err := Place(&p, nil, false); err != nil || p != was {
		t.Errorf("got %+v, %v: want %+v", p, err, was)
	}
}

func TestAPositionThatIsMovedInWGS84IsNoMoreWhatWasGiven(t *testing.T) {
	lon, lat := Convert(WGS84, GCJ02, 121.418, 31.202)
	p := point(lon, lat, "GCJ02")
	if _, err := Place(&p, nil, false); err != nil {
		t.Fatal(err)
	}
	p.Lon += 0.0001
	if _, err := Place(&p, nil, false); err != nil || p.Given != (grid.Position{}) {
		t.Errorf("after the move: %+v, %v: want nothing given", p.Given, err)
	}
}

func problemOf(t *testing.T, err error) *Problem {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) || grid.CodeOf(err) != grid.Invalid {
		t.Fatalf("got %v: want a problem", err)
	}
	if p.ZH == "" || strings.Contains(p.ZH+p.EN, "%!") {
		t.Errorf("problem reads badly: %s / %s", p.ZH, p.EN)
	}
	return p
}

func TestAPositionWithoutItsSystemIsRefused(t *testing.T) {
	for crs, code := range map[string]string{"": "crs_missing", "GPS": "crs_unknown"} {
		p := point(121.418, 31.202, crs)
		_, err := Place(&p, nil, true)
		if got := problemOf(t, err); got.Code != code {
			t.Errorf("crs %q: %s, want %s", crs, got.Code, code)
		}
	}
}

func TestACellThatDisagreesWithThePositionIsRefusedAndBothAreNamed(t *testing.T) {
	for _, tc := range []struct {
		change func(*grid.Point)
		code   string
	}{
		{func(p *grid.Point) { p.Cell = "310105001001001" }, "cell_disagrees"},
		{func(p *grid.Point) { p.Street = "310105001" }, "street_disagrees"},
		{func(p *grid.Point) { p.Cell = "310105002001999" }, "cell_disagrees"},
		{func(p *grid.Point) { p.District = "310106" }, "district_disagrees"},
	} {
		p := point(121.412, 31.202, "WGS84")
		tc.change(&p)
		was := p
		_, err := Place(&p, town(), false)
		got := problemOf(t, err)
		said := was.Cell + was.Street + was.District
		if got.Code != tc.code || !strings.Contains(got.EN, said) || !strings.Contains(got.EN, "310105002001001") || !strings.Contains(got.ZH, said) {
			t.Errorf("%s: %s (%s): want %s with both codes", said, got.EN, got.Code, tc.code)
		}
		p = was
		warnings, err := Place(&p, town(), true)
		if err != nil || len(warnings) != 1 || p.Cell != was.Cell || p.Scope != was.Scope || p.Placed != grid.PlacedByHand {
			t.Errorf("%s, lenient: %+v, %v, %v: want it kept, by hand, with a warning", said, p, warnings, err)
		}
		if _, err := Place(&p, town(), false); err != nil {
			t.Errorf("%s, by hand: %v: want a warning", said, err)
		}
		if Replace(&p, town()) {
			t.Errorf("%s, by hand: was placed anew", said)
		}
	}
}

func TestAPointOutsideOfAllIsRefusedWithADistanceAndAGuessAtItsSystem(t *testing.T) {
	lon, lat := Convert(WGS84, BD09, 121.418, 31.202)
	p := point(lon, lat, "WGS84")
	_, err := Place(&p, town(), false)
	got := problemOf(t, err)
	if got.Code != "outside" || !strings.Contains(got.EN, "m away") || !strings.Contains(got.EN, "if it is in BD09 it lies in 310105002001001") {
		t.Errorf("got %s: %s", got.Code, got.EN)
	}
}

func TestAPointFollowsChangedBordersUnlessItsCellWasSetByHand(t *testing.T) {
	moved := NewMap([]grid.Region{region("310105004", "", [][][2]float64{rect(121.40, 31.20, 121.42, 31.21)})})
	byRegion, byHand, fresh := point(121.418, 31.202, "WGS84"), point(121.418, 31.202, "WGS84"), point(121.418, 31.202, "WGS84")
	if _, err := Place(&byRegion, town(), false); err != nil {
		t.Fatal(err)
	}
	byHand.Cell = "310105001001001"
	if !Replace(&byRegion, moved) || byRegion.Street != "310105004" || byRegion.Cell != "" || byRegion.Community != "" {
		t.Errorf("by its position: %+v: want street 310105004 and no cell", byRegion)
	}
	if Replace(&byHand, moved) || byHand.Cell != "310105001001001" {
		t.Errorf("by hand: %+v: want it as it was", byHand)
	}
	if !Replace(&fresh, moved) || fresh.Street != "310105004" {
		t.Errorf("never placed: %+v: want street 310105004", fresh)
	}
	if Replace(&fresh, moved) {
		t.Error("placed twice: want no change")
	}
}
