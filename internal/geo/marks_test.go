package geo

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"gridgate/internal/grid"
)

func someMarks(n int) []Mark {
	rng := rand.New(rand.NewPCG(6, 1))
	kinds := []grid.Kind{grid.Door, grid.Parking, grid.Manhole, grid.Smoke}
	out := make([]Mark, n)
	for i := range out {
		out[i] = Mark{ID: fmt.Sprint("p", i), Kind: kinds[rng.IntN(4)], Lon: 121.33 + 0.11*rng.Float64(), Lat: 31.18 + 0.08*rng.Float64()}
	}
	return out
}

// shown counts what the tiles of a zoom show: points by id, and points in clusters.
func shown(t *testing.T, m *Marks, z uint32) (ids map[string]bool, clustered int) {
	t.Helper()
	ids = map[string]bool{}
	x0, y0 := tileOf(121.32, 31.27, z)
	x1, y1 := tileOf(121.45, 31.17, z)
	for x := x0; x <= x1; x++ {
		for y := y0; y <= y1; y++ {
			b, err := m.Tile(z, x, y)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range readTile(t, b) {
				if f.x < 0 || f.y < 0 || f.x >= tileExtent || f.y >= tileExtent {
					t.Errorf("zoom %d: %v lies at %d, %d, outside its tile", z, f.text, f.x, f.y)
				}
				if id := f.text["id"]; id != "" {
					if ids[id] || f.text["kind"] == "" {
						t.Errorf("zoom %d: %v is shown twice, or without a kind", z, f.text)
					}
					ids[id] = true
					continue
				}
				c := f.count
				if n := c["n"]; n < 2 || n != c["door"]+c["parking"]+c["manhole"]+c["smoke"] {
					t.Errorf("zoom %d: a cluster is %v", z, c)
				}
				clustered += int(c["n"])
			}
		}
	}
	return ids, clustered
}

func tileOf(lon, lat float64, z uint32) (x, y uint32) {
	fx, fy := mercator(lon, lat)
	return uint32(fx * float64(uint64(1)<<z)), uint32(fy * float64(uint64(1)<<z))
}

type tileFeature struct {
	x, y  int64
	text  map[string]string
	count map[string]uint64
}

// fields calls f with each field of a message: b of length-delimited ones, v of varints.
func fields(t *testing.T, msg []byte, f func(n protowire.Number, b []byte, v uint64)) {
	t.Helper()
	for len(msg) > 0 {
		n, typ, size := protowire.ConsumeTag(msg)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		msg = msg[size:]
		var b []byte
		var v uint64
		if typ == protowire.BytesType {
			b, size = protowire.ConsumeBytes(msg)
		} else {
			v, size = protowire.ConsumeVarint(msg)
		}
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		f(n, b, v)
		msg = msg[size:]
	}
}

func varints(b []byte) (out []uint64) {
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		out, b = append(out, v), b[n:]
	}
	return out
}

// readTile reads a tile as the specification says.
func readTile(t *testing.T, tile []byte) (out []tileFeature) {
	t.Helper()
	fields(t, tile, func(n protowire.Number, layer []byte, _ uint64) {
		var keys []string
		var values []tileFeature // text or count under ""
		var features [][]byte
		version, extent := uint64(0), uint64(0)
		fields(t, layer, func(n protowire.Number, b []byte, v uint64) {
			switch n {
			case 2:
				features = append(features, b)
			case 3:
				keys = append(keys, string(b))
			case 4:
				fields(t, b, func(n protowire.Number, b []byte, v uint64) {
					values = append(values, tileFeature{text: map[string]string{"": string(b)}, count: map[string]uint64{"": v}})
				})
			case 5:
				extent = v
			case 15:
				version = v
			}
		})
		if n != 3 || version != 2 || extent != tileExtent {
			t.Fatalf("layer has field %d, version %d, extent %d", n, version, extent)
		}
		for _, b := range features {
			f := tileFeature{text: map[string]string{}, count: map[string]uint64{}}
			fields(t, b, func(n protowire.Number, b []byte, _ uint64) {
				switch n {
				case 2:
					tags := varints(b)
					for i := 0; i < len(tags); i += 2 {
						v := values[tags[i+1]]
						f.text[keys[tags[i]]], f.count[keys[tags[i]]] = v.text[""], v.count[""]
					}
				case 4:
					g := varints(b)
					if len(g) != 3 || g[0] != 9 {
						t.Fatalf("geometry is %v", g)
					}
					f.x, f.y = protowire.DecodeZigZag(g[1]), protowire.DecodeZigZag(g[2])
				}
			})
			out = append(out, f)
		}
	})
	return out
}

func TestTilesOfAnyZoomShowEveryPointOnce(t *testing.T) {
	m := NewMarks(someMarks(5000))
	for _, z := range []uint32{0, 5, 9, 11, 13, 15, 16, 17} {
		ids, clustered := shown(t, m, z)
		if len(ids)+clustered != 5000 {
			t.Errorf("zoom %d shows %d points and %d in clusters: want 5000", z, len(ids), clustered)
		}
		if z >= 17 && clustered > 0 || z < 11 && clustered == 0 {
			t.Errorf("zoom %d: %d points are in clusters", z, clustered)
		}
	}
}

func TestPointsOnOneSpotAreEachShownAtTheDeepestZoom(t *testing.T) {
	all := make([]Mark, 40)
	for i := range all {
		all[i] = Mark{ID: fmt.Sprint(i), Kind: grid.Smoke, Lon: 121.4, Lat: 31.2}
	}
	if ids, clustered := shown(t, NewMarks(all), 18); len(ids) != 40 || clustered != 0 {
		t.Errorf("%d points and %d in clusters: want 40 and none", len(ids), clustered)
	}
}

func TestPointsWithoutAPositionAreOnNoTile(t *testing.T) {
	m := NewMarks([]Mark{{ID: "nowhere", Kind: grid.Door}})
	if b, err := m.Tile(0, 0, 0); b != nil || err != nil || m.Len() != 0 {
		t.Errorf("tile is %d bytes, %v, of %d points", len(b), err, m.Len())
	}
}

func TestATileThatIsNotThereIsRefused(t *testing.T) {
	m := NewMarks(nil)
	for _, at := range [][3]uint32{{19, 0, 0}, {1, 2, 0}, {0, 0, 1}} {
		if _, err := m.Tile(at[0], at[1], at[2]); grid.CodeOf(err) != grid.NotFound {
			t.Errorf("tile %v: %v", at, err)
		}
	}
}

func BenchmarkTile(b *testing.B) {
	m := NewMarks(someMarks(200_000))
	for _, z := range []uint32{9, 12, 14, 17} {
		x, y := tileOf(121.39, 31.22, z)
		b.Run(fmt.Sprint("zoom ", z), func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Tile(z, x, y); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
