package gateway

import (
	"strings"
	"testing"
)

func TestBrokerConfigErrorsNameTheKeyAndTheWish(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"tls without files":       {"broker: {listen_tls: \"0.0.0.0:8883\"}\n", "broker.tls: want cert and key for listen_tls"},
		"files without tls":       {"broker: {tls: {cert: a, key: b}}\n", "broker.tls is set: want listen_tls"},
		"anonymous with tls":      {"broker: {listen_tls: \"0.0.0.0:8883\", tls: {cert: a, key: b}, anonymous: true}\n", "broker.anonymous is true"},
		"no listener":             {"broker: {listen: \"\"}\n", `broker.listen is "": want host:port`},
		"user twice":              {"broker: {users: [{name: a, password: x}, {name: a, password: y}]}\n", `broker.users[1].name is "a" again`},
		"certificate without ca":  {"broker: {listen_tls: \"0.0.0.0:8883\", tls: {cert: a, key: b}, users: [{name: a}]}\n", "broker.tls.client_ca for one who shows a certificate"},
		"identity without a kind": {"broker: {users: [{name: a, password: x, identities: [gate-07]}]}\n", `broker.users[0].identities has "gate-07": identity "gate-07" has no kind`},
		"identity in capitals":    {"broker: {users: [{name: a, password: x, identities: [\"sn:A\"]}]}\n", `identities has "sn:A": want it as sn:a`},
		"bad right":               {"broker: {users: [{name: a, password: x, publish: [\"x#\"]}]}\n", `broker.users[0]: topic filter "x#"`},
		"unknown right":           {"broker: {users: [{name: a, password: x, publsh: [x]}]}\n", `unknown field "publsh"`},
		"packet below payload":    {"broker: {max_packet: 1KiB}\n", "broker.max_packet is 1KiB: want max_payload (256KiB) to 64MiB"},
		"window":                  {"broker: {max_in_flight: 70000}\n", "broker.max_in_flight is 70000: want 1 to 65535"},
		"bad topic":               {"mqtt: [{name: a, url: \"mqtt://x\", topics: [\"x#\"]}]\n", `mqtt[0].topics has "x#": want a topic filter`},
		"share without filter":    {"mqtt: [{name: a, url: \"mqtt://x\", topics: [$share/g]}]\n", `mqtt[0].topics has "$share/g"`},
		"share without group":     {"mqtt: [{name: a, url: \"mqtt://x\", topics: [$share//x]}]\n", `mqtt[0].topics has "$share//x"`},
		"client id with a slash":  {"mqtt: [{name: a, client_id: a/b, url: \"mqtt://x\", topics: [x]}]\n", `mqtt[0].client_id is "a/b": want one without / + #`},
		"one client id twice":     {"mqtt: [{name: a, client_id: g, url: \"mqtt://x\", topics: [x]}, {name: b, client_id: g, url: \"mqtt://x\", topics: [x]}]\n", `mqtt[1].client_id is "g" again at mqtt://x: want each connection under its own`},
		"tls files without tls":   {"mqtt: [{name: a, url: \"mqtt://x\", topics: [x], tls: {ca: c}}]\n", `mqtt[0].tls is set and url is "mqtt://x": want mqtts://`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadConfig(write(t, c.text), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v\nwant one that contains %q", err, c.want)
			}
		})
	}
}

func TestBrokersAsTheDocsConfigureThem(t *testing.T) {
	c, err := LoadConfig(write(t, `
mqtt:
  - {name: city, url: mqtts://broker.example:8883, client_id: gridgate-01, topics: [gridgate/up/#, gridgate/status/+], tls: {ca: city-ca.pem, cert: client.pem, key: client.key}}
  - {name: region, url: mqtt://region.example, topics: [$share/gridgate/gridgate/up/#], skip_queue_check: true}
broker:
  listen: ""
  listen_tls: 0.0.0.0:8883
  tls: {cert: broker.pem, key: broker.key, client_ca: devices-ca.pem}
  users:
    - {name: gate-07, password: "x", identities: ["eui:24e124136d490175"]}
    - {name: panel-3, identities: ["sn:panel-3", "modbus:panel-3/1"]}
    - {name: zigbee, password: "x", publish: ["zigbee2mqtt/#"], subscribe: ["zigbee2mqtt/+/set"]}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := c.Broker.config()
	if len(b.Users) != 3 || b.Users[1].Identities[1] != "modbus:panel-3/1" || b.ListenTLS != "0.0.0.0:8883" || !strings.HasSuffix(b.TLS.ClientCA, "/devices-ca.pem") || b.MaxPacket != 4<<20 || b.Window != 1024 {
		t.Errorf("%+v", b)
	}
	if !c.MQTT[1].SkipQueueCheck {
		t.Error("skip_queue_check is lost")
	}
}
