package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Opening is what a ticket is opened with.
type Opening struct {
	ID       string
	Case     string // number for people
	Type     grid.EventType
	Priority grid.Priority
	Mode     grid.Mode
	grid.Scope
	Cell   string
	Point  string
	Device grid.Identity
	Alarm  string
	// Incident that it is the work for; Related is what stands in its way.
	Incident  string
	Related   []grid.Member
	Component string // the point's 16-digit component code, if it has one
	Suspect   string // why its detector is not believed at once
	Urgent    bool   // its messages go by the safety lane
	Title     string
	Place     string
	Detail    string     // a sentence on what was reported, for the history
	By        grid.Actor // who reported it; zero: a sensor
	At        time.Time  // received time of the alarm
	Routing   Routing
}

// Open makes a ticket and calls the units that are called at once, all in one go:
// reported, filed and dispatched; verification runs beside. Where no unit is found for a
// call, a task for the operator says so in the history, and a ticket without a lead
// stays filed.
func Open(o Opening, p *Plan, units []grid.Unit) (grid.Ticket, Result) {
	t := grid.Ticket{
		ID: o.ID, Case: o.Case, Type: o.Type, Priority: o.Priority, Mode: o.Mode, Scope: o.Scope,
		Cell: o.Cell, Point: o.Point, Device: o.Device, Alarm: o.Alarm, Incident: o.Incident, Related: o.Related, Urgent: o.Urgent, Suspect: o.Suspect, Title: o.Title,
		Category: p.Class.Category, Class: p.Class.of(o.Component), Condition: p.Class.Condition,
		Place: o.Place, Verification: grid.Unverified, Opened: o.At,
	}
	ch := begin(&t, p, Context{Units: units, Routing: o.Routing}, bySystem, o.At)
	if o.By == (grid.Actor{}) {
		o.By = bySensor
	}
	ch.to(verbReport, grid.TicketReported, grid.MoveRecord{By: o.By, Detail: o.Detail})
	ch.start(ClockTotal)
	ch.start(ClockVerify)
	for _, c := range p.Calls {
		if c.timed() {
			ch.startFor(tierClock(c.Tier), *c.After)
		}
	}
	if c := findClock(&t, ClockTotal); c != nil {
		t.Due = c.Due
	}
	ch.file(verbFile, grid.MoveRecord{})
	return t, ch.done()
}

// file files the ticket and calls the units that are called at once.
func (ch *change) file(verb string, l grid.MoveRecord) {
	ch.to(verb, grid.TicketFiled, l)
	for i := range ch.p.Calls {
		if c := &ch.p.Calls[i]; c.atOnce() {
			ch.call(c)
		}
	}
	if lead(ch.t) == nil {
		ch.start(ClockDispatch)
	}
}

// callTier makes the calls of one tier, and tells the lead that help is coming.
func (ch *change) callTier(tier int) {
	if c := findClock(ch.t, tierClock(tier)); c != nil && !c.Fired {
		c.Fired, c.Stopped = true, ch.now
	}
	before := len(ch.t.Assignments)
	for i := range ch.p.Calls {
		if c := &ch.p.Calls[i]; c.Tier == tier {
			ch.call(c)
		}
	}
	if l := lead(ch.t); l != nil && len(ch.t.Assignments) > before && ch.t.Assignments[before].ID != l.ID {
		ch.tell(l, MessageEscalated)
	}
}

// upOneTier calls the lowest tier that has not been called yet.
func (ch *change) upOneTier() {
	next := 0
	for i := range ch.p.Calls {
		c := &ch.p.Calls[i]
		called := c.atOnce() || c.Tier <= ch.t.Tier
		if clock := findClock(ch.t, tierClock(c.Tier)); clock != nil {
			called = clock.Fired
		}
		if !called && (next == 0 || c.Tier < next) {
			next = c.Tier
		}
	}
	if next == 0 {
		ch.task(decide("no_tier", grid.TaskFacts{"tier": fmt.Sprint(ch.t.Tier)}, "no tier above %d in the plan: decide whom to call", ch.t.Tier))
		return
	}
	ch.callTier(next)
}

