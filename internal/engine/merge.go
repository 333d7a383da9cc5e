package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/ticket"
)

// What some moves of a ticket mean beyond the ticket itself: a merge takes its episodes
// along, a split opens another ticket, a false alarm may make a detector suspect.

// mayMove holds what package ticket cannot see: the other ticket, and files.
func (b *batch) mayMove(t *grid.Ticket, m *grid.Move) error {
	e := b.e
	if m.Verb == grid.VerbMerge {
		if err := e.mayMerge(t, m.Into); err != nil {
			return err
		}
	}
	if id, isFile := strings.CutPrefix(m.Evidence, grid.EvidencePrefix); isFile {
		f, err := e.store.File(context.Background(), id)
		if err != nil {
			return err
		}
		if f.Ticket != t.ID {
			return grid.Errorf(grid.Invalid, "evidence is file %s of ticket %s: want one of %s", id, f.Ticket, t.ID)
		}
	}
	return nil
}

// mayMerge refuses a merge that would hide something: into what has ended, another mode,
// or a lesser ticket.
func (e *Engine) mayMerge(t *grid.Ticket, id string) error {
	into := e.tickets[id]
	urgent := t.Priority == 1 || strings.HasPrefix(string(t.Type), "smoke.")
	switch {
	case into == nil || into.State.Ended():
		return grid.Errorf(grid.Conflict, "ticket %q is not open: want an open one to merge into", id)
	case isLive(into.Mode) != isLive(t.Mode):
		return grid.Errorf(grid.Conflict, "ticket %s is %s and %s is %s: want both of one mode", t.ID, t.Mode, into.ID, into.Mode)
	case into.Priority > t.Priority || urgent && into.Type != t.Type:
		return grid.Errorf(grid.Conflict, "ticket %s is %s %s and %s is %s %s: want one as urgent to merge into", t.ID, t.Priority, t.Type, into.ID, into.Priority, into.Type)
	}
	return nil
}

// followMove does what a move leads to beside the ticket.
func (b *batch) followMove(t *grid.Ticket, m *grid.Move) {
	switch m.Verb {
	case grid.VerbMerge:
		b.merge(t, b.e.tickets[m.Into])
	case grid.VerbSplit:
		b.split(t, m)
	case grid.VerbVerify:
		b.confirmedBy(t, m)
		b.criedWolf(t)
	case grid.VerbCancel:
		b.criedWolf(t)
	}
}

// merge gives the episodes of a ticket to the one it was merged into: it is closed only
// when they are normal too.
func (b *batch) merge(t, into *grid.Ticket) {
	e := b.e
	episodes := e.episodesOf(t)
	for _, ep := range episodes {
		row := b.changeAlarm(ep.ID)
		row.Ticket = into.ID
		b.addMember(into.ID, ep.ID)
		plan, err := e.Plans.For(into.Type)
		if err != nil {
			continue
		}
		to := b.changeTicket(into.ID)
		b.ticketChanged(to, ticket.Join(to, plan, e.memberAt(row), b.now, e.context(to)))
	}
	for _, ep := range episodes { // it may itself have been merged into: then they are of several incidents
		if in := e.incidents[ep.Incident]; in != nil && in.Ticket == t.ID {
			in := b.changeIncident(in.ID)
			in.Ticket = into.ID
			b.settleIncident(in)
		}
	}
	for _, m := range t.Related {
		if plan, err := e.Plans.For(into.Type); err == nil {
			to := b.changeTicket(into.ID)
			b.ticketChanged(to, ticket.Relate(to, plan, m, b.now, e.context(to)))
		}
	}
}

// split opens a ticket of its own for an episode. An incident of which it was the only one
// there, brought by a merge, goes with it.
func (b *batch) split(t *grid.Ticket, m *grid.Move) {
	e := b.e
	old := e.alarms[m.Alarm]
	s, ok := e.splitSite(old)
	if !ok {
		return
	}
	set(b, e.members, t.ID, slices.DeleteFunc(slices.Clone(e.members[t.ID]), func(id string) bool { return id == old.ID }))
	ep := b.changeAlarm(old.ID)
	in := e.incidents[ep.Incident]
	shared := in == nil || in.Ticket != t.ID || slices.ContainsFunc(e.episodesOf(t), func(o *grid.Alarm) bool { return o.Incident == in.ID })
	if shared {
		b.leave(in, ep)
	}
	s.detail = "split off " + t.ID + ": " + m.Reason
	b.openTicket(s, ep, nil)
	if !shared {
		b.changeIncident(in.ID).Ticket = ep.Ticket
	}
}

