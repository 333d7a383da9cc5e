package label

import (
	"regexp"
	"strings"

	"gridgate/internal/grid"
)

// readers of one number alone. Each takes the spellings that makers print.
type numbers struct{ imei, eui, mac, serial *regexp.Regexp }

func spellings() numbers {
	return numbers{
		imei:   regexp.MustCompile(`^(?i)(?:urn:imei:|imei\s*[:：=]?\s*)?([0-9]{15})(?:\s*[;,]\s*(?:imsi\s*[:：=]?\s*)?[0-9]{15})?$`),
		eui:    regexp.MustCompile(`^(?i)(?:(?:dev)?[ _-]?eui(?:64|-64)?\s*[:：=]?\s*|ieee\s*[:：=]?\s*|0x)?((?:[0-9a-f]{2}[:. -]?){7}[0-9a-f]{2}|(?:[0-9a-f]{4}[:. -]){3}[0-9a-f]{4})$`),
		mac:    regexp.MustCompile(`^(?i)(?:(?:mac|eui-?48|wifi mac)(?: address)?\s*[:：=]?\s*)?((?:[0-9a-f]{2}[:. -]?){5}[0-9a-f]{2}|(?:[0-9a-f]{4}[:. -]){2}[0-9a-f]{4}|[0-9a-f]{6}-[0-9a-f]{6})$`),
		serial: regexp.MustCompile(`^(?i)(?:s/?n|serial(?:\s*(?:no\.?|number))?|序列号|编号)(?:\s*[:：=]\s*|\s+)([0-9a-z][0-9a-z._/-]{2,63})$`),
	}
}

var spelled = spellings()

func readIMEI(text string) (Code, bool) {
	m := spelled.imei.FindStringSubmatch(withoutGaps(text))
	if m == nil {
		return Code{}, false
	}
	c := Code{Kind: IMEI}
	c.add(identity("imei", m[1]))
	if !luhn(m[1]) {
		c.warn(WrongLuhn)
	}
	return c, true
}

// withoutGaps takes spaces and dashes out from between digits.
func withoutGaps(text string) string {
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		between := i > 0 && i+1 < len(text) && isDigit(text[i-1]) && isDigit(text[i+1])
		if between && (text[i] == ' ' || text[i] == '-') {
			continue
		}
		out = append(out, text[i])
	}
	return string(out)
}

func readEUI(text string) (Code, bool) {
	m := spelled.eui.FindStringSubmatch(text)
	if m == nil {
		return Code{}, false
	}
	c := Code{Kind: EUI}
	c.euis(onlyHex(m[1]))
	return c, true
}

// euis adds what a device with an EUI-64 is known by: its EUI over LoRaWAN, and over Zigbee
// the address that a bridge names it by until somebody gives it another name.
func (c *Code) euis(digits string) {
	c.add(identity("eui", digits), identity("z2m", "0x"+digits))
	c.checkEUI(digits)
}

func readMAC(text string) (Code, bool) {
	m := spelled.mac.FindStringSubmatch(text)
	if m == nil || isDigits(text) { // twelve digits and nothing else are a number of goods
		return Code{}, false
	}
	c := Code{Kind: MAC}
	c.macs(onlyHex(m[1]))
	return c, true
}

// macs adds the address, and the EUI-64 that is made of it.
func (c *Code) macs(digits string) {
	c.add(identity("mac", digits), identity("eui", digits[:6]+"fffe"+digits[6:]))
	c.checkEUI(digits)
}

func readSerial(text string) (Code, bool) {
	m := spelled.serial.FindStringSubmatch(text)
	if m == nil {
		return Code{}, false
	}
	c := Code{Kind: SN, Serial: m[1]}
	c.add(identity("sn", m[1]))
	return c, true
}

func onlyHex(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && isHex(string(r)) {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

// Names of an identity by what a maker's pattern says that it is.
func named(kind, value string) []grid.Identity {
	var c Code
	switch kind {
	case "eui":
		if d := onlyHex(value); len(d) == 16 {
			c.euis(d)
		}
	case "mac":
		if d := onlyHex(value); len(d) == 12 {
			c.macs(d)
		}
	case "imei":
		if d := withoutGaps(value); len(d) == 15 && isDigits(d) {
			c.add(identity("imei", d))
		}
	default:
		c.add(identity(kind, value))
	}
	return c.Identities
}
