package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) ticketRoute() *cobra.Command {
	var typ, point, at string
	var why bool
	cmd := &cobra.Command{
		Use: "route", Short: "Say which units a ticket would call at a point, and why", Args: args(cobra.NoArgs),
		Example: "  gridgate ticket route --why --type smoke.alarm --point smoke-301",
		RunE: func(cmd *cobra.Command, _ []string) error {
			when, err := moment(at)
			if err != nil {
				return usage(cmd, err)
			}
			if typ == "" || point == "" {
				return usage(cmd, fmt.Errorf("--type is %q and --point is %q: want both", typ, point))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.Route(cmd.Context(), grid.EventType(typ), point, when)
			if err != nil {
				return err
			}
			return a.show(r, func() { a.printRoute(&r, why) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&typ, "type", "", "event `type`, for example smoke.alarm")
	f.StringVar(&point, "point", "", "the `point`")
	f.StringVar(&at, "at", "", "at this time, `2026-03-02T08:00:00+08:00` (default: now)")
	f.BoolVar(&why, "why", false, "say why each unit was taken or left")
	return cmd
}

func (a *app) printRoute(r *api.TicketRoute, why bool) {
	a.say("%s at %s, %s", r.Type, r.Point, clock(r.At))
	for _, c := range r.Calls {
		part := "helps"
		if c.Lead {
			part = "leads"
		}
		a.say("  tier %d  %s  %-24s %s, %s", c.Tier, part, first(c.Unit, "nobody: the operator"), c.When, first(c.By, fmt.Sprint(c.Units)))
		if !why {
			continue
		}
		for _, x := range c.Reasons {
			mark, what := "-", x.Unit
			if x.Taken {
				mark = "*"
			}
			if x.Rule != "" {
				what = fmt.Sprintf("rule %q", x.Rule)
			}
			a.say("      %s %-22s %s", mark, what, x.Why)
		}
	}
}

// moment reads an RFC 3339 time; "" is the zero time.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("time is %q: want 2026-03-02T08:00:00+08:00", s)
	}
	return t, nil
}
