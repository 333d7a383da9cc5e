package state

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"gridgate/internal/grid"
)

// each runs a query on a driver connection and calls f for every row. The driver is used
// without database/sql between: three million registry rows are to load in seconds.
func each(ctx context.Context, conn driver.Conn, sql string, vals []driver.Value, f func(*row) error) (err error) {
	var a args
	for _, v := range vals {
		a.add(v)
	}
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, sql, a.vals)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	r := row{vals: make([]driver.Value, len(rows.Columns()))}
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := rows.Next(r.vals); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		r.i, r.err = 0, nil
		if err := f(&r); err != nil {
			return err
		}
	}
}

// all reads the rows of t that the rest of the query (WHERE …, ORDER BY …) names.
func all[T any](ctx context.Context, conn driver.Conn, t *table[T], rest string, vals ...driver.Value) ([]T, error) {
	return appendAll(ctx, conn, nil, t, rest, vals...)
}

func appendAll[T any](ctx context.Context, conn driver.Conn, out []T, t *table[T], rest string, vals ...driver.Value) ([]T, error) {
	err := each(ctx, conn, "SELECT "+t.selects()+" FROM "+t.name+" "+rest, vals, func(r *row) error {
		out = append(out, t.scan(r))
		return r.err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.name, err)
	}
	return out, nil
}

// reader runs f on one of the read connections.
func (s *Store) reader(ctx context.Context, f func(driver.Conn) error) (err error) {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(c any) error { return f(c.(driver.Conn)) })
}

// snapshot runs f in one read transaction, so that its queries see one commit.
func snapshot(ctx context.Context, conn driver.Conn, f func() error) (err error) {
	tx, err := conn.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	return f()
}

// readAll is all on one of the read connections.
func readAll[T any](ctx context.Context, s *Store, t *table[T], rest string, vals ...driver.Value) (out []T, err error) {
	err = s.reader(ctx, func(conn driver.Conn) error {
		out, err = all(ctx, conn, t, rest, vals...)
		return err
	})
	return out, err
}

// one reads the single row of t with this value in col, or says that there is none; what
// is its word for a person.
func one[T any](ctx context.Context, s *Store, t *table[T], what, col, id string) (T, error) {
	var none T
	rows, err := readAll(ctx, s, t, "WHERE "+col+" = ?", id)
	if err != nil {
		return none, err
	}
	if len(rows) == 0 {
		return none, grid.Errorf(grid.NotFound, "%s %q is not known", what, id)
	}
	return rows[0], nil
}

// Point, Device, Unit, Alarm, Ticket, Delivery and Quarantined give one row by its id,
// whoever asks: who may only see a scope is answered from the lists, with Query.ID.
func (s *Store) Point(ctx context.Context, id string) (grid.Point, error) {
	return one(ctx, s, &pointTable, "point", "id", id)
}

func (s *Store) Device(ctx context.Context, id grid.Identity) (grid.Device, error) {
	return one(ctx, s, &deviceTable, "device", "identity", string(id))
}

// Unit gives the unit with its webhook secret; the token is not kept. Unavailable: what is sealed
// of it cannot be opened, and the unit is given without.
func (s *Store) Unit(ctx context.Context, id string) (grid.Unit, error) {
	u, err := one(ctx, s, &unitTable, "unit", "id", id)
	if err == nil {
		err = s.openUnit(&u)
	}
	return u, err
}

func (s *Store) Alarm(ctx context.Context, id string) (grid.Alarm, error) {
	return one(ctx, s, &alarmTable, "alarm", "id", id)
}

func (s *Store) Delivery(ctx context.Context, id string) (grid.Delivery, error) {
	return one(ctx, s, &deliveryTable, "delivery", "id", id)
}

func (s *Store) Event(ctx context.Context, id string) (grid.Event, error) {
	return one(ctx, s, &eventTable, "event", "id", id)
}

func (s *Store) Quarantined(ctx context.Context, id string) (grid.QuarantinedFrame, error) {
	return one(ctx, s, &quarantineTable, "quarantined frame", "id", id)
}

// Ticket gives the ticket with its assignments.
func (s *Store) Ticket(ctx context.Context, id string) (grid.Ticket, error) {
	page, err := s.ListTickets(ctx, Query{ID: id, Limit: 1})
	if err != nil {
		return grid.Ticket{}, err
	}
	if len(page.Items) == 0 {
		return grid.Ticket{}, grid.Errorf(grid.NotFound, "ticket %q is not known", id)
	}
	return page.Items[0], nil
}

// withAssignments fills in the assignments of tickets.
func withAssignments(ctx context.Context, conn driver.Conn, tickets []grid.Ticket) error {
	byID := make(map[string]*grid.Ticket, len(tickets))
	ids := args{}
	list := make([]string, 0, len(tickets))
	for i := range tickets {
		byID[tickets[i].ID] = &tickets[i]
		list = append(list, tickets[i].ID)
	}
	ids.doc(list)
	rows, err := all(ctx, conn, &assignmentTable,
		"WHERE ticket IN (SELECT value FROM json_each(?)) ORDER BY ticket, n", ids.vals[0].Value)
	for _, as := range rows {
		t := byID[as.Ticket]
		t.Assignments = append(t.Assignments, as.Assignment)
	}
	return err
}

