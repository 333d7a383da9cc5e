package coap

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// identify knows native addresses, as package envelope does.
func identify(address string, _ []byte) (grid.Identity, string, string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(address, "/up/"), "?")
	name, err := url.PathUnescape(name)
	if kind, rest, ok := strings.Cut(name, ":"); err != nil || !ok || kind == "" || rest == "" {
		return "", "", fmt.Sprintf("identity %q has no kind: want for example eui:, imei:, sn:", name)
	}
	return grid.Identity(strings.ToLower(name)), "native", ""
}

// start runs a transport for the test and returns it with a function that stops it.
func start(t testing.TB, cfg Config, in grid.Ingester) (*Transport, func()) {
	t.Helper()
	if cfg.Identify == nil {
		cfg.Identify = identify
	}
	if cfg.UDP == "" && cfg.DTLS.Listen == "" && cfg.TCP == "" {
		cfg.UDP = "127.0.0.1:0"
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
	select {
	case <-tr.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("not ready")
	}
	return tr, stop
}

// device speaks CoAP over UDP by hand, so that a test decides each id, token and repeat.
type device struct {
	t    testing.TB
	conn net.Conn

	place string // of its registration
}

func dial(t testing.TB, addr string) *device {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &device{t: t, conn: c}
}

// msg is a message with what tests change.
type msg struct {
	typ     message.Type
	code    codes.Code
	id      int32
	token   string
	path    string // up/sn:1
	query   []string
	options []message.Option
	payload string
}

func report(id int32, payload string) msg {
	return msg{typ: message.Confirmable, code: codes.POST, id: id, token: fmt.Sprint(id), path: "up/sn:1", payload: payload}
}

func (m msg) bytes(t testing.TB) []byte {
	t.Helper()
	var opts message.Options
	for _, s := range strings.Split(m.path, "/") {
		opts = opts.Add(message.Option{ID: message.URIPath, Value: []byte(s)})
	}
	for _, o := range m.options {
		opts = opts.Add(o)
	}
	for _, q := range m.query {
		opts = opts.Add(message.Option{ID: message.URIQuery, Value: []byte(q)})
	}
	out := message.Message{Type: m.typ, Code: m.code, MessageID: m.id, Token: []byte(m.token), Options: opts, Payload: []byte(m.payload)}
	size, err := coder.DefaultCoder.Size(out)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, size)
	n, err := coder.DefaultCoder.Encode(out, buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func option(id message.OptionID, v uint32) message.Option {
	buf := make([]byte, 4)
	n, _ := message.EncodeUint32(buf, v)
	return message.Option{ID: id, Value: buf[:n]}
}

func (d *device) send(m msg) { d.write(m.bytes(d.t)) }

func (d *device) write(b []byte) {
	d.t.Helper()
	if _, err := d.conn.Write(b); err != nil {
		d.t.Fatal(err)
	}
}

// receive waits for an answer; without one in time it returns false.
func (d *device) receive(within time.Duration) (message.Message, bool) {
	d.t.Helper()
	buf := make([]byte, 4096)
	_ = d.conn.SetReadDeadline(time.Now().Add(within))
	n, err := d.conn.Read(buf)
	if err != nil {
		return message.Message{}, false
	}
	m := message.Message{Options: make(message.Options, 0, 16)}
	if _, err := coder.DefaultCoder.Decode(buf[:n], &m); err != nil {
		d.t.Fatalf("answer cannot be read: %v", err)
	}
	m.Payload = bytes.Clone(m.Payload)
	return m, true
}

// ask sends a message and wants an answer of a code.
func (d *device) ask(m msg, want codes.Code) message.Message {
	d.t.Helper()
	d.send(m)
	got, ok := d.receive(10 * time.Second)
	if !ok || got.Code != want {
		d.t.Fatalf("answer is %v %q (came: %v), want %v", got.Code, got.Payload, ok, want)
	}
	if m.typ == message.Confirmable && (got.Type != message.Acknowledgement || got.MessageID != m.id) || string(got.Token) != m.token {
		d.t.Fatalf("answer is %+v, want it to be of message %d", got, m.id)
	}
	return got
}

// askAgain asks as a device does that has changed its address: pion takes note of the new
// one only after it has handed the message on, so that the answer to the first may still
// go to the old one, and the device sends it again.
func (d *device) askAgain(m msg, want codes.Code) message.Message {
	d.t.Helper()
	for range 3 {
		d.send(m)
		if got, ok := d.receive(2 * time.Second); ok {
			if got.Code != want || got.MessageID != m.id {
				d.t.Fatalf("answer is %+v, want %v of message %d", got, want, m.id)
			}
			return got
		}
	}
	d.t.Fatalf("no answer to message %d", m.id)
	return message.Message{}
}

// silent wants no answer.
func (d *device) silent() {
	d.t.Helper()
	if got, ok := d.receive(100 * time.Millisecond); ok {
		d.t.Fatalf("answered %v %q, want silence", got.Code, got.Payload)
	}
}

func uintOption(t testing.TB, m message.Message, id message.OptionID) uint32 {
	t.Helper()
	v, err := m.Options.GetUint32(id)
	if err != nil {
		t.Fatalf("answer %v %q has no option %d", m.Code, m.Payload, id)
	}
	return v
}

func ends(in *gatetest.Inbox) (out []string) {
	for _, f := range in.Frames() {
		out = append(out, string(f.Raw))
	}
	return out
}
