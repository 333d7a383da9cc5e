package people

import (
	"maps"
	"slices"
	"time"
)

// Spell is a span in which the same persons are on duty.
type Spell struct {
	From    time.Time
	To      time.Time
	Persons []string
	Wanted  bool // somebody must be
}

// Watch is who is on duty for a unit or a seat over a time.
type Watch struct {
	For      string
	Roster   string // "": shifts alone
	Hours    string // of the roster
	Fallback string
	Spells   []Spell
}

// maxSpells bounds what is told of one watch: a turn that changes by the minute is told no further.
const maxSpells = 500

// Plan is who is on duty between two times, for each that has a roster or a shift, by name.
// Spells follow one another without a seam.
func (d *Duty) Plan(from, to time.Time) []Watch {
	if d == nil {
		return nil
	}
	of := map[string]*roster{}
	for whom := range d.shifts {
		of[whom] = &roster{}
	}
	for i := range d.rosters {
		if had := of[d.rosters[i].For]; had == nil || had.ID == "" {
			of[d.rosters[i].For] = &d.rosters[i]
		}
	}
	var out []Watch
	for _, whom := range slices.Sorted(maps.Keys(of)) {
		out = append(out, d.watch(whom, of[whom], from, to))
	}
	return out
}

func (d *Duty) watch(whom string, r *roster, from, to time.Time) Watch {
	w := Watch{For: whom, Roster: r.ID, Hours: r.Hours, Fallback: d.Fallback(whom)}
	at := from
	for n := 0; at.Before(to) && n < maxChanges; n++ {
		next := r.change(d.shifts[whom], at, to)
		persons, _ := d.On(whom, at)
		s := Spell{at, next, persons, r.ID != "" && r.hours.Contains(at)}
		if n := len(w.Spells); n > 0 && slices.Equal(w.Spells[n-1].Persons, s.Persons) && w.Spells[n-1].Wanted == s.Wanted {
			w.Spells[n-1].To = next
		} else if n == maxSpells {
			break
		} else {
			w.Spells = append(w.Spells, s)
		}
		at = next
	}
	return w
}
