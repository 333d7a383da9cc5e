package profile

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"gridgate/internal/grid"
)

// tlv is the codec of records behind one another, each with a key that says what it is
// and, by that, how long it is. So a record with an unknown key cannot be skipped: what
// came before it is kept, and a warning says where reading ended. A frame that one of the
// layouts fits is no records at all: a start-up or an answer in a form of its own.
type tlv struct {
	ports       []int // of records
	allPorts    []int // and of layouts
	layouts     []layout
	ignoreOther bool
	keySize     int
	lengthSize  int  // 0: records have no length
	before      bool // the length stands before the key and counts it, too
	header      []op
	records     map[uint16]*tlvRecord
}

type tlvRecord struct {
	record
	restart bool
	answer  bool
	items   []op
}

func (c *tlv) decode(r *run, f *grid.Frame) error {
	port, payload := f.Port, f.Payload
	only := len(c.allPorts) == 1
	for i := range c.layouts {
		if l := &c.layouts[i]; l.fits(port, payload, only) {
			return l.decode(r, payload)
		}
	}
	switch {
	case portFits(c.ports, port, only):
	case slices.Contains(c.allPorts, port):
		return noLayoutFits(port, payload)
	default:
		return otherPort(r, port, c.allPorts, c.ignoreOther)
	}
	w := window{payload: payload, end: len(payload)}
	if _, err := r.exec(c.header, &w, &r.top, 0); err != nil {
		return err
	}
	for at, n := w.last, 1; at < len(payload); n++ {
		body := at + c.keySize + c.lengthSize
		if c.before && at+int(payload[at]) < body-1 {
			return fmt.Errorf("record %d: byte %d says it has %d bytes: want %d or more, for its key", n, at, payload[at], c.keySize)
		}
		if body > len(payload) {
			return fmt.Errorf("record %d: bytes %d to %d are outside a payload of %d", n, at, body-1, len(payload))
		}
		end, known, err := c.record(r, payload, at, body, n)
		if err != nil {
			return err
		}
		if !known && c.lengthSize == 0 {
			r.warn("key %x at byte %d is unknown: bytes %d to %d are not read", payload[at:at+c.keySize], at, at, len(payload)-1)
			return nil
		}
		at = end
	}
	return nil
}

// record reads the record whose key is at at and whose value begins at body.
func (c *tlv) record(r *run, payload []byte, at, body, n int) (end int, known bool, err error) {
	w := window{payload: payload, start: body, end: len(payload), last: body}
	if c.lengthSize > 0 {
		length := int(payload[body-1])
		switch {
		case c.before:
			length = int(payload[at]) - c.keySize
			at++
		case c.lengthSize == 2:
			length |= int(payload[body-2]) << 8
		}
		if w.end = body + length; w.end > len(payload) {
			return 0, false, fmt.Errorf("record %d: bytes %d to %d are outside a payload of %d", n, body, w.end-1, len(payload))
		}
	}
	key := uint16(payload[at])
	if c.keySize == 2 {
		key = key<<8 | uint16(payload[at+1])
	}
	rec := c.records[key]
	if rec == nil {
		if c.lengthSize > 0 {
			r.warn("key %x at byte %d is unknown", payload[at:at+c.keySize], at)
		}
		return w.end, false, nil
	}
	r.evidence += max(8*c.keySize-bits.Len(uint(len(c.records))), 0)
	r.answer, r.report, r.restart = r.answer || rec.answer, r.report || !rec.answer, r.restart || rec.restart
	s := &r.top
	if rec.own {
		s = &r.rec
		s.clear()
	}
	if _, err := r.exec(rec.items, &w, s, body); err != nil {
		return 0, true, err
	}
	if rec.own {
		r.emit(s, &rec.record, n)
	}
	if c.lengthSize > 0 {
		return w.end, true, nil
	}
	return w.last, true, nil
}

func (c *compiler) tlv(s *profileSpec) (codec, []int, error) {
	out := &tlv{ports: s.Ports, allPorts: slices.Clone(s.Ports), keySize: 2, records: map[uint16]*tlvRecord{}}
	switch s.Key.Size {
	case 0, 2:
	case 1:
		out.keySize = 1
	default:
		return nil, nil, fmt.Errorf("key: size is %d: want 1 or 2", s.Key.Size)
	}
	switch s.Key.Length {
	case "", "none":
	case "u8":
		out.lengthSize = 1
	case "u16":
		out.lengthSize = 2
	case "before":
		out.lengthSize, out.before = 1, true
	default:
		return nil, nil, fmt.Errorf("key: length is %q: want none, u8, u16 or before", s.Key.Length)
	}
	if len(s.Records) == 0 {
		return nil, nil, fmt.Errorf("records: a tlv profile wants at least one")
	}
	var err error
	if out.header, err = c.items(s.Header, false); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	for i := range s.Records {
		if err := c.tlvRecord(out, &s.Records[i]); err != nil {
			return nil, nil, fmt.Errorf("records: %s: %w", s.Records[i].title(), err)
		}
	}
	for i := range s.Layouts {
		l, err := c.layout(&s.Layouts[i])
		if err != nil {
			return nil, nil, fmt.Errorf("layouts: %q: %w", s.Layouts[i].Name, err)
		}
		out.layouts = append(out.layouts, l)
		if len(s.Ports) > 0 {
			out.allPorts = append(out.allPorts, l.ports...)
		}
	}
	slices.Sort(out.allPorts)
	out.allPorts = slices.Compact(out.allPorts)
	out.ignoreOther, err = unknownPort(s.UnknownPort)
	return out, out.allPorts, err
}

func (s *recordSpec) title() string {
	if s.Name != "" {
		return strconv.Quote(s.Name)
	}
	return strings.Join(append(s.Keys, s.Each...), " ")
}

func (c *compiler) tlvRecord(t *tlv, s *recordSpec) error {
	rec := &tlvRecord{restart: s.Restart, answer: s.Answer}
	switch {
	case len(s.Keys) == 0 || s.Each != nil:
		return fmt.Errorf("want keys, and no each, in a tlv profile")
	case s.Skip != nil && *s.Skip < 0:
		return fmt.Errorf("skip is %d: want 0 or more", *s.Skip)
	case s.Skip != nil && len(s.Fields) > 0:
		return fmt.Errorf("skip and fields: want one of them")
	case s.Skip == nil && len(s.Fields) == 0 && t.lengthSize == 0:
		return fmt.Errorf("want fields, or skip with the length of the value")
	case s.Answer && len(s.Fields) > 0:
		return fmt.Errorf("an answer carries no reading: want skip, not fields")
	}
	var err error
	if rec.record, err = c.record(s.History, s.Time, s.Channel, s.Fields); err != nil {
		return err
	}
	if s.Skip != nil {
		rec.items = []op{{kind: opSkip, skip: *s.Skip}}
	} else if rec.items, err = c.items(s.Fields, rec.own); err != nil {
		return err
	}
	if rec.clock, err = c.clock(s.Time); err != nil {
		return err
	}
	for _, key := range s.Keys {
		b, err := hex.DecodeString(key)
		if err != nil || len(b) != t.keySize {
			return fmt.Errorf("key %q: want %d bytes in hex", key, t.keySize)
		}
		k := uint16(b[0])
		if t.keySize == 2 {
			k = k<<8 | uint16(b[1])
		}
		if t.records[k] != nil {
			return fmt.Errorf("key %q is given twice", key)
		}
		t.records[k] = rec
	}
	return nil
}
