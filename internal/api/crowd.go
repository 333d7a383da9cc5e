package api

import (
	"net"
	"net/netip"
	"sync"
)

// How many connections HTTP holds: of all, and of one address that is no proxy of ours and not
// this machine. They take files, and the wires of devices need files too.
const (
	maxConnections = 4096
	maxOfOne       = 512 // a desk of thirty seats behind one address has 180
)

// crowd is a listener that closes what is too much at once: who opens connections by the thousand
// and says nothing on them leaves room for others.
type crowd struct {
	net.Listener
	proxies     []netip.Prefix
	most, ofOne int

	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

// Crowd bounds how many connections a listener of HTTP holds. It stands below TLS.
func Crowd(ln net.Listener, proxies []netip.Prefix) net.Listener { return newCrowd(ln, proxies) }

func newCrowd(ln net.Listener, proxies []netip.Prefix) *crowd {
	return &crowd{Listener: ln, proxies: proxies, most: maxConnections, ofOne: maxOfOne, from: map[netip.Addr]int{}}
}

func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from := addrOf(conn); c.enter(from) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { c.leave(from) })}, nil
		}
		_ = conn.Close() // it is refused
	}
}

func (c *crowd) enter(from netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most || c.from[from] >= c.ofOne && !c.trusted(from) {
		return false
	}
	c.all++
	c.from[from]++
	return true
}

func (c *crowd) leave(from netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.from[from]--; c.from[from] == 0 {
		delete(c.from, from)
	}
}

func (c *crowd) trusted(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, p := range c.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// addrOf is whose connection it is; one IPv6 subscriber has a whole /64.
func addrOf(conn net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// counted tells when it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
