package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// KeyKeeper has the key file, and knows what ends by itself.
type KeyKeeper interface {
	RotateKey(ctx context.Context, by grid.Actor) (KeyRotated, error)
	Ending(ctx context.Context, before time.Time) ([]CredentialView, error)
}

// KeyRotated is what came of a new key of the key file.
type KeyRotated struct {
	Key      string `json:"key" doc:"The name of the key that seals from now on. It tells nothing of the key."`
	Resealed int    `json:"resealed" doc:"Secrets that are sealed under it now."`
	Waiting  int    `json:"waiting" doc:"Passwords of devices that are sealed under it when the device next logs in."`
	Keys     int    `json:"keys" doc:"Keys in the file."`
	Removed  int    `json:"removed" doc:"Keys that were taken out, as nothing is sealed under them."`
}

// endingMost is how many credentials that end are shown at once, the first first.
const endingMost = 1000

// keyRoutes: the key file, and credentials that end.
func (s *Server) keyRoutes(api huma.API) {
	rotate := post("/keys/rotate", "rotate-key", "system", "Add a key to the key file, and seal everything under it")
	rotate.DefaultStatus = http.StatusOK
	route(s, api, admins, importWithin, rotate, s.rotateKey)
	route(s, api, operators|technicians, answerWithin, get("/credentials", "list-ending-credentials", "devices", "Keys, passwords and certificates of devices that end by themselves, the first first"), s.endingCredentials)
}

func (s *Server) keeper() (KeyKeeper, error) {
	k, ok := s.Credentials.(KeyKeeper)
	if !ok {
		return nil, grid.Errorf(grid.Unavailable, "key file: %w", errors.ErrUnsupported)
	}
	return k, nil
}

func (s *Server) rotateKey(ctx context.Context, by grid.Actor, _ *struct{}) (*body[KeyRotated], error) {
	k, err := s.keeper()
	if err != nil {
		return nil, err
	}
	done, err := k.RotateKey(ctx, by)
	return &body[KeyRotated]{done}, err
}

type endingInput struct {
	Days int `query:"days" minimum:"1" maximum:"3650" default:"30" doc:"Those that end within so many days."`
}

func (s *Server) endingCredentials(ctx context.Context, by grid.Actor, in *endingInput) (*body[Page[CredentialView]], error) {
	k, err := s.keeper()
	if err != nil {
		return nil, err
	}
	all, err := k.Ending(ctx, s.Now().AddDate(0, 0, in.Days))
	if err != nil {
		return nil, err
	}
	items := []CredentialView{}
	for _, c := range all {
		_, err := oneOf(ctx, s, by, string(c.Device), "device", s.Store.ListDevices)
		if code := grid.CodeOf(err); err != nil && code != grid.NotFound && code != grid.Forbidden {
			return nil, err
		}
		if err == nil { // within the reach of who asks
			items = append(items, c)
		}
		if len(items) == endingMost {
			break
		}
	}
	return &body[Page[CredentialView]]{Page[CredentialView]{Items: items}}, nil
}

// RotateKey has the gateway seal everything under a new key.
func (c *Client) RotateKey(ctx context.Context) (KeyRotated, error) {
	return call[KeyRotated](ctx, c, http.MethodPost, "/api/v1/keys/rotate", nil, nil)
}
