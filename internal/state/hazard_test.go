package state

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestAHazardIsReadBackAsItWasWritten(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	h := filled[grid.Hazard]()
	h.State, h.Ended, h.Scope, h.Cell, h.Mode = grid.HazardRectifying, time.Time{}, yuyuan, yuyuanCell, grid.Live
	h.Kind, h.Level, h.Point, h.Found = "fire_door", "general", "D1", t0
	b := &Batch{Hazards: []grid.Hazard{h}}
	h.Ticket = addTicket(b, 1)
	b.Hazards[0] = h
	commit(t, s, b)
	got, err := s.Hazard(t.Context(), h.ID)
	if d := cmp.Diff(h, got); err != nil || d != "" {
		t.Fatalf("hazard: %v\n%s", err, d)
	}
	if of, err := s.HazardOf(t.Context(), h.Ticket); err != nil || of.ID != h.ID {
		t.Errorf("hazard of its ticket: %v, %v", of.ID, err)
	}
	for name, q := range map[string]Query{
		"kind": {Kind: "fire_door"}, "level": {Type: "general"}, "state": {State: "rectifying"}, "open": {State: "open"}, "overdue": {State: "overdue"},
		"point": {Point: "D1"}, "ticket": {Ticket: h.Ticket}, "scope": {Scope: yuyuan}, "cell": {Cell: yuyuanCell}, "unit": {Unit: "micro-1"},
		"time": {Since: t0, Until: t0.Add(1)},
	} {
		if page, err := s.ListHazards(t.Context(), q); err != nil || len(page.Items) != 1 {
			t.Errorf("hazards by %s: %v, %v: want the one", name, page.Items, err)
		}
	}
	for name, q := range map[string]Query{
		"kind": {Kind: "other"}, "level": {Type: "major"}, "state": {State: "found"}, "ended": {State: "ended"}, "point": {Point: "D2"},
		"scope": {Scope: neighbour}, "unit": {Unit: "stranger"}, "time": {Since: t0.Add(1)},
	} {
		if page, err := s.ListHazards(t.Context(), q); err != nil || len(page.Items) != 0 {
			t.Errorf("hazards by another %s: %v, %v: want none", name, page.Items, err)
		}
	}
	for since, want := range map[time.Time]int{t0: 1, t0.Add(1): 0, {}: 1} {
		if at, err := s.HazardsAt(t.Context(), "D1", "fire_door", since); err != nil || len(at) != want {
			t.Errorf("since %s: %d hazards at the point (%v), want %d", since, len(at), err, want)
		}
	}
	h.State, h.Ended, h.Overdue = grid.HazardClosed, t0.Add(time.Hour), false
	commit(t, s, &Batch{Hazards: []grid.Hazard{h}})
	if open, err := s.OpenHazards(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("open after its end: %v, %v", open, err)
	}
}

func TestWhatWasFiledIsFoundByItsNumberAndWhatSensorsRaisedWithoutIt(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	filed := &grid.Filing{Source: grid.FromHotline, External: "7", Type: grid.EventFireDoorOpen, Mode: grid.Live}
	al := func(id string, device grid.Identity, at time.Duration, f *grid.Filing) grid.Alarm {
		return grid.Alarm{
			ID: id, Type: grid.EventFireDoorOpen, Point: "D1", Device: device, Priority: 3, Mode: grid.Live, Scope: yuyuan,
			Raised: t0.Add(at), At: t0.Add(at), Returned: t0.Add(at), Count: 1, AlarmDetail: grid.AlarmDetail{Filed: f},
		}
	}
	commit(t, s, &Batch{Alarms: []grid.Alarm{
		al("a1", "sn:1", 0, nil), al("a2", "sn:1", time.Hour, nil), al("a3", filed.Identity(), 2*time.Hour, filed), al("a4", "sn:1", 3*time.Hour, nil),
	}})
	got, err := s.FiledAs(t.Context(), filed.Identity())
	if err != nil || len(got) != 1 || got[0].ID != "a3" || got[0].Filed == nil || *got[0].Filed != *filed {
		t.Errorf("filed under its number: %+v, %v", got, err)
	}
	if got, err := s.FiledAs(t.Context(), "filed:hotline/8"); err != nil || len(got) != 0 {
		t.Errorf("filed under another number: %+v, %v", got, err)
	}
	raised, err := s.RaisedAt(t.Context(), "D1", grid.EventFireDoorOpen, t0.Add(time.Hour), 10)
	if err != nil || len(raised) != 2 || raised[0].ID != "a4" || raised[1].ID != "a2" {
		t.Errorf("raised by sensors: %+v, %v: want a4 and a2", raised, err)
	}
}

func TestCasesNearAreOpenOfTheEventAndDistrictOrOfThePoint(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{Points: []grid.Point{{ID: "P1", Kind: grid.Manhole, Building: "b1", Lon: 121.1, Lat: 31.1, Mode: grid.Live}}}
	add := func(id string, change func(*grid.Ticket, *grid.Alarm)) {
		tk := grid.Ticket{ID: id, Type: grid.EventManholeOpen, Point: "P1", Alarm: "a-" + id, Scope: yuyuan, Mode: grid.Live, State: grid.TicketFiled, Opened: t0, Place: "somewhere"}
		al := grid.Alarm{ID: "a-" + id, Type: tk.Type, Scope: yuyuan, Mode: grid.Live, Raised: t0, Building: "b2"}
		change(&tk, &al)
		b.Tickets, b.Alarms = append(b.Tickets, tk), append(b.Alarms, al)
	}
	add("own", func(*grid.Ticket, *grid.Alarm) {})
	add("filed", func(tk *grid.Ticket, a *grid.Alarm) {
		tk.Point, a.Filed = "", &grid.Filing{External: "7", Lon: 122, Lat: 32.5}
	})
	add("another event here", func(tk *grid.Ticket, _ *grid.Alarm) {
		tk.Type, tk.Opened = grid.EventManholeTilted, t0.Add(-99*time.Hour)
	})
	for name, change := range map[string]func(*grid.Ticket){
		"ended":                   func(tk *grid.Ticket) { tk.State = grid.TicketClosed },
		"another event elsewhere": func(tk *grid.Ticket) { tk.Type, tk.Point = grid.EventManholeTilted, "P2" },
		"another district":        func(tk *grid.Ticket) { tk.Scope, tk.Point = neighbour, "" },
		"too old":                 func(tk *grid.Ticket) { tk.Opened, tk.Point = t0.Add(-3*time.Hour), "" },
		"too new":                 func(tk *grid.Ticket) { tk.Opened, tk.Point = t0.Add(3*time.Hour), "" },
	} {
		add(name, func(tk *grid.Ticket, _ *grid.Alarm) { change(tk) })
	}
	commit(t, s, b)
	own, near, err := s.CasesNear(t.Context(), "own", 2*time.Hour)
	if err != nil || own.Building != "b1" || own.Lon != 121.1 || own.Lat != 31.1 || own.Place != "somewhere" || !own.Opened.Equal(t0) {
		t.Fatalf("own is %+v, %v", own, err)
	}
	got := map[string]Case{}
	for _, c := range near {
		got[c.Ticket] = c
	}
	if len(got) != 2 || len(near) != 2 || got["filed"].Lon != 122 || got["filed"].Lat != 32.5 || got["filed"].Building != "b2" || got["another event here"].Type != "manhole.tilted" {
		t.Errorf("near are %+v: want the filed one, with its position, and the other event at the point", near)
	}
	if _, _, err := s.CasesNear(t.Context(), "nobody", time.Hour); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("of no ticket: %v", err)
	}
}
