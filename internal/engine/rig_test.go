package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/configs"
	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/journal"
	"gridgate/internal/profile"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// rig is an engine on a real journal, store and queue, with a clock of its own. The
// devices speak gridgate/json over native topics.
type rig struct {
	t       testing.TB
	dir     string
	clock   atomic.Int64
	journal *journal.Log
	store   *state.Store
	queue   *influx.Queue
	engine  *Engine
	stop    func()
	change  func(*Config) // before the engine is made
	loaded  *profile.Set  // once: a hundred files take longer than most tests

	mu    sync.Mutex
	sent  []grid.Delivery
	moves []grid.MoveRecord
}

var rigStart = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func newRig(t testing.TB, change ...func(*Config)) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.clock.Store(rigStart.UnixNano())
	r.change = func(c *Config) {
		for _, f := range change {
			f(c)
		}
	}
	r.open()
	t.Cleanup(func() { r.close() })
	return r
}

func (r *rig) now() time.Time { return time.Unix(0, r.clock.Load()).UTC() }

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func testRules(t testing.TB) (*alarm.Rules, *ticket.Plans) {
	calendars := must[*calendar.Calendars](t)(calendar.Parse("calendars.yaml", must[[]byte](t)(configs.FS.ReadFile("calendars.yaml"))))
	rules := must[*alarm.Rules](t)(alarm.Parse("rules.yaml", must[[]byte](t)(configs.FS.ReadFile("rules.yaml")), calendars))
	plans := must[*ticket.Plans](t)(ticket.ParsePlans("tickets.yaml", must[[]byte](t)(configs.FS.ReadFile("tickets.yaml")), calendars))
	return rules, plans
}

func (r *rig) open() {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.store = must[*state.Store](t)(state.Open(ctx, filepath.Join(r.dir, "state.db"), nil))
	r.journal = must[*journal.Log](t)(journal.Open(filepath.Join(r.dir, "journal"), journal.Options{Now: r.now, MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1}))
	r.queue = must[*influx.Queue](t)(influx.OpenQueue(filepath.Join(r.dir, "queue"), influx.QueueOptions{Now: r.now}))
	p := must[state.Progress](t)(r.store.Progress(ctx))
	var lost *influx.LostError
	if err := r.queue.Cut(influx.Mark(p.InfluxMark)); err != nil && !errors.As(err, &lost) {
		t.Fatal(err)
	}
	rules, plans := testRules(t)
	if r.loaded == nil {
		r.loaded = must[*profile.Set](t)(profile.Load(firmwareprofiles.FS))
		t.Cleanup(r.loaded.Close)
	}
	c := Config{
		Dir: r.dir, Journal: r.journal, Store: r.store, Series: r.queue, Profiles: r.loaded, Rules: rules, Plans: plans,
		Body: func(tk *grid.Ticket, d *grid.Delivery, _ *grid.Point, _ *grid.Unit) (json.RawMessage, error) {
			return json.RawMessage(fmt.Sprintf(`{"ticket":%q,"type":%q}`, tk.ID, d.Type)), nil
		},
		Committed: func(rows *state.Batch) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.sent = append(r.sent, rows.Deliveries...)
			r.moves = append(r.moves, rows.Moves...)
		},
		Now: r.now, SeriesLost: lost != nil,
	}
	r.change(&c)
	r.engine = must[*Engine](t)(New(c))
	var wg sync.WaitGroup
	failed := make(chan error, 2)
	wg.Go(func() { failed <- r.journal.Run(ctx) })
	wg.Go(func() { failed <- r.engine.Run(ctx) })
	select {
	case <-r.engine.Ready():
	case err := <-failed:
		t.Fatal("engine did not start: ", err)
	}
	r.stop = func() {
		cancel()
		wg.Wait()
		for range 2 {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		r.queue.Close()
		r.journal.Close()
		r.store.Close()
	}
}

func (r *rig) close() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// restart stops the engine in good order and starts it again.
func (r *rig) restart() {
	r.t.Helper()
	r.close()
	r.open()
}

