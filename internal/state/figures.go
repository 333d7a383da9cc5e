package state

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// What the figures are made of: a narrow row beside each ticket, and streams over it and
// over events, alarms and devices. Only what is live comes out, unless another mode is asked for.

// openLasts is until when the row of an open ticket can matter.
const openLasts = int64(1) << 62

// longLife is the age past which a ticket is found by an index of its own; it stands in
// the migration too.
const longLife = 31 * 24 * time.Hour

const (
	marksWritten = "opened, ticket, type, priority, " + allScope + ", point, unit, state, verification, rework, returns, " +
		"filed, dispatched, accepted, arrived, handled, checked, ended, handle_due, held, late, due, lasts"
	marksLookedUp = "kind, profile, previous, occurred"
)

// marksSQL writes the row of a ticket. What is known only when it is opened is looked up
// then; of what happens more than once the first time stays.
func marksSQL() string {
	written := columns(marksWritten)
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(written)), ", ")
	var set []string
	for _, c := range written {
		switch c {
		case "opened", "ticket":
		case "filed", "dispatched", "accepted", "arrived", "checked":
			set = append(set, c+" = CASE "+c+" WHEN 0 THEN excluded."+c+" ELSE "+c+" END")
		case "late":
			set = append(set, "late = max(late, excluded.late)")
		default:
			set = append(set, c+" = excluded."+c)
		}
	}
	return "INSERT INTO ticket_marks (" + marksWritten + ", " + marksLookedUp + ") VALUES (" + marks + ", " +
		"coalesce((SELECT kind FROM points WHERE id = ?), ''), " +
		"coalesce((SELECT profile FROM devices WHERE identity = ?), ''), " +
		"coalesce((SELECT o.opened FROM tickets o WHERE o.point = ? AND o.point <> '' AND o.opened < ? AND o.type = ? AND o.mode = ? ORDER BY o.opened DESC LIMIT 1), 0), " +
		"coalesce((SELECT at FROM alarms WHERE id = ?), 0)) " +
		"ON CONFLICT (opened, ticket) DO UPDATE SET " + strings.Join(set, ", ")
}

const (
	toldSQL  = "UPDATE ticket_marks SET told = ? WHERE opened = (SELECT opened FROM tickets WHERE id = ?) AND ticket = ? AND told = 0"
	ackedSQL = "UPDATE ticket_marks SET acked = ? WHERE opened = (SELECT opened FROM tickets WHERE id = ?) AND ticket = ? AND acked = 0"
)

// marks keeps the rows of the tickets that b changes, and of those whose first message
// has arrived or whose alarm was acknowledged.
func (w *writer) marks(b *Batch) {
	if len(b.Tickets) > 0 {
		moves := make(map[string][]*grid.MoveRecord, len(b.Tickets))
		for i := range b.Moves {
			moves[b.Moves[i].Ticket] = append(moves[b.Moves[i].Ticket], &b.Moves[i])
		}
		for i := range b.Tickets {
			t := &b.Tickets[i]
			w.mark(t, moves[t.ID])
		}
	}
	for i := range b.Deliveries {
		if d := &b.Deliveries[i]; !d.Done.IsZero() && (d.State == grid.DeliveryReceived || d.State == grid.DeliverySeen) {
			w.exec(toldSQL, nanos(d.Done), d.Ticket, d.Ticket)
		}
	}
	for i := range b.Alarms {
		if a := &b.Alarms[i]; !a.AckedAt.IsZero() && a.Ticket != "" {
			w.exec(ackedSQL, nanos(a.AckedAt), a.Ticket, a.Ticket)
		}
	}
}

func (w *writer) mark(t *grid.Ticket, moves []*grid.MoveRecord) {
	st := w.prepared("ticket_marks", marksSQL)
	if w.err != nil {
		return
	}
	m := marksOf(t, moves)
	w.args.reset()
	bindMarks(&w.args, &m)
	a := &w.args
	a.text(t.Point, string(t.Device), t.Point)
	a.time(t.Opened)
	a.text(string(t.Type), string(t.Mode), t.Alarm)
	if err := w.run(st); err != nil {
		w.err = fmt.Errorf("ticket_marks %s: %w", t.ID, err)
	}
}

