package state

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"path/filepath"
	"time"

	"gridgate/internal/grid"
)

// Rows is what a table of a state file holds: how many rows, and a sum over all of them in
// the order of their keys. Two files with equal sums hold the same.
type Rows struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Digest is what a state file holds, whatever its schema is.
type Digest struct {
	Schema   int64
	Progress Progress
	Tickets  int64
	Open     int64 // tickets that have not ended
	Tables   map[string]Rows
}

// DigestOf reads the whole file as of one commit, some 100 MB a second; tables names those
// that are wanted, none is all. Notes of programs to themselves (meta) are left out of all.
func DigestOf(ctx context.Context, path string, tables ...string) (Digest, error) {
	d := Digest{Tables: make(map[string]Rows)}
	abs, err := filepath.Abs(path)
	if err != nil {
		return d, err
	}
	conn, err := connect(ctx, dsn(abs, "rw", "query_only(1)")) // rw: takes the files beside it away again
	if err != nil {
		return d, fmt.Errorf("digest of %s: %w", path, err)
	}
	err = snapshot(ctx, conn, func() error {
		version := func(r *row) error { d.Schema = r.num(); return r.err }
		if err := each(ctx, conn, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied", nil, version); err != nil {
			return err
		}
		if err := d.head(ctx, conn); err != nil {
			return err
		}
		if len(tables) == 0 {
			if tables, err = tableNames(ctx, conn); err != nil {
				return err
			}
		}
		for _, name := range tables {
			if d.Tables[name], err = digestTable(ctx, conn, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
	if err = errors.Join(err, conn.Close()); err != nil {
		return d, fmt.Errorf("digest of %s: %w", path, err)
	}
	return d, nil
}

// head reads what every schema has had in the same form.
func (d *Digest) head(ctx context.Context, conn driver.Conn) error {
	e, err := readEngine(ctx, conn)
	if err != nil {
		return err
	}
	counts, err := all(ctx, conn, &ledgerTable, "ORDER BY transport, source, lane")
	if err != nil {
		return err
	}
	d.Progress = Progress{Cursors: e.cursors, EngineTime: e.time, InfluxMark: e.mark, Ledger: ledgerRows(counts)}
	return each(ctx, conn, "SELECT count(*), coalesce(sum(ended = 0), 0) FROM tickets", nil, func(r *row) error {
		d.Tickets, d.Open = r.num(), r.num()
		return r.err
	})
}

func tableNames(ctx context.Context, conn driver.Conn) (names []string, err error) {
	const q = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%' AND name NOT IN ('meta', 'programs') " +
		"AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
	err = each(ctx, conn, q, nil, func(r *row) error { names = append(names, r.text()); return r.err })
	return names, err
}

func digestTable(ctx context.Context, conn driver.Conn, name string) (out Rows, err error) {
	key := ""
	err = each(ctx, conn, "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", []driver.Value{name}, func(r *row) error {
		key += `, "` + r.text() + `"`
		return r.err
	})
	if err != nil {
		return out, err
	}
	order := "rowid"
	if key != "" {
		order = key[2:]
	}
	sum := sha256.New()
	err = each(ctx, conn, `SELECT * FROM "`+name+`" ORDER BY `+order, nil, func(r *row) error {
		out.Rows++
		for _, v := range r.vals {
			if err := add(sum, v); err != nil {
				return err
			}
		}
		return nil
	})
	out.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return out, err
}

// add puts one value into a sum: its kind, its length where it has one, its bytes.
func add(sum hash.Hash, v driver.Value) error {
	var b []byte
	kind := byte('t')
	switch v := v.(type) {
	case nil:
		kind = '0'
	case int64:
		kind, b = 'i', binary.LittleEndian.AppendUint64(nil, uint64(v))
	case float64:
		kind, b = 'r', binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	case string:
		b = []byte(v)
	case []byte:
		kind, b = 'b', v
	case bool:
		kind, b = 'i', []byte{0}
		if v {
			b[0] = 1
		}
	case time.Time:
		b = []byte(v.UTC().Format(time.RFC3339Nano))
	default:
		return grid.Errorf(grid.Internal, "a value is a %T", v)
	}
	sum.Write(binary.LittleEndian.AppendUint64([]byte{kind}, uint64(len(b))))
	sum.Write(b)
	return nil
}
