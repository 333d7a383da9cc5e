package bulk

import (
	"cmp"
	"fmt"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Buildings of a row.

func (c *checker) building(p *parsed, s *stock, v *verdict) {
	id := p.building.ID
	if id == "" {
		if len(v.problems) == 0 {
			v.wrong(c.header(keyBuilding), "", say("没有楼栋编号：请填写", "building id is empty: want one"))
		}
		return
	}
	if old, ok := c.before(p, place{kind: 'b', id: id}); ok && !old.wrong {
		v.wrong(c.header(keyBuilding), id, say("在第 %d 行已出现", "stands in row %d too", old.row))
		return
	}
	old, known := s.buildings[id]
	before := line{}
	if known {
		before.building = *old
	} else {
		before.building.ID = id
	}
	after := c.over(&before, p, ofBuilding)
	b := &after.building
	b.Mode = cmp.Or(b.Mode, grid.Live)
	c.buildingAt(p, old, b, v)
	if err := registry.CheckBuilding(b); err != nil && len(v.problems) == 0 {
		v.wrong("", id, wordsOf(err, "登记规则不允许"))
	}
	fields := c.differences(&before, &after, ofBuilding)
	v.result(known, fields)
	if len(fields) == 0 && known || len(v.problems) > 0 {
		return
	}
	v.buildings = append(v.buildings, *b)
	v.changes = append(v.changes, change{N: v.Row, Kind: "building", ID: id, Was: image(old), Sum: sum(b)})
}

// buildingAt takes a building's position in by the way of a point's.
func (c *checker) buildingAt(p *parsed, old, b *grid.Building, v *verdict) {
	if old != nil && old.Lon == b.Lon && old.Lat == b.Lat && old.Cell == b.Cell && old.Scope == b.Scope {
		b.CRS = old.CRS
		return
	}
	if (b.Lon != 0 || b.Lat != 0) && b.CRS == "" {
		v.wrong(c.header("building_crs"), "", say("没有写明坐标系：请填 WGS84、CGCS2000、GCJ02 或 BD09", "is empty beside a position: want WGS84, CGCS2000, GCJ02 or BD09"))
		return
	}
	at := grid.Point{ID: b.ID, Kind: grid.Door, Scope: b.Scope, Cell: b.Cell, Lon: b.Lon, Lat: b.Lat, CRS: b.CRS}
	err := c.place(&at)
	if err == nil {
		err = registry.CheckPoint(&at)
	}
	if err != nil {
		v.wrong(c.header("building_lon"), fmt.Sprintf("%g, %g", b.Lon, b.Lat), wordsOf(err, "位置有误"))
		return
	}
	b.Scope, b.Cell, b.Lon, b.Lat, b.CRS = at.Scope, at.Cell, at.Lon, at.Lat, at.CRS
}
