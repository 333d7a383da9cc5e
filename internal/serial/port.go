package serial

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Port is an open wire of bytes.
type Port interface {
	// Read waits a little for bytes; no bytes and no error says that none came. After an
	// error the port is gone.
	Read(b []byte) (int, error)
	// Write writes all of b, or fails within seconds.
	Write(b []byte) (int, error)
	// Close is called once; it ends a Read within readTimeout.
	Close() error
}

const (
	// readTimeout bounds a Read of a serial port, and so how long closing takes.
	readTimeout  = 300 * time.Millisecond
	writeTimeout = 2 * time.Second
	dialTimeout  = 5 * time.Second
)

var errHungUp = errors.New("the port has hung up")

// patientReader tells a time-out from a hang-up: a serial port reports both as nothing
// read, but a hang-up at once, and again and again.
type patientReader struct {
	read func([]byte) (int, error)
	soon int // reads in a row that brought nothing, and brought it at once
}

func (r *patientReader) Read(b []byte) (int, error) {
	began := time.Now()
	n, err := r.read(b)
	switch {
	case n > 0:
		r.soon = 0
		return n, nil
	case err != nil && !errors.Is(err, io.EOF): // EIO, ENODEV and the like
		return 0, err
	case time.Since(began) >= readTimeout/2:
		r.soon = 0
		return 0, nil
	}
	if r.soon++; r.soon > 1 {
		return 0, errHungUp
	}
	return 0, nil
}

// tcpPort is a connection as a port.
type tcpPort struct{ net.Conn }

func (p tcpPort) Write(b []byte) (int, error) {
	_ = p.SetWriteDeadline(time.Now().Add(writeTimeout))
	return p.Conn.Write(b)
}

func dial(ctx context.Context, addr string) (Port, error) {
	// A serial server that lost its power says nothing: it must be missed within seconds.
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return tcpPort{c}, nil
}

// open opens what the configuration names. note says what the port really is.
func (c *Config) open(ctx context.Context) (p Port, note string, err error) {
	if c.Connect != "" {
		_, host, err := address(c.Connect)
		if err != nil {
			return nil, "", err
		}
		p, err := dial(ctx, host)
		return p, host, err
	}
	return openDevice(c)
}

// line is an open port whose bytes are read as they come.
type line struct {
	port Port
	in   chan []byte // closed when the port is gone
	done chan struct{}
	read sync.WaitGroup

	writing sync.Mutex // one frame after the other

	mu     sync.Mutex
	err    error // why it ended
	closed bool
}

func newLine(p Port) *line {
	l := &line{port: p, in: make(chan []byte, 16), done: make(chan struct{})}
	l.read.Go(l.reads)
	return l
}

func (l *line) reads() {
	defer close(l.in)
	buf := make([]byte, 2048)
	for {
		n, err := l.port.Read(buf)
		if n > 0 {
			select {
			case l.in <- append([]byte(nil), buf[:n]...):
			case <-l.done:
				return
			}
		}
		if err != nil {
			l.fail(err)
			return
		}
		select {
		case <-l.done:
			return
		default:
		}
	}
}

// fail ends the line; the first reason counts.
func (l *line) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	if !l.closed {
		l.closed = true
		close(l.done)
		_ = l.port.Close()
	}
}

// why is the reason for the end.
func (l *line) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// close returns when nothing reads the port any more: only then may it be opened again.
func (l *line) close() {
	l.fail(net.ErrClosed)
	l.read.Wait()
}

// write writes one frame. A port that cannot be written to is gone.
func (l *line) write(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, err := l.port.Write(b); err != nil {
		if !errors.Is(err, errBusyLine) {
			l.fail(err)
		}
		return err
	}
	return nil
}

// errBusyLine says that the port takes no bytes at present.
var errBusyLine = errors.New("the port takes no bytes")

// explain says what to do about an error of opening a port.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return grid.Errorf(grid.Forbidden, "port %s may not be opened: add the user to group dialout: %w", path, err)
	case errors.Is(err, os.ErrNotExist):
		return grid.Errorf(grid.Unavailable, "port %s is not there: %w", path, err)
	}
	return grid.Errorf(grid.Unavailable, "port %s: %w", path, err)
}
