package api

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

// arrivals is a listener to which connections come from given addresses.
type arrivals struct {
	net.Listener
	next []net.Conn
}

func (a *arrivals) Accept() (net.Conn, error) {
	if len(a.next) == 0 {
		return nil, net.ErrClosed
	}
	c := a.next[0]
	a.next = a.next[1:]
	return c, nil
}

type arrival struct {
	net.Conn
	from   string
	closed bool
}

func (c *arrival) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}
func (c *arrival) Close() error { c.closed = true; return nil }

func TestWhoOpensConnectionsByTheThousandLeavesRoomForOthers(t *testing.T) {
	came := &arrivals{}
	c := newCrowd(came, []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")})
	c.most, c.ofOne = 100, 10
	let := func(from string, n int) (in []net.Conn) {
		for range n {
			came.next = append(came.next, &arrival{from: from})
		}
		for {
			conn, err := c.Accept()
			if errors.Is(err, net.ErrClosed) {
				return in
			}
			in = append(in, conn)
		}
	}
	attack := let("203.0.113.5:1000", 1000)
	if len(attack) != 10 {
		t.Fatalf("%d of one address are let in, want 10", len(attack))
	}
	for from, want := range map[string]int{"203.0.113.6:1": 2, "10.9.0.1:1": 20, "127.0.0.1:1": 20} {
		if got := let(from, want); len(got) != want {
			t.Errorf("%s: %d of %d are let in beside a crowd", from, len(got), want)
		}
	}
	if got := len(let("[2001:db8::1]:1", 9)) + len(let("[2001:db8::ffff]:1", 9)); got != 10 {
		t.Errorf("%d of one IPv6 network are let in, want 10", got)
	}
	for _, conn := range attack {
		_, _ = conn.Close(), conn.Close() // closed twice it counts once
	}
	if got := let("203.0.113.5:2000", 11); len(got) != 10 {
		t.Errorf("%d are let in after the others have gone, want 10", len(got))
	}
	let("127.0.0.1:1", 200)
	if c.all != 100 {
		t.Errorf("%d connections in all, want at most 100", c.all)
	}
}
