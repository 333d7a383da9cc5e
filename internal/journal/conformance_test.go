package journal_test

import (
	"testing"

	"gridgate/internal/gatetest"
	"gridgate/internal/journal"
)

func TestJournalKeepsThePromises(t *testing.T) {
	for name, o := range map[string]journal.Options{
		"Defaults":      {},
		"OnDisk":        {RecentBytes: -1},
		"SmallSegments": {RecentBytes: -1, SegmentBytes: 4096},
	} {
		t.Run(name, func(t *testing.T) {
			gatetest.TestJournal(t, func(t *testing.T, dir string) gatetest.Journal {
				log, err := journal.Open(dir, o)
				if err != nil {
					t.Fatal(err)
				}
				return log
			})
		})
	}
}
