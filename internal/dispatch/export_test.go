package dispatch

import "net/netip"

// GuardControl is the dialer's control function, for tests that must not dial.
func GuardControl(allow []netip.Prefix, network, address string) error {
	return guard{allow}.control(network, address, nil)
}
