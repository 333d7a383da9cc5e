package grid

import "time"

// Seat is a place at the operators' desk, and who sits there. It watches only while its
// sound is armed and it says that its stream is live.
type Seat struct {
	ID       string    `json:"id"`
	Person   string    `json:"person,omitempty"`
	Role     Role      `json:"role,omitempty"`
	Session  string    `json:"session,omitempty"` // of the page that signed on; only that page gets it
	Sound    bool      `json:"sound" doc:"Sound is armed."`
	Stream   bool      `json:"stream" doc:"Its stream is live."`
	On       time.Time `json:"on,omitzero" doc:"Signed on."`
	Beat     time.Time `json:"beat,omitzero" doc:"Last heard."`
	Left     time.Time `json:"left,omitzero" doc:"Signed off."`
	Watching bool      `json:"watching"`
	Why      string    `json:"why,omitempty" doc:"Why it is not watching."`
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// Taken says who has an alarm.
type Taken struct {
	Seat string    `json:"seat"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Untaken is how far the calling for somebody who takes an alarm has come.
type Untaken struct {
	Since time.Time `json:"since"`
	Seats time.Time `json:"seats,omitzero" doc:"When all seats were told."`
	Lead  time.Time `json:"lead,omitzero" doc:"When the duty lead was called."`
	Why   string    `json:"why,omitempty" doc:"Why the duty lead was called."`
}

// Handover is the sheet that one shift leaves to the next. What it says is fixed when it is
// made; two persons sign it, and then nothing of it changes any more.
type Handover struct {
	ID       string            `json:"id"`
	Why      string            `json:"why"` // shift, asked
	Shift    string            `json:"shift,omitempty" doc:"The shift that ends."`
	Next     string            `json:"next,omitempty" doc:"The shift that begins."`
	From     time.Time         `json:"from,omitzero" doc:"Notes are those since then."`
	Made     time.Time         `json:"made"`
	By       Actor             `json:"by"`
	Posture  PostureName       `json:"posture"`
	Sections []HandoverSection `json:"sections"`
	Digest   string            `json:"digest" doc:"SHA-256 of what it says; what is signed."`
	Outgoing *HandoverSign     `json:"outgoing,omitempty"`
	Incoming *HandoverSign     `json:"incoming,omitempty"`
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// HandoverSection is one part of a handover sheet.
type HandoverSection struct {
	Key   string         `json:"key"`
	Title Text           `json:"title"`
	Count int            `json:"count"`
	Lines []HandoverLine `json:"lines"` // the first of them, if there are many
}

// HandoverLine is one matter that goes over.
type HandoverLine struct {
	Kind     string    `json:"kind"` // alarm, ticket, window, visit, posture, note, seat
	ID       string    `json:"id,omitempty"`
	Priority Priority  `json:"priority,omitempty"`
	Type     string    `json:"type,omitempty"`
	What     string    `json:"what"`
	Place    string    `json:"place,omitempty"`
	State    string    `json:"state,omitempty"`
	Who      string    `json:"who,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Mode     Mode      `json:"mode"`
}

// HandoverSign is a signature under a handover sheet.
type HandoverSign struct {
	By   Actor     `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// Signed reports whether both have signed.
func (h *Handover) Signed() bool { return h.Outgoing != nil && h.Incoming != nil }
