package serial

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// peer is the far side of one stream.
type peer struct {
	t      *Transport
	remote string // its host, where it has one
	queue  *intake.Queue[receipt]
	waits  bool // a full queue holds the peer back; else it goes without an answer
	reply  func([]byte) error

	unframed int      // bytes since the last frame
	sources  []uint64 // GB/T 26875.3 devices that are reached by it

	denied int64 // up to this position of the stream frames have been denied

	// Of a connection, for the health view; t.mu guards the device and the fault.
	name    string
	since   time.Time
	traffic intake.Traffic
	device  grid.Identity
	detail  string
	fault   string
	faultAt time.Time
}

// receipt is what is owed to a peer for a frame once it is durable.
type receipt struct {
	peer   *peer
	key    gbKey
	answer []byte
}

// take handles what the cutter found.
func (p *peer) take(c cut, at int64) {
	if c.frame != nil {
		p.unframed = 0
	}
	if c.fault != nil {
		p.damage(c.fault)
	}
	switch {
	case p.t.centre != nil:
		p.centre(c, at)
	case c.frame != nil:
		p.text(c.frame)
	}
}

// damage notes what is no frame.
func (p *peer) damage(err error) {
	p.t.damage(p.remote, err)
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.fault, p.faultAt = err.Error(), p.t.cfg.Now().UTC()
}

func (p *peer) heard(f *grid.Frame) {
	p.traffic.Frame(f.Received)
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.device = f.Identity
}

// text stores a line, a text or a block.
func (p *peer) text(b []byte) {
	f := p.frame(b)
	f.Identity, f.Note = p.t.who(b)
	p.heard(&f)
	if p.reply != nil {
		p.t.ways.heard(f.Identity, p)
	}
	p.t.offer(f)
}

// frame makes the frame of bytes that will be overwritten.
func (p *peer) frame(b []byte) grid.Frame {
	t := p.t
	return grid.Frame{
		Transport: t.transport, Source: t.cfg.Name, Address: p.remote, Envelope: protocols[t.cfg.Protocol],
		Received: t.cfg.Now().UTC(), Raw: bytes.Clone(b),
	}
}

// who reads the name of a device out of its text, where that is configured.
func (t *Transport) who(b []byte) (grid.Identity, string) {
	if t.identify == nil {
		return t.cfg.Identity, ""
	}
	m := t.identify.FindSubmatch(b)
	if m == nil {
		return "", "no name of a device in it, as identify wants"
	}
	name := strings.ToLower(string(m[1]))
	for _, r := range name {
		if r <= ' ' || r > '~' || strings.ContainsRune(`#+?%"\`, r) {
			return "", fmt.Sprintf("the name of the device is %q: want letters and digits", name)
		}
	}
	if name == "" || len(name) > 100 {
		return "", fmt.Sprintf("the name of the device has %d bytes: want 1 to 100", len(name))
	}
	return grid.Identity(t.cfg.Kind + ":" + name), ""
}

// offer stores a frame that nobody is told about and nobody will send again. False says
// that it is lost.
func (t *Transport) offer(f grid.Frame) bool {
	f.Flags |= grid.Unacknowledged
	t.tally.Arrived(&f)
	if !t.unacked.Offer(f, struct{}{}) {
		t.tally.Lost(1)
		return false
	}
	return true
}

// stored answers for durable frames in order, all of one peer in one write. A peer that is
// gone sends again.
func (t *Transport) stored(rs []receipt) {
	for len(rs) > 0 {
		n, to := 0, rs[0].peer
		var b []byte
		for n < len(rs) && rs[n].peer == to {
			b = append(b, rs[n].answer...)
			n++
		}
		if to.reply(b) == nil {
			t.tally.Acked(n)
		}
		rs = rs[n:]
	}
}
