package serial

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// listen serves the devices that come to us, until the listener fails or ctx is done.
func (t *Transport) listen(ctx context.Context, in grid.Ingester) error {
	network, host, err := address(t.cfg.Listen)
	if err != nil {
		return err
	}
	if network == "udp" {
		pc, err := new(net.ListenConfig).ListenPacket(ctx, "udp", host)
		if err != nil {
			return err
		}
		return t.datagrams(ctx, pc)
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	ln, err := lc.Listen(ctx, "tcp", host)
	if err != nil {
		return err
	}
	return t.accept(ctx, in, ln)
}

// accept serves connections, each on its own, so that none waits for another.
func (t *Transport) accept(ctx context.Context, in grid.Ingester, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	defer ln.Close()
	t.up(ln.Addr().String())
	var conns sync.WaitGroup
	defer conns.Wait()
	guests := guests{t: t, by: map[string]int{}}
	for {
		c, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if c != nil {
				_ = c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // too many open files, perhaps: those that are there go on
			t.tally.Fault("connections cannot be accepted", grid.Errorf(grid.Unavailable, "serial %s: %w", t.cfg.Name, err))
			t.pause(ctx, 0)
			continue
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		if !guests.enter(host) {
			_ = c.Close()
			continue
		}
		conns.Go(func() {
			defer guests.leave(host)
			t.connection(ctx, in, c, host)
		})
	}
}

// guests counts connections, in all and by address.
type guests struct {
	t  *Transport
	mu sync.Mutex
	by map[string]int
	n  int
}

func (g *guests) enter(host string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	most := g.t.cfg.MaxPeers
	if g.n >= most || g.by[host] >= max(1, most/4) {
		g.t.tally.Fault("connection refused", grid.Errorf(grid.Unavailable, "serial %s: a connection was refused, for %d may be open, %d of one address: want max_peers higher, or fewer", g.t.cfg.Name, most, max(1, most/4)))
		return false
	}
	g.n++
	g.by[host]++
	g.count()
	return true
}

func (g *guests) leave(host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.by[host]--; g.by[host] == 0 {
		delete(g.by, host)
	}
	g.count()
}

func (g *guests) count() {
	g.t.mu.Lock()
	g.t.status.Peers = g.n
	g.t.mu.Unlock()
}

// connection serves one device. Its frames wait in a queue of its own: when they cannot be
// stored in time the connection is closed, and the device comes again with them.
func (t *Transport) connection(ctx context.Context, in grid.Ingester, c net.Conn, host string) {
	if t.buses != nil {
		t.serialServer(ctx, c, host)
		return
	}
	l := newLine(tcpPort{c})
	p := &peer{t: t, remote: host, waits: true, reply: t.replier(l), name: c.RemoteAddr().String(), since: t.cfg.Now().UTC()}
	t.enters(p)
	defer t.leaves(p)
	var store sync.WaitGroup
	if t.centre != nil {
		p.queue = intake.NewQueue(intake.Limits{Frames: 256, Bytes: 256 << 10, GiveUp: t.cfg.GiveUp}, &t.tally, t.stored, func(err error) {
			l.fail(grid.Errorf(grid.Unavailable, "connection closed: its frames cannot be stored: %w", err))
		})
		store.Go(func() { p.queue.Run(ctx, in) })
	}
	err := t.talk(ctx, l, p, t.cfg.Idle)
	if p.queue != nil {
		p.queue.Close() // what the device sent before it went is stored all the same
	}
	store.Wait()
	if t.centre != nil {
		t.centre.gone(p)
	}
	t.ways.gone(p)
	l.close()
	if err != nil {
		t.log.Debug("connection ended", "in", host, "err", err)
	}
}

// datagrams serves devices over UDP. A datagram holds whole frames.
func (t *Transport) datagrams(ctx context.Context, pc net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { _ = pc.Close() })
	defer stop()
	defer pc.Close()
	t.up(pc.LocalAddr().String())
	buf := make([]byte, 64<<10)
	for {
		n, from, err := pc.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // an answer that could not be delivered is reported here
			t.tally.Fault("datagram cannot be read", grid.Errorf(grid.Unavailable, "serial %s: %w", t.cfg.Name, err))
			time.Sleep(time.Millisecond)
			continue
		}
		t.bytesIn.Add(uint64(n))
		c, err := t.cfg.cutter()
		if err != nil {
			return err
		}
		host, _, _ := net.SplitHostPort(from.String())
		p := &peer{t: t, remote: host, queue: t.acked, reply: func(b []byte) error {
			_, err := pc.WriteTo(b, from)
			if err == nil {
				t.bytesOut.Add(uint64(len(b)))
			}
			return err
		}}
		s := stream{cutter: c}
		s.feed(buf[:n], true, p.take)
	}
}
