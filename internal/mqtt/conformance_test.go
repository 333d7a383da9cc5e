package mqtt

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestTransportKeepsThePromiseOfATransport(t *testing.T) {
	gatetest.TestTransport(t, func(t *testing.T, in grid.Ingester, giveUp time.Duration) gatetest.Peer {
		b := startScripted(t)
		tr, _ := start(t, Config{URL: "mqtt://" + b.l.Addr().String(), GiveUp: giveUp, MaxBackoff: time.Hour}, in)
		connected(t, tr)
		return b
	})
}

// scripted is a broker that serves one connection and lets a test see each PUBACK.
type scripted struct {
	l net.Listener

	mu     sync.Mutex
	conn   net.Conn
	sent   map[uint16]string
	next   uint16
	acked  []string
	closed bool
}

func startScripted(t testing.TB) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &scripted{l: l, sent: make(map[uint16]string)}
	go b.serve()
	t.Cleanup(func() { _ = l.Close() })
	return b
}

func (b *scripted) serve() {
	c, err := b.l.Accept()
	if err != nil {
		return
	}
	_ = b.l.Close()
	b.conn = c
	r := bufio.NewReader(c)
	for {
		first, err := r.ReadByte()
		if err != nil {
			break
		}
		n, _ := binary.ReadUvarint(r)
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			break
		}
		b.handle(first>>4, body)
	}
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	_ = c.Close()
}

func (b *scripted) handle(kind byte, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch kind {
	case 1:
		_, _ = b.conn.Write([]byte{0x20, 2, 0, 0})
	case 4:
		b.acked = append(b.acked, b.sent[binary.BigEndian.Uint16(body)])
	case 8:
		var codes []byte
		for rest := body[2:]; len(rest) > 2; rest = rest[3+binary.BigEndian.Uint16(rest):] {
			codes = append(codes, 1)
		}
		answer := append([]byte{0x90, byte(2 + len(codes))}, body[:2]...)
		answer = append(answer, codes...)
		_, _ = b.conn.Write(answer)
	case 12:
		_, _ = b.conn.Write([]byte{0xD0, 0})
	}
}

func (b *scripted) Send(t testing.TB, payload string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	b.sent[b.next] = payload
	body := append(binary.BigEndian.AppendUint16(nil, uint16(len(topic))), topic...)
	body = append(binary.BigEndian.AppendUint16(body, b.next), payload...)
	if _, err := b.conn.Write(append(binary.AppendUvarint([]byte{0x32}, uint64(len(body))), body...)); err != nil {
		t.Errorf("write: %v", err)
	}
}

func (b *scripted) Acked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.acked...)
}

func (b *scripted) Closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}
