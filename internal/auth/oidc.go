package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gridgate/internal/grid"
)

// Issuer is an identity provider that people sign on through (OpenID Connect, code flow with
// PKCE). Its word decides the role, by the first of Roles that fits, at each sign-on.
type Issuer struct {
	ID       string
	Label    string
	URL      string
	ClientID string
	Secret   string
	Scopes   []string // beside openid
	Name     string   // the claim that names the account
	Display  string   // the claim that says how the person is shown
	Roles    []ClaimRole

	Client *http.Client // nil: one with a deadline

	mu       sync.Mutex
	provider *oidc.Provider
}

// ClaimRole gives a role to those whose claim has a value, or a list with it. "" fits all.
type ClaimRole struct {
	Claim string
	Value string
	Role  grid.Role
	Scope grid.Scope
	Units []string
}

const issuerWithin = 10 * time.Second

// outbound is what a browser carries through the provider and back, sealed.
type outbound struct {
	Issuer   string    `json:"issuer"`
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Back     string    `json:"back"` // where the provider sends it
	To       string    `json:"to"`   // where it goes then
	Until    time.Time `json:"until"`
}

// PathHere refuses to send a browser anywhere but to a path of ours.
func PathHere(to string) error {
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || u.Host != "" || u.Scheme != "" || strings.ContainsFunc(to, func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f }) {
		return grid.Errorf(grid.Invalid, "to is %q: want a path of this gateway, such as /", to)
	}
	return nil
}

func (i *Issuer) context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, issuerWithin)
	c := i.Client
	if c == nil {
		c = &http.Client{Timeout: issuerWithin}
	}
	return oidc.ClientContext(ctx, c), cancel
}

// discovered asks the provider what it is, once it answers.
func (i *Issuer) discovered(ctx context.Context) (*oidc.Provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.provider != nil {
		return i.provider, nil
	}
	// Its keys are fetched later, under contexts of their own.
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client()), i.URL)
	if err != nil {
		return nil, grid.Errorf(grid.Unavailable, "identity provider %s: %w", i.ID, err)
	}
	i.provider = p
	return p, nil
}

func (i *Issuer) client() *http.Client {
	if i.Client != nil {
		return i.Client
	}
	return &http.Client{Timeout: issuerWithin}
}

func (i *Issuer) oauth(p *oidc.Provider, back string) *oauth2.Config {
	return &oauth2.Config{ClientID: i.ClientID, ClientSecret: i.Secret, Endpoint: p.Endpoint(), RedirectURL: back, Scopes: append([]string{oidc.ScopeOpenID}, i.Scopes...)}
}

// Issuers are the identity providers in force.
func (a *Accounts) Issuers() []*Issuer { return a.o.Issuers }

func (a *Accounts) issuer(id string) (*Issuer, error) {
	for _, i := range a.o.Issuers {
		if i.ID == id {
			return i, nil
		}
	}
	return nil, grid.Errorf(grid.NotFound, "identity provider %q: not found", id)
}

