package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"gridgate/internal/api"
	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// connector is a grid.Connector that can say what is wrong with a unit's entry.
type connector interface {
	grid.Connector
	Check(u grid.Unit) error
}

// makeConnectors makes every connector by the name that a unit gives.
func (g *Gateway) makeConnectors() error {
	reach := dispatch.Reach{Unit: g.store.Unit}
	for _, s := range g.cfg.Dispatch.AllowCIDRs {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("dispatch.allow_cidrs: %w", err)
		}
		reach.Allow = append(reach.Allow, p)
	}
	webhook := dispatch.NewWebhook(dispatch.WebhookConfig{Target: g.target, Allow: reach.Allow})
	g.connectors = map[string]grid.Connector{"webhook": webhook, "inbox": dispatch.Inbox{}}
	return g.makeCAP(reach)
}

func (g *Gateway) makeCAP(reach dispatch.Reach) error {
	name, file, err := fileOr(g.cfg.Dispatch.CAP, "cap.yaml")
	if err != nil {
		return fmt.Errorf("dispatch.cap: %w", err)
	}
	table, err := dispatch.ParseCAPTable(name, file)
	if err != nil {
		return fmt.Errorf("dispatch.cap: %w", err)
	}
	c := dispatch.NewCAP(dispatch.CAPConfig{
		Reach: reach, Table: table, Earlier: g.earlier, Delivery: g.store.Delivery,
		Recent: func(ctx context.Context, unit string) ([]grid.Delivery, error) { return g.recent(ctx, "cap", unit) },
	})
	g.connectors["cap"] = c
	g.faces = append(g.faces, api.Face{Path: "GET /cap/", Serve: c.ServeHTTP})
	return nil
}

// earlier gives the messages of d's ticket to its unit that came before it by its
// connector, oldest first.
func (g *Gateway) earlier(ctx context.Context, d grid.Delivery) ([]grid.Delivery, error) {
	page, err := g.store.ListDeliveries(ctx, state.Query{Ticket: d.Ticket, Unit: d.Unit, Limit: 1000})
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(page.Items, func(e grid.Delivery) bool {
		return e.N >= d.N || e.Connector != d.Connector || e.State == grid.DeliveryWithheld
	})
	slices.SortFunc(out, func(a, b grid.Delivery) int { return cmp.Compare(a.N, b.N) })
	return out, nil
}

// feedLength is how many of the newest deliveries a feed lists.
const feedLength = 100

// recent gives the newest deliveries by a connector, to one unit or, for "", to all that
// have the connector.
func (g *Gateway) recent(ctx context.Context, connector, unit string) ([]grid.Delivery, error) {
	units := []string{unit}
	if unit == "" {
		var err error
		if units, err = g.unitsBy(ctx, connector); err != nil {
			return nil, err
		}
	}
	var out []grid.Delivery
	for _, id := range units {
		page, err := g.store.ListDeliveries(ctx, state.Query{Unit: id, Limit: feedLength})
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
	}
	slices.SortStableFunc(out, func(a, b grid.Delivery) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID)) })
	return out[:min(len(out), feedLength)], nil
}

// unitsBy lists the units with a connector.
func (g *Gateway) unitsBy(ctx context.Context, connector string) (ids []string, err error) {
	for q := (state.Query{Limit: 1000}); ; {
		page, err := g.store.ListUnits(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, u := range page.Items {
			if u.Connector == connector {
				ids = append(ids, u.ID)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids, nil
		}
	}
}

// parseRegistry reads a registry file, and asks each unit's connector whether it has what
// it needs.
func (g *Gateway) parseRegistry(b []byte) (grid.Registration, error) {
	r, err := registry.Parse(b)
	if err != nil {
		return r, err
	}
	var errs []error
	for _, u := range r.Units {
		c, known := g.connectors[u.Connector]
		if !known {
			errs = append(errs, fmt.Errorf("unit %s: connector is %q: want one of %s", u.ID, u.Connector, strings.Join(slices.Sorted(maps.Keys(g.connectors)), ", ")))
		} else if c, ok := c.(connector); ok {
			errs = append(errs, c.Check(u))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return grid.Registration{}, grid.Errorf(grid.Invalid, "registry file: %w", err)
	}
	return r, nil
}
