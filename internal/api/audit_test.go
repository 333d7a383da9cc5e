package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/audit"
	"gridgate/internal/grid"
)

// heard is an audit that remembers.
type heard struct {
	mu  sync.Mutex
	all []audit.Entry
	err error
}

func (h *heard) Append(e audit.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
}

func (h *heard) Keep(_ context.Context, e audit.Entry) error {
	h.Append(e)
	return h.err
}

func (h *heard) List(context.Context, audit.Query) (audit.Page, error) {
	return audit.Page{Items: []audit.Line{}}, nil
}
func (h *heard) WriteJSONL(context.Context, io.Writer, audit.Query) error { return nil }
func (h *heard) WriteCSV(context.Context, io.Writer, audit.Query, bool) error {
	return nil
}

// last is the newest entry; none is there but for want.
func (h *heard) last(t *testing.T, want int) audit.Entry {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) != want {
		t.Fatalf("%d entries, want %d: %+v", len(h.all), want, h.all)
	}
	if want == 0 {
		return audit.Entry{}
	}
	return h.all[want-1]
}

func newAudited(t *testing.T) (*world, *heard) {
	w, h := newWorld(t), &heard{}
	w.server.Audit = h
	w.server.VerifyAudit = func(context.Context) (audit.Report, error) { return audit.Report{OK: true}, nil }
	w.server.HideNumbers = func(s string) string { return strings.ReplaceAll(s, "13800000000", "****") }
	return w, h
}

func (w *world) ask(token, method, path, body string) int {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestAChangeStandsInTheAuditWithWhoWhatBeforeAndAfter(t *testing.T) {
	w, h := newAudited(t)
	if got := w.ask("fire-token", "POST", "/api/v1/tickets/T-fire/moves", `{"verb":"accept","reason":"on our way, 13800000000"}`); got != 200 {
		t.Fatalf("move was answered %d", got)
	}
	e := h.last(t, 1)
	if e.Who != "fire-1" || e.Role != grid.RoleUnit || e.Unit != "fire-1" || e.Act != "move-ticket" || e.Object != "id=T-fire" || e.Outcome != audit.Done || e.From != "127.0.0.1" {
		t.Errorf("%+v: want who, what and from where", e)
	}
	if e.Why != "on our way, ****" || strings.Contains(string(e.Asked), "1380") || !strings.Contains(string(e.Asked), `"verb":"accept"`) {
		t.Errorf("asked %s, why %q: want the wish, and no number to be called by", e.Asked, e.Why)
	}
	if !strings.Contains(string(e.Before), `"state":"dispatched"`) || !strings.Contains(string(e.After), `"state":"accepted"`) {
		t.Errorf("before %s, after %s: want the state of the ticket", e.Before, e.After)
	}
}

func TestWhatIsRefusedStandsInTheAuditToo(t *testing.T) {
	w, h := newAudited(t)
	for i, c := range []struct {
		token, path, body, who, code string
		status                       int
	}{
		{"fire-token", "/api/v1/quarantine/discard", `{"ids":["a"],"reason":"x"}`, "fire-1", "forbidden", 403},
		{"nobody", "/api/v1/tickets/T-fire/moves", `{"verb":"accept"}`, "", "unauthorized", 401},
		{admin, "/api/v1/tickets/T-fire/moves", `{"verb":7}`, "admin", "invalid", 422},
		{admin, "/api/v1/tickets/T-fire/moves", `{`, "admin", "invalid", 400},
		{"city-token", "/api/v1/tickets/T-fire/moves", `{"verb":"accept"}`, "city-1", "", 0},
	} {
		got := w.ask(c.token, "POST", c.path, c.body)
		if c.status != 0 && got != c.status {
			t.Errorf("%s: answered %d, want %d", c.path, got, c.status)
		}
		e := h.last(t, i+1)
		if e.Who != c.who || c.code != "" && (e.Code != c.code || e.Outcome != audit.Refused) {
			t.Errorf("%+v: want %s refused as %s", e, c.who, c.code)
		}
	}
}

func TestALookAtWhatIsPersonalStandsInTheAuditAndNoOther(t *testing.T) {
	w, h := newAudited(t)
	for _, path := range []string{"/api/v1/points", "/api/v1/points/p1", "/api/v1/tickets", "/api/v1/ledger"} {
		if got := w.ask(admin, "GET", path, ""); got != 200 {
			t.Fatalf("%s was answered %d", path, got)
		}
	}
	h.last(t, 0)
	w.ask(admin, "GET", "/api/v1/points/p1/photos?limit=3", "")
	if e := h.last(t, 1); e.Act != "list-point-photos" || e.Object != "id=p1" || e.Outcome != audit.Done || len(e.After) > 0 {
		t.Errorf("%+v: want the look, and not what was seen", e)
	}
	w.ask(admin, "GET", "/api/v1/audit?who=fire-1&limit=3", "")
	if e := h.last(t, 2); e.Act != "list-audit" || e.Object != "who=fire-1" {
		t.Errorf("%+v: want the look at the audit itself", e)
	}
}

func TestASecretNeverStandsInTheAudit(t *testing.T) {
	w, _ := newAudited(t)
	type inner struct {
		Pin grid.Secret `json:"pin"`
	}
	got := string(w.server.withoutSecrets(struct {
		Name     string            `json:"name"`
		Number   grid.Secret       `json:"number"`
		Password string            `json:"password"`
		More     []inner           `json:"more"`
		By       map[string]string `json:"by"`
		Reason   string            `json:"reason"`
	}{"gate", "13911111111", "hunter2", []inner{{"4711"}}, map[string]string{"api_token": "gg_x", "again": "13911111111"}, "call 13800000000"}))
	for _, secret := range []string{"1391", "hunter2", "4711", "gg_x", "1380"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s stands in %s", secret, got)
		}
	}
	if !strings.Contains(got, `"name":"gate"`) {
		t.Errorf("%s: want what is no secret", got)
	}
	for _, path := range []string{"/api/v1/session", "/api/v1/users/{id}/reset", "/api/v1/tokens", "/api/v1/devices/{id}/claim", "/api/v1/contacts/{id}/reveal"} {
		tr := trail{op: &huma.Operation{Path: path}}
		if !tr.silent() {
			t.Errorf("%s: want nothing of what is sent or answered there", path)
		}
	}
}

