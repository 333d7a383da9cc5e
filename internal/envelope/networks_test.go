package envelope

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"gridgate/internal/grid"
)

// message writes protobuf by hand, as the published .proto files lay it out.
type message []byte

func (m message) varint(num protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), v)
}

func (m message) bytes(num protowire.Number, v []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, num, protowire.BytesType), v)
}

func (m message) text(num protowire.Number, v string) message { return m.bytes(num, []byte(v)) }

func (m message) float(num protowire.Number, v float32) message {
	return protowire.AppendFixed32(protowire.AppendTag(m, num, protowire.Fixed32Type), math.Float32bits(v))
}

func (m message) double(num protowire.Number, v float64) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, num, protowire.Fixed64Type), math.Float64bits(v))
}

func timestamp(t time.Time) message {
	return message{}.varint(1, uint64(t.Unix())).varint(2, uint64(t.Nanosecond()))
}

func negative(n int) uint64 { return uint64(int64(n)) }

// opened identifies and opens a message on a topic.
func opened(t *testing.T, topic string, raw []byte) grid.Frame {
	t.Helper()
	id, envelope, note := Identify(topic, raw)
	f := grid.Frame{Identity: id, Envelope: envelope, Address: topic, Raw: raw}
	if err := Open(&f); err != nil || note != "" {
		t.Fatalf("%s: %v %s", topic, err, note)
	}
	return f
}

var heardAt = time.Date(2026, 3, 4, 5, 6, 7, 890000000, time.UTC)

func TestChirpStackVersion4ProtobufSaysWhatItsJSONSays(t *testing.T) {
	info := message{}.text(4, "app").text(6, "WS301").text(8, "24e124136b502217")
	far := message{}.text(1, "far").varint(6, negative(-110)).float(7, -3).varint(2, 77)
	near := message{}.text(1, "near").varint(6, negative(-47)).float(7, 9.25).bytes(17, timestamp(heardAt))
	raw := message{}.text(1, "57433366-50a6").bytes(2, timestamp(heardAt)).bytes(3, info).text(4, "20000001").
		varint(7, 300).varint(8, 85).bytes(10, []byte{1, 0x75, 0x64}).bytes(12, far).bytes(12, near)
	f := opened(t, "application/1/device/24e124136b502217/event/up", raw)
	want := grid.Uplink{Kind: grid.Report, Port: 85, Counter: 300, HasCounter: true, At: heardAt, RSSIdBm: -47, SNRdB: 9.25,
		HasRSSI: true, HasSNR: true, Gateway: "near", Model: "WS301"}
	if !sameUplink(f.Uplink, want) || hex.EncodeToString(f.Payload) != "017564" {
		t.Errorf("got %+v %x: want %+v", f.Uplink, f.Payload, want)
	}
	// The network server's time of a gateway counts where the message has none.
	f = opened(t, "application/1/device/24e124136b502217/event/up", message{}.text(1, "57433366").bytes(10, []byte{9}).bytes(12, message{}.bytes(3, timestamp(heardAt.Add(time.Hour))).bytes(17, timestamp(heardAt))))
	if !f.At.Equal(heardAt) {
		t.Errorf("got %s: want %s", f.At, heardAt)
	}
	// What is zero is left out.
	f = opened(t, "application/1/device/24e124136b502217/event/up", message{}.text(1, "57433366").bytes(3, info).bytes(10, []byte{9}))
	if f.Counter != 0 || !f.HasCounter || f.Port != 0 || len(f.Payload) != 1 || f.HasRSSI {
		t.Errorf("got %+v", f.Uplink)
	}
	if f = opened(t, "application/1/device/24e124136b502217/event/up", message{}.text(1, "57433366").bytes(3, info)); f.Kind != grid.Status {
		t.Errorf("without data: got %+v", f.Uplink)
	}
}

