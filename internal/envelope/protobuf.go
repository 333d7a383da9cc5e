package envelope

import (
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Protobuf is read by its wire format, field by field: we need few fields of large
// messages, and a field of a newer version is no reason to lose a frame.

// wireField is one field of a protobuf message. A number's bits are in n whatever its
// wire type; bytes are in b.
type wireField struct {
	num protowire.Number
	typ protowire.Type
	n   uint64
	b   []byte
}

func (f *wireField) isBytes() bool     { return f.typ == protowire.BytesType }
func (f *wireField) isVarint() bool    { return f.typ == protowire.VarintType }
func (f *wireField) float32() float32  { return math.Float32frombits(uint32(f.n)) }
func (f *wireField) float64() float64  { return math.Float64frombits(f.n) }
func (f *wireField) signed32() float32 { return float32(int32(f.n)) }

var errNoProtobuf = errors.New("is no protobuf message")

// eachField calls take for every field of a message, in order. Groups, which none of our
// messages has, are skipped.
func eachField(message []byte, take func(wireField) error) error {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errNoProtobuf
		}
		message = message[n:]
		f := wireField{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			f.n = uint64(v)
		case protowire.Fixed64Type:
			f.n, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(num, typ, message)
		}
		if n < 0 {
			return errNoProtobuf
		}
		message = message[n:]
		if typ == protowire.StartGroupType {
			continue
		}
		if err := take(f); err != nil {
			return err
		}
	}
	return nil
}

// wireTime reads a google.protobuf.Timestamp, zero where it holds no sensible time.
func wireTime(message []byte) time.Time {
	var seconds, nanos int64
	err := eachField(message, func(f wireField) error {
		switch {
		case f.num == 1 && f.isVarint():
			seconds = int64(f.n)
		case f.num == 2 && f.isVarint():
			nanos = int64(f.n)
		}
		return nil
	})
	if err != nil || seconds <= 0 || seconds > maxUnix || nanos < 0 || nanos >= 1e9 {
		return time.Time{}
	}
	return time.Unix(seconds, nanos).UTC()
}
