// Command history gives a gateway that stands still a past: tickets that were handled, alarms,
// devices and hot-spots of the last hundred days, for browser tests of figures.
//
//	history DATA-DIR SEED NOW
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "want history DATA-DIR SEED NOW")
		os.Exit(2)
	}
	if err := write(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(ctx context.Context, dir, seed, now string) (err error) {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		return fmt.Errorf("now: %w", err)
	}
	s, err := state.Open(ctx, filepath.Join(dir, "state.db"), nil)
	if err != nil {
		return err
	}
	p := &past{rand: rand.New(rand.NewPCG(n, n)), now: at}
	p.places()
	for day := range 100 {
		p.day(at.AddDate(0, 0, -day))
	}
	p.devices()
	p.hotspots()
	// As they came: one after the other.
	err = s.Commit(ctx, &state.Batch{Units: p.b.Units, Points: p.b.Points, Devices: p.b.Devices, Installations: p.b.Installations, Alarms: p.b.Alarms})
	if err == nil {
		err = s.Commit(ctx, &p.b)
	}
	if err == nil { // the first judgement of hot-spots is not this program's
		_, err = s.Prune(ctx, state.Retain{})
	}
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

type past struct {
	rand   *rand.Rand
	now    time.Time
	b      state.Batch
	n      int
	alarms int
}

type sort struct {
	kind    grid.Kind
	typ     grid.EventType
	level   grid.Priority
	profile string
	wrong   float64 // how often its alarms are false
}

func sorts() []sort {
	return []sort{
		{grid.Smoke, grid.EventSmokeAlarm, 1, "history/smoke-a", 0.1}, {grid.Smoke, grid.EventSmokeAlarm, 1, "history/smoke-b", 0.45},
		{grid.Manhole, grid.EventManholeOpen, 1, "history/cover", 0.15}, {grid.Door, grid.EventDoorHeldOpen, 3, "history/door", 0.2}, {grid.Parking, grid.EventParkingOverstay, 3, "history/bay", 0.05},
	}
}

func streets() []string {
	return []string{"310105001", "310105002", "310105004", "310105005", "310105006"}
}

const pointsPerStreet = 15

func scope(street string, i int) grid.Scope {
	return grid.Scope{District: "310105", Street: street, Community: street + "001", Compound: fmt.Sprintf("%s-c%d", street, i%4+1)}
}

func cellOf(street string, i int) string { return fmt.Sprintf("%s001%03d", street, i%5+1) }

// places are points with devices in all streets but the last, which has points alone.
func (p *past) places() {
	for i, kind := range []grid.UnitKind{grid.Property, grid.UrbanManagement, grid.Maintenance} {
		id := []string{"wuye-1", "chengguan-1", "weibao-1"}[i]
		p.b.Units = append(p.b.Units, grid.Unit{ID: id, Name: []string{"天山物业", "城管一中队", "安捷维保"}[i], Kind: kind, Tier: 2, Mode: grid.Live, Connector: "inbox", Scope: grid.Scope{District: "310105"}})
	}
	for k, street := range streets() {
		for i := range pointsPerStreet {
			s := sorts()[i%len(sorts())]
			id := fmt.Sprintf("h-%d-%02d", k, i)
			p.b.Points = append(p.b.Points, grid.Point{ID: id, Name: fmt.Sprintf("%s %02d", s.kind, i), Kind: s.kind, Mode: grid.Live, Scope: scope(street, i), Cell: cellOf(street, i)})
			d := grid.Identity("sn:" + id)
			p.b.Devices = append(p.b.Devices, grid.Device{Identity: d, Profile: s.profile, State: grid.Installed, Mode: grid.Live, Installed: p.now.AddDate(-1, 0, 0)})
			p.b.Installations = append(p.b.Installations, grid.Installation{Device: d, Channel: grid.MainChannel, Point: id, From: p.now.AddDate(-1, 0, 0)})
		}
	}
}

// day has some tickets, more of them in the streets that come first.
func (p *past) day(day time.Time) {
	for range 2 + p.rand.IntN(5) {
		k := min(p.rand.IntN(5), p.rand.IntN(5))
		at := day.Add(-time.Duration(p.rand.IntN(20*60)+60) * time.Minute)
		p.ticket(at, k, p.rand.IntN(pointsPerStreet), grid.Live)
	}
	if day.Day()%9 == 0 {
		p.ticket(day.Add(-3*time.Hour), 0, 0, grid.Simulated)
	}
	if day.Day()%13 == 0 { // a bad ten minutes
		from := day.Add(-10 * time.Hour).Truncate(10 * time.Minute)
		for i := range 40 {
			p.event(from.Add(time.Duration(i*12)*time.Second), i%4, i%pointsPerStreet, grid.Live, "")
		}
	}
}

func (p *past) event(at time.Time, k, i int, mode grid.Mode, ticket string) string {
	s := sorts()[i%len(sorts())]
	street := streets()[k]
	point := fmt.Sprintf("h-%d-%02d", k, i)
	p.n++
	id := fmt.Sprintf("01HISTORY%05d", p.n)
	p.b.Events = append(p.b.Events, grid.Event{ID: "E" + id, Type: s.typ, Kind: grid.KindAlarm, Action: "raised", Point: point, Device: grid.Identity("sn:" + point), Priority: s.level, Mode: mode, Scope: scope(street, i), Cell: cellOf(street, i), At: at, Received: at, Ticket: ticket})
	return id
}

// ticket is one that went its way, most of them in time.
func (p *past) ticket(at time.Time, k, i int, mode grid.Mode) {
	s := sorts()[i%len(sorts())]
	street := streets()[k]
	id := p.event(at, k, i, mode, "")
	after := func(minutes int) time.Time { return at.Add(time.Duration(minutes) * time.Minute) }
	wrong, late, rework := p.rand.Float64() < s.wrong, p.rand.IntN(12+4*k) == 0, p.rand.IntN(25) == 0
	handled := after(20 + p.rand.IntN(60))
	if late {
		handled = after(200)
	}
	closed := handled.Add(time.Duration(30+p.rand.IntN(90)) * time.Minute)
	lead := id + ".1"
	point := fmt.Sprintf("h-%d-%02d", k, i)
	t := grid.Ticket{
		ID: id, Case: "H-" + id[9:], Type: s.typ, Priority: s.level, Mode: mode, Scope: scope(street, i), Cell: cellOf(street, i), Point: point, Device: grid.Identity("sn:" + point), Alarm: "A" + id,
		State: grid.TicketClosed, Verification: grid.VerifiedTrue, Opened: at, Resolved: handled, Closed: closed, Due: after(360), Title: "历史工单", Place: street,
		Assignments: []grid.Assignment{{ID: lead, Ticket: id, Unit: []string{"wuye-1", "chengguan-1", "weibao-1"}[i%3], Lead: true, State: grid.TicketClosed, Since: at}},
		Clocks:      []grid.Clock{{Name: "handle", Started: at, Due: after(120), Stopped: handled, Fired: late}},
	}
	if wrong {
		t.Verification = grid.VerifiedFalse
	}
	if rework {
		t.Rework = 1
	}
	a := grid.Alarm{ID: t.Alarm, Type: s.typ, Point: point, Device: t.Device, Priority: s.level, Mode: mode, Scope: t.Scope, Cell: t.Cell, At: at.Add(-2 * time.Second), Raised: at, Returned: handled, Ticket: id, Count: 1}
	if p.rand.IntN(8) != 0 {
		a.AckedAt = at.Add(time.Duration(5+p.rand.IntN(120)) * time.Second)
	}
	steps := []struct {
		verb     string
		from, to grid.TicketState
		as       string
		at       time.Time
	}{
		{"file", grid.TicketReported, grid.TicketFiled, "", at}, {"dispatch", grid.TicketFiled, grid.TicketDispatched, lead, at}, {"accept", grid.TicketDispatched, grid.TicketAccepted, lead, after(1 + p.rand.IntN(4))},
		{"arrive", grid.TicketAccepted, grid.TicketInProgress, lead, after(6 + p.rand.IntN(12))}, {"close", grid.TicketChecking, grid.TicketClosed, "", closed},
	}
	for n, m := range steps {
		p.b.Moves = append(p.b.Moves, grid.MoveRecord{Ticket: id, N: n + 1, Verb: m.verb, From: m.from, To: m.to, Assignment: m.as, At: m.at})
	}
	p.b.Deliveries = append(p.b.Deliveries, grid.Delivery{ID: "D" + id, Ticket: id, Unit: t.Assignments[0].Unit, Mode: mode, State: grid.DeliveryReceived, Done: at.Add(time.Duration(1+p.rand.IntN(4)) * time.Second)})
	p.b.Alarms, p.b.Tickets = append(p.b.Alarms, a), append(p.b.Tickets, t)
}

// devices fall silent, and some have a low battery or a fault.
func (p *past) devices() {
	ill := func(i int, typ grid.EventType, from, to time.Time) {
		d := &p.b.Devices[i]
		p.alarms++
		a := grid.Alarm{ID: fmt.Sprintf("AILL%03d", p.alarms), Type: typ, Device: d.Identity, Point: p.b.Points[i].ID, Priority: 4, Mode: grid.Live, Scope: p.b.Points[i].Scope, At: from, Raised: from, Count: 1, Returned: to, Active: to.IsZero()}
		a.AckedAt = from
		p.b.Alarms = append(p.b.Alarms, a)
	}
	for i := range p.b.Devices {
		switch {
		case i%11 == 0:
			ill(i, grid.EventDeviceOffline, p.now.AddDate(0, 0, -3-i%5), time.Time{})
		case i%5 == 0:
			ill(i, grid.EventDeviceOffline, p.now.AddDate(0, 0, -9), p.now.AddDate(0, 0, -8))
		}
		if i%13 == 1 {
			ill(i, grid.EventBatteryLow, p.now.AddDate(0, 0, -20), time.Time{})
		}
		if i%17 == 2 {
			ill(i, grid.EventDeviceTamper, p.now.AddDate(0, 0, -2), time.Time{})
		}
	}
}

func (p *past) hotspots() {
	for i, street := range streets()[:3] {
		h := grid.Hotspot{
			ID: fmt.Sprintf("HOT%d", i), What: grid.HotspotCompound, Place: street + "-c1", Mode: grid.Live, Scope: scope(street, 0), Listed: p.now.AddDate(0, 0, -20), Judged: p.now, Alarms: 6 - i, Share: 0.2 - 0.05*float64(i),
			Why: "3 verified alarms of kind smoke in 30 days", Kinds: map[grid.Kind]int{grid.Smoke: 4, grid.Manhole: 2 - i/2}, Supervised: true,
		}
		if i == 2 {
			h.What, h.Place, h.Cell, h.Listed, h.Delisted, h.WhyNot, h.Supervised = grid.HotspotCell, cellOf(street, 0), cellOf(street, 0), p.now.AddDate(0, 0, -90), p.now.AddDate(0, 0, -5), "1 verified alarms in 60 days", false
		}
		p.b.Hotspots = append(p.b.Hotspots, h)
	}
}