// settle waits until every durable frame is handled and the timers of now have fired.
func (r *rig) settle() {
	r.t.Helper()
	ctx := r.t.Context()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := r.engine.do(ctx, &command{name: "poke", do: func(*batch) (any, error) { return nil, nil }}); err != nil {
			r.t.Fatal(err)
		}
		p := must[state.Progress](r.t)(r.store.Progress(ctx))
		done := true
		for lane := range p.Cursors {
			done = done && p.Cursors[lane].Seq == r.journal.Head(grid.Lane(lane)).Seq
		}
		if done {
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("frames are not handled: cursors %v, heads %v %v", p.Cursors, r.journal.Head(0), r.journal.Head(1))
		}
		time.Sleep(time.Millisecond)
	}
	for range 3 { // a timer may set another
		if _, err := r.engine.do(ctx, &command{name: "poke", do: func(*batch) (any, error) { return nil, nil }}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// after lets time pass.
func (r *rig) after(d time.Duration) {
	r.t.Helper()
	r.settle()
	r.clock.Add(int64(d))
	r.settle()
}

func (r *rig) put(reg grid.Registration) {
	r.t.Helper()
	if err := r.engine.Put(r.t.Context(), reg.Points, reg.Devices, reg.Installations, reg.Units); err != nil {
		r.t.Fatal(err)
	}
}

// place registers a device of gridgate/json at a point of its own.
func (r *rig) place(kind grid.Kind, point string, id grid.Identity) {
	r.t.Helper()
	r.put(placed(kind, point, id, r.now()))
}

var rigScope = grid.Scope{District: "310105", Street: "310105006", Community: "310105006001"}

func placed(kind grid.Kind, point string, id grid.Identity, at time.Time) grid.Registration {
	return grid.Registration{
		Points:        []grid.Point{{ID: point, Name: point, Kind: kind, Scope: rigScope, Cell: "310105006001001", Building: "b-" + point, Mode: grid.Simulated}},
		Devices:       []grid.Device{{Identity: id, Profile: "gridgate/json", Mode: grid.Simulated, Interval: time.Hour}},
		Installations: []grid.Installation{{Device: id, Channel: grid.MainChannel, Point: point, From: at}},
	}
}

// units registers one unit of each kind, by webhook.
func (r *rig) units() {
	r.t.Helper()
	var all []grid.Unit
	for i, k := range []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.UrbanManagement, grid.Utility, grid.Property, grid.Committee, grid.Maintenance} {
		all = append(all, grid.Unit{ID: "u-" + string(k), Name: string(k), Kind: k, Tier: 1 + i%3, Mode: grid.Simulated, Connector: "webhook", URL: "http://127.0.0.1:1/", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Token: "token-of-" + string(k), Entry: "auto"})
	}
	r.put(grid.Registration{Units: all})
}

// frame makes a frame as the native topic brings it.
func frame(id grid.Identity, payload string) grid.Frame {
	return grid.Frame{Identity: id, Transport: "mqtt", Source: "test", Address: "gridgate/up/" + string(id), Envelope: envelope.Native, Raw: []byte(payload)}
}

// send makes frames durable and waits until they are handled.
func (r *rig) send(frames ...grid.Frame) {
	r.t.Helper()
	for _, f := range frames {
		if f.Received.IsZero() {
			f.Received = r.now()
		}
		lane := r.engine.LaneOf(f.Identity, nil)
		if err := r.journal.Append(r.t.Context(), lane, []grid.Frame{f}); err != nil {
			r.t.Fatal(err)
		}
	}
	r.settle()
}

func (r *rig) say(id grid.Identity, payload string) {
	r.t.Helper()
	r.send(frame(id, payload))
}

func (r *rig) alarms(q state.Query) []grid.Alarm {
	r.t.Helper()
	page := must[state.Page[grid.Alarm]](r.t)(r.store.ListAlarms(r.t.Context(), q))
	slices.Reverse(page.Items)
	return page.Items
}

func (r *rig) events(typ grid.EventType) []grid.Event {
	r.t.Helper()
	page := must[state.Page[grid.Event]](r.t)(r.store.ListEvents(r.t.Context(), state.Query{Type: string(typ)}))
	slices.Reverse(page.Items)
	return page.Items
}

func (r *rig) tickets() []grid.Ticket {
	r.t.Helper()
	page := must[state.Page[grid.Ticket]](r.t)(r.store.ListTickets(r.t.Context(), state.Query{}))
	slices.Reverse(page.Items)
	return page.Items
}

// theTicket is the only ticket there is.
func (r *rig) theTicket() grid.Ticket {
	r.t.Helper()
	all := r.tickets()
	if len(all) != 1 {
		r.t.Fatalf("there are %d tickets, want one: %+v", len(all), all)
	}
	return all[0]
}

func (r *rig) ledger() map[grid.Outcome]int64 {
	r.t.Helper()
	out := map[grid.Outcome]int64{}
	p := must[state.Progress](r.t)(r.store.Progress(r.t.Context()))
	sum := int64(0)
	for _, row := range p.Ledger {
		for o, n := range row.Counts {
			out[grid.Outcome(o)] += n
			sum += n
		}
	}
	if want := int64(p.Cursors[0].Seq + p.Cursors[1].Seq); sum != want {
		r.t.Errorf("ledger counts %d frames, the cursors say %d: %v", sum, want, out)
	}
	return out
}

func (r *rig) quarantine() []grid.QuarantinedFrame {
	r.t.Helper()
	return must[state.Page[grid.QuarantinedFrame]](r.t)(r.store.ListQuarantine(r.t.Context(), state.Query{State: "waiting"})).Items
}

func (r *rig) move(m grid.Move) (grid.Ticket, error) {
	r.t.Helper()
	tk, err := r.engine.Move(r.t.Context(), m)
	r.settle()
	return tk, err
}

func byUnit(unit string) grid.Actor { return grid.Actor{Role: grid.RoleUnit, Name: unit, Unit: unit} }

// forceClose ends a ticket by the word of two supervisors.
func (r *rig) forceClose(id string) {
	r.t.Helper()
	for _, name := range []string{"sv1", "sv2"} {
		if _, err := r.move(grid.Move{Ticket: id, Verb: grid.VerbForceClose, By: grid.Actor{Role: grid.RoleSupervisor, Name: name}, Reason: "drill"}); err != nil {
			r.t.Fatal(err)
		}
	}
}
