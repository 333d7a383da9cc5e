package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) ticketCommand() *cobra.Command {
	return group("ticket", "List, show and move tickets", a.ticketList(), a.ticketShow(), a.ticketRoute(), a.ticketMove(), a.ticketAttach(), a.ticketFiles())
}

func (a *app) ticketList() *cobra.Command {
	var q api.Query
	var since string
	cmd := &cobra.Command{
		Use: "list", Short: "List tickets, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Since, err = ago(since); err != nil {
				return usage(cmd, err)
			}
			return listRows(a, cmd, "tickets", q, "no tickets", []string{"TICKET", "", "TYPE", "STATE", "OPENED", "POINT", "MODE", "TITLE"}, func(t *grid.Ticket) []string {
				return []string{t.ID, t.Priority.String(), string(t.Type), string(t.State), clock(t.Opened), dash(t.Point), string(t.Mode), t.Title}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "only this `state`; \"open\" and \"ended\" stand for all such")
	f.StringVar(&q.Type, "type", "", "only this event `type`, for example smoke.alarm")
	f.StringVar(&q.Unit, "unit", "", "only those with a part of this `unit`")
	f.StringVar(&q.Point, "point", "", "only of this `point`")
	f.StringVar(&since, "since", "", "opened since: `2h`, or a time")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}

func (a *app) ticketShow() *cobra.Command {
	return &cobra.Command{
		Use: "show <ticket>", Short: "Show a ticket with its history", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			t, err := c.Ticket(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			moves, err := c.Moves(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			both := struct {
				grid.Ticket
				History []grid.MoveRecord `json:"history"`
			}{t, moves.Items}
			return a.show(both, func() { a.printTicket(t, moves.Items) })
		},
	}
}

func (a *app) printTicket(t grid.Ticket, moves []grid.MoveRecord) {
	a.say("%s  %s %s  %s  (%s)", t.ID, t.Priority, t.Type, t.State, t.Mode)
	a.say("  %s", t.Title)
	a.say("  place     %s", first(t.Place, t.Point))
	a.say("  opened    %s, due %s, verification %s, tier %d", clock(t.Opened), clock(t.Due), t.Verification, t.Tier)
	for _, as := range t.Assignments {
		part := "helps"
		if as.Lead {
			part = "leads"
		}
		a.say("  %-9s %s: %s since %s (attempt %d)", part, as.Unit, as.State, clock(as.Since), as.Attempt)
	}
	for _, m := range moves {
		words := fmt.Sprintf("  %s  %s: %s, by %s %s", clock(m.At), m.Verb, m.Step(), m.By.Role, m.By.Name)
		if m.Reason != "" {
			words += ": " + m.Reason
		}
		a.say("%s", words)
	}
}

var verbs = []grid.Verb{
	grid.VerbVerify, grid.VerbAccept, grid.VerbArrive, grid.VerbResolve, grid.VerbReturn, grid.VerbSuspend, grid.VerbResume,
	grid.VerbConfirm, grid.VerbAssign, grid.VerbCancel, grid.VerbForceClose, grid.VerbMerge, grid.VerbSplit, grid.VerbDone, grid.VerbNote,
}

func (a *app) ticketMove() *cobra.Command {
	var m api.Move
	var by api.As
	var key, finding, role string
	cmd := &cobra.Command{
		Use: "move <ticket> <verb>", Short: "Move a ticket as an operator, or as the unit whose token is given",
		Long: "Verbs: " + strings.Trim(fmt.Sprint(verbs), "[]") + ".",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			m.Verb = grid.Verb(argv[1])
			if !slices.Contains(verbs, m.Verb) {
				return usage(cmd, fmt.Errorf("verb is %q: want one of %v", argv[1], verbs))
			}
			m.Finding, by.Role = grid.Verification(finding), grid.Role(role)
			if by != (api.As{}) {
				m.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			t, err := c.Move(cmd.Context(), argv[0], m, key)
			if err != nil {
				return err
			}
			return a.show(t, func() { a.say("%s is %s", t.ID, t.State) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Reason, "reason", "", "why, in words")
	f.StringVar(&finding, "finding", "", "of verify: `true`, false or unable")
	f.StringVar(&m.Unit, "unit", "", "the `unit` proposed (return) or named (assign)")
	f.StringVar(&m.Into, "into", "", "the `ticket` to merge into")
	f.StringVar(&m.Alarm, "alarm", "", "of split: the `episode`")
	f.IntVar(&m.Task, "task", 0, "of done: the `number` of the task")
	f.StringVar(&m.Source, "source", "", "where a finding from afar comes from")
	f.StringVar(&m.Evidence, "evidence", "", "a file of the ticket (file:<id>, see attach), a link, or words")
	f.BoolVar(&m.OnSite, "on-site", false, "said by a person who is there")
	f.StringVar(&m.Assignment, "assignment", "", "of this assignment (default: the unit's own, else the lead's)")
	f.StringVar(&by.Name, "as", "", "`name` of who does it, for the history")
	f.StringVar(&role, "role", "", "operator or supervisor (the default)")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again changes nothing")
	return cmd
}

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain <ticket>", Short: "Tell a ticket's way, from raw bytes to closure, in one timeline", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			e, err := c.Explain(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(e, func() { a.printExplanation(e) })
		},
	}
}

func (a *app) printExplanation(e api.Explanation) {
	t := e.Ticket
	a.say("%s  %s %s  %s (%s): %s", t.ID, t.Priority, t.Type, t.State, t.Mode, t.Title)
	day := ""
	for _, s := range e.Timeline {
		if d := s.At.Local().Format("2006-01-02"); d != day {
			day = d
			a.say("%s", day)
		}
		a.say("  %s  %-8s  %s", s.At.Local().Format("15:04:05.000"), s.What, s.Detail)
	}
}
