package gatetest_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

const dashboardsRegistry = `
points:
  - {id: door-1, name: a door, kind: door, street: "310105006"}
  - {id: smoke-1, name: a ceiling, kind: smoke, street: "310105006"}
  - {id: cover-1, name: a cover, kind: manhole, street: "310105006"}
  - {id: bay-1, name: a bay, kind: parking, street: "310105006"}
devices:
  - {identity: "sn:1", profile: gridgate/json, point: door-1}
  - {identity: "sn:2", profile: gridgate/json, point: smoke-1}
  - {identity: "sn:3", profile: gridgate/json, point: cover-1}
  - {identity: "sn:4", profile: gridgate/json, point: bay-1}
`

// seenElsewhere are metrics that need more than frames: what a test of the command line sees.
var seenElsewhere = []string{"gridgate_profile_rollout"} // cmd/gridgate, rollout_test.go

// TestDashboardsAndAlertsNameWhatAGatewayTells takes each name of a metric, a measurement or
// a field in deploy/grafana and deploy/prometheus, and looks for it where a gateway in use
// with all its wires tells it: at /metrics, and in InfluxDB, which is asked each query.
func TestDashboardsAndAlertsNameWhatAGatewayTells(t *testing.T) {
	influx := gatetest.FreeAddr(t)
	g := newGateway(t,
		"influx: {managed: true, bin: "+gatetest.FindPeer(t, "influxd", "GRIDGATE_INFLUXD", false)+", listen: "+influx+"}",
		"mqtt: [{name: city, url: 'mqtt://127.0.0.1:1', topics: [gridgate/up/#]}]",
		"coap: {listen: '"+gatetest.FreeAddr(t)+"'}",
		"serial: [{name: riser, connect: 'tcp://127.0.0.1:1', protocol: modbus-rtu, slaves: [{address: 1, profile: modbus/calectro-ug3}]}]")
	g.start(t)
	g.put(t, dashboardsRegistry)
	wire := connect(t, g.broker)
	for device, payload := range map[string]string{
		"sn:1": `{"door.open":true,"battery.level":12}`, "sn:2": `{"smoke.alarm":true}`,
		"sn:3": `{"manhole.open":true,"manhole.tilt":45,"manhole.level":1.5}`, "sn:4": `{"parking.occupied":true}`,
	} {
		wire.send(t, "gridgate/up/"+device, []byte(payload))
	}
	g.settled(t)

	t.Run("metrics", func(t *testing.T) { metricsAreThere(t, g.api.URL) })
	t.Run("queries", func(t *testing.T) { queriesAreAnswered(t, "http://"+influx) })
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func metricsAreThere(t *testing.T, gateway string) {
	res, err := http.Get(gateway + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	told := seenElsewhere
	for line := range strings.Lines(string(said)) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			told = append(told, strings.Fields(name)[0])
		}
	}
	name := regexp.MustCompile(`\b(gridgate_[a-z_]+|process_[a-z_]+|go_[a-z_]+)\b`)
	for _, file := range []string{"prometheus/alerts.yaml", "prometheus/alerts_test.yaml", "grafana/gateway.json"} {
		found := name.FindAllString(read(t, "../../deploy/"+file), -1)
		if len(found) < 20 {
			t.Errorf("%s names %d metrics: want more", file, len(found))
		}
		for _, n := range slices.Compact(slices.Sorted(slices.Values(found))) {
			if !slices.Contains(told, n) {
				t.Errorf("%s: no gateway tells %s", file, n)
			}
		}
	}
}

func queriesAreAnswered(t *testing.T, server string) {
	fields := map[string][]string{}
	eventually(t, time.Minute, "all measurements in InfluxDB", func() error {
		all, err := query(t.Context(), server, "gridgate", "", "SHOW FIELD KEYS")
		if err != nil {
			return err
		}
		for _, s := range all {
			for _, row := range s.Values {
				fields[s.Name] = append(fields[s.Name], fmt.Sprint(row[0]))
			}
		}
		for _, m := range []string{"door", "smoke", "manhole", "parking", "grid_event", "ticket", "device_health"} {
			if len(fields[m]) == 0 {
				return fmt.Errorf("no %s yet", m)
			}
		}
		return nil
	})
	fields["kpi"] = []string{"on_time_handling_n", "on_time_handling_d"}                     // once a day: docs/figures.md
	fields["device_health"] = append(fields["device_health"], "battery_pct", "battery_days") // of the hour before
	tags := []string{"point", "cell", "street", "type", "priority", "district"}
	variables := strings.NewReplacer("$timeFilter", "time > now() - 1h", "$__interval", "1m", "$street", ".*", `\"`, `"`)
	queries := regexp.MustCompile(`"rawQuery": true,\s*"query": "((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(read(t, "../../deploy/grafana/district.json"), -1)
	if len(queries) < 10 {
		t.Fatalf("the dashboard has %d queries: want more", len(queries))
	}
	from, quoted := regexp.MustCompile(`FROM "(\w+)"`), regexp.MustCompile(`"(\w+)"`)
	alias := regexp.MustCompile(`AS "([^"]+)"`)
	for _, m := range queries {
		q := variables.Replace(m[1])
		known := append(slices.Clone(tags), from.FindStringSubmatch(q)[1])
		known = append(known, fields[known[len(known)-1]]...)
		for _, a := range alias.FindAllStringSubmatch(q, -1) {
			known = append(known, a[1])
		}
		for _, name := range quoted.FindAllStringSubmatch(q, -1) {
			if !slices.Contains(known, name[1]) {
				t.Errorf("%s\n  %s is no tag or field of it: want one of %v", q, name[1], known)
			}
		}
		if _, err := query(t.Context(), server, "gridgate", "", q); err != nil {
			t.Error(err)
		}
	}
}
