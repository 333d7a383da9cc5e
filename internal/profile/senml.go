package profile

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"gridgate/internal/grid"
)

// Content formats of CoAP, as IANA lists them.
const (
	formatText      = 0
	formatOctets    = 42
	formatCBOR      = 60
	formatSenMLJSON = 110
	formatSenMLCBOR = 112
	formatTLV       = 11542
	formatOldJSON   = 11543
)

// senml is the codec of SenML packs (RFC 8428). The content format says whether a pack is
// JSON or CBOR; where nobody says it the profile does. It is never guessed from bytes.
type senml struct {
	format int // where the frame does not say; -1: none
	shape  packShape
	names  []namePattern // of shape.fields
	ignore []namePattern
	reader *packReader
	packs  sync.Pool // *pack
}

func (c *senml) decode(r *run, f *grid.Frame) error {
	format, err := formatOf(f, c.format)
	if err != nil {
		return err
	}
	if format != formatSenMLJSON && format != formatSenMLCBOR {
		return fmt.Errorf("content format %d is no SenML: want %d (JSON) or %d (CBOR)", format, formatSenMLJSON, formatSenMLCBOR)
	}
	r.report = true
	p, _ := c.packs.Get().(*pack)
	if p == nil {
		p = &pack{}
	}
	defer c.packs.Put(p)
	p.start(f)
	if err := c.reader.read(r, p, f.Payload, format, func(e *entry) error { return c.take(p, e) }); err != nil {
		return err
	}
	return p.spread(r, &c.shape)
}

// formatOf is the content format of a frame, or else the one the profile gives.
func formatOf(f *grid.Frame, otherwise int) (int, error) {
	switch {
	case f.HasFormat:
		return int(f.Format), nil
	case otherwise < 0:
		return 0, fmt.Errorf("the content format is not said: want it with the frame, or format in the profile")
	}
	return otherwise, nil
}

// take gives a value to the first field whose path fits its name.
func (c *senml) take(p *pack, e *entry) error {
	for i := range c.names {
		if c.names[i].fits(e.name) {
			p.known++
			p.heard = append(p.heard, heard{field: c.shape.fields[i], rec: -1, at: e.at, unit: e.unit, value: e.value})
			return nil
		}
	}
	if slices.ContainsFunc(c.ignore, func(n namePattern) bool { return n.fits(e.name) }) {
		p.known++
		return nil
	}
	p.unknown(string(e.name))
	return nil
}

// namePattern is a name, or one with a * in it that stands for any text. At the beginning
// it stands for the device, whole: it ends at a : or a /, so that "*level" is
// "urn:dev:mac:1:level" and "level", and not "battery_level".
type namePattern struct {
	before, after string
	star          bool
}

func compileName(s string) (namePattern, error) {
	before, after, star := strings.Cut(s, "*")
	if s == "" || strings.Contains(after, "*") {
		return namePattern{}, fmt.Errorf("path is %q: want a name, with at most one * for any text", s)
	}
	return namePattern{before, after, star}, nil
}

func (n *namePattern) fits(name []byte) bool {
	if !n.star {
		return string(name) == n.before
	}
	rest := len(name) - len(n.after)
	if rest < len(n.before) || string(name[:len(n.before)]) != n.before || string(name[rest:]) != n.after {
		return false
	}
	whole := func(c byte) bool { return c == ':' || c == '/' }
	return n.before != "" || rest == 0 || whole(name[rest-1]) || n.after == "" || whole(n.after[0])
}

// senml compiles a senml profile.
func (c *compiler) senml(s *profileSpec) (codec, []int, error) {
	out := &senml{}
	var err error
	switch s.Format {
	case "":
		out.format = -1
	case "json":
		out.format = formatSenMLJSON
	case "cbor":
		out.format = formatSenMLCBOR
	default:
		return nil, nil, fmt.Errorf("format is %q: want json or cbor", s.Format)
	}
	if len(s.Fields) == 0 {
		return nil, nil, fmt.Errorf("fields: a senml profile wants at least one")
	}
	for i := range s.Fields {
		if err := c.senmlField(out, &s.Fields[i]); err != nil {
			return nil, nil, err
		}
	}
	if err := c.inverts(&out.shape, s.Fields); err != nil {
		return nil, nil, err
	}
	for _, name := range s.Ignore {
		n, err := compileName(name)
		if err != nil {
			return nil, nil, fmt.Errorf("ignore: %w", err)
		}
		out.ignore = append(out.ignore, n)
	}
	out.reader, err = newPackReader()
	return out, nil, err
}

func (c *compiler) senmlField(out *senml, s *fieldSpec) error {
	if s.Type != "" {
		return fmt.Errorf("field %q: type is %q: want none, the values of SenML say theirs", s.Name, s.Type)
	}
	f, err := c.packField(s, wireAny)
	if err != nil {
		return err
	}
	name := s.Name
	if s.Path != nil {
		name = strings.Join(s.Path, ".")
	}
	pattern, err := compileName(name)
	if err != nil {
		return fmt.Errorf("field %q: %w", s.Name, err)
	}
	out.shape.fields, out.names = append(out.shape.fields, f), append(out.names, pattern)
	return nil
}
