package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"gridgate/internal/api"
	"gridgate/internal/auth"
	"gridgate/internal/dispatch"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/people"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// folk gives out contacts, rosters and shifts. It is the only one that opens what is sealed
// of a contact: for a reveal, for a mask, and for the carrier of a call.
type folk struct {
	*engine.Engine
	store *state.Store
	keys  *auth.Keys
}

// person is what is sealed of a contact.
type person struct {
	Number string `json:"number"`
	Name   string `json:"name,omitempty"`
}

// contactOwner is whom a number is sealed for: it opens for no other contact.
func contactOwner(id string) string { return "contact " + id }

// open gives what is sealed.
func (f *folk) open(c *grid.Contact) (p person, err error) {
	if !c.Known() {
		return p, grid.Errorf(grid.NotFound, "contact %s was erased", c.ID)
	}
	b, err := f.keys.Open(c.Sealed, contactOwner(c.ID))
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return person{}, fmt.Errorf("contact %s cannot be opened: %w", c.ID, err)
	}
	return p, nil
}

func (f *folk) view(c grid.Contact) api.ContactView {
	v := api.ContactView{Contact: c}
	if !c.Known() {
		return v
	}
	p, err := f.open(&c)
	if err != nil {
		v.Fault = err.Error()
		return v
	}
	v.Masked = people.Mask(p.Number)
	return v
}

