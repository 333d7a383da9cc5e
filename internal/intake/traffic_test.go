package intake

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestRateIsTheFramesOfTheLastMinuteAndFallsWhenNoneCome(t *testing.T) {
	var tr Traffic
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) // on a whole ten seconds
	if !tr.Last().IsZero() || tr.PerMinute(start) != 0 {
		t.Errorf("before the first frame: last %v, %v a minute", tr.Last(), tr.PerMinute(start))
	}
	at := start
	for range 600 { // two a second for five minutes
		tr.Frame(at)
		at = at.Add(500 * time.Millisecond)
	}
	if got := tr.PerMinute(at); got != 120 {
		t.Errorf("two frames a second are %v a minute: want 120", got)
	}
	for after, want := range map[time.Duration]float64{5 * time.Second: 110, 30 * time.Second: 60, 55 * time.Second: 10, time.Minute: 0, time.Hour: 0} {
		if got := tr.PerMinute(at.Add(after)); got != want {
			t.Errorf("%v after the last frame: %v a minute, want %v", after, got, want)
		}
	}
	if tr.Frames() != 600 || !tr.Last().Equal(at.Add(-500*time.Millisecond)) {
		t.Errorf("%d frames, the last at %v", tr.Frames(), tr.Last())
	}
}

func TestTrafficCountsEachFrameOfManyGoroutines(t *testing.T) {
	var tr Traffic
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 3000 {
				tr.Frame(start.Add(time.Duration(i) * 10 * time.Millisecond))
			}
		})
	}
	all.Wait()
	if tr.Frames() != 24000 || tr.PerMinute(start.Add(30*time.Second)) != 24000 {
		t.Errorf("%d frames, %v a minute", tr.Frames(), tr.PerMinute(start.Add(30*time.Second)))
	}
}

func TestFramesThatCannotBeStoredAreAProblemOfTheirLinkUntilTheyCan(t *testing.T) {
	var tally Tally
	now := time.Now()
	tally.Fails(errors.New("disk is full"))
	var h grid.LinkHealth
	tally.Fill(&h, now)
	if !strings.HasPrefix(h.Problem, "frames cannot be stored since ") || !strings.HasSuffix(h.Problem, ": disk is full") || h.LastError != "disk is full" || h.LastErrorAt.IsZero() {
		t.Errorf("got %+v", h)
	}
	other := grid.LinkHealth{Problem: "not open"}
	tally.Fill(&other, now)
	if other.Problem != "not open" {
		t.Errorf("the problem is %q: want the one it had", other.Problem)
	}
	tally.Recovers()
	h = grid.LinkHealth{}
	tally.Fill(&h, now)
	if h.Problem != "" || h.LastError != "disk is full" {
		t.Errorf("after it recovered: %+v", h)
	}
}