// leave takes an episode out of its incident.
func (b *batch) leave(in *grid.Incident, ep *grid.Alarm) {
	ep.Incident = ""
	if in == nil {
		return
	}
	left := b.changeIncident(in.ID)
	left.Members--
	if ep.Active {
		left.Active--
	}
	b.settleIncident(left)
}

func (e *Engine) ruleOf(pt registry.PointNo, typ grid.EventType) *alarm.Rule {
	for _, r := range e.rulesOf(pt) {
		if r.Type == typ {
			return r
		}
	}
	return nil
}

// suspected says why a detector is not believed at once; "" when it is.
func (e *Engine) suspected(s site, ep *grid.Alarm) string {
	r := e.Rules.Suspect()
	if r.Event == "" || r.Of != ep.Type {
		return ""
	}
	if is := e.episode(s.where, r.Event); is != nil && is.Active {
		return fmt.Sprintf("%d false alarms within %s", r.FalseAlarms, r.Within)
	}
	return ""
}

// criedWolf counts the false alarms of a ticket's point. After too many its detector is
// suspect: it still sounds and calls who is near, and a technician comes.
func (b *batch) criedWolf(t *grid.Ticket) {
	e := b.e
	r := e.Rules.Suspect()
	pt, known := e.memory.Point(t.Point)
	if r.Event == "" || r.Of != t.Type || !known || !isFalse(t) || strings.HasPrefix(string(t.Device), grid.FiledPrefix) {
		return
	}
	if is := e.episode(t.Point, r.Event); is != nil && is.Active {
		return
	}
	n, err := e.store.FalseAlarms(context.Background(), t.Point, t.Type, b.now.Add(-r.Within), t.ID)
	if err != nil {
		e.log.Error("false alarms of a point cannot be counted", "point", t.Point, "err", err)
		return
	}
	if n+1 < r.FalseAlarms {
		return
	}
	rule := e.bare(r.Event)
	b.raise(site{point: pt, where: t.Point, rule: rule, detail: fmt.Sprintf("%d false alarms within %s", n+1, r.Within)}, nil, b.now)
}

// isFalse reports whether a ticket was for nothing, by somebody's word.
func isFalse(t *grid.Ticket) bool {
	return t.Verification == grid.VerifiedFalse || t.State == grid.TicketCancelled || t.State == grid.TicketNotFiled
}

// repaired ends the suspicion of a detector when the technician's ticket has ended. One that
// was merged goes on in the other.
func (b *batch) repaired(t *grid.Ticket) {
	e := b.e
	r := e.Rules.Suspect()
	if r.Event == "" || !t.State.Ended() || t.State == grid.TicketMerged {
		return
	}
	for _, ep := range e.episodesOf(t) {
		pt, known := e.memory.Point(cmp.Or(ep.Point, "-"))
		if ep.Type == r.Event && ep.Active && known {
			b.clear(site{point: pt, where: ep.Point, rule: e.bare(ep.Type)}, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		}
	}
}

// endedToo ends the alarms of a ticket that is closed: what a sensor says from now on is news.
// Of a sensor that is normal only the off-delay has not run out. Of one that cannot tell,
// since it was destroyed or is gone, a person said it: what it said before raises nothing
// any more.
func (b *batch) endedToo(t *grid.Ticket) {
	e := b.e
	for _, ep := range e.episodesOf(t) {
		pt, known := e.memory.Point(cmp.Or(ep.Point, "-"))
		if !ep.Active || !known {
			continue
		}
		r := e.ruleOf(pt, ep.Type)
		if r == nil || r.From != alarm.FromSignal && r.From != alarm.FromLate {
			continue // what raised it also clears it
		}
		s := site{point: pt, where: ep.Point, rule: r}
		in, _, _, ok := e.senses(ep)
		if ok && !in.Abnormal {
			b.clear(s, ep, in, nil)
			continue
		}
		over := alarm.EndedAt(ep, in)
		s.detail = "ended by the word of " + t.Confirmed
		b.clear(s, ep, alarm.Input{Since: over, Heard: over}, nil)
		b.unsay(pt, r)
	}
}

// unsay forgets what was heard of a condition: when its episode has left memory, nothing
// else tells that it is over.
func (b *batch) unsay(pt registry.PointNo, r *alarm.Rule) {
	for i, o := range b.e.rulesOf(pt) {
		if o.Type != r.Type {
			continue
		}
		if c := b.e.soft.touchPoint(pt).cond(uint8(i)); c != nil {
			c.since, c.heard, c.flags = 0, 0, 0
		}
	}
}
