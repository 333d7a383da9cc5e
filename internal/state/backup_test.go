package state

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gridgate/internal/grid"
)

func TestBackupWhileCommitsRunIsOfOneCommit(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "state.db"))
	commit(t, s, registryBatch(0, 2_000)) // enough pages that commits come between the steps
	var wg sync.WaitGroup
	stop := make(chan struct{})
	begun := make(chan struct{})
	wg.Go(func() {
		for n := 1; ; n++ {
			b := cursorBatch(n)
			addTicket(b, n)
			if err := s.Commit(t.Context(), b); err != nil {
				t.Error(err)
			}
			if n == 3 {
				close(begun)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	<-begun
	before, err := s.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(dir, "backup #1?.db")
	err = s.Backup(t.Context(), dest)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	// A restore is to open it.
	restored := openTest(t, dest)
	p, err := restored.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seq := p.Cursors[grid.Safety].Seq
	if seq < before.Cursors[grid.Safety].Seq || seq > after.Cursors[grid.Safety].Seq {
		t.Errorf("the backup is of commit %d: want one between %d and %d", seq, before.Cursors[grid.Safety].Seq, after.Cursors[grid.Safety].Seq)
	}
	agree(t, restored)
	if n := len(loadRegistry(t, restored).Devices); n != 2_000 {
		t.Errorf("%d devices in the backup", n)
	}
	commit(t, restored, &Batch{Cursors: [grid.Lanes]grid.Pos{{}, {Lane: grid.Bulk, Epoch: 2, Seq: 1}}})
	left, err := filepath.Glob(filepath.Join(dir, "*.part*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// agree checks that cursor, ledger and rows are of the same commit of cursorBatch and addTicket.
func agree(t *testing.T, s *Store) {
	t.Helper()
	p, err := s.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := int64(p.Cursors[grid.Safety].Seq)
	if n == 0 {
		return
	}
	if got := p.Ledger[0].Counts[grid.Processed]; got != 20*n || int64(p.Cursors[grid.Bulk].Seq) != 20*n {
		t.Errorf("cursor of commit %d with a ledger of %d and a bulk cursor of %d", n, got, p.Cursors[grid.Bulk].Seq)
	}
	for table, perCommit := range map[string]int64{
		"events": 1, "alarms": 1, "tickets": 1, "assignments": 2, "moves": 1, "deliveries": 2, "evidence": 1,
	} {
		if got := number(t, s, "SELECT count(*) FROM "+table); got != perCommit*n {
			t.Errorf("cursor of commit %d with %d rows in %s: want %d", n, got, table, perCommit*n)
		}
	}
}

func TestBackupNeverReplacesAFile(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "state.db"))
	dest := filepath.Join(dir, "backup.db")
	if err := os.WriteFile(dest, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), dest); grid.CodeOf(err) != grid.Conflict || !strings.Contains(err.Error(), dest) {
		t.Errorf("error is %v: want a conflict, naming the file", err)
	}
	if b, err := os.ReadFile(dest); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "no", "such", "folder.db")); err == nil {
		t.Error("a backup into no folder succeeded")
	}
}

func TestBackupEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "state.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, filepath.Join(dir, "backup.db")); err == nil {
		t.Error("a cancelled backup succeeded")
	}
	left, err := filepath.Glob(filepath.Join(dir, "backup*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
