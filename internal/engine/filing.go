package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Events that people report: each is an episode of its own with a ticket, whatever the
// sensors say. What may be the same as another is offered, never merged by itself; only
// smoke that a detector of the building sees too is one fire with two witnesses.

// FileEvent files what a person has reported. The same number of the same source again
// changes nothing and says what has become of the first. It is durable on nil.
func (e *Engine) FileEvent(ctx context.Context, f grid.Filing) (grid.Filed, error) {
	if e.hazardRule(f.Type) != nil {
		return grid.Filed{}, grid.Errorf(grid.Invalid, "type is %q: want it filed as a hazard, which has a check-list and a deadline", f.Type)
	}
	out, err := as[grid.Filed](e.do(ctx, &command{name: "file", do: func(b *batch) (any, error) { return b.file(f) }}))
	if err != nil {
		return out, err
	}
	out.Duplicates = e.similarNow(ctx, out.Ticket.ID)
	return out, nil
}

// similarNow is Similar of what was just filed. That must be said in any case; a list of what it may
// repeat can be had later.
func (e *Engine) similarNow(ctx context.Context, ticket string) []grid.Suggestion {
	out, err := e.Similar(ctx, ticket)
	if err != nil {
		e.log.Error("similar tickets cannot be read", "ticket", ticket, "err", err)
		return []grid.Suggestion{}
	}
	return out
}

// aheadOfUs is how far another system's clock may be before ours.
const aheadOfUs = 2 * time.Minute

// filedEpisode is what became of a filing, on the batch.
type filedEpisode struct {
	alarm, ticket string
}

func (b *batch) file(f grid.Filing) (grid.Filed, error) {
	rule := b.e.filedRule(f.Type)
	if rule != nil && !rule.Ticket {
		rule = nil // nobody would come: refused below
	}
	pt, err := b.e.filingPoint(&f)
	if err != nil {
		return grid.Filed{}, err
	}
	if rule != nil && pt != registry.PointNo(registry.None) {
		if own := b.e.ruleOf(pt, f.Type); own != nil {
			rule.Priority = own.Priority
		}
	}
	if err := alarm.CheckFiling(&f, rule); err != nil {
		return grid.Filed{}, err
	}
	had, known, err := b.filedBefore(&f)
	if err != nil {
		return grid.Filed{}, err
	}
	if !known {
		if had, err = b.raiseFiled(&f, pt, rule); err != nil {
			return grid.Filed{}, err
		}
	}
	t, err := b.e.ticketNow(had.ticket)
	return grid.Filed{Ticket: t, Alarm: had.alarm, Repeated: known}, err
}

// filingPoint finds the point that a filing names, and settles its mode: that of the
// point or of who files, unless the filing itself is not live.
func (e *Engine) filingPoint(f *grid.Filing) (registry.PointNo, error) {
	none, mode := registry.PointNo(registry.None), grid.Live
	pt := none
	if f.Point != "" {
		no, ok := e.memory.Point(f.Point)
		if !ok {
			return none, grid.Errorf(grid.NotFound, "point %q: not found", f.Point)
		}
		pt, mode = no, cmp.Or(e.memory.PointAt(no).Mode(), grid.Live)
	}
	if u := e.units[f.By.Unit]; f.By.Role == grid.RoleUnit && u != nil && isLive(mode) {
		mode = cmp.Or(u.Mode, grid.Live)
	}
	switch f.Mode {
	case "":
		f.Mode = mode
	case grid.Live:
		if !isLive(mode) {
			return none, grid.Errorf(grid.Invalid, "mode is live, and its point or unit is %s: want no mode, or %s", mode, mode)
		}
	case grid.Test, grid.Exercise, grid.Simulated:
	default:
		return none, grid.Errorf(grid.Invalid, "mode is %q: want live, test, exercise or simulated", f.Mode)
	}
	return pt, nil
}

// filedBefore finds what was filed under the same number.
func (b *batch) filedBefore(f *grid.Filing) (out filedEpisode, known bool, err error) {
	id := f.Identity()
	var ep *grid.Alarm
	for _, n := range b.alarms {
		if a := b.e.alarms[n]; a != nil && a.Device == id {
			ep = a
		}
	}
	if ep == nil {
		all, err := b.e.store.FiledAs(context.Background(), id)
		if err != nil {
			return out, false, grid.Errorf(grid.Unavailable, "whether %s was filed before cannot be read: %w", id, err)
		}
		if len(all) == 0 {
			return out, false, nil
		}
		ep = &all[0]
	}
	if ep.Type != f.Type {
		return out, false, grid.Errorf(grid.Conflict, "%s %s was filed as %s: want another number for %s", f.Source, f.External, ep.Type, f.Type)
	}
	return filedEpisode{ep.ID, ep.Ticket}, true, nil
}

