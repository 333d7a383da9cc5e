package state

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Query says which rows of a list to give. Empty fields do not filter; a filter that a
// list does not have is an error, never silently ignored.
type Query struct {
	Scope grid.Scope // only rows that agree with every code that is set
	Unit  string     // only what this unit may see: tickets with an assignment of its own, and what hangs on them
	// Joined takes a ticket or an incident too if an episode that belongs to it lies in Scope.
	Joined bool

	ID       string // only this row
	Cell     string
	Kind     string // of point, event or unit; of alarms and tickets: of their point
	State    string
	Point    string
	Device   string
	Ticket   string
	Incident string // of alarms: the members of this one
	Of       string // of contacts, rosters and shifts: whose
	Type     string // of event, alarm, ticket or delivery; quarantine: the reason; audit: the action
	Text     string // contained in the names, ids and details a person looks for

	Profile string // of device; quarantine: of the frame's device

	Building, Site, Owner, Privacy string // of points, and of buildings their site

	Since, Until time.Time // by the list's own time: Since ≤ t < Until
	Limit        int       // 0: 50; at most 1,000
	Cursor       string    // Page.Next of the page before
}

// Page is one page of a list. Next is empty on the last one.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// list describes how the rows of a table are listed: in which order, by which filters,
// and what of it a unit may see.
type list struct {
	order   []string          // columns that together tell rows apart
	newest  bool              // descending
	time    string            // column of Since and Until; "": has none
	unit    string            // condition on rows that a unit may see; "": none of them
	joined  string            // condition with %s for that on the scope of episodes that belong to a row; "": none do
	filters map[string]string // "field" → condition with one ?; "field=value" → one without, for that value
	text    []string          // columns that Text looks into
}

const (
	ownTickets  = "SELECT ticket FROM assignments WHERE unit = ?"
	pointOfKind = "point IN (SELECT id FROM points WHERE kind = ?)"
)

var (
	pointList = list{
		order: []string{"id"},
		text:  []string{"id", "name", "address"},
		filters: map[string]string{
			"id": "id = ?", "point": "id = ?", "cell": "cell = ?", "kind": "kind = ?",
			"device":   "id IN (SELECT point FROM installations WHERE device = ? AND ended = 0)",
			"building": "building <> '' AND building = ?", "site": "site = ?", "owner": "owner = ?", "privacy": "privacy = ?",
			"state": "CASE state WHEN '' THEN 'active' ELSE state END = ?",
		},
	}
	deviceList = list{
		order: []string{"identity"},
		time:  "installed",
		text:  []string{"identity", "profile", "serial"},
		filters: map[string]string{
			"id": "identity = ?", "device": "identity = ?", "cell": "cell = ?", "state": "state = ?", "type": "profile = ?", "profile": "profile = ?", "owner": "owner = ?",
			"point": "identity IN (SELECT device FROM installations WHERE point = ? AND ended = 0)",
			"kind": "identity IN (SELECT i.device FROM installations i JOIN points p ON p.id = i.point " +
				"WHERE i.ended = 0 AND p.kind = ?)",
		},
	}
	installationList = list{
		order: []string{"device", "channel", "started"},
		time:  "started",
		text:  []string{"device", "point"},
		filters: map[string]string{
			"device": "device = ?", "point": "point = ?", "cell": "cell = ?", "kind": pointOfKind,
			"state": "CASE ended WHEN 0 THEN 'current' ELSE 'past' END = ?",
		},
	}
	unitList = list{
		order:   []string{"id"},
		unit:    "id = ?",
		text:    []string{"id", "name"},
		filters: map[string]string{"id": "id = ?", "kind": "kind = ?"},
	}
	eventList = list{
		order: []string{"received", "id"}, newest: true,
		time: "received",
		unit: "ticket <> '' AND ticket IN (" + ownTickets + ")", // the index holds what has a ticket
		text: []string{"id", "point", "device", "detail"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "kind": "kind = ?", "type": "type = ?", "point": "point = ?",
			"device": "device = ?", "ticket": "ticket <> '' AND ticket = ?", "state": "action = ?",
		},
	}
	alarmList = list{
		order: []string{"raised", "id"}, newest: true,
		time: "raised",
		unit: "ticket IN (" + ownTickets + ")",
		text: []string{"id", "point", "device"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "kind": pointOfKind, "type": "type = ?", "point": "point = ?",
			"device": "device = ?", "ticket": "ticket = ?", "incident": "incident = ?",
			"state": "CASE active WHEN 1 THEN 'active' ELSE 'returned' END = ?", "state=active": "active = 1",
		},
	}
	ticketList = list{
		order: []string{"opened", "id"}, newest: true,
		time: "opened",
		unit: "id IN (" + ownTickets + ")", joined: "id IN (SELECT ticket FROM alarms WHERE %s)",
		text: []string{"id", "case_no", "title", "place"},
		filters: map[string]string{
			"id": "id = ?", "ticket": "id = ?", "cell": "cell = ?", "kind": pointOfKind, "type": "type = ?",
			"point": "point = ?", "device": "device = ?", "state": "state = ?", "state=open": "ended = 0", "state=ended": "ended = 1",
			"state=tasks": "tasks > 0 AND ended = 0",
		},
	}
	deliveryList = list{
		order: []string{"created", "id"}, newest: true,
		time: "created",
		unit: "unit = ?",
		text: []string{"id", "error"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "type": "type = ?", "ticket": "ticket = ?", "state": "state = ?",
		},
	}
	quarantineList = list{
		order: []string{"at", "id"}, newest: true,
		time: "at",
		text: []string{"id", "identity", "detail"},
		filters: map[string]string{
			"id": "id = ?", "cell": "cell = ?", "type": "reason = ?", "device": "identity = ?", "state": "state = ?",
			"state=waiting": "state = 'waiting'", "profile": "identity IN (SELECT identity FROM devices WHERE profile = ?)",
		},
	}
	auditList = list{
		order: []string{"at", "id"}, newest: true,
		time:    "at",
		text:    []string{"subject", "by_name", "detail"},
		filters: map[string]string{"id": "id = ?", "cell": "cell = ?", "type": "action = ?"},
	}
)

