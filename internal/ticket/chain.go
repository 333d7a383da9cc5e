package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// The calling of people: for each part of a ticket and for its place, one contact after
// another, until somebody answers. A chain is in the ticket, so it goes on after a restart
// where it was; each call is in the history. An answer is a person's: a message that was
// seen, an accepted part, a call that the desk reports as answered. It ends the calls and
// no clock.

// Verbs of history lines about calls.
const (
	verbPerson   = "call_person"
	verbCallsEnd = "calls_end"
)

// Why a chain has ended.
const (
	endAnswered   = "answered"
	endAccepted   = "accepted"
	endNobody     = "nobody answered"
	endOver       = "over"        // nobody needs to be called any more
	endNoContacts = "no contacts" // it never began
)

const (
	// maxChains bounds the calling of one ticket, and maxPlaces what places may take of it: an
	// incident may have fifty members, and units that come later must find room.
	maxChains = 32
	maxPlaces = 20
)

// CallOut is a call that goes out by a carrier. The caller makes the delivery of it and
// notes its id in the chain.
type CallOut struct {
	Chain, Call int
	Unit        string // the carrier
	Assignment  string
}

// Carries reports whether a unit of the registry is a carrier of calls.
func (c Chains) Carries(unit string) bool {
	for _, units := range c.Channels {
		if slices.Contains(units, unit) {
			return true
		}
	}
	return false
}

func (c *Chains) wanted(t *grid.Ticket) bool {
	return c.Wait > 0 && (slices.Contains(c.Priorities, t.Priority) || slices.Contains(c.Types, t.Type))
}

// callPeople brings the chains up to the change: ends those that are over, begins those of
// new parts, and calls whoever is due. Every change of a ticket passes here.
func (ch *change) callPeople() {
	chains := ch.c.Routing.Routes.Chains()
	for i := range ch.t.Chains {
		if c := &ch.t.Chains[i]; c.Ended.IsZero() {
			if why, by := ch.chainOver(c); why != "" {
				ch.endChain(i, why, by)
			}
		}
	}
	if ch.t.State.Ended() || ch.c.Routing.People == nil || ch.c.Routing.NoContacts {
		return
	}
	if chains.wanted(ch.t) {
		ch.beginChains(&chains)
	}
	for i := range ch.t.Chains {
		if c := &ch.t.Chains[i]; c.Ended.IsZero() && !ch.now.Before(c.Due) {
			ch.callNext(i, &chains)
		}
	}
}

// ownChains copies the chains before the first write: an older copy of the ticket keeps
// its own.
func (ch *change) ownChains() {
	if ch.chainsOwned {
		return
	}
	ch.chainsOwned = true
	ch.t.Chains = slices.Clone(ch.t.Chains)
	for i := range ch.t.Chains {
		ch.t.Chains[i].Calls = slices.Clone(ch.t.Chains[i].Calls)
	}
}

// chainOver says why a chain needs nobody any more, and who ended it; "" while it does.
func (ch *change) chainOver(c *grid.CallChain) (why, by string) {
	t := ch.t
	if t.State.Ended() {
		return endOver, ""
	}
	if n := len(c.Calls); n > 0 && c.Calls[n-1].Task > 0 {
		if k := ch.taskNo(c.Calls[n-1].Task); k != nil && !k.Done.IsZero() {
			return endAnswered, k.By.Name
		}
	}
	if c.Assignment == "" {
		if t.Verification == grid.VerifiedFalse || slices.Contains(reported, t.State) {
			return endOver, ""
		}
		return "", ""
	}
	i := slices.IndexFunc(t.Assignments, func(a grid.Assignment) bool { return a.ID == c.Assignment })
	switch {
	case i < 0, t.Assignments[i].Attempt != c.Attempt, !has(&t.Assignments[i]):
		return endOver, ""
	case t.Assignments[i].State != grid.TicketDispatched:
		return endAccepted, t.Assignments[i].Unit
	}
	return "", ""
}

func (ch *change) taskNo(n int) *grid.Task {
	for i := range ch.t.Tasks {
		if ch.t.Tasks[i].N == n {
			return &ch.t.Tasks[i]
		}
	}
	return nil
}

// endChain stops the calls. What the desk was to call is done with.
func (ch *change) endChain(i int, why, by string) {
	ch.ownChains()
	c := &ch.t.Chains[i]
	c.Ended, c.Due, c.Why, c.By = ch.now, time.Time{}, why, by
	ch.closeTask(c, "calls ended: "+why)
	detail := fmt.Sprintf("%s: %s", c.Of, why)
	if by != "" {
		detail += " by " + by
	}
	ch.say(verbCallsEnd, grid.MoveRecord{By: byClock, Assignment: c.Assignment, Detail: fmt.Sprintf("%s, after %d calls", detail, len(c.Calls))})
}

// closeTask ends the desk's task of the last call.
func (ch *change) closeTask(c *grid.CallChain, note string) {
	if n := len(c.Calls); n > 0 && c.Calls[n-1].Task > 0 {
		task := c.Calls[n-1].Task
		ch.taskDone(note, func(k *grid.Task) bool { return k.N == task })
	}
}

