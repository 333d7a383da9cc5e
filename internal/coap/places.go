package coap

import (
	"sync"
	"weak"

	coapnet "github.com/plgd-dev/go-coap/v3/net"

	"gridgate/internal/grid"
)

// maxPlaces bounds each generation of devices whose place is remembered.
const maxPlaces = 1 << 16

// places remembers from which peer a device without LwM2M spoke last: there its downlinks
// go. It keeps two generations, as exchanges does, and no peer alive.
type places struct {
	max int // in a generation

	mu        sync.Mutex
	now, past map[grid.Identity]weak.Pointer[peer]
}

// note notes that a device speaks by a peer that may speak for it.
func (s *places) note(id grid.Identity, p *peer, control *coapnet.ControlMessage) {
	if control != nil {
		p.mu.Lock()
		p.control = control
		p.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[id] == p.self {
		return
	}
	if s.now == nil || len(s.now) >= s.max {
		s.past, s.now = s.now, make(map[grid.Identity]weak.Pointer[peer])
	}
	s.now[id] = p.self
}

// find gives the peer, while its listener remembers it; nil: it is gone.
func (s *places) find(id grid.Identity) *peer {
	s.mu.Lock()
	at, is := s.now[id]
	if !is {
		at = s.past[id]
	}
	s.mu.Unlock()
	p := at.Value()
	if p == nil || !p.on.remembers(p) {
		return nil
	}
	return p
}

// remembers reports whether a peer has not been forgotten.
func (l *listener) remembers(p *peer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return p.place != nil
}
