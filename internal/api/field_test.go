package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// withContractor adds a maintenance unit, lift-1, and a point and a device in its hands.
func withContractor(t *testing.T) (*world, *windowed) {
	w, e := withWindows(t)
	who := w.server.Who
	w.server.Who = func(ctx context.Context, token string) (grid.Actor, error) {
		if token == "lift-token" {
			return grid.Actor{Role: grid.RoleUnit, Name: "lift-1", Unit: "lift-1"}, nil
		}
		return who(ctx, token)
	}
	w.commit(&state.Batch{
		Units:         []grid.Unit{{ID: "lift-1", Name: "Lift", Kind: grid.Maintenance, Mode: grid.Live}},
		Points:        []grid.Point{{ID: "own", Name: "Cellar", Kind: grid.Smoke, Mode: grid.Live, Floor: "B1", Scope: grid.Scope{Contractor: "lift-1"}}},
		Devices:       []grid.Device{{Identity: "eui:24e124", Profile: "milesight/ws523", State: grid.Installed, Mode: grid.Live}},
		Installations: []grid.Installation{{Device: "eui:24e124", Channel: "main", Point: "own", From: t0}},
	})
	return w, e
}

func (w *world) pack(token, cursor, known string) (int, string, FieldPack) {
	w.Helper()
	status, header, b := w.do(token, http.MethodGet, "/api/v1/field/pack?cursor="+cursor, "", "If-None-Match", known)
	var p FieldPack
	if status == http.StatusOK {
		if err := json.Unmarshal(b, &p); err != nil {
			w.Fatal(err)
		}
	}
	return status, header.Get("ETag"), p
}

func TestAPhonePacksThePointsInItsHandsAlone(t *testing.T) {
	w, _ := withContractor(t)
	status, tag, p := w.pack("lift-token", "", "")
	if status != 200 || len(p.Points) != 1 || p.Points[0].ID != "own" || p.Points[0].Floor != "B1" {
		t.Fatalf("pack is %d %+v: want the point own alone", status, p)
	}
	if p.Points[0].Device != "eui:24e124" || p.Points[0].Profile != "milesight/ws523" {
		t.Errorf("at the point is %q of %q: want what is installed there", p.Points[0].Device, p.Points[0].Profile)
	}
	if _, _, all := w.pack(admin, "", ""); len(all.Points) != 2 {
		t.Errorf("the administrator packs %d points: want both", len(all.Points))
	}
	if status, _, _ := w.pack("fire-token", "", ""); status != http.StatusForbidden {
		t.Errorf("a fire unit packs: %d, want it forbidden", status)
	}
	if status, _, _ := w.pack("lift-token", "", tag); status != http.StatusNotModified {
		t.Errorf("a page that is known is answered %d: want 304", status)
	}
	w.commit(&state.Batch{Points: []grid.Point{{ID: "own", Name: "Cellar east", Kind: grid.Smoke, Mode: grid.Live, Scope: grid.Scope{Contractor: "lift-1"}}}})
	if status, _, p := w.pack("lift-token", "", tag); status != 200 || p.Points[0].Name != "Cellar east" {
		t.Errorf("a page that has changed is answered %d %+v", status, p)
	}
}

func TestALargePackComesInPagesThatJoin(t *testing.T) {
	w, _ := withContractor(t)
	var many []grid.Point
	for i := range fieldPage + 20 {
		many = append(many, grid.Point{ID: fmt.Sprintf("m-%04d", i), Name: "m", Kind: grid.Manhole, Mode: grid.Live, Scope: grid.Scope{Contractor: "lift-1"}})
	}
	w.commit(&state.Batch{Points: many})
	seen, cursor := map[string]bool{}, ""
	for pages := 0; ; pages++ {
		_, _, p := w.pack("lift-token", cursor, "")
		for _, x := range p.Points {
			if seen[x.ID] {
				t.Fatalf("point %s is in two pages", x.ID)
			}
			seen[x.ID] = true
		}
		if cursor = p.Next; cursor == "" || pages > 5 {
			break
		}
	}
	if len(seen) != len(many)+1 {
		t.Errorf("the pages hold %d points: want %d", len(seen), len(many)+1)
	}
}

