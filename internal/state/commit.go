package state

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"gridgate/internal/grid"
)

// Commit writes b in one transaction. nil: it is on disk, synced. An error: nothing of it
// is there and the next Commit may be tried, unless the error is ErrUntrusted. Commit
// looks at ctx before it starts and not afterwards: a commit is never left half known.
func (s *Store) Commit(ctx context.Context, b *Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(ctx); err != nil {
		return err
	}
	next, err := s.last.after(b)
	if err != nil {
		return err
	}
	units, err := s.sealUnits(b.Units)
	if err != nil {
		return fmt.Errorf("commit state: %w", err)
	}
	if err := s.inTransaction(ctx, func(w *writer) { w.batch(b, next, units) }); err != nil {
		return fmt.Errorf("commit state: %w", err)
	}
	s.last = next
	if len(b.Units) > 0 {
		s.tokens.forget()
	}
	return nil
}

func (s *Store) writable(ctx context.Context) error {
	switch {
	case s.fatal != nil:
		return s.fatal
	case s.closed:
		return grid.Errorf(grid.Unavailable, "state is closed")
	case s.reading:
		return grid.Errorf(grid.Forbidden, "state is open for reading only")
	}
	return ctx.Err()
}

// inTransaction runs f between BEGIN and COMMIT on the writer. After a failure the writer
// is dropped with whatever its transaction had; the next call opens another.
func (s *Store) inTransaction(ctx context.Context, f func(*writer)) error {
	if s.write == nil {
		w, err := openWriter(ctx, s.path)
		if err != nil {
			return s.failed(err)
		}
		s.write = w
	}
	w := s.write
	w.exec(beginSQL)
	f(w)
	w.exec(commitSQL)
	if w.err == nil {
		return nil
	}
	s.write = nil
	if err := w.close(); err != nil {
		s.log.Warn("closing the state writer after a failed commit", "err", err)
	}
	return s.failed(w.err)
}

// failed decides what an error of the writer means: to be tried again, or the end.
func (s *Store) failed(err error) error {
	code := codeOf(err)
	switch code {
	case sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC:
		// The kernel may have dropped the pages: a later sync would lie.
		s.fatal = fmt.Errorf("%w: %w", ErrUntrusted, err)
		return s.fatal
	}
	switch code & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		s.fatal = fmt.Errorf("%w: %w", ErrUntrusted, err)
		return s.fatal
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return grid.Errorf(grid.Unavailable, "%w", err)
	}
	return err
}

const (
	beginSQL  = "BEGIN IMMEDIATE"
	commitSQL = "COMMIT"
	engineSQL = "UPDATE engine SET time = ?, safety_epoch = ?, safety_seq = ?, bulk_epoch = ?, bulk_seq = ?, " +
		"influx_segment = ?, influx_offset = ? WHERE id = 1"
)

// engineRow is what the single row of table engine holds.
type engineRow struct {
	time    time.Time
	cursors [grid.Lanes]grid.Pos
	mark    InfluxMark
}

// after is the row once b is committed.
func (e engineRow) after(b *Batch) (engineRow, error) {
	for lane, pos := range b.Cursors {
		if pos.IsZero() {
			continue
		}
		old := e.cursors[lane]
		if int(pos.Lane) != lane {
			return e, grid.Errorf(grid.Internal, "commit state: cursor of lane %s is %s: want one of its own lane", grid.Lane(lane), pos)
		}
		if pos.Epoch < old.Epoch || pos.Epoch == old.Epoch && pos.Seq < old.Seq {
			return e, grid.Errorf(grid.Internal, "commit state: cursor %s lies before %s: want one that does not go back", pos, old)
		}
		e.cursors[lane] = pos
	}
	if !b.EngineTime.IsZero() {
		e.time = b.EngineTime
	}
	if b.InfluxMark != (InfluxMark{}) {
		e.mark = b.InfluxMark
	}
	return e, nil
}

// writer is the one connection that writes, with its statements prepared once. Its first
// error sticks and nothing is written after it: SQLite may have rolled the transaction
// back, and a statement behind that would commit by itself.
type writer struct {
	conn  driver.Conn
	stmts map[string]driver.StmtExecContext // by table name or text
	args  args
	err   error

	changed int64 // rows that the last statement changed
}

