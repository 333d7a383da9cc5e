package geo

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func collectionOf(features ...string) []byte {
	return []byte(`{"type":"FeatureCollection","features":[` + strings.Join(features, ",") + `]}`)
}

func polygonFeature(code, coordinates string) string {
	return fmt.Sprintf(`{"type":"Feature","properties":{"code":%q},"geometry":{"type":"Polygon","coordinates":%s}}`, code, coordinates)
}

const square = `[[[121.40,31.20],[121.41,31.20],[121.41,31.21],[121.40,31.21],[121.40,31.20]]]`

func TestEveryFaultOfAFeatureIsNamed(t *testing.T) {
	for want, feature := range map[string]string{
		"ring_open":          polygonFeature("310105001", `[[[121.40,31.20],[121.41,31.20],[121.41,31.21],[121.40,31.21]]]`),
		"ring_short":         polygonFeature("310105001", `[[[121.40,31.20],[121.41,31.20],[121.40,31.20]]]`),
		"geometry_invalid":   polygonFeature("310105001", `[[[121.40,31.20],[121.41,31.21],[121.41,31.20],[121.40,31.21],[121.40,31.20]]]`),
		"position_swapped":   polygonFeature("310105001", `[[[31.20,121.40],[31.21,121.41],[31.20,121.41],[31.20,121.40]]]`),
		"position_off_globe": polygonFeature("310105001", `[[[13521000,3662000],[13522000,3662000],[13522000,3663000],[13521000,3662000]]]`),
		"position_short":     polygonFeature("310105001", `[[[121.40],[121.41],[121.41],[121.40]]]`),
		"code_wrong":         polygonFeature("DEMO-500-310105102-001", square),
		"geometry_type":      `{"type":"Feature","properties":{"code":"310105001"},"geometry":{"type":"Point","coordinates":[121.4,31.2]}}`,
		"geometry_wrong":     polygonFeature("310105001", `"here"`),
		"not_feature":        `{"type":"Polygon","coordinates":` + square + `}`,
		"kind_disagrees":     `{"type":"Feature","properties":{"code":"310105001","kind":"cell"},"geometry":null}`,
	} {
		regions, faults, err := ReadGeoJSON(collectionOf(feature, polygonFeature("310105002", square)), Source{CRS: WGS84})
		if err != nil || len(faults) != 1 || len(regions) != 1 {
			t.Errorf("%s: %d regions, faults %v, %v: want the other region and one fault", want, len(regions), faults, err)
			continue
		}
		if f := faults[0]; f.Problem.Code != want || f.Feature != 1 || f.ZH == "" || strings.Contains(f.ZH+f.EN, "%!") {
			t.Errorf("%s: got %d %s: %s / %s", want, f.Feature, f.Problem.Code, f.EN, f.ZH)
		}
	}
}

func TestACodeThatComesTwiceIsRefused(t *testing.T) {
	_, faults, err := ReadGeoJSON(collectionOf(polygonFeature("310105001", square), polygonFeature("310105001", square)), Source{CRS: WGS84})
	if err != nil || len(faults) != 1 || faults[0].Feature != 2 || faults[0].Problem.Code != "code_twice" {
		t.Errorf("got %v, %v: want feature 2 to be code_twice", faults, err)
	}
}

