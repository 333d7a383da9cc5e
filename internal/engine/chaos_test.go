package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/envelope"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// Chaos: a day of a small city is played to a node whose disk, time and units are simulated,
// in a bubble where time stands still while anybody works. The node dies at writes that the
// seed chooses, with power gone or not, with writes half done, dropped, or refused; it starts
// again and is told again what it has not answered. At the end all that came of it must be
// what comes of the same day on a node that nothing happens to. docs/chaos.md says more.
//
// GRIDGATE_CHAOS_SEED=4711 plays that seed alone and tells its story.
// GRIDGATE_CHAOS_SEEDS=1000 plays so many, from GRIDGATE_CHAOS_FROM on.

const (
	chaosSeedEnv  = "GRIDGATE_CHAOS_SEED"
	chaosSeedsEnv = "GRIDGATE_CHAOS_SEEDS"
	chaosFromEnv  = "GRIDGATE_CHAOS_FROM"

	chaosSeeds    = 20 // in make test
	chaosPerStory = 10 // seeds that share a day, and die elsewhere in it
	chaosSteps    = 5  // of a day
	chaosDeaths   = 6  // at most, by the seed
	chaosTries    = 400
)

// chaosBench is what all runs share: what is slow to make and never changes.
type chaosBench struct {
	config  Config
	empty   []byte // a state file with the present schema
	mu      sync.Mutex
	stories map[uint64]*chaosStory
}

// chaosStory is a day, and what comes of it when nothing happens.
type chaosStory struct {
	once sync.Once
	work *workload
	want outcome
}

func newChaosBench(t *testing.T) *chaosBench {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // the state's file: what a disk loses of it is SQLite's affair
	}
	b := &chaosBench{config: must[Config](t)(nodeConfig()), stories: map[uint64]*chaosStory{}}
	path := filepath.Join(t.TempDir(), "state.db")
	if err := must[*state.Store](t)(state.Open(t.Context(), path, nil)).Close(); err != nil {
		t.Fatal(err)
	}
	b.empty = must[[]byte](t)(os.ReadFile(path))
	return b
}

// story is the day of a seed.
func (b *chaosBench) story(t *testing.T, seed uint64) *chaosStory {
	b.mu.Lock()
	s := b.stories[seed/chaosPerStory]
	if s == nil {
		s = &chaosStory{}
		b.stories[seed/chaosPerStory] = s
	}
	b.mu.Unlock()
	s.once.Do(func() {
		s.work = newWorkload(seed/chaosPerStory, chaosSteps)
		s.work.notes()
		quiet := b.play(t, s.work, seed, plant{}, false)
		if len(quiet.wrong) > 0 {
			t.Fatalf("day %d goes wrong when nothing happens:\n%s", seed/chaosPerStory, quiet)
		}
		s.want = quiet.out
	})
	return s
}

// notes adds words of people that the rules would take twice: only their key says that they
// were said before.
func (w *workload) notes() {
	var all []order
	for _, o := range w.orders {
		all = append(all, o)
		if o.Do == "move" {
			note := o
			note.Move = grid.Move{Verb: grid.VerbNote, By: grid.Actor{Role: grid.RoleOperator, Name: "op"}, Reason: "word", Key: "note-" + o.Move.Key}
			all = append(all, note)
		}
	}
	w.orders = all
}

// forget lets go of a day that has been played.
func (b *chaosBench) forget(seed uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.stories, seed/chaosPerStory)
}

// chaosRun is one day with one seed's misfortunes.
type chaosRun struct {
	bench *chaosBench
	work  *workload
	seed  uint64
	wild  bool
	plant plant
	rng   *rand.Rand
	disk  *gatetest.SimDisk
	dir   string // of the state

	n      *node
	life   *gatetest.Life
	lives  int
	deaths int
	writes int // of all lives

	known     map[grid.Pos]string // what was acknowledged as lying there
	heads     [grid.Lanes]uint64  // acknowledged
	delivered map[string]int      // deliveries that reached their unit
	asked     map[int]string      // whom the answer of an order is about
	live      map[string]string

	story []string
	wrong []string
	out   outcome
}

// chaosFail carries a test's Fatal out of what was called.
type chaosFail struct{}

// judge hears what the checks find wrong.
type judge struct {
	testing.TB
	c *chaosRun
}

