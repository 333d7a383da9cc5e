package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// identify knows native topics, as package envelope does.
func identify(topic string, _ []byte) (grid.Identity, string, string) {
	if id, ok := strings.CutPrefix(topic, "gridgate/up/"); ok {
		return grid.Identity(id), "native", ""
	}
	return "", "", "topic names nobody"
}

// start runs a broker for the test and returns it with a function that stops it.
func start(t testing.TB, cfg Config, in grid.Ingester) (*Broker, func()) {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Identify == nil {
		cfg.Identify = identify
	}
	b := New(cfg, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Run(ctx, in); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	<-b.Ready()
	return b, stop
}

func dial(t testing.TB, b *Broker, c rawConnect) *rawClient {
	t.Helper()
	if c.version == 0 {
		c.version = 4
	}
	if c.id == "" {
		c.id = "dev"
	}
	if c.user == "" {
		c.user, c.pass = "gridgate", b.Token()
	}
	rc, code := dialRaw(t, b.Addr(), c)
	if code != 0 {
		t.Fatalf("CONNACK code %d", code)
	}
	return rc
}

func versions(t *testing.T, test func(t *testing.T, version byte)) {
	t.Run("3.1.1", func(t *testing.T) { test(t, 4) })
	t.Run("5", func(t *testing.T) { test(t, 5) })
}

func TestBrokerKeepsThePromiseOfATransport(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		gatetest.TestTransport(t, func(t *testing.T, in grid.Ingester, giveUp time.Duration) gatetest.Peer {
			b, _ := start(t, Config{GiveUp: giveUp}, in)
			return dial(t, b, rawConnect{version: version})
		})
	})
}

func TestFrameSaysWhatTheWireSaid(t *testing.T) {
	var in gatetest.Inbox
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.FixedZone("CST", 8*3600))
	b, _ := start(t, Config{Name: "hall", Now: func() time.Time { return at }}, &in)
	c := dial(t, b, rawConnect{})
	c.write(t, publishPacket(4, 1, true, true, "gridgate/up/sn:1", 7, "x"))
	f := in.Wait(t, 1)[0]
	if f.Identity != "sn:1" || f.Transport != "mqtt" || f.Source != "hall" || f.Address != "gridgate/up/sn:1" ||
		f.Envelope != "native" || string(f.Raw) != "x" || !f.Received.Equal(at) || f.Received.Location() != time.UTC {
		t.Errorf("frame is %+v", f)
	}
	if f.Flags != grid.Redelivered {
		t.Errorf("flags are %b: want Redelivered alone; a publisher's retain flag does not make the news old", f.Flags)
	}
}

func TestTopicThatNamesNobodyIsStillTaken(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{}, &in)
	c := dial(t, b, rawConnect{})
	c.write(t, publishPacket(4, 1, false, false, "zigbee2mqtt/x", 1, "\xff\xfe"))
	f := in.Wait(t, 1)[0]
	if f.Identity != "" || f.Note == "" || string(f.Raw) != "\xff\xfe" {
		t.Errorf("frame is %+v", f)
	}
}

func TestPingsAreAnsweredWhileIngestHangs(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	b, _ := start(t, Config{GiveUp: time.Hour}, &in)
	c := dial(t, b, rawConnect{keepAlive: 60})
	for i := range 500 {
		c.Send(t, fmt.Sprint(i))
	}
	c.write(t, []byte{0xC0, 0})
	gatetest.Eventually(t, "a PINGRESP", func() bool { return len(c.got(13)) == 1 })
	if n := len(c.Acked()); n != 0 {
		t.Errorf("%d frames were acknowledged and are not durable", n)
	}
}

func TestFullWindowStopsReadingAndLosesNothing(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	b, _ := start(t, Config{Window: 10, GiveUp: time.Hour}, &in)
	c := dial(t, b, rawConnect{})
	for i := range 50 {
		c.Send(t, fmt.Sprint(i))
	}
	c.write(t, []byte{0xC0, 0})
	gatetest.Eventually(t, "the window to fill", func() bool { return b.Status().Received >= 11 })
	time.Sleep(50 * time.Millisecond)
	if n := b.Status().Received; n != 11 { // ten held, one waiting for room
		t.Errorf("%d frames were read into a window of 10", n)
	}
	if len(c.got(13)) != 0 {
		t.Error("a ping was read past a full window")
	}
	release()
	gatetest.Eventually(t, "all acknowledgements and the PINGRESP", func() bool { return len(c.Acked()) == 50 && len(c.got(13)) == 1 })
}

