package alarm

import (
	"slices"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Source says where a rule's condition comes from.
type Source string

const (
	// FromSignal: readings decide, by the tests of the rule.
	FromSignal Source = "signal"
	// FromSilence: supervision decides (Offline, and Silence to make its Input).
	FromSilence Source = "silence"
	// FromStolen: a device that was tampered with and then fell silent.
	FromStolen Source = "stolen"
	// FromLate: a smoke alarm that is no longer news raises it (SmokeLate); it clears by
	// the tests of the rule, which are those of the live alarm.
	FromLate Source = "late"
	// FromUnreadable: frames that cannot be read raise it; the caller makes its Input.
	FromUnreadable Source = "unreadable"
)

// Rule is one event type at the points of one kind: when it is raised, when it clears,
// and what it is worth. A point has at most one rule of a type.
type Rule struct {
	Type             grid.EventType
	Kind             grid.EventKind
	Priority         grid.Priority
	TitleZH, TitleEN string

	From Source
	Any  []Test // abnormal when any test says so

	OnDelay  time.Duration // abnormal this long without a break: raised
	OffDelay time.Duration // normal this long without a break: cleared
	ReAlarm  time.Duration // back within this of its return: the same episode goes on

	// Hours in which it counts: the condition is raised when it has lasted for OnDelay of
	// them, and once raised it stays until the sensor is normal.
	Hours calendar.Hours

	Moment   bool      // not a lasting state: each reading that says so is an event by itself, without an episode
	Ticket   bool      // opens a ticket
	Latch    bool      // once returned it stays in the queue until acknowledged
	Flapping *Flapping // holds back notifications, never the state; never on smoke

	// FromLate only: a smoke alarm that was on its way for longer than LateAfter is
	// late; a record older than MaxAge is history and nothing more.
	LateAfter, MaxAge time.Duration
}

// Test is one way in which a reading shows the condition: Is for a condition, Above or
// Below for a number, both for a number between them.
type Test struct {
	Signal   grid.Signal
	Is       *bool
	Above    *float64 // in the signal's unit of measure
	Below    *float64
	Deadband float64 // for the way back: above 15 with deadband 5 is normal again at 10
}

// Flapping says when a condition changes too often to tell a person each time.
type Flapping struct {
	Changes int           // this many changes …
	Within  time.Duration // … in this time …
	Quiet   time.Duration // … hold notifications back for this long
}

// Flaps reports whether the newest changes (received times, oldest first) are so many
// that notifications are held back, and until when.
func (f *Flapping) Flaps(changes []time.Time, now time.Time) (until time.Time, flaps bool) {
	if f == nil || len(changes) < f.Changes {
		return time.Time{}, false
	}
	last, first := changes[len(changes)-1], changes[len(changes)-f.Changes]
	until = last.Add(f.Quiet)
	return until, last.Sub(first) <= f.Within && now.Before(until)
}

// Turned notes that an episode turned, for the flapping guard, and whether people are to be
// left in peace.
func (r *Rule) Turned(ep *grid.Alarm, now time.Time) {
	f := r.Flapping
	if f == nil {
		return
	}
	ep.Changes = append(slices.Clone(ep.Changes[max(0, len(ep.Changes)+1-f.Changes):]), now)
	if until, flaps := f.Flaps(ep.Changes, now); flaps {
		ep.Quiet = until
	}
}

// Watches reports whether readings of s bear on the rule.
func (r *Rule) Watches(s grid.Signal) bool {
	for i := range r.Any {
		if r.Any[i].Signal == s {
			return true
		}
	}
	return false
}

// Abnormal applies the rule's tests to the newest values of a point. value gives the
// newest value of a signal and whether there is one; was is what the condition was
// before, for the deadband. known is false when none of the signals was ever heard:
// then nothing can be said.
//
// A frame may carry several signals of one rule: put all of them in place, then ask once.
func Abnormal(r *Rule, value func(grid.Signal) (float64, bool), was bool) (abnormal, known bool) {
	for i := range r.Any {
		v, ok := value(r.Any[i].Signal)
		if !ok {
			continue
		}
		known = true
		if r.Any[i].abnormal(v, was) {
			return true, true
		}
	}
	return false, known
}

func (t *Test) abnormal(v float64, was bool) bool {
	back := 0.0
	if was {
		back = t.Deadband
	}
	if t.Is != nil {
		return (v != 0) == *t.Is
	}
	return (t.Above == nil || v > *t.Above-back) && (t.Below == nil || v < *t.Below+back)
}
