package people

import (
	"cmp"
	"slices"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Duty is the rosters and shifts that are in force. It does not change after NewDuty and
// may be used by many. The nil Duty has none.
type Duty struct {
	rosters []roster
	shifts  map[string][]shift // by whom they are of
}

type roster struct {
	grid.Roster
	hours calendar.Hours
}

type shift struct {
	grid.Shift
	hours calendar.Hours
}

// Duty makes one of stored rows. A calendar that is not there any more counts as all hours:
// somebody stays on duty.
func (b *Book) Duty(rosters []grid.Roster, shifts []grid.Shift) *Duty {
	d := &Duty{shifts: map[string][]shift{}}
	for _, r := range rosters {
		if r.Ended.IsZero() {
			h, _ := b.hours(r.Hours)
			d.rosters = append(d.rosters, roster{r, h})
		}
	}
	slices.SortFunc(d.rosters, func(a, b roster) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range shifts {
		if s.Ended.IsZero() {
			h, _ := b.hours(s.Hours)
			d.shifts[s.For] = append(d.shifts[s.For], shift{s, h})
		}
	}
	for _, list := range d.shifts {
		slices.SortFunc(list, func(a, b shift) int {
			return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))
		})
	}
	return d
}

// On are the persons on duty at a time, in the order in which their shifts began. kept says
// that there is a roster or a shift at all: who keeps none is always on duty.
func (d *Duty) On(whom string, at time.Time) (persons []string, kept bool) {
	if d == nil {
		return nil, false
	}
	kept = len(d.shifts[whom]) > 0 || slices.ContainsFunc(d.rosters, func(r roster) bool { return r.For == whom })
	for _, s := range d.shifts[whom] {
		if s.on(at) && !slices.Contains(persons, s.Person) {
			persons = append(persons, s.Person)
		}
	}
	return persons, kept
}

// Fallback is who is called for a roster where nobody is on duty.
func (d *Duty) Fallback(whom string) string {
	if d == nil {
		return ""
	}
	for _, r := range d.rosters {
		if r.For == whom && r.Fallback != "" {
			return r.Fallback
		}
	}
	return ""
}

func (s *shift) on(at time.Time) bool {
	if at.Before(s.From) || !s.To.IsZero() && !at.Before(s.To) || !s.hours.Contains(at) {
		return false
	}
	return s.Every == 0 || at.Sub(s.From)%s.Every < s.Length
}

// next is when on may change, after at; zero: it does not.
func (s *shift) next(at time.Time) (next time.Time) {
	soonest := func(t time.Time) {
		if t.After(at) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	soonest(s.From)
	soonest(s.To)
	soonest(s.hours.Next(at))
	if s.Every > 0 && !at.Before(s.From) {
		round := s.From.Add(at.Sub(s.From) / s.Every * s.Every)
		soonest(round.Add(s.Length))
		soonest(round.Add(s.Every))
	}
	return next
}

// Gap is a span in which nobody is on duty though somebody must be.
type Gap struct {
	Roster   string    `json:"roster"`
	For      string    `json:"for"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Fallback string    `json:"fallback,omitempty" doc:"Who is called then."`
}

// maxChanges bounds how finely a span is looked at, of one roster.
const maxChanges = 10_000

// Gaps are the spans between two times in which a roster is not kept, by roster and time.
func (d *Duty) Gaps(from, to time.Time) (out []Gap) {
	if d == nil {
		return nil
	}
	for _, r := range d.rosters {
		var open *Gap
		at := from
		for n := 0; at.Before(to) && n < maxChanges; n++ {
			next := r.change(d.shifts[r.For], at, to)
			persons, _ := d.On(r.For, at)
			switch missing := r.hours.Contains(at) && len(persons) == 0; {
			case missing && open == nil:
				out = append(out, Gap{r.ID, r.For, at, next, r.Fallback})
				open = &out[len(out)-1]
			case missing:
				open.To = next
			default:
				open = nil
			}
			at = next
		}
	}
	return out
}

// change is when what is asked of a roster, or who keeps it, may change next.
func (r *roster) change(shifts []shift, at, end time.Time) time.Time {
	next := end
	if t := r.hours.Next(at); t.After(at) && t.Before(next) {
		next = t
	}
	for i := range shifts {
		if t := shifts[i].next(at); !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}
