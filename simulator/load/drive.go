package load

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"sync"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Driven is what became of one step at the end of a wire.
type Driven struct {
	Sent, Acked, Refused, Backlog uint64
	PerSecond                     float64
	Latency                       simulator.Latency
}

// Driver offers frames on a wire at a rate, each at its time whether those before it have
// been acknowledged or not, and then waits for the acknowledgements.
type Driver interface {
	Registry() (simulator.Registry, error)
	Drive(ctx context.Context, rate float64, length time.Duration) (Driven, error)
}

// Flood is a Driver over MQTT with frames that cost next to nothing.
type Flood struct {
	Load simulator.Load
}

// Registry of its devices.
func (f *Flood) Registry() (simulator.Registry, error) { return f.Load.Registry() }

// Drive publishes over the load's connections.
func (f *Flood) Drive(ctx context.Context, rate float64, length time.Duration) (Driven, error) {
	l := f.Load
	l.Rate, l.Count = rate, uint64(rate*length.Seconds())
	limit, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	res, err := l.Run(limit)
	f.Load.First += uint32(res.Sent/uint64(l.Devices)) + 2 // these counters have been heard
	acked := float64(l.Count - min(l.Count, res.Backlog))
	return Driven{Sent: res.Sent, Acked: res.Acked, Backlog: res.Backlog, PerSecond: math.Round(acked / length.Seconds()), Latency: res.Latency}, err
}

// Field is a Driver over any wire, with devices of a city that speak it.
type Field struct {
	city  *simulator.City
	ends  simulator.Ends
	wire  simulator.Wire
	links map[simulator.Wire]simulator.Link
	next  int
	round int

	mu      sync.Mutex
	due     map[grid.Identity][]time.Time
	now     time.Time // when the frame that is made now was due
	hist    *histogram
	made    uint64
	acked   uint64
	refused uint64
	inTime  uint64
	end     time.Time
}

// NewField makes devices of a mix's models that speak a wire. Its files (keys, lines) lie in dir.
func NewField(wire simulator.Wire, mix string, devices int, seed uint64, ends simulator.Ends, window int) (*Field, error) {
	parts, err := simulator.NewMix(mix, devices, wire)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		parts[i].Quiet = true
	}
	f := &Field{wire: wire, ends: ends, due: map[grid.Identity][]time.Time{}}
	if f.city, err = simulator.NewCity(simulator.CityConfig{Seed: seed, Parts: parts, Sink: f}); err != nil {
		return nil, err
	}
	told := simulator.Told{Acked: func(m simulator.Message) { f.told(m, true) }, Refused: func(m simulator.Message, _ error) { f.told(m, false) }}
	if ends.Keys != "" {
		if err := f.city.WriteKeys(ends.Keys); err != nil {
			return nil, err
		}
	}
	f.links = f.city.Links(ends, window, told)
	return f, nil
}

// Ends are free addresses for a gateway of our own.
func Ends(dir string) (e simulator.Ends, err error) {
	for _, addr := range []*string{&e.CoAP, &e.CoAPS, &e.GBT26875} {
		if *addr, err = freeAddr(); err != nil {
			return e, err
		}
	}
	e.Keys, e.Lines = filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "lines")
	return e, nil
}

// WriteConfig writes what the gateway must have in its configuration for this wire.
func (f *Field) WriteConfig(w io.Writer) error { return f.city.WriteConfig(w, f.ends) }

// Registry of its devices.
func (f *Field) Registry() (simulator.Registry, error) { return f.city.Registry(), nil }

// Run keeps the connections until ctx is done.
func (f *Field) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	errs := make(chan error, len(f.links))
	for w, l := range f.links {
		wg.Go(func() {
			if err := l.Run(ctx); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%s: %w", w, err)
			}
		})
	}
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Publish is the city's way out: the link of the wire.
func (f *Field) Publish(ctx context.Context, m simulator.Message) error {
	l := f.links[m.Wire]
	if l == nil {
		return grid.Errorf(grid.Invalid, "wire is %q: want %s", m.Wire, f.wire)
	}
	f.mu.Lock()
	f.due[m.Identity] = append(f.due[m.Identity], f.now)
	f.made++
	f.mu.Unlock()
	return l.Publish(ctx, m)
}

// told hears the end of a message; those of a device end in the order in which they were made.
func (f *Field) told(m simulator.Message, acked bool) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.due[m.Identity]
	if len(list) == 0 {
		return
	}
	due := list[0]
	f.due[m.Identity] = list[1:]
	if !acked {
		f.refused++
		return
	}
	f.acked++
	if f.hist != nil {
		f.hist.took(due, now)
	}
	if !now.After(f.end) {
		f.inTime++
	}
}

// First has every device say once that it is there: sessions, registrations and
// transmitters' connections are made now, and not while something is measured.
func (f *Field) First(ctx context.Context) error {
	for i := range f.city.Len() {
		f.now = time.Now()
		if err := f.city.Report(ctx, i, simulator.Heartbeat); err != nil {
			return err
		}
	}
	return f.drain(ctx, 2*time.Minute)
}

func (f *Field) drain(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for w, l := range f.links {
		if err := l.Drain(ctx); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}

// Drive has the devices speak in turn, each time of another state.
func (f *Field) Drive(ctx context.Context, rate float64, length time.Duration) (Driven, error) {
	n := uint64(rate * length.Seconds())
	began := time.Now()
	f.mu.Lock()
	f.hist, f.made, f.acked, f.refused, f.inTime, f.end = newHistogram(), 0, 0, 0, 0, began.Add(length)
	f.mu.Unlock()
	var sent uint64
	for ; sent < n; sent++ {
		due := began.Add(time.Duration(float64(sent) / rate * float64(time.Second)))
		if time.Since(began) > 2*length { // far beyond what it takes: the rest is backlog
			break
		}
		if wait := time.Until(due); wait > time.Millisecond {
			time.Sleep(wait)
		}
		if err := f.one(ctx, due); err != nil {
			return Driven{}, err
		}
	}
	if wait := time.Until(began.Add(length)); wait > 0 {
		time.Sleep(wait)
	}
	err := f.drain(ctx, 90*time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	return Driven{Sent: f.made, Acked: f.acked, Refused: f.refused, Backlog: n - min(n, f.inTime), PerSecond: math.Round(float64(f.inTime) / length.Seconds()), Latency: f.hist.latency()}, err
}

// one frame of the next device.
func (f *Field) one(ctx context.Context, due time.Time) error {
	i := f.next
	if f.next++; f.next == f.city.Len() {
		f.next, f.round = 0, f.round+1
	}
	f.mu.Lock()
	f.now = due
	f.mu.Unlock()
	err := f.city.Act(ctx, i, simulator.Heartbeat, func(s *simulator.State) {
		s.Battery = 60 + f.round%40
		s.Celsius = float64(10 + f.round%20)
		s.Occupied = !s.Occupied
	})
	if grid.CodeOf(err) == grid.NotFound { // a played model has no words for it: what it says instead was sent
		return nil
	}
	return err
}
