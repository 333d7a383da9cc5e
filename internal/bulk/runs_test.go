package bulk

import (
	"archive/zip"
	"bytes"
	"errors"
	"strings"
	"testing"
)

// rawWorkbook is one with these bytes in its sheet and in its shared texts.
func rawWorkbook(t *testing.T, sheet, shared string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"xl/workbook.xml":            `<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="s" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml":   "<worksheet><sheetData>" + sheet + "</sheetData></worksheet>",
		"xl/sharedStrings.xml":       "<sst>" + shared + "</sst>",
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A text of a workbook may come in runs, each with a form of its own. A file of 100 KB can hold
// a cell of a million runs: what it costs goes by its length, not by the square of it, and it ends.
func TestACellOfManyRunsIsReadOnceAndEndsAtItsBound(t *testing.T) {
	runs := func(n int) string { return strings.Repeat("<r><t>x</t></r>", n) }
	for where, of := range map[string]func(string) []byte{
		"in the cell": func(text string) []byte {
			return rawWorkbook(t, `<row r="1"><c r="A1" t="inlineStr"><is>`+text+`</is></c></row>`, "")
		},
		"shared": func(text string) []byte {
			return rawWorkbook(t, `<row r="1"><c r="A1" t="s"><v>0</v></c></row>`, "<si>"+text+"</si>")
		},
	} {
		rows, err := cellsOf(of(runs(maxText)))
		if err != nil || len(rows) != 1 || rows[0] != "1:"+strings.Repeat("x", maxText) {
			t.Errorf("%s: a cell of %d runs: %v, %d rows", where, maxText, err, len(rows))
		}
		for what, text := range map[string]string{"one run more": runs(maxText + 1), "one long run": "<t>" + strings.Repeat("x", maxText+200<<10) + "</t>"} {
			if rows, err := cellsOf(of(text)); !errors.Is(err, errDamaged) || len(rows) != 0 {
				t.Errorf("%s: %s: %v, %d rows: want it refused", where, what, err, len(rows))
			}
		}
	}
}
