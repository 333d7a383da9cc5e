package grid

import "time"

// DayLayout is how a day of work is written: 2026-11-24, in the zone of the calendars.
const DayLayout = "2006-01-02"

// Term is the time in which a contractor works for us: From ≤ t < To. A zero end is open.
type Term struct {
	From time.Time `json:"from,omitzero" yaml:"from,omitempty"`
	To   time.Time `json:"to,omitzero" yaml:"to,omitempty"`
}

// IsZero reports whether there is no limit.
func (t Term) IsZero() bool { return t.From.IsZero() && t.To.IsZero() }

// Has reports whether a moment lies in the term.
func (t Term) Has(at time.Time) bool {
	return !at.Before(t.From) && (t.To.IsZero() || at.Before(t.To))
}

// String says the term for people.
func (t Term) String() string {
	from, to := "…", "…"
	if !t.From.IsZero() {
		from = t.From.Format(time.RFC3339)
	}
	if !t.To.IsZero() {
		to = t.To.Format(time.RFC3339)
	}
	return from + " to " + to
}

// InHands is the contractor whose points a unit of kind maintenance looks after: what its
// scope says, else the unit itself.
func (u *Unit) InHands() string {
	if u.Contractor != "" {
		return u.Contractor
	}
	return u.ID
}

// Contract gives the points of a place, present and future ones, into the hands of a
// contractor: of a point, every code of Scope but the contractor must agree, and the kind if
// one is set. Of several that fit, the newest holds.
type Contract struct {
	ID string `json:"id"`
	Scope
	Kind  Kind      `json:"kind,omitempty"` // of the points; "": all
	Given time.Time `json:"given"`
	By    Actor     `json:"by"`
	// Tickets says that open tickets go along; else they stay with whoever has them.
	Tickets bool      `json:"tickets,omitempty"`
	Points  int       `json:"points"` // how many were moved so far
	Done    time.Time `json:"done,omitzero"`
	Ended   time.Time `json:"ended,omitzero"` // a later one took its place
	Cell    string    `json:"cell,omitempty"`
	Mode    Mode      `json:"mode"`
}

// Has reports whether a point lies in the place of the contract.
func (c *Contract) Has(s Scope, k Kind) bool {
	return c.Ended.IsZero() && (c.Kind == "" || c.Kind == k) && Within(c.Scope, s)
}

// Within reports whether inner lies in the place that outer names, whoever looks after it.
func Within(outer, inner Scope) bool {
	return (outer.District == "" || outer.District == inner.District) && (outer.Street == "" || outer.Street == inner.Street) &&
		(outer.Community == "" || outer.Community == inner.Community) && (outer.Compound == "" || outer.Compound == inner.Compound)
}

// RoundState is how far a round is.
type RoundState string

const (
	RoundPlanned   RoundState = "planned"
	RoundUnderWay  RoundState = "under_way"
	RoundDone      RoundState = "done"      // every stop has its end
	RoundOver      RoundState = "over"      // its day is over: what was not done waits for another
	RoundCancelled RoundState = "cancelled" //
)

// StopState is what came of a stop.
type StopState string

const (
	StopOpen    StopState = "open"
	StopDone    StopState = "done"
	StopNoEntry StopState = "no_entry"
	StopDropped StopState = "dropped" // nothing is left to do there
)

// JobState is what came of one thing to do at a stop.
type JobState string

const (
	JobOpen JobState = "open"
	JobDone JobState = "done" // the technician says so; a ticket is closed by its sensor
	JobLeft JobState = "left" // it left the round: Why
)