func TestMQTT5PublisherPastTheReceiveMaximumIsDisconnected(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	b, _ := start(t, Config{Window: 10, GiveUp: time.Hour}, &in)
	c := dial(t, b, rawConnect{version: 5})
	for i := range 10 {
		c.Send(t, fmt.Sprint(i))
	}
	c.write(t, publishPacket(5, 0, false, false, c.topic, 0, "QoS 0 has no part in it"))
	gatetest.Eventually(t, "the QoS 0 frame", func() bool { return b.Status().Received == 11 })
	if c.Closed() {
		t.Fatal("disconnected inside the receive maximum")
	}
	c.Send(t, "one too many")
	gatetest.Eventually(t, "a DISCONNECT", func() bool { return len(c.got(14)) == 1 })
	if code := c.got(14)[0].body[0]; code != 0x93 {
		t.Errorf("reason code is %#x, want 0x93", code)
	}
}

func TestMQTT5ReceiveQuotaIsFreeAgainWithThePuback(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{Window: 5}, &in)
	c := dial(t, b, rawConnect{version: 5})
	for i := range 1000 {
		gatetest.Eventually(t, "room in the window", func() bool { return i-len(c.Acked()) < 5 })
		c.Send(t, fmt.Sprint(i))
	}
	gatetest.Eventually(t, "all acknowledgements", func() bool { return len(c.Acked()) == 1000 })
	if c.Closed() {
		t.Error("disconnected")
	}
}

func TestImpatientDuplicateIsAcknowledgedOnce(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	b, _ := start(t, Config{GiveUp: time.Hour}, &in)
	c := dial(t, b, rawConnect{})
	c.Send(t, "a")
	c.write(t, publishPacket(4, 1, true, false, c.topic, 1, "a"))
	c.Send(t, "b")
	gatetest.Eventually(t, "Ingest", func() bool { return len(in.Calls()) >= 1 })
	time.Sleep(50 * time.Millisecond)
	release()
	gatetest.Eventually(t, "acknowledgements", func() bool { return len(c.Acked()) >= 2 })
	if got := c.AckedIDs(); got != "[1 2]" {
		t.Errorf("PUBACKs are %s, want [1 2]", got)
	}
}

func TestPublisherSendsAgainAfterGiveUp(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	b, _ := start(t, Config{GiveUp: 200 * time.Millisecond}, &in)
	var lost sync.WaitGroup
	lost.Add(1)
	once := sync.OnceFunc(lost.Done)
	o := paho.NewClientOptions().AddBroker("tcp://" + b.Addr()).SetClientID("dev").SetUsername("gridgate").SetPassword(b.Token()).
		SetCleanSession(false).SetMaxReconnectInterval(time.Second).
		SetConnectionLostHandler(func(paho.Client, error) { once() })
	c := paho.NewClient(o)
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	defer c.Disconnect(100)
	c.Publish("gridgate/up/sn:1", 1, false, "a")
	lost.Wait()
	in.Fail(nil)
	if f := in.Wait(t, 1)[0]; string(f.Raw) != "a" || f.Flags&grid.Redelivered == 0 {
		t.Errorf("frame is %+v, want it redelivered", f)
	}
	gatetest.Eventually(t, "the acknowledgement", func() bool { return b.Status().Acked == 1 })
	if s := b.Status(); s.LastError == "" || s.Retried == 0 {
		t.Errorf("status does not tell of the fault: %+v", s)
	}
}

func TestHungIngestIsGivenUpToo(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	b, _ := start(t, Config{GiveUp: 200 * time.Millisecond}, &in)
	c := dial(t, b, rawConnect{})
	c.Send(t, "a")
	gatetest.Eventually(t, "the connection to be closed", c.Closed)
}

func TestFramesOfAGoneConnectionAreStoredBeforeThoseOfTheNext(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	b, _ := start(t, Config{GiveUp: time.Hour}, &in)
	c := dial(t, b, rawConnect{keepSession: true})
	for _, p := range []string{"1", "2", "3"} {
		c.Send(t, p)
	}
	gatetest.Eventually(t, "the frames", func() bool { return b.Status().Received == 3 })
	_ = c.Close()
	c = dial(t, b, rawConnect{keepSession: true}) // the same client id takes over
	c.Send(t, "4")
	gatetest.Eventually(t, "the frame", func() bool { return b.Status().Received == 4 })
	time.Sleep(50 * time.Millisecond)
	if n := len(in.Calls()); n != 1 {
		t.Errorf("%d calls of Ingest before the first was answered", n)
	}
	release()
	var got string
	for _, f := range in.Wait(t, 4) {
		got += string(f.Raw)
	}
	if got != "1234" {
		t.Errorf("stored %s, want 1234", got)
	}
	gatetest.Eventually(t, "the acknowledgement", func() bool { return len(c.Acked()) == 1 })
}

