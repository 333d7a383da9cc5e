package downlink_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/downlink"
	"gridgate/internal/grid"
)

// engine keeps downlinks as the real one does, in memory. fail makes it refuse outcomes.
type engine struct {
	mu     sync.Mutex
	rows   map[string]grid.Downlink
	steps  []string
	fail   error
	barred grid.Identity    // its downlinks fail when they are tried
	outbox *downlink.Outbox // told of each commit
}

func (e *engine) open(context.Context) ([]grid.Downlink, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []grid.Downlink
	for _, d := range e.rows {
		if !d.Ended() {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b grid.Downlink) int { return a.Created.Compare(b.Created) })
	return out, nil
}

func (e *engine) DownlinkResult(_ context.Context, id string, s downlink.Step) (grid.Downlink, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d, there := e.rows[id]
	switch {
	case e.fail != nil:
		return grid.Downlink{}, e.fail
	case !there:
		return grid.Downlink{}, grid.Errorf(grid.NotFound, "downlink %s: not found", id)
	case d.Ended():
		return d, nil
	}
	d.Way = cmp.Or(s.Way, d.Way)
	switch {
	case s.Try && d.Device == e.barred:
		d.State, d.Error, d.EndedAt = grid.DownlinkFailed, "it is barred", time.Now()
	case s.Try:
		d.Trying = true
		d.Attempts++
	case s.Sent != nil:
		d.State, d.Trying, d.Error, d.SentAt = s.Sent.State, false, "", time.Now()
		if s.Sent.NoAck || d.State == grid.DownlinkAcknowledged {
			d.EndedAt = time.Now()
		}
	case s.Failed:
		d.State, d.Trying, d.Error, d.EndedAt = grid.DownlinkFailed, false, s.Error, time.Now()
	default:
		d.Trying, d.Error, d.Next = false, s.Error, s.Retry
	}
	e.commit(d)
	return d, nil
}

// commit must be called with mu held.
func (e *engine) commit(d grid.Downlink) {
	e.rows[d.ID] = d
	e.steps = append(e.steps, d.ID+" "+string(d.State))
	if e.outbox != nil {
		e.outbox.Notify([]grid.Downlink{d})
	}
}

func (e *engine) create(d grid.Downlink) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.commit(d)
}

// end is what the engine does by itself: expiry, and what a person takes back.
func (e *engine) end(id, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.rows[id]
	d.State, d.Error, d.EndedAt = grid.DownlinkFailed, why, time.Now()
	e.commit(d)
}

func (e *engine) refuse(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = err
}

func (e *engine) row(id string) grid.Downlink {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rows[id]
}

// heard is a journal: by which frames each device was heard, newest first.
type heard struct {
	mu     sync.Mutex
	frames map[grid.Identity][]grid.Frame
}

func (h *heard) ByDevice(_ context.Context, id grid.Identity, _, _ time.Time, limit int) ([]grid.Frame, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.frames[id]
	return f[:min(len(f), limit)], nil
}

func (h *heard) by(path string, ids ...grid.Identity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	transport, source, _ := strings.Cut(path, ":")
	for _, id := range ids {
		f := grid.Frame{Identity: id, Transport: transport, Source: source, Raw: []byte("up"), Address: "a topic"}
		h.frames[id] = append([]grid.Frame{f}, h.frames[id]...)
	}
}

// line is a wire whose devices answer as a test says; without a word of it, they take all.
type line struct {
	mu    sync.Mutex
	tries []string
	ways  []grid.Frame
	does  func(ctx context.Context, d *grid.Downlink) (grid.Sent, error)
}

func (l *line) Downlink(ctx context.Context, d *grid.Downlink, way grid.Frame) (grid.Sent, error) {
	l.mu.Lock()
	l.tries = append(l.tries, d.ID)
	l.ways = append(l.ways, way)
	does := l.does
	l.mu.Unlock()
	if does == nil {
		return grid.Sent{State: grid.DownlinkSent, NoAck: true}, nil
	}
	return does(ctx, d)
}

func (l *line) tried() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.tries)
}

