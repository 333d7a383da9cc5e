package serial

import (
	"context"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// centre is what a monitoring centre of GB/T 26875.3 knows of its devices.
type centre struct {
	now      func() time.Time
	idle     time.Duration // a device silent for longer is not up
	times    gb26875.Encoding
	own      map[gb26875.Command]bool // of the maker, to be confirmed
	setClock bool
	clocks   chan grid.Identity // devices whose clock is to be set

	mu      sync.Mutex
	seen    map[uint64]*gbDevice // devices that were heard
	strange time.Time            // when a damaged frame of no known device was kept
	unread  map[uint64]unread    // damaged frames of devices that may send them again
	waiting map[orderKey]*waiter
	serial  uint16 // of our last order
}

// unread is a damaged frame.
type unread struct {
	frame  grid.Frame
	serial uint16
	since  time.Time
}

const (
	// refusedEvery is how often a damaged frame of one device is kept for a person to see.
	refusedEvery = 10 * time.Second
	// unreadFor is how long a device has to send a damaged frame again before it counts as
	// one that cannot be read. A person is to know of that within 10 s.
	unreadFor = 8 * time.Second
	// maxSeen bounds the devices that are remembered, maxSources those of one connection,
	// maxUnread the damaged frames.
	maxSeen, maxSources, maxUnread = 1 << 16, 1 << 10, 1 << 10
)

func newCentre(c *Config) *centre {
	times, _ := c.GBT26875.encoding() // Run says what is wrong with it
	out := &centre{
		now: c.Now, idle: c.Idle, times: times, own: map[gb26875.Command]bool{}, setClock: c.GBT26875.SetClock, clocks: make(chan grid.Identity, 64),
		seen: map[uint64]*gbDevice{}, unread: map[uint64]unread{}, waiting: map[orderKey]*waiter{},
	}
	for _, n := range c.GBT26875.Commands {
		out.own[gb26875.Command(n)] = true
	}
	return out
}

// gbKey tells a repeat of a frame from another: the send time of a repeat is a later one.
type gbKey struct {
	is     bool // it is a key
	source uint64
	serial uint16
	unit   uint32
}

func keyOf(f *gb26875.Frame) gbKey {
	h := fnv.New32a()
	h.Write([]byte{byte(f.Command)})
	h.Write(f.Unit)
	return gbKey{true, f.Source, f.Serial, h.Sum32()}
}

// sourceOf is the inverse of gbIdentity.
func sourceOf(id grid.Identity) (uint64, bool) {
	name, ok := strings.CutPrefix(string(id), "gb26875:")
	source, err := strconv.ParseUint(name, 10, 48)
	return source, ok && err == nil
}

func gbIdentity(source uint64) grid.Identity {
	return grid.Identity("gb26875:" + strconv.FormatUint(source, 10))
}

// centre answers a frame as the standard wants it, once it is durable. What is not of the
// standard is kept as well, and then denied. Orders, requests and answers are never
// answered: what we write may come back to us on a line of two wires.
func (p *peer) centre(c cut, at int64) {
	if c.frame == nil {
		p.deny(c, at)
		return
	}
	f, err := gb26875.Parse(c.frame)
	if err != nil {
		return
	}
	ctr := p.t.centre
	answer := gb26875.Confirm
	switch known := ctr.own[f.Command]; {
	case f.Command == gb26875.Response:
		fr := p.frame(c.frame)
		fr.Identity = gbIdentity(f.Source)
		p.t.offer(fr)
		ctr.heard(&f, p)
		ctr.answered(&f)
		return
	case f.Command == gb26875.Confirm, f.Command == gb26875.Deny:
		ctr.answered(&f)
		return
	case f.Command >= gb26875.Control && f.Command <= gb26875.Deny && f.Command != gb26875.Send:
		return
	case f.Command != gb26875.Send && !known:
		answer = gb26875.Deny
		p.damage(grid.Errorf(grid.Invalid, "gb26875:%d sends %v: want 2 or 5, or the command under gbt26875.commands", f.Source, f.Command))
	}
	if ctr.heard(&f, p) {
		ctr.checkClock(&f, p.t.cfg.Now())
	}
	fr := p.frame(c.frame)
	fr.Identity = gbIdentity(f.Source)
	p.put(fr, receipt{peer: p, key: keyOf(&f), answer: ctr.answer(&f, answer, p.t.cfg.Now())})
}

// put stores a frame that will be answered. One that finds no room gets no answer, and
// neither does the repeat of one that waits: the first will be answered.
func (p *peer) put(f grid.Frame, r receipt) {
	t := p.t
	t.tally.Arrived(&f)
	if p.waits {
		p.queue.Put(f, r)
		return
	}
	if !t.tally.Counts().FailingSince.IsZero() && newest(p.queue, r.key.source) == r.key {
		return
	}
	if !p.queue.Offer(f, r) {
		t.unanswered.Add(1)
	}
}

// newest is the last frame of a device that waits. Only that can have a repeat: many
// devices never count their serial, and then fire, normal, fire are three frames.
func newest(q *intake.Queue[receipt], source uint64) (key gbKey) {
	q.Find(func(r receipt) bool {
		if r.key.source == source {
			key = r.key
		}
		return false
	})
	return key
}

func (c *centre) answer(f *gb26875.Frame, command gb26875.Command, now time.Time) []byte {
	return gb26875.Append(nil, f.Answer(command, now, c.times))
}

// deny answers a damaged frame, so that the device sends it again at once; what is most
// likely no frame is left alone, as is a start within one that was denied.
func (p *peer) deny(c cut, at int64) {
	f, ok := gb26875.Head(c.damaged)
	if !ok || at < p.denied || !p.t.centre.likely(&f, c.damaged) {
		return
	}
	p.denied = at + int64(len(c.damaged))
	now := p.t.cfg.Now()
	fr := p.frame(c.damaged)
	fr.Note = c.fault.Error()
	fr.Flags |= grid.Refused
	if p.t.centre.refuse(fr, &f) {
		p.t.offer(fr)
	}
	_ = p.reply(p.t.centre.answer(&f, gb26875.Deny, now)) // the device repeats without it too, later
}

// likely reports whether damaged bytes were meant as a frame: the end or the checksum is
// right, or the head is one that a device would write.
func (c *centre) likely(f *gb26875.Frame, b []byte) bool {
	if f.Command == gb26875.Confirm || f.Command == gb26875.Deny {
		return false
	}
	if end, check := gb26875.Sound(b); end || check {
		return true
	}
	if f.Command != gb26875.Send && !c.own[f.Command] {
		return false
	}
	_, binary := gb26875.Encoding{}.Time(f.Sent)
	_, bcd := gb26875.Encoding{BCD: true}.Time(f.Sent)
	return binary == nil || bcd == nil
}

// heard notes a device whose address can be believed, and the way to it. What calls itself
// as it calls us is no device.
func (c *centre) heard(f *gb26875.Frame, by *peer) bool {
	if f.Source == f.Destination {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.seen[f.Source]
	if d == nil {
		for old := range c.seen {
			if len(c.seen) < maxSeen {
				break
			}
			delete(c.seen, old)
		}
		d = new(gbDevice)
		c.seen[f.Source] = d
	}
	if d.peer != by && len(by.sources) < maxSources {
		by.sources = append(by.sources, f.Source)
	}
	if u, waits := c.unread[f.Source]; waits && u.serial == f.Serial {
		delete(c.unread, f.Source) // it was sent again
	}
	d.heardAt(c.now(), c.idle)
	d.peer, d.centre, d.version = by, f.Destination, [2]byte{f.Version, f.UserVersion}
	return true
}

// gone forgets the way to devices when it is closed.
func (c *centre) gone(p *peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, source := range p.sources {
		if d := c.seen[source]; d != nil && d.peer == p {
			d.peer, d.since = nil, c.now().UTC()
		}
	}
}

// checkClock has a clock set that is wrong.
func (c *centre) checkClock(f *gb26875.Frame, now time.Time) {
	if !c.setClock {
		return
	}
	sent, err := c.times.Time(f.Sent)
	if err == nil && sent.Sub(now).Abs() < clockOff {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.seen[f.Source]
	if d == nil || now.Sub(d.clock) < clockEvery {
		return
	}
	select {
	case c.clocks <- gbIdentity(f.Source):
		d.clock = now
	default: // with its next frame
	}
}

// refuse says whether a damaged frame is to be kept at once: one that is nobody's, for its
// address was never heard in a sound one. That of a device waits for its repeat.
func (c *centre) refuse(fr grid.Frame, f *gb26875.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[f.Source] == nil || len(c.unread) >= maxUnread {
		if fr.Received.Sub(c.strange) < refusedEvery {
			return false
		}
		c.strange = fr.Received
		return true
	}
	d := c.seen[f.Source]
	d.fault, d.faultAt = fr.Note, fr.Received
	if _, waits := c.unread[f.Source]; !waits {
		fr.Identity = gbIdentity(f.Source)
		c.unread[f.Source] = unread{fr, f.Serial, time.Now()}
	}
	return false
}

// overdue takes the damaged frames that were not sent again.
func (c *centre) overdue(now time.Time) (out []grid.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for source, u := range c.unread {
		if now.Sub(u.since) < unreadFor {
			continue
		}
		delete(c.unread, source)
		if d := c.seen[source]; d != nil && now.Sub(d.refused) >= refusedEvery {
			d.refused = now
			out = append(out, u.frame)
		}
	}
	return out
}

// keepUnread stores damaged frames that were not sent again, until ctx is done.
func (t *Transport) keepUnread(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, f := range t.centre.overdue(now) {
				t.offer(f)
			}
		case <-ctx.Done():
			return
		}
	}
}
