package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"gridgate/configs"
	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/hazard"
	"gridgate/internal/influx"
	"gridgate/internal/journal"
	"gridgate/internal/profile"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// node is an engine on a directory that does what it is ordered to. It keeps nothing that
// a restart does not: all it knows is in its directory, and its clock is the feed's. So a
// run of orders leads to the same outcome however often the node dies on the way, if
// each order is given again until it is answered.
type node struct {
	dir     string
	clock   atomic.Int64
	journal *journal.Log
	store   *state.Store
	queue   *influx.Queue
	engine  *Engine
	ended   chan error
	stop    context.CancelFunc
	wait    sync.WaitGroup
	ctx     context.Context // of what it is ordered to do; nil: there is no end to it
}

// order is one input of a node. Doing it twice is doing it once.
type order struct {
	N      int
	Do     string
	At     time.Time // what the clock says
	Again  bool      // it was given before and not answered
	Frames []wireFrame
	Point  string
	Move   grid.Move
	Reg    grid.Registration
	Roll   rollOrder
	Down   downOrder
	Window grid.Window
	Filing grid.HazardFiling
	Hazard grid.HazardMove
}

// wireFrame is a frame as its broker has it.
type wireFrame struct {
	ID       grid.Identity
	Payload  string
	Retained bool `json:",omitempty"`
	Answer   bool `json:",omitempty"` // of a network, to a downlink
}

// reply answers an order once what it led to is durable.
type reply struct {
	N    int
	Err  string
	Live map[string]string `json:",omitempty"`
}

// nodeOptions change a node before it starts.
type nodeOptions struct {
	config  func(*Config)
	queue   influx.QueueOptions
	journal journal.Options
}

func startNode(dir string, o nodeOptions) (*node, error) {
	n := &node{dir: dir, ended: make(chan error, 2)}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	if err := n.open(ctx, o); err != nil {
		cancel()
		return nil, err
	}
	n.wait.Go(func() { n.ended <- n.journal.Run(ctx) })
	n.wait.Go(func() { n.ended <- n.engine.Run(ctx) })
	select {
	case <-n.engine.Ready():
		return n, nil
	case err := <-n.ended:
		cancel()
		return nil, fmt.Errorf("engine did not start: %w", err)
	}
}

func (n *node) open(ctx context.Context, o nodeOptions) (err error) {
	if n.store, err = state.Open(ctx, filepath.Join(n.dir, "state.db"), nil); err != nil {
		return err
	}
	loaded, err := n.store.Load(ctx)
	if err != nil {
		return err
	}
	// It starts in the very moment in which it died: a time of being down is a time in
	// which it could not hear, and that would rightly change what is concluded.
	at := rigStart
	if alive, err := time.Parse(time.RFC3339Nano, loaded.Meta[metaAlive]); err == nil && alive.After(at) {
		at = alive
	}
	if loaded.EngineTime.After(at) {
		at = loaded.EngineTime
	}
	n.clock.Store(at.UnixNano())
	o.journal.Now, o.journal.MinFreeBulk, o.journal.MinFreeSafety, o.journal.ReserveBytes = n.now, -1, -1, -1
	if n.journal, err = journal.Open(filepath.Join(n.dir, "journal"), o.journal); err != nil {
		return err
	}
	o.queue.Now = n.now
	if n.queue, err = influx.OpenQueue(filepath.Join(n.dir, "queue"), o.queue); err != nil {
		return err
	}
	if err := n.queue.Cut(influx.Mark(loaded.InfluxMark)); err != nil {
		return err
	}
	c, err := nodeConfig()
	if err != nil {
		return err
	}
	c.Dir, c.Journal, c.Store, c.Series, c.Now = n.dir, n.journal, n.store, n.queue, n.now
	if o.config != nil {
		o.config(&c)
	}
	n.engine, err = New(c)
	return err
}

func nodeConfig() (c Config, err error) {
	if c.Profiles, err = testProfiles(); err != nil {
		return c, err
	}
	rules, err := configs.FS.ReadFile("rules.yaml")
	if err != nil {
		return c, err
	}
	days, err := configs.FS.ReadFile("calendars.yaml")
	if err != nil {
		return c, err
	}
	calendars, err := calendar.Parse("calendars.yaml", days)
	if err != nil {
		return c, err
	}
	if c.Rules, err = alarm.Parse("rules.yaml", rules, calendars); err != nil {
		return c, err
	}
	hazards, err := configs.FS.ReadFile("hazards.yaml")
	if err != nil {
		return c, err
	}
	if c.Hazards, err = hazard.Parse("hazards.yaml", hazards, calendars, nil); err != nil {
		return c, err
	}
	plans, err := configs.FS.ReadFile("tickets.yaml")
	if err != nil {
		return c, err
	}
	if c.Plans, err = ticket.ParsePlans("tickets.yaml", plans, calendars); err != nil {
		return c, err
	}
	c.Body = func(tk *grid.Ticket, d *grid.Delivery, _ *grid.Point, _ *grid.Unit) (json.RawMessage, error) {
		return json.Marshal(map[string]string{"ticket": tk.ID, "type": d.Type})
	}
	c.Decoders = 1
	c.CheckpointEvery = 40 * time.Second // of the feed's clock: some frames are replayed, some are not
	c.Home = rigScope
	return c, nil
}

