package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) figuresCommand() *cobra.Command {
	var q api.KPIQuery
	var at, since, until, csv, xlsx string
	cmd := &cobra.Command{
		Use: "figures", Short: "Show the KPI board of a period, or write it for a spreadsheet",
		Example: "  gridgate figures\n  gridgate figures --period day --by street --compare\n  gridgate figures --period month --at 2026-10-01 --by unit --xlsx october.xlsx",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			for _, t := range []struct {
				text string
				to   *time.Time
			}{{at, &q.At}, {since, &q.Since}, {until, &q.Until}} {
				if *t.to, err = dayOr(t.text); err != nil {
					return usage(cmd, err)
				}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			files := false
			for _, f := range []struct{ path, ext string }{{csv, "csv"}, {xlsx, "xlsx"}} {
				if f.path == "" {
					continue
				}
				files = true
				if err := a.figuresFile(cmd, c, q, f.path, f.ext); err != nil {
					return err
				}
			}
			if files && !a.json {
				return nil
			}
			b, err := c.KPIs(cmd.Context(), q)
			if err != nil {
				return err
			}
			return a.show(b, func() { a.printBoard(b) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Period, "period", "", "`kind` of period: day, week, month, quarter or year (month, unless --since)")
	f.StringVar(&at, "at", "", "a `day` in the period, for example 2026-10-01; today if nothing is said")
	f.StringVar(&since, "since", "", "from this `time` or day on, instead of --period; 720h is so long ago")
	f.StringVar(&until, "until", "", "until this `time` or day")
	f.StringVar(&q.By, "by", "", "`groups`: district, street, community, compound, cell, unit, kind, type, priority, profile or hour")
	f.BoolVar(&q.Compare, "compare", false, "beside the period before and the same a year ago")
	f.StringVar(&q.Street, "street", "", "only of this `street`")
	f.StringVar(&q.Compound, "compound", "", "only of this `compound`")
	f.StringVar(&q.Unit, "unit", "", "only tickets that this `unit` leads")
	f.StringVar(&q.Kind, "kind", "", "only of points of this `kind`: door, parking, manhole or smoke")
	f.StringVar(&csv, "csv", "", "write it as CSV into this `file`; - is standard output")
	f.StringVar(&xlsx, "xlsx", "", "write it as an Excel workbook into this `file`")
	cmd.AddCommand(a.hotspotsCommand())
	return cmd
}

// dayOr reads a day of this machine's zone, or what ago reads.
func dayOr(s string) (time.Time, error) {
	if t, err := time.ParseInLocation("2006-01-02", s, time.Local); err == nil {
		return t, nil
	}
	return ago(s)
}

func (a *app) figuresFile(cmd *cobra.Command, c *api.Client, q api.KPIQuery, path, ext string) error {
	b, err := c.KPIFile(cmd.Context(), q, ext)
	if err != nil {
		return err
	}
	if path == "-" {
		_, err := a.out.Write(b)
		return err
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return err
	}
	if !a.json {
		a.say("figures are in %s", path)
	}
	return nil
}

func (a *app) printBoard(b api.Board) {
	const day = "2006-01-02 15:04"
	a.say("%s  %s to %s", b.Period.Name, b.Period.From.Format(day), b.Period.End.Format(day))
	head := []string{"", "FIGURE", "指标", "VALUE", "OF", "TARGET", ""}
	if b.Previous != nil {
		head = append(head, "环比 "+b.Previous.Name, "同比 "+b.YearAgo.Name)
	}
	var rows, ladder [][]string
	groups := append([]api.BoardGroup{b.Whole}, b.Parts...)
	for i, g := range groups {
		name := "all"
		if i > 0 {
			name = strings.TrimSpace(dash(g.Key) + " " + g.Name)
		}
		for _, f := range g.Figures {
			rows = append(rows, figureRow(name, f.EN, f.ZH, f, b.Previous != nil))
		}
		for _, x := range g.FalseAlarms {
			rows = append(rows, figureRow(name, x.Figure.EN+", "+x.Of, x.Figure.ZH, x.Figure, b.Previous != nil))
		}
		for _, x := range g.Ladder {
			row := []string{name, x.EN, x.ZH, strconv.Itoa(x.Count)}
			for _, s := range []fmt.Stringer{x.P50, x.P90, x.P99} {
				if x.Count == 0 {
					row = append(row, "-")
				} else {
					row = append(row, s.String())
				}
			}
			ladder = append(ladder, row)
		}
	}
	a.table("no figures", head, rows)
	a.say("")
	a.table("no times", []string{"", "STEP", "环节", "COUNT", "P50", "P90", "P99"}, ladder)
}

func figureRow(group, en, zh string, f api.Figure, compared bool) []string {
	row := []string{group, en, zh, figureText(f.Value, f.Share), "", "", ""}
	if f.Denominator != nil {
		row[4] = fmt.Sprintf("%s/%s", short(f.Numerator), short(*f.Denominator))
	}
	if t := f.Target; t != nil && t.AtLeast != nil {
		row[5] = "≥ " + figureText(t.AtLeast, f.Share)
	} else if t != nil {
		row[5] = "≤ " + figureText(t.AtMost, f.Share)
	}
	if f.Met != nil {
		row[6] = map[bool]string{true: "met", false: "MISSED"}[*f.Met]
	}
	if !compared {
		return row
	}
	for _, c := range []*api.Compared{f.Previous, f.YearAgo} {
		switch {
		case c == nil || c.Change == nil:
			row = append(row, "-")
		case f.Share:
			row = append(row, fmt.Sprintf("%+.1f points", 100**c.Change))
		default:
			row = append(row, "+"+strings.TrimPrefix(short(*c.Change), "+"))
			if *c.Change < 0 {
				row[len(row)-1] = short(*c.Change)
			}
		}
	}
	return row
}

func figureText(v *float64, share bool) string {
	switch {
	case v == nil:
		return "not enough data"
	case share:
		return fmt.Sprintf("%.1f %%", 100**v)
	}
	return short(*v)
}

// short is a number in few digits.
func short(v float64) string {
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func (a *app) hotspotsCommand() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "hotspots", Short: "List places with too many verified alarms, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRows(a, cmd, "hotspots", q, "no hot-spots", []string{"WHAT", "PLACE", "STREET", "LISTED", "DELISTED", "ALARMS", "SHARE", "TICKET", "WHY"}, func(h *grid.Hotspot) []string {
				return []string{string(h.What), h.Place, h.Street, clock(h.Listed), clock(h.Delisted), strconv.Itoa(h.Alarms), fmt.Sprintf("%.1f %%", 100*h.Share), dash(h.Ticket), h.Why}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "listed", "listed or delisted; \"\" is `both`")
	f.StringVar(&q.Type, "type", "", "only compounds or cells: compound or `cell`")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}
