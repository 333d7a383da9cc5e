package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"gridgate/internal/grid"
)

// Passkey is one of a person's passkeys, without the key.
type Passkey struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Host    string    `json:"host" doc:"It works at this name of the gateway alone."`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
}

type passkey struct {
	Passkey
	Credential webauthn.Credential `json:"credential"`
}

const (
	mostPasskeys   = 10
	ceremonyWithin = 5 * time.Minute
)

// Place is where a browser is: passkeys are of a host.
type Place struct {
	Origin string // https://gridgate.example:8443
	Host   string // gridgate.example
}

// PlaceOf reads the Host header of a request.
func PlaceOf(host string, tls bool) Place {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	return Place{scheme + host, name}
}

func (p Place) party() (*webauthn.WebAuthn, error) {
	if net.ParseIP(strings.Trim(p.Host, "[]")) != nil || p.Host == "" {
		return nil, grid.Errorf(grid.Invalid, "the address is %q: passkeys want a name, such as gridgate.example or localhost", p.Host)
	}
	w, err := webauthn.New(&webauthn.Config{RPID: p.Host, RPDisplayName: "gridgate", RPOrigins: []string{p.Origin}, AuthenticatorSelection: protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
	}})
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "passkeys at %q: %w", p.Origin, err)
	}
	return w, nil
}

// holder is a user as the library wants one.
type holder struct {
	userRow
	host string
}

func (h *holder) WebAuthnID() []byte          { return []byte(h.ID) }
func (h *holder) WebAuthnName() string        { return h.Name }
func (h *holder) WebAuthnDisplayName() string { return h.Name }
func (h *holder) WebAuthnCredentials() (out []webauthn.Credential) {
	for _, k := range h.Keys {
		if k.Host == h.host {
			out = append(out, k.Credential)
		}
	}
	return out
}

// ceremony is what is between asking for a passkey and its answer. It goes to the browser and
// back, sealed: who only asks takes no memory here.
type ceremony struct {
	ID      string               `json:"id"`
	Session string               `json:"session,omitempty"` // of making one: the person's
	Host    string               `json:"host"`
	Until   time.Time            `json:"until"`
	Data    webauthn.SessionData `json:"data"`
}

func (a *Accounts) sealed(c ceremony) (string, error) {
	c.ID, c.Until = newID("c_"), a.o.Now().Add(ceremonyWithin)
	b, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	sealed, err := a.o.Keys.Seal(b, "passkey ceremony")
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// opened reads a ceremony back; each is good once.
func (a *Accounts) opened(flow, session string, at Place) (ceremony, error) {
	var c ceremony
	sealed, err := base64.RawURLEncoding.DecodeString(flow)
	if err != nil {
		return c, grid.Errorf(grid.Invalid, "flow is not what begin gave")
	}
	b, err := a.o.Keys.Open(sealed, "passkey ceremony")
	if err != nil || json.Unmarshal(b, &c) != nil || c.Session != session || c.Host != at.Host {
		return c, grid.Errorf(grid.Invalid, "flow is not what begin gave")
	}
	now := a.o.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, until := range a.keying {
		if now.After(until) {
			delete(a.keying, id)
		}
	}
	if _, used := a.keying[c.ID]; used || now.After(c.Until) {
		return c, grid.Errorf(grid.Unauthorized, "the passkey came too late, or twice: want it asked for again")
	}
	return c, nil
}

// spend marks a ceremony as used. Only those that went well are kept in mind.
func (a *Accounts) spend(c ceremony) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, used := a.keying[c.ID]; used {
		return false
	}
	a.keying[c.ID] = c.Until
	return true
}

func (a *Accounts) sealing() error {
	if a.o.Keys == nil {
		return grid.Errorf(grid.Unavailable, "passkeys: there is no key file")
	}
	return nil
}

func (a *Accounts) holderOf(session, host string) (*holder, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	s := a.sessions[session]
	if s == nil || a.users[s.User] == nil {
		return nil, errNoSession()
	}
	return &holder{*a.users[s.User], host}, nil
}

// PasskeyBegin asks the browser of a session to make a passkey.
func (a *Accounts) PasskeyBegin(session string, at Place) (flow string, options any, err error) {
	if err := a.sealing(); err != nil {
		return "", nil, err
	}
	w, err := at.party()
	if err != nil {
		return "", nil, err
	}
	h, err := a.holderOf(session, at.Host)
	if err != nil {
		return "", nil, err
	}
	if len(h.Keys) >= mostPasskeys {
		return "", nil, grid.Errorf(grid.Conflict, "there are %d passkeys: want one taken off first", len(h.Keys))
	}
	created, data, err := w.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return "", nil, err
	}
	flow, err = a.sealed(ceremony{Session: session, Host: at.Host, Data: *data})
	return flow, created, err
}

