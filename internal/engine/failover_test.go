package engine

import (
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// channels registers a micro fire station with a duty phone as its next channel.
func (r *rig) channels() {
	r.t.Helper()
	station := grid.Unit{ID: "station", Name: "station", Kind: grid.MicroStation, Tier: 2, Mode: grid.Simulated, Connector: "webhook", URL: "http://127.0.0.1:1/", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Backup: "station-phone"}
	phone := grid.Unit{ID: "station-phone", Name: "station by phone", Kind: grid.ChannelUnit, Tier: 4, Mode: grid.Simulated, Connector: "voice"}
	r.put(grid.Registration{Units: []grid.Unit{station, phone}})
}

func (r *rig) sentTo(unit string) []grid.Delivery {
	r.t.Helper()
	page := must[state.Page[grid.Delivery]](r.t)(r.store.ListDeliveries(r.t.Context(), state.Query{Unit: unit, Limit: 1000}))
	slices.Reverse(page.Items)
	return page.Items
}

func (r *rig) result(id string, n int, s grid.DeliveryState, problem string) {
	r.t.Helper()
	f := Fate{State: s}
	if s == grid.DeliveryPending {
		f.Next = r.now().Add(time.Second)
	}
	if err := r.engine.DeliveryResult(r.t.Context(), id, grid.Attempt{N: n, At: r.now(), Error: problem}, f); err != nil {
		r.t.Fatal(err)
	}
	r.settle()
}

func TestAFireThatIsNotReceivedInTenSecondsGoesByTheNextChannel(t *testing.T) {
	r := newRig(t)
	r.channels()
	r.detectors(1, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	first := r.sentTo("station")[0]
	r.result(first.ID, 1, grid.DeliveryPending, "connection refused")
	r.after(8 * time.Second)
	if n := len(r.sentTo("station-phone")); n != 0 {
		t.Fatalf("after 8 s the phone has %d messages", n)
	}
	r.restart() // the watch outlives it
	r.after(time.Second)
	phone := r.sentTo("station-phone")
	if len(phone) != 1 || phone[0].Instead != first.ID || phone[0].Connector != "voice" || phone[0].Priority != 1 || phone[0].State != grid.DeliveryPending {
		t.Fatalf("after 9 s the phone has %+v: want one, instead of the first", phone)
	}
	if got := r.sentTo("station")[0]; got.Over != phone[0].ID || got.State != grid.DeliveryPending {
		t.Errorf("the first is %+v: want it tried on, and to say what went instead", got)
	}
	deaf := r.ofType(grid.EventUnitUnreachable)
	if len(deaf) != 1 || !deaf[0].Active {
		t.Errorf("unit.unreachable is %+v, want one", deaf)
	}
	r.restart()
	r.after(time.Minute)
	if n := len(r.sentTo("station-phone")); n < 1 || r.sentTo("station-phone")[0].ID != phone[0].ID {
		t.Errorf("after a restart the phone has %d messages", n)
	}
	r.result(first.ID, 2, grid.DeliveryReceived, "")
	if deaf := r.ofType(grid.EventUnitUnreachable); deaf[0].Active {
		t.Error("the unit has received a message and still counts as unreachable")
	}
}

func TestWhatIsReceivedInTimeGoesByNoOtherChannel(t *testing.T) {
	r := newRig(t)
	r.channels()
	r.detectors(1, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	r.result(r.sentTo("station")[0].ID, 1, grid.DeliveryReceived, "")
	r.after(20 * time.Second)
	for _, d := range r.sentTo("station-phone") {
		if d.Instead == r.sentTo("station")[0].ID {
			t.Errorf("the phone has %+v", d)
		}
	}
}

func TestWhatIsGivenUpGoesByTheNextChannelAtOnce(t *testing.T) {
	r := newRig(t)
	r.channels()
	r.detectors(1, "s", 0, 0)
	r.smoke("sn:s0", 1, true)
	first := r.sentTo("station")[0]
	r.result(first.ID, 1, grid.DeliveryDead, "410 Gone")
	phone := r.sentTo("station-phone")
	if len(phone) != 1 || phone[0].Instead != first.ID {
		t.Errorf("the phone has %+v, want one at once", phone)
	}
}

func TestChannelsThatGoRoundAreRefused(t *testing.T) {
	r := newRig(t)
	unit := func(id, backup string, m grid.Mode) grid.Unit {
		return grid.Unit{ID: id, Name: id, Kind: grid.Property, Mode: m, Connector: "inbox", Backup: backup}
	}
	for name, units := range map[string][]grid.Unit{
		"itself":       {unit("a", "a", grid.Live)},
		"a round":      {unit("a", "b", grid.Live), unit("b", "a", grid.Live)},
		"nobody":       {unit("a", "x", grid.Live)},
		"another mode": {unit("a", "b", grid.Live), unit("b", "", grid.Simulated)},
	} {
		if err := r.engine.Put(t.Context(), nil, nil, nil, units); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func TestAChannelWhoseTestFailsIsAFindingUntilOneGetsThrough(t *testing.T) {
	r := newRig(t)
	r.channels()
	tell := func(problem string) {
		if err := r.engine.UnitChannel(t.Context(), "station", problem); err != nil {
			t.Fatal(err)
		}
		r.settle()
	}
	tell("")
	if got := r.ofType(grid.EventUnitUnreachable); len(got) != 0 {
		t.Fatalf("a good test raises %+v", got)
	}
	tell("no answer")
	r.restart()
	tell("no answer")
	if got := r.ofType(grid.EventUnitUnreachable); len(got) != 1 || !got[0].Active || got[0].Priority != 2 || got[0].Ticket == "" {
		t.Fatalf("unit.unreachable is %+v: want one, P2, with a ticket", got)
	}
	tell("")
	if got := r.ofType(grid.EventUnitUnreachable); got[0].Active {
		t.Error("the test got through and it is still unreachable")
	}
}