func TestWhatIsNoGeoJSONIsRefusedAsAWhole(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "not_geojson",
		"code":                             "not_geojson",
		`{"type":"Topology","objects":{}}`: "not_collection",
		`{"type":"FeatureCollection","features":[]}`:                                                                                                                     "feature_count",
		string(collectionOf(polygonFeature("310105001", square))) + "x":                                                                                                  "not_geojson",
		`{"type":"FeatureCollection","metadata":{"crs":"GCJ-02"},"features":[` + polygonFeature("310105001", square) + `]}`:                                              "crs_disagrees",
		`{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::4490"}},"features":[` + polygonFeature("310105001", square) + `]}`: "",
	} {
		_, _, err := ReadGeoJSON([]byte(text), Source{CRS: WGS84})
		var p *Problem
		if errors.As(err, &p); (p == nil) != (want == "") || p != nil && p.Code != want {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}

func TestBordersInAnotherSystemComeOutInWGS84(t *testing.T) {
	for _, crs := range []CRS{GCJ02, BD09} {
		var ring [][2]float64
		for _, at := range rect(121.40, 31.20, 121.41, 31.21) {
			x, y := Convert(WGS84, crs, at[0], at[1])
			ring = append(ring, [2]float64{x, y})
		}
		coordinates, err := json.Marshal([][][2]float64{ring})
		if err != nil {
			t.Fatal(err)
		}
		regions, faults, err := ReadGeoJSON(collectionOf(polygonFeature("310105001", string(coordinates))), Source{CRS: crs})
		if err != nil || faults != nil {
			t.Fatalf("%s: %v, %v", crs, faults, err)
		}
		for i, at := range regions[0].Shape[0][0] {
			if want := rect(121.40, 31.20, 121.41, 31.21)[i]; Metres(at[0], at[1], want[0], want[1]) > 0.01 {
				t.Errorf("%s: corner %d is %v: want %v", crs, i, at, want)
			}
		}
	}
}

func TestARegionIsWrittenAsItIsRead(t *testing.T) {
	b, err := GeoJSON(town().Regions())
	if err != nil {
		t.Fatal(err)
	}
	regions, faults, err := ReadGeoJSON(b, Source{CRS: WGS84})
	if err != nil || faults != nil {
		t.Fatal(faults, err)
	}
	put, gone := Diff(town(), NewMap(regions))
	if len(gone) != 0 || len(put) > 1 { // the hole turns the other way round
		t.Errorf("put %v, gone %v: want the same", put, gone)
	}
	if b2, err := GeoJSON(NewMap(regions).Regions()); err != nil {
		t.Error(err)
	} else if again, _, _ := ReadGeoJSON(b2, Source{CRS: WGS84}); len(again) != len(regions) {
		t.Errorf("read again: %d regions", len(again))
	}
}

func codesOf(faults []Fault) (codes []string) {
	for _, f := range faults {
		codes = append(codes, fmt.Sprintf("%d %s", f.Feature, f.Problem.Code))
	}
	return codes
}

func TestAMapSaysWhatDoesNotFit(t *testing.T) {
	streets := []grid.Region{
		region("310105001", "西", [][][2]float64{rect(121.40, 31.20, 121.41, 31.21)}),
		region("310105002", "东", [][][2]float64{rect(121.41, 31.20, 121.42, 31.21)}),
	}
	for _, tc := range []struct {
		why  string
		file []grid.Region
		want []string
	}{
		{"all fits", []grid.Region{region("310105001001001", "", [][][2]float64{rect(121.40, 31.20, 121.405, 31.205)})}, nil},
		{"most of it lies in the other street", []grid.Region{region("310105001001001", "", [][][2]float64{rect(121.408, 31.20, 121.415, 31.205)})}, []string{"1 parent_disagrees"}},
		{"a third lies in the other street", []grid.Region{region("310105001001001", "", [][][2]float64{rect(121.40, 31.20, 121.413, 31.205)})}, nil},
		{"a third lies outside", []grid.Region{region("310105002001001", "", [][][2]float64{rect(121.41, 31.20, 121.425, 31.205)})}, []string{"1 outside_parent"}},
		{"its street is not known", []grid.Region{region("310105003001001", "", [][][2]float64{rect(121.41, 31.20, 121.415, 31.205)})}, []string{"1 parent_unknown"}},
		{"two lie over each other", []grid.Region{
			region("310105001001001", "", [][][2]float64{rect(121.40, 31.20, 121.405, 31.205)}),
			region("310105001001002", "", [][][2]float64{rect(121.404, 31.20, 121.41, 31.205)}),
		}, []string{"1 overlap"}},
		{"one lies in the other", []grid.Region{
			region("310105001001001", "", [][][2]float64{rect(121.40, 31.20, 121.41, 31.21)}),
			region("310105001001002", "", [][][2]float64{rect(121.404, 31.204, 121.406, 31.206)}),
		}, []string{"1 overlap"}},
		{"they overlap by a hand's breadth", []grid.Region{
			region("310105001001001", "", [][][2]float64{rect(121.40, 31.20, 121.405001, 31.205)}),
			region("310105001001002", "", [][][2]float64{rect(121.405, 31.20, 121.41, 31.205)}),
		}, nil},
	} {
		file := tc.file
		slices.SortFunc(file, func(a, b grid.Region) int { return strings.Compare(a.Code, b.Code) })
		if got := codesOf(Check(Merge(NewMap(slices.Clone(streets)), file), file)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.why, got, tc.want)
		}
	}
}

