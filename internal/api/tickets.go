package api

import (
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// ticketRoutes: tickets, their history, and the moves of units and operators.
func (s *Server) ticketRoutes(api huma.API) {
	list(s, api, viewers|units|walls, get("/tickets", "list-tickets", "tickets", "Tickets, newest first; a unit sees its own"), s.Store.ListTickets)
	route(s, api, viewers|units|walls, answerWithin, get("/tickets/{id}", "get-ticket", "tickets", "One ticket"),
		func(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Ticket], error) {
			t, err := s.ticketFor(ctx, by, in.ID)
			return &body[grid.Ticket]{t}, err
		})
	route(s, api, operators|units, answerWithin, get("/tickets/{id}/moves", "list-moves", "tickets", "The ticket's history"), s.moves)
	route(s, api, operators|units, answerWithin, post("/tickets/{id}/moves", "move-ticket", "tickets", "Accept, arrive, resolve, return …: the unit's answer, or the operator's step"), s.move)
	route(s, api, operators|units, answerWithin, get("/tickets/{id}/explain", "explain-ticket", "tickets", "One timeline from raw bytes to closure; to a unit without the bytes, and with its own messages alone"), s.explain)
	route(s, api, operators|units, answerWithin, get("/tickets/{id}/way-in", "get-way-in", "tickets", "How one gets in where the ticket is: building, entrances, who has the keys"), s.wayIn)
	route(s, api, viewers|units|walls, answerWithin, get("/assignments", "list-assignments", "tickets", "Who has which part of a ticket"), s.assignments)
}

// ticketFor reads a ticket that by may see; to a unit, another's ticket does not exist.
func (s *Server) ticketFor(ctx context.Context, by grid.Actor, id string) (grid.Ticket, error) {
	t, err := s.Store.Ticket(ctx, id)
	if err != nil {
		return grid.Ticket{}, err
	}
	if !mayRead(by, &t) {
		return grid.Ticket{}, grid.Errorf(grid.NotFound, "ticket %s: not found", id)
	}
	return t, nil
}

// mayRead reports whether by may see t.
func mayRead(by grid.Actor, t *grid.Ticket) bool {
	return by.Role != grid.RoleUnit ||
		slices.ContainsFunc(t.Assignments, func(a grid.Assignment) bool { return a.Unit == by.Unit })
}

func (s *Server) moves(ctx context.Context, by grid.Actor, in *idInput) (*body[Page[grid.MoveRecord]], error) {
	if _, err := s.ticketFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	moves, err := s.Store.Moves(ctx, in.ID)
	if moves == nil {
		moves = []grid.MoveRecord{}
	}
	return &body[Page[grid.MoveRecord]]{Page[grid.MoveRecord]{Items: moves}}, err
}

// Move is what a unit or an operator sends. Who sends it comes from the token.
type Move struct {
	Verb       grid.Verb         `json:"verb" enum:"verify,accept,arrive,resolve,return,suspend,resume,confirm,assign,cancel,force_close,merge,split,done,note"`
	Assignment string            `json:"assignment,omitempty" doc:"Default: the unit's own, else the lead's."`
	Attempt    int               `json:"attempt,omitempty" doc:"The attempt this answers; a word on an earlier one is refused. 0: the present one."`
	Reason     string            `json:"reason,omitempty" maxLength:"4000"`
	Finding    grid.Verification `json:"finding,omitempty" enum:"true,false,unable"`
	Unit       string            `json:"unit,omitempty" doc:"The unit proposed (return) or named (assign)."`
	Into       string            `json:"into,omitempty" doc:"The ticket to merge into."`
	Alarm      string            `json:"alarm,omitempty" doc:"Of split: the episode."`
	Task       int               `json:"task,omitempty" doc:"Of done: the number of the task."`
	Source     string            `json:"source,omitempty" doc:"Where a finding from afar comes from."`
	OnSite     bool              `json:"on_site,omitempty" doc:"Said by a person who is there."`
	Evidence   string            `json:"evidence,omitempty" maxLength:"4000" doc:"A photo's link, or words."`
	Until      time.Time         `json:"until,omitzero" doc:"End of a suspension."`
	By         *As               `json:"by,omitempty" doc:"With the administrator's token: who does it."`
}

type moveInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again gets the same answer and changes nothing."`
	Body Move
}

func (s *Server) move(ctx context.Context, by grid.Actor, in *moveInput) (*body[grid.Ticket], error) {
	if _, err := s.ticketFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	m := in.Body
	t, err := s.Engine.Move(ctx, grid.Move{
		Key: scopedKey(by, in.Key), Ticket: in.ID, Assignment: m.Assignment, Attempt: m.Attempt, Verb: m.Verb,
		By: m.By.actor(by), At: s.Now().UTC(), Reason: m.Reason, Finding: m.Finding, Unit: m.Unit, Into: m.Into,
		Alarm: m.Alarm, Task: m.Task, Source: m.Source, OnSite: m.OnSite, Evidence: m.Evidence, Until: m.Until,
	})
	return &body[grid.Ticket]{t}, err
}

// scopedKey keeps two units that count their keys from 1 apart.
func scopedKey(by grid.Actor, key string) string {
	if key == "" {
		return ""
	}
	if by.Role == grid.RoleUnit {
		return "unit/" + by.Unit + "/" + key
	}
	if by.Session != "" {
		return "user/" + by.Name + "/" + key
	}
	if by.Token != "" {
		return "token/" + by.Token + "/" + key
	}
	return "admin/" + key
}

type assignmentsInput struct {
	Ticket string `query:"ticket" required:"true"`
}

func (s *Server) assignments(ctx context.Context, by grid.Actor, in *assignmentsInput) (*body[Page[grid.Assignment]], error) {
	t, err := s.ticketFor(ctx, by, in.Ticket)
	if err != nil {
		return nil, err
	}
	return &body[Page[grid.Assignment]]{Page[grid.Assignment]{Items: append([]grid.Assignment{}, t.Assignments...)}}, nil
}
