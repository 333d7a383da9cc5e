package scenario

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/simulator"
	"gridgate/simulator/verdict"
)

// elsewhere is short: it is played to a gateway that somebody else has started.
const elsewhere = `
name: {zh: 别人的网关, en: Somebody else's gateway}
about: {zh: 一户报警，网关不归情景所有。, en: One flat alarms; the gateway is not the scenario's own.}
start: 2026-11-24 18:20
length: 2m
city:
  - {name: flat, model: netvox/ra02a, count: 2, per_building: 1, cell: "310105006001001"}
units:
  - {id: micro-e, kind: micro_fire_station, behave: {accept: 5s, travel: 15s, work: 20m}}
timeline:
  - {id: killed, at: 5s, fault: {name: gateway.kill}, for: 1s}
  - {id: smoke, at: 10s, point: flat-1, set: {smoke: true}}
expect:
  - {id: alarm, zh: 告警, en: the alarm, alarm: {type: smoke.alarm, point: flat-1}, count: 1, within: 15s, after: smoke}
  - {id: told, zh: 单位收到, en: and the unit, received: {unit: micro-e, type: ticket.opened}, count: 1, within: 30s, after: smoke}
  - {id: kill, zh: 断电, en: the kill, needs: killed, alarm: {type: smoke.alarm}, count: 1}
  - {id: nothing-lost, zh: 全部入账, en: nothing is lost, sent: {open: 0, unheard: 0}}
`

// TestAScenarioIsPlayedToAGatewayOfSomebodyElseTwice starts one by hand. What cannot be done to it
// is told; the devices are retired afterwards and come back for the second run.
func TestAScenarioIsPlayedToAGatewayOfSomebodyElseTwice(t *testing.T) {
	bin, dir := gridgate(t), t.TempDir()
	api, err1 := freeAddr()
	mqtt, err2 := freeAddr()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	config := filepath.Join(dir, "gridgate.yaml")
	b, err := json.Marshal(map[string]any{ // YAML too
		"data_dir": filepath.Join(dir, "data"), "http": map[string]any{"listen": api}, "simulation": map[string]any{"allowed": true, "speed": 60},
		"dispatch": map[string]any{"allow_cidrs": []string{"127.0.0.0/8"}}, "influx": map[string]any{"managed": false},
		"broker": map[string]any{"enabled": true, "listen": mqtt, "users": []any{map[string]any{"name": "gridsim", "password": "for-this-test-alone"}}},
	})
	if err == nil {
		err = os.WriteFile(config, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProcess(dir, "gateway", func() *exec.Cmd {
		cmd := exec.Command(bin, "serve", "--config", config)
		cmd.Env = environ()
		return cmd
	})
	if err == nil {
		err = p.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	c := newClient("http://"+api, "")
	if _, err := c.waitReady(t.Context(), p.ended()); err != nil {
		t.Fatalf("%v\n%s", err, tail(filepath.Join(dir, "gateway.log")))
	}
	token, err := os.ReadFile(filepath.Join(dir, "data", "token"))
	if err != nil {
		t.Fatal(err)
	}
	c.token = strings.TrimSpace(string(token))
	for _, flat := range []string{"flat-1", "flat-2"} { // the first one's ticket is still open
		s, err := Parse("elsewhere.yaml", []byte(strings.ReplaceAll(elsewhere, "flat-1", flat)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := Run(t.Context(), s, Options{Gateway: c.url, Token: c.token, Broker: simulator.Broker{URL: "mqtt://" + mqtt, User: "gridsim", Password: "for-this-test-alone"}})
		if err != nil {
			t.Fatal(err)
		}
		if res.Outcome != verdict.Met || res.Count(verdict.Met) != 3 || res.Expectations[2].Outcome != verdict.NotPlayed {
			t.Errorf("%s%v", res.Summary(), res.NotPlayed)
		}
		rows, err := c.list(t.Context(), "devices", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range rows {
			if d["state"] != "retired" {
				t.Errorf("%v is %v: want it retired when the run is over", d["identity"], d["state"])
			}
		}
	}
}
