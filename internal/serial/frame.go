package serial

import (
	"bytes"
	"encoding/hex"

	"gridgate/internal/grid"
)

// frame is what goes on the line for a payload: a line gets its CR and LF (and its start,
// where it has one and the payload does not begin with it), a text its two characters and
// its check byte. A block is taken as it is, for its address and control are the device's.
// What we would not take for this frame if it came to us is refused.
func (c *Config) frame(payload []byte) ([]byte, error) {
	framed, inside := bytes.Clone(payload), payload
	switch c.Protocol {
	case Lines:
		if !bytes.HasPrefix(framed, []byte(c.Lines.Start)) {
			framed = append([]byte(c.Lines.Start), framed...)
		}
		inside = bytes.Clone(framed)
		framed = append(framed, '\r', '\n')
	case STXETX:
		start, end := c.STXETX.marks()
		framed = append(append(start, framed...), end...)
		framed = append(framed, checks[c.STXETX.Check].of(framed[len(start):])...)
	}
	cutter, err := c.cutter()
	if err != nil {
		return nil, err
	}
	whole := false
	var fault error
	s := stream{cutter: cutter}
	s.feed(framed, true, func(found cut, at int64) {
		whole = whole || at == 0 && bytes.Equal(found.frame, inside)
		if found.fault != nil {
			fault = found.fault
		}
	})
	switch {
	case fault != nil:
		return nil, fault
	case !whole:
		return nil, grid.Errorf(grid.Invalid, "%x is not one frame of %s", payload[:min(len(payload), 32)], c.Protocol)
	}
	return framed, nil
}

func (s *MarkSettings) marks() (start, end []byte) {
	start, _ = hex.DecodeString(s.Start) // Run says what is wrong with them
	end, _ = hex.DecodeString(s.End)
	return start, end
}

// of is the checksum of b: the one that verify takes.
func (c check) of(b []byte) []byte {
	if c.size != 1 {
		return nil
	}
	for sum := range 256 {
		if c.verify(append(bytes.Clone(b), byte(sum))) == nil {
			return []byte{byte(sum)}
		}
	}
	return nil
}
