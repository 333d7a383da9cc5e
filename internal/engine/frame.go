package engine

import (
	"fmt"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// frame takes one decoded frame through the rules: who sent it, was it had before, is
// it news, and what does it say. Every frame ends in exactly one outcome of the ledger.
func (b *batch) frame(d *decoded) {
	f := &d.frame
	b.because(f.Pos.String(), f.Received)
	b.inOrderOfLane(f)
	if f.Received.After(b.time) {
		b.time = f.Received
	}
	b.cursors[f.Pos.Lane] = f.Pos
	outcome := b.settle(d, nil)
	b.count(f, outcome, 1)
	if d.both != nil && outcome != grid.Duplicate {
		b.weigh(d)
	}
}

// settle decides over a frame and says where it ended. held is its row of the
// quarantine when it is replayed.
func (b *batch) settle(d *decoded, held *grid.QuarantinedFrame) grid.Outcome {
	e, f := b.e, &d.frame
	switch {
	case f.Flags&grid.Marker != 0:
		return grid.IgnoredFrame
	case d.panicked != "" && !b.mayRead(d):
		return b.hold(d, held, grid.InternalFault, "decoder failed: "+d.panicked)
	case f.Flags&grid.Refused != 0:
		return b.hold(d, held, grid.TooLarge, f.Note)
	case f.Identity == "":
		return b.hold(d, held, grid.BadEnvelope, f.Note)
	}
	source, _ := e.paths.of(f)
	if f.Lapsed == 0 { // which we say ourselves
		b.heardPath(source, source, f.Received)
	}
	no, known := e.memory.Device(f.Identity)
	if !known {
		return b.unknown(d, held)
	}
	dev := e.memory.DeviceAt(no)
	if s := dev.State(); s == grid.Barred || s == grid.Retired {
		b.barredSpeaks(no, d)
		return b.hold(d, held, grid.BarredDevice, fmt.Sprintf("device %s is %s", f.Identity, s))
	}
	if d.envelopeErr != nil {
		return b.holdOnce(no, d, held, grid.BadEnvelope, d.envelopeErr)
	}
	if f.Down != nil {
		b.answered(f)
	}
	if id := e.memory.Profile(dev); d.stale(id, e.profiles.now.Load()) {
		e.redecode(d, id) // the registration or the version changed after the frame was decoded
	}
	if d.panicked != "" {
		return b.hold(d, held, grid.InternalFault, "decoder failed: "+d.panicked)
	}
	if f.Kind.Ignored() {
		b.ignored(no, d)
		return grid.IgnoredFrame
	}
	if d.profile == nil {
		return b.hold(d, held, grid.NoProfile, fmt.Sprintf("profile %q of device %s is not loaded", d.profileID, f.Identity))
	}
	if d.decodeErr != nil {
		return b.holdOnce(no, d, held, grid.Undecodable, d.decodeErr)
	}
	return b.report(no, d, held)
}

// mayRead reports whether a frame on which a profile panicked is worth another try: by now
// another profile or version is in force for its device.
func (b *batch) mayRead(d *decoded) bool {
	no, known := b.e.memory.Device(d.frame.Identity)
	return known && d.versions != nil && d.stale(b.e.memory.Profile(b.e.memory.DeviceAt(no)), b.e.profiles.now.Load())
}

// report handles a frame that could be read, from a device that we know.
func (b *batch) report(no registry.DeviceNo, d *decoded, held *grid.QuarantinedFrame) grid.Outcome {
	f := &d.frame
	v := fresh
	if (held == nil || held.Whole) && f.Flags&grid.Retained == 0 {
		v = b.see(no, d) // repeats wait in quarantine too
	}
	soft := b.heard(no, d, false)
	b.batterySaid(no, d)
	if d.out.Answer {
		return grid.IgnoredFrame
	}
	if v == duplicate {
		// A repeat that says alarm while no episode is active is no repeat.
		if !b.alarmWithoutEpisode(no, d) {
			soft.dups++
			return grid.Duplicate
		}
		v = fresh
		if n, has, _ := counter(d); has && n != soft.top {
			v = behind
		}
	}
	if held == nil && b.overRate(no, d) {
		return grid.Discarded
	}
	d.behind = v == behind
	if !d.out.DeviceTime.IsZero() && !d.behind {
		soft.flags &^= clockOff
		if !alarm.Believed(f.Received, d.out.DeviceTime, false) {
			soft.flags |= clockOff
		}
	}
	if b.maySay(no, d) {
		b.warnOfSmoke(d, grid.Undecodable, d.out.Warnings[0])
	} else {
		b.readable(no, d)
	}
	b.apply(no, d, v, held)
	if b.e.soft.devs[no].flags&underVisit != 0 {
		b.underVisited(no, d)
	}
	return grid.Processed
}

// maySay reports whether a smoke detector's frame was read only in part, and the part
// that was read says nothing of smoke: the fire may lie behind what is unknown.
func (b *batch) maySay(no registry.DeviceNo, d *decoded) bool {
	if len(d.out.Warnings) == 0 || b.e.memory.DeviceAt(no).Lane() != grid.Safety {
		return false
	}
	for i := range d.out.Readings {
		if s := d.out.Readings[i].Signal; s == grid.SmokeAlarm || s == grid.HeatAlarm {
			return false
		}
	}
	return true
}

// see asks the duplicate rules.
func (b *batch) see(no registry.DeviceNo, d *decoded) verdict {
	return b.e.soft.touchDevice(no).see(b.e.arrival(no, d))
}

// arrival is what the duplicate rules look at.
func (e *Engine) arrival(no registry.DeviceNo, d *decoded) arrival {
	a := arrival{hash: d.hash, received: d.frame.Received, restart: d.out.Restart, redelivered: d.frame.Flags&grid.Redelivered != 0}
	if d.out.ContentKey != 0 {
		a.hash = d.out.ContentKey
	}
	a.counter, a.has, a.bits = counter(d)
	if !a.has {
		// Shorter than half the reporting interval, so that two heartbeats are two.
		a.window = e.intervalOf(no, d) * 45 / 100
	}
	return a
}

// counter is the frame's counter, from where its profile says that it is: one window
// never mixes two counters.
func counter(d *decoded) (n uint32, has bool, bits int) {
	return d.out.Sequence, d.out.HasSequence, d.profile.Counter.Bits
}

// heard notes that a device is there: even a repeat counts.
func (b *batch) heard(no registry.DeviceNo, d *decoded, joined bool) *deviceSoft {
	e, f := b.e, &d.frame
	soft := e.soft.touchDevice(no)
	soft.frames++
	if joined {
		soft.flags |= newSession
	}
	if f.Flags&grid.Retained != 0 {
		return soft // the broker speaks, not the device
	}
	soft.flags &^= isGone
	if at := f.Received.UnixNano(); at > soft.heard {
		if at/int64(time.Hour) != soft.heard/int64(time.Hour) {
			b.seriesHealth(no, true, f.Received)
		}
		soft.heard = at
		source, path := e.paths.of(f)
		b.heardPath(path, source, f.Received)
		if soft.path != path {
			b.moved(soft.path, path)
			soft.path = path
		}
	}
	if soft.timer == 0 && e.memory.DeviceAt(no).Installed != 0 {
		b.armSupervision(no, d)
	}
	if soft.flags&isOffline != 0 {
		b.backOnline(no, soft)
	}
	if len(e.awaited) > 0 && !b.quiet {
		if id, ok := e.awaited[no]; ok {
			b.check(id)
		}
	}
	return soft
}

// apply puts the readings of a frame into state and judges what they mean.
func (b *batch) apply(no registry.DeviceNo, d *decoded, v verdict, held *grid.QuarantinedFrame) {
	e, f := b.e, &d.frame
	e.touched = e.touched[:0]
	e.lines = e.lines[:0]
	var unknown []string
	for i := range d.out.Readings {
		r := &d.out.Readings[i]
		if held != nil && held.Channel != "" && channelName(r.Channel) != held.Channel {
			continue // only this part of the frame was held
		}
		pt, ok := b.pointOf(no, r)
		if !ok {
			unknown = addOnce(unknown, channelName(r.Channel))
			continue
		}
		past := v == behind || r.History || f.Flags&grid.Retained != 0
		if b.reading(pt, d, r, past) {
			e.touch(pt, r.Signal)
			if r.Signal == grid.BatteryLevel {
				b.forecast(no, pt, d, r)
			}
		}
		b.seriesReading(pt, d, r)
	}
	b.seriesFlush(d)
	for _, t := range e.touched {
		b.sense(t.point, t.signals, d)
	}
	// A device that is registered and not yet installed has no points: nothing is missing.
	if len(unknown) > 0 && held == nil && e.memory.DeviceAt(no).State() == grid.Installed {
		b.holdChannels(d, unknown)
	}
}

// touchedPoint is a point that a frame has news of, with a bit for each signal.
type touchedPoint struct {
	point   registry.PointNo
	signals uint64
}

func (e *Engine) touch(pt registry.PointNo, s grid.Signal) {
	for i := range e.touched {
		if e.touched[i].point == pt {
			e.touched[i].signals |= 1 << s
			return
		}
	}
	e.touched = append(e.touched, touchedPoint{pt, 1 << s})
}

// pointOf finds the point that a reading is of. Readings of the device itself (battery,
// signal, tamper) belong to its first point where it has no main channel.
func (b *batch) pointOf(no registry.DeviceNo, r *grid.Reading) (registry.PointNo, bool) {
	m := b.e.memory
	if pt, ok := m.PointFor(no, r.Channel); ok {
		return pt, true
	}
	if (r.Channel == "" || r.Channel == grid.MainChannel) && ofDevice(r.Signal) {
		return m.AnyPoint(no)
	}
	return 0, false
}

func ofDevice(s grid.Signal) bool {
	switch s {
	case grid.BatteryLevel, grid.BatteryVoltage, grid.BatteryLow, grid.RSSI, grid.SNR, grid.Temperature, grid.Tamper, grid.Fault, grid.TestPress, grid.DeviceRemove, grid.EndOfLife:
		return true
	}
	return false
}

// reading moves the newest value of one signal forward, and reports whether it is news.
// What is older than the state fills history and changes nothing else, but smoke is
// never only history.
func (b *batch) reading(pt registry.PointNo, d *decoded, r *grid.Reading, past bool) bool {
	f := &d.frame
	soft := b.e.soft.touchPoint(pt)
	val := soft.val(r.Signal)
	if !past && val != nil && unixSeconds(f.Received) < val.received {
		past = true // another lane brought newer word, or this is a replay
	}
	if isFire(r) && !past && b.isLate(pt, d, r) {
		past = true
	}
	if past {
		if f.Flags&grid.Retained != 0 && val == nil {
			setValue(soft, d, r, b.timeOf(d, r), retainedValue)
		}
		if isFire(r) {
			b.lateSmoke(pt, d, r)
		}
		return false
	}
	setValue(soft, d, r, b.timeOf(d, r), 0)
	return true
}

func setValue(soft *pointSoft, d *decoded, r *grid.Reading, at time.Time, flags valueFlags) {
	val := soft.val(r.Signal)
	if val == nil {
		soft.vals = append(soft.vals, value{signal: r.Signal})
		val = &soft.vals[len(soft.vals)-1]
	}
	val.v, val.received, val.at, val.flags = float32(r.Value), unixSeconds(d.frame.Received), unixSeconds(at), flags
	if r.Suspect {
		val.flags |= suspectValue
	}
}

// isAbnormal reports whether a condition is known to be abnormal already, and only its
// on-delay has not run out.
func (b *batch) isAbnormal(pt registry.PointNo, typ grid.EventType) bool {
	for i, r := range b.e.rulesOf(pt) {
		if r.Type == typ {
			c := b.e.soft.points[pt].cond(uint8(i))
			return c != nil && c.flags&abnormal != 0
		}
	}
	return false
}

// isFire reports whether a reading says that there is a fire.
func isFire(r *grid.Reading) bool {
	return r.Bool() && (r.Signal == grid.SmokeAlarm || r.Signal == grid.HeatAlarm)
}

// timeOf is when a reading was taken, by the best clock that can be believed.
func (b *batch) timeOf(d *decoded, r *grid.Reading) time.Time {
	switch {
	case !r.At.IsZero() && alarm.Believed(d.frame.Received, r.At, r.History):
		return r.At
	case !d.out.DeviceTime.IsZero() && alarm.Believed(d.frame.Received, d.out.DeviceTime, false):
		return d.out.DeviceTime
	}
	return d.frame.Received
}

// alarmWithoutEpisode reports whether a frame says alarm at a point that has no active
// episode of it.
func (b *batch) alarmWithoutEpisode(no registry.DeviceNo, d *decoded) bool {
	for i := range d.out.Readings {
		r := &d.out.Readings[i]
		if !isFire(r) && !(r.Signal == grid.ManholeOpen && r.Bool()) {
			continue
		}
		pt, ok := b.pointOf(no, r)
		if !ok {
			continue
		}
		typ := grid.EventSmokeAlarm
		if r.Signal == grid.ManholeOpen {
			typ = grid.EventManholeOpen
		}
		ep := b.e.episode(b.e.memory.PointAt(pt).ID, typ)
		if (ep == nil || !ep.Active) && !b.isAbnormal(pt, typ) {
			return true
		}
	}
	return false
}

func addOnce(all []string, s string) []string {
	for _, t := range all {
		if s == t {
			return all
		}
	}
	return append(all, s)
}

func channelName(c string) string {
	if c == "" {
		return grid.MainChannel
	}
	return c
}
