package state

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestAWindowIsReadBackAsItWasWritten(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	w := grid.Window{
		ID: "w-1", Kind: grid.WindowExercise, Points: []string{"P1", "P2"}, Area: grid.Area{Building: "b-1"}, Types: []grid.EventType{grid.EventSmokeAlarm},
		From: t0, To: t0.Add(time.Hour), By: grid.Actor{Role: grid.RoleSupervisor, Name: "chen"}, Reason: "drill", Holder: "crew", Session: "s-1",
		Touched: t0, Patrol: "lin", Lead: "wu", Script: []grid.Expected{{Point: "P1", Type: grid.EventSmokeAlarm, From: t0, To: t0.Add(time.Minute)}},
		Scope: yuyuan, Cell: yuyuanCell, Mode: grid.Live,
	}
	p := grid.Posture{ID: "p-1", Name: grid.PostureTyphoon, From: t0, To: t0.Add(time.Hour), By: w.By, Reason: "typhoon", Scope: grid.Scope{District: "310105"}, Mode: grid.Live}
	commit(t, s, &Batch{Windows: []grid.Window{w}, Postures: []grid.Posture{p}})
	got, err := s.Window(t.Context(), "w-1")
	if d := cmp.Diff(w, got); err != nil || d != "" {
		t.Errorf("window: %v\n%s", err, d)
	}
	ps, err := s.OpenPosture(t.Context())
	if d := cmp.Diff([]grid.Posture{p}, ps); err != nil || d != "" {
		t.Errorf("posture: %v\n%s", err, d)
	}
	for name, q := range map[string]Query{
		"point": {Point: "P2"}, "kind": {Kind: "exercise"}, "state": {State: "open"}, "holder": {Unit: "crew"}, "scope": {Scope: yuyuan},
	} {
		if page, err := s.ListWindows(t.Context(), q); err != nil || len(page.Items) != 1 {
			t.Errorf("windows by %s: %v, %v: want the one", name, page.Items, err)
		}
	}
	for name, q := range map[string]Query{
		"point": {Point: "P3"}, "kind": {Kind: "permit"}, "state": {State: "ended"}, "holder": {Unit: "other"}, "scope": {Scope: neighbour},
	} {
		if page, err := s.ListWindows(t.Context(), q); err != nil || len(page.Items) != 0 {
			t.Errorf("windows by another %s: %v, %v: want none", name, page.Items, err)
		}
	}
	w.Ended, w.EndedBy = t0.Add(time.Minute), "clock"
	commit(t, s, &Batch{Windows: []grid.Window{w}})
	if open, err := s.OpenWindows(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("open windows after its end: %v, %v: want none", open, err)
	}
}
