package bulk

import (
	"cmp"
	"errors"
	"fmt"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Points of a row, and their positions.

func (c *checker) point(p *parsed, s *stock, v *verdict) {
	id := p.point.ID
	if id == "" {
		if p.set&c.layout.says[ofPoint] != 0 && !v.has(c.header(keyPoint)) {
			v.wrong(c.header(keyPoint), "", say("没有点位编号：请填写", "point id is empty: want one"))
		}
		return
	}
	old, known := s.points[id]
	if c.again(p, v, 'p', id, c.header(keyPoint), ofPoint) {
		return
	}
	if !known && c.layout.set&c.layout.says[ofPoint] == 0 {
		return // no column of points: the installation says that there is none
	}
	before := line{}
	if known {
		before.point = *old
	} else {
		before.point.ID = id
	}
	after := c.over(&before, p, ofPoint)
	if !c.position(p, old, &after.point, v) {
		return
	}
	if !known && after.point.Kind == "" {
		if !v.has(c.header("kind")) {
			v.wrong(c.header("kind"), "", say("新点位没有类型：请填门、车位、井盖或烟感", "kind of a new point is empty: want door, parking, manhole or smoke"))
		}
		return
	}
	if !known {
		after.point.State = grid.PointActive
	}
	after.point.Privacy = cmp.Or(after.point.Privacy, registry.PrivacyOf(&after.point))
	if err := registry.CheckPoint(&after.point); err != nil {
		v.wrong("", id, wordsOf(err, "登记规则不允许"))
		return
	}
	fields := c.differences(&before, &after, ofPoint)
	v.result(known, fields)
	if known && after.point == *old {
		return
	}
	v.points = append(v.points, after.point)
	v.changes = append(v.changes, change{N: v.Row, Kind: "point", ID: id, Was: image(old), Sum: sumPoint(&after.point)})
}

// position brings a position in by its one way; one that is the same as before is left alone.
func (c *checker) position(p *parsed, old, now *grid.Point, v *verdict) bool {
	lon, lat, crs := c.layout.bit("lon"), c.layout.bit("lat"), c.layout.bit("crs")
	if p.set&(lon|lat) == 0 {
		if old != nil {
			now.CRS = old.CRS
		} else {
			now.CRS = ""
		}
		if old == nil || c.codesChanged(p) {
			return c.placed(now, v)
		}
		return true
	}
	switch {
	case p.set&lon == 0:
		v.wrong(c.header("lon"), "", say("有纬度没有经度", "is empty beside a latitude"))
		return false
	case p.set&lat == 0:
		v.wrong(c.header("lat"), "", say("有经度没有纬度", "is empty beside a longitude"))
		return false
	case p.set&crs == 0 && (p.point.Lon != 0 || p.point.Lat != 0):
		if !v.has(c.header("crs")) {
			v.wrong(c.header("crs"), "", say("没有写明坐标系：同一个数字在不同坐标系里相差数百米，请填 WGS84、CGCS2000、GCJ02 或 BD09", "is empty beside a position: the same numbers are hundreds of metres apart in another system, want WGS84, CGCS2000, GCJ02 or BD09"))
		}
		return false
	}
	if old != nil && (old.Lon == p.point.Lon && old.Lat == p.point.Lat && old.CRS == p.point.CRS ||
		old.Given.Lon == p.point.Lon && old.Given.Lat == p.point.Lat && old.Given.CRS == p.point.CRS) {
		now.Lon, now.Lat, now.CRS, now.Given = old.Lon, old.Lat, old.CRS, old.Given
		if !c.codesChanged(p) {
			return true
		}
	} else {
		now.Given = grid.Position{}
		if old != nil && !c.codesChanged(p) {
			geo.Unplace(now)
		}
	}
	return c.placed(now, v)
}

// codesChanged tells whether a row says itself where the point belongs.
func (c *checker) codesChanged(p *parsed) bool {
	return p.set&(c.layout.bit("cell")|c.layout.bit("community")|c.layout.bit("street")|c.layout.bit("district")) != 0
}

func (c *checker) placed(p *grid.Point, v *verdict) bool {
	if err := c.place(p); err != nil {
		v.wrong(c.header("lon"), fmt.Sprintf("%g, %g %s %s", p.Lon, p.Lat, p.CRS, p.Cell), wordsOf(err, "位置有误"))
		return false
	}
	return true
}

// pointThere tells whether the point of a row is registered, or stands in a row that is sound.
func (c *checker) pointThere(p *parsed, s *stock, v *verdict) bool {
	id := p.point.ID
	if _, ok := s.points[id]; ok || len(v.points) > 0 {
		return true
	}
	old, ok := c.before(p, place{kind: 'p', id: id})
	switch {
	case ok && !old.wrong && old.said != 0:
		return true
	case len(v.problems) > 0:
	case ok && old.wrong:
		v.wrong(c.header(keyPoint), id, say("点位没有登记，它在第 %d 行有错", "is not registered, and its own row %d is bad", old.row))
	default:
		v.wrong(c.header(keyPoint), id, say("点位没有登记：请先登记，或让它的行排在前面", "is not registered: want it registered, or its row above this one"))
	}
	return false
}

// wordsOf are the words of an error in both languages, where it has them.
func wordsOf(err error, zh string) *grid.Text {
	var p *geo.Problem
	if errors.As(err, &p) {
		return &grid.Text{ZH: p.ZH, EN: p.EN}
	}
	return &grid.Text{ZH: zh + "：" + err.Error(), EN: err.Error()}
}
