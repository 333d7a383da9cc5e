package state

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gridgate/internal/grid"
)

func TestFullDiskFailsACommitAndSpaceMendsIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("skipped: a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := openTest(t, filepath.Join(dir, "state.db"))
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	n, full := 0, error(nil)
	for full == nil && n < 10_000 {
		b := cursorBatch(n + 1)
		addTicket(b, n+1)
		if full = s.Commit(t.Context(), b); full == nil {
			n++
		}
	}
	if grid.CodeOf(full) != grid.Unavailable || n == 0 {
		t.Fatalf("after %d commits the error is %v: want some, then unavailable", n, full)
	}
	for range 3 { // the engine tries again and again
		b := cursorBatch(n + 1)
		addTicket(b, n+1)
		if err := s.Commit(t.Context(), b); err == nil {
			t.Fatal("a commit succeeded on a full disk that has just refused it")
		}
	}
	agree(t, s)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	b := cursorBatch(n + 1)
	addTicket(b, n+1)
	commit(t, s, b)
	agree(t, s)
	intact(t, s)
	if p, err := s.Progress(t.Context()); err != nil || int(p.Cursors[grid.Safety].Seq) != n+1 {
		t.Errorf("progress is %+v, %v: want commit %d", p, err, n+1)
	}
}
