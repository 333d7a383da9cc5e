package mqtt

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	writeWithin  = 5 * time.Second        // bounds a write to the broker
	lingerWithin = 250 * time.Millisecond // bounds the wait for the broker to close its side
)

// conn is a connection to the broker. Paho reads the first bytes of each packet one by one,
// so reads are buffered; and it sets no deadline for acknowledgements, so writes have one.
type conn struct {
	net.Conn
	buf    *bufio.Reader
	broken func(error) // told at once; Paho tells only after its handler has returned
	asked  bool        // the broker asked for a certificate, and we have none
	heard  atomic.Bool // it has said something since
}

// fails tells why the connection is broken. A broker that wants a certificate says so only
// after the handshake of TLS 1.3, and a reset may come before its word.
func (c *conn) fails(err error) {
	if c.asked && !c.heard.Load() {
		err = fmt.Errorf("%w; the broker asked for a client certificate: want tls.cert and tls.key", err)
	}
	c.broken(err)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.buf.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	if err != nil {
		c.fails(err)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeWithin))
	n, err := c.Conn.Write(p)
	if err != nil {
		c.fails(err)
	}
	return n, err
}

// Close waits a little for the broker to close its side. A socket that is closed with
// something unread, a canary perhaps, is reset, and then the broker may throw away our last
// acknowledgements and send again.
func (c *conn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(lingerWithin))
		_, _ = io.Copy(io.Discard, c.Conn)
	}
	return c.Conn.Close()
}

// dial opens a connection to the configured broker.
func (t *Transport) dial(ctx context.Context, broken func(error)) (*conn, error) {
	addr, secure, err := t.cfg.address()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.ConnectTimeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	asked := false
	if secure {
		host, _, _ := net.SplitHostPort(addr)
		config, err := t.cfg.TLS.config(host)
		if err != nil {
			_ = nc.Close()
			return nil, err
		}
		if len(config.Certificates) == 0 {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return new(tls.Certificate), nil
			}
		}
		tc := tls.Client(nc, config)
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, fmt.Errorf("tls as %q: %w", config.ServerName, err)
		}
		nc = tc
	}
	return &conn{Conn: nc, buf: bufio.NewReaderSize(nc, 64<<10), broken: broken, asked: asked}, nil
}
