package profile

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// lwm2m is the codec of what LwM2M clients send: objects, instances and resources, in any
// of the formats of LwM2M 1.0 and 1.1. The content format says which; where nobody says it
// the profile does. It is never guessed from bytes.
type lwm2m struct {
	format int      // where the frame does not say; -1: none
	path   resource // what a payload is the value of, where the frame does not say
	shape  packShape
	lists  []fieldList // of the frame and of each record
	ignore []resource
	reader *packReader
	packs  sync.Pool // *pack

	opaque *resource // its bytes are for another codec
}

// fieldList are the fields of one scope, with their paths.
type fieldList struct {
	rec    int // which of the records, -1: the frame's own
	paths  []resource
	fields []*packField
}

// lwm2mFormats are what profiles call the content formats.
var lwm2mFormats = []struct {
	name   string
	format int
}{
	{"text", formatText}, {"opaque", formatOctets}, {"cbor", formatCBOR}, {"senml-json", formatSenMLJSON},
	{"senml-cbor", formatSenMLCBOR}, {"tlv", formatTLV}, {"json", formatOldJSON},
}

// anyID in a path stands for any instance.
const anyID = -1

// resource is a path of LwM2M: object, instance, resource and its instance, as far as it goes.
type resource struct {
	id  [4]int32
	len int
}

func (p resource) String() string {
	var b []byte
	for i, id := range p.id[:p.len] {
		if i > 0 {
			b = append(b, '/')
		}
		if id == anyID {
			b = append(b, '#')
		} else {
			b = strconv.AppendInt(b, int64(id), 10)
		}
	}
	return string(b)
}

// then gives the path one step further down.
func (p resource) then(id int32) resource {
	p.id[p.len] = id
	p.len++
	return p
}

// within reports whether p lies at or below q.
func (p *resource) within(q *resource) bool {
	if p.len < q.len {
		return false
	}
	for i, id := range q.id[:q.len] {
		if id != anyID && id != p.id[i] {
			return false
		}
	}
	return true
}

// parseResource reads "/3342/0/5500"; with wild, # stands for any instance.
func parseResource(s string, wild bool) (p resource, ok bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "/"), "/")
	if s == "" {
		return p, true
	}
	for part := range strings.SplitSeq(s, "/") {
		if p.len == len(p.id) {
			return p, false
		}
		if wild && part == "#" && p.len > 0 {
			p = p.then(anyID)
			continue
		}
		id, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return p, false
		}
		p = p.then(int32(id))
	}
	return p, true
}

func (c *lwm2m) decode(r *run, f *grid.Frame) error {
	p, _ := c.packs.Get().(*pack)
	if p == nil {
		p = &pack{}
	}
	defer c.packs.Put(p)
	r.report = true
	if err := c.hear(r, p, f); err != nil {
		return err
	}
	return p.spread(r, &c.shape)
}

// hear reads the payload and tells the pack what it holds.
func (c *lwm2m) hear(r *run, p *pack, f *grid.Frame) error {
	format, err := formatOf(f, c.format)
	if err != nil {
		return err
	}
	base := c.path
	if f.Path != "" {
		var ok bool
		if base, ok = parseResource(f.Path, false); !ok {
			return fmt.Errorf("path %q is none of LwM2M: want for example /3342/0/5500", truncate(f.Path, 40))
		}
	}
	if base.len == 0 && c.opaque != nil {
		if base = *c.opaque; format == formatTLV {
			base.len = 2 // a TLV names its resource
		}
	}
	p.start(f)
	switch format {
	case formatTLV, 1542: // as early clients call it
		return c.tlv(p, string(f.Payload), base)
	case formatSenMLJSON, formatSenMLCBOR, formatOldJSON:
		return c.reader.read(r, p, f.Payload, format, func(e *entry) error { return c.named(r, p, e, base) })
	case 1543: // as early clients call it
		return c.reader.read(r, p, f.Payload, formatOldJSON, func(e *entry) error { return c.named(r, p, e, base) })
	case formatText, formatOctets, formatCBOR:
		return c.bare(p, f.Payload, format, base)
	}
	return fmt.Errorf("content format %d is none of LwM2M: want 0, 42, 60, 110, 112, 11542 or 11543", format)
}

