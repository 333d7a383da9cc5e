package profile

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// check proves the bytes of a frame; its error says what they are and what they should be.
type check func(payload []byte) error

// checks are the sums that devices put behind their bytes. Three of them stand in the last
// byte, the 16 bit ones in the last two.
var checks = map[string]check{
	"sum8":         sumsToZero,
	"add8":         last(1, func(b []byte) uint64 { return uint64(sumOf(b)) }),
	"xor8":         last(1, func(b []byte) uint64 { return uint64(xorOf(b)) }),
	"crc8":         last(1, func(b []byte) uint64 { return uint64(crc8(b)) }),                             // polynomial 07, from 0
	"crc16_modbus": last(2, func(b []byte) uint64 { return uint64(bits.ReverseBytes16(crc16Modbus(b))) }), // low byte first
	"crc16_ccitt":  last(2, func(b []byte) uint64 { return uint64(crc16CCITT(b)) }),                       // polynomial 1021, from FFFF
}

func checkOf(name string) (check, error) {
	if name == "" {
		return nil, nil
	}
	if c := checks[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("check is %q: want one of %s", name, strings.Join(slices.Sorted(maps.Keys(checks)), ", "))
}

// last compares the last n bytes with what is worked out of those before them.
func last(n int, of func([]byte) uint64) check {
	return func(b []byte) error {
		if len(b) <= n {
			return fmt.Errorf("%d bytes leave no room for a checksum", len(b))
		}
		var sent uint64
		for _, c := range b[len(b)-n:] {
			sent = sent<<8 | uint64(c)
		}
		return differs(sent, of(b[:len(b)-n]))
	}
}

// sumsToZero: the last byte makes all of them add up to 0.
func sumsToZero(b []byte) error {
	if sum := sumOf(b); sum != 0 {
		return fmt.Errorf("checksum is off by 0x%02x", sum)
	}
	return nil
}

func differs(got, want uint64) error {
	if got != want {
		return fmt.Errorf("checksum is 0x%02x: want 0x%02x", got, want)
	}
	return nil
}

func sumOf(b []byte) (sum byte) {
	for _, c := range b {
		sum += c
	}
	return sum
}

func xorOf(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

func crc8(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
		for range 8 {
			if carry := sum & 0x80; carry != 0 {
				sum = sum<<1 ^ 0x07
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

func crc16Modbus(b []byte) uint16 {
	sum := uint16(0xffff)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			if carry := sum & 1; carry != 0 {
				sum = sum>>1 ^ 0xa001
			} else {
				sum >>= 1
			}
		}
	}
	return sum
}

func crc16CCITT(b []byte) uint16 {
	sum := uint16(0xffff)
	for _, c := range b {
		sum ^= uint16(c) << 8
		for range 8 {
			if carry := sum & 0x8000; carry != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}
