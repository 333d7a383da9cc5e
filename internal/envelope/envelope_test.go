package envelope

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestIdentifyReadsWhoSentAMessageFromItsTopic(t *testing.T) {
	for _, c := range []struct {
		topic, id, envelope, note string
	}{
		{"gridgate/up/eui:24E124136B502217", "eui:24e124136b502217", Native, ""},
		{"gridgate/up/eui:24e124136b502217/85", "eui:24e124136b502217", Native, ""},
		{"gridgate/up/24E124136B502217", "eui:24e124136b502217", Native, ""},
		{"gridgate/up/imei:867723030000001", "imei:867723030000001", Native, ""},
		{"gridgate/up/gb26875:010203040506", "gb26875:010203040506", Native, ""},
		{"gridgate/up/modbus:plant%2F7", "modbus:plant/7", Native, ""},
		{"gridgate/up/modbus:plant%2F7/1", "modbus:plant/7", Native, ""},
		{"/up/imei:867723030000001", "imei:867723030000001", Native, ""},
		{"/up/imei:867723030000001?port=3", "imei:867723030000001", Native, ""},
		{"/up/eui:24e124136b502217?x=1&port=85", "eui:24e124136b502217", Native, ""},
		{"application/ca739e26-7b67/device/24E124136B502217/event/up", "eui:24e124136b502217", ChirpStack, ""},
		{"application/1/device/24e124136b502217/event/join", "eui:24e124136b502217", ChirpStack, ""},
		{"zigbee2mqtt/Kitchen_Smoke", "z2m:kitchen_smoke", Zigbee2MQTT, ""},
		{"zigbee2mqtt/floor 1/厨房烟感", "z2m:floor 1/厨房烟感", Zigbee2MQTT, ""},
		{"zigbee2mqtt/0x00158d0001a2b3c4/availability", "z2m:0x00158d0001a2b3c4", Zigbee2MQTT, ""},

		{"zigbee2mqtt/bridge/state", "", Zigbee2MQTT, "is of the bridge"},
		{"zigbee2mqtt/lamp/set", "", Zigbee2MQTT, "is a command"},
		{"zigbee2mqtt/lamp/set/brightness", "", Zigbee2MQTT, "is a command"},
		{"zigbee2mqtt/", "", Zigbee2MQTT, "has no name"},
		{"zigbee2mqtt/a\x00b", "", Zigbee2MQTT, "has the character"},
		{"zigbee2mqtt/a\xffb", "", Zigbee2MQTT, "is not UTF-8"},
		{"gridgate/up/", "", Native, "has no kind"},
		{"gridgate/up/door7", "", Native, "has no kind"},
		{"gridgate/up/eui:24e124", "", Native, "want 16 hex digits"},
		{"gridgate/up/sn:a b", "", Native, "has the character"},
		{"gridgate/up/sn:门7", "", Native, "has the character"},
		{"gridgate/up/sn:" + strings.Repeat("9", 200), "", Native, "want at most 128"},
		{"gridgate/up/sn:1/eighty", "", Native, "want 0 to 65535"},
		{"gridgate/up/sn:1/2/3", "", Native, "want 0 to 65535"},
		{"gridgate/up/sn:%zz", "", Native, "want %2F"},
		{"/up/sn:1?port=-1", "", Native, "want 0 to 65535"},
		{"application/1/device/24e124136b50221/event/up", "", ChirpStack, "want 16 hex digits"},
		{"application/1/gateway/24e124136b502217/event/up", "", ChirpStack, "want application/"},
		{"application/1/device/24e124136b502217/event", "", ChirpStack, "want application/"},
		{"sensors/door/7", "", "", "is of no known envelope"},
		{"gridgate/down/eui:24e124136b502217", "", Native, "is a command to a device"},
		{"", "", "", "is of no known envelope"},
	} {
		id, envelope, note := Identify(c.topic, nil)
		if string(id) != c.id || envelope != c.envelope || !strings.Contains(note, c.note) || (note == "") != (c.note == "") {
			t.Errorf("%q: got %q, %q, %q: want %q, %q, %q", c.topic, id, envelope, note, c.id, c.envelope, c.note)
		}
	}
}