func TestQoS0IsRetriedFromABoundedBufferAndThenCounted(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	b, _ := start(t, Config{Unacked: 10, GiveUp: 100 * time.Millisecond}, &in)
	c := dial(t, b, rawConnect{})
	for i := range 11 {
		c.write(t, publishPacket(4, 0, false, false, c.topic, 0, fmt.Sprint(i)))
		if i == 0 {
			gatetest.Eventually(t, "the failure", func() bool { return !b.Status().FailingSince.IsZero() })
		}
	}
	for range 5 {
		c.write(t, publishPacket(4, 0, false, false, c.topic, 0, "past the buffer"))
	}
	gatetest.Eventually(t, "the loss", func() bool { return b.Status().LostUnackable == 6 })
	if s := b.Status(); s.LastError == "" || s.FailingSince.IsZero() {
		t.Errorf("the fault is not visible: %+v", s)
	}
	time.Sleep(300 * time.Millisecond) // past GiveUp: what cannot come again is not given up
	in.Fail(nil)
	for i, f := range in.Wait(t, 10) {
		if string(f.Raw) != fmt.Sprint(i) || f.Flags&grid.Unacknowledged == 0 {
			t.Errorf("frame %d is %+v", i, f)
		}
	}
	gatetest.Eventually(t, "the end of the fault", func() bool { return b.Status().FailingSince.IsZero() })
	if c.Closed() {
		t.Error("the connection was closed over QoS 0")
	}
}

func TestQoS0BurstIsHeldBackNotLostWhileStoringWorks(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	b, _ := start(t, Config{Unacked: 10, GiveUp: time.Hour}, &in)
	c := dial(t, b, rawConnect{})
	for i := range 100 {
		c.write(t, publishPacket(4, 0, false, false, c.topic, 0, fmt.Sprint(i)))
	}
	gatetest.Eventually(t, "the buffer to fill", func() bool { return b.Status().Waiting == 10 })
	release()
	in.Wait(t, 100)
	if n := b.Status().LostUnackable; n != 0 {
		t.Errorf("%d frames lost", n)
	}
}

func TestQoS0FramesAreStoredWhenTheBrokerStops(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(errors.New("disk is gone"))
	b, stop := start(t, Config{}, &in)
	c := dial(t, b, rawConnect{})
	c.write(t, publishPacket(4, 0, false, false, c.topic, 0, "a"))
	gatetest.Eventually(t, "a failure", func() bool { return !b.Status().FailingSince.IsZero() })
	in.Fail(nil)
	stop()
	if len(in.Frames()) != 1 {
		t.Errorf("%d frames were stored, want 1", len(in.Frames()))
	}
}

func TestTooLargePayloadEndsAsARefusedFrameAndIsAcknowledged(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		var in gatetest.Inbox
		b, _ := start(t, Config{}, &in)
		c := dial(t, b, rawConnect{version: version})
		c.Send(t, strings.Repeat("x", 1<<20))
		c.Send(t, "next")
		gatetest.Eventually(t, "both acknowledgements", func() bool { return len(c.Acked()) == 2 })
		f := in.Frames()[0]
		if f.Flags&grid.Refused == 0 || len(f.Raw) != 1024 || !strings.Contains(f.Note, "1048576") || f.Identity != "sn:dev" {
			t.Errorf("frame is %d bytes, flags %b, note %q, identity %q", len(f.Raw), f.Flags, f.Note, f.Identity)
		}
	})
}

func TestPacketPastAllBoundsClosesTheConnectionAndIsSeen(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{MaxPacket: 1 << 20}, &in)
	c := dial(t, b, rawConnect{})
	_, _ = c.Write(publishPacket(4, 1, false, false, c.topic, 1, strings.Repeat("x", 2<<20)))
	gatetest.Eventually(t, "the connection to be closed", c.Closed)
	gatetest.Eventually(t, "the fault", func() bool { return strings.Contains(b.Status().LastError, "max_packet") })
}