// named takes a value of SenML or of the old JSON. A name that begins with / is a path
// from the root; any other goes on from what the payload is the value of.
func (c *lwm2m) named(r *run, p *pack, e *entry, base resource) error {
	name := string(e.name)
	path, ok := parseResource(name, false)
	if ok && base.len > 0 && !strings.HasPrefix(name, "/") {
		if ok = base.len+path.len <= len(path.id); ok {
			copy(base.id[base.len:], path.id[:path.len])
			base.len += path.len
			path = base
		}
	}
	if !ok || path.len < 3 {
		r.warn("%q is no path of a resource", truncate(name, 40))
		p.unknown(name)
		return nil
	}
	c.take(p, path, e)
	return nil
}

// bare takes a payload that is one value and nothing else.
func (c *lwm2m) bare(p *pack, payload []byte, format int, path resource) error {
	if path.len < 3 {
		return fmt.Errorf("the payload is one value, and path %q names no resource: want for example /3/0/9", path)
	}
	e := entry{}
	switch format {
	case formatText:
		if !utf8.Valid(payload) {
			return fmt.Errorf("the payload is not UTF-8")
		}
		e.value = said{kind: saidText, text: string(payload)}
	case formatOctets:
		e.value = said{kind: saidData, text: string(payload)}
	case formatCBOR:
		if err := c.reader.cbor.Wellformed(payload); err != nil {
			return fmt.Errorf("the payload is no CBOR: %s", firstLine(err))
		}
		e.value = c.reader.saidOfCBOR(payload)
	}
	if err := p.count(); err != nil {
		return err
	}
	c.take(p, path, &e)
	return nil
}

// take gives a value to every field whose path fits, of the frame and of the records.
func (c *lwm2m) take(p *pack, path resource, e *entry) {
	known := false
	for i := range c.lists {
		l := &c.lists[i]
		for n := range l.paths {
			if l.paths[n].len == path.len && path.within(&l.paths[n]) {
				h := heard{field: l.fields[n], rec: l.rec, at: e.at, unit: e.unit, value: e.value}
				if l.rec >= 0 {
					h.instance = int(path.id[1])
				}
				p.heard = append(p.heard, h)
				known = true
			}
		}
	}
	if !known {
		known = slices.ContainsFunc(c.ignore, func(q resource) bool { return path.within(&q) })
	}
	if c.opaque != nil && path.within(c.opaque) {
		p.opaque, known = append(p.opaque, heard{at: e.at, value: e.value}), true
	}
	if known {
		p.known++
		return
	}
	if p.first == "" {
		p.unknown(path.String())
	}
}

// The kinds of a TLV: bits 7 and 6 of its first byte.
const (
	tlvInstance         = 0 // of an object, holds resources
	tlvResourceInstance = 1 // of a multiple resource
	tlvMultiple         = 2 // a resource that holds instances
	tlvResource         = 3
)

// tlv reads the TLV format. It does not say its object, so that base must; as far as it
// says instance and resource, they must be those of base.
func (c *lwm2m) tlv(p *pack, b string, base resource) error {
	if base.len == 0 {
		return fmt.Errorf("a TLV does not say its object: want a path with the frame, for example /3342/0, or path in the profile")
	}
	object := resource{len: 1}
	object.id[0] = base.id[0]
	return eachTLV(b, func(kind byte, id int32, value string) error {
		if kind == tlvInstance {
			instance := object.then(id)
			return eachTLV(value, func(kind byte, id int32, value string) error {
				return c.tlvResource(p, kind, id, value, instance, base)
			})
		}
		// Without an instance around it: that of the path, or the only one there is.
		instance := object.then(max(base.id[1], 0))
		return c.tlvResource(p, kind, id, value, instance, base)
	})
}