func TestChirpStackVersion3ProtobufIsToldFromVersion4ByItsFirstByte(t *testing.T) {
	eui := []byte{0x24, 0xe1, 0x24, 0x13, 0x6b, 0x50, 0x22, 0x17}
	far := message{}.bytes(1, []byte{1, 1, 1, 1, 1, 1, 1, 1}).varint(5, negative(-110)).double(6, -3.5)
	near := message{}.bytes(1, []byte{2, 2, 2, 2, 2, 2, 2, 2}).bytes(2, timestamp(heardAt)).varint(5, negative(-60)).double(6, 7.5)
	raw := message{}.varint(1, 3).text(2, "app").text(3, "device").bytes(4, eui).bytes(5, far).bytes(5, near).
		varint(9, 12).varint(10, 6).bytes(11, []byte{0xab, 0xcd}).text(12, `{"open":true}`)
	f := opened(t, "application/3/device/24e124136b502217/event/up", raw)
	want := grid.Uplink{Kind: grid.Report, Port: 6, Counter: 12, HasCounter: true, At: heardAt, RSSIdBm: -60, SNRdB: 7.5,
		HasRSSI: true, HasSNR: true, Gateway: "0202020202020202"}
	if !sameUplink(f.Uplink, want) || hex.EncodeToString(f.Payload) != "abcd" {
		t.Errorf("got %+v %x: want %+v", f.Uplink, f.Payload, want)
	}
}

func TestChirpStackVersion3JSONHasIdentifiersInBase64(t *testing.T) {
	raw := `{"applicationID":"1","deviceName":"d","devEUI":"JOEkE2tQIhc=","rxInfo":[{"gatewayID":"AgICAgICAgI=","time":"2026-03-04T05:06:07.89Z","rssi":-60,"loRaSNR":7.5}],
		"fCnt":12,"fPort":6,"data":"q80=","objectJSON":"{\"open\":true,\"devEUI\":\"x\"}"}`
	f := opened(t, "application/1/device/24e124136b502217/event/up", []byte(raw))
	want := grid.Uplink{Kind: grid.Report, Port: 6, Counter: 12, HasCounter: true, At: heardAt, RSSIdBm: -60, SNRdB: 7.5,
		HasRSSI: true, HasSNR: true, Gateway: "0202020202020202"}
	if !sameUplink(f.Uplink, want) || hex.EncodeToString(f.Payload) != "abcd" {
		t.Errorf("got %+v %x: want %+v", f.Uplink, f.Payload, want)
	}
	// On a topic of the user's own the identity is in the message, in either form.
	r := NewRouter(10, Rule{Topic: "lns/#", Envelope: ChirpStack})
	f = grid.Frame{Envelope: ChirpStack, Address: "lns/door-7", Raw: []byte(raw)}
	if err := Open(&f); err != nil || f.Kind != grid.Report || f.Port != 6 {
		t.Errorf("on a topic that names no event: got %+v, %v", f.Uplink, err)
	}
	for _, raw := range []string{raw, strings.Replace(raw, "JOEkE2tQIhc=", "24E124136B502217", 1), `{"deviceInfo":{"devEui":"24e124136b502217"},"data":"AQ=="}`} {
		if id, envelope, note := r.Identify("lns/7/up", []byte(raw)); id != "eui:24e124136b502217" || envelope != ChirpStack {
			t.Errorf("%s: got %q %q %q", raw, id, envelope, note)
		}
	}
}

