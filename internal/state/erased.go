package state

import (
	"context"
	"database/sql/driver"
	"time"

	"gridgate/internal/grid"
)

// FilesPast gives files of tickets at points of a class that ended before a time and are not erased.
func (s *Store) FilesPast(ctx context.Context, of grid.Privacy, before time.Time, most int) ([]grid.EvidenceFile, error) {
	const ended = "WHERE erased = 0 AND EXISTS (SELECT 1 FROM tickets t JOIN points p ON p.id = t.point WHERE t.id = ticket " +
		"AND p.privacy = ? AND t.ended = 1 AND CASE t.closed WHEN 0 THEN t.opened ELSE t.closed END < ?) ORDER BY at, id LIMIT ?"
	return readAll(ctx, s, &fileTable, ended, string(of), nanos(before), int64(most))
}

// PhotosPast gives photos of points of a class that were retired before a time and are not erased.
func (s *Store) PhotosPast(ctx context.Context, of grid.Privacy, before time.Time, most int) ([]grid.PointPhoto, error) {
	return readAll(ctx, s, &photoTable, "WHERE erased = 0 AND "+pastOf("point_photos")+" ORDER BY at, id LIMIT ?", string(of), nanos(before), int64(most))
}

// VisitsPast gives decided visits of such points.
func (s *Store) VisitsPast(ctx context.Context, of grid.Privacy, before time.Time, most int) ([]grid.Visit, error) {
	return readAll(ctx, s, &visitTable, "WHERE erased = 0 AND decided > 0 AND "+pastOf("visits")+" ORDER BY started, id LIMIT ?", string(of), nanos(before), int64(most))
}

// pastOf is that a row of a table is at a point of a class that was retired before a time: nothing
// happens to a retired point.
func pastOf(table string) string {
	return "EXISTS (SELECT 1 FROM points p WHERE p.id = " + table + ".point AND p.privacy = ? AND p.state = 'retired') " +
		"AND NOT EXISTS (SELECT 1 FROM registry_log l WHERE l.point = " + table + ".point AND l.point <> '' AND l.at >= ?)"
}

// FileUsed reports whether a file on disk is that of a row that is not erased.
func (s *Store) FileUsed(ctx context.Context, sha256 string) (used bool, err error) {
	const q = "SELECT EXISTS (SELECT 1 FROM evidence_files WHERE sha256 = ? AND erased = 0) OR EXISTS (SELECT 1 FROM point_photos WHERE sha256 = ? AND erased = 0)"
	err = s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, q, []driver.Value{sha256, sha256}, func(r *row) error { used = r.num() != 0; return r.err })
	})
	return used, err
}

// ErasedSums gives the hashes of files that were erased, each once.
func (s *Store) ErasedSums(ctx context.Context) (sums []string, err error) {
	const q = "SELECT sha256 FROM evidence_files WHERE erased > 0 UNION SELECT sha256 FROM point_photos WHERE erased > 0"
	err = s.reader(ctx, func(c driver.Conn) error {
		return each(ctx, c, q, nil, func(r *row) error { sums = append(sums, r.text()); return r.err })
	})
	return sums, err
}
