package gatetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// hidden stands in every word of the other contractor's places: none of it may be read by
// another's token.
const hidden = "VERBORGEN"

const contractorRegistry = `
points:
  - {id: p-ours, name: our door, kind: door, district: "310105", street: "310105006", building: b-ours, address: 1 Demo Road, mode: simulated, contractor: wb-1, lon: 121.42, lat: 31.22, crs: WGS84}
  - {id: p-ours-2, name: our other door, kind: door, district: "310105", street: "310105006", building: b-ours, address: 1 Demo Road, mode: simulated, contractor: wb-1, lon: 121.42, lat: 31.22, crs: WGS84}
  - {id: p-theirs, name: VERBORGEN door, kind: door, district: "310105", street: "310105006", building: b-theirs, address: VERBORGEN Road 2, mode: simulated, contractor: wb-2, lon: 121.4201, lat: 31.2201, crs: WGS84}
  - {id: s-theirs, name: VERBORGEN ceiling, kind: smoke, district: "310105", street: "310105006", building: b-theirs, address: VERBORGEN Road 2, mode: simulated, contractor: wb-2, lon: 121.4201, lat: 31.2201, crs: WGS84}
devices:
  - {identity: "eui:0267000100000001", profile: gridgate/json, point: p-ours, mode: simulated, interval: 1h}
  - {identity: "eui:0267000100000002", profile: gridgate/json, point: p-theirs, mode: simulated, interval: 2s}
  - {identity: "eui:0267000100000003", profile: gridgate/json, mode: simulated, interval: 1h}
units:
  - {id: wb-1, name: ours, kind: maintenance, tier: 2, mode: simulated, connector: inbox, token: wb1-token-0123456789abcd}
  - {id: wb-2, name: VERBORGEN company, kind: maintenance, tier: 2, mode: simulated, connector: inbox, token: wb2-token-0123456789abcd}
  - {id: wb-old, name: old, kind: maintenance, tier: 2, mode: simulated, connector: inbox, token: wbo-token-0123456789abcd, term: {from: 2020-01-01T00:00:00+08:00, to: 2021-01-01T00:00:00+08:00}}
  - {id: wuye, name: property, kind: property, tier: 2, mode: simulated, connector: inbox, token: wye-token-0123456789abcd}
`

// operation is one line of the OpenAPI document.
type operation struct {
	method, path, access string
	body                 any // an example with every field, or nil
}

func (o operation) String() string { return o.method + " " + o.path }

