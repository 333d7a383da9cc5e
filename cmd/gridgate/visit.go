package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) visitCommand() *cobra.Command {
	return group("visit", "Commissioning: what a point has to show before it counts as protected",
		a.visitPlan(), a.visitStart(), a.visitShow(), a.visitStep(), a.visitAnswer(), a.visitFinish(), a.visitList(), a.visitRecord(), a.visitWatch())
}

// touchEvery is how often a technician's session says that it is there.
const touchEvery = 30 * time.Second

func (a *app) visitPlan() *cobra.Command {
	return &cobra.Command{
		Use: "plan [kind]", Short: "What has to be shown, and how long each step may take", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			p, err := c.Commissioning(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(p, func() {
				for _, k := range p.Kinds {
					if len(argv) > 0 && string(k.Kind) != argv[0] {
						continue
					}
					a.say("%s", k.Kind)
					var rows [][]string
					for _, s := range k.Steps {
						rows = append(rows, []string{"  " + s.ID, s.Needs, mustWord(s.Must), s.Title.EN, s.Title.ZH, fmt.Sprintf("%ds", s.WaitS["lorawan"]), fmt.Sprintf("%ds", s.WaitS["nb_iot"]), fmt.Sprintf("%ds", s.WaitS["mqtt"])})
					}
					a.table("", []string{"  STEP", "BY", "", "WHAT", "", "LORAWAN", "NB-IOT", "MQTT"}, rows)
				}
			})
		},
	}
}

func mustWord(must bool) string {
	if must {
		return "must"
	}
	return "-"
}

func (a *app) visitStart() *cobra.Command {
	var n api.NewVisit
	var by api.As
	var role, started string
	cmd := &cobra.Command{
		Use:   "start <point> <device>",
		Short: "Begin a commissioning: the device is at the point already",
		Example: `  gridgate visit start d-12 eui:24e124535b123456 --as li
  gridgate visit start s-3 sn:4711 --session laptop --as li          # smoke: alarms ask "is it you?"
  gridgate visit start s-3 sn:4711 --offline --started 2h --as li    # it has been; frames since then count`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n.Point, n.Device, by.Role = argv[0], grid.Identity(argv[1]), grid.Role(role)
			at, err := ago(started)
			if err != nil {
				return usage(cmd, err)
			}
			n.Started = at
			if n.ID == "" {
				n.ID = grid.NewID(time.Now(), "visit/"+n.Point+"/"+argv[1], 0)
			}
			if by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.StartVisit(cmd.Context(), n)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.visitLines(&v) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.ID, "id", "", "the visit's `id`, made here if none is given: the same again begins nothing")
	f.StringVar(&started, "started", "", "when it began: `2h` ago, or a time")
	f.BoolVar(&n.Offline, "offline", false, "it was done without a network")
	f.StringVar(&n.Session, "session", "", "the technician's `session`: opens the window over the point; keep it with visit watch")
	bindAs(cmd, &by, &role)
	return cmd
}

// visitLines shows a visit as a person reads it.
func (a *app) visitLines(v *grid.Visit) {
	a.say("%s  %s  %s at %s  by %s, begun %s", v.ID, strings.ToUpper(string(v.State)), v.Device, v.Point, dash(v.Link), clock(v.Started))
	var rows [][]string
	for i := range v.Steps {
		s := &v.Steps[i]
		wait := ""
		if s.State == grid.StepWaiting && s.WaitS > 0 {
			wait = fmt.Sprintf("up to %s", time.Duration(s.WaitS)*time.Second)
		}
		rows = append(rows, []string{s.ID, string(s.State), s.Needs, mustWord(s.Must), s.Title.EN, strings.Trim(s.Value+", "+first(s.Detail.EN, wait), ", ")})
	}
	a.table("no steps", []string{"STEP", "STATE", "BY", "", "WHAT", ""}, rows)
	for _, r := range v.Reasons {
		a.say("· %s", r.EN)
	}
	if v.Question != nil {
		a.say("%s  answer until %s: gridgate visit answer %s yes|no", v.Question.Ask, clock(v.Question.Due), v.ID)
	}
	if v.Gateway {
		a.say("a gateway is needed here")
	}
	if v.Signed != nil {
		a.say("signed %s by %s at %s", v.Signed.Verdict, v.Signed.By.Name, clock(v.Signed.At))
	}
}

