package gatetest_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// sheetOf is a sheet as a file: GB18030 as spreadsheets here write CSV, or a workbook.
func sheetOf(t testing.TB, seed uint64, rows int, bad []gatetest.BadCell, format string) []byte {
	t.Helper()
	write := gatetest.SheetXLSX
	if format != "xlsx" {
		write = func(rows [][]string) ([]byte, error) { return gatetest.SheetCSV(rows, format == "gb18030") }
	}
	b, err := write(gatetest.Sheet(seed, rows, bad))
	must(t, err)
	return b
}

// imported hands a sheet in and waits until the gateway is done with it.
func (g *gateway) imported(t testing.TB, file []byte, m grid.Import) api.ImportView {
	t.Helper()
	v, err := g.api.AddImport(t.Context(), file, m, "")
	must(t, err)
	return g.done(t, v.ID)
}

func (g *gateway) done(t testing.TB, id string) (v api.ImportView) {
	t.Helper()
	eventually(t, 2*time.Minute, "the import", func() (err error) {
		if v, err = g.api.ImportOf(t.Context(), id); err == nil && v.State.Busy() {
			err = fmt.Errorf("it is %s, %d of %d", v.State, v.Done, v.Rows)
		}
		return err
	})
	return v
}

func (g *gateway) exported(t testing.TB, what string) string {
	t.Helper()
	var b bytes.Buffer
	must(t, g.api.Sheet(t.Context(), "exports/"+what, url.Values{"lang": {"zh"}}, &b))
	return b.String()
}

func counted(v api.ImportView) string {
	return fmt.Sprintf("%s: %d rows, %d added, %d changed, %d same, %d bad", v.State, v.Rows, v.Added, v.Changed, v.Same, v.Bad)
}

func TestASheetTwiceChangesNothingAndWhatIsExportedComesBackUnchanged(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	const rows = 1500
	if v := g.imported(t, sheetOf(t, 1, rows, nil, "gb18030"), grid.Import{Name: "安装表.csv"}); counted(v) != "applied: 1500 rows, 1500 added, 0 changed, 0 same, 0 bad" {
		t.Fatalf("first: %s, %s, %v", counted(v), v.Error, v.Problems)
	}
	for _, format := range []string{"gb18030", "utf-8", "xlsx"} {
		if v := g.imported(t, sheetOf(t, 1, rows, nil, format), grid.Import{}); counted(v) != "applied: 1500 rows, 0 added, 0 changed, 1500 same, 0 bad" {
			t.Errorf("again as %s: %s, %v", format, counted(v), v.Problems)
		}
	}
	for _, what := range []string{"points", "devices", "installations"} {
		for _, format := range []string{"csv", "xlsx"} {
			for _, lang := range []string{"zh", "en"} {
				var b bytes.Buffer
				must(t, g.api.Sheet(t.Context(), "exports/"+what+"."+format, url.Values{"lang": {lang}}, &b))
				v := g.imported(t, b.Bytes(), grid.Import{Kind: grid.ImportKind(what)})
				if counted(v) != "applied: 1500 rows, 0 added, 0 changed, 1500 same, 0 bad" {
					t.Errorf("%s exported as %s in %s: %s, %v", what, format, lang, counted(v), v.Problems)
				}
			}
		}
	}
	page, err := api.List[grid.Point](t.Context(), g.api, "points", api.Query{Text: "JA-000007", Limit: 1})
	must(t, err)
	if p := page.Items[0]; p.Cell == "" || p.Street == "" || p.CRS != "WGS84" || p.Privacy != grid.SharedBuilding || !strings.Contains(p.Address, "示例路") {
		t.Errorf("the point is %+v", p)
	}
}

