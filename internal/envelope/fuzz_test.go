package envelope

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// samples are messages of every envelope, on a topic of it.
func samples() []struct{ topic, raw string } {
	const onenet, ctwing, tuya = "gridgate/onenet/x", "gridgate/ctwing/x", "gridgate/tuya/x"
	return []struct{ topic, raw string }{
		{"gridgate/up/eui:24e124136b502217/85", "\x01\x75"}, {"/up/imei:867723030000001?port=3", "x"}, {"gridgate/up/modbus:a%2F7", ""},
		{upTopic, `{"time":"2024-11-10T14:55:31Z","fCnt":7,"fPort":8,"data":"AXVk","rxInfo":[{"gatewayId":"g","rssi":-47,"snr":9.2}]}`},
		{upTopic, `{"fCnt":NaN,"rxInfo":[{"rssi":inf}]}`}, {upTopic, `{"rxInfo":7,"data":null}`}, {upTopic, ""}, {upTopic, "\x00"}, {upTopic, `{"data":"AXV`},
		{upTopic, `{"devEUI":"JOEkE2tQIhc=","rxInfo":[{"gatewayID":"AgICAgICAgI=","loRaSNR":7.5,"rssi":-60}],"data":"q80="}`},
		{upTopic, string(message{}.text(1, "57433366").bytes(2, timestamp(heardAt)).bytes(3, message{}.text(8, "24e124136b502217")).varint(7, 3).varint(8, 85).bytes(10, []byte{1}).bytes(12, message{}.text(1, "g").varint(6, negative(-4)).float(7, 2)))},
		{upTopic, string(message{}.varint(1, 3).bytes(4, make([]byte, 8)).bytes(5, message{}.varint(5, negative(-4)).double(6, math.Inf(1))).varint(9, 1<<40).bytes(11, []byte{1}))},
		{strings.Replace(upTopic, "/up", "/status", 1), string(message{}.text(1, "a").float(8, float32(math.NaN())))},
		{"lns/status", `{"deviceInfo":{"devEui":"24e124136b502217"},"batteryLevel":7,"margin":-3}`},
		{"v3/app@ttn/devices/d/up", `{"end_device_ids":{"dev_eui":"24E124136B502217"},"uplink_message":{"f_port":2,"frm_payload":"ARI=","rx_metadata":[{"gateway_ids":{"eui":"0A"},"rssi":-35,"snr":13.2}]}}`},
		{"v3/app@ttn/devices/d/down/ack", `{"downlink_ack":{}}`},
		{"v3/app@ttn/devices/d/down/failed", `{"end_device_ids":{"dev_eui":"24E124136B502217"},"downlink_failed":{"downlink":{"correlation_ids":["gridgate:x"]},"error":{"name":"n"}}}`},
		{strings.Replace(upTopic, "/up", "/txack", 1), `{"queueItemId":"0198b5bf-7e75-0000-0000-000000000007","gatewayId":"g"}`},
		{strings.Replace(upTopic, "/up", "/log", 1), string(message{}.varint(3, 2).text(5, "d").bytes(6, message{}.text(1, "queue_item_id").text(2, "0198b5bf-7e75-0000-0000-000000000007")))},
		{"gridgate/loriot/x", `{"cmd":"gw","EUI":"24E124136B502217","ts":1772600767890,"fcnt":9,"port":85,"gws":[{"rssi":-99}],"bat":94,"data":"0112"}`},
		{"gridgate/milesight/x", `{"devEUI":"24e124136b502217","time":"2020-0327T12:39:05.547336Z","rxInfo":[{"mac":"a","rssi":-57,"loRaSNR":10}],"fPort":85,"data":"AXVk"}`},
		{"zigbee2mqtt/厨房?model=a%20b", `{"smoke":true}`}, {"zigbee2mqtt/x/availability", "online"}, {"zigbee2mqtt/bridge/state", "x"}, {"zigbee2mqtt/bridge/devices", `[{"friendly_name":"x","model_id":"m"}]`},
		{"tele/b/SENSOR", `{"Time":"2026-03-04T05:06:07","ZbReceived":{"0x4773":{"Name":"k","BatteryPercentage":91}}}`}, {"stat/b/RESULT", `{"Switch1":{}}`}, {"tele/b/STATE", `{"Wifi":{"Signal":-60}}`}, {"tele/b/LWT", "Online"},
		{onenet, `{"msg":{"at":1772600767890,"imei":"867723030000001","type":1,"ds_id":"3300_0_5700","value":-115}}`}, {onenet, `{"msg":"[{\"type\":1,\"imei\":1,\"ds_id\":\"19_0_0\",\"value\":\"0A0b\"}]"}`},
		{ctwing, `{"messageType":"dataReport","timestamp":5,"IMEI":"1","payload":[{"serviceData":{"smoke":1,"RSRP":98}},{"serviceData":{"smoke":0}}]}`}, {ctwing, `{"messageType":"dataReport","IMEI":1,"payload":{"APPdata":"QEABAA=="}}`},
		{tuya, `{"devId":"6C95","status":[{"code":"s","value":"alarm","t":1772600767890}]}`}, {"tylink/6C95/thing/property/report", `{"data":{"s":{"value":1e400,"time":1}}}`},
		{"spBv1.0/g/NBIRTH/n", string(sparkplug(0, bdSeq(1), named("a").varint(2, 1).typ(1)))}, {"spBv1.0/g/DDATA/n/d?alias=3:a,4:b:2,:c:1", string(sparkplug(1, aliased(3).varint(10, 255), aliased(4).is(true)))},
		{"spBv1.0/g/NDATA/n", string(sparkplug(1, named("f").double(13, math.Inf(-1)).varint(5, 1)))}, {"spBv1.0/g/NDEATH/n", string(sparkplug(-1, bdSeq(1)))},
		{"\xff", ""}, {"gridgate/up/%", ""}, {"/up/?port", ""},
	}
}