// marksOf gives what a ticket and these moves of it say.
func marksOf(t *grid.Ticket, moves []*grid.MoveRecord) grid.TicketMarks {
	m := grid.TicketMarks{
		Ticket: t.ID, Type: t.Type, Priority: t.Priority, Mode: t.Mode, Scope: t.Scope, Cell: t.Cell, Point: t.Point, Unit: leadUnit(t),
		State: t.State, Verification: t.Verification, Rework: t.Rework, Returns: t.Returns, Opened: t.Opened, Handled: t.Resolved, Due: t.Due,
	}
	if t.State.Ended() {
		m.Ended = t.Closed
	}
	for i := range t.Clocks {
		if c := &t.Clocks[i]; c.Name == "handle" {
			m.HandleDue = c.Due
			m.Held = !c.Stopped.IsZero() && t.Resolved.IsZero()
			m.Late = c.Fired || c.Stopped.After(c.Due)
		}
	}
	first := func(at *time.Time, l *grid.MoveRecord) {
		if at.IsZero() {
			*at = l.At
		}
	}
	for _, l := range moves {
		switch {
		case l.To == grid.TicketFiled && l.From != l.To:
			first(&m.Filed, l)
		case l.To == grid.TicketDispatched && l.From != "" && l.From != l.To: // a helper's line has no from
			first(&m.Dispatched, l)
		case l.Verb == string(grid.VerbAccept) && leads(t, l.Assignment):
			first(&m.Accepted, l)
		case l.Verb == string(grid.VerbArrive) && leads(t, l.Assignment):
			first(&m.Arrived, l)
		}
		if (l.To == grid.TicketClosed || l.To == grid.TicketRework) && l.From != l.To {
			first(&m.Checked, l)
		}
	}
	return m
}

func leads(t *grid.Ticket, assignment string) bool {
	for i := range t.Assignments {
		if t.Assignments[i].ID == assignment {
			return t.Assignments[i].Lead
		}
	}
	return false
}

func bindMarks(a *args, m *grid.TicketMarks) {
	a.time(m.Opened)
	a.text(m.Ticket, string(m.Type))
	a.num(int64(m.Priority))
	a.scope(m.Scope)
	a.text(m.Cell, string(m.Mode), m.Point, m.Unit, string(m.State), string(m.Verification))
	a.num(int64(m.Rework))
	a.num(int64(m.Returns))
	for _, t := range []time.Time{m.Filed, m.Dispatched, m.Accepted, m.Arrived, m.Handled, m.Checked, m.Ended, m.HandleDue} {
		a.time(t)
	}
	a.flag(m.Held)
	a.flag(m.Late)
	a.time(m.Due)
	a.num(lasts(m))
}

// lasts is until when a ticket can matter to a period.
func lasts(m *grid.TicketMarks) int64 {
	if m.Ended.IsZero() {
		return openLasts
	}
	return max(nanos(m.Opened), nanos(m.Ended), nanos(m.Due), nanos(m.HandleDue))
}

// marksRead is what scanMarks reads: not what no figure asks for.
const marksRead = "opened, ticket, type, kind, priority, " + scopeCols + ", cell, point, unit, profile, state, verification, rework, returns, occurred, told, acked, " +
	"filed, dispatched, accepted, arrived, handled, checked, ended, handle_due, held, late, due, previous"

func scanMarks(r *row, m *grid.TicketMarks) {
	*m = grid.TicketMarks{
		Opened: r.time(), Ticket: r.text(), Type: grid.EventType(r.text()), Kind: grid.Kind(r.text()), Priority: grid.Priority(r.num()), Scope: r.scope(),
		Cell: r.text(), Point: r.text(), Unit: r.text(), Profile: r.text(), State: grid.TicketState(r.text()), Verification: grid.Verification(r.text()),
		Rework: int(r.num()), Returns: int(r.num()), Occurred: r.time(), Told: r.time(), Acked: r.time(), Filed: r.time(), Dispatched: r.time(), Accepted: r.time(),
		Arrived: r.time(), Handled: r.time(), Checked: r.time(), Ended: r.time(), HandleDue: r.time(), Held: r.flag(), Late: r.flag(),
		Due: r.time(), Previous: r.time(), Mode: grid.Live,
	}
}

