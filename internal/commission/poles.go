package commission

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Polarity. A contact that is wired the wrong way round says "closed, open, closed" while
// the door is opened, closed, opened: the edges alone do not tell, and no order of them
// does. What tells is the state at a moment at which a person says how the door stands. So
// the person says "it is closed now"; that counts if the device has said its state by then
// and says no other for a while (what is on its way is not taken for the next act); from
// then on the first edge is that of the opening, and one the other way round is a wrong
// contact, until the person begins anew.

// poles is what the timeline of a visit shows.
type poles struct {
	known    bool // the device has said its state
	state    bool // the newest: open, occupied
	early    bool // the newest "at rest" came before the device had said its state
	stirred  bool // … or something changed right after it
	rested   time.Time
	contrary bool // at rest, the device says that it is not
	on, off  time.Time
	wrong    time.Time // the first edge after rest was the wrong one
}

type moment struct {
	at   time.Time
	word bool
	n    int
	is   bool
}

// read goes through readings and words in the order of their times.
func (j *judgement) read(steps []Step) (p poles) {
	i := slices.IndexFunc(steps, func(s Step) bool { return s.Check == CheckOn })
	r := slices.IndexFunc(steps, func(s Step) bool { return s.Check == CheckRest })
	if i < 0 || r < 0 {
		return p
	}
	settle := j.link.settle(j.interval())
	line, known, state := j.timeline(steps[i].Any, steps[r].ID)
	p.known, p.state = known, state
	for _, m := range line {
		if m.word {
			p = p.rest(m.at)
		} else {
			p = p.hear(m.is, m.at, settle)
		}
	}
	if settled := p.rested.Add(settle); !p.rested.IsZero() && j.now.Before(settled) {
		j.wake = settled
	}
	return p
}

func (p poles) rest(at time.Time) poles {
	next := poles{known: p.known, state: p.state}
	if !p.known {
		next.early = true
		return next
	}
	next.rested, next.contrary = at, p.state
	return next
}

func (p poles) hear(is bool, at time.Time, settle time.Duration) poles {
	changed := p.known && is != p.state
	p.known, p.state = true, is
	switch {
	case !changed || p.rested.IsZero() || !p.wrong.IsZero():
	case !at.After(p.rested.Add(settle)):
		return poles{known: true, state: is, stirred: true}
	case p.on.IsZero() && is:
		p.on = at
	case p.on.IsZero():
		p.wrong = at
	case p.off.IsZero() && !is:
		p.off = at
	}
	return p
}

// timeline merges the states that the device says with the words "at rest", and gives what
// was known before.
func (j *judgement) timeline(tests []Test, rest string) (line []moment, known, state bool) {
	type said struct {
		grid.VisitReading
		at time.Time
		n  int
	}
	var all []said
	take := func(f *grid.VisitFrame) {
		for _, r := range f.Readings {
			if slices.ContainsFunc(tests, func(t Test) bool { return t.Signal == r.Signal }) {
				all = append(all, said{r, timeOf(f, &r), f.N})
			}
		}
	}
	if j.v.Before != nil {
		take(j.v.Before)
	}
	before := len(all)
	for i := range j.v.Frames {
		take(&j.v.Frames[i])
	}
	slices.SortStableFunc(all[before:], func(a, b said) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.n, b.n)) })
	values := map[grid.Signal]float64{}
	for i := range all {
		values[all[i].Signal] = all[i].Value
		if i+1 < len(all) && i+1 != before && all[i+1].n == all[i].n && all[i+1].at.Equal(all[i].at) {
			continue // one frame says one state
		}
		is := false
		for k := range tests {
			if v, ok := values[tests[k].Signal]; ok && tests[k].ask(v) {
				is = true
			}
		}
		if i < before {
			known, state = true, is
			continue
		}
		line = append(line, moment{at: all[i].at, n: all[i].n, is: is})
	}
	for i := range j.v.Words {
		if w := &j.v.Words[i]; w.Step == rest && w.Result == grid.StepPassed {
			line = append(line, moment{at: w.At, word: true})
		}
	}
	slices.SortStableFunc(line, func(a, b moment) int {
		c := a.at.Compare(b.at)
		if c == 0 && a.word != b.word {
			if b.word {
				return -1 // what was said in the same instant was said before
			}
			return 1
		}
		return c
	})
	return line, known, state
}

func (j *judgement) rest(s *grid.VisitStep) {
	p := &j.swings
	w := s.Said
	switch {
	case w == nil || w.Result != grid.StepPassed:
	case p.early:
		s.Detail = text("设备还没有报过状态：先动作一次，收到报文后再确认", "the device has not said its state yet: move it once, wait for its frame, then confirm again")
	case p.stirred:
		s.Detail = text("确认之后状态又变了：放好后再确认一次，变绿之前不要动", "the state changed right after it: put it at rest, confirm again and leave it until this turns green")
	case p.rested.IsZero():
	case j.now.Before(p.rested.Add(j.link.settle(j.interval()))):
		s.Detail = text("请稍候，先不要动", "wait, and leave it for now")
	default:
		s.State, s.At = grid.StepPassed, p.rested
	}
}

const (
	wrongZH = "接线方向反了：开着时设备报“关”，关着时报“开”。把接点由常开改为常闭（或反之），或把磁铁换到另一侧，然后重新确认静止状态再试。如果刚才确认得太早，重新确认一次即可"
	wrongEN = "the contact is the wrong way round: the device says closed when it is open. Change the contact from normally open to normally closed (or back), or turn the magnet, then confirm the state at rest again. If you had confirmed too early, confirming again is enough"
)

// shownBy names the signal that shows an edge.
func (j *judgement) shownBy(s *Step, is bool) string {
	for i := range s.Any {
		if sig := s.Any[i].Signal; j.says(sig) {
			return fmt.Sprintf("%s %t", sig, is)
		}
	}
	return ""
}

func (j *judgement) on(s *grid.VisitStep, plan *Step) {
	p := &j.swings
	switch {
	case !p.on.IsZero():
		s.State, s.At, s.Value = grid.StepPassed, p.on, j.shownBy(plan, true)
	case !p.wrong.IsZero():
		s.State, s.At, s.Detail = grid.StepFailed, p.wrong, text(wrongZH, wrongEN)
	case p.contrary:
		s.Detail = text("您确认已静止，设备却报相反的状态：如果一直这样，接线方向反了", "you say that it is at rest and the device says the opposite: if that stays so, the contact is the wrong way round")
	}
}

// off holds while the newest word of the device is "closed": who leaves leaves it so, and a
// wrong contact says the opposite then.
func (j *judgement) off(s *grid.VisitStep, plan *Step) {
	p := &j.swings
	switch {
	case p.off.IsZero():
	case p.state:
		s.Detail = text("又报为打开：离开前请放好，等它变绿", "it says open again: leave it closed and wait until this turns green")
	default:
		s.State, s.At, s.Value = grid.StepPassed, p.off, j.shownBy(plan, false)
	}
}
