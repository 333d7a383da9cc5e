package envelope

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gridgate/internal/grid"
)

const (
	appV4    = "application/1f1b5e7a-0f6e-4a8e-9d7b-64f2f1f0c001/device/24e124136b502217/"
	eui      = grid.Identity("eui:24e124136b502217")
	ledRed   = "ff10ff"
	stateOn  = `{"state":"ON"}`
	orderID  = "01K2V7QZ3N0000000000000007"
	orderUID = "0198b67b-fc75-0000-0000-000000000007"
)

func order(device grid.Identity, payload string, port int, confirm bool) *grid.Downlink {
	return &grid.Downlink{ID: orderID, Device: device, Confirm: confirm, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: hex.EncodeToString([]byte(payload)), Port: port}}}
}

func lora(payloadHex string, confirm bool) *grid.Downlink {
	d := order(eui, "", 85, confirm)
	d.Order.Payload.Hex = payloadHex
	return d
}

func heard(envelope, address, raw string) grid.Frame {
	return grid.Frame{Envelope: envelope, Address: address, Raw: []byte(raw)}
}

func TestADownlinkTravelsAsTheEnvelopeWantsIt(t *testing.T) {
	v4 := heard(ChirpStack, appV4+"event/up", `{"deviceInfo":{"devEui":"24e124136b502217"}}`)
	protobuf := heard(ChirpStack, appV4+"event/txack", string(message{}.varint(1, 9).text(4, orderUID)))
	command := string(message{}.text(1, orderUID).text(2, "24e124136b502217").varint(3, 1).varint(4, 85).bytes(5, []byte{0xff, 0x10, 0xff}))
	tts := `{"downlinks":[{"confirmed":%v,"correlation_ids":["gridgate:` + orderID + `"],"f_port":85,"frm_payload":"/xD/","priority":"NORMAL"}]}`
	for name, c := range map[string]struct {
		d              *grid.Downlink
		way            grid.Frame
		topic, payload string
		ref            string
	}{
		"chirpstack 4":           {lora(ledRed, false), v4, appV4 + "command/down", `{"confirmed":false,"data":"/xD/","devEui":"24e124136b502217","fPort":85,"id":"` + orderUID + `"}`, orderID},
		"chirpstack 4, protobuf": {lora(ledRed, true), protobuf, appV4 + "command/down", command, orderID},
		"chirpstack 3": {lora(ledRed, false), heard(ChirpStack, "application/17/device/24e124136b502217/event/up", `{"devEUI":"JOEkE2tQIhc="}`),
			"application/17/device/24e124136b502217/command/down", `{"confirmed":false,"data":"/xD/","fPort":85}`, ""},
		"the things stack":     {lora(ledRed, true), heard(TheThings, "v3/gas@ttn/devices/kitchen-7/up", `{}`), "v3/gas@ttn/devices/kitchen-7/down/push", fmt.Sprintf(tts, true), orderID},
		"after its own answer": {lora(ledRed, false), heard(TheThings, "v3/gas/devices/kitchen-7/down/queued", `{}`), "v3/gas/devices/kitchen-7/down/push", fmt.Sprintf(tts, false), orderID},
		"native":               {order("sn:panel-3", "\x01\xff", 0, false), heard(Native, "gridgate/up/SN:Panel-3/9", "x"), "gridgate/down/sn:panel-3", "\x01\xff", ""},
		"native, with a port":  {order("modbus:com1/7", "x", 3, false), heard(Native, "gridgate/status/modbus:com1%2F7", "online"), "gridgate/down/modbus:com1%2F7/3", "x", ""},
		"never heard":          {order("sn:panel-3", "x", 0, false), grid.Frame{}, "gridgate/down/sn:panel-3", "x", ""},
		"zigbee2mqtt":          {order("z2m:厨房/阀", stateOn, 0, false), heard(Zigbee2MQTT, "zigbee2mqtt/厨房/阀?model=SM0502", "{}"), "zigbee2mqtt/厨房/阀/set", stateOn, ""},
		"after its will":       {order("z2m:valve", stateOn, 0, false), heard(Zigbee2MQTT, "zigbee2mqtt/valve/availability", "offline"), "zigbee2mqtt/valve/set", stateOn, ""},
		"tasmota":              {order("tasmota:siren", "Power1 ON", 0, false), heard(Tasmota, "tele/siren/SENSOR", "{}"), "cmnd/siren/Power1", "ON", ""},
		"tasmota, no argument": {order("tasmota:hall/siren", "Status", 0, false), heard(Tasmota, "hall/siren/tele/STATE", "{}"), "hall/siren/cmnd/Status", "", ""},
	} {
		topic, payload, ref, err := Downlink(c.d, c.way)
		if err != nil || topic != c.topic || string(payload) != c.payload || ref != c.ref {
			t.Errorf("%s: got %q %q %q, %v: want %q %q %q", name, topic, payload, ref, err, c.topic, c.payload, c.ref)
		}
	}
}

