package envelope

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// maxIdentity bounds an identity; it is a key in many places.
const maxIdentity = 128

// makeIdentity puts kind and name into the one form an identity has: "<kind>:<name>" in
// lower case, no control characters, no MQTT wildcards, at most 128 bytes; an EUI has 16
// hex digits.
func makeIdentity(kind, name string) (grid.Identity, string) {
	if !utf8.ValidString(name) {
		return "", "identity is not UTF-8" // ToLower would hide it
	}
	kind, name = strings.ToLower(kind), strings.ToLower(name)
	if len(kind)+1+len(name) > maxIdentity {
		return "", fmt.Sprintf("identity has %d bytes: want at most %d", len(kind)+1+len(name), maxIdentity)
	}
	if !validKind(kind) {
		return "", fmt.Sprintf("identity %q has no kind: want for example eui:, imei:, sn:", kind+":"+name)
	}
	if name == "" {
		return "", fmt.Sprintf("identity %s: has no name", kind)
	}
	if kind == "eui" && !isEUI(name) {
		return "", fmt.Sprintf("identity eui:%s: want 16 hex digits", truncate(name))
	}
	for _, r := range name {
		if !validRune(kind, r) {
			return "", fmt.Sprintf("identity %s:%q: has the character %q", kind, name, r)
		}
	}
	return grid.Identity(kind + ":" + name), ""
}

// parseIdentity reads an identity that is given whole. Sixteen hex digits alone are an EUI.
func parseIdentity(s string) (grid.Identity, string) {
	if isEUI(strings.ToLower(s)) {
		return makeIdentity("eui", s)
	}
	kind, name, ok := strings.Cut(s, ":")
	if !ok {
		return "", fmt.Sprintf("identity %q has no kind: want for example eui:, imei:, sn:", truncate(s))
	}
	return makeIdentity(kind, name)
}

// ParseIdentity reads an identity as a person writes it; note says what is wrong with it.
func ParseIdentity(s string) (id grid.Identity, note string) { return parseIdentity(s) }

func validKind(kind string) bool {
	if len(kind) < 2 || len(kind) > 16 {
		return false
	}
	for i := range len(kind) {
		if c := kind[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9' || i == 0) {
			return false
		}
	}
	return true
}

func isEUI(s string) bool {
	if len(s) != 16 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isNamed reports whether people name devices of a kind as they like: those of Zigbee
// bridges, Tasmota, Sparkplug and The Things Stack. Hardware has plain numbers.
func isNamed(kind string) bool {
	return kind == "z2m" || kind == "tasmota" || kind == "spb" || kind == "tts"
}

// validRune says what a name may have in it.
func validRune(kind string, r rune) bool {
	switch {
	case r == '#' || r == '+' || r == '?' || r == '%':
		return false
	case r < utf8.RuneSelf:
		return r > ' ' && r != 0x7f && r != '"' && r != '\\' || r == ' ' && isNamed(kind)
	}
	return isNamed(kind) && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}
