package bulk

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"gridgate/internal/grid"
)

// cellsOf reads all rows of a file, each with its number.
func cellsOf(file []byte) (out []string, err error) {
	all := newLayout(columns(), grid.ImportAuto)
	s, err := openSheet(bytes.NewReader(file), int64(len(file)), func(h string) bool { return all.find(h) >= 0 })
	if err != nil {
		return nil, err
	}
	defer s.close()
	for {
		row, cells, dates, err := s.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		line := fmt.Sprintf("%d:%s", row, strings.Join(cells, "|"))
		if slices.Contains(dates, true) {
			line += " dates"
		}
		out = append(out, line)
	}
}

func encodedAs(t *testing.T, how, text string) []byte {
	t.Helper()
	var b []byte
	var err error
	switch how {
	case "utf-8":
		return []byte(text)
	case "utf-8 with a mark":
		return []byte("\ufeff" + text)
	case "gb18030":
		b, err = simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
	case "utf-16 little":
		b, err = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(text))
	case "utf-16 big":
		b, err = unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCSVIsReadInEveryEncodingAndWithEverySeparator(t *testing.T) {
	for _, how := range []string{"utf-8", "utf-8 with a mark", "gb18030", "utf-16 little", "utf-16 big"} {
		for _, sep := range []string{",", ";", "\t"} {
			text := strings.NewReplacer("¦", sep).Replace("点位编号¦名称¦地址\r\nP1¦\"楼道\n烟感, 3; 4\"¦示例路\r\n\r\nP2¦井盖¦\r\n")
			got, err := cellsOf(encodedAs(t, how, text))
			want := []string{"1:点位编号|名称|地址", "2:P1|楼道\n烟感, 3; 4|示例路", "4:P2|井盖|"}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s with %q: %q, %v", how, sep, got, err)
			}
		}
	}
}

func workbook(t *testing.T, fill func(f *excelize.File) error) []byte {
	t.Helper()
	f := excelize.NewFile()
	err := fill(f)
	b, writeErr := f.WriteToBuffer()
	if err = errors.Join(err, writeErr); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAWorkbookGivesTextsNumbersAndDatesAsAPersonTypedThem(t *testing.T) {
	b := workbook(t, func(f *excelize.File) error {
		style, err := f.NewStyle(&excelize.Style{NumFmt: 14})
		own := "yyyy\"年\"m\"月\""
		other, ownErr := f.NewStyle(&excelize.Style{CustomNumFmt: &own})
		for at, v := range map[string]any{
			"A1": "点位编号", "B1": "网格编码", "A2": "P&1 <\"x\">", "B2": 310106001001001, "C2": 3101060010010010, "D2": "00310", "E2": 121.4328, "F2": true,
			"A4": 46082, "B4": 46082.5, "C4": 46082, "D4": 0.1,
		} {
			err = errors.Join(err, f.SetCellValue("Sheet1", at, v))
		}
		return errors.Join(err, ownErr, f.SetCellStyle("Sheet1", "A4", "A4", style), f.SetCellStyle("Sheet1", "B4", "B4", other))
	})
	got, err := cellsOf(b)
	want := []string{
		"1:点位编号|网格编码", "2:P&1 <\"x\">|310106001001001|3.10106001001001E+15|00310|121.4328|TRUE",
		"4:2026-03-01|2026-03-01 12:00:00|46082|0.1 dates",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %q, %v\nwant %q", got, err, want)
	}
}

func TestWhatIsNoSheetIsRefusedWithTheWish(t *testing.T) {
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	for _, name := range []string{"xl/workbook.xml", "xl/worksheets/sheet1.xml"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		zeros := make([]byte, 1<<20)
		for range 600 {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	z = zip.NewWriter(&archive)
	if _, err := z.Create("photo.jpg"); err != nil {
		t.Fatal(err)
	}
	z.Close()
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":      {nil, "empty"},
		"blanks":       {[]byte(" \r\n "), "empty"},
		"a picture":    {[]byte("\x89PNG\r\n\x1a\n\x00\x00\x01"), "neither text nor a workbook"},
		"old workbook": {[]byte("\xd0\xcf\x11\xe0\xa1\xb1"), ".xls"},
		"a bomb":       {bomb.Bytes(), "unpacks to more than"},
		"an archive":   {archive.Bytes(), "no workbook"},
		"half a book":  {[]byte("PK\x03\x04abc"), "cannot be unpacked"},
	} {
		if _, err := cellsOf(c.file); err == nil || grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one that says %q", name, err, c.want)
		}
	}
}

func TestEveryHeaderMeansOneColumn(t *testing.T) {
	all := columns()
	if len(all) > 64 {
		t.Fatalf("%d columns: want at most 64, which stand in one set", len(all))
	}
	for _, kind := range []grid.ImportKind{grid.ImportAuto, grid.ImportPoints, grid.ImportDevices, grid.ImportInstallations, grid.ImportBuildings} {
		for i := range all {
			if all[i].of&parts(kind) == 0 {
				continue
			}
			for _, head := range []string{all[i].key, all[i].zh, all[i].en, " " + strings.ToUpper(all[i].en) + " *", all[i].zh + "（必填）"} {
				l := newLayout(all, kind)
				if n := l.find(head); n != i {
					t.Errorf("%s: header %q is column %d, want %s", kind, head, n, all[i].key)
				}
			}
		}
	}
}

func TestAHeaderWithASlipIsProposedTheNearestName(t *testing.T) {
	_, problems := readHeader(columns(), grid.ImportAuto, []string{"点位编码", "Longitud", "手机号", "经度", "经度"})
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprint(p.Column, ": ", p.Problem.ZH))
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"点位编码: 不认识这个表头：是否为“点位编号”", "Longitud: 不认识这个表头：是否为“经度”", "手机号: 不认识这个表头：请看模板", "经度: 表头重复"} {
		if !strings.Contains(all, want) {
			t.Errorf("want %q in\n%s", want, all)
		}
	}
}

