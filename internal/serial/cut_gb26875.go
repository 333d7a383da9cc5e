package serial

import (
	"bytes"

	"gridgate/internal/gb26875"
	"gridgate/internal/grid"
)

// gbCutter cuts frames of GB/T 26875.3 by their length. The marks occur inside of frames
// too: whatever turns out to be none is left by one byte, and the search goes on there.
type gbCutter struct {
	looked int // bytes of the frame that is waited for, searched for whole ones behind its start
}

var gbStart = []byte("@@")

func (c *gbCutter) most() int { return gb26875.MaxSize }

func (c *gbCutter) cut(b []byte, quiet bool) cut {
	out := c.next(b, quiet)
	if out.size > 0 {
		c.looked = 0
	}
	return out
}

func (c *gbCutter) next(b []byte, quiet bool) cut {
	if b[0] != gbStart[0] || len(b) > 1 && b[1] != gbStart[1] {
		at := bytes.Index(b[1:], gbStart) + 1
		switch {
		case at > 0:
		case b[len(b)-1] == gbStart[0] && len(b) > 1 && !quiet:
			at = len(b) - 1
		default:
			at = len(b)
		}
		return cut{size: at}
	}
	n, err := gb26875.Length(b)
	switch {
	case err != nil: // too long
		if len(b) < gb26875.HeadSize && !quiet {
			return cut{}
		}
		return cut{size: 1, fault: err, damaged: b[:min(len(b), gb26875.HeadSize)]}
	case n == 0 || n > len(b):
		if at := c.behind(b); at > 0 {
			return cut{size: at, fault: grid.Errorf(grid.Invalid, "a frame broke off after %d bytes, the next one follows", at)}
		}
		if quiet {
			return cut{size: 1, fault: grid.Errorf(grid.Invalid, "a frame broke off after %d bytes", len(b))}
		}
		return cut{}
	}
	if _, err := gb26875.Parse(b[:n]); err != nil {
		return cut{size: 1, fault: err, damaged: b[:n]}
	}
	return cut{size: n, frame: b[:n]}
}

// behind finds a frame that is whole behind a start that is not: the rest of that will not
// come any more. Each start is looked at once, when the last byte of its frame is there.
func (c *gbCutter) behind(b []byte) int {
	looked := c.looked
	c.looked = len(b)
	for at := 1; at+gb26875.MinSize <= len(b); at++ {
		i := bytes.Index(b[at:], gbStart)
		if i < 0 {
			return 0
		}
		at += i
		n, err := gb26875.Length(b[at:])
		if err != nil || n == 0 || at+n > len(b) || at+n <= looked {
			continue
		}
		if _, err := gb26875.Parse(b[at : at+n]); err == nil {
			return at
		}
	}
	return 0
}
