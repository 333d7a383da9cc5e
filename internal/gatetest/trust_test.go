package gatetest_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// servesAs is a server at addr with a certificate of the site's authority, which g's command line has issued.
func servesAs(t *testing.T, g *gateway, name, addr string, h http.Handler) *httptest.Server {
	t.Helper()
	g.gridgate(t, "cert", "server", "--name", name, "127.0.0.1")
	at := filepath.Join(g.dir, "data/ca/server", name)
	pair, err := tls.LoadX509KeyPair(at+".pem", at+".key")
	must(t, err)
	s := httptest.NewUnstartedServer(h)
	must(t, s.Listener.Close())
	s.Listener, err = net.Listen("tcp", addr)
	must(t, err)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of those who do not trust it
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// configured changes the configuration of a gateway that does not run.
func configured(t *testing.T, g *gateway, old, now string) {
	t.Helper()
	b, err := os.ReadFile(g.config)
	must(t, err)
	if !strings.Contains(string(b), old) {
		t.Fatalf("%q is not in the configuration", old)
	}
	write(t, g.config, strings.ReplaceAll(string(b), old, now))
}

func TestUnitsAndInfluxDBOfTheSitesAuthorityAreTrustedByItsNameAlone(t *testing.T) {
	const (
		withoutUnits = "dispatch: {allow_cidrs: [127.0.0.0/8]}"
		withUnits    = "dispatch: {allow_cidrs: [127.0.0.0/8], ca: data/ca/ca.pem}"
	)
	db := newInfluxd(t)
	db.start(t)
	unit, store := gatetest.FreeAddr(t), gatetest.FreeAddr(t)
	g := newGateway(t, "influx: {managed: false, url: 'https://"+store+"', bucket: gridgate/autogen}", withoutUnits)
	g.gridgate(t, "cert", "ca", "--name", "a district")

	letters := make(chan string, 16)
	crew := servesAs(t, g, "crew", unit, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case letters <- r.Header.Get("webhook-signature"):
		default:
		}
	}))
	to, err := url.Parse(db.url)
	must(t, err)
	servesAs(t, g, "store", store, httputil.NewSingleHostReverseProxy(to))

	// Without the authority nothing is sent to either of them.
	g.start(t)
	g.put(t, fmt.Sprintf(windowRegistry, crew.URL))
	connect(t, g.broker).send(t, "gridgate/up/sn:pit-1", []byte(`{"manhole.open":true,"seq":1}`))
	eventually(t, 30*time.Second, "the delivery to fail", func() error {
		tried := all[grid.Delivery](t, g, "deliveries", api.Query{})
		for _, d := range tried {
			if strings.Contains(fmt.Sprintf("%+v", d), "unknown authority") {
				return nil
			}
		}
		return fmt.Errorf("deliveries: %+v", tried)
	})
	eventually(t, 30*time.Second, "/readyz to say that InfluxDB is not trusted", func() error {
		_, err := getJSON[api.Readiness](t.Context(), g.api.URL+"/readyz", "")
		if err != nil && strings.Contains(err.Error(), "unknown authority") {
			return nil
		}
		return fmt.Errorf("said: %w", err)
	})
	if len(letters) > 0 {
		t.Error("a letter went to whom nobody vouches for")
	}

	// With it both get what has waited.
	g.Stop(t)
	configured(t, g, withoutUnits, withUnits)
	configured(t, g, "bucket: gridgate/autogen}", "bucket: gridgate/autogen, ca: data/ca/ca.pem}")
	g.start(t)
	select {
	case signature := <-letters:
		if signature == "" {
			t.Error("the letter is not signed")
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the letter does not arrive")
	}
	eventually(t, 60*time.Second, "the point in InfluxDB", func() error {
		found, err := query(t.Context(), db.url, "gridgate", "", "SELECT open FROM manhole WHERE point='pit-1'")
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("no series yet")
		}
		return err
	})
	g.balanced(t)
}
