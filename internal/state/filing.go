package state

import (
	"context"

	"gridgate/internal/grid"
)

// FiledAs gives the episode that was filed under an identity of grid.Filing; at most one.
func (s *Store) FiledAs(ctx context.Context, id grid.Identity) ([]grid.Alarm, error) {
	return readAll(ctx, s, &alarmTable, "WHERE device = ? AND device >= 'filed:' AND device < 'filed;' LIMIT 1", string(id))
}
