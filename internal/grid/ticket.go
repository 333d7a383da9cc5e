package grid

import (
	"encoding/json"
	"time"
)

// TicketState is a state of the seven-stage loop.
type TicketState string

const (
	TicketReported    TicketState = "reported"
	TicketVerifying   TicketState = "verifying"
	TicketFiled       TicketState = "filed"
	TicketDispatched  TicketState = "dispatched"
	TicketAccepted    TicketState = "accepted"
	TicketInProgress  TicketState = "in_progress"
	TicketSuspended   TicketState = "suspended"
	TicketReturned    TicketState = "returned"
	TicketResolved    TicketState = "resolved"
	TicketChecking    TicketState = "checking"
	TicketRework      TicketState = "rework"
	TicketClosed      TicketState = "closed"
	TicketNotFiled    TicketState = "not_filed"
	TicketMerged      TicketState = "merged"
	TicketCancelled   TicketState = "cancelled"
	TicketForcedClose TicketState = "forced_close"
)

// Ended reports whether no move leads out of s.
func (s TicketState) Ended() bool {
	switch s {
	case TicketClosed, TicketNotFiled, TicketMerged, TicketCancelled, TicketForcedClose:
		return true
	}
	return false
}

// Verification of the cause, an attribute beside the state.
type Verification string

const (
	Unverified     Verification = "unverified"
	VerifiedTrue   Verification = "true"
	VerifiedFalse  Verification = "false"
	VerifiedUnable Verification = "unable"
)

// Ticket is the piece of work for an event or incident.
type Ticket struct {
	ID       string    `json:"id"`
	Case     string    `json:"case"` // number for people
	Type     EventType `json:"type"`
	Priority Priority  `json:"priority"`
	Mode     Mode      `json:"mode"`
	Scope
	Cell         string       `json:"cell,omitempty"`
	Point        string       `json:"point,omitempty"`
	Device       Identity     `json:"device,omitempty"`
	Alarm        string       `json:"alarm"`              // the episode it was opened for
	Incident     string       `json:"incident,omitempty"` // that it is the work for
	Members      []Member     `json:"members,omitempty"`  // episodes that joined it, oldest first; the first MaxMembers
	Related      []Member     `json:"related,omitempty"`  // what stands in its way: blocked fire lanes
	Urgent       bool         `json:"urgent,omitempty"`   // its messages go by the safety lane
	State        TicketState  `json:"state"`
	Verification Verification `json:"verification"`
	Tier         int          `json:"tier"`   // highest tier called so far
	Rework       int          `json:"rework"` // times the check failed
	Returns      int          `json:"returns"`
	Opened       time.Time    `json:"opened"`
	Resolved     time.Time    `json:"resolved,omitzero"`   // when the lead last reported done
	Confirmed    string       `json:"confirmed,omitempty"` // who on site says it is done (P1)
	Evidence     string       `json:"evidence,omitempty"`
	Closed       time.Time    `json:"closed,omitzero"`
	Due          time.Time    `json:"due,omitzero"` // end of the total clock
	Overdue      bool         `json:"overdue,omitempty"`
	Warned       int          `json:"warned,omitempty"` // highest step told: 50, 80 or 100
	SentDistrict bool         `json:"sent_district,omitempty"`
	Title        string       `json:"title"`
	Place        string       `json:"place"` // the place in words
	Assignments  []Assignment `json:"assignments"`
	Clocks       []Clock      `json:"clocks,omitempty"`
	Chains       []CallChain  `json:"chains,omitempty"`    // the calling of people
	Tasks        []Task       `json:"tasks,omitempty"`     // what people at the desk must do, and have done
	Asked        *Asked       `json:"asked,omitempty"`     // a move that waits for a second person
	Suspect      string       `json:"suspect,omitempty"`   // why its detector is not believed at once
	Category     string       `json:"category,omitempty"`  // component or event (GB/T 30428)
	Class        string       `json:"class,omitempty"`     // its class code in the grid, 4 digits
	Condition    string       `json:"condition,omitempty"` // why it is filed, coded
	Moves        int          `json:"moves"`               // how many moves its history has
	Revision     int          `json:"revision"`
}

// Assignment is one unit's part of a ticket. The ticket's state follows its lead; no
// assignment's answer ends another's.
type Assignment struct {
	ID        string      `json:"id"` // "<ticket>.<n>"
	Ticket    string      `json:"ticket"`
	Unit      string      `json:"unit"`
	Lead      bool        `json:"lead"`
	Tier      int         `json:"tier"`
	State     TicketState `json:"state"`   // dispatched … resolved, returned, cancelled
	Attempt   int         `json:"attempt"` // raised by rework: a late word on an earlier attempt is refused
	Since     time.Time   `json:"since"`
	StandDown bool        `json:"stand_down,omitempty"`
}

