package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	orderPath  = "application/1f1b5e7a-0f6e-4a8e-9d7b-64f2f1f0c001/device/24e124136b502217/"
)

func toDevice(id grid.Identity, confirm bool) *grid.Downlink {
	return &grid.Downlink{ID: downlinkID, Device: id, Confirm: confirm, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff10ff"}}}
}

// withDownlinks is a broker that knows the envelopes.
func withDownlinks(cfg Config) Config {
	cfg.Identify, cfg.Downlink, cfg.Uplinks = envelope.Identify, envelope.Downlink, envelope.Topics()
	return cfg
}

// client is a device or a network server, on Paho.
func client(t testing.TB, b *Broker, id string) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("mqtt://" + b.Addr()).SetClientID(id).SetUsername("gridgate").SetPassword(b.Token()).SetAutoReconnect(false))
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("connect: %v", tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func subscribe(t testing.TB, c paho.Client, filter string, qos byte, hear func(paho.Message)) {
	t.Helper()
	if tok := c.Subscribe(filter, qos, func(_ paho.Client, m paho.Message) { hear(m) }); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("subscribe %s: %v", filter, tok.Error())
	}
}

// heard are the messages that came to a client.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) hear(m paho.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, fmt.Sprintf("%s %x %v", m.Topic(), m.Payload(), m.Retained()))
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.all, "; ")
}

func TestADeviceAcknowledgesADownlinkWithItsPuback(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, withDownlinks(Config{}), &in)
	_, err := b.Downlink(t.Context(), toDevice("sn:1", false), grid.Frame{})
	if grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) || !strings.Contains(err.Error(), "not connected") {
		t.Fatalf("nobody is there: got %v", err)
	}
	var got heard
	c := client(t, b, "device")
	subscribe(t, c, "gridgate/down/sn:1", 1, got.hear)
	sent, err := b.Downlink(t.Context(), toDevice("sn:1", true), grid.Frame{})
	if err != nil || sent.State != grid.DownlinkAcknowledged || !strings.Contains(sent.Answer, `"device"`) {
		t.Fatalf("got %+v, %v", sent, err)
	}
	if want := "gridgate/down/sn:1 ff10ff false"; got.String() != want {
		t.Errorf("the device got %q, want %q", got.String(), want)
	}
	// It is nobody's uplink, and nothing of it stays.
	var late heard
	subscribe(t, client(t, b, "late"), "gridgate/down/#", 1, late.hear)
	if len(in.Frames()) != 0 || late.String() != "" {
		t.Errorf("the downlink came in again: %d frames, %q", len(in.Frames()), late.String())
	}
	if n := b.server.Info.Clone().Inflight; n != 0 {
		t.Errorf("%d messages are in flight", n)
	}
}

func TestMosquittosClientTakesADownlink(t *testing.T) {
	bin, err := exec.LookPath("mosquitto_sub")
	if err != nil {
		if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
			t.Fatal("mosquitto_sub is not installed, and GRIDGATE_REQUIRE_PEERS=1")
		}
		t.Skip("mosquitto_sub is not installed")
	}
	for _, version := range []string{"311", "5"} {
		var in gatetest.Inbox
		b, _ := start(t, withDownlinks(Config{}), &in)
		host, port, _ := strings.Cut(b.Addr(), ":")
		sub := exec.CommandContext(t.Context(), bin, "-V", version, "-h", host, "-p", port, "-u", "gridgate", "-P", b.Token(), "-i", "panel", "-q", "1", "-C", "1", "-W", "60", "-F", "%t %x", "-t", "gridgate/down/sn:panel/#")
		var out bytes.Buffer
		sub.Stdout = &out
		if err := sub.Start(); err != nil {
			t.Fatal(err)
		}
		var sent grid.Sent
		gatetest.Eventually(t, "mosquitto_sub to subscribe", func() bool {
			sent, err = b.Downlink(t.Context(), toDevice("sn:panel", true), grid.Frame{})
			return err == nil || errors.Is(err, grid.ErrMayHaveBeenSent)
		})
		if err != nil || sent.State != grid.DownlinkAcknowledged {
			t.Fatalf("got %+v, %v", sent, err)
		}
		if err := sub.Wait(); err != nil || strings.TrimSpace(out.String()) != "gridgate/down/sn:panel ff10ff" {
			t.Errorf("mosquitto_sub got %q, %v", out.String(), err)
		}
	}
}