// FuzzIdentify: an identity is of the one form, or there is none and a note says why; and
// a router answers the same from its memory.
func FuzzIdentify(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.topic, s.raw)
	}
	f.Fuzz(func(t *testing.T, topic, raw string) {
		id, envelope, note := Identify(topic, []byte(raw))
		if (id == "") == (note == "") {
			t.Fatalf("%q: got %q, %q", topic, id, note)
		}
		if !utf8.ValidString(string(id)) || len(id) > maxIdentity || strings.ToLower(string(id)) != string(id) || !utf8.ValidString(note) || len(note) > 1000 {
			t.Fatalf("%q: got %q, %q", topic, id, note)
		}
		if kind, _, ok := strings.Cut(string(id), ":"); id != "" && (!ok || kind == "") {
			t.Fatalf("%q: got %q", topic, id)
		}
		r := NewRouter(4)
		for range 2 {
			if again, same, why := r.Identify(topic, []byte(raw)); again != id || same != envelope || why != note {
				t.Fatalf("%q: the router says %q %q %q", topic, again, same, why)
			}
		}
	})
}

// FuzzOpen: a message opens to finite numbers and bounded bytes, or is a permanent error.
func FuzzOpen(f *testing.F) {
	for _, s := range samples() {
		for which := range append(Names(), Native) {
			f.Add(s.topic, s.raw, uint8(which))
		}
	}
	f.Fuzz(func(t *testing.T, topic, raw string, which uint8) {
		names := append(Names(), Native)
		frame := grid.Frame{Raw: []byte(raw), Address: topic, Envelope: names[int(which)%len(names)]}
		err := Open(&frame)
		if err != nil && (grid.CodeOf(err) != grid.Invalid || len(err.Error()) > 1000) {
			t.Fatalf("got %v: want invalid", err)
		}
		for _, x := range []float64{float64(frame.RSSIdBm), float64(frame.SNRdB), float64(frame.BatteryPct)} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("got %+v", frame.Uplink)
			}
		}
		if err != nil {
			return
		}
		if frame.Kind.Ignored() != (frame.Payload == nil) && frame.Envelope != Native {
			t.Fatalf("got %+v", frame.Uplink)
		}
		if !utf8.ValidString(frame.Gateway) || !utf8.ValidString(frame.Model) && frame.Envelope != Zigbee2MQTT || frame.HasBattery && (frame.BatteryPct < 0 || frame.BatteryPct > 100) {
			t.Fatalf("got %+v", frame.Uplink)
		}
		if slicesJSON(frame.Envelope) && len(frame.Payload) > 0 && frame.Format != formatOctets {
			if err := fastjson.ValidateBytes(frame.Payload); err != nil {
				t.Fatalf("payload %s: %v", frame.Payload, err)
			}
		}
	})
}

