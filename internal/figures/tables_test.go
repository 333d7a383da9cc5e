package figures_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
)

// fleet is a Source that has devices too.
type fleet struct {
	*rows
	sensors  []grid.Sensors
	ailments []grid.Ailment
	asked    []grid.FigureQuery
}

func (f *fleet) FigureSensors(_ context.Context, q grid.FigureQuery, to func(grid.Sensors)) error {
	f.asked = append(f.asked, q)
	for _, x := range f.sensors {
		to(x)
	}
	return nil
}

func (f *fleet) FigureAilments(_ context.Context, q grid.FigureQuery, _ []grid.EventType, to func(*grid.Ailment)) error {
	f.asked = append(f.asked, q)
	for i := range f.ailments {
		to(&f.ailments[i])
	}
	return nil
}

// Counts of what happens at one moment add up over the steps of a trend to those of the board.
func TestTheStepsOfATrendAddUpToTheBoard(t *testing.T) {
	r, src := builtIn(t), november(t)
	now := at(t, "12-05 00:00")
	for _, a := range []figures.Ask{{At: at(t, "11-15 00:00")}, {Period: figures.Quarter, At: at(t, "11-15 00:00")}, {Period: figures.Day, At: at(t, "11-07 12:00")}} {
		b := must[figures.Board](t)(r.Board(t.Context(), src, a, now))
		trend := must[figures.Trend](t)(r.Trend(t.Context(), src, a, now))
		for _, key := range []string{"reported", "merged", "forced"} {
			sum := 0.0
			for _, p := range trend.Points {
				sum += p.Values[key]
			}
			if want := *figure(t, b.Whole, key).Value; sum != want {
				t.Errorf("%s by %s: the steps have %s %v, the board has %v", a.Period, trend.Step, key, sum, want)
			}
		}
		alarms := 0.0
		for _, p := range trend.Points {
			alarms += p.Values["load_hour"] * p.To.Sub(p.From).Hours() * 3
		}
		if want := figure(t, b.Whole, "load_hour").Numerator; fmt.Sprintf("%.6f", alarms) != fmt.Sprintf("%.6f", want) {
			t.Errorf("%s: %v alarms in the steps, %v on the board", a.Period, alarms, want)
		}
	}
}

