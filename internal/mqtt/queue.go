package mqtt

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/grid"
)

// What a broker cannot hold for us it throws away without a word to anyone: while the
// gateway is away or slow, the (n+1)th message is gone. So its queue is measured once at the
// start, and two signs of a full one are watched: the broker's own count of what it dropped
// (Mosquitto says it under $SYS), and gaps in a count that we send to ourselves through the
// same queue. Both go by topics that begin with $gridgate/: no subscription to # has them, so
// they fill nobody else's queue.

const (
	sysDropped = "$SYS/broker/publish/messages/dropped"

	ownTopics   = "$gridgate/"
	canaries    = "gridgate/canary/" // of all gateways: never frames
	minInFlight = 100                // of fewer the PUBACKs' way limits what one connection brings
	quiet       = 500 * time.Millisecond
	probeWithin = 30 * time.Second
	probeTries  = 3
)

// BrokerQueue is what is known of the broker's queue for us.
type BrokerQueue struct {
	Measured bool   `json:"measured"`
	InFlight int    `json:"in_flight,omitempty"` // messages it sends ahead of our acknowledgements
	Waiting  int    `json:"waiting,omitempty"`   // messages it keeps behind those; 0: it has one store for all
	AtLeast  bool   `json:"at_least,omitempty"`  // it keeps all that were tried, and perhaps more
	Note     string `json:"note,omitempty"`      // why it could not be measured, or what is low

	Backlog  int       `json:"backlog"`            // messages that waited at the last connect
	Dropped  uint64    `json:"dropped"`            // by the broker's own count, for all its clients, since we look
	Gaps     uint64    `json:"gaps"`               // of our own messages that it took and did not deliver
	Lost     uint64    `json:"lost_sessions"`      // times it came back without what it kept for us
	LastLoss time.Time `json:"last_loss,omitzero"` // of what is likely ours
	LossWas  string    `json:"last_loss_was,omitempty"`
}

// whileAway is how many messages the broker keeps while we are away: those of its queue, or
// where it has one store for all, as the embedded broker has, as many as are in flight.
func (q BrokerQueue) whileAway() int {
	if q.Waiting == 0 {
		return q.InFlight
	}
	return q.Waiting
}

// queueWatch gathers the signs.
type queueWatch struct {
	mu    sync.Mutex
	state BrokerQueue

	session bool // the broker keeps a session of ours
	probing bool
	tries   int

	looked bool   // the broker's count has been seen
	total  uint64 // its last value
	base   uint64 // what of it is not since we look, or was our own doing
	own    uint64 // what we had it drop while measuring
	back   bool   // we were away since the last value
}

// lost notes messages that are gone, most likely ours.
func (t *Transport) lost(what string) {
	w := &t.queue
	w.mu.Lock()
	w.state.LastLoss, w.state.LossWas = t.cfg.Now().UTC(), what
	w.mu.Unlock()
	t.tally.Fault("broker has lost messages", grid.Errorf(grid.Unavailable, "mqtt %s: %s", t.cfg.Name, what))
}

// session notes whether the broker still had our session at this connect. The first time
// there may have been none.
func (t *Transport) sessionIs(present bool) {
	w := &t.queue
	w.mu.Lock()
	gone := w.session && !present
	w.session, w.back = true, w.looked
	if gone {
		w.state.Lost++
	}
	w.mu.Unlock()
	if gone {
		t.lost("the broker came back without our session: what was published meanwhile is lost; give it persistence")
	}
}

// dropped takes the broker's own count.
func (t *Transport) dropped(payload []byte) {
	total, err := strconv.ParseUint(strings.TrimSpace(string(payload)), 10, 64)
	if err != nil {
		return
	}
	w := &t.queue
	w.mu.Lock()
	if !w.looked {
		w.looked, w.base = true, total
	}
	if total < w.total { // the broker has started anew
		w.base, w.own = 0, 0
	}
	back, before := w.back, w.state.Dropped
	w.total, w.back = total, false
	if !w.probing && total > w.base+w.own {
		w.state.Dropped += total - w.base - w.own
		w.base, w.own = total, 0
	}
	n := w.state.Dropped - before
	w.mu.Unlock()
	failing := !t.tally.Counts().FailingSince.IsZero() // what only is slow shows as a gap
	switch {
	case n == 0:
	case back || failing:
		t.lost(fmt.Sprintf("the broker dropped %d messages while we were away or could not store: raise its limits (Mosquitto: max_queued_messages)", n))
	default:
		t.tally.Fault("broker drops messages", grid.Errorf(grid.Unavailable, "mqtt %s: the broker dropped %d messages of some client: a queue of it is full", t.cfg.Name, n))
	}
}

