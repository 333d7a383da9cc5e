package intake

import (
	"fmt"
	"time"

	"gridgate/internal/grid"
)

// Identify reads who sent a payload and how it is wrapped. note says why there is no identity.
type Identify func(address string, payload []byte) (id grid.Identity, envelope string, note string)

// Remember is shown each frame as it came, before it is kept. It may complete the address
// by what earlier messages of the wire said, and call ask with a message to be published.
type Remember func(f *grid.Frame, ask Ask)

// Ask publishes a message on the wire. It does not wait; where there is no room or no
// connection the message is given up.
type Ask = func(topic string, payload []byte)

// refusedKeep is how much of a payload over the limit is kept for a person to see.
const refusedKeep = 1024

// Wire makes frames of what one wire brings.
type Wire struct {
	Transport  string // grid.Frame.Transport
	Source     string // grid.Frame.Source
	MaxPayload int    // bytes; a larger payload becomes a Refused frame with its beginning
	Identify   Identify
	Remember   Remember // may be nil
	Ask        Ask      // for Remember
	Now        func() time.Time
}

// Frame makes the frame of one message. It keeps payload unless it is over the limit:
// the caller must not change it afterwards. It always makes a frame: what cannot be
// identified or is too large says so in Note and ends in quarantine, where a person sees it.
func (w *Wire) Frame(address string, payload []byte, flags grid.FrameFlags) grid.Frame {
	f := grid.Frame{
		Transport: w.Transport,
		Source:    w.Source,
		Address:   address,
		Flags:     flags,
		Received:  w.Now().UTC(),
		Raw:       payload,
	}
	f.Identity, f.Envelope, f.Note = w.Identify(address, payload)
	if w.Remember != nil {
		w.Remember(&f, w.Ask)
	}
	if len(payload) > w.MaxPayload {
		f.Flags |= grid.Refused
		f.Note = fmt.Sprintf("payload has %d bytes, the limit is %d: only the first %d are kept", len(payload), w.MaxPayload, min(refusedKeep, len(payload)))
		f.Raw = append([]byte(nil), payload[:min(refusedKeep, len(payload))]...)
	}
	return f
}
