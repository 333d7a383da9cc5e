package gateway

import (
	"context"

	"gridgate/internal/grid"
)

// sealUnits has the state seal what is secret of units. That it cannot stops nothing: rows that were
// plain go on as they are, and a unit whose secret cannot be opened gets nothing until it can.
func (g *Gateway) sealUnits(ctx context.Context) {
	keys := g.credentials.vault.Keys
	n, err := g.store.SealWith(ctx, keys)
	switch {
	case err != nil:
		g.log.Error("secrets of units are not sealed", "err", err)
	case n > 0:
		g.log.Info("secrets of units are sealed now, backups from before have them as they are", "in", n, "key", keys.Name())
	}
	err = g.store.EachSealedOfUnits(ctx, func(unit string, sealed []byte) {
		if err := keys.Has(sealed); err != nil {
			g.log.Error("secret of a unit cannot be opened, nothing is sent to it", "unit", unit, "err", err)
		}
	})
	if err != nil {
		g.log.Error("secrets of units cannot be read", "err", err)
	}
}

// admits says what else a unit must be to be registered: its secret can be sealed.
func (g *Gateway) admits(u *grid.Unit) error {
	if (u.Secret != "" || u.URL != "") && g.credentials.vault.Keys.Count() == 0 {
		return grid.Errorf(grid.Unavailable, "unit %s: its secret cannot be sealed: key file %s is missing", u.ID, g.cfg.KeyFilePath())
	}
	return g.mayRun(u)
}
