package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

const strong = "correct-horse-9-battery"

// entrance is a gateway's door with accounts: admin and the operator lin have the password strong.
type entrance struct {
	*world
	accounts *auth.Accounts
	now      time.Time
}

func newEntrance(t *testing.T) *entrance {
	w := newWorld(t)
	e := &entrance{world: w, now: time.Now()}
	keys, err := auth.OpenKeys(filepath.Join(t.TempDir(), "secrets.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	e.accounts, err = auth.OpenAccounts(t.Context(), filepath.Join(t.TempDir(), "accounts.db"), auth.Options{Keys: keys, Now: func() time.Time { return e.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.accounts.Close() })
	e.add("root", grid.RoleAdmin)
	e.add("lin", grid.RoleOperator)
	d := w.server.Deps
	d.Accounts = e.accounts
	keeper := &auth.Keeper{Admin: admin, Accounts: e.accounts, Unit: func(context.Context, string) (grid.Unit, error) {
		return grid.Unit{}, grid.Errorf(grid.Unauthorized, "unknown token")
	}}
	d.Who = keeper.Who
	w.server = New(d)
	srv := httptest.NewServer(w.server.Handler())
	t.Cleanup(func() { w.server.hub.close(); srv.Close() })
	w.url = srv.URL
	return e
}

func (e *entrance) add(name string, role grid.Role, units ...string) auth.User {
	e.Helper()
	u, _, err := e.accounts.AddUser(e.Context(), auth.NewUser{Name: name, Role: role, Units: units, Password: strong})
	if err != nil {
		e.Fatal(err)
	}
	return u
}

// browser is one with its cookies.
type browser struct {
	e       *entrance
	cookies map[string]*http.Cookie
}

func (e *entrance) browser() *browser { return &browser{e, map[string]*http.Cookie{}} }

func (b *browser) ask(method, path, body string, header ...string) (*http.Response, string) {
	b.e.Helper()
	req, err := http.NewRequestWithContext(b.e.Context(), method, b.e.url+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		b.e.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	for _, c := range b.cookies {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.e.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		b.e.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return res, string(said)
}

func (b *browser) want(status int, method, path, body string, header ...string) string {
	b.e.Helper()
	res, said := b.ask(method, path, body, header...)
	if res.StatusCode != status {
		b.e.Fatalf("%s %s: %d %s: want %d", method, path, res.StatusCode, said, status)
	}
	return said
}

func (b *browser) signOn(name string) *browser {
	b.e.Helper()
	b.want(200, "POST", "/session", `{"name":"`+name+`","password":"`+strong+`"}`)
	return b
}

func TestAPersonSignsOnWorksAndSignsOff(t *testing.T) {
	e := newEntrance(t)
	b := e.browser()
	b.want(401, "GET", "/session", "")
	b.want(401, "GET", "/alarms", "")
	b.signOn("Lin") // names are folded
	c := b.cookies["gridgate"]
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure {
		t.Fatalf("cookie %+v", c)
	}
	var on SignedOn
	if err := json.Unmarshal([]byte(b.want(200, "GET", "/session", "")), &on); err != nil || on.User.Name != "lin" || on.User.Role != grid.RoleOperator || on.MustChange {
		t.Fatalf("%+v, %v", on, err)
	}
	b.want(200, "GET", "/alarms", "")
	b.want(403, "GET", "/users", "")
	b.want(200, "POST", "/tickets/T-fire/moves", `{"verb":"note","reason":"x","by":{"name":"the mayor","role":"supervisor"}}`)
	if m := e.engine.moves[len(e.engine.moves)-1]; m.By.Name != "lin" || m.By.Role != grid.RoleOperator || m.By.Session == "" {
		t.Errorf("who has signed on acted as %+v: want as himself", m.By)
	}
	old := b.cookies["gridgate"].Value
	b.want(200, "DELETE", "/session", "")
	if len(b.cookies) != 0 {
		t.Errorf("the cookie is still there")
	}
	b.cookies["gridgate"] = &http.Cookie{Name: "gridgate", Value: old}
	b.want(401, "GET", "/alarms", "")
}

func TestWhoHasAOneTimePasswordMustChangeItFirst(t *testing.T) {
	e := newEntrance(t)
	var made UserMade
	said := e.browser().signOn("root").want(201, "POST", "/users", `{"name":"wen","role":"supervisor","scope":{"street":"310105001"}}`)
	if err := json.Unmarshal([]byte(said), &made); err != nil || made.OneTime == "" {
		t.Fatalf("%s, %v", said, err)
	}
	b := e.browser()
	said = b.want(200, "POST", "/session", `{"name":"wen","password":"`+made.OneTime+`"}`)
	if !strings.Contains(said, `"must_change":true`) || !strings.Contains(said, "310105001") {
		t.Error(said)
	}
	if said := b.want(403, "GET", "/alarms", ""); !strings.Contains(said, "change_wanted") {
		t.Error(said)
	}
	for _, weak := range []string{"short", "password12345", "wenwenwen123", "aaaaaaaaaaaaaaa", "Qwertyuiop12!"} {
		b.want(422, "POST", "/session/password", `{"old":"`+made.OneTime+`","new":"`+weak+`"}`)
	}
	b.want(401, "POST", "/session/password", `{"old":"wrong","new":"`+strong+`"}`)
	b.want(200, "POST", "/session/password", `{"old":"`+made.OneTime+`","new":"`+strong+`"}`)
	b.want(200, "GET", "/alarms", "")
	if strings.Contains(said, made.OneTime) {
		t.Error("the password comes back")
	}
}

func TestACookieFromAnotherOriginChangesNothing(t *testing.T) {
	e := newEntrance(t)
	b := e.browser().signOn("lin")
	note := `{"verb":"note","reason":"x"}`
	for _, foreign := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example", "Content-Type", "text/plain"},
	} {
		if res, said := b.ask("POST", "/tickets/T-fire/moves", note, foreign...); res.StatusCode != 403 {
			t.Errorf("%q: %d %s", foreign, res.StatusCode, said)
		}
		if res, _ := b.ask("DELETE", "/session", "", foreign...); res.StatusCode != 403 {
			t.Errorf("%q signed off: %d", foreign, res.StatusCode)
		}
		if res, _ := e.browser().ask("POST", "/session", `{"name":"lin","password":"`+strong+`"}`, foreign...); res.StatusCode != 403 {
			t.Errorf("%q signed on: %d", foreign, res.StatusCode)
		}
	}
	if len(e.engine.moves) != 0 {
		t.Errorf("%d moves", len(e.engine.moves))
	}
	b.want(200, "POST", "/tickets/T-fire/moves", note, "Sec-Fetch-Site", "same-origin", "Origin", e.url)
	if res, _ := b.ask("GET", "/alarms", "", "Origin", "https://evil.example"); res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another origin may read")
	}
}
