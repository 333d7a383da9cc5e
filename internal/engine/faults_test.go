package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/state"
)

// flaky is a store whose commits and reads fail now and then.
type flaky struct {
	*state.Store
	mu     sync.Mutex
	rng    *rand.Rand
	failed int
}

var errFlaky = errors.New("disk is in a bad mood")

func (f *flaky) fails(oneIn int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rng == nil || f.rng.IntN(oneIn) > 0 {
		return false
	}
	f.failed++
	return true
}

func (f *flaky) Commit(ctx context.Context, b *state.Batch) error {
	if f.fails(6) {
		return errFlaky
	}
	return f.Store.Commit(ctx, b)
}

func (f *flaky) Applied(ctx context.Context, key string) (state.Applied, bool, error) {
	if f.fails(6) {
		return state.Applied{}, false, errFlaky
	}
	return f.Store.Applied(ctx, key)
}

// TestFailedCommitsLeaveNoTrace compares a run in which commits fail at random with one
// in which they do not.
func TestFailedCommitsLeaveNoTrace(t *testing.T) {
	seed := seedOf(t)
	w := newWorkload(seed, 15)
	w.burst()
	w.burst()
	w.add(order{Do: "settle"}, order{Do: "live"})
	base := t.TempDir()
	var store *flaky
	mood := func(rng *rand.Rand) { // of the disk; nil: good, as at the start and the stop
		if store != nil {
			store.mu.Lock()
			defer store.mu.Unlock()
			store.rng = rng
		}
	}
	run := func(name string, change func(*Config)) outcome {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		n := must[*node](t)(startNode(dir, nodeOptions{config: change}))
		mood(rand.New(rand.NewPCG(seed, 4)))
		var live map[string]string
		for i := range w.orders {
			r := n.do(&w.orders[i])
			for r.Err != "" && strings.Contains(r.Err, errFlaky.Error()) {
				r = n.do(&w.orders[i])
			}
			if r.Err != "" {
				t.Fatalf("order %d, %s: %s", i, w.orders[i].Do, r.Err)
			}
			if r.Live != nil {
				live = r.Live
			}
		}
		mood(nil)
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
		return outcomeOf(t, dir, dir+".delivered", live)
	}
	want := run("good", nil)
	got := run("bad", func(c *Config) {
		store = &flaky{Store: c.Store.(*state.Store)}
		c.Store = store
	})
	compare(t, want, got, w.class)
	t.Logf("%d orders, %d failures", len(w.orders), store.failed)
	if store.failed < 20 {
		t.Errorf("only %d failures: this shows nothing", store.failed)
	}
}

// TestEveryChunkOfAFailedTurnIsTakenAgain fails the commit of a turn that holds several
// chunks of bulk frames.
func TestEveryChunkOfAFailedTurnIsTakenAgain(t *testing.T) {
	gate := &gatedStore{}
	r := newRig(t, func(c *Config) {
		c.Profiles = must[*profile.Set](t)(testProfiles())
		gate.Store = c.Store.(*state.Store)
		c.Store = gate
	})
	reg := placed(grid.Door, "D1", doorDev, r.now())
	reg.Devices[0].Profile = bulkProfile
	r.put(reg)
	const n = 20 * chunkSize
	var frames []grid.Frame
	for i := range n {
		f := frame(doorDev, fmt.Sprintf(`{"door.open":false,"seq":%d}`, i+1))
		f.Received = r.now()
		frames = append(frames, f)
	}
	gate.failNext(3)
	if err := r.journal.Append(t.Context(), grid.Bulk, frames); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if got := r.ledger(); got[grid.Processed] != n {
		t.Errorf("ledger is %v: want %d processed", got, n)
	}
	if gate.seen < 2*chunkSize {
		t.Skipf("the failed turns held only %d frames", gate.seen)
	}
}

// gatedStore fails the next commits that hold many frames.
type gatedStore struct {
	*state.Store
	mu         sync.Mutex
	left, seen int
	cursor     uint64
}

func (g *gatedStore) failNext(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = n
}

