// Package label reads the codes on devices, boxes and doors, and draws the ones that we stick there
// ourselves. What is read is what a person may see: a key, a passcode or a token in a code is told
// apart as it is read, and stands nowhere but in Secrets.
package label

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// MaxText bounds a code: the largest QR code holds 2,953 bytes, and no maker comes near it.
const MaxText = 2048

// Kind is what sort of code it is.
type Kind string

const (
	TR005  Kind = "tr005"  // LoRa Alliance TR005, LW:D0:…
	Matter Kind = "matter" // MT:… or a manual pairing code
	IMEI   Kind = "imei"
	MAC    Kind = "mac" // EUI-48
	EUI    Kind = "eui" // EUI-64
	SN     Kind = "sn"  // a serial number that says so
	GW1    Kind = "gw1" // ours, on a device
	Point  Kind = "point"
	GS1    Kind = "gs1"
	Plain  Kind = "plain" // text, or what a maker prints in a form of his own
)

// Warning is what is odd about a code, in a word that the app has a sentence for.
type Warning string

const (
	WrongSum   Warning = "checksum"   // its checksum or check digit is not that of the rest
	WrongLuhn  Warning = "luhn"       // the check digit of an IMEI
	WrongSize  Warning = "length"     // a part is longer or shorter than it has to be
	Deprecated Warning = "deprecated" // a draft form that was given up
	EasyCode   Warning = "passcode"   // a passcode that everybody guesses: the device is not safe with it
	TestEUI    Warning = "test_eui"   // all zero or all F: a sample, no device
	TooLong    Warning = "too_long"   // more than MaxText: not read
)

// Code is what a code says.
type Code struct {
	Kind       Kind
	Identities []grid.Identity // by which the device may be known, the likeliest first
	Maker      string          // as the code says it: a name, or the maker's number
	Model      string
	Serial     string
	Point      string // of a plate
	Secret     bool   // something in it is not for eyes
	Warnings   []Warning
	Secrets    Secrets `json:"-"`
}

// Secrets is what was told apart. Its parts print as dots, and no JSON has them.
type Secrets struct {
	Token  grid.Secret `json:"-"` // ours: whoever shows it may claim the device, once
	AppKey grid.Secret `json:"-"` // of LoRaWAN: the network server's business
	PSK    grid.Secret `json:"-"` // of DTLS, hexadecimal
	Other  grid.Secret `json:"-"` // a passcode, a password, an owner's token
}

// Identity is the likeliest, or "".
func (c *Code) Identity() grid.Identity {
	if len(c.Identities) == 0 {
		return ""
	}
	return c.Identities[0]
}

func (c *Code) warn(w Warning) {
	if !slices.Contains(c.Warnings, w) {
		c.Warnings = append(c.Warnings, w)
	}
}

func (c *Code) add(ids ...grid.Identity) {
	for _, id := range ids {
		if id != "" && !slices.Contains(c.Identities, id) {
			c.Identities = append(c.Identities, id)
		}
	}
}

// Reader reads codes by the rules of every maker's own forms that it was given. Safe for
// concurrent use.
type Reader struct{ makers []pattern }

// Read reads a code as it was scanned or typed. It does not fail: what nobody knows is plain text.
func (r *Reader) Read(text string) Code {
	if len(text) > MaxText {
		return Code{Kind: Plain, Warnings: []Warning{TooLong}, Secret: true}
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "")
	}
	symbology, text := trim(text)
	for _, read := range []func(string) (Code, bool){readTR005, readMatter, readOurs, readIMEI, readEUI, readMAC, readSerial} {
		if c, ok := read(text); ok {
			return c
		}
	}
	if c, ok := readGS1(text, symbology); ok {
		return c
	}
	for i := range r.makers {
		if c, ok := r.makers[i].read(text); ok {
			return c
		}
	}
	if c, ok := readFields(text); ok {
		return c
	}
	return Code{Kind: Plain, Secret: looksSecret(text)}
}

// trim takes off what scanners put around a code: a byte-order mark, spaces, and the mark of the
// kind of bars (]C1, ]d2, ]Q3 …), which it tells.
func trim(text string) (symbology, rest string) {
	text = strings.TrimFunc(strings.TrimPrefix(text, "\uFEFF"), unicode.IsSpace)
	if len(text) > 3 && text[0] == ']' && isLetter(text[1]) && isDigit(text[2]) {
		return text[:3], text[3:]
	}
	return "", text
}

func isDigit(b byte) bool  { return b >= '0' && b <= '9' }
func isLetter(b byte) bool { return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' }

func isHex(s string) bool {
	for i := range len(s) {
		if b := s[i] | 0x20; !isDigit(s[i]) && (b < 'a' || b > 'f') {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// identity makes one in the form that all have: lower case, nothing that breaks a topic or a
// path, 128 bytes at most; "" if the name cannot be one.
func identity(kind, name string) grid.Identity {
	name = strings.ToLower(name)
	if name == "" || len(kind)+1+len(name) > 128 {
		return ""
	}
	for i := range len(name) {
		if b := name[i]; b <= ' ' || b >= 0x7F || strings.IndexByte(`#+?%"\`, b) >= 0 {
			return ""
		}
	}
	return grid.Identity(kind + ":" + name)
}
