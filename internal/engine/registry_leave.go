package engine

import (
	"cmp"
	"slices"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/ticket"
)

// What hangs on a device that leaves its points: values, episodes, tickets.

// signals of the device itself: what the last one said of them is not true of the next.
var deviceSignals = []grid.Signal{
	grid.BatteryLevel, grid.BatteryVoltage, grid.BatteryLow, grid.BatteryDays, grid.RSSI, grid.SNR, grid.Tamper, grid.Fault, grid.DeviceRemove, grid.EndOfLife,
}

// leaves settles what hangs on a device that leaves its points. Episodes that only it could
// end are ended, those of the point go on. The tickets of such episodes are told, and where
// another device comes (replaced) they are reported done and go to check: the closed loop is
// closed by the next device's word, or a person's. It gives the tickets that are open there.
func (b *batch) leaves(here []grid.Installation, said string, act *grid.Act, replaced bool) (tickets []string) {
	e := b.e
	for i := range here {
		pt, ok := e.memory.Point(here[i].Point)
		if !ok {
			continue
		}
		for _, t := range e.ticketsAt(here[i].Point) {
			tickets = addOnce(tickets, t.ID)
		}
		var of []string
		for _, r := range e.rulesOf(pt) {
			of = b.leaveEpisode(pt, r, said, replaced, of)
		}
		b.forgetDevice(pt)
		for _, id := range of {
			b.tellOfDevice(id, said, act, replaced)
		}
	}
	return tickets
}

// leaveEpisode ends an episode of a rule that looks at the device, and adds its ticket to of.
func (b *batch) leaveEpisode(pt registry.PointNo, r *alarm.Rule, said string, replaced bool, of []string) []string {
	if r.Kind != grid.KindFault && r.Kind != grid.KindTamper && r.Kind != grid.KindBattery {
		return of
	}
	where := b.e.memory.PointAt(pt).ID
	ep := b.e.episode(where, r.Type)
	if ep == nil {
		return of
	}
	if b.e.tickets[ep.Ticket] != nil {
		of = addOnce(of, ep.Ticket)
	}
	if !ep.Active {
		return of
	}
	s := site{point: pt, where: where, rule: r, detail: said}
	switch r.From {
	case alarm.FromSignal:
		in, _, _, _ := b.e.senses(ep)
		over := alarm.EndedAt(ep, in)
		b.clear(s, ep, alarm.Input{Since: over, Heard: over}, nil)
		b.unsay(pt, r)
	case alarm.FromStolen:
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
	case alarm.FromSilence, alarm.FromUnreadable:
		// With another device the point is blind until that one speaks: see markReplaced.
		if !replaced {
			b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		}
	}
	return of
}

// forgetDevice forgets what a device has said of itself at a point.
func (b *batch) forgetDevice(pt registry.PointNo) {
	soft := b.e.soft.touchPoint(pt)
	kept := soft.vals[:0:0]
	for _, v := range soft.vals {
		if !slices.Contains(deviceSignals, v.signal) {
			kept = append(kept, v)
		}
	}
	soft.vals = kept
}

// tellOfDevice writes into a ticket's history what became of its device, and reports it done as
// far as the table of moves lets it: swapping is the repair.
func (b *batch) tellOfDevice(id, said string, act *grid.Act, done bool) {
	e := b.e
	t := e.tickets[id]
	plan, err := e.Plans.For(t.Type)
	if err != nil {
		return
	}
	b.applyMove(id, plan, grid.Move{Verb: grid.VerbNote, By: grid.Actor{Role: grid.RoleSystem, Name: "registry"}, Reason: said})
	if !done {
		return
	}
	by, source := act.By, ""
	if by.Role != grid.RoleUnit {
		source = orElse(by.Name, "registry")
		if by.Role == grid.RoleSystem || by.Role == "" {
			by.Role = grid.RoleOperator
		}
	}
	for _, verb := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		b.applyMove(id, plan, grid.Move{Verb: verb, By: by, Source: source, OnSite: by.Role == grid.RoleUnit, Reason: said})
	}
}

// applyMove does a move that may not be possible as things stand: then nothing happens.
func (b *batch) applyMove(id string, plan *ticket.Plan, m grid.Move) {
	e := b.e
	m.Ticket, m.At = id, e.Now()
	copied := *e.tickets[id]
	copied.Assignments, copied.Clocks = slices.Clone(copied.Assignments), slices.Clone(copied.Clocks)
	if _, err := ticket.Apply(&copied, m, plan, e.context(&copied)); err != nil {
		return
	}
	row := b.changeTicket(id)
	res, err := ticket.Apply(row, m, plan, e.context(row))
	if err != nil { // it was possible a moment ago, on the copy
		e.log.Error("ticket is not told of its device", "ticket", id, "err", err)
		return
	}
	b.ticketChanged(row, res)
	if res.Changed {
		b.followMove(row, &m)
	}
}

// lookAgain has the tickets of points looked at in the next turn, when memory knows who is there.
func (e *Engine) lookAgain(at []grid.Installation) {
	for i := range at {
		for _, t := range e.ticketsAt(at[i].Point) {
			e.due.set(t.ID, e.Now())
		}
		if pt, ok := e.memory.Point(at[i].Point); ok {
			delete(e.awaited, e.memory.PointAt(pt).Device())
		}
		if no, ok := e.memory.Device(at[i].Device); ok {
			delete(e.awaited, no)
		}
	}
}

// ticketsAt are the open tickets of a point, oldest first.
func (e *Engine) ticketsAt(point string) (out []*grid.Ticket) {
	for _, t := range e.tickets {
		if t.Point == point && !t.State.Ended() {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *grid.Ticket) int { return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID)) })
	return out
}