// beginChains begins the chains of parts that have none: of units that were just called,
// of the point, of its building, of the points that joined.
func (ch *change) beginChains(chains *Chains) {
	t := ch.t
	if slices.Contains(chains.Call, ofUnit) {
		for i := range t.Assignments {
			if a := &t.Assignments[i]; a.State == grid.TicketDispatched {
				ch.beginChain(chains, grid.CallChain{Of: "unit:" + a.Unit, Assignment: a.ID, Attempt: a.Attempt})
			}
		}
	}
	if slices.Contains(reported, t.State) || t.Verification == grid.VerifiedFalse {
		return
	}
	if slices.Contains(chains.Call, ofPoint) {
		ch.beginPlace(chains, "point:", t.Point)
		for _, m := range t.Members {
			ch.beginPlace(chains, "point:", m.Point)
		}
	}
	if slices.Contains(chains.Call, ofBuilding) {
		ch.beginPlace(chains, "building:", ch.c.Routing.Building)
	}
}

func (ch *change) beginPlace(chains *Chains, kind, id string) {
	places := 0
	for i := range ch.t.Chains {
		if ch.t.Chains[i].Assignment == "" {
			places++
		}
	}
	if id != "" && places < maxPlaces {
		ch.beginChain(chains, grid.CallChain{Of: kind + id})
	}
}

func (ch *change) beginChain(chains *Chains, c grid.CallChain) {
	if slices.ContainsFunc(ch.t.Chains, func(o grid.CallChain) bool {
		return o.Of == c.Of && o.Assignment == c.Assignment && o.Attempt == c.Attempt
	}) {
		return
	}
	c.Due = ch.now
	if len(ch.own(c.Of)) == 0 {
		c.Due, c.Ended, c.Why = time.Time{}, ch.now, endNoContacts
	}
	ch.ownChains()
	if len(ch.t.Chains) < maxChains {
		ch.t.Chains = append(ch.t.Chains, c)
		return
	}
	// The oldest of an attempt that is over gives its place: the history has it.
	past := func(o grid.CallChain) bool {
		return o.Assignment != "" && !slices.ContainsFunc(ch.t.Assignments, func(a grid.Assignment) bool { return a.ID == o.Assignment && a.Attempt == o.Attempt })
	}
	if i := slices.IndexFunc(ch.t.Chains, past); i >= 0 {
		ch.t.Chains = append(slices.Delete(ch.t.Chains, i, i+1), c)
	}
}

// own are the contacts of a chain's owner who may be called now: of a unit first those of
// the persons on duty. Like units, contacts are of one world.
func (ch *change) own(of string) (out []grid.Contact) {
	kind, _, _ := strings.Cut(of, ":")
	if kind == "unit" || kind == "seat" {
		persons, kept := ch.c.Routing.People.OnDuty(of, ch.now)
		if kept && len(persons) == 0 {
			persons = append(persons, ch.c.Routing.People.Fallback(of))
		}
		for _, p := range persons {
			out = append(out, ch.c.Routing.People.Contacts("person:"+p, ch.now)...)
		}
	}
	if kind != "seat" {
		out = append(out, ch.c.Routing.People.Contacts(of, ch.now)...)
	}
	return slices.DeleteFunc(out, func(c grid.Contact) bool {
		// Buildings are known by their names, which may be there twice in a district.
		return !sameWorld(c.Mode, ch.t.Mode) || kind == "building" && !contains(c.Scope, ch.t.Scope)
	})
}

// callNext calls the next contact of a chain, the duty lead after the owner's own. Where
// nobody is left, a person at the desk decides.
func (ch *change) callNext(i int, chains *Chains) {
	ch.ownChains()
	c := &ch.t.Chains[i]
	ch.closeTask(c, fmt.Sprintf("no answer within %s", chains.Wait))
	all := ch.own(c.Of)
	if chains.Lead != "" {
		all = append(all, slices.DeleteFunc(ch.own(chains.Lead), ch.wasCalled)...) // once for the whole ticket
	}
	for _, next := range all {
		if len(c.Calls) >= chains.Most {
			break
		}
		if slices.ContainsFunc(c.Calls, func(p grid.PersonCall) bool { return p.Contact == next.ID }) {
			continue
		}
		if ch.callPerson(i, next, chains) {
			c.Due = ch.now.Add(chains.Wait)
			return
		}
	}
	ch.endChain(i, endNobody, "")
	ch.task(decide("nobody_answered", grid.TaskFacts{"of": c.Of, "n": fmt.Sprint(len(c.Calls))}, "%s: nobody answered, %d were called: decide whom to send", c.Of, len(c.Calls)))
}

// wasCalled reports whether any chain of the ticket has called a contact.
func (ch *change) wasCalled(who grid.Contact) bool {
	return slices.ContainsFunc(ch.t.Chains, func(c grid.CallChain) bool {
		return slices.ContainsFunc(c.Calls, func(p grid.PersonCall) bool { return p.Contact == who.ID })
	})
}

