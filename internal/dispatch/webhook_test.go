package dispatch_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridgate/internal/dispatch"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const (
	secretA = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	secretB = "whsec_YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI="
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// hook makes a connector whose only unit is at url.
func hook(t *testing.T, url string, change ...func(*dispatch.WebhookConfig, *dispatch.Target)) *dispatch.Webhook {
	t.Helper()
	target := dispatch.Target{URL: url, Secrets: []string{secretA}, Mode: grid.Simulated}
	cfg := dispatch.WebhookConfig{Allow: loopback}
	for _, f := range change {
		f(&cfg, &target)
	}
	cfg.Target = func(context.Context, string) (dispatch.Target, error) { return target, nil }
	w := dispatch.NewWebhook(cfg)
	t.Cleanup(w.Close)
	return w
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func one(id string) grid.Delivery {
	return grid.Delivery{ID: id, N: 1, Ticket: "T1", Unit: "fire-1", Connector: "webhook", Type: "ticket.opened", Priority: 1,
		Mode: grid.Simulated, State: grid.DeliveryPending, Body: json.RawMessage(`{"specversion":"1.0","id":"` + id + `"}`)}
}

func TestWebhookKeepsThePromiseOfAConnector(t *testing.T) {
	gatetest.TestConnector(t, func(t *testing.T) gatetest.ConnectorRig {
		var mu sync.Mutex
		var got []string
		var refuse, hang atomic.Bool
		done := make(chan struct{})
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case hang.Load():
				<-done
			case refuse.Load():
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				mu.Lock()
				defer mu.Unlock()
				if id := r.Header.Get("webhook-id"); !slices.Contains(got, id) {
					got = append(got, id)
				}
			}
		})
		t.Cleanup(func() { close(done) }) // before the server's own Close, which waits
		return gatetest.ConnectorRig{
			Connector: hook(t, s.URL), Unit: "fire-1",
			Received: func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) },
			Refuse:   func() { refuse.Store(true) },
			Hang:     func() { hang.Store(true) },
		}
	})
}

func TestInboxKeepsThePromiseOfAConnector(t *testing.T) {
	gatetest.TestConnector(t, func(*testing.T) gatetest.ConnectorRig {
		return gatetest.ConnectorRig{Connector: dispatch.Inbox{}, Unit: "committee-1"}
	})
}

func TestWebhookIsSignedWithEverySecretOverTheBytesSent(t *testing.T) {
	var problems []string
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, secret := range []string{secretA, secretB} {
			h, _ := webhooks.NewWebhook(secret)
			if err := h.Verify(body, r.Header); err != nil {
				problems = append(problems, err.Error())
			}
		}
		if ct := r.Header.Get("Content-Type"); ct != "application/cloudevents+json" {
			problems = append(problems, "content type "+ct)
		}
		if id := r.Header.Get("webhook-id"); id != "D1" {
			problems = append(problems, "webhook-id "+id)
		}
		if n := len(strings.Fields(r.Header.Get("webhook-signature"))); n != 2 {
			problems = append(problems, fmt.Sprint(n, " signatures"))
		}
	})
	w := hook(t, s.URL, func(_ *dispatch.WebhookConfig, target *dispatch.Target) { target.Secrets = []string{secretA, secretB} })
	if _, err := w.Deliver(t.Context(), one("D1")); err != nil {
		t.Fatal(err)
	}
	if len(problems) > 0 {
		t.Error(problems)
	}
}

