package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/envelope"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const (
	downlinkID = "01K2V7QZ3N0000000000000007"
	app        = "application/1f1b5e7a-0f6e-4a8e-9d7b-64f2f1f0c001/device/24e124136b502217/"
	kitchen    = "v3/gas@ttn/devices/kitchen-7/"
	eui        = grid.Identity("eui:24e124136b502217")
)

var (
	byChirpStack = grid.Frame{Envelope: envelope.ChirpStack, Address: app + "event/up", Raw: []byte(`{"deviceInfo":{}}`)}
	byTheThings  = grid.Frame{Envelope: envelope.TheThings, Address: kitchen + "up", Raw: []byte(`{}`)}
)

func toDevice(id grid.Identity, confirm bool) *grid.Downlink {
	return &grid.Downlink{ID: downlinkID, Device: id, Confirm: confirm, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff10ff", Port: 85}}}
}

// withDownlinks is a connection that knows the envelopes.
func withDownlinks(url string) Config {
	return Config{URL: url, Topics: envelope.Topics(), Identify: envelope.Identify, Downlink: envelope.Downlink}
}

// networkServer is a client that does what a network server is documented to do.
func networkServer(t testing.TB, m *mosquitto, filter string, hear func(c paho.Client, topic string, payload []byte)) {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(m.url()).SetClientID(fmt.Sprintf("network-server-%x", filter)).SetOrderMatters(false))
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	tok := c.Subscribe(filter, 0, func(c paho.Client, m paho.Message) {
		if m.Retained() {
			t.Errorf("a retained downlink: %s", m.Topic())
		}
		hear(c, m.Topic(), m.Payload())
	})
	if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
}

// answers opens what came in, and gives the states that it tells of the downlink.
func answers(t testing.TB, in *gatetest.Inbox, n int) string {
	t.Helper()
	var states []string
	for _, f := range in.Wait(t, n) {
		if err := envelope.Open(&f); err != nil || f.Down == nil || f.Down.Ref != downlinkID || f.Identity != eui {
			t.Fatalf("got %+v, %v", f, err)
		}
		states = append(states, string(f.Down.State))
	}
	return strings.Join(states, " ")
}

func TestADownlinkThroughChirpStack(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	networkServer(t, m, "application/+/device/+/command/+", func(c paho.Client, topic string, payload []byte) {
		var cmd struct {
			ID, DevEui string
			Confirmed  bool
			FPort      int
			Data       []byte
		}
		err := json.Unmarshal(payload, &cmd)
		if err != nil || topic != app+"command/down" || cmd.DevEui != "24e124136b502217" || !cmd.Confirmed || cmd.FPort != 85 || string(cmd.Data) != "\xff\x10\xff" || len(cmd.ID) != 36 {
			t.Errorf("ChirpStack got %s %s: %v", topic, payload, err)
		}
		device := `{"deviceInfo":{"devEui":"24e124136b502217"},"queueItemId":"` + cmd.ID + `"`
		publish(t, c, app+"event/txack", 0, false, device+`,"gatewayId":"0016c001ff10a235"}`)
		publish(t, c, app+"event/ack", 0, false, device+`,"acknowledged":true,"fCntDown":4}`)
	})
	tr, _ := start(t, withDownlinks(m.url()), &in)
	connected(t, tr)
	sent, err := tr.Downlink(t.Context(), toDevice(eui, true), byChirpStack)
	if err != nil || sent.State != grid.DownlinkSent || sent.Ref != downlinkID || sent.NoAck {
		t.Fatalf("got %+v, %v", sent, err)
	}
	if got := answers(t, &in, 2); got != "sent acknowledged" {
		t.Errorf("the answers are %q", got)
	}
}