func (g *gatedStore) Commit(ctx context.Context, b *state.Batch) error {
	g.mu.Lock()
	frames := int(b.Cursors[grid.Bulk].Seq - g.cursor)
	fail := g.left > 0 && frames > chunkSize
	if fail {
		g.left--
		g.seen = max(g.seen, frames)
	}
	g.mu.Unlock()
	if fail {
		return errFlaky
	}
	err := g.Store.Commit(ctx, b)
	if err == nil {
		g.mu.Lock()
		g.cursor = b.Cursors[grid.Bulk].Seq
		g.mu.Unlock()
	}
	return err
}

// poison are profiles that do harm when they are asked to guess what a certain frame is.
type poison struct {
	*profile.Set
	harm func()
}

const poisonous = "POISON"

func (p poison) Guess(f grid.Frame) []profile.Guess {
	if bytes.Contains(f.Raw, []byte(poisonous)) {
		p.harm()
	}
	return p.Set.Guess(f)
}

func TestFrameOnWhichADecoderPanicsIsQuarantinedAlone(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Profiles = poison{c.Profiles.(*profile.Set), func() { panic("codec is broken") }}
	})
	r.place(grid.Smoke, "S1", smokeDev)
	r.send(frame(smokeDev, `{"smoke.alarm":false,"seq":1}`), frame("sn:evil", poisonous), frame(smokeDev, `{"smoke.alarm":true,"seq":2}`))
	theOnlyInternal(t, r, "sn:evil")
	if got := r.ledger(); got[grid.Processed] != 2 || got[grid.Quarantined] != 1 {
		t.Errorf("ledger is %v: want 2 processed and 1 quarantined", got)
	}
	r.theTicket()
}

// theOnlyInternal checks that a frame of one device, and no other, is a finding of our own.
func theOnlyInternal(t *testing.T, r *rig, id grid.Identity) grid.QuarantinedFrame {
	t.Helper()
	held := r.quarantine()
	if len(held) != 1 || held[0].Reason != grid.InternalFault || held[0].Frame.Identity != id {
		t.Fatalf("quarantine is %+v: want one internal fault of %s", held, id)
	}
	return held[0]
}

// trap is a store that panics when it is asked for a certain point, once it is set.
type trap struct {
	*state.Store
	mu  sync.Mutex
	set bool
}

func (p *trap) Point(ctx context.Context, id string) (grid.Point, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set && id == "S2" {
		panic("point S2 is a trap")
	}
	return p.Store.Point(ctx, id)
}

func (p *trap) arm(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = on
}

func trappedRig(t *testing.T) (*rig, *trap) {
	trapped := &trap{}
	r := newRig(t, func(c *Config) {
		trapped.Store = c.Store.(*state.Store)
		c.Store = trapped
	})
	r.units()
	return r, trapped
}

// The rules panic on the frame, and then once more on telling that it cannot be read.
func TestFrameOnWhichTheRulesPanicIsQuarantinedAlone(t *testing.T) {
	r, trapped := trappedRig(t)
	for i := range 4 {
		r.place(grid.Smoke, fmt.Sprint("S", i), grid.Identity(fmt.Sprint("sn:S", i)))
	}
	trapped.arm(true)
	var frames []grid.Frame
	for i := range 4 {
		f := frame(grid.Identity(fmt.Sprint("sn:S", i)), `{"smoke.alarm":true,"seq":1}`)
		f.Received = r.now()
		frames = append(frames, f)
	}
	if err := r.journal.Append(t.Context(), grid.Safety, frames); err != nil {
		t.Fatal(err)
	}
	r.settle()
	held := theOnlyInternal(t, r, "sn:S2")
	if len(r.tickets()) != 3 {
		t.Errorf("there are %d tickets: want one for each of the other three", len(r.tickets()))
	}
	if got := r.ledger(); got[grid.Processed] != 3 || got[grid.Quarantined] != 1 {
		t.Errorf("ledger is %v: want 3 processed and 1 quarantined", got)
	}
	trapped.arm(false)
	if n := must[int](t)(r.engine.Replay(t.Context(), []string{held.ID}, grid.Actor{Name: "op"})); n != 1 || len(r.tickets()) != 4 {
		t.Errorf("%d frames replayed, %d tickets: want the fourth ticket", n, len(r.tickets()))
	}
}

