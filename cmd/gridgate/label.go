package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) codeCommand() *cobra.Command {
	read := &cobra.Command{
		Use: "read [text]", Short: "Say what a scanned code means; without text it is read from standard input", Args: args(cobra.MaximumNArgs(1)),
		Long:    "Say what a code on a device, box or door means and what is known of it. A key or passcode in it is not shown. Codes with secrets are better piped in: a shell keeps what is typed.",
		Example: "  gridgate code read LW:D0:70B3D57ED0000010:0018B20000000101:000AF8BE\n  pbpaste | gridgate code read",
		RunE: func(cmd *cobra.Command, argv []string) error {
			text := strings.Join(argv, "")
			if len(argv) == 0 {
				b, err := a.readFile("-")
				if err != nil {
					return err
				}
				text = strings.TrimRight(string(b), "\r\n")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.ReadCode(cmd.Context(), text)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.sayCode(v) })
		},
	}
	return group("code", "Read codes on devices and doors", read)
}

func (a *app) sayCode(v api.CodeView) {
	a.say("%s  %s  maker %s, model %s, serial number %s", v.Kind, dash(string(v.Identity)+v.Point), dash(v.Maker), dash(v.Model), dash(v.Serial))
	if v.Secret {
		a.say("  there is a secret in it, which is not shown")
	}
	for _, w := range v.Warnings {
		a.say("  warning: %s", w)
	}
	switch {
	case v.Registered != nil:
		a.say("  registered: %s, %s", v.Registered.Profile, v.Registered.State)
	case v.Discovered != nil:
		a.say("  discovered: %d frames, last %s", v.Discovered.Frames, clock(v.Discovered.Last))
	}
	for _, p := range v.Profiles {
		a.say("  may be %s: %s", p.Profile, p.Reason)
	}
}

// labelFlags are those of both kinds of labels.
func (a *app) labelFlags(cmd *cobra.Command, ask *api.LabelsAsk, out *string) {
	f := cmd.Flags()
	f.StringVarP(out, "output", "o", "labels.pdf", "`file` to write")
	f.StringVar(&ask.Layout, "layout", "a4-3x8", "a4-3x8 (24 labels of 70 by 37 mm) or roll-50x30")
	f.StringVar(&ask.Lang, "lang", "zh-CN", "the large language: zh-CN or en")
}

func (a *app) printLabels(cmd *cobra.Command, ask api.LabelsAsk, out string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	file, err := c.Labels(cmd.Context(), ask)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, file, 0o600); err != nil { // tokens are in it
		return err
	}
	n := len(ask.Points) + len(ask.Devices)
	return a.show(map[string]any{"file": out, "labels": n}, func() { a.say("%d labels are in %s", n, out) })
}

func (a *app) pointLabel() *cobra.Command {
	var ask api.LabelsAsk
	var out string
	cmd := &cobra.Command{
		Use: "label <point> …", Short: "Print plates of points, as PDF", Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			ask.Points = argv
			return a.printLabels(cmd, ask, out)
		},
	}
	a.labelFlags(cmd, &ask, &out)
	return cmd
}

func (a *app) deviceLabel() *cobra.Command {
	var ask api.LabelsAsk
	var out, revoke string
	var valid time.Duration
	cmd := &cobra.Command{
		Use: "label <identity> …", Short: "Print labels of devices, as PDF; one that is installed nowhere gets a token that claims it once", Args: args(cobra.MinimumNArgs(1)),
		Long: "Print labels of devices. A device that is registered and installed nowhere gets a token that claims it once; printing again ends the token before. Only the hash of a token is kept: the file is all there is of it.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if revoke != "" {
				return a.revokeLabels(cmd, argv, revoke)
			}
			for _, id := range argv {
				ask.Devices = append(ask.Devices, grid.Identity(id))
			}
			if valid > 0 {
				ask.Expires = time.Now().UTC().Add(valid)
			}
			return a.printLabels(cmd, ask, out)
		},
	}
	a.labelFlags(cmd, &ask, &out)
	f := cmd.Flags()
	f.BoolVar(&ask.NoTokens, "no-tokens", false, "labels without a token")
	f.StringVar(&ask.Contractor, "contractor", "", "only technicians of this `unit` may claim with them")
	f.DurationVar(&valid, "valid", 0, "how long the tokens hold (default 2160h)")
	f.StringVar(&revoke, "revoke", "", "print nothing, end the tokens of these devices for this `reason`")
	return cmd
}

