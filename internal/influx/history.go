package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// HistoryQuery asks for the values of one field at one point.
type HistoryQuery struct {
	Point       string
	Measurement string
	Field       string
	From, To    time.Time // From ≤ t < To; zero From: from the beginning, zero To: to the end
	Limit       int       // the newest so many; 0 means 1,000, at most 10,000
}

const (
	defaultSamples = 1_000
	maxSamples     = 10_000
)

// Sample is a value at a time; conditions are 1 (true) and 0.
type Sample struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// History reads values back, oldest first. What was never stored is an empty history,
// not an error.
func (c *Client) History(ctx context.Context, q HistoryQuery) ([]Sample, error) {
	statement, err := q.statement()
	if err != nil {
		return nil, err
	}
	res, err := c.query(ctx, http.MethodGet, statement)
	if err != nil {
		return nil, fmt.Errorf("history of point %q: %w", q.Point, c.explain(err))
	}
	out := []Sample{}
	for _, series := range res.Series {
		for _, row := range series.Values {
			s, err := sampleOf(row)
			if err != nil {
				return nil, fmt.Errorf("history of point %q: field %s: %w", q.Point, q.Field, err)
			}
			out = append(out, s)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// statement writes the query as InfluxQL, newest first so that the limit keeps the newest.
func (q HistoryQuery) statement() (string, error) {
	switch {
	case !isWord(q.Measurement):
		return "", grid.Errorf(grid.Invalid, "history: measurement is %q: want letters, digits and _", q.Measurement)
	case !isWord(q.Field):
		return "", grid.Errorf(grid.Invalid, "history: field is %q: want letters, digits and _", q.Field)
	case q.Point == "" || !utf8.ValidString(q.Point) || strings.ContainsFunc(q.Point, isControl):
		return "", grid.Errorf(grid.Invalid, "history: point is %q: want the id of a point", q.Point)
	case q.Limit < 0 || q.Limit > maxSamples:
		return "", grid.Errorf(grid.Invalid, "history: limit is %d: want 1 to %d", q.Limit, maxSamples)
	}
	if q.Limit == 0 {
		q.Limit = defaultSamples
	}
	var b strings.Builder
	fmt.Fprintf(&b, `SELECT %s FROM %s WHERE "point" = %s`, quoteIdent(q.Field), quoteIdent(q.Measurement), quoteString(q.Point))
	if !q.From.IsZero() {
		fmt.Fprintf(&b, " AND time >= %d", q.From.UnixNano())
	}
	if !q.To.IsZero() {
		fmt.Fprintf(&b, " AND time < %d", q.To.UnixNano())
	}
	fmt.Fprintf(&b, " ORDER BY time DESC LIMIT %d", q.Limit)
	return b.String(), nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func sampleOf(row []any) (Sample, error) {
	if len(row) != 2 {
		return Sample{}, grid.Errorf(grid.Internal, "%d columns: want time and value", len(row))
	}
	at, ok := row[0].(json.Number)
	if !ok {
		return Sample{}, grid.Errorf(grid.Internal, "time is %v: want nanoseconds", row[0])
	}
	ns, err := at.Int64()
	if err != nil {
		return Sample{}, grid.Errorf(grid.Internal, "time: %w", err)
	}
	s := Sample{At: time.Unix(0, ns).UTC()}
	switch v := row[1].(type) {
	case json.Number:
		s.Value, err = v.Float64()
	case bool:
		if v {
			s.Value = 1
		}
	default:
		err = grid.Errorf(grid.Invalid, "value is text: want a number or a condition")
	}
	return s, err
}

// quoteIdent and quoteString write names and strings of InfluxQL.
func quoteIdent(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func quoteString(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + `'`
}
