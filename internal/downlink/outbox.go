// Package downlink brings orders to devices: of each device one after the other in the
// order of their creation, no device waiting for another, and no wire for another.
//
//	engine ──Notify──▶ streams, one per device ──▶ its way ──▶ its wire ──▶ the device
//	store ──open────▶        ▲     ▲                              │
//	intake ──Heard───────────┘     └── Results.DownlinkResult ◀───┘ durable before the next step
//
// The store is the truth and memory a copy of what is queued in it: whatever is lost here
// (a crash, a full buffer) is read again and tried again, under the same id.
package downlink

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/clock"
	"gridgate/internal/grid"
)

// Step is what an attempt means for its downlink.
type Step struct {
	Try    bool       // an attempt begins
	Sent   *grid.Sent // it was taken
	Way    string     // transport:source by which
	Retry  time.Time  // again then, with Error
	Error  string     //
	Failed bool       // never, with Error
}

// Results takes the outcome of every attempt.
type Results interface {
	// DownlinkResult returns the downlink as it is once the step is durable. It may be
	// called again with the same step. A grid.NotFound, grid.Conflict or grid.Invalid error
	// says that the step does not fit it any more (it has ended otherwise, or is gone);
	// after any other error it is called again.
	DownlinkResult(ctx context.Context, id string, s Step) (grid.Downlink, error)
}

// Frames is the journal, newest first.
type Frames interface {
	ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error)
}

// Wire is one source that devices are heard by.
type Wire struct {
	Path       string          // transport:source
	Kinds      []string        // of orders that it carries: grid.Order.Kind
	AtOnce     int             // attempts at the same time; 512
	Downlinker grid.Downlinker // nil: it only hears
}

// Config of an Outbox. The zero value of a field is its default.
type Config struct {
	Wires   []Wire
	Fixed   map[grid.Identity]string // devices whose wire is known by the configuration: its Path
	Unheard []string                 // Paths that may know a device which was never heard

	Deadline time.Duration // of one attempt; 90 s
	First    time.Duration // pause after the first attempt that failed, doubled by each further one; 1 s
	Longest  time.Duration // 5 min
	Lookups  int           // ways looked up at the same time; 4
	Buffer   int           // downlinks told by Notify and not yet taken up; 20,000
	Seed     uint64        // of the jitter of pauses
	Clock    *clock.Clock  // the city's, for expiry and pauses; nil is the machine's
}

func (c Config) withDefaults() Config {
	setDefault(&c.Deadline, 90*time.Second)
	setDefault(&c.First, time.Second)
	setDefault(&c.Longest, 5*time.Minute)
	setDefault(&c.Lookups, 4)
	setDefault(&c.Buffer, 20_000)
	return c
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Outbox sends downlinks. Use New, then Run.
type Outbox struct {
	cfg     Config
	open    func(context.Context) ([]grid.Downlink, error)
	frames  Frames
	results Results
	log     *slog.Logger
	n       counters
	wake    chan struct{}
	waiting atomic.Int64 // devices that a downlink waits for: len(awaited)

	mu      sync.Mutex
	fresh   map[string]grid.Downlink // told and not taken up, as last told
	behind  bool                     // some were dropped: the store must be read
	awaited map[grid.Identity]bool   // true: heard since, and not taken up
	back    []string                 // wires that are up again, and not taken up
	failing string                   // why outcomes cannot be recorded
	unsaved int                      // outcomes that cannot be recorded at this moment

	wires map[string]*wire // those of the configuration; what is in them belongs to Run

	// What follows belongs to Run.
	streams map[grid.Identity]*stream
	timers  timers
	lookup  []*stream // due, their way not known; first come first served
	looking int
	ended   chan ended
	found   chan found
	loading bool
	loaded  chan []grid.Downlink
	settled map[string]bool // ended or sent while loading: the loaded list is older
	jitter  *rand.Rand
}

// New makes an outbox. open reads what the store holds that has not ended. A nil log discards.
func New(cfg Config, open func(context.Context) ([]grid.Downlink, error), frames Frames, results Results, log *slog.Logger) *Outbox {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o := &Outbox{
		cfg: cfg.withDefaults(), open: open, frames: frames, results: results, log: log,
		wake:  make(chan struct{}, 1),
		fresh: map[string]grid.Downlink{}, awaited: map[grid.Identity]bool{},
		wires: map[string]*wire{}, streams: map[grid.Identity]*stream{},
		ended: make(chan ended), found: make(chan found), loaded: make(chan []grid.Downlink), settled: map[string]bool{},
		jitter: rand.New(rand.NewPCG(cfg.Seed, 1)),
	}
	for _, w := range cfg.Wires {
		setDefault(&w.AtOnce, 512)
		o.wires[w.Path] = &wire{Wire: w}
	}
	return o
}

// Notify tells of downlinks that have just been committed, each as it is now. It never
// blocks. What does not fit is dropped here and read again from the store.
func (o *Outbox) Notify(ds []grid.Downlink) {
	o.mu.Lock()
	for i := range ds {
		o.n.count(&ds[i])
		switch {
		case o.behind: // the reading that is owed will find this one too
		case len(o.fresh) < o.cfg.Buffer:
			o.fresh[ds[i].ID] = ds[i]
		default:
			clear(o.fresh)
			o.behind = true
		}
	}
	o.mu.Unlock()
	o.stir()
}

// Heard tells that a device was heard just now: what waits for it is tried at once. While
// nothing waits it costs one load.
func (o *Outbox) Heard(id grid.Identity) {
	if o.waiting.Load() == 0 {
		return
	}
	o.mu.Lock()
	heard, awaited := o.awaited[id]
	if awaited {
		o.awaited[id] = true
	}
	o.mu.Unlock()
	if awaited && !heard {
		o.stir()
	}
}

// Up tells that a wire is up again: what it could not take is tried at once.
func (o *Outbox) Up(path string) {
	if o.waiting.Load() == 0 || o.wires[path] == nil {
		return
	}
	o.mu.Lock()
	if !slices.Contains(o.back, path) {
		o.back = append(o.back, path)
	}
	o.mu.Unlock()
	o.stir()
}

func (o *Outbox) stir() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Stats counts what the outbox has done since it was made.
type Stats struct {
	Queued       int64  // in memory, on their way or not
	Trying       int64  // attempts at this moment
	Tries        uint64 // attempts
	Sent         uint64 // that a wire took
	Acknowledged uint64 // ended so
	Failed       uint64 // ended so
	Problem      string // why outcomes cannot be recorded; "" while they can
}

type counters struct {
	queued, trying                    atomic.Int64
	tries, sent, acknowledged, failed atomic.Uint64
}

// count counts downlinks by their last commit: what has ended is not changed again.
func (n *counters) count(d *grid.Downlink) {
	switch {
	case !d.Ended():
	case d.State == grid.DownlinkAcknowledged:
		n.acknowledged.Add(1)
	case d.State == grid.DownlinkFailed:
		n.failed.Add(1)
	}
}

// Stats may be called at any time.
func (o *Outbox) Stats() Stats {
	o.mu.Lock()
	problem := o.failing
	o.mu.Unlock()
	return Stats{
		Queued: o.n.queued.Load(), Trying: o.n.trying.Load(), Tries: o.n.tries.Load(), Sent: o.n.sent.Load(),
		Acknowledged: o.n.acknowledged.Load(), Failed: o.n.failed.Load(), Problem: problem,
	}
}
