package profile_test

import (
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func TestLinesAreReadByTheFirstExpressionThatMatches(t *testing.T) {
	p := parse(t, `
codec: text
time: {field: at, zone: "+08:00"}
counter: {source: payload, field: n, bits: 16}
lines:
  - name: tilt
    match: '^T=(?P<tilt>-?\d+)(?: C=(?P<n>\d+))?(?: @(?P<at>.*))?$'
    fields: [{name: tilt, scale: 0.1, range: [-90, 90]}, {name: n}, {name: at, type: time}]
  - {name: cover, match: '^COVER (?P<what>\S+)$', fields: [{name: cover, group: what, enum: {OPEN: open, SHUT: shut}}]}
  - {name: raw, match: '^R (?P<v>[0-9A-Fx]+)$', fields: [{name: level, group: v, type: hex, scale: 0.01, absent: "FFFF"}]}
  - {name: ok, match: '^OK$', answer: true}
  - {name: boot, match: '^BOOT', restart: true}
signals: {manhole.tilt: tilt, manhole.open: {field: cover, is: open}, manhole.level: level}
`)
	for payload, want := range map[string]string{
		"T=-125":                    "manhole.tilt=-12.5",
		"T=5\r\nCOVER OPEN\r\n":     "manhole.tilt=0.5 manhole.open=1",
		"COVER SHUT\n\n\n":          "manhole.open=0",
		"R 0xFF\nR2":                "manhole.level=2.55 warning: line 2: \"R2\" is of no kind we know",
		"R FFFF":                    "",
		"OK":                        "",
		"BOOT 1.2":                  "",
		"T=1\nT=2":                  `error: line 2: "tilt" comes again: want each: true`,
		"COVER AJAR":                "error: nothing could be read: field \"cover\": \"AJAR\" is none of open, shut",
		"what":                      "error: nothing could be read: line 1: \"what\" is of no kind we know",
		"\r\n \n":                   "error: the payload has no lines",
		"COVER \xff\xfe\nT=3":       "manhole.tilt=0.3 warning: none of open, shut",
		strings.Repeat("a", 3_000):  "error: line 1: has 3000 bytes",
		strings.Repeat("OK\n", 300): "error: line 257",
	} {
		if payload == strings.Repeat("a", 3_000) || payload == strings.Repeat("OK\n", 300) {
			want = strings.Replace(want, "line 1: has", "line 1 has", 1)
		}
		if got := brief(p.DecodePayload(-1, []byte(payload))); !same(got, want) {
			t.Errorf("%.40q: got %s: want %s", payload, got, want)
		}
	}
	d, err := p.DecodePayload(-1, []byte("T=1 C=7 @2026-05-01 12:30:05"))
	if err != nil || d.Sequence != 7 || formatTime(d) != "2026-05-01T04:30:05Z" {
		t.Errorf("got %+v, %v", d, err)
	}
	if d, err := p.DecodePayload(-1, []byte("BOOT\nOK")); err != nil || !d.Restart || d.Answer {
		t.Errorf("got %+v, %v", d, err)
	}
	if d, err := p.DecodePayload(-1, []byte("OK")); err != nil || !d.Answer {
		t.Errorf("got %+v, %v", d, err)
	}
}

func formatTime(d grid.Decoded) string { return d.DeviceTime.Format("2006-01-02T15:04:05Z07:00") }

const panel = `
codec: text
lines:
  - name: event
    match: '^(?P<what>[A-Z]+) (?P<loop>\d+)-(?P<addr>\d+)(?: (?P<at>[\d/: -]+))?$'
    channel: "{loop}.{addr}"
    time: {field: at}
    fields: [{name: what, enum: {FIRE: fire, OK: normal, TEST: test}}, {name: at, type: time}]
signals:
  smoke.alarm: {field: what, is: fire, clear: normal}
  test: {field: what, is: test, clear: normal}
`

func TestEachLineHasItsOwnChannelAndTime(t *testing.T) {
	p := parse(t, panel)
	got := brief(p.DecodePayload(-1, []byte("FIRE 1-023 2026/05/01 12:30:05\nOK 2-007 260501123006\nFIRE 2-008\n")))
	want := "smoke.alarm@1.023=1 at 2026-05-01T12:30:05Z smoke.alarm@2.007=0 at 2026-05-01T12:30:06Z test@2.007=0 at 2026-05-01T12:30:06Z smoke.alarm@2.008=1"
	if got != want {
		t.Errorf("got %s: want %s", got, want)
	}
	if _, err := p.DecodePayload(-1, []byte("OK 1-1\nFYRE 1-023")); err == nil || !strings.Contains(err.Error(), `field "what": "FYRE" is none of fire, normal, test`) {
		t.Errorf("a fire may hide there: got %v", err)
	}
}

func TestUnknownLinesAreErrorsOrNothingWhereTheProfileSaysSo(t *testing.T) {
	p := parse(t, strings.Replace(panel, "codec: text", "codec: text\nunknown_line: error", 1))
	if _, err := p.DecodePayload(-1, []byte("FIRE 1-1\nhello")); err == nil || !strings.Contains(err.Error(), `line 2: "hello" is of no kind we know`) {
		t.Errorf("got %v", err)
	}
	p = parse(t, strings.Replace(panel, "codec: text", "codec: text\nunknown_line: ignore", 1))
	if d, err := p.DecodePayload(-1, []byte("hello")); err != nil || d.Warnings != nil || d.Readings != nil {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestPairsAreReadByKey(t *testing.T) {
	p := parse(t, `
codec: text
lines:
  - name: report
    match: '^\$REP;'
    pairs: {between: ";"}
    fields: [{name: open, group: DOOR, enum: {O: open, C: shut}}, {name: volts, group: BAT, absent: ["--"]}, {name: temperature, group: T}]
signals: {door.open: {field: open, is: open}, battery.voltage: volts, temperature: temperature}
`)
	for payload, want := range map[string]string{
		"$REP;DOOR=O;BAT = 3.6 ;X=1": "door.open=1 battery.voltage=3.6",
		"$REP;T=-5;BAT=--;DOOR=C":    "door.open=0 temperature=-5",
		"$REP;T=a;DOOR=C":            `door.open=0 warning: field "temperature": "a" is no number`,
		"$REP;DOOR=C;DOOR=O":         "door.open=0",
		"$REP;T=;DOOR=C":             "door.open=0 warning: no number",
		"$REP":                       "error: of no kind we know",
	} {
		if got := brief(p.DecodePayload(-1, []byte(payload))); !same(got, want) {
			t.Errorf("%s: got %s: want %s", payload, got, want)
		}
	}
}

func TestHexWithinALineIsReadAsBytes(t *testing.T) {
	p := parse(t, `
codec: text
lines:
  - name: message
    match: '^\+NNMI:(?P<length>\d+),(?P<data>[0-9A-Fa-f ]+)$'
    hex: data
    layout: [{name: open}, {name: volts, type: u16, scale: 0.001}]
signals: {door.open: open, battery.voltage: volts}
`)
	if got := brief(p.DecodePayload(-1, []byte("+NNMI:3,010BB8\r\n"))); !same(got, "door.open=1 battery.voltage=3") {
		t.Errorf("got %s", got)
	}
	for payload, want := range map[string]string{"+NNMI:2,010B": `field "volts": bytes 1 to 2`, "+NNMI:2,010": "no hexadecimal"} {
		if _, err := p.DecodePayload(-1, []byte(payload)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v: want %s", payload, err, want)
		}
	}
}

func TestGB18030IsRead(t *testing.T) {
	p := parse(t, `
codec: text
encoding: gb18030
lines:
  - {name: event, match: '^(?P<addr>\d+)号(?P<what>火警|复位)', channel: "{addr}", fields: [{name: what, enum: {火警: fire, 复位: normal}}]}
signals: {smoke.alarm: {field: what, is: fire}}
`)
	// 023号火警, and 007号复位 with a byte that is no letter behind it.
	got := brief(p.DecodePayload(-1, []byte("023\xba\xc5\xbb\xf0\xbe\xaf\n007\xba\xc5\xb8\xb4\xce\xbb\xff")))
	if got != "smoke.alarm@023=1 smoke.alarm@007=0" {
		t.Errorf("got %s", got)
	}
}

func TestSlowExpressionsEndInAnError(t *testing.T) {
	p := parse(t, `
codec: text
lines:
  - {name: slow, match: '(a|a?b|a?c){60}(?P<x>\d)$', fields: [{name: x}]}
signals: {temperature: x}
`)
	payload := strings.Repeat(strings.Repeat("abac", 500)+"\n", 32)
	if _, err := p.DecodePayload(-1, []byte(payload)); err == nil || !strings.Contains(err.Error(), "steps to read") {
		t.Errorf("got %v", err)
	}
}

func TestTextErrorsNameTheKeyAndTheWish(t *testing.T) {
	line := func(s string) string {
		return "codec: text\nlines: [{name: a, " + s + "}]\nsignals: {temperature: x}\n"
	}
	for _, c := range []struct{ yaml, want string }{
		{line("match: '(', fields: [{name: x}]"), "match: error parsing regexp"},
		{line("match: '(?P<y>.)', fields: [{name: x}]"), `field "x": no group is called "x": match has y`},
		{line("fields: [{name: x}]"), "want match, a regular expression, or pairs"},
		{line("match: '(?P<x>.)', channel: '{addr}', fields: [{name: x}]"), `channel: no group is called "addr"`},
		{line("match: '(?P<x>.)', hex: x"), "hex and layout: want both or none"},
		{line("match: '(?P<x>.)', hex: y, layout: [{name: x}]"), `hex: no group is called "y"`},
		{line("match: '(?P<x>.)', fields: [{name: x, at: 1}]"), "want group"},
		{line("match: '(?P<x>.)', fields: [{name: x, type: u8}]"), `type is "u8": want time, hex, or none`},
		{line("match: '(?P<x>.)', answer: true, fields: [{name: x}]"), "an answer carries no reading"},
		{line("match: '(((a{30}){30}){30}){30}', fields: [{name: x}]"), "match: "},
		{line("match: '(a|b|c|d){999}', fields: [{name: x}]"), "steps: want at most 1000"},
		{"encoding: latin1\n" + line("match: '(?P<x>.)', fields: [{name: x}]"), `encoding is "latin1": want utf-8 or gb18030`},
		{"unknown_line: panic\n" + line("match: '(?P<x>.)', fields: [{name: x}]"), `unknown_line is "panic": want warn, error or ignore`},
		{oneField("{name: x, group: y}"), "path is for json and group for text"},
		{"encoding: utf-8\n" + oneField("{name: x}"), "encoding has no place in a binary profile"},
	} {
		if _, err := profile.Parse([]byte(head + c.yaml)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v: want %s\n%s", err, c.want, c.yaml)
		}
	}
}
