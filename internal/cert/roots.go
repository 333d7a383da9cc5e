package cert

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"gridgate/internal/grid"
)

// Trusting is how we speak TLS to others: who the system trusts, and the authorities of a
// PEM file; "" is the system's alone, as nil.
func Trusting(path string) (*tls.Config, error) {
	if path == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil { // a container without any
		roots = x509.NewCertPool()
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(b) {
		return nil, grid.Errorf(grid.Invalid, "%s holds no certificate: want PEM", path)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}
