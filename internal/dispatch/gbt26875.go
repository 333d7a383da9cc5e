package dispatch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// GBT26875 reports fires and faults to a higher monitoring centre by GB/T 26875.3-2011 over
// TCP, as a transmission device does: one component state a message, sent up to three
// times until the centre confirms it. The same delivery is the same frame.
//
// A unit's url is tcp://host:port or, where the centre speaks it, tls://host:port. Its
// settings: source (our address there) and destination, decimal numbers of 48 bits; time
// bcd where the centre wants two decimal digits a byte.
type GBT26875 struct {
	reach Reach
	pause time.Duration // before a frame is sent again
}

// NewGBT26875 makes the connector.
func NewGBT26875(r Reach) *GBT26875 { return &GBT26875{r, 4 * time.Second} }

// Bits of a component's state: GB/T 26875.3-2011, 8.2.1.2.
const (
	stateNormal = 1 << 0 // in normal operation; 0 is a test
	stateFire   = 1 << 1
	stateFault  = 1 << 2
)

const (
	fireAlarmSystem = 1  // system type
	smokeDetector   = 40 // component type
	sendTries       = 3
)

// ofFire are the events that a monitoring centre takes, with the bit that says them.
var ofFire = map[grid.EventType]uint16{
	grid.EventSmokeAlarm: stateFire, grid.EventSmokeConfirmed: stateFire, grid.EventSmokeLate: stateFire,
	grid.EventSmokeFault: stateFault, grid.EventSafetyUnreadable: stateFault,
}

// Check says what is wrong with a unit's entry in the registry.
func (g *GBT26875) Check(u grid.Unit) error {
	_, err := centre(u)
	errs := []error{err, onlySettings(u, "source", "destination", "time")}
	for _, n := range []string{"source", "destination"} {
		if _, err := address48(u, n); err != nil {
			errs = append(errs, err)
		}
	}
	if t := u.Settings["time"]; t != "" && t != "bcd" && t != "binary" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting time is %q: want binary or bcd", u.ID, t))
	}
	if u.Secret != "" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: secret is set: GB/T 26875.3 uses none", u.ID))
	}
	return errors.Join(errs...)
}

func centre(u grid.Unit) (*url.URL, error) {
	a, err := url.Parse(u.URL)
	if err != nil || a.Scheme != "tcp" && a.Scheme != "tls" || a.Hostname() == "" || a.Port() == "" || a.Path != "" {
		return nil, grid.Errorf(grid.Invalid, "unit %s: url is %q: want tcp://host:port or tls://host:port", u.ID, u.URL)
	}
	return a, nil
}

func address48(u grid.Unit, name string) (uint64, error) {
	n, err := strconv.ParseUint(u.Settings[name], 10, 48)
	if err != nil {
		return 0, grid.Errorf(grid.Invalid, "unit %s: setting %s is %q: want a number of 48 bits", u.ID, name, u.Settings[name])
	}
	return n, nil
}

