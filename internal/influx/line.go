package influx

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// The measurements. A frame gives at most one point in each, with battery, rssi and
// snr riding on it.
const (
	Door         = "door"
	Parking      = "parking"
	Manhole      = "manhole"
	Smoke        = "smoke"
	DeviceHealth = "device_health"
	GridEvent    = "grid_event"
	Ticket       = "ticket"
	KPI          = "kpi"
	Dwelling     = "dwelling" // doors that are kept coarse: openings, by the hour
)

// Line is one point on its way into line protocol. It is made to be used again and
// again: Reset keeps the memory of the fields.
//
// What is a tag decides which series the point belongs to, so only what cannot differ
// between two deliveries of the same fact is one; everything else is a field.
type Line struct {
	Measurement string
	Point       string // tags, as they were at the time of the reading; "" is left out
	Cell        string //
	Street      string //
	District    string // tag of kpi only
	Type        string // tag of grid_event and ticket only
	Priority    string // tag of grid_event and ticket only
	Time        int64  // ns since 1970, made with Stamp

	fields []field
}

type field struct {
	key    string
	kind   fieldKind
	number float64 // also 0 and 1 of a condition
	text   string
}

type fieldKind uint8

const (
	float fieldKind = iota
	boolean
	text
)

// Reset makes l an empty line of a measurement.
func (l *Line) Reset(measurement string, at int64) {
	*l = Line{Measurement: measurement, Time: at, fields: l.fields[:0]}
}

// Float adds a number; NaN and infinities make AppendLine refuse the line.
func (l *Line) Float(key string, v float64) {
	l.fields = append(l.fields, field{key: key, kind: float, number: v})
}

// Bool adds a condition.
func (l *Line) Bool(key string, v bool) {
	f := field{key: key, kind: boolean}
	if v {
		f.number = 1
	}
	l.fields = append(l.fields, f)
}

// Text adds a string.
func (l *Line) Text(key, v string) {
	l.fields = append(l.fields, field{key: key, kind: text, text: v})
}

// Signal adds a reading under the signal's own field name and type.
func (l *Line) Signal(s grid.Signal, v float64) {
	if spec := grid.Signals[s]; spec.Bool {
		l.Bool(spec.Field, v != 0)
	} else {
		l.Float(spec.Field, v)
	}
}

// Stamp makes the timestamp of a point: t to the microsecond, and below it a tiebreak
// from the journal sequence, so that two frames of one microsecond do not overwrite
// each other and the same frame always meets its own point.
func Stamp(t time.Time, seq uint64) int64 {
	return t.UnixMicro()*1000 + int64(seq%1000)
}

// AppendLine adds l to dst as one line of line protocol with its newline. On an error,
// which is always grid.Invalid, dst comes back as it was: the line can never be stored.
func AppendLine(dst []byte, l *Line) ([]byte, error) {
	out, err := appendSeries(dst, l)
	if err == nil {
		out, err = appendFields(out, l)
	}
	if err == nil && l.Time <= 0 {
		err = fmt.Errorf("time is %d ns: want one after 1970", l.Time)
	}
	if err != nil {
		return dst, grid.Errorf(grid.Invalid, "line %s of point %q: %w", l.Measurement, l.Point, err)
	}
	out = append(out, ' ')
	out = strconv.AppendInt(out, l.Time, 10)
	return append(out, '\n'), nil
}

