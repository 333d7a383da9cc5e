package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/registry"
)

// Roll-outs: a new version of a profile goes from shadow over a share to all, and back at
// any time. One roll-out of a profile runs at a time.

const (
	keepDevices = 1000 // in the list of a share
	rolloutKey  = "rollout/"
)

// StartRollout uploads a candidate and takes the first step with it. A candidate that is
// not sound is refused, and so is one that loses an alarm on past frames, where it would
// decode for a device.
func (e *Engine) StartRollout(ctx context.Context, s profile.RolloutStart) (profile.Rollout, error) {
	s.Stage = cmp.Or(s.Stage, grid.RolloutShadow)
	if id, done, err := e.rolledAlready(ctx, s.Key); done || err != nil {
		return e.answered(ctx, id, err)
	}
	candidate, err := e.profiles.files().Candidate(s.Files)
	if err != nil {
		return profile.Rollout{}, err
	}
	step := grid.RolloutStep{
		Profile: candidate.ID, Version: candidate.Version, Stage: s.Stage, Share: s.Share, Devices: s.Devices, By: s.By, Reason: s.Reason,
	}
	former, _ := e.profiles.Get(candidate.ID)
	if err := e.checkStart(&step, candidate, former); err != nil {
		return profile.Rollout{}, err
	}
	if err := e.gate(ctx, &step, former, candidate, s.Last, s.Force); err != nil {
		return profile.Rollout{}, err
	}
	row := grid.ProfileVersion{Profile: candidate.ID, Version: candidate.Version, Files: s.Files, By: s.By, Reason: s.Reason}
	return e.takeStep(ctx, "rollout.start", s.Key, candidate.ID, func(b *batch) error { return b.startRollout(step, former, candidate, row) })
}

// SetRollout takes the next step of the roll-out that runs.
func (e *Engine) SetRollout(ctx context.Context, c profile.RolloutChange) (profile.Rollout, error) {
	if id, done, err := e.rolledAlready(ctx, c.Key); done || err != nil {
		return e.answered(ctx, id, err)
	}
	t, former, err := e.runningOf(c.Profile)
	if err != nil {
		return profile.Rollout{}, err
	}
	step := t.step
	step.Stage, step.Share, step.Devices, step.By, step.Reason, step.Detail, step.Forced = c.Stage, c.Share, c.Devices, c.By, c.Reason, "", false
	step.Recount = false
	if step.Stage == grid.RolloutBack {
		return profile.Rollout{}, grid.Errorf(grid.Invalid, "stage is back: want shadow, share or all")
	}
	if err := e.checkStage(&step, t.candidate, former); err != nil {
		return profile.Rollout{}, err
	}
	if err := e.gate(ctx, &step, former, t.candidate, c.Last, c.Force); err != nil {
		return profile.Rollout{}, err
	}
	return e.takeStep(ctx, "rollout.set", c.Key, step.Profile, func(b *batch) error {
		if now := e.profiles.now.Load().running[step.Profile]; now == nil || now.step.N != t.step.N {
			return grid.Errorf(grid.Conflict, "roll-out of %s has changed meanwhile: look at it, and say again what is to be", step.Profile)
		}
		if count := e.trials[step.Profile]; count != nil && step.Stage != grid.RolloutShadow && count.tally.LostAlarms() > 0 && !step.Forced {
			return lostAlarms(count.tally.Report())
		}
		b.step(step)
		return nil
	})
}

// BackRollout returns to the former version at once: from a share, or from all.
func (e *Engine) BackRollout(ctx context.Context, c profile.RolloutChange) (profile.Rollout, error) {
	if id, done, err := e.rolledAlready(ctx, c.Key); done || err != nil {
		return e.answered(ctx, id, err)
	}
	if c.Reason == "" {
		return profile.Rollout{}, grid.Errorf(grid.Invalid, "reason is empty: say why the version is taken back")
	}
	id := strings.ToLower(c.Profile)
	return e.takeStep(ctx, "rollout.back", c.Key, id, func(b *batch) error { return b.rollBack(id, c) })
}

func (b *batch) rollBack(id string, c profile.RolloutChange) error {
	e := b.e
	steps := e.profiles.steps[id]
	if len(steps) == 0 || steps[len(steps)-1].Stage == grid.RolloutBack {
		return grid.Errorf(grid.Conflict, "profile %s: no roll-out to take back", id)
	}
	s := steps[len(steps)-1]
	if !s.Kept {
		if _, err := e.profiles.files().Get(id); err != nil {
			if n := e.devicesOf(id); n > 0 {
				return grid.Errorf(grid.Conflict, "profile %s: %d devices have it and there is no other version of it: want them registered with another profile first", id, n)
			}
		}
	}
	s.Stage, s.Share, s.Devices, s.Forced, s.Detail, s.By, s.Reason = grid.RolloutBack, 0, nil, false, "", c.By, c.Reason
	if !lastAll(steps) {
		s.Recount = false // the former version was in force all the time
	}
	b.step(s)
	return nil
}

