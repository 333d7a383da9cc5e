package profile

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// A pack is a payload whose values carry names, and may carry times and units: SenML and
// the formats of LwM2M. The parsers of those formats tell the pack what they find; the
// pack knows which field each value is for, and to which record it belongs.

// maxEntries bounds the values of one payload.
const maxEntries = 1024

type saidKind uint8

const (
	saidNothing saidKind = iota // a sum, or a record of base fields only
	saidNumber
	saidBool // num is 0 or 1
	saidText
	saidData
	saidBytes // bytes that do not say their type: the field does
	saidOther // what no field can read
)

// said is one value as the payload says it.
type said struct {
	kind saidKind
	num  float64
	text string // of texts, data and bytes
}

func saidFlag(b bool) said {
	if b {
		return said{kind: saidBool, num: 1}
	}
	return said{kind: saidBool}
}

// wireType is how bytes are read that do not say their type.
type wireType uint8

const (
	wireAny wireType = iota // senml: values say their type
	wireInt
	wireUint
	wireFloat
	wireBool
	wireText
	wireTime
	wireOpaque
)

// packField is a field that is found by its name.
type packField struct {
	field
	wire   wireType
	uom    string
	anyOf  []float64 // true when one of the values it is told is one of these
	invert int       // slot of a field that turns it round, or -1
}

// heard is one value that a field is told.
type heard struct {
	field    *packField
	rec      int   // which record, -1: the frame's own
	instance int   // of the record
	at       int64 // µs since 1970; 0: as old as the frame
	unit     string
	value    said
}

// pack is the working memory of one payload; it is pooled.
type pack struct {
	heard   []heard
	entries int    // values in the payload
	known   int    // of them, those that a field or the ignore list knows
	first   string // the first that is not known
	now     time.Time
	name    []byte
	opaque  []heard // values that are for another codec
}

func (p *pack) start(f *grid.Frame) {
	p.heard, p.entries, p.known, p.first = p.heard[:0], 0, 0, ""
	if p.now = f.Received; p.now.IsZero() {
		p.now = f.At
	}
}

// count takes note of one more value in the payload.
func (p *pack) count() error {
	if p.entries++; p.entries > maxEntries {
		return fmt.Errorf("more than %d values in one payload: want fewer", maxEntries)
	}
	return nil
}

// unknown remembers the first value that nobody reads.
func (p *pack) unknown(name string) {
	if p.first == "" {
		p.first = strconv.Quote(truncate(name, 60))
	}
}

// belowThis says that a time is relative to now (RFC 8428, 4.5.3).
const belowThis = 1 << 28

// timeOf resolves a time of SenML, in seconds: µs since 1970, 0 where it is now.
func (p *pack) timeOf(r *run, sec float64) (int64, error) {
	if math.IsNaN(sec) || math.IsInf(sec, 0) {
		return 0, fmt.Errorf("time is no number")
	}
	if sec == 0 {
		return 0, nil
	}
	if sec < belowThis {
		if p.now.IsZero() {
			return 0, fmt.Errorf("time %v is relative to receipt, and nobody says when that was", sec)
		}
		sec += float64(p.now.UnixMicro()) / 1e6
	}
	if sec <= 0 || sec > lastTime {
		r.warn("time %v is in no calendar: taken as now", sec)
		return 0, nil
	}
	return int64(math.Round(sec * 1e6)), nil
}

// spread gives every value to the scope it belongs to. What has no time of its own is the
// frame's; where everything has one, the newest is. Each other time, and each instance of
// a record, makes readings of its own, the oldest first.
func (p *pack) spread(r *run, shape *packShape) error {
	if p.entries == 0 {
		return fmt.Errorf("the payload has no values")
	}
	if p.known == 0 {
		return fmt.Errorf("none of its %d values is known: the first is %s", p.entries, p.first)
	}
	slices.SortStableFunc(p.heard, heard.compare)
	own := int64(-1)
	for i := range p.heard {
		if h := &p.heard[i]; h.rec < 0 {
			own = h.at // the last is now, or the newest
		}
	}
	if own > 0 {
		r.at = time.UnixMicro(own).UTC()
	}
	first, groups := len(r.readings), 0
	for from, to := 0, 0; from < len(p.heard); from = to {
		h := &p.heard[from]
		for to = from + 1; to < len(p.heard) && h.compare(p.heard[to]) == 0; to++ {
		}
		if h.rec < 0 && h.at == own {
			if err := shape.fill(r, &r.top, p.heard[from:to]); err != nil {
				return err
			}
			continue
		}
		if groups++; groups > maxRecords {
			return fmt.Errorf("more than %d records in one payload: want fewer", maxRecords)
		}
		r.rec.clear()
		if err := shape.fill(r, &r.rec, p.heard[from:to]); err != nil {
			return err
		}
		rec := record{own: true}
		if h.rec >= 0 {
			rec = shape.records[h.rec]
		}
		if h.at > 0 {
			rec.at = time.UnixMicro(h.at).UTC()
		}
		r.emit(&r.rec, &rec, h.instance)
	}
	r.supersede(first)
	return nil
}