func TestADownlinkThroughTheThingsStack(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	networkServer(t, m, "v3/+/devices/+/down/push", func(c paho.Client, topic string, payload []byte) {
		var push struct {
			Downlinks []struct {
				FPort      int    `json:"f_port"`
				FRMPayload []byte `json:"frm_payload"`
				Confirmed  bool   `json:"confirmed"`
				IDs        any    `json:"correlation_ids"`
			} `json:"downlinks"`
		}
		err := json.Unmarshal(payload, &push)
		if err != nil || topic != kitchen+"down/push" || len(push.Downlinks) != 1 || push.Downlinks[0].FPort != 85 || string(push.Downlinks[0].FRMPayload) != "\xff\x10\xff" || !push.Downlinks[0].Confirmed {
			t.Errorf("The Things Stack got %s %s: %v", topic, payload, err)
			return
		}
		ids, _ := json.Marshal(push.Downlinks[0].IDs)
		for _, event := range []string{"queued", "sent", "nack", "sent", "ack"} {
			publish(t, c, kitchen+"down/"+event, 0, false, fmt.Sprintf(`{"end_device_ids":{"device_id":"kitchen-7","dev_eui":"24E124136B502217"},"downlink_%s":{"f_port":85,"correlation_ids":%s}}`, event, ids))
		}
	})
	tr, _ := start(t, withDownlinks(m.url()), &in)
	connected(t, tr)
	sent, err := tr.Downlink(t.Context(), toDevice(eui, true), byTheThings)
	if err != nil || sent.State != grid.DownlinkSent || sent.Ref != downlinkID || sent.NoAck {
		t.Fatalf("got %+v, %v", sent, err)
	}
	if got := answers(t, &in, 5); got != "queued sent sent sent acknowledged" {
		t.Errorf("the answers are %q", got)
	}
}

// What nobody can answer ends as sent, comes to who listens, is kept by nobody, and does not
// come back to us as a frame.
func TestADownlinkToANativeDeviceAndABridge(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	var mu sync.Mutex
	var got []string
	networkServer(t, m, "#", func(_ paho.Client, topic string, payload []byte) {
		if strings.HasPrefix(topic, "gridgate/down/") || strings.HasPrefix(topic, "zigbee2mqtt/") {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%s %s", topic, payload))
		}
	})
	tr, _ := start(t, withDownlinks(m.url()), &in)
	connected(t, tr)
	valve := toDevice("z2m:valve", false)
	valve.Order.Payload.Hex = fmt.Sprintf("%x", `{"state":"ON"}`)
	for _, d := range []*grid.Downlink{toDevice("sn:1", false), valve} {
		way := grid.Frame{}
		if d == valve {
			way = grid.Frame{Envelope: envelope.Zigbee2MQTT, Address: "zigbee2mqtt/valve", Raw: []byte(`{}`)}
		}
		sent, err := tr.Downlink(t.Context(), d, way)
		if err != nil || sent.State != grid.DownlinkSent || !sent.NoAck || sent.Ref != "" {
			t.Fatalf("%s: got %+v, %v", d.Device, sent, err)
		}
	}
	gatetest.Eventually(t, "both", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 2 })
	slices.Sort(got)
	if want := "[gridgate/down/sn:1/85 \xff\x10\xff zigbee2mqtt/valve/set {\"state\":\"ON\"}]"; fmt.Sprint(got) != want {
		t.Errorf("got %q, want %q", fmt.Sprint(got), want)
	}
	last := make(chan string, 10)
	networkServer(t, m, "gridgate/down/#", func(_ paho.Client, topic string, _ []byte) { last <- topic })
	publish(t, m.publisher(t), "gridgate/down/last", 1, false, "x")
	if first := <-last; first != "gridgate/down/last" {
		t.Errorf("%s was kept", first)
	}
	publish(t, m.publisher(t), "gridgate/up/sn:1", 1, false, "last")
	if f := in.Wait(t, 1); len(f) != 1 || string(f[0].Raw) != "last" {
		t.Errorf("the downlink came back: %+v", f)
	}
	if _, err := tr.Downlink(t.Context(), toDevice("sn:1", true), grid.Frame{}); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "without confirm") {
		t.Errorf("what cannot be confirmed: got %v", err)
	}
}

