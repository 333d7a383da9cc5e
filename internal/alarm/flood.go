package alarm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Flood says when there are more new alarms than one person can take in.
type Flood struct {
	Enter  int           `yaml:"enter"` // so many new ones …
	Leave  int           `yaml:"leave"` // … until they are fewer than this …
	Within time.Duration `yaml:"within"`
}

func (f Flood) check() error {
	if f.Enter < 2 || f.Leave < 1 || f.Leave > f.Enter || f.Within <= 0 {
		return fmt.Errorf("flood is {enter: %d, leave: %d, within: %s}: want enter 2 or more, leave from 1 to enter, within more than 0s", f.Enter, f.Leave, f.Within)
	}
	return nil
}

// Since says since when there is a flood at now; zero: there is none. raised are the times
// at which alarms were raised, oldest first: those of one operator's scope.
func (f Flood) Since(raised []time.Time, now time.Time) (since time.Time) {
	if f.Enter == 0 {
		return since
	}
	oldest, n := 0, 0 // raised[oldest:n] are those within the time
	leave := func(over func(end time.Time) bool) {
		for oldest < n && over(raised[oldest].Add(f.Within)) {
			if oldest++; n-oldest < f.Leave {
				since = time.Time{}
			}
		}
	}
	for n < len(raised) && !raised[n].After(now) {
		at := raised[n]
		leave(at.After)
		for n < len(raised) && raised[n].Equal(at) { // what comes and goes at once is one change
			n++
		}
		leave(at.Equal)
		if since.IsZero() && n-oldest >= f.Enter {
			since = at
		}
	}
	leave(func(end time.Time) bool { return !end.After(now) })
	return since
}

// Queue is what an operator has before him, the most needed first.
type Queue struct {
	Flood   *time.Time `json:"flood"`  // since when there is one; null: there is none
	Alarms  int        `json:"alarms"` // how many there are, those in groups too
	Unacked int        `json:"unacked"`
	Held    int        `json:"held"` // by a window: shelved, out of service; not among the entries
	Entries []Entry    `json:"entries"`
	More    int        `json:"more,omitempty"` // entries left out at the end
}

// Entry is one alarm, or in a flood several of one cause in one cell.
type Entry struct {
	Alarm *grid.Alarm `json:"alarm,omitempty"`
	Group *Herd       `json:"group,omitempty"`
	State StateWord   `json:"state"` // of a group: of its worst
}

// Herd is alarms of one cause in one cell that a flood shows as one line.
type Herd struct {
	Cell     string        `json:"cell,omitempty"`
	Cause    string        `json:"cause"` // that of the incident group, or the event type
	Building string        `json:"building,omitempty"`
	Mode     grid.Mode     `json:"mode"`
	Count    int           `json:"count"`
	Unacked  int           `json:"unacked"`
	Worst    grid.Priority `json:"worst"`
	Oldest   time.Time     `json:"oldest"`
	Members  []HerdMember  `json:"members"` // the first MaxHerd, the most needed first
}

// HerdMember is one alarm of a group: enough to acknowledge it.
type HerdMember struct {
	ID       string         `json:"id"`
	Revision int            `json:"revision"`
	Type     grid.EventType `json:"type"`
	Point    string         `json:"point,omitempty"`
	Priority grid.Priority  `json:"priority"`
	State    StateWord      `json:"state"`
	Raised   time.Time      `json:"raised"`
}

// MaxHerd is how many members a group names.
const MaxHerd = 1000

// QueueOf orders the alarms of an operator's scope by need and, in a flood, groups them by
// cell and cause. causes gives the name of the incidents that a type belongs to, "" for
// none. The first smoke alarm of a building is never in a group, whatever comes in.
//
// First what is real, then what is practice. Within that: smoke that nobody has
// acknowledged, other P1 that nobody has, acknowledged smoke, what is active by priority,
// what is over and latched; the oldest first.
func QueueOf(alarms []grid.Alarm, flood time.Time, causes func(grid.EventType) string) Queue {
	q := Queue{Entries: []Entry{}}
	order := make([]*grid.Alarm, 0, len(alarms))
	for i := range alarms {
		a := &alarms[i]
		if a.Covered() && a.Cover.State == grid.CoverHeld && !IsSmoke(a) {
			q.Held++
			continue
		}
		order = append(order, a)
		if !a.Acked {
			q.Unacked++
		}
	}
	q.Alarms = len(order)
	slices.SortFunc(order, byNeed)
	if !flood.IsZero() {
		q.Flood = &flood
	}
	herds := map[herdKey]*Herd{}
	alone := map[firstKey]bool{}
	for _, a := range order {
		if flood.IsZero() || isFirstSmoke(a, alone) {
			q.Entries = append(q.Entries, Entry{Alarm: a, State: State(a)})
			continue
		}
		key := herdOf(a, causes)
		h := herds[key]
		if h == nil { // the worst comes first: its place is the group's
			h = &Herd{Cell: key.cell, Cause: key.cause, Building: key.building, Mode: a.Mode, Worst: a.Priority, Oldest: a.Raised}
			herds[key] = h
			q.Entries = append(q.Entries, Entry{Group: h, State: State(a)})
		}
		h.add(a)
	}
	return unwrap(q, alarms)
}

