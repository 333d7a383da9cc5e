package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) contactCommand() *cobra.Command {
	return group("contact", "Who is called for a point, a building, a unit", a.contactList(), a.contactAdd(), a.contactReveal(), a.contactReads(), a.contactVerify(), a.contactErase())
}

func (a *app) contactList() *cobra.Command {
	var of string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List contacts in the order of calling, with masked numbers", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Contacts(cmd.Context(), of, limit)
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, v := range page.Items {
					rows = append(rows, []string{v.ID, v.Of, strconv.Itoa(v.Order), string(v.Role), string(v.Channel), first(v.Masked, v.Fault), dash(v.Hours), clock(v.Verified)})
				}
				a.table("no contacts", []string{"CONTACT", "OF", "ORDER", "ROLE", "CHANNEL", "NUMBER", "HOURS", "VERIFIED"}, rows)
				a.more(page.Next)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&of, "of", "", "only those of `point:<id>`, building:<name>, unit:<id> or person:<name>")
	f.IntVar(&limit, "limit", 100, "at most `n`")
	return cmd
}

func (a *app) contactAdd() *cobra.Command {
	var ask api.ContactAsk
	var role, channel, number, name, key string
	cmd := &cobra.Command{
		Use: "add <owner>", Short: "Add a contact of a point, a building, a unit or a person on duty", Args: args(cobra.ExactArgs(1)),
		Long: "Add a contact. The number is read from a file (\"-\": standard input), since the arguments of a\n" +
			"command can be seen by others. A name is not needed. See docs/people.md.",
		Example: "  echo 00000000017 | gridgate contact add point:smoke-301 --role occupant --channel voice --number-file -\n" +
			"  gridgate contact add unit:micro-6 --role duty_phone --channel voice --number-file desk.number --order 1",
		RunE: func(cmd *cobra.Command, argv []string) error {
			ask.Of, ask.Role, ask.Channel = argv[0], grid.ContactRole(role), grid.Channel(channel)
			for _, f := range []struct {
				path string
				into *grid.Secret
			}{{number, &ask.Number}, {name, &ask.Name}} {
				if f.path == "" {
					continue
				}
				b, err := a.readFile(f.path)
				if err != nil {
					return err
				}
				*f.into = grid.Secret(strings.TrimSpace(string(b)))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.PutContact(cmd.Context(), ask, key)
			if err != nil {
				return err
			}
			return a.show(v, func() {
				a.say("contact %s: %s of %s by %s, %s", v.ID, v.Role, v.Of, v.Channel, first(v.Masked, v.Fault))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&ask.ID, "id", "", "change the contact with this `id`")
	f.StringVar(&role, "role", "", "`occupant`, neighbour, key_holder or duty_phone")
	f.StringVar(&channel, "channel", "voice", "`voice`, sms, app or chat")
	f.StringVar(&number, "number-file", "", "take the number from this `file` (\"-\": standard input)")
	f.StringVar(&name, "name-file", "", "take a name from this `file`; not needed")
	f.IntVar(&ask.Order, "order", 0, "who is called first: the lowest `n`")
	f.StringVar(&ask.Hours, "hours", "", "only within the hours of this `calendar`")
	f.StringVar(&ask.Street, "street", "", "of a building or a person: only for tickets in this street, 9 `digits`")
	f.StringVar(&ask.Community, "community", "", "of a building or a person: only for tickets in this community, 12 `digits`")
	f.StringVar(&ask.Compound, "compound", "", "of a building or a person: only for tickets in this `compound`")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again changes nothing")
	return cmd
}

func (a *app) contactReads() *cobra.Command {
	return &cobra.Command{
		Use: "reads <contact>", Short: "Say who has read a contact's number, when and why", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.ContactReads(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, r := range page.Items {
					rows = append(rows, []string{clock(r.At), r.By.Name, string(r.By.Role), r.Why})
				}
				a.table("nobody has read it", []string{"AT", "WHO", "ROLE", "WHY"}, rows)
			})
		},
	}
}

func (a *app) contactReveal() *cobra.Command {
	var reason, as string
	cmd := &cobra.Command{
		Use: "reveal <contact>", Short: "Read a contact's number; who did, when and why is kept", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var by *api.As
			if as != "" {
				by = &api.As{Name: as}
			}
			v, err := c.RevealContact(cmd.Context(), argv[0], reason, by)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.say("%s", strings.TrimSpace(v.Number+"  "+v.Name)) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; not needed while there is an open P1 or P2 at the place")
	cmd.Flags().StringVar(&as, "as", "", "`name` of who reads it, for the audit")
	return cmd
}

func (a *app) contactVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify <contact>", Short: "Note that somebody has made sure that a contact is right", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.VerifyContact(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(v, func() { a.say("contact %s: verified %s", v.ID, clock(v.Verified)) })
		},
	}
}

func (a *app) contactErase() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "erase <contact>", Short: "Erase what tells the person, for good", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.EraseContact(cmd.Context(), argv[0], reason)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.say("contact %s: erased", v.ID) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for the audit")
	return cmd
}

func (a *app) rosterCommand() *cobra.Command {
	return group("roster", "Who must be on duty, who is, and where there is a gap",
		a.rosterList(), a.rosterPut(), a.rosterEnd(), a.rosterCheck(), a.rosterWho(), a.shiftAdd(), a.shiftList(), a.shiftEnd())
}