func TestADownlinkWaitsForTheBrokerThroughItsRestart(t *testing.T) {
	m := newMosquitto(t)
	var in gatetest.Inbox
	cfg := withDownlinks(m.url())
	cfg.MaxBackoff = 500 * time.Millisecond
	tr, _ := start(t, cfg, &in)
	notNow := func(when string) {
		t.Helper()
		_, err := tr.Downlink(t.Context(), toDevice(eui, false), byChirpStack)
		if grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) || !strings.Contains(err.Error(), "not connected") {
			t.Fatalf("%s: got %v", when, err)
		}
	}
	notNow("before the broker")
	m.start(t)
	for range 2 {
		var sent grid.Sent
		var err error
		gatetest.Eventually(t, "the downlink", func() bool {
			sent, err = tr.Downlink(t.Context(), toDevice(eui, false), byChirpStack)
			return err == nil
		})
		if sent.State != grid.DownlinkSent || sent.NoAck {
			t.Fatalf("got %+v", sent)
		}
		m.kill()
		gatetest.Eventually(t, "the end of the connection", func() bool { return !tr.Status().Connected })
		notNow("after the broker")
		m.start(t)
	}
}

func TestADownlinkWithoutAPubackMayHaveBeenSent(t *testing.T) {
	m := startMosquitto(t)
	p := startProxy(t, m.addr)
	var in gatetest.Inbox
	for _, broken := range []bool{false, true} {
		cfg := withDownlinks("mqtt://" + p.l.Addr().String())
		cfg.ClientID, cfg.SkipQueueCheck = fmt.Sprint("gate-", broken), true
		cfg.DeafAfter = time.Minute
		if broken {
			cfg.DeafAfter = 0 // the default: the line is given up before the deadline
			cfg.ConnectTimeout = time.Minute
		}
		tr, stop := start(t, cfg, &in)
		connected(t, tr)
		p.mu.Lock()
		p.silent = true
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if !broken {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
		}
		_, err := tr.Downlink(ctx, toDevice(eui, false), byChirpStack)
		cancel()
		if grid.CodeOf(err) != grid.Unavailable || !errors.Is(err, grid.ErrMayHaveBeenSent) || strings.Contains(err.Error(), "broke") != broken {
			t.Errorf("broken %v: got %v", broken, err)
		}
		stop()
	}
}

func TestEachBrokerTakesTheDownlinksOfItsOwnDevices(t *testing.T) {
	type broker struct {
		tr  *Transport
		mu  sync.Mutex
		got []string
	}
	var in gatetest.Inbox
	var brokers [2]broker
	for i := range brokers {
		b := &brokers[i]
		m := startMosquitto(t)
		networkServer(t, m, "gridgate/down/#", func(_ paho.Client, topic string, _ []byte) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.got = append(b.got, topic)
		})
		cfg := withDownlinks(m.url())
		cfg.Name = fmt.Sprint("broker-", i)
		b.tr, _ = start(t, cfg, &in)
		connected(t, b.tr)
	}
	for i := range brokers {
		for range 3 {
			if _, err := brokers[i].tr.Downlink(t.Context(), toDevice(grid.Identity(fmt.Sprint("sn:", i)), false), grid.Frame{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range brokers {
		b, own := &brokers[i], fmt.Sprintf("gridgate/down/sn:%d/85", i)
		gatetest.Eventually(t, "three downlinks", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.got) == 3 })
		if want := fmt.Sprint([]string{own, own, own}); fmt.Sprint(b.got) != want {
			t.Errorf("broker %d got %v", i, b.got)
		}
	}
}

func TestNoDownlinkIsSentWhileItsPubackCannotBeRead(t *testing.T) {
	m := startMosquitto(t)
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	cfg := withDownlinks(m.url())
	cfg.Window = 10
	tr, _ := start(t, cfg, &in)
	connected(t, tr)
	p := m.publisher(t)
	for i := range 30 {
		publish(t, p, "gridgate/up/sn:1", 1, false, fmt.Sprint(i))
	}
	gatetest.Eventually(t, "a full window", func() bool { return tr.link.Load().waiting.Load() })
	_, err := tr.Downlink(t.Context(), toDevice(eui, false), byChirpStack)
	if grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) {
		t.Fatalf("got %v: want it not to be sent", err)
	}
	release()
	gatetest.Eventually(t, "a downlink", func() bool {
		_, err := tr.Downlink(t.Context(), toDevice(eui, false), byChirpStack)
		return err == nil
	})
}
