package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/audit"
	"gridgate/internal/grid"
)

// Erase asks for what is known of a person, or was read at a home, to be taken away.
type Erase struct {
	What   string `json:"what" enum:"contact,dwelling"`
	ID     string `json:"id" minLength:"1" maxLength:"200" doc:"Of the contact, or of the point."`
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; not needed for a dry run."`
	DryRun bool   `json:"dry_run,omitempty" doc:"Say what there is, and take nothing."`
}

// Erased is what was there and what is left: the proof is a count after the deed, not its wish.
type Erased struct {
	What   string       `json:"what"`
	ID     string       `json:"id"`
	DryRun bool         `json:"dry_run"`
	Parts  []ErasedPart `json:"parts"`
	Stays  []string     `json:"stays"` // what is not reached, and when it goes
}

// ErasedPart is one place where something was.
type ErasedPart struct {
	Part  string `json:"part"`
	Found int64  `json:"found"`
	Left  int64  `json:"left"`
}

// wasErased answers who asks for what is gone.
func wasErased(what, id string, at time.Time, why string) error {
	return grid.Errorf(grid.NotFound, "%s %s was erased on %s: %s", what, id, at.UTC().Format(time.DateOnly), why)
}

func (s *Server) eraseRoute(api huma.API) {
	route(s, api, admins, importWithin, post("/erase", "erase", "people", "Take away what is known of a person, or was read at a home"), s.erase)
}

func (s *Server) erase(ctx context.Context, by grid.Actor, in *struct{ Body Erase }) (*body[Erased], error) {
	if s.Erase == nil {
		return nil, grid.Errorf(grid.Unavailable, "erase: %w", errors.ErrUnsupported)
	}
	if by.Scope != (grid.Scope{}) {
		return nil, grid.Errorf(grid.Forbidden, "erasing is for an administrator of the whole district")
	}
	if in.Body.Reason == "" && !in.Body.DryRun {
		return nil, grid.Errorf(grid.Invalid, "reason is missing: want why it is erased")
	}
	return answer(s.Erase(ctx, in.Body, by))
}

// lookedAt notes in the audit that somebody reads what a point of a home says, if its class wants it.
func (s *Server) lookedAt(ctx context.Context, p *grid.Point) {
	if s.Private != nil && s.Private(p) {
		audit.Personal(ctx, "")
	}
}

// lookedAtPlace is lookedAt for what is told of a point by its id.
func (s *Server) lookedAtPlace(ctx context.Context, point string) {
	if s.Private == nil || point == "" {
		return
	}
	if p, err := s.Store.Point(ctx, point); err == nil && s.Private(&p) {
		audit.Personal(ctx, "point="+point)
	}
}

// lookedAtDevice is lookedAt for what a device says.
func (s *Server) lookedAtDevice(ctx context.Context, id grid.Identity) {
	if s.Private == nil {
		return
	}
	at, err := s.Store.ListInstallations(ctx, Query{Device: string(id), Limit: 100})
	if err != nil {
		return
	}
	for _, in := range at.Items {
		if p, err := s.Store.Point(ctx, in.Point); err == nil && s.Private(&p) {
			audit.Personal(ctx, "point="+p.ID)
			return
		}
	}
}

// Erase takes away what is known of a person, or was read at a home.
func (c *Client) Erase(ctx context.Context, e Erase) (Erased, error) {
	return call[Erased](ctx, c, http.MethodPost, "/api/v1/erase", nil, &content{json: e})
}
