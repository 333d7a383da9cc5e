package coap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/tcp/coder"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestTransportKeepsThePromiseOfATransport(t *testing.T) {
	gatetest.TestTransport(t, func(t *testing.T, in grid.Ingester, giveUp time.Duration) gatetest.Peer {
		// Over TCP, where the wire itself loses nothing and keeps the order.
		tr, _ := start(t, Config{TCP: "127.0.0.1:0", GiveUp: giveUp, Burst: 1000, PeerWindow: 1000}, in)
		c, err := net.Dial("tcp", tr.Addr("tcp"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		p := &talker{conn: c, sent: make(map[string]string)}
		go p.listen()
		return p
	})
}

// talker is a device that sends without waiting. For CoAP, closing the connection is 5.03:
// the device is told that its frame was not taken.
type talker struct {
	conn net.Conn

	mu      sync.Mutex
	sent    map[string]string // by token
	acked   []string
	refused bool
}

func (p *talker) Send(t testing.TB, payload string) {
	p.mu.Lock()
	token := fmt.Sprint(len(p.sent) + 1)
	p.sent[token] = payload
	p.mu.Unlock()
	m := message.Message{Code: codes.POST, Token: []byte(token), Payload: []byte(payload)}
	m.Options = m.Options.Add(message.Option{ID: message.URIPath, Value: []byte("up")})
	m.Options = m.Options.Add(message.Option{ID: message.URIPath, Value: []byte("sn:1")})
	buf := make([]byte, 1000)
	n, err := coder.DefaultCoder.Encode(m, buf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.conn.Write(buf[:n]); err != nil {
		t.Errorf("write: %v", err)
	}
}

func (p *talker) listen() {
	var have []byte
	buf := make([]byte, 4096)
	for {
		n, err := p.conn.Read(buf)
		if err != nil {
			return
		}
		for have = append(have, buf[:n]...); ; {
			var h coder.MessageHeader
			if _, err := coder.DefaultCoder.DecodeHeader(have, &h); err != nil || len(have) < int(h.MessageLength) {
				break
			}
			m := message.Message{Options: make(message.Options, 0, 16)}
			n, err := coder.DefaultCoder.Decode(have[:h.MessageLength], &m)
			if err != nil {
				return
			}
			p.note(m)
			have = have[n:]
		}
	}
}

func (p *talker) note(m message.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Code == codes.Changed {
		p.acked = append(p.acked, p.sent[string(m.Token)])
	}
	p.refused = p.refused || m.Code == codes.ServiceUnavailable
}

func (p *talker) Acked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.acked)
}

func (p *talker) Closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

func TestFrameSaysWhatTheMessageSaid(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{Name: "field"}, &in)
	d := dial(t, tr.Addr("udp"))
	m := report(1, "payload")
	m.path, m.query = "up/sn:a%2Fb c", []string{"path=/3/0/9", "port=7"}
	m.options = []message.Option{option(message.ContentFormat, 11542), option(message.Accept, 0)}
	d.ask(m, codes.Changed)
	m.typ, m.code, m.id, m.query, m.options = message.NonConfirmable, codes.PUT, 2, nil, nil
	if got := d.ask(m, codes.Changed); got.Type != message.NonConfirmable {
		t.Errorf("answer to NON is %v", got.Type)
	}
	f := in.Frames()[0]
	if f.Address != "/up/sn:a%252Fb%20c?port=7&ct=11542&path=%2F3%2F0%2F9" || f.Identity != "sn:a%2fb c" || f.Transport != "coap" || f.Source != "field" || f.Flags != 0 || string(f.Raw) != "payload" {
		t.Errorf("frame is %+v", f)
	}
	f = in.Frames()[1]
	if f.Address != "/up/sn:a%252Fb%20c" || f.Flags != grid.Unacknowledged {
		t.Errorf("frame of a NON is %+v", f)
	}
}

