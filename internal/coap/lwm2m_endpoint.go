package coap

import (
	"net/url"
	"strings"

	"gridgate/internal/grid"
)

// endpointKinds are the kinds of identity that an endpoint name may say it is. Of other
// wires' devices (modbus:…, gb26875:…) nobody speaks here.
var endpointKinds = []string{"imei", "eui", "sn", "ep"}

// identityOf makes an identity of an endpoint name (LwM2M 1.1, 7.4.1):
//
//	imei:… eui:… sn:…                      as it is
//	urn:imei:… urn:imei-imsi:<imei>-…      imei:<imei>; urn:imei-msisdn: too
//	15 digits, <15 digits>;<imsi>          imei:…, where the last digit proves it
//	urn:dev:mac:… of 16 hex digits, 16 hex digits   eui:…
//	anything else                          ep:<name>
//
// in lower case. note says why a name cannot be one.
func (t *Transport) identityOf(endpoint string) (id grid.Identity, note string) {
	id, _, note = t.cfg.Identify("/up/"+url.PathEscape(identityText(endpoint)), nil)
	return id, note
}

func identityText(endpoint string) string {
	s := strings.ToLower(endpoint)
	if kind, name, ok := strings.Cut(s, ":"); ok && name != "" {
		for _, k := range endpointKinds {
			if kind == k {
				return s
			}
		}
	}
	for _, prefix := range []string{"urn:imei:", "urn:imei-imsi:", "urn:imei-msisdn:"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			imei, _, _ := strings.Cut(rest, "-")
			if isDigits(imei) {
				return "imei:" + imei
			}
		}
	}
	if mac, ok := strings.CutPrefix(s, "urn:dev:mac:"); ok && isHex16(mac) {
		return "eui:" + mac
	}
	if isHex16(s) {
		return "eui:" + s
	}
	if imei, _, _ := strings.Cut(s, ";"); isIMEI(imei) {
		return "imei:" + imei
	}
	return "ep:" + s
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
func isHex16(s string) bool  { return len(s) == 16 && strings.Trim(s, "0123456789abcdef") == "" }

// isIMEI reports whether s is 15 digits of which the last one is right (ITU-T E.118, Luhn).
func isIMEI(s string) bool {
	if len(s) != 15 || !isDigits(s) {
		return false
	}
	sum := 0
	for i := range len(s) {
		d := int(s[i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
