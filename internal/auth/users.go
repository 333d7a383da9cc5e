package auth

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"gridgate/internal/grid"
)

// Persons who sign on: made, changed, given another password.

// User is a person's account.
type User struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Display    string     `json:"display,omitempty"`
	Role       grid.Role  `json:"role"`
	Scope      grid.Scope `json:"scope" doc:"What of the city it reaches; empty: the whole district."`
	Units      []string   `json:"units,omitempty" doc:"Of a technician or a unit's person: the unit acted for."`
	Disabled   bool       `json:"disabled,omitempty"`
	MustChange bool       `json:"must_change,omitempty" doc:"The password is a one-time one."`
	Outside    string     `json:"outside,omitempty" doc:"Signs on through this identity provider."`
	Created    time.Time  `json:"created"`
	Seen       time.Time  `json:"seen,omitzero" doc:"Last signed on."`
	TOTP       bool       `json:"totp,omitempty" doc:"One-time codes are asked for."`
	Passkeys   int        `json:"passkeys,omitempty"`
}

// userRow is all that is kept of a user.
type userRow struct {
	User
	Password string    `json:"password,omitempty"`
	Subject  string    `json:"subject,omitempty"` // at the identity provider
	Codes    *codes    `json:"codes,omitempty"`
	Keys     []passkey `json:"keys,omitempty"`
	Known    []string  `json:"known,omitempty"` // where it was signed on from
}

func (u *userRow) view() User {
	v := u.User
	v.Units = slices.Clone(v.Units)
	v.TOTP, v.Passkeys = u.Codes != nil && u.Codes.On, len(u.Keys)
	return v
}

// NewUser is a user as an admin adds one.
type NewUser struct {
	Name     string
	Display  string
	Role     grid.Role
	Scope    grid.Scope
	Units    []string
	Password string // "" : a one-time password is made
	MustTurn bool   // the password given must be changed at the first sign-on
}

func checkUser(u *User) error {
	n := len([]rune(u.Name))
	if n < 2 || n > 64 || strings.ContainsFunc(u.Name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_@", r)
	}) {
		return grid.Errorf(grid.Invalid, "name is %q: want 2 to 64 letters, digits, and . - _ @", u.Name)
	}
	if len([]rune(u.Display)) > 100 {
		return grid.Errorf(grid.Invalid, "display has %d characters: want at most 100", len([]rune(u.Display)))
	}
	return checkRole(u.Role, u.Scope, u.Units)
}

// checkRole says what a role may be limited by.
func checkRole(r grid.Role, scope grid.Scope, units []string) error {
	switch r {
	case grid.RoleTechnician, grid.RoleUnit:
		if len(units) != 1 || units[0] == "" {
			return grid.Errorf(grid.Invalid, "units is %q: a %s acts for one unit", units, r)
		}
	case grid.RoleViewer, grid.RoleOperator, grid.RoleSupervisor:
		if len(units) > 0 {
			return grid.Errorf(grid.Invalid, "units is %q: only a technician or a unit's person acts for a unit", units)
		}
	case grid.RoleAdmin:
		if scope != (grid.Scope{}) || len(units) > 0 {
			return grid.Errorf(grid.Invalid, "scope is given: an admin has the whole district")
		}
	default:
		return grid.Errorf(grid.Invalid, "role is %q: want viewer, operator, supervisor, technician, unit or admin", r)
	}
	return nil
}

// AddUser adds a user and gives the one-time password, "" where one was given.
func (a *Accounts) AddUser(ctx context.Context, n NewUser) (User, string, error) {
	u := &userRow{User: User{ID: newID("u_"), Name: strings.TrimSpace(n.Name), Display: n.Display, Role: n.Role, Scope: n.Scope, Units: n.Units, Created: a.o.Now().UTC().Truncate(time.Second), MustChange: n.MustTurn}}
	if err := checkUser(&u.User); err != nil {
		return User{}, "", err
	}
	made := ""
	if n.Password == "" {
		made = OneTimePassword()
		n.Password, u.MustChange = made, true
	} else if err := CheckPassword(n.Password, u.Name, u.Display); err != nil {
		return User{}, "", err
	}
	var err error
	if u.Password, err = a.tries.own.hash(ctx, n.Password); err != nil {
		return User{}, "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.named(u.Name) != nil {
		return User{}, "", grid.Errorf(grid.Conflict, "user %q: there is one of this name", u.Name)
	}
	if err := a.save(ctx, u); err != nil {
		return User{}, "", err
	}
	a.users[u.ID] = u
	return u.view(), made, nil
}

// named finds a user by name. Call with mu held.
func (a *Accounts) named(name string) *userRow {
	for _, u := range a.users {
		if fold(u.Name) == fold(name) {
			return u
		}
	}
	return nil
}

// Users are all, by name.
func (a *Accounts) Users() []User {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := []User{}
	for _, u := range a.users {
		out = append(out, u.view())
	}
	slices.SortFunc(out, func(a, b User) int { return cmp.Compare(fold(a.Name), fold(b.Name)) })
	return out
}