// PasskeyFinish keeps the passkey that the browser has made.
func (a *Accounts) PasskeyFinish(ctx context.Context, session, flow, name string, at Place, answer []byte) (Passkey, error) {
	if err := a.sealing(); err != nil {
		return Passkey{}, err
	}
	w, err := at.party()
	if err != nil {
		return Passkey{}, err
	}
	c, err := a.opened(flow, session, at)
	if err != nil {
		return Passkey{}, err
	}
	h, err := a.holderOf(session, at.Host)
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Passkey{}, grid.Errorf(grid.Invalid, "the passkey cannot be read: %w", err)
	}
	made, err := w.CreateCredential(h, c.Data, parsed)
	if err != nil {
		return Passkey{}, grid.Errorf(grid.Unauthorized, "the passkey does not hold: %w", err)
	}
	if !a.spend(c) {
		return Passkey{}, grid.Errorf(grid.Unauthorized, "the passkey came twice")
	}
	k := passkey{Passkey{ID: newID("k_"), Name: cut(strings.TrimSpace(name), 60), Host: at.Host, Created: a.o.Now().UTC().Truncate(time.Second)}, *made}
	if k.Name == "" {
		k.Name = k.ID
	}
	err = a.changeOwn(ctx, session, func(u *userRow) error {
		if len(u.Keys) >= mostPasskeys || slices.ContainsFunc(u.Keys, func(o passkey) bool { return bytes.Equal(o.Credential.ID, made.ID) }) {
			return grid.Errorf(grid.Conflict, "this passkey is there already, or there are %d", mostPasskeys)
		}
		u.Keys = append(slices.Clone(u.Keys), k)
		return nil
	})
	return k.Passkey, err
}

// Passkeys are those of the person of a session.
func (a *Accounts) Passkeys(session string) ([]Passkey, error) {
	h, err := a.holderOf(session, "")
	if err != nil {
		return nil, err
	}
	out := []Passkey{}
	for _, k := range h.Keys {
		out = append(out, k.Passkey)
	}
	return out, nil
}

// PasskeyEnd takes one off.
func (a *Accounts) PasskeyEnd(ctx context.Context, session, id string) error {
	return a.changeOwn(ctx, session, func(u *userRow) error {
		left := slices.DeleteFunc(slices.Clone(u.Keys), func(k passkey) bool { return k.ID == id })
		if len(left) == len(u.Keys) {
			return grid.Errorf(grid.NotFound, "passkey %q: not found", id)
		}
		u.Keys = left
		return nil
	})
}

// PasskeyAsk asks a browser for any passkey that it has for us.
func (a *Accounts) PasskeyAsk(at Place) (flow string, options any, err error) {
	if err := a.sealing(); err != nil {
		return "", nil, err
	}
	w, err := at.party()
	if err != nil {
		return "", nil, err
	}
	asked, data, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", nil, err
	}
	flow, err = a.sealed(ceremony{Host: at.Host, Data: *data})
	return flow, asked, err
}

// PasskeyOn begins a session with a passkey. It is two factors in one: the thing, and what opens
// it; no one-time code is asked for.
func (a *Accounts) PasskeyOn(ctx context.Context, flow string, at Place, answer []byte, from, agent string) (Signed, error) {
	if err := a.sealing(); err != nil {
		return Signed{}, err
	}
	w, err := at.party()
	if err != nil {
		return Signed{}, err
	}
	c, err := a.opened(flow, "", at)
	if err != nil {
		return Signed{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Signed{}, grid.Errorf(grid.Invalid, "the passkey cannot be read: %w", err)
	}
	var whose *holder
	used, err := w.ValidateDiscoverableLogin(func(_, user []byte) (webauthn.User, error) {
		a.mu.RLock()
		defer a.mu.RUnlock()
		u := a.users[string(user)]
		if u == nil || u.Disabled {
			return nil, wrong()
		}
		whose = &holder{*u, at.Host}
		return whose, nil
	}, c.Data, parsed)
	if err != nil || used.Authenticator.CloneWarning || !a.spend(c) {
		return Signed{}, grid.Errorf(grid.Unauthorized, "the passkey does not hold: want another way to sign on")
	}
	s, err := a.begin(ctx, whose.ID, "passkey", from, agent)
	if err != nil {
		return Signed{}, err
	}
	if err := a.changeOwn(ctx, s.Session.ID, func(u *userRow) error {
		u.Keys = slices.Clone(u.Keys)
		for i := range u.Keys {
			if bytes.Equal(u.Keys[i].Credential.ID, used.ID) {
				u.Keys[i].Credential, u.Keys[i].Used = *used, a.o.Now().UTC()
			}
		}
		return nil
	}); err != nil {
		a.o.Log.Error("the use of a passkey could not be written", "err", err)
	}
	return s, nil
}
