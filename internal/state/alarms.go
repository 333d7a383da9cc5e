package state

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// AlarmQueue is what operators of a scope have before them, as of one commit.
type AlarmQueue struct {
	Alarms []grid.Alarm // active, or latched and not acknowledged
	Raised []time.Time  // when alarms were raised since, oldest first, over or not
}

// AlarmQueue reads the queue of those who see what q lets through, with the times of all
// alarms that were raised since.
func (s *Store) AlarmQueue(ctx context.Context, q Query, since time.Time) (out AlarmQueue, err error) {
	w, err := q.where(&alarmList)
	if err != nil {
		return out, err
	}
	err = s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			if out.Alarms, err = all(ctx, conn, &alarmTable, w.sql()+" AND queued = 1", w.vals...); err != nil {
				return err
			}
			sql := "SELECT raised FROM alarms " + w.sql() + " AND raised >= ? ORDER BY raised"
			return each(ctx, conn, sql, append(w.vals, nanos(since)), func(r *row) error {
				out.Raised = append(out.Raised, r.time())
				return r.err
			})
		})
	})
	if err != nil {
		return out, fmt.Errorf("alarm queue: %w", err)
	}
	return out, nil
}

// AlarmTurn is one change of an episode: it became active, or went back to normal.
type AlarmTurn struct {
	Alarm  string
	Point  string
	Device grid.Identity
	Type   grid.EventType
	Active bool
	At     time.Time
}

// AlarmTurns gives the changes of alarms in the time of q, oldest first, at most so many: the newest.
func (s *Store) AlarmTurns(ctx context.Context, q Query, most int) (out []AlarmTurn, err error) {
	w, err := q.where(&eventList)
	if err != nil {
		return nil, err
	}
	const newest = "SELECT alarm, point, device, type, action, CASE action WHEN 'cleared' THEN at ELSE received END AS t, n FROM events "
	sql := "SELECT alarm, point, device, type, action, t FROM (" + newest + w.sql() +
		" AND alarm <> '' AND action IN ('raised', 'repeated', 'cleared') ORDER BY received DESC, n DESC LIMIT ?) ORDER BY t, n"
	err = s.reader(ctx, func(conn driver.Conn) error {
		return each(ctx, conn, sql, append(w.vals, int64(most)), func(r *row) error {
			t := AlarmTurn{Alarm: r.text(), Point: r.text(), Device: grid.Identity(r.text()), Type: grid.EventType(r.text())}
			t.Active = r.text() != "cleared"
			t.At = r.time()
			out = append(out, t)
			return r.err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("turns of alarms: %w", err)
	}
	return out, nil
}

// AuditOf gives what was done to one thing, by its id, oldest first.
func (s *Store) AuditOf(ctx context.Context, subject string) ([]Audit, error) {
	return readAll(ctx, s, &auditTable, "WHERE subject = ? ORDER BY at, id", subject)
}

// HeldDeliveries gives the messages that wait for a digest, in the order in which they were made.
func (s *Store) HeldDeliveries(ctx context.Context) ([]grid.Delivery, error) {
	return readAll(ctx, s, &deliveryTable, "WHERE state = 'held' ORDER BY created, ticket, unit, n")
}

// DigestedIn gives the messages that stand in a digest of a unit, in the order in which they were made.
func (s *Store) DigestedIn(ctx context.Context, unit, digest string) ([]grid.Delivery, error) {
	return readAll(ctx, s, &deliveryTable, "WHERE unit = ? AND state = 'digested' AND ref = ? ORDER BY created, ticket, n", unit, digest)
}