func TestChirpStackStatusGivesTheBatteryAndNothingOnExternalPower(t *testing.T) {
	const topic = "application/1/device/24e124136b502217/event/status"
	proto := message{}.text(1, "57433366").varint(5, 12).float(8, 73.5)
	for name, raw := range map[string][]byte{
		"json":     []byte(`{"margin":12,"batteryLevel":73.5}`),
		"protobuf": proto,
		"v3":       message{}.varint(1, 3).varint(5, 12).float(8, 73.5),
	} {
		if f := opened(t, topic, raw); f.Kind != grid.Status || f.NotHeard || !f.HasBattery || f.BatteryPct != 73.5 || f.SNRdB != 12 {
			t.Errorf("%s: got %+v", name, f.Uplink)
		}
	}
	for name, raw := range map[string][]byte{
		"external":             []byte(`{"margin":12,"externalPowerSource":true,"batteryLevel":73.5}`),
		"unavailable":          []byte(`{"batteryLevelUnavailable":true}`),
		"external protobuf":    proto.varint(6, 1),
		"unavailable protobuf": proto.varint(7, 1),
		"beyond":               []byte(`{"batteryLevel":700}`),
	} {
		if f := opened(t, topic, raw); f.HasBattery {
			t.Errorf("%s: got %+v", name, f.Uplink)
		}
	}
	if f := opened(t, topic, []byte(`{"margin":12}`)); !f.HasBattery || f.BatteryPct != 0 {
		t.Errorf("an empty battery is left out: got %+v", f.Uplink)
	}
}

func TestWhatTheNetworkSaysOfADeviceIsNoWordOfIt(t *testing.T) {
	const device = "application/1/device/24e124136b502217/event/"
	for _, c := range []struct {
		topic, raw string
		kind       grid.UplinkKind
		notHeard   bool
	}{
		{device + "join", `{}`, grid.Join, false},
		{device + "ack", `{"acknowledged":true}`, grid.Answer, false},
		{device + "ack", `{}`, grid.Answer, true}, // the time for it ran out
		{device + "txack", `{}`, grid.Answer, true},
		{device + "log", `{"level":"ERROR"}`, grid.Status, true},
		{device + "status", `{}`, grid.Status, false},
		{"v3/a@t/devices/d/join", `{"end_device_ids":{"dev_eui":"24E124136B502217"},"join_accept":{}}`, grid.Join, false},
		{"v3/a@t/devices/d/down/ack", `{"end_device_ids":{"dev_eui":"24E124136B502217"},"downlink_ack":{}}`, grid.Answer, false},
		{"v3/a@t/devices/d/down/failed", `{"end_device_ids":{"dev_eui":"24E124136B502217"},"downlink_failed":{}}`, grid.Answer, true},
		{"v3/a@t/devices/d/service/data", `{"end_device_ids":{"dev_eui":"24E124136B502217"},"service_data":{}}`, grid.Status, true},
		{"gridgate/loriot/x", `{"cmd":"txd","EUI":"24E124136B502217"}`, grid.Answer, true},
		{"gridgate/milesight/x", `{"devEUI":"24e124136b502217","devAddr":"01020304"}`, grid.Join, false},
		{"gridgate/milesight/x", `{"devEUI":"24e124136b502217","acknowledged":true,"fCnt":3}`, grid.Answer, false},
		{"zigbee2mqtt/a/availability", `{"state":"online"}`, grid.Status, false},
		{"zigbee2mqtt/a/availability", `{"state":"offline"}`, grid.Status, true},
		{"tele/a/LWT", `Online`, grid.Status, false},
		{"tele/a/LWT", `Offline`, grid.Status, true},
		{"tele/a/STATE", `{"Vcc":3.1}`, grid.Status, false},
		{"stat/a/RESULT", `{"POWER":"ON"}`, grid.Answer, false},
		{"gridgate/onenet/x", `{"msg":{"type":2,"status":0,"imei":"867723030000001"}}`, grid.Status, true},
		{"gridgate/onenet/x", `{"msg":{"type":2,"status":1,"imei":"867723030000001"}}`, grid.Status, false},
		{"gridgate/ctwing/x", `{"messageType":"deviceOnlineOfflineReport","eventType":0,"IMEI":"867723030000001"}`, grid.Status, true},
		{"gridgate/ctwing/x", `{"messageType":"deviceOnlineOfflineReport","eventType":1,"IMEI":"867723030000001"}`, grid.Status, false},
		{"gridgate/ctwing/x", `{"messageType":"commandResponse","IMEI":"867723030000001"}`, grid.Answer, false},
		{"gridgate/tuya/x", `{"devId":"abc","bizCode":"offline","bizData":{"time":1}}`, grid.Status, true},
		{"gridgate/tuya/x", `{"devId":"abc","bizCode":"online","bizData":{"time":1}}`, grid.Status, false},
	} {
		if f := opened(t, c.topic, []byte(c.raw)); f.Kind != c.kind || f.NotHeard != c.notHeard || f.Payload != nil {
			t.Errorf("%s %s: got %+v", c.topic, c.raw, f.Uplink)
		}
	}
}