// Lists of what a person or a unit may see. Registry lists are in the order of their keys,
// the others newest first. An Invalid error names a bad cursor, limit or filter.

func (s *Store) ListPoints(ctx context.Context, q Query) (Page[grid.Point], error) {
	return pageOf(ctx, s, &pointTable, &pointList, q)
}

func (s *Store) ListDevices(ctx context.Context, q Query) (Page[grid.Device], error) {
	return pageOf(ctx, s, &deviceTable, &deviceList, q)
}

func (s *Store) ListInstallations(ctx context.Context, q Query) (Page[grid.Installation], error) {
	return pageOf(ctx, s, &installationTable, &installationList, q)
}

// ListUnits leaves the secrets out, those in addresses too.
func (s *Store) ListUnits(ctx context.Context, q Query) (Page[grid.Unit], error) {
	alone := q.ID != "" && q == Query{ID: q.ID, Limit: q.Limit} // as each call of a unit's system asks
	known, round := s.tokens.find("unit " + q.ID)
	if alone && known != nil && !s.reading {
		return Page[grid.Unit]{Items: []grid.Unit{*known}}, nil
	}
	p, err := pageOf(ctx, s, &unitTable, &unitList, q)
	for i := range s.openUnits(p.Items) {
		p.Items[i].Secret, p.Items[i].URL = "", BareURL(p.Items[i].URL)
	}
	if alone && err == nil && len(p.Items) == 1 {
		u := p.Items[0]
		u.Settings = maps.Clone(u.Settings) // the caller's page is the caller's
		s.tokens.keep("unit "+q.ID, u, round)
	}
	return p, err
}

func (s *Store) ListEvents(ctx context.Context, q Query) (Page[grid.Event], error) {
	return pageOf(ctx, s, &eventTable, &eventList, q)
}

func (s *Store) ListAlarms(ctx context.Context, q Query) (Page[grid.Alarm], error) {
	return pageOf(ctx, s, &alarmTable, &alarmList, q)
}

// ListTickets gives tickets with their assignments. State "open" and "ended" stand for all such states.
func (s *Store) ListTickets(ctx context.Context, q Query) (p Page[grid.Ticket], err error) {
	err = s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			if p, err = page(ctx, conn, &ticketTable, &ticketList, q); err != nil {
				return err
			}
			return withAssignments(ctx, conn, p.Items)
		})
	})
	return p, err
}

