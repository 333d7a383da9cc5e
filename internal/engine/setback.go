package engine

import (
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Our own clock may be set back: by seconds when it is set right, by years after a flat
// battery. What was heard "later" was heard now at the latest; else all that comes would be
// older than what is known, and nothing would be news until the clock has caught up.

// setBack is how far the clock goes back at the least for that to be its doing: frames of
// one lane may overtake one another by less.
const setBack = 2 * time.Minute

// inOrderOfLane notices that a frame was received before the one that was journaled before it.
func (b *batch) inOrderOfLane(f *grid.Frame) {
	e := b.e
	last := e.lastOf[f.Pos.Lane]
	if !last.IsZero() && f.Received.Before(last.Add(-setBack)) {
		b.turnedBack(f.Received)
	}
	e.lastOf[f.Pos.Lane] = f.Received
	if !last.Equal(f.Received) {
		b.undo = append(b.undo, func() { e.lastOf[f.Pos.Lane] = last })
	}
}

// turnedBack begins time anew.
func (b *batch) turnedBack(now time.Time) {
	e := b.e
	e.log.Warn("clock was set back", "in", b.time.Sub(now))
	b.time = now
	ns, secs := now.UnixNano(), unixSeconds(now)
	for i := range e.soft.devs {
		if e.soft.devs[i].heard > ns {
			d := e.soft.touchDevice(registry.DeviceNo(i))
			d.heard = ns
			for k := range d.ring {
				d.ring[k].at = min(d.ring[k].at, secs)
			}
			for k := range d.bad {
				d.bad[k].at = min(d.bad[k].at, secs)
			}
		}
	}
	for i := range e.soft.points {
		if e.soft.points[i].isAhead(ns, secs) {
			e.soft.touchPoint(registry.PointNo(i)).turnBack(ns, secs)
			b.wakePoint(registry.PointNo(i), now)
		}
	}
	for n := range e.paths.all {
		if old := e.paths.all[n].heard; old > ns {
			e.paths.all[n].heard = ns
			b.undo = append(b.undo, func() { e.paths.all[n].heard = old })
		}
	}
}

func (p *pointSoft) isAhead(ns int64, secs uint32) bool {
	for i := range p.vals {
		if p.vals[i].received > secs {
			return true
		}
	}
	for i := range p.conds {
		if p.conds[i].heard > ns {
			return true
		}
	}
	return false
}

func (p *pointSoft) turnBack(ns int64, secs uint32) {
	for i := range p.vals {
		p.vals[i].received, p.vals[i].at = min(p.vals[i].received, secs), min(p.vals[i].at, secs)
	}
	for i := range p.conds {
		p.conds[i].since, p.conds[i].heard = min(p.conds[i].since, ns), min(p.conds[i].heard, ns)
	}
}
