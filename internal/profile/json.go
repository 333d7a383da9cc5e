package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// jsonCodec takes values out of a JSON object by path. Keys nobody asks for are no news.
type jsonCodec struct {
	ports       []int
	ignoreOther bool
	fields      []jsonField
	each        []jsonEach
	parsers     fastjson.ParserPool
}

type jsonField struct {
	field
	path   []string
	isTime bool
	opens  bool // another field lies within it: an object here is no value of this one
	part   *jsonPart
}

// jsonPart is the part of a text that is a value: the 3.6 of "3.6 V".
type jsonPart struct {
	match *regexp.Regexp
	size  int // steps of it
}

// maxMatched bounds the texts that are matched.
const maxMatched = 512

type jsonEach struct {
	record
	path   []string
	fields []jsonField
}

func (c *jsonCodec) decode(r *run, f *grid.Frame) error {
	port, payload := f.Port, f.Payload
	if !portFits(c.ports, port, len(c.ports) == 1) {
		return otherPort(r, port, c.ports, c.ignoreOther)
	}
	if !utf8.Valid(payload) {
		return fmt.Errorf("the payload is not UTF-8")
	}
	parser := c.parsers.Get()
	defer c.parsers.Put(parser)
	root, err := parser.ParseBytes(payload)
	if err != nil {
		return fmt.Errorf("the payload is no JSON: %s", firstLine(err))
	}
	if root.Type() != fastjson.TypeObject && root.Type() != fastjson.TypeArray {
		return fmt.Errorf("the payload is a JSON %s: want an object", root.Type())
	}
	r.report = true
	return c.readValues(r, root)
}

// readValues takes the fields and the records out of a value.
func (c *jsonCodec) readValues(r *run, root *fastjson.Value) error {
	if err := readFields(r, c.fields, root, &r.top); err != nil {
		return err
	}
	for i := range c.each {
		if err := c.each[i].decode(r, root); err != nil {
			return err
		}
	}
	return nil
}

// firstLine keeps a parser's complaint from quoting the whole payload.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	line, _, _ = strings.Cut(line, "; unparsed tail")
	if len(line) > 120 {
		line = strings.ToValidUTF8(line[:120], "") + "…"
	}
	return line
}

func (e *jsonEach) decode(r *run, root *fastjson.Value) error {
	list := root.Get(e.path...)
	if len(e.path) == 0 {
		list = root
	}
	if list == nil || list.Type() != fastjson.TypeArray {
		return nil
	}
	items, _ := list.Array()
	if len(items) > maxRecords {
		return fmt.Errorf("%d records at %q: want at most %d", len(items), strings.Join(e.path, "."), maxRecords)
	}
	for n, item := range items {
		r.rec.clear()
		if err := readFields(r, e.fields, item, &r.rec); err != nil {
			return fmt.Errorf("record %d: %w", n+1, err)
		}
		r.emit(&r.rec, &e.record, n+1)
	}
	return nil
}

func readFields(r *run, fields []jsonField, root *fastjson.Value, s *scope) error {
	for i := range fields {
		f := &fields[i]
		v := root.Get(f.path...)
		if v == nil || f.opens && v.Type() == fastjson.TypeObject {
			continue
		}
		r.evidence += pathEvidence
		if err := f.read(r, s, v); err != nil {
			return err
		}
	}
	return nil
}

// pathEvidence is what a path that is there says of the device, in bits.
const pathEvidence = 5

func (f *jsonField) read(r *run, s *scope, v *fastjson.Value) error {
	if f.part != nil {
		switch v.Type() {
		case fastjson.TypeNumber:
			return f.matched(r, s, v.String())
		case fastjson.TypeString:
			text, _ := v.StringBytes()
			return f.matched(r, s, string(text))
		}
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return nil
	case fastjson.TypeTrue:
		return f.put(r, s, 1, true)
	case fastjson.TypeFalse:
		return f.put(r, s, 0, true)
	case fastjson.TypeNumber:
		if f.enum != nil && len(f.enum.texts) > 0 {
			return f.text(r, s, v.String()) // 1 where "1" is meant
		}
		x, err := v.Float64()
		return f.put(r, s, x, err == nil)
	case fastjson.TypeString:
		text, _ := v.StringBytes()
		return f.text(r, s, string(text))
	}
	return f.unreadable(r, "is a JSON "+v.Type().String())
}

