package grid

import "time"

// EventType names what happened at a point.
type EventType string

// The event types of the design's section 8 that this version raises, and the ones it knows.
const (
	EventSmokeAlarm       EventType = "smoke.alarm"
	EventSmokeConfirmed   EventType = "smoke.confirmed"
	EventSmokeLate        EventType = "smoke.late"
	EventSafetyUnreadable EventType = "safety.unreadable"
	EventSmokeSuspect     EventType = "smoke.suspect"
	EventSmokeFault       EventType = "smoke.fault"
	EventManholeOpen      EventType = "manhole.open"
	EventManholeTilted    EventType = "manhole.tilted"
	EventManholeFlooded   EventType = "manhole.flooded"
	EventParkingOverstay  EventType = "parking.overstay"
	EventFireLaneBlocked  EventType = "parking.fire_lane_blocked"
	EventDoorHeldOpen     EventType = "door.held_open"
	EventDoorForced       EventType = "door.forced"
	EventFireDoorOpen     EventType = "fire_door.open"
	EventDeviceTamper     EventType = "device.tamper"
	EventDeviceStolen     EventType = "device.stolen"
	EventDeviceBarred     EventType = "device.barred" // one that was taken out still speaks
	EventDeviceOffline    EventType = "device.offline"
	EventBatteryLow       EventType = "device.battery_low"
	EventGatewaySilent    EventType = "gateway.silent"
	EventProtectionLost   EventType = "protection.lost"
	EventUnitUnreachable  EventType = "unit.unreachable"
	EventDataGap          EventType = "influx.gap"
	EventHotspotListed    EventType = "hotspot.listed"
	EventTest             EventType = "test"
)

// EventKind is one of the six kinds; only an alarm of smoke calls the fire unit.
type EventKind string

const (
	KindAlarm     EventKind = "alarm"
	KindFault     EventKind = "fault"
	KindTamper    EventKind = "tamper"
	KindBattery   EventKind = "battery"
	KindTest      EventKind = "test"
	KindLifecycle EventKind = "lifecycle"
)

// Priority is 1 (P1, life) to 4.
type Priority uint8

func (p Priority) String() string { return "P" + string(rune('0'+p)) }

// Event is a grid event: something that happened at a point. Ids are made from the
// journal position (NewID), so that the same fact has the same id whenever it is worked out.
type Event struct {
	ID       string    `json:"id"`
	Type     EventType `json:"type"`
	Kind     EventKind `json:"kind"`
	Action   string    `json:"action"` // "raised", "cleared", "repeated", "noted"
	Point    string    `json:"point,omitempty"`
	Device   Identity  `json:"device,omitempty"`
	Channel  string    `json:"channel,omitempty"`
	Alarm    string    `json:"alarm,omitempty"`
	Ticket   string    `json:"ticket,omitempty"`
	Priority Priority  `json:"priority"`
	Mode     Mode      `json:"mode"`
	Scope
	Cell     string    `json:"cell,omitempty"`
	At       time.Time `json:"at"`       // device time if believed, else received
	Received time.Time `json:"received"` // by our clock
	Frame    string    `json:"frame,omitempty"`
	Value    float64   `json:"value"`
	Signal   string    `json:"signal,omitempty"`
	Profile  string    `json:"profile,omitempty"`
	Detail   string    `json:"detail,omitempty"` // a sentence for a person
}

// Alarm is the lasting state behind alarm events, one episode at a time, after
// ISA-18.2: two booleans, active and acknowledged.
type Alarm struct {
	ID       string    `json:"id"`
	Type     EventType `json:"type"`
	Point    string    `json:"point"`
	Device   Identity  `json:"device,omitempty"`
	Priority Priority  `json:"priority"`
	Mode     Mode      `json:"mode"`
	Scope
	Cell     string    `json:"cell,omitempty"`
	Building string    `json:"building,omitempty"`
	Active   bool      `json:"active"`
	Acked    bool      `json:"acked"`
	Raised   time.Time `json:"raised"`            // received time of the first alarm
	At       time.Time `json:"at"`                // device time of it, if believed
	Returned time.Time `json:"returned,omitzero"` // when last seen to go back to normal
	Count    int       `json:"count"`             // times raised within the episode
	Ticket   string    `json:"ticket,omitempty"`
	Previous string    `json:"previous,omitempty"` // the episode before this one
	Late     bool      `json:"late,omitempty"`
	Incident string    `json:"incident,omitempty"`
	AlarmDetail
}

// AlarmDetail is what most episodes have nothing of.
type AlarmDetail struct {
	// Filed is the word of the person who reported it; nil: a sensor, or its silence, did.
	Filed *Filing `json:"filed,omitempty"`
	// Changes are received times of its newest turns, oldest first, for the flapping guard.
	Changes []time.Time `json:"changes,omitempty"`
	// Quiet: it flaps; nobody is told of its turns until then.
	Quiet time.Time `json:"quiet,omitzero"`
	// Acknowledged by whom, when, and until when it holds while the alarm is active. Once it
	// has expired or something new has come, they still tell of the last one.
	AckedBy  string    `json:"acked_by,omitempty"`
	AckedAt  time.Time `json:"acked_at,omitzero"`
	AckUntil time.Time `json:"ack_until,omitzero"`
	Comment  string    `json:"comment,omitempty"` // the newest; the audit has all
	// Latch: once returned it stays in the queue until acknowledged.
	Latch bool `json:"latch,omitempty"`
	// Revision counts what a person has to see beyond the first alarm: back again, lifted,
	// acknowledgement expired. Who acknowledges many says which one was shown.
	Revision int `json:"revision"`
	// Cover is the window that covers it, or did.
	Cover *Cover `json:"cover,omitempty"`
	// Taken is who has it; Untaken how far the calling for somebody has come. See docs/duty.md.
	Taken   *Taken   `json:"taken,omitempty"`
	Untaken *Untaken `json:"untaken,omitempty"`
	// Unjournalled is when it was told from memory, because the disk took nothing.
	Unjournalled time.Time `json:"unjournalled,omitzero"`
}

// InQueue reports whether an episode stands in the queue of operators: active, or latched
// and not acknowledged.
func (a *Alarm) InQueue() bool { return a.Active || a.Latch && !a.Acked }
