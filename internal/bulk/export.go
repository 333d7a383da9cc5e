package bulk

import (
	"cmp"
	"context"
	"encoding/csv"
	"io"
	"strconv"

	"github.com/xuri/excelize/v2"

	"gridgate/internal/grid"
)

func itoa(n int) string { return strconv.Itoa(n) }

// table is a sheet that is written line by line.
type table interface {
	line(cells []string)
	end() error // the first error of all
}

// csvTable writes CSV as Excel in China reads it: UTF-8 with a mark.
type csvTable struct {
	w *csv.Writer
	b []string
}

func newCSV(w io.Writer) *csvTable {
	_, _ = io.WriteString(w, "\ufeff") // the next write has the same error
	out := csv.NewWriter(w)
	out.UseCRLF = true
	return &csvTable{w: out}
}

func (t *csvTable) line(cells []string) {
	t.b = t.b[:0]
	for _, c := range cells {
		t.b = append(t.b, guarded(c))
	}
	_ = t.w.Write(t.b) // end tells
}

func (t *csvTable) end() error {
	t.w.Flush()
	return t.w.Error()
}

// xlsxTable writes a workbook whose cells are all texts: no number loses a digit, and nothing
// is run as a formula, also once somebody has kept it as CSV.
type xlsxTable struct {
	w    io.Writer
	f    *excelize.File
	s    *excelize.StreamWriter
	n    int
	text int // style
	err  error
}

func newXLSX(w io.Writer, columns int) *xlsxTable {
	t := &xlsxTable{w: w, f: excelize.NewFile()}
	if t.s, t.err = t.f.NewStreamWriter("Sheet1"); t.err != nil {
		return t
	}
	const asText = 49
	if t.text, t.err = t.f.NewStyle(&excelize.Style{NumFmt: asText}); t.err != nil {
		return t
	}
	if t.err = t.s.SetColStyle(1, max(columns, 1), t.text); t.err == nil {
		t.err = t.s.SetColWidth(1, max(columns, 1), 18)
	}
	if t.err == nil {
		t.err = t.s.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
	}
	return t
}

func (t *xlsxTable) line(cells []string) {
	if t.err != nil {
		return
	}
	t.n++
	row := make([]any, len(cells))
	for i, c := range cells {
		if c != "" {
			row[i] = excelize.Cell{StyleID: t.text, Value: guarded(c)}
		}
	}
	at, err := excelize.CoordinatesToCellName(1, t.n)
	if err == nil {
		err = t.s.SetRow(at, row)
	}
	t.err = err
}

func (t *xlsxTable) end() error {
	if t.err == nil {
		t.err = t.s.Flush()
	}
	if t.err == nil {
		_, t.err = t.f.WriteTo(t.w)
	}
	return cmp.Or(t.err, t.f.Close())
}

// Formats of sheets.
const (
	CSV  = "csv"
	XLSX = "xlsx"
)

func newTable(format string, w io.Writer, columns int) (table, error) {
	switch format {
	case CSV:
		return newCSV(w), nil
	case XLSX:
		return newXLSX(w, columns), nil
	}
	return nil, grid.Errorf(grid.Invalid, "format is %q: want csv or xlsx", format)
}

// exported says which columns a sheet of a kind has.
func exported(kind grid.ImportKind) part {
	switch kind {
	case grid.ImportPoints:
		return ofPoint
	case grid.ImportDevices:
		return ofDevice
	case grid.ImportBuildings:
		return ofBuilding
	}
	return ofInstallation
}

// Export writes what is registered in a scope as a sheet that Add takes back without a change.
func (j *Jobs) Export(ctx context.Context, kind grid.ImportKind, format, lang string, scope grid.Scope, w io.Writer) error {
	var cols []column
	for _, c := range j.all {
		if c.of&exported(kind) != 0 {
			cols = append(cols, c)
		}
	}
	out, err := newTable(format, w, len(cols))
	if err != nil {
		return err
	}
	cells := make([]string, len(cols))
	for i := range cols {
		cells[i] = cols[i].header(lang)
	}
	out.line(cells)
	put := func(l *line) error {
		for i := range cols {
			cells[i] = cols[i].form.write(l)
		}
		out.line(cells)
		return ctx.Err()
	}
	switch kind {
	case grid.ImportPoints:
		err = j.Store.EachPoint(ctx, scope, func(p *grid.Point) error { return put(&line{point: *p}) })
	case grid.ImportDevices:
		err = j.Store.EachDevice(ctx, scope, func(d *grid.Device) error { return put(&line{device: *d}) })
	case grid.ImportBuildings:
		err = j.Store.EachBuilding(ctx, scope, func(b *grid.Building) error { return put(&line{building: *b}) })
	case grid.ImportInstallations:
		err = j.Store.EachInstallation(ctx, scope, func(in *grid.Installation) error {
			return put(&line{in: *in, device: grid.Device{Identity: in.Device}, point: grid.Point{ID: in.Point}})
		})
	default:
		err = grid.Errorf(grid.Invalid, "%q cannot be exported: want points, devices, installations or buildings", kind)
	}
	if err != nil {
		return err
	}
	return out.end()
}

// template is what the usual installer's sheet has, in this order.
var installersSheet = []string{
	keyPoint, "point_name", "kind", "address", "building", "floor", "room", "lon", "lat", "crs", "cell",
	keyDevice, "profile", "interval", keyChannel, keyFrom, "component", "owner", "privacy", "contractor",
}

// Template writes an empty sheet: headers, an example and hints. The two rows below the headers
// are to be deleted or written over; handed in as it is, the hints are refused.
func (j *Jobs) Template(kind grid.ImportKind, format, lang string, w io.Writer) error {
	var cols []column
	all := j.all
	if kind == grid.ImportAuto {
		for _, k := range installersSheet {
			for i := range all {
				if all[i].key == k {
					cols = append(cols, all[i])
				}
			}
		}
	} else {
		for _, c := range all {
			if c.of&exported(kind) != 0 && c.of&told == 0 {
				cols = append(cols, c)
			}
		}
	}
	out, err := newTable(format, w, len(cols))
	if err != nil {
		return err
	}
	var heads, samples, hints []string
	for _, c := range cols {
		heads, samples = append(heads, c.header(lang)), append(samples, c.sample)
		if lang == "en" {
			hints = append(hints, c.hint.EN)
		} else {
			hints = append(hints, c.hint.ZH)
		}
	}
	if first := "（说明，导入前请删除本行）"; lang == "en" {
		hints[0] = "(hints: delete this row) " + hints[0]
	} else {
		hints[0] = first + hints[0]
	}
	out.line(heads)
	out.line(samples)
	out.line(hints)
	return out.end()
}