func (s *Store) ListDeliveries(ctx context.Context, q Query) (Page[grid.Delivery], error) {
	return pageOf(ctx, s, &deliveryTable, &deliveryList, q)
}

func (s *Store) ListQuarantine(ctx context.Context, q Query) (Page[grid.QuarantinedFrame], error) {
	return pageOf(ctx, s, &quarantineTable, &quarantineList, q)
}

func (s *Store) ListAudit(ctx context.Context, q Query) (Page[Audit], error) {
	return pageOf(ctx, s, &auditTable, &auditList, q)
}

// EventsAfter gives up to limit events in commit order that were committed after the event
// with this id; "" starts at the first. NotFound: that event is not there (any more).
func (s *Store) EventsAfter(ctx context.Context, id string, limit int) ([]grid.Event, error) {
	return s.EventsAfterFor(ctx, id, Query{Limit: limit})
}

// EventsAfterFor is EventsAfter for someone who sees only what q lets through.
func (s *Store) EventsAfterFor(ctx context.Context, id string, q Query) (events []grid.Event, err error) {
	w, err := q.where(&eventList)
	if err != nil {
		return nil, err
	}
	limit, err := q.limit()
	if err != nil {
		return nil, err
	}
	err = s.reader(ctx, func(conn driver.Conn) error {
		n := int64(0)
		known := id == ""
		err := each(ctx, conn, "SELECT n FROM events WHERE id = ?", []driver.Value{id}, func(r *row) error {
			n, known = r.num(), true
			return r.err
		})
		if err != nil {
			return err
		}
		if !known {
			return grid.Errorf(grid.NotFound, "event %q is not known", id)
		}
		w.and("n > ?", n)
		events, err = all(ctx, conn, &eventTable, w.sql()+" ORDER BY n LIMIT ?", append(w.vals, int64(limit))...)
		return err
	})
	return events, err
}

// where collects the conditions of a query.
type where struct {
	conds []string
	vals  []driver.Value
}

func (w *where) and(cond string, vals ...driver.Value) {
	w.conds = append(w.conds, cond)
	w.vals = append(w.vals, vals...)
}

func (w *where) sql() string {
	if len(w.conds) == 0 {
		return "WHERE true"
	}
	return "WHERE " + strings.Join(w.conds, " AND ")
}

// where turns q into conditions on the rows of l. It is the one place that keeps rows from
// those who may not see them: every list and stream goes through it.
func (q Query) where(l *list) (where, error) {
	var w where
	var cols []string
	var codes []driver.Value
	for _, c := range []struct{ col, code string }{
		{"district", q.Scope.District}, {"street", q.Scope.Street}, {"community", q.Scope.Community},
		{"compound", q.Scope.Compound}, {"contractor", q.Scope.Contractor},
	} {
		if c.code != "" {
			cols, codes = append(cols, c.col+" = ?"), append(codes, c.code)
		}
	}
	if lies := strings.Join(cols, " AND "); lies != "" && q.Joined && l.joined != "" {
		w.and("(" + lies + " OR " + fmt.Sprintf(l.joined, lies) + ")")
		w.vals = append(append(w.vals, codes...), codes...)
	} else if lies != "" {
		w.and(lies)
		w.vals = append(w.vals, codes...)
	}
	switch {
	case q.Unit == "":
	case l.unit == "":
		w.and("false")
	default:
		w.and(l.unit, q.Unit)
	}
	if err := q.filters(l, &w); err != nil {
		return w, err
	}
	return w, nil
}