// compare orders by time, now last, and keeps together what makes one record.
func (h heard) compare(other heard) int {
	// As unsigned numbers 0, which is now, goes to the end.
	return cmp.Or(cmp.Compare(uint64(h.at)-1, uint64(other.at)-1), cmp.Compare(h.rec, other.rec), cmp.Compare(h.instance, other.instance))
}

// supersede marks what a later part of the same frame says anew: it is of the past. A
// smoke alarm among it still is one, for the engine knows late smoke.
func (r *run) supersede(first int) {
	type key struct {
		signal  grid.Signal
		channel string
	}
	if len(r.readings) == first {
		return
	}
	later := map[key]bool{}
	for i := range r.p.rules {
		rl := &r.p.rules[i]
		if _, _, said := rl.read(r, &r.top); said {
			later[key{rl.signal, rl.channel}] = true
		}
	}
	for i := len(r.readings) - 1; i >= first; i-- {
		reading := &r.readings[i]
		k := key{reading.Signal, reading.Channel}
		reading.History = reading.History || later[k] && !reading.At.IsZero()
		later[k] = true
	}
}

// packShape is what a profile wants of a pack.
type packShape struct {
	fields  []*packField
	records []record     // parts with readings of their own, one for each instance
	inverts []*packField // those that another field may turn round
}

// fill reads what the fields of one scope were told.
func (shape *packShape) fill(r *run, s *scope, all []heard) error {
	for i := range all {
		if err := all[i].field.read(r, s, &all[i]); err != nil {
			return err
		}
	}
	for _, f := range shape.inverts {
		if s.has[f.slot] && s.has[f.invert] && s.val[f.invert] != 0 {
			s.val[f.slot] = 1 - s.val[f.slot]
		}
	}
	return nil
}

func (f *packField) read(r *run, s *scope, h *heard) error {
	v, why := f.value(h)
	if why == "" {
		why = f.isFlag(v)
	}
	if why != "" {
		return f.unreadable(r, why)
	}
	switch {
	case v.kind == saidNothing:
		return nil
	case v.kind == saidText:
		n, ok := f.enum.texts[v.text]
		if !ok {
			return f.unreadable(r, fmt.Sprintf("%q is none of %s", truncate(v.text, 40), f.enum))
		}
		return f.hear(r, s, func() error { return f.store(r, s, n) })
	case f.anyOf != nil:
		yes := slices.Contains(f.anyOf, v.num) || s.has[f.slot] && s.val[f.slot] != 0
		return f.store(r, s, saidFlag(yes).num)
	}
	return f.hear(r, s, func() error { return f.put(r, s, v.num, true) })
}

// hear sets a field once. A field that is told two different things is not told either:
// the first stays, with a warning, or it is an error where a fire hangs on it.
func (f *packField) hear(r *run, s *scope, set func() error) error {
	if !s.has[f.slot] {
		return set()
	}
	before := s.val[f.slot]
	if err := set(); err != nil {
		return err
	}
	if s.val[f.slot] == before {
		return nil
	}
	s.val[f.slot] = before
	return f.unreadable(r, "is said twice, and not the same")
}

// value makes of what was said a number, or a text of the field's enum; why is the reason
// where it cannot.
func (f *packField) value(h *heard) (v said, why string) {
	if v = h.value; v.kind == saidBytes {
		if v, why = f.wire.read(v.text); why != "" {
			return v, why
		}
	}
	if v.kind == saidNumber && h.unit != "" && f.uom != "" {
		var ok bool
		if v.num, ok = convert(v.num, h.unit, f.uom); !ok {
			return v, fmt.Sprintf("is in %q: want %s", truncate(h.unit, 20), f.uom)
		}
	}
	texts := f.enum != nil && len(f.enum.texts) > 0
	switch {
	case v.kind == saidOther:
		return v, "has no value that a field can be"
	case v.kind == saidText && f.wire == wireOpaque:
		b, err := base64.StdEncoding.DecodeString(v.text)
		if err != nil {
			return v, "is no base64"
		}
		v = said{kind: saidText, text: hex.EncodeToString(b)}
	case v.kind == saidData:
		v = said{kind: saidText, text: hex.EncodeToString([]byte(v.text))}
	}
	switch {
	case v.kind == saidText && !texts:
		return f.number(v.text)
	case v.kind == saidNumber && texts:
		return v, fmt.Sprintf("%v is none of %s", v.num, f.enum)
	case v.kind == saidBool && texts:
		return v, "is true or false: want a text"
	}
	return v, ""
}

