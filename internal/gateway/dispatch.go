package gateway

import (
	"context"
	"encoding/json"
	"strings"

	"gridgate/internal/api"
	"gridgate/internal/dispatch"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/state"
	"gridgate/internal/trace"
)

// What leaves when something is committed: deliveries, downlinks, the live stream.

// committed hands on what a commit made: deliveries leave now, not on a polling tick.
func (g *Gateway) committed(rows *state.Batch) {
	var due []grid.Delivery
	for _, d := range rows.Deliveries {
		if d.State == grid.DeliveryPending && (d.Attempts == 0 || !d.Next.After(g.clock.Now())) {
			due = append(due, d)
		}
	}
	if len(due) > 0 {
		g.dispatcher.Notify(due)
	}
	g.heard.note(rows.Deliveries, g.clock.Now())
	if len(rows.Downlinks) > 0 {
		g.outbox.Notify(rows.Downlinks)
	}
	if len(rows.Rollouts) > 0 {
		g.replan()
	}
	if len(rows.Points) > 0 {
		g.tiles.changed()
	}
	g.api.Publish(api.Change{Events: rows.Events, Alarms: rows.Alarms, Tickets: rows.Tickets, Moves: rows.Moves, Deliveries: rows.Deliveries, Downlinks: rows.Downlinks, Windows: rows.Windows, Visits: rows.Visits, Postures: rows.Postures, Seats: rows.Seats, Handovers: rows.Handovers})
}

// unwritten shows and sends what a smoke alarm calls for that the disk did not take.
func (g *Gateway) unwritten(u *engine.Unjournalled) {
	g.unjournalled.Add(int64(len(u.Alarms)))
	g.dispatcher.SendUnrecorded(u.Deliveries)
	g.api.Publish(api.Change{Alarms: u.Alarms, Tickets: u.Tickets, Deliveries: u.Deliveries})
}

// body freezes the message that a unit gets.
func (g *Gateway) body(t *grid.Ticket, d *grid.Delivery, p *grid.Point, u *grid.Unit) (json.RawMessage, error) {
	m := dispatch.Message{Delivery: *d, Ticket: *t, Unit: *u, Point: *p, Source: "/gridgate", API: g.baseURL(),
		Link: strings.ReplaceAll(g.cfg.Dispatch.Link, "{ticket}", t.ID)}
	for _, a := range t.Assignments {
		if a.ID == d.Assignment {
			m.Assignment = a
		}
	}
	return dispatch.Body(m), nil
}

func (g *Gateway) makeDispatcher() error {
	g.folk = &folk{g.engine, g.store, g.credentials.vault.Keys}
	if err := g.makeConnectors(); err != nil {
		return err
	}
	g.dispatcher = dispatch.New(dispatch.Config{Clock: g.clock, Apart: g.routes.Chains().Carries, Retry: g.cfg.Dispatch.Retry, Deadline: g.cfg.Dispatch.Timeout},
		g.store.PendingDeliveries, results{g.engine, g.traces}, g.keptApart(g.withNumbers(g.connectors)), g.log)
	return nil
}

// target finds where a unit takes webhooks now.
func (g *Gateway) target(ctx context.Context, unit string) (dispatch.Target, error) {
	u, err := g.store.Unit(ctx, unit)
	if err != nil {
		return dispatch.Target{}, err
	}
	return dispatch.Target{URL: u.URL, Secrets: dispatch.Secrets(u), Mode: u.Mode}, nil
}

// results brings the outcome of attempts to the engine.
type results struct {
	engine *engine.Engine
	traces *trace.Tracer
}

func (r results) DeliveryResult(ctx context.Context, id string, a grid.Attempt, o dispatch.Outcome) error {
	err := r.engine.DeliveryResult(ctx, id, a, engine.Fate{State: o.State, Next: o.Next, Ref: o.Ref})
	if err == nil {
		r.traces.Attempt(id, a, o.State)
	}
	return err
}
