package trace_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/trace"
)

// open makes a tracer that tells everything to a collector.
func open(t *testing.T, endpoint string, change ...func(*trace.Config)) *trace.Tracer {
	t.Helper()
	c := trace.Config{Endpoint: endpoint, Timeout: 5 * time.Second, Queue: 1000, Sample: 1, Safety: 1, Instance: "here", Version: "0", Headers: map[string]string{"Authorization": "Bearer of-the-house"}}
	for _, f := range change {
		f(&c)
	}
	tr, err := trace.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func run(t *testing.T, tr *trace.Tracer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := tr.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func pos(lane grid.Lane, seq uint64) grid.Pos { return grid.Pos{Lane: lane, Epoch: 1, Seq: seq} }

// tellWay tells the way of a frame to a ticket and its delivery.
func tellWay(tr *trace.Tracer, p grid.Pos) {
	began := tr.Now()
	tr.Accepted([]grid.Frame{{Pos: p, Identity: "eui:24e124", Transport: "mqtt", Source: "city", Address: "gridgate/up/eui:24e124", Raw: []byte("secret words")}}, began, false)
	tr.Decoded(p, began, "gridgate/json", 1, true)
	tr.Turn(trace.Turn{
		Began: began, Decided: tr.Now(), Frames: 1, Followed: []grid.Pos{p}, Tickets: 1,
		Events:     []grid.Event{{ID: "e1", Type: grid.EventSmokeAlarm, Action: "raised", Point: "flat-7", Ticket: "t1", Frame: p.String(), Priority: 1, Detail: "of flat 7"}},
		Deliveries: []grid.Delivery{{ID: "d1", Ticket: "t1", Unit: "property-1", Connector: "webhook", Type: "ticket.opened", State: grid.DeliveryPending, Priority: 1}},
	})
	tr.Attempt("d1", grid.Attempt{Delivery: "d1", N: 1, Took: time.Millisecond, Status: 503, Error: "call 13800000000 instead"}, grid.DeliveryPending)
	tr.Attempt("d1", grid.Attempt{Delivery: "d1", N: 2, Took: time.Millisecond, Status: 200}, grid.DeliverySent)
}

func TestTheWayOfAFrameIsOneTraceFromTheWireToTheUnit(t *testing.T) {
	c := gatetest.NewCollector(t)
	tr := open(t, c.URL)
	run(t, tr)
	p := pos(grid.Safety, 7)
	tellWay(tr, p)
	gatetest.Eventually(t, "the delivery to be told", func() bool { return len(c.Spans("delivery")) == 1 })
	id, ok := tr.TraceOf(p)
	parents := map[string]string{"frame": "", "journal": "frame", "decode": "frame", "state": "frame", "event": "state", "ticket": "event", "delivery": "ticket", "delivery attempt": "delivery"}
	spans := map[string]gatetest.Span{}
	for _, s := range c.Spans("") {
		spans[s.Name] = s
	}
	for name, parent := range parents {
		s := spans[name]
		if !ok || s.Trace != id || s.Parent != spans[parent].ID {
			t.Errorf("%s is %+v: want it in trace %s under %q", name, s, id, parent)
		}
	}
	if got := c.Spans("delivery attempt"); len(got) != 2 || !got[0].Failed || got[0].Attributes["http.response.status_code"] != "503" || got[1].Failed {
		t.Errorf("attempts are %+v: want one that failed with 503, and one that did not", got)
	}
	if turn := spans["engine turn"]; len(spans["state"].Links) != 1 || spans["state"].Links[0] != turn.ID || turn.Attributes["gridgate.frames"] != "1" {
		t.Errorf("the turn is %+v: want it linked, with its counts", turn)
	}
	if spans["frame"].Attributes["gridgate.frame"] != p.String() || spans["ticket"].Attributes["gridgate.ticket"] != "t1" || spans["frame"].Instance != "here" {
		t.Errorf("frame %+v, ticket %+v: want the ids that lead to the gateway", spans["frame"], spans["ticket"])
	}
	for _, private := range []string{"eui:24e124", "secret words", "flat-7", "flat 7", "13800000000"} {
		if c.Says(private) {
			t.Errorf("the collector was told %q", private)
		}
	}
	if c.Header("Authorization") != "Bearer of-the-house" {
		t.Errorf("the authorization was %q", c.Header("Authorization"))
	}
}

func TestOfBulkFramesTheShareIsTold(t *testing.T) {
	tr := open(t, "http://127.0.0.1:1/v1/traces", func(c *trace.Config) { c.Sample, c.Safety = 0.01, 1 })
	n := 0
	for seq := range uint64(100_000) {
		if tr.Follows(pos(grid.Bulk, seq+1)) {
			n++
		}
		if !tr.Follows(pos(grid.Safety, seq+1)) {
			t.Fatalf("safety frame %d is not followed", seq+1)
		}
	}
	if n < 800 || n > 1200 {
		t.Errorf("%d of 100,000 are followed: want about 1,000", n)
	}
}

func TestACollectorThatIsGoneCostsSpansAndNothingElse(t *testing.T) {
	c := gatetest.NewCollector(t)
	c.Refuses.Store(503)
	tr := open(t, c.URL, func(c *trace.Config) { c.Queue = 64 })
	for i := range 1000 { // nobody takes any yet
		tellWay(tr, pos(grid.Safety, uint64(i+1)))
	}
	if s := tr.Stats(); s.Waiting != 64 || s.Dropped < 7000 {
		t.Errorf("%+v: want 64 that wait, and the rest dropped and counted", s)
	}
	run(t, tr)
	gatetest.Eventually(t, "the trouble to be told", func() bool { return tr.Problem() != nil })
	c.Refuses.Store(0)
	gatetest.Eventually(t, "the collector to take spans again", func() bool {
		tr.Answered(trace.Request{Method: "GET", Route: "/healthz", Code: 200, Began: tr.Now()})
		return tr.Stats().Sent > 0 && tr.Problem() == nil
	})
	if tr.Stats().Failed != 64 {
		t.Errorf("%+v: want 64 that the collector did not take", tr.Stats())
	}
}

func TestWhatFailedIsToldWhateverTheShare(t *testing.T) {
	c := gatetest.NewCollector(t)
	tr := open(t, c.URL, func(c *trace.Config) { c.Sample, c.Safety = 0, 0 })
	run(t, tr)
	tr.Answered(trace.Request{Method: "GET", Route: "/api/v1/points", Code: 200, Began: tr.Now()})
	tr.Wrote(tr.Now(), 10, 1000, true)
	tr.Wrote(tr.Now(), 10, 1000, false)
	tr.Answered(trace.Request{Method: "GET", Route: "/api/v1/points", Role: "viewer", Code: 500, Began: tr.Now()})
	gatetest.Eventually(t, "what failed", func() bool { return len(c.Spans("")) >= 2 })
	for _, s := range c.Spans("") {
		if !s.Failed {
			t.Errorf("%+v is told: want what failed alone", s)
		}
	}
}

func TestNoTracerCostsNothing(t *testing.T) {
	var tr *trace.Tracer
	frames := make([]grid.Frame, 10)
	if n := testing.AllocsPerRun(100, func() {
		tr.Accepted(frames, tr.Now(), true)
		tr.Turn(trace.Turn{})
		tr.Attempt("d", grid.Attempt{}, grid.DeliverySent)
		tr.Answered(trace.Request{})
	}); n != 0 {
		t.Errorf("%v allocations: want none", n)
	}
	if _, told := tr.TraceOf(pos(grid.Safety, 1)); told || tr.Problem() != nil {
		t.Error("nobody is told, and something is")
	}
}
