package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"

	"gridgate/internal/grid"
)

// TLS names the files of the TLS listener. They are looked at with each connection, so that
// renewed certificates need no restart.
type TLS struct {
	Cert string `yaml:"cert"` // PEM; with the chain
	Key  string `yaml:"key"`  // PEM

	// ClientCA, PEM, demands a certificate of each client. One whose common name is a user's
	// name logs in as that user, without a password.
	ClientCA string `yaml:"client_ca"`
}

// certificates holds what was read last.
type certificates struct {
	files TLS
	fault func(error)

	mu   sync.Mutex
	of   [3]stamp // of the files, when they were read
	read *tls.Config
}

// stamp tells one version of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// current reads the files if they have changed. Files that do not fit together, perhaps
// since one of them is not yet in its place, leave in force what was.
func (c *certificates) current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var of [3]stamp
	for i, name := range []string{c.files.Cert, c.files.Key, c.files.ClientCA} {
		if info, err := os.Stat(name); err == nil {
			of[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	if c.read != nil && of == c.of {
		return c.read, nil
	}
	read, err := c.files.config()
	switch {
	case err == nil:
		c.read, c.of = read, of
	case c.read != nil:
		c.fault(err)
	default:
		return nil, err
	}
	return c.read, nil
}

func (f TLS) config() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "tls.cert %s with tls.key %s: %w", f.Cert, f.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if f.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "tls.client_ca: %w", err)
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, grid.Errorf(grid.Invalid, "tls.client_ca: %s holds no certificate: want PEM", f.ClientCA)
	}
	return c, nil
}

// secured makes a TLS listener of l. The handshake is part of a connection's first read, so
// that it holds up no other and has the same deadline.
func (b *Broker) secured(l net.Listener) (net.Listener, error) {
	c := &certificates{files: b.cfg.TLS, fault: func(err error) { b.tally.Fault("certificates cannot be renewed", err) }}
	if _, err := c.current(); err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current() },
	}), nil
}

// certified is the user whom a client's certificate names.
func (b *Broker) certified(cl *mochi.Client) *User {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return nil
	}
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if chains := secure.ConnectionState().VerifiedChains; len(chains) > 0 {
		return b.users[chains[0][0].Subject.CommonName]
	}
	return nil
}

// listen opens the configured listeners: the plain one, the one with TLS, or both.
func (b *Broker) listen(open func(addr string) (net.Listener, error)) (ls []*listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range ls {
				l.Close(nil)
			}
		}
	}()
	for _, at := range []struct {
		id, addr string
		secure   bool
	}{{"tcp", b.cfg.Listen, false}, {"tls", b.cfg.ListenTLS, true}} {
		if at.addr == "" {
			continue
		}
		nl, err := open(at.addr)
		if err != nil {
			return ls, grid.Errorf(grid.Unavailable, "broker %s: listen on %s: %w", b.cfg.Name, at.addr, err)
		}
		if at.secure {
			plain := nl
			if nl, err = b.secured(plain); err != nil {
				_ = plain.Close()
				return ls, fmt.Errorf("broker %s: %w", b.cfg.Name, err)
			}
		}
		ls = append(ls, newListener(at.id, nl, b.cfg.MaxClients, b.full))
	}
	return ls, nil
}
