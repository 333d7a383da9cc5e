package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/audit"
	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

// userRoutes: accounts of persons, and tokens of programs.
func (s *Server) userRoutes(api huma.API) {
	route(s, api, admins, answerWithin, get("/users", "list-users", "users", "Users by name"), s.users)
	add := post("/users", "add-user", "users", "Add a user; the answer has a one-time password, once")
	add.DefaultStatus = 201
	route(s, api, admins, answerWithin, add, s.addUser)
	change := post("/users/{id}", "change-user", "users", "Change a user; a new role or scope ends the sessions")
	change.Method = "PATCH"
	route(s, api, admins, answerWithin, change, s.changeUser)
	route(s, api, admins, answerWithin, post("/users/{id}/disable", "disable-user", "users", "Let a user in no more; sessions end at once"), s.disableUser(true))
	route(s, api, admins, answerWithin, post("/users/{id}/enable", "enable-user", "users", "Let a user in again"), s.disableUser(false))
	route(s, api, admins, answerWithin, post("/users/{id}/reset", "reset-user", "users", "A one-time password, shown once; sessions end"), s.resetUser)
	route(s, api, admins, answerWithin, get("/users/{id}/sessions", "list-user-sessions", "users", "Where a user is signed on"), s.userSessions)
	route(s, api, admins, answerWithin, del("/users/{id}/sessions", "end-user-sessions", "users", "Sign a user off everywhere"), s.endUserSessions)

	route(s, api, admins, answerWithin, get("/tokens", "list-tokens", "users", "Tokens of programs and walls, without what opens them"), s.tokens)
	made := post("/tokens", "add-token", "users", "Make a token; it is shown once")
	made.DefaultStatus = 201
	route(s, api, admins, answerWithin, made, s.addToken)
	route(s, api, admins, answerWithin, del("/tokens/{id}", "revoke-token", "users", "End a token"), s.revokeToken)
}

func (s *Server) users(context.Context, grid.Actor, *struct{}) (*body[Page[auth.User]], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	return listed(Page[auth.User]{Items: a.Users()}, nil)
}

func (s *Server) accounts() (Accounts, error) {
	if s.Accounts == nil {
		return nil, grid.Errorf(grid.Unavailable, "this gateway keeps no accounts")
	}
	return s.Accounts, nil
}

// UserAsk is a user as it is given.
type UserAsk struct {
	Name     string     `json:"name" maxLength:"64"`
	Display  string     `json:"display,omitempty" maxLength:"100"`
	Role     grid.Role  `json:"role" enum:"viewer,operator,supervisor,technician,unit,admin"`
	Scope    grid.Scope `json:"scope,omitzero" doc:"What of the city it reaches; none: the whole district."`
	Units    []string   `json:"units,omitempty" maxItems:"1" doc:"Of a technician or a unit's person: the unit acted for."`
	Password string     `json:"password,omitempty" maxLength:"2000" doc:"None: a one-time password is made. One that is given must be changed too."`
}

// UserMade is a user with the one-time password, shown once.
type UserMade struct {
	auth.User
	OneTime string `json:"one_time,omitempty" doc:"Shown once."`
}

type addUserInput struct{ Body UserAsk }

func (s *Server) addUser(ctx context.Context, _ grid.Actor, in *addUserInput) (*secretAnswer[UserMade], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	b := in.Body
	if err := s.unitsThere(ctx, b.Units); err != nil {
		return nil, err
	}
	u, made, err := a.AddUser(ctx, auth.NewUser{Name: b.Name, Display: b.Display, Role: b.Role, Scope: b.Scope, Units: b.Units, Password: b.Password, MustTurn: true})
	audit.Note(ctx, nil, u)
	return &secretAnswer[UserMade]{"no-store", UserMade{u, made}}, err
}

// unitsThere refuses a unit that is not registered.
func (s *Server) unitsThere(ctx context.Context, units []string) error {
	for _, id := range units {
		page, err := s.Store.ListUnits(ctx, Query{ID: id, Limit: 1})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return grid.Errorf(grid.Invalid, "unit %q is not registered", id)
		}
	}
	return nil
}

type changeUserInput struct {
	ID   string `path:"id" doc:"Id or name."`
	Body struct {
		Display *string     `json:"display,omitempty" maxLength:"100"`
		Role    *grid.Role  `json:"role,omitempty" enum:"viewer,operator,supervisor,technician,unit,admin"`
		Scope   *grid.Scope `json:"scope,omitempty"`
		Units   *[]string   `json:"units,omitempty" maxItems:"1"`
	}
}

