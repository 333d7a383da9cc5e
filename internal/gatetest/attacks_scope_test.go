package gatetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// Two streets with one of everything each, on a running gateway, and who is limited to the east.

const (
	eastern = "310105001"
	western = "310105002"
)

// sides are the streets by the word that all their names have.
var sides = map[string]string{"easton": eastern, "weston": western}

const streetRegistry = `
points:
%[1]s
devices:
%[2]s
buildings:
%[3]s
units:
%[4]s
  - {id: crew, name: crew, kind: maintenance, tier: 2, mode: simulated, connector: inbox, contractor: crew, token: token-of-the-whole-crew}
`

func registerStreets(t *testing.T, g *gateway) {
	t.Helper()
	var points, devices, buildings, units strings.Builder
	for _, side := range []string{"easton", "weston"} {
		for _, kind := range []string{"smoke", "door", "manhole"} {
			fmt.Fprintf(&points, "  - {id: %[1]s-%[2]s, name: %[1]s %[2]s, kind: %[2]s, district: \"310105\", street: %[3]q, contractor: crew, building: %[1]s-house, address: 1 %[1]s Road, lon: 121.4, lat: 31.2, crs: WGS84, mode: simulated}\n", side, kind, sides[side])
			fmt.Fprintf(&devices, "  - {identity: \"sn:%[1]s-%[2]s\", profile: gridgate/json, point: %[1]s-%[2]s, mode: simulated}\n", side, kind)
		}
		fmt.Fprintf(&buildings, "  - {id: %[1]s-house, name: %[1]s house, key_holder: %[1]s keeper, district: \"310105\", street: %[2]q, mode: simulated}\n", side, sides[side])
		fmt.Fprintf(&units, "  - {id: %[1]s-station, name: %[1]s station, kind: micro_fire_station, tier: 2, district: \"310105\", street: %[2]q, mode: simulated, connector: inbox, token: token-of-%[1]s-station}\n", side, sides[side])
	}
	g.put(t, fmt.Sprintf(streetRegistry, points.String(), devices.String(), buildings.String(), units.String()))
}

func TestATokenOfOneStreetSeesAndChangesNothingOfAnotherOnARunningGateway(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	registerStreets(t, g)
	east := map[grid.Role]string{}
	for _, role := range []grid.Role{grid.RoleViewer, grid.RoleOperator, grid.RoleSupervisor, grid.RoleTechnician} {
		ask := api.TokenAsk{Name: "east " + string(role), Role: role, Scope: grid.Scope{District: "310105", Street: eastern}}
		if role == grid.RoleTechnician {
			ask.Unit = "crew"
		}
		made, err := g.api.AddToken(t.Context(), ask)
		must(t, err)
		east[role] = made.Token
	}
	own := *g
	own.api = &api.Client{URL: g.api.URL, Token: east[grid.RoleOperator]}
	stream := streamed(t, &own)
	ids := happenings(t, g)

	eventually(t, 20*time.Second, "the stream to tell of the east", func() error {
		if !strings.Contains(stream.String(), ids["easton"]["/tickets/"]) {
			return fmt.Errorf("it has told %.200s", stream.String())
		}
		return nil
	})
	for _, line := range strings.Split(stream.String(), "\n") {
		if betrays(line, ids["weston"], "") {
			t.Errorf("the stream tells of the west: %.400s", line)
		}
	}
	t.Run("no GET tells of it", func(t *testing.T) { readStreets(t, g, east, ids) })
	t.Run("a photo by its id, and what is scanned", func(t *testing.T) { scanStreets(t, g, east, ids) })
	g.balanced(t)
}

