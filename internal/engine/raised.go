package engine

import (
	"cmp"
	"fmt"
	"slices"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/ticket"
)

// Priorities that one event lifts for another: a blocked fire lane while there is smoke.

// whileKey finds active episodes of a type that lifts others, and those that are lifted, by
// what they share.
type whileKey struct {
	typ    grid.EventType
	within alarm.Within
	place  string
	live   bool
}

func isLive(m grid.Mode) bool { return m == grid.Live || m == "" }

func whileOf(r *alarm.Raised, a *grid.Alarm) whileKey {
	return whileKey{r.While, r.Within, r.Within.Place(a), isLive(a.Mode)}
}

// keysOf are the keys of an episode in the rules that pick picks, each once.
func (e *Engine) keysOf(a *grid.Alarm, pick func(*alarm.Raised) bool) (keys []whileKey) {
	if a.Point == "" {
		return nil
	}
	rules := e.Rules.Raised()
	for i := range rules {
		if !pick(&rules[i]) {
			continue
		}
		if key := whileOf(&rules[i], a); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// lifting are the keys under which an episode lifts others, liftedBy those by which it is lifted.
func (e *Engine) lifting(a *grid.Alarm) []whileKey {
	return e.keysOf(a, func(r *alarm.Raised) bool { return r.While == a.Type })
}

func (e *Engine) liftedBy(a *grid.Alarm) []whileKey {
	return e.keysOf(a, func(r *alarm.Raised) bool { return r.Type == a.Type })
}

// countWhile keeps count of who lifts, and who is lifted, when an episode becomes active
// (+1) or normal (-1).
func (b *batch) countWhile(a *grid.Alarm, n int) {
	if n > 0 && a.InQuestion() {
		return
	}
	e := b.e
	for _, key := range e.lifting(a) {
		set(b, e.while, key, with(e.while[key], a.ID, n))
	}
	for _, key := range e.liftedBy(a) {
		set(b, e.hindering, key, with(e.hindering[key], a.ID, n))
	}
}

func (e *Engine) loadWhile(a *grid.Alarm) {
	if a.InQuestion() {
		return
	}
	for _, key := range e.lifting(a) {
		e.while[key] = with(e.while[key], a.ID, +1)
	}
	for _, key := range e.liftedBy(a) {
		e.hindering[key] = with(e.hindering[key], a.ID, +1)
	}
}

// with gives a copy of a list of ids with one more, or without it.
func with(ids []string, id string, n int) []string {
	out := make([]string, 0, len(ids)+1)
	for _, o := range ids {
		if o != id {
			out = append(out, o)
		}
	}
	if n > 0 {
		out = append(out, id)
	}
	return out
}

// hindrances are active episodes that a new one lifts: what stands in its way, oldest first.
func (e *Engine) hindrances(ep *grid.Alarm) (out []*grid.Alarm) {
	for _, key := range e.lifting(ep) {
		for _, id := range e.hindering[key] {
			if a := e.alarms[id]; a != nil && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, func(a, b *grid.Alarm) int { return cmp.Or(a.Raised.Compare(b.Raised), cmp.Compare(a.ID, b.ID)) })
	return out
}

// lift raises priorities when an episode has become active: its own, if what lifts it is
// active, and that of others that it lifts.
func (b *batch) lift(s site, ep *grid.Alarm) {
	if !s.hasPoint() || ep.InQuestion() {
		return
	}
	e := b.e
	for _, r := range e.Rules.Raised() {
		if r.Type == ep.Type && len(e.while[whileOf(&r, ep)]) > 0 {
			b.liftOne(ep.ID, &r)
			b.hinders(ep, &r)
		}
	}
	for _, a := range e.hindrances(ep) {
		for _, r := range e.Rules.Raised() {
			if r.While == ep.Type && r.Type == a.Type {
				b.liftOne(a.ID, &r)
			}
		}
	}
}

// liftOne raises one episode and its ticket.
func (b *batch) liftOne(id string, r *alarm.Raised) {
	b.liftTo(id, r.Priority, fmt.Sprintf("%s is active in the same %s", r.While, r.Within))
}

func (b *batch) liftTo(id string, p grid.Priority, why string) {
	e := b.e
	if e.alarms[id].Priority <= p {
		return
	}
	a := b.changeAlarm(id)
	a.Priority = p
	alarm.AskAgain(a)
	if b.unshelve(id, why) {
		return
	}
	if rule := e.Rules.Bare(a.Type); rule != nil {
		ev := rule.Event(b.id(), "noted", a, b.now, b.now)
		ev.Detail = why
		b.rows.Events = append(b.rows.Events, ev)
		b.seriesEvent(&ev)
	}
	t := e.tickets[a.Ticket]
	if t == nil {
		return
	}
	if plan, err := e.Plans.For(t.Type); err == nil {
		row := b.changeTicket(t.ID)
		b.ticketChanged(row, ticket.Raise(row, plan, p, why, b.now, e.context(row)))
	}
}

// hinders tells the tickets of what lifted an episode that it stands in their way.
func (b *batch) hinders(ep *grid.Alarm, r *alarm.Raised) {
	e := b.e
	told := map[string]bool{}
	for _, id := range e.while[whileOf(r, ep)] {
		a := e.alarms[id]
		if a == nil || e.tickets[a.Ticket] == nil || told[a.Ticket] {
			continue
		}
		told[a.Ticket] = true
		if plan, err := e.Plans.For(e.tickets[a.Ticket].Type); err == nil {
			row := b.changeTicket(a.Ticket)
			b.ticketChanged(row, ticket.Relate(row, plan, e.memberAt(ep), b.now, e.context(row)))
		}
	}
}

// memberAt is an episode as another ticket names it.
func (e *Engine) memberAt(ep *grid.Alarm) grid.Member {
	if ep.Filed != nil {
		return e.member(e.siteOf(ep), ep)
	}
	return e.member(site{where: ep.Point}, ep)
}
