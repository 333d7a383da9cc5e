package commission

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// MaxFrames bounds what a visit keeps of its frames, MaxWords what people say.
const (
	MaxFrames = 64
	MaxWords  = 200
)

// signalFrames is by how many of the newest frames the signal is judged.
const signalFrames = 5

// Sighting is when a frame may have been sent, by each clock that says so.
type Sighting struct {
	Received time.Time
	Network  time.Time // a gateway's or network server's; zero: not said
	Device   time.Time // its own; zero: not said
	Behind   bool      // its counter is behind the newest one: it was overtaken
	Retained bool      // the broker held it: nobody knows how old it is
}

// Bounds of what a clock can say.
const (
	clockSlack = 2 * time.Minute    // two clocks that agree
	oldest     = 7 * 24 * time.Hour // a device's clock that is further behind is not believed
)

// When is the time of a frame, by the best clock that can be believed. A frame that came
// late is as old as it says: it is of the visit in which it was sent. known is false where
// only our clock tells and that is not when it was sent.
func (s Sighting) When() (at time.Time, known bool) {
	if s.Retained {
		return s.Received, false
	}
	if !s.Network.IsZero() {
		if late := s.Received.Sub(s.Network); late > clockSlack && late < oldest {
			return s.Network, true
		}
	}
	if !s.Device.IsZero() && (s.Network.IsZero() || s.Behind) {
		if late := s.Received.Sub(s.Device); late > clockSlack && late < oldest {
			return s.Device, true
		}
	}
	return s.Received, !s.Behind
}

// Takes reports whether a time lies in a visit.
func (p *Plans) Takes(v *grid.Visit, at time.Time) bool {
	return v.Live() && !at.Before(v.Started) && (v.Until.IsZero() || !at.After(v.Until))
}

// Keep puts a frame to those of a visit. Of many it keeps those that brought something new,
// and the newest: what was shown stays shown.
func (p *Plans) Keep(v *grid.Visit, f grid.VisitFrame) {
	i, _ := slices.BinarySearchFunc(v.Frames, f, func(a, b grid.VisitFrame) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.N, b.N))
	})
	out := slices.Insert(slices.Clone(v.Frames), i, f)
	v.Frames = out
	if len(out) <= MaxFrames {
		return
	}
	for i := 1; i < len(out)-signalFrames; i++ {
		if p.same(v.Kind, out[i-1].Readings, out[i].Readings) {
			v.Frames = slices.Delete(out, i, i+1)
			return
		}
	}
	v.Frames = slices.Delete(out, len(out)-2, len(out)-1) // it swings all the time: the first tell
}

// same reports whether readings say the same to every test of a kind.
func (p *Plans) same(k grid.Kind, a, b []grid.VisitReading) bool {
	return slices.EqualFunc(a, b, func(x, y grid.VisitReading) bool {
		switch {
		case x.Signal != y.Signal || !x.At.IsZero() || !y.At.IsZero():
			return false
		case grid.Signals[x.Signal].Bool:
			return x.Value == y.Value
		}
		for _, s := range p.kinds[k] {
			for i := range s.Any {
				if t := &s.Any[i]; t.Signal == x.Signal && t.ask(x.Value) != t.ask(y.Value) {
					return false
				}
			}
		}
		return true
	})
}

// judgement is a visit in hand.
type judgement struct {
	p      *Plans
	v      *grid.Visit
	link   *Link
	now    time.Time
	wake   time.Time
	swings poles
}

// Judge works out the steps of a visit and what it has come to, from its frames and words
// alone: the order in which they came to us makes no difference. The visit is at its end,
// passed or failed, only by a verdict that was signed. Wake is when to judge again without
// news; zero: only news change it.
func (p *Plans) Judge(v *grid.Visit, now time.Time) (wake time.Time) {
	j := &judgement{p: p, v: v, link: p.linkNow(v), now: now}
	v.Link = j.link.Name
	v.Signal = j.signal()
	steps := j.planned()
	j.swings = j.read(steps)
	v.Steps = make([]grid.VisitStep, 0, len(steps))
	for i := range steps {
		v.Steps = append(v.Steps, j.step(&steps[i]))
	}
	v.State, v.Reasons = j.verdict()
	return j.wake
}

