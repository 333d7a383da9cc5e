package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

func measured(t *testing.T, tr *Transport) BrokerQueue {
	t.Helper()
	gatetest.Eventually(t, "the broker's queue to be measured", func() bool { return tr.Status().Queue.Measured })
	return tr.Status().Queue
}

func TestQueueOfABrokerIsMeasured(t *testing.T) {
	for name, c := range map[string]struct {
		lines             []string
		inFlight, waiting int
		atLeast, warning  bool
	}{
		"AsInstalled": {nil, 20, 1000, false, true},
		"Small":       {[]string{"max_inflight_messages 7", "max_queued_messages 30"}, 7, 30, false, true},
		"Large":       {[]string{"max_inflight_messages 1000", "max_queued_messages 100000"}, 1000, 500, true, false},
		"NoLimit":     {[]string{"max_inflight_messages 0", "max_queued_messages 0"}, 1500, 0, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := startMosquitto(t, c.lines...)
			tr, _ := start(t, Config{URL: m.url()}, &gatetest.Inbox{})
			q := measured(t, tr)
			if q.InFlight != c.inFlight || q.Waiting != c.waiting || q.AtLeast != c.atLeast || (q.Note != "") != c.warning {
				t.Errorf("%+v: want %d in flight, %d waiting, at least: %v, a warning: %v", q, c.inFlight, c.waiting, c.atLeast, c.warning)
			}
		})
	}
}

// The probe must not fill the queue of one who listens to everything and is away.
func TestMeasuringFillsNobodyElsesQueue(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	all, stop := start(t, Config{Name: "all", URL: m.url(), Topics: []string{"#"}, SkipQueueCheck: true}, &in)
	connected(t, all)
	stop()
	tr, _ := start(t, Config{Name: "other", URL: m.url()}, &gatetest.Inbox{})
	measured(t, tr)
	publish(t, m.publisher(t), topic, 1, false, "mine")
	_, _ = start(t, Config{Name: "all", URL: m.url(), Topics: []string{"#"}, SkipQueueCheck: true}, &in)
	if fs := in.Wait(t, 1); string(fs[0].Raw) != "mine" {
		t.Errorf("first came %s %q", fs[0].Address, fs[0].Raw)
	}
}

func TestQueueCheckCanBeSkippedAndIsRefusedInPeace(t *testing.T) {
	m := newMosquitto(t, "acl_file DIR/acl")
	m.write(t, "acl", "topic readwrite gridgate/#\n") // nothing under $
	m.start(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url()}, &in)
	connected(t, tr)
	gatetest.Eventually(t, "the reason", func() bool { return strings.Contains(tr.Status().Queue.Note, "$gridgate/probe/gridgate-mqtt") })
	since := tr.Status().Since
	publish(t, m.publisher(t), topic, 1, false, "a")
	in.Wait(t, 1)
	if s := tr.Status(); s.Problem(time.Now()) != nil || !s.Connected || !s.Since.Equal(since) {
		t.Errorf("%+v: %v", s, s.Problem(time.Now()))
	}
}

func TestFullQueueWhileWeAreSlowIsReported(t *testing.T) {
	m := startMosquitto(t, "max_inflight_messages 2", "max_queued_messages 5")
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url(), GiveUp: time.Hour, CanaryEvery: 20 * time.Millisecond}, &in)
	connected(t, tr)
	measured(t, tr)
	release := in.Stall()
	p := m.publisher(t)
	for i := range 50 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	time.Sleep(300 * time.Millisecond) // a counted message meets the full queue
	if s := tr.Status(); s.Queue.Gaps != 0 || !s.Connected {
		t.Errorf("too early: %+v", s)
	}
	release()
	gatetest.Eventually(t, "the gap", func() bool { return tr.Status().Queue.Gaps > 0 })
	if err := tr.Status().Problem(time.Now()); err == nil || !strings.Contains(err.Error(), "max_queued_messages") {
		t.Errorf("problem is %v", err)
	}
	if err := tr.Status().Problem(time.Now().Add(2 * time.Hour)); err != nil {
		t.Errorf("two hours later it still is %v", err)
	}
}

