package profile

import (
	"fmt"
	"strings"
	"time"

	rtu "github.com/goburrow/modbus"
)

// modbusSpec is what is read from a unit, and where the fields are in it.
type modbusSpec struct {
	Numbering string            `yaml:"numbering"` // zero (default): as on the wire; one: as data sheets count, 1 or 40001 for the first
	Words     string            `yaml:"words"`     // big (default) or little: which register of a wide value comes first
	Polls     []pollSpec        `yaml:"polls"`     // the requests that are sent
	Fields    []modbusFieldSpec `yaml:"fields"`    // where the values are in the answers
}

type pollSpec struct {
	Name     string `yaml:"name"`     // for a field to refer to
	Function int    `yaml:"function"` // 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers
	Start    int    `yaml:"start"`    // the first bit or register
	Count    int    `yaml:"count"`    // how many
	Every    string `yaml:"every"`    // for example 10s
	Address  int    `yaml:"address"`  // of the unit, where it is not that of the device
}

// modbusFieldSpec is a field at a bit or at a register.
type modbusFieldSpec struct {
	Field    fieldSpec `yaml:",inline"`
	Poll     string    `yaml:"poll"`     // where several polls read it
	Bit      *int      `yaml:"bit"`      // which coil or input
	Register *int      `yaml:"register"` // which register it begins at
	Words    string    `yaml:"words"`    // big or little; default: that of modbus
}

func (c *compiler) modbus(s *profileSpec) (codec, []int, error) {
	out := &modbusCodec{rtu: rtu.NewRTUClientHandler("")}
	spec := s.Modbus
	if spec == nil || len(spec.Polls) == 0 {
		return nil, nil, fmt.Errorf("modbus: polls: want at least one")
	}
	if spec.Numbering != "" && spec.Numbering != "zero" && spec.Numbering != "one" {
		return nil, nil, fmt.Errorf("modbus: numbering is %q: want zero or one", spec.Numbering)
	}
	for i := range spec.Polls {
		if err := out.addPoll(&spec.Polls[i], spec.Numbering == "one", s.Interval); err != nil {
			return nil, nil, fmt.Errorf("modbus: polls: %q: %w", spec.Polls[i].Name, err)
		}
	}
	for i := range spec.Fields {
		if err := c.modbusField(out, &spec.Fields[i], spec); err != nil {
			return nil, nil, fmt.Errorf("modbus: fields: %q: %w", spec.Fields[i].Field.Name, err)
		}
	}
	for i := range out.polls {
		if len(out.polls[i].fields) == 0 {
			return nil, nil, fmt.Errorf("modbus: polls: %q: no field is read from it", out.polls[i].Name)
		}
	}
	return out, nil, nil
}

func (m *modbusCodec) addPoll(s *pollSpec, fromOne bool, interval string) error {
	p := Poll{Name: s.Name, Function: byte(s.Function), Address: byte(s.Address), Count: uint16(s.Count)}
	most := 2000
	if !p.bits() {
		most = 125
	}
	switch {
	case s.Name == "" || m.named(s.Name) != nil:
		return fmt.Errorf("want a name of its own")
	case s.Function < 1 || s.Function > 4:
		return fmt.Errorf("function is %d: want 1, 2, 3 or 4", s.Function)
	case s.Count < 1 || s.Count > most:
		return fmt.Errorf("count is %d: want 1 to %d", s.Count, most)
	case s.Address < 0 || s.Address > 255:
		return fmt.Errorf("address is %d: want 1 to 255", s.Address)
	}
	start, err := onWire(s.Start, s.Function, fromOne)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if start+s.Count > 1<<16 {
		return fmt.Errorf("count is %d: want no more than there are from %d", s.Count, s.Start)
	}
	p.Start = uint16(start)
	if p.Every, err = time.ParseDuration(s.Every); err != nil || p.Every < 100*time.Millisecond {
		return fmt.Errorf("every is %q: want how often it is read, for example 10s", s.Every)
	}
	// Frames without a counter that come within 45 % of the interval and are the same are
	// taken for repeats; an answer to a poll never is one.
	if d, err := time.ParseDuration(interval); err == nil && d > 2*p.Every {
		return fmt.Errorf("every is %s and the profile's interval %s: want an interval of at most twice that", s.Every, interval)
	}
	for i := range m.polls {
		if o := &m.polls[i]; o.Function == p.Function && o.Start == p.Start && o.Count == p.Count && (o.Address == p.Address || o.Address == 0 || p.Address == 0) {
			return fmt.Errorf("reads the same as poll %q", o.Name)
		}
	}
	m.polls = append(m.polls, modbusPoll{Poll: p})
	return nil
}