func TestEveryFormatOfADeviceIsCarried(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	for i, ct := range []uint32{0, 42, 50, 60, 110, 112, 11542, 11543} {
		m := report(int32(i+1), "x")
		m.options = []message.Option{option(message.ContentFormat, ct)}
		d.ask(m, codes.Changed)
		if f := in.Frames()[i]; !strings.HasSuffix(f.Address, fmt.Sprint("?ct=", ct)) {
			t.Errorf("address is %s", f.Address)
		}
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{MaxPayload: 2000}, &in)
	d := dial(t, tr.Addr("udp"))
	id := int32(0)
	for name, c := range map[string]struct {
		change func(*msg)
		code   codes.Code
		text   string
	}{
		"Identity":      {func(m *msg) { m.path = "up/nobody" }, codes.BadRequest, `identity "nobody" has no kind: want for example eui:, imei:, sn:`},
		"NoIdentity":    {func(m *msg) { m.path = "up" }, codes.NotFound, "want /up/<identity>"},
		"Query":         {func(m *msg) { m.query = []string{"prot=1"} }, codes.BadRequest, `query has "prot": want port or path`},
		"FormatInQuery": {func(m *msg) { m.query = []string{"ct=50"} }, codes.BadRequest, "query has ct: want the option Content-Format"},
		"Path":          {func(m *msg) { m.path = "down/sn:1" }, codes.NotFound, "want /up/<identity>"},
		"Method":        {func(m *msg) { m.code = codes.DELETE }, codes.MethodNotAllowed, "want POST or PUT"},
		"Format":        {func(m *msg) { m.options = []message.Option{option(message.ContentFormat, 41)} }, codes.UnsupportedMediaType, "content format is 41: want one of [0 42 50 60 110 112 11542 11543]"},
		"Empty":         {func(m *msg) { m.payload = "" }, codes.BadRequest, "payload is empty"},
		"Critical":      {func(m *msg) { m.options = []message.Option{{ID: 9, Value: []byte{1}}} }, codes.BadOption, "option 9 is not understood"},
		"Proxy":         {func(m *msg) { m.options = []message.Option{{ID: message.ProxyScheme, Value: []byte("coap")}} }, codes.ProxyingNotSupported, "no proxy here"},
	} {
		t.Run(name, func(t *testing.T) {
			id++
			m := report(id, "x")
			c.change(&m)
			if got := d.ask(m, c.code); string(got.Payload) != c.text {
				t.Errorf("reason is %q, want %q", got.Payload, c.text)
			}
		})
	}
	if len(in.Frames()) != 0 {
		t.Errorf("taken: %q", ends(&in))
	}
}

func TestPayloadOverTheLimitIsRefusedAndItsBeginningKept(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{MaxPayload: 1500}, &in)
	d := dial(t, tr.Addr("udp"))
	got := d.ask(report(1, strings.Repeat("x", 1501)), codes.RequestEntityTooLarge)
	if n := uintOption(t, got, message.Size1); n != 1500 {
		t.Errorf("Size1 is %d", n)
	}
	f := in.Frames()
	if len(f) != 1 || f[0].Flags&grid.Refused == 0 || len(f[0].Raw) != 1024 || f[0].Note == "" {
		t.Errorf("kept: %+v", f)
	}
	d.ask(report(2, strings.Repeat("x", 1500)), codes.Changed)
}

func TestWellKnownCoreListsWhatIsHere(t *testing.T) {
	tr, _ := start(t, Config{}, &gatetest.Inbox{})
	d := dial(t, tr.Addr("udp"))
	got := d.ask(msg{typ: message.Confirmable, code: codes.GET, id: 1, token: "t", path: ".well-known/core"}, codes.Content)
	if ct := uintOption(t, got, message.ContentFormat); ct != 40 || !strings.HasPrefix(string(got.Payload), "</up>;") {
		t.Errorf("format %d: %s", ct, got.Payload)
	}
}