func TestWhatStandsBehindTheLastColumnIsToldOnceAndNotRead(t *testing.T) {
	wide := make([]string, 100_000) // as a spreadsheet with a formatted row has it
	wide[0] = "点位编号"
	l, problems := readHeader(columns(), grid.ImportAuto, wide)
	if len(problems) != 0 || len(l.at) != maxColumns || !l.has(keyPoint) {
		t.Errorf("empty cells: %v, %d columns", problems, len(l.at))
	}
	for i := maxColumns; i < len(wide); i++ {
		wide[i] = fmt.Sprint("x", i)
	}
	if _, problems = readHeader(columns(), grid.ImportAuto, wide); len(problems) != 1 || problems[0].Column != "x200" {
		t.Errorf("%d problems: want one, of the first column that is too many", len(problems))
	}
}

func TestEveryCellThatIsWrittenReadsBackTheSame(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 123456789, time.UTC)
	full := line{
		point: grid.Point{
			ID: "=1+1", Name: "'-", Kind: grid.Smoke, Scope: grid.Scope{District: "310106", Street: "310106001", Community: "310106001001", Compound: "@x", Contractor: "+86"},
			Cell: "310106001001001", Component: "3101060010010010", Building: "-", Floor: "—", Room: "1E10", Address: "a,b;\"c\"\n第二行", Lon: -121.4328000001, Lat: 31.22, CRS: "WGS84",
			Rules: "r", Mode: grid.Exercise, Site: "s", Owner: "o", Privacy: grid.Dwelling, Notes: "\"",
		},
		device: grid.Device{
			Identity: "z2m:Küche", Profile: "a/b", State: grid.Barred, Mode: grid.Test, Interval: 90 * time.Minute, Serial: "1E10", Label: "l", Firmware: "1.0", Hardware: "2",
			Battery: grid.Battery{Type: "ER", Cells: 2, Fitted: at}, Bought: at, Warranty: at, Owner: "x", Notes: "y",
		},
		in: grid.Installation{Channel: "c", From: at},
		building: grid.Building{
			ID: "b", Name: "n", Site: "s", Address: "a", Entrances: []string{"one", "two"}, KeyHolder: "k", Floors: 6,
			Scope: grid.Scope{District: "310106", Street: "310106001", Community: "310106001001", Compound: "c"}, Cell: "310106001001001", Lon: 1, Lat: 2, CRS: "GCJ02", Owner: "o", Notes: "n",
		},
	}
	all := columns()
	for _, format := range []string{CSV, XLSX} {
		var b bytes.Buffer
		out, err := newTable(format, &b, len(all))
		if err != nil {
			t.Fatal(err)
		}
		var heads, cells []string
		for i := range all {
			heads, cells = append(heads, all[i].zh), append(cells, all[i].form.write(&full))
			if cells[i] == "" {
				t.Errorf("%s is not written: the test wants every column filled", all[i].key)
			}
		}
		out.line(heads)
		out.line(cells)
		if err := out.end(); err != nil {
			t.Fatal(err)
		}
		if format == CSV {
			for _, start := range []string{",=", ",+", ",@", ",-\"", "\n="} {
				if strings.Contains(b.String(), start) {
					t.Errorf("a spreadsheet would run a cell that begins with %q:\n%s", start[1:], b.String())
				}
			}
		}
		s, err := openSheet(bytes.NewReader(b.Bytes()), int64(b.Len()), func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := s.next(); err != nil {
			t.Fatal(err)
		}
		row, read, dates, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		c := &checker{layout: newLayout(all, grid.ImportAuto)}
		for i := range all {
			c.layout.at = append(c.layout.at, i)
		}
		p := c.read(row, read, dates)
		for _, w := range p.problems {
			t.Errorf("%s: %+v", format, w)
		}
		for i := range all {
			if got := all[i].form.write(&p.line); got != cells[i] {
				t.Errorf("%s: %s came back as %q, was %q", format, all[i].key, got, cells[i])
			}
		}
	}
}

