package dispatch

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gridgate/internal/clock"
	"gridgate/internal/grid"
)

// MessageTest is the type of a message that tests a channel: mode test, whatever the unit's.
const MessageTest = "channel.test"

// Prober is a connector that can tell that a unit would be reached without a message to it:
// by the list of services of its system, by logging in. The others send a test message.
type Prober interface {
	Probe(ctx context.Context, u grid.Unit) error
}

// TestConfig of a Tester. The zero value of a field is its default.
type TestConfig struct {
	Units      func(context.Context) ([]grid.Unit, error)
	Connectors map[string]grid.Connector
	// Told takes how a test went, "" for well. It is called for each test.
	Told func(ctx context.Context, unit, problem string) error
	// Heard says when a delivery was last received by a unit: that is as good as a test.
	Heard func(unit string) time.Time

	Every    time.Duration // 2 h: what a station that watches fire alarms must keep (GB 50440)
	Again    time.Duration // after a test that failed; 1 min
	Fails    int           // so many in a row are told as a problem; 3
	Deadline time.Duration // of one test; 15 s
	AtOnce   int           // tests at a time; 8
	Look     time.Duration // how often it is looked who is due; 15 s
	Clock    *clock.Clock  // the city's; nil is the machine's
	Log      *slog.Logger
}

// Tester sends a message through every channel now and then, so that one that is broken is
// known before it is needed.
type Tester struct {
	cfg   TestConfig
	mu    sync.Mutex
	units map[string]*channel
}

// channel is what is known of one unit's.
type channel struct {
	due, last time.Time
	fails     int
	problem   string
	running   bool
}

// NewTester makes a tester.
func NewTester(c TestConfig) *Tester {
	setDefault(&c.Every, 2*time.Hour)
	setDefault(&c.Again, time.Minute)
	setDefault(&c.Fails, 3)
	setDefault(&c.Deadline, 15*time.Second)
	setDefault(&c.AtOnce, 8)
	setDefault(&c.Look, 15*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Heard == nil {
		c.Heard = func(string) time.Time { return time.Time{} }
	}
	return &Tester{cfg: c, units: map[string]*channel{}}
}

// Run tests until ctx is done, and returns after the last test has ended.
func (t *Tester) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, t.cfg.AtOnce)
	look := t.cfg.Clock.Ticker(t.cfg.Look)
	defer look.Stop()
	for {
		t.round(ctx, &wg, slots, t.cfg.Clock.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// round begins the tests that are due, as many as there is room for.
func (t *Tester) round(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}, now time.Time) {
	units, err := t.cfg.Units(ctx)
	if err != nil {
		if ctx.Err() == nil {
			t.cfg.Log.Error("units cannot be read, no channel is tested", "err", err)
		}
		return
	}
	for _, u := range t.due(units, now) {
		select {
		case slots <- struct{}{}:
		default:
			t.later(u.ID)
			continue
		}
		wg.Go(func() {
			t.test(ctx, u)
			<-slots
		})
	}
}

// due picks the units whose test is due, and forgets those that are gone.
func (t *Tester) due(units []grid.Unit, now time.Time) (out []grid.Unit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := map[string]bool{}
	for _, u := range units {
		every, tested := TestEvery(u, t.cfg.Every)
		if !tested || t.cfg.Connectors[u.Connector] == nil {
			continue
		}
		known[u.ID] = true
		c := t.units[u.ID]
		if c == nil { // spread over a while after a start, the same unit at the same moment
			c = &channel{due: now.Add(spread(u.ID, min(5*time.Minute, every)))}
			t.units[u.ID] = c
		}
		if heard := t.cfg.Heard(u.ID); c.fails == 0 && heard.After(c.last) && heard.Add(every).After(c.due) {
			c.due = heard.Add(every)
		}
		if !c.running && !c.due.After(now) {
			c.running = true
			out = append(out, u)
		}
	}
	for id := range t.units {
		if !known[id] {
			delete(t.units, id)
		}
	}
	return out
}

// later leaves a unit for the next round.
func (t *Tester) later(unit string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.units[unit]; c != nil {
		c.running = false
	}
}

// TestEvery is how often a unit's channel is tested; false: never. Test is checked when the
// unit is registered.
func TestEvery(u grid.Unit, def time.Duration) (time.Duration, bool) {
	if u.Connector == "" || u.Connector == "inbox" || u.Test == "off" {
		return 0, false
	}
	if d, err := time.ParseDuration(u.Test); err == nil && d >= time.Minute {
		return min(d, def), true
	}
	return def, true
}

func spread(id string, over time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(id))
	return time.Duration(h.Sum64() % uint64(over))
}