func TestNoResponseIsHonoured(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	m := report(1, "x")
	m.typ, m.options = message.NonConfirmable, []message.Option{option(message.NoResponse, 2)}
	d.send(m)
	in.Wait(t, 1)
	d.silent()
	m.id, m.path = 2, "up/nobody"
	d.ask(m, codes.BadRequest) // only good news is unwanted
	m = report(3, "y")
	m.options = []message.Option{option(message.NoResponse, 26)}
	d.send(m)
	if got, ok := d.receive(10 * time.Second); !ok || got.Code != codes.Empty || got.Type != message.Acknowledgement || got.MessageID != 3 || len(got.Token) != 0 {
		t.Errorf("answer is %+v", got)
	}
}

func TestOverloadIsToldAtOnceWithAPause(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(fmt.Errorf("bulk: %w", grid.ErrOverloaded))
	tr, _ := start(t, Config{RetryAfter: 17 * time.Second}, &in)
	d := dial(t, tr.Addr("udp"))
	if got := d.ask(report(1, "x"), codes.ServiceUnavailable); uintOption(t, got, message.MaxAge) != 17 {
		t.Errorf("Max-Age is %d", uintOption(t, got, message.MaxAge))
	}
	in.Fail(nil)
	d.ask(report(1, "x"), codes.Changed) // the very same message: a refusal is not remembered
}

func TestRefusalOfOneDeviceDoesNotHoldBackAnotherOfItsPeer(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	in.FailIf(func(frames []grid.Frame) error {
		for _, f := range frames {
			if f.Identity == "sn:parking" {
				return grid.ErrOverloaded
			}
		}
		return nil
	})
	tr, _ := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	d.send(report(1, "first")) // stalls, so that the others come together
	gatetest.Eventually(t, "the first call", func() bool { return len(in.Calls()) == 1 })
	for i, path := range []string{"up/sn:parking", "up/sn:smoke", "up/sn:parking"} {
		m := report(int32(i+2), fmt.Sprint(i))
		m.path = path
		d.send(m)
	}
	gatetest.Eventually(t, "all to wait", func() bool { return tr.Status().Waiting == 4 })
	release()
	codeOf := make(map[int32]codes.Code)
	for range 4 {
		m, ok := d.receive(10 * time.Second)
		if !ok {
			t.Fatal("an answer is missing")
		}
		codeOf[m.MessageID] = m.Code
	}
	want := map[int32]codes.Code{1: codes.Changed, 2: codes.ServiceUnavailable, 3: codes.Changed, 4: codes.ServiceUnavailable}
	for id, c := range want {
		if codeOf[id] != c {
			t.Errorf("message %d: %v, want %v", id, codeOf[id], c)
		}
	}
}

