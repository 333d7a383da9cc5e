package api

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// linkRoutes: the health view of brokers, ports, listeners, and who is behind them.
func (s *Server) linkRoutes(api huma.API) {
	route(s, api, viewers|walls, answerWithin, get("/transports", "list-transports", "transports", "Each broker, port and listener: up or down since when, its frames, its last error"), s.links)
	route(s, api, operators, answerWithin, get("/transports/{name}/peers", "list-peers", "transports", "Who is behind it: clients, slaves, transmitters, CoAP peers, by name"), s.peers)
}

func (s *Server) links(context.Context, grid.Actor, *struct{}) (*body[Page[grid.LinkHealth]], error) {
	if s.Links == nil {
		return nil, grid.Errorf(grid.Unavailable, "transports: %w", errors.ErrUnsupported)
	}
	return &body[Page[grid.LinkHealth]]{Page[grid.LinkHealth]{Items: append([]grid.LinkHealth{}, s.Links()...)}}, nil
}

type peersInput struct {
	Name   string `path:"name" doc:"For example mqtt.city, broker, serial.riser-3, coap.udp."`
	State  string `query:"state" enum:"up,down"`
	Text   string `query:"q" doc:"Part of a name, device or address."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" doc:"The next of the page before."`
}

func (in *peersInput) wants(p *grid.LinkHealth) bool {
	return (in.State == "" || p.Up == (in.State == "up")) &&
		(strings.Contains(p.Name, in.Text) || strings.Contains(string(p.Device), in.Text) || strings.Contains(p.Address, in.Text))
}

// peers cuts a page. Its cursor is the last name of the page before, which holds while peers
// come and go; those that share a name stay on one page.
func (s *Server) peers(_ context.Context, _ grid.Actor, in *peersInput) (*body[Page[grid.LinkHealth]], error) {
	if s.Peers == nil {
		return nil, grid.Errorf(grid.Unavailable, "peers: %w", errors.ErrUnsupported)
	}
	found, err := s.Peers(in.Name)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(p grid.LinkHealth) bool {
		return !in.wants(&p) || in.Cursor != "" && p.Name <= in.Cursor
	})
	slices.SortFunc(found, func(a, b grid.LinkHealth) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Since.Compare(b.Since)) })
	page := Page[grid.LinkHealth]{Items: append([]grid.LinkHealth{}, found[:min(len(found), in.Limit)]...)}
	for n := len(page.Items); n < len(found) && found[n].Name == page.Items[n-1].Name; n++ {
		page.Items = append(page.Items, found[n])
	}
	if n := len(page.Items); n < len(found) {
		page.Next = page.Items[n-1].Name
	}
	return &body[Page[grid.LinkHealth]]{page}, nil
}
