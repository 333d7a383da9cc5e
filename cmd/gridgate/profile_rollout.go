package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func (a *app) profileRollout() *cobra.Command {
	return group("rollout", "Roll a new version of a profile out: in shadow, to a share, to all, and back",
		a.rolloutStart(), a.rolloutSet(), a.rolloutBack(), a.rolloutStatus())
}

// rolloutFlags are what start and set share.
type rolloutFlags struct {
	shadow, all, force, replay bool
	share, last                int
	devices                    []string
	reason                     string
}

func (r *rolloutFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&r.shadow, "shadow", false, "it decodes beside the version in force, and nothing of it counts")
	f.IntVar(&r.share, "share", 0, "it decodes for this `percent` of the profile's devices")
	f.StringSliceVar(&r.devices, "devices", nil, "it decodes for these `identities`, with commas between")
	f.BoolVar(&r.all, "all", false, "it is the version in force")
	f.IntVar(&r.last, "last", 0, "compare at most `n` past frames before a share or all (default 10000)")
	f.BoolVar(&r.force, "force", false, "in spite of lost alarms; wants --reason")
	f.StringVar(&r.reason, "reason", "", "why, for the history")
	f.BoolVar(&r.replay, "replay", false, "with --all: process what waits in quarantine of the profile's devices")
}

func (r *rolloutFlags) wish() (api.RolloutWish, error) {
	w := api.RolloutWish{Share: r.share, Last: r.last, Force: r.force, Reason: r.reason}
	for _, d := range r.devices {
		w.Devices = append(w.Devices, grid.Identity(strings.TrimSpace(d)))
	}
	shared := r.share != 0 || len(r.devices) > 0
	switch {
	case r.shadow && !shared && !r.all:
		w.Stage = grid.RolloutShadow
	case r.all && !shared && !r.shadow:
		w.Stage = grid.RolloutAll
	case shared && !r.all && !r.shadow:
		w.Stage = grid.RolloutShare
	case r.shadow || r.all || shared:
		return w, errors.New("want one of --shadow, --share or --devices, and --all")
	}
	if r.force && r.reason == "" {
		return w, errors.New("--force without --reason: say why a lost alarm is none")
	}
	if r.replay && !r.all {
		return w, errors.New("--replay without --all: the frames would be read as before")
	}
	return w, nil
}

func (a *app) rolloutStart() *cobra.Command {
	var flags rolloutFlags
	cmd := &cobra.Command{
		Use: "start <folder>", Short: "Upload the version in a folder and begin to roll it out (default: --shadow)", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate profile rollout start ./acme/door7\n  gridgate profile rollout start ./acme/door7 --share 10 --reason \"new firmware\"",
		RunE: func(cmd *cobra.Command, argv []string) error {
			w, err := flags.wish()
			if err != nil {
				return usage(cmd, err)
			}
			files, id, err := candidateIn(argv[0])
			if err != nil {
				return err
			}
			w.Files = files
			return a.step(cmd, id, flags.replay, func(ctx context.Context, c *api.Client) (profile.Rollout, error) {
				return c.StartRollout(ctx, id, w, "")
			})
		},
	}
	flags.add(cmd)
	return cmd
}

func (a *app) rolloutSet() *cobra.Command {
	var flags rolloutFlags
	cmd := &cobra.Command{
		Use: "set <vendor/model>", Short: "Take the roll-out that runs to a share, to all, or back to shadow", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate profile rollout set acme/door7 --share 50\n  gridgate profile rollout set acme/door7 --all",
		RunE: func(cmd *cobra.Command, argv []string) error {
			w, err := flags.wish()
			if err == nil && w.Stage == "" {
				err = errors.New("want one of --shadow, --share or --devices, and --all")
			}
			if err != nil {
				return usage(cmd, err)
			}
			return a.step(cmd, argv[0], flags.replay, func(ctx context.Context, c *api.Client) (profile.Rollout, error) {
				return c.SetRollout(ctx, argv[0], w, "")
			})
		},
	}
	flags.add(cmd)
	return cmd
}

