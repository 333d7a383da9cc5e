package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"gridgate/internal/api"
)

func TestFiguresOnTheCommandLine(t *testing.T) {
	g, cfg := realGateway(t)
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}}
	out, _ := c.run(0, "figures", "--compare")
	for _, want := range []string{"按期处置率", "not enough data", "≥ 95.0 %", "环比", "devices online", "P99"} {
		if !strings.Contains(out, want) {
			t.Errorf("gridgate figures printed no %q:\n%s", want, out)
		}
	}
	dir := t.TempDir()
	table, book := filepath.Join(dir, "k.csv"), filepath.Join(dir, "k.xlsx")
	out, _ = c.run(0, "figures", "--period", "day", "--at", "2026-10-01", "--by", "street", "--csv", table, "--xlsx", book)
	if strings.Count(out, "figures are in") != 2 {
		t.Errorf("printed %q", out)
	}
	b, err := os.ReadFile(table)
	if err != nil || !bytes.HasPrefix(b, []byte("\xef\xbb\xbf周期")) || !bytes.Contains(b, []byte("2026-10-01,")) {
		t.Errorf("%v, %.120q", err, b)
	}
	f, err := excelize.OpenFile(book)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if out, _ = c.run(0, "figures", "--csv", "-"); !strings.HasPrefix(out, "\xef\xbb\xbf") {
		t.Errorf("CSV on standard output: %.60q", out)
	}
	out, _ = c.run(0, "figures", "--json", "--since", "24h")
	var board api.Board
	if err := json.Unmarshal([]byte(out), &board); err != nil || board.Period.Name != "custom" || len(board.Whole.Figures) < 20 {
		t.Errorf("%v, %+v", err, board.Period)
	}
	if out, _ = c.run(0, "figures", "hotspots"); !strings.Contains(out, "no hot-spots") {
		t.Errorf("hotspots printed %q", out)
	}
	c.run(1, "figures", "--period", "fortnight")
	c.run(2, "figures", "--at", "yesterday")
}
