package broker

import (
	"errors"
	"net"
	"sync"
	"time"
)

// connectWithin is how long a new connection may take to say CONNECT.
const connectWithin = 10 * time.Second

// listener keeps what the MQTT server forgets: it caps connections, also those that have
// not said who they are, gives them a deadline for that, survives a failed accept (too many
// open files), and closes all connections with it.
type listener struct {
	net.Listener
	max     int
	refused func()

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

func newListener(l net.Listener, max int, refused func()) *listener {
	return &listener{Listener: l, max: max, refused: refused, conns: make(map[*conn]struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		c := &conn{Conn: nc, of: l}
		if !l.add(c) {
			_ = nc.Close()
			l.refused()
			continue
		}
		_ = nc.SetDeadline(time.Now().Add(connectWithin))
		return c, nil
	}
}

func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= l.max {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

// hurry lets no write of any connection take longer than d from now.
func (l *listener) hurry(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(d))
	}
}

// Close closes the listener and its connections.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	l.closed = true
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close()
	}
	return err
}

// conn is one connection of a listener.
type conn struct {
	net.Conn
	of       *listener
	deadline time.Time
}

// SetDeadline is called by the MQTT server before each packet, from one goroutine. It moves
// the real deadline once a second at most: the keep-alive is counted in seconds.
func (c *conn) SetDeadline(t time.Time) error {
	if d := t.Sub(c.deadline); d >= 0 && d < time.Second && !t.IsZero() {
		return nil
	}
	c.deadline = t
	return c.Conn.SetDeadline(t)
}

func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
