package scenario

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/verdict"
)

// due is one thing to be done at a time of the timeline.
type due struct {
	at   time.Duration
	lane string
	step *Step
	do   func(ctx context.Context) error
}

// timeline plays all steps. Those of the world are played here, at their time; those of
// operators and those of faults each wait for the one before of their kind, so that a gateway
// that takes a second to start again holds up no fire.
func (r *run) timeline(ctx context.Context) {
	var all []due
	for i := range r.s.Timeline {
		all = append(all, r.expand(&r.s.Timeline[i])...)
		r.watch(&r.s.Timeline[i])
	}
	slices.SortStableFunc(all, func(a, b due) int { return cmp.Compare(a.at, b.at) })
	lanes := map[string]chan due{verdict.LaneOperator: make(chan due, len(all)), verdict.LaneFaults: make(chan due, len(all))}
	for _, lane := range lanes {
		r.working.Go(func() {
			for d := range lane {
				r.done(ctx, d)
			}
		})
	}
	defer func() {
		for _, lane := range lanes {
			close(lane)
		}
	}()
	for _, d := range all {
		if r.clock.SleepUntil(ctx, r.zero.Add(d.at)) != nil {
			return
		}
		r.clockworks["late"].Took(r.realAt(r.zero.Add(d.at)), time.Now())
		if lane := lanes[d.lane]; lane != nil {
			lane <- d // holds all there are: never blocks
			continue
		}
		r.done(ctx, d)
	}
}

// watch keeps the last words of devices that will repeat them.
func (r *run) watch(t *Step) {
	if t.Device != "repeat" {
		return
	}
	names, _ := r.s.allNames(t.Point) // checked when it was read
	for _, n := range names {
		if i, err := r.city.Find(r.pointID(n)); err == nil {
			r.wire.watch(r.city.Device(i).Identity)
		}
	}
}

func (r *run) done(ctx context.Context, d due) {
	err := d.do(ctx)
	switch {
	case err == nil || ctx.Err() != nil && !errors.Is(err, ErrNotPlayed):
	case errors.Is(err, ErrNotPlayed):
		r.mu.Lock()
		r.unplayed[d.step.ID] = err.Error()
		r.result.NotPlayed = append(r.result.NotPlayed, verdict.Text{ZH: fmt.Sprintf("第 %d 行：%v", d.step.line, err), EN: fmt.Sprintf("line %d: %v", d.step.line, err)})
		r.mu.Unlock()
	default:
		r.trouble("line %d, at %s: %v", d.step.line, Span(d.at), err)
	}
}

// expand makes of a step what is to be done when: for each of its points, and its undoing.
func (r *run) expand(t *Step) []due {
	switch {
	case t.Operator != nil:
		return []due{{t.At.of(), verdict.LaneOperator, t, func(ctx context.Context) error { return r.act(ctx, t) }}}
	case t.Unit != nil:
		return []due{{t.At.of(), verdict.LaneUnits, t, func(context.Context) error {
			r.markWho(t.Unit.ID, t.words("单位 "+t.Unit.ID+" 行为改变", "unit "+t.Unit.ID+" changes its ways"))
			return r.units.Behave(r.unitID(t.Unit.ID), func(b *simulator.Behaviour, p *simulator.People) { behave(b, p, t.Unit.Behave) })
		}}}
	case t.Fault != nil:
		return r.expandFault(t)
	}
	names, _ := r.s.allNames(t.Point) // checked when it was read
	var out []due
	for k, name := range names {
		at := t.At.of()
		if len(names) > 1 {
			at += t.Spread.of() * time.Duration(k) / time.Duration(len(names)-1)
		}
		first := k == 0
		out = append(out, due{at, verdict.LaneWorld, t, func(ctx context.Context) error { return r.world(ctx, t, name, first, len(names), false) }})
		if t.For > 0 {
			out = append(out, due{at + t.For.of(), verdict.LaneWorld, t, func(ctx context.Context) error { return r.world(ctx, t, name, first, len(names), true) }})
		}
	}
	return out
}

func (t *Step) words(zh, en string) verdict.Text {
	if t.Say.ZH != "" {
		return t.Say
	}
	return verdict.Text{ZH: zh, EN: en}
}

func (r *run) expandFault(t *Step) []due {
	var f Fault
	start := func(ctx context.Context) (err error) {
		make := r.o.Faults[t.Fault.Name]
		if make == nil {
			make = BuiltIn()[t.Fault.Name]
		}
		if make == nil {
			return fmt.Errorf("fault %s is not known here: %w", t.Fault.Name, ErrNotPlayed)
		}
		if f, err = make(r.parts(), t.Fault.With); err != nil {
			return err
		}
		r.mu.Lock()
		m := verdict.Mark{Lane: verdict.LaneFaults, At: r.clock.Now(), Kind: t.Fault.Name, Text: t.words("故障 "+t.Fault.Name, "fault "+t.Fault.Name)}
		if t.For > 0 {
			m.Until = m.At.Add(t.For.of())
		}
		r.result.Marks = append(r.result.Marks, m)
		r.mu.Unlock()
		return f.Start(ctx)
	}
	stop := func(ctx context.Context) error {
		if f == nil {
			return nil
		}
		// Also when the timeline is over: what is broken is mended before the verdict.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWithin)
		defer cancel()
		return f.Stop(ctx)
	}
	out := []due{{t.At.of(), verdict.LaneFaults, t, start}}
	if t.For > 0 {
		out = append(out, due{t.At.of() + t.For.of(), verdict.LaneFaults, t, stop})
	}
	return out
}