func TestWebhookVerdicts(t *testing.T) {
	cases := []struct {
		name    string
		handler http.HandlerFunc
		status  int
		ok      bool
		never   bool
		hint    time.Duration
		ref     string
	}{
		{name: "200", handler: status(200), status: 200, ok: true},
		{name: "204", handler: status(204), status: 204, ok: true},
		{name: "ref of the unit", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(201)
			io.WriteString(w, `{"ref":"119-4711"}`)
		}, status: 201, ok: true, ref: "119-4711"},
		{name: "301", handler: status(301), status: 301},
		{name: "304", handler: status(304), status: 304},
		{name: "400", handler: status(400), status: 400},
		{name: "401", handler: status(401), status: 401},
		{name: "410 is for ever", handler: status(410), status: 410, never: true},
		{name: "500", handler: status(500), status: 500},
		{name: "unknown 599", handler: status(599), status: 599},
		{name: "429 with seconds", handler: later("17"), status: 429, hint: 17 * time.Second},
		{name: "429 with nonsense", handler: later("soon"), status: 429},
		{name: "429 with a negative number", handler: later("-5"), status: 429},
		{name: "huge body", handler: func(w http.ResponseWriter, _ *http.Request) {
			junk := make([]byte, 1<<20)
			for range 64 {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		}, status: 200, ok: true},
		{name: "hang-up in the middle of the answer", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half an ans")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, status: 200, ok: true},
		{name: "hang-up before the answer", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{name: "headers without end", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Junk", strings.Repeat("x", 64<<10))
		}},
		{name: "not HTTP at all", handler: func(w http.ResponseWriter, _ *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n")
			c.Close()
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.handler)
			s.Config.ErrorLog = nil
			r, err := hook(t, s.URL).Deliver(t.Context(), one("D1"))
			if (err == nil) != c.ok || errors.Is(err, dispatch.ErrNever) != c.never {
				t.Errorf("err = %v, want ok %v, never again %v", err, c.ok, c.never)
			}
			if r.Status != c.status || r.RetryHint != c.hint || r.Ref != c.ref {
				t.Errorf("receipt = %+v, want status %d, hint %s, ref %q", r, c.status, c.hint, c.ref)
			}
			if len(r.Detail) > 256 {
				t.Errorf("%d bytes of detail were kept", len(r.Detail))
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func later(h string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", h)
		w.WriteHeader(http.StatusTooManyRequests)
	}
}

func TestWebhookFollowsNoRedirect(t *testing.T) {
	var reached atomic.Bool
	inner := serve(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inner.URL, code) })
		if _, err := hook(t, s.URL).Deliver(t.Context(), one("D1")); err == nil {
			t.Errorf("%d counts as received", code)
		}
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
}

func TestWebhookReachesNoAddressThatIsNotPublic(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the internal server was reached") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	none := func(cfg *dispatch.WebhookConfig, _ *dispatch.Target) { cfg.Allow = nil }
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1.2.3", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "224.0.0.1", "255.255.255.255",
		"[fe80::1]", "[fd00:ec2::254]", "[ff02::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[::ffff:169.254.169.254]",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := hook(t, "http://"+host+":"+port, none).Deliver(ctx, one("D1"))
		cancel()
		if err == nil {
			t.Errorf("%s was reached", host)
		} else if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s was dialled: %v", host, err)
		}
	}
}

func TestGuardJudgesTheResolvedAddress(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}
	for addr, want := range map[string]bool{
		"8.8.8.8:443": true, "[2606:4700::1111]:443": true, "[2002:808:808::1]:443": true, "[64:ff9b::808:808]:443": true,
		"10.20.3.4:443": true, "[::ffff:10.20.3.4]:443": true,
		"10.21.0.1:443": false, "169.254.169.254:80": false, "100.64.1.1:80": false, "198.18.0.1:80": false,
		"[64:ff9b::a9fe:a9fe]:80": false, "[fe80::1%eth0]:80": false, "[2001::1]:80": false, "nonsense": false,
	} {
		if err := dispatch.GuardControl(allow, "tcp4", addr); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %v", addr, err, want)
		}
	}
	if dispatch.GuardControl(allow, "udp4", "8.8.8.8:53") == nil {
		t.Error("udp is allowed")
	}
}

