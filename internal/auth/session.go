package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// knownFrom is how many addresses that a person has signed on from are remembered.
const knownFrom = 8

// Try is somebody who wants to sign on.
type Try struct {
	Name     string
	Password string
	Code     string // one-time code, or a recovery code
	From     string // source address
	Agent    string // the browser, as it calls itself
}

// Signed is a session that has begun. Secret opens it, and is nowhere else.
type Signed struct {
	Secret  string
	Session Session
	User    User
}

func errNoSession() error {
	return grid.Errorf(grid.Unauthorized, "no session: want a sign-on")
}

// wrong says no more than it must: not whether the name is known.
func wrong() error {
	return grid.Errorf(grid.Unauthorized, "the name or the password is wrong")
}

// SignOn begins a session with a password. An error of code CodeWanted says that the password
// is right and a one-time code is missing.
func (a *Accounts) SignOn(ctx context.Context, t Try) (Signed, error) {
	u := a.byName(t.Name)
	if err := a.checkPassword(ctx, &u, t.From, t.Password, t.Name); err != nil {
		return Signed{}, err
	}
	if u.Codes != nil && u.Codes.On {
		if t.Code == "" {
			return Signed{}, grid.Errorf(grid.CodeWanted, "a one-time code is wanted")
		}
		if err := a.useCode(ctx, u.ID, t.From, t.Code); err != nil {
			return Signed{}, err
		}
	}
	return a.begin(ctx, u.ID, "password", t.From, t.Agent)
}

// byName is a copy of a user who may sign on with a password; a zero one where there is none.
func (a *Accounts) byName(name string) userRow {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if u := a.named(name); u != nil && !u.Disabled && u.Outside == "" {
		return *u
	}
	return userRow{}
}

// checkPassword compares a password within the limits of tries. It takes as long for a user
// that there is not.
func (a *Accounts) checkPassword(ctx context.Context, u *userRow, from, password string, tried ...string) error {
	account := u.ID
	if account == "" {
		account = "?" + fold(append(tried, "")[0])
	}
	h, err := a.tries.begin(account, from, slices.Contains(u.Known, sourceOf(from)))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, hashWithin)
	defer cancel()
	ok, err := h.matches(ctx, u.Password, password)
	switch {
	case err != nil:
		return err
	case !ok:
		return wrong()
	}
	a.tries.passed(account, from)
	return nil
}

// begin makes the session of a user who has shown who he is.
func (a *Accounts) begin(ctx context.Context, user, way, from, agent string) (Signed, error) {
	secret, hash := newSecret("gs_")
	now := a.o.Now().UTC()
	s := &sessionRow{
		Session: Session{ID: newID("s_"), User: user, Way: way, From: from, Agent: cut(agent, 200), Created: now, Used: now, Expires: now.Add(a.o.Longest)},
		Hash:    hash[:], ended: make(chan struct{}), saved: now,
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.users[user]
	if old == nil || old.Disabled {
		return Signed{}, wrong()
	}
	u := *old
	u.Seen = now
	source := sourceOf(from)
	u.Known = append([]string{source}, slices.DeleteFunc(slices.Clone(u.Known), func(o string) bool { return o == source })...)
	u.Known = u.Known[:min(len(u.Known), knownFrom)]
	all := []any{s, &u}
	var over []*sessionRow
	if others := a.sessionsOf(user); len(others) >= a.o.Sessions {
		over = slices.DeleteFunc(others[a.o.Sessions-1:], func(o *sessionRow) bool { return o.held > 0 })
		all = append(all, goneOf(over)...)
	}
	if err := a.save(ctx, all...); err != nil {
		// Who has shown who he is works on: the session then ends with the gateway.
		a.o.Log.Error("a session could not be written: it holds until the gateway ends", "err", err)
	}
	a.users[user], a.sessions[s.ID], a.opens[hash] = &u, s, s.ID
	a.drop(over)
	return Signed{Secret: secret, Session: s.Session, User: u.view()}, nil
}

func cut(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most])
	}
	return text
}

// Session finds whose session a secret opens, also that of one who must change the password first.
func (a *Accounts) Session(secret string) (Signed, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[a.opens[sha256.Sum256([]byte(secret))]]
	now := a.o.Now()
	if s == nil || a.over(s, now) {
		return Signed{}, errNoSession()
	}
	u := a.users[s.User]
	if u == nil || u.Disabled {
		return Signed{}, errNoSession()
	}
	s.Used = now.UTC()
	return Signed{Session: s.Session, User: u.view()}, nil
}

// Sessions are those of a user, the newest first.
func (a *Accounts) Sessions(which string) ([]Session, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	u, err := a.find(which)
	if err != nil {
		return nil, err
	}
	out := []Session{}
	for _, s := range a.sessionsOf(u.ID) {
		if !a.over(s, a.o.Now()) {
			out = append(out, s.Session)
		}
	}
	return out, nil
}

// SignOff ends a session.
func (a *Accounts) SignOff(ctx context.Context, session string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[session]
	if s == nil {
		return nil
	}
	err := a.save(ctx, gone{"sessions", s.ID})
	a.drop([]*sessionRow{s}) // whatever the disk says
	return err
}

