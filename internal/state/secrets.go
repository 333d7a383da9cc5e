package state

import (
	"context"
	"database/sql/driver"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"gridgate/internal/grid"
)

// Sealer hides what must not be read off the state file or a backup of it.
type Sealer interface {
	Seal(secret []byte, owner string) ([]byte, error)
	Open(sealed []byte, owner string) ([]byte, error) // an error: damaged, another's, or its key is lost
}

// What a unit's connector needs and nobody else is to know lies sealed in the columns secret and
// url of units: keys of robots stand in addresses, in the query or in the path. A row of an older
// gridgate has both as they are, until SealWith.
const sealedPrefix = "sealed:"

// secretColumns are those of units that are sealed.
var secretColumns = [...]string{"secret", "url"}

// secretOwner is whom a column is sealed for: it cannot be moved to another unit, or column.
func secretOwner(unit, column string) string { return "unit " + column + " " + unit }

// sealedIn gives what is sealed in the text of a column; not ok: it is as it was given.
func sealedIn(text string) (sealed []byte, ok bool) {
	rest, ok := strings.CutPrefix(text, sealedPrefix)
	if !ok {
		return nil, false
	}
	sealed, err := base64.RawStdEncoding.DecodeString(rest)
	return sealed, err == nil
}

func sealText(by Sealer, unit, column, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	sealed, err := by.Seal([]byte(text), secretOwner(unit, column))
	if err != nil {
		return "", fmt.Errorf("unit %s: its %s cannot be sealed: %w", unit, column, err)
	}
	return sealedPrefix + base64.RawStdEncoding.EncodeToString(sealed), nil
}

func openText(by Sealer, unit, column, text string) (string, error) {
	sealed, ok := sealedIn(text)
	if !ok {
		return text, nil
	}
	if by == nil {
		return "", grid.Errorf(grid.Unavailable, "unit %s: its %s is sealed, and the key file was not opened", unit, column)
	}
	plain, err := by.Open(sealed, secretOwner(unit, column))
	if err != nil {
		return "", fmt.Errorf("unit %s: its %s cannot be opened: %w", unit, column, err)
	}
	return string(plain), nil
}

// sealUnits gives copies of units as they are written.
func (s *Store) sealUnits(units []grid.Unit) ([]grid.Unit, error) {
	if s.sealer == nil || len(units) == 0 {
		return units, nil
	}
	out := make([]grid.Unit, len(units))
	for i, u := range units {
		var errs [2]error
		u.Secret, errs[0] = sealText(s.sealer, u.ID, "secret", u.Secret)
		u.URL, errs[1] = sealText(s.sealer, u.ID, "url", u.URL)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
		out[i] = u
	}
	return out, nil
}

// openUnit opens what is sealed of a unit. What cannot be opened is left out, so that nobody takes
// it for the thing itself; the error says so.
func (s *Store) openUnit(u *grid.Unit) error {
	var errs [2]error
	u.Secret, errs[0] = openText(s.sealer, u.ID, "secret", u.Secret)
	u.URL, errs[1] = openText(s.sealer, u.ID, "url", u.URL)
	return errors.Join(errs[:]...)
}

// openUnits opens what can be opened: a unit is the same without.
func (s *Store) openUnits(units []grid.Unit) []grid.Unit {
	for i := range units {
		_ = s.openUnit(&units[i]) // Unit tells who needs it
	}
	return units
}

// BareURL is an address without what may be secret in it: who and where, no more.
func BareURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	if u.Host == "" {
		return s
	}
	bare := u.Scheme + "://"
	if u.User != nil {
		bare += "…@"
	}
	if bare += u.Host; strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		bare += "/…"
	}
	return bare
}

// EachSealedOfUnits gives all that is sealed of units, with the unit's id.
func (s *Store) EachSealedOfUnits(ctx context.Context, to func(unit string, sealed []byte)) error {
	return s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, "SELECT id, secret, url FROM units WHERE secret <> '' OR url <> ''", nil, func(r *row) error {
			id := r.text()
			for range secretColumns {
				if sealed, ok := sealedIn(r.text()); ok && r.err == nil {
					to(id, sealed)
				}
			}
			return r.err
		})
	})
}

// SealWith has secrets of units sealed from now on, and seals those that are not: n of them. It is
// called before anybody else uses the store. After an error they are as they were, and can be read.
func (s *Store) SealWith(ctx context.Context, by Sealer) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealer = by
	s.tokens.forget()
	if err := s.writable(ctx); err != nil {
		return 0, err
	}
	var cols []string
	var rows [][]driver.Value
	if err := s.reader(ctx, func(c driver.Conn) error { cols, rows, err = whole(ctx, c, "units"); return err }); err != nil {
		return 0, fmt.Errorf("seal units: %w", err)
	}
	if n, err = sealRows(by, cols, rows); err != nil || n == 0 {
		return 0, err
	}
	if err := s.rewrite(ctx, "units", cols, rows); err != nil {
		return 0, fmt.Errorf("seal units: %w", err)
	}
	return n, nil
}

// whole reads a small table as it is.
func whole(ctx context.Context, c driver.Conn, table string) (cols []string, rows [][]driver.Value, err error) {
	err = each(ctx, c, "SELECT name FROM pragma_table_info(?) ORDER BY cid", []driver.Value{table}, func(r *row) error {
		cols = append(cols, r.text())
		return r.err
	})
	if err != nil {
		return nil, nil, err
	}
	err = each(ctx, c, "SELECT "+strings.Join(cols, ", ")+" FROM "+table, nil, func(r *row) error {
		rows = append(rows, append([]driver.Value(nil), r.vals...))
		return nil
	})
	return cols, rows, err
}

// sealRows seals what is plain in rows of units: n rows.
func sealRows(by Sealer, cols []string, rows [][]driver.Value) (n int, err error) {
	place := map[string]int{}
	for i, c := range cols {
		place[c] = i
	}
	for _, r := range rows {
		unit, plain := r[place["id"]].(string), false
		for _, c := range secretColumns {
			text, _ := r[place[c]].(string)
			if _, sealed := sealedIn(text); sealed || text == "" {
				continue
			}
			if r[place[c]], err = sealText(by, unit, c, text); err != nil {
				return 0, err
			}
			plain = true
		}
		if plain {
			n++
		}
	}
	return n, nil
}

// rewrite writes all rows of a small table anew and wipes where they were, in the file and in the
// log beside it: one transaction, so that a crash leaves the old rows or the new.
func (s *Store) rewrite(ctx context.Context, table string, cols []string, rows [][]driver.Value) error {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(cols)), ", ")
	insert := "INSERT INTO " + table + " (" + strings.Join(cols, ", ") + ") VALUES (" + marks + ")"
	err := s.inTransaction(ctx, func(w *writer) {
		w.exec("PRAGMA secure_delete = ON")
		w.exec("DELETE FROM " + table)
		for _, r := range rows {
			w.exec(insert, r...)
		}
	})
	if err != nil {
		return err
	}
	w := s.write
	s.write = nil // the next one wipes no more than it has to
	busy := false
	err = each(ctx, w.conn, "PRAGMA wal_checkpoint(TRUNCATE)", nil, func(r *row) error { busy = r.num() != 0; return r.err })
	if err == nil && busy {
		s.log.Warn("the old rows are in the log beside the state until it is written over", "in", table)
	}
	return errors.Join(err, w.close())
}
