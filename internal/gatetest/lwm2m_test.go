package gatetest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
	udpclient "github.com/plgd-dev/go-coap/v3/udp/client"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const lwm2mRegistry = `
points:
  - {id: smoke-1, name: a hall, kind: smoke, mode: simulated}
  - {id: smoke-2, name: a kitchen, kind: smoke, mode: simulated}
devices:
  - {identity: "imei:867723030000017", profile: oma/smoke, point: smoke-1, mode: simulated}
  - {identity: "ep:kitchen", profile: gridgate/json, point: smoke-2, mode: simulated}
`

// lwm2mDevice is a device made of go-coap's client.
type lwm2mDevice struct {
	conn     *udpclient.Conn
	location string

	mu     sync.Mutex
	values map[string][]byte // by path
	format message.MediaType
	tokens map[string]message.Token
	seq    uint32
	orders []string // what was written and executed
}

func newLwM2MDevice(format message.MediaType, values map[string][]byte) *lwm2mDevice {
	return &lwm2mDevice{values: values, format: format, tokens: map[string]message.Token{}, seq: 1}
}

// connect gives it a port of its own.
func (d *lwm2mDevice) connect(t *testing.T, addr string) {
	t.Helper()
	m := mux.NewRouter()
	m.DefaultHandle(mux.HandlerFunc(d.serve))
	conn, err := udp.Dial(addr, options.WithMux(m))
	if err != nil {
		t.Fatal(err)
	}
	if d.conn != nil {
		_ = d.conn.Close()
	}
	d.conn = conn
	t.Cleanup(func() { _ = conn.Close() })
}

func (d *lwm2mDevice) serve(w mux.ResponseWriter, r *mux.Message) {
	path, _ := r.Path()
	d.mu.Lock()
	defer d.mu.Unlock()
	value, ok := d.values[path]
	if r.Code() != codes.GET && (ok || path == "/down") {
		body, _ := r.ReadBody()
		d.orders = append(d.orders, fmt.Sprintf("%v %s %x", r.Code(), path, body))
		_ = w.SetResponse(codes.Changed, message.TextPlain, nil)
		return
	}
	if !ok {
		_ = w.SetResponse(codes.NotFound, message.TextPlain, nil)
		return
	}
	_ = w.SetResponse(codes.Content, d.format, bytes.NewReader(value))
	if _, err := r.Observe(); err == nil {
		d.tokens[path] = append(message.Token(nil), r.Token()...)
		w.Message().SetObserve(d.seq)
	}
}

func (d *lwm2mDevice) register(t *testing.T, query ...string) {
	t.Helper()
	var links []string
	for path := range d.values {
		if parts := strings.Split(path, "/"); len(parts) > 2 {
			links = append(links, "<"+strings.Join(parts[:3], "/")+">")
		}
	}
	var opts message.Options
	for _, q := range query {
		opts = append(opts, message.Option{ID: message.URIQuery, Value: []byte(q)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := d.conn.Post(ctx, "/rd", message.AppLinkFormat, strings.NewReader(strings.Join(links, ",")), opts...)
	if err != nil || got.Code() != codes.Created {
		t.Fatalf("registration: %v %v", got, err)
	}
	d.location = ""
	for _, o := range got.Options() {
		if o.ID == message.LocationPath {
			d.location += "/" + string(o.Value)
		}
	}
}

// update says that it is there, and nothing else.
func (d *lwm2mDevice) update(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := d.conn.Post(ctx, d.location, message.AppLinkFormat, nil)
	if err != nil || got.Code() != codes.Changed {
		t.Fatalf("update: %v %v", got, err)
	}
}

// notify returns when the gateway has acknowledged.
func (d *lwm2mDevice) notify(t *testing.T, path string, value []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d.mu.Lock()
	d.seq++
	m := d.conn.AcquireMessage(ctx)
	m.SetToken(d.tokens[path])
	m.SetObserve(d.seq)
	d.mu.Unlock()
	defer d.conn.ReleaseMessage(m)
	m.SetType(message.Confirmable)
	m.SetMessageID(d.conn.GetMessageID())
	m.SetCode(codes.Content)
	m.SetContentFormat(d.format)
	m.SetBody(bytes.NewReader(value))
	if err := d.conn.WriteMessage(m); err != nil {
		t.Fatalf("not acknowledged: %v", err)
	}
}

func TestSmokeThatAnLwM2MDeviceNotifiesOutlivesTheGateway(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+addr+", lwm2m: true}")
	g.start(t)
	g.put(t, lwm2mRegistry)

	objects := newLwM2MDevice(message.AppLwm2mTLV, map[string][]byte{
		"/3/0":    {0xc1, 9, 88},              // battery 88 %
		"/3407/0": {0xe1, 0x17, 0x9e, 0},      // no smoke
		"/3/0/9":  {0xc1, 9, 88}, "/1/0": {0}, // of no use
	})
	objects.connect(t, addr)
	objects.register(t, "ep=urn:imei:867723030000017", "lt=86400", "lwm2m=1.0", "b=UQ")
	own := newLwM2MDevice(message.AppOctets, map[string][]byte{"/19/0/0": []byte(`{"smoke.alarm":false}`)})
	own.connect(t, addr)
	own.register(t, "ep=Kitchen", "lwm2m=1.1", "b=U", "Q")

	observed := func(paths ...string) {
		t.Helper()
		eventually(t, 20*time.Second, "observations on disk", func() error {
			b, err := os.ReadFile(filepath.Join(g.dir, "data", "lwm2m.json"))
			for _, p := range paths {
				if err == nil && !strings.Contains(string(b), `"`+p+`"`) {
					err = fmt.Errorf("%s is not among %s", p, b)
				}
			}
			return err
		})
	}
	observed("/3407/0", "/3/0/9", "/19/0/0")
	eventually(t, 20*time.Second, "the values that were read", func() error {
		v, err := g.live(t, "smoke-1", grid.BatteryLevel)
		if err == nil && v.Value != 88 {
			err = fmt.Errorf("battery %v", v.Value)
		}
		return err
	})

	objects.notify(t, "/3407/0", []byte{0xe1, 0x17, 0x9e, 1})
	g.Kill()
	g.start(t)
	objects.connect(t, addr) // by another port
	own.connect(t, addr)
	own.notify(t, "/19/0/0", []byte(`{"smoke.alarm":true}`))
	objects.update(t)
	g.settled(t)
	event("smoke.alarm", "smoke-1", 1)(t, g)
	event("smoke.alarm", "smoke-2", 1)(t, g)
	if _, _, ignored, quarantined, _ := sum(g.balanced(t)); quarantined != 0 || ignored != 3 {
		t.Errorf("%d quarantined, %d ignored: want 0, and two registrations and an update", quarantined, ignored)
	}
	metrics(t, g, "gridgate_lwm2m_registrations 2")
}
