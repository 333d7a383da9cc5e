package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func TestStoryTellsEachThingOnce(t *testing.T) {
	var out bytes.Buffer
	s := newStory(&out)
	s.now = func() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }
	hear := func(name string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.hear(api.Message{Name: name, Data: b}); err != nil {
			t.Fatal(err)
		}
	}
	hear("event", grid.Event{Type: grid.EventSmokeAlarm, Kind: grid.KindAlarm, Action: "raised", Priority: 1, Point: "p"})
	hear("ticket", grid.Ticket{ID: "T", Priority: 1, Title: "Smoke", Place: "here", State: grid.TicketDispatched})
	hear("ticket", grid.Ticket{ID: "T", Priority: 1, Title: "Smoke", Place: "here", State: grid.TicketDispatched})
	hear("delivery", grid.Delivery{ID: "D", Ticket: "T", Type: "ticket.opened", Unit: "u", State: grid.DeliveryReceived})
	hear("delivery", grid.Delivery{ID: "D", Ticket: "T", Type: "ticket.opened", Unit: "u", State: grid.DeliveryReceived})
	hear("move", grid.MoveRecord{Ticket: "T", Verb: "accept", From: grid.TicketDispatched, To: grid.TicketAccepted, By: grid.Actor{Role: grid.RoleUnit, Name: "u"}})
	hear("event", grid.Event{Type: grid.EventSmokeAlarm, Kind: grid.KindAlarm, Action: "cleared", Point: "p"})
	hear("ticket", grid.Ticket{ID: "T", Title: "Smoke", State: grid.TicketClosed})
	hear("gap", struct{}{})
	want := `08:00:00.000  alarm                     P1 smoke.alarm raised at p
08:00:00.000  ticket                    T opened: P1 Smoke, here
08:00:00.000  delivery                  ticket.opened of T: delivered to u
08:00:00.000  ticket                    T: accept, dispatched → accepted, by unit u
08:00:00.000  alarm                     smoke.alarm at p: the sensor is back to normal
08:00:00.000  ticket                    T is closed: Smoke
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}
