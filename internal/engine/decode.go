package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// chunkSize is how many frames one decoder takes at a time.
const chunkSize = 64

// decoded is a frame with what its envelope and its profile make of it.
type decoded struct {
	frame       grid.Frame
	profileID   string           // by which it was decoded; "" when the device was unknown
	profile     *profile.Profile // nil when there is none of that id
	out         grid.Decoded
	envelopeErr error
	decodeErr   error
	panicked    string          // what a decoder panicked with
	guesses     []profile.Guess // of an unknown device, best first
	hash        uint32          // of port and payload
	behind      bool            // its counter is behind the newest one: set by the state goroutine
	versions    *inForce        // by which it was decoded
	choice      choice          // of them
	both        *bothRead       // what both versions of a roll-out make of it; nil: none runs
}

// chunk is a run of frames of one lane, decoded together.
type chunk struct {
	lane   grid.Lane
	frames []decoded
	done   chan struct{}
	next   int // the first frame that the state goroutine has not handled
}

// lanePipe reads one lane of the journal in order and decodes it in parallel. Chunks
// come out of ready in journal order.
type lanePipe struct {
	lane  grid.Lane
	after uint64 // read from here
	order chan *chunk
	work  chan *chunk
	ready chan *chunk
}

func newLanePipe(lane grid.Lane, after uint64) *lanePipe {
	return &lanePipe{
		lane: lane, after: after,
		order: make(chan *chunk, 32), work: make(chan *chunk, 32), ready: make(chan *chunk, 4),
	}
}

// read fills the pipe from the journal until ctx ends.
func (p *lanePipe) read(ctx context.Context, j Journal) error {
	defer close(p.order)
	defer close(p.work)
	for {
		frames, err := j.Next(ctx, p.lane, p.after, 16*chunkSize)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read the %s lane after %d: %w", p.lane, p.after, err)
		}
		for len(frames) > 0 {
			n := min(len(frames), chunkSize)
			c := &chunk{lane: p.lane, frames: make([]decoded, n), done: make(chan struct{})}
			for i := range n {
				c.frames[i].frame = frames[i]
			}
			p.after = frames[n-1].Pos.Seq
			frames = frames[n:]
			select {
			case p.order <- c:
			case <-ctx.Done():
				return nil
			}
			select {
			case p.work <- c:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// decode is one decoder of the pool.
func (p *lanePipe) decode(ctx context.Context, d *decoder) {
	for c := range p.work {
		if ctx.Err() != nil {
			return
		}
		for i := range c.frames {
			d.decodeTold(&c.frames[i])
		}
		close(c.done)
	}
}

// forward hands on chunks in order once they are decoded.
func (p *lanePipe) forward(ctx context.Context) {
	for c := range p.order {
		select {
		case <-c.done:
		case <-ctx.Done():
			return
		}
		select {
		case p.ready <- c:
		case <-ctx.Done():
			return
		}
	}
}

// decoder opens the envelope and decodes the payload. It may be used by many goroutines.
type decoder struct {
	profiles  *versions
	profileOf func(grid.Identity) (string, bool)
	traces    Traces // nil: nobody is told
}

// decode fills d from its frame. It never panics: a codec's panic is kept as a finding.
func (dec *decoder) decode(d *decoded) {
	defer func() {
		if r := recover(); r != nil {
			d.panicked = fmt.Sprint(r)
		}
	}()
	f := &d.frame
	if f.Identity == "" || f.Flags&(grid.Refused|grid.Marker) != 0 {
		return
	}
	if f.Envelope != "" {
		if d.envelopeErr = envelope.Open(f); d.envelopeErr != nil {
			return
		}
	}
	d.hash = contentHash(f)
	id, known := dec.profileOf(f.Identity)
	if !known {
		d.guesses = dec.profiles.Guess(*f)
		return
	}
	d.decodeWith(id, dec.profiles.now.Load())
	if d.decodeErr != nil && f.Pos.Lane == grid.Safety {
		d.guesses = dec.profiles.Guess(*f) // does it say fire, by any other reading?
	}
}

// decodeWith decodes by the profile of that id, of what is in force.
func (d *decoded) decodeWith(id string, v *inForce) {
	d.profileID, d.versions, d.profile, d.decodeErr, d.out, d.both = id, v, nil, nil, grid.Decoded{}, nil
	d.choice = v.choose(id, d.frame.Identity)
	if d.frame.Kind.Ignored() || d.choice.reads == nil {
		return
	}
	if d.choice.beside != nil {
		d.decodeBoth()
		return
	}
	d.profile = d.choice.reads
	d.out, d.decodeErr = d.profile.Decode(d.frame)
}

// stale reports whether a frame was decoded by what is not in force now: the registration
// or the version changed afterwards.
func (d *decoded) stale(id string, v *inForce) bool {
	if d.profileID != id || d.versions == nil {
		return true
	}
	if d.versions == v {
		return false
	}
	if v.choose(id, d.frame.Identity) != d.choice {
		return true
	}
	d.versions = v // what has changed does not touch it
	return false
}

// redecode decodes a frame again by the profile and version that its device has now.
func (e *Engine) redecode(d *decoded, profileID string) {
	if d.hash == 0 {
		d.hash = contentHash(&d.frame)
	}
	d.panicked = ""
	defer func() {
		if r := recover(); r != nil {
			d.panicked = fmt.Sprint(r)
		}
	}()
	d.decodeWith(profileID, e.profiles.now.Load())
	if d.decodeErr != nil && d.frame.Pos.Lane == grid.Safety {
		d.guesses = e.profiles.Guess(d.frame)
	}
}

// contentHash is of port and payload.
func contentHash(f *grid.Frame) uint32 { return hashOf(f.Port, f.Payload) }

// hashOf is FNV-1a: it must be the same after a restart, since it is checkpointed.
func hashOf(port int, payload []byte) uint32 {
	h := (uint32(2166136261) ^ uint32(port)) * 16777619
	for _, b := range payload {
		h = (h ^ uint32(b)) * 16777619
	}
	return h
}

// decodedJSON is what the profile made of a frame, as it is kept with a case.
func decodedJSON(d *decoded) json.RawMessage {
	out := struct {
		Profile  string         `json:"profile"`
		Readings []grid.Reading `json:"readings"`
		Sequence *uint32        `json:"sequence,omitempty"`
		Warnings []string       `json:"warnings,omitempty"`
	}{Profile: d.out.Profile, Readings: d.out.Readings, Warnings: d.out.Warnings}
	if d.out.HasSequence {
		out.Sequence = &d.out.Sequence
	}
	raw, err := json.Marshal(out)
	if err != nil { // readings are finite: profile promises it
		return json.RawMessage(`{}`)
	}
	return raw
}
