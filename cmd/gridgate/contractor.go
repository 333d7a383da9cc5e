package main

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) contractorCommand() *cobra.Command {
	return group("contractor", "Maintenance contractors: whose points, their terms, scoreboards, the battery season",
		a.contractorList(), a.contractorAssign(), a.contractorScore(), a.contractorSeason())
}

func (a *app) contractorList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List contractors with their terms and what is in their hands", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Contractors(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, v := range page.Items {
					term, works := "-", "no"
					if v.Term != nil {
						term = v.Term.String()
					}
					if v.Works {
						works = "yes"
					}
					rows = append(rows, []string{v.Unit.ID, v.Unit.Name, v.InHands, works, term, contractsOf(v.Contracts)})
				}
				a.table("no units of kind maintenance", []string{"UNIT", "NAME", "POINTS OF", "WORKS", "TERM", "CONTRACTS"}, rows)
			})
		},
	}
}

// contractsOf says in few words which places are in somebody's hands.
func contractsOf(all []grid.Contract) string {
	var words []string
	for _, c := range all {
		place := strings.Join(strings.Fields(strings.Join([]string{c.District, c.Street, c.Community, c.Compound, string(c.Kind)}, " ")), "/")
		words = append(words, fmt.Sprintf("%s (%d points)", place, c.Points))
	}
	return dash(strings.Join(words, ", "))
}

// bindPlace are the flags of a place.
func bindPlace(cmd *cobra.Command, s *grid.Scope) {
	f := cmd.Flags()
	f.StringVar(&s.District, "district", "", "6-digit `code`")
	f.StringVar(&s.Street, "street", "", "9-digit `code`")
	f.StringVar(&s.Community, "community", "", "12-digit `code`")
	f.StringVar(&s.Compound, "compound", "", "`compound` as points name it")
}

func (a *app) contractorAssign() *cobra.Command {
	var place grid.Scope
	var by api.As
	var kind, role, key string
	var tickets bool
	cmd := &cobra.Command{
		Use: "assign <contractor>", Short: "Give the points of a place into a contractor's hands, now and in future; - is nobody's",
		Example: `  gridgate contractor assign wb-1 --street 310105006
  gridgate contractor assign wb-2 --street 310105006 --compound c-7 --kind smoke --tickets
  gridgate contractor assign - --compound c-7`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n := api.NewContract{District: place.District, Street: place.Street, Community: place.Community, Compound: place.Compound, Kind: grid.Kind(kind), Tickets: tickets}
			if place == (grid.Scope{}) {
				return usage(cmd, fmt.Errorf("no place: want --district, --street, --community or --compound"))
			}
			if by.Role = grid.Role(role); by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			out, err := c.AssignContractor(cmd.Context(), argv[0], n, key)
			if err != nil {
				return err
			}
			return a.show(out, func() {
				more := ""
				if out.Done.IsZero() {
					more = ", more are being moved"
				}
				a.say("%s  %d points%s", dash(out.Contractor), out.Points, more)
			})
		},
	}
	bindPlace(cmd, &place)
	cmd.Flags().StringVar(&kind, "kind", "", "only points of this `kind`")
	cmd.Flags().BoolVar(&tickets, "tickets", false, "open tickets go along; else they stay with whoever has them")
	bindAs(cmd, &by, &role)
	cmd.Flags().StringVar(&key, "key", "", "idempotency `key`")
	return cmd
}

