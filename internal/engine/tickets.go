package engine

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Tickets: package ticket decides, this file feeds it and turns what it decides into
// rows and deliveries of the batch.

// openTicket opens the ticket of a new episode and calls the units, in the transaction
// of the alarm.
func (b *batch) openTicket(s site, ep *grid.Alarm, d *decoded) {
	e := b.e
	plan, err := e.Plans.For(ep.Type)
	if err != nil {
		e.log.Error("no ticket was opened", "err", err)
		return
	}
	id := b.ticketName(ep, b.id())
	p := e.place(s)
	o := ticket.Opening{
		ID: id, Case: caseNumber(b.now, id), Type: ep.Type, Priority: ep.Priority, Mode: ep.Mode,
		Scope: ep.Scope, Cell: ep.Cell, Point: ep.Point, Device: ep.Device, Alarm: ep.ID,
		Title: s.rule.TitleZH + " / " + s.rule.TitleEN, Place: e.placeInWords(&p), Detail: s.detail, At: s.openedAt(b.now),
		Incident: ep.Incident, Urgent: isUrgent(ep) || e.Rules.MayBeUrgent(ep.Type), Component: p.Component, Suspect: e.suspected(s, ep),
	}
	if s.filed != nil {
		o.By = s.filed.By
	}
	for _, a := range e.hindrances(ep) {
		if o.Related = append(o.Related, e.memberAt(a)); len(o.Related) == grid.MaxMembers {
			break
		}
	}
	o.Routing = e.routing(ep.Point)
	t, res := ticket.Open(o, plan, e.unitList())
	row := b.changeTicket(id)
	*row = t
	ep.Ticket = id
	b.ticketChanged(row, res)
}

// place reads the point of a site; its words are not kept in memory.
func (e *Engine) place(s site) grid.Point {
	if s.at.ID != "" && !s.hasPoint() { // of a device that is at no point: where it was
		s.where = s.at.ID
		s.at = grid.Point{}
		s.point = 0
	}
	if s.at.Building != "" || s.filed != nil {
		return s.at
	}
	if !s.hasPoint() {
		return grid.Point{Scope: e.home, Address: s.where}
	}
	p, err := e.store.Point(context.Background(), s.where)
	if err != nil {
		e.log.Error("point cannot be read", "point", s.where, "err", err)
		return grid.Point{ID: s.where}
	}
	return p
}

// caseNumber is what people call a ticket by: the day, and the end of its id.
func caseNumber(at time.Time, id string) string {
	return at.In(time.FixedZone("UTC+8", 8*3600)).Format("20060102") + "-" + id[len(id)-6:]
}

// ticketChanged stores what a change of a ticket led to.
func (b *batch) ticketChanged(t *grid.Ticket, res ticket.Result) {
	e := b.e
	b.rows.Moves = append(b.rows.Moves, res.Moves...)
	if !patient(t) {
		b.letGo(t.ID, "")
	}
	for i, m := range res.Messages {
		b.deliver(t, m, i)
	}
	b.sendCalls(t, res.Calls)
	if res.Changed {
		b.seriesTicket(t)
	}
	wake := res.Wake
	if t.State.Ended() {
		wake = time.Time{}
	}
	b.wakeTicket(t.ID, wake)
	if res.Changed && t.State == grid.TicketClosed {
		b.endedToo(t)
	}
	b.settleIncidents(t)
	if res.Changed {
		b.followTicket(t)
		b.endFiled(t)
		b.repaired(t)
		b.followRound(t)
	}
	if res.Changed && t.State.Ended() {
		e.log.Info("ticket ended", "ticket", t.ID, "point", t.Point)
	}
}

// wakeTicket sets when the ticket is looked at again, at the latest.
func (b *batch) wakeTicket(id string, at time.Time) {
	old := b.e.due.at[id]
	b.e.due.set(id, at)
	b.undo = append(b.undo, func() { b.e.due.set(id, old) })
}

