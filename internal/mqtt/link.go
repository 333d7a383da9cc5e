package mqtt

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/grid"
)

const (
	refused = 0x80 // the SUBACK code

	// stopWithin bounds the goodbye to the broker.
	stopWithin = 500 * time.Millisecond
)

// link is one connection, from dial to loss. Paho's own reconnecting is off: it keeps
// subscriptions that the broker may have forgotten, waits up to ten minutes without jitter,
// and sleeps where it cannot be stopped. A new connection is a new client.
type link struct {
	t      *Transport
	client paho.Client
	conn   atomic.Pointer[conn]
	lost   chan error
	ready  atomic.Bool   // connected and subscribed
	over   chan struct{} // closed when it is not any more
	order  order
	count  count
	caught atomic.Bool // our first counted message has come: what waited for us is through

	heard   atomic.Int64 // when the last message came, Unix nanoseconds
	echoed  atomic.Bool  // the broker has sent us something
	waiting atomic.Bool  // the handler waits for room in the window
}

func (t *Transport) newLink(ctx context.Context) *link {
	l := &link{t: t, lost: make(chan error, 1), over: make(chan struct{})}
	l.count.epoch = strconv.FormatInt(time.Now().UnixNano(), 36)
	l.caught.Store(t.cfg.SkipQueueCheck)
	t.waited(none)
	o := t.options(ctx, t.cfg.ClientID, l.broken, l.conn.Store).
		SetCleanSession(false). // the broker keeps what comes while we are away
		// The backlog of the session comes before any subscription is answered: the handler
		// must be there before the connection.
		SetDefaultPublishHandler(l.receive)
	l.client = paho.NewClient(o)
	return l
}

// options are those of every connection to the broker. broken is told why it ended, opened
// of the connection.
func (t *Transport) options(ctx context.Context, id string, broken func(error), opened func(*conn)) *paho.ClientOptions {
	return paho.NewClientOptions().
		AddBroker(t.cfg.URL).
		SetProtocolVersion(4).
		SetClientID(id).
		SetUsername(t.cfg.Username).
		SetPassword(t.cfg.Password).
		SetAutoAckDisabled(true). // a message is acknowledged when it is durable
		SetOrderMatters(true).    // else each message gets a goroutine
		SetAutoReconnect(false).  // see link
		SetConnectRetry(false).
		SetStore(noStore{}). // the window keeps what comes; what we send is not worth keeping
		SetKeepAlive(t.cfg.KeepAlive).
		SetPingTimeout(min(10*time.Second, t.cfg.KeepAlive)).
		SetConnectTimeout(t.cfg.ConnectTimeout).
		SetWriteTimeout(time.Second).
		SetConnectionLostHandler(func(_ paho.Client, err error) { broken(err) }).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			c, err := t.dial(ctx, broken)
			if err != nil {
				return nil, err
			}
			opened(c)
			return c, nil
		})
}

// serve connects, subscribes, and stays until the connection is lost, which is the error,
// or ctx is done.
func (l *link) serve(ctx context.Context) error {
	defer l.close()
	defer close(l.over)
	defer l.ready.Store(false)
	tok := l.client.Connect()
	if err := l.t.wait(ctx, l.lost, "connect", tok); err != nil {
		return err
	}
	l.heard.Store(time.Now().UnixNano())
	l.t.sessionIs(tok.(*paho.ConnectToken).SessionPresent())
	canary, counted, err := l.subscribe(ctx)
	if err != nil {
		return err
	}
	l.ready.Store(true)
	l.t.measure(ctx)
	tick := time.NewTicker(l.t.cfg.CanaryEvery)
	defer tick.Stop()
	sing := canary
	for {
		if sing {
			// Paho takes it within the write timeout; its answer comes to receive.
			l.client.Publish(l.t.canary, 0, false, strconv.FormatInt(time.Now().UnixNano(), 10))
		}
		sing = false
		if n, due := l.count.next(time.Now(), 5*l.t.cfg.CanaryEvery); counted && due {
			l.client.Publish(l.t.counted, 1, false, n)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-l.lost:
			return err
		case q := <-l.t.asks:
			l.client.Publish(q.topic, 0, false, q.payload)
			continue
		case <-tick.C:
			sing = canary
		}
		if err := l.deaf(); canary && err != nil {
			return err
		}
	}
}

