package coap

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/tcp/coder"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// caller is a device that speaks CoAP over TCP by hand.
type caller struct {
	t    testing.TB
	conn net.Conn
	have []byte
}

func call(t testing.TB, addr string) *caller {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &caller{t: t, conn: c}
}

func (c *caller) send(m msg) {
	c.t.Helper()
	var opts message.Options
	for s := range strings.SplitSeq(m.path, "/") {
		if s != "" {
			opts = opts.Add(message.Option{ID: message.URIPath, Value: []byte(s)})
		}
	}
	for _, o := range m.options {
		opts = opts.Add(o)
	}
	for _, q := range m.query {
		opts = opts.Add(message.Option{ID: message.URIQuery, Value: []byte(q)})
	}
	out := message.Message{Code: m.code, Token: []byte(m.token), Options: opts, Payload: []byte(m.payload)}
	size, err := coder.DefaultCoder.Size(out)
	if err != nil {
		c.t.Fatal(err)
	}
	buf := make([]byte, size)
	if _, err := coder.DefaultCoder.Encode(out, buf); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.conn.Write(buf); err != nil {
		c.t.Fatal(err)
	}
}

// receive waits for a message that is not about the connection itself.
func (c *caller) receive() message.Message {
	c.t.Helper()
	buf := make([]byte, 4096)
	for {
		var h coder.MessageHeader
		if _, err := coder.DefaultCoder.DecodeHeader(c.have, &h); err == nil && len(c.have) >= int(h.MessageLength) {
			m := message.Message{Options: make(message.Options, 0, 16)}
			if _, err := coder.DefaultCoder.Decode(bytes.Clone(c.have[:h.MessageLength]), &m); err != nil {
				c.t.Fatal(err)
			}
			c.have = c.have[h.MessageLength:]
			if m.Code < codes.CSM {
				return m
			}
			continue
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := c.conn.Read(buf)
		if err != nil {
			c.t.Fatalf("nothing comes: %v", err)
		}
		c.have = append(c.have, buf[:n]...)
	}
}

func (c *caller) ask(m msg, want codes.Code) message.Message {
	c.t.Helper()
	c.send(m)
	got := c.receive()
	if got.Code != want || string(got.Token) != m.token {
		c.t.Fatalf("answered %v %q, want %v", got.Code, got.Payload, want)
	}
	return got
}

func (c *caller) answers(q message.Message, code codes.Code, payload string, options ...message.Option) {
	c.send(msg{code: code, token: string(q.Token), payload: payload, options: options})
}

// notify needs no acknowledgement over TCP.
func (c *caller) notify(q message.Message, seq uint32, payload string) {
	c.send(msg{code: codes.Content, token: string(q.Token), payload: payload, options: []message.Option{option(message.Observe, seq)}})
}

func (c *caller) registers(query, links string) (place string) {
	c.t.Helper()
	got := c.ask(msg{code: codes.POST, token: "r", path: "rd", query: strings.Split(query, "&"), payload: links}, codes.Created)
	for _, o := range got.Options {
		if o.ID == message.LocationPath {
			place += "/" + string(o.Value)
		}
	}
	return strings.TrimPrefix(place, "/")
}

func TestDeviceRegistersOverTCPAndIsReadAndObserved(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{TCP: "127.0.0.1:0"}, &in)
	c := call(t, tr.Addr("tcp"))
	place := c.registers("ep=sn:1&lt=60&lwm2m=1.1&b=T", "</3/0>,</3342/0>")
	observe := c.receive()
	if n, err := observe.Options.Observe(); shape(observe) != "GET /3342/0" || err != nil || n != 0 {
		t.Fatalf("asked %q, observe %d %v", shape(observe), n, err)
	}
	c.answers(observe, codes.Content, "closed", option(message.Observe, 1))
	c.answers(c.receive(), codes.Content, "device")
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	c.notify(observe, 2, "open")
	in.Wait(t, 4)
	want := []string{"/up/sn:1?path=%2F3342%2F0 closed", "/up/sn:1?path=%2F3%2F0 device", "/up/sn:1?path=%2F3342%2F0 open"}
	if got := said(&in); !slices.Equal(got, want) {
		t.Errorf("frames %q, want %q", got, want)
	}
	c.ask(msg{code: codes.POST, token: "u", path: place}, codes.Changed)
	c.ask(msg{code: codes.DELETE, token: "d", path: place}, codes.Deleted)
	if got := events(&in); !slices.Equal(got, []string{"/up/sn:1?event=register", "/up/sn:1?event=update", "/up/sn:1?event=deregister"}) {
		t.Errorf("events %q", got)
	}
}

