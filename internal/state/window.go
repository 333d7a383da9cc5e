package state

import (
	"context"
	"encoding/json"

	"gridgate/internal/grid"
)

// windowTable writes columns for filters and reads the document.
var windowTable = table[grid.Window]{
	name: "windows", key: "id",
	cols:  "id, kind, holder, started, until, ended, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, w *grid.Window) {
		a.text(w.ID, string(w.Kind), w.Holder)
		a.time(w.From)
		a.time(w.To)
		a.time(w.Ended)
		a.doc(w)
		a.scope(w.Scope)
		a.text(w.Cell, string(w.Mode))
	},
	scan: func(r *row) (w grid.Window) {
		if err := json.Unmarshal(r.json(), &w); err != nil && r.err == nil {
			r.err = err
		}
		return w
	},
}

var windowList = list{
	order: []string{"started", "id"}, newest: true,
	time: "started",
	unit: "holder = ?",
	text: []string{"id", "holder"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "kind": "kind = ?",
		"point": "EXISTS (SELECT 1 FROM json_each(doc, '$.points') j WHERE j.value = ?)",
		"state": "CASE ended WHEN 0 THEN 'open' ELSE 'ended' END = ?", "state=open": "ended = 0",
	},
}

// Window gives one window by its id, ended ones too.
func (s *Store) Window(ctx context.Context, id string) (grid.Window, error) {
	return one(ctx, s, &windowTable, "window", "id", id)
}

// OpenWindows gives every window that has not ended, by its id.
func (s *Store) OpenWindows(ctx context.Context) ([]grid.Window, error) {
	return readAll(ctx, s, &windowTable, "WHERE ended = 0 ORDER BY id")
}

// ListWindows lists windows, newest first. State "open" stands for those that have not ended.
func (s *Store) ListWindows(ctx context.Context, q Query) (Page[grid.Window], error) {
	return pageOf(ctx, s, &windowTable, &windowList, q)
}

var postureTable = table[grid.Posture]{
	name: "postures", key: "id",
	cols: "id, posture, started, until, by_role, by_name, by_unit, reason, ended, ended_by, " + allScope,
	bind: func(a *args, p *grid.Posture) {
		a.text(p.ID, string(p.Name))
		a.time(p.From)
		a.time(p.To)
		a.actor(p.By)
		a.text(p.Reason)
		a.time(p.Ended)
		a.text(p.EndedBy)
		a.scope(p.Scope)
		a.text(p.Cell, string(p.Mode))
	},
	scan: func(r *row) grid.Posture {
		return grid.Posture{
			ID: r.text(), Name: grid.PostureName(r.text()), From: r.time(), To: r.time(), By: r.actor(), Reason: r.text(),
			Ended: r.time(), EndedBy: r.text(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
		}
	},
}

var postureList = list{
	order: []string{"started", "id"}, newest: true,
	time:    "started",
	text:    []string{"posture", "reason", "by_name"},
	filters: map[string]string{"id": "id = ?", "cell": "cell = ?", "kind": "posture = ?", "state": "CASE ended WHEN 0 THEN 'open' ELSE 'ended' END = ?"},
}

// OpenPosture gives the posture in force; none is the normal one.
func (s *Store) OpenPosture(ctx context.Context) ([]grid.Posture, error) {
	return readAll(ctx, s, &postureTable, "WHERE ended = 0 ORDER BY started, id")
}

// ListPostures lists what postures there were, newest first.
func (s *Store) ListPostures(ctx context.Context, q Query) (Page[grid.Posture], error) {
	return pageOf(ctx, s, &postureTable, &postureList, q)
}
