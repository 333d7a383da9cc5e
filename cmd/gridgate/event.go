package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) eventCommand() *cobra.Command {
	return group("event", "File what people report, and find what may be the same", a.eventFile(), a.eventSimilar())
}

// reportFlags are what events and hazards have in common.
type reportFlags struct {
	n        api.NewFiling
	source   string
	position string
	mode     string
	at       string
	by       api.As
}

func (r *reportFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.source, "source", "", "who brought it: `hotline`, patrol, video, department or public")
	f.StringVar(&r.n.External, "number", "", "that system's own case `number`: the same again is the same report")
	f.StringVar(&r.n.Priority, "priority", "", "`P1` to P4, never above its own (default)")
	f.StringVar(&r.n.Point, "point", "", "at this registered `point`")
	f.StringVar(&r.n.Place.Place, "place", "", "the place in `words`")
	f.StringVar(&r.n.Building, "building", "", "in this `building`, as points name it")
	f.StringVar(&r.n.Cell, "cell", "", "in this unit grid `cell`, 15 digits")
	f.StringVar(&r.position, "position", "", "`lon,lat` in WGS84")
	f.StringVar(&r.n.Text, "text", "", "what was said; numbers of persons are masked")
	f.StringVar(&r.at, "at", "", "when it was seen: `10m` ago, or a time (default: now)")
	f.StringVar(&r.mode, "mode", "", "`test`, exercise or simulated, where it is not live")
	f.StringVar(&r.by.Name, "as", "", "`name` of who files it")
}

// filing is what the flags say.
func (r *reportFlags) filing() (n api.NewFiling, err error) {
	if n = r.n; r.source == "" || n.External == "" {
		return n, errors.New("--source or --number is missing: want both")
	}
	n.Source, n.Mode = grid.FilingSource(r.source), grid.Mode(r.mode)
	if n.At, err = ago(r.at); err != nil {
		return n, err
	}
	if r.position != "" {
		lon, lat, _ := strings.Cut(r.position, ",")
		x, errX := strconv.ParseFloat(strings.TrimSpace(lon), 64)
		y, errY := strconv.ParseFloat(strings.TrimSpace(lat), 64)
		if errX != nil || errY != nil {
			return n, fmt.Errorf("--position is %q: want lon,lat such as 121.4355,31.2231", r.position)
		}
		n.Position = &api.SeenAt{Lon: x, Lat: y, CRS: "WGS84"}
	}
	if r.by != (api.As{}) {
		n.By = &r.by
	}
	return n, nil
}

func (a *app) eventFile() *cobra.Command {
	var r reportFlags
	cmd := &cobra.Command{
		Use: "file <type>", Short: "File an event that a person reported", Args: args(cobra.ExactArgs(1)),
		Long: "File an event that a person reported. It opens a ticket of its own; open tickets that may be about the\n" +
			"same are listed, and nothing is merged unless you do: gridgate ticket move <ticket> merge --into <ticket>.",
		Example: "  gridgate event file manhole.open --source hotline --number 20260302-0017 --cell 310105006001001 --place 'Yuyuan Rd 1088'\n" +
			"  gridgate event file smoke.alarm --source video --number cam7-331 --building yuyuan-1-b3 --text 'smoke from a window on 6'",
		RunE: func(cmd *cobra.Command, argv []string) error {
			n, err := r.filing()
			if err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			out, err := c.FileEvent(cmd.Context(), api.NewEvent{Type: grid.EventType(argv[0]), NewFiling: n})
			if err != nil {
				return err
			}
			return a.show(out, func() {
				again := ""
				if out.Repeated {
					again = ", filed before under that number"
				}
				t := out.Ticket
				a.say("%s  %s %s is %s%s", t.ID, t.Priority, t.Type, t.State, again)
				a.similar(out.Duplicates)
			})
		},
	}
	r.bind(cmd)
	return cmd
}

func (a *app) eventSimilar() *cobra.Command {
	return &cobra.Command{
		Use: "similar <ticket>", Short: "List open tickets that may be about the same", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Similar(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(page, func() {
				if len(page.Items) == 0 {
					a.say("none")
				}
				a.similar(page.Items)
			})
		},
	}
}

// similar lists what may be the same.
func (a *app) similar(all []grid.Suggestion) {
	if len(all) == 0 {
		return
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{s.Ticket, strconv.Itoa(s.Score), string(s.Type), clock(s.Opened), s.Reason, s.Place})
	}
	a.table("", []string{"MAY BE THE SAME", "SCORE", "TYPE", "OPENED", "WHY", "PLACE"}, rows)
}

func (a *app) hazardCommand() *cobra.Command {
	return group("hazard", "File, list and move hazards", a.hazardFile(), a.hazardList(), a.hazardMove())
}