// count is the messages to ourselves through the broker's queue, of one connection.
type count struct {
	mu      sync.Mutex
	epoch   string
	sent    uint64
	arrived uint64
	at      time.Time // when the last was sent
}

// next says what to send now, if anything: one is on its way at a time, so that a full queue
// holds few of ours; one that does not come is followed after a while.
func (c *count) next(now time.Time, patience time.Duration) (payload string, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent != c.arrived && now.Sub(c.at) < patience {
		return "", false
	}
	c.sent++
	c.at = now
	return c.epoch + " " + strconv.FormatUint(c.sent, 10), true
}

// came takes one that arrived and says how many before it did not. They come in order.
// One of an earlier connection is not ours.
func (c *count) came(payload []byte) (gap uint64, ours bool) {
	epoch, text, _ := strings.Cut(string(payload), " ")
	n, err := strconv.ParseUint(text, 10, 64)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || epoch != c.epoch || n <= c.arrived || n > c.sent {
		return 0, false
	}
	gap = n - c.arrived - 1
	c.arrived = n
	return gap, true
}

func (t *Transport) gap(n uint64) {
	t.queue.mu.Lock()
	t.queue.state.Gaps += n
	t.queue.mu.Unlock()
	t.lost("the broker's queue for us was full: messages are lost; raise its limits (Mosquitto: max_queued_messages), or see what slows the gateway")
}

// waited sets or counts what waited for us.
func (t *Transport) waited(change func(*int)) {
	t.queue.mu.Lock()
	change(&t.queue.state.Backlog)
	t.queue.mu.Unlock()
}

func none(n *int)    { *n = 0 }
func oneMore(n *int) { *n++ }

// backlog compares how many frames waited for us with what the broker can hold.
func (t *Transport) backlog() {
	w := &t.queue
	w.mu.Lock()
	q := w.state
	full := q.Measured && !q.AtLeast && q.Backlog >= q.whileAway()
	w.mu.Unlock()
	if full {
		t.lost(fmt.Sprintf("%d messages waited for us, as many as the broker holds: more are lost (Mosquitto: max_queued_messages)", q.Backlog))
	}
}

// measure has the broker's queue measured, once, beside the connection.
func (t *Transport) measure(ctx context.Context) {
	w := &t.queue
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.cfg.SkipQueueCheck || w.probing || w.state.Measured || w.tries >= probeTries {
		return
	}
	w.probing = true
	w.tries++
	t.probes.Go(func() {
		found, own, err := t.probe(ctx)
		if ctx.Err() == nil {
			t.measured(found, own, err)
		}
	})
}

// measured keeps what was found, and says what is low.
func (t *Transport) measured(found BrokerQueue, own uint64, err error) {
	w := &t.queue
	w.mu.Lock()
	w.probing = false
	w.own += own
	s := &w.state
	if err != nil {
		s.Note = fmt.Sprintf("the broker's queue could not be measured: %v", err)
		if w.tries == probeTries {
			t.log.Warn("broker's queue is not measured", "err", err)
		}
		w.mu.Unlock()
		return
	}
	s.Measured, s.InFlight, s.Waiting, s.AtLeast, s.Note = true, found.InFlight, found.Waiting, found.AtLeast, ""
	if !s.AtLeast {
		s.Note = fmt.Sprintf("the broker keeps %d messages while we are away and drops what is more: raise its limit (Mosquitto: max_queued_messages)", s.whileAway())
	}
	if s.InFlight < minInFlight {
		s.Note = strings.TrimPrefix(s.Note+fmt.Sprintf("; the broker sends %d messages at a time: want %d or more (Mosquitto: max_inflight_messages)", s.InFlight, minInFlight), "; ")
	}
	note := s.Note
	w.mu.Unlock()
	if note != "" {
		t.log.Warn("broker's queue is small", "err", note)
	}
	t.backlog()
}

