package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/configs"
	"gridgate/internal/api"
	"gridgate/internal/cert"
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
	reach := dispatch.Reach{Unit: g.unitWithNumber, Now: g.clock.Now}
	for _, s := range g.cfg.Dispatch.AllowCIDRs {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("dispatch.allow_cidrs: %w", err)
		}
		reach.Allow = append(reach.Allow, p)
	}
	var err error
	if reach.TLS, err = cert.Trusting(g.cfg.Dispatch.CA); err != nil {
		return fmt.Errorf("dispatch.ca: %w", err)
	}
	webhook := dispatch.NewWebhook(dispatch.WebhookConfig{Target: g.target, Allow: reach.Allow, TLS: reach.TLS})
	g.connectors = map[string]grid.Connector{"webhook": webhook, "inbox": dispatch.Inbox{}}
	g.connectors["open311"], g.connectors["gbt26875"] = dispatch.NewOpen311(reach), dispatch.NewGBT26875(reach)
	if err := g.makeMail(reach); err != nil {
		return err
	}
	if err := g.makeTemplates(reach); err != nil {
		return err
	}
	if err := g.makeCAP(reach); err != nil {
		return err
	}
	if err := g.makeServer311(); err != nil {
		return err
	}
	g.makePoller()
	g.makeTester()
	return nil
}

func (g *Gateway) makeMail(reach dispatch.Reach) error {
	c := &g.cfg.Dispatch.Mail
	if c.Server == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		return fmt.Errorf("dispatch.mail.server: %w", err)
	}
	m := dispatch.MailConfig{TLS: reach.TLS, Host: host, Implicit: c.ImplicitTLS, Username: c.Username, From: c.From}
	if m.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("dispatch.mail.server: port is %q: want a number", port)
	}
	if c.PasswordFile != "" {
		password, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return fmt.Errorf("dispatch.mail.password_file: %w", err)
		}
		m.Password = string(trimmed(password))
	}
	connector, err := dispatch.NewMail(m, reach)
	if err != nil {
		return fmt.Errorf("dispatch.mail: %w", err)
	}
	g.connectors["mail"] = connector
	return nil
}

// makeTemplates makes the connectors that are data: the built-in ones, and those of the
// configured folders over them.
func (g *Gateway) makeTemplates(reach dispatch.Reach) error {
	specs, err := dispatch.LoadTemplates(g.cfg.ConnectorDirs()...)
	if err != nil {
		return fmt.Errorf("dispatch.connectors: %w", err)
	}
	g.reloading.templates = map[string]*dispatch.Template{}
	for name, s := range specs {
		t := dispatch.NewTemplate(s, reach)
		g.connectors[name], g.reloading.templates[name] = t, t
	}
	return nil
}

// ConnectorDirs are the folders of connectors that are data, the built-in one first.
func (c *Config) ConnectorDirs() []fs.FS {
	builtIn, err := fs.Sub(configs.FS, "connectors")
	if err != nil {
		panic("gateway: " + err.Error()) // it is part of the program
	}
	dirs := []fs.FS{builtIn}
	for _, d := range c.Dispatch.Connectors {
		dirs = append(dirs, os.DirFS(d))
	}
	return dirs
}

// makePoller makes the worker that asks those units' systems that do not call back.
func (g *Gateway) makePoller() {
	askers := map[string]dispatch.Asker{}
	for name, c := range g.connectors {
		a, ok := c.(dispatch.Asker)
		if t, data := c.(*dispatch.Template); ok && (!data || t.Asks()) {
			askers[name] = a
		}
	}
	g.poller = dispatch.NewPoller(dispatch.PollConfig{
		Askers: askers, Units: g.unitsToAsk, Unit: g.store.Unit, Soon: g.routes.Chains().Carries, Open: g.openWorkOrCalls, Move: g.moveOrAnswer, Seen: g.engine.DeliverySeen, Every: g.cfg.Dispatch.Poll, Clock: g.clock, Log: g.log,
	})
}

// openPage is how many of a unit's open tickets one question is about.
const openPage = 100

// openWork gives a page of a unit's open tickets with the last message of each that its
// system gave a number.
func (g *Gateway) openWork(ctx context.Context, unit, cursor string) ([]dispatch.Open, string, error) {
	page, err := g.store.ListTickets(ctx, state.Query{Unit: unit, State: "open", Limit: openPage, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	var out []dispatch.Open
	for _, t := range page.Items {
		sent, err := g.store.ListDeliveries(ctx, state.Query{Ticket: t.ID, Unit: unit, Limit: 100})
		if err != nil {
			return nil, "", err
		}
		last := -1
		for i, d := range sent.Items {
			if d.Ref != "" && (last < 0 || d.N > sent.Items[last].N) {
				last = i
			}
		}
		if last >= 0 {
			out = append(out, dispatch.Open{Ticket: t, Delivery: sent.Items[last]})
		}
	}
	return out, page.Next, nil
}

// makeServer311 makes the server face of Open311.
func (g *Gateway) makeServer311() error {
	name, file, err := fileOr(g.cfg.Dispatch.Open311, "open311.yaml")
	if err != nil {
		return fmt.Errorf("dispatch.open311: %w", err)
	}
	services, err := dispatch.ParseServices311(name, file)
	if err != nil {
		return fmt.Errorf("dispatch.open311: %w", err)
	}
	s := dispatch.NewServer311(dispatch.Server311Config{
		Now:      g.clock.Now,
		Services: services, Point: g.store.Point, File: g.engine.FileEvent,
		Ticket: func(ctx context.Context, unit, id string) (grid.Ticket, error) {
			t, err := g.store.Ticket(ctx, id)
			if err == nil && !g.mayFollow(ctx, unit, &t) {
				err = grid.Errorf(grid.NotFound, "ticket %s: not found", id)
			}
			return t, err
		},
		Tickets: func(ctx context.Context, unit, of string, since, until time.Time) ([]grid.Ticket, error) {
			page, err := g.store.ListTickets(ctx, state.Query{Unit: unit, State: of, Since: since, Until: until, Limit: 1000})
			return page.Items, err
		},
	})
	g.faces = append(g.faces, api.Face{Path: "/open311/v2/", Serve: s.ServeHTTP, Key: dispatch.Key311, Refuse: s.Refuse})
	return nil
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
	r, err := registry.ParseOn(b, g.engine.Regions())
	if err != nil {
		return r, err
	}
	var errs []error
	for _, u := range r.Units {
		errs = append(errs, g.checkQuiet(u))
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

// poll asks units' systems once the engine can take what they say.
func (g *Gateway) poll(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
		return g.poller.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}