// bulkProfile is gridgate/json for devices that are no smoke detectors: they go by the
// bulk lane.
const bulkProfile = "gridgate/bulk"

// testProfiles are ours and bulkProfile.
func testProfiles() (*profile.Set, error) {
	raw, err := fs.ReadFile(firmwareprofiles.FS, "gridgate/json/profile.yaml")
	if err != nil {
		return nil, err
	}
	var keep []string
	for l := range strings.Lines(string(raw)) {
		if !strings.Contains(l, "smoke") && !strings.Contains(l, "heat") && !strings.Contains(l, "end_of_life") || strings.HasPrefix(l, "kinds:") {
			keep = append(keep, l)
		}
	}
	text := strings.Join(keep, "")
	text = strings.Replace(text, "profile: gridgate/json", "profile: "+bulkProfile, 1)
	text = strings.Replace(text, "kinds: [door, parking, manhole, smoke]", "kinds: [door, parking, manhole]", 1)
	return profile.Load(firmwareprofiles.FS, fstest.MapFS{bulkProfile + "/profile.yaml": {Data: []byte(text)}})
}

func (n *node) now() time.Time { return time.Unix(0, n.clock.Load()).UTC() }

// close stops the node in good order.
func (n *node) close() error {
	n.stop()
	n.wait.Wait()
	return errors.Join(<-n.ended, <-n.ended, n.queue.Close(), n.journal.Close(), n.store.Close())
}

