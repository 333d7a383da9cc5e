package figures_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"gridgate/internal/figures"
)

func boardOfNovember(t *testing.T) figures.Board {
	src := november(t)
	for i := range src.tickets {
		if src.tickets[i].Unit == "u1" {
			src.tickets[i].Unit = `=HYPERLINK("http://x")` // as if somebody named a unit so
		}
	}
	return must[figures.Board](t)(builtIn(t).Board(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00"), By: "unit", Compare: true}, at(t, "12-05 00:00")))
}

func TestTheCSVOpensInASpreadsheet(t *testing.T) {
	b := boardOfNovember(t)
	var out bytes.Buffer
	if err := figures.WriteCSV(&out, b); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(out.String(), "\xef\xbb\xbf")
	if !ok {
		t.Error("there is no byte order mark: Excel would not read it as UTF-8")
	}
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if head := strings.Join(lines[0], "|"); !strings.Contains(head, "指标 / Figure") || !strings.Contains(head, "达标 / Met") {
		t.Errorf("head %q", head)
	}
	found := map[string][]string{}
	for _, l := range lines[1:] {
		if len(l) != len(lines[0]) {
			t.Fatalf("line %q has %d fields, the head has %d", l, len(l), len(lines[0]))
		}
		if l[1] == "全部 / all" {
			found[l[4]] = l
		}
		if strings.HasPrefix(l[1], "=") {
			t.Errorf("a name that a spreadsheet runs: %q", l[1])
		}
	}
	l := found["on_time_handling"]
	if l == nil || l[0] != "2026-11" || l[3] != "按期处置率 / on-time handling" || l[6] != "2" || l[7] != "4" || l[8] != "0.5" || l[10] != "≥ 0.95" || l[11] != "否 / no" {
		t.Errorf("on-time handling reads %q", l)
	}
	if len(lines) < 1+6*20 {
		t.Errorf("%d lines: the parts are missing", len(lines))
	}
}

func TestTheWorkbookHasNumbersAndTheLadder(t *testing.T) {
	b := boardOfNovember(t)
	var out bytes.Buffer
	if err := figures.WriteXLSX(&out, b); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d := f.GetSheetList(); len(d) != 2 || d[0] != "指标 Figures" || d[1] != "时效 Time ladder" {
		t.Fatalf("sheets %q", d)
	}
	rows, err := f.GetRows("指标 Figures")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for i, l := range rows {
		if len(l) < 9 || l[4] != "on_time_handling" || l[1] != "全部 / all" {
			continue
		}
		found = true
		cell, err := excelize.CoordinatesToCellName(9, i+1)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := f.GetCellValue("指标 Figures", cell, excelize.Options{RawCellValue: true})
		if typ, _ := f.GetCellType("指标 Figures", cell); err != nil || raw != "0.5" || l[8] != "50.00%" || typ == excelize.CellTypeSharedString {
			t.Errorf("on-time handling is %q, shown as %q, %v, %v", raw, l[8], typ, err)
		}
	}
	if !found {
		t.Error("on-time handling is not there")
	}
	for i, l := range rows {
		if len(l) > 1 && strings.HasPrefix(l[1], "=") {
			cell, _ := excelize.CoordinatesToCellName(2, i+1)
			if formula, _ := f.GetCellFormula("指标 Figures", cell); formula != "" {
				t.Errorf("a name became a formula: %q", formula)
			}
		}
	}
	ladder, err := f.GetRows("时效 Time ladder")
	if err != nil || len(ladder) < 10 || ladder[2][3] != "发生→接收 / occurred → received" || ladder[2][5] != "2" {
		t.Errorf("ladder %q, %v", ladder, err)
	}
}
