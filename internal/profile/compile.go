package profile

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

var (
	idForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*$`)
	tagForm  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._+-]{0,127}$`)
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	wordForm = regexp.MustCompile(`[a-z][a-z0-9_]*`)
)

// maxID bounds the id of a profile.
const maxID = 128

// compiler turns a profileSpec into a Profile. Its errors begin with the key they are about.
type compiler struct {
	order    string
	slots    map[string]int
	fields   map[string]*field // one of the places a field is read, for its enum and range
	vital    map[string]bool   // fields a fire hangs on
	steps    int               // items compiled so far
	channels []string          // of records

	workers *workers // run the code of device makers
}

func compile(s *profileSpec, w *workers) (*Profile, error) {
	p := &Profile{ID: s.Profile, Vendor: s.Vendor, Model: s.Model, Version: s.Version, Firmware: s.Firmware, Extends: s.Extends, Source: s.Source, Codec: s.Codec}
	if err := p.head(s); err != nil {
		return nil, err
	}
	c := &compiler{order: s.Order, slots: map[string]int{}, fields: map[string]*field{}, vital: vitalFields(s.Signals), workers: w}
	kind, err := codecKindOf(s)
	if err != nil {
		return nil, err
	}
	if p.codec, p.Ports, err = kind.compile(c, s); err != nil {
		return nil, err
	}
	if p.codec, err = c.inResource(p.codec, s); err != nil {
		return nil, fmt.Errorf("lwm2m: %w", err)
	}
	if p.channelFields, err = c.channelFields(); err != nil {
		return nil, err
	}
	if p.rules, err = c.rules(s.Signals); err != nil {
		return nil, err
	}
	for _, r := range p.rules {
		p.cost += len(r.sources)
		if !slices.Contains(p.Signals, r.signal) {
			p.Signals = append(p.Signals, r.signal)
		}
	}
	if err := p.extras(c, s); err != nil {
		return nil, err
	}
	p.slots = len(c.slots)
	p.tag = p.ID + "@" + p.Version
	return p, nil
}

// head checks what every profile says of itself.
func (p *Profile) head(s *profileSpec) error {
	if !idForm.MatchString(s.Profile) {
		return fmt.Errorf("profile is %q: want <vendor>/<model> in lower case", s.Profile)
	}
	for _, k := range []struct{ key, value string }{{"version", s.Version}, {"vendor", s.Vendor}, {"model", s.Model}, {"source", s.Source}} {
		if strings.TrimSpace(k.value) == "" {
			return fmt.Errorf("%s is missing", k.key)
		}
	}
	// Both stand in every frame's name of what decoded it, in addresses and in keys.
	if len(s.Profile) > maxID {
		return fmt.Errorf("profile has %d bytes: want at most %d", len(s.Profile), maxID)
	}
	if !tagForm.MatchString(s.Version) {
		return fmt.Errorf("version is %.40q: want letters, digits and . _ + -, at most 128", s.Version)
	}
	for _, k := range s.Kinds {
		kind, err := grid.ParseKind(k)
		if err != nil {
			return fmt.Errorf("kinds: %w", err)
		}
		p.Kinds = append(p.Kinds, kind)
	}
	if len(p.Kinds) == 0 {
		return fmt.Errorf("kinds: want at least one of door, parking, manhole, smoke")
	}
	var err error
	if p.Range, err = compileFirmware(s.Range); err != nil {
		return err
	}
	if p.Interval, err = time.ParseDuration(s.Interval); err != nil || p.Interval < time.Second {
		return fmt.Errorf("interval is %q: want how often a healthy device reports, for example 6h", s.Interval)
	}
	return nil
}

// extras compiles what leans on fields: counter, time, restart, history, identify.
func (p *Profile) extras(c *compiler, s *profileSpec) (err error) {
	if p.clock, err = c.clock(s.Time); err != nil {
		return err
	}
	if p.restart, err = c.test(s.Restart); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	if p.history, err = c.test(s.History); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err = p.counter(c, &s.Counter); err != nil {
		return fmt.Errorf("counter: %w", err)
	}
	p.identify, err = compileIdentity(&s.Identify, p.Model)
	return err
}

// shortestCounter is the least that tells a repeat from news: what looks up to half of its
// span behind may be either.
const shortestCounter = 8

