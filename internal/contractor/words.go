package contractor

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"gridgate/internal/grid"
)

// bringWords lists what to bring for a job.
func (r *Rules) bringWords(j *grid.Job, lang string) string {
	_, bring, _ := r.ToDo(j.Type)
	var words []string
	for _, w := range bring {
		words = append(words, w.In(lang))
	}
	if j.Battery != "" {
		words = append(words, j.Battery)
	}
	return strings.Join(words, Words{ZH: "、", EN: ", "}.In(lang))
}

// WriteRoundCSV writes the list of a round: one line for each job, in the order of the route.
func (r *Rules) WriteRoundCSV(w io.Writer, d *grid.Round) error {
	rows := [][]string{{"日期 / Day", "单位 / Unit", "站 / Stop", "距上站 (米) / Leg (m)", "楼栋 / Place", "点位 / Point", "名称 / Name", "楼层 / Floor", "房间 / Room", "设备 / Device", "事项 / Type",
		"工单 / Ticket", "作业 / To do", "携带 / Bring", "到期 / Due", "超期 / Late", "状态 / State", "备注 / Note"}}
	for i := range d.Stops {
		s := &d.Stops[i]
		for k := range s.Jobs {
			j := &s.Jobs[k]
			do, _, _ := r.ToDo(j.Type)
			late, due := "", ""
			if j.Late {
				late = "是 / yes"
			}
			if !j.Due.IsZero() {
				due = j.Due.In(r.Zone()).Format("2006-01-02 15:04")
			}
			rows = append(rows, []string{d.Day, d.Unit, strconv.Itoa(s.N), strconv.FormatFloat(math.Round(s.LegM), 'f', -1, 64), s.Place, j.Point, j.Name, j.Floor, j.Room, string(j.Device), string(j.Type),
				j.Ticket, do.ZH + " / " + do.EN, r.bringWords(j, "zh") + " / " + r.bringWords(j, "en"), due, late, string(s.State) + " " + string(j.State), cmp.Or(j.Why, s.Note)})
		}
	}
	return writeTable(w, rows)
}

// WriteSeasonCSV writes a season: one line for each battery, the first day first.
func (r *Rules) WriteSeasonCSV(w io.Writer, s *Season) error {
	rows := [][]string{{"日期 / Day", "楼栋 / Place", "点位 / Point", "名称 / Name", "楼层 / Floor", "房间 / Room", "设备 / Device", "型号 / Profile", "剩余天数 / Days left", "到期 / Ends",
		"电池 / Battery", "数量 / Count", "工单 / Ticket", "巡修单 / Round"}}
	for _, b := range s.Buildings {
		for _, p := range b.Points {
			day := b.Day
			if p.Round != "" {
				day = ""
			}
			rows = append(rows, []string{day, b.Place, p.BatteryEnd.Point, p.Name, p.Floor, p.Room, string(p.Device), p.Profile, fmt.Sprintf("%.0f", p.Days), p.Ends.In(r.Zone()).Format(grid.DayLayout),
				p.Battery, strconv.Itoa(p.Count), p.Ticket, p.Round})
		}
	}
	return writeTable(w, rows)
}

// Total is how many batteries of each type a round needs, for the head of its list.
func Total(d *grid.Round) (out []BatteryCount) {
	for i := range d.Stops {
		for _, j := range d.Stops[i].Jobs {
			n, typ, ok := strings.Cut(j.Battery, " × ")
			cells, err := strconv.Atoi(n)
			if !ok || err != nil || j.State != grid.JobOpen {
				continue
			}
			out = addUp(out, []SeasonPoint{{Battery: typ, Count: cells}})
		}
	}
	return out
}