func TestATimerThatPanicsHarmsNoOther(t *testing.T) {
	r, trapped := trappedRig(t)
	for i := range 4 {
		r.place(grid.Manhole, fmt.Sprint("S", i), grid.Identity(fmt.Sprint("sn:S", i)))
		r.say(grid.Identity(fmt.Sprint("sn:S", i)), `{"manhole.open":true,"seq":1}`)
	}
	trapped.arm(true)
	r.after(10 * time.Second)
	if n := len(r.tickets()); n != 3 {
		t.Errorf("there are %d tickets: want one for each of the other three", n)
	}
	// Commands and frames are not refused for its sake.
	if _, err := r.engine.LivePoint(t.Context(), "S1"); err != nil {
		t.Error(err)
	}
	trapped.arm(false)
	r.after(2 * time.Minute)
	if n := len(r.tickets()); n != 4 {
		t.Errorf("there are %d tickets: want the fourth once the timer is tried again", n)
	}
}

// TestFrameThatKillsTheProcessIsQuarantined lets a frame end the process from within its
// decoder. The first death cannot be told from another; the next are put down to it.
func TestFrameThatKillsTheProcessIsQuarantined(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(poisonEnv, "1")
	frames := order{Do: "frames", At: rigStart, Frames: []wireFrame{
		{ID: "sn:a", Payload: `{"door.open":true}`}, {ID: "sn:evil", Payload: poisonous}, {ID: "sn:b", Payload: `{"door.open":true}`},
	}}
	deaths := 0
	p := spawn(t, dir, dir+".delivered")
	_, all := p.do(&frames)
	for {
		if _, alive := p.do(&order{Do: "settle", At: rigStart}); alive {
			if !all { // the engine was quicker than who sends: it died before the last frame was taken
				all = true
				frames.Frames = frames.Frames[2:]
				p.do(&frames)
				continue
			}
			break
		}
		p.in.Close()
		_ = p.cmd.Wait()
		if deaths++; deaths > 5 {
			t.Fatal("node dies of the same frame again and again")
		}
		p = spawn(t, dir, dir+".delivered")
	}
	p.wait()
	if deaths != maxCrashes+1 {
		t.Errorf("node died %d times: want %d", deaths, maxCrashes+1)
	}
	st := must[*state.Store](t)(state.OpenReadOnly(t.Context(), filepath.Join(dir, "state.db"), nil))
	defer st.Close()
	reasons := map[grid.Identity]grid.QuarantineReason{}
	for _, q := range everything(t, st.ListQuarantine) {
		reasons[q.Frame.Identity] = q.Reason
	}
	if len(reasons) != 3 || reasons["sn:evil"] != grid.InternalFault || reasons["sn:a"] != grid.UnknownDevice || reasons["sn:b"] != grid.UnknownDevice {
		t.Errorf("quarantine is %v: want the evil frame alone as internal", reasons)
	}
	if l := must[*state.Loaded](t)(st.Load(t.Context())); len(l.Suspects) != 0 {
		t.Errorf("suspects are %v: want none left", l.Suspects)
	}
}

