package engine

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// What a visit's verdict makes of its point: active or pending, and a technician who is sent.

// judgeVisit judges a visit that is in hand, and does what its verdict calls for.
func (b *batch) judgeVisit(v *grid.Visit) {
	was := v.State
	wake := b.e.Commission.Judge(v, b.now)
	b.wakeVisit(visitWake+v.ID, wake)
	if v.State != was && v.Signed != nil {
		b.decided(v, was)
	}
}

// decided is told when a signed visit has come to another verdict.
func (b *batch) decided(v *grid.Visit, was grid.VisitState) {
	if !v.Live() {
		v.Decided = b.now.UTC()
		b.visitOver(v)
	} else {
		v.Due = b.now.Add(b.e.Commission.Pending).UTC()
		b.wakeVisit(visitDue+v.ID, v.Due)
		b.closeVisitWindow(v)
	}
	b.auditVisit("visit."+string(v.State), v, v.Signed.By, reasonsEN(v.Reasons))
	if !b.isNewest(v) {
		return
	}
	if v.State == grid.VisitPassed {
		b.pointState(v, grid.PointActive)
		b.testCame(v)
		return
	}
	b.pointState(v, grid.PointPending)
	if was == grid.VisitPending && v.Signed.Verdict == commission.Pass { // he has left, and thinks that it is good
		b.sendTechnician(v, reasonsEN(v.Reasons))
	}
}

// isNewest makes a signed visit the one that decides over its point, unless a later one does.
func (b *batch) isNewest(v *grid.Visit) bool {
	if v.Newest {
		return true
	}
	others, err := b.e.store.NewestVisit(context.Background(), v.Point)
	if err != nil {
		b.e.log.Error("visits of a point cannot be read", "point", v.Point, "err", err)
		return false
	}
	for _, id := range b.visits { // of this turn
		if o := b.e.visits.all[id]; o != nil && o.Newest && o.Point == v.Point {
			others = append(others, *o)
		}
	}
	for i := range others {
		if o := &others[i]; o.ID != v.ID && o.Newest && o.Signed.At.After(v.Signed.At) {
			return false
		}
	}
	for i := range others {
		if id := others[i].ID; id != v.ID {
			if b.e.visits.all[id] == nil {
				set(b, b.e.visits.all, id, &others[i])
			}
			b.changeVisit(id).Newest = false
		}
	}
	v.Newest = true
	return true
}

// pointState makes a point protected, or not: what is pending counts as blind.
func (b *batch) pointState(v *grid.Visit, to grid.PointState) {
	e := b.e
	p, err := e.store.Point(context.Background(), v.Point)
	for i := range b.rows.Points {
		if b.rows.Points[i].ID == v.Point {
			p = b.rows.Points[i]
		}
	}
	if err != nil {
		e.log.Error("point cannot be read", "point", v.Point, "err", err)
		return
	}
	is := cmp.Or(p.State, grid.PointActive)
	if is == to || is == grid.PointRetired {
		return
	}
	if !strings.HasPrefix(b.cause, "cmd/") { // a frame or the clock did it: commands write their history themselves
		c := b.chronicle(visitAct(v))
		c.line(c.at(grid.Change{
			Action: "commission", Kind: "point", Subject: p.ID, Point: p.ID, Before: encoded(map[string]grid.PointState{"state": is}), After: encoded(map[string]grid.PointState{"state": to}),
		}, p.ID))
	}
	p.State = to
	b.rows.Points = append(b.rows.Points, p)
	points, building := []grid.Point{p}, v.Building
	b.after = append(b.after, func() {
		e.remember(points, nil, nil, nil)
		if building != "" { // judged in the next turn, when memory knows
			e.visits.due.set(visitBuilding+building, e.Now())
		}
	})
}

// visitAct is the act of a visit in the history of its point.
func visitAct(v *grid.Visit) grid.Act {
	act := grid.Act{By: v.By, Via: "visit", At: v.Opened, Reason: "visit " + v.ID}
	if v.Signed != nil {
		act.By, act.At = v.Signed.By, v.Signed.Signed
	}
	return act
}

func reasonsEN(all []grid.Text) string {
	var words []string
	for _, t := range all {
		words = append(words, t.EN)
	}
	return cut(strings.Join(words, "; "), maxAudited)
}

func (b *batch) auditVisit(action string, v *grid.Visit, by grid.Actor, detail string) {
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: by, Action: action, Subject: v.ID, Detail: cut(strings.TrimSuffix("at "+v.Point+": "+detail, ": "), maxAudited), Scope: v.Scope, Cell: v.Cell, Mode: v.Mode,
	})
}

// visitClocks judges again what has come due.
func (b *batch) visitClocks(wall time.Time) {
	b.comeDue(&b.e.visits.due, "the clock of a visit", wall, b.visitClock)
}

func (b *batch) visitClock(key string, wall time.Time) {
	e := b.e
	b.because(fmt.Sprintf("visit/%s/%d", key, wall.UnixNano()), wall)
	if building, ok := strings.CutPrefix(key, visitBuilding); ok {
		b.protection(building, wall)
		return
	}
	id, waited := strings.CutPrefix(key, visitDue)
	if !waited {
		id = strings.TrimPrefix(key, visitWake)
	}
	v := e.visits.all[id]
	switch {
	case v == nil || !v.Live():
	case !waited:
		b.judgeVisit(b.changeVisit(id))
	case v.State == grid.VisitPending:
		row := b.changeVisit(id)
		b.sendTechnician(row, fmt.Sprintf("signed by %s at %s, and the device has not shown: %s", v.Signed.By.Name, v.Signed.At.Format(time.RFC3339), reasonsEN(v.Reasons)))
	default:
		row := b.changeVisit(id)
		row.State, row.Decided = grid.VisitFailed, wall.UTC()
		row.Reasons = []grid.Text{{ZH: "没有人签署结论", EN: "nobody has signed a verdict"}}
		b.visitOver(row)
		b.auditVisit("visit.failed", row, grid.Actor{Role: grid.RoleSystem, Name: "clock"}, reasonsEN(row.Reasons))
	}
}

// sendTechnician opens the ticket of a point that was signed for and does not work.
func (b *batch) sendTechnician(v *grid.Visit, why string) {
	e := b.e
	rule := e.bare(grid.EventCommissioningPending)
	pt, ok := e.memory.Point(v.Point)
	if rule == nil || !ok {
		e.log.Error("no technician is sent to a visit that is pending: the rules name no such event, or the point is gone", "point", v.Point)
		return
	}
	if ep := e.episode(v.Point, rule.Type); ep == nil || !ep.Active {
		b.raise(site{point: pt, where: v.Point, rule: rule, device: v.Device, detail: cut(why, maxAudited)}, nil, b.now)
	}
	if ep := e.episode(v.Point, rule.Type); ep != nil {
		v.Alarm = ep.ID
	}
}

// testCame ends what sent a technician: the point has passed.
func (b *batch) testCame(v *grid.Visit) {
	e := b.e
	ep := e.episode(v.Point, grid.EventCommissioningPending)
	pt, ok := e.memory.Point(v.Point)
	rule := e.bare(grid.EventCommissioningPending)
	if ep == nil || !ep.Active || !ok || rule == nil {
		return
	}
	b.clear(site{point: pt, where: v.Point, rule: rule, device: v.Device, detail: "visit " + v.ID + " has passed"}, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	if ep.Ticket != "" {
		b.check(ep.Ticket)
	}
}
