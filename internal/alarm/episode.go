package alarm

import (
	"time"

	"gridgate/internal/grid"
)

// Opened makes the row of a new episode: the rule's type and priority, raised by what
// was received at received and happened at at. Place, device and mode are the point's;
// previous is the episode before it, or nil.
func Opened(r *Rule, id string, p grid.Point, device grid.Identity, at, received time.Time, previous *grid.Alarm) grid.Alarm {
	ep := grid.Alarm{
		ID: id, Type: r.Type, Point: p.ID, Device: device, Priority: r.Priority, Mode: p.Mode,
		Scope: p.Scope, Cell: p.Cell, Building: p.Building, Active: true, Raised: received, At: at, Count: 1,
		Late: r.From == FromLate, AlarmDetail: grid.AlarmDetail{Latch: r.Latch},
	}
	if previous != nil {
		ep.Previous = previous.ID
	}
	return ep
}

// Rejoined is the episode after its condition came back: active, and to be acknowledged anew.
func Rejoined(ep grid.Alarm) grid.Alarm {
	ep.Active, ep.Returned = true, time.Time{}
	AskAgain(&ep)
	ep.Count++
	return ep
}

// Cleared is the episode after its condition went back to normal, as heard in in.
func Cleared(ep grid.Alarm, in Input) grid.Alarm {
	ep.Active, ep.Returned = false, later(in.Since, ep.Raised)
	return ep
}

// EndedAt is when an episode ends that a person ends while its sensor cannot tell: right
// after what the sensor said last, so that everything it says from then on is news.
func EndedAt(ep *grid.Alarm, in Input) time.Time { return later(ep.Raised, in.Heard).Add(1) }

// Event makes the row that tells of ep: action is "raised", "repeated" or "cleared".
// What belongs to the frame (Frame, Value, Signal, Profile, Channel) is the caller's.
func (r *Rule) Event(id, action string, ep *grid.Alarm, at, received time.Time) grid.Event {
	return grid.Event{
		ID: id, Type: r.Type, Kind: r.Kind, Action: action, Point: ep.Point, Device: ep.Device,
		Alarm: ep.ID, Ticket: ep.Ticket, Priority: ep.Priority, Mode: ep.Mode, Scope: ep.Scope,
		Cell: ep.Cell, At: at, Received: received,
	}
}
