package grid

import "time"

// FilingSource says through whom an event reached us that no sensor reported.
type FilingSource string

const (
	FromHotline    FilingSource = "hotline"
	FromPatrol     FilingSource = "patrol"
	FromVideo      FilingSource = "video"
	FromDepartment FilingSource = "department" // another system of the city
	FromPublic     FilingSource = "public"
)

// FiledPrefix begins the Device of an episode that was filed: "filed:hotline/20260302-0017".
// Nothing else has that identity, so that it is neither cleared nor joined by a sensor.
const FiledPrefix = "filed:"

// Filing is an event as people report it. Who called stays in the system that took the
// call, under its own case number: nothing of it is stored here.
type Filing struct {
	Source   FilingSource `json:"source"`
	External string       `json:"external"` // the other system's case number
	Type     EventType    `json:"type"`
	Priority Priority     `json:"priority,omitempty"` // 0: the event's own
	Mode     Mode         `json:"mode"`
	Point    string       `json:"point,omitempty"`
	Place    string       `json:"place,omitempty"` // in words
	Building string       `json:"building,omitempty"`
	Cell     string       `json:"cell,omitempty"`
	Lon      float64      `json:"lon,omitempty"` // WGS84
	Lat      float64      `json:"lat,omitempty"`
	CRS      string       `json:"crs,omitempty"` // of the position
	Text     string       `json:"text,omitempty"`
	At       time.Time    `json:"at,omitzero"` // when it was seen, by their word
	By       Actor        `json:"by,omitzero"` // who filed it here
}

// Identity stands for the device of its episode.
func (f *Filing) Identity() Identity {
	return Identity(FiledPrefix + string(f.Source) + "/" + f.External)
}

// Filed is what became of a filing.
type Filed struct {
	Ticket   Ticket `json:"ticket"`
	Alarm    string `json:"alarm"`              // its episode
	Repeated bool   `json:"repeated,omitempty"` // it was filed before under that number
	// Duplicates are open tickets that may be about the same. A person decides: merge.
	Duplicates []Suggestion `json:"duplicates"`
}

// Suggestion is an open ticket that may be about the same thing as another.
type Suggestion struct {
	Ticket string    `json:"ticket"`
	Type   EventType `json:"type"`
	Place  string    `json:"place"`
	Opened time.Time `json:"opened"`
	Score  int       `json:"score"`  // 1 to 100
	Reason string    `json:"reason"` // in words
	Why    string    `json:"why"`    // point, other_event, building, distance or cell
	Metres int       `json:"metres,omitempty"`
}
