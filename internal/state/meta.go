package state

import (
	"context"
	"database/sql/driver"
)

// Meta reads one of the engine's notes to itself; "" when there is none.
func (s *Store) Meta(ctx context.Context, key string) (value string, err error) {
	err = s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, "SELECT value FROM meta WHERE key = ?", []driver.Value{key}, func(r *row) error {
			value = r.text()
			return r.err
		})
	})
	return value, err
}
