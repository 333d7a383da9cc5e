package geo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// Place is the one way of a position into the registry. It turns p's position into WGS84,
// keeping what was given, and fills in cell, community, street and district from the map
// where p gives none. Where p says otherwise than its position, that is an error which
// names both; with lenient, or where p.Placed is grid.PlacedByHand, it is a warning, and
// what p says stays, marked as set by hand. A nil or empty map only converts.
//
// What p says is taken as said by whoever calls: of a point that is read from the store
// and put again after its position has changed, clear the codes first (Unplace).
// Errors and warnings carry a *Problem with words in both languages.
func Place(p *grid.Point, m *Map, lenient bool) (warnings []*Problem, err error) {
	if !slices.Contains([]string{"", grid.PlacedByRegion, grid.PlacedByHand}, p.Placed) {
		return nil, problem("placed_unknown", "定位方式“%s”无效：请填 region 或 hand", "placed is %q: want region or hand", p.Placed)
	}
	placed, err := position(p)
	if err != nil || m.Empty() {
		return nil, err
	}
	if !placed {
		return unpositioned(p, m, lenient)
	}
	at := m.At(p.Lon, p.Lat)
	wrong := m.disagree(p, &at)
	switch {
	case wrong == nil && p.Placed == grid.PlacedByHand:
		return nil, nil
	case wrong == nil:
		warnings = m.fill(p, &at)
		return warnings, nil
	case !lenient && p.Placed != grid.PlacedByHand:
		return nil, grid.Errorf(grid.Invalid, "%w", wrong)
	}
	p.Placed = grid.PlacedByHand
	return []*Problem{wrong}, nil
}

// Unplace takes off a point what its last position said of it.
func Unplace(p *grid.Point) {
	if p.Placed == grid.PlacedByRegion {
		p.District, p.Street, p.Community, p.Cell, p.Placed = "", "", "", "", ""
	}
}

// Replace places a registered point anew under a changed map, and reports whether that
// changed it. What was set by hand stays, and so does where a point lies that now lies
// nowhere.
func Replace(p *grid.Point, m *Map) bool {
	if p.Lon == 0 && p.Lat == 0 || m.Empty() || ByHand(p) {
		return false
	}
	at := m.At(p.Lon, p.Lat)
	if at.Code() == "" {
		return false
	}
	was := *p
	if p.Placed == "" && m.disagree(p, &at) != nil {
		p.Placed = grid.PlacedByHand // a street was said, and it is another
		return true
	}
	m.fill(p, &at)
	return *p != was
}

// ByHand reports whether a person said which cell a point lies in.
func ByHand(p *grid.Point) bool {
	return p.Placed == grid.PlacedByHand || p.Placed == "" && p.Cell != ""
}

// written is how far a position may have moved by being written down, in degrees.
const written = 2e-8

// position brings p's position into WGS84. placed is false where it has none.
func position(p *grid.Point) (placed bool, err error) {
	none := grid.Position{}
	if p.Lon == 0 && p.Lat == 0 {
		if p.Given == none {
			if p.CRS != "" {
				_, err = ParseCRS(p.CRS)
			}
			return false, err
		}
		p.Lon, p.Lat, p.CRS, p.Given = p.Given.Lon, p.Given.Lat, p.Given.CRS, none
	}
	lon, lat, given, err := ToWGS84(p.Lon, p.Lat, p.CRS)
	if err != nil {
		return true, err
	}
	if given == none && p.Given != none { // one that was converted before, unless it has been changed since
		x, y, again, err := ToWGS84(p.Given.Lon, p.Given.Lat, p.Given.CRS)
		if err == nil && math.Abs(x-lon) <= written && math.Abs(y-lat) <= written {
			given = again
		}
	}
	p.Lon, p.Lat, p.CRS, p.Given = lon, lat, string(WGS84), given
	return true, nil
}

// unpositioned checks the cell of a point that has no position: somebody said it.
func unpositioned(p *grid.Point, m *Map, lenient bool) ([]*Problem, error) {
	if p.Cell == "" {
		if p.Placed == grid.PlacedByRegion {
			p.Placed = ""
		}
		return nil, nil
	}
	hand := p.Placed == grid.PlacedByHand
	p.Placed = grid.PlacedByHand
	if _, known := m.Region(p.Cell); known || !m.Has(grid.CellRegion) {
		return nil, nil
	}
	unknown := newProblem("cell_unknown", "网格 %s 不存在", "cell %s is not known: want one of the imported cells", p.Cell)
	if lenient || hand {
		return []*Problem{unknown}, nil
	}
	return nil, grid.Errorf(grid.Invalid, "%w", unknown)
}

