package fault

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	mostFlows  = 8192             // sources that a UDP link keeps apart; the oldest is forgotten
	mostOnWay  = 16384            // datagrams that are delayed; what is more is lost
	overtakeIn = time.Second      // a datagram that is to be overtaken waits no longer
	datagram   = 64 << 10         //
	writeBy    = 10 * time.Second // of a proxy's own writes
)

// UDP is a link of datagrams. Each source has a socket of its own towards the far side, as a
// NAT gives it.
type UDP struct {
	*weather
	to     *net.UDPAddr
	seed   uint64
	near   *net.UDPConn
	counts Counts
	ctx    context.Context
	end    context.CancelFunc
	work   sync.WaitGroup

	flows map[netip.AddrPort]*flow // under weather.mu
	order []netip.AddrPort
	born  uint64
	onWay int
}

// flow is one source.
type flow struct {
	from     netip.AddrPort
	out      *net.UDPConn // under weather.mu
	up, down side
}

// side is one direction of a flow; under weather.mu.
type side struct {
	dice *rand.Rand
	held []byte // waits for the next to overtake it
	turn uint64 // of held
}

// OpenUDP makes a link on a free port of loopback towards an address.
func OpenUDP(to string, seed uint64) (*UDP, error) {
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return nil, err
	}
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	u := &UDP{weather: newWeather(), to: addr, seed: seed, near: near, flows: map[netip.AddrPort]*flow{}}
	u.ctx, u.end = context.WithCancel(context.Background())
	u.work.Go(u.readNear)
	return u, nil
}

// Addr is where it listens.
func (u *UDP) Addr() string { return u.near.LocalAddr().String() }

// Counts of what it did.
func (u *UDP) Counts() *Counts { return &u.counts }

// Change changes its conditions.
func (u *UDP) Change(f func(*Conditions)) { u.change(f) }

// Reset does nothing: datagrams have no connection.
func (u *UDP) Reset() {}

// Close ends it.
func (u *UDP) Close() {
	u.end()
	u.near.Close()
	u.mu.Lock()
	for _, f := range u.flows {
		f.out.Close()
	}
	u.mu.Unlock()
	u.work.Wait()
}

// Rebind gives every source another port towards the far side, as a NAT that has forgotten
// its table. What is on its way to the old port is lost.
func (u *UDP) Rebind() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, f := range u.flows {
		out, err := net.DialUDP("udp", nil, u.to)
		if err != nil {
			continue // no port is free: it keeps the one it has
		}
		f.out.Close()
		f.out = out
		u.counts.Rebound.Add(1)
		u.work.Go(func() { u.readFar(f, out) })
	}
}

func (u *UDP) readNear() {
	buf := make([]byte, datagram)
	for {
		n, from, err := u.near.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP message about an answer that nobody took
		}
		u.mu.Lock()
		if f := u.flow(from); f != nil {
			u.pass(f, &f.up, true, append([]byte(nil), buf[:n]...))
		}
		u.mu.Unlock()
	}
}

// flow finds or makes the flow of a source; u.mu is held.
func (u *UDP) flow(from netip.AddrPort) *flow {
	if f := u.flows[from]; f != nil || u.ctx.Err() != nil {
		return f
	}
	out, err := net.DialUDP("udp", nil, u.to)
	if err != nil {
		return nil
	}
	if len(u.order) >= mostFlows {
		u.flows[u.order[0]].out.Close()
		delete(u.flows, u.order[0])
		u.order = u.order[1:]
	}
	f := &flow{from: from, out: out, up: side{dice: dice(u.seed, u.born, 0)}, down: side{dice: dice(u.seed, u.born, 1)}}
	u.born++
	u.flows[from], u.order = f, append(u.order, from)
	u.work.Go(func() { u.readFar(f, out) })
	return f
}

func (u *UDP) readFar(f *flow, out *net.UDPConn) {
	buf := make([]byte, datagram)
	for {
		n, err := out.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // nobody listens there: ICMP
			if !u.wait(10 * time.Millisecond) {
				return
			}
			continue
		}
		u.mu.Lock()
		u.pass(f, &f.down, false, append([]byte(nil), buf[:n]...))
		u.mu.Unlock()
	}
}

// wait is false when the link has been closed.
func (u *UDP) wait(d time.Duration) bool {
	select {
	case <-u.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// pass decides what becomes of a datagram; u.mu is held.
func (u *UDP) pass(f *flow, s *side, up bool, b []byte) {
	c := &u.now
	if c.BlackHole || c.Cut || c.Loss > 0 && s.dice.Float64() < c.Loss {
		u.counts.Lost.Add(1)
		return
	}
	if c.Corrupt > 0 && s.dice.Float64() < c.Corrupt {
		u.counts.Corrupted.Add(1)
		b = turnBit(b, s.dice)
	}
	if c.Reorder > 0 && s.held == nil && s.dice.Float64() < c.Reorder {
		s.held = b
		s.turn++
		u.freeAfter(f, s, up, s.turn)
		return
	}
	u.deliver(f, s, up, b)
	if c.Duplicate > 0 && s.dice.Float64() < c.Duplicate {
		u.counts.Doubled.Add(1)
		u.deliver(f, s, up, b)
	}
	if held := s.held; held != nil {
		s.held = nil
		u.counts.Reordered.Add(1)
		u.deliver(f, s, up, held)
	}
}

// freeAfter lets a datagram go that nothing has overtaken.
func (u *UDP) freeAfter(f *flow, s *side, up bool, turn uint64) {
	u.work.Go(func() {
		if !u.wait(overtakeIn) {
			return
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		if held := s.held; held != nil && s.turn == turn {
			s.held = nil
			u.deliver(f, s, up, held)
		}
	})
}

// deliver sends it now or when its time has come; u.mu is held.
func (u *UDP) deliver(f *flow, s *side, up bool, b []byte) {
	wait := u.now.later(s.dice)
	if u.now.Bandwidth > 0 {
		wait += time.Duration(len(b)) * time.Second / time.Duration(u.now.Bandwidth)
	}
	if wait <= 0 {
		u.send(f, up, b)
		return
	}
	if u.onWay >= mostOnWay {
		u.counts.Lost.Add(1)
		return
	}
	u.onWay++
	u.counts.Delayed.Add(1)
	u.work.Go(func() {
		ok := u.wait(wait)
		u.mu.Lock()
		defer u.mu.Unlock()
		u.onWay--
		if ok {
			u.send(f, up, b)
		}
	})
}

// send writes it; a datagram that cannot be written is lost, as on any network. u.mu is held.
func (u *UDP) send(f *flow, up bool, b []byte) {
	var err error
	if up {
		_, err = f.out.Write(b)
	} else {
		_, err = u.near.WriteToUDPAddrPort(b, f.from)
	}
	if err != nil {
		u.counts.Lost.Add(1)
		return
	}
	u.counts.Carried.Add(1)
}
