package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// deliveryRoutes: what was sent to whom, and how it fared.
func (s *Server) deliveryRoutes(api huma.API) {
	list(s, api, viewers|units|walls, get("/deliveries", "list-deliveries", "deliveries", "Messages to units; a unit sees its own"), s.Store.ListDeliveries)
	route(s, api, operators|units, answerWithin, get("/deliveries/{id}", "get-delivery", "deliveries", "One message with each try"), s.delivery)
	route(s, api, operators, answerWithin, get("/channels", "list-channels", "deliveries", "How the tests of the channels to units go"), s.channels)
	route(s, api, operators, answerWithin, post("/deliveries/{id}/resend", "resend-delivery", "deliveries", "Send a dead letter again"), s.resend)
}

func (s *Server) channels(context.Context, grid.Actor, *struct{}) (*body[Page[grid.ChannelHealth]], error) {
	out := Page[grid.ChannelHealth]{Items: []grid.ChannelHealth{}}
	if s.Channels != nil {
		out.Items = append(out.Items, s.Channels()...)
	}
	return &body[Page[grid.ChannelHealth]]{out}, nil
}

// DeliveryView is a delivery with its attempts.
type DeliveryView struct {
	grid.Delivery
	Tries []grid.Attempt `json:"tries"`
}

func (s *Server) delivery(ctx context.Context, by grid.Actor, in *idInput) (*body[DeliveryView], error) {
	d, err := s.Store.Delivery(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if by.Role == grid.RoleUnit && d.Unit != by.Unit {
		return nil, grid.Errorf(grid.NotFound, "delivery %s: not found", in.ID)
	}
	tries, err := s.Store.Attempts(ctx, in.ID)
	return &body[DeliveryView]{DeliveryView{d, append([]grid.Attempt{}, tries...)}}, err
}

func (s *Server) resend(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Delivery], error) {
	if err := s.Engine.Resend(ctx, in.ID, by); err != nil {
		return nil, err
	}
	d, err := s.Store.Delivery(ctx, in.ID)
	return &body[grid.Delivery]{d}, err
}
