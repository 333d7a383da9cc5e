package duty

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Rules are what duty.yaml says. They do not change after Parse.
type Rules struct {
	Seats  []Seat
	Beat   time.Duration
	Silent time.Duration
	Sheet  SheetRule

	priorities []grid.Priority
	seats      time.Duration
	lead       time.Duration
	call       string
}

// Seat is a place that people may sign on to.
type Seat struct {
	ID    string
	Name  grid.Text
	Scope grid.Scope
	Mode  grid.Mode
}

// SheetRule says when the nightly sheet is written, and how many nights are kept.
type SheetRule struct {
	Hour, Minute int
	Keep         int
	Zone         *time.Location
}

type scopeYAML struct {
	District  string `yaml:"district"`
	Street    string `yaml:"street"`
	Community string `yaml:"community"`
	Compound  string `yaml:"compound"`
}

type fileYAML struct {
	Seats []struct {
		ID    string    `yaml:"id"`
		Name  grid.Text `yaml:"name"`
		Scope scopeYAML `yaml:"scope"`
		Mode  grid.Mode `yaml:"mode"`
	} `yaml:"seats"`
	Beat    string `yaml:"beat"`
	Silent  string `yaml:"silent"`
	Untaken struct {
		Priorities []grid.Priority `yaml:"priorities"`
		Seats      string          `yaml:"seats"`
		Lead       string          `yaml:"lead"`
		Call       string          `yaml:"call"`
	} `yaml:"untaken"`
	Sheet struct {
		At   string `yaml:"at"`
		Keep int    `yaml:"keep"`
	} `yaml:"sheet"`
}

const (
	maxSeats = 200
	maxKeep  = 400
)

var seatID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Parse reads the rules; name is said in errors.
func Parse(name string, data []byte, calendars *calendar.Calendars) (*Rules, error) {
	var f fileYAML
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&f); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	r := &Rules{priorities: f.Untaken.Priorities, call: f.Untaken.Call, Sheet: SheetRule{Keep: f.Sheet.Keep, Zone: calendars.Zone()}}
	if err := r.takeSeats(&f); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	for _, d := range []struct {
		key, text string
		least     time.Duration
		most      time.Duration
		into      *time.Duration
	}{
		{"beat", f.Beat, time.Second, 5 * time.Minute, &r.Beat},
		{"silent", f.Silent, 2 * time.Second, 15 * time.Minute, &r.Silent},
		{"untaken.seats", f.Untaken.Seats, time.Second, time.Hour, &r.seats},
		{"untaken.lead", f.Untaken.Lead, time.Second, time.Hour, &r.lead},
	} {
		v, err := time.ParseDuration(d.text)
		if err != nil || v < d.least || v > d.most {
			return nil, grid.Errorf(grid.Invalid, "%s: %s is %q: want a duration from %s to %s", name, d.key, d.text, d.least, d.most)
		}
		*d.into = v
	}
	if r.Silent < 2*r.Beat {
		return nil, grid.Errorf(grid.Invalid, "%s: silent is %s: want at least two beats of %s", name, r.Silent, r.Beat)
	}
	for _, p := range r.priorities {
		if p < 1 || p > 4 {
			return nil, grid.Errorf(grid.Invalid, "%s: untaken.priorities has %d: want 1 to 4", name, p)
		}
	}
	if who, ok := strings.CutPrefix(r.call, "seat:"); !ok || who == "" {
		return nil, grid.Errorf(grid.Invalid, "%s: untaken.call is %q: want seat:<name> of a roster", name, r.call)
	}
	at, err := time.Parse("15:04", f.Sheet.At)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: sheet.at is %q: want a time of day such as 02:30", name, f.Sheet.At)
	}
	r.Sheet.Hour, r.Sheet.Minute = at.Hour(), at.Minute()
	if r.Sheet.Keep < 1 || r.Sheet.Keep > maxKeep {
		return nil, grid.Errorf(grid.Invalid, "%s: sheet.keep is %d: want 1 to %d nights", name, r.Sheet.Keep, maxKeep)
	}
	return r, nil
}

func (r *Rules) takeSeats(f *fileYAML) error {
	if len(f.Seats) == 0 || len(f.Seats) > maxSeats {
		return fmt.Errorf("seats has %d: want 1 to %d", len(f.Seats), maxSeats)
	}
	for _, y := range f.Seats {
		s := Seat{ID: y.ID, Name: y.Name, Scope: grid.Scope{District: y.Scope.District, Street: y.Scope.Street, Community: y.Scope.Community, Compound: y.Scope.Compound}, Mode: y.Mode}
		if s.Mode == "" {
			s.Mode = grid.Live
		}
		switch {
		case !seatID.MatchString(s.ID):
			return fmt.Errorf("seat %q: id: want small letters, digits and -", s.ID)
		case slices.ContainsFunc(r.Seats, func(o Seat) bool { return o.ID == s.ID }):
			return fmt.Errorf("seat %s is there twice: want each under its own id", s.ID)
		case s.Name.ZH == "" || s.Name.EN == "":
			return fmt.Errorf("seat %s: name is incomplete: want zh and en", s.ID)
		case !slices.Contains([]grid.Mode{grid.Live, grid.Test, grid.Exercise, grid.Simulated}, s.Mode):
			return fmt.Errorf("seat %s: mode is %q: want live, test, exercise or simulated", s.ID, s.Mode)
		}
		r.Seats = append(r.Seats, s)
	}
	return nil
}

// Seat finds a seat; false: there is none of that name.
func (r *Rules) Seat(id string) (Seat, bool) {
	if i := slices.IndexFunc(r.Seats, func(s Seat) bool { return s.ID == id }); i >= 0 {
		return r.Seats[i], true
	}
	return Seat{}, false
}

// Next is the night's writing time after t.
func (r *SheetRule) Next(t time.Time) time.Time {
	l := t.In(r.Zone)
	at := time.Date(l.Year(), l.Month(), l.Day(), r.Hour, r.Minute, 0, 0, r.Zone)
	if !at.After(t) {
		at = time.Date(l.Year(), l.Month(), l.Day()+1, r.Hour, r.Minute, 0, 0, r.Zone)
	}
	return at
}