// isFlag refuses numbers that are neither true nor false.
func (f *packField) isFlag(v said) string {
	if f.wire == wireBool && v.kind == saidNumber && v.num != 0 && v.num != 1 {
		return fmt.Sprintf("%v is neither true nor false", v.num)
	}
	return ""
}

// number reads a number that is written as a text.
func (f *packField) number(text string) (v said, why string) {
	if f.wire == wireBool || f.wire == wireAny {
		switch text {
		case "true":
			return saidFlag(true), ""
		case "false":
			return saidFlag(false), ""
		}
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || f.wire == wireOpaque || f.wire == wireText {
		return v, fmt.Sprintf("%q is no number, and the field has no enum", truncate(text, 40))
	}
	return said{kind: saidNumber, num: x}, ""
}

// read makes a value of bytes that do not say what they are (TLV of LwM2M).
func (w wireType) read(b string) (v said, why string) {
	n := len(b)
	switch w {
	case wireText:
		if !utf8.ValidString(b) {
			return v, "is not UTF-8"
		}
		return said{kind: saidText, text: b}, ""
	case wireOpaque:
		return said{kind: saidData, text: b}, ""
	case wireBool:
		if n != 1 || b[0] > 1 {
			return v, fmt.Sprintf("%x is neither 00 nor 01", truncate(b, 8))
		}
		return saidFlag(b == "\x01"), ""
	}
	if n != 4 && n != 8 && (w == wireFloat || n != 1 && n != 2) {
		return v, fmt.Sprintf("has %d bytes: want %s", n, w)
	}
	var u uint64
	for i := range n {
		u = u<<8 | uint64(b[i])
	}
	switch {
	case w == wireUint:
		return said{kind: saidNumber, num: float64(u)}, ""
	case w == wireFloat && n == 4:
		return said{kind: saidNumber, num: float64(math.Float32frombits(uint32(u)))}, ""
	case w == wireFloat:
		return said{kind: saidNumber, num: math.Float64frombits(u)}, ""
	}
	shift := 64 - 8*n
	return said{kind: saidNumber, num: float64(int64(u<<shift) >> shift)}, ""
}

func (w wireType) String() string {
	if w == wireFloat {
		return "4 or 8"
	}
	return "1, 2, 4 or 8"
}

// packField compiles a field of a pack.
func (c *compiler) packField(s *fieldSpec, wire wireType) (*packField, error) {
	if s.At != nil || s.Bits != "" || s.Mask != 0 || s.Order != "" || s.Group != "" {
		return nil, fmt.Errorf("field %q: at, bits, mask, order and group are for other codecs: want path", s.Name)
	}
	plain := *s
	plain.Type, plain.Path, plain.UOM, plain.AnyOf, plain.Invert = "", nil, "", nil, ""
	if c.vital[s.Name] && s.Invert != "" {
		c.vital[s.Invert] = true // the wrong way round is as bad as unreadable
	}
	compiled, err := c.field(&plain)
	if err != nil {
		return nil, err
	}
	f := &packField{field: compiled, wire: wire, uom: s.UOM, invert: -1}
	for _, item := range s.AnyOf {
		v, err := toNumber(item)
		if err != nil {
			return nil, fmt.Errorf("field %q: any_of: %w", s.Name, err)
		}
		f.anyOf = append(f.anyOf, v)
	}
	if f.anyOf != nil && (f.enum != nil || f.absent != nil || s.Scale != 0 || s.Offset != 0) {
		return nil, fmt.Errorf("field %q: any_of stands alone: want no enum, absent, scale or offset", s.Name)
	}
	return f, nil
}

// inverts finds the fields that other fields turn round, once all are known. specs are
// those of the last len(specs) fields of the shape.
func (c *compiler) inverts(shape *packShape, specs []fieldSpec) error {
	for i := range specs {
		s := &specs[i]
		if s.Invert == "" {
			continue
		}
		by, err := c.lookup(s.Invert)
		if err != nil {
			return fmt.Errorf("field %q: invert: %w", s.Name, err)
		}
		f := shape.fields[len(shape.fields)-len(specs)+i]
		f.invert = by.slot
		shape.inverts = append(shape.inverts, f)
	}
	return nil
}
