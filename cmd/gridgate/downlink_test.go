package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gridgate/internal/grid"
)

const downlinkRegistry = `
points:
  - {id: gate-7, name: "Gate 7", kind: door, mode: test}
devices:
  - {identity: "sn:door-7", profile: gridgate/json, point: gate-7, mode: test}
  - {identity: "modbus:riser-3/1", profile: modbus/calectro-ug3, mode: test}
`

func TestFlagsOfADownlinkAreItsOrder(t *testing.T) {
	for args, want := range map[string]grid.Order{
		"--hex ff10ff --port 85":           {Payload: &grid.PayloadOrder{Hex: "ff10ff", Port: 85}},
		"--lwm2m-read /3/0":                {LwM2M: &grid.LwM2MOrder{Do: "read", Path: "/3/0"}},
		"--lwm2m-write /3/0/15=a=b":        {LwM2M: &grid.LwM2MOrder{Do: "write", Path: "/3/0/15", Value: "a=b"}},
		"--lwm2m-write /5/0/0=ff --opaque": {LwM2M: &grid.LwM2MOrder{Do: "write", Path: "/5/0/0", Value: "ff", Type: "opaque"}},
		"--lwm2m-execute /3/0/4":           {LwM2M: &grid.LwM2MOrder{Do: "execute", Path: "/3/0/4"}},
		"--modbus-coil 0x10=1,0":           {Modbus: &grid.ModbusOrder{Write: "coil", Address: 16, Values: []uint16{1, 0}}},
		"--modbus-register 100=1,0xffff":   {Modbus: &grid.ModbusOrder{Write: "register", Address: 100, Values: []uint16{1, 65535}}},
		"--gb duty-check=5":                {GB26875: &grid.GB26875Order{Do: "duty_check", Minutes: 5}},
		"--gb read=state":                  {GB26875: &grid.GB26875Order{Do: "read", Object: "state"}},
		"--gb set-clock":                   {GB26875: &grid.GB26875Order{Do: "set_clock"}},
		"--gb initialize":                  {GB26875: &grid.GB26875Order{Do: "initialize"}},
		"":                                 {},
		"--hex ff --gb initialize":         {},
		"--hex fff":                        {},
		"--port 85 --gb initialize":        {},
		"--opaque --lwm2m-read /3/0":       {},
		"--lwm2m-write /3/0/14":            {},
		"--lwm2m-write /0/0/5=ff":          {},
		"--modbus-coil 1=2":                {},
		"--modbus-register 1":              {},
		"--modbus-register 65536=1":        {},
		"--modbus-register 1=65536":        {},
		"--gb duty-check":                  {},
		"--gb duty-check=256":              {},
		"--gb read=everything":             {},
		"--gb initialize=all":              {},
		"--gb dance":                       {},
		"--gb duty_check=5":                {},
	} {
		var o orderFlags
		cmd := (&app{}).downlinkCommand()
		o.bind(cmd)
		if err := cmd.ParseFlags(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		got, err := o.order()
		if wrong := want.Kind() == ""; wrong != (err != nil) || !wrong && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %s, %v: want %s", args, got, err, want)
		}
	}
}

// The device of these commands is on no wire that could be tried.
func TestDownlinkCommandsAgainstARealGateway(t *testing.T) {
	g, cfg := realGateway(t)
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}}
	file := filepath.Join(t.TempDir(), "r.yaml")
	if err := os.WriteFile(file, []byte(downlinkRegistry), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(0, "device", "import", file)
	for _, step := range []struct {
		code      int
		args      string
		want, err string
	}{
		{0, "downlink list", "no downlinks", ""},
		{2, "downlink send sn:door-7", "", "0 orders: want one of --hex"},
		{2, "downlink send sn:door-7 --hex zz", "", `payload.hex is "zz"`},
		{2, "downlink send sn:door-7 --hex ff --wait soon", "", "--wait"},
		{1, "downlink send sn:nobody --hex ff", "", "device sn:nobody: not registered"},
		{1, "downlink send sn:door-7 --hex ff --expires 2000h", "", "at most 30 days"},
		{1, "downlink show 01NOSUCHDOWNLINK", "", "is not known"},
		{1, "downlink cancel 01NOSUCHDOWNLINK", "", "is not known"},
		{0, "downlink send modbus:riser-3/1 --modbus-register 100=1,2 --reason drill --as Li", " is queued", ""},
		{4, "downlink send modbus:riser-3/1 --modbus-coil 1=1 --wait 1s", " is queued", "nothing more was heard within 1s"},
		{0, "downlink list --device modbus:riser-3/1 --state open", "register 100=1,2", ""},
		{0, "downlink list --state failed", "no downlinks", ""},
		{0, "downlink list --text drill", "modbus:riser-3/1", ""},
	} {
		out, errOut := c.run(step.code, strings.Fields(step.args)...)
		if !strings.Contains(out, step.want) || !strings.Contains(errOut, step.err) {
			t.Errorf("gridgate %s printed %q and %q: want %q and %q in it", step.args, out, errOut, step.want, step.err)
		}
	}
	out, _ := c.run(4, "downlink", "send", "modbus:riser-3/1", "--json", "--modbus-coil", "1=1", "--wait", "200ms", "--key", "k1")
	var d grid.Downlink
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.State != grid.DownlinkQueued {
		t.Fatalf("printed %q, %v", out, err)
	}
	if again, _ := c.run(0, "downlink", "send", "modbus:riser-3/1", "--modbus-coil", "1=1", "--key", "k1"); !strings.HasPrefix(again, d.ID+" ") {
		t.Errorf("with the same key: %q, the first is %s", again, d.ID)
	}
	if out, _ = c.run(0, "downlink", "cancel", d.ID, "--reason", "no drill"); !strings.Contains(out, d.ID+" is failed: taken back by ") || !strings.Contains(out, "no drill") {
		t.Errorf("cancel printed %q", out)
	}
	if out, _ = c.run(0, "downlink", "show", d.ID); !strings.Contains(out, "coil 1=1") || !strings.Contains(out, "ended ") {
		t.Errorf("show printed %q", out)
	}
}

// TestDownlinkCommandsOfTheDocsAreUnderstood types in what the pages show, where no gateway is.
func TestDownlinkCommandsOfTheDocsAreUnderstood(t *testing.T) {
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://127.0.0.1:1", "GRIDGATE_TOKEN=x"}}
	commands := 0
	for _, page := range []string{"downlinks.md", "serial.md", "mqtt.md", "../README.md"} {
		b, err := os.ReadFile(filepath.Join("../../docs", page))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
			if command, is := strings.CutPrefix(strings.TrimPrefix(line, "bin/"), "gridgate downlink "); is {
				c.run(3, append([]string{"downlink"}, strings.Fields(command)...)...)
				commands++
			}
		}
		for _, cell := range strings.Split(string(b), "`") {
			if strings.HasPrefix(cell, "--") && strings.Contains(cell, " ") {
				c.run(3, append([]string{"downlink", "send", "sn:1"}, strings.Fields(cell)...)...)
				commands++
			}
		}
	}
	if commands < 10 {
		t.Errorf("%d commands", commands)
	}
}