// wait waits for Paho to finish what it was asked.
func (t *Transport) wait(ctx context.Context, lost <-chan error, what string, tok paho.Token) error {
	timeout := time.NewTimer(t.cfg.ConnectTimeout)
	defer timeout.Stop()
	select {
	case <-tok.Done():
		if err := tok.Error(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case err := <-lost:
		return fmt.Errorf("%s: %w", what, err)
	case <-timeout.C:
		return fmt.Errorf("%s: no answer in %v", what, t.cfg.ConnectTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// subscribe asks for all topics and the canary. A broker refuses a topic not by an error
// but by a code in its answer. It reports whether the canary may be used, and the count.
func (l *link) subscribe(ctx context.Context) (canary, counted bool, err error) {
	filters := map[string]byte{l.t.canary: 0}
	if !l.t.cfg.SkipQueueCheck {
		filters[sysDropped], filters[l.t.counted] = 0, 1
	}
	for _, topic := range l.t.cfg.Topics {
		filters[topic] = 1
	}
	tok := l.client.SubscribeMultiple(filters, nil)
	if err := l.t.wait(ctx, l.lost, "subscribe", tok); err != nil {
		if !l.t.cfg.SkipQueueCheck {
			err = fmt.Errorf("%w (for a broker that closes the connection over topics that begin with $, set skip_queue_check)", err)
		}
		return false, false, err
	}
	result := tok.(*paho.SubscribeToken).Result()
	var subs []Subscription
	for _, topic := range l.t.cfg.Topics {
		code, answered := result[topic]
		s := Subscription{Topic: topic, QoS: code, Refused: !answered || code == refused}
		if s.Refused {
			s.QoS = 0
			l.t.tally.Fault("subscription refused", grid.Errorf(grid.Forbidden, "mqtt %s: the broker refuses the subscription to %q: let user %q read it", l.t.cfg.Name, topic, l.t.cfg.Username))
		}
		subs = append(subs, s)
	}
	canary = result[l.t.canary] != refused
	if !canary {
		l.t.tally.Fault("subscription refused", grid.Errorf(grid.Forbidden, "mqtt %s: the broker refuses the canary: let user %q read and write %q", l.t.cfg.Name, l.t.cfg.Username, l.t.canary))
	}
	l.t.connected(subs, !canary)
	code, asked := result[l.t.counted]
	return canary, asked && code == 1, nil
}

// deaf says that nothing has come for too long, not even what we sent to ourselves.
// While the window is full we are the ones who do not listen.
func (l *link) deaf() error {
	since := time.Since(time.Unix(0, l.heard.Load()))
	if l.waiting.Load() || since <= l.t.cfg.DeafAfter {
		return nil
	}
	return fmt.Errorf("%w: connected, and nothing has come for %v, not even our own message to %s", errDeaf, since.Round(100*time.Millisecond), l.t.canary)
}

// receive is Paho's handler. It must not publish or wait for Paho; it waits only while the
// window is full, which is the back-pressure.
func (l *link) receive(_ paho.Client, m paho.Message) {
	l.heard.Store(time.Now().UnixNano())
	l.echoed.Store(true)
	if topic := m.Topic(); topic[:min(1, len(topic))] == "$" || strings.HasPrefix(topic, canaries) {
		l.own(m)
		return
	}
	if m.Qos() > 0 {
		l.order.taken()
		if !l.caught.Load() {
			l.t.waited(oneMore)
		}
	}
	l.waiting.Store(true)
	l.t.take(l, m)
	l.waiting.Store(false)
	l.heard.Store(time.Now().UnixNano())
}

// own takes what is no frame: messages to ourselves, of other gateways to themselves, and
// what the broker says of itself.
func (l *link) own(m paho.Message) {
	switch m.Topic() {
	case l.t.canary:
		if sent, err := strconv.ParseInt(string(m.Payload()), 10, 64); err == nil {
			l.t.rtt.Store(int64(time.Since(time.Unix(0, sent))))
		}
	case l.t.counted:
		gap, ours := l.count.came(m.Payload())
		if gap > 0 {
			l.t.gap(gap)
		}
		if !ours && !l.caught.Load() {
			l.t.waited(oneMore)
		}
		if ours && !l.caught.Swap(true) {
			l.t.backlog()
		}
	case sysDropped:
		l.t.dropped(m.Payload())
	}
	if m.Qos() > 0 {
		_ = l.order.own(m.MessageID(), l.write)
	}
}

// acknowledge writes PUBACKs, all in one write. Paho's own way brings each through three
// goroutines to a write of its own: 8 µs a frame, more than all the rest (the benchmark
// shows it). A write to a connection is atomic, so it cannot tear a packet of Paho's.
func (l *link) acknowledge(rs []receipt) error { return l.order.stored(rs, l.write) }

func (l *link) write(pubacks []byte) error {
	_, err := l.conn.Load().Write(pubacks)
	return err
}

// order has PUBACKs leave in the order in which the messages came, as MQTT wants it: those
// of messages to ourselves wait until the frames before them are stored.
type order struct {
	mu   sync.Mutex
	in   uint64 // frames that came
	out  uint64 // frames acknowledged
	wait []ownAck
}

// ownAck is owed for a message to ourselves, after so many frames.
type ownAck struct {
	after uint64
	id    uint16
}

func (o *order) taken() {
	o.mu.Lock()
	o.in++
	o.mu.Unlock()
}

func (o *order) own(id uint16, write func([]byte) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wait = append(o.wait, ownAck{o.in, id})
	return o.flush(nil, write)
}

func (o *order) stored(rs []receipt, write func([]byte) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf := make([]byte, 0, 4*(len(rs)+len(o.wait)))
	for _, r := range rs {
		buf = o.due(buf)
		buf = puback(buf, r.id)
		o.out++
	}
	return o.flush(buf, write)
}

// due adds what may go now.
func (o *order) due(buf []byte) []byte {
	for len(o.wait) > 0 && o.wait[0].after <= o.out {
		buf = puback(buf, o.wait[0].id)
		o.wait = o.wait[1:]
	}
	return buf
}

func (o *order) flush(buf []byte, write func([]byte) error) error {
	if buf = o.due(buf); len(buf) == 0 {
		return nil
	}
	return write(buf)
}

func puback(buf []byte, id uint16) []byte { return append(buf, 0x40, 2, byte(id>>8), byte(id)) }

// broken notes why the connection ended; the first reason counts.
func (l *link) broken(err error) {
	select {
	case l.lost <- err:
	default:
	}
}

// cut closes the connection without a word, so that the broker sends again what is not
// acknowledged.
func (l *link) cut(err error) {
	l.broken(err)
	if c := l.conn.Load(); c != nil {
		_ = c.Conn.Close()
	}
}

func (l *link) close() {
	l.client.Disconnect(uint(stopWithin.Milliseconds()))
	if c := l.conn.Load(); c != nil {
		_ = c.Close()
	}
}

// Subscription is the broker's answer to one of our topics.
type Subscription struct {
	Topic   string `json:"topic"`
	QoS     byte   `json:"qos"` // granted
	Refused bool   `json:"refused,omitempty"`
}

func (t *Transport) connected(subs []Subscription, canaryRefused bool) {
	t.mu.Lock()
	t.status.Connected, t.status.Since, t.status.Deaf = true, t.cfg.Now().UTC(), false
	t.status.Subscriptions, t.status.CanaryRefused = subs, canaryRefused
	t.mu.Unlock()
	t.log.Info("connected to broker", "in", t.peer, "refused", slices.ContainsFunc(subs, func(s Subscription) bool { return s.Refused }))
}
