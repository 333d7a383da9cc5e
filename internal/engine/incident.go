package engine

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/ticket"
)

// Incidents: episodes of one cause at one place have one ticket. The group and what
// confirms it stand in the rules; see alarm.Group.

// incidentKey finds the open incident of a group at a place.
type incidentKey struct {
	group, place string
	mode         grid.Mode
}

func (b *batch) changeIncident(id string) *grid.Incident {
	b.incidents = append(b.incidents, id)
	return change(b, b.e.incidents, id)
}

// incidentOf is the open incident that an episode belongs to, or would: nil when there is
// none. key is zero for episodes that stand alone.
func (e *Engine) incidentOf(s site, ep *grid.Alarm) (g *alarm.Group, key incidentKey, in *grid.Incident) {
	g = e.Rules.Group(ep.Type)
	if g == nil || !s.hasPoint() && s.filed == nil {
		return nil, incidentKey{}, nil
	}
	key = incidentKey{g.Name, g.By.Place(ep), ep.Mode}
	return g, key, e.incidents[e.incidentAt[key]]
}

// work gives a new episode its ticket: that of the incident it belongs to, or a new one.
func (b *batch) work(s site, ep *grid.Alarm, d *decoded) {
	g, key, in := b.e.incidentOf(s, ep)
	switch {
	case g == nil || b.e.alone(ep, g, in):
		b.openTicket(s, ep, d)
	case in == nil:
		b.openIncident(s, g, key, ep, d)
	default:
		b.join(s, g, in, ep, d)
	}
}

func (b *batch) openIncident(s site, g *alarm.Group, key incidentKey, ep *grid.Alarm, d *decoded) {
	e := b.e
	id := b.id()
	in := b.changeIncident(id)
	p := e.place(s)
	*in = grid.Incident{
		ID: id, Cause: g.Name, Place: key.place, Type: ep.Type, Priority: ep.Priority, Mode: ep.Mode, Scope: ep.Scope, Cell: ep.Cell,
		Building: ep.Building, Lon: p.Lon, Lat: p.Lat, Opened: b.now, Members: 1, Active: 1,
	}
	set(b, e.incidentAt, key, id)
	ep.Incident = id
	b.openTicket(s, ep, d)
	in.Ticket = ep.Ticket
	b.relate(in, g.Near)
}

// join adds an episode to an incident. Its ticket may have been ended by force while
// members were active: then another is opened.
func (b *batch) join(s site, g *alarm.Group, old *grid.Incident, ep *grid.Alarm, d *decoded) {
	e := b.e
	in := b.changeIncident(old.ID)
	in.Members++
	in.Active++
	ep.Incident = in.ID
	t := e.tickets[in.Ticket]
	if t == nil || t.State.Ended() {
		b.openTicket(s, ep, d)
		in.Ticket = ep.Ticket
		return
	}
	others := e.episodesOf(t)
	b.joinTicket(s, t, ep)
	b.confirm(in, g, others, ep)
}

// joinTicket makes an episode one that a ticket is about.
func (b *batch) joinTicket(s site, t *grid.Ticket, ep *grid.Alarm) {
	e := b.e
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		e.log.Error("episode does not join a ticket", "ticket", t.ID, "err", err)
		return
	}
	ep.Ticket = t.ID
	b.addMember(t.ID, ep.ID)
	row := b.changeTicket(t.ID)
	b.ticketChanged(row, ticket.Join(row, plan, e.member(s, ep), b.now, e.context(row)))
	for _, a := range e.hindrances(ep) {
		row := b.changeTicket(t.ID)
		b.ticketChanged(row, ticket.Relate(row, plan, e.memberAt(a), b.now, e.context(row)))
	}
}

// toNewer makes an episode that comes back a member of the incident that is open at its
// place now. One that a person split off belongs to none.
func (b *batch) toNewer(s site, old *grid.Alarm) *grid.Alarm {
	_, _, in := b.e.incidentOf(s, old)
	if in == nil || old.Incident == "" || old.Incident == in.ID {
		return old
	}
	b.changeIncident(in.ID).Members++
	ep := b.changeAlarm(old.ID)
	ep.Incident = in.ID
	return ep
}

// backAtWork gives an episode that came back to the ticket of its incident, or that ticket
// to its incident. done: the ticket has been told.
func (b *batch) backAtWork(s site, ep *grid.Alarm) (done bool) {
	e := b.e
	_, _, in := e.incidentOf(s, ep)
	if in == nil || in.ID != ep.Incident || in.Ticket == ep.Ticket {
		return false
	}
	if t := e.tickets[in.Ticket]; t != nil && !t.State.Ended() {
		b.joinTicket(s, t, ep)
		return true
	}
	b.changeIncident(in.ID).Ticket = ep.Ticket
	b.changeTicket(ep.Ticket).Incident = in.ID
	return false
}

