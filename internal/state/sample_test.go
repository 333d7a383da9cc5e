package state

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// t0 is when the samples begin.
var t0 = time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)

var yuyuan = grid.Scope{District: "310105", Street: "310105001", Community: "310105001002", Compound: "yuyuan-1", Contractor: "anfang"}

const yuyuanCell = "310105001002003"

func sampleEvent(n int) grid.Event {
	at := t0.Add(time.Duration(n) * time.Second)
	return grid.Event{
		ID: grid.NewID(at, fmt.Sprintf("bulk/1/%d", n), 0), Type: grid.EventManholeTilted, Kind: grid.KindAlarm, Action: "raised",
		Point: fmt.Sprintf("P%05d", n%500), Device: grid.Identity(fmt.Sprintf("eui:%016x", n%500)), Channel: grid.MainChannel,
		Priority: 3, Mode: grid.Live, Scope: yuyuan, Cell: yuyuanCell, At: at, Received: at.Add(time.Second),
		Frame: fmt.Sprintf("bulk/1/%d", n), Value: 31, Signal: "manhole.tilt", Profile: "milesight/em310-tilt@1", Detail: "井盖倾斜",
	}
}

// addTicket puts a whole smoke ticket into b: event, alarm, ticket with two assignments,
// a move, two deliveries, evidence.
func addTicket(b *Batch, n int) (ticket string) {
	at := t0.Add(time.Duration(n) * time.Second)
	ticket = fmt.Sprintf("T%08d", n)
	e := sampleEvent(n)
	e.ID, e.Type, e.Ticket, e.Priority = fmt.Sprintf("E%08d", n), grid.EventSmokeAlarm, ticket, 1
	al := grid.Alarm{
		ID: fmt.Sprintf("A%08d", n), Type: grid.EventSmokeAlarm, Point: e.Point, Device: e.Device, Priority: 1, Mode: grid.Live,
		Scope: yuyuan, Cell: yuyuanCell, Active: true, Raised: at, At: at, Count: 1, Ticket: ticket,
	}
	t := grid.Ticket{
		ID: ticket, Case: fmt.Sprintf("CN-%06d", n), Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Live, Scope: yuyuan,
		Cell: yuyuanCell, Point: e.Point, Device: e.Device, Alarm: al.ID, State: grid.TicketDispatched, Verification: grid.Unverified,
		Tier: 2, Opened: at, Due: at.Add(time.Hour), Title: "烟感报警", Place: "愚园路 1 号 3 楼", Moves: 1, Revision: 1,
		Clocks: []grid.Clock{{Name: "tier3", Started: at, Due: at.Add(90 * time.Second)}},
	}
	for i, unit := range []string{"micro-1", "property-1"} {
		t.Assignments = append(t.Assignments, grid.Assignment{
			ID: fmt.Sprintf("%s.%d", ticket, i+1), Ticket: ticket, Unit: unit, Lead: i == 0, Tier: 2,
			State: grid.TicketDispatched, Attempt: 1, Since: at,
		})
		b.Deliveries = append(b.Deliveries, grid.Delivery{
			ID: fmt.Sprintf("D%08d.%d", n, i), N: 1, Ticket: ticket, Assignment: t.Assignments[i].ID, Unit: unit,
			Connector: "webhook", Type: "ticket.opened", Priority: 1, Mode: grid.Live, Scope: yuyuan, Lane: grid.Safety, Created: at,
			State: grid.DeliveryPending, Next: at, Body: json.RawMessage(`{"specversion":"1.0","type":"ticket.opened"}`),
		})
	}
	b.Events = append(b.Events, e)
	b.Alarms = append(b.Alarms, al)
	b.Tickets = append(b.Tickets, t)
	b.Moves = append(b.Moves, grid.MoveRecord{
		Ticket: ticket, N: 1, Verb: "open", To: grid.TicketDispatched, By: grid.Actor{Role: grid.RoleSystem, Name: "sensor"}, At: at,
	})
	pos := grid.Pos{Lane: grid.Safety, Epoch: 1, Seq: uint64(n)}
	b.Evidence = append(b.Evidence, Evidence{
		Ticket: ticket, Pos: pos, Frame: sampleFrame(pos), Decoded: json.RawMessage(`[{"signal":"smoke.alarm","value":true}]`), Config: "c1",
	})
	return ticket
}

func sampleFrame(pos grid.Pos) grid.Frame {
	return grid.Frame{
		Pos: pos, Identity: "eui:24e124535b123456", Transport: "mqtt", Source: "embedded",
		Address: "gridgate/up/eui:24e124535b123456/85", Envelope: "native", Flags: grid.Redelivered, Note: "a note",
		Received: t0.Add(time.Second), Raw: []byte{0x01, 0x75, 0x64, 0xff, 0x00},
	}
}

func openTest(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func commit(t *testing.T, s *Store, b *Batch) {
	t.Helper()
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// loadRegistry reads everything that is registered.
func loadRegistry(t testing.TB, s *Store) (r grid.Registration) {
	t.Helper()
	err := s.LoadRegistry(t.Context(), Registry{
		Count:        func(int, int) {},
		Point:        func(p *grid.Point) { r.Points = append(r.Points, *p) },
		Device:       func(d *grid.Device) { r.Devices = append(r.Devices, *d) },
		Installation: func(in *grid.Installation) { r.Installations = append(r.Installations, *in) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
