package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

const admin = "admin-token"

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// fakeEngine remembers what it was asked.
type fakeEngine struct {
	Engine // nil: a call that a test does not expect panics, which is a 500
	mu     sync.Mutex
	moves  []grid.Move
	put    grid.Registration
	claim  grid.Claim
	labels []grid.ClaimLabel
	ledger grid.Ledger
	err    error
}

func (e *fakeEngine) Move(_ context.Context, m grid.Move) (grid.Ticket, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.moves = append(e.moves, m)
	return grid.Ticket{ID: m.Ticket, State: grid.TicketAccepted}, e.err
}

func (e *fakeEngine) Put(_ context.Context, p []grid.Point, d []grid.Device, i []grid.Installation, u []grid.Unit) error {
	e.put = grid.Registration{Points: p, Devices: d, Installations: i, Units: u}
	return e.err
}

func (e *fakeEngine) PutAs(_ context.Context, r grid.Registration, _ grid.Act) error {
	e.put = r
	return e.err
}

func (e *fakeEngine) RetireDevice(_ context.Context, id grid.Identity, _ grid.Act) (grid.Device, error) {
	e.put = grid.Registration{Devices: []grid.Device{{Identity: id, State: grid.Retired}}}
	return e.put.Devices[0], e.err
}

func (e *fakeEngine) ClaimWith(_ context.Context, c grid.Claim) (grid.Claimed, error) {
	e.put = grid.Registration{Devices: []grid.Device{c.Device}, Installations: c.Installations}
	e.claim = c
	return grid.Claimed{Device: c.Device, Replayed: 3}, e.err
}

func (e *fakeEngine) Ledger(context.Context) (grid.Ledger, error) { return e.ledger, e.err }

func (e *fakeEngine) LiveDevice(context.Context, grid.Identity) (grid.DeviceHealth, error) {
	return grid.DeviceHealth{}, grid.Errorf(grid.NotFound, "never heard")
}

// fakeFrames is a journal of a few frames.
type fakeFrames []grid.Frame

func (f fakeFrames) ByDevice(_ context.Context, id grid.Identity, _, _ time.Time, _ int) ([]grid.Frame, error) {
	var out []grid.Frame
	for _, fr := range f {
		if fr.Identity == id {
			out = append(out, fr)
		}
	}
	return out, nil
}

func (f fakeFrames) Recent(context.Context, grid.Lane, int) ([]grid.Frame, error) { return f, nil }

// world is an API over a real store.
type world struct {
	*testing.T
	store  *state.Store
	engine *fakeEngine
	server *Server
	url    string
}

// newWorld has two units, fire-1 and city-1, with a ticket of their own each.
func newWorld(t *testing.T) *world {
	store, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{T: t, store: store, engine: &fakeEngine{}}
	w.server = New(Deps{
		Store: store, Engine: w.engine, Metrics: prometheus.NewRegistry(), Version: "test",
		Frames: fakeFrames{{Pos: grid.Pos{Lane: grid.Bulk, Epoch: 1, Seq: 7}, Identity: "modbus:a/1", Transport: "serial", Source: "a", Received: t0, Raw: []byte{0xde, 0xad}, Flags: grid.Retained}},
		Now:    func() time.Time { return t0 },
		Who: func(_ context.Context, token string) (grid.Actor, error) {
			switch token {
			case admin:
				return grid.Actor{Role: grid.RoleSupervisor, Name: "admin", Account: grid.RoleAdmin}, nil
			case "fire-token", "city-token":
				unit := strings.Replace(token, "-token", "-1", 1)
				return grid.Actor{Role: grid.RoleUnit, Name: unit, Unit: unit}, nil
			}
			return grid.Actor{}, grid.Errorf(grid.Unauthorized, "unknown token")
		},
		Parse: func(b []byte) (r grid.Registration, err error) { return r, json.Unmarshal(b, &r) },
	})
	srv := httptest.NewServer(w.server.Handler())
	t.Cleanup(func() { w.server.hub.close(); srv.Close() })
	w.url = srv.URL
	w.commit(&state.Batch{
		Points:  []grid.Point{{ID: "p1", Name: "Gate", Kind: grid.Smoke, Mode: grid.Live}},
		Devices: []grid.Device{{Identity: "modbus:a/1", Profile: "v/m", State: grid.Installed, Mode: grid.Live}},
		Tickets: []grid.Ticket{ticket("T-fire", "fire-1"), ticket("T-city", "city-1")},
		Deliveries: []grid.Delivery{
			{ID: "D-fire", Ticket: "T-fire", Assignment: "T-fire.1", Unit: "fire-1", State: grid.DeliveryPending, Created: t0, Mode: grid.Live, Body: json.RawMessage(`{}`)},
			{ID: "D-city", Ticket: "T-city", Assignment: "T-city.1", Unit: "city-1", State: grid.DeliveryPending, Created: t0, Mode: grid.Live, Body: json.RawMessage(`{}`)},
		},
	})
	return w
}

