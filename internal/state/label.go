package state

import (
	"context"

	"gridgate/internal/grid"
)

var claimLabelTable = table[grid.ClaimLabel]{
	name: "claim_labels", key: "id",
	cols: "id, hash, device, created, expires, by_role, by_name, by_unit, used, ended, why, ender_role, ender_name, ender_unit, " + scopeCols + ", cell, mode",
	bind: func(a *args, l *grid.ClaimLabel) {
		a.text(l.ID, l.Hash, string(l.Device))
		a.time(l.Created)
		a.time(l.Expires)
		a.actor(l.By)
		a.time(l.Used)
		a.time(l.Ended)
		a.text(l.Why)
		a.actor(l.EndedBy)
		a.scope(l.Scope)
		a.text(l.Cell, string(l.Mode))
	},
	scan: func(r *row) grid.ClaimLabel {
		return grid.ClaimLabel{
			ID: r.text(), Hash: r.text(), Device: grid.Identity(r.text()), Created: r.time(), Expires: r.time(), By: r.actor(),
			Used: r.time(), Ended: r.time(), Why: r.text(), EndedBy: r.actor(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
		}
	},
}

// ClaimLabels gives those that a device has had, oldest first.
func (s *Store) ClaimLabels(ctx context.Context, device grid.Identity) ([]grid.ClaimLabel, error) {
	return readAll(ctx, s, &claimLabelTable, "WHERE device = ? ORDER BY created, id", string(device))
}

// ClaimLabel gives the one whose token has this hash.
func (s *Store) ClaimLabel(ctx context.Context, hash string) (grid.ClaimLabel, error) {
	return one(ctx, s, &claimLabelTable, "label", "hash", hash)
}

var ignoredTable = table[grid.Ignored]{
	name: "strangers_ignored", key: "identity",
	cols: "identity, reason, at, by_role, by_name, by_unit, ended, " + scopeCols + ", cell, mode",
	bind: func(a *args, i *grid.Ignored) {
		a.text(string(i.Identity), i.Reason)
		a.time(i.At)
		a.actor(i.By)
		a.time(i.Ended)
		a.scope(i.Scope)
		a.text(i.Cell, string(i.Mode))
	},
	scan: func(r *row) grid.Ignored {
		return grid.Ignored{
			Identity: grid.Identity(r.text()), Reason: r.text(), At: r.time(), By: r.actor(), Ended: r.time(),
			Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
		}
	},
}

// Ignored gives the strangers that are set aside.
func (s *Store) Ignored(ctx context.Context) ([]grid.Ignored, error) {
	return readAll(ctx, s, &ignoredTable, "WHERE ended = 0 ORDER BY identity")
}

// ClaimedWaiting gives devices that are registered or installed and whose frames still wait in
// the quarantine as a stranger's: a claim or an import was broken off there, or its frames came
// between. In the order of their names, after one.
func (s *Store) ClaimedWaiting(ctx context.Context, after grid.Identity, limit int) ([]grid.Identity, error) {
	devices, err := readAll(ctx, s, &deviceTable, "WHERE identity > ? AND state IN ('registered', 'installed') AND identity IN "+
		"(SELECT identity FROM quarantine WHERE state = 'waiting' AND reason = ?) ORDER BY identity LIMIT ?",
		string(after), string(grid.UnknownDevice), int64(limit))
	ids := make([]grid.Identity, len(devices))
	for i := range devices {
		ids[i] = devices[i].Identity
	}
	return ids, err
}
