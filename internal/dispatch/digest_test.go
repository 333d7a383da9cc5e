package dispatch_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

// waiting is a message of a ticket that was not sent at once.
func waiting(ticket, kind, title string, n int) grid.Delivery {
	d := grid.Delivery{ID: fmt.Sprintf("D-%s-%d", ticket, n), N: int64(n), Ticket: ticket, Unit: "u1", Type: kind, Priority: 3, Mode: grid.Simulated, Created: time.Unix(int64(1000+n), 0)}
	d.Body = dispatch.Body(dispatch.Message{Delivery: d, Ticket: grid.Ticket{
		ID: ticket, Case: "20260302-" + ticket, Type: grid.EventParkingOverstay, Priority: 3, State: grid.TicketDispatched, Title: title, Place: strings.Repeat("路", 400), Opened: time.Unix(900, 0),
	}})
	return d
}

func TestADigestHasALineForEachTicketAndStaysSmall(t *testing.T) {
	d := grid.Delivery{ID: "D1", Type: grid.DeliveryDigest, Priority: 3, Mode: grid.Simulated, Created: time.Unix(5000, 0)}
	u := grid.Unit{ID: "u1", Name: strings.Repeat("名", 400)}
	items := []grid.Delivery{waiting("T1", "ticket.opened", "车辆超时停放 / Vehicle overstays", 1), waiting("T2", "ticket.opened", "门长时间未关 / Door held open", 2), waiting("T1", "ticket.closed", "车辆超时停放 / Vehicle overstays", 3)}
	for i := range 100 {
		items = append(items, waiting(fmt.Sprintf("X%d", i), "ticket.opened", strings.Repeat("停", 300)+fmt.Sprint(i), 10+i))
	}
	body, err := dispatch.Digest(d, items, u, "/gridgate")
	if err != nil || len(body) > dispatch.BodyLimit {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	var got struct {
		ID, Type, Subject string
		Data              struct {
			Title, Note string
			Ticket      string
			Tickets     []struct {
				Ticket, Case, Type string
				Messages           int
			}
			More int `json:"more_tickets"`
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != "D1" || got.Type != "gridgate.digest" || got.Subject != "u1" || got.Data.Ticket != "" || !strings.Contains(got.Data.Title, "102 tickets") {
		t.Errorf("%+v", got)
	}
	lines := got.Data.Tickets
	if len(lines) != 30 || got.Data.More != 72 || lines[0].Ticket != "T1" || lines[0].Type != "ticket.closed" || lines[0].Messages != 2 || lines[1].Case != "20260302-T2" {
		t.Errorf("lines are %+v, and %d more", lines[:2], got.Data.More)
	}
	again, _ := dispatch.Digest(d, items, u, "/gridgate")
	if string(again) != string(body) {
		t.Error("the same digest has other bytes")
	}
	if _, err := dispatch.Digest(d, nil, u, "/gridgate"); err == nil {
		t.Error("a digest of nothing is made")
	}
}