func TestAnAuditThatCannotBeWrittenHindersNobody(t *testing.T) {
	w, h := newAudited(t)
	h.err = grid.Errorf(grid.Unavailable, "no space left")
	if got := w.ask("fire-token", "POST", "/api/v1/tickets/T-fire/moves", `{"verb":"accept"}`); got != 200 {
		t.Errorf("answered %d: want 200", got)
	}
}

func TestAFloodOfStrangersIsCountedAndNotListed(t *testing.T) {
	w, h := newAudited(t)
	for range strangersAMinute + 40 {
		w.server.strangers.append(w.server, audit.Entry{Act: "move-ticket", Outcome: audit.Refused, Code: "unauthorized"})
	}
	h.last(t, strangersAMinute)
	w.server.Now = func() time.Time { return t0.Add(time.Minute) }
	w.server.strangers.append(w.server, audit.Entry{Act: "move-ticket"})
	if i := slices.IndexFunc(h.all, func(e audit.Entry) bool { return string(e.After) == `{"not_listed":40}` }); i < 0 {
		t.Errorf("%+v: want it said that 40 are not listed", h.all[strangersAMinute:])
	}
}

func TestAnAdministratorOfAStreetDoesNotReadTheAuditOfTheDistrict(t *testing.T) {
	w, _ := newAudited(t)
	who := w.server.Who
	w.server.Who = func(ctx context.Context, token string) (grid.Actor, error) {
		by, err := who(ctx, token)
		by.Scope = grid.Scope{District: "310105", Street: "310105001"}
		return by, err
	}
	for _, path := range []string{"/api/v1/audit", "/api/v1/audit/verify", "/api/v1/audit/export"} {
		if got := w.ask(admin, "GET", path, ""); got != 403 {
			t.Errorf("%s was answered %d, want 403", path, got)
		}
	}
}

func TestTheAddressIsThatOfTheConnectionUnlessOurOwnProxySaysOtherwise(t *testing.T) {
	ours := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct{ remote, said, want string }{
		{"192.0.2.7:5", "", "192.0.2.7"},
		{"192.0.2.7:5", "203.0.113.9", "192.0.2.7"},
		{"10.1.0.5:5", "203.0.113.9", "203.0.113.9"},
		{"10.1.0.5:5", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{"10.1.0.5:5", "203.0.113.9, 10.1.0.6", "203.0.113.9"},
		{"10.1.0.5:5", "203.0.113.9, nonsense", "10.1.0.5"},
		{"[::1]:5", "203.0.113.9", "203.0.113.9"},
		{"10.1.0.5:5", "", "10.1.0.5"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.said != "" {
			r.Header.Set("X-Forwarded-For", c.said)
		}
		if got := From(r, ours); got != c.want {
			t.Errorf("%s said %q by %s: want %s", got, c.said, c.remote, c.want)
		}
	}
}
