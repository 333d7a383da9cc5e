package gatetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const influxRegistry = `
points:
  - {id: door-1, name: a door, kind: door, district: "310105", street: "310105006", community: "310105006901", cell: "310105006901001"}
  - {id: door-2, name: a door, kind: door, district: "310105", street: "310105006", community: "310105006901", cell: "310105006901001"}
devices:
  - {identity: "sn:1", profile: gridgate/json, point: door-1}
  - {identity: "sn:2", profile: gridgate/json, point: door-2}
`

func TestPointIsReadBackFromTheManagedInfluxDB(t *testing.T) {
	listen := gatetest.FreeAddr(t)
	g := newGateway(t, "influx: {managed: true, bin: "+gatetest.FindPeer(t, "influxd", "GRIDGATE_INFLUXD", false)+", listen: "+listen+"}")
	g.start(t)
	roundTrip(t, g, "http://"+listen, "")
}

func TestPointIsReadBackFromInfluxDB2(t *testing.T) {
	bin := gatetest.FindPeer(t, "influxd2", "GRIDGATE_INFLUXD2", true)
	dir, addr := t.TempDir(), gatetest.FreeAddr(t)
	p := gatetest.NewProgram(t, "influxd2", bin, "run", "--reporting-disabled", "--http-bind-address", addr, "--bolt-path", filepath.Join(dir, "bolt"),
		"--sqlite-path", filepath.Join(dir, "sqlite"), "--engine-path", filepath.Join(dir, "engine"), "--log-level", "error")
	p.Start(t)
	setup := `{"username":"admin","password":"a-password","org":"district","bucket":"gridgate","token":"a-token"}`
	eventually(t, time.Minute, "influxd 2 to be set up", func() error {
		return post(t.Context(), "http://"+addr+"/api/v2/setup", "application/json", setup)
	})
	token := filepath.Join(dir, "token")
	write(t, token, "a-token\n")
	g := newGateway(t, "influx: {managed: false, url: http://"+addr+", org: district, bucket: gridgate, token_file: "+token+"}")
	g.start(t)
	roundTrip(t, g, "http://"+addr, "a-token")
}

// roundTrip writes by MQTT and reads back by InfluxDB's own API and by ours.
func roundTrip(t *testing.T, g *gateway, server, token string) {
	t.Helper()
	g.put(t, influxRegistry)
	at := time.Now().Add(-40 * time.Second).UTC().Truncate(time.Microsecond).Add(321 * time.Microsecond)
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/sn:1", fmt.Appendf(nil, `{"door.open":true,"battery.level":88,"seq":1,"at":%q}`, at.Format(time.RFC3339Nano)))
	wire.send(t, "gridgate/up/sn:1", fmt.Appendf(nil, `{"door.open":true,"battery.level":88,"seq":1,"at":%q}`, at.Format(time.RFC3339Nano))) // once more: the same fact
	var found []series
	eventually(t, time.Minute, "the point in InfluxDB", func() (err error) {
		found, err = query(t.Context(), server, "gridgate", token, "SELECT open, battery_pct, profile FROM door GROUP BY *")
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("no series yet")
		}
		return err
	})
	if len(found) != 1 || len(found[0].Values) != 1 {
		t.Fatalf("InfluxDB holds %+v: want one point", found)
	}
	s, row := found[0], found[0].Values[0]
	if s.Tags["point"] != "door-1" || s.Tags["cell"] != "310105006901001" || s.Tags["street"] != "310105006" || len(s.Tags) != 3 {
		t.Errorf("tags are %v: want point, cell and street of door-1", s.Tags)
	}
	if fmt.Sprint(row[1:]) != "[true 88 gridgate/json@1]" && fmt.Sprint(row[1:3]) != "[true 88]" {
		t.Errorf("values are %v: want open, 88 %%", row)
	}
	ns, err := row[0].(json.Number).Int64()
	if got := time.Unix(0, ns).UTC(); err != nil || !got.Truncate(time.Microsecond).Equal(at) {
		t.Errorf("time is %v (%v): want the device's %v", got, err, at)
	}
	h, err := g.api.History(t.Context(), "door-1", grid.DoorOpen, time.Time{}, time.Time{})
	if err != nil || len(h.Samples) != 1 || h.Samples[0].Value != 1 || !h.Samples[0].At.Truncate(time.Microsecond).Equal(at) {
		t.Errorf("history by our API is %+v, %v", h, err)
	}
}

