package gatetest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const networksRegistry = `
points:
  - {id: door-1, name: a door, kind: door}
  - {id: door-2, name: a door, kind: door}
devices:
  - {identity: "eui:24e124136b502217", profile: gridgate/json, point: door-1}
  - {identity: "eui:24e124136b502218", profile: gridgate/json, point: door-2}
`

const (
	byChirpStack = grid.Identity("eui:24e124136b502217")
	byTheThings  = grid.Identity("eui:24e124136b502218")
	csDevice     = "application/1f1b5e7a-0f6e-4a8e-9d7b-64f2f1f0c001/device/24e124136b502217/"
	ttsDevice    = "v3/gas@ttn/devices/kitchen-7/"
)

// network is a network server as its documentation says that it behaves, an MQTT client of
// the test's own. Commands come to it; what it answers the test says.
type network struct {
	paho.Client
	mu       sync.Mutex
	commands []string // payloads
}

// newNetwork connects one that listens for commands under filter, and again when it must.
func newNetwork(t testing.TB, addr, filter string) *network {
	t.Helper()
	n := &network{}
	take := func(_ paho.Client, m paho.Message) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.commands = append(n.commands, string(m.Payload()))
	}
	subscribed := make(chan struct{}, 1)
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("network-server").SetCleanSession(false).
		SetConnectTimeout(20 * time.Second).SetConnectRetry(true).SetConnectRetryInterval(200 * time.Millisecond).SetMaxReconnectInterval(200 * time.Millisecond).
		SetOnConnectHandler(func(c paho.Client) {
			if tok := c.Subscribe(filter, 1, take); tok.WaitTimeout(20*time.Second) && tok.Error() == nil {
				select {
				case subscribed <- struct{}{}:
				default:
				}
			}
		})
	n.Client = paho.NewClient(o)
	n.AddRoute(filter, take)
	n.Connect()
	t.Cleanup(func() { n.Disconnect(0) })
	select {
	case <-subscribed:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not subscribed to %s", addr, filter)
	}
	return n
}

// command waits for the nth command and returns it, and how often it came.
func (n *network) command(t testing.TB, nth int) (payload string, times int) {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("command %d", nth), func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.commands) < nth {
			return fmt.Errorf("%d came", len(n.commands))
		}
		payload, times = n.commands[nth-1], 0
		for _, c := range n.commands {
			if c == payload {
				times++
			}
		}
		return nil
	})
	return payload, times
}

func (n *network) say(t testing.TB, topic, payload string) {
	t.Helper()
	if tok := n.Publish(topic, 1, false, payload); !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
		t.Fatalf("publish %s: %v", topic, tok.Error())
	}
}