func (a *app) rosterList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List rosters", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Rosters(cmd.Context(), "", 1000)
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, r := range page.Items {
					rows = append(rows, []string{r.ID, r.For, dash(r.Hours), dash(r.Fallback)})
				}
				a.table("no rosters", []string{"ROSTER", "FOR", "HOURS", "FALLBACK"}, rows)
			})
		},
	}
}

func (a *app) rosterPut() *cobra.Command {
	var ask api.RosterAsk
	cmd := &cobra.Command{
		Use: "put <id> <for>", Short: "Say that somebody must be on duty for unit:<id> or seat:<name>", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			ask.ID, ask.For = argv[0], argv[1]
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.PutRoster(cmd.Context(), ask)
			if err != nil {
				return err
			}
			return a.show(r, func() { a.say("roster %s is for %s", r.ID, r.For) })
		},
	}
	cmd.Flags().StringVar(&ask.Hours, "hours", "", "only within the hours of this `calendar` (default: always)")
	cmd.Flags().StringVar(&ask.Fallback, "fallback", "", "the `person` who is called where nobody is on duty")
	return cmd
}

func (a *app) rosterEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end <id>", Short: "End a roster", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.EndRoster(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(r, func() { a.say("roster %s has ended", r.ID) })
		},
	}
}

// errGaps says that a roster is not kept: its words are on the screen.
var errGaps = fmt.Errorf("%w: a roster has gaps", errSaid)

func (a *app) rosterCheck() *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use: "check", Short: "Tell the gaps of the days ahead; exit code 1 if there are any", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Gaps(cmd.Context(), days)
			if err != nil {
				return err
			}
			err = a.show(page, func() {
				var rows [][]string
				for _, g := range page.Items {
					rows = append(rows, []string{g.Roster, g.For, clock(g.From), clock(g.To), dash(g.Fallback)})
				}
				a.table(fmt.Sprintf("every roster is kept for %d days", days), []string{"ROSTER", "FOR", "NOBODY FROM", "TO", "THEN CALLED"}, rows)
			})
			if err == nil && len(page.Items) > 0 {
				return errGaps
			}
			return err
		},
	}
	cmd.Flags().IntVar(&days, "days", 7, "how many `days` ahead")
	return cmd
}

func (a *app) rosterWho() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use: "who <for>", Short: "Say who is on duty for unit:<id> or seat:<name>", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			when, err := moment(at)
			if err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.Duty(cmd.Context(), argv[0], when)
			if err != nil {
				return err
			}
			return a.show(d, func() {
				a.say("%s at %s: %s (else %s)", d.For, clock(d.At), first(strings.Join(d.Persons, ", "), "nobody"), dash(d.Fallback))
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "at this time, `2026-03-02T08:00:00+08:00` (default: now)")
	return cmd
}

func (a *app) shiftAdd() *cobra.Command {
	var ask api.ShiftAsk
	var from, to, key string
	cmd := &cobra.Command{
		Use: "shift <for> <person>", Short: "Put a person on duty, once or by a pattern", Args: args(cobra.ExactArgs(2)),
		Example: "  gridgate roster shift unit:micro-6 staff-001 --from 2026-03-02T08:00:00+08:00 --to 2026-03-03T08:00:00+08:00\n" +
			"  gridgate roster shift unit:fire-1 watch-a --from 2026-03-02T08:00:00+08:00 --every 72h --length 24h\n" +
			"  gridgate roster shift seat:duty-lead lead-day --from 2026-03-02T00:00:00+08:00 --hours office",
		RunE: func(cmd *cobra.Command, argv []string) error {
			ask.For, ask.Person = argv[0], argv[1]
			var err1, err2 error
			ask.From, err1 = moment(from)
			ask.To, err2 = moment(to)
			if err := errors.Join(err1, err2); err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			s, err := c.PutShift(cmd.Context(), ask, key)
			if err != nil {
				return err
			}
			return a.show(s, func() { a.say("shift %s: %s for %s from %s", s.ID, s.Person, s.For, clock(s.From)) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "from this `time`, 2026-03-02T08:00:00+08:00")
	f.StringVar(&to, "to", "", "to this `time` (default: until it is ended)")
	f.StringVar(&ask.Hours, "hours", "", "only within the hours of this `calendar`")
	f.StringVar(&ask.Every, "every", "", "again every so long, for example `72h`, with --length")
	f.StringVar(&ask.Length, "length", "", "for so long each time, for example `24h`")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again changes nothing")
	return cmd
}

func (a *app) shiftList() *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use: "shifts", Short: "List shifts", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Shifts(cmd.Context(), of, 1000)
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, s := range page.Items {
					turn := "-"
					if s.Every > 0 {
						turn = fmt.Sprintf("%s of %s", s.Length, s.Every)
					}
					rows = append(rows, []string{s.ID, s.For, s.Person, clock(s.From), clock(s.To), dash(s.Hours), turn})
				}
				a.table("no shifts", []string{"SHIFT", "FOR", "PERSON", "FROM", "TO", "HOURS", "TURN"}, rows)
				a.more(page.Next)
			})
		},
	}
	cmd.Flags().StringVar(&of, "of", "", "only those of `unit:<id>` or seat:<name>")
	return cmd
}

func (a *app) shiftEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end-shift <shift>", Short: "End a shift", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			s, err := c.EndShift(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(s, func() { a.say("shift %s has ended", s.ID) })
		},
	}
}
