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
	"gridgate/internal/hazard"
	"gridgate/internal/registry"
	"gridgate/internal/ticket"
)

// Hazards: package hazard decides. The work of one is a ticket of its own type, so that
// clocks, units, deliveries and history are the ticket's; a hazard follows what becomes of it.

func (b *batch) changeHazard(id string) *grid.Hazard {
	b.hazards = append(b.hazards, id)
	return change(b, b.e.hazards, id)
}

// hazardPlans makes the plans of the tickets of hazards.
func hazardPlans(ks *hazard.Kinds) (out []*ticket.Plan) {
	for _, name := range ks.Names() {
		if k, err := ks.Get(name); err == nil {
			out = append(out, hazardPlan(k))
		}
	}
	return out
}

// How long the desk has to find a unit where none is found at once, and a unit to answer.
const (
	hazardDispatch = 4 * time.Hour
	hazardAccept   = 8 * time.Hour
)

func hazardPlan(k *hazard.Kind) *ticket.Plan {
	atOnce := time.Duration(0)
	whole := ticket.Limit{For: k.Deadline.For + k.Recheck.For, Calendar: k.Deadline.Calendar}
	if k.Deadline.Calendar == nil && k.Recheck.Calendar != nil {
		// A day of work is over within four at the longest of ordinary weeks.
		whole.For = k.Deadline.For + 4*24*time.Hour*max(1, k.Recheck.For/k.Recheck.Calendar.DayLength())
	}
	return &ticket.Plan{
		Type: grid.HazardEvent(k.Name),
		Calls: []ticket.Call{
			{Tier: 2, Units: k.Units, Lead: true, After: &atOnce},
			{Tier: 4, Units: []grid.UnitKind{grid.Operator}},
		},
		Limits: map[string]ticket.Limit{
			ticket.ClockDispatch: {For: hazardDispatch}, ticket.ClockAccept: {For: hazardAccept},
			ticket.ClockHandle: ticket.Limit(k.Deadline), ticket.ClockCheck: ticket.Limit(k.Recheck), ticket.ClockTotal: whole,
		},
		Check: ticket.Proof{Person: true},
	}
}

// hazardRule is the rule of the event by which a hazard is opened; nil: it is of none.
func (e *Engine) hazardRule(t grid.EventType) *alarm.Rule {
	name, is := strings.CutPrefix(string(t), "hazard.")
	if !is || e.Hazards == nil {
		return nil
	}
	k, err := e.Hazards.Get(name)
	if err != nil {
		return nil
	}
	return &alarm.Rule{Type: t, Kind: grid.KindFault, Priority: k.Priority, TitleZH: k.TitleZH, TitleEN: k.TitleEN, Ticket: true}
}

// filedRule is the rule of what people may file; nil: of nothing.
func (e *Engine) filedRule(t grid.EventType) *alarm.Rule {
	if r := e.hazardRule(t); r != nil {
		return r
	}
	return e.bare(t)
}

func (e *Engine) hazardKind(name string) (*hazard.Kind, error) {
	if e.Hazards == nil {
		return nil, grid.Errorf(grid.Unavailable, "kind is %q: this gateway has no kinds of hazard", name)
	}
	return e.Hazards.Get(name)
}

// FileHazard files a hazard that people found. The same number of the same source again
// changes nothing. It is durable on nil.
func (e *Engine) FileHazard(ctx context.Context, f grid.HazardFiling) (grid.HazardFiled, error) {
	out, err := as[grid.HazardFiled](e.do(ctx, &command{name: "hazard", do: func(b *batch) (any, error) { return b.fileHazard(f) }}))
	if err != nil {
		return out, err
	}
	out.Duplicates = e.similarNow(ctx, out.Hazard.Ticket)
	return out, nil
}

