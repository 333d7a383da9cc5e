package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/registry"
)

// While a roll-out runs, both versions read each frame of the profile's devices. One of
// them counts: the version in force, or for devices of the share the candidate. The other
// is there to be compared, and never touches the frame, but in two cases that keep what a
// wrong candidate would lose:
//
//   - what the candidate cannot read and the version in force can, the latter reads;
//   - a fire that only the version in force sees is a fire, and ends the roll-out.

// Guard says when a share ends by itself: when the candidate fails on clearly more of its
// frames than the version in force does on the same ones.
type Guard struct {
	Frames  int     // are to be seen before it judges; 0: 20
	Percent float64 // of the frames may fail more; 0: 5
}

func (g Guard) complete() Guard {
	if g.Frames <= 0 {
		g.Frames = 20
	}
	if g.Percent <= 0 {
		g.Percent = 5
	}
	return g
}

// worse reports whether a candidate has to go.
func (g Guard) worse(c profile.GuardCount) bool {
	return c.Frames >= int64(g.Frames) && float64(c.NewErrors-c.OldErrors) > g.Percent/100*float64(c.Frames)
}

// trialCount is what a roll-out has shown since it began, or since the gateway started.
type trialCount struct {
	rollout string
	tally   *profile.Comparison
	guard   profile.GuardCount // of the share
}

// bothRead is what both versions make of a frame.
type bothRead struct {
	old, new profile.Result
	fire     bool // only the version in force sees a fire
}

// decodeBoth decodes by both versions and takes the result that counts.
func (d *decoded) decodeBoth() {
	c := &d.choice
	if !c.shared {
		// As ever, also in how it fails: the candidate is only there to be compared.
		d.profile = c.reads
		d.out, d.decodeErr = d.profile.Decode(d.frame)
		c.pace.run(func() {
			d.both = &bothRead{old: profile.Result{Out: d.out, Err: d.decodeErr}, new: c.beside.Try(d.frame)}
		})
		return
	}
	b := &bothRead{old: c.beside.Try(d.frame), new: c.reads.Try(d.frame)}
	b.fire = profile.LosesFire(b.old, b.new)
	d.both = b
	if b.fire || b.new.Err != nil && b.old.Err == nil {
		d.profile, d.out, d.decodeErr = c.beside, b.old.Out, nil
		return
	}
	d.profile, d.out, d.decodeErr = c.reads, b.new.Out, b.new.Err
}

// pace keeps what a candidate costs where it counts for nothing small: a slow one must
// not hold up a lane, in which other devices' frames come behind. Beyond a quarter of the
// time, frames are left out of the comparison.
type pace struct {
	next    atomic.Int64 // not before then, unix nanoseconds
	skipped atomic.Int64
}

const (
	paceShare = 4                      // one part in so many
	paceBurst = 500 * time.Millisecond // of rest is saved up
)

// run does f if it is time to.
func (p *pace) run(f func()) {
	began := time.Now()
	next := p.next.Load()
	if next > began.UnixNano() {
		p.skipped.Add(1)
		return
	}
	f()
	ended := time.Now()
	// Of two at a time one may be forgotten: that is no harm.
	p.next.Store(max(next, began.Add(-paceBurst).UnixNano()) + paceShare*int64(ended.Sub(began)))
}

// weigh counts what the versions made of a frame, and ends a roll-out that does harm.
func (b *batch) weigh(d *decoded) {
	e := b.e
	id, t := d.profile.ID, e.trials[d.profile.ID]
	if t == nil || t.rollout != d.choice.rollout {
		return
	}
	f, both := &d.frame, d.both
	b.after = append(b.after, func() { t.tally.Add(whereIs(f), both.old, both.new) })
	if !d.choice.shared {
		return
	}
	old := t.guard
	b.undo = append(b.undo, func() { t.guard = old })
	t.guard.Frames++
	if both.old.Err != nil {
		t.guard.OldErrors++
	}
	if both.new.Err != nil {
		t.guard.NewErrors++
	}
	switch running := e.profiles.now.Load().running[id]; {
	case running == nil:
	case both.fire:
		b.stopRollout(running, fmt.Sprintf("frame %s of %s: version %s says that there is a fire, version %s does not", f.Pos, f.Identity, running.step.Former, running.step.Version))
	case e.Guard.worse(t.guard):
		b.stopRollout(running, fmt.Sprintf("of %d frames of the share version %s cannot read %d, version %s %d",
			t.guard.Frames, running.step.Version, t.guard.NewErrors, running.step.Former, t.guard.OldErrors))
	}
}

