package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
	"gridgate/internal/ticket"
)

// What silence means beside the device being offline: a sensor that was destroyed or
// stolen, a building that nobody watches.

const buildingPrefix = "building:"

// fellSilent is told when a device goes offline, and when it was due.
func (b *batch) fellSilent(no registry.DeviceNo, offline site, due time.Time) {
	e := b.e
	heard := fromNanos(e.soft.devs[no].heard)
	e.memory.PointsOf(no, func(_ string, pt registry.PointNo) {
		where := e.memory.PointAt(pt).ID
		tampered := false
		for _, r := range e.rulesOf(pt) {
			ep := e.episode(where, r.Type)
			if ep == nil || !ep.Active || r.From != alarm.FromSignal {
				continue
			}
			switch r.Kind {
			case grid.KindTamper:
				tampered = true
			case grid.KindAlarm:
				b.silentAfter(ep, heard)
			}
		}
		for _, r := range e.rulesOf(pt) {
			if ep := e.episode(where, r.Type); r.From == alarm.FromStolen && tampered && (ep == nil || !ep.Active) {
				s := site{point: pt, where: where, rule: r, device: offline.device}
				s.detail = fmt.Sprintf("device %s was tampered with and is silent since %s", offline.device, heard.Format(time.RFC3339))
				b.raise(s, nil, heard)
			}
		}
		b.protection(e.memory.Building(e.memory.PointAt(pt)), due)
	})
}

// silentAfter handles an alarm whose sensor says nothing more. Silence clears nothing.
func (b *batch) silentAfter(old *grid.Alarm, heard time.Time) {
	e := b.e
	t := e.tickets[old.Ticket]
	if t == nil {
		return
	}
	why := fmt.Sprintf("silent since %s, after %s", heard.Format(time.RFC3339), old.Type)
	if old.Priority > 1 {
		b.changeAlarm(old.ID).Priority--
	}
	if plan, err := e.Plans.For(t.Type); err == nil {
		row := b.changeTicket(t.ID)
		b.ticketChanged(row, ticket.Silent(row, plan, why, b.now, e.context(row)))
	}
}

// isBack is told when a device that was offline is heard.
func (b *batch) isBack(no registry.DeviceNo) {
	e := b.e
	e.memory.PointsOf(no, func(_ string, pt registry.PointNo) {
		where := e.memory.PointAt(pt).ID
		for _, r := range e.rulesOf(pt) {
			if ep := e.episode(where, r.Type); r.From == alarm.FromStolen && ep != nil && ep.Active {
				b.clear(site{point: pt, where: where, rule: r}, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
				b.check(ep.Ticket)
			}
		}
		b.protection(e.memory.Building(e.memory.PointAt(pt)), b.now)
	})
}

// smokePoints are the smoke points of a building.
func (e *Engine) smokePoints(building string) []registry.PointNo {
	if e.smokeOf == nil {
		e.smokeOf = map[string][]registry.PointNo{}
		for i := range e.memory.Points() {
			pt := registry.PointNo(i)
			row := e.memory.PointAt(pt)
			if name := e.memory.Building(row); name != "" && row.Kind() == grid.Smoke {
				e.smokeOf[name] = append(e.smokeOf[name], pt)
			}
		}
	}
	return e.smokeOf[building]
}

// isUnproven reports whether nobody has shown that a point works: its commissioning is
// pending, or has failed.
func (e *Engine) isUnproven(pt registry.PointNo) bool { return e.memory.PointAt(pt).Pending() }

// isBlind reports whether nothing can be heard of a smoke point, or it never was shown. known is false where no
// device is installed: what is not installed is not supervised.
func (e *Engine) isBlind(pt registry.PointNo) (blind, known bool) {
	row := e.memory.PointAt(pt)
	no := row.Device()
	if no == registry.DeviceNo(registry.None) || e.memory.DeviceAt(no).State() != grid.Installed {
		return false, false
	}
	soft := &e.soft.devs[no]
	way := e.silence(soft.path)
	unreadable := e.episode(row.ID, grid.EventSafetyUnreadable)
	return e.isUnproven(pt) || soft.flags&isOffline != 0 || way != nil && way.Active || unreadable != nil && unreadable.Active, true
}

// protection judges a building after one of its smoke points fell blind or is seen again at
// a time that does not depend on when the timer was asked.
func (b *batch) protection(building string, at time.Time) {
	e := b.e
	if building == "" || e.lostRule == nil || e.Rules.Protection() == (alarm.Protection{}) {
		return
	}
	s := site{point: registry.PointNo(registry.None), where: buildingPrefix + building, device: grid.Identity(buildingPrefix + building), rule: e.lostRule}
	var blind []string
	all := 0
	for _, pt := range e.smokePoints(building) {
		is, known := e.isBlind(pt)
		if !known {
			continue
		}
		row := e.memory.PointAt(pt)
		if all++; is {
			blind = append(blind, row.ID)
		}
		if s.at.Building == "" || row.Mode() == grid.Live {
			s.at, s.mode = grid.Point{Building: building, Scope: e.memory.Scope(row), Cell: e.memory.Cell(row), Kind: grid.Smoke}, row.Mode()
		}
	}
	ep := e.episode(s.where, s.rule.Type)
	lost := e.Rules.Protection().Lost(len(blind), all)
	switch {
	case lost && (ep == nil || !ep.Active):
		s.detail = fmt.Sprintf("%d of %d smoke points are blind: %s", len(blind), all, listed(blind, 10))
		b.raise(s, nil, at)
	case !lost && ep != nil && ep.Active:
		if s.at.Building == "" { // none is left
			s.mode = ep.Mode
		}
		b.clear(s, ep, alarm.Input{Since: b.now, Heard: b.now}, nil)
		b.check(ep.Ticket)
	}
}

// listed names the first of some ids, and counts the rest.
func listed(ids []string, most int) string {
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}

// protectionBehind judges the buildings whose smoke points are behind a way in.
func (b *batch) protectionBehind(path uint32, at time.Time) {
	e := b.e
	seen := map[string]bool{}
	for i := range e.soft.devs {
		if e.soft.devs[i].path != path {
			continue
		}
		e.memory.PointsOf(registry.DeviceNo(i), func(_ string, pt registry.PointNo) {
			if row := e.memory.PointAt(pt); row.Kind() == grid.Smoke {
				seen[e.memory.Building(row)] = true
			}
		})
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.protection(name, at)
	}
}