// report is an uplink of the device, as its network server tells it.
func (n *network) report(t testing.TB, device grid.Identity, seq int) {
	t.Helper()
	payload := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"door.open":false,"seq":%d}`, seq))
	if device == byChirpStack {
		n.say(t, csDevice+"event/up", fmt.Sprintf(`{"deviceInfo":{"devEui":"24e124136b502217"},"fCnt":%d,"fPort":85,"data":%q}`, seq, payload))
		return
	}
	n.say(t, ttsDevice+"up", fmt.Sprintf(`{"end_device_ids":{"device_id":"kitchen-7","dev_eui":"24E124136B502218"},"uplink_message":{"f_cnt":%d,"f_port":85,"frm_payload":%q}}`, seq, payload))
}

// chirpStack is an event about the queue item of a command.
func (n *network) chirpStack(t testing.TB, event, command, more string) {
	t.Helper()
	var c struct{ ID string }
	if err := json.Unmarshal([]byte(command), &c); err != nil || len(c.ID) != 36 {
		t.Fatalf("ChirpStack got %s: %v", command, err)
	}
	n.say(t, csDevice+"event/"+event, fmt.Sprintf(`{"deviceInfo":{"devEui":"24e124136b502217"},%s}`, strings.ReplaceAll(more, "ITEM", c.ID)))
}

// theThings is a message about a downlink of a command.
func (n *network) theThings(t testing.TB, event, command string) {
	t.Helper()
	var c struct{ Downlinks []json.RawMessage }
	if err := json.Unmarshal([]byte(command), &c); err != nil || len(c.Downlinks) != 1 {
		t.Fatalf("The Things Stack got %s: %v", command, err)
	}
	n.say(t, ttsDevice+"down/"+event, fmt.Sprintf(`{"end_device_ids":{"device_id":"kitchen-7","dev_eui":"24E124136B502218"},"downlink_%s":%s}`, event, c.Downlinks[0]))
}

func loraOrder(hex string) api.NewDownlink {
	return api.NewDownlink{Confirm: true, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: hex, Port: 85}}}
}

// answered waits until the newest answer to a downlink says something.
func (g *gateway) answered(t testing.TB, id, word string) (d grid.Downlink) {
	t.Helper()
	eventually(t, 30*time.Second, "an answer that says "+word, func() (err error) {
		if d, err = g.api.Downlink(t.Context(), id); err != nil || !strings.Contains(d.Answer, word) {
			return fmt.Errorf("%+v, %v", d, err)
		}
		return nil
	})
	return d
}

// Two brokers, a network server on each: ChirpStack on the embedded one, The Things Stack on
// Mosquitto.
func TestADownlinkGoesByTheNetworkServerOfItsDeviceAndIsAcknowledgedThere(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	g := newGateway(t, "mqtt: [{name: city, url: mqtt://"+m.addr+", client_id: g, topics: [v3/+/devices/+/up, v3/+/devices/+/down/queued, v3/+/devices/+/down/sent, v3/+/devices/+/down/ack, v3/+/devices/+/down/nack, v3/+/devices/+/down/failed]}]")
	g.knows(t, networksRegistry)
	g.start(t)
	g.subscribed(t, "city")
	cs, tts := newNetwork(t, g.broker, "application/+/device/+/command/down"), newNetwork(t, m.addr, "v3/+/devices/+/down/push")
	cs.report(t, byChirpStack, 1)
	tts.report(t, byTheThings, 1)
	eventually(t, 30*time.Second, "both devices to be heard", func() error {
		_, err1 := g.live(t, "door-1", grid.DoorOpen)
		_, err2 := g.live(t, "door-2", grid.DoorOpen)
		if err1 != nil {
			return err1
		}
		return err2
	})
	events := len(all[grid.Event](t, g, "events", api.Query{}))

	first := g.tell(t, byChirpStack, loraOrder("ff10ff"))
	second := g.tell(t, byTheThings, loraOrder("ff11ff"))
	item, _ := cs.command(t, 1)
	push, _ := tts.command(t, 1)
	if !strings.Contains(item, "/xD/") || !strings.Contains(push, "/xH/") || !strings.Contains(push, "gridgate:"+second.ID) {
		t.Fatalf("ChirpStack got %s, The Things Stack %s", item, push)
	}
	tts.theThings(t, "queued", push)
	g.answered(t, second.ID, "waits at The Things Stack")
	tts.theThings(t, "sent", push)
	g.answered(t, second.ID, "Stack sent it")
	tts.theThings(t, "nack", push)
	if d := g.answered(t, second.ID, "did not acknowledge"); d.State != grid.DownlinkSent || d.Ended() {
		t.Errorf("after a nack: %+v", d)
	}
	cs.chirpStack(t, "txack", item, `"queueItemId":"ITEM","gatewayId":"0016c001ff10a235"`)
	if d := g.answered(t, first.ID, "0016c001ff10a235"); d.State != grid.DownlinkSent || d.Way != "mqtt:embedded" {
		t.Errorf("after txack: %+v", d)
	}
	cs.chirpStack(t, "ack", item, `"queueItemId":"ITEM","acknowledged":true`)
	tts.theThings(t, "ack", push)
	g.becomes(t, first.ID, grid.DownlinkAcknowledged, 30*time.Second)
	if d := g.becomes(t, second.ID, grid.DownlinkAcknowledged, 30*time.Second); d.Way != "mqtt:city" {
		t.Errorf("it went by %s", d.Way)
	}
	// One that the network drops has failed, with its reason.
	third := g.tell(t, byChirpStack, loraOrder("0102"))
	item, _ = cs.command(t, 2)
	cs.chirpStack(t, "log", item, `"level":"ERROR","code":"DOWNLINK_PAYLOAD_SIZE","description":"too long for DR0","context":{"queue_item_id":"ITEM"}`)
	if d := g.becomes(t, third.ID, grid.DownlinkFailed, 30*time.Second); !strings.Contains(d.Error, "too long for DR0") {
		t.Errorf("it failed with %q", d.Error)
	}
	if n := len(all[grid.Event](t, g, "events", api.Query{})); n != events {
		t.Errorf("answers made %d events", n-events)
	}
	if _, _, ignored, quarantined, accepted := sum(g.balanced(t)); ignored != 7 || quarantined != 0 || accepted != 9 {
		t.Errorf("of %d frames %d are ignored and %d in quarantine: want 9, 7 and 0", accepted, ignored, quarantined)
	}
}

func TestADownlinkOutlivesTheRestartOfItsBrokerAndOfTheGateway(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	g := newGateway(t, "mqtt: [{name: city, url: mqtt://"+m.addr+", client_id: g, topics: [\"v3/#\"]}]")
	g.knows(t, networksRegistry)
	g.start(t)
	g.subscribed(t, "city")
	tts := newNetwork(t, m.addr, "v3/+/devices/+/down/push")
	tts.report(t, byTheThings, 1)
	eventually(t, 30*time.Second, "the device to be heard", func() error {
		_, err := g.live(t, "door-2", grid.DoorOpen)
		return err
	})
	m.Kill()
	waits := g.tell(t, byTheThings, loraOrder("ff10ff"))
	eventually(t, 30*time.Second, "the reason why it waits", func() error {
		if d, err := g.api.Downlink(t.Context(), waits.ID); err != nil || !strings.Contains(d.Error, "mqtt city: not connected") {
			return fmt.Errorf("%+v, %v", d, err)
		}
		return nil
	})
	g.Kill()
	m.start(t)
	g.start(t)
	push, _ := tts.command(t, 1)
	g.becomes(t, waits.ID, grid.DownlinkSent, 30*time.Second)
	g.Kill() // the answer comes while nobody is there: the broker keeps it
	tts.theThings(t, "ack", push)
	g.start(t)
	g.becomes(t, waits.ID, grid.DownlinkAcknowledged, 30*time.Second)
	if _, times := tts.command(t, 1); times != 1 {
		t.Errorf("The Things Stack has it %d times", times)
	}
	// The topics were v3/#: what we sent came back to us, and is nothing to anybody.
	if _, _, _, quarantined, _ := sum(g.balanced(t)); quarantined != 0 {
		t.Errorf("%d frames are in quarantine", quarantined)
	}
}