// The server has battery_pct as a text in this shard: points with a battery can never be
// stored there.
func TestPointOfAWrongFieldTypeIsQuarantinedAndTheOthersAreStored(t *testing.T) {
	i := newInfluxd(t)
	i.start(t)
	eventually(t, 20*time.Second, "the database", func() error { // the port is open a moment before it can be made
		if err := post(t.Context(), i.url+"/query", "application/x-www-form-urlencoded", "q="+url.QueryEscape("CREATE DATABASE gridgate")); err != nil {
			return err
		}
		return post(t.Context(), i.url+"/write?db=gridgate", "text/plain", `door,point=old battery_pct="full"`)
	})
	g := newGateway(t, "influx: {managed: false, url: "+i.url+", bucket: gridgate/autogen}")
	g.start(t)
	g.put(t, influxRegistry)
	wire := connect(t, g.broker)
	i.Kill() // so that good and bad go in one batch
	for n := 1; n <= 20; n++ {
		battery := ""
		if n == 7 || n == 13 {
			battery = `,"battery.level":50`
		}
		wire.send(t, "gridgate/up/sn:1", fmt.Appendf(nil, `{"door.open":%t,"seq":%d%s}`, n%2 == 0, n, battery))
	}
	i.start(t)
	var rows []api.Quarantined
	eventually(t, time.Minute, "both points in quarantine", func() error {
		if rows = all[api.Quarantined](t, g, "quarantine", api.Query{}); len(rows) < 2 {
			return fmt.Errorf("%d rows", len(rows))
		}
		return nil
	})
	for _, q := range rows {
		if q.Reason != grid.RejectedPoint || !strings.Contains(q.Detail, "field type conflict") || !strings.Contains(string(unhex(q.Raw.Raw)), "battery_pct=50") {
			t.Errorf("the quarantine holds %s, %q, %s", q.Reason, q.Detail, unhex(q.Raw.Raw))
		}
	}
	count := 0
	eventually(t, time.Minute, "the other points in InfluxDB", func() error {
		found, err := query(t.Context(), i.url, "gridgate", "", "SELECT open FROM door WHERE point='door-1'")
		if err == nil && (len(found) == 0 || len(found[0].Values) < 18) {
			return fmt.Errorf("%+v", found)
		}
		if err == nil {
			count = len(found[0].Values)
		}
		return err
	})
	if len(rows) != 2 || count != 18 {
		t.Errorf("%d points are in quarantine and %d stored: want 2 and 18", len(rows), count)
	}
	g.balanced(t)
}