func (l *line) set(does func(context.Context, *grid.Downlink) (grid.Sent, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.does = does
}

func asleep(context.Context, *grid.Downlink) (grid.Sent, error) {
	return grid.Sent{}, grid.Errorf(grid.Unavailable, "it sleeps")
}

// never answers before its time is over.
func never(ctx context.Context, _ *grid.Downlink) (grid.Sent, error) {
	<-ctx.Done()
	return grid.Sent{}, ctx.Err()
}

type rig struct {
	*downlink.Outbox
	engine *engine
	heard  *heard
	city   *line // mqtt:city carries payloads
	panel  *line // serial:panel carries GB/T 26875 orders
	stop   func()
	made   int
}

func start(t *testing.T, change ...func(*downlink.Config)) *rig {
	r := &rig{engine: &engine{rows: map[string]grid.Downlink{}}, heard: &heard{frames: map[grid.Identity][]grid.Frame{}}, city: &line{}, panel: &line{}}
	r.run(t, change...)
	return r
}

// run starts an outbox over what the engine holds.
func (r *rig) run(t *testing.T, change ...func(*downlink.Config)) {
	cfg := downlink.Config{Seed: 1, Wires: []downlink.Wire{
		{Path: "mqtt:city", Kinds: []string{"payload"}, Downlinker: r.city},
		{Path: "serial:panel", Kinds: []string{"gb26875"}, AtOnce: 1, Downlinker: r.panel},
		{Path: "tcp:texts"},
	}}
	for _, f := range change {
		f(&cfg)
	}
	r.Outbox = downlink.New(cfg, r.engine.open, r.heard, r.engine, nil)
	r.engine.mu.Lock()
	r.engine.outbox = r.Outbox
	r.engine.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	r.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(r.stop)
}

func (r *rig) payload(id string, device grid.Identity, change ...func(*grid.Downlink)) grid.Downlink {
	r.made++
	d := grid.Downlink{
		ID: id, Device: device, State: grid.DownlinkQueued, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff"}},
		Created: time.Now().Add(time.Duration(r.made)), Expires: time.Now().Add(24 * time.Hour),
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func once(d *grid.Downlink) { d.Once = true }

func duty(d *grid.Downlink) {
	d.Order = grid.Order{GB26875: &grid.GB26875Order{Do: "duty_check", Minutes: 5}}
}

func (r *rig) want(t *testing.T, id string, state grid.DownlinkState, words string) {
	t.Helper()
	synctest.Wait()
	if d := r.engine.row(id); d.State != state || !strings.Contains(d.Error, words) {
		t.Errorf("%s is %s, %q: want %s, %q", id, d.State, d.Error, state, words)
	}
}

func (r *rig) wantTries(t *testing.T, l *line, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := l.tried(); !slices.Equal(got, want) {
		t.Errorf("tries are %v: want %v", got, want)
	}
}

func TestADeviceIsToldInTheOrderOfCreationOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1")
		answer := make(chan struct{})
		r.city.set(func(ctx context.Context, _ *grid.Downlink) (grid.Sent, error) {
			<-answer
			return grid.Sent{State: grid.DownlinkSent, NoAck: true}, nil
		})
		a, b, c := r.payload("a", "sn:1"), r.payload("b", "sn:1"), r.payload("c", "sn:1")
		r.engine.create(c)
		r.wantTries(t, r.city, "c")
		r.engine.create(b)
		r.engine.create(a)
		r.wantTries(t, r.city, "c")
		answer <- struct{}{}
		r.wantTries(t, r.city, "c", "a")
		answer <- struct{}{}
		r.wantTries(t, r.city, "c", "a", "b")
		answer <- struct{}{}
		r.want(t, "b", grid.DownlinkSent, "")
		if s := r.Stats(); s.Sent != 3 || s.Queued != 0 || s.Trying != 0 {
			t.Errorf("stats are %+v", s)
		}
	})
}

func TestAnOpenDownlinkIsSentAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1")
		r.stop()
		r.engine.create(r.payload("a", "sn:1"))
		r.engine.create(r.payload("b", "sn:1"))
		r.run(t)
		r.wantTries(t, r.city, "a", "b")
	})
}

func TestADeviceThatDoesNotAnswerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:mute", "sn:well")
		r.city.set(func(ctx context.Context, d *grid.Downlink) (grid.Sent, error) {
			if d.Device == "sn:mute" {
				return never(ctx, d)
			}
			return grid.Sent{State: grid.DownlinkSent, NoAck: true}, nil
		})
		r.engine.create(r.payload("mute", "sn:mute"))
		r.engine.create(r.payload("well", "sn:well"))
		r.want(t, "well", grid.DownlinkSent, "")
		r.want(t, "mute", grid.DownlinkQueued, "")
		time.Sleep(90 * time.Second)
		r.want(t, "mute", grid.DownlinkQueued, "no answer within 1m30s")
	})
}

func TestAWireThatIsStuckHoldsUpItselfAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *downlink.Config) { c.Wires[0].AtOnce, c.Lookups = 3, 1 })
		r.city.set(never)
		for i := range 50 {
			id := grid.Identity(fmt.Sprint("sn:", i))
			r.heard.by("mqtt:city", id)
			r.engine.create(r.payload(fmt.Sprint("d", i), id))
		}
		synctest.Wait()
		if n := len(r.city.tried()); n != 3 || r.Stats().Trying != 3 {
			t.Errorf("%d tries at once: want 3", n)
		}
		r.heard.by("serial:panel", "gb26875:1")
		r.engine.create(r.payload("duty", "gb26875:1", duty))
		r.want(t, "duty", grid.DownlinkSent, "")
	})
}

func TestASleepingDeviceIsTriedAgainWithGrowingPausesAndAtOnceWhenItIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1")
		r.city.set(asleep)
		r.engine.create(r.payload("a", "sn:1"))
		r.want(t, "a", grid.DownlinkQueued, "it sleeps")
		time.Sleep(time.Hour)
		synctest.Wait()
		// 1 s doubled to 5 min is 9 pauses of 4 to 9 minutes together, the rest at least 2.5 minutes each.
		if n := len(r.city.tried()); n < 15 || n > 32 {
			t.Errorf("%d tries in an hour", n)
		}
		for before := len(r.city.tried()); len(r.city.tried()) == before; { // until a try
			time.Sleep(time.Second)
		}
		r.city.set(nil)
		r.Heard("sn:other")
		r.want(t, "a", grid.DownlinkQueued, "")
		r.Heard("sn:1")
		r.want(t, "a", grid.DownlinkSent, "")
	})
}

func TestADeviceThatIsHeardDuringATryIsTriedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *downlink.Config) { c.First = 5 * time.Minute })
		r.heard.by("mqtt:city", "sn:1")
		r.city.set(func(ctx context.Context, d *grid.Downlink) (grid.Sent, error) {
			if len(r.city.tried()) > 1 {
				return grid.Sent{State: grid.DownlinkAcknowledged}, nil
			}
			time.Sleep(20 * time.Second)
			return asleep(ctx, d)
		})
		r.engine.create(r.payload("a", "sn:1"))
		time.Sleep(15 * time.Second)
		r.Heard("sn:1")
		time.Sleep(5 * time.Second) // by the clock it would be minutes
		r.want(t, "a", grid.DownlinkAcknowledged, "")
	})
}

func TestWhatAWireCouldNotTakeIsTriedWhenItIsUpAgainAndAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1")
		r.heard.by("serial:panel", "gb26875:1")
		r.city.set(asleep)
		r.panel.set(asleep)
		r.engine.create(r.payload("a", "sn:1"))
		r.engine.create(r.payload("b", "gb26875:1", duty))
		time.Sleep(time.Hour)
		for before := len(r.city.tried()); len(r.city.tried()) == before; { // until a try
			time.Sleep(time.Second)
		}
		r.city.set(nil)
		r.Up("mqtt:city")
		r.Up("no:such")
		r.want(t, "a", grid.DownlinkSent, "")
		r.want(t, "b", grid.DownlinkQueued, "it sleeps")
		r.stop()
		r.panel.set(nil)
		r.run(t)
		r.want(t, "b", grid.DownlinkSent, "")
	})
}