// PutContact seals the number, and hands the rest on. What is not given of a contact that
// is there stays: its number, its name.
func (f *folk) PutContact(ctx context.Context, n api.NewContact) (api.ContactView, error) {
	c := grid.Contact{ID: n.ID, Of: n.Of, Role: n.Role, Order: n.Order, Channel: n.Channel, Hours: n.Hours, Verified: n.Verified, Scope: n.Scope, By: n.By}
	p := person{string(n.Number), string(n.Name)}
	if c.ID == "" {
		now := f.Now().UTC()
		c.ID = grid.NewID(now, "contact/"+rand.Text(), 0)
	} else if old, err := f.store.Contact(ctx, c.ID); err != nil {
		return api.ContactView{}, err
	} else if had, err := f.open(&old); err == nil {
		p.Number, p.Name = orElse(p.Number, had.Number), orElse(p.Name, had.Name)
		if c.Verified.IsZero() && p == had {
			c.Verified = old.Verified
		}
	}
	if err := checkPerson(p, c.Channel); err != nil {
		return api.ContactView{}, err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return api.ContactView{}, err
	}
	if c.Sealed, err = f.keys.Seal(b, contactOwner(c.ID)); err != nil {
		return api.ContactView{}, err
	}
	got, err := f.Engine.PutContact(ctx, c, n.Key)
	if err != nil {
		return api.ContactView{}, err
	}
	if got.ID == c.ID && len(got.Sealed) == 0 { // a stored answer: it is not kept in it
		got.Sealed = c.Sealed
	} else if got.ID != c.ID {
		if got, err = f.store.Contact(ctx, got.ID); err != nil {
			return api.ContactView{}, err
		}
	}
	return f.view(got), nil
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// checkPerson does not show in its errors what it checks.
func checkPerson(p person, ch grid.Channel) error {
	const longest = 100
	if len(p.Number) > longest || len(p.Name) > longest || strings.ContainsFunc(p.Number+p.Name, unicode.IsControl) {
		return grid.Errorf(grid.Invalid, "number or name cannot be used: want at most %d bytes each, without control characters", longest)
	}
	digits := 0
	for _, r := range p.Number {
		if unicode.IsDigit(r) {
			digits++
		} else if (ch == grid.Voice || ch == grid.SMS) && !strings.ContainsRune("+-() ", r) {
			return grid.Errorf(grid.Invalid, "number cannot be used: want digits, with + - ( ) between them")
		}
	}
	if p.Number == "" || (ch == grid.Voice || ch == grid.SMS) && digits < 3 {
		return grid.Errorf(grid.Invalid, "number is missing or too short: want what %s is reached by", ch)
	}
	return nil
}

// ListContacts gives contacts with masked numbers.
func (f *folk) ListContacts(ctx context.Context, q api.Query) (api.Page[api.ContactView], error) {
	page, err := f.store.ListContacts(ctx, q)
	out := api.Page[api.ContactView]{Next: page.Next}
	for _, c := range page.Items {
		out.Items = append(out.Items, f.view(c))
	}
	return out, err
}

// RevealContact opens a number after the note that it was read is durable.
func (f *folk) RevealContact(ctx context.Context, id string, by grid.Actor, reason string) (api.ContactRevealed, error) {
	if _, err := f.Engine.RevealContact(ctx, id, by, reason); err != nil {
		return api.ContactRevealed{}, err
	}
	c, err := f.store.Contact(ctx, id)
	if err != nil {
		return api.ContactRevealed{}, err
	}
	p, err := f.open(&c)
	return api.ContactRevealed{Contact: c, Number: p.Number, Name: p.Name}, err
}

// VerifyContact notes that a contact is right.
func (f *folk) VerifyContact(ctx context.Context, id string, by grid.Actor) (api.ContactView, error) {
	c, err := f.Engine.VerifyContact(ctx, id, by)
	if err != nil {
		return api.ContactView{}, err
	}
	return f.view(c), nil
}

// EraseContact erases what tells the person.
func (f *folk) EraseContact(ctx context.Context, id string, by grid.Actor, reason string) (api.ContactView, error) {
	c, err := f.Engine.EraseContact(ctx, id, by, reason)
	return api.ContactView{Contact: c}, err
}

// ReadsOf says who has read a contact, newest first.
func (f *folk) ReadsOf(ctx context.Context, id string) ([]api.ContactRead, error) {
	if _, err := f.store.Contact(ctx, id); err != nil {
		return nil, err
	}
	page, err := f.store.ListAudit(ctx, state.Query{Type: "contact.reveal", Text: id, Limit: 1000})
	var out []api.ContactRead
	for _, a := range page.Items {
		if a.Subject == id {
			out = append(out, api.ContactRead{At: a.At, By: a.By, Why: a.Detail})
		}
	}
	return out, err
}

// ListRosters and ListShifts read what is stored.
func (f *folk) ListRosters(ctx context.Context, q api.Query) (api.Page[grid.Roster], error) {
	return f.store.ListRosters(ctx, q)
}

func (f *folk) ListShifts(ctx context.Context, q api.Query) (api.Page[grid.Shift], error) {
	return f.store.ListShifts(ctx, q)
}

// Gaps are those of the time ahead.
func (f *folk) Gaps(ctx context.Context, from, to time.Time) (out []api.DutyGap, err error) {
	gaps, err := f.Engine.Gaps(ctx, from, to)
	for _, g := range gaps {
		out = append(out, api.DutyGap(g))
	}
	return out, err
}

// routes reads the rules of routing.
func (g *Gateway) readRoutes() (*ticket.Routes, error) {
	name, file, err := fileOr(g.cfg.Routes, "routes.yaml")
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return ticket.ParseRoutes(name, file, g.calendars)
}

// numberSetting is the setting of a carrier's unit that a contact's number takes the place of.
const numberSetting = "number"

// numberKey is where the number of a call stands in the context of its delivery, and
// nowhere else.
type numberKey struct{}

// unitWithNumber reads a unit; of a carrier whose call is under way, with the number to call.
func (g *Gateway) unitWithNumber(ctx context.Context, id string) (grid.Unit, error) {
	u, err := g.store.Unit(ctx, id)
	number, call := ctx.Value(numberKey{}).(string)
	if err != nil || !call || !g.engine.Routes.Chains().Carries(id) {
		return u, err
	}
	settings := map[string]string{}
	for k, v := range u.Settings {
		settings[k] = v
	}
	settings[numberSetting] = number
	u.Settings = settings
	return u, nil
}

// carrier is a connector that may carry calls: it finds the number of the contact, and lets
// nothing of it out again.
type carrier struct {
	grid.Connector
	g *Gateway
}

// withNumbers makes carriers of those connectors that are data.
func (g *Gateway) withNumbers(all map[string]grid.Connector) map[string]grid.Connector {
	out := map[string]grid.Connector{}
	for name, c := range all {
		out[name] = c
		if _, data := c.(*dispatch.Template); data {
			out[name] = carrier{c, g}
		}
	}
	return out
}

// Deliver makes a call to the contact that the ticket names, or delivers as ever.
func (c carrier) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	if !c.g.engine.Routes.Chains().Carries(d.Unit) {
		return c.Connector.Deliver(ctx, d)
	}
	number, err := c.number(ctx, &d)
	if err != nil {
		return grid.Receipt{}, err
	}
	r, err := c.Connector.Deliver(context.WithValue(ctx, numberKey{}, number), d)
	r.Detail, r.Ref = hide(r.Detail, number), hide(r.Ref, number)
	if r.SeenBy != "" {
		r.SeenBy = "a contact"
	}
	if err != nil {
		err = &hidden{err, hide(err.Error(), number)}
	}
	return r, err
}

// number finds whom a delivery calls. One that cannot be found is never found: the chain
// goes on.
func (c carrier) number(ctx context.Context, d *grid.Delivery) (string, error) {
	t, err := c.g.store.Ticket(ctx, d.Ticket)
	if err != nil {
		return "", err
	}
	call, over := ticket.Called(&t, d.ID)
	if call == nil {
		return "", fmt.Errorf("%w: delivery %s is no call of ticket %s", dispatch.ErrNever, d.ID, d.Ticket)
	}
	if over {
		return "", fmt.Errorf("%w: the calls have ended", dispatch.ErrWithheld)
	}
	who, err := c.g.store.Contact(ctx, call.Contact)
	if err == nil {
		var p person
		if p, err = c.g.folk.open(&who); err == nil {
			return p.Number, nil
		}
	}
	return "", fmt.Errorf("%w: %w", dispatch.ErrNever, err)
}

