package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// discoveredRoutes: strangers, what they say, and those that are set aside.
func (s *Server) discoveredRoutes(api huma.API) {
	route(s, api, operators, answerWithin, get("/discovered", "list-discovered", "devices", "Identities that are heard and not registered, newest last word first; those that are ignored apart, by state=ignored"), s.discovered)
	op := get("/discovered/{id}", "get-discovered", "devices", "One of them, with its last frames, each read by the best guess, its signal, and why it may be what")
	op.Description = "A technician who knows the identity has the device in hand."
	route(s, api, operators|technicians, answerWithin, op, s.stranger)
	route(s, api, admins, answerWithin, post("/discovered/{id}/ignore", "ignore-discovered", "devices", "Set a stranger aside, with a reason; its frames are counted and kept as ever, and smoke among them is raised as ever"), s.ignore)
	route(s, api, admins, answerWithin, post("/discovered/{id}/unignore", "unignore-discovered", "devices", "List it among the others again"), s.unignore)
}

type discoveredInput struct {
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	State string `query:"state" enum:"waiting,ignored" default:"waiting"`
}

func (s *Server) discovered(ctx context.Context, _ grid.Actor, in *discoveredInput) (*body[Page[grid.Discovered]], error) {
	from := s.Engine.Discovered
	if in.State == "ignored" {
		from = s.Engine.IgnoredStrangers
	}
	items, err := from(ctx, in.Limit)
	if items == nil {
		items = []grid.Discovered{}
	}
	return &body[Page[grid.Discovered]]{Page[grid.Discovered]{Items: items}}, err
}

type strangerInput struct {
	ID      string `path:"id"`
	Profile string `query:"profile" doc:"Read the frames by this profile; default: the best guess of each."`
	Limit   int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

func (s *Server) stranger(ctx context.Context, _ grid.Actor, in *strangerInput) (*body[grid.Stranger], error) {
	out, err := s.Engine.Stranger(ctx, grid.Identity(in.ID), in.Profile, in.Limit)
	return &body[grid.Stranger]{out}, err
}

type ignoreInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body struct {
		Reason string `json:"reason" maxLength:"1000" doc:"What it is, or whose."`
		By     *As    `json:"by,omitempty"`
	}
}

func (s *Server) ignore(ctx context.Context, by grid.Actor, in *ignoreInput) (*body[grid.Discovered], error) {
	out, err := s.Engine.Ignore(ctx, grid.Identity(in.ID), grid.Act{By: in.Body.By.actor(by), Reason: in.Body.Reason, Key: in.Key})
	return &body[grid.Discovered]{out}, err
}

type unignoreInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"1000"`
		By     *As    `json:"by,omitempty"`
	}
}

func (s *Server) unignore(ctx context.Context, by grid.Actor, in *unignoreInput) (*body[grid.Discovered], error) {
	act := grid.Act{By: by, Key: in.Key}
	if in.Body != nil {
		act.By, act.Reason = in.Body.By.actor(by), in.Body.Reason
	}
	out, err := s.Engine.Unignore(ctx, grid.Identity(in.ID), act)
	return &body[grid.Discovered]{out}, err
}
