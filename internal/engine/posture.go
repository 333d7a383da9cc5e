package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
)

// maxPosture is how long a posture may be switched for.
const maxPosture = 7 * 24 * time.Hour

// SwitchPosture puts the district into a posture until a time, or back into the normal
// one. The same posture again moves its end.
func (e *Engine) SwitchPosture(ctx context.Context, p grid.Posture) (grid.Posture, error) {
	return as[grid.Posture](e.do(ctx, &command{name: "posture", do: func(b *batch) (any, error) { return b.switchPosture(p) }}))
}

// Posture gives the posture in force; the normal one has no times.
func (e *Engine) Posture(ctx context.Context) (grid.Posture, error) {
	return as[grid.Posture](e.do(ctx, &command{name: "posture", do: func(b *batch) (any, error) { return e.postureNow(), nil }}))
}

func (e *Engine) postureNow() grid.Posture {
	if e.posture == nil {
		return grid.Posture{Name: grid.PostureNormal, Scope: e.home, Mode: grid.Live}
	}
	return *e.posture
}

func (b *batch) switchPosture(p grid.Posture) (grid.Posture, error) {
	e := b.e
	now := b.now.UTC()
	switch {
	case !slices.Contains(grid.PostureNames, p.Name):
		return p, grid.Errorf(grid.Invalid, "posture is %q: want one of %v", p.Name, grid.PostureNames)
	case p.By.Role != grid.RoleSupervisor || p.By.Name == "":
		return p, grid.Errorf(grid.Forbidden, "posture is switched by the %s %q: want the duty lead, a supervisor", p.By.Role, p.By.Name)
	case p.Name == grid.PostureNormal && e.posture == nil:
		return e.postureNow(), nil
	case p.Name != grid.PostureNormal && (!p.To.After(now) || p.To.Sub(now) > maxPosture):
		return p, grid.Errorf(grid.Invalid, "to is %s: want when the posture ends by itself, at most %s from now", p.To.Format(time.RFC3339), maxPosture)
	}
	if e.posture != nil && e.posture.Name == p.Name {
		row := *e.posture
		row.To, row.By, row.Reason = p.To.UTC(), p.By, p.Reason
		b.setPosture(&row)
		b.auditPosture(&row, p.By)
		return row, nil
	}
	if e.posture != nil {
		b.closePosture(p.By.Name)
	}
	if p.Name == grid.PostureNormal {
		b.setPosture(nil)
		normal := e.postureNow()
		normal.Reason = p.Reason
		b.auditPosture(&normal, p.By)
		return normal, nil
	}
	row := grid.Posture{ID: b.id(), Name: p.Name, From: now, To: p.To.UTC(), By: p.By, Reason: p.Reason, Scope: e.home, Mode: grid.Live}
	b.setPosture(&row)
	b.auditPosture(&row, p.By)
	return row, nil
}

// closePosture writes the end of the posture in force.
func (b *batch) closePosture(by string) {
	row := *b.e.posture
	row.Ended, row.EndedBy = b.now.UTC(), by
	b.rows.Postures = append(b.rows.Postures, row)
}

func (b *batch) postureEnds(wall time.Time) {
	e := b.e
	if e.posture == nil {
		return
	}
	if wall.Before(e.posture.To) {
		b.wakeWindow(postureDue, e.posture.To)
		return
	}
	b.because(fmt.Sprintf("posture/%s/%d", e.posture.ID, e.posture.To.UnixNano()), wall)
	b.closePosture("clock")
	b.setPosture(nil)
	normal := e.postureNow()
	b.auditPosture(&normal, grid.Actor{Role: grid.RoleSystem, Name: "clock"})
}

func (b *batch) auditPosture(p *grid.Posture, by grid.Actor) {
	detail := string(p.Name)
	if !p.To.IsZero() {
		detail += " until " + p.To.Format(time.RFC3339)
	}
	if p.Reason != "" {
		detail += ": " + p.Reason
	}
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: by, Action: "posture.switch", Subject: string(p.Name), Detail: cut(detail, maxAudited), Scope: b.e.home, Mode: grid.Live,
	})
}

// setPosture puts the rules of a posture (nil: the normal one) in force, and judges again
// what they change.
func (b *batch) setPosture(p *grid.Posture) {
	e := b.e
	before, rules, cache := e.posture, e.Rules, e.ruleCache
	b.undo = append(b.undo, func() { e.posture, e.Rules, e.ruleCache = before, rules, cache })
	was := e.postureNow().Name
	e.force(p)
	until := time.Time{}
	if p != nil {
		b.rows.Postures = append(b.rows.Postures, *p)
		until = p.To
	}
	b.wakeWindow(postureDue, until)
	if is := e.postureNow().Name; is != was {
		b.judgeAgain(was, is)
	}
}

func (e *Engine) force(p *grid.Posture) {
	e.posture, e.ruleCache = p, map[ruleKey]*ruleSet{}
	e.Rules = e.normal.Load()
	if p != nil {
		e.Rules = e.Rules.In(p.Name)
	}
}

// judgeAgain judges the conditions of which two postures say different things: what is
// abnormal has its timer set to now, and what is worth more now is raised.
func (b *batch) judgeAgain(was, is grid.PostureName) {
	e := b.e
	differs := func(t grid.EventType) bool { return e.Rules.Differs(was, t) || e.Rules.Differs(is, t) }
	for i := range e.soft.points {
		pt := registry.PointNo(i)
		for _, c := range e.soft.points[i].conds {
			if c.flags&abnormal != 0 && differs(e.rulesOf(pt)[c.rule].Type) {
				b.wakePoint(pt, b.now)
				break
			}
		}
	}
	var ids []string
	for id, a := range e.alarms {
		if a.Active && e.Rules.Differs(is, a.Type) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		a := e.alarms[id]
		if s, ok := e.coverSite(a); ok && s.rule.From == alarm.FromSignal {
			b.liftTo(id, s.rule.Priority, fmt.Sprintf("posture is %s", is))
		}
	}
}

func (e *Engine) loadPosture(ctx context.Context) error {
	open, err := e.store.OpenPosture(ctx)
	if err != nil {
		return fmt.Errorf("load the posture: %w", err)
	}
	for i := range open { // one at most
		e.force(&open[i])
		e.windows.due.set(postureDue, open[i].To)
	}
	return nil
}