func TestRouterAnswersAsIdentifyDoes(t *testing.T) {
	r := NewRouter(0)
	for range 3 {
		for _, topic := range []string{"gridgate/up/imei:867723030000001/3", "zigbee2mqtt/bridge/state", "x", "application/1/device/24e124136b502217/event/up"} {
			id, envelope, note := r.Identify(topic, nil)
			wantID, wantEnvelope, wantNote := Identify(topic, nil)
			if id != wantID || envelope != wantEnvelope || note != wantNote {
				t.Errorf("%q: got %q, %q, %q", topic, id, envelope, note)
			}
		}
	}
}

func TestNativeEnvelopeTakesThePortFromTheAddress(t *testing.T) {
	for address, port := range map[string]int{
		"gridgate/up/sn:1": -1, "gridgate/up/sn:1/0": 0, "gridgate/up/sn:1/85": 85,
		"/up/sn:1": -1, "/up/sn:1?port=3": 3, "gridgate/up/modbus:a%2F7/9": 9,
	} {
		f := grid.Frame{Envelope: Native, Address: address, Raw: []byte{1, 2}}
		if err := Open(&f); err != nil {
			t.Fatal(err)
		}
		if f.Port != port || string(f.Payload) != "\x01\x02" || f.Kind != grid.Report || f.HasCounter {
			t.Errorf("%s: got %+v: want port %d", address, f.Uplink, port)
		}
	}
}

const upTopic = "application/1/device/8df95720000ee928/event/up"

func openUp(raw string) (grid.Frame, error) {
	f := grid.Frame{Envelope: ChirpStack, Address: upTopic, Raw: []byte(raw)}
	return f, Open(&f)
}

