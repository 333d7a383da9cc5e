package coap

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/pion/transport/v4/deadline"
)

const (
	cidLen      = 8
	maxDatagram = 16 << 10
	flowQueue   = 32 // datagrams of one flow that wait; DTLS expects losses

	recordHandshake = 22
	recordCID       = 25
	clientHello     = 1
	headerLen       = 13 // of a record without connection id
)

// demux brings the datagrams of one socket to their DTLS sessions.
//
// A session is found by its connection id, else by the address. A new handshake from an
// address that has a session goes beside it and takes its place only when it is done: a
// device that restarts with the port it had gets in at once, and nobody who fakes its
// address can end its session. Only the first message of a handshake makes a flow.
type demux struct {
	pc        *net.UDPConn
	max       int // handshakes at once
	handshake func(*flow) (net.Conn, error)
	failed    func(error)
	accept    chan net.Conn
	done      chan struct{}

	mu       sync.Mutex
	closed   bool
	sessions map[netip.AddrPort]*flow // established, by the address of the handshake
	fresh    map[netip.AddrPort]*flow // in their handshake
	order    []*flow                  // fresh ones, and some that are no longer, oldest first
	byCID    map[[cidLen]byte]*flow
}

// flow is the datagrams of one session: a net.PacketConn.
type flow struct {
	d       *demux
	addr    netip.AddrPort
	cid     [cidLen]byte
	usesCID bool // guarded by d.mu: the peer sends it
	in      chan datagram
	gone    chan struct{}
	once    sync.Once
	wait    *deadline.Deadline
	conn    net.Conn // guarded by d.mu, once established
}

type datagram struct {
	data []byte
	from netip.AddrPort
}

func newDemux(addr string, max int, handshake func(*flow) (net.Conn, error), failed func(error)) (*demux, error) {
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	pc, err := net.ListenUDP("udp", a)
	if err != nil {
		return nil, err
	}
	_ = pc.SetReadBuffer(receiveBuffer)
	return &demux{
		pc: pc, max: max, handshake: handshake, failed: failed, accept: make(chan net.Conn, max), done: make(chan struct{}),
		sessions: make(map[netip.AddrPort]*flow), fresh: make(map[netip.AddrPort]*flow), byCID: make(map[[cidLen]byte]*flow),
	}, nil
}

func (d *demux) close() {
	d.mu.Lock()
	was := d.closed
	d.closed = true
	var open []net.Conn
	if !was {
		for _, f := range d.byCID {
			if f.conn != nil {
				open = append(open, f.conn)
			}
		}
		for _, f := range d.fresh {
			d.drop(f, true)
		}
	}
	d.mu.Unlock()
	if was {
		return
	}
	close(d.done)
	// go-coap would close them as well, but it finds sessions by their address, and two that
	// followed each other at one address hide each other.
	for _, c := range open {
		_ = c.Close() // says good-bye
	}
	_ = d.pc.SetReadDeadline(time.Now()) // ends read, which closes the socket
}

// closeSocket lets the sessions say good-bye first: go-coap may be closing them just now.
func (d *demux) closeSocket() {
	for end := time.Now().Add(goodbyeWithin); time.Now().Before(end); time.Sleep(time.Millisecond) {
		d.mu.Lock()
		left := len(d.byCID)
		d.mu.Unlock()
		if left == 0 {
			break
		}
	}
	_ = d.pc.Close()
}

const goodbyeWithin = time.Second

// read brings datagrams to flows until the demux is closed.
func (d *demux) read() {
	defer d.closeSocket()
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := d.pc.ReadFromUDPAddrPort(buf)
		if err != nil {
			select {
			case <-d.done:
				return
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				d.close()
				return
			}
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		for _, f := range d.route(buf[:n], from) {
			select {
			case f.in <- datagram{append([]byte(nil), buf[:n]...), from}:
			default: // as if lost on the way
			}
		}
	}
}