func TestDeviceThatConnectsAnewOverTCPIsObservedAnew(t *testing.T) {
	var in gatetest.Inbox
	tr := serveLwM2M(t, Config{TCP: "127.0.0.1:0"}, &in)
	c := call(t, tr.Addr("tcp"))
	place := c.registers("ep=sn:1&b=T", "</3342/0>")
	first := c.receive()
	c.answers(first, codes.Content, "closed", option(message.Observe, 1))
	gatetest.Eventually(t, "observation", observes(tr, "sn:1", 1))
	_ = c.conn.Close()

	c = call(t, tr.Addr("tcp"))
	c.ask(msg{code: codes.POST, token: "u", path: place}, codes.Changed)
	again := c.receive()
	if shape(again) != "GET /3342/0" || string(again.Token) == string(first.Token) {
		t.Fatalf("asked %q with token %x, before it was %x", shape(again), again.Token, first.Token)
	}
	c.answers(again, codes.Content, "open", option(message.Observe, 1))
	c.notify(first, 9, "of the old connection")
	c.notify(again, 2, "closed")
	gatetest.Eventually(t, "values", func() bool { return len(said(&in)) == 3 })
	if got := said(&in); !strings.HasSuffix(got[1], " open") || !strings.HasSuffix(got[2], " closed") {
		t.Errorf("frames %q", got)
	}
	c.ask(msg{code: codes.POST, token: "v", path: place}, codes.Changed) // on the same connection nothing is asked again
	got := tell(t, tr, lwm2mOrder("sn:1", "read", "/3/0/9", ""))
	q := c.receive()
	if shape(q) != "GET /3/0/9" {
		t.Errorf("asked %q", shape(q))
	}
	c.answers(q, codes.Content, "88")
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}
}

func TestDownlinksGoOverTCP(t *testing.T) {
	clock := newClock()
	tr := serveLwM2M(t, Config{TCP: "127.0.0.1:0", Now: clock.now}, &gatetest.Inbox{})
	c := call(t, tr.Addr("tcp"))
	c.registers("ep=sn:1&b=T", "</19/1>")
	got := tell(t, tr, payloadOrder("sn:1", text(1500)))
	q := c.receive()
	if shape(q) != "PUT /19/1/0 ct=42 block=0/1024+ of 1024 bytes" {
		t.Errorf("asked %q", shape(q))
	}
	c.answers(q, codes.Continue, "", option(message.Block1, block{more: true, szx: 6}.value()))
	c.answers(c.receive(), codes.Changed, "", option(message.Block1, block{number: 1, szx: 6}.value()))
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}

	// A value in blocks of several kilobytes, which TCP may have.
	got = tell(t, tr, lwm2mOrder("sn:1", "read", "/3/0/0", ""))
	whole := text(5000)
	c.answers(c.receive(), codes.Content, whole[:3072], option(message.Block2, block{more: true, szx: badBlock}.value()))
	if q = c.receive(); shape(q) != "GET /3/0/0 want=3" {
		t.Errorf("asked %q", shape(q))
	}
	c.answers(q, codes.Content, whole[3072:], option(message.Block2, block{number: 3, szx: badBlock}.value()))
	if out := outcomeOf(t, got); out.err != nil || out.sent.Answer != `"`+whole+`"` {
		t.Errorf("%d bytes, %v", len(out.sent.Answer), out.err)
	}

	plain := call(t, tr.Addr("tcp"))
	plain.ask(of("up/sn:3", report(1, "x")), codes.Changed)
	got = tell(t, tr, payloadOrder("sn:3", "open"))
	if q = plain.receive(); shape(q) != "PUT /down ?device=sn:3 ct=42 open" {
		t.Errorf("asked %q", shape(q))
	}
	plain.answers(q, codes.Changed, "")
	if out := outcomeOf(t, got); out.err != nil {
		t.Error(out.err)
	}

	got = tell(t, tr, payloadOrder("sn:3", "open"))
	plain.receive()
	_ = plain.conn.Close()
	if out := outcomeOf(t, got); !errors.Is(out.err, grid.ErrMayHaveBeenSent) || !strings.Contains(out.err.Error(), "connection ended") {
		t.Errorf("%v", out.err)
	}

	// Silence is repeated by nobody, and ends.
	got = tell(t, tr, lwm2mOrder("sn:1", "execute", "/3/0/4", ""))
	c.receive()
	clock.move(answerTimeout / 2)
	tr.lwm2m.repeat(clock.now())
	clock.move(answerTimeout * 2)
	tr.lwm2m.repeat(clock.now())
	if out := outcomeOf(t, got); !errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("%v", out.err)
	}
	got = tell(t, tr, lwm2mOrder("sn:1", "read", "/3/0", ""))
	if q = c.receive(); shape(q) != "GET /3/0" {
		t.Errorf("asked %q: what was silent was repeated", shape(q))
	}
	c.answers(q, codes.Content, "x")
	outcomeOf(t, got)
}

func TestAnOrderForADeviceWhoseConnectionHasEndedWaits(t *testing.T) {
	tr := serveLwM2M(t, Config{TCP: "127.0.0.1:0"}, &gatetest.Inbox{})
	c := call(t, tr.Addr("tcp"))
	c.registers("ep=sn:1&b=T", "</19/1>")
	_ = c.conn.Close()
	gatetest.Eventually(t, "the connection to go", func() bool { return len(tr.on("tcp").latest(1)) == 0 })
	out := outcomeOf(t, tell(t, tr, payloadOrder("sn:1", "x")))
	if grid.CodeOf(out.err) != grid.Unavailable || errors.Is(out.err, grid.ErrMayHaveBeenSent) {
		t.Errorf("%v", out.err)
	}
}
