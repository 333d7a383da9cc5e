package simulator

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"gridgate/internal/grid"
)

// Types and codes of CoAP (RFC 7252, section 12).
const (
	coapCON, coapNON, coapACK, coapRST byte = 0, 1, 2, 3

	codeGET, codePOST, codePUT                                    byte = 0x01, 0x02, 0x03
	codeCreated, codeDeleted, codeValid, codeChanged, codeContent byte = 0x41, 0x42, 0x43, 0x44, 0x45
	codeNotFound, codeNotAllowed                                  byte = 0x84, 0x85
	codeTooMany, codeUnavailable                                  byte = 0x9d, 0xa3
)

// Options.
const (
	optObserve, optLocationPath, optUriPath, optFormat, optMaxAge, optUriQuery uint16 = 6, 8, 11, 12, 14, 15
)

// coapMessage is a message of CoAP over UDP.
type coapMessage struct {
	kind    byte
	code    byte
	id      uint16
	token   []byte
	options []coapOption // in the order of their numbers
	payload []byte
}

type coapOption struct {
	number uint16
	value  []byte
}

func (m *coapMessage) add(number uint16, value []byte) {
	m.options = append(m.options, coapOption{number, value})
}

// uint writes a number as CoAP does: without leading zeros.
func coapUint(v uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, v)
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

func (m *coapMessage) number(option uint16) (v uint32, said bool) {
	for _, o := range m.options {
		if o.number == option {
			for _, c := range o.value {
				v = v<<8 | uint32(c)
			}
			return v, true
		}
	}
	return 0, false
}

func (m *coapMessage) path(option uint16) string {
	var b strings.Builder
	for _, o := range m.options {
		if o.number == option {
			b.WriteByte('/')
			b.Write(o.value)
		}
	}
	return b.String()
}

// target adds the options of a path with its query.
func (m *coapMessage) target(path string, format uint16, hasFormat bool) {
	path, query, _ := strings.Cut(path, "?")
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		m.add(optUriPath, []byte(part))
	}
	if hasFormat {
		m.add(optFormat, coapUint(uint32(format)))
	}
	if query != "" {
		for _, part := range strings.Split(query, "&") {
			if plain, err := url.QueryUnescape(part); err == nil {
				part = plain
			}
			m.add(optUriQuery, []byte(part))
		}
	}
}

func (m *coapMessage) encode() []byte {
	b := []byte{1<<6 | m.kind<<4 | byte(len(m.token)), m.code, byte(m.id >> 8), byte(m.id)}
	b = append(b, m.token...)
	last := uint16(0)
	nibble := func(n int) (byte, []byte) {
		switch {
		case n < 13:
			return byte(n), nil
		case n < 269:
			return 13, []byte{byte(n - 13)}
		}
		return 14, be16(nil, uint16(n-269))
	}
	for _, o := range m.options {
		d, dx := nibble(int(o.number - last))
		n, nx := nibble(len(o.value))
		b = append(append(append(append(b, d<<4|n), dx...), nx...), o.value...)
		last = o.number
	}
	if len(m.payload) > 0 {
		b = append(append(b, 0xff), m.payload...)
	}
	return b
}

var errCoAP = errors.New("the datagram is no CoAP message")

func decodeCoAP(b []byte) (m coapMessage, err error) {
	if len(b) < 4 || b[0]>>6 != 1 || int(b[0]&15) > 8 || len(b) < 4+int(b[0]&15) {
		return m, errCoAP
	}
	m.kind, m.code, m.id = b[0]>>4&3, b[1], binary.BigEndian.Uint16(b[2:])
	n := int(b[0] & 15)
	m.token, b = b[4:4+n], b[4+n:]
	number := 0
	more := func(nibble byte) (int, bool) {
		switch {
		case nibble < 13:
			return int(nibble), true
		case nibble == 13 && len(b) >= 1:
			v := int(b[0]) + 13
			b = b[1:]
			return v, true
		case nibble == 14 && len(b) >= 2:
			v := int(binary.BigEndian.Uint16(b)) + 269
			b = b[2:]
			return v, true
		}
		return 0, false
	}
	for len(b) > 0 {
		head := b[0]
		b = b[1:]
		if head == 0xff {
			m.payload = b
			return m, nil
		}
		delta, ok := more(head >> 4)
		length, fine := more(head & 15)
		if !ok || !fine || len(b) < length {
			return m, errCoAP
		}
		number += delta
		m.add(uint16(number), b[:length])
		b = b[length:]
	}
	return m, nil
}

