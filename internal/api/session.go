package api

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
	"gridgate/internal/pdf"
)

// Accounts are the users, their sessions, and the tokens of programs.
type Accounts interface {
	SignOn(ctx context.Context, t auth.Try) (auth.Signed, error)
	Session(secret string) (auth.Signed, error)
	SignOff(ctx context.Context, session string) error
	ChangePassword(ctx context.Context, session, from, old, new string) error
	Hold(ctx context.Context, by grid.Actor) (context.Context, context.CancelFunc)
	Ways() (passkeys bool)
	UserOf(session string) (auth.User, error)

	TOTPBegin(ctx context.Context, session, issuer string) (secret, uri string, err error)
	TOTPConfirm(ctx context.Context, session, code string) (recovery []string, err error)
	TOTPEnd(ctx context.Context, session, from, password string) error

	Users() []auth.User
	AddUser(ctx context.Context, n auth.NewUser) (auth.User, string, error)
	ChangeUser(ctx context.Context, which string, c auth.UserChange) (auth.User, error)
	ResetPassword(ctx context.Context, which string, all bool) (auth.User, string, error)
	Sessions(which string) ([]auth.Session, error)
	EndSessions(ctx context.Context, which string) (int, error)

	Tokens() []auth.APIToken
	AddToken(ctx context.Context, t auth.APIToken) (auth.APIToken, string, error)
	RevokeToken(ctx context.Context, which string) (auth.APIToken, error)

	Passkeys
	Issuers
}

// Names of the session's cookie. The first is taken by browsers over TLS alone, from this very
// host, and for all of it.
const (
	cookieTLS   = "__Host-gridgate"
	cookiePlain = "gridgate"
)

// visitor is who stands at the door, before anybody knows who it is.
type visitor struct {
	From   string
	Agent  string
	Host   string // as the browser calls us
	Secret string // of a session, "" for none
	Means  string // the account that a page asks for, "" where it does not say
	TLS    bool
	Here   bool // on the machine itself
}

// accountHeader is how a page says for whose account it asks: one browser has one cookie, and it
// may be another person's by now. What a telephone has kept for one person never goes out as another.
const accountHeader = "Gridgate-Account"

// asMeant refuses who is signed on in place of the account that was meant.
func (s *Server) asMeant(by grid.Actor, account string) error {
	if account == "" || by.Session == "" {
		return nil
	}
	if u, err := s.Accounts.UserOf(by.Session); err != nil || u.ID != account {
		return grid.Errorf(grid.Unauthorized, "this browser is signed on as somebody else now: want a new sign-on")
	}
	return nil
}

type visitorKey struct{}

func (s *Server) visitor(r *http.Request) visitor {
	v := visitor{From: From(r, s.Proxies), Agent: r.UserAgent(), Host: r.Host, TLS: s.overTLS(r)}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	a, err := netip.ParseAddr(v.From)
	v.Here = err == nil && a.Unmap().IsLoopback() && (host == "localhost" || net.ParseIP(strings.Trim(host, "[]")).IsLoopback())
	v.Secret, v.Means = s.cookie(r), r.Header.Get(accountHeader)
	return v
}

// overTLS reports whether a request came over TLS, to us or to one of our own proxies.
func (s *Server) overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || r.Header.Get("X-Forwarded-Proto") != "https" {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range s.Proxies {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// cookie is what a session's cookie holds. Over TLS the plain one is not looked at: it may be of
// another host of the same name.
func (s *Server) cookie(r *http.Request) string {
	name := cookiePlain
	if s.overTLS(r) {
		name = cookieTLS
	}
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

// cookieFor makes the cookie of a session; "" ends it.
func (s *Server) cookieFor(v visitor, secret string, expires time.Time) http.Cookie {
	c := http.Cookie{Name: cookiePlain, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if v.TLS {
		c.Name, c.Secure = cookieTLS, true
	}
	if c.MaxAge = -1; secret != "" {
		c.MaxAge = max(1, int(time.Until(expires)/time.Second))
	}
	return c
}

// mayCarry refuses to give a session to who would carry it over the network for all to read.
func (s *Server) mayCarry(v visitor) error {
	if v.TLS || v.Here || s.PlainSignOn {
		return nil
	}
	return grid.Errorf(grid.Forbidden, "this is plain HTTP from %s: want HTTPS to sign on, or auth.plain_http on a network that nobody else reads", v.From)
}

// door registers an operation that wants no token: of those who sign on, or look whether they
// have. fn gets who stands there. The audit has it as any other.
func door[I, O any](s *Server, api huma.API, op huma.Operation, fn func(ctx context.Context, v visitor, in *I) (*O, error)) {
	op.Extensions = map[string]any{"x-access": "anyone"}
	op.Errors = []int{401, 403, 422, 429, 500, 503}
	op.Middlewares = append(op.Middlewares, func(hc huma.Context, next func(huma.Context)) {
		hc, trail := s.follow(hc, &op)
		defer trail.end(hc)
		r, _ := humago.Unwrap(hc)
		v := s.visitor(r)
		if s.Accounts == nil {
			refuse(hc, grid.Errorf(grid.Unavailable, "accounts: %w", errors.ErrUnsupported))
			return
		}
		if signed, err := s.Accounts.Session(v.Secret); err == nil && v.Secret != "" {
			trail.by(grid.Actor{Name: signed.User.Name, Account: signed.User.Role, Session: signed.Session.ID})
		}
		ctx, cancel := context.WithTimeout(context.WithValue(hc.Context(), visitorKey{}, v), answerWithin)
		defer cancel()
		next(huma.WithContext(hc, ctx))
	})
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		trail := trailOf(ctx)
		trail.asked(ctx, in)
		out, err := fn(ctx, ctx.Value(visitorKey{}).(visitor), in)
		trail.told(ctx, out, err)
		return out, s.said(err, op.Path)
	})
}

// said makes the problem of an error, with Retry-After where it says when.
func (s *Server) said(err error, path string) error {
	if err == nil {
		return nil
	}
	p := problem(err)
	if p.Status == http.StatusInternalServerError {
		s.Log.Error("request failed", "err", err, "path", path)
	}
	var slow *auth.Slowed
	if errors.As(err, &slow) {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(slow.After.Seconds())))}})
	}
	return p
}

