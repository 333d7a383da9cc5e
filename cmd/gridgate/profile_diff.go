package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func (a *app) profileDiff() *cobra.Command {
	var last int
	var within time.Duration
	var data string
	cmd := &cobra.Command{
		Use: "diff <folder>", Short: "Show what a new version of a profile changes on the last real frames of its devices", Args: args(cobra.ExactArgs(1)),
		Long: "Replay the last frames of the devices of a model through the version in force and through\n" +
			"the one in <folder> (profile.yaml, cases.yaml, codec.js), and show field by field what\n" +
			"would change. The gateway works on meanwhile. The exit code is 1 where an alarm is lost.",
		Example: "  gridgate profile diff ./acme/door7\n  gridgate profile diff ./acme/door7 --last 200000 --within 5m\n" +
			"  gridgate profile diff ./acme/door7 --data /var/lib/gridgate   # of a gateway that does not run",
		RunE: func(cmd *cobra.Command, argv []string) error {
			files, id, err := candidateIn(argv[0])
			if err != nil {
				return err
			}
			if last < 0 || last > profile.MaxLast {
				return usage(cmd, fmt.Errorf("--last is %d: want 1 to %d", last, profile.MaxLast))
			}
			d, err := a.diff(cmd, id, files, last, within, data)
			if err != nil {
				return err
			}
			if err := a.show(d, func() { a.sayDiff(&d) }); err != nil {
				return err
			}
			if d.LostAlarms > 0 {
				return errSaid
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&last, "last", profile.DefaultLast, "at most `n` frames, the newest")
	f.DurationVar(&within, "within", 30*time.Second, "end by then with what there is, at most 10m")
	f.StringVar(&data, "data", "", "read the data `folder` of a gateway that does not run")
	return cmd
}

// candidateIn reads the files of a profile folder.
func candidateIn(dir string) (files map[string]string, id string, err error) {
	if files, err = profile.ReadFolder(os.DirFS(dir)); err != nil {
		return nil, "", err
	}
	if id, err = profile.IDOf(files); err != nil {
		err = fmt.Errorf("%s: %w", dir, err)
	}
	return files, id, err
}

func (a *app) diff(cmd *cobra.Command, id string, files map[string]string, last int, within time.Duration, data string) (profile.Diff, error) {
	if data != "" {
		cfg, err := a.loadConfig()
		if err != nil {
			return profile.Diff{}, err
		}
		cfg.DataDir = data
		return cfg.DiffFiles(cmd.Context(), profile.DiffRequest{Files: files, Last: last, Within: within}, a.progress())
	}
	c, err := a.client()
	if err != nil {
		return profile.Diff{}, err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		a.followDiff(ctx, c, id)
	}()
	d, err := c.DiffProfile(cmd.Context(), id, api.DiffWish{Files: files, Last: last, Within: max(int(within/time.Second), 1)})
	stop()
	<-followed
	return d, err
}

// followDiff tells now and then how far the gateway is.
func (a *app) followDiff(ctx context.Context, c *api.Client, id string) {
	tell := a.progress()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
		if p, err := c.DiffProgress(ctx, id); err == nil && p.Running {
			tell(p)
		}
	}
}

func (a *app) progress() func(profile.DiffProgress) {
	var said time.Time
	return func(p profile.DiffProgress) {
		if time.Since(said) < time.Second {
			return
		}
		said = time.Now()
		fmt.Fprintf(a.errOut, "%d of %d frames compared, %d looked at\n", p.Frames, p.Of, p.Looked)
	}
}

// sayDiff prints a comparison: what matters first.
func (a *app) sayDiff(d *profile.Diff) {
	a.say("%s: version %s against %s on %d frames: %d same, %d changed, %d new errors, %d mended, %d neither reads",
		d.Profile, d.New, dash(d.Old), d.Frames, d.Same, d.Changed, d.NewErrors, d.Mended, d.BothFail)
	if d.Old == d.New {
		a.say("version %s is in force already: raise the version before it is rolled out", d.New)
	}
	if d.MoreWarnings+d.LessWarnings > 0 {
		a.say("warnings: more in %d frames, less in %d", d.MoreWarnings, d.LessWarnings)
	}
	if d.Cut != "" {
		a.say("not all frames were compared: %s", d.Cut)
	}
	if d.LostAlarms > 0 {
		a.say("\nLOST ALARMS: %d. Only with --force and a reason does this version read for a device.", d.LostAlarms)
		for _, l := range d.Alarms {
			a.sayExample(named(l.Signal, l.Channel), l.Example)
		}
	}
	var rows [][]string
	for _, f := range d.Fields {
		if f.Differs() {
			rows = append(rows, []string{named(f.Field, f.Channel), fmt.Sprint(f.Same), fmt.Sprint(f.Changed), fmt.Sprint(f.Appeared), fmt.Sprint(f.Lost)})
		}
	}
	a.say("")
	a.table("every field is the same", []string{"FIELD", "SAME", "CHANGED", "APPEARED", "LOST"}, rows)
	for _, f := range d.Fields {
		for _, e := range f.Examples {
			a.sayExample(named(f.Field, f.Channel), e)
		}
	}
	for _, e := range d.Errors {
		a.sayExample("new error", e)
	}
	for _, e := range d.Mends {
		a.sayExample("mended", e)
	}
	if q := d.Quarantine; q != nil && q.Frames > 0 {
		a.say("in quarantine: %d frames of these devices, %d of them would be read", q.Frames, q.Mended)
	}
}

func named(field, channel string) string {
	if channel == "" {
		return field
	}
	return field + "@" + channel
}

func (a *app) sayExample(what string, e profile.Example) {
	a.say("  %s  %s of %s: %s → %s", what, e.Frame, e.Device, first(e.Old, "nothing"), first(e.New, "nothing"))
}

// sayRolledOut tells which profiles are in force in another version than that of the files.
func (a *app) sayRolledOut(ctx context.Context) {
	cfg, err := a.loadConfig()
	if err != nil {
		return // it was said before
	}
	list, err := cfg.Standing(ctx)
	if err != nil {
		fmt.Fprintln(a.errOut, "gridgate: which versions are rolled out is not known:", err)
		return
	}
	for _, r := range list {
		switch {
		case r.Running:
			a.say("%s: version %s is being rolled out (%s); in force is %s", r.Profile, r.Version, stageText(r.Stage, r.Share), r.InForce)
		case r.Origin == profile.RolledOut:
			a.say("%s: version %s is in force, rolled out in the place of %s of the files, until it is rolled back", r.Profile, r.InForce, first(r.InFiles, "none"))
		}
	}
}

func stageText(s grid.RolloutStage, share int) string {
	if s == grid.RolloutShare && share > 0 {
		return fmt.Sprintf("share of %d %%", share)
	}
	return string(s)
}
