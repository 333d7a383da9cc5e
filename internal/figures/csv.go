package figures

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// bom makes Excel read a CSV file as UTF-8.
const bom = "\xef\xbb\xbf"

// head is the first line of a table, in both languages.
var head = []string{
	"周期 / Period", "区域 / Group", "名称 / Name", "指标 / Figure", "Key", "公式 / Formula", "分子 / Numerator", "分母 / Denominator", "数值 / Value", "单位 / Unit",
	"目标 / Target", "达标 / Met", "环比期数值 / Previous", "环比 / Change", "同比期数值 / Year ago", "同比 / Change on year ago", "备注 / Note",
}

// WriteCSV writes the board as a table with one line for each figure of each group.
func WriteCSV(w io.Writer, b Board) error {
	if _, err := io.WriteString(w, bom); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(head); err != nil {
		return err
	}
	for _, line := range lines(b) {
		for i := range line {
			line[i] = grid.SheetCell(line[i])
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func lines(b Board) (out [][]string) {
	out = appendGroup(out, b, b.Whole, "全部 / all")
	for _, g := range b.Parts {
		key := g.Key
		if key == "" {
			key = "无 / none"
		}
		out = appendGroup(out, b, g, key)
	}
	return out
}

func appendGroup(out [][]string, b Board, g Group, key string) [][]string {
	for _, f := range g.Figures {
		out = append(out, figureLine(b, key, g.Name, f.ZH+" / "+f.EN, f))
	}
	for _, x := range g.FalseAlarms {
		out = append(out, figureLine(b, key, g.Name, x.Figure.ZH+" / "+x.Figure.EN+": "+x.By+" "+x.Of, x.Figure))
	}
	for _, x := range g.Ladder {
		for _, at := range []struct {
			name string
			s    *Second
		}{{"P50", x.P50}, {"P90", x.P90}, {"P99", x.P99}} {
			line := make([]string, len(head))
			copy(line, []string{b.Period.Name, key, g.Name, x.ZH + " / " + x.EN + " " + at.name, x.Key, "", strconv.Itoa(x.Count), "", notEnough, "s"})
			if at.s != nil {
				line[8] = number(float64(*at.s))
			}
			out = append(out, line)
		}
	}
	return out
}

func figureLine(b Board, key, name, title string, f Figure) []string {
	line := []string{b.Period.Name, key, name, title, f.Key, f.Formula, number(f.Numerator), optional(f.Denominator), optional(f.Value), "1", targetText(f.Target), metText(f.Met), "", "", "", "", f.Note}
	if f.Share {
		line[9] = "share of 1"
	}
	if f.Value == nil {
		line[8] = notEnough
	}
	for i, c := range []*Compared{f.Previous, f.YearAgo} {
		if c != nil {
			line[12+2*i], line[13+2*i] = optional(c.Value), optional(c.Change)
		}
	}
	return line
}

func optional(v *float64) string {
	if v == nil {
		return ""
	}
	return number(*v)
}

// number is exact: what is shown in fewer digits is the reader's wish.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func targetText(t *Target) string {
	switch {
	case t == nil:
		return ""
	case t.AtLeast != nil:
		return "≥ " + number(*t.AtLeast)
	}
	return "≤ " + number(*t.AtMost)
}

func metText(met *bool) string {
	switch {
	case met == nil:
		return ""
	case *met:
		return "是 / yes"
	}
	return "否 / no"
}

// span words a period for a title.
func span(p Period) string {
	const day = "2006-01-02 15:04"
	return fmt.Sprintf("%s: %s – %s", p.Name, p.From.Format(day), p.End.Format(day))
}

// String words a time of the ladder.
func (s Second) String() string {
	return (time.Duration(float64(s) * float64(time.Second))).Round(time.Millisecond).String()
}