var (
	marksList = list{
		unit:    "unit = ?",
		filters: map[string]string{"cell": "cell = ?", "kind": "kind = ?"},
	}
	placeList  = list{filters: map[string]string{"cell": "cell = ?", "kind": "x.kind = ?"}}
	fleetList  = list{filters: map[string]string{"cell": "x.cell = ?"}}
	isLiveMode = "mode IN ('live', '')"
)

// modeSQL is the condition on a mode: live unless another one is asked for by its name.
func modeSQL(m grid.Mode) string {
	switch m {
	case grid.Test, grid.Exercise, grid.Simulated:
		return "mode = '" + string(m) + "'"
	}
	return isLiveMode
}

// FigureTickets hands out, oldest first, the marks of each live ticket that can matter to
// the period from q.Since to q.Until: that was opened in it, was open at its start, or had a
// deadline in it. m is valid during the call.
func (s *Store) FigureTickets(ctx context.Context, q grid.FigureQuery, f func(m *grid.TicketMarks)) error {
	w, err := figureQuery(q).where(&marksList)
	if err != nil {
		return err
	}
	from, to := nanos(q.Since), nanos(q.Until)
	if q.Until.IsZero() {
		to = math.MaxInt64
	}
	sql := "SELECT " + marksRead + " FROM ticket_marks " + w.sql() + " AND " + modeSQL(q.Mode)
	var m grid.TicketMarks
	return s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			for _, part := range []struct {
				cond string
				vals []driver.Value
			}{
				{" AND lasts - opened > 2678400000000000 AND lasts >= ? AND opened < ?", []driver.Value{from, min(to, from-int64(longLife))}},
				{" AND opened >= ? AND opened < ? AND lasts >= ?", []driver.Value{from - int64(longLife), min(from, to), from}},
				{" AND opened >= ? AND opened < ?", []driver.Value{from, to}},
			} {
				err := each(ctx, conn, sql+part.cond, append(append([]driver.Value{}, w.vals...), part.vals...), func(r *row) error {
					if scanMarks(r, &m); r.err == nil {
						f(&m)
					}
					return r.err
				})
				if err != nil {
					return fmt.Errorf("read ticket_marks: %w", err)
				}
			}
			return nil
		})
	})
}

func figureQuery(q grid.FigureQuery) Query {
	return Query{Scope: q.Scope, Unit: q.Unit, Kind: string(q.Kind), Cell: q.Cell}
}

// FigureActivations hands out, oldest first, each time in the period that a live condition
// was raised, or raised again.
func (s *Store) FigureActivations(ctx context.Context, q grid.FigureQuery, f func(a *grid.Activation)) error {
	w, err := figureQuery(q).where(&placeList)
	if err != nil {
		return err
	}
	w.and(modeSQL(q.Mode))
	w.and("received >= ? AND received < ?", nanos(q.Since), nanos(q.Until))
	sql := "SELECT received, type, kind, point, device, priority, " + scopeCols + ", cell, action = 'repeated' FROM (" +
		"SELECT e.received, e.type, coalesce(p.kind, '') AS kind, e.point, e.device, e.priority, e.district, e.street, e.community, e.compound, e.contractor, e.cell, e.mode, e.action " +
		"FROM events e LEFT JOIN points p ON p.id = e.point WHERE e.action IN ('raised', 'repeated')) x " + w.sql() + " ORDER BY received"
	var a grid.Activation
	return s.streamed(ctx, "events", sql, w.vals, func(r *row) error {
		a = grid.Activation{
			At: r.time(), Type: grid.EventType(r.text()), Kind: grid.Kind(r.text()), Point: r.text(), Device: grid.Identity(r.text()),
			Priority: grid.Priority(r.num()), Scope: r.scope(), Cell: r.text(), Again: r.flag(),
		}
		if r.err == nil {
			f(&a)
		}
		return r.err
	})
}