// filters adds the conditions that the caller asked for.
func (q Query) filters(l *list, w *where) error {
	for _, f := range []struct{ name, value string }{
		{"id", q.ID}, {"cell", q.Cell}, {"kind", q.Kind}, {"state", q.State}, {"point", q.Point},
		{"device", q.Device}, {"ticket", q.Ticket}, {"incident", q.Incident}, {"type", q.Type}, {"profile", q.Profile}, {"of", q.Of},
		{"building", q.Building}, {"site", q.Site}, {"owner", q.Owner}, {"privacy", q.Privacy},
	} {
		if f.value == "" {
			continue
		}
		if cond, ok := l.filters[f.name+"="+f.value]; ok {
			w.and(cond)
		} else if cond, ok := l.filters[f.name]; ok {
			w.and(cond, f.value)
		} else {
			return grid.Errorf(grid.Invalid, "this list has no filter %q", f.name)
		}
	}
	if q.Text != "" {
		escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(q.Text)
		var any []string
		for _, col := range l.text {
			any = append(any, col+` LIKE ? ESCAPE '\'`)
			w.vals = append(w.vals, "%"+escaped+"%")
		}
		w.and("(" + strings.Join(any, " OR ") + ")")
	}
	if (!q.Since.IsZero() || !q.Until.IsZero()) && l.time == "" {
		return grid.Errorf(grid.Invalid, "this list has no time: want no since or until")
	}
	if !q.Since.IsZero() {
		w.and(l.time+" >= ?", nanos(q.Since))
	}
	if !q.Until.IsZero() {
		w.and(l.time+" < ?", nanos(q.Until))
	}
	return nil
}

func (q Query) limit() (int, error) {
	switch {
	case q.Limit == 0:
		return defaultLimit, nil
	case q.Limit < 0 || q.Limit > maxLimit:
		return 0, grid.Errorf(grid.Invalid, "limit is %d: want 1 to %d", q.Limit, maxLimit)
	}
	return q.Limit, nil
}

func pageOf[T any](ctx context.Context, s *Store, t *table[T], l *list, q Query) (p Page[T], err error) {
	err = s.reader(ctx, func(conn driver.Conn) error {
		p, err = page(ctx, conn, t, l, q)
		return err
	})
	return p, err
}

// page reads one page: the rows behind the cursor in the order of l. Rows that come or go
// meanwhile make no other row appear twice or not at all.
func page[T any](ctx context.Context, conn driver.Conn, t *table[T], l *list, q Query) (Page[T], error) {
	p := Page[T]{Items: []T{}}
	w, err := q.where(l)
	if err != nil {
		return p, err
	}
	limit, err := q.limit()
	if err != nil {
		return p, err
	}
	order, cmp := strings.Join(l.order, ", "), ">"
	if l.newest {
		order, cmp = strings.Join(l.order, " DESC, ")+" DESC", "<"
	}
	if q.Cursor != "" {
		vals, err := parseCursor(q.Cursor, t.name, len(l.order))
		if err != nil {
			return p, err
		}
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(vals)), ", ")
		w.and("("+strings.Join(l.order, ", ")+") "+cmp+" ("+marks+")", vals...)
	}
	sql := "SELECT " + t.selects() + ", " + strings.Join(l.order, ", ") + " FROM " + t.name + " " + w.sql() +
		" ORDER BY " + order + " LIMIT ?"
	var key []driver.Value
	err = each(ctx, conn, sql, append(w.vals, int64(limit)+1), func(r *row) error {
		if len(p.Items) == limit {
			p.Next = makeCursor(t.name, key)
			return nil
		}
		p.Items = append(p.Items, t.scan(r))
		key = append(key[:0], r.vals[r.i:]...)
		return r.err
	})
	if err != nil {
		return p, fmt.Errorf("list %s: %w", t.name, err)
	}
	return p, nil
}

// A cursor is the table and the order columns of the last row seen, as base64 of a JSON array.
func makeCursor(table string, key []driver.Value) string {
	b, err := json.Marshal(append([]driver.Value{table}, key...))
	if err != nil {
		panic("state: a key holds only texts and integers: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(cursor, table string, n int) ([]driver.Value, error) {
	invalid := grid.Errorf(grid.Invalid, "cursor is %.80q: want one that this list gave as next", cursor)
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, invalid
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var parts []any
	if err := dec.Decode(&parts); err != nil || len(parts) != n+1 || parts[0] != table {
		return nil, invalid
	}
	vals := make([]driver.Value, n)
	for i, part := range parts[1:] {
		switch v := part.(type) {
		case string:
			vals[i] = v
		case json.Number:
			if vals[i], err = v.Int64(); err != nil {
				return nil, invalid
			}
		default:
			return nil, invalid
		}
	}
	return vals, nil
}
