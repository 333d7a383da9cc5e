package hazard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Kind is one kind of hazard: what is asked about it, how bad it is, who rectifies it, and
// by when.
type Kind struct {
	Name             string
	TitleZH, TitleEN string
	Level            string // general or major
	Priority         grid.Priority
	Units            []grid.UnitKind // of the first kind that has one for the place
	Deadline         Limit           // found → rectified
	Recheck          Limit           // rectified → closed
	Questions        []Question
}

// Question of a check-list. The answer Danger speaks of the hazard: with it no re-check passes.
type Question struct {
	ID     string `yaml:"id"`
	ZH     string `yaml:"zh"`
	EN     string `yaml:"en"`
	Danger string `yaml:"danger"` // yes or no
}

// Limit is how long something may take: hours of a calendar, or all hours.
type Limit struct {
	For      time.Duration
	Calendar *calendar.Calendar // nil: all hours
}

// End is when a limit that begins at from is over.
func (l Limit) End(from time.Time) time.Time {
	if l.Calendar == nil {
		return from.Add(l.For)
	}
	return l.Calendar.Add(from, l.For)
}

// Share is when so many percent of the time between two moments are over, in the hours
// that count.
func (l Limit) Share(from, to time.Time, percent int) time.Time {
	if l.Calendar == nil {
		return from.Add(to.Sub(from) * time.Duration(percent) / 100)
	}
	return l.Calendar.Add(from, l.Calendar.Between(from, to)*time.Duration(percent)/100)
}

// Repetition makes a hazard of an event that sensors raise again and again at one point.
type Repetition struct {
	Event  grid.EventType `yaml:"event"`
	Times  int            `yaml:"times"`
	Within time.Duration  `yaml:"within"`
	Kind   string         `yaml:"kind"`
}

// Kinds are the kinds of a gateway. They do not change after Parse.
type Kinds struct {
	file  string
	kinds map[string]*Kind
	from  []Repetition
}

// Get gives a kind by its name.
func (ks *Kinds) Get(name string) (*Kind, error) {
	if k, ok := ks.kinds[name]; ok {
		return k, nil
	}
	return nil, grid.Errorf(grid.Invalid, "kind is %q: want one of %s", name, strings.Join(ks.Names(), ", "))
}

// Names are the names of all kinds, sorted.
func (ks *Kinds) Names() []string { return slices.Sorted(maps.Keys(ks.kinds)) }

// From gives the repetitions of an event that make a hazard.
func (ks *Kinds) From(t grid.EventType) (out []Repetition) {
	for _, r := range ks.from {
		if r.Event == t {
			out = append(out, r)
		}
	}
	return out
}

// RepeatWithin is how long after a hazard was found another of its kind at its point is a
// repetition.
const RepeatWithin = 30 * 24 * time.Hour

// The file as it is written.
type fileYAML struct {
	Kinds map[string]kindYAML `yaml:"kinds"`
	From  []Repetition        `yaml:"from_events"`
}

type kindYAML struct {
	TitleZH   string          `yaml:"title_zh"`
	TitleEN   string          `yaml:"title_en"`
	Level     string          `yaml:"level"`
	Priority  string          `yaml:"priority"`
	Units     []grid.UnitKind `yaml:"units"`
	Deadline  limitYAML       `yaml:"deadline"`
	Recheck   limitYAML       `yaml:"recheck"`
	Questions []Question      `yaml:"questions"`
}

type limitYAML struct {
	Urgent   time.Duration `yaml:"urgent"`
	WorkDay  float64       `yaml:"work_day"`
	Calendar string        `yaml:"calendar"`
}

// Parse reads a file of kinds. name stands in errors, which name the key and the wish.
// Unknown keys are errors. raised says which events sensors raise; nil asks nobody.
func Parse(name string, data []byte, calendars *calendar.Calendars, raised func(grid.EventType) bool) (*Kinds, error) {
	var f fileYAML
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: a second document: want one", name)
	}
	ks := &Kinds{file: name, kinds: map[string]*Kind{}, from: f.From}
	for _, n := range slices.Sorted(maps.Keys(f.Kinds)) {
		k, err := f.Kinds[n].kind(n, calendars)
		if err != nil {
			return nil, grid.Errorf(grid.Invalid, "%s: kinds.%s%w", name, n, err)
		}
		ks.kinds[n] = k
	}
	if len(ks.kinds) == 0 {
		return nil, grid.Errorf(grid.Invalid, "%s: kinds is empty: want at least one", name)
	}
	for i, r := range f.From {
		if err := ks.repetition(&r, raised); err != nil {
			return nil, grid.Errorf(grid.Invalid, "%s: from_events[%d].%w", name, i, err)
		}
	}
	return ks, nil
}

var wordForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (y kindYAML) kind(name string, calendars *calendar.Calendars) (*Kind, error) {
	k := &Kind{Name: name, TitleZH: y.TitleZH, TitleEN: y.TitleEN, Level: y.Level, Units: y.Units, Questions: y.Questions}
	for p := grid.Priority(2); p <= 4; p++ {
		if y.Priority == p.String() {
			k.Priority = p
		}
	}
	switch {
	case !wordForm.MatchString(name):
		return nil, errors.New(": want a name of small letters, digits and _")
	case y.TitleZH == "" || y.TitleEN == "":
		return nil, errors.New(".title_zh or title_en is missing: want both")
	case y.Level != "general" && y.Level != "major":
		return nil, fmt.Errorf(".level is %q: want general or major", y.Level)
	case k.Priority == 0:
		return nil, fmt.Errorf(".priority is %q: want P2, P3 or P4; what is P1 is an alarm", y.Priority)
	case len(y.Units) == 0:
		return nil, errors.New(".units is empty: want the kinds of unit that rectify it")
	case len(y.Questions) == 0:
		return nil, errors.New(".questions is empty: want what to look at")
	}
	for _, u := range y.Units {
		if !slices.Contains(rectifiers, u) {
			return nil, fmt.Errorf(".units: %q: want some of %v", u, rectifiers)
		}
	}
	seen := map[string]bool{}
	for i, q := range y.Questions {
		if !wordForm.MatchString(q.ID) || seen[q.ID] || q.ZH == "" || q.EN == "" || q.Danger != Yes && q.Danger != No {
			return nil, fmt.Errorf(".questions[%d] is %+v: want an id of its own, zh and en, and danger: yes or no", i, q)
		}
		seen[q.ID] = true
	}
	var err error
	if k.Deadline, err = y.Deadline.limit(calendars); err != nil {
		return nil, fmt.Errorf(".deadline%w", err)
	}
	if k.Recheck, err = y.Recheck.limit(calendars); err != nil {
		return nil, fmt.Errorf(".recheck%w", err)
	}
	return k, nil
}

var rectifiers = []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.UrbanManagement, grid.Utility, grid.Property, grid.Committee, grid.Maintenance, grid.Operator}

func (y limitYAML) limit(calendars *calendar.Calendars) (Limit, error) {
	switch {
	case y.Urgent > 0 && y.WorkDay == 0 && y.Calendar == "":
		return Limit{For: y.Urgent}, nil
	case y.Urgent != 0 || y.WorkDay <= 0:
		return Limit{}, fmt.Errorf(" is {urgent: %s, work_day: %g, calendar: %q}: want {work_day: 3}, also with a calendar, or {urgent: 24h}", y.Urgent, y.WorkDay, y.Calendar)
	}
	c, err := calendars.Get(y.Calendar)
	if err != nil {
		return Limit{}, fmt.Errorf(".calendar: %w", err)
	}
	return Limit{For: time.Duration(y.WorkDay * float64(c.DayLength())).Round(time.Second), Calendar: c}, nil
}

func (ks *Kinds) repetition(r *Repetition, raised func(grid.EventType) bool) error {
	switch {
	case r.Event == "" || raised != nil && !raised(r.Event):
		return fmt.Errorf("event is %q: want one that the rules raise at a point", r.Event)
	case r.Times < 2:
		return fmt.Errorf("times is %d: want 2 or more", r.Times)
	case r.Within <= 0 || r.Within > maxWithin:
		return fmt.Errorf("within is %s: want more than 0s, at most %s", r.Within, maxWithin)
	case ks.kinds[r.Kind] == nil:
		return fmt.Errorf("kind is %q: want one of %s", r.Kind, strings.Join(ks.Names(), ", "))
	}
	return nil
}

// maxWithin bounds how many episodes have to be looked at.
const maxWithin = 90 * 24 * time.Hour