// unwrap shows a group of one as the alarm that it is.
func unwrap(q Queue, alarms []grid.Alarm) Queue {
	byID := map[string]*grid.Alarm{}
	for i := range q.Entries {
		if g := q.Entries[i].Group; g != nil && g.Count == 1 {
			if len(byID) == 0 {
				for k := range alarms {
					byID[alarms[k].ID] = &alarms[k]
				}
			}
			q.Entries[i].Alarm, q.Entries[i].Group = byID[g.Members[0].ID], nil
		}
	}
	return q
}

func (h *Herd) add(a *grid.Alarm) {
	h.Count++
	if !a.Acked {
		h.Unacked++
	}
	h.Worst = min(h.Worst, a.Priority)
	if a.Raised.Before(h.Oldest) {
		h.Oldest = a.Raised
	}
	if len(h.Members) < MaxHerd {
		h.Members = append(h.Members, HerdMember{ID: a.ID, Revision: a.Revision, Type: a.Type, Point: a.Point, Priority: a.Priority, State: State(a), Raised: a.Raised})
	}
}

type herdKey struct {
	cell, cause, building string
	mode                  grid.Mode
}

// herdOf is the group of an alarm. Smoke of two buildings is never one line, nor is what
// is real and what is not.
func herdOf(a *grid.Alarm, causes func(grid.EventType) string) herdKey {
	key := herdKey{cell: a.Cell, cause: string(a.Type), mode: cmp.Or(a.Mode, grid.Live)}
	if causes != nil {
		key.cause = cmp.Or(causes(a.Type), key.cause)
	}
	if IsSmoke(a) {
		key.building = WithinBuilding.Place(a)
	}
	return key
}

// IsSmoke reports whether an episode may be a fire: word of a detector that says so, in time
// or late, or that cannot be read and may.
func IsSmoke(a *grid.Alarm) bool {
	switch a.Type {
	case grid.EventSmokeAlarm, grid.EventSmokeLate, grid.EventSmokeConfirmed:
		return true
	case grid.EventSafetyUnreadable:
		return a.Priority == 1
	}
	return strings.HasPrefix(string(a.Type), "smoke.") && a.Priority == 1
}

type firstKey struct {
	place string
	mode  grid.Mode
	acked bool
}

// isFirstSmoke reports whether a is the first smoke alarm of its building: of those that
// somebody knows of, and of those that nobody does. What has no point is a place of its own.
func isFirstSmoke(a *grid.Alarm, seen map[firstKey]bool) bool {
	if !IsSmoke(a) {
		return false
	}
	place := WithinBuilding.Place(a)
	if a.Building == "" && a.Point == "" {
		place = "episode:" + a.ID
	}
	key := firstKey{place, cmp.Or(a.Mode, grid.Live), a.Acked}
	first := !seen[key]
	seen[key] = true
	return first
}

// byNeed orders alarms: see QueueOf.
func byNeed(a, b *grid.Alarm) int {
	return cmp.Or(
		cmp.Compare(practice(a), practice(b)), cmp.Compare(need(a), need(b)), cmp.Compare(a.Priority, b.Priority),
		cmp.Compare(asInt(a.Acked), asInt(b.Acked)), a.Raised.Compare(b.Raised), strings.Compare(a.ID, b.ID),
	)
}

func practice(a *grid.Alarm) int { return asInt(a.Mode != grid.Live && a.Mode != "") }

func need(a *grid.Alarm) int {
	switch {
	case !a.Acked && IsSmoke(a):
		return 0
	case !a.Acked && a.Priority == 1:
		return 1
	case IsSmoke(a) && a.Active:
		return 2
	case a.Active:
		return 3
	}
	return 4
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