func (p *Profile) counter(c *compiler, s *counterSpec) error {
	p.Counter = CounterSpec{Source: s.Source, Bits: s.Bits}
	if s.Bits < 0 || s.Bits > 32 {
		return fmt.Errorf("bits is %d: want 1 to 32", s.Bits)
	}
	if s.Source != "payload" && s.Field != "" {
		return fmt.Errorf("field %q: want source: payload", s.Field)
	}
	switch s.Source {
	case "":
		p.Counter.Source = "none"
	case "none":
	case "network":
		if s.Bits == 0 {
			p.Counter.Bits = 32
		}
	case "payload":
		f, err := c.lookup(s.Field)
		if err != nil {
			return err
		}
		if s.Bits == 0 {
			return fmt.Errorf("bits is missing: want where the counter wraps, for example 16")
		}
		if s.Bits < shortestCounter {
			return fmt.Errorf("bits is %d: want %d or more, for a shorter counter takes news for repeats once a few frames are lost; leave it to source: network, or none", s.Bits, shortestCounter)
		}
		p.sequence = &sequence{slot: f.slot, name: f.name, bits: s.Bits}
	default:
		return fmt.Errorf("source is %q: want network, payload or none", s.Source)
	}
	return nil
}

// vitalFields are those that smoke.alarm and heat.alarm are made of.
func vitalFields(signals map[string]rulesSpec) map[string]bool {
	out := map[string]bool{}
	for _, signal := range []grid.Signal{grid.SmokeAlarm, grid.HeatAlarm} {
		for _, r := range signals[signal.String()] {
			out[r.Field] = true
			for _, word := range wordForm.FindAllString(r.Expr, -1) {
				out[word] = true // the name of a field, or of nothing
			}
		}
	}
	return out
}

func (c *compiler) field(s *fieldSpec) (field, error) {
	if !nameForm.MatchString(s.Name) {
		return field{}, fmt.Errorf("field %q: want a name of a-z, 0-9 and _", s.Name)
	}
	if s.UOM != "" || s.AnyOf != nil || s.Invert != "" {
		return field{}, fmt.Errorf("field %q: uom, any_of and invert are for senml and lwm2m", s.Name)
	}
	if s.Match != "" {
		return field{}, fmt.Errorf("field %q: match is for json and javascript", s.Name)
	}
	slot, ok := c.slots[s.Name]
	if !ok {
		slot = len(c.slots)
		c.slots[s.Name] = slot
	}
	f, err := compileField(s, slot, c.order)
	f.vital = c.vital[s.Name]
	if known := c.fields[s.Name]; known == nil || known.enum == nil && f.enum != nil {
		c.fields[s.Name] = &f
	}
	return f, err
}

func (c *compiler) lookup(name string) (*field, error) {
	if f := c.fields[name]; f != nil {
		return f, nil
	}
	known := make([]string, 0, len(c.fields))
	for n := range c.fields {
		known = append(known, n)
	}
	slices.Sort(known)
	return nil, fmt.Errorf("no field is called %q: %s", name, wish(name, known))
}

func (c *compiler) test(s *testSpec) (*test, error) {
	if s == nil {
		return nil, nil
	}
	f, err := c.lookup(s.Field)
	if err != nil {
		return nil, err
	}
	switch span := s.Above != nil || s.Below != nil; {
	case s.Is != nil && s.Not != nil:
		return nil, fmt.Errorf("is and not: want one of them")
	case span && (s.Is != nil || s.Not != nil):
		return nil, fmt.Errorf("is, not, above, below: want is, or not, or a span of above and below")
	case s.Above != nil && s.Below != nil && *s.Above >= *s.Below:
		return nil, fmt.Errorf("above %v and below %v leave nothing between them", *s.Above, *s.Below)
	}
	t := &test{slot: f.slot, above: s.Above, below: s.Below}
	if t.is, err = f.values(s.Is); err != nil {
		return nil, err
	}
	t.not, err = f.values(s.Not)
	return t, err
}

// record compiles what a record has of its own; its clock follows once its fields are known.
func (c *compiler) record(history bool, at *timeSpec, channel string, fields []itemSpec) (record, error) {
	c.channels = append(c.channels, channel)
	r := record{own: history || at != nil || channel != "", history: history, channel: channel}
	if r.own && len(fields) == 0 {
		return r, fmt.Errorf("history, time and channel are for fields: want some")
	}
	return r, nil
}

