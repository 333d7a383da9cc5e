package engine

import (
	"maps"
	"slices"
	"sync/atomic"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// versions says which version of a profile reads a frame. The gateway's files give one of
// each; a version that was rolled out takes its place until it is rolled back, whatever
// the files say. It holds for a frame by the frame's place in the journal: a step of a
// roll-out is committed with the cursors at which it was taken, and reads what comes after.
//
// The state goroutine alone changes it. What it is now may be asked by anyone.
type versions struct {
	from    atomic.Pointer[Profiles]      // the gateway's files
	steps   map[string][]grid.RolloutStep // by profile, oldest first
	uploads map[string]*upload            // by "<id>@<version>"
	now     atomic.Pointer[inForce]
}

// upload is an uploaded version, and what became of it when it was compiled.
type upload struct {
	row     grid.ProfileVersion
	profile *profile.Profile
	err     error
}

// inForce is what holds at one moment. It does not change.
type inForce struct {
	profiles Profiles // read what is outside of a share
	running  map[string]*trial
	steps    map[string][]grid.RolloutStep
	files    map[string]map[string]string // by profile: of the version that was rolled out to all
	problems map[string]error             // by profile: why a version that was rolled out cannot be used
}

// trial is a roll-out in which both versions decode.
type trial struct {
	step      grid.RolloutStep
	candidate *profile.Profile
	listed    map[grid.Identity]bool
	pace      *pace
}

func newVersions(files Profiles) *versions {
	v := &versions{steps: map[string][]grid.RolloutStep{}, uploads: map[string]*upload{}}
	v.from.Store(&files)
	v.now.Store(&inForce{profiles: files})
	return v
}

// load takes what is stored. A version that does not compile any more is a problem to be
// told of, not to stop for: the files' version reads instead.
func (v *versions) load(rows []grid.ProfileVersion, steps []grid.RolloutStep) {
	for _, row := range rows {
		u := &upload{row: row}
		v.uploads[row.Profile+"@"+row.Version] = u
	}
	for _, s := range steps {
		v.steps[s.Profile] = append(v.steps[s.Profile], s)
		for _, version := range []string{s.Version, s.Former} {
			if u := v.uploads[s.Profile+"@"+version]; u != nil && u.profile == nil && u.err == nil {
				u.profile, u.err = v.files().Compile(u.row.Files)
			}
		}
	}
	v.now.Store(v.build(nil))
}

// build makes what holds by the steps that holds lets through; nil: all.
func (v *versions) build(holds func(grid.RolloutStep) bool) *inForce {
	f := &inForce{profiles: v.files(), running: map[string]*trial{}, steps: maps.Clone(v.steps), files: map[string]map[string]string{}, problems: map[string]error{}}
	var instead []*profile.Profile
	for id, steps := range v.steps {
		n := len(steps)
		for n > 0 && holds != nil && !holds(steps[n-1]) {
			n--
		}
		if n == 0 {
			continue
		}
		last := steps[n-1]
		if version := rolledOut(last); version != "" {
			if u := v.uploads[id+"@"+version]; u != nil && u.profile != nil {
				instead = append(instead, u.profile)
				f.files[id] = u.row.Files
			} else if u != nil {
				f.problems[id] = u.err
			}
		}
		if u := v.uploads[id+"@"+last.Version]; last.Stage.Running() && u != nil {
			if u.profile == nil {
				f.problems[id] = u.err
				continue
			}
			f.running[id] = newTrial(last, u.profile)
			if was := v.now.Load().running[id]; was != nil && was.step.Rollout == last.Rollout {
				f.running[id].pace = was.pace // also so that no frame of it is decoded anew
			}
		}
	}
	if len(instead) > 0 {
		f.profiles = v.files().With(instead...)
	}
	return f
}

// rolledOut is the version that reads all devices outside of a share after a step; "" is
// the files'.
func rolledOut(s grid.RolloutStep) string {
	switch {
	case s.Stage == grid.RolloutAll:
		return s.Version
	case s.Kept:
		return s.Former
	}
	return ""
}

func newTrial(s grid.RolloutStep, candidate *profile.Profile) *trial {
	t := &trial{step: s, candidate: candidate, listed: make(map[grid.Identity]bool, len(s.Devices)), pace: &pace{}}
	for _, d := range s.Devices {
		t.listed[d] = true
	}
	return t
}

// has reports whether the candidate reads for a device: by the list, or by a hash of the
// device and the roll-out, so that a share that grows keeps its devices and another
// roll-out has others.
func (t *trial) has(id grid.Identity) bool {
	if t.step.Stage != grid.RolloutShare {
		return false
	}
	return t.listed[id] || sharePlace(t.step.Rollout, id) < uint32(t.step.Share)*100
}

// sharePlace puts a device at one of 10,000 places. It is stored nowhere and must not
// change: after a restart a share has the same devices.
func sharePlace(rollout string, id grid.Identity) uint32 {
	h := uint64(14695981039346656037)
	for _, s := range []string{rollout, "/", string(id)} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	// FNV alone spreads identities that differ in the last digit badly.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return uint32(h % 10_000)
}

// choice is which versions read a frame.
type choice struct {
	reads   *profile.Profile // nil: there is none of that id
	beside  *profile.Profile // reads it too, to be compared; nil: no roll-out runs
	rollout string           // the id of the one that runs
	pace    *pace            // of its comparisons
	shared  bool             // the device is of the share: the candidate reads
}

// choose says which versions read a frame of a device with that profile.
func (f *inForce) choose(id string, device grid.Identity) choice {
	p, err := f.profiles.Get(id)
	if err != nil {
		return choice{} // the state goroutine says that there is no such profile
	}
	c := choice{reads: p}
	if t := f.running[p.ID]; t != nil {
		c.rollout, c.pace, c.shared, c.beside = t.step.Rollout, t.pace, t.has(device), t.candidate
		if c.shared {
			c.reads, c.beside = t.candidate, p
		}
	}
	return c
}

func (v *versions) files() Profiles { return *v.from.Load() }

// Get and Guess make it the profiles in force.
func (v *versions) Get(id string) (*profile.Profile, error) { return v.now.Load().profiles.Get(id) }
func (v *versions) Guess(f grid.Frame) []profile.Guess      { return v.now.Load().profiles.Guess(f) }

// as makes it what it was for a frame of a lane, for a replay at the start.
func (v *versions) as(at grid.Pos) {
	v.now.Store(v.build(func(s grid.RolloutStep) bool { return before(s.Cursors[at.Lane], at) }))
}

// after gives the steps that hold for some frame of a lane after a sequence and not for
// all of them, in their order.
func (v *versions) after(lane grid.Lane, from grid.Pos) []grid.RolloutStep {
	var out []grid.RolloutStep
	for _, steps := range v.steps {
		for _, s := range steps {
			if !before(s.Cursors[lane], from) {
				out = append(out, s)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b grid.RolloutStep) int {
		switch {
		case before(a.Cursors[lane], b.Cursors[lane]):
			return -1
		case before(b.Cursors[lane], a.Cursors[lane]):
			return 1
		}
		return 0
	})
	return out
}

// before reports whether a position lies before another of its lane.
func before(a, b grid.Pos) bool {
	return a.Epoch < b.Epoch || a.Epoch == b.Epoch && a.Seq < b.Seq
}

// GuessIdentity is the guess by the profiles in force. Safe for concurrent use.
func (e *Engine) GuessIdentity(id grid.Identity) (profile string, smoke bool) {
	return e.profiles.now.Load().profiles.GuessIdentity(id)
}
