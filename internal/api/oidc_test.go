package api

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

// provider is a small OpenID provider: discovery, keys, code flow with PKCE, signed id tokens.
type provider struct {
	*httptest.Server
	t         *testing.T
	key       *rsa.PrivateKey
	signWith  *rsa.PrivateKey
	challenge string
	claims    map[string]any
}

func newProvider(t *testing.T) *provider {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, signWith: key}
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		say(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		say(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		id, secret, _ := r.BasicAuth()
		if r.FormValue("code") != "good" || b64(sum[:]) != p.challenge || id != "gridgate" || secret != "s3cret" {
			w.WriteHeader(400)
			say(w, map[string]string{"error": "invalid_grant"})
			return
		}
		say(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": p.token()})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) token() string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.signWith, KeyID: "1"}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := json.Marshal(p.claims)
	if err != nil {
		p.t.Fatal(err)
	}
	signed, err := signer.Sign(b)
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := signed.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// trip goes to the provider and back; before it comes back, change may do something.
func (p *provider) trip(b *browser, change func(asked url.Values)) string {
	p.t.Helper()
	res, said := b.ask("GET", "/oidc/city/start?to=/%3Fx%3D1", "")
	if res.StatusCode != 302 {
		p.t.Fatal(res.StatusCode, said)
	}
	at, err := url.Parse(res.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(at.String(), p.URL+"/authorize?") {
		p.t.Fatal(at, err)
	}
	q := at.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != b.e.url+"/api/v1/oidc/city/callback" {
		p.t.Fatal(q)
	}
	p.challenge = q.Get("code_challenge")
	p.claims = map[string]any{"iss": p.URL, "aud": "gridgate", "sub": "77", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": q.Get("nonce"),
		"preferred_username": "wen", "name": "文", "groups": []string{"all", "desk"}}
	q.Set("code", "good")
	p.signWith = p.key
	change(q)
	res, said = b.ask("GET", "/oidc/city/callback?"+url.Values{"code": {q.Get("code")}, "state": {q.Get("state")}}.Encode(), "")
	if res.StatusCode != 303 {
		p.t.Fatal(res.StatusCode, said)
	}
	return res.Header.Get("Location")
}

func TestAPersonSignsOnThroughAnIdentityProvider(t *testing.T) {
	e := newEntrance(t)
	p := newProvider(t)
	keys, err := auth.OpenKeys(filepath.Join(t.TempDir(), "secrets.key"), false)
	if err != nil {
		t.Fatal(err)
	}
	a, err := auth.OpenAccounts(t.Context(), filepath.Join(t.TempDir(), "accounts.db"), auth.Options{Keys: keys, Issuers: []*auth.Issuer{{
		ID: "city", Label: "City", URL: p.URL, ClientID: "gridgate", Secret: "s3cret", Name: "preferred_username", Display: "name",
		Roles: []auth.ClaimRole{{Claim: "groups", Value: "desk", Role: grid.RoleOperator, Scope: grid.Scope{Street: "310105001"}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	e.accounts = a
	e.add("root", grid.RoleAdmin)
	d := e.server.Deps
	d.Accounts, d.Who = a, (&auth.Keeper{Accounts: a, Unit: nil}).Who
	e.server = New(d)
	srv := httptest.NewServer(e.server.Handler())
	t.Cleanup(func() { e.server.hub.close(); srv.Close() })
	e.url = srv.URL

	b := e.browser()
	if to := p.trip(b, func(url.Values) {}); to != "/?x=1" {
		t.Fatalf("goes to %q", to)
	}
	if said := b.want(200, "GET", "/session", ""); !strings.Contains(said, `"name":"wen"`) || !strings.Contains(said, `"role":"operator"`) || !strings.Contains(said, "310105001") {
		t.Error(said)
	}
	b.want(200, "GET", "/alarms", "")
	p.trip(b, func(url.Values) {})
	if n := len(a.Users()); n != 2 {
		t.Errorf("%d users after the second time: want root and wen", n)
	}
	e.browser().want(401, "POST", "/session", `{"name":"wen","password":""}`) // has no password here

	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(url.Values){
		"a token of another signer":          func(url.Values) { p.signWith = stranger },
		"a token for another client":         func(url.Values) { p.claims["aud"] = "other" },
		"a token of another issuer":          func(url.Values) { p.claims["iss"] = "https://evil.example" },
		"a token that has ended":             func(url.Values) { p.claims["exp"] = time.Now().Add(-time.Hour).Unix() },
		"a token that answers another nonce": func(url.Values) { p.claims["nonce"] = "other" },
		"another state":                      func(q url.Values) { q.Set("state", "other") },
		"a code of another":                  func(q url.Values) { q.Set("code", "bad") },
		"a code that another browser began":  func(url.Values) { p.challenge = "other" },
		"nobody with a role":                 func(url.Values) { p.claims["groups"] = []string{"all"} },
		"an account of our own":              func(url.Values) { p.claims["sub"], p.claims["preferred_username"] = "78", "root" },
	} {
		x := e.browser()
		a.ForgetTries()
		if to := p.trip(x, change); !strings.HasPrefix(to, "/?refused=") || x.cookies["gridgate"] != nil {
			t.Errorf("%s: goes to %q", what, to)
		}
	}
	for _, to := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/a\nb"} {
		if res, said := e.browser().ask("GET", "/oidc/city/start?to="+url.QueryEscape(to), ""); res.StatusCode != 422 {
			t.Errorf("to %q: %d %s", to, res.StatusCode, said)
		}
	}
}
