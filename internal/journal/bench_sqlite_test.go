package journal_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite"
)

// BenchmarkSQLiteAppend1000Callers is the other way to keep the journal, for the
// comparison in docs/decisions/001-journal-files.md: the same 1,000 callers, one writer
// that commits what has gathered, one row per frame, no index by device, and neither a
// follower nor retention.
func BenchmarkSQLiteAppend1000Callers(b *testing.B) {
	const callers = 1000
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "journal.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`create table frames (seq integer primary key, received int, identity text,
		transport text, source text, address text, envelope text, flags int, note text, raw blob)`); err != nil {
		b.Fatal(err)
	}
	type row struct {
		identity, address string
		raw               []byte
		done              chan error
	}
	rows := make(chan *row, callers)
	var writer, work sync.WaitGroup
	writer.Go(func() {
		for first := range rows {
			batch := []*row{first}
			for more := true; more && len(batch) < callers; {
				select {
				case r, ok := <-rows:
					if more = ok; ok {
						batch = append(batch, r)
					}
				default:
					more = false
				}
			}
			err := insert(db, len(batch), func(i int) []any {
				return []any{0, batch[i].identity, "mqtt", "city", batch[i].address, "chirpstack", 0, "", batch[i].raw}
			})
			for _, r := range batch {
				r.done <- err
			}
		}
	})
	raw := make([]byte, 200)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	for c := range callers {
		work.Go(func() {
			r := &row{fmt.Sprintf("eui:24e124%010d", c), fmt.Sprintf("application/1/device/24e124%010d/event/up", c), raw, make(chan error, 1)}
			for left.Add(-1) >= 0 {
				rows <- r
				if err := <-r.done; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	b.StopTimer()
	close(rows)
	writer.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

func insert(db *sql.DB, n int, values func(int) []any) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	st, err := tx.Prepare(`insert into frames (received, identity, transport, source, address, envelope, flags, note, raw) values (?,?,?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	defer st.Close()
	for i := range n {
		if _, err := st.Exec(values(i)...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