// UnitByToken finds the unit whose token this is. Unauthorized: nobody's.
func (s *Store) UnitByToken(ctx context.Context, token string) (grid.Unit, error) {
	hash := tokenHash(token)
	known, round := s.tokens.find(hash)
	if known != nil && token != "" && !s.reading {
		return *known, nil
	}
	var units []grid.Unit
	if token != "" {
		var err error
		if units, err = readAll(ctx, s, &unitTable, "WHERE token_hash = ? AND token_hash <> ''", hash); err != nil {
			return grid.Unit{}, err
		}
	}
	if len(units) != 1 { // the same token for two units tells nobody apart
		return grid.Unit{}, grid.Errorf(grid.Unauthorized, "the token is not a unit's: want the one it was registered with")
	}
	s.openUnits(units)
	s.tokens.keep(hash, units[0], round)
	return units[0], nil
}

// Moves gives the history of a ticket, oldest first.
func (s *Store) Moves(ctx context.Context, ticket string) ([]grid.MoveRecord, error) {
	return readAll(ctx, s, &moveTable, "WHERE ticket = ? ORDER BY n", ticket)
}

// Attempts gives the tries at a delivery, oldest first.
func (s *Store) Attempts(ctx context.Context, delivery string) ([]grid.Attempt, error) {
	return readAll(ctx, s, &attemptTable, "WHERE delivery = ? ORDER BY n", delivery)
}

// EvidenceOf gives the frames that stand behind a ticket, in the order in which they were received.
func (s *Store) EvidenceOf(ctx context.Context, ticket string) ([]Evidence, error) {
	return readAll(ctx, s, &evidenceTable, "WHERE ticket = ? ORDER BY received, lane, epoch, seq", ticket)
}

// Applied tells whether the command under key has been done, and what it answered.
func (s *Store) Applied(ctx context.Context, key string) (Applied, bool, error) {
	rows, err := readAll(ctx, s, &appliedTable, "WHERE key = ?", key)
	if err != nil || len(rows) == 0 {
		return Applied{}, false, err
	}
	return rows[0], true, nil
}

// PendingDeliveries gives every delivery that is still to be sent, oldest first and in
// order within a ticket and unit.
func (s *Store) PendingDeliveries(ctx context.Context) ([]grid.Delivery, error) {
	return readAll(ctx, s, &deliveryTable, "WHERE state = 'pending' ORDER BY created, ticket, unit, n")
}

// Ledger gives the counts per transport, source and lane.
func (s *Store) Ledger(ctx context.Context) ([]grid.LedgerRow, error) {
	p, err := s.Progress(ctx)
	return p.Ledger, err
}

// ledgerRows gathers counts that are sorted by transport, source and lane.
func ledgerRows(counts []count) (out []grid.LedgerRow) {
	for _, c := range counts {
		row := grid.LedgerRow{Transport: c.transport, Source: c.source, Lane: c.lane}
		if n := len(out); n == 0 || out[n-1].Transport != row.Transport || out[n-1].Source != row.Source || out[n-1].Lane != row.Lane {
			out = append(out, row)
		}
		out[len(out)-1].Counts[c.outcome] = c.n
	}
	return out
}

// HeldAfter gives the positions of the frames of a lane behind a sequence that went into
// quarantine as a whole, whatever became of them since.
func (s *Store) HeldAfter(ctx context.Context, lane grid.Lane, seq uint64) (held []grid.Pos, err error) {
	const q = "SELECT epoch, seq FROM quarantine WHERE whole = 1 AND lane = ? AND seq > ?"
	err = s.reader(ctx, func(conn driver.Conn) error {
		return each(ctx, conn, q, []driver.Value{lane.String(), int64(seq)}, func(r *row) error {
			held = append(held, grid.Pos{Lane: lane, Epoch: uint32(r.num()), Seq: uint64(r.num())})
			return r.err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("quarantine of the %s lane after %d: %w", lane, seq, err)
	}
	return held, nil
}

// overflowMax is how many victims QuarantineOverflow names at a time, so that discarding
// them is a commit of bounded size.
const overflowMax = 1000

// QuarantineOverflow names the oldest waiting frames beyond maxRows or maxBytes of raw
// frames, at most 1,000 at a time: ask again after discarding those. 0 is no limit.
func (s *Store) QuarantineOverflow(ctx context.Context, maxRows, maxBytes int64) (ids []string, err error) {
	const waiting = " FROM quarantine WHERE state = 'waiting'"
	var rows, bytes int64
	err = s.reader(ctx, func(conn driver.Conn) error {
		err := each(ctx, conn, "SELECT count(*), coalesce(sum(bytes), 0)"+waiting, nil, func(r *row) error {
			rows, bytes = r.num(), r.num()
			return r.err
		})
		over := func() bool { return maxRows > 0 && rows > maxRows || maxBytes > 0 && bytes > maxBytes }
		if err != nil || !over() {
			return err
		}
		return each(ctx, conn, "SELECT id, bytes"+waiting+" ORDER BY at, id LIMIT ?", []driver.Value{int64(overflowMax)}, func(r *row) error {
			if over() {
				ids = append(ids, r.text())
				rows--
				bytes -= r.num()
			}
			return r.err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("quarantine overflow: %w", err)
	}
	return ids, nil
}
