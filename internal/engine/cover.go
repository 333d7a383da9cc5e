package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// How a window redirects an episode: it asks before it dispatches (smoke, 60 s; an open
// cover in a permit, 10 min), holds the ticket back until its end, or makes it an exercise.
// The episode itself is always recorded and shown.

// covered sets how a new episode stands to the windows of its point, and reports whether
// one keeps it from having a ticket now.
func (b *batch) covered(s *site, ep *grid.Alarm, d *decoded) bool {
	e := b.e
	if !s.hasPoint() || !s.rule.Ticket {
		return false
	}
	if x, w := e.scripted(s.where, ep.Type, b.now); w != nil {
		ep.Mode = grid.Exercise
		ep.Cover = &grid.Cover{Window: w.ID, Kind: w.Kind, State: grid.CoverExercise, Of: w.Lead, Until: x.To}
		b.wakeWindow(coverDue+ep.ID, x.To)
		return false
	}
	w, how := e.covering(s, ep.Priority, b.now)
	if w == nil || how == grid.CoverAsked && e.hasWitness(*s, ep) {
		return false
	}
	c := grid.Cover{Window: w.ID, Kind: w.Kind, State: how}
	words := fmt.Sprintf("%s window of %s until %s", w.Kind, w.By.Name, w.To.Format(time.RFC3339))
	if how == grid.CoverAsked {
		c = alarm.Question(w, b.now)
		words += fmt.Sprintf(": %s is asked %q", c.Of, c.Ask)
		b.wakeWindow(coverDue+ep.ID, c.Due)
	}
	if s.detail != "" {
		words = s.detail + "; " + words
	}
	s.detail, ep.Cover = words, &c
	b.keepEvidence(ep.ID, d) // until there is a ticket
	if how == grid.CoverAsked && w.Kind == grid.WindowPermit {
		b.askHolder(*s, w, ep)
	}
	return true
}

// scripted finds the exercise that expects an alarm.
func (e *Engine) scripted(point string, t grid.EventType, at time.Time) (grid.Expected, *grid.Window) {
	for _, w := range e.windowsOf(point) {
		if x, ok := alarm.Scripted(w, point, t, at); ok {
			return x, w
		}
	}
	return grid.Expected{}, nil
}

// covering finds the window that covers an event of a point; of several one that asks.
func (e *Engine) covering(s *site, p grid.Priority, at time.Time) (by *grid.Window, how grid.CoverState) {
	for _, w := range e.windowsOf(s.where) {
		place := alarm.Place{ID: s.where, Kind: e.memory.PointAt(s.point).Kind(), Named: slices.Contains(w.Points, s.where)}
		got := alarm.Covers(w, place, s.rule.Type, p, at, e.SessionSilent)
		if got == grid.CoverAsked {
			return w, got
		}
		if by == nil && got != "" {
			by, how = w, got
		}
	}
	return by, how
}

