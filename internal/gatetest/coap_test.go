package gatetest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const coapRegistry = `
points:
  - {id: smoke-1, name: a hall, kind: smoke, mode: simulated}
devices:
  - {identity: "imei:867723030000017", profile: gridgate/json, point: smoke-1, mode: simulated}
`

// tell sends a CoAP message as bytes and wants 2.04.
func tell(t *testing.T, c net.Conn, id int32, payload string) {
	t.Helper()
	var opts message.Options
	for _, s := range []string{"up", "imei:867723030000017"} {
		opts = opts.Add(message.Option{ID: message.URIPath, Value: []byte(s)})
	}
	opts = opts.Add(message.Option{ID: message.ContentFormat, Value: []byte{50}})
	m := message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: id, Token: []byte("t"), Options: opts, Payload: []byte(payload)}
	buf := make([]byte, 1500)
	n, err := coder.DefaultCoder.Encode(m, buf)
	if err != nil {
		t.Fatal(err)
	}
	request := append([]byte(nil), buf[:n]...)
	eventually(t, 20*time.Second, "2.04", func() error { // it repeats, as a device does
		if _, err := c.Write(request); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		a := message.Message{Options: make(message.Options, 0, 16)}
		if _, err := coder.DefaultCoder.Decode(buf[:n], &a); err != nil || a.Code != codes.Changed || a.MessageID != id {
			return fmt.Errorf("answer %v %q to %d: %w", a.Code, a.Payload, a.MessageID, err)
		}
		return nil
	})
}

func dialUDP(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// metrics wants lines among the gateway's figures.
func metrics(t *testing.T, g *gateway, lines ...string) {
	t.Helper()
	res, err := http.Get(g.api.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if !strings.Contains(string(b), line+"\n") {
			t.Errorf("/metrics has no %q", line)
		}
	}
}

func TestSameCoAPMessageByAnyWayIsOneEvent(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+addr+"}")
	g.start(t)
	g.put(t, coapRegistry)
	const alarm = `{"smoke.alarm":true}`
	c := dialUDP(t, addr)
	tell(t, c, 7, alarm)
	g.settled(t)
	event("smoke.alarm", "smoke-1", 1)(t, g)
	tell(t, c, 7, alarm)
	if _, err := c.Write([]byte{0xff, 0, 1}); err != nil { // junk
		t.Fatal(err)
	}
	tell(t, c, 7, alarm)
	tell(t, dialUDP(t, addr), 7, alarm) // the NAT has given it another port
	metrics(t, g, `gridgate_link_up{kind="listener",link="coap.udp"} 1`, `gridgate_link_received_frames_total{link="coap.udp"} 2`, "gridgate_coap_unreadable_datagrams_total 1")
	g.Kill()
	g.start(t)
	tell(t, c, 7, alarm) // the answer was lost with the gateway
	processed, duplicate, _, quarantined, _ := sum(g.balanced(t))
	if processed != 1 || duplicate != 2 || quarantined != 0 {
		t.Errorf("%d processed, %d duplicate, %d quarantined: want 1 (the alarm), 2 (another port, another life), 0", processed, duplicate, quarantined)
	}
}

func TestAValueInEveryContentFormatOfCoAPBecomesAReading(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+addr+"}")
	g.start(t)
	g.put(t, lwm2mRegistry)
	d := newLwM2MDevice(message.TextPlain, nil)
	d.connect(t, addr)
	for i, c := range []struct {
		device, path, point string
		format              message.MediaType
		payload             string
	}{
		{"imei:867723030000017", "/3/0/9", "smoke-1", message.TextPlain, "80"},
		{"imei:867723030000017", "/3/0/9", "smoke-1", message.AppCBOR, "\x18\x51"},
		{"imei:867723030000017", "", "smoke-1", message.AppSenmlJSON, `[{"bn":"/3/0/","n":"9","v":82}]`},
		{"imei:867723030000017", "", "smoke-1", message.AppSenmlCbor, "\x81\xa3\x21\x65/3/0/\x00\x619\x02\x18\x53"},
		{"imei:867723030000017", "/3/0", "smoke-1", message.AppLwm2mTLV, "\xc1\x09\x54"},
		{"imei:867723030000017", "", "smoke-1", message.AppLwm2mJSON, `{"bn":"/3/0/","e":[{"n":"9","v":85}]}`},
		{"ep:kitchen", "", "smoke-2", message.AppJSON, `{"battery.level":86}`},
		{"ep:kitchen", "/19/0/0", "smoke-2", message.AppOctets, `{"battery.level":87}`},
	} {
		var query message.Options
		if c.path != "" {
			query = append(query, message.Option{ID: message.URIQuery, Value: []byte("path=" + c.path)})
		}
		got, err := d.conn.Post(t.Context(), "/up/"+c.device, c.format, strings.NewReader(c.payload), query...)
		if err != nil || got.Code() != codes.Changed {
			t.Fatalf("%v: %v %v", c.format, got, err)
		}
		eventually(t, 20*time.Second, fmt.Sprintf("the value in format %d", c.format), func() error {
			v, err := g.live(t, c.point, grid.BatteryLevel)
			if err == nil && v.Value != float64(80+i) {
				err = fmt.Errorf("battery is %v, want %d", v.Value, 80+i)
			}
			return err
		})
	}
	if _, duplicate, ignored, quarantined, _ := sum(g.balanced(t)); duplicate+ignored+quarantined != 0 {
		t.Errorf("%d duplicate, %d ignored, %d quarantined", duplicate, ignored, quarantined)
	}
}
