package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) roundCommand() *cobra.Command {
	return group("round", "Rounds of contractors: tickets of P4 in one visit per building, in the order of a route",
		a.roundPlan(), a.roundList(), a.roundShow(), a.roundDone(), a.roundNoEntry(), a.roundNoEntries(), a.roundApprove(), a.roundCancel())
}

func (a *app) roundPlan() *cobra.Command {
	var n api.NewRounds
	var place grid.Scope
	var by api.As
	var role, key, start string
	cmd := &cobra.Command{
		Use: "plan <unit>", Short: "Plan the rounds of a contractor", Args: args(cobra.ExactArgs(1)),
		Example: `  gridgate round plan wb-1 --dry-run
  gridgate round plan wb-1 --from 2026-11-24 --days 5 --stops 12 --start 121.42,31.22`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			n.Unit, n.District, n.Street, n.Community, n.Compound = argv[0], place.District, place.Street, place.Community, place.Compound
			if start != "" {
				lon, lat, ok := strings.Cut(start, ",")
				x, err1 := strconv.ParseFloat(lon, 64)
				y, err2 := strconv.ParseFloat(lat, 64)
				if !ok || err1 != nil || err2 != nil {
					return usage(cmd, fmt.Errorf("--start is %q: want longitude,latitude in WGS84", start))
				}
				n.Start = &grid.Spot{Lon: x, Lat: y}
			}
			if by.Role = grid.Role(role); by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.planned(cmd, c, n, key)
		},
	}
	bindPlace(cmd, &place)
	f := cmd.Flags()
	f.StringVar(&n.From, "from", "", "the first `day`, such as 2026-11-24 (default the next work day)")
	f.IntVar(&n.Days, "days", 1, "work `days` from then on")
	f.IntVar(&n.Stops, "stops", 0, "buildings a day, at most `n`")
	f.StringVar(&start, "start", "", "where the way begins: `lon,lat`")
	f.IntVar(&n.Season, "season", 0, "also change batteries that end within so many `days`")
	f.BoolVar(&n.DryRun, "dry-run", false, "show it and make nothing")
	bindAs(cmd, &by, &role)
	f.StringVar(&key, "key", "", "idempotency `key`: the same again plans nothing more")
	return cmd
}

// planned plans rounds and shows them.
func (a *app) planned(cmd *cobra.Command, c *api.Client, n api.NewRounds, key string) error {
	p, err := c.PlanRounds(cmd.Context(), n, key)
	if err != nil {
		return err
	}
	return a.show(p, func() {
		var rows [][]string
		for i := range p.Rounds {
			rows = append(rows, roundRow(&p.Rounds[i]))
		}
		a.table("no round", roundHead, rows)
		for _, j := range p.Joined {
			a.say("%d join round %s at %s", len(j.Jobs), j.Round, j.Key)
		}
		a.left(p.Left, p.Late)
	})
}

var roundHead = []string{"ROUND", "UNIT", "DAY", "STATE", "STOPS", "JOBS", "WAY"}

func roundRow(r *grid.Round) []string {
	jobs := 0
	for i := range r.Stops {
		jobs += len(r.Stops[i].Jobs)
	}
	ended, all := r.Progress()
	return []string{dash(r.ID), r.Unit, r.Day, string(r.State), fmt.Sprintf("%d/%d", ended, all), strconv.Itoa(jobs), fmt.Sprintf("%.1f km", r.LengthM/1000)}
}

func (a *app) roundList() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "list", Short: "List rounds, the last day first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRows(a, cmd, "rounds", q, "no rounds", roundHead, roundRow)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Unit, "unit", "", "only of this `unit`")
	f.StringVar(&q.State, "state", "open", "`open`, ended, planned, under_way, done, over, cancelled; \"\" is all")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}