// fill writes where p lies.
func (m *Map) fill(p *grid.Point, at *Location) (warnings []*Problem) {
	if at.LiesIn != "" {
		warnings = append(warnings, newProblem("cell_of_other_street", "位置在%s，所在网格 %s 属于%s，由后者负责",
			"the position lies in %s, its cell %s belongs to %s, which looks after it", m.name(at.LiesIn), at.Cell, m.name(at.Street)))
	}
	if at.Cell == "" && m.Has(grid.CellRegion) {
		warnings = append(warnings, newProblem("no_cell", "位置在%s内，但不在任何网格中", "the position lies in %s and in no cell", m.name(at.Code())))
	}
	p.District, p.Street, p.Community, p.Cell = at.District, cmp.Or(at.Street, p.Street), cmp.Or(at.Community, p.Community), at.Cell
	if !strings.HasPrefix(p.Community, p.Street) { // it was said of another street
		p.Community = ""
	}
	p.Placed = grid.PlacedByRegion
	return warnings
}

// disagree says how what p says of itself differs from where it lies.
func (m *Map) disagree(p *grid.Point, at *Location) *Problem {
	if at.Code() == "" {
		return m.outside(p, at)
	}
	said := []struct{ zh, en, said, is string }{
		{"网格", "cell", p.Cell, at.Cell}, {"社区", "community", p.Community, at.Community},
		{"街道", "street", p.Street, at.Street}, {"区", "district", p.District, at.District},
	}
	for i, s := range said {
		if s.said == "" || s.said == s.is || s.is == "" && !m.Has(Levels[cells-i]) || s.en == "street" && s.said == at.LiesIn {
			continue
		}
		return m.contradiction(p, at, s.zh, s.en, s.said)
	}
	return nil
}

func (m *Map) contradiction(p *grid.Point, at *Location, zh, en, said string) *Problem {
	lies := m.name(at.Code())
	if inside, metres, ok := m.ToBorder(said, p.Lon, p.Lat); ok && !inside {
		return newProblem(en+"_disagrees", "填写的%s是 %s，位置却在 %s，距 %[2]s 边界 %.0[4]f 米",
			"%[5]s is %[2]s: the position lies in %[3]s, %.0[4]f m from the border of %[2]s", zh, said, lies, metres, en)
	}
	return newProblem(en+"_disagrees", "填写的%[1]s是 %[2]s，位置却在 %[3]s", "%[4]s is %[2]s: the position lies in %[3]s", zh, said, lies, en)
}

// outside says how far the nearest region is, and whether another system would explain it.
func (m *Map) outside(p *grid.Point, at *Location) *Problem {
	hintZH, hintEN := "", ""
	was := p.Given
	if was.CRS == "" {
		was = grid.Position{Lon: p.Lon, Lat: p.Lat, CRS: string(WGS84)}
	}
	for _, crs := range Systems {
		if x, y := crs.to(was.Lon, was.Lat); string(crs) != was.CRS {
			if l := m.At(x, y); l.Code() != "" {
				hintZH = fmt.Sprintf("；若坐标系是 %s，则在 %s", crs, m.name(l.Code()))
				hintEN = fmt.Sprintf("; if it is in %s it lies in %s", crs, m.name(l.Code()))
				break
			}
		}
	}
	return newProblem("outside", "位置 %[1]g, %[2]g（%[3]s）不在任何区域内，最近的是 %[4]s，距 %.0[5]f 米%[6]s",
		"position %[1]g, %[2]g (%[3]s) lies in no region: the nearest is %[4]s, %.0[5]f m away%[7]s", was.Lon, was.Lat, was.CRS, m.name(at.Nearest), at.Away, hintZH, hintEN)
}

// name is a code with its name.
func (m *Map) name(code string) string {
	if r, ok := m.Region(code); ok && r.Name != "" {
		return code + " " + r.Name
	}
	return code
}
