package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

// Issuers are identity providers that people may sign on through.
type Issuers interface {
	Issuers() []*auth.Issuer
	OIDCStart(ctx context.Context, id, to string, at auth.Place) (where, carry string, err error)
	OIDCFinish(ctx context.Context, r auth.Return) (auth.Signed, string, error)
}

// carryCookie is taken through the provider and back. Lax: the way back comes from another site.
func carryCookie(v visitor, carry string) http.Cookie {
	c := http.Cookie{Name: "gridgate-oidc", Value: carry, Path: "/api/v1/oidc/", HttpOnly: true, Secure: v.TLS, SameSite: http.SameSiteLaxMode, MaxAge: int(10 * time.Minute / time.Second)}
	if carry == "" {
		c.MaxAge = -1
	}
	return c
}

func (s *Server) oidcRoutes(api huma.API) {
	door(s, api, get("/oidc/{id}/start", "start-oidc", "session", "Go to an identity provider to sign on"), s.oidcStart)
	door(s, api, get("/oidc/{id}/callback", "finish-oidc", "session", "Come back from it"), s.oidcCallback)
}

type oidcStartInput struct {
	ID string `path:"id"`
	To string `query:"to" default:"/" maxLength:"1000" doc:"Where to go then: a path of this gateway."`
}

type redirectOutput struct {
	Status       int
	Location     string        `header:"Location"`
	CacheControl string        `header:"Cache-Control"`
	SetCookie    []http.Cookie `header:"Set-Cookie"`
}

func (s *Server) oidcStart(ctx context.Context, v visitor, in *oidcStartInput) (*redirectOutput, error) {
	if err := s.mayCarry(v); err != nil {
		return nil, err
	}
	where, carry, err := s.Accounts.OIDCStart(ctx, in.ID, in.To, placeOf(v))
	if err != nil {
		return nil, err
	}
	return &redirectOutput{http.StatusFound, where, "no-store", []http.Cookie{carryCookie(v, carry)}}, nil
}

type oidcCallbackInput struct {
	ID      string `path:"id"`
	Code    string `query:"code" maxLength:"8000"`
	State   string `query:"state" maxLength:"200"`
	Error   string `query:"error" maxLength:"200"`
	Said    string `query:"error_description" maxLength:"2000"`
	URI     string `query:"error_uri" maxLength:"2000"`
	Issuer  string `query:"iss" maxLength:"2000"`
	Session string `query:"session_state" maxLength:"2000"`
	Scope   string `query:"scope" maxLength:"2000"`
	Carry   string `cookie:"gridgate-oidc"`
}

// oidcCallback goes to a page also when it is refused: a person looks at it.
func (s *Server) oidcCallback(ctx context.Context, v visitor, in *oidcCallbackInput) (*redirectOutput, error) {
	out := &redirectOutput{http.StatusSeeOther, "/", "no-store", []http.Cookie{carryCookie(v, "")}}
	if t := trailOf(ctx); t != nil {
		t.change = true // a sign-on, though a GET
	}
	got, to, err := auth.Signed{}, "", s.mayCarry(v)
	if err == nil && in.Error != "" {
		err = grid.Errorf(grid.Unauthorized, "the identity provider says %q", in.Error)
	}
	if err == nil {
		got, to, err = s.Accounts.OIDCFinish(ctx, auth.Return{Issuer: in.ID, Carry: in.Carry, State: in.State, Code: in.Code, From: v.From, Agent: v.Agent})
	}
	if err != nil {
		s.Log.Warn("sign-on through an identity provider was refused", "provider", in.ID, "err", err, "from", v.From)
		trailOf(ctx).refused(grid.CodeOf(err))
		out.Location = "/?refused=" + string(grid.CodeOf(err))
		return out, nil
	}
	s.entered(ctx, v, got)
	out.Location = to
	out.SetCookie = append(out.SetCookie, s.cookieFor(v, got.Secret, got.Session.Expires))
	return out, nil
}