func (p *Plans) linkNow(v *grid.Visit) *Link {
	if n := len(v.Frames); n > 0 {
		return p.Link(v.Frames[n-1].Link)
	}
	return p.Link(v.Link)
}

// planned are the steps that concern this device: what its profile cannot say, and its link
// does not measure, is left out, unless it is a must.
func (j *judgement) planned() (out []Step) {
	for _, s := range j.p.kinds[j.v.Kind] {
		switch s.Check {
		case CheckSignal:
			if j.link.Signal == nil || j.link.Signal.Optional && j.v.Signal.Frames == 0 && j.v.Heard > 0 {
				continue
			}
		case CheckBattery:
			if !j.says(grid.BatteryLevel) && !j.says(grid.BatteryLow) && !j.says(grid.BatteryVoltage) {
				continue
			}
		case CheckOn, CheckOff, CheckMoment:
			if !s.Must && !slices.ContainsFunc(s.Any, func(t Test) bool { return j.says(t.Signal) }) {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

func (j *judgement) says(s grid.Signal) bool { return slices.Contains(j.v.Says, s) }

func (j *judgement) interval() time.Duration { return time.Duration(j.v.Interval) * time.Second }

// step judges one step: what the device shows first, then what people say.
func (j *judgement) step(s *Step) grid.VisitStep {
	out := grid.VisitStep{
		ID: s.ID, Check: s.Check, Needs: s.Needs(), Must: s.Must, Title: s.Title, Say: s.Say, State: grid.StepWaiting,
		WaitS: int(j.link.Wait(s, j.interval()) / time.Second), Said: j.said(s.ID),
	}
	switch s.Check {
	case CheckFrame:
		j.frame(&out)
	case CheckSignal:
		j.judgeSignal(&out)
	case CheckBattery:
		j.battery(&out)
	case CheckRest:
		j.rest(&out)
	case CheckOn:
		j.on(&out, s)
	case CheckOff:
		j.off(&out, s)
	case CheckMoment:
		j.moment(&out, s)
	case CheckPosition:
		j.position(&out)
	case CheckPerson, CheckPhoto:
		j.word(&out)
	}
	j.person(&out)
	return out
}

// said is the newest word on a step.
func (j *judgement) said(step string) (out *grid.VisitWord) {
	for i := range j.v.Words {
		w := &j.v.Words[i]
		if w.Step == step && (out == nil || !w.At.Before(out.At)) {
			out = w
		}
	}
	return out
}

// person lets a person fail or skip a step. That he says it is good passes nothing that the
// device has to show; that it is not good holds even where the device says otherwise.
func (j *judgement) person(s *grid.VisitStep) {
	w := s.Said
	switch {
	case w == nil:
	case w.Result == grid.StepFailed:
		s.State, s.At = grid.StepFailed, w.At
	case w.Result == grid.StepSkipped && s.State != grid.StepPassed && s.State != grid.StepFailed:
		s.State, s.At = grid.StepSkipped, w.At
	case w.Result == grid.StepPassed && s.Needs == ByDevice && s.State == grid.StepWaiting && s.Detail.IsZero():
		s.Detail = text("已操作，等待设备上报", "done by hand; the device has yet to say so")
	}
	if w != nil && w.Note != "" && (s.State == grid.StepFailed || s.State == grid.StepSkipped) && w.Result == s.State {
		s.Detail = grid.Text{ZH: w.Note, EN: w.Note}
	}
}

func (j *judgement) word(s *grid.VisitStep) {
	if s.Said == nil || s.Said.Result != grid.StepPassed || s.Check == CheckPhoto && s.Said.Photo == "" {
		return
	}
	s.State, s.At, s.Photo = grid.StepPassed, s.Said.At, s.Said.Photo
}

func (j *judgement) frame(s *grid.VisitStep) {
	if len(j.v.Frames) == 0 {
		return
	}
	f := &j.v.Frames[0]
	s.State, s.At = grid.StepPassed, f.At
	s.Value = j.p.Link(f.Link).Name
	if took := f.At.Sub(j.v.Started); took >= 0 {
		s.Detail = text(fmt.Sprintf("开始后 %s 收到", zhDuration(took)), fmt.Sprintf("%s after the beginning", took.Round(time.Second)))
	}
}

// signal measures by the middle of the newest frames: one that was lucky does not decide.
func (j *judgement) signal() grid.VisitSignal {
	out := grid.VisitSignal{Link: j.link.Name}
	var rssi, snr []float64
	for i := len(j.v.Frames) - 1; i >= 0; i-- {
		f := &j.v.Frames[i]
		if out.BatteryPc == nil {
			out.BatteryPc = f.Battery
		}
		if f.RSSIdBm == nil && f.SNRdB == nil {
			continue
		}
		if out.Frames++; out.Gateway == "" {
			out.Gateway = f.Gateway
		}
		if f.RSSIdBm != nil && len(rssi) < signalFrames {
			rssi = append(rssi, *f.RSSIdBm)
		}
		if f.SNRdB != nil && len(snr) < signalFrames {
			snr = append(snr, *f.SNRdB)
		}
	}
	out.RSSIdBm, out.SNRdB = middle(rssi), middle(snr)
	lim := j.link.Signal
	if lim == nil {
		out.Enough = true
		return out
	}
	out.MinRSSI, out.MinSNR = lim.RSSIdBm, lim.SNRdB
	for _, pair := range [][2]*float64{{out.RSSIdBm, lim.RSSIdBm}, {out.SNRdB, lim.SNRdB}} {
		if pair[0] == nil || pair[1] == nil {
			continue
		}
		if margin := *pair[0] - *pair[1]; out.MarginDB == nil || margin < *out.MarginDB {
			out.MarginDB = &margin
		}
	}
	out.Enough = out.MarginDB != nil && *out.MarginDB >= 0
	return out
}

func middle(vs []float64) *float64 {
	if len(vs) == 0 {
		return nil
	}
	slices.Sort(vs)
	m := vs[(len(vs)-1)/2]
	return &m
}

func (j *judgement) judgeSignal(s *grid.VisitStep) {
	sig := &j.v.Signal
	if sig.MarginDB == nil {
		return
	}
	s.At, s.Value = j.v.Frames[len(j.v.Frames)-1].At, SignalWords(sig)
	m := math.Abs(*sig.MarginDB)
	if sig.Enough {
		s.State, s.Detail = grid.StepPassed, text(fmt.Sprintf("余量 %.0f dB", m), fmt.Sprintf("%.0f dB to spare", m))
		return
	}
	s.State = grid.StepFailed
	s.Detail = text(fmt.Sprintf("信号弱 %.0f dB：换个位置，或在此加装网关", m), fmt.Sprintf("%.0f dB too weak: move it, or a gateway is needed here", m))
}

// SignalWords are the measured values.
func SignalWords(s *grid.VisitSignal) string {
	switch {
	case s.RSSIdBm != nil && s.SNRdB != nil:
		return fmt.Sprintf("%.0f dBm, SNR %.1f dB", *s.RSSIdBm, *s.SNRdB)
	case s.RSSIdBm != nil:
		return fmt.Sprintf("%.0f dBm", *s.RSSIdBm)
	case s.SNRdB != nil:
		return fmt.Sprintf("SNR %.1f dB", *s.SNRdB)
	}
	return ""
}

// battery goes by the newest of what is said: percent, else whether it is low.
func (j *judgement) battery(s *grid.VisitStep) {
	for i := len(j.v.Frames) - 1; i >= 0; i-- {
		f := &j.v.Frames[i]
		low, hasLow := valueIn(f, grid.BatteryLow)
		volts, hasVolts := valueIn(f, grid.BatteryVoltage)
		switch {
		case hasLow && low != 0:
			s.State, s.At, s.Detail = grid.StepFailed, f.At, text("设备报告电量低：更换电池", "the device says that it is low: change it")
		case f.Battery != nil:
			s.State, s.At, s.Value = grid.StepPassed, f.At, fmt.Sprintf("%.0f %%", *f.Battery)
			if *f.Battery < j.p.Battery {
				s.State = grid.StepFailed
				s.Detail = text(fmt.Sprintf("低于 %.0f %%：更换电池", j.p.Battery), fmt.Sprintf("less than %.0f %%: change it", j.p.Battery))
			}
		case hasVolts:
			s.State, s.At, s.Value = grid.StepPassed, f.At, fmt.Sprintf("%.2f V", volts)
		case hasLow:
			s.State, s.At = grid.StepPassed, f.At
		default:
			continue
		}
		return
	}
}

func valueIn(f *grid.VisitFrame, sig grid.Signal) (float64, bool) {
	for i := len(f.Readings) - 1; i >= 0; i-- {
		if f.Readings[i].Signal == sig {
			return f.Readings[i].Value, true
		}
	}
	return 0, false
}

func (j *judgement) moment(s *grid.VisitStep, plan *Step) {
	for i := range j.v.Frames {
		for _, r := range j.v.Frames[i].Readings {
			for k := range plan.Any {
				if t := &plan.Any[k]; t.Signal == r.Signal && t.ask(r.Value) {
					s.State, s.At, s.Value = grid.StepPassed, timeOf(&j.v.Frames[i], &r), r.Signal.String()
					return
				}
			}
		}
	}
}

func timeOf(f *grid.VisitFrame, r *grid.VisitReading) time.Time {
	if !r.At.IsZero() {
		return r.At
	}
	return f.At
}

// position compares where the technician stands with where the point is registered.
func (j *judgement) position(s *grid.VisitStep) {
	w := s.Said
	if w == nil || w.Result != grid.StepPassed || w.Position == nil {
		return
	}
	here, at := w.Position, j.v.At
	s.At = w.At
	s.Value = fmt.Sprintf("%.6f, %.6f (WGS84)", here.Lon, here.Lat)
	if at == nil {
		s.State, s.Detail = grid.StepPassed, text("点位没有登记坐标：已记下手机位置", "the point has no position: that of the phone is kept")
		return
	}
	d := Metres(at.Lon, at.Lat, here.Lon, here.Lat)
	most := j.p.DistanceM + min(here.AccuracyM, j.p.AccuracyM)
	switch {
	case d > most:
		s.State = grid.StepFailed
		s.Detail = text(fmt.Sprintf("离点位 %.0f 米，最多 %.0f 米：选错了点位，或点位坐标不对", d, most), fmt.Sprintf("%.0f m from the point, at most %.0f m: another point, or its position is wrong", d, most))
	case here.Cell != "" && j.v.Cell != "" && here.Cell != j.v.Cell && d > j.p.DistanceM:
		s.State = grid.StepFailed
		s.Detail = text(fmt.Sprintf("所在网格 %s 不是点位的 %s", here.Cell, j.v.Cell), fmt.Sprintf("this is cell %s, the point's is %s", here.Cell, j.v.Cell))
	default:
		s.State = grid.StepPassed
		s.Detail = text(fmt.Sprintf("离点位 %.0f 米", d), fmt.Sprintf("%.0f m from the point", d))
	}
}

// Metres is how far two places are apart, in metres.
func Metres(lon1, lat1, lon2, lat2 float64) float64 {
	const radius, degree = 6371008.8, math.Pi / 180
	a := math.Sin((lat2 - lat1) * degree / 2)
	b := math.Sin((lon2 - lon1) * degree / 2)
	h := a*a + math.Cos(lat1*degree)*math.Cos(lat2*degree)*b*b
	return 2 * radius * math.Asin(math.Sqrt(min(1, h)))
}

func text(zh, en string) grid.Text { return grid.Text{ZH: zh, EN: en} }

func zhDuration(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d 秒", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d 分 %d 秒", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d 小时 %d 分", d/time.Hour, d%time.Hour/time.Minute)
}
