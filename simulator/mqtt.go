package simulator

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gridgate/internal/grid"
)

// Broker says how to reach an MQTT 3.1.1 broker.
type Broker struct {
	URL      string // mqtt:// or tcp://, mqtts:// or ssl://
	User     string
	Password string
}

// dial connects and logs in; the session is kept by the broker under client.
func (b Broker) dial(ctx context.Context, client string, keepAlive time.Duration) (net.Conn, *bufio.Reader, error) {
	u, err := url.Parse(b.URL)
	if err != nil || u.Host == "" {
		return nil, nil, grid.Errorf(grid.Invalid, "broker is %q: want mqtt://host:port or mqtts://host:port", b.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var conn net.Conn
	switch u.Scheme {
	case "mqtt", "tcp":
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", withPort(u.Host, "1883"))
	case "mqtts", "ssl", "tls":
		conn, err = (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", withPort(u.Host, "8883"))
	default:
		return nil, nil, grid.Errorf(grid.Invalid, "broker is %q: want mqtt:// or mqtts://", b.URL)
	}
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(conn, 64<<10)
	if err := b.login(conn, r, client, keepAlive); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("broker %s: %w", u.Host, err)
	}
	return conn, r, nil
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

func (b Broker) login(conn net.Conn, r *bufio.Reader, client string, keepAlive time.Duration) error {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	defer conn.SetDeadline(time.Time{})
	if _, err := conn.Write(b.connect(client, keepAlive)); err != nil {
		return err
	}
	kind, body, err := readPacket(r)
	switch {
	case err != nil:
		return fmt.Errorf("login: %w", err)
	case kind != 0x20 || len(body) < 2:
		return errors.New("login: the answer is no CONNACK")
	case body[1] == 4 || body[1] == 5:
		return grid.Errorf(grid.Unauthorized, "login as %q is refused", b.User)
	case body[1] != 0:
		return fmt.Errorf("login is refused with code %d", body[1])
	}
	return nil
}

func (b Broker) connect(client string, keepAlive time.Duration) []byte {
	var flags byte // clean session off: what is unacknowledged is sent again into the same session
	body := append(appendString(nil, "MQTT"), 4)
	if b.User != "" {
		flags |= 0xC0
	}
	body = append(body, flags)
	body = binary.BigEndian.AppendUint16(body, uint16(keepAlive/time.Second))
	body = appendString(body, client)
	if b.User != "" {
		body = appendString(appendString(body, b.User), b.Password)
	}
	return append(appendLength([]byte{0x10}, len(body)), body...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendLength(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// appendPublish adds a PUBLISH of QoS 1.
func appendPublish(b []byte, id uint16, dup bool, topic string, payload []byte) []byte {
	b = append(b, 0x32|bit(dup, 3))
	b = appendLength(b, 2+len(topic)+2+len(payload))
	b = appendString(b, topic)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, payload...)
}

// readPacket reads one packet of a broker to a publisher; such packets are short.
func readPacket(r *bufio.Reader) (kind byte, body []byte, err error) {
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n := 0
	for shift := 0; ; shift += 7 {
		c, err := r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		n |= int(c&0x7F) << shift
		if c < 0x80 {
			break
		}
		if shift > 7 {
			return 0, nil, errors.New("packet is longer than a publisher expects")
		}
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return kind & 0xF0, body, err
}

// Publisher publishes with QoS 1 and keeps every message until the broker has
// acknowledged it: after a reconnect what is open is sent again, in order, marked DUP.
type Publisher struct {
	broker Broker
	client string
	acked  func(Message)
	onLink func(err error) // nil: connected

	slots chan struct{} // in flight, bounded
	queue chan Message

	mu     sync.Mutex
	open   map[uint16]flight
	nextID uint16
	seq    uint64

	Sent, Acked, Resent atomic.Uint64
}

type flight struct {
	Message
	id  uint16
	seq uint64
}

// NewPublisher makes a publisher with at most window messages in flight. acked, if not
// nil, is called for every acknowledged message; onLink, if not nil, when the connection
// comes (nil) or goes.
func NewPublisher(b Broker, client string, window int, acked func(Message), onLink func(error)) *Publisher {
	window = min(max(window, 1), 16_000)
	if acked == nil {
		acked = func(Message) {}
	}
	if onLink == nil {
		onLink = func(error) {}
	}
	return &Publisher{broker: b, client: client, acked: acked, onLink: onLink,
		slots: make(chan struct{}, window), queue: make(chan Message, window), open: map[uint16]flight{}}
}

// Publish hands m over, waiting while the window is full. The broker has it once Acked
// counts it.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.queue <- m // holds as many as there are slots: never blocks
	return nil
}

// Drain waits until everything published is acknowledged.
func (p *Publisher) Drain(ctx context.Context) error {
	for range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return grid.Errorf(grid.Unavailable, "%d messages are not acknowledged", p.Pending())
		}
	}
	for range cap(p.slots) {
		<-p.slots
	}
	return nil
}

// Pending counts what is handed over and not acknowledged.
func (p *Publisher) Pending() int { return len(p.slots) }

// Run keeps a connection until ctx is done. It returns early only if the broker refuses
// the login or its address is no address.
func (p *Publisher) Run(ctx context.Context) error {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		conn, r, err := p.broker.dial(ctx, p.client, 30*time.Second)
		if err == nil {
			pause = 50 * time.Millisecond
			p.onLink(nil)
			err = p.serve(ctx, conn, r)
		} else if c := grid.CodeOf(err); c == grid.Unauthorized || c == grid.Invalid {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		p.onLink(err)
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(pause)):
		}
		pause = min(2*pause, 2*time.Second)
	}
	return nil
}

// serve writes on one connection until it breaks or ctx is done.
func (p *Publisher) serve(ctx context.Context, conn net.Conn, r *bufio.Reader) error {
	broken := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer conn.Close()
	wg.Go(func() { broken <- p.readAcks(conn, r) })
	w := bufio.NewWriterSize(conn, 32<<10)
	if err := p.resend(conn, w); err != nil {
		return err
	}
	ping := time.NewTicker(15 * time.Second)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			w.Write([]byte{0xE0, 0}) // DISCONNECT: a courtesy
			return w.Flush()
		case err := <-broken:
			return err
		case <-ping.C:
			w.Write([]byte{0xC0, 0}) // errors stick to the writer and show at Flush
		case m := <-p.queue:
			f := p.take(m)
			w.Write(appendPublish(w.AvailableBuffer(), f.id, false, f.Topic, f.Payload))
			p.Sent.Add(1)
			if len(p.queue) > 0 {
				continue
			}
		}
		conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
		if err := w.Flush(); err != nil {
			return err
		}
	}
}