// Clock is one running time limit of a ticket.
type Clock struct {
	Name    string    `json:"name"` // verify, dispatch, accept, arrive, handle, check, total, tier3
	Started time.Time `json:"started"`
	Due     time.Time `json:"due"`
	// Calendar names the one whose hours count; "" is all hours. Half and Most are then when
	// 50 and 80 % of them are over.
	Calendar string    `json:"calendar,omitempty"`
	Half     time.Time `json:"half,omitzero"`
	Most     time.Time `json:"most,omitzero"`
	Stopped  time.Time `json:"stopped,omitzero"`
	Warned   int       `json:"warned,omitempty"` // highest step told: 50, 80 or 100
	Fired    bool      `json:"fired,omitempty"`
}

// TaskKind says how a task is done.
type TaskKind string

const (
	TaskCall   TaskKind = "call"   // call a unit that takes no messages by itself; done when somebody answered
	TaskAssign TaskKind = "assign" // name a unit; done by assign
	TaskWord   TaskKind = "word"   // ask on site; done by confirm
	TaskDecide TaskKind = "decide" // decide and say why
)

// Task is what a person at the operator's desk must do for a ticket. It stays in sight
// until it is done: nobody can dismiss it.
type Task struct {
	N       int       `json:"n"` // within the ticket, from 1
	Kind    TaskKind  `json:"kind"`
	Text    string    `json:"text"`
	Code    string    `json:"code,omitempty"`    // of the text, for a screen in another language
	Facts   TaskFacts `json:"facts,omitempty"`   // what the code's words name
	Unit    string    `json:"unit,omitempty"`    // of a call: whom
	Number  string    `json:"number,omitempty"`  // of a call: by which number
	Script  string    `json:"script,omitempty"`  // of a call: what to say
	Contact string    `json:"contact,omitempty"` // of a call: whose number, to be revealed
	Opened  time.Time `json:"opened"`
	Done    time.Time `json:"done,omitzero"`
	By      Actor     `json:"by,omitzero"`
	Note    string    `json:"note,omitempty"`
}

// TaskFacts are what a task's words name, by name: a unit, a clock, a tier.
type TaskFacts map[string]string

