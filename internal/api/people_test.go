package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// oneContact is people with one contact, whose number is asked for by reveal alone.
type oneContact struct {
	People
	asked NewContact
}

func (o *oneContact) PutContact(_ context.Context, n NewContact) (ContactView, error) {
	o.asked = n
	return ContactView{Contact: grid.Contact{ID: "c1", Of: n.Of}, Masked: "000****17"}, nil
}

func (o *oneContact) ListContacts(_ context.Context, q Query) (Page[ContactView], error) {
	return Page[ContactView]{Items: []ContactView{{Contact: grid.Contact{ID: "c1", Of: q.Of, Sealed: []byte("sealed bytes")}, Masked: "000****17"}}}, nil
}

func (o *oneContact) RevealContact(_ context.Context, id string, by grid.Actor, reason string) (ContactRevealed, error) {
	return ContactRevealed{Contact: grid.Contact{ID: id, By: by}, Number: "00000000017"}, nil
}

func (o *oneContact) OnDuty(_ context.Context, _ string, _ time.Time) ([]string, string, error) {
	return nil, "lead-01", nil
}

func (o *oneContact) Routed(_ context.Context, typ grid.EventType, _ string, at time.Time) ([]grid.CallRoute, error) {
	return []grid.CallRoute{{Tier: 2, Unit: "micro", By: "place", Reasons: []grid.RouteReason{{Unit: "micro", Taken: true, Why: at.Format(time.RFC3339)}}}}, nil
}

func peopleServer(t *testing.T, p People) (ask func(method, path, token, body string) (int, http.Header, string)) {
	t.Helper()
	w := newWorld(t)
	s := New(Deps{Store: w.store, Engine: w.engine, People: p, Who: func(_ context.Context, token string) (grid.Actor, error) {
		if token == "unit" {
			return grid.Actor{Role: grid.RoleUnit, Unit: "micro"}, nil
		}
		return grid.Actor{Role: grid.RoleSupervisor, Name: "admin", Account: grid.RoleAdmin}, nil
	}, Now: func() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }})
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return func(method, path, token, body string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/api/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(b)
	}
}

func TestAUnitReadsNoContactAndNoRoster(t *testing.T) {
	ask := peopleServer(t, &oneContact{})
	for path, method := range map[string]string{
		"/contacts": "GET", "/contacts/c1/reveal": "POST", "/contacts/c1": "DELETE", "/rosters": "GET", "/shifts": "GET",
		"/rosters/gaps": "GET", "/rosters/duty?for=unit:micro": "GET", "/tickets/route?type=smoke.alarm&point=p1": "GET",
	} {
		if status, _, body := ask(method, path, "unit", "{}"); status != http.StatusForbidden {
			t.Errorf("%s %s by a unit: %d %s, want 403", method, path, status, body)
		}
	}
}

func TestANumberComesOutByRevealAloneAndIsKeptByNobodyOnItsWay(t *testing.T) {
	people := &oneContact{}
	ask := peopleServer(t, people)
	status, header, body := ask("POST", "/contacts", "admin", `{"of":"point:p1","role":"occupant","channel":"voice","number":"00000000017","street":"310105006"}`)
	if status != 200 || header.Get("Cache-Control") != "no-store" || strings.Contains(body, "00000000017") || string(people.asked.Number) != "00000000017" || people.asked.Street != "310105006" {
		t.Errorf("put: %d %v %s, asked %+v", status, header, body, people.asked.ContactAsk)
	}
	if status, _, body = ask("GET", "/contacts?of=point:p1", "admin", ""); status != 200 || strings.Contains(body, "sealed") || !strings.Contains(body, `"of":"point:p1"`) {
		t.Errorf("list: %d %s", status, body)
	}
	status, header, body = ask("POST", "/contacts/c1/reveal", "admin", `{"by":{"name":"op-01"}}`)
	if status != 200 || header.Get("Cache-Control") != "no-store" || !strings.Contains(body, "00000000017") || !strings.Contains(body, "op-01") {
		t.Errorf("reveal: %d %v %s", status, header, body)
	}
	if text, err := json.Marshal(people.asked.By); err != nil || strings.Contains(string(text), "000") {
		t.Errorf("by %s, %v", text, err)
	}
}

func TestTheRouteOfATicketIsToldForAnyMoment(t *testing.T) {
	ask := peopleServer(t, &oneContact{})
	for path, want := range map[string]string{
		"/tickets/route?type=smoke.alarm&point=p1":                         "2026-03-02T00:00:00Z",
		"/tickets/route?type=smoke.alarm&point=p1&at=2026-05-01T12:00:00Z": "2026-05-01T12:00:00Z",
	} {
		if status, _, body := ask("GET", path, "admin", ""); status != 200 || !strings.Contains(body, want) || !strings.Contains(body, `"unit":"micro"`) {
			t.Errorf("%s: %d %s, want %s", path, status, body, want)
		}
	}
	if status, _, _ := ask("GET", "/tickets/route?type=smoke.alarm", "admin", ""); status != http.StatusUnprocessableEntity {
		t.Errorf("without a point: %d, want 422", status)
	}
	if status, _, body := ask("GET", "/rosters/duty?for=unit:micro", "admin", ""); status != 200 || !strings.Contains(body, `"persons":[]`) || !strings.Contains(body, "lead-01") {
		t.Errorf("duty: %d %s", status, body)
	}
}

func TestAGatewayWithoutPeopleSaysSo(t *testing.T) {
	if status, _, body := peopleServer(t, nil)("GET", "/contacts", "admin", ""); status != http.StatusServiceUnavailable && status != http.StatusNotImplemented {
		t.Errorf("%d %s", status, body)
	}
}
