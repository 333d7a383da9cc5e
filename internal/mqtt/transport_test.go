package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const topic = "gridgate/up/sn:1"

// identify knows native topics, as package envelope does.
func identify(topic string, _ []byte) (grid.Identity, string, string) {
	if id, ok := strings.CutPrefix(topic, "gridgate/up/"); ok {
		return grid.Identity(id), "native", ""
	}
	return "", "", "topic names nobody"
}

// start runs a transport for the test, waits until it is connected if so told, and returns
// it with a function that stops it.
func start(t testing.TB, cfg Config, in grid.Ingester) (*Transport, func()) {
	t.Helper()
	if cfg.Identify == nil {
		cfg.Identify = identify
	}
	tr := New(cfg, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := tr.Run(ctx, in); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return tr, stop
}

func connected(t testing.TB, tr *Transport) {
	t.Helper()
	gatetest.Eventually(t, "the connection", func() bool { return tr.Status().Connected })
}

func acked(t testing.TB, tr *Transport, n uint64) {
	t.Helper()
	gatetest.Eventually(t, fmt.Sprint(n, " acknowledgements"), func() bool { return tr.Status().Acked >= n })
}

func TestBacklogOfTheSessionArrives(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	tr, stop := start(t, Config{URL: m.url()}, &in)
	connected(t, tr)
	stop()
	p := m.publisher(t)
	for i := range 60 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	tr, stop = start(t, Config{URL: m.url()}, &in)
	for i, f := range in.Wait(t, 60) {
		if string(f.Raw) != fmt.Sprint(i) {
			t.Fatalf("frame %d is %q", i, f.Raw)
		}
	}
	acked(t, tr, 60)
	stop()
	tr, _ = start(t, Config{URL: m.url()}, &in)
	publish(t, p, topic, 1, false, "last")
	acked(t, tr, 1)
	if fs := in.Frames(); len(fs) != 61 {
		t.Errorf("%d frames came, want 61: the broker did not see the acknowledgements", len(fs))
	}
}

func TestHangingIngestDoesNotStopKeepAlives(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	tr, _ := start(t, Config{URL: m.url(), KeepAlive: time.Second, GiveUp: time.Hour, CanaryEvery: time.Hour, DeafAfter: time.Hour}, &in)
	connected(t, tr)
	since := tr.Status().Since
	p := m.publisher(t)
	for i := range 100 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	time.Sleep(4 * time.Second) // mosquitto closes after 1.5 keep-alives of silence
	if s := tr.Status(); !s.Connected || !s.Since.Equal(since) {
		t.Fatalf("the connection was lost: %+v", s)
	}
	release()
	in.Wait(t, 100)
	acked(t, tr, 100)
}

func TestWhatIsNotStoredIsNotAcknowledged(t *testing.T) {
	m := startMosquitto(t)
	var broken gatetest.Inbox
	broken.Fail(errors.New("disk is gone"))
	tr, stop := start(t, Config{URL: m.url()}, &broken)
	connected(t, tr)
	publish(t, m.publisher(t), topic, 1, false, "a")
	gatetest.Eventually(t, "a second try", func() bool { return len(broken.Calls()) >= 2 })
	if s := tr.Status(); s.FailingSince.IsZero() || s.LastError == "" || s.Retried == 0 {
		t.Errorf("the fault is not visible: %+v", s)
	}
	stop()
	var in gatetest.Inbox
	start(t, Config{URL: m.url()}, &in)
	if f := in.Wait(t, 1)[0]; string(f.Raw) != "a" || f.Flags != grid.Redelivered {
		t.Errorf("frame is %+v, want it redelivered", f)
	}
}

func TestBrokerSendsAgainAfterGiveUp(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	tr, _ := start(t, Config{URL: m.url(), GiveUp: 300 * time.Millisecond}, &in)
	connected(t, tr)
	since := tr.Status().Since
	publish(t, m.publisher(t), topic, 1, false, "a")
	gatetest.Eventually(t, "a new connection", func() bool { s := tr.Status(); return s.Connected && !s.Since.Equal(since) })
	in.Fail(nil)
	if f := in.Wait(t, 1)[0]; f.Flags&grid.Redelivered == 0 {
		t.Errorf("frame is %+v, want it redelivered", f)
	}
	acked(t, tr, 1)
}

func TestAcknowledgementLostWithItsConnectionMakesADuplicate(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	release := in.Stall()
	tr, stop := start(t, Config{URL: m.url(), GiveUp: time.Hour}, &in)
	connected(t, tr)
	since := tr.Status().Since
	publish(t, m.publisher(t), topic, 1, false, "a")
	gatetest.Eventually(t, "Ingest", func() bool { return len(in.Calls()) == 1 })
	tr.link.Load().cut(errors.New("the test pulls the plug"))
	gatetest.Eventually(t, "the second delivery", func() bool { s := tr.Status(); return s.Received == 2 && !s.Since.Equal(since) })
	release()
	fs := in.Wait(t, 2)
	if fs[0].Flags != 0 || fs[1].Flags != grid.Redelivered || string(fs[1].Raw) != "a" {
		t.Errorf("frames are %+v", fs)
	}
	acked(t, tr, 1)
	if s := tr.Status(); s.Stored != 2 || s.Acked != 1 {
		t.Errorf("stored %d and acknowledged %d, want 2 and 1", s.Stored, s.Acked)
	}
	stop()
	tr, _ = start(t, Config{URL: m.url()}, &in)
	connected(t, tr)
	publish(t, m.publisher(t), topic, 1, false, "b")
	if fs := in.Wait(t, 3); string(fs[2].Raw) != "b" {
		t.Errorf("the broker still had %q", fs[2].Raw)
	}
}

func TestRefusedSubscriptionIsVisible(t *testing.T) {
	m := newMosquitto(t, "plugin "+findPlugin(t), "plugin_opt_config_file DIR/dynsec.json")
	m.write(t, "dynsec.json", `{
  "defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": true, "unsubscribe": true},
  "clients": [], "groups": [{"groupname": "all", "roles": [{"rolename": "r"}]}], "anonymousGroup": "all",
  "roles": [{"rolename": "r", "acls": [{"acltype": "subscribePattern", "topic": "secret/#", "allow": false}]}]}`)
	m.start(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url(), Topics: []string{"gridgate/up/#", "secret/#"}}, &in)
	connected(t, tr)
	s := tr.Status()
	if len(s.Subscriptions) != 2 || s.Subscriptions[0] != (Subscription{Topic: "gridgate/up/#", QoS: 1}) || s.Subscriptions[1] != (Subscription{Topic: "secret/#", Refused: true}) {
		t.Errorf("subscriptions are %+v", s.Subscriptions)
	}
	if !strings.Contains(s.LastError, `"secret/#"`) {
		t.Errorf("last error is %q", s.LastError)
	}
	if err := s.Problem(time.Now()); err == nil || !strings.Contains(err.Error(), `refuses the subscription to "secret/#"`) {
		t.Errorf("problem is %v", err)
	}
	publish(t, m.publisher(t), topic, 1, false, "a")
	in.Wait(t, 1) // the other one works
}

