package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const (
	eastStreet = "310101001"
	westStreet = "310101002"
)

// TestEveryRouteSaysHowItIsNarrowed: what says nothing is refused to those who are limited to a
// part, so a new route is safe at once, and is found here.
func TestEveryRouteSaysHowItIsNarrowed(t *testing.T) {
	w := newFullWorld(t)
	there := map[string]bool{}
	for path, item := range w.server.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			there[op.OperationID] = true
			_, said := narrowings[op.OperationID]
			if op.Extensions["x-access"] != "admin" && !said {
				t.Errorf("%s %s (%s) does not say in narrowings how it is narrowed", op.Method, path, op.OperationID)
			}
		}
	}
	for id := range narrowings {
		if !there[id] && narrowings[id].free != geography && !strings.HasSuffix(id, "-oidc") { // areas: this world has none
			t.Errorf("narrowings has %q, which is no route", id)
		}
	}
}

// newStreets has two streets with one of everything each. Ids and names of the west tell it; the
// tokens "east operator" and so on are limited to the east, ticket T-both has a member in each.
func newStreets(t *testing.T) *world {
	w := newWorld(t)
	b := &state.Batch{}
	for _, at := range []struct{ name, street string }{{"east", eastStreet}, {"west", westStreet}} {
		addStreet(b, at.name, grid.Scope{District: "310101", Street: at.street})
	}
	both := ticket("T-both", "U-east")
	both.Scope, both.Point, both.Place = grid.Scope{District: "310101", Street: westStreet}, "p-west", "west"
	both.Members = []grid.Member{{Alarm: "A-both-west", Point: "p-west", Place: "west", At: t0}, {Alarm: "A-both", Point: "p-east", Place: "east", At: t0}}
	b.Tickets = append(b.Tickets, both)
	b.Alarms = append(b.Alarms, grid.Alarm{ID: "A-both", Type: grid.EventSmokeAlarm, Point: "p-east", Mode: grid.Live, Ticket: "T-both", Raised: t0, Active: true, Scope: grid.Scope{District: "310101", Street: eastStreet}})
	w.commit(b)
	d := w.server.Deps
	d.Hazards, d.VisitStore, d.Visits, d.Commission = w.store, w.store, struct{ Visits }{}, &commission.Plans{}
	d.Filer = struct{ Filer }{}
	d.Who = func(_ context.Context, token string) (grid.Actor, error) {
		by := grid.Actor{Role: grid.RoleSupervisor, Account: grid.Role(strings.TrimPrefix(token, "east ")), Name: "who", Scope: grid.Scope{District: "310101", Street: eastStreet}}
		return by, nil
	}
	w.server = New(d)
	w.server.hub.close()
	return w
}

