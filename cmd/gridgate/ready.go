package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

// readyCommand is for whoever starts gridgate: a container's health check, a script.
func (a *app) readyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ready", Short: "Ask the running gateway whether each part of it is up", Args: args(cobra.NoArgs),
		Long: "Ask the running gateway whether each part of it is up, and name those that are not. It counts\n" +
			"nothing and reads no file: gridgate check does.\n\n" +
			"Exit codes: 0 ready, 1 not ready, 3 no gateway answers.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			ready, err := c.Ready(cmd.Context())
			if err != nil {
				return err
			}
			down := []string{}
			for _, part := range slices.Sorted(maps.Keys(ready.Parts)) {
				if state := ready.Parts[part]; state != "ok" {
					down = append(down, part+": "+state)
				}
			}
			if err := a.show(ready, func() {
				for _, d := range down {
					a.say("%s", d)
				}
				if len(down) == 0 {
					a.say("ready")
				}
			}); err != nil || len(down) == 0 {
				return err
			}
			return errSaid
		},
	}
}