// Deliver sends the frame of d and waits until the centre confirms it.
func (g *GBT26875) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	u, err := g.reach.addressee(ctx, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	if err := g.Check(u); err != nil {
		return grid.Receipt{}, fmt.Errorf("%w: %w", errOurs, err)
	}
	f, err := centreFrame(u, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	began := time.Now()
	conn, err := g.dial(ctx, u)
	if err != nil {
		return grid.Receipt{Took: time.Since(began)}, fmt.Errorf("unit %s: %w", u.ID, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	r, err := g.exchange(conn, f)
	r.Took = time.Since(began)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return r, fmt.Errorf("unit %s: %w", u.ID, err)
	}
	return r, nil
}

// Probe connects and says nothing: the standard has no message of a centre for a test.
func (g *GBT26875) Probe(ctx context.Context, u grid.Unit) error {
	if err := g.Check(u); err != nil {
		return err
	}
	conn, err := g.dial(ctx, u)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (g *GBT26875) dial(ctx context.Context, u grid.Unit) (net.Conn, error) {
	a, err := centre(u)
	if err != nil {
		return nil, err
	}
	c, err := g.reach.dialer().DialContext(ctx, "tcp", a.Host)
	if err != nil || a.Scheme == "tcp" {
		return c, err
	}
	config := g.reach.tlsConfig()
	config.ServerName = a.Hostname()
	t := tls.Client(c, config)
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

// centreFrame says a delivery as a frame. It is a pure function.
func centreFrame(u grid.Unit, d grid.Delivery) (gb26875.Frame, error) {
	b, err := read(d)
	if err != nil {
		return gb26875.Frame{}, err
	}
	state, known := ofFire[b.Event]
	if !known && b.Event != "" {
		return gb26875.Frame{}, fmt.Errorf("%w: GB/T 26875.3 has no form for %s", ErrWithheld, b.Event)
	}
	switch {
	case d.Type == "ticket.updated":
		return gb26875.Frame{}, fmt.Errorf("%w: GB/T 26875.3 has no form for %s", ErrWithheld, d.Type)
	case capOver(d.Type):
		state = 0
	}
	if d.Mode == grid.Live {
		state |= stateNormal
	}
	source, err := address48(u, "source")
	if err != nil {
		return gb26875.Frame{}, err
	}
	destination, err := address48(u, "destination")
	if err != nil {
		return gb26875.Frame{}, err
	}
	e := gb26875.Encoding{BCD: u.Settings["time"] == "bcd", Zone: gb26875.Beijing}
	at := e.Put(d.Created)
	unit := []byte{gb26875.ComponentState, 1, fireAlarmSystem, 1, smokeDetector}
	unit = binary.LittleEndian.AppendUint32(unit, hashed(b.Place.Point+b.Place.Words))
	unit = binary.LittleEndian.AppendUint16(unit, state)
	unit = append(unit, gb18030(b.Place.Words, 31)...)
	unit = append(unit, at[:]...)
	return gb26875.Frame{Serial: uint16(hashed(d.ID)), Version: 1, UserVersion: 1, Sent: at, Source: source, Destination: destination, Command: gb26875.Send, Unit: unit}, nil
}

// hashed makes a number of a name: a component's address, a frame's serial.
func hashed(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// gb18030 writes as many whole characters as fit into n bytes, and zeros behind them.
func gb18030(s string, n int) []byte {
	out := make([]byte, 0, n)
	for _, r := range s {
		c, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(string(r)))
		if err != nil || r < ' ' {
			continue
		}
		if len(out)+len(c) > n {
			break
		}
		out = append(out, c...)
	}
	return append(out, make([]byte, n-len(out))...)
}

// exchange sends the frame until its answer comes.
func (g *GBT26875) exchange(conn net.Conn, f gb26875.Frame) (grid.Receipt, error) {
	raw := gb26875.Append(nil, f)
	in := &frameReader{conn: conn}
	for range sendTries {
		until := time.Now().Add(g.pause)
		if err := conn.SetDeadline(until); err != nil {
			return grid.Receipt{}, err
		}
		if _, err := conn.Write(raw); err != nil {
			return grid.Receipt{}, fmt.Errorf("frame cannot be sent: %w", err)
		}
		answer, err := in.answer(&f)
		switch {
		case errors.Is(err, errNoFrame):
			continue // the time is over: once more
		case err != nil:
			return grid.Receipt{}, err
		case answer.Command == gb26875.Deny:
			return grid.Receipt{Status: 400, Detail: "denied"}, fmt.Errorf("the centre denies frame %d", f.Serial)
		}
		return grid.Receipt{Status: 200, Ref: strconv.Itoa(int(f.Serial)), Detail: "confirmed"}, nil
	}
	return grid.Receipt{}, fmt.Errorf("frame %d was sent %d times and is not confirmed", f.Serial, sendTries)
}

// frameReader cuts frames from a stream. It keeps at most two of the longest.
type frameReader struct {
	conn net.Conn
	held []byte
	read int // bytes, in all
}

var errNoFrame = errors.New("no frame within the time")

// noiseMost is how much a centre may say before its answer.
const noiseMost = 64 << 10

// answer waits for the confirmation or denial of f; whatever else the centre says is passed over.
func (r *frameReader) answer(f *gb26875.Frame) (gb26875.Frame, error) {
	for {
		for {
			got, ok := r.next()
			if !ok {
				break
			}
			mine := got.Serial == f.Serial && got.Source == f.Destination && got.Destination == f.Source
			if mine && (got.Command == gb26875.Confirm || got.Command == gb26875.Deny) {
				return got, nil
			}
		}
		buf := make([]byte, gb26875.MaxSize)
		n, err := r.conn.Read(buf)
		r.held = append(r.held, buf[:n]...)
		r.read += n
		var timeout net.Error
		switch {
		case n > 0 && r.read > noiseMost:
			return gb26875.Frame{}, fmt.Errorf("the centre said %d bytes and confirmed nothing", r.read)
		case n > 0:
		case errors.As(err, &timeout) && timeout.Timeout():
			return gb26875.Frame{}, errNoFrame
		case errors.Is(err, io.EOF):
			return gb26875.Frame{}, errors.New("the centre hung up before it confirmed")
		case err != nil:
			return gb26875.Frame{}, err
		}
	}
}

// next cuts the first whole frame off what is held.
func (r *frameReader) next() (gb26875.Frame, bool) {
	for len(r.held) > 0 {
		n, err := gb26875.Length(r.held)
		if err == nil && (n == 0 || n > len(r.held)) {
			return gb26875.Frame{}, false
		}
		if err == nil {
			f, err := gb26875.Parse(r.held[:n])
			if err == nil {
				f.Unit = nil
				r.held = append([]byte(nil), r.held[n:]...)
				return f, true
			}
		}
		i := bytes.IndexByte(r.held[1:], '@') // noise: look for the next mark
		if i < 0 {
			r.held = nil
			return gb26875.Frame{}, false
		}
		r.held = r.held[i+1:]
	}
	return gb26875.Frame{}, false
}
