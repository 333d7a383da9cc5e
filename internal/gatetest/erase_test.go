package gatetest_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const homesRegistry = `
points:
  - {id: home, name: a door of a flat, kind: door, privacy: dwelling, mode: simulated}
  - {id: neighbour, name: a door of another, kind: door, privacy: dwelling, mode: simulated}
  - {id: hall, name: a door of the house, kind: door, mode: simulated}
  - {id: long-gone, name: a flat, kind: door, privacy: dwelling, mode: simulated}
  - {id: just-gone, name: a flat, kind: door, privacy: dwelling, mode: simulated}
devices:
  - {identity: "sn:1", profile: gridgate/json, point: home}
  - {identity: "sn:2", profile: gridgate/json, point: neighbour}
  - {identity: "sn:3", profile: gridgate/json, point: hall}
`

// A home is seen by the hour and not whether its door is open; a dry run takes nothing; what was
// erased is counted and gone, in InfluxDB too, and the neighbour's is not; the contacts of a flat
// that was retired a month ago go by themselves.
func TestAHomeIsSeenByTheHourAndErased(t *testing.T) {
	influx := "http://" + gatetest.FreeAddr(t)
	g := newGateway(t, "influx: {managed: true, bin: "+gatetest.FindPeer(t, "influxd", "GRIDGATE_INFLUXD", false)+", listen: "+strings.TrimPrefix(influx, "http://")+"}")
	g.start(t)
	g.put(t, homesRegistry)
	wire := connect(t, g.broker)
	for n, open := range []bool{true, false, true} {
		for _, dev := range []string{"1", "2", "3"} {
			wire.send(t, "gridgate/up/sn:"+dev, fmt.Appendf(nil, `{"door.open":%t,"battery.level":88,"seq":%d}`, open, n+1))
		}
	}
	g.settled(t)
	hour := func(at time.Time) bool { return at.Equal(at.Truncate(time.Hour)) }
	for point, coarse := range map[string]bool{"home": true, "hall": false} {
		values := g.shown(t, point)
		door, rest := 0, 0
		for _, v := range values {
			if rest++; v.Signal == grid.DoorOpen {
				door++
			}
			if coarse && !(hour(v.At) && hour(v.Received) && hour(v.Since)) {
				t.Errorf("%s: %s is of %s, received %s, since %s: want hours", point, v.Signal, v.At, v.Received, v.Since)
			}
		}
		if (door == 0) != coarse || rest == door {
			t.Errorf("%s shows %+v: want how the device is, and the door only where it is no home's", point, values)
		}
	}
	found := func(m, point string) (n int) {
		s, err := query(t.Context(), influx, "gridgate", "", `SELECT * FROM "`+m+`" WHERE point = '`+point+`'`)
		if err != nil {
			t.Log(err) // it has only begun
			return -1
		}
		for _, one := range s {
			n += len(one.Values)
		}
		return n
	}
	eventually(t, time.Minute, "openings in InfluxDB", func() error {
		if h, n, d := found("dwelling", "home"), found("dwelling", "neighbour"), found("door", "hall"); h != 2 || n != 2 || d != 3 {
			return fmt.Errorf("%d, %d of homes and %d of the house: want 2, 2, 3", h, n, d)
		}
		return nil
	})
	if n := found("door", "home") + found("door", "neighbour"); n != 0 {
		t.Errorf("%d exact readings of homes are in InfluxDB", n)
	}

	contactOf(t, g, "point:home", grid.Occupant, 1, occupantNumber)
	next := contactOf(t, g, "point:neighbour", grid.Occupant, 1, deskNumber)
	if e := g.erased(t, "dwelling", "home", "--dry-run"); e["contacts"] != [2]int64{1, 1} || e["influxdb dwelling"] != [2]int64{2, 2} {
		t.Errorf("a dry run says %v: want all there and left", e)
	}
	if n := found("dwelling", "home"); n != 2 || len(g.known(t, "point:home")) != 1 {
		t.Errorf("after the dry run there are %d openings and contacts %v", n, g.known(t, "point:home"))
	}
	if e := g.erased(t, "dwelling", "home", "--reason", "asked by the person"); e["contacts"] != [2]int64{1, 0} || e["influxdb dwelling"] != [2]int64{2, 0} {
		t.Errorf("erased: %v: want one contact and two openings, nothing left", e)
	}
	if n, k := found("dwelling", "home")+found("device_health", "home"), g.known(t, "point:home"); n != 0 || len(k) != 0 {
		t.Errorf("erased, and %d readings and contacts %v are there", n, k)
	}
	if n, k := found("dwelling", "neighbour"), g.known(t, "point:neighbour"); n != 2 || len(k) != 1 {
		t.Errorf("the neighbour has %d openings and contacts %v: want 2 and one", n, k)
	}
	if e := g.erased(t, "contact", next.ID, "--reason", "asked by the person"); e["contacts"] != [2]int64{1, 0} || len(g.known(t, "point:neighbour")) != 0 {
		t.Errorf("erased: %v, known %v", e, g.known(t, "point:neighbour"))
	}
	if _, err := g.api.Erase(t.Context(), api.Erase{What: "dwelling", ID: "hall", Reason: "a mistake"}); err == nil {
		t.Error("the door of a house was erased as a home")
	}

	for _, p := range []string{"long-gone", "just-gone"} {
		contactOf(t, g, "point:"+p, grid.Occupant, 1, chiefNumber)
		_, err := g.api.RetirePoint(t.Context(), p, "the flat is no more", false)
		must(t, err)
	}
	g.settled(t)
	g.Stop(t)
	db, err := sql.Open("sqlite", filepath.Join(g.dir, "data", "state.db"))
	must(t, err)
	monthAgo(t, db, "long-gone")
	must(t, db.Close())
	g.start(t)
	eventually(t, time.Minute, "the contact of a flat that is long gone to be erased", func() error {
		if k := g.known(t, "point:long-gone"); len(k) > 0 {
			return fmt.Errorf("known: %v", k)
		}
		return nil
	})
	if k := g.known(t, "point:just-gone"); len(k) != 1 {
		t.Errorf("the contact of a flat that was retired today: %v, want it there", k)
	}
}

