package state

import (
	"encoding/json"
	"time"

	"gridgate/internal/grid"
)

// Batch is what one commit writes: all of it or nothing. Empty parts cost nothing.
// Rows are upserts by their id unless said otherwise, and rows that hang on another
// (assignments, moves, deliveries, attempts, installations, downlinks) take its scope when written.
type Batch struct {
	// Cursors say up to where each lane is processed. A zero Pos leaves a lane's cursor
	// where it is; a cursor that would go back is refused.
	Cursors    [grid.Lanes]grid.Pos
	EngineTime time.Time        // zero: unchanged
	Ledger     []grid.LedgerRow // added to the stored counts; may be negative

	Points        []grid.Point
	Devices       []grid.Device
	Installations []grid.Installation // by device, channel and From
	Units         []grid.Unit         // an empty Token leaves the stored one

	Events     []grid.Event // a fact that is already there stays as it is
	Alarms     []grid.Alarm
	Incidents  []grid.Incident
	Tickets    []grid.Ticket // with all their assignments
	Moves      []grid.MoveRecord
	Deliveries []grid.Delivery
	Attempts   []grid.Attempt
	Quarantine []grid.QuarantinedFrame // the copy of a frame is written once; discarding frees it

	Evidence   []Evidence
	Files      []grid.EvidenceFile
	Commands   []Applied
	Down       []DownSpan // by Source and From
	InfluxMark InfluxMark // zero: unchanged
	Suspects   []Suspect
	Meta       map[string]string
	Audit      []Audit
	Versions   []grid.ProfileVersion // of firmware profiles; one that is there already stays as it is
	Rollouts   []grid.RolloutStep    // new steps
	Downlinks  []grid.Downlink
	Hotspots   []grid.Hotspot

	Credentials []grid.Credential
	Contacts    []grid.Contact
	Rosters     []grid.Roster
	Shifts      []grid.Shift
	Windows     []grid.Window
	Postures    []grid.Posture
	Hazards     []grid.Hazard
	Visits      []grid.Visit

	Sites     []grid.Site
	Buildings []grid.Building
	Changes   []grid.Change // of the registry, append-only
	Photos    []grid.PointPhoto

	Contracts []grid.Contract
	Handed    []Handed // points into other hands, after Points
	Rounds    []grid.Round
	NoEntries []grid.NoEntry

	Seats     []grid.Seat
	Handovers []grid.Handover

	Labels  []grid.ClaimLabel
	Ignored []grid.Ignored

	Regions     []grid.Region
	RegionsGone []string // codes, deleted before

	Imports      []grid.Import
	ImportPieces []ImportPiece
	Gone         grid.ImportGone // deleted before anything is put
}

// Evidence is one frame that stands behind a P1 or P2 event, kept with its case.
type Evidence struct {
	Ticket  string          `json:"ticket"`
	Pos     grid.Pos        `json:"-"`
	Frame   grid.Frame      `json:"-"`       // a raw copy; what its envelope says is read again from Raw
	Decoded json.RawMessage `json:"decoded"` // what the profile made of it then
	Config  string          `json:"config"`  // version of the configuration that was in force
}

// Applied is a command that has been done, under its idempotency key.
type Applied struct {
	Key    string
	At     time.Time
	Result []byte // what it answered, to be answered again
}

// DownSpan is a time in which a source, or the gateway itself (""), could not hear.
type DownSpan struct {
	Source string    `json:"source,omitempty"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero"` // zero: still down
}

// InfluxMark is the length of the InfluxDB queue that belongs to the commit.
type InfluxMark struct {
	Segment uint64
	Offset  int64
}

// Suspect is a frame during which the process has died. Crashes 0 clears it.
type Suspect struct {
	Pos     grid.Pos
	Crashes int
}

// Audit is one line of who did what, beside the tickets' own histories.
type Audit struct {
	ID      string     `json:"id"`
	At      time.Time  `json:"at"`
	By      grid.Actor `json:"by"`
	Action  string     `json:"action"`  // "device.claim", "quarantine.discard", …
	Subject string     `json:"subject"` // the id of what it was done to
	Detail  string     `json:"detail,omitempty"`
	grid.Scope
	Cell string    `json:"cell,omitempty"`
	Mode grid.Mode `json:"mode"`
}
