package alarm

import (
	"time"

	"gridgate/internal/grid"
)

// Input is the phase of one condition at one point: what it is, since when, and when
// it was last heard. All times are received times. The zero Input was never heard.
type Input struct {
	Abnormal bool
	Since    time.Time // received time of the first reading of this phase
	Heard    time.Time // received time of the newest reading
}

// Hear is the phase after a reading. A reading received before the newest one changes nothing.
func (in Input) Hear(abnormal bool, received time.Time) Input {
	if received.Before(in.Heard) {
		return in
	}
	if in.Heard.IsZero() || in.Abnormal != abnormal {
		in.Abnormal, in.Since = abnormal, received
	}
	in.Heard = received
	return in
}

// Action is what a condition calls for now.
type Action uint8

const (
	None   Action = iota
	Raise         // a new episode; link it to the one before, if there is one
	Rejoin        // the condition is back within the re-alarm window: the same episode goes on
	Clear         // the episode goes back to normal
)

func (a Action) String() string {
	return [...]string{"none", "raise", "rejoin", "clear"}[a]
}

// Step is the answer of Next.
type Step struct {
	Action Action
	Wake   time.Time // ask again then if nothing arrives; zero: only a reading can change anything
}

// Next says what the condition calls for at engine time now. ep is the newest episode of
// the rule at the point, active or not, or nil. down holds the spans in which we could
// not hear, with the grace they deserve (Deaf): what is concluded from the
// absence of a change leaves them out. While one still lasts, nothing is concluded and
// Wake is zero: ask again when it ends.
//
// Next is idempotent: once its Action is done (Opened, Rejoined, Cleared), asking again
// with the same input gives None.
func Next(r *Rule, in Input, ep *grid.Alarm, now time.Time, down ...Span) Step {
	if r.Moment || in.Heard.IsZero() {
		return Step{}
	}
	active := ep != nil && ep.Active
	switch {
	case in.Abnormal && !active && r.From != FromLate:
		if ep != nil && ep.Returned.Equal(EndedAt(ep, in)) {
			return Step{} // a person ended it, and nothing was heard since
		}
		if r.Hours.Always() {
			return after(r.OnDelay, in.Since, raiseOrRejoin(r, in.Since, ep), now, down)
		}
		return inHours(r, in.Since, raiseOrRejoin(r, in.Since, ep), now, down)
	case !in.Abnormal && active:
		// The return must have been heard since the alarm was raised.
		from := later(in.Since, ep.Raised)
		if in.Heard.Before(from) {
			return Step{}
		}
		return after(r.OffDelay, from, Clear, now, down)
	}
	return Step{}
}

// inHours is after, in the hours of the rule: time outside them counts for nothing.
func inHours(r *Rule, from time.Time, a Action, now time.Time, down []Span) Step {
	heard := audible(from, r.OnDelay, down)
	if heard.IsZero() {
		return Step{}
	}
	due := r.Hours.Add(from, heard.Sub(from))
	switch {
	case now.Before(due):
		return Step{Wake: due}
	case !r.Hours.Contains(now): // the timer came late
		return Step{Wake: r.Hours.Next(now)}
	}
	return Step{Action: a}
}

// after gives the action once we have listened for delay since from, or the time to ask again.
func after(delay time.Duration, from time.Time, a Action, now time.Time, down []Span) Step {
	due := audible(from, delay, down)
	if due.IsZero() || now.Before(due) {
		return Step{Wake: due}
	}
	return Step{Action: a}
}

func raiseOrRejoin(r *Rule, back time.Time, ep *grid.Alarm) Action {
	if ep != nil && !ep.Returned.IsZero() && back.Sub(ep.Returned) <= r.ReAlarm {
		return Rejoin
	}
	return Raise
}