func lastAll(steps []grid.RolloutStep) bool { return steps[len(steps)-1].Stage == grid.RolloutAll }

// takeStep runs a command and answers how the profile's versions stand after it.
func (e *Engine) takeStep(ctx context.Context, name, key, id string, take func(*batch) error) (profile.Rollout, error) {
	if key != "" {
		key = rolloutKey + key
	}
	_, err := e.do(ctx, &command{name: name, key: key, do: func(b *batch) (any, error) { return id, take(b) }})
	if err != nil {
		return profile.Rollout{}, err
	}
	return e.Rollout(ctx, id)
}

// rolledAlready finds whether a step with that key was taken, and of which profile.
func (e *Engine) rolledAlready(ctx context.Context, key string) (id string, done bool, err error) {
	if key == "" {
		return "", false, nil
	}
	a, done, err := e.store.Applied(ctx, rolloutKey+key)
	if !done || err != nil {
		return "", false, err
	}
	id = strings.Trim(string(a.Result), `"`)
	return id, true, nil
}

func (e *Engine) answered(ctx context.Context, id string, err error) (profile.Rollout, error) {
	if err != nil {
		return profile.Rollout{}, err
	}
	return e.Rollout(ctx, id)
}

// checkStart says what of a start cannot be, and fills in what is in force now.
func (e *Engine) checkStart(s *grid.RolloutStep, candidate, former *profile.Profile) error {
	now := e.profiles.now.Load()
	if t := now.running[s.Profile]; t != nil {
		return grid.Errorf(grid.Conflict, "profile %s: the roll-out of version %s runs (%s): want it at all or back first", s.Profile, t.step.Version, t.step.Stage)
	}
	if own, err := e.profiles.files().Get(s.Profile); err == nil && own.Version == s.Version {
		return grid.Errorf(grid.Conflict, "profile %s: version %s is that of the gateway's files: want another version", s.Profile, s.Version)
	}
	if former == nil {
		if s.Stage != grid.RolloutAll {
			return grid.Errorf(grid.Invalid, "profile %s is new, no version is in force: want stage all", s.Profile)
		}
		return nil
	}
	if former.Version == s.Version {
		return grid.Errorf(grid.Conflict, "profile %s: version %s is in force: want another version", s.Profile, s.Version)
	}
	if onlySmoke(former) != onlySmoke(candidate) {
		return grid.Errorf(grid.Invalid, "profile %s: kinds are %v and were %v: its devices would change lanes; want another profile", s.Profile, candidate.Kinds, former.Kinds)
	}
	s.Former, s.Kept = former.Version, false
	if now.files[s.Profile] != nil {
		steps := now.steps[s.Profile]
		s.Former, s.Kept = rolledOut(steps[len(steps)-1]), true // by the name under which it is stored
	}
	return e.checkStage(s, candidate, former)
}

func onlySmoke(p *profile.Profile) bool { return len(p.Kinds) == 1 && p.Kinds[0] == grid.Smoke }

// checkStage says what of a step cannot be.
func (e *Engine) checkStage(s *grid.RolloutStep, candidate, former *profile.Profile) error {
	switch s.Stage {
	case grid.RolloutShadow, grid.RolloutAll:
		if s.Share != 0 || len(s.Devices) > 0 {
			return grid.Errorf(grid.Invalid, "stage is %s: want no share and no devices", s.Stage)
		}
	case grid.RolloutShare:
		if s.Share < 0 || s.Share > 99 || s.Share == 0 && len(s.Devices) == 0 {
			return grid.Errorf(grid.Invalid, "share is %d: want 1 to 99 percent, or a list of devices", s.Share)
		}
		if len(s.Devices) > keepDevices {
			return grid.Errorf(grid.Invalid, "%d devices: want at most %d; for more, a percentage", len(s.Devices), keepDevices)
		}
		if err := e.checkDevices(s); err != nil {
			return err
		}
		if former.Counter != candidate.Counter {
			return grid.Errorf(grid.Invalid, "the versions count frames differently (%s, %s): want shadow, and then all", former.Counter.Source, candidate.Counter.Source)
		}
	default:
		return grid.Errorf(grid.Invalid, "stage is %q: want shadow, share or all", s.Stage)
	}
	if s.Stage == grid.RolloutAll && former.Counter != candidate.Counter {
		s.Recount = true
	}
	return nil
}

