package engine

import (
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// Soft state is what changes with every frame: last seen, last values, duplicate
// windows, the phase of each condition. It lives in flat tables beside the registry's,
// is checkpointed every few seconds, and is rebuilt at start from the checkpoint and
// the journal. No database row is ever written for it.

// deviceSoft is the soft state of one device.
type deviceSoft struct {
	heard  int64 // received time of the newest frame, unix nanoseconds; 0: never
	window uint64
	ring   [4]seen
	bad    [2]seen // the last frames that could not be read, newest first
	top    uint32  // newest counter of the session
	frames uint32
	dups   uint32

	battery alarm.Battery
	path    uint32 // by which gateway or source it was last heard
	timer   uint32 // the tick its supervision timer is armed for; 0: none
	flags   softFlags
	ringAt  uint8 // where the next frame goes in ring
}

type softFlags uint8

const (
	hasCounter softFlags = 1 << iota // top and window hold a session
	newSession                       // the next counter begins a session: after a join or restart
	dirty                            // to be written with the next checkpoint
	clockOff                         // its clock was not believed the last time it said one
	isOffline                        // an offline episode is active
	isGone                           // its will came, and nothing from it since
	underVisit                       // a technician commissions it
)

// seen is one remembered frame, for telling a repeat from news.
type seen struct {
	hash    uint32
	counter uint32
	at      uint32 // received, unix seconds
}

// pointSoft is the soft state of one point.
type pointSoft struct {
	vals  []value
	conds []condition
	timer uint32 // the tick its timer is armed for; 0: none
	flags softFlags
}

// value is the newest reading of one signal.
type value struct {
	v        float32
	received uint32 // unix seconds
	at       uint32 // device time if believed, unix seconds
	signal   grid.Signal
	flags    valueFlags
}

type valueFlags uint8

const (
	suspectValue valueFlags = 1 << iota
	retainedValue
	networkValue // by the network, not by the device
)

// condition is the phase of one rule at one point: abnormal or normal, and since when.
type condition struct {
	since int64 // received time of the first reading of this phase, unix nanoseconds
	heard int64 // received time of the newest reading of the rule's signal
	rule  uint8 // place in the point's rules
	flags conditionFlags
}

type conditionFlags uint8

const abnormal conditionFlags = 1

// soft holds the tables. Changes go through touchDevice and touchPoint, which save the
// old row, so that a batch whose commit fails leaves no trace.
type soft struct {
	devs   []deviceSoft
	points []pointSoft
	dirtyD []registry.DeviceNo
	dirtyP []registry.PointNo

	undoDevs   []deviceUndo
	undoPoints []pointUndo
	oldVals    []value     // arena of saved values
	oldConds   []condition // arena of saved conditions
}

type deviceUndo struct {
	no  registry.DeviceNo
	old deviceSoft
}

type pointUndo struct {
	no           registry.PointNo
	vals, conds  int // lengths before
	valAt, conAt int // where the old ones begin in the arenas
	timer        uint32
	flags        softFlags
}

// grow makes the tables as long as the registry's.
func (s *soft) grow(m *registry.Memory) {
	s.devs = append(s.devs, make([]deviceSoft, m.Devices()-len(s.devs))...)
	s.points = append(s.points, make([]pointSoft, m.Points()-len(s.points))...)
}

// touchDevice returns the row to change and remembers how it was.
func (s *soft) touchDevice(n registry.DeviceNo) *deviceSoft {
	d := &s.devs[n]
	s.undoDevs = append(s.undoDevs, deviceUndo{n, *d})
	if d.flags&dirty == 0 {
		d.flags |= dirty
		s.dirtyD = append(s.dirtyD, n)
	}
	return d
}

// touchPoint returns the row to change and remembers how it was.
func (s *soft) touchPoint(n registry.PointNo) *pointSoft {
	p := &s.points[n]
	s.undoPoints = append(s.undoPoints, pointUndo{
		no: n, vals: len(p.vals), conds: len(p.conds),
		valAt: len(s.oldVals), conAt: len(s.oldConds), timer: p.timer, flags: p.flags,
	})
	s.oldVals = append(s.oldVals, p.vals...)
	s.oldConds = append(s.oldConds, p.conds...)
	if p.flags&dirty == 0 {
		p.flags |= dirty
		s.dirtyP = append(s.dirtyP, n)
	}
	return p
}

// softMark is a place in the undo logs to roll back to.
type softMark struct{ devs, points int }

func (s *soft) mark() softMark { return softMark{len(s.undoDevs), len(s.undoPoints)} }

// rollback puts back every row changed since m, newest first. The dirty flag stays: a
// row too many in a checkpoint does no harm.
func (s *soft) rollback(m softMark) {
	for i := len(s.undoDevs) - 1; i >= m.devs; i-- {
		u := &s.undoDevs[i]
		s.devs[u.no] = u.old
		s.devs[u.no].flags |= dirty
	}
	for i := len(s.undoPoints) - 1; i >= m.points; i-- {
		u := &s.undoPoints[i]
		p := &s.points[u.no]
		p.vals = append(p.vals[:0], s.oldVals[u.valAt:u.valAt+u.vals]...)
		p.conds = append(p.conds[:0], s.oldConds[u.conAt:u.conAt+u.conds]...)
		p.timer, p.flags = u.timer, u.flags|dirty
	}
	s.undoDevs, s.undoPoints = s.undoDevs[:m.devs], s.undoPoints[:m.points]
}

// forget makes the changes final.
func (s *soft) forget() {
	s.undoDevs, s.undoPoints = s.undoDevs[:0], s.undoPoints[:0]
	s.oldVals, s.oldConds = s.oldVals[:0], s.oldConds[:0]
}

// val finds the value of a signal, or nil.
func (p *pointSoft) val(sig grid.Signal) *value {
	for i := range p.vals {
		if p.vals[i].signal == sig {
			return &p.vals[i]
		}
	}
	return nil
}

// cond finds the phase of a rule, or nil.
func (p *pointSoft) cond(rule uint8) *condition {
	for i := range p.conds {
		if p.conds[i].rule == rule {
			return &p.conds[i]
		}
	}
	return nil
}

// value looks up the newest value of a signal that counts: one from a retained message
// is state for people to see and decides nothing.
func (p *pointSoft) value(sig grid.Signal) (float64, bool) {
	v := p.val(sig)
	if v == nil || v.flags&retainedValue != 0 {
		return 0, false
	}
	return float64(v.v), true
}

func unixSeconds(t time.Time) uint32 {
	if s := t.Unix(); s > 0 && s < 1<<32 {
		return uint32(s)
	}
	return 0
}

func fromNanos(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
