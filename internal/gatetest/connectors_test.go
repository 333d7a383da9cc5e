package gatetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// elsewhere is what stands at the units' addresses: a city's Open311 server and a voice
// provider, as the sample connector speaks to it.
type elsewhere struct {
	*httptest.Server
	mu       sync.Mutex
	requests []map[string]any // of Open311
	calls    int
	key      string // pressed on the telephone
}

func newElsewhere(t *testing.T) *elsewhere {
	e := &elsewhere{}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/requests.json" && r.Method == http.MethodPost:
		id := fmt.Sprint(700 + len(e.requests))
		e.requests = append(e.requests, map[string]any{"service_request_id": id, "status": "open", "status_notes": "crew sent", "description": r.FormValue("description")})
		json.NewEncoder(w).Encode([]map[string]any{{"service_request_id": id}})
	case r.URL.Path == "/requests.json":
		json.NewEncoder(w).Encode(append([]map[string]any{}, e.requests...))
	case r.URL.Path == "/v1/calls":
		e.calls++
		io.WriteString(w, `{"code":"OK","callId":"C1"}`)
	case r.URL.Path == "/v1/calls/C1":
		fmt.Fprintf(w, `{"code":"OK","state":"answered","key":%q,"callee":"021-1234"}`, e.key)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (e *elsewhere) set(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// One smoke alarm goes out by Open311, CAP and telephone; the city's word and the key that a
// person presses come back as the units' moves.
func TestAlarmGoesOutByEveryConnectorAndTheAnswersComeBack(t *testing.T) {
	e := newElsewhere(t)
	g := newGateway(t, "dispatch: {allow_cidrs: [127.0.0.0/8], poll: 200ms, link: \"https://gridgate.example/tickets/{ticket}\"}")
	g.start(t)
	g.put(t, smokeRegistry+`
units:
  - {id: micro, kind: micro_fire_station, tier: 2, mode: simulated, connector: open311, url: "`+e.URL+`", secret: key, token: micro-token, settings: {service.default: FIRE}}
  - {id: estate, kind: property, tier: 2, mode: simulated, connector: cap, token: estate-token}
  - {id: committee, kind: residents_committee, tier: 1, mode: simulated, connector: voice, url: "`+e.URL+`", secret: k, settings: {app_id: a, number: "021-1234", template_id: t}}
`)
	connect(t, g.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))

	var ticket string
	assignment := func(unit string, want grid.TicketState) func() error {
		return func() error {
			found := all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"})
			for _, k := range found {
				ticket = k.ID
				for _, a := range k.Assignments {
					if a.Unit == unit && a.State == want {
						return nil
					}
				}
			}
			return fmt.Errorf("%+v", found)
		}
	}
	eventually(t, time.Minute, "the city's note to be an acceptance", assignment("micro", grid.TicketAccepted))
	e.set(func() { e.key = "1" })
	eventually(t, time.Minute, "the key to be an acceptance", assignment("committee", grid.TicketAccepted))
	e.set(func() { e.requests[0]["status"], e.requests[0]["status_notes"] = "closed", "cigarette" })
	eventually(t, time.Minute, "the city's closing to be the unit's word", func() error {
		moves, err := getJSON[api.Page[grid.MoveRecord]](t.Context(), g.api.URL+"/api/v1/tickets/"+ticket+"/moves", g.api.Token)
		must(t, err)
		for _, m := range moves.Items {
			if m.Verb == "resolve" && m.By.Unit == "micro" && strings.Contains(m.Reason, "cigarette") {
				return nil
			}
		}
		return fmt.Errorf("not yet")
	})

	states := map[string]grid.DeliveryState{}
	for _, d := range all[grid.Delivery](t, g, "deliveries", api.Query{Ticket: ticket}) {
		if d.Type == "ticket.opened" {
			states[d.Unit] = d.State
		}
	}
	if states["micro"] != grid.DeliveryReceived || states["estate"] != grid.DeliveryReceived || states["committee"] != grid.DeliverySeen {
		t.Errorf("deliveries are %v, want received, received and, by telephone, seen by a person", states)
	}
	e.set(func() {
		if len(e.requests) != 1 || e.calls != 1 {
			t.Errorf("%d requests and %d calls were made, want one of each", len(e.requests), e.calls)
		}
	})
	faces(t, g, ticket)
}

// faces reads CAP and Open311 as the units do.
func faces(t *testing.T, g *gateway, ticket string) {
	t.Helper()
	feed := face(t, g.api.URL+"/cap/feed.atom", "estate-token", 200)
	_, after, _ := strings.Cut(feed, `type="application/cap+xml" href="`)
	file, _, _ := strings.Cut(after, `"`)
	alert := face(t, g.api.URL+"/cap/"+file, "estate-token", 200)
	for _, want := range []string{"<status>Test</status>", "<msgType>Alert</msgType>", "<incidents>" + ticket + "</incidents>", "https://gridgate.example/tickets/" + ticket} {
		if !strings.Contains(alert, want) {
			t.Errorf("the alert does not hold %s: %s", want, alert)
		}
	}
	face(t, g.api.URL+"/cap/"+file, "micro-token", 404)
	face(t, g.api.URL+"/cap/feed.atom", "nobody", 401)
	if list := face(t, g.api.URL+"/open311/v2/requests.json?status=open", "micro-token", 200); !strings.Contains(list, `"service_request_id":"`+ticket+`"`) {
		t.Errorf("open requests are %s", list)
	}
	face(t, g.api.URL+"/open311/v2/services.xml", "nobody", 403)
}

// A city posts what a citizen has seen: it is a ticket, once, and who called is not kept.
func TestRequestThatIsPostedBecomesATicketOnce(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, `units: [{id: city, kind: urban_management, tier: 3, district: "310105", mode: simulated, token: city-token}]`+"\n")
	var ids []string
	for range 2 {
		res, err := http.PostForm(g.api.URL+"/open311/v2/requests.json", url.Values{
			"api_key": {"city-token"}, "service_code": {"manhole"}, "lat": {"31.21"}, "long": {"121.4"}, "address_string": {"1 Demo Road"},
			"description": {"the cover is gone"}, "attribute[external_id]": {"A-9"}, "first_name": {"PERSON"}, "phone": {"13800000000"},
		})
		must(t, err)
		b, err := io.ReadAll(res.Body)
		must(t, err)
		res.Body.Close()
		var made []struct {
			ID string `json:"service_request_id"`
		}
		if err := json.Unmarshal(b, &made); err != nil || res.StatusCode != http.StatusCreated || len(made) != 1 {
			t.Fatalf("%s: %s", res.Status, b)
		}
		ids = append(ids, made[0].ID)
	}
	found := all[grid.Ticket](t, g, "tickets", api.Query{})
	if len(found) != 1 || ids[0] != found[0].ID || ids[1] != ids[0] || found[0].Type != grid.EventManholeOpen || found[0].Mode != grid.Simulated {
		t.Errorf("requests %v, tickets %+v, want one ticket", ids, found)
	}
	if b, err := json.Marshal(found); err != nil || strings.Contains(string(b), "PERSON") || strings.Contains(string(b), "13800000000") {
		t.Errorf("who called is kept: %s, %v", b, err)
	}
}

func face(t *testing.T, address, token string, want int) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode != want {
		t.Errorf("%s as %s: %s, want %d: %s", address, token, res.Status, want, b)
	}
	return string(b)
}

func TestUnitThatItsConnectorCannotReachIsRefused(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	for want, unit := range map[string]string{
		"service.default is missing": `{id: u, kind: property, tier: 2, connector: open311, url: "https://city.example", secret: k}`,
		`connector is "pager"`:       `{id: u, kind: property, tier: 2, connector: pager}`,
		"setting number is missing":  `{id: u, kind: property, tier: 2, connector: voice, url: "https://v.example", secret: k, settings: {app_id: a, template_id: t}}`,
		`setting "nmber"`:            `{id: u, kind: property, tier: 2, connector: cap, settings: {nmber: "1"}}`,
	} {
		if _, err := g.api.Import(t.Context(), []byte("units: ["+unit+"]\n"), true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", unit, err, want)
		}
	}
}
