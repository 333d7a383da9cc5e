package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gridgate/internal/cert"
)

// certified is a gateway that listens for HTTPS, with a certificate of its own authority.
func certified(t *testing.T, hosts ...string) *Gateway {
	t.Helper()
	cfg := Default()
	cfg.DataDir = t.TempDir()
	cfg.HTTP.TLS.Listen, cfg.HTTP.TLS.HSTS = "127.0.0.1:0", 24*time.Hour
	a, err := cfg.MakeAuthority("a district", []string{"lan", "203.0.113.0/24"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Issue(cert.Wish{For: cert.ForServer, Name: localName, Hosts: hosts}); err != nil {
		t.Fatal(err)
	}
	g := New(cfg, nil)
	if err := g.openTLS(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.secured.listener.Close() })
	return g
}

func TestWhoComesFromElsewhereWithoutTLSIsSentToIt(t *testing.T) {
	g := certified(t, "gridgate.lan", "203.0.113.7")
	_, port, err := net.SplitHostPort(g.TLSAddr())
	if err != nil {
		t.Fatal(err)
	}
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
		{"a page", "GET", "/m/?x=1", "10.0.0.5:1", "", false, 307, "https://gridgate.lan:" + port + "/m/?x=1", ""},
		{"another's address in the path", "GET", "//evil.example/x", "10.0.0.5:1", "", false, 307, "https://gridgate.lan:" + port + "//evil.example/x", ""},
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

// Who asks by a name that is none of ours is not sent on by it: a cache or a resolver that lies
// would have us send him to somebody else. By an address within the house he always comes in.
func TestNobodyIsSentToAHostThatIsNoneOfOurs(t *testing.T) {
	g := certified(t, "gridgate.lan", "*.desk.lan", "203.0.113.7")
	_, port, err := net.SplitHostPort(g.TLSAddr())
	if err != nil {
		t.Fatal(err)
	}
	served := g.around(http.NotFoundHandler())
	ask := func(host string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/m/", nil)
		r.Host, r.RemoteAddr = host, "10.0.0.5:1"
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.ParseIP("198.51.100.4"), Port: 80})))
		w := httptest.NewRecorder()
		served.ServeHTTP(w, r)
		return w
	}
	for host, to := range map[string]string{
		"gridgate.lan": "gridgate.lan:" + port, "GRIDGATE.lan.:8080": "GRIDGATE.lan:" + port, "hall.desk.lan": "hall.desk.lan:" + port, // names of the certificate
		"203.0.113.7:80": "203.0.113.7:" + port, "198.51.100.4": "198.51.100.4:" + port, // an address of it, and the one he came to
		"192.168.1.20:8080": "192.168.1.20:" + port, "[fd00::7]:8080": "[fd00::7]:" + port, "[fd00::7]": "[fd00::7]:" + port, // of the house, perhaps of a box before us
	} {
		if w := ask(host); w.Code != http.StatusTemporaryRedirect || w.Header().Get("Location") != "https://"+to+"/m/" {
			t.Errorf("%s: %d, to %q", host, w.Code, w.Header().Get("Location"))
		}
	}
	for _, host := range []string{
		"evil.example", "gridgate.lan.evil.example", "evil.example:8080", "198.51.100.5", "[2001:db8::1]:80", "evil.example@gridgate.lan", "gridgate.lan@evil.example", "gridgate.lan/evil.example",
		"a.b.desk.lan", "desk.lan", "localhost.evil.example", "", "[fe80::1%25evil.example]", "3232235796", "192.168.1.20.evil.example",
	} {
		if w := ask(host); w.Code != http.StatusMisdirectedRequest || w.Header().Get("Location") != "" {
			t.Errorf("%q: %d, to %q", host, w.Code, w.Header().Get("Location"))
		}
	}
}
