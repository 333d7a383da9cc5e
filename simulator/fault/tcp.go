package fault

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	segment    = 1400                   // bytes that are read at once: what Loss and Corrupt are a share of
	inPipe     = 64                     // segments on the way in one direction; the sender waits for more
	sentAgain  = 200 * time.Millisecond // after which TCP sends a lost segment again; doubled each time
	mostConns  = 4096
	dialWithin = 10 * time.Second
)

// TCP is a link of connections.
type TCP struct {
	*weather
	to     string
	seed   uint64
	near   net.Listener
	counts Counts
	ctx    context.Context
	end    context.CancelFunc
	work   sync.WaitGroup

	conns map[*pair]bool // under weather.mu
	born  uint64
}

// pair is one connection through the link.
type pair struct {
	near, far *net.TCPConn
	left      atomic.Int64 // bytes until it is reset
	limited   bool
	once      sync.Once
	gone      chan struct{}
}

// OpenTCP makes a link on a free port of loopback towards an address.
func OpenTCP(to string, seed uint64) (*TCP, error) {
	near, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &TCP{weather: newWeather(), to: to, seed: seed, near: near, conns: map[*pair]bool{}}
	t.ctx, t.end = context.WithCancel(context.Background())
	t.work.Go(t.accept)
	return t, nil
}

// Addr is where it listens.
func (t *TCP) Addr() string { return t.near.Addr().String() }

// Counts of what it did.
func (t *TCP) Counts() *Counts { return &t.counts }

// Rebind does nothing: a connection has one port.
func (t *TCP) Rebind() {}

// Change changes its conditions, for what is connected as well.
func (t *TCP) Change(f func(*Conditions)) {
	if c := t.change(f); c.Cut {
		t.Reset()
	}
}

// Reset cuts what is connected, with RST.
func (t *TCP) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.conns {
		p.reset()
		t.counts.Reset.Add(1)
	}
}

// Close ends it.
func (t *TCP) Close() {
	t.end()
	t.near.Close()
	t.Reset()
	t.work.Wait()
}

// reset ends both sides without a farewell, and what is on its way is lost.
func (p *pair) reset() { p.end(true) }

func (p *pair) end(abruptly bool) {
	p.once.Do(func() {
		close(p.gone)
		for _, c := range []*net.TCPConn{p.near, p.far} {
			if c == nil {
				continue
			}
			if abruptly {
				c.SetLinger(0)
			}
			c.Close()
		}
	})
}

func (t *TCP) accept() {
	for {
		conn, err := t.near.Accept()
		if err != nil {
			if t.ctx.Err() != nil {
				return
			}
			continue // it went again before it was taken
		}
		near := conn.(*net.TCPConn) // a TCP listener's
		t.mu.Lock()
		if t.now.Cut || t.ctx.Err() != nil || len(t.conns) >= mostConns {
			t.counts.Reset.Add(1)
			near.SetLinger(0)
			near.Close()
			t.mu.Unlock()
			continue
		}
		p := &pair{near: near, gone: make(chan struct{}), limited: t.now.After > 0}
		p.left.Store(t.now.After)
		t.conns[p] = true
		n := t.born
		t.born++
		t.mu.Unlock()
		t.work.Go(func() { t.carry(p, n) })
	}
}

// carry connects and passes bytes both ways until both sides are done.
func (t *TCP) carry(p *pair, n uint64) {
	defer func() {
		p.end(p.far == nil) // nobody listens there: reset
		t.mu.Lock()
		delete(t.conns, p)
		t.mu.Unlock()
	}()
	if !t.passable(p) { // a black hole: nobody answers there
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, dialWithin)
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.to)
	cancel()
	if err != nil {
		return
	}
	far := conn.(*net.TCPConn) // "tcp"
	t.mu.Lock()
	select {
	case <-p.gone:
		far.Close()
		t.mu.Unlock()
		return
	default:
		p.far = far
	}
	t.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { t.pump(p, p.near, p.far, dice(t.seed, n, 0)) })
	ways.Go(func() { t.pump(p, p.far, p.near, dice(t.seed, n, 1)) })
	ways.Wait()
}

// passable waits while the link is a black hole; false: the connection is gone.
func (t *TCP) passable(p *pair) bool {
	for {
		c, changed := t.read()
		if !c.BlackHole {
			return t.ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-p.gone:
			return false
		case <-t.ctx.Done():
			return false
		}
	}
}

// parcel is a segment on its way.
type parcel struct {
	b   []byte
	due time.Time
}

// pump carries one way: what is read comes out when its time has come, in order.
func (t *TCP) pump(p *pair, from, to *net.TCPConn, d *rand.Rand) {
	way := make(chan parcel, inPipe)
	var writer sync.WaitGroup
	writer.Go(func() { t.write(p, to, way) })
	defer writer.Wait()
	defer close(way)
	due := time.Time{}
	for {
		buf := make([]byte, segment)
		n, err := from.Read(buf)
		if n > 0 {
			b, wait := t.fate(buf[:n], d)
			if at := time.Now().Add(wait); at.After(due) {
				due = at
			}
			if c, _ := t.read(); c.Bandwidth > 0 {
				due = due.Add(time.Duration(n) * time.Second / time.Duration(c.Bandwidth))
			}
			select {
			case way <- parcel{b, due}:
			case <-p.gone:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.reset()
			}
			return
		}
	}
}

// fate says what becomes of a segment, and how long it takes.
func (t *TCP) fate(b []byte, d *rand.Rand) ([]byte, time.Duration) {
	c, _ := t.read()
	wait := c.later(d)
	if c.Loss > 0 {
		for again := sentAgain; d.Float64() < c.Loss && again <= 16*sentAgain; again *= 2 {
			t.counts.Lost.Add(1)
			wait += again
		}
	}
	if c.Corrupt > 0 && d.Float64() < c.Corrupt {
		t.counts.Corrupted.Add(1)
		b = turnBit(b, d)
	}
	if wait > 0 {
		t.counts.Delayed.Add(1)
	}
	return b, wait
}

func (t *TCP) write(p *pair, to *net.TCPConn, way <-chan parcel) {
	for x := range way {
		timer := time.NewTimer(time.Until(x.due))
		select {
		case <-timer.C:
		case <-p.gone:
			timer.Stop()
			continue // the reader ends too
		}
		if !t.passable(p) {
			p.reset()
			continue
		}
		b := x.b
		last := false
		if p.limited {
			left := p.left.Add(-int64(len(b)))
			if left <= 0 {
				b, last = b[:max(0, int64(len(b))+left)], true
			}
		}
		to.SetWriteDeadline(time.Now().Add(writeBy))
		if _, err := to.Write(b); err != nil {
			p.reset()
			continue
		}
		t.counts.Carried.Add(1)
		if last {
			t.counts.Reset.Add(1)
			p.reset()
		}
	}
	if t.passable(p) { // nor does a farewell pass a black hole
		to.CloseWrite() // whoever is gone has no use for it
	}
}
