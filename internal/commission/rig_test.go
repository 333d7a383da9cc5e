package commission

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
)

var t0 = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// builtIn is read once: the models play ten thousand visits.
var builtIn = sync.OnceValues(func() (*Plans, error) {
	file, err := os.ReadFile(filepath.Join("..", "..", "configs", "commissioning.yaml"))
	if err != nil {
		return nil, err
	}
	return Parse("commissioning.yaml", file)
})

func plans(t testing.TB) *Plans {
	t.Helper()
	p, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// story is a visit and its clock, in seconds from its beginning.
type story struct {
	t testing.TB
	p *Plans
	v grid.Visit
	n int
	s int // the latest second
}

var saysAll = []grid.Signal{grid.DoorOpen, grid.ParkingOccupied, grid.ManholeOpen, grid.ManholeTilt, grid.SmokeAlarm, grid.TestPress, grid.BatteryLevel, grid.BatteryLow, grid.Tamper}

func begin(t testing.TB, k grid.Kind, says ...grid.Signal) *story {
	t.Helper()
	s := &story{t: t, p: plans(t), v: grid.Visit{ID: "v", Device: "eui:24e124535b123456", Point: "p", Kind: k, Started: t0, Cell: "310105006001001"}}
	if says == nil {
		says = saysAll
	}
	if err := s.p.Begin(&s.v, says, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.judge(0)
	return s
}

func second(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }

func (s *story) judge(at int) time.Time {
	s.s = max(s.s, at)
	return s.p.Judge(&s.v, second(s.s))
}

// frame is one by LoRaWAN, well heard.
func (s *story) frame(at int, readings ...grid.VisitReading) {
	rssi, snr := -90.0, 8.0
	s.weak(at, rssi, snr, readings...)
}

func (s *story) weak(at int, rssi, snr float64, readings ...grid.VisitReading) {
	s.t.Helper()
	s.put(grid.VisitFrame{At: second(at), Received: second(at), Link: "lorawan", RSSIdBm: &rssi, SNRdB: &snr, Readings: readings})
}

func (s *story) put(f grid.VisitFrame) {
	s.n++
	f.N, f.Frame = s.n, fmt.Sprint(s.n)
	for _, r := range f.Readings {
		if r.Signal == grid.BatteryLevel {
			f.Battery = &r.Value
		}
	}
	if !s.p.Takes(&s.v, f.At) {
		return
	}
	s.v.Heard++
	s.p.Keep(&s.v, f)
	s.judge(int(f.At.Sub(t0) / time.Second))
}

func (s *story) say(at int, step string, w grid.VisitWord) {
	s.t.Helper()
	w.Step, w.At = step, second(at)
	if w.Result == "" {
		w.Result = grid.StepPassed
	}
	if err := s.p.Say(&s.v, w); err != nil {
		s.t.Fatal(err)
	}
	s.judge(at)
}

func (s *story) photo(at int) { s.say(at, "photo", grid.VisitWord{Photo: "ph-1"}) }

func (s *story) sign(at int, verdict string) grid.VisitState {
	s.v.Signed = &grid.VisitSignature{Verdict: verdict, At: second(at)}
	s.p.Settle(&s.v, second(at))
	s.judge(at)
	return s.v.State
}

func (s *story) want(step string, state grid.StepState) {
	s.t.Helper()
	got := s.v.Step(step)
	if got == nil {
		s.t.Fatalf("there is no step %s: %+v", step, s.v.Steps)
		return
	}
	if got.State != state {
		s.t.Errorf("step %s is %s (%s), want %s", step, got.State, got.Detail.EN, state)
	}
}

func is(sig grid.Signal, v bool) grid.VisitReading {
	if v {
		return grid.VisitReading{Signal: sig, Value: 1}
	}
	return grid.VisitReading{Signal: sig}
}

func of(sig grid.Signal, v float64) grid.VisitReading {
	return grid.VisitReading{Signal: sig, Value: v}
}
