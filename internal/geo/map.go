package geo

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/peterstace/simplefeatures/rtree"

	"gridgate/internal/grid"
)

const (
	onBorder = 0.01 // metres: so near it counts as on the border
	seam     = 0.5  // metres: a gap between two borders that is no wider is nobody's land
)

// Levels are the kinds of regions, from the widest.
var Levels = []grid.RegionKind{grid.DistrictRegion, grid.StreetRegion, grid.CommunityRegion, grid.CellRegion}

// digits of a level's codes, by its place in Levels.
var codeDigits = [...]int{6, 9, 12, 15}

const (
	districts = iota
	streets
	communities
	cells
	levels
)

// KindOf is the kind of region that a code names, by its digits.
func KindOf(code string) (grid.RegionKind, bool) {
	n := slices.Index(codeDigits[:], len(code))
	if n < 0 || strings.Trim(code, "0123456789") != "" {
		return "", false
	}
	return Levels[n], true
}

// ScopeOf is the scope that a code of any level lies in.
func ScopeOf(code string) (s grid.Scope) {
	for i, at := range []*string{&s.District, &s.Street, &s.Community} {
		if len(code) >= codeDigits[i] {
			*at = code[:codeDigits[i]]
		}
	}
	return s
}

// Map is all regions with an index. It never changes: a new one takes its place, and
// whoever asks may do so at any time. A nil Map has no regions.
type Map struct {
	levels [levels]level
	byCode map[string]*grid.Region
	all    []grid.Region // by code
}

// level is the outlines of one kind.
type level struct {
	tree     *rtree.RTree // of their boxes
	outlines []outline    // by code
}

// NewMap makes a map; it keeps regions.
func NewMap(regions []grid.Region) *Map {
	m := &Map{byCode: make(map[string]*grid.Region, len(regions)), all: regions}
	slices.SortFunc(m.all, func(a, b grid.Region) int { return cmp.Compare(a.Code, b.Code) })
	for i := range m.all {
		r := &m.all[i]
		m.byCode[r.Code] = r
		if n := slices.Index(Levels, r.Kind); n >= 0 && len(r.Shape) > 0 {
			m.levels[n].outlines = append(m.levels[n].outlines, newOutline(r))
		}
	}
	for n := range m.levels {
		l := &m.levels[n]
		items := make([]rtree.BulkItem, len(l.outlines))
		for i := range l.outlines {
			b := l.outlines[i].box
			items[i] = rtree.BulkItem{RecordID: i, Box: rtree.Box{MinX: b.minX, MinY: b.minY, MaxX: b.maxX, MaxY: b.maxY}}
		}
		l.tree = rtree.BulkLoad(items)
	}
	return m
}

// Regions are all regions by code; they are not to be changed.
func (m *Map) Regions() []grid.Region {
	if m == nil {
		return nil
	}
	return m.all
}

// Region finds one by its code.
func (m *Map) Region(code string) (*grid.Region, bool) {
	if m == nil {
		return nil, false
	}
	r, ok := m.byCode[code]
	return r, ok
}

// Has reports whether any region of a kind has a border.
func (m *Map) Has(kind grid.RegionKind) bool {
	n := slices.Index(Levels, kind)
	return m != nil && n >= 0 && len(m.levels[n].outlines) > 0
}

// Empty reports whether no position can lie anywhere.
func (m *Map) Empty() bool {
	return !slices.ContainsFunc(Levels, m.Has)
}

// Location is where a position lies: codes, "" where there is none.
type Location struct {
	Cell      string
	Community string
	Street    string // of the cell, where there is one: who looks after the cell looks after all of it
	District  string
	LiesIn    string  // the street whose border is around the position, where that is another than the cell's
	Border    float64 // metres to the border of the smallest region that it lies in
	Nearest   string  // outside of all: the nearest region
	Away      float64 // and how far that is, in metres
}

// Scope is the location as a scope.
func (l *Location) Scope() grid.Scope {
	return grid.Scope{District: l.District, Street: l.Street, Community: l.Community}
}

// Code is the smallest region that the position lies in.
func (l *Location) Code() string { return cmp.Or(l.Cell, l.Community, l.Street, l.District) }

// At says where a position in WGS84 lies. On a border, the lowest code has it.
func (m *Map) At(lon, lat float64) (l Location) {
	if m == nil {
		return l
	}
	east, north := scale(lat)
	for n := cells; n >= 0; n-- {
		r, border := m.levels[n].at(lon, lat, east, north)
		if r == nil {
			continue
		}
		if l.Code() == "" {
			s := r.Scope
			l.District, l.Street, l.Community, l.Cell, l.Border = s.District, s.Street, s.Community, r.Cell, border
		}
		if n == streets && r.Code != l.Street {
			l.LiesIn = r.Code
		}
	}
	if l.Code() == "" {
		l.Nearest, l.Away = m.nearest(lon, lat, east, north)
	}
	return l
}

// at finds the region of a level that has a position: the one with the lowest code in or on
// whose border it lies, or in a seam the nearest.
func (l *level) at(lon, lat, east, north float64) (*grid.Region, float64) {
	if len(l.outlines) == 0 {
		return nil, 0
	}
	dx, dy := seam/east, seam/north
	around := rtree.Box{MinX: lon - dx, MinY: lat - dy, MaxX: lon + dx, MaxY: lat + dy}
	has, hasBorder := len(l.outlines), 0.0
	by, byBorder := len(l.outlines), math.Inf(1)
	l.tree.RangeSearch(around, func(i int) error {
		inside, border := l.outlines[i].locate(lon, lat, east, north)
		switch {
		case inside || border <= onBorder:
			if i < has {
				has, hasBorder = i, border
			}
		case border <= seam && (border < byBorder || border == byBorder && i < by):
			by, byBorder = i, border
		}
		return nil
	})
	switch {
	case has < len(l.outlines):
		return l.outlines[has].region, hasBorder
	case by < len(l.outlines):
		return l.outlines[by].region, byBorder
	}
	return nil, 0
}

// nearest finds the nearest region of the smallest kind that has borders.
func (m *Map) nearest(lon, lat, east, north float64) (string, float64) {
	for n := cells; n >= 0; n-- {
		l := &m.levels[n]
		best, code := math.Inf(1), ""
		for i := range l.outlines { // by code: of two as near the lowest has it
			o := &l.outlines[i]
			if o.box.metres(lon, lat, east, north) >= best {
				continue
			}
			if _, d := o.locate(lon, lat, east, north); d < best {
				best, code = d, o.region.Code
			}
		}
		if code != "" {
			return code, best
		}
	}
	return "", 0
}

// ToBorder says whether a position lies in a region, and how far it is from its border in
// metres. ok is false of a region that has none.
func (m *Map) ToBorder(code string, lon, lat float64) (inside bool, metres float64, ok bool) {
	r, known := m.Region(code)
	if !known || len(r.Shape) == 0 {
		return false, 0, false
	}
	l := &m.levels[slices.Index(Levels, r.Kind)]
	i, found := slices.BinarySearchFunc(l.outlines, code, func(o outline, code string) int { return cmp.Compare(o.region.Code, code) })
	if !found {
		return false, 0, false
	}
	east, north := scale(lat)
	inside, metres = l.outlines[i].locate(lon, lat, east, north)
	return inside, metres, true
}