func (j judge) Helper() {}
func (j judge) Errorf(format string, args ...any) {
	j.c.wrong = append(j.c.wrong, fmt.Sprintf(format, args...))
}
func (j judge) Error(args ...any) { j.Errorf("%s", fmt.Sprint(args...)) }
func (j judge) Fatal(args ...any) {
	j.Error(args...)
	panic(chaosFail{})
}
func (j judge) Fatalf(format string, args ...any) { j.Fatal(fmt.Sprintf(format, args...)) }

func (c *chaosRun) tell(format string, args ...any) {
	c.story = append(c.story, fmt.Sprintf(format, args...))
}

// String is what one needs to look into it.
func (c *chaosRun) String() string {
	return fmt.Sprintf("%s=%d go test ./internal/engine -run TestChaos -v\n%s\nwrong:\n%s", chaosSeedEnv, c.seed, strings.Join(c.story, "\n"), strings.Join(c.wrong, "\n"))
}

// play plays a day, in a bubble of its own.
func (b *chaosBench) play(t *testing.T, w *workload, seed uint64, p plant, wild bool) *chaosRun {
	t.Helper()
	dir, err := os.MkdirTemp("", "chaos") // not t.TempDir: thousands of them
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c := &chaosRun{
		bench: b, work: w, seed: seed, wild: wild, plant: p, dir: dir,
		rng: rand.New(rand.NewPCG(seed, 0x6368616f73)), known: map[grid.Pos]string{}, delivered: map[string]int{}, asked: map[int]string{},
	}
	if err := os.WriteFile(filepath.Join(dir, "state.db"), b.empty, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c.disk = gatetest.NewSimDisk(seed)
		c.disk.Tell = c.tell
		defer func() {
			if r := recover(); r != nil && r != (chaosFail{}) {
				panic(fmt.Sprintf("seed %d: %v\n%s", seed, r, c))
			}
			if c.n != nil {
				c.bury(false)
			}
		}()
		c.day(judge{t, c})
	})
	return c
}

// day gives each order until it is answered, and looks at what came of them all.
func (c *chaosRun) day(t judge) {
	for i := range c.work.orders {
		o := c.work.orders[i] // its own: the day is played by others too
		for try := 0; ; try++ {
			if try == chaosTries {
				t.Fatalf("order %d, %s: not answered in %d tries", o.N, o.Do, try)
			}
			if c.n == nil && !c.start(t) {
				continue
			}
			if c.answered(t, &o) {
				break
			}
			o.Again = true
		}
	}
	c.quiesce(t)
}

// quiesce ends the last life in good order and recounts.
func (c *chaosRun) quiesce(t judge) {
	c.wild = false
	if c.n == nil && !c.start(t) {
		t.Fatalf("it does not start at the end")
	}
	n := c.n
	c.n = nil
	c.disk.Trouble, c.life.Dies = gatetest.Trouble{}, nil
	c.writes += c.life.Writes()
	if err := n.close(); err != nil {
		t.Errorf("the last stop: %v", err)
	}
	files := c.disk.Begin(nil)
	c.out = outcomeOn(t, files, "/node", c.dir, c.delivered, c.live)
	c.positions(t, files)
}

// positions looks whether each place that was acknowledged still holds what it was
// acknowledged for: none was lost, and none was given away a second time.
func (c *chaosRun) positions(t judge, files disk.FS) {
	log := must[*journal.Log](t)(journal.Open("/node/journal", journal.Options{Disk: files, MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1}))
	defer log.Close()
	for pos, what := range c.known {
		f, err := log.Get(pos)
		if err != nil {
			t.Errorf("frame %s was acknowledged and is not there: %s", pos, what)
		} else if string(f.Raw) != what {
			t.Errorf("frame %s is %q and was acknowledged as %q", pos, f.Raw, what)
		}
	}
}

// start begins a life. false: it did not last until it was ready.
func (c *chaosRun) start(t judge) bool {
	c.lives++
	c.life = c.disk.Begin(nil)
	c.disk.Trouble = gatetest.Trouble{}
	if c.wild && c.deaths < 1+int(c.seed%chaosDeaths) {
		c.fate()
	}
	n := &node{dir: c.dir, ended: make(chan error, 2)}
	ctx, cancel := context.WithCancel(context.Background())
	n.ctx, n.stop = ctx, cancel
	c.n = n
	err := c.open(t, n)
	if err == nil {
		n.wait.Go(func() { n.ended <- c.ends(cancel, n.journal.Run(ctx)) })
		n.wait.Go(func() { n.ended <- c.ends(cancel, n.engine.Run(ctx)) })
		n.wait.Go(func() {
			select {
			case <-c.life.Dead:
				cancel()
			case <-ctx.Done():
			}
		})
		select {
		case <-n.engine.Ready():
			if c.plant.started == nil || c.plant.started(n) == nil {
				return true
			}
			err = errors.New("it ended in its first order")
		case <-ctx.Done():
			err = errors.New("it ended")
		}
	}
	c.tell("life %d did not start: %v", c.lives, short(err))
	if !c.wild {
		t.Fatalf("it does not start: %v", err)
	}
	c.bury(c.rng.IntN(2) == 0)
	return false
}

