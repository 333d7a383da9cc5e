package engine

import (
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func TestDeliveryIsSeenByAPersonOnceItWasSent(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Smoke, "p", "sn:S0")
	r.say("sn:S0", `{"smoke.alarm":true,"seq":1}`)
	page := must[state.Page[grid.Delivery]](t)(r.store.ListDeliveries(t.Context(), state.Query{Ticket: r.theTicket().ID}))
	if len(page.Items) == 0 {
		t.Fatal("nobody was told")
	}
	id := page.Items[0].ID
	if err := r.engine.DeliverySeen(t.Context(), id, "duty"); grid.CodeOf(err) != grid.Conflict {
		t.Errorf("before it was sent: %v, want a conflict", err)
	}
	if err := r.engine.DeliverySeen(t.Context(), "nothing", "duty"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("one that does not exist: %v", err)
	}
	a := grid.Attempt{Delivery: id, N: 1, At: r.now()}
	if err := r.engine.DeliveryResult(t.Context(), id, a, Fate{State: grid.DeliverySent, Ref: "C-1"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.engine.DeliverySeen(t.Context(), id, "duty"); err != nil {
			t.Fatal(err)
		}
	}
	r.restart()
	d := must[grid.Delivery](t)(r.store.Delivery(t.Context(), id))
	if d.State != grid.DeliverySeen || d.Ref != "C-1" || d.Attempts != 1 {
		t.Errorf("delivery is %+v, want one that was seen", d)
	}
	audit := must[state.Page[state.Audit]](t)(r.store.ListAudit(t.Context(), state.Query{Type: "delivery.seen"}))
	if len(audit.Items) != 1 || audit.Items[0].Subject != id || audit.Items[0].By.Name != "duty" {
		t.Errorf("audit is %+v, want who saw it, once", audit.Items)
	}
}