func (b *batch) fileHazard(f grid.HazardFiling) (grid.HazardFiled, error) {
	k, err := b.e.hazardKind(f.Kind)
	if err != nil {
		return grid.HazardFiled{}, err
	}
	if err := hazard.CheckAnswers(k, f.Answers); err != nil {
		return grid.HazardFiled{}, err
	}
	f.Type = grid.HazardEvent(k.Name)
	out, err := b.file(f.Filing)
	if err != nil {
		return grid.HazardFiled{}, err
	}
	if out.Repeated {
		h, err := b.e.hazardOfTicket(out.Ticket.ID)
		return grid.HazardFiled{Hazard: h, Repeated: true}, err
	}
	h, err := b.openHazard(k, b.e.alarms[out.Alarm])
	if err != nil {
		return grid.HazardFiled{}, err
	}
	for i := range f.Answers {
		f.Answers[i].By, f.Answers[i].At = f.By, b.now
	}
	h.Answers = f.Answers
	return grid.HazardFiled{Hazard: *h}, nil
}

// openHazard makes the row of a hazard whose episode and ticket were just raised.
func (b *batch) openHazard(k *hazard.Kind, ep *grid.Alarm) (*grid.Hazard, error) {
	e := b.e
	before, err := b.hazardsAt(ep.Point, k.Name, ep.Raised.Add(-hazard.RepeatWithin))
	if err != nil {
		return nil, err
	}
	t := e.tickets[ep.Ticket]
	h := b.changeHazard(b.id())
	*h = grid.Hazard{
		ID: b.hazards[len(b.hazards)-1], Kind: k.Name, Level: k.Level, Mode: ep.Mode, Scope: ep.Scope, Cell: ep.Cell, Point: ep.Point,
		Place: t.Place, Source: ep.Filed.Source, External: ep.Filed.External, Text: ep.Filed.Text, Found: ep.Raised, Since: ep.Raised,
		Deadline: k.Deadline.End(ep.Raised), State: grid.HazardFound, Ticket: t.ID,
	}
	if len(before) > 0 {
		h.RepeatOf = before[0].ID
	}
	set(b, e.hazardOf, t.ID, h.ID)
	b.followTicket(t)
	return e.hazards[h.ID], nil
}

// hazardsAt gives the hazards of a kind at a point, newest first, those of this turn too.
func (b *batch) hazardsAt(point, kind string, since time.Time) ([]grid.Hazard, error) {
	if point == "" {
		return nil, nil
	}
	all, err := b.e.store.HazardsAt(context.Background(), point, kind, since)
	if err != nil {
		return nil, grid.Errorf(grid.Unavailable, "hazards of point %s cannot be read: %w", point, err)
	}
	for _, id := range b.hazards {
		h := b.e.hazards[id]
		if h == nil || h.Point != point || h.Kind != kind {
			continue
		}
		if i := slices.IndexFunc(all, func(o grid.Hazard) bool { return o.ID == id }); i >= 0 {
			all[i] = *h
		} else if !h.Found.Before(since) {
			all = append(all, *h)
		}
	}
	slices.SortFunc(all, func(x, y grid.Hazard) int {
		return cmp.Or(y.Found.Compare(x.Found), strings.Compare(y.ID, x.ID))
	})
	return all, nil
}

func (e *Engine) hazardOfTicket(ticket string) (grid.Hazard, error) {
	if h := e.hazards[e.hazardOf[ticket]]; h != nil {
		return *h, nil
	}
	return e.store.HazardOf(context.Background(), ticket)
}

// followTicket lets a hazard follow its ticket, whoever moved that, and keeps the clock of
// the ticket at the hazard's deadline.
func (b *batch) followTicket(t *grid.Ticket) {
	e := b.e
	old := e.hazards[e.hazardOf[t.ID]]
	if old == nil {
		return
	}
	h := b.changeHazard(old.ID)
	hazard.Follow(h, t, ticket.Responsible(t), e.Now())
	k, err := e.hazardKind(h.Kind)
	if err != nil {
		return // the kind was taken out of the configuration: the ticket's own clocks go on
	}
	half, most := k.Deadline.Share(h.Since, h.Deadline, 50), k.Deadline.Share(h.Since, h.Deadline, 80)
	if ticket.SetDeadline(t, h.Since, half, most, h.Deadline) {
		b.wakeTicket(t.ID, ticket.Wake(t, e.context(t)))
	}
}

