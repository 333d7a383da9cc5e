package engine

import (
	"fmt"
	"slices"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// episodeKey finds the newest episode of an event type at a place: a point's id,
// "device:<identity>" for a device that has no point, "path:<name>" for a way in.
type episodeKey struct {
	where string
	typ   grid.EventType
}

func (e *Engine) episode(where string, typ grid.EventType) *grid.Alarm {
	return e.alarms[e.episodes[episodeKey{where, typ}]]
}

// forgetEvery is how often old episodes are let go from memory.
const forgetEvery = time.Hour

// forgetOld lets go of episodes that a restart would not load either: over for longer
// than any re-alarm window, and their tickets ended. They stay in the store.
func (e *Engine) forgetOld() {
	if e.engineTime.Sub(e.lastForgot) < forgetEvery {
		return
	}
	e.lastForgot = e.engineTime
	for id, a := range e.alarms {
		if a.InQueue() || e.engineTime.Sub(a.Returned) <= state.KeepReturned || e.tickets[a.Ticket] != nil {
			continue
		}
		delete(e.alarms, id)
		if key := (episodeKey{whereOf(a), a.Type}); e.episodes[key] == id {
			delete(e.episodes, key)
		}
	}
}

// sense judges the rules of a point that look at signals of which a frame brought news.
func (b *batch) sense(pt registry.PointNo, signals uint64, d *decoded) {
	e := b.e
	soft := e.soft.touchPoint(pt)
	for i, rule := range e.rulesOf(pt) {
		if e.watched(pt)[i]&signals == 0 {
			continue
		}
		c := soft.cond(uint8(i))
		is, known := alarm.Abnormal(rule, soft.value, c != nil && c.flags&abnormal != 0)
		if !known {
			continue
		}
		if rule.Moment {
			if is {
				b.moment(pt, rule, d)
			}
			continue
		}
		if c == nil {
			soft.conds = append(soft.conds, condition{rule: uint8(i)})
			c = &soft.conds[len(soft.conds)-1]
		}
		if was := c.flags&abnormal != 0; was != is {
			b.keepTurn(pt, rule, d)
		} else if is && b.overBefore(pt, rule, c) {
			c.since, c.heard = 0, 0 // a new phase
		}
		if !b.quiet && c.heard != 0 && is != (c.flags&abnormal != 0) {
			// What has come due before this reading is concluded before it, by an engine
			// that lags as well.
			b.judge(pt, uint8(i), nil)
			c = e.soft.points[pt].cond(uint8(i))
		}
		c.hear(is, d.frame.Received)
		if !b.quiet {
			b.judge(pt, uint8(i), d)
		}
	}
	if b.quiet {
		e.replayed[pt] = d
	}
}

// overBefore reports whether the episode of a condition was ended by a person after it was
// last heard: see endedToo.
func (b *batch) overBefore(pt registry.PointNo, r *alarm.Rule, c *condition) bool {
	ep := b.e.episode(b.e.memory.PointAt(pt).ID, r.Type)
	return ep != nil && !ep.Active && ep.Returned.Equal(alarm.EndedAt(ep, c.input()))
}

// keepTurn copies the frame at which a condition turns to the case of its open ticket:
// the sensor's own word that it is normal again belongs to the case.
func (b *batch) keepTurn(pt registry.PointNo, r *alarm.Rule, d *decoded) {
	ep := b.e.episode(b.e.memory.PointAt(pt).ID, r.Type)
	if ep != nil && b.e.tickets[ep.Ticket] != nil {
		b.keepEvidence(ep.Ticket, d)
	}
}

func (c *condition) input() alarm.Input {
	return alarm.Input{Abnormal: c.flags&abnormal != 0, Since: fromNanos(c.since), Heard: fromNanos(c.heard)}
}

func (c *condition) hear(is bool, received time.Time) {
	in := c.input().Hear(is, received)
	c.since, c.heard, c.flags = in.Since.UnixNano(), in.Heard.UnixNano(), 0
	if in.Abnormal {
		c.flags = abnormal
	}
}

// judge asks one rule of a point what its phase calls for now, and does it. d is the
// frame that brought the news, nil when a timer asks.
func (b *batch) judge(pt registry.PointNo, rule uint8, d *decoded) {
	e := b.e
	r := e.rulesOf(pt)[rule]
	c := e.soft.points[pt].cond(rule)
	where := e.memory.PointAt(pt).ID
	ep := e.episode(where, r.Type)
	if c == nil {
		return
	}
	deaf := e.deafSpans(pt, r, c.input())
	step := alarm.Next(r, c.input(), ep, b.now, deaf...)
	s := site{point: pt, where: where, rule: r}
	switch step.Action {
	case alarm.Raise:
		b.raise(s, d, b.whenOf(pt, r, c, d))
	case alarm.Rejoin:
		b.cameBack(s, ep, d, b.whenOf(pt, r, c, d))
	case alarm.Clear:
		b.clear(s, ep, c.input(), d)
	}
	if waits := c.input().Abnormal != (ep != nil && ep.Active); waits && step == (alarm.Step{}) && alarm.Lasts(deaf) {
		step.Wake = b.now.Add(time.Minute) // nothing is concluded now, and no frame need come when we hear again
	}
	b.wakePoint(pt, step.Wake)
	// A new episode does not take the watch off the tickets of those before it.
	key := episodeKey{where, r.Type}
	for _, id := range append(e.earlier[key], e.episodes[key]) {
		if ep := e.alarms[id]; ep != nil {
			b.check(ep.Ticket)
		}
	}
	b.checkFiled(where)
}

// whenOf is when the condition began: the device's time of the reading that says so.
func (b *batch) whenOf(pt registry.PointNo, r *alarm.Rule, c *condition, d *decoded) time.Time {
	if d == nil {
		return fromNanos(c.since)
	}
	for i := range r.Any {
		if v := b.e.soft.points[pt].val(r.Any[i].Signal); v != nil && v.at != 0 {
			if at := time.Unix(int64(v.at), 0).UTC(); d.frame.Received.Sub(at) > time.Second {
				return at
			}
		}
	}
	return d.frame.Received
}

func (b *batch) wakePoint(pt registry.PointNo, at time.Time) {
	if at.IsZero() {
		return
	}
	soft := b.e.soft.touchPoint(pt)
	b.e.timers.arm(&soft.timer, at, timerEntry{uint32(pt), pointTimer})
}

// site is where an episode is: a point, or only a device or a path.
type site struct {
	point  registry.PointNo
	where  string
	rule   *alarm.Rule
	device grid.Identity
	detail string
	mode   grid.Mode  // for what has no point
	at     grid.Point // for what has no point of its own but a place: a building; of what was filed always
	filed  *grid.Filing
	opened time.Time // when its ticket counts from; zero: now
}

func (s site) hasPoint() bool { return s.point != registry.PointNo(registry.None) }

// row is the place as events and alarms carry it.
func (b *batch) row(s site) grid.Point {
	e := b.e
	switch {
	case s.filed != nil:
		return s.at
	case s.hasPoint():
	case s.at.Building != "" || s.at.ID != "":
		p := s.at
		p.ID, p.Mode = "", s.mode
		return p
	default:
		return grid.Point{Mode: s.mode, Scope: e.home}
	}
	p := e.memory.PointAt(s.point)
	return grid.Point{ID: p.ID, Kind: p.Kind(), Scope: e.memory.Scope(p), Cell: e.memory.Cell(p), Building: e.memory.Building(p), Mode: p.Mode()}
}

// raise opens an episode, tells of it, and opens its ticket: one transaction.
func (b *batch) raise(s site, d *decoded, at time.Time) {
	e := b.e
	if d == nil && s.filed == nil { // a timer: its ids must not depend on when the timer was asked
		b.because(fmt.Sprintf("timer/%s/%s/%d", s.where, s.rule.Type, at.UnixNano()), b.now)
	}
	key := episodeKey{s.where, s.rule.Type}
	previous := e.episode(s.where, s.rule.Type)
	id, told := b.nameOf(key, b.id())
	ep := b.changeAlarm(id)
	*ep = alarm.Opened(s.rule, id, b.row(s), b.deviceOf(s, d), at, b.now, previous)
	ep.Unjournalled = told
	s.rule.Turned(ep, b.now)
	ep.Filed = s.filed
	held := s.filed == nil && b.covered(&s, ep, d)
	set(b, e.episodes, key, id)
	b.superseded(key, previous)
	b.burns(ep, +1)
	b.countFiled(ep, +1)
	b.countWhile(ep, +1)
	if s.rule.Ticket && !held {
		b.work(s, ep, d)
	}
	b.tell(s, "raised", ep, d, at)
	b.lift(s, ep)
	b.keepEvidence(ep.Ticket, d)
	b.standing(ep)
}

// superseded remembers an episode that is not the newest any more, while its ticket is open.
func (b *batch) superseded(key episodeKey, ep *grid.Alarm) {
	e := b.e
	var open []string
	for _, id := range e.earlier[key] {
		if a := e.alarms[id]; a != nil && e.tickets[a.Ticket] != nil {
			open = append(open, id)
		}
	}
	if ep != nil && e.tickets[ep.Ticket] != nil {
		open = append(open, ep.ID)
	}
	if len(open) == 0 {
		unset(b, e.earlier, key)
		return
	}
	set(b, e.earlier, key, slices.Clip(open))
}

// remindOf does it for the episodes of tickets that are loaded.
func (e *Engine) remindOf(ep *grid.Alarm) {
	key := episodeKey{whereOf(ep), ep.Type}
	if e.episodes[key] != ep.ID && e.tickets[ep.Ticket] != nil && !slices.Contains(e.earlier[key], ep.ID) {
		e.earlier[key] = slices.Clip(append(e.earlier[key], ep.ID))
	}
}

// rejoin goes on with an episode whose condition came back within the re-alarm window.
func (b *batch) rejoin(s site, old *grid.Alarm, d *decoded) *grid.Alarm {
	ep := b.changeAlarm(old.ID)
	*ep = alarm.Rejoined(*old)
	s.rule.Turned(ep, b.now)
	b.burns(ep, +1)
	b.countWhile(ep, +1)
	b.stirred(ep, +1)
	b.tell(s, "repeated", ep, d, b.now)
	b.keepEvidence(ep.Ticket, d)
	return ep
}

func (b *batch) clear(s site, old *grid.Alarm, in alarm.Input, d *decoded) {
	ep := b.changeAlarm(old.ID)
	*ep = alarm.Cleared(*old, in)
	s.rule.Turned(ep, b.now)
	b.burns(ep, -1)
	b.countFiled(ep, -1)
	b.countWhile(ep, -1)
	b.stirred(ep, -1)
	b.tell(s, "cleared", ep, d, ep.Returned)
	b.keepEvidence(ep.Ticket, d)
}

// fireAt is the building of an episode, as it was when it began: what is not live burns in
// another one.
func fireAt(ep *grid.Alarm) string {
	if ep.Building != "" && !isLive(ep.Mode) {
		return "not live/" + ep.Building
	}
	return ep.Building
}

// burns counts the active smoke alarms of a building: two detectors are a second witness.
func (b *batch) burns(ep *grid.Alarm, n int) {
	if key := fireAt(ep); ep.Type == grid.EventSmokeAlarm && key != "" {
		set(b, b.e.burning, key, b.e.burning[key]+n)
		if n > 0 && b.e.burning[key] > 1 {
			b.believeNow(key)
		}
	}
	if n > 0 {
		b.witnessed(ep)
	}
}

// believeNow looks again at fires of a building that were not believed by one detector: they
// may stand in tickets that the second one does not join, since a person split them.
func (b *batch) believeNow(building string) {
	for id, t := range b.e.tickets {
		held := t.Type == grid.EventSmokeAlarm && (t.Verification == grid.VerifiedFalse || t.Suspect != "") && !t.State.Ended()
		if held && slices.ContainsFunc(b.e.episodesOf(t), func(ep *grid.Alarm) bool { return fireAt(ep) == building }) {
			b.wakeTicket(id, b.now)
		}
	}
}

// moment is an event that is no lasting state: a test press.
func (b *batch) moment(pt registry.PointNo, r *alarm.Rule, d *decoded) {
	if b.quiet {
		return
	}
	s := site{point: pt, where: b.e.memory.PointAt(pt).ID, rule: r}
	ep := alarm.Opened(r, "", b.row(s), d.frame.Identity, b.now, b.now, nil)
	b.tell(s, "noted", &ep, d, b.now)
}

func (b *batch) deviceOf(s site, d *decoded) grid.Identity {
	switch {
	case d != nil:
		return d.frame.Identity
	case s.device != "":
		return s.device
	case s.hasPoint():
		if n := b.e.memory.PointAt(s.point).Device(); n != registry.DeviceNo(registry.None) {
			return b.e.memory.DeviceAt(n).Identity
		}
	}
	return ""
}

// tell writes the event that tells of an episode, for the log and for InfluxDB.
func (b *batch) tell(s site, action string, ep *grid.Alarm, d *decoded, at time.Time) {
	ev := s.rule.Event(b.id(), action, ep, at, b.now)
	ev.Detail = s.detail
	if d != nil {
		ev.Frame, ev.Profile, ev.Device = d.frame.Pos.String(), d.out.Profile, d.frame.Identity
		if ev.Profile == "" {
			ev.Profile = d.profileID
		}
	}
	if s.hasPoint() {
		soft := &b.e.soft.points[s.point]
		for i := range s.rule.Any {
			if v, ok := soft.value(s.rule.Any[i].Signal); ok {
				ev.Signal, ev.Value = s.rule.Any[i].Signal.String(), v
				break
			}
		}
	}
	b.rows.Events = append(b.rows.Events, ev)
	b.seriesEvent(&ev)
}

// lateSmoke handles a reading "there is smoke" that is not news. Smoke is never only
// history: it raises smoke.late, once per episode, with its age.
func (b *batch) lateSmoke(pt registry.PointNo, d *decoded, r *grid.Reading) {
	e := b.e
	where := e.memory.PointAt(pt).ID
	for _, rule := range e.rulesOf(pt) {
		if rule.From != alarm.FromLate {
			continue
		}
		a := arrivalOf(d, r)
		live, late := e.episode(where, grid.EventSmokeAlarm), e.episode(where, rule.Type)
		s := site{point: pt, where: where, rule: rule, detail: "of unknown age"}
		if age, known := a.Age(); known {
			s.detail = "received " + age.Round(time.Second).String() + " after it happened"
		}
		switch alarm.SmokeLate(rule, a, live, late) {
		case alarm.Raise:
			b.raise(s, d, a.At())
		case alarm.Rejoin:
			b.cameBack(s, late, d, a.At())
		default:
			continue
		}
		b.wakePoint(pt, b.now) // what was heard in the same instant may say that it is over
	}
}

// arrivalOf says how a reading came in.
func arrivalOf(d *decoded, r *grid.Reading) alarm.Arrival {
	f := &d.frame
	a := alarm.Arrival{
		Received: f.Received, Device: r.At, Network: f.At,
		History: r.History, Retained: f.Flags&grid.Retained != 0, OutOfOrder: d.behind,
	}
	if a.Device.IsZero() {
		a.Device = d.out.DeviceTime
	}
	if a.Device.IsZero() && d.behind && !f.At.IsZero() {
		// The network's clock is the best that is known of a frame that was overtaken.
		a.Device, a.History = f.At, true
	}
	return a
}

// isLate reports whether a smoke alarm in order was on its way for so long that it is no
// longer news.
func (b *batch) isLate(pt registry.PointNo, d *decoded, r *grid.Reading) bool {
	for _, rule := range b.e.rulesOf(pt) {
		if rule.From == alarm.FromLate {
			return arrivalOf(d, r).Class(rule.LateAfter, rule.MaxAge) != alarm.Live
		}
	}
	return false
}

// unreadable says that word of a smoke detector could not be read: within seconds the
// operator knows, with the last known place. fire says that a trial decode saw an alarm.
func (b *batch) unreadable(s site, d *decoded, why string, fire bool) {
	if b.quiet {
		return
	}
	s.rule = b.e.unreadableRule
	if s.rule == nil {
		return
	}
	s.detail = why
	ep := b.e.episode(s.where, s.rule.Type)
	switch {
	case ep != nil && ep.Active && (!fire || ep.Priority == 1):
		return // the operator knows already
	case ep != nil && ep.Active:
		up := b.changeAlarm(ep.ID)
		up.Priority = 1
		alarm.AskAgain(up)
		up.Count++
		b.tell(s, "repeated", up, d, b.now)
		return
	}
	if fire {
		urgent := *s.rule
		urgent.Priority = 1
		s.rule = &urgent
	}
	b.raise(s, d, b.now)
	if s.hasPoint() {
		b.protection(b.e.memory.Building(b.e.memory.PointAt(s.point)), b.now)
	}
}

// readable ends safety.unreadable: the device can be read again. The fault may have been
// raised while the device had no point yet.
func (b *batch) readable(no registry.DeviceNo, d *decoded) {
	r := b.e.unreadableRule
	if r == nil || b.e.memory.DeviceAt(no).Lane() != grid.Safety {
		return
	}
	stranger := site{point: registry.PointNo(registry.None), where: "device:" + string(d.frame.Identity), rule: r, device: d.frame.Identity}
	b.readableAt(stranger, d)
	if pt, ok := b.e.memory.AnyPoint(no); ok {
		b.readableAt(site{point: pt, where: b.e.memory.PointAt(pt).ID, rule: r}, d)
	}
}

func (b *batch) readableAt(s site, d *decoded) {
	if ep := b.e.episode(s.where, s.rule.Type); ep != nil && ep.Active {
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, d)
		if ep.Ticket != "" {
			b.check(ep.Ticket)
		}
		if s.hasPoint() {
			b.protection(b.e.memory.Building(b.e.memory.PointAt(s.point)), b.now)
		}
	}
}
