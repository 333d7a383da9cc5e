package state

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

var update = flag.Bool("update", false, "write testdata/v<present schema>.db, once for each schema")

// everything is in each stored old file.
func everything() *Batch {
	b := inScope("ours", yuyuan)
	b.Points[0].Cell, b.Devices[0].Profile, b.Devices[0].State = yuyuanCell, "milesight/ws301", grid.Installed
	b.Quarantine[0].Frame = sampleFrame(grid.Pos{Lane: grid.Bulk, Epoch: 1, Seq: 7})
	b.Cursors, b.EngineTime, b.InfluxMark, b.Ledger = cursorBatch(9).Cursors, t0, InfluxMark{Segment: 2, Offset: 3}, cursorBatch(9).Ledger
	b.Commands = []Applied{{Key: "k", At: t0, Result: []byte("done")}}
	b.Down = []DownSpan{{From: t0, To: t0.Add(1)}}
	b.Suspects = []Suspect{{Pos: grid.Pos{Lane: grid.Bulk, Epoch: 1, Seq: 181}, Crashes: 1}}
	b.Meta = map[string]string{"key": "value"}
	return b
}

// TestOldFilesAreReadable opens a copy of every stored old file. Stored files are never
// made anew: each is what a gridgate of its time wrote.
func TestOldFilesAreReadable(t *testing.T) {
	if *update {
		storePresent(t)
	}
	files, err := filepath.Glob("testdata/v*.db")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d stored files, %v: want at least testdata/v1.db", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "state.db")
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			readable(t, openTest(t, path), versionOf(t, file))
		})
	}
}

// versionOf reads the schema's number out of a name such as v2.db or 00002_rollouts.sql.
func versionOf(t *testing.T, file string) int {
	t.Helper()
	n, err := strconv.Atoi(regexp.MustCompile(`^v?(\d+)`).FindStringSubmatch(filepath.Base(file))[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readable(t *testing.T, s *Store, version int) {
	want := everything()
	l, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unit := want.Units[0]
	unit.Token = ""
	if d := cmp.Diff(&Loaded{
		Progress: Progress{Cursors: want.Cursors, EngineTime: want.EngineTime, InfluxMark: want.InfluxMark, Ledger: want.Ledger},
		Units:    []grid.Unit{unit}, Alarms: want.Alarms, Tickets: ownTicket(want), Down: want.Down, Suspects: want.Suspects, Meta: want.Meta,
	}, l); d != "" {
		t.Errorf("loaded (+):\n%s", d)
	}
	p := want.Points[0]
	place := grid.Point{ID: p.ID, Kind: p.Kind, Scope: p.Scope, Cell: p.Cell, Mode: p.Mode, Building: p.Building, Rules: p.Rules}
	if d := cmp.Diff(grid.Registration{Points: []grid.Point{place}, Devices: want.Devices, Installations: want.Installations}, loadRegistry(t, s)); d != "" {
		t.Errorf("registry (+):\n%s", d)
	}
	for name, list := range lists(s) {
		since := map[string]int{"downlinks": 3, "windows": 7, "postures": 7, "hotspots": 12, "regions": 14, "sites": 15, "buildings": 15, "changes": 15, "photos": 15, "visits": 17}[name]
		if version < since {
			continue // there were none
		}
		if got, err := list(t.Context(), Query{Scope: yuyuan}); err != nil || !cmp.Equal(got, []string{"ours"}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	q, err := s.Quarantined(t.Context(), "ours")
	if err != nil || !cmp.Equal(q.Frame, want.Quarantine[0].Frame) {
		t.Errorf("quarantined frame: %+v, %v", q, err)
	}
	pending, err := s.PendingDeliveries(t.Context())
	if err != nil || !cmp.Equal(pending, want.Deliveries) {
		t.Errorf("pending deliveries: %+v, %v", pending, err)
	}
	ev, err := s.EvidenceOf(t.Context(), "ours")
	if err != nil || !cmp.Equal(ev, want.Evidence) {
		t.Errorf("evidence: %+v, %v", ev, err)
	}
	moves, err := s.Moves(t.Context(), "ours")
	if err != nil || !cmp.Equal(moves, want.Moves) {
		t.Errorf("moves: %+v, %v", moves, err)
	}
	attempts, err := s.Attempts(t.Context(), "ours")
	if err != nil || !cmp.Equal(attempts, want.Attempts) {
		t.Errorf("attempts: %+v, %v", attempts, err)
	}
	if got, known, err := s.Applied(t.Context(), "k"); err != nil || !known || !cmp.Equal(got, want.Commands[0]) {
		t.Errorf("applied: %+v, %t, %v", got, known, err)
	}
	if _, err := s.UnitByToken(t.Context(), "token of ours"); err != nil {
		t.Error(err)
	}
	commit(t, s, cursorBatch(10)) // and it can be written on
	commit(t, s, &Batch{Downlinks: []grid.Downlink{{ID: "new", Device: "ours", Created: t0.Add(1), State: grid.DownlinkQueued}}})
	if open, err := s.OpenDownlinks(t.Context()); err != nil || open[len(open)-1].ID != "new" {
		t.Errorf("open downlinks: %+v, %v", open, err)
	}
	commit(t, s, &Batch{Credentials: []grid.Credential{{ID: "key", Device: "ours", Kind: grid.CoAPKey, Created: t0}}})
	if c, err := s.Credentials(t.Context(), "ours"); err != nil || len(c) != 1 || c[0].ID != "key" {
		t.Errorf("credentials: %+v, %v", c, err)
	}
}

func ownTicket(b *Batch) []grid.Ticket {
	b.Tickets[0].Assignments[0].Ticket = b.Tickets[0].ID
	return b.Tickets
}

// storePresent writes the file for the present schema, unless it is there.
func storePresent(t *testing.T) {
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join("testdata", "v"+strconv.Itoa(versionOf(t, names[len(names)-1]))+".db")
	if _, err := os.Stat(dest); err == nil {
		t.Fatalf("%s is there already: a stored file is never made anew, add a migration", dest)
	}
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	commit(t, s, everything())
	if err := s.Backup(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := openTest(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	outside(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*Store, error){
		"Open":         func() (*Store, error) { return Open(t.Context(), path, nil) },
		"OpenReadOnly": func() (*Store, error) { return OpenReadOnly(t.Context(), path, nil) },
	} {
		s, err := open()
		if err == nil {
			t.Fatal(s.Close())
		}
		if grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), "9999") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error is %v: want a conflict that names the version and the file", name, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("a refused file was changed, %v", err)
	}
}

func TestFileThatIsNoStateIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is a text file\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), path, nil); err == nil {
		t.Fatal(s.Close())
	} else if !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v: want the file named", err)
	}
}

func TestReadOnlyStoreReadsBesideTheGatewayAndAfterIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if _, err := OpenReadOnly(t.Context(), path, nil); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("no file: error is %v: want not_found", err)
	}
	s := openTest(t, path)
	check := func(n int) {
		t.Helper()
		r, err := OpenReadOnly(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if p, err := r.Progress(t.Context()); err != nil || p.Cursors != cursorBatch(n).Cursors {
			t.Errorf("progress is %+v, %v: want commit %d", p, err, n)
		}
		if err := r.Commit(t.Context(), cursorBatch(n+1)); grid.CodeOf(err) != grid.Forbidden {
			t.Errorf("commit: error is %v: want forbidden", err)
		}
	}
	commit(t, s, cursorBatch(1))
	check(1)
	commit(t, s, cursorBatch(2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(2)
}