// Round is one day's way of a unit past the buildings in which it has tickets of P4 or
// batteries to change: one visit per building.
type Round struct {
	ID      string     `json:"id"`
	Unit    string     `json:"unit"`
	Day     string     `json:"day"` // DayLayout
	State   RoundState `json:"state"`
	Stops   []Stop     `json:"stops"` // in the order of the route
	LengthM float64    `json:"length_m"`
	Season  bool       `json:"season,omitempty"` // made of the battery season
	Made    time.Time  `json:"made"`
	By      Actor      `json:"by"`
	Until   time.Time  `json:"until"` // the end of its day
	Started time.Time  `json:"started,omitzero"`
	Ended   time.Time  `json:"ended,omitzero"`
	Why     string     `json:"why,omitempty"` // it was cancelled
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// Open reports whether the round has not ended.
func (r *Round) Open() bool { return r.Ended.IsZero() }

// Progress counts the stops that have their end.
func (r *Round) Progress() (ended, all int) {
	for i := range r.Stops {
		if r.Stops[i].State != StopOpen {
			ended++
		}
	}
	return ended, len(r.Stops)
}

// Stop is one building of a round.
type Stop struct {
	N        int       `json:"n"`   // from 1, and stays
	Key      string    `json:"key"` // tells buildings apart
	Building string    `json:"building,omitempty"`
	Place    string    `json:"place"` // in words
	Lon      float64   `json:"lon,omitempty"`
	Lat      float64   `json:"lat,omitempty"`
	LegM     float64   `json:"leg_m"` // from the stop before
	Jobs     []Job     `json:"jobs"`
	State    StopState `json:"state"`
	At       time.Time `json:"at,omitzero"` // of its end, as the technician says
	By       Actor     `json:"by,omitzero"`
	Note     string    `json:"note,omitempty"`
	NoEntry  string    `json:"no_entry,omitempty"` // its id
	Times    int       `json:"times,omitempty"`    // how often there was no entry before
}

// Job is one thing to do at a stop: a ticket, or without one a battery to change before it ends.
type Job struct {
	Ticket  string    `json:"ticket,omitempty"`
	Type    EventType `json:"type"`
	Point   string    `json:"point,omitempty"`
	Name    string    `json:"name,omitempty"` // of the point
	Floor   string    `json:"floor,omitempty"`
	Room    string    `json:"room,omitempty"`
	Device  Identity  `json:"device,omitempty"`
	Battery string    `json:"battery,omitempty"` // its type, with how many
	Due     time.Time `json:"due,omitzero"`
	Late    bool      `json:"late,omitempty"` // its clock runs out before the round ends
	State   JobState  `json:"state"`
	Why     string    `json:"why,omitempty"`
}

// NoEntry is one time that nobody opened: who was there, why not, when again.
type NoEntry struct {
	ID       string    `json:"id"`
	Round    string    `json:"round"`
	Stop     int       `json:"stop"`
	Unit     string    `json:"unit"`
	Key      string    `json:"key"` // of the building
	Place    string    `json:"place"`
	Tickets  []string  `json:"tickets,omitempty"`
	Points   []string  `json:"points,omitempty"` // with batteries to change
	Reason   string    `json:"reason"`
	Photo    string    `json:"photo,omitempty"`
	Next     string    `json:"next"` // the day on which it is tried again
	Times    int       `json:"times"`
	At       time.Time `json:"at"`
	Received time.Time `json:"received"`
	By       Actor     `json:"by"`
	// Approved: the handle clocks of its tickets stand still until Next.
	Approved   time.Time `json:"approved,omitzero"`
	ApprovedBy Actor     `json:"approved_by,omitzero"`
	Scope
	Cell string `json:"cell,omitempty"`
	Mode Mode   `json:"mode"`
}

// BatteryEnd is when the battery of a device is empty, as foretold.
type BatteryEnd struct {
	Device  Identity `json:"device"`
	Profile string   `json:"profile"`
	Point   string   `json:"point"`
	Days    float64  `json:"days"` // left now
	Level   *float64 `json:"level_pct,omitempty"`
	Low     bool     `json:"low,omitempty"` // the device says so itself
	Ticket  string   `json:"ticket,omitempty"`
}

// RoundAsk says which rounds are wanted of a unit.
type RoundAsk struct {
	Unit   string
	From   string // the first day; "": the next work day
	Days   int    // work days from then on
	Stops  int    // buildings a day, at most
	Scope         // only tickets of this place
	Start  *Spot  // where the way begins; nil: anywhere
	Season int    // days ahead in which batteries are changed too; 0: tickets alone
	DryRun bool
	By     Actor
}

// Spot is a position in WGS-84.
type Spot struct {
	Lon float64 `json:"lon"`
	Lat float64 `json:"lat"`
}

// RoundPlan is what was planned.
type RoundPlan struct {
	Rounds []Round     `json:"rounds"`
	Joined []RoundJoin `json:"joined"` // what joins a visit that is planned already
	Left   []RoundLeft `json:"left"`   // what found no place, and why
	Late   []RoundLeft `json:"late"`   // what is planned after its time: told, since it cannot be earlier
	DryRun bool        `json:"dry_run,omitempty"`
}

// RoundJoin is work that goes along at a building where a round stops anyway.
type RoundJoin struct {
	Round string `json:"round"`
	Key   string `json:"key"`
	Jobs  []Job  `json:"jobs"`
}

// RoundLeft is work without a place in the plan, or with one that is late.
type RoundLeft struct {
	Ticket string    `json:"ticket,omitempty"`
	Point  string    `json:"point,omitempty"`
	Place  string    `json:"place,omitempty"`
	Day    string    `json:"day,omitempty"`
	Due    time.Time `json:"due,omitzero"`
	Why    string    `json:"why"`
}

// RoundAct is the word of who walks a round about one of its stops.
type RoundAct struct {
	Key     string
	Round   string
	Stop    int
	By      Actor
	At      time.Time // when it was done; zero: now
	Note    string
	Tickets []string // of done: only these; none: all of the stop
	Photo   string   // of no entry: an evidence file of one of its tickets
	Next    string   // of no entry: the day on which it is tried again
}
