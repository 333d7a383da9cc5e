package geo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gridgate/internal/grid"
)

const (
	maxFeatures  = 100_000
	maxPositions = 4_000_000
)

// Fault is what is wrong with a feature of a file, or with a region that is there already
// and does not fit the file (Feature 0).
type Fault struct {
	Feature int    `json:"feature"` // its number in the file, from 1
	Region  string `json:"region,omitempty"`
	Warning bool   `json:"warning,omitempty"` // it does not stand in the way
	Problem
}

// Source is what is said of a file beside what it says itself.
type Source struct {
	CRS  CRS       // of its positions
	Mode grid.Mode // of its regions
	Name string    // where it comes from; "" : its metadata tell
}

// collection is a GeoJSON file (RFC 7946), as far as we read it; other members may be there.
type collection struct {
	Type     string            `json:"type"`
	Features []json.RawMessage `json:"features"`
	Metadata struct {
		CRS    string `json:"crs"`
		Source string `json:"source"`
		// What its licence wants to be shown with it, in the spellings that are about.
		Attribution string `json:"attribution"`
		Licence     string `json:"licence"`
		License     string `json:"license"`
		Schematic   bool   `json:"schematic"`
		Synthetic   bool   `json:"synthetic"`
	} `json:"metadata"`
	CRS struct { // of the GeoJSON before the RFC
		Properties struct {
			Name string `json:"name"`
		} `json:"properties"`
	} `json:"crs"`
}

type feature struct {
	Type       string          `json:"type"`
	ID         json.RawMessage `json:"id"`
	Properties properties      `json:"properties"`
	Geometry   *struct {
		Type        string          `json:"type"`
		Coordinates json.RawMessage `json:"coordinates"`
	} `json:"geometry"`
}

