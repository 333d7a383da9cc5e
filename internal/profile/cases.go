package profile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// casesSpec is cases.yaml: what a profile must make of given payloads, and how the
// published vectors of its model are compared.
type casesSpec struct {
	Cases   []caseSpec  `yaml:"cases"`   // payloads and what must come out of them
	Vectors *vectorSpec `yaml:"vectors"` // how published messages of the model are compared
}

type caseSpec struct {
	Name     string    `yaml:"name"`     // what it shows
	Port     *int      `yaml:"port"`     // it came on; none: not said
	Format   *uint16   `yaml:"format"`   // CoAP content format
	Path     string    `yaml:"path"`     // LwM2M path that the payload is the value of
	Received string    `yaml:"received"` // RFC 3339; for times that are relative to it
	Hex      string    `yaml:"hex"`      // the payload; spaces are ignored
	Text     string    `yaml:"text"`     // a payload of text, such as JSON
	Want     *wantSpec `yaml:"want"`     // the whole of what must come out
	Error    string    `yaml:"error"`    // the error has this in it
}

// wantSpec is the whole of what must come out: a reading it does not name is a failure.
type wantSpec struct {
	Readings map[string]any `yaml:"readings"` // signal, or signal@channel → value
	At       string         `yaml:"at"`       // the time of its own that each of readings has
	Timed    []pastSpec     `yaml:"timed"`    // live readings that have a time of their own
	History  []pastSpec     `yaml:"history"`  // readings of the past
	Suspect  []string       `yaml:"suspect"`  // which of the readings are marked
	Sequence *uint32        `yaml:"sequence"` // the device's counter
	Time     string         `yaml:"time"`     // RFC 3339
	Restart  bool           `yaml:"restart"`  // a start-up frame
	Answer   bool           `yaml:"answer"`   // an answer to a downlink
	Warnings []string       `yaml:"warnings"` // each has this in it

	Labels map[string]string `yaml:"labels"` // channel → what the device calls it
}

type pastSpec struct {
	Signal  string `yaml:"signal"`  // its name
	Value   any    `yaml:"value"`   // true, false or a number
	At      string `yaml:"at"`      // RFC 3339; none: as old as the frame
	Channel string `yaml:"channel"` // of the device, where it has several
	Suspect bool   `yaml:"suspect"` // it is marked
}

// CaseResult is how one case of a profile went.
type CaseResult struct {
	Profile string `json:"profile"`
	Case    string `json:"case"`
	OK      bool   `json:"ok"`
	Reason  string `json:"reason,omitempty"` // why not
}

// RunCases runs the cases beside the named profiles, or beside all. A profile without
// cases, or with a signal that no case shows (a condition: on both sides), is a failed
// result, not an error; the error says that an id is unknown.
func (s *Set) RunCases(ids ...string) ([]CaseResult, error) {
	list, err := s.pick(ids)
	if err != nil {
		return nil, err
	}
	var out []CaseResult
	for _, p := range list {
		spec, err := s.cases(p)
		if err == nil && len(spec.Cases) == 0 {
			err = fmt.Errorf("no cases: want each state of the device, and negative ones")
		}
		if err != nil {
			out = append(out, CaseResult{Profile: p.ID, Case: "(cases.yaml)", Reason: err.Error()})
			continue
		}
		for i := range spec.Cases {
			c := &spec.Cases[i]
			r := CaseResult{Profile: p.ID, Case: c.Name, OK: true}
			if err := c.run(p); err != nil {
				r.OK, r.Reason = false, err.Error()
			}
			out = append(out, r)
		}
		if unseen := uncovered(p, spec); unseen != nil {
			out = append(out, CaseResult{Profile: p.ID, Case: "(coverage)", Reason: "no case shows " + strings.Join(unseen, ", ")})
		}
	}
	return out, nil
}

