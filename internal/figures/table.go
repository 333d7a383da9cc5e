package figures

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/xuri/excelize/v2"

	"gridgate/internal/grid"
)

// Table is what a screen shows, to be kept: a cell is a string, an int, a float64, a Share, a
// time.Time, or nil where nothing was measured.
type Table struct {
	Name  string   // of the sheet
	Title string   // above it
	Head  []string // in both languages
	Rows  [][]any
}

// Share is a number that people read in percent.
type Share float64

const notMeasured = "无数据 / not measured"

// WriteTablesCSV writes tables one after the other, a blank line between them.
func WriteTablesCSV(w io.Writer, tables ...Table) error {
	if _, err := io.WriteString(w, bom); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for i, t := range tables {
		if i > 0 {
			if err := out.Write([]string{""}); err != nil {
				return err
			}
		}
		for _, row := range append([][]any{{t.Title}, texts(t.Head)}, t.Rows...) {
			line := make([]string, len(row))
			for k, v := range row {
				line[k] = grid.SheetCell(cellText(v))
			}
			if err := out.Write(line); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func texts(head []string) []any {
	out := make([]any, len(head))
	for i := range head {
		out[i] = head[i]
	}
	return out
}

func cellText(v any) string {
	switch v := v.(type) {
	case nil:
		return notMeasured
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case float64:
		return number(v)
	case Share:
		return number(float64(v))
	case time.Time:
		return v.Format("2006-01-02 15:04")
	}
	return fmt.Sprint(v)
}

// WriteTablesXLSX writes a workbook with one sheet for each table: numbers as numbers, shares
// in percent.
func WriteTablesXLSX(w io.Writer, tables ...Table) (err error) {
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	x := sheets{f: f}
	x.bold = x.style(&excelize.Style{Font: &excelize.Font{Bold: true}})
	x.percent = x.style(&excelize.Style{NumFmt: 10}) // 0.00%
	for i, t := range tables {
		if i == 0 {
			x.do(f.SetSheetName("Sheet1", t.Name))
		} else {
			_, err := f.NewSheet(t.Name)
			x.do(err)
		}
		x.table(t)
	}
	if x.err != nil {
		return fmt.Errorf("write a workbook: %w", x.err)
	}
	return f.Write(w)
}

func (x *sheets) table(t Table) {
	x.top(t.Name, t.Title, t.Head)
	x.do(x.f.SetColWidth(t.Name, "A", cellColumn(len(t.Head)), 20))
	for i, row := range t.Rows {
		values := make([]any, len(row))
		for k, v := range row {
			switch v := v.(type) {
			case Share:
				values[k] = float64(v)
				x.mark(t.Name, k+1, i+3, x.percent)
			case int, float64:
				values[k] = v
			default:
				values[k] = cellText(v)
			}
		}
		x.row(t.Name, i+3, values)
	}
	x.do(x.f.AutoFilter(t.Name, "A2:"+cell(len(t.Head), max(len(t.Rows)+2, 3)), nil))
}

func cellColumn(n int) string {
	name, err := excelize.ColumnNumberToName(n)
	if err != nil {
		panic("figures: a column of a sheet: " + err.Error())
	}
	return name
}

// title names a table, its period and what it counts.
func title(what string, p Period, mode grid.Mode) string {
	if mode != "" && mode != grid.Live {
		what += " [" + string(mode) + "]"
	}
	return what + ": " + span(p)
}

func share(v *float64) any {
	if v == nil {
		return nil
	}
	return Share(*v)
}

func measured(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

func seconds(s *Second) any {
	if s == nil {
		return nil
	}
	return float64(*s)
}

// Tables are the trend as it is kept: one column for each figure.
func (t Trend) Tables() []Table {
	out := Table{Name: "趋势 Trend", Title: title("趋势 / Trend", t.Period, t.Mode), Head: []string{"起 / From", "止 / To"}}
	for _, f := range formulas {
		if f.family != ofDevices && f.family != ofDesk {
			out.Head = append(out.Head, f.zh+" / "+f.en)
		}
	}
	for _, p := range t.Points {
		row := []any{p.From, p.To}
		for _, f := range formulas {
			if f.family == ofDevices || f.family == ofDesk {
				continue
			}
			v, has := p.Values[f.key]
			switch {
			case !has:
				row = append(row, nil)
			case f.share:
				row = append(row, Share(v))
			default:
				row = append(row, v)
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return []Table{out}
}

// Tables are the load as it is kept.
func (l Load) Tables() []Table {
	steps := Table{Name: "负荷 Load", Title: title("值班负荷 / Operator load", l.Period, l.Mode), Head: []string{"起 / From", "告警 / Alarms", "人均每小时 / Per operator and hour", "最多 (每窗口) / Most in a window"}}
	for _, s := range l.Steps {
		steps.Rows = append(steps.Rows, []any{s.From, s.Alarms, measured(s.PerHour), s.Most})
	}
	hours := Table{Name: "时段 Hours", Title: title("一天各时 / Hours of the day", l.Period, l.Mode), Head: []string{"时 / Hour", "告警 / Alarms", "人均每小时 / Per operator and hour", "最多 (每窗口) / Most in a window"}}
	for _, s := range l.Hours {
		hours.Rows = append(hours.Rows, []any{*s.Hour, s.Alarms, measured(s.PerHour), s.Most})
	}
	bands := Table{Name: "限值 Limits", Title: title("按限值的小时数 / Hours by limit", l.Period, l.Mode), Head: []string{"档 / Band", "小时 / Hours", "占比 / Share"}}
	for _, b := range l.Bands {
		bands.Rows = append(bands.Rows, []any{b.Key, b.Hours, share(b.Share)})
	}
	peaks := Table{Name: "峰值 Peaks", Title: title("峰值窗口 / Peaks", l.Period, l.Mode), Head: []string{"起 / From", "告警 / Alarms", "人均 / Per operator", "洪泛 / Flood"}}
	for _, p := range l.Peaks {
		peaks.Rows = append(peaks.Rows, []any{p.From, p.Alarms, p.PerOperator, metText(&p.Flood)})
	}
	acks := Table{Name: "确认 Acknowledged", Title: title("确认用时 / Time to acknowledge", l.Period, l.Mode), Head: []string{"优先级 / Priority", "告警工单 / Opened", "已确认 / Acknowledged", "P50 (s)", "P90 (s)", "P99 (s)"}}
	for _, a := range l.Acks {
		acks.Rows = append(acks.Rows, []any{"P" + strconv.Itoa(a.Priority), a.Opened, a.Acked, seconds(a.P50), seconds(a.P90), seconds(a.P99)})
	}
	return []Table{steps, hours, bands, peaks, acks}
}

// Tables are the health of the sensors as it is kept.
func (h SensorHealth) Tables() []Table {
	out := Table{Name: "设备 Sensors", Title: title("设备健康 / Sensor health", h.Period, h.Mode), Head: []string{
		"类型 / Kind", "型号 / Model", "在用 / Installed", "正常 / Well", "失联 / Silent", "电量低 / Battery low", "故障 / Faulty", "期内失联次数 / Silences", "可用率 / Availability",
	}}
	add := func(kind, model string, g SensorGroup) {
		out.Rows = append(out.Rows, []any{kind, model, g.Installed, g.Well, g.Silent, g.BatteryLow, g.Faulty, g.Silences, share(g.Availability)})
	}
	add("全部 / all", "", h.Whole)
	for _, g := range h.Kinds {
		add(string(g.Kind), "", g)
	}
	for _, g := range h.Models {
		add(string(g.Kind), g.Profile, g)
	}
	return []Table{out}
}

// Tables are the models as they are kept.
func (m Models) Tables() []Table {
	out := Table{Name: "误报 False alarms", Title: title("型号误报率 / Device models by false-alarm rate", m.Period, m.Mode), Head: []string{
		"型号 / Model", "类型 / Kind", "误报 / False", "已核实 / Verified", "误报率 / False-alarm rate", "目标 / Target", "达标 / Met", "在用 / Installed", "每百台误报 / False per hundred", "环比期 / Previous", "同比期 / Year ago",
	}}
	for _, x := range m.Items {
		row := []any{x.Profile, string(x.Kind), x.False, x.Verified, share(x.Value), targetText(x.Target), metText(x.Met), x.Installed, measured(x.PerHundred), nil, nil}
		for i, c := range []*Compared{x.Previous, x.YearAgo} {
			if c != nil {
				row[9+i] = share(c.Value)
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return []Table{out}
}

// HotspotTables are the hot-spots as they are kept.
func HotspotTables(rows []grid.Hotspot, zone *time.Location) []Table {
	out := Table{Name: "高发点位 Hot-spots", Title: "高发点位 / Hot-spots", Head: []string{
		"类别 / What", "位置 / Place", "区 / District", "街镇 / Street", "近 30 日属实告警 / Verified in the window", "占全区 / Share of the district's", "列入 / Listed", "列入原因 / Why", "移出 / Delisted", "移出原因 / Why delisted", "工单 / Ticket",
	}}
	for _, h := range rows {
		var gone any = ""
		if !h.Delisted.IsZero() {
			gone = h.Delisted.In(zone)
		}
		out.Rows = append(out.Rows, []any{string(h.What), h.Place, h.District, h.Street, h.Alarms, Share(h.Share), h.Listed.In(zone), h.Why, gone, h.WhyNot, h.Ticket})
	}
	return []Table{out}
}