func TestWebhookRefusesWhatItCannotSendRightly(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	cases := []struct {
		name   string
		change func(*dispatch.WebhookConfig, *dispatch.Target)
		d      grid.Delivery
		never  bool
	}{
		{"dot in the id", nil, one("D.1"), true},
		{"no id", nil, one(""), true},
		{"simulated to a live unit", func(_ *dispatch.WebhookConfig, t *dispatch.Target) { t.Mode = grid.Live }, one("D1"), true},
		{"file url", func(_ *dispatch.WebhookConfig, t *dispatch.Target) { t.URL = "file:///etc/passwd" }, one("D1"), false},
		{"gopher url", func(_ *dispatch.WebhookConfig, t *dispatch.Target) { t.URL = "gopher://127.0.0.1/" }, one("D1"), false},
		{"no url", func(_ *dispatch.WebhookConfig, t *dispatch.Target) { t.URL = "" }, one("D1"), false},
		{"no secret", func(_ *dispatch.WebhookConfig, t *dispatch.Target) { t.Secrets = nil }, one("D1"), false},
		{"unreadable secret", func(_ *dispatch.WebhookConfig, t *dispatch.Target) { t.Secrets = []string{"whsec_%%hidden%%"} }, one("D1"), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			changes := []func(*dispatch.WebhookConfig, *dispatch.Target){}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			_, err := hook(t, s.URL, changes...).Deliver(t.Context(), c.d)
			if err == nil || errors.Is(err, dispatch.ErrNever) != c.never {
				t.Errorf("err = %v, want one, never again: %v", err, c.never)
			}
			if err != nil && strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestWebhookTrustsNoUnknownCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(status(200))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	if _, err := hook(t, s.URL).Deliver(t.Context(), one("D1")); err == nil {
		t.Error("a certificate of nobody was trusted")
	}
	insecure := func(cfg *dispatch.WebhookConfig, _ *dispatch.Target) { cfg.TLS = &tls.Config{InsecureSkipVerify: true} }
	if _, err := hook(t, s.URL, insecure).Deliver(t.Context(), one("D1")); err == nil {
		t.Error("verification could be turned off")
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	known := func(cfg *dispatch.WebhookConfig, _ *dispatch.Target) { cfg.TLS = &tls.Config{RootCAs: roots} }
	if _, err := hook(t, s.URL, known).Deliver(t.Context(), one("D1")); err != nil {
		t.Errorf("a certificate of a known root: %v", err)
	}
}

func TestWebhookErrorDoesNotShowTheURL(t *testing.T) {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	addr := l.Addr().String()
	l.Close()
	_, err := hook(t, "http://user:pass@"+addr+"/hook?key=topsecret").Deliver(t.Context(), one("D1"))
	if err == nil || strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), "pass") {
		t.Errorf("err = %v", err)
	}
}

func TestWebhookDoesNotWaitForASlowBody(t *testing.T) {
	done := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "first byte")
		w.(http.Flusher).Flush()
		<-done
	})
	t.Cleanup(func() { close(done) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := hook(t, s.URL).Deliver(ctx, one("D1"))
	if err != nil || r.Status != 200 || ctx.Err() != nil {
		t.Errorf("receipt %+v, err %v, context %v", r, err, ctx.Err())
	}
}

func TestWebhookReusesItsConnection(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(status(200))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	w := hook(t, s.URL)
	for i := range 10 {
		if _, err := w.Deliver(t.Context(), one(fmt.Sprint("D", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 10 deliveries, want 1", n)
	}
}

func TestWebhookCheckNamesWhatIsWrong(t *testing.T) {
	w := dispatch.NewWebhook(dispatch.WebhookConfig{})
	good := grid.Unit{ID: "u", Connector: "webhook", URL: "https://fire.example/hook", Secret: secretA + " " + secretB}
	if err := w.Check(good); err != nil {
		t.Fatal(err)
	}
	if s := dispatch.Secrets(good); len(s) != 2 || s[0] != secretA || s[1] != secretB {
		t.Errorf("secrets are %v, want both while they are being changed", s)
	}
	for want, change := range map[string]func(*grid.Unit){
		"url cannot": func(u *grid.Unit) { u.URL = "fire.example" },
		"secret 2":   func(u *grid.Unit) { u.Secret = secretA + " whsec_%%hidden%%" },
		"no secret":  func(u *grid.Unit) { u.Secret = "" },
		`"retries"`:  func(u *grid.Unit) { u.Settings = map[string]string{"retries": "3"} },
	} {
		u := good
		change(&u)
		if err := w.Check(u); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%v, want one that says %q and no secret", err, want)
		}
	}
}