// take gives a message its packet id.
func (p *Publisher) take(m Message) flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.nextID++
		if _, used := p.open[p.nextID]; p.nextID != 0 && !used {
			break
		}
	}
	p.seq++
	f := flight{m, p.nextID, p.seq}
	p.open[f.id] = f
	return f
}

func (p *Publisher) resend(conn net.Conn, w *bufio.Writer) error {
	p.mu.Lock()
	open := make([]flight, 0, len(p.open))
	for _, f := range p.open {
		open = append(open, f)
	}
	p.mu.Unlock()
	slices.SortFunc(open, func(a, b flight) int { return int(int64(a.seq - b.seq)) })
	conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
	for _, f := range open {
		w.Write(appendPublish(w.AvailableBuffer(), f.id, true, f.Topic, f.Payload))
		p.Resent.Add(1)
	}
	return w.Flush()
}

func (p *Publisher) readAcks(conn net.Conn, r *bufio.Reader) error {
	for {
		conn.SetReadDeadline(time.Now().Add(60 * time.Second)) // pings are answered more often
		kind, body, err := readPacket(r)
		if err != nil {
			return err
		}
		if kind != 0x40 || len(body) < 2 {
			continue
		}
		id := binary.BigEndian.Uint16(body)
		p.mu.Lock()
		f, ok := p.open[id]
		delete(p.open, id)
		p.mu.Unlock()
		if ok {
			p.acked(f.Message)
			p.Acked.Add(1)
			<-p.slots
		}
	}
}
