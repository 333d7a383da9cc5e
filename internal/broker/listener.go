package broker

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

const (
	connectWithin = 10 * time.Second // a new connection must say CONNECT
	writeWithin   = 5 * time.Second  // a client must take what we write
)

// listener keeps what the MQTT server's own forget: it caps connections, also those that
// have not said who they are, and gives them a deadline for that; it survives a failed
// accept (too many open files); and it closes all its connections. The server's way to
// close them takes a read lock twice, and hangs when a client leaves in between.
type listener struct {
	id      string
	net     net.Listener
	max     int
	refused func()
	serving sync.WaitGroup // connections

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

func newListener(id string, l net.Listener, max int, refused func()) *listener {
	return &listener{id: id, net: l, max: max, refused: refused, conns: make(map[*conn]struct{})}
}

// The MQTT server asks these of a listener.
func (l *listener) ID() string              { return l.id }
func (l *listener) Address() string         { return l.net.Addr().String() }
func (l *listener) Protocol() string        { return "tcp" }
func (l *listener) Init(*slog.Logger) error { return nil }

// Serve accepts connections until the listener is closed.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for {
		nc, err := l.net.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
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
		go func() {
			defer l.serving.Done()
			_ = establish(l.ID(), c)
			_ = c.Close()
		}()
	}
}

func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= l.max {
		return false
	}
	l.conns[c] = struct{}{}
	l.serving.Add(1)
	return true
}

// Close closes the listener and its connections, and waits for those who serve them.
func (l *listener) Close(listeners.CloseFn) {
	_ = l.net.Close()
	l.mu.Lock()
	l.closed = true
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close()
	}
	l.serving.Wait()
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

// Write breaks the connection of a client that does not take what it is sent. The server
// holds the client's lock while it writes, and whoever publishes to that client waits for it.
func (c *conn) Write(p []byte) (int, error) {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(writeWithin))
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
