package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/envelope"
	"gridgate/internal/gateway"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
)

const bellProfile = `
profile: acme/bell
version: "1"
vendor: Acme
model: Bell
kinds: [smoke]
source: made for this test
interval: 1h
counter: {source: none}
codec: json
fields:
  - {name: smoke, path: s}
  - {name: battery, path: b}
signals:
  smoke.alarm: smoke
  battery.level: battery
`

const bellCases = `
cases:
  - {name: calm, text: '{"s":false,"b":80}', want: {readings: {smoke.alarm: false, battery.level: 80}}}
  - {name: fire, text: '{"s":true,"b":80}', want: {readings: {smoke.alarm: true, battery.level: 80}}}
`

// writeBell writes a version of the profile into <root>/acme/bell.
func writeBell(t *testing.T, root, version string, replace ...string) (folder string) {
	t.Helper()
	folder = filepath.Join(root, "acme", "bell")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	edit := strings.NewReplacer(append(replace, `version: "1"`, fmt.Sprintf("version: %q", version))...)
	for name, text := range map[string]string{"profile.yaml": bellProfile, "cases.yaml": bellCases} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(edit.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// appendFrames puts frames into the journal of a gateway that does not run.
func appendFrames(t *testing.T, dir string, device grid.Identity, payloads ...string) {
	t.Helper()
	j, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = j.Run(ctx) })
	for i, p := range payloads {
		f := grid.Frame{
			Identity: device, Transport: "mqtt", Source: "embedded", Address: "gridgate/up/" + string(device), Envelope: envelope.Native,
			Received: time.Now().Add(time.Duration(i-len(payloads)) * time.Second), Raw: []byte(p),
		}
		if err := j.Append(ctx, grid.Safety, []grid.Frame{f}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	run.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestChangeOfAProfileOnTheCommandLine goes the way of docs/rollout.md: lint, diff,
// shadow, a share, all, replay, back.
func TestChangeOfAProfileOnTheCommandLine(t *testing.T) {
	base := t.TempDir()
	data, own := filepath.Join(base, "data"), filepath.Join(base, "own")
	writeBell(t, own, "1")
	halved := writeBell(t, filepath.Join(base, "halved"), "2", "battery.level: battery", "battery.level: {field: battery, scale: 0.5}", "battery.level: 80", "battery.level: 40")
	deaf := writeBell(t, filepath.Join(base, "deaf"), "3", "path: s}", "path: x}", `"s":`, `"x":`)
	words := writeBell(t, filepath.Join(base, "words"), "4", "path: s}", `path: s, enum: {"on": fire, "off": calm}}`,
		"smoke.alarm: smoke", "smoke.alarm: {field: smoke, is: fire}", `"s":false`, `"s":"off"`, `"s":true`, `"s":"on"`)
	file := filepath.Join(base, "r.yaml")
	registry := "points:\n  - {id: hall, name: Hall, kind: smoke, mode: test}\ndevices:\n  - {identity: \"sn:bell\", profile: acme/bell, point: hall, mode: test}\n"
	config := filepath.Join(base, "gridgate.yaml")
	for name, text := range map[string]string{file: registry, config: "data_dir: " + data + "\nprofiles: [" + own + "]\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gatewayRuns := func(name string, steps func(c cli)) {
		t.Run(name, func(t *testing.T) {
			g, cfg := gatewayIn(t, data, func(c *gateway.Config) { c.Profiles = []string{own} })
			steps(cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}})
		})
	}
	want := func(c cli, code int, words string, args ...string) {
		c.Helper()
		out, errOut := c.run(code, args...)
		if !strings.Contains(out+errOut, words) {
			c.Errorf("gridgate %s printed\n%s%s\nwant %q in it", strings.Join(args, " "), out, errOut, words)
		}
	}
	gatewayRuns("the device is registered", func(c cli) { want(c, 0, "1 devices", "device", "import", file) })
	appendFrames(t, data, "sn:bell", `{"s":false,"b":81}`, `{"s":true,"b":82}`, `{"s":false,"b":83}`, `{"s":"off","b":84}`)
	gatewayRuns("a version goes its way", func(c cli) {
		waitFor(t, func() bool { out, _ := c.run(0, "frames", "--quarantine"); return strings.Contains(out, "undecodable") })
		want(c, 0, "battery.level  0", "profile", "diff", halved)
		want(c, 0, `"changed": 3`, "profile", "diff", halved, "--json")
		want(c, 1, "LOST ALARMS: 1", "profile", "diff", deaf)
		want(c, 2, "--last is -1", "profile", "diff", halved, "--last", "-1")
		want(c, 1, "profile.yaml is missing", "profile", "diff", base)

		want(c, 0, "no version was ever rolled out", "profile", "rollout", "status")
		want(c, 0, "version 2 is being rolled out: shadow", "profile", "rollout", "start", halved)
		want(c, 1, "the roll-out of version 2 runs", "profile", "rollout", "start", deaf)
		want(c, 0, "share of 10 %", "profile", "rollout", "set", "acme/bell", "--share", "10")
		want(c, 2, "want one of --shadow", "profile", "rollout", "set", "acme/bell")
		want(c, 0, "version 2 is in force, rolled out; the files have 1", "profile", "rollout", "set", "acme/bell", "--all", "--reason", "half is right")
		want(c, 0, "half is right", "profile", "rollout", "status", "acme/bell")
		want(c, 0, "acme/bell  2", "profile", "rollout", "status")
		want(c, 0, "acme/bell: version 2 is in force, rolled out in the place of 1 of the files", "--config", config, "profile", "list")
		want(c, 2, "--reason is missing", "profile", "rollout", "back", "acme/bell")
		want(c, 0, "version 1 is in force, of the gateway's files", "profile", "rollout", "back", "acme/bell", "--reason", "it was not")

		want(c, 1, "1 alarms would be lost", "profile", "rollout", "start", deaf, "--share", "10")
		want(c, 2, "--force without --reason", "profile", "rollout", "start", deaf, "--all", "--force")
		// Version 4 reads words alone: the fire that version 1 saw is none to it.
		want(c, 0, "1 frames replayed, 0 wait still", "profile", "rollout", "start", words, "--all", "--force", "--reason", "new firmware says words", "--replay")
		want(c, 0, "0 frames replayed", "replay", "--profile", "acme/bell")
		want(c, 0, "forced: new firmware says words", "profile", "rollout", "status", "acme/bell")
	})
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://127.0.0.1:1", "GRIDGATE_TOKEN=x"}}
	want(c, 0, "version 2 against 4 on 4 frames", "--config", config, "profile", "diff", halved, "--data", data)
	want(c, 3, "", "profile", "diff", halved)
	gatewayRuns("it is in force after a restart", func(c cli) {
		want(c, 0, "version 4 is in force, rolled out", "profile", "rollout", "status", "acme/bell")
		if got := metricsOf(c); !strings.Contains(got, `gridgate_profile_rollout{by="person",profile="acme/bell",stage="all",version="4"} 1`) {
			c.Errorf("metrics do not tell of the roll-out:\n%s", got)
		}
	})
}

func metricsOf(c cli) string {
	c.Helper()
	api, _ := strings.CutPrefix(c.environ[0], "GRIDGATE_API=")
	res, err := http.Get(api + "/metrics")
	if err != nil {
		c.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.Fatal(err)
	}
	return string(b)
}

// waitFor waits until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not so after 20 s")
		}
	}
}
