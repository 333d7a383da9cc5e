package gatetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// proof is what gridgate backup verify says.
type proof struct {
	Files    int
	Problems []string
	Manifest struct {
		Lanes []struct {
			Lane                     string
			Accepted, Ended, Waiting int64
		}
		Tickets struct{ All, Open int64 }
	}
	Recount struct {
		Lanes []struct {
			Lane                     string
			Accepted, Ended, Waiting int64
		}
	}
}

func proofOf(t *testing.T, text string) (p proof) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return p
}

// A backup is taken while a fleet sends as fast as it is taken and units answer; restored
// elsewhere it has the same ledger and the same tickets, as two commands say.
func TestABackupUnderFullLoadIsRestoredElsewhere(t *testing.T) {
	g := newGateway(t, append(shortClocks(t), "journal: {segment_bytes: 1MiB}", "backup: {dir: backups, every: 1s, keep: 2}")...)
	g.start(t)
	g.put(t, smokeRegistry)
	startUnits(t, g)
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	fleet := load(t, g, 100_000) // as fast as it is taken
	g.taken(t, 5000)
	dir := filepath.Join(t.TempDir(), "backup")
	began := time.Now()
	g.gridgate(t, "backup", dir)
	took := time.Since(began)
	g.keepsBackups(t)
	eventually(t, time.Minute, "frames after the backup", func() error {
		l, err := g.api.Ledger(t.Context())
		if _, _, _, _, accepted := sum(l); err == nil && accepted < 8000 {
			err = fmt.Errorf("%d accepted", accepted)
		}
		return err
	})
	fleet.Stop(t)
	g.balanced(t)
	known := map[string]bool{}
	for _, k := range all[grid.Ticket](t, g, "tickets", api.Query{}) {
		known[k.ID] = true
	}
	g.Kill()

	verified := proofOf(t, g.gridgate(t, "--json", "backup", "verify", dir))
	if len(verified.Problems) > 0 || verified.Manifest.Tickets.All < 1 {
		t.Fatalf("the backup is not whole: %+v", verified)
	}
	other := newGateway(t, shortClocks(t)...)
	t.Log(other.gridgate(t, "restore", "--verify", dir))
	other.start(t)
	l := other.balanced(t)
	_, _, _, _, accepted := sum(l)
	var inBackup int64
	for i, lane := range verified.Recount.Lanes {
		inBackup += lane.Accepted
		if m := verified.Manifest.Lanes[i]; m.Accepted != lane.Accepted || m.Ended != lane.Ended || m.Waiting != lane.Waiting {
			t.Errorf("counted %+v: the manifest has %+v", lane, m)
		}
	}
	if accepted != inBackup || inBackup < 5000 {
		t.Errorf("%d frames after the restore: %d are in the backup, 5000 had been processed", accepted, inBackup)
	}
	tickets := all[grid.Ticket](t, other, "tickets", api.Query{})
	if int64(len(tickets)) < verified.Manifest.Tickets.All {
		t.Errorf("%d tickets after the restore: %d are in the backup", len(tickets), verified.Manifest.Tickets.All)
	}
	for _, k := range tickets {
		// A later one may stand on what ended in frames that are not in the backup.
		if !known[k.ID] && k.Opened.Before(began) {
			t.Errorf("ticket %s of the restored gateway was opened at %s, before the backup, and never by the other", k.ID, k.Opened)
		}
	}
	t.Logf("backup of %d frames and %d tickets under load: %v, %d files", inBackup, len(tickets), took.Round(time.Millisecond), verified.Files)
}

// keepsBackups waits for the schedule's third backup: two are kept, and the later of them
// shares what did not change with the one before.
func (g *gateway) keepsBackups(t *testing.T) {
	t.Helper()
	root := filepath.Join(g.dir, "backups")
	seen := map[string]bool{}
	eventually(t, time.Minute, "three backups by the schedule", func() error {
		entries, err := os.ReadDir(root)
		if err != nil {
			return err
		}
		finished := 0
		for _, e := range entries {
			if _, err := os.Stat(filepath.Join(root, e.Name(), "manifest.json")); err == nil {
				seen[e.Name()] = true
				finished++
			}
		}
		if len(seen) < 3 || finished > 2 {
			return fmt.Errorf("%d were seen, %d are there", len(seen), finished)
		}
		return nil
	})
	eventually(t, time.Minute, "a file that two backups share", func() error {
		shared := errors.New("none is shared")
		filepath.WalkDir(root, func(path string, _ fs.DirEntry, _ error) error { // what goes meanwhile is no error
			if info, err := os.Stat(path); err == nil && strings.HasSuffix(path, ".seg") && links(info) > 1 {
				shared = nil
			}
			return nil
		})
		return shared
	})
}

// A backup of which one byte is another is told by its file, and not restored.
func TestABackupThatWasTamperedWithIsToldAndNotRestored(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, smokeRegistry)
	connect(t, g.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	g.settled(t)
	dir := filepath.Join(t.TempDir(), "backup")
	g.gridgate(t, "backup", dir)
	path := filepath.Join(dir, "state.db")
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)-100] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
	out, err := gatetest.Run(t.Context(), program(t, "gridgate"), "backup", "verify", dir)
	if err == nil || !strings.Contains(out, "state.db has changed") {
		t.Errorf("verified: %v: %s", err, out)
	}
	other := newGateway(t)
	if _, err := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", other.config, "restore", dir); err == nil || !strings.Contains(err.Error(), "state.db has changed") {
		t.Errorf("restored: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, "manifest.json")))
	if _, err := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", other.config, "restore", dir); err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("restored without a manifest: %v", err)
	}
}