// deliver makes the delivery of a message: its body is frozen here.
func (b *batch) deliver(t *grid.Ticket, m ticket.Message, i int) {
	e := b.e
	u, ok := e.units[m.Unit]
	if !ok {
		e.log.Error("unit of a ticket is not registered", "unit", m.Unit, "ticket", t.ID)
		return
	}
	b.goesFirst(t, u)
	id := b.id()
	d := b.changeDelivery(id)
	*d = grid.Delivery{
		ID: id, N: int64(t.Revision)*100 + int64(i), Ticket: t.ID, Assignment: m.Assignment, Unit: u.ID, Connector: u.Connector,
		Type: m.Type, Priority: t.Priority, Mode: t.Mode, Scope: t.Scope, Lane: laneOf(t), Created: b.now, State: grid.DeliveryPending,
	}
	if (u.Mode == grid.Live || u.Mode == "") != (t.Mode == grid.Live) {
		d.State, d.Error = grid.DeliveryWithheld, fmt.Sprintf("ticket is %s and unit %s is %s", t.Mode, u.ID, u.Mode)
	}
	p := grid.Point{}
	if t.Point != "" {
		p = e.place(site{point: registry.PointNo(0), where: t.Point})
	} else if ep := e.alarms[t.Alarm]; ep != nil && ep.Filed != nil {
		p = filedPlace(ep.Filed, e.home)
	}
	body, err := e.Body(t, d, &p, u)
	if err != nil {
		d.State, d.Error = grid.DeliveryDead, err.Error()
		e.log.Error("message cannot be made", "ticket", t.ID, "unit", u.ID, "err", err)
	}
	d.Body = body
	b.holdBack(t, d, u)
	b.watchDelivery(d, u)
}

// laneOf is the same for all deliveries of a ticket: they are kept in order within a lane.
func laneOf(t *grid.Ticket) grid.Lane {
	if t.Urgent {
		return grid.Safety
	}
	return grid.Bulk
}

func isUrgent(ep *grid.Alarm) bool {
	return ep.Priority == 1 || strings.HasPrefix(string(ep.Type), "smoke.")
}

// keepEvidence copies a frame to the case that it stands behind.
func (b *batch) keepEvidence(ticketID string, d *decoded) {
	if ticketID == "" || d == nil {
		return
	}
	b.rows.Evidence = append(b.rows.Evidence, state.Evidence{
		Ticket: ticketID, Pos: d.frame.Pos, Frame: d.frame, Decoded: decodedJSON(d), Config: b.e.ConfigVersion,
	})
}

// context is what package ticket may look at beside the ticket.
func (e *Engine) context(t *grid.Ticket) ticket.Context {
	c := ticket.Context{Units: e.unitList(), Routing: e.routing(t.Point), Skipped: e.skippedSince(t.Resolved)}
	smoke := strings.HasPrefix(string(t.Type), "smoke.")
	for _, ep := range e.episodesOf(t) {
		c.Active = c.Active || e.sensed(ep)
		c.Second = c.Second || smoke && e.burning[fireAt(ep)] > 1
		c.Episodes = append(c.Episodes, ep.ID)
	}
	return c
}

func (e *Engine) unitList() []grid.Unit {
	if e.unitCache == nil {
		for _, u := range e.units {
			e.unitCache = append(e.unitCache, *u)
		}
	}
	return e.unitCache
}

// cameBack goes on with an episode within its re-alarm window, and with its ticket. A
// ticket that was ended otherwise than by its closing stays so: a new episode is raised.
func (b *batch) cameBack(s site, old *grid.Alarm, d *decoded, at time.Time) {
	e := b.e
	if b.cameBackCovered(s, old, d, at) {
		return
	}
	if !s.rule.Ticket {
		b.rejoin(s, old, d)
		return
	}
	plan, err := e.Plans.For(s.rule.Type)
	if err == nil {
		err = e.recall(old.Ticket)
	}
	if err != nil {
		e.log.Error("ticket of an episode cannot be read", "ticket", old.Ticket, "err", err)
		b.raise(s, d, at)
		return
	}
	if t := e.tickets[old.Ticket]; t.State.Ended() && t.State != grid.TicketClosed {
		b.raise(s, d, at)
		return
	}
	ep := b.rejoin(s, b.toNewer(s, old), d)
	b.lift(s, ep)
	if !b.backAtWork(s, ep) {
		row := b.changeTicket(ep.Ticket)
		c := e.context(row)
		c.Quiet = ep.Quiet
		res, _ := ticket.Rejoin(row, plan, b.now, c)
		b.ticketChanged(row, res)
	}
	b.witness(s, ep)
}

