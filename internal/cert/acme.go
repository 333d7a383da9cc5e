package cert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"gridgate/internal/grid"
)

// ACME is certificates that a server of RFC 8555 gives, and renews by itself when a third of
// their time is left or 30 days. To name domains is to agree to its terms.
type ACME struct {
	Domains   []string
	Email     string // where it writes to; "" is nobody
	Directory string // "" is Let's Encrypt
	Cache     string // folder, 0700: keys and certificates outlive a restart
	CA        string // PEM, of a directory within the house; "" is the system's authorities
}

const (
	acmeWithin = time.Minute // one certificate, with its challenge
	warmAgain  = time.Minute // pause after a certificate could not be had
)

// Manager has the certificates. Its HTTPHandler answers HTTP-01; TLS-ALPN-01 is answered by
// the listener itself.
func (c *ACME) Manager() (*autocert.Manager, error) {
	client := &acme.Client{DirectoryURL: c.Directory, UserAgent: "gridgate"}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, grid.Errorf(grid.Invalid, "acme.ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, grid.Errorf(grid.Invalid, "acme.ca: %s holds no certificate: want PEM", c.CA)
		}
		client.HTTPClient = &http.Client{Timeout: acmeWithin, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		}}
	}
	if err := makeFolder(c.Cache); err != nil {
		return nil, err
	}
	return &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(c.Cache), HostPolicy: autocert.HostWhitelist(c.Domains...), Email: c.Email, Client: client,
	}, nil
}

// Warm gets the certificate of each domain before anybody asks, and tells what fails, until
// all are there or ctx is done.
func (c *ACME) Warm(ctx context.Context, m *autocert.Manager, fault func(domain string, err error)) error {
	for _, domain := range c.Domains {
		for ctx.Err() == nil {
			_, err := m.GetCertificate(&tls.ClientHelloInfo{
				ServerName: domain, SupportedVersions: []uint16{tls.VersionTLS13},
				CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
				SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
			})
			fault(domain, err)
			if err == nil {
				break
			}
			select {
			case <-time.After(warmAgain):
			case <-ctx.Done():
			}
		}
	}
	return nil
}
