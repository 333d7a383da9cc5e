package gatetest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"google.golang.org/protobuf/encoding/protowire"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const envelopeRegistry = `
points:
  - {id: door-1, name: a door, kind: door, mode: simulated}
  - {id: door-2, name: a door, kind: door, mode: simulated}
devices:
  - {identity: "spb:city/node 1/d7", profile: gridgate/sparkplug, point: door-1, mode: simulated}
  - {identity: "eui:24e124136b502217", profile: gridgate/json, point: door-2, mode: simulated}
`

// sparkplugDoor writes a Sparkplug message with one metric, a boolean: by its name and its
// alias at a birth, by the alias alone after it.
func sparkplugDoor(seq uint64, open, birth bool) []byte {
	var metric []byte
	if birth {
		metric = protowire.AppendString(protowire.AppendTag(metric, 1, protowire.BytesType), "door.open")
	}
	metric = protowire.AppendVarint(protowire.AppendTag(metric, 2, protowire.VarintType), 5)
	metric = protowire.AppendVarint(protowire.AppendTag(metric, 4, protowire.VarintType), 11)
	metric = protowire.AppendVarint(protowire.AppendTag(metric, 14, protowire.VarintType), protowire.EncodeBool(open))
	m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(time.Now().UnixMilli()))
	m = protowire.AppendBytes(protowire.AppendTag(m, 2, protowire.BytesType), metric)
	return protowire.AppendVarint(protowire.AppendTag(m, 3, protowire.VarintType), seq)
}

func TestSparkplugNodeIsAskedForItsBirthAndThenUnderstood(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, envelopeRegistry)
	d := connect(t, g.broker)
	asked := make(chan paho.Message, 8)
	if tok := d.Subscribe("spBv1.0/city/NCMD/node 1", 0, func(_ paho.Client, m paho.Message) { asked <- m }); tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	const device = "spBv1.0/city/%s/node 1/d7"
	d.send(t, fmt.Sprintf(device, "DDATA"), sparkplugDoor(9, true, false)) // nobody knows what 5 is
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatal("the node is not asked for its birth")
	}
	d.send(t, "spBv1.0/city/NBIRTH/node 1", sparkplugDoor(0, false, true))
	d.send(t, fmt.Sprintf(device, "DBIRTH"), sparkplugDoor(1, false, true))
	d.send(t, fmt.Sprintf(device, "DDATA"), sparkplugDoor(2, true, false))
	eventually(t, 20*time.Second, "the door to be open", func() error {
		v, err := g.live(t, "door-1", grid.DoorOpen)
		if err == nil && v.Value != 1 {
			err = fmt.Errorf("door.open is %v", v.Value)
		}
		return err
	})
	// The node is not registered, and the first message of its device is not understood.
	processed, _, _, quarantined, _ := sum(g.balanced(t))
	if processed != 2 || quarantined != 2 {
		t.Errorf("%d processed, %d quarantined: want 2 and 2", processed, quarantined)
	}
}

func TestUplinkRepeatedWithItsGatewaysIsOneFrame(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, envelopeRegistry)
	d := connect(t, g.broker)
	const payload = "7b22646f6f722e6f70656e223a747275657d" // {"door.open":true}
	d.send(t, "gridgate/loriot/city", []byte(`{"cmd":"rx","EUI":"24E124136B502217","fcnt":7,"port":1,"rssi":-80,"snr":5,"data":"`+payload+`"}`))
	d.send(t, "gridgate/loriot/city", []byte(`{"cmd":"gw","EUI":"24E124136B502217","fcnt":7,"port":1,"gws":[{"rssi":-80,"snr":5,"gweui":"01"}],"data":"`+payload+`"}`))
	d.send(t, "v3/app@ttn/devices/door-2/join", []byte(`{"end_device_ids":{"dev_eui":"24E124136B502217"},"join_accept":{}}`))
	d.send(t, "zigbee2mqtt/bridge/devices", []byte(`[{"friendly_name":"Kitchen","definition":{"vendor":"X","model":"Y","description":"Smoke detector"}}]`))
	d.send(t, "zigbee2mqtt/Kitchen", []byte(`{"smoke":false,"battery":90}`))
	processed, duplicate, ignored, quarantined, _ := sum(g.balanced(t))
	if processed != 1 || duplicate != 1 || ignored != 2 || quarantined != 1 {
		t.Errorf("%d processed, %d duplicate, %d ignored, %d quarantined: want 1, 1, 2, 1", processed, duplicate, ignored, quarantined)
	}
	if found := all[grid.Discovered](t, g, "discovered", api.Query{}); len(found) != 1 || found[0].Guess != "zigbee2mqtt/smoke" || !strings.Contains(found[0].Reason, "names the model") {
		t.Errorf("discovered %+v: want a smoke detector by its model", found)
	}
}
