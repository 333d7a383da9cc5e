package api

import (
	"context"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

// Passkeys are keys that a browser or a security key keeps for a person.
type Passkeys interface {
	PasskeyBegin(session string, at auth.Place) (flow string, options any, err error)
	PasskeyFinish(ctx context.Context, session, flow, name string, at auth.Place, answer []byte) (auth.Passkey, error)
	Passkeys(session string) ([]auth.Passkey, error)
	PasskeyEnd(ctx context.Context, session, id string) error
	PasskeyAsk(at auth.Place) (flow string, options any, err error)
	PasskeyOn(ctx context.Context, flow string, at auth.Place, answer []byte, from, agent string) (auth.Signed, error)
}

// seen lets a route know where its browser is.
func (s *Server) seen(op huma.Operation) huma.Operation {
	op.Middlewares = append(op.Middlewares, func(hc huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(hc)
		next(huma.WithValue(hc, visitorKey{}, s.visitor(r)))
	})
	return op
}

func placeOf(v visitor) auth.Place { return auth.PlaceOf(v.Host, v.TLS) }

func placeIn(ctx context.Context) auth.Place {
	v, _ := ctx.Value(visitorKey{}).(visitor)
	return placeOf(v)
}

func (s *Server) passkeyRoutes(api huma.API) {
	route(s, api, viewers|units, answerWithin, s.seen(post("/session/passkeys/begin", "begin-passkey", "session", "Ask the browser to make a passkey")), s.passkeyBegin)
	route(s, api, viewers|units, answerWithin, s.seen(post("/session/passkeys/finish", "finish-passkey", "session", "Keep the passkey that the browser has made")), s.passkeyFinish)
	route(s, api, viewers|units, answerWithin, get("/session/passkeys", "list-passkeys", "session", "The own passkeys"), s.passkeys)
	route(s, api, viewers|units, answerWithin, del("/session/passkeys/{id}", "end-passkey", "session", "Take a passkey off"), s.passkeyEnd)
	door(s, api, post("/session/passkey/begin", "ask-passkey", "session", "Ask the browser for a passkey to sign on with"), s.passkeyAsk)
	door(s, api, post("/session/passkey/finish", "start-session-passkey", "session", "Sign on with a passkey"), s.passkeyOn)
}

// PasskeyAsked is what navigator.credentials is called with, and what to send back with its answer.
type PasskeyAsked struct {
	Flow    string `json:"flow"`
	Options any    `json:"options"`
}

func (s *Server) passkeyBegin(ctx context.Context, by grid.Actor, _ *struct{}) (*secretAnswer[PasskeyAsked], error) {
	if err := person(by); err != nil {
		return nil, err
	}
	flow, options, err := s.Accounts.PasskeyBegin(by.Session, placeIn(ctx))
	return &secretAnswer[PasskeyAsked]{"no-store", PasskeyAsked{flow, options}}, err
}

type passkeyFinishInput struct {
	Body struct {
		Flow       string         `json:"flow" maxLength:"20000"`
		Name       string         `json:"name,omitempty" maxLength:"60" doc:"What the person calls it."`
		Credential map[string]any `json:"credential" doc:"The answer of navigator.credentials, as its toJSON gives it."`
	}
}

func (s *Server) passkeyFinish(ctx context.Context, by grid.Actor, in *passkeyFinishInput) (*body[auth.Passkey], error) {
	if err := person(by); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(in.Body.Credential)
	if err != nil {
		return nil, err
	}
	return answer(s.Accounts.PasskeyFinish(ctx, by.Session, in.Body.Flow, in.Body.Name, placeIn(ctx), raw))
}

func (s *Server) passkeys(_ context.Context, by grid.Actor, _ *struct{}) (*body[Page[auth.Passkey]], error) {
	if err := person(by); err != nil {
		return nil, err
	}
	all, err := s.Accounts.Passkeys(by.Session)
	return listed(Page[auth.Passkey]{Items: all}, err)
}

func (s *Server) passkeyEnd(ctx context.Context, by grid.Actor, in *idInput) (*body[struct{}], error) {
	if err := person(by); err != nil {
		return nil, err
	}
	return answer(struct{}{}, s.Accounts.PasskeyEnd(ctx, by.Session, in.ID))
}

func (s *Server) passkeyAsk(_ context.Context, v visitor, _ *struct{}) (*secretAnswer[PasskeyAsked], error) {
	flow, options, err := s.Accounts.PasskeyAsk(placeOf(v))
	if err != nil {
		return nil, err
	}
	return &secretAnswer[PasskeyAsked]{"no-store", PasskeyAsked{flow, options}}, nil
}

func (s *Server) passkeyOn(ctx context.Context, v visitor, in *passkeyFinishInput) (*signedOutput, error) {
	if err := s.mayCarry(v); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(in.Body.Credential)
	if err != nil {
		return nil, err
	}
	got, err := s.Accounts.PasskeyOn(ctx, in.Body.Flow, placeOf(v), raw, v.From, v.Agent)
	if err != nil {
		return nil, err
	}
	s.entered(ctx, v, got)
	return s.signed(v, got), nil
}