func TestTheThingsStackLeavesOutWhatIsZeroAndNamesTheDeviceInTheMessage(t *testing.T) {
	f := opened(t, "v3/app@ttn/devices/cover-7/up", []byte(`{"end_device_ids":{"device_id":"cover-7","dev_eui":"24E124136B502217"},"received_at":"2026-03-04T05:06:08Z",
		"uplink_message":{"frm_payload":"AQ==","received_at":"2026-03-04T05:06:07.89Z","version_ids":{"brand_id":"milesight-iot","model_id":"em310-tilt"},
		"last_battery_percentage":{"value":88.5},
		"rx_metadata":[{"gateway_ids":{"gateway_id":"packetbroker"},"packet_broker":{"forwarder_gateway_eui":"AABBCCDDEEFF0011"},"rssi":-70},{"gateway_ids":{"gateway_id":"g","eui":"00"},"rssi":-99,"snr":2}]}}`))
	want := grid.Uplink{Kind: grid.Report, Port: 0, HasCounter: true, At: heardAt, RSSIdBm: -70, HasRSSI: true, HasSNR: true,
		Gateway: "aabbccddeeff0011", Model: "milesight-iot em310-tilt", BatteryPct: 88.5, HasBattery: true}
	if f.Identity != "eui:24e124136b502217" || !sameUplink(f.Uplink, want) || string(f.Payload) != "\x01" {
		t.Errorf("got %s %+v: want %+v", f.Identity, f.Uplink, want)
	}
	if id, _, note := Identify("v3/app@ttn/devices/cover-7/up", []byte(`{"end_device_ids":{"device_id":"cover-7","application_ids":{"application_id":"app"}}}`)); id != "tts:app/cover-7" {
		t.Errorf("without an EUI: got %q %q", id, note)
	}
	// The device of a topic may get other hardware: nothing is remembered of it.
	r := NewRouter(10)
	for _, eui := range []string{"24e124136b502217", "24e124136b502218"} {
		if id, _, _ := r.Identify("v3/app@ttn/devices/cover-7/up", []byte(`{"end_device_ids":{"dev_eui":"`+eui+`"}}`)); string(id) != "eui:"+eui {
			t.Errorf("got %s: want %s", id, eui)
		}
	}
}

func TestLORIOTSendsAnUplinkOnceMoreWithItsGateways(t *testing.T) {
	rx := opened(t, "gridgate/loriot/a", []byte(`{"cmd":"rx","EUI":"24E124136B502217","ts":1772600767890,"fcnt":9,"port":85,"rssi":-80,"snr":4.5,"bat":127,"data":"01756A"}`))
	gw := opened(t, "gridgate/loriot/a", []byte(`{"cmd":"gw","EUI":"24E124136B502217","ts":1772600767890,"fcnt":9,"port":85,"bat":127,"data":"01756A",
		"gws":[{"rssi":-99,"snr":1,"gweui":"0000000000000001"},{"rssi":-80,"snr":4.5,"gweui":"00000000000000AA"}]}`))
	if gw.Gateway != "00000000000000aa" || gw.BatteryPct != 50 || !rx.HasBattery {
		t.Errorf("got %+v", gw.Uplink)
	}
	gw.Gateway = ""
	if !sameUplink(rx.Uplink, gw.Uplink) || string(rx.Payload) != string(gw.Payload) || rx.Counter != 9 || !rx.At.Equal(heardAt) {
		t.Errorf("rx is %+v, gw is %+v", rx.Uplink, gw.Uplink)
	}
	for bat, has := range map[string]bool{"0": false, "255": false, "1": true, "254": true} {
		if f := opened(t, "gridgate/loriot/a", []byte(`{"cmd":"rx","EUI":"24E124136B502217","bat":`+bat+`,"data":"01"}`)); f.HasBattery != has {
			t.Errorf("bat %s: got %+v", bat, f.Uplink)
		}
	}
}

