package journal_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"gridgate/internal/journal"
)

// plain are options of a journal that has no eye on the free space.
var plain = journal.Options{ReserveBytes: -1, MinFreeBulk: -1, MinFreeSafety: -1}

// start opens and runs a journal. stop ends and closes it, and may be called once more.
func start(t testing.TB, dir string, o journal.Options) (log *journal.Log, stop func()) {
	t.Helper()
	log, err := journal.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := log.Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	t.Cleanup(stop)
	return log, stop
}

// soon is a context that ends before a person gets impatient.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for something that a goroutine of the journal does.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// memory is a directory where a sync costs nothing, for tests that open thousands of
// journals and do not lose power.
func memory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