func TestWhatASpreadsheetHasSpoiledIsToldFromWhatIsWrong(t *testing.T) {
	all := columns()
	c := &checker{layout: newLayout(all, grid.ImportAuto)}
	for i := range all {
		c.layout.at = append(c.layout.at, i)
	}
	at := func(key string) int {
		return slices.IndexFunc(all, func(c column) bool { return c.key == key })
	}
	for _, k := range []struct {
		key, cell string
		date      bool
		want      string // "" : it is taken
	}{
		{"cell", "3.10105E+14", false, "scientific"}, {"cell", "310105000000000", false, "zeros"}, {"cell", "３１０１０５００１００２００３", false, ""},
		{"cell", `="310105001002003"`, false, ""}, {"cell", "'310105001002003", false, ""}, {"component", "3.10105001002003E+15", false, "text"},
		{keyDevice, "24-E1-24-13-6D-49-01-75", false, ""}, {keyDevice, "8.61234E+14", false, "text"}, {"serial", "1E10", false, "text"}, {"serial", "'1E10", false, ""},
		{"room", "2026-03-02", true, "date"}, {"room", "3-2", false, ""}, {"bought", "2026-03-02", true, ""}, {keyFrom, "2026年3月2日", false, ""},
		{"address", "#N/A", false, "formula"}, {"interval", "20分钟", false, ""}, {"interval", "20", false, "unit"}, {"lat", "121.43", false, "wrong way round"},
		{"kind", "烟感", false, ""}, {"kind", "Smoke", false, ""}, {"crs", "国家2000", false, ""}, {"crs", "gcj-02", false, ""}, {"room", "ab\x01", false, "cannot be read"},
		{"room", strings.Repeat("x\n", 3000), false, "quote"},
	} {
		cells, dates := make([]string, len(all)), make([]bool, len(all))
		cells[at(k.key)], dates[at(k.key)] = k.cell, k.date
		p := c.read(2, cells, dates)
		said := ""
		for _, w := range p.problems {
			said += w.Problem.EN
		}
		if k.want == "" && said != "" || k.want != "" && !strings.Contains(strings.ReplaceAll(said, "turned a long code into the number", "scientific text"), k.want) {
			t.Errorf("%s %.40q: said %q, want %q", k.key, k.cell, said, k.want)
		}
	}
}

func FuzzSheet(f *testing.F) {
	f.Add([]byte("点位编号,名称\nP1,x\n"))
	f.Add([]byte("\xff\xfea\x00,\x00b\x00"))
	f.Add([]byte("a;b\n\"c\nd\";e"))
	book := excelize.NewFile()
	_ = book.SetSheetRow("Sheet1", "A1", &[]any{"点位编号", 3, "x", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)})
	if b, err := book.WriteToBuffer(); err == nil {
		f.Add(b.Bytes())
	}
	c := &checker{layout: newLayout(columns(), grid.ImportAuto)}
	for i := range c.layout.all {
		c.layout.at = append(c.layout.at, i)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := openSheet(bytes.NewReader(b), int64(len(b)), func(string) bool { return false })
		if err != nil {
			if grid.CodeOf(err) != grid.Invalid {
				t.Fatalf("%v: want it Invalid", err)
			}
			return
		}
		defer s.close()
		last := 0
		for range 1000 {
			row, cells, dates, err := s.next()
			if err != nil {
				if !errors.Is(err, io.EOF) && grid.CodeOf(err) != grid.Invalid {
					t.Fatalf("%v: want it Invalid", err)
				}
				return
			}
			if row <= last {
				t.Fatalf("row %d after %d", row, last)
			}
			last = row
			c.read(row, cells, dates)
		}
	})
}

// FuzzWorkbook fuzzes what is inside of a workbook, which FuzzSheet hardly reaches.
func FuzzWorkbook(f *testing.F) {
	f.Add([]byte(`<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>3.5</v></c></row></sheetData></worksheet>`), []byte(`<sst><si><t>x</t></si></sst>`))
	f.Add([]byte(`<x:row><x:c t="inlineStr"><x:is><x:t>a&#65;</x:t></x:is></x:c></x:row><!-- > --><![CDATA[>]]>`), []byte(`<si><r><t>a</t></r><rPh><t>b</t></rPh></si>`))
	f.Fuzz(func(t *testing.T, sheet, shared []byte) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, part := range map[string][]byte{
			"xl/workbook.xml":            []byte(`<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet r:id="a"/></sheets></workbook>`),
			"xl/_rels/workbook.xml.rels": []byte(`<Relationships><Relationship Id="a" Target="s.xml"/></Relationships>`),
			"xl/s.xml":                   sheet, "xl/sharedStrings.xml": shared,
		} {
			w, err := z.Create(name)
			if err == nil {
				_, err = w.Write(part)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		z.Close()
		if _, err := cellsOf(b.Bytes()); err != nil && grid.CodeOf(err) != grid.Invalid {
			t.Fatalf("%v: want it Invalid", err)
		}
	})
}
