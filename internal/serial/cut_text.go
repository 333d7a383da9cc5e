package serial

import (
	"bytes"

	"gridgate/internal/grid"
)

// lineCutter cuts lines of text. They end with CR, LF or both.
type lineCutter struct {
	start    []byte // every line begins so, and what comes before is noise; empty: with anything
	max      int    // bytes of a line
	tooLong  bool   // the line goes on, and is not wanted any more
	overlong error
}

func newLineCutter(start string, max int) *lineCutter {
	return &lineCutter{start: []byte(start), max: max, overlong: grid.Errorf(grid.Invalid, "a line has more than %d bytes", max)}
}

func (c *lineCutter) most() int { return c.max + 1 }

func (c *lineCutter) cut(b []byte, quiet bool) cut {
	end := bytes.IndexAny(b, "\r\n")
	switch {
	case end < 0 && quiet:
		was := c.tooLong
		c.tooLong = false
		if was {
			return cut{size: len(b)}
		}
		return cut{size: len(b), fault: grid.Errorf(grid.Invalid, "a line broke off after %d bytes", len(b))}
	case end < 0 && c.tooLong:
		return cut{size: len(b)}
	case end < 0 && len(b) > c.max:
		c.tooLong = true
		return cut{size: len(b), fault: c.overlong}
	case end < 0:
		return cut{}
	}
	size := end + 1
	switch {
	case c.tooLong:
		c.tooLong = false
		return cut{size: size}
	case end > c.max:
		return cut{size: size, fault: c.overlong}
	}
	text := b[:end]
	if len(c.start) > 0 {
		at := bytes.LastIndex(text, c.start)
		if at < 0 {
			if len(text) == 0 {
				return cut{size: size}
			}
			return cut{size: size, fault: grid.Errorf(grid.Invalid, "a line of %d bytes has no %q", len(text), c.start)}
		}
		text = text[at:]
	}
	text = bytes.Trim(text, "\x00") // a line driver that is switched on or off
	if len(text) == 0 {
		return cut{size: size}
	}
	return cut{size: size, frame: text}
}

// markCutter cuts text between a start and an end character, with or without a check
// byte behind. Neither character occurs inside; a start there begins anew.
type markCutter struct {
	start, end byte
	check      string // CheckNone, CheckXOR, CheckSum: from behind the start to the end, both over one byte
	eightBit   bool   // characters from 80 up are text too
	max        int    // bytes between the two
}

func (c *markCutter) most() int { return c.max + 3 }

func (c *markCutter) cut(b []byte, quiet bool) cut {
	if b[0] != c.start {
		if at := bytes.IndexByte(b, c.start); at > 0 {
			return cut{size: at}
		}
		return cut{size: len(b)}
	}
	for i := 1; i < len(b); i++ {
		switch ch := b[i]; {
		case ch == c.end:
			return c.ended(b, i, quiet)
		case ch == c.start:
			return cut{size: i, fault: grid.Errorf(grid.Invalid, "a frame broke off after %d bytes, the next one follows", i)}
		case i > c.max:
			return cut{size: i, fault: grid.Errorf(grid.Invalid, "a frame has more than %d bytes", c.max)}
		case ch < ' ' && ch != '\t' && ch != '\r' && ch != '\n' || ch == 0x7f || ch > 0x7f && !c.eightBit:
			return cut{size: i + 1, fault: grid.Errorf(grid.Invalid, "a frame has the character 0x%02x: want text", ch)}
		}
	}
	if quiet {
		return cut{size: len(b), fault: grid.Errorf(grid.Invalid, "a frame broke off after %d bytes", len(b))}
	}
	return cut{}
}

// ended verifies a frame whose end character is at i.
func (c *markCutter) ended(b []byte, i int, quiet bool) cut {
	size := i + 1
	if c.check != CheckNone {
		if len(b) == size {
			if quiet {
				return cut{size: size, fault: grid.Errorf(grid.Invalid, "a frame has no check byte")}
			}
			return cut{}
		}
		if err := checks[c.check].verify(b[1 : size+1]); err != nil {
			// The check byte may be lost, and the start of the next frame in its place.
			return cut{size: size, fault: err}
		}
		size++
	}
	if i == 1 {
		return cut{size: size}
	}
	return cut{size: size, frame: b[1:i]}
}
