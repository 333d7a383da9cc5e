package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
)

func (a *app) alarmCommand() *cobra.Command {
	return group("alarm", "See what needs somebody, acknowledge it, and comment on it",
		a.alarmQueue(), a.alarmList(), a.alarmShow(), a.alarmAck(), a.alarmComment(), a.alarmHealth())
}

func scopeFlags(cmd *cobra.Command, q *api.Query) {
	f := cmd.Flags()
	f.StringVar(&q.Scope.Street, "street", "", "only of this `street` code")
	f.StringVar(&q.Scope.Community, "community", "", "only of this `community` code")
	f.StringVar(&q.Scope.Compound, "compound", "", "only of this `compound`")
	f.StringVar(&q.Cell, "cell", "", "only of this `cell`")
}

func (a *app) alarmQueue() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "queue", Short: "What an operator of a scope has before them, by need; in a flood grouped", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			queue, err := c.Queue(cmd.Context(), q)
			if err != nil {
				return err
			}
			return a.show(queue, func() {
				if queue.Flood != nil {
					a.say("flood since %s: grouped by cell and cause", clock(*queue.Flood))
				}
				a.say("%d alarms, %d not acknowledged, %d held by a window", queue.Alarms, queue.Unacked, queue.Held)
				var rows [][]string
				for _, e := range queue.Entries {
					if g := e.Group; g != nil {
						rows = append(rows, []string{g.Worst.String(), string(e.State), fmt.Sprintf("%d × %s", g.Count, g.Cause), clock(g.Oldest), "cell " + dash(g.Cell), string(g.Mode), ""})
						continue
					}
					rows = append(rows, []string{e.Alarm.Priority.String(), string(e.State), string(e.Alarm.Type), clock(e.Alarm.Raised), dash(e.Alarm.Point), string(e.Alarm.Mode), e.Alarm.ID})
				}
				a.table("nothing needs anybody", []string{"", "STATE", "TYPE", "SINCE", "PLACE", "MODE", "ALARM"}, rows)
				if queue.More > 0 {
					a.say("… and %d lines more: raise --limit", queue.More)
				}
			})
		},
	}
	scopeFlags(cmd, &q)
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "at most `n` lines")
	return cmd
}

func (a *app) alarmList() *cobra.Command {
	var q api.Query
	var since string
	cmd := &cobra.Command{
		Use: "list", Short: "List episodes, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Since, err = ago(since); err != nil {
				return usage(cmd, err)
			}
			return listRows(a, cmd, "alarms", q, "no alarms", []string{"ALARM", "", "TYPE", "STATE", "RAISED", "POINT", "MODE", "ACKNOWLEDGED BY"}, func(v *api.AlarmView) []string {
				return []string{v.ID, v.Priority.String(), string(v.Type), string(v.State), clock(v.Raised), dash(v.Point), string(v.Mode), dash(v.AckedBy)}
			})
		},
	}
	scopeFlags(cmd, &q)
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "only `state` active or returned")
	f.StringVar(&q.Type, "type", "", "only this event `type`, for example smoke.alarm")
	f.StringVar(&q.Point, "point", "", "only of this `point`")
	f.StringVar(&since, "since", "", "raised since: `2h`, or a time")
	f.IntVar(&q.Limit, "limit", 50, "at most `n`")
	return cmd
}

func (a *app) alarmShow() *cobra.Command {
	return &cobra.Command{
		Use: "show <alarm>", Short: "Show an episode with who acknowledged it and what was said", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Alarm(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			history, err := c.AlarmHistory(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			both := struct {
				api.AlarmView
				History any `json:"history"`
			}{page, history.Items}
			return a.show(both, func() {
				a.sayAlarm(&page)
				for _, h := range history.Items {
					words := fmt.Sprintf("  %s  %s, by %s %s", clock(h.At), h.Action, h.By.Role, h.By.Name)
					if h.Detail != "" {
						words += ": " + h.Detail
					}
					a.say("%s", words)
				}
			})
		},
	}
}

func (a *app) sayAlarm(v *api.AlarmView) {
	a.say("%s  %s %s  %s  (%s)", v.ID, v.Priority, v.Type, v.State, v.Mode)
	a.say("  at %s, raised %s, revision %d", dash(v.Point), clock(v.Raised), v.Revision)
	if !v.AckUntil.IsZero() {
		a.say("  acknowledged by %s until %s", v.AckedBy, clock(v.AckUntil))
	}
}

func (a *app) alarmAck() *cobra.Command {
	var ack api.Ack
	var by api.As
	var revision string
	cmd := &cobra.Command{
		Use: "ack <alarm>", Short: "Say that you know of an alarm: calls and sounds stop, the clocks run on", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if revision != "" {
				n, err := strconv.Atoi(revision)
				if err != nil {
					return usage(cmd, fmt.Errorf("revision is %q: want the number that show gives", revision))
				}
				ack.Revision = &n
			}
			if by != (api.As{}) {
				ack.By = &by
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.Ack(cmd.Context(), argv[0], ack)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.sayAlarm(&v) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&ack.Comment, "comment", "", "what you know or do, in words")
	f.StringVar(&revision, "revision", "", "refused if it is another than this `number`")
	f.StringVar(&by.Name, "as", "", "`name` of who does it, for the history")
	return cmd
}

func (a *app) alarmComment() *cobra.Command {
	var by api.As
	cmd := &cobra.Command{
		Use: "comment <alarm> <words>", Short: "Add words to an alarm", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.CommentAlarm(cmd.Context(), argv[0], argv[1], &by)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.sayAlarm(&v) })
		},
	}
	cmd.Flags().StringVar(&by.Name, "as", "", "`name` of who says it, for the history")
	return cmd
}

func (a *app) alarmHealth() *cobra.Command {
	var q api.Query
	var since string
	cmd := &cobra.Command{
		Use: "health", Short: "Chattering, fleeting and stale alarms: what to mend at its source", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Since, err = ago(since); err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			h, err := c.AlarmHealth(cmd.Context(), q)
			if err != nil {
				return err
			}
			return a.show(h, func() {
				var rows [][]string
				for _, n := range h.Chattering {
					rows = append(rows, []string{"chattering", n.Where, string(n.Type), strconv.Itoa(n.Count), clock(n.First), clock(n.Last)})
				}
				for _, n := range h.Fleeting {
					rows = append(rows, []string{"fleeting", n.Where, string(n.Type), strconv.Itoa(n.Count), clock(n.First), clock(n.Last)})
				}
				for _, v := range h.Stale {
					rows = append(rows, []string{"stale", dash(v.Point), string(v.Type), "1", clock(v.Raised), clock(time.Time{})})
				}
				a.table("nothing is wrong", []string{"", "WHERE", "TYPE", "TIMES", "FIRST", "LAST"}, rows)
			})
		},
	}
	scopeFlags(cmd, &q)
	cmd.Flags().StringVar(&since, "since", "24h", "since: `2h`, or a time")
	return cmd
}
