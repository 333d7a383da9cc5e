package gatetest_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// hostileRegistry is what the gateway knows before the hostile arrive.
const hostileRegistry = `
points:
  - {id: door-1, name: a door, kind: door}
  - {id: door-2, name: a door, kind: door}
  - {id: door-3, name: a door, kind: door}
  - {id: door-4, name: a door, kind: door}
  - {id: ceiling-1, name: a ceiling, kind: smoke}
  - {id: ceiling-2, name: a ceiling, kind: smoke}
devices:
  - {identity: "sn:healthy", profile: gridgate/json, point: door-1}
  - {identity: "eui:24e124141c141557", profile: milesight/ws301, point: door-2}
  - {identity: "sn:old-clock", profile: gridgate/json, point: door-3}
  - {identity: "sn:young-clock", profile: gridgate/json, point: door-4}
  - {identity: "sn:smoke", profile: gridgate/json, point: ceiling-1}
  - {identity: "sn:retained", profile: gridgate/json, point: ceiling-2}
  - {identity: "z2m:known", profile: zigbee2mqtt/smoke}
`

// hostile is something that comes in and should not, or not so.
type hostile struct {
	name    string
	topic   string
	payload []byte
	reason  grid.QuarantineReason // where it ends; "" where check says
	detail  string                // words of the reason
	check   func(t *testing.T, g *gateway)
}

