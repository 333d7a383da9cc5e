package state

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"

	"gridgate/internal/grid"
)

// ErrUntrusted says that a sync has failed or the file is damaged: what is on disk is no
// longer known. Every later Commit returns it too; the process must exit and recover.
var ErrUntrusted = errors.New("state can no longer be trusted: exit and start again")

// Store is the state file. It is safe for use by many goroutines.
type Store struct {
	path string
	log  *slog.Logger
	read *sql.DB

	tokens tokens // whose units' tokens are
	sealer Sealer // of units' secrets; nil: they are as they are. Set by SealWith, before use

	mu      sync.Mutex // the writer, and what it knows
	write   *writer    // nil after a failed commit, until the next one
	last    engineRow
	fatal   error
	closed  bool
	reading bool // opened read-only
}

// Open opens the state file at path, makes it if it is not there, and brings it to the
// present schema. A file from a newer gridgate is refused.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	s, err := newStore(path, log)
	if err != nil {
		return nil, err
	}
	if err := makeFile(s.path); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if err := migrate(ctx, s.path); err != nil {
		return nil, fmt.Errorf("open state %s: %w", s.path, err)
	}
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("open state %s: %w", s.path, err)
	}
	return s, nil
}

// OpenReadOnly opens an existing state file for reading, also while a gateway runs on it.
// Commit refuses. The schema must be the present one.
func OpenReadOnly(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	s, err := newStore(path, log)
	if err != nil {
		return nil, err
	}
	s.reading = true
	if _, err := os.Stat(s.path); err != nil {
		return nil, grid.Errorf(grid.NotFound, "open state: %w", err)
	}
	if err := checkVersion(ctx, s.path); err != nil {
		return nil, fmt.Errorf("open state %s: %w", s.path, err)
	}
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("open state %s: %w", s.path, err)
	}
	return s, nil
}

func newStore(path string, log *slog.Logger) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{path: abs, log: log}, nil
}

// makeFile makes sure that the file is there, and its owner's only; SQLite gives the same
// mode to the files it puts beside it.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// start opens the writer and the readers.
func (s *Store) start(ctx context.Context) error {
	connector, err := sqlite.NewConnector(dsn(s.path, "ro", "query_only(1)", "cache_size(-8000)", "temp_store(2)"))
	if err != nil {
		return err
	}
	s.read = sql.OpenDB(connector)
	s.read.SetMaxOpenConns(8)
	s.read.SetMaxIdleConns(4)
	if !s.reading {
		if s.write, err = openWriter(ctx, s.path); err != nil {
			return errors.Join(err, s.read.Close())
		}
	}
	err = s.reader(ctx, func(conn driver.Conn) error {
		s.last, err = readEngine(ctx, conn)
		return err
	})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// Close ends all use of the file. Commits that have returned are safe without it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.read.Close()
	if s.write != nil {
		err = errors.Join(err, s.write.close()) // last, so that it can fold the WAL into the file
		s.write = nil
	}
	return err
}

// dsn names the file for the driver. Every connection waits up to 5 s for a lock.
func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

func connect(ctx context.Context, dsn string) (driver.Conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return connector.Connect(ctx)
}

// codeOf gives SQLite's own number for what went wrong, 0 if it was not SQLite.
func codeOf(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}
