package profile_test

import (
	"strings"
	"testing"

	"gridgate/internal/profile"
)

// A mask of the cases below: 1 has a distance, 2 codes, as many sensors send them above a limit.
const spans = `
codec: binary
layouts:
  - name: report
    fields:
      - {name: mm, type: u16}
      - {if: {field: mm, above: 100, below: 200}, fields: [{name: open}]}
signals:
  manhole.gap: {field: mm, scale: 0.001, when: {field: mm, above: 20, below: 60000}}
  fault: {field: mm, above: 59999}
  door.open: open
`

func TestAQuestionMayBeASpan(t *testing.T) {
	p := parse(t, spans)
	for hex, want := range map[string]string{
		"0014":    "fault=0",
		"0015":    "manhole.gap=0.021 fault=0",
		"ea5f":    "manhole.gap=59.999 fault=0",
		"ea60":    "fault=1",
		"0064":    "manhole.gap=0.1 fault=0",
		"0065 01": "door.open=1 manhole.gap=0.101 fault=0",
		"00c7 00": "door.open=0 manhole.gap=0.199 fault=0",
		"00c8":    "manhole.gap=0.2 fault=0",
	} {
		if got := brief(decode(t, p, 1, hex)); !same(got, want) {
			t.Errorf("%s: got %s: want %s", hex, got, want)
		}
	}
	for test, want := range map[string]string{
		"{field: mm, above: 2, is: 3}":    "is, not, above, below: want is, or not, or a span of above and below",
		"{field: mm, below: 2, not: 3}":   "is, not, above, below: want is, or not, or a span of above and below",
		"{field: mm, above: 3, below: 3}": "above 3 and below 3 leave nothing between them",
	} {
		_, err := profile.Parse([]byte(head + strings.Replace(spans, "{field: mm, above: 20, below: 60000}", test, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %s", test, err, want)
		}
	}
}

// Length, key, value: the length counts the key as well, as in an advertisement of Bluetooth.
const lengthBefore = `
codec: tlv
key: {size: 2, length: before}
records:
  - {keys: ["0b02"], fields: [{name: mm, type: u16}]}
  - {keys: ["3101"], fields: [{name: n, type: u16}]}
  - {keys: ["0c04"]}
signals: {manhole.gap: {field: mm, scale: 0.001}, temperature: n}
`

func TestALengthMayStandBeforeTheKeyItCounts(t *testing.T) {
	p := parse(t, lengthBefore)
	for hex, want := range map[string]string{
		"04 0b02 03e8":                 "manhole.gap=1",
		"04 0b02 03e8 04 3101 0005":    "manhole.gap=1 temperature=5",
		"05 7777 aabbcc 04 0b02 03e8":  "manhole.gap=1 warning: key 7777 at byte 1 is unknown",
		"03 0c04 01 04 0b02 0064":      "manhole.gap=0.1",
		"02 0c04 04 0b02 0064":         "manhole.gap=0.1",
		"04 0b02 03":                   "error: record 1: bytes 3 to 4 are outside a payload of 4",
		"03 0b02 03e8":                 "error: outside",
		"01 0b02 03e8":                 "error: record 1: byte 0 says it has 1 bytes: want 2 or more, for its key",
		"00":                           "error: record 1: byte 0 says it has 0 bytes: want 2 or more, for its key",
		"04 0b":                        "error: record 1: bytes 0 to 2 are outside a payload of 2",
		"04 0b02 03e8 ff":              "error: record 2: bytes 5 to 7 are outside a payload of 6",
		"05 0b02 03e8 00 04 3101 0005": "manhole.gap=1 temperature=5",
	} {
		if got := brief(decode(t, p, 1, hex)); !same(got, want) {
			t.Errorf("%s: got %s: want %s", hex, got, want)
		}
	}
	if _, err := profile.Parse([]byte(head + strings.Replace(lengthBefore, "before", "behind", 1))); err == nil || !strings.Contains(err.Error(), "want none, u8, u16 or before") {
		t.Errorf("length behind: got %v", err)
	}
}

const bareKeys = `
codec: tlv
key: {size: 1}
records:
  - {keys: ["00"], skip: 0}
  - {keys: ["09"], fields: [{name: door}]}
signals: {door.open: door}
`

func TestAKeyMayBeAllThereIs(t *testing.T) {
	p := parse(t, bareKeys)
	for hex, want := range map[string]string{
		"00":          "",
		"00 00 09 01": "door.open=1",
		"09 00 00":    "door.open=0",
	} {
		if got := brief(decode(t, p, 1, hex)); got != want {
			t.Errorf("%s: got %q: want %q", hex, got, want)
		}
	}
	_, err := profile.Parse([]byte(head + strings.Replace(bareKeys, ", skip: 0", "", 1)))
	if err == nil || !strings.Contains(err.Error(), "want fields, or skip with the length of the value") {
		t.Errorf("a record without fields and skip: got %v", err)
	}
}

func TestATextWithACommaWantsQuotes(t *testing.T) {
	_, err := profile.Parse([]byte(head + strings.Replace(bareKeys, "{keys: [\"00\"], skip: 0}", "{name: light, presence and so on, keys: [\"00\"], skip: 0}", 1)))
	if want := `unknown key "presence and so on": want quotes around a text that has a comma or a colon in it?`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v: want %s", err, want)
	}
}

func TestARuleOfAListMayBeAFieldsName(t *testing.T) {
	const body = "codec: json\nfields: [{name: a}, {name: b}]\nsignals: {tamper: [a, {field: b, is: 2}]}\n"
	p := parse(t, body)
	for text, want := range map[string]string{`{"a":1}`: "tamper=1", `{"a":0,"b":2}`: "tamper=1", `{"a":0,"b":1}`: "tamper=0"} {
		if got := brief(p.DecodePayload(1, []byte(text))); got != want {
			t.Errorf("%s: got %s: want %s", text, got, want)
		}
	}
	for rules, want := range map[string]string{
		"[a, {field: b, si: 2}]": `line 11: unknown key "si"`,
		"[a, c]":                 `no field is called "c": want a?`,
	} {
		_, err := profile.Parse([]byte(head + strings.Replace(body, "[a, {field: b, is: 2}]", rules, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %s", rules, err, want)
		}
	}
}
