package coap

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
)

// clock is a clock that a test moves.
type clock struct {
	began time.Time
	ahead atomic.Int64
}

func newClock() *clock                { return &clock{began: time.Now()} }
func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) move(d time.Duration) { c.ahead.Add(int64(d)) }

func TestRepeatedMessageIsOneMessage(t *testing.T) {
	junk := []byte{0xff, 0xff, 0xff}
	for name, between := range map[string]func(*device, *clock, *Transport){
		"AtOnce":    func(*device, *clock, *Transport) {},
		"After24s":  func(_ *device, c *clock, _ *Transport) { c.move(24 * time.Second) },
		"After246s": func(_ *device, c *clock, _ *Transport) { c.move(246 * time.Second) },
		"AfterJunk": func(d *device, _ *clock, tr *Transport) {
			d.write(junk)
			gatetest.Eventually(d.t, "the junk", func() bool { return tr.Status().Unreadable == 1 })
		},
		"AfterItsPeerWasForgotten": func(d *device, _ *clock, tr *Transport) {
			for _, p := range tr.on("udp").latest(1) {
				tr.on("udp").forget(p)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var in gatetest.Inbox
			c := newClock()
			tr, _ := start(t, Config{Now: c.now}, &in)
			d := dial(t, tr.Addr("udp"))
			d.ask(report(7, "x"), codes.Changed)
			between(d, c, tr)
			d.ask(report(7, "x"), codes.Changed)
			if n := len(in.Frames()); n != 1 || tr.Status().Repeated != 1 {
				t.Errorf("%d frames, status %+v", n, tr.Status())
			}
		})
	}
}

func TestMessageIsForgottenInTheEnd(t *testing.T) {
	var in gatetest.Inbox
	c := newClock()
	tr, _ := start(t, Config{Now: c.now}, &in)
	d := dial(t, tr.Addr("udp"))
	for range 3 {
		d.ask(report(7, "x"), codes.Changed)
		c.move(3 * exchangeLifetime)
	}
	if n := len(in.Frames()); n != 3 {
		t.Errorf("%d frames", n)
	}
}

func TestMessageIsNotTakenTwiceWhileItIsStored(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	for range 4 {
		d.send(report(7, "x"))
	}
	gatetest.Eventually(t, "the repeats", func() bool { return tr.Status().Repeated == 3 })
	d.silent()
	release()
	if m, ok := d.receive(10 * time.Second); !ok || m.Code != codes.Changed {
		t.Fatalf("answer %v %v", ok, m.Code)
	}
	d.silent()
	if n := len(in.Frames()); n != 1 {
		t.Errorf("%d frames", n)
	}
}

func TestDeviceThatBeginsItsIdsAnewIsHeard(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	d.ask(report(1, "smoke"), codes.Changed)
	d.ask(report(1, "clear"), codes.Changed) // it has restarted: the same id, another content
	d.ask(report(1, "smoke"), codes.Changed)
	d.ask(report(1, "smoke"), codes.Changed)
	if n := len(in.Frames()); n != 3 {
		t.Errorf("taken: %q, want smoke, clear, smoke", ends(&in))
	}
}

func TestRememberedMessagesAreBounded(t *testing.T) {
	e := newExchanges(100)
	now := time.Now()
	for i := range 10_000 {
		e.take(exchangeKey{session: uint64(i)}, 1, now)
	}
	if n := len(e.now) + len(e.past); n > 200 {
		t.Errorf("%d messages are remembered", n)
	}
}

func TestPeersAreBoundedAndTheLongestIdleGoesFirst(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{MaxPeers: 10, Burst: 1000}, &in)
	before := runtime.NumGoroutine()
	first, idle := dial(t, tr.Addr("udp")), dial(t, tr.Addr("udp"))
	idle.ask(report(1, "idle"), codes.Changed)
	for i := range 100 {
		first.ask(report(int32(i+1), "first"), codes.Changed)
		dial(t, tr.Addr("udp")).ask(report(1, "x"), codes.Changed)
	}
	s := tr.Status()
	if s.Listeners[0].Peers != 10 || s.Evicted != 92 {
		t.Errorf("status %+v", s)
	}
	for _, p := range tr.Peers("") {
		if p.Address == idle.conn.LocalAddr().String() {
			t.Error("the idle one is still there")
		}
	}
	if got := tr.Peers("")[1]; got.Address != first.conn.LocalAddr().String() || got.Frames != 100 {
		t.Errorf("the busy one is %+v: want it to have stayed", got)
	}
	gatetest.Eventually(t, "the goroutines of the others to end", func() bool { return runtime.NumGoroutine() < before+15 })
	idle.ask(report(1, "idle"), codes.Changed)
	if s := tr.Status(); s.Repeated != 1 {
		t.Error("what the forgotten one had sent is forgotten too")
	}
}

func TestForgottenPeerIsGoneAtOnce(t *testing.T) {
	tr, _ := start(t, Config{}, &gatetest.Inbox{})
	dial(t, tr.Addr("udp")).ask(report(1, "x"), codes.Changed)
	p := tr.on("udp").latest(1)[0]
	tr.on("udp").forget(p)
	select {
	case <-p.wire.(datagrams).conn.Done(): // its goroutine ends
	default:
		t.Error("go-coap keeps it until its next round")
	}
}

func TestPeerThatIsSilentIsForgotten(t *testing.T) {
	c := newClock()
	tr, _ := start(t, Config{Now: c.now, Idle: time.Minute}, &gatetest.Inbox{})
	dial(t, tr.Addr("udp")).ask(report(1, "x"), codes.Changed)
	l := tr.on("udp")
	c.move(59 * time.Second)
	l.sweep(c.now())
	if n := l.status().Peers; n != 1 {
		t.Errorf("%d peers", n)
	}
	c.move(2 * time.Second)
	l.sweep(c.now())
	if n := l.status().Peers; n != 0 {
		t.Errorf("%d peers", n)
	}
}