func (c *lwm2m) tlvResource(p *pack, kind byte, id int32, value string, instance, base resource) error {
	switch kind {
	case tlvResource:
		return c.tlvValue(p, instance.then(id), value, base)
	case tlvMultiple:
		several := instance.then(id)
		return eachTLV(value, func(kind byte, id int32, value string) error {
			if kind != tlvResourceInstance {
				return fmt.Errorf("%v holds something else than its instances", several)
			}
			return c.tlvValue(p, several.then(id), value, base)
		})
	case tlvResourceInstance:
		if base.len >= 3 {
			return c.tlvValue(p, instance.then(base.id[2]).then(id), value, base)
		}
		return fmt.Errorf("an instance %d of a resource that is not named", id)
	}
	return fmt.Errorf("an instance of an object within another")
}

func (c *lwm2m) tlvValue(p *pack, path resource, value string, base resource) error {
	if !path.within(&base) {
		return fmt.Errorf("%v is there, which is no part of %v", path, base)
	}
	if err := p.count(); err != nil {
		return err
	}
	c.take(p, path, &entry{value: said{kind: saidBytes, text: value}})
	return nil
}

// eachTLV goes through the TLVs that lie one behind another in b.
func eachTLV(b string, do func(kind byte, id int32, value string) error) error {
	for at := 0; at < len(b); {
		head, idBytes := b[at], 1+int(b[at]>>5&1)
		lengthBytes := int(head >> 3 & 3)
		body := at + 1 + idBytes + lengthBytes
		if body > len(b) {
			return fmt.Errorf("TLV at byte %d: bytes %d to %d are outside %d", at, at, body-1, len(b))
		}
		id := bigEndian(b[at+1 : at+1+idBytes])
		n := int(head & 7)
		if lengthBytes > 0 {
			n = bigEndian(b[at+1+idBytes : body])
		}
		if body+n > len(b) {
			return fmt.Errorf("TLV at byte %d: bytes %d to %d are outside %d", at, body, body+n-1, len(b))
		}
		if err := do(head>>6, int32(id), b[body:body+n]); err != nil {
			return fmt.Errorf("TLV at byte %d: %w", at, err)
		}
		at = body + n
	}
	return nil
}

func bigEndian(b string) (n int) {
	for i := range len(b) {
		n = n<<8 | int(b[i])
	}
	return n
}

// lwm2m compiles an lwm2m profile.
func (c *compiler) lwm2m(s *profileSpec) (codec, []int, error) {
	out, err := c.newLwM2M(&lwm2mSpec{Format: s.Format, Path: s.Path, Fields: s.Fields, Ignore: s.Ignore})
	if err != nil {
		return nil, nil, err
	}
	for i := range s.Records {
		if err := c.lwm2mRecord(out, &s.Records[i]); err != nil {
			return nil, nil, fmt.Errorf("records: %s: %w", s.Records[i].title(), err)
		}
	}
	if len(out.shape.fields) == 0 {
		return nil, nil, fmt.Errorf("fields: an lwm2m profile wants at least one")
	}
	return out, nil, nil
}

// lwm2mSpec is for a profile of another codec, whose payload comes as the value of a
// resource: object 19 carries the frames of most NB-IoT devices.
type lwm2mSpec struct {
	PayloadOf string      `yaml:"payload_of"` // its path, for example 19/0/0
	Format    string      `yaml:"format"`     // of payloads whose content format nobody says; none: they are the value as it is
	Path      string      `yaml:"path"`       // what a payload is the value of, where nobody says it
	Fields    []fieldSpec `yaml:"fields"`     // of the objects beside it
	Ignore    []string    `yaml:"ignore"`     // what is no news
}

