package registry

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// Points five metres from a border, on either side of it, through a registry file in each
// coordinate system: each must come out in the cell and street that it is in. What that is
// is found here by plain winding around every ring, without the index.

func TestPointsFiveMetresFromASchematicBorderComeIntoTheirCellInEverySystem(t *testing.T) {
	streets := regionsOf(t, "../../configs/district.geojson", nil)
	var whole grid.Shape
	for _, r := range streets {
		if r.Kind == grid.DistrictRegion {
			whole = r.Shape
		}
	}
	cells, err := geo.Squares(whole, 500, streets)
	if err != nil {
		t.Fatal(err)
	}
	fiveMetres(t, streets, cells)
}

func TestPointsFiveMetresFromARealBorderComeIntoTheirCellInEverySystem(t *testing.T) {
	const real = "../../../shared/geo"
	if _, err := os.Stat(real); err != nil {
		t.Skipf("the real borders are not there: %v", err)
	}
	streets := regionsOf(t, filepath.Join(real, "changning-subdistricts.geojson"), nil)
	// Its squares have names of their own: DEMO-500-310105102-001.
	cells := regionsOf(t, filepath.Join(real, "changning-grid-500m.geojson"), func(b []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte(`"id":"DEMO-500-`), []byte(`"id":"`)), []byte("-"), []byte("000"))
	})
	fiveMetres(t, streets, cells)
}

func regionsOf(t *testing.T, path string, change func([]byte) []byte) []grid.Region {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		b = change(b)
	}
	all, faults, err := geo.ReadGeoJSON(b, geo.Source{CRS: geo.WGS84})
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	return all
}

func fiveMetres(t *testing.T, streets, cells []grid.Region) {
	ofStreets, ofCells := geo.NewMap(slices.Clone(streets)), geo.NewMap(append(slices.Clone(streets), cells...))
	t.Run("streets", func(t *testing.T) {
		checkSides(t, ofStreets, streets, grid.StreetRegion, func(p *grid.Point, want string) bool { return p.Street == want && p.Cell == "" })
	})
	t.Run("cells", func(t *testing.T) {
		checkSides(t, ofCells, cells, grid.CellRegion, func(p *grid.Point, want string) bool {
			return p.Cell == want && p.Street == want[:9] && p.Community == want[:12] && p.District == want[:6]
		})
	})
	t.Run("streets by cells", func(t *testing.T) { // the street around a position is known beside the cell's own
		for _, at := range sides(t, streets, grid.StreetRegion) {
			l := ofCells.At(at.lon, at.lat)
			if lies := l.LiesIn; at.code != "" && lies != at.code && !(lies == "" && l.Street == at.code) {
				t.Fatalf("%v lies in %+v: want street %s", at, l, at.code)
			}
		}
	})
}

// side is a position beside a border, and the code of what it lies in; "" is outside of all.
type side struct {
	lon, lat float64
	code     string
}

const besides = 5.0 // metres

// sides takes the middles of the longer edges of all borders, and goes five metres to
// either side. Where another border is so near that a hand's breadth decides, it takes none.
func sides(t *testing.T, all []grid.Region, kind grid.RegionKind) (out []side) {
	t.Helper()
	skipped := 0
	for _, r := range all {
		if r.Kind != kind {
			continue
		}
		for _, polygon := range r.Shape {
			for _, ring := range polygon {
				for i := 1; i < len(ring); i++ {
					a, b := ring[i-1], ring[i]
					lon, lat := (a[0]+b[0])/2, (a[1]+b[1])/2
					east, north := perDegree(lat)
					dx, dy := (b[0]-a[0])*east, (b[1]-a[1])*north
					length := math.Hypot(dx, dy)
					if length < 12 {
						continue
					}
					for _, way := range []float64{besides, -besides} {
						at := side{lon: lon - dy/length*way/east, lat: lat + dx/length*way/north}
						at.code = owner(all, kind, at.lon, at.lat)
						if sure(all, kind, at, east, north) {
							out = append(out, at)
						} else {
							skipped++
						}
					}
				}
			}
		}
	}
	if skipped > len(out)/10 || len(out) < 80 {
		t.Fatalf("%d positions, %d in doubt: want more that are sure", len(out), skipped)
	}
	return out
}