// test makes one test and tells how it went.
func (t *Tester) test(ctx context.Context, u grid.Unit) {
	err := t.try(ctx, u)
	if ctx.Err() != nil {
		return
	}
	every, _ := TestEvery(u, t.cfg.Every)
	t.mu.Lock()
	c := t.units[u.ID]
	if c == nil {
		t.mu.Unlock()
		return
	}
	now := t.cfg.Clock.Now()
	c.running, c.last, c.problem = false, now, ""
	tell := true
	switch {
	case err == nil:
		c.fails, c.due = 0, now.Add(every)
	case errors.Is(err, ErrWithheld): // its connector has no form for a test: that says nothing
		c.due, c.problem, tell = now.Add(every), "cannot be tested: "+err.Error(), false
	case errors.Is(err, errOurs): // our own side, such as a robot's turn
		c.due, c.problem, tell = now.Add(t.cfg.Again), err.Error(), false
	default:
		c.fails++
		c.problem, c.due, tell = err.Error(), now.Add(t.cfg.Again), c.fails+1 > t.cfg.Fails
	}
	problem := c.problem
	t.mu.Unlock()
	if !tell {
		return
	}
	if err := t.cfg.Told(ctx, u.ID, problem); err != nil && ctx.Err() == nil {
		t.cfg.Log.Error("test of a channel is not noted", "unit", u.ID, "err", err)
	}
}

func (t *Tester) try(ctx context.Context, u grid.Unit) (err error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Deadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("connector %s panicked: %v", u.Connector, p)
		}
	}()
	c := t.cfg.Connectors[u.Connector]
	if p, ok := c.(Prober); ok {
		return p.Probe(ctx, u)
	}
	_, err = c.Deliver(ctx, testMessage(u, t.cfg.Clock.Now()))
	return err
}

// testMessage says in every form that it is a test and that nothing has happened.
func testMessage(u grid.Unit, now time.Time) grid.Delivery {
	d := grid.Delivery{
		ID: "test-" + u.ID + "-" + strconv.FormatInt(now.Unix(), 10), Unit: u.ID, Connector: u.Connector, Type: MessageTest,
		Priority: 4, Mode: grid.Test, Scope: u.Scope, Created: now.UTC(), Ticket: "test-" + u.ID,
	}
	d.Body = Body(Message{
		Delivery: d, Unit: u, Source: "/gridgate",
		Ticket: grid.Ticket{
			ID: d.Ticket, Case: "TEST", Mode: grid.Test, Priority: 4, Type: grid.EventTest, State: grid.TicketClosed, Scope: u.Scope,
			Title: "通道测试,无需处置 / Channel test, nothing to do", Place: "测试 / test", Opened: now.UTC(),
		},
	})
	return d
}

// Channels is how the channels are, by unit.
func (t *Tester) Channels() (out []grid.ChannelHealth) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, c := range t.units {
		out = append(out, grid.ChannelHealth{Unit: id, Tested: c.last, Due: c.due, Fails: c.fails, Problem: c.problem})
	}
	slices.SortFunc(out, func(a, b grid.ChannelHealth) int { return strings.Compare(a.Unit, b.Unit) })
	return out
}