func (m *modbusCodec) named(name string) *modbusPoll {
	for i := range m.polls {
		if m.polls[i].Name == name {
			return &m.polls[i]
		}
	}
	return nil
}

// onWire gives the number of a bit or register as requests have it, from 0. Data sheets
// count from 1 and often put the kind in front: 00001 coils, 10001 discrete inputs, 40001
// holding registers, 30001 input registers; or the same with six digits.
func onWire(n, function int, fromOne bool) (int, error) {
	if !fromOne {
		if n < 0 || n > 0xffff {
			return 0, fmt.Errorf("%d is no number on the wire: want 0 to 65535, or numbering: one", n)
		}
		return n, nil
	}
	kind := [5]int{1: 0, 2: 1, 3: 4, 4: 3}[function]
	for _, digit := range []int{10_000, 100_000} {
		if first := kind*digit + 1; n >= first && n < first+min(digit-1, 1<<16) {
			return n - first, nil
		}
	}
	if n >= 1 && n < 10_000 {
		return n - 1, nil
	}
	return 0, fmt.Errorf("%d is none of function %d: want 1 to 9999, or %d0001 and up", n, function, kind)
}

func (c *compiler) modbusField(m *modbusCodec, s *modbusFieldSpec, spec *modbusSpec) error {
	plain, isBit := s.Field, s.Bit != nil
	switch {
	case isBit == (s.Register != nil):
		return fmt.Errorf("want one of bit and register")
	case plain.At != nil || plain.Path != nil:
		return fmt.Errorf("at and path are for other codecs: want bit or register")
	case isBit && (plain.Type != "" || plain.Bits != "" || plain.Mask != 0 || plain.Order != "" || s.Words != ""):
		return fmt.Errorf("a bit has no type, bits, mask, order or words")
	case !isBit && plain.Type == "":
		plain.Type = "u16"
	}
	compiled, err := c.field(&plain)
	if err != nil {
		return err
	}
	x := modbusField{field: compiled, littleBytes: compiled.little}
	x.little = false // raw gets the bytes in order
	number, wide := s.Bit, 1
	if !isBit {
		if number, wide = s.Register, x.size/2; x.size%2 != 0 {
			return fmt.Errorf("type is %q: want one of whole registers, u16 to f64; bits takes a part of it", plain.Type)
		}
	}
	words := s.Words
	if words == "" {
		words = spec.Words
	}
	switch words {
	case "", "big":
	case "little":
		x.littleWords = true
	default:
		return fmt.Errorf("words is %q: want big or little", words)
	}
	p, err := m.pollOf(s.Poll, *number, wide, isBit, spec.Numbering == "one")
	if err != nil {
		return err
	}
	at, _ := onWire(*number, int(p.Function), spec.Numbering == "one")
	x.at = at - int(p.Start)
	p.fields = append(p.fields, x)
	return nil
}

// pollOf finds the one poll that reads a bit or the registers of a field.
func (m *modbusCodec) pollOf(name string, number, wide int, isBit, fromOne bool) (*modbusPoll, error) {
	if name != "" && m.named(name) == nil {
		return nil, fmt.Errorf("poll is %q: want one of the profile's polls", name)
	}
	var found []*modbusPoll
	var names []string
	for i := range m.polls {
		p := &m.polls[i]
		if name != "" && p.Name != name || p.bits() != isBit {
			continue
		}
		at, err := onWire(number, int(p.Function), fromOne)
		if err != nil || at < int(p.Start) || at+wide > int(p.Start)+int(p.Count) {
			continue
		}
		found, names = append(found, p), append(names, p.Name)
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%d is read by no poll: want one whose start and count hold all of it", number)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%d is read by %s: want poll to name one", number, strings.Join(names, " and "))
}
