package state

import (
	"context"
	"database/sql/driver"
	"fmt"

	"gridgate/internal/grid"
)

// Place is where a point is, and what it is called.
type Place struct {
	Point    string
	Name     string
	Kind     grid.Kind
	Lon, Lat float64 // 0, 0: nobody said
}

// Places finds points by their ids; those that are not there are left out.
func (s *Store) Places(ctx context.Context, points []string) (out []Place, err error) {
	var ids args
	ids.doc(points)
	err = s.reader(ctx, func(conn driver.Conn) error {
		sql := "SELECT id, name, kind, lon, lat FROM points WHERE id IN (SELECT value FROM json_each(?))"
		return each(ctx, conn, sql, []driver.Value{ids.vals[0].Value}, func(r *row) error {
			out = append(out, Place{r.text(), r.text(), grid.Kind(r.text()), r.real(), r.real()})
			return r.err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("places of points: %w", err)
	}
	return out, nil
}

// OpenTickets is how many tickets of one mode are open in a cell.
type OpenTickets struct {
	Cell, Street string // either may be ""
	Mode         grid.Mode
	Open         int
	Overdue      int // of them
}

// OpenTicketsByCell counts the open tickets that q lets through.
func (s *Store) OpenTicketsByCell(ctx context.Context, q Query) (out []OpenTickets, err error) {
	q.State = "open"
	w, err := q.where(&ticketList)
	if err != nil {
		return nil, err
	}
	err = s.reader(ctx, func(conn driver.Conn) error {
		sql := "SELECT cell, street, mode, COUNT(*), SUM(overdue) FROM tickets " + w.sql() + " GROUP BY cell, street, mode ORDER BY cell, street, mode"
		return each(ctx, conn, sql, w.vals, func(r *row) error {
			out = append(out, OpenTickets{r.text(), r.text(), grid.Mode(r.text()), int(r.num()), int(r.num())})
			return r.err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("open tickets by cell: %w", err)
	}
	return out, nil
}