// Asked is a move that one person has asked for and a second has to agree to.
type Asked struct {
	Verb   Verb      `json:"verb"`
	By     Actor     `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Verb is what someone wants to do to a ticket or an assignment.
type Verb string

const (
	VerbVerify     Verb = "verify"      // Finding says true, false or unable
	VerbAccept     Verb = "accept"      // the unit takes it
	VerbArrive     Verb = "arrive"      // on site, work begins
	VerbResolve    Verb = "resolve"     // the unit reports it done
	VerbReturn     Verb = "return"      // wrong unit: reason and proposed unit
	VerbSuspend    Verb = "suspend"     // with approval and an end, never P1
	VerbResume     Verb = "resume"      //
	VerbConfirm    Verb = "confirm"     // a person on site says it is done, with evidence
	VerbAssign     Verb = "assign"      // operator names a unit
	VerbCancel     Verb = "cancel"      // false alarm, by a person on site or a named source
	VerbForceClose Verb = "force_close" // supervisor and reason; done when a second one agrees
	VerbMerge      Verb = "merge"       // into another ticket of the same cause
	VerbSplit      Verb = "split"       // an episode out of it, into a ticket of its own
	VerbDone       Verb = "done"        // a task of the operator's is done
	VerbNote       Verb = "note"        // adds a word, moves nothing
)

// Role of who moves.
type Role string

const (
	RoleSystem     Role = "system"
	RoleUnit       Role = "unit"
	RoleOperator   Role = "operator"
	RoleSupervisor Role = "supervisor"

	// Of accounts and tokens alone: nobody acts under them. An admin acts as supervisor, a
	// technician as his unit; viewers and walls read.
	RoleAdmin      Role = "admin"
	RoleTechnician Role = "technician"
	RoleViewer     Role = "viewer"
	RoleWall       Role = "wall"    // a screen that all see: what a viewer may, and less
	RoleStandby    Role = "standby" // a second machine that copies everything, and does nothing else
)

// Actor is who does something: a unit's token, a person, or the gateway itself.
type Actor struct {
	Role Role   `json:"role"`
	Name string `json:"name"`           // user or unit id, or "sensor", "clock"
	Unit string `json:"unit,omitempty"` // the unit acted for

	// Of who asks by the API, and of no history.
	Account Role   `json:"-"` // as registered, where Role is as whom he acts; "" : the same
	Scope   Scope  `json:"-"` // what of the city he may see and change; zero: the whole district
	Session string `json:"-"` // id of a person's session, never what opens it; "" : none
	Token   string `json:"-"` // id of an API token; "" : none
}

// Standing is the role that decides which routes an actor reaches.
func (a Actor) Standing() Role {
	if a.Account != "" {
		return a.Account
	}
	return a.Role
}

// Move is a wish to change a ticket. Key makes it idempotent.
type Move struct {
	Key        string       `json:"key,omitempty"`
	Ticket     string       `json:"ticket"`
	Assignment string       `json:"assignment,omitempty"` // "" : the actor's own, else the lead's
	Attempt    int          `json:"attempt,omitempty"`    // 0: the present one
	Verb       Verb         `json:"verb"`
	By         Actor        `json:"by"`
	At         time.Time    `json:"at"` // when it reached us
	Reason     string       `json:"reason,omitempty"`
	Finding    Verification `json:"finding,omitempty"`
	Unit       string       `json:"unit,omitempty"`   // proposed or named unit
	Into       string       `json:"into,omitempty"`   // merge target
	Alarm      string       `json:"alarm,omitempty"`  // the episode to split off
	Task       int          `json:"task,omitempty"`   // the task that is done
	Source     string       `json:"source,omitempty"` // named source of a finding
	OnSite     bool         `json:"on_site,omitempty"`
	Evidence   string       `json:"evidence,omitempty"`
	Until      time.Time    `json:"until,omitzero"`
}

// MoveRecord is one line of a ticket's history.
type MoveRecord struct {
	Ticket     string      `json:"ticket"`
	N          int         `json:"n"`
	Assignment string      `json:"assignment,omitempty"`
	Verb       string      `json:"verb"`
	From       TicketState `json:"from"`
	To         TicketState `json:"to"`
	By         Actor       `json:"by"`
	At         time.Time   `json:"at"`
	Reason     string      `json:"reason,omitempty"`
	Detail     string      `json:"detail,omitempty"`
}

// Step words the change of state: "accepted → in_progress", or the one state it is in.
func (r MoveRecord) Step() string {
	if r.From == "" || r.From == r.To {
		return string(r.To)
	}
	return string(r.From) + " → " + string(r.To)
}

// DeliveryState is the fate of a delivery.
type DeliveryState string

const (
	DeliveryPending  DeliveryState = "pending"  // to be sent, or sent again at Next
	DeliverySent     DeliveryState = "sent"     // a carrier has it (mail server, chat, telephone); whether the unit does is not known
	DeliveryReceived DeliveryState = "received" // the unit's system has it
	DeliverySeen     DeliveryState = "seen_by_person"
	DeliveryDead     DeliveryState = "dead"     // given up; visible, can be sent again
	DeliveryWithheld DeliveryState = "withheld" // not live work for a live endpoint: never sent
	DeliveryHeld     DeliveryState = "held"     // waits for the digest of its unit, at Next
	DeliveryDigested DeliveryState = "digested" // stands in the digest that Ref names
)

// DeliveryDigest is the type of a delivery that stands for many: it has no ticket of its own.
const DeliveryDigest = "digest"

// Delivery is one message of a ticket to one unit by one connector, with its own
// retries and its own fate. Body is frozen when it is made.
type Delivery struct {
	ID         string   `json:"id"`
	N          int64    `json:"n"` // order within its ticket and unit: N+1 never overtakes N
	Ticket     string   `json:"ticket"`
	Assignment string   `json:"assignment"`
	Unit       string   `json:"unit"`
	Connector  string   `json:"connector"`
	Type       string   `json:"type"` // "ticket.opened", "ticket.rework", "ticket.closed", …
	Priority   Priority `json:"priority"`
	Mode       Mode     `json:"mode"`
	Scope
	Lane     Lane            `json:"lane"`
	Created  time.Time       `json:"created"`
	State    DeliveryState   `json:"state"`
	Attempts int             `json:"attempts"`
	Next     time.Time       `json:"next,omitzero"`
	Status   int             `json:"status,omitempty"`
	Error    string          `json:"error,omitempty"`
	Ref      string          `json:"ref,omitempty"`
	Done     time.Time       `json:"done,omitzero"`
	Instead  string          `json:"instead,omitempty"` // the delivery that did not get through by another channel
	Over     string          `json:"over,omitempty"`    // the one that went by the next channel
	Body     json.RawMessage `json:"body"`
}

// Attempt is one try at a delivery.
type Attempt struct {
	Delivery string        `json:"delivery"`
	N        int           `json:"n"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took_ns"`
	Status   int           `json:"status,omitempty"`
	Error    string        `json:"error,omitempty"`
	Detail   string        `json:"detail,omitempty"`
}
