package profile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxRecords bounds what one frame may repeat.
const maxRecords = 256

type opKind uint8

const (
	opField opKind = iota
	opSkip
	opIf
	opRepeat
	opFlags
)

// op is a compiled itemSpec.
type op struct {
	kind   opKind
	field  field
	flags  []field
	skip   int
	test   test
	sub    []op
	repeat repeat
}

type repeat struct {
	record
	count   int // 0: countOf, or to the end
	countOf int // slot, or -1
	size    int // 0: to the end of its last field
}

// record says what the readings of a record have of their own.
type record struct {
	own     bool
	history bool
	clock   *clock
	at      time.Time // where the format says it
	channel string
}

func (r *record) channelOf(n int) string {
	if !strings.Contains(r.channel, "#") {
		return r.channel
	}
	return strings.ReplaceAll(r.channel, "#", strconv.Itoa(n))
}

// test is a question about one field; a field that is not there answers no.
type test struct {
	slot         int
	is, not      []float64
	above, below *float64
}

func (t *test) ask(s *scope) bool {
	if !s.has[t.slot] {
		return false
	}
	v := s.val[t.slot]
	switch {
	case t.is != nil:
		return contains(t.is, v)
	case t.not != nil:
		return !contains(t.not, v)
	case t.above != nil || t.below != nil:
		return (t.above == nil || v > *t.above) && (t.below == nil || v < *t.below)
	}
	return v != 0
}

func contains(list []float64, v float64) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// window is the part of a payload that items count their offsets in.
type window struct {
	payload    []byte
	start, end int
	last       int // where the last field read so far ends
}

// exec runs items over a window from cursor and returns where it stands after them.
func (r *run) exec(ops []op, w *window, s *scope, cursor int) (int, error) {
	if err := r.step(len(ops)); err != nil {
		return cursor, err
	}
	for i := range ops {
		o := &ops[i]
		var err error
		switch o.kind {
		case opField:
			cursor, err = r.readField(&o.field, w, s, cursor)
		case opFlags:
			after := cursor
			for n := range o.flags {
				if after, err = r.readField(&o.flags[n], w, s, cursor); err != nil {
					break
				}
			}
			cursor = after
		case opSkip:
			cursor += o.skip
			if cursor > w.end {
				err = fmt.Errorf("bytes %d to %d are outside a payload of %d", cursor-o.skip, cursor-1, len(w.payload))
			}
			w.last = max(w.last, cursor)
		case opIf:
			if o.test.ask(s) {
				cursor, err = r.exec(o.sub, w, s, cursor)
			}
		case opRepeat:
			cursor, err = r.execRepeat(o, w, s, cursor)
		}
		if err != nil {
			return cursor, err
		}
	}
	return cursor, nil
}

func (r *run) readField(f *field, w *window, s *scope, cursor int) (int, error) {
	at := cursor
	if f.placed {
		if at = w.start + f.at; f.at < 0 {
			at = w.end + f.at
		}
	}
	if at < w.start || at+f.size > w.end {
		return cursor, fmt.Errorf("field %q: bytes %d to %d are outside a payload of %d", f.name, at, at+f.size-1, len(w.payload))
	}
	cursor = at + f.size
	w.last = max(w.last, cursor)
	raw, ok := f.raw(w.payload[at:cursor])
	return cursor, f.put(r, s, raw, ok)
}

// execRepeat reads a group again and again, each time into fields of its own, which
// become readings at once.
func (r *run) execRepeat(o *op, w *window, s *scope, cursor int) (int, error) {
	count, toEnd := o.repeat.count, false
	if o.repeat.countOf >= 0 {
		if !s.has[o.repeat.countOf] {
			return cursor, nil
		}
		// Compared as floats: converting a huge float to int is undefined.
		if n := s.val[o.repeat.countOf]; n < 0 || n > maxRecords {
			return cursor, fmt.Errorf("%v records in one frame: want at most %d", n, maxRecords)
		} else {
			count = int(n)
		}
	} else if count == 0 {
		count, toEnd = maxRecords, true
	}
	for n := 1; n <= count && !(toEnd && cursor >= w.end); n++ {
		sub := window{payload: w.payload, start: cursor, end: w.end}
		if o.repeat.size > 0 {
			if sub.end = cursor + o.repeat.size; sub.end > w.end {
				return cursor, fmt.Errorf("record %d: bytes %d to %d are outside a payload of %d", n, cursor, sub.end-1, len(w.payload))
			}
		}
		r.rec.clear()
		next, err := r.exec(o.sub, &sub, &r.rec, cursor)
		if err != nil {
			return cursor, fmt.Errorf("record %d: %w", n, err)
		}
		if o.repeat.size > 0 {
			next = sub.end
		} else {
			next = max(next, sub.last)
		}
		if next <= cursor {
			return cursor, fmt.Errorf("record %d: has no bytes", n)
		}
		r.emit(&r.rec, &o.repeat.record, n)
		cursor = next
		w.last = max(w.last, cursor)
	}
	return cursor, nil
}