// world does one step at one point, or undoes it.
func (r *run) world(ctx context.Context, t *Step, name string, first bool, of int, undo bool) error {
	id := r.pointID(name)
	i, err := r.city.Find(id)
	if err != nil {
		return err
	}
	if first {
		r.tellWorld(t, name, of, undo)
	}
	switch {
	case t.Set != nil && undo:
		r.believe(id, &Change{Normal: true})
		return r.city.Act(ctx, i, simulator.Edge, func(s *simulator.State) { t.Set.undo(s) })
	case t.Set != nil:
		r.believe(id, t.Set)
		if set := t.Set; set.Smoke != nil && *set.Smoke || set.Fire != nil && *set.Fire || set.Heat != nil && *set.Heat {
			r.mu.Lock()
			if _, was := r.smokeDue[id]; !was {
				r.smokeDue[id] = r.realAt(r.zero.Add(t.At.of()))
			}
			r.mu.Unlock()
		}
		return r.city.Act(ctx, i, simulator.Edge, func(s *simulator.State) { t.Set.apply(s) })
	case t.Raw != nil:
		b, err := hex.DecodeString(strings.ReplaceAll(t.Raw.Hex, " ", ""))
		if err != nil || undo {
			return err
		}
		return r.city.Raw(ctx, i, t.Raw.Port, b)
	case t.Skew != nil:
		d := t.Skew.of()
		if undo {
			d = 0
		}
		r.city.Skew(i, d)
		return nil
	case t.Radio != "":
		return r.radio(i, (t.Radio == "dead") != undo)
	}
	return r.device(ctx, t.Device, name, i, undo)
}

func (r *run) tellWorld(t *Step, name string, of int, undo bool) {
	what := t.Device
	switch {
	case t.Set != nil:
		what = "set"
	case t.Raw != nil:
		what = "raw"
	case t.Radio != "":
		what = "radio " + t.Radio
	case t.Skew != nil:
		what = "skew"
	}
	more := ""
	if of > 1 {
		more = fmt.Sprintf(" × %d", of)
	}
	text := t.words(name+more+" "+what, name+more+" "+what)
	kind := what
	if undo {
		kind = "normal"
		text = verdict.Text{ZH: text.ZH + "（结束）", EN: text.EN + " (over)"}
	}
	r.mark(verdict.LaneWorld, kind, text)
}

// believe keeps what people will find there.
func (r *run) believe(id string, c *Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.truth[id]
	if c.Fire != nil {
		x.Fire = *c.Fire
	}
	if c.Stuck != nil {
		x.Stuck = *c.Stuck
	}
	if c.Normal {
		x.Fire = false
	}
	r.truth[id] = x
}

func (c *Change) apply(s *simulator.State) {
	if c.Normal {
		toNormal(s)
	}
	flagOf(&s.Open, c.Open)
	flagOf(&s.Occupied, c.Occupied)
	flagOf(&s.Smoke, c.Smoke)
	flagOf(&s.Heat, c.Heat)
	flagOf(&s.Test, c.Test)
	flagOf(&s.Tamper, c.Tamper)
	flagOf(&s.Removed, c.Removed)
	flagOf(&s.Fault, c.Fault)
	flagOf(&s.Water, c.Water)
	if c.Fire != nil && *c.Fire {
		s.Smoke, s.Celsius = true, max(s.Celsius, 58)
	}
	if c.Tilt != nil {
		s.Tilt = *c.Tilt
	}
	if c.Level != nil {
		s.LevelMM = *c.Level
	}
	if c.Battery != nil {
		s.Battery = *c.Battery
	}
	if c.Celsius != nil {
		s.Celsius = *c.Celsius
	}
}

// undo puts back what apply has changed, and nothing else.
func (c *Change) undo(s *simulator.State) {
	n := simulator.Normal()
	for _, x := range []struct {
		said *bool
		at   *bool
		rest bool
	}{{c.Open, &s.Open, n.Open}, {c.Occupied, &s.Occupied, n.Occupied}, {c.Smoke, &s.Smoke, false}, {c.Heat, &s.Heat, false}, {c.Test, &s.Test, false},
		{c.Tamper, &s.Tamper, false}, {c.Removed, &s.Removed, false}, {c.Fault, &s.Fault, false}, {c.Water, &s.Water, false}, {c.Fire, &s.Smoke, false}} {
		if x.said != nil {
			*x.at = x.rest
		}
	}
	if c.Tilt != nil {
		s.Tilt = n.Tilt
	}
	if c.Level != nil {
		s.LevelMM = n.LevelMM
	}
	if c.Battery != nil {
		s.Battery = n.Battery
	}
	if c.Celsius != nil || c.Fire != nil {
		s.Celsius = n.Celsius
	}
}

func flagOf(to *bool, said *bool) {
	if said != nil {
		*to = *said
	}
}

// device does something to a device itself.
func (r *run) device(ctx context.Context, what, name string, i int, undo bool) error {
	id := r.city.Device(i).Identity
	switch what {
	case "dead":
		r.city.Dead(i, !undo)
	case "alive":
		r.city.Dead(i, undo)
		if !undo {
			return r.city.Report(ctx, i, simulator.Startup)
		}
	case "startup":
		return r.city.Report(ctx, i, simulator.Startup)
	case "report":
		return r.city.Report(ctx, i, simulator.Heartbeat)
	case "hold":
		if undo {
			return r.wire.release(ctx, id)
		}
		r.wire.hold(id)
	case "release":
		return r.wire.release(ctx, id)
	case "repeat":
		if !undo {
			return r.wire.again(ctx, id)
		}
	case "swap":
		if undo {
			return nil
		}
		fresh := r.city.Swap(i)
		r.mu.Lock()
		r.swapped[name] = [2]grid.Identity{id, fresh}
		r.former[string(id)] = r.pointID(name)
		r.mu.Unlock()
		return r.city.Report(ctx, i, simulator.Startup)
	}
	return nil
}
