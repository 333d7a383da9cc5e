package coap

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
	"weak"

	"github.com/plgd-dev/go-coap/v3/message/pool"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/tcp"
	tcpclient "github.com/plgd-dev/go-coap/v3/tcp/client"
	"github.com/plgd-dev/go-coap/v3/udp"
	udpclient "github.com/plgd-dev/go-coap/v3/udp/client"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

const (
	upkeepEvery   = 4 * time.Second // go-coap's own
	openAgain     = time.Second     // pause after a listener failed
	receiveBuffer = 4 << 20         // of a UDP socket: thousands of devices report at the full hour
	queueOfPeer   = 4               // messages of a peer that go-coap itself handles; requests are not among them
)

// server is an open listener of one kind.
type server interface {
	addr() net.Addr
	serve() error // until stop
	stop()
}

// listener keeps one address open, and knows its peers.
type listener struct {
	t    *Transport
	kind string
	addr string
	open func(string) (server, error)
	idle time.Duration

	server server // the open one; run's alone

	mu    sync.Mutex
	up    bool
	since time.Time
	bound string
	peers list.List // of *peer, heard last first

	// For the health view.
	traffic intake.Traffic
	fault   string
	faultAt time.Time
}

func newListener(t *Transport, kind, addr string, open func(string) (server, error)) *listener {
	l := &listener{t: t, kind: kind, addr: addr, open: open, idle: t.cfg.Idle, since: t.cfg.City().UTC()}
	if kind == "dtls" {
		l.idle = t.cfg.DTLS.Idle
	}
	return l
}

func (l *listener) openNow() error {
	s, err := l.open(l.addr)
	if err != nil {
		return err
	}
	l.server = s
	l.mu.Lock()
	l.up, l.since, l.bound = true, l.t.cfg.City().UTC(), s.addr().String()
	l.mu.Unlock()
	l.t.log.Info("coap listens", "in", l.kind+" "+s.addr().String())
	return nil
}

// run serves until ctx is done, and opens again what fails.
func (l *listener) run(ctx context.Context) {
	for ctx.Err() == nil {
		if l.server == nil {
			if err := l.openNow(); err != nil {
				err = grid.Errorf(grid.Unavailable, "coap %s: %s: listen on %s: %w", l.t.cfg.Name, l.kind, l.addr, err)
				l.faulted(err)
				l.t.tally.Fault("coap cannot listen", err)
				select {
				case <-time.After(openAgain):
				case <-ctx.Done():
				}
				continue
			}
		}
		unhook := context.AfterFunc(ctx, l.server.stop)
		err := l.server.serve()
		if unhook() {
			l.server.stop()
		}
		l.server = nil
		l.down(ctx, err)
	}
}

func (l *listener) down(ctx context.Context, err error) {
	l.mu.Lock()
	l.up, l.since = false, l.t.cfg.City().UTC()
	for l.peers.Len() > 0 {
		l.remove(l.peers.Front().Value.(*peer))
	}
	l.mu.Unlock()
	if ctx.Err() == nil {
		err = grid.Errorf(grid.Unavailable, "coap %s: %s on %s: %w", l.t.cfg.Name, l.kind, l.addr, err)
		l.faulted(err)
		l.t.tally.Fault("coap listener failed", err)
	}
}

func (l *listener) status() ListenerStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ListenerStatus{Listener: l.kind, Address: l.bound, Up: l.up, Since: l.since, Peers: l.peers.Len()}
}

// join lets a peer in; when there are too many the one longest idle goes.
func (l *listener) join(p *peer) {
	now := l.t.cfg.Now()
	p.t, p.on, p.since, p.heard, p.self = l.t, l, l.t.cfg.City().UTC(), now, weak.Make(p)
	var goes *peer
	l.mu.Lock()
	p.place = l.peers.PushFront(p)
	if l.peers.Len() > l.t.cfg.MaxPeers {
		goes = l.peers.Back().Value.(*peer)
		l.remove(goes)
	}
	l.mu.Unlock()
	if goes != nil {
		l.t.evicted.Add(1)
		l.forget(goes)
	}
}

// leave is called when go-coap has let go of a peer.
func (l *listener) leave(p *peer) {
	l.mu.Lock()
	l.remove(p)
	l.mu.Unlock()
	l.dropUploads(p)
	if p.stream {
		l.t.lwm2m.left(p)
	}
}

// remove wants l.mu.
func (l *listener) remove(p *peer) {
	if p.place != nil {
		l.peers.Remove(p.place)
		p.place = nil
	}
}

func (l *listener) forget(p *peer) {
	p.wire.close()
	l.dropUploads(p)
}

func (l *listener) dropUploads(p *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.uploads {
		l.t.dropUpload(p, key)
	}
}

func (l *listener) heard(p *peer, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.heard = now
	if p.place != nil {
		l.peers.MoveToFront(p.place)
	}
}

// keepLatest forgets what goes beyond most peers with the key or certificate of p.
func (l *listener) keepLatest(p *peer, most int) {
	var rest []*peer
	l.mu.Lock()
	for e := l.peers.Front(); e != nil; e = e.Next() {
		if o := e.Value.(*peer); o.who.same(p.who) {
			if most--; most < 0 {
				rest = append(rest, o)
			}
		}
	}
	for _, o := range rest {
		l.remove(o)
	}
	l.mu.Unlock()
	for _, o := range rest {
		l.forget(o)
	}
}