// check asks whether a ticket that is reported done is proven done, by what the sensor
// has said since.
func (b *batch) check(id string) {
	e := b.e
	t := e.tickets[id]
	if t == nil || t.State != grid.TicketChecking {
		return
	}
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return
	}
	if plan = e.proofOf(t, plan); !e.mayClose(t) {
		return
	}
	var v ticket.Verdict
	var wake time.Time
	if need, asked := plan.SensorNormal(); asked {
		v, wake = b.watch(t, need)
	}
	row := b.changeTicket(id)
	b.ticketChanged(row, ticket.Check(row, plan, v, b.now, e.context(row)))
	b.await(row)
	if row.State == grid.TicketChecking && !wake.IsZero() {
		// Engine time may lag behind the wall clock: then ask again a little later.
		if at := later(wake, e.Now().Add(time.Second)); e.due.at[id].IsZero() || at.Before(e.due.at[id]) {
			b.wakeTicket(id, at)
		}
	}
}

// watch asks the sensors of all episodes of a ticket: one that is abnormal is enough for
// rework, and all must be normal to pass. wake is when it can be said of the first of them.
func (b *batch) watch(t *grid.Ticket, need time.Duration) (all ticket.Verdict, wake time.Time) {
	all.Pass = true
	episodes := b.e.episodesOf(t)
	for _, ep := range episodes {
		if b.e.unproven(ep) {
			continue // a person's word stands for it: see proofOf
		}
		in, interval, deaf, ok := b.e.senses(ep)
		if !ok {
			all.Unable, all.Pass = true, false
			continue
		}
		pass, abnormal, next := alarm.Watch(need, interval, t.Resolved, in, b.now, deaf...)
		all.Pass, all.Abnormal = all.Pass && pass, all.Abnormal || abnormal
		if !next.IsZero() && (wake.IsZero() || next.Before(wake)) {
			wake = next
		}
	}
	if len(episodes) == 0 {
		all.Unable, all.Pass = true, false
	}
	return all, wake
}

// await notes that a ticket is closed by the next word of a device, whatever it says: it
// was opened because the device was silent.
func (b *batch) await(t *grid.Ticket) {
	e := b.e
	pt, ok := e.memory.Point(t.Point)
	if !ok || t.Type != grid.EventDeviceOffline {
		return
	}
	no := e.memory.PointAt(pt).Device()
	if t.State == grid.TicketChecking {
		set(b, e.awaited, no, t.ID)
	} else {
		unset(b, e.awaited, no)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// senses is what is heard of an episode's condition.
func (e *Engine) senses(ep *grid.Alarm) (in alarm.Input, interval time.Duration, deaf []alarm.Span, ok bool) {
	if ep.Point == "" { // of a way in or a building: what raised it also clears it
		return alarm.Input{Abnormal: ep.Active, Since: later(ep.Raised, ep.Returned), Heard: e.engineTime}, 0, nil, true
	}
	pt, known := e.memory.Point(ep.Point)
	if !known {
		return in, 0, nil, false
	}
	no := e.memory.PointAt(pt).Device()
	if no == registry.DeviceNo(registry.None) {
		return in, 0, nil, false
	}
	interval, deaf = e.intervalOf(no, nil), e.deafTo(e.soft.devs[no].path)
	for i, r := range e.rulesOf(pt) {
		if r.Type != ep.Type {
			continue
		}
		if r.From == alarm.FromSilence || r.From == alarm.FromStolen {
			heard := fromNanos(e.soft.devs[no].heard)
			return alarm.Input{Abnormal: ep.Active, Since: later(ep.Raised, heard), Heard: heard}, interval, deaf, true
		}
		if c := e.soft.points[pt].cond(uint8(i)); c != nil {
			return c.input(), interval, deaf, true
		}
	}
	return in, 0, nil, false
}

// ticketClocks runs the clocks that have come due, in real time: at once when overdue.
func (b *batch) ticketClocks(wall time.Time) {
	e := b.e
	for n := 0; n < maxCommands; n++ {
		id, ok := e.due.due(wall)
		if !ok {
			return
		}
		b.undo = append(b.undo, func() { e.due.set(id, wall) })
		if b.careful {
			b.clockCarefully(id, wall)
		} else {
			b.ticketClock(id, wall)
		}
	}
}

// ticketClock runs the clocks of one ticket.
func (b *batch) ticketClock(id string, wall time.Time) {
	e := b.e
	t := e.tickets[id]
	if t == nil {
		return
	}
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return
	}
	b.because(fmt.Sprintf("clock/%s/%d", id, t.Revision), wall)
	row := b.changeTicket(id)
	res, next := ticket.Tick(row, plan, wall, e.context(row))
	res.Wake = next
	b.ticketChanged(row, res)
	b.now = b.time
	b.check(id)
}

// Move changes a ticket by the word of a person or a unit. It is durable on nil.
func (e *Engine) Move(ctx context.Context, m grid.Move) (grid.Ticket, error) {
	key := m.Key
	if key != "" {
		key = "move/" + cmp.Or(m.By.Unit, m.By.Name) + "/" + key
	}
	return as[grid.Ticket](e.do(ctx, &command{name: "move", key: key, do: func(b *batch) (any, error) { return b.move(m) }}))
}

func (b *batch) move(m grid.Move) (any, error) {
	e := b.e
	if m.At.IsZero() {
		m.At = e.Now()
	}
	if err := e.recall(m.Ticket); err != nil {
		return nil, err
	}
	t := e.tickets[m.Ticket]
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return nil, err
	}
	if err := b.mayMove(t, &m); err != nil {
		return nil, err
	}
	row := b.changeTicket(t.ID)
	res, err := ticket.Apply(row, m, plan, e.context(row))
	if err != nil {
		return nil, err
	}
	b.ticketChanged(row, res)
	if res.Changed {
		b.followMove(row, &m)
	}
	b.now = later(b.time, m.At)
	b.check(t.ID) // also after a move that changes nothing: the check has a clock of its own
	return *e.tickets[t.ID], nil
}

