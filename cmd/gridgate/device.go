package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) deviceCommand() *cobra.Command {
	return group("device", "Add, import, list and retire devices", append(a.deviceLife(), a.deviceList(), a.deviceShow(), a.deviceAdd(), a.deviceImport(), a.deviceExport(), a.deviceRetire(), a.deviceKey(), a.deviceDiscovered(), a.deviceIgnore(), a.deviceLabel())...)
}

func (a *app) deviceList() *cobra.Command {
	var q api.Query
	var discovered, ignored bool
	cmd := &cobra.Command{
		Use: "list", Short: "List registered devices, or those heard and not registered", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if discovered || ignored {
				return a.discovered(cmd, c, q.Limit, ignored)
			}
			page, err := api.List[grid.Device](cmd.Context(), c, "devices", q)
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, d := range page.Items {
					rows = append(rows, []string{string(d.Identity), d.Profile, string(d.State), string(d.Mode), clock(d.Installed)})
				}
				a.table("no devices", []string{"DEVICE", "PROFILE", "STATE", "MODE", "INSTALLED"}, rows)
				a.more(page.Next)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "only this `state`: registered, installed, barred, retired")
	f.StringVar(&q.Type, "profile", "", "only of this `profile`")
	f.StringVar(&q.Kind, "kind", "", "only at points of this `kind`: door, parking, manhole, smoke")
	f.StringVar(&q.Text, "text", "", "with this in the identity or profile")
	f.IntVar(&q.Limit, "limit", 100, "at most `n`")
	f.BoolVar(&discovered, "discovered", false, "heard and not registered, with the guessed profile")
	f.BoolVar(&ignored, "ignored", false, "of those the ones that were set aside")
	return cmd
}

func (a *app) discovered(cmd *cobra.Command, c *api.Client, limit int, ignored bool) error {
	q := api.Query{Limit: limit}
	if ignored {
		q.State = "ignored"
	}
	page, err := api.List[grid.Discovered](cmd.Context(), c, "discovered", q)
	if err != nil {
		return err
	}
	return a.show(page, func() {
		var rows [][]string
		for _, d := range page.Items {
			rows = append(rows, []string{string(d.Identity), dash(d.Guess), fmt.Sprint(d.Frames), clock(d.Last), dash(d.Source), d.Reason})
			for _, g := range d.Guesses[min(len(d.Guesses), 1):] {
				rows = append(rows, []string{"", "or " + g.Profile, "", "", "", g.Reason})
			}
		}
		a.table("nothing discovered", []string{"DEVICE", "GUESS", "FRAMES", "LAST", "FROM", "WHY"}, rows)
	})
}

func (a *app) deviceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show <identity>", Short: "Show a device: where it is and how it is", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.Device(cmd.Context(), grid.Identity(argv[0]))
			if err != nil {
				return err
			}
			return a.show(d, func() {
				a.say("%s  %s  %s (%s)", d.Identity, d.Profile, d.State, d.Mode)
				for _, i := range d.Installations {
					until := "now"
					if !i.To.IsZero() {
						until = clock(i.To)
					}
					a.say("  %s at %s, %s to %s", i.Channel, i.Point, clock(i.From), until)
				}
				if h := d.Health; h != nil {
					a.say("  heard %s, %d frames, %d duplicates, offline %t", clock(h.LastHeard), h.Frames, h.Duplicates, h.Offline)
				}
			})
		},
	}
}

func (a *app) deviceAdd() *cobra.Command {
	var claim api.Claim
	var at api.ClaimChannel
	var mode string
	cmd := &cobra.Command{
		Use: "add <identity>", Aliases: []string{"claim"},
		Short: "Register a device and put it at a point; its waiting frames are then processed", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate device add eui:24e124136d490175 --profile milesight/ws301 --point gate-7",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if claim.Profile == "" && claim.Code == "" {
				return usage(cmd, fmt.Errorf("--profile is missing: want <vendor>/<model>, see \"gridgate profile list\""))
			}
			if claim.Code == "-" {
				b, err := a.readFile("-")
				if err != nil {
					return err
				}
				claim.Code = strings.TrimRight(string(b), "\r\n")
			}
			claim.Mode = grid.Mode(mode)
			if at.Point != "" {
				claim.Installations = []api.ClaimChannel{at}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.Claim(cmd.Context(), grid.Identity(argv[0]), claim)
			if err != nil {
				return err
			}
			return a.show(r, func() { a.say("%s is registered; %d waiting frames were processed", argv[0], r.Replayed) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&claim.Profile, "profile", "", "firmware profile, `vendor/model`")
	f.StringVar(&at.Point, "point", "", "the `point` where it is installed (default: registered only)")
	f.StringVar(&at.Channel, "channel", "", "its `channel` there (default main)")
	f.StringVar(&claim.Code, "code", "", "the `code` on the device, with our token or its maker's key in it; \"-\": from standard input")
	f.BoolVar(&claim.KeepSecret, "keep-secret", false, "a pre-shared key in the code becomes the device's credential")
	f.StringVar(&claim.Interval, "interval", "", "reporting interval, for example `20m` (default: the profile's)")
	f.StringVar(&mode, "mode", "", "live (default), test, exercise or simulated")
	return cmd
}

func (a *app) deviceImport() *cobra.Command {
	var dryRun bool
	var sheet sheetFlags
	cmd := &cobra.Command{
		Use: "import <file>", Short: "Import points, devices, installations and units from a sheet (CSV, XLSX) or a registry file (\"-\": standard input)", Args: args(cobra.ExactArgs(1)),
		Long:    "Import a sheet (docs/import.md) or a registry file (docs/configuration.md), all of it or nothing.",
		Example: "  gridgate device import 安装表.xlsx --dry-run\n  gridgate device import template --lang zh -o 安装表.xlsx",
		RunE: func(cmd *cobra.Command, argv []string) error {
			b, err := a.readFile(argv[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if isSheet(argv[0], b) {
				sheet.dryRun = dryRun
				return a.importSheet(cmd.Context(), c, argv[0], b, sheet)
			}
			n, err := c.Import(cmd.Context(), b, dryRun)
			if err != nil {
				return err
			}
			return a.show(n, func() {
				done := "imported"
				if n.DryRun {
					done = "the file is sound, nothing was changed"
				}
				a.say("%s: %d points, %d devices, %d installations, %d units", done, n.Points, n.Devices, n.Installations, n.Units)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "check the file and change nothing")
	f.BoolVar(&sheet.skipBad, "skip-bad", false, "of a sheet: apply the good rows though there are bad ones")
	f.BoolVar(&sheet.rows, "rows", false, "of a sheet: show the result of each row")
	f.StringVar(&sheet.kind, "kind", "auto", "of a sheet: points, devices, installations or buildings")
	f.StringVar(&sheet.lang, "lang", "en", "language of the problems: zh or en")
	cmd.AddCommand(a.importCommands()...)
	return cmd
}

func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.in)
	}
	return os.ReadFile(name)
}

func (a *app) deviceRetire() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "retire <identity>", Short: "Take a device out; what it still sends is quarantined", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.RetireFor(cmd.Context(), grid.Identity(argv[0]), reason)
			if err != nil {
				return err
			}
			return a.show(d, func() { a.say("%s is %s", d.Identity, d.State) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the history")
	return cmd
}