func TestNonIsTriedUntilItIsStored(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	tr, _ := start(t, Config{GiveUp: 50 * time.Millisecond}, &in)
	d := dial(t, tr.Addr("udp"))
	m := report(1, "x")
	m.typ = message.NonConfirmable
	d.send(m)
	gatetest.Eventually(t, "three tries", func() bool { return len(in.Calls()) >= 3 })
	in.Fail(nil)
	in.Wait(t, 1)
	if s := tr.Status(); s.LostUnackable != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestNonPastTheBufferIsCountedAsLost(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	tr, _ := start(t, Config{Unacked: 3, GiveUp: time.Hour}, &in)
	d := dial(t, tr.Addr("udp"))
	for i := range 10 {
		m := report(int32(i+1), fmt.Sprint(i))
		m.typ = message.NonConfirmable
		d.send(m)
	}
	gatetest.Eventually(t, "losses", func() bool { return tr.Status().LostUnackable >= 6 })
	in.Fail(nil)
	in.Wait(t, 3)
	gatetest.Eventually(t, "everything to be accounted for", func() bool {
		s := tr.Status()
		return s.Received == 10 && s.Stored+s.LostUnackable == 10 && s.Waiting == 0
	})
}

func TestNonThatWaitsAtTheEndIsTriedOnceMore(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	tr, stop := start(t, Config{}, &in)
	d := dial(t, tr.Addr("udp"))
	m := report(1, "x")
	m.typ = message.NonConfirmable
	d.send(m)
	gatetest.Eventually(t, "a try", func() bool { return len(in.Calls()) >= 2 })
	in.Fail(nil)
	stop()
	if n := len(in.Frames()); n != 1 {
		t.Errorf("%d frames", n)
	}
}

// slowFor is slow with one device's frames.
type slowFor struct {
	id   grid.Identity
	gate chan struct{}
}

func (s *slowFor) Ingest(ctx context.Context, frames ...grid.Frame) error {
	for _, f := range frames {
		if f.Identity == s.id {
			select {
			case <-s.gate:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func TestPeerThatFloodsASlowGatewayDoesNotStallAnother(t *testing.T) {
	in := &slowFor{"sn:flood", make(chan struct{})}
	tr, _ := start(t, Config{}, in)
	flood, other := dial(t, tr.Addr("udp")), dial(t, tr.Addr("udp"))
	for i := range 40 {
		m := report(int32(i+1), fmt.Sprint(i))
		m.path = "up/sn:flood"
		flood.send(m)
	}
	gatetest.Eventually(t, "the flood", func() bool { return tr.Status().Waiting == 40 })
	for i := range 10 { // none of the flood is answered, all of these are
		other.ask(report(int32(i+1), fmt.Sprint(i)), codes.Changed)
	}
	flood.silent()
	close(in.gate)
	for range 40 {
		if m, ok := flood.receive(10 * time.Second); !ok || m.Code != codes.Changed {
			t.Fatalf("answer to the flood: %v %v", ok, m.Code)
		}
	}
}

func TestPeerOverItsRateIsToldSoAndNobodyElse(t *testing.T) {
	var in gatetest.Inbox
	now := time.Now()
	tr, _ := start(t, Config{Rate: 1, Burst: 5, Now: func() time.Time { return now }}, &in)
	d, other := dial(t, tr.Addr("udp")), dial(t, tr.Addr("udp"))
	for i := range 5 {
		d.ask(report(int32(i+1), fmt.Sprint(i)), codes.Changed)
	}
	if got := d.ask(report(6, "6"), codes.TooManyRequests); uintOption(t, got, message.MaxAge) == 0 {
		t.Error("no pause is named")
	}
	other.ask(report(1, "x"), codes.Changed)
	if s := tr.Status(); s.Limited != 1 || s.Received != 6 {
		t.Errorf("status %+v", s)
	}
}

func TestPeerWithTooMuchWaitingIsToldToComeBack(t *testing.T) {
	for name, cfg := range map[string]Config{"OfThePeer": {PeerWindow: 3}, "OfAll": {Window: 3}, "Bytes": {WindowBytes: 3}} {
		t.Run(name, func(t *testing.T) {
			var in gatetest.Inbox
			release := in.Stall()
			defer release()
			tr, _ := start(t, cfg, &in)
			d := dial(t, tr.Addr("udp"))
			for i := range 3 {
				d.send(report(int32(i+1), "x"))
			}
			gatetest.Eventually(t, "three to wait", func() bool { return tr.Status().Waiting == 3 })
			d.ask(report(4, "x"), codes.ServiceUnavailable)
			release()
			for range 3 {
				if m, ok := d.receive(10 * time.Second); !ok || m.Code != codes.Changed {
					t.Fatalf("answer %v %v", ok, m.Code)
				}
			}
			d.ask(report(5, "x"), codes.Changed)
		})
	}
}

func TestPanicIsAnsweredAndTheOthersGoOn(t *testing.T) {
	t.Run("InARequest", func(t *testing.T) {
		tr, _ := start(t, Config{Identify: func(address string, _ []byte) (grid.Identity, string, string) {
			if strings.Contains(address, "sn:bad") {
				panic("bad")
			}
			return "sn:1", "native", ""
		}}, &gatetest.Inbox{})
		d := dial(t, tr.Addr("udp"))
		m := report(1, "x")
		m.path = "up/sn:bad"
		d.ask(m, codes.InternalServerError)
		d.ask(report(2, "x"), codes.Changed)
		if !strings.Contains(tr.Status().LastError, "panic") {
			t.Errorf("last error is %q", tr.Status().LastError)
		}
	})
	t.Run("InIngest", func(t *testing.T) {
		var in gatetest.Inbox
		in.FailIf(func(frames []grid.Frame) error {
			if frames[0].Identity == "sn:bad" {
				panic("bad")
			}
			return nil
		})
		tr, _ := start(t, Config{GiveUp: time.Millisecond}, &in)
		d := dial(t, tr.Addr("udp"))
		m := report(1, "x")
		m.path = "up/sn:bad"
		d.ask(m, codes.ServiceUnavailable)
		d.ask(report(2, "x"), codes.Changed)
	})
}

func TestNobodyFillsTheLogFromOutside(t *testing.T) {
	var logged lines
	tr := New(Config{UDP: "127.0.0.1:0", DTLS: keyed(t, t.TempDir()), Identify: identify}, slog.New(slog.NewTextHandler(&logged, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = tr.Run(ctx, &gatetest.Inbox{}) })
	defer wg.Wait()
	defer cancel()
	<-tr.Ready()
	before := logged.n.Load()
	for i := range 300 {
		d := dial(t, tr.Addr("udp")) // ever new addresses
		m := report(1, "x")
		m.path = fmt.Sprint("up/sn:", i%2+1) // which both have keys
		d.ask(m, codes.Unauthorized)
		d.write([]byte("junk"))
		_ = d.conn.Close()
	}
	if n := logged.n.Load() - before; n > 100 {
		t.Errorf("300 spoofed messages made %d lines", n)
	}
	if !strings.Contains(tr.Status().LastError, "this device has a key") {
		t.Errorf("last error is %q", tr.Status().LastError)
	}
}

// lines counts what is logged.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(b []byte) (int, error) {
	l.n.Add(1)
	return len(b), nil
}

func TestStatusAndPeersSayHowItIs(t *testing.T) {
	var in gatetest.Inbox
	tr, stop := start(t, Config{TCP: "127.0.0.1:0", UDP: "127.0.0.1:0"}, &in)
	d := dial(t, tr.Addr("udp"))
	d.ask(report(1, "x"), codes.Changed)
	m := report(2, "x")
	m.path = "up/nobody"
	d.ask(m, codes.BadRequest)
	s := tr.Status()
	if len(s.Listeners) != 2 || !s.Listeners[0].Up || s.Listeners[0].Peers != 1 || s.Listeners[0].Since.IsZero() || s.Received != 1 || s.Acked != 1 || s.RefusedRequests != 1 || s.LastFrame.IsZero() {
		t.Errorf("status %+v", s)
	}
	p := tr.Peers("coap.udp")
	if len(p) != 1 || p[0].Device != "sn:1" || p[0].Frames != 1 || !p[0].Up || p[0].Since.IsZero() || p[0].Address != d.conn.LocalAddr().String() || !strings.Contains(p[0].LastError, "nobody") || p[0].LastFrame.IsZero() {
		t.Errorf("peers %+v", p)
	}
	stop()
	if s := tr.Status(); s.Listeners[0].Up || s.Listeners[0].Peers != 0 {
		t.Errorf("after the end: %+v", s.Listeners)
	}
}

func TestRunLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	dir := t.TempDir()
	tr, stop := start(t, Config{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", DTLS: keyed(t, dir)}, &gatetest.Inbox{})
	m := report(1, "x")
	m.path = "up/sn:3"
	dial(t, tr.Addr("udp")).ask(m, codes.Changed)
	stop()
	gatetest.Eventually(t, "all goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestAddressThatIsTakenIsAnError(t *testing.T) {
	tr, _ := start(t, Config{}, &gatetest.Inbox{})
	err := New(Config{UDP: tr.Addr("udp"), Identify: identify}, nil).Run(t.Context(), &gatetest.Inbox{})
	if grid.CodeOf(err) != grid.Unavailable || !strings.Contains(err.Error(), tr.Addr("udp")) {
		t.Errorf("error is %v", err)
	}
}
