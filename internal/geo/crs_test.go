package geo

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The vector of the published formula at the district.
func TestGCJ02IsAsPublished(t *testing.T) {
	lon, lat := Convert(WGS84, GCJ02, 121.424100, 31.220600)
	if math.Abs(lon-121.428738) > 6e-7 || math.Abs(lat-31.218750) > 6e-7 {
		t.Errorf("WGS84 121.424100,31.220600 is GCJ02 %.6f,%.6f: want 121.428738,31.218750", lon, lat)
	}
}

// How far the systems are apart at the district, by other people's figures.
func TestTheSystemsAreAsFarApartAsKnown(t *testing.T) {
	for _, tc := range []struct {
		crs       CRS
		low, high float64
	}{{GCJ02, 483, 487}, {BD09, 1147, 1164}, {CGCS2000, 0, 0}} {
		for _, at := range [][2]float64{{121.35, 31.20}, {121.42, 31.21}, {121.38, 31.22}} {
			lon, lat := Convert(WGS84, tc.crs, at[0], at[1])
			if d := Metres(at[0], at[1], lon, lat); d < tc.low-1 || d > tc.high+1 {
				t.Errorf("%s is %.1f m from WGS84 at %v: want %g to %g", tc.crs, d, at, tc.low, tc.high)
			}
		}
	}
}

func TestEveryInverseIsWithinATenthOfAMetreInChina(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	worst := map[CRS]float64{}
	for range 100_000 {
		lon, lat := 73.67+rnd.Float64()*(135.04-73.67), 3.87+rnd.Float64()*(53.54-3.87)
		for _, crs := range Systems {
			x, y := Convert(WGS84, crs, lon, lat)
			x, y = Convert(crs, WGS84, x, y)
			worst[crs] = max(worst[crs], Metres(lon, lat, x, y))
		}
	}
	for _, crs := range Systems {
		if worst[crs] > 0.1 {
			t.Errorf("there and back by %s is %.3g m off: want 0.1 at most", crs, worst[crs])
		}
	}
	t.Log("worst, in metres:", worst)
}

func TestOutsideOfTheFormulasAreaAllSystemsAreOne(t *testing.T) {
	for _, at := range [][2]float64{{2.35, 48.85}, {139.69, 35.69}, {-74, 40.7}, {121, -31}, {0, 0}} {
		for _, crs := range Systems {
			x, y := Convert(WGS84, crs, at[0], at[1])
			bx, by := Convert(crs, WGS84, at[0], at[1])
			if x != at[0] || y != at[1] || bx != at[0] || by != at[1] {
				t.Errorf("%v in %s is %v,%v and back %v,%v: want it as it is", at, crs, x, y, bx, by)
			}
		}
	}
}

func TestACoordinateSystemIsReadInItsUsualSpellings(t *testing.T) {
	for s, want := range map[string]CRS{
		"WGS84": WGS84, "WGS-84": WGS84, "wgs 84": WGS84, "EPSG:4326": WGS84, "urn:ogc:def:crs:OGC:1.3:CRS84": WGS84, "cgcs2000": CGCS2000,
		"CGCS-2000": CGCS2000, "GCJ-02": GCJ02, "gcj02": GCJ02, " GCJ_02 ": GCJ02, "BD-09": BD09, "bd09ll": BD09,
	} {
		if got, err := ParseCRS(s); err != nil || got != want {
			t.Errorf("%q is read as %q, %v: want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", " ", "GPS", "BD09MC", "Xian80", "WGS", "84"} {
		if got, err := ParseCRS(s); err == nil {
			t.Errorf("%q is read as %s: want an error", s, got)
		}
	}
}
