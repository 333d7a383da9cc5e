package engine

import (
	"time"
)

// verdict is what the duplicate rules say of a frame.
type verdict uint8

const (
	fresh     verdict = iota // news, and the newest of its device
	behind                   // news, but older than what is in state: fills history
	duplicate                // had before
)

// arrival is what the duplicate rules look at.
type arrival struct {
	counter     uint32
	has         bool // the frame carries a counter
	bits        int  // width of the counter; 32 if 0
	hash        uint32
	received    time.Time
	restart     bool          // a start-up frame: counters begin anew
	redelivered bool          // the wire says it may have been sent before
	window      time.Duration // for frames without a counter: shorter than half the reporting interval
}

// windowWidth is how far back a counter may come late and still be told from a repeat.
const windowWidth = 64

// see applies the rules of duplicates to a frame and remembers it:
//
//   - with a counter, a 64-wide window; a counter that falls back after a join, a
//     restart or by a large gap starts a new session, and so does one that comes again
//     with another content;
//   - else device and content within a window: the same content twice running is one
//     frame, unless the wire says nothing of a redelivery and another content came in
//     between (a door that opens, closes and opens is three frames).
func (d *deviceSoft) see(a arrival) verdict {
	v := fresh
	if a.has {
		v = d.seeCounter(a)
	} else {
		v = d.seeContent(a)
	}
	if v != duplicate {
		d.ring[d.ringAt] = seen{hash: a.hash, counter: a.counter, at: unixSeconds(a.received)}
		d.ringAt = (d.ringAt + 1) % uint8(len(d.ring))
	}
	return v
}

func (d *deviceSoft) seeCounter(a arrival) verdict {
	if d.flags&hasCounter == 0 || d.flags&newSession != 0 || a.restart {
		// A frame of the new session may come twice as well, its start-up frame also when
		// others have come since: a broker sends again all that was not acknowledged.
		late := a.restart && d.flags&newSession == 0
		if d.flags&hasCounter != 0 && (late || a.counter == d.top) && d.remembers(a) {
			return duplicate
		}
		d.startSession(a.counter)
		return fresh
	}
	ahead := d.ahead(a)
	switch {
	case ahead > 0:
		if ahead >= windowWidth {
			d.window = 0
		} else {
			d.window <<= uint(ahead)
		}
		d.window |= 1
		d.top = a.counter
		return fresh
	case ahead <= -windowWidth:
		d.startSession(a.counter)
		return fresh
	}
	bit := uint64(1) << uint(-ahead)
	if d.window&bit == 0 {
		d.window |= bit
		return behind
	}
	if d.differs(a) {
		d.startSession(a.counter)
		return fresh
	}
	return duplicate
}

// ahead is how far the counter is before the newest one, negative when it is behind,
// across the wrap of a counter of that width.
func (d *deviceSoft) ahead(a arrival) int64 {
	bits := a.bits
	if bits <= 0 || bits > 32 {
		bits = 32
	}
	span := int64(1) << uint(bits)
	diff := (int64(a.counter) - int64(d.top)) & (span - 1)
	if diff >= span/2 {
		diff -= span
	}
	// A counter of the full width does not wrap in a device's life: falling from
	// 4,000,000,000 to 5 is a restart, and so is any step of that size.
	return diff
}

func (d *deviceSoft) startSession(counter uint32) {
	d.top, d.window = counter, 1
	d.flags = d.flags&^newSession | hasCounter
	d.ring = [4]seen{}
}

// remembers reports whether exactly this frame is among the last few.
func (d *deviceSoft) remembers(a arrival) bool {
	for _, s := range d.ring {
		if s.at != 0 && s.counter == a.counter && s.hash == a.hash {
			return true
		}
	}
	return false
}

// differs reports whether a remembered frame had this counter with another content.
func (d *deviceSoft) differs(a arrival) bool {
	for _, s := range d.ring {
		if s.at != 0 && s.counter == a.counter && s.hash != a.hash {
			return true
		}
	}
	return false
}

func (d *deviceSoft) seeContent(a arrival) verdict {
	last := (d.ringAt + uint8(len(d.ring)) - 1) % uint8(len(d.ring))
	for i, s := range d.ring {
		if s.at == 0 || s.hash != a.hash {
			continue
		}
		// Either way: a frame from the quarantine may be older than what came since.
		if a.received.Sub(time.Unix(int64(s.at), 0)).Abs() > a.window {
			continue
		}
		if uint8(i) == last || a.redelivered {
			return duplicate
		}
	}
	return fresh
}

// seeBad tells whether a frame that cannot be read was had before. Nothing but its content
// is known of it, so a repeat is the same content within the window.
func (d *deviceSoft) seeBad(hash uint32, received time.Time, window time.Duration) verdict {
	for _, s := range d.bad {
		if s.at != 0 && s.hash == hash && received.Sub(time.Unix(int64(s.at), 0)) <= window {
			return duplicate
		}
	}
	d.bad[1] = d.bad[0]
	d.bad[0] = seen{hash: hash, at: unixSeconds(received)}
	return fresh
}