// ends notes the end of a part: the rest ends with it, as a process does.
func (c *chaosRun) ends(cancel context.CancelFunc, err error) error {
	cancel()
	return err
}

// short is an error without the random part of segment names.
func short(err error) string {
	if err == nil {
		return "nothing"
	}
	parts := strings.Split(err.Error(), ": ")
	return parts[len(parts)-1]
}

// fate says when a life ends, and what its disk does to it meanwhile.
func (c *chaosRun) fate() {
	last := 1 + c.rng.IntN(160)
	if c.rng.IntN(3) == 0 {
		last = 1 + c.rng.IntN(25) // in its start
	}
	c.life.Dies = func(n int, what string) bool {
		if n == last {
			c.tell("life %d dies at its write %d: %s", c.lives, n, saltless(what))
		}
		return n == last
	}
	if c.rng.IntN(2) == 0 {
		c.disk.Trouble = gatetest.Trouble{Full: c.rng.IntN(12), Sync: c.rng.IntN(5), Read: c.rng.IntN(5), Not: "/node/queue/"} // that would be a gap
	}
}

// saltless is a text without the random part of segment names.
func saltless(what string) string {
	if i := strings.LastIndex(what, "/"); i >= 0 {
		if parts := strings.Split(what[i:], "-"); len(parts) == 3 {
			return what[:i] + parts[0] + "-" + parts[1]
		}
	}
	return what
}

// open is node.open on the simulated disk.
func (c *chaosRun) open(t judge, n *node) (err error) {
	if n.store, err = state.Open(t.Context(), filepath.Join(c.dir, "state.db"), nil); err != nil {
		return err
	}
	loaded, err := n.store.Load(t.Context())
	if err != nil {
		return err
	}
	// It starts in the moment in which it last committed: of a time in which it was deaf it
	// would rightly conclude less.
	at := rigStart
	if alive, err := time.Parse(time.RFC3339Nano, loaded.Meta[metaAlive]); err == nil && alive.After(at) {
		at = alive
	}
	if loaded.EngineTime.After(at) {
		at = loaded.EngineTime
	}
	n.clock.Store(at.UnixNano())
	now := n.now
	var files disk.FS = c.life
	if c.plant.disk != nil {
		files = c.plant.disk(files)
	}
	var salt atomic.Uint32
	salt.Store(uint32(c.seed)<<16 + uint32(c.lives)<<8)
	n.journal, err = journal.Open("/node/journal", journal.Options{
		Disk: files, Now: now, MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1, RetainBytes: -1, SegmentBytes: 16 << 10, Poll: 40 * time.Millisecond,
		Salt: func() uint32 { return salt.Add(1) },
	})
	if err != nil {
		return err
	}
	for lane := range grid.Lane(grid.Lanes) {
		if loaded.Cursors[lane].Seq > n.journal.Head(lane).Seq {
			t.Errorf("life %d: cursor %d of the %s lane is past the journal's end %d", c.lives, loaded.Cursors[lane].Seq, lane, n.journal.Head(lane).Seq)
		}
		if n.journal.Head(lane).Seq < c.heads[lane] {
			t.Errorf("life %d: the %s journal ends at %d, and %d was acknowledged", c.lives, lane, n.journal.Head(lane).Seq, c.heads[lane])
		}
	}
	if n.queue, err = influx.OpenQueue("/node/queue", influx.QueueOptions{Disk: files, Now: now, SegmentBytes: 16 << 10}); err != nil {
		return err
	}
	cut := n.queue.Cut
	if c.plant.cut != nil {
		cut = func(m influx.Mark) error { return c.plant.cut(n.queue, m) }
	}
	if err := cut(influx.Mark(loaded.InfluxMark)); err != nil {
		return err
	}
	config := c.bench.config
	config.Dir, config.Disk, config.Journal, config.Series, config.Now = "/node", files, n.journal, n.queue, now
	config.Store = &chaosStore{Store: n.store, c: c, life: c.life}
	n.engine, err = New(config)
	return err
}

