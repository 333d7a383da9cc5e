package calendar

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Shift is a part of every day in which the same people are on duty.
type Shift struct {
	Name string
	span
}

// Turn is one shift of one day.
type Turn struct {
	Name     string
	From, To time.Time
}

// Shifts are the shifts of a day, by their begin.
func (cs *Calendars) Shifts() []Shift { return cs.shifts }

// OnDuty gives the shift that t lies in; false where none does.
func (cs *Calendars) OnDuty(t time.Time) (Turn, bool) {
	today := dateOf(t.In(cs.zone))
	for _, d := range []date{today.add(-1), today} { // a night begins the day before
		for _, s := range cs.shifts {
			turn := Turn{s.Name, d.at(s.from, cs.zone).UTC(), d.at(s.to, cs.zone).UTC()}
			if !t.Before(turn.From) && t.Before(turn.To) {
				return turn, true
			}
		}
	}
	return Turn{}, false
}

// ShiftEnd gives the next end of a shift after t; zero when there are no shifts.
func (cs *Calendars) ShiftEnd(t time.Time) (end time.Time) {
	today := dateOf(t.In(cs.zone))
	for n := -1; n <= 1; n++ {
		for _, s := range cs.shifts {
			if at := today.add(n).at(s.to, cs.zone); at.After(t) && (end.IsZero() || at.Before(end)) {
				end = at.UTC()
			}
		}
	}
	return end
}

// Hours reads which hours are meant by "<calendar>", or by "except <calendar>": all others.
func (cs *Calendars) Hours(text string) (h Hours, err error) {
	name, except := strings.CutPrefix(text, "except ")
	if name == "" {
		return h, grid.Errorf(grid.Invalid, "hours are %q: want a calendar, or \"except\" and one", text)
	}
	h.Outside = except
	h.Calendar, err = cs.Get(name)
	return h, err
}

// parseShifts reads shifts; no two may be on duty at once.
func parseShifts(all map[string]string) ([]Shift, error) {
	var out []Shift
	for _, name := range slices.Sorted(maps.Keys(all)) {
		spans, err := parseHours([]string{all[name]})
		if err != nil {
			return nil, fmt.Errorf("shifts.%s: %w", name, err)
		}
		out = append(out, Shift{name, spans[0]})
	}
	slices.SortFunc(out, func(a, b Shift) int { return a.from - b.from })
	for i, s := range out {
		next := out[(i+1)%len(out)]
		begin := next.from
		if i == len(out)-1 {
			begin += 24 * 60
		}
		if s.to > begin {
			return nil, fmt.Errorf("shifts.%s ends after %s has begun: want one at a time", s.Name, next.Name)
		}
	}
	return out, nil
}
