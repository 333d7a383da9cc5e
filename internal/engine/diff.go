package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/state"
)

// A comparison runs two versions of a profile over the frames that its devices have sent.
// It reads the journal and the quarantine, changes nothing, and is none of the state
// goroutine's: it works for whoever asks, at half speed.

const (
	fewDevices    = 32 // up to so many are looked up one by one; more are looked for in the newest frames
	pastBlock     = 4096
	pastWithin    = 30 * time.Second
	maxPastWithin = 10 * time.Minute
	maxHeld       = 10_000 // frames of the quarantine that are looked at
)

// comparing is the one comparison that may run at a time.
type comparing struct {
	mu             sync.Mutex
	profile        atomic.Pointer[string] // nil: none runs
	done, of, seen atomic.Int64
}

// DiffProgress tells how far the comparison is that runs.
func (e *Engine) DiffProgress() profile.DiffProgress {
	c := &e.comparing
	p := profile.DiffProgress{Frames: c.done.Load(), Of: c.of.Load(), Looked: c.seen.Load()}
	if id := c.profile.Load(); id != nil {
		p.Running, p.Profile = true, *id
	}
	return p
}

// DiffProfile compares a candidate with the version in force on past frames.
func (e *Engine) DiffProfile(ctx context.Context, r profile.DiffRequest) (profile.Diff, error) {
	var candidate *profile.Profile
	if len(r.Files) == 0 {
		t, _, err := e.runningOf(r.Profile)
		if err != nil {
			return profile.Diff{}, err
		}
		candidate = t.candidate
	} else {
		var err error
		if candidate, err = e.profiles.files().Candidate(r.Files); err != nil {
			return profile.Diff{}, err
		}
		if r.Profile != "" && candidate.ID != strings.ToLower(r.Profile) {
			return profile.Diff{}, grid.Errorf(grid.Invalid, "the files are of profile %s: want %s", candidate.ID, r.Profile)
		}
	}
	former, err := e.profiles.Get(candidate.ID)
	if err != nil {
		return profile.Diff{}, grid.Errorf(grid.NotFound, "profile %s is new: there is no version to compare it with", candidate.ID)
	}
	return e.compare(ctx, former, candidate, r)
}

// compare runs a comparison, if none runs.
func (e *Engine) compare(ctx context.Context, former, candidate *profile.Profile, r profile.DiffRequest) (profile.Diff, error) {
	c := &e.comparing
	if !c.mu.TryLock() {
		return profile.Diff{}, grid.Errorf(grid.Conflict, "a comparison of another version runs: want it ended first")
	}
	defer c.mu.Unlock()
	c.profile.Store(&former.ID)
	defer c.profile.Store(nil)
	c.done.Store(0)
	c.seen.Store(0)
	p := past{
		frames: e.journal, store: e.store, id: former.ID, pause: true,
		is: func(id grid.Identity) bool {
			of, known := e.memory.ProfileOf(id)
			return known && strings.EqualFold(of, former.ID)
		},
		seen: func(looked, compared int64) { c.seen.Store(looked); c.done.Store(compared) },
	}
	var err error
	if r.Last, err = lastFrames(r.Last); err != nil {
		return profile.Diff{}, err
	}
	c.of.Store(int64(r.Last))
	return p.compare(ctx, e.normal.Load(), former, candidate, r)
}

// Files are what a gateway that does not run has left.
type Files struct {
	Frames   History
	Store    FilesStore
	Profiles Profiles
	Rules    *alarm.Rules
}

// FilesStore is the state of a gateway that does not run.
type FilesStore interface {
	held
	Versions(ctx context.Context) ([]grid.ProfileVersion, []grid.RolloutStep, error)
}

// DiffFiles compares a candidate with the version in force on past frames in files.
func DiffFiles(ctx context.Context, f Files, r profile.DiffRequest, seen func(profile.DiffProgress)) (profile.Diff, error) {
	candidate, err := f.Profiles.Candidate(r.Files)
	if err != nil {
		return profile.Diff{}, err
	}
	v, err := versionsIn(ctx, f.Store, f.Profiles)
	if err != nil {
		return profile.Diff{}, err
	}
	former, err := v.Get(candidate.ID)
	if err != nil {
		return profile.Diff{}, grid.Errorf(grid.NotFound, "profile %s is new: there is no version to compare it with", candidate.ID)
	}
	devices, err := devicesWith(ctx, f.Store, former.ID)
	if err != nil {
		return profile.Diff{}, err
	}
	if r.Last, err = lastFrames(r.Last); err != nil {
		return profile.Diff{}, err
	}
	p := past{
		frames: f.Frames, store: f.Store, id: former.ID, is: func(id grid.Identity) bool { return devices[id] },
		seen: func(looked, compared int64) {
			seen(profile.DiffProgress{Running: true, Profile: former.ID, Frames: compared, Of: int64(r.Last), Looked: looked})
		},
	}
	return p.compare(ctx, f.Rules, former, candidate, r)
}

