package mqtt

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"gridgate/internal/broker"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// otherBroker is a broker that behaves as EMQX does where that is not as Mosquitto does: it
// refuses subscriptions to # and $SYS, and sends again on a live connection what is not
// acknowledged.
type otherBroker struct {
	mochi.HookBase
	server *mochi.Server
	again  time.Duration // after so long
	resent atomic.Int64
	timers sync.WaitGroup
}

func (o *otherBroker) ID() string { return "other" }

func (o *otherBroker) Provides(what byte) bool {
	return what == mochi.OnConnectAuthenticate || what == mochi.OnACLCheck || what == mochi.OnQosPublish
}

func (o *otherBroker) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

func (o *otherBroker) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return write || topic != "#" && !strings.HasPrefix(topic, "$SYS/")
}

func (o *otherBroker) OnQosPublish(cl *mochi.Client, pk packets.Packet, _ int64, _ int) {
	if o.again == 0 || pk.FixedHeader.Dup {
		return
	}
	o.timers.Go(func() {
		time.Sleep(o.again)
		if _, waits := cl.State.Inflight.Get(pk.PacketID); waits && !cl.Closed() {
			pk.FixedHeader.Dup = true
			if cl.WritePacket(pk) == nil {
				o.resent.Add(1)
			}
		}
	})
}

// startOther runs it and returns its URL.
func startOther(t testing.TB, o *otherBroker) (url string) {
	t.Helper()
	c := mochi.NewDefaultServerCapabilities()
	c.MaximumInflight = 2000 // of the session; the server sends on as it likes
	o.server = mochi.New(&mochi.Options{Capabilities: c, Logger: slog.New(slog.DiscardHandler)})
	if err := o.server.AddHook(o, nil); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.server.AddListener(listeners.NewNet("tcp", l)); err != nil {
		t.Fatal(err)
	}
	if err := o.server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.server.Close(); o.timers.Wait() })
	return "mqtt://" + l.Addr().String()
}

func clientOf(t testing.TB, url, user, password string) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("peer").SetUsername(user).SetPassword(password))
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func TestABrokerThatRefusesSysTopicsIsServedAllTheSame(t *testing.T) {
	o := &otherBroker{}
	url := startOther(t, o)
	var in gatetest.Inbox
	for _, name := range []string{"one", "two"} {
		cfg := withDownlinks(url)
		cfg.Name, cfg.Topics, cfg.Probe = name, []string{"$share/g/gridgate/up/#", "#"}, 100
		tr, _ := start(t, cfg, &in)
		connected(t, tr)
		gatetest.Eventually(t, "the queue to be measured", func() bool { return tr.Status().Queue.Measured })
		gatetest.Eventually(t, "a canary", func() bool { return tr.Status().CanaryRTT > 0 })
		s := tr.Status()
		if s.Subscriptions[0].Refused || !s.Subscriptions[1].Refused || s.CanaryRefused || !s.Queue.AtLeast {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := tr.Downlink(t.Context(), toDevice(eui, false), byChirpStack); err != nil {
			t.Errorf("%s: a downlink: %v", name, err)
		}
	}
	p := clientOf(t, url, "", "")
	for i := range 20 {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	by := map[string]int{}
	for _, f := range in.Wait(t, 20) {
		by[f.Source]++
	}
	if by["one"]+by["two"] != 20 {
		t.Errorf("frames came as %v: want each once, by one of the two", by)
	}
}

// Each message that waits is sent again on the same connection. It is stored again, marked,
// and acknowledged as often; nothing is lost and the connection stays.
func TestABrokerThatSendsAgainOnALiveConnection(t *testing.T) {
	o := &otherBroker{again: 100 * time.Millisecond}
	url := startOther(t, o)
	var in gatetest.Inbox
	cfg := withDownlinks(url)
	cfg.SkipQueueCheck = true
	tr, _ := start(t, cfg, &in)
	connected(t, tr)
	since := tr.Status().Since
	release := in.Stall()
	defer release()
	p := clientOf(t, url, "", "")
	const n = 50
	for i := range n {
		publish(t, p, topic, 1, false, fmt.Sprint(i))
	}
	gatetest.Eventually(t, "all to be sent again", func() bool { return o.resent.Load() == n })
	release()
	first, again := map[string]bool{}, 0
	for _, f := range in.Wait(t, 2*n) {
		if f.Flags&grid.Redelivered != 0 {
			again++
		} else {
			first[string(f.Raw)] = true
		}
	}
	if len(first) != n || again != n {
		t.Errorf("%d messages, and %d marked as sent again: want %d of each", len(first), again, n)
	}
	publish(t, p, topic, 1, false, "after")
	acked(t, tr, 2*n+1)
	gatetest.Eventually(t, "nothing in flight", func() bool { return atomic.LoadInt64(&o.server.Info.Inflight) == 0 })
	if s := tr.Status(); !s.Connected || s.Since != since {
		t.Errorf("the connection broke: %+v", s)
	}
}

func TestTheEmbeddedBrokerOfAnotherGatewayIsABrokerToo(t *testing.T) {
	// Another gateway forwards what it stored: its uplink topics, to an account that may read them.
	var there, here gatetest.Inbox
	cfg := broker.Config{Listen: "127.0.0.1:0", Identify: identify, Users: []broker.User{
		{Name: "up", Password: "p", Publish: []string{"gridgate/canary/+", "$gridgate/#", "gridgate/down/#"}, Subscribe: []string{"gridgate/up/#", "gridgate/canary/+", "$gridgate/#"}},
		{Name: "dev", Password: "p"},
	}}
	b := broker.New(cfg, nil)
	ctx := t.Context()
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Run(ctx, &there) })
	t.Cleanup(wg.Wait)
	select {
	case <-b.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("the broker does not start")
	}
	mine := withDownlinks("mqtt://" + b.Addr())
	mine.Username, mine.Password, mine.Topics, mine.Probe = "up", "p", []string{"gridgate/up/#", "zigbee2mqtt/+"}, 100
	tr, stop := start(t, mine, &here)
	defer stop()
	connected(t, tr)
	if s := tr.Status(); s.Subscriptions[0].Refused || !s.Subscriptions[1].Refused || s.CanaryRefused {
		t.Errorf("subscriptions are %+v", s.Subscriptions)
	}
	device := clientOf(t, "mqtt://"+b.Addr(), "dev", "p")
	var got atomic.Int64
	if tok := device.Subscribe("gridgate/down/sn:1/85", 1, func(paho.Client, paho.Message) { got.Add(1) }); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	publish(t, device, topic, 1, false, "x")
	if f := here.Wait(t, 1); len(there.Frames()) != 1 || f[0].Identity != "sn:1" {
		t.Errorf("here came %+v, there %+v", f, there.Frames())
	}
	if sent, err := tr.Downlink(ctx, toDevice("sn:1", false), grid.Frame{}); err != nil || sent.State != grid.DownlinkSent {
		t.Errorf("got %+v, %v", sent, err)
	}
	gatetest.Eventually(t, "the downlink at the device", func() bool { return got.Load() == 1 })
}
