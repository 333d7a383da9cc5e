package envelope

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/valyala/fastjson"
)

// values gathers the named values of a message that has no payload of its own, and writes
// them as the JSON object that a profile of kind json reads:
//
//	{"smoke":true,"battery":87,"_at":1700000000000,"_history":[{"_at":1699990000000,"smoke":false}]}
//
// The newest value of each name stands at the top, _at is when the newest of them was
// taken, else when the message was made, Unix milliseconds; what is older, or is said to
// be the past, is in _history.
type values struct {
	at     int64 // Unix milliseconds; 0: not said
	list   []namedValue
	newest map[string]int // place in list
}

type namedValue struct {
	name string
	json []byte // the value
	at   int64  // Unix milliseconds; 0: as the message
	past bool
}

// maxValues bounds the values of one message.
const maxValues = 4096

// add takes a value. at is 0 where only the message has a time. Of two of one name the
// later one counts, and of two of one time the last.
func (v *values) add(name string, json []byte, at int64, past bool) error {
	if len(v.list) == maxValues {
		return fmt.Errorf("has more than %d values", maxValues)
	}
	if v.newest == nil {
		v.newest = map[string]int{}
	}
	if !past {
		if was, ok := v.newest[name]; ok && v.list[was].at > at {
			past = true
		} else {
			if ok {
				v.list[was].past = true
			}
			v.newest[name] = len(v.list)
		}
	}
	v.list = append(v.list, namedValue{name, json, at, past})
	return nil
}

// addObject takes the members of a JSON object; value takes one apart.
func (v *values) addObject(o *fastjson.Object, value func(*fastjson.Value) (json *fastjson.Value, at int64)) (err error) {
	if len(v.list)+o.Len() > maxValues {
		return fmt.Errorf("has more than %d values", maxValues)
	}
	o.Visit(func(key []byte, member *fastjson.Value) {
		json, at := value(member)
		if e := v.add(string(key), plainJSON(json), at, false); e != nil {
			err = e
		}
	})
	return err
}

// time is when the newest value was taken, else when the message was made.
func (v *values) time() time.Time {
	at := int64(0)
	for i := range v.list {
		if !v.list[i].past {
			at = max(at, v.list[i].at)
		}
	}
	if at == 0 {
		at = v.at
	}
	if at <= 0 || at >= maxUnix*1000 {
		return time.Time{}
	}
	return time.UnixMilli(at).UTC()
}

// payload writes the object; nil when there is nothing to write.
func (v *values) payload() []byte {
	if len(v.list) == 0 {
		return nil
	}
	out := []byte{'{'}
	past := 0
	for i := range v.list {
		if n := &v.list[i]; n.past {
			past++
		} else {
			out = append(appendText(out, n.name), ':')
			out = append(append(out, n.json...), ',')
		}
	}
	if at := v.time(); !at.IsZero() {
		out = append(strconv.AppendInt(append(out, `"_at":`...), at.UnixMilli(), 10), ',')
	}
	if past > 0 {
		out = v.history(append(out, `"_history":[`...))
		out = append(out, "],"...)
	}
	return append(out[:len(out)-1], '}')
}

// history writes the past values as records, each of one time and with no name twice.
func (v *values) history(out []byte) []byte {
	var names map[string]bool // of the open record
	var open int64
	end := func() {
		if open != 0 {
			out = append(strconv.AppendInt(append(out, `"_at":`...), open, 10), ',')
		}
		out = append(out[:len(out)-1], "},"...)
	}
	for i := range v.list {
		n := &v.list[i]
		if !n.past {
			continue
		}
		at := n.at
		if at == 0 {
			at = v.at
		}
		if names == nil || at != open || names[n.name] {
			if names != nil {
				end()
			}
			out, names, open = append(out, '{'), map[string]bool{}, at
		}
		names[n.name] = true
		out = append(appendText(out, n.name), ':')
		out = append(append(out, n.json...), ',')
	}
	end()
	return out[:len(out)-1]
}

// appendText writes a JSON string.
func appendText(out []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// appendFloat writes a number; JSON has no word for what is not finite.
func appendFloat(out []byte, x float64, bits int) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(out, "null"...)
	}
	return strconv.AppendFloat(out, x, 'g', -1, bits)
}

// plainJSON writes a value as JSON that any parser takes. Ours lets pass numbers such as
// 007 and inf, which platforms have been seen to send.
func plainJSON(v *fastjson.Value) []byte {
	out := v.MarshalTo(nil)
	if fastjson.ValidateBytes(out) == nil {
		return out
	}
	if x, err := v.Float64(); err == nil {
		return appendFloat(nil, x, 64)
	}
	return []byte("null")
}

// milli reads Unix milliseconds, 0 where there are none.
func milli(v *fastjson.Value) int64 {
	if t := unixMilli(v); !t.IsZero() {
		return t.UnixMilli()
	}
	return 0
}