// EndSessions ends all sessions of a user and says how many.
func (a *Accounts) EndSessions(ctx context.Context, which string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u, err := a.find(which)
	if err != nil {
		return 0, err
	}
	all := a.sessionsOf(u.ID)
	err = a.save(ctx, goneOf(all)...)
	a.drop(all)
	return len(all), err
}

// Who says for whom the secret of a session or of a token stands; false: it is neither.
func (a *Accounts) Who(secret string) (grid.Actor, bool, error) {
	hash := sha256.Sum256([]byte(secret))
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	id := a.opens[hash]
	if t := a.tokens[id]; t != nil {
		if !t.Expires.IsZero() && !now.Before(t.Expires) {
			return grid.Actor{}, true, grid.Errorf(grid.Unauthorized, "token %q ended at %s", t.Name, t.Expires.UTC().Format(time.RFC3339))
		}
		t.Used = now.UTC()
		by := acting(t.Role, t.Name, t.Unit)
		by.Scope, by.Token = t.Scope, t.ID
		if t.Wall {
			by.Role, by.Account = grid.RoleWall, grid.RoleWall
		}
		return by, true, nil
	}
	s := a.sessions[id]
	if s == nil {
		return grid.Actor{}, false, nil
	}
	u := a.users[s.User]
	if u == nil || u.Disabled || a.over(s, now) {
		return grid.Actor{}, true, grid.Errorf(grid.Unauthorized, "the session has ended: want a new sign-on")
	}
	s.Used = now.UTC()
	if u.MustChange {
		return grid.Actor{}, true, grid.Errorf(grid.ChangeWanted, "the password is a one-time one: want it changed first")
	}
	by := acting(u.Role, u.Name, append(u.Units, "")[0])
	by.Scope, by.Session = u.Scope, s.ID
	return by, true, nil
}

// acting is as whom a role acts.
func acting(r grid.Role, name, unit string) grid.Actor {
	by := grid.Actor{Role: r, Name: name, Account: r}
	switch r {
	case grid.RoleAdmin:
		by.Role = grid.RoleSupervisor
	case grid.RoleTechnician, grid.RoleUnit:
		by.Role, by.Unit = grid.RoleUnit, unit
	}
	return by
}

// Hold keeps a session from ending by idleness while a stream is open, and ends the context with
// the session, or with the token. For an actor without either it is the context itself.
func (a *Accounts) Hold(ctx context.Context, by grid.Actor) (context.Context, context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.tokens[by.Token]; t != nil {
		return a.endWith(ctx, t.ended, t.Expires)
	}
	s := a.sessions[by.Session]
	if s == nil {
		return ctx, func() {}
	}
	s.held++
	ctx, release := a.endWith(ctx, s.ended, s.Expires)
	return ctx, func() {
		release()
		a.mu.Lock()
		defer a.mu.Unlock()
		s.held--
		s.Used = a.o.Now().UTC()
	}
}

// endWith ends a context when ended is closed, and at expires, if that is set.
func (a *Accounts) endWith(ctx context.Context, ended <-chan struct{}, expires time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if !expires.IsZero() {
		timed, release := context.WithTimeout(ctx, expires.Sub(a.o.Now()))
		outer := cancel
		ctx, cancel = timed, func() { release(); outer() }
	}
	stop := make(chan struct{})
	go func() { // ends with release, which every holder calls
		select {
		case <-ended:
			cancel()
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); cancel() }
}

// UserOf is whose session it is.
func (a *Accounts) UserOf(session string) (User, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	s := a.sessions[session]
	if s == nil || a.users[s.User] == nil {
		return User{}, errNoSession()
	}
	return a.users[s.User].view(), nil
}

// Ways tells by which a person may sign on: whether anyone has a passkey.
func (a *Accounts) Ways() (passkeys bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, u := range a.users {
		if len(u.Keys) > 0 {
			return true
		}
	}
	return false
}

// Session is one sign-on of a person. Its id opens nothing.
type Session struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Way     string    `json:"way" doc:"password, passkey, or the id of an identity provider."`
	From    string    `json:"from,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	Expires time.Time `json:"expires" doc:"At the latest; sooner when it is not used."`
}

type sessionRow struct {
	Session
	Hash []byte `json:"hash"`

	held  int           // open streams
	ended chan struct{} // closed when it is
	saved time.Time     // Used, as the file has it
}

func goneOf(all []*sessionRow) (out []any) {
	for _, s := range all {
		out = append(out, gone{"sessions", s.ID})
	}
	return out
}

// sessionsOf are a user's, the newest first. Call with mu held.
func (a *Accounts) sessionsOf(user string) (out []*sessionRow) {
	for _, s := range a.sessions {
		if s.User == user {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *sessionRow) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// drop ends sessions that are out of the file. Call with mu held.
func (a *Accounts) drop(all []*sessionRow) {
	for _, s := range all {
		if a.sessions[s.ID] == nil {
			continue
		}
		delete(a.sessions, s.ID)
		delete(a.opens, [sha256.Size]byte(s.Hash))
		close(s.ended)
	}
}

// over reports whether a session has ended by time. A stream that is open is a use.
func (a *Accounts) over(s *sessionRow, now time.Time) bool {
	return !now.Before(s.Expires) || s.held == 0 && now.Sub(s.Used) >= a.o.Idle
}
