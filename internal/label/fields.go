package label

import (
	"regexp"
	"strings"

	"gridgate/internal/grid"
)

// Many makers print names and values: "DevEUI: …, SN: …, AppKey: …", as lines, as JSON or as the
// query of an address. What the names mean is the same everywhere.
var (
	field = regexp.MustCompile(`(?i)(?:^|[^0-9a-z_])(` +
		`dev[_ -]?eui|eui[_ -]?64|eui|ieee(?:[_ -]?addr(?:ess)?)?|imei|imsi|(?:wifi[_ -]?|ble[_ -]?)?mac(?:[_ -]?addr(?:ess)?)?|` +
		`s/?n|serial(?:[_ -]?(?:no\.?|number))?|序列号|编号|` +
		`model|type|product|p/?n|型号|maker|vendor|brand|manufacturer|厂家|品牌|` + secretNames +
		`)["']?\s*[:=：]\s*["']?([^\s;,|&"'}]+)`)
	secretName = regexp.MustCompile(`^(?i)(?:` + secretNames + `)$`)
	secretPair = regexp.MustCompile(`(?i)(?:^|[^0-9a-z])(?:` + secretNames + `)["']?\s*[:=：]\s*["']?[^\s;,|&"'}]`)
	longHex    = regexp.MustCompile(`(?i)(?:^|[^0-9a-z])[0-9a-f]{32,}(?:$|[^0-9a-z])`)
)

const secretNames = `(?:gen[_ -]?)?(?:app|nwk|network|net|join)?[_ -]?(?:s|root)?[_ -]?key|psk|pass(?:word|code|phrase)?|pwd|pin|puk|secret|(?:owner|claim|auth|access)?[_ -]?token|install[_ -]?code|口令|密码|密钥`

func readFields(text string) (Code, bool) {
	c := Code{Kind: Plain}
	for _, m := range field.FindAllStringSubmatch(text, -1) {
		c.field(strings.ToLower(m[1]), m[2])
	}
	if c.Secret = c.Secret || looksSecret(text); len(c.Identities) == 0 && c.Secrets == (Secrets{}) {
		return Code{}, false
	}
	return c, true
}

func (c *Code) field(name, value string) {
	switch {
	case secretName.MatchString(name):
		c.secretField(name, value)
	case strings.Contains(name, "eui") || strings.HasPrefix(name, "ieee"):
		c.add(named("eui", value)...)
	case name == "imei":
		if d := withoutGaps(value); len(d) == 15 && isDigits(d) && !luhn(d) {
			c.warn(WrongLuhn)
		}
		c.add(named("imei", value)...)
	case strings.Contains(name, "mac"):
		c.add(named("mac", value)...)
	case name == "sn" || name == "s/n" || strings.HasPrefix(name, "serial") || name == "序列号" || name == "编号":
		c.Serial = value
		c.add(identity("sn", value))
	case name == "model" || name == "type" || name == "product" || name == "pn" || name == "p/n" || name == "型号":
		c.Model = value
	case name != "imsi":
		c.Maker = value
	}
}

func (c *Code) secretField(name, value string) {
	c.Secret = true
	switch digits := onlyHex(value); {
	case strings.Contains(name, "psk") && len(digits) >= 32 && len(digits)%2 == 0:
		c.Secrets.PSK = grid.Secret(digits)
	case strings.Contains(name, "app") && len(digits) == 32:
		c.Secrets.AppKey = grid.Secret(digits)
	default:
		c.Secrets.Other = grid.Secret(value)
	}
}

// looksSecret reports whether a text has what may be a key in it: then it is not shown again.
func looksSecret(text string) bool { return secretPair.MatchString(text) || longHex.MatchString(text) }
