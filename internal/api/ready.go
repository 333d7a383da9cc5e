package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// Readiness is what /readyz answers: 200 when every part is up, else 503.
type Readiness struct {
	Ready bool              `json:"ready"`
	Parts map[string]string `json:"parts"` // "ok", or what is wrong

	Simulation Simulation `json:"simulation"`
}

// Simulation is whether simulators may drive this gateway, and the time of its city, which runs
// speed times as fast as the machine's.
type Simulation struct {
	Allowed bool      `json:"allowed"`
	Speed   float64   `json:"speed"`
	Now     time.Time `json:"now"`
}

func (s *Server) simulated() Simulation {
	if s.Simulation == nil {
		return Simulation{Speed: 1, Now: s.Now().UTC()}
	}
	return s.Simulation()
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	out := s.readiness(ctx)
	w.Header().Set("Content-Type", "application/json")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(out) // the client is gone if this fails
}

// Minor is what is wrong with a part that no other depends on: it is told, and the gateway is
// ready all the same.
type Minor struct{ Err error }

func (m Minor) Error() string { return m.Err.Error() }

// readiness asks every part how it is.
func (s *Server) readiness(ctx context.Context) Readiness {
	out := Readiness{Ready: true, Parts: map[string]string{}, Simulation: s.simulated()}
	if s.Ready == nil {
		return out
	}
	for part, err := range s.Ready(ctx) {
		out.Parts[part] = "ok"
		if err != nil {
			_, minor := errors.AsType[Minor](err)
			out.Ready, out.Parts[part] = out.Ready && minor, err.Error()
		}
	}
	return out
}

type backupInput struct {
	Body struct {
		To string `json:"to" minLength:"1" doc:"An empty or new folder on the gateway's machine, absolute."`
	}
}

// backupRoute writes a consistent copy while everything runs.
func (s *Server) backupRoute(api huma.API) {
	op := post("/backup", "backup", "admin", "Write a consistent backup into a folder of the gateway's machine")
	route(s, api, admins, 0, op, func(ctx context.Context, _ grid.Actor, in *backupInput) (*struct{}, error) {
		if s.Backup == nil {
			return nil, grid.Errorf(grid.Unavailable, "backup: %w", errors.ErrUnsupported)
		}
		if !filepath.IsAbs(in.Body.To) {
			return nil, grid.Errorf(grid.Invalid, "to is %q: want an absolute path", in.Body.To)
		}
		return nil, s.Backup(ctx, in.Body.To)
	})
}
