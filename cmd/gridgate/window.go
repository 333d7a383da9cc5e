package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) windowCommand() *cobra.Command {
	return group("window", "Windows: bounded times in which signals of named points are expected; permits and exercises too",
		a.windowOpen(), a.windowExtend(), a.windowEnd(), a.windowList(), a.windowAnswer())
}

func (a *app) windowOpen() *cobra.Command {
	var n api.NewWindow
	var by api.As
	var kind, role, key string
	var types, script []string
	cmd := &cobra.Command{
		Use:   "open <kind> [point]...",
		Short: "Open a window: commissioning, maintenance, permit, shelved, out_of_service or exercise",
		Example: `  gridgate window open maintenance d-12 d-13 --for 2h --reason hinges --as ma
  gridgate window open permit m-7 m-8 --for 6h --holder u-drains --as chen
  gridgate window open shelved d-12 --type door.held_open --for 48h --reason "lock is ordered" --as ma
  gridgate window open out_of_service s-3 --for 8h --reason dust --patrol lin --as chen --role supervisor
  gridgate window open exercise --building b-2 --for 1h --lead wu --script s-1:smoke.alarm --as chen`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			kind = argv[0]
			n.Kind, n.Points, by.Role = grid.WindowKind(kind), argv[1:], grid.Role(role)
			for _, t := range types {
				n.Types = append(n.Types, grid.EventType(t))
			}
			var err error
			if n.Script, err = scriptOf(script); err != nil {
				return usage(cmd, err)
			}
			if by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			w, err := c.OpenWindow(cmd.Context(), n, key)
			if err != nil {
				return err
			}
			return a.show(w, func() { a.say("%s  %s window until %s", w.ID, w.Kind, clock(w.To)) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.For, "for", "", "how long: `20m`, 4h; it ends by itself")
	f.StringVar(&n.Reason, "reason", "", "why, in words")
	f.StringSliceVar(&types, "type", nil, "only these event `types`; shelved wants at least one")
	f.StringVar(&n.Area.Street, "street", "", "also the points of this `street`, smoke apart")
	f.StringVar(&n.Area.Compound, "compound", "", "also those of this `compound`")
	f.StringVar(&n.Area.Building, "building", "", "also those of this `building`")
	f.StringVar(&n.Holder, "holder", "", "of a permit: the `unit`, or a person, who guards the open covers")
	f.StringVar(&n.Session, "session", "", "the technician's live session; wanted on smoke points")
	f.StringVar(&n.Patrol, "patrol", "", "smoke out of service: `name` of who walks there")
	f.StringVar(&n.Lead, "lead", "", "of an exercise: `name` of its leader")
	f.StringSliceVar(&script, "script", nil, "of an exercise: an alarm that it expects, `point:type`")
	bindAs(cmd, &by, &role)
	f.StringVar(&key, "key", "", "idempotency `key`: the same again opens nothing")
	return cmd
}

func bindAs(cmd *cobra.Command, by *api.As, role *string) {
	cmd.Flags().StringVar(&by.Name, "as", "", "`name` of who does it, for the history")
	cmd.Flags().StringVar(role, "role", "", "operator or supervisor (the default)")
}

func scriptOf(lines []string) (out []api.ScriptLine, err error) {
	for _, l := range lines {
		i := strings.LastIndex(l, ":")
		if i <= 0 || i == len(l)-1 {
			return nil, fmt.Errorf("--script is %q: want point:type, such as s-1:smoke.alarm", l)
		}
		out = append(out, api.ScriptLine{Point: l[:i], Type: grid.EventType(l[i+1:])})
	}
	return out, nil
}

func (a *app) windowExtend() *cobra.Command {
	var reason, length string
	cmd := &cobra.Command{
		Use: "extend <window>", Short: "Move the end of an open window", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			d, err := time.ParseDuration(length)
			if err != nil || d <= 0 {
				return usage(cmd, fmt.Errorf("--for is %q: want how long from now, such as 20m", length))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			w, err := c.ExtendWindow(cmd.Context(), argv[0], time.Now().Add(d), reason)
			if err != nil {
				return err
			}
			return a.show(w, func() { a.say("%s ends %s", w.ID, clock(w.To)) })
		},
	}
	cmd.Flags().StringVar(&length, "for", "", "how long from now: `20m`, 4h")
	cmd.Flags().StringVar(&reason, "reason", "", "why, in words")
	return cmd
}

func (a *app) windowEnd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "end <window>", Short: "End a window: what it covers and is still active is judged again", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			w, err := c.EndWindow(cmd.Context(), argv[0], reason)
			if err != nil {
				return err
			}
			return a.show(w, func() { a.say("%s has ended", w.ID) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in words")
	return cmd
}

func (a *app) windowList() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "list", Short: "List windows, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRows(a, cmd, "windows", q, "no windows", []string{"WINDOW", "KIND", "FROM", "TO", "", "POINTS", "BY", "REASON"}, func(w *grid.Window) []string {
				ended := "open"
				if !w.Open() {
					ended = "ended by " + w.EndedBy
				}
				return []string{w.ID, string(w.Kind), clock(w.From), clock(w.To), ended, placesOf(*w), w.By.Name, dash(w.Reason)}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Kind, "kind", "", "only this `kind`")
	f.StringVar(&q.State, "state", "open", "`open` or ended; \"\" is both")
	f.StringVar(&q.Point, "point", "", "only those that name this `point`")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}

// placesOf says in few words what a window covers.
func placesOf(w grid.Window) string {
	words := w.Points
	for _, area := range []string{w.Area.Street, w.Area.Compound, w.Area.Building} {
		if area != "" {
			words = append(words[:len(words):len(words)], area+"/*")
		}
	}
	if len(words) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:3], ", "), len(words)-3)
	}
	return strings.Join(words, ", ")
}