func (a *app) rolloutBack() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "back <vendor/model>", Short: "Return to the former version at once", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if reason == "" {
				return usage(cmd, errors.New("--reason is missing: say why, for the history"))
			}
			return a.step(cmd, argv[0], false, func(ctx context.Context, c *api.Client) (profile.Rollout, error) {
				return c.BackRollout(ctx, argv[0], reason, "")
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the history")
	return cmd
}

// step takes a step and says how the versions stand after it.
func (a *app) step(cmd *cobra.Command, id string, replay bool, take func(context.Context, *api.Client) (profile.Rollout, error)) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	r, err := take(cmd.Context(), c)
	if err != nil {
		return err
	}
	if err := a.show(r, func() { a.sayRollout(&r) }); err != nil {
		return err
	}
	if r.Waiting == 0 || r.Stage != grid.RolloutAll {
		return nil
	}
	if !replay {
		fmt.Fprintf(a.errOut, "%d frames of these devices wait in quarantine: gridgate replay --profile %s\n", r.Waiting, id)
		return nil
	}
	done, err := a.replayAll(cmd, c, api.Query{Profile: id, State: "waiting", Limit: 1000})
	if err == nil {
		fmt.Fprintf(a.errOut, "%d frames replayed, %d wait still\n", done.Replayed, done.Still)
	}
	return err
}

func (a *app) rolloutStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status [<vendor/model>]", Short: "Show how the versions of a profile stand, or of each that was ever rolled out", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if len(argv) == 1 {
				r, err := c.Rollout(cmd.Context(), argv[0])
				if err != nil {
					return err
				}
				return a.show(r, func() { a.sayRollout(&r) })
			}
			page, err := c.Rollouts(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, r := range page.Items {
					last := r.Steps[len(r.Steps)-1]
					rows = append(rows, []string{r.Profile, dash(r.InForce), dash(r.InFiles), r.Version, stageText(r.Stage, r.Share), clock(last.At), last.By.Name, last.Reason})
				}
				a.table("no version was ever rolled out", []string{"PROFILE", "IN FORCE", "FILES", "ROLLED OUT", "STAGE", "SINCE", "BY", "REASON"}, rows)
			})
		},
	}
}

// sayRollout prints how the versions of a profile stand.
func (a *app) sayRollout(r *profile.Rollout) {
	origin := "of the gateway's files"
	if r.Origin == profile.RolledOut {
		origin = "rolled out; the files have " + first(r.InFiles, "none")
	}
	a.say("%s: version %s is in force, %s", r.Profile, first(r.InForce, "none"), origin)
	if r.Running {
		a.say("version %s is being rolled out: %s", r.Version, stageText(r.Stage, r.Share))
		if len(r.Devices) > 0 {
			a.say("  and to %s", strings.Trim(fmt.Sprint(r.Devices), "[]"))
		}
	}
	if r.Problem != "" {
		a.say("PROBLEM: %s", r.Problem)
	}
	if len(r.Extended) > 0 {
		a.say("not changed by it: %s, which take what they extend from the gateway's files", strings.Join(r.Extended, ", "))
	}
	if g := r.Guard; g != nil && g.Frames > 0 {
		a.say("share: %d frames, of which version %s could not read %d and the other %d", g.Frames, r.Version, g.NewErrors, g.OldErrors)
	}
	if r.Live != nil && r.Live.Frames > 0 {
		a.say("")
		a.sayDiff(r.Live)
	}
	var rows [][]string
	for _, s := range r.Steps {
		forced := ""
		if s.Forced {
			forced = "forced: "
		}
		rows = append(rows, []string{clock(s.At), s.Version, stageText(s.Stage, s.Share), s.By.Name, forced + s.Reason, s.Detail})
	}
	a.say("")
	a.table("never rolled out", []string{"AT", "VERSION", "STAGE", "BY", "REASON", "BEFORE"}, rows)
}