// SignedOn is who a session is of.
type SignedOn struct {
	User       auth.User `json:"user"`
	MustChange bool      `json:"must_change" doc:"Nothing else is answered until the password is changed."`
	Expires    time.Time `json:"expires" doc:"When it ends at the latest."`
}

type signedOutput struct {
	SetCookie    http.Cookie `header:"Set-Cookie"`
	CacheControl string      `header:"Cache-Control"`
	Body         SignedOn
}

func (s *Server) signed(v visitor, got auth.Signed) *signedOutput {
	return &signedOutput{s.cookieFor(v, got.Secret, got.Session.Expires), "no-store", SignedOn{got.User, got.User.MustChange, got.Session.Expires}}
}

// sessionRoutes: signing on and off, and what a person changes of the own account.
func (s *Server) sessionRoutes(api huma.API) {
	on := post("/session", "start-session", "session", "Sign on with name and password")
	on.Description = "The session is a cookie that scripts cannot read. 401 with the type …:code_wanted: the password is right, send it again with the one-time code. 429: wait as long as Retry-After says."
	door(s, api, on, s.startSession)
	door(s, api, get("/session", "get-session", "session", "Who is signed on here"), s.getSession)
	off := del("/session", "end-session", "session", "Sign off")
	door(s, api, off, s.endSession)
	door(s, api, get("/session/ways", "list-session-ways", "session", "How one may sign on here"), s.ways)
	door(s, api, post("/session/password", "change-password", "session", "Change the own password; other sessions of the person end"), s.changePassword)

	route(s, api, viewers|units, answerWithin, post("/session/totp", "begin-totp", "session", "Begin with one-time codes: the secret for the app, once"), s.totpBegin)
	route(s, api, viewers|units, answerWithin, post("/session/totp/confirm", "confirm-totp", "session", "Show that the app has it: codes are asked for from now on. The answer has recovery codes, once"), s.totpConfirm)
	route(s, api, viewers|units, answerWithin, s.seen(del("/session/totp", "end-totp", "session", "Ask for no codes any more")), s.totpEnd)
	s.passkeyRoutes(api)
	s.oidcRoutes(api)
}

type startSessionInput struct {
	Body struct {
		Name     string `json:"name" maxLength:"200"`
		Password string `json:"password" maxLength:"2000"`
		Code     string `json:"code,omitempty" maxLength:"40" doc:"One-time code, or a recovery code."`
	}
}

func (s *Server) startSession(ctx context.Context, v visitor, in *startSessionInput) (*signedOutput, error) {
	if t := trailOf(ctx); t != nil {
		t.entry.Who, t.entry.Role, t.entry.Session = in.Body.Name, "", "" // who it says it is
	}
	if err := s.mayCarry(v); err != nil {
		return nil, err
	}
	got, err := s.Accounts.SignOn(ctx, auth.Try{Name: in.Body.Name, Password: in.Body.Password, Code: in.Body.Code, From: v.From, Agent: v.Agent})
	if err != nil {
		return nil, err
	}
	s.entered(ctx, v, got)
	return s.signed(v, got), nil
}

// entered names who has signed on in the audit, and ends the session whose cookie is replaced:
// nobody has what opens it any more.
func (s *Server) entered(ctx context.Context, v visitor, got auth.Signed) {
	trailOf(ctx).by(grid.Actor{Name: got.User.Name, Account: got.User.Role, Session: got.Session.ID})
	if old, err := s.Accounts.Session(v.Secret); err == nil {
		if err := s.Accounts.SignOff(ctx, old.Session.ID); err != nil {
			s.Log.Error("a replaced session stays in the file until it is over", "err", err)
		}
	}
}

