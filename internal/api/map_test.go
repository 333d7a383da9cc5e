package api

import (
	"encoding/json"
	"testing"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// onTheMap has a street with one cell, a detector in alarm there, one in a test, a gateway
// without a place, and an alarm that a window holds.
func onTheMap(t *testing.T) *world {
	w := newWorld(t)
	w.server.Regions = drawn{m: geo.NewMap([]grid.Region{
		{Code: "310105005", Kind: grid.StreetRegion, Name: "仙霞", Mode: grid.Live, Scope: geo.ScopeOf("310105005"), Source: "A survey · ODbL 1.0", Shape: square(121.39, 31.2)},
		{Code: "310105005001", Kind: grid.CommunityRegion, Name: "known by its name", Mode: grid.Live, Scope: geo.ScopeOf("310105005001")},
	})}
	in := grid.Scope{District: "310105", Street: "310105005"}
	const cell = "310105005001001"
	w.commit(&state.Batch{
		Points: []grid.Point{{ID: "p-a", Name: "A", Kind: grid.Smoke, Mode: grid.Live, Scope: in, Cell: cell, Lon: 121.4, Lat: 31.21}, {ID: "p-b", Name: "B", Kind: grid.Door, Mode: grid.Live, Scope: in, Cell: cell}},
		Alarms: []grid.Alarm{
			{ID: "a-smoke", Type: grid.EventSmokeAlarm, Point: "p-a", Priority: 1, Mode: grid.Live, Scope: in, Cell: cell, Active: true, Raised: t0, At: t0},
			{ID: "a-silent", Type: grid.EventDeviceOffline, Point: "p-b", Priority: 4, Mode: grid.Live, Scope: in, Cell: cell, Active: true, Acked: true, Raised: t0, At: t0},
			{ID: "a-test", Type: grid.EventSmokeAlarm, Point: "p-a", Priority: 1, Mode: grid.Test, Scope: in, Cell: cell, Active: true, Raised: t0, At: t0},
			{ID: "a-gateway", Type: "gateway.silent", Priority: 2, Mode: grid.Live, Active: true, Raised: t0, At: t0},
			{ID: "a-held", Type: "manhole.open", Point: "p-a", Priority: 1, Mode: grid.Live, Scope: in, Cell: cell, Active: true, Raised: t0, At: t0,
				AlarmDetail: grid.AlarmDetail{Cover: &grid.Cover{Window: "w", State: grid.CoverHeld}}},
		},
		Tickets: []grid.Ticket{{ID: "T-map", Case: "T-map", Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Live, Scope: in, Cell: cell, State: grid.TicketDispatched, Overdue: true, Opened: t0}},
	})
	return w
}

func TestTheMapCountsByCellAndNeverWhatIsNotLiveWithWhatIs(t *testing.T) {
	w := onTheMap(t)
	status, _, b := w.do(admin, "GET", "/api/v1/map", "")
	var m MapNow
	if err := json.Unmarshal(b, &m); err != nil || status != 200 {
		t.Fatal(status, err, string(b))
	}
	want := []CellNow{
		{Cell: "310105005001001", Street: "310105005", Mode: grid.Live, Alarms: 2, Unacked: 1, Worst: 1, Silent: 1, Tickets: 1, Overdue: 1},
		{Cell: "310105005001001", Street: "310105005", Mode: grid.Test, Alarms: 1, Unacked: 1, Worst: 1},
	}
	if len(m.Cells) != 2 || m.Cells[0] != want[0] || m.Cells[1] != want[1] {
		t.Errorf("cells are %+v, want %+v", m.Cells, want)
	}
	// The door has no position, the gateway no point.
	if len(m.Alarms) != 2 || m.Alarms[0].Lon != 121.4 || m.Beside != 2 || m.More != 0 {
		t.Errorf("alarms on the map are %+v, %d beside it, %d more", m.Alarms, m.Beside, m.More)
	}
}

func TestTheMapIsForTheDeskAlone(t *testing.T) {
	w := onTheMap(t)
	if status, _, b := w.do("fire-token", "GET", "/api/v1/map", ""); status != 403 {
		t.Errorf("a unit's token gets %d %s", status, b)
	}
}

func TestAreasOfTheMapCarryTheirBordersTheWordsOfTheirSourceAndATag(t *testing.T) {
	w := onTheMap(t)
	status, header, b := w.do(admin, "GET", "/api/v1/map/areas", "")
	var got areaCollection
	if err := json.Unmarshal(b, &got); err != nil || status != 200 {
		t.Fatal(status, err, string(b))
	}
	if len(got.Features) != 1 || got.Features[0].Properties.Code != "310105005" || len(got.Attribution) != 1 || got.Attribution[0] != "A survey · ODbL 1.0" {
		t.Errorf("areas are %+v, their sources %q", got.Features, got.Attribution)
	}
	if status, _, _ = w.do(admin, "GET", "/api/v1/map/areas", "", "If-None-Match", header.Get("ETag")); status != 304 {
		t.Errorf("the same areas again are %d, want 304", status)
	}
}

// drawn is areas that nobody changes.
type drawn struct {
	Regions
	m *geo.Map
}

func (d drawn) Map() *geo.Map { return d.m }

func square(x, y float64) grid.Shape {
	const a = 0.02
	return grid.Shape{{{{x, y}, {x + a, y}, {x + a, y + a}, {x, y + a}, {x, y}}}}
}
