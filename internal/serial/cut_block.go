package serial

import (
	"bytes"
	"encoding/binary"

	rtu "github.com/goburrow/modbus"

	"gridgate/internal/grid"
)

// Checks of a block or a marked text.
const (
	CheckNone  = "none"
	CheckSum   = "sum"   // the low byte of the sum
	CheckXOR   = "xor"   // all bytes, exclusive or
	CheckCRC16 = "crc16" // that of Modbus, low byte first
)

// check is a checksum and how many bytes it has.
type check struct {
	size   int
	verify func(b []byte) error // b with its checksum behind
}

var checks = map[string]check{
	CheckNone: {0, func([]byte) error { return nil }},
	CheckSum: {1, func(b []byte) error {
		return oneByte(b, func(sum, c byte) byte { return sum + c })
	}},
	CheckXOR: {1, func(b []byte) error {
		return oneByte(b, func(sum, c byte) byte { return sum ^ c })
	}},
	CheckCRC16: {2, func(b []byte) error {
		if len(b) < 4 { // the packager wants an address and a function
			return grid.Errorf(grid.Invalid, "the checksum covers %d bytes: want 2 or more", len(b)-2)
		}
		if _, err := new(rtu.RTUClientHandler).Decode(b); err != nil {
			return grid.Errorf(grid.Invalid, "checksum is %x, which is wrong", b[len(b)-2:])
		}
		return nil
	}},
}

func oneByte(b []byte, add func(sum, c byte) byte) error {
	var want byte
	for _, c := range b[:len(b)-1] {
		want = add(want, c)
	}
	if got := b[len(b)-1]; got != want {
		return grid.Errorf(grid.Invalid, "checksum is 0x%02x: want 0x%02x", got, want)
	}
	return nil
}

// blockCutter cuts blocks of start, length, data, checksum and end, by their length. Start
// and end occur inside too: whatever turns out to be none is left by one byte.
type blockCutter struct {
	start, end []byte
	at, size   int // of the length
	little     bool
	adds       int // bytes of a block that its length does not count
	check      check
	from       int // first byte that the check covers
	max        int // bytes of a block
}

func (c *blockCutter) most() int { return c.max }

// min is the size of a block without data.
func (c *blockCutter) min() int {
	return max(len(c.start), c.at+c.size) + c.check.size + len(c.end)
}

func (c *blockCutter) cut(b []byte, quiet bool) cut {
	if n := min(len(b), len(c.start)); !bytes.Equal(b[:n], c.start[:n]) {
		return cut{size: c.skip(b, quiet)}
	}
	broken := cut{size: 1, fault: grid.Errorf(grid.Invalid, "a block broke off after %d bytes", len(b))}
	if len(b) < max(len(c.start), c.at+c.size) {
		if quiet {
			return broken
		}
		return cut{}
	}
	n := c.length(b[c.at:]) + c.adds
	switch {
	case n < c.min() || n > c.max:
		return cut{size: 1, fault: grid.Errorf(grid.Invalid, "a block has %d bytes: want %d to %d", n, c.min(), c.max)}
	case len(b) < n && quiet:
		return broken
	case len(b) < n:
		return cut{}
	}
	body := n - len(c.end) - c.check.size
	if end := b[n-len(c.end) : n]; !bytes.Equal(end, c.end) {
		return cut{size: 1, fault: grid.Errorf(grid.Invalid, "a block ends with %x: want %x", end, c.end)}
	}
	if err := c.check.verify(b[c.from : body+c.check.size]); err != nil {
		return cut{size: 1, fault: err}
	}
	return cut{size: n, frame: b[:n]}
}

// skip says how many bytes there are before the next that may be a start.
func (c *blockCutter) skip(b []byte, quiet bool) int {
	if at := bytes.Index(b[1:], c.start); at >= 0 {
		return at + 1
	}
	if quiet {
		return len(b)
	}
	for at := max(1, len(b)-len(c.start)+1); at < len(b); at++ {
		if bytes.HasPrefix(c.start, b[at:]) {
			return at
		}
	}
	return len(b)
}

func (c *blockCutter) length(b []byte) int {
	switch {
	case c.size == 1:
		return int(b[0])
	case c.little:
		return int(binary.LittleEndian.Uint16(b))
	}
	return int(binary.BigEndian.Uint16(b))
}
