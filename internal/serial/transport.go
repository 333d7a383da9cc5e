package serial

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// lastTry bounds the last attempt to store frames that nobody will send again.
const lastTry = time.Second

// firstBackoff is the first pause before a port is opened again.
const firstBackoff = 250 * time.Millisecond

// maxGarbage is how many bytes without a frame end a listener's connection: they are no
// device's, and looking for frames in them costs more than frames do.
const maxGarbage = 64 << 10

// Transport is one line, or one listener, that lasts.
type Transport struct {
	cfg       Config
	log       *slog.Logger
	transport string // of its frames
	opened    func(context.Context) (Port, string, error)
	tally     intake.Tally

	// What is acknowledged waits in acked; of a listener over TCP each connection has its own.
	acked    *intake.Queue[receipt]
	unacked  *intake.Queue[struct{}]
	identify *regexp.Regexp
	centre   *centre
	slaves   []*slave
	buses    []*bus         // the slaves again, by who reaches them
	register *regexp.Regexp // how a serial server that calls says who it is
	ways     ways           // to devices that speak text

	bytesIn, bytesOut, damaged, unanswered atomic.Uint64

	mu     sync.Mutex
	status Status
	said   time.Time          // when damaged frames were last logged
	conns  map[*peer]struct{} // to a listener
}

// Status is what the transport knows of itself.
type Status struct {
	Up          bool          `json:"up"` // the port is open, or the listener listens
	Since       time.Time     `json:"since"`
	Protocol    string        `json:"protocol"`
	Port        string        `json:"port"` // what it really is: the device behind a link, the address
	Peers       int           `json:"peers,omitempty"`
	BytesIn     uint64        `json:"bytes_in"`
	BytesOut    uint64        `json:"bytes_out"`
	Damaged     uint64        `json:"damaged"` // frames that were noise, half, or wrong
	LastDamage  string        `json:"last_damage,omitempty"`
	LastDamaged time.Time     `json:"last_damaged,omitzero"`
	Waiting     int           `json:"waiting"`    // frames not yet durable
	Unanswered  uint64        `json:"unanswered"` // frames that found no room: their device gets no answer and repeats
	Slaves      []SlaveStatus `json:"slaves,omitempty"`
	intake.Counts
}

// New makes a transport; Run opens the port.
func New(cfg Config, log *slog.Logger) *Transport {
	cfg = cfg.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &Transport{
		cfg: cfg, log: log.With("transport", cfg.Name), transport: "serial", conns: make(map[*peer]struct{}),
		status: Status{Since: cfg.Now().UTC(), Protocol: cfg.Protocol, Port: cfg.Path + cfg.Connect + cfg.Listen},
	}
	t.opened = t.cfg.open
	if cfg.Listen != "" {
		t.transport, _, _ = address(cfg.Listen) // Run says what is wrong with it
	}
	t.tally.Log, t.tally.Now = t.log, cfg.Now
	limits := intake.Limits{Frames: cfg.Waiting, Bytes: 16 << 20, GiveUp: cfg.GiveUp}
	t.unacked = intake.NewQueue(limits, &t.tally, func([]struct{}) {}, nil)
	switch cfg.Protocol {
	case GBT26875:
		// A device that gets no answer sends again, but not for ever: its frames are kept and
		// tried on. Only a connection to a listener can be closed to make it send again.
		t.acked = intake.NewQueue(limits, &t.tally, t.stored, nil)
		t.centre = newCentre(&cfg)
	case ModbusRTU:
		t.slaves = newSlaves(&cfg)
		t.buses = newBuses(t.slaves)
		if cfg.Register != "" {
			t.register, _ = regexp.Compile(cfg.Register) // Run says what is wrong with it
		}
	default:
		if cfg.Identify != "" {
			t.identify, _ = regexp.Compile(cfg.Identify)
		}
	}
	return t
}

// Status says how the transport is.
func (t *Transport) Status() Status {
	t.mu.Lock()
	s := t.status
	for _, sl := range t.slaves {
		s.Slaves = append(s.Slaves, sl.status)
	}
	t.mu.Unlock()
	s.BytesIn, s.BytesOut, s.Damaged = t.bytesIn.Load(), t.bytesOut.Load(), t.damaged.Load()
	s.Unanswered = t.unanswered.Load()
	s.Waiting = t.unacked.Held()
	if t.acked != nil {
		s.Waiting += t.acked.Held()
	}
	s.Counts = t.tally.Counts()
	return s
}

