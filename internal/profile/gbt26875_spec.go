package profile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/gb26875"
)

// gbt26875Spec is how a maker departs from GB/T 26875.3, and what its components are.
type gbt26875Spec struct {
	Time     string                 `yaml:"time"`     // binary (default) or bcd
	Zone     string                 `yaml:"zone"`     // of the device's clock; default +08:00
	TestBit  string                 `yaml:"test_bit"` // standard (default: bit 0 of a state is 0 in a test) or inverted
	Bits     gbBitsSpec             `yaml:"bits"`     // what the maker makes of reserved bits
	Classes  map[string]gbClassSpec `yaml:"classes"`  // word → component types, which the field class says; default: those of the standard
	Objects  map[int]gbObjectSpec   `yaml:"objects"`  // by type: the maker's own, and those it lays out in its own way
	Commands map[int]gbCommandSpec  `yaml:"commands"` // the maker's own
}

// gbBitsSpec names bits of states, by what they are the state of.
type gbBitsSpec struct {
	System    map[int]string `yaml:"system"`    // of a system's state, by bit
	Component map[int]string `yaml:"component"` // of a component's state, by bit
	Device    map[int]string `yaml:"device"`    // of the transmission device's state, by bit
}

// gbClassSpec is a list of component types: 40, or 40-44.
type gbClassSpec = anyList

// gbObjectSpec says where the parts of an object are: offsets from its beginning.
type gbObjectSpec struct {
	Size      int        `yaml:"size"`      // bytes of one
	System    *int       `yaml:"system"`    // system type and address
	Component *int       `yaml:"component"` // component type, zone and position
	State     *int       `yaml:"state"`     // of two bytes; of one where there is no system
	Analog    *int       `yaml:"analog"`    // quantity and value
	Operation *int       `yaml:"operation"` // flags and operator
	Text      *int       `yaml:"text"`      // words, in GB 18030
	TextSize  int        `yaml:"text_size"` // default 31
	Time      *int       `yaml:"time"`      // of six bytes
	Fields    []itemSpec `yaml:"fields"`    // of its own, low byte first
}

// gbCommandSpec says what a command means.
type gbCommandSpec struct {
	Means  string `yaml:"means"`  // data, heartbeat, registration, answer
	Type   *int   `yaml:"type"`   // only with this object type
	Length *int   `yaml:"length"` // only with an application unit of this length
}

func (s *gbCommandSpec) UnmarshalYAML(unmarshal func(any) error) error {
	var word string
	if unmarshal(&word) == nil {
		*s = gbCommandSpec{Means: word}
		return nil
	}
	type plain gbCommandSpec
	return unmarshal((*plain)(s))
}

func (c *compiler) gbt26875(s *profileSpec) (codec, []int, error) {
	spec := s.GBT26875
	if spec == nil {
		spec = &gbt26875Spec{}
	}
	out := &gbt26875{commands: map[gb26875.Command]gbCommand{}}
	if err := out.dialect(spec); err != nil {
		return nil, nil, fmt.Errorf("gbt26875: %w", err)
	}
	classes, err := out.classify(spec.Classes)
	if err != nil {
		return nil, nil, fmt.Errorf("gbt26875: classes: %w", err)
	}
	c.gbFields(out, classes)
	if err := c.gbObjects(out, spec); err != nil {
		return nil, nil, fmt.Errorf("gbt26875: %w", err)
	}
	out.event = &clock{slot: out.slots.eventTime, unit: 1}
	return out, nil, nil
}

// dialect compiles what holds for all frames.
func (g *gbt26875) dialect(s *gbt26875Spec) error {
	switch s.Time {
	case "", "binary":
	case "bcd":
		g.times.BCD = true
	default:
		return fmt.Errorf("time is %q: want binary or bcd", s.Time)
	}
	g.times.Zone = gb26875.Beijing
	if s.Zone != "" {
		zone, err := time.Parse("-07:00", s.Zone)
		if err != nil {
			return fmt.Errorf("zone is %q: want what the device's clock is ahead of UTC, for example +08:00", s.Zone)
		}
		_, ahead := zone.Zone()
		g.times.Zone = time.Duration(ahead) * time.Second
	}
	switch s.TestBit {
	case "", "standard":
	case "inverted":
		g.testIs = 1
	default:
		return fmt.Errorf("test_bit is %q: want standard or inverted", s.TestBit)
	}
	for command, own := range s.Commands {
		compiled, err := own.compile()
		if err != nil {
			return fmt.Errorf("commands: %d: %w", command, err)
		}
		if command < 0 || command > 255 || command >= 1 && command <= 6 {
			return fmt.Errorf("commands: %d: want one that the standard leaves free: 0 or 7 to 255", command)
		}
		g.commands[gb26875.Command(command)] = compiled
	}
	return nil
}

