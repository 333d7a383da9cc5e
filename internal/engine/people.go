package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/people"
	"gridgate/internal/registry"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Contacts, rosters and shifts are hard state. Contacts are read when they are needed, and
// none of them stays in memory; numbers are sealed, and the engine has no key.

const (
	maxContacts = 50   // of one owner
	maxShifts   = 2000 // that have not ended
	maxRosters  = 500
)

// folk answers what package ticket asks about people.
type folk struct{ e *Engine }

var _ ticket.People = folk{}

func (f folk) OnDuty(whom string, at time.Time) ([]string, bool) { return f.e.onDuty().On(whom, at) }
func (f folk) Fallback(whom string) string                       { return f.e.onDuty().Fallback(whom) }

func (f folk) Contacts(of string, at time.Time) []grid.Contact {
	all, err := f.e.store.ContactsOf(context.Background(), of)
	if err != nil {
		f.e.log.Error("contacts cannot be read", "err", err)
	}
	return f.e.People.Reachable(all, at)
}

// onDuty is the rosters and shifts in force, read anew after a change.
func (e *Engine) onDuty() *people.Duty {
	if e.duty == nil {
		rosters, shifts, err := e.store.Duty(context.Background())
		if err != nil { // nobody keeps a roster then: every unit counts as on duty
			e.log.Error("rosters cannot be read", "err", err)
			return nil
		}
		e.duty = e.People.Duty(rosters, shifts)
	}
	return e.duty
}

// contacts is whether there has ever been one: a gateway without asks for none, and keeps
// no chains.
type contacts uint8

const (
	contactsUnknown contacts = iota
	noContacts
	someContacts
)

func (e *Engine) noContacts() bool {
	if e.contacts == contactsUnknown {
		page, err := e.store.ListContacts(context.Background(), state.Query{Limit: 1})
		switch {
		case err != nil:
			e.log.Error("contacts cannot be read", "err", err)
		case len(page.Items) == 0:
			e.contacts = noContacts
		default:
			e.contacts = someContacts
		}
	}
	return e.contacts == noContacts
}

// routing is what the calls of a ticket at a point are routed by.
func (e *Engine) routing(point string) ticket.Routing {
	r := ticket.Routing{Routes: e.Routes, People: folk{e}, NoContacts: e.noContacts()}
	pt, ok := e.memory.Point(point)
	if !ok {
		return r
	}
	row := e.memory.PointAt(pt)
	r.Kind, r.Building = row.Kind(), e.memory.Building(row)
	if e.Routes.WantsComponents() {
		r.Component = e.place(site{point: registry.PointNo(0), where: point}).Component
	}
	return r
}

// sendCalls makes the deliveries of calls, and notes in the ticket which is which.
func (b *batch) sendCalls(t *grid.Ticket, calls []ticket.CallOut) {
	for i, c := range calls {
		before := len(b.deliveries)
		b.deliver(t, ticket.Message{Assignment: c.Assignment, Unit: c.Unit, Type: ticket.MessageOpened}, callsFrom+i)
		if len(b.deliveries) > before {
			t.Chains[c.Chain].Calls[c.Call].Delivery = b.deliveries[len(b.deliveries)-1]
		}
	}
}

// callsFrom puts calls behind the messages of the same change.
const callsFrom = 50

// called tells a ticket what became of one of its messages, as far as its calls want to
// know. A ticket that has ended calls nobody.
func (b *batch) called(d *grid.Delivery) {
	t := b.e.tickets[d.Ticket]
	if t == nil || !slices.ContainsFunc(t.Chains, func(c grid.CallChain) bool { return c.Ended.IsZero() }) {
		return
	}
	step := ticket.Unreachable
	switch d.State {
	case grid.DeliverySeen:
		step = ticket.Seen
	case grid.DeliveryDead, grid.DeliveryWithheld:
	default:
		return
	}
	plan, err := b.e.Plans.For(t.Type)
	if err != nil {
		return
	}
	row := b.changeTicket(t.ID)
	b.ticketChanged(row, step(row, plan, d, b.now, b.e.context(row)))
}

// seenBy is who has a message: of a call, the contact and not what its carrier says of it,
// which may be a number.
func (e *Engine) seenBy(d *grid.Delivery, by string) string {
	t := e.tickets[d.Ticket]
	if t == nil && e.Routes.Chains().Carries(d.Unit) {
		if err := e.recall(d.Ticket); err == nil {
			t = e.tickets[d.Ticket]
		}
	}
	if t != nil {
		if c, _ := ticket.Called(t, d.ID); c != nil {
			return "contact " + c.Contact
		}
	}
	if e.Routes.Chains().Carries(d.Unit) {
		return "a contact"
	}
	return by
}