// properties are those that name a region, in the spellings that are about.
type properties struct {
	Code      any    `json:"code"`
	ID        any    `json:"id"`
	Adcode    any    `json:"adcode"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	NameZH    string `json:"name_zh"`
	NameEN    string `json:"name_en"`
	Schematic bool   `json:"schematic"`
	Synthetic bool   `json:"synthetic"`
}

// ReadGeoJSON reads the regions of a file. A feature with a fault is left out of them; the
// error is for what is no such file at all.
func ReadGeoJSON(b []byte, src Source) (regions []grid.Region, faults []Fault, err error) {
	var c collection
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&c); err != nil {
		return nil, nil, problem("not_geojson", "文件不是 GeoJSON：%v", "the file is no GeoJSON: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, problem("not_geojson", "文件不是 GeoJSON：%v", "the file is no GeoJSON: %v", "something follows its end")
	}
	if c.Type != "FeatureCollection" {
		return nil, nil, problem("not_collection", "类型是“%s”：请用 FeatureCollection", "type is %q: want FeatureCollection", c.Type)
	}
	if err := sameCRS(src.CRS, c.CRS.Properties.Name, c.Metadata.CRS); err != nil {
		return nil, nil, err
	}
	if len(c.Features) == 0 || len(c.Features) > maxFeatures {
		return nil, nil, problem("feature_count", "文件有 %d 个区域：要 1 到 %d 个", "the file has %d features: want 1 to %d", len(c.Features), maxFeatures)
	}
	r := reader{src: src, seen: map[string]int{}, room: maxPositions}
	for i, raw := range c.Features {
		g, p := r.region(i+1, raw)
		if p != nil {
			faults = append(faults, Fault{Feature: i + 1, Region: g.Code, Problem: *p})
			continue
		}
		g.Schematic, g.Synthetic = g.Schematic || c.Metadata.Schematic, g.Synthetic || c.Metadata.Synthetic
		g.Source = c.source(src.Name)
		regions = append(regions, g)
	}
	return regions, faults, nil
}

// source is where the file comes from, and what its licence wants to be shown.
func (c *collection) source(said string) string {
	m := &c.Metadata
	words := []string{cmp.Or(said, m.Source), cmp.Or(m.Attribution, m.Licence, m.License)}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " · ")
}

// sameCRS refuses a file that says of itself another system than whoever brings it.
func sameCRS(said CRS, own ...string) error {
	for _, name := range own {
		if is, err := ParseCRS(name); err == nil && is != said && (is.shifted() || said.shifted()) {
			return problem("crs_disagrees", "填写的坐标系是 %s，文件自称 %s", "crs is %s: the file says of itself that it is in %s", said, is)
		}
	}
	return nil
}

// reader reads features one by one.
type reader struct {
	src  Source
	seen map[string]int // codes, and in which feature
	room int            // positions that may still come
}

func (r *reader) region(n int, raw json.RawMessage) (g grid.Region, p *Problem) {
	var f feature
	if err := json.Unmarshal(raw, &f); err != nil {
		return g, newProblem("not_feature", "不是 GeoJSON 要素：%v", "it is no GeoJSON feature: %v", err)
	}
	if f.Type != "Feature" {
		return g, newProblem("not_feature", "类型是“%s”：请用 Feature", "type is %q: want Feature", f.Type)
	}
	g.Code = f.code()
	kind, ok := KindOf(g.Code)
	if !ok {
		return g, newProblem("code_wrong", "编码“%s”无效：区 6 位、街道 9 位、社区 12 位、网格 15 位数字",
			"code is %q: want digits, 6 of a district, 9 of a street, 12 of a community, 15 of a cell", g.Code)
	}
	if k := grid.RegionKind(f.Properties.Kind); slices.Contains(Levels, k) && k != kind {
		return g, newProblem("kind_disagrees", "类型是 %s，编码 %s 却是 %s 的", "kind is %s: code %s is that of a %s", k, g.Code, kind)
	}
	if first, twice := r.seen[g.Code]; twice {
		return g, newProblem("code_twice", "编码 %s 与第 %d 个要素重复", "code %s is that of feature %d too: want it once", g.Code, first)
	}
	r.seen[g.Code] = n
	g.Kind, g.Scope, g.Mode = kind, ScopeOf(g.Code), cmp.Or(r.src.Mode, grid.Live)
	if kind == grid.CellRegion {
		g.Cell = g.Code
	}
	g.Name, g.NameEN = cmp.Or(f.Properties.Name, f.Properties.NameZH), f.Properties.NameEN
	g.Schematic, g.Synthetic = f.Properties.Schematic, f.Properties.Synthetic
	if f.Geometry == nil {
		return g, nil // known by its name alone
	}
	g.Shape, p = r.shape(f.Geometry.Type, f.Geometry.Coordinates)
	return g, p
}

// code is the first property that may be one.
func (f *feature) code() string {
	for _, v := range []any{f.Properties.Code, f.Properties.Adcode, f.Properties.ID} {
		switch v := v.(type) {
		case string:
			if v != "" {
				return v
			}
		case float64:
			if v == float64(int64(v)) { // 15 digits fit
				return fmt.Sprint(int64(v))
			}
		}
	}
	var id string
	if json.Unmarshal(f.ID, &id) == nil {
		return id
	}
	return ""
}

func (r *reader) shape(typ string, raw json.RawMessage) (grid.Shape, *Problem) {
	var polygons [][][][]float64
	var err error
	switch typ {
	case "Polygon":
		polygons = make([][][][]float64, 1)
		err = json.Unmarshal(raw, &polygons[0])
	case "MultiPolygon":
		err = json.Unmarshal(raw, &polygons)
	default:
		return nil, newProblem("geometry_type", "几何类型是“%s”：请用 Polygon 或 MultiPolygon", "geometry is a %q: want Polygon or MultiPolygon", typ)
	}
	if err != nil {
		return nil, newProblem("geometry_wrong", "坐标无法读取：%v", "coordinates cannot be read: %v", err)
	}
	if len(polygons) == 0 {
		return nil, newProblem("geometry_wrong", "坐标无法读取：%v", "coordinates cannot be read: %v", "there are none")
	}
	s := make(grid.Shape, 0, len(polygons))
	for _, polygon := range polygons {
		if len(polygon) == 0 {
			return nil, newProblem("geometry_wrong", "坐标无法读取：%v", "coordinates cannot be read: %v", "a polygon has no ring")
		}
		rings := make([][][2]float64, 0, len(polygon))
		for i, positions := range polygon {
			ring, p := r.ring(positions)
			if p != nil {
				return nil, p
			}
			if leftTurning(ring) != (i == 0) { // the RFC: outer rings turn left, holes right; and: read the others too
				slices.Reverse(ring)
			}
			rings = append(rings, ring)
		}
		s = append(s, rings)
	}
	if err := valid(s); err != nil {
		return nil, newProblem("geometry_invalid", "边界无效（自相交、孔在外部或各部分重叠）：%v", "the border is invalid: %v", err)
	}
	return s, nil
}

func (r *reader) ring(positions [][]float64) ([][2]float64, *Problem) {
	if r.room -= len(positions); r.room < 0 {
		return nil, newProblem("too_large", "文件的坐标超过 %d 个", "the file has more than %d positions", maxPositions)
	}
	if len(positions) < 4 {
		return nil, newProblem("ring_short", "环只有 %d 个点：至少 4 个，首尾相同", "a ring has %d positions: want 4 at least, the last as the first", len(positions))
	}
	ring := make([][2]float64, 0, len(positions))
	for _, at := range positions {
		if len(at) < 2 {
			return nil, newProblem("position_short", "坐标只有 %d 个数：要经度和纬度", "a position has %d numbers: want longitude and latitude", len(at))
		}
		if !onGlobe(at[0], at[1]) {
			if onGlobe(at[1], at[0]) {
				return nil, newProblem("position_swapped", "坐标 %g, %g 写反了：先经度，后纬度", "position is %g, %g: want the longitude first", at[0], at[1])
			}
			return nil, newProblem("position_off_globe", "坐标 %g, %g 不是经纬度", "position is %g, %g: want longitude and latitude in degrees", at[0], at[1])
		}
		ring = append(ring, [2]float64{at[0], at[1]})
	}
	if first, last := ring[0], ring[len(ring)-1]; first != last {
		return nil, newProblem("ring_open", "环没有闭合：起点 %v，终点 %v", "a ring is not closed: it begins at %v and ends at %v", first, last)
	}
	if r.src.CRS.shifted() { // corners; an edge of 500 m is 2 cm off in between, of BD09 0.4 m
		for i, at := range ring {
			x, y := r.src.CRS.to(at[0], at[1])
			ring[i] = [2]float64{round(x), round(y)}
		}
	}
	return ring, nil
}

// leftTurning reports whether a ring goes around counter-clockwise.
func leftTurning(ring [][2]float64) bool {
	sum, o := 0.0, ring[0]
	for i := 1; i < len(ring); i++ {
		a, b := ring[i-1], ring[i]
		sum += (a[0]-o[0])*(b[1]-o[1]) - (b[0]-o[0])*(a[1]-o[1])
	}
	return sum > 0
}

// GeoJSON writes regions as a file that ReadGeoJSON reads.
func GeoJSON(regions []grid.Region) ([]byte, error) {
	type geometry struct {
		Type        string     `json:"type"`
		Coordinates grid.Shape `json:"coordinates"`
	}
	type out struct {
		Type       string         `json:"type"`
		Properties map[string]any `json:"properties"`
		Geometry   *geometry      `json:"geometry"`
	}
	features := make([]out, 0, len(regions))
	for i := range regions {
		g := &regions[i]
		f := out{Type: "Feature", Properties: map[string]any{"code": g.Code, "kind": g.Kind}}
		for name, v := range map[string]string{"name": g.Name, "name_en": g.NameEN} {
			if v != "" {
				f.Properties[name] = v
			}
		}
		for name, is := range map[string]bool{"schematic": g.Schematic, "synthetic": g.Synthetic} {
			if is {
				f.Properties[name] = true
			}
		}
		if len(g.Shape) > 0 {
			f.Geometry = &geometry{"MultiPolygon", g.Shape}
		}
		features = append(features, f)
	}
	return json.Marshal(map[string]any{"type": "FeatureCollection", "metadata": map[string]any{"crs": WGS84}, "features": features})
}
