package state

import (
	"context"
	"encoding/json"

	"gridgate/internal/grid"
)

var hotspotTable = table[grid.Hotspot]{
	name: "hotspots", key: "id",
	cols: "id, what, place, " + allScope + ", listed, delisted, why, why_not, alarms, share, kinds, judged, ticket, supervised",
	bind: func(a *args, h *grid.Hotspot) {
		a.text(h.ID, string(h.What), h.Place)
		a.scope(h.Scope)
		a.text(h.Cell, string(h.Mode))
		a.time(h.Listed)
		a.time(h.Delisted)
		a.text(h.Why, h.WhyNot)
		a.num(int64(h.Alarms))
		a.real(h.Share)
		a.doc(h.Kinds)
		a.time(h.Judged)
		a.text(h.Ticket)
		a.flag(h.Supervised)
	},
	scan: func(r *row) grid.Hotspot {
		h := grid.Hotspot{
			ID: r.text(), What: grid.HotspotPlace(r.text()), Place: r.text(), Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()),
			Listed: r.time(), Delisted: r.time(), Why: r.text(), WhyNot: r.text(), Alarms: int(r.num()), Share: r.real(),
		}
		if err := json.Unmarshal(r.json(), &h.Kinds); err != nil && r.err == nil {
			r.err = err
		}
		h.Judged, h.Ticket, h.Supervised = r.time(), r.text(), r.flag()
		return h
	},
}

var hotspotList = list{
	order: []string{"listed", "id"}, newest: true,
	time: "listed",
	unit: "ticket IN (" + ownTickets + ")",
	text: []string{"id", "place", "why"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "ticket": "ticket = ?", "type": "what = ?",
		"state": "CASE delisted WHEN 0 THEN 'listed' ELSE 'delisted' END = ?", "state=listed": "delisted = 0",
	},
}

// ListHotspots gives hot-spots, newest first.
func (s *Store) ListHotspots(ctx context.Context, q Query) (Page[grid.Hotspot], error) {
	return pageOf(ctx, s, &hotspotTable, &hotspotList, q)
}

// Hotspots gives all places that stand on the list.
func (s *Store) Hotspots(ctx context.Context) ([]grid.Hotspot, error) {
	return readAll(ctx, s, &hotspotTable, "WHERE delisted = 0 ORDER BY listed, id")
}
