package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
)

func (a *app) eraseCommand() *cobra.Command {
	return group("erase", "Take away what is known of a person, or was read at a home",
		a.eraseOf("contact", "contact <id>", "Take away what tells a person: number and name"),
		a.eraseOf("dwelling", "dwelling <point>", "Take away the readings and the contacts of a home"))
}

func (a *app) eraseOf(what, use, short string) *cobra.Command {
	e := api.Erase{What: what}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args(cobra.ExactArgs(1)),
		Long: short + ". What was there and what is left is counted after the deed; what is not\n" +
			"reached is named with when it goes. --dry-run counts and takes nothing.\n\n" +
			"Exit codes: 0 nothing of it is left, 1 something is or it failed, 3 no gateway answers.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			e.ID = argv[0]
			c, err := a.client()
			if err != nil {
				return err
			}
			got, err := c.Erase(cmd.Context(), e)
			if err != nil {
				return err
			}
			left := int64(0)
			var rows [][]string
			for _, p := range got.Parts {
				left += p.Left
				rows = append(rows, []string{p.Part, strconv.FormatInt(p.Found, 10), strconv.FormatInt(p.Left, 10)})
			}
			err = a.show(got, func() {
				a.table("there is nothing of it", []string{"WHERE", "FOUND", "LEFT"}, rows)
				for _, s := range got.Stays {
					a.say("stays: %s", s)
				}
			})
			if err == nil && left > 0 && !e.DryRun {
				return errSaid
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&e.DryRun, "dry-run", false, "say what there is, and take nothing")
	cmd.Flags().StringVar(&e.Reason, "reason", "", "why; it stands in the audit")
	return cmd
}
