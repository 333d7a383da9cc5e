package gatetest_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

type codeVector struct {
	Name, Input string
	Hidden      []string
	Want        struct {
		Kind     string
		Identity grid.Identity
	}
}

func codeVectors(t *testing.T) []codeVector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(gatetest.Root(t), "internal", "label", "testdata", "codes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Vectors []codeVector }
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Vectors
}

// TestSecretsOfCodesAreNowhere reads and claims with every code that has a secret, through the API
// and the command line, and then looks for the secrets in every file that the gateway has.
func TestSecretsOfCodesAreNowhere(t *testing.T) {
	g := newGateway(t, "log: {level: debug}")
	g.start(t)
	var points strings.Builder
	points.WriteString("points:\n")
	for i := range codeVectors(t) {
		fmt.Fprintf(&points, "  - {id: p-%d, name: a door, kind: door, mode: simulated}\n", i)
	}
	g.put(t, points.String())
	var answers strings.Builder
	note := func(v any, err error) {
		b, _ := json.Marshal(v)
		fmt.Fprintf(&answers, "%s %v\n", b, err)
	}
	var hidden []string
	for i, v := range codeVectors(t) {
		if len(v.Hidden) == 0 {
			continue
		}
		hidden = append(hidden, v.Hidden...)
		note(g.api.ReadCode(t.Context(), v.Input))
		id := v.Want.Identity
		if id == "" {
			id = "sn:none"
		}
		point := fmt.Sprintf("p-%d", i)
		note(g.api.Claim(t.Context(), id, api.Claim{Profile: "gridgate/json", Mode: grid.Simulated, Code: v.Input, KeepSecret: true, Installations: []api.ClaimChannel{{Point: point}}}))
		note(g.gridgate(t, "code", "read", v.Input), nil)
		note(g.gridgate(t, "--json", "code", "read", v.Input), nil)
	}
	if creds, err := g.api.Credentials(t.Context(), "imei:867413050000014"); err != nil || len(creds.Items) != 1 {
		t.Errorf("credentials are %+v, %v: want the key of the code that has one", creds, err)
	}
	note(g.api.Credentials(t.Context(), "imei:867413050000014"))
	g.settled(t)
	g.Kill() // the log of the database is not folded in: it is looked through too

	said := answers.String()
	files := 0
	err := filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files++
		look(t, strings.TrimPrefix(path, g.dir), b, hidden)
		return err
	})
	if err != nil || files < 5 {
		t.Fatalf("%d files, %v", files, err)
	}
	look(t, "the answers", []byte(said), hidden)
	look(t, "the log", []byte(g.Output(t)), hidden)
}

func look(t *testing.T, where string, b []byte, hidden []string) {
	t.Helper()
	lower := bytes.ToLower(b)
	for _, h := range hidden {
		if bytes.Contains(lower, []byte(strings.ToLower(h))) {
			t.Errorf("%s holds %s", where, h)
		}
		if raw, err := hex.DecodeString(h); err == nil && len(raw) >= 16 && bytes.Contains(b, raw) {
			t.Errorf("%s holds %s, as bytes", where, h)
		}
	}
}

func TestAStrangerIsFoundSetAsideAndClaimedAndAKillLosesNothing(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, "points:\n  - {id: m-1, name: a cover, kind: manhole, mode: simulated}\n")
	told := make(chan grid.Discovered, 1)
	go g.api.Stream(t.Context(), func(m api.Message) error {
		var d grid.Discovered
		if m.Name == "discovered" && json.Unmarshal(m.Data, &d) == nil {
			told <- d
			return errors.New("that is all")
		}
		return nil
	})
	time.Sleep(50 * time.Millisecond) // that the stream is open can only be hoped for: the next frame comes anyway
	d := connect(t, g.broker)
	const n = 1200
	for i := range n {
		d.send(t, "gridgate/up/sn:stranger", fmt.Appendf(nil, `{"seq":%d,"manhole.open":%t}`, i+1, i == n-1))
	}
	g.settled(t)
	select {
	case got := <-told:
		if got.Identity != "sn:stranger" || got.Guess == "" {
			t.Errorf("the stream told of %+v", got)
		}
	default:
		t.Log("the stream was not open yet when the stranger came")
	}
	s, err := g.api.Stranger(t.Context(), "sn:stranger", "", 5)
	if err != nil || s.Count != n || len(s.Heard) != 5 || s.Transport != "mqtt" || len(s.Heard[0].Readings) == 0 || len(s.Guesses) == 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	g.gridgate(t, "device", "ignore", "sn:stranger", "--reason", "not ours, it seems")
	if out := g.gridgate(t, "device", "list", "--ignored"); !strings.Contains(out, "sn:stranger") {
		t.Errorf("the ignored are:\n%s", out)
	}
	if out := g.gridgate(t, "device", "list", "--discovered"); strings.Contains(out, "sn:stranger") {
		t.Errorf("it is still among the discovered:\n%s", out)
	}
	if out := g.gridgate(t, "device", "discovered", "sn:stranger"); !strings.Contains(out, "not ours") || !strings.Contains(out, "manhole.open") {
		t.Errorf("it is shown as:\n%s", out)
	}

	claimed := make(chan error, 1)
	go func() {
		_, err := g.api.Claim(t.Context(), "sn:stranger", api.Claim{Profile: "gridgate/json", Mode: grid.Simulated, Installations: []api.ClaimChannel{{Point: "m-1"}}})
		claimed <- err
	}()
	eventually(t, 20*time.Second, "the device to be registered", func() error { _, err := g.api.Device(t.Context(), "sn:stranger"); return err })
	g.Kill()
	t.Logf("the claim ended with %v", <-claimed)
	g.start(t)
	eventually(t, 30*time.Second, "the rest of its frames", func() error {
		if q := all[api.Quarantined](t, g, "quarantine", api.Query{State: "waiting"}); len(q) > 0 {
			return fmt.Errorf("%d wait", len(q))
		}
		return nil
	})
	eventually(t, 30*time.Second, "the cover that is open, once", func() error {
		alarms := all[grid.Alarm](t, g, "alarms", api.Query{Point: "m-1", Type: string(grid.EventManholeOpen)})
		if len(alarms) != 1 || !alarms[0].Active {
			return fmt.Errorf("alarms are %+v", alarms)
		}
		return nil
	})
	if processed, _, _, quarantined, accepted := sum(g.balanced(t)); processed != n || quarantined != 0 || accepted != n {
		t.Errorf("%d processed, %d in quarantine of %d", processed, quarantined, accepted)
	}
	if v, err := g.live(t, "m-1", grid.ManholeOpen); err != nil || v.Value != 1 {
		t.Errorf("newest value is %+v, %v", v, err)
	}
}