func (a *app) windowAnswer() *cobra.Command {
	var n api.NewAnswer
	var by api.As
	var role string
	cmd := &cobra.Command{
		Use: "answer <alarm> yes|no", Short: "Answer what a window asks of an alarm: is it you? guarded?", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if n.Answer = argv[1]; n.Answer != "yes" && n.Answer != "no" {
				return usage(cmd, fmt.Errorf("answer is %q: want yes or no", argv[1]))
			}
			if by.Role = grid.Role(role); by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			al, err := c.AnswerAlarm(cmd.Context(), argv[0], n)
			if err != nil {
				return err
			}
			if al.Cover == nil {
				return errors.New("the answer has no cover: the gateway is of another version")
			}
			return a.show(al, func() { a.say("%s is %s", al.ID, al.Cover.State) })
		},
	}
	cmd.Flags().StringVar(&n.Session, "session", "", "the technician's `session`")
	bindAs(cmd, &by, &role)
	return cmd
}

func (a *app) postureCommand() *cobra.Command {
	var n api.NewPosture
	var by api.As
	var role string
	cmd := &cobra.Command{
		Use: "posture [normal|festival|typhoon|heavy_rain|cold_wave]", Short: "Show the posture of the district, or switch it",
		Example: `  gridgate posture
  gridgate posture typhoon --for 12h --reason "red warning" --as chen
  gridgate posture normal --as chen`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var p grid.Posture
			if len(argv) == 0 {
				p, err = c.Posture(cmd.Context())
			} else {
				n.Posture = grid.PostureName(argv[0])
				if by.Role = grid.Role(role); by != (api.As{}) {
					n.By = &by
				}
				p, err = c.SwitchPosture(cmd.Context(), n)
			}
			if err != nil {
				return err
			}
			return a.show(p, func() {
				if p.To.IsZero() {
					a.say("%s", p.Name)
					return
				}
				a.say("%s since %s until %s, by %s", p.Name, clock(p.From), clock(p.To), p.By.Name)
			})
		},
	}
	cmd.Flags().StringVar(&n.For, "for", "", "how long: `12h`; it ends by itself")
	cmd.Flags().StringVar(&n.Reason, "reason", "", "why, in words")
	bindAs(cmd, &by, &role)
	return cmd
}