func (s *Server) changeUser(ctx context.Context, _ grid.Actor, in *changeUserInput) (*body[auth.User], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	b := in.Body
	if b.Units != nil {
		if err := s.unitsThere(ctx, *b.Units); err != nil {
			return nil, err
		}
	}
	return s.userChanged(ctx, a, in.ID, auth.UserChange{Display: b.Display, Role: b.Role, Scope: b.Scope, Units: b.Units})
}

func (s *Server) userChanged(ctx context.Context, a Accounts, id string, c auth.UserChange) (*body[auth.User], error) {
	var before any
	for _, u := range a.Users() {
		if u.ID == id || u.Name == id {
			before = u
		}
	}
	u, err := a.ChangeUser(ctx, id, c)
	if err == nil {
		audit.Note(ctx, before, u)
	}
	return answer(u, err)
}

func (s *Server) disableUser(yes bool) func(context.Context, grid.Actor, *idInput) (*body[auth.User], error) {
	return func(ctx context.Context, _ grid.Actor, in *idInput) (*body[auth.User], error) {
		a, err := s.accounts()
		if err != nil {
			return nil, err
		}
		return s.userChanged(ctx, a, in.ID, auth.UserChange{Disabled: &yes})
	}
}

type resetUserInput struct {
	ID   string `path:"id" doc:"Id or name."`
	Body *struct {
		All bool `json:"all,omitempty" doc:"One-time codes and passkeys go too: for who has lost them."`
	}
}

func (s *Server) resetUser(ctx context.Context, _ grid.Actor, in *resetUserInput) (*secretAnswer[UserMade], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	u, made, err := a.ResetPassword(ctx, in.ID, in.Body != nil && in.Body.All)
	return &secretAnswer[UserMade]{"no-store", UserMade{u, made}}, err
}

func (s *Server) userSessions(_ context.Context, _ grid.Actor, in *idInput) (*body[Page[auth.Session]], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	all, err := a.Sessions(in.ID)
	return listed(Page[auth.Session]{Items: all}, err)
}

// Ended is how many have ended.
type Ended struct {
	Ended int `json:"ended"`
}

func (s *Server) endUserSessions(ctx context.Context, _ grid.Actor, in *idInput) (*body[Ended], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	n, err := a.EndSessions(ctx, in.ID)
	return answer(Ended{n}, err)
}

func (s *Server) tokens(context.Context, grid.Actor, *struct{}) (*body[Page[auth.APIToken]], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	return listed(Page[auth.APIToken]{Items: a.Tokens()}, nil)
}

// TokenAsk is a token as it is wanted.
type TokenAsk struct {
	Name    string     `json:"name" maxLength:"100" doc:"What it is for."`
	Role    grid.Role  `json:"role,omitempty" enum:"viewer,operator,supervisor,technician,unit,admin,standby" doc:"standby: a second machine's, which copies everything and reaches nothing else."`
	Scope   grid.Scope `json:"scope,omitzero"`
	Unit    string     `json:"unit,omitempty" doc:"Of a technician's or a unit's: the unit acted for."`
	Expires time.Time  `json:"expires,omitzero" doc:"None: until it is revoked; an admin's must end."`
	Wall    bool       `json:"wall,omitempty" doc:"For a screen that all see: it reads what a wall shows, and nothing of persons."`
}

// TokenMade is a token, shown once.
type TokenMade struct {
	auth.APIToken
	Token string `json:"token" doc:"Shown once."`
}

type addTokenInput struct{ Body TokenAsk }

func (s *Server) addToken(ctx context.Context, by grid.Actor, in *addTokenInput) (*secretAnswer[TokenMade], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	b := in.Body
	if b.Unit != "" {
		if err := s.unitsThere(ctx, []string{b.Unit}); err != nil {
			return nil, err
		}
	}
	t, secret, err := a.AddToken(ctx, auth.APIToken{Name: b.Name, Role: b.Role, Scope: b.Scope, Unit: b.Unit, Expires: b.Expires, Wall: b.Wall, By: by.Name})
	if err == nil {
		audit.Note(ctx, nil, t)
	}
	return &secretAnswer[TokenMade]{"no-store", TokenMade{t, secret}}, err
}

func (s *Server) revokeToken(ctx context.Context, _ grid.Actor, in *idInput) (*body[auth.APIToken], error) {
	a, err := s.accounts()
	if err != nil {
		return nil, err
	}
	t, err := a.RevokeToken(ctx, in.ID)
	if err == nil {
		audit.Note(ctx, t, nil)
	}
	return answer(t, err)
}
