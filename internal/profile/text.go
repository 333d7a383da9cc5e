package profile

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"gridgate/internal/grid"
)

// The keys of a text profile.

// lineSpec is one kind of line: a regular expression, and what its groups mean.
type lineSpec struct {
	Name    string      `yaml:"name"`    // what it is, for messages
	Match   string      `yaml:"match"`   // regular expression (RE2) that finds the line; its groups are (?P<name>…)
	Pairs   *pairsSpec  `yaml:"pairs"`   // key=value pairs in the line, beside or instead of groups
	Hex     string      `yaml:"hex"`     // group of hexadecimal digits whose bytes are laid out as in layout
	Layout  []itemSpec  `yaml:"layout"`  // of hex: fields as in a binary profile
	Each    bool        `yaml:"each"`    // may come again in a frame, each with readings of its own
	History bool        `yaml:"history"` // of the past
	Time    *timeSpec   `yaml:"time"`    // with its own time
	Channel string      `yaml:"channel"` // of its own; {group} is that part of the line, # the line's number
	Restart bool        `yaml:"restart"` // comes with a start-up
	Answer  bool        `yaml:"answer"`  // answers a downlink
	Fields  []fieldSpec `yaml:"fields"`  // groups of match, or keys of pairs
}

// pairsSpec says how key=value pairs are written.
type pairsSpec struct {
	Between string `yaml:"between"` // what stands between two pairs; default: ","
	Equals  string `yaml:"equals"`  // what stands between key and value; default: "="
}

// Bounds of text. With maxSteps they keep the time of matching within the promise.
const (
	maxTextLines  = 256
	maxTextLine   = 2 << 10 // bytes, a few screens wide
	maxTextChan   = 64      // of a channel's name
	maxPattern    = 1_000   // instructions of a compiled expression
	patternCharge = 64      // byte × instructions that count as a step
)

// text is the codec of lines. The first kind of line that matches reads a line.
type text struct {
	ports       []int
	ignoreOther bool
	gb18030     bool
	unknown     string // warn, error, ignore
	lines       []textLine
}

type textLine struct {
	record
	name    string
	match   *regexp.Regexp
	size    int // instructions of match
	groups  []string
	pairs   *pairsSpec
	hex     int // group, -1: none
	layout  []op
	restart bool
	answer  bool
	fields  []textField
}

type textField struct {
	field
	key    string
	group  int // of match; -1: by key of a pair
	isTime bool
	isHex  bool
	absent []string
}

func (c *text) decode(r *run, f *grid.Frame) error {
	if !portFits(c.ports, f.Port, len(c.ports) == 1) {
		return otherPort(r, f.Port, c.ports, c.ignoreOther)
	}
	payload := f.Payload
	if c.gb18030 {
		// What is no letter becomes U+FFFD; no error is possible.
		payload, _ = simplifiedchinese.GB18030.NewDecoder().Bytes(payload)
	}
	seen := make([]bool, len(c.lines))
	n := 0
	for line := range bytes.FieldsFuncSeq(payload, func(c rune) bool { return c == '\n' || c == '\r' || c == 0 }) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if n++; n > maxTextLines || len(line) > maxTextLine {
			return fmt.Errorf("line %d has %d bytes: want at most %d lines of at most %d bytes", n, len(line), maxTextLines, maxTextLine)
		}
		if err := c.line(r, strings.ToValidUTF8(string(line), "\uFFFD"), n, seen); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if n == 0 {
		return fmt.Errorf("the payload has no lines")
	}
	return nil
}

func (c *text) line(r *run, line string, n int, seen []bool) error {
	for i := range c.lines {
		l := &c.lines[i]
		if err := r.step(1 + len(line)*l.size/patternCharge); err != nil {
			return err
		}
		found := l.match.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		// In the frame's own fields a second line would hide the first.
		if seen[i] && !l.own && len(l.fields)+len(l.layout) > 0 {
			return fmt.Errorf("%q comes again: want each: true in its profile", l.name)
		}
		seen[i] = true
		r.evidence += 8
		r.answer, r.report, r.restart = r.answer || l.answer, r.report || !l.answer, r.restart || l.restart
		return l.read(r, line, found, n)
	}
	switch c.unknown {
	case "error":
		return fmt.Errorf("%.60q is of no kind we know", line)
	case "warn":
		r.report = true
		r.warn("line %d: %.60q is of no kind we know", n, line)
	default:
		r.report = true
	}
	return nil
}

