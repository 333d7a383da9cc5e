package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"gridgate/internal/grid"
)

//go:embed migrations/*.sql
var migrations embed.FS

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

// APIToken is what a program shows.
type APIToken struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Role    grid.Role  `json:"role"`
	Scope   grid.Scope `json:"scope"`
	Unit    string     `json:"unit,omitempty" doc:"Of a technician's or a unit's: the unit acted for."`
	Wall    bool       `json:"wall,omitempty" doc:"For a screen that all see: what a viewer may, and less."`
	By      string     `json:"by"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires,omitzero"`
	Used    time.Time  `json:"used,omitzero"`
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

type sessionRow struct {
	Session
	Hash []byte `json:"hash"`

	held  int           // open streams
	ended chan struct{} // closed when it is
	saved time.Time     // Used, as the file has it
}

type tokenRow struct {
	APIToken
	Hash []byte `json:"hash"`

	ended chan struct{} // closed when it is revoked
	saved time.Time
}

// Options are how accounts are kept. Zero values are the defaults.
type Options struct {
	Idle     time.Duration // a session that is not used for so long ends; 12 h
	Longest  time.Duration // and all end after so long; 7 days
	Sessions int           // of one user at a time, the oldest goes; 20
	Keys     *Keys         // seal the secrets of one-time codes
	Now      func() time.Time
	Log      *slog.Logger

	Desks   []Network // sources with a budget of their own
	Issuers []*Issuer // identity providers that people may sign on through
}

// Accounts are the users, their sessions, and the tokens of programs: a file of their own, so
// that signing on depends on nothing else, and nothing else on it. All of it is in memory; a
// change is in the file before it holds.
type Accounts struct {
	o     Options
	db    *sql.DB
	tries *tries

	mu       sync.RWMutex
	users    map[string]*userRow
	sessions map[string]*sessionRow
	tokens   map[string]*tokenRow
	opens    map[[sha256.Size]byte]string // session or token by what opens it
	keying   map[string]time.Time         // ceremonies of passkeys that were used, until they are too old
}

// OpenAccounts opens the file, and makes it where there is none.
func OpenAccounts(ctx context.Context, path string, o Options) (*Accounts, error) {
	o.Idle, o.Longest, o.Sessions = cmp.Or(o.Idle, 12*time.Hour), cmp.Or(o.Longest, 7*24*time.Hour), cmp.Or(o.Sessions, 20)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // or SQLite makes it for all to read
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	q := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	db.SetMaxOpenConns(1)
	a := &Accounts{o: o, db: db, tries: newTries(o.Now, o.Desks), users: map[string]*userRow{}, sessions: map[string]*sessionRow{}, tokens: map[string]*tokenRow{},
		opens: map[[sha256.Size]byte]string{}, keying: map[string]time.Time{}}
	if err := a.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("accounts %s: %w", path, err), db.Close())
	}
	return a, nil
}

func (a *Accounts) load(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, a.db, dir)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return grid.Errorf(grid.Conflict, "the file is of version %d: this gridgate knows %d", have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	err = errors.Join(
		rows(ctx, a.db, "SELECT doc FROM users", func(u *userRow) { a.users[u.ID] = u }),
		rows(ctx, a.db, "SELECT doc FROM sessions", func(s *sessionRow) {
			s.ended, s.saved = make(chan struct{}), s.Used
			a.sessions[s.ID], a.opens[[sha256.Size]byte(s.Hash)] = s, s.ID
		}),
		rows(ctx, a.db, "SELECT doc FROM tokens", func(t *tokenRow) {
			t.ended, t.saved = make(chan struct{}), t.Used
			a.tokens[t.ID], a.opens[[sha256.Size]byte(t.Hash)] = t, t.ID
		}))
	return err
}

func rows[T any](ctx context.Context, db *sql.DB, query string, each func(*T)) error {
	got, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer got.Close()
	for got.Next() {
		var doc []byte
		if err := got.Scan(&doc); err != nil {
			return err
		}
		v := new(T)
		if err := json.Unmarshal(doc, v); err != nil {
			return err
		}
		each(v)
	}
	return got.Err()
}

// Close closes the file.
func (a *Accounts) Close() error { return a.db.Close() }

// Backup writes a consistent copy of the file to path, which must not be there.
func (a *Accounts) Backup(ctx context.Context, path string) error {
	if _, err := a.db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("accounts: backup: %w", err)
	}
	return nil
}

