package gatetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const stolenRegistry = `
points:
  - {id: pit-1, name: a pit, kind: manhole, district: "310105", street: "310105006", contractor: wb-1, lon: 121.4036, lat: 31.2165, crs: WGS84}
  - {id: hall-1, name: a hall, kind: smoke, district: "310105", street: "310105006", contractor: wb-1}
devices:
  - {identity: "sn:pit-1", profile: gridgate/json, point: pit-1}
  - {identity: "imei:867723030000017", profile: gridgate/json, point: hall-1}
units:
  - {id: wb-1, name: ours, kind: maintenance, tier: 2, mode: live, connector: inbox, token: wb1-token-0123456789abcd}
  - {id: wb-2, name: others, kind: maintenance, tier: 2, mode: live, connector: inbox, token: wb2-token-0123456789abcd}
`

// logIn connects as a device with its password; ended is closed when the broker hangs up.
func logIn(t *testing.T, broker, user, password string) (c paho.Client, ended chan struct{}, err error) {
	t.Helper()
	ended = make(chan struct{})
	o := paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID(user).SetUsername(user).SetPassword(password).
		SetConnectTimeout(20 * time.Second).SetAutoReconnect(false).SetConnectionLostHandler(func(paho.Client, error) { close(ended) })
	c = paho.NewClient(o)
	tok := c.Connect()
	if !tok.WaitTimeout(20 * time.Second) {
		return c, ended, fmt.Errorf("no answer")
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c, ended, tok.Error()
}

// A stolen device, by the desk's command and by a technician's phone: it is out at once, by each way
// in; what it still says by another's way is refused and told; somebody is sent.
func TestAStolenDeviceIsOutInOneStep(t *testing.T) {
	coap := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {dtls: {listen: "+coap+"}}")
	g.start(t)
	g.put(t, stolenRegistry)
	password := string(g.give(t, "sn:pit-1", api.CredentialAsk{Kind: grid.MQTTPassword}).Secret)
	key := g.give(t, keyDevice, hexKey("the key of a hall"))
	c, ended, err := logIn(t, g.broker, "sn:pit-1", password)
	if err != nil {
		t.Fatal(err)
	}
	device{c}.send(t, "gridgate/up/sn:pit-1", []byte(`{"manhole.open":false,"seq":1}`))
	if err := posts(t, coap, "the key of a hall"); err != nil {
		t.Fatal("before it is stolen: ", err)
	}
	g.settled(t)

	// The desk, by the command line.
	out := g.gridgate(t, "device", "bar", "sn:pit-1", "--stolen", "--reason", "gone from the pit", "--json")
	var barred grid.Device
	if err := json.Unmarshal([]byte(out), &barred); err != nil || barred.State != grid.Barred || !barred.Stolen {
		t.Errorf("the command says %s, %v", out, err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the connection of the stolen device goes on")
	}
	if _, _, err := logIn(t, g.broker, "sn:pit-1", password); err == nil {
		t.Error("it logs in again")
	}

	// A technician, by the API; not one of another contractor.
	word := map[string]any{"reason": "torn off the ceiling", "stolen": true, "by": map[string]string{"name": "lin", "role": "technician"}}
	if status := callAs(t, g, "wb2-token-0123456789abcd", http.MethodPost, "/devices/"+keyDevice+"/bar", "k", word, nil); status != http.StatusNotFound {
		t.Errorf("another contractor bars it: %d, want that there is none", status)
	}
	for range 2 { // a phone says it again
		if status := callAs(t, g, "wb1-token-0123456789abcd", http.MethodPost, "/devices/"+keyDevice+"/bar", "k", word, &barred); status != http.StatusOK || !barred.Stolen {
			t.Errorf("the technician bars it: %d, %+v", status, barred)
		}
	}
	if posts(t, coap, "the key of a hall") == nil {
		t.Error("its key comes in")
	}
	if s := g.state(t, keyDevice, key.ID); s != "ended" {
		t.Errorf("its key is %s, want it ended", s)
	}
	theftIsTold(t, g)

	// Found again, it gets a new key: who had it has the old one.
	g.gridgate(t, "device", "revive", keyDevice, "--reason", "found")
	if posts(t, coap, "the key of a hall") == nil {
		t.Error("revived, its old key comes in")
	}
	g.give(t, keyDevice, hexKey("a new key of it 1"))
	if err := posts(t, coap, "a new key of it 1"); err != nil {
		t.Error("with a new key: ", err)
	}
	g.balanced(t)
}

// theftIsTold: what both devices still say is quarantined, and the theft has tickets.
func theftIsTold(t *testing.T, g *gateway) {
	t.Helper()
	_, _, _, before, _ := sum(g.settled(t))
	wire := connect(t, g.broker) // another's way in
	for _, id := range []string{"sn:pit-1", keyDevice} {
		wire.send(t, "gridgate/up/"+id, []byte(`{"battery.level":70,"seq":9}`))
	}
	if _, _, _, after, _ := sum(g.settled(t)); after != before+2 {
		t.Errorf("%d frames of stolen devices are quarantined, want 2", after-before)
	}
	if told := all[grid.Alarm](t, g, "alarms", api.Query{Type: string(grid.EventDeviceBarred)}); len(told) != 2 {
		t.Errorf("told of %d barred devices that speak: want 2", len(told))
	}
	tickets := all[grid.Ticket](t, g, "tickets", api.Query{Type: string(grid.EventDeviceStolen)})
	priority := map[string]grid.Priority{}
	for _, k := range tickets {
		priority[k.Point] = k.Priority
	}
	if len(tickets) != 2 || priority["pit-1"] != 1 || priority["hall-1"] != 3 {
		t.Errorf("tickets of the theft: %v, want P1 at the pit and P3 in the hall", priority)
	}
	var page struct{ Items []grid.Device }
	callAs(t, g, "wb1-token-0123456789abcd", http.MethodGet, "/devices", "", nil, &page)
	stolen := 0
	for _, d := range page.Items {
		if d.Stolen && d.State == grid.Barred && d.Why != "" {
			stolen++
		}
	}
	if stolen != 2 {
		t.Errorf("the list of devices shows %d stolen: %+v", stolen, page.Items)
	}
	var tasks struct{ Items []api.WorkTask }
	callAs(t, g, "wb1-token-0123456789abcd", http.MethodGet, "/tasks", "", nil, &tasks)
	places := ""
	for _, k := range tasks.Items {
		if k.Type == grid.EventDeviceStolen && k.Do != nil && strings.Contains(k.Do.EN, "put up another") {
			places += k.Point + " "
		}
	}
	if !strings.Contains(places, "hall-1") || !strings.Contains(places, "pit-1") {
		t.Errorf("the technician's tasks are of %q: want both thefts", places)
	}
}
