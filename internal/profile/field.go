package profile

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scope holds the decoded fields of a frame, or of one record in it, by slot.
type scope struct {
	val []float64
	has []bool
}

func newScope(slots int) scope {
	return scope{val: make([]float64, slots), has: make([]bool, slots)}
}

func (s *scope) clear() { clear(s.has) }

func (s *scope) set(slot int, v float64) { s.val[slot], s.has[slot] = v, true }

type number uint8

const (
	unsigned number = iota
	signed
	magnitude // the top bit is the sign, the rest the number
	float
	bcd
	ascii    // a number in letters: "-12.5"
	calendar // year since 2000, month, day, hour, minute, second: seconds since 1970
	bcdCalendar
)

// field is a compiled fieldSpec: how to take one value out of bytes, and what makes it
// a value. The JSON codec uses the second half only.
type field struct {
	name string
	slot int

	placed bool // at is given
	at     int  // offset in its window, negative from the end
	size   int
	kind   number
	little bool
	shift  uint
	mask   uint64
	width  uint // bits that are left after shift and mask

	mul, div, add float64
	absent        []float64
	enum          *enum
	ranged        bool
	lo, hi        float64
	vital         bool // a fire hangs on it: unreadable is an error, unless the frame says fire elsewhere
}

// enum is the closed list of what a field may say. Numbers stand for themselves; texts
// are numbered in the order of the list.
type enum struct {
	numbers []float64
	texts   map[string]float64
	words   map[string][]float64 // word → the values it stands for
}