// hide takes a number out of what a carrier says, however it is written.
func hide(text, number string) string {
	if number != "" {
		text = strings.ReplaceAll(text, number, "****")
	}
	return people.HideNumbers(text)
}

// hidden is an error whose words have lost a number.
type hidden struct {
	err  error
	said string
}

func (h *hidden) Error() string { return h.said }

// Is keeps what the dispatcher asks of it: never again, not sent, our own fault.
func (h *hidden) Is(target error) bool { return errors.Is(h.err, target) }

// openCalls gives the calls by a carrier that nobody has answered yet, for asking it.
func (g *Gateway) openCalls(ctx context.Context, unit string) ([]dispatch.Open, error) {
	now := g.clock.Now()
	page, err := g.store.ListDeliveries(ctx, state.Query{Unit: unit, State: string(grid.DeliverySent), Since: now.Add(-askFor), Limit: openPage})
	if err != nil {
		return nil, err
	}
	// Who has picked up may press a key a little later.
	seen, err := g.store.ListDeliveries(ctx, state.Query{Unit: unit, State: string(grid.DeliverySeen), Since: now.Add(-askSeenFor), Limit: openPage})
	if err != nil {
		return nil, err
	}
	var out []dispatch.Open
	for _, d := range append(page.Items, seen.Items...) {
		if d.Ref == "" {
			continue
		}
		t, err := g.store.Ticket(ctx, d.Ticket)
		if err != nil {
			return nil, err
		}
		if call, _ := ticket.Called(&t, d.ID); call != nil && !t.State.Ended() {
			out = append(out, dispatch.Open{Ticket: t, Delivery: d})
		}
	}
	return out, nil
}

// askFor is how long a carrier is asked what became of a call, and askSeenFor of one that was
// picked up.
const (
	askFor     = 30 * time.Minute
	askSeenFor = 5 * time.Minute
)

// openWorkOrCalls is what a unit, or a carrier of calls, is asked about.
func (g *Gateway) openWorkOrCalls(ctx context.Context, unit, cursor string) ([]dispatch.Open, string, error) {
	if !g.engine.Routes.Chains().Carries(unit) {
		return g.openWork(ctx, unit, cursor)
	}
	open, err := g.openCalls(ctx, unit)
	return open, "", err
}

// moveOrAnswer is a unit's move; what a carrier says of a call is the word of the unit that
// was called, and of a call to a place a finding.
func (g *Gateway) moveOrAnswer(ctx context.Context, m grid.Move) (grid.Ticket, error) {
	if !g.engine.Routes.Chains().Carries(m.By.Unit) {
		return g.engine.Move(ctx, m)
	}
	t, err := g.store.Ticket(ctx, m.Ticket)
	if err != nil {
		return t, err
	}
	m.Reason = people.HideNumbers(m.Reason)
	m.By = grid.Actor{Role: grid.RoleSystem, Name: "call"}
	i := slices.IndexFunc(t.Assignments, func(a grid.Assignment) bool { return a.ID == m.Assignment })
	switch {
	case i >= 0:
		m.By = grid.Actor{Role: grid.RoleUnit, Name: t.Assignments[i].Unit, Unit: t.Assignments[i].Unit}
	case m.Verb != grid.VerbVerify:
		return t, nil // that somebody of the place has heard it is all that it means
	}
	return g.engine.Move(ctx, m)
}

const (
	gapsAhead = 7 * 24 * time.Hour
	gapsEvery = time.Hour
)

// tellGaps warns of each gap of a roster once, as soon as it is within a week.
func (g *Gateway) tellGaps(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	told := map[string]time.Time{} // by roster and end: the beginning moves with the time, and so does an end that is not in sight
	look := g.clock.Ticker(gapsEvery)
	defer look.Stop()
	for {
		now := g.clock.Now()
		gaps, err := g.engine.Gaps(ctx, now, now.Add(gapsAhead))
		if err != nil && ctx.Err() == nil {
			g.log.Error("gaps of rosters cannot be worked out", "err", err)
		}
		for _, p := range gaps {
			key := p.Roster
			if p.To.Before(now.Add(gapsAhead)) {
				key += " " + p.To.String()
			}
			if _, known := told[key]; !known {
				g.log.Warn("roster has a gap: nobody is on duty", "in", p.Roster, "unit", p.For, "from", p.From, "to", p.To)
			}
			told[key] = p.To
		}
		for key, to := range told {
			if to.Before(now) {
				delete(told, key)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}
