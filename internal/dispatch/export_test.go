package dispatch

import (
	"net/http"
	"net/netip"
)

// GuardControl is the dialer's control function, for tests that must not dial.
func GuardControl(allow []netip.Prefix, network, address string) error {
	return guard{allow}.control(network, address, nil)
}

// SetTransport replaces the network, for tests on a clock of their own.
func (t *Template) SetTransport(rt http.RoundTripper) { t.client = &http.Client{Transport: rt} }
