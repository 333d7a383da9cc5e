package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// People is who can be called, who is on duty, and where calls go. A number goes in; it
// comes out by Reveal alone, which is audited.
type People interface {
	PutContact(ctx context.Context, n NewContact) (ContactView, error)
	ListContacts(ctx context.Context, q Query) (Page[ContactView], error)
	RevealContact(ctx context.Context, id string, by grid.Actor, reason string) (ContactRevealed, error)
	VerifyContact(ctx context.Context, id string, by grid.Actor) (ContactView, error)
	EraseContact(ctx context.Context, id string, by grid.Actor, reason string) (ContactView, error)

	ReadsOf(ctx context.Context, id string) ([]ContactRead, error)

	ListRosters(ctx context.Context, q Query) (Page[grid.Roster], error)
	PutRoster(ctx context.Context, r grid.Roster) (grid.Roster, error)
	EndRoster(ctx context.Context, id string, by grid.Actor) (grid.Roster, error)
	ListShifts(ctx context.Context, q Query) (Page[grid.Shift], error)
	PutShift(ctx context.Context, s grid.Shift, key string) (grid.Shift, error)
	EndShift(ctx context.Context, id string, by grid.Actor) (grid.Shift, error)
	Gaps(ctx context.Context, from, to time.Time) ([]DutyGap, error)
	OnDuty(ctx context.Context, whom string, at time.Time) (persons []string, fallback string, err error)

	Routed(ctx context.Context, typ grid.EventType, point string, at time.Time) ([]grid.CallRoute, error)
}

// ContactAsk is a contact as it is given. No text of it is checked by the schema: what
// refuses a body quotes it.
type ContactAsk struct {
	ID       string           `json:"id,omitempty" doc:"Of one to be changed; none: a new one."`
	Of       string           `json:"of" doc:"point:<id>, building:<name>, unit:<id> or person:<name on the roster>."`
	Role     grid.ContactRole `json:"role" doc:"occupant, neighbour, key_holder or duty_phone."`
	Order    int              `json:"order,omitempty" doc:"Who is called first: the lowest."`
	Channel  grid.Channel     `json:"channel" doc:"voice, sms, app or chat."`
	Number   grid.Secret      `json:"number,omitempty" doc:"To be called by. None: as it was."`
	Name     grid.Secret      `json:"name,omitempty" doc:"Not needed."`
	Hours    string           `json:"hours,omitempty" doc:"The calendar in whose hours it may be called."`
	Verified time.Time        `json:"verified,omitzero" doc:"When somebody last made sure."`
	grid.Scope
}

// NewContact is ContactAsk with what is around it.
type NewContact struct {
	ContactAsk
	By  grid.Actor
	Key string
}

// ContactView is a contact as a list shows it.
type ContactView struct {
	grid.Contact
	Masked string `json:"number_masked,omitempty" doc:"Not to be called by."`
	Fault  string `json:"fault,omitempty" doc:"Why the number cannot be opened."`
}

// ContactRevealed is a contact as it was revealed.
type ContactRevealed struct {
	grid.Contact
	Number string `json:"number"`
	Name   string `json:"name,omitempty"`
}

// ContactRead is that somebody has read a contact's number.
type ContactRead struct {
	At  time.Time  `json:"at"`
	By  grid.Actor `json:"by"`
	Why string     `json:"why"`
}