func TestStrangersAreRefused(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{}, &in)
	for _, c := range []rawConnect{
		{version: 4, id: "nobody"},
		{version: 4, id: "x", user: "gridgate", pass: "guess"},
		{version: 4, id: "x", user: "other", pass: b.Token()},
		{version: 5, id: "x", user: "gridgate", pass: "guess"},
		{version: 4, id: "x", user: "gridgate", pass: b.Token(), willTopic: "gridgate/down/sn:1", will: "open"},
	} {
		if _, code := dialRaw(t, b.Addr(), c); code == 0 {
			t.Errorf("%+v was let in", c)
		}
	}
	if b.Status().LastError == "" {
		t.Error("the refusal is not visible")
	}
}

func TestAnyoneMayConnectWhereTheConfigurationSaysSo(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{Anonymous: true}, &in)
	c, code := dialRaw(t, b.Addr(), rawConnect{version: 4, id: "x"})
	if code != 0 || b.Token() != "" {
		t.Fatalf("CONNACK code %d, token %q", code, b.Token())
	}
	c.Send(t, "a")
	in.Wait(t, 1)
}

func TestDeviceMayNotPublishDownlinks(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		var in gatetest.Inbox
		b, _ := start(t, Config{}, &in)
		dev := dial(t, b, rawConnect{id: "valve"})
		dev.write(t, subscribePacket("gridgate/down/sn:valve", 1))
		gatetest.Eventually(t, "the SUBACK", func() bool { return len(dev.got(9)) == 1 })
		c := dial(t, b, rawConnect{version: version})
		c.write(t, publishPacket(version, 1, false, false, "gridgate/down/sn:valve", 1, "open"))
		if version == 4 {
			gatetest.Eventually(t, "the connection to be closed", c.Closed)
		} else {
			gatetest.Eventually(t, "the PUBACK", func() bool { return len(c.Acked()) == 1 }) // with "not authorized"
		}
		if len(dev.got(3)) != 0 {
			t.Error("the downlink was delivered")
		}
	})
}

func TestQoS2IsRefused(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		var in gatetest.Inbox
		b, _ := start(t, Config{}, &in)
		c := dial(t, b, rawConnect{version: version})
		c.write(t, publishPacket(version, 2, false, false, c.topic, 1, "a"))
		gatetest.Eventually(t, "the connection to be closed", c.Closed)
		if d := c.got(14); version == 5 && (len(d) != 1 || d[0].body[0] != 0x9B) {
			t.Errorf("DISCONNECT is %v, want reason 0x9B", d)
		}
		gatetest.Eventually(t, "the fault", func() bool { return strings.Contains(b.Status().LastError, "QoS 2") })
		if len(c.Acked()) != 0 || len(in.Frames()) != 0 {
			t.Error("it was taken")
		}
	})
}

func TestConnectionsAreCapped(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{MaxClients: 2}, &in)
	dial(t, b, rawConnect{id: "a"})
	dial(t, b, rawConnect{id: "b"})
	o := paho.NewClientOptions().AddBroker("tcp://" + b.Addr()).SetClientID("c").SetUsername("gridgate").SetPassword(b.Token())
	if tok := paho.NewClient(o).Connect(); tok.WaitTimeout(10*time.Second) && tok.Error() == nil {
		t.Error("a third connection was let in")
	}
	gatetest.Eventually(t, "the fault", func() bool { return strings.Contains(b.Status().LastError, "max_clients") })
}

func subscribePacket(filter string, qos byte) []byte {
	return packet(0x82, append(str([]byte{0, 99}, filter), qos))
}

func TestSubscribersSeeAFrameOnceItIsDurable(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		t.Run(fmt.Sprint("QoS", qos), func(t *testing.T) {
			var in gatetest.Inbox
			b, _ := start(t, Config{GiveUp: time.Hour, Users: []User{
				{Name: "dev", Password: "d"}, {Name: "tool", Password: "t", Publish: []string{"gridgate/down/#"}, Subscribe: []string{"#"}},
			}}, &in)
			tool := dial(t, b, rawConnect{id: "tool", user: "tool", pass: "t"})
			tool.write(t, subscribePacket("gridgate/up/+", 1))
			gatetest.Eventually(t, "the SUBACK", func() bool { return len(tool.got(9)) == 1 })
			release := in.Stall()
			c := dial(t, b, rawConnect{user: "dev", pass: "d"})
			c.write(t, publishPacket(4, qos, false, false, c.topic, 1, "a"))
			gatetest.Eventually(t, "Ingest", func() bool { return len(in.Calls()) == 1 })
			time.Sleep(50 * time.Millisecond)
			if len(tool.got(3)) != 0 {
				t.Error("a subscriber saw a frame that is not durable")
			}
			release()
			gatetest.Eventually(t, "the message", func() bool { return len(tool.got(3)) == 1 })
			if p := tool.got(3)[0]; !strings.HasSuffix(string(p.body), "a") || !strings.Contains(string(p.body), c.topic) {
				t.Errorf("message is %q", p.body)
			}
		})
	}
}

