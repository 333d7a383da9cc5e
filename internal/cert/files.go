package cert

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Files is a certificate in two PEM files, read again when they change: with each handshake,
// so that a renewed one needs no restart. It is safe for concurrent use.
type Files struct {
	Cert  string      // with its chain
	Key   string      // of the same
	Fault func(error) // is told of files that cannot be used while others are in force; may be nil

	mu   sync.Mutex
	of   [2]stamp // of the files, when they were read or last found wanting
	read *tls.Certificate
	bad  error // what is wrong with the newest files
}

// stamp tells one version of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// Current is the certificate in force. Files that do not fit together, perhaps since one of
// them is not yet in its place, leave in force what was.
func (f *Files) Current() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var of [2]stamp
	for i, name := range []string{f.Cert, f.Key} {
		if info, err := os.Stat(name); err == nil {
			of[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	if f.read != nil && of == f.of {
		return f.read, nil
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		err = grid.Errorf(grid.Invalid, "certificate %s with key %s: %w", f.Cert, f.Key, err)
		if f.read == nil {
			return nil, err
		}
		f.bad = err
		if f.Fault != nil {
			f.Fault(err)
		}
		f.of = of // told once for each version of the files
		return f.read, nil
	}
	f.read, f.of, f.bad = &pair, of, nil
	return f.read, nil
}

// Problem is what is wrong with the newest files; nil: they are in force.
func (f *Files) Problem() error {
	if _, err := f.Current(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad
}

// suites of TLS 1.2 are those with forward secrecy that also authenticate what they hide.
// TLS 1.3 has no others.
func suites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// Server is how a server of HTTP speaks TLS: 1.2 and 1.3, with HTTP/2.
func Server(current func(*tls.ClientHelloInfo) (*tls.Certificate, error), more ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites(), NextProtos: append([]string{"h2", "http/1.1"}, more...), GetCertificate: current}
}