// DutyGap is a span in which nobody is on duty though somebody must be.
type DutyGap struct {
	Roster   string    `json:"roster"`
	For      string    `json:"for"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Fallback string    `json:"fallback,omitempty" doc:"Who is called then."`
}

// peopleRoutes: contacts, rosters and shifts, and where calls go.
func (s *Server) peopleRoutes(api huma.API) {
	route(s, api, operators, answerWithin, get("/contacts", "list-contacts", "people", "Contacts of a point, building, unit or person, with their numbers masked"), s.contacts)
	route(s, api, supervisors, answerWithin, post("/contacts", "put-contact", "people", "Add a contact, or change the one with its id"), s.putContact)
	route(s, api, operators, answerWithin, post("/contacts/{id}/reveal", "reveal-contact", "people", "Read a contact's number; who did, when and why is kept"), s.revealContact)
	route(s, api, supervisors, answerWithin, get("/contacts/{id}/reads", "list-contact-reads", "people", "Who has read a contact's number, when and why"), s.contactReads)
	route(s, api, operators, answerWithin, post("/contacts/{id}/verify", "verify-contact", "people", "Note that a contact is right"), s.verifyContact)
	route(s, api, supervisors, answerWithin, del("/contacts/{id}", "erase-contact", "people", "Erase what tells the person, for good"), s.eraseContact)

	route(s, api, operators, answerWithin, get("/rosters", "list-rosters", "people", "Rosters: for whom somebody must be on duty"), s.rosters)
	route(s, api, supervisors, answerWithin, post("/rosters", "put-roster", "people", "Add a roster, or change the one with its id"), s.putRoster)
	route(s, api, supervisors, answerWithin, del("/rosters/{id}", "end-roster", "people", "End a roster"), s.endRoster)
	route(s, api, operators, answerWithin, get("/rosters/gaps", "list-gaps", "people", "Spans ahead in which nobody is on duty though somebody must be"), s.gaps)
	route(s, api, operators, answerWithin, get("/rosters/duty", "get-duty", "people", "Who is on duty at a time"), s.duty)
	route(s, api, operators, answerWithin, get("/shifts", "list-shifts", "people", "Shifts, by whom they are of"), s.shifts)
	route(s, api, supervisors, answerWithin, post("/shifts", "put-shift", "people", "Put a person on duty, once or by a pattern"), s.putShift)
	route(s, api, supervisors, answerWithin, del("/shifts/{id}", "end-shift", "people", "End a shift"), s.endShift)

	route(s, api, operators, answerWithin, get("/tickets/route", "route-ticket", "tickets", "Which unit each call of a ticket would find, and why"), s.routed)
}

// del describes an operation that ends something.
func del(path, id, tag, summary string) huma.Operation {
	op := get(path, id, tag, summary)
	op.Method, op.DefaultStatus = http.MethodDelete, http.StatusOK
	return op
}

func (s *Server) folk() (People, error) {
	if s.People == nil {
		return nil, grid.Errorf(grid.Unavailable, "people: %w", errors.ErrUnsupported)
	}
	return s.People, nil
}

// peopleInput is what the lists of people take.
type peopleInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" doc:"The next of the page before."`
	Of     string `query:"of" doc:"Of contacts: point:…, building:…, unit:…, person:…; of rosters and shifts: unit:… or seat:…"`
	Ended  bool   `query:"ended" doc:"Those that have ended, or were erased, too."`
}

func (in *peopleInput) query(current string) Query {
	q := Query{Limit: in.Limit, Cursor: in.Cursor, Of: in.Of}
	if !in.Ended {
		q.State = current
	}
	return q
}

// secretAnswer is kept by nobody on its way.
type secretAnswer[T any] struct {
	CacheControl string `header:"Cache-Control"`
	Body         T
}

func listed[T any](p Page[T], err error) (*body[Page[T]], error) {
	if err != nil {
		return nil, err
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return &body[Page[T]]{p}, nil
}

func answer[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{v}, nil
}

func (s *Server) contacts(ctx context.Context, _ grid.Actor, in *peopleInput) (*body[Page[ContactView]], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	return listed(p.ListContacts(ctx, in.query("known")))
}

type putContactInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once."`
	Body ContactAsk
}

func (s *Server) putContact(ctx context.Context, by grid.Actor, in *putContactInput) (*secretAnswer[ContactView], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	v, err := p.PutContact(ctx, NewContact{ContactAsk: in.Body, By: by, Key: scopedKey(by, in.Key)})
	return &secretAnswer[ContactView]{"no-store", v}, err
}

type revealInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why. Not needed while there is an open P1 or P2 at the place."`
		By     *As    `json:"by,omitempty" doc:"With the administrator's token: who reads it."`
	}
}

func (s *Server) revealContact(ctx context.Context, by grid.Actor, in *revealInput) (*secretAnswer[ContactRevealed], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	v, err := p.RevealContact(ctx, in.ID, in.Body.By.actor(by), in.Body.Reason)
	return &secretAnswer[ContactRevealed]{"no-store", v}, err
}

func (s *Server) contactReads(ctx context.Context, _ grid.Actor, in *idInput) (*body[Page[ContactRead]], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	reads, err := p.ReadsOf(ctx, in.ID)
	return listed(Page[ContactRead]{Items: reads}, err)
}

func (s *Server) verifyContact(ctx context.Context, by grid.Actor, in *idInput) (*body[ContactView], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	return answer(p.VerifyContact(ctx, in.ID, by))
}

type eraseInput struct {
	ID     string `path:"id"`
	Reason string `query:"reason" maxLength:"1000" doc:"For the audit."`
}

func (s *Server) eraseContact(ctx context.Context, by grid.Actor, in *eraseInput) (*body[ContactView], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	return answer(p.EraseContact(ctx, in.ID, by, in.Reason))
}

func (s *Server) rosters(ctx context.Context, _ grid.Actor, in *peopleInput) (*body[Page[grid.Roster]], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	return listed(p.ListRosters(ctx, in.query("current")))
}

func (s *Server) shifts(ctx context.Context, _ grid.Actor, in *peopleInput) (*body[Page[grid.Shift]], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	return listed(p.ListShifts(ctx, in.query("current")))
}

