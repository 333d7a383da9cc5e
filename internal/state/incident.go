package state

import (
	"context"
	"encoding/json"

	"gridgate/internal/grid"
)

var incidentTable = table[grid.Incident]{
	name: "incidents", key: "id",
	cols: "id, cause, place, type, priority, " + allScope + ", building, lon, lat, ticket, opened, ended, confirmed, members, active, related",
	bind: func(a *args, in *grid.Incident) {
		a.text(in.ID, in.Cause, in.Place, string(in.Type))
		a.num(int64(in.Priority))
		a.scope(in.Scope)
		a.text(in.Cell, string(in.Mode), in.Building)
		a.real(in.Lon)
		a.real(in.Lat)
		a.text(in.Ticket)
		a.time(in.Opened)
		a.time(in.Ended)
		a.time(in.Confirmed)
		a.num(int64(in.Members))
		a.num(int64(in.Active))
		a.doc(in.Related)
	},
	scan: func(r *row) grid.Incident {
		in := grid.Incident{
			ID: r.text(), Cause: r.text(), Place: r.text(), Type: grid.EventType(r.text()), Priority: grid.Priority(r.num()),
			Scope: r.scope(), Cell: r.text(), Mode: grid.Mode(r.text()), Building: r.text(), Lon: r.real(), Lat: r.real(),
			Ticket: r.text(), Opened: r.time(), Ended: r.time(), Confirmed: r.time(), Members: int(r.num()), Active: int(r.num()),
		}
		if err := json.Unmarshal(r.json(), &in.Related); err != nil && r.err == nil {
			r.err = err
		}
		return in
	},
}

var incidentList = list{
	order: []string{"opened", "id"}, newest: true,
	time: "opened",
	unit: "ticket IN (" + ownTickets + ")", joined: "id IN (SELECT incident FROM alarms WHERE %s)",
	text: []string{"id", "place", "building"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "type": "type = ?", "kind": "cause = ?", "ticket": "ticket = ?",
		"state": "CASE ended WHEN 0 THEN 'open' ELSE 'ended' END = ?", "state=open": "ended = 0",
	},
}

// Incident gives one incident; its members are the alarms that carry its id.
func (s *Store) Incident(ctx context.Context, id string) (grid.Incident, error) {
	return one(ctx, s, &incidentTable, "incident", "id", id)
}

// ListIncidents gives incidents, newest first.
func (s *Store) ListIncidents(ctx context.Context, q Query) (Page[grid.Incident], error) {
	return pageOf(ctx, s, &incidentTable, &incidentList, q)
}
