package grid

import "time"

// ContactRole says what a contact is to the place or the unit. It is a role, not a name.
type ContactRole string

const (
	Occupant  ContactRole = "occupant"
	Neighbour ContactRole = "neighbour"
	KeyHolder ContactRole = "key_holder"
	DutyPhone ContactRole = "duty_phone"
)

// Channel is how a contact is reached.
type Channel string

const (
	Voice Channel = "voice"
	SMS   Channel = "sms"
	App   Channel = "app"
	Chat  Channel = "chat"
)

// Contact is one way to reach one person. Its number and name are sealed: nothing but a
// reveal, which is audited, and the carrier of a call gets them.
type Contact struct {
	ID       string      `json:"id"`
	Of       string      `json:"of" doc:"Whose: point:<id>, building:<name>, unit:<id> or person:<name on the roster>."`
	Role     ContactRole `json:"role"`
	Order    int         `json:"order" doc:"Who is called first: the lowest."`
	Channel  Channel     `json:"channel"`
	Hours    string      `json:"hours,omitempty" doc:"The calendar in whose hours it may be called; none: always."`
	Verified time.Time   `json:"verified,omitzero" doc:"When somebody last made sure that it is right."`
	Scope
	Cell    string    `json:"cell,omitempty"`
	Mode    Mode      `json:"mode,omitempty"`
	Created time.Time `json:"created"`
	By      Actor     `json:"by"`
	Erased  time.Time `json:"erased,omitzero"`

	Sealed []byte `json:"-"` // number and name; see package auth
}

// Known reports whether there is a number to call.
func (c *Contact) Known() bool { return c.Erased.IsZero() && len(c.Sealed) > 0 }

// Roster says that somebody must be on duty.
type Roster struct {
	ID       string `json:"id"`
	For      string `json:"for" doc:"unit:<id>, or seat:<name> of the operators."`
	Hours    string `json:"hours,omitempty" doc:"The calendar in whose hours somebody must be on duty; none: always."`
	Fallback string `json:"fallback,omitempty" doc:"The person who is called where nobody is on duty."`
	Scope
	Cell    string    `json:"cell,omitempty"`
	Mode    Mode      `json:"mode,omitempty"`
	Ended   time.Time `json:"ended,omitzero"`
	Created time.Time `json:"created"`
	By      Actor     `json:"by"`
}

// Shift is a span in which a person is on duty, once or by a pattern.
type Shift struct {
	ID     string    `json:"id"`
	For    string    `json:"for" doc:"unit:<id>, or seat:<name>."`
	Person string    `json:"person" doc:"A number of staff or a word for the post; a name is not needed."`
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero" doc:"None: until it is ended."`
	Hours  string    `json:"hours,omitempty" doc:"Only within the hours of this calendar."`
	// Every and Length make a turn: on duty for Length, again Every after From.
	Every  time.Duration `json:"every_ns,omitempty"`
	Length time.Duration `json:"length_ns,omitempty"`
	Scope
	Cell    string    `json:"cell,omitempty"`
	Mode    Mode      `json:"mode,omitempty"`
	Ended   time.Time `json:"ended,omitzero"`
	Created time.Time `json:"created"`
	By      Actor     `json:"by"`
}

// CallChain is the calling of people for one part of a ticket, one after another, until
// somebody answers. It holds no number.
type CallChain struct {
	Of         string       `json:"of"`                   // whose contacts: unit:…, point:…, building:…
	Assignment string       `json:"assignment,omitempty"` // of the unit
	Attempt    int          `json:"attempt,omitempty"`
	Calls      []PersonCall `json:"calls,omitempty"`
	Due        time.Time    `json:"due,omitzero"` // when the next is called
	Ended      time.Time    `json:"ended,omitzero"`
	Why        string       `json:"why,omitempty"` // answered, accepted, nobody, over
	By         string       `json:"by,omitempty"`  // who answered: a contact, or a person at the desk
}

// PersonCall is one call of a chain.
type PersonCall struct {
	Contact  string      `json:"contact"`
	Role     ContactRole `json:"role"`
	Of       string      `json:"of"`
	Channel  Channel     `json:"channel"`
	At       time.Time   `json:"at"`
	Unit     string      `json:"unit,omitempty"`     // the registered carrier it went by
	Delivery string      `json:"delivery,omitempty"` // by a carrier
	Task     int         `json:"task,omitempty"`     // by a person at the desk
	Failed   string      `json:"failed,omitempty"`   // why it did not go out
}

// CallRoute is one call of a plan with the choice of its unit and why.
type CallRoute struct {
	Tier    int           `json:"tier"`
	Units   []UnitKind    `json:"units" doc:"The kinds that the plan calls, in order of preference."`
	Lead    bool          `json:"lead,omitempty"`
	When    string        `json:"when"`
	Unit    string        `json:"unit,omitempty" doc:"None: the operator is asked."`
	By      string        `json:"by,omitempty" doc:"The rule, place or fallback."`
	Reasons []RouteReason `json:"reasons"`
}

// RouteReason is why a rule or a unit was taken or left.
type RouteReason struct {
	Rule  string `json:"rule,omitempty"`
	Unit  string `json:"unit,omitempty"`
	Taken bool   `json:"taken,omitempty"`
	Why   string `json:"why"`
}
