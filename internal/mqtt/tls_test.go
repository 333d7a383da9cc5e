package mqtt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

func TestClientCertificate(t *testing.T) {
	m := newMosquitto(t, "cafile DIR/ca.pem", "certfile DIR/broker.pem", "keyfile DIR/broker.key", "require_certificate true", "use_identity_as_username true")
	ca, caKey := gatetest.Issue(t, m.dir, "ca", nil, nil)
	gatetest.Issue(t, m.dir, "broker", ca, caKey)
	gatetest.Issue(t, m.dir, "gateway", ca, caKey)
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
		ca, caKey := gatetest.Issue(t, m.dir, prefix+"ca", nil, nil)
		gatetest.Issue(t, m.dir, prefix+"broker", ca, caKey)
		gatetest.Issue(t, m.dir, prefix+"gateway", ca, caKey)
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