func TestATrendHasAStepForEachDayAndNoValueWhereNothingWasCounted(t *testing.T) {
	r, src := builtIn(t), november(t)
	trend := must[figures.Trend](t)(r.Trend(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00")}, at(t, "11-20 12:00")))
	if trend.Step != "day" || len(trend.Points) != 20 || !trend.Points[19].To.Equal(at(t, "11-20 12:00")) {
		t.Fatalf("step %s, %d points, the last until %s", trend.Step, len(trend.Points), trend.Points[len(trend.Points)-1].To)
	}
	day := func(n int) map[string]float64 { return trend.Points[n-1].Values }
	if v, has := day(3)["on_time_handling"]; !has || v != 1 {
		t.Errorf("on-time handling of the 3rd is %v, %v", v, has)
	}
	if v, has := day(5)["on_time_handling"]; has {
		t.Errorf("on-time handling of the 5th, when nothing was due, is %v: want none", v)
	}
	if day(4)["check_pass"] != 0.5 || day(5)["chattering"] != 1 || day(11)["stale"] != 2 || day(10)["stale"] != 0 {
		t.Errorf("the 4th %v, the 5th %v, the 11th %v", day(4), day(5), day(11))
	}
	src.tickets = append(src.tickets, grid.TicketMarks{State: grid.TicketClosed, Opened: at(t, "11-03 10:00"), Ended: at(t, "11-03 11:00"), Due: at(t, "11-09 10:00")})
	early := must[figures.Trend](t)(r.Trend(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00")}, at(t, "11-20 12:00")))
	if v, has := early.Points[8].Values["closing"]; !has || v != 1 {
		t.Errorf("what was closed on the 3rd and due on the 9th is in the closing rate of the 9th with %v, %v", v, has)
	}
	if _, has := day(3)["online"]; has {
		t.Error("devices online have a trend: what was installed on a day of the past is not kept")
	}
	for _, c := range []struct {
		a    figures.Ask
		want string
	}{
		{figures.Ask{Period: figures.Day, At: at(t, "11-15 00:00")}, "hour 24"}, {figures.Ask{Period: figures.Days7, At: at(t, "11-15 00:00")}, "day 7"},
		{figures.Ask{Period: figures.Quarter, At: at(t, "09-15 00:00")}, "week 14"}, {figures.Ask{Period: figures.Month, At: at(t, "12-15 00:00")}, "day 0"},
	} {
		got := must[figures.Trend](t)(r.Trend(t.Context(), src, c.a, at(t, "11-20 12:00")))
		if s := fmt.Sprint(got.Step, " ", len(got.Points)); s != c.want {
			t.Errorf("%s is shown by %s, want %s", c.a.Period, s, c.want)
		}
	}
}

func TestTheLoadOfTheDeskIsAsCountedByHand(t *testing.T) {
	r := builtIn(t)
	l := must[figures.Load](t)(r.Load(t.Context(), november(t), figures.Ask{Period: figures.Day, At: at(t, "11-07 12:00")}, at(t, "12-05 00:00")))
	if l.Alarms != 61 || *l.PerHour != 61.0/72 || l.Step != "hour" || len(l.Steps) != 24 {
		t.Fatalf("%d alarms, %v, by %s in %d steps", l.Alarms, *l.PerHour, l.Step, len(l.Steps))
	}
	if s := l.Steps[10]; s.Alarms != 61 || *s.PerHour != 61.0/3 || s.Most != 31 || *l.Steps[11].PerHour != 0 {
		t.Errorf("ten o'clock: %+v", s)
	}
	bands := map[string]int{}
	for _, b := range l.Bands {
		bands[b.Key] = b.Hours
	}
	if d := cmp.Diff(map[string]int{"acceptable": 23, "manageable": 0, "over": 1}, bands); d != "" {
		t.Errorf("hours (+):\n%s", d)
	}
	var peaks []string
	for _, p := range l.Peaks {
		peaks = append(peaks, fmt.Sprint(p.From.Format("15:04"), " ", p.Alarms, " ", p.Flood))
	}
	if d := cmp.Diff([]string{"10:00 31 true", "10:10 30 false"}, peaks); d != "" {
		t.Errorf("peaks (+):\n%s", d)
	}
	l = must[figures.Load](t)(r.Load(t.Context(), november(t), figures.Ask{At: at(t, "11-15 00:00")}, at(t, "12-05 00:00")))
	if a := l.Acks[0]; a.Priority != 1 || a.Opened != 4 || a.Acked != 1 || *a.P90 != 20 {
		t.Errorf("acknowledged: %+v, want one of T1, T2, T3 and T9, after 20 s", a)
	}
	if h := l.Hours[10]; h.Alarms != 67 || *h.PerHour != 67.0/90 || h.Most != 31 {
		t.Errorf("ten o'clock of each day: %+v", h)
	}
	early := must[figures.Load](t)(r.Load(t.Context(), november(t), figures.Ask{At: at(t, "11-07 10:03")}, at(t, "11-07 00:03")))
	if s := early.Steps[6]; s.PerHour != nil {
		t.Errorf("three minutes of the 7th have a rate of %v", *s.PerHour)
	}
	none := must[figures.Load](t)(r.Load(t.Context(), &rows{}, figures.Ask{At: at(t, "12-15 00:00")}, at(t, "12-01 00:00")))
	if none.PerHour != nil || none.Bands[0].Share != nil {
		t.Errorf("a period without an hour has a load: %+v", none)
	}
}

func TestTheHealthOfSensorsIsAsCountedByHand(t *testing.T) {
	r := builtIn(t)
	const month = 30 * 24 * 3600.0
	src := &fleet{rows: &rows{}, sensors: []grid.Sensors{{Kind: grid.Smoke, Profile: "a/one", Count: 4, Seconds: 4 * month}, {Kind: grid.Door, Profile: "a/two", Count: 1}}}
	ill := func(typ grid.EventType, device grid.Identity, raised, returned string) {
		x := grid.Ailment{Type: typ, Kind: grid.Smoke, Profile: "a/one", Device: device, Installed: at(t, "01-01 00:00"), Raised: at(t, raised)}
		if returned != "" {
			x.Returned = at(t, returned)
		}
		src.ailments = append(src.ailments, x)
	}
	ill(grid.EventDeviceOffline, "d1", "10-31 00:00", "11-02 00:00") // of November a day
	ill(grid.EventDeviceOffline, "d1", "11-01 12:00", "11-02 12:00") // and half a day more
	ill(grid.EventDeviceOffline, "d2", "11-30 12:00", "12-01 12:00") // silent at the end
	ill(grid.EventBatteryLow, "d2", "11-10 00:00", "")               // low then
	ill(grid.EventBatteryLow, "d3", "11-10 00:00", "11-11 00:00")    // not any more
	ill(grid.EventSmokeFault, "d3", "11-20 00:00", "")
	h := must[figures.SensorHealth](t)(r.Sensors(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00"), Unit: "u1", Mode: grid.Simulated}, at(t, "12-05 00:00")))
	m := h.Models[1]
	if m.Profile != "a/one" || m.Installed != 4 || m.Silent != 1 || m.BatteryLow != 1 || m.Faulty != 1 || m.Well != 2 || m.Silences != 2 {
		t.Errorf("a/one: %+v", m)
	}
	if want := 1 - 2.0*24*3600/(4*month); fmt.Sprintf("%.9f", *m.Availability) != fmt.Sprintf("%.9f", want) {
		t.Errorf("availability %v, want %v", *m.Availability, want)
	}
	if d := h.Models[0]; d.Kind != grid.Door || d.Availability != nil || d.Well != 1 {
		t.Errorf("a device that was not there in the period has an availability: %+v", d)
	}
	if h.Whole.Installed != 5 || h.Whole.Well != 3 || len(h.Kinds) != 2 || h.Kinds[1].Silent != 1 {
		t.Errorf("whole %+v, kinds %+v", h.Whole, h.Kinds)
	}
	for _, q := range src.asked {
		if q.Unit != "" || q.Mode != grid.Simulated {
			t.Errorf("asked with %+v: devices are no unit's, and of the mode that was asked for", q)
		}
	}
}

func TestModelsAreListedByFalseAlarmsTheWorstFirst(t *testing.T) {
	src := &fleet{rows: november(t), sensors: []grid.Sensors{{Kind: grid.Smoke, Profile: "a/one", Count: 50}, {Kind: grid.Smoke, Profile: "quiet", Count: 9}}}
	m := must[figures.Models](t)(builtIn(t).Models(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00"), Compare: true}, at(t, "12-05 00:00")))
	if len(m.Items) != 2 {
		t.Fatalf("%+v", m.Items)
	}
	first := m.Items[0]
	if first.Profile != "a/one" || first.False != 2 || first.Verified != 3 || *first.Value != 2.0/3 || *first.Met || *first.PerHundred != 4 || first.Previous.Value != nil || first.Previous.Denominator == nil {
		t.Errorf("the worst is %+v", first)
	}
	if x := m.Items[1]; x.Profile != "a/two" || *x.Value != 0 || x.PerHundred != nil || x.Target != nil {
		t.Errorf("the other is %+v: it is installed no more, and has no target", x)
	}
}

func TestTablesAreKeptAsTheyAreShown(t *testing.T) {
	src := &fleet{rows: november(t), sensors: []grid.Sensors{{Kind: grid.Smoke, Profile: "a/one", Count: 4}}}
	for i := range src.tickets {
		if src.tickets[i].Profile == "a/one" {
			src.tickets[i].Profile = `=cmd|'/c calc'!A1` // as if somebody named a profile so
		}
	}
	m := must[figures.Models](t)(builtIn(t).Models(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00")}, at(t, "12-05 00:00")))
	var out bytes.Buffer
	if err := figures.WriteTablesCSV(&out, m.Tables()...); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(out.String(), "\xef\xbb\xbf")
	read := csv.NewReader(strings.NewReader(text))
	read.FieldsPerRecord = -1
	lines, err := read.ReadAll()
	if err != nil || !ok || len(lines) != 4 {
		t.Fatalf("%v, byte order mark %v, %d lines", err, ok, len(lines))
	}
	if l := lines[2]; l[0] != `'=cmd|'/c calc'!A1` || l[2] != "2" || l[4] != "0.6666666666666666" || l[8] != "无数据 / not measured" {
		t.Errorf("the worst reads %q", l)
	}
	out.Reset()
	if err := figures.WriteTablesXLSX(&out, m.Tables()...); err != nil {
		t.Fatal(err)
	}
	book := must[*excelize.File](t)(excelize.OpenReader(&out))
	defer book.Close()
	cells := must[[][]string](t)(book.GetRows("误报 False alarms"))
	if len(cells) != 4 || cells[2][0] != `'=cmd|'/c calc'!A1` || cells[2][4] != "66.67%" {
		t.Errorf("the sheet reads %q", cells)
	}
	if f := must[string](t)(book.GetCellFormula("误报 False alarms", "A3")); f != "" {
		t.Errorf("a name became the formula %q", f)
	}
	l := must[figures.Load](t)(builtIn(t).Load(t.Context(), src, figures.Ask{At: at(t, "11-15 00:00")}, at(t, "12-05 00:00")))
	out.Reset()
	if err := figures.WriteTablesXLSX(&out, l.Tables()...); err != nil {
		t.Fatal(err)
	}
	all := must[*excelize.File](t)(excelize.OpenReader(&out))
	defer all.Close()
	if d := cmp.Diff([]string{"负荷 Load", "时段 Hours", "限值 Limits", "峰值 Peaks", "确认 Acknowledged"}, all.GetSheetList()); d != "" {
		t.Errorf("sheets (+):\n%s", d)
	}
	hot := figures.HotspotTables([]grid.Hotspot{{Place: "+86", Share: 0.25, Listed: time.Date(2026, 11, 1, 16, 0, 0, 0, time.UTC)}}, time.FixedZone("", 8*3600))
	out.Reset()
	if err := figures.WriteTablesCSV(&out, hot...); err != nil || !strings.Contains(out.String(), "'+86") && !strings.Contains(out.String(), ",+86,") || !strings.Contains(out.String(), "2026-11-02 00:00") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestSevenDaysEndWithTheDayAndAreComparedWithTheSevenBefore(t *testing.T) {
	zone := at(t, "01-01 00:00").Location()
	now := at(t, "11-22 18:00")
	p := must[figures.Period](t)(figures.PeriodOf(figures.Days7, now, now, zone))
	before, year := p.Previous(figures.Days7), p.YearAgo(figures.Days7)
	for _, c := range []struct{ got, want time.Time }{
		{p.From, at(t, "11-16 00:00")}, {p.To, at(t, "11-23 00:00")}, {p.End, now}, {before.From, at(t, "11-09 00:00")}, {before.To, at(t, "11-16 00:00")}, {before.End, at(t, "11-15 18:00")},
		{year.From, at(t, "2025-11-16 00:00")}, {year.To, at(t, "2025-11-23 00:00")},
	} {
		if !c.got.Equal(c.want) {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	if p.Name != "2026-11-16..2026-11-22" {
		t.Errorf("named %s", p.Name)
	}
	thirty := must[figures.Period](t)(figures.PeriodOf(figures.Days30, now, now, zone))
	if !thirty.From.Equal(at(t, "10-24 00:00")) {
		t.Errorf("thirty days begin at %s", thirty.From)
	}
}