// raiseFiled opens the episode of a filing with its ticket.
func (b *batch) raiseFiled(f *grid.Filing, pt registry.PointNo, rule *alarm.Rule) (filedEpisode, error) {
	e := b.e
	f.Text, f.Place = alarm.Masked(f.Text), alarm.Masked(f.Place)
	at := f.At
	if at.IsZero() || at.After(b.now.Add(aheadOfUs)) {
		at = b.now
	}
	s, err := e.filedSite(f, pt)
	if err != nil {
		return filedEpisode{}, err
	}
	own := *rule
	own.Priority = f.Priority
	s.rule, s.detail = &own, fmt.Sprintf("%s %s", f.Source, f.External)
	if f.Text != "" {
		s.detail += ": " + f.Text
	}
	b.because(s.where, b.now)
	b.raise(s, nil, at)
	ep := e.episode(s.where, f.Type)
	if ep.Ticket == "" {
		return filedEpisode{}, grid.Errorf(grid.Internal, "%s %s: no ticket could be opened", f.Source, f.External)
	}
	b.audit("event.file", ep.Ticket, f.By, ep)
	return filedEpisode{ep.ID, ep.Ticket}, nil
}

// filedSite is where a filing says it is.
func (e *Engine) filedSite(f *grid.Filing, pt registry.PointNo) (site, error) {
	s := site{point: pt, where: string(f.Identity()), device: f.Identity(), mode: f.Mode, filed: f}
	if f.Point != "" {
		p, err := e.store.Point(context.Background(), f.Point)
		if err != nil {
			return s, err
		}
		s.at = p
	} else {
		s.at = filedPlace(f, e.home)
	}
	s.at.Mode = f.Mode
	if f.Place != "" && f.Place != s.at.Address {
		s.at.Address = strings.TrimPrefix(s.at.Address+", "+f.Place, ", ")
	}
	return s, nil
}

// filedPlace is a place that is no registered point.
func filedPlace(f *grid.Filing, home grid.Scope) grid.Point {
	p := grid.Point{Building: f.Building, Cell: f.Cell, Lon: f.Lon, Lat: f.Lat, CRS: f.CRS, Mode: f.Mode, Scope: home}
	if len(f.Cell) == 15 {
		p.Scope = grid.Scope{District: f.Cell[:6], Street: f.Cell[:9], Community: f.Cell[:12]}
	}
	switch {
	case f.Place != "" || f.Building != "":
	case f.Lon != 0 || f.Lat != 0:
		p.Address = fmt.Sprintf("%.6f, %.6f (WGS84)", f.Lat, f.Lon)
	default:
		p.Address = "cell " + f.Cell
	}
	return p
}

// siteOf is where a filed episode is, for what comes later.
func (e *Engine) siteOf(ep *grid.Alarm) site {
	f := *ep.Filed
	pt := registry.PointNo(registry.None)
	if no, ok := e.memory.Point(f.Point); ok && f.Point != "" {
		pt = no
	}
	s, err := e.filedSite(&f, pt)
	if err != nil {
		e.log.Error("point cannot be read", "point", f.Point, "err", err)
	}
	s.rule = e.filedRule(ep.Type)
	if s.rule == nil {
		s.rule = &alarm.Rule{Type: ep.Type, Kind: grid.KindAlarm, Priority: ep.Priority}
	}
	return s
}

// splitSite is where an episode is that gets a ticket of its own.
func (e *Engine) splitSite(ep *grid.Alarm) (site, bool) {
	if ep.Filed != nil {
		return e.siteOf(ep), true
	}
	pt, ok := e.memory.Point(ep.Point)
	if !ok {
		return site{}, false
	}
	rule := e.ruleOf(pt, ep.Type)
	if rule == nil {
		rule = e.Rules.Bare(ep.Type)
	}
	return site{point: pt, where: ep.Point, rule: rule}, true
}

// ticketNow is a ticket as of this turn, also one that has ended.
func (e *Engine) ticketNow(id string) (grid.Ticket, error) {
	if t := e.tickets[id]; t != nil {
		return *t, nil
	}
	return e.store.Ticket(context.Background(), id)
}

