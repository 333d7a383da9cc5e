package grid

import "time"

// TicketMarks is what the figures need of a ticket: one narrow row beside it, so that a
// month of tickets is read without their documents. Times are the first of their kind,
// unless said otherwise; zero: not yet.
type TicketMarks struct {
	Ticket   string
	Type     EventType
	Kind     Kind // of its point; "" for what has no point
	Priority Priority
	Mode     Mode
	Scope
	Cell    string
	Point   string
	Unit    string // the lead's
	Profile string // of the device, as it was when the ticket was opened

	State        TicketState
	Verification Verification
	Rework       int
	Returns      int

	Occurred   time.Time // device time of the alarm, if believed
	Opened     time.Time // received time of the alarm
	Told       time.Time // a unit's system had the first message
	Acked      time.Time // an operator acknowledged its alarm
	Filed      time.Time
	Dispatched time.Time // to a lead
	Accepted   time.Time // by a lead
	Arrived    time.Time // a lead on site
	Handled    time.Time // the lead's last report that it is done; zero again after a rework
	Checked    time.Time // the first verdict of a check
	Ended      time.Time // closed, or ended otherwise; zero again when it goes on

	HandleDue time.Time // end of the handle clock, as it stands; zero: the plan has none
	Held      bool      // that clock stands still without the work being done: suspended or returned
	Late      bool      // an attempt was not done in its time
	Due       time.Time // end of the total clock
	Previous  time.Time // when the ticket before it of the same type at the same point was opened
}

// Activation is one time that a condition was raised, or raised again.
type Activation struct {
	At       time.Time // received
	Type     EventType
	Kind     Kind // of its point
	Point    string
	Device   Identity
	Priority Priority
	Scope
	Cell  string
	Again bool // within the same episode
}

// Standing is an episode that lasted: how long it was active.
type Standing struct {
	Type   EventType
	Kind   Kind
	Point  string
	Device Identity
	Scope
	Cell     string
	Raised   time.Time
	Returned time.Time // zero: still active
}

// Fleet counts installed devices of one place and kind.
type Fleet struct {
	Scope
	Kind  Kind
	Count int
}

// FigureQuery narrows what figures are made of. Zero fields do not.
type FigureQuery struct {
	Scope
	Unit  string
	Kind  Kind
	Cell  string
	Mode  Mode // "" is live
	Since time.Time
	Until time.Time
}

// Sensors counts installed devices of one kind and profile, and how long they were there in
// the time that is asked about.
type Sensors struct {
	Kind    Kind
	Profile string
	Count   int
	Seconds float64
}

// Ailment is an episode of an installed device that says how it is: silent, battery, fault.
type Ailment struct {
	Type      EventType
	Kind      Kind
	Profile   string
	Device    Identity
	Installed time.Time
	Raised    time.Time
	Returned  time.Time // zero: still active
}

// KPI is one point of the measurement kpi: the figures of one place and day.
type KPI struct {
	District string
	Street   string // "": of the whole district
	At       time.Time
	Fields   []KPIField
}

// KPIField is one number of it.
type KPIField struct {
	Name  string
	Value float64
}

// HotspotPlace says what is listed.
type HotspotPlace string

const (
	HotspotCompound HotspotPlace = "compound"
	HotspotCell     HotspotPlace = "cell"
)

// Hotspot is a place that had too many verified alarms: from its listing to its delisting.
type Hotspot struct {
	ID    string       `json:"id"`
	What  HotspotPlace `json:"what"`
	Place string       `json:"place"` // the compound's or the cell's code
	Mode  Mode         `json:"mode"`
	Scope
	Cell       string       `json:"cell,omitempty"`
	Listed     time.Time    `json:"listed"`
	Delisted   time.Time    `json:"delisted,omitzero"`
	Why        string       `json:"why"`                    // it was listed
	WhyNot     string       `json:"delisted_why,omitempty"` // it was delisted
	Alarms     int          `json:"alarms"`                 // verified, in the window, when last judged
	Share      float64      `json:"share"`                  // of the district's
	Kinds      map[Kind]int `json:"kinds,omitempty"`        // of them by kind
	Judged     time.Time    `json:"judged"`
	Ticket     string       `json:"ticket,omitempty"` // to put it right
	Supervised bool         `json:"supervised"`       // while it is listed: look at it more often
}

// Key tells places apart.
func (h *Hotspot) Key() string { return string(h.What) + ":" + h.District + "/" + h.Place }
