package gatetest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gridgate/internal/gatetest"
)

// The commands of the pages on provisioning, typed in on a gateway: each does what its page says.
func TestCommandsOfTheProvisioningPagesDoWhatTheySay(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	g.put(t, contractorRegistry)
	g.put(t, `devices: [{identity: "eui:24e124136d499999", profile: milesight/ws301}]`)
	sheet := "点位编号,点位名称,点位类型,街道编码,设备标识,设备型号\nJA-0001,楼道烟感,烟感,310105006,24E124136D490001,milesight/gs524n\nJA-0002,,气球,310105006,,\n"
	must(t, os.WriteFile(file("s.csv"), []byte(sheet), 0o600))
	for _, c := range []struct {
		says string // among what it prints
		line []string
	}{
		{"north gate", []string{"building", "add", "b-7", "--name", "7 号楼", "--street", "310105006", "--entrance", "north gate", "--key-holder", "property desk"}},
		{"planned", []string{"point", "add", "door-7-301", "--kind", "door", "--name", "301", "--building", "b-7", "--room", "301", "--lon", "121.4036", "--lat", "31.2165", "--crs", "WGS84"}},
		{"is registered", []string{"device", "add", "eui:24e124136d490175", "--profile", "milesight/ws301", "--point", "door-7-301"}},
		{"eui:24e124136d490175 is barred", []string{"device", "replace", "eui:24e124136d490175", "eui:24e124136d499999", "--reason", "battery empty"}},
		{"battery empty", []string{"point", "log", "door-7-301"}},
		{`"street": "310105006"`, []string{"point", "show", "door-7-301", "--json"}},
		{"气球", []string{"device", "import", file("s.csv"), "--dry-run", "--rows"}},
		{"ROW  RESULT", []string{"device", "import", file("s.csv"), "--skip-bad", "--rows"}},
		{"JA-0001", []string{"point", "log", "JA-0001"}},
		{"points", []string{"contractor", "assign", "wb-1", "--street", "310105006"}},
		{"wb-1", []string{"contractor", "list"}},
		{"no round", []string{"round", "plan", "wb-1", "--days", "5", "--stops", "12", "--dry-run"}},
		{"first visit", []string{"contractor", "scoreboard", "wb-1"}},
		{"areas in", []string{"grid", "demo", "--out", file("d.geojson")}},
		{"nothing is changed", []string{"grid", "import", file("d.geojson"), "--crs", "WGS84", "--dry-run"}},
		{"265 added", []string{"grid", "import", file("d.geojson"), "--crs", "WGS84"}},
		{"310105002000", []string{"grid", "at", "121.428738,31.218750", "--crs", "GCJ02"}},
		{"tr005  eui:0018b20000000101", []string{"code", "read", "LW:D0:70B3D57ED0000010:0018B20000000101:000AF8BE"}},
		{"labels are in", []string{"point", "label", "p-ours", "p-ours-2", "--layout", "roll-50x30", "--lang", "en", "-o", file("plates.pdf")}},
		{"LORAWAN", []string{"visit", "plan", "door"}},
	} {
		out, err := gatetest.Run(t.Context(), program(t, "gridgate"), append([]string{"--config", g.config}, c.line...)...)
		if !strings.Contains(out, c.says) || err != nil && !strings.Contains(out, "bad") {
			t.Errorf("gridgate %s does not say %q: %v\n%s", strings.Join(c.line, " "), c.says, err, out)
		}
	}
}