// sweep forgets idle peers, and unfinished uploads of the others.
func (l *listener) sweep(now time.Time) {
	var idle, rest []*peer
	l.mu.Lock()
	for e := l.peers.Back(); e != nil; e = e.Prev() {
		p := e.Value.(*peer)
		if now.Sub(p.heard) > l.idle {
			idle = append(idle, p)
		} else if now.Sub(p.heard) < 2*l.t.cfg.BlockTimeout+2*sweepEvery { // older ones had theirs dropped
			rest = append(rest, p)
		}
	}
	for _, p := range idle {
		l.remove(p)
	}
	l.mu.Unlock()
	for _, p := range idle {
		l.forget(p)
	}
	for _, p := range rest {
		p.mu.Lock()
		l.t.expireUploads(p, now)
		p.mu.Unlock()
	}
}

// latest returns up to most peers, heard last first.
func (l *listener) latest(most int) []*peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*peer
	for e := l.peers.Front(); e != nil && len(out) < most; e = e.Next() {
		out = append(out, e.Value.(*peer))
	}
	return out
}

// upkeep runs what go-coap wants run, as one of our workers: go-coap's own way leaves a
// goroutine behind.
func (t *Transport) upkeep(do func(time.Time) bool) {
	t.workers.Go(func() {
		tick := time.NewTicker(upkeepEvery)
		defer tick.Stop()
		for {
			select {
			case <-t.ctx.Done():
				return
			case now := <-tick.C:
				if !do(now) {
					return
				}
			}
		}
	})
}

// junk counts what is no CoAP. It is not logged: anyone can send it.
func (t *Transport) junk(error) { t.unreadable.Add(1) }

// on finds the listener of a kind.
func (t *Transport) on(kind string) *listener {
	for _, l := range t.listeners {
		if l.kind == kind {
			return l
		}
	}
	return nil
}

// connections is the peers by go-coap's connection.
type connections struct{ byConn sync.Map }

func (c *connections) take(t *Transport, conn any, m *pool.Message) (bool, error) {
	p, ok := c.byConn.Load(conn)
	if !ok {
		return true, nil // it has just been forgotten
	}
	// Over UDP and DTLS go-coap does not count what we take as activity, and would close a
	// session in the midst of its reports.
	if active, ok := conn.(*udpclient.Conn); ok {
		active.InactivityMonitor().Notify()
	}
	return t.take(p.(*peer), m), nil
}

// enter makes a peer of a connection.
func (c *connections) enter(l *listener, conn any, p *peer, onClose func(func())) {
	c.byConn.Store(conn, p)
	onClose(func() {
		c.byConn.Delete(conn)
		l.leave(p)
	})
	l.join(p)
}

// udpServer is plain CoAP.
type udpServer struct {
	conn *coapnet.UDPConn
	run  func(*coapnet.UDPConn) error
	end  func()
}

func (s *udpServer) addr() net.Addr { return s.conn.LocalAddr() }
func (s *udpServer) serve() error   { return s.run(s.conn) }
func (s *udpServer) stop()          { s.end(); _ = s.conn.Close() }

func (t *Transport) openUDP(addr string) (server, error) {
	conn, err := coapnet.NewListenUDP("udp", addr)
	if err != nil {
		return nil, err
	}
	if c, ok := conn.NetConn().(*net.UDPConn); ok {
		_ = c.SetReadBuffer(receiveBuffer) // as much as the system grants
	}
	l, conns := t.on("udp"), &connections{}
	s := udp.NewServer(
		options.WithContext(t.ctx),
		options.WithErrors(t.junk),
		options.WithPeriodicRunner(t.upkeep),
		options.WithReceivedMessageQueueSize(queueOfPeer),
		options.WithBlockwise(true, blockwise.SZX1024, t.cfg.BlockTimeout),
		options.WithInactivityMonitor(t.cfg.Idle+upkeepEvery, func(c *udpclient.Conn) { _ = c.Close() }),
		options.WithOnNewConn(func(c *udpclient.Conn) {
			conns.enter(l, c, &peer{wire: datagrams{c}, addr: addrPort(c.RemoteAddr())}, c.AddOnClose)
		}),
		options.WithRequestMonitor(func(c *udpclient.Conn, m *pool.Message) (bool, error) { return conns.take(t, c, m) }),
	)
	return &udpServer{conn, s.Serve, s.Stop}, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		ap := u.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// tcpServer is CoAP over TCP (RFC 8323).
type tcpServer struct {
	l   *coapnet.TCPListener
	run func(*coapnet.TCPListener) error
	end func()
}

func (s *tcpServer) addr() net.Addr { return s.l.Addr() }
func (s *tcpServer) serve() error   { return s.run(s.l) }
func (s *tcpServer) stop()          { s.end(); _ = s.l.Close() }

func (t *Transport) openTCP(addr string) (server, error) {
	tl, err := coapnet.NewTCPListener("tcp", addr)
	if err != nil {
		return nil, err
	}
	l, conns := t.on("tcp"), &connections{}
	s := tcp.NewServer(
		options.WithContext(t.ctx),
		options.WithErrors(t.junk),
		options.WithPeriodicRunner(t.upkeep),
		options.WithReceivedMessageQueueSize(queueOfPeer),
		options.WithMaxMessageSize(uint32(t.cfg.MaxPayload+64<<10)),
		options.WithBlockwise(true, blockwise.SZX1024, t.cfg.BlockTimeout),
		options.WithInactivityMonitor(t.cfg.Idle+upkeepEvery, func(c *tcpclient.Conn) { _ = c.Close() }),
		options.WithOnNewConn(func(c *tcpclient.Conn) {
			conns.enter(l, c, &peer{wire: stream{c}, session: t.sessions.Add(1), stream: true}, c.AddOnClose)
		}),
		options.WithRequestMonitor(func(c *tcpclient.Conn, m *pool.Message) (bool, error) { return conns.take(t, c, m) }),
	)
	return &tcpServer{tl, func(tl *coapnet.TCPListener) error { return s.Serve(tl) }, s.Stop}, nil
}
