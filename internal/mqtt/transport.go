// Package mqtt takes frames from any MQTT broker, over MQTT 3.1.1.
//
// A message is acknowledged when its frame is durable, in order. While the journal fails,
// messages wait in a window and connections stay alive; after 30 s (a setting) the
// connection is closed and the broker sends again. Duplicates are normal: acknowledgements
// that a lost connection takes with it make the broker repeat.
package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// lastTry bounds the last attempt to store QoS 0 frames when the transport stops.
const lastTry = time.Second

// firstBackoff is the first pause between two attempts to connect.
const firstBackoff = 250 * time.Millisecond

var errDeaf = errors.New("deaf")

// Transport is a subscription to a broker that lasts.
type Transport struct {
	cfg     Config
	canary  string // topic of our messages to ourselves
	counted string // and of those through the broker's queue
	peer    string // the broker's address; the URL may hold a password
	log     *slog.Logger
	wire    intake.Wire
	tally   intake.Tally

	asks    chan ask // to be published by the present connection
	window  *intake.Queue[receipt]
	unacked *intake.Queue[struct{}]
	link    atomic.Pointer[link] // the present connection
	rtt     atomic.Int64         // of the last canary
	queue   queueWatch
	probes  sync.WaitGroup

	mu     sync.Mutex
	status Status
}

// Status is what the transport knows of itself.
type Status struct {
	Connected     bool           `json:"connected"`
	Since         time.Time      `json:"since"` // connected, or not, since then
	Deaf          bool           `json:"deaf,omitempty"`
	Subscriptions []Subscription `json:"subscriptions"`
	CanaryRTT     time.Duration  `json:"canary_rtt"` // of the last message to ourselves
	CanaryRefused bool           `json:"canary_refused,omitempty"`
	Waiting       int            `json:"waiting"` // frames not yet durable
	Queue         BrokerQueue    `json:"queue"`
	intake.Counts
}

// New makes a transport; Run connects.
func New(cfg Config, log *slog.Logger) *Transport {
	cfg = cfg.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &Transport{
		cfg:     cfg,
		canary:  canaries + cfg.ClientID,
		counted: ownTopics + "count/" + cfg.ClientID,
		log:     log.With("transport", cfg.Name),
		asks:    make(chan ask, maxAsks),
		status:  Status{Since: cfg.Now().UTC()},
	}
	t.wire = intake.Wire{
		Transport: "mqtt", Source: cfg.Name, MaxPayload: cfg.MaxPayload, Identify: cfg.Identify, Remember: cfg.Remember, Ask: t.ask, Now: cfg.Now,
	}
	t.peer, _, _ = cfg.address() // Run says what is wrong with it
	t.tally.Log, t.tally.Now = t.log, cfg.Now
	t.window = intake.NewQueue(intake.Limits{Frames: cfg.Window, Bytes: cfg.WindowBytes, GiveUp: cfg.GiveUp}, &t.tally, t.stored, t.giveUp)
	t.unacked = intake.NewQueue(intake.Limits{Frames: cfg.Unacked, Bytes: 16 << 20, GiveUp: cfg.GiveUp}, &t.tally, func([]struct{}) {}, nil)
	return t
}

// Status says how the transport is.
func (t *Transport) Status() Status {
	t.mu.Lock()
	s := t.status
	t.mu.Unlock()
	s.CanaryRTT = time.Duration(t.rtt.Load())
	s.Waiting = t.window.Held() + t.unacked.Held()
	t.queue.mu.Lock()
	s.Queue = t.queue.state
	t.queue.mu.Unlock()
	s.Counts = t.tally.Counts()
	return s
}

// Run takes frames until ctx is done. It may run once. A broker that is away is no error.
func (t *Transport) Run(ctx context.Context, in grid.Ingester) error {
	if err := t.cfg.check(); err != nil {
		return err
	}
	var workers sync.WaitGroup
	workers.Go(func() { t.window.Run(ctx, in) })
	workers.Go(func() { t.unacked.Run(ctx, in) })
	for fails := 0; ctx.Err() == nil; {
		l := t.newLink(ctx)
		t.link.Store(l)
		err := l.serve(ctx)
		t.disconnected(ctx, err)
		if l.echoed.Load() {
			fails = 0
		}
		t.pause(ctx, fails)
		fails++
	}
	workers.Wait()
	t.probes.Wait()
	t.storeRest(ctx, in)
	return nil
}

// pause waits before the next attempt.
func (t *Transport) pause(ctx context.Context, fails int) {
	select {
	case <-time.After(backoff(fails, t.cfg.MaxBackoff)):
	case <-ctx.Done():
	}
}

// backoff doubles up to the limit; half of it is chance, so that gateways that lost the
// same broker do not come back in step.
func backoff(fails int, limit time.Duration) time.Duration {
	d := min(firstBackoff<<min(fails, 16), limit)
	return d/2 + rand.N(d/2)
}

func (t *Transport) disconnected(ctx context.Context, err error) {
	t.mu.Lock()
	if t.status.Connected {
		t.status.Connected, t.status.Since = false, t.cfg.Now().UTC()
	}
	t.status.Deaf = errors.Is(err, errDeaf)
	t.mu.Unlock()
	if ctx.Err() == nil {
		t.tally.Fault("not connected to broker", grid.Errorf(grid.Unavailable, "mqtt %s: broker %s: %w", t.cfg.Name, t.peer, err))
	}
}

// maxAsks bounds the questions that wait to be published.
const maxAsks = 64

// ask is a message that Remember wants published: a question to a device. It is asked
// again when the answer stays away, so it is not worth keeping.
type ask struct {
	topic   string
	payload []byte
}

// ask has a message published by the connection's own goroutine: the handler, which makes
// frames, must not wait for Paho.
func (t *Transport) ask(topic string, payload []byte) {
	select {
	case t.asks <- ask{topic, payload}:
	default:
	}
}

// receipt is what is owed to the broker for a frame once it is durable.
type receipt struct {
	link *link
	id   uint16
}

// take brings a message into the window. It keeps the payload: Paho makes a fresh one for
// each message.
func (t *Transport) take(l *link, m paho.Message) {
	var flags grid.FrameFlags
	if m.Retained() {
		flags |= grid.Retained
	}
	if m.Duplicate() {
		flags |= grid.Redelivered
	}
	if m.Qos() == 0 {
		flags |= grid.Unacknowledged
	}
	f := t.wire.Frame(m.Topic(), m.Payload(), flags)
	t.tally.Arrived(&f)
	if m.Qos() > 0 {
		t.window.Put(f, receipt{l, m.MessageID()})
	} else if !t.unacked.Offer(f, struct{}{}) {
		t.tally.Lost(1)
	}
}

// stored acknowledges durable frames in order. What belongs to a connection that is gone
// the broker sends again.
func (t *Transport) stored(rs []receipt) {
	for len(rs) > 0 {
		n := 1
		for n < len(rs) && rs[n].link == rs[0].link {
			n++
		}
		if rs[0].link.acknowledge(rs[:n]) == nil {
			t.tally.Acked(n)
		}
		rs = rs[n:]
	}
}

// giveUp closes the connection so that the broker sends again.
func (t *Transport) giveUp(err error) {
	if l := t.link.Load(); l != nil {
		l.cut(grid.Errorf(grid.Unavailable, "connection closed: its frames cannot be stored: %w", err))
	}
}

// storeRest tries once more to store the QoS 0 frames that nobody will send again.
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
