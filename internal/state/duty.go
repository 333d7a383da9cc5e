package state

import (
	"context"

	"gridgate/internal/grid"
)

var seatTable = table[grid.Seat]{
	name: "seats", key: "id",
	cols:  "id, watching, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, s *grid.Seat) {
		a.text(s.ID)
		a.flag(s.Watching)
		a.doc(s)
		a.scope(s.Scope)
		a.text(s.Cell, string(s.Mode))
	},
	scan: fromDoc[grid.Seat],
}

// Seats gives every seat that was ever signed on to, by their ids.
func (s *Store) Seats(ctx context.Context) ([]grid.Seat, error) {
	return readAll(ctx, s, &seatTable, "ORDER BY id")
}

var handoverTable = table[grid.Handover]{
	name: "handovers", key: "id",
	cols:  "id, made, state, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, h *grid.Handover) {
		state := "open"
		switch {
		case h.Signed():
			state = "signed"
		case h.Outgoing != nil || h.Incoming != nil:
			state = "half"
		}
		a.text(h.ID)
		a.time(h.Made)
		a.text(state)
		a.doc(h)
		a.scope(h.Scope)
		a.text(h.Cell, string(h.Mode))
	},
	scan: fromDoc[grid.Handover],
}

var handoverList = list{
	order: []string{"made", "id"}, newest: true,
	time:    "made",
	text:    []string{"id"},
	filters: map[string]string{"id": "id = ?", "cell": "cell = ?", "state": "state = ?", "state=unsigned": "state <> 'signed'"},
}

// Handover gives one sheet by its id.
func (s *Store) Handover(ctx context.Context, id string) (grid.Handover, error) {
	return one(ctx, s, &handoverTable, "handover", "id", id)
}

// ListHandovers lists sheets, newest first. State is open, half (signed by one), signed, or unsigned for those that are not.
func (s *Store) ListHandovers(ctx context.Context, q Query) (Page[grid.Handover], error) {
	return pageOf(ctx, s, &handoverTable, &handoverList, q)
}