func ticket(id, unit string) grid.Ticket {
	return grid.Ticket{
		ID: id, Case: id, Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Live, State: grid.TicketDispatched, Opened: t0, Point: "p1",
		Assignments: []grid.Assignment{{ID: id + ".1", Ticket: id, Unit: unit, Lead: true, State: grid.TicketDispatched, Since: t0}},
	}
}

func (w *world) commit(b *state.Batch) {
	w.Helper()
	if err := w.store.Commit(w.Context(), b); err != nil {
		w.Fatal(err)
	}
}

func (w *world) client(token string) *Client { return &Client{URL: w.url, Token: token} }

// do sends a request and gives the status, the header and the body.
func (w *world) do(token, method, path, in string, header ...string) (int, http.Header, []byte) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(in))
	if err != nil {
		w.Fatal(err)
	}
	if in != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

func TestErrorsAreProblemDetailsFromOneTable(t *testing.T) {
	w := newWorld(t)
	for _, row := range statusOf {
		w.engine.err = grid.Errorf(row.code, "the thing is %s: want another", row.code)
		got, h, b := w.do(admin, "POST", "/api/v1/tickets/T-fire/moves", `{"verb":"accept"}`)
		var p struct {
			Type, Title, Detail string
			Status              int
		}
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatalf("%s: %v: %s", row.code, err, b)
		}
		if got != row.status || p.Status != row.status || p.Type != "urn:gridgate:problem:"+string(row.code) ||
			h.Get("Content-Type") != "application/problem+json" || !strings.Contains(p.Detail, "the thing is") {
			t.Errorf("%s: status %d, %s %s", row.code, got, h.Get("Content-Type"), b)
		}
		_, err := w.client(admin).Move(t.Context(), "T-fire", Move{Verb: grid.VerbAccept}, "")
		if grid.CodeOf(err) != row.code {
			t.Errorf("%s: the client makes %q of it: %v", row.code, grid.CodeOf(err), err)
		}
	}
}

