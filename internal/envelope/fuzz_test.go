package envelope

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// FuzzIdentify: an identity is of the one form, or there is none and a note says why.
func FuzzIdentify(f *testing.F) {
	for _, topic := range []string{
		"gridgate/up/eui:24e124136b502217/85", "/up/imei:867723030000001?port=3", "gridgate/up/modbus:a%2F7",
		upTopic, "zigbee2mqtt/厨房", "zigbee2mqtt/x/availability", "zigbee2mqtt/bridge/state", "\xff", "gridgate/up/%", "/up/?port",
	} {
		f.Add(topic)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		id, _, note := Identify(topic, nil)
		if (id == "") == (note == "") {
			t.Fatalf("%q: got %q, %q", topic, id, note)
		}
		if !utf8.ValidString(string(id)) || len(id) > maxIdentity || strings.ToLower(string(id)) != string(id) || !utf8.ValidString(note) {
			t.Fatalf("%q: got %q, %q", topic, id, note)
		}
		if kind, _, ok := strings.Cut(string(id), ":"); id != "" && (!ok || kind == "") {
			t.Fatalf("%q: got %q", topic, id)
		}
	})
}

// FuzzOpen: a message opens to finite numbers, or is a permanent error.
func FuzzOpen(f *testing.F) {
	for _, raw := range []string{
		`{"time":"2024-11-10T14:55:31Z","fCnt":7,"fPort":8,"data":"AXVk","rxInfo":[{"gatewayId":"g","rssi":-47,"snr":9.2}]}`,
		`{}`, `{"fCnt":NaN,"rxInfo":[{"rssi":inf}]}`, `{"rxInfo":7,"data":null}`, "", "\x00", `{"data":"AXV`,
	} {
		f.Add(raw, uint8(0))
		f.Add(raw, uint8(1))
		f.Add(raw, uint8(2))
	}
	f.Fuzz(func(t *testing.T, raw string, which uint8) {
		frame := grid.Frame{Raw: []byte(raw)}
		switch which % 3 {
		case 0:
			frame.Envelope, frame.Address = ChirpStack, upTopic
		case 1:
			frame.Envelope, frame.Address = Zigbee2MQTT, "zigbee2mqtt/x"
		case 2:
			frame.Envelope, frame.Address = Native, "gridgate/up/sn:1"
		}
		err := Open(&frame)
		if err != nil && grid.CodeOf(err) != grid.Invalid {
			t.Fatalf("got %v: want invalid", err)
		}
		for _, x := range []float64{float64(frame.RSSIdBm), float64(frame.SNRdB)} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("got %+v", frame.Uplink)
			}
		}
	})
}
