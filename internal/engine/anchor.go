package engine

import (
	"context"
	"strconv"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// ActAnchor is the deed by which the state keeps what the audit log was.
const ActAnchor = "audit.anchor"

// Anchor keeps the number and the hash of the audit log's newest line in the state, so that
// who rewrites that log must rewrite the state, its backups and the gateway's own log too.
func (e *Engine) Anchor(ctx context.Context, n uint64, hash string) error {
	_, err := e.do(ctx, &command{name: ActAnchor, do: func(b *batch) (any, error) {
		b.rows.Audit = append(b.rows.Audit, state.Audit{
			ID: b.id(), At: b.now, By: grid.Actor{Role: grid.RoleSystem, Name: "audit"}, Action: ActAnchor, Subject: strconv.FormatUint(n, 10), Detail: hash, Scope: b.e.home, Mode: grid.Live,
		})
		return nil, nil
	}})
	return err
}
