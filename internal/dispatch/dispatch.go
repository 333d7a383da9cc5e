// Package dispatch brings ticket messages to units: each delivery with its own retries
// and its own fate, the messages of one ticket to one unit strictly in order, and no
// unit waiting for another.
//
//	engine ──Notify──▶ lane (safety) ──▶ attempts ──▶ connector ──▶ the unit
//	store ──pending─▶ lane (bulk)   ──▶ attempts ──▶ connector
//	                        ▲                 │
//	                        └── Results.DeliveryResult, durable before the next step
//
// The store is the truth and memory a copy of what is pending in it: whatever is lost
// here (a crash, a full buffer) is read again and sent again, under the same id.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/clock"
	"gridgate/internal/grid"
)

// ErrNever marks a failure that no repetition can mend: the unit has closed the address
// for good (410), or the delivery must not go there at all. It is dead at once.
var ErrNever = errors.New("not to be sent again")

// ErrWithheld marks a message that is not sent by rule: its connector has no form for it.
// It is visible, and no failure.
var ErrWithheld = errors.New("not sent")

// errOurs marks a failure on our side (a rate limit of ours, a setting), which says nothing
// about the unit.
var errOurs = errors.New("not tried")

// Outcome is what one attempt means for its delivery.
type Outcome struct {
	State  grid.DeliveryState // pending (again at Next), sent, received, seen_by_person, withheld or dead
	Next   time.Time          // when to try again; zero unless pending
	Status int                // HTTP status or the like; 0 when there was none
	Error  string             // why it failed; "" when it did not
	Ref    string             // the unit's own number, if it gave one
}

// Results takes the result of every attempt.
type Results interface {
	// DeliveryResult returns nil once the result is durable. It may be called again with
	// the same delivery and attempt number. A grid.NotFound error says that the delivery
	// does not exist any more; after any other error it is called again.
	DeliveryResult(ctx context.Context, id string, a grid.Attempt, r Outcome) error
}

// Config of a Dispatcher. The zero value of a field is its default.
type Config struct {
	Retry    Retry           // StandardRetry
	Deadline time.Duration   // of one attempt; 15 s
	Attempts [grid.Lanes]int // at once in each lane; 64 and 32
	PerUnit  int             // at once to one unit, in each lane; 4
	Clock    *clock.Clock    // the city's, for retries; nil is the machine's
	Buffer   int             // deliveries told by Notify and not yet taken up, in each lane; 4096
	Breaker  Breaker         // when a unit counts as deaf
	// Apart reports whether the messages to a unit go to different people, so that none of a
	// ticket waits for another. Nil: no unit's do.
	Apart func(unit string) bool
}

// Breaker says when a unit counts as deaf and how it is tried again. A deaf unit gets one
// attempt at a time, and what is below P1 waits for the probe.
type Breaker struct {
	Failures int           // in a row, without an answer or with a server error; 5
	Probe    time.Duration // first pause before a probe, doubled by each one that fails; 5 s
	MaxProbe time.Duration // 5 min
}

func (c Config) withDefaults() Config {
	if c.Retry.Normal == nil && c.Retry.Urgent == nil {
		c.Retry = StandardRetry()
	}
	setDefault(&c.Deadline, 15*time.Second)
	setDefault(&c.Attempts[grid.Safety], 64)
	setDefault(&c.Attempts[grid.Bulk], 32)
	setDefault(&c.PerUnit, 4)
	setDefault(&c.Buffer, 4096)
	setDefault(&c.Breaker.Failures, 5)
	setDefault(&c.Breaker.Probe, 5*time.Second)
	setDefault(&c.Breaker.MaxProbe, 5*time.Minute)
	return c
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Dispatcher sends deliveries. Use New, then Run.
type Dispatcher struct {
	cfg        Config
	pending    func(context.Context) ([]grid.Delivery, error)
	results    Results
	connectors map[string]grid.Connector
	log        *slog.Logger
	lanes      [grid.Lanes]*lane
	unrecorded chan grid.Delivery // that could not be stored
}

// New makes a dispatcher. pending reads what the store holds to be sent; connectors are
// looked up by Delivery.Connector. A nil log discards.
func New(cfg Config, pending func(context.Context) ([]grid.Delivery, error), results Results,
	connectors map[string]grid.Connector, log *slog.Logger) *Dispatcher {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{unrecorded: make(chan grid.Delivery, unrecordedQueue), cfg: cfg.withDefaults(), pending: pending, results: results, connectors: connectors, log: log}
	for l := range d.lanes {
		d.lanes[l] = newLane(d, grid.Lane(l))
	}
	return d
}

// Run loads what is pending and sends until ctx is done; it returns after the last
// attempt has ended. An attempt cut off by the end is made again at the next start.
func (d *Dispatcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range d.lanes {
		wg.Go(func() { l.run(ctx) })
	}
	wg.Go(func() { d.sendUnrecorded(ctx) })
	wg.Wait()
	return nil
}

// Notify tells of deliveries that have just been committed, so that they leave now. It
// never blocks. What does not fit is dropped here and read again from the store.
// A ticket's deliveries must all be of one lane: order is kept within a lane.
func (d *Dispatcher) Notify(ds []grid.Delivery) {
	for i := range ds {
		lane := grid.Bulk
		if ds[i].Lane == grid.Safety {
			lane = grid.Safety
		}
		d.lanes[lane].offer(ds[i])
	}
}

// Stats counts what the dispatcher has done since it was made.
type Stats struct {
	Lanes [grid.Lanes]LaneStats
}

// LaneStats of one lane.
type LaneStats struct {
	Waiting   int64    // deliveries in memory, on their way or not
	Running   int64    // attempts at this moment
	Delivered uint64   // attempts that ended well
	Failed    uint64   // attempts that did not
	Dead      uint64   // deliveries given up
	Reloads   uint64   // times the store was read
	Deaf      []string // units whose breaker is open
}

// Stats may be called at any time.
func (d *Dispatcher) Stats() Stats {
	var s Stats
	for i, l := range d.lanes {
		s.Lanes[i] = l.stats()
	}
	return s
}

type counters struct {
	waiting, running        atomic.Int64
	delivered, failed, dead atomic.Uint64
	reloads                 atomic.Uint64
}
