package dispatch

import (
	"net/http"
	"net/netip"
	"time"
)

// GuardControl is the dialer's control function, for tests that must not dial.
func GuardControl(allow []netip.Prefix, network, address string) error {
	return guard{allow}.control(network, address, nil)
}

// SetTransport replaces the network, for tests on a clock of their own.
func (t *Template) SetTransport(rt http.RoundTripper) { t.client = &http.Client{Transport: rt} }

// NewGBT26875Pause is NewGBT26875 with less patience.
func NewGBT26875Pause(r Reach, pause time.Duration) *GBT26875 { return &GBT26875{r, pause} }

// SerialOf is the serial of a delivery's frame.
func SerialOf(id string) uint16 { return uint16(hashed(id)) }
