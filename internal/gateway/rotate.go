package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/auth"
	"gridgate/internal/cert"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const (
	resealAtOnce = 256  // of one command: it holds up the state goroutine for some milliseconds
	maxAged      = 1024 // checks that wait to be noted; past it the next login says it again
)

// RotateKey adds a key to the key file and seals under it what can be read. What cannot,
// checks of passwords, follows as the devices log in. It may be called again at any time.
func (c *credentials) RotateKey(ctx context.Context, by grid.Actor) (api.KeyRotated, error) {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	var done api.KeyRotated
	keys := c.vault.Keys
	if err := keys.Rotate(); err != nil {
		return done, err
	}
	done.Key = keys.Name()
	for _, reseal := range []func(context.Context) (int, error){c.resealKeys, c.resealContacts, c.resealUnits, c.resealAuthority} {
		n, err := reseal(ctx)
		if done.Resealed += n; err != nil {
			return done, err
		}
	}
	used, err := c.keysInUse(ctx)
	if err != nil {
		return done, err
	}
	if done.Removed, err = keys.Prune(used); err != nil {
		return done, err
	}
	done.Waiting, _ = c.vault.Older()
	done.Keys = keys.Count()
	return done, c.g.engine.KeyRotated(ctx, by, fmt.Sprintf("to %s: %d sealed anew, %d passwords wait, %d keys", done.Key, done.Resealed, done.Waiting, done.Keys))
}

// resealKeys seals pre-shared keys under the newest key.
func (c *credentials) resealKeys(ctx context.Context) (int, error) {
	var all []engine.Reseal
	var failed error
	err := c.g.store.AllCredentials(ctx, func(row *grid.Credential) {
		if row.Kind != grid.CoAPKey || !row.Ended.IsZero() || c.vault.Keys.Newest(row.Sealed) {
			return
		}
		now, err := c.anew(row.Sealed, auth.Owner(row))
		if err != nil {
			failed = err // of a key that is lost: it stays as it is, and Unreadable tells of it
			return
		}
		all = append(all, engine.Reseal{ID: row.ID, Was: bytes.Clone(row.Sealed), Now: now})
	})
	if err != nil {
		return 0, err
	}
	if failed != nil {
		c.g.log.Warn("some keys of devices cannot be sealed anew", "err", failed)
	}
	return inParts(ctx, all, c.g.engine.ResealCredentials)
}

func (c *credentials) resealContacts(ctx context.Context) (int, error) {
	var all []engine.Reseal
	err := c.g.store.EachSealedContact(ctx, func(id string, sealed []byte) {
		if c.vault.Keys.Newest(sealed) {
			return
		}
		if now, err := c.anew(sealed, contactOwner(id)); err == nil {
			all = append(all, engine.Reseal{ID: id, Was: bytes.Clone(sealed), Now: now})
		}
	})
	if err != nil {
		return 0, err
	}
	return inParts(ctx, all, c.g.engine.ResealContacts)
}

func (c *credentials) resealUnits(ctx context.Context) (done int, err error) {
	var ids []string
	err = c.g.store.EachSealedOfUnits(ctx, func(id string, sealed []byte) {
		if !c.vault.Keys.Newest(sealed) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	})
	for part := range slices.Chunk(ids, resealAtOnce) {
		if err != nil {
			break
		}
		var n int
		n, err = c.g.engine.ResealUnits(ctx, part)
		done += n
	}
	return done, err
}

func (c *credentials) resealAuthority(context.Context) (int, error) {
	if !exists(cert.RootPath(c.g.cfg.CADir())) {
		return 0, nil
	}
	a, err := cert.Open(c.g.cfg.CADir(), c.vault.Keys, time.Now)
	if err == nil {
		err = a.Reseal()
	}
	return 1, err
}

func (c *credentials) anew(sealed []byte, owner string) ([]byte, error) {
	secret, err := c.vault.Keys.Open(sealed, owner)
	if err != nil {
		return nil, err
	}
	return c.vault.Keys.Seal(secret, owner)
}

func inParts(ctx context.Context, all []engine.Reseal, do func(context.Context, []engine.Reseal) error) (done int, err error) {
	for len(all) > 0 {
		n := min(len(all), resealAtOnce)
		if err := do(ctx, all[:n]); err != nil {
			return done, err
		}
		all, done = all[n:], done+n
	}
	return done, nil
}

// keysInUse names the keys under which something is sealed still, by what is on disk.
func (c *credentials) keysInUse(ctx context.Context) (map[string]bool, error) {
	used := map[string]bool{}
	err := c.g.store.AllCredentials(ctx, func(row *grid.Credential) {
		if row.Ended.IsZero() {
			used[auth.UsedBy(row.Sealed)] = true
		}
	})
	if err == nil {
		err = c.g.store.EachSealedContact(ctx, func(_ string, sealed []byte) { used[auth.UsedBy(sealed)] = true })
	}
	if err == nil {
		err = c.g.store.EachSealedOfUnits(ctx, func(_ string, sealed []byte) { used[auth.UsedBy(sealed)] = true })
	}
	if err == nil && exists(cert.RootPath(c.g.cfg.CADir())) {
		var a *cert.Authority
		var sealed []byte
		if a, err = cert.Open(c.g.cfg.CADir(), c.vault.Keys, time.Now); err == nil {
			if sealed, err = a.Sealed(); err == nil {
				used[auth.UsedBy(sealed)] = true
			}
		}
	}
	return used, err
}

// aging notes checks of passwords that a login has made anew.
func (c *credentials) aging(id string, was, now []byte) {
	select {
	case c.aged <- engine.Reseal{ID: id, Was: was, Now: now}:
	default:
	}
}

func (c *credentials) reseal(ctx context.Context, first engine.Reseal) {
	all := []engine.Reseal{first}
	for len(all) < resealAtOnce && len(c.aged) > 0 {
		all = append(all, <-c.aged)
	}
	if err := c.g.engine.ResealCredentials(ctx, all); err != nil && ctx.Err() == nil {
		c.g.log.Error("passwords are not sealed anew", "in", len(all), "err", err)
	}
}

// EndingCredentials are those of devices in the data folder that will end by themselves,
// the first first.
func (c *Config) EndingCredentials(ctx context.Context, log *slog.Logger) (out []grid.Credential, err error) {
	if !exists(c.StatePath()) {
		return nil, nil
	}
	store, err := state.OpenReadOnly(ctx, c.StatePath(), log)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return endingOf(ctx, store, time.Now())
}

func endingOf(ctx context.Context, store *state.Store, now time.Time) (out []grid.Credential, err error) {
	err = store.AllCredentials(ctx, func(row *grid.Credential) {
		if !row.Expires.IsZero() && row.Replaced == "" && row.Holds(now) {
			v := *row
			v.Sealed = nil
			out = append(out, v)
		}
	})
	slices.SortStableFunc(out, func(a, b grid.Credential) int { return a.Expires.Compare(b.Expires) })
	return out, err
}

// Ending are those that end before a time.
func (c *credentials) Ending(ctx context.Context, before time.Time) ([]api.CredentialView, error) {
	rows, err := endingOf(ctx, c.g.store, c.g.clock.Now())
	out := []api.CredentialView{}
	for i := range rows {
		if rows[i].Expires.Before(before) {
			out = append(out, c.view(rows[i]))
		}
	}
	return out, err
}
