package journal

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// A record, little endian:
//
//	 0  crc       u32  CRC32C, started from the segment's salt, over all that follows
//	 4  length    u32  of the body
//	 8  flags     u8   grid.FrameFlags
//	 9  marks     u8   bit 0: first record of a write
//	10  sequence  u64
//	18  received  i64  ns since 1970
//	26  transport, source, envelope, identity, address, note: each uvarint length, bytes
//	    raw            the rest
//
// The salt keeps bytes inside a payload, or left over from another file, from passing
// as a record of this segment.
const (
	recordHead = 8
	bodyFixed  = 18
	minRecord  = recordHead + bodyFixed + 6
	maxBody    = maxRaw + maxStrings + 64

	markStart = 1 << 0
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord encodes what the journal keeps of f. Sequence and CRC are left open for stamp.
func appendRecord(b []byte, f *grid.Frame) []byte {
	at := len(b)
	b = append(b, make([]byte, recordHead)...)
	b = append(b, byte(f.Flags), 0)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.Received.UnixNano()))
	b = appendString(b, f.Transport)
	b = appendString(b, f.Source)
	b = appendString(b, f.Envelope)
	b = appendString(b, string(f.Identity))
	b = appendString(b, f.Address)
	b = appendString(b, f.Note)
	b = append(b, f.Raw...)
	binary.LittleEndian.PutUint32(b[at+4:], uint32(len(b)-at-recordHead))
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// stamp numbers the records in b from first on, marks the first as the start of a
// write, and closes each with its CRC.
func stamp(b []byte, salt uint32, first uint64) {
	b[9] |= markStart
	for seq := first; len(b) > 0; seq++ {
		n := recordHead + int(binary.LittleEndian.Uint32(b[4:]))
		binary.LittleEndian.PutUint64(b[10:], seq)
		binary.LittleEndian.PutUint32(b, crc32.Update(salt, castagnoli, b[4:n]))
		b = b[n:]
	}
}

// view is a record as it lies in a buffer.
type view struct {
	flags    grid.FrameFlags
	start    bool // first of its write
	seq      uint64
	received int64
	transport, source, envelope,
	identity, address, note, raw []byte
}

// parse reads a body whose CRC was right. It still believes no length in it.
func (v *view) parse(body []byte) bool {
	v.flags = grid.FrameFlags(body[0])
	v.start = body[1]&markStart != 0
	v.seq = binary.LittleEndian.Uint64(body[2:])
	v.received = int64(binary.LittleEndian.Uint64(body[10:]))
	rest := body[bodyFixed:]
	for _, field := range [...]*[]byte{&v.transport, &v.source, &v.envelope, &v.identity, &v.address, &v.note} {
		n, w := binary.Uvarint(rest)
		if w <= 0 || n > uint64(len(rest)-w) {
			return false
		}
		*field = rest[w : w+int(n)]
		rest = rest[w+int(n):]
	}
	v.raw = rest
	return true
}

// frame makes a grid.Frame of v. Raw stays where it is; of the strings, those that
// repeat are interned and the others share one allocation.
func (v *view) frame(lane grid.Lane, epoch uint32, names *interner) grid.Frame {
	a, n := len(v.identity), len(v.identity)+len(v.address)
	var own strings.Builder
	own.Grow(n + len(v.note))
	own.Write(v.identity)
	own.Write(v.address)
	own.Write(v.note)
	s := own.String()
	f := grid.Frame{
		Pos:       grid.Pos{Lane: lane, Epoch: epoch, Seq: v.seq},
		Identity:  grid.Identity(s[:a]),
		Transport: names.intern(v.transport),
		Source:    names.intern(v.source),
		Address:   s[a:n],
		Envelope:  names.intern(v.envelope),
		Flags:     v.flags,
		Note:      s[n:],
		Received:  time.Unix(0, v.received).UTC(),
	}
	if len(v.raw) > 0 {
		f.Raw = v.raw[:len(v.raw):len(v.raw)]
	}
	return f
}

// interner gives the same string for the same bytes. It forgets all when it has many.
type interner struct{ names map[string]string }

func (in *interner) intern(b []byte) string {
	if s, ok := in.names[string(b)]; ok {
		return s
	}
	if in.names == nil || len(in.names) >= 1024 {
		in.names = make(map[string]string)
	}
	s := string(b)
	in.names[s] = s
	return s
}

// kept is f with only what the journal keeps, in the form in which it comes back from disk.
func kept(f *grid.Frame, now time.Time) grid.Frame {
	k := *f
	k.Uplink = grid.Uplink{}
	if k.Received.IsZero() {
		k.Received = now
	}
	k.Received = time.Unix(0, k.Received.UnixNano()).UTC()
	if len(k.Raw) == 0 {
		k.Raw = nil
	}
	return k
}

// stringBytes is the room f's strings take.
func stringBytes(f *grid.Frame) int {
	return len(f.Transport) + len(f.Source) + len(f.Envelope) + len(f.Identity) + len(f.Address) + len(f.Note)
}
