package state

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// KeepReturned is how long after its return an alarm is still loaded: an episode may go on
// within its re-alarm window.
const KeepReturned = 48 * time.Hour

// Progress is how far the engine is, and what it has counted up to there.
type Progress struct {
	Cursors    [grid.Lanes]grid.Pos
	EngineTime time.Time
	InfluxMark InfluxMark
	Ledger     []grid.LedgerRow
}

// Loaded is everything the engine keeps in memory.
type Loaded struct {
	Progress

	Points        []grid.Point        // by id
	Devices       []grid.Device       // by identity
	Installations []grid.Installation // by device, channel and From; past ones too
	Units         []grid.Unit         // with secrets, without tokens

	Alarms  []grid.Alarm  // active, returned within KeepReturned of the engine's time, or behind an open ticket
	Tickets []grid.Ticket // that have not ended, with their assignments

	Down     []DownSpan
	Suspects []Suspect
	Meta     map[string]string
}

// Load reads everything the engine keeps in memory, as of one commit.
func (s *Store) Load(ctx context.Context) (*Loaded, error) {
	s.mu.Lock() // the parts are read on several connections: no commit comes between
	defer s.mu.Unlock()
	l := &Loaded{Meta: map[string]string{}}
	var err error
	if l.Progress, err = s.Progress(ctx); err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	parts := []func(driver.Conn) error{
		func(c driver.Conn) (err error) { l.Points, err = whole(ctx, c, &pointTable); return err },
		func(c driver.Conn) (err error) { l.Devices, err = whole(ctx, c, &deviceTable); return err },
		func(c driver.Conn) (err error) { l.Installations, err = whole(ctx, c, &installationTable); return err },
		func(c driver.Conn) error { return l.rest(ctx, c) },
	}
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { errs[i] = s.reader(ctx, part) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	return l, nil
}

// whole reads all of a large table by its key, counting first: to grow a list of a
// million rows takes longer than to read them.
func whole[T any](ctx context.Context, c driver.Conn, t *table[T]) ([]T, error) {
	var n int64
	err := each(ctx, c, "SELECT count(*) FROM "+t.name, nil, func(r *row) error { n = r.num(); return r.err })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.name, err)
	}
	return appendAll(ctx, c, make([]T, 0, n), t, "ORDER BY "+t.key)
}

// rest reads the small parts.
func (l *Loaded) rest(ctx context.Context, c driver.Conn) (err error) {
	keep := nanos(l.EngineTime.Add(-KeepReturned))
	if l.Units, err = all(ctx, c, &unitTable, "ORDER BY id"); err != nil {
		return err
	}
	l.Alarms, err = all(ctx, c, &alarmTable, "WHERE active = 1 OR active = 0 AND returned >= ? "+
		"OR id IN (SELECT alarm FROM tickets WHERE ended = 0) ORDER BY id", keep)
	if err != nil {
		return err
	}
	if l.Tickets, err = all(ctx, c, &ticketTable, "WHERE ended = 0 ORDER BY opened, id"); err != nil {
		return err
	}
	if err := withAssignments(ctx, c, l.Tickets); err != nil {
		return err
	}
	if l.Down, err = all(ctx, c, &downTable, "ORDER BY started, source"); err != nil {
		return err
	}
	if l.Suspects, err = all(ctx, c, &suspectTable, "ORDER BY lane, epoch, seq"); err != nil {
		return err
	}
	meta, err := all(ctx, c, &metaTable, "")
	for _, m := range meta {
		l.Meta[m.key] = m.value
	}
	return err
}

// Progress reads the cursors and the ledger as of one commit.
func (s *Store) Progress(ctx context.Context) (p Progress, err error) {
	err = s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			e, err := readEngine(ctx, conn)
			if err != nil {
				return err
			}
			p = Progress{Cursors: e.cursors, EngineTime: e.time, InfluxMark: e.mark}
			counts, err := all(ctx, conn, &ledgerTable, "ORDER BY transport, source, lane")
			p.Ledger = ledgerRows(counts)
			return err
		})
	})
	return p, err
}

func readEngine(ctx context.Context, conn driver.Conn) (e engineRow, err error) {
	const q = "SELECT time, safety_epoch, safety_seq, bulk_epoch, bulk_seq, influx_segment, influx_offset FROM engine WHERE id = 1"
	err = each(ctx, conn, q, nil, func(r *row) error {
		e.time = r.time()
		for lane := range e.cursors {
			e.cursors[lane] = grid.Pos{Lane: grid.Lane(lane), Epoch: uint32(r.num()), Seq: uint64(r.num())}
		}
		e.mark = InfluxMark{Segment: uint64(r.num()), Offset: r.num()}
		return r.err
	})
	return e, err
}
