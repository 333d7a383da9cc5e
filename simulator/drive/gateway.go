package drive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// gateway is the one that is driven, known by its public API alone.
type gateway struct {
	url, token string
	http       *http.Client
}

func newGateway(address, token string) *gateway {
	return &gateway{strings.TrimSuffix(address, "/"), token, &http.Client{}}
}

// answerWithin bounds every question but the stream.
const answerWithin = 20 * time.Second

// ask sends body, JSON unless it is bytes of the kind, and reads the answer into out.
func (g *gateway) ask(ctx context.Context, method, path, kind string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	res, err := g.open(ctx, method, path, kind, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return err
	}
	if raw, is := out.(*[]byte); is {
		*raw = b
		return nil
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: answer: %w", method, path, err)
	}
	return nil
}

// open asks and leaves the answer's body to be read, if it is a good one.
func (g *gateway) open(ctx context.Context, method, path, kind string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if g.token != "" {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	res, err := g.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 == 2 || path == "/readyz" && res.StatusCode == http.StatusServiceUnavailable {
		return res, nil
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 400)) // for a person
	code := grid.Internal
	switch res.StatusCode {
	case http.StatusUnauthorized:
		code = grid.Unauthorized
	case http.StatusForbidden:
		code = grid.Forbidden
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		code = grid.Unavailable
	}
	return nil, grid.Errorf(code, "gateway answers %s %s with %d: %s", method, path, res.StatusCode, bytes.TrimSpace(said))
}

// clock takes the gateway's time and speed over; of some readings the quickest is the best.
func (g *gateway) clock(ctx context.Context) (simulator.Clock, error) {
	var out simulator.Clock
	best := time.Hour
	for range 5 {
		var ready struct {
			Simulation struct {
				Allowed bool      `json:"allowed"`
				Speed   float64   `json:"speed"`
				Now     time.Time `json:"now"`
			} `json:"simulation"`
		}
		before := time.Now()
		if err := g.ask(ctx, http.MethodGet, "/readyz", "", nil, &ready); err != nil {
			return out, err
		}
		took := time.Since(before)
		sim := ready.Simulation
		if !sim.Allowed {
			return out, grid.Errorf(grid.Forbidden, "gateway %s does not report simulation.allowed: want a gateway of no real city, with simulation: {allowed: true}", g.url)
		}
		if took < best {
			best, out = took, simulator.Clock{Start: sim.Now, Since: before.Add(took / 2), Speed: sim.Speed}
		}
	}
	return out, nil
}

// list reads the newest rows of a list, at most 1000.
func list[T any](ctx context.Context, g *gateway, what string, since time.Time) ([]T, error) {
	q := url.Values{"limit": {"1000"}, "since": {since.UTC().Format(time.RFC3339)}}
	var page struct {
		Items []T `json:"items"`
	}
	err := g.ask(ctx, http.MethodGet, "/api/v1/"+what+"?"+q.Encode(), "", nil, &page)
	return page.Items, err
}

// Ledger is the gateway's count: accepted = processed + duplicate + ignored + quarantined +
// discarded + waiting.
type Ledger struct {
	Accepted    int64 `json:"accepted"`
	Processed   int64 `json:"processed"`
	Duplicate   int64 `json:"duplicate"`
	Ignored     int64 `json:"ignored"`
	Quarantined int64 `json:"quarantined"`
	Discarded   int64 `json:"discarded"`
	Waiting     int64 `json:"waiting"`
	Lost        int64 `json:"lost_unackable"`
	Balanced    bool  `json:"balanced"`
}

func (g *gateway) ledger(ctx context.Context) (Ledger, error) {
	var got struct {
		Rows  []Ledger `json:"rows"`
		Lanes []struct {
			Accepted int64 `json:"accepted"`
			Waiting  int64 `json:"waiting"`
		} `json:"lanes"`
		Lost     int64 `json:"lost_unackable"`
		Balanced bool  `json:"balanced"`
	}
	if err := g.ask(ctx, http.MethodGet, "/api/v1/ledger", "", nil, &got); err != nil {
		return Ledger{}, err
	}
	out := Ledger{Lost: got.Lost, Balanced: got.Balanced}
	for _, r := range got.Rows {
		out.Processed, out.Duplicate, out.Ignored = out.Processed+r.Processed, out.Duplicate+r.Duplicate, out.Ignored+r.Ignored
		out.Quarantined, out.Discarded = out.Quarantined+r.Quarantined, out.Discarded+r.Discarded
	}
	for _, l := range got.Lanes {
		out.Accepted, out.Waiting = out.Accepted+l.Accepted, out.Waiting+l.Waiting
	}
	return out, nil
}

// follow reads the live stream until it breaks; take gets each message's name and data.
func (g *gateway) follow(ctx context.Context, opened func(context.Context) error, take func(name string, data []byte)) error {
	res, err := g.open(ctx, http.MethodGet, "/api/v1/stream", "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	// What changed before the stream was open stands in the lists, what changes now in it.
	if err := opened(ctx); err != nil {
		return err
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	name := ""
	for lines.Scan() {
		line := lines.Text()
		if v, ok := strings.CutPrefix(line, "event:"); ok {
			name = strings.TrimSpace(v)
		} else if v, ok := strings.CutPrefix(line, "data:"); ok {
			take(name, []byte(strings.TrimSpace(v)))
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}