func TestBrokerRestartWithoutItsMemory(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url(), MaxBackoff: time.Second}, &in)
	connected(t, tr)
	m.kill()
	gatetest.Eventually(t, "the loss to be seen", func() bool { s := tr.Status(); return !s.Connected && s.LastError != "" })
	m.start(t)
	connected(t, tr)
	publish(t, m.publisher(t), topic, 1, false, "a")
	in.Wait(t, 1)
	acked(t, tr, 1)
}

// A broker whose rules change under us takes our pings and sends us nothing.
func TestDeafConnectionIsNoticedAndMended(t *testing.T) {
	m := newMosquitto(t, "acl_file DIR/acl")
	m.write(t, "acl", "topic readwrite #\n")
	m.start(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url(), CanaryEvery: 100 * time.Millisecond, DeafAfter: 500 * time.Millisecond, MaxBackoff: time.Second}, &in)
	gatetest.Eventually(t, "the canary", func() bool { return tr.Status().CanaryRTT > 0 })
	m.write(t, "acl", "topic readwrite other/#\n")
	m.reload()
	gatetest.Eventually(t, "the deafness to be seen", func() bool { s := tr.Status(); return s.Deaf && !s.Connected && strings.Contains(s.LastError, "deaf") })
	m.write(t, "acl", "topic readwrite #\n")
	m.reload()
	gatetest.Eventually(t, "the connection to be mended", func() bool { s := tr.Status(); return s.Connected && !s.Deaf })
	p := m.publisher(t)
	gatetest.Eventually(t, "a frame", func() bool {
		publish(t, p, topic, 1, false, "a")
		return len(in.Frames()) > 0
	})
}

func TestDeadLineIsNoticedByTheCanary(t *testing.T) {
	m := startMosquitto(t)
	p := startProxy(t, m.addr)
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: p.url(), KeepAlive: time.Hour, ConnectTimeout: time.Second, CanaryEvery: 100 * time.Millisecond, DeafAfter: 500 * time.Millisecond}, &in)
	gatetest.Eventually(t, "the canary", func() bool { return tr.Status().CanaryRTT > 0 })
	since := tr.Status().Since
	p.silence() // also one that is just being made, where a busy machine was taken for a dead line: that ends by ConnectTimeout
	gatetest.Eventually(t, "a new connection", func() bool { s := tr.Status(); return s.Connected && !s.Since.Equal(since) })
	publish(t, m.publisher(t), topic, 1, false, "a")
	in.Wait(t, 1)
}

