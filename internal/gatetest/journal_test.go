package gatetest_test

import (
	"errors"
	"sync"
	"testing"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestFakeJournalKeepsThePromises(t *testing.T) {
	var mu sync.Mutex
	disks := make(map[string]*gatetest.FakeJournal)
	gatetest.TestJournal(t, func(_ *testing.T, dir string) gatetest.Journal {
		mu.Lock()
		defer mu.Unlock()
		if disks[dir] == nil {
			disks[dir] = gatetest.NewJournal()
		} else {
			disks[dir] = disks[dir].Reopen()
		}
		return disks[dir]
	})
}

func TestFakeJournalFailsWhenToldTo(t *testing.T) {
	j := gatetest.NewJournal()
	j.FailNext(grid.ErrOverloaded)
	frames := []grid.Frame{gatetest.JournalFrame(1)}
	if err := j.Append(t.Context(), grid.Bulk, frames); !errors.Is(err, grid.ErrOverloaded) || !frames[0].Pos.IsZero() {
		t.Fatalf("append gave %v and %v", err, frames[0].Pos)
	}
	if err := j.Append(t.Context(), grid.Bulk, frames); err != nil || frames[0].Pos.Seq != 1 {
		t.Fatalf("the append after it gave %v and %v", err, frames[0].Pos)
	}
}
