package geo

import (
	"os"
	"path/filepath"
	"testing"

	"gridgate/internal/grid"
)

// realFile reads a file of real borders, which lie beside the project and are not part of it.
func realFile(t testing.TB, name string) []byte {
	t.Helper()
	path := filepath.Join("../../../shared/geo", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("no real borders: %v", err)
	}
	return b
}

func TestRealStreetsAreReadAndFitEachOther(t *testing.T) {
	b := realFile(t, "changning-subdistricts.geojson")
	regions, faults, err := ReadGeoJSON(b, Source{CRS: WGS84})
	if err != nil || len(faults) > 0 || len(regions) != 10 {
		t.Fatalf("%d streets, %v, %v", len(regions), faults, err)
	}
	more, faults, err := ReadGeoJSON(realFile(t, "changning-boundary.geojson"), Source{CRS: WGS84})
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	regions = append(regions, more...)
	if faults := Check(NewMap(regions), regions); len(faults) > 0 {
		t.Errorf("%d faults, the first: %+v", len(faults), faults[0])
	}
}

func TestSquaresOverTheRealDistrictFitItsStreets(t *testing.T) {
	regions, _, err := ReadGeoJSON(realFile(t, "changning-subdistricts.geojson"), Source{CRS: WGS84})
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err := ReadGeoJSON(realFile(t, "changning-boundary.geojson"), Source{CRS: WGS84})
	if err != nil {
		t.Fatal(err)
	}
	cells, err := Squares(whole[0].Shape, 500, regions)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, g := range cells {
		sum += Area(g.Shape)
	}
	if want := Area(whole[0].Shape); sum < want*0.999 || sum > want*1.001 || len(cells) < 150 {
		t.Errorf("%d cells have %.0f m²: want %.0f", len(cells), sum, want)
	}
	if faults := Check(Merge(NewMap(regions), cells), cells); len(faults) > 0 {
		t.Errorf("%d faults, the first: %+v", len(faults), faults[0])
	}
}

func BenchmarkLocate(b *testing.B) {
	regions := district(b)
	cells, err := Squares(regions[0].Shape, 100, regions)
	if err != nil {
		b.Fatal(err)
	}
	m := Merge(NewMap(regions), cells)
	for name, at := range map[string][2]float64{"inside": {121.385, 31.206}, "outside": {121.45, 31.206}} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				if l := m.At(at[0]+float64(i%97)*0.0001, at[1]+float64(i%49)*0.0001); (l.Cell != "") != (name == "inside") {
					b.Fatalf("lies in %+v", l)
				}
			}
			b.ReportMetric(float64(len(cells)), "cells")
		})
	}
}

func BenchmarkPlace(b *testing.B) {
	regions := district(b)
	cells, err := Squares(regions[0].Shape, 100, regions)
	if err != nil {
		b.Fatal(err)
	}
	m := Merge(NewMap(regions), cells)
	i := 0
	for b.Loop() {
		i++
		p := grid.Point{Lon: 121.3950 + float64(i%97)*0.0001, Lat: 31.21 + float64(i%49)*0.0001, CRS: "GCJ-02"}
		if _, err := Place(&p, m, true); err != nil {
			b.Fatal(err)
		}
	}
}
