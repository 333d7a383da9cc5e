package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/gateway"
	"gridgate/internal/grid"
)

func (a *app) upgradeCommand() *cobra.Command {
	return group("upgrade", "What an upgrade did to the data folder, and the way back", a.upgradeStatusCommand(), a.upgradeReturnCommand())
}

func (a *app) upgradeStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Which programs have worked on the data folder, and what can be gone back to", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			u, err := cfg.UpgradeStatus(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(u, func() { a.printUpgrade(&u) })
		},
	}
}

func (a *app) printUpgrade(u *gateway.UpgradeStatus) {
	a.say("schema %d; this program makes %d, %d steps to go", u.Schema.Have, u.Schema.Want, u.Schema.Pending)
	var rows [][]string
	for _, p := range u.Programs {
		rows = append(rows, []string{p.At.Format(time.RFC3339), p.Program, fmt.Sprint(p.Found), fmt.Sprint(p.Schema)})
	}
	a.table("no program has noted itself", []string{"SINCE", "PROGRAM", "FOUND", "LEFT"}, rows)
	for _, p := range u.Points {
		way := "`gridgate upgrade return` goes back to it"
		if p.Why != "" {
			way = "no way back: " + p.Why
		}
		a.say("state of %s, schema %d (then %d): %s", p.At.Format(time.RFC3339), p.From, p.To, way)
	}
}

func (a *app) upgradeReturnCommand() *cobra.Command {
	var giveUp bool
	cmd := &cobra.Command{
		Use: "return", Short: "Put the state from before the last upgrade in place", Args: args(cobra.NoArgs),
		Long: "Put the state from before the last upgrade in place, for the program from before it. The gateway\n" +
			"must not run. Frames taken since are kept: they are in the journal, and the older program takes\n" +
			"them from there. What persons and units did to tickets and the registry since is in no journal:\n" +
			"if there is any, it is refused without --give-up-deeds, which leaves a list. The newer state is\n" +
			"kept beside it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			r, err := cfg.Return(cmd.Context(), giveUp)
			if err != nil {
				return err
			}
			return a.show(r, func() {
				a.say("the state of %s, schema %d, is in place: start the program from before the upgrade", r.Point.At.Format(time.RFC3339), r.Point.From)
				a.say("it takes %d safety frames and %d bulk frames from the journal once more; units may be told again, under the same delivery ids", r.Again[grid.Safety], r.Again[grid.Bulk])
				if len(r.GivenUp.Deeds) > 0 || r.GivenUp.Registry > 0 {
					a.say("given up: %d moves of persons and units, %d changes of the registry: %s", len(r.GivenUp.Deeds), r.GivenUp.Registry, r.List)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&giveUp, "give-up-deeds", false, "go back also where persons or units did something since")
	return cmd
}
