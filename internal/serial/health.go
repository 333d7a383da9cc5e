package serial

import (
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// Links is the line or listener in the health view.
func (t *Transport) Links() []grid.LinkHealth {
	now, s := t.cfg.Now(), t.Status()
	h := grid.LinkHealth{
		Name: "serial." + t.cfg.Name, Transport: t.transport, Source: t.cfg.Name, Kind: grid.PortLink, Address: s.Port,
		Up: s.Up, Since: s.Since, Detail: s.Protocol,
	}
	if !s.Up {
		h.Problem = fmt.Sprintf("not open since %s: %s", s.Since.Format(time.RFC3339), s.LastError)
	}
	if t.cfg.Listen != "" {
		h.Kind = grid.ListenerLink
	}
	t.tally.Fill(&h, now)
	if s.LastDamaged.After(h.LastErrorAt) {
		h.LastError, h.LastErrorAt = s.LastDamage, s.LastDamaged
	}
	if s.Damaged > 0 {
		h.Detail += fmt.Sprintf(", %d damaged", s.Damaged)
	}
	if t.centre != nil && s.Peers > 0 {
		h.Detail += fmt.Sprintf(", %d connections", s.Peers)
	}
	for _, p := range t.peers(s, now) {
		h.Peers++
		if p.Up {
			h.PeersUp++
		}
	}
	return []grid.LinkHealth{h}
}

// Peers are the Modbus units that are asked, the transmission devices that were heard, or
// the connections.
func (t *Transport) Peers(string) []grid.LinkHealth { return t.peers(t.Status(), t.cfg.Now()) }

func (t *Transport) peers(s Status, now time.Time) []grid.LinkHealth {
	var out []grid.LinkHealth
	switch {
	case t.slaves != nil:
		out = append(t.slaveHealth(now), t.connectionHealth(now)...)
	case t.centre != nil:
		out = t.centre.health(now)
	default:
		out = t.connectionHealth(now)
	}
	for i := range out {
		p := &out[i]
		p.Transport, p.Source = t.transport, t.cfg.Name
		if !s.Up && (p.Up || p.Since.IsZero()) {
			p.Up, p.Since = false, s.Since // nobody behind a line that is not open is heard
		}
	}
	return out
}

func (t *Transport) slaveHealth(now time.Time) []grid.LinkHealth {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]grid.LinkHealth, len(t.slaves))
	for i, sl := range t.slaves {
		st := sl.status
		out[i] = grid.LinkHealth{
			Name: string(st.Identity), Kind: grid.SlavePeer, Address: fmt.Sprint(st.Address), Device: st.Identity, Up: st.Up, Since: st.Since,
			LastError: st.LastError, LastErrorAt: st.LastErrorAt,
			Detail: fmt.Sprintf("asked %d, answered %d, exceptions %d", st.Asked, st.Answered, st.Exceptions),
		}
		sl.traffic.Fill(&out[i], now)
		if t.cfg.Listen != "" && !sl.bus.serving() {
			h := &out[i]
			h.Up, h.LastError = false, "its serial server is not connected"
			if h.Since.IsZero() {
				h.Since = t.status.Since
			}
		}
	}
	return out
}

// health is the devices that were heard. One whose connection is closed is down, and so is
// one that was silent for idle: on UDP and on a line nobody hangs up.
func (c *centre) health(now time.Time) []grid.LinkHealth {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]grid.LinkHealth, 0, len(c.seen))
	for source, d := range c.seen {
		id := gbIdentity(source)
		h := grid.LinkHealth{
			Name: string(id), Kind: grid.TransmitterPeer, Device: id, Up: d.peer != nil, Since: d.since, LastError: d.fault, LastErrorAt: d.faultAt,
		}
		d.traffic.Fill(&h, now)
		if d.peer != nil {
			h.Address = d.peer.remote
		}
		if silent := h.LastFrame.Add(c.idle); h.Up && now.After(silent) {
			h.Up, h.Since = false, silent
		}
		out = append(out, h)
	}
	return out
}

// heardAt notes a frame of a device that goes by a peer. It wants c.mu.
func (d *gbDevice) heardAt(now time.Time, idle time.Duration) {
	if d.peer == nil || now.Sub(d.traffic.Last()) > idle {
		d.since = now.UTC()
	}
	d.traffic.Frame(now)
}

// connections are those to a listener for text.
func (t *Transport) connectionHealth(now time.Time) []grid.LinkHealth {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]grid.LinkHealth, 0, len(t.conns))
	for p := range t.conns {
		h := grid.LinkHealth{Name: p.name, Kind: grid.ConnectionPeer, Address: p.name, Device: p.device, Up: true, Since: p.since, LastError: p.fault, LastErrorAt: p.faultAt}
		h.Detail = p.detail
		p.traffic.Fill(&h, now)
		out = append(out, h)
	}
	return out
}

// enters and leaves keep the connections of a listener for the health view.
func (t *Transport) enters(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[p] = struct{}{}
}

func (t *Transport) leaves(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, p)
}