func random() string {
	var b [24]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// OIDCStart says where to send a browser that wants to sign on through a provider, and what it
// has to bring back.
func (a *Accounts) OIDCStart(ctx context.Context, id, to string, at Place) (where, carry string, err error) {
	if err := PathHere(to); err != nil {
		return "", "", err
	}
	i, err := a.issuer(id)
	if err != nil {
		return "", "", err
	}
	if err := a.sealing(); err != nil {
		return "", "", err
	}
	ctx, cancel := i.context(ctx)
	defer cancel()
	p, err := i.discovered(ctx)
	if err != nil {
		return "", "", err
	}
	o := outbound{Issuer: id, State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Back: at.Origin + "/api/v1/oidc/" + url.PathEscape(id) + "/callback", To: to, Until: a.o.Now().Add(2 * ceremonyWithin)}
	b, err := json.Marshal(o)
	if err != nil {
		return "", "", err
	}
	sealed, err := a.o.Keys.Seal(b, "oidc")
	if err != nil {
		return "", "", err
	}
	where = i.oauth(p, o.Back).AuthCodeURL(o.State, oidc.Nonce(o.Nonce), oauth2.S256ChallengeOption(o.Verifier))
	return where, base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Return is what a browser brings back from a provider.
type Return struct {
	Issuer, Carry, State, Code string
	From, Agent                string
}

func refusedBy(id string, err error) error {
	return grid.Errorf(grid.Unauthorized, "sign-on through %s does not hold: %w", id, err)
}

// OIDCFinish begins a session with the word of a provider, and says where to go then.
func (a *Accounts) OIDCFinish(ctx context.Context, r Return) (Signed, string, error) {
	i, err := a.issuer(r.Issuer)
	if err != nil {
		return Signed{}, "", err
	}
	if err := a.sealing(); err != nil {
		return Signed{}, "", err
	}
	var o outbound
	sealed, err := base64.RawURLEncoding.DecodeString(r.Carry)
	if err == nil {
		var b []byte
		if b, err = a.o.Keys.Open(sealed, "oidc"); err == nil {
			err = json.Unmarshal(b, &o)
		}
	}
	if err != nil || o.Issuer != r.Issuer || o.State == "" || !same(o.State, r.State) || a.o.Now().After(o.Until) {
		return Signed{}, "", grid.Errorf(grid.Unauthorized, "this sign-on was not begun here, or too long ago: want it begun again")
	}
	ctx, cancel := i.context(ctx)
	defer cancel()
	p, err := i.discovered(ctx)
	if err != nil {
		return Signed{}, "", err
	}
	if _, err := a.tries.begin("oidc "+i.ID, r.From, false); err != nil {
		return Signed{}, "", err
	}
	got, err := i.oauth(p, o.Back).Exchange(ctx, r.Code, oauth2.VerifierOption(o.Verifier))
	if err != nil {
		return Signed{}, "", refusedBy(i.ID, err)
	}
	raw, _ := got.Extra("id_token").(string)
	token, err := p.VerifierContext(ctx, &oidc.Config{ClientID: i.ClientID, Now: a.o.Now}).Verify(ctx, raw)
	if err != nil {
		return Signed{}, "", refusedBy(i.ID, err)
	}
	if !same(token.Nonce, o.Nonce) {
		return Signed{}, "", grid.Errorf(grid.Unauthorized, "sign-on through %s does not hold: it answers another request", i.ID)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return Signed{}, "", refusedBy(i.ID, err)
	}
	user, err := a.outside(ctx, i, token.Subject, claims)
	if err != nil {
		return Signed{}, "", err
	}
	a.tries.passed("oidc "+i.ID, r.From)
	s, err := a.begin(ctx, user, i.ID, r.From, r.Agent)
	return s, o.To, err
}

// role is the first that the claims fit.
func (i *Issuer) role(claims map[string]any) (ClaimRole, bool) {
	for _, r := range i.Roles {
		if r.Claim == "" {
			return r, true
		}
		switch v := claims[r.Claim].(type) {
		case string:
			if v == r.Value {
				return r, true
			}
		case []any:
			if slices.Contains(v, any(r.Value)) {
				return r, true
			}
		}
	}
	return ClaimRole{}, false
}

// outside finds the account of a person whom a provider vouches for, makes it at the first
// sign-on, and gives it the role that the claims fit. A name that is an account of our own is
// never taken over.
func (a *Accounts) outside(ctx context.Context, i *Issuer, subject string, claims map[string]any) (string, error) {
	text := func(claim string) string { s, _ := claims[claim].(string); return s }
	rule, fits := i.role(claims)
	if !fits {
		return "", grid.Errorf(grid.Forbidden, "%s vouches for %q, and no role is given to such: see auth.oidc.roles", i.ID, text(i.Name))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	who := i.URL + " " + subject
	u := userRow{User: User{ID: newID("u_"), Outside: i.ID, Created: a.o.Now().UTC().Truncate(time.Second)}, Subject: who}
	known := false
	for _, o := range a.users {
		if o.Subject == who {
			u, known = *o, true
		}
	}
	if u.Disabled {
		return "", wrong()
	}
	if !known {
		u.Name = text(i.Name)
		if a.named(u.Name) != nil {
			return "", grid.Errorf(grid.Conflict, "user %q is another account here: want another name at %s", u.Name, i.ID)
		}
	}
	changed := !known || u.Role != rule.Role || u.Scope != rule.Scope || !slices.Equal(u.Units, rule.Units)
	u.Role, u.Scope, u.Units, u.Display = rule.Role, rule.Scope, rule.Units, cut(text(i.Display), 100)
	if err := checkUser(&u.User); err != nil {
		return "", err
	}
	var ended []*sessionRow
	if known && changed {
		ended = a.sessionsOf(u.ID)
	}
	if err := a.save(ctx, append([]any{&u}, goneOf(ended)...)...); err != nil {
		return "", err
	}
	a.users[u.ID] = &u
	a.drop(ended)
	return u.ID, nil
}
