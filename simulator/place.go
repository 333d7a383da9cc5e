package simulator

import (
	"fmt"
	"math"

	"gridgate/internal/grid"
)

// district is Changning, Shanghai.
const district = "310105"

// street of the district, with a place within it in WGS84. Roads and numbers
// below it are made up and look it; communities and cells are not said: the gateway's borders, if it
// has any, know better.
type street struct {
	code     string
	zh, en   string
	lon, lat float64
}

var streets = [...]street{
	{"310105006", "天山路街道", "Tianshan Road Subdistrict", 121.404, 31.211},
	{"310105001", "华阳路街道", "Huayang Road Subdistrict", 121.417, 31.221},
	{"310105002", "江苏路街道", "Jiangsu Road Subdistrict", 121.427, 31.220},
	{"310105004", "新华路街道", "Xinhua Road Subdistrict", 121.422, 31.207},
	{"310105005", "周家桥街道", "Zhoujiaqiao Subdistrict", 121.399, 31.219},
	{"310105008", "仙霞新村街道", "Xianxia Xincun Subdistrict", 121.387, 31.208},
	{"310105009", "虹桥街道", "Hongqiao Subdistrict", 121.399, 31.199},
	{"310105010", "程家桥街道", "Chengjiaqiao Subdistrict", 121.356, 31.197},
	{"310105011", "北新泾街道", "Beixinjing Subdistrict", 121.364, 31.221},
	{"310105102", "新泾镇", "Xinjing Town", 121.355, 31.216},
}

var kindNames = map[grid.Kind][2]string{
	grid.Door:    {"门", "door"},
	grid.Parking: {"车位", "parking bay"},
	grid.Manhole: {"井盖", "manhole"},
	grid.Smoke:   {"烟感", "smoke detector"},
}

func pointID(kind grid.Kind, n int) string { return fmt.Sprintf("sim-%s-%06d", kind, n) }

// pointAt makes the n-th point of a fleet: eight in a street, then eight in the next, and
// after the last street round again. perBuilding points share a building.
func pointAt(n int, kind grid.Kind, perBuilding int) grid.Point {
	at, round := n/8%len(streets), n/8/len(streets)
	st := streets[at]
	building := n/perBuilding + 1
	name := kindNames[kind]
	p := grid.Point{
		ID:   pointID(kind, n),
		Name: fmt.Sprintf("演示%s %d / Demo %s %d", name[0], n, name[1], n),
		Kind: kind,
		Scope: grid.Scope{District: district, Street: st.code,
			Compound: fmt.Sprintf("sim-compound-%d-%d", at+1, round/5+1)},
		Building: fmt.Sprintf("sim-building-%d", building),
		Address:  fmt.Sprintf("%s 演示路 %d 号 / Demo Road %d, %s", st.zh, building, building, st.en),
		Lon:      micro(st.lon + float64(n%25-12)*0.0002),
		Lat:      micro(st.lat + float64(n/25%25-12)*0.0002),
		CRS:      "WGS84",
		Mode:     grid.Simulated,
	}
	if kind == grid.Smoke || kind == grid.Door {
		p.Floor = fmt.Sprint(n%6 + 1)
	}
	return p
}

// micro rounds degrees to what is written.
func micro(deg float64) float64 { return math.Round(deg*1e6) / 1e6 }
