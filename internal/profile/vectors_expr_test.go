package profile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/profile"
)

const twoAngles = `
profile: acme/lid
version: "1"
vendor: Acme
model: Lid
kinds: [manhole]
source: made up for this test
interval: 1h
codec: binary
layouts:
  - name: report
    when: {port: 1}
    fields: [{name: x, type: i8}, {name: y, type: i8}, {name: open_1}, {name: open_2}]
signals:
  manhole.tilt: {expr: "max(abs(x), abs(y))"}
  manhole.open:
    - {field: open_1}
    - {field: open_2, channel: "2"}
`

const twoAnglesCases = `
cases: []
vectors:
  models: [Acme Lid]
  fields:
    tilt: {signal: manhole.tilt, expr: "max(abs(AngleX), abs(AngleY))"}
    about: {signal: manhole.tilt, round: 20}
    s1: {signal: manhole.open, is: 1}
    s2: {signal: manhole.open@2, is: 1}
`

func vectorsOf(t *testing.T, lines ...string) []profile.VectorResult {
	t.Helper()
	set, err := profile.Load(fstest.MapFS{
		"acme/lid/profile.yaml": {Data: []byte(twoAngles)},
		"acme/lid/cases.yaml":   {Data: []byte(twoAnglesCases)},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "devices.jsonl"), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := set.Vectors(dir)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestPublishedValuesAreComparedCombinedAndByChannel(t *testing.T) {
	const head = `{"vendor":"Acme","model":"Lid","fport":1,"hex":"05ce0100","expected":`
	for _, c := range []struct{ expected, state, reason string }{
		{`{"AngleX":5,"AngleY":-50,"s1":1,"s2":0}`, profile.VectorPassed, ""},
		{`{"AngleX":5,"AngleY":-49,"s1":1,"s2":0}`, profile.VectorFailed, "tilt: got 50: want 49"},
		{`{"AngleX":5,"AngleY":-50,"s1":1,"s2":1}`, profile.VectorFailed, "s2: got 0: want 1"},
		{`{"AngleX":5,"s1":1}`, profile.VectorFailed, "the message has 1 of its 2 fields"},
		{`{"s1":1}`, profile.VectorPassed, ""},
		{`{"about":60}`, profile.VectorPassed, ""},
		{`{"about":40}`, profile.VectorFailed, "about: got 60: want 40"},
	} {
		r := vectorsOf(t, head+c.expected+"}")[0]
		if r.State != c.state || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: got %s %q: want %s %q", c.expected, r.State, r.Reason, c.state, c.reason)
		}
	}
}