func TestADownlinkToATopicOfTheUsersOwn(t *testing.T) {
	r := NewRouter(10,
		Rule{Topic: "floor2/up", Envelope: Milesight, Down: "floor2/down/{device}"}, Rule{Topic: "radio/#", Envelope: LORIOT, Down: "radio-down"},
		Rule{Topic: "lns/+/up", Envelope: ChirpStack, Down: "lns/{device}/down"}, Rule{Topic: "floor3/#", Envelope: Milesight})
	for _, c := range []struct {
		way            grid.Frame
		topic, payload string
	}{
		{heard(Milesight, "floor2/up", `{}`), "floor2/down/24e124136b502217", `{"confirmed":false,"data":"/xD/","devEUI":"24e124136b502217","fPort":85}`},
		{heard(LORIOT, "radio/7", `{}`), "radio-down", `{"EUI":"24E124136B502217","cmd":"tx","confirmed":false,"data":"ff10ff","port":85}`},
		{heard(ChirpStack, "lns/7/up", `{"deviceInfo":{}}`), "lns/24e124136b502217/down", `{"confirmed":false,"data":"/xD/","devEui":"24e124136b502217","fPort":85,"id":"` + orderUID + `"}`},
		{heard(ChirpStack, appV4+"event/up", `{"deviceInfo":{}}`), appV4 + "command/down", `{"confirmed":false,"data":"/xD/","devEui":"24e124136b502217","fPort":85,"id":"` + orderUID + `"}`},
	} {
		topic, payload, _, err := r.Downlink(lora(ledRed, false), c.way)
		if err != nil || topic != c.topic || string(payload) != c.payload {
			t.Errorf("%s: got %q %s, %v: want %q %s", c.way.Address, topic, payload, err, c.topic, c.payload)
		}
	}
	if _, _, _, err := r.Downlink(lora(ledRed, false), heard(Milesight, "floor3/x", `{}`)); err == nil || !strings.Contains(err.Error(), "name the topic as down") {
		t.Errorf("without a topic for downlinks: got %v", err)
	}
}

func TestAnOrderThatCannotTravelSaysWhatItLacks(t *testing.T) {
	v4 := heard(ChirpStack, appV4+"event/up", `{"deviceInfo":{}}`)
	noPort, long := lora(ledRed, false), lora(strings.Repeat("00", 243), false)
	noPort.Order.Payload.Port = 0
	for _, c := range []struct {
		d    *grid.Downlink
		way  grid.Frame
		want string
	}{
		{noPort, v4, "payload.port is missing"},
		{noPort, heard(TheThings, "v3/a/devices/d/up", "{}"), "payload.port is missing"},
		{long, v4, "243 bytes long: want at most 242"},
		{lora(ledRed, false), heard(TheThings, "gridgate/thethings/x", "{}"), "name the topic as down"},
		{lora(ledRed, false), heard(OneNET, "gridgate/onenet/x", "{}"), "envelope onenet: takes no downlinks"},
		{lora(ledRed, false), heard(SparkplugB, "spBv1.0/g/NDATA/n", ""), "envelope sparkplug: takes no downlinks"},
		{order("z2m:valve", "ON", 0, false), heard(Zigbee2MQTT, "zigbee2mqtt/valve", "{}"), "payload.hex is no JSON object"},
		{order("tasmota:siren", "\x01\x02", 0, false), heard(Tasmota, "tele/siren/SENSOR", "{}"), "payload.hex is no command"},
		{order("tasmota:siren", "../x ON", 0, false), heard(Tasmota, "tele/siren/SENSOR", "{}"), "payload.hex is no command"},
		{order("tasmota:bridge/door", "Power ON", 0, false), heard(Tasmota, "tele/bridge/SENSOR", "{}"), "behind a Zigbee bridge"},
		{&grid.Downlink{Device: "sn:1", Order: grid.Order{LwM2M: &grid.LwM2MOrder{}}}, heard(Native, "gridgate/up/sn:1", ""), "order is lwm2m"},
	} {
		_, _, _, err := Downlink(c.d, c.way)
		if err == nil || grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got %v: want %q", c.d.Device, c.way.Address, err, c.want)
		}
	}
}