func (n *node) do(o *order) reply {
	r := reply{N: o.N}
	ctx := n.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	var err error
	n.clock.Store(o.At.UnixNano())
	switch o.Do {
	case "frames":
		err = n.frames(ctx, o)
	case "settle":
		err = n.settle(ctx)
	case "move":
		err = n.move(ctx, o)
	case "put":
		err = n.engine.Put(ctx, o.Reg.Points, o.Reg.Devices, o.Reg.Installations, o.Reg.Units)
	case "claim":
		_, err = n.engine.Claim(ctx, o.Reg.Devices[0], o.Reg.Installations)
	case "replay":
		err = n.replay(ctx)
	case "ack":
		err = n.ack(ctx, o.Point)
	case "roll":
		err = n.roll(ctx, &o.Roll)
	case "deliver":
		err = n.deliver(ctx)
	case "downlink", "downlink step", "downlink cancel":
		err = n.downlink(ctx, o.Do, &o.Down)
	case "report", "hazard move":
		err = n.report(ctx, o)
	case "window", "touch window", "end window", "posture", "answer":
		err = n.window(ctx, o)
	case "live":
		r.Live, err = n.live(ctx)
	default:
		err = fmt.Errorf("order is %q", o.Do)
	}
	var known *grid.Error
	if errors.As(err, &known) && known.Code != grid.Unavailable && known.Code != grid.Internal {
		err = nil // refused, by the rules: that is an outcome like another
	}
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

// frames makes the frames durable, a few at a time, as a broker's deliveries come.
func (n *node) frames(ctx context.Context, o *order) error {
	group := 1 + o.N%7
	if len(o.Frames) > 100 {
		group = 150
	}
	for part := range slices.Chunk(o.Frames, group) {
		var lanes [grid.Lanes][]grid.Frame
		for _, w := range part {
			f := frame(w.ID, w.Payload)
			f.Envelope = envelope.Native
			f.Received = n.now()
			if w.Answer {
				f = answerFrame(f)
			}
			if o.Again {
				f.Flags |= grid.Redelivered
			}
			if w.Retained {
				f.Flags |= grid.Retained
			}
			lane := n.engine.LaneOf(f.Identity, nil)
			lanes[lane] = append(lanes[lane], f)
		}
		for lane, fs := range lanes {
			if err := n.journal.Append(ctx, grid.Lane(lane), fs); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *node) poke(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := n.engine.do(ctx, &command{name: "poke", do: func(*batch) (any, error) { return nil, nil }})
	return err
}

// settle waits until every durable frame is handled and what is due has fired.
func (n *node) settle(ctx context.Context) error {
	for begin := time.Now(); ; {
		if err := n.poke(ctx); err != nil {
			return err
		}
		p, err := n.store.Progress(ctx)
		if err != nil {
			return err
		}
		if p.Cursors[0].Seq == n.journal.Head(0).Seq && p.Cursors[1].Seq == n.journal.Head(1).Seq {
			break
		}
		select {
		case err := <-n.ended:
			return fmt.Errorf("engine or journal has ended: %w", err)
		case <-time.After(200 * time.Microsecond):
		}
		if time.Since(begin) > time.Minute {
			return fmt.Errorf("frames are not handled: cursors %v, heads %v %v", p.Cursors, n.journal.Head(0), n.journal.Head(1))
		}
	}
	for range 3 { // a timer may set another
		if err := n.poke(ctx); err != nil {
			return err
		}
	}
	return nil
}

// newest is the newest ticket of a point, nil when it has none.
func (n *node) newest(ctx context.Context, point string) (*grid.Ticket, error) {
	page, err := n.store.ListTickets(ctx, state.Query{Point: point})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	t := slices.MaxFunc(page.Items, func(a, b grid.Ticket) int { // ids of one instant have no order
		return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.Type, b.Type))
	})
	return &t, nil
}

// move applies a move to the newest ticket of a point, if it has one.
func (n *node) move(ctx context.Context, o *order) error {
	t, err := n.newest(ctx, o.Point)
	if err != nil || t == nil {
		return err
	}
	m := o.Move
	m.Ticket = t.ID
	if m.By.Unit == "lead" { // whoever leads
		for _, a := range t.Assignments {
			if a.Lead {
				m.By = byUnit(a.Unit)
			}
		}
	}
	switch m.Verb {
	case grid.VerbSplit: // who joined last
		if k := len(t.Members); k > 0 {
			m.Alarm = t.Members[k-1].Alarm
		}
	case grid.VerbMerge:
		into, err := n.newest(ctx, m.Into)
		if err != nil || into == nil {
			return err
		}
		m.Into = into.ID
	}
	_, err = n.engine.Move(ctx, m)
	return err
}

func (n *node) ack(ctx context.Context, point string) error {
	page, err := n.store.ListAlarms(ctx, state.Query{Point: point})
	if err != nil || len(page.Items) == 0 {
		return err
	}
	a := slices.MaxFunc(page.Items, func(a, b grid.Alarm) int {
		return cmp.Or(a.Raised.Compare(b.Raised), cmp.Compare(a.Type, b.Type))
	})
	_, err = n.engine.Ack(ctx, a.ID, "", grid.Actor{Role: grid.RoleOperator, Name: "op"})
	return err
}

// replay tries again what could not be read.
func (n *node) replay(ctx context.Context) error {
	page, err := n.store.ListQuarantine(ctx, state.Query{State: "waiting", Limit: 1000})
	if err != nil {
		return err
	}
	var ids []string
	for _, q := range page.Items {
		ids = append(ids, q.ID)
	}
	_, err = n.engine.Replay(ctx, ids, grid.Actor{Role: grid.RoleOperator, Name: "op"})
	return err
}

// deliver attempts each pending delivery once. The first attempt of some fails.
func (n *node) deliver(ctx context.Context) error {
	pending, err := n.store.PendingDeliveries(ctx)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(deliveredFile(n.dir), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, d := range pending {
		if d.Next.After(n.now()) {
			continue
		}
		a := grid.Attempt{Delivery: d.ID, N: d.Attempts + 1, At: n.now(), Status: 200}
		fate := Fate{State: grid.DeliveryReceived, Ref: "ref-" + d.ID}
		h := fnv.New32()
		fmt.Fprintf(h, "%s %s %d", d.Unit, d.Type, d.N)
		switch {
		case h.Sum32()%3 == 0 && d.Attempts == 0:
			a.Status, a.Error, fate = 503, "busy", Fate{State: grid.DeliveryPending, Next: n.now().Add(10 * time.Second)}
		case h.Sum32()%17 == 0:
			a.Status, a.Error, fate = 410, "gone", Fate{State: grid.DeliveryDead}
		}
		if _, err := fmt.Fprintln(f, d.ID); err != nil {
			return err
		}
		if err := n.engine.DeliveryResult(ctx, d.ID, a, fate); err != nil {
			return err
		}
	}
	return nil
}

// deliveredFile lists what reached the units. It lies outside the node's disk.
func deliveredFile(dir string) string {
	if f := os.Getenv(deliveredEnv); f != "" {
		return f
	}
	return dir + ".delivered"
}

// live is what the engine knows by heart: newest values and health.
func (n *node) live(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for q := (state.Query{Limit: 1000}); ; {
		page, err := n.store.ListPoints(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, p := range page.Items {
			vals, err := n.engine.LivePoint(ctx, p.ID)
			if err != nil {
				return nil, err
			}
			slices.SortFunc(vals, func(a, b grid.LiveValue) int { return int(a.Signal) - int(b.Signal) })
			for _, v := range vals {
				out["live "+p.ID+" "+v.Signal.String()] = fmt.Sprintf("%v at %s received %s since %s %v", v.Value, v.At.Format(time.TimeOnly), v.Received.Format(time.TimeOnly), v.Since.Format(time.TimeOnly), v.Suspect)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	page, err := n.store.ListDevices(ctx, state.Query{Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, d := range page.Items {
		h, err := n.engine.LiveDevice(ctx, d.Identity)
		if err != nil {
			return nil, err
		}
		counter := "none"
		if h.Counter != nil {
			counter = fmt.Sprint(*h.Counter)
		}
		out["device "+string(d.Identity)] = fmt.Sprintf("heard %s offline %v counter %s lane %s", h.LastHeard.Format(time.TimeOnly), h.Offline, counter, h.Lane)
	}
	return out, nil
}
