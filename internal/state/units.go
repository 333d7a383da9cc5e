package state

import (
	"context"
	"database/sql/driver"
	"fmt"

	"gridgate/internal/grid"
)

// UnitLoad is what waits for one unit, and what has not reached it.
type UnitLoad struct {
	Waiting int // deliveries to be sent, or in its next digest
	Dead    int // dead letters
	Tickets int // open ones of which it has a part that it has not given back
	Overdue int // of them
}

// UnitLoads counts by unit; a unit for which nothing is to be done is not in it.
func (s *Store) UnitLoads(ctx context.Context) (map[string]UnitLoad, error) {
	out := map[string]UnitLoad{}
	err := s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			deliveries := "SELECT unit, SUM(state <> 'dead'), SUM(state = 'dead') FROM deliveries WHERE state IN ('pending', 'held', 'dead') GROUP BY unit"
			if err := each(ctx, conn, deliveries, nil, func(r *row) error {
				out[r.text()] = UnitLoad{Waiting: int(r.num()), Dead: int(r.num())}
				return r.err
			}); err != nil {
				return err
			}
			tickets := "SELECT a.unit, COUNT(DISTINCT t.id), COUNT(DISTINCT CASE t.overdue WHEN 1 THEN t.id END) FROM tickets t JOIN assignments a ON a.ticket = t.id " +
				"WHERE t.ended = 0 AND a.state NOT IN ('returned', 'cancelled') GROUP BY a.unit"
			return each(ctx, conn, tickets, nil, func(r *row) error {
				unit := r.text()
				l := out[unit]
				l.Tickets, l.Overdue = int(r.num()), int(r.num())
				out[unit] = l
				return r.err
			})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("loads of units: %w", err)
	}
	return out, nil
}

// ReachOf gives the open episodes of unit.unreachable by unit.
func (s *Store) ReachOf(ctx context.Context) (map[string]grid.Alarm, error) {
	out := map[string]grid.Alarm{}
	page, err := s.ListAlarms(ctx, Query{Type: string(grid.EventUnitUnreachable), State: "active", Limit: maxLimit})
	for _, a := range page.Items {
		out[string(a.Device)] = a
	}
	return out, err
}