// No downlink may come back to us as if a device had sent it.
func TestNoDownlinkIsAnUplink(t *testing.T) {
	for _, c := range []struct {
		d   *grid.Downlink
		way grid.Frame
	}{
		{lora(ledRed, false), heard(ChirpStack, appV4+"event/up", `{}`)}, {lora(ledRed, false), heard(TheThings, "v3/a@t/devices/d/up", `{}`)},
		{order("sn:a", "x", 0, false), grid.Frame{}}, {order("sn:a", "x", 9, false), grid.Frame{}},
		{order("z2m:a", stateOn, 0, false), heard(Zigbee2MQTT, "zigbee2mqtt/a", "{}")}, {order("z2m:a/b", stateOn, 0, false), heard(Zigbee2MQTT, "zigbee2mqtt/a/b", "{}")},
		{order("tasmota:a", "Power ON", 0, false), heard(Tasmota, "tele/a/STATE", "{}")}, {order("tasmota:b/a", "SENSOR x", 0, false), heard(Tasmota, "tele/b/a/STATE", "{}")},
	} {
		topic, _, _, err := Downlink(c.d, c.way)
		if err != nil {
			t.Fatal(err)
		}
		for _, filter := range Topics() {
			if filterMatches(filter, topic) {
				t.Errorf("%s is heard by %s", topic, filter)
			}
		}
	}
}

// A subscription such as application/# brings commands too: they are counted as ignored.
func TestACommandUnderAWideSubscriptionIsIgnored(t *testing.T) {
	m := NewMemory()
	for _, topic := range []string{appV4 + "command/down", "v3/a@t/devices/d/down/push", "v3/a@t/devices/d/down/replace", "gridgate/down/sn:1", "gridgate/down/sn:1/85",
		"zigbee2mqtt/valve/set", "zigbee2mqtt/hall/valve/set/state", "cmnd/siren/Power1"} {
		for range 2 {
			f := heard("", topic, `{"devEui":"24e124136b502217","end_device_ids":{"dev_eui":"24E124136B502217"}}`)
			f.Identity, f.Envelope, f.Note = NewRouter(10).Identify(topic, f.Raw)
			m.Remember(&f, nil)
			if f.Identity != "" || f.Flags != grid.Marker || !strings.Contains(f.Note, "command to a device") {
				t.Errorf("%s: got %+v", topic, f)
			}
		}
	}
	for _, topic := range []string{appV4 + "event/up", "zigbee2mqtt/settee", "tele/siren/STATE", "v3/a@t/devices/d/up"} {
		f := heard("", topic, `{"end_device_ids":{"dev_eui":"24E124136B502217"}}`)
		f.Identity, f.Envelope, f.Note = Identify(topic, f.Raw)
		if m.Remember(&f, nil); f.Identity == "" || f.Flags != 0 {
			t.Errorf("%s: got %+v", topic, f)
		}
	}
}

