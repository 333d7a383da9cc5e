package label

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"

	"gridgate/internal/grid"
)

// Our own codes:
//
//	GW1:P:<point>                the plate of a point
//	GW1:D:<identity>             a device
//	GW1:D:<identity>:T<token>    a device, and a token that claims it once
//
// The codes of devices are written in capitals where that changes nothing: QR codes hold them in less room.
const (
	ours       = "GW1:"
	tokenBytes = 16
	tokenChars = 26
)

// PlateCode is what stands on the plate of a point.
func PlateCode(point string) string { return ours + "P:" + point }

// DeviceCode is what stands on a device; token may be empty.
func DeviceCode(id grid.Identity, token grid.Secret) string {
	code := ours + "D:" + strings.ToUpper(string(id))
	if token != "" {
		code += ":T" + string(token)
	}
	return code
}

// NewToken makes a claim token.
func NewToken() grid.Secret {
	b := make([]byte, tokenBytes)
	rand.Read(b) // never fails
	return grid.Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// TokenHash is all that is kept of a token: it has 128 random bits, so that one plain hash is enough.
func TokenHash(token grid.Secret) string {
	sum := sha256.Sum256([]byte("gridgate claim token " + strings.ToUpper(string(token))))
	return hex.EncodeToString(sum[:])
}

func readOurs(text string) (Code, bool) {
	if len(text) < len(ours)+3 || !strings.EqualFold(text[:len(ours)], ours) || text[len(ours)+1] != ':' {
		return Code{}, false
	}
	rest := text[len(ours)+2:]
	switch text[len(ours)] {
	case 'P', 'p':
		return Code{Kind: Point, Point: rest}, true
	case 'D', 'd':
		return readDevice(rest)
	}
	return Code{}, false
}

func readDevice(rest string) (Code, bool) {
	c := Code{Kind: GW1}
	if i := strings.LastIndexByte(rest, ':'); i > 0 && isToken(rest[i+1:]) {
		c.Secret, c.Secrets.Token = true, grid.Secret(strings.ToUpper(rest[i+2:]))
		rest = rest[:i]
	}
	kind, name, ok := strings.Cut(strings.ToLower(rest), ":")
	if !ok || kind == "" || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return Code{}, false
	}
	c.add(identity(kind, name))
	return c, len(c.Identities) > 0
}

func isToken(s string) bool {
	if len(s) != 1+tokenChars || s[0]|0x20 != 't' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isLetter(s[i]) && (s[i] < '2' || s[i] > '7') {
			return false
		}
	}
	return true
}
