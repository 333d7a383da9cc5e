package main

import (
	"io/fs"

	"github.com/spf13/cobra"

	firmwareprofiles "gridgate/firmware-profiles"
)

func (a *app) profileSchema() *cobra.Command {
	var cases bool
	cmd := &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of profile.yaml, for editors", Args: args(cobra.NoArgs),
		Example: "  gridgate profile schema > profile.schema.json",
		RunE: func(*cobra.Command, []string) error {
			name := "profile.schema.json"
			if cases {
				name = "cases.schema.json"
			}
			b, err := fs.ReadFile(firmwareprofiles.FS, name)
			if err != nil {
				return err
			}
			_, err = a.out.Write(b)
			return err
		},
	}
	cmd.Flags().BoolVar(&cases, "cases", false, "of cases.yaml instead")
	return cmd
}