func TestWhatANetworkServerSaysOfADownlink(t *testing.T) {
	const tts, ids = "v3/gas@ttn/devices/kitchen-7/down/", `{"end_device_ids":{"device_id":"kitchen-7","dev_eui":"24E124136B502217"},"correlation_ids":["as:downlink:01K2"],`
	ours := `"correlation_ids":["my-app:7","gridgate:` + orderID + `"]`
	info := message{}.text(8, "24e124136b502217")
	device := `"deviceInfo":{"devEui":"24e124136b502217"},`
	entry := func(key, value string) message { return message{}.text(1, key).text(2, value) }
	said := func(s grid.DownlinkState, detail string) *grid.DownAnswer {
		return &grid.DownAnswer{Ref: orderID, State: s, Detail: detail}
	}
	acknowledged, not := said(grid.DownlinkAcknowledged, "the device acknowledged it"), said(grid.DownlinkFailed, "the device did not acknowledge it")
	sent := said(grid.DownlinkSent, "a gateway has it to send: 0016c001ff10a235")
	tooLong := said(grid.DownlinkFailed, "ChirpStack dropped it: payload exceeds the maximum")
	for name, c := range map[string]struct {
		topic, raw string
		want       *grid.DownAnswer
		heard      bool
	}{
		"chirpstack: a gateway sends it":  {appV4 + "event/txack", `{"downlinkId":9,` + device + `"queueItemId":"` + orderUID + `","fCntDown":3,"gatewayId":"0016c001ff10a235"}`, sent, false},
		"chirpstack: acknowledged":        {appV4 + "event/ack", `{` + device + `"queueItemId":"` + orderUID + `","acknowledged":true,"fCntDown":3}`, acknowledged, true},
		"chirpstack: not acknowledged":    {appV4 + "event/ack", `{` + device + `"queueItemId":"` + orderUID + `","fCntDown":3}`, not, false},
		"chirpstack: dropped":             {appV4 + "event/log", `{` + device + `"level":"ERROR","code":"DOWNLINK_PAYLOAD_SIZE","description":"payload exceeds the maximum","context":{"item_size":"200","queue_item_id":"` + orderUID + `"}}`, tooLong, false},
		"chirpstack: another log line":    {appV4 + "event/log", `{` + device + `"level":"ERROR","code":"UPLINK_MIC","description":"x"}`, nil, false},
		"chirpstack: a mere remark":       {appV4 + "event/log", `{` + device + `"level":"INFO","code":"UNKNOWN","context":{"queue_item_id":"` + orderUID + `"}}`, nil, false},
		"chirpstack 3 names none":         {"application/17/device/24e124136b502217/event/ack", `{"devEUI":"JOEkE2tQIhc=","acknowledged":true,"fCnt":7}`, nil, true},
		"protobuf: a gateway sends it":    {appV4 + "event/txack", string(message{}.varint(1, 9).bytes(3, info).text(4, orderUID).varint(5, 3).text(6, "0016c001ff10a235")), sent, false},
		"protobuf: acknowledged":          {appV4 + "event/ack", string(message{}.text(1, "d").bytes(3, info).text(4, orderUID).varint(5, 1)), acknowledged, true},
		"protobuf: not acknowledged":      {appV4 + "event/ack", string(message{}.text(1, "d").bytes(3, info).text(4, orderUID)), not, false},
		"protobuf: dropped":               {appV4 + "event/log", string(message{}.bytes(2, info).varint(3, 2).varint(4, 1).text(5, "payload exceeds the maximum").bytes(6, entry("item_size", "9")).bytes(6, entry("queue_item_id", orderUID))), tooLong, false},
		"protobuf: expired, a warning":    {appV4 + "event/log", string(message{}.bytes(2, info).varint(3, 1).varint(4, 11).text(5, "payload exceeds the maximum").bytes(6, entry("queue_item_id", orderUID))), tooLong, false},
		"protobuf, version 3, names none": {"application/17/device/24e124136b502217/event/txack", string(message{}.varint(1, 17).text(2, "gas").text(3, "kitchen").bytes(4, make([]byte, 8)).varint(5, 7)), nil, false},
		"the things stack: queued":        {tts + "queued", ids + `"downlink_queued":{"f_port":85,` + ours + `}}`, said(grid.DownlinkQueued, "it waits at The Things Stack"), false},
		"the things stack: sent":          {tts + "sent", ids + `"downlink_sent":{` + ours + `}}`, said(grid.DownlinkSent, "The Things Stack sent it"), false},
		"the things stack: acknowledged":  {tts + "ack", ids + `"downlink_ack":{"confirmed":true,` + ours + `}}`, acknowledged, true},
		"the things stack tries again":    {tts + "nack", ids + `"downlink_nack":{"confirmed":true,` + ours + `}}`, said(grid.DownlinkSent, "the device did not acknowledge it: The Things Stack sends it again"), false},
		"the things stack: dropped":       {tts + "failed", ids + `"downlink_failed":{"downlink":{` + ours + `},"error":{"namespace":"ns","name":"queue_full","message_format":"the queue is full"}}}`, said(grid.DownlinkFailed, "The Things Stack dropped it: the queue is full (queue_full)"), false},
		"the id may stand outside":        {tts + "sent", `{"end_device_ids":{"dev_eui":"24E124136B502217"},` + ours + `,"downlink_sent":{}}`, said(grid.DownlinkSent, "The Things Stack sent it"), false},
		"of another program":              {tts + "ack", ids + `"downlink_ack":{"correlation_ids":["my-app:7"]}}`, nil, true},
	} {
		id, envelope, note := Identify(c.topic, []byte(c.raw))
		if id != eui || note != "" {
			t.Errorf("%s: identified as %q, %s", name, id, note)
		}
		if !hasFilter(c.topic) {
			t.Errorf("%s: nobody subscribes to %s", name, c.topic)
		}
		f := heard(envelope, c.topic, c.raw)
		if err := Open(&f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(f.Down, c.want) {
			t.Errorf("%s: got %+v: want %+v", name, f.Down, c.want)
		}
		if f.NotHeard == c.heard || !f.Kind.Ignored() || f.Payload != nil || f.Down != nil && f.Kind != grid.Answer {
			t.Errorf("%s: got %+v", name, f.Uplink)
		}
	}
}

func hasFilter(topic string) bool {
	for _, filter := range Topics() {
		if filterMatches(filter, topic) {
			return true
		}
	}
	return false
}

func TestAnIDIsTheSameInBothSpellings(t *testing.T) {
	for n := range 100 {
		id := grid.NewID(time.UnixMilli(int64(n)<<40), "x", n)
		item, ref := chirpStackItem(id)
		if back, ok := ulidOf(item); !ok || back != id || ref != id {
			t.Fatalf("%s became %s and then %s", id, item, back)
		}
	}
	// An id of a caller's own is made one, the same each time.
	item, ref := chirpStackItem("open-valve-7")
	if back, ok := ulidOf(item); !ok || back != ref {
		t.Errorf("got %s, which is %s: want %s", item, back, ref)
	}
	if again, _ := chirpStackItem("open-valve-7"); again != item {
		t.Errorf("got %s and %s for one id", item, again)
	}
	if other, _ := chirpStackItem("open-valve-8"); other == item {
		t.Errorf("two ids have one item %s", item)
	}
	for _, text := range []string{"", "x", orderUID[1:], strings.Repeat("-", 36), "0198b5bf7e75000000000000000000070000"} {
		if id, ok := ulidOf(text); ok {
			t.Errorf("%q was read as %s", text, id)
		}
	}
}

// FuzzDownlink: whatever the way looks like, a downlink is a message on a topic that may be
// published on, or it is said what is wrong.
func FuzzDownlink(f *testing.F) {
	for _, s := range samples() {
		for which := range append(Names(), Native) {
			f.Add(s.topic, s.raw, string(eui), stateOn, uint8(which), 85, true)
		}
	}
	f.Fuzz(func(t *testing.T, topic, raw, device, payload string, which uint8, port int, confirm bool) {
		names := append(Names(), Native, "")
		d := order(grid.Identity(device), payload, port, confirm)
		if d.Order.Check() != nil {
			return
		}
		r := NewRouter(4, Rule{Topic: "lns/#", Envelope: ChirpStack, Down: "lns/{device}/down"})
		to, body, ref, err := r.Downlink(d, heard(names[int(which)%len(names)], topic, raw))
		if err != nil {
			if grid.CodeOf(err) != grid.Invalid || len(err.Error()) > 1000 {
				t.Fatalf("got %v: want invalid", err)
			}
			return
		}
		if to == "" || len(to) > 1<<16-1 || strings.ContainsAny(to, "+#\x00") || !utf8.ValidString(to) || len(body) > 1<<16 {
			t.Fatalf("got %q with %d bytes", to, len(body))
		}
		if ref != "" && ref != d.ID || len(body) > 0 && body[0] == '{' && !json.Valid(body) && string(body) != payload {
			t.Fatalf("got %q %q", ref, body)
		}
	})
}
