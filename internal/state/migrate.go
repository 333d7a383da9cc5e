package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"gridgate/internal/grid"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrate brings the file to the present schema, one transaction a step.
func migrate(ctx context.Context, path string) error {
	return withSchema(path, "rw", func(p *goose.Provider, db *sql.DB) error {
		// WAL stays set in the file. It cannot be set inside a transaction.
		if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
			return err
		}
		if _, _, err := refuseNewer(ctx, p, db); err != nil {
			return err
		}
		_, err := p.Up(ctx)
		return err
	})
}

// Schema is how far a state file is from the schema that this program writes.
type Schema struct {
	Have    int64 // the highest step that the file has had; 0: the file is not there, or empty
	Want    int64 // the highest step there is
	Pending int   // steps that the file has not had
}

// SchemaOf reads it, also while another program writes the file.
func SchemaOf(ctx context.Context, path string) (s Schema, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	err = withSchema(path, "ro", func(p *goose.Provider, db *sql.DB) error {
		if s.Have, s.Want, err = refuseNewer(ctx, p, db); err != nil {
			return err
		}
		s.Pending, err = pending(ctx, p, db)
		return err
	})
	return s, err
}

// Migrate brings a file to the present schema step by step, each in a transaction of its own,
// and tells how many are done. A crash in between loses nothing: the next call goes on.
func Migrate(ctx context.Context, path string, step func(done, of int)) error {
	return withSchema(path, "rw", func(p *goose.Provider, db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
			return err
		}
		if _, _, err := refuseNewer(ctx, p, db); err != nil {
			return err
		}
		of, err := pending(ctx, p, db)
		if err != nil {
			return err
		}
		for done := range of {
			step(done, of)
			if _, err := p.UpByOne(ctx); err != nil {
				return err
			}
		}
		step(of, of)
		return nil
	})
}

// pending counts the steps that the file has not had. They need not be its last ones: two
// steps that were written at a time may come in either order.
func pending(ctx context.Context, p *goose.Provider, db *sql.DB) (int, error) {
	sources := p.ListSources()
	if v, err := fileVersion(ctx, db); err != nil || v == 0 {
		return len(sources), err
	}
	rows, err := db.QueryContext(ctx, "SELECT DISTINCT version_id FROM goose_db_version WHERE is_applied AND version_id > 0")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	had := make(map[int64]bool)
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return 0, err
		}
		had[v] = true
	}
	n := 0
	for _, s := range sources {
		if !had[s.Version] {
			n++
		}
	}
	return n, rows.Err()
}

// checkVersion refuses a file that is not of the present schema.
func checkVersion(ctx context.Context, path string) error {
	return withSchema(path, "ro", func(p *goose.Provider, db *sql.DB) error {
		have, want, err := refuseNewer(ctx, p, db)
		if err != nil {
			return err
		}
		if n, err := pending(ctx, p, db); err != nil || n > 0 {
			return errors.Join(err, grid.Errorf(grid.Conflict, "schema version is %d: want %d, %d steps to go; `gridgate serve` brings it there", have, want, n))
		}
		return nil
	})
}

func withSchema(path, mode string, f func(*goose.Provider, *sql.DB) error) (err error) {
	connector, err := sqlite.NewConnector(dsn(path, mode))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub, goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return err
	}
	return f(p, db)
}

// fileVersion is 0 for a file without our tables.
func fileVersion(ctx context.Context, db *sql.DB) (v int64, err error) {
	var ours bool
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'").Scan(&ours)
	if err != nil || !ours {
		return 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&v)
	return v, err
}

// refuseNewer gives the version of the file and the one this gridgate makes.
func refuseNewer(ctx context.Context, p *goose.Provider, db *sql.DB) (have, want int64, err error) {
	if have, err = fileVersion(ctx, db); err != nil {
		return 0, 0, err
	}
	sources := p.ListSources()
	want = sources[len(sources)-1].Version
	if have > want {
		return have, want, grid.Errorf(grid.Conflict, "schema version is %d, made by a newer gridgate: this one knows up to %d; "+
			"run the newer one, or restore a backup from before it", have, want)
	}
	return have, want, nil
}
