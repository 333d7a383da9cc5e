package figures

import (
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"

	"gridgate/internal/grid"
)

// WriteXLSX writes the board as a workbook: the figures as numbers, shares shown in percent,
// and the time ladder on a sheet of its own.
func WriteXLSX(w io.Writer, b Board) (err error) {
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	x := sheets{f: f}
	x.styles()
	x.figures(b)
	x.ladder(b)
	if x.err != nil {
		return fmt.Errorf("write a workbook: %w", x.err)
	}
	return f.Write(w)
}

const (
	figuresSheet = "指标 Figures"
	ladderSheet  = "时效 Time ladder"
)

// sheets writes until the first error.
type sheets struct {
	f                            *excelize.File
	bold, percent, red, redShare int
	err                          error
}

func (x *sheets) do(err error) {
	if x.err == nil {
		x.err = err
	}
}

func (x *sheets) style(s *excelize.Style) int {
	id, err := x.f.NewStyle(s)
	x.do(err)
	return id
}

func (x *sheets) styles() {
	percent := 10 // 0.00%
	red := &excelize.Font{Color: "C00000", Bold: true}
	x.bold = x.style(&excelize.Style{Font: &excelize.Font{Bold: true}})
	x.percent = x.style(&excelize.Style{NumFmt: percent})
	x.red = x.style(&excelize.Style{Font: red})
	x.redShare = x.style(&excelize.Style{Font: red, NumFmt: percent})
	x.do(x.f.SetSheetName("Sheet1", figuresSheet))
	_, err := x.f.NewSheet(ladderSheet)
	x.do(err)
}

// row writes values from the first column on. A text is a text in a workbook, and stays one in
// what a spreadsheet keeps of it.
func (x *sheets) row(sheet string, n int, values []any) {
	for i, v := range values {
		if s, ok := v.(string); ok {
			values[i] = grid.SheetCell(s)
		}
	}
	x.do(x.f.SetSheetRow(sheet, cell(1, n), &values))
}

func cell(col, row int) string {
	name, err := excelize.CoordinatesToCellName(col, row)
	if err != nil {
		panic("figures: a cell of a sheet: " + err.Error())
	}
	return name
}

func (x *sheets) mark(sheet string, col, row, style int) {
	x.do(x.f.SetCellStyle(sheet, cell(col, row), cell(col, row), style))
}

// top writes the title and the head of a sheet and holds them in place.
func (x *sheets) top(sheet, title string, head []string) {
	x.row(sheet, 1, []any{title})
	values := make([]any, len(head))
	for i := range head {
		values[i] = head[i]
	}
	x.row(sheet, 2, values)
	x.do(x.f.SetCellStyle(sheet, "A1", cell(len(head), 2), x.bold))
	x.do(x.f.SetPanes(sheet, &excelize.Panes{Freeze: true, YSplit: 2, TopLeftCell: "A3", ActivePane: "bottomLeft"}))
	x.do(x.f.SetColWidth(sheet, "A", "C", 14))
	x.do(x.f.SetColWidth(sheet, "D", "D", 42))
}

func (x *sheets) figures(b Board) {
	x.top(figuresSheet, span(b.Period), head)
	n := 2
	each(b, func(key string, g Group) {
		for _, f := range g.Figures {
			n++
			x.figure(n, b, key, g.Name, f.ZH+" / "+f.EN, f)
		}
		for _, fa := range g.FalseAlarms {
			n++
			x.figure(n, b, key, g.Name, fa.Figure.ZH+" / "+fa.Figure.EN+": "+fa.By+" "+fa.Of, fa.Figure)
		}
	})
	x.do(x.f.AutoFilter(figuresSheet, "A2:"+cell(len(head), max(n, 3)), nil))
}

func each(b Board, f func(key string, g Group)) {
	f("全部 / all", b.Whole)
	for _, g := range b.Parts {
		f(g.Key, g)
	}
}

func (x *sheets) figure(n int, b Board, key, name, title string, f Figure) {
	text := figureLine(b, key, name, title, f)
	values := make([]any, len(text))
	for i := range text {
		values[i] = text[i]
	}
	numbers := map[int]*float64{6: &f.Numerator, 7: f.Denominator, 8: f.Value}
	if f.Previous != nil {
		numbers[12], numbers[13] = f.Previous.Value, f.Previous.Change
	}
	if f.YearAgo != nil {
		numbers[14], numbers[15] = f.YearAgo.Value, f.YearAgo.Change
	}
	for i, v := range numbers {
		if v != nil {
			values[i] = *v
		}
	}
	x.row(figuresSheet, n, values)
	missed := f.Met != nil && !*f.Met
	for _, col := range []int{9, 13, 14, 15, 16} {
		switch {
		case col == 9 && missed && f.Share:
			x.mark(figuresSheet, col, n, x.redShare)
		case col == 9 && missed:
			x.mark(figuresSheet, col, n, x.red)
		case f.Share:
			x.mark(figuresSheet, col, n, x.percent)
		}
	}
}

func (x *sheets) ladder(b Board) {
	x.top(ladderSheet, span(b.Period), []string{"周期 / Period", "区域 / Group", "名称 / Name", "环节 / Step", "数量 / Count", "P50 (s)", "P90 (s)", "P99 (s)"})
	n := 2
	each(b, func(key string, g Group) {
		for _, r := range g.Ladder {
			n++
			values := []any{b.Period.Name, key, g.Name, r.ZH + " / " + r.EN, r.Count, notEnough, notEnough, notEnough}
			for i, s := range []*Second{r.P50, r.P90, r.P99} {
				if s != nil {
					values[5+i] = float64(*s)
				}
			}
			x.row(ladderSheet, n, values)
		}
	})
}
