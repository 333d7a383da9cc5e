package duty

import (
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Watches reports whether an alarm is before a seat that watches. A seat of practice watches
// nothing that is live.
func Watches(s *grid.Seat, a *grid.Alarm) bool {
	return s.Watching && (isLive(s.Mode) || !isLive(a.Mode)) && covers(s.Scope, a.Scope)
}

func isLive(m grid.Mode) bool { return m == grid.Live || m == "" }

func covers(outer, inner grid.Scope) bool {
	for _, l := range [][2]string{{outer.District, inner.District}, {outer.Street, inner.Street}, {outer.Community, inner.Community}, {outer.Compound, inner.Compound}} {
		if l[0] != "" && l[0] != l[1] {
			return false
		}
	}
	return true
}

// Wants reports whether somebody must take an alarm: of a priority that may not lie, before
// the operators, and kept from them by no window.
func (r *Rules) Wants(a *grid.Alarm) bool {
	return r != nil && slices.Contains(r.priorities, a.Priority) && a.InQueue() && !a.Covered()
}

// Call is on whose duty an alarm falls that nobody takes.
func (r *Rules) Call() string { return r.call }

// Step is what is done about an alarm that nobody has taken.
type Step uint8

const (
	None  Step = iota
	Seats      // all seats are told
	Lead       // the duty lead is called
)

// Next is the next step for an untaken alarm, and when. Where no seat watches the lead is called
// at once; a step is taken once.
func (r *Rules) Next(u *grid.Untaken, watched bool) (Step, time.Time) {
	lead := u.Since.Add(r.lead)
	if !watched {
		lead = u.Since
	}
	seats := u.Since.Add(r.seats)
	switch {
	case u.Lead.IsZero() && (!u.Seats.IsZero() || lead.Before(seats)):
		return Lead, lead
	case u.Seats.IsZero():
		return Seats, seats
	}
	return None, time.Time{}
}
