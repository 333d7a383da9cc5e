package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// story turns what happens into lines that a person reads.
type story struct {
	mu      sync.Mutex
	out     io.Writer
	now     func() time.Time
	tickets map[string]grid.TicketState // as last told
	sent    map[string]bool             // deliveries told
}

func newStory(out io.Writer) *story {
	return &story{out: out, now: time.Now, tickets: map[string]grid.TicketState{}, sent: map[string]bool{}}
}

// say tells one line.
func (s *story) say(who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%s  %-24s  %s\n", s.now().Format("15:04:05.000"), who, fmt.Sprintf(format, args...))
}

// hear tells a message of the live stream, if it is news.
func (s *story) hear(m api.Message) error {
	switch m.Name {
	case "event":
		var e grid.Event
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return err
		}
		s.event(e)
	case "ticket":
		var t grid.Ticket
		if err := json.Unmarshal(m.Data, &t); err != nil {
			return err
		}
		s.ticket(t)
	case "move":
		var r grid.MoveRecord
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return err
		}
		s.move(r)
	case "delivery":
		var d grid.Delivery
		if err := json.Unmarshal(m.Data, &d); err != nil {
			return err
		}
		s.delivery(d)
	}
	return nil
}

func (s *story) event(e grid.Event) {
	switch {
	case e.Action == "cleared":
		s.say("alarm", "%s at %s: the sensor is back to normal", e.Type, e.Point)
	case e.Kind == grid.KindTest:
		s.say("event", "%s at %s: noted, no ticket", e.Type, e.Point)
	case e.Kind != grid.KindLifecycle:
		s.say("alarm", "%s %s %s at %s", e.Priority, e.Type, e.Action, e.Point)
	}
}

func (s *story) ticket(t grid.Ticket) {
	old, known := s.tickets[t.ID]
	s.tickets[t.ID] = t.State
	switch {
	case !known:
		s.say("ticket", "%s opened: %s %s, %s", t.ID, t.Priority, t.Title, t.Place)
	case old != t.State && t.State.Ended():
		s.say("ticket", "%s is %s: %s", t.ID, t.State, t.Title)
	}
}

func (s *story) move(r grid.MoveRecord) {
	if r.By.Role == grid.RoleSystem && r.From == r.To {
		return // the gateway's own book-keeping
	}
	s.say("ticket", "%s: %s, %s, by %s %s", r.Ticket, r.Verb, r.Step(), r.By.Role, r.By.Name)
}

func (s *story) delivery(d grid.Delivery) {
	switch {
	case (d.State == grid.DeliverySent || d.State == grid.DeliveryReceived || d.State == grid.DeliverySeen) && !s.sent[d.ID]:
		s.sent[d.ID] = true
		s.say("delivery", "%s of %s: delivered to %s", d.Type, d.Ticket, d.Unit)
	case d.State == grid.DeliveryPending && d.Error != "":
		s.say("delivery", "%s of %s: %s has not taken it: %s", d.Type, d.Ticket, d.Unit, d.Error)
	case d.State == grid.DeliveryDead, d.State == grid.DeliveryWithheld:
		s.say("delivery", "%s of %s to %s is %s: %s", d.Type, d.Ticket, d.Unit, d.State, d.Error)
	}
}
