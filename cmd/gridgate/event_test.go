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

const reportRegistry = `
units:
  - {id: estate, name: Estate, kind: property, tier: 2, district: "310106", mode: live, connector: inbox}
`

// TestCommandsOfTheDocsOnReportsDoWhatThePagesSay runs the commands of docs/events.md and
// docs/hazards.md on a gateway; <ticket>, <other> and <hazard> are the newest, and the one before.
func TestCommandsOfTheDocsOnReportsDoWhatThePagesSay(t *testing.T) {
	g, cfg := realGateway(t)
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_TOKEN=" + tokenOf(t, cfg.TokenPath())}}
	file := filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(file, []byte(reportRegistry), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(0, "device", "import", file)
	commands := 0
	for _, name := range []string{"events", "hazards"} {
		page, err := os.ReadFile("../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(page, -1) {
			for line := range strings.Lines(string(block[1])) {
				c.typed(strings.TrimPrefix(strings.TrimSpace(line), "gridgate "))
				commands++
			}
		}
	}
	if commands < 11 {
		t.Errorf("%d commands", commands)
	}
	tickets := listed[grid.Ticket](c, "ticket", "list")
	if len(tickets) != 3 || tickets[1].State != grid.TicketMerged || tickets[2].State.Ended() || tickets[0].State != grid.TicketClosed {
		t.Errorf("tickets are %+v: want the hazard's closed, the second report merged into the first", tickets)
	}
	hazards := listed[grid.Hazard](c, "hazard", "list")
	if len(hazards) != 1 || hazards[0].Outcome != "rectified" || hazards[0].Rechecks[0].Person != "lin" {
		t.Errorf("hazards are %+v: want one, rectified", hazards)
	}
	if out, _ := c.run(0, "event", "file", "manhole.open", "--source", "patrol", "--number", "p-0302-04", "--place", "x"); !strings.Contains(out, "filed before under that number") {
		t.Errorf("the same number again:\n%s", out)
	}
	if _, told := c.run(1, "event", "file", "device.offline", "--source", "patrol", "--number", "1", "--place", "x"); !strings.Contains(told, "want an event that people see") {
		t.Errorf("refused with %q", told)
	}
	c.run(2, "event", "file", "manhole.open", "--source", "patrol")
	c.run(2, "event", "file", "manhole.open", "--source", "patrol", "--number", "1", "--position", "here")
	c.run(2, "hazard", "file", "other", "--source", "patrol", "--number", "1", "--answer", "present")
	c.run(2, "hazard", "move", hazards[0].ID, "paint")
	c.run(1, "hazard", "move", hazards[0].ID, "fail", "--person", "lin", "--reason", "late")
}

func listed[T any](c cli, args ...string) []T {
	c.Helper()
	out, _ := c.run(0, append([]string{"--json"}, args...)...)
	var page api.Page[T]
	if err := json.Unmarshal([]byte(out), &page); err != nil {
		c.Fatalf("%v: %v\n%s", args, err, out)
	}
	return page.Items
}

// typed runs a line with quotes and placeholders.
func (c cli) typed(line string) {
	c.Helper()
	var argv []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		switch word {
		case "<ticket>":
			word = listed[grid.Ticket](c, "ticket", "list")[0].ID
		case "<other>":
			word = listed[grid.Ticket](c, "ticket", "list")[1].ID
		case "<hazard>":
			word = listed[grid.Hazard](c, "hazard", "list")[0].ID
		}
		argv = append(argv, strings.Trim(word, "'"))
	}
	c.run(0, argv...)
}
