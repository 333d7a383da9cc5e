package geo

import (
	"math"
	"strings"

	"gridgate/internal/grid"
)

// CRS is a coordinate system in which people here write positions.
type CRS string

const (
	WGS84    CRS = "WGS84"    // GPS, GeoJSON, what we store
	CGCS2000 CRS = "CGCS2000" // surveys; centimetres from WGS84, here the same
	GCJ02    CRS = "GCJ02"    // maps published in China: some 480 m off
	BD09     CRS = "BD09"     // Baidu's: some 1,150 m off
)

// Systems are all of them.
var Systems = []CRS{WGS84, CGCS2000, GCJ02, BD09}

// spellings are what else they are called, without marks and in capitals.
var spellings = map[string]CRS{
	"WGS84": WGS84, "CRS84": WGS84, "EPSG4326": WGS84, "URNOGCDEFCRSOGC13CRS84": WGS84, "URNOGCDEFCRSEPSG4326": WGS84,
	"CGCS2000": CGCS2000, "EPSG4490": CGCS2000, "URNOGCDEFCRSEPSG4490": CGCS2000,
	"GCJ02": GCJ02,
	"BD09":  BD09, "BD09LL": BD09,
}

var marks = strings.NewReplacer("-", "", "_", "", " ", "", ":", "", ".", "")

// ParseCRS reads a coordinate system in any of its usual spellings. None is no system: a
// position that does not say its own is up to 1.2 km from where it should be.
func ParseCRS(s string) (CRS, error) {
	if crs, ok := spellings[marks.Replace(strings.ToUpper(strings.TrimSpace(s)))]; ok {
		return crs, nil
	}
	if strings.TrimSpace(s) == "" {
		return "", problem("crs_missing", "没有写明坐标系：请填 WGS84、CGCS2000、GCJ02 或 BD09，写错会偏出一公里",
			"crs is missing: want WGS84, CGCS2000, GCJ02 or BD09, a wrong one is up to 1.2 km off")
	}
	return "", problem("crs_unknown", "坐标系“%s”无法识别：请填 WGS84、CGCS2000、GCJ02 或 BD09",
		"crs is %q: want WGS84, CGCS2000, GCJ02 or BD09", s)
}

// The published formula between WGS84 and GCJ02, on the Krasovsky ellipsoid.
const (
	krasovskyA  = 6378245.0
	krasovskyE2 = 0.00669342162296594323
)

// shifted reports whether a system is off WGS84 by more than centimetres.
func (c CRS) shifted() bool { return c == GCJ02 || c == BD09 }

// offset reports whether the published formula applies at a place; elsewhere all systems are one.
func offset(lon, lat float64) bool {
	return lon >= 73.66 && lon <= 135.05 && lat >= 3.86 && lat <= 53.55
}

// toGCJ02 is the published formula.
func toGCJ02(lon, lat float64) (float64, float64) {
	x, y := lon-105, lat-35
	waves := (20*math.Sin(6*x*math.Pi) + 20*math.Sin(2*x*math.Pi)) * 2 / 3
	north := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) + waves +
		(20*math.Sin(y*math.Pi)+40*math.Sin(y/3*math.Pi))*2/3 +
		(160*math.Sin(y/12*math.Pi)+320*math.Sin(y*math.Pi/30))*2/3
	east := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) + waves +
		(20*math.Sin(x*math.Pi)+40*math.Sin(x/3*math.Pi))*2/3 +
		(150*math.Sin(x/12*math.Pi)+300*math.Sin(x/30*math.Pi))*2/3
	sin, cos := math.Sincos(lat / 180 * math.Pi)
	w := 1 - krasovskyE2*sin*sin
	return lon + east*180/(krasovskyA/math.Sqrt(w)*cos*math.Pi),
		lat + north*180/(krasovskyA*(1-krasovskyE2)/(w*math.Sqrt(w))*math.Pi)
}

// toBD09 is the published formula, from GCJ02.
func toBD09(lon, lat float64) (float64, float64) {
	const k = math.Pi * 3000 / 180
	r := math.Hypot(lon, lat) + 0.00002*math.Sin(lat*k)
	sin, cos := math.Sincos(math.Atan2(lat, lon) + 0.000003*math.Cos(lon*k))
	return r*cos + 0.0065, r*sin + 0.006
}

// formula turns a WGS84 position into crs, wherever it is.
func (c CRS) formula(lon, lat float64) (float64, float64) {
	switch c {
	case GCJ02:
		return toGCJ02(lon, lat)
	case BD09:
		return toBD09(toGCJ02(lon, lat))
	}
	return lon, lat
}

// from turns a WGS84 position into crs.
func (c CRS) from(lon, lat float64) (float64, float64) {
	if !offset(lon, lat) {
		return lon, lat
	}
	return c.formula(lon, lat)
}

const (
	maxTurns = 12    // of the inverse: it gains two digits and more in each
	enough   = 1e-11 // degrees, a micrometre
)

// to turns a position in crs into WGS84, by asking the formula until it answers the
// position: what is left is far below 0.1 m. At the rim of the formula's area, where both
// a place in it and one beyond may be meant, it is the one in it.
func (c CRS) to(lon, lat float64) (float64, float64) {
	x, y := lon, lat
	for range maxTurns {
		gotX, gotY := c.formula(x, y)
		dx, dy := lon-gotX, lat-gotY
		x, y = x+dx, y+dy
		if math.Abs(dx)+math.Abs(dy) < enough {
			break
		}
	}
	if !offset(x, y) {
		return lon, lat
	}
	return x, y
}

// Convert takes a position from one system to another.
func Convert(from, to CRS, lon, lat float64) (float64, float64) {
	if from == to {
		return lon, lat
	}
	return to.from(from.to(lon, lat))
}

// onGlobe reports whether a position can be one.
func onGlobe(lon, lat float64) bool {
	return lon >= -180 && lon <= 180 && lat >= -90 && lat <= 90 // no NaN passes
}

// ToWGS84 reads a position that somebody gave in the system he names, in any spelling.
// given is it as it came, with the system's one name; zero where that is WGS84 itself.
func ToWGS84(lon, lat float64, crs string) (x, y float64, given grid.Position, err error) {
	system, err := ParseCRS(crs)
	if err != nil {
		return 0, 0, given, err
	}
	if !onGlobe(lon, lat) {
		return 0, 0, given, problem("position_off_globe", "坐标 %g, %g 不是经纬度：请用度，先经度后纬度",
			"position is %g, %g: want longitude and latitude in degrees", lon, lat)
	}
	if system == WGS84 {
		return lon, lat, given, nil
	}
	x, y = system.to(lon, lat)
	return round(x), round(y), grid.Position{Lon: lon, Lat: lat, CRS: string(system)}, nil
}

// round keeps a millimetre.
func round(v float64) float64 { return math.Round(v*1e8) / 1e8 }
