package mqtt

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"time"
)

// writeWithin bounds a write to the broker.
const writeWithin = 5 * time.Second

// conn is a connection to the broker. Paho reads the first bytes of each packet one by one,
// so reads are buffered; and it sets no deadline for acknowledgements, so writes have one.
type conn struct {
	net.Conn
	buf    *bufio.Reader
	broken func(error) // told at once, also while Paho waits for a handler
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.buf.Read(p)
	if err != nil {
		c.broken(err)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(writeWithin))
	return c.Conn.Write(p)
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
	if secure {
		host, _, _ := net.SplitHostPort(addr)
		config, err := t.cfg.TLS.config(host)
		if err != nil {
			_ = nc.Close()
			return nil, err
		}
		tc := tls.Client(nc, config)
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, err
		}
		nc = tc
	}
	return &conn{Conn: nc, buf: bufio.NewReaderSize(nc, 64<<10), broken: broken}, nil
}