func TestMilesightTimeThatIsMalformedIsReadOrNotSaid(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-0304T05:06:07.890Z": heardAt, "2026-03-04T05:06:07.89Z": heardAt, "yesterday": {}, "2026-03": {},
	} {
		f := opened(t, "gridgate/milesight/a", []byte(`{"devEUI":"24e124136b502217","time":"`+text+`","fPort":85,"data":"AQ=="}`))
		if !f.At.Equal(want) {
			t.Errorf("%q: got %s: want %s", text, f.At, want)
		}
	}
}

func TestBrokenNetworkMessagesArePermanentErrorsThatSayWhy(t *testing.T) {
	const eui = `"EUI":"24E124136B502217"`
	for _, c := range []struct{ envelope, raw, want string }{
		{TheThings, `{"uplink_message":{"f_port":700}}`, "f_port is 700"},
		{TheThings, `{"uplink_message":{"frm_payload":"%"}}`, "want base64"},
		{TheThings, `{}`, "has no uplink_message"},
		{TheThings, `[`, "is no JSON"},
		{LORIOT, `{}`, "has no cmd"},
		{LORIOT, `{"cmd":"rx",` + eui + `,"data":"0"}`, "want hexadecimal"},
		{LORIOT, `{"cmd":"rx",` + eui + `,"encdata":"00"}`, "is encrypted"},
		{LORIOT, `{"cmd":"rx",` + eui + `,"fcnt":-1}`, "fcnt is -1"},
		{Milesight, `{"data":7}`, "want base64"},
		{OneNET, `{}`, "has no msg"},
		{OneNET, `{"enc_msg":"x"}`, "is encrypted"},
		{OneNET, `{"msg":7}`, "want an object or an array"},
		{OneNET, `{"msg":[]}`, "no records"},
		{OneNET, `{"msg":"{"}`, "msg is no JSON"},
		{OneNET, `{"msg":{"type":1,"imei":"1","ds_id":"3200","value":1}}`, "want object_instance_resource"},
		{OneNET, `{"msg":{"type":1,"imei":"1","ds_id":"3200_0_1","value":{}}}`, "want a number"},
		{OneNET, `{"msg":[{"type":1,"imei":"1"},{"type":1,"imei":"2"}]}`, "several devices"},
		{CTWing, `{}`, "has no messageType"},
		{CTWing, `{"messageType":"dataReport","payload":7}`, "want an object or an array"},
		{CTWing, `{"messageType":"dataReport","payload":[{"APPdata":"AQ=="},{"APPdata":"AQ=="}]}`, "want one"},
		{CTWing, `{"messageType":"dataReport","payload":{"APPdata":"%"}}`, "want base64"},
		{CTWing, `{"messageType":"dataReport","payload":{"serviceData":7}}`, "want an object"},
		{Tuya, `{}`, "has neither"},
		{Tuya, `{"status":[{"value":1}]}`, "has no code"},
		{Tuya, `{"data":"cipher","protocol":4}`, "has neither"},
		{SparkplugB, "\xff", "topic"},
		{Tasmota, "{}", "topic"},
		{"carrier-pigeon", "", "want native"},
	} {
		f := grid.Frame{Envelope: c.envelope, Address: "x/y", Raw: []byte(c.raw)}
		err := Open(&f)
		if err == nil || !strings.Contains(err.Error(), c.want) || grid.CodeOf(err) != grid.Invalid || len(err.Error()) > 400 {
			t.Errorf("%s %.60s: got %v: want an invalid error with %q", c.envelope, c.raw, err, c.want)
		}
	}
}
