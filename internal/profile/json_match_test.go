package profile_test

import (
	"strings"
	"testing"

	"gridgate/internal/profile"
)

// As codecs of device makers have it: units behind values, remarks in brackets.
const remarks = `
codec: json
fields:
  - {name: v, path: Volt, match: '^[\d.]+'}
  - {name: weak, path: Volt, match: '\((low battery)\)', enum: {low battery: "yes"}}
  - {name: gap, path: level, match: '^(\d+) mm$', scale: 0.001}
  - {name: fire, match: '^fire: (\w+)', enum: {"yes": "yes", "no": "no"}}
signals:
  battery.voltage: v
  battery.low: {field: weak, is: "yes"}
  manhole.gap: gap
  smoke.alarm: {field: fire, is: "yes"}
`

func TestAPartOfATextIsAValue(t *testing.T) {
	p := parse(t, remarks)
	for text, want := range map[string]string{
		`{"Volt": "2.6(low battery)"}`:          "battery.voltage=2.6 battery.low=1",
		`{"Volt": 3.3}`:                         "battery.voltage=3.3",
		`{"Volt": "none"}`:                      "",
		`{"level": "1700 mm"}`:                  "manhole.gap=1.7",
		`{"level": "distance error [65535]"}`:   "",
		`{"fire": "fire: yes, in the kitchen"}`: "smoke.alarm=1",
		`{"fire": "fire: no"}`:                  "smoke.alarm=0",
		// Where a fire may hide, nothing is passed over.
		`{"fire": "FIRE"}`:                              `error: field "fire": "FIRE" does not match`,
		`{"fire": "fire: maybe"}`:                       `error: field "fire": "maybe" is none of no, yes`,
		`{"level": "` + strings.Repeat("1", 513) + `"}`: `error: field "gap": has 513 letters: want at most 512`,
	} {
		if got := brief(p.DecodePayload(1, []byte(text))); !same(got, want) {
			t.Errorf("%s: got %s: want %s", text, got, want)
		}
	}
}

func TestAMatchHasOneGroupAndIsForJSON(t *testing.T) {
	for body, want := range map[string]string{
		"codec: json\nfields: [{name: a, match: '(a)(b)'}]\nsignals: {temperature: a}\n":                                 "has 2 groups: want one, or none for the whole",
		"codec: json\nfields: [{name: a, match: '(a'}]\nsignals: {temperature: a}\n":                                     "field \"a\": match:",
		"codec: senml\nformat: json\nfields: [{name: a, path: \"*a\", match: a}]\nsignals: {temperature: a}\n":           "match is for json and javascript",
		"codec: binary\nlayouts: [{name: x, fields: [{name: a, match: a}]}]\nsignals: {temperature: a}\n":                "match is for json and javascript",
		"codec: text\nlines: [{name: x, match: '(?P<a>.)', fields: [{name: a, match: a}]}]\nsignals: {temperature: a}\n": "match is for json and javascript",
	} {
		if _, err := profile.Parse([]byte(head + body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %s", body, err, want)
		}
	}
}
