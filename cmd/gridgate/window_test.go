package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const windowRegistry = `
points:
  - {id: s-1, name: "Stairs", kind: smoke, building: b-1, mode: test}
  - {id: d-1, name: "Door", kind: door, building: b-1, mode: test}
  - {id: m-1, name: "Pit 1", kind: manhole, mode: test}
  - {id: m-2, name: "Pit 2", kind: manhole, mode: test}
`

// TestCommandsOfTheWindowDocsDoWhatThePageSays runs each command of docs/windows.md on a gateway.
func TestCommandsOfTheWindowDocsDoWhatThePageSays(t *testing.T) {
	g, cfg := realGateway(t)
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_TOKEN=" + tokenOf(t, cfg.TokenPath())}}
	file := filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(file, []byte(windowRegistry), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(0, "device", "import", file)
	page, err := os.ReadFile("../../docs/windows.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(page, -1) {
		for line := range strings.Lines(string(block[1])) {
			c.run(0, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "gridgate "))...)
			commands++
		}
	}
	if commands < 10 {
		t.Errorf("%d commands", commands)
	}
	out, _ := c.run(0, "--json", "window", "list")
	var open api.Page[grid.Window]
	if err := json.Unmarshal([]byte(out), &open); err != nil || len(open.Items) != 7 {
		t.Fatalf("%d windows are open, want those of the page: %v\n%s", len(open.Items), err, out)
	}
	for _, w := range open.Items {
		if w.Session != "" {
			t.Errorf("the session of window %s is told: %q", w.ID, w.Session)
		}
		c.run(0, "window", "end", w.ID, "--reason", "done")
	}
	if out, _ = c.run(0, "window", "list", "--state", "ended"); !strings.Contains(out, "ended by") {
		t.Errorf("ended windows:\n%s", out)
	}
	if _, told := c.run(1, "window", "open", "shelved", "s-1", "--type", "smoke.alarm", "--for", "1h", "--reason", "x"); !strings.Contains(told, "smoke cannot be shelved") {
		t.Errorf("shelving smoke is refused with %q", told)
	}
	c.run(2, "window", "open")
	c.run(2, "window", "answer", "a", "perhaps")
	c.run(2, "window", "extend", open.Items[0].ID, "--for", "soon")
	c.run(2, "posture", "typhoon", "heavy_rain")
}

func tokenOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
