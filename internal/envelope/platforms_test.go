package envelope

import (
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func TestRouterHoldsConfiguredTopicsBeforeTheFixedOnes(t *testing.T) {
	r := NewRouter(100, Rule{Topic: "radio/+/up", Envelope: LORIOT}, Rule{Topic: "radio/#", Envelope: Milesight}, Rule{Topic: "floor2/z2m/#", Envelope: Zigbee2MQTT}, Rule{Topic: "home/#", Envelope: Tasmota}, Rule{Topic: "gridgate/up/lora/#", Envelope: LORIOT})
	const loriot, milesight = `{"cmd":"rx","EUI":"24E124136B502217"}`, `{"devEUI":"24e124136b502218","data":"AQ=="}`
	for range 2 { // from the rules, and from memory
		for _, c := range []struct{ topic, raw, id, envelope string }{
			{"radio/1/up", loriot, "eui:24e124136b502217", LORIOT},
			{"radio/1/other", milesight, "eui:24e124136b502218", Milesight},
			{"radio", milesight, "eui:24e124136b502218", Milesight},
			{"floor2/z2m/kitchen", `{}`, "z2m:floor2/z2m/kitchen", Zigbee2MQTT},
			{"home/tele/door7/SENSOR", `{}`, "tasmota:home/door7", Tasmota},
			{"home/door7/tele/SENSOR", `{}`, "tasmota:home/door7", Tasmota},
			{"gridgate/up/lora/1", loriot, "eui:24e124136b502217", LORIOT},
			{"gridgate/up/sn:7", "", "sn:7", Native},
			{"zigbee2mqtt/kitchen", `{}`, "z2m:kitchen", Zigbee2MQTT},
			{"gridgate/loriot/any", loriot, "eui:24e124136b502217", LORIOT},
		} {
			id, envelope, note := r.Identify(c.topic, []byte(c.raw))
			if string(id) != c.id || envelope != c.envelope || note != "" {
				t.Errorf("%s: got %q %q %q: want %q %q", c.topic, id, envelope, note, c.id, c.envelope)
			}
		}
	}
}

func TestMessageOfAnUnknownSenderIsKeptWithTheReason(t *testing.T) {
	for _, c := range []struct{ topic, raw, want string }{
		{"gridgate/loriot/x", `{"cmd":"rx"}`, "eui: has no name"},
		{"gridgate/loriot/x", `{`, "is no JSON"},
		{"gridgate/loriot/x", strings.Repeat(" ", 1<<20), "want at most 262144"},
		{"gridgate/milesight/x", `{"devEUI":7}`, "eui: has no name"},
		{"v3/a@t/devices/d/up", `{}`, "neither dev_eui nor device_id"},
		{"v3/a@t/devices", `{}`, "is of no known envelope"},
		{"gridgate/onenet/x", `{"msg":{"type":1}}`, "neither imei nor dev_id"},
		{"gridgate/onenet/x", `{"msg":[{"type":1,"imei":"1"},{"type":1,"imei":"2"}]}`, "messages of several devices, imei:1 and imei:2"},
		{"gridgate/ctwing/x", `{"IMEI":"undefined"}`, "neither IMEI nor deviceId"},
		{"gridgate/tuya/x", `{}`, "has no devId"},
		{"tele/SENSOR", `{}`, "has no name"},
		{"tele/b/SENSOR", `{"ZbReceived":{"0x1":{},"0x2":{}}}`, "several devices"},
		{"tele/b/SENSOR", `{"ZbReceived":{"0x1":7}}`, "want an object"},
		{"spBv1.0/g/NCMD/n", "", "is a command"},
		{"spBv1.0/g/NDATA", "", "want spBv1.0/"},
		{"spBv1.0/g/NDATA/n/d", "", "want NBIRTH"},
		{"spBv1.0/STATE/host", "", "want spBv1.0/"},
	} {
		if id, _, note := Identify(c.topic, []byte(c.raw)); id != "" || !strings.Contains(note, c.want) || len(note) > 400 {
			t.Errorf("%s %.60s: got %q %q: want a note with %q", c.topic, c.raw, id, note, c.want)
		}
	}
}

func TestTasmotaTopicIsTheIdentityAndTheMessageThePayload(t *testing.T) {
	const raw = `{"Time":"2026-03-04T05:06:07","Switch1":"ON"}`
	f := opened(t, "tele/door7/SENSOR", []byte(raw))
	if f.Identity != "tasmota:door7" || string(f.Payload) != raw || !f.At.IsZero() || f.Kind != grid.Report {
		t.Errorf("got %s %+v", f.Identity, f.Uplink)
	}
	if f = opened(t, "tele/door7/SENSOR", []byte(`{"Time":"2026-03-04T06:06:07.89+01:00"}`)); !f.At.Equal(heardAt) {
		t.Errorf("got %s: want the time with its zone", f.At)
	}
	if f = opened(t, "tele/door7/STATE", []byte(`{"Wifi":{"RSSI":74,"Signal":-63}}`)); f.RSSIdBm != -63 || !f.HasRSSI {
		t.Errorf("got %+v", f.Uplink)
	}
	const pressed = `{"Switch1":{"Action":"ON"}}`
	if f = opened(t, "stat/door7/RESULT", []byte(pressed)); f.Kind != grid.Report || string(f.Payload) != pressed {
		t.Errorf("a switch that changed: got %+v", f.Uplink)
	}
	if f = opened(t, "stat/door7/RESULT", []byte(`{"SwitchMode1":15}`)); f.Kind != grid.Answer {
		t.Errorf("a setting: got %+v", f.Uplink)
	}
}

func TestTasmotaBridgeBringsManyDevicesOnOneTopic(t *testing.T) {
	r := NewRouter(10)
	for _, c := range []struct{ topic, raw, id, payload string }{
		{"tele/bridge/SENSOR", `{"ZbReceived":{"0x4773":{"Device":"0x4773","Contact":0,"BatteryPercentage":91}}}`, "tasmota:bridge/0x4773", `{"Device":"0x4773","Contact":0,"BatteryPercentage":91}`},
		{"tele/bridge/SENSOR", `{"ZbReceived":{"0x4774":{"Device":"0x4774","Name":"Kitchen Smoke","BatteryPercentage":91}}}`, "tasmota:bridge/kitchen smoke", `{"Device":"0x4774","Name":"Kitchen Smoke","BatteryPercentage":91}`},
		{"tele/bridge/4773/SENSOR", `{"ZbReceived":{"0x4773":{"BatteryPercentage":91}}}`, "tasmota:bridge/4773/0x4773", `{"BatteryPercentage":91}`},
		{"tele/bridge/ZbReceived", `{"0x4773":{"BatteryPercentage":91}}`, "tasmota:bridge/0x4773", `{"BatteryPercentage":91}`},
		{"tele/bridge/ZbReceived", `{"Device":"0x4773","Name":"k","BatteryPercentage":91}`, "tasmota:bridge/k", `{"Device":"0x4773","Name":"k","BatteryPercentage":91}`},
		{"tele/bridge/SENSOR", `{"ZbReceived":{"Device":"0x4773","BatteryPercentage":91}}`, "tasmota:bridge/0x4773", `{"Device":"0x4773","BatteryPercentage":91}`},
		{"tele/bridge/SENSOR", `{"Switch1":"ON"}`, "tasmota:bridge", `{"Switch1":"ON"}`},
	} {
		id, envelope, note := r.Identify(c.topic, []byte(c.raw))
		f := grid.Frame{Envelope: envelope, Address: c.topic, Raw: []byte(c.raw)}
		if err := Open(&f); err != nil || string(id) != c.id || string(f.Payload) != c.payload || f.HasBattery == (c.id == "tasmota:bridge") {
			t.Errorf("%s: got %q %q %v %+v %s", c.raw, id, note, err, f.Uplink, f.Payload)
		}
	}
}

func TestOneNETGivesValuesAsSenMLAndHexadecimalAsBytes(t *testing.T) {
	f := opened(t, "gridgate/onenet/x", []byte(`{"msg":{"at":1772600767890,"imei":"867723030000001","type":1,"ds_id":"3300_0_5700","value":-115,"dev_id":7},"msg_signature":"s","nonce":"n"}`))
	if want := `[{"n":"/3300/0/5700","v":-115,"t":1772600767.89}]`; f.Identity != "imei:867723030000001" || string(f.Payload) != want || f.Format != 110 || !f.HasFormat || !f.At.Equal(heardAt) {
		t.Errorf("got %s %+v %s: want %s", f.Identity, f.Uplink, f.Payload, want)
	}
	f = opened(t, "gridgate/onenet/x", []byte(`{"msg":[{"imei":"867723030000001","type":1,"ds_id":"3200_0_5500","value":true},{"imei":"867723030000001","type":1,"ds_id":"19_0_0","value":"0A0b"},{"imei":"867723030000001","type":1,"ds_id":"3_0_1","value":"ab\"c"}]}`))
	if want := `[{"n":"/3200/0/5500","vb":true},{"n":"/19/0/0","vd":"Cgs"},{"n":"/3/0/1","vs":"ab\"c"}]`; string(f.Payload) != want {
		t.Errorf("got %s: want %s", f.Payload, want)
	}
	for id, value := range map[string]string{"19_0_0": "4A", "3200_0_5750": "4A4b01FF"} {
		f = opened(t, "gridgate/onenet/x", []byte(`{"msg":"{\"type\":1,\"imei\":\"867723030000001\",\"ds_id\":\"`+id+`\",\"value\":\"`+value+`\"}"}`))
		if f.Payload[0] != 0x4a || len(f.Payload) != len(value)/2 || f.Format != 42 || f.Path != "/"+strings.ReplaceAll(id, "_", "/") {
			t.Errorf("%s: got %+v %x", id, f.Uplink, f.Payload)
		}
	}
	if f = opened(t, "gridgate/onenet/x", []byte(`{"msg":{"type":1,"dev_id":7,"ds_id":"3200_0_5750","value":"1234"}}`)); f.Identity != "sn:7" || !strings.Contains(string(f.Payload), `"vs":"1234"`) {
		t.Errorf("a short text: got %s %s", f.Identity, f.Payload)
	}
}

func TestCTWingGivesServiceDataAsAnObjectAndAppDataAsBytes(t *testing.T) {
	f := opened(t, "gridgate/ctwing/x", []byte(`{"messageType":"dataReport","timestamp":1772600767890,"IMEI":"867723030000001","IMSI":"undefined","deviceId":"d",
		"payload":{"serviceId":"signal","serviceData":{"smoke_state":1,"RSRP":98,"SINR":3,"name":"a\"b"}}}`))
	if want := `{"smoke_state":1,"RSRP":98,"SINR":3,"name":"a\"b","_at":1772600767890}`; f.Identity != "imei:867723030000001" || string(f.Payload) != want || !f.At.Equal(heardAt) || f.RSSIdBm != -98 || f.SNRdB != 3 {
		t.Errorf("got %s %+v %s: want %s", f.Identity, f.Uplink, f.Payload, want)
	}
	f = opened(t, "gridgate/ctwing/x", []byte(`{"messageType":"dataReportTr","deviceId":"d7","IMEI":"undefined","payload":{"APPdata":"QEABAA=="}}`))
	if f.Identity != "sn:d7" || string(f.Payload) != "@@\x01\x00" {
		t.Errorf("got %s %q", f.Identity, f.Payload)
	}
	// Services of one report are one object; of two samples the last is now.
	f = opened(t, "gridgate/ctwing/x", []byte(`{"messageType":"dataReport","timestamp":5,"IMEI":"1","payload":[{"serviceData":{"smoke":1}},{"serviceData":{"battery":80}},{"serviceData":{"smoke":0}}]}`))
	if want := `{"battery":80,"smoke":0,"_at":5,"_history":[{"smoke":1,"_at":5}]}`; string(f.Payload) != want {
		t.Errorf("got %s: want %s", f.Payload, want)
	}
}

func TestTuyaPropertyReportsOfAllFormsGiveOneObject(t *testing.T) {
	const want = `{"smoke_state":"alarm","battery":80`
	for topic, raw := range map[string]string{
		"gridgate/tuya/a":                    `{"dataId":"x","devId":"6C95","productKey":"p","status":[{"code":"smoke_state","value":"alarm","t":1772600767890,"1":"alarm"},{"code":"battery","value":80}]}`,
		"gridgate/tuya/b":                    `{"bizCode":"devicePropertyMessage","bizData":{"devId":"6C95","properties":[{"code":"smoke_state","dpId":1,"value":"alarm","time":1772600767890},{"code":"battery","value":80}]},"ts":1}`,
		"tylink/6C95/thing/property/report":  `{"msgId":"m","time":1,"data":{"smoke_state":{"value":"alarm","time":1772600767890},"battery":80}}`,
		"tylink/6C95/thing/property/report2": `{"devId":"other","data":{"smoke_state":{"value":"alarm","time":1772600767890},"battery":{"value":80}}}`,
	} {
		f := opened(t, topic, []byte(raw))
		if f.Identity != "tuya:6c95" || !strings.HasPrefix(string(f.Payload), want) || !f.At.Equal(heardAt) {
			t.Errorf("%s: got %s %s %s", topic, f.Identity, f.At, f.Payload)
		}
	}
	f := opened(t, "gridgate/tuya/a", []byte(`{"devId":"1","status":[{"code":"s","value":0,"t":3000},{"code":"s","value":1,"t":2000},{"code":"s","value":2,"t":2000}]}`))
	if want := `{"s":0,"_at":3000,"_history":[{"s":1,"_at":2000},{"s":2,"_at":2000}]}`; string(f.Payload) != want {
		t.Errorf("got %s: want %s", f.Payload, want)
	}
	f = opened(t, "gridgate/tuya/a", []byte(`{"devId":"1","data":{"a":007,"b":inf,"c":[01],"d":1e3}}`))
	if want := `{"a":7,"b":null,"c":null,"d":1e3}`; string(f.Payload) != want {
		t.Errorf("got %s: want %s", f.Payload, want)
	}
}