// call brings in one unit, or leaves a task for the operator.
func (ch *change) call(c *Call) {
	choice := ch.route(c)
	u := choice.unit
	if u == nil {
		ch.task(grid.Task{Kind: grid.TaskAssign, Code: "no_unit", Facts: grid.TaskFacts{"tier": fmt.Sprint(c.Tier), "kinds": kindsText(c.Units)}, Text: fmt.Sprintf("tier %d: no unit of kind %s for this place: call one and assign it", c.Tier, kindsText(c.Units))})
		return
	}
	if ch.assigned(u.ID) {
		return // tiers add; nobody is called twice
	}
	if why := withheld(u, ch.t); why != "" {
		ch.task(grid.Task{
			Kind: grid.TaskCall, Unit: u.ID, Number: u.Phone, Script: script(ch.t), Code: "call_unit", Facts: grid.TaskFacts{"tier": fmt.Sprint(c.Tier), "entry": u.Entry},
			Text: fmt.Sprintf("tier %d: %s (%s) %s: call it and say who answered (done)", c.Tier, u.Name, u.ID, why),
		})
		return
	}
	if lead(ch.t) == nil && c.Tier >= ch.p.leadTier() && ch.t.State == grid.TicketFiled {
		ch.assign(verbDispatch, u, c.Tier, true, grid.MoveRecord{By: bySystem, Reason: choice.note})
		return
	}
	ch.assign(verbCall, u, c.Tier, false, grid.MoveRecord{By: bySystem, Reason: choice.note})
}

// script is what the operator says on the phone: what, where, and how sure it is.
func script(t *grid.Ticket) string {
	s := fmt.Sprintf("%s. %s.", t.Title, t.Place)
	if n := len(t.Members); n > 0 {
		s += fmt.Sprintf(" %d detectors.", n+1)
	}
	switch t.Verification {
	case grid.VerifiedTrue:
		s += " 已核实 / verified."
	default:
		s += " 未核实 / not verified."
	}
	for _, r := range t.Related {
		s += fmt.Sprintf(" 注意 / mind: %s %s.", r.Type, r.Place)
	}
	return s + " " + t.Case
}

func (ch *change) assigned(unit string) bool {
	return slices.ContainsFunc(ch.t.Assignments, func(a grid.Assignment) bool {
		return a.Unit == unit && has(&a)
	})
}

func (p *Plan) leadTier() int {
	for _, c := range p.Calls {
		if c.Lead {
			return c.Tier
		}
	}
	return 0
}

// withheld says why a fire unit is not called by machine; "" when it is. Its entry mode
// is an agreement with it: operator unless it says otherwise.
func withheld(u *grid.Unit, t *grid.Ticket) string {
	switch {
	case u.Kind != grid.FireUnit || u.Entry == "auto":
		return ""
	case u.Entry == "confirmed_only":
		if t.Verification == grid.VerifiedTrue {
			return ""
		}
		return "takes only confirmed fires"
	}
	return "is called by the operator"
}

func sameWorld(unit, ticket grid.Mode) bool { return isLive(unit) == isLive(ticket) }

func isLive(m grid.Mode) bool { return m == grid.Live || m == "" }

// contains reports whether every level that the outer scope names is the inner one's too.
func contains(outer, inner grid.Scope) bool {
	o, i := levels(outer), levels(inner)
	for n := range o {
		if o[n] != "" && o[n] != i[n] {
			return false
		}
	}
	return true
}

func depth(s grid.Scope) (n int) {
	for _, l := range levels(s) {
		if l != "" {
			n++
		}
	}
	return n
}

func levels(s grid.Scope) [5]string {
	return [5]string{s.District, s.Street, s.Community, s.Compound, s.Contractor}
}

func kindsText(kinds []grid.UnitKind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = fmt.Sprint(k)
	}
	return strings.Join(words, " or ")
}
