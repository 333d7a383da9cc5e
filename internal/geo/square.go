package geo

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/peterstace/simplefeatures/geom"

	"gridgate/internal/grid"
)

const (
	smallestCell = 1.0       // square metres: what clipping leaves of a corner is no cell below it
	mostSquares  = 1_000_000 // that a grid is looked for in
	mostSequence = 999       // cells of a community: its sequence has three digits
)

// Squares makes a demo grid over a shape: squares with sides of that many metres, clipped
// to the shape, each of the street that has the largest share of it (of equal ones, of the
// lowest code). Codes go by rows from the north-west, in communities from 000 up, which no
// committee has; the same shape gives the same grid. All of it is marked synthetic.
func Squares(over grid.Shape, metres float64, of []grid.Region) ([]grid.Region, error) {
	if !(metres >= 1) || math.IsInf(metres, 1) {
		return nil, problem("size_wrong", "边长 %g 米无效：至少 1 米", "size is %g m: want 1 or more", metres)
	}
	if len(over) == 0 {
		return nil, problem("shape_missing", "没有可以划分的边界", "there is no border to lay squares over")
	}
	m := NewMap(slices.Clone(of))
	if !m.Has(grid.StreetRegion) {
		return nil, problem("streets_missing", "没有街道边界，网格无处归属", "there are no streets that cells could belong to")
	}
	o := newOutline(&grid.Region{Shape: over})
	at := planeAt(o.box)
	west, north := (o.box.minX-at.lon)*at.east, (o.box.maxY-at.lat)*at.north
	cols := int(math.Ceil((o.box.maxX - o.box.minX) * at.east / metres))
	rows := int(math.Ceil((o.box.maxY - o.box.minY) * at.north / metres))
	if float64(cols)*float64(rows) > mostSquares {
		return nil, problem("size_wrong", "边长 %g 米无效：方格太多", "size is %g m: that makes too many squares", metres)
	}
	q := squares{m: m, at: at, over: at.polygons(over), number: map[string]int{}, figures: map[int]geom.Geometry{}}
	for row := range rows {
		for col := range cols {
			x, y := west+float64(col)*metres, north-float64(row)*metres
			if err := q.square(x, y-metres, x+metres, y); err != nil {
				return nil, fmt.Errorf("square %d of row %d: %w", col+1, row+1, err)
			}
		}
	}
	slices.SortFunc(q.cells, func(a, b grid.Region) int { return cmp.Compare(a.Code, b.Code) })
	return q.cells, nil
}

type squares struct {
	m       *Map
	at      plane
	over    geom.Geometry
	number  map[string]int        // of the last cell, by street
	figures map[int]geom.Geometry // of streets
	cells   []grid.Region
}

func (q *squares) square(x0, y0, x1, y1 float64) error {
	ring := geom.NewLineString(geom.NewSequence([]float64{x0, y0, x1, y0, x1, y1, x0, y1, x0, y0}, geom.DimXY))
	piece, err := intersect(geom.NewPolygon([]geom.LineString{ring}).AsGeometry(), q.over)
	if err != nil {
		return err
	}
	if piece.Area() < smallestCell {
		return nil
	}
	street, err := q.street(piece)
	if err != nil || street == nil {
		return err
	}
	q.number[street.Code]++
	n := q.number[street.Code] - 1
	if n/mostSequence > 999 {
		return problem("size_wrong", "%s 的方格太多", "street %s gets too many squares", street.Code)
	}
	code := fmt.Sprintf("%s%03d%03d", street.Code, n/mostSequence, n%mostSequence+1)
	q.cells = append(q.cells, grid.Region{
		Code: code, Kind: grid.CellRegion, Scope: ScopeOf(code), Cell: code, Mode: street.Mode, Synthetic: true, Schematic: street.Schematic,
		Source: "squares", Shape: q.at.shape(piece),
	})
	return nil
}

// street finds the street that has the largest share of a piece.
func (q *squares) street(piece geom.Geometry) (*grid.Region, error) {
	lo, hi, ok := piece.Envelope().MinMaxXYs()
	if !ok {
		return nil, nil
	}
	b := box{lo.X/q.at.east + q.at.lon, lo.Y/q.at.north + q.at.lat, hi.X/q.at.east + q.at.lon, hi.Y/q.at.north + q.at.lat}
	l := &q.m.levels[streets]
	var near []int
	l.around(b, func(i int) { near = append(near, i) })
	slices.Sort(near)
	var best *grid.Region
	most := 0.0
	for _, i := range near {
		g, ok := q.figures[i]
		if !ok {
			g = q.at.polygons(l.outlines[i].region.Shape)
			q.figures[i] = g
		}
		in, err := intersect(piece, g)
		if err != nil {
			return nil, err
		}
		if area := in.Area(); area > most {
			best, most = l.outlines[i].region, area
		}
	}
	return best, nil
}