// witness lets an episode that came back confirm its incident.
func (b *batch) witness(s site, ep *grid.Alarm) {
	g, _, in := b.e.incidentOf(s, ep)
	if in == nil || in.ID != ep.Incident || in.Ticket != ep.Ticket {
		return
	}
	b.confirm(b.changeIncident(in.ID), g, b.e.episodesOf(b.e.tickets[in.Ticket]), ep)
}

func (b *batch) addMember(ticket, alarm string) {
	if all := b.e.members[ticket]; !slices.Contains(all, alarm) {
		set(b, b.e.members, ticket, append(slices.Clip(all), alarm))
	}
}

func (e *Engine) member(s site, ep *grid.Alarm) grid.Member {
	p := e.place(s)
	return grid.Member{Alarm: ep.ID, Type: ep.Type, Point: ep.Point, Place: e.placeInWords(&p), At: ep.Raised}
}

// episodesOf are the episodes that a ticket is about, as far as they are in memory: all of
// an open one.
func (e *Engine) episodesOf(t *grid.Ticket) []*grid.Alarm {
	if t == nil {
		return nil
	}
	var out []*grid.Alarm
	if a := e.alarms[t.Alarm]; a != nil {
		out = append(out, a)
	}
	for _, id := range e.members[t.ID] {
		if a := e.alarms[id]; a != nil && id != t.Alarm {
			out = append(out, a)
		}
	}
	return out
}

// confirm takes the detectors of a place as witnesses of one another. Those of other places
// that a merge brought along are none.
func (b *batch) confirm(in *grid.Incident, g *alarm.Group, others []*grid.Alarm, ep *grid.Alarm) {
	others = slices.DeleteFunc(slices.Clone(others), func(o *grid.Alarm) bool { return g.By.Place(o) != in.Place })
	last := map[string]time.Time{}
	for _, o := range others {
		if at := b.e.lastSaid(o); o.Filed == nil && o.Point != ep.Point && o.Type == ep.Type && at.After(last[o.Point]) {
			last[o.Point] = at
		}
	}
	var when []time.Time
	for _, at := range last {
		when = append(when, at)
	}
	person := witness(others, ep)
	if g.Confirm.Detectors == 0 || person == "" && (ep.Filed != nil || !g.Confirm.Confirms(when, b.now)) {
		return
	}
	why := cmp.Or(person, fmt.Sprintf("%d detectors of %s within %s", len(when)+1, in.Place, g.Confirm.Within))
	if in.Confirmed.IsZero() {
		b.confirmed(in, g, ep, why)
	}
	if b.e.tickets[in.Ticket].Verification == grid.VerifiedTrue {
		return
	}
	m := grid.Move{Verb: grid.VerbVerify, By: grid.Actor{Role: grid.RoleSystem, Name: "sensor"}, Ticket: in.Ticket, At: b.now, Finding: grid.VerifiedTrue, Reason: why}
	plan, err := b.e.Plans.For(b.e.tickets[in.Ticket].Type)
	if err == nil {
		row := b.changeTicket(in.Ticket)
		var res ticket.Result
		if res, err = ticket.Apply(row, m, plan, b.e.context(row)); err == nil {
			b.ticketChanged(row, res)
		}
	}
	if err != nil {
		b.e.log.Error("confirmed incident changes its ticket in nothing", "ticket", in.Ticket, "err", err)
	}
}

// lastSaid is when the alarm of an episode began last: it may have been normal in between.
func (e *Engine) lastSaid(ep *grid.Alarm) time.Time {
	if in, _, _, ok := e.senses(ep); ok && ep.Active && in.Abnormal {
		return later(ep.Raised, in.Since)
	}
	return ep.Raised
}

// confirmed notes the event of it, once.
func (b *batch) confirmed(in *grid.Incident, g *alarm.Group, ep *grid.Alarm, why string) {
	in.Confirmed = b.now
	rule := b.e.Rules.Bare(g.Confirm.Event)
	if rule == nil {
		return
	}
	in.Type, in.Priority = rule.Type, min(in.Priority, rule.Priority)
	ev := rule.Event(b.id(), "noted", ep, b.now, b.now)
	ev.Priority, ev.Detail = rule.Priority, why
	b.rows.Events = append(b.rows.Events, ev)
	b.seriesEvent(&ev)
}

// confirmedBy notes that a person found the cause of a ticket to be true.
func (b *batch) confirmedBy(t *grid.Ticket, m *grid.Move) {
	old, ep := b.e.incidents[t.Incident], b.e.alarms[t.Alarm]
	if old == nil || ep == nil || !old.Confirmed.IsZero() || m.Verb != grid.VerbVerify || m.Finding != grid.VerifiedTrue {
		return
	}
	if g := b.e.Rules.Group(t.Type); g != nil && g.Confirm.Event != "" {
		b.confirmed(b.changeIncident(old.ID), g, ep, "found true by "+m.By.Name)
	}
}

