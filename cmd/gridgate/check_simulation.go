package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// checkSimulation says loudly that simulators may drive the gateway. With live units that is
// wrong: what happens there must not be silenced, and what is played must not reach them.
func (r *report) checkSimulation(ctx context.Context, c *api.Client, s api.Simulation) error {
	if !s.Allowed {
		return nil
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf("SIMULATION IS ALLOWED: this is no gateway of a real city; speed %v, city time %s", s.Speed, s.Now.Format(time.RFC3339)))
	for q := (api.Query{Limit: 1000}); ; {
		page, err := api.List[grid.Unit](ctx, c, "units", q)
		if err != nil {
			return err
		}
		for _, u := range page.Items {
			if u.Mode == grid.Live || u.Mode == "" {
				r.wrong("unit %s is live where simulation is allowed%s: want its mode simulated, or simulation.allowed false", u.ID, far(u))
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// far says that a unit is not on this machine, and so is told nothing.
func far(u grid.Unit) string {
	at, err := url.Parse(u.URL)
	if err == nil {
		a, parsed := netip.ParseAddr(at.Hostname())
		if u.Connector == "inbox" || at.Hostname() == "localhost" || parsed == nil && a.Unmap().IsLoopback() {
			return ""
		}
	}
	return ", and is told nothing"
}
