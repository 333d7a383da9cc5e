package state

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"gridgate/internal/grid"
)

// Early is what of a file of an older schema must be known to take frames before its steps are
// done: who may come in, and by which lane.
type Early struct {
	Profiles    map[grid.Identity]string // of each registered device
	AtSmoke     map[grid.Identity]bool   // installed at a smoke point
	Out         map[grid.Identity]bool   // barred or retired
	Credentials []grid.Credential
}

// EarlyOf reads it; an error where the older schema has it in another form.
func EarlyOf(ctx context.Context, path string) (e Early, err error) {
	e = Early{Profiles: make(map[grid.Identity]string), AtSmoke: make(map[grid.Identity]bool), Out: make(map[grid.Identity]bool)}
	abs, err := filepath.Abs(path)
	if err != nil {
		return e, err
	}
	conn, err := connect(ctx, dsn(abs, "ro"))
	if err != nil {
		return e, fmt.Errorf("read state before its steps: %w", err)
	}
	err = snapshot(ctx, conn, func() error { return e.read(ctx, conn) })
	if err = errors.Join(err, conn.Close()); err != nil {
		return e, fmt.Errorf("read state before its steps: %w", err)
	}
	return e, nil
}

func (e *Early) read(ctx context.Context, conn driver.Conn) error {
	err := each(ctx, conn, "SELECT identity, profile, state FROM devices", nil, func(r *row) error {
		id, profile, state := grid.Identity(r.text()), r.text(), grid.DeviceState(r.text())
		e.Profiles[id] = profile
		if state == grid.Barred || state == grid.Retired {
			e.Out[id] = true
		}
		return r.err
	})
	if err != nil {
		return err
	}
	const smoke = "SELECT i.device FROM installations i JOIN points p ON p.id = i.point WHERE i.ended = 0 AND p.kind = ?"
	err = each(ctx, conn, smoke, []driver.Value{string(grid.Smoke)}, func(r *row) error {
		e.AtSmoke[grid.Identity(r.text())] = true
		return r.err
	})
	if err != nil {
		return err
	}
	e.Credentials, err = all(ctx, conn, &credentialTable, "")
	return err
}

// Deed is what a person or a unit did to a ticket.
type Deed struct {
	Ticket string    `json:"ticket"`
	Verb   string    `json:"verb"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// Since is what a file has that cannot be made again from the journal, since a moment.
type Since struct {
	Deeds    []Deed `json:"deeds"`    // of persons and units, oldest first
	Registry int64  `json:"registry"` // changes of points, devices and the rest
}

// SinceOf reads it from a file of the present schema or an older one.
func SinceOf(ctx context.Context, path string, from time.Time) (out Since, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return out, err
	}
	conn, err := connect(ctx, dsn(abs, "rw", "query_only(1)"))
	if err != nil {
		return out, fmt.Errorf("read deeds: %w", err)
	}
	const deeds = "SELECT ticket, verb, by_role || ' ' || by_name, at, reason FROM moves WHERE at >= ? AND by_role <> ? ORDER BY at, ticket, n"
	err = each(ctx, conn, deeds, []driver.Value{nanos(from), string(grid.RoleSystem)}, func(r *row) error {
		out.Deeds = append(out.Deeds, Deed{r.text(), r.text(), r.text(), r.time(), r.text()})
		return r.err
	})
	if err == nil {
		const has = "SELECT count(*) FROM sqlite_schema WHERE name = 'changes'"
		var n int64
		err = each(ctx, conn, has, nil, func(r *row) error { n = r.num(); return r.err })
		if err == nil && n > 0 {
			err = each(ctx, conn, "SELECT count(*) FROM changes WHERE at >= ?", []driver.Value{nanos(from)}, func(r *row) error { out.Registry = r.num(); return r.err })
		}
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return out, fmt.Errorf("read deeds: %w", err)
	}
	return out, nil
}