// read takes the fields out of a line that matches.
func (l *textLine) read(r *run, line string, found []string, n int) error {
	s := &r.top
	if l.own {
		s = &r.rec
		s.clear()
	}
	var pairs map[string]string
	if l.pairs != nil {
		pairs = l.pairs.cut(line)
	}
	for i := range l.fields {
		f := &l.fields[i]
		said, ok := pairs[f.key], false
		if f.group >= 0 {
			said = found[f.group]
			ok = said != ""
		} else {
			_, ok = pairs[f.key]
		}
		if !ok || slices.Contains(f.absent, said) {
			continue
		}
		if err := f.read(r, s, said); err != nil {
			return err
		}
	}
	if l.hex >= 0 {
		if err := l.readHex(r, s, found[l.hex]); err != nil {
			return err
		}
	}
	if l.own {
		rec := l.record
		rec.channel = l.channelIn(found, n)
		r.emit(s, &rec, n)
	}
	return nil
}

func (l *textLine) readHex(r *run, s *scope, digits string) error {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		return fmt.Errorf("%q: %.40q is no hexadecimal", l.name, digits)
	}
	w := window{payload: b, end: len(b)}
	_, err = r.exec(l.layout, &w, s, 0)
	return err
}

// cut takes key=value pairs out of a line. Of a key that comes twice the first is kept.
func (p *pairsSpec) cut(line string) map[string]string {
	pairs := map[string]string{}
	for part := range strings.SplitSeq(line, p.Between) {
		key, value, ok := strings.Cut(part, p.Equals)
		key = strings.TrimSpace(key)
		if _, known := pairs[key]; ok && !known {
			pairs[key] = strings.TrimSpace(value)
		}
	}
	return pairs
}

// channelIn fills what the line says into the name of its channel.
func (l *textLine) channelIn(found []string, n int) string {
	if !strings.ContainsAny(l.channel, "{#") {
		return l.channel
	}
	name := strings.ReplaceAll(l.channel, "#", strconv.Itoa(n))
	for i, group := range l.groups {
		if group != "" {
			name = strings.ReplaceAll(name, "{"+group+"}", strings.ReplaceAll(found[i], "#", ""))
		}
	}
	return name[:min(len(name), maxTextChan)]
}

func (f *textField) read(r *run, s *scope, said string) error {
	switch {
	case f.isTime:
		at, ok := parseWrittenTime(said)
		if !ok {
			return f.unreadable(r, fmt.Sprintf("%.40q is no date", said))
		}
		return f.store(r, s, float64(at.UnixMicro())/1e6)
	case f.isHex:
		v, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(said), "0x"), 16, 64)
		return f.put(r, s, float64(v), err == nil)
	case f.enum != nil && f.enum.texts != nil && len(f.enum.numbers) == 0:
		v, ok := f.enum.texts[said]
		if !ok {
			return f.unreadable(r, fmt.Sprintf("%.40q is none of %s", said, f.enum))
		}
		return f.store(r, s, v)
	}
	v, err := strconv.ParseFloat(said, 64)
	if err != nil {
		return f.unreadable(r, fmt.Sprintf("%.40q is no number", said))
	}
	return f.put(r, s, v, true)
}

