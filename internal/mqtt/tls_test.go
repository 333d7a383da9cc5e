package mqtt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

func TestClientCertificate(t *testing.T) {
	m := newMosquitto(t, "cafile DIR/ca.pem", "certfile DIR/broker.pem", "keyfile DIR/broker.key", "require_certificate true", "use_identity_as_username true")
	ca, caKey := issue(t, m.dir, "ca", nil, nil)
	issue(t, m.dir, "broker", ca, caKey)
	issue(t, m.dir, "gateway", ca, caKey)
	m.start(t)
	file := func(name string) string { return filepath.Join(m.dir, name) }
	cfg := Config{URL: "mqtts://" + m.addr, TLS: TLS{CA: file("ca.pem"), Cert: file("gateway.pem"), Key: file("gateway.key")}}

	tr, _ := start(t, cfg, &gatetest.Inbox{})
	connected(t, tr)
	gatetest.Eventually(t, "the canary", func() bool { return tr.Status().CanaryRTT > 0 })

	m.write(t, "noise.pem", "noise")
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"WithoutCertificate": {func(c *Config) { c.TLS.Cert, c.TLS.Key = "", "" }, "the broker asked for a client certificate: want tls.cert and tls.key"},
		"OtherHost":          {func(c *Config) { c.TLS.ServerName = "elsewhere" }, `tls as "elsewhere": tls: failed to verify certificate`},
		"UnknownAuthority":   {func(c *Config) { c.TLS.CA = "" }, "signed by unknown authority"},
		"FileMissing":        {func(c *Config) { c.TLS.CA = file("none.pem") }, "none.pem: no such file"},
		"NoPEM":              {func(c *Config) { c.TLS.CA = file("noise.pem") }, "noise.pem holds no certificate: want PEM"},
		"KeyOfAnother":       {func(c *Config) { c.TLS.Key = file("ca.key") }, "ca.key: tls: private key does not match"},
		"NoTLS":              {func(c *Config) { c.URL = m.url() }, "not connected"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.ClientID = strings.ToLower(name)
			c.change(&cfg)
			tr, _ := start(t, cfg, &gatetest.Inbox{})
			gatetest.Eventually(t, "the refusal", func() bool { return tr.Status().LastError != "" })
			if err := tr.Status().Problem(time.Now()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("problem is %v, want one that contains %q", err, c.want)
			}
			if tr.Status().Connected {
				t.Error("connected")
			}
		})
	}
}

func TestRenewedCertificatesAreReadAtTheNextConnection(t *testing.T) {
	m := newMosquitto(t, "cafile DIR/ca.pem", "certfile DIR/broker.pem", "keyfile DIR/broker.key", "require_certificate true")
	certify := func(prefix string) {
		ca, caKey := issue(t, m.dir, prefix+"ca", nil, nil)
		issue(t, m.dir, prefix+"broker", ca, caKey)
		issue(t, m.dir, prefix+"gateway", ca, caKey)
	}
	certify("")
	certify("new-")
	m.start(t)
	file := func(name string) string { return filepath.Join(m.dir, name) }
	cfg := Config{URL: "mqtts://" + m.addr, MaxBackoff: time.Second, TLS: TLS{CA: file("ca.pem"), Cert: file("gateway.pem"), Key: file("gateway.key")}}
	tr, _ := start(t, cfg, &gatetest.Inbox{})
	connected(t, tr)

	renew := func(names ...string) {
		for _, name := range names {
			if err := os.Rename(file("new-"+name), file(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.kill()
	renew("ca.pem", "broker.pem", "broker.key")
	m.start(t)
	gatetest.Eventually(t, "the old client certificate to be refused", func() bool { return strings.Contains(tr.Status().LastError, "tls: ") })
	renew("gateway.pem", "gateway.key")
	connected(t, tr)
	gatetest.Eventually(t, "the canary", func() bool { return tr.Status().Connected && tr.Status().CanaryRTT > 0 })
}

// issue writes a certificate for 127.0.0.1 and its key; without a parent it is an authority.
func issue(t testing.TB, dir, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        parent == nil, BasicConstraintsValid: true,
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}