func (c *compiler) newLwM2M(s *lwm2mSpec) (*lwm2m, error) {
	out := &lwm2m{format: -1}
	if s.Format != "" {
		var names []string
		for _, f := range lwm2mFormats {
			names = append(names, f.name)
			if f.name == s.Format {
				out.format = f.format
			}
		}
		if out.format < 0 {
			return nil, fmt.Errorf("format is %q: want one of %s", s.Format, strings.Join(names, ", "))
		}
	}
	var ok bool
	if out.path, ok = parseResource(s.Path, false); !ok {
		return nil, fmt.Errorf("path is %q: want for example 3342/0", s.Path)
	}
	for _, i := range s.Ignore {
		path, ok := parseResource(i, true)
		if !ok || path.len == 0 {
			return nil, fmt.Errorf("ignore: %q: want an object, instance or resource, for example 5 or 3/0/13", i)
		}
		out.ignore = append(out.ignore, path)
	}
	if err := c.lwm2mFields(out, -1, resource{}, s.Fields); err != nil {
		return nil, err
	}
	var err error
	out.reader, err = newPackReader()
	return out, err
}

// lwm2mFields compiles fields whose paths go on from root.
func (c *compiler) lwm2mFields(out *lwm2m, rec int, root resource, specs []fieldSpec) error {
	list := fieldList{rec: rec}
	for i := range specs {
		s := &specs[i]
		path := strings.Join(s.Path, ".")
		rest, ok := parseResource(path, true)
		if full := root.len + rest.len; !ok || rest.len == 0 || full < 3 || full > 4 {
			return fmt.Errorf("field %q: path is %q: want object/instance/resource, for example 3342/#/5500 (in a record: the resource)", s.Name, path)
		}
		full := root
		copy(full.id[root.len:], rest.id[:rest.len])
		if full.len += rest.len; full.id[2] == anyID {
			return fmt.Errorf("field %q: path is %q: # stands for an instance, not for a resource", s.Name, path)
		}
		wire, err := wireTypeOf(s)
		if err != nil {
			return err
		}
		f, err := c.packField(s, wire)
		if err != nil {
			return err
		}
		list.paths, list.fields = append(list.paths, full), append(list.fields, f)
	}
	out.shape.fields = append(out.shape.fields, list.fields...)
	out.lists = append(out.lists, list)
	return c.inverts(&out.shape, specs)
}

// wireTypes are the types of LwM2M. Object links mean nothing to a signal.
var wireTypes = []struct {
	name string
	wire wireType
}{{"int", wireInt}, {"uint", wireUint}, {"float", wireFloat}, {"bool", wireBool}, {"text", wireText}, {"time", wireTime}, {"opaque", wireOpaque}}

func wireTypeOf(s *fieldSpec) (wireType, error) {
	var names []string
	for _, t := range wireTypes {
		if names = append(names, t.name); t.name == s.Type {
			if (t.wire == wireText || t.wire == wireOpaque) && len(s.Enum) == 0 {
				return 0, fmt.Errorf("field %q: a %s wants an enum", s.Name, t.name)
			}
			return t.wire, nil
		}
	}
	return 0, fmt.Errorf("field %q: type is %q: want one of %s, as TLV does not say it", s.Name, s.Type, strings.Join(names, ", "))
}

func (c *compiler) lwm2mRecord(out *lwm2m, s *recordSpec) error {
	each := strings.Join(s.Each, ".")
	root, ok := parseResource(each, true)
	if !ok || root.len != 2 || s.Keys != nil || s.Skip != nil || s.Restart || s.Answer {
		return fmt.Errorf("each is %q: want object/instance, for example 3342/#, and no keys, skip, restart or answer", each)
	}
	if root.id[1] == anyID && !strings.Contains(s.Channel, "#") {
		return fmt.Errorf("channel is %q: want # in it, for the instance: readings of two instances must not mix", s.Channel)
	}
	plain := make([]fieldSpec, len(s.Fields))
	for i, item := range s.Fields {
		if item.If != nil || item.Repeat != nil || item.Skip != 0 || item.Flags != nil {
			return fmt.Errorf("if, repeat, skip and flags are for bytes: want fields")
		}
		plain[i] = item.Field
	}
	rec, err := c.record(s.History, s.Time, s.Channel, s.Fields)
	if err != nil {
		return err
	}
	rec.own = true
	if err := c.lwm2mFields(out, len(out.shape.records), root, plain); err != nil {
		return err
	}
	if rec.clock, err = c.clock(s.Time); err != nil {
		return err
	}
	out.shape.records = append(out.shape.records, rec)
	return nil
}

