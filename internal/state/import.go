package state

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"gridgate/internal/grid"
)

// ImportPiece is what one piece of an import has changed. Its scope is the import's.
type ImportPiece struct {
	Import string
	N      int    // the first row of the sheet in it
	Was    []byte // what undoes it; nil at a later write leaves what is there
	Kept   []grid.ImportProblem
}

// importTable writes columns for filters and reads the document.
var importTable = table[grid.Import]{
	name: "imports", key: "id",
	cols:  "id, kind, state, at, doc, " + allScope,
	reads: "doc",
	bind: func(a *args, m *grid.Import) {
		a.text(m.ID, string(m.Kind), string(m.State))
		a.time(m.At)
		a.doc(m)
		a.scope(m.Scope)
		a.text(m.Cell, string(m.Mode))
	},
	scan: func(r *row) (m grid.Import) {
		if err := json.Unmarshal(r.json(), &m); err != nil && r.err == nil {
			r.err = err
		}
		return m
	},
}

var importList = list{
	order: []string{"at", "id"}, newest: true,
	time: "at",
	text: []string{"id"},
	filters: map[string]string{
		"id": "id = ?", "cell": "cell = ?", "kind": "kind = ?", "state": "state = ?",
		"state=busy": "state IN ('checking', 'applying', 'undoing')",
	},
}

var importPieceTable = table[ImportPiece]{
	name: "import_pieces", key: "import, n",
	cols:   "import, n, was, kept",
	sets:   map[string]string{"was": "CASE length(excluded.was) WHEN 0 THEN was ELSE excluded.was END"},
	parent: "imports", parentKey: "id", copies: allScope,
	bind: func(a *args, p *ImportPiece) {
		a.text(p.Import)
		a.num(int64(p.N))
		a.blob(p.Was)
		if len(p.Kept) > 0 {
			a.doc(p.Kept)
		} else {
			a.text("")
		}
		a.text(p.Import)
	},
	scan: func(r *row) ImportPiece {
		p := ImportPiece{Import: r.text(), N: int(r.num()), Was: r.blob()}
		if doc := r.json(); doc != nil {
			if err := json.Unmarshal(doc, &p.Kept); err != nil && r.err == nil {
				r.err = err
			}
		}
		return p
	},
}

// imports writes what a batch has of imports, and deletes what an undo takes back.
func (w *writer) imports(b *Batch) {
	put(w, &importTable, b.Imports...)
	put(w, &importPieceTable, b.ImportPieces...)
}

func (w *writer) gone(g *grid.ImportGone) {
	for _, in := range g.Installations {
		w.exec("DELETE FROM installations WHERE device = ? AND channel = ? AND started = ?", string(in.Device), in.Channel, nanos(in.From))
	}
	for _, id := range g.Devices {
		w.exec("DELETE FROM devices WHERE identity = ?", string(id))
	}
	for _, id := range g.Buildings {
		w.exec("DELETE FROM buildings WHERE id = ?", id)
	}
	for _, id := range g.Points {
		w.exec("DELETE FROM points WHERE id = ?", id)
	}
}

// Import gives one import.
func (s *Store) Import(ctx context.Context, id string) (grid.Import, error) {
	return one(ctx, s, &importTable, "import", "id", id)
}

// ListImports lists imports, newest first. State "busy" stands for those that are worked on.
func (s *Store) ListImports(ctx context.Context, q Query) (Page[grid.Import], error) {
	return pageOf(ctx, s, &importTable, &importList, q)
}

// BusyImports gives the imports that are worked on, oldest first.
func (s *Store) BusyImports(ctx context.Context) ([]grid.Import, error) {
	return readAll(ctx, s, &importTable, "WHERE state IN ('checking', 'applying', 'undoing') ORDER BY at, id")
}

// ImportPieces gives the numbers of the pieces of an import, first to last.
func (s *Store) ImportPieces(ctx context.Context, id string) (ns []int, err error) {
	err = s.reader(ctx, func(conn driver.Conn) error {
		return each(ctx, conn, "SELECT n FROM import_pieces WHERE import = ? ORDER BY n", []driver.Value{id}, func(r *row) error {
			ns = append(ns, int(r.num()))
			return r.err
		})
	})
	return ns, err
}

// ImportWas gives what undoes one piece of an import.
func (s *Store) ImportWas(ctx context.Context, id string, n int) ([]byte, error) {
	rows, err := readAll(ctx, s, &importPieceTable, "WHERE import = ? AND n = ?", id, int64(n))
	if err == nil && len(rows) == 0 {
		err = grid.Errorf(grid.NotFound, "import %q has no piece %d", id, n)
	}
	if err != nil {
		return nil, err
	}
	return rows[0].Was, nil
}

// ImportKept gives what an undo has left as it is, at most so many.
func (s *Store) ImportKept(ctx context.Context, id string, most int) (out []grid.ImportProblem, err error) {
	rows, err := readAll(ctx, s, &importPieceTable, "WHERE import = ? AND kept <> '' ORDER BY n", id)
	for _, p := range rows {
		out = append(out, p.Kept[:min(len(p.Kept), most-len(out))]...)
	}
	return out, err
}