// callPerson makes one call, or reports that the contact cannot be called.
func (ch *change) callPerson(i int, who grid.Contact, chains *Chains) bool {
	c := &ch.t.Chains[i]
	call := grid.PersonCall{Contact: who.ID, Role: who.Role, Of: who.Of, Channel: who.Channel, At: ch.now}
	detail := fmt.Sprintf("%s: %s of %s by %s (contact %s), call %d", c.Of, who.Role, who.Of, who.Channel, who.ID, len(c.Calls)+1)
	switch carrier := ch.carrier(chains.Channels[who.Channel]); {
	case !who.Known():
		call.Failed = "number unknown"
		detail += ": number unknown"
	case carrier != "":
		call.Unit = carrier
		ch.res.Calls = append(ch.res.Calls, CallOut{Chain: i, Call: len(c.Calls), Unit: carrier, Assignment: c.Assignment})
	default:
		call.Task = ch.callTask(c, &who)
		detail += ": a task for the desk"
	}
	c.Calls = append(c.Calls, call)
	ch.say(verbPerson, grid.MoveRecord{By: bySystem, Assignment: c.Assignment, Detail: detail})
	return call.Failed == ""
}

// carrier is the first of some registered units that is of the ticket's world.
func (ch *change) carrier(ids []string) string {
	for _, id := range ids {
		if slices.ContainsFunc(ch.c.Units, func(u grid.Unit) bool { return u.ID == id && sameWorld(u.Mode, ch.t.Mode) }) {
			return id
		}
	}
	return ""
}

// callTask lets the desk call. The number is not in it: the desk reveals it, which is
// audited.
func (ch *change) callTask(c *grid.CallChain, who *grid.Contact) int {
	unit := ""
	if kind, id, _ := strings.Cut(c.Of, ":"); kind == "unit" {
		unit = id
	}
	k := grid.Task{
		Kind: grid.TaskCall, Unit: unit, Contact: who.ID, Script: script(ch.t), Code: "call_contact",
		Facts: grid.TaskFacts{"role": string(who.Role), "of": who.Of, "channel": string(who.Channel)},
		Text:  fmt.Sprintf("call the %s of %s by %s (contact %s) and say who answered (done)", who.Role, who.Of, who.Channel, who.ID),
	}
	ch.task(k)
	for _, o := range ch.t.Tasks {
		if o.Done.IsZero() && o.Kind == k.Kind && o.Unit == k.Unit && o.Text == k.Text {
			return o.N
		}
	}
	return 0
}

// chainsWake is when somebody is to be called next; zero: never.
func chainsWake(t *grid.Ticket) (next time.Time) {
	for i := range t.Chains {
		if t.Chains[i].Ended.IsZero() {
			next = earliest(next, t.Chains[i].Due)
		}
	}
	return next
}

// findCall finds the chain and the call that a delivery is of.
func findCall(t *grid.Ticket, delivery string) (chain, call int) {
	for i := range t.Chains {
		for j := range t.Chains[i].Calls {
			if t.Chains[i].Calls[j].Delivery == delivery {
				return i, j
			}
		}
	}
	return -1, -1
}

// Called gives the call that a delivery is of, and whether its chain is over; nil: it is none.
func Called(t *grid.Ticket, delivery string) (call *grid.PersonCall, over bool) {
	if i, j := findCall(t, delivery); i >= 0 && delivery != "" {
		return &t.Chains[i].Calls[j], !t.Chains[i].Ended.IsZero() || t.State.Ended()
	}
	return nil, false
}

// Seen is for a delivery that a person has: a call was answered, or somebody of the unit
// has its message. It ends the calls to that unit, or for that place.
func Seen(t *grid.Ticket, p *Plan, d *grid.Delivery, now time.Time, c Context) Result {
	ch := begin(t, p, c, bySystem, now)
	i, j := findCall(t, d.ID)
	by := "a person who has the message"
	if i >= 0 {
		by = "contact " + t.Chains[i].Calls[j].Contact
	} else if d.Assignment != "" {
		i = slices.IndexFunc(t.Chains, func(c grid.CallChain) bool { return c.Assignment == d.Assignment && c.Ended.IsZero() })
	}
	if i >= 0 && t.Chains[i].Ended.IsZero() {
		ch.endChain(i, endAnswered, by)
	}
	return ch.done()
}

// Unreachable is for a call that its carrier could not make: the next is called at once.
func Unreachable(t *grid.Ticket, p *Plan, d *grid.Delivery, now time.Time, c Context) Result {
	ch := begin(t, p, c, bySystem, now)
	if i, j := findCall(t, d.ID); i >= 0 && t.Chains[i].Calls[j].Failed == "" {
		ch.ownChains()
		chain := &t.Chains[i]
		chain.Calls[j].Failed = "not sent"
		ch.say(verbPerson, grid.MoveRecord{Assignment: chain.Assignment, Detail: fmt.Sprintf("%s: contact %s could not be called", chain.Of, chain.Calls[j].Contact)})
		if chain.Ended.IsZero() && j == len(chain.Calls)-1 {
			chain.Due = now
		}
	}
	return ch.done()
}