// save writes rows in one transaction. Call with mu held.
func (a *Accounts) save(ctx context.Context, all ...any) error {
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	for _, v := range all {
		doc, err := json.Marshal(v)
		if err == nil {
			switch v := v.(type) {
			case *userRow:
				_, err = tx.ExecContext(ctx, "INSERT INTO users (id, name, doc) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, doc = excluded.doc", v.ID, fold(v.Name), string(doc))
			case *sessionRow:
				_, err = tx.ExecContext(ctx, "INSERT INTO sessions (id, user, doc) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc", v.ID, v.User, string(doc))
			case *tokenRow:
				_, err = tx.ExecContext(ctx, "INSERT INTO tokens (id, doc) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc", v.ID, string(doc))
			case gone:
				_, err = tx.ExecContext(ctx, "DELETE FROM "+v.table+" WHERE id = ?", v.id)
			}
		}
		if err != nil {
			return errors.Join(fmt.Errorf("accounts: %w", err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// gone takes a row out.
type gone struct{ table, id string }

// fold is a name as it is compared.
func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// newID makes an id that opens nothing.
func newID(prefix string) string {
	var b [9]byte
	rand.Read(b[:])
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// newSecret makes what opens a session or a token; only its hash is kept.
func newSecret(prefix string) (string, [sha256.Size]byte) {
	var b [32]byte
	rand.Read(b[:])
	s := prefix + base64.RawURLEncoding.EncodeToString(b[:])
	return s, sha256.Sum256([]byte(s))
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

// checkTokenRole is checkRole for what a program shows: it may be a standby too, no person is one.
func checkTokenRole(r grid.Role, scope grid.Scope, units []string) error {
	if r != grid.RoleStandby {
		return checkRole(r, scope, units)
	}
	if scope != (grid.Scope{}) || len(units) > 0 {
		return grid.Errorf(grid.Invalid, "scope or unit is given: a standby copies the whole gateway")
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

// AddToken makes a token for a program and gives it, once.
func (a *Accounts) AddToken(ctx context.Context, t APIToken) (APIToken, string, error) {
	now := a.o.Now().UTC()
	if n := len([]rune(strings.TrimSpace(t.Name))); n < 1 || n > 100 {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "name has %d characters: want 1 to 100", n)
	}
	if t.Wall {
		t.Role = cmp.Or(t.Role, grid.RoleViewer)
	}
	if t.Wall && t.Role != grid.RoleViewer {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "role is %q: a wall is a viewer", t.Role)
	}
	var unit []string
	if t.Unit != "" {
		unit = []string{t.Unit}
	}
	if err := checkTokenRole(t.Role, t.Scope, unit); err != nil {
		return APIToken{}, "", err
	}
	if t.Expires.IsZero() && t.Role == grid.RoleAdmin {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "expires is missing: an admin's token ends")
	}
	if !t.Expires.IsZero() && !t.Expires.After(now) {
		return APIToken{}, "", grid.Errorf(grid.Invalid, "expires is %s: want a time ahead", t.Expires.Format(time.RFC3339))
	}
	secret, hash := newSecret("gt_")
	t.ID, t.Created, t.Used = newID("t_"), now.Truncate(time.Second), time.Time{}
	row := &tokenRow{APIToken: t, Hash: hash[:], ended: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.tokens {
		if fold(other.Name) == fold(t.Name) {
			return APIToken{}, "", grid.Errorf(grid.Conflict, "token %q: there is one of this name", t.Name)
		}
	}
	if err := a.save(ctx, row); err != nil {
		return APIToken{}, "", err
	}
	a.tokens[t.ID], a.opens[hash] = row, t.ID
	return t, secret, nil
}

// Tokens are all, by name.
func (a *Accounts) Tokens() []APIToken {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := []APIToken{}
	for _, t := range a.tokens {
		out = append(out, t.APIToken)
	}
	slices.SortFunc(out, func(a, b APIToken) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// RevokeToken ends a token, by id or name.
func (a *Accounts) RevokeToken(ctx context.Context, which string) (APIToken, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[which]
	for _, other := range a.tokens {
		if t == nil && fold(other.Name) == fold(which) {
			t = other
		}
	}
	if t == nil {
		return APIToken{}, grid.Errorf(grid.NotFound, "token %q: not found", which)
	}
	if err := a.save(ctx, gone{"tokens", t.ID}); err != nil {
		return APIToken{}, err
	}
	delete(a.tokens, t.ID)
	delete(a.opens, [sha256.Size]byte(t.Hash))
	close(t.ended)
	return t.APIToken, nil
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

// Upkeep ends what is over and writes when sessions and tokens were last used.
func (a *Accounts) Upkeep(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	var all []any
	var ended []*sessionRow
	for _, s := range a.sessions {
		if a.over(s, now) {
			ended = append(ended, s)
			continue
		}
		if s.held > 0 {
			s.Used = now.UTC()
		}
		if s.Used.Sub(s.saved) >= time.Minute {
			all = append(all, s)
		}
	}
	for _, t := range a.tokens {
		if t.Used.Sub(t.saved) >= time.Minute {
			all = append(all, t)
		}
	}
	if all = append(all, goneOf(ended)...); len(all) == 0 {
		return nil
	}
	if err := a.save(ctx, all...); err != nil {
		return err
	}
	for s := range maps.Values(a.sessions) {
		s.saved = s.Used
	}
	for t := range maps.Values(a.tokens) {
		t.saved = t.Used
	}
	a.drop(ended)
	return nil
}

// over reports whether a session has ended by time. A stream that is open is a use.
func (a *Accounts) over(s *sessionRow, now time.Time) bool {
	return !now.Before(s.Expires) || s.held == 0 && now.Sub(s.Used) >= a.o.Idle
}