func TestOtherTopicsAreOrdinaryMQTT(t *testing.T) {
	var in gatetest.Inbox
	in.Fail(errors.New("not asked"))
	b, _ := start(t, Config{Users: []User{
		{Name: "dev", Password: "d"}, {Name: "tool", Password: "t", Publish: []string{"gridgate/down/#"}, Subscribe: []string{"#"}},
	}}, &in)
	dev := dial(t, b, rawConnect{user: "dev", pass: "d"})
	dev.write(t, subscribePacket("gridgate/down/sn:dev", 1))
	gatetest.Eventually(t, "the SUBACK", func() bool { return len(dev.got(9)) == 1 })
	tool := dial(t, b, rawConnect{id: "tool", user: "tool", pass: "t"})
	tool.write(t, publishPacket(4, 1, false, false, "gridgate/down/sn:dev", 1, "mute"))
	gatetest.Eventually(t, "the downlink and its PUBACK", func() bool { return len(dev.got(3)) == 1 && len(tool.AckedIDs()) == len("[1]") })
	if len(in.Calls()) != 0 {
		t.Error("a downlink was journalled")
	}
}

func TestRetainedUplinkIsKeptForLaterSubscribers(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{Users: []User{
		{Name: "dev", Password: "d"}, {Name: "tool", Password: "t", Subscribe: []string{"#"}},
	}}, &in)
	c := dial(t, b, rawConnect{user: "dev", pass: "d"})
	c.write(t, publishPacket(4, 1, false, true, "zigbee2mqtt/door/availability", 1, "online"))
	in.Wait(t, 1)
	gatetest.Eventually(t, "the acknowledgement", func() bool { return len(c.Acked()) == 1 })
	tool := dial(t, b, rawConnect{id: "tool", user: "tool", pass: "t"})
	gatetest.Eventually(t, "the retained message", func() bool {
		tool.write(t, subscribePacket("zigbee2mqtt/#", 1))
		time.Sleep(20 * time.Millisecond)
		return len(tool.got(3)) > 0
	})
	if p := tool.got(3)[0]; p.first&1 == 0 || !strings.HasSuffix(string(p.body), "online") {
		t.Errorf("message is %x %q", p.first, p.body)
	}
	if len(in.Frames()) != 1 {
		t.Errorf("%d frames, want 1", len(in.Frames()))
	}
}

func TestWillOnAnUplinkTopicIsJournalled(t *testing.T) {
	versions(t, func(t *testing.T, version byte) {
		var in gatetest.Inbox
		b, _ := start(t, Config{}, &in)
		c := dial(t, b, rawConnect{version: version, willTopic: "zigbee2mqtt/door/availability", will: "offline"})
		_ = c.Close()
		f := in.Wait(t, 1)[0]
		if string(f.Raw) != "offline" || f.Address != "zigbee2mqtt/door/availability" || f.Flags&grid.Unacknowledged == 0 {
			t.Errorf("frame is %+v", f)
		}
	})
}

func TestOurOwnLeavingIsNobodysWill(t *testing.T) {
	var in gatetest.Inbox
	b, stop := start(t, Config{}, &in)
	dial(t, b, rawConnect{willTopic: "zigbee2mqtt/door/availability", will: "offline"})
	stop()
	if s := b.Status(); len(in.Frames()) != 0 || s.LostUnackable != 0 {
		t.Errorf("%d frames, %d lost", len(in.Frames()), s.LostUnackable)
	}
}

func TestStopWhileClientsComeAndGo(t *testing.T) {
	for range 40 {
		var in gatetest.Inbox
		b, stop := start(t, Config{}, &in)
		var clients []*rawClient
		for i := range 8 {
			clients = append(clients, dial(t, b, rawConnect{id: fmt.Sprint(i)}))
		}
		go func() {
			for _, c := range clients {
				_ = c.Close()
			}
		}()
		stop()
	}
}