func TestFullWindowIsNoDeafness(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	release := in.Stall()
	tr, _ := start(t, Config{URL: m.url(), Window: 5, GiveUp: time.Hour, CanaryEvery: 50 * time.Millisecond, DeafAfter: 200 * time.Millisecond}, &in)
	connected(t, tr)
	since := tr.Status().Since
	p := m.publisher(t)
	for i := range 20 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	time.Sleep(time.Second)
	if s := tr.Status(); !s.Since.Equal(since) {
		t.Errorf("the connection was broken: %s", s.LastError)
	}
	release()
	in.Wait(t, 20)
	acked(t, tr, 20)
}

func TestLossIsSeenWhileTheWindowIsFull(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	tr, _ := start(t, Config{URL: m.url(), Window: 5, GiveUp: time.Hour, CanaryEvery: 50 * time.Millisecond}, &in)
	connected(t, tr)
	p := m.publisher(t)
	for i := range 20 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	gatetest.Eventually(t, "the window to fill", func() bool { return tr.Status().Received == 6 })
	m.kill()
	gatetest.Eventually(t, "the loss to be seen", func() bool { return !tr.Status().Connected })
}

func TestIdleConnectionIsLeftAlone(t *testing.T) {
	m := startMosquitto(t)
	tr, _ := start(t, Config{URL: m.url(), CanaryEvery: 50 * time.Millisecond, DeafAfter: 3 * time.Second}, &gatetest.Inbox{})
	connected(t, tr)
	since := tr.Status().Since
	time.Sleep(4 * time.Second)
	if s := tr.Status(); !s.Connected || !s.Since.Equal(since) {
		t.Errorf("the connection was broken: %s", s.LastError)
	}
}

func TestRetainedMessageIsMarked(t *testing.T) {
	m := startMosquitto(t)
	p := m.publisher(t)
	publish(t, p, topic, 1, true, "old")
	var in gatetest.Inbox
	_, stop := start(t, Config{URL: m.url()}, &in)
	if f := in.Wait(t, 1)[0]; f.Flags&grid.Retained == 0 {
		t.Errorf("flags are %b, want Retained", f.Flags)
	}
	publish(t, p, topic, 1, true, "new") // news, whatever it asks the broker to keep
	if f := in.Wait(t, 2)[1]; f.Flags != 0 || string(f.Raw) != "new" {
		t.Errorf("frame is %+v", f)
	}
	stop()
	start(t, Config{URL: m.url()}, &in) // and again at every subscription
	if f := in.Wait(t, 3)[2]; f.Flags&grid.Retained == 0 || string(f.Raw) != "new" {
		t.Errorf("frame is %+v", f)
	}
}

func TestQoS0IsRetriedFromABoundedBufferAndThenCounted(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	tr, _ := start(t, Config{URL: m.url(), Unacked: 10, GiveUp: 100 * time.Millisecond}, &in)
	connected(t, tr)
	since := tr.Status().Since
	p := m.publisher(t)
	for i := range 15 {
		publish(t, p, topic, 0, false, fmt.Sprint(i))
		if i == 0 {
			gatetest.Eventually(t, "the failure", func() bool { return !tr.Status().FailingSince.IsZero() })
		}
	}
	gatetest.Eventually(t, "the loss", func() bool { return tr.Status().LostUnackable == 5 })
	time.Sleep(300 * time.Millisecond)
	in.Fail(nil)
	for i, f := range in.Wait(t, 10) {
		if string(f.Raw) != fmt.Sprint(i) || f.Flags != grid.Unacknowledged {
			t.Errorf("frame %d is %+v", i, f)
		}
	}
	if s := tr.Status(); !s.Since.Equal(since) {
		t.Error("the connection was closed over QoS 0")
	}
}

func TestTooLargePayloadEndsAsARefusedFrameAndIsAcknowledged(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url()}, &in)
	connected(t, tr)
	p := m.publisher(t)
	publish(t, p, topic, 1, false, strings.Repeat("x", 1<<20))
	publish(t, p, topic, 1, false, "next")
	f := in.Wait(t, 2)[0]
	if f.Flags != grid.Refused || len(f.Raw) != 1024 || !strings.Contains(f.Note, "1048576") || f.Identity != "sn:1" {
		t.Errorf("frame is %d bytes, flags %b, note %q, identity %q", len(f.Raw), f.Flags, f.Note, f.Identity)
	}
	acked(t, tr, 2)
}

