package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Gateway is one that is measured, by its public API.
type Gateway struct {
	URL   string
	Token string
}

// ask sends body as YAML and reads the answer.
func (g *Gateway) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(g.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/yaml")
	}
	if g.Token != "" {
		req.Header.Set("Authorization", "Bearer "+g.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err == nil && res.StatusCode/100 != 2 && path != "/readyz" {
		err = fmt.Errorf("%s %s is answered %d: %.300s", method, path, res.StatusCode, answer)
	}
	return answer, err
}

func (g *Gateway) read(ctx context.Context, path string, out any) error {
	b, err := g.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// Clock is the gateway's. A gateway that does not allow simulation is refused.
func (g *Gateway) Clock(ctx context.Context) (c simulator.Clock, err error) {
	var r struct {
		Simulation struct {
			Allowed bool      `json:"allowed"`
			Speed   float64   `json:"speed"`
			Now     time.Time `json:"now"`
		} `json:"simulation"`
	}
	asked := time.Now()
	if err := g.read(ctx, "/readyz", &r); err != nil {
		return c, err
	}
	if !r.Simulation.Allowed {
		return c, grid.Errorf(grid.Forbidden, "gateway %s does not report simulation.allowed: want a gateway of no real city, with simulation: {allowed: true}", g.URL)
	}
	return simulator.Clock{Start: r.Simulation.Now, Since: asked.Add(time.Since(asked) / 2), Speed: r.Simulation.Speed}, nil
}

// ready waits until every part of it is up.
func (g *Gateway) ready(ctx context.Context, p *program) error {
	for {
		var r struct {
			Ready bool `json:"ready"`
		}
		err := g.read(ctx, "/readyz", &r)
		if err == nil && r.Ready {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("the gateway ended before it was ready; its log:\n%s", p.tail())
		case <-ctx.Done():
			return grid.Errorf(grid.Unavailable, "the gateway is not ready: %v", err)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// metrics are the gateway's own, summed over their labels.
type metrics map[string]float64

func (g *Gateway) metrics(ctx context.Context) (metrics, error) {
	b, err := g.ask(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	m := metrics{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		if v, err := strconv.ParseFloat(value[strings.LastIndexByte(value, ' ')+1:], 64); err == nil {
			m[name] += v
		}
	}
	return m, nil
}

const (
	metricCPU     = "process_cpu_seconds_total"
	metricMemory  = "process_resident_memory_bytes"
	metricWaiting = "gridgate_engine_waiting_frames"
	metricQueue   = "gridgate_influx_queue_bytes"
	metricFrames  = "gridgate_journal_frames_total"
)

// Ledger is what the gateway says became of the frames that it has accepted.
type Ledger struct {
	Accepted    int64 `json:"accepted"`
	Waiting     int64 `json:"waiting"`
	Processed   int64 `json:"processed"`
	Duplicate   int64 `json:"duplicate"`
	Ignored     int64 `json:"ignored"`
	Quarantined int64 `json:"quarantined"`
	Discarded   int64 `json:"discarded"`
	Lost        int64 `json:"lost"`
	Balanced    bool  `json:"balanced"`
}

// Ledger reads it.
func (g *Gateway) Ledger(ctx context.Context) (out Ledger, err error) {
	var got struct {
		Rows     []Ledger `json:"rows"`
		Lanes    []Ledger `json:"lanes"`
		Lost     int64    `json:"lost_unackable"`
		Balanced bool     `json:"balanced"`
	}
	if err := g.read(ctx, "/api/v1/ledger", &got); err != nil {
		return out, err
	}
	out.Lost, out.Balanced = got.Lost, got.Balanced && got.Lost == 0
	for _, x := range got.Rows {
		out.Processed += x.Processed
		out.Duplicate += x.Duplicate
		out.Ignored += x.Ignored
		out.Quarantined += x.Quarantined
		out.Discarded += x.Discarded
	}
	for _, x := range got.Lanes {
		out.Accepted += x.Accepted
		out.Waiting += x.Waiting
	}
	return out, nil
}

// minus is what has come since before.
func (l Ledger) minus(before Ledger) Ledger {
	l.Accepted -= before.Accepted
	l.Processed -= before.Processed
	l.Duplicate -= before.Duplicate
	l.Ignored -= before.Ignored
	l.Quarantined -= before.Quarantined
	l.Discarded -= before.Discarded
	l.Lost -= before.Lost
	return l
}

// drained waits until nothing waits in the gateway, and the InfluxDB that it has, if any,
// has all; it gives up after a while.
func (g *Gateway) drained(ctx context.Context, within time.Duration) (metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last metrics
	for {
		m, err := g.metrics(ctx)
		if err == nil {
			last = m
		}
		if err == nil && m[metricWaiting] == 0 && m[metricQueue] == 0 {
			return m, nil
		}
		select {
		case <-ctx.Done():
			return last, grid.Errorf(grid.Unavailable, "after %v %.0f frames wait in the gateway, and %.0f bytes for InfluxDB", within, last[metricWaiting], last[metricQueue])
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// rowsAtOnce of a registry: the gateway reads YAML of ten thousands slowly.
const rowsAtOnce = 4000

// Register tells it of points, devices and units, in pieces.
func (g *Gateway) Register(ctx context.Context, r simulator.Registry) error {
	put := func(piece simulator.Registry) error {
		var b bytes.Buffer
		if err := piece.Write(&b); err != nil {
			return err
		}
		_, err := g.ask(ctx, http.MethodPut, "/api/v1/registry?dry_run=false", b.Bytes())
		return err
	}
	for some := range chunks(r.Points, rowsAtOnce) {
		if err := put(simulator.Registry{Points: each(some)}); err != nil {
			return err
		}
	}
	for some := range chunks(r.Devices, rowsAtOnce) {
		if err := put(simulator.Registry{Devices: each(some)}); err != nil {
			return err
		}
	}
	if len(r.Units) == 0 {
		return nil
	}
	return put(simulator.Registry{Units: r.Units})
}

// count counts the rows of a list of the API; most is where it gives up.
func (g *Gateway) count(ctx context.Context, list string, most int, by func(row map[string]any)) (n int, err error) {
	q := url.Values{"limit": {"1000"}}
	for n < most {
		var page struct {
			Items []map[string]any `json:"items"`
			Next  string           `json:"next"`
		}
		if err := g.read(ctx, "/api/v1/"+list+"?"+q.Encode(), &page); err != nil {
			return n, err
		}
		n += len(page.Items)
		for _, row := range page.Items {
			by(row)
		}
		if page.Next == "" {
			return n, nil
		}
		q.Set("cursor", page.Next)
	}
	return n, nil
}
