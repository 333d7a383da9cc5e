package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"gridgate/internal/dispatch"
)

func (a *app) connectorCommand() *cobra.Command {
	return group("connector", "List and test the connectors that are data", a.connectorList(), a.connectorTest())
}

func (a *app) connectorDirs() ([]fs.FS, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	return cfg.ConnectorDirs(), nil
}

func (a *app) connectorList() *cobra.Command {
	type row struct {
		Name     string   `json:"name"`
		About    string   `json:"about"`
		Audience string   `json:"audience"`
		Settings []string `json:"settings"`
		Secret   string   `json:"secret"`
	}
	return &cobra.Command{
		Use: "list", Short: "List the connectors that are data, the built-in ones and those of dispatch.connectors", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			dirs, err := a.connectorDirs()
			if err != nil {
				return err
			}
			specs, err := dispatch.LoadTemplates(dirs...)
			if err != nil {
				return err
			}
			list := []row{}
			for _, name := range slices.Sorted(maps.Keys(specs)) {
				s := specs[name]
				list = append(list, row{name, s.About, s.Audience, slices.Concat(s.Settings.Required, s.Settings.Optional), s.Secret})
			}
			return a.show(list, func() {
				var rows [][]string
				for _, r := range list {
					rows = append(rows, []string{r.Name, r.Audience, r.Secret, fmt.Sprint(r.Settings), r.About})
				}
				a.table("no connectors", []string{"NAME", "AUDIENCE", "SECRET", "SETTINGS", "ABOUT"}, rows)
			})
		},
	}
}

func (a *app) connectorTest() *cobra.Command {
	return &cobra.Command{
		Use: "test [FOLDER…]", Short: "Run the recorded cases of connectors; nothing is sent to anyone",
		Long:    "Without folders: the built-in connectors and those of dispatch.connectors. A connector without cases fails.",
		Example: "  gridgate connector test ./connectors",
		RunE: func(cmd *cobra.Command, folders []string) error {
			dirs, err := a.connectorDirs()
			if err != nil {
				return err
			}
			if len(folders) > 0 {
				dirs = nil
			}
			for _, f := range folders {
				dirs = append(dirs, os.DirFS(f))
			}
			reports := []dispatch.CaseReport{}
			for _, dir := range dirs {
				r, err := dispatch.TestTemplates(cmd.Context(), dir)
				if err != nil {
					return err
				}
				reports = append(reports, r...)
			}
			return a.showCases(reports)
		},
	}
}

func (a *app) showCases(reports []dispatch.CaseReport) error {
	cases, failed := 0, 0
	var rows [][]string
	for _, r := range reports {
		cases += r.Cases
		failed += len(r.Failed)
		rows = append(rows, []string{r.Name, fmt.Sprint(r.Cases), fmt.Sprint(len(r.Failed))})
	}
	err := a.show(reports, func() {
		a.table("no connectors", []string{"CONNECTOR", "CASES", "FAILED"}, rows)
		for _, r := range reports {
			for _, f := range r.Failed {
				fmt.Fprintf(a.out, "%s: %s\n", r.Name, f)
			}
		}
		fmt.Fprintf(a.out, "%d connectors, %d cases, %d failed\n", len(reports), cases, failed)
	})
	if err == nil && (failed > 0 || len(reports) == 0) {
		return errSaid
	}
	return err
}
