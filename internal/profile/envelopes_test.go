package profile_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func TestEnvelopeVectorsAreDecodedByTheProfileOfTheirModelAndCompared(t *testing.T) {
	dir := t.TempDir()
	// ws301 says 100 % and open; the messages of this test have payload and port alone.
	const lines = `{"platform":"a","vendor":"Milesight","model":"WS301 (Door)","kind":"door","envelope":{"port":85,"hex":"017564030001"},"expected_result":{"telemetry":[{"values":{"battery":100}}]}}
{"platform":"a","vendor":"Milesight","model":"WS301","kind":"door","envelope":{"port":85,"hex":"017564030001"},"expected_result":[{"telemetry":[{"values":{"battery":99}}]}]}
{"platform":"b","vendor":"Nobody","model":"X1","kind":"door","envelope":{"port":85,"hex":"01"},"expected_result":{}}
{"platform":"b","vendor":"Milesight","model":"WS301","kind":"door","envelope":{"port":85,"hex":"0175"},"expected_result":{}}
{"platform":"b","vendor":"Milesight","model":"WS301","kind":"door","envelope":{"port":-7},"expected_result":{}}
`
	if err := os.WriteFile(filepath.Join(dir, "envelopes.jsonl"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := loadAll(t).EnvelopeVectors(dir, func(platform string, message []byte) (grid.Frame, error) {
		var m struct {
			Port int
			Hex  string
		}
		if err := json.Unmarshal(message, &m); err != nil || m.Port < 0 {
			return grid.Frame{}, errors.New("cannot be opened")
		}
		payload, err := profile.ParseHex(m.Hex)
		return grid.Frame{Uplink: grid.Uplink{Port: m.Port, Payload: payload}}, err
	})
	if err != nil || len(results) != 5 {
		t.Fatalf("got %d results, %v", len(results), err)
	}
	for i, want := range []struct{ state, reason string }{
		{profile.VectorPassed, ""}, {profile.VectorFailed, "battery: got 100: want 99"}, {profile.VectorNoProfile, ""}, {profile.VectorFailed, "milesight/ws301"}, {profile.VectorFailed, "cannot be opened"},
	} {
		if r := results[i]; r.State != want.state || !strings.Contains(r.Reason, want.reason) || (want.reason == "") != (r.Reason == "") {
			t.Errorf("line %d: got %+v: want %+v", i+1, r, want)
		}
	}
	var table strings.Builder
	if err := profile.WriteEnvelopeTable(&table, results); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "a         1       1       0           1") {
		t.Errorf("table is\n%s", &table)
	}
}
