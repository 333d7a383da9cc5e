package gatetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const swapRegistry = `
points:
  - {id: pit-1, name: a pit, kind: manhole, district: "310105", street: "310105006", community: "310105006901", cell: "310105006901001", contractor: anxin, lon: 121.4036, lat: 31.2165, crs: WGS84}
  - {id: pit-2, name: another pit, kind: manhole, district: "310105", street: "310105006", contractor: weibao, lon: 121.4037, lat: 31.2165, crs: WGS84}
devices:
  - {identity: "sn:old", profile: gridgate/json, point: pit-1}
  - {identity: "sn:theirs", profile: gridgate/json, point: pit-2}
units:
  - {id: drains, name: Drains, kind: utility, tier: 3, mode: live, connector: inbox, token: token-of-drains}
  - {id: anxin, name: Anxin, kind: maintenance, tier: 2, mode: live, connector: inbox, token: token-of-anxin}
`

// callAs calls the API in somebody's name; into may be nil.
func callAs(t testing.TB, g *gateway, token, method, path, key string, in, into any) int {
	t.Helper()
	var send io.Reader
	switch x := in.(type) {
	case nil:
	case []byte:
		send = bytes.NewReader(x)
	default:
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		send = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.api.URL+"/api/v1"+path, send)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if _, raw := in.([]byte); !raw && in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch x := into.(type) {
	case nil:
	case *[]byte:
		*x = b
	default:
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
	return res.StatusCode
}

// The swap story: a technician puts another device in the place of one. What the point has
// seen is one history in InfluxDB and by our API, its ticket goes on, and what the old device
// still says is refused and told.
func TestASwapKeepsHistoryAndTicketAndTheOldDeviceIsRefused(t *testing.T) {
	influx := newInfluxd(t)
	influx.start(t)
	g := newGateway(t, "influx: {managed: false, url: "+influx.url+", bucket: gridgate/autogen}")
	g.start(t)
	g.put(t, swapRegistry)
	wire := connect(t, g.broker)
	send := func(id string, n int, open bool, tilt float64) {
		t.Helper()
		wire.send(t, "gridgate/up/"+id, fmt.Appendf(nil, `{"manhole.open":%t,"manhole.tilt":%g,"battery.level":9,"seq":%d}`, open, tilt, n))
	}
	send("sn:old", 1, false, 1)
	send("sn:old", 2, true, 2)
	var tk grid.Ticket
	eventually(t, 30*time.Second, "the ticket of the open cover", func() error {
		for _, x := range all[grid.Ticket](t, g, "tickets", api.Query{Point: "pit-1"}) {
			if x.Type == grid.EventManholeOpen {
				tk = x
				return nil
			}
		}
		return fmt.Errorf("none yet")
	})
	send("sn:new", 700, true, 3) // out of its box, not registered yet

	eventually(t, 30*time.Second, "the stranger", func() error {
		for _, q := range all[api.Quarantined](t, g, "quarantine", api.Query{State: "waiting"}) {
			if q.Raw.Device == "sn:new" {
				return nil
			}
		}
		return fmt.Errorf("not in quarantine")
	})
	swap := api.Replacement{With: "sn:new", Reason: "battery empty", By: &api.As{Name: "ma", Role: "technician"}, Device: api.Described{Serial: "A-700"}}
	var first, again grid.Swapped
	for i, into := range []*grid.Swapped{&first, &again} {
		if status := callAs(t, g, "token-of-anxin", http.MethodPost, "/devices/sn:old/replace", "swap-1", swap, into); status != http.StatusOK {
			t.Fatalf("swap %d: %d: %+v", i, status, *into)
		}
	}
	if first.Old.State != grid.Barred || first.New.State != grid.Installed || first.New.Serial != "A-700" || first.Replayed != 1 {
		t.Errorf("swapped: %+v", first)
	}
	if len(first.Tickets) == 0 || len(again.Installations) != 1 || !again.Installations[0].From.Equal(first.Installations[0].From) {
		t.Errorf("the same key again: %+v, first %+v", again, first)
	}
	send("sn:new", 701, true, 4)
	before := g.settled(t)
	send("sn:old", 3, false, 5) // in the technician's bag
	after := g.settled(t)
	_, _, _, was, _ := sum(before)
	if _, _, _, is, _ := sum(after); is != was+1 {
		t.Errorf("%d frames of the barred device are quarantined: want 1", is-was)
	}
	told := all[grid.Alarm](t, g, "alarms", api.Query{Type: string(grid.EventDeviceBarred)})
	if len(told) != 1 || told[0].Device != "sn:old" || !told[0].Active || told[0].Street != "310105006" {
		t.Errorf("told of the barred device: %+v", told)
	}

	// One history across the swap.
	eventually(t, time.Minute, "four readings of the point in InfluxDB", func() error {
		found, err := query(t.Context(), influx.url, "gridgate", "", "SELECT tilt_deg FROM manhole WHERE point='pit-1'")
		if err == nil && (len(found) != 1 || len(found[0].Values) != 4) {
			err = fmt.Errorf("%+v", found)
		}
		return err
	})
	h, err := g.api.History(t.Context(), "pit-1", grid.ManholeTilt, time.Time{}, time.Time{})
	if err != nil || len(h.Samples) != 4 || h.Samples[0].Value != 1 || h.Samples[3].Value != 4 {
		t.Errorf("history by our API: %+v, %v: want tilts 1 to 4", h.Samples, err)
	}
	now, err := g.api.Ticket(t.Context(), tk.ID)
	if err != nil || now.State.Ended() {
		t.Errorf("ticket is %s, %v: want it open as before", now.State, err)
	}
	if v, err := g.live(t, "pit-1", grid.ManholeOpen); err != nil || v.Value != 1 || v.Device != "sn:new" {
		t.Errorf("the point shows %+v, %v: want open, by the new device", v, err)
	}

	// Who did it stands in the history, also after the gateway was killed.
	g.Kill()
	g.start(t)
	var page api.Page[grid.Change]
	callAs(t, g, "token-of-anxin", http.MethodGet, "/points/pit-1/log", "", nil, &page)
	lines := map[string]grid.Change{}
	for _, l := range page.Items {
		lines[l.Action+" "+string(l.Device)] = l
	}
	if l := lines["ended sn:old"]; l.By.Name != "ma" || l.By.Unit != "anxin" || l.Via != "swap" || l.Reason != "battery empty" {
		t.Errorf("history of the point has no end of the old device by ma: %+v", page.Items)
	}
	if l := lines["installed sn:new"]; l.Cause != lines["ended sn:old"].Cause {
		t.Errorf("both lines are of one act: %+v", lines)
	}
	connect(t, g.broker).send(t, "gridgate/up/sn:old", []byte(`{"manhole.open":false,"seq":4}`))
	g.settled(t)
	if told := all[grid.Alarm](t, g, "alarms", api.Query{Type: string(grid.EventDeviceBarred)}); len(told) != 1 {
		t.Errorf("told %d times of the barred device: want once", len(told))
	}
	g.balanced(t)
}

// A contractor's token sees and changes its own points, and learns of no other.
func TestAContractorReachesItsOwnPlacesAlone(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, swapRegistry)
	const own, desk = "token-of-anxin", "token-of-drains"
	var near api.Page[api.PointView]
	if status := callAs(t, g, own, http.MethodGet, "/points?near=31.2165,121.4036&crs=WGS84&radius=100", "", nil, &near); status != 200 || len(near.Items) != 1 || near.Items[0].ID != "pit-1" || *near.Items[0].Distance > 1 {
		t.Errorf("near: %d, %+v: want pit-1 alone", status, near.Items)
	}
	callAs(t, g, g.api.Token, http.MethodGet, "/points?near=31.2165,121.4036&crs=WGS84&radius=100", "", nil, &near)
	if len(near.Items) != 2 || near.Items[0].ID != "pit-1" || *near.Items[1].Distance < 9 || *near.Items[1].Distance > 10 {
		t.Errorf("near for the desk: %+v: want both, pit-2 at 9.5 m", near.Items)
	}
	point := map[string]any{"id": "p-0123456789ab", "name": "new pit", "kind": "manhole", "street": "310105006"}
	for _, c := range []struct {
		method, path string
		in           any
		own          int
	}{
		{"POST", "/points", point, 201},
		{"GET", "/points/pit-1", nil, 200}, {"GET", "/points/pit-1/log", nil, 200}, {"GET", "/devices/sn:old", nil, 200}, {"GET", "/devices/sn:old/log", nil, 200},
		{"PUT", "/points/pit-1", map[string]any{"name": "x"}, 200}, {"POST", "/points/pit-1/notes", map[string]any{"text": "under the bench"}, 200},
		{"PUT", "/points/pit-1", map[string]any{"contractor": "weibao"}, 403},
		{"GET", "/points/pit-2", nil, 404}, {"GET", "/points/pit-2/log", nil, 404}, {"GET", "/points/pit-2/photos", nil, 404}, {"PUT", "/points/pit-2", map[string]any{"name": "x"}, 404},
		{"POST", "/points/pit-2/notes", map[string]any{"text": "x"}, 404}, {"POST", "/points/pit-2/retire", nil, 404}, {"POST", "/points/pit-2/photos?shows=near", photo(t), 404},
		{"GET", "/devices/sn:theirs", nil, 404}, {"GET", "/devices/sn:theirs/log", nil, 404}, {"POST", "/devices/sn:theirs/retire", nil, 404}, {"POST", "/devices/sn:theirs/revive", nil, 404},
		{"POST", "/devices/sn:theirs/bar", map[string]any{"reason": "x"}, 404}, {"POST", "/devices/sn:theirs/replace", map[string]any{"with": "sn:n"}, 404},
		{"POST", "/devices/sn:theirs/move", map[string]any{"point": "pit-1"}, 404}, {"POST", "/devices/sn:old/move", map[string]any{"point": "pit-2"}, 404},
		{"POST", "/devices/sn:old/replace", map[string]any{"with": "sn:theirs"}, 409}, {"POST", "/devices/sn:theirs/notes", map[string]any{"text": "x"}, 404},
		{"POST", "/buildings", map[string]any{"id": "b", "name": "b"}, 403},
	} {
		var said []byte
		if status := callAs(t, g, own, c.method, c.path, "", c.in, &said); status != c.own {
			t.Errorf("%s %s by the contractor: %d, want %d: %s", c.method, c.path, status, c.own, said)
		}
		if status := callAs(t, g, desk, c.method, c.path, "", c.in, nil); status != http.StatusForbidden {
			t.Errorf("%s %s by a unit that does no maintenance: %d, want 403", c.method, c.path, status)
		}
	}
	if d, err := g.api.Device(t.Context(), "sn:theirs"); err != nil || d.State != grid.Installed || len(d.Installations) != 1 {
		t.Errorf("the other's device: %+v, %v: want it as it was", d, err)
	}
	if p, err := g.api.Point(t.Context(), "p-0123456789ab"); err != nil || p.Contractor != "anxin" || p.State != grid.PointPlanned {
		t.Errorf("the new point: %+v, %v: want it planned and in the contractor's hands", p, err)
	}
}

