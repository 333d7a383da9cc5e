package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const registryFile = `
points:
  - {id: gate-7, name: "Gate 7", kind: door, mode: test}
devices:
  - {identity: "eui:24e124136d490175", profile: milesight/ws301, point: gate-7, mode: test}
units:
  - {id: property-1, name: "Property", kind: property, tier: 2, mode: test, connector: inbox, token: property-token}
`

// TestCommandsAgainstARealGateway goes through the commands that ask a gateway.
func TestCommandsAgainstARealGateway(t *testing.T) {
	g, cfg := realGateway(t)
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}} // the token comes from its file
	file := filepath.Join(t.TempDir(), "r.yaml")
	if err := os.WriteFile(file, []byte(registryFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		code int
		args string
		want string
	}{
		{0, "ticket list", "no tickets"},
		{0, "device import --dry-run " + file, "nothing was changed: 1 points, 1 devices, 1 installations, 1 units"},
		{0, "device list", "no devices"},
		{0, "device import " + file, "imported: 1 points"},
		{0, "device list", "eui:24e124136d490175  milesight/ws301  installed"},
		{0, "device list --json --state installed", `"identity": "eui:24e124136d490175"`},
		{0, "device show eui:24e124136d490175", "main at gate-7"},
		{0, "device list --discovered", "nothing discovered"},
		{0, "device add eui:24e124136d490999 --profile milesight/ws301 --mode test", "0 waiting frames"},
		{1, "device add eui:24e124136d490999 --profile no/such", ""},
		{1, "device add eui:24e124136d490999 --profile milesight/ws301 --point nowhere", ""},
		{0, "device retire eui:24e124136d490175", "is retired"},
		{1, "device show eui:0000000000000000", ""},
		{0, "frames", "no frames"},
		{0, "frames --quarantine", "nothing in quarantine"},
		{0, "replay --all", "0 frames replayed"},
		{1, "ticket show 01NOSUCHTICKET", ""},
		{1, "explain 01NOSUCHTICKET", ""},
		{0, "check", "all well"},
		{0, "check --json", `"ok": true`},
		{0, "backup " + filepath.Join(t.TempDir(), "backup"), "backup is in"},
	} {
		out, errOut := c.run(step.code, strings.Fields(step.args)...)
		if !strings.Contains(out, step.want) {
			t.Errorf("gridgate %s printed %q, want %q in it", step.args, out, step.want)
		}
		if step.code != 0 && errOut == "" {
			t.Errorf("gridgate %s failed without a word", step.args)
		}
	}
}

func TestUnitTokenSeesOnlyItsTicketsOnTheCommandLine(t *testing.T) {
	g, cfg := realGateway(t)
	admin := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}}
	file := filepath.Join(t.TempDir(), "r.yaml")
	if err := os.WriteFile(file, []byte(registryFile), 0o600); err != nil {
		t.Fatal(err)
	}
	admin.run(0, "device", "import", file)
	unit := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_TOKEN=property-token"}}
	unit.run(0, "ticket", "list")
	if _, errOut := unit.run(1, "device", "list"); !strings.Contains(errOut, "its own tickets") {
		t.Errorf("devices with a unit's token: %q", errOut)
	}
	stranger := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_TOKEN=wrong"}}
	stranger.run(1, "ticket", "list")
}

func TestCheckOfAStoppedGatewayReadsItsFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	t.Run("a gateway runs and stops", func(t *testing.T) { gatewayIn(t, dir) })
	c := cli{T: t, environ: []string{"GRIDGATE_DATA_DIR=" + dir, "GRIDGATE_API=http://127.0.0.1:1", "GRIDGATE_TOKEN=x"}}
	if out, _ := c.run(0, "check", "--offline"); !strings.Contains(out, "all well") {
		t.Errorf("printed %q", out)
	}
	if out, _ := c.run(3, "check"); !strings.Contains(out, "its files are well") {
		t.Errorf("printed %q", out)
	}
	c.environ[0] = "GRIDGATE_DATA_DIR=" + filepath.Join(dir, "nowhere")
	c.run(1, "check", "--offline")
}
