package state

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"

	"gridgate/internal/grid"
)

// outside runs SQL on the file beside the store.
func outside(t *testing.T, path string, statements ...string) {
	t.Helper()
	conn, err := connect(t.Context(), dsn(path, "rw"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range statements {
		if err := each(t.Context(), conn, sql, nil, func(*row) error { return nil }); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// number gives the one number that a query answers.
func number(t *testing.T, s *Store, sql string) (n int64) {
	t.Helper()
	err := s.reader(t.Context(), func(c driver.Conn) error {
		return each(t.Context(), c, sql, nil, func(r *row) error { n = r.num(); return r.err })
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestFailedCommitLeavesNothingAndTheNextOneWorks(t *testing.T) {
	for _, raise := range []string{"ABORT", "ROLLBACK", "FAIL"} {
		t.Run(raise, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			s := openTest(t, path)
			commit(t, s, cursorBatch(1))
			// Rows before the failing one must go, rows behind it must not come. After
			// ROLLBACK the transaction is over, and what follows would commit by itself.
			outside(t, path, "CREATE TRIGGER broken BEFORE INSERT ON alarms BEGIN SELECT RAISE("+raise+", 'on purpose'); END")
			b := cursorBatch(2)
			id := addTicket(b, 2)
			if err := s.Commit(t.Context(), b); err == nil {
				t.Fatal("the commit succeeded")
			}
			for _, table := range []string{"events", "alarms", "tickets", "deliveries", "evidence"} {
				if n := number(t, s, "SELECT count(*) FROM "+table); n != 0 {
					t.Errorf("%s has %d rows of a failed commit", table, n)
				}
			}
			p, err := s.Progress(t.Context())
			if err != nil || p.Cursors != cursorBatch(1).Cursors || p.Ledger[0].Counts[grid.Processed] != 20 {
				t.Errorf("progress is %+v, %v: want that of the first commit", p, err)
			}
			outside(t, path, "DROP TRIGGER broken")
			commit(t, s, b)
			if _, err := s.Ticket(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCursorThatGoesBackIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openTest(t, path)
	commit(t, s, &Batch{Cursors: [grid.Lanes]grid.Pos{{Lane: grid.Safety, Epoch: 2, Seq: 10}, {Lane: grid.Bulk, Epoch: 2, Seq: 10}}})
	refused := func(s *Store) {
		t.Helper()
		for _, pos := range []grid.Pos{{Lane: grid.Bulk, Epoch: 2, Seq: 9}, {Lane: grid.Bulk, Epoch: 1, Seq: 11}, {Lane: grid.Safety, Epoch: 2, Seq: 11}} {
			b := &Batch{Events: []grid.Event{{ID: "E"}}}
			b.Cursors[grid.Bulk] = pos
			if err := s.Commit(t.Context(), b); err == nil {
				t.Errorf("cursor %s was taken for lane bulk", pos)
			}
		}
		if n := number(t, s, "SELECT count(*) FROM events"); n != 0 {
			t.Errorf("%d events of refused commits", n)
		}
	}
	refused(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path)
	refused(s) // it knows after a restart, too
	// The same place is right for a command, a higher epoch for a restored journal.
	commit(t, s, &Batch{Cursors: [grid.Lanes]grid.Pos{{}, {Lane: grid.Bulk, Epoch: 2, Seq: 10}}})
	commit(t, s, &Batch{Cursors: [grid.Lanes]grid.Pos{{}, {Lane: grid.Bulk, Epoch: 3, Seq: 1}}})
	p, err := s.Progress(t.Context())
	if want := (grid.Pos{Lane: grid.Safety, Epoch: 2, Seq: 10}); err != nil || p.Cursors[grid.Safety] != want {
		t.Errorf("the safety cursor is %s, %v: want %s, untouched", p.Cursors[grid.Safety], err, want)
	}
}

func TestCancelledCommitDoesNotBegin(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx, cursorBatch(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v: want %v", err, context.Canceled)
	}
	commit(t, s, cursorBatch(1))
}

// A failed sync must end the process: after it nobody knows what is on the disk.
func TestFailedSyncIsNeverTriedAgain(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	for code, fatal := range map[coded]bool{
		sqlite3.SQLITE_IOERR_FSYNC: true, sqlite3.SQLITE_IOERR_DIR_FSYNC: true, sqlite3.SQLITE_CORRUPT: true,
		sqlite3.SQLITE_FULL: false, sqlite3.SQLITE_IOERR_WRITE: false, sqlite3.SQLITE_BUSY: false,
	} {
		s.fatal = nil
		if err := s.failed(fmt.Errorf("commit: %w", code)); errors.Is(err, ErrUntrusted) != fatal {
			t.Errorf("%v: error is %v: want fatal %t", code, err, fatal)
		} else if !fatal && grid.CodeOf(err) != grid.Unavailable {
			t.Errorf("%v: code is %s: want unavailable", code, grid.CodeOf(err))
		}
		if err := s.Commit(t.Context(), &Batch{}); errors.Is(err, ErrUntrusted) != fatal {
			t.Errorf("after %v the next commit says %v", code, err)
		}
	}
}

type coded int

func (c coded) Error() string { return fmt.Sprintf("sqlite error %d", int(c)) }
func (c coded) Code() int     { return int(c) }

func TestEveryCommitIsSyncedInFull(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	commit(t, s, cursorBatch(1))
	for pragma, want := range map[string]int64{"synchronous": 2, "wal_autocheckpoint": 4 * walPages} {
		var got int64
		err := each(t.Context(), s.write.conn, "PRAGMA "+pragma, nil, func(r *row) error { got = r.num(); return r.err })
		if err != nil || got != want {
			t.Errorf("%s is %d, %v: want %d", pragma, got, err, want)
		}
	}
}

func TestStateAndBackupAreTheirOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // as a careless copy leaves it
		t.Fatal(err)
	}
	s := openTest(t, path)
	commit(t, s, cursorBatch(1))
	if err := s.Backup(t.Context(), filepath.Join(dir, "backup.db")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"state.db", "state.db-wal", "state.db-shm", "backup.db"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if mode := st.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o: want 600, it holds secrets", name, mode)
		}
	}
}

// While commits keep coming there is never a moment with nothing left to checkpoint.
func TestWALStaysSmallUnderSteadyCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openTest(t, path)
	conn, err := connect(t.Context(), dsn(path, "rw"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Commits run beside the checkpoints, and only so many ahead of the next: on a busy machine
	// the checkpoints may have to wait for their turn.
	const ahead = 20
	turns := make(chan struct{}, ahead)
	var wg sync.WaitGroup
	wg.Go(func() {
		n := 0
		for range turns {
			n++
			b := cursorBatch(n)
			for i := range 10 {
				b.Quarantine = append(b.Quarantine, grid.QuarantinedFrame{
					ID: fmt.Sprintf("Q%d-%d", n, i), State: "waiting", Frame: grid.Frame{Raw: make([]byte, 4000)},
				})
			}
			if err := s.Commit(t.Context(), b); err != nil {
				t.Error(err)
				return
			}
		}
	})
	const long = 256
	const limit = 4 * long * pageSize
	for written := int64(0); written < 3*limit && !t.Failed(); { // enough to show a WAL that only grows
		for len(turns) < ahead {
			turns <- struct{}{}
		}
		if err := s.checkpoint(t.Context(), conn, long); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() > limit {
			t.Fatalf("the WAL has %d bytes: want no more than %d", st.Size(), limit)
		}
		written = number(t, s, "SELECT count(*) FROM quarantine") * 4000
	}
	close(turns)
	wg.Wait()
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	commit(t, s, cursorBatch(1))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReadersSeeWholeCommitsOnly(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	commit(t, s, cursorBatch(1))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				p, err := s.Progress(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if processed := p.Ledger[0].Counts[grid.Processed]; processed != int64(p.Cursors[grid.Bulk].Seq) {
					t.Errorf("cursor %d beside a ledger of %d", p.Cursors[grid.Bulk].Seq, processed)
					return
				}
			}
		})
	}
	for n := 2; n < 300; n++ {
		commit(t, s, cursorBatch(n))
	}
	close(stop)
	wg.Wait()
}