// Routed says which unit each call of a plan would find at a moment, and why.
func (e *Engine) Routed(ctx context.Context, typ grid.EventType, point string, at time.Time) ([]grid.CallRoute, error) {
	return as[[]grid.CallRoute](e.do(ctx, &command{name: "route", do: func(*batch) (any, error) {
		plan, err := e.Plans.For(typ)
		if err != nil {
			return nil, err
		}
		p, err := e.store.Point(context.Background(), point)
		if err != nil {
			return nil, err
		}
		ask := ticket.Ask{Type: typ, Kind: p.Kind, Scope: p.Scope, Cell: p.Cell, Component: p.Component, Mode: p.Mode, At: at}
		return plan.Routed(e.Routes, ask, e.unitList(), folk{e}), nil
	}}))
}

// CheckRoutes says which units the routes name that are not registered.
func (e *Engine) CheckRoutes(ctx context.Context) error {
	_, err := e.do(ctx, &command{name: "routes", do: func(*batch) (any, error) { return nil, e.Routes.Check(e.unitList()) }})
	return err
}

// PutContact adds a contact, or changes the one with its id. key makes it idempotent.
func (e *Engine) PutContact(ctx context.Context, c grid.Contact, key string) (grid.Contact, error) {
	if key != "" { // what somebody makes a key of may be the number: only its digest is kept
		key = contactKey(key)
	}
	return as[grid.Contact](e.do(ctx, &command{name: "contact.put", key: key, do: func(b *batch) (any, error) { return b.putContact(c) }}))
}

func contactKey(key string) string { return "contact/" + grid.NewID(time.Time{}, key, 0) }

func (b *batch) putContact(c grid.Contact) (any, error) {
	if err := b.e.People.CheckContact(&c); err != nil {
		return nil, err
	}
	if err := b.placeContact(&c); err != nil {
		return nil, err
	}
	old, err := b.contact(c.ID)
	switch {
	case grid.CodeOf(err) == grid.NotFound:
		had, err := b.e.store.ContactsOf(context.Background(), c.Of)
		if err != nil {
			return nil, err
		}
		if len(had) >= maxContacts {
			return nil, grid.Errorf(grid.Conflict, "%s has %d contacts: want at most %d, erase one first", c.Of, len(had), maxContacts)
		}
		c.Created = b.now
	case err != nil:
		return nil, err
	case !old.Erased.IsZero():
		return nil, grid.Errorf(grid.Conflict, "contact %s was erased: want a new one", c.ID)
	case old.Of != c.Of:
		return nil, grid.Errorf(grid.Conflict, "contact %s is of %s: want a new one for %s", c.ID, old.Of, c.Of)
	default:
		c.Created = old.Created
		if len(c.Sealed) == 0 {
			c.Sealed = old.Sealed
		}
	}
	b.rows.Contacts = append(b.rows.Contacts, c)
	b.after = append(b.after, func() { b.e.contacts = contactsUnknown })
	b.auditPeople("contact.put", c.ID, c.By, fmt.Sprintf("%s of %s by %s", c.Role, c.Of, c.Channel), c.Scope, c.Cell, c.Mode)
	return c, nil
}

// placeContact gives a contact the place and the world of its owner, who must be there.
func (b *batch) placeContact(c *grid.Contact) error {
	kind, id, _ := strings.Cut(c.Of, ":")
	switch kind {
	case "point":
		p, err := b.e.store.Point(context.Background(), id)
		if err != nil {
			return err
		}
		c.Scope, c.Cell, c.Mode = p.Scope, p.Cell, p.Mode
	case "unit":
		u, ok := b.e.units[id]
		if !ok {
			return grid.Errorf(grid.NotFound, "unit %q is not registered", id)
		}
		c.Scope, c.Mode = u.Scope, u.Mode
	default:
		if c.Scope == (grid.Scope{}) {
			c.Scope = b.e.home
		}
	}
	if c.Mode == "" {
		c.Mode = grid.Live
	}
	return nil
}

// contact finds one as it is now, in the midst of the turn.
func (b *batch) contact(id string) (grid.Contact, error) {
	for i := len(b.rows.Contacts) - 1; i >= 0; i-- {
		if b.rows.Contacts[i].ID == id {
			return b.rows.Contacts[i], nil
		}
	}
	return b.e.store.Contact(context.Background(), id)
}

