package commission

import (
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Signed verdicts.
const (
	Pass = "pass"
	Fail = "fail"
)

// verdict says what a visit has come to.
//
//	not signed              open
//	signed fail             failed
//	signed pass:
//	  a must skipped or failed, or the device itself says that something is bad    failed
//	  every must passed                                                            passed
//	  else                                                                         pending
func (j *judgement) verdict() (grid.VisitState, []grid.Text) {
	v := j.v
	if v.Signed == nil {
		return grid.VisitOpen, []grid.Text{}
	}
	if v.Signed.Verdict != Pass {
		return grid.VisitFailed, v.Reasons
	}
	bad, missing, remarks := []grid.Text{}, []grid.Text{}, []grid.Text{}
	for i := range v.Steps {
		s := &v.Steps[i]
		byDevice := s.State == grid.StepFailed && s.Needs == ByDevice
		switch {
		case s.State == grid.StepPassed:
		case byDevice || s.Must && (s.State == grid.StepFailed || s.State == grid.StepSkipped):
			bad = append(bad, reason(s))
		case s.Must:
			missing = append(missing, reason(s))
		default:
			remarks = append(remarks, reason(s))
		}
	}
	switch {
	case len(bad) > 0:
		return grid.VisitFailed, bad
	case len(missing) > 0:
		return grid.VisitPending, missing
	}
	return grid.VisitPassed, remarks
}

// StateWords say a step's state.
func StateWords(s grid.StepState) grid.Text {
	switch s {
	case grid.StepPassed:
		return text("合格", "passed")
	case grid.StepFailed:
		return text("不合格", "failed")
	case grid.StepSkipped:
		return text("已跳过", "skipped")
	}
	return text("未收到", "not shown")
}

func reason(s *grid.VisitStep) grid.Text {
	w := StateWords(s.State)
	t := text(s.Title.ZH+"："+w.ZH, s.Title.EN+": "+w.EN)
	if !s.Detail.IsZero() {
		t.ZH, t.EN = t.ZH+"（"+s.Detail.ZH+"）", t.EN+" ("+s.Detail.EN+")"
	}
	return t
}

// Undone names the steps that a person still has to do before a verdict can be signed.
func Undone(v *grid.Visit) (ids []string) {
	for i := range v.Steps {
		if s := &v.Steps[i]; s.Must && s.State == grid.StepWaiting && s.Needs != ByDevice && s.Said == nil {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Begin gives a new visit its device and what its profile can say.
func (p *Plans) Begin(v *grid.Visit, says []grid.Signal, interval time.Duration) error {
	if len(p.kinds[v.Kind]) == 0 {
		return grid.Errorf(grid.Invalid, "point %s is of kind %q: no plan of commissioning is configured for it", v.Point, v.Kind)
	}
	v.Says, v.Interval = says, int(interval/time.Second)
	if v.Says == nil {
		v.Says = []grid.Signal{}
	}
	v.Link = p.LinkOf(v.Device, "", "").Name
	return nil
}

// Say takes a person's word on a step. The same word again changes nothing.
func (p *Plans) Say(v *grid.Visit, w grid.VisitWord) error {
	s := v.Step(w.Step)
	switch {
	case s == nil:
		return grid.Errorf(grid.Invalid, "step is %q: want one of %s", w.Step, strings.Join(stepIDs(v), ", "))
	case w.Result != grid.StepPassed && w.Result != grid.StepFailed && w.Result != grid.StepSkipped:
		return grid.Errorf(grid.Invalid, "result is %q: want passed, failed or skipped", w.Result)
	case w.Result != grid.StepPassed && w.Note == "":
		return grid.Errorf(grid.Invalid, "note is empty: want why step %s is %s", w.Step, w.Result)
	case s.Check == CheckPhoto && w.Result == grid.StepPassed && w.Photo == "":
		return grid.Errorf(grid.Invalid, "photo is empty: want the id of a photo of point %s", v.Point)
	case s.Check == CheckPosition && w.Result == grid.StepPassed && w.Position == nil:
		return grid.Errorf(grid.Invalid, "value is missing: want {lon, lat, crs, accuracy_m} of where you stand")
	case len(v.Words) >= MaxWords:
		return grid.Errorf(grid.Conflict, "visit %s has %d words: want a new visit", v.ID, len(v.Words))
	}
	for i := range v.Words {
		if o := &v.Words[i]; o.Step == w.Step && o.At.Equal(w.At) && o.Result == w.Result && o.Photo == w.Photo {
			return nil
		}
	}
	v.Words = append(v.Words[:len(v.Words):len(v.Words)], w)
	return nil
}

func stepIDs(v *grid.Visit) (ids []string) {
	for i := range v.Steps {
		ids = append(ids, v.Steps[i].ID)
	}
	return ids
}

// Settle gives a visit its end: what its link may bring later is still of it.
func (p *Plans) Settle(v *grid.Visit, at time.Time) {
	v.Until = at.Add(p.Link(v.Link).act(time.Duration(v.Interval) * time.Second))
}