// monthAgo makes what happened to a point 31 days older.
func monthAgo(t *testing.T, db *sql.DB, point string) {
	t.Helper()
	res, err := db.ExecContext(t.Context(), "UPDATE registry_log SET at = at - ? WHERE point = ?", 31*24*time.Hour, point)
	must(t, err)
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%d changes of %s were made older: %v", n, point, err)
	}
}

// shown is what the API shows of a point now.
func (g *gateway) shown(t *testing.T, point string) []grid.LiveValue {
	t.Helper()
	values, err := getJSON[[]grid.LiveValue](t.Context(), g.api.URL+"/api/v1/points/"+point+"/live", g.api.Token)
	must(t, err)
	return values
}

// known are the contacts that can still be called.
func (g *gateway) known(t *testing.T, of string) (ids []string) {
	t.Helper()
	page, err := g.api.Contacts(t.Context(), of, 100)
	must(t, err)
	for _, c := range page.Items {
		if c.Erased.IsZero() && c.Masked != "" {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// erased runs gridgate erase: found and left of each part.
func (g *gateway) erased(t *testing.T, args ...string) map[string][2]int64 {
	t.Helper()
	var e api.Erased
	must(t, json.Unmarshal([]byte(g.gridgate(t, append([]string{"--json", "erase"}, args...)...)), &e))
	parts := map[string][2]int64{}
	for _, p := range e.Parts {
		parts[p.Part] = [2]int64{p.Found, p.Left}
	}
	return parts
}

const flatRegistry = `
points:
  - {id: flat, name: a flat, kind: smoke, privacy: dwelling, mode: simulated}
  - {id: next, name: another, kind: smoke, privacy: dwelling, mode: simulated}
  - {id: gone, name: a flat, kind: smoke, privacy: dwelling, mode: simulated}
devices:
  - {identity: "sn:1", profile: gridgate/json, point: flat, mode: simulated}
  - {identity: "sn:2", profile: gridgate/json, point: next, mode: simulated}
`

// caseAt is the ticket of smoke at a point.
func caseAt(t *testing.T, g *gateway, device, point string) (ticket string) {
	t.Helper()
	connect(t, g.broker).send(t, "gridgate/up/"+device, []byte(`{"smoke.alarm":true}`))
	eventually(t, 20*time.Second, "the ticket", func() error {
		found := all[grid.Ticket](t, g, "tickets", api.Query{Point: point})
		if len(found) == 0 {
			return os.ErrNotExist
		}
		ticket = found[0].ID
		return nil
	})
	return ticket
}

// Photos and visits of a home are erased with it, those of others stay, also where the file is the
// same; what a ticket says of its evidence stays true. Those of a flat that was retired a month ago
// go by themselves.
func TestPhotosAndVisitsOfAHomeAreErased(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, flatRegistry)
	mine, others := caseAt(t, g, "sn:1", "flat"), caseAt(t, g, "sn:2", "next")
	photo := photograph(t)
	own := append(append([]byte{}, photo...), "of this home alone"...)
	shared, err := g.api.AddEvidence(t.Context(), mine, photo, "before", "at the neighbour's too")
	must(t, err)
	kept, err := g.api.AddEvidence(t.Context(), others, photo, "before", "")
	must(t, err)
	alone, err := g.api.AddEvidence(t.Context(), mine, own, "after", "his kitchen")
	must(t, err)
	near, err := g.api.AddPhoto(t.Context(), "flat", photo, "near", "his door")
	must(t, err)
	past, err := g.api.AddPhoto(t.Context(), "gone", photo, "near", "")
	must(t, err)
	by := &api.As{Name: "lin", Role: "technician"}
	v, err := g.api.StartVisit(t.Context(), api.NewVisit{ID: "0123456789abcdef", Device: "sn:1", Point: "flat", By: by})
	must(t, err)
	_, err = g.api.FinishVisit(t.Context(), v.ID, api.NewVerdict{Verdict: "fail", Reasons: []string{"nobody at home"}, By: by}, "")
	must(t, err)
	onDisk := func(sum string) bool {
		_, err := os.Stat(filepath.Join(g.dir, "data", "evidence", sum[:2], sum))
		return err == nil
	}

	dry := g.erased(t, "dwelling", "flat", "--dry-run")
	if dry["photos of tickets"] != [2]int64{2, 2} || dry["photos of the point"] != [2]int64{1, 1} || dry["visits"] != [2]int64{1, 1} || !onDisk(alone.SHA256) {
		t.Errorf("a dry run says %v: want all there and left", dry)
	}
	e := g.erased(t, "dwelling", "flat", "--reason", "moved out")
	if e["photos of tickets"] != [2]int64{2, 0} || e["photos of the point"] != [2]int64{1, 0} || e["visits"] != [2]int64{1, 0} {
		t.Errorf("erased: %v: want two, one and one, nothing left", e)
	}
	if onDisk(alone.SHA256) || onDisk(near.SHA256) && near.SHA256 != past.SHA256 || !onDisk(shared.SHA256) {
		t.Errorf("on disk: own %v, shared %v: want the shared one alone", onDisk(alone.SHA256), onDisk(shared.SHA256))
	}
	if b, err := g.api.EvidenceFile(t.Context(), kept.ID); err != nil || string(b) != string(photo) {
		t.Errorf("the neighbour's photo: %v", err)
	}
	for _, id := range []string{alone.ID, shared.ID} {
		if _, err := g.api.EvidenceFile(t.Context(), id); grid.CodeOf(err) != grid.NotFound || !strings.Contains(err.Error(), "moved out") {
			t.Errorf("an erased photo is answered %v", err)
		}
	}
	if _, err := g.api.Photo(t.Context(), near.ID); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("an erased photo of the point is answered %v", err)
	}
	for _, f := range got(g.api.Evidence(t.Context(), mine)).Items {
		if f.Erased.IsZero() || f.Why != "moved out" || f.Note != "" || f.SHA256 == "" || f.At.IsZero() {
			t.Errorf("what is left of a photo: %+v", f)
		}
	}
	told := 0
	for _, s := range got(g.api.Explain(t.Context(), mine)).Timeline {
		if strings.Contains(s.Detail, "was erased: moved out") && strings.Contains(s.Detail, "sha256") {
			told++
		}
	}
	if told != 2 {
		t.Errorf("the timeline tells of %d erased photos, want 2", told)
	}
	if v, err = g.api.Visit(t.Context(), v.ID); err != nil || v.Erased.IsZero() || len(v.Words)+len(v.Frames) > 0 || v.State != grid.VisitFailed || v.Signed == nil {
		t.Errorf("what is left of the visit: %+v, %v", v, err)
	}

	must(t, errOf(g.api.RetirePoint(t.Context(), "gone", "the flat is no more", false)))
	g.settled(t)
	g.Stop(t)
	db, err := sql.Open("sqlite", filepath.Join(g.dir, "data", "state.db"))
	must(t, err)
	monthAgo(t, db, "gone")
	_, err = db.ExecContext(t.Context(), "UPDATE tickets SET ended = 1, opened = opened - ?, closed = 0 WHERE id = ?", 366*24*time.Hour, others)
	must(t, err)
	must(t, db.Close())
	g.start(t)
	eventually(t, time.Minute, "what is old to be erased", func() error {
		old := got(g.api.Photos(t.Context(), "gone")).Items
		late := got(g.api.Evidence(t.Context(), others)).Items
		if len(old) != 1 || old[0].Erased.IsZero() || len(late) != 1 || late[0].Erased.IsZero() || onDisk(shared.SHA256) {
			return fmt.Errorf("%+v %+v, on disk %v", old, late, onDisk(shared.SHA256))
		}
		return nil
	})
}

// got is what was answered; an empty one tells of an error.
func got[T any](v T, _ error) T { return v }