func whereIs(f *grid.Frame) profile.Where {
	return profile.Where{Pos: f.Pos, Device: f.Identity, Received: f.Received}
}

// stopRollout takes a candidate back at once: from the next frame on the version in force
// reads all.
func (b *batch) stopRollout(t *trial, why string) {
	s := t.step
	s.Stage, s.Share, s.Devices, s.Forced, s.Recount, s.Detail = grid.RolloutBack, 0, nil, false, false, ""
	s.By, s.Reason = grid.Actor{Role: grid.RoleSystem, Name: "guard"}, why
	b.step(s)
	b.after = append(b.after, func() { b.e.log.Warn("roll-out is stopped by its guard", "profile", s.Profile, "err", why) })
}

// step makes a step of a roll-out: a row, a line of the audit, and what it says holds from
// the next frame on.
func (b *batch) step(s grid.RolloutStep) grid.RolloutStep {
	e, v := b.e, b.e.profiles
	old := v.steps[s.Profile]
	s.N, s.At, s.Cursors = len(old)+1, b.now, b.cursors
	set(b, v.steps, s.Profile, append(old[:len(old):len(old)], s))
	was := v.now.Load()
	v.now.Store(v.build(nil))
	b.undo = append(b.undo, func() { v.now.Store(was) })
	if s.Stage.Running() && (e.trials[s.Profile] == nil || e.trials[s.Profile].rollout != s.Rollout) {
		set(b, e.trials, s.Profile, e.newTrialCount(s))
	}
	if s.Recount {
		b.countAnew(s.Profile, allLanes)
	}
	b.rows.Rollouts = append(b.rows.Rollouts, s)
	b.audit("profile.rollout."+string(s.Stage), s.Profile+"@"+s.Version, s.By, nil)
	b.rows.Audit[len(b.rows.Audit)-1].Detail = s.Reason
	return s
}

func (e *Engine) newTrialCount(s grid.RolloutStep) *trialCount {
	t := &trialCount{rollout: s.Rollout, tally: profile.NewComparison(s.Profile, s.Former, s.Version)}
	if p, err := e.profiles.Get(s.Profile); err == nil {
		t.tally.Alarming = alarming(e.Rules, p.Kinds)
	}
	return t
}

const allLanes = grid.Lane(grid.Lanes)

// countAnew begins a new session of the counter of each device of a profile: what the
// versions count is not the same, and one window must never mix two counters.
func (b *batch) countAnew(id string, lane grid.Lane) {
	e := b.e
	for i := range e.soft.devs {
		no := registry.DeviceNo(i)
		row := e.memory.DeviceAt(no)
		if e.memory.Profile(row) == id && (lane == allLanes || row.Lane() == lane) {
			e.soft.touchDevice(no).flags |= newSession
		}
	}
}

// loadVersions reads what was uploaded and how far the roll-outs are.
func (e *Engine) loadVersions(ctx context.Context) error {
	rows, steps, err := e.store.Versions(ctx)
	if err != nil {
		return fmt.Errorf("load the versions of profiles: %w", err)
	}
	e.profiles.load(rows, steps)
	now := e.profiles.now.Load()
	for id, t := range now.running {
		e.trials[id] = e.newTrialCount(t.step)
	}
	for id, err := range now.problems {
		e.log.Error("version of a profile that was rolled out cannot be used, the one of the files is", "profile", id, "err", err)
	}
	return nil
}

// takeBack makes the versions what they were for the frame of a lane after from, and gives
// the steps that came then.
func (e *Engine) takeBack(lane grid.Lane, from grid.Pos) []grid.RolloutStep {
	steps := e.profiles.after(lane, from)
	if len(steps) > 0 {
		from.Lane = lane
		from.Seq++
		e.profiles.as(from)
	}
	return steps
}

// stepOn takes the steps that hold for a frame, and gives those that are left. A zero at
// takes all.
func (e *Engine) stepOn(lane grid.Lane, steps []grid.RolloutStep, at grid.Pos) []grid.RolloutStep {
	taken := false
	for len(steps) > 0 && (at.IsZero() || before(steps[0].Cursors[lane], at)) {
		if steps[0].Recount {
			b := e.begin(time.Time{})
			b.countAnew(steps[0].Profile, lane)
			e.soft.forget()
		}
		steps, taken = steps[1:], true
	}
	switch {
	case at.IsZero():
		e.profiles.now.Store(e.profiles.build(nil))
	case taken:
		e.profiles.as(at)
	}
	return steps
}
