package gatetest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// withTLS adds http.tls to the configuration that newGateway wrote.
func withTLS(t *testing.T, g *gateway, tlsLines string) {
	t.Helper()
	b, err := os.ReadFile(g.config)
	must(t, err)
	listen := strings.TrimPrefix(g.api.URL, "http://")
	write(t, g.config, strings.Replace(string(b), "http: {listen: "+listen+"}", "http: {listen: "+listen+", tls: "+tlsLines+"}", 1))
}

func TestASiteOfItsOwnIsServedOverTLSByItsOwnAuthority(t *testing.T) {
	secure := gatetest.FreeAddr(t)
	g := newGateway(t)
	withTLS(t, g, "{listen: \""+secure+"\"}")
	g.gridgate(t, "cert", "ca", "--name", "a district")
	g.gridgate(t, "cert", "server", "gridgate.lan", "127.0.0.1")
	g.start(t)

	// What a person does: fetch the certificate over plain HTTP, compare, trust it.
	res, err := http.Get(g.api.URL + "/ca/gridgate-ca.crt")
	must(t, err)
	der, err := io.ReadAll(res.Body)
	must(t, err)
	_ = res.Body.Close()
	ca, err := x509.ParseCertificate(der)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	serial := func() string {
		t.Helper()
		client.CloseIdleConnections()
		res, err := client.Get("https://" + secure + "/m/")
		must(t, err)
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s over HTTP/%d, HSTS %q", res.Status, res.ProtoMajor, res.Header.Get("Strict-Transport-Security"))
		}
		return res.TLS.PeerCertificates[0].SerialNumber.Text(16)
	}
	first := serial()
	if _, err := http.Get("https://" + secure + "/healthz"); err == nil {
		t.Error("it is trusted by those who have not installed it")
	}
	for _, old := range []*tls.Config{{RootCAs: roots, MaxVersion: tls.VersionTLS11}, {RootCAs: roots, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}} {
		if c, err := tls.Dial("tcp", secure, old); err == nil {
			_ = c.Close()
			t.Errorf("version %#x with suite %#x is spoken", c.ConnectionState().Version, c.ConnectionState().CipherSuite)
		}
	}

	// A renewed one is in force at the next connection, without a restart.
	g.gridgate(t, "cert", "renew", "--all")
	if serial() == first {
		t.Error("the renewed certificate is not in force")
	}
	var listed struct {
		Issued []struct{ State string }
		Named  []struct{ What, Level string }
	}
	must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "cert", "list")), &listed))
	if len(listed.Issued) != 2 || len(listed.Named) < 2 || listed.Named[0].Level != "fine" {
		t.Errorf("listed: %+v", listed)
	}
	res, err = http.Get(g.api.URL + "/metrics")
	must(t, err)
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), `gridgate_certificate_ends_seconds{what="http.tls.cert"}`) {
		t.Error("the metrics do not say when the certificate ends: ", err)
	}
}

func TestADeviceComesInByACertificateOfTheSiteUntilItIsRevoked(t *testing.T) {
	secure := gatetest.FreeAddr(t)
	g := newGateway(t)
	b, err := os.ReadFile(g.config)
	must(t, err)
	write(t, g.config, strings.Replace(string(b), "anonymous: true", "anonymous: false, listen_tls: \""+secure+"\", tls: {cert: data/ca/server/gateway.pem, key: data/ca/server/gateway.key, client_ca: data/ca/ca.pem}", 1))
	g.gridgate(t, "cert", "ca")
	g.gridgate(t, "cert", "server", "127.0.0.1")
	g.start(t)
	g.put(t, keyRegistry)
	var made struct {
		Certificate struct{ Serial, Cert, Key string }
	}
	issue := func() {
		t.Helper()
		must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "cert", "device", passwordDevice)), &made))
	}
	pub := gatetest.FindPeer(t, "mosquitto_pub", "GRIDGATE_TEST_MOSQUITTO_PUB", false)
	host, port, _ := net.SplitHostPort(secure)
	comes := func(certFile, keyFile string) error {
		_, err := gatetest.Run(t.Context(), pub, "-h", host, "-p", port, "--cafile", filepath.Join(g.dir, "data/ca/ca.pem"), "--cert", certFile, "--key", keyFile,
			"-q", "1", "-t", "gridgate/up/"+passwordDevice, "-m", `{"battery.level":80}`)
		return err
	}
	issue()
	must(t, comes(made.Certificate.Cert, made.Certificate.Key))
	// A certificate of the same authority that nobody registered opens nothing.
	server := filepath.Join(g.dir, "data/ca/server/gateway")
	if comes(server+".pem", server+".key") == nil {
		t.Error("the gateway's own certificate lets somebody in")
	}
	serial := made.Certificate.Serial
	g.gridgate(t, "cert", "revoke", serial[:12], "--reason", "lost")
	if comes(made.Certificate.Cert, made.Certificate.Key) == nil {
		t.Error("a revoked certificate lets its device in")
	}
	issue()
	if err := comes(made.Certificate.Cert, made.Certificate.Key); err != nil || made.Certificate.Serial == serial {
		t.Error("the one after it: ", err)
	}
	g.balanced(t)
}

func TestTheKeyFileIsRotatedWhileDevicesComeAndGo(t *testing.T) {
	dtls := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {dtls: {listen: "+dtls+"}}")
	g.gridgate(t, "cert", "ca")
	g.start(t)
	g.put(t, keyRegistry)
	key := g.give(t, keyDevice, hexKey("the right key 12"))
	must(t, posts(t, dtls, "the right key 12"))
	before, err := os.ReadFile(filepath.Join(g.dir, "data/secret.key"))
	must(t, err)
	var done struct{ Resealed, Waiting, Keys, Removed int }
	must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "key", "rotate")), &done))
	if done.Resealed != 2 || done.Keys != 1 || done.Removed != 1 { // the device's key and the authority's
		t.Errorf("rotated: %+v", done)
	}
	after, err := os.ReadFile(filepath.Join(g.dir, "data/secret.key"))
	must(t, err)
	if string(before) == string(after) || strings.Contains(string(after), strings.TrimSpace(string(before))) {
		t.Error("the old key is in the file still")
	}
	must(t, posts(t, dtls, "the right key 12"))
	g.Kill()
	g.start(t)
	must(t, posts(t, dtls, "the right key 12"))
	g.gridgate(t, "cert", "server", "127.0.0.1") // the authority's key opens too
	if s := g.state(t, grid.Identity(keyDevice), key.ID); s != "holds" {
		t.Errorf("the device's key is %s", s)
	}
	g.balanced(t)
}
