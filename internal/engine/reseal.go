package engine

import (
	"bytes"
	"context"
	"slices"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Reseal puts what is sealed anew in the place of what was, where that still stands: what
// was given or erased in between stays as it is. The engine has no key, and sees none.
type Reseal struct {
	ID       string // of a credential, or of a contact
	Was, Now []byte
}

// ResealCredentials and ResealContacts change nothing but the sealing, so they leave no line
// for each in the audit; who rotated the key stands there once (KeyRotated).
func (e *Engine) ResealCredentials(ctx context.Context, all []Reseal) error {
	_, err := e.do(ctx, &command{name: "credential.reseal", do: func(b *batch) (any, error) {
		for _, r := range all {
			c, err := b.credential(r.ID)
			if grid.CodeOf(err) == grid.NotFound || err == nil && !bytes.Equal(c.Sealed, r.Was) {
				continue
			}
			if err != nil {
				return nil, err
			}
			c.Sealed = r.Now
			b.rows.Credentials = append(b.rows.Credentials, c)
			b.tellCredentials(c)
		}
		return nil, nil
	}})
	return err
}

// ResealContacts is the same for telephone numbers.
func (e *Engine) ResealContacts(ctx context.Context, all []Reseal) error {
	_, err := e.do(ctx, &command{name: "contact.reseal", do: func(b *batch) (any, error) {
		for _, r := range all {
			c, err := b.contact(r.ID)
			if grid.CodeOf(err) == grid.NotFound || err == nil && !bytes.Equal(c.Sealed, r.Was) {
				continue
			}
			if err != nil {
				return nil, err
			}
			c.Sealed = r.Now
			b.rows.Contacts = append(b.rows.Contacts, c)
		}
		return nil, nil
	}})
	return err
}

// ResealUnits writes units as they are: the store seals what is secret of them, under the newest
// key. It gives how many; one whose secret cannot be opened stays as it is.
func (e *Engine) ResealUnits(ctx context.Context, ids []string) (int, error) {
	return as[int](e.do(ctx, &command{name: "unit.reseal", do: func(b *batch) (any, error) {
		n := 0
		for _, id := range ids {
			if slices.ContainsFunc(b.rows.Units, func(u grid.Unit) bool { return u.ID == id }) {
				continue // it is written in this turn, as it is to be
			}
			u, err := e.store.Unit(context.Background(), id)
			if err != nil {
				e.log.Warn("secret of a unit is not sealed anew", "unit", id, "err", err)
				continue
			}
			b.rows.Units = append(b.rows.Units, u)
			n++
		}
		return n, nil
	}}))
}

// KeyRotated notes who had everything sealed under a new key.
func (e *Engine) KeyRotated(ctx context.Context, by grid.Actor, detail string) error {
	_, err := e.do(ctx, &command{name: "key.rotate", do: func(b *batch) (any, error) {
		b.rows.Audit = append(b.rows.Audit, state.Audit{ID: b.id(), At: b.now, By: by, Action: "key.rotate", Subject: "secret.key", Detail: detail, Mode: grid.Live})
		return nil, nil
	}})
	return err
}
