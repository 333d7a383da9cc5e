// Package trace tells a collector of OpenTelemetry what took how long, by OTLP over HTTP: the way
// of a frame from the wire to the unit, attempts to tell units, turns of the engine, writes to
// InfluxDB, HTTP requests. It is the only package that knows OpenTelemetry.
//
// What is told is over: a Tracer is handed whole spans, keeps those that wait in a bounded queue,
// and never makes anybody wait. A collector that is gone costs spans, which are counted. A nil
// Tracer tells nothing and costs a comparison.
//
// No attribute says anything of a person or a place: ids of frames, events, tickets and deliveries
// lead to the gateway, where it is asked who may know.
package trace

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
)

const (
	// batch is how many spans go in one request, pause how long the first of them waits for more.
	batch = 512
	pause = time.Second
	// openDeliveries bounds how many deliveries are known that have not met their fate.
	openDeliveries = 10_000
	// slow is what is always told, whatever the share: so is what failed.
	slow = time.Second
)

// Config is where spans go, and which.
type Config struct {
	Endpoint string            // https://collector:4318/v1/traces
	Headers  map[string]string // with each request: an Authorization
	TLS      *tls.Config       // nil: the system's authorities
	Timeout  time.Duration     // of one request
	Queue    int               // spans that wait; more are dropped
	Sample   float64           // share of bulk frames, turns, writes and requests
	Safety   float64           // share of frames of the safety lane
	Instance string            // which gateway it is, if several tell one collector
	Version  string
	Now      func() time.Time // nil: the machine's clock, which is what spans are by
	Log      *slog.Logger
}

// Stats are its figures for metrics.
type Stats struct {
	Sent    int64 // taken by the collector
	Dropped int64 // the queue was full
	Failed  int64 // the collector did not take them
	Waiting int
}

// Tracer tells spans. Its methods may be called by anyone, also on nil.
type Tracer struct {
	cfg      Config
	queue    chan sdk.ReadOnlySpan
	exporter *otlptrace.Exporter
	client   *http.Client
	tracer   otel.Tracer
	open     *lru.Cache[string, delivery]

	bulk, safety uint64 // thresholds of the shares

	sent, dropped, failed atomic.Int64
	problem               atomic.Pointer[string]
}

// Open makes a Tracer. It asks nothing of the collector: Run does.
func Open(c Config) (*Tracer, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig, transport.MaxConnsPerHost = c.TLS, 1
	client := &http.Client{Transport: transport, Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	exporter, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(c.Endpoint), otlptracehttp.WithHeaders(c.Headers), otlptracehttp.WithHTTPClient(client),
		otlptracehttp.WithTimeout(c.Timeout), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	open, err := lru.New[string, delivery](openDeliveries)
	if err != nil {
		return nil, err
	}
	t := &Tracer{
		cfg: c, queue: make(chan sdk.ReadOnlySpan, c.Queue), exporter: exporter, client: client, open: open,
		bulk: threshold(c.Sample), safety: threshold(c.Safety),
	}
	provider := sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(ids{}), sdk.WithSpanProcessor(waiting{t}),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "gridgate"), attribute.String("service.version", c.Version), attribute.String("service.instance.id", c.Instance))))
	t.tracer = provider.Tracer("gridgate")
	return t, nil
}

// Now is the time that spans are by; zero where nobody is told.
func (t *Tracer) Now() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.cfg.Now()
}

// Run hands spans to the collector until ctx is done. What waits then is lost.
func (t *Tracer) Run(ctx context.Context) error {
	defer t.client.CloseIdleConnections()
	for {
		spans, err := t.collect(ctx)
		if err != nil {
			return nil
		}
		t.export(ctx, spans)
	}
}

// collect waits for a span, and a little for more.
func (t *Tracer) collect(ctx context.Context) (spans []sdk.ReadOnlySpan, err error) {
	var enough <-chan time.Time
	for len(spans) < batch {
		select {
		case s := <-t.queue:
			spans = append(spans, s)
			if enough == nil {
				timer := time.NewTimer(pause)
				defer timer.Stop()
				enough = timer.C
			}
		case <-enough:
			return spans, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return spans, nil
}

// export sends once: who was not there gets the next ones.
func (t *Tracer) export(ctx context.Context, spans []sdk.ReadOnlySpan) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	err := t.exporter.ExportSpans(ctx, spans)
	if err == nil {
		t.sent.Add(int64(len(spans)))
		if t.problem.Swap(nil) != nil {
			t.cfg.Log.Info("the collector takes traces again")
		}
		return
	}
	t.failed.Add(int64(len(spans)))
	said := err.Error()
	if t.problem.Swap(&said) == nil && ctx.Err() != context.Canceled {
		t.cfg.Log.Warn("the collector does not take traces, they are dropped", "err", err)
	}
}

// Problem is why the collector did not take the last spans; nil: it did, or there were none.
func (t *Tracer) Problem() error {
	if t == nil {
		return nil
	}
	if said := t.problem.Load(); said != nil {
		return fmt.Errorf("the collector does not take traces, they are dropped: %s", *said)
	}
	return nil
}

// Stats gives its figures.
func (t *Tracer) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	return Stats{Sent: t.sent.Load(), Dropped: t.dropped.Load(), Failed: t.failed.Load(), Waiting: len(t.queue)}
}

// waiting puts what has ended into the queue, if there is room.
type waiting struct{ t *Tracer }

func (w waiting) OnEnd(s sdk.ReadOnlySpan) {
	select {
	case w.t.queue <- s:
	default:
		w.t.dropped.Add(1)
	}
}

func (w waiting) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (w waiting) Shutdown(context.Context) error             { return nil }
func (w waiting) ForceFlush(context.Context) error           { return nil }

// ids gives spans the ids that their context says, else random ones.
type ids struct{}

type idKey struct{}

func (ids) NewIDs(ctx context.Context) (otel.TraceID, otel.SpanID) {
	own, _ := ctx.Value(idKey{}).(otel.SpanContext)
	trace := own.TraceID()
	for !trace.IsValid() {
		a, b := rand.Uint64(), rand.Uint64()
		for i := range 8 {
			trace[i], trace[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
		}
	}
	return trace, spanID(own.SpanID())
}

func (ids) NewSpanID(ctx context.Context, _ otel.TraceID) otel.SpanID {
	own, _ := ctx.Value(idKey{}).(otel.SpanContext)
	return spanID(own.SpanID())
}

func spanID(id otel.SpanID) otel.SpanID {
	for !id.IsValid() {
		a := rand.Uint64()
		for i := range id {
			id[i] = byte(a >> (8 * i))
		}
	}
	return id
}

// span is one that is over.
type span struct {
	name         string
	kind         otel.SpanKind
	began, ended time.Time
	own          otel.SpanContext // trace and id; what is zero is made up
	parent       otel.SpanContext // zero: none
	links        []otel.Link
	failed       bool
	attributes   []attribute.KeyValue
}

// tell hands a span to the queue, and says which it was.
func (t *Tracer) tell(s span) otel.SpanContext {
	ctx := context.WithValue(context.Background(), idKey{}, s.own)
	if s.parent.IsValid() {
		ctx = otel.ContextWithRemoteSpanContext(ctx, s.parent)
	}
	_, told := t.tracer.Start(ctx, s.name, otel.WithTimestamp(s.began), otel.WithSpanKind(s.kind), otel.WithLinks(s.links...), otel.WithAttributes(s.attributes...))
	if s.failed {
		told.SetStatus(failed, "")
	}
	told.End(otel.WithTimestamp(s.ended))
	return told.SpanContext()
}
