package state

import (
	"context"
	"database/sql/driver"
)

// EachSealedContact gives what is sealed of every contact, with its id. It is valid during
// the call.
func (s *Store) EachSealedContact(ctx context.Context, to func(id string, sealed []byte)) error {
	return s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, "SELECT id, sealed FROM contacts WHERE length(sealed) > 0", nil, func(r *row) error {
			id, sealed := r.text(), r.blob()
			if r.err == nil {
				to(id, sealed)
			}
			return r.err
		})
	})
}