func TestEachBadRowIsExplainedAndNothingOfItsSheetIsApplied(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	bad := gatetest.BadCells()
	const rows = 1000
	for _, format := range []string{"gb18030", "xlsx"} {
		v := g.imported(t, sheetOf(t, 2, rows, bad, format), grid.Import{})
		if v.State != grid.ImportChecked || v.Bad != len(bad) || v.Added != rows-len(bad) || v.Error == "" {
			t.Fatalf("%s: %s %q", format, counted(v), v.Error)
		}
		said := map[int]grid.ImportProblem{}
		for _, p := range v.Problems {
			if _, ok := said[p.Row]; !ok {
				said[p.Row] = p
			}
			if p.Problem.ZH == "" || p.Problem.EN == "" || !strings.ContainsFunc(p.Problem.ZH, func(r rune) bool { return r >= '一' && r <= '鿿' }) {
				t.Errorf("row %d says %+v: want both languages", p.Row, p.Problem)
			}
		}
		for i, b := range bad {
			row := rows*(i+1)/(len(bad)+1) + 2
			if p, ok := said[row]; !ok || p.Column != b.Column {
				t.Errorf("%s row %d, %s %q: said %+v", format, row, b.Column, b.Value, p)
			}
		}
		if points := all[grid.Point](t, g, "points", api.Query{}); len(points) != 0 {
			t.Fatalf("%d points of a sheet with bad rows are there", len(points))
		}
	}
	path := filepath.Join(t.TempDir(), "安装表.xlsx")
	must(t, os.WriteFile(path, sheetOf(t, 2, rows, bad, "xlsx"), 0o600))
	if out := g.gridgate(t, "device", "import", path, "--skip-bad"); !strings.Contains(out, "applied; 1000 rows: 950 added, 0 changed, 0 same, 50 bad") {
		t.Errorf("with --skip-bad: %s", out)
	}
	if out := g.gridgate(t, "device", "import", path, "--dry-run", "--lang", "zh"); !strings.Contains(out, "950 same, 50 bad") || !strings.Contains(out, "科学计数法") {
		t.Errorf("again, to look: %s", out)
	}
}

func TestAnImportThatIsKilledGoesOnByItself(t *testing.T) {
	const rows = 6000
	file := sheetOf(t, 3, rows, nil, "utf-8")
	calm := newGateway(t)
	calm.start(t)
	calm.imported(t, file, grid.Import{})

	g := newGateway(t)
	g.start(t)
	v, err := g.api.AddImport(t.Context(), file, grid.Import{}, "")
	must(t, err)
	for _, at := range []int{1, 2000, 4500} {
		eventually(t, time.Minute, "the import to be on its way", func() error {
			now, err := g.api.ImportOf(t.Context(), v.ID)
			if err == nil && now.Done < at && now.State != grid.ImportApplied {
				err = fmt.Errorf("it is %s, %d rows", now.State, now.Done)
			}
			return err
		})
		g.Kill()
		g.start(t)
	}
	if v = g.done(t, v.ID); counted(v) != "applied: 6000 rows, 6000 added, 0 changed, 0 same, 0 bad" {
		t.Errorf("after three kills: %s %s", counted(v), v.Error)
	}
	for _, what := range []string{"points.csv", "devices.csv", "installations.csv"} {
		if g.exported(t, what) != calm.exported(t, what) {
			t.Errorf("%s differ from those of an import that nobody killed", what)
		}
	}
}

func TestAnUndoPutsBackWhatTheImportChangedAndSaysWhatItLeaves(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, `
points:
  - {id: JA-000003, name: before, kind: door, address: old road}
`)
	before := g.exported(t, "points.csv") + g.exported(t, "devices.csv") + g.exported(t, "installations.csv")
	v := g.imported(t, sheetOf(t, 4, 400, nil, "utf-8"), grid.Import{})
	if v.Added != 400 {
		t.Fatalf("%s %s %v", counted(v), v.Error, v.Problems)
	}
	_, err := g.api.UndoImport(t.Context(), v.ID)
	must(t, err)
	if v = g.done(t, v.ID); v.State != grid.ImportUndone || v.Kept != 0 {
		t.Errorf("undone: %s, %d kept, %v", v.State, v.Kept, v.Problems)
	}
	if after := g.exported(t, "points.csv") + g.exported(t, "devices.csv") + g.exported(t, "installations.csv"); after != before {
		t.Errorf("after the undo there is\n%.2000s\nand there was\n%s", after, before)
	}

	// Again; then one point is changed by hand and one device is heard.
	v = g.imported(t, sheetOf(t, 4, 400, nil, "xlsx"), grid.Import{})
	if v.State != grid.ImportApplied || v.Added != 400 {
		t.Fatalf("%s %s %v", counted(v), v.Error, v.Problems)
	}
	g.put(t, `
points:
  - {id: JA-000010, name: renamed, kind: door}
`)
	heard := all[grid.Installation](t, g, "installations", api.Query{Point: "JA-000020"})[0].Device
	connect(t, g.broker).send(t, "gridgate/up/"+string(heard)+"/85", []byte{0x01, 0x75, 0x62})
	g.settled(t)
	out := g.gridgate(t, "device", "import", "undo", v.ID)
	for _, want := range []string{"JA-000010", string(heard), "JA-000020", "undone"} {
		if !strings.Contains(out, want) {
			t.Errorf("the undo does not speak of %s:\n%s", want, out)
		}
	}
	var left []string
	for _, p := range all[grid.Point](t, g, "points", api.Query{}) {
		left = append(left, p.ID)
	}
	if slices.Sort(left); !slices.Equal(left, []string{"JA-000003", "JA-000010", "JA-000020"}) {
		t.Errorf("points that are left: %v", left)
	}
	g.Stop(t)
	g.start(t)
	if devices := all[grid.Device](t, g, "devices", api.Query{}); len(devices) != 1 || devices[0].Identity != heard {
		t.Errorf("devices after a restart are %v: want the one that was heard", devices)
	}
}

