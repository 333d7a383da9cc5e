package state

import (
	"context"
	"database/sql/driver"
	"time"

	"gridgate/internal/grid"
)

// FiledAs gives the episode that was filed under an identity of grid.Filing; at most one.
func (s *Store) FiledAs(ctx context.Context, id grid.Identity) ([]grid.Alarm, error) {
	return readAll(ctx, s, &alarmTable, "WHERE device = ? AND device >= 'filed:' AND device < 'filed;' LIMIT 1", string(id))
}

// Case is a ticket as others are compared with it: by what it is about, where and when.
type Case struct {
	Ticket, Type, Point, Cell, Place, Building string
	Opened                                     time.Time
	Mode                                       grid.Mode
	Lon, Lat                                   float64 // of the report, else of the point
}

const caseSelect = `SELECT t.id, t.type, t.point, t.cell, t.place, coalesce(nullif(p.building, ''), a.building, ''), t.opened, t.mode,
	CAST(coalesce(CASE WHEN a.detail <> '' THEN a.detail ->> '$.filed.lon' END, p.lon, 0) AS REAL),
	CAST(coalesce(CASE WHEN a.detail <> '' THEN a.detail ->> '$.filed.lat' END, p.lat, 0) AS REAL)
	FROM tickets t LEFT JOIN points p ON p.id = t.point LEFT JOIN alarms a ON a.id = t.alarm `

// mostCases bounds how many open tickets one is compared with.
const mostCases = 1000

// CasesNear gives a ticket as a case, and the open ones that may be about the same: of its
// event in its district, opened within so long of it, the newest first; and all of its point.
func (s *Store) CasesNear(ctx context.Context, ticket string, within time.Duration) (own Case, near []Case, err error) {
	read := caseReader(ctx)
	err = s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			var first []Case
			if err := read(conn, &first, "WHERE t.id = ?", ticket); err != nil {
				return err
			}
			if len(first) == 0 {
				return grid.Errorf(grid.NotFound, "ticket %q: not found", ticket)
			}
			own = first[0]
			err := read(conn, &near, "WHERE t.ended = 0 AND t.type = ? AND t.district = (SELECT district FROM tickets WHERE id = ?) AND t.opened BETWEEN ? AND ? "+
				"ORDER BY t.opened DESC, t.id DESC LIMIT ?", own.Type, ticket, nanos(own.Opened.Add(-within)), nanos(own.Opened.Add(within)), int64(mostCases))
			if err == nil && own.Point != "" {
				err = read(conn, &near, "WHERE t.ended = 0 AND t.point = ? ORDER BY t.opened DESC, t.id DESC LIMIT ?", own.Point, int64(mostCases))
			}
			return err
		})
	})
	return own, near, err
}

// caseReader reads cases, each ticket once.
func caseReader(ctx context.Context) func(conn driver.Conn, to *[]Case, rest string, vals ...driver.Value) error {
	seen := map[string]bool{}
	return func(conn driver.Conn, to *[]Case, rest string, vals ...driver.Value) error {
		return each(ctx, conn, caseSelect+rest, vals, func(r *row) error {
			c := Case{
				Ticket: r.text(), Type: r.text(), Point: r.text(), Cell: r.text(), Place: r.text(), Building: r.text(),
				Opened: r.time(), Mode: grid.Mode(r.text()), Lon: r.real(), Lat: r.real(),
			}
			if !seen[c.Ticket] {
				seen[c.Ticket] = true
				*to = append(*to, c)
			}
			return r.err
		})
	}
}

// CasesLike gives the open tickets that may be about the same as what is not filed yet: of
// its event in the district, and all of its point.
func (s *Store) CasesLike(ctx context.Context, own Case, district string, within time.Duration) (near []Case, err error) {
	read := caseReader(ctx)
	err = s.reader(ctx, func(conn driver.Conn) error {
		return snapshot(ctx, conn, func() error {
			err := read(conn, &near, "WHERE t.ended = 0 AND t.type = ? AND t.district = ? AND t.opened BETWEEN ? AND ? ORDER BY t.opened DESC, t.id DESC LIMIT ?",
				own.Type, district, nanos(own.Opened.Add(-within)), nanos(own.Opened.Add(within)), int64(mostCases))
			if err == nil && own.Point != "" {
				err = read(conn, &near, "WHERE t.ended = 0 AND t.point = ? ORDER BY t.opened DESC, t.id DESC LIMIT ?", own.Point, int64(mostCases))
			}
			return err
		})
	})
	return near, err
}
