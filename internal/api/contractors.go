package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// unitOf gives the unit behind a token; false for the administrator, and for a unit that is
// not registered any more.
func (s *Server) unitOf(ctx context.Context, by grid.Actor) (grid.Unit, bool, error) {
	if by.Role != grid.RoleUnit {
		return grid.Unit{}, false, nil
	}
	page, err := s.Store.ListUnits(ctx, Query{ID: by.Unit, Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return grid.Unit{}, false, err
	}
	return page.Items[0], true, nil
}

// inTerm lets nobody in by the token of a contractor out of its term, by whatever face, and
// says so.
func (s *Server) inTerm(who func(context.Context, string) (grid.Actor, error)) func(context.Context, string) (grid.Actor, error) {
	return func(ctx context.Context, token string) (grid.Actor, error) {
		by, err := who(ctx, token)
		if err != nil {
			return by, err
		}
		u, ok, err := s.unitOf(ctx, by)
		if err == nil && ok && !u.Term.Has(s.Now()) {
			err = grid.Errorf(grid.Forbidden, "term of unit %s is %s, and it is %s: its token opens nothing", u.ID, u.Term, s.Now().UTC().Format(time.RFC3339))
		}
		if err != nil {
			return grid.Actor{}, err
		}
		return by, nil
	}
}

// whileInTerm ends with the term of the unit that asks: a stream does not outlive it.
func (s *Server) whileInTerm(ctx context.Context, by grid.Actor) (context.Context, context.CancelFunc, error) {
	u, ok, err := s.unitOf(ctx, by)
	if err != nil || !ok || u.Term.To.IsZero() {
		return ctx, func() {}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(float64(u.Term.To.Sub(s.Now()))/s.simulated().Speed))
	return ctx, cancel, nil
}

// Me is who a token stands for, and what it reaches.
type Me struct {
	Role grid.Role `json:"role" doc:"As whom it acts."`
	// Account is the role that decides what it reaches: an admin acts as supervisor, a technician as his unit.
	Account grid.Role  `json:"account"`
	Name    string     `json:"name"`
	Unit    *MeUnit    `json:"unit"`
	Scope   grid.Scope `json:"scope" doc:"What of the registry it reaches; for the administrator everything."`
	Term    *grid.Term `json:"term"`
}

// MeUnit is the unit of a token.
type MeUnit struct {
	ID   string        `json:"id"`
	Name string        `json:"name"`
	Kind grid.UnitKind `json:"kind"`
}

// meRoute: who am I.
func (s *Server) meRoute(api huma.API) {
	route(s, api, viewers|units|walls, answerWithin, get("/me", "get-me", "units", "Who this token stands for, and what it reaches"), s.me)
}

func (s *Server) me(ctx context.Context, by grid.Actor, _ *struct{}) (*body[Me], error) {
	me := Me{Role: by.Role, Account: by.Standing(), Name: by.Name, Scope: by.Scope}
	u, ok, err := s.unitOf(ctx, by)
	if err != nil || !ok {
		return &body[Me]{me}, err
	}
	me.Name, me.Unit, me.Scope = u.Name, &MeUnit{u.ID, u.Name, u.Kind}, u.Scope
	if u.Kind == grid.Maintenance {
		me.Scope.Contractor = u.InHands()
	}
	if !u.Term.IsZero() {
		me.Term = &u.Term
	}
	return &body[Me]{me}, nil
}
