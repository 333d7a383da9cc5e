package state

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"
)

const (
	pageSize        = 4096
	walPages        = 4096 // 16 MB: beyond it the WAL is made to start anew
	checkpointEvery = time.Second
)

// Run moves what has been committed from the WAL into the file, so that no commit has to
// and the WAL stays small. It returns when ctx is done. A store works without it, with a
// slow commit now and then.
func (s *Store) Run(ctx context.Context) error {
	conn, err := connect(ctx, dsn(s.path, "rw"))
	if err != nil {
		return fmt.Errorf("checkpoint state: %w", err)
	}
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	failing := false
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-tick.C:
		}
		err := s.checkpoint(ctx, conn, walPages)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Warn("state is not checkpointed, its WAL grows", "err", err)
		}
		failing = err != nil
	}
	return conn.Close()
}

// checkpoint copies what it can beside the running commits. While commits keep coming,
// there is always a last one that is not copied, and the WAL would grow for ever: once it
// has long pages, the rest is copied between two commits, which takes a few pages only.
// The next commit then starts the WAL anew.
func (s *Store) checkpoint(ctx context.Context, conn driver.Conn, long int64) error {
	pages, err := passive(ctx, conn)
	if err != nil || pages < long {
		return err
	}
	if _, err := passive(ctx, conn); err != nil { // what came while the first was at work
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = passive(ctx, conn)
	return err
}

// passive copies pages from the WAL without waiting for anyone, and gives the WAL's length.
func passive(ctx context.Context, conn driver.Conn) (pages int64, err error) {
	err = each(ctx, conn, "PRAGMA wal_checkpoint(PASSIVE)", nil, func(r *row) error {
		_ = r.num() // busy: never for a passive one
		pages = r.num()
		return r.err
	})
	return pages, err
}

// Retain says what Prune may delete: rows from before these times. Zero keeps all.
type Retain struct {
	Applied    time.Time // idempotency keys
	Quarantine time.Time // frames that were replayed or discarded; waiting ones stay
	Down       time.Time // spans that ended
	Downlinks  time.Time // that ended before; open ones stay
}

// pruneRows is how many rows are deleted in one transaction: a commit waits no longer than that.
const pruneRows = 500

// Prune deletes what need not be kept, a little at a time between commits, and gives the
// number of rows deleted.
func (s *Store) Prune(ctx context.Context, keep Retain) (int64, error) {
	var total int64
	for _, p := range []struct {
		sql    string
		before time.Time
	}{
		{"DELETE FROM applied WHERE key IN (SELECT key FROM applied WHERE at < ? LIMIT ?)", keep.Applied},
		{"DELETE FROM quarantine WHERE rowid IN (SELECT rowid FROM quarantine WHERE at < ? AND state <> 'waiting' LIMIT ?)", keep.Quarantine},
		{"DELETE FROM down WHERE (source, started) IN (SELECT source, started FROM down WHERE ended < ? AND ended <> 0 LIMIT ?)", keep.Down},
		{"DELETE FROM downlinks WHERE id IN (SELECT id FROM downlinks WHERE ended < ? AND ended <> 0 LIMIT ?)", keep.Downlinks},
	} {
		for more := !p.before.IsZero(); more; {
			n, err := s.delete(ctx, p.sql, nanos(p.before), int64(pruneRows))
			if err != nil {
				return total, fmt.Errorf("prune state: %w", err)
			}
			total += n
			more = n == pruneRows
		}
	}
	return total, nil
}

func (s *Store) delete(ctx context.Context, sql string, vals ...driver.Value) (n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(ctx); err != nil {
		return 0, err
	}
	err = s.inTransaction(ctx, func(w *writer) {
		w.exec(sql, vals...)
		n = w.changed
	})
	return n, err
}