// checkDevices writes the devices of a share as they are registered. One that is not of the
// profile would never be of the share, and nobody would see it.
func (e *Engine) checkDevices(s *grid.RolloutStep) error {
	s.Devices = slices.Clone(s.Devices)
	for i, d := range s.Devices {
		id := grid.Identity(strings.ToLower(strings.TrimSpace(string(d))))
		if of, known := e.memory.ProfileOf(id); !known || of != s.Profile {
			return grid.Errorf(grid.Invalid, "device %.100q is not registered with this profile: want devices of %s", d, s.Profile)
		}
		s.Devices[i] = id
	}
	return nil
}

// gate compares both versions on past frames before a candidate decodes for anyone, and
// refuses one that loses an alarm. Whoever takes an alarm away on purpose says so.
func (e *Engine) gate(ctx context.Context, s *grid.RolloutStep, former, candidate *profile.Profile, last int, force bool) error {
	if s.Stage == grid.RolloutShadow || former == nil {
		return nil
	}
	if force && s.Reason == "" {
		return grid.Errorf(grid.Invalid, "reason is empty: say why a lost alarm is none")
	}
	d, err := e.compare(ctx, former, candidate, profile.DiffRequest{Last: last})
	if err != nil {
		return err
	}
	s.Detail = fmt.Sprintf("%d frames compared: %d changed, %d new errors, %d mended, %d lost alarms", d.Frames, d.Changed, d.NewErrors, d.Mended, d.LostAlarms)
	if d.Cut != "" {
		s.Detail += "; " + d.Cut
	}
	if d.Recounts() {
		if s.Stage == grid.RolloutShare {
			return grid.Errorf(grid.Invalid, "the versions read the device's counter differently: want shadow, and then all")
		}
		s.Recount = true
	}
	if d.LostAlarms > 0 && !force {
		return lostAlarms(d)
	}
	s.Forced = force
	return nil
}

func lostAlarms(d profile.Diff) error {
	a := d.Alarms[0]
	return grid.Errorf(grid.Conflict, "%d alarms would be lost, first %s in frame %s of %s: version %s says %s, version %s %s; want a version that keeps them, or force with a reason",
		d.LostAlarms, a.Signal, a.Frame, a.Device, d.Old, a.Old, d.New, cmp.Or(a.New, "nothing"))
}

// startRollout checks again what may have changed since the comparison, and takes the step.
func (b *batch) startRollout(s grid.RolloutStep, former, candidate *profile.Profile, row grid.ProfileVersion) error {
	e, v := b.e, b.e.profiles
	if now, _ := v.Get(s.Profile); now != former {
		return grid.Errorf(grid.Conflict, "profile %s: another version came into force meanwhile: say again what is to be", s.Profile)
	}
	if err := e.checkStart(&s, candidate, former); err != nil {
		return err
	}
	tag := s.Profile + "@" + s.Version
	if old := v.uploads[tag]; old != nil && !maps.Equal(old.row.Files, row.Files) {
		return grid.Errorf(grid.Conflict, "profile %s: version %s was uploaded before with other files: want another version", s.Profile, s.Version)
	}
	row.At = b.now
	s.Rollout = b.id()
	set(b, v.uploads, tag, &upload{row: row, profile: candidate})
	b.rows.Versions = append(b.rows.Versions, row)
	b.step(s)
	return nil
}

// runningOf finds the roll-out of a profile that runs, and the version in force.
func (e *Engine) runningOf(id string) (*trial, *profile.Profile, error) {
	now := e.profiles.now.Load()
	t := now.running[strings.ToLower(id)]
	if t == nil {
		return nil, nil, grid.Errorf(grid.NotFound, "profile %s: no roll-out runs", id)
	}
	former, err := now.profiles.Get(id)
	return t, former, err
}

// devicesOf counts the devices registered with a profile.
func (e *Engine) devicesOf(id string) (n int) {
	for i := range e.soft.devs {
		if e.memory.Profile(e.memory.DeviceAt(registry.DeviceNo(i))) == id {
			n++
		}
	}
	return n
}

