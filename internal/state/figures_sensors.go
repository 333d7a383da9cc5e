package state

import (
	"context"
	"database/sql/driver"
	"strings"

	"gridgate/internal/grid"
)

// deviceKind is the kind of the first point of the device with the identity that the query names x.identity.
const deviceKind = "coalesce((SELECT p.kind FROM installations i JOIN points p ON p.id = i.point WHERE i.device = x.identity AND i.ended = 0 ORDER BY i.channel LIMIT 1), '')"

// FigureSensors counts the devices that are installed now and were before q.Until, by kind and
// profile, and for how long of the time from q.Since they were there.
func (s *Store) FigureSensors(ctx context.Context, q grid.FigureQuery, f func(grid.Sensors)) error {
	only := q.Kind
	q.Kind = ""
	w, err := figureQuery(q).where(&fleetList)
	if err != nil {
		return err
	}
	w.and("state = 'installed'")
	w.and(modeSQL(q.Mode))
	w.and("installed < ?", nanos(q.Until))
	// Whole seconds: nanoseconds of a large fleet and a year are beyond 64 bits.
	sql := "SELECT k, profile, count(*), sum((? - max(installed, ?)) / 1000000000) FROM (SELECT x.profile, x.installed, " + deviceKind + " AS k FROM devices x " + w.sql() +
		") GROUP BY k, profile ORDER BY k, profile"
	vals := append([]driver.Value{nanos(q.Until), nanos(q.Since)}, w.vals...)
	return s.streamed(ctx, "devices", sql, vals, func(r *row) error {
		x := grid.Sensors{Kind: grid.Kind(r.text()), Profile: r.text(), Count: int(r.num()), Seconds: float64(r.num())}
		if r.err == nil && (only == "" || only == x.Kind) {
			f(x)
		}
		return r.err
	})
}

// FigureAilments hands out the episodes of these types of devices that are installed now,
// where they were active somewhere in the period.
func (s *Store) FigureAilments(ctx context.Context, q grid.FigureQuery, types []grid.EventType, f func(*grid.Ailment)) error {
	if len(types) == 0 {
		return nil
	}
	only := q.Kind
	q.Kind = ""
	w, err := figureQuery(q).where(&fleetList)
	if err != nil {
		return err
	}
	w.and("state = 'installed'")
	w.and(modeSQL(q.Mode))
	of := "type IN (" + strings.TrimSuffix(strings.Repeat("?, ", len(types)), ", ") + ") AND " + modeSQL(q.Mode)
	sql := "SELECT type, k, profile, identity, installed, raised, gone FROM (SELECT a.type, a.raised, a.gone, x.identity, x.profile, x.installed, " + deviceKind + " AS k FROM (" +
		"SELECT type, device, raised, 0 AS gone FROM alarms WHERE active = 1 AND raised < ? AND " + of + " UNION ALL " +
		"SELECT type, device, raised, returned AS gone FROM alarms WHERE active = 0 AND returned >= ? AND raised < ? AND " + of +
		") a JOIN devices x ON x.identity = a.device " + w.sql() + ") ORDER BY identity, raised"
	vals := []driver.Value{nanos(q.Until)}
	for range 2 {
		for _, t := range types {
			vals = append(vals, string(t))
		}
		if len(vals) == 1+len(types) {
			vals = append(vals, nanos(q.Since), nanos(q.Until))
		}
	}
	var x grid.Ailment
	return s.streamed(ctx, "alarms", sql, append(vals, w.vals...), func(r *row) error {
		x = grid.Ailment{Type: grid.EventType(r.text()), Kind: grid.Kind(r.text()), Profile: r.text(), Device: grid.Identity(r.text()), Installed: r.time(), Raised: r.time(), Returned: r.time()}
		if r.err == nil && (only == "" || only == x.Kind) {
			f(&x)
		}
		return r.err
	})
}