func TestProblemsOfTheHTTPLayerHaveATypeToo(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		method, path, in string
		status           int
		kind             string
	}{
		"bad limit":         {"GET", "/api/v1/tickets?limit=0", "", 422, "invalid"},
		"unknown parameter": {"GET", "/api/v1/tickets?stat=open", "", 422, "invalid"},
		"bad cursor":        {"GET", "/api/v1/tickets?cursor=zzz", "", 422, "invalid"},
		"filter not there":  {"GET", "/api/v1/units?device=x", "", 422, "invalid"},
		"bad time":          {"GET", "/api/v1/events?since=yesterday", "", 422, "invalid"},
		"bad json":          {"POST", "/api/v1/tickets/T-fire/moves", `{"verb":`, 400, "invalid"},
		"unknown field":     {"POST", "/api/v1/tickets/T-fire/moves", `{"verb":"accept","colour":"red"}`, 422, "invalid"},
		"unknown verb":      {"POST", "/api/v1/tickets/T-fire/moves", `{"verb":"dance"}`, 422, "invalid"},
		"too large":         {"POST", "/api/v1/tickets/T-fire/moves", `{"verb":"note","reason":"` + strings.Repeat("x", maxBody) + `"}`, 413, "invalid"},
		"no such ticket":    {"GET", "/api/v1/tickets/nope", "", 404, "not_found"},
		"no such signal":    {"GET", "/api/v1/points/p1/history?signal=x", "", 503, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			got, h, b := w.do(admin, c.method, c.path, c.in)
			var p struct{ Type string }
			json.Unmarshal(b, &p)
			if got != c.status || h.Get("Content-Type") != "application/problem+json" || p.Type != "urn:gridgate:problem:"+c.kind {
				t.Errorf("status %d %s %s, want %d %s", got, h.Get("Content-Type"), b, c.status, c.kind)
			}
		})
	}
}

func TestEveryRouteOfTheDocumentWantsAToken(t *testing.T) {
	w := newWorld(t)
	routes := 0
	for path, item := range w.server.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			door := strings.HasPrefix(path, "/api/v1/session") || strings.HasPrefix(path, "/api/v1/oidc/")
			if op == nil || door && op.Extensions["x-access"] == "anyone" { // the door itself
				continue
			}
			routes++
			for _, token := range []string{"", "wrong"} {
				got, h, _ := w.do(token, method, strings.ReplaceAll(path, "{id}", "x"), "")
				if got != 401 || h.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s with token %q: %d, want 401 and WWW-Authenticate", method, path, token, got)
				}
			}
		}
	}
	if routes < 25 {
		t.Errorf("only %d routes were tried", routes)
	}
}

func TestUnitTokenReachesOnlyItsOwnTickets(t *testing.T) {
	w := newWorld(t)
	fire := w.client("fire-token")

	tickets, err := List[grid.Ticket](t.Context(), fire, "tickets", Query{})
	if err != nil || len(tickets.Items) != 1 || tickets.Items[0].ID != "T-fire" {
		t.Errorf("tickets: %+v, %v: want T-fire alone", tickets, err)
	}
	others, err := List[grid.Ticket](t.Context(), fire, "tickets", Query{Unit: "city-1"})
	if err != nil || len(others.Items) != 1 || others.Items[0].ID != "T-fire" {
		t.Errorf("asking for another unit's: %+v, %v: want T-fire alone", others, err)
	}
	deliveries, err := List[grid.Delivery](t.Context(), fire, "deliveries", Query{})
	if err != nil || len(deliveries.Items) != 1 || deliveries.Items[0].ID != "D-fire" {
		t.Errorf("deliveries: %+v, %v: want D-fire alone", deliveries, err)
	}
	if _, err := fire.Ticket(t.Context(), "T-fire"); err != nil {
		t.Errorf("its own ticket: %v", err)
	}
	for _, path := range []string{"/tickets/T-city", "/tickets/T-city/moves", "/assignments?ticket=T-city", "/deliveries/D-city"} {
		if got, _, b := w.do("fire-token", "GET", "/api/v1"+path, ""); got != 404 {
			t.Errorf("GET %s: %d %s, want 404", path, got, b)
		}
	}
	if got, _, _ := w.do("fire-token", "POST", "/api/v1/tickets/T-city/moves", `{"verb":"accept"}`); got != 404 || len(w.engine.moves) != 0 {
		t.Errorf("moving another's ticket: %d, moves %v: want 404 and none", got, w.engine.moves)
	}
	for _, path := range []string{"/points", "/devices", "/events", "/alarms", "/frames", "/quarantine", "/ledger", "/units"} {
		if got, _, b := w.do("fire-token", "GET", "/api/v1"+path, ""); got != 403 {
			t.Errorf("GET %s: %d %s, want 403", path, got, b)
		}
	}
}