// Rollouts tells how the versions of each profile stand that was ever rolled out.
func (e *Engine) Rollouts(ctx context.Context) ([]profile.Rollout, error) {
	out := []profile.Rollout{}
	for _, id := range slices.Sorted(maps.Keys(e.profiles.now.Load().steps)) {
		r, err := e.Rollout(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Rollout tells how the versions of a profile stand.
func (e *Engine) Rollout(ctx context.Context, id string) (profile.Rollout, error) {
	id = strings.ToLower(id)
	r := e.profiles.standing(id)
	if r.InForce == "" && len(r.Steps) == 0 {
		_, err := e.profiles.Get(id)
		return r, err
	}
	_, err := e.do(ctx, &command{name: "rollout", do: func(*batch) (any, error) {
		if t := e.trials[id]; t != nil {
			live, guard := t.tally.Report(), t.guard
			if running := e.profiles.now.Load().running[id]; running != nil {
				if n := running.pace.skipped.Load(); n > 0 {
					live.Cut = fmt.Sprintf("%d frames are left out: the version is slow, or many frames come", n)
				}
			}
			r.Live, r.Guard = &live, &guard
		}
		return nil, nil
	}})
	if err != nil {
		return r, err
	}
	waiting, err := e.store.WaitingOf(ctx, id)
	r.Waiting = int64(len(waiting))
	return r, err
}

// standing is what anyone may see of a profile's versions at any time.
func (v *versions) standing(id string) profile.Rollout {
	now := v.now.Load()
	r := profile.Rollout{Profile: id, Steps: slices.Clone(now.steps[id])}
	if p, err := v.files().Get(id); err == nil {
		r.InFiles = p.Version
	}
	if p, err := now.profiles.Get(id); err == nil {
		r.InForce, r.Origin = p.Version, profile.FromFiles
	}
	if len(r.Steps) == 0 {
		return r
	}
	for _, p := range v.files().List() {
		if p.Extends == id {
			r.Extended = append(r.Extended, p.ID)
		}
	}
	last := r.Steps[len(r.Steps)-1]
	r.Stage, r.Version, r.Share, r.Devices, r.Running = last.Stage, last.Version, last.Share, last.Devices, now.running[id] != nil
	if now.files[id] != nil {
		r.Origin = profile.RolledOut
	}
	if err := now.problems[id]; err != nil {
		r.Problem = err.Error()
		return r
	}
	if version := rolledOut(last); version != "" {
		if version == r.InFiles && !v.isOfFiles(id, now.files[id]) {
			r.Problem = fmt.Sprintf("the files have a version %s too, which is another one than that rolled out and in force", version)
		}
	}
	return r
}

// isOfFiles reports whether the files of the gateway have exactly this text.
func (v *versions) isOfFiles(id string, text map[string]string) bool {
	own, err := v.files().Files(id)
	return err == nil && maps.Equal(own, text)
}

// Profile gives the version of a profile that is in force, the files that it is made of,
// and the candidate if a roll-out runs.
func (e *Engine) Profile(id string) (p *profile.Profile, files map[string]string, candidate *profile.Profile, err error) {
	now := e.profiles.now.Load()
	if p, err = now.profiles.Get(id); err != nil {
		return nil, nil, nil, err
	}
	if t := now.running[p.ID]; t != nil {
		candidate = t.candidate
	}
	if e.profiles.standing(p.ID).Origin == profile.RolledOut {
		files = now.files[p.ID]
	} else {
		files, err = e.profiles.files().Files(p.ID)
	}
	return p, files, candidate, err
}

// Standing lists the profiles in force, each with how its versions stand.
func (e *Engine) Standing() ([]*profile.Profile, []profile.Rollout) {
	list := e.profiles.now.Load().profiles.List()
	out := make([]profile.Rollout, len(list))
	for i, p := range list {
		out[i] = e.profiles.standing(p.ID)
	}
	return list, out
}

// LintFiles checks a candidate as a roll-out would, and changes nothing.
func (e *Engine) LintFiles(files map[string]string) (id string, wrong []error) {
	return e.profiles.files().LintFiles(files)
}

// ReplayOf processes again what waits in quarantine of a profile's devices, oldest first,
// and says how many got through and how many wait still.
func (e *Engine) ReplayOf(ctx context.Context, id string, by grid.Actor) (through, still int, err error) {
	if _, err := e.profiles.Get(id); err != nil {
		return 0, 0, err
	}
	held, err := e.store.WaitingOf(ctx, strings.ToLower(id))
	if err != nil {
		return 0, 0, err
	}
	ids, last := make([]string, len(held)), map[grid.Identity]string{}
	for i, h := range held {
		ids[i], last[h.Identity] = h.ID, h.ID
	}
	r := newReplay(last, by)
	for len(ids) > 0 {
		n := min(len(ids), 4*replayChunk)
		frames, err := e.waiting(ctx, ids[:n])
		if err != nil {
			return through, still, errors.Join(err, e.replayEnds(ctx, r))
		}
		got, err := e.replayAll(ctx, frames, r)
		through += got
		still += n - got
		if err != nil {
			return through, still, err
		}
		ids = ids[n:]
	}
	return through, still, e.replayEnds(ctx, r)
}
