package mqtt

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
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

	heard   atomic.Int64 // when the last message came, Unix nanoseconds
	echoed  atomic.Bool  // the broker has sent us something
	waiting atomic.Bool  // the handler waits for room in the window
}

func (t *Transport) newLink(ctx context.Context) *link {
	l := &link{t: t, lost: make(chan error, 1)}
	o := paho.NewClientOptions().
		AddBroker(t.cfg.URL).
		SetProtocolVersion(4).
		SetClientID(t.cfg.ClientID).
		SetUsername(t.cfg.Username).
		SetPassword(t.cfg.Password).
		SetCleanSession(false).   // the broker keeps what comes while we are away
		SetAutoAckDisabled(true). // a message is acknowledged when it is durable
		SetOrderMatters(true).    // else each message gets a goroutine
		SetAutoReconnect(false).  // see link
		SetConnectRetry(false).
		SetStore(noStore{}). // the window keeps what comes; what we send is not worth keeping
		SetKeepAlive(t.cfg.KeepAlive).
		SetPingTimeout(min(10*time.Second, t.cfg.KeepAlive)).
		SetConnectTimeout(t.cfg.ConnectTimeout).
		SetWriteTimeout(time.Second).
		// The backlog of the session comes before any subscription is answered: the handler
		// must be there before the connection.
		SetDefaultPublishHandler(l.receive).
		SetConnectionLostHandler(func(_ paho.Client, err error) { l.broken(err) }).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			c, err := t.dial(ctx, l.broken)
			if err != nil {
				return nil, err
			}
			l.conn.Store(c)
			return c, nil
		})
	l.client = paho.NewClient(o)
	return l
}

// serve connects, subscribes, and stays until the connection is lost, which is the error,
// or ctx is done.
func (l *link) serve(ctx context.Context) error {
	defer l.close()
	if err := l.wait(ctx, "connect", l.client.Connect()); err != nil {
		return err
	}
	l.heard.Store(time.Now().UnixNano())
	canary, err := l.subscribe(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(l.t.cfg.CanaryEvery)
	defer tick.Stop()
	sing := canary
	for {
		if sing {
			// Paho takes it within the write timeout; its answer comes to receive.
			l.client.Publish(l.t.canary, 0, false, strconv.FormatInt(time.Now().UnixNano(), 10))
		}
		sing = false
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
func (l *link) wait(ctx context.Context, what string, tok paho.Token) error {
	timeout := time.NewTimer(l.t.cfg.ConnectTimeout)
	defer timeout.Stop()
	select {
	case <-tok.Done():
		if err := tok.Error(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case err := <-l.lost:
		return fmt.Errorf("%s: %w", what, err)
	case <-timeout.C:
		return fmt.Errorf("%s: no answer in %v", what, l.t.cfg.ConnectTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// subscribe asks for all topics and the canary. A broker refuses a topic not by an error
// but by a code in its answer. It reports whether the canary may be used.
func (l *link) subscribe(ctx context.Context) (canary bool, err error) {
	filters := map[string]byte{l.t.canary: 0}
	for _, topic := range l.t.cfg.Topics {
		filters[topic] = 1
	}
	tok := l.client.SubscribeMultiple(filters, nil)
	if err := l.wait(ctx, "subscribe", tok); err != nil {
		return false, err
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
	return canary, nil
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
	if m.Topic() == l.t.canary {
		if sent, err := strconv.ParseInt(string(m.Payload()), 10, 64); err == nil {
			l.t.rtt.Store(int64(time.Since(time.Unix(0, sent))))
		}
		return
	}
	l.waiting.Store(true)
	l.t.take(l, m)
	l.waiting.Store(false)
	l.heard.Store(time.Now().UnixNano())
}

// acknowledge writes PUBACKs, all in one write. Paho's own way brings each through three
// goroutines to a write of its own: 8 µs a frame, more than all the rest (the benchmark
// shows it). A write to a connection is atomic, so it cannot tear a packet of Paho's.
func (l *link) acknowledge(rs []receipt) error {
	buf := make([]byte, 0, 4*len(rs))
	for _, r := range rs {
		buf = append(buf, 0x40, 2, byte(r.id>>8), byte(r.id))
	}
	_, err := l.conn.Load().Write(buf)
	return err
}

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