// alone reports whether a filed episode has work of its own: it joins an incident only
// where a detector is in alarm, as its witness, and opens one only where it may have some.
func (e *Engine) alone(ep *grid.Alarm, g *alarm.Group, in *grid.Incident) bool {
	if ep.Filed == nil || g == nil {
		return false
	}
	if g.Confirm.Detectors == 0 || ep.Building == "" && ep.Point == "" {
		return true
	}
	return in != nil && !slices.ContainsFunc(e.episodesOf(e.tickets[in.Ticket]), func(o *grid.Alarm) bool { return o.Filed == nil && o.Active })
}

// witness says which person and which detector saw the same; "" when not both did.
func witness(others []*grid.Alarm, ep *grid.Alarm) string {
	for _, o := range others {
		if o.ID == ep.ID || !o.Active || (o.Filed == nil) == (ep.Filed == nil) {
			continue
		}
		f := cmp.Or(o.Filed, ep.Filed)
		return fmt.Sprintf("a detector, and %s %s", f.Source, f.External)
	}
	return ""
}

// unproven reports whether only a person can say that what was filed is over: no sensor
// at its place watches for it.
func (e *Engine) unproven(ep *grid.Alarm) bool {
	if ep.Filed == nil {
		return false
	}
	if ep.Point == "" {
		return true
	}
	_, _, _, ok := e.senses(ep)
	return !ok
}

// sensed reports whether an episode is active by the word of a sensor: what people filed
// may be found to be nothing while nobody's sensor says otherwise.
func (e *Engine) sensed(ep *grid.Alarm) bool {
	if ep.Filed == nil || !ep.Active {
		return ep.Active
	}
	in, _, _, ok := e.senses(ep)
	return ep.Point != "" && ok && in.Abnormal
}

// proofOf is the plan of a ticket, with what proves it done: a person's word where it was
// filed and no sensor can tell; the sensors are still asked that can.
func (e *Engine) proofOf(t *grid.Ticket, p *ticket.Plan) *ticket.Plan {
	filed, sensed := 0, 0
	for _, ep := range e.episodesOf(t) {
		if e.unproven(ep) {
			filed++
		} else {
			sensed++
		}
	}
	if filed == 0 {
		return p
	}
	own := *p
	own.Check.Person = true
	if sensed == 0 {
		own.Check.Normal = nil
	}
	return &own
}

// endFiled ends what people reported when the work for it has ended: nobody else says
// that it is over. A merged ticket's go on with the other.
func (b *batch) endFiled(t *grid.Ticket) {
	if !t.State.Ended() || t.State == grid.TicketMerged {
		return
	}
	for _, ep := range b.e.episodesOf(t) {
		if ep.Filed != nil && ep.Active && ep.Ticket == t.ID {
			b.clear(b.e.siteOf(ep), ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		}
	}
}

// checkFiled looks at the tickets of what was filed at a point of which there is news.
func (b *batch) checkFiled(where string) {
	for _, id := range b.e.filedAt[where] {
		if ep := b.e.alarms[id]; ep != nil {
			b.check(ep.Ticket)
		}
	}
}

// countFiled keeps the list of what is filed at each point.
func (b *batch) countFiled(ep *grid.Alarm, n int) {
	if ep.Filed != nil && ep.Point != "" {
		set(b, b.e.filedAt, ep.Point, with(b.e.filedAt[ep.Point], ep.ID, n))
	}
}

// Similar gives the open tickets that may be about the same as one. It reads what is
// committed and may be called by anyone.
func (e *Engine) Similar(ctx context.Context, id string) ([]grid.Suggestion, error) {
	own, near, err := e.store.CasesNear(ctx, id, alarm.SimilarWithin)
	if err != nil {
		return nil, err
	}
	open := make([]alarm.Case, len(near))
	for i := range near {
		open[i] = caseOf(&near[i])
	}
	return alarm.Similar(caseOf(&own), open), nil
}

func caseOf(c *state.Case) alarm.Case {
	return alarm.Case{
		Ticket: c.Ticket, Type: grid.EventType(c.Type), Point: c.Point, Building: c.Building, Cell: c.Cell, Place: c.Place,
		Lon: c.Lon, Lat: c.Lat, Opened: c.Opened, Live: isLive(c.Mode),
	}
}