// operations reads what the gateway serves, from its own document.
func operations(t *testing.T, g *gateway) (out []operation) {
	t.Helper()
	status, raw := ask(t, g, "", "GET", "/openapi.json", nil)
	if status != http.StatusOK {
		t.Fatalf("openapi: %d", status)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Access      string `json:"x-access"`
			RequestBody struct {
				Content map[string]struct {
					Schema map[string]any `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	must(t, json.Unmarshal(raw, &doc))
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Access == "anyone" { // the door itself: behind it is nobody's work
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path, access: op.Access}
			if c, ok := op.RequestBody.Content["application/json"]; ok {
				o.body = example(doc.Components.Schemas, c.Schema, "", 0)
			} else if len(op.RequestBody.Content) > 0 {
				o.body = "x"
			}
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	if len(out) < 100 {
		t.Fatalf("the document has %d operations", len(out))
	}
	return out
}

// example makes a value of a schema in which every field is set; ids are left as {name}.
func example(all map[string]any, schema map[string]any, name string, depth int) any {
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = all[ref[strings.LastIndexByte(ref, '/')+1:]].(map[string]any)
	}
	if enum, ok := schema["enum"].([]any); ok && len(enum) > 0 {
		return enum[0]
	}
	typ, _ := schema["type"].(string)
	if types, ok := schema["type"].([]any); ok {
		typ, _ = types[0].(string)
	}
	switch {
	case typ == "object":
		out := map[string]any{}
		props, _ := schema["properties"].(map[string]any)
		for key, p := range props {
			if key == "$schema" || key == "dry_run" || depth > 4 {
				continue
			}
			out[key] = example(all, p.(map[string]any), key, depth+1)
		}
		return out
	case typ == "array":
		items, _ := schema["items"].(map[string]any)
		return []any{example(all, items, strings.TrimSuffix(name, "s"), depth+1)}
	case typ == "boolean":
		return true
	case typ == "integer" || typ == "number":
		if least, ok := schema["minimum"].(float64); ok && least > 0 {
			return least
		}
		return 1
	case schema["format"] == "date-time":
		return time.Now().UTC().Add(time.Minute).Format(time.RFC3339)
	}
	return "{" + name + "}"
}

// ask sends a request and gives what comes within a few seconds: streams do not end.
func ask(t *testing.T, g *gateway, token, method, path string, body any) (int, []byte) {
	t.Helper()
	within := 10 * time.Second
	if strings.HasSuffix(strings.SplitN(path, "?", 2)[0], "/stream") {
		within = time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var in io.Reader
	typ := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		in, typ = strings.NewReader(b), "application/octet-stream"
	default:
		raw, err := json.Marshal(b)
		must(t, err)
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.api.URL+path, in)
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil {
		req.Header.Set("Content-Type", typ)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return 0, nil
		}
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body) // a stream is cut by its deadline
	return res.StatusCode, raw
}

// ids are the names by which somebody's things may be asked for.
type ids map[string]string

// filled puts ids into an example or a path.
func (w ids) filled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = w.filled(x)
		}
		return out
	case []any:
		out := []any{}
		for _, x := range v {
			out = append(out, w.filled(x))
		}
		return out
	case string:
		if name, ok := strings.CutPrefix(v, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			if id, ok := w[name]; ok {
				return id
			}
			return "text"
		}
	}
	return v
}

func (w ids) path(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		switch {
		case p == "{id}":
			what := strings.TrimSuffix(parts[i-1], "s")
			if what == "evidence" {
				what = "photo"
			}
			id, ok := w[what]
			if !ok {
				id = "none"
			}
			parts[i] = url.PathEscape(id)
		case strings.HasPrefix(p, "{"):
			parts[i] = "1"
		}
	}
	return strings.Join(parts, "/")
}

// contractorWorld is a gateway with two contractors, of which the second has a ticket, a
// round, a photo and a window.
type contractorWorld struct {
	*gateway
	ours, theirs ids
}

func newContractorWorld(t *testing.T) *contractorWorld {
	t.Helper()
	g := newGateway(t)
	g.start(t)
	g.put(t, contractorRegistry)
	w := &contractorWorld{gateway: g}
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/eui:0267000100000002", []byte(`{"door.open":false,"seq":1}`))
	var ticket grid.Ticket
	seq := 0
	eventually(t, 30*time.Second, "the silent device's ticket", func() error {
		seq++ // the way in is heard: the device alone is silent
		wire.send(t, "gridgate/up/eui:0267000100000001", []byte(fmt.Sprintf(`{"door.open":false,"seq":%d}`, seq)))
		for _, k := range all[grid.Ticket](t, g, "tickets", api.Query{Point: "p-theirs"}) {
			ticket = k
		}
		if ticket.ID == "" {
			return errors.New("there is none yet")
		}
		return nil
	})
	if ticket.Contractor != "wb-2" || ticket.Assignments[0].Unit != "wb-2" {
		t.Fatalf("the ticket is of %q, led by %q", ticket.Contractor, ticket.Assignments[0].Unit)
	}
	wire.send(t, "gridgate/up/eui:02670001000000ff", []byte(`{"door.open":false,"seq":1}`))
	them := &api.Client{URL: g.api.URL, Token: "wb2-token-0123456789abcd"}
	photo, err := them.AddEvidence(t.Context(), ticket.ID, photograph(t), "before", hidden)
	must(t, err)
	plan, err := them.PlanRounds(t.Context(), api.NewRounds{}, "k")
	must(t, err)
	if len(plan.Rounds) != 1 {
		t.Fatalf("their round: %+v", plan)
	}
	window, err := g.api.OpenWindow(t.Context(), api.NewWindow{Kind: grid.WindowMaintenance, Points: []string{"p-theirs"}, For: "1h", Reason: hidden}, "")
	must(t, err)
	w.theirs = ids{
		"point": "p-theirs", "device": "eui:0267000100000002", "identity": "eui:0267000100000002", "with": "eui:0267000100000002", "ticket": ticket.ID, "alarm": ticket.Alarm,
		"round": plan.Rounds[0].ID, "photo": photo.ID, "window": window.ID, "unit": "wb-2", "contractor": "wb-2", "building": "b-theirs", "discovered": "eui:02670001000000ff",
		"profile": "gridgate/json", "next": "2099-01-01", "day": "2099-01-01", "from": "2099-01-01", "kind": "door", "crs": "WGS84",
	}
	w.ours = ids{
		"point": "p-ours", "device": "eui:0267000100000001", "identity": "eui:0267000100000001", "with": "eui:0267000100000003", "unit": "wb-1", "contractor": "wb-1", "building": "b-ours",
		"profile": "gridgate/json", "next": "2099-01-01", "day": "2099-01-01", "from": "2099-01-01", "kind": "door", "crs": "WGS84",
	}
	return w
}

// theirState is all that is to be known of the other contractor's things, as the administrator
// reads it. What changes by itself is left out.
func (w *contractorWorld) theirState(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, path := range []string{
		"/points/p-theirs", "/points/s-theirs", "/points/p-theirs/photos", "/installations?point=p-theirs", "/installations?device=" + url.QueryEscape(w.theirs["device"]),
		"/tickets/" + w.theirs["ticket"], "/tickets/" + w.theirs["ticket"] + "/moves", "/tickets/" + w.theirs["ticket"] + "/evidence",
		"/rounds/" + w.theirs["round"], "/rounds?unit=wb-2", "/windows?point=p-theirs", "/windows?point=s-theirs", "/visits?point=p-theirs", "/no-entries?unit=wb-2",
		"/alarms/" + w.theirs["alarm"], "/downlinks?device=" + url.QueryEscape(w.theirs["device"]), "/credentials?device=" + url.QueryEscape(w.theirs["device"]),
	} {
		status, raw := ask(t, w.gateway, w.api.Token, "GET", "/api/v1"+path, nil)
		fmt.Fprintf(&out, "%s %d %s\n", path, status, raw)
	}
	var device struct {
		State         string
		Installations json.RawMessage
	}
	_, raw := ask(t, w.gateway, w.api.Token, "GET", "/api/v1/devices/"+url.PathEscape(w.theirs["device"]), nil)
	must(t, json.Unmarshal(raw, &device))
	fmt.Fprintf(&out, "device %s %s\n", device.State, device.Installations)
	return out.String()
}

// TestAContractorNeverSeesOrChangesWhatIsInOtherHands walks every operation that the gateway
// serves with the token of another contractor: things of the other in the path, in the body, and in
// both.
func TestAContractorNeverSeesOrChangesWhatIsInOtherHands(t *testing.T) {
	w := newContractorWorld(t)
	const token = "wb1-token-0123456789abcd"
	before := w.theirState(t)
	if !strings.Contains(before, hidden) {
		t.Fatal("nothing is hidden: the test would pass whatever happens")
	}
	seen := map[string]int{}
	for _, pass := range []struct {
		name       string
		path, body ids
	}{{"their path and body", w.theirs, w.theirs}, {"their path, our body", w.theirs, w.ours}, {"our path, their body", w.ours, w.theirs}} {
		for _, o := range operations(t, w.gateway) {
			path := pass.path.path(o.path)
			if pass.name != "their path and body" && o.body == nil {
				continue
			}
			status, raw := ask(t, w.gateway, token, o.method, path, pass.body.filled(o.body))
			for _, who := range []string{"technician", "unit", "admin"} {
				if strings.Contains(o.access, who) {
					seen[who]++
				}
			}
			what := fmt.Sprintf("%s (%s): %d", o, pass.name, status)
			if bytes.Contains(raw, []byte(hidden)) {
				t.Errorf("%s tells what is hidden: %.400s", what, raw)
			}
			if status >= 500 && status != http.StatusServiceUnavailable {
				t.Errorf("%s: %.200s", what, raw)
			}
			theirs := path != o.path && strings.Contains(path, "/"+url.PathEscape(pass.path["unit"])) || slices.ContainsFunc([]string{"point", "device", "ticket", "round", "photo", "window", "alarm"}, func(k string) bool {
				return pass.path[k] != "" && strings.Contains(path, "/"+url.PathEscape(pass.path[k]))
			})
			if theirs && pass.name != "our path, their body" && status < 400 {
				t.Errorf("%s is allowed: %.200s", what, raw)
			}
			if !strings.Contains(o.access, "unit") && !strings.Contains(o.access, "technician") && status != http.StatusForbidden {
				t.Errorf("%s: an operation of the desk, want 403: %.200s", what, raw)
			}
			if o.method == http.MethodGet || status >= 400 && status < 500 { // what is refused is looked at once a pass
				continue
			}
			if after := w.theirState(t); after != before {
				t.Errorf("%s changes what is in other hands:\n%s\nwas\n%s", what, after, before)
				before = after
			}
		}
	}
	if after := w.theirState(t); after != before {
		t.Errorf("what is in other hands has changed:\n%s\nwas\n%s", after, before)
	}
	if seen["technician"] < 20 || seen["unit"] < 10 || seen["admin"] < 30 {
		t.Errorf("asked %v: the document says too little of who may", seen)
	}
	// Asked by what they are, not by their ids.
	for _, path := range []string{"/points", "/devices", "/installations", "/tasks", "/rounds", "/no-entries", "/contractors", "/contracts", "/tickets", "/windows", "/visits", "/field/pack", "/batteries/season", "/buildings", "/sites", "/units", "/points?near=31.2201,121.4201&crs=WGS84&radius=500", "/points?q=VERBORGEN", "/batteries/season.csv", "/scopes", "/hotspots", "/exports/points.csv", "/exports/devices.csv"} {
		_, raw := ask(t, w.gateway, token, "GET", "/api/v1"+path, nil)
		for _, word := range []string{hidden, "p-theirs", "s-theirs", w.theirs["device"], w.theirs["ticket"], w.theirs["round"]} {
			if bytes.Contains(raw, []byte(word)) && !strings.Contains(path, word) {
				t.Errorf("GET %s tells %q: %.400s", path, word, raw)
			}
		}
	}
}

// TestATokenOpensNothingOutOfItsTerm: not one operation, and it says why.
func TestATokenOpensNothingOutOfItsTerm(t *testing.T) {
	w := newContractorWorld(t)
	for _, o := range operations(t, w.gateway) {
		status, raw := ask(t, w.gateway, "wbo-token-0123456789abcd", o.method, w.ours.path(o.path), w.ours.filled(o.body))
		if status != http.StatusForbidden || !bytes.Contains(raw, []byte("term of unit wb-old")) {
			t.Errorf("%s: %d %.200s, want 403 and that its term is over", o, status, raw)
		}
	}
}

// TestOtherUnitsAreNoTechnicians: what technicians reach is closed to a property's token.
func TestOtherUnitsAreNoTechnicians(t *testing.T) {
	w := newContractorWorld(t)
	for _, o := range operations(t, w.gateway) {
		if !strings.Contains(o.access, "technician") {
			continue
		}
		status, raw := ask(t, w.gateway, "wye-token-0123456789abcd", o.method, w.ours.path(o.path), w.ours.filled(o.body))
		if status != http.StatusForbidden {
			t.Errorf("%s: %d %.200s, want 403", o, status, raw)
		}
	}
}
