package state

import (
	"context"
	"encoding/json"
	"time"

	"gridgate/internal/grid"
)

// hazardTable writes columns for filters and reads the document.
var hazardTable = table[grid.Hazard]{
	name: "hazards", key: "id",
	cols:  "id, kind, level, point, state, overdue, found, deadline, ended, ticket, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, h *grid.Hazard) {
		a.text(h.ID, h.Kind, h.Level, h.Point, string(h.State))
		a.flag(h.Overdue)
		a.time(h.Found)
		a.time(h.Deadline)
		a.time(h.Ended)
		a.text(h.Ticket)
		a.doc(h)
		a.scope(h.Scope)
		a.text(h.Cell, string(h.Mode))
	},
	scan: func(r *row) (h grid.Hazard) {
		if err := json.Unmarshal(r.json(), &h); err != nil && r.err == nil {
			r.err = err
		}
		return h
	},
}

var hazardList = list{
	order: []string{"found", "id"}, newest: true,
	time: "found",
	unit: "ticket IN (" + ownTickets + ")",
	text: []string{"id", "point", "doc"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "kind": "kind = ?", "type": "level = ?", "point": "point = ?", "ticket": "ticket = ?",
		"state": "state = ?", "state=open": "ended = 0", "state=ended": "ended > 0", "state=overdue": "overdue = 1 AND ended = 0",
	},
}

// Hazard gives one hazard, ended ones too.
func (s *Store) Hazard(ctx context.Context, id string) (grid.Hazard, error) {
	return one(ctx, s, &hazardTable, "hazard", "id", id)
}

// OpenHazards gives all that have not ended.
func (s *Store) OpenHazards(ctx context.Context) ([]grid.Hazard, error) {
	return readAll(ctx, s, &hazardTable, "WHERE ended = 0 ORDER BY id")
}

// HazardsAt gives the hazards of a kind at a point that were found since then, newest first.
func (s *Store) HazardsAt(ctx context.Context, point, kind string, since time.Time) ([]grid.Hazard, error) {
	return readAll(ctx, s, &hazardTable, "WHERE point = ? AND point <> '' AND kind = ? AND found >= ? ORDER BY found DESC, id DESC", point, kind, nanos(since))
}

// RaisedAt gives the episodes of a type that sensors raised at a point since then, newest
// first, at most that many.
func (s *Store) RaisedAt(ctx context.Context, point string, typ grid.EventType, since time.Time, most int) ([]grid.Alarm, error) {
	return readAll(ctx, s, &alarmTable, "WHERE point = ? AND type = ? AND raised >= ? AND device NOT LIKE 'filed:%' ORDER BY raised DESC, id DESC LIMIT ?",
		point, string(typ), nanos(since), int64(most))
}

// ListHazards lists hazards, newest first. State "open", "ended" and "overdue" stand for
// all such; type is the level.
func (s *Store) ListHazards(ctx context.Context, q Query) (Page[grid.Hazard], error) {
	return pageOf(ctx, s, &hazardTable, &hazardList, q)
}

// HazardOf gives the hazard that a ticket is the work for.
func (s *Store) HazardOf(ctx context.Context, ticket string) (grid.Hazard, error) {
	return one(ctx, s, &hazardTable, "hazard of ticket", "ticket", ticket)
}
