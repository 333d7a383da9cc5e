package profile

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"gridgate/internal/grid"
)

// binary is the codec of fixed layouts: the first layout that fits a frame reads it.
type binary struct {
	layouts     []layout
	ports       []int // all that some layout names
	anyPort     bool  // some layout names none
	ignoreOther bool
}

type layout struct {
	name    string
	ports   []int
	lengths []int
	longer  int
	shorter int // 0: any
	bytes   []byteIs
	check   check
	restart bool
	answer  bool
	rest    bool // bytes after the last field are no news
	items   []op

	evidence int // bits that a frame must have right to fit
}

type byteIs struct {
	at    int // negative from the end
	mask  int
	shift int
	is    []int
	not   []int
}

// fits reports whether a byte is one of those that the layout waits for.
func (b *byteIs) fits(c byte) bool {
	v := (int(c) & b.mask) >> b.shift
	return (b.is == nil || slices.Contains(b.is, v)) && !slices.Contains(b.not, v)
}

// portFits: a port that nobody said fits where there is only one to think of.
func portFits(ports []int, port int, only bool) bool {
	return len(ports) == 0 || slices.Contains(ports, port) || port < 0 && only
}

func (l *layout) fits(port int, payload []byte, onlyPort bool) bool {
	if !portFits(l.ports, port, onlyPort) {
		return false
	}
	if l.lengths != nil && !slices.Contains(l.lengths, len(payload)) {
		return false
	}
	if n := len(payload); n <= l.longer || l.shorter > 0 && n >= l.shorter {
		return false
	}
	for i := range l.bytes {
		b := &l.bytes[i]
		at := b.at
		if at < 0 {
			at += len(payload)
		}
		if at < 0 || at >= len(payload) || !b.fits(payload[at]) {
			return false
		}
	}
	return true
}

func (c *binary) decode(r *run, f *grid.Frame) error {
	port, payload := f.Port, f.Payload
	only := len(c.ports) == 1
	for i := range c.layouts {
		if l := &c.layouts[i]; l.fits(port, payload, only) {
			return l.decode(r, payload)
		}
	}
	return c.noLayout(r, port, payload)
}

func (c *binary) noLayout(r *run, port int, payload []byte) error {
	if !c.anyPort && !portFits(c.ports, port, len(c.ports) == 1) {
		return otherPort(r, port, c.ports, c.ignoreOther)
	}
	if name, want := c.shortest(port); len(payload) < want {
		return fmt.Errorf("layout %q: bytes %d to %d are outside a payload of %d", name, len(payload), want-1, len(payload))
	}
	return noLayoutFits(port, payload)
}

func noLayoutFits(port int, payload []byte) error {
	return fmt.Errorf("no layout is for port %s with %d bytes beginning %x", portName(port), len(payload), payload[:min(4, len(payload))])
}

// shortest finds how many bytes the choice between the layouts of a port needs at least:
// a frame with fewer is the beginning of one.
func (c *binary) shortest(port int) (name string, bytes int) {
	for i := range c.layouts {
		l := &c.layouts[i]
		if !portFits(l.ports, port, len(c.ports) == 1) {
			continue
		}
		n := 0
		if l.lengths != nil {
			n = slices.Min(l.lengths)
		}
		if l.longer > 0 {
			n = max(n, l.longer+1)
		}
		for _, b := range l.bytes {
			n = max(n, b.at+1)
		}
		if name == "" || n < bytes {
			name, bytes = l.name, n
		}
	}
	return name, bytes
}

// otherPort is what happens on a port the profile does not know.
func otherPort(r *run, port int, known []int, ignore bool) error {
	if ignore {
		r.report = true
		return nil
	}
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = strconv.Itoa(p)
	}
	return fmt.Errorf("port %s is unknown: want %s", portName(port), strings.Join(names, ", "))
}

func portName(port int) string {
	if port < 0 {
		return "(not said)"
	}
	return strconv.Itoa(port)
}

