package contractor

import (
	"bytes"
	"path"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Rules are what contractors.yaml says. They do not change after Parse. The zero Rules plan
// every day and know no batteries.
type Rules struct {
	Calendar *calendar.Calendar // whose work days are planned; nil: every day
	Stops    int
	Season   int // days

	tasks     map[grid.EventType]task
	batteries []battery
	zone      *time.Location
}

// Zone is that of the days on lists: the calendars', without any that of China.
func (r *Rules) Zone() *time.Location {
	if r.zone != nil {
		return r.zone
	}
	return time.FixedZone("UTC+8", 8*3600)
}

// Words are one text in both languages.
type Words = grid.Text

type task struct {
	Do      Words   `yaml:"do"`
	Bring   []Words `yaml:"bring"`
	Battery bool    `yaml:"battery"`
}

type battery struct {
	Profiles []string `yaml:"profiles"` // patterns of path.Match
	Type     string   `yaml:"type"`
	Count    int      `yaml:"count"`
}

type fileYAML struct {
	Rounds struct {
		Calendar string `yaml:"calendar"`
		Stops    int    `yaml:"stops"`
		Season   int    `yaml:"season"`
	} `yaml:"rounds"`
	Tasks     map[grid.EventType]task `yaml:"tasks"`
	Batteries []battery               `yaml:"batteries"`
}

// otherTask is the entry of tasks for what is not named.
const otherTask = grid.EventType("other")

// Bounds of a plan.
const (
	MaxStops  = 100
	MaxDays   = 250
	MaxSeason = 365
)

// Parse reads the rules; name is said in errors.
func Parse(name string, data []byte, calendars *calendar.Calendars) (*Rules, error) {
	var f fileYAML
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&f); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	r := &Rules{Stops: f.Rounds.Stops, Season: f.Rounds.Season, tasks: f.Tasks, batteries: f.Batteries}
	if calendars != nil {
		r.zone = calendars.Zone()
	}
	if r.Stops < 1 || r.Stops > MaxStops {
		return nil, grid.Errorf(grid.Invalid, "%s: rounds.stops is %d: want 1 to %d", name, r.Stops, MaxStops)
	}
	if r.Season < 1 || r.Season > MaxSeason {
		return nil, grid.Errorf(grid.Invalid, "%s: rounds.season is %d: want 1 to %d days", name, r.Season, MaxSeason)
	}
	if f.Rounds.Calendar != "" {
		c, err := calendars.Get(f.Rounds.Calendar)
		if err != nil {
			return nil, grid.Errorf(grid.Invalid, "%s: rounds.calendar: %w", name, err)
		}
		r.Calendar = c
	}
	for typ, t := range r.tasks {
		if t.Do.ZH == "" || t.Do.EN == "" {
			return nil, grid.Errorf(grid.Invalid, "%s: tasks.%s: do is incomplete: want zh and en", name, typ)
		}
		for _, w := range t.Bring {
			if w.ZH == "" || w.EN == "" {
				return nil, grid.Errorf(grid.Invalid, "%s: tasks.%s: bring has %+v: want zh and en", name, typ, w)
			}
		}
	}
	if _, ok := r.tasks[otherTask]; !ok {
		return nil, grid.Errorf(grid.Invalid, "%s: tasks has no %q: want what to do where nothing is said", name, otherTask)
	}
	for _, b := range r.batteries {
		if b.Type == "" || b.Count < 1 || len(b.Profiles) == 0 {
			return nil, grid.Errorf(grid.Invalid, "%s: battery %q, %d of them, of %v: want profiles, a type and a count", name, b.Type, b.Count, b.Profiles)
		}
		for _, p := range b.Profiles {
			if _, err := path.Match(p, ""); err != nil {
				return nil, grid.Errorf(grid.Invalid, "%s: profile %q: want a name or a pattern such as milesight/em300-*", name, p)
			}
		}
	}
	return r, nil
}

// Battery is what is in a device: as its own row says, else as its profile's line here; ""
// when nobody has said so.
func (r *Rules) Battery(own grid.Battery, profile string) (typ string, count int) {
	if own.Type != "" {
		return own.Type, max(1, own.Cells)
	}
	profile, _, _ = strings.Cut(profile, "@")
	for _, b := range r.batteries {
		for _, p := range b.Profiles {
			if ok, _ := path.Match(p, profile); ok {
				return b.Type, b.Count
			}
		}
	}
	return "", 1
}

// UnknownBattery stands for the type of a battery that nobody has said.
const UnknownBattery = "see label"

// ToDo is what a technician does about an event, and what he brings. withBattery says that
// the battery of the device is part of it.
func (r *Rules) ToDo(t grid.EventType) (do Words, bring []Words, withBattery bool) {
	k, ok := r.tasks[t]
	if !ok {
		k = r.tasks[otherTask]
	}
	return k.Do, k.Bring, k.Battery
}