// VerifyContact notes that somebody has made sure that a contact is right.
func (e *Engine) VerifyContact(ctx context.Context, id string, by grid.Actor) (grid.Contact, error) {
	return as[grid.Contact](e.do(ctx, &command{name: "contact.verify", do: func(b *batch) (any, error) {
		c, err := b.contact(id)
		if err != nil {
			return nil, err
		}
		if !c.Erased.IsZero() {
			return nil, grid.Errorf(grid.Conflict, "contact %s was erased", id)
		}
		c.Verified = b.now
		b.rows.Contacts = append(b.rows.Contacts, c)
		b.auditPeople("contact.verify", id, by, c.Of, c.Scope, c.Cell, c.Mode)
		return c, nil
	}}))
}

// EraseContact takes away what tells the person, for good. That there was a contact stays.
func (e *Engine) EraseContact(ctx context.Context, id string, by grid.Actor, reason string) (grid.Contact, error) {
	return as[grid.Contact](e.do(ctx, &command{name: "contact.erase", do: func(b *batch) (any, error) {
		c, err := b.contact(id)
		if err != nil || !c.Erased.IsZero() {
			return c, err
		}
		c.Sealed, c.Erased = nil, b.now
		b.rows.Contacts = append(b.rows.Contacts, c)
		b.auditPeople("contact.erase", id, by, people.HideNumbers(reason), c.Scope, c.Cell, c.Mode)
		return c, nil
	}}))
}

// RevealContact notes that a person reads a contact, and gives it: the note is durable
// before the number is opened. It wants a reason, or open work of P1 or P2 at its place.
func (e *Engine) RevealContact(ctx context.Context, id string, by grid.Actor, reason string) (grid.Contact, error) {
	return as[grid.Contact](e.do(ctx, &command{name: "contact.reveal", do: func(b *batch) (any, error) {
		c, err := b.contact(id)
		if err != nil {
			return nil, err
		}
		if !c.Known() {
			return nil, grid.Errorf(grid.Conflict, "contact %s was erased", id)
		}
		reason = people.HideNumbers(reason)
		why := reason
		if t := e.urgentWorkOf(&c); t != "" {
			why = strings.TrimSuffix("ticket "+t+": "+reason, ": ")
		}
		if why == "" {
			return nil, grid.Errorf(grid.Invalid, "reason is missing: want one, there is no open P1 or P2 at %s", c.Of)
		}
		b.auditPeople("contact.reveal", id, by, why, c.Scope, c.Cell, c.Mode)
		return c, nil
	}}))
}

// urgentWorkOf finds an open ticket of P1 or P2 that a contact is for.
func (e *Engine) urgentWorkOf(c *grid.Contact) (found string) {
	kind, id, _ := strings.Cut(c.Of, ":")
	for _, t := range e.tickets {
		if t.Priority > 2 || t.State.Ended() || found != "" && t.ID > found {
			continue
		}
		if e.concerns(t, kind, id) || slices.ContainsFunc(t.Chains, func(ch grid.CallChain) bool {
			return slices.ContainsFunc(ch.Calls, func(p grid.PersonCall) bool { return p.Contact == c.ID })
		}) {
			found = t.ID
		}
	}
	return found
}

func (e *Engine) concerns(t *grid.Ticket, kind, id string) bool {
	switch kind {
	case "point":
		return t.Point == id || slices.ContainsFunc(t.Members, func(m grid.Member) bool { return m.Point == id })
	case "building":
		pt, ok := e.memory.Point(t.Point)
		return ok && e.memory.Building(e.memory.PointAt(pt)) == id
	case "unit":
		return slices.ContainsFunc(t.Assignments, func(a grid.Assignment) bool { return a.Unit == id })
	}
	return false
}

// PutRoster adds a roster, or changes the one with its id.
func (e *Engine) PutRoster(ctx context.Context, r grid.Roster) (grid.Roster, error) {
	return as[grid.Roster](e.do(ctx, &command{name: "roster.put", do: func(b *batch) (any, error) {
		if err := e.People.CheckRoster(&r); err != nil {
			return nil, err
		}
		if err := b.placeDuty(r.For, &r.Scope, &r.Mode); err != nil {
			return nil, err
		}
		old, err := e.store.Roster(context.Background(), r.ID)
		if err != nil && grid.CodeOf(err) != grid.NotFound {
			return nil, err
		}
		r.Created, r.Ended = old.Created, time.Time{}
		if err != nil {
			r.Created = b.now
			rosters, _, err := e.store.Duty(context.Background())
			if err == nil && len(rosters)+len(b.rows.Rosters) >= maxRosters {
				err = grid.Errorf(grid.Conflict, "there are %d rosters: want at most that many", maxRosters)
			}
			if err != nil {
				return nil, err
			}
		}
		b.rows.Rosters = append(b.rows.Rosters, r)
		b.dutyChanged("roster.put", r.ID, r.By, r.For, r.Scope, r.Mode)
		return r, nil
	}}))
}