func TestADeviceThatSpeaksAllTheTimeIsNotTriedAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1")
		r.city.set(asleep)
		r.engine.create(r.payload("a", "sn:1"))
		for range 6000 {
			time.Sleep(100 * time.Millisecond)
			r.Heard("sn:1")
		}
		synctest.Wait()
		spoke := len(r.city.tried())
		if spoke < 50 || spoke > 70 { // every 10 s in 10 minutes
			t.Errorf("%d tries while it speaks", spoke)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(r.city.tried()) - spoke; n > 6 {
			t.Errorf("%d tries while it is silent", n)
		}
	})
}

func TestOneWantedOnceIsNeverTriedAgainWhenItMayHaveBeenSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1", "sn:2", "sn:3")
		r.city.set(func(ctx context.Context, d *grid.Downlink) (grid.Sent, error) {
			if !d.Trying || !r.engine.row(d.ID).Trying {
				t.Error("the wire is tried before it is on disk that it is")
			}
			switch {
			case d.Device == "sn:1":
				return grid.Sent{}, fmt.Errorf("no PUBACK: %w", grid.ErrMayHaveBeenSent)
			case d.Device == "sn:2":
				return never(ctx, d)
			case len(r.city.tried()) < 5:
				return asleep(ctx, d)
			}
			return grid.Sent{State: grid.DownlinkAcknowledged}, nil
		})
		r.engine.create(r.payload("lost", "sn:1", once))
		r.engine.create(r.payload("late", "sn:2", once))
		r.engine.create(r.payload("asleep", "sn:3", once))
		r.want(t, "lost", grid.DownlinkFailed, "may have been sent")
		time.Sleep(time.Hour)
		r.want(t, "late", grid.DownlinkFailed, "may have been sent")
		r.want(t, "asleep", grid.DownlinkAcknowledged, "")
		if s := r.Stats(); s.Failed != 2 || s.Acknowledged != 1 || s.Sent != 1 {
			t.Errorf("stats are %+v", s)
		}
	})
}

func TestAfterACrashOneWantedOnceHasFailedAndOthersAreTriedAgainUnderTheirID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1", "sn:2", "sn:3")
		r.stop()
		r.engine.outbox = nil
		trying := func(d *grid.Downlink) { d.Trying = true }
		r.engine.create(r.payload("once", "sn:1", once, trying))
		r.engine.create(r.payload("again", "sn:2", trying))
		r.engine.create(r.payload("not-begun", "sn:3", once))
		r.run(t)
		r.want(t, "once", grid.DownlinkFailed, "may have been sent")
		r.want(t, "again", grid.DownlinkSent, "")
		r.want(t, "not-begun", grid.DownlinkSent, "")
		if slices.Contains(r.city.tried(), "once") {
			t.Error("it was sent again")
		}
	})
}

func TestATryThatIsCutOffByTheEndIsMadeAgainAtTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1", "sn:2")
		r.city.set(never)
		r.engine.create(r.payload("a", "sn:1"))
		r.engine.create(r.payload("b", "sn:2", once))
		synctest.Wait()
		r.stop()
		if d := r.engine.row("a"); d.Error != "" || !d.Trying {
			t.Errorf("our own end is noted as a failure of the device: %+v", d)
		}
		r.city.set(nil)
		r.run(t)
		r.want(t, "a", grid.DownlinkSent, "")
		r.want(t, "b", grid.DownlinkFailed, "may have been sent")
	})
}

func TestWhatIsTakenBackIsNotTriedAndATryUnderWayIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1")
		r.city.set(never)
		for _, id := range []string{"a", "b", "c"} {
			r.engine.create(r.payload(id, "sn:1"))
		}
		r.wantTries(t, r.city, "a")
		r.engine.end("b", "taken back")
		r.engine.end("a", "taken back")
		r.wantTries(t, r.city, "a", "c")
		r.want(t, "a", grid.DownlinkFailed, "taken back")
		r.engine.end("c", "expired")
		synctest.Wait()
		if s := r.Stats(); s.Queued != 0 || s.Trying != 0 || s.Failed != 3 {
			t.Errorf("stats are %+v", s)
		}
	})
}

func TestOutcomesAreToldUntilTheyAreDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1", "sn:2")
		r.engine.create(r.payload("a", "sn:1"))
		r.want(t, "a", grid.DownlinkSent, "")
		r.engine.refuse(errors.New("disk is full"))
		b := r.payload("b", "sn:2")
		r.engine.create(b)
		time.Sleep(time.Minute)
		synctest.Wait()
		if p := r.Stats().Problem; !strings.Contains(p, "disk is full") {
			t.Errorf("problem is %q", p)
		}
		r.engine.refuse(nil)
		time.Sleep(10 * time.Second)
		r.want(t, "b", grid.DownlinkSent, "")
		r.wantTries(t, r.city, "a", "b")
		if p := r.Stats().Problem; p != "" {
			t.Errorf("problem is still %q", p)
		}
	})
}

func TestAnErrorThatIsFinalIsTriedOnceAndAPanicIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1", "sn:2")
		r.city.set(func(_ context.Context, d *grid.Downlink) (grid.Sent, error) {
			if d.ID == "panic" {
				panic("a bug")
			}
			return grid.Sent{}, grid.Errorf(grid.Invalid, "port is 0: want 1 to 223")
		})
		r.engine.create(r.payload("a", "sn:1"))
		r.engine.create(r.payload("panic", "sn:2"))
		r.want(t, "a", grid.DownlinkFailed, "want 1 to 223")
		r.want(t, "panic", grid.DownlinkFailed, "mqtt:city panicked: a bug")
	})
}

func TestTheWayIsTheNewestFrameByAWireThatCarriesTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *downlink.Config) {
			c.Wires = append(c.Wires, downlink.Wire{Path: "mqtt:embedded", Kinds: []string{"payload"}, Downlinker: c.Wires[0].Downlinker})
		})
		r.heard.by("mqtt:embedded", "sn:1")
		r.heard.by("mqtt:city", "sn:1")
		r.heard.by("serial:panel", "sn:1")
		r.engine.create(r.payload("a", "sn:1"))
		r.want(t, "a", grid.DownlinkSent, "")
		if d := r.engine.row("a"); d.Way != "mqtt:city" || r.city.ways[0].Address != "a topic" {
			t.Errorf("it went by %s, %+v", d.Way, r.city.ways[0])
		}
	})
}

func TestAnOrderThatNoWireOfTheDeviceCarriesFailsAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *downlink.Config) { c.Fixed = map[grid.Identity]string{"modbus:riser/1": "tcp:texts"} })
		r.heard.by("serial:panel", "gb26875:1")
		r.heard.by("tcp:texts", "line:a")
		r.heard.by("mqtt:gone", "sn:9")
		r.engine.create(r.payload("a", "gb26875:1"))
		r.engine.create(r.payload("b", "line:a"))
		r.engine.create(r.payload("c", "modbus:riser/1"))
		r.engine.create(r.payload("d", "sn:9"))
		r.want(t, "a", grid.DownlinkFailed, "device gb26875:1 was last heard by serial:panel, which cannot carry a payload order")
		r.want(t, "b", grid.DownlinkFailed, "device line:a was last heard by tcp:texts, which cannot carry a payload order")
		r.want(t, "c", grid.DownlinkFailed, "device modbus:riser/1 is on tcp:texts, which cannot carry a payload order")
		r.want(t, "d", grid.DownlinkQueued, "device sn:9 was last heard by mqtt:gone, which is not in the configuration any more")
	})
}

func TestFramesThatAreNotTheDevicesShowNoWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.frames["sn:1"] = []grid.Frame{
			{Identity: "sn:1", Transport: "mqtt", Source: "city", Flags: grid.Refused},
			{Identity: "sn:1", Transport: "mqtt", Source: "city", Flags: grid.Marker},
		}
		r.engine.create(r.payload("a", "sn:1"))
		r.want(t, "a", grid.DownlinkQueued, "device sn:1 was never heard")
	})
}

