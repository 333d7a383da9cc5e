package grid

import "time"

// Outcome is where a frame ended. accepted = the sum of all outcomes + waiting.
type Outcome uint8

const (
	Processed Outcome = iota
	Duplicate
	IgnoredFrame
	Quarantined
	Discarded
	Outcomes = 5
)

var outcomeNames = [Outcomes]string{"processed", "duplicate", "ignored", "quarantined", "discarded"}

func (o Outcome) String() string { return outcomeNames[o] }

// LedgerRow is the count for one transport source and lane.
type LedgerRow struct {
	Transport string          `json:"transport"`
	Source    string          `json:"source"`
	Lane      Lane            `json:"-"`
	Counts    [Outcomes]int64 `json:"-"`
}

// QuarantineReason is why no retry can save a frame.
type QuarantineReason string

const (
	UnknownDevice  QuarantineReason = "unknown_device"
	NoProfile      QuarantineReason = "no_profile"
	BadEnvelope    QuarantineReason = "bad_envelope"
	Undecodable    QuarantineReason = "undecodable"
	UnknownChannel QuarantineReason = "unknown_channel"
	BarredDevice   QuarantineReason = "barred_device"
	InternalFault  QuarantineReason = "internal"
	TooLarge       QuarantineReason = "too_large"
	RejectedPoint  QuarantineReason = "rejected_by_influxdb"
)

// QuarantinedFrame is a copy of a frame, or of a part of one (Channel), that waits for a person.
type QuarantinedFrame struct {
	ID      string           `json:"id"`
	Reason  QuarantineReason `json:"reason"`
	Detail  string           `json:"detail"`
	Frame   Frame            `json:"-"`
	Channel string           `json:"channel,omitempty"` // only this part of the frame
	Guess   string           `json:"guess,omitempty"`   // best guess of the profile
	At      time.Time        `json:"at"`
	State   string           `json:"state"` // waiting, replayed, discarded
	Scope
	Whole bool `json:"whole"` // the whole frame counts as quarantined in the ledger
}

// Ledger is the whole count. Per lane: accepted = the sum of the rows' outcomes + waiting.
type Ledger struct {
	Rows     []LedgerRow
	Accepted [Lanes]int64 // frames the journal has taken
	Waiting  [Lanes]int64 // of them, not yet counted by any batch
	Lost     int64        // of wires without an acknowledgement: given up unheard, and never accepted
}

// Balanced reports whether every accepted frame of every lane has ended or waits.
func (l Ledger) Balanced() bool {
	left := l.Accepted
	for _, r := range l.Rows {
		for _, n := range r.Counts {
			left[r.Lane] -= n
		}
	}
	return left == l.Waiting
}
