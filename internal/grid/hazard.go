package grid

import "time"

// HazardState is how far a hazard has come. It follows the ticket that is its work.
type HazardState string

const (
	HazardFound      HazardState = "found"      // no unit has it yet
	HazardNotified   HazardState = "notified"   // a unit was told, also again after a failed re-check
	HazardRectifying HazardState = "rectifying" // the unit is at it
	HazardRectified  HazardState = "rectified"  // by the unit's word
	HazardRechecking HazardState = "rechecking" // somebody else looks
	HazardClosed     HazardState = "closed"
)

// HazardStates are all states, in their order.
func HazardStates() []HazardState {
	return []HazardState{HazardFound, HazardNotified, HazardRectifying, HazardRectified, HazardRechecking, HazardClosed}
}

// FromSensor is the source of a hazard that sensors found by repeating themselves.
const FromSensor FilingSource = "sensor"

// HazardEvent is the event type of a hazard's ticket: "hazard.fire_door".
func HazardEvent(kind string) EventType { return EventType("hazard." + kind) }

// Hazard is a standing danger found by a sensor, a patrol, the hotline or video, to be
// rectified by a deadline and re-checked. Its work is a ticket.
type Hazard struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Level string `json:"level"` // general or major
	Mode  Mode   `json:"mode"`
	Scope
	Cell       string            `json:"cell,omitempty"`
	Point      string            `json:"point,omitempty"`
	Place      string            `json:"place"` // in words
	Source     FilingSource      `json:"source"`
	External   string            `json:"external,omitempty"` // the other system's number
	Text       string            `json:"text,omitempty"`
	Found      time.Time         `json:"found"`
	Answers    []HazardAnswer    `json:"answers,omitempty"` // to the check-list, the newest of each question
	Before     []string          `json:"before,omitempty"`  // photos: ids of evidence files
	After      []string          `json:"after,omitempty"`
	Unit       string            `json:"unit,omitempty"` // that rectifies it
	Deadline   time.Time         `json:"deadline"`
	Since      time.Time         `json:"since"` // when the time to the deadline began
	Extensions []HazardExtension `json:"extensions,omitempty"`
	State      HazardState       `json:"state"`
	Overdue    bool              `json:"overdue,omitempty"` // not rectified by the deadline
	Checker    string            `json:"checker,omitempty"` // who re-checks now
	Rechecks   []HazardFinding   `json:"rechecks,omitempty"`
	RepeatOf   string            `json:"repeat_of,omitempty"` // the one before it: same kind, same point, within 30 days
	Episodes   []string          `json:"episodes,omitempty"`  // of sensors, that made it a hazard
	Ticket     string            `json:"ticket"`
	Ended      time.Time         `json:"ended,omitzero"`
	Outcome    string            `json:"outcome,omitempty"` // rectified, dismissed, merged or forced
}

// Open reports whether it has not ended.
func (h *Hazard) Open() bool { return h.State != HazardClosed }

// Passed reports whether its newest re-check found it rectified.
func (h *Hazard) Passed() bool {
	n := len(h.Rechecks)
	return n > 0 && h.Rechecks[n-1].Pass
}

// HazardAnswer is an answer to a question of the check-list.
type HazardAnswer struct {
	Question string    `json:"question"`
	Answer   string    `json:"answer"` // yes, no or na
	Note     string    `json:"note,omitempty"`
	By       Actor     `json:"by,omitzero"`
	At       time.Time `json:"at,omitzero"`
}

// HazardExtension is a deadline that a supervisor has moved.
type HazardExtension struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
	By     Actor     `json:"by"`
	At     time.Time `json:"at"`
}

// HazardFinding is what somebody found who looked again.
type HazardFinding struct {
	Pass   bool      `json:"pass"`
	Person string    `json:"person"` // who was there
	Reason string    `json:"reason,omitempty"`
	Photos []string  `json:"photos,omitempty"`
	By     Actor     `json:"by"` // who entered it
	At     time.Time `json:"at"`
}

// HazardVerb is what someone wants to do to a hazard.
type HazardVerb string

const (
	HazardInspect HazardVerb = "inspect" // answers to the check-list
	HazardPhoto   HazardVerb = "photo"   // photos before or after
	HazardNotify  HazardVerb = "notify"  // name the unit that rectifies it
	HazardStart   HazardVerb = "start"   // the unit is at it
	HazardRectify HazardVerb = "rectify" // the unit says it is done
	HazardRecheck HazardVerb = "recheck" // somebody goes to look
	HazardPass    HazardVerb = "pass"    // it is done
	HazardFail    HazardVerb = "fail"    // it is not
	HazardExtend  HazardVerb = "extend"  // the deadline moves
	HazardDismiss HazardVerb = "dismiss" // it is none
)

// HazardMove is a wish to change a hazard. Key makes it idempotent.
type HazardMove struct {
	Key     string         `json:"key,omitempty"`
	Hazard  string         `json:"hazard"`
	Verb    HazardVerb     `json:"verb"`
	By      Actor          `json:"by"`
	At      time.Time      `json:"at"`
	Reason  string         `json:"reason,omitempty"`
	Answers []HazardAnswer `json:"answers,omitempty"`
	Before  []string       `json:"before,omitempty"` // ids of evidence files of its ticket
	After   []string       `json:"after,omitempty"`
	Unit    string         `json:"unit,omitempty"`   // of notify
	Until   time.Time      `json:"until,omitzero"`   // of extend
	Person  string         `json:"person,omitempty"` // who was there, or who said so
}

// HazardFiling is a hazard as people report it. The type of the filing follows from Kind.
type HazardFiling struct {
	Filing
	Kind    string         `json:"kind"`
	Answers []HazardAnswer `json:"answers,omitempty"`
}

// HazardFiled is what became of it.
type HazardFiled struct {
	Hazard     Hazard       `json:"hazard"`
	Repeated   bool         `json:"repeated,omitempty"`
	Duplicates []Suggestion `json:"duplicates"`
}
