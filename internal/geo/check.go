package geo

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/peterstace/simplefeatures/geom"
	"github.com/peterstace/simplefeatures/rtree"

	"gridgate/internal/grid"
)

// How much two regions of a kind may lie over each other, and how much of one may lie
// outside of what it belongs to, before it is a fault: borders drawn twice never meet.
const (
	overlapShare = 0.01   // of the smaller
	overlapMost  = 1000.0 // square metres
	overlapLeast = 10.0
	outsideShare = 0.01
	outsideLeast = 50.0
)

// Merge is what a map becomes by a file: the file's regions take the place of all of the
// same kinds in the same districts.
func Merge(m *Map, file []grid.Region) *Map {
	type part struct {
		kind     grid.RegionKind
		district string
	}
	replaced := map[part]bool{}
	for i := range file {
		replaced[part{file[i].Kind, file[i].Scope.District}] = true
	}
	next := slices.Clone(file)
	for _, g := range m.Regions() {
		if !replaced[part{g.Kind, g.Scope.District}] {
			next = append(next, g)
		}
	}
	return NewMap(next)
}

// Diff says what differs: regions to be put, and the codes of those that are gone.
func Diff(m, next *Map) (put []grid.Region, gone []string) {
	for _, g := range next.Regions() {
		if old, ok := m.Region(g.Code); !ok || !same(old, &g) {
			put = append(put, g)
		}
	}
	for _, g := range m.Regions() {
		if _, ok := next.Region(g.Code); !ok {
			gone = append(gone, g.Code)
		}
	}
	return put, gone
}

// Change counts what differs, of a file with that many regions.
func Change(m, next *Map, of int) grid.RegionsPut {
	put, gone := Diff(m, next)
	out := grid.RegionsPut{Removed: len(gone), Same: of - len(put)}
	for i := range put {
		if _, old := m.Region(put[i].Code); old {
			out.Changed++
		} else {
			out.Added++
		}
	}
	return out
}

func same(a, b *grid.Region) bool {
	x, y := *a, *b
	x.Shape, y.Shape = nil, nil
	return x.Code == y.Code && x.Kind == y.Kind && x.Name == y.Name && x.NameEN == y.NameEN && x.Scope == y.Scope && x.Cell == y.Cell &&
		x.Mode == y.Mode && x.Schematic == y.Schematic && x.Synthetic == y.Synthetic && x.Source == y.Source && sameShape(a.Shape, b.Shape)
}

func sameShape(a, b grid.Shape) bool {
	return slices.EqualFunc(a, b, func(a, b [][][2]float64) bool {
		return slices.EqualFunc(a, b, func(a, b [][2]float64) bool { return slices.Equal(a, b) })
	})
}

// Check says what is wrong with the regions of a file on the map that they make with all
// others. What does not fit any more of those that were there is a warning.
func Check(m *Map, file []grid.Region) []Fault {
	c := checker{m: m, number: map[string]int{}, figures: map[string]figure{}}
	touched, all := map[string]bool{}, emptyBox()
	for i := range file {
		c.number[file[i].Code] = i + 1
		touched[file[i].Scope.District] = true
		for _, polygon := range file[i].Shape {
			for _, at := range polygon[0] {
				all.add(at[0], at[1])
			}
		}
	}
	c.at = planeAt(all)
	for n := range m.levels {
		l := &m.levels[n]
		for i := range l.outlines {
			g := l.outlines[i].region
			if !touched[g.Scope.District] {
				continue
			}
			if c.number[g.Code] != 0 {
				c.overlaps(l, i)
			}
			c.belongs(n, &l.outlines[i])
		}
	}
	slices.SortStableFunc(c.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Feature, b.Feature), cmp.Compare(a.Region, b.Region))
	})
	return c.faults
}

// figure is a region on the plane.
type figure struct {
	g    geom.Geometry
	area float64
}

type checker struct {
	m       *Map
	number  map[string]int // of the file's regions, which feature each is
	at      plane
	figures map[string]figure // on it, made once
	faults  []Fault
}

func (c *checker) fault(code string, p *Problem) {
	n := c.number[code]
	c.faults = append(c.faults, Fault{Feature: n, Region: code, Warning: n == 0, Problem: *p})
}

func (c *checker) figure(o *outline) figure {
	f, ok := c.figures[o.region.Code]
	if !ok {
		f.g = c.at.polygons(o.region.Shape)
		f.area = f.g.Area()
		c.figures[o.region.Code] = f
	}
	return f
}

func (c *checker) shared(a, b figure) (float64, error) {
	g, err := intersect(a.g, b.g)
	if err != nil {
		return 0, err
	}
	return g.Area(), nil
}

// around calls yield for the outlines of a level whose boxes meet b.
func (l *level) around(b box, yield func(i int)) {
	l.tree.RangeSearch(rtree.Box{MinX: b.minX, MinY: b.minY, MaxX: b.maxX, MaxY: b.maxY}, func(i int) error {
		yield(i)
		return nil
	})
}