func (a *app) visitShow() *cobra.Command {
	return &cobra.Command{
		Use: "show <visit>", Short: "Show one with its steps", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.Visit(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(v, func() { a.visitLines(&v) })
		},
	}
}

func (a *app) visitStep() *cobra.Command {
	var n api.NewStep
	var by api.As
	var role, at, place, key string
	cmd := &cobra.Command{
		Use:   "step <visit> <step> <passed|failed|skipped>",
		Short: "Say how a step went; what the device has to show waits for its frames",
		Example: `  gridgate visit step $V rest passed
  gridgate visit step $V photo passed --photo 01J…
  gridgate visit step $V position passed --at-place 121.4241,31.2203 --crs GCJ02
  gridgate visit step $V tamper skipped --note "no base"`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n.Step, n.Result, by.Role = argv[1], grid.StepState(argv[2]), grid.Role(role)
			var err error
			if n.At, err = ago(at); err != nil {
				return usage(cmd, err)
			}
			if place != "" {
				n.Value = &api.StepPlace{}
				if _, err := fmt.Sscanf(place, "%g,%g", &n.Value.Lon, &n.Value.Lat); err != nil {
					return usage(cmd, fmt.Errorf("--at-place is %q: want lon,lat", place))
				}
				n.Value.CRS, _ = cmd.Flags().GetString("crs")
				n.Value.AccuracyM, _ = cmd.Flags().GetFloat64("accuracy")
			}
			if by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.SayStep(cmd.Context(), argv[0], n, key)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.visitLines(&v) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "when: `5m` ago, or a time (default now)")
	f.StringVar(&n.Note, "note", "", "why it failed or is skipped")
	f.StringVar(&n.Photo, "photo", "", "`id` of a photo of the point (gridgate point photo)")
	f.StringVar(&place, "at-place", "", "where you stand: `lon,lat`")
	f.String("crs", "WGS84", "coordinate `system` of --at-place: WGS84, CGCS2000, GCJ02 or BD09")
	f.Float64("accuracy", 0, "how good the position is, in `metres`")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again says nothing new")
	bindAs(cmd, &by, &role)
	return cmd
}

func (a *app) visitAnswer() *cobra.Command {
	var n api.NewAnswer
	var by api.As
	var role string
	cmd := &cobra.Command{
		Use: "answer <visit> <yes|no>", Short: "Answer \"is it you?\"; no dispatches at once, and so does no answer in a minute", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n.Answer, by.Role = argv[1], grid.Role(role)
			if by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.AnswerVisit(cmd.Context(), argv[0], n)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.visitLines(&v) })
		},
	}
	cmd.Flags().StringVar(&n.Session, "session", "", "the `session` that the visit was begun with")
	bindAs(cmd, &by, &role)
	return cmd
}

func (a *app) visitFinish() *cobra.Command {
	var n api.NewVerdict
	var by api.As
	var role, at, key string
	cmd := &cobra.Command{
		Use:   "finish <visit> <pass|fail>",
		Short: "Sign the verdict: pass is pending until the device has shown all that it has to",
		Example: `  gridgate visit finish $V pass --as li
  gridgate visit finish $V fail --reason "cover does not close" --as li
  gridgate visit finish $V fail --needs-gateway --as li`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n.Verdict, by.Role = argv[1], grid.Role(role)
			var err error
			if n.At, err = ago(at); err != nil {
				return usage(cmd, err)
			}
			if by != (api.As{}) {
				n.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.FinishVisit(cmd.Context(), argv[0], n, key)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.visitLines(&v) })
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&n.Reasons, "reason", nil, "why it fails, in `words`; may be given again")
	f.BoolVar(&n.Gateway, "needs-gateway", false, "it fails for want of coverage")
	f.StringVar(&at, "at", "", "when: `5m` ago, or a time (default now)")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again signs nothing new")
	bindAs(cmd, &by, &role)
	return cmd
}

