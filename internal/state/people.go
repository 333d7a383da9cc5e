package state

import (
	"context"
	"database/sql/driver"
	"time"

	"gridgate/internal/grid"
)

var contactTable = table[grid.Contact]{
	name: "contacts", key: "id",
	cols: "id, owner, role, place, channel, hours, verified, " + allScope + ", created, by_role, by_name, by_unit, erased, sealed",
	bind: func(a *args, c *grid.Contact) {
		a.text(c.ID, c.Of, string(c.Role))
		a.num(int64(c.Order))
		a.text(string(c.Channel), c.Hours)
		a.time(c.Verified)
		a.scope(c.Scope)
		a.text(c.Cell, string(c.Mode))
		a.time(c.Created)
		a.actor(c.By)
		a.time(c.Erased)
		a.blob(c.Sealed)
	},
	scan: func(r *row) grid.Contact {
		return grid.Contact{
			ID: r.text(), Of: r.text(), Role: grid.ContactRole(r.text()), Order: int(r.num()), Channel: grid.Channel(r.text()), Hours: r.text(),
			Verified: r.time(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()), Created: r.time(), By: r.actor(),
			Erased: r.time(), Sealed: r.blob(),
		}
	},
}

var rosterTable = table[grid.Roster]{
	name: "rosters", key: "id",
	cols: "id, whom, hours, fallback, " + allScope + ", ended, created, by_role, by_name, by_unit",
	bind: func(a *args, o *grid.Roster) {
		a.text(o.ID, o.For, o.Hours, o.Fallback)
		a.scope(o.Scope)
		a.text(o.Cell, string(o.Mode))
		a.time(o.Ended)
		a.time(o.Created)
		a.actor(o.By)
	},
	scan: func(r *row) grid.Roster {
		return grid.Roster{
			ID: r.text(), For: r.text(), Hours: r.text(), Fallback: r.text(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
			Ended: r.time(), Created: r.time(), By: r.actor(),
		}
	},
}

var shiftTable = table[grid.Shift]{
	name: "shifts", key: "id",
	cols: "id, whom, person, started, until, hours, every, length, " + allScope + ", ended, created, by_role, by_name, by_unit",
	bind: func(a *args, s *grid.Shift) {
		a.text(s.ID, s.For, s.Person)
		a.time(s.From)
		a.time(s.To)
		a.text(s.Hours)
		a.num(int64(s.Every))
		a.num(int64(s.Length))
		a.scope(s.Scope)
		a.text(s.Cell, string(s.Mode))
		a.time(s.Ended)
		a.time(s.Created)
		a.actor(s.By)
	},
	scan: func(r *row) grid.Shift {
		return grid.Shift{
			ID: r.text(), For: r.text(), Person: r.text(), From: r.time(), To: r.time(), Hours: r.text(),
			Every: time.Duration(r.num()), Length: time.Duration(r.num()), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
			Ended: r.time(), Created: r.time(), By: r.actor(),
		}
	},
}

var (
	contactList = list{
		order:   []string{"owner", "place", "id"},
		filters: map[string]string{"id": "id = ?", "cell": "cell = ?", "of": "owner = ?", "state=known": "erased = 0"},
	}
	rosterList = list{
		order:   []string{"id"},
		text:    []string{"id", "whom"},
		filters: map[string]string{"id": "id = ?", "cell": "cell = ?", "of": "whom = ?", "state=current": "ended = 0"},
	}
	shiftList = list{
		order: []string{"whom", "started", "id"},
		time:  "started",
		text:  []string{"whom", "person"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "of": "whom = ?", "state=current": "ended = 0",
		},
	}
)

// ListContacts gives contacts in the order in which they are called, what is sealed of them included.
func (s *Store) ListContacts(ctx context.Context, q Query) (Page[grid.Contact], error) {
	return pageOf(ctx, s, &contactTable, &contactList, q)
}

// ListRosters gives rosters.
func (s *Store) ListRosters(ctx context.Context, q Query) (Page[grid.Roster], error) {
	return pageOf(ctx, s, &rosterTable, &rosterList, q)
}

// ListShifts gives shifts by whom they are of.
func (s *Store) ListShifts(ctx context.Context, q Query) (Page[grid.Shift], error) {
	return pageOf(ctx, s, &shiftTable, &shiftList, q)
}

// Contact gives one contact.
func (s *Store) Contact(ctx context.Context, id string) (grid.Contact, error) {
	return one(ctx, s, &contactTable, "contact", "id", id)
}

// ContactsOf gives the contacts of a point, building, unit or person that have not been
// erased, in the order of calling.
func (s *Store) ContactsOf(ctx context.Context, of string) ([]grid.Contact, error) {
	return readAll(ctx, s, &contactTable, "WHERE owner = ? AND erased = 0 ORDER BY place, id", of)
}

// Roster and Shift give one.
func (s *Store) Roster(ctx context.Context, id string) (grid.Roster, error) {
	return one(ctx, s, &rosterTable, "roster", "id", id)
}

func (s *Store) Shift(ctx context.Context, id string) (grid.Shift, error) {
	return one(ctx, s, &shiftTable, "shift", "id", id)
}

// Duty gives all rosters and shifts that have not ended.
func (s *Store) Duty(ctx context.Context) (rosters []grid.Roster, shifts []grid.Shift, err error) {
	if rosters, err = readAll(ctx, s, &rosterTable, "WHERE ended = 0 ORDER BY id"); err == nil {
		shifts, err = readAll(ctx, s, &shiftTable, "WHERE ended = 0 ORDER BY whom, started, id")
	}
	return rosters, shifts, err
}

// SealedContacts gives what is sealed of every contact. One is valid during the call.
func (s *Store) SealedContacts(ctx context.Context, to func(sealed []byte)) error {
	return s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, "SELECT sealed FROM contacts WHERE length(sealed) > 0", nil, func(r *row) error {
			if b := r.blob(); r.err == nil {
				to(b)
			}
			return r.err
		})
	})
}
