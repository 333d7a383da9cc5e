package gb26875

import "encoding/binary"

// Head reads the head of a frame that Parse refuses, for its denial. Nothing but the start
// mark is verified; the unit is left out. False says that b is too short or no frame.
func Head(b []byte) (Frame, bool) {
	if len(b) < HeadSize || b[0] != startMark || b[1] != startMark {
		return Frame{}, false
	}
	return Frame{
		Serial:  binary.LittleEndian.Uint16(b[2:]),
		Version: b[4], UserVersion: b[5],
		Sent:   Time(b[6:12]),
		Source: address(b[12:]), Destination: address(b[18:]),
		Command: Command(b[26]),
	}, true
}

// Sound says what of a frame that was cut by its length holds: the end mark, the checksum.
// Where both fail it is most likely no frame.
func Sound(b []byte) (end, check bool) {
	n := len(b)
	if n < MinSize {
		return false, false
	}
	return b[n-2] == endMark && b[n-1] == endMark, b[n-3] == sum(b[2:n-3])
}
