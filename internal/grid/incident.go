package grid

import "time"

// Incident is events of one cause at one place (a building, a cell), shown and handled
// together under one ticket. It never hides another building.
type Incident struct {
	ID       string    `json:"id"`
	Cause    string    `json:"cause"` // the name of the group in the rules: fire, water
	Place    string    `json:"place"` // the building, cell or point that its members share
	Type     EventType `json:"type"`
	Priority Priority  `json:"priority"`
	Mode     Mode      `json:"mode"`
	Scope
	Cell      string    `json:"cell,omitempty"`
	Building  string    `json:"building,omitempty"`
	Lon       float64   `json:"lon,omitempty"` // WGS84, of its first member
	Lat       float64   `json:"lat,omitempty"`
	Ticket    string    `json:"ticket,omitempty"` // the newest, if one was ended while a member was active
	Opened    time.Time `json:"opened"`
	Ended     time.Time `json:"ended,omitzero"`     // its ticket has ended and no member is active
	Confirmed time.Time `json:"confirmed,omitzero"` // by a second detector or a person
	Members   int       `json:"members"`            // episodes; they carry its ID
	Active    int       `json:"active"`             // of them
	// Related are open incidents of the same cause close by: shown together, never confirmed
	// by one another and never chained.
	Related []string `json:"related,omitempty"`
}

// MaxMembers is how many members and related episodes a ticket names; all carry its id.
const MaxMembers = 200

// Member is one episode that a ticket is about, beside the one it was opened for.
type Member struct {
	Alarm string    `json:"alarm"`
	Type  EventType `json:"type"`
	Point string    `json:"point"`
	Place string    `json:"place"` // in words
	At    time.Time `json:"at"`    // when it joined
}