func addStreet(b *state.Batch, n string, at grid.Scope) {
	id := grid.Identity("modbus:" + n + "/1")
	tk := ticket("T-"+n, "U-"+n)
	tk.Scope, tk.Point, tk.Place, tk.Title = at, "p-"+n, n, n
	b.Points = append(b.Points, grid.Point{ID: "p-" + n, Name: n + " gate", Kind: grid.Smoke, Mode: grid.Live, Scope: at, Building: "B-" + n, Lon: 121.4, Lat: 31.2, CRS: "WGS84"})
	b.Devices = append(b.Devices, grid.Device{Identity: id, Profile: "v/m", State: grid.Installed, Mode: grid.Live})
	b.Installations = append(b.Installations, grid.Installation{Device: id, Channel: "main", Point: "p-" + n, From: t0})
	b.Units = append(b.Units, grid.Unit{ID: "U-" + n, Name: n, Kind: grid.Property, Mode: grid.Live, Scope: at})
	b.Tickets = append(b.Tickets, tk)
	b.Moves = append(b.Moves, grid.MoveRecord{Ticket: "T-" + n, N: 1, Verb: "open", To: grid.TicketDispatched, At: t0, Reason: n})
	b.Alarms = append(b.Alarms, grid.Alarm{ID: "A-" + n, Type: grid.EventSmokeAlarm, Point: "p-" + n, Device: id, Mode: grid.Live, Scope: at, Active: true, Raised: t0, Ticket: "T-" + n, Incident: "I-" + n, Building: "B-" + n})
	b.Events = append(b.Events, grid.Event{ID: "E-" + n, Type: grid.EventSmokeAlarm, Action: "raised", Point: "p-" + n, Device: id, Mode: grid.Live, Scope: at, At: t0, Received: t0})
	b.Incidents = append(b.Incidents, grid.Incident{ID: "I-" + n, Cause: "fire", Place: n, Mode: grid.Live, Scope: at, Opened: t0, Ticket: "T-" + n, Members: 1})
	b.Deliveries = append(b.Deliveries, grid.Delivery{ID: "D-" + n, N: 1, Ticket: "T-" + n, Unit: "U-" + n, State: grid.DeliveryPending, Created: t0, Mode: grid.Live, Scope: at, Body: json.RawMessage(`{}`)})
	b.Windows = append(b.Windows, grid.Window{ID: "W-" + n, Kind: grid.WindowMaintenance, Points: []string{"p-" + n}, From: t0, To: t0, Mode: grid.Live, Scope: at, Reason: n},
		grid.Window{ID: "P-" + n, Kind: grid.WindowPermit, Points: []string{"p-" + n}, From: t0, To: t0, Mode: grid.Live, Scope: at, Reason: n},
		grid.Window{ID: "X-" + n, Kind: grid.WindowExercise, Points: []string{"p-" + n}, From: t0, To: t0, Mode: grid.Live, Scope: at, Reason: n})
	b.Hazards = append(b.Hazards, grid.Hazard{ID: "H-" + n, Kind: "exit_blocked", Place: n, Mode: grid.Live, Scope: at, Found: t0, Ticket: "T-" + n})
	b.Visits = append(b.Visits, grid.Visit{ID: "V-" + n, Device: id, Point: "p-" + n, Mode: grid.Live, Scope: at, Started: t0, Opened: t0})
	b.Sites = append(b.Sites, grid.Site{ID: "S-" + n, Name: n, Scope: at, Mode: grid.Live})
	b.Buildings = append(b.Buildings, grid.Building{ID: "B-" + n, Name: n, Scope: at, Mode: grid.Live})
	b.Photos = append(b.Photos, grid.PointPhoto{ID: "F-" + n, Point: "p-" + n, Scope: at, Mode: grid.Live, At: t0})
	b.Files = append(b.Files, grid.EvidenceFile{ID: "G-" + n, Ticket: "T-" + n, Scope: at, Mode: grid.Live, At: t0})
	b.Downlinks = append(b.Downlinks, grid.Downlink{ID: "L-" + n, Device: id, State: grid.DownlinkQueued, Created: t0, Mode: grid.Live})
	b.Quarantine = append(b.Quarantine, grid.QuarantinedFrame{ID: "Q-" + n, Reason: grid.UnknownDevice, At: t0, State: "waiting", Scope: at, Frame: grid.Frame{Identity: id, Raw: []byte{1}}})
	b.Rounds = append(b.Rounds, grid.Round{ID: "R-" + n, Unit: "U-" + n, Day: "2026-03-01", Scope: at, Mode: grid.Live, Made: t0, Until: t0})
	b.NoEntries = append(b.NoEntries, grid.NoEntry{ID: "N-" + n, Round: "R-" + n, Unit: "U-" + n, Place: n, Scope: at, Mode: grid.Live, At: t0, Received: t0})
}

// idIn is the id in a street of what a path is about.
func idIn(street, path string) string {
	for _, x := range []struct{ under, id string }{
		{"/points/", "p-%s"}, {"/devices/", "modbus:%s%%2f1"}, {"/discovered/", "modbus:%s%%2f1"}, {"/tickets/", "T-%s"}, {"/alarms/", "A-%s"}, {"/incidents/", "I-%s"}, {"/deliveries/", "D-%s"},
		{"/windows/", "W-%s"}, {"/permits/", "P-%s"}, {"/exercises/", "X-%s"}, {"/hazards/", "H-%s"}, {"/visits/", "V-%s"}, {"/sites/", "S-%s"}, {"/buildings/", "B-%s"}, {"/photos/", "F-%s"},
		{"/evidence/", "G-%s"}, {"/downlinks/", "L-%s"}, {"/rounds/", "R-%s"}, {"/no-entries/", "N-%s"}, {"/units/", "U-%s"}, {"/contractors/", "U-%s"},
	} {
		if strings.Contains(path, x.under) {
			return fmt.Sprintf(x.id, street)
		}
	}
	return street
}