// probe measures on a connection of its own, under its own client id and a clean session:
// it publishes a bounded number of messages to itself and acknowledges none. What comes is
// what the broker sends ahead; with the acknowledgements comes what it has kept.
func (t *Transport) probe(ctx context.Context) (found BrokerQueue, own uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	t.awaitFirstCount(ctx)
	p := &probe{t: t, topic: ownTopics + "probe/" + t.cfg.ClientID, lost: make(chan error, 1), came: make(chan struct{}, 1)}
	p.client = paho.NewClient(t.options(ctx, t.cfg.ClientID+"-probe", p.broken, func(*conn) {}).SetCleanSession(true).SetDefaultPublishHandler(p.receive))
	defer p.client.Disconnect(100)
	if err := t.wait(ctx, p.lost, "connect", p.client.Connect()); err != nil {
		return found, 0, err
	}
	tok := p.client.Subscribe(p.topic, 1, nil)
	if err := t.wait(ctx, p.lost, "subscribe", tok); err != nil {
		return found, 0, err
	}
	if code := tok.(*paho.SubscribeToken).Result()[p.topic]; code != 1 {
		return found, 0, fmt.Errorf("let user %q read and write %s: the broker answers the subscription with %#x", t.cfg.Username, p.topic, code)
	}
	began := time.Now()
	for i := range t.cfg.Probe {
		tok = p.client.Publish(p.topic, 1, false, strconv.Itoa(i))
		if i%100 == 99 || i == t.cfg.Probe-1 { // they are answered in order
			if err := t.wait(ctx, p.lost, "publish", tok); err != nil {
				return found, 0, err
			}
		}
	}
	pause := max(quiet, time.Since(began)) // a slow line is given more time
	if found.InFlight, err = p.settle(ctx, pause); err != nil {
		return found, 0, err
	}
	p.acknowledge()
	held, err := p.settle(ctx, pause)
	if err != nil {
		return found, 0, err
	}
	if held == 0 {
		return found, 0, fmt.Errorf("let user %q read and write %s: nothing of what was published came back", t.cfg.Username, p.topic)
	}
	found.Waiting, found.AtLeast = held-found.InFlight, held == t.cfg.Probe
	return found, uint64(t.cfg.Probe - held), nil
}

// awaitFirstCount lets the broker's count come first, for measuring may raise it.
func (t *Transport) awaitFirstCount(ctx context.Context) {
	for range 10 {
		t.queue.mu.Lock()
		looked := t.queue.looked
		t.queue.mu.Unlock()
		if looked {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// probe is one measurement.
type probe struct {
	t      *Transport
	topic  string
	client paho.Client
	lost   chan error
	came   chan struct{} // something did

	mu     sync.Mutex
	n      int
	unsaid []paho.Message // not acknowledged
	open   bool           // acknowledge what comes
}

func (p *probe) receive(_ paho.Client, m paho.Message) {
	p.mu.Lock()
	if p.n++; p.open {
		m.Ack()
	} else {
		p.unsaid = append(p.unsaid, m)
	}
	p.mu.Unlock()
	select {
	case p.came <- struct{}{}:
	default:
	}
}

func (p *probe) acknowledge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = true
	for _, m := range p.unsaid {
		m.Ack()
	}
	p.unsaid = nil
}

func (p *probe) broken(err error) {
	select {
	case p.lost <- err:
	default:
	}
}

// settle waits until nothing has come for a while, or all has, and returns how many came.
func (p *probe) settle(ctx context.Context, pause time.Duration) (int, error) {
	for {
		p.mu.Lock()
		n := p.n
		p.mu.Unlock()
		if n == p.t.cfg.Probe {
			return n, nil
		}
		select {
		case <-p.came:
		case <-time.After(pause):
			return n, nil
		case err := <-p.lost:
			return 0, err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