// Times of RFC 7252, section 4.8.
const (
	ackTimeout    = 2 * time.Second
	maxRetransmit = 4
)

// coapPeer is one socket, and the exchanges over it.
type coapPeer struct {
	dial func(ctx context.Context) (net.Conn, error)
	// request, if not nil, answers what the gateway asks.
	request func(coapMessage) coapMessage

	conn    net.Conn
	id      uint16
	reading sync.WaitGroup
	mu      sync.Mutex
	waits   map[string]chan coapMessage // by token; "id:…" by message id
	writing sync.Mutex
}

func newCoAPPeer(dial func(ctx context.Context) (net.Conn, error)) *coapPeer {
	return &coapPeer{dial: dial, id: uint16(rand.Uint32()), waits: map[string]chan coapMessage{}}
}

func (p *coapPeer) open(ctx context.Context) error {
	if p.conn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	p.conn = conn
	p.reading.Go(func() { p.read(conn) })
	return nil
}

// close gives the socket up; the next exchange opens another.
func (p *coapPeer) close() {
	if p.conn == nil {
		return
	}
	p.conn.Close()
	p.reading.Wait()
	p.conn = nil
}

func (p *coapPeer) write(m coapMessage) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err := p.conn.Write(m.encode())
	return err
}

func (p *coapPeer) read(conn net.Conn) {
	buf := make([]byte, 4<<10) // a gateway's answer fits a datagram that nobody cuts
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || err != nil && !transient(err) {
			return
		} else if err != nil {
			continue // nobody listens at the moment
		}
		m, err := decodeCoAP(append([]byte(nil), buf[:n]...))
		if err != nil {
			continue
		}
		p.take(m)
	}
}

// transient errors of a UDP socket come from ICMP, and pass.
func transient(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout() && strings.Contains(op.Error(), "refused")
}

func (p *coapPeer) take(m coapMessage) {
	if m.code >= codeGET && m.code < 0x20 {
		var answer coapMessage
		if p.request == nil {
			answer = coapMessage{code: codeNotFound}
		} else {
			answer = p.request(m)
		}
		answer.kind, answer.id, answer.token = coapNON, p.nextID(), m.token
		if m.kind == coapCON {
			answer.kind, answer.id = coapACK, m.id
		}
		_ = p.write(answer) // it asks again
		return
	}
	if m.kind == coapCON {
		_ = p.write(coapMessage{kind: coapACK, id: m.id})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range []string{idKey(m.id), string(m.token)} {
		if m.kind != coapACK && m.kind != coapRST && key == idKey(m.id) {
			continue // its own number, not ours
		}
		if ch := p.waits[key]; ch != nil {
			select {
			case ch <- m:
			default: // a repetition
			}
			return
		}
	}
}

func idKey(id uint16) string { return fmt.Sprintf("id:%d", id) }

func (p *coapPeer) nextID() uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id++
	return p.id
}

// exchange sends a confirmable message until it is acknowledged and, if it is a request,
// answered.
func (p *coapPeer) exchange(ctx context.Context, m coapMessage, answered bool) (coapMessage, error) {
	m.kind, m.id = coapCON, p.nextID()
	if len(m.token) == 0 {
		m.token = be32(nil, rand.Uint32())
	}
	ch := make(chan coapMessage, 4)
	p.mu.Lock()
	p.waits[idKey(m.id)] = ch
	if answered {
		p.waits[string(m.token)] = ch
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waits, idKey(m.id))
		if answered {
			delete(p.waits, string(m.token))
		}
		p.mu.Unlock()
	}()
	wait := ackTimeout + rand.N(ackTimeout/2)
	acked := false
	for try := 0; ; try++ {
		if !acked {
			if err := p.write(m); err != nil && !transient(err) {
				return coapMessage{}, err
			}
		}
		timer := time.NewTimer(wait)
		select {
		case a := <-ch:
			timer.Stop()
			switch {
			case a.kind == coapRST:
				return a, errReset
			case a.code != 0 || !answered:
				return a, nil
			}
			acked, wait = true, 30*time.Second // the answer comes by itself
			try--
		case <-ctx.Done():
			timer.Stop()
			return coapMessage{}, ctx.Err()
		case <-timer.C:
			if acked || try >= maxRetransmit {
				return coapMessage{}, errors.New("no answer")
			}
			wait *= 2
		}
	}
}

