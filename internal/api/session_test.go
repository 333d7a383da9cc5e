package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
	"gridgate/internal/state"
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

func TestAWallAndAViewerSeeNothingOfPersons(t *testing.T) {
	e := newEntrance(t)
	secret := "Zhang-of-the-desk"
	tk := ticket("T-told", "fire-1")
	tk.Tasks = []grid.Task{{Text: secret}}
	tk.Confirmed, tk.Evidence = secret, secret
	e.commit(&state.Batch{
		Tickets:    []grid.Ticket{tk},
		Deliveries: []grid.Delivery{{ID: "D-told", Ticket: "T-told", Assignment: "T-told.1", Unit: "fire-1", State: grid.DeliveryDead, Created: t0, Mode: grid.Live, Body: json.RawMessage(`{"call":"` + secret + `"}`)}},
		Alarms: []grid.Alarm{{ID: "A-told", Point: "p1", Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Live, Active: true, Raised: t0,
			AlarmDetail: grid.AlarmDetail{AckedBy: secret, Taken: &grid.Taken{Seat: "desk-1", By: secret, At: t0}}}},
		Units: []grid.Unit{{ID: "told", Name: "Told", Kind: grid.Maintenance, Mode: grid.Live, Phone: secret}},
	})
	_, wall, err := e.accounts.AddToken(t.Context(), auth.APIToken{Name: "hall", Wall: true})
	if err != nil {
		t.Fatal(err)
	}
	_, viewer, err := e.accounts.AddToken(t.Context(), auth.APIToken{Name: "reader", Role: grid.RoleViewer})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, o := range e.operations() {
		if o.method != "GET" || o.path == "/api/v1/stream" {
			continue
		}
		path := strings.NewReplacer("/tickets/{id}", "/tickets/T-told", "/alarms/{id}", "/alarms/A-told", "{id}", "told").Replace(o.path)
		for who, token := range map[string]string{"wall": wall, "viewer": viewer, "admin": admin} {
			status, _, said := e.do(token, "GET", path, "")
			if status == 200 && strings.Contains(string(said), secret) {
				if seen[who]++; who != "admin" {
					t.Errorf("%s to a %s: %s", path, who, said)
				}
			}
		}
	}
	if seen["admin"] < 6 {
		t.Errorf("an admin saw it in %d answers: the test looks at too little", seen["admin"])
	}
	for _, n := range (Change{Tickets: []grid.Ticket{tk}, Visits: []grid.Visit{{}}, Handovers: []grid.Handover{{}}, Strangers: []grid.Discovered{{}}}).notes() {
		by := grid.Actor{Role: grid.RoleWall}
		b, err := json.Marshal(n.forEyes(by).data)
		if err != nil || n.visible(by, "") && strings.Contains(string(b), secret) || n.visible(by, "") != (n.name == "ticket") {
			t.Errorf("the stream shows a wall %s %s, %v", n.name, b, err)
		}
	}
	if tk.Tasks[0].Text != secret {
		t.Error("what others hold was stripped too")
	}
}

func TestTenThousandTriesAreTurnedAwayAndTheDeskSignsOn(t *testing.T) {
	e := newEntrance(t)
	e.server.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} // so that each try may come from elsewhere
	e.server.PlainSignOn = true
	h := e.server.Handler()
	try := func(from, name, password string) *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/session", strings.NewReader(`{"name":"`+name+`","password":"`+password+`"}`))
		req.RemoteAddr = "127.0.0.1:1"
		req.Header.Set("X-Forwarded-For", from)
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w
	}
	if got := try("192.0.2.7", "lin", strong); got.Code != 200 { // lin's desk, known from now on
		t.Fatal(got.Code, got.Body)
	}
	count := map[int]int{}
	for i := range 10_000 {
		got := try("203.0."+strconv.Itoa(i/250%250)+"."+strconv.Itoa(i%250), []string{"lin", "root", "nobody"}[i%3], "wrong")
		if count[got.Code]++; got.Code == 429 && got.Header().Get("Retry-After") == "" {
			t.Fatal("429 without Retry-After")
		}
	}
	if count[401] == 0 || count[401] > 16 || count[401]+count[429] != 10_000 {
		t.Errorf("answers %v: want 16 passwords worked out at one moment at most, and 429 to the others", count)
	}
	if got := try("192.0.2.7", "lin", strong); got.Code != 200 {
		t.Errorf("the desk meanwhile: %d %s", got.Code, got.Body)
	}
}

func TestWhatWasMeantForOneAccountIsNotDoneAsAnother(t *testing.T) {
	e := newEntrance(t)
	wen, _ := e.accounts.User("lin")
	chen := e.add("chen", grid.RoleOperator)
	b := e.browser().signOn("lin")
	old := b.cookies["gridgate"].Value
	note := `{"verb":"note","reason":"x"}`
	b.want(200, "POST", "/tickets/T-fire/moves", note, "Gridgate-Account", wen.ID)
	b.signOn("chen") // in another window: the browser has one cookie
	if said := b.want(401, "POST", "/tickets/T-fire/moves", note, "Gridgate-Account", wen.ID); !strings.Contains(said, "somebody else") {
		t.Error(said)
	}
	b.want(401, "GET", "/tickets", "", "Gridgate-Account", wen.ID)
	b.want(401, "GET", "/stream", "", "Gridgate-Account", wen.ID)
	if n := len(e.engine.moves); n != 1 {
		t.Errorf("%d moves: want the one of lin alone", n)
	}
	b.want(401, "DELETE", "/session", "", "Gridgate-Account", wen.ID) // lin signs off, late
	b.want(200, "POST", "/tickets/T-fire/moves", note, "Gridgate-Account", chen.ID)
	b.want(200, "POST", "/tickets/T-fire/moves", note) // who does not say is who is signed on
	b.cookies["gridgate"].Value = old
	b.want(401, "GET", "/tickets", "")
	if all, err := e.accounts.Sessions("lin"); err != nil || len(all) != 0 {
		t.Errorf("lin has sessions %v (%v): want the one that was replaced ended", all, err)
	}
	if status, _, _ := e.do(admin, "GET", "/api/v1/tickets", ""); status != 200 {
		t.Errorf("a token: %d", status)
	}
}