func (s *Set) pick(ids []string) ([]*Profile, error) {
	if len(ids) == 0 {
		return s.list, nil
	}
	var list []*Profile
	for _, id := range ids {
		p, err := s.Get(id)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (s *Set) cases(p *Profile) (*casesSpec, error) {
	return readCases(s.folder[p.ID], path.Dir(p.file))
}

func readCases(fsys fs.FS, dir string) (*casesSpec, error) {
	file := path.Join(dir, casesFile)
	raw, err := fs.ReadFile(fsys, file)
	if errors.Is(err, fs.ErrNotExist) {
		return &casesSpec{}, nil
	}
	if err != nil {
		return nil, err
	}
	var spec casesSpec
	if err := parseStrict(raw, &spec); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &spec, nil
}

// Lint reads the profile in the folder dir of fsys and its cases, and runs them. It
// gives everything that is wrong, each with file, key and wish; none: it may be used.
// What the profile extends is beside it or in one of bases.
func Lint(fsys fs.FS, dir string, bases ...fs.FS) []error {
	file := path.Join(dir, profileFile)
	w := newWorkers()
	defer w.close()
	p, err := load(w, fsys, file, bases...)
	if err != nil {
		return []error{err}
	}
	s := &Set{list: []*Profile{p}, byID: map[string]*Profile{p.ID: p}, folder: map[string]fs.FS{p.ID: fsys}}
	results, err := s.RunCases()
	if err != nil {
		return []error{err}
	}
	wrong := append(unfilled(fsys, dir, profileFile), unfilled(fsys, dir, casesFile)...)
	for _, r := range results {
		if !r.OK {
			wrong = append(wrong, grid.Errorf(grid.Invalid, "%s: case %q: %s", path.Join(dir, casesFile), r.Case, r.Reason))
		}
	}
	return wrong
}

func (c *caseSpec) frame() (grid.Frame, error) {
	f := grid.Frame{Uplink: grid.Uplink{Port: -1, Path: c.Path}}
	if c.Port != nil {
		f.Port = *c.Port
	}
	if c.Format != nil {
		f.Format, f.HasFormat = *c.Format, true
	}
	if c.Received != "" {
		at, err := time.Parse(time.RFC3339, c.Received)
		if err != nil {
			return f, fmt.Errorf("received is %q: want an RFC 3339 time", c.Received)
		}
		f.Received = at.UTC()
	}
	if c.Text != "" && c.Hex != "" {
		return f, fmt.Errorf("hex and text: want one of them")
	}
	f.Payload = []byte(c.Text)
	if c.Text == "" {
		b, err := ParseHex(c.Hex)
		if err != nil {
			return f, err
		}
		f.Payload = b
	}
	return f, nil
}

// run decodes the case and compares; its error says what differs.
func (c *caseSpec) run(p *Profile) error {
	f, err := c.frame()
	if err != nil {
		return err
	}
	if c.Name == "" || (c.Want == nil) == (c.Error == "") {
		return fmt.Errorf("want a name and one of want and error")
	}
	d, err := p.Decode(f)
	switch {
	case c.Error != "" && err == nil:
		return fmt.Errorf("got no error: want one with %q", c.Error)
	case c.Error != "" && !strings.Contains(err.Error(), c.Error):
		return fmt.Errorf("got error %q: want one with %q", err, c.Error)
	case c.Error != "":
		return nil
	case err != nil:
		return err
	}
	return c.Want.compare(&d)
}

func (w *wantSpec) compare(d *grid.Decoded) error {
	if w.Restart != d.Restart || w.Answer != d.Answer {
		return fmt.Errorf("got restart %t, answer %t: want %t, %t", d.Restart, d.Answer, w.Restart, w.Answer)
	}
	if (w.Sequence != nil) != d.HasSequence || w.Sequence != nil && *w.Sequence != d.Sequence {
		return fmt.Errorf("got sequence %d (%t): want %v", d.Sequence, d.HasSequence, show(w.Sequence))
	}
	if got := formatTime(d.DeviceTime); got != w.Time {
		return fmt.Errorf("got time %q: want %q", got, w.Time)
	}
	if !maps.Equal(w.Labels, d.Labels) {
		return fmt.Errorf("got labels %q: want %q", d.Labels, w.Labels)
	}
	if err := w.compareWarnings(d.Warnings); err != nil {
		return err
	}
	return w.compareReadings(d.Readings)
}

func show(n *uint32) string {
	if n == nil {
		return "none"
	}
	return strconv.FormatUint(uint64(*n), 10)
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (w *wantSpec) compareWarnings(got []string) error {
	if len(got) != len(w.Warnings) {
		return fmt.Errorf("got warnings %q: want %d", got, len(w.Warnings))
	}
	for i, part := range w.Warnings {
		if !strings.Contains(got[i], part) {
			return fmt.Errorf("got warning %q: want one with %q", got[i], part)
		}
	}
	return nil
}

func (w *wantSpec) compareReadings(got []grid.Reading) error {
	var have, want []string
	for _, r := range got {
		have = append(have, describe(r.Signal.String(), r.Channel, valueOf(r), formatTime(r.At), r.History, r.Suspect))
	}
	for key, v := range w.Readings {
		name, channel, _ := strings.Cut(key, "@")
		want = append(want, describe(name, channel, v, w.At, false, slices.Contains(w.Suspect, key)))
	}
	for _, h := range w.Timed {
		want = append(want, describe(h.Signal, h.Channel, h.Value, h.At, false, h.Suspect))
	}
	for _, h := range w.History {
		want = append(want, describe(h.Signal, h.Channel, h.Value, h.At, true, h.Suspect))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return fmt.Errorf("got %s: want %s", strings.Join(have, ", "), cmp.Or(strings.Join(want, ", "), "no reading"))
	}
	return nil
}

func valueOf(r grid.Reading) any {
	if grid.Signals[r.Signal].Bool {
		return r.Bool()
	}
	return r.Value
}

func describe(signal, channel string, value any, at string, history, suspect bool) string {
	s := signal
	if channel != "" {
		s += "@" + channel
	}
	switch v := value.(type) {
	case bool:
		s += "=" + strconv.FormatBool(v)
	default:
		x, err := toNumber(v)
		if err != nil {
			return s + "=" + fmt.Sprint(v)
		}
		s += "=" + strconv.FormatFloat(x, 'g', 12, 64)
	}
	if at != "" {
		s += " at " + at
	}
	if history {
		s += " (history)"
	}
	if suspect {
		s += " (suspect)"
	}
	return s
}

// uncovered names the signals of a profile that no case ever shows, conditions on either side.
func uncovered(p *Profile, spec *casesSpec) []string {
	left := map[string]bool{}
	for _, r := range p.rules {
		if r.bool {
			left[r.signal.String()+" true"], left[r.signal.String()+" false"] = true, true
		} else {
			left[r.signal.String()] = true
		}
	}
	for i := range spec.Cases {
		f, err := spec.Cases[i].frame()
		if err != nil {
			continue
		}
		d, _ := p.Decode(f)
		for _, r := range d.Readings {
			name := r.Signal.String()
			if grid.Signals[r.Signal].Bool {
				name += " " + strconv.FormatBool(r.Bool())
			}
			delete(left, name)
		}
	}
	return slices.Sorted(maps.Keys(left))
}