// route says whose a datagram is: of up to two flows.
func (d *demux) route(b []byte, from netip.AddrPort) []*flow {
	if len(b) < headerLen {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if b[0] == recordCID {
		if len(b) < headerLen+cidLen {
			return nil
		}
		f := d.byCID[[cidLen]byte(b[11:])]
		if f == nil {
			return nil
		}
		f.usesCID = true
		return []*flow{f}
	}
	fresh, session := d.fresh[from], d.sessions[from]
	epoch := int(b[3])<<8 | int(b[4])
	if fresh == nil && epoch == 0 && b[0] == recordHandshake && len(b) > headerLen && b[headerLen] == clientHello {
		fresh = d.begin(from)
	}
	var out []*flow
	if fresh != nil {
		out = append(out, fresh)
	}
	if session != nil && epoch > 0 {
		out = append(out, session) // of two, the one it does not belong to cannot read it
	}
	return out
}

// begin makes a flow for a handshake. It wants d.mu.
func (d *demux) begin(from netip.AddrPort) *flow {
	if d.closed {
		return nil
	}
	for len(d.order) > 0 && len(d.fresh) >= d.max {
		oldest := d.order[0]
		d.order = d.order[1:]
		d.drop(oldest, true)
	}
	f := &flow{d: d, addr: from, in: make(chan datagram, flowQueue), gone: make(chan struct{}), wait: deadline.New()}
	_, _ = rand.Read(f.cid[:]) // it never fails
	conn, err := d.handshake(f)
	if err != nil {
		d.failed(err)
		return nil
	}
	select {
	case d.accept <- conn:
	default:
		return nil
	}
	if len(d.order) > 2*d.max { // of those long done
		d.order = append([]*flow(nil), d.order[len(d.order)-d.max:]...)
	}
	d.fresh[from], d.byCID[f.cid] = f, f
	d.order = append(d.order, f)
	return f
}

// establish puts a flow whose handshake is done in the place of an older session of its
// address. An older session with a connection id stays: its device may have moved on, and
// the address may be another's by now.
func (d *demux) establish(f *flow, conn net.Conn) {
	d.mu.Lock()
	f.conn = conn
	if d.fresh[f.addr] == f {
		delete(d.fresh, f.addr)
	}
	old := d.sessions[f.addr]
	d.sessions[f.addr] = f
	var end net.Conn
	if old != nil && !old.usesCID {
		end = old.conn
		d.drop(old, false)
	}
	d.mu.Unlock()
	if end != nil {
		_ = end.Close()
	}
}

// drop forgets a flow; unless it is in its handshake nothing else happens to it. It wants d.mu.
func (d *demux) drop(f *flow, freshOnly bool) {
	if d.fresh[f.addr] == f {
		delete(d.fresh, f.addr)
	} else if freshOnly {
		return
	}
	if d.sessions[f.addr] == f {
		delete(d.sessions, f.addr)
	}
	if d.byCID[f.cid] == f {
		delete(d.byCID, f.cid)
	}
	f.once.Do(func() { close(f.gone) })
}

// ReadFrom returns the next datagram.
func (f *flow) ReadFrom(p []byte) (int, net.Addr, error) {
	select { // a deadline that has passed goes first
	case <-f.wait.Done():
		return 0, nil, os.ErrDeadlineExceeded
	default:
	}
	select {
	case m := <-f.in:
		return copy(p, m.data), net.UDPAddrFromAddrPort(m.from), nil
	case <-f.gone:
		return 0, nil, net.ErrClosed
	case <-f.wait.Done():
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// WriteTo sends a datagram.
func (f *flow) WriteTo(p []byte, to net.Addr) (int, error) {
	return f.d.pc.WriteTo(p, to)
}

// Close forgets the flow.
func (f *flow) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.drop(f, false)
	return nil
}

func (f *flow) LocalAddr() net.Addr                { return f.d.pc.LocalAddr() }
func (f *flow) SetDeadline(t time.Time) error      { return f.SetReadDeadline(t) }
func (f *flow) SetReadDeadline(t time.Time) error  { f.wait.Set(t); return nil }
func (f *flow) SetWriteDeadline(_ time.Time) error { return nil }