// perDegree is metres by the definition of the ellipsoid, worked out apart from package geo.
func perDegree(lat float64) (east, north float64) {
	phi := lat * math.Pi / 180
	return 111412.84*math.Cos(phi) - 93.5*math.Cos(3*phi) + 0.118*math.Cos(5*phi), 111132.92 - 559.82*math.Cos(2*phi) + 1.175*math.Cos(4*phi)
}

// sure reports whether half a metre in no direction changes what a position lies in.
func sure(all []grid.Region, kind grid.RegionKind, at side, east, north float64) bool {
	for i := range 8 {
		sin, cos := math.Sincos(float64(i) * math.Pi / 4)
		if owner(all, kind, at.lon+0.6*cos/east, at.lat+0.6*sin/north) != at.code {
			return false
		}
	}
	return true
}

// owner finds the one region around whose rings a position is wound.
func owner(all []grid.Region, kind grid.RegionKind, lon, lat float64) (code string) {
	for _, r := range all {
		if r.Kind != kind {
			continue
		}
		turns := 0
		for _, polygon := range r.Shape {
			for _, ring := range polygon {
				for i := 1; i < len(ring); i++ {
					a, b := ring[i-1], ring[i]
					left := (b[0]-a[0])*(lat-a[1]) - (lon-a[0])*(b[1]-a[1])
					if a[1] <= lat && b[1] > lat && left > 0 {
						turns++
					}
					if a[1] > lat && b[1] <= lat && left < 0 {
						turns--
					}
				}
			}
		}
		if turns != 0 && (code == "" || r.Code < code) {
			code = r.Code
		}
	}
	return code
}

func checkSides(t *testing.T, m *geo.Map, all []grid.Region, kind grid.RegionKind, right func(*grid.Point, string) bool) {
	places := sides(t, all, kind)
	rnd := rand.New(rand.NewPCG(6, 2))
	rnd.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	places = places[:min(len(places), 2000)]
	for _, spelling := range []string{"WGS-84", "CGCS2000", "gcj-02", "BD09"} {
		crs, err := geo.ParseCRS(spelling)
		if err != nil {
			t.Fatal(err)
		}
		var file strings.Builder
		file.WriteString("points:\n")
		inside, outside := map[string]string{}, 0
		for i, at := range places {
			lon, lat := geo.Convert(geo.WGS84, crs, at.lon, at.lat)
			row := fmt.Sprintf("  - {id: p%d, kind: door, name: a door, lon: %.9f, lat: %.9f, crs: %s}\n", i, lon, lat, spelling)
			if at.code != "" {
				inside[fmt.Sprintf("p%d", i)] = at.code
				file.WriteString(row)
				continue
			}
			outside++
			reg, err := ParseOn([]byte("points:\n"+row), m)
			if street := owner(m.Regions(), grid.StreetRegion, at.lon, at.lat); street != "" { // and of no cell
				if err != nil || reg.Points[0].Street != street || reg.Points[0].Cell != "" || len(reg.Warnings) != 1 {
					t.Fatalf("%s: in street %s and in no cell: %+v, %v", spelling, street, reg, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), "lies in no region: the nearest is") || !strings.Contains(err.Error(), ", 5 m away") {
				t.Fatalf("%s: 5 m outside of all: %v", spelling, err)
			}
		}
		reg, err := ParseOn([]byte(file.String()), m)
		if err != nil {
			t.Fatalf("%s: %v", spelling, err)
		}
		for i := range reg.Points {
			if p := &reg.Points[i]; !right(p, inside[p.ID]) || p.CRS != "WGS84" {
				t.Errorf("%s: %s at %.6f, %.6f came into cell %q, street %q: want %s", spelling, p.ID, p.Lon, p.Lat, p.Cell, p.Street, inside[p.ID])
			}
		}
		t.Logf("%s: %d positions inside, %d outside", spelling, len(reg.Points), outside)
	}
}
