package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// Recount is the ledger worked out anew from the files: what the journal's records say
// was accepted, against what the state says became of it. It uses no counter that the
// running gateway keeps.
type Recount struct {
	Lanes    []LaneRecount `json:"lanes"`
	Problems []string      `json:"problems"` // empty: it balances
}

// LaneRecount is the recount of one lane.
type LaneRecount struct {
	Lane     string `json:"lane"`
	Accepted uint64 `json:"accepted"` // records in the journal and, for what retention removed, its headers
	Ended    int64  `json:"ended"`    // processed, duplicate, ignored, quarantined, discarded
	Waiting  uint64 `json:"waiting"`  // after the engine's cursor
}

// CheckFiles recounts the data folder of a gateway that runs or not. It reads the whole
// journal: about a second per gigabyte.
func (c *Config) CheckFiles(ctx context.Context, log *slog.Logger) (Recount, error) {
	if _, err := os.Stat(c.StatePath()); err != nil {
		return Recount{}, grid.Errorf(grid.NotFound, "check: no state in %s: %w", c.DataDir, err)
	}
	store, err := state.OpenReadOnly(ctx, c.StatePath(), log)
	if err != nil {
		return Recount{}, fmt.Errorf("check: %w", err)
	}
	defer store.Close()
	// The state first: the journal that is read after it has at least what the state counted.
	progress, err := store.Progress(ctx)
	if err != nil {
		return Recount{}, fmt.Errorf("check: %w", err)
	}
	frames, err := journal.OpenReadOnly(c.JournalDir(), log)
	if err != nil {
		return Recount{}, fmt.Errorf("check: %w", err)
	}
	defer frames.Close()
	counted, err := frames.Recount(ctx)
	if err != nil {
		return Recount{}, fmt.Errorf("check: %w", err)
	}
	return recount(progress, counted), nil
}

// recount compares: every sequence up to the cursor has ended exactly once, every one up
// to the head is there, and a source that has nothing waiting has ended what it sent.
func recount(p state.Progress, j journal.Recount) Recount {
	r := Recount{Problems: []string{}}
	wrong := func(format string, args ...any) { r.Problems = append(r.Problems, fmt.Sprintf(format, args...)) }
	for lane := range grid.Lane(grid.Lanes) {
		cursor, head := p.Cursors[lane].Seq, j.Heads[lane].Seq
		out := LaneRecount{Lane: lane.String(), Waiting: head - min(head, cursor)}
		for src, n := range j.Accepted {
			if src.Lane == lane {
				out.Accepted += n
			}
		}
		for _, row := range p.Ledger {
			if row.Lane != lane {
				continue
			}
			ended := total(row)
			out.Ended += ended
			accepted := j.Accepted[journal.Source{Lane: lane, Transport: row.Transport, Source: row.Source}]
			if ended > int64(accepted) || out.Waiting == 0 && ended != int64(accepted) {
				wrong("%s %s %s: the journal accepted %d, the state says %d ended", lane, row.Transport, row.Source, accepted, ended)
			}
		}
		if cursor > head {
			wrong("%s: the engine's cursor is %d, past the journal's end at %d", lane, cursor, head)
		}
		if out.Ended != int64(cursor) {
			wrong("%s: %d frames ended, but the engine has taken %d", lane, out.Ended, cursor)
		}
		if j.Missing[lane] > 0 {
			wrong("%s: %d sequences are in no segment", lane, j.Missing[lane])
		}
		r.Lanes = append(r.Lanes, out)
	}
	return r
}

func total(row grid.LedgerRow) (n int64) {
	for _, c := range row.Counts {
		n += c
	}
	return n
}
