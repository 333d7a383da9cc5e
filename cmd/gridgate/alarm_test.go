package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/alarm"
	"gridgate/internal/api"
	"gridgate/internal/gateway"
	"gridgate/internal/grid"
)

const alarmRegistry = `
points:
  - {id: ceiling-3, name: "Stairs", kind: smoke, building: b-1, mode: test, cell: "310105006001001", district: "310105", street: "310105006"}
devices:
  - {identity: "sn:smoke-3", profile: gridgate/json, point: ceiling-3, mode: test}
units:
  - {id: property-1, name: "Property", kind: property, tier: 2, mode: test, connector: inbox, quiet: night, digest: true}
`

// TestAnAlarmIsAcknowledgedOnTheCommandLine goes the way of docs/alarms.md with a real gateway.
func TestAnAlarmIsAcknowledgedOnTheCommandLine(t *testing.T) {
	g, cfg := gatewayIn(t, filepath.Join(t.TempDir(), "data"), func(c *gateway.Config) { c.Broker.Anonymous = true })
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}}
	write := func(text string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "r.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, wrong := range []struct{ from, to, want string }{
		{"quiet: night", "quiet: nights", `no calendar "nights"`},
		{"quiet: night", "quiet: always", "which never ends"},
		{"connector: inbox", "connector: cap", "digest is true with connector cap"},
	} {
		if _, told := c.run(1, "device", "import", write(strings.Replace(alarmRegistry, wrong.from, wrong.to, 1))); !strings.Contains(told, wrong.want) {
			t.Errorf("%s is refused with %q, want %q", wrong.to, told, wrong.want)
		}
	}
	c.run(0, "device", "import", write(alarmRegistry))
	if out, _ := c.run(0, "alarm", "queue"); !strings.Contains(out, "nothing needs anybody") {
		t.Errorf("an empty queue: %q", out)
	}
	publish(t, g.BrokerAddr(), "gridgate/up/sn:smoke-3", `{"smoke.alarm": true}`)
	var q alarm.Queue
	for until := time.Now().Add(20 * time.Second); len(q.Entries) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("no alarm after 20 s")
		}
		out, _ := c.run(0, "--json", "alarm", "queue", "--street", "310105006")
		if err := json.Unmarshal([]byte(out), &q); err != nil {
			t.Fatal(err)
		}
	}
	id := q.Entries[0].Alarm.ID
	if q.Entries[0].State != alarm.Unack || q.Entries[0].Alarm.Type != grid.EventSmokeAlarm {
		t.Fatalf("the queue is %+v", q)
	}
	c.run(1, "alarm", "ack", id, "--revision", "7")
	c.run(2, "alarm", "ack", id, "--revision", "one")
	c.run(1, "alarm", "ack", "nothing")
	out, _ := c.run(0, "alarm", "ack", id, "--comment", "guard goes up", "--as", "li", "--revision", strconv.Itoa(q.Entries[0].Alarm.Revision))
	if !strings.Contains(out, "ACK") || !strings.Contains(out, "acknowledged by li until") {
		t.Errorf("ack prints %q", out)
	}
	c.run(0, "alarm", "comment", id, "burnt rice", "--as", "wang")
	out, _ = c.run(0, "alarm", "show", id)
	for _, want := range []string{"alarm.ack, by supervisor li: guard goes up", "alarm.comment, by supervisor wang: burnt rice"} {
		if !strings.Contains(out, want) {
			t.Errorf("show prints %q, want %q in it", out, want)
		}
	}
	if out, _ = c.run(0, "alarm", "list", "--point", "ceiling-3"); !strings.Contains(out, "ACK") {
		t.Errorf("list prints %q", out)
	}
	if out, _ = c.run(0, "alarm", "health"); !strings.Contains(out, "nothing is wrong") {
		t.Errorf("health prints %q", out)
	}
	c.run(0, "--json", "alarm", "show", id)
	events, _ := c.run(0, "--json", "alarm", "list")
	var page api.Page[api.AlarmView]
	if err := json.Unmarshal([]byte(events), &page); err != nil || len(page.Items) != 1 || page.Items[0].Comment != "burnt rice" {
		t.Errorf("list --json: %+v, %v", page, err)
	}
}

func publish(t *testing.T, broker, topic, payload string) {
	t.Helper()
	m := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("a-test"))
	for _, do := range []func() paho.Token{m.Connect, func() paho.Token { return m.Publish(topic, 1, false, payload) }} {
		if tok := do(); !tok.WaitTimeout(20*time.Second) || tok.Error() != nil {
			t.Fatal("mqtt: ", tok.Error())
		}
	}
	m.Disconnect(100)
}