// items compiles the steps of a layout or record. In a record of its own nothing repeats.
func (c *compiler) items(specs []itemSpec, inRecord bool) ([]op, error) {
	var out []op
	for i := range specs {
		o, err := c.item(&specs[i], inRecord)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func (c *compiler) item(s *itemSpec, inRecord bool) (op, error) {
	steps := 0
	if c.steps++; c.steps > maxItems {
		return op{}, fmt.Errorf("more than %d fields: want fewer", maxItems)
	}
	for _, given := range []bool{s.Field.Name != "", s.Flags != nil, s.Skip != 0, s.If != nil, s.Repeat != nil} {
		if given {
			steps++
		}
	}
	switch {
	case steps != 1:
		return op{}, fmt.Errorf("fields: each wants exactly one of name, flags, skip, if, repeat")
	case s.Field.Path != nil || s.Field.Group != "":
		return op{}, fmt.Errorf("field %q: path is for json and group for text: want at, or nothing", s.Field.Name)
	case s.Items != nil && s.If == nil && s.Repeat == nil:
		return op{}, fmt.Errorf("field %q: fields go under if or repeat", s.Field.Name)
	case s.Flags != nil:
		return c.flags(s)
	case s.Skip < 0:
		return op{}, fmt.Errorf("skip is %d: want 1 or more", s.Skip)
	case s.Skip > 0:
		return op{kind: opSkip, skip: s.Skip}, nil
	case s.If != nil:
		return c.conditional(s, inRecord)
	case s.Repeat != nil && inRecord:
		return op{}, fmt.Errorf("repeat: a record cannot repeat parts of its own")
	case s.Repeat != nil:
		return c.repeated(s)
	}
	f, err := c.field(&s.Field)
	return op{kind: opField, field: f}, err
}

// flags makes a field of each bit that has a name; they are all read at one place.
func (c *compiler) flags(s *itemSpec) (op, error) {
	place := s.Field
	at, kind, order := place.At, place.Type, place.Order
	place.At, place.Type, place.Order = nil, "", ""
	if !reflect.ValueOf(place).IsZero() {
		return op{}, fmt.Errorf("flags: want only type, at and order beside them")
	}
	o := op{kind: opFlags}
	for _, bit := range slices.Sorted(maps.Keys(s.Flags)) {
		f, err := c.field(&fieldSpec{Name: s.Flags[bit], At: at, Type: kind, Order: order, Bits: strconv.Itoa(bit)})
		if err != nil {
			return o, fmt.Errorf("flags: %w", err)
		}
		if f.kind != unsigned {
			return o, fmt.Errorf("flags: type is %q: want u8 … u64", kind)
		}
		o.flags = append(o.flags, f)
	}
	if len(o.flags) == 0 {
		return o, fmt.Errorf("flags: want at least one, for example {0: open}")
	}
	return o, nil
}

func (c *compiler) conditional(s *itemSpec, inRecord bool) (op, error) {
	t, err := c.test(s.If)
	if err != nil {
		return op{}, fmt.Errorf("if: %w", err)
	}
	sub, err := c.items(s.Items, inRecord)
	if err == nil && len(sub) == 0 {
		err = fmt.Errorf("if: want fields")
	}
	return op{kind: opIf, test: *t, sub: sub}, err
}

func (c *compiler) repeated(s *itemSpec) (op, error) {
	spec := s.Repeat
	o := op{kind: opRepeat, repeat: repeat{count: spec.Count, countOf: -1, size: spec.Size}}
	if spec.Count < 0 || spec.Count > maxRecords || spec.Size < 0 || spec.Count > 0 && spec.CountOf != "" {
		return o, fmt.Errorf("repeat: want count within 1-%d, or count_of, or neither, and a size of 1 or more or none", maxRecords)
	}
	if spec.CountOf != "" {
		f, err := c.lookup(spec.CountOf)
		if err != nil {
			return o, fmt.Errorf("repeat: count_of: %w", err)
		}
		o.repeat.countOf = f.slot
	}
	var err error
	if o.repeat.record, err = c.record(spec.History, spec.Time, spec.Channel, s.Items); err != nil {
		return o, fmt.Errorf("repeat: %w", err)
	}
	o.repeat.own = true
	if o.sub, err = c.items(s.Items, true); err != nil {
		return o, fmt.Errorf("repeat: %w", err)
	}
	if len(o.sub) == 0 {
		return o, fmt.Errorf("repeat: want fields")
	}
	if o.repeat.clock, err = c.clock(spec.Time); err != nil {
		return o, fmt.Errorf("repeat: %w", err)
	}
	return o, nil
}
