package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/simulator"
)

func unitsCommand() *cobra.Command {
	var c common
	var u unitFlags
	var control string
	cmd := &cobra.Command{
		Use:   "units",
		Short: "units that take signed webhooks and answer",
		Long: `units plays units as real HTTP servers on loopback ports. Each verifies the signature of
what it gets (Standard Webhooks), keeps every message once by its webhook-id, and answers
as its people work: accept, arrive, resolve, and for P1 the word of those on site.
GET /received on a unit's port lists what it has, and how often each was sent.`,
		Example: `  gridsim units --units fire,urban_management --port 9101 --seed 7 --registry units.yaml
  gridsim units --behaviour fire=flaky --control http://127.0.0.1:9200`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var restore restoreFunc
			if control != "" {
				restore = remoteRestore(control)
			}
			units, err := u.open(cmd, c.seed, restore, notes(cmd))
			if err != nil {
				return err
			}
			defer units.Close()
			if done, err := c.write(simulator.Registry{Units: units.Registry()}); done || err != nil {
				return err
			}
			sayUnits(cmd, units)
			ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
			if c.length > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.length)
			}
			defer cancel()
			return units.Run(ctx)
		},
	}
	c.worldFlags(cmd)
	u.add(cmd)
	cmd.Flags().StringVar(&control, "control", "", "the --control of a fleet, whose points the units put right")
	return cmd
}

func sayUnits(cmd *cobra.Command, units *simulator.Units) {
	say := notes(cmd)
	for _, u := range units.Registry() {
		say(simulator.Note{Who: u.ID, What: "ready", Text: fmt.Sprintf("%s listens at %s", u.Name, u.URL)})
	}
}

// remoteRestore puts points right in a fleet of another process.
func remoteRestore(control string) restoreFunc {
	return func(ctx context.Context, point, by string) error {
		u := strings.TrimSuffix(control, "/") + "/points/" + url.PathEscape(point) + "/normal?by=" + url.QueryEscape(by)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("fleet answers %s", resp.Status)
		}
		return nil
	}
}
