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
}