// happenings has the same happen in both streets, the west first, and gives the ids of what came of it
// by street and path.
func happenings(t *testing.T, g *gateway) map[string]map[string]string {
	t.Helper()
	wire, ids := connect(t, g.broker), map[string]map[string]string{}
	for _, side := range []string{"weston", "easton"} {
		at := map[string]string{"/points/": side + "-smoke", "/devices/": "sn:" + side + "-smoke", "/discovered/": "sn:" + side + "-smoke", "/buildings/": side + "-house", "/units/": side + "-station", "/contractors/": side + "-station"}
		ids[side] = at
		contactOf(t, g, "point:"+side+"-smoke", grid.Occupant, 1, occupantNumber)
		w, err := g.api.OpenWindow(t.Context(), api.NewWindow{Kind: grid.WindowMaintenance, Points: []string{side + "-door"}, For: "1h", Reason: side, By: &api.As{Name: side}}, "")
		must(t, err)
		at["/windows/"] = w.ID
		for path, body := range map[string]string{
			"/points/" + side + "-smoke/notes":        `{"text":"` + side + `"}`,
			"/devices/sn:" + side + "-smoke/notes":    `{"text":"` + side + `"}`,
			"/hazards":                                `{"kind":"exit_blocked","source":"patrol","external":"` + side + `","point":"` + side + `-door","text":"` + side + `"}`,
			"/events":                                 `{"type":"manhole.open","source":"hotline","external":"` + side + `","point":"` + side + `-manhole","text":"` + side + `"}`,
			"/devices/sn:" + side + "-door/downlinks": `{"order":{"payload":{"hex":"00"}},"reason":"` + side + `"}`,
		} {
			if code, _, said := asks(t, g, http.MethodPost, "/api/v1"+path, g.api.Token, body, "Content-Type", "application/json"); code >= 300 {
				t.Fatalf("%s: %d %s", path, code, said)
			}
		}
		code, _, said := asks(t, g, http.MethodPost, "/api/v1/points/"+side+"-smoke/photos?shows=near", g.api.Token, string(photograph(t)), "Content-Type", "application/octet-stream")
		var photo struct{ ID string }
		if json.Unmarshal([]byte(said), &photo); code >= 300 || photo.ID == "" {
			t.Fatalf("photo: %d %s", code, said)
		}
		at["/photos/"] = photo.ID
		wire.send(t, "gridgate/up/sn:"+side+"-smoke", []byte(`{"smoke.alarm":true,"seq":1}`))
		wire.send(t, "gridgate/up/sn:"+side+"-door", []byte(`{"door.open":`))
		eventually(t, 20*time.Second, "the ticket of the "+side, func() error {
			for _, k := range all[grid.Ticket](t, g, "tickets", api.Query{Point: side + "-smoke", Type: string(grid.EventSmokeAlarm)}) {
				at["/tickets/"] = k.ID
				return nil
			}
			return fmt.Errorf("none")
		})
		f, err := g.api.AddEvidence(t.Context(), at["/tickets/"], photograph(t), "before", side)
		must(t, err)
		at["/evidence/"] = f.ID
		for path, list := range map[string]string{"/alarms/": "alarms?ticket=" + at["/tickets/"], "/deliveries/": "deliveries?ticket=" + at["/tickets/"], "/hazards/": "hazards?point=" + side + "-door", "/downlinks/": "downlinks?device=sn:" + side + "-door"} {
			page, err := getJSON[api.Page[struct{ ID string }]](t.Context(), g.api.URL+"/api/v1/"+list, g.api.Token)
			must(t, err)
			if len(page.Items) > 0 {
				at[path] = page.Items[0].ID
			}
		}
	}
	g.settled(t)
	return ids
}

// betrays reports whether a text says anything of the west but what was asked for.
func betrays(said string, west map[string]string, asked string) bool {
	if asked != "" {
		said = strings.ReplaceAll(said, asked, "")
	}
	if strings.Contains(said, "weston") || strings.Contains(said, western) {
		return true
	}
	for _, id := range west {
		if strings.Contains(said, id) {
			return true
		}
	}
	return false
}

// needs are the queries without which a list answers nothing.
var needs = map[string]string{
	"/api/v1/assignments": "ticket=%[2]s", "/api/v1/frames": "device=sn:%[1]s-smoke", "/api/v1/tickets/route": "type=smoke.alarm&point=%[1]s-smoke",
	"/api/v1/reportable": "point=%[1]s-smoke", "/api/v1/contacts": "of=point:%[1]s-smoke", "/api/v1/rosters/duty": "for=unit:%[1]s-station",
}

// readStreets walks every GET of the document, twice: for what is in the east, and in the west.
func readStreets(t *testing.T, g *gateway, east map[grid.Role]string, ids map[string]map[string]string) {
	doc, err := getJSON[struct {
		Paths map[string]map[string]struct {
			Scope string `json:"x-scope"`
		}
	}](t.Context(), g.api.URL+"/openapi.json", "")
	must(t, err)
	asked, seen := 0, map[string]bool{}
	for path, ops := range doc.Paths {
		if _, ok := ops["get"]; !ok || strings.HasSuffix(path, "/stream") {
			continue
		}
		for _, side := range []string{"easton", "weston"} {
			id := side
			for under, known := range ids[side] {
				if strings.Contains(path, under) {
					id = known
				}
			}
			at := inPath.ReplaceAllString(strings.ReplaceAll(path, "{z}/{x}/{y}", "0/0/0"), strings.ReplaceAll(id, "/", "%2f"))
			if q := needs[path]; q != "" {
				at += "?" + fmt.Sprintf(q, side, ids[side]["/tickets/"])
			}
			for role, token := range east {
				code, _, said := asks(t, g, http.MethodGet, at, token, "")
				asked++
				if strings.Contains(ops["get"].Scope, "borders and names of areas") {
					said = strings.ReplaceAll(said, western, "") // that there is a street is nobody's secret
				}
				own := ""
				if code != http.StatusOK {
					own = id // a refusal names what was asked for
				}
				if code >= 500 && code != http.StatusServiceUnavailable || betrays(said, ids["weston"], own) && !(side == "weston" && code >= 400) {
					t.Errorf("GET %s as %s: %d tells %.500s", at, role, code, said)
				}
				if side == "weston" && code == http.StatusOK && ids["weston"][under(path)] != "" && strings.Contains(path, "{") {
					t.Errorf("GET %s as %s: 200", at, role)
				}
				if side == "easton" && code == http.StatusOK && strings.Contains(said, "easton") {
					seen[path] = true
				}
			}
		}
	}
	t.Logf("%d requests; the east sees its own by %d routes", asked, len(seen))
	if len(seen) < 30 {
		t.Errorf("the east sees its own by %d routes alone: %v", len(seen), seen)
	}
}