// RosterAsk is a roster as it is given.
type RosterAsk struct {
	ID       string `json:"id" minLength:"1" maxLength:"100"`
	For      string `json:"for" maxLength:"200" doc:"unit:<id>, or seat:<name> of the operators."`
	Hours    string `json:"hours,omitempty" doc:"The calendar in whose hours somebody must be on duty; none: always."`
	Fallback string `json:"fallback,omitempty" maxLength:"100" doc:"The person who is called where nobody is on duty."`
}

// ShiftAsk is a shift as it is given.
type ShiftAsk struct {
	For    string    `json:"for" maxLength:"200" doc:"unit:<id>, or seat:<name>."`
	Person string    `json:"person" minLength:"1" maxLength:"100" doc:"A number of staff or a word for the post; a name is not needed."`
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero" doc:"None: until it is ended."`
	Hours  string    `json:"hours,omitempty" doc:"Only within the hours of this calendar."`
	Every  string    `json:"every,omitempty" doc:"A turn: on duty for length, again every so long after from. 72h."`
	Length string    `json:"length,omitempty" doc:"24h."`
}

type rosterInput struct{ Body RosterAsk }

func (s *Server) putRoster(ctx context.Context, by grid.Actor, in *rosterInput) (*body[grid.Roster], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	a := in.Body
	return answer(p.PutRoster(ctx, grid.Roster{ID: a.ID, For: a.For, Hours: a.Hours, Fallback: a.Fallback, By: by}))
}

func (s *Server) endRoster(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Roster], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	return answer(p.EndRoster(ctx, in.ID, by))
}

type shiftInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once."`
	Body ShiftAsk
}

func (s *Server) putShift(ctx context.Context, by grid.Actor, in *shiftInput) (*body[grid.Shift], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	a := in.Body
	shift := grid.Shift{For: a.For, Person: a.Person, From: a.From, To: a.To, Hours: a.Hours, By: by}
	for _, d := range []struct {
		name, text string
		into       *time.Duration
	}{{"every", a.Every, &shift.Every}, {"length", a.Length, &shift.Length}} {
		if d.text == "" {
			continue
		}
		if *d.into, err = time.ParseDuration(d.text); err != nil {
			return nil, grid.Errorf(grid.Invalid, "%s is %q: want a duration such as 24h", d.name, d.text)
		}
	}
	return answer(p.PutShift(ctx, shift, scopedKey(by, in.Key)))
}

func (s *Server) endShift(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Shift], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	return answer(p.EndShift(ctx, in.ID, by))
}

type gapsInput struct {
	Days int `query:"days" minimum:"1" maximum:"62" default:"7"`
}

func (s *Server) gaps(ctx context.Context, _ grid.Actor, in *gapsInput) (*body[Page[DutyGap]], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	now := s.Now().UTC()
	gaps, err := p.Gaps(ctx, now, now.AddDate(0, 0, in.Days))
	return listed(Page[DutyGap]{Items: gaps}, err)
}

type dutyInput struct {
	For string    `query:"for" required:"true" doc:"unit:<id>, or seat:<name>."`
	At  time.Time `query:"at" doc:"Default: now."`
}

// OnDuty is who is on duty.
type OnDuty struct {
	For      string    `json:"for"`
	At       time.Time `json:"at"`
	Persons  []string  `json:"persons"`
	Fallback string    `json:"fallback,omitempty"`
}

func (s *Server) duty(ctx context.Context, _ grid.Actor, in *dutyInput) (*body[OnDuty], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	if in.At.IsZero() {
		in.At = s.Now().UTC()
	}
	persons, fallback, err := p.OnDuty(ctx, in.For, in.At)
	return answer(OnDuty{in.For, in.At, append([]string{}, persons...), fallback}, err)
}

type routeInput struct {
	Type  string    `query:"type" required:"true" doc:"Event type, for example smoke.alarm."`
	Point string    `query:"point" required:"true"`
	At    time.Time `query:"at" doc:"Default: now."`
}

// TicketRoute is where the calls of a ticket would go at a moment.
type TicketRoute struct {
	Type  grid.EventType   `json:"type"`
	Point string           `json:"point"`
	At    time.Time        `json:"at"`
	Calls []grid.CallRoute `json:"calls"`
}

func (s *Server) routed(ctx context.Context, _ grid.Actor, in *routeInput) (*body[TicketRoute], error) {
	p, err := s.folk()
	if err != nil {
		return nil, err
	}
	if in.At.IsZero() {
		in.At = s.Now().UTC()
	}
	calls, err := p.Routed(ctx, grid.EventType(in.Type), in.Point, in.At)
	return answer(TicketRoute{grid.EventType(in.Type), in.Point, in.At, append([]grid.CallRoute{}, calls...)}, err)
}