// Run takes frames until ctx is done. It may run once. A port that is away is no error.
func (t *Transport) Run(ctx context.Context, in grid.Ingester) error {
	if err := t.cfg.Check(); err != nil {
		return grid.Errorf(grid.Invalid, "serial %s: %w", t.cfg.Name, err)
	}
	var workers sync.WaitGroup
	workers.Go(func() { t.unacked.Run(ctx, in) })
	if t.acked != nil {
		workers.Go(func() { t.acked.Run(ctx, in) })
	}
	if t.centre != nil {
		workers.Go(func() { t.keepUnread(ctx) })
	}
	if t.centre != nil && t.centre.setClock {
		for range clockSetters {
			workers.Go(func() { t.clocks(ctx) })
		}
	}
	for fails := 0; ctx.Err() == nil; fails++ {
		before := t.bytesIn.Load()
		err := t.serve(ctx, in)
		t.down(ctx, err)
		if t.bytesIn.Load() != before {
			fails = 0
		}
		t.pause(ctx, fails)
	}
	workers.Wait()
	t.storeRest(ctx, in)
	return nil
}

// serve opens the port and serves it until it is gone, which is the error, or ctx is done.
func (t *Transport) serve(ctx context.Context, in grid.Ingester) error {
	if t.cfg.Listen != "" {
		return t.listen(ctx, in)
	}
	p, really, err := t.opened(ctx)
	if err != nil {
		return err
	}
	l := newLine(p)
	defer l.close()
	t.up(really)
	if t.cfg.Protocol == ModbusRTU {
		return t.master(ctx, l, t.buses[0])
	}
	far := &peer{t: t, queue: t.acked, reply: t.replier(l)}
	if t.centre != nil {
		defer t.centre.gone(far)
	}
	if t.named() {
		t.ways.heard(t.cfg.Identity, far)
	}
	defer t.ways.gone(far)
	return t.talk(ctx, l, far, 0)
}

// replier writes answers to a line.
func (t *Transport) replier(l *line) func([]byte) error {
	return func(b []byte) error {
		if err := l.write(b); err != nil {
			return err
		}
		t.bytesOut.Add(uint64(len(b)))
		return nil
	}
}

// talk takes the frames of one stream. Half a frame is given up after the gap, the line
// after idle without a byte; idle 0 is never.
func (t *Transport) talk(ctx context.Context, l *line, p *peer, idle time.Duration) error {
	c, err := t.cfg.cutter()
	if err != nil {
		return err
	}
	s := stream{cutter: c}
	last := time.Now()
	quiet := time.NewTimer(t.cfg.Gap)
	defer quiet.Stop()
	for {
		select {
		case b, ok := <-l.in:
			if !ok {
				s.feed(nil, true, p.take)
				return l.why()
			}
			t.bytesIn.Add(uint64(len(b)))
			p.unframed += len(b)
			s.feed(b, false, p.take)
			if idle > 0 && p.unframed > maxGarbage {
				return grid.Errorf(grid.Invalid, "%d bytes came without a frame", p.unframed)
			}
			last = time.Now()
			quiet.Reset(t.cfg.Gap)
		case <-quiet.C:
			s.feed(nil, true, p.take)
			if idle > 0 {
				since := time.Since(last)
				if since >= idle {
					return grid.Errorf(grid.Unavailable, "nothing came for %s", idle)
				}
				quiet.Reset(idle - since)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// pause waits before the port is opened again: longer each time, and half of it is chance.
func (t *Transport) pause(ctx context.Context, fails int) {
	d := min(firstBackoff<<min(fails, 16), t.cfg.MaxBackoff)
	select {
	case <-time.After(d/2 + rand.N(d/2+1)):
	case <-ctx.Done():
	}
}

func (t *Transport) up(really string) {
	t.mu.Lock()
	t.status.Up, t.status.Since, t.status.Port = true, t.cfg.Now().UTC(), really
	t.mu.Unlock()
	t.log.Info("port is open", "in", really)
}

func (t *Transport) down(ctx context.Context, err error) {
	t.mu.Lock()
	if t.status.Up {
		t.status.Up, t.status.Since = false, t.cfg.Now().UTC()
	}
	t.status.Peers = 0
	t.mu.Unlock()
	if ctx.Err() == nil && err != nil {
		t.tally.Fault("port is not open", grid.Errorf(grid.CodeOf(err), "serial %s: %w", t.cfg.Name, err))
	}
}

// damage counts a frame that is none. Lines are noisy: it is logged once a minute.
func (t *Transport) damage(from string, err error) {
	t.damaged.Add(1)
	now := t.cfg.Now().UTC()
	t.mu.Lock()
	t.status.LastDamage, t.status.LastDamaged = err.Error(), now
	say := now.Sub(t.said) >= time.Minute
	if say {
		t.said = now
	}
	t.mu.Unlock()
	if say {
		t.log.Warn("damaged frames on the line", "err", err, "in", from)
	}
}

// storeRest tries once more to store frames that nobody will send again.
func (t *Transport) storeRest(ctx context.Context, in grid.Ingester) {
	rest := t.unacked.Rest()
	if len(rest) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTry)
	defer cancel()
	if err := in.Ingest(ctx, rest...); err != nil {
		t.tally.Lost(len(rest))
	}
}
