package engine

import (
	"context"
	"fmt"

	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Hot-spots and daily figures are worked out beside the engine from what is committed; here
// they become rows. Both are done once for each key.

// Rectification is the ticket of a place that is listed.
type Rectification struct {
	Title    string
	Priority grid.Priority
}

// HotspotsJudged changes the list: a row without an id is listed, one with a time of
// delisting leaves it, any other has new numbers. A place that stands already is not listed
// again. A listing opens its ticket; a delisting closes nothing.
func (e *Engine) HotspotsJudged(ctx context.Context, rows []grid.Hotspot, r Rectification, key string) error {
	_, err := e.do(ctx, &command{name: "hotspots", key: "hotspots/" + key, do: func(b *batch) (any, error) {
		standing, err := e.store.Hotspots(context.Background())
		if err != nil {
			return nil, err
		}
		at := map[string]*grid.Hotspot{}
		for i := range standing {
			at[standing[i].Key()] = &standing[i]
		}
		for i := range b.rows.Hotspots { // of the same turn
			at[b.rows.Hotspots[i].Key()] = &b.rows.Hotspots[i]
		}
		for i := range rows {
			b.hotspot(&rows[i], at[rows[i].Key()], r)
		}
		return nil, nil
	}})
	return err
}

func (b *batch) hotspot(row, standing *grid.Hotspot, r Rectification) {
	stands := standing != nil && standing.Delisted.IsZero()
	switch {
	case row.ID == "" && stands || row.ID != "" && (!stands || standing.ID != row.ID):
		return // it was judged by a list that has changed since
	case row.ID == "":
		b.list(row, r)
		return
	}
	h := *standing
	h.Alarms, h.Share, h.Kinds, h.Judged = row.Alarms, row.Share, row.Kinds, row.Judged
	h.Delisted, h.WhyNot, h.Supervised = row.Delisted, row.WhyNot, row.Delisted.IsZero()
	b.rows.Hotspots = append(b.rows.Hotspots, h)
	if !h.Delisted.IsZero() {
		b.hotspotChanged(&h, "cleared", "hotspot.delist", h.WhyNot, r)
	}
}

// list puts a place on the list and opens the ticket to put it right.
func (b *batch) list(row *grid.Hotspot, r Rectification) {
	h := *row
	h.ID = b.id()
	b.rectify(&h, r)
	b.rows.Hotspots = append(b.rows.Hotspots, h)
	b.hotspotChanged(&h, "noted", "hotspot.list", h.Why, r)
}

// byFigures is who lists a hot-spot.
var byFigures = grid.Actor{Role: grid.RoleSystem, Name: "figures"}

// rectify opens the ticket. Without a plan for it the place is listed all the same.
func (b *batch) rectify(h *grid.Hotspot, r Rectification) {
	e := b.e
	plan, err := e.Plans.For(grid.EventHotspotListed)
	if err != nil {
		e.log.Error("no ticket was opened", "err", err)
		return
	}
	h.Ticket = b.id()
	t, res := ticket.Open(ticket.Opening{
		ID: h.Ticket, Case: caseNumber(b.now, h.Ticket), Type: grid.EventHotspotListed, Priority: r.Priority, Mode: h.Mode, Scope: h.Scope, Cell: h.Cell,
		Title: r.Title, Place: fmt.Sprintf("%s %s", h.What, h.Place), Detail: h.Why, By: byFigures, At: b.now, Routing: e.routing(""),
	}, plan, e.unitList())
	row := b.changeTicket(h.Ticket)
	*row = t
	b.ticketChanged(row, res)
}

// hotspotChanged writes the event and the audit line of a listing or delisting.
func (b *batch) hotspotChanged(h *grid.Hotspot, action, audit, why string, r Rectification) {
	detail := fmt.Sprintf("%s %s: %s", h.What, h.Place, why)
	b.rows.Events = append(b.rows.Events, grid.Event{
		ID: b.id(), Type: grid.EventHotspotListed, Kind: grid.KindLifecycle, Action: action, Ticket: h.Ticket, Priority: r.Priority, Mode: h.Mode,
		Scope: h.Scope, Cell: h.Cell, At: b.now, Received: b.now, Detail: detail,
	})
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: byFigures, Action: audit, Subject: h.ID, Detail: detail,
		Scope: h.Scope, Cell: h.Cell, Mode: h.Mode,
	})
}

// WriteKPIs adds daily figures to the points for InfluxDB. Their series and times are those of
// the place and the day: the same day again is written over.
func (e *Engine) WriteKPIs(ctx context.Context, points []grid.KPI, key string) error {
	if e.series == nil || len(points) == 0 {
		return nil
	}
	_, err := e.do(ctx, &command{name: "kpi", key: "kpi/" + key, do: func(b *batch) (any, error) {
		for i := range points {
			b.seriesKPI(&points[i])
		}
		return nil, nil
	}})
	return err
}

func (b *batch) seriesKPI(k *grid.KPI) {
	l := &b.e.eventLine
	l.Reset(influx.KPI, influx.Stamp(k.At, 0))
	l.District, l.Street = k.District, k.Street
	for _, f := range k.Fields {
		l.Float(f.Name, f.Value)
	}
	b.addLine(l)
}
