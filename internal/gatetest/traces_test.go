package gatetest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// A smoke alarm over MQTT is one trace up to the unit that was told, by the id that explain shows;
// and a collector that goes away is told of, counted, and in nobody's way.
func TestASmokeAlarmIsOneTraceAndACollectorThatIsGoneIsInNobodysWay(t *testing.T) {
	c := gatetest.NewCollector(t)
	g := newGateway(t, append(shortClocks(t), "traces: {endpoint: "+c.URL+", sample: 1, queue: 64, timeout: 1s, instance: east, headers_file: DIR/headers}")...)
	write(t, g.dir+"/headers", "Authorization: Bearer of-the-house\n")
	g.start(t)
	g.put(t, smokeRegistry)
	startUnits(t, g)
	wire := connect(t, g.broker)
	const topic = "gridgate/up/eui:0267000100000001/6"
	wire.send(t, topic, unhex(ra02a(true, 420)))
	var tk grid.Ticket
	eventually(t, time.Minute, "the whole way to be told", func() error {
		tickets := all[grid.Ticket](t, g, "tickets", api.Query{})
		if len(tickets) != 1 {
			return fmt.Errorf("%d tickets", len(tickets))
		}
		tk = tickets[0]
		for _, s := range c.Spans("delivery") {
			if s.Attributes["gridgate.ticket"] == tk.ID && s.Parent != "" {
				return nil
			}
		}
		return errors.New("no delivery of it is told")
	})
	frames := c.Spans("frame")
	if len(frames) != 1 {
		t.Fatalf("frames told are %+v: want one", frames)
	}
	if said := g.gridgate(t, "explain", tk.ID); !strings.Contains(said, "trace "+frames[0].Trace) {
		t.Errorf("explain does not name trace %s:\n%s", frames[0].Trace, said)
	}
	names := map[string]bool{}
	for _, s := range c.Spans("") {
		if s.Trace == frames[0].Trace {
			names[s.Name] = true
		}
	}
	for _, want := range []string{"frame", "journal", "decode", "state", "event", "ticket", "delivery", "delivery attempt"} {
		if !names[want] {
			t.Errorf("the frame's trace has %v: want %q in it", names, want)
		}
	}
	eventually(t, 20*time.Second, "requests to be told by their route", func() error {
		for _, s := range c.Spans("HTTP /api/v1/tickets/{id}/explain") {
			if s.Attributes["gridgate.role"] == string(grid.RoleAdmin) && s.Attributes["http.response.status_code"] == "200" {
				return nil
			}
		}
		return errors.New("that of explain is not there")
	})
	for _, private := range []string{"0267000100000001", "ceiling-1", "Demo Road", "127.0.0.1"} {
		if c.Says(private) {
			t.Errorf("the collector was told %q", private)
		}
	}

	c.Refuses.Store(http.StatusServiceUnavailable)
	for i := range 100 {
		wire.send(t, topic, unhex(ra02a(true, 500+i)))
	}
	eventually(t, 20*time.Second, "the trouble with the collector", func() error {
		ready, err := g.api.Ready(t.Context())
		if err == nil && (!ready.Ready || !strings.Contains(ready.Parts["traces"], "dropped")) {
			err = fmt.Errorf("readiness is %+v: want ready, and that traces are dropped", ready)
		}
		return err
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.api.URL+"/metrics", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+g.api.Token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	must(t, err)
	if !strings.Contains(string(metrics), `gridgate_traces_dropped_total{why="collector"}`) {
		t.Error("the metrics do not count what was dropped")
	}
	if l := g.balanced(t); !l.Balanced {
		t.Errorf("the ledger is %+v", l)
	}
}