func TestFrameSaysWhatTheWireSaid(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.FixedZone("CST", 8*3600))
	tr, _ := start(t, Config{Name: "hall", URL: m.url(), Now: func() time.Time { return at }}, &in)
	connected(t, tr)
	p := m.publisher(t)
	publish(t, p, topic, 1, false, "x")
	publish(t, p, "zigbee2mqtt/x", 1, false, "\xff")
	fs := in.Wait(t, 2)
	if f := fs[0]; f.Identity != "sn:1" || f.Transport != "mqtt" || f.Source != "hall" || f.Address != topic ||
		f.Envelope != "native" || string(f.Raw) != "x" || !f.Received.Equal(at) || f.Received.Location() != time.UTC {
		t.Errorf("frame is %+v", f)
	}
	if f := fs[1]; f.Identity != "" || f.Note == "" || string(f.Raw) != "\xff" {
		t.Errorf("frame is %+v", f)
	}
}

func TestSharedSubscription(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	for _, name := range []string{"one", "two"} {
		tr, _ := start(t, Config{Name: name, URL: m.url(), Topics: []string{"$share/g/gridgate/up/#"}}, &in)
		connected(t, tr)
		if s := tr.Status().Subscriptions[0]; s.Refused {
			t.Fatalf("%+v", s)
		}
	}
	p := m.publisher(t)
	for i := range 20 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	by := map[string]int{}
	for _, f := range in.Wait(t, 20) {
		by[f.Source]++
	}
	if by["one"] != 10 || by["two"] != 10 {
		t.Errorf("frames came as %v", by)
	}
}

func TestLoginRefusedIsVisible(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous false")
	var in gatetest.Inbox
	tr, _ := start(t, Config{URL: m.url(), Username: "x", Password: "y"}, &in)
	gatetest.Eventually(t, "the refusal", func() bool { return strings.Contains(strings.ToLower(tr.Status().LastError), "not auth") })
}

func TestStopDoesNotWait(t *testing.T) {
	hang, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hang.Close()
	for name, test := range map[string]func(t *testing.T) func(){
		"WhileIngestHangs": func(t *testing.T) func() {
			m := startMosquitto(t)
			var in gatetest.Inbox
			t.Cleanup(in.Stall())
			tr, stop := start(t, Config{URL: m.url(), Window: 5, GiveUp: time.Hour}, &in)
			connected(t, tr)
			p := m.publisher(t)
			for i := range 20 {
				publish(t, p, topic, 1, false, fmt.Sprint(i))
			}
			gatetest.Eventually(t, "the window to fill", func() bool { return tr.Status().Received == 6 })
			return stop
		},
		"WhileTheBrokerIsAway": func(t *testing.T) func() {
			tr, stop := start(t, Config{URL: "mqtt://" + freeAddr(t)}, &gatetest.Inbox{})
			gatetest.Eventually(t, "the refusal", func() bool { return tr.Status().LastError != "" })
			return stop
		},
		"WhileTheBrokerSaysNothing": func(t *testing.T) func() {
			tr, stop := start(t, Config{URL: "mqtt://" + hang.Addr().String()}, &gatetest.Inbox{})
			gatetest.Eventually(t, "the dial", func() bool { l := tr.link.Load(); return l != nil && l.conn.Load() != nil })
			return stop
		},
	} {
		t.Run(name, func(t *testing.T) {
			stop := test(t)
			began := time.Now()
			stop()
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("stopping took %v", took)
			}
		})
	}
}

func TestStopLeavesNothingRunning(t *testing.T) {
	m := startMosquitto(t)
	before := runtime.NumGoroutine()
	var in gatetest.Inbox
	tr, stop := start(t, Config{URL: m.url()}, &in)
	connected(t, tr)
	stop()
	gatetest.Eventually(t, "its goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestConfigThatCannotWorkIsRefused(t *testing.T) {
	for _, c := range []Config{{URL: "http://x"}, {URL: "mqtt://x", ClientID: "a/b"}, {}} {
		if err := New(c, nil).Run(t.Context(), nil); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%+v: error is %v", c, err)
		}
	}
}

func TestBackoffIsCappedAndDiffers(t *testing.T) {
	seen := map[time.Duration]bool{}
	for fails := range 1000 {
		d := backoff(fails, 30*time.Second)
		if d > 30*time.Second || d < firstBackoff/2 || fails > 20 && d < 15*time.Second {
			t.Fatalf("pause %d is %v", fails, d)
		}
		seen[d] = true
	}
	if len(seen) < 900 {
		t.Errorf("%d different pauses of 1000", len(seen))
	}
}