// mayClose reports whether the check of a ticket may close it: that of a hazard only after
// a re-check by somebody else.
func (e *Engine) mayClose(t *grid.Ticket) bool {
	h := e.hazards[e.hazardOf[t.ID]]
	return h == nil || h.Passed()
}

// MoveHazard changes a hazard by the word of a person or a unit. It is durable on nil.
func (e *Engine) MoveHazard(ctx context.Context, m grid.HazardMove) (grid.Hazard, error) {
	key := m.Key
	if key != "" {
		key = "hazard/" + cmp.Or(m.By.Unit, m.By.Name) + "/" + key
	}
	return as[grid.Hazard](e.do(ctx, &command{name: "hazard move", key: key, do: func(b *batch) (any, error) { return b.moveHazard(m) }}))
}

func (b *batch) moveHazard(m grid.HazardMove) (any, error) {
	e := b.e
	if m.At.IsZero() {
		m.At = e.Now()
	}
	h, err := e.hazardNow(m.Hazard)
	if err != nil {
		return nil, err
	}
	k, err := e.hazardKind(h.Kind)
	if err != nil {
		return nil, err
	}
	if err := b.mayShow(&h, &m); err != nil {
		return nil, err
	}
	res, err := hazard.Apply(&h, m, k)
	if err != nil || !res.Changed {
		return h, err
	}
	*b.changeHazard(h.ID) = h
	b.now = later(b.time, m.At)
	if err := b.workOfHazard(&h, &m, &res); err != nil {
		return nil, err
	}
	b.auditHazard(&h, &m)
	return *e.hazards[h.ID], nil
}

// mayShow holds what package hazard cannot see: photos are files of the hazard's ticket,
// and a unit without a part in it does not know that there is one.
func (b *batch) mayShow(h *grid.Hazard, m *grid.HazardMove) error {
	e := b.e
	if m.By.Role == grid.RoleUnit {
		t, err := e.ticketNow(h.Ticket)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(t.Assignments, func(a grid.Assignment) bool { return a.Unit == m.By.Unit }) {
			return grid.Errorf(grid.NotFound, "hazard %s: not found", h.ID)
		}
	}
	for _, id := range slices.Concat(m.Before, m.After) {
		f, err := e.store.File(context.Background(), id)
		if err != nil {
			return err
		}
		if f.Ticket != h.Ticket {
			return grid.Errorf(grid.Invalid, "photo %s is of ticket %s: want one of %s", id, f.Ticket, h.Ticket)
		}
	}
	return nil
}

// workOfHazard makes the ticket of a hazard follow its move.
func (b *batch) workOfHazard(h *grid.Hazard, m *grid.HazardMove, res *hazard.Result) error {
	e := b.e
	for _, tm := range res.Ticket {
		if _, err := b.move(tm); err != nil {
			return err
		}
	}
	t := e.tickets[h.Ticket]
	if t == nil || !res.Failed && !res.Moved {
		return nil
	}
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return err
	}
	row := b.changeTicket(t.ID)
	if res.Failed {
		b.ticketChanged(row, ticket.Failed(row, plan, m.Person, m.Reason, m.By, b.now, e.context(row)))
		return nil
	}
	b.followTicket(row)
	b.ticketChanged(row, ticket.Extended(row, plan, h.Deadline, m.Reason, m.By, b.now, e.context(row)))
	return nil
}

func (b *batch) auditHazard(h *grid.Hazard, m *grid.HazardMove) {
	ep := &grid.Alarm{Scope: h.Scope, Cell: h.Cell, Mode: h.Mode}
	b.audit("hazard."+string(m.Verb), h.ID, m.By, ep)
	row := &b.rows.Audit[len(b.rows.Audit)-1]
	row.Detail = cut(strings.TrimPrefix(m.Person+": "+m.Reason, ": "), maxAudited)
}

// hazardNow is a hazard as of this turn, also one that has ended: a late word on it meets
// the same rules.
func (e *Engine) hazardNow(id string) (grid.Hazard, error) {
	if h := e.hazards[id]; h != nil {
		return *h, nil
	}
	return e.store.Hazard(context.Background(), id)
}

