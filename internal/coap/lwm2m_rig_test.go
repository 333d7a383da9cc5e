package coap

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
	udpclient "github.com/plgd-dev/go-coap/v3/udp/client"

	"gridgate/internal/gatetest"
)

// client is a device with LwM2M, made of go-coap's client.
type client struct {
	t    testing.TB
	conn *udpclient.Conn

	mu       sync.Mutex
	values   map[string]string // by path
	refuses  bool
	asked    []string
	tokens   map[string]message.Token // observed paths
	seq      uint32
	location string
	patience time.Duration // of a notification
}

func newClient(t testing.TB) *client {
	c := &client{t: t, values: map[string]string{}, tokens: map[string]message.Token{}, seq: 2, patience: 10 * time.Second}
	t.Cleanup(c.close)
	return c
}

// has gives the device values, and returns its list of links.
func (c *client) has(values ...string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var links []string
	for i := 0; i < len(values); i += 2 {
		c.values[values[i]] = values[i+1]
		links = append(links, "<"+values[i]+">")
	}
	return strings.Join(links, ",")
}

func (c *client) connect(addr string, opts ...udp.Option) {
	c.t.Helper()
	conn, err := udp.Dial(addr, c.options(opts)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.close()
	c.conn = conn
}

func (c *client) secure(addr, identity, psk string) {
	c.t.Helper()
	conn, err := dtls.Dial(addr, dtls.NewDTLSClientOptions(append(withKey(identity, psk), piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator()))...), c.options(nil)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.close()
	c.conn = conn
}

func (c *client) options(opts []udp.Option) []udp.Option {
	m := mux.NewRouter()
	m.DefaultHandle(mux.HandlerFunc(c.serve))
	return append(opts, options.WithMux(m), options.WithTransmission(1, 300*time.Millisecond, 2))
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		<-c.conn.Done()
	}
}

// serve answers what the gateway asks.
func (c *client) serve(w mux.ResponseWriter, r *mux.Message) {
	path, _ := r.Path()
	observe, err := r.Observe()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		path += "?observe"
	}
	c.asked = append(c.asked, path)
	path, _, _ = strings.Cut(path, "?")
	value, ok := c.values[path]
	switch {
	case c.refuses:
		_ = w.SetResponse(codes.MethodNotAllowed, message.TextPlain, nil)
	case !ok:
		_ = w.SetResponse(codes.NotFound, message.TextPlain, nil)
	default:
		_ = w.SetResponse(codes.Content, message.AppLwm2mTLV, strings.NewReader(value))
		if err == nil && observe == 0 {
			c.tokens[path] = slices.Clone(r.Token())
			w.Message().SetObserve(c.seq)
		}
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// register registers, and wants a code.
func (c *client) register(query, links string, want codes.Code) {
	c.t.Helper()
	got := c.post("/rd", query, links)
	if got.Code() != want {
		body, _ := got.ReadBody()
		c.t.Fatalf("registration: %v %q, want %v", got.Code(), body, want)
	}
	if want == codes.Created {
		var parts []string
		for _, o := range got.Options() {
			if o.ID == message.LocationPath {
				parts = append(parts, string(o.Value))
			}
		}
		c.location = "/" + strings.Join(parts, "/")
	}
}

func (c *client) update(query, links string, want codes.Code) {
	c.t.Helper()
	if got := c.post(c.location, query, links); got.Code() != want {
		body, _ := got.ReadBody()
		c.t.Fatalf("update: %v %q, want %v", got.Code(), body, want)
	}
}

func (c *client) post(path, query, links string) *pool.Message {
	c.t.Helper()
	var opts message.Options
	for q := range strings.SplitSeq(query, "&") {
		if q != "" {
			opts = append(opts, message.Option{ID: message.URIQuery, Value: []byte(q)})
		}
	}
	var body io.ReadSeeker
	if links != "" {
		body = strings.NewReader(links)
	}
	got, err := c.conn.Post(within(c.t), path, message.AppLinkFormat, body, opts...)
	if err != nil {
		c.t.Fatalf("post %s: %v", path, err)
	}
	return got
}

// notify sends a value of an observed path and returns once it is acknowledged, or not.
func (c *client) notify(path, value string) error {
	c.mu.Lock()
	c.seq++
	seq := c.seq
	c.mu.Unlock()
	return c.notifyAs(path, value, seq)
}

func (c *client) notifyAs(path, value string, seq uint32) error {
	token := c.token(path)
	ctx, cancel := context.WithTimeout(c.t.Context(), c.patience)
	defer cancel()
	m := c.conn.AcquireMessage(ctx)
	defer c.conn.ReleaseMessage(m)
	m.SetType(message.Confirmable)
	m.SetMessageID(c.conn.GetMessageID())
	m.SetCode(codes.Content)
	m.SetToken(token)
	m.SetObserve(seq)
	m.SetContentFormat(message.AppLwm2mTLV)
	m.SetBody(strings.NewReader(value))
	return c.conn.WriteMessage(m)
}

// token is what an observed path was given.
func (c *client) token(path string) message.Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens[path]
}

// heard is what the gateway has asked so far.
func (c *client) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

func (c *client) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// wait waits until the gateway has asked so many times.
func (c *client) wait(n int) []string {
	c.t.Helper()
	gatetest.Eventually(c.t, "questions", func() bool { return len(c.heard()) >= n })
	return c.heard()
}

// said are the addresses and contents of frames, without those of registrations.
func said(in *gatetest.Inbox) (out []string) {
	for _, f := range in.Frames() {
		if !strings.Contains(f.Address, "?event=") {
			out = append(out, f.Address+" "+string(f.Raw))
		}
	}
	return out
}

// events are the registrations and the like among the frames.
func events(in *gatetest.Inbox) (out []string) {
	for _, f := range in.Frames() {
		if strings.Contains(f.Address, "?event=") {
			out = append(out, f.Address)
		}
	}
	return out
}