// StandingIn tells how the versions of profiles stand by the state of a gateway, for
// those that were ever rolled out.
func StandingIn(ctx context.Context, store FilesStore, files Profiles) ([]profile.Rollout, error) {
	v, err := versionsIn(ctx, store, files)
	if err != nil {
		return nil, err
	}
	var out []profile.Rollout
	for _, id := range slices.Sorted(maps.Keys(v.steps)) {
		out = append(out, v.standing(id))
	}
	return out, nil
}

func versionsIn(ctx context.Context, store FilesStore, files Profiles) (*versions, error) {
	rows, steps, err := store.Versions(ctx)
	if err != nil {
		return nil, err
	}
	v := newVersions(files)
	v.load(rows, steps)
	return v, nil
}

func devicesWith(ctx context.Context, store held, id string) (map[grid.Identity]bool, error) {
	all := map[grid.Identity]bool{}
	for q := (state.Query{Profile: id, Limit: 1000}); ; {
		page, err := store.ListDevices(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			all[page.Items[i].Identity] = true
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

func lastFrames(n int) (int, error) {
	switch {
	case n == 0:
		return profile.DefaultLast, nil
	case n < 0 || n > profile.MaxLast:
		return 0, grid.Errorf(grid.Invalid, "last is %d: want 1 to %d frames", n, profile.MaxLast)
	}
	return n, nil
}

// alarming says which readings are alarms by a limit of the default rules: a tilt that
// says "open" is an alarm as a contact is.
func alarming(all *alarm.Rules, kinds []grid.Kind) func(grid.Reading) bool {
	var tests []alarm.Test
	for _, k := range kinds {
		rules, err := all.For("", k)
		if err != nil {
			continue
		}
		for _, r := range rules {
			for _, t := range r.Any {
				if t.Is == nil && r.Priority <= 3 {
					tests = append(tests, t)
				}
			}
		}
	}
	return func(r grid.Reading) bool {
		for _, t := range tests {
			if t.Signal == r.Signal && (t.Above == nil || r.Value > *t.Above) && (t.Below == nil || r.Value < *t.Below) {
				return true
			}
		}
		return false
	}
}

// History is where a comparison finds frames.
type History interface {
	Next(ctx context.Context, lane grid.Lane, after uint64, max int) ([]grid.Frame, error)
	Head(lane grid.Lane) grid.Pos
	First(lane grid.Lane) uint64
	ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error)
}

// held is what a comparison needs of the state.
type held interface {
	ListDevices(ctx context.Context, q state.Query) (state.Page[grid.Device], error)
	ListQuarantine(ctx context.Context, q state.Query) (state.Page[grid.QuarantinedFrame], error)
}

// past finds the newest frames of a profile's devices.
type past struct {
	frames History
	store  held
	id     string
	is     func(grid.Identity) bool
	seen   func(looked, compared int64)
	pause  bool // rests as long as it works

	looked, compared int64
	last             int64
	use              func(*grid.Frame)
}

func (p *past) compare(ctx context.Context, rules *alarm.Rules, former, candidate *profile.Profile, r profile.DiffRequest) (profile.Diff, error) {
	tally := profile.NewComparison(former.ID, former.Version, candidate.Version)
	tally.Alarming = alarming(rules, former.Kinds)
	within := r.Within
	if within <= 0 {
		within = pastWithin
	}
	timed, cancel := context.WithTimeout(ctx, min(within, maxPastWithin))
	defer cancel()
	p.last = int64(r.Last)
	p.use = func(f *grid.Frame) { tally.Add(whereIs(f), former.Try(*f), candidate.Try(*f)) }
	devices, err := p.newest(timed)
	out := func(cut string) profile.Diff {
		d := tally.Report()
		d.Devices, d.Cut = devices, cut
		return d
	}
	switch {
	case ctx.Err() != nil:
		return profile.Diff{}, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return out(fmt.Sprintf("it took %s: %d frames of the journal were looked at", within, p.looked)), nil
	case err != nil:
		return profile.Diff{}, fmt.Errorf("past frames of profile %s: %w", p.id, err)
	}
	d := out("")
	d.Quarantine, err = p.quarantine(timed, candidate)
	switch {
	case ctx.Err() != nil:
		return profile.Diff{}, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		d.Cut, err = fmt.Sprintf("it took %s: not all frames in quarantine were looked at", within), nil
	}
	return d, err
}

// newest hands the newest frames of the devices to use. Of few devices each is looked up
// by the journal's index, with an equal part of the frames; of many, all that came is
// looked through from the end.
func (p *past) newest(ctx context.Context) (devices int, err error) {
	page, err := p.store.ListDevices(ctx, state.Query{Profile: p.id, Limit: fewDevices + 1})
	if err != nil || len(page.Items) == 0 {
		return 0, err
	}
	if len(page.Items) > fewDevices {
		return 0, p.backwards(ctx)
	}
	each := (p.last + int64(len(page.Items)) - 1) / int64(len(page.Items))
	for i := range page.Items {
		began := time.Now()
		frames, err := p.frames.ByDevice(ctx, page.Items[i].Identity, time.Time{}, time.Time{}, int(each))
		if err != nil {
			return len(page.Items), err
		}
		p.looked += int64(len(frames))
		for k := range frames {
			if err := p.take(ctx, &frames[k]); err != nil {
				return len(page.Items), err
			}
		}
		p.rest(ctx, began)
	}
	return len(page.Items), nil
}

// backwards reads both lanes from their ends, a block at a time.
func (p *past) backwards(ctx context.Context) error {
	var end [grid.Lanes]uint64
	for lane := range end {
		end[lane] = p.frames.Head(grid.Lane(lane)).Seq
	}
	for p.compared < p.last {
		more := false
		for lane := range end {
			first := p.frames.First(grid.Lane(lane))
			if end[lane] == 0 || end[lane] < first {
				continue
			}
			more = true
			from := uint64(0)
			if end[lane] > pastBlock {
				from = end[lane] - pastBlock
			}
			if err := p.block(ctx, grid.Lane(lane), max(from, first-1), end[lane]); err != nil {
				return err
			}
			end[lane] = from
		}
		if !more {
			return nil
		}
	}
	return nil
}

// block takes the frames of a lane after from up to end, newest first.
func (p *past) block(ctx context.Context, lane grid.Lane, from, end uint64) error {
	began := time.Now()
	var all []grid.Frame
	for from < end {
		frames, err := p.frames.Next(ctx, lane, from, int(end-from))
		if err != nil {
			return err
		}
		if len(frames) == 0 {
			break
		}
		for i := range frames {
			from = frames[i].Pos.Seq
			p.looked++
			if from <= end && p.is(frames[i].Identity) {
				all = append(all, frames[i])
			}
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		if err := p.take(ctx, &all[i]); err != nil {
			return err
		}
	}
	p.rest(ctx, began)
	return nil
}

// take hands on one frame that a profile would read.
func (p *past) take(ctx context.Context, f *grid.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.compared >= p.last || !decodable(f) {
		return nil
	}
	p.use(f)
	if p.compared++; p.compared%256 == 0 {
		p.seen(p.looked, p.compared)
	}
	return nil
}

// decodable opens the envelope of a frame and reports whether a profile would read it.
func decodable(f *grid.Frame) bool {
	if f.Flags&(grid.Refused|grid.Marker) != 0 {
		return false
	}
	if f.Envelope != "" && envelope.Open(f) != nil {
		return false
	}
	return !f.Kind.Ignored()
}

// rest leaves the processor to the engine for as long as it was used.
func (p *past) rest(ctx context.Context, began time.Time) {
	p.seen(p.looked, p.compared)
	if p.pause {
		sleep(ctx, min(time.Since(began), 50*time.Millisecond))
	}
}

// quarantine counts which of the waiting frames a candidate reads.
func (p *past) quarantine(ctx context.Context, candidate *profile.Profile) (*profile.QuarantineDiff, error) {
	d := &profile.QuarantineDiff{}
	q := state.Query{State: "waiting", Profile: p.id, Limit: 1000}
	for d.Frames < maxHeld {
		began := time.Now()
		page, err := p.store.ListQuarantine(ctx, q)
		if err != nil {
			return d, err
		}
		for i := range page.Items {
			if ctx.Err() != nil {
				return d, ctx.Err()
			}
			f := &page.Items[i]
			if f.Reason == grid.RejectedPoint {
				continue
			}
			d.Frames++
			if (f.Reason == grid.Undecodable || f.Reason == grid.NoProfile || f.Reason == grid.InternalFault) && decodable(&f.Frame) && candidate.Try(f.Frame).Err == nil {
				d.Mended++
			}
		}
		p.rest(ctx, began)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	return d, nil
}