func TestAWayThatHasWaitedLongIsLookedUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		night := &line{}
		r := start(t, func(c *downlink.Config) {
			c.Wires[0].AtOnce = 1
			c.Wires = append(c.Wires, downlink.Wire{Path: "mqtt:night", Kinds: []string{"payload"}, Downlinker: night})
		})
		r.heard.by("mqtt:city", "sn:mute", "sn:moves")
		r.city.set(never)
		r.engine.create(r.payload("mute", "sn:mute"))
		r.wantTries(t, r.city, "mute")
		r.engine.create(r.payload("moves", "sn:moves"))
		synctest.Wait()
		r.heard.by("mqtt:night", "sn:moves")
		time.Sleep(90 * time.Second)
		r.want(t, "moves", grid.DownlinkSent, "")
		r.wantTries(t, night, "moves")
	})
}

func TestWhatTheEngineEndsAtATryOrHasExpiredIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.heard.by("mqtt:city", "sn:1", "sn:2")
		r.engine.barred = "sn:1"
		r.engine.create(r.payload("a", "sn:1"))
		r.engine.create(r.payload("b", "sn:2", func(d *grid.Downlink) { d.Expires = time.Now() }))
		r.want(t, "a", grid.DownlinkFailed, "barred")
		time.Sleep(time.Hour)
		r.wantTries(t, r.city)
		r.engine.end("b", "not sent in time")
		synctest.Wait()
		if n := r.Stats().Queued; n != 0 {
			t.Errorf("%d are queued", n)
		}
	})
}

func TestADeviceThatWasNeverHeardIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.engine.create(r.payload("a", "sn:1"))
		r.want(t, "a", grid.DownlinkQueued, "device sn:1 was never heard")
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(r.engine.steps); n != 2 {
			t.Errorf("%d commits while there is nothing new to say: want 2", n)
		}
		r.heard.by("mqtt:city", "sn:1")
		r.Heard("sn:1")
		r.want(t, "a", grid.DownlinkSent, "")
	})
}

func TestADeviceOfTheConfigurationNeedsNotBeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *downlink.Config) {
			c.Fixed = map[grid.Identity]string{"gb26875:7": "serial:panel"}
			c.Unheard = []string{"mqtt:city"}
			c.Wires = append(c.Wires, downlink.Wire{Path: "tcp:panels", Kinds: []string{"gb26875"}, Downlinker: &line{}})
		})
		r.heard.by("tcp:panels", "gb26875:7") // there once
		r.engine.create(r.payload("a", "gb26875:7", duty))
		r.engine.create(r.payload("b", "sn:1"))
		r.want(t, "a", grid.DownlinkSent, "")
		r.want(t, "b", grid.DownlinkSent, "")
		if w := r.panel.ways[0]; w.Raw != nil || w.Identity != "gb26875:7" || w.Transport != "serial" || w.Source != "panel" {
			t.Errorf("way is %+v", w)
		}
	})
}

func TestWhatDoesNotFitTheBufferIsReadFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *downlink.Config) { c.Buffer = 2 })
		synctest.Wait()
		var ds []grid.Downlink
		for i := range 10 {
			id := grid.Identity(fmt.Sprint("sn:", i))
			r.heard.by("mqtt:city", id)
			d := r.payload(fmt.Sprint("d", i), id)
			ds = append(ds, d)
			r.engine.mu.Lock()
			r.engine.rows[d.ID] = d
			r.engine.mu.Unlock()
		}
		r.Notify(ds)
		for _, d := range ds {
			r.want(t, d.ID, grid.DownlinkSent, "")
		}
		if n := len(r.city.tried()); n != 10 {
			t.Errorf("%d tries: want 10", n)
		}
	})
}

func TestHeardCostsNothingWhileNothingWaits(t *testing.T) {
	o := downlink.New(downlink.Config{}, nil, nil, nil, nil)
	if n := testing.AllocsPerRun(1000, func() { o.Heard("sn:1") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