// inResource is a codec whose payload is the value of a resource.
type inResource struct {
	*lwm2m
	inner codec
}

// inResource puts the codec of a profile with an lwm2m part into its resource.
func (c *compiler) inResource(inner codec, s *profileSpec) (codec, error) {
	if s.LwM2M == nil {
		return inner, nil
	}
	if s.Codec == "lwm2m" || s.Codec == "senml" {
		return nil, fmt.Errorf("payload_of is for a payload that is no %s itself", s.Codec)
	}
	path, ok := parseResource(s.LwM2M.PayloadOf, true)
	if !ok || path.len < 3 {
		return nil, fmt.Errorf("payload_of is %q: want a resource, for example 19/0/0", s.LwM2M.PayloadOf)
	}
	out, err := c.newLwM2M(s.LwM2M)
	if err != nil {
		return nil, err
	}
	out.opaque = &path
	return &inResource{out, inner}, nil
}

func (c *inResource) decode(r *run, f *grid.Frame) error {
	if !f.HasFormat && c.format < 0 {
		return c.inner.decode(r, f) // somebody took it out already
	}
	p, _ := c.packs.Get().(*pack)
	if p == nil {
		p = &pack{}
	}
	defer c.packs.Put(p)
	p.opaque = p.opaque[:0]
	if err := c.hear(r, p, f); err != nil {
		return err
	}
	if len(p.opaque) == 0 {
		r.report = true
	} else if err := c.frames(r, p.opaque, f); err != nil {
		return err
	}
	at := r.at
	if err := p.spread(r, &c.shape); err != nil {
		return err
	}
	if len(p.opaque) > 0 {
		r.at = at
	}
	return nil
}

// frames gives the values of the resource to the inner codec, the oldest first. Of several
// each must say when it was, or nobody knows which of them holds now.
func (c *inResource) frames(r *run, values []heard, f *grid.Frame) error {
	slices.SortStableFunc(values, heard.compare)
	first := len(r.readings)
	for i := range values {
		v := &values[i]
		if i > 0 && v.at == values[i-1].at {
			return fmt.Errorf("%v has %d values: want one, or one for each time", c.opaque, len(values))
		}
		payload, why := opaqueBytes(v.value)
		if why != "" {
			return fmt.Errorf("%v %s", c.opaque, why)
		}
		inside, from := *f, len(r.readings)
		inside.Payload, inside.HasFormat, inside.Format, inside.Path = payload, false, 0, ""
		if err := c.inner.decode(r, &inside); err != nil {
			return err
		}
		if i == len(values)-1 {
			r.supersede(first)
			r.at = r.stamp(from, v.at)
			return nil
		}
		r.emit(&r.top, &record{history: r.p.history != nil && r.p.history.ask(&r.top)}, 0)
		r.top.clear()
		r.stamp(from, v.at)
	}
	return nil
}

// stamp gives the readings from the given one on a time, where they have none.
func (r *run) stamp(from int, at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	t := time.UnixMicro(at).UTC()
	for i := from; i < len(r.readings); i++ {
		if r.readings[i].At.IsZero() {
			r.readings[i].At = t
		}
	}
	return t
}

// opaqueBytes are the bytes of an opaque value; texts carry them in base64.
func opaqueBytes(v said) (b []byte, why string) {
	switch v.kind {
	case saidData, saidBytes:
		b = []byte(v.text)
	case saidText:
		var err error
		if b, err = base64.StdEncoding.DecodeString(v.text); err != nil {
			return nil, "is no base64"
		}
	default:
		return nil, "is not opaque"
	}
	if len(b) == 0 {
		return nil, "is empty"
	}
	return b, ""
}
