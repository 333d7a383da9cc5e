package figures_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func TestTheDaysOfStreetsAndDistrictsAreWrittenAsTheyWere(t *testing.T) {
	r := builtIn(t)
	src := november(t)
	now := at(t, "11-06 00:05")
	points := must[[]grid.KPI](t)(r.Daily(t.Context(), src, now))
	again := must[[]grid.KPI](t)(r.Daily(t.Context(), src, now.Add(20*time.Hour)))
	if d := cmp.Diff(points, again); d != "" {
		t.Errorf("the same days later on the day (+):\n%s", d)
	}
	seen := map[string]bool{}
	value := func(district, street, day, field string) string {
		for _, p := range points {
			if p.District != district || p.Street != street || !p.At.Equal(at(t, day+" 00:00")) {
				continue
			}
			for _, f := range p.Fields {
				if f.Name == field {
					return fmt.Sprint(f.Value)
				}
			}
		}
		return "none"
	}
	for _, p := range points {
		key := p.District + p.Street + p.At.String()
		if seen[key] {
			t.Errorf("two points of %s", key)
		}
		seen[key] = true
		if p.At.Before(at(t, "10-30 00:00")) || !p.At.Before(at(t, "11-06 00:00")) {
			t.Errorf("a point of %s: want the seven whole days before", p.At)
		}
		names := map[string]bool{}
		for _, f := range p.Fields {
			if names[f.Name] || strings.ToLower(f.Name) != f.Name {
				t.Errorf("field %q", f.Name)
			}
			names[f.Name] = true
		}
	}
	for _, c := range []struct{ street, day, field, want string }{
		{"", "11-03", "reported", "1"}, {"310105001", "11-03", "reported", "1"}, {"310105001", "11-03", "on_time_handling", "1"},
		{"310105001", "11-04", "on_time_handling_n", "0"}, {"310105001", "11-04", "on_time_handling_d", "1"}, {"310105001", "11-04", "check_pass", "0.5"},
		{"310105002", "11-01", "on_time_handling", "1"}, {"310105001", "11-03", "receive_accept_p50_s", "30"}, {"310105001", "11-05", "chattering", "1"},
		{"310105001", "11-03", "rework_d", "1"}, {"310105002", "11-03", "closing_d", "0"}, {"310105002", "11-03", "closing", "none"}, {"", "11-05", "top_share", "none"},
	} {
		if got := value("310105", c.street, c.day, c.field); got != c.want {
			t.Errorf("%s of %q on %s is %s, want %s", c.field, c.street, c.day, got, c.want)
		}
	}
}

// The store is a Source: the same tickets read from it give the same figures.
func TestFiguresFromTheStoreAreThoseOfTheRows(t *testing.T) {
	s := must[*state.Store](t)(state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), nil))
	defer s.Close()
	src := november(t)
	b := &state.Batch{}
	for _, m := range src.tickets {
		tk := grid.Ticket{
			ID: m.Ticket, Type: m.Type, Priority: m.Priority, Mode: grid.Live, Scope: m.Scope, Point: m.Point, Device: grid.Identity("d-" + m.Profile), Alarm: "A" + m.Ticket, State: m.State, Verification: m.Verification,
			Rework: m.Rework, Returns: m.Returns, Opened: m.Opened, Resolved: m.Handled, Closed: m.Ended, Due: m.Due,
		}
		lead := ""
		if m.Unit != "" {
			lead = m.Ticket + ".1"
			tk.Assignments = []grid.Assignment{{ID: lead, Unit: m.Unit, Lead: true}}
		}
		if !m.HandleDue.IsZero() {
			c := grid.Clock{Name: "handle", Started: m.Opened, Due: m.HandleDue, Fired: m.Late, Stopped: m.Handled}
			if m.Held {
				c.Stopped = m.Opened
			}
			tk.Clocks = []grid.Clock{c}
		}
		n := 0
		move := func(verb string, from, to grid.TicketState, as string, at time.Time) {
			if !at.IsZero() {
				n++
				b.Moves = append(b.Moves, grid.MoveRecord{Ticket: m.Ticket, N: n, Verb: verb, From: from, To: to, Assignment: as, At: at})
			}
		}
		move("file", grid.TicketReported, grid.TicketFiled, "", m.Filed)
		move("dispatch", grid.TicketFiled, grid.TicketDispatched, lead, m.Dispatched)
		move("accept", grid.TicketDispatched, grid.TicketAccepted, lead, m.Accepted)
		move("arrive", grid.TicketAccepted, grid.TicketInProgress, lead, m.Arrived)
		if m.Rework > 0 {
			move("rework", grid.TicketChecking, grid.TicketRework, "", m.Checked)
		} else {
			move("close", grid.TicketChecking, grid.TicketClosed, "", m.Checked)
		}
		al := grid.Alarm{ID: "A" + m.Ticket, Type: grid.EventSmokeAlarm, Point: m.Point, Mode: grid.Live, At: m.Occurred, Raised: m.Opened, Returned: m.Opened, Ticket: m.Ticket}
		al.AckedAt = m.Acked
		b.Alarms = append(b.Alarms, al)
		b.Points = append(b.Points, grid.Point{ID: m.Point, Kind: m.Kind, Scope: m.Scope, Mode: grid.Live})
		b.Devices = append(b.Devices, grid.Device{Identity: tk.Device, Profile: m.Profile, State: grid.Retired, Mode: grid.Live})
		if !m.Told.IsZero() {
			b.Deliveries = append(b.Deliveries, grid.Delivery{ID: "D" + m.Ticket, Ticket: m.Ticket, Unit: m.Unit, Mode: grid.Live, State: grid.DeliveryReceived, Done: m.Told})
		}
		b.Tickets = append(b.Tickets, tk)
	}
	// As they came: one after the other.
	if err := s.Commit(t.Context(), &state.Batch{Points: b.Points, Devices: b.Devices, Alarms: b.Alarms}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r := builtIn(t)
	ask := figures.Ask{At: at(t, "11-15 00:00"), By: "street", Compare: true}
	want := must[figures.Board](t)(r.Board(t.Context(), &rows{tickets: src.tickets}, ask, at(t, "12-05 00:00")))
	got := must[figures.Board](t)(r.Board(t.Context(), s, ask, at(t, "12-05 00:00")))
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("figures of the store (+) and of the rows:\n%s", d)
	}
}
