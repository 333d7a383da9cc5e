package label

import (
	"fmt"
	"strconv"
	"strings"

	"gridgate/internal/grid"
)

// readMatter reads a Matter code: MT: and base-38, or the 11 or 21 digits that are printed below.
// A Matter device has no name of its own before it is commissioned, so there is no identity; the
// passcode lets whoever has it take the device over.
func readMatter(text string) (Code, bool) {
	if len(text) > 3 && strings.EqualFold(text[:3], "MT:") {
		return readMatterQR(strings.ToUpper(text[3:]))
	}
	digits := strings.ReplaceAll(text, "-", "")
	if dashes := len(text) - len(digits); dashes != 0 && dashes != 2 || !isDigits(digits) || !verhoeff(digits) {
		return Code{}, false
	}
	switch len(digits) {
	case 11, 21:
		return readManual(digits)
	}
	return Code{}, false
}

func readMatterQR(text string) (Code, bool) {
	text, _, _ = strings.Cut(text, "*") // of several devices the first
	b, ok := base38(text)
	if !ok || len(b) < 11 {
		return Code{}, false
	}
	bits := func(at, n int) (v uint32) {
		for i := range n {
			v |= uint32(b[(at+i)/8]>>((at+i)%8)&1) << i
		}
		return v
	}
	c := Code{Kind: Matter, Secret: true}
	if bits(0, 3) != 0 {
		c.warn(Deprecated) // a version that this reader does not know
	}
	c.ofMatter(bits(3, 16), bits(19, 16), bits(57, 27))
	return c, true
}

func readManual(digits string) (Code, bool) {
	number := func(from, to int) uint32 {
		v, _ := strconv.ParseUint(digits[from:to], 10, 32) // digits all of them
		return uint32(v)
	}
	long := len(digits) == 21
	if first, low, high := number(0, 1), number(1, 6), number(6, 10); first > 7 || first>>2&1 == 1 != long || low > 0xFFFF || high > 0x1FFF {
		return Code{}, false
	}
	c := Code{Kind: Matter, Secret: true}
	passcode := number(6, 10)<<14 | number(1, 6)&0x3FFF
	if long {
		c.ofMatter(number(10, 15), number(15, 20), passcode)
	} else {
		c.ofMatter(0, 0, passcode)
	}
	return c, true
}

func (c *Code) ofMatter(vendor, product, passcode uint32) {
	if vendor != 0 {
		c.Maker = fmt.Sprintf("%04X", vendor)
		c.Model = fmt.Sprintf("%04X", product)
	}
	if trivial(passcode) {
		c.warn(EasyCode)
	}
	c.Secrets.Other = grid.Secret(fmt.Sprintf("%08d", passcode))
}

// trivial passcodes are those that the specification bars: beyond the range, all one digit, and
// counting up or down.
func trivial(passcode uint32) bool {
	return passcode == 0 || passcode > 99_999_998 || passcode%11_111_111 == 0 || passcode == 12_345_678 || passcode == 87_654_321
}

// base38 gives the bytes: five characters are three bytes, low byte first.
func base38(text string) ([]byte, bool) {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-."
	var out []byte
	for len(text) > 0 {
		group := text[:min(5, len(text))]
		text = text[len(group):]
		n := map[int]int{5: 3, 4: 2, 2: 1}[len(group)]
		if n == 0 {
			return nil, false
		}
		v := uint32(0)
		for i := len(group) - 1; i >= 0; i-- {
			d := strings.IndexByte(alphabet, group[i])
			if d < 0 {
				return nil, false
			}
			v = v*38 + uint32(d)
		}
		if v>>(8*n) != 0 {
			return nil, false
		}
		for i := range n {
			out = append(out, byte(v>>(8*i)))
		}
	}
	return out, true
}