// asked is a request as a role of the east.
func (w *world) asked(role, method, path, body string) (int, string) {
	req := httptest.NewRequestWithContext(w.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer east "+role)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	got := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(got, req)
	return got.Code, got.Body.String()
}

func put(path, street string) string {
	id := idIn(street, path)
	return strings.NewReplacer("{id}", id, "{identity}", id, "{n}", "1", "{day}", "2026-03-01", "{z}/{x}/{y}", "2/3/1", "{name}", "mqtt", "{credential}", "c").Replace(path)
}

func TestNoReadOfAnotherStreetTellsAnything(t *testing.T) {
	w := newStreets(t)
	wanted := map[string]string{"/api/v1/assignments": "ticket=T-%s", "/api/v1/frames": "device=modbus:%s/1", "/api/v1/tickets/route": "type=smoke.alarm&point=p-%s",
		"/api/v1/reportable": "point=p-%s", "/api/v1/contacts": "of=point:p-%s", "/api/v1/rosters/duty": "for=unit:U-%s"}
	own := 0
	for _, o := range w.operations() {
		if o.method != "GET" || strings.HasPrefix(o.path, "/api/v1/session") {
			continue
		}
		for _, role := range []string{"operator", "supervisor", "viewer"} {
			for _, street := range []string{"east", "west"} {
				path := put(o.path, street)
				if q := wanted[o.path]; q != "" {
					path += "?" + fmt.Sprintf(q, street)
				}
				code, said := w.asked(role, "GET", path, "")
				said = strings.ReplaceAll(said, `"newest"`, "")
				told := strings.ReplaceAll(said, strings.NewReplacer("%2f", "/").Replace(idIn(street, o.path)), "") // a refusal names what was asked for
				if code == http.StatusOK {
					told = said
				}
				if street == "east" && code == http.StatusOK && strings.Contains(said, "east") {
					own++
				}
				if code == http.StatusOK && strings.Contains(told, "west") || code == http.StatusOK && strings.Contains(told, westStreet) {
					t.Errorf("GET %s as %s tells of the west: %s", path, role, told[:min(len(told), 600)])
				}
				if street == "west" && code == http.StatusOK && strings.Contains(o.path, "{id}") && !strings.HasPrefix(o.path, "/api/v1/profiles") {
					t.Errorf("GET %s as %s: 200", path, role)
				}
			}
		}
	}
	if own < 60 {
		t.Errorf("the east saw its own %d times: want nearly every list and every row", own)
	}
}

// changes are the bodies of changes that name the west.
var changes = map[string]string{
	"POST /api/v1/alarms/ack":                     `{"alarms":[{"id":"A-west","revision":1}]}`,
	"POST /api/v1/alarms/{id}/comment":            `{"comment":"x"}`,
	"POST /api/v1/alarms/{id}/answer":             `{"answer":"yes"}`,
	"POST /api/v1/alarms/{id}/take":               `{"seat":"s"}`,
	"POST /api/v1/alarms/{id}/give-back":          `{}`,
	"POST /api/v1/tickets/{id}/take":              `{"seat":"s"}`,
	"POST /api/v1/tickets/{id}/give-back":         `{}`,
	"POST /api/v1/tickets/{id}/moves":             `{"verb":"accept"}`,
	"POST /api/v1/hazards/{id}/moves":             `{"verb":"inspect"}`,
	"POST /api/v1/events":                         `{"type":"smoke.alarm","source":"patrol","external":"1","point":"p-west"}`,
	"POST /api/v1/events/similar":                 `{"type":"smoke.alarm","point":"p-west"}`,
	"POST /api/v1/hazards":                        `{"kind":"exit_blocked","source":"patrol","external":"1","building":"B-west"}`,
	"POST /api/v1/windows":                        `{"kind":"maintenance","points":["p-east","p-west"],"for":"1h"}`,
	"POST /api/v1/permits":                        `{"area":{"street":"310101002"},"for":"1h"}`,
	"POST /api/v1/exercises":                      `{"script":[{"point":"p-west","type":"smoke.alarm"}],"for":"1h"}`,
	"POST /api/v1/windows/{id}/touch":             `{"session":"s"}`,
	"POST /api/v1/windows/{id}/extend":            `{"for":"1h"}`,
	"POST /api/v1/permits/{id}/extend":            `{"for":"1h"}`,
	"POST /api/v1/permits/{id}/answer":            `{"answer":"yes"}`,
	"POST /api/v1/exercises/{id}/extend":          `{"for":"1h"}`,
	"POST /api/v1/points/{id}/notes":              `{"text":"x"}`,
	"POST /api/v1/devices/{id}/notes":             `{"text":"x"}`,
	"POST /api/v1/devices/{id}/bar":               `{"reason":"xxx"}`,
	"POST /api/v1/devices/{identity}/downlinks":   `{"order":{},"reason":"x"}`,
	"POST /api/v1/quarantine/replay":              `{"ids":["Q-west"]}`,
	"POST /api/v1/quarantine/discard":             `{"ids":["Q-west"],"reason":"xxx"}`,
	"POST /api/v1/visits":                         `{"id":"visit-of-west","device":"modbus:west/1","point":"p-west"}`,
	"POST /api/v1/visits/{id}/steps":              `{"step":"x","result":"passed"}`,
	"POST /api/v1/visits/{id}/finish":             `{"verdict":"pass"}`,
	"POST /api/v1/visits/{id}/touch":              `{"session":"s"}`,
	"POST /api/v1/visits/{id}/answer":             `{"answer":"yes"}`,
	"POST /api/v1/rounds/plan":                    `{"unit":"U-west","street":"310101002"}`,
	"POST /api/v1/rounds/{id}/cancel":             `{"reason":"x"}`,
	"POST /api/v1/rounds/{id}/stops/{n}/no-entry": `{"reason":"x","next":"2026-03-02"}`,
	"POST /api/v1/contacts":                       `{"of":"point:p-west","role":"occupant","channel":"sms","number":"1"}`,
	"POST /api/v1/contacts/{id}/reveal":           `{}`,
	"POST /api/v1/rosters":                        `{"id":"r","for":"unit:U-west"}`,
	"POST /api/v1/shifts":                         `{"for":"unit:U-west","person":"1","from":"2026-03-01T08:00:00Z"}`,
	"POST /api/v1/duty/sheet.pdf":                 `{"street":"310101002","reason":"x","by":{"name":"x"}}`,
	"POST /api/v1/posture":                        `{"posture":"typhoon","for":"1h"}`,
	"POST /api/v1/handovers":                      `{}`,
	"POST /api/v1/handovers/{id}/sign":            `{"by":{"name":"x"}}`,
	"POST /api/v1/profiles/{id}/diff":             "-", // bodies are of profiles: refused whatever they are
	"POST /api/v1/profiles/{id}/rollout":          "-",
	"PUT /api/v1/profiles/{id}/rollout":           "-",
	"POST /api/v1/profiles/{id}/rollout/back":     "-",
	"POST /api/v1/profiles/lint":                  "-",
	"POST /api/v1/profiles/{id}/decode":           "-",
	"POST /api/v1/convert":                        "-",
	"POST /api/v1/codes/read":                     "-",
	"POST /api/v1/seats/{id}/beat":                "-",
	"POST /api/v1/seats/{id}/sign-on":             "-",
	"POST /api/v1/seats/{id}/sign-off":            "-",
	"POST /api/v1/rounds/{id}/stops/{n}/photos":   "x",
	"POST /api/v1/tickets/{id}/evidence":          "x",
	"POST /api/v1/points/{id}/photos":             "x",
}

func TestNoChangeOfAnotherStreetIsLetIn(t *testing.T) {
	w := newStreets(t)
	for _, o := range w.operations() {
		body, given := changes[o.method+" "+o.path]
		if o.method == "GET" || body == "-" || strings.HasPrefix(o.path, "/api/v1/session") {
			continue
		}
		path := put(o.path, "west")
		if strings.HasSuffix(o.path, "/points/{id}/photos") {
			path += "?shows=near"
		}
		code, said := w.asked("supervisor", o.method, path, body)
		if code != http.StatusForbidden && code != http.StatusNotFound {
			t.Errorf("%s %s (body given: %v): %d %s", o.method, path, given, code, said)
		}
	}
	for path, body := range map[string]string{ // what lies in both, and what of the own street names the other
		"/api/v1/tickets/T-east/moves": `{"verb":"merge","into":"T-west"}`,
		"/api/v1/events":               `{"type":"smoke.alarm","source":"patrol","external":"1","place":"in words alone"}`,
		"/api/v1/quarantine/replay":    `{"profile":"v/m"}`,
		"/api/v1/windows":              `{"kind":"maintenance","area":{"building":"B-west"},"for":"1h"}`,
	} {
		if code, said := w.asked("supervisor", "POST", path, body); code != http.StatusForbidden && code != http.StatusNotFound {
			t.Errorf("POST %s %s: %d %s", path, body, code, said)
		}
	}
	if len(w.engine.moves) > 0 {
		t.Errorf("moves came through: %v", w.engine.moves)
	}
	if code, said := w.asked("operator", "POST", "/api/v1/tickets/T-east/moves", `{"verb":"accept"}`); code != 200 {
		t.Errorf("a move in the own street: %d %s", code, said)
	}
}

func TestATicketWithMembersInTwoStreetsIsSeenWithTheOwnOnesAlone(t *testing.T) {
	w := newStreets(t)
	for _, path := range []string{"/api/v1/tickets", "/api/v1/tickets/T-both"} {
		code, said := w.asked("operator", "GET", path, "")
		if code != 200 || !strings.Contains(said, `"T-both"`) || strings.Contains(said, "A-both-west") || !strings.Contains(said, "A-both") {
			t.Errorf("GET %s: %d %s", path, code, said)
		}
	}
	if code, _ := w.asked("operator", "GET", "/api/v1/tickets/T-both/explain", ""); code != http.StatusForbidden {
		t.Errorf("its whole timeline: %d, want 403: it tells of the other street", code)
	}
}

func TestTheStreamSendsTheOwnStreetAlone(t *testing.T) {
	w := newStreets(t)
	part := grid.Scope{Street: eastStreet}
	b := &state.Batch{}
	addStreet(b, "east", grid.Scope{District: "310101", Street: eastStreet})
	addStreet(b, "west", grid.Scope{District: "310101", Street: westStreet})
	both, err := w.store.Ticket(w.Context(), "T-both")
	if err != nil {
		t.Fatal(err)
	}
	all := Change{Events: b.Events, Alarms: b.Alarms, Tickets: append(b.Tickets, both), Moves: b.Moves, Deliveries: b.Deliveries, Downlinks: b.Downlinks, Windows: b.Windows, Visits: b.Visits, Handovers: []grid.Handover{{ID: "west"}}}
	var sent []string
	for _, n := range all.notes() {
		if n.outside(&part) {
			continue
		}
		if n, in := w.server.forPart(w.Context(), n, part); in {
			text, _ := json.Marshal(n.data)
			text = bytes.ReplaceAll(text, []byte(`"newest"`), nil)
			sent = append(sent, n.name)
			if bytes.Contains(text, []byte("A-both-west")) || n.name != "ticket" && bytes.Contains(text, []byte("west")) {
				t.Errorf("%s: %s", n.name, text)
			}
		}
	}
	slices.Sort(sent)
	if got := fmt.Sprint(sent); got != "[alarm delivery downlink event move ticket ticket visit window window window]" {
		t.Errorf("sent: %s", got)
	}
}