func (a *app) roundShow() *cobra.Command {
	var pdf, csv, lang string
	cmd := &cobra.Command{
		Use: "show <round>", Short: "Show a round with its stops in the order of the route, or write its list to a file", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			path := "/rounds/" + url.PathEscape(argv[0]) + "/list."
			switch {
			case pdf != "":
				return a.save(cmd, c, path+"pdf", url.Values{"lang": {lang}}, pdf)
			case csv != "":
				return a.save(cmd, c, path+"csv", nil, csv)
			}
			r, err := c.Round(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(r, func() { a.roundStops(&r) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&pdf, "pdf", "", "write the list to print to this `file`")
	f.StringVar(&csv, "csv", "", "write the list as a table to this `file`")
	f.StringVar(&lang, "lang", "zh", "of the PDF: `zh` or en")
	return cmd
}

func (a *app) roundStops(r *grid.Round) {
	ended, all := r.Progress()
	a.say("%s  %s on %s, %s, %d/%d stops, %.1f km", r.ID, r.Unit, r.Day, r.State, ended, all, r.LengthM/1000)
	var rows [][]string
	for i := range r.Stops {
		s := &r.Stops[i]
		for _, j := range s.Jobs {
			late := ""
			if j.Late {
				late = "late"
			}
			rows = append(rows, []string{strconv.Itoa(s.N), s.Place, fmt.Sprintf("%.0f m", s.LegM), string(s.State), string(j.Type), first(j.Name, j.Point), dash(j.Battery), dash(j.Ticket), string(j.State), clock(j.Due), first(late, j.Why)})
		}
	}
	a.table("no stops", []string{"STOP", "PLACE", "LEG", "", "TYPE", "POINT", "BATTERY", "TICKET", "", "DUE", ""}, rows)
}

// stopNo reads the number of a stop.
func stopNo(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("stop is %q: want its number, from 1", s)
	}
	return n, nil
}

func (a *app) roundDone() *cobra.Command {
	var d api.StopDone
	var by api.As
	var role, key string
	cmd := &cobra.Command{
		Use: "done <round> <stop>", Short: "Report a stop done: its tickets are resolved, and closed by their sensors", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n, err := stopNo(argv[1])
			if err != nil {
				return usage(cmd, err)
			}
			if by.Role = grid.Role(role); by != (api.As{}) {
				d.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.StopDone(cmd.Context(), argv[0], n, d, key)
			if err != nil {
				return err
			}
			return a.show(r, func() { a.roundStops(&r) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.Note, "note", "", "what was done, in words")
	f.StringSliceVar(&d.Tickets, "ticket", nil, "only this `ticket` is done; the rest waits for another round")
	bindAs(cmd, &by, &role)
	f.StringVar(&key, "key", "", "idempotency `key`")
	return cmd
}

func (a *app) roundNoEntry() *cobra.Command {
	var n api.NewNoEntry
	var by api.As
	var role, key string
	cmd := &cobra.Command{
		Use: "no-entry <round> <stop>", Short: "Nobody opened: why, and when it is tried again", Args: args(cobra.ExactArgs(2)),
		Example: `  gridgate round no-entry 01KJ… 3 --reason "nobody at home" --next 2026-12-01 --photo 01KK…`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			stop, err := stopNo(argv[1])
			if err != nil {
				return usage(cmd, err)
			}
			if by.Role = grid.Role(role); by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			out, err := c.NoEntry(cmd.Context(), argv[0], stop, n, key)
			if err != nil {
				return err
			}
			return a.show(out, func() { a.say("%s  time %d at %s, again on %s", out.ID, out.Times, out.Place, out.Next) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Reason, "reason", "", "why, in words")
	f.StringVar(&n.Next, "next", "", "the `day` on which it is tried again")
	f.StringVar(&n.Photo, "photo", "", "`id` of a file of one of its tickets")
	bindAs(cmd, &by, &role)
	f.StringVar(&key, "key", "", "idempotency `key`")
	return cmd
}

func (a *app) roundNoEntries() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "no-entries", Short: "List visits at which nobody opened, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRows(a, cmd, "no-entries", q, "none", []string{"NO ENTRY", "UNIT", "PLACE", "AT", "REASON", "TIMES", "NEXT", ""}, func(n *grid.NoEntry) []string {
				approved := "waiting"
				if !n.Approved.IsZero() {
					approved = "approved by " + n.ApprovedBy.Name
				}
				return []string{n.ID, n.Unit, n.Place, clock(n.At), n.Reason, strconv.Itoa(n.Times), n.Next, approved}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Unit, "unit", "", "only of this `unit`")
	f.StringVar(&q.State, "state", "", "`waiting` or approved")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}

func (a *app) roundApprove() *cobra.Command {
	return &cobra.Command{
		Use: "approve <no-entry>", Short: "Let the clocks of its tickets stand still until its next date", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			n, err := c.ApproveNoEntry(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(n, func() { a.say("%s waits until %s", n.Place, n.Next) })
		},
	}
}

func (a *app) roundCancel() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "cancel <round>", Short: "Give a round up: its work waits for another", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if reason == "" {
				return usage(cmd, fmt.Errorf("--reason is missing: say why"))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.CancelRound(cmd.Context(), argv[0], reason)
			if err != nil {
				return err
			}
			return a.show(r, func() { a.say("%s is %s", r.ID, r.State) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in words")
	return cmd
}
