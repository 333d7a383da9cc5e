package state

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/pressly/goose/v3"
)

// Program is one that has worked on the file.
type Program struct {
	At      time.Time `json:"at"`
	Program string    `json:"program"`
	Found   int64     `json:"found"`  // schema before its steps
	Schema  int64     `json:"schema"` // and after them
}

// NoteProgram notes who works on the file, if it is not who did last, or made steps.
func NoteProgram(ctx context.Context, path string, p Program) error {
	return withSchema(path, "rw", func(_ *goose.Provider, db *sql.DB) error {
		var last string
		err := db.QueryRowContext(ctx, "SELECT program FROM programs ORDER BY at DESC LIMIT 1").Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if last == p.Program && p.Found == p.Schema {
			return nil
		}
		_, err = db.ExecContext(ctx, "INSERT INTO programs (at, program, found, schema) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", p.At.UnixNano(), p.Program, p.Found, p.Schema)
		return err
	})
}

// Programs are those that have worked on the file, the latest first.
func (s *Store) Programs(ctx context.Context) (out []Program, err error) {
	err = s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, "SELECT at, program, found, schema FROM programs ORDER BY at DESC", nil, func(r *row) error {
			out = append(out, Program{At: r.time(), Program: r.text(), Found: r.num(), Schema: r.num()})
			return r.err
		})
	})
	return out, err
}
