package main

import (
	"context"

	"github.com/spf13/cobra"
)

func playCommand() *cobra.Command {
	var c common
	var f fleetFlags
	var u unitFlags
	cmd := &cobra.Command{
		Use:   "play",
		Short: "a fleet and units together",
		Long: `play plays a fleet and units in one process: what a unit's people put right on site goes
back to normal at the sensor. It listens, writes --registry, then plays; the broker may
come later.`,
		Example: `  gridsim play --scenario demo --broker mqtt://127.0.0.1:1883 --registry demo.yaml --for 60s`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fleet, err := f.fleet(c.seed)
			if err != nil {
				return err
			}
			p, err := newPlayed(cmd, &c, &f, fleet)
			if err != nil {
				return err
			}
			restore := func(ctx context.Context, point, by string) error { return p.player.Restore(ctx, point, by) }
			units, err := u.open(cmd, c.seed, restore, notes(cmd))
			if err != nil {
				return err
			}
			defer units.Close()
			r := fleet.Registry(f.interval)
			r.Units = units.Registry()
			if done, err := c.write(r); done || err != nil {
				return err
			}
			sayUnits(cmd, units)
			return p.run(cmd, c.length, "", units.Run)
		},
	}
	c.brokerFlags(cmd)
	c.worldFlags(cmd)
	f.add(cmd)
	u.add(cmd)
	return cmd
}
