package grid

import "time"

// EvidenceFile is a photo or document behind a ticket. The bytes lie under their hash; the
// row never changes, but that it is erased: then the bytes and the note are gone, and what proves
// that it was there stays.
type EvidenceFile struct {
	ID     string `json:"id"`
	Ticket string `json:"ticket"`
	Scope
	Cell   string    `json:"cell,omitempty"`
	Mode   Mode      `json:"mode"`
	SHA256 string    `json:"sha256"` // hexadecimal
	Bytes  int64     `json:"bytes"`
	Type   string    `json:"type"`            // media type, as its content says
	Shows  string    `json:"shows,omitempty"` // near, far, reference, before or after
	Note   string    `json:"note,omitempty"`
	By     Actor     `json:"by"`
	At     time.Time `json:"at"`
	Erased time.Time `json:"erased,omitzero"`
	Why    string    `json:"erased_why,omitempty"`
}

// EvidencePrefix begins a move's Evidence that is a file of its ticket: "file:<id>".
const EvidencePrefix = "file:"
