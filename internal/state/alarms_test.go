package state

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// manyAlarms commits active alarms of one street, a second apart, and as many that are over.
func manyAlarms(t testing.TB, s *Store, n int) time.Time {
	t.Helper()
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	for from := 0; from < n; from += 1000 {
		b := &Batch{}
		for i := from; i < min(from+1000, n); i++ {
			at = at.Add(time.Second)
			a := grid.Alarm{ID: fmt.Sprintf("a%06d", i), Type: grid.EventParkingOverstay, Point: fmt.Sprintf("p%d", i), Priority: 3, Mode: grid.Live, Active: true, Raised: at, At: at, Count: 1, Scope: yuyuan}
			over := a
			over.ID, over.Active, over.Returned = "over"+a.ID, false, at
			b.Alarms = append(b.Alarms, a, over)
		}
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

func TestTheQueueHasWhatNeedsSomebodyAndNothingElse(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	last := manyAlarms(t, s, 5)
	latched := grid.Alarm{ID: "latched", Type: grid.EventManholeOpen, Priority: 1, Mode: grid.Live, Raised: last, AlarmDetail: grid.AlarmDetail{Latch: true, Revision: 3, AckedBy: "li"}}
	seen := latched
	seen.ID, seen.Acked = "seen", true
	commit(t, s, &Batch{Alarms: []grid.Alarm{latched, seen}})
	got, err := s.AlarmQueue(t.Context(), Query{}, last.Add(-time.Second))
	if err != nil || len(got.Alarms) != 6 || len(got.Raised) != 6 || !slices.IsSortedFunc(got.Raised, time.Time.Compare) {
		t.Fatalf("%d alarms, raised %v, %v: want five that are active and a latched one, and two, two and two that were raised", len(got.Alarms), got.Raised, err)
	}
	if i := slices.IndexFunc(got.Alarms, func(a grid.Alarm) bool { return a.ID == "latched" }); i < 0 || got.Alarms[i].Revision != 3 || got.Alarms[i].AckedBy != "li" {
		t.Errorf("the latched one is %+v", got.Alarms)
	}
	if got, err := s.AlarmQueue(t.Context(), Query{Scope: grid.Scope{Street: "310105999"}}, time.Time{}); err != nil || len(got.Alarms)+len(got.Raised) != 0 {
		t.Errorf("another street has %d alarms, %d raised, %v", len(got.Alarms), len(got.Raised), err)
	}
	l, err := s.Load(t.Context())
	if err != nil || !slices.ContainsFunc(l.Alarms, func(a grid.Alarm) bool { return a.ID == "latched" }) {
		t.Errorf("the latched one is not loaded: %v", err)
	}
}

func BenchmarkAlarmQueueOfTenThousand(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "state.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	last := manyAlarms(b, s, 10_000)
	for b.Loop() {
		if got, err := s.AlarmQueue(b.Context(), Query{Scope: yuyuan}, last.Add(-24*time.Hour)); err != nil || len(got.Alarms) != 10_000 {
			b.Fatal(len(got.Alarms), err)
		}
	}
}