func TestUnitMovesOnlyAsItself(t *testing.T) {
	w := newWorld(t)
	got, _, b := w.do("fire-token", "POST", "/api/v1/tickets/T-fire/moves",
		`{"verb":"accept","by":{"name":"the mayor","role":"supervisor"}}`, "Idempotency-Key", "1")
	if got != 200 {
		t.Fatalf("%d %s", got, b)
	}
	m := w.engine.moves[0]
	if m.By != (grid.Actor{Role: grid.RoleUnit, Name: "fire-1", Unit: "fire-1"}) || m.Key != "unit/fire-1/1" || !m.At.Equal(t0) || m.Ticket != "T-fire" {
		t.Errorf("the engine was asked %+v", m)
	}
	w.do(admin, "POST", "/api/v1/tickets/T-fire/moves", `{"verb":"confirm","on_site":true,"by":{"name":"duty desk","role":"operator"}}`, "Idempotency-Key", "1")
	m = w.engine.moves[1]
	if m.By != (grid.Actor{Role: grid.RoleOperator, Name: "duty desk"}) || m.Key != "admin/1" || !m.OnSite {
		t.Errorf("the engine was asked %+v", m)
	}
}

func TestIdentityWithASlashIsOnePathSegment(t *testing.T) {
	w := newWorld(t)
	d, err := w.client(admin).Device(t.Context(), "modbus:a/1")
	if err != nil || d.Identity != "modbus:a/1" || d.Health != nil || d.Installations == nil {
		t.Errorf("%+v, %v", d, err)
	}
	frames, err := w.client(admin).Frames(t.Context(), "modbus:a/1", "", time.Time{}, 10)
	if err != nil || len(frames.Items) != 1 || frames.Items[0].Raw != "dead" || frames.Items[0].Pos != "bulk/1/7" || frames.Items[0].Flags[0] != "retained" {
		t.Errorf("%+v, %v", frames, err)
	}
}