// dropHazards forgets those that have ended.
func (e *Engine) dropHazards(changed []string) {
	for _, id := range changed {
		if h := e.hazards[id]; h != nil && !h.Ended.IsZero() {
			delete(e.hazards, id)
			delete(e.hazardOf, h.Ticket)
		}
	}
}

// loadHazards puts the open ones into memory.
func (e *Engine) loadHazards(ctx context.Context) error {
	all, err := e.store.OpenHazards(ctx)
	if err != nil {
		return fmt.Errorf("load hazards: %w", err)
	}
	for i := range all {
		h := &all[i]
		e.hazards[h.ID], e.hazardOf[h.Ticket] = h, h.ID
	}
	return nil
}

// standing makes a hazard of an event that sensors raise again and again at one point:
// once, and counted anew after it.
func (b *batch) standing(ep *grid.Alarm) {
	e := b.e
	if e.Hazards == nil || ep.Filed != nil || ep.Point == "" {
		return
	}
	for _, r := range e.Hazards.From(ep.Type) {
		if err := b.repeated(ep, r); err != nil {
			e.log.Error("repeated event makes no hazard", "point", ep.Point, "err", err)
		}
	}
}

func (b *batch) repeated(ep *grid.Alarm, r hazard.Repetition) error {
	e := b.e
	for _, h := range e.hazards {
		if h.Point == ep.Point && h.Kind == r.Kind && h.Open() {
			return nil // one at a time
		}
	}
	all, err := b.raisedAt(ep, ep.Raised.Add(-r.Within), r.Times)
	if err != nil || len(all) < r.Times {
		return err
	}
	before, err := b.hazardsAt(ep.Point, r.Kind, time.Time{})
	if err != nil {
		return err
	}
	var counted time.Time // what was raised before the end of another counted for that one
	for i := range before {
		counted = later(counted, before[i].Ended)
	}
	var ids []string
	for i := range all {
		if !all[i].Raised.Before(counted) {
			ids = append(ids, all[i].ID)
		}
	}
	if len(ids) < r.Times {
		return nil
	}
	slices.Sort(ids)
	k, err := e.hazardKind(r.Kind)
	if err != nil {
		return err
	}
	return b.foundBySensor(k, ep, r, ids)
}

// raisedAt gives the newest episodes like one at its point, those of this turn too: as many
// as are asked for at least, if there are so many.
func (b *batch) raisedAt(ep *grid.Alarm, since time.Time, most int) ([]grid.Alarm, error) {
	all, err := b.e.store.RaisedAt(context.Background(), ep.Point, ep.Type, since, most)
	if err != nil {
		return nil, err
	}
	for a := ep; a != nil && !a.Raised.Before(since); a = b.e.alarms[a.Previous] { // perhaps not in the store yet
		if !slices.ContainsFunc(all, func(o grid.Alarm) bool { return o.ID == a.ID }) {
			all = append(all, *a)
		}
	}
	return all, nil
}

func (b *batch) foundBySensor(k *hazard.Kind, ep *grid.Alarm, r hazard.Repetition, ids []string) error {
	cause, made, now := b.cause, b.made, b.now
	defer func() { b.cause, b.made, b.now = cause, made, now }()
	f := &grid.Filing{
		Source: grid.FromSensor, External: ep.ID, Type: grid.HazardEvent(k.Name), Mode: ep.Mode, Point: ep.Point, Priority: k.Priority,
		Text: fmt.Sprintf("%s %d times within %s", ep.Type, len(ids), r.Within), By: grid.Actor{Role: grid.RoleSystem, Name: "sensor"},
	}
	pt, known := b.e.memory.Point(ep.Point)
	if !known {
		pt = registry.PointNo(registry.None)
	}
	filed, err := b.raiseFiled(f, pt, b.e.hazardRule(f.Type))
	if err != nil {
		return err
	}
	h, err := b.openHazard(k, b.e.alarms[filed.alarm])
	if err == nil {
		h.Episodes = ids
	}
	return err
}