func photo(t testing.TB) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 32, 32))
	m.Set(3, 3, color.White)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	comment := "taken at 31.2165, 121.4036"
	return append([]byte("\xff\xd8\xff\xfe\x00"+string(rune(len(comment)+2))+comment), whole[2:]...)
}

func TestRegistryByTheCommandLine(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, swapRegistry)
	g.gridgate(t, "building", "add", "b-7", "--name", "7 号楼", "--street", "310105006", "--district", "310105", "--entrance", "north gate", "--key-holder", "property desk")
	out := g.gridgate(t, "point", "add", "door-7", "--kind", "door", "--name", "301", "--building", "b-8", "--room", "301", "--street", "310105006", "--district", "310105")
	if !strings.Contains(out, "not registered") || !strings.Contains(out, "dwelling") {
		t.Errorf("point add says %q: want a warning of the building, and that it is a dwelling", out)
	}
	if out = g.gridgate(t, "point", "change", "door-7", "--building", "b-7", "--reason", "typing error"); strings.Contains(out, "warning") {
		t.Errorf("point change says %q", out)
	}
	g.gridgate(t, "device", "replace", "sn:old", "sn:new", "--reason", "broken")
	g.gridgate(t, "device", "replace", "sn:old", "--undo", "--reason", "wrong pit")
	g.gridgate(t, "device", "move", "sn:old", "door-7")
	g.gridgate(t, "device", "note", "sn:old", "label worn")
	g.gridgate(t, "device", "bar", "sn:old", "--reason", "gone", "--stolen")
	g.gridgate(t, "device", "revive", "sn:old", "--reason", "found")
	g.gridgate(t, "device", "retire", "sn:old", "--reason", "old")
	out = g.gridgate(t, "device", "log", "sn:old")
	for _, want := range []string{"noted", "label worn", "broken", "wrong pit", "gone", "found", `"state":"retired"`} {
		if !strings.Contains(out, want) {
			t.Errorf("device log lacks %q:\n%s", want, out)
		}
	}
	file := g.dir + "/photo.jpg"
	write(t, file, string(photo(t)))
	var kept grid.PointPhoto
	must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "point", "photo", "door-7", file, "--shows", "near")), &kept))
	b, err := g.api.Photo(t.Context(), kept.ID)
	if err != nil || bytes.Contains(b, []byte("31.2165")) || len(b) == 0 {
		t.Errorf("photo: %v, %d bytes: want it without where it was taken", err, len(b))
	}
	if out, err := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", g.config, "point", "retire", "pit-2"); err == nil || !strings.Contains(err.Error()+out, "sn:theirs") {
		t.Errorf("point retire: %v, %q: want it refused, naming the device", err, out)
	}
	g.gridgate(t, "point", "retire", "door-7", "--with-tickets")
	if out = g.gridgate(t, "point", "log", "door-7"); !strings.Contains(out, "typing error") {
		t.Errorf("point log:\n%s", out)
	}
}
