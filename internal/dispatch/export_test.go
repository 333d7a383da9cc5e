package dispatch

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"gridgate/internal/gb26875"
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

// ReadAnswer reads an answer in every way that a connector does.
func ReadAnswer(kind string, body []byte, paths ...string) {
	r := reply{status: 200, text: "200 OK", header: http.Header{"Content-Type": {kind}}, body: body}
	_, _ = r.requests()
	_ = r.why()
	v := r.fields()
	for _, p := range paths {
		_, _ = textAt(v, p)
		_ = fill("x{"+p+"}", v)
	}
	_ = r.receipt()
}

func frameOf(id string) gb26875.Frame {
	return gb26875.Frame{Serial: SerialOf(id), Version: 1, Source: 1, Destination: 2, Command: gb26875.Send}
}

// ConfirmationOf is the centre's answer to the frame of a delivery.
func ConfirmationOf(id string) []byte {
	f := frameOf(id)
	return gb26875.Append(nil, f.Answer(gb26875.Confirm, time.Unix(1772325000, 0), gb26875.Encoding{}))
}

// Confirmed reports whether what a centre said confirms a delivery.
func Confirmed(id string, said []byte) bool {
	f := frameOf(id)
	here, there := net.Pipe()
	defer here.Close()
	done := make(chan struct{})
	go func() { _, _ = there.Write(said); there.Close(); close(done) }()
	got, err := (&frameReader{conn: here}).answer(&f)
	here.Close()
	<-done
	return err == nil && got.Command == gb26875.Confirm
}