// appendSeries writes the measurement and the tags in key order, which saves the server
// from sorting them.
func appendSeries(dst []byte, l *Line) ([]byte, error) {
	var err error
	if dst, err = appendKey(dst, "measurement", l.Measurement); err != nil {
		return nil, err
	}
	for _, t := range [...]struct{ key, value string }{
		{",cell=", l.Cell}, {",district=", l.District}, {",point=", l.Point}, {",priority=", l.Priority}, {",street=", l.Street}, {",type=", l.Type},
	} {
		if t.value == "" { // line protocol has no empty tag
			continue
		}
		dst = append(dst, t.key...)
		if dst, err = appendTag(dst, t.key[1:len(t.key)-1], t.value); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func appendFields(dst []byte, l *Line) ([]byte, error) {
	if len(l.fields) == 0 {
		return nil, fmt.Errorf("no fields: want at least one")
	}
	var err error
	sep := byte(' ')
	for i := range l.fields {
		f := &l.fields[i]
		dst = append(dst, sep)
		sep = ','
		if dst, err = appendKey(dst, "field", f.key); err != nil {
			return nil, err
		}
		dst = append(dst, '=')
		switch f.kind {
		case boolean:
			dst = strconv.AppendBool(dst, f.number != 0)
		case text:
			dst, err = appendText(dst, f.key, f.text)
		default:
			dst, err = appendFloat(dst, f.key, f.number)
		}
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendKey writes the name of a measurement or field. Ours are plain words; anything
// else is a mistake in a profile or in code, and is refused rather than escaped.
func appendKey(dst []byte, what, key string) ([]byte, error) {
	if !isWord(key) {
		return nil, fmt.Errorf("%s %q: want letters, digits and _, beginning with a letter", what, key)
	}
	return append(dst, key...), nil
}

// isWord reports whether s is a letter followed by letters, digits and underscores.
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c == '_' || c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return s != ""
}

// appendTag writes the value of a tag. Line protocol cannot escape a backslash in a tag:
// one at the end, or before a character that must be escaped, would swallow what follows.
func appendTag(dst []byte, key, value string) ([]byte, error) {
	if isPlain(value) { // as ids and codes are
		return append(dst, value...), nil
	}
	for i := range len(value) {
		c := value[i]
		switch {
		case c == ',' || c == ' ' || c == '=':
			if i > 0 && value[i-1] == '\\' {
				return nil, fmt.Errorf("tag %s %q: a backslash before a comma, space or equals sign cannot be stored", key, value)
			}
			dst = append(dst, '\\', c)
			continue
		case c < ' ' || c == 0x7f:
			return nil, fmt.Errorf("tag %s %q: control characters cannot be stored", key, value)
		}
		dst = append(dst, c)
	}
	if value[len(value)-1] == '\\' {
		return nil, fmt.Errorf("tag %s %q: a backslash at the end cannot be stored", key, value)
	}
	if !utf8.ValidString(value) {
		return nil, fmt.Errorf("tag %s %q: want UTF-8", key, value)
	}
	return dst, nil
}

// isPlain reports whether every byte of s stands for itself in a tag.
func isPlain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= '-' && c <= ':': // and digits
		default:
			return false
		}
	}
	return true
}

// appendText writes a string field. A line break becomes a space, so that a newline in
// a block always ends a line, whoever splits it.
func appendText(dst []byte, key, value string) ([]byte, error) {
	if !utf8.ValidString(value) {
		return nil, fmt.Errorf("field %s %q: want UTF-8", key, value)
	}
	dst = append(dst, '"')
	for i := range len(value) {
		switch c := value[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n', '\r':
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"'), nil
}

func appendFloat(dst []byte, key string, v float64) ([]byte, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("field %s is %v: want a finite number", key, v)
	}
	if n := int64(v); float64(n) == v && n > -1e15 && n < 1e15 && (n != 0 || !math.Signbit(v)) {
		return strconv.AppendInt(dst, n, 10), nil // without "i" this is a float, and quicker to write
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64), nil
}

// countLines counts the lines of a block. No encoded value contains a newline.
func countLines(b []byte) int { return bytes.Count(b, newline) }

// cutLines splits b after its first n lines.
func cutLines(b []byte, n int) (head, tail []byte) {
	end := 0
	for ; n > 0 && end < len(b); n-- {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			return b, nil
		}
		end += i + 1
	}
	return b[:end], b[end:]
}

var newline = []byte{'\n'}
