package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/api"
	"gridgate/internal/cert"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/trace"
)

// TracesConfig is a collector of OpenTelemetry that is told what took how long.
type TracesConfig struct {
	Endpoint     string        `yaml:"endpoint"`      // takes OTLP over HTTP: https://collector:4318/v1/traces; "": none is told
	Sample       float64       `yaml:"sample"`        // share of bulk frames, turns, requests and writes; what failed or took 1 s is always told
	SampleSafety float64       `yaml:"sample_safety"` // share of frames of the safety lane
	HeadersFile  string        `yaml:"headers_file"`  // lines "Name: value", sent with each request
	CA           string        `yaml:"ca"`            // PEM, of a collector of our own; beside the system's
	Timeout      time.Duration `yaml:"timeout"`       // of one request
	Queue        int           `yaml:"queue"`         // spans that wait; more are dropped and counted
	Instance     string        `yaml:"instance"`      // which gateway it is; "": the machine's name
}

func defaultTraces() TracesConfig {
	return TracesConfig{Sample: 0.01, SampleSafety: 1, Timeout: 5 * time.Second, Queue: 4096}
}

func (c *TracesConfig) validate(v *problems) {
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		v.want(err == nil && u.Host != "" && oneOf(u.Scheme, "http", "https") && u.User == nil, "traces.endpoint is %q: want https://collector:4318/v1/traces", c.Endpoint)
	}
	v.want(c.Sample >= 0 && c.Sample <= 1, "traces.sample is %v: want 0 to 1", c.Sample)
	v.want(c.SampleSafety >= 0 && c.SampleSafety <= 1, "traces.sample_safety is %v: want 0 to 1", c.SampleSafety)
	v.want(c.Timeout >= 100*time.Millisecond && c.Timeout <= time.Minute, "traces.timeout is %s: want 100ms to 1m", c.Timeout)
	v.want(c.Queue >= 1 && c.Queue <= 1<<20, "traces.queue is %d: want 1 to 1048576", c.Queue)
}

// openTraces makes what tells the collector, if there is one.
func (g *Gateway) openTraces() (err error) {
	c := &g.cfg.Traces
	if c.Endpoint == "" {
		return nil
	}
	t := trace.Config{Endpoint: c.Endpoint, Timeout: c.Timeout, Queue: c.Queue, Sample: c.Sample, Safety: c.SampleSafety, Instance: c.Instance, Version: Version, Log: g.log}
	if t.Instance == "" {
		if t.Instance, err = os.Hostname(); err != nil {
			return fmt.Errorf("traces.instance: %w", err)
		}
	}
	if t.Headers, err = headersOf(c.HeadersFile); err != nil {
		return err
	}
	if t.TLS, err = cert.Trusting(c.CA); err != nil {
		return fmt.Errorf("traces.ca: %w", err)
	}
	g.traces, err = trace.Open(t)
	return err
}

// headersOf reads lines "Name: value". What they say is a secret: no error repeats it.
func headersOf(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("traces.headers_file: %w", err)
	}
	defer f.Close()
	out := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("traces.headers_file %s: line %d is no header: want Name: value", path, n)
		}
		out[name] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("traces.headers_file: %w", err)
	}
	return out, nil
}

// runTraces hands on what is told.
func (g *Gateway) runTraces(ctx context.Context) error {
	if g.traces == nil {
		return nil
	}
	return g.traces.Run(ctx)
}

// engineTraces is what the engine tells; nil: nobody.
func (g *Gateway) engineTraces() engine.Traces {
	if g.traces == nil {
		return nil
	}
	return turns{g.traces}
}

// turns words the engine's turns.
type turns struct{ *trace.Tracer }

func (t turns) Turn(e engine.Turn) {
	t.Tracer.Turn(trace.Turn{
		Began: e.Began, Decided: e.Decided, Frames: e.Frames, Commands: e.Commands, Followed: e.Followed, SeriesBytes: e.SeriesBytes,
		Events: e.Rows.Events, Tickets: len(e.Rows.Tickets), Deliveries: e.Rows.Deliveries,
	})
}

// writerTraces is what the writer of InfluxDB tells; nil: nobody.
func (g *Gateway) writerTraces() func(lines, bytes int) func(error) {
	t := g.traces
	if t == nil {
		return nil
	}
	return func(lines, bytes int) func(error) {
		began := t.Now()
		return func(err error) { t.Wrote(began, lines, bytes, err == nil) }
	}
}

// traced tells each request with its route and the role of who asked, by no name.
func (g *Gateway) traced(next http.Handler) http.Handler {
	if g.traces == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := &asked{}
		told := trace.Request{Method: r.Method, Began: g.traces.Now()}
		r = r.WithContext(context.WithValue(r.Context(), askedKey{}, asked))
		answer := &answer{ResponseWriter: w}
		defer func() { // a handler that panics was answered too
			told.Route, told.Role, told.Code = routeOf(r.Pattern), asked.role, answer.code
			if told.Code == 0 {
				told.Code = http.StatusOK
			}
			g.traces.Answered(told)
		}()
		next.ServeHTTP(answer, r)
	})
}

// routeOf is a pattern without its method: ids are not in it.
func routeOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	if pattern == "" {
		return "none"
	}
	return pattern
}

type askedKey struct{}

// asked is filled in by the API once it knows who asks.
type asked struct{ role string }

// asksAs notes the role of who asks.
func asksAs(ctx context.Context, by grid.Actor) {
	if a, ok := ctx.Value(askedKey{}).(*asked); ok {
		a.role = string(by.Standing())
	}
}

// answer notes the status of what is answered.
type answer struct {
	http.ResponseWriter
	code int
}

func (a *answer) WriteHeader(code int) {
	if a.code == 0 || a.code < 200 {
		a.code = code
	}
	a.ResponseWriter.WriteHeader(code)
}

// Unwrap leads to deadlines and flushes.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (g *Gateway) traceMetrics(send func(kind prometheus.ValueType, name, help string, v float64, labels ...string)) {
	if g.traces == nil {
		return
	}
	s := g.traces.Stats()
	send(prometheus.CounterValue, "traces_sent_total", "Spans that the collector took.", float64(s.Sent))
	send(prometheus.CounterValue, "traces_dropped_total", "Spans that were given up.", float64(s.Dropped), "why", "queue")
	send(prometheus.CounterValue, "traces_dropped_total", "Spans that were given up.", float64(s.Failed), "why", "collector")
	send(prometheus.GaugeValue, "traces_waiting", "Spans that wait for the collector.", float64(s.Waiting))
}

// traceProblem says that the collector takes nothing: nothing else depends on it.
func (g *Gateway) traceProblem(parts map[string]error) {
	if g.traces == nil {
		return
	}
	parts["traces"] = nil
	if err := g.traces.Problem(); err != nil {
		parts["traces"] = api.Minor{Err: err}
	}
}

var _ engine.Traces = turns{}
