package bulk

import (
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// Rows as they stand in a sheet: their cells are read, each by the form of its column.

// parsed is a row whose cells are read.
type parsed struct {
	line
	problems []grid.ImportProblem
	blank    bool
}

// read reads the cells of one row.
func (c *checker) read(row int, cells []string, dates []bool) *parsed {
	p := &parsed{line: line{n: row}, blank: true}
	for i, cell := range cells[:min(len(cells), maxColumns)] {
		value := clean(cell)
		if value == "" {
			continue
		}
		if i >= len(c.layout.at) || c.layout.at[i] < 0 {
			if i >= len(c.layout.at) {
				p.blank = false
				p.wrong("", value, say("这个单元格没有表头（第 %d 列）", "has no header above it (column %d)", i+1))
			}
			continue
		}
		p.blank = false
		n := c.layout.at[i]
		col := &c.layout.all[n]
		raw := strings.TrimFunc(cell, blank)
		if cleared(raw) {
			if col.of&key == 0 {
				p.set |= 1 << n // its field is empty in a fresh line
			}
			continue
		}
		if col.of&key != 0 {
			value = strings.Clone(value) // it is remembered, and the row that it is cut from is not
		}
		p.quoted = strings.HasPrefix(raw, "'") || strings.HasPrefix(raw, "=")
		if w := c.cell(p, col, value, i < len(dates) && dates[i]); w != nil {
			p.wrong(c.header(col.key), value, w)
			continue
		}
		p.set |= 1 << n
	}
	return p
}

func (c *checker) cell(p *parsed, col *column, value string, date bool) *grid.Text {
	if len(value) > 4*maxCell || len([]rune(value)) > maxCell {
		return say("超过 %d 个字：可能有一个引号没有闭合", "is longer than %d characters: a quote may not be closed", maxCell)
	}
	if w := unreadable(value); w != nil {
		return w
	}
	if slices.Contains(sheetErrors, value) {
		return say("是电子表格的公式错误：请填写实际内容", "is an error of a formula in the spreadsheet: want the value itself")
	}
	if date && !col.form.date {
		return say("电子表格把它改成了日期：请先把该列设为“文本”格式，再重新填写", "the spreadsheet has turned it into a date: want the column formatted as text and the value typed again")
	}
	return col.form.read(&p.line, value)
}

// sheetErrors are what a spreadsheet writes where a formula has failed.
var sheetErrors = []string{"#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"}

func (p *parsed) wrong(column, value string, w *grid.Text) {
	p.problems = append(p.problems, grid.ImportProblem{Row: p.n, Column: column, Value: shown(value), Problem: *w})
}

func (p *parsed) verdict() *verdict {
	return &verdict{ImportRow: grid.ImportRow{Row: p.n, What: p.what()}, problems: p.problems}
}

// what names a row for a person.
func (p *parsed) what() string {
	var out []string
	for _, s := range []string{p.point.ID, string(p.device.Identity), p.in.Channel, p.building.ID} {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}