func (e *enum) String() string {
	words := make([]string, 0, len(e.words))
	for w := range e.words {
		words = append(words, w)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func compileEnum(spec map[any]string) (*enum, error) {
	if len(spec) == 0 {
		return nil, nil
	}
	e := &enum{texts: map[string]float64{}, words: map[string][]float64{}}
	var texts []string
	for key, word := range spec {
		if text, ok := key.(string); ok {
			texts = append(texts, text)
			continue
		}
		v, err := toNumber(key)
		if err != nil {
			return nil, err
		}
		e.numbers = append(e.numbers, v)
		e.words[word] = append(e.words[word], v)
	}
	slices.Sort(texts)
	for i, text := range texts {
		v := float64(i)
		e.texts[text] = v
		e.words[spec[text]] = append(e.words[spec[text]], v)
	}
	if len(texts) > 0 && len(e.numbers) > 0 {
		return nil, fmt.Errorf("enum mixes texts and numbers: want one or the other")
	}
	return e, nil
}

// values turns what a rule compares a field with into numbers: words of its enum, or
// numbers, or true and false.
func (f *field) values(list anyList) ([]float64, error) {
	var out []float64
	for _, item := range list {
		if word, ok := item.(string); ok {
			if f.enum == nil || f.enum.words[word] == nil {
				if f.enum == nil {
					return nil, fmt.Errorf("%q is a word, and field %q has no enum", word, f.name)
				}
				return nil, fmt.Errorf("%q is no word of field %q: want one of %s", word, f.name, f.enum)
			}
			out = append(out, f.enum.words[word]...)
			continue
		}
		v, err := toNumber(item)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func toNumber(v any) (float64, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case uint64:
		return float64(v), nil
	case float64:
		return v, nil
	}
	return 0, fmt.Errorf("%v is no number, true or false", v)
}

// compileField checks a fieldSpec and resolves everything that does not depend on bytes.
func compileField(s *fieldSpec, slot int, order string) (field, error) {
	f := field{name: s.Name, slot: slot, mul: 1}
	wrong := func(format string, args ...any) (field, error) {
		return f, fmt.Errorf("field %q: %s", s.Name, fmt.Sprintf(format, args...))
	}
	if s.At != nil {
		f.placed, f.at = true, *s.At
	}
	if s.Order != "" {
		order = s.Order
	}
	switch order {
	case "", "big":
	case "little":
		f.little = true
	default:
		return wrong("order is %q: want big or little", order)
	}
	if err := f.setType(s.Type); err != nil {
		return wrong("%v", err)
	}
	if err := f.setBits(s.Bits, s.Mask); err != nil {
		return wrong("%v", err)
	}
	f.mul, f.div, f.add = scaling(s.Scale, s.Offset)
	for _, a := range s.Absent {
		v, err := toNumber(a)
		if err != nil {
			return wrong("absent: %v", err)
		}
		f.absent = append(f.absent, v)
	}
	var err error
	if f.enum, err = compileEnum(s.Enum); err != nil {
		return wrong("%v", err)
	}
	if f.lo, f.hi, f.ranged, err = compileRange(s.Range); err != nil {
		return wrong("%v", err)
	}
	return f, nil
}

func compileRange(r []float64) (lo, hi float64, ranged bool, err error) {
	switch {
	case len(r) == 0:
		return 0, 0, false, nil
	case len(r) != 2 || r[0] > r[1]:
		return 0, 0, false, fmt.Errorf("range is %v: want [lowest, highest]", r)
	}
	return r[0], r[1], true, nil
}

// scaling turns 0.1 into a division by 10, which rounds as a person would: 33 × 0.1 is
// 3.3000000000000003, 33 / 10 is 3.3.
func scaling(scale, offset float64) (mul, div, add float64) {
	if scale == 0 {
		scale = 1
	}
	if inverse := math.Round(1 / scale); inverse > 1 && math.Abs(inverse*scale-1) < 1e-12 {
		return 1, inverse, offset
	}
	return scale, 1, offset
}

// typeWish is what a field's type may be.
const typeWish = "u8 … u64, i8 … i64, sm8 … sm64, f32, f64, bcd8 … bcd64, ascii8 … ascii128, ymdhms or bcd_ymdhms"

// numberTypes are the types that have a width behind them, in bits.
var numberTypes = map[string]struct {
	kind          number
	lowest, above int
}{
	"u": {unsigned, 8, 64}, "i": {signed, 8, 64}, "sm": {magnitude, 8, 64}, "f": {float, 32, 64}, "bcd": {bcd, 8, 64}, "ascii": {ascii, 8, 128},
}

func (f *field) setType(t string) error {
	f.mask = ^uint64(0)
	switch t {
	case "":
		t = "u8"
	case "ymdhms":
		f.kind, f.size = calendar, 6
		return nil
	case "bcd_ymdhms":
		f.kind, f.size = bcdCalendar, 6
		return nil
	}
	letters := strings.TrimRight(t, "0123456789")
	width, err := strconv.Atoi(t[len(letters):])
	known, ok := numberTypes[letters]
	if err != nil || !ok || width%8 != 0 || width < known.lowest || width > known.above || known.kind == float && width != 32 && width != 64 {
		return fmt.Errorf("type is %q: want %s", t, typeWish)
	}
	f.kind, f.size, f.width = known.kind, width/8, uint(width)
	return nil
}

func (f *field) setBits(span string, mask uint64) error {
	if span == "" && mask == 0 {
		return nil
	}
	if f.kind >= float && f.kind != bcd {
		return fmt.Errorf("bits of a float, a text or a date mean nothing")
	}
	if span != "" && mask != 0 {
		return fmt.Errorf("bits and mask: want one of them")
	}
	if mask != 0 {
		if bits.Len64(mask) > f.size*8 {
			return fmt.Errorf("mask 0x%x is wider than its %d bytes", mask, f.size)
		}
		f.shift = uint(bits.TrailingZeros64(mask))
		f.mask = mask >> f.shift
		f.width = uint(bits.Len64(f.mask))
		return nil
	}
	low, high, isSpan := strings.Cut(span, "-")
	lo, err := strconv.Atoi(low)
	hi := lo
	if isSpan && err == nil {
		hi, err = strconv.Atoi(high)
	}
	if err != nil || lo < 0 || hi < lo || hi >= f.size*8 {
		return fmt.Errorf("bits is %q: want one bit or lowest-highest within 0-%d", span, f.size*8-1)
	}
	f.shift, f.width = uint(lo), uint(hi-lo+1)
	f.mask = ^uint64(0) >> (64 - f.width)
	return nil
}

// raw reads the bytes of the field; len(b) is f.size.
func (f *field) raw(b []byte) (float64, bool) {
	switch f.kind {
	case ascii:
		return fromASCII(b)
	case calendar, bcdCalendar:
		return fromCalendar(b, f.kind == bcdCalendar)
	}
	u := f.bitsOf(b)
	switch f.kind {
	case signed:
		if f.width < 64 && u>>(f.width-1) != 0 {
			u |= ^uint64(0) << f.width
		}
		return float64(int64(u)), true
	case magnitude:
		sign := uint64(1) << (f.width - 1)
		if u&sign != 0 {
			return -float64(u &^ sign), true
		}
		return float64(u), true
	case float:
		if f.size == 4 {
			return float64(math.Float32frombits(uint32(u))), true
		}
		return math.Float64frombits(u), true
	case bcd:
		return fromBCD(u)
	}
	return float64(u), true
}

// bitsOf gathers the bytes in their order and cuts out the bits of the field.
func (f *field) bitsOf(b []byte) uint64 {
	var u uint64
	if f.little {
		for i := len(b) - 1; i >= 0; i-- {
			u = u<<8 | uint64(b[i])
		}
	} else {
		for _, c := range b {
			u = u<<8 | uint64(c)
		}
	}
	return u >> f.shift & f.mask
}

// fromASCII reads a number that is written out, with spaces or zero bytes around it.
func fromASCII(b []byte) (float64, bool) {
	v, err := strconv.ParseFloat(strings.Trim(string(b), " \x00"), 64)
	return v, err == nil
}

// fromCalendar reads a date of six bytes. A date that is in no calendar is no value; bytes
// that are all 00 or all FF are what devices send that have no clock yet: that is 1970.
func fromCalendar(b []byte, isBCD bool) (float64, bool) {
	if n := bytes.Count(b, b[:1]); n == len(b) && (b[0] == 0 || b[0] == 0xff) {
		return 0, true
	}
	var part [6]int
	for i, c := range b {
		part[i] = int(c)
		if isBCD {
			v, ok := fromBCD(uint64(c))
			if !ok {
				return 0, false
			}
			part[i] = int(v)
		}
	}
	at := time.Date(2000+part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	same := at.Year() == 2000+part[0] && at.Month() == time.Month(part[1]) && at.Day() == part[2] && at.Hour() == part[3] && at.Minute() == part[4]
	return float64(at.Unix()), same
}

func fromBCD(u uint64) (float64, bool) {
	var v, place float64 = 0, 1
	for ; u != 0; u >>= 4 {
		digit := u & 15
		if digit > 9 {
			return 0, false
		}
		v += float64(digit) * place
		place *= 10
	}
	return v, true
}

// put makes a value of what was read and sets it in the scope. What the field calls
// absent stays absent; what it cannot mean is a warning, or an error where a fire may
// hide behind it.
func (f *field) put(r *run, s *scope, raw float64, readable bool) error {
	if !readable {
		return f.unreadable(r, "is no number")
	}
	if f.absent != nil && slices.Contains(f.absent, raw) {
		return nil
	}
	if f.enum != nil && !slices.Contains(f.enum.numbers, raw) {
		return f.unreadable(r, fmt.Sprintf("%v is none of %s", raw, f.enum))
	}
	if f.enum != nil && f.width > 0 && f.width <= 16 {
		r.evidence += max(int(f.width)-bits.Len(uint(len(f.enum.numbers)-1)), 0)
	}
	return f.store(r, s, raw*f.mul/f.div+f.add)
}

func (f *field) store(r *run, s *scope, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return f.unreadable(r, "is no number")
	}
	if f.vital && s.has[f.slot] && s.val[f.slot] != v {
		r.hide(fmt.Errorf("field %q: is said twice, as %v and as %v", f.name, s.val[f.slot], v))
	}
	s.set(f.slot, v)
	return nil
}

func (f *field) unreadable(r *run, why string) error {
	if f.vital {
		r.hide(fmt.Errorf("field %q: %s", f.name, why))
		return nil
	}
	r.warn("field %q: %s", f.name, why)
	return nil
}

// suspect reports whether a value of the field lies outside its range.
func (f *field) suspect(v float64) bool { return f.ranged && (v < f.lo || v > f.hi) }
