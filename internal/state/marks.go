package state

import (
	"context"
	"database/sql/driver"

	"gridgate/internal/grid"
)

// Mark is what a map shows of a point.
type Mark struct {
	ID       string
	Kind     grid.Kind
	Lon, Lat float64
}

// Marks gives all points of a scope that have a position, in no order: hundreds of
// thousands at once, for a map. Those that are retired are left out.
func (s *Store) Marks(ctx context.Context, scope grid.Scope) (out []Mark, err error) {
	w, err := Query{Scope: scope}.where(&pointList)
	if err != nil {
		return nil, err
	}
	w.and("(lon <> 0 OR lat <> 0)")
	w.and("state <> ?", string(grid.PointRetired))
	err = s.reader(ctx, func(conn driver.Conn) error {
		return each(ctx, conn, "SELECT id, kind, lon, lat FROM points "+w.sql(), w.vals, func(r *row) error {
			out = append(out, Mark{r.text(), grid.Kind(r.text()), r.real(), r.real()})
			return r.err
		})
	})
	return out, err
}