// windowsOf are the open windows of a point, by their ids.
func (e *Engine) windowsOf(point string) (out []*grid.Window) {
	if len(e.windows.all) == 0 {
		return nil
	}
	ids := slices.Clone(e.windows.at[point])
	if pt, ok := e.memory.Point(point); ok && len(e.windows.areas) > 0 {
		row := e.memory.PointAt(pt)
		for _, id := range e.windows.areas {
			if e.windows.all[id].Area.Has(e.memory.Scope(row), e.memory.Building(row)) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		out = append(out, e.windows.all[id])
	}
	return out
}

// hasWitness reports whether another detector of the building alarms, or was asked about a
// moment ago, that is nobody's test; or whether there is a fire at work already, by whatever
// word.
func (e *Engine) hasWitness(s site, ep *grid.Alarm) bool {
	if ep.Type != grid.EventSmokeAlarm {
		return false
	}
	if _, _, in := e.incidentOf(s, ep); in != nil && in.Active > 0 {
		return true
	}
	return slices.ContainsFunc(e.otherDetectors(ep), func(o *grid.Alarm) bool {
		asked := o.Cover != nil && o.Cover.State == grid.CoverAsked
		return asked || o.Active && !o.InQuestion()
	})
}

// otherDetectors are the newest smoke alarms of the other points of a building, practice apart.
func (e *Engine) otherDetectors(ep *grid.Alarm) (out []*grid.Alarm) {
	if ep.Building == "" || ep.Mode == grid.Exercise {
		return nil
	}
	for _, pt := range e.smokePoints(ep.Building) {
		where := e.memory.PointAt(pt).ID
		o := e.episode(where, grid.EventSmokeAlarm)
		if own := where == ep.Point && ep.Filed == nil; o != nil && !own && o.Mode != grid.Exercise && isLive(o.Mode) == isLive(ep.Mode) {
			out = append(out, o)
		}
	}
	return out
}

// witnessed dispatches what somebody was asked about, when another detector of the building
// alarms.
func (b *batch) witnessed(ep *grid.Alarm) {
	if len(b.e.windows.due.at) == 0 || ep.Type != grid.EventSmokeAlarm || ep.InQuestion() {
		return
	}
	for _, o := range b.e.otherDetectors(ep) {
		if o.Cover != nil && o.Cover.State == grid.CoverAsked {
			b.dispatch(o.ID, "a second detector of the building alarms: "+ep.Point, o.Raised)
		}
	}
}

// anew reports whether an episode whose condition is back does not go on: what it was
// (practice, a test, held back) says nothing of what it is now.
func (b *batch) anew(s site, old *grid.Alarm) bool {
	e := b.e
	if !s.hasPoint() || !s.rule.Ticket {
		return false
	}
	mode := e.memory.PointAt(s.point).Mode()
	if _, w := e.scripted(s.where, old.Type, b.now); w != nil {
		mode = grid.Exercise
	}
	if old.Mode != mode && (old.Mode == grid.Exercise || mode == grid.Exercise) {
		return true
	}
	if old.Ticket == "" {
		return !old.Covered() || old.Cover.State == grid.CoverTest || old.Cover.State == grid.CoverGuarded
	}
	if t := e.tickets[old.Ticket]; t != nil && !t.State.Ended() {
		return false
	}
	w, _ := e.covering(&s, old.Priority, b.now)
	return w != nil
}

// cameBackCovered handles an episode that windows have to do with and whose condition is
// back; false: it goes on as any.
func (b *batch) cameBackCovered(s site, old *grid.Alarm, d *decoded, at time.Time) bool {
	switch {
	case b.anew(s, old):
		b.raise(s, d, at)
	case old.Ticket == "" && old.Covered():
		b.rejoin(s, old, d)
	default:
		return false
	}
	return true
}

// askHolder sends the question to the unit that holds the permit, unless it has one of the
// permit that it has not answered.
func (b *batch) askHolder(s site, w *grid.Window, ep *grid.Alarm) {
	e := b.e
	if e.units[w.Holder] == nil {
		return // a person: asked on the screen
	}
	for id, o := range e.alarms {
		if id != ep.ID && o.Cover != nil && o.Cover.Window == w.ID && o.Cover.State == grid.CoverAsked {
			return
		}
	}
	p := e.place(s)
	b.deliver(&grid.Ticket{
		ID: ep.ID, Case: w.ID, Type: ep.Type, Priority: ep.Priority, Mode: ep.Mode, Scope: ep.Scope, Cell: ep.Cell, Point: ep.Point, Alarm: ep.ID,
		Title: s.rule.TitleZH + "，是否有人看守？ / " + s.rule.TitleEN + ": is it guarded?", Place: e.placeInWords(&p), Opened: ep.Raised, Due: ep.Cover.Due,
		Urgent: isUrgent(ep),
	}, ticket.Message{Unit: w.Holder, Type: "permit.question"}, 0)
}

// coverSite makes a site of an episode of a point.
func (e *Engine) coverSite(ep *grid.Alarm) (site, bool) {
	pt, ok := e.memory.Point(ep.Point)
	if !ok {
		return site{}, false
	}
	s := site{point: pt, where: ep.Point, rule: e.ruleOf(pt, ep.Type)}
	if s.rule == nil { // the rule was taken out meanwhile
		s.rule = e.bare(ep.Type)
	}
	return s, s.rule != nil
}

// over ends the cover of an episode.
func (b *batch) over(id, why string) *grid.Alarm {
	ep := b.changeAlarm(id)
	c := *ep.Cover
	c.State, c.Why, c.At = grid.CoverOver, why, b.now.UTC()
	ep.Cover = &c
	alarm.AskAgain(ep)
	b.wakeWindow(coverDue+id, time.Time{})
	return ep
}

// dispatch gives an episode the ticket that a window kept from it. Its clocks run from opened.
func (b *batch) dispatch(id, why string, opened time.Time) {
	e := b.e
	s, ok := e.coverSite(e.alarms[id])
	if !ok {
		e.log.Error("covered alarm is of no point any more", "alarm", id)
		return
	}
	ep := b.over(id, why)
	s.detail = fmt.Sprintf("%s (raised %s in the %s window %s)", why, ep.Raised.Format(time.RFC3339), ep.Cover.Kind, ep.Cover.Window)
	s.opened = opened
	if ep.Active {
		b.countWhile(ep, +1)
	}
	b.work(s, ep, nil)
	if !ep.Active {
		b.stirred(ep, -1)
	}
	b.tell(s, "noted", ep, nil, b.now)
	if ep.Active {
		b.lift(s, ep)
	}
	b.moveEvidence(id, ep.Ticket)
}

// moveEvidence copies what was kept of an episode to its case.
func (b *batch) moveEvidence(id, ticketID string) {
	if ticketID == "" {
		return
	}
	kept, err := b.e.store.EvidenceOf(context.Background(), id)
	if err != nil {
		b.e.log.Error("frames of a covered alarm cannot be read", "alarm", id, "err", err)
	}
	for _, row := range b.rows.Evidence {
		if row.Ticket == id {
			kept = append(kept, row)
		}
	}
	for _, row := range kept {
		row.Ticket = ticketID
		b.rows.Evidence = append(b.rows.Evidence, row)
	}
}

// coverEnds handles an episode whose question has no answer in time, or whose line of the
// script is over.
func (b *batch) coverEnds(id string, wall time.Time) {
	a := b.e.alarms[id]
	if a == nil || a.Cover == nil {
		return
	}
	b.because(fmt.Sprintf("cover/%s/%d", id, a.Cover.Due.UnixNano()), wall)
	switch {
	case a.Cover.State == grid.CoverExercise:
		b.practiceOver(id, "its line of the script is over")
	case a.Cover.State != grid.CoverAsked:
	case a.Cover.Kind == grid.WindowPermit && !a.Active:
		b.over(id, "closed again before the answer")
	case a.Cover.Kind == grid.WindowPermit:
		b.urgent(id)
		b.dispatch(id, "nobody said that it is guarded: "+a.Cover.Of, b.now)
	default:
		b.dispatch(id, "no answer from "+a.Cover.Of, a.Raised)
	}
}

// urgent makes an episode P1.
func (b *batch) urgent(id string) {
	if b.e.alarms[id].Priority > 1 {
		ep := b.changeAlarm(id)
		ep.Priority = 1
		alarm.AskAgain(ep)
	}
}

// uncover judges again what a window covered, at its end.
func (b *batch) uncover(w *grid.Window) {
	e := b.e
	why := fmt.Sprintf("%s window %s has ended, by %s", w.Kind, w.ID, w.EndedBy)
	for _, id := range e.coveredBy(w.ID) {
		a := e.alarms[id]
		switch {
		case a.Cover.State == grid.CoverOver: // with another, a moment ago
		case a.Cover.State == grid.CoverExercise:
			b.practiceOver(id, why)
		case a.Cover.State == grid.CoverAsked && w.Kind != grid.WindowPermit:
			b.dispatch(id, why+", and nobody has answered", a.Raised)
		case !a.Active:
			b.over(id, why)
		case a.Cover.State == grid.CoverHeld && b.heldByAnother(id):
		case a.Cover.State == grid.CoverTest && b.normalAgain(a):
			b.testOver(id, why)
		case w.Kind == grid.WindowPermit && a.Type == grid.EventManholeOpen:
			b.urgent(id)
			b.dispatch(id, why+", and the cover is still open", b.now)
		default:
			b.dispatch(id, why+", and it is still active", b.now)
		}
	}
}

// coveredBy are the episodes that a window covers, sorted: ids must not depend on the order
// of a map.
func (e *Engine) coveredBy(window string) (ids []string) {
	for id, a := range e.alarms {
		if a.Cover != nil && a.Cover.Window == window && a.Cover.State != grid.CoverOver {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// heldByAnother hands an episode over to another window that covers its point.
func (b *batch) heldByAnother(id string) bool {
	a := b.e.alarms[id]
	s, ok := b.e.coverSite(a)
	if !ok {
		return false
	}
	w, how := b.e.covering(&s, a.Priority, b.now)
	if how != grid.CoverHeld {
		return false
	}
	b.changeAlarm(id).Cover = &grid.Cover{Window: w.ID, Kind: w.Kind, State: how}
	return true
}

// practiceOver ends an episode of an exercise. A condition that is still there is from now
// on what it is elsewhere: a new episode, live where the point is.
func (b *batch) practiceOver(id, why string) {
	a := b.e.alarms[id]
	until := a.Cover.Until
	s, ok := b.e.coverSite(a)
	ep := b.over(id, why)
	if !ok || !ep.Active {
		return
	}
	s.detail = why
	b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	s.detail = "still active after the exercise"
	if b.now.Before(until) {
		until = b.now
	}
	b.raise(s, nil, until)
}

// normalAgain reports whether the sensor's newest word on an episode is that it is normal, and
// only the off-delay has not run out.
func (b *batch) normalAgain(a *grid.Alarm) bool {
	pt, ok := b.e.memory.Point(a.Point)
	if !ok {
		return false
	}
	for i, r := range b.e.rulesOf(pt) {
		if r.Type == a.Type {
			c := b.e.soft.points[pt].cond(uint8(i))
			return c != nil && c.heard != 0 && c.flags&abnormal == 0
		}
	}
	return false
}

// testOver ends an episode that was somebody's test and is normal again, with its window:
// the next word of an alarm is a new one, and nobody's test.
func (b *batch) testOver(id, why string) {
	s, ok := b.e.coverSite(b.e.alarms[id])
	ep := b.over(id, why)
	if ok {
		s.detail = why + ", and it is normal again"
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	}
}

// unshelve ends the shelf of an episode that has become P1, and reports whether it did.
func (b *batch) unshelve(id, why string) bool {
	a := b.e.alarms[id]
	if a.Priority > 1 || !a.Covered() || a.Cover.Kind != grid.WindowShelved {
		return false
	}
	b.dispatch(id, "P1 is not shelved: "+why, b.now)
	return true
}

// AnswerAlarm takes an answer. No is taken from anyone at any time while the episode is
// covered, and dispatches; yes from who was asked alone, in time.
func (e *Engine) AnswerAlarm(ctx context.Context, id string, a grid.WindowAnswer) (grid.Alarm, error) {
	return as[grid.Alarm](e.do(ctx, &command{name: "answer", do: func(b *batch) (any, error) {
		if err := b.answer(id, a); err != nil {
			return nil, err
		}
		return *e.alarms[id], nil
	}}))
}

// AnswerPermit answers for every cover of a permit of which the holder was asked.
func (e *Engine) AnswerPermit(ctx context.Context, id string, a grid.WindowAnswer) ([]grid.Alarm, error) {
	return as[[]grid.Alarm](e.do(ctx, &command{name: "answer", do: func(b *batch) (any, error) {
		w, err := b.openOne(id)
		if err != nil {
			return nil, err
		}
		out := []grid.Alarm{}
		for _, al := range e.coveredBy(id) {
			if e.alarms[al].Cover.State != grid.CoverAsked {
				continue
			}
			if err := b.answer(al, a); err != nil {
				return nil, err
			}
			out = append(out, *e.alarms[al])
		}
		return out, mayAnswer(&w, a)
	}}))
}

func (b *batch) answer(id string, a grid.WindowAnswer) error {
	old := b.e.alarms[id]
	switch {
	case old == nil:
		return grid.Errorf(grid.NotFound, "alarm %s: not found among the active ones", id)
	case old.Cover == nil:
		return grid.Errorf(grid.Conflict, "alarm %s is in no window: nobody is asked", id)
	case old.Cover.Answer == a.Word():
		return nil // said before
	case !old.Covered():
		return grid.Errorf(grid.Conflict, "alarm %s is not covered any more: %s", id, old.Cover.Why)
	}
	w, err := b.window(old.Cover.Window)
	if err != nil {
		return err
	}
	if err := mayAnswer(&w, a); err != nil {
		return err
	}
	if a.Yes {
		return b.yes(&w, old, a)
	}
	ep := b.changeAlarm(id)
	c := *ep.Cover
	c.Answer, c.By = a.Word(), a.By.Name
	ep.Cover = &c
	opened := b.now
	if old.Cover.State == grid.CoverAsked {
		opened = old.Raised
	}
	b.dispatch(id, a.By.Name+" says no: "+old.Cover.Ask, opened)
	return nil
}

// mayAnswer refuses who was not asked.
func mayAnswer(w *grid.Window, a grid.WindowAnswer) error {
	person := a.By.Role == grid.RoleOperator || a.By.Role == grid.RoleSupervisor
	switch {
	case a.By.Role == grid.RoleUnit && a.By.Unit != w.Holder:
		return grid.Errorf(grid.Forbidden, "unit %s was not asked: want the holder of window %s", a.By.Unit, w.ID)
	case !a.Yes || a.By.Role == grid.RoleUnit && w.Kind == grid.WindowPermit:
		return nil
	case w.Session != "" && w.Session != a.Session:
		return grid.Errorf(grid.Forbidden, "session is another than that of window %s: want its own to say yes", w.ID)
	case !person && a.By.Role != grid.RoleUnit: // a unit is its technician, who knows the session
		return grid.Errorf(grid.Forbidden, "answer by %s: want an operator or a supervisor, who names who said it", a.By.Role)
	}
	return nil
}

func (b *batch) yes(w *grid.Window, old *grid.Alarm, a grid.WindowAnswer) error {
	switch {
	case old.Cover.State != grid.CoverAsked:
		return grid.Errorf(grid.Conflict, "alarm %s is %s: nobody is asked", old.ID, old.Cover.State)
	case !b.now.Before(old.Cover.Due):
		return grid.Errorf(grid.Conflict, "the answer on alarm %s came after %s: it is dispatched", old.ID, old.Cover.Due.Format(time.RFC3339))
	case !alarm.Alive(w, b.now, b.e.SessionSilent):
		return grid.Errorf(grid.Conflict, "session of window %s is gone: it is dispatched", w.ID)
	}
	ep := b.changeAlarm(old.ID)
	c := *ep.Cover
	c.State, c.Answer, c.By, c.At = grid.CoverTest, a.Word(), a.By.Name, b.now.UTC()
	if w.Kind == grid.WindowPermit {
		c.State = grid.CoverGuarded
	}
	ep.Cover = &c
	ep.Revision++
	b.wakeWindow(coverDue+old.ID, time.Time{})
	b.rows.Audit = append(b.rows.Audit, state.Audit{
		ID: b.id(), At: b.now, By: a.By, Action: "alarm.answer", Subject: old.ID, Detail: fmt.Sprintf("%s %s", c.Ask, c.Answer), Scope: ep.Scope, Cell: ep.Cell, Mode: ep.Mode,
	})
	if s, ok := b.e.coverSite(ep); ok {
		s.detail = fmt.Sprintf("%s: %s says yes", c.Ask, a.By.Name)
		b.tell(s, "noted", ep, nil, b.now)
	}
	return nil
}

// openedAt is when the ticket of a site counts from.
func (s *site) openedAt(now time.Time) time.Time {
	if s.opened.IsZero() {
		return now
	}
	return s.opened
}