// openWriter opens the connection with a full sync at every commit. Checkpoints are
// Store.Run's; the automatic one is the last resort for a store that nobody runs.
func openWriter(ctx context.Context, path string) (*writer, error) {
	conn, err := connect(ctx, dsn(path, "rw", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-32000)",
		fmt.Sprintf("wal_autocheckpoint(%d)", 4*walPages), fmt.Sprintf("journal_size_limit(%d)", walPages*pageSize)))
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, stmts: map[string]driver.StmtExecContext{}}, nil
}

func (w *writer) close() error {
	var errs []error
	for _, st := range w.stmts {
		errs = append(errs, st.(driver.Stmt).Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// prepared gives the statement kept under key; sql tells its text at the first use.
func (w *writer) prepared(key string, sql func() string) driver.StmtExecContext {
	st := w.stmts[key]
	if st != nil || w.err != nil {
		return st
	}
	prepared, err := w.conn.Prepare(sql())
	if err != nil {
		w.err = fmt.Errorf("prepare %s: %w", key, err)
		return nil
	}
	st = prepared.(driver.StmtExecContext)
	w.stmts[key] = st
	return st
}

// run executes st with w.args. The context has no end: see Commit.
func (w *writer) run(st driver.StmtExecContext) error {
	if w.args.err != nil {
		return w.args.err
	}
	res, err := st.ExecContext(context.Background(), w.args.vals)
	if err == nil {
		w.changed, err = res.RowsAffected()
	}
	return err
}

func (w *writer) exec(sql string, vals ...driver.Value) {
	st := w.prepared(sql, func() string { return sql })
	if w.err != nil {
		return
	}
	w.args.reset()
	for _, v := range vals {
		w.args.add(v)
	}
	if err := w.run(st); err != nil {
		w.err = fmt.Errorf("%.40s: %w", sql, err)
	}
}

// put upserts rows one by one with one prepared statement.
func put[T any](w *writer, t *table[T], rows ...T) {
	if len(rows) == 0 {
		return
	}
	st := w.prepared(t.name, t.upsert)
	if w.err != nil {
		return
	}
	for i := range rows {
		w.args.reset()
		t.bind(&w.args, &rows[i])
		if err := w.run(st); err != nil {
			w.err = fmt.Errorf("%s %v: %w", t.name, w.args.vals[0].Value, err)
			return
		}
	}
}

// batch writes all of b, units as they are sealed; parents go before the rows that copy their scope.
func (w *writer) batch(b *Batch, e engineRow, units []grid.Unit) {
	w.progress(b, e)
	w.gone(&b.Gone)
	w.places(b, units)
	w.work(b)
	w.engine(b)
	w.people(b)
	w.plans(b)
	w.imports(b)
	w.regions(b)
}

// progress is how far the engine has come, and what it has counted.
func (w *writer) progress(b *Batch, e engineRow) {
	safety, bulk := e.cursors[grid.Safety], e.cursors[grid.Bulk]
	w.exec(engineSQL, nanos(e.time), int64(safety.Epoch), int64(safety.Seq), int64(bulk.Epoch), int64(bulk.Seq),
		int64(e.mark.Segment), e.mark.Offset)
	for i := range b.Ledger {
		w.ledger(&b.Ledger[i])
	}
}

// places are points, what is at them, and who handles.
func (w *writer) places(b *Batch, units []grid.Unit) {
	put(w, &pointTable, b.Points...)
	put(w, &deviceTable, b.Devices...)
	put(w, &installationTable, b.Installations...)
	w.settle(b)
	w.hand(b.Handed)
	put(w, &unitTable, units...)
}

// work is what happened, and what is done about it.
func (w *writer) work(b *Batch) {
	put(w, &eventTable, b.Events...)
	put(w, &alarmTable, b.Alarms...)
	put(w, &incidentTable, b.Incidents...)
	for i := range b.Tickets {
		w.ticket(&b.Tickets[i])
	}
	put(w, &moveTable, b.Moves...)
	put(w, &deliveryTable, b.Deliveries...)
	put(w, &attemptTable, b.Attempts...)
	put(w, &quarantineTable, b.Quarantine...)
	put(w, &evidenceTable, b.Evidence...)
	put(w, &fileTable, b.Files...)
}

// engine is what the engine keeps for itself.
func (w *writer) engine(b *Batch) {
	put(w, &appliedTable, b.Commands...)
	put(w, &downTable, b.Down...)
	for _, s := range b.Suspects {
		if s.Crashes > 0 {
			put(w, &suspectTable, s)
		} else {
			w.exec("DELETE FROM suspects WHERE lane = ? AND epoch = ? AND seq = ?", s.Pos.Lane.String(), int64(s.Pos.Epoch), int64(s.Pos.Seq))
		}
	}
	for key, value := range b.Meta {
		put(w, &metaTable, metaRow{key, value})
	}
}

// people is who did what, by which version, and who may be called.
func (w *writer) people(b *Batch) {
	put(w, &auditTable, b.Audit...)
	put(w, &versionTable, b.Versions...)
	put(w, &rolloutTable, b.Rollouts...)
	put(w, &credentialTable, b.Credentials...)
	put(w, &contactTable, b.Contacts...)
	put(w, &rosterTable, b.Rosters...)
	put(w, &shiftTable, b.Shifts...)
}

// plans are orders, windows, hazards, rounds and seats, and the history of places.
func (w *writer) plans(b *Batch) {
	put(w, &downlinkTable, b.Downlinks...)
	put(w, &hotspotTable, b.Hotspots...)
	w.marks(b)
	put(w, &windowTable, b.Windows...)
	put(w, &postureTable, b.Postures...)
	put(w, &hazardTable, b.Hazards...)
	put(w, &visitTable, b.Visits...)
	put(w, &siteTable, b.Sites...)
	put(w, &buildingTable, b.Buildings...)
	put(w, &changeTable, b.Changes...)
	put(w, &photoTable, b.Photos...)
	put(w, &contractTable, b.Contracts...)
	put(w, &roundTable, b.Rounds...)
	put(w, &noEntryTable, b.NoEntries...)
	put(w, &seatTable, b.Seats...)
	put(w, &handoverTable, b.Handovers...)
	put(w, &claimLabelTable, b.Labels...)
	put(w, &ignoredTable, b.Ignored...)
}

// The scope of an installation is that of its point, and a device is seen by whoever sees
// the place where it is now, or was last. Both are set for a whole batch at once: a million
// rows are imported this way.
const (
	settleInstallations = "UPDATE installations SET (" + allScope + ") = (SELECT " + allScope + " FROM points p WHERE p.id = point) " +
		"WHERE point IN (SELECT p.id FROM json_each(?) j JOIN points p ON p.id = j.value) " +
		"AND (" + allScope + ") IS NOT (SELECT " + allScope + " FROM points p WHERE p.id = point)"
	settleDevices = "UPDATE devices SET (" + scopeCols + ", cell) = (SELECT " + scopeCols + ", cell FROM installations i " +
		"WHERE i.device = identity ORDER BY i.ended = 0 DESC, i.started DESC, i.channel LIMIT 1) " +
		"WHERE identity IN (SELECT device FROM installations WHERE point IN (SELECT value FROM json_each(?)))"
)

// settle gives the installations and devices that b touches the scope of their points.
func (w *writer) settle(b *Batch) {
	points := make([]string, 0, len(b.Points)+len(b.Installations))
	for i := range b.Points {
		points = append(points, b.Points[i].ID)
	}
	for i := range b.Installations {
		points = append(points, b.Installations[i].Point)
	}
	if len(points) == 0 {
		return
	}
	var list args
	list.doc(points)
	w.exec(settleInstallations, list.vals[0].Value)
	w.exec(settleDevices, list.vals[0].Value)
}

func (w *writer) ledger(row *grid.LedgerRow) {
	for o, n := range row.Counts {
		if n != 0 {
			put(w, &ledgerTable, count{row.Transport, row.Source, row.Lane, grid.Outcome(o), n})
		}
	}
}

// ticket writes a ticket and its assignments, which are all there are.
func (w *writer) ticket(t *grid.Ticket) {
	put(w, &ticketTable, *t)
	for n, as := range t.Assignments {
		as.Ticket = t.ID
		put(w, &assignmentTable, placed{as, n})
	}
	w.exec("DELETE FROM assignments WHERE ticket = ? AND n >= ?", t.ID, int64(len(t.Assignments)))
}