func (a *app) revokeLabels(cmd *cobra.Command, devices []string, reason string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var all api.Revoked
	for _, id := range devices {
		r, err := c.RevokeLabels(cmd.Context(), grid.Identity(id), reason)
		if err != nil {
			return err
		}
		all.Revoked += r.Revoked
	}
	return a.show(all, func() { a.say("%d tokens are ended", all.Revoked) })
}

func (a *app) deviceDiscovered() *cobra.Command {
	var profile string
	var limit int
	cmd := &cobra.Command{
		Use: "discovered <identity>", Short: "Show a device that is heard and not registered: its last frames, each read by the best guess", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			s, err := c.Stranger(cmd.Context(), grid.Identity(argv[0]), profile, limit)
			if err != nil {
				return err
			}
			return a.show(s, func() { a.sayStranger(&s) })
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "", "read the frames by this `profile`")
	cmd.Flags().IntVar(&limit, "limit", 20, "at most `n` frames")
	return cmd
}

func (a *app) sayStranger(s *grid.Stranger) {
	a.say("%s  %d frames from %s to %s, by %s %s", s.Identity, s.Count, clock(s.First), clock(s.Last), dash(s.Transport), dash(s.Source))
	if s.Ignored != nil {
		a.say("  ignored by %s: %s", s.Ignored.By.Name, s.Ignored.Reason)
	}
	if g := s.Signal; g != nil {
		a.say("  signal %s dBm, %s dB; worst %s dBm, %s dB", figure(g.RSSIdBm), figure(g.SNRdB), figure(g.WorstRSSI), figure(g.WorstSNR))
	}
	for _, g := range s.Guesses {
		a.say("  may be %s (%d): %s", g.Profile, g.Score, g.Reason)
	}
	var rows [][]string
	for _, f := range s.Heard {
		said := f.Error
		for i, r := range f.Readings {
			if i > 0 {
				said += ", "
			}
			said += fmt.Sprintf("%s %v", r.Signal, r.Value)
		}
		rows = append(rows, []string{clock(f.At), fmt.Sprint(f.Port), figure(f.RSSIdBm), figure(f.SNRdB), shorten(f.Hex, 40), dash(f.Profile), said})
	}
	a.table("no frames are kept", []string{"AT", "PORT", "RSSI", "SNR", "HEX", "READ BY", "SAYS"}, rows)
}

func figure(v *float32) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}

func shorten(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func (a *app) deviceIgnore() *cobra.Command {
	var reason string
	var undo bool
	cmd := &cobra.Command{
		Use: "ignore <identity>", Short: "Set a stranger aside, with a reason; smoke among its frames is raised as ever", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate device ignore eui:24e124136d490175 --reason \"the neighbour's\"\n  gridgate device ignore eui:24e124136d490175 --undo",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if reason == "" && !undo {
				return usage(cmd, fmt.Errorf("--reason is missing: say what the device is, or whose"))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var d grid.Discovered
			if undo {
				d, err = c.Unignore(cmd.Context(), grid.Identity(argv[0]))
			} else {
				d, err = c.Ignore(cmd.Context(), grid.Identity(argv[0]), reason)
			}
			if err != nil {
				return err
			}
			return a.show(d, func() {
				if undo {
					a.say("%s is listed again", d.Identity)
					return
				}
				a.say("%s is ignored", d.Identity)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what it is, or whose")
	cmd.Flags().BoolVar(&undo, "undo", false, "list it among the others again")
	return cmd
}