func (s *gbCommandSpec) compile() (gbCommand, error) {
	out := gbCommand{objectType: -1, length: -1}
	switch s.Means {
	case "data":
	case "heartbeat":
		out.means = gbHeartbeat
	case "registration":
		out.means = gbRegistration
	case "answer":
		out.means = gbAnswer
	default:
		return out, fmt.Errorf("means is %q: want data, heartbeat, registration or answer", s.Means)
	}
	if s.Type != nil {
		if out.objectType = *s.Type; out.objectType < 0 || out.objectType > 255 {
			return out, fmt.Errorf("type is %d: want 0 to 255", out.objectType)
		}
	}
	if s.Length != nil {
		if out.length = *s.Length; out.length < 0 || out.length > gb26875.MaxUnit {
			return out, fmt.Errorf("length is %d: want 0 to %d", out.length, gb26875.MaxUnit)
		}
	}
	return out, nil
}

// classify numbers the classes and gives their words.
func (g *gbt26875) classify(spec map[string]gbClassSpec) (*enum, error) {
	words := map[string][]float64{"other": {gbOther}, "system": {gbSystem}, "device": {gbDevice}}
	numbers := []float64{gbOther, gbSystem, gbDevice}
	if spec == nil {
		spec = map[string]gbClassSpec{}
		for _, class := range gb26875.Classes() {
			for _, t := range class.Types {
				spec[class.Name] = append(spec[class.Name], t)
			}
		}
	}
	for _, word := range slices.Sorted(maps.Keys(spec)) {
		if !nameForm.MatchString(word) || words[word] != nil {
			return nil, fmt.Errorf("%q: want a word of a-z, 0-9 and _ that is not other, system or device", word)
		}
		n := float64(len(numbers))
		numbers, words[word] = append(numbers, n), []float64{n}
		for _, item := range spec[word] {
			lo, hi, err := span(item)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", word, err)
			}
			for t := lo; t <= hi; t++ {
				if g.classes[t] != gbOther {
					return nil, fmt.Errorf("component type %d is in two classes", t)
				}
				g.classes[t] = n
			}
		}
	}
	return &enum{numbers: numbers, words: words}, nil
}

// span reads 40 or "40-44".
func span(item any) (lo, hi int, err error) {
	low, high, isSpan := strings.Cut(fmt.Sprint(item), "-")
	lo, err = strconv.Atoi(low)
	if hi = lo; isSpan && err == nil {
		hi, err = strconv.Atoi(high)
	}
	if err != nil || lo < 0 || hi < lo || hi > 255 {
		return 0, 0, fmt.Errorf("%v: want a number of 0 to 255, or lowest-highest", item)
	}
	return lo, hi, nil
}

// gbField makes a field that the codec fills, and gives its slot.
func (c *compiler) gbField(name string, e *enum) int {
	if f := c.fields[name]; f != nil {
		return f.slot
	}
	slot := len(c.slots)
	c.slots[name] = slot
	c.fields[name] = &field{name: name, slot: slot, mul: 1, div: 1, enum: e, vital: c.vital[name]}
	return slot
}

// gbFields makes the fields that every dialect has.
func (c *compiler) gbFields(g *gbt26875, classes *enum) {
	quantities, objects := &enum{words: map[string][]float64{}}, &enum{words: map[string][]float64{}}
	for code, q := range gb26875.Quantities {
		if q.Name != "" {
			quantities.words[q.Name] = []float64{float64(code)}
		}
	}
	for t := range 256 {
		if l, ok := gb26875.Standard(byte(t)); ok {
			objects.words[l.Name] = []float64{float64(t)}
		}
	}
	s := &g.slots
	for _, f := range []struct {
		slot *int
		name string
		enum *enum
	}{
		{&s.serial, "serial", nil}, {&s.sendTime, "send_time", nil}, {&s.command, "command", nil},
		{&s.eventTime, "event_time", nil}, {&s.object, "object", objects}, {&s.class, "class", classes},
		{&s.systemType, "system_type", nil}, {&s.systemAddress, "system_address", nil},
		{&s.componentType, "component_type", nil}, {&s.zone, "zone", nil}, {&s.position, "position", nil},
		{&s.quantity, "quantity", quantities}, {&s.value, "value", nil},
		{&s.state, "state", nil}, {&s.normal, "normal", nil}, {&s.test, "test", nil}, {&s.testMode, "test_mode", nil},
		{&s.operator, "operator", nil},
	} {
		*f.slot = c.gbField(f.name, f.enum)
	}
}