// relate links open incidents of the same group that are close by.
func (b *batch) relate(in *grid.Incident, near float64) {
	if near == 0 || in.Lon == 0 && in.Lat == 0 {
		return
	}
	for id, o := range b.e.incidents {
		if id == in.ID || o.Cause != in.Cause || o.Mode != in.Mode || !o.Ended.IsZero() || o.Lon == 0 && o.Lat == 0 || metres(in, o) > near {
			continue
		}
		in.Related = append(in.Related, id)
		other := b.changeIncident(id)
		other.Related = append(slices.Clip(other.Related), in.ID)
	}
	slices.Sort(in.Related)
}

// metres is the distance of two incidents, on a sphere: good to a percent within a city.
func metres(a, b *grid.Incident) float64 {
	const radius, deg = 6_371_000, math.Pi / 180
	x := (b.Lon - a.Lon) * deg * math.Cos((a.Lat+b.Lat)/2*deg)
	y := (b.Lat - a.Lat) * deg
	return radius * math.Hypot(x, y)
}

// stirred keeps the count of an incident when one of its episodes goes (-1) or comes back (+1).
func (b *batch) stirred(ep *grid.Alarm, n int) {
	if ep.Incident == "" {
		return
	}
	if err := b.e.recallIncident(ep.Incident); err != nil {
		b.e.log.Error("incident cannot be read", "incident", ep.Incident, "err", err)
		return
	}
	in := b.changeIncident(ep.Incident)
	in.Active = max(0, in.Active+n)
	b.settleIncident(in)
}

// settleIncidents settles the incidents that a ticket is the work for: more than one after
// a merge.
func (b *batch) settleIncidents(t *grid.Ticket) {
	for _, ep := range b.e.episodesOf(t) {
		if in := b.e.incidents[ep.Incident]; in != nil && in.Ticket == t.ID && t.State.Ended() == in.Ended.IsZero() {
			b.settleIncident(b.changeIncident(in.ID))
		}
	}
}

// settleIncident ends an incident whose ticket has ended and whose members are all normal,
// and opens it again when that is no longer so.
func (b *batch) settleIncident(in *grid.Incident) {
	e := b.e
	key := incidentKey{in.Cause, in.Place, in.Mode}
	t := e.tickets[in.Ticket]
	over := in.Active == 0 && (t == nil || t.State.Ended())
	switch {
	case over && in.Ended.IsZero():
		in.Ended = b.now
		if e.incidentAt[key] == in.ID {
			unset(b, e.incidentAt, key)
		}
	case !over && !in.Ended.IsZero():
		in.Ended = time.Time{}
		if e.incidentAt[key] == "" {
			set(b, e.incidentAt, key, in.ID)
		}
	}
}

// recallIncident brings an ended incident back into memory for a turn.
func (e *Engine) recallIncident(id string) error {
	if e.incidents[id] != nil {
		return nil
	}
	in, err := e.store.Incident(context.Background(), id)
	if err == nil {
		e.incidents[id] = &in
	}
	return err
}

// dropIncidents forgets those that have ended.
func (e *Engine) dropIncidents(changed []string) {
	for _, id := range changed {
		if in := e.incidents[id]; in != nil && !in.Ended.IsZero() {
			delete(e.incidents, id)
		}
	}
}

// loadIncidents puts the open ones into memory, after alarms and tickets.
func (e *Engine) loadIncidents(all []grid.Incident) {
	for i := range all {
		in := &all[i]
		e.incidents[in.ID] = in
		key := incidentKey{in.Cause, in.Place, in.Mode}
		if old := e.incidents[e.incidentAt[key]]; old == nil || in.Opened.After(old.Opened) {
			e.incidentAt[key] = in.ID
		}
	}
	for id, a := range e.alarms {
		if t := e.tickets[a.Ticket]; t != nil && t.Alarm != id {
			e.members[t.ID] = append(e.members[t.ID], id)
		}
		e.remindOf(a)
	}
	for _, ids := range e.members {
		slices.Sort(ids)
	}
}

// recallMembers finds the episodes of a ticket that has ended; those that are long over
// stay in the store.
func (e *Engine) recallMembers(t *grid.Ticket) {
	if a := e.alarms[t.Alarm]; a != nil {
		e.remindOf(a)
	}
	if len(t.Members) == 0 {
		return
	}
	for id, a := range e.alarms {
		if a.Ticket == t.ID && id != t.Alarm {
			e.members[t.ID] = append(e.members[t.ID], id)
			e.remindOf(a)
		}
	}
	slices.Sort(e.members[t.ID])
	e.members[t.ID] = slices.Compact(e.members[t.ID])
}