// User finds one by id or name.
func (a *Accounts) User(which string) (User, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	u, err := a.find(which)
	if err != nil {
		return User{}, err
	}
	return u.view(), nil
}

func (a *Accounts) find(which string) (*userRow, error) {
	if u := a.users[which]; u != nil {
		return u, nil
	}
	if u := a.named(which); u != nil {
		return u, nil
	}
	return nil, grid.Errorf(grid.NotFound, "user %q: not found", which)
}

// UserChange is what of a user is to be changed; nil leaves it.
type UserChange struct {
	Display  *string
	Role     *grid.Role
	Scope    *grid.Scope
	Units    *[]string
	Disabled *bool
}

// ChangeUser changes a user. A change of the role or the scope, and an end of the account, end
// the sessions. The last admin stays one.
func (a *Accounts) ChangeUser(ctx context.Context, which string, c UserChange) (User, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.find(which)
	if err != nil {
		return User{}, err
	}
	u := *old
	set(&u.Display, c.Display)
	set(&u.Role, c.Role)
	set(&u.Scope, c.Scope)
	set(&u.Units, c.Units)
	set(&u.Disabled, c.Disabled)
	if err := checkUser(&u.User); err != nil {
		return User{}, err
	}
	if old.Role == grid.RoleAdmin && !old.Disabled && (u.Role != grid.RoleAdmin || u.Disabled) && a.admins() == 1 {
		return User{}, grid.Errorf(grid.Conflict, "user %q is the only admin: make another one first", u.Name)
	}
	all := []any{&u}
	var ended []*sessionRow
	if u.Role != old.Role || u.Scope != old.Scope || !slices.Equal(u.Units, old.Units) || u.Disabled && !old.Disabled {
		ended = a.sessionsOf(u.ID)
		for _, s := range ended {
			all = append(all, gone{"sessions", s.ID})
		}
	}
	if err := a.save(ctx, all...); err != nil {
		return User{}, err
	}
	a.users[u.ID] = &u
	a.drop(ended)
	return u.view(), nil
}

func set[T any](into *T, v *T) {
	if v != nil {
		*into = *v
	}
}

func (a *Accounts) admins() (n int) {
	for _, u := range a.users {
		if u.Role == grid.RoleAdmin && !u.Disabled {
			n++
		}
	}
	return n
}

// ResetPassword gives a user a one-time password and ends the sessions. One-time codes and
// passkeys go too where all is true: for who has lost them.
func (a *Accounts) ResetPassword(ctx context.Context, which string, all bool) (User, string, error) {
	made := OneTimePassword()
	phc, err := a.tries.own.hash(ctx, made)
	if err != nil {
		return User{}, "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.find(which)
	if err != nil {
		return User{}, "", err
	}
	if old.Outside != "" {
		return User{}, "", grid.Errorf(grid.Conflict, "user %q signs on through %s: the password is kept there", old.Name, old.Outside)
	}
	u := *old
	u.Password, u.MustChange = phc, true
	if all {
		u.Codes, u.Keys = nil, nil
	}
	ended := a.sessionsOf(u.ID)
	if err := a.save(ctx, append([]any{&u}, goneOf(ended)...)...); err != nil {
		return User{}, "", err
	}
	a.users[u.ID] = &u
	a.drop(ended)
	a.tries.forget(u.ID)
	return u.view(), made, nil
}

// ChangePassword changes a person's own password. Their other sessions end.
func (a *Accounts) ChangePassword(ctx context.Context, session, from, old, new string) error {
	a.mu.RLock()
	s := a.sessions[session]
	var u userRow
	if s != nil && a.users[s.User] != nil {
		u = *a.users[s.User]
	}
	a.mu.RUnlock()
	if u.ID == "" {
		return errNoSession()
	}
	if u.Outside != "" {
		return grid.Errorf(grid.Conflict, "the password is kept at %s", u.Outside)
	}
	if err := a.checkPassword(ctx, &u, from, old); err != nil {
		return err
	}
	if old == new {
		return grid.Errorf(grid.Invalid, "the new password is the old one: want another")
	}
	if err := CheckPassword(new, u.Name, u.Display); err != nil {
		return err
	}
	phc, err := a.tries.own.hash(ctx, new)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.users[u.ID]
	if now == nil || now.Password != u.Password || a.sessions[session] == nil {
		return grid.Errorf(grid.Conflict, "the account has changed meanwhile: sign on again")
	}
	u = *now
	u.Password, u.MustChange = phc, false
	others := slices.DeleteFunc(a.sessionsOf(u.ID), func(o *sessionRow) bool { return o.ID == session })
	if err := a.save(ctx, append([]any{&u}, goneOf(others)...)...); err != nil {
		return err
	}
	a.users[u.ID] = &u
	a.drop(others)
	return nil
}

// First makes the first admin where there is no user, and gives the one-time password; "" where
// there are users.
func (a *Accounts) First(ctx context.Context) (string, error) {
	a.mu.RLock()
	n := len(a.users)
	a.mu.RUnlock()
	if n > 0 {
		return "", nil
	}
	_, made, err := a.AddUser(ctx, NewUser{Name: "admin", Role: grid.RoleAdmin})
	return made, err
}
