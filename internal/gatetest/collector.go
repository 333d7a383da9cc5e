package gatetest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans by OTLP over HTTP, as a collector of OpenTelemetry does.
type Collector struct {
	URL     string
	Refuses atomic.Int32 // 0: it takes all; else the status that it answers

	mu      sync.Mutex
	spans   []Span
	headers http.Header
	raw     []byte
}

// Span is one that a Collector has taken.
type Span struct {
	Name, Trace, ID, Parent string
	Links                   []string // the spans
	Failed                  bool
	Nanos                   int64 // that it lasted
	Instance                string
	Attributes              map[string]string
}

// NewCollector starts one.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	s := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(s.Close)
	c.URL = s.URL + "/v1/traces"
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	if status := int(c.Refuses.Load()); status != 0 {
		w.WriteHeader(status)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	var said otlp.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &said)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprint("no traces: ", err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers, c.raw = r.Header, append(c.raw, b...)
	for _, rs := range said.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				told := Span{
					Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
					Failed: s.Status.GetCode() == 2, Nanos: int64(s.EndTimeUnixNano - s.StartTimeUnixNano),
					Instance: texts(rs.Resource.Attributes)["service.instance.id"], Attributes: texts(s.Attributes),
				}
				for _, l := range s.Links {
					told.Links = append(told.Links, hex.EncodeToString(l.SpanId))
				}
				c.spans = append(c.spans, told)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func texts(all []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			out[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			out[kv.Key] = fmt.Sprint(v.BoolValue)
		case *common.AnyValue_DoubleValue:
			out[kv.Key] = fmt.Sprint(v.DoubleValue)
		}
	}
	return out
}

// Spans gives those of a name, or all for "".
func (c *Collector) Spans(name string) (out []Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if name == "" || s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

// Header is one of the last request.
func (c *Collector) Header(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers.Get(name)
}

// Says reports whether a text stands anywhere in what was taken.
func (c *Collector) Says(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(string(c.raw), text)
}
