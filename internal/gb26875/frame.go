package gb26875

import (
	"encoding/binary"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// Sizes of a frame, in bytes.
const (
	HeadSize = 27   // from the start mark to the command
	MinSize  = 30   // a frame without an application unit
	MaxUnit  = 1024 // the longest application unit
	MaxSize  = MinSize + MaxUnit
)

// Marks around a frame. Both occur inside of data as well: frames are cut by length.
const (
	startMark = '@'
	endMark   = '#'
)

// Platform is the address that some makers give the monitoring centre: all bits are one.
const Platform = 1<<48 - 1

// Command says what a frame is for. 0 and 7 to 127 are reserved, 128 and up are a maker's own.
type Command byte

const (
	Control  Command = 1 // centre to device
	Send     Command = 2 // device to centre; without a unit it is a heartbeat
	Confirm  Command = 3 // the answer to Control and Send
	Request  Command = 4 // centre to device
	Response Command = 5 // the answer to Request
	Deny     Command = 6 // the answer to a frame that cannot be read
)

func (c Command) String() string {
	switch c {
	case Control:
		return "control"
	case Send:
		return "send"
	case Confirm:
		return "confirm"
	case Request:
		return "request"
	case Response:
		return "response"
	case Deny:
		return "deny"
	}
	return "command " + strconv.Itoa(int(c))
}

// Frame is one frame, taken apart.
type Frame struct {
	Serial      uint16 // counted by who speaks first; an answer repeats it
	Version     byte   // of the protocol: 1
	UserVersion byte   // the maker's
	Sent        Time
	Source      uint64 // 48 bits
	Destination uint64 // 48 bits
	Command     Command
	Unit        []byte // application unit, of the bytes the frame was parsed from
}

// Heartbeat reports whether the frame only says that the device is there.
func (f *Frame) Heartbeat() bool { return f.Command == Send && len(f.Unit) == 0 }

// Length says how many bytes the frame at the beginning of b has in all, 0 where b is too
// short to tell. It looks at the start mark and the length alone: whoever cuts a stream by
// it moves one byte on and looks for the start mark again on any error, here or of Parse.
func Length(b []byte) (int, error) {
	for i := range min(len(b), 2) {
		if b[i] != startMark {
			return 0, grid.Errorf(grid.Invalid, "the frame begins with %x: want 4040", b[:min(len(b), 2)])
		}
	}
	if len(b) < 26 {
		return 0, nil
	}
	n := int(binary.LittleEndian.Uint16(b[24:]))
	if n > MaxUnit {
		return 0, grid.Errorf(grid.Invalid, "the application unit has %d bytes: want at most %d", n, MaxUnit)
	}
	return MinSize + n, nil
}

// Parse takes one whole frame apart. Bytes before or behind it, a wrong mark, length or
// checksum are errors; which commands there are depends on the maker and is not judged.
func Parse(b []byte) (Frame, error) {
	n, err := Length(b)
	switch {
	case err != nil:
		return Frame{}, err
	case n == 0:
		return Frame{}, grid.Errorf(grid.Invalid, "the frame has %d bytes: want at least %d", len(b), MinSize)
	case len(b) != n:
		return Frame{}, grid.Errorf(grid.Invalid, "the frame has %d bytes: want %d, for it declares an application unit of %d", len(b), n, n-MinSize)
	case b[n-2] != endMark || b[n-1] != endMark:
		return Frame{}, grid.Errorf(grid.Invalid, "the frame ends with %x: want 2323", b[n-2:])
	}
	if want := sum(b[2 : n-3]); b[n-3] != want {
		return Frame{}, grid.Errorf(grid.Invalid, "checksum is 0x%02x: want 0x%02x", b[n-3], want)
	}
	return Frame{
		Serial:  binary.LittleEndian.Uint16(b[2:]),
		Version: b[4], UserVersion: b[5],
		Sent:   Time(b[6:12]),
		Source: address(b[12:]), Destination: address(b[18:]),
		Command: Command(b[26]),
		Unit:    b[HeadSize : n-3],
	}, nil
}

// sum is the low byte of the sum of all bytes.
func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

func address(b []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32
}

// Append writes the frame behind b. The unit has at most MaxUnit bytes and addresses have
// 48 bits: what is over is not written.
func Append(b []byte, f Frame) []byte {
	unit := f.Unit[:min(len(f.Unit), MaxUnit)]
	at := len(b)
	b = append(b, startMark, startMark)
	b = binary.LittleEndian.AppendUint16(b, f.Serial)
	b = append(b, f.Version, f.UserVersion)
	b = append(b, f.Sent[:]...)
	for _, a := range []uint64{f.Source, f.Destination} {
		b = binary.LittleEndian.AppendUint32(b, uint32(a))
		b = binary.LittleEndian.AppendUint16(b, uint16(a>>32))
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(unit)))
	b = append(b, byte(f.Command))
	b = append(b, unit...)
	return append(b, sum(b[at+2:]), endMark, endMark)
}

// Answer is the confirmation of f, or its denial: the addresses change places and the
// serial comes back.
func (f *Frame) Answer(c Command, now time.Time, e Encoding) Frame {
	return Frame{
		Serial: f.Serial, Version: f.Version, UserVersion: f.UserVersion,
		Sent:   e.Put(now),
		Source: f.Destination, Destination: f.Source, Command: c,
	}
}
