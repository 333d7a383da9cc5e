package simulator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// SmokeBench measures the time from publishing a smoke frame to its ticket's arrival at
// a unit's endpoint.
type SmokeBench struct {
	Broker Broker
	N      int           // alarms, each of a detector of its own
	Gap    time.Duration // between two alarms
	Wait   time.Duration // at most for a ticket
	Seed   uint64        // of the detectors; the same as in the registry
	Unit   Unit          // the one whose deliveries are timed, played here
	Port   int           // to play it on
	Notes  Notes
}

// SmokeResult says what came of it.
type SmokeResult struct {
	Alarms  int     `json:"alarms"`
	Arrived int     `json:"arrived"`
	Twice   int     `json:"twice"` // deliveries taken more than once; allowed, and the unit knows them by id
	Latency Latency `json:"publish_to_unit_ms"`
}

// Registry is what the gateway must know: the detectors and the unit.
func (s *SmokeBench) Registry() (Registry, error) {
	m, err := ModelOf("netvox/ra02a")
	if err != nil {
		return Registry{}, err
	}
	r := NewFleet(s.N, s.Seed, m).Registry(0)
	unit := s.Unit.Unit
	unit.URL = fmt.Sprintf("http://127.0.0.1:%d/hook", s.Port)
	r.Units = []grid.Unit{unit}
	return r, nil
}

// Run raises the alarms and waits for the tickets. That some did not arrive is in the
// result, not an error.
func (s *SmokeBench) Run(ctx context.Context) (SmokeResult, error) {
	m, err := ModelOf("netvox/ra02a")
	if err != nil {
		return SmokeResult{}, err
	}
	fleet := NewFleet(s.N, s.Seed, m)
	watch := &smokeWatch{sent: map[string]time.Time{}, all: make(chan struct{}), want: s.N}
	units, err := OpenUnits(UnitsConfig{Units: []Unit{s.Unit}, Port: s.Port, Notes: watch.note,
		Delays: Delays{Accept: 1000 * time.Hour}}) // it only listens
	if err != nil {
		return SmokeResult{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	pub := NewPublisher(s.Broker, fmt.Sprintf("gridsim-smoke-%d", time.Now().UnixNano()), 100, nil, nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	failed := make(chan error, 2)
	wg.Go(func() { failed <- units.Run(ctx) })
	wg.Go(func() { failed <- pub.Run(ctx) })
	if err := s.raise(ctx, fleet, pub, watch, failed); err != nil {
		return SmokeResult{}, err
	}
	select {
	case <-watch.all:
	case <-time.After(s.Wait):
	case <-ctx.Done():
	case err := <-failed:
		return SmokeResult{}, err
	}
	return watch.result(units, s.Unit.ID), nil
}

// raise publishes the alarms; each device is heard once before, so that the connection
// is there and the device known.
func (s *SmokeBench) raise(ctx context.Context, fleet *Fleet, pub *Publisher, watch *smokeWatch, failed <-chan error) error {
	for _, d := range fleet.Devices {
		if err := pub.Publish(ctx, fleet.Report(d, Heartbeat, time.Now())); err != nil {
			return err
		}
	}
	for _, d := range fleet.Devices {
		select {
		case <-time.After(s.Gap):
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		}
		m := fleet.Change(d, Edge, time.Now(), func(s *State) { s.Smoke = true })
		watch.start(d.Point)
		if err := pub.Publish(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// smokeWatch times arrivals by point.
type smokeWatch struct {
	mu   sync.Mutex
	sent map[string]time.Time
	took []time.Duration
	want int
	all  chan struct{}
}

func (w *smokeWatch) start(point string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[point] = time.Now()
}

// note sees what the unit receives.
func (w *smokeWatch) note(n Note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.sent[n.Point]
	if n.What != "received" || !ok {
		return
	}
	delete(w.sent, n.Point) // the first message counts
	if w.took = append(w.took, n.At.Sub(at)); len(w.took) == w.want {
		close(w.all)
	}
}

func (w *smokeWatch) result(units *Units, unit string) SmokeResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := newHistogram()
	for _, d := range w.took {
		h.RecordValue(max(d.Microseconds(), 1))
	}
	res := SmokeResult{Alarms: w.want, Arrived: len(w.took), Latency: quantiles(h)}
	all, _ := units.Received(unit)
	for _, r := range all {
		if r.Count > 1 {
			res.Twice++
		}
	}
	return res
}