func hostiles() []hostile {
	now := time.Now().UTC()
	nested := append(bytes.Repeat([]byte("["), 200_000), bytes.Repeat([]byte("]"), 200_000)...)
	return []hostile{
		{name: "unknown device", topic: "gridgate/up/sn:stranger", payload: []byte(`{"door.open":true}`),
			reason: grid.UnknownDevice, detail: "sn:stranger is not registered", check: discovered("sn:stranger")},
		{name: "unknown device, nothing in it", topic: "gridgate/up/sn:empty", payload: nil, reason: grid.UnknownDevice},
		{name: "truncated payload", topic: "gridgate/up/eui:24e124141c141557/85", payload: unhex("01755a0300"), reason: grid.Undecodable},
		{name: "payload of one byte", topic: "gridgate/up/eui:24e124141c141557/85", payload: unhex("03"), reason: grid.Undecodable},
		{name: "truncated smoke payload", topic: "gridgate/up/sn:smoke", payload: []byte(`{"smoke.alarm":`),
			reason: grid.Undecodable, detail: "no JSON", check: event(grid.EventSafetyUnreadable, "ceiling-1", 2)},
		{name: "payload of 1 MB", topic: "gridgate/up/sn:healthy", payload: bytes.Repeat([]byte("a"), 1_000_000),
			reason: grid.TooLarge, detail: "1000000 bytes"},
		{name: "wrong JSON in an envelope", topic: "application/a/device/24e124141c141557/event/up", payload: []byte(`{"deviceInfo":{"devEui":`),
			reason: grid.BadEnvelope},
		{name: "JSON of another kind in an envelope", topic: "application/a/device/24e124141c141557/event/up", payload: []byte(`[1,2,3]`),
			reason: grid.BadEnvelope},
		{name: "wrong base64 in an envelope", topic: "application/a/device/24e124141c141557/event/up",
			payload: []byte(`{"deviceInfo":{"devEui":"24e124141c141557"},"fCnt":1,"fPort":85,"data":"%%%"}`), reason: grid.BadEnvelope},
		{name: "wrong JSON of Zigbee2MQTT", topic: "zigbee2mqtt/known", payload: []byte(`{"smoke": tru`), reason: grid.Undecodable},
		{name: "JSON nested 200,000 deep", topic: "gridgate/up/sn:healthy", payload: nested, reason: grid.TooLarge},
		{name: "JSON nested 20,000 deep", topic: "gridgate/up/sn:healthy", payload: append(nested[:20_000:20_000], nested[380_000:]...), reason: grid.Undecodable},
		{name: "not UTF-8", topic: "gridgate/up/sn:healthy", payload: []byte("{\"door.open\":true,\"x\":\"\xff\xfe\"}"),
			reason: grid.Undecodable, detail: "UTF-8"},
		{name: "identity that is none", topic: "gridgate/up/who", payload: []byte(`{}`), reason: grid.BadEnvelope},
		{name: "port that is none", topic: "gridgate/up/sn:healthy/70000", payload: []byte(`{}`), reason: grid.BadEnvelope},
		{name: "clock at 1970", topic: "gridgate/up/sn:old-clock", payload: []byte(`{"door.open":true,"at":3}`), check: notBelieved("door-3")},
		{name: "clock a year ahead", topic: "gridgate/up/sn:young-clock",
			payload: []byte(`{"door.open":true,"at":"` + now.AddDate(1, 0, 0).Format(time.RFC3339) + `"}`), check: notBelieved("door-4")},
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// discovered: the stranger is seen, with its guess, and once claimed it is heard.
func discovered(id grid.Identity) func(*testing.T, *gateway) {
	return func(t *testing.T, g *gateway) {
		page, err := getJSON[api.Page[grid.Discovered]](t.Context(), g.api.URL+"/api/v1/discovered", g.api.Token)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.Items {
			if d.Identity == id && d.Frames == 1 {
				return
			}
		}
		t.Errorf("%s is not among the discovered: %+v", id, page.Items)
	}
}

func event(typ grid.EventType, point string, priority grid.Priority) func(*testing.T, *gateway) {
	return func(t *testing.T, g *gateway) {
		eventually(t, 20*time.Second, string(typ)+" at "+point, func() error {
			alarms := all[grid.Alarm](t, g, "alarms", api.Query{Point: point, Type: string(typ)})
			if len(alarms) != 1 || alarms[0].Priority != priority || alarms[0].Ticket == "" {
				return fmt.Errorf("want one episode with a ticket: %+v", alarms)
			}
			return nil
		})
	}
}

// notBelieved: the reading counts, at the time it was received.
func notBelieved(point string) func(*testing.T, *gateway) {
	return func(t *testing.T, g *gateway) {
		eventually(t, 20*time.Second, "a reading at "+point, func() error {
			v, err := g.live(t, point, grid.DoorOpen)
			if err == nil && (v.Value != 1 || time.Since(v.At).Abs() > time.Hour || time.Since(v.Received).Abs() > time.Hour) {
				t.Errorf("%s is open, and its clock was believed: %+v", point, v)
			}
			return err
		})
	}
}

func TestHostileInputEndsInAClearPlaceOverTheEmbeddedBroker(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, hostileRegistry)
	h := newHealthy(t, g, g.broker)
	for _, in := range hostiles() {
		h.suffer(t, in)
	}
	t.Run("topic that is not UTF-8", func(t *testing.T) { h.badTopic(t, g.broker) })
	t.Run("no MQTT at all", func(t *testing.T) { h.noise(t, g.broker) })
	h.end(t)
}

func TestHostileInputEndsInAClearPlaceOverMosquitto(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	connect(t, m.addr).send(t, "gridgate/up/sn:retained", []byte(`{"smoke.alarm":true}`), true) // nobody listens yet
	g := newGateway(t, "mqtt: [{name: city, url: mqtt://"+m.addr+", client_id: g, topics: [gridgate/up/#, application/+/device/+/event/+, zigbee2mqtt/+]}]")
	registry := filepath.Join(g.dir, "registry.yaml")
	write(t, registry, hostileRegistry)
	conf, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, g.config, string(conf)+"registry: [registry.yaml]\n") // known before the first message comes
	g.start(t)
	g.subscribed(t, "city")
	h := newHealthy(t, g, m.addr)
	t.Run("retained smoke alarm", func(t *testing.T) {
		event(grid.EventSmokeLate, "ceiling-2", 1)(t, g)
		if live := all[grid.Alarm](t, g, "alarms", api.Query{Point: "ceiling-2", Type: string(grid.EventSmokeAlarm)}); len(live) > 0 {
			t.Errorf("what the broker held is no news: %+v", live)
		}
	})
	for _, in := range hostiles() {
		h.suffer(t, in)
	}
	h.end(t)
}

// healthy is a device that goes on reporting beside.
type healthy struct {
	g      *gateway
	wire   device
	sent   atomic.Int64
	before map[string]bool // quarantine rows that are known
}

func newHealthy(t *testing.T, g *gateway, addr string) *healthy {
	return &healthy{g: g, wire: connect(t, addr), before: map[string]bool{}}
}

// report sends what a healthy device does: a new counter each time.
func (h *healthy) report(t *testing.T) {
	t.Helper()
	n := h.sent.Add(1)
	h.wire.send(t, "gridgate/up/sn:healthy", fmt.Appendf(nil, `{"door.open":%t,"battery.level":%d,"seq":%d}`, n%2 == 0, n%100, n))
}

// suffer sends something hostile between two healthy reports and looks where it ends.
func (h *healthy) suffer(t *testing.T, in hostile) {
	t.Run(in.name, func(t *testing.T) {
		h.report(t)
		h.wire.send(t, in.topic, in.payload)
		h.report(t)
		var row api.Quarantined
		if in.reason != "" {
			eventually(t, 20*time.Second, "the quarantine to hold it", func() error {
				row = h.newRow(t, in.topic)
				if row.ID == "" {
					return errors.New("it does not")
				}
				return nil
			})
			if row.Reason != in.reason || !strings.Contains(row.Detail, in.detail) || row.Detail == "" {
				t.Errorf("it is in quarantine as %s, %q: want %s, %q", row.Reason, row.Detail, in.reason, in.detail)
			}
			if row.State != "waiting" || len(in.payload) < 1000 && row.Raw.Raw != hex.EncodeToString(in.payload) {
				t.Errorf("the quarantine holds another frame: %.300v", row)
			}
		}
		if in.check != nil {
			in.check(t, h.g)
		}
		if h.g.Ended() {
			t.Fatal("the gateway is down")
		}
	})
}

