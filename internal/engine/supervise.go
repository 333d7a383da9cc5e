package engine

import (
	"fmt"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Supervision: silence is a finding. One wheel holds a timer per device, which is armed
// anew only when it fires, not with every frame.

// intervalOf is how often a device is expected to report.
func (e *Engine) intervalOf(no registry.DeviceNo, d *decoded) time.Duration {
	row := e.memory.DeviceAt(no)
	if i := row.Interval(); i > 0 {
		return i
	}
	if d != nil && d.profile != nil {
		return d.profile.Interval
	}
	if p, err := e.profiles.Get(e.memory.Profile(row)); err == nil {
		return p.Interval
	}
	return 0
}

func (b *batch) armSupervision(no registry.DeviceNo, d *decoded) {
	e := b.e
	soft := e.soft.touchDevice(no)
	_, _, due := alarm.Offline(e.intervalOf(no, d), fromNanos(e.memory.DeviceAt(no).Installed), fromNanos(soft.heard), e.unheard(soft.path), b.now)
	if !due.IsZero() {
		e.timers.arm(&soft.timer, due, timerEntry{uint32(no), deviceTimer})
	}
}

// supervise asks whether a device has been silent for too long. It is offline only if
// its way in has brought word of someone else since; else the way is silent.
// Its timer was set when it was heard some time ago: it is set anew to when silence means
// offline, even if that is past, so that devices are judged in the order of their silence.
func (b *batch) supervise(no registry.DeviceNo, tick uint32) {
	e := b.e
	soft := e.soft.touchDevice(no)
	soft.timer = 0
	row := e.memory.DeviceAt(no)
	if row.State() != grid.Installed {
		return
	}
	offline, never, due := alarm.Offline(e.intervalOf(no, nil), fromNanos(row.Installed), fromNanos(soft.heard), e.unheard(soft.path), b.now)
	if !offline {
		if ep := e.silence(soft.path); due.IsZero() && ep != nil && ep.Active {
			return
		}
		if due.IsZero() { // a span in which we cannot hear still lasts
			due = b.now.Add(time.Minute)
		}
		e.timers.arm(&soft.timer, due, timerEntry{uint32(no), deviceTimer})
		return
	}
	if tickOf(due) > tick {
		e.timers.arm(&soft.timer, due, timerEntry{uint32(no), deviceTimer})
		return
	}
	if b.pathIsSilent(soft) {
		b.pathSilent(soft.path) // when the way speaks and the device does not, it is offline: see pathSpeaks
		return
	}
	b.setOffline(no, soft, due, never)
}

// pathIsSilent reports whether a device's silence is its way's: nothing came by it since the
// device was last heard, or for so long that several others behind it must have spoken.
// A way with a single device cannot be told from the device.
func (b *batch) pathIsSilent(soft *deviceSoft) bool {
	p := &b.e.paths.all[soft.path]
	if soft.path == 0 || p.devices < 2 {
		return false
	}
	if p.heard <= soft.heard+int64(time.Second) {
		return true
	}
	return alarm.WaySilent(b.e.wordWithin(soft.path, b.now), fromNanos(p.heard), b.e.deafTo(soft.path), b.now)
}

func (b *batch) offlineSite(no registry.DeviceNo) (site, bool) {
	e := b.e
	id := e.memory.DeviceAt(no).Identity
	pt, ok := e.memory.AnyPoint(no)
	if !ok {
		return site{}, false
	}
	for _, r := range e.rulesOf(pt) {
		if r.From == alarm.FromSilence {
			return site{point: pt, where: e.memory.PointAt(pt).ID, rule: r, device: id}, true
		}
	}
	return site{}, false
}

func (b *batch) setOffline(no registry.DeviceNo, soft *deviceSoft, due time.Time, never bool) {
	s, ok := b.offlineSite(no)
	if !ok {
		return
	}
	if soft.flags&isOffline == 0 { // asked again after a restart, it is no news
		soft.flags |= isOffline
		b.seriesHealth(no, false, due)
	}
	s.detail = fmt.Sprintf("device %s last heard %s", s.device, fromNanos(soft.heard).Format(time.RFC3339))
	if never {
		s.detail = fmt.Sprintf("device %s was never heard since it was installed", s.device)
	}
	ep := b.e.episode(s.where, s.rule.Type)
	switch step := alarm.Next(s.rule, alarm.Silence(true, due, fromNanos(soft.heard)), ep, b.now); step.Action {
	case alarm.Raise:
		b.raise(s, nil, due)
		b.fellSilent(no, s, due)
	case alarm.Rejoin:
		b.because(fmt.Sprintf("timer/%s/%s/%d", s.where, s.rule.Type, due.UnixNano()), b.now)
		b.cameBack(s, ep, nil, due)
		b.fellSilent(no, s, due)
	}
}

// backOnline ends an offline episode: the device was heard.
func (b *batch) backOnline(no registry.DeviceNo, soft *deviceSoft) {
	soft.flags &^= isOffline
	b.seriesHealth(no, true, b.now)
	b.armSupervision(no, nil)
	s, ok := b.offlineSite(no)
	if !ok {
		return
	}
	if ep := b.e.episode(s.where, s.rule.Type); ep != nil && ep.Active {
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		if ep.Ticket != "" {
			b.check(ep.Ticket)
		}
	}
	b.isBack(no)
}

// pathSilent raises one fault for a way in that brings nothing from anyone, and says how
// many smoke points are blind.
func (b *batch) pathSilent(n uint32) {
	e := b.e
	r := e.silentRule
	if r == nil {
		return
	}
	p := &e.paths.all[n]
	s := site{point: registry.PointNo(registry.None), where: "path:" + p.name, rule: r, device: grid.Identity("path:" + p.name), mode: grid.Live}
	if ep := e.episode(s.where, r.Type); ep != nil && ep.Active {
		return
	}
	members, smoke := e.behind(n)
	s.mode = e.pathMode(n)
	s.detail = fmt.Sprintf("%s has brought nothing since %s: %d devices behind it, %d smoke points blind",
		p.name, fromNanos(p.heard).Format(time.RFC3339), members, smoke)
	b.raise(s, nil, fromNanos(p.heard))
	e.silentPaths++
	b.undo = append(b.undo, func() { e.silentPaths-- })
	b.protectionBehind(n, fromNanos(p.heard))
}

// pathSpeaks ends gateway.silent when the way brings something again.
func (b *batch) pathSpeaks(name string) {
	r := b.e.silentRule
	if r == nil {
		return
	}
	s := site{point: registry.PointNo(registry.None), where: "path:" + name, rule: r, device: grid.Identity("path:" + name), mode: grid.Live}
	if ep := b.e.episode(s.where, r.Type); ep != nil && ep.Active {
		s.mode = ep.Mode
		e := b.e
		e.silentPaths--
		b.undo = append(b.undo, func() { e.silentPaths++ })
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		b.check(ep.Ticket)
		b.superviseAgain(e.paths.get(name))
		b.protectionBehind(e.paths.get(name), b.now)
	}
}

// superviseAgain arms the supervision of the devices behind a path.
func (b *batch) superviseAgain(n uint32) {
	for i := range b.e.soft.devs {
		no := registry.DeviceNo(i)
		if b.e.soft.devs[i].path == n && b.e.memory.DeviceAt(no).State() == grid.Installed {
			b.armSupervision(no, nil)
		}
	}
}

// silence is the newest episode of a path's silence, or nil.
func (e *Engine) silence(n uint32) *grid.Alarm {
	return e.episode("path:"+e.paths.name(n), grid.EventGatewaySilent)
}

// unheard lists the spans in which nothing could be heard by a path: deafTo, and its
// newest silence. Devices get an interval of grace after it.
func (e *Engine) unheard(n uint32) []alarm.Span {
	out := e.deafTo(n)
	if ep := e.silence(n); ep != nil {
		out = append(out, alarm.Span{From: ep.At, To: ep.Returned})
	}
	return out
}

// behind counts the devices last heard by a path, and the smoke points among them.
func (e *Engine) behind(n uint32) (devices, smoke int) {
	for i := range e.soft.devs {
		if e.soft.devs[i].path != n {
			continue
		}
		devices++
		e.memory.PointsOf(registry.DeviceNo(i), func(_ string, pt registry.PointNo) {
			if e.memory.PointAt(pt).Kind() == grid.Smoke {
				smoke++
			}
		})
	}
	return devices, smoke
}

// pathMode is live if any device behind the path is.
func (e *Engine) pathMode(n uint32) grid.Mode {
	mode := grid.Live
	for i := range e.soft.devs {
		if e.soft.devs[i].path == n {
			if mode = e.memory.DeviceAt(registry.DeviceNo(i)).Mode(); mode == grid.Live {
				return mode
			}
		}
	}
	return mode
}

// deafTo lists the spans in which we, or the source of a path, could not hear.
func (e *Engine) deafTo(path uint32) []alarm.Span {
	if len(e.down) == 0 {
		return nil
	}
	source := e.paths.all[path].source
	var out []alarm.Span
	for _, s := range e.down {
		if s.Source == "" || s.Source == source || s.Source == clockSource {
			out = append(out, alarm.Span{From: s.From, To: s.To})
		}
	}
	return out
}

// deafSpans are those of a point's device that a condition's delays leave out.
func (e *Engine) deafSpans(pt registry.PointNo, r *alarm.Rule, in alarm.Input) []alarm.Span {
	if len(e.down) == 0 {
		return nil
	}
	no := e.memory.PointAt(pt).Device()
	if no == registry.DeviceNo(registry.None) {
		return e.skipped()
	}
	if out := alarm.Deaf(r, e.deafTo(e.soft.devs[no].path), in, e.intervalOf(no, nil)); out != nil {
		return out
	}
	return e.skipped()
}
