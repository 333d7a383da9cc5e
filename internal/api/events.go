package api

import (
	"context"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// eventRoutes: grid events and the alarms behind them.
func (s *Server) eventRoutes(api huma.API) {
	list(s, api, viewers|walls, get("/events", "list-events", "events", "Grid events, newest first"), s.Store.ListEvents)
	list(s, api, viewers|walls, get("/incidents", "list-incidents", "incidents", "Episodes of one cause at one place, under one ticket; kind is the cause, for example fire"), s.Store.ListIncidents)
	route(s, api, viewers|walls, answerWithin, get("/incidents/{id}", "get-incident", "incidents", "One incident with its members"), s.incident)
}

// IncidentDetail is an incident with the episodes that belong to it, oldest first.
type IncidentDetail struct {
	grid.Incident
	Alarms []grid.Alarm `json:"alarms"`
}

func (s *Server) incident(ctx context.Context, _ grid.Actor, in *idInput) (*body[IncidentDetail], error) {
	i, err := s.Store.Incident(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	page, err := s.Store.ListAlarms(ctx, Query{Incident: in.ID, Limit: 1000})
	if err != nil {
		return nil, err
	}
	slices.Reverse(page.Items)
	return &body[IncidentDetail]{IncidentDetail{i, page.Items}}, nil
}

// As names the person behind a token, for the history: a technician of a unit, or whom the
// administrator acts for.
type As struct {
	Name string    `json:"name,omitempty" maxLength:"200"`
	Role grid.Role `json:"role,omitempty" enum:"operator,supervisor,technician"`
}

// technician is no role of its own: he acts for his unit, or at the desk as an operator.
const technician = grid.Role("technician")

// actor is who acts: a person who has signed on only ever as himself, a unit as itself, perhaps
// with its technician's name, the administrator's token and programs as whom they name, with no
// more rights than their own.
func (a *As) actor(by grid.Actor) grid.Actor {
	switch {
	case a == nil || by.Session != "":
		return by
	case by.Role == grid.RoleUnit:
		if a.Role == technician && a.Name != "" {
			by.Name = a.Name
		}
		return by
	}
	if a.Name != "" {
		by.Name = a.Name
	}
	by.Account = ""
	if by.Role == grid.RoleSupervisor && a.Role != "" {
		if by.Role = a.Role; a.Role == technician {
			by.Role = grid.RoleOperator
		}
	}
	return by
}