func TestListsPageToTheEnd(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.commit(&state.Batch{Points: []grid.Point{{ID: fmt.Sprintf("q%d", i), Kind: grid.Door, Mode: grid.Live}}})
	}
	var ids []string
	q := Query{Limit: 3}
	for range 10 {
		page, err := List[grid.Point](t.Context(), w.client(admin), "points", q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Items {
			ids = append(ids, p.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if fmt.Sprint(ids) != "[p1 q0 q1 q2 q3 q4 q5 q6]" {
		t.Errorf("got %v", ids)
	}
}

func TestLedgerSaysWhetherItBalances(t *testing.T) {
	w := newWorld(t)
	w.engine.ledger = grid.Ledger{
		Rows:     []grid.LedgerRow{{Transport: "mqtt", Source: "b", Lane: grid.Bulk, Counts: [grid.Outcomes]int64{grid.Processed: 5, grid.Quarantined: 1}}},
		Accepted: [grid.Lanes]int64{grid.Bulk: 8}, Waiting: [grid.Lanes]int64{grid.Bulk: 2},
	}
	l, err := w.client(admin).Ledger(t.Context())
	if err != nil || !l.Balanced || l.Rows[0].Processed != 5 || l.Lanes[grid.Bulk].Waiting != 2 {
		t.Errorf("%+v, %v", l, err)
	}
	w.engine.ledger.Accepted[grid.Bulk] = 9
	if l, _ := w.client(admin).Ledger(t.Context()); l.Balanced {
		t.Error("balanced with one frame missing")
	}
}

func TestRegistryImportIsWholeAndDryRunChangesNothing(t *testing.T) {
	w := newWorld(t)
	file := []byte(`{"points":[{"id":"a","name":"A","kind":"door"}],"units":[]}`)
	got, err := w.client(admin).Import(t.Context(), file, true)
	if err != nil || got.Points != 1 || !got.DryRun || w.engine.put.Points != nil {
		t.Errorf("dry run: %+v, %v, put %+v", got, err, w.engine.put)
	}
	if got, err = w.client(admin).Import(t.Context(), file, false); err != nil || got.Points != 1 || len(w.engine.put.Points) != 1 {
		t.Errorf("%+v, %v, put %+v", got, err, w.engine.put)
	}
	big := append(bytes.Repeat([]byte(" "), 2*maxBody), file...) // larger than other bodies may be
	if _, err := w.client(admin).Import(t.Context(), big, true); err != nil {
		t.Errorf("2 MiB: %v", err)
	}
}

func TestClaimRegistersAndInstalls(t *testing.T) {
	w := newWorld(t)
	got, err := w.client(admin).Claim(t.Context(), "eui:1", Claim{Profile: "v/m", Interval: "20m", Installations: []ClaimChannel{{Point: "p1"}}})
	if err != nil || got.Replayed != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	d, i := w.engine.put.Devices[0], w.engine.put.Installations[0]
	if d.Identity != "eui:1" || d.Interval != 20*time.Minute || i.Device != d.Identity || i.Point != "p1" {
		t.Errorf("claimed %+v at %+v", d, i)
	}
	if _, err := w.client(admin).Claim(t.Context(), "eui:1", Claim{Profile: "v/m", Interval: "20"}); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("interval without a unit: %v", err)
	}
}

func TestPanicInAHandlerIsA500AndTheGatewayGoesOn(t *testing.T) {
	w := newWorld(t)
	if got, _, b := w.do(admin, "GET", "/api/v1/discovered", ""); got != 500 || !strings.Contains(string(b), "urn:gridgate:problem:internal") {
		t.Errorf("%d %s", got, b)
	}
	if got, _, _ := w.do("", "GET", "/healthz", ""); got != 200 {
		t.Errorf("health afterwards: %d", got)
	}
}

func TestAnswerWithoutADeadlineOutlastsTheServersOwn(t *testing.T) {
	w := newWorld(t)
	const limit = 50 * time.Millisecond
	mux := http.NewServeMux()
	route(w.server, humago.New(mux, describe("test")), admins, 0, post("/slow", "slow", "test", "Slow"),
		func(context.Context, grid.Actor, *struct{}) (*struct{}, error) {
			time.Sleep(4 * limit)
			return nil, nil
		})
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.WriteTimeout = limit
	srv.Start()
	defer srv.Close()
	w.url = srv.URL
	if got, _, b := w.do(admin, "POST", "/api/v1/slow", ""); got >= 300 {
		t.Errorf("%d %s", got, b)
	}
}

func TestReadinessNamesThePartThatIsNot(t *testing.T) {
	w := newWorld(t)
	var down error
	w.server.Ready = func(context.Context) map[string]error { return map[string]error{"journal": nil, "influx": down} }
	if got, _, b := w.do("", "GET", "/readyz", ""); got != 200 {
		t.Errorf("%d %s", got, b)
	}
	down = errors.New("401: want another token")
	r, err := w.client("").Ready(t.Context())
	if err != nil || r.Ready || r.Parts["influx"] != "401: want another token" || r.Parts["journal"] != "ok" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestMetricsAreServed(t *testing.T) {
	w := newWorld(t)
	reg := w.server.Metrics.(*prometheus.Registry)
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "gridgate_test_total"})
	reg.MustRegister(c)
	if got, _, b := w.do(admin, "GET", "/metrics", ""); got != 200 || !strings.Contains(string(b), "gridgate_test_total 0") {
		t.Errorf("%d %s", got, b)
	}
	// Without a token to who comes straight from a network that is named, and to nobody else.
	if got, _, _ := w.do("", "GET", "/metrics", ""); got != 401 {
		t.Errorf("without a token: %d", got)
	}
	w.server.MetricsFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for what, want := range map[string]struct {
		token, forwarded string
		code             int
	}{"straight": {"", "", 200}, "forwarded": {"", "203.0.113.9", 401}, "forwarded, with a wrong token": {"wrong", "203.0.113.9", 401}, "of a unit": {"fire-token", "203.0.113.9", 403}, "forwarded, with a token": {admin, "203.0.113.9", 200}} {
		header := []string{}
		if want.forwarded != "" {
			header = []string{"X-Forwarded-For", want.forwarded}
		}
		if got, _, _ := w.do(want.token, "GET", "/metrics", "", header...); got != want.code {
			t.Errorf("%s: %d, want %d", what, got, want.code)
		}
	}
}

func TestOtherOriginsCannotPost(t *testing.T) {
	w := newWorld(t)
	got, _, _ := w.do(admin, "POST", "/api/v1/tickets/T-fire/moves", `{"verb":"accept"}`, "Sec-Fetch-Site", "cross-site")
	if got != 403 || len(w.engine.moves) != 0 {
		t.Errorf("%d, moves %v: want 403 and none", got, w.engine.moves)
	}
}

func TestClientSaysWhenNobodyIsThere(t *testing.T) {
	c := &Client{URL: "http://127.0.0.1:1"}
	if _, err := c.Ledger(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// TestOpenAPIDocumentIsSound follows every reference and checks what a client generator needs.
func TestOpenAPIDocumentIsSound(t *testing.T) {
	w := newWorld(t)
	got, _, b := w.do("", "GET", "/openapi.json", "")
	if got != 200 {
		t.Fatal(got)
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi is %q", doc.OpenAPI)
	}
	for _, ref := range strings.Split(string(b), `"$ref":"`)[1:] {
		name, _, _ := strings.Cut(ref, `"`)
		if _, ok := doc.Components.Schemas[strings.TrimPrefix(name, "#/components/schemas/")]; !ok {
			t.Errorf("%s leads nowhere", name)
		}
	}
	ids := map[string]string{}
	for path, ops := range doc.Paths {
		for method, raw := range ops {
			var op struct {
				OperationID, Summary string
				Tags                 []string
				Security             []map[string][]string
				Responses            map[string]any
				Parameters           []struct{ Name, In string }
				Access               string `json:"x-access"`
			}
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			at := method + " " + path
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) == 0 || op.Responses["401"] == nil {
				t.Errorf("%s: want an id, a summary, a tag and a 401", at)
			}
			if open := op.Access == "anyone"; open != (len(op.Security) == 0) {
				t.Errorf("%s: security is %v: want some, and none where anyone may come (%v)", at, op.Security, open)
			}
			if other := ids[op.OperationID]; other != "" {
				t.Errorf("%s and %s have the same id", at, other)
			}
			ids[op.OperationID] = at
			inPath := 0
			for _, p := range op.Parameters {
				if p.In == "path" {
					inPath++
				}
			}
			if inPath != strings.Count(path, "{") {
				t.Errorf("%s: %d path parameters are described", at, inPath)
			}
		}
	}
	for _, want := range []string{"devices", "discovered", "points", "points/{id}/history", "points/{id}/live", "events", "alarms", "tickets", "tickets/{id}/moves",
		"tickets/{id}/explain", "assignments", "deliveries", "frames", "quarantine", "ledger", "stream", "units", "installations"} {
		if doc.Paths["/api/v1/"+want] == nil {
			t.Errorf("/api/v1/%s is not described", want)
		}
	}
}

func TestServerStopsAtOnceWithAStreamOpen(t *testing.T) {
	w := newWorld(t)
	ln := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.server.Run(ctx, ln) }()

	open := make(chan struct{})
	streamed := make(chan error, 1)
	go func() {
		c := &Client{URL: "http://" + ln.Addr().String(), Token: admin}
		_, err := c.streamOnce(t.Context(), new(string), func(Message) error { close(open); return nil })
		streamed <- err
	}()
	w.publishUntil(open)
	cancel()
	if err := cmp.Or(<-ran, <-streamed); err != nil {
		t.Error(err)
	}
}
