package coap

import (
	"fmt"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Links are the listeners in the health view.
func (t *Transport) Links() []grid.LinkHealth {
	now := t.cfg.City()
	general := t.tally.Counts()
	out := make([]grid.LinkHealth, len(t.listeners))
	for i, l := range t.listeners {
		h := &out[i]
		h.Name, h.Transport, h.Source, h.Kind = "coap."+l.kind, t.wire.Transport, t.cfg.Name, grid.ListenerLink
		l.mu.Lock()
		h.Address, h.Up, h.Since, h.Peers, h.PeersUp = l.bound, l.up, l.since, l.peers.Len(), l.peers.Len()
		fault, faultAt := l.fault, l.faultAt
		l.mu.Unlock()
		if !h.Up {
			h.Problem = fmt.Sprintf("not listening since %s: %s", h.Since.Format(time.RFC3339), fault)
		}
		if fault == general.LastError {
			general.LastError = "" // it is this listener's, not of all
		}
		t.tally.Fill(h, now)
		l.traffic.Fill(h, now)
		h.LastError, h.LastErrorAt = fault, faultAt
	}
	for i := range out {
		if h := &out[i]; general.LastError != "" && general.LastErrorAt.After(h.LastErrorAt) {
			h.LastError, h.LastErrorAt = general.LastError, general.LastErrorAt
		}
		if m, on := t.LwM2M(); on {
			out[i].Detail = fmt.Sprintf("%d devices registered by LwM2M", m.Registrations)
		}
	}
	return out
}

// Peers are the peers of a listener that are remembered, those heard last first, and the
// devices that have registered by LwM2M and spoke by it last; link "" is every listener.
func (t *Transport) Peers(link string) []grid.LinkHealth {
	now := t.cfg.City()
	var out []grid.LinkHealth
	for _, l := range t.listeners {
		if link != "" && link != "coap."+l.kind {
			continue
		}
		for _, p := range l.latest(t.cfg.MaxPeers) {
			out = append(out, p.health(now))
		}
	}
	return append(out, t.lwm2m.peers(link)...)
}

// peers are the registrations. One from before the start belongs to the listener it had, or
// else to the first.
func (s *lwm2m) peers(link string) []grid.LinkHealth {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.t.cfg.City()
	var out []grid.LinkHealth
	for _, reg := range s.byName {
		listener := reg.listener
		if listener == "" && len(s.t.listeners) > 0 {
			listener = s.t.listeners[0].kind
		}
		if link == "" || link == "coap."+listener {
			out = append(out, s.health(reg, now))
		}
	}
	return out
}

// health is up while the device is registered: one that sleeps is well. It wants s.mu.
func (s *lwm2m) health(reg *registration, now time.Time) grid.LinkHealth {
	h := grid.LinkHealth{
		Name: reg.endpoint, Transport: s.t.wire.Transport, Source: s.t.cfg.Name, Kind: grid.LwM2MPeer, Device: reg.identity,
		Up: true, Since: reg.since,
	}
	reg.traffic.Fill(&h, now)
	said := []string{"LwM2M " + reg.version}
	if reg.queue {
		said = append(said, "sleeps between its reports")
	}
	switch {
	case reg.peer == nil:
		said = append(said, "not heard since the gateway started")
	case reg.listens(now):
		said = append(said, "listens")
	case reg.asleep:
		said = append(said, "did not answer")
	default:
		said = append(said, "asleep")
	}
	if reg.peer != nil {
		h.Address = reg.peer.wire.address()
	}
	observed := 0
	for _, o := range reg.observed {
		if o.lasts {
			observed++
		}
	}
	said = append(said, fmt.Sprintf("lifetime %d s, offline in %d s", reg.lifetime, max(0, int(reg.expires().Sub(now).Seconds()))),
		fmt.Sprintf("observed %d", observed), fmt.Sprintf("waiting requests %d", len(reg.asks)))
	h.Detail = strings.Join(said, "; ")
	return h
}

func (p *peer) health(now time.Time) grid.LinkHealth {
	address := p.wire.address()
	p.mu.Lock()
	defer p.mu.Unlock()
	h := grid.LinkHealth{
		Name: address, Transport: p.t.wire.Transport, Source: p.t.cfg.Name, Kind: grid.CoAPPeer, Address: address, Device: p.device,
		Up: true, Since: p.since, LastError: p.fault, LastErrorAt: p.faultAt,
	}
	p.traffic.Fill(&h, now)
	return h
}

// faulted notes an error of a listener, for the health view.
func (l *listener) faulted(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault, l.faultAt = err.Error(), l.t.cfg.City().UTC()
}
