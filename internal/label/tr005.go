package label

import (
	"fmt"
	"strings"

	"gridgate/internal/grid"
)

// readTR005 reads the QR code of the LoRa Alliance:
//
//	LW:D0:<JoinEUI>:<DevEUI>:<ProfileID>[:O<owner token>][:S<serial>][:P<maker's own>][:C<checksum>]
//
// and the drafts that some boxes still carry.
func readTR005(text string) (Code, bool) {
	upper := strings.ToUpper(text)
	for _, draft := range []string{"URN:LW:DP:", "URN:LWDP:", "URN:DEV:LW:"} {
		if strings.HasPrefix(upper, draft) {
			return readDraft(text[len(draft):])
		}
	}
	parts := strings.Split(text, ":")
	if len(parts) < 4 || !strings.HasPrefix(upper, "LW:D") || len(parts[1]) != 2 || !isDigit(parts[1][1]) {
		return Code{}, false
	}
	c, ok := lorawan(parts[2], parts[3])
	if !ok {
		return Code{}, false
	}
	if len(parts) > 4 {
		c.ofProfile(parts[4])
		c.extensions(text, parts)
	}
	return c, true
}

// lorawan begins a code with the two EUIs.
func lorawan(join, dev string) (Code, bool) {
	if len(join) != 16 || len(dev) != 16 || !isHex(join) || !isHex(dev) {
		return Code{}, false
	}
	c := Code{Kind: TR005}
	c.add(identity("eui", dev))
	c.checkEUI(dev)
	return c, true
}

func (c *Code) checkEUI(digits string) {
	if strings.Trim(digits, "0") == "" || strings.Trim(digits, "fF") == "" {
		c.warn(TestEUI)
	}
}

// ofProfile takes the ProfileID: the maker's number at the LoRa Alliance, and his for the model.
func (c *Code) ofProfile(id string) {
	if len(id) != 8 || !isHex(id) {
		c.warn(WrongSize)
	}
	id = strings.ToUpper(id)
	c.Maker = id[:min(4, len(id))]
	c.Model = id[len(c.Maker):]
}

func (c *Code) extensions(text string, parts []string) {
	at := len(parts[0]) + len(parts[1]) + len(parts[2]) + len(parts[3]) + len(parts[4]) + 4
	for _, part := range parts[5:] {
		before := text[:at]
		at += 1 + len(part)
		if part == "" {
			continue
		}
		value := part[1:]
		switch part[0] {
		case 'O', 'o': // proves to a join server whose the device is
			c.Secret, c.Secrets.Other = true, grid.Secret(value)
		case 'S', 's':
			c.Serial = value
		case 'P', 'p': // what makers write here is theirs, a key too
			c.Secret = true
			c.key(value)
		case 'C', 'c':
			if !strings.EqualFold(value, fmt.Sprintf("%04X", crc16(before))) {
				c.warn(WrongSum)
			}
		}
	}
}

// key keeps what may be an AppKey.
func (c *Code) key(value string) {
	if i := strings.LastIndexAny(value, "=_"); i >= 0 {
		value = value[i+1:]
	}
	if len(value) == 32 && isHex(value) {
		c.Secret, c.Secrets.AppKey = true, grid.Secret(value)
	}
}

// readDraft reads the drafts: parts between ":" or, in the oldest, "_".
func readDraft(rest string) (Code, bool) {
	parts := strings.FieldsFunc(rest, func(r rune) bool { return r == ':' || r == '_' })
	if len(parts) < 2 {
		return Code{}, false
	}
	c, ok := lorawan(parts[0], parts[1])
	if !ok {
		return Code{}, false
	}
	c.warn(Deprecated)
	for i, part := range parts[2:] {
		switch {
		case i == 0 && len(part) == 8 && isHex(part):
			c.ofProfile(part)
		case i == 0:
			c.Model = part
		default: // owner tokens and keys, which the drafts do not tell apart from the rest
			c.Secret = true
			c.key(part)
		}
	}
	return c, true
}
