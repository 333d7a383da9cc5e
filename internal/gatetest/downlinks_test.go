package gatetest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// tell gives a device an order by the API.
func (g *gateway) tell(t testing.TB, device grid.Identity, n api.NewDownlink) grid.Downlink {
	t.Helper()
	d, err := g.api.SendDownlink(t.Context(), device, n, "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// becomes waits until a downlink is in a state, and says how it stands then.
func (g *gateway) becomes(t testing.TB, id string, state grid.DownlinkState, within time.Duration) (d grid.Downlink) {
	t.Helper()
	eventually(t, within, fmt.Sprintf("downlink %s to be %s", id, state), func() (err error) {
		if d, err = g.api.Downlink(t.Context(), id); err != nil {
			return err
		}
		if d.State != state {
			if d.Ended() {
				t.Fatalf("downlink %s is %s: %s %s", id, d.State, d.Answer, d.Error)
			}
			return fmt.Errorf("it is %s, %d tries: %s", d.State, d.Attempts, d.Error)
		}
		return nil
	})
	return d
}

func payloadOrder(hex string) api.NewDownlink {
	return api.NewDownlink{Order: grid.Order{Payload: &grid.PayloadOrder{Hex: hex}}}
}

// listener is an MQTT client that takes downlinks at QoS 1 and comes back when its
// connection breaks.
type listener struct {
	paho.Client
	mu  sync.Mutex
	got map[string]int // by topic and payload
}

// listen connects a client that is subscribed to filter.
func listen(t testing.TB, addr, filter string) *listener {
	t.Helper()
	l := &listener{got: map[string]int{}}
	take := func(_ paho.Client, m paho.Message) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got[fmt.Sprintf("%s %x", m.Topic(), m.Payload())]++
	}
	subscribed := make(chan struct{}, 1)
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(fmt.Sprint("listener-", time.Now().UnixNano())).
		SetConnectTimeout(20 * time.Second).SetConnectRetry(true).SetConnectRetryInterval(200 * time.Millisecond).SetMaxReconnectInterval(200 * time.Millisecond).
		SetOrderMatters(false).SetOnConnectHandler(func(c paho.Client) {
		if tok := c.Subscribe(filter, 1, take); tok.WaitTimeout(20*time.Second) && tok.Error() == nil {
			select {
			case subscribed <- struct{}{}:
			default:
			}
		}
	})
	l.Client = paho.NewClient(o)
	l.Connect()
	t.Cleanup(func() { l.Disconnect(0) })
	select {
	case <-subscribed:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not subscribed to %s", addr, filter)
	}
	return l
}

func (l *listener) count(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got[message]
}

func TestADownlinkReachesADeviceAtTheEmbeddedBroker(t *testing.T) {
	g := newGateway(t)
	g.knows(t, brokersRegistry)
	g.start(t)
	door := listen(t, g.broker, "gridgate/down/sn:door")
	out := g.gridgate(t, "downlink", "send", "sn:door", "--hex", "ff10ff", "--confirm", "--wait", "30s")
	if !strings.Contains(out, "is acknowledged, by mqtt:embedded") {
		t.Errorf("gridgate downlink send printed %q", out)
	}
	if n := door.count("gridgate/down/sn:door ff10ff"); n != 1 {
		t.Errorf("the device has it %d times: %v", n, door.got)
	}
	for series, want := range map[string]string{
		"gridgate_downlinks_sent_total": "1", "gridgate_downlinks_acknowledged_total": "1", "gridgate_downlinks_failed_total": "0",
		"gridgate_downlinks_queued": "0", "gridgate_downlinks_problem": "0",
	} {
		if got := g.metric(t, series); got != want {
			t.Errorf("%s is %q: want %s", series, got, want)
		}
	}
	if ready, err := g.api.Ready(t.Context()); err != nil || ready.Parts["downlinks"] != "ok" {
		t.Errorf("readiness is %+v, %v", ready, err)
	}
}

func TestADownlinkThatWasAcceptedBeforeAKillIsSentAfterTheRestart(t *testing.T) {
	g := newGateway(t)
	g.knows(t, brokersRegistry)
	g.start(t)
	person := gatetest.NewProgram(t, "send", program(t, "gridgate"), "--config", g.config, "downlink", "send", "sn:door", "--hex", "01", "--wait", "60s")
	person.Start(t)
	var made []grid.Downlink
	eventually(t, 20*time.Second, "the downlink to be made", func() error {
		if made = all[grid.Downlink](t, g, "downlinks", api.Query{State: "open"}); len(made) != 1 {
			return fmt.Errorf("%d are open", len(made))
		}
		return nil
	})
	g.Kill()
	eventually(t, 20*time.Second, "who waits to be told", func() error {
		if out := person.Output(t); !strings.Contains(out, "the gateway does not answer") {
			return fmt.Errorf("it printed %q", out)
		}
		return nil
	})
	g.start(t)
	door := listen(t, g.broker, "gridgate/down/sn:door") // it goes now
	d := g.becomes(t, made[0].ID, grid.DownlinkAcknowledged, 30*time.Second)
	if n := door.count("gridgate/down/sn:door 01"); n != 1 || d.By.Name == "" || d.SentAt.IsZero() {
		t.Errorf("the device has it %d times: %+v", n, d)
	}
	if err := person.Wait(30 * time.Second); err != nil || !strings.Contains(person.Output(t), d.ID+" is acknowledged") {
		t.Errorf("who waited was told %q, %v", person.Output(t), err)
	}
}

func TestASleepingDeviceAtAnotherBrokerIsToldThroughItInOrder(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	g := newGateway(t, "mqtt: [{name: city, url: mqtt://"+m.addr+", client_id: g, topics: [gridgate/up/#]}]")
	g.knows(t, brokersRegistry)
	g.start(t)
	g.subscribed(t, "city")
	early := g.tell(t, "sn:door", payloadOrder("aa"))
	eventually(t, 20*time.Second, "the reason why it waits", func() error {
		if d, err := g.api.Downlink(t.Context(), early.ID); err != nil || d.Error == "" {
			return fmt.Errorf("%+v, %v", d, err)
		}
		return nil
	})
	host, port, _ := strings.Cut(m.addr, ":")
	session := []string{"-h", host, "-p", port, "-q", "1", "-t", "gridgate/down/sn:door", "-c", "-i", "door-7"}
	sub := gatetest.FindPeer(t, "mosquitto_sub", "GRIDGATE_TEST_MOSQUITTO_SUB", false)
	if out, err := gatetest.Run(t.Context(), sub, append(session, "-E")...); err != nil { // it subscribes, and sleeps
		t.Fatalf("%v: %s", err, out)
	}
	connect(t, m.addr).send(t, "gridgate/up/sn:door", []byte(`{"door.open":true,"seq":1}`))
	g.becomes(t, early.ID, grid.DownlinkSent, 30*time.Second)
	late := g.becomes(t, g.tell(t, "sn:door", payloadOrder("bb")).ID, grid.DownlinkSent, 30*time.Second)
	if late.Way != "mqtt:city" || !late.Ended() {
		t.Errorf("it went %+v", late)
	}
	out, err := gatetest.Run(t.Context(), sub, append(session, "-F", "%t %x", "-C", "2")...) // it wakes
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if a, b := strings.Index(out, "gridgate/down/sn:door aa"), strings.Index(out, "gridgate/down/sn:door bb"); a < 0 || b < a {
		t.Errorf("the device has %s", out)
	}
}

func TestADownlinkWaitsForABrokerThatIsAwayAndGoesWhenItIsBack(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	g := newGateway(t, "mqtt: [{name: city, url: mqtt://"+m.addr+", client_id: g, topics: [gridgate/up/#]}]")
	g.knows(t, brokersRegistry)
	g.start(t)
	eventually(t, 20*time.Second, "the device to be heard", func() error {
		connect(t, m.addr).send(t, "gridgate/up/sn:door", []byte(`{"door.open":true,"seq":1}`))
		frames, err := g.api.Frames(t.Context(), "sn:door", "", time.Time{}, 1)
		if err == nil && len(frames.Items) == 0 {
			err = fmt.Errorf("not yet")
		}
		return err
	})
	m.Stop(t)
	d := g.tell(t, "sn:door", payloadOrder("aa"))
	eventually(t, 20*time.Second, "two tries in vain", func() error {
		now, err := g.api.Downlink(t.Context(), d.ID)
		if err != nil || now.State != grid.DownlinkQueued || now.Attempts < 2 || !strings.Contains(now.Error, "not connected to broker") {
			return fmt.Errorf("%+v, %v", now, err)
		}
		return nil
	})
	m.start(t)
	device := listen(t, m.addr, "gridgate/down/sn:door")
	g.becomes(t, d.ID, grid.DownlinkSent, 30*time.Second)
	eventually(t, 20*time.Second, "it to arrive", func() error {
		if n := device.count("gridgate/down/sn:door aa"); n != 1 {
			return fmt.Errorf("it came %d times", n)
		}
		return nil
	})
}

// The gateway is killed while downlinks are made and sent: each that the API accepted
// reaches its device, and one that is wanted once does so once, or has failed with the
// word that it may have.
func TestNoAcceptedDownlinkIsLostOverKillsAndNoneWantedOnceComesTwice(t *testing.T) {
	const devices, rounds = 8, 6
	registry := "points:\n  - {id: door-1, name: a door, kind: door}\ndevices:\n"
	for i := range devices {
		registry += fmt.Sprintf("  - {identity: \"sn:%d\", profile: gridgate/json}\n", i)
	}
	g := newGateway(t)
	g.knows(t, registry)
	g.start(t)
	all := listen(t, g.broker, "gridgate/down/#")
	rng := rand.New(rand.NewPCG(1, 1))
	accepted := map[string]grid.Downlink{}
	n := 0
	for range rounds {
		kill := time.Now().Add(time.Duration(200+rng.IntN(1500)) * time.Millisecond)
		for !time.Now().After(kill) {
			n++
			order := payloadOrder(fmt.Sprintf("%06x", n))
			order.Once = n%2 == 0
			d, err := g.api.SendDownlink(t.Context(), grid.Identity(fmt.Sprint("sn:", n%devices)), order, fmt.Sprint("key-", n))
			switch grid.CodeOf(err) {
			case grid.Conflict, grid.Unavailable: // the device has its 16 already
				time.Sleep(20 * time.Millisecond)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			accepted[d.ID] = d
		}
		g.Kill()
		g.start(t)
	}
	sure, failed := 0, 0
	eventually(t, 2*time.Minute, "all downlinks to end", func() error {
		page, err := api.List[grid.Downlink](t.Context(), g.api, "downlinks", api.Query{State: "open", Limit: 1})
		if err != nil || len(page.Items) > 0 {
			return fmt.Errorf("%+v, %v", page.Items, err)
		}
		return nil
	})
	for id, made := range accepted {
		d, err := g.api.Downlink(t.Context(), id)
		if err != nil {
			t.Errorf("%s is lost: %v", id, err)
			continue
		}
		got := all.count(fmt.Sprintf("gridgate/down/%s %s", d.Device, d.Order.Payload.Hex))
		switch {
		case d.State == grid.DownlinkFailed && made.Once && strings.Contains(d.Error, "may have been sent") && got <= 1:
			failed++
		case d.State != grid.DownlinkAcknowledged || got < 1 || made.Once && got > 1:
			t.Errorf("%s (once: %t) is %s (%s) and came %d times", id, made.Once, d.State, d.Error, got)
		default:
			sure++
		}
	}
	if sure < 50 {
		t.Errorf("%d downlinks came to their end: too few to say anything", sure)
	}
	t.Logf("%d downlinks over %d kills: %d acknowledged, %d wanted once that may have been sent", len(accepted), rounds, sure, failed)
}

// BenchmarkDownlinksToTheEmbeddedBroker measures from the call of the API until the PUBACK
// is on disk: 50 programs, each with a device of its own, tell it one thing after the other.
func BenchmarkDownlinksToTheEmbeddedBroker(b *testing.B) {
	const devices, each = 50, 40
	registry := "points:\n  - {id: door-1, name: a door, kind: door}\ndevices:\n"
	for i := range devices {
		registry += fmt.Sprintf("  - {identity: \"sn:%d\", profile: gridgate/json}\n", i)
	}
	g := newGateway(b)
	g.start(b)
	g.put(b, registry)
	listen(b, g.broker, "gridgate/down/#")
	for b.Loop() {
		took := make([]time.Duration, devices*each)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range devices {
			wg.Go(func() {
				for n := range each {
					at := time.Now()
					d, err := g.api.SendDownlink(b.Context(), grid.Identity(fmt.Sprint("sn:", i)), payloadOrder("ff"), "")
					for ; err == nil && !d.Ended(); time.Sleep(25 * time.Millisecond) {
						d, err = g.api.Downlink(b.Context(), d.ID)
					}
					if err != nil || d.State != grid.DownlinkAcknowledged {
						b.Errorf("%+v, %v", d, err)
						return
					}
					took[i*each+n] = time.Since(at)
				}
			})
		}
		wg.Wait()
		b.ReportMetric(devices*each/time.Since(began).Seconds(), "downlinks/s")
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms-p50")
		b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "ms-p99")
	}
}
