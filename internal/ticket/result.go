package ticket

import (
	"time"

	"gridgate/internal/grid"
)

// Context is what a change may look at beside the ticket.
type Context struct {
	Units    []grid.Unit   // all units; those of other places and modes are left out here
	Episodes []string      // of the ticket
	Active   bool          // the sensor, as last heard, still says so
	Second   bool          // a second detector of the building alarms
	Routing  Routing       // what calls are routed by
	Quiet    time.Time     // the condition flaps: nobody is told of its coming back until then; zero: it does not
	Skipped  time.Duration // by which the machine's clock was set forward since the ticket was reported done
}

// Result is what a change did to a ticket.
type Result struct {
	Changed  bool // false: nothing to store, nobody to tell
	Moves    []grid.MoveRecord
	Messages []Message
	Calls    []CallOut // of people, by a carrier
	// Wake is when Tick (or Check, for a ticket in checking) has something to do if
	// nothing else happens before; zero: never.
	Wake time.Time
}

// Message tells one unit. The caller makes a delivery of it.
type Message struct {
	Assignment string
	Unit       string
	Type       string
}

// The types of messages.
const (
	MessageOpened    = "ticket.opened"     // a new assignment
	MessageUpdated   = "ticket.updated"    // something to know, nothing to do
	MessageRework    = "ticket.rework"     // not fixed: do it again
	MessageEscalated = "ticket.escalated"  // time is running out, or a higher tier is called
	MessageClosed    = "ticket.closed"     //
	MessageCancelled = "ticket.cancelled"  // to units that had already done their part
	MessageStandDown = "ticket.stand_down" // to units that were still at it
)

// Verbs of history lines that no one can ask for.
const (
	verbReport   = "report"
	verbFile     = "file"
	verbDispatch = "dispatch"
	verbCall     = "call"
	verbTask     = "task" // a person at the operator's desk must act
	verbWarn     = "warn"
	verbCheck    = "check"
	verbRework   = "rework"
	verbClose    = "close"
	verbRejoin   = "rejoin"
	verbTakeOver = "take_over"
	verbJoin     = "join"   // another episode of the same incident
	verbRelate   = "relate" // something that stands in the way
	verbRaise    = "raise"  // the priority goes up
	verbAsk      = "ask"    // a move waits for a second person
	verbTell     = "tell"   // what was gathered is told
)

var (
	bySystem = grid.Actor{Role: grid.RoleSystem, Name: "gridgate"}
	byClock  = grid.Actor{Role: grid.RoleSystem, Name: "clock"}
	bySensor = grid.Actor{Role: grid.RoleSystem, Name: "sensor"}
)
