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

// Loaded is what the engine keeps in memory, beside the registry.
type Loaded struct {
	Progress

	Units     []grid.Unit     // with secrets, without tokens
	Alarms    []grid.Alarm    // active or latched, returned within KeepReturned of the engine's time, or behind an open ticket
	Tickets   []grid.Ticket   // that have not ended, with their assignments
	Incidents []grid.Incident // that have not ended

	Down     []DownSpan
	Suspects []Suspect
	Meta     map[string]string
}

// Load reads what the engine keeps in memory, as of one commit.
func (s *Store) Load(ctx context.Context) (*Loaded, error) {
	s.mu.Lock() // the parts are read on several connections: no commit comes between
	defer s.mu.Unlock()
	l := &Loaded{Meta: map[string]string{}}
	var err error
	if l.Progress, err = s.Progress(ctx); err == nil {
		err = s.reader(ctx, func(c driver.Conn) error { return l.rest(ctx, c) })
		s.openUnits(l.Units)
	}
	if err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	return l, nil
}

// Registry takes registered rows one by one: a million of them need not stand in memory
// beside what is made of them. A row is valid during the call.
type Registry struct {
	Count        func(points, devices int) // first, for making room
	Point        func(*grid.Point)         // by id; without name, address and position
	Device       func(*grid.Device)        // by identity, while points come too
	Installation func(*grid.Installation)  // by device, channel and From, past ones too; after points and devices
}

// LoadRegistry reads everything that is registered, as of one commit.
func (s *Store) LoadRegistry(ctx context.Context, to Registry) error {
	s.mu.Lock() // as in Load
	defer s.mu.Unlock()
	var wg sync.WaitGroup
	var points, devices int64
	var errs [3]error
	errs[0] = s.reader(ctx, func(c driver.Conn) error {
		const q = "SELECT (SELECT count(*) FROM points), (SELECT count(*) FROM devices)"
		return each(ctx, c, q, nil, func(r *row) error { points, devices = r.num(), r.num(); return r.err })
	})
	to.Count(int(points), int(devices))
	wg.Go(func() { errs[1] = stream(ctx, s, &placeTable, to.Point) })
	wg.Go(func() { errs[2] = stream(ctx, s, &loadTable, to.Device) })
	wg.Wait()
	err := errors.Join(errs[:]...)
	if err == nil {
		err = stream(ctx, s, &installationTable, to.Installation)
	}
	if err != nil {
		return fmt.Errorf("load the registry: %w", err)
	}
	return nil
}

// stream hands out all rows of t by its key.
func stream[T any](ctx context.Context, s *Store, t *table[T], to func(*T)) error {
	return s.reader(ctx, func(c driver.Conn) error {
		err := each(ctx, c, "SELECT "+t.selects()+" FROM "+t.name+" ORDER BY "+t.key, nil, func(r *row) error {
			v := t.scan(r)
			if r.err == nil {
				to(&v)
			}
			return r.err
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", t.name, err)
		}
		return nil
	})
}

// rest reads the small parts.
func (l *Loaded) rest(ctx context.Context, c driver.Conn) (err error) {
	keep := nanos(l.EngineTime.Add(-KeepReturned))
	if l.Units, err = all(ctx, c, &unitTable, "ORDER BY id"); err != nil {
		return err
	}
	l.Alarms, err = all(ctx, c, &alarmTable, "WHERE queued = 1 OR active = 0 AND returned >= ? "+
		"OR ticket IN (SELECT id FROM tickets WHERE ended = 0) ORDER BY id", keep)
	if err != nil {
		return err
	}
	if l.Incidents, err = all(ctx, c, &incidentTable, "WHERE ended = 0 ORDER BY opened, id"); err != nil {
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
