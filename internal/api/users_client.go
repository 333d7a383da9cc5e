package api

import (
	"context"
	"net/http"
	"net/url"

	"gridgate/internal/auth"
)

// User is a person's account.
type User = auth.User

// UserAct changes a user: what of UserAsk is there, and nothing else.
type UserAct struct {
	Display *string   `json:"display,omitempty"`
	Role    string    `json:"role,omitempty"`
	Scope   any       `json:"scope,omitempty"`
	Units   *[]string `json:"units,omitempty"`
}

// Users reads all users.
func (c *Client) Users(ctx context.Context) (Page[auth.User], error) {
	return call[Page[auth.User]](ctx, c, http.MethodGet, "/api/v1/users", nil, nil)
}

// AddUser adds a user; the answer has the one-time password.
func (c *Client) AddUser(ctx context.Context, ask UserAsk) (UserMade, error) {
	return call[UserMade](ctx, c, http.MethodPost, "/api/v1/users", nil, &content{json: ask})
}

// ChangeUser changes a user, by id or name.
func (c *Client) ChangeUser(ctx context.Context, which string, act UserAct) (auth.User, error) {
	return call[auth.User](ctx, c, http.MethodPatch, "/api/v1/users/"+url.PathEscape(which), nil, &content{json: act})
}

// DisableUser lets a user in no more, or again.
func (c *Client) DisableUser(ctx context.Context, which string, yes bool) (auth.User, error) {
	verb := "enable"
	if yes {
		verb = "disable"
	}
	return call[auth.User](ctx, c, http.MethodPost, "/api/v1/users/"+url.PathEscape(which)+"/"+verb, nil, nil)
}

// ResetUser makes a one-time password; with all, codes and passkeys go too.
func (c *Client) ResetUser(ctx context.Context, which string, all bool) (UserMade, error) {
	return call[UserMade](ctx, c, http.MethodPost, "/api/v1/users/"+url.PathEscape(which)+"/reset", nil, &content{json: map[string]bool{"all": all}})
}

// UserSessions reads where a user is signed on, EndUserSessions signs off everywhere.
func (c *Client) UserSessions(ctx context.Context, which string) (Page[auth.Session], error) {
	return call[Page[auth.Session]](ctx, c, http.MethodGet, "/api/v1/users/"+url.PathEscape(which)+"/sessions", nil, nil)
}

func (c *Client) EndUserSessions(ctx context.Context, which string) (Ended, error) {
	return call[Ended](ctx, c, http.MethodDelete, "/api/v1/users/"+url.PathEscape(which)+"/sessions", nil, nil)
}

// Tokens reads all tokens, without what opens them.
func (c *Client) Tokens(ctx context.Context) (Page[auth.APIToken], error) {
	return call[Page[auth.APIToken]](ctx, c, http.MethodGet, "/api/v1/tokens", nil, nil)
}

// AddToken makes a token; the answer has it, once.
func (c *Client) AddToken(ctx context.Context, ask TokenAsk) (TokenMade, error) {
	return call[TokenMade](ctx, c, http.MethodPost, "/api/v1/tokens", nil, &content{json: ask})
}

// RevokeToken ends a token, by id or name.
func (c *Client) RevokeToken(ctx context.Context, which string) (auth.APIToken, error) {
	return call[auth.APIToken](ctx, c, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(which), nil, nil)
}
