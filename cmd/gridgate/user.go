package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) userCommand() *cobra.Command {
	return group("user", "Who signs on: users, roles, one-time passwords", a.userAdd(), a.userList(), a.userRole(), a.userReset(), a.userDisable(true), a.userDisable(false), a.userSessions())
}

const roleWords = "viewer, operator, supervisor, technician, unit or admin"

// limitFlags are what limits a user or a token.
func limitFlags(cmd *cobra.Command, s *grid.Scope) {
	f := cmd.Flags()
	f.StringVar(&s.District, "district", "", "only this district's (6 digits)")
	f.StringVar(&s.Street, "street", "", "only this street's (9 digits)")
	f.StringVar(&s.Community, "community", "", "only this community's (12 digits)")
	f.StringVar(&s.Compound, "compound", "", "only this compound's")
}

func (a *app) userAdd() *cobra.Command {
	var ask api.UserAsk
	var role, unit string
	cmd := &cobra.Command{
		Use: "add <name>", Short: "Add a user; prints a one-time password, once", Args: args(cobra.ExactArgs(1)),
		Long: "Add a user. The one-time password is shown now and never again; it must be changed at the first\n" +
			"sign-on. See docs/access.md for what each role reaches.",
		Example: "  gridgate user add lin --role operator --street 310105001\n" +
			"  gridgate user add lift-1.zhang --role technician --unit lift-1",
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			ask.Name, ask.Role = argv[0], grid.Role(role)
			if unit != "" {
				ask.Units = []string{unit}
			}
			u, err := c.AddUser(cmd.Context(), ask)
			if err != nil {
				return err
			}
			return a.show(u, func() { a.oneTime(u) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", "operator", roleWords)
	f.StringVar(&ask.Display, "display", "", "how the person is shown")
	f.StringVar(&unit, "unit", "", "of a technician or a unit's person: the unit acted for")
	limitFlags(cmd, &ask.Scope)
	return cmd
}

func (a *app) oneTime(u api.UserMade) {
	a.say("%s (%s), one-time password: %s", u.Name, u.Role, u.OneTime)
	a.say("it is not shown again, and is changed at the first sign-on")
}

func (a *app) userList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Users(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, u := range page.Items {
					rows = append(rows, []string{u.Name, string(u.Role), dash(limitWords(u.Scope, u.Units)), userState(&u), dash(secondWords(&u)), clock(u.Seen), u.ID})
				}
				a.table("no users", []string{"NAME", "ROLE", "LIMITED TO", "STATE", "SECOND", "SEEN", "ID"}, rows)
			})
		},
	}
}

