package cert_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gridgate/internal/cert"
)

func TestAServerOfTheSiteIsTrustedByThoseWhoAreToldOfItsAuthority(t *testing.T) {
	s := newSite(t)
	s.now = time.Now()
	i := s.issue(t, cert.Wish{For: cert.ForServer, Name: "influxdb", Hosts: []string{"127.0.0.1"}})
	pair, err := tls.LoadX509KeyPair(i.Cert, i.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	ask := func(ca string) error {
		config, err := cert.Trusting(ca)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		defer client.CloseIdleConnections()
		res, err := client.Get(server.URL)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	if err := ask(cert.RootPath(s.dir)); err != nil {
		t.Error(err)
	}
	if ask("") == nil {
		t.Error("it is trusted by everybody")
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Trusting(empty); err == nil {
		t.Error("a file without a certificate is taken")
	}
}
