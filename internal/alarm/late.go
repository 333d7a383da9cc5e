package alarm

import (
	"time"

	"gridgate/internal/grid"
)

// The bounds of belief in a clock that is not ours.
const (
	// ClockTolerance is how far a device's clock may be off and still be believed.
	ClockTolerance = 120 * time.Second
	// historyBound is how old a record may say it is. A clock that was never set starts
	// decades ago, and a record that claims so is not believed.
	historyBound = 365 * 24 * time.Hour
)

// Lateness is received minus device time, and whether the device's clock is believed:
// within two minutes of ours. Zero device time (the device said none) is not believed.
// A clock that is not believed is an ordinary input: the reading counts by the time we
// received it. Our own lag never enters: received is when the frame reached us.
func Lateness(received, device time.Time) (late time.Duration, believed bool) {
	if device.IsZero() {
		return 0, false
	}
	late = received.Sub(device)
	return late, late.Abs() <= ClockTolerance
}

// Believed reports whether a reading happened at its device time. A live reading must
// agree with our clock; only a record that the profile marks as history may be old.
func Believed(received, device time.Time, history bool) bool {
	late, ok := Lateness(received, device)
	if device.IsZero() || ok || !history {
		return ok
	}
	return late > 0 && late <= historyBound
}

// Arrival is what is known about how a reading came in. Received is always set.
type Arrival struct {
	Received   time.Time
	Device     time.Time // the device's time of the reading; zero: not said
	Network    time.Time // when a gateway or network server heard it; zero: not said
	History    bool      // the profile marks it as a record of the past
	Retained   bool      // the broker held it
	OutOfOrder bool      // its counter is behind the newest one
}

// Class is what an arrival is worth.
type Class uint8

const (
	Live Class = iota // news: moves the state forward
	Late              // true once, perhaps no longer: fills history; smoke raises smoke.late
	Old               // history and nothing more
)

func (c Class) String() string { return [...]string{"live", "late", "old"}[c] }

// Class tells news from history. after and maxAge are LateAfter and MaxAge of the
// smoke.late rule.
//
// A wrong clock makes nothing late: what is not history, retained or out of order by its
// counter is live, however old the device says it is, unless the network heard it more
// than after before us (a queue on the way); and what only the network calls old is Late
// at worst, never Old. A reading of unknown age is never Old.
func (a Arrival) Class(after, maxAge time.Duration) Class {
	marked := a.History || a.Retained || a.OutOfOrder
	if !marked && !(after > 0 && !a.Network.IsZero() && a.Received.Sub(a.Network) > after) {
		return Live
	}
	if age, known := a.Age(); marked && known && age >= maxAge {
		return Old
	}
	return Late
}

// Age is how old the reading was when we received it, by the device's time if that is
// believed, else by the network's; known is false when neither can tell.
func (a Arrival) Age() (age time.Duration, known bool) {
	if Believed(a.Received, a.Device, a.History) {
		return max(0, a.Received.Sub(a.Device)), true
	}
	if Believed(a.Received, a.Network, true) {
		return max(0, a.Received.Sub(a.Network)), true
	}
	return 0, false
}

// At is when the reading happened: the device's time if believed, else when we received it.
func (a Arrival) At() time.Time {
	if Believed(a.Received, a.Device, a.History) {
		return a.Device
	}
	return a.Received
}

// SmokeLate says what a reading "there is smoke" calls for that is not news. r is the
// point's smoke.late rule, live and late the newest episodes of smoke.alarm and
// smoke.late at the point, or nil. Smoke is never only history: it raises smoke.late,
// once per episode. None: the reading is live (Next raises it), or older than
// r.MaxAge by a time that is believed, or its fire is already known: an episode is
// active, or the record lies within one.
func SmokeLate(r *Rule, a Arrival, live, late *grid.Alarm) Action {
	if a.Class(r.LateAfter, r.MaxAge) != Late || covers(live, a) || covers(late, a) {
		return None
	}
	return raiseOrRejoin(r, a.Received, late)
}

// covers reports whether a record is of an episode's own fire.
func covers(ep *grid.Alarm, a Arrival) bool {
	if ep == nil {
		return false
	}
	if ep.Active {
		return true
	}
	if !Believed(a.Received, a.Device, a.History) {
		return false
	}
	from, to := ep.Raised, later(ep.Raised, ep.Returned)
	if !ep.At.IsZero() && ep.At.Before(from) {
		from = ep.At
	}
	return !a.Device.Before(from.Add(-ClockTolerance)) && !a.Device.After(to.Add(ClockTolerance))
}
