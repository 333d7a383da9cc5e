package geo

import (
	"os"
	"testing"

	"gridgate/internal/grid"
)

// Whatever a file holds, reading and checking it ends without a panic, and what is read can
// be asked and written again.
func FuzzReadGeoJSON(f *testing.F) {
	if b, err := os.ReadFile("../../configs/district.geojson"); err == nil {
		f.Add(b)
	}
	f.Add(collectionOf(polygonFeature("310105001", square)))
	f.Add(collectionOf(polygonFeature("310105001", `[[[121.40,31.20],[121.41,31.21],[121.41,31.20],[121.40,31.21],[121.40,31.20]]]`)))
	f.Add(collectionOf(polygonFeature("310105001", square), polygonFeature("310105001001001", `[[[121.405,31.20],[121.42,31.20],[121.42,31.21],[121.405,31.20]]]`)))
	f.Add([]byte(`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":310105},"geometry":{"type":"MultiPolygon","coordinates":[` + square + `,` + square + `]}}]}`))
	f.Add([]byte(`{"type":"FeatureCollection","features":[{"type":"Feature","id":"310105","properties":null,"geometry":null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 20_000 {
			return // the library's overlay takes its time with thousands of crossings
		}
		for _, crs := range []CRS{WGS84, BD09} {
			regions, _, err := ReadGeoJSON(b, Source{CRS: crs})
			if err != nil {
				continue
			}
			m := Merge(nil, regions)
			Check(m, regions)
			for _, r := range regions {
				for _, polygon := range r.Shape {
					at := polygon[0][0]
					m.At(at[0], at[1])
					m.ToBorder(r.Code, at[0], at[1])
				}
			}
			p := grid.Point{Lon: 121.405, Lat: 31.205, CRS: "GCJ02"}
			Place(&p, m, true)
			out, err := GeoJSON(regions)
			if err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			if _, _, err := ReadGeoJSON(out, Source{CRS: WGS84}); err != nil && len(regions) > 0 {
				t.Fatalf("what was written cannot be read: %v", err)
			}
		}
	})
}

// Figures of any kind on a lattice, where borders meet, cross and lie on each other.
func FuzzFigures(f *testing.F) {
	f.Add([]byte{0, 0, 9, 0, 9, 9, 0, 9}, []byte{3, 3, 12, 3, 12, 12, 3, 12})
	f.Add([]byte{0, 0, 9, 9, 9, 0, 0, 9}, []byte{0, 0, 9, 0, 9, 9, 0, 9})
	f.Add([]byte{0, 0, 9, 0, 9, 9, 5, 0, 0, 9}, []byte{5, 0, 5, 9, 6, 9})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) > 200 || len(b) > 200 {
			return
		}
		var regions []grid.Region
		for code, corners := range map[string][]byte{"310105001": a, "310105002": b} {
			s := figureOf(corners)
			if len(s[0][0]) >= 4 && valid(s) == nil {
				regions = append(regions, region(code, "", s...))
			}
		}
		if len(regions) == 0 {
			return
		}
		m := Merge(nil, regions)
		Check(m, regions)
		cells, err := Squares(regions[0].Shape, 20_000, regions)
		if err != nil && grid.CodeOf(err) != grid.Invalid {
			return // the overlay gave up, and said so
		}
		Check(Merge(m, cells), cells)
		for i := range 20 {
			m.At(121+float64(i)*0.05, 31+float64(i%7)*0.1)
		}
	})
}

func figureOf(corners []byte) grid.Shape {
	var ring [][2]float64
	for i := 0; i+1 < len(corners); i += 2 {
		ring = append(ring, [2]float64{121 + float64(corners[i]%16)*0.1, 31 + float64(corners[i+1]%16)*0.1})
	}
	if len(ring) > 0 {
		ring = append(ring, ring[0])
	}
	return grid.Shape{{ring}}
}
