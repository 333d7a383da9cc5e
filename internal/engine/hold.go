package engine

import (
	"fmt"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/registry"
)

// Quarantine: what no retry can save is kept for a person to see, fix and replay.

// hold puts a frame into quarantine and says so in the ledger. A frame that is replayed
// from there and fails again stays where it is, with the new reason.
func (b *batch) hold(d *decoded, held *grid.QuarantinedFrame, why grid.QuarantineReason, detail string) grid.Outcome {
	b.keep(d, held, grid.QuarantinedFrame{Reason: why, Detail: detail, Whole: true})
	b.warnOfSmoke(d, why, detail)
	return grid.Quarantined
}

// holdOnce puts a frame that cannot be read into quarantine, unless it is a repeat: a
// repeat raises nothing a second time.
func (b *batch) holdOnce(no registry.DeviceNo, d *decoded, held *grid.QuarantinedFrame, why grid.QuarantineReason, err error) grid.Outcome {
	hash := d.hash
	if d.envelopeErr != nil { // then the payload is not known
		hash = hashOf(0, d.frame.Raw)
	}
	window := max(b.e.intervalOf(no, d)*45/100, time.Minute)
	if held == nil && b.e.soft.touchDevice(no).seeBad(hash, d.frame.Received, window) == duplicate {
		return grid.Duplicate
	}
	return b.hold(d, held, why, err.Error())
}

// holdChannels keeps the part of a frame whose channels are not installed anywhere.
func (b *batch) holdChannels(d *decoded, channels []string) {
	for _, c := range channels {
		b.keep(d, nil, grid.QuarantinedFrame{
			Reason: grid.UnknownChannel, Channel: c,
			Detail: fmt.Sprintf("channel %q of device %s is at no point", c, d.frame.Identity),
		})
	}
}

func (b *batch) keep(d *decoded, held *grid.QuarantinedFrame, q grid.QuarantinedFrame) {
	e := b.e
	if held != nil {
		q.ID, q.Channel, q.Whole, q.At = held.ID, held.Channel, held.Whole, held.At
	} else {
		q.ID, q.At = b.id(), b.now
	}
	q.Frame, q.State, q.Scope = d.frame, "waiting", e.home
	if pt, ok := b.placeOf(d.frame.Identity); ok {
		q.Scope = e.memory.Scope(e.memory.PointAt(pt))
	}
	if len(d.guesses) > 0 {
		q.Guess = d.guesses[0].Profile
	}
	b.rows.Quarantine = append(b.rows.Quarantine, q)
}

func (b *batch) placeOf(id grid.Identity) (registry.PointNo, bool) {
	no, ok := b.e.memory.Device(id)
	if !ok {
		return 0, false
	}
	return b.e.memory.AnyPoint(no)
}

// warnOfSmoke raises safety.unreadable when the frame is, or may be, word of a smoke
// detector: smoke that cannot be read is not silent.
func (b *batch) warnOfSmoke(d *decoded, why grid.QuarantineReason, detail string) {
	e, f := b.e, &d.frame
	no, known := e.memory.Device(f.Identity)
	s := site{point: registry.PointNo(registry.None), where: "device:" + string(f.Identity), device: f.Identity, mode: grid.Live}
	fire := guessesFire(d.guesses)
	switch {
	case known:
		s.mode = e.memory.DeviceAt(no).Mode()
		smoke := e.memory.DeviceAt(no).Lane() == grid.Safety
		e.memory.PointsOf(no, func(_ string, pt registry.PointNo) {
			if row := e.memory.PointAt(pt); row.Kind() == grid.Smoke {
				smoke, s.point, s.where = true, pt, row.ID
			}
		})
		if pt, ok := e.lastPlace(no); ok && !s.hasPoint() && e.memory.PointAt(pt).Kind() == grid.Smoke {
			smoke, s.at = true, b.siteOfBarred(no).at
			detail += "; it was last at point " + s.at.ID
		}
		if !smoke {
			return
		}
		if d.out.Profile != "" { // barred or retired, and yet it can be read
			fire = fire || saysSmoke(d)
		}
	case guessesSmoke(d.guesses):
	default:
		return
	}
	b.unreadable(s, d, fmt.Sprintf("%s: %s", strings.ReplaceAll(string(why), "_", " "), detail), fire)
}

func saysSmoke(d *decoded) bool {
	for i := range d.out.Readings {
		if isFire(&d.out.Readings[i]) {
			return true
		}
	}
	return false
}

func guessesSmoke(gs []profile.Guess) bool { return len(gs) > 0 && gs[0].Smoke }
func guessesFire(gs []profile.Guess) bool  { return len(gs) > 0 && gs[0].Smoke && gs[0].Fire }

// unknown keeps the frame of a device that is not registered: it appears under
// discovered, waiting to be claimed.
func (b *batch) unknown(d *decoded, held *grid.QuarantinedFrame) grid.Outcome {
	f := &d.frame
	detail := fmt.Sprintf("device %s is not registered", f.Identity)
	if d.envelopeErr != nil {
		detail += ", and " + d.envelopeErr.Error()
	}
	if held == nil {
		b.discover(d)
	}
	return b.hold(d, held, grid.UnknownDevice, detail)
}

// discover notes an identity that nobody registered. The list is bounded: a storm of
// invented identities pushes out other strangers, never a registered device, and the
// frames stay in quarantine.
func (b *batch) discover(d *decoded) {
	e, f := b.e, &d.frame
	seen, ok := e.discovered.Get(f.Identity)
	if !ok {
		seen = &grid.Discovered{Identity: f.Identity, First: f.Received}
		e.discovered.Add(f.Identity, seen)
		b.undo = append(b.undo, func() { e.discovered.Remove(seen.Identity) })
		if tell := e.Discover; tell != nil {
			b.after = append(b.after, func() { tell(*seen) })
		}
	}
	seen.Last, seen.Source, seen.Transport = f.Received, f.Source, f.Transport
	seen.Frames++
	guessed(seen, d.guesses)
}

// guessed notes what a stranger may be, best first.
func guessed(seen *grid.Discovered, guesses []profile.Guess) {
	if len(guesses) == 0 {
		return // the frames before told more
	}
	seen.Guess, seen.Reason, seen.Smoke = guesses[0].Profile, guesses[0].Reason, guesses[0].Smoke
	seen.Guesses = make([]grid.ProfileGuess, len(guesses)) // anew: the list may be in someone's hand
	for i, g := range guesses {
		seen.Guesses[i] = grid.ProfileGuess{Profile: g.Profile, Score: g.Score, Reason: g.Reason, Smoke: g.Smoke, Fire: g.Fire}
	}
}