// slicesJSON says that an envelope makes a JSON payload of its own.
func slicesJSON(envelope string) bool {
	return envelope == SparkplugB || envelope == OneNET || envelope == Tuya
}

// FuzzMemory: whatever a wire brings, memory stays within its bounds, changes nothing of
// a frame but its address and that it is to be ignored, and the address stays readable.
func FuzzMemory(f *testing.F) {
	for _, s := range samples() {
		for _, then := range samples() {
			f.Add(s.topic, s.raw, then.topic, then.raw)
		}
	}
	f.Fuzz(func(t *testing.T, topic, raw, thenTopic, thenRaw string) {
		m := NewMemory()
		for i, s := range [][2]string{{topic, raw}, {thenTopic, thenRaw}, {thenTopic, thenRaw}} {
			frame := grid.Frame{Address: s[0], Raw: []byte(s[1]), Received: heardAt.Add(time.Duration(i) * time.Second)}
			frame.Identity, frame.Envelope, frame.Note = Identify(s[0], frame.Raw)
			was := frame
			m.Remember(&frame, func(topic string, payload []byte) {
				if !strings.HasPrefix(topic, "spBv1.0/") || strings.ContainsAny(topic, "+#") && !strings.ContainsAny(s[0], "+#") {
					t.Fatalf("asks %q", topic)
				}
			})
			rest, ok := strings.CutPrefix(frame.Address, was.Address)
			if !ok || rest != "" && rest[0] != '?' || len(rest) > 2*maxAliases || !bytes.Equal(frame.Raw, was.Raw) || frame.Flags&^grid.Marker != 0 {
				t.Fatalf("%+v became %+v", was, frame)
			}
			if err := Open(&frame); err != nil && strings.Contains(err.Error(), "address:") && rest != "" {
				t.Fatalf("address %q: %v", frame.Address, err)
			}
		}
		left := 0
		for _, key := range m.nodes.Keys() {
			node, _ := m.nodes.Peek(key)
			for _, b := range node.births {
				left += b.bytes
			}
		}
		if left != m.bytes {
			t.Fatalf("counts %d bytes of names, has %d", m.bytes, left)
		}
	})
}

// BenchmarkOpenWorst opens the messages of the largest size that take longest: the bound
// is 10 ms and 16 MiB.
func BenchmarkOpenWorst(b *testing.B) {
	fill := func(head, item, tail string) string {
		n := (maxEnvelope - len(head) - len(tail)) / len(item)
		return head + strings.Repeat(item, n) + tail
	}
	var metrics []message
	for i := range maxValues {
		metrics = append(metrics, named(fmt.Sprintf("metric/of/a/long/name/%08d/%s", i, "xxxxx")).varint(10, 7).varint(3, uint64(i)).varint(5, 1))
	}
	for name, c := range map[string]struct{ topic, raw string }{
		"Sparkplug":  {"spBv1.0/g/NDATA/n", string(sparkplug(1, metrics...))},
		"OneNET":     {"gridgate/onenet/x", `{"msg":[` + strings.TrimSuffix(strings.Repeat(`{"imei":1,"type":1,"ds_id":"1_2_3","value":1},`, maxValues), ",") + `]}`},
		"CTWing":     {"gridgate/ctwing/x", fill(`{"messageType":"dataReport","IMEI":1,"payload":{"serviceData":{`, `"a":1,`, `"b":1}}}`)},
		"ChirpStack": {upTopic, fill(`{"data":"AQ==","rxInfo":[`, `{"rssi":-1},`, `{}]}`)},
		"Protobuf":   {upTopic, string(message{}.text(1, "x").bytes(3, bytes.Repeat(message{}.text(8, "a"), 60_000)))},
		"Nested":     {"gridgate/tuya/x", fill(`{"data":{"a":`, `[`, ``)},
	} {
		b.Run(name, func(b *testing.B) {
			_, envelope, _ := Identify(c.topic, []byte(c.raw))
			f := grid.Frame{Envelope: envelope, Address: c.topic, Raw: []byte(c.raw)}
			b.ReportAllocs()
			for b.Loop() {
				_ = Open(&f)
			}
			b.ReportMetric(float64(len(c.raw)), "bytes")
		})
	}
}