// checkpointed runs a little story and leaves its directory.
func checkpointed(t *testing.T) (dir string, live map[string]string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "node")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n := must[*node](t)(startNode(dir, nodeOptions{}))
	at := rigStart
	do := func(o order) reply {
		o.At = at
		r := n.do(&o)
		if r.Err != "" {
			t.Fatal(r.Err)
		}
		return r
	}
	reg := placed(grid.Door, "D1", doorDev, at)
	smoke := placed(grid.Smoke, "S1", smokeDev, at)
	do(order{Do: "put", Reg: grid.Registration{
		Units: someUnits(), Points: append(reg.Points, smoke.Points...), Devices: append(reg.Devices, smoke.Devices...),
		Installations: append(reg.Installations, smoke.Installations...),
	}})
	for i := range 3 {
		at = at.Add(time.Minute)
		do(order{Do: "settle"})
		do(order{Do: "frames", Frames: []wireFrame{
			{ID: doorDev, Payload: fmt.Sprintf(`{"door.open":true,"seq":%d}`, i+1)}, {ID: smokeDev, Payload: fmt.Sprintf(`{"smoke.alarm":%v,"seq":%d}`, i == 1, i+1)},
		}})
		do(order{Do: "settle"})
	}
	live = do(order{Do: "live"}).Live
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	return dir, live
}