func TestWhatTheBrokerDroppedWhileWeWereAwayIsReported(t *testing.T) {
	m := startMosquitto(t, "max_queued_messages 30", "sys_interval 1")
	var in gatetest.Inbox
	px := startProxy(t, m.addr)
	tr, _ := start(t, Config{URL: px.url(), MaxBackoff: time.Second}, &in)
	connected(t, tr)
	measured(t, tr)
	gatetest.Eventually(t, "the broker's count to hold what measuring dropped", func() bool {
		tr.queue.mu.Lock()
		defer tr.queue.mu.Unlock()
		return tr.queue.looked && tr.queue.total == tr.queue.base+tr.queue.own
	})
	if s := tr.Status(); s.Queue.Dropped != 0 || s.Problem(time.Now()) != nil {
		t.Fatalf("before: %+v", s.Queue)
	}
	px.close(true)
	gatetest.Eventually(t, "the loss to be seen", func() bool { return !tr.Status().Connected })
	p := m.publisher(t)
	for i := range 100 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	time.Sleep(1500 * time.Millisecond) // the broker has counted
	px.close(false)
	gatetest.Eventually(t, "the report", func() bool { return tr.Status().Queue.Dropped >= 70 })
	if err := tr.Status().Problem(time.Now()); err == nil || !strings.Contains(err.Error(), " messages while we were away") && !strings.Contains(err.Error(), "30 messages waited") {
		t.Errorf("problem is %v", err)
	}
	in.Wait(t, 29) // one of our own may have waited too
}

// A gateway that starts after a long time cannot know the broker's count before: it sees that
// as much waits as the broker holds.
func TestFullQueueWhileTheGatewayWasDownIsReported(t *testing.T) {
	m := startMosquitto(t, "max_queued_messages 30")
	for _, n := range []int{20, 100} {
		cfg := Config{Name: fmt.Sprint(n), URL: m.url()}
		tr, stop := start(t, cfg, &gatetest.Inbox{})
		connected(t, tr)
		stop()
		p := m.publisher(t)
		for i := range n {
			publish(t, p, topic, 1, false, fmt.Sprint(i))
		}
		p.Disconnect(100)
		var in gatetest.Inbox
		tr, stop = start(t, cfg, &in)
		measured(t, tr)
		in.Wait(t, min(n, 29)) // one of our own may have waited too
		gatetest.Eventually(t, "the backlog to be through", tr.link.Load().caught.Load)
		q := tr.Status().Queue
		if err := tr.Status().Problem(time.Now()); q.Backlog < min(n, 30) || q.Backlog > 30 || (err != nil) != (n > 30) {
			t.Errorf("%d published: backlog %d, problem %v", n, q.Backlog, err)
		}
		stop()
	}
}

func TestBrokerThatForgotOurSessionIsReported(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url(), MaxBackoff: time.Second}, &in)
	connected(t, tr)
	tr.link.Load().cut(errors.New("the test pulls the plug"))
	gatetest.Eventually(t, "a new connection", func() bool { s := tr.Status(); return s.Connected && strings.Contains(s.LastError, "plug") })
	if q := tr.Status().Queue; q.Lost != 0 {
		t.Errorf("the session was there: %+v", q)
	}
	m.kill()
	m.start(t)
	gatetest.Eventually(t, "the loss", func() bool { return tr.Status().Queue.Lost == 1 })
	gatetest.Eventually(t, "the connection", func() bool { return tr.Status().Connected })
	if err := tr.Status().Problem(time.Now()); err == nil || !strings.Contains(err.Error(), "without our session") {
		t.Errorf("problem is %v", err)
	}
}

func TestAcknowledgementsKeepTheOrderOfTheMessages(t *testing.T) {
	var o order
	var sent []byte
	write := func(b []byte) error { sent = append(sent, b...); return nil }
	ids := func() (got []byte) {
		for i := 3; i < len(sent); i += 4 {
			got = append(got, sent[i])
		}
		return got
	}
	_ = o.own(1, write) // nothing before it
	o.taken()           // 2
	o.taken()           // 3
	_ = o.own(4, write)
	o.taken() // 5
	_ = o.own(6, write)
	if got := string(ids()); got != "\x01" {
		t.Errorf("before anything is stored went %v", []byte(got))
	}
	_ = o.stored([]receipt{{id: 2}}, write)
	_ = o.stored([]receipt{{id: 3}, {id: 5}}, write)
	if got := string(ids()); got != "\x01\x02\x03\x04\x05\x06" {
		t.Errorf("went %v", []byte(got))
	}
}
