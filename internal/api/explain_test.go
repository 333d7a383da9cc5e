package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func TestExplanationRunsFromRawBytesToClosure(t *testing.T) {
	w := newWorld(t)
	sec := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }
	tk := ticket("T-fire", "fire-1")
	tk.Alarm, tk.Title, tk.State, tk.Resolved, tk.Closed = "A1", "Smoke", grid.TicketClosed, sec(4), sec(9)
	w.commit(&state.Batch{
		Tickets: []grid.Ticket{tk},
		Alarms:  []grid.Alarm{{ID: "A1", Type: grid.EventSmokeAlarm, Point: "p1", Priority: 1, Mode: grid.Live, Raised: t0, At: t0, Returned: sec(3), Ticket: "T-fire"}},
		Events:  []grid.Event{{ID: "E1", Type: grid.EventSmokeAlarm, Kind: grid.KindAlarm, Action: "raised", Point: "p1", Ticket: "T-fire", Priority: 1, Mode: grid.Live, At: t0, Received: t0}},
		Moves: []grid.MoveRecord{
			{Ticket: "T-fire", N: 1, Verb: "report", To: grid.TicketReported, By: grid.Actor{Role: grid.RoleSystem, Name: "sensor"}, At: t0},
			{Ticket: "T-fire", N: 2, Verb: "accept", From: grid.TicketDispatched, To: grid.TicketAccepted, By: grid.Actor{Role: grid.RoleUnit, Name: "fire-1"}, At: sec(2)},
			{Ticket: "T-fire", N: 3, Verb: "close", From: grid.TicketChecking, To: grid.TicketClosed, By: grid.Actor{Role: grid.RoleSystem, Name: "gridgate"}, At: sec(9)},
		},
		Attempts: []grid.Attempt{
			{Delivery: "D-fire", N: 1, At: t0, Took: time.Second, Error: "connection refused"},
			{Delivery: "D-fire", N: 2, At: sec(1), Took: 2 * time.Millisecond, Status: 200, Detail: "ok"},
		},
		Evidence: []state.Evidence{{
			Ticket: "T-fire", Pos: grid.Pos{Lane: grid.Safety, Epoch: 1, Seq: 42}, Config: "c7",
			Frame:   grid.Frame{Pos: grid.Pos{Lane: grid.Safety, Epoch: 1, Seq: 42}, Identity: "eui:1", Transport: "mqtt", Source: "b", Address: "up/1", Received: t0, Raw: []byte{0xca, 0xfe}},
			Decoded: json.RawMessage(`{"profile":"v/m@1","readings":[{"signal":"smoke.alarm","value":true}]}`),
		}},
	})
	e, err := w.client(admin).Explain(t.Context(), "T-fire")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range e.Timeline {
		got = append(got, fmt.Sprintf("%v %s: %s", s.At.Sub(t0), s.What, s.Detail))
	}
	want := []string{
		"0s frame: 2 bytes from eui:1 by mqtt b up/1: cafe",
		"0s decoded: v/m@1 says smoke.alarm = true, configuration c7",
		"0s event: smoke.alarm raised at p1 (P1, live)",
		"0s alarm: smoke.alarm: episode A1 of p1 begins",
		"0s ticket: ticket T-fire (T-fire) opened: Smoke",
		"0s move: report: reported, by system sensor",
		"0s delivery:  for fire-1 by : pending",
		"1s answer:  to fire-1, try 1: failed after 1s: connection refused",
		"1.002s answer:  to fire-1, try 2: answered 200 after 2ms: ok",
		"2s move: accept: dispatched → accepted, by unit fire-1",
		"3s alarm: smoke.alarm: the sensor is back to normal",
		"9s move: close: checking → closed, by system gridgate",
		"9s closed: ticket T-fire is closed",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if e, err = w.client("fire-token").Explain(t.Context(), "T-fire"); err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Timeline {
		if s.What == "frame" || s.What == "decoded" {
			t.Errorf("a unit reads %s: %s", s.What, s.Detail)
		}
	}
	if len(e.Timeline) != len(want)-2 {
		t.Errorf("a unit has %d steps: want %d", len(e.Timeline), len(want)-2)
	}
	if _, err = w.client("city-token").Explain(t.Context(), "T-fire"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("another unit's ticket: %v, want that it is not there", err)
	}
}

func TestAUnitReadsOfItsTimelineWhatIsSentToItAlone(t *testing.T) {
	c := caseFile{
		ticket:     ticket("T-fire", "fire-1"),
		evidence:   []Evidence{{}},
		deliveries: []grid.Delivery{{ID: "D1", Unit: "fire-1"}, {ID: "D2", Unit: "city-1"}},
	}
	c.narrow("fire-1")
	if len(c.evidence) != 0 || len(c.deliveries) != 1 || c.deliveries[0].ID != "D1" {
		t.Errorf("left is %+v, %+v", c.evidence, c.deliveries)
	}
}

func TestAUnitIsToldTheWayInOfItsOwnTicketAlone(t *testing.T) {
	w := newWorld(t)
	tk := ticket("T-in", "fire-1")
	tk.Point = "p-in"
	w.commit(&state.Batch{
		Buildings: []grid.Building{{ID: "b-3", Name: "3号楼", Entrances: []string{"北门", "车库坡道"}, KeyHolder: "物业前台", Floors: 18, Mode: grid.Live}},
		Points:    []grid.Point{{ID: "p-in", Name: "Smoke", Kind: grid.Smoke, Building: "b-3", Mode: grid.Live}},
		Tickets:   []grid.Ticket{tk},
	})
	a, err := w.client("fire-token").WayIn(t.Context(), "T-in")
	if err != nil || a.Building != "3号楼" || len(a.Entrances) != 2 || a.Entrances[0] != "北门" || a.KeyHolder != "物业前台" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err = w.client("city-token").WayIn(t.Context(), "T-in"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("to another unit: %v, want that it is not there", err)
	}
}
