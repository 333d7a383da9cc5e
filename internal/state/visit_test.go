package state

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestAVisitIsReadBackAsItWasWrittenAndFoundByWhatItCameTo(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	rssi, pct := -97.0, 88.0
	v := grid.Visit{
		ID: "v-1", Device: "eui:1", Point: "P1", Kind: grid.Smoke, State: grid.VisitFailed, Started: t0, Opened: t0, Until: t0, Decided: t0.Add(1), Newest: true, Gateway: true,
		Says:    []grid.Signal{grid.SmokeAlarm},
		Steps:   []grid.VisitStep{{ID: "test", State: grid.StepWaiting, Title: grid.Text{ZH: "测试", EN: "test"}, Said: &grid.VisitWord{Step: "test", Position: &grid.VisitPosition{Lon: 1}}}},
		Frames:  []grid.VisitFrame{{N: 1, At: t0, RSSIdBm: &rssi, Battery: &pct, Readings: []grid.VisitReading{{Signal: grid.TestPress, Value: 1}, {Signal: grid.BatteryLevel, Value: 88, At: t0}}}},
		Reasons: []grid.Text{{ZH: "信号弱", EN: "weak"}}, Signed: &grid.VisitSignature{Verdict: "fail", By: grid.Actor{Role: "unit", Name: "li"}, At: t0}, Scope: yuyuan, Cell: yuyuanCell, Mode: grid.Live,
	}
	old := v
	old.ID, old.Newest, old.State, old.Gateway = "v-0", false, grid.VisitPassed, false
	commit(t, s, &Batch{Visits: []grid.Visit{v, old}})
	got, err := s.Visit(t.Context(), "v-1")
	if d := cmp.Diff(v, got); err != nil || d != "" {
		t.Error(err, d)
	}
	for state, want := range map[string][]string{"failed": {"v-1"}, "passed": {"v-0"}, "needs_gateway": {"v-1"}, "unproven": {"v-1"}, "pending": nil} {
		page, err := s.ListVisits(t.Context(), Query{State: state})
		var ids []string
		for i := range page.Items {
			ids = append(ids, page.Items[i].ID)
		}
		if err != nil || !cmp.Equal(ids, want) {
			t.Errorf("state %s: %v, %v: want %v", state, ids, err, want)
		}
	}
	if live, err := s.LiveVisits(t.Context()); err != nil || len(live) != 0 {
		t.Errorf("live: %+v, %v: want none, both are decided", live, err)
	}
	if newest, err := s.NewestVisit(t.Context(), "P1"); err != nil || len(newest) != 1 || newest[0].ID != "v-1" {
		t.Errorf("newest: %+v, %v: want v-1", newest, err)
	}
}