func (l *layout) decode(r *run, payload []byte) error {
	if l.check != nil {
		if err := l.check(payload); err != nil {
			return fmt.Errorf("layout %q: %w", l.name, err)
		}
	}
	r.restart, r.answer, r.report = l.restart, l.answer, !l.answer
	r.evidence += l.evidence
	w := window{payload: payload, end: len(payload)}
	if _, err := r.exec(l.items, &w, &r.top, 0); err != nil {
		return err
	}
	if w.last < len(payload) && !l.rest && !l.answer {
		r.warn("layout %q: bytes %d to %d are not read", l.name, w.last, len(payload)-1)
	}
	return nil
}

func (c *compiler) binary(s *profileSpec) (codec, []int, error) {
	if len(s.Layouts) == 0 {
		return nil, nil, fmt.Errorf("layouts: a binary profile wants at least one")
	}
	out := &binary{}
	for i := range s.Layouts {
		l, err := c.layout(&s.Layouts[i])
		if err != nil {
			return nil, nil, fmt.Errorf("layouts: %q: %w", s.Layouts[i].Name, err)
		}
		out.layouts = append(out.layouts, l)
		out.ports = append(out.ports, l.ports...)
		out.anyPort = out.anyPort || len(l.ports) == 0
	}
	slices.Sort(out.ports)
	out.ports = slices.Compact(out.ports)
	var err error
	out.ignoreOther, err = unknownPort(s.UnknownPort)
	return out, out.ports, err
}

func unknownPort(s string) (ignore bool, err error) {
	switch s {
	case "", "error":
		return false, nil
	case "ignore":
		return true, nil
	}
	return false, fmt.Errorf("unknown_port is %q: want error or ignore", s)
}

// bitsToFit is how many bits of a frame this layout is choosy about.
func (l *layout) bitsToFit() (n int) {
	if l.lengths != nil {
		n += 4
	}
	if l.check != nil {
		n += 8
	}
	for i := range l.bytes {
		fitting := 0
		for c := range 256 {
			if l.bytes[i].fits(byte(c)) {
				fitting++
			}
		}
		n += 8 - bits.Len(uint(max(fitting-1, 0)))
	}
	return n
}

func (s *byteSpec) compile(at int) (byteIs, error) {
	b := byteIs{at: at, mask: s.Mask, is: s.Is, not: s.Not}
	if b.mask == 0 {
		b.mask = 0xff
	}
	if b.mask < 0 || b.mask > 0xff || s.Is == nil && s.Not == nil {
		return b, fmt.Errorf("when: byte %d: want a value, a list of them, or {mask: 0x01 … 0xFF, is: …}", at)
	}
	b.shift = bits.TrailingZeros(uint(b.mask))
	for _, v := range slices.Concat(s.Is, s.Not) {
		if v < 0 || v > b.mask>>b.shift {
			return b, fmt.Errorf("when: byte %d is never %d: want 0 to %d", at, v, b.mask>>b.shift)
		}
	}
	return b, nil
}

func (c *compiler) layout(s *layoutSpec) (layout, error) {
	l := layout{name: s.Name, ports: s.When.Port, lengths: s.When.Length, restart: s.Restart, answer: s.Answer, rest: s.Rest == "ignore"}
	if s.Name == "" {
		return l, fmt.Errorf("want a name")
	}
	if s.Rest != "" && s.Rest != "ignore" && s.Rest != "warn" {
		return l, fmt.Errorf("rest is %q: want warn or ignore", s.Rest)
	}
	var err error
	if l.check, err = checkOf(s.Check); err != nil {
		return l, err
	}
	if s.Answer && len(s.Fields) > 0 {
		return l, fmt.Errorf("an answer carries no reading: want no fields")
	}
	if l.longer, l.shorter = s.When.Longer, s.When.Shorter; l.longer < 0 || l.shorter < 0 || l.shorter > 0 && l.longer >= l.shorter-1 {
		return l, fmt.Errorf("when: longer %d and shorter %d leave no length between them", l.longer, l.shorter)
	}
	for at, b := range s.When.Byte {
		is, err := b.compile(at)
		if err != nil {
			return l, err
		}
		l.bytes = append(l.bytes, is)
	}
	slices.SortFunc(l.bytes, func(a, b byteIs) int { return a.at - b.at })
	l.evidence = l.bitsToFit()
	l.items, err = c.items(s.Fields, false)
	return l, err
}