func TestATechnicianOpensAWindowOverHisOwnPointsAlone(t *testing.T) {
	w, _ := withContractor(t)
	c := w.client("lift-token")
	n := NewWindow{Kind: grid.WindowMaintenance, Points: []string{"own"}, For: "20m", Session: "phone", By: &As{Name: "wang", Role: "technician"}}
	got, err := c.OpenWindow(t.Context(), n, "key-1")
	if err != nil || got.Holder != "lift-1" {
		t.Fatalf("opened %+v, %v: want it held by lift-1", got, err)
	}
	if _, err := c.Window(t.Context(), got.ID); err != nil {
		t.Errorf("read: %v", err)
	}
	if _, err := c.TouchWindow(t.Context(), got.ID, "phone"); err != nil {
		t.Errorf("touch: %v", err)
	}
	for what, n := range map[string]NewWindow{
		"in the hands":       {Kind: grid.WindowMaintenance, Points: []string{"own", "p1"}, For: "20m", Session: "x"},
		"names the points":   {Kind: grid.WindowMaintenance, Area: grid.Area{Building: "b"}, For: "20m"},
		"contractor opens":   {Kind: grid.WindowShelved, Points: []string{"own"}, For: "20m"},
		"does no maintenanc": {},
	} {
		c := c
		if what == "does no maintenanc" {
			c, n = w.client("fire-token"), NewWindow{Kind: grid.WindowMaintenance, Points: []string{"own"}, For: "20m"}
		}
		if _, err := c.OpenWindow(t.Context(), n, ""); grid.CodeOf(err) != grid.Forbidden || !strings.Contains(err.Error(), what) {
			t.Errorf("window %+v: %v, want it forbidden: … %s", n, err, what)
		}
	}
	theirs, err := w.client(admin).OpenWindow(t.Context(), NewWindow{Kind: grid.WindowMaintenance, Points: []string{"own"}, For: "20m", Session: "desk"}, "key-2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.EndWindow(t.Context(), theirs.ID, ""); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("another's window is ended: %v, want it forbidden", err)
	}
	if ended, err := c.EndWindow(t.Context(), got.ID, ""); err != nil || ended.Open() {
		t.Errorf("his own is ended: %+v, %v", ended, err)
	}
}

func TestAWindowsQuestionReachesTheContractorThatWorksThereAndNobodyElse(t *testing.T) {
	w, _ := withContractor(t)
	c := w.client("lift-token")
	win, err := c.OpenWindow(t.Context(), NewWindow{Kind: grid.WindowMaintenance, Points: []string{"own"}, For: "20m", Session: "phone"}, "k")
	if err != nil {
		t.Fatal(err)
	}
	asked := grid.Alarm{
		ID: "a-own", Point: "own", Device: "eui:24e124", Type: grid.EventSmokeAlarm, Priority: 1, Mode: grid.Live, Active: true, Raised: t0, Scope: grid.Scope{Contractor: "lift-1"},
		AlarmDetail: grid.AlarmDetail{Cover: &grid.Cover{Window: win.ID, Kind: grid.WindowMaintenance, State: grid.CoverAsked, Ask: "is it you?", Due: t0}},
	}
	w.commit(&state.Batch{Alarms: []grid.Alarm{asked}})
	page, err := call[Page[AlarmView]](t.Context(), c, http.MethodGet, "/api/v1/windows/"+win.ID+"/questions", nil, nil)
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != "a-own" {
		t.Errorf("questions are %+v, %v: want that of a-own", page.Items, err)
	}
	n := Change{Alarms: []grid.Alarm{asked}}.notes()[0]
	lift, fire := grid.Actor{Role: grid.RoleUnit, Unit: "lift-1"}, grid.Actor{Role: grid.RoleUnit, Unit: "fire-1"}
	if !n.visible(lift, "lift-1") || n.visible(fire, "") {
		t.Error("want the question in the stream of the contractor, and of no other unit")
	}
	asked.Cover = nil
	if n := (Change{Alarms: []grid.Alarm{asked}}).notes()[0]; n.visible(lift, "lift-1") {
		t.Error("an alarm that no window covers is in a contractor's stream")
	}
}
