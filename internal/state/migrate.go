package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"

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

// checkVersion refuses a file that is not of the present schema.
func checkVersion(ctx context.Context, path string) error {
	return withSchema(path, "ro", func(p *goose.Provider, db *sql.DB) error {
		have, want, err := refuseNewer(ctx, p, db)
		if err == nil && have != want {
			err = grid.Errorf(grid.Conflict, "schema version is %d: want %d; `gridgate serve` brings it there", have, want)
		}
		return err
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
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub, goose.WithDisableGlobalRegistry(true))
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