func limitWords(s grid.Scope, units []string) string {
	var out []string
	for _, w := range append([]string{s.District, s.Street, s.Community, s.Compound}, units...) {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

func userState(u *api.User) string {
	switch {
	case u.Disabled:
		return "disabled"
	case u.MustChange:
		return "one-time password"
	case u.Outside != "":
		return "by " + u.Outside
	}
	return "active"
}

func secondWords(u *api.User) string {
	var out []string
	if u.TOTP {
		out = append(out, "codes")
	}
	if u.Passkeys > 0 {
		out = append(out, fmt.Sprintf("%d passkeys", u.Passkeys))
	}
	return strings.Join(out, ", ")
}

func (a *app) userRole() *cobra.Command {
	var scope grid.Scope
	var unit string
	cmd := &cobra.Command{
		Use: "role <name> <role>", Short: "Give a user another role; sessions end", Args: args(cobra.ExactArgs(2)),
		Long:    "Give a user another role. What it is limited to is what the flags say: none is the whole district.",
		Example: "  gridgate user role lin supervisor --street 310105001",
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			units := []string{}
			if unit != "" {
				units = append(units, unit)
			}
			u, err := c.ChangeUser(cmd.Context(), argv[0], api.UserAct{Role: argv[1], Scope: scope, Units: &units})
			if err != nil {
				return err
			}
			return a.show(u, func() { a.say("%s is %s %s", u.Name, u.Role, limitWords(u.Scope, u.Units)) })
		},
	}
	cmd.Flags().StringVar(&unit, "unit", "", "of a technician or a unit's person: the unit acted for")
	limitFlags(cmd, &scope)
	return cmd
}

func (a *app) userReset() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "reset <name>", Short: "Make a one-time password; sessions end", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate user reset lin\n  gridgate user reset lin --all   # the telephone is lost: codes and passkeys go too",
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			u, err := c.ResetUser(cmd.Context(), argv[0], all)
			if err != nil {
				return err
			}
			return a.show(u, func() { a.oneTime(u) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take one-time codes and passkeys off too")
	return cmd
}

func (a *app) userDisable(yes bool) *cobra.Command {
	use, short, said := "enable <name>", "Let a user in again", "may sign on"
	if yes {
		use, short, said = "disable <name>", "Let a user in no more; sessions end at once", "is let in no more"
	}
	return &cobra.Command{
		Use: use, Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			u, err := c.DisableUser(cmd.Context(), argv[0], yes)
			if err != nil {
				return err
			}
			return a.show(u, func() { a.say("%s %s", u.Name, said) })
		},
	}
}

func (a *app) userSessions() *cobra.Command {
	var end bool
	cmd := &cobra.Command{
		Use: "sessions <name>", Short: "Where a user is signed on", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if end {
				n, err := c.EndUserSessions(cmd.Context(), argv[0])
				if err != nil {
					return err
				}
				return a.show(n, func() { a.say("%d sessions have ended", n.Ended) })
			}
			page, err := c.UserSessions(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, s := range page.Items {
					rows = append(rows, []string{s.ID, s.Way, dash(s.From), clock(s.Created), clock(s.Used), clock(s.Expires)})
				}
				a.table("signed on nowhere", []string{"SESSION", "BY", "FROM", "SINCE", "USED", "ENDS"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&end, "end", false, "sign the user off everywhere")
	return cmd
}

func (a *app) tokenCommand() *cobra.Command {
	return group("token", "Tokens of programs and walls", a.tokenAdd(), a.tokenList(), a.tokenRevoke())
}

func (a *app) tokenAdd() *cobra.Command {
	var ask api.TokenAsk
	var role string
	var ends time.Duration
	cmd := &cobra.Command{
		Use: "add <name>", Short: "Make a token; it is printed, once", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate token add hall-screen --wall --expires 8760h\n" +
			"  gridgate token add figures --role viewer --street 310105001 --expires 2160h\n" +
			"  gridgate token add second-machine --role standby",
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			ask.Name, ask.Role = argv[0], grid.Role(role)
			if ask.Wall && !cmd.Flags().Changed("role") {
				ask.Role = grid.RoleViewer
			}
			if ends < 0 {
				return usage(cmd, fmt.Errorf("--expires is %s: want a time ahead, such as 2160h", ends))
			}
			if ends > 0 {
				ask.Expires = time.Now().Add(ends).UTC().Truncate(time.Second)
			}
			t, err := c.AddToken(cmd.Context(), ask)
			if err != nil {
				return err
			}
			return a.show(t, func() {
				fmt.Fprintln(a.out, t.Token)
				fmt.Fprintf(a.errOut, "%s (%s), ends %s; it is not shown again\n", t.Name, t.Role, first(clock(t.Expires), "when it is revoked"))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", "viewer", roleWords+"; or standby: what a second machine follows by, and nothing else")
	f.StringVar(&ask.Unit, "unit", "", "of a technician's or a unit's token: the unit acted for")
	f.BoolVar(&ask.Wall, "wall", false, "for a screen that all see: reads what a wall shows, and nothing of persons")
	f.DurationVar(&ends, "expires", 0, "ends after so long, such as `2160h`; 0: when it is revoked")
	limitFlags(cmd, &ask.Scope)
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List tokens, without what opens them", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, t := range page.Items {
					role := string(t.Role)
					if t.Wall {
						role = "wall"
					}
					rows = append(rows, []string{t.Name, role, dash(limitWords(t.Scope, []string{t.Unit})), t.By, clock(t.Expires), clock(t.Used), t.ID})
				}
				a.table("no tokens", []string{"NAME", "ROLE", "LIMITED TO", "BY", "ENDS", "USED", "ID"}, rows)
			})
		},
	}
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke <name>", Short: "End a token", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			t, err := c.RevokeToken(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(t, func() { a.say("%s opens nothing any more", t.Name) })
		},
	}
}
