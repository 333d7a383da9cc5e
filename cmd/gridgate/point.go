package main

import "github.com/spf13/cobra"

func (a *app) pointCommand() *cobra.Command {
	return group("point", "Points and their plates", append(a.pointCommands(), a.pointLabel())...)
}
