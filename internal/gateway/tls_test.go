package gateway

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWhoComesFromElsewhereWithoutTLSIsSentToIt(t *testing.T) {
	cfg := Default()
	cfg.HTTP.TLS.Listen, cfg.HTTP.TLS.HSTS = "0.0.0.0:443", 24*time.Hour
	g := New(cfg, nil)
	served := g.around(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	ask := func(method, path, from, token string, secure bool) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://gridgate.lan"+path, nil)
		r.RemoteAddr = from
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		if secure {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		served.ServeHTTP(w, r)
		return w
	}
	for _, c := range []struct {
		what, method, path, from, token string
		secure                          bool
		status                          int
		location, hsts                  string
	}{
		{"a page", "GET", "/m/?x=1", "10.0.0.5:1", "", false, 307, "https://gridgate.lan/m/?x=1", ""},
		{"another's address in the path", "GET", "//evil.example/x", "10.0.0.5:1", "", false, 307, "https://gridgate.lan//evil.example/x", ""},
		{"a change", "POST", "/api/v1/events", "10.0.0.5:1", "", false, 403, "", ""},
		{"a token", "GET", "/api/v1/devices", "10.0.0.5:1", "secret", false, 403, "", ""},
		{"the page of the authority", "GET", "/ca", "10.0.0.5:1", "", false, 200, "", ""},
		{"this machine", "POST", "/api/v1/events", "127.0.0.1:1", "t", false, 200, "", ""},
		{"this machine by IPv6", "GET", "/", "[::1]:1", "", false, 200, "", ""},
		{"TLS", "POST", "/api/v1/events", "10.0.0.5:1", "t", true, 200, "", "max-age=86400"},
	} {
		w := ask(c.method, c.path, c.from, c.token, c.secure)
		if w.Code != c.status || w.Header().Get("Location") != c.location || w.Header().Get("Strict-Transport-Security") != c.hsts {
			t.Errorf("%s: %d, to %q, HSTS %q", c.what, w.Code, w.Header().Get("Location"), w.Header().Get("Strict-Transport-Security"))
		}
	}
}
