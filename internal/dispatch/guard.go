package dispatch

import (
	"net/netip"
	"syscall"

	"gridgate/internal/grid"
)

// guard keeps deliveries from reaching into our own network: a unit's URL is data, and
// data must not make us talk to a router, a neighbour's database or a cloud's metadata
// service. It looks at the address that is really dialled, after the name has been
// resolved, so that a name which answers differently the second time gains nothing.
type guard struct {
	allow []netip.Prefix // named by the configuration; go before the rest
}

// notPublic lists what netip.Addr's own questions leave out (IANA special-purpose registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier NAT; a cloud's metadata service lives in it
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("fec0::/10"),       // site-local, deprecated
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // IPv4 in the last four bytes
	sixTo4 = netip.MustParsePrefix("2002::/16")    // IPv4 in bytes 2 to 5
)

// control is a net.Dialer.Control: it refuses a connection before it is made.
func (g guard) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return grid.Errorf(grid.Forbidden, "network is %s: want tcp", network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return grid.Errorf(grid.Forbidden, "address %s cannot be judged: %w", address, err)
	}
	if !g.allows(ap.Addr()) {
		return grid.Errorf(grid.Forbidden, "address %s is not public: want a public one, or its network in the allowed list", ap.Addr())
	}
	return nil
}

func (g guard) allows(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(a) {
			return true
		}
	}
	if v4, ok := embedded(a); ok {
		return g.allows(v4)
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() { // global unicast excludes loopback, multicast, link-local, unspecified
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// embedded finds the IPv4 address that a translating IPv6 address leads to.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixTo4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