func TestCellsThatWereThereAndFitNoMoreAreWarnedOf(t *testing.T) {
	m := town()
	file := []grid.Region{ // the streets change places
		region("310105001", "", [][][2]float64{rect(121.41, 31.20, 121.42, 31.21)}),
		region("310105002", "", [][][2]float64{rect(121.40, 31.20, 121.41, 31.21)}),
	}
	faults := Check(Merge(m, file), file)
	for _, f := range faults {
		if !f.Warning || f.Feature != 0 || f.Problem.Code != "parent_disagrees" {
			t.Errorf("got %+v: want a warning of a cell", f)
		}
	}
	if len(faults) != 3 {
		t.Errorf("%d warnings: want one for each cell", len(faults))
	}
}

func TestAFileTakesThePlaceOfItsKindInItsDistrictAlone(t *testing.T) {
	other := region("310106001", "外区", [][][2]float64{rect(121.43, 31.20, 121.44, 31.21)})
	m := NewMap(append(slices.Clone(town().Regions()), other))
	next := Merge(m, []grid.Region{region("310105001", "西街道", [][][2]float64{rect(121.40, 31.20, 121.41, 31.21)})})
	put, gone := Diff(m, next)
	if len(put) != 0 || !slices.Equal(gone, []string{"310105002"}) {
		t.Errorf("put %v, gone %v: want street 310105002 gone alone", put, gone)
	}
}

func district(t testing.TB) []grid.Region {
	t.Helper()
	b, err := os.ReadFile("../../configs/district.geojson")
	if err != nil {
		t.Fatal(err)
	}
	regions, faults, err := ReadGeoJSON(b, Source{CRS: WGS84, Mode: grid.Simulated})
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	return regions
}

func TestTheSchematicDistrictIsWhole(t *testing.T) {
	regions := district(t)
	if faults := Check(NewMap(slices.Clone(regions)), regions); len(faults) > 0 {
		t.Errorf("faults: %v", faults)
	}
	streets, whole := 0.0, 0.0
	n := 0
	for _, g := range regions {
		if !g.Schematic || g.Mode != grid.Simulated || g.Name == "" || g.NameEN == "" {
			t.Errorf("%s: %+v: want it schematic, simulated, with both names", g.Code, g)
		}
		if g.Kind == grid.StreetRegion {
			streets += Area(g.Shape)
			n++
		} else {
			whole += Area(g.Shape)
		}
	}
	if n != 10 || streets < whole*0.9999 || streets > whole*1.0001 {
		t.Errorf("%d streets of %.0f m² in a district of %.0f m²: want ten that fill it", n, streets, whole)
	}
}

func TestSquaresFillTheShapeAndFitTheirStreets(t *testing.T) {
	regions := district(t)
	var whole grid.Region
	for _, g := range regions {
		if g.Kind == grid.DistrictRegion {
			whole = g
		}
	}
	cells, err := Squares(whole.Shape, 500, regions)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Squares(whole.Shape, 500, regions)
	if err != nil || len(again) != len(cells) || !same(&again[7], &cells[7]) {
		t.Errorf("made again: %v: want the same", err)
	}
	sum := 0.0
	for _, g := range cells {
		a := Area(g.Shape)
		sum += a
		if a > 250_500 || !g.Synthetic {
			t.Errorf("%s has %.0f m², synthetic %v", g.Code, a, g.Synthetic)
		}
	}
	if want := Area(whole.Shape); sum < want*0.9995 || sum > want*1.0005 {
		t.Errorf("%d cells have %.0f m²: want %.0f", len(cells), sum, want)
	}
	if faults := Check(Merge(NewMap(slices.Clone(regions)), cells), cells); len(faults) > 0 {
		t.Errorf("%d faults, the first: %+v", len(faults), faults[0])
	}
}

func TestSquaresOfNoSizeOrWithoutStreetsAreRefused(t *testing.T) {
	shape := grid.Shape{{rect(121.40, 31.20, 121.42, 31.21)}}
	for _, size := range []float64{0, -5, 0.01} {
		if _, err := Squares(shape, size, district(t)); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("size %g: %v", size, err)
		}
	}
	if _, err := Squares(shape, 100, nil); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("without streets: %v", err)
	}
}

func TestWhatALicenceWantsToBeShownIsPartOfTheSource(t *testing.T) {
	const file = `{"type":"FeatureCollection","metadata":{"source":"A map","licence":"ODbL 1.0"},"features":[{"type":"Feature","properties":{"code":"310105"},"geometry":null}]}`
	for said, want := range map[string]string{"": "A map · ODbL 1.0", "of 2026": "of 2026 · ODbL 1.0"} {
		got, _, err := ReadGeoJSON([]byte(file), Source{CRS: WGS84, Name: said})
		if err != nil || len(got) != 1 || got[0].Source != want {
			t.Errorf("source said %q: it is %q, %v, want %q", said, got[0].Source, err, want)
		}
	}
}