// overlaps finds who of a level lies over its i-th. Each pair is looked at once.
func (c *checker) overlaps(l *level, i int) {
	o := &l.outlines[i]
	var others []int
	l.around(o.box, func(j int) { others = append(others, j) })
	slices.Sort(others)
	for _, j := range others {
		other := &l.outlines[j]
		if j == i || j < i && c.number[other.region.Code] != 0 {
			continue
		}
		if s := o.box.shared(other.box); (s.maxX-s.minX)*c.at.east*(s.maxY-s.minY)*c.at.north <= overlapLeast {
			continue // no more than a border
		}
		own, f := c.figure(o), c.figure(other)
		over, err := c.shared(own, f)
		if err != nil {
			c.fault(o.region.Code, newProblem("overlap_unknown", "与 %s 是否重叠无法判断：%v", "whether it overlaps %s cannot be told: %v", other.region.Code, err))
		} else if over > max(overlapLeast, min(overlapShare*min(own.area, f.area), overlapMost)) {
			c.fault(o.region.Code, newProblem("overlap", "与 %s 重叠 %.0f 平方米", "it overlaps %s by %.0f m²", other.region.Code, over))
		}
	}
}

// parentOf is the level whose borders a level is held against, and its code's digits: a
// cell's and a community's is the street, a street's the district.
func parentOf(n int) int {
	if n == streets {
		return districts
	}
	return streets
}

// belongs checks that a region lies in what its code says it lies in.
func (c *checker) belongs(n int, o *outline) {
	if n == districts {
		return
	}
	up := parentOf(n)
	l, digits := &c.m.levels[up], codeDigits[up]
	district := o.region.Scope.District
	if !slices.ContainsFunc(l.outlines, func(p outline) bool { return p.region.Scope.District == district }) {
		return // its borders are not known
	}
	own := o.region.Code[:digits]
	if _, known := c.m.Region(own); !known {
		c.fault(o.region.Code, newProblem("parent_unknown", "编码 %s 所属的 %s 不存在", "code %s begins with %s, which is not known", o.region.Code, own))
		return
	}
	shares, area, err := c.shares(l, o, own)
	if err != nil {
		c.fault(o.region.Code, newProblem("parent_untold", "属于哪里无法判断：%v", "where it lies cannot be told: %v", err))
		return
	}
	var most share
	inOwn := 0.0
	for _, s := range shares { // by code: of equal shares the lowest has it
		if s.area > most.area {
			most = s
		}
		if strings.HasPrefix(s.code, district) {
			inOwn += s.area
		}
	}
	if area-inOwn > max(outsideLeast, outsideShare*area) {
		c.fault(o.region.Code, newProblem("outside_parent", "有 %.0f 平方米（%.0f%%）在 %s 之外", "%.0f m² (%.0f %%) of it lie outside of %s",
			area-inOwn, (area-inOwn)/area*100, outer(up, own, district)))
	}
	if most.code != "" && most.code != own {
		c.fault(o.region.Code, newProblem("parent_disagrees", "编码属于 %s，大部分面积却在 %s", "its code begins with %s: most of it lies in %s", c.m.name(own), c.m.name(most.code)))
	}
}

// outer names what a region sticks out of.
func outer(up int, own, district string) string {
	if up == districts {
		return own
	}
	return district
}

type share struct {
	code string
	area float64
}

// shares says how much of a region lies in each of a level, by code.
func (c *checker) shares(l *level, o *outline, own string) (out []share, area float64, err error) {
	f := c.figure(o)
	var near []int
	l.around(o.box, func(i int) { near = append(near, i) })
	slices.Sort(near)
	for _, i := range near {
		p := &l.outlines[i]
		if p.region.Code == own && p.holds(o) {
			return []share{{own, f.area}}, f.area, nil
		}
	}
	for _, i := range near {
		p := &l.outlines[i]
		in, err := c.shared(f, c.figure(p))
		if err != nil {
			return nil, 0, err
		}
		if in > 0 {
			out = append(out, share{p.region.Code, in})
		}
	}
	return out, f.area, nil
}

// holds reports whether all of another outline lies inside for sure: every corner is
// further from the border than half of the longest side.
func (o *outline) holds(in *outline) bool {
	east, north := scale((in.box.minY + in.box.maxY) / 2)
	longest, start := 0.0, 0
	for _, end := range in.ends {
		for i := start + 2; i < end; i += 2 {
			longest = max(longest, math.Hypot((in.xy[i]-in.xy[i-2])*east, (in.xy[i+1]-in.xy[i-1])*north))
		}
		start = end
	}
	for i := 0; i < len(in.xy); i += 2 {
		if inside, border := o.locate(in.xy[i], in.xy[i+1], east, north); !inside || border < longest/2 {
			return false
		}
	}
	// What is inside around the rim may still have a hole of o within.
	start = 0
	for _, end := range o.ends {
		if x, y := o.xy[start], o.xy[start+1]; x > in.box.minX && x < in.box.maxX && y > in.box.minY && y < in.box.maxY {
			return false
		}
		start = end
	}
	return true
}