// chaosStore is the state of a node that may die before a commit, and after it.
type chaosStore struct {
	*state.Store
	c    *chaosRun
	life *gatetest.Life
}

func (s *chaosStore) Commit(ctx context.Context, b *state.Batch) error {
	if !s.life.Write("/state/commit") {
		return fmt.Errorf("%w: %w", state.ErrUntrusted, gatetest.ErrDead)
	}
	if s.life.Full("/state/commit") {
		return grid.Errorf(grid.Unavailable, "the disk is full")
	}
	if s.c.plant.commit != nil {
		planted := s.c.plant.commit(*b)
		b = &planted
	}
	if err := s.Store.Commit(ctx, b); err != nil {
		return err
	}
	if !s.life.Write("/state/committed") {
		return fmt.Errorf("%w: %w", state.ErrUntrusted, gatetest.ErrDead)
	}
	return nil
}

// bury ends what is left of a life, and the power with it or not.
func (c *chaosRun) bury(power bool) {
	c.deaths++
	c.writes += c.life.Writes()
	c.disk.End(false) // nothing gets through any more
	n := c.n
	c.n = nil
	n.stop()
	n.wait.Wait()
	if n.queue != nil {
		_ = n.queue.Close()
	}
	if n.journal != nil {
		_ = n.journal.Close()
	}
	if n.store != nil {
		_ = n.store.Close()
	}
	if power {
		c.tell("the power goes")
		c.disk.End(true)
	}
}

// answered gives an order. false: it is to be given again.
func (c *chaosRun) answered(t judge, o *order) bool {
	c.n.clock.Store(o.At.UnixNano())
	r := reply{N: o.N}
	switch o.Do {
	case "frames":
		r.Err = text(c.frames(o))
	case "settle":
		r.Err = text(c.settle())
	case "deliver":
		r.Err = text(c.deliver())
	case "answer":
		r.Err = text(c.answer(o))
	default:
		r = c.n.do(o)
	}
	time.Sleep(3 * time.Millisecond) // what it set off comes to an end: a checkpoint, an index
	select {
	case <-c.n.ctx.Done():
		c.tell("order %d, %s: no answer, the node has ended", o.N, o.Do)
		c.bury(c.rng.IntN(2) == 0)
		return false
	default:
	}
	switch {
	case r.Err != "":
		c.tell("order %d, %s: %s", o.N, o.Do, short(errors.New(r.Err)))
		if !c.wild {
			t.Fatalf("order %d, %s: %s", o.N, o.Do, r.Err)
		}
		return false
	case c.wild && (c.rng.IntN(25) == 0 || o.Do == "move" && c.rng.IntN(3) == 0):
		c.tell("order %d, %s: the answer is lost on its way", o.N, o.Do)
		return false
	}
	if r.Live != nil {
		c.live = r.Live
	}
	return true
}