// gbObjects compiles the objects of the standard, and those of the dialect over them.
func (c *compiler) gbObjects(g *gbt26875, spec *gbt26875Spec) error {
	for t := range g.objects {
		l, standard := gb26875.Standard(byte(t))
		own, isOwn := spec.Objects[t]
		if !standard && !isOwn {
			continue
		}
		if isOwn {
			var err error
			if l, err = own.layout(); err != nil {
				return fmt.Errorf("objects: %d: %w", t, err)
			}
		}
		o := &gbObject{Layout: l}
		if err := c.gbBits(o, &spec.Bits); err != nil {
			return err
		}
		order := c.order
		if c.order == "" {
			c.order = "little"
		}
		var err error
		o.items, err = c.items(own.Fields, true)
		if c.order = order; err != nil {
			return fmt.Errorf("objects: %d: %w", t, err)
		}
		g.objects[t] = o
	}
	for t := range spec.Objects {
		if t < 0 || t > 255 {
			return fmt.Errorf("objects: %d: want a type of 0 to 255", t)
		}
	}
	return nil
}

// layout checks that the parts of an object lie within it.
func (s *gbObjectSpec) layout() (gb26875.Layout, error) {
	l := gb26875.Layout{Size: s.Size, TextSize: s.TextSize}
	if s.Size < 1 || s.Size > gb26875.MaxUnit-2 {
		return l, fmt.Errorf("size is %d: want how many bytes one object has", s.Size)
	}
	if l.TextSize == 0 {
		l.TextSize = 31
	}
	state := 2
	if s.System == nil {
		state = 1
	}
	for _, p := range []struct {
		name string
		at   *int
		to   *int
		size int
	}{
		{"system", s.System, &l.System, 2}, {"component", s.Component, &l.Component, 5}, {"state", s.State, &l.State, state},
		{"analog", s.Analog, &l.Analog, 3}, {"operation", s.Operation, &l.Operation, 2}, {"text", s.Text, &l.Text, l.TextSize}, {"time", s.Time, &l.Time, 6},
	} {
		*p.to = gb26875.None
		if p.at == nil {
			continue
		}
		if *p.to = *p.at; *p.at < 0 || p.size < 1 || *p.at+p.size > s.Size {
			return l, fmt.Errorf("%s is at %d with %d bytes: want it within an object of %d", p.name, *p.at, p.size, s.Size)
		}
	}
	if l.Component != gb26875.None && l.System == gb26875.None {
		return l, fmt.Errorf("component: want system beside it")
	}
	return l, nil
}

// gbBits gives the bits and flags of an object their fields.
func (c *compiler) gbBits(o *gbObject, own *gbBitsSpec) error {
	names, where, extra := o.StateBits(), "device", own.Device
	switch {
	case o.Component != gb26875.None:
		where, extra = "component", own.Component
	case o.System != gb26875.None:
		where, extra = "system", own.System
	}
	for bit, name := range extra {
		switch {
		case bit < 1 || bit > 15 || where == "device" && bit > 7 || names[bit] != "":
			return fmt.Errorf("bits: %s: bit %d is not free", where, bit)
		case !nameForm.MatchString(name):
			return fmt.Errorf("bits: %s: %q: want a name of a-z, 0-9 and _", where, name)
		}
		names[bit] = name
	}
	flags := o.OperationFlags()
	for i, name := range names {
		if o.bits[i] = -1; name != "" {
			o.bits[i] = c.gbField(name, nil)
		}
	}
	for i, name := range flags {
		if o.flags[i] = -1; name != "" {
			o.flags[i] = c.gbField(name, nil)
		}
	}
	return nil
}
