package state

import (
	"context"
	"database/sql/driver"
	"fmt"

	"gridgate/internal/grid"
)

var credentialTable = table[grid.Credential]{
	name: "credentials", key: "id",
	cols: "id, device, kind, fingerprint, created, expires, replaced, ended, why, last_used, by_role, by_name, by_unit, reason, sealed",
	bind: func(a *args, c *grid.Credential) {
		a.text(c.ID, string(c.Device), string(c.Kind), c.Fingerprint)
		a.time(c.Created)
		a.time(c.Expires)
		a.text(c.Replaced)
		a.time(c.Ended)
		a.text(c.Why)
		a.time(c.LastUsed)
		a.actor(c.By)
		a.text(c.Reason)
		a.blob(c.Sealed)
	},
	scan: func(r *row) grid.Credential {
		return grid.Credential{
			ID: r.text(), Device: grid.Identity(r.text()), Kind: grid.CredentialKind(r.text()), Fingerprint: r.text(),
			Created: r.time(), Expires: r.time(), Replaced: r.text(), Ended: r.time(), Why: r.text(), LastUsed: r.time(),
			By: r.actor(), Reason: r.text(), Sealed: r.blob(),
		}
	},
}

// Credentials gives all credentials that a device has had, oldest first.
func (s *Store) Credentials(ctx context.Context, device grid.Identity) ([]grid.Credential, error) {
	return readAll(ctx, s, &credentialTable, "WHERE device = ? ORDER BY created, id", string(device))
}

// CredentialsOf gives those that a certificate was ever of, oldest first.
func (s *Store) CredentialsOf(ctx context.Context, fingerprint string) ([]grid.Credential, error) {
	return readAll(ctx, s, &credentialTable, "WHERE fingerprint = ? AND fingerprint <> '' ORDER BY created, id", fingerprint)
}

// Credential gives one.
func (s *Store) Credential(ctx context.Context, id string) (grid.Credential, error) {
	return one(ctx, s, &credentialTable, "credential", "id", id)
}

// AllCredentials hands out every credential. One is valid during the call.
func (s *Store) AllCredentials(ctx context.Context, to func(*grid.Credential)) error {
	err := s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, "SELECT "+credentialTable.selects()+" FROM credentials", nil, func(r *row) error {
			v := credentialTable.scan(r)
			if r.err == nil {
				to(&v)
			}
			return r.err
		})
	})
	if err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	return nil
}