// parseWrittenTime reads RFC 3339, or a date and time whose 14 or 12 digits stand in the
// order of a calendar, whatever is between them: "2026-05-01 12:30:05", "260501123005".
func parseWrittenTime(s string) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, true
	}
	digits := strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, s)
	for _, form := range []string{"20060102150405", "060102150405"} {
		if at, err := time.Parse(form, digits); len(digits) == len(form) && err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func (c *compiler) text(s *profileSpec) (codec, []int, error) {
	out := &text{ports: s.Ports, unknown: s.UnknownLine}
	switch s.Encoding {
	case "", "utf-8":
	case "gb18030":
		out.gb18030 = true
	default:
		return nil, nil, fmt.Errorf("encoding is %q: want utf-8 or gb18030", s.Encoding)
	}
	switch s.UnknownLine {
	case "":
		out.unknown = "warn"
	case "warn", "error", "ignore":
	default:
		return nil, nil, fmt.Errorf("unknown_line is %q: want warn, error or ignore", s.UnknownLine)
	}
	if len(s.Lines) == 0 {
		return nil, nil, fmt.Errorf("lines: a text profile wants at least one")
	}
	for i := range s.Lines {
		l, err := c.textLine(&s.Lines[i])
		if err != nil {
			return nil, nil, fmt.Errorf("lines: %q: %w", s.Lines[i].Name, err)
		}
		out.lines = append(out.lines, l)
	}
	var err error
	out.ignoreOther, err = unknownPort(s.UnknownPort)
	return out, s.Ports, err
}

func (c *compiler) textLine(s *lineSpec) (textLine, error) {
	l := textLine{name: s.Name, hex: -1, restart: s.Restart, answer: s.Answer}
	own := s.Each || s.History || s.Time != nil || s.Channel != ""
	l.record = record{own: own, history: s.History, channel: s.Channel}
	switch {
	case s.Name == "":
		return l, fmt.Errorf("want a name")
	case s.Match == "" && s.Pairs == nil:
		return l, fmt.Errorf("want match, a regular expression, or pairs")
	case s.Answer && len(s.Fields)+len(s.Layout) > 0:
		return l, fmt.Errorf("an answer carries no reading: want no fields")
	case own && len(s.Fields)+len(s.Layout) == 0:
		return l, fmt.Errorf("each, history, time and channel are for fields: want some")
	case (s.Hex == "") != (s.Layout == nil):
		return l, fmt.Errorf("hex and layout: want both or none")
	}
	var err error
	if l.match, l.size, err = compilePattern(s.Match); err != nil {
		return l, err
	}
	l.groups = l.match.SubexpNames()
	if s.Pairs != nil {
		l.pairs = &pairsSpec{Between: s.Pairs.Between, Equals: s.Pairs.Equals}
		if l.pairs.Between == "" {
			l.pairs.Between = ","
		}
		if l.pairs.Equals == "" {
			l.pairs.Equals = "="
		}
	}
	for i := range s.Fields {
		f, err := c.textField(&s.Fields[i], &l)
		if err != nil {
			return l, err
		}
		l.fields = append(l.fields, f)
	}
	if s.Hex != "" {
		if l.hex = slices.Index(l.groups, s.Hex); l.hex < 0 {
			return l, fmt.Errorf("hex: %w", l.noGroup(s.Hex))
		}
		if l.layout, err = c.items(s.Layout, own); err != nil {
			return l, fmt.Errorf("layout: %w", err)
		}
	}
	for _, part := range channelPart.FindAllStringSubmatch(s.Channel, -1) {
		if !slices.Contains(l.groups, part[1]) {
			return l, fmt.Errorf("channel: %w", l.noGroup(part[1]))
		}
	}
	l.clock, err = c.clock(s.Time)
	return l, err
}

func (l *textLine) noGroup(name string) error {
	var known []string
	for _, g := range l.groups {
		if g != "" {
			known = append(known, g)
		}
	}
	return fmt.Errorf("no group is called %q: match has %s", name, strings.Join(known, ", "))
}

// compilePattern refuses expressions that are large enough to be slow.
func compilePattern(pattern string) (*regexp.Regexp, int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, 0, fmt.Errorf("match: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, 0, fmt.Errorf("match: %w", err)
	}
	if n := len(program.Inst); n > maxPattern {
		return nil, 0, fmt.Errorf("match: %.40q is of %d steps: want at most %d", pattern, n, maxPattern)
	}
	compiled, err := regexp.Compile(pattern)
	return compiled, len(program.Inst), err
}

func (c *compiler) textField(s *fieldSpec, l *textLine) (textField, error) {
	f := textField{key: s.Group, isTime: s.Type == "time", isHex: s.Type == "hex"}
	if f.key == "" {
		f.key = s.Name
	}
	switch {
	case s.At != nil || s.Bits != "" || s.Mask != 0 || s.Order != "" || s.Path != nil:
		return f, fmt.Errorf("field %q: at, bits, mask and order are for bytes, path for json: want group", s.Name)
	case s.Type != "" && !f.isTime && !f.isHex:
		return f, fmt.Errorf("field %q: type is %q: want time, hex, or none", s.Name, s.Type)
	}
	f.group = slices.Index(l.groups, f.key)
	if f.group < 0 && l.pairs == nil {
		return f, fmt.Errorf("field %q: %w", s.Name, l.noGroup(f.key))
	}
	plain := *s
	plain.Type, plain.Group, plain.Absent = "", "", nil
	for _, a := range s.Absent {
		if word, ok := a.(string); ok {
			f.absent = append(f.absent, word)
		} else {
			plain.Absent = append(plain.Absent, a)
		}
	}
	var err error
	f.field, err = c.field(&plain)
	return f, err
}
