package grid

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// ulidDigits are those of base32 as Crockford writes it.
const ulidDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var crockford = base32.NewEncoding(ulidDigits).WithPadding(base32.NoPadding)

// NewID makes an identifier that sorts by time and is a function of its arguments
// alone: the same cause gives the same id on every run. cause is a journal position
// or a command key; n tells apart what one cause makes. 26 characters, the form of a ULID.
func NewID(at time.Time, cause string, n int) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16)
	h := sha256.New()
	h.Write([]byte(cause))
	var nb [8]byte
	binary.BigEndian.PutUint64(nb[:], uint64(n))
	h.Write(nb[:])
	sum := h.Sum(nil)
	copy(b[6:], sum[:10])
	// A ULID is 26 digits of 5 bits, 130 bits with two leading zeros.
	var padded [17]byte
	copy(padded[1:], b[:])
	return crockford.EncodeToString(shiftRight(padded[:], 6))[:26]
}

// shiftRight moves the bits of b so that the 128-bit number in b[1:] fills the top
// 130 bits: base32 reads from the left.
func shiftRight(b []byte, keep uint) []byte {
	out := make([]byte, len(b))
	for i := range b {
		v := uint16(b[i]) << 8
		if i+1 < len(b) {
			v |= uint16(b[i+1])
		}
		out[i] = byte(v >> (8 - keep))
	}
	return out
}
