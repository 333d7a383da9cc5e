package api

import (
	"encoding/json"
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// atWork has a unit that is not reached, one with a dead letter, one with work, one at peace and one that is only practice.
func atWork(t *testing.T) *world {
	w := newWorld(t)
	unit := func(id string, m grid.Mode) grid.Unit {
		return grid.Unit{ID: id, Name: id, Kind: grid.Property, Tier: 2, Mode: m, Connector: "inbox", Secret: "whsec_c2VjcmV0", Token: "token-of-" + id}
	}
	w.commit(&state.Batch{
		Units: []grid.Unit{unit("city-1", grid.Live), unit("deaf-1", grid.Live), unit("fire-1", grid.Live), unit("idle-1", grid.Live), unit("test-1", grid.Test)},
		Alarms: []grid.Alarm{
			{ID: "a-deaf", Type: grid.EventUnitUnreachable, Device: "unit:deaf-1", Priority: 2, Mode: grid.Live, Active: true, Raised: t0, At: t0},
			{ID: "a-past", Type: grid.EventUnitUnreachable, Device: "unit:idle-1", Priority: 2, Mode: grid.Live, Raised: t0, At: t0},
		},
		Deliveries: []grid.Delivery{
			{ID: "D-dead", Ticket: "T-city", Unit: "city-1", State: grid.DeliveryDead, Created: t0, Mode: grid.Live, Body: json.RawMessage(`{}`)},
			{ID: "D-done", Ticket: "T-fire", Unit: "fire-1", State: grid.DeliveryReceived, Created: t0, Mode: grid.Live, Body: json.RawMessage(`{}`)},
		},
	})
	return w
}

func TestUnitsAreInTheOrderOfNeed(t *testing.T) {
	w := atWork(t)
	status, _, b := w.do(admin, "GET", "/api/v1/units/state", "")
	var got Page[UnitState]
	if err := json.Unmarshal(b, &got); err != nil || status != 200 {
		t.Fatal(status, err, string(b))
	}
	var ids []string
	for _, u := range got.Items {
		ids = append(ids, u.ID)
	}
	if want := `["deaf-1","city-1","fire-1","idle-1","test-1"]`; jsonOf(ids) != want {
		t.Errorf("units are %s, want %s", jsonOf(ids), want)
	}
	if u := got.Items[0]; u.Unreached.IsZero() || u.Alarm != "a-deaf" {
		t.Errorf("deaf-1 is %+v, want it not reached since %s", u, t0)
	}
	if u := got.Items[1]; u.Dead != 1 || u.Waiting != 1 || u.Tickets != 1 {
		t.Errorf("city-1 is %+v, want 1 dead letter, 1 that waits, 1 ticket", u)
	}
	if u := got.Items[3]; !u.Unreached.IsZero() {
		t.Errorf("idle-1 is not reached since %s, and that is over", u.Unreached)
	}
}

func TestHowUnitsStandIsForTheDeskAlone(t *testing.T) {
	w := atWork(t)
	if status, _, b := w.do("fire-token", "GET", "/api/v1/units/state", ""); status != 403 {
		t.Errorf("a unit's token gets %d %s", status, b)
	}
}

func TestAUnitProposesNamesOfItsTicketsWorldAndNothingElse(t *testing.T) {
	w := atWork(t)
	status, _, b := w.do("fire-token", "GET", "/api/v1/tickets/T-fire/units", "")
	want := `{"items":[{"id":"city-1","name":"city-1","kind":"property"},{"id":"deaf-1","name":"deaf-1","kind":"property"},{"id":"idle-1","name":"idle-1","kind":"property"}]}`
	if got := string(b); status != 200 || strings.TrimSpace(got) != want {
		t.Errorf("answers %d %s, want %s", status, got, want)
	}
	if status, _, _ := w.do("fire-token", "GET", "/api/v1/tickets/T-city/units", ""); status != 404 {
		t.Errorf("another's ticket answers %d, want 404", status)
	}
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
