package geo

import (
	"fmt"

	"github.com/peterstace/simplefeatures/geom"

	"gridgate/internal/grid"
)

// plane is metres east and north of a place: flat enough for a district.
type plane struct{ lon, lat, east, north float64 }

func planeAt(b box) plane {
	p := plane{lon: (b.minX + b.maxX) / 2, lat: (b.minY + b.maxY) / 2}
	p.east, p.north = scale(p.lat)
	return p
}

// polygons are a shape on the plane. The shape must be valid.
func (p plane) polygons(s grid.Shape) geom.Geometry {
	all := make([]geom.Polygon, 0, len(s))
	for _, polygon := range s {
		rings := make([]geom.LineString, 0, len(polygon))
		for _, ring := range polygon {
			xy := make([]float64, 0, 2*len(ring))
			for _, at := range ring {
				xy = append(xy, (at[0]-p.lon)*p.east, (at[1]-p.lat)*p.north)
			}
			rings = append(rings, geom.NewLineString(geom.NewSequence(xy, geom.DimXY)))
		}
		all = append(all, geom.NewPolygon(rings))
	}
	return geom.NewMultiPolygon(all).AsGeometry()
}

// shape is what of a geometry has an area, back on the globe.
func (p plane) shape(g geom.Geometry) (s grid.Shape) {
	for _, part := range g.Dump() {
		polygon, ok := part.AsPolygon()
		if !ok || polygon.IsEmpty() {
			continue
		}
		var rings [][][2]float64
		for _, line := range polygon.ForceCCW().DumpRings() {
			seq := line.Coordinates()
			ring := make([][2]float64, 0, seq.Length())
			for i := range seq.Length() {
				at := seq.GetXY(i)
				ring = append(ring, [2]float64{round(at.X/p.east + p.lon), round(at.Y/p.north + p.lat)})
			}
			rings = append(rings, ring)
		}
		s = append(s, rings)
	}
	return s
}

// intersect is what lies in both; the library's own panics on odd figures become errors.
func intersect(a, b geom.Geometry) (out geom.Geometry, err error) {
	defer func() {
		if odd := recover(); odd != nil {
			err = fmt.Errorf("intersection: %v", odd)
		}
	}()
	return geom.Intersection(a, b)
}

// valid says what is wrong with a shape as a figure: rings that are not closed or cross
// themselves, holes outside, parts that overlap.
func valid(s grid.Shape) (err error) {
	defer func() {
		if odd := recover(); odd != nil {
			err = fmt.Errorf("the figure cannot be understood: %v", odd)
		}
	}()
	var b box = emptyBox()
	for _, polygon := range s {
		for _, ring := range polygon {
			for _, at := range ring {
				b.add(at[0], at[1])
			}
		}
	}
	mp, _ := planeAt(b).polygons(s).AsMultiPolygon()
	return mp.Validate()
}

// Area is a shape's in square metres.
func Area(s grid.Shape) float64 {
	if len(s) == 0 {
		return 0
	}
	o := newOutline(&grid.Region{Shape: s})
	return planeAt(o.box).polygons(s).Area()
}

// Union is the outline of all streets together.
func Union(of []grid.Region) (s grid.Shape, err error) {
	defer func() {
		if odd := recover(); odd != nil {
			err = fmt.Errorf("union: %v", odd)
		}
	}()
	all := emptyBox()
	for i := range of {
		if of[i].Kind == grid.StreetRegion && len(of[i].Shape) > 0 {
			all.join(newOutline(&of[i]).box)
		}
	}
	at := planeAt(all)
	var parts []geom.Geometry
	for i := range of {
		if of[i].Kind == grid.StreetRegion && len(of[i].Shape) > 0 {
			parts = append(parts, at.polygons(of[i].Shape))
		}
	}
	if len(parts) == 0 {
		return nil, problem("streets_missing", "没有街道边界", "there are no streets with borders")
	}
	whole, err := geom.UnionMany(parts)
	return at.shape(whole), err
}
