package broker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// guest is a client that is connected, for the health view.
type guest struct {
	since   time.Time
	traffic intake.Traffic
	device  atomic.Pointer[grid.Identity] // who spoke last
	gone    chan struct{}                 // closed when it has left

	mu      sync.Mutex
	fault   string // what was refused it
	faultAt time.Time
}

// enters and leaves keep the clients that are connected.
func (b *Broker) enters(cl *mochi.Client) {
	b.guests.Store(cl, &guest{since: b.cfg.Now().UTC(), gone: make(chan struct{})})
}

func (b *Broker) leaves(cl *mochi.Client) {
	if g, ok := b.guests.LoadAndDelete(cl); ok {
		close(g.(*guest).gone)
	}
}

// spoke notes a frame of a client.
func (b *Broker) spoke(cl *mochi.Client, f *grid.Frame) {
	if g, ok := b.guests.Load(cl); ok {
		g := g.(*guest)
		g.traffic.Frame(f.Received)
		if d := g.device.Load(); d == nil || *d != f.Identity {
			id := f.Identity
			g.device.Store(&id)
		}
	}
}

// faulted notes that something was refused a client.
func (b *Broker) faulted(cl *mochi.Client, err error) {
	if g, ok := b.guests.Load(cl); ok {
		g := g.(*guest)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.fault, g.faultAt = err.Error(), b.cfg.Now().UTC()
	}
}

// Links is the broker in the health view.
func (b *Broker) Links() []grid.LinkHealth {
	s := b.Status()
	h := grid.LinkHealth{
		Name: "broker", Transport: "mqtt", Source: b.cfg.Name, Kind: grid.EmbeddedLink, Address: s.Listening, Up: s.Listening != "" || s.ListeningTLS != "",
		Since: b.since(), Peers: s.Clients, PeersUp: s.Clients, Detail: fmt.Sprintf("%d clients at most", s.MaxClients),
	}
	if !h.Up {
		h.Problem = "does not listen yet"
	}
	if s.ListeningTLS != "" {
		if h.Address != "" {
			h.Address += ", "
		}
		h.Address += s.ListeningTLS + " with TLS"
	}
	b.tally.Fill(&h, b.cfg.Now())
	return []grid.LinkHealth{h}
}

// since is when it began to listen, or was made.
func (b *Broker) since() time.Time { return time.Unix(0, b.began.Load()).UTC() }

// Peers are the clients that are connected.
func (b *Broker) Peers(string) (out []grid.LinkHealth) {
	now := b.cfg.Now()
	b.guests.Range(func(key, value any) bool {
		cl, g := key.(*mochi.Client), value.(*guest)
		h := grid.LinkHealth{
			Name: cl.ID, Transport: "mqtt", Source: b.cfg.Name, Kind: grid.ClientPeer, Address: cl.Net.Remote, Up: true, Since: g.since,
			Detail: "user " + string(cl.Properties.Username),
		}
		if d := g.device.Load(); d != nil {
			h.Device = *d
		}
		g.traffic.Fill(&h, now)
		g.mu.Lock()
		h.LastError, h.LastErrorAt = g.fault, g.faultAt
		g.mu.Unlock()
		out = append(out, h)
		return true
	})
	return out
}
