package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// From is the address that a request came from: that of its connection, or, where that is one
// of our own proxies, the newest address in X-Forwarded-For that is not.
func From(r *http.Request, proxies []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ours := func(text string) (netip.Addr, bool) {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return a, false
		}
		a = a.Unmap()
		for _, p := range proxies {
			if p.Contains(a) {
				return a, true
			}
		}
		return a, false
	}
	from, proxied := ours(host)
	if !from.IsValid() {
		return host
	}
	said := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(said) - 1; proxied && i >= 0; i-- {
		var next netip.Addr
		if next, proxied = ours(said[i]); !next.IsValid() {
			break // what is no address was not written by a proxy of ours
		}
		from = next
	}
	return from.String()
}
