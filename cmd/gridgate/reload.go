package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Have the running gateway read its configuration again, without losing a frame", Args: args(cobra.NoArgs),
		Long: "Have the running gateway read its configuration and the files that it names again. Everything\n" +
			"is tried first: if anything is wrong nothing is changed, and the reason is said. Rules, tickets,\n" +
			"calendars, profiles, connectors that are data, limits of devices, the guard of roll-outs and the\n" +
			"level of the log are in force at once; what else has changed is named and waits for a restart.\n" +
			"SIGHUP does the same (systemctl reload gridgate), its result stands in the log.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.Reload(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(r, func() {
				if len(r.Changed)+len(r.Restart) == 0 {
					a.say("nothing has changed")
				}
				if len(r.Changed) > 0 {
					a.say("in force now: %s", strings.Join(r.Changed, ", "))
				}
				if len(r.Restart) > 0 {
					a.say("changed, and in force after a restart: %s", strings.Join(r.Restart, ", "))
				}
			})
		},
	}
}