func (a *app) contractorScore() *cobra.Command {
	var from, to, file string
	cmd := &cobra.Command{
		Use: "scoreboard <unit>", Short: "How a contractor did in a period, beside the one before; this month without dates", Args: args(cobra.ExactArgs(1)),
		Example: `  gridgate contractor scoreboard wb-1
  gridgate contractor scoreboard wb-1 --from 2026-10-01 --to 2026-11-01 --csv wb-1.csv`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			since, err := dayOrTime("--from", from)
			if err != nil {
				return usage(cmd, err)
			}
			until, err := dayOrTime("--to", to)
			if err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if file != "" {
				v := url.Values{}
				for key, at := range map[string]time.Time{"from": since, "to": until} {
					if !at.IsZero() {
						v.Set(key, at.Format(time.RFC3339))
					}
				}
				return a.save(cmd, c, "/contractors/"+url.PathEscape(argv[0])+"/scoreboard.csv", v, file)
			}
			b, err := c.Scoreboard(cmd.Context(), argv[0], since, until)
			if err != nil {
				return err
			}
			return a.show(b, func() {
				a.say("%s  %s to %s, before: from %s", first(b.Name, b.Unit), clock(b.From), clock(b.Until), clock(b.Before))
				var rows [][]string
				for _, s := range b.Figures {
					rows = append(rows, []string{s.EN, s.ZH, scoreWords(s.Value, s.UOM), of(s.Numerator, s.Denominator), scoreWords(s.Before, s.UOM)})
				}
				a.table("", []string{"FIGURE", "指标", "VALUE", "OF", "BEFORE"}, rows)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "first `day` of the period, or a time")
	f.StringVar(&to, "to", "", "`day` after its last")
	f.StringVar(&file, "csv", "", "write it to this `file` instead")
	return cmd
}

func scoreWords(v *float64, uom string) string {
	switch {
	case v == nil:
		return "-"
	case uom == "1":
		return fmt.Sprintf("%.1f %%", *v*100)
	case uom == "h":
		return fmt.Sprintf("%.1f h", *v)
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

func of(n, all *float64) string {
	if n == nil || all == nil {
		return ""
	}
	return fmt.Sprintf("%.0f/%.0f", *n, *all)
}

// dayOrTime reads 2026-10-01, at midnight here, or an RFC 3339 time; "" is the zero time.
func dayOrTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(grid.DayLayout, s, time.Local); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%s is %q: want a day such as 2026-10-01, or 2026-10-01T08:00:00+08:00", flag, s)
	}
	return t, nil
}

// save writes a file that the gateway makes.
func (a *app) save(cmd *cobra.Command, c *api.Client, path string, v url.Values, name string) error {
	b, err := c.RawFile(cmd.Context(), path, v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return a.show(map[string]any{"file": name, "bytes": len(b)}, func() { a.say("%s  %d bytes", name, len(b)) })
}

// seasonFlags are what gridgate contractor season is asked.
type seasonFlags struct {
	place                  grid.Scope
	unit, from, kind, file string
	within, days, stops    int
	rounds                 bool
}

func (a *app) contractorSeason() *cobra.Command {
	var s seasonFlags
	cmd := &cobra.Command{
		Use: "season", Short: "Batteries that end within so many days: by building and type, what to buy, on which days",
		Example: `  gridgate contractor season --unit wb-1 --within 60
  gridgate contractor season --street 310105006 --within 90 --days 20 --stops 10 --csv batteries.csv
  gridgate contractor season --unit wb-1 --within 60 --days 20 --rounds`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if s.rounds {
				return a.seasonRounds(cmd, c, &s)
			}
			if s.file != "" {
				return a.save(cmd, c, "/batteries/season.csv", s.query(), s.file)
			}
			out, err := c.BatterySeason(cmd.Context(), s.query())
			if err != nil {
				return err
			}
			return a.show(out, func() {
				a.say("%d batteries end within %d days (%d in a round already, %d not foretold yet)", out.Points, out.Within, out.InRounds, out.Unknown)
				for _, b := range out.Buy {
					a.say("  to buy: %d × %s", b.Count, b.Type)
				}
				var rows [][]string
				for _, b := range out.Buildings {
					var types []string
					for _, n := range b.Batteries {
						types = append(types, fmt.Sprintf("%d × %s", n.Count, n.Type))
					}
					rows = append(rows, []string{dash(b.Day), b.Place, strconv.Itoa(len(b.Points)), strings.Join(types, ", "), clock(b.Points[0].Ends)})
				}
				a.table("no battery ends", []string{"DAY", "PLACE", "POINTS", "BATTERIES", "FIRST ENDS"}, rows)
				a.left(out.Left, out.Late)
			})
		},
	}
	bindPlace(cmd, &s.place)
	f := cmd.Flags()
	f.StringVar(&s.unit, "unit", "", "only points in the hands of this `unit`")
	f.StringVar(&s.kind, "kind", "", "only points of this `kind`")
	f.IntVar(&s.within, "within", 0, "`days` ahead (default as configured: 60)")
	f.StringVar(&s.from, "from", "", "first `day` of work, such as 2026-11-24")
	f.IntVar(&s.days, "days", 0, "work `days` to spread it over (default 20)")
	f.IntVar(&s.stops, "stops", 0, "buildings a day, at most `n`")
	f.StringVar(&s.file, "csv", "", "write it to this `file` instead")
	f.BoolVar(&s.rounds, "rounds", false, "make rounds of it")
	return cmd
}

func (s *seasonFlags) query() url.Values {
	v := url.Values{}
	for key, text := range map[string]string{"unit": s.unit, "from": s.from, "kind": s.kind, "district": s.place.District, "street": s.place.Street, "community": s.place.Community, "compound": s.place.Compound} {
		if text != "" {
			v.Set(key, text)
		}
	}
	for key, n := range map[string]int{"within": s.within, "days": s.days, "stops": s.stops} {
		if n != 0 {
			v.Set(key, strconv.Itoa(n))
		}
	}
	return v
}

// seasonRounds makes rounds of a season.
func (a *app) seasonRounds(cmd *cobra.Command, c *api.Client, s *seasonFlags) error {
	if s.unit == "" {
		return usage(cmd, fmt.Errorf("--unit is missing: want the contractor that walks the rounds"))
	}
	return a.planned(cmd, c, api.NewRounds{
		Unit: s.unit, From: s.from, Days: cmp.Or(s.days, 20), Stops: s.stops, Season: cmp.Or(s.within, 60),
		District: s.place.District, Street: s.place.Street, Community: s.place.Community, Compound: s.place.Compound,
	}, "")
}

func (a *app) left(left, late []grid.RoundLeft) {
	for _, l := range late {
		a.say("late: %s %s: %s", first(l.Ticket, l.Point), l.Place, l.Why)
	}
	for _, l := range left {
		a.say("left: %s %s: %s", first(l.Ticket, l.Point), l.Place, l.Why)
	}
}

func (a *app) taskCommand() *cobra.Command {
	var q api.Query
	list := &cobra.Command{
		Use: "list", Short: "Open tickets on which somebody must act: of a contractor with --unit, else of the desk", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Tasks(cmd.Context(), q)
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, t := range page.Items {
					what := ""
					if t.Do != nil {
						what = t.Do.EN
					}
					for _, k := range t.Tasks {
						if k.Done.IsZero() {
							what = first(what, k.Text)
						}
					}
					rows = append(rows, []string{t.ID, t.Priority.String(), string(t.Type), string(t.State), t.Place, clock(cmp.Or(t.WorkDue, t.Due)), dash(t.Day), dash(t.Battery), what})
				}
				a.table("nothing to do", []string{"TICKET", "", "TYPE", "STATE", "PLACE", "DUE", "ROUND", "BATTERY", "TO DO"}, rows)
				a.more(page.Next)
			})
		},
	}
	f := list.Flags()
	f.StringVar(&q.Unit, "unit", "", "of this contractor's `unit`")
	f.StringVar(&q.Type, "type", "", "only this event `type`")
	f.IntVar(&q.Limit, "limit", 100, "at most `n`")
	return group("task", "What technicians and the desk have to do", list)
}