var errReset = errors.New("the gateway does not know what this is about")

// coapSockets is how many sockets a fleet has at most, of some 12 KB each.
const coapSockets = 4096

// CoAPConfig says how devices reach the gateway by CoAP.
type CoAPConfig struct {
	Addr   string // host:port of UDP, or of DTLS
	Window int    // messages in flight; 0 is 256
	Told   Told
	// Key is the key of a device: CoAPS.
	Key func(id grid.Identity) []byte
}

// NewCoAP makes a Link over UDP. Some thousand devices have a socket each; more share them,
// each always the same one. (A gateway bounds what one address may ask: too many devices
// behind one would be held back where real ones are not.)
func NewCoAP(cfg CoAPConfig) *Lanes {
	key := func(m Message) string {
		h := fnv.New32a()
		h.Write([]byte(m.Identity))
		return fmt.Sprint(h.Sum32() % coapSockets)
	}
	return newLanes(window(cfg.Window), cfg.Told, key, func(string) carrier {
		return &coapSender{newCoAPPeer(dialUDP(cfg.Addr))}
	})
}

// NewCoAPS makes a Link over DTLS 1.2: each device has a session of its own, with its key.
func NewCoAPS(cfg CoAPConfig) *Lanes {
	key := func(m Message) string { return string(m.Identity) }
	return newLanes(window(cfg.Window), cfg.Told, key, func(id string) carrier {
		return &coapSender{newCoAPPeer(dialDTLS(cfg.Addr, id, cfg.Key(grid.Identity(id))))}
	})
}

func window(n int) int {
	if n == 0 {
		return 256
	}
	return n
}

func dialUDP(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", addr)
	}
}

func dialDTLS(addr, identity string, key []byte) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		to, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return nil, err
		}
		conn, err := piondtls.DialWithOptions("udp", to,
			piondtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
			piondtls.WithPSKIdentityHint([]byte(identity)),
			piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8),
			piondtls.WithConnectionIDGenerator(piondtls.OnlySendCIDGenerator()))
		if err != nil {
			return nil, err
		}
		if err := conn.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// coapSender posts frames.
type coapSender struct{ peer *coapPeer }

func (s *coapSender) close() { s.peer.close() }

func (s *coapSender) carry(ctx context.Context, m Message) error {
	if err := s.peer.open(ctx); err != nil {
		return err
	}
	post := coapMessage{code: codePOST, payload: m.Payload}
	post.target(m.Topic, m.Format, true)
	answer, err := s.peer.exchange(ctx, post, true)
	if err != nil {
		s.peer.close() // another port, or another session: the gateway may have started anew
		return err
	}
	return said(&answer)
}

// said is what an answer means for who sent.
func said(answer *coapMessage) error {
	err := fmt.Errorf("%d.%02d %.200s", answer.code>>5, answer.code&31, answer.payload)
	switch {
	case answer.code>>5 == 2:
		return nil
	case answer.code == codeTooMany, answer.code == codeUnavailable:
		after := time.Minute // the default of Max-Age
		if n, ok := answer.number(optMaxAge); ok {
			after = time.Duration(n) * time.Second
		}
		return laterError{min(after, time.Minute), err}
	case answer.code>>5 == 4 && answer.code != 0x88: // 4.08: begin again
		return refused{err}
	}
	return err
}

// Key is the pre-shared key of a device of this city, of 16 bytes.
func (c *City) Key(id grid.Identity) []byte {
	mac := hmac.New(sha256.New, binary.BigEndian.AppendUint64([]byte("gridsim device key"), c.cfg.Seed))
	mac.Write([]byte(id))
	return mac.Sum(nil)[:16]
}

// WriteKeys writes the keys of all devices that speak over DTLS, as the gateway's
// coap.dtls.keys_file wants them.
func (c *City) WriteKeys(path string) error {
	return writeWhole(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "# Written by gridsim. Everything here is simulated.\ndevices:\n"); err != nil {
			return err
		}
		for i := range c.records {
			d := c.Device(i)
			if d.Wire != CoAPS && (d.Wire != LwM2M || !c.cfg.Secured) {
				continue
			}
			if _, err := fmt.Fprintf(w, "  - {device: %q, psk: %s}\n", d.Identity, hex.EncodeToString(c.Key(d.Identity))); err != nil {
				return err
			}
		}
		return nil
	})
}
