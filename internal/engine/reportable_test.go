package engine

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func TestWhatPeopleCanReportHasTheWorthThatItHasNow(t *testing.T) {
	r := newRig(t)
	r.units()
	of := func() map[grid.EventType]grid.Reportable {
		out := map[grid.EventType]grid.Reportable{}
		for _, x := range must[[]grid.Reportable](t)(r.engine.Reportable(t.Context(), "")) {
			out[x.Type] = x
		}
		return out
	}
	all := of()
	if x := all[grid.EventManholeTilted]; x.Priority != 3 || x.Lowest != 4 || x.TitleZH == "" || x.TitleEN == "" {
		t.Errorf("a tilted cover is %+v: want P3, down to P4, with its titles", x)
	}
	if x := all[grid.EventSmokeAlarm]; x.Priority != 1 || x.Lowest != 1 {
		t.Errorf("smoke is %+v: want P1 and nothing less", x)
	}
	for _, not := range []grid.EventType{grid.EventSmokeLate, grid.EventDeviceOffline, "test", "device.battery_low"} {
		if x, is := all[not]; is {
			t.Errorf("%s is offered to people as %+v", not, x)
		}
	}
	for typ := range all { // what is offered is taken
		f := report(typ, "n-"+strings.ReplaceAll(string(typ), "_", "-"))
		if _, err := r.engine.FileEvent(t.Context(), f); err != nil {
			t.Errorf("%s is offered and refused: %v", typ, err)
		}
	}
	lead := grid.Actor{Role: grid.RoleSupervisor, Name: "chen"}
	if _, err := r.engine.SwitchPosture(t.Context(), grid.Posture{Name: grid.PostureTyphoon, To: r.engine.Now().Add(time.Hour), By: lead}); err != nil {
		t.Fatal(err)
	}
	if x := of()[grid.EventManholeTilted]; x.Priority != 2 {
		t.Errorf("a tilted cover in a typhoon is %s, want P2", x.Priority)
	}
	if _, err := r.engine.Reportable(t.Context(), "nowhere"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("of no point: %v, want not found", err)
	}
}

func TestASecondReportIsOfferedTheFirstBeforeItIsFiled(t *testing.T) {
	r := newRig(t)
	r.units()
	first := r.file(report(grid.EventManholeOpen, "n-1"))
	draft := report(grid.EventManholeOpen, "")
	got := must[[]grid.Suggestion](t)(r.engine.SimilarTo(t.Context(), draft))
	if len(got) != 1 || got[0].Ticket != first.Ticket.ID || got[0].Why != "cell" {
		t.Errorf("in the same cell %+v are offered, want the first", got)
	}
	draft.Cell = "310105006001002"
	if got := must[[]grid.Suggestion](t)(r.engine.SimilarTo(t.Context(), draft)); len(got) != 0 {
		t.Errorf("in another cell %+v are offered, want none", got)
	}
	draft.Cell, draft.Type = report("", "").Cell, grid.EventDoorForced
	if got := must[[]grid.Suggestion](t)(r.engine.SimilarTo(t.Context(), draft)); len(got) != 0 {
		t.Errorf("of another event %+v are offered, want none", got)
	}
	if n := len(r.tickets()); n != 1 {
		t.Errorf("%d tickets after asking, want 1", n)
	}
}

func TestAReportJoinsAnOpenTicketOrIsNotFiledAtAll(t *testing.T) {
	r := newRig(t)
	r.units()
	first := r.file(report(grid.EventManholeOpen, "n-1"))
	second := report(grid.EventManholeOpen, "n-2")
	second.Source = grid.FromPatrol
	for range 2 { // sent again after a lost answer
		out, err := r.engine.FileInto(t.Context(), second, first.Ticket.ID)
		r.settle()
		if err != nil || out.Ticket.ID != first.Ticket.ID {
			t.Fatalf("joined is %+v, %v: want the first ticket", out.Ticket, err)
		}
		if eps := r.alarms(state.Query{Ticket: first.Ticket.ID}); len(eps) != 2 || !eps[0].Active || !eps[1].Active {
			t.Errorf("episodes of the first ticket are %+v: want both reports, active", eps)
		}
	}
	for _, d := range must[state.Page[grid.Delivery]](t)(r.store.ListDeliveries(t.Context(), state.Query{Limit: 100})).Items {
		if d.Ticket != first.Ticket.ID && d.State != grid.DeliveryWithheld {
			t.Errorf("%s is sent %s of a ticket that lived for a moment", d.Unit, d.Type)
		}
	}
	if left := r.ticket(first.Ticket.ID); left.State != grid.TicketDispatched {
		t.Errorf("the first ticket is %s", left.State)
	}
	// A fire is not hidden behind a cover, and nothing of it is left behind.
	fire := report(grid.EventSmokeAlarm, "n-3")
	if _, err := r.engine.FileInto(t.Context(), fire, first.Ticket.ID); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("a fire joins a cover: %v, want a conflict", err)
	}
	if _, err := r.engine.FileInto(t.Context(), report(grid.EventManholeOpen, "n-4"), "nothing"); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("into no ticket: %v, want a conflict", err)
	}
	if n := len(r.alarms(state.Query{})); n != 2 {
		t.Errorf("%d episodes after refusals, want 2: both or neither", n)
	}
}
