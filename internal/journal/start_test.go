package journal_test

import (
	"context"
	"sync"
	"testing"

	"gridgate/internal/journal"
)

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
