package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// farOff is after whatever is stored.
var farOff = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// Erase deletes what a measurement holds of a point, and counts what was there before and after.
// dryRun counts alone.
func (c *Client) Erase(ctx context.Context, measurement, point string, dryRun bool) (had, left int64, err error) {
	if !isWord(measurement) || point == "" || !utf8.ValidString(point) || strings.ContainsFunc(point, isControl) {
		return 0, 0, grid.Errorf(grid.Invalid, "erase: %q of point %q: want a measurement and the id of a point", measurement, point)
	}
	where := fmt.Sprintf(`FROM %s WHERE "point" = %s`, quoteIdent(measurement), quoteString(point))
	predicate := "_measurement=" + quoteFlux(measurement) + " AND point=" + quoteFlux(point)
	if had, err = c.count(ctx, where); err != nil || dryRun || had == 0 {
		return had, had, err
	}
	if err := c.delete(ctx, "DELETE "+where, predicate, farOff); err != nil {
		return had, had, fmt.Errorf("erase %s of point %q: %w", measurement, point, c.explain(err))
	}
	left, err = c.count(ctx, where)
	return had, left, err
}

// Forget deletes what a measurement holds from before a time.
func (c *Client) Forget(ctx context.Context, measurement string, before time.Time) error {
	if !isWord(measurement) || before.UnixNano() <= 0 {
		return grid.Errorf(grid.Invalid, "forget %q before %s: want a measurement, and a time after 1970", measurement, before)
	}
	statement := fmt.Sprintf("DELETE FROM %s WHERE time < %d", quoteIdent(measurement), before.UnixNano())
	if err := c.delete(ctx, statement, "_measurement="+quoteFlux(measurement), before.Add(-1)); err != nil {
		return fmt.Errorf("forget %s before %s: %w", measurement, before.UTC().Format(time.RFC3339), c.explain(err))
	}
	return nil
}

// delete deletes as the server does it: a 1.8 by InfluxQL, a 2.x, which has an organisation, by
// its own call; it answers InfluxQL's DELETE with nothing.
func (c *Client) delete(ctx context.Context, statement, predicate string, until time.Time) error {
	if c.cfg.Org == "" {
		_, err := c.query(ctx, http.MethodPost, statement)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := c.influx.DeleteAPI().DeleteWithName(ctx, c.cfg.Org, c.cfg.Bucket, time.Unix(0, 0).UTC(), until.UTC(), predicate); err != nil {
		return &refusal{reason: brief(err.Error(), maxReason), cause: err}
	}
	return nil
}

// quoteFlux writes a string of a predicate.
func quoteFlux(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Openings counts, newest hour first up to the limit and then given oldest first, how often a
// door that is kept coarse was opened.
func (c *Client) Openings(ctx context.Context, q HistoryQuery) ([]Sample, error) {
	q.Measurement, q.Field = Dwelling, "opened"
	statement, err := q.statement()
	if err != nil {
		return nil, err
	}
	statement = strings.Replace(statement, `SELECT "opened"`, `SELECT count("opened")`, 1)
	statement = strings.Replace(statement, " ORDER BY time DESC", " GROUP BY time(1h) fill(none) ORDER BY time DESC", 1)
	res, err := c.query(ctx, http.MethodGet, statement)
	if err != nil {
		return nil, fmt.Errorf("history of point %q: %w", q.Point, c.explain(err))
	}
	out := []Sample{}
	for _, series := range res.Series {
		for i := len(series.Values) - 1; i >= 0; i-- {
			s, err := sampleOf(series.Values[i])
			if err != nil {
				return nil, fmt.Errorf("history of point %q: %w", q.Point, err)
			}
			if s.Value > 0 {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// count is how many points there are, by the field that most have.
func (c *Client) count(ctx context.Context, from string) (most int64, err error) {
	res, err := c.query(ctx, http.MethodGet, "SELECT count(*) "+from)
	if err != nil {
		return 0, fmt.Errorf("count: %w", c.explain(err))
	}
	for _, series := range res.Series {
		for _, row := range series.Values {
			for i, v := range row {
				number, ok := v.(json.Number)
				if n, err := number.Int64(); ok && err == nil && i > 0 { // the first column is the time
					most = max(most, n)
				}
			}
		}
	}
	return most, nil
}
