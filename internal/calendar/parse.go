package calendar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

// Default is the calendar that a limit in work hours means if it names none.
const Default = "office"

// Calendars are the calendars of a gateway. They do not change after Parse.
type Calendars struct {
	file   string
	all    map[string]*Calendar
	shifts []Shift
	zone   *time.Location
}

// Get gives a calendar by its name; the empty name is the default.
func (cs *Calendars) Get(name string) (*Calendar, error) {
	if name == "" {
		name = Default
	}
	if c, ok := cs.all[name]; ok {
		return c, nil
	}
	return nil, grid.Errorf(grid.NotFound, "%s: no calendar %q: want one of %s", cs.file, name, strings.Join(cs.Names(), ", "))
}

// Names are the names of all, sorted.
func (cs *Calendars) Names() []string { return slices.Sorted(maps.Keys(cs.all)) }

// Unknown gives the first year from now on, within ahead, whose public holidays no
// calendar knows; 0 when all is known.
func (cs *Calendars) Unknown(now time.Time, ahead time.Duration) int {
	for _, at := range []time.Time{now, now.Add(ahead)} {
		for _, c := range cs.all {
			if !c.Known(at) {
				return at.In(c.zone).Year()
			}
		}
	}
	return 0
}

// The file as it is written.
type fileYAML struct {
	Zone      string                  `yaml:"zone"`
	Holidays  map[int]yearYAML        `yaml:"holidays"`
	Calendars map[string]calendarYAML `yaml:"calendars"`
	Shifts    map[string]string       `yaml:"shifts"`
}

type yearYAML struct {
	Source string    `yaml:"source"`
	Off    []offYAML `yaml:"off"`
}

type offYAML struct {
	Name   string   `yaml:"name"`
	From   string   `yaml:"from"`
	To     string   `yaml:"to"`
	Worked []string `yaml:"worked"`
}

type calendarYAML struct {
	Days     []string `yaml:"days"`
	Hours    []string `yaml:"hours"`
	Holidays bool     `yaml:"holidays"`
}

// Parse reads a file of calendars. name stands in errors, which name the key and the wish.
// Unknown keys are errors.
func Parse(name string, data []byte) (*Calendars, error) {
	var f fileYAML
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	cs, err := f.calendars(name)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	return cs, nil
}

func (f *fileYAML) calendars(name string) (*Calendars, error) {
	zone, err := time.LoadLocation(f.Zone)
	if err != nil || f.Zone == "" {
		return nil, fmt.Errorf("zone is %q: want one such as Asia/Shanghai", f.Zone)
	}
	days := holidays{off: map[date]string{}, work: map[date]string{}}
	for _, year := range slices.Sorted(maps.Keys(f.Holidays)) {
		if err := days.add(year, f.Holidays[year]); err != nil {
			return nil, fmt.Errorf("holidays.%d.%w", year, err)
		}
	}
	cs := &Calendars{file: name, all: map[string]*Calendar{}, zone: zone}
	if cs.shifts, err = parseShifts(f.Shifts); err != nil {
		return nil, err
	}
	for _, n := range slices.Sorted(maps.Keys(f.Calendars)) {
		c, err := f.Calendars[n].calendar()
		if err != nil {
			return nil, fmt.Errorf("calendars.%s.%w", n, err)
		}
		c.Name, c.zone = n, zone
		if f.Calendars[n].Holidays {
			c.holidays = &days
		}
		cs.all[n] = c
	}
	if cs.all[Default] == nil {
		return nil, fmt.Errorf("calendars has no %q: want it, since limits in work hours mean it", Default)
	}
	return cs, nil
}

func (h *holidays) add(year int, y yearYAML) error {
	h.years = append(h.years, year)
	for i, o := range y.Off {
		at := fmt.Sprintf("off[%d]", i)
		if o.Name == "" {
			return fmt.Errorf("%s.name is empty: want the name of the holiday", at)
		}
		from, err := parseDate(o.From, year)
		if err != nil {
			return fmt.Errorf("%s.from %w", at, err)
		}
		to := from
		if o.To != "" {
			if to, err = parseDate(o.To, year); err != nil {
				return fmt.Errorf("%s.to %w", at, err)
			}
		}
		n := 0
		for d := from; d != to.add(1); d = d.add(1) {
			if n++; n > 31 {
				return fmt.Errorf("%s.to is %s: want a day at most a month after %s", at, o.To, o.From)
			}
			h.off[d] = o.Name
		}
		for _, w := range o.Worked {
			d, err := parseDate(w, year)
			if err != nil {
				return fmt.Errorf("%s.worked %w", at, err)
			}
			if day := d.weekday(); day != time.Saturday && day != time.Sunday {
				return fmt.Errorf("%s.worked has %s, a %s: want days of weekends", at, w, day)
			}
			h.work[d] = o.Name
		}
	}
	for d, name := range h.work {
		if off, both := h.off[d]; both {
			return fmt.Errorf("off: %d-%02d-%02d is off for %s and worked for %s: want one of them", d.year, d.month, d.day, off, name)
		}
	}
	return nil
}

func parseDate(s string, year int) (date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() != year {
		return date{}, fmt.Errorf("is %q: want a day of %d, such as %d-01-01", s, year, year)
	}
	return dateOf(t), nil
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (y calendarYAML) calendar() (*Calendar, error) {
	spans, err := parseHours(y.Hours)
	if err != nil {
		return nil, err
	}
	c := &Calendar{}
	for _, s := range spans {
		c.length += time.Duration(s.to-s.from) * time.Minute
	}
	if len(y.Days) == 0 {
		return nil, fmt.Errorf("days is empty: want some of %s", strings.Join(weekdays, ", "))
	}
	for _, d := range y.Days {
		i := slices.Index(weekdays, d)
		if i < 0 {
			return nil, fmt.Errorf("days has %q: want one of %s", d, strings.Join(weekdays, ", "))
		}
		c.week[i] = spans
	}
	return c, nil
}

// parseHours reads spans such as 09:00-11:30; one whose end is not after its begin goes
// on to the next day.
func parseHours(hours []string) (spans []span, err error) {
	if len(hours) == 0 {
		return nil, errors.New("hours is empty: want spans such as 09:00-11:30")
	}
	for _, h := range hours {
		a, b, _ := strings.Cut(h, "-")
		from, ok := parseMinute(a)
		to, well := parseMinute(b)
		if !ok || !well || from == 24*60 {
			return nil, fmt.Errorf("hours has %q: want a span such as 09:00-11:30, or 22:00-06:00 for a night", h)
		}
		if to <= from {
			to += 24 * 60
		}
		if n := len(spans); n > 0 && from < spans[n-1].to {
			return nil, fmt.Errorf("hours has %q, which begins before the span before it ends: want them in order and apart", h)
		}
		spans = append(spans, span{from, to})
	}
	if first, last := spans[0], spans[len(spans)-1]; last.to-24*60 > first.from {
		return nil, fmt.Errorf("hours: the last ends at %s of the next day, after the first begins: want them apart", hours[len(hours)-1])
	}
	return spans, nil
}

func parseMinute(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil
}
