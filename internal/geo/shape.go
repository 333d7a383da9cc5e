package geo

import (
	"math"
	"slices"

	"gridgate/internal/grid"
)

// outline is the border of a region, made for asking where a position is: all its rings in
// one flat list.
type outline struct {
	region *grid.Region
	xy     []float64 // lon, lat, lon, lat …
	ends   []int     // of each ring in xy
	box    box
}

type box struct{ minX, minY, maxX, maxY float64 }

func emptyBox() box {
	return box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
}

func (b *box) add(x, y float64) {
	b.minX, b.maxX = min(b.minX, x), max(b.maxX, x)
	b.minY, b.maxY = min(b.minY, y), max(b.maxY, y)
}

func (b *box) join(o box) {
	b.add(o.minX, o.minY)
	b.add(o.maxX, o.maxY)
}

// shared is the part of two boxes that lies in both; empty ones have a min above their max.
func (b box) shared(o box) box {
	return box{max(b.minX, o.minX), max(b.minY, o.minY), min(b.maxX, o.maxX), min(b.maxY, o.maxY)}
}

func newOutline(r *grid.Region) outline {
	o := outline{region: r, box: emptyBox()}
	for _, polygon := range r.Shape {
		for _, ring := range polygon {
			for _, p := range ring {
				o.xy = append(o.xy, p[0], p[1])
				o.box.add(p[0], p[1])
			}
			o.ends = append(o.ends, len(o.xy))
		}
	}
	o.xy, o.ends = slices.Clip(o.xy), slices.Clip(o.ends)
	return o
}

// locate says whether a position lies within, and how far it is from the border, in
// metres. East and north are the scale at its latitude.
func (o *outline) locate(lon, lat, east, north float64) (inside bool, metres float64) {
	best, start := math.Inf(1), 0
	for _, end := range o.ends {
		ring := o.xy[start:end]
		start = end
		ax, ay := ring[0]-lon, ring[1]-lat
		for i := 2; i < len(ring); i += 2 {
			bx, by := ring[i]-lon, ring[i+1]-lat
			if (ay > 0) != (by > 0) && (ax*by-bx*ay > 0) == (by > ay) {
				inside = !inside
			}
			best = min(best, toLine(ax*east, ay*north, bx*east, by*north))
			ax, ay = bx, by
		}
	}
	return inside, math.Sqrt(best)
}

// toLine is the square of the distance from the origin to the line from a to b.
func toLine(ax, ay, bx, by float64) float64 {
	dx, dy := bx-ax, by-ay
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(1, max(0, -(ax*dx+ay*dy)/l))
	}
	x, y := ax+t*dx, ay+t*dy
	return x*x + y*y
}

// toBox is at most how far a position is from what lies in a box, in metres.
func (b box) metres(lon, lat, east, north float64) float64 {
	dx := max(0, b.minX-lon, lon-b.maxX)
	dy := max(0, b.minY-lat, lat-b.maxY)
	return math.Hypot(dx*east, dy*north)
}
