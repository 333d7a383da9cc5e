package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// The environment of a child process that commits until it is killed.
const crashFile = "GRIDGATE_TEST_CRASH_STATE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		commitForever(path)
	}
	os.Exit(m.Run())
}

// commitForever prints the number of each commit after it has returned.
func commitForever(path string) {
	die := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	s, err := Open(ctx, path, nil)
	if err != nil {
		die(err)
	}
	go func() { _ = s.Run(ctx) }() // checkpoints are to be hit, too
	p, err := s.Progress(ctx)
	if err != nil {
		die(err)
	}
	for n := int(p.Cursors[grid.Safety].Seq) + 1; ; n++ {
		b := cursorBatch(n)
		addTicket(b, n)
		if err := s.Commit(ctx, b); err != nil {
			die(err)
		}
		if n%16 == 0 {
			conn, err := connect(ctx, dsn(path, "rw"))
			if err != nil {
				die(err)
			}
			if err := errors.Join(s.checkpoint(ctx, conn, 64), conn.Close()); err != nil {
				die(err)
			}
		}
		fmt.Println(n)
	}
}

// TestKilledProcessLeavesCursorAndRowsOfOneCommit kills a committing process at random
// moments, and looks at what it left each time.
func TestKilledProcessLeavesCursorAndRowsOfOneCommit(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 5
	}
	path := filepath.Join(t.TempDir(), "state.db")
	seed := uint64(1) // the moments of death differ all the same
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for run := range runs {
		returned := killWhileCommitting(t, path, rnd)
		s, err := Open(t.Context(), path, nil)
		if err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		agree(t, s)
		p, err := s.Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := int(p.Cursors[grid.Safety].Seq); got < returned {
			t.Errorf("run %d: commit %d had returned, the file is of commit %d", run, returned, got)
		}
		intact(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
}

// killWhileCommitting gives the last commit that the child had seen return.
func killWhileCommitting(t *testing.T, path string, rnd *rand.Rand) (returned int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashFile+"="+path)
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if kill == nil { // it is at work
			kill = time.AfterFunc(time.Duration(rnd.IntN(60_000))*time.Microsecond, func() { _ = child.Process.Kill() })
		}
		if returned, err = strconv.Atoi(lines.Text()); err != nil {
			t.Error(err)
		}
	}
	err = child.Wait()
	if ended, ok := errors.AsType[*exec.ExitError](err); !ok || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended by itself: %v: %s", err, stderr.String())
	}
	return returned
}

// intact runs SQLite's own check over the whole file.
func intact(t *testing.T, s *Store) {
	t.Helper()
	conn, err := connect(t.Context(), dsn(s.path, "ro"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = each(t.Context(), conn, "PRAGMA integrity_check", nil, func(r *row) error {
		if said := r.text(); said != "ok" {
			t.Errorf("integrity: %s", said)
		}
		return r.err
	})
	if err != nil {
		t.Error(err)
	}
}