// Registered gives those of some points and devices that are registered, and the present
// installations of and at them, as of one commit.
func (s *Store) Registered(ctx context.Context, points []string, devices []grid.Identity) (r grid.Registration, err error) {
	var ids, identities args
	ids.doc(points)
	identities.doc(devices)
	err = s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			if r.Points, err = all(ctx, conn, &pointTable, "WHERE id IN (SELECT value FROM json_each(?))", ids.vals[0].Value); err != nil {
				return err
			}
			if r.Devices, err = all(ctx, conn, &deviceTable, "WHERE identity IN (SELECT value FROM json_each(?))", identities.vals[0].Value); err != nil {
				return err
			}
			r.Installations, err = all(ctx, conn, &installationTable, "WHERE device IN (SELECT value FROM json_each(?1)) AND ended = 0 UNION SELECT "+installationTable.cols+
				" FROM installations WHERE point IN (SELECT value FROM json_each(?2)) AND ended = 0", identities.vals[0].Value, ids.vals[0].Value)
			return err
		})
	})
	if err != nil {
		return r, fmt.Errorf("registered rows: %w", err)
	}
	return r, nil
}

// InstallationsOf gives all installations of some devices, past ones too.
func (s *Store) InstallationsOf(ctx context.Context, devices []grid.Identity) ([]grid.Installation, error) {
	var identities args
	identities.doc(devices)
	return readAll(ctx, s, &installationTable, "WHERE device IN (SELECT value FROM json_each(?)) ORDER BY device, channel, started", identities.vals[0].Value)
}

// uses are where a point or device stands that somebody or something has had to do with.
var uses = []struct {
	table, point, device string // columns
	where                string
	what                 grid.Text
}{
	{"alarms", "point", "device", "", grid.Text{ZH: "有报警记录", EN: "has alarms"}},
	{"tickets", "point", "device", "", grid.Text{ZH: "有工单", EN: "has tickets"}},
	{"events", "point", "", "", grid.Text{ZH: "有事件记录", EN: "has events"}},
	{"downlinks", "", "device", "", grid.Text{ZH: "有下行指令", EN: "has downlinks"}},
	{"credentials", "", "device", "", grid.Text{ZH: "有凭据", EN: "has credentials"}},
	{"visits", "point", "device", "", grid.Text{ZH: "有调试记录", EN: "has a commissioning visit"}},
}

// UsesOf says of some points and devices what has come to hang on them; who is not in the
// answer may leave the registry without a trace.
func (s *Store) UsesOf(ctx context.Context, points []string, devices []grid.Identity) (map[string]grid.Text, error) {
	out := map[string]grid.Text{}
	var ids, identities args
	ids.doc(points)
	identities.doc(devices)
	err := s.reader(ctx, func(conn driver.Conn) error {
		have := map[string]bool{}
		err := each(ctx, conn, "SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'", nil, func(r *row) error {
			have[r.text()] = true
			return r.err
		})
		if err != nil {
			return err
		}
		for _, u := range uses {
			for _, col := range []struct {
				name string
				of   driver.Value
			}{{u.point, ids.vals[0].Value}, {u.device, identities.vals[0].Value}} {
				if !have[u.table+"."+col.name] {
					continue
				}
				err := each(ctx, conn, "SELECT DISTINCT "+col.name+" FROM "+u.table+" WHERE "+col.name+" IN (SELECT value FROM json_each(?))", []driver.Value{col.of}, func(r *row) error {
					out[r.text()] = u.what
					return r.err
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return out, err
}

// EachPoint, EachDevice and EachInstallation stream what is registered in a scope, in the
// order of their keys; a row is valid during the call. Devices come with nothing of where
// they are, installations are the present ones.
func (s *Store) EachPoint(ctx context.Context, scope grid.Scope, fn func(*grid.Point) error) error {
	return eachIn(ctx, s, &pointTable, &pointList, scope, fn)
}

func (s *Store) EachBuilding(ctx context.Context, scope grid.Scope, fn func(*grid.Building) error) error {
	return eachIn(ctx, s, &buildingTable, &buildingList, scope, fn)
}

func (s *Store) EachDevice(ctx context.Context, scope grid.Scope, fn func(*grid.Device) error) error {
	return eachIn(ctx, s, &deviceTable, &deviceList, scope, fn)
}

func (s *Store) EachInstallation(ctx context.Context, scope grid.Scope, fn func(*grid.Installation) error) error {
	return eachIn(ctx, s, &installationTable, &installationList, scope, func(in *grid.Installation) error {
		if !in.To.IsZero() {
			return nil
		}
		return fn(in)
	})
}

// eachIn reads page by page, so that no reader holds the WAL for as long as a slow client takes.
func eachIn[T any](ctx context.Context, s *Store, t *table[T], l *list, scope grid.Scope, fn func(*T) error) error {
	for q := (Query{Scope: scope, Limit: maxLimit}); ; {
		p, err := pageOf(ctx, s, t, l, q)
		if err != nil {
			return err
		}
		for i := range p.Items {
			if err := fn(&p.Items[i]); err != nil {
				return err
			}
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return nil
		}
	}
}