// under is the part of a path that says what its id is of.
func under(path string) string {
	rest := strings.TrimPrefix(path, "/api/v1")
	i := strings.Index(rest[1:], "/")
	if i < 0 {
		return ""
	}
	return rest[:i+2]
}

// scanStreets has a technician of the east try what a code, a photo's id and a box in his hands would
// give him of the west.
func scanStreets(t *testing.T, g *gateway, east map[grid.Role]string, ids map[string]map[string]string) {
	for _, kind := range []string{"/photos/", "/evidence/"} {
		for side, want := range map[string]int{"easton": http.StatusOK, "weston": http.StatusNotFound} {
			if code, _, _ := asks(t, g, http.MethodGet, "/api/v1"+kind+ids[side][kind], east[grid.RoleOperator], ""); code != want {
				t.Errorf("%s of the %s: %d, want %d", kind, side, code, want)
			}
		}
	}
	stands := func() string {
		var out []string
		for _, in := range all[grid.Installation](t, g, "installations", api.Query{}) {
			out = append(out, fmt.Sprint(in.Device, " ", in.Channel, " at ", in.Point, " until ", in.To))
		}
		for _, p := range all[grid.Point](t, g, "points", api.Query{}) {
			out = append(out, fmt.Sprint(p.ID, " ", p.Name, " ", p.Street, " ", p.Kind, " ", p.State))
		}
		for _, d := range all[grid.Device](t, g, "devices", api.Query{}) {
			out = append(out, fmt.Sprint(d.Identity, " ", d.State))
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	before := stands()
	for _, try := range [][2]string{
		{"/devices/sn:weston-smoke/replace", `{"with":"sn:new-1"}`},
		{"/devices/sn:easton-smoke/replace", `{"with":"sn:weston-smoke"}`},
		{"/devices/sn:easton-smoke/replace", `{"code":"weston-smoke"}`},
		{"/devices/sn:easton-smoke/replace", `{"code":"sn:weston-smoke"}`},
		{"/devices/sn:weston-smoke/claim", `{"installations":[{"point":"easton-door"}]}`},
		{"/devices/sn:weston-smoke/claim", `{"code":"sn:weston-smoke","installations":[{"point":"easton-door"}]}`},
		{"/devices/sn:new-2/claim", `{"profile":"gridgate/json","mode":"simulated","installations":[{"point":"weston-door"}]}`},
		{"/devices/sn:new-3/claim", `{"profile":"gridgate/json","mode":"simulated","point":{"id":"weston-door","name":"taken","kind":"door","scope":{"street":"310105001"}}}`},
		{"/devices/sn:new-3/claim", `{"profile":"gridgate/json","mode":"simulated","point":{"id":"weston-door","name":"taken","kind":"door","street":"310105001","contractor":"crew"}}`},
		{"/devices/sn:new-4/claim", `{"profile":"gridgate/json","mode":"simulated","point":{"id":"new-west","name":"new","kind":"door","street":"310105002","contractor":"crew"}}`},
		{"/devices/sn:new-5/claim", `{"profile":"gridgate/json","mode":"simulated","point":{"id":"weston-door","name":"taken","kind":"door","street":"310105001","contractor":"crew"},"installations":[{"point":"weston-door"}]}`},
		{"/devices/sn:weston-smoke/move", `{"point":"easton-door"}`},
		{"/devices/sn:easton-smoke/move", `{"point":"weston-door"}`},
		{"/devices/sn:weston-smoke/retire", `{"reason":"it is gone"}`},
		{"/devices/sn:weston-smoke/bar", `{"reason":"it is gone"}`},
		{"/points/weston-door/retire", `{"reason":"it is gone"}`},
		{"/points", `{"id":"new-west","name":"new","kind":"door","street":"310105002","contractor":"crew"}`},
		{"/labels", `{"points":["weston-door"]}`},
	} {
		code, _, said := asks(t, g, http.MethodPost, "/api/v1"+try[0], east[grid.RoleTechnician], try[1], "Content-Type", "application/json")
		if code < 400 || code >= 500 {
			t.Errorf("%s %s: %d %.300s", try[0], try[1], code, said)
		}
	}
	if after := stands(); after != before {
		t.Errorf("the registry was\n%s\nand is\n%s", before, after)
	}
	for _, text := range []string{"GW1:P:weston-smoke", "weston-smoke", "sn:weston-smoke", "GW1:D:sn:weston-smoke"} {
		_, _, said := asks(t, g, http.MethodPost, "/api/v1/codes/read", east[grid.RoleTechnician], fmt.Sprintf(`{"text":%q}`, text), "Content-Type", "application/json")
		if rest := strings.ReplaceAll(said, "weston-smoke", ""); strings.Contains(rest, "weston") || strings.Contains(rest, western) {
			t.Errorf("the code %s tells more than it says: %s", text, said)
		}
	}
}