func (s *Server) getSession(_ context.Context, v visitor, _ *struct{}) (*secretAnswer[SignedOn], error) {
	got, err := s.Accounts.Session(v.Secret)
	if err != nil {
		return nil, err
	}
	return &secretAnswer[SignedOn]{"no-store", SignedOn{got.User, got.User.MustChange, got.Session.Expires}}, nil
}

type endedOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	ClearSite string      `header:"Clear-Site-Data"`
	Body      struct{}
}

func (s *Server) endSession(ctx context.Context, v visitor, _ *struct{}) (*endedOutput, error) {
	out := &endedOutput{SetCookie: s.cookieFor(v, "", time.Time{}), ClearSite: `"cache"`}
	got, err := s.Accounts.Session(v.Secret)
	if err != nil {
		return out, nil // it is over: what was wanted
	}
	if v.Means != "" && v.Means != got.User.ID {
		return nil, grid.Errorf(grid.Unauthorized, "this browser is signed on as somebody else now: that session goes on")
	}
	return out, s.Accounts.SignOff(ctx, got.Session.ID)
}

// Ways is how one may sign on.
type Ways struct {
	Password bool      `json:"password"`
	Passkey  bool      `json:"passkey"`
	OIDC     []OIDCWay `json:"oidc"`
}

// OIDCWay is an identity provider.
type OIDCWay struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

func (s *Server) ways(context.Context, visitor, *struct{}) (*body[Ways], error) {
	out := Ways{Password: true, Passkey: s.Accounts.Ways(), OIDC: []OIDCWay{}}
	for _, i := range s.Accounts.Issuers() {
		out.OIDC = append(out.OIDC, OIDCWay{i.ID, i.Label})
	}
	return &body[Ways]{out}, nil
}

type changePasswordInput struct {
	Body struct {
		Old string `json:"old" maxLength:"2000"`
		New string `json:"new" maxLength:"2000"`
	}
}

func (s *Server) changePassword(ctx context.Context, v visitor, in *changePasswordInput) (*body[SignedOn], error) {
	got, err := s.Accounts.Session(v.Secret)
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.ChangePassword(ctx, got.Session.ID, v.From, in.Body.Old, in.Body.New); err != nil {
		return nil, err
	}
	if s.PasswordChanged != nil {
		s.PasswordChanged(got.User)
	}
	got.User.MustChange = false
	return &body[SignedOn]{SignedOn{got.User, false, got.Session.Expires}}, nil
}

// person refuses who has no session: a token has no password and no codes.
func person(by grid.Actor) error {
	if by.Session == "" {
		return grid.Errorf(grid.Forbidden, "this is of a person who has signed on: a token has none of it")
	}
	return nil
}

// TOTPSecret is shown once.
type TOTPSecret struct {
	Secret string `json:"secret" doc:"To be typed."`
	URI    string `json:"uri"`
	// QR is the code of the URI, row by row.
	QR []string `json:"qr" doc:"QR code of the uri: a row of squares each, 1 is dark."`
}

func (s *Server) totpBegin(ctx context.Context, by grid.Actor, _ *struct{}) (*secretAnswer[TOTPSecret], error) {
	if err := person(by); err != nil {
		return nil, err
	}
	secret, uri, err := s.Accounts.TOTPBegin(ctx, by.Session, "gridgate")
	if err != nil {
		return nil, err
	}
	dark, err := pdf.Squares(uri)
	if err != nil {
		return nil, err
	}
	rows := make([]string, len(dark))
	for i, line := range dark {
		for _, is := range line {
			if is {
				rows[i] += "1"
			} else {
				rows[i] += "0"
			}
		}
	}
	return &secretAnswer[TOTPSecret]{"no-store", TOTPSecret{secret, uri, rows}}, nil
}

type totpConfirmInput struct {
	Body struct {
		Code string `json:"code" maxLength:"40"`
	}
}

// RecoveryCodes are shown once; each opens once in place of a one-time code.
type RecoveryCodes struct {
	Recovery []string `json:"recovery"`
}

func (s *Server) totpConfirm(ctx context.Context, by grid.Actor, in *totpConfirmInput) (*secretAnswer[RecoveryCodes], error) {
	if err := person(by); err != nil {
		return nil, err
	}
	codes, err := s.Accounts.TOTPConfirm(ctx, by.Session, in.Body.Code)
	return &secretAnswer[RecoveryCodes]{"no-store", RecoveryCodes{codes}}, err
}

type totpEndInput struct {
	Body struct {
		Password string `json:"password" maxLength:"2000"`
	}
}

func (s *Server) totpEnd(ctx context.Context, by grid.Actor, in *totpEndInput) (*body[struct{}], error) {
	if err := person(by); err != nil {
		return nil, err
	}
	v, _ := ctx.Value(visitorKey{}).(visitor)
	return answer(struct{}{}, s.Accounts.TOTPEnd(ctx, by.Session, v.From, in.Body.Password))
}