func TestChirpStackUplinkGivesEverythingItSays(t *testing.T) {
	f, err := openUp(`{"time":"2024-11-10T14:55:31.319593255+00:00","deviceInfo":{"deviceProfileName":"SD1001","devEui":"8df95720000ee928"},
		"fCnt":7,"fPort":8,"data":"AXVk","rxInfo":[
		{"gatewayId":"far","rssi":-110,"snr":-3},{"gatewayId":"near","rssi":-47,"snr":9.25},{"gatewayId":"mid","rssi":-80}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := grid.Uplink{Kind: grid.Report, Port: 8, Counter: 7, HasCounter: true, At: time.Date(2024, 11, 10, 14, 55, 31, 319593255, time.UTC),
		RSSIdBm: -47, SNRdB: 9.25, HasRSSI: true, HasSNR: true, Gateway: "near", Model: "SD1001"}
	if string(f.Payload) != "\x01\x75\x64" {
		t.Errorf("got payload %x", f.Payload)
	}
	f.Payload = nil
	if !sameUplink(f.Uplink, want) {
		t.Errorf("got %+v: want %+v", f.Uplink, want)
	}
}

func sameUplink(a, b grid.Uplink) bool {
	sameTime := a.At.Equal(b.At)
	a.At, b.At = time.Time{}, time.Time{}
	a.Payload, b.Payload = nil, nil
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return sameTime && string(x) == string(y)
}

func TestChirpStackLeavesOutWhatIsZero(t *testing.T) {
	f, err := openUp(`{"fPort":1,"data":"AA==","rxInfo":[{"gatewayId":"g","rssi":-40}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if f.Counter != 0 || !f.HasCounter || !f.HasSNR || f.SNRdB != 0 || !f.At.IsZero() || len(f.Payload) != 1 {
		t.Errorf("got %+v", f.Uplink)
	}
	f, err = openUp(`{"fCnt":3}`)
	if err != nil || f.Kind != grid.Status || f.HasRSSI || f.HasSNR {
		t.Errorf("an uplink without data: got %+v, %v: want Status", f.Uplink, err)
	}
}

func TestChirpStackEventsAreWhatTheirTopicSays(t *testing.T) {
	for event, kind := range map[string]grid.UplinkKind{
		"up": grid.Report, "join": grid.Join, "status": grid.Status, "ack": grid.Answer,
		"txack": grid.Answer, "log": grid.Status, "location": grid.Status, "integration": grid.Status,
	} {
		f := grid.Frame{Envelope: ChirpStack, Address: "application/1/device/8df95720000ee928/event/" + event, Raw: []byte(`{"data":"AQ==","fPort":1}`)}
		if err := Open(&f); err != nil || f.Kind != kind {
			t.Errorf("%s: got %v, %v: want %v", event, f.Kind, err, kind)
		}
	}
}

func TestZigbeePayloadIsTheMessageItself(t *testing.T) {
	open := func(topic, raw string) grid.Frame {
		f := grid.Frame{Envelope: Zigbee2MQTT, Address: topic, Raw: []byte(raw)}
		if err := Open(&f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := open("zigbee2mqtt/a", `{"smoke":true}`); f.Kind != grid.Report || string(f.Payload) != `{"smoke":true}` || f.Port != -1 {
		t.Errorf("got %+v", f.Uplink)
	}
	if f := open("zigbee2mqtt/a/availability", "online"); f.Kind != grid.Status {
		t.Errorf("got %+v", f.Uplink)
	}
	if f := open("zigbee2mqtt/a", ""); f.Kind != grid.Status {
		t.Errorf("got %+v", f.Uplink)
	}
}

func TestWhatCannotBeOpenedIsAPermanentErrorThatSaysWhy(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                     "is empty: want JSON or protobuf",
		"{":                                    "is no JSON",
		`{"fCnt":1`:                            "is no JSON",
		"[]":                                   "is no protobuf message",
		`"up"`:                                 "is no protobuf message",
		"{\"data\":\"\xff\"}":                  "is not UTF-8",
		`{"data":"%%"}`:                        "want base64",
		`{"data":7}`:                           "want base64",
		`{"fCnt":-1,"data":"AQ=="}`:            "fCnt is -1",
		`{"fCnt":1e30,"data":"AQ=="}`:          "fCnt is",
		`{"fCnt":"7","data":"AQ=="}`:           "fCnt is",
		`{"fPort":700,"data":"AQ=="}`:          "fPort is 700: want 0 to 255",
		strings.Repeat("[", 100_000):           "is no protobuf message",
		`{"a":` + strings.Repeat("[", 100_000): "is no JSON",
		strings.Repeat(`{"a":`, 5_000):         "is no JSON",
		"{" + strings.Repeat(" ", 1<<20) + "}": "want at most 262144",
	} {
		_, err := openUp(raw)
		if err == nil || !strings.Contains(err.Error(), want) || grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%.40q: got %v: want an invalid error with %q", raw, err, want)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%.40q: error has %d bytes", raw, len(err.Error()))
		}
	}
	f := grid.Frame{Envelope: "carrier-pigeon"}
	if err := Open(&f); err == nil || !strings.Contains(err.Error(), "want native") {
		t.Errorf("got %v", err)
	}
	f = grid.Frame{Envelope: Native, Flags: grid.Refused, Note: "1048576 bytes"}
	if err := Open(&f); err == nil || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestMalformedTimeAndSignalAreNotSaid(t *testing.T) {
	f, err := openUp(`{"time":"yesterday","fPort":1,"data":"AQ==","rxInfo":[{"gatewayId":"g","rssi":"loud","snr":1e300}]}`)
	if err != nil || !f.At.IsZero() || f.HasRSSI || f.HasSNR || f.Gateway != "g" {
		t.Errorf("got %+v, %v", f.Uplink, err)
	}
}

func BenchmarkOpenChirpStack(b *testing.B) {
	raw := chirpStackVectors(b)[0].Envelope
	f := grid.Frame{Envelope: ChirpStack, Address: upTopic, Raw: raw}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Open(&f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Identify(upTopic, nil)
	}
}

func BenchmarkRouterIdentify(b *testing.B) {
	r := NewRouter(1000)
	b.ReportAllocs()
	for b.Loop() {
		r.Identify(upTopic, nil)
	}
}

func BenchmarkOpenNative(b *testing.B) {
	f := grid.Frame{Envelope: Native, Address: "gridgate/up/eui:24e124136b502217/85", Raw: []byte{1, 2, 3}}
	b.ReportAllocs()
	for b.Loop() {
		if err := Open(&f); err != nil {
			b.Fatal(err)
		}
	}
}
