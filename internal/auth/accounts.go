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
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"gridgate/internal/grid"
)

//go:embed migrations/*.sql
var migrations embed.FS

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
