package label

import (
	"net/url"
	"regexp"
	"strings"

	"gridgate/internal/grid"
)

// group ends a part of variable length in a GS1 element string (FNC1, as scanners hand it on).
const group = "\x1d"

var inBrackets = regexp.MustCompile(`\(([0-9]{2,4})\)([^()]*)`)

// readGS1 reads the codes of goods: element strings with brackets or FNC1, Digital Links, and a number alone.
// The number says what it is, not which: only a serial number (21) names a device.
func readGS1(text, symbology string) (Code, bool) {
	switch {
	case strings.HasPrefix(text, "("):
		return readBrackets(text)
	case strings.HasPrefix(strings.ToLower(text), "http"):
		return readDigitalLink(text)
	case len(text) >= 12 && len(text) <= 14 && isDigits(text):
		if !gs1Sum(text) {
			return Code{}, false
		}
		var c Code
		return c, c.element("01", strings.Repeat("0", 14-len(text))+text)
	}
	announced := symbology == "]C1" || symbology == "]d2" || symbology == "]Q3" || symbology == "]e0" || strings.HasPrefix(text, group)
	if !announced && (len(text) < 18 || text[:2] != "01" || !isDigits(text[:16]) || !gs1Sum(text[2:16])) {
		return Code{}, false
	}
	return readElements(strings.TrimPrefix(text, group))
}

func readBrackets(text string) (Code, bool) {
	var c Code
	ok := false
	for _, m := range inBrackets.FindAllStringSubmatch(text, -1) {
		ok = c.element(m[1], m[2]) || ok
	}
	return c, ok
}

func readElements(text string) (Code, bool) {
	var c Code
	ok := false
	for text = strings.TrimLeft(text, group); len(text) > 2; text = strings.TrimLeft(text, group) {
		ai := text[:aiSize(text)]
		value := text[len(ai):]
		if n := fixedSize(ai); n > 0 {
			value = value[:min(n, len(value))]
		} else if i := strings.Index(value, group); i >= 0 {
			value = value[:i]
		}
		text = text[len(ai)+len(value):]
		ok = c.element(ai, value) || ok
	}
	return c, ok
}

// aiSize is how long the identifier of a part is, by its first two digits.
func aiSize(text string) int {
	n := 2
	switch two := text[:2]; {
	case two >= "31" && two <= "36", two >= "39" && two <= "39", two >= "70" && two <= "89":
		n = 4
	case two >= "23" && two <= "25", two >= "40" && two <= "43":
		n = 3
	}
	return min(n, len(text))
}

// fixedSize is the length of the parts that end by themselves.
func fixedSize(ai string) int {
	switch two := ai[:2]; {
	case two == "00":
		return 18
	case two >= "01" && two <= "03":
		return 14
	case two == "04":
		return 16
	case two >= "11" && two <= "19":
		return 6
	case two == "20":
		return 2
	case two >= "31" && two <= "36":
		return 6
	case two == "41":
		return 13
	}
	return 0
}

func (c *Code) element(ai, value string) bool {
	c.Kind = GS1
	value = strings.TrimSpace(value)
	switch ai {
	case "01":
		if len(value) != 14 || !isDigits(value) {
			c.warn(WrongSize)
		} else if !gs1Sum(value) {
			c.warn(WrongSum)
		}
		c.Model = value
	case "21":
		c.Serial = value
		c.add(identity("sn", value))
	default:
		if looksSecret(value) { // what a firm writes into its own parts
			c.Secret, c.Secrets.Other = true, grid.Secret(value)
		}
		return false
	}
	return value != ""
}

// readDigitalLink reads an address that has the number in its path: …/01/<number>/21/<serial>.
func readDigitalLink(text string) (Code, bool) {
	u, err := url.Parse(text)
	if err != nil {
		return Code{}, false
	}
	parts := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	for i := 0; i+1 < len(parts); i++ {
		if parts[i] != "01" || len(parts[i+1]) != 14 || !isDigits(parts[i+1]) {
			continue
		}
		var c Code
		for ; i+1 < len(parts); i += 2 {
			value, err := url.PathUnescape(parts[i+1])
			if err != nil {
				return Code{}, false
			}
			c.element(parts[i], value)
		}
		if looksSecret(u.RawQuery) {
			c.Secret = true
		}
		return c, true
	}
	return Code{}, false
}