func TestASubscriptionAtQoS0CannotAcknowledge(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, withDownlinks(Config{}), &in)
	var got heard
	subscribe(t, client(t, b, "device"), "gridgate/down/sn:1", 0, got.hear)
	if _, err := b.Downlink(t.Context(), toDevice("sn:1", true), grid.Frame{}); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "want QoS 1") {
		t.Errorf("with confirm: got %v", err)
	}
	sent, err := b.Downlink(t.Context(), toDevice("sn:1", false), grid.Frame{})
	if err != nil || sent.State != grid.DownlinkSent || !sent.NoAck {
		t.Errorf("got %+v, %v", sent, err)
	}
	gatetest.Eventually(t, "the downlink", func() bool { return got.String() == "gridgate/down/sn:1 ff10ff false" })
}

func TestADeviceThatLeavesBeforeItsPubackMayHaveTheDownlink(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		var in gatetest.Inbox
		b, _ := start(t, withDownlinks(Config{}), &in)
		c := dial(t, b, rawConnect{version: version, id: "mute", keepSession: true})
		c.write(t, subscribePacketOf(version, "gridgate/down/sn:1", 1))
		gatetest.Eventually(t, "the SUBACK", func() bool { return len(c.got(9)) == 1 })
		result := make(chan error, 1)
		go func() {
			_, err := b.Downlink(context.Background(), toDevice("sn:1", false), grid.Frame{})
			result <- err
		}()
		gatetest.Eventually(t, "the PUBLISH", func() bool { return len(c.got(3)) == 1 })
		_ = c.Close()
		if err := <-result; grid.CodeOf(err) != grid.Unavailable || !errors.Is(err, grid.ErrMayHaveBeenSent) || !strings.Contains(err.Error(), "left before its PUBACK") {
			t.Fatalf("got %v", err)
		}
		// Its session is kept, the downlink is not: that is sent again from the outbox.
		back := dial(t, b, rawConnect{version: version, id: "mute", keepSession: true})
		go func() {
			for {
				_, err := b.Downlink(context.Background(), toDevice("sn:1", false), grid.Frame{})
				if grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) {
					result <- err
					return
				}
				time.Sleep(10 * time.Millisecond) // not quite connected yet
			}
		}()
		gatetest.Eventually(t, "the PUBLISH again", func() bool { return len(back.got(3)) >= 1 })
		p := back.got(3)[0]
		if p.first&0x08 != 0 {
			t.Errorf("the broker's own copy came: %x", p)
		}
		back.write(t, pubackOf(p))
		if err := <-result; err != nil || len(back.got(3)) != 1 {
			t.Errorf("got %v after %d messages", err, len(back.got(3)))
		}
	})
}

func subscribePacketOf(version byte, filter string, qos byte) []byte {
	head := []byte{0, 99}
	if version == 5 {
		head = append(head, 0)
	}
	return packet(0x82, append(str(head, filter), qos))
}

// pubackOf answers a PUBLISH at QoS 1.
func pubackOf(p rawPacket) []byte {
	n := 2 + binary.BigEndian.Uint16(p.body)
	return packet(0x40, p.body[n:n+2])
}

