package dispatch_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

func message() dispatch.Message {
	at := time.Date(2026, 3, 1, 8, 30, 0, 0, time.FixedZone("CST", 8*3600))
	return dispatch.Message{
		Delivery: grid.Delivery{ID: "01D", Type: "ticket.opened", Priority: 1, Mode: grid.Simulated, Created: at},
		Ticket: grid.Ticket{ID: "01T", Case: "CN-1", Type: grid.EventSmokeAlarm, State: grid.TicketDispatched, Title: "烟感报警 <3F>",
			Place: "演示路 1 号", Point: "smoke-1", Opened: at, Scope: grid.Scope{District: "310105", Street: "310105006"}},
		Assignment: grid.Assignment{ID: "01T.1", Unit: "micro-1", Lead: true, Attempt: 1},
		Unit:       grid.Unit{ID: "micro-1", Name: "微型消防站", Kind: grid.MicroStation},
		Point:      grid.Point{ID: "smoke-1", Name: "三楼走廊", Lon: 121.4, Lat: 31.21},
		Source:     "/gridgate/310105", API: "http://127.0.0.1:8080",
	}
}

func TestBodyIsACloudEvent(t *testing.T) {
	raw := dispatch.Body(message())
	var e map[string]any
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"specversion": "1.0", "id": "01D", "source": "/gridgate/310105", "type": "gridgate.ticket.opened",
		"subject": "01T", "time": "2026-03-01T00:30:00Z", "datacontenttype": "application/json"} {
		if e[k] != want {
			t.Errorf("%s = %v, want %v", k, e[k], want)
		}
	}
	if len(e) != 8 {
		t.Errorf("%d attributes, want 7 and data: a new context attribute must not hold personal data", len(e))
	}
	data := e["data"].(map[string]any)
	for k, want := range map[string]any{"ticket": "01T", "assignment": "01T.1", "lead": true, "priority": "P1", "mode": "simulated",
		"event": "smoke.alarm", "title": "烟感报警 <3F>", "callback_url": "http://127.0.0.1:8080/api/v1/tickets/01T/moves"} {
		if data[k] != want {
			t.Errorf("data.%s = %v, want %v", k, data[k], want)
		}
	}
	if place := data["place"].(map[string]any); place["words"] != "演示路 1 号" || place["lon"] != 121.4 || place["crs"] != "WGS84" {
		t.Errorf("place = %v", place)
	}
}

func TestBodyStaysSmallWhateverTheRegistryHolds(t *testing.T) {
	long := strings.Repeat("\x01火", 100_000)
	m := message()
	m.Ticket.Title, m.Ticket.Place, m.Note, m.Unit.Name = long, long, long, long
	m.Point.Name, m.Point.Building, m.Point.Floor, m.Point.Room = long, long, long, long
	m.Point.Lon = math.NaN()
	raw := dispatch.Body(m)
	if len(raw) >= dispatch.BodyLimit || !json.Valid(raw) {
		t.Errorf("body of %d bytes, valid JSON: %v", len(raw), json.Valid(raw))
	}
}

func TestTheQuestionOfAPermitIsAnsweredAtItsAlarm(t *testing.T) {
	m := message()
	m.Delivery.Type, m.Ticket.Alarm = "permit.question", "01A"
	if raw := string(dispatch.Body(m)); !strings.Contains(raw, `"callback_url":"http://127.0.0.1:8080/api/v1/alarms/01A/answer"`) {
		t.Errorf("body is %s: want the address of the alarm's answer", raw)
	}
}
