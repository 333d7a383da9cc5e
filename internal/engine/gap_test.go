package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/state"
)

// shelf is a Series that can be told to be full, and keeps the lines it took.
type shelf struct {
	Series
	mu    sync.Mutex
	full  bool
	lines []string
}

func (s *shelf) Append(lines []byte) (influx.Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return influx.Mark{}, influx.ErrQueueFull
	}
	s.lines = append(s.lines, strings.Split(strings.TrimSpace(string(lines)), "\n")...)
	return s.Series.Append(lines)
}

func (s *shelf) setFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// of are the lines of one measurement, each once, sorted.
func (s *shelf) of(measurement string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.lines {
		if strings.HasPrefix(l, measurement+",") {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestPointsThatDidNotFitIntoTheQueueAreMadeAnewFromTheJournal(t *testing.T) {
	play := func(r *rig, full func(bool)) {
		r.place(grid.Door, "D1", doorDev)
		r.place(grid.Smoke, "S1", smokeDev)
		for i := range 30 {
			if i == 10 || i == 20 {
				full(i == 10)
			}
			r.clock.Add(1e9)
			r.say(doorDev, fmt.Sprintf(`{"door.open":%t,"seq":%d}`, i%2 == 0, i+1))
			r.say(doorDev, fmt.Sprintf(`{"door.open":%t,"seq":%d}`, i%2 == 0, i+1)) // a repeat
			r.say(smokeDev, fmt.Sprintf(`{"smoke.alarm":false,"temperature":%d,"seq":%d}`, i, i+1))
		}
		r.settle()
	}
	whole, gapped := &shelf{}, &shelf{}
	on := func(s *shelf) func(*Config) { return func(c *Config) { s.Series, c.Series = c.Series, s } }
	play(newRig(t, on(whole)), func(bool) {})
	r := newRig(t, on(gapped))
	play(r, gapped.setFull)
	for _, m := range []string{"door", "smoke"} {
		if want, got := whole.of(m), gapped.of(m); len(want) != 30 || !slices.Equal(want, got) {
			t.Errorf("%s: %d points without a gap, %d with one:\n%s", m, len(want), len(got), strings.Join(got, "\n"))
		}
	}
	a := r.alarms(state.Query{Type: string(grid.EventDataGap)})
	if len(a) != 1 || a[0].Active {
		t.Errorf("alarms are %+v: want one influx.gap, over", a)
	}
}

func TestARestartTellsNobodyOfflineTwice(t *testing.T) {
	kept := &shelf{}
	r := newRig(t, func(c *Config) { kept.Series, c.Series = c.Series, kept })
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":false,"seq":1}`)
	r.after(3 * time.Hour)
	offline := func() (n int) {
		for _, l := range kept.of("device_health") {
			if strings.Contains(l, "online=false") {
				n++
			}
		}
		return n
	}
	if n := offline(); n != 1 {
		t.Fatalf("%d points say offline: want one", n)
	}
	for range 3 {
		r.restart()
		// Its interval is another now, and with it the time at which it was due.
		r.put(grid.Registration{Devices: []grid.Device{{Identity: doorDev, Profile: "gridgate/json", Mode: grid.Simulated, Interval: 50 * time.Minute}}})
		r.after(time.Hour)
	}
	if n := offline(); n != 1 {
		t.Errorf("%d points say offline after three restarts: want one", n)
	}
}

func TestPointsOfALostQueueAreMadeAnewFromTheJournal(t *testing.T) {
	var kept *shelf
	r := newRig(t, func(c *Config) { kept = &shelf{Series: c.Series}; c.Series = kept })
	r.place(grid.Door, "D1", doorDev)
	r.place(grid.Smoke, "S1", smokeDev)
	for i := range 20 {
		r.clock.Add(1e9)
		r.say(doorDev, fmt.Sprintf(`{"door.open":%t,"seq":%d}`, i%2 == 0, i+1))
		r.say(smokeDev, fmt.Sprintf(`{"smoke.alarm":false,"seq":%d}`, i+1))
	}
	doors, smoke := kept.of("door"), kept.of("smoke")
	r.close()
	if err := os.RemoveAll(filepath.Join(r.dir, "queue")); err != nil { // as after a restore
		t.Fatal(err)
	}
	r.open()
	r.settle()
	if got := kept.of("door"); len(doors) != 20 || !slices.Equal(got, doors) {
		t.Errorf("%d points of the door were made anew: want the %d", len(got), len(doors))
	}
	if got := kept.of("smoke"); len(smoke) != 20 || !slices.Equal(got, smoke) {
		t.Errorf("%d points of the detector were made anew: want the %d", len(got), len(smoke))
	}
	if a := r.alarms(state.Query{Type: string(grid.EventDataGap)}); len(a) != 1 || a[0].Active {
		t.Errorf("alarms are %+v: want one influx.gap, over", a)
	}
}

func TestGapIsFilledForAsLongAsATurnMayTake(t *testing.T) {
	var slow atomic.Bool
	var late atomic.Int64
	r := newRig(t, func(c *Config) {
		now := c.Now
		c.Now = func() time.Time { // each frame takes longer than a turn has
			if slow.Load() {
				late.Add(int64(bulkSlice))
			}
			return now().Add(time.Duration(late.Load()))
		}
	})
	r.place(grid.Door, "D1", doorDev)
	for i := range 30 {
		r.say(doorDev, fmt.Sprintf(`{"seq":%d,"door.open":false}`, i+1))
	}
	_, err := r.engine.do(t.Context(), &command{name: "test", do: func(b *batch) (any, error) {
		r.engine.gap[grid.Bulk] = gapRange{From: 1, To: 30}
		slow.Store(true)
		b.fillLane(grid.Bulk)
		slow.Store(false)
		if from := r.engine.gap[grid.Bulk].From; from != 2 {
			t.Errorf("the gap begins at %d: want 2, one frame has taken the turn", from)
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		r.settle()
		open := must[bool](t)(as[bool](r.engine.do(t.Context(), &command{name: "test", do: func(*batch) (any, error) { return r.engine.gap.open(), nil }})))
		if !open {
			return
		}
	}
	t.Error("the gap is still open")
}