func TestADeviceThatRefusesADownlinkEndsIt(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, withDownlinks(Config{}), &in)
	c := dial(t, b, rawConnect{version: 5, id: "dev"})
	c.write(t, subscribePacketOf(5, "gridgate/down/sn:1", 1))
	gatetest.Eventually(t, "the SUBACK", func() bool { return len(c.got(9)) == 1 })
	result := make(chan error, 1)
	go func() {
		_, err := b.Downlink(context.Background(), toDevice("sn:1", false), grid.Frame{})
		result <- err
	}()
	gatetest.Eventually(t, "the PUBLISH", func() bool { return len(c.got(3)) == 1 })
	p := c.got(3)[0]
	n := 2 + binary.BigEndian.Uint16(p.body)
	c.write(t, packet(0x40, append(p.body[n:n+2:n+2], 0x87, 0)))
	if err := <-result; grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), "0x87") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyTheDevicesOwnClientSpeaksForIt(t *testing.T) {
	var in gatetest.Inbox
	cfg := withDownlinks(Config{Users: []User{
		{Name: "gate-07", Password: "p", Identities: []grid.Identity{"sn:1"}}, {Name: "log", Password: "p", Subscribe: []string{"gridgate/down/#"}},
	}})
	b, _ := start(t, cfg, &in)
	log := dial(t, b, rawConnect{id: "log", user: "log", pass: "p"})
	log.write(t, subscribePacket("gridgate/down/#", 1))
	gatetest.Eventually(t, "the SUBACK", func() bool { return len(log.got(9)) == 1 })
	if _, err := b.Downlink(t.Context(), toDevice("sn:1", false), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable || len(log.got(3)) != 0 {
		t.Errorf("the device is away, another is there: got %v, %d messages", err, len(log.got(3)))
	}
	// The same for a device that logs in by a password of the registry.
	v := newVault(t)
	v.give(t, "1", "sn:a", "password of a")
	cfg.Credentials = v
	b, _ = start(t, cfg, &in)
	log = dial(t, b, rawConnect{id: "log", user: "log", pass: "p"})
	log.write(t, subscribePacket("gridgate/down/#", 1))
	gatetest.Eventually(t, "the SUBACK", func() bool { return len(log.got(9)) == 1 })
	if _, err := b.Downlink(t.Context(), toDevice("sn:a", false), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable || len(log.got(3)) != 0 {
		t.Errorf("the device is away, another is there: got %v, %d messages", err, len(log.got(3)))
	}
	own := dial(t, b, rawConnect{id: "own", user: "sn:a", pass: "password of a"})
	own.write(t, subscribePacket("gridgate/down/sn:a/#", 1))
	gatetest.Eventually(t, "the SUBACK", func() bool { return len(own.got(9)) == 1 })
	done := make(chan error, 1)
	go func() {
		_, err := b.Downlink(context.Background(), toDevice("sn:a", true), grid.Frame{})
		done <- err
	}()
	gatetest.Eventually(t, "the downlink", func() bool { return len(own.got(3)) == 1 })
	own.write(t, pubackOf(own.got(3)[0]))
	if err := <-done; err != nil || len(log.got(3)) != 0 {
		t.Errorf("got %v, and another has %d messages", err, len(log.got(3)))
	}
	// Without an account of its own, the one that last spoke as the device is the device.
	b, _ = start(t, withDownlinks(Config{}), &in)
	var device, other heard
	subscribe(t, client(t, b, "other"), "gridgate/down/#", 1, other.hear)
	c := client(t, b, "device")
	subscribe(t, c, "gridgate/down/sn:2", 1, device.hear)
	if tok := c.Publish("gridgate/up/sn:2", 1, false, "x"); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	if sent, err := b.Downlink(t.Context(), toDevice("sn:2", true), grid.Frame{}); err != nil || !strings.Contains(sent.Answer, `"device"`) || other.String() != "" {
		t.Errorf("got %+v, %v; another got %q", sent, err, other.String())
	}
}

// A network server that is connected here follows the documented topics of ChirpStack 4.
func TestANetworkServerOnTheEmbeddedBrokerTakesADownlinkAndAnswers(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, withDownlinks(Config{}), &in)
	way := grid.Frame{Envelope: envelope.ChirpStack, Address: orderPath + "event/up", Raw: []byte(`{"deviceInfo":{}}`)}
	d := toDevice("eui:24e124136b502217", true)
	d.Order.Payload.Port = 85
	if _, err := b.Downlink(t.Context(), d, way); grid.CodeOf(err) != grid.Unavailable {
		t.Fatalf("no network server is there: got %v", err)
	}
	server := client(t, b, "chirpstack")
	subscribe(t, server, "application/+/device/+/command/+", 0, func(m paho.Message) {
		item := string(m.Payload()[strings.Index(string(m.Payload()), `"id":"`)+6:][:36])
		for _, event := range []string{"txack", "ack"} {
			server.Publish(orderPath+"event/"+event, 0, false, `{"queueItemId":"`+item+`","acknowledged":true}`)
		}
	})
	sent, err := b.Downlink(t.Context(), d, way)
	if err != nil || sent.State != grid.DownlinkSent || sent.Ref != downlinkID || sent.NoAck {
		t.Fatalf("got %+v, %v", sent, err)
	}
	var states []grid.DownlinkState
	for _, f := range in.Wait(t, 2) {
		if err := envelope.Open(&f); err != nil || f.Down == nil || f.Down.Ref != downlinkID || f.Identity != d.Device {
			t.Fatalf("got %+v, %v", f, err)
		}
		states = append(states, f.Down.State)
	}
	if fmt.Sprint(states) != "[sent acknowledged]" {
		t.Errorf("the answers are %v", states)
	}
}

func TestADownlinkEndsWithTheBroker(t *testing.T) {
	var in gatetest.Inbox
	b, stop := start(t, withDownlinks(Config{}), &in)
	c := dial(t, b, rawConnect{id: "mute"})
	c.write(t, subscribePacket("gridgate/down/sn:1", 1))
	gatetest.Eventually(t, "the SUBACK", func() bool { return len(c.got(9)) == 1 })
	result := make(chan error, 1)
	go func() {
		_, err := b.Downlink(context.Background(), toDevice("sn:1", false), grid.Frame{})
		result <- err
	}()
	gatetest.Eventually(t, "the PUBLISH", func() bool { return len(c.got(3)) == 1 })
	stop()
	if err := <-result; !errors.Is(err, grid.ErrMayHaveBeenSent) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Downlink(t.Context(), toDevice("sn:1", false), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable {
		t.Errorf("after the end: got %v", err)
	}
}

func TestItIsToldWhoListensForDownlinks(t *testing.T) {
	var in gatetest.Inbox
	var mu sync.Mutex
	var told []grid.Identity
	cfg := withDownlinks(Config{})
	cfg.Listens = func(id grid.Identity) { mu.Lock(); defer mu.Unlock(); told = append(told, id) }
	b, _ := start(t, cfg, &in)
	c := dial(t, b, rawConnect{id: "dev", keepSession: true})
	for _, filter := range []string{"gridgate/down/sn:1", "gridgate/down/modbus:a%2F7/#", "gridgate/down/#", "gridgate/up/#", "application/#"} {
		c.write(t, subscribePacket(filter, 1))
	}
	gatetest.Eventually(t, "the SUBACKs", func() bool { return len(c.got(9)) == 5 })
	says := func(want string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(told)
		if got := fmt.Sprint(told); got != want {
			t.Errorf("told of %s, want %s", got, want)
		}
		told = nil
	}
	says("[modbus:a/7 sn:1]")
	_ = c.Close()
	back := dial(t, b, rawConnect{id: "dev", keepSession: true}) // with its subscriptions
	back.write(t, subscribePacket("x", 1))
	gatetest.Eventually(t, "the SUBACK", func() bool { return len(back.got(9)) == 1 })
	says("[modbus:a/7 sn:1]")
}

func TestDownlinksToManyDevicesAtOnce(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, withDownlinks(Config{}), &in)
	const devices, each = 20, 20
	var got [devices]heard
	for i := range devices {
		subscribe(t, client(t, b, fmt.Sprint("dev", i)), fmt.Sprintf("gridgate/down/sn:%d", i), 1, got[i].hear)
	}
	var all sync.WaitGroup
	for i := range devices {
		all.Go(func() {
			for range each {
				sent, err := b.Downlink(t.Context(), toDevice(grid.Identity(fmt.Sprint("sn:", i)), true), grid.Frame{})
				if err != nil || sent.State != grid.DownlinkAcknowledged {
					t.Errorf("sn:%d: %+v, %v", i, sent, err)
				}
			}
		})
	}
	all.Wait()
	for i := range devices {
		if n := strings.Count(got[i].String(), "ff10ff"); n != each {
			t.Errorf("device %d got %d", i, n)
		}
	}
}