// FigureStandings hands out the live episodes that were active somewhere in the period and,
// but for silent devices, for at least this long.
func (s *Store) FigureStandings(ctx context.Context, q grid.FigureQuery, least time.Duration, f func(st *grid.Standing)) error {
	w, err := figureQuery(q).where(&placeList)
	if err != nil {
		return err
	}
	w.and(modeSQL(q.Mode))
	const cols = "a.type, coalesce(p.kind, '') AS kind, a.point, a.device, a.district, a.street, a.community, a.compound, a.contractor, a.cell, a.mode, a.raised"
	sql := "SELECT type, kind, point, device, " + scopeCols + ", cell, raised, gone FROM (" +
		"SELECT " + cols + ", 0 AS gone FROM alarms a LEFT JOIN points p ON p.id = a.point WHERE a.active = 1 AND a.raised < ? " +
		"UNION ALL SELECT " + cols + ", a.returned AS gone FROM alarms a LEFT JOIN points p ON p.id = a.point " +
		"WHERE a.active = 0 AND a.returned >= ? AND a.raised < ? AND (a.returned - a.raised >= ? OR a.type = 'device.offline')) x " + w.sql()
	vals := append([]driver.Value{nanos(q.Until), nanos(q.Since), nanos(q.Until), int64(least)}, w.vals...)
	var st grid.Standing
	return s.streamed(ctx, "alarms", sql, vals, func(r *row) error {
		st = grid.Standing{
			Type: grid.EventType(r.text()), Kind: grid.Kind(r.text()), Point: r.text(), Device: grid.Identity(r.text()),
			Scope: r.scope(), Cell: r.text(), Raised: r.time(), Returned: r.time(),
		}
		if r.err == nil {
			f(&st)
		}
		return r.err
	})
}

// FigureFleet counts the live devices that are installed now and were before q.Until, by place; by kind too if
// kinds is set: a device is of the kind of its first point.
func (s *Store) FigureFleet(ctx context.Context, q grid.FigureQuery, kinds bool, f func(grid.Fleet)) error {
	kind := "''"
	if kinds || q.Kind != "" {
		kind = "coalesce((SELECT p.kind FROM installations i JOIN points p ON p.id = i.point WHERE i.device = identity AND i.ended = 0 ORDER BY i.channel LIMIT 1), '')"
	}
	only := q.Kind
	q.Kind = ""
	w, err := figureQuery(q).where(&fleetList)
	if err != nil {
		return err
	}
	w.and("state = 'installed'")
	w.and(modeSQL(q.Mode))
	if !q.Until.IsZero() {
		w.and("installed < ?", nanos(q.Until))
	}
	sql := "SELECT " + scopeCols + ", k, count(*) FROM (SELECT x.district, x.street, x.community, x.compound, x.contractor, " + kind + " AS k FROM devices x " + w.sql() +
		") GROUP BY " + scopeCols + ", k"
	return s.streamed(ctx, "devices", sql, w.vals, func(r *row) error {
		fl := grid.Fleet{Scope: r.scope(), Kind: grid.Kind(r.text()), Count: int(r.num())}
		if r.err == nil && (only == "" || only == fl.Kind) {
			f(fl)
		}
		return r.err
	})
}

// FigureSuppressed counts what was kept from the operators' sight in the period: live devices that are
// barred, and live windows that shelve or put out of service; and how many of them without
// a record of who did it.
func (s *Store) FigureSuppressed(ctx context.Context, q grid.FigureQuery) (unrecorded, all int, err error) {
	q.Kind = ""
	w, err := figureQuery(q).where(&fleetList)
	if err != nil {
		return 0, 0, err
	}
	w.and(modeSQL(q.Mode))
	const cols = ", district, street, community, compound, contractor, cell, mode "
	sql := "SELECT coalesce(sum(NOT EXISTS (SELECT 1 FROM audit a WHERE a.subject = x.id)), 0), count(*) FROM (" +
		"SELECT identity AS id" + cols + "FROM devices WHERE state = 'barred' UNION ALL " +
		"SELECT id" + cols + "FROM windows WHERE kind IN ('shelved', 'out_of_service') AND started < ? AND (ended = 0 OR ended >= ?)) x " + w.sql()
	vals := append([]driver.Value{nanos(q.Until), nanos(q.Since)}, w.vals...)
	err = s.streamed(ctx, "devices", sql, vals, func(r *row) error {
		unrecorded, all = int(r.num()), int(r.num())
		return r.err
	})
	return unrecorded, all, err
}

// streamed runs a query on one of the read connections.
func (s *Store) streamed(ctx context.Context, what, sql string, vals []driver.Value, f func(*row) error) error {
	err := s.reader(ctx, func(conn driver.Conn) error { return each(ctx, conn, sql, vals, f) })
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}