// newRow is a row of the quarantine of that topic that was not there before.
func (h *healthy) newRow(t *testing.T, topic string) api.Quarantined {
	for _, q := range all[api.Quarantined](t, h.g, "quarantine", api.Query{}) {
		if !h.before[q.ID] && q.Raw.Address == topic {
			h.before[q.ID] = true
			return q
		}
	}
	return api.Quarantined{}
}

// badTopic speaks MQTT by hand: libraries refuse to send this.
func (h *healthy) badTopic(t *testing.T, addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c.Write([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"))
	c.Write([]byte("\x32\x0d\x00\x07grid/\xff\xfe\x00\x01{}"))
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	for err == nil && n > 0 {
		if bytes.Contains(answer[:n], []byte{0x40, 2, 0, 1}) {
			t.Error("a topic that is not UTF-8 is acknowledged")
			return
		}
		n, err = c.Read(answer)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
	h.report(t)
}

// noise is what port scanners send.
func (h *healthy) noise(t *testing.T, addr string) {
	for _, b := range [][]byte{[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), {0x16, 3, 1, 2, 0, 1}, bytes.Repeat([]byte{0xff}, 4096), {0x10, 0xff, 0xff, 0xff, 0x7f}} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Write(b)
		c.Close()
	}
	h.report(t)
}

// end: every healthy report counts, and the ledger balances.
func (h *healthy) end(t *testing.T) {
	t.Helper()
	h.report(t)
	eventually(t, 20*time.Second, "the last healthy report", func() error {
		d, err := h.g.api.Device(t.Context(), "sn:healthy")
		if err == nil && (d.Health == nil || d.Health.Counter == nil || int64(*d.Health.Counter) != h.sent.Load()) {
			err = fmt.Errorf("%d were sent, and the device is known as %+v", h.sent.Load(), d.Health)
		}
		return err
	})
	l := h.g.balanced(t)
	processed, _, _, quarantined, _ := sum(l)
	t.Logf("%d healthy reports; %d frames processed, %d in quarantine", h.sent.Load(), processed, quarantined)
	if processed < h.sent.Load()+2 {
		t.Errorf("%d frames are processed: want at least the %d healthy reports and two of wrong clocks", processed, h.sent.Load())
	}
}

// A profile that is not there is refused with the registration; one that goes away later
// leaves its devices' frames in quarantine.
func TestUnknownProfileIsRefusedAndOneThatWentAwayQuarantines(t *testing.T) {
	g := newGateway(t, "profiles: [profiles]")
	own := filepath.Join(g.dir, "profiles", "acme", "door")
	if err := os.MkdirAll(own, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(gatetest.Root(t), "firmware-profiles", "gridgate", "json", "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(own, "profile.yaml"), strings.NewReplacer("profile: gridgate/json", "profile: acme/door", "vendor: gridgate", "vendor: acme").Replace(string(b)))
	g.start(t)
	registry := func(profile string) []byte {
		return []byte(`{"points":[{"id":"p","name":"p","kind":"door"}],"devices":[{"identity":"sn:1","profile":"` + profile + `","point":"p"}]}`)
	}
	if _, err := g.api.Import(t.Context(), registry("acme/none"), false); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "acme/none") {
		t.Errorf("a device of a profile that is not there: %v", err)
	}
	g.put(t, string(registry("acme/door")))
	connect(t, g.broker).send(t, "gridgate/up/sn:1", []byte(`{"door.open":true,"seq":1}`))
	if processed, _, _, _, _ := sum(g.settled(t)); processed != 1 {
		t.Errorf("%d frames are processed, want 1", processed)
	}
	g.Stop(t)
	if err := os.RemoveAll(own); err != nil {
		t.Fatal(err)
	}
	g.start(t)
	connect(t, g.broker).send(t, "gridgate/up/sn:1", []byte(`{"door.open":false,"seq":2}`))
	g.settled(t)
	rows := all[api.Quarantined](t, g, "quarantine", api.Query{})
	if len(rows) != 1 || rows[0].Reason != grid.NoProfile || !strings.Contains(rows[0].Detail, "acme/door") {
		t.Errorf("the quarantine holds %+v", rows)
	}
	g.balanced(t)
}
