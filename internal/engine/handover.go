package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Sheets of handover are gathered beside the state goroutine; here they become rows, and are
// signed.

// PutHandover keeps a sheet. key makes it idempotent: of the sheet of a change of shift there
// is one.
func (e *Engine) PutHandover(ctx context.Context, h grid.Handover, key string) (grid.Handover, error) {
	if key != "" {
		key = "handover/" + key
	}
	return as[grid.Handover](e.do(ctx, &command{name: "handover", key: key, do: func(b *batch) (any, error) {
		h.ID, h.Outgoing, h.Incoming = b.id(), nil, nil
		h.Scope, h.Mode = e.home, grid.Live
		digest, err := handoverDigest(&h)
		if err != nil {
			return nil, err
		}
		h.Digest = digest
		b.rows.Handovers = append(b.rows.Handovers, h)
		b.auditHandover("handover.make", &h, h.By, h.Why)
		return h, nil
	}}))
}

// handoverDigest is of what a sheet says, and not of who signed it.
func handoverDigest(h *grid.Handover) (string, error) {
	said := *h
	said.Digest, said.Outgoing, said.Incoming = "", nil, nil
	b, err := json.Marshal(said)
	if err != nil {
		return "", fmt.Errorf("handover %s: %w", h.ID, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Parts of a handover that people sign as.
const (
	Outgoing = "outgoing"
	Incoming = "incoming"
)

// SignHandover signs a sheet: first who goes, then who comes, unless as says which of them. One
// person signs once; with both names under it nothing of it changes any more.
func (e *Engine) SignHandover(ctx context.Context, id, part string, by grid.Actor, note string) (grid.Handover, error) {
	return as[grid.Handover](e.do(ctx, &command{name: "handover", do: func(b *batch) (any, error) {
		h, err := b.handover(id)
		if err != nil {
			return nil, err
		}
		if by.Name == "" {
			return nil, grid.Errorf(grid.Invalid, "by is missing: want who signs handover %s", id)
		}
		if part == "" {
			if part = Outgoing; h.Outgoing != nil && h.Outgoing.By.Name != by.Name {
				part = Incoming
			}
		}
		own, other := &h.Outgoing, h.Incoming
		switch part {
		case Outgoing:
		case Incoming:
			own, other = &h.Incoming, h.Outgoing
		default:
			return nil, grid.Errorf(grid.Invalid, "as is %q: want %s or %s", part, Outgoing, Incoming)
		}
		switch {
		case *own != nil && (*own).By.Name == by.Name && (*own).Note == note:
			return h, nil
		case h.Signed():
			return nil, grid.Errorf(grid.Conflict, "handover %s is signed by %s and %s: nothing of it changes any more", id, h.Outgoing.By.Name, h.Incoming.By.Name)
		case *own != nil:
			return nil, grid.Errorf(grid.Conflict, "handover %s is signed as %s by %s: want the other part", id, part, (*own).By.Name)
		case other != nil && other.By.Name == by.Name:
			return nil, grid.Errorf(grid.Conflict, "handover %s was signed by %s already: want a second person", id, by.Name)
		}
		digest, err := handoverDigest(&h)
		if err != nil {
			return nil, err
		}
		if digest != h.Digest {
			return nil, grid.Errorf(grid.Conflict, "handover %s says something else than when it was made: make a new one", id)
		}
		*own = &grid.HandoverSign{By: by, At: b.now.UTC(), Note: note}
		b.rows.Handovers = append(b.rows.Handovers, h)
		b.auditHandover("handover.sign", &h, by, part)
		return h, nil
	}}))
}

// handover finds a sheet as it is now, in the midst of the turn.
func (b *batch) handover(id string) (grid.Handover, error) {
	for i := len(b.rows.Handovers) - 1; i >= 0; i-- {
		if b.rows.Handovers[i].ID == id {
			return b.rows.Handovers[i], nil
		}
	}
	return b.e.store.Handover(context.Background(), id)
}

func (b *batch) auditHandover(action string, h *grid.Handover, by grid.Actor, detail string) {
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: by, Action: action, Subject: h.ID, Detail: cut(detail, maxAudited), Scope: h.Scope, Cell: h.Cell, Mode: h.Mode,
	})
}
