package gatetest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const brokersRegistry = `
points:
  - {id: door-1, name: a door, kind: door}
  - {id: ceiling-1, name: a ceiling, kind: smoke}
devices:
  - {identity: "sn:door", profile: gridgate/json, point: door-1}
  - {identity: "sn:smoke", profile: gridgate/json, point: ceiling-1}
`

// knows gives the gateway a registry that it has before the first message comes.
func (g *gateway) knows(t *testing.T, registry string) {
	t.Helper()
	conf, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(g.dir, "registry.yaml"), registry)
	write(t, g.config, string(conf)+"registry: [registry.yaml]\n")
}

// metric reads one line of /metrics.
func (g *gateway) metric(t *testing.T, series string) string {
	t.Helper()
	res, err := http.Get(g.api.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(body), "\n") {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return value
		}
	}
	return ""
}

// A broker holds its retained messages for ever, and sends them at every connect.
func TestRetainedMessagesOverFourConnectsAreNoEventsAndAFireIsLateOnce(t *testing.T) {
	m := newMosquitto(t)
	m.start(t)
	d := connect(t, m.addr)
	d.send(t, "gridgate/up/sn:door", []byte(`{"door.open":true,"tamper":true}`), true)
	d.send(t, "gridgate/up/sn:smoke", []byte(`{"smoke.alarm":true}`), true)
	g := newGateway(t, "mqtt: [{name: city, url: mqtt://"+m.addr+", client_id: g, topics: [gridgate/up/#]}]")
	g.knows(t, brokersRegistry)
	came := func(frames int64) {
		t.Helper()
		eventually(t, 30*time.Second, fmt.Sprint(frames, " retained frames"), func() error {
			l, err := g.api.Ledger(t.Context())
			if err != nil {
				return err
			}
			if _, _, _, _, accepted := sum(l); accepted < frames {
				return fmt.Errorf("%d came", accepted)
			}
			return nil
		})
		g.settled(t)
	}
	g.start(t)
	came(2)
	m.Stop(t)
	m.start(t)
	came(4)
	g.Kill()
	g.start(t)
	came(6)
	m.Stop(t)
	m.start(t)
	came(8)
	g.balanced(t)
	if alarms := all[grid.Alarm](t, g, "alarms", api.Query{}); len(alarms) != 1 || alarms[0].Type != grid.EventSmokeLate || alarms[0].Point != "ceiling-1" {
		t.Errorf("alarms are %+v: want one smoke.late", alarms)
	}
	events := slices.DeleteFunc(all[grid.Event](t, g, "events", api.Query{}), func(e grid.Event) bool { return e.Action == "untaken" }) // nobody is on duty here
	if len(events) != 1 || events[0].Type != grid.EventSmokeLate {
		t.Errorf("events are %+v: want one smoke.late", events)
	}
	if v, err := g.live(t, "door-1", grid.DoorOpen); err != nil || v.Value != 1 {
		t.Errorf("the door's state is not shown: %+v, %v", v, err)
	}
}

// Two brokers at once: one is well, one refuses a subscription.
func TestRefusedSubscriptionIsSeenInHealthMetricsLogAndCheck(t *testing.T) {
	var plugin string
	for _, pattern := range []string{"/usr/lib/*/mosquitto_dynamic_security.so", "/usr/lib/mosquitto_dynamic_security.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			plugin = found[0]
		}
	}
	if plugin == "" {
		if os.Getenv("GRIDGATE_REQUIRE_PEERS") == "1" {
			t.Fatal("mosquitto's dynamic security plugin is not installed, and GRIDGATE_REQUIRE_PEERS=1")
		}
		t.Skip("mosquitto's dynamic security plugin is not installed")
	}
	dir := t.TempDir()
	strict := &mosquitto{addr: gatetest.FreeAddr(t)}
	_, port, _ := net.SplitHostPort(strict.addr)
	conf := "listener " + port + " 127.0.0.1\nallow_anonymous true\nlog_dest stderr\nplugin " + plugin + "\nplugin_opt_config_file " + dir + "/dynsec.json\n"
	if os.Geteuid() == 0 {
		conf += "user root\n"
	}
	write(t, filepath.Join(dir, "m.conf"), conf)
	write(t, filepath.Join(dir, "dynsec.json"), `{
  "defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": true, "unsubscribe": true},
  "clients": [], "groups": [{"groupname": "all", "roles": [{"rolename": "r"}]}], "anonymousGroup": "all",
  "roles": [{"rolename": "r", "acls": [{"acltype": "subscribePattern", "topic": "tele/#", "allow": false}]}]}`)
	strict.Program = gatetest.NewProgram(t, "mosquitto", gatetest.FindPeer(t, "mosquitto", "GRIDGATE_TEST_MOSQUITTO", false), "-c", filepath.Join(dir, "m.conf"))
	strict.start(t)
	open := newMosquitto(t)
	open.start(t)
	g := newGateway(t, "mqtt:",
		"  - {name: open, url: mqtt://"+open.addr+", topics: [gridgate/up/#]}",
		"  - {name: strict, url: mqtt://"+strict.addr+", topics: [gridgate/up/#, tele/+/SENSOR]}")
	g.knows(t, brokersRegistry)
	g.start(t)
	eventually(t, 20*time.Second, "both connections", func() error {
		for _, name := range []string{"open", "strict"} {
			if up := g.metric(t, `gridgate_link_up{kind="broker",link="mqtt.`+name+`"}`); up != "1" {
				return fmt.Errorf("%s: up is %q", name, up)
			}
		}
		return nil
	})
	const want = `the broker refuses the subscription to "tele/+/SENSOR"`
	ready, err := g.api.Ready(t.Context())
	if err != nil || ready.Ready || ready.Parts["mqtt.strict"] != want || ready.Parts["mqtt.open"] != "ok" {
		t.Errorf("readiness is %+v, %v", ready, err)
	}
	if n, m := g.metric(t, `gridgate_mqtt_refused_subscriptions{broker="strict"}`), g.metric(t, `gridgate_mqtt_refused_subscriptions{broker="open"}`); n != "1" || m != "0" {
		t.Errorf("metrics say %q and %q", n, m)
	}
	out, err := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", g.config, "check")
	if err == nil || !strings.Contains(out, "WRONG: mqtt.strict: "+want) {
		t.Errorf("gridgate check: %v, %s", err, out)
	}
	if !strings.Contains(g.Output(t), "subscription refused") {
		t.Error("the log does not say it")
	}
	connect(t, open.addr).send(t, "gridgate/up/sn:door", []byte(`{"door.open":true,"seq":1}`))
	connect(t, strict.addr).send(t, "gridgate/up/sn:door", []byte(`{"door.open":false,"seq":2}`))
	eventually(t, 20*time.Second, "a frame by each broker", func() error {
		from := map[string]int64{}
		for _, r := range g.settled(t).Rows {
			from[r.Source] += r.Processed
		}
		if from["open"] != 1 || from["strict"] != 1 {
			return fmt.Errorf("%v", from)
		}
		return nil
	})
}
