package simulator

import (
	"container/heap"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// Sink takes the messages of a fleet; a Publisher is one.
type Sink interface {
	Publish(ctx context.Context, m Message) error
}

// Scenario names what a fleet plays.
type Scenario string

const (
	Demo         Scenario = "demo"          // one of each thing that can happen, within half a minute, then rest
	Mixed        Scenario = "mixed"         // heartbeats, and now and then anything
	ParkingFlood Scenario = "parking-flood" // cars come and go as fast as the rate allows
	SmokeOnly    Scenario = "smoke"         // smoke alarms, each gone after the next few frames
)

// Play says how a fleet is played.
type Play struct {
	Scenario Scenario
	Rate     float64       // frames a second; 0: by the models' own intervals, Speed times as fast
	Speed    float64       // 1 is real
	Count    uint64        // stop after so many frames; 0: no limit
	Beat     time.Duration // demo: between a device's reports; 10 s
	AutoBack time.Duration // demo: a condition that nobody attends to ends after this; 0: never
}

// Player plays a fleet into a sink.
type Player struct {
	Fleet *Fleet
	Play  Play
	Sink  Sink
	Notes Notes
	sent  atomic.Uint64
}

// Sent counts the frames that were handed to the sink.
func (p *Player) Sent() uint64 { return p.sent.Load() }

// Run plays until ctx is done or Play.Count is reached; both are a good end.
func (p *Player) Run(ctx context.Context) error {
	var err error
	switch {
	case len(p.Fleet.Devices) == 0:
		return grid.Errorf(grid.Invalid, "fleet is empty: want one device or more")
	case p.Play.Scenario == Demo:
		err = p.demo(ctx)
	case p.Play.Rate > 0:
		err = p.steady(ctx)
	default:
		err = p.realistic(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// send hands a frame over; false: no more.
func (p *Player) send(ctx context.Context, m Message) (bool, error) {
	if err := p.Sink.Publish(ctx, m); err != nil {
		return false, err
	}
	n := p.sent.Add(1)
	return p.Play.Count == 0 || n < p.Play.Count, nil
}

// steady sends Rate frames a second, in portions of at least a millisecond.
func (p *Player) steady(ctx context.Context) error {
	began := time.Now()
	for n := 0; ; n++ {
		due := began.Add(time.Duration(float64(n) / p.Play.Rate * float64(time.Second)))
		if wait := time.Until(due); wait > time.Millisecond {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil
			}
		}
		if more, err := p.send(ctx, p.next(n)); !more || err != nil {
			return err
		}
	}
}

// next makes the n-th frame of a steady play.
func (p *Player) next(n int) Message {
	f, now := p.Fleet, time.Now()
	switch p.Play.Scenario {
	case ParkingFlood:
		return f.Change(f.Devices[n%len(f.Devices)], Edge, now, func(s *State) { s.Occupied = !s.Occupied })
	case SmokeOnly:
		d := f.Devices[n%len(f.Devices)]
		return f.Change(d, Edge, now, func(s *State) { s.Smoke = !s.Smoke })
	}
	d, dice := f.pick()
	return p.happen(d, dice, now)
}

// pick chooses a device and throws a dice of a thousand.
func (f *Fleet) pick() (*Device, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Devices[f.rng.IntN(len(f.Devices))], f.rng.IntN(1000)
}

// happen makes what a device of the mixed scenario sends: mostly heartbeats, now and then
// a change, and what is not normal goes back soon.
func (p *Player) happen(d *Device, dice int, now time.Time) Message {
	f := p.Fleet
	s, counter := f.Look(d)
	abnormal := s.Open || s.Smoke || s.Test || s.Battery < 20
	switch {
	case counter == 0 && !d.Model.Zigbee:
		return f.Report(d, Startup, now)
	case abnormal && dice < 500:
		return f.Change(d, Edge, now, toNormal)
	case dice < 900:
		return f.Change(d, Heartbeat, now, func(s *State) { s.Celsius = float64(12 + dice%16) })
	case d.Model.Kind == grid.Parking:
		return f.Change(d, Edge, now, func(s *State) { s.Occupied = !s.Occupied })
	case dice < 910:
		return f.Change(d, Edge, now, func(s *State) { s.Battery = 9 })
	case d.Model.Kind == grid.Door:
		return f.Change(d, Edge, now, func(s *State) { s.Open = !s.Open })
	case d.Model.Kind == grid.Manhole && dice > 980:
		return f.Change(d, Edge, now, func(s *State) { s.Open, s.Tilt = true, 70 })
	case d.Model.Kind == grid.Smoke && dice > 990:
		return f.Change(d, Edge, now, func(s *State) { s.Smoke = true })
	case d.Model.Zigbee && dice > 980:
		return f.Change(d, Edge, now, func(s *State) { s.Test = true })
	default:
		return f.Report(d, Heartbeat, now)
	}
}

// toNormal ends whatever is wrong at a point; the rest stays as it is.
func toNormal(s *State) {
	s.Open, s.Occupied, s.Tilt, s.Smoke, s.Heat, s.Test, s.Tamper = false, false, 0, false, false, false, false
	s.Battery = max(s.Battery, 90)
	s.Celsius = min(s.Celsius, 25)
}

// realistic lets every device report at its own interval, divided by Speed.
func (p *Player) realistic(ctx context.Context) error {
	speed := max(p.Play.Speed, 1e-9)
	now := time.Now()
	var h dueHeap
	for _, d := range p.Fleet.Devices {
		_, dice := p.Fleet.pick() // spread over the first interval
		h = append(h, due{d, now.Add(time.Duration(float64(d.Model.Interval) / speed * float64(dice) / 1000))})
	}
	heap.Init(&h)
	for {
		next := &h[0]
		select {
		case <-time.After(time.Until(next.at)):
		case <-ctx.Done():
			return nil
		}
		_, dice := p.Fleet.pick()
		if more, err := p.send(ctx, p.happen(next.d, dice, time.Now())); !more || err != nil {
			return err
		}
		next.at = next.at.Add(time.Duration(float64(next.d.Model.Interval) / speed))
		heap.Fix(&h, 0)
	}
}

// due says when a device reports next.
type due struct {
	d  *Device
	at time.Time
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any          { panic("simulator: devices do not leave the fleet") }

// step is something that happens in the demo.
type step struct {
	at      time.Duration
	profile string
	nth     int
	what    string // for a program
	text    string // for a person
	change  func(*State)
	keeps   time.Duration // over by itself after this; 0: until someone attends to it
}

// demoSteps is the demo as data.
var demoSteps = []step{
	{3 * time.Second, "milesight/ws301", 0, "door_open", "a door is opened and stays open / 门被打开，一直未关", func(s *State) { s.Open = true }, 0},
	{4 * time.Second, "bosch/tps110", 0, "car", "a car stops in a bay and stays / 车辆驶入并超时停放", func(s *State) { s.Occupied = true }, 0},
	{6 * time.Second, "dingtek/dc410", 0, "cover_open", "a manhole cover is taken off / 井盖被掀开", func(s *State) { s.Open, s.Tilt = true, 75 }, 0},
	{8 * time.Second, "zigbee2mqtt/smoke", 0, "test", "somebody presses the test button of a smoke detector: no ticket / 有人按下烟感测试键（不应开工单）", func(s *State) { s.Test = true }, 2 * time.Second},
	{10 * time.Second, "netvox/ra02a", 0, "smoke", "a smoke detector sounds / 烟感报警", func(s *State) { s.Smoke, s.Celsius = true, 41.5 }, 0},
	{13 * time.Second, "milesight/ws301", 1, "battery", "a battery is nearly empty / 电池电量低", func(s *State) { s.Battery = 8 }, 0},
	{15 * time.Second, "nwave/nps405", 0, "car", "a car stops and drives off again / 车辆短停后离开", func(s *State) { s.Occupied = true }, 5 * time.Second},
}

// demo plays demoSteps once; every device reports at each beat, before and after.
func (p *Player) demo(ctx context.Context) error {
	beat := p.Play.Beat
	if beat <= 0 {
		beat = 10 * time.Second
	}
	for _, d := range p.Fleet.Devices {
		if more, err := p.send(ctx, p.Fleet.Report(d, Startup, time.Now())); !more || err != nil {
			return err
		}
		if more, err := p.send(ctx, p.Fleet.Report(d, Heartbeat, time.Now())); !more || err != nil {
			return err
		}
	}
	p.Notes.say(Note{Who: "sensor", What: "heartbeat", Text: fmt.Sprintf("%d devices report / %d 台设备上报心跳", len(p.Fleet.Devices), len(p.Fleet.Devices))})
	began, lastBeat := time.Now(), time.Now()
	todo, back := demoSteps, []ending{}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		for len(todo) > 0 && now.Sub(began) >= todo[0].at {
			if e, ok, err := p.begin(ctx, todo[0], now); err != nil {
				return err
			} else if ok {
				back = append(back, e)
				slices.SortFunc(back, func(a, b ending) int { return a.at.Compare(b.at) })
			}
			todo = todo[1:]
		}
		for len(back) > 0 && !now.Before(back[0].at) {
			if err := p.Restore(ctx, back[0].point, "over"); err != nil {
				return err
			}
			back = back[1:]
		}
		if now.Sub(lastBeat) < beat {
			continue
		}
		lastBeat = now
		for _, d := range p.Fleet.Devices {
			if more, err := p.send(ctx, p.Fleet.Report(d, Heartbeat, now)); !more || err != nil {
				return err
			}
		}
	}
}

// ending says when a condition is over by itself.
type ending struct {
	point string
	at    time.Time
}

// begin plays one step; ok says that it ends by itself.
func (p *Player) begin(ctx context.Context, s step, now time.Time) (e ending, ok bool, err error) {
	d := p.Fleet.First(s.profile, s.nth)
	if d == nil {
		return e, false, nil // a fleet too small for this step
	}
	p.Notes.say(Note{Who: "sensor", What: s.what, Point: d.Point, Text: fmt.Sprintf("%s  [%s %s]", s.text, d.Model.Profile, d.Point)})
	if _, err := p.send(ctx, p.Fleet.Change(d, Edge, now, s.change)); err != nil {
		return e, false, err
	}
	keeps := s.keeps
	if keeps == 0 {
		keeps = p.Play.AutoBack
	}
	return ending{d.Point, now.Add(keeps)}, keeps > 0, nil
}

// Restore puts a point back to normal, as somebody on site would, and lets its device say
// so. by names who did.
func (p *Player) Restore(ctx context.Context, point, by string) error {
	d, err := p.Fleet.At(point)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, m := range []Message{p.Fleet.Change(d, Edge, now, toNormal), p.Fleet.Report(d, Heartbeat, now)} {
		if _, err := p.send(ctx, m); err != nil {
			return err
		}
	}
	p.Notes.say(Note{Who: "sensor", What: "normal", Point: point, Text: fmt.Sprintf("%s is normal again (%s) / 恢复正常", point, by)})
	return nil
}

// Control is an HTTP handler by which units of another process put points back to
// normal: POST /points/{id}/normal.
func (p *Player) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /points/{id}/normal", func(w http.ResponseWriter, r *http.Request) {
		err := p.Restore(r.Context(), r.PathValue("id"), r.URL.Query().Get("by"))
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case grid.CodeOf(err) == grid.NotFound:
			http.Error(w, err.Error(), http.StatusNotFound)
		default:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}