// EndRoster takes a roster out: nobody needs to be on duty by it.
func (e *Engine) EndRoster(ctx context.Context, id string, by grid.Actor) (grid.Roster, error) {
	return as[grid.Roster](e.do(ctx, &command{name: "roster.end", do: func(b *batch) (any, error) {
		r, err := e.store.Roster(context.Background(), id)
		if err != nil || !r.Ended.IsZero() {
			return r, err
		}
		r.Ended = b.now
		b.rows.Rosters = append(b.rows.Rosters, r)
		b.dutyChanged("roster.end", id, by, r.For, r.Scope, r.Mode)
		return r, nil
	}}))
}

// PutShift puts a person on duty. key makes it idempotent.
func (e *Engine) PutShift(ctx context.Context, s grid.Shift, key string) (grid.Shift, error) {
	if key != "" {
		key = "shift/" + key
	}
	return as[grid.Shift](e.do(ctx, &command{name: "shift.put", key: key, do: func(b *batch) (any, error) {
		if err := e.People.CheckShift(&s); err != nil {
			return nil, err
		}
		if err := b.placeDuty(s.For, &s.Scope, &s.Mode); err != nil {
			return nil, err
		}
		_, shifts, err := e.store.Duty(context.Background())
		if err != nil {
			return nil, err
		}
		if len(shifts)+len(b.rows.Shifts) >= maxShifts {
			return nil, grid.Errorf(grid.Conflict, "there are %d shifts that have not ended: want at most that many, end some first", maxShifts)
		}
		s.ID, s.Created, s.Ended = b.id(), b.now, time.Time{}
		b.rows.Shifts = append(b.rows.Shifts, s)
		b.dutyChanged("shift.put", s.ID, s.By, s.Person+" for "+s.For, s.Scope, s.Mode)
		return s, nil
	}}))
}

// EndShift takes a shift out.
func (e *Engine) EndShift(ctx context.Context, id string, by grid.Actor) (grid.Shift, error) {
	return as[grid.Shift](e.do(ctx, &command{name: "shift.end", do: func(b *batch) (any, error) {
		s, err := e.store.Shift(context.Background(), id)
		if err != nil || !s.Ended.IsZero() {
			return s, err
		}
		s.Ended = b.now
		b.rows.Shifts = append(b.rows.Shifts, s)
		b.dutyChanged("shift.end", id, by, s.Person+" for "+s.For, s.Scope, s.Mode)
		return s, nil
	}}))
}

// placeDuty gives a roster or shift the place of its unit, which must be registered.
func (b *batch) placeDuty(whom string, scope *grid.Scope, mode *grid.Mode) error {
	kind, id, _ := strings.Cut(whom, ":")
	if kind == "unit" {
		u, ok := b.e.units[id]
		if !ok {
			return grid.Errorf(grid.NotFound, "unit %q is not registered", id)
		}
		*scope, *mode = u.Scope, u.Mode
	} else if *scope == (grid.Scope{}) {
		*scope = b.e.home
	}
	if *mode == "" {
		*mode = grid.Live
	}
	return nil
}

func (b *batch) dutyChanged(action, id string, by grid.Actor, detail string, scope grid.Scope, mode grid.Mode) {
	b.auditPeople(action, id, by, detail, scope, "", mode)
	b.after = append(b.after, func() { b.e.duty = nil })
}

// auditPeople notes who did what. No number may stand in it.
func (b *batch) auditPeople(action, subject string, by grid.Actor, detail string, scope grid.Scope, cell string, mode grid.Mode) {
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: by, Action: action, Subject: subject, Detail: cut(detail, maxAudited), Scope: scope, Cell: cell, Mode: mode,
	})
}

// Gaps are the spans of the time ahead in which a roster is not kept.
func (e *Engine) Gaps(ctx context.Context, from, to time.Time) ([]people.Gap, error) {
	return as[[]people.Gap](e.do(ctx, &command{name: "gaps", do: func(*batch) (any, error) { return e.onDuty().Gaps(from, to), nil }}))
}

// OnDuty are the persons on duty for a unit or a seat at a time.
func (e *Engine) OnDuty(ctx context.Context, whom string, at time.Time) (persons []string, fallback string, err error) {
	type onDuty struct {
		persons  []string
		fallback string
	}
	got, err := as[onDuty](e.do(ctx, &command{name: "duty", do: func(*batch) (any, error) {
		persons, _ := e.onDuty().On(whom, at)
		return onDuty{persons, e.onDuty().Fallback(whom)}, nil
	}}))
	return got.persons, got.fallback, err
}