// TestATornCheckpointCostsNothing cuts the checkpoint at every byte, and takes it away: the
// journal makes up for what is missing.
func TestATornCheckpointCostsNothing(t *testing.T) {
	dir, live := checkpointed(t)
	whole := must[[]byte](t)(os.ReadFile(filepath.Join(dir, checkpointFile)))
	step := max(1, len(whole)/60)
	if os.Getenv(killsEnv) != "" {
		step = 1
	}
	cuts := []int{-1}
	for n := 0; n <= len(whole); n += step {
		cuts = append(cuts, n)
	}
	for _, cut := range cuts {
		torn := filepath.Join(t.TempDir(), "node")
		if err := os.CopyFS(torn, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(torn, checkpointFile)
		var err error
		if cut < 0 {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, whole[:cut], 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		n := must[*node](t)(startNode(torn, nodeOptions{}))
		at := rigStart.Add(4 * time.Minute)
		again := n.do(&order{Do: "frames", At: at, Again: true, Frames: []wireFrame{{ID: doorDev, Payload: `{"door.open":true,"seq":3}`}}})
		settled, got := n.do(&order{Do: "settle", At: at}), n.do(&order{Do: "live", At: at})
		if again.Err+settled.Err+got.Err != "" {
			t.Fatal(again.Err, settled.Err, got.Err)
		}
		for k, want := range live {
			if strings.HasPrefix(k, "live ") && got.Live[k] != want {
				t.Fatalf("cut at %d of %d: %s is %s, want %s", cut, len(whole), k, got.Live[k], want)
			}
		}
		p := must[state.Progress](t)(n.store.Progress(t.Context()))
		dups := int64(0)
		for _, row := range p.Ledger {
			dups += row.Counts[grid.Duplicate]
		}
		if dups != 1 {
			t.Fatalf("cut at %d of %d: the repeat was taken for news", cut, len(whole))
		}
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTornCheckpointBlocksAreCutAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	c := must[*checkpointer](t)(openCheckpoint(disk.Machine{}, dir))
	none := func([]byte) error { return nil }
	if err := c.load(none); err != nil {
		t.Fatal(err)
	}
	ends := []int{len(checkpointMagic)}
	for i := range 4 {
		if err := c.append(bytes.Repeat([]byte{byte(i + 1)}, 20+i)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int(c.size))
	}
	c.close()
	path := filepath.Join(dir, checkpointFile)
	whole := must[[]byte](t)(os.ReadFile(path))
	for cut := range len(whole) + 1 {
		for _, tail := range [][]byte{nil, make([]byte, 100), bytes.Repeat([]byte{0xff}, 100)} {
			if err := os.WriteFile(path, slices.Concat(whole[:cut], tail), 0o600); err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, end := range ends[1:] {
				if end <= cut {
					want++
				}
			}
			c := must[*checkpointer](t)(openCheckpoint(disk.Machine{}, dir))
			got := 0
			if err := c.load(func([]byte) error { got++; return nil }); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Fatalf("cut at %d: %d blocks, want %d", cut, got, want)
			}
			if err := c.append([]byte("and on")); err != nil {
				t.Fatal(err)
			}
			c.close()
			c = must[*checkpointer](t)(openCheckpoint(disk.Machine{}, dir))
			got = 0
			if err := c.load(func([]byte) error { got++; return nil }); err != nil || got != want+1 {
				t.Fatalf("cut at %d: %d blocks after going on, want %d, %v", cut, got, want+1, err)
			}
			c.close()
		}
	}
}

// TestALaggingEngineConcludesWhatATimelyOneDoes gives the engine the opening and the
// closing of a door in one go: it stood open for long enough, however late that is read.
func TestALaggingEngineConcludesWhatATimelyOneDoes(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", doorDev)
	open, shut := frame(doorDev, `{"door.open":true,"seq":1}`), frame(doorDev, `{"door.open":false,"seq":2}`)
	open.Received, shut.Received = r.now(), r.now().Add(11*time.Minute)
	r.clock.Add(int64(11 * time.Minute))
	if err := r.journal.Append(t.Context(), grid.Safety, []grid.Frame{open, shut}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.after(time.Minute)
	a := r.alarms(state.Query{Type: string(grid.EventDoorHeldOpen)})
	if len(a) != 1 || a[0].Active || a[0].Ticket == "" {
		t.Errorf("alarms are %+v: want one that was raised and has cleared", a)
	}
}

func TestSecondDetectorCountsAfterARestart(t *testing.T) {
	r := newRig(t)
	for i := range 2 {
		reg := placed(grid.Smoke, fmt.Sprint("S", i), grid.Identity(fmt.Sprint("sn:S", i)), r.now())
		reg.Points[0].Building = "one"
		r.put(reg)
	}
	r.say("sn:S0", `{"smoke.alarm":true,"seq":1}`)
	r.restart()
	r.say("sn:S1", `{"smoke.alarm":true,"seq":1}`)
	if n := r.engine.burning["not live/one"]; n != 2 {
		t.Errorf("%d detectors of the building are in alarm: want 2", n)
	}
}

func TestOfflineTicketClosesWithTheNextWordAfterItIsResolved(t *testing.T) {
	r := newRig(t)
	r.units()
	r.place(grid.Door, "D1", doorDev)
	r.say(doorDev, `{"door.open":false,"seq":1}`)
	r.after(3 * time.Hour)
	r.say(doorDev, `{"door.open":false,"seq":2}`) // back before anyone came
	r.after(time.Minute)
	id := r.theTicket().ID
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: id, Verb: v, By: byUnit("u-maintenance"), Reason: "new battery"}); err != nil {
			t.Fatal(err)
		}
	}
	r.after(time.Minute)
	if s := r.theTicket().State; s != grid.TicketChecking {
		t.Fatalf("ticket is %s: the device was not heard since it was resolved, want checking", s)
	}
	r.say(doorDev, `{"door.open":false,"seq":3}`)
	if s := r.theTicket().State; s != grid.TicketClosed {
		t.Errorf("ticket is %s: the device was heard since it was resolved, want closed", s)
	}
}

func TestANewEpisodeOfAnOpenFireSendsItsTicketToRework(t *testing.T) {
	r := smokeRig(t)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":1}`)
	first, station := r.theTicket().ID, byUnit("u-micro_fire_station")
	r.say(smokeDev, `{"smoke.alarm":false,"seq":2}`)
	r.after(45 * time.Minute) // past the time in which it would be the same episode
	for _, v := range []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve} {
		if _, err := r.move(grid.Move{Ticket: first, Verb: v, By: station, Reason: "nothing found"}); err != nil {
			t.Fatal(err)
		}
	}
	r.after(time.Second)
	r.say(smokeDev, `{"smoke.alarm":true,"seq":3}`)
	r.after(6 * time.Minute)
	// Of one building it is one fire: the new episode joins the ticket.
	if tk := must[grid.Ticket](t)(r.store.Ticket(t.Context(), first)); len(r.tickets()) != 1 || tk.Rework != 1 || len(tk.Members) != 1 {
		t.Errorf("of %d tickets the first is %s with %d reworks and members %+v: want one ticket, one rework, one member", len(r.tickets()), tk.State, tk.Rework, tk.Members)
	}
}
