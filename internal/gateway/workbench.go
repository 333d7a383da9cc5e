package gateway

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/alarm"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/profile"
	"gridgate/internal/state"
)

// DiffFiles compares a candidate with the version of its profile that is in force on the
// frames that a gateway has left in its data folder. It changes nothing.
func (c *Config) DiffFiles(ctx context.Context, r profile.DiffRequest, seen func(profile.DiffProgress)) (profile.Diff, error) {
	store, err := c.openState(ctx)
	if err != nil {
		return profile.Diff{}, err
	}
	defer store.Close()
	frames, err := journal.OpenReadOnly(c.JournalDir(), nil)
	if err != nil {
		return profile.Diff{}, err
	}
	defer frames.Close()
	profiles, err := c.profiles()
	if err != nil {
		return profile.Diff{}, err
	}
	defer profiles.Close()
	name, file, err := fileOr(c.Rules, "rules.yaml")
	if err != nil {
		return profile.Diff{}, err
	}
	calendars, err := readCalendars(c.Calendars)
	if err != nil {
		return profile.Diff{}, err
	}
	rules, err := alarm.Parse(name, file, calendars)
	if err != nil {
		return profile.Diff{}, err
	}
	return engine.DiffFiles(ctx, engine.Files{Frames: stopped{frames}, Store: store, Profiles: profiles, Rules: rules}, r, seen)
}

// Standing tells which versions of profiles are rolled out, from the data folder of a
// gateway that runs or not. Without one, none is.
func (c *Config) Standing(ctx context.Context) ([]profile.Rollout, error) {
	if _, err := os.Stat(c.StatePath()); err != nil {
		return nil, nil
	}
	store, err := c.openState(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	profiles, err := c.profiles()
	if err != nil {
		return nil, err
	}
	defer profiles.Close()
	return engine.StandingIn(ctx, store, profiles)
}

func (c *Config) openState(ctx context.Context) (*state.Store, error) {
	if _, err := os.Stat(c.StatePath()); err != nil {
		return nil, grid.Errorf(grid.NotFound, "no state in %s: %w", c.DataDir, err)
	}
	store, err := state.OpenReadOnly(ctx, c.StatePath(), nil)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", c.DataDir, err)
	}
	return store, nil
}

// profiles are those that are built in and of the configured folders.
func (c *Config) profiles() (*profile.Set, error) {
	dirs := []fs.FS{firmwareprofiles.FS}
	for _, d := range c.Profiles {
		dirs = append(dirs, os.DirFS(d))
	}
	return profile.Load(dirs...)
}

// stopped is a journal to which nothing is added.
type stopped struct{ *journal.ReadOnly }

func (s stopped) Next(ctx context.Context, lane grid.Lane, after uint64, limit int) ([]grid.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Read(lane, after, limit)
}