// buildingSheet is one as the property desk keeps it.
func buildingSheet(rows ...string) []byte {
	return []byte("楼栋编号,楼栋名称,地址,出入口,钥匙保管,层数,经度,纬度,坐标系\n" + strings.Join(rows, "\n") + "\n")
}

func TestASheetOfBuildingsComesInGoesOutAndIsUndone(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	ofBuildings := grid.Import{Kind: grid.ImportBuildings}
	first := g.imported(t, buildingSheet(
		"ja-1,1号楼,示例路 7 弄 1 号,东门；地下车库,物业值班室,6,121.4321,31.2201,WGS84",
		"ja-2,2号楼,示例路 7 弄 2 号,南门,门岗,18,121.4367,31.2182,GCJ02",
		"ja-3,=3号楼,,,,,,,",
	), ofBuildings)
	if counted(first) != "applied: 3 rows, 3 added, 0 changed, 0 same, 0 bad" {
		t.Fatalf("first: %s, %s, %v", counted(first), first.Error, first.Problems)
	}
	before := g.exported(t, "buildings.csv")
	for _, want := range []string{"ja-1,1号楼", "东门; 地下车库", "物业值班室", "'=3号楼"} {
		if !strings.Contains(before, want) {
			t.Errorf("the export has no %q:\n%s", want, before)
		}
	}
	for _, format := range []string{"csv", "xlsx"} {
		for _, lang := range []string{"zh", "en"} {
			var b bytes.Buffer
			must(t, g.api.Sheet(t.Context(), "exports/buildings."+format, url.Values{"lang": {lang}}, &b))
			if v := g.imported(t, b.Bytes(), ofBuildings); counted(v) != "applied: 3 rows, 0 added, 0 changed, 3 same, 0 bad" {
				t.Errorf("exported as %s in %s: %s, %v", format, lang, counted(v), v.Problems)
			}
		}
	}

	wrong := g.imported(t, buildingSheet("ja-4,4号楼,,,,六层,,,", ",5号楼,,,,,,,", "ja-6,6号楼,,,,,121.43,31.22,", "ja-1,1号楼,,,,,,,", "ja-1,一号楼,,,,,,,"), ofBuildings)
	said := map[int]string{}
	for _, p := range wrong.Problems {
		said[p.Row] += p.Column
	}
	if wrong.State != grid.ImportChecked || wrong.Bad != 4 || said[2] != "层数" || said[3] != "楼栋编号" || said[4] != "坐标系" || said[6] != "楼栋编号" {
		t.Errorf("bad rows: %s, %v", counted(wrong), wrong.Problems)
	}

	second := g.imported(t, buildingSheet("ja-2,2号楼,,,,19,,,", "ja-9,9号楼,,,,,,,"), ofBuildings)
	if counted(second) != "applied: 2 rows, 1 added, 1 changed, 0 same, 0 bad" {
		t.Fatalf("second: %s, %v", counted(second), second.Problems)
	}
	_, err := g.api.UndoImport(t.Context(), second.ID)
	must(t, err)
	if v := g.done(t, second.ID); v.State != grid.ImportUndone || v.Kept != 0 {
		t.Errorf("the second undone: %s, %d kept, %v", v.State, v.Kept, v.Problems)
	}
	if after := g.exported(t, "buildings.csv"); after != before {
		t.Errorf("after the undo there is\n%s\nand there was\n%s", after, before)
	}

	if status := callAs(t, g, g.api.Token, "PUT", "/buildings/ja-2", "", map[string]any{"id": "ja-2", "name": "2号楼", "notes": "lift out of order"}, nil); status != 200 {
		t.Fatalf("a change by hand: %d", status)
	}
	_, err = g.api.UndoImport(t.Context(), first.ID)
	must(t, err)
	if v := g.done(t, first.ID); v.State != grid.ImportUndone || v.Kept != 1 || len(v.Problems) != 1 || v.Problems[0].Value != "ja-2" {
		t.Errorf("the first undone: %s, %d kept, %v: want ja-2 kept, it was changed by hand", v.State, v.Kept, v.Problems)
	}
	if left := g.exported(t, "buildings.csv"); !strings.Contains(left, "ja-2,") || strings.Contains(left, "ja-1,") || strings.Contains(left, "ja-3,") {
		t.Errorf("left after the undo:\n%s", left)
	}
}