func TestSubscriberThatDoesNotReadHoldsUpNoDevice(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{Users: []User{
		{Name: "dev", Password: "d"}, {Name: "tool", Password: "t", Subscribe: []string{"#"}},
	}}, &in)
	nc, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.(*net.TCPConn).SetReadBuffer(4096)
	_, _ = nc.Write(append(connectPacket(rawConnect{version: 4, id: "tool", user: "tool", pass: "t"}), subscribePacket("#", 1)...))
	gatetest.Eventually(t, "the subscription", b.fanOut.Load)
	c := dial(t, b, rawConnect{user: "dev", pass: "d"})
	big := strings.Repeat("x", 100<<10)
	for i := range 200 { // 20 MB, more than any socket buffers
		began := time.Now()
		c.Send(t, big)
		gatetest.Eventually(t, "the acknowledgement", func() bool { return len(c.Acked()) == i+1 })
		if took := time.Since(began); took > writeWithin/2 {
			t.Fatalf("a device waited %v for a subscriber", took)
		}
	}
}

func TestMQTT5ClientThatTakesFewMessagesGetsQoS0ButForDownlinks(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{}, &in)
	for most, want := range map[uint16]byte{0: 1, 10: 0, 65535: 1} {
		for filter, want := range map[string]byte{"zigbee2mqtt/+/set": want, "gridgate/down/x": 1} {
			c := dial(t, b, rawConnect{version: 5, id: fmt.Sprint(most, filter[:1]), receiveMaximum: most})
			c.write(t, packet(0x82, append(str([]byte{0, 99, 0}, filter), 1)))
			gatetest.Eventually(t, "the SUBACK", func() bool { return len(c.got(9)) == 1 })
			if s := c.got(9)[0].body; s[len(s)-1] != want {
				t.Errorf("receive maximum %d is granted QoS %d on %s, want %d", most, s[len(s)-1], filter, want)
			}
		}
	}
}

func TestStopLeavesNothingRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	var in gatetest.Inbox
	b, stop := start(t, Config{}, &in)
	for i := range 10 {
		c := dial(t, b, rawConnect{id: fmt.Sprint(i)})
		c.Send(t, "x")
	}
	in.Wait(t, 10)
	stop()
	gatetest.Eventually(t, "its goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestStopDoesNotWaitForClientsOrTheJournal(t *testing.T) {
	var in gatetest.Inbox
	release := in.Stall()
	defer release()
	b, stop := start(t, Config{Window: 5, Unacked: 5, GiveUp: time.Hour}, &in)
	full := dial(t, b, rawConnect{id: "full"}) // its reader waits for room
	for i := range 20 {
		full.Send(t, fmt.Sprint(i))
	}
	unacked := dial(t, b, rawConnect{id: "unacked"})
	for i := range 20 {
		unacked.write(t, publishPacket(4, 0, false, false, unacked.topic, 0, fmt.Sprint(i)))
	}
	dial(t, b, rawConnect{id: "idle"})
	silent, err := net.Dial("tcp", b.Addr()) // never says CONNECT
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gatetest.Eventually(t, "both to be full", func() bool { return b.Status().Received >= 12 })
	began := time.Now()
	stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	gatetest.Eventually(t, "the connections to be closed", full.Closed)
	if len(full.Acked()) != 0 {
		t.Error("acknowledged on the way out")
	}
}

func TestRestartOnTheSamePort(t *testing.T) {
	var in gatetest.Inbox
	b, stop := start(t, Config{Users: []User{{Name: "dev", Password: "d"}}}, &in)
	addr := b.Addr()
	c := dial(t, b, rawConnect{user: "dev", pass: "d"})
	c.Send(t, "a")
	in.Wait(t, 1)
	stop()
	b, _ = start(t, Config{Listen: addr, Users: []User{{Name: "dev", Password: "d"}}}, &in)
	c = dial(t, b, rawConnect{user: "dev", pass: "d"})
	c.Send(t, "b")
	in.Wait(t, 2)
}

func TestPortInUseIsSaid(t *testing.T) {
	var in gatetest.Inbox
	b, _ := start(t, Config{}, &in)
	err := New(Config{Name: "second", Listen: b.Addr(), Identify: identify}, nil).Run(t.Context(), &in)
	if grid.CodeOf(err) != grid.Unavailable || !strings.Contains(err.Error(), b.Addr()) {
		t.Errorf("error is %v", err)
	}
}