// answer answers a window's question: when it is told again, of the alarm that was meant first.
func (c *chaosRun) answer(o *order) error {
	id, known := c.asked[o.N]
	if !known {
		var err error
		if id, err = c.n.asked(c.n.ctx, o); err != nil {
			return err
		}
		c.asked[o.N] = id
	}
	if id == "" {
		return nil
	}
	err := c.n.answerFor(c.n.ctx, o, id)
	if code := grid.CodeOf(err); code != grid.Unavailable && code != grid.Internal {
		return nil // refused, by the rules
	}
	return err
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// frames makes frames durable as brokers bring them, and remembers what was acknowledged.
func (c *chaosRun) frames(o *order) error {
	n := c.n
	for part := range slices.Chunk(o.Frames, 1+o.N%7+len(o.Frames)/40) {
		var lanes [grid.Lanes][]grid.Frame
		for _, w := range part {
			f := frame(w.ID, w.Payload)
			f.Envelope, f.Received = envelope.Native, n.now()
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
			if err := n.journal.Append(n.ctx, grid.Lane(lane), fs); err != nil {
				return err
			}
			for _, f := range fs {
				c.known[f.Pos] = string(f.Raw)
				c.heads[lane] = max(c.heads[lane], f.Pos.Seq)
			}
		}
	}
	return nil
}

// settle waits until every durable frame is handled and what is due has fired.
func (c *chaosRun) settle() error {
	n := c.n
	for range 2000 {
		if err := n.poke(n.ctx); err != nil {
			return err
		}
		p, err := n.store.Progress(n.ctx)
		if err != nil {
			return err
		}
		if p.Cursors[0].Seq == n.journal.Head(0).Seq && p.Cursors[1].Seq == n.journal.Head(1).Seq {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	for range 3 { // a timer may set another
		if err := n.poke(n.ctx); err != nil {
			return err
		}
	}
	return nil
}

// deliver tries each pending delivery once. Some units are busy at first, some are gone,
// some say their answer twice, and one that they have given long ago.
func (c *chaosRun) deliver() error {
	n := c.n
	pending, err := n.store.PendingDeliveries(n.ctx)
	if err != nil {
		return err
	}
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
		c.delivered[d.ID]++
		said := []grid.Attempt{a}
		if h.Sum32()%5 == 0 {
			said = append(said, a)
		}
		if h.Sum32()%7 == 0 && a.N > 1 {
			old := a
			old.N = 1
			said = append(said, old)
		}
		for _, a := range said {
			if err := n.engine.DeliveryResult(n.ctx, d.ID, a, fate); err != nil {
				return err
			}
		}
	}
	return nil
}

// disturbed plays a seed and holds it against its quiet day.
func (b *chaosBench) disturbed(t *testing.T, seed uint64, p plant) *chaosRun {
	t.Helper()
	s := b.story(t, seed)
	c := b.play(t, s.work, seed, p, true)
	if len(c.wrong) == 0 {
		j := judge{t, c}
		compare(j, s.want, c.out, s.work.class)
		c.countLines(j, &s.want)
	}
	return c
}

// countLines: each point stands in the queue as often as its frame was handled.
func (c *chaosRun) countLines(t judge, want *outcome) {
	more := c.out.ledger[grid.Processed] - want.ledger[grid.Processed]
	if n := int64(c.out.linesInAll - want.linesInAll); n < 0 || n > 4*more {
		t.Errorf("the InfluxDB queue has %d points, without deaths %d, for %d frames handled once more", c.out.linesInAll, want.linesInAll, more)
	}
}

func chaosNumber(t *testing.T, env string, without uint64) uint64 {
	s := os.Getenv(env)
	if s == "" {
		return without
	}
	return must[uint64](t)(strconv.ParseUint(s, 10, 64))
}

func TestChaosLeadsToWhatAQuietDayLeadsTo(t *testing.T) {
	b := newChaosBench(t)
	if os.Getenv(chaosSeedEnv) != "" {
		c := b.disturbed(t, chaosNumber(t, chaosSeedEnv, 0), plant{})
		t.Log(c)
		if len(c.wrong) > 0 {
			t.Fail()
		}
		return
	}
	begin, from := time.Now(), chaosNumber(t, chaosFromEnv, 1)
	seeds := chaosNumber(t, chaosSeedsEnv, chaosSeeds)
	var next, deaths, writes, frames, bad atomic.Int64
	// A worker takes a day with all its seeds.
	next.Store(int64(from / chaosPerStory))
	t.Run("seeds", func(t *testing.T) {
		for worker := range 2 {
			t.Run(fmt.Sprint("worker ", worker), func(t *testing.T) {
				t.Parallel()
				for bad.Load() < 5 {
					day := uint64(next.Add(1) - 1)
					if day*chaosPerStory >= from+seeds {
						return
					}
					for seed := max(from, day*chaosPerStory); seed < min(from+seeds, (day+1)*chaosPerStory); seed++ {
						c := b.disturbed(t, seed, plant{})
						deaths.Add(int64(c.deaths))
						writes.Add(int64(c.writes))
						frames.Add(int64(len(c.known)))
						if len(c.wrong) > 0 {
							bad.Add(1)
							t.Errorf("seed %d goes wrong:\n%s", seed, c)
						}
					}
					b.forget(day * chaosPerStory)
					if day%10 == 9 {
						t.Logf("day %d is over, in %s", day, time.Since(begin).Round(time.Second))
					}
				}
			})
		}
	})
	t.Logf("%d seeds from %d: %d deaths at %d writes, %d frames acknowledged, %d seeds go wrong, in %s",
		seeds, from, deaths.Load(), writes.Load(), frames.Load(), bad.Load(), time.Since(begin).Round(time.Millisecond))
}

func TestAChaosSeedTellsTheSameStoryEachTime(t *testing.T) {
	b := newChaosBench(t)
	for _, seed := range []uint64{3, 14, 25} {
		var first []byte
		for range 3 {
			c := b.disturbed(t, seed, plant{})
			told := []byte(c.String())
			if first == nil {
				first = told
			}
			if !bytes.Equal(first, told) {
				t.Fatalf("seed %d tells one story:\n%s\n\nand another:\n%s", seed, first, told)
			}
		}
	}
}
