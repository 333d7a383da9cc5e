package geo

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"gridgate/internal/grid"
)

// Mark is a monitored point as the map shows it.
type Mark struct {
	ID       string
	Kind     grid.Kind
	Lon, Lat float64 // WGS84 degrees
}

const (
	// marksDepth is the zoom of the finest square that a place is told by: under a metre.
	marksDepth = 26
	// MaxTileZoom is the deepest zoom of which there are tiles; beyond it a map scales them up.
	MaxTileZoom = 18
	// singleFrom is the zoom from which every point is shown by itself.
	singleFrom = 17
	// clusterSteps: a tile below singleFrom is cut into 2^3 by 2^3 squares, and what lies in
	// one of them is shown as one: 64 of the 512 pixels of a side.
	clusterSteps = 3
	// MaxTileMarks bounds how many points one tile shows each by itself.
	MaxTileMarks = 10_000
	mercatorEdge = 85.0511287798 // degrees of latitude at which the square map ends
)

// Marks are points in the order of a Z-curve, so that those of a square of the map, however
// large, are one run of the list: a tile is cut out by two binary searches and one pass. It
// does not change and may be used by many goroutines.
type Marks struct {
	codes []uint64
	marks []Mark
}

// NewMarks sorts points for the map. Those without a position are left out; of what is
// outside the square map the nearest edge is taken.
func NewMarks(all []Mark) *Marks {
	type placed struct {
		code uint64
		mark Mark
	}
	in := make([]placed, 0, len(all))
	for _, p := range all {
		if p.Lon == 0 && p.Lat == 0 || math.IsNaN(p.Lon+p.Lat) {
			continue
		}
		in = append(in, placed{zCode(p.Lon, p.Lat), p})
	}
	slices.SortFunc(in, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.mark.ID, b.mark.ID))
	})
	m := &Marks{codes: make([]uint64, len(in)), marks: make([]Mark, len(in))}
	for i := range in {
		m.codes[i], m.marks[i] = in[i].code, in[i].mark
	}
	return m
}

// Extent is around all points, west, south, east, north; nil: there are none.
func (m *Marks) Extent() *[4]float64 {
	if len(m.marks) == 0 {
		return nil
	}
	at := m.marks[0]
	e := [4]float64{at.Lon, at.Lat, at.Lon, at.Lat}
	for _, p := range m.marks {
		e = [4]float64{min(e[0], p.Lon), min(e[1], p.Lat), max(e[2], p.Lon), max(e[3], p.Lat)}
	}
	return &e
}

// Len is how many points are on the map.
func (m *Marks) Len() int { return len(m.marks) }

// mercator is where a place is on the square map: 0, 0 is its north-west corner, 1, 1 the other.
func mercator(lon, lat float64) (x, y float64) {
	lat = min(max(lat, -mercatorEdge), mercatorEdge)
	s := math.Sin(lat * math.Pi / 180)
	return (lon + 180) / 360, 0.5 - math.Log((1+s)/(1-s))/(4*math.Pi)
}

// zCode interleaves the bits of where a place is on the square map.
func zCode(lon, lat float64) uint64 {
	x, y := mercator(lon, lat)
	const last = 1<<marksDepth - 1
	at := func(v float64) uint64 { return uint64(min(max(v*(1<<marksDepth), 0), last)) }
	return spread(at(x)) | spread(at(y))<<1
}

// spread puts a zero between any two of the 32 low bits.
func spread(v uint64) uint64 {
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f
	v = (v | v<<2) & 0x3333333333333333
	return (v | v<<1) & 0x5555555555555555
}

// run is the part of the list that lies in a tile.
func (m *Marks) run(z, x, y uint32) (from, to int) {
	shift := 2 * (marksDepth - z)
	first := (spread(uint64(x)) | spread(uint64(y))<<1) << shift
	from = sort.Search(len(m.codes), func(i int) bool { return m.codes[i] >= first })
	to = from + sort.Search(len(m.codes)-from, func(i int) bool { return m.codes[from+i] >= first+1<<shift })
	return from, to
}

// Tile gives a vector tile with the layer "points". A feature is one point
// (properties id and kind) or a cluster (n, and how many of each kind). nil: it is empty.
func (m *Marks) Tile(z, x, y uint32) ([]byte, error) {
	if z > MaxTileZoom || x >= 1<<z || y >= 1<<z {
		return nil, grid.Errorf(grid.NotFound, "tile %d/%d/%d: want a zoom of 0 to %d, and x and y below 2^zoom", z, x, y, MaxTileZoom)
	}
	from, to := m.run(z, x, y)
	if from == to {
		return nil, nil
	}
	layer := newPointLayer(z, x, y)
	alone := z >= singleFrom && to-from <= MaxTileMarks // also those on one spot
	for shift := 2 * (marksDepth - min(z+clusterSteps, marksDepth)); from < to; {
		end := from + 1
		for !alone && end < to && m.codes[end]>>shift == m.codes[from]>>shift {
			end++
		}
		m.show(layer, from, end)
		from = end
	}
	return layer.tile("points"), nil
}

// show puts a run of points into a layer: one by itself, more as a cluster at their middle.
func (m *Marks) show(l *pointLayer, from, to int) {
	if to-from == 1 {
		p := &m.marks[from]
		l.add(p.Lon, p.Lat, property{key: "id", text: p.ID}, property{key: "kind", text: string(p.Kind)})
		return
	}
	var lon, lat float64
	var of [len(markKinds)]uint64
	for i := from; i < to; i++ {
		p := &m.marks[i]
		lon, lat = lon+p.Lon, lat+p.Lat
		for k, kind := range markKinds {
			if p.Kind == kind {
				of[k]++
			}
		}
	}
	properties := []property{{key: "n", count: uint64(to - from)}}
	for k, kind := range markKinds {
		if of[k] > 0 {
			properties = append(properties, property{key: string(kind), count: of[k]})
		}
	}
	n := float64(to - from)
	l.add(lon/n, lat/n, properties...)
}

var markKinds = [...]grid.Kind{grid.Door, grid.Parking, grid.Manhole, grid.Smoke}