// matched reads the part of a text that is the value. Any other text says nothing of this
// field, unless a fire may hide behind it.
func (f *jsonField) matched(r *run, s *scope, text string) error {
	if len(text) > maxMatched {
		return f.unreadable(r, fmt.Sprintf("has %d letters: want at most %d", len(text), maxMatched))
	}
	if err := r.step(1 + len(text)*f.part.size/64); err != nil {
		return err
	}
	found := f.part.match.FindStringSubmatch(text)
	switch {
	case found == nil && f.vital:
		return f.unreadable(r, fmt.Sprintf("%.40q does not match %s", text, f.part.match))
	case found == nil:
		return nil
	}
	return f.text(r, s, found[len(found)-1])
}

func (f *jsonField) text(r *run, s *scope, text string) error {
	if f.isTime {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return f.unreadable(r, fmt.Sprintf("%.40q is no RFC 3339 time", text))
		}
		return f.store(r, s, (float64(at.UnixMicro())/1e6-f.add)/f.mul*f.div)
	}
	if f.enum != nil {
		v, ok := f.enum.texts[text]
		if !ok {
			return f.unreadable(r, fmt.Sprintf("%.40q is none of %s", text, f.enum))
		}
		return f.store(r, s, v)
	}
	x, err := strconv.ParseFloat(text, 64)
	return f.put(r, s, x, err == nil)
}

func (c *compiler) json(s *profileSpec) (codec, []int, error) {
	out := &jsonCodec{}
	return out, s.Ports, c.jsonValues(out, s)
}

// jsonValues compiles what is taken out of a JSON value.
func (c *compiler) jsonValues(out *jsonCodec, s *profileSpec) (err error) {
	out.ports = s.Ports
	if out.fields, err = c.jsonFields(s.Fields); err != nil {
		return err
	}
	for i := range s.Records {
		e, err := c.jsonEach(&s.Records[i])
		if err != nil {
			return fmt.Errorf("records: %s: %w", s.Records[i].title(), err)
		}
		out.each = append(out.each, e)
	}
	if len(out.fields)+len(out.each) == 0 {
		return fmt.Errorf("fields: a %s profile wants at least one", s.Codec)
	}
	out.ignoreOther, err = unknownPort(s.UnknownPort)
	return err
}

func (c *compiler) jsonEach(s *recordSpec) (jsonEach, error) {
	e := jsonEach{path: s.Each}
	if s.Each == nil || s.Keys != nil || s.Skip != nil || s.Restart || s.Answer {
		return e, fmt.Errorf("want each, and no keys, skip, restart or answer, where records are of JSON")
	}
	plain := make([]fieldSpec, len(s.Fields))
	for i, item := range s.Fields {
		if item.If != nil || item.Repeat != nil || item.Skip != 0 {
			return e, fmt.Errorf("if, repeat and skip are for bytes: want fields")
		}
		plain[i] = item.Field
	}
	var err error
	if e.record, err = c.record(s.History, s.Time, s.Channel, s.Fields); err != nil {
		return e, err
	}
	e.own = true
	if e.fields, err = c.jsonFields(plain); err != nil {
		return e, err
	}
	e.clock, err = c.clock(s.Time)
	return e, err
}

func (c *compiler) jsonFields(specs []fieldSpec) ([]jsonField, error) {
	var out []jsonField
	for i := range specs {
		s := &specs[i]
		if s.At != nil || s.Bits != "" || s.Mask != 0 || s.Order != "" || s.Group != "" {
			return nil, fmt.Errorf("field %q: at, bits, mask and order are for bytes, group for text: want path", s.Name)
		}
		if s.Type != "" && s.Type != "time" {
			return nil, fmt.Errorf("field %q: type is %q: want time, or none", s.Name, s.Type)
		}
		f := jsonField{path: slices.Clone(s.Path), isTime: s.Type == "time"}
		if f.path == nil {
			f.path = []string{s.Name}
		}
		var err error
		if f.part, err = compilePart(s.Match); err != nil {
			return nil, fmt.Errorf("field %q: %w", s.Name, err)
		}
		plain := *s
		plain.Type, plain.Match = "", ""
		compiled, err := c.field(&plain)
		if err != nil {
			return nil, err
		}
		f.field = compiled
		out = append(out, f)
	}
	for i := range out {
		f := &out[i]
		f.opens = slices.ContainsFunc(out, func(g jsonField) bool {
			return len(g.path) > len(f.path) && slices.Equal(g.path[:len(f.path)], f.path)
		})
	}
	return out, nil
}

func compilePart(match string) (*jsonPart, error) {
	if match == "" {
		return nil, nil
	}
	compiled, size, err := compilePattern(match)
	switch {
	case err != nil:
		return nil, err
	case compiled.NumSubexp() > 1:
		return nil, fmt.Errorf("match: %.40q has %d groups: want one, or none for the whole", match, compiled.NumSubexp())
	}
	return &jsonPart{compiled, size}, nil
}