// recall brings an ended ticket back into memory for a turn, so that a late word on it
// meets the same rules.
func (e *Engine) recall(id string) error {
	if e.tickets[id] != nil {
		return nil
	}
	t, err := e.store.Ticket(context.Background(), id)
	if err != nil {
		return err
	}
	e.tickets[id] = &t
	e.recalled = append(e.recalled, id)
	e.recallMembers(&t)
	return nil
}

// dropEnded forgets ended tickets, those of the turn and those that were looked up.
func (e *Engine) dropEnded(changed []string) {
	for _, ids := range [][]string{changed, e.recalled} {
		for _, id := range ids {
			if t := e.tickets[id]; t != nil && t.State.Ended() {
				delete(e.tickets, id)
				delete(e.members, id)
				delete(e.due.at, id)
			}
		}
	}
	e.recalled = e.recalled[:0]
}

// dropDelivered forgets deliveries that have met their fate.
func (e *Engine) dropDelivered(changed []string) {
	for _, id := range changed {
		if d := e.deliveries[id]; d != nil && d.State != grid.DeliveryPending && d.State != grid.DeliveryHeld {
			e.dropDelivery(d)
		}
	}
}

// Fate is what one attempt means for its delivery.
type Fate struct {
	State grid.DeliveryState
	Next  time.Time // when to try again; zero unless pending
	Ref   string
}

// DeliveryResult records an attempt at a delivery. The same attempt again is a no-op.
func (e *Engine) DeliveryResult(ctx context.Context, id string, a grid.Attempt, f Fate) error {
	_, err := e.do(ctx, &command{name: "delivery", do: func(b *batch) (any, error) {
		d := e.deliveries[id]
		if d == nil {
			stored, err := e.store.Delivery(context.Background(), id)
			if err != nil {
				return nil, err
			}
			if stored.State != grid.DeliveryPending || stored.Attempts >= a.N {
				return nil, nil // had before
			}
			e.deliveries[id] = &stored
			d = &stored
		}
		if d.Attempts >= a.N {
			return nil, nil
		}
		row := b.changeDelivery(id)
		row.State, row.Next, row.Attempts, row.Status, row.Error = f.State, f.Next, a.N, a.Status, a.Error
		b.channelSaid(row)
		if f.Ref != "" {
			row.Ref = f.Ref
		}
		if f.State != grid.DeliveryPending {
			row.Done = a.At.Add(a.Took)
		}
		a.Delivery = id
		b.rows.Attempts = append(b.rows.Attempts, a)
		b.called(row)
		return nil, nil
	}})
	return err
}

// Resend sends a dead or withheld delivery again: a person's decision.
func (e *Engine) Resend(ctx context.Context, id string, by grid.Actor) error {
	_, err := e.do(ctx, &command{name: "resend", do: func(b *batch) (any, error) {
		d := e.deliveries[id]
		if d == nil {
			stored, err := e.store.Delivery(context.Background(), id)
			if err != nil {
				return nil, err
			}
			d = &stored
		}
		if d.State != grid.DeliveryDead {
			return nil, grid.Errorf(grid.Conflict, "delivery %s is %s: only a dead one can be sent again", id, d.State)
		}
		e.deliveries[id] = d
		row := b.changeDelivery(id)
		row.State, row.Next, row.Error = grid.DeliveryPending, b.now, ""
		b.audit("delivery.resend", id, by, nil)
		return nil, nil
	}})
	return err
}