func TestRefusedLoginKeepsEverythingAndReadyzSaysSo(t *testing.T) {
	i := newInfluxd(t, "INFLUXDB_HTTP_AUTH_ENABLED=true")
	i.start(t)
	must(t, post(t.Context(), i.url+"/query", "application/x-www-form-urlencoded", "q="+url.QueryEscape("CREATE USER gate WITH PASSWORD 'secret' WITH ALL PRIVILEGES")))
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "gate:wrong")
	g := newGateway(t, "influx: {managed: false, url: "+i.url+", bucket: gridgate/autogen, token_file: "+token+"}")
	g.start(t)
	g.put(t, influxRegistry)
	wire := connect(t, g.broker)
	for n := 1; n <= 50; n++ {
		wire.send(t, "gridgate/up/sn:2", fmt.Appendf(nil, `{"door.open":%t,"seq":%d}`, n%2 == 0, n))
	}
	eventually(t, 20*time.Second, "/readyz to say so", func() error {
		res, err := http.Get(g.api.URL + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var r api.Readiness
		if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
			return err
		}
		if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(r.Parts["influxdb"], "401") {
			return fmt.Errorf("%s: %+v", res.Status, r)
		}
		return nil
	})
	if rows := all[api.Quarantined](t, g, "quarantine", api.Query{}); len(rows) > 0 {
		t.Errorf("a refused login is no reason to give up: %+v", rows)
	}
	g.balanced(t)
	g.Stop(t)
	write(t, token, "gate:secret")
	g.start(t)
	eventually(t, time.Minute, "everything in InfluxDB", func() error {
		found, err := getJSON[struct {
			Results []struct{ Series []series }
		}](t.Context(), i.url+"/query?"+url.Values{"u": {"gate"}, "p": {"secret"}, "db": {"gridgate"}, "q": {"SELECT count(open) FROM door WHERE point='door-2'"}}.Encode(), "")
		if err == nil && (len(found.Results) != 1 || len(found.Results[0].Series) != 1 || fmt.Sprint(found.Results[0].Series[0].Values[0][1]) != "50") {
			err = fmt.Errorf("%+v", found)
		}
		return err
	})
}

func post(ctx context.Context, url, kind, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// InfluxDB is away for so long that the queue for it is full. Fires are told as ever, what does not
// fit is a gap that the operator sees, and is made good from the journal once InfluxDB is back.
func TestAnInfluxDBThatIsGoneForLongCostsNoPointAndDelaysNoFire(t *testing.T) {
	i := newInfluxd(t)
	g := newGateway(t, append(shortClocks(t), "influx: {managed: false, url: "+i.url+", bucket: gridgate/autogen, queue_bytes: 1MiB}")...)
	g.start(t)
	g.put(t, influxRegistry)
	g.put(t, smokeRegistry)
	startUnits(t, g)
	wire := connect(t, g.broker)
	const frames = 9000
	var last paho.Token
	for n := range frames {
		last = wire.Publish("gridgate/up/sn:1", 1, false, fmt.Appendf(nil, `{"door.open":%t,"battery.level":88,"temperature":21.5,"seq":%d}`, n%2 == 0, n+1))
	}
	if !last.WaitTimeout(time.Minute) || last.Error() != nil {
		t.Fatal("the frames are not acknowledged: ", last.Error())
	}
	gap := func() (active, there bool) {
		for _, a := range all[grid.Alarm](t, g, "alarms", api.Query{}) {
			if a.Type == grid.EventDataGap {
				return a.Active, true
			}
		}
		return false, false
	}
	eventually(t, time.Minute, "the gap to be told", func() error {
		if active, _ := gap(); !active {
			return fmt.Errorf("no gap")
		}
		return nil
	})
	if ready, err := g.api.Ready(t.Context()); err != nil || ready.Parts["influxdb"] == "ok" {
		t.Errorf("readiness is %+v (%v): want it to say that InfluxDB does not answer", ready, err)
	}
	wire.send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	eventually(t, 20*time.Second, "the unit to have the fire", func() error {
		for _, d := range all[grid.Delivery](t, g, "deliveries", api.Query{}) {
			if d.Type == "ticket.opened" && (d.State == grid.DeliveryReceived || d.State == grid.DeliverySeen) {
				return nil
			}
		}
		return fmt.Errorf("no delivery is received")
	})

	i.start(t)
	eventually(t, time.Minute, "every point in InfluxDB, and the gap to be over", func() error {
		found, err := query(t.Context(), i.url, "gridgate", "", "SELECT count(open) FROM door WHERE point='door-1'")
		if err == nil && (len(found) == 0 || fmt.Sprint(found[0].Values[0][1]) != fmt.Sprint(frames)) {
			return fmt.Errorf("InfluxDB has %+v: want %d", found, frames)
		}
		if active, there := gap(); err == nil && (active || !there) {
			return fmt.Errorf("the gap is still open")
		}
		return err
	})
	g.balanced(t)
}
