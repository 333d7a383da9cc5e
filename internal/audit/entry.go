// Package audit keeps who did what: every change, accepted or refused, every look at what is
// personal, every sign-on. Entries go into append-only segments of JSON lines in which each line
// carries the hash of the one before, so that a line changed, taken out, put in or moved is found.
// What a chain cannot show by itself stands in docs/audit.md.
//
// One goroutine writes (Log.Run); many append. It knows nothing of the rest of the gateway.
package audit

import (
	"encoding/json"
	"time"

	"gridgate/internal/grid"
)

// Outcome is how an act ended.
type Outcome string

// Outcomes.
const (
	Done    Outcome = "done"    // it holds; of a look, it was answered
	Refused Outcome = "refused" // by us: no right to it, or it makes no sense
	Failed  Outcome = "failed"  // inside the gateway, or it broke off: whether it holds is not known
)

// Entry is one act. At is set by Append where it is zero; Asked, Before and After are
// JSON without secrets, bounded.
type Entry struct {
	At      time.Time       `json:"at"`
	Who     string          `json:"who,omitempty"` // a user's name, a unit's id; of a failed sign-on the name that was tried
	Role    grid.Role       `json:"role,omitempty"`
	Unit    string          `json:"unit,omitempty"`    // acted for
	Session string          `json:"session,omitempty"` // id of the session or the API token, never what opens it
	From    string          `json:"from,omitempty"`    // network address
	Act     string          `json:"act"`               // id of the API's operation, or session.on, session.off, session.failed, …
	Object  string          `json:"object,omitempty"`  // what it was done to: id=…, …
	Asked   json.RawMessage `json:"asked,omitempty"`   // what was wished for, as it came
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
	Why     string          `json:"why,omitempty"` // the reason that was given
	Outcome Outcome         `json:"outcome"`
	Code    string          `json:"code,omitempty"` // of the refusal: unauthorized, forbidden, conflict, …
}