// answersOf reads "closes=no".
func answersOf(flags []string) (out []api.Answer, err error) {
	for _, f := range flags {
		q, answer, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("--answer is %q: want question=yes, no or na", f)
		}
		out = append(out, api.Answer{Question: q, Answer: answer})
	}
	return out, nil
}

func (a *app) hazardFile() *cobra.Command {
	var r reportFlags
	var said []string
	cmd := &cobra.Command{
		Use: "file <kind>", Short: "File a hazard that was found", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate hazard file exit_blocked --source patrol --number p-0317-04 --point yuyuan-exit-2 --answer free=no --answer locked=yes",
		RunE: func(cmd *cobra.Command, argv []string) error {
			n, err := r.filing()
			if err != nil {
				return usage(cmd, err)
			}
			list, err := answersOf(said)
			if err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			out, err := c.FileHazard(cmd.Context(), api.NewHazard{Kind: argv[0], Answers: list, NewFiling: n})
			if err != nil {
				return err
			}
			return a.show(out, func() {
				h := out.Hazard
				a.say("%s  %s is %s, deadline %s, ticket %s", h.ID, h.Kind, h.State, clock(h.Deadline), h.Ticket)
				if h.RepeatOf != "" {
					a.say("  repeats   %s", h.RepeatOf)
				}
				a.similar(out.Duplicates)
			})
		},
	}
	r.bind(cmd)
	cmd.Flags().StringArrayVar(&said, "answer", nil, "answer to the check-list: `question=yes`, no or na; repeat it")
	return cmd
}

func (a *app) hazardList() *cobra.Command {
	var q api.Query
	var since string
	cmd := &cobra.Command{
		Use: "list", Short: "List hazards, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Since, err = ago(since); err != nil {
				return usage(cmd, err)
			}
			return listRows(a, cmd, "hazards", q, "no hazards", []string{"HAZARD", "LEVEL", "KIND", "STATE", "DEADLINE", "UNIT", "REPEATS", "PLACE"}, func(h *grid.Hazard) []string {
				state := string(h.State)
				if h.Overdue {
					state += ", overdue"
				}
				return []string{h.ID, h.Level, h.Kind, state, clock(h.Deadline), dash(h.Unit), dash(h.RepeatOf), h.Place}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "only this `state`; \"open\", \"ended\" and \"overdue\" stand for all such")
	f.StringVar(&q.Kind, "kind", "", "only this `kind`, for example fire_door")
	f.StringVar(&q.Type, "level", "", "only this `level`: general or major")
	f.StringVar(&q.Point, "point", "", "only of this `point`")
	f.StringVar(&since, "since", "", "found since: `2h`, or a time")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}

var hazardVerbs = []grid.HazardVerb{
	grid.HazardInspect, grid.HazardPhoto, grid.HazardNotify, grid.HazardStart, grid.HazardRectify,
	grid.HazardRecheck, grid.HazardPass, grid.HazardFail, grid.HazardExtend, grid.HazardDismiss,
}

func (a *app) hazardMove() *cobra.Command {
	var m api.HazardMove
	var by api.As
	var key, role, until string
	var said []string
	cmd := &cobra.Command{
		Use: "move <hazard> <verb>", Short: "Move a hazard as an operator, or as the unit whose token is given",
		Long: "Verbs: " + strings.Trim(fmt.Sprint(hazardVerbs), "[]") + ".",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) (err error) {
			if m.Verb = grid.HazardVerb(argv[1]); !slices.Contains(hazardVerbs, m.Verb) {
				return usage(cmd, fmt.Errorf("verb is %q: want one of %v", argv[1], hazardVerbs))
			}
			if m.Answers, err = answersOf(said); err != nil {
				return usage(cmd, err)
			}
			if m.Until, err = ahead(until); err != nil {
				return usage(cmd, err)
			}
			if by.Role = grid.Role(role); by != (api.As{}) {
				m.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			h, err := c.MoveHazard(cmd.Context(), argv[0], m, key)
			if err != nil {
				return err
			}
			return a.show(h, func() { a.say("%s is %s, deadline %s", h.ID, h.State, clock(h.Deadline)) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Reason, "reason", "", "why, in words")
	f.StringArrayVar(&said, "answer", nil, "answer to the check-list: `question=yes`, no or na; repeat it")
	f.StringArrayVar(&m.Before, "before", nil, "photo of before: the id of a `file` of its ticket")
	f.StringArrayVar(&m.After, "after", nil, "photo of after, likewise")
	f.StringVar(&m.Unit, "unit", "", "of notify: the `unit` that rectifies it")
	f.StringVar(&until, "until", "", "of extend: the new deadline, `2026-03-20T18:00:00+08:00`")
	f.StringVar(&m.Person, "person", "", "`who` was there, or who said so")
	f.StringVar(&by.Name, "as", "", "`name` of who does it, for the history")
	f.StringVar(&role, "role", "", "operator or supervisor (the default)")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again changes nothing")
	return cmd
}
