package profile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/profile"
)

const publishedDoor = `
profile: acme/door
version: "1"
vendor: Acme
model: Door
kinds: [door]
source: made up for this test
interval: 1h
codec: binary
layouts:
  - name: report
    when: {port: 1}
    fields: [{name: open}, {name: battery_v, scale: 0.1}]
signals: {door.open: open, battery.voltage: battery_v}
`

// oneVector runs one published message through the profile, with the vectors: block given.
func oneVector(t *testing.T, block string) profile.VectorResult {
	t.Helper()
	set, err := profile.Load(fstest.MapFS{
		"acme/door/profile.yaml": {Data: []byte(publishedDoor)},
		"acme/door/cases.yaml":   {Data: []byte("vectors:\n  models: [Acme Door]\n  fields:\n    state: {signal: door.open, is: open}\n    volt: {signal: battery.voltage}\n" + block)},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	line := `{"vendor":"Acme","model":"Door","kind":"door","fport":1,"hex":"0121","expected":{"state":"open","volt":2.3}}`
	if err := os.WriteFile(filepath.Join(dir, "devices.jsonl"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := set.Vectors(dir)
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	return results[0]
}

func TestAWrongPublishedValueIsNamedAndTheRestIsCompared(t *testing.T) {
	if r := oneVector(t, ""); r.State != profile.VectorFailed || !strings.Contains(r.Reason, "volt: got 3.3: want 2.3") {
		t.Errorf("without a word on it: got %s, %q", r.State, r.Reason)
	}
	r := oneVector(t, "  wrong: {\"0121\": {volt: the sign bit is no sign}}\n")
	if r.State != profile.VectorPassed || r.Compared != 1 || r.Reason != "volt: published as 2.3, is 3.3: the sign bit is no sign." {
		t.Errorf("called wrong: got %s with %d compared, %q", r.State, r.Compared, r.Reason)
	}
}

func TestARightPublishedValueMayNotBeCalledWrong(t *testing.T) {
	for block, want := range map[string]string{
		`{state: a guess, volt: a guess}`: "state: is called wrong, and 1 is right",
		`{volt: a guess, wind: a guess}`:  "wind: is called wrong, and is compared with nothing",
	} {
		if r := oneVector(t, "  wrong: {\"0121\": "+block+"}\n"); r.State != profile.VectorFailed || r.Reason != want {
			t.Errorf("%s: got %s, %q: want %q", block, r.State, r.Reason, want)
		}
	}
}
