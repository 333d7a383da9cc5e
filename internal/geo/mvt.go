package geo

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Mapbox vector tiles, version 2.1 (github.com/mapbox/vector-tile-spec), of points alone: a
// page of wire format on the kept protobuf library. The Go packages for whole tiles bring a
// database driver and an unkept protobuf along.

// tileExtent is how many steps a side of a tile has.
const tileExtent = 4096

// pointLayer is a layer of points under way. Keys and values stand in it once each.
type pointLayer struct {
	z, x, y  uint32
	features []byte
	keys     []string
	keyNo    map[string]uint64
	values   [][]byte
	valueNo  map[string]uint64
}

func newPointLayer(z, x, y uint32) *pointLayer {
	return &pointLayer{z: z, x: x, y: y, keyNo: map[string]uint64{}, valueNo: map[string]uint64{}}
}

// property is a text, or a count when it has none.
type property struct {
	key   string
	text  string
	count uint64
}

// add puts a point into the layer.
func (l *pointLayer) add(lon, lat float64, properties ...property) {
	var tags, geometry, feature []byte
	for _, p := range properties {
		tags = protowire.AppendVarint(tags, l.key(p.key))
		tags = protowire.AppendVarint(tags, l.value(p))
	}
	x, y := mercator(lon, lat)
	scale := math.Exp2(float64(l.z))
	step := func(v float64, tile uint32) int64 { return int64(math.Floor((v*scale - float64(tile)) * tileExtent)) }
	geometry = protowire.AppendVarint(geometry, 1<<3|1) // one MoveTo
	geometry = protowire.AppendVarint(geometry, protowire.EncodeZigZag(step(x, l.x)))
	geometry = protowire.AppendVarint(geometry, protowire.EncodeZigZag(step(y, l.y)))

	feature = appendBytes(feature, 2, tags)
	feature = protowire.AppendTag(feature, 3, protowire.VarintType)
	feature = protowire.AppendVarint(feature, 1) // a point
	feature = appendBytes(feature, 4, geometry)
	l.features = appendBytes(l.features, 2, feature)
}

func appendBytes(to []byte, field protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), b)
}

func (l *pointLayer) key(k string) uint64 {
	n, ok := l.keyNo[k]
	if !ok {
		n = uint64(len(l.keys))
		l.keyNo[k], l.keys = n, append(l.keys, k)
	}
	return n
}

func (l *pointLayer) value(p property) uint64 {
	var b []byte
	if p.text != "" {
		b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), p.text)
	} else {
		b = protowire.AppendVarint(protowire.AppendTag(b, 5, protowire.VarintType), p.count)
	}
	n, ok := l.valueNo[string(b)]
	if !ok {
		n = uint64(len(l.values))
		l.valueNo[string(b)], l.values = n, append(l.values, b)
	}
	return n
}

// tile is the layer as a tile of its own.
func (l *pointLayer) tile(name string) []byte {
	layer := protowire.AppendVarint(protowire.AppendTag(nil, 15, protowire.VarintType), 2) // version
	layer = protowire.AppendString(protowire.AppendTag(layer, 1, protowire.BytesType), name)
	layer = append(layer, l.features...)
	for _, k := range l.keys {
		layer = protowire.AppendString(protowire.AppendTag(layer, 3, protowire.BytesType), k)
	}
	for _, v := range l.values {
		layer = appendBytes(layer, 4, v)
	}
	layer = protowire.AppendVarint(protowire.AppendTag(layer, 5, protowire.VarintType), tileExtent)
	return appendBytes(nil, 3, layer)
}