func (a *app) visitList() *cobra.Command {
	var q api.Query
	var gateway, unproven bool
	cmd := &cobra.Command{
		Use: "list", Short: "List visits, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case gateway:
				q.State = "needs_gateway"
			case unproven:
				q.State = "unproven"
			}
			return listRows(a, cmd, "visits", q, "no visits", []string{"VISIT", "STATE", "KIND", "POINT", "DEVICE", "BEGUN", "BY", ""}, func(v *grid.Visit) []string {
				why := ""
				if len(v.Reasons) > 0 {
					why = v.Reasons[0].EN
				}
				return []string{v.ID, string(v.State), string(v.Kind), v.Point, string(v.Device), clock(v.Started), v.By.Name, why}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "open, pending, passed or failed")
	f.BoolVar(&gateway, "needs-gateway", false, "those of points that are not heard well enough")
	f.BoolVar(&unproven, "unproven", false, "those by which a point counts as not protected")
	f.StringVar(&q.Point, "point", "", "of this `point`")
	f.StringVar(&q.Device, "device", "", "of this `device`")
	f.StringVar(&q.Kind, "kind", "", "door, parking, manhole or smoke")
	f.IntVar(&q.Limit, "limit", 0, "at most so many")
	return cmd
}

func (a *app) visitRecord() *cobra.Command {
	var lang, out string
	cmd := &cobra.Command{
		Use: "record <visit>", Short: "Write the record of a visit as PDF", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			file, err := c.VisitRecord(cmd.Context(), argv[0], lang)
			if err != nil {
				return err
			}
			out = first(out, "visit-"+argv[0]+".pdf")
			if err := os.WriteFile(out, file, 0o600); err != nil {
				return err
			}
			return a.show(map[string]any{"file": out, "bytes": len(file)}, func() { a.say("%s", out) })
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "zh", "zh or en")
	cmd.Flags().StringVar(&out, "out", "", "`file` to write")
	return cmd
}

func (a *app) visitWatch() *cobra.Command {
	var session string
	cmd := &cobra.Command{
		Use: "watch <visit>", Short: "Show frames and steps as they come, until the visit is passed or failed; with --session keep its window alive", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if session != "" {
				done := make(chan struct{})
				stop := make(chan struct{})
				go func() { // ends with the watching
					defer close(done)
					tick := time.NewTicker(touchEvery)
					defer tick.Stop()
					for {
						if _, err := c.TouchVisit(cmd.Context(), argv[0], session); err != nil {
							fmt.Fprintln(a.errOut, err)
						}
						select {
						case <-tick.C:
						case <-stop:
							return
						case <-cmd.Context().Done():
							return
						}
					}
				}()
				defer func() { close(stop); <-done }()
			}
			var last grid.Visit
			err = c.WatchVisit(cmd.Context(), argv[0], func(m api.Message) error { return a.visitMessage(m, &last) })
			if err == nil && last.Live() {
				err = errors.New("the line broke: watch again")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&session, "session", "", "the `session` that the visit was begun with")
	return cmd
}

// visitMessage shows one message of a visit.
func (a *app) visitMessage(m api.Message, last *grid.Visit) error {
	if a.json {
		if m.Name == "visit" {
			if err := json.Unmarshal(m.Data, last); err != nil {
				return err
			}
		}
		return json.NewEncoder(a.out).Encode(m)
	}
	if m.Name == "frame" {
		var f grid.VisitFrame
		if err := json.Unmarshal(m.Data, &f); err != nil {
			return err
		}
		var words []string
		for _, r := range f.Readings {
			words = append(words, fmt.Sprintf("%s=%g", r.Signal, r.Value))
		}
		if f.RSSIdBm != nil {
			words = append(words, fmt.Sprintf("%.0f dBm", *f.RSSIdBm))
		}
		a.say("%s  frame  %s", clock(f.At), strings.Join(words, " "))
		return nil
	}
	var v grid.Visit
	if err := json.Unmarshal(m.Data, &v); err != nil {
		return err
	}
	*last = v
	a.visitLines(&v)
	return nil
}
